//! Which elements of which buffers a kernel reads and writes, and whether two kernels can touch the same.
//!
//! Refuses to be exact where that is hard: what it cannot tell apart may be the same.

use super::kernel::{Access, Axes, BufferId, Code, Contract, Kernel, Region};
use smallvec::SmallVec;

/// What a kernel reads or writes of a buffer.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The buffer.
    pub buffer: BufferId,
    /// Whether it is written.
    pub writes: bool,
    /// Which elements, if that is known.
    pub part: Option<Part>,
}

/// Elements `offset + sum(index[i] * stride[i])`, for all indices below the sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Of the first element.
    pub offset: isize,
    /// Sizes and strides of axes of more than one element that move.
    pub axes: SmallVec<[(usize, isize); 6]>,
}

impl Part {
    /// What an access over axes of so many elements reaches.
    pub fn of(access: &Access, sizes: &[usize]) -> Part {
        let axes = sizes.iter().copied().zip(access.strides.iter().copied());
        Part { offset: access.offset, axes: axes.filter(|&(size, stride)| size != 1 && stride != 0).collect() }
    }

    /// All elements from the first to the last in memory.
    fn hull(&self) -> Part {
        let (low, high) = self.bounds();
        Part { offset: low, axes: SmallVec::from_slice(&[((high - low) as usize + 1, 1)]) }
    }

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.axes.iter().any(|axis| axis.0 == 0)
    }

    /// The first and the last element in memory.
    fn bounds(&self) -> (isize, isize) {
        reach(self.offset, self.axes.iter())
    }

    /// Whether two parts have surely no element in common: one lies behind the other, or they are different columns of a
    /// matrix whose rows are some stride of both apart.
    pub fn is_apart(&self, other: &Part) -> bool {
        if self.is_empty() || other.is_empty() {
            return true;
        }
        let behind = |(low, high): (isize, isize), (other_low, other_high): (isize, isize)| high < other_low || other_high < low;
        if behind(self.bounds(), other.bounds()) {
            return true;
        }
        let rows = self.axes.iter().map(|axis| axis.1.abs()).filter(|&row| other.axes.iter().any(|axis| axis.1.abs() == row));
        rows.into_iter().any(|row| match (self.columns(row), other.columns(row)) {
            (Some(own), Some(others)) => behind(own, others),
            _ => false,
        })
    }

    /// The first and the last column within rows of so many elements, if no step along another axis leaves its row.
    fn columns(&self, row: isize) -> Option<(isize, isize)> {
        let (low, high) = reach(self.offset.rem_euclid(row), self.axes.iter().filter(|axis| axis.1 % row != 0));
        (low >= 0 && high < row).then_some((low, high))
    }
}

fn reach<'a>(offset: isize, axes: impl Iterator<Item = &'a (usize, isize)>) -> (isize, isize) {
    axes.fold((offset, offset), |(low, high), &(size, stride)| {
        let end = stride * (size as isize - 1);
        (low + end.min(0), high + end.max(0))
    })
}

/// What a kernel touches.
pub fn reaches(kernel: &Kernel) -> Vec<Reach> {
    let mut all = Vec::new();
    let whole = |access: &Access, writes: bool| Reach { buffer: access.buffer, writes, part: None };
    match kernel {
        Kernel::Region(region) => of_region(region, 0, &mut all),
        Kernel::Contract(contract) => of_contract(contract, &mut all),
        Kernel::Scatter(scatter) => {
            all.extend([&scatter.index, &scatter.updates].map(|access| whole(access, false)));
            all.push(whole(&scatter.out, true));
        }
        Kernel::Fold(fold) => all.extend([whole(&fold.input, false), whole(&fold.out, true)]),
        Kernel::Sort(sort) => all.extend([whole(&sort.input, false), whole(&sort.out, true)]),
        Kernel::Host(host) => {
            all.extend(host.inputs.iter().map(|access| whole(access, false)));
            all.push(whole(&host.out, true));
        }
        Kernel::Fill(fill) => all.push(whole(&fill.out, true)),
        Kernel::Control(control) => {
            all.extend(control.inputs.iter().map(|access| whole(access, false)));
            all.extend(control.outs.iter().flatten().chain([&control.room]).map(|access| whole(access, true)));
        }
    }
    all
}

fn of_region(region: &Region, skip: usize, all: &mut Vec<Reach>) {
    let elsewhere = |code: &Code| matches!(code, Code::LoadAt { .. } | Code::Random { .. } | Code::Accumulate(..));
    // Asked once for all accesses: few regions have any that are not plain.
    let plain = !region.code.iter().any(|instruction| elsewhere(&instruction.code));
    let loads = region.loads.iter().enumerate().skip(skip).map(|(i, access)| (access, false, plain || reads_plainly(region, i)));
    let stores = region.stores.iter().enumerate().map(|(i, access)| (access, true, plain || writes_plainly(region, i)));
    all.reserve_exact(region.loads.len() + region.stores.len());
    all.extend(loads.chain(stores).map(|(access, writes, plain)| Reach {
        buffer: access.buffer,
        writes,
        part: plain.then(|| Part::of(access, &region.axes)),
    }));
}

fn of_contract(contract: &Contract, all: &mut Vec<Reach>) {
    let [a, b, out] = spaces(contract);
    for (access, sizes) in [(&contract.a, a), (&contract.b, b)] {
        let part = Part::of(access, &sizes);
        // What lies between its elements may be fetched along with them.
        let part = if part.is_empty() { part } else { part.hull() };
        all.push(Reach { buffer: access.buffer, writes: false, part: Some(part) });
    }
    match &contract.epilogue {
        Some(region) => of_region(region, 1, all),
        None => {
            let whole = |writes: bool| Reach { buffer: contract.out.buffer, writes, part: Some(Part::of(&contract.out, &out)) };
            all.extend(contract.accumulate.then(|| whole(false)));
            all.push(whole(true));
        }
    }
}

