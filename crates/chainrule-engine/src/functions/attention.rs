//! Scaled dot-product attention. Splitting into heads is a layer's business; places are in [`super::position`].
//!
//! The scores of all queries and keys are never in memory at once where they are many: blocks of queries are
//! attended to one after the other, and of a causal attention each block meets the keys up to its last query
//! only, which saves nearly half of the work.

use super::softmax::Shifted;
use super::{disallowed, first_mistake, misfit, recorded, refuse_mixed};
use crate::ops::movement::Axes;
use crate::ops::{Concat, Iota, Slice, dtype_error};
use crate::tensor::shape::broadcast_shapes;
use crate::tensor::{DType, Rng, Shape, Tensor, Type};
use crate::transform::checkpoint;

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
    /// Whether the first query is at the place of the first key, and not the last at that of the last. Says something
    /// where `causal` is set and queries and keys differ in number.
    pub from_start: bool,
    /// Whether keys and values may have fewer heads (the third axis from the end) than queries, each of them for a group
    /// of neighbouring heads. Ainslie et al., "GQA" (2023); with one head, Shazeer, "Fast Transformer Decoding" (2019).
    pub grouped: bool,
    /// Scores become `cap tanh(score / cap)`, before any mask.
    pub soft_cap: Option<f64>,
    /// How likely each weight is left out, the others growing by `1 / (1 - p)`, and the key of the random numbers that
    /// decide, an i64 scalar ([`Rng::key`]).
    pub dropout: Option<(f64, Tensor)>,
}

/// `softmax(q k^T scale) v`: queries `[.., t, d]`, keys `[.., s, d]`, values `[.., s, e]` give
/// `[.., t, e]`; leading axes broadcast. Vaswani et al., "Attention Is All You Need" (2017).
///
/// A query that may see no key at all gives zeros and passes no gradient.
///
/// Memory grows with the number of queries and of keys, not with their product: beyond some tens of megabytes of
/// scores, these are computed again for the gradient, block by block.
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
    if let Some(mistake) = refuse_options("attention", &[q, k, v], options) {
        return mistake;
    }
    if options.grouped {
        return in_groups("attention", [q, k, v], options, |t, options| attention(&t[0], &t[1], &t[2], options));
    }
    let shape = match score_shape("attention", q, k, options.mask.as_ref()) {
        Ok(shape) => shape,
        Err(mistake) => return mistake,
    };
    if broadcast_shapes(&shape[..shape.len() - 2], &values[..values.len() - 2]).is_err() {
        return misfit("attention", format!("leading axes of values {values:?} do not broadcast with those of {:?}, {keys:?}", q.shape()));
    }
    let (queries, keys) = (shape[shape.len() - 2], shape[shape.len() - 1]);
    let scores = shape.iter().product::<usize>();
    let block = block_of(queries, scores, options.causal);
    let first = options.first_place(queries, keys);
    if block >= queries {
        return attend(q, k, v, options, &shape, first);
    }
    recorded(|| {
        let rows: Vec<(usize, usize)> = (0..queries).step_by(block).map(|start| (start, (start + block).min(queries))).collect();
        let seen = |end: usize| if options.causal { (end as i64 + first).clamp(0, keys as i64) as usize } else { keys };
        let mut draws = options.dropout.as_ref().map(|(_, key)| Rng::from_key(key));
        let (mut k_parts, mut v_parts, mut before) = (Vec::new(), Vec::new(), 0);
        let mut blocks = Vec::with_capacity(rows.len());
        for rows in rows {
            let seen = seen(rows.1);
            if seen == 0 {
                blocks.push(nothing_seen(&shape, values, rows.1 - rows.0, q.dtype()));
                continue;
            }
            // Keys that come into sight with this block. Each block's gradients then go to the parts they are for, and
            // not to a tensor of all keys, which there would be one of for each block.
            if seen > before {
                k_parts.push(part(k, 2, (before, seen)));
                v_parts.push(part(v, 2, (before, seen)));
                before = seen;
            }
            let visible = [together(&k_parts), together(&v_parts)];
            // Each block draws for itself.
            let dropout = options.dropout.as_ref().zip(draws.as_mut()).map(|((p, _), draws)| (*p, draws.key()));
            let options = AttentionOptions { dropout, ..options.clone() };
            blocks.push(attend_block(q, &visible, &options, &shape, (rows, first), scores > MOST_KEPT));
        }
        together(&blocks)
    })
}

/// The least and the most queries of a block.
const BLOCK: std::ops::RangeInclusive<usize> = 64..=256;
/// Scores up to which nothing is cut that need not be: a small product would not be the faster for it.
const FEW: usize = 1 << 20;
/// Scores up to which they are kept for the gradient.
const MOST_KEPT: usize = 1 << 24;

/// Queries of a block; all, if cutting saves nothing.
fn block_of(queries: usize, scores: usize, causal: bool) -> usize {
    if scores > if causal { FEW } else { MOST_KEPT } { (queries / 8).clamp(*BLOCK.start(), *BLOCK.end()) } else { queries }
}

