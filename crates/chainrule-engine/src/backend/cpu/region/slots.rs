//! Places for values: results that go straight to memory, and slots of the scratch for the rest.
//!
//! Refuses to reorder the code; stores that copy come after everything else of a tile.

use super::super::level::Level;
use super::super::machine::Written;
use super::fused::Run;
use super::path::{Path, fits};
use super::plan::{Class, Home, Meaning, NO_VALUE, Pending, Plan, Step, View, Work};
use super::remake::remake;
use super::{Needs, fused};
use crate::compile::kernel::Lane;
use crate::tensor::DType;

/// Chooses a home for every value and appends the stores that copy.
pub fn place(plan: &mut Plan, stores: Vec<Pending>, written: &mut Written, level: Level) {
    // What is copied from memory is copied first, so that the steps between make long runs.
    plan.steps.sort_by_key(|step| !matches!(step.work, Work::Load(..)));
    let stores = hold_back(plan, stores);
    if written.is_open() {
        remake(plan);
    }
    let mut last_use = last_uses(&plan.steps, plan.values.len());
    let end = plan.steps.len();
    for store in &stores {
        if plan.values[store.value as usize].home != Home::Nowhere {
            last_use[store.value as usize] = end;
        }
    }
    let defined = definitions(plan);
    let together = if written.is_open() && stores.len() > 1 { ends_of_functions(plan, &stores, &last_use, level) } else { Vec::new() };
    for store in stores {
        match defined[store.value as usize] {
            Some(at) if goes_straight(plan, &store, at, together.get(at).copied().unwrap_or(at), &last_use) => {
                plan.values[store.value as usize].home = Home::View;
                plan.views.push(View { value: store.value, path: store.path, product: false });
            }
            _ => {
                let known = plan.values[store.value as usize];
                let width = known.lane.bytes() as u8;
                plan.steps.push(Step {
                    work: Work::Store(store.path, store.copy),
                    class: store.class,
                    to: NO_VALUE,
                    operands: [store.value, NO_VALUE, NO_VALUE],
                    widths: [0, width, 0, 0],
                    cost: 200,
                });
            }
        }
    }
    let last_use = last_uses(&plan.steps, plan.values.len());
    let runs = if written.is_open() { fused::runs(plan, &last_use, level) } else { Vec::new() };
    share_memory(plan, &runs, &last_use);
    allocate(plan, &runs);
    fused::replace(plan, runs, &last_use, written, level);
}

/// A loaded value that is stored as it is must be out of its memory before any store is made,
/// if there are several: two stores may swap two buffers.
fn hold_back(plan: &mut Plan, mut stores: Vec<Pending>) -> Vec<Pending> {
    if stores.len() < 2 {
        return stores;
    }
    for store in &mut stores {
        let known = plan.values[store.value as usize];
        if known.home != Home::View {
            continue;
        }
        let value = plan.values.len() as u32;
        plan.values.push(super::plan::Known { home: Home::Nowhere, once: false, ..known });
        let width = known.lane.bytes() as u8;
        plan.steps.push(Step {
            work: Work::Points(plan.same(known.lane), Meaning::Same),
            class: known.class,
            to: value,
            operands: [store.value, NO_VALUE, NO_VALUE],
            widths: [width, width, 0, 0],
            cost: 50,
        });
        store.value = value;
    }
    stores
}

/// The last step that uses each value.
fn last_uses(steps: &[Step], values: usize) -> Vec<usize> {
    let mut last = vec![0; values];
    for (at, step) in steps.iter().enumerate() {
        for &operand in step.operands.iter().filter(|&&operand| operand != NO_VALUE) {
            last[operand as usize] = at;
        }
    }
    last
}

/// The step of the tile that defines each value.
fn definitions(plan: &Plan) -> Vec<Option<usize>> {
    let mut defined = vec![None; plan.values.len()];
    for (at, step) in plan.steps.iter().enumerate() {
        if !matches!(step.work, Work::Accumulate(_)) {
            defined[step.to as usize] = Some(at);
        }
    }
    defined
}