/// The axes that the strides of a product's A, B and result are over.
pub fn spaces(contract: &Contract) -> [Axes<usize>; 3] {
    let Contract { batch, m, n, k, k_chunks, .. } = contract;
    let chunks: &[usize] = if *k_chunks > 1 { std::slice::from_ref(k_chunks) } else { &[] };
    [[&[], &batch[..], m, k], [&[], &batch[..], k, n], [chunks, &batch[..], m, n]].map(|axes| axes.into_iter().flatten().copied().collect())
}

/// Whether a load of a region is one of each point or row, and not of where an index says.
pub fn reads_plainly(region: &Region, load: usize) -> bool {
    !region.code.iter().any(|instruction| match instruction.code {
        Code::LoadAt { load: at, .. } | Code::Random { key: at, .. } => at == load,
        _ => false,
    })
}

/// Whether a store of a region is one of each point or row, and not of sums over rows.
pub fn writes_plainly(region: &Region, store: usize) -> bool {
    !region.code.iter().any(|instruction| matches!(instruction.code, Code::Accumulate(at, ..) if at == store))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::kernel::{Extent, Instruction, Lane, Reduction};
    use crate::tensor::{DType, Precision, Rng};

    /// All elements of a part.
    fn elements(part: &Part) -> Vec<isize> {
        part.axes.iter().fold(vec![part.offset], |all, &(size, stride)| {
            all.iter().flat_map(|at| (0..size as isize).map(move |i| at + i * stride)).collect()
        })
    }

    /// What a product is added to is read, too.
    #[test]
    fn a_product_that_is_added_reads_where_it_writes() {
        let access = |buffer: BufferId, strides: &[isize]| Access { buffer, dtype: DType::F32, offset: 3, strides: strides.into() };
        let sizes = |size: usize| Axes::from_elem(size, 1);
        for accumulate in [false, true] {
            let contract = Contract {
                batch: Axes::new(),
                m: sizes(4),
                n: sizes(5),
                k: sizes(6),
                a: access(0, &[6, 1]),
                b: access(1, &[5, 1]),
                out: access(2, &[7, 1]),
                k_chunks: 1,
                accumulate,
                precision: Precision::default(),
                epilogue: None,
            };
            let reaches = reaches(&Kernel::Contract(Box::new(contract)));
            let parts: Vec<bool> = reaches.iter().filter(|reach| reach.buffer == 2).map(|reach| reach.writes).collect();
            assert_eq!(parts, if accumulate { vec![false, true] } else { vec![true] });
            let place = Part { offset: 3, axes: [(4, 7), (5, 1)].into_iter().collect() };
            assert!(reaches.iter().filter(|reach| reach.buffer == 2).all(|reach| reach.part == Some(place.clone())));
        }
    }

    /// What an index says, where random numbers come from and where sums over rows go, is not known by strides; of other accesses it is.
    #[test]
    fn what_is_not_reached_by_strides_may_be_anywhere() {
        let access = |buffer: BufferId| Access { buffer, dtype: DType::F32, offset: 0, strides: [4, 1].into_iter().collect() };
        let code = [
            Code::Load(0),
            Code::LoadAt { load: 1, index: 0, stride: 1, limit: 4, site: 0 },
            Code::Random { key: 2, bits: 32, offset: 0, strides: Box::default() },
            Code::Store(0, 1),
            Code::Accumulate(1, Reduction::Sum, 1),
        ];
        let instruction = |code: &Code| Instruction { code: code.clone(), lane: Lane::F32, extent: Extent::Full };
        // Of each kind of instruction alone, as one of them must not hide another.
        for found in [vec![], vec![1], vec![2], vec![4], vec![1, 2, 4]] {
            let present = |at: &usize| [0, 3].contains(at) || found.contains(at);
            let region = Region {
                axes: [3, 4].into_iter().collect(),
                row_axes: 1,
                loads: (0..3).map(access).collect(),
                stores: (3..5).map(access).collect(),
                code: code.iter().enumerate().filter(|(at, _)| present(at)).map(|(_, code)| instruction(code)).collect(),
                unit_rows: None,
            };
            let known: Vec<bool> = reaches(&Kernel::Region(region)).iter().map(|reach| reach.part.is_some()).collect();
            let wanted = [true, !found.contains(&1), !found.contains(&2), true, !found.contains(&4)];
            assert_eq!(known, wanted, "with {found:?}");
        }
    }

    #[test]
    fn parts_that_are_apart_have_no_element_in_common() {
        let mut rng = Rng::new(3);
        let mut below = |n: usize| (rng.next_u64() % n as u64) as usize;
        let (mut apart, mut found) = (0, 0);
        for _ in 0..20_000 {
            let mut part = || {
                let strides = [1, 2, 3, 4, 8, 8, 16, 24, -1, -8];
                let axes = (0..below(4)).map(|_| (below(5), strides[below(strides.len())])).collect();
                Part { offset: below(60) as isize, axes }
            };
            let (one, other) = (part(), part());
            let of_one = elements(&one);
            let common = elements(&other).iter().any(|at| of_one.contains(at));
            assert!(!(common && one.is_apart(&other)), "{one:?} and {other:?}");
            assert_eq!(one.is_apart(&other), other.is_apart(&one), "{one:?} and {other:?}");
            apart += usize::from(!common);
            found += usize::from(one.is_apart(&other));
        }
        assert!(found * 4 > apart * 3, "{found} of {apart} are found to be apart");
    }
}
