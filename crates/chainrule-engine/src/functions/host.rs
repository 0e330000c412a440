//! Functions of the host in a graph.

use super::first_mistake;
use crate::ops::host::Hosted;
use crate::ops::{HostCall, HostFunction};
use crate::tensor::Tensor;
use std::sync::Arc;

/// The result of a function that is computed on the host, by code of yours: a decomposition of a matrix, a simulation,
/// a table look-up. The first `batch` axes, the same of every input, count examples, and the function is called for each
/// of them, on as many threads as there are; [`vmap`](crate::transform::vmap) adds one more such axis.
///
/// There is one result. A function of several writes them one behind the other; parts of a tensor are views, and cost
/// nothing. The result has no derivative, and asking for one is an error, unless
/// [`custom_derivative`](crate::transform::custom_derivative) gives it one: the rule is recorded, and thereby has
/// derivatives itself. A rule may record host calls of its own.
///
/// ```
/// use chainrule_engine::ops::{CustomRule, HostArray, HostFunction};
/// use chainrule_engine::tensor::Shape;
/// use chainrule_engine::{Result, Tensor, functions::host_call, transform::custom_derivative};
///
/// /// The number w such that w e^w = x, for x of at least 0, by Newton's method.
/// struct Lambert;
///
/// impl HostFunction for Lambert {
///     fn name(&self) -> &str {
///         "lambert_w"
///     }
///     fn infer(&self, shapes: &[&[usize]]) -> Result<Shape, String> {
///         Ok(shapes[0].into())
///     }
///     fn evaluate(&self, inputs: &[HostArray<'_, f64>], output: &mut [f64]) -> Result<(), String> {
///         for (w, &x) in output.iter_mut().zip(inputs[0].values) {
///             if x < 0.0 {
///                 return Err(format!("{x} is less than 0"));
///             }
///             *w = x.ln_1p();
///             for _ in 0..30 {
///                 *w -= (*w - x * (-*w).exp()) / (1.0 + *w);
///             }
///         }
///         Ok(())
///     }
/// }
///
/// /// w' = 1 / (e^w (1 + w)), of every order, as the rule is recorded.
/// impl CustomRule for Lambert {
///     fn name(&self) -> &str {
///         "lambert_w"
///     }
///     fn vjp(&self, _: &[Tensor], w: &Tensor, cotangent: &Tensor) -> Result<Vec<Option<Tensor>>> {
///         Ok(vec![Some(cotangent / (w.exp() * (w + 1.0)))])
///     }
/// }
///
/// fn lambert_w(x: &Tensor) -> Tensor {
///     custom_derivative(&host_call(Lambert, &[x], x.rank()), &[x], Lambert)
/// }
///
/// let x = Tensor::f64([0.0, std::f64::consts::E]);
/// let w = lambert_w(&x);
/// let slope = w.sum().grad(&[&x])?.remove(0);
/// assert_eq!(w.to_vec::<f64>()?, [0.0, 1.0]);
/// assert!((slope.to_vec::<f64>()?[1] - 0.5 / std::f64::consts::E).abs() < 1e-15);
/// let error = lambert_w(&Tensor::f64([-1.0])).to_vec::<f64>().unwrap_err().to_string();
/// assert!(error.starts_with("lambert_w at") && error.ends_with("-1 is less than 0"), "{error}");
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
///
/// Inputs are f32 or f64, all of one type, and so is the result. Inputs of another type, without so many leading axes in
/// common, or of shapes that the function refuses give a poisoned tensor. A panic in the function is an error of the evaluation.
#[track_caller]
pub fn host_call(function: impl HostFunction, inputs: &[&Tensor], batch: usize) -> Tensor {
    if let Some(mistake) = first_mistake(inputs) {
        return mistake;
    }
    let call = HostCall { function: Hosted(Arc::new(function)), batch: u32::try_from(batch).unwrap_or(u32::MAX) };
    Tensor::record(call, inputs.iter().map(|&input| input.clone()))
}
