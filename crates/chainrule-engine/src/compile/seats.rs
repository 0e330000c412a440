//! Values that are written where they would be copied to: the pieces of a concatenation, what is padded, the heads of an
//! attention that are laid side by side again.
//!
//! A kernel that does nothing but copy a whole temporary buffer to some place of another is left out, and everybody who wrote or read
//! the buffer does so at that place.
//! Refuses where that would need more than other strides: a reader that walks the buffer in runs longer than those of
//! the place, or by index; a kernel that takes dense operands only. Then the copy stays.

use super::kernel::{Access, BufferId, Code, Contract, Extent, Kernel, Region};
use super::lower::{Kernels, Place};
use super::reach::{Part, Reach, reaches, reads_plainly, spaces, writes_plainly};
use smallvec::SmallVec;

/// Leaves out the copies that need not be.
pub fn seat(mut kernels: Kernels) -> Kernels {
    let mut users = Users::new(&kernels);
    let mut left_out = vec![false; kernels.kernels.len()];
    for k in 0..kernels.kernels.len() {
        let Some(seat) = Seat::of_copy(&kernels, k) else { continue };
        for buffer in [seat.from, seat.to] {
            users.of[buffer as usize].retain(|&user| !left_out[user]);
        }
        left_out[k] = seat.is_free(k, &users) && seat.take(&mut kernels, &mut users, k, None);
    }
    let mut stays = left_out.iter().map(|left_out| !left_out);
    kernels.sites.retain(|_| stays.next() == Some(true));
    let mut stays = left_out.iter().map(|left_out| !left_out);
    kernels.kernels.retain(|_| stays.next() == Some(true));
    kernels
}

/// Who uses which buffer, and which part of it.
pub struct Users {
    /// Of each buffer the kernels that read or write it, in order.
    of: Vec<Vec<usize>>,
    /// What each kernel reads and writes.
    reaches: Vec<Vec<Reach>>,
}

impl Users {
    /// The users of all buffers.
    pub fn new(kernels: &Kernels) -> Users {
        let mut of: Vec<Vec<usize>> = vec![Vec::new(); kernels.buffers.len()];
        let reaches: Vec<Vec<Reach>> = kernels.kernels.iter().map(reaches).collect();
        for (k, own) in reaches.iter().enumerate() {
            for reach in own {
                let list = &mut of[reach.buffer as usize];
                if list.last() != Some(&k) {
                    list.push(k);
                }
            }
        }
        Users { of, reaches }
    }

    /// The first kernel that uses a buffer.
    pub fn first(&self, buffer: BufferId) -> Option<usize> {
        self.of[buffer as usize].first().copied()
    }
}

/// A dense buffer, and a place in another that takes its elements.
#[derive(Debug)]
pub struct Seat {
    /// The buffer.
    pub from: BufferId,
    /// The other one.
    pub to: BufferId,
    /// Where the first element goes.
    offset: isize,
    /// Axes of the buffer, outermost first.
    digits: SmallVec<[Digit; 6]>,
}

/// One of the accesses of a kernel that is scalar code or a product.
#[derive(Clone, Copy, Debug)]
enum Slot {
    A,
    B,
    Out,
    Load(usize),
    Store(usize),
}

/// Accesses of a kernel, and what becomes of them.
type Moves = SmallVec<[(Slot, Access); 2]>;

impl Slot {
    /// The access in a kernel, if it has it.
    fn of(self, kernel: &mut Kernel) -> Option<&mut Access> {
        let (product, code) = match kernel {
            Kernel::Region(region) => (None, Some(region)),
            Kernel::Contract(contract) => {
                let Contract { a, b, out, epilogue, .. } = &mut **contract;
                (Some([a, b, out]), epilogue.as_mut())
            }
            _ => (None, None),
        };
        match self {
            Slot::A => product.map(|[a, _, _]| a),
            Slot::B => product.map(|[_, b, _]| b),
            Slot::Out => product.map(|[_, _, out]| out),
            Slot::Load(i) => code?.loads.get_mut(i),
            Slot::Store(i) => code?.stores.get_mut(i),
        }
    }
}

