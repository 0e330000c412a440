//! Which kernels of a program are alike: the same but for the buffers they touch and the offsets there.
//!
//! A recurrent network has hundreds of such, one for each step of its sequence; what is made of one of them serves
//! all. That is right because nothing that is chosen for a kernel (tiles, places, loops, machine code) depends on
//! where an access starts: a plan assumes of every two accesses that they may touch the same memory. Refuses to
//! compare scatters, folds and fills, which are made as fast as they are compared.

use crate::compile::kernel::{Access, Contract, Kernel, Region};
use rustc_hash::FxHashMap;
use std::hash::{Hash, Hasher};

/// For each kernel, the first one that is alike; its own number if there is none before it.
pub fn models(kernels: &[Kernel]) -> Vec<usize> {
    let mut known: FxHashMap<Structure<'_>, usize> = FxHashMap::default();
    let structures = kernels.iter().map(Structure::of).enumerate();
    structures.map(|(k, structure)| structure.map_or(k, |structure| *known.entry(structure).or_insert(k))).collect()
}

/// A kernel, compared without buffers and offsets. Every field is named here, so that a new one is not forgotten.
enum Structure<'a> {
    Region(&'a Region),
    Contract(&'a Contract),
}

impl Structure<'_> {
    fn of(kernel: &Kernel) -> Option<Structure<'_>> {
        match kernel {
            Kernel::Region(region) => Some(Structure::Region(region)),
            Kernel::Contract(contract) => Some(Structure::Contract(contract)),
            Kernel::Scatter(_) | Kernel::Fold(_) | Kernel::Fill(_) => None,
        }
    }
}

impl PartialEq for Structure<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Structure::Region(a), Structure::Region(b)) => same_region(a, b),
            (Structure::Contract(a), Structure::Contract(b)) => same_contract(a, b),
            _ => false,
        }
    }
}

impl Eq for Structure<'_> {}

impl Hash for Structure<'_> {
    /// Of a region the whole, of a contraction the sizes: that tells nearly all apart.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let region = |region: &Region, state: &mut H| {
            (&region.axes, region.row_axes, &region.code).hash(state);
            region.loads.iter().chain(&region.stores).for_each(|access| access.strides.hash(state));
        };
        match self {
            Structure::Region(code) => region(code, state),
            Structure::Contract(contract) => {
                let Contract { batch, m, n, k, epilogue, .. } = contract;
                (batch, m, n, k).hash(state);
                epilogue.iter().for_each(|code| region(code, state));
            }
        }
    }
}

fn same_access(a: &Access, b: &Access) -> bool {
    let Access { buffer: _, dtype, offset: _, strides } = a;
    *dtype == b.dtype && *strides == b.strides
}

fn same_accesses(a: &[Access], b: &[Access]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_access(a, b))
}

fn same_region(a: &Region, b: &Region) -> bool {
    let Region { axes, row_axes, loads, stores, code, unit_rows } = a;
    let space = *axes == b.axes && *row_axes == b.row_axes && *unit_rows == b.unit_rows;
    space && same_accesses(loads, &b.loads) && same_accesses(stores, &b.stores) && *code == b.code
}

fn same_contract(one: &Contract, other: &Contract) -> bool {
    let Contract { batch, m, n, k, a, b, out, k_chunks, accumulate, epilogue } = one;
    let sizes = *batch == other.batch && *m == other.m && *n == other.n && *k == other.k;
    let how = *k_chunks == other.k_chunks && *accumulate == other.accumulate;
    let after = match (epilogue, &other.epilogue) {
        (Some(code), Some(others)) => same_region(code, others),
        (None, None) => true,
        _ => false,
    };
    sizes && how && after && same_access(a, &other.a) && same_access(b, &other.b) && same_access(out, &other.out)
}
