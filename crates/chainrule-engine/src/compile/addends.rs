//! Products that are added to a value which nobody reads afterwards are added where it lies.
//!
//! A product with code that only adds such a value starts from it instead of from zero: no tile goes through scratch, and the sum
//! needs no memory of its own. The steps of a recurrent network do so with what they are fed, made for all steps by one product.
//! Refuses narrow types, whose sums are rounded by code of their own, and sums of few elements of a large buffer, all of which would be kept for them.
//! Changes the order of a sum: the value is added to the first pass of the product instead of to all of it.

use super::kernel::{Access, Binary, BufferId, Code, Contract, Extent, Kernel};
use super::lower::Kernels;
use super::reach::spaces;
use super::seats::{Seat, Users};
use crate::tensor::shape::dense_strides;
use rustc_hash::FxHashMap;

/// The same kernels, of which some add to what is there.
pub fn add_in_place(mut kernels: Kernels) -> Kernels {
    let len = |kernels: &Kernels, buffer: BufferId| kernels.buffers[buffer as usize].len;
    let mut taken: FxHashMap<BufferId, usize> = FxHashMap::default();
    let sums: Vec<usize> = (0..kernels.kernels.len())
        .filter(|&k| {
            sum_of(&kernels, k).is_some_and(|seat| {
                *taken.entry(seat.to).or_default() += len(&kernels, seat.from);
                true
            })
        })
        .collect();
    if sums.is_empty() {
        return kernels;
    }
    let mut users = Users::new(&kernels);
    for k in sums {
        // A sum before may have taken the place of what is added here.
        let Some(seat) = sum_of(&kernels, k) else { continue };
        if 2 * taken.get(&seat.to).copied().unwrap_or(0) >= len(&kernels, seat.to)
            && users.first(seat.from) == Some(k)
            && seat.is_free_from(k, &users)
            && let Some(sum) = added(&seat, &kernels.kernels[k])
        {
            seat.take(&mut kernels, &mut users, k, Some(sum));
        }
    }
    kernels
}

/// Where the sum can go that a kernel makes of a product and a value in memory, if it does nothing else.
fn sum_of(kernels: &Kernels, k: usize) -> Option<Seat> {
    let Kernel::Contract(contract) = &kernels.kernels[k] else { return None };
    let region = contract.epilogue.as_ref()?;
    let ([_, load], [store], [one, two, sum, end]) = (&region.loads[..], &region.stores[..], &region.code[..]) else { return None };
    let reads = matches!((&one.code, &two.code), (Code::Load(0), Code::Load(1)));
    let adds = matches!(sum.code, Code::Binary(Binary::Add, 0, 1) | Code::Binary(Binary::Add, 1, 0));
    let stores = matches!(end.code, Code::Store(0, 2));
    let full = two.extent == Extent::Full && end.extent == Extent::Full;
    // What a seat has moved, the result of the product, without code, knows nothing of.
    let own = store.strides[..] == dense_strides(&region.axes)[..];
    let apart = |operand: &Access| operand.buffer != load.buffer;
    if !(reads && adds && stores && full && own && apart(&contract.a) && apart(&contract.b)) {
        return None;
    }
    Seat::between(kernels, &region.axes, store, load)
}

/// The kernel that adds a product to what lies at the place of its sum.
fn added(seat: &Seat, kernel: &Kernel) -> Option<Kernel> {
    let Kernel::Contract(contract) = kernel else { return None };
    let [_, _, sizes] = spaces(contract);
    let out = seat.access(&contract.out, &sizes)?;
    Some(Kernel::Contract(Box::new(Contract { out, epilogue: None, accumulate: true, ..(**contract).clone() })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::graph::Graph;
    use crate::compile::pipeline::{Options, compile};
    use crate::tensor::Tensor;

    /// A sum that a seat has moved, turned say, stays code: the product alone would not know where to go.
    #[test]
    fn sums_that_were_moved_stay() {
        let leaf = |rows: usize, columns: usize| Tensor::from_slice(&vec![0.5_f32; rows * columns], [rows, columns]);
        let value = leaf(3, 4).matmul(&leaf(4, 3)).tanh();
        let sum = (value + leaf(3, 5).matmul(&leaf(5, 3))).matmul(&leaf(3, 2));
        let options = Options { simplify: false, ..Options::default() };
        let kernels = compile(Graph::of(&[&sum]).0, &[None], options, |_, _, _| ()).kernels;
        let at = (0..kernels.kernels.len()).find(|&k| sum_of(&kernels, k).is_some()).unwrap();
        assert_ne!(add_in_place(kernels.clone()), kernels);
        let mut moved = kernels;
        let Kernel::Contract(contract) = &mut moved.kernels[at] else { unreachable!() };
        contract.epilogue.as_mut().unwrap().stores[0].strides.reverse();
        assert_eq!(add_in_place(moved.clone()), moved);
    }
}
