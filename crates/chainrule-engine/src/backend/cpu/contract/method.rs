//! How a product is computed: the precision that was asked for and what this machine has, put together.
//!
//! Refuses to look at memory or threads: the same product is always computed in the same way on a machine.

use super::matrix::{SIDE, STEPS, Unit};
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

/// Multiply-adds from which laying out tiles pays.
const WORTH: usize = 1 << 18;

impl Method {
    /// That of a product of `[m, k]` by `[k, n]`, whose lane is f32, on a machine with or without matrix tiles.
    pub fn of(contract: &Contract, [m, n, k]: [usize; 3], unit: Option<&'static Unit>) -> Method {
        let unit = unit.filter(|_| worth([m, n, k]));
        match (contract.a.dtype, contract.precision, unit) {
            (DType::F32, Precision::Full, Some(unit)) => Method::Tiles(unit, 3),
            (DType::F32, Precision::High, Some(unit)) => Method::Tiles(unit, 2),
            (DType::F32, Precision::Mixed, Some(unit)) => Method::Tiles(unit, 1),
            (DType::F32, Precision::Mixed, None) => Method::Rounded,
            // Nothing is lost: they are bf16 already.
            (DType::BF16, Precision::Full | Precision::High | Precision::Mixed, Some(unit)) => Method::Tiles(unit, 1),
            _ => Method::Plain,
        }
    }

    /// Multiply-adds in a nanosecond on one thread, with vectors of so many numbers. For tiles: the figures of probes of
    /// one core, operands in the nearest cache; of three parts, of the loop over blocks.
    pub fn speed(self, lanes: usize) -> f64 {
        match self {
            Method::Tiles(_, 1) => 1400.0,
            Method::Tiles(_, 2) => 500.0,
            Method::Tiles(..) => 220.0,
            _ => lanes as f64 * 4.8,
        }
    }
}

/// Whether there is much to multiply, and little of it is the filling of tiles.
fn worth([m, n, k]: [usize; 3]) -> bool {
    let volume = |m: usize, n: usize, k: usize| m.saturating_mul(n).saturating_mul(k);
    let filled = volume(m.next_multiple_of(SIDE), n.next_multiple_of(SIDE), k.next_multiple_of(STEPS));
    let own = volume(m, n, k);
    own >= WORTH && filled <= own.saturating_mul(3) / 2
}
