//! Machine code for runs of elementwise work, on x86-64 with AVX2.
//!
//! ```text
//! fused steps --trace--> Code --emit--> bytes --Pages--> Function
//! ```
//! `trace` turns formulas into `code`, `emit` chooses registers, `encode` knows the bytes of
//! instructions, `pages` the memory that can be run. A function takes a table of pointers and runs
//! over rows of positions, eight at a time.
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

/// `(table, positions of many blocks, of whole blocks, mask of the rest, rows)`.
type Entry = unsafe extern "sysv64" fn(*mut *mut u8, usize, usize, *const i32, usize);

/// Functions written and not yet placed.
#[derive(Default)]
pub struct Written {
    bytes: Vec<u8>,
}

/// Where a function is, and how it walks.
#[derive(Clone, Copy, Debug)]
pub struct Entries {
    start: usize,
    blocks: u8,
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
    /// Writes a function of so many operands.
    pub fn add(&mut self, code: &Code, ports: usize) -> Entries {
        let emitted = emit::emit(code, ports as u32);
        let start = self.bytes.len().next_multiple_of(64);
        self.bytes.resize(start, 0xcc);
        self.bytes.extend(&emitted.bytes);
        Entries { start, blocks: emitted.blocks }
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

/// All ones in the first lanes: eight numbers from the right place on.
static MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

impl Function {
    /// Runs over rows of `cols` positions each. The table holds a pointer for each operand,
    /// and then for each the bytes from row to row; the pointers are moved.
    ///
    /// # Safety
    /// Every pointer is valid for all rows and positions, as the code reads and writes them; those
    /// of truths for positions up to a multiple of eight.
    #[inline]
    pub unsafe fn run(&self, table: *mut *mut u8, rows: usize, cols: usize) {
        let whole = cols / 8 * 8;
        let many = if self.entries.blocks > 1 { whole - whole % (8 * usize::from(self.entries.blocks)) } else { 0 };
        let mask = if whole < cols { MASKS[8 - (cols - whole)..].as_ptr() } else { std::ptr::null() };
        if rows == 0 || cols == 0 {
            return;
        }
        // SAFETY: the bytes at the start are a function of this kind, the machine has its
        // instructions, and there is a row.
        unsafe {
            let entry = std::mem::transmute::<*const u8, Entry>(self.pages.at(self.entries.start));
            entry(table, many, whole, mask, rows);
        }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Function").field(&self.entries).finish()
    }
}

#[cfg(test)]
mod tests;
