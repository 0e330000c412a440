//! Which tensors receive a gradient, and what stops it on the way to the others.
//!
//! Records the backward pass and throws it away: it evaluates nothing, and says nothing of values.
//! A gradient that is recorded can still turn out to be zero everywhere (of a unit that never is
//! active, say).

use super::cut::{Obstacle, first, first_zero};
use super::reverse::{Arrived, arrivals, scalar};
use crate::tensor::{Result, Tensor};
use std::fmt;

/// How a tensor stands to a loss.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reach {
    /// It receives a gradient.
    Gradient,
    /// Its gradient is zero by declaration, as behind a `floor`; the operation, where one is in the graph (a rule of
    /// a user's may declare zeros, too).
    Zero(Option<Obstacle>),
    /// The loss depends on it, but every path is cut: where, seen from the loss, the first one is.
    Cut(Obstacle),
    /// The loss does not depend on it.
    Independent,
}

impl Reach {
    /// Whether it receives a gradient that may be other than zero.
    pub fn is_gradient(&self) -> bool {
        matches!(self, Reach::Gradient)
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reach::Gradient => f.write_str("receives a gradient"),
            Reach::Zero(Some(by)) => write!(f, "receives zeros: every path leads through {by}"),
            Reach::Zero(None) => f.write_str("receives zeros: a rule on every path declares them"),
            Reach::Cut(by) => write!(f, "receives none: the path is cut by {by}"),
            Reach::Independent => f.write_str("receives none: the loss does not depend on it"),
        }
    }
}

/// For each of `wrt`, whether the gradient of the scalar `loss` reaches it, and if not, which operation on which
/// source line stops it.
///
/// # Errors
/// If `loss` is no scalar of a float type, or one of the tensors stands for a mistake.
///
/// ```
/// use chainrule_engine::{Tensor, transform::{audit, Reach}};
/// let (a, b, c) = (Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0]), Tensor::from([5.0]));
/// let loss = (&a * b.detach()).sum();
/// let found = audit(&loss, &[&a, &b, &c])?;
/// assert!(found[0].is_gradient());
/// assert!(found[1].to_string().contains("cut by `detach`"));
/// assert!(matches!(found[2], Reach::Independent));
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn audit(loss: &Tensor, wrt: &[&Tensor]) -> Result<Vec<Reach>> {
    scalar("audit", loss)?;
    let arrived = arrivals(&[loss], &[&loss.ones_like()], wrt)?;
    let reach = |(arrived, x): (Arrived, &&Tensor)| match arrived {
        Arrived::Cotangent(_) => Reach::Gradient,
        Arrived::Zero => Reach::Zero(first_zero(loss, x)),
        Arrived::Nothing => first(loss, x).map_or(Reach::Independent, Reach::Cut),
    };
    Ok(arrived.into_iter().zip(wrt).map(reach).collect())
}
