//! What can be wrong with a problem that is to be solved: what, where, and what to do.

use chainrule_engine::Error;
use std::fmt;

/// A problem that could not be solved as it was given.
///
/// That a solver ran out of iterations is no error but a reason for stopping; see
/// [`super::Stopped`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SolveError {
    /// The function cannot be recorded, differentiated or evaluated.
    Function(Error),
    /// There is nothing to solve for: no parameters, or all of them are empty.
    NoParameters,
    /// A first guess is NaN or infinite.
    Guess {
        /// Which of the first guesses, from 0.
        guess: usize,
    },
    /// The function or its derivative is NaN or infinite where it must not be.
    NotFinite {
        /// What is not finite, such as `the residuals`.
        what: &'static str,
        /// How many iterations were done before.
        iteration: usize,
    },
    /// Fewer equations than unknowns: least squares would have many answers, standard errors none.
    TooFew {
        /// How many residuals there are.
        residuals: usize,
        /// How many numbers are looked for.
        parameters: usize,
    },
    /// The function gives a result of another shape than it must have.
    Shape {
        /// What it must be.
        expected: Vec<usize>,
        /// What it is.
        found: Vec<usize>,
    },
    /// A matrix has no inverse, to the precision of its numbers.
    Singular {
        /// What the matrix is, such as `the Jacobian`.
        matrix: &'static str,
        /// The first column, from 0, that is a combination of those before it: for a Jacobian, the
        /// number of the parameter when all are counted in one row.
        column: usize,
    },
    /// A symmetric matrix is not positive definite.
    NotPositiveDefinite {
        /// The first row, from 0, of the smallest leading part that is not.
        row: usize,
    },
    /// A setting of the solver is outside what is allowed.
    Setting {
        /// The setting's name.
        name: &'static str,
        /// What it must be, such as `at least 1`.
        allowed: &'static str,
    },
    /// The iterations ended without a root or fixed point, so there is nothing to differentiate.
    NoConvergence {
        /// How many iterations were done.
        iterations: usize,
        /// The largest residual that was left.
        residual: f64,
    },
}

impl From<Error> for SolveError {
    fn from(error: Error) -> SolveError {
        SolveError::Function(error)
    }
}

impl std::error::Error for SolveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SolveError::Function(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for SolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SolveError::Function(error) => error.fmt(f),
            SolveError::NoParameters => f.write_str("there is nothing to solve for; give at least one number as a first guess"),
            SolveError::Guess { guess } => write!(f, "first guess {guess} is NaN or infinite; start from finite numbers"),
            SolveError::NotFinite { what, iteration } => write!(
                f,
                "{what} came out NaN or infinite after {iteration} iterations; start from where the function is finite, or write it \
                 so that it stays finite"
            ),
            SolveError::TooFew { residuals, parameters } => {
                write!(f, "{residuals} residuals cannot determine {parameters} parameters; give more data, or fix some parameters")
            }
            SolveError::Shape { expected, found } => {
                write!(f, "the function gives a result of shape {found:?}, not {expected:?}; reshape it")
            }
            SolveError::Singular { matrix, column } => write!(
                f,
                "{matrix} is singular: column {column} is a combination of the columns before it, so this unknown cannot be told from \
                 the others; leave it out, or start elsewhere"
            ),
            SolveError::NotPositiveDefinite { row } => {
                write!(f, "the matrix is not positive definite (found in row {row}); only a symmetric one with positive eigenvalues is")
            }
            SolveError::Setting { name, allowed } => write!(f, "the setting `{name}` must be {allowed}"),
            SolveError::NoConvergence { iterations, residual } => write!(
                f,
                "no solution after {iterations} iterations, the largest residual is {residual:e}; allow more iterations, or start nearer"
            ),
        }
    }
}
