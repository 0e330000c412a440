//! Combining rows at places that are data ([`Scatter`]), and setting a buffer to one number ([`Fill`]).
//!
//! A unit of a scatter is one batch item, a range of destinations and a range of columns; it
//! walks all updates in order, so the order in which an element is combined is always theirs. Types of
//! two bytes are combined in f32, in the thread's scratch, and rounded once.
//! Refuses to use atomics.

mod combine;

use super::fault::FaultCell;
use super::level::Level;
use super::loops::narrow::{narrow_bf16, narrow_f16, widen_bf16, widen_f16};
use super::loops::{Call, Loop, table};
use super::region::{Needs, Scratch};
use crate::compile::kernel::{Access, Binary, Fault, Fill, Lane, Number, Scatter};
use crate::tensor::DType;
use combine::Combined;

/// Elements of one unit, about.
const UNIT: usize = 64 * 1024;

/// A scatter made ready to run.
pub struct CompiledScatter {
    scatter: Scatter,
    way: Way,
    dest_chunks: usize,
    rest_chunks: usize,
}

/// Elements from which a row is combined by a loop: calling one takes longer than a few elements do.
const SHORT: usize = 16;

/// How a row of updates is combined.
enum Way {
    /// Element by element, with the destination itself.
    Short,
    /// With the destination itself, by `to = f(a, b)` for whole rows.
    InPlace(Loop),
    /// In f32 with a row of the scratch, which is rounded by this loop in the end.
    Aside { store: Loop },
}

/// The rectangle of the result that one unit makes.
#[derive(Clone, Copy)]
struct Area {
    dest: (usize, usize),
    cols: (usize, usize),
}

impl CompiledScatter {
    /// Chooses units and loops for this machine.
    pub fn new(scatter: &Scatter) -> CompiledScatter {
        let scatter = scatter.clone();
        let loops = table(Level::detect());
        let dtype = scatter.out.dtype;
        let whole = (loops.binary)(scatter.how, Lane::of(dtype));
        let way = match whole.filter(|_| Lane::of_parts(dtype) == dtype) {
            Some(_) if scatter.rest < SHORT => Way::Short,
            Some(combine) => Way::InPlace(combine),
            None => Way::Aside { store: (loops.store)(dtype) },
        };
        let work = (scatter.count + scatter.limit) * scatter.rest;
        let wanted = (work / UNIT).clamp(1, 32);
        let rest_chunks = wanted.min(scatter.rest / 128).max(1);
        // Every range of destinations reads all indices, which short rows do not pay back.
        let most = if scatter.rest >= SHORT { (scatter.rest / 8).min(32) } else { 1 };
        let dest_chunks = (wanted / rest_chunks).clamp(1, most).min(scatter.limit.max(1));
        CompiledScatter { scatter, way, dest_chunks, rest_chunks }
    }

    /// How many units there are.
    pub fn units(&self) -> usize {
        if self.scatter.limit * self.scatter.rest == 0 && self.scatter.count == 0 {
            return 0;
        }
        self.scatter.batch * self.dest_chunks * self.rest_chunks
    }

    /// Estimated nanoseconds of all units on one thread.
    pub fn cost(&self) -> f64 {
        let s = &self.scatter;
        let rows = (s.batch * s.count) as f64;
        rows * (self.dest_chunks as f64 * 1.5 + s.rest as f64 * 0.3) + (s.batch * s.limit * s.rest) as f64 * 0.1
    }

    /// What the scratch must hold.
    pub fn needs(&self) -> Needs {
        let most = |length: usize, chunks: usize| length.div_ceil(chunks.max(1));
        let sums = most(self.scatter.limit, self.dest_chunks).saturating_mul(most(self.scatter.rest, self.rest_chunks));
        Needs::aside(if let Way::Aside { .. } = self.way { sums.saturating_mul(size_of::<f32>()) } else { 0 })
    }

