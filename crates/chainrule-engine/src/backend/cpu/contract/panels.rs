//! Operands packed in panels, once for everyone who reads them.
//!
//! A panel holds some rows of A or columns of B for a pass of the sum: what a step needs of it side by side,
//! step after step; or row after row, if A's rows lie so in memory. All tiles of a
//! product read the same panels, and so do all products of a program that read the same operand: the
//! weights of a recurrent network, say. Who comes first packs a piece; who finds a piece being packed
//! goes on with the next and comes back.
//!
//! Refuses to copy anything itself, and to know what an operand is.

use super::matrix::STEPS;
use crate::compile::schedule::first_fit;
use crate::tensor::{DType, Data, Result};
use std::sync::atomic::{AtomicU64, Ordering};

/// What is packed for a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The number, in so many bytes.
    Plain(usize),
    /// The number rounded to bf16, as f32.
    Rounded,
    /// So many bf16 parts of it.
    Parts(usize),
}

impl Form {
    /// Bytes for each number.
    pub fn bytes(self) -> usize {
        match self {
            Form::Plain(bytes) => bytes,
            Form::Rounded => 4,
            Form::Parts(parts) => 2 * parts,
        }
    }

    /// What a pass is rounded up to a multiple of: tiles are laid out whole.
    fn steps(self) -> usize {
        if let Form::Parts(_) = self { STEPS } else { 1 }
    }
}

/// How one side of a product is cut in panels and in pieces that are packed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panels {
    /// Rows of A or columns of B.
    pub length: usize,
    /// Of them, in a panel.
    pub width: usize,
    /// Panels of a piece.
    pub group: usize,
    /// Length of the whole sum.
    pub k: usize,
    /// Length of a chunk of the sum.
    pub chunk: usize,
    /// Length of a pass through a chunk.
    pub depth: usize,
    /// Whether a panel is row after row instead of step after step.
    pub by_row: bool,
    /// What is packed.
    pub form: Form,
}

impl Panels {
    fn count(&self) -> usize {
        self.length.div_ceil(self.width)
    }

    /// Bytes of all panels, the last of which is as wide as the others.
    pub fn bytes(&self) -> usize {
        let chunks = self.k.div_ceil(self.chunk.max(1));
        let last = self.k - self.chunk * chunks.saturating_sub(1);
        let steps = chunks.saturating_sub(1) * self.whole(self.chunk) + self.whole(last);
        self.count() * self.width * steps * self.form.bytes()
    }

    /// Bytes from the first panel to the one of a pass of so many steps.
    pub fn start(&self, (from, len): (usize, usize), panel: usize) -> usize {
        let before = from / self.chunk * self.whole(self.chunk) + from % self.chunk;
        self.width * (before * self.count() + panel * self.whole(len)) * self.form.bytes()
    }

    /// So many steps, as many as are packed for them. Passes but for the last of a chunk are whole.
    pub fn whole(&self, steps: usize) -> usize {
        steps.next_multiple_of(self.form.steps())
    }

    fn pieces_of_pass(&self) -> usize {
        self.count().div_ceil(self.group)
    }

    /// How many pieces there are in all.
    pub fn pieces(&self) -> usize {
        let passes = self.chunk.div_ceil(self.depth.max(1));
        self.k.div_ceil(self.chunk.max(1)) * passes * self.pieces_of_pass()
    }

    /// The pieces that hold panels of rows or columns `start .. start + len`, in the pass from `from` on:
    /// the number of the first, and for each the panels it consists of.
    pub fn pieces_of(&self, from: usize, (start, len): (usize, usize)) -> (usize, impl Iterator<Item = std::ops::Range<usize>>) {
        let span = self.width * self.group;
        let (first, last) = (start / span, (start + len).div_ceil(span));
        let pass = from / self.chunk * self.chunk.div_ceil(self.depth) + from % self.chunk / self.depth;
        let (group, count) = (self.group, self.count());
        (pass * self.pieces_of_pass() + first, (first..last).map(move |piece| piece * group..((piece + 1) * group).min(count)))
    }
}

