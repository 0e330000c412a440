//! When kernels run and where their buffers lie: waves of independent kernels, one arena.
//!
//! Depends on shapes alone, so the peak is known before anything runs.

use super::kernel::{Access, BufferId, Code, Kernel, Region};
use super::lower::{Kernels, Place};
use super::reach::{Reach, reaches};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

/// Kernels in waves, buffers in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    /// Ranges of kernels that do not depend on each other; each wave after the one before.
    pub waves: Vec<Range<usize>>,
    /// Of each temporary buffer, its offset in the arena, in bytes.
    pub offsets: Vec<usize>,
    /// Bytes of the arena: the planned peak of intermediate values.
    pub arena_bytes: usize,
    /// Of each root, the leaf whose memory it takes over, if that is safe and was asked for.
    pub in_place: Vec<Option<u32>>,
}

/// Buffers start at multiples of this many bytes.
const ALIGNMENT: usize = 64;

/// Orders kernels and places buffers. `updates[root]` is the leaf that root will replace. Without
/// `reuse`, every buffer keeps memory of its own.
pub fn schedule(kernels: &Kernels, updates: &[Option<u32>], reuse: bool) -> Schedule {
    let uses: Vec<Uses> = kernels.kernels.iter().map(Uses::of).collect();
    let waves = waves(&uses);
    let mut wave_of = vec![0; uses.len()];
    waves.iter().enumerate().for_each(|(w, range)| range.clone().for_each(|k| wave_of[k] = w));
    let mut lives = vec![Life::default(); kernels.buffers.len()];
    for (k, uses) in uses.iter().enumerate() {
        uses.reads.iter().chain(&uses.writes).for_each(|&buffer| lives[buffer as usize].extend(wave_of[k]));
        for &buffer in &uses.reads {
            let life = &mut lives[buffer as usize];
            if let Some(before) = life.last_read.replace(k).filter(|&before| before != k) {
                life.read_together = wave_of[before] == wave_of[k];
            }
        }
    }
    let in_place = updates
        .iter()
        .enumerate()
        .map(|(root, leaf)| leaf.filter(|&leaf| reuse && may_replace(kernels, &uses, &wave_of, root as u32, leaf)))
        .collect();
    if !reuse {
        lives.iter_mut().for_each(|life| life.waves = life.waves.map(|_| (0, waves.len())));
    }
    let alone = || (0..kernels.buffers.len() as BufferId).collect();
    let slots = if reuse { shared_slots(kernels, &uses, &lives) } else { alone() };
    let (offsets, arena_bytes) = place(kernels, &lives, &slots);
    Schedule { waves, offsets, arena_bytes, in_place }
}

/// The buffers a kernel reads and writes, and which part of each.
struct Uses {
    reads: Vec<BufferId>,
    writes: Vec<BufferId>,
    parts: Vec<Reach>,
}

/// The buffers that a kernel writes to.
pub fn written(kernel: &Kernel) -> impl Iterator<Item = BufferId> {
    reaches(kernel).into_iter().filter(|reach| reach.writes).map(|reach| reach.buffer)
}

impl Uses {
    fn of(kernel: &Kernel) -> Uses {
        let parts = reaches(kernel);
        let list = |writes: bool| parts.iter().filter(|reach| reach.writes == writes).map(|reach| reach.buffer).collect();
        Uses { reads: list(false), writes: list(true), parts }
    }
}

/// Neighbouring kernels that touch nothing the others write.
fn waves(uses: &[Uses]) -> Vec<Range<usize>> {
    let mut waves: Vec<Range<usize>> = Vec::new();
    let mut touched: FxHashMap<BufferId, Vec<&Reach>> = FxHashMap::default();
    for (k, uses) in uses.iter().enumerate() {
        let clash =
            uses.parts.iter().any(|own| touched.get(&own.buffer).is_some_and(|others| others.iter().any(|other| clash(own, other))));
        match waves.last_mut() {
            Some(wave) if !clash => wave.end = k + 1,
            _ => {
                waves.push(k..k + 1);
                touched.clear();
            }
        }
        uses.parts.iter().for_each(|own| touched.entry(own.buffer).or_default().push(own));
    }
    waves
}

/// Whether two kernels may touch the same element of a buffer, and one of them writes it.
fn clash(one: &Reach, other: &Reach) -> bool {
    let apart = || one.part.as_ref().zip(other.part.as_ref()).is_some_and(|(one, other)| one.is_apart(other));
    (one.writes || other.writes) && !apart()
}

/// From the first to the last wave that touches a buffer.
#[derive(Clone, Default)]
struct Life {
    waves: Option<(usize, usize)>,
    last_read: Option<usize>,
    /// Whether another kernel reads it in the same wave as the last one.
    read_together: bool,
}

impl Life {
    fn extend(&mut self, wave: usize) {
        let (first, last) = self.waves.unwrap_or((wave, wave));
        self.waves = Some((first.min(wave), last.max(wave)));
    }
}

