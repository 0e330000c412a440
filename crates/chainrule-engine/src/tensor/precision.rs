//! How exact the products of f32 numbers have to be: a value of a runtime, or of a part of a recording.
//!
//! The precision of a part is kept per thread while its closure runs, written into the products that are
//! recorded meanwhile, and never asked again: a derivative has the precision of what it differentiates,
//! wherever it is taken. Refuses to change anything but products (`matmul`, `einsum`, convolution, attention)
//! of f32 tensors.

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;

/// How products of f32 numbers are computed. Results stay f32 in every precision, and for each of them have the
/// same bits on any number of threads.
///
/// The names promise a least accuracy; what a machine does to keep it is its own matter:
///
/// | precision | promise | with matrix tiles (Intel AMX) | with AVX512_BF16 alone | elsewhere |
/// |---|---|---|---|---|
/// | `Exact` | one rounding for each multiply-add in f32 | as elsewhere | as elsewhere | f32 |
/// | `Full` | an error against f64 no larger than that of `Exact` | three bf16 parts of each number, six products | as elsewhere | f32 |
/// | `High` | about 16 bits of each operand | two bf16 parts, three products | as elsewhere | f32 |
/// | `Mixed` | operands rounded to bf16 (8 bits), sums in f32 | bf16 | bf16, in pairs | rounded, then f32 |
///
/// Errors in `Full` and `High` are measured over the whole product (Frobenius norm, relative to that of the result);
/// single elements that cancel may differ more, as they do with any other order of the sum. Numbers that
/// parts cannot hold (infinities, NaN, rows of nothing but tiny numbers) are computed as in `Exact`. `Mixed` follows
/// the rounding of IEEE 754 (to nearest, ties to even); a number beyond the largest bf16 becomes infinite, and
/// instructions for bf16 take numbers below 2^-126 for zero. Products too small for these are rounded, then f32.
///
/// A product of two vectors or of corresponding elements (no axis that only one operand has) is a sum of
/// elementwise products, and always `Exact`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Precision {
    /// One rounding for each multiply-add in f32.
    Exact,
    /// Any algorithm whose error is no larger than that of `Exact`.
    #[default]
    Full,
    /// Two halves of 8 bits of each number.
    High,
    /// Operands rounded to bf16, sums in f32. What is not a product stays f32: parameters and their updates, too.
    Mixed,
}

thread_local! {
    static CHOSEN: Cell<Option<Precision>> = const { Cell::new(None) };
}

impl Precision {
    /// All, the most exact first.
    pub const ALL: [Precision; 4] = [Precision::Exact, Precision::Full, Precision::High, Precision::Mixed];

    /// Its name in texts and on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Exact => "exact",
            Precision::Full => "full",
            Precision::High => "high",
            Precision::Mixed => "mixed",
        }
    }

    /// Runs `body`: products recorded inside have this precision, whatever that of the runtime is, and so
    /// have their derivatives. Scopes nest; the innermost counts.
    ///
    /// ```
    /// use chainrule_engine::{Precision, Tensor};
    /// let (x, w) = (Tensor::from_slice(&[1.0f32 + 1.0 / 1024.0, 0.0], [1, 2]), Tensor::from_slice(&[1.0f32, 0.0], [2, 1]));
    /// let coarse = Precision::Mixed.scope(|| x.matmul(&w));
    /// assert_eq!(coarse.to_vec::<f32>()?, [1.0]);
    /// assert_eq!(x.matmul(&w).to_vec::<f32>()?, [1.0 + 1.0 / 1024.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    pub fn scope<R>(self, body: impl FnOnce() -> R) -> R {
        let _restore = Restore(CHOSEN.replace(Some(self)));
        body()
    }

    /// That of the innermost scope that is open on this thread.
    pub(crate) fn chosen() -> Option<Precision> {
        CHOSEN.get()
    }
}

/// Puts the outer precision back when a scope ends, also by unwinding.
struct Restore(Option<Precision>);

impl Drop for Restore {
    fn drop(&mut self) {
        CHOSEN.set(self.0);
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Precision, String> {
        let found = Precision::ALL.into_iter().find(|precision| precision.name() == name);
        found.ok_or_else(|| format!("there is no precision '{name}'; there are {}", Precision::ALL.map(Precision::name).join(", ")))
    }
}