/// One axis of a dense buffer: its size, elements from one index to the next, and at the place.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Digit {
    size: usize,
    own: isize,
    there: isize,
}

impl Seat {
    /// What kernel `k` copies, if that is all it does: a whole temporary buffer, to another.
    fn of_copy(kernels: &Kernels, k: usize) -> Option<Seat> {
        let Kernel::Region(Region { axes, loads, stores, code, .. }) = &kernels.kernels[k] else { return None };
        let ([from], [to], [load, store]) = (&loads[..], &stores[..], &code[..]) else { return None };
        let copies = matches!((&load.code, &store.code), (Code::Load(0), Code::Store(0, 0)));
        let full = load.extent == Extent::Full && store.extent == Extent::Full;
        if copies && full { Seat::between(kernels, axes, from, to) } else { None }
    }

    /// All elements of a temporary buffer, at the places that another access over the same axes reaches in another one, if it
    /// reaches none twice.
    pub fn between(kernels: &Kernels, axes: &[usize], from: &Access, to: &Access) -> Option<Seat> {
        let temporary = |access: &Access| kernels.buffers[access.buffer as usize].place == Place::Temporary;
        let apart = from.buffer != to.buffer && from.dtype == to.dtype && temporary(from) && temporary(to);
        if !apart || from.offset != 0 {
            return None;
        }
        let digits = digits(axes, &from.strides, &to.strides, kernels.buffers[from.buffer as usize].len)?;
        reaches_none_twice(&digits).then(|| Seat { from: from.buffer, to: to.buffer, offset: to.offset, digits })
    }

    /// Whether nobody else uses the place from when the buffer is first written on, but to read what `copy` has copied there.
    fn is_free(&self, copy: usize, users: &Users) -> bool {
        let first = users.first(self.from).unwrap_or(copy);
        self.is_untouched(users, |k, writes| k < first || k == copy || (!writes && k > copy))
    }

    /// Whether only kernels before `sum` use the place.
    pub fn is_free_from(&self, sum: usize, users: &Users) -> bool {
        self.is_untouched(users, |k, _| k <= sum)
    }

    /// Whether only those kernels use the place of which `may` says that they may read it, or write it.
    fn is_untouched(&self, users: &Users, may: impl Fn(usize, bool) -> bool) -> bool {
        let place = Part { offset: self.offset, axes: self.digits.iter().map(|digit| (digit.size, digit.there)).collect() };
        let reaches = users.of[self.to as usize].iter().flat_map(|&k| users.reaches[k].iter().map(move |reach| (k, reach)));
        reaches.filter(|(_, reach)| reach.buffer == self.to).all(|(k, reach)| {
            let apart = || reach.part.as_ref().is_some_and(|part| part.is_apart(&place));
            may(k, reach.writes) || apart()
        })
    }

    /// Gives the buffer its place: all who used it use that, if they can. Kernel `k`, which brought the elements there, becomes `other`,
    /// or is to be left out. Tells whether that was done.
    pub fn take(&self, kernels: &mut Kernels, users: &mut Users, k: usize, other: Option<Kernel>) -> bool {
        let [from, to] = [self.from, self.to].map(|buffer| buffer as usize);
        let others = users.of[from].iter().copied().filter(|&user| user != k);
        let moves: Option<Vec<(usize, Moves)>> = others.map(|user| Some((user, self.moves(&kernels.kernels[user])?))).collect();
        let Some(moves) = moves else { return false };
        let mut changed: SmallVec<[usize; 4]> = SmallVec::new();
        for (user, moves) in moves {
            for (slot, moved) in moves {
                if let Some(access) = slot.of(&mut kernels.kernels[user]) {
                    *access = moved;
                }
            }
            changed.push(user);
        }
        if let Some(other) = other {
            kernels.kernels[k] = other;
            changed.push(k);
        }
        for user in changed {
            users.reaches[user] = reaches(&kernels.kernels[user]);
            if let Err(at) = users.of[to].binary_search(&user) {
                users.of[to].insert(at, user);
            }
        }
        users.of[from].clear();
        true
    }

