//! Overlap-add of windows ([`Fold`]), parallel over what does not overlap.
//!
//! Input and output offsets are both linear in the window's number and the place within it, so a
//! fold is a nest of loops that adds along two sets of strides. What is added at once belongs to one window if
//! channels lie side by side, or else to one place of all windows, so that it does not overlap; the loops around it are
//! in an order of their own, which fixes the order of additions. Where the windows' same places are neighbours, and so are
//! results, these are made one by one instead, each whole (`loops::overlap`), in the same order. Types of two bytes are added
//! in f32, element by element, and rounded once.

use super::level::Level;
use super::loops::narrow::{narrow_bf16, narrow_f16, widen_bf16, widen_f16};
use super::loops::{Call, Loop, Overlap, OverlapLoop, table};
use crate::compile::kernel::{Binary, Fold, Lane};
use crate::tensor::DType;

/// Additions of one unit, about.
const UNIT: usize = 32 * 1024;

/// One loop of a nest: how often, and the bytes that input and output move.
#[derive(Clone, Copy, Debug)]
struct Axis {
    size: usize,
    input: isize,
    out: isize,
}

impl Axis {
    /// A loop that goes round once.
    const ONCE: Axis = Axis { size: 1, input: 0, out: 0 };
}

/// One windowed axis.
#[derive(Clone, Copy, Debug)]
struct Windowed {
    size: usize,
    count: usize,
    window: usize,
    stride: usize,
    dilation: usize,
    input_count: isize,
    input_window: isize,
    out: isize,
}

/// A fold made ready to run.
pub struct CompiledFold {
    dtype: DType,
    buffers: [usize; 2],
    offsets: [isize; 2],
    /// Walked by units.
    parallel: Vec<Axis>,
    /// All windows and places in them; the last two are rows and columns of the inner loop, in which no two points meet
    /// in one element of the output.
    nest: Vec<Axis>,
    /// Positions of the output.
    positions: Vec<Axis>,
    /// The same with axes merged that follow each other in memory, for setting them to zero.
    cleared: Vec<Axis>,
    windowed: Vec<Windowed>,
    add: Option<Loop>,
    /// What makes results one by one, where it can.
    whole: Option<OverlapLoop>,
    items: usize,
    unit_items: usize,
    /// Of an addition, about.
    nanoseconds: f64,
}