/// What queries that see no key give.
fn nothing_seen(scores: &[usize], values: &[usize], rows: usize, dtype: DType) -> Tensor {
    let mut shape = broadcast_shapes(&scores[..scores.len() - 2], &values[..values.len() - 2]).unwrap_or_default();
    shape.extend([rows, values[values.len() - 1]]);
    Tensor::full(shape, 0.0, dtype)
}

/// Attention of the queries `rows.0 .. rows.1` to some first keys; with `again`, the scores are not kept.
fn attend_block(
    q: &Tensor,
    [k, v]: &[Tensor; 2],
    options: &AttentionOptions,
    shape: &[usize],
    (rows, first): ((usize, usize), i64),
    again: bool,
) -> Tensor {
    let seen = k.shape()[k.rank() - 2];
    // An axis of one element stands for all, and stays.
    let masked = |mask: &Tensor, from_end: usize, range: (usize, usize)| {
        if mask.rank() < from_end || mask.shape()[mask.rank() - from_end] == 1 { mask.clone() } else { part(mask, from_end, range) }
    };
    let mask = options.mask.as_ref().map(|mask| masked(&masked(mask, 2, rows), 1, (0, seen)));
    let mut shape: Shape = shape.into();
    let rank = shape.len();
    (shape[rank - 2], shape[rank - 1]) = (rows.1 - rows.0, seen);
    let options = AttentionOptions { mask, ..options.clone() };
    let (q, first) = (part(q, 2, rows), first + rows.0 as i64);
    let attend = |q: &Tensor, k: &Tensor, v: &Tensor| attend(q, k, v, &options, &shape, first);
    if again { checkpoint(|t| attend(t[0], t[1], t[2]), &[&q, k, v]) } else { attend(&q, k, v) }
}

/// Elements `range` along an axis, counted from the last one.
fn part(t: &Tensor, from_end: usize, range: (usize, usize)) -> Tensor {
    let axis = t.rank() - from_end;
    if t.shape()[axis] == range.1 - range.0 {
        return t.clone();
    }
    let mut slice = Slice { start: vec![0; t.rank()].into(), stop: t.shape().into(), step: vec![1; t.rank()].into() };
    (slice.start[axis], slice.stop[axis]) = range;
    Tensor::record(slice, [t.clone()])
}

/// Tensors side by side along the last axis but one.
fn together(parts: &[Tensor]) -> Tensor {
    match parts {
        [one] => one.clone(),
        _ => Tensor::record(Concat { axis: parts[0].rank() - 2 }, parts.iter().cloned()),
    }
}

/// The weights `softmax(q k^T scale)` of [`attention`], `[.., t, s]`, for layers that drop some.
#[track_caller]
pub fn attention_weights(q: &Tensor, k: &Tensor, options: &AttentionOptions) -> Tensor {
    if let Some(mistake) = refuse_mixed("attention_weights", &[q, k]) {
        return mistake;
    }
    if let Some(mistake) = refuse_options("attention_weights", &[q, k], options) {
        return mistake;
    }
    if options.grouped {
        return in_groups("attention_weights", [q, k, k], options, |t, options| attention_weights(&t[0], &t[1], options));
    }
    match score_shape("attention_weights", q, k, options.mask.as_ref()) {
        Ok(shape) => weights(q, k, options, &shape, options.first_place(shape[shape.len() - 2], shape[shape.len() - 1])),
        Err(mistake) => mistake,
    }
}

impl AttentionOptions {
    /// The place of the first query among the keys.
    fn first_place(&self, queries: usize, keys: usize) -> i64 {
        if self.from_start { 0 } else { keys as i64 - queries as i64 }
    }
}

/// The poisoned tensor to return where an option is out of range.
#[track_caller]
fn refuse_options(name: &str, inputs: &[&Tensor], options: &AttentionOptions) -> Option<Tensor> {
    if let Some(cap) = options.soft_cap.filter(|cap| !(*cap > 0.0 && cap.is_finite())) {
        return Some(disallowed(name, inputs, format!("a cap of {cap} is not positive")));
    }
    let (p, key) = options.dropout.as_ref()?;
    if !(0.0..1.0).contains(p) {
        return Some(disallowed(name, inputs, format!("a dropout of {p} is not from 0 to less than 1")));
    }
    if key.error().is_some() {
        return Some(key.clone());
    }
    let scalar = key.dtype() == DType::I64 && key.rank() == 0;
    if scalar {
        None
    } else {
        Some(Tensor::poison(dtype_error(name, format!("a key is an i64 scalar, this one is {} {:?}", key.dtype(), key.shape()))))
    }
}

