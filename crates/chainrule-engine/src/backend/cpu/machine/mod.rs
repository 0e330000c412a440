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

use code::{Code, Instruction};
use pages::Pages;
use rustc_hash::FxHashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// `(table, positions of many blocks, of whole blocks, mask of the rest, rows)`.
type Call = unsafe extern "sysv64" fn(*mut *mut u8, usize, usize, *const i32, usize) -> u32;

/// Functions of one program: written one after the other, then placed together. Equal ones are
/// written once.
pub struct Written {
    /// `None` where this machine runs no such functions, or nobody wants them.
    bytes: Option<Vec<u8>>,
    known: FxHashMap<(Vec<Instruction>, usize), Entry>,
    shelf: Arc<OnceLock<Pages>>,
}

/// Where a function is, and how it walks.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    blocks: u8,
}

/// A function that can run once it is placed.
#[derive(Clone)]
pub struct Function {
    shelf: Arc<OnceLock<Pages>>,
    entry: Entry,
}

/// Whether this machine runs such functions.
pub fn available() -> bool {
    use super::level::Level;
    cfg!(all(target_os = "linux", target_arch = "x86_64", not(miri))) && Level::detect() >= Level::Avx2
}

/// What `make` makes with functions that are then placed, or without any if they cannot be.
pub fn placed<T>(make: impl Fn(&mut Written) -> T) -> T {
    let mut written = Written::new();
    let made = make(&mut written);
    if written.place() { made } else { make(&mut Written::none()) }
}

impl Written {
    /// No functions yet, and none ever where they cannot run.
    pub fn new() -> Written {
        Written { bytes: available().then(Vec::new), ..Written::none() }
    }

    /// A list that takes no functions.
    pub fn none() -> Written {
        Written { bytes: None, known: FxHashMap::default(), shelf: Arc::default() }
    }

    /// Whether functions may be added.
    pub fn is_open(&self) -> bool {
        self.bytes.is_some()
    }

    /// Writes a function of so many operands; not where [`Written::is_open`] says no.
    pub fn add(&mut self, code: &Code, ports: usize) -> Option<Function> {
        let bytes = self.bytes.as_mut()?;
        let entry = *self.known.entry((code.without_dead(), ports)).or_insert_with_key(|(list, ports)| {
            let emitted = emit::emit(list, *ports as u32);
            let start = bytes.len().next_multiple_of(64);
            bytes.resize(start, 0xcc);
            bytes.extend(&emitted.bytes);
            Entry { start, blocks: emitted.blocks }
        });
        Some(Function { shelf: self.shelf.clone(), entry })
    }

    /// Puts all functions where they can run. `false` if the system does not let them: then none of
    /// them may be used.
    pub fn place(self) -> bool {
        match self.bytes {
            Some(bytes) if !bytes.is_empty() => Pages::new(&bytes).is_some_and(|pages| self.shelf.set(pages).is_ok()),
            _ => true,
        }
    }
}

/// All ones in the first lanes: eight numbers from the right place on.
static MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

impl Function {
    /// Runs over rows of `cols` positions each, and says whether anything was reported. The table holds a pointer for each operand,
    /// and then for each the bytes from row to row; the pointers are moved.
    ///
    /// # Safety
    /// The function was placed. Every pointer is valid for all rows and positions, as the code reads
    /// and writes them; those of truths for positions up to a multiple of eight.
    #[inline]
    pub unsafe fn run(&self, table: *mut *mut u8, rows: usize, cols: usize) -> bool {
        let Some(pages) = self.shelf.get().filter(|_| rows > 0 && cols > 0) else {
            debug_assert!(rows == 0 || cols == 0, "a function runs after it was placed");
            return false;
        };
        let whole = cols / 8 * 8;
        let many = if self.entry.blocks > 1 { whole - whole % (8 * usize::from(self.entry.blocks)) } else { 0 };
        let mask = if whole < cols { MASKS[8 - (cols - whole)..].as_ptr() } else { std::ptr::null() };
        // SAFETY: the bytes at the start are a function of this kind, the machine has its
        // instructions, and there is a row.
        unsafe {
            let entry = std::mem::transmute::<*const u8, Call>(pages.at(self.entry.start));
            entry(table, many, whole, mask, rows) != 0
        }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Function").field(&self.entry).finish()
    }
}

#[cfg(test)]
mod tests;
