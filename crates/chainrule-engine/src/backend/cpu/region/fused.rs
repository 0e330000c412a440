//! Runs of elementwise steps as one loop of machine code: what lies between is kept in registers.
//!
//! The steps themselves stay the definition, and what other machines run: [`Fused`] gives the bits
//! that they give. A run may end rows with sums and maxima, which later steps read. Refuses to know what steps compute
//! ([`super::writer`]), running sums, and long lists of operands.

use super::super::level::Level;
use super::super::loops::elements::Number;
use super::super::machine::{Function, Written};
use super::plan::{Class, Home, Meaning, NO_VALUE, Plan, Step, Work};
use super::remake::is_cheap;
use super::run::Operand;
use super::writer::{Port, Writer};
use crate::compile::kernel::{Lane, Reduction};
use std::ops::Range;

/// The most operands of a function.
const MOST: usize = 32;
/// Instructions after which a function takes no more steps: code beyond the near cache is slow.
const LONGEST: usize = 3000;
/// Instructions from which a function that reduces rows asks for what it will read next.
const LONG: usize = 20;
/// The most bytes that a function reads at once from an operand of truths.
const FLAGS: usize = 8;
/// So many elements of a row are added in their own type, as the loops do it (`loops::drive`).
const SUMMED: usize = 2048;

/// A run of steps as a function.
#[derive(Clone, Debug)]
pub struct Fused {
    function: Function,
    ports: Vec<Port>,
    /// The steps themselves, for elements that the function reports because its formulas are not
    /// for them; empty if it takes any.
    pub steps: Box<[Step]>,
    /// Whether some operands are bytes.
    bytes: bool,
    /// What becomes one number for a row: which operand, how, and of which lane.
    reduced: Box<[(usize, Reduction, Lane)]>,
}

/// The table of a function's operands: a pointer for each, then for each the bytes from row to row.
#[derive(Clone, Copy)]
pub struct Table([*mut u8; 2 * MOST]);

impl Default for Table {
    fn default() -> Table {
        Table([std::ptr::null_mut(); 2 * MOST])
    }
}

/// Steps that will be one function, as code but for what it stores.
pub struct Run {
    /// Which steps.
    pub steps: Range<usize>,
    writer: Writer,
}

impl Run {
    /// As many of the steps as can be one function.
    fn of(plan: &Plan, steps: Range<usize>) -> Run {
        let (mut writer, mut at) = (Writer::default(), steps.start);
        let class = plan.steps.get(at).map(|step| walked(plan, step));
        while at < steps.end
            && Some(walked(plan, &plan.steps[at])) == class
            && writer.ports() + 3 <= MOST
            && writer.instructions() < LONGEST
            && writer.add(plan, &plan.steps[at])
        {
            at += 1;
        }
        // What is cheap, and wanted by nobody here, is for those that come when rows are numbers.
        let idle = |step: &Step| {
            matches!(step.work, Work::Points(..)) && plan.values[step.to as usize].home == Home::Nowhere && is_cheap(plan, step)
        };
        while !writer.reduced().is_empty() && at > steps.start + 1 && idle(&plan.steps[at - 1]) {
            at -= 1;
        }
        Run { steps: steps.start..at, writer }
    }

    /// Whether rows would have to be cut, which sums cannot be: where bytes are read or written by eights and rows are no multiple.
    fn cuts_sums(&self, plan: &Plan, last_use: &[usize], level: Level) -> bool {
        let written = || self.stored(plan, last_use).any(|value| plan.values[value as usize].lane == Lane::U8);
        let by_eights = level < Level::Avx512 && !plan.shape.cols.is_multiple_of(FLAGS) && (self.writer.has_bytes() || written());
        by_eights && !self.writer.reduced().is_empty()
    }

    fn loads(&self) -> usize {
        self.writer.ports()
    }

    /// The values that somebody reads elsewhere.
    fn stored<'a>(&'a self, plan: &'a Plan, last_use: &'a [usize]) -> impl Iterator<Item = u32> + 'a {
        let values = plan.steps[self.steps.clone()].iter().map(|step| step.to);
        values.filter(|&to| plan.values[to as usize].home == Home::View || last_use[to as usize] >= self.steps.end)
    }

    /// Whether it computes for so long that the machine loses sight of where its operands go on: rows that are reduced are read, then
    /// computed with, then read on.
    fn waits(&self) -> bool {
        !self.writer.reduced().is_empty() && self.writer.instructions() >= LONG
    }

    /// Whether the steps may have to be run after all, one by one: their values then need places.
    pub fn may_fail(&self) -> bool {
        self.writer.reports()
    }
}