    /// Runs one unit.
    ///
    /// # Safety
    /// `buffers[id]` is valid for the three dense accesses, and the output overlaps neither of
    /// the others.
    pub unsafe fn run(&self, unit: usize, buffers: &[*mut u8], scratch: &mut Scratch, faults: &FaultCell) {
        let s = &self.scatter;
        let (rest_chunk, unit) = (unit % self.rest_chunks, unit / self.rest_chunks);
        let (dest_chunk, batch) = (unit % self.dest_chunks, unit / self.dest_chunks);
        let area = Area { dest: part(s.limit, self.dest_chunks, dest_chunk), cols: part(s.rest, self.rest_chunks, rest_chunk) };
        let (rows, len) = (area.dest.1 - area.dest.0, area.cols.1 - area.cols.0);
        let bytes = s.out.dtype.bytes();
        let out = first(&s.out, buffers).wrapping_add(((batch * s.limit + area.dest.0) * s.rest + area.cols.0) * bytes);
        let down = s.rest * bytes;
        // SAFETY: the caller's; this unit's destinations and columns lie in the output, and the
        // scratch has as many rows of f32.
        unsafe {
            match self.way {
                Way::Short => self.short(batch, area, buffers, faults, out),
                Way::InPlace(combine) => {
                    (0..rows).for_each(|row| combine::set(s.out.dtype, out.wrapping_add(row * down), len, s.none));
                    self.walk(batch, area, buffers, faults, |row, from| {
                        combine(&Call::onto(len, bytes, out.wrapping_add(row * down), from));
                    });
                }
                Way::Aside { store } => {
                    let sums = scratch.aside(rows * len * size_of::<f32>()).cast::<f32>();
                    combine::set(DType::F32, sums.cast(), rows * len, s.none);
                    let widen = if s.out.dtype == DType::BF16 { widen_bf16 } else { widen_f16 };
                    let function = f32::function(s.how);
                    self.walk(batch, area, buffers, faults, |row, from| {
                        let (to, from) = (sums.add(row * len), from.cast::<u16>());
                        (0..len).for_each(|i| *to.add(i) = function(*to.add(i), widen(from.add(i).read_unaligned())));
                    });
                    store(&Call {
                        rows,
                        cols: len,
                        to: out,
                        to_stride: down as isize,
                        to_step: bytes as isize,
                        a_stride: (len * size_of::<f32>()) as isize,
                        a_step: size_of::<f32>() as isize,
                        a: sums.cast(),
                        ..Call::EMPTY
                    });
                }
            }
        }
    }

    /// Rows of few elements.
    ///
    /// # Safety
    /// As [`CompiledScatter::run`]; `out` is where the area starts.
    unsafe fn short(&self, batch: usize, area: Area, buffers: &[*mut u8], faults: &FaultCell, out: *mut u8) {
        // SAFETY: the caller's; the type is that of the elements.
        unsafe {
            match self.scatter.out.dtype {
                DType::F32 => self.short_of::<f32>(batch, area, buffers, faults, out.cast()),
                DType::F64 => self.short_of::<f64>(batch, area, buffers, faults, out.cast()),
                DType::I32 => self.short_of::<i32>(batch, area, buffers, faults, out.cast()),
                DType::I64 => self.short_of::<i64>(batch, area, buffers, faults, out.cast()),
                _ => self.short_of::<u8>(batch, area, buffers, faults, out),
            }
        }
    }

    /// # Safety
    /// As [`CompiledScatter::short`].
    unsafe fn short_of<T: Combined>(&self, batch: usize, area: Area, buffers: &[*mut u8], faults: &FaultCell, out: *mut T) {
        let s = &self.scatter;
        let (rows, len) = (area.dest.1 - area.dest.0, area.cols.1 - area.cols.0);
        // SAFETY: the caller's; rows of the area are as far apart as those of the result.
        unsafe {
            (0..rows).for_each(|row| (0..len).for_each(|i| out.add(row * s.rest + i).write_unaligned(T::of(s.none))));
            // A function that the compiler knows takes a fraction of the time of one that is handed in.
            match s.how {
                Binary::Add => self.each(batch, area, buffers, faults, out, T::add),
                Binary::Multiply => self.each(batch, area, buffers, faults, out, T::multiply),
                Binary::Maximum => self.each(batch, area, buffers, faults, out, T::larger),
                _ => self.each(batch, area, buffers, faults, out, T::smaller),
            }
        }
    }

    /// # Safety
    /// As [`CompiledScatter::short`].
    unsafe fn each<T: Combined>(
        &self,
        batch: usize,
        area: Area,
        buffers: &[*mut u8],
        faults: &FaultCell,
        out: *mut T,
        combine: impl Fn(T, T) -> T,
    ) {
        let (rest, len) = (self.scatter.rest, area.cols.1 - area.cols.0);
        // SAFETY: the caller's: row and update have so many elements.
        let one = |row: usize, from: *mut u8| unsafe {
            let (to, from) = (out.add(row * rest), from.cast::<T>());
            (0..len).for_each(|i| to.add(i).write_unaligned(combine(to.add(i).read_unaligned(), from.add(i).read_unaligned())));
        };
        // SAFETY: the caller's.
        unsafe { self.walk(batch, area, buffers, faults, one) }
    }

