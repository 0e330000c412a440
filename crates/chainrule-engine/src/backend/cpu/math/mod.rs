//! Element functions of the CPU backend: exp, log, log1p, expm1, tanh,
//! sech, sigmoid, softplus, erf, atan, sin, cos and pow, for f32 ([`single`],
//! [`formula`]) and f64 ([`double`], [`formula_double`]).
//!
//! Every function is straight-line code: no branches, no tables, no calls, and
//! no float-to-integer conversion (integers are read from the low bits of a
//! number to which a large constant was added). A plain loop over a slice,
//! inside a function compiled for AVX-512, AVX2, NEON or nothing special, thus
//! becomes vector code, and its body and its remainder give the same bits.
//!
//! `FMA` says whether `a * b + c` is rounded once (`mul_add`, where the machine
//! has the instruction) or twice. Each choice gives its own bits and both keep
//! the stated accuracy; on a machine without the instruction `FMA = true` is
//! right but calls the system library for each step.
//!
//! Errors are stated in ULP: multiples of the distance between neighbouring
//! floats at the exact result. They were measured, not proven: for f32 against
//! f64 at every 61st of all bit patterns, for f64 against figures of many digits
//! at some 15 thousand points a function, with `FMA` and without.
//!
//! This module refuses to set floating-point flags, to keep the payload or the
//! sign of a NaN, and to honour any rounding but to-nearest-even.

/// The polynomial with the given coefficients, lowest power first, by Horner's
/// rule: fewest operations, and a loop over elements hides the latency.
macro_rules! polynomial {
    ($x:expr; $lowest:expr) => { $x.of($lowest) };
    ($x:expr; $lowest:expr, $($higher:expr),+ $(,)?) => {
        polynomial!($x; $($higher),+).fma($x, $x.of($lowest))
    };
}

pub mod double;
pub mod formula;
pub mod formula_double;
pub mod real;
pub mod single;

#[cfg(test)]
mod tests;