impl CompiledFold {
    /// Chooses units and loops for this machine.
    pub fn new(fold: &Fold) -> CompiledFold {
        let bytes = fold.out.dtype.bytes() as isize;
        let (outer, axes) = (fold.outer.len(), fold.sizes.len());
        let (input, out) = (&fold.input.strides, &fold.out.strides);
        let windowed: Vec<Windowed> = (0..axes)
            .map(|d| Windowed {
                size: fold.sizes[d],
                count: fold.counts[d],
                window: fold.windows[d],
                stride: fold.strides[d],
                dilation: fold.dilations[d],
                input_count: input[outer + d] * bytes,
                input_window: input[outer + axes + d] * bytes,
                out: out[outer + d] * bytes,
            })
            .collect();
        let parallel = (0..outer).map(|d| Axis { size: fold.outer[d], input: input[d] * bytes, out: out[d] * bytes }).chain(
            (0..fold.rest.len()).map(|d| Axis {
                size: fold.rest[d],
                input: input[outer + 2 * axes + d] * bytes,
                out: out[outer + axes + d] * bytes,
            }),
        );
        let mut parallel: Vec<Axis> = parallel.collect();
        let mut counts: Vec<Axis> =
            windowed.iter().map(|w| Axis { size: w.count, input: w.input_count, out: w.out * w.stride as isize }).collect();
        let mut places: Vec<Axis> =
            windowed.iter().map(|w| Axis { size: w.window, input: w.input_window, out: w.out * w.dilation as isize }).collect();
        let mut positions: Vec<Axis> = windowed.iter().map(|w| Axis { size: w.size, input: 0, out: w.out }).collect();
        counts.sort_by_key(|axis| std::cmp::Reverse(axis.input.unsigned_abs() + axis.out.unsigned_abs()));
        // The last rest axis is usually the one that is side by side: then each window is added as it lies.
        let rest = parallel.pop_if(|axis| !fold.rest.is_empty() && axis.size >= 8);
        let nest: Vec<Axis> = match rest {
            Some(axis) => {
                positions.push(axis);
                places.push(axis);
                counts.into_iter().chain(two_or_more(merged(&places))).collect()
            }
            None => places.into_iter().chain(two_or_more(counts)).collect(),
        };
        let cleared: Vec<Axis> = positions.iter().map(|axis| Axis { input: 0, ..*axis }).collect();
        let inside =
            windowed.iter().all(|w| w.count == 0 || w.window == 0 || (w.count - 1) * w.stride + (w.window - 1) * w.dilation < w.size);
        let add = match fold.out.dtype {
            DType::BF16 | DType::F16 => None,
            _ if !inside => None,
            dtype => (table(Level::detect()).binary)(Binary::Add, Lane::of(dtype)),
        };
        let whole = add.filter(|_| are_neighbours(&windowed, rest.is_some(), bytes));
        let whole = whole.map(|_| (table(Level::detect()).overlap)(Lane::of(fold.out.dtype)));
        let items = parallel.iter().map(|axis| axis.size).product::<usize>();
        // A vector of results takes what a few single ones take.
        let nanoseconds = if whole.is_some() { 0.15 } else { 0.7 };
        let work = nest.iter().chain(&positions).map(|axis| axis.size).fold(1, |a: usize, b| a.saturating_mul(b.max(1)));
        let unit_items = (UNIT / work.max(1)).clamp(1, items.max(1));
        CompiledFold {
            dtype: fold.out.dtype,
            buffers: [fold.input.buffer as usize, fold.out.buffer as usize],
            offsets: [fold.input.offset * bytes, fold.out.offset * bytes],
            parallel,
            nest,
            whole,
            cleared: merged(&cleared),
            positions,
            windowed,
            add,
            items,
            unit_items,
            nanoseconds,
        }
    }

    /// How many units there are.
    pub fn units(&self) -> usize {
        self.items.div_ceil(self.unit_items)
    }

    /// Estimated nanoseconds of all units on one thread.
    pub fn cost(&self) -> f64 {
        let additions: f64 = self.nest.iter().map(|axis| axis.size as f64).product();
        self.items as f64 * (30.0 + additions * self.nanoseconds)
    }

    /// Runs one unit.
    ///
    /// # Safety
    /// `buffers[id]` is valid for both accesses, which do not overlap; no two positions of the
    /// output are the same element.
    pub unsafe fn run(&self, unit: usize, buffers: &[*mut u8]) {
        let input = buffers[self.buffers[0]].wrapping_offset(self.offsets[0]);
        let out = buffers[self.buffers[1]].wrapping_offset(self.offsets[1]);
        let first = unit * self.unit_items;
        for item in first..(first + self.unit_items).min(self.items) {
            let (a, b) = offsets(&self.parallel, item);
            let (input, out) = (input.wrapping_offset(a), out.wrapping_offset(b));
            // SAFETY: the caller's, for this item.
            unsafe {
                match (self.whole, self.add) {
                    (Some(whole), _) => whole(&self.overlap(input, out)),
                    (None, Some(add)) => self.overlap_add(input, out, add),
                    (None, None) => self.element_by_element(input, out),
                }
            }
        }
    }