    /// Calls `add(row of the area, its update)` for every update that belongs to an area.
    ///
    /// # Safety
    /// As [`CompiledScatter::run`].
    unsafe fn walk(&self, batch: usize, area: Area, buffers: &[*mut u8], faults: &FaultCell, mut add: impl FnMut(usize, *mut u8)) {
        let s = &self.scatter;
        let (bytes, dest) = (s.updates.dtype.bytes(), area.dest);
        let updates = first(&s.updates, buffers).wrapping_add(batch * s.count * s.rest * bytes);
        let index = first(&s.index, buffers).wrapping_add(batch * s.count * s.index.dtype.bytes());
        for i in 0..s.count {
            // SAFETY: the caller's; `i` is one of the batch's indices.
            let row = unsafe {
                match s.index.dtype {
                    DType::I32 => index.cast::<i32>().add(i).read_unaligned() as i64,
                    _ => index.cast::<i64>().add(i).read_unaligned(),
                }
            };
            if row < 0 || row as u64 >= s.limit as u64 {
                let fault = Fault { site: s.site, index: row, limit: s.limit };
                faults.report((batch * s.count + i) as u64, fault);
            } else if dest.0 as i64 <= row && row < dest.1 as i64 {
                add(row as usize - dest.0, updates.wrapping_add((i * s.rest + area.cols.0) * bytes));
            }
        }
    }
}

fn first(access: &Access, buffers: &[*mut u8]) -> *mut u8 {
    buffers[access.buffer as usize].wrapping_offset(access.offset * access.dtype.bytes() as isize)
}

/// Part `i` of `0..n` cut in `parts` about equal parts.
fn part(n: usize, parts: usize, i: usize) -> (usize, usize) {
    (n * i / parts, n * (i + 1) / parts)
}

/// A fill made ready to run.
pub struct CompiledFill {
    fill: Fill,
    bytes: [u8; 8],
    repeat: Loop,
    units: usize,
}

impl CompiledFill {
    /// Chooses units and the loop for this machine.
    pub fn new(fill: &Fill) -> CompiledFill {
        let (float, integer) = match fill.value {
            Number::Float(x) => (x, x as i64),
            Number::Integer(n) => (n as f64, n),
        };
        let mut bytes = [0; 8];
        let find = table(Level::detect()).repeat;
        let repeat = match fill.out.dtype {
            DType::F32 => {
                bytes[..4].copy_from_slice(&(float as f32).to_ne_bytes());
                find(Lane::F32)
            }
            DType::F64 => {
                bytes.copy_from_slice(&float.to_ne_bytes());
                find(Lane::F64)
            }
            DType::I32 => {
                bytes[..4].copy_from_slice(&(integer as i32).to_ne_bytes());
                find(Lane::I32)
            }
            DType::I64 => {
                bytes.copy_from_slice(&integer.to_ne_bytes());
                find(Lane::I64)
            }
            DType::U8 | DType::Bool => {
                bytes[0] = integer as u8;
                find(Lane::U8)
            }
            // Two neighbours of two bytes are one of four; an odd last element is set alone.
            DType::BF16 | DType::F16 => {
                let narrow = if fill.out.dtype == DType::BF16 { narrow_bf16 } else { narrow_f16 };
                let half = narrow(float as f32).to_ne_bytes();
                bytes[..2].copy_from_slice(&half);
                bytes[2..4].copy_from_slice(&half);
                find(Lane::I32)
            }
        };
        let units = (fill.len * fill.out.dtype.bytes()).div_ceil(8 * UNIT);
        CompiledFill { fill: fill.clone(), bytes, repeat, units }
    }

    /// How many units there are.
    pub fn units(&self) -> usize {
        self.units
    }

    /// Estimated nanoseconds of all units on one thread.
    pub fn cost(&self) -> f64 {
        10.0 + (self.fill.len * self.fill.out.dtype.bytes()) as f64 * 0.03
    }

