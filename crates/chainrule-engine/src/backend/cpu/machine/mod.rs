//! Machine code for runs of elementwise work, on x86-64 with AVX2.
//!
//! ```text
//! fused steps --trace--> Code --emit--> bytes --Pages--> Function
//! ```
//! `trace` turns formulas into `code`, `emit` chooses registers, `encode` knows the bytes of
//! instructions, `pages` the memory that can be run. A function takes a table of pointers and runs
//! over positions, eight at a time.
//!
//! Refuses to know what is computed, and where it cannot run: there is no code then, and whoever
//! asked keeps to loops.

pub mod code;
mod emit;
mod encode;
mod pages;
pub mod trace;

use code::Code;
use pages::Pages;
use std::fmt;
use std::sync::Arc;

/// `(table of pointers, first position, end, mask of lanes)`.
type Entry = unsafe extern "sysv64" fn(*const *mut u8, usize, usize, *const i32);

/// Functions written and not yet placed.
#[derive(Default)]
pub struct Written {
    bytes: Vec<u8>,
}

/// Where the entries of a function are.
#[derive(Clone, Copy, Debug)]
pub struct Entries {
    many: usize,
    blocks: u8,
    one: usize,
    part: usize,
}

/// Functions that can run.
#[derive(Clone)]
pub struct Placed(Arc<Pages>);

/// A function that can run.
#[derive(Clone)]
pub struct Function {
    pages: Arc<Pages>,
    entries: Entries,
}

/// Whether this machine runs such functions.
pub fn available() -> bool {
    use super::level::Level;
    cfg!(all(target_os = "linux", target_arch = "x86_64", not(miri))) && Level::detect() >= Level::Avx2
}

impl Written {
    /// Writes a function.
    pub fn add(&mut self, code: &Code) -> Entries {
        let emitted = emit::emit(code);
        let start = self.bytes.len().next_multiple_of(64);
        self.bytes.resize(start, 0xcc);
        self.bytes.extend(&emitted.bytes);
        let emit::Emitted { many, blocks, one, part, .. } = emitted;
        Entries { many: start + many, blocks, one: start + one, part: start + part }
    }

    /// Puts all functions where they can run; `None` where the system or the machine does not let them.
    pub fn place(self) -> Option<Placed> {
        (available() && !self.bytes.is_empty()).then(|| Pages::new(&self.bytes))?.map(|pages| Placed(Arc::new(pages)))
    }
}

impl Placed {
    /// One of the functions.
    pub fn function(&self, entries: Entries) -> Function {
        Function { pages: self.0.clone(), entries }
    }
}

impl Function {
    /// Runs over positions `0..end`, a multiple of eight that is not 0.
    ///
    /// # Safety
    /// Every pointer of the table is valid for the positions, as the code reads and writes them.
    #[inline]
    pub unsafe fn whole(&self, table: *const *mut u8, end: usize) {
        let Entries { many, blocks, one, .. } = self.entries;
        let most = end - end % (8 * usize::from(blocks));
        // SAFETY: the bytes at the entries are functions of this kind, and the machine has their
        // instructions; both loops have something to do.
        unsafe {
            if most > 0 {
                self.entry(many)(table, 0, most, std::ptr::null());
            }
            if most < end {
                self.entry(one)(table, most, end, std::ptr::null());
            }
        }
    }

    /// Runs over eight positions from `start`, of which only those whose lane of the mask is set are
    /// read and written; those of bytes all.
    ///
    /// # Safety
    /// As [`Function::whole`], for these positions; `mask` is eight numbers, -1 or 0.
    #[inline]
    pub unsafe fn part(&self, table: *const *mut u8, start: usize, mask: *const i32) {
        // SAFETY: as above.
        unsafe { self.entry(self.entries.part)(table, start, start + 8, mask) }
    }

    #[inline]
    unsafe fn entry(&self, offset: usize) -> Entry {
        // SAFETY: the caller names an offset at which a function was written.
        unsafe { std::mem::transmute::<*const u8, Entry>(self.pages.at(offset)) }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Function").field(&self.entries).finish()
    }
}