    /// The windows of an item, for what makes results one by one; a single axis is one of columns.
    fn overlap(&self, from: *const u8, to: *mut u8) -> Overlap {
        let once = Windowed { size: 1, count: 1, window: 1, stride: 1, dilation: 1, input_count: 0, input_window: 0, out: 0 };
        let last = |back: usize| self.windowed.len().checked_sub(back).map_or(once, |at| self.windowed[at]);
        let (rows, cols) = (last(2), last(1));
        Overlap {
            to,
            to_row: rows.out,
            from,
            from_row: rows.input_count,
            from_place: [rows.input_window, cols.input_window],
            sizes: [rows.size, cols.size],
            counts: [rows.count, cols.count],
            places: [rows.window, cols.window],
            stride: rows.stride,
            dilations: [rows.dilation, cols.dilation],
        }
    }

    unsafe fn overlap_add(&self, input: *mut u8, out: *mut u8, add: Loop) {
        // SAFETY: the caller's; every offset is that of an element.
        unsafe {
            let bytes = self.dtype.bytes();
            walk::<1>(&self.cleared, |_, b, [last]| {
                let to = out.wrapping_offset(b);
                if last.out == bytes as isize {
                    std::ptr::write_bytes(to, 0, last.size * bytes);
                } else {
                    for i in 0..last.size as isize {
                        std::ptr::write_bytes(to.wrapping_offset(i * last.out), 0, bytes);
                    }
                }
            });
            if self.nest.last().is_some_and(|last| last.input == bytes as isize && last.out == bytes as isize) {
                walk::<2>(&self.nest, |a, b, [rows, cols]| {
                    let (from, to) = (input.wrapping_offset(a), out.wrapping_offset(b));
                    add(&Call {
                        rows: rows.size,
                        to_stride: rows.out,
                        a_stride: rows.out,
                        b_stride: rows.input,
                        ..Call::onto(cols.size, bytes, to, from)
                    });
                });
                return;
            }
            walk::<1>(&self.nest, |a, b, [last]| {
                let (from, to) = (input.wrapping_offset(a), out.wrapping_offset(b));
                match self.dtype {
                    DType::F32 => add_apart::<f32>(from, to, last, |x, y| x + y),
                    DType::F64 => add_apart::<f64>(from, to, last, |x, y| x + y),
                    DType::I32 => add_apart::<i32>(from, to, last, i32::wrapping_add),
                    DType::I64 => add_apart::<i64>(from, to, last, i64::wrapping_add),
                    _ => add_apart::<u8>(from, to, last, u8::wrapping_add),
                }
            });
        }
    }

    /// Sums the windows over each position; for narrow types, and windows that reach outside.
    unsafe fn element_by_element(&self, input: *mut u8, out: *mut u8) {
        // SAFETY: the caller's.
        unsafe {
            match self.dtype {
                DType::F32 => self.elements(input, out, 0.0, |x: f32, y: f32| x + y, |x| x),
                DType::F64 => self.elements(input, out, 0.0, |x: f64, y: f64| x + y, |x| x),
                DType::I32 => self.elements(input, out, 0, i32::wrapping_add, |x| x),
                DType::I64 => self.elements(input, out, 0, i64::wrapping_add, |x| x),
                DType::U8 | DType::Bool => self.elements(input, out, 0, u8::wrapping_add, |x| x),
                DType::BF16 => self.elements(input, out, 0.0, |x: f32, y| x + widen_bf16(y), narrow_bf16),
                DType::F16 => self.elements(input, out, 0.0, |x: f32, y| x + widen_f16(y), narrow_f16),
            }
        }
    }

    unsafe fn elements<S: Copy, T: Copy>(&self, input: *mut u8, out: *mut u8, zero: S, add: impl Fn(S, T) -> S, finish: impl Fn(S) -> T) {
        let count: usize = self.positions.iter().map(|axis| axis.size).product();
        let places: usize = self.windowed.iter().map(|w| w.window).product();
        for position in 0..count {
            let (rest, to) = offsets(&self.positions, position);
            let mut sum = zero;
            for place in 0..places {
                if let Some(from) = self.window_at(position, place) {
                    let from = input.wrapping_offset(from + rest).cast::<T>();
                    // SAFETY: the window lies in the input.
                    sum = add(sum, unsafe { from.read_unaligned() });
                }
            }
            // SAFETY: the position lies in the output.
            unsafe { out.wrapping_offset(to).cast::<T>().write_unaligned(finish(sum)) }
        }
    }