/// Heads of queries parted into one group for each head of keys, which get an axis of one beside it: from there on, what
/// broadcasts is shared.
#[track_caller]
fn in_groups(
    name: &str,
    t: [&Tensor; 3],
    options: &AttentionOptions,
    body: impl FnOnce(&[Tensor; 3], &AttentionOptions) -> Tensor,
) -> Tensor {
    let [q, k, v] = t;
    let heads = |t: &Tensor| t.rank().checked_sub(3).map_or(0, |axis| t.shape()[axis]);
    let (all, kept) = (heads(q), heads(k));
    if kept == 0 || heads(v) != kept || !all.is_multiple_of(kept) {
        let message =
            format!("heads of queries {:?} are not parted by those of keys {:?} and values {:?}", q.shape(), k.shape(), v.shape());
        return misfit(name, message);
    }
    let part_heads = |t: &Tensor, by: [usize; 2]| {
        let axis = t.rank() - 3;
        t.reshape([&t.shape()[..axis], &by, &t.shape()[axis + 1..]].concat())
    };
    let mask = options.mask.as_ref().map(|mask| match heads(mask) {
        own if own == all && all > 1 => part_heads(mask, [kept, all / kept]),
        _ if mask.rank() >= 3 && mask.error().is_none() => mask.unsqueeze(-3),
        _ => mask.clone(),
    });
    let options = AttentionOptions { mask, grouped: false, ..options.clone() };
    recorded(|| {
        let y = body(&[part_heads(q, [kept, all / kept]), part_heads(k, [kept, 1]), part_heads(v, [kept, 1])], &options);
        if y.error().is_some() {
            return y;
        }
        let shape = y.shape();
        y.reshape([&shape[..shape.len() - 4], &[all], &shape[shape.len() - 2..]].concat())
    })
}

/// Weights times values, for scores of that shape. What the values are weighed with adds up to one only afterwards, as in
/// Rabe and Staats, "Self-attention Does Not Need O(n^2) Memory" (2021): so one matrix of the scores' size is kept for the
/// gradient, not the scores and the weights, and the division is one for each result.
#[track_caller]
fn attend(q: &Tensor, k: &Tensor, v: &Tensor, options: &AttentionOptions, shape: &[usize], first: i64) -> Tensor {
    // Sixteen bits hold weights better than sums of them.
    if !matches!(q.dtype(), DType::F32 | DType::F64) || shape.contains(&0) {
        return weights(q, k, options, shape, first).matmul(v);
    }
    recorded(|| {
        let row = Shifted::new(&scores(q, k, options, shape, first), &Axes::from_elem(shape.len() - 1, 1));
        dropped(&row.exponentials, options).matmul(v) / row.sum.unsqueeze(-1)
    })
}

/// Weights of which some are left out.
fn dropped(weights: &Tensor, options: &AttentionOptions) -> Tensor {
    match &options.dropout {
        Some((p, key)) if *p > 0.0 => {
            let kept = Tensor::bernoulli(weights.shape(), 1.0 - p, &mut Rng::from_key(key));
            kept.select(&(weights / (1.0 - p)), &weights.zeros_like())
        }
        _ => weights.clone(),
    }
}

/// The weights, whose shape is known to be `shape`.
#[track_caller]
fn weights(q: &Tensor, k: &Tensor, options: &AttentionOptions, shape: &[usize], first: i64) -> Tensor {
    recorded(|| dropped(&scores(q, k, options, shape, first).softmax(-1), options))
}

/// The scores, -inf where a key is not seen.
#[track_caller]
fn scores(q: &Tensor, k: &Tensor, options: &AttentionOptions, shape: &[usize], first: i64) -> Tensor {
    let width = q.shape()[q.rank() - 1].max(1);
    recorded(|| {
        let scale = options.scale.unwrap_or(1.0 / (width as f64).sqrt());
        // A product of numbers of 16 bits might overflow; otherwise queries need no scaled copy.
        let mut scores = if q.dtype() == DType::F16 { (q * scale).matmul(&k.t()) } else { q.matmul(&k.t()) * scale };
        if let Some(cap) = options.soft_cap {
            scores = (scores / cap).tanh() * cap;
        }
        let hidden = Tensor::full(scores.shape(), f64::NEG_INFINITY, scores.dtype());
        if let Some(mask) = &options.mask {
            scores = match mask.dtype() {
                DType::Bool => mask.select(&scores, &hidden),
                _ => scores + mask,
            };
        }
        if options.causal {
            scores = later_keys(shape, first).select(&hidden, &scores);
        }
        scores
    })
}

/// Which keys come after their query, for all scores, if the first query is at place `first`: a comparison per score costs less than reading its answer
/// from memory, and is not kept.
fn later_keys(scores: &[usize], first: i64) -> Tensor {
    let (queries, keys) = (scores[scores.len() - 2], scores[scores.len() - 1]);
    // Places are whole numbers, which f32 holds up to 2^24, and compares faster.
    let dtype = if queries.max(keys) < 1 << 24 { DType::F32 } else { DType::I64 };
    let place = |axis| Tensor::record(Iota { axis, ty: Type::new(scores, dtype) }, []);
    let (query, key) = (place(scores.len() - 2), place(scores.len() - 1));
    let query = if first == 0 { query } else { query + Tensor::full(scores, first as f64, dtype) };
    query.less(&key)
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
