//! Scaled dot-product attention. Splitting into heads and dropout are a layer's business.

use super::{first_mistake, misfit, recorded, refuse_mixed};
use crate::ops::{Iota, dtype_error};
use crate::tensor::shape::broadcast_shapes;
use crate::tensor::{DType, Shape, Tensor, Type};

/// How [`attention`] weighs keys.
#[derive(Clone, Default)]
pub struct AttentionOptions {
    /// Whether a query sees only the keys up to its own place. The last query is at the place of
    /// the last key, also where there are more keys than queries (a cache of earlier ones).
    pub causal: bool,
    /// Bool: true where a query may see a key. Float: added to the scores. Its shape must
    /// broadcast to `[.., queries, keys]`.
    pub mask: Option<Tensor>,
    /// What scores are multiplied by; `1 / sqrt(width)` if not given.
    pub scale: Option<f64>,
}

/// `softmax(q k^T scale) v`: queries `[.., t, d]`, keys `[.., s, d]`, values `[.., s, e]` give
/// `[.., t, e]`; leading axes broadcast. Vaswani et al., "Attention Is All You Need" (2017).
///
/// A query that may see no key at all gives zeros and passes no gradient.
///
/// ```
/// use chainrule_engine::{Tensor, functions::{AttentionOptions, attention}};
/// let q = Tensor::from_slice(&[1.0f32, 0.0, 0.0, 1.0], [2, 2]);
/// let options = AttentionOptions { causal: true, ..Default::default() };
/// let y = attention(&q, &q, &q, &options).to_vec::<f32>()?;
/// assert_eq!(y[..2], [1.0, 0.0]); // The first query sees the first key alone.
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, options: &AttentionOptions) -> Tensor {
    if let Some(mistake) = refuse_mixed("attention", &[q, k, v]) {
        return mistake;
    }
    let (keys, values) = (k.shape(), v.shape());
    if values.len() < 2 || keys.len() < 2 || values[values.len() - 2] != keys[keys.len() - 2] {
        return misfit("attention", format!("keys {keys:?} and values {values:?} are not [.., s, d] and [.., s, e]"));
    }
    let weights = match weights("attention", q, k, options) {
        Ok(weights) => weights,
        Err(mistake) => return mistake,
    };
    if broadcast_shapes(&weights.shape()[..weights.rank() - 2], &values[..values.len() - 2]).is_err() {
        return misfit("attention", format!("leading axes of values {values:?} do not broadcast with those of {:?}, {keys:?}", q.shape()));
    }
    weights.matmul(v)
}

/// The weights `softmax(q k^T scale)` of [`attention`], `[.., t, s]`, for layers that drop some.
#[track_caller]
pub fn attention_weights(q: &Tensor, k: &Tensor, options: &AttentionOptions) -> Tensor {
    match refuse_mixed("attention_weights", &[q, k]) {
        Some(mistake) => mistake,
        None => weights("attention_weights", q, k, options).unwrap_or_else(|mistake| mistake),
    }
}

#[track_caller]
fn weights(name: &str, q: &Tensor, k: &Tensor, options: &AttentionOptions) -> Result<Tensor, Tensor> {
    let shape = score_shape(name, q, k, options.mask.as_ref())?;
    let width = q.shape()[q.rank() - 1].max(1);
    Ok(recorded(|| {
        // The smaller side is scaled, and before the product, which in f16 might overflow.
        let scaled = q * options.scale.unwrap_or(1.0 / (width as f64).sqrt());
        let mut scores = scaled.matmul(&k.t());
        let hidden = Tensor::full(scores.shape(), f64::NEG_INFINITY, scores.dtype());
        if let Some(mask) = &options.mask {
            scores = match mask.dtype() {
                DType::Bool => mask.select(&scores, &hidden),
                _ => scores + mask,
            };
        }
        if options.causal {
            scores = later_keys(&shape).select(&hidden, &scores);
        }
        scores.softmax(-1)
    }))
}

/// Which keys come after their query, `[t, s]`.
fn later_keys(scores: &[usize]) -> Tensor {
    let square = &scores[scores.len() - 2..];
    let place = |axis| Tensor::record(Iota { axis, ty: Type::new(square, DType::I64) }, []);
    let (queries, keys) = (square[0], square[1]);
    let query = if queries == keys { place(0) } else { place(0) + Tensor::full(square, keys as f64 - queries as f64, DType::I64) };
    query.less(&place(1))
}

/// The shape `[.., t, s]` of the scores.
#[track_caller]
fn score_shape(name: &str, q: &Tensor, k: &Tensor, mask: Option<&Tensor>) -> Result<Shape, Tensor> {
    let (a, b) = (q.shape(), k.shape());
    if a.len() < 2 || b.len() < 2 || a[a.len() - 1] != b[b.len() - 1] {
        return Err(misfit(name, format!("queries {a:?} and keys {b:?} are not [.., t, d] and [.., s, d]")));
    }
    let Ok(mut shape) = broadcast_shapes(&a[..a.len() - 2], &b[..b.len() - 2]) else {
        return Err(misfit(name, format!("leading axes of queries {a:?} and keys {b:?} do not broadcast")));
    };
    shape.extend([a[a.len() - 2], b[b.len() - 2]]);
    let Some(mask) = mask else { return Ok(shape) };
    if let Some(mistake) = first_mistake(&[mask]) {
        return Err(mistake);
    }
    if mask.dtype() != DType::Bool && mask.dtype() != q.dtype() {
        let message = format!("the mask is {}, neither bool nor {}; convert with `cast`", mask.dtype(), q.dtype());
        return Err(Tensor::poison(dtype_error(name, message)));
    }
    match broadcast_shapes(mask.shape(), &shape) {
        Ok(joint) if joint == shape => Ok(shape),
        _ => Err(misfit(name, format!("the mask {:?} does not broadcast to the scores {shape:?}", mask.shape()))),
    }
}