    /// Input offset of the window that has its `place` at a position of the output, if any.
    fn window_at(&self, mut position: usize, mut place: usize) -> Option<isize> {
        for axis in self.positions.iter().skip(self.windowed.len()) {
            position /= axis.size;
        }
        let mut offset = 0;
        for w in self.windowed.iter().rev() {
            let (p, k) = (position % w.size, place % w.window);
            (position, place) = (position / w.size, place / w.window);
            let start = p.checked_sub(k * w.dilation)?;
            if start % w.stride != 0 || start / w.stride >= w.count {
                return None;
            }
            offset += (start / w.stride) as isize * w.input_count + k as isize * w.input_window;
        }
        Some(offset)
    }
}

/// Whether the same places of windows are neighbours, and so are results, along the last of at most two axes.
fn are_neighbours(windowed: &[Windowed], has_rest: bool, bytes: isize) -> bool {
    let next = |last: &Windowed| last.stride == 1 && last.input_count == bytes && last.out == bytes;
    !has_rest && windowed.len() <= 2 && windowed.last().is_some_and(next) && windowed.iter().all(|w| w.window > 0)
}

unsafe fn add_apart<T: Copy>(from: *mut u8, to: *mut u8, axis: Axis, add: impl Fn(T, T) -> T) {
    for i in 0..axis.size as isize {
        let to = to.wrapping_offset(i * axis.out).cast::<T>();
        let from = from.wrapping_offset(i * axis.input).cast::<T>();
        // SAFETY: the caller's.
        unsafe { to.write_unaligned(add(to.read_unaligned(), from.read_unaligned())) }
    }
}

/// The same elements in the same order by as few axes as can be.
fn merged(axes: &[Axis]) -> Vec<Axis> {
    let mut merged: Vec<Axis> = Vec::with_capacity(axes.len());
    for axis in axes {
        let goes_on = |last: &Axis| last.out == axis.out * axis.size as isize && last.input == axis.input * axis.size as isize;
        match merged.last_mut() {
            Some(last) if goes_on(last) => *last = Axis { size: last.size * axis.size, ..*axis },
            _ => merged.push(*axis),
        }
    }
    merged
}

/// The same loops, at least two.
fn two_or_more(axes: Vec<Axis>) -> impl Iterator<Item = Axis> {
    std::iter::repeat_n(Axis::ONCE, 2_usize.saturating_sub(axes.len())).chain(axes)
}

/// Offsets of input and output at a flattened index.
fn offsets(axes: &[Axis], mut index: usize) -> (isize, isize) {
    let (mut input, mut out) = (0, 0);
    for axis in axes.iter().rev() {
        let i = (index % axis.size) as isize;
        index /= axis.size;
        input += i * axis.input;
        out += i * axis.out;
    }
    (input, out)
}

