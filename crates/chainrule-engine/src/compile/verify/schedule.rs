//! Schedules: waves of independent kernels, and no two buffers in one place at one time, except
//! where one takes over the other's memory element by element.

use super::kernels::touched;
use super::{Verdict, ensure};
use crate::compile::kernel::{Access, Code, Kernel, Region};
use crate::compile::lower::{Kernels, Place};
use crate::compile::reach::{Reach, reaches};
use crate::compile::schedule::Schedule;
use std::collections::HashMap;

/// Checks waves, memory and what is written in place.
pub fn schedule(kernels: &Kernels, schedule: &Schedule) -> Verdict {
    let uses: Vec<(Vec<u32>, Vec<u32>)> = kernels.kernels.iter().map(touched).collect();
    let mut next = 0;
    for (w, wave) in schedule.waves.iter().enumerate() {
        ensure(wave.start == next && wave.end > wave.start, || format!("wave {w} is {wave:?}, after {next} kernels"))?;
        next = wave.end;
        let mut touched: HashMap<u32, Vec<(usize, Reach)>> = HashMap::new();
        for k in wave.clone() {
            for reach in reaches(&kernels.kernels[k]) {
                touched.entry(reach.buffer).or_default().push((k, reach));
            }
        }
        for (buffer, list) in &touched {
            for (i, (k, reach)) in list.iter().enumerate() {
                let clash = list[..i].iter().find(|(other, of_other)| other != k && meet(reach, of_other));
                ensure(clash.is_none(), || {
                    format!("wave {w}: kernel {k} and {clash:?} meet in buffer {buffer}, which one of them writes")
                })?;
            }
        }
    }
    ensure(next == kernels.kernels.len(), || format!("{next} of {} kernels are in waves", kernels.kernels.len()))?;
    let lives = lives(kernels, schedule, &uses);
    memory(kernels, schedule, &lives)?;
    in_place(kernels, schedule, &lives)
}

/// Whether one of two writes what the other touches, as far as is known.
fn meet(one: &Reach, other: &Reach) -> bool {
    let apart = matches!((&one.part, &other.part), (Some(one), Some(other)) if one.is_apart(other));
    (one.writes || other.writes) && !apart
}

/// Of a buffer: the first and the last wave that touches it, the first kernel that writes it and
/// the last that touches it.
#[derive(Clone, Copy)]
struct Life {
    waves: (usize, usize),
    kernels: (usize, usize),
    /// Whether only one kernel touches it in the last wave.
    alone_at_last: bool,
}

impl Life {
    /// Whether a buffer's life ends in the kernel in which another's begins, and in no other at the same time.
    fn hands_over(&self, next: &Life) -> bool {
        self.kernels.1 == next.kernels.0 && self.alone_at_last
    }
}

fn lives(kernels: &Kernels, schedule: &Schedule, uses: &[(Vec<u32>, Vec<u32>)]) -> Vec<Option<Life>> {
    let mut lives: Vec<Option<Life>> = vec![None; kernels.buffers.len()];
    for (w, wave) in schedule.waves.iter().enumerate() {
        for k in wave.clone() {
            for &buffer in uses[k].0.iter().chain(&uses[k].1) {
                let life = lives[buffer as usize].get_or_insert(Life { waves: (w, w), kernels: (k, k), alone_at_last: true });
                life.alone_at_last = k == life.kernels.1 && life.alone_at_last || w != life.waves.1;
                (life.waves.1, life.kernels.1) = (w, k);
            }
        }
    }
    lives
}