/// For each step the last one that is done at once with it: in a function all that is read of some elements is read before
/// anything is written.
fn ends_of_functions(plan: &Plan, stores: &[Pending], last_use: &[usize], level: Level) -> Vec<usize> {
    let mut ends: Vec<usize> = (0..plan.steps.len()).collect();
    let mut last_use = last_use.to_vec();
    stores.iter().for_each(|store| last_use[store.value as usize] = plan.steps.len());
    // Steps that may be run one by one after all write one by one.
    for run in fused::runs(plan, &last_use, level).into_iter().filter(|run| !run.may_fail()) {
        ends[run.steps.clone()].fill(run.steps.end - 1);
    }
    ends
}

/// Whether step `at` may write its result where `store` wants it: the memory is laid out like
/// the value, and nothing read after `end`, until when nothing is written, may lie in the same memory.
fn goes_straight(plan: &Plan, store: &Pending, at: usize, end: usize, last_use: &[usize]) -> bool {
    let (known, path) = (plan.values[store.value as usize], &plan.paths[store.path]);
    if known.home != Home::Nowhere
        || known.class != store.class
        || !matches!(plan.steps[at].work, Work::Points(..) | Work::Rows(_, Some(_)))
        || !laid_out(plan, path, store.class, store.dtype)
    {
        return false;
    }
    !is_read_late(plan, path, (at, end), last_use)
}

/// Whether memory that may be that of `path` is read after `end`, by a value or, from step `at` on, by a copy.
fn is_read_late(plan: &Plan, path: &Path, (at, end): (usize, usize), last_use: &[usize]) -> bool {
    let may_share = |other: usize| {
        let other = &plan.paths[other];
        other.rows == path.rows && other.cols == path.cols
    };
    let late_view = plan.views.iter().any(|view| last_use[view.value as usize] > end && !view.product && may_share(view.path));
    let late_load = plan.steps[at..].iter().any(|step| match step.work {
        Work::Load(path, _) => may_share(path),
        Work::LoadAt(ref indexed) => may_share(indexed.path),
        _ => false,
    });
    late_view || late_load
}

/// What a function leaves for a later one, which makes a result of it and is the last to read it, lies where that result will:
/// a tile of memory less in the first cache. Not beside a product, which may lie there itself.
fn share_memory(plan: &mut Plan, runs: &[Run], last_use: &[usize]) {
    if plan.views.iter().any(|view| view.product) {
        return;
    }
    for (index, run) in runs.iter().enumerate().filter(|(_, run)| !run.may_fail()) {
        let results: Vec<View> = plan.steps[run.steps.clone()].iter().filter_map(|step| full_view(plan, step.to)).collect();
        for result in results {
            let earlier = runs[..index].iter().filter(|earlier| !earlier.may_fail());
            let left = earlier.flat_map(|earlier| earlier.steps.clone().map(move |at| (at, earlier.steps.end - 1)));
            let value = left.filter(|&(at, _)| matches!(plan.steps[at].work, Work::Points(..))).find_map(|(at, end)| {
                let value = plan.steps[at].to;
                let (from, to) = (plan.values[value as usize], plan.values[result.value as usize]);
                let alike = from.home == Home::Nowhere && from.class == to.class && from.lane.bytes() == to.lane.bytes();
                let path = &plan.paths[result.path];
                let free = alike && run.steps.contains(&last_use[value as usize]) && !is_read_late(plan, path, (at, end), last_use);
                free.then_some(value)
            });
            if let Some(value) = value {
                plan.values[value as usize].home = Home::View;
                plan.views.push(View { value, ..result });
            }
        }
    }
}

/// Where a value lies that varies with rows and columns and lies in memory.
fn full_view(plan: &Plan, value: u32) -> Option<View> {
    let full = Class { rows: true, cols: true };
    plan.views.iter().find(|view| view.value == value && plan.values[value as usize].class == full).copied()
}

/// Whether the elements of a class lie side by side in every tile, in the type of the lane.
fn laid_out(plan: &Plan, path: &Path, class: Class, dtype: DType) -> bool {
    let shape = &plan.shape;
    let bytes = Lane::of(dtype).bytes() as isize;
    if matches!(dtype, DType::BF16 | DType::F16) {
        return false;
    }
    match (class.rows, class.cols) {
        (rows, true) => {
            matches!(path.cols.last(), Some(&(_, stride)) if stride == bytes)
                && fits(&path.cols, shape.col_block)
                && (!rows || fits(&path.rows, shape.row_block))
        }
        (true, false) => matches!(path.rows.last(), Some(&(_, stride)) if stride == bytes) && fits(&path.rows, shape.row_block),
        (false, false) => true,
    }
}