    /// What changes in a kernel that does with the place what it did with the buffer, if other strides are enough for that.
    fn moves(&self, kernel: &Kernel) -> Option<Moves> {
        let mut moves = Moves::new();
        match kernel {
            Kernel::Region(region) => self.moves_of_region(region, 0, &mut moves)?,
            Kernel::Contract(contract) if !contract.accumulate => {
                let [a, b, out] = spaces(contract);
                let mut own = 3;
                if let Some(region) = &contract.epilogue {
                    self.moves_of_region(region, 1, &mut moves)?;
                    // With code after the product, what it stores is the result, and says whose buffer that is.
                    if region.stores[0].buffer == self.from {
                        moves.push((Slot::Out, Access { buffer: self.to, ..contract.out.clone() }));
                    }
                    own = 2;
                }
                let all = [(Slot::A, &contract.a, a), (Slot::B, &contract.b, b), (Slot::Out, &contract.out, out)];
                for (slot, access, sizes) in all.into_iter().take(own).filter(|(_, access, _)| access.buffer == self.from) {
                    moves.push((slot, self.access(access, &sizes)?));
                }
            }
            _ => return None,
        }
        Some(moves)
    }

    fn moves_of_region(&self, region: &Region, skip: usize, moves: &mut Moves) -> Option<()> {
        for (i, load) in region.loads.iter().enumerate().skip(skip).filter(|(_, load)| load.buffer == self.from) {
            moves.push((Slot::Load(i), reads_plainly(region, i).then(|| self.access(load, &region.axes))??));
        }
        for (i, store) in region.stores.iter().enumerate().filter(|(_, store)| store.buffer == self.from) {
            moves.push((Slot::Store(i), writes_plainly(region, i).then(|| self.access(store, &region.axes))??));
        }
        Some(())
    }

    /// An access to the buffer as one to the place, if no step along its axes leaves an axis of the buffer; one to another buffer as it is.
    pub fn access(&self, access: &Access, sizes: &[usize]) -> Option<Access> {
        if access.buffer != self.from {
            return Some(access.clone());
        }
        // Of each digit, the least and the most that the access comes to.
        let mut rest = access.offset;
        let mut ends: SmallVec<[(isize, isize); 6]> = SmallVec::new();
        let mut offset = self.offset;
        for digit in &self.digits {
            let at = rest.div_euclid(digit.own);
            rest = rest.rem_euclid(digit.own);
            offset += at * digit.there;
            ends.push((at, at));
        }
        let mut moved = Access { buffer: self.to, offset, ..access.clone() };
        for (stride, &size) in moved.strides.iter_mut().zip(sizes) {
            if size == 1 || *stride == 0 {
                *stride = 0;
                continue;
            }
            let at = self.digits.iter().position(|digit| stride.abs() >= digit.own)?;
            let digit = self.digits[at];
            if *stride % digit.own != 0 {
                return None;
            }
            let steps = *stride / digit.own;
            let end = steps * (size as isize - 1);
            ends[at] = (ends[at].0 + end.min(0), ends[at].1 + end.max(0));
            *stride = steps * digit.there;
        }
        // No step may carry over to another digit.
        let inside = ends.iter().zip(&self.digits).all(|(&(least, most), digit)| least >= 0 && most < digit.size as isize);
        inside.then_some(moved)
    }
}