/// Temporary buffers lie in the arena, and apart while they live together.
fn memory(kernels: &Kernels, schedule: &Schedule, lives: &[Option<Life>]) -> Verdict {
    if schedule.arena_bytes == usize::MAX {
        // More than can be counted: no such arena is ever made, and places mean nothing.
        return Ok(());
    }
    let mut placed: Vec<(usize, usize, usize, Life)> = Vec::new();
    for (id, buffer) in kernels.buffers.iter().enumerate() {
        let (Place::Temporary, Some(life)) = (buffer.place, lives[id]) else { continue };
        let (start, end) = (schedule.offsets[id], schedule.offsets[id] + buffer.len * buffer.dtype.bytes());
        ensure(end <= schedule.arena_bytes && start % 64 == 0, || format!("buffer {id} at {start}..{end} of {}", schedule.arena_bytes))?;
        placed.push((start, end, id, life));
    }
    placed.sort_unstable_by_key(|&(start, ..)| start);
    let mut open: Vec<(usize, usize, Life)> = Vec::new();
    for (start, end, id, life) in placed {
        open.retain(|&(other_end, ..)| other_end > start);
        for &(_, other, theirs) in &open {
            let together = life.waves.0 <= theirs.waves.1 && theirs.waves.0 <= life.waves.1;
            let (from, to, last, first) =
                if theirs.kernels.0 < life.kernels.0 { (other, id, theirs, life) } else { (id, other, life, theirs) };
            let same = schedule.offsets[from] == schedule.offsets[to]
                && kernels.buffers[from].len == kernels.buffers[to].len
                && kernels.buffers[from].dtype == kernels.buffers[to].dtype;
            let handed = last.hands_over(&first) && same && takes_over(&kernels.kernels[first.kernels.0], from as u32, to as u32);
            ensure(!together || handed, || format!("buffers {other} and {id} share bytes {start}..{end} while both live"))?;
        }
        open.push((end, id, life));
    }
    Ok(())
}

/// A root in place of a leaf is written after, or element by element with, the last reading of the leaf.
fn in_place(kernels: &Kernels, schedule: &Schedule, lives: &[Option<Life>]) -> Verdict {
    let find = |place| kernels.buffers.iter().position(|buffer| buffer.place == place);
    for (root, leaf) in schedule.in_place.iter().enumerate().filter_map(|(root, leaf)| Some((root, (*leaf)?))) {
        let again = schedule.in_place.iter().filter(|other| **other == Some(leaf)).count();
        ensure(again == 1, || format!("{again} roots replace leaf {leaf}"))?;
        let (Some(to), Some(from)) = (find(Place::Root(root as u32)), find(Place::Leaf(leaf))) else {
            return Err(format!("root {root} or leaf {leaf} has no buffer"));
        };
        let (a, b) = (&kernels.buffers[from], &kernels.buffers[to]);
        ensure((a.len, a.dtype) == (b.len, b.dtype), || format!("root {root} is {b:?}, leaf {leaf} is {a:?}"))?;
        let (Some(last), Some(first)) = (lives[from], lives[to]) else { continue };
        let handed = last.hands_over(&first) && takes_over(&kernels.kernels[first.kernels.0], from as u32, to as u32);
        ensure(last.waves.1 < first.waves.0 || handed, || format!("root {root} is written over leaf {leaf} while it is read"))?;
    }
    Ok(())
}

/// Whether a kernel reads each element of `from` exactly where it writes the same element of `to`.
fn takes_over(kernel: &Kernel, from: u32, to: u32) -> bool {
    let (region, loads, operands): (&Region, &[Access], Vec<u32>) = match kernel {
        Kernel::Region(region) => (region, &region.loads, Vec::new()),
        Kernel::Contract(contract) => match &contract.epilogue {
            Some(region) => (region, &region.loads[1..], vec![contract.a.buffer, contract.b.buffer]),
            None => return false,
        },
        _ => return false,
    };
    let mut stores = region.stores.iter().enumerate().filter(|(_, store)| store.buffer == to);
    let (Some((at, store)), None) = (stores.next(), stores.next()) else { return false };
    let plain = region.code.iter().all(|i| match i.code {
        Code::Accumulate(other, ..) => other != at,
        Code::LoadAt { load, .. } => region.loads[load].buffer != from,
        _ => true,
    });
    let alike = loads.iter().filter(|load| load.buffer == from).all(|load| load.offset == store.offset && load.strides == store.strides);
    plain && alike && !operands.contains(&from)
}