/// The scalar code of a kernel and how many of its loads are no memory.
fn scalar_code(kernel: &Kernel) -> Option<(&Region, usize)> {
    match kernel {
        Kernel::Region(region) => Some((region, 0)),
        Kernel::Contract(contract) => contract.epilogue.as_ref().map(|region| (region, 1)),
        _ => None,
    }
}

/// Whether every access a kernel makes to `buffer` is `same`, so that a store there may come
/// after the loads of the same tile.
fn reads_only_as(kernel: &Kernel, buffer: BufferId, same: &Access) -> bool {
    let Some((region, skip)) = scalar_code(kernel) else { return false };
    let operands = match kernel {
        Kernel::Contract(contract) => contract.a.buffer == buffer || contract.b.buffer == buffer,
        _ => false,
    };
    let alike = |access: &Access| {
        access.buffer != buffer || (access.offset == same.offset && access.strides == same.strides && access.dtype == same.dtype)
    };
    let gathered = region.code.iter().any(|i| matches!(i.code, Code::LoadAt { load, .. } if region.loads[load].buffer == buffer));
    !operands && !gathered && region.loads.iter().skip(skip).all(alike)
}

/// The store of scalar code that fills a whole buffer element by element, if it is one.
fn plain_store(region: &Region, buffer: BufferId) -> Option<&Access> {
    let accumulated =
        |i: usize| region.code.iter().any(|instruction| matches!(instruction.code, Code::Accumulate(store, ..) if store == i));
    let mut stores = region.stores.iter().enumerate().filter(|(_, access)| access.buffer == buffer);
    let (i, store) = stores.next()?;
    (stores.next().is_none() && !accumulated(i)).then_some(store)
}

/// Whether a root can be written over the leaf it replaces: whoever reads the leaf has done so,
/// or reads each element just before the same element is written.
fn may_replace(kernels: &Kernels, uses: &[Uses], wave_of: &[usize], root: u32, leaf: u32) -> bool {
    let find = |place| kernels.buffers.iter().position(|buffer| buffer.place == place).map(|at| at as BufferId);
    let (Some(from), Some(to)) = (find(Place::Leaf(leaf)), find(Place::Root(root))) else { return false };
    let mut writers = uses.iter().enumerate().filter(|(_, uses)| uses.writes.contains(&to)).map(|(k, _)| k);
    let (Some(writer), None) = (writers.next(), writers.next()) else { return false };
    let Some(store) = scalar_code(&kernels.kernels[writer]).and_then(|(region, _)| plain_store(region, to)) else { return false };
    uses.iter()
        .enumerate()
        .filter(|(_, uses)| uses.reads.contains(&from))
        .all(|(k, _)| wave_of[k] < wave_of[writer] || (k == writer && reads_only_as(&kernels.kernels[k], from, store)))
}

/// Which buffers share memory because one takes over the other's, element by element, in the last
/// kernel that reads it: for each buffer, the one it takes its memory from.
fn shared_slots(kernels: &Kernels, uses: &[Uses], lives: &[Life]) -> Vec<BufferId> {
    let mut slot: Vec<BufferId> = (0..kernels.buffers.len() as BufferId).collect();
    let mut taken = vec![false; slot.len()];
    let temporary = |b: BufferId| kernels.buffers[b as usize].place == Place::Temporary;
    // What an earlier kernel wrote a part of lived before this one.
    let mut written = vec![false; slot.len()];
    for (k, kernel) in kernels.kernels.iter().enumerate() {
        let fresh: Vec<BufferId> =
            uses[k].writes.iter().copied().filter(|&to| !std::mem::replace(&mut written[to as usize], true)).collect();
        let Some((region, skip)) = scalar_code(kernel) else { continue };
        for to in fresh {
            let Some(store) = plain_store(region, to).filter(|_| temporary(to)) else { continue };
            let size = |b: BufferId| (kernels.buffers[b as usize].len, kernels.buffers[b as usize].dtype);
            let fits = |access: &&Access| {
                let from = access.buffer;
                temporary(from)
                    && !taken[from as usize]
                    && size(from) == size(to)
                    && lives[from as usize].last_read == Some(k)
                    && !lives[from as usize].read_together
                    && !uses[k].writes.contains(&from)
                    && access.offset == store.offset
                    && access.strides == store.strides
                    && reads_only_as(kernel, from, store)
            };
            if let Some(access) = region.loads.iter().skip(skip).find(fits) {
                taken[access.buffer as usize] = true;
                slot[to as usize] = slot[access.buffer as usize];
            }
        }
    }
    slot
}

/// Offsets such that buffers that live at the same time do not overlap.
fn place(kernels: &Kernels, lives: &[Life], slots: &[BufferId]) -> (Vec<usize>, usize) {
    let mut spans: Vec<Option<(usize, usize)>> = vec![None; slots.len()];
    for (b, life) in lives.iter().enumerate() {
        if let (Place::Temporary, Some((first, last))) = (kernels.buffers[b].place, life.waves) {
            let span = &mut spans[slots[b] as usize];
            let (f, l) = span.unwrap_or((first, last));
            *span = Some((f.min(first), l.max(last)));
        }
    }
    // What no machine has saturates, and is refused where the arena is asked for.
    let bytes = |b: usize| kernels.buffers[b].len.saturating_mul(kernels.buffers[b].dtype.bytes());
    let (numbers, pieces): (Vec<usize>, Vec<_>) =
        spans.iter().enumerate().filter_map(|(b, span)| span.map(|span| (b, (bytes(b), span)))).unzip();
    let (found, total) = first_fit(&pieces);
    let mut offsets = vec![0; slots.len()];
    numbers.into_iter().zip(found).for_each(|(b, offset)| offsets[b] = offset);
    (0..slots.len()).for_each(|b| offsets[b] = offsets[slots[b] as usize]);
    (offsets, total)
}

