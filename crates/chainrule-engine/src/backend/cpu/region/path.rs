//! Where the elements of an access lie, for a tile of flattened rows and columns.
//!
//! Refuses to touch memory: everything here is arithmetic on offsets in bytes.

use crate::compile::kernel::Access;
use smallvec::SmallVec;

/// Axes that are walked together, last one fastest: sizes and strides, merged where they follow
/// each other. Empty if nothing moves.
pub type Line = SmallVec<[(usize, isize); 4]>;

/// An access in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// Which buffer. In the plan of a region, which of the region's accesses: kernels that differ in buffers and
    /// offsets alone share a plan, and each says itself where its accesses start.
    pub buffer: usize,
    /// Offset of the first element; in the plan of a region 0, or the first of the numbers that positions give.
    pub offset: isize,
    /// The row axes.
    pub rows: Line,
    /// The column axes.
    pub cols: Line,
}

impl Path {
    /// The path of `access` over row axes and column axes. `cols` is left out for what is read
    /// once per row.
    pub fn new(access: &Access, rows: &[(usize, isize)], cols: &[(usize, isize)]) -> Path {
        let bytes = access.dtype.bytes() as isize;
        let scaled = |axes: &[(usize, isize)]| line(axes.iter().map(|&(n, s)| (n, s * bytes)));
        Path { buffer: access.buffer as usize, offset: access.offset * bytes, rows: scaled(rows), cols: scaled(cols) }
    }
}

/// Drops axes of one element and merges neighbours.
pub fn line(axes: impl Iterator<Item = (usize, isize)>) -> Line {
    let mut line = Line::new();
    for (size, stride) in axes.filter(|&(size, _)| size != 1) {
        match line.last_mut() {
            Some(last) if last.1 == stride * size as isize => *last = (last.0 * size, stride),
            _ => line.push((size, stride)),
        }
    }
    if line.iter().all(|&(_, stride)| stride == 0) {
        line.clear();
    }
    line
}

/// Offset of the element at a flattened index.
#[inline]
pub fn offset_at(line: &Line, mut index: usize) -> isize {
    match line.as_slice() {
        [] => 0,
        [(_, stride)] => index as isize * stride,
        axes => {
            let mut offset = 0;
            for &(size, stride) in axes.iter().rev() {
                offset += (index % size) as isize * stride;
                index /= size;
            }
            offset
        }
    }
}

/// Offset of the first of `len` elements from `start`, and the distance between them, if they
/// are evenly spaced.
#[inline]
pub fn span(line: &Line, start: usize, len: usize) -> Option<(isize, isize)> {
    match line.as_slice() {
        [] => Some((0, 0)),
        [(_, stride)] => Some((start as isize * stride, *stride)),
        [.., (size, stride)] => (start % size + len <= *size).then(|| (offset_at(line, start), *stride)),
    }
}

/// Evenly spaced runs of evenly spaced elements, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runs {
    /// Offset of the first element.
    pub offset: isize,
    /// From one element of a run to the next.
    pub step: isize,
    /// Elements of a run.
    pub len: usize,
    /// How many runs.
    pub count: usize,
    /// From the start of one run to the start of the next.
    pub jump: isize,
}

/// Where `len` elements from `start` on lie, which are part of a run, or whole runs that are evenly spaced.
#[inline]
pub fn runs(line: &Line, start: usize, len: usize) -> Runs {
    match (span(line, start, len), line.as_slice()) {
        (None, [.., (outer, jump), (run, step)]) => {
            debug_assert!(start.is_multiple_of(*run) && len.is_multiple_of(*run) && start / run % outer + len / run <= *outer);
            Runs { offset: offset_at(line, start), step: *step, len: *run, count: len / run, jump: *jump }
        }
        (span, _) => {
            let (offset, step) = span.unwrap_or_default();
            Runs { offset, step, len, count: 1, jump: 0 }
        }
    }
}

/// Axes of a line beyond which places are computed anew from piece to piece.
const COUNTED: usize = 8;

/// Calls `each(position, len, offset, step)` for evenly spaced pieces that make up `len`
/// elements from `start`.
#[inline]
pub fn pieces(line: &Line, start: usize, len: usize, mut each: impl FnMut(usize, usize, isize, isize)) {
    let (outer, (size, step)) = match line.as_slice() {
        [] => return each(0, len, 0, 0),
        &[(_, step)] => return each(0, len, start as isize * step, step),
        [outer @ .., last] => (outer, *last),
    };
    let (mut counters, mut offset) = ([0; COUNTED], offset_at(line, start));
    let mut rest = start / size;
    for (counter, &(size, _)) in counters.iter_mut().zip(outer.iter().rev()) {
        (*counter, rest) = (rest % size, rest / size);
    }
    let (mut done, mut at) = (0, start % size);
    while done < len {
        let piece = (size - at).min(len - done);
        each(done, piece, offset, step);
        done += piece;
        if outer.len() > COUNTED {
            (at, offset) = (0, offset_at(line, start + done));
            continue;
        }
        // To the start of the next piece. Divisions would take longer than most pieces do.
        offset -= at as isize * step;
        at = 0;
        for (counter, &(size, stride)) in counters.iter_mut().zip(outer.iter().rev()) {
            (*counter, offset) = (*counter + 1, offset + stride);
            if *counter < size {
                break;
            }
            (*counter, offset) = (0, offset - size as isize * stride);
        }
    }
}

/// Whether tiles that never cross a multiple of `block` are evenly spaced.
pub fn fits(line: &Line, block: usize) -> bool {
    line.len() <= 1 || line.last().is_some_and(|&(size, _)| size % block == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_reach_what_the_line_does() {
        let few: &[(usize, isize)] = &[(2, 5000), (3, 700), (1, 3), (4, -90), (5, 8)];
        let many: Vec<(usize, isize)> = (0..COUNTED + 2).map(|axis| (2, 3 * (1 << (2 * axis)))).collect();
        for axes in [few, &many, &few[3..], &few[4..], &[]] {
            // As it is: nothing is merged here.
            let line: Line = axes.iter().copied().collect();
            let all: usize = axes.iter().map(|&(size, _)| size).product();
            for (start, end) in (0..all).step_by(7).flat_map(|start| (start + 1..=all).step_by(5).map(move |end| (start, end))) {
                let mut found = Vec::new();
                pieces(&line, start, end - start, |at, len, offset, step| {
                    assert_eq!(at, found.len());
                    found.extend((0..len as isize).map(|i| offset + i * step));
                });
                let wanted: Vec<isize> = (start..end).map(|i| offset_at(&line, i)).collect();
                assert_eq!(found, wanted, "{axes:?}, {start} to {end}");
            }
        }
    }

    #[test]
    fn runs_reach_what_the_line_does() {
        let line = line([(2, 5000), (3, 700), (4, 90), (5, 8)].into_iter());
        // Part of a run, a whole one, several, all that are evenly spaced.
        for (start, len) in [(6, 3), (5, 5), (25, 15), (40, 10), (60, 20)] {
            let Runs { offset, step, len: run, count, jump } = runs(&line, start, len);
            let places: Vec<isize> = (0..count * run).map(|i| offset + (i / run) as isize * jump + (i % run) as isize * step).collect();
            let wanted: Vec<isize> = (start..start + len).map(|i| offset_at(&line, i)).collect();
            assert_eq!(places, wanted, "{start}, {len}");
        }
    }
}