/// What a step walks over.
fn walked(plan: &Plan, step: &Step) -> Class {
    match step.work {
        Work::Rows(..) => plan.values[step.operands[0] as usize].class,
        _ => step.class,
    }
}

/// The longest runs of steps that can be one function; `last_use[value]` is the last step that reads it.
pub fn runs(plan: &Plan, last_use: &[usize], level: Level) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut start = 0;
    while start < plan.steps.len() {
        let mut run = Run::of(plan, start..plan.steps.len());
        // The values that are read later are operands as well.
        while run.loads() + run.stored(plan, last_use).count() > MOST || run.cuts_sums(plan, last_use, level) {
            run = Run::of(plan, start..run.steps.end - 1);
        }
        let end = run.steps.end;
        if end - start >= 2 || (end > start && worth_it_alone(plan, &plan.steps[start], level)) {
            runs.push(run);
        }
        start = end.max(start + 1);
    }
    runs
}

/// Whether one step is better as a function than as the loop that it is. Of the cheap ones not what only copies, what
/// has one element for a row, and what handles truths, which functions read and write by eights but with 512 bits; nor a
/// reduction, whose partial results a loop keeps in registers, where a function does not (`machine::reduce`).
fn worth_it_alone(plan: &Plan, step: &Step, level: Level) -> bool {
    let handles_truths = || {
        let mut values = step.operands.iter().chain([&step.to]);
        level < Level::Avx512 && values.any(|&value| value != NO_VALUE && plan.values[value as usize].lane == Lane::U8)
    };
    if let Work::Rows(_, Some(_)) = step.work {
        return level >= Level::Avx512 && plan.values[step.to as usize].lane == Lane::F32;
    }
    let stays = matches!(step.work, Work::Points(_, Meaning::Same) | Work::Rows(..));
    step.cost >= 120 || step.class.cols && !stays && !handles_truths()
}

/// Puts a function in the place of each run.
pub fn replace(plan: &mut Plan, runs: Vec<Run>, last_use: &[usize], written: &mut Written, level: Level) {
    for run in runs.into_iter().rev() {
        run.stored(plan, last_use).for_each(|value| run.writer.store(value));
        if run.waits() {
            plan.goes_on().for_each(|(value, beyond)| run.writer.ask(value, beyond));
        }
        let Run { steps, writer } = run;
        let (may_fail, reduced) = (writer.reports(), writer.reduced().to_vec());
        let (code, ports) = writer.finish();
        let Some(function) = written.add(&code, ports.len(), level) else { return };
        let bytes = ports.iter().any(|port| port.width == 1);
        let reduced = reduced.into_iter().filter_map(|(value, reduction)| {
            let port = ports.iter().position(|port| port.value == value)?;
            Some((port, reduction, plan.values[value as usize].lane))
        });
        let reduced = reduced.collect();
        let (class, widths) = (walked(plan, &plan.steps[steps.start]), plan.steps[steps.end - 1].widths);
        let cost = plan.steps[steps.clone()].iter().fold(50, |sum: u16, step| sum.saturating_add(step.cost / 4));
        let kept: Box<[Step]> = if may_fail { plan.steps[steps.clone()].into() } else { Box::default() };
        let work = Work::Fused(Box::new(Fused { function, ports, steps: kept, bytes, reduced }));
        plan.steps.splice(steps, [Step { work, class, to: NO_VALUE, operands: [NO_VALUE; 3], widths, cost }]);
    }
}

impl Fused {
    /// Runs the function over rows and columns, by a table of which nothing is read that was not written here. `false` if the
    /// steps must be run instead.
    ///
    /// # Safety
    /// The operands of all values of the run are valid for the rows and columns.
    pub unsafe fn run(&self, operands: &[Operand], table: &mut Table, (mut rows, mut cols): (usize, usize)) -> bool {
        let operand = |port: &Port| operands[port.value as usize];
        let overwrites = |to: &Port| self.ports.iter().any(|from| !from.stored && operand(from).first == operand(to).first);
        // Steps that may be needed after the function must find what it read.
        if !self.steps.is_empty() && self.ports.iter().any(|port| port.stored && overwrites(port)) {
            return false;
        }
        // Rows that follow each other without a gap are one long row.
        if rows > 1 && self.reduced.is_empty() && self.ports.iter().all(|port| operand(port).stride == (port.width * cols) as isize) {
            (rows, cols) = (1, rows * cols);
        }
        let (pointers, distances) = table.0.split_at_mut(self.ports.len());
        for ((pointer, distance), port) in pointers.iter_mut().zip(distances).zip(&self.ports) {
            let Operand { first, stride } = operand(port);
            (*pointer, *distance) = (first, std::ptr::without_provenance_mut(stride as usize));
        }
        // SAFETY: the caller's.
        let reported = unsafe {
            if cols > SUMMED && !self.reduced.is_empty() {
                self.run_in_parts(table, rows, cols)
            } else if self.bytes && !cols.is_multiple_of(self.function.bytes_at_once()) {
                self.run_with_bytes(table, rows, cols)
            } else {
                self.function.run(table.0.as_mut_ptr(), rows, cols)
            }
        };
        !reported
    }

