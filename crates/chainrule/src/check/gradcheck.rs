//! Every derivative of a function of yours, held against differences of its values.
//!
//! Works in f64 alone: in f32 a difference has no digits left to judge a derivative by. Refuses to say that a function
//! is right where it was not asked: it looks near the inputs given, and where a function has a kink within the step
//! the differences are those of both sides.

mod modes;
mod report;

pub use report::{Entry, GradReport, Mode, Subject};

use chainrule_engine::{DType, Error, ErrorKind, Result, Tensor};
use modes::Checked;

/// How derivatives are checked. The default serves functions whose arguments are of the order of one.
///
/// ```
/// use chainrule::{check::GradCheck, prelude::*};
/// let x = Tensor::from_slice(&[0.3, 0.7], [2]);
/// let strict = GradCheck { tolerance: 1e-9, ..GradCheck::default() };
/// assert!(strict.run(|x| x[0].tanh(), &[&x])?.passed());
/// # Ok::<(), chainrule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradCheck {
    /// How far a derivative may be from its difference, as a part of the largest of its tensor: 1e-6.
    pub tolerance: f64,
    /// How far an argument is moved, as a part of it, or of 1 where it is smaller: 1e-3. The error of a difference is of the fourth
    /// order in it.
    pub step: f64,
    /// How many elements of each tensor are moved by themselves, evenly spaced: 256.
    pub most: usize,
    /// Whether derivatives of derivatives are checked, too.
    pub second_order: bool,
    /// Whether two examples at once are held against one by one.
    pub batched: bool,
}

impl Default for GradCheck {
    fn default() -> GradCheck {
        GradCheck { tolerance: 1e-6, step: 1e-3, most: 256, second_order: true, batched: true }
    }
}

/// Checks the derivatives of `function` at `inputs`, with the settings of [`GradCheck::default`].
///
/// The function is given tensors of the inputs' shapes and types, and records any float64 tensor of them. Checked are
/// reverse mode (the gradient by each element), forward mode (along a random direction), both over reverse mode
/// (second derivatives), and reverse mode under [`vmap`](chainrule_engine::transform::vmap). Inputs of integers, indices say, are handed on as they are.
///
/// ```
/// use chainrule::{check::gradcheck, prelude::*};
/// let x = Tensor::from_slice(&[0.5, -1.0, 2.0, 0.25], [2, 2]);
/// let w = Tensor::from_slice(&[1.0, 3.0], [2]);
/// let report = gradcheck(|given| given[0].matmul(&given[1]).sigmoid(), &[&x, &w])?;
/// report.assert_passed();
///
/// // A derivative that is cut on one of two paths is there, and wrong.
/// let report = gradcheck(|given| &given[0] * given[0].detach(), &[&x])?;
/// assert!(!report.passed());
/// assert!(report.to_string().contains("reverse"), "{report}");
/// # Ok::<(), chainrule::Error>(())
/// ```
///
/// # Errors
/// If a float input or the result is not of f64, if there is no float input or no element to differentiate by, if the
/// function makes a mistake, or if its result does not depend on a float input: that is no derivative that is wrong,
/// but one that is not there.
#[track_caller]
pub fn gradcheck(function: impl Fn(&[Tensor]) -> Tensor, inputs: &[&Tensor]) -> Result<GradReport> {
    GradCheck::default().run(function, inputs)
}

impl GradCheck {
    /// As [`gradcheck`], with these settings.
    ///
    /// # Errors
    /// As [`gradcheck`], or if a setting is no positive number.
    #[track_caller]
    pub fn run(&self, function: impl Fn(&[Tensor]) -> Tensor, inputs: &[&Tensor]) -> Result<GradReport> {
        self.check_settings()?;
        let checked = Checked::new(self, &function, inputs)?;
        let mut report = GradReport::new(self.tolerance);
        checked.reverse(&mut report)?;
        checked.forward(&mut report)?;
        if self.second_order {
            checked.over_reverse(&mut report)?;
        }
        if self.batched {
            checked.batched(&mut report)?;
        }
        report.sort();
        Ok(report)
    }

    fn check_settings(&self) -> Result<()> {
        let positive = |number: f64| number > 0.0 && number.is_finite();
        if positive(self.tolerance) && positive(self.step) && self.most > 0 {
            return Ok(());
        }
        Err(mistake(ErrorKind::Argument, format!("tolerance, step and most are positive numbers, not {self:?}")))
    }
}

fn mistake(kind: ErrorKind, message: String) -> Error {
    Error::new(kind, "gradcheck", message)
}

/// Refuses what is not f64.
fn refuse_other(what: &str, tensor: &Tensor) -> Result<()> {
    match tensor.dtype() {
        DType::F64 => Ok(()),
        other => Err(mistake(ErrorKind::DType, format!("{what} is {other}; differences need f64: convert with `cast`"))),
    }
}