/// Pieces for which every gap is looked at. The time that takes is their square; a chain of a million operations keeps
/// half of them for its way back.
const MOST_FITTED: usize = 4096;

/// Offsets in one block of memory, and its size, for pieces of so many bytes that live from a first to a last
/// time: the largest first, each at the lowest place that is free for as long as it lives. Of very many, the smallest
/// share places with those of their own size alone.
pub fn first_fit(pieces: &[(usize, (usize, usize))]) -> (Vec<usize>, usize) {
    let bytes = |at: usize| pieces[at].0.max(1).checked_next_multiple_of(ALIGNMENT).unwrap_or(usize::MAX);
    let mut order: Vec<usize> = (0..pieces.len()).collect();
    order.sort_by_key(|&piece| (Reverse(bytes(piece)), piece));
    let small = order.split_off(order.len().min(MOST_FITTED));
    let mut offsets = vec![0; pieces.len()];
    let mut placed: Vec<(usize, usize, usize, usize)> = Vec::new();
    let mut total = 0;
    for piece in order {
        let (first, last) = pieces[piece].1;
        let mut at = 0;
        // `placed` is sorted by offset: the first gap between neighbours in time is the lowest.
        for &(offset, end, f, l) in &placed {
            if f <= last && first <= l {
                if offset >= bytes(piece).saturating_add(at) {
                    break;
                }
                at = at.max(end);
            }
        }
        offsets[piece] = at;
        let end = bytes(piece).saturating_add(at);
        total = total.max(end);
        let here = placed.partition_point(|&(offset, ..)| offset <= at);
        placed.insert(here, (at, end, first, last));
    }
    for same in small.chunk_by(|&one, &other| bytes(one) == bytes(other)) {
        total = in_turn(same, pieces, bytes(same[0]), &mut offsets, total);
    }
    (offsets, total)
}

/// Places pieces of one size from `start` on, each where one has been that is read no more, if there is one: as few places as
/// live at once. Tells where they end.
fn in_turn(same: &[usize], pieces: &[(usize, (usize, usize))], bytes: usize, offsets: &mut [usize], start: usize) -> usize {
    let mut order = same.to_vec();
    order.sort_by_key(|&piece| (pieces[piece].1.0, piece));
    // When each place is free again, the earliest first.
    let mut places: BinaryHeap<Reverse<(usize, usize)>> = BinaryHeap::new();
    let mut total = start;
    for piece in order {
        let (first, last) = pieces[piece].1;
        let free = places.peek().filter(|Reverse((until, _))| *until < first).map(|&Reverse((_, at))| at);
        offsets[piece] = match free {
            Some(at) => {
                places.pop();
                at
            }
            None => {
                let at = total;
                total = at.saturating_add(bytes);
                at
            }
        };
        places.push(Reverse((last, offsets[piece])));
    }
    total
}

#[cfg(test)]
mod tests {
    use super::{MOST_FITTED, first_fit};
    use crate::tensor::Rng;

    /// What is more than can be fitted one by one has places of its own, too: no two pieces that live at the same time overlap, and
    /// those of one size take no more than lives at once.
    #[test]
    fn very_many_pieces_do_not_overlap_while_they_live() {
        let mut rng = Rng::new(3);
        let mut below = |n: usize| (rng.next_u64() % n as u64) as usize;
        let pieces: Vec<(usize, (usize, usize))> = (0..2 * MOST_FITTED)
            .map(|_| {
                let first = below(900);
                ([8, 64, 65, 200][below(4)], (first, first + below(40)))
            })
            .collect();
        let (offsets, total) = first_fit(&pieces);
        let size = |piece: usize| pieces[piece].0.next_multiple_of(64);
        let mut most = 0;
        for time in 0..940 {
            let mut alive: Vec<usize> = (0..pieces.len()).filter(|&p| (pieces[p].1.0..=pieces[p].1.1).contains(&time)).collect();
            alive.sort_by_key(|&piece| offsets[piece]);
            for pair in alive.windows(2) {
                assert!(offsets[pair[0]] + size(pair[0]) <= offsets[pair[1]], "{:?} and {:?}", pieces[pair[0]], pieces[pair[1]]);
            }
            most = most.max(alive.iter().map(|&piece| size(piece)).sum());
        }
        assert_eq!(total, pieces.iter().enumerate().map(|(piece, _)| offsets[piece] + size(piece)).max().unwrap());
        assert!(total < most + most / 2, "{total} bytes where {most} live at once");
    }
}