/// The axes of a dense buffer of so many elements, if strides over them reach each of its elements once; neighbours that lie regularly one
/// inside the other there, too, as one.
fn digits(sizes: &[usize], own: &[isize], there: &[isize], len: usize) -> Option<SmallVec<[Digit; 6]>> {
    let axes = sizes.iter().zip(own).zip(there).map(|((&size, &own), &there)| Digit { size, own, there });
    let mut axes: SmallVec<[Digit; 6]> = axes.filter(|digit| digit.size != 1).collect();
    axes.sort_unstable_by_key(|digit| std::cmp::Reverse(digit.own));
    let mut dense = 1;
    for digit in axes.iter().rev() {
        if digit.own != dense || digit.size == 0 {
            return None;
        }
        dense *= digit.size as isize;
    }
    if dense as usize != len || axes.is_empty() {
        return None;
    }
    let mut merged: SmallVec<[Digit; 6]> = SmallVec::new();
    for digit in axes {
        match merged.last_mut() {
            Some(outer) if outer.there == digit.there * digit.size as isize => {
                *outer = Digit { size: outer.size * digit.size, ..digit };
            }
            _ => merged.push(digit),
        }
    }
    Some(merged)
}

/// Whether each step along an axis leads behind all that the axes inside it come to.
fn reaches_none_twice(digits: &[Digit]) -> bool {
    let mut inside_out: SmallVec<[(isize, isize); 6]> = digits.iter().map(|digit| (digit.there.abs(), digit.size as isize - 1)).collect();
    inside_out.sort_unstable();
    let mut end = 0;
    inside_out.into_iter().all(|(step, steps)| {
        let behind = step > end;
        end += step * steps;
        behind
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{DType, Rng};

    /// Where an element of the buffer goes.
    fn place(seat: &Seat, mut element: isize) -> isize {
        seat.digits.iter().fold(seat.offset, |at, digit| {
            let own = element / digit.own;
            element %= digit.own;
            at + own * digit.there
        })
    }

    fn addresses(access: &Access, sizes: &[usize]) -> Vec<isize> {
        sizes.iter().zip(&access.strides).fold(vec![access.offset], |all, (&size, &stride)| {
            all.iter().flat_map(|at| (0..size as isize).map(move |i| at + i * stride)).collect()
        })
    }

    /// Random accesses to buffers that go to random places, transposed and apart: what is moved reaches the places of the elements
    /// that it reached, in their order.
    #[test]
    fn a_moved_access_reaches_the_places_of_its_elements() {
        let mut rng = Rng::new(7);
        let mut below = |n: usize| (rng.next_u64() % n as u64) as usize;
        let mut moved = 0;
        for _ in 0..20_000 {
            let sizes: Vec<usize> = (0..1 + below(3)).map(|_| 1 + below(4)).collect();
            let mut order: Vec<usize> = (0..sizes.len()).collect();
            order.rotate_left(below(sizes.len()));
            let (mut own, mut there) = (vec![0; sizes.len()], vec![0; sizes.len()]);
            let mut dense = 1;
            for axis in (0..sizes.len()).rev() {
                own[axis] = dense;
                dense *= sizes[axis] as isize;
            }
            let (mut next, gap) = (1, 1 + below(2) as isize);
            for &axis in order.iter().rev() {
                there[axis] = next;
                next *= sizes[axis] as isize * gap;
            }
            let Some(digits) = digits(&sizes, &own, &there, dense as usize) else { continue };
            let seat = Seat { from: 0, to: 1, offset: below(5) as isize, digits };
            let spaces: Vec<usize> = (0..below(4)).map(|_| 1 + below(4)).collect();
            let strides = spaces.iter().map(|_| below(9) as isize - 2).collect();
            let access = Access { buffer: 0, dtype: DType::F32, offset: below(dense as usize) as isize, strides };
            let before = addresses(&access, &spaces);
            if before.iter().any(|at| !(0..dense).contains(at)) {
                continue;
            }
            let Some(after) = seat.access(&access, &spaces) else { continue };
            let want: Vec<isize> = before.into_iter().map(|at| place(&seat, at)).collect();
            assert_eq!(addresses(&after, &spaces), want, "{seat:?} {access:?} over {spaces:?}");
            moved += 1;
        }
        assert!(moved > 3000, "{moved} accesses were moved");
    }
}
