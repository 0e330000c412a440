//! Which kernels of a program are alike: the same but for the buffers they touch and the offsets there.
//!
//! A recurrent network has hundreds of such, one for each step of its sequence; what is made of one of them serves
//! all. That is right because nothing that is chosen for a kernel (tiles, places, loops, machine code) depends on
//! where an access starts: a plan assumes of every two accesses that they may touch the same memory. Refuses to
//! compare scatters, folds, sorts, functions of the host and fills, which are made as fast as they are compared.

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
            Kernel::Scatter(_) | Kernel::Fold(_) | Kernel::Sort(_) | Kernel::Control(_) | Kernel::Host(_) | Kernel::Fill(_) => None,
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
    let Contract { batch, m, n, k, a, b, out, k_chunks, accumulate, precision, epilogue } = one;
    let sizes = *batch == other.batch && *m == other.m && *n == other.n && *k == other.k;
    let how = *k_chunks == other.k_chunks && *accumulate == other.accumulate && *precision == other.precision;
    let after = match (epilogue, &other.epilogue) {
        (Some(code), Some(others)) => same_region(code, others),
        (None, None) => true,
        _ => false,
    };
    sizes && how && after && same_access(a, &other.a) && same_access(b, &other.b) && same_access(out, &other.out)
}

#[cfg(test)]
mod tests {
    use super::models;
    use crate::compile::kernel::{Access, Binary, Code, Contract, Extent, Fill, Instruction, Kernel, Lane, Number, Region};
    use crate::tensor::{DType, Precision};

    fn access(buffer: u32, strides: &[isize]) -> Access {
        Access { buffer, dtype: DType::F32, offset: 0, strides: strides.into() }
    }

    fn region() -> Region {
        let instruction = |code| Instruction { code, lane: Lane::F32, extent: Extent::Full };
        let codes = [
            Code::Load(0),
            Code::Load(1),
            Code::Constant(Number::Float(0.0)),
            Code::Binary(Binary::Add, 0, 1),
            Code::Binary(Binary::Maximum, 3, 2),
            Code::Store(0, 4),
        ];
        Region {
            axes: [6, 8].as_slice().into(),
            row_axes: 1,
            loads: vec![access(0, &[8, 1]), access(1, &[8, 1])],
            stores: vec![access(2, &[8, 1])],
            code: codes.into_iter().map(instruction).collect(),
            unit_rows: None,
        }
    }

    fn contract() -> Contract {
        let sizes = |size: usize| [size].as_slice().into();
        Contract {
            batch: sizes(2),
            m: sizes(6),
            n: sizes(8),
            k: sizes(4),
            a: access(0, &[24, 4, 1]),
            b: access(1, &[32, 8, 1]),
            out: access(2, &[48, 8, 1]),
            k_chunks: 1,
            accumulate: false,
            precision: Precision::Full,
            epilogue: Some(region()),
        }
    }

    /// What a change of a kernel makes of whether it is alike the one before.
    fn stays_alike<T: Clone>(kernel: &T, into: fn(T) -> Kernel, change: impl Fn(&mut T)) -> bool {
        let mut changed = kernel.clone();
        change(&mut changed);
        let kernels = [into(kernel.clone()), into(changed)];
        assert_ne!(kernels[0], kernels[1], "something was changed");
        models(&kernels) == [0, 0]
    }

    /// Other buffers, other offsets, and the same buffer where there were two.
    #[test]
    fn kernels_are_alike_wherever_their_accesses_start() {
        let moves: [fn(&mut Region); 4] =
            [|r| r.loads[0].buffer = 7, |r| r.loads[1].buffer = 0, |r| r.stores[0].buffer = 1, |r| r.loads[1].offset = 5];
        for (i, change) in moves.into_iter().enumerate() {
            assert!(stays_alike(&region(), Kernel::Region, change), "region, change {i}");
            let inside = |c: &mut Contract| c.epilogue.iter_mut().for_each(change);
            assert!(stays_alike(&contract(), |c| Kernel::Contract(c.into()), inside), "code after a product, change {i}");
        }
        let moves: [fn(&mut Contract); 4] = [|c| c.a.buffer = 9, |c| c.b.buffer = 0, |c| c.out.offset = 3, |c| c.b.offset = 1];
        for (i, change) in moves.into_iter().enumerate() {
            assert!(stays_alike(&contract(), |c| Kernel::Contract(c.into()), change), "contract, change {i}");
        }
    }