/// Calls `each(input offset, output offset, inner loops)` for all but the last `INNER` axes; those that are not there
/// go round once.
fn walk<const INNER: usize>(axes: &[Axis], mut each: impl FnMut(isize, isize, [Axis; INNER])) {
    let (outer, last) = axes.split_at(axes.len().saturating_sub(INNER));
    let mut inner = [Axis::ONCE; INNER];
    inner[INNER - last.len()..].copy_from_slice(last);
    let count: usize = outer.iter().map(|axis| axis.size).product();
    for i in 0..count {
        let (input, out) = offsets(outer, i);
        each(input, out, inner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::kernel::Access;

    /// Dense strides of the given sizes.
    fn dense(sizes: &[usize]) -> Vec<isize> {
        let mut strides = vec![1; sizes.len()];
        for d in (1..sizes.len()).rev() {
            strides[d - 1] = strides[d] * sizes[d] as isize;
        }
        strides
    }

    /// Two windowed axes between `outer` and `rest`, each: size, windows, window, stride, dilation. Places lie side by side, or the
    /// same places of windows, as planes.
    fn fold(outer: usize, one: [usize; 5], two: [usize; 5], rest: usize, dtype: DType, planes: bool) -> Fold {
        let column = |i: usize| [one[i], two[i]].into_iter().collect();
        let input_sizes = [outer, one[1], two[1], one[2], two[2], rest];
        let lying = if planes { [0, 3, 4, 5, 1, 2] } else { [0, 1, 2, 3, 4, 5] };
        let strides = dense(&lying.map(|axis| input_sizes[axis]));
        let input = (0..6).map(|axis| lying.iter().zip(&strides).find(|(at, _)| **at == axis).map_or(0, |(_, &stride)| stride));
        let access = |buffer, strides| Access { buffer, dtype, offset: 0, strides };
        Fold {
            outer: [outer].into_iter().collect(),
            sizes: column(0),
            counts: column(1),
            windows: column(2),
            strides: column(3),
            dilations: column(4),
            rest: [rest].into_iter().collect(),
            input: access(0, input.collect()),
            out: access(1, dense(&[outer, one[0], two[0], rest]).into_iter().collect()),
        }
    }

    fn check(outer: usize, one: [usize; 5], two: [usize; 5], rest: usize, dtype: DType, planes: bool) {
        let fold = fold(outer, one, two, rest, dtype, planes);
        let input_sizes = [outer, one[1], two[1], one[2], two[2], rest];
        let (sizes, out_sizes) = ([one[0], two[0]], [outer, one[0], two[0], rest]);
        // Small whole numbers are exact in every type, so the order of additions is free here.
        let n: usize = input_sizes.iter().product();
        let values: Vec<f32> = (0..n).map(|i| (i * 31 % 7) as f32 - 3.0).collect();
        let mut expected = vec![0.0f32; out_sizes.iter().product()];
        for i in 0..n {
            let mut digits = [0; 6];
            let mut left = i;
            for d in (0..6).rev() {
                digits[d] = left % input_sizes[d];
                left /= input_sizes[d];
            }
            let lies: isize = digits.iter().zip(&fold.input.strides).map(|(&digit, &stride)| digit as isize * stride).sum();
            let at = |d: usize| digits[1 + d] * fold.strides[d] + digits[3 + d] * fold.dilations[d];
            if at(0) < sizes[0] && at(1) < sizes[1] {
                expected[((digits[0] * sizes[0] + at(0)) * sizes[1] + at(1)) * rest + digits[5]] += values[lies as usize];
            }
        }
        let compiled = CompiledFold::new(&fold);
        let mut wide = values.clone();
        let mut narrow: Vec<u16> = values.iter().map(|&x| narrow_bf16(x)).collect();
        let mut out = vec![f32::NAN; expected.len()];
        let mut narrow_out = vec![0x7fc0u16; expected.len()];
        let buffers: [*mut u8; 2] = match dtype {
            DType::BF16 => [narrow.as_mut_ptr().cast(), narrow_out.as_mut_ptr().cast()],
            _ => [wide.as_mut_ptr().cast(), out.as_mut_ptr().cast()],
        };
        for unit in (0..compiled.units()).rev() {
            unsafe { compiled.run(unit, &buffers) }
        }
        if dtype == DType::BF16 {
            out = narrow_out.iter().map(|&bits| widen_bf16(bits)).collect();
        }
        assert_eq!(out, expected, "{fold:?}");
    }

    /// Columns: size, windows, window, stride, dilation.
    #[test]
    fn fold_adds_every_window_where_it_was_read() {
        for (dtype, planes) in [(DType::F32, false), (DType::F32, true), (DType::BF16, false), (DType::BF16, true)] {
            for rest in [1, 3, 9] {
                check(3, [7, 5, 3, 1, 1], [9, 3, 3, 2, 2], rest, dtype, planes);
                check(2, [8, 2, 3, 4, 1], [5, 5, 1, 1, 1], rest, dtype, planes);
                check(1, [30, 28, 3, 1, 1], [30, 28, 3, 1, 1], rest, dtype, planes);
                // Windows that reach outside.
                check(2, [4, 3, 3, 1, 1], [6, 2, 3, 3, 2], rest, dtype, planes);
            }
        }
    }

    /// Made one by one, results have the bits of sums that go on from place to place.
    #[test]
    fn whole_results_are_those_of_added_places() {
        let shapes: [([usize; 5], [usize; 5]); 8] = [
            ([30, 28, 3, 1, 1], [30, 28, 3, 1, 1]),
            ([9, 4, 3, 2, 1], [20, 18, 3, 1, 1]),
            ([12, 4, 3, 1, 4], [50, 40, 3, 1, 5]),
            // Rows with no window, columns beyond the last one, and fewer windows than a place is apart.
            ([9, 2, 2, 5, 1], [37, 33, 2, 1, 1]),
            ([4, 3, 2, 1, 1], [40, 2, 4, 1, 9]),
            ([1, 1, 1, 1, 1], [17, 16, 1, 1, 1]),
            ([6, 5, 2, 1, 1], [16, 1, 16, 1, 1]),
            ([3, 0, 2, 1, 1], [5, 4, 2, 1, 1]),
        ];
        let mut whole = 0;
        for dtype in [DType::F32, DType::F64, DType::I32] {
            for (one, two) in shapes {
                let fold = fold(3, one, two, 1, dtype, true);
                let made = CompiledFold::new(&fold);
                whole += usize::from(made.whole.is_some());
                let plain = CompiledFold { whole: None, ..CompiledFold::new(&fold) };
                // Thirds, and so sums that depend on their order.
                let input = 3 * one[1] * two[1] * one[2] * two[2];
                let mut from: Vec<u8> = match dtype {
                    DType::F32 => (0..input).flat_map(|i| ((i * 37 % 101) as f32 / 3.0 - 17.0).to_ne_bytes()).collect(),
                    DType::F64 => (0..input).flat_map(|i| ((i * 37 % 101) as f64 / 3.0 - 17.0).to_ne_bytes()).collect(),
                    _ => (0..input).flat_map(|i| (i as i32 - 50).to_ne_bytes()).collect(),
                };
                let mut run = |fold: &CompiledFold, fill: u8| {
                    // And what lies behind the results.
                    let mut out = vec![fill; 3 * one[0] * two[0] * dtype.bytes()];
                    out.resize(out.len() + 128, 0xad);
                    let buffers = [from.as_mut_ptr(), out.as_mut_ptr()];
                    // SAFETY: both hold what the fold reaches.
                    (0..fold.units()).for_each(|unit| unsafe { fold.run(unit, &buffers) });
                    out
                };
                assert_eq!(run(&made, 0xff), run(&plain, 0xee), "{fold:?}");
            }
        }
        assert_eq!(whole, 3 * shapes.len(), "what lies as planes is made one by one");
    }

    /// Every level makes the same results.
    #[test]
    fn levels_agree_on_whole_results() {
        let fold = fold(1, [7, 5, 3, 1, 1], [45, 41, 3, 1, 2], 1, DType::F32, true);
        let made = CompiledFold::new(&fold);
        let from: Vec<f32> = (0..5 * 41 * 9).map(|i| (i * 37 % 101) as f32 / 3.0 - 17.0).collect();
        let by_level = Level::available().into_iter().map(|level| {
            let mut out = vec![f32::NAN; 7 * 45];
            let call = made.overlap(from.as_ptr().cast(), out.as_mut_ptr().cast());
            // SAFETY: as above.
            unsafe { (table(level).overlap)(Lane::F32)(&call) };
            out
        });
        let all: Vec<Vec<f32>> = by_level.collect();
        assert!(all.iter().all(|one| *one == all[0] && one.iter().all(|x| x.is_finite())), "{all:?}");
    }
}
