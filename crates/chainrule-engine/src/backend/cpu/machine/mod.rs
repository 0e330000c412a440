//! Machine code for runs of elementwise work, on x86-64 with AVX2, or with AVX-512 where the machine has it.
//!
//! ```text
//! fused steps --trace--> Code --emit--> bytes --Pages--> Function
//! ```
//! `trace` turns formulas into `code`; `emit` writes it with `registers` that it is given and the
//! instructions in `opcodes`, of which `encode` knows the bytes, `reduce` what becomes one number for a row; `pages` is
//! the memory that can be run.
//! A function takes a table of pointers and runs over rows of positions, a vector of them at a time.
//!
//! Refuses to know what is computed, and where it cannot run: there is no code then, and whoever
//! asked keeps to loops.

pub mod code;
mod emit;
mod encode;
#[cfg(all(test, target_arch = "x86_64"))]
mod encode_tests;
mod opcodes;
mod pages;
mod reduce;
mod registers;
pub mod trace;
mod truths;

use super::level::Level;
use code::{Code, Instruction};
use emit::Form;
use encode::Encoding;
use pages::Pages;
use rustc_hash::FxHashMap;
use std::fmt;
use std::io::Write;
use std::sync::{Arc, Once, OnceLock};

/// `(table, positions that are walked many at a time, of whole blocks, which are left, rows)`. With VEX, what is left is said by
/// lanes of ones in memory, with EVEX by the bits of the argument itself; by none if nothing is left.
type Call = unsafe extern "sysv64" fn(*mut *mut u8, usize, usize, *const i32, usize) -> u32;

/// Functions of one program: written one after the other, then placed together. Equal ones are
/// written once.
pub struct Written {
    /// `None` where this machine runs no such functions, or nobody wants them.
    bytes: Option<Vec<u8>>,
    known: FxHashMap<(Vec<Instruction>, usize, Encoding), Entry>,
    shelf: Arc<OnceLock<Pages>>,
}

/// Where a function is, and how it walks.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    form: Form,
    /// So many positions are walked together where a row is long enough; 0 if none are.
    many: u8,
}

/// A function that can run once it is placed.
#[derive(Clone)]
pub struct Function {
    shelf: Arc<OnceLock<Pages>>,
    entry: Entry,
}

/// Whether this machine runs such functions.
pub fn available() -> bool {
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

    /// Writes a function of so many operands for a level of vector instructions, or the best below that this
    /// machine has; not where [`Written::is_open`] says no.
    pub fn add(&mut self, code: &Code, ports: usize, level: Level) -> Option<Function> {
        let bytes = self.bytes.as_mut()?;
        let encoding = if level.min(Level::detect()) >= Level::Avx512 { Encoding::Evex } else { Encoding::Vex };
        let list = code.needed(encoding == Encoding::Evex);
        let entry = *self.known.entry((list, ports, encoding)).or_insert_with_key(|(list, ports, encoding)| {
            let form = Form::of(list, *encoding);
            let emitted = emit::emit(list, *ports as u32, form);
            let start = bytes.len().next_multiple_of(64);
            bytes.resize(start, 0xcc);
            bytes.extend(&emitted.bytes);
            Entry { start, form, many: emitted.many }
        });
        Some(Function { shelf: self.shelf.clone(), entry })
    }

    /// Puts all functions where they can run. `false` if the system does not let them, which is said
    /// once: then none of them may be used.
    pub fn place(self) -> bool {
        let Some(bytes) = self.bytes.filter(|bytes| !bytes.is_empty()) else { return true };
        let placed = Pages::new(&bytes).is_some_and(|pages| self.shelf.set(pages).is_ok());
        if !placed {
            say_refused();
        }
        placed
    }
}

/// Whoever wonders why everything takes twice as long finds it on standard error, once in a process.
fn say_refused() {
    static SAID: Once = Once::new();
    // Nobody may be listening, which is no reason to fail.
    SAID.call_once(|| {
        let _ = writeln!(
            std::io::stderr(),
            "chainrule: this system lets the process run no code that it writes (its policy for executable memory), \
             so fused operations are interpreted: the same results, later"
        );
    });
}

/// All ones in the first lanes: eight numbers from the right place on.
static MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

impl Function {
    /// Bytes are read and written for so many positions at a time, also where fewer are left.
    pub fn bytes_at_once(&self) -> usize {
        match self.entry.form.encoding {
            Encoding::Vex => self.entry.form.positions.into(),
            Encoding::Evex => 1,
        }
    }

    /// Runs over rows of `cols` positions each, and says whether anything was reported. The table holds a pointer for each operand,
    /// and then for each the bytes from row to row; the pointers are moved.
    ///
    /// # Safety
    /// The function was placed. Every pointer is valid for all rows and positions, as the code reads
    /// and writes them; those of truths for positions up to a multiple of [`Function::bytes_at_once`].
    #[inline]
    pub unsafe fn run(&self, table: *mut *mut u8, rows: usize, cols: usize) -> bool {
        let Some(pages) = self.shelf.get().filter(|_| rows > 0 && cols > 0) else {
            debug_assert!(rows == 0 || cols == 0, "a function runs after it was placed");
            return false;
        };
        let Entry { form, many, .. } = self.entry;
        // A power of two, and so no division is needed.
        let positions = usize::from(form.positions);
        let rest = cols & (positions - 1);
        let whole = cols - rest;
        let many = match usize::from(many) {
            0 => 0,
            many if many.is_power_of_two() => whole & !(many - 1),
            many => whole - whole % many,
        };
        let left = match form.encoding {
            _ if rest == 0 => std::ptr::null(),
            Encoding::Vex => MASKS[8 - rest..].as_ptr(),
            Encoding::Evex => std::ptr::without_provenance((1 << rest) - 1),
        };
        // SAFETY: the bytes at the start are a function of this kind, the machine has its
        // instructions, and there is a row.
        unsafe {
            let entry = std::mem::transmute::<*const u8, Call>(pages.at(self.entry.start));
            entry(table, many, whole, left, rows) != 0
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
