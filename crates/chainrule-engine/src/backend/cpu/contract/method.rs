//! How a product is computed: the precision that was asked for and what this machine has, put together.
//!
//! Refuses to look at memory or threads: the same product is always computed in the same way on a machine.

use super::matrix::Unit;
use crate::compile::kernel::Contract;
use crate::tensor::{DType, Precision};

/// How numbers are multiplied.
#[derive(Clone, Copy)]
pub enum Method {
    /// Fused multiply-adds of the operands' numbers, widened if they have 16 bits.
    Plain,
    /// The same of numbers rounded to bf16 first.
    Rounded,
    /// Matrix tiles of so many bf16 parts of each number.
    Tiles(&'static Unit, usize),
}

impl Method {
    /// That of a product of `[m, k]` by `[k, n]`, whose lane is f32, on a machine with or without a unit that multiplies tiles.
    pub fn of(contract: &Contract, [m, n, k]: [usize; 3], unit: Option<&'static Unit>) -> Method {
        let parts = match (contract.a.dtype, contract.precision) {
            (DType::F32, Precision::Full) => 3,
            (DType::F32, Precision::High) => 2,
            // Of those that are bf16 already nothing is lost.
            (DType::F32, Precision::Mixed) | (DType::BF16, Precision::Full | Precision::High | Precision::Mixed) => 1,
            _ => return Method::Plain,
        };
        let unit = unit.filter(|unit| parts <= unit.blocks.len() && (unit.worth)([m, n, k]));
        match (contract.a.dtype, contract.precision, unit) {
            (_, _, Some(unit)) => Method::Tiles(unit, parts),
            (DType::F32, Precision::Mixed, None) => Method::Rounded,
            _ => Method::Plain,
        }
    }

    /// Multiply-adds in a nanosecond on one thread, with vectors of so many numbers.
    pub fn speed(self, lanes: usize) -> f64 {
        match self {
            Method::Tiles(unit, parts) => unit.speeds[parts - 1],
            _ => lanes as f64 * 4.8,
        }
    }
}