    /// Truths cannot be read and written lane by lane: the last ones of a row go through a place of
    /// their own.
    #[cold]
    unsafe fn run_with_bytes(&self, table: &Table, rows: usize, cols: usize) -> bool {
        let rest = cols % self.function.bytes_at_once();
        let whole = cols - rest;
        let mut reported = false;
        for row in 0..rows {
            let mut moved = self.at_row(table, row);
            let mut last = moved;
            let mut places = [[0_u8; FLAGS]; MOST];
            for (at, port) in self.ports.iter().enumerate() {
                last[at] = moved[at].wrapping_add(whole * port.width);
                if port.width == 1 {
                    if !port.stored {
                        // SAFETY: the caller's; `rest` bytes are left of the row.
                        unsafe { std::ptr::copy_nonoverlapping(last[at], places[at].as_mut_ptr(), rest) };
                    }
                    last[at] = places[at].as_mut_ptr();
                }
            }
            // SAFETY: the caller's; there are as many bytes as a function reads for each operand of truths.
            unsafe {
                let start = moved;
                reported |= self.function.run(moved.as_mut_ptr(), 1, whole);
                reported |= self.function.run(last.as_mut_ptr(), 1, rest);
                for (at, _) in self.ports.iter().enumerate().filter(|(_, port)| port.width == 1 && port.stored) {
                    std::ptr::copy_nonoverlapping(places[at].as_ptr(), start[at].add(whole), rest);
                }
            }
        }
        reported
    }

    /// The table of one row.
    fn at_row(&self, Table(table): &Table, row: usize) -> [*mut u8; 2 * MOST] {
        let (count, mut moved) = (self.ports.len(), *table);
        for at in 0..count {
            moved[at] = table[at].wrapping_offset(row as isize * table[count + at].addr() as isize);
        }
        moved
    }

    /// Long rows part by part; the sums of parts are added in f64.
    unsafe fn run_in_parts(&self, table: &Table, rows: usize, cols: usize) -> bool {
        let mut reported = false;
        for row in 0..rows {
            let start = self.at_row(table, row);
            let mut totals = [0.0; MOST];
            for (total, (_, reduction, _)) in totals.iter_mut().zip(&self.reduced) {
                *total = if *reduction == Reduction::Sum { 0.0 } else { f64::NEG_INFINITY };
            }
            for first in (0..cols).step_by(SUMMED) {
                let (mut moved, mut results) = (start, [[0_u8; 8]; MOST]);
                for (at, port) in self.ports.iter().enumerate() {
                    moved[at] = start[at].wrapping_add(first * port.width);
                }
                for ((port, ..), result) in self.reduced.iter().zip(&mut results) {
                    moved[*port] = result.as_mut_ptr();
                }
                // SAFETY: the caller's, for a part of a row; sums and maxima have a place here.
                reported |= unsafe { self.function.run(moved.as_mut_ptr(), 1, SUMMED.min(cols - first)) };
                for ((total, (_, reduction, lane)), result) in totals.iter_mut().zip(&self.reduced).zip(results) {
                    let part = number(result, *lane);
                    *total = if *reduction == Reduction::Sum { *total + part } else { Number::maximum(*total, part) };
                }
            }
            for (total, (port, _, lane)) in totals.into_iter().zip(&self.reduced) {
                // SAFETY: the caller's: one element for the row.
                unsafe {
                    match lane {
                        Lane::F64 => start[*port].cast::<f64>().write_unaligned(total),
                        _ => start[*port].cast::<f32>().write_unaligned(total as f32),
                    }
                }
            }
        }
        reported
    }
}

/// A float as its lane has it.
fn number([a, b, c, d, e, f, g, h]: [u8; 8], lane: Lane) -> f64 {
    match lane {
        Lane::F64 => f64::from_ne_bytes([a, b, c, d, e, f, g, h]),
        _ => f32::from_ne_bytes([a, b, c, d]).into(),
    }
}