    /// Runs one unit.
    ///
    /// # Safety
    /// `buffers[id]` is valid for writing the elements.
    pub unsafe fn run(&self, unit: usize, buffers: &[*mut u8]) {
        let dtype = self.fill.out.dtype;
        let (start, end) = part(self.fill.len, self.units, unit);
        let to = first(&self.fill.out, buffers).wrapping_add(start * dtype.bytes());
        let len = end - start;
        let narrow = dtype.bytes() == 2;
        let call = Call { rows: 1, cols: if narrow { len / 2 } else { len }, to, a: self.bytes.as_ptr(), ..Call::EMPTY };
        // SAFETY: the caller's; the number has the bytes of the type.
        unsafe {
            (self.repeat)(&call);
            if narrow && len % 2 == 1 {
                let last = to.wrapping_add((len - 1) * 2).cast::<[u8; 2]>();
                last.write_unaligned([self.bytes[0], self.bytes[1]]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(buffer: u32, dtype: DType) -> Access {
        Access { buffer, dtype, offset: 0, strides: Default::default() }
    }

    fn run(scatter: &Scatter, index: &mut [i64], updates: &mut [f32], reverse: bool) -> (Vec<f32>, Option<Fault>) {
        let compiled = CompiledScatter::new(scatter);
        let mut out = vec![f32::NAN; scatter.batch * scatter.limit * scatter.rest];
        let buffers = [index.as_mut_ptr().cast(), updates.as_mut_ptr().cast(), out.as_mut_ptr().cast()];
        let (faults, mut scratch) = (FaultCell::new(), Scratch::new());
        let units = compiled.units();
        for unit in 0..units {
            let unit = if reverse { units - 1 - unit } else { unit };
            unsafe { compiled.run(unit, &buffers, &mut scratch, &faults) }
        }
        (out, faults.take().and_then(super::super::fault::Found::index))
    }

    #[test]
    fn scatter_combines_in_order_for_any_order_of_units() {
        type Way = (Binary, f64, fn(f32, f32) -> f32);
        let ways: [Way; 4] = [
            (Binary::Add, 0.0, |a, b| a + b),
            (Binary::Multiply, 1.0, |a, b| a * b),
            (Binary::Maximum, f64::NEG_INFINITY, f32::max),
            (Binary::Minimum, f64::INFINITY, f32::min),
        ];
        for (batch, count, limit, rest) in
            [(1, 5, 3, 1), (2, 700, 50, 130), (1, 9000, 40, 17), (3, 4, 7, 600), (1, 3, 2, 0), (2, 0, 3, 4), (2, 90_000, 300, 3)]
        {
            for (how, none, function) in ways {
                let (index, updates, out) = (access(0, DType::I64), access(1, DType::F32), access(2, DType::F32));
                let scatter = Scatter { how, none, batch, count, limit, rest, index, updates, out, site: 4 };
                let mut index: Vec<i64> = (0..batch * count).map(|i| (i * 7919 % 101 % limit) as i64).collect();
                let mut updates: Vec<f32> = (0..batch * count * rest).map(|i| 0.9 + (i as f32 * 0.37).sin()).collect();
                let mut expected = vec![none as f32; batch * limit * rest];
                for i in 0..batch * count {
                    for j in 0..rest {
                        let to = &mut expected[(i / count * limit + index[i] as usize) * rest + j];
                        *to = function(*to, updates[i * rest + j]);
                    }
                }
                for reverse in [false, true] {
                    let found = run(&scatter, &mut index, &mut updates, reverse);
                    assert!(found == (expected.clone(), None), "{how:?} of {count} rows of {rest}");
                }
                if count > 2 && rest > 0 {
                    (index[2], index[1]) = (limit as i64, -1);
                    let fault = run(&scatter, &mut index, &mut updates, true).1;
                    assert_eq!(fault, Some(Fault { site: 4, index: -1, limit }));
                }
            }
        }
    }

    #[test]
    fn fill_sets_every_element_and_no_other() {
        for len in [0, 1, 2, 33, 300_001] {
            let fill = Fill { out: access(0, DType::BF16), len, value: Number::Float(1.5) };
            let compiled = CompiledFill::new(&fill);
            let mut out = vec![7u16; len + 1];
            for unit in 0..compiled.units() {
                unsafe { compiled.run(unit, &[out.as_mut_ptr().cast()]) }
            }
            assert!(out[..len].iter().all(|&bits| bits == 0x3fc0) && out[len] == 7);
        }
    }
}