/// Where packed panels lie, and the first of their flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Bytes from the start of the room.
    pub offset: usize,
    /// In the room's list.
    pub flag: usize,
}

/// An operand that could be packed once: its bytes and pieces, and the waves of its first and last reader.
pub struct Wanted {
    /// Of all panels.
    pub bytes: usize,
    /// Of all passes.
    pub pieces: usize,
    /// Of the first and the last reader.
    pub waves: (usize, usize),
    /// Whether it is the same in all runs until [`Packed::start_anew`], and is packed in the first of them.
    pub steady: bool,
}

/// Finds a place for every wanted operand, such that those that live at the same time do not overlap; and
/// what a room for them must hold.
pub fn places(wanted: &[Wanted]) -> (Vec<Place>, Sizes) {
    let waves = |one: &Wanted| if one.steady { (0, usize::MAX) } else { one.waves };
    let spans: Vec<_> = wanted.iter().map(|one| (one.bytes, waves(one))).collect();
    let (offsets, bytes) = first_fit(&spans);
    // Flags of what is steady come first.
    let pieces = |steady: bool| wanted.iter().filter(move |one| one.steady == steady).map(|one| one.pieces).sum::<usize>();
    let steady = pieces(true);
    let (mut kept, mut flags) = (0, steady);
    let place = |(one, offset): (&Wanted, usize)| {
        let next = if one.steady { &mut kept } else { &mut flags };
        *next += one.pieces;
        Place { offset, flag: *next - one.pieces }
    };
    let places = wanted.iter().zip(offsets).map(place).collect();
    (places, Sizes { bytes, flags, steady })
}

/// What a room holds.
#[derive(Clone, Copy, Default, Debug)]
pub struct Sizes {
    /// Bytes of panels.
    pub bytes: usize,
    /// Pieces that are packed.
    pub flags: usize,
    /// How many of them, the first ones, are steady.
    pub steady: usize,
}

/// Memory for packed panels of one run at a time.
pub struct Packed {
    /// The first byte of the panels, which `_panels` owns.
    first: *mut u8,
    _panels: Data,
    /// What was last done with each piece: twice the number of the run, and one more when it is packed.
    flags: Vec<AtomicU64>,
    run: AtomicU64,
    /// The number of the run that first saw what is steady now.
    anew: AtomicU64,
    /// How many of the pieces, the first ones, are steady.
    steady: usize,
}

// SAFETY: the memory is owned, and whoever reads or writes it does so by the rules of `at`.
unsafe impl Send for Packed {}
// SAFETY: as above.
unsafe impl Sync for Packed {}

impl Packed {
    /// A room.
    ///
    /// # Errors
    /// If the system has not so much memory.
    pub fn new(sizes: Sizes) -> Result<Packed> {
        let mut panels = Data::try_zeros(DType::U8, sizes.bytes)?;
        let flags = (0..sizes.flags).map(|_| AtomicU64::new(0)).collect();
        Ok(Packed {
            first: panels.first_mut(),
            _panels: panels,
            flags,
            run: AtomicU64::new(0),
            anew: AtomicU64::new(0),
            steady: sizes.steady,
        })
    }

    /// Starts a run: nothing is packed but what is steady. No other may be under way.
    pub fn start(&self) {
        self.run.fetch_add(1, Ordering::Relaxed);
    }