    #[test]
    fn whatever_else_differs_tells_regions_apart() {
        let changes: &[fn(&mut Region)] = &[
            |r| r.axes[0] = 7,
            |r| r.axes.push(1),
            |r| r.row_axes = 2,
            |r| r.unit_rows = Some(3),
            |r| r.loads[0].dtype = DType::BF16,
            |r| r.loads[1].strides[1] = 0,
            |r| r.loads[1].strides[0] = -8,
            |r| r.stores[0].dtype = DType::F16,
            |r| r.stores[0].strides[0] = 9,
            |r| r.loads.push(access(3, &[8, 1])),
            |r| r.stores.push(access(3, &[8, 1])),
            // As many accesses, but one of them on the other side.
            |r| r.stores.insert(0, access(1, &[8, 1])),
            |r| r.code[3].code = Code::Binary(Binary::Subtract, 0, 1),
            |r| r.code[3].code = Code::Binary(Binary::Add, 1, 0),
            |r| r.code[0].code = Code::Load(1),
            |r| r.code[2].code = Code::Constant(Number::Float(-0.0)),
            |r| r.code[2].code = Code::Constant(Number::Integer(0)),
            |r| r.code[1].extent = Extent::Row,
            |r| r.code[1].lane = Lane::F64,
            |r| r.code.truncate(5),
            |r| r.code[1].code = Code::LoadAt { load: 1, index: 0, stride: 8, limit: 6, site: 1 },
        ];
        for (i, change) in changes.iter().enumerate() {
            assert!(!stays_alike(&region(), Kernel::Region, change), "region, change {i}");
            let inside = |c: &mut Contract| c.epilogue.iter_mut().for_each(change);
            assert!(!stays_alike(&contract(), |c| Kernel::Contract(c.into()), inside), "code after a product, change {i}");
        }
    }

    #[test]
    fn whatever_else_differs_tells_contractions_apart() {
        let changes: &[fn(&mut Contract)] = &[
            |c| c.batch[0] = 3,
            |c| c.m[0] = 7,
            |c| c.n[0] = 9,
            |c| c.k[0] = 5,
            |c| c.k.push(1),
            |c| c.a.dtype = DType::F64,
            |c| c.b.dtype = DType::BF16,
            |c| c.out.dtype = DType::F16,
            |c| c.a.strides[1] = 1,
            |c| c.b.strides[0] = 0,
            |c| c.out.strides[2] = 6,
            |c| c.k_chunks = 2,
            |c| c.accumulate = true,
            |c| c.precision = Precision::Mixed,
            |c| c.epilogue = None,
        ];
        for (i, change) in changes.iter().enumerate() {
            assert!(!stays_alike(&contract(), |c| Kernel::Contract(c.into()), change), "change {i}");
        }
    }

    #[test]
    fn each_kernel_finds_the_first_of_its_kind() {
        let (one, mut other) = (Kernel::Region(region()), region());
        other.axes[1] = 9;
        let fill = Kernel::Fill(Fill { out: access(0, &[1]), len: 3, value: Number::Float(1.0) });
        let product = Kernel::Contract(contract().into());
        let kernels = [one.clone(), fill.clone(), product.clone(), Kernel::Region(other), one.clone(), fill, product, one];
        assert_eq!(models(&kernels), [0, 1, 2, 3, 0, 5, 2, 0]);
    }
}
