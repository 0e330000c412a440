//! Which parameters of a model receive a gradient from a loss, as a table.
//!
//! Refuses to judge values: a gradient that is there may be zero everywhere, or wrong.

use crate::nn::Module;
use crate::train::distinct;
use chainrule_engine::transform::{self, Reach};
use chainrule_engine::{Result, Tensor};
use std::fmt;

/// How each parameter of a model stands to a loss. Printed, it is a table.
#[derive(Clone, Debug)]
pub struct Audit(Vec<Audited>);

/// One parameter.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Audited {
    /// Its name in the model.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Whether a gradient reaches it, and what stops it if not.
    pub reach: Reach,
}

/// For every parameter of `model`, whether the gradient of the scalar `loss` reaches it, and if not, which operation on
/// which source line cuts the path. A parameter that stands in a model twice is told once.
///
/// ```
/// use chainrule::{check::audit, prelude::*};
/// let mut rng = Rng::new(0);
/// let model = (Linear::new(3, 4, &mut rng), Linear::new(4, 1, &mut rng));
/// let hidden = model.0.forward(&Tensor::ones([2, 3])).detach();
/// let loss = model.1.forward(&hidden).square().mean();
/// let found = audit(&loss, &model)?;
/// assert!(!found.is_complete());
/// let missing: Vec<&str> = found.missing().map(|row| row.name.as_str()).collect();
/// assert_eq!(missing, ["0.weight", "0.bias"]);
/// assert!(found.to_string().contains("cut by `detach` at"), "{found}");
/// # Ok::<(), chainrule::Error>(())
/// ```
///
/// # Errors
/// If `loss` is no scalar of a float type, or stands for a mistake.
#[track_caller]
pub fn audit<M: Module>(loss: &Tensor, model: &M) -> Result<Audit> {
    Audit::of(loss, &distinct(model))
}

impl Audit {
    #[track_caller]
    pub(crate) fn of(loss: &Tensor, named: &[(String, Tensor)]) -> Result<Audit> {
        let parameters: Vec<&Tensor> = named.iter().map(|(_, tensor)| tensor).collect();
        let reaches = transform::audit(loss, &parameters)?;
        let row =
            |((name, tensor), reach): (&(String, Tensor), Reach)| Audited { name: name.clone(), shape: tensor.shape().to_vec(), reach };
        Ok(Audit(named.iter().zip(reaches).map(row).collect()))
    }

    /// All parameters, in the order of declaration.
    pub fn parameters(&self) -> &[Audited] {
        &self.0
    }

    /// Those that receive no gradient, or one that is zero by declaration.
    pub fn missing(&self) -> impl Iterator<Item = &Audited> {
        self.0.iter().filter(|row| !row.reach.is_gradient())
    }

    /// Whether every parameter receives a gradient.
    pub fn is_complete(&self) -> bool {
        self.missing().next().is_none()
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes: Vec<String> = self.0.iter().map(|row| format!("{:?}", row.shape)).collect();
        let name = self.0.iter().map(|row| row.name.len()).max().unwrap_or(0);
        let shape = shapes.iter().map(String::len).max().unwrap_or(0);
        for (row, text) in self.0.iter().zip(&shapes) {
            writeln!(f, "{:name$}  {text:shape$}  {}", row.name, row.reach)?;
        }
        write!(f, "{} of {} parameters receive a gradient", self.0.len() - self.missing().count(), self.0.len())
    }
}