    /// Starts a run in which nothing is packed at all. No other may be under way.
    pub fn start_anew(&self) {
        self.start();
        self.anew.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether anything is packed in every run.
    pub fn changes(&self) -> bool {
        self.flags.len() > self.steady
    }

    /// The first byte of a place. It may be written while a piece there is being packed, and read once all that is
    /// read has been.
    pub fn at(&self, place: Place) -> *mut u8 {
        self.first.wrapping_add(place.offset)
    }

    /// Sees to it that `count` pieces from flag `first` on are packed. `pack(i)` packs one; it is called once
    /// in a run for each piece, and once for all runs if it is steady, whoever asks.
    pub fn prepare(&self, first: usize, count: usize, mut pack: impl FnMut(usize)) {
        let flags = &self.flags[first..first + count];
        let run = if first < self.steady { &self.anew } else { &self.run };
        let busy = 2 * run.load(Ordering::Relaxed);
        for (i, flag) in flags.iter().enumerate() {
            let found = flag.load(Ordering::Acquire);
            if found < busy && flag.compare_exchange(found, busy, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                let unfinished = Unfinished(flag);
                pack(i);
                std::mem::forget(unfinished);
                flag.store(busy + 1, Ordering::Release);
            }
        }
        for (i, flag) in flags.iter().enumerate() {
            let mut spins = 0_u32;
            while flag.load(Ordering::Acquire) <= busy {
                // Whoever packed it has panicked: then it is ours, so that nobody waits for ever.
                if flag.compare_exchange(0, busy, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                    pack(i);
                    flag.store(busy + 1, Ordering::Release);
                }
                spins += 1;
                if spins.is_multiple_of(128) { std::thread::yield_now() } else { std::hint::spin_loop() }
            }
        }
    }
}

/// Frees a piece whose packing did not end.
struct Unfinished<'a>(&'a AtomicU64);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::{Packed, Sizes, Wanted, places};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Several threads ask for the same pieces at once: each is packed by one of them, and nobody goes on before all are.
    #[test]
    fn a_piece_is_packed_once_in_a_run_and_before_anybody_reads_it() {
        const PIECES: usize = 24;
        let room = Packed::new(Sizes { bytes: 0, flags: PIECES + 3, steady: 0 }).unwrap();
        let packed: Vec<AtomicUsize> = (0..PIECES).map(|_| AtomicUsize::new(0)).collect();
        for run in 1..=200 {
            room.start();
            std::thread::scope(|scope| {
                for first in [0, 5, 11] {
                    let (room, packed) = (&room, &packed);
                    scope.spawn(move || {
                        room.prepare(3 + first, PIECES - first, |piece| {
                            // It takes a while, in which another thread comes to the same piece.
                            (0..5000).for_each(|_| std::hint::spin_loop());
                            packed[first + piece].fetch_add(1, Ordering::Relaxed);
                        });
                        assert!(packed[first..].iter().all(|times| times.load(Ordering::Relaxed) == run));
                    });
                }
            });
        }
    }

    /// What is steady is packed once until everything is packed anew, and nothing else lies in its place.
    #[test]
    fn what_is_steady_is_packed_once_for_several_runs() {
        let wanted = [(64, 2, 3, false), (64, 2, 1, true), (64, 3, 4, false), (64, 1, 2, true)];
        let wanted = wanted.map(|(bytes, pieces, wave, steady)| Wanted { bytes, pieces, waves: (wave, wave), steady });
        let (places, sizes) = places(&wanted);
        assert_eq!((sizes.flags, sizes.steady), (8, 3));
        assert_eq!(places.iter().map(|place| place.flag).collect::<Vec<_>>(), [3, 0, 5, 2]);
        // The two that are read in different waves share a place, those that stay do not.
        assert_eq!((sizes.bytes, places[0].offset), (3 * 64, places[2].offset));
        let room = Packed::new(sizes).unwrap();
        assert!(room.changes());
        let mut packed = [0; 8];
        for run in 0..6 {
            if run % 3 == 0 {
                room.start_anew()
            } else {
                room.start()
            }
            for (place, one) in places.iter().zip(&wanted) {
                room.prepare(place.flag, one.pieces, |i| packed[place.flag + i] += 1);
            }
        }
        assert_eq!(packed, [2, 2, 2, 6, 6, 6, 6, 6]);
    }

    /// A panic while a piece is being packed leaves it to the next who asks.
    #[test]
    fn a_piece_whose_packing_failed_is_packed_by_another() {
        let room = Packed::new(Sizes { bytes: 0, flags: 1, steady: 0 }).unwrap();
        room.start();
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| room.prepare(0, 1, |_| panic!("on purpose"))));
        assert!(failed.is_err());
        let mut packed = 0;
        room.prepare(0, 1, |_| packed += 1);
        room.prepare(0, 1, |_| packed += 1);
        assert_eq!(packed, 1);
    }
}