/// Slots by a scan in the order of the steps; a slot is free again after the last use of its
/// value, and a loop over points may write over an operand that it is the last to use.
fn allocate(plan: &mut Plan, runs: &[Run]) {
    let mut slots = Slots::default();
    for at in 0..plan.once.len() {
        let to = plan.once[at].to as usize;
        plan.values[to].home = Home::Slot(slots.take(size(plan, to)));
    }
    for at in 0..plan.accumulators.len() {
        let to = plan.accumulators[at].value as usize;
        plan.values[to].home = Home::Slot(slots.take(size(plan, to)));
    }
    let kept = plan.values.iter().map(|known| known.home != Home::Nowhere).collect::<Vec<_>>();
    // Within a run all steps take place at once: what is read there is needed to its end, and what
    // only the run itself reads needs no place.
    let mut end_of: Vec<usize> = (0..plan.steps.len()).collect();
    let (mut in_run, mut may_fail) = (vec![false; plan.steps.len()], vec![false; plan.steps.len()]);
    for run in runs {
        end_of[run.steps.clone()].fill(run.steps.end - 1);
        in_run[run.steps.clone()].fill(true);
        may_fail[run.steps.clone()].fill(run.may_fail());
    }
    let last_use: Vec<usize> = last_uses(&plan.steps, plan.values.len()).iter().map(|&at| end_of.get(at).copied().unwrap_or(0)).collect();
    // What only a run itself reads is pointed to its place by whoever runs the steps one by one after all.
    let mut owned = vec![false; plan.values.len()];
    let mut dying: Vec<usize> = Vec::new();
    for (at, step) in plan.steps.iter().enumerate() {
        for &operand in step.operands.iter().filter(|&&operand| operand != NO_VALUE) {
            let operand = operand as usize;
            if last_use[operand] == end_of[at] && !kept[operand] && !dying.contains(&operand) {
                dying.push(operand);
            }
        }
        // What becomes one number for a row is written at its end, whoever reads it.
        let in_registers = in_run[at] && matches!(step.work, Work::Points(..));
        let own = in_registers && step.to != NO_VALUE && last_use[step.to as usize] <= end_of[at];
        let inside = own && !may_fail[at];
        if own {
            owned[step.to as usize] = true;
        }
        if step.to != NO_VALUE && plan.values[step.to as usize].home == Home::Nowhere && !inside {
            let to = step.to as usize;
            let same = |&&operand: &&usize| {
                let (from, to) = (plan.values[operand], plan.values[to]);
                from.class == to.class && from.lane.bytes() == to.lane.bytes()
            };
            let reused = match step.work {
                Work::Points(..) if !in_run[at] => dying.iter().find(same).copied(),
                _ => None,
            };
            plan.values[to].home = match reused {
                Some(operand) => {
                    dying.retain(|&other| other != operand);
                    plan.values[operand].home
                }
                None => Home::Slot(slots.take(size(plan, to))),
            };
            // A result that nothing uses gives its slot back at once.
            if last_use[to] <= at {
                dying.push(to);
            }
        }
        if at == end_of[at] {
            for operand in dying.drain(..) {
                if let Home::Slot(offset) = plan.values[operand].home {
                    slots.free.push((size(plan, operand), offset));
                }
            }
        }
    }
    plan.placed = (0..plan.values.len()).filter(|&value| !owned[value]).filter_map(|value| plan.placed(value as u32)).collect();
    plan.needs = Needs { bytes: slots.end, operands: plan.values.len(), aside: 0 };
}

/// Free places of the scratch and its end.
#[derive(Default)]
struct Slots {
    free: Vec<(usize, usize)>,
    end: usize,
}

impl Slots {
    fn take(&mut self, size: usize) -> usize {
        match self.free.iter().rposition(|&(free, _)| free == size) {
            Some(i) => self.free.swap_remove(i).1,
            None => {
                self.end += size;
                self.end - size
            }
        }
    }
}

/// Bytes of a value's slot, whole cache lines.
fn size(plan: &Plan, value: usize) -> usize {
    let known = plan.values[value];
    let rows = if known.class.rows { plan.shape.tile_rows } else { 1 };
    let cols = if known.class.cols { plan.shape.tile_cols } else { 1 };
    (rows * cols * known.lane.bytes()).next_multiple_of(64)
}
