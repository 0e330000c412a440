//! Attention and what belongs to it: scaled products with masks, caches and groups of heads; linear attention; rotary
//! positions.
//!
//! Vaswani et al. (2017); Ainslie et al., "GQA" (2023); Yang et al., "Gated Delta Networks" (2024); Su et al., "RoFormer"
//! (2021). A row whose every key is masked attends to nothing and is 0.

use super::norm::wide;
use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::{Call, entries, one, size};
use chainrule::{DType, Tensor};

type Outcome = Result<Vec<Value>>;

/// `[n, length, heads * size]` as `[n, heads, length, size]`.
fn heads(x: &Tensor, count: usize) -> Result<Tensor> {
    match *x.shape() {
        [n, length, all] if count > 0 && all % count == 0 => Ok(x.reshape([n, length, count, all / count]).permute([0, 2, 1, 3])),
        ref shape => Err(Error::operator(format!("{shape:?} does not part into {count} heads"))),
    }
}

/// And back.
fn joined(x: &Tensor) -> Tensor {
    match *x.shape() {
        [n, heads, length, size] => x.permute([0, 2, 1, 3]).reshape([n, length, heads * size]),
        _ => x.clone(),
    }
}

/// Every head of keys or values as often as there are queries for it.
fn shared(x: &Tensor, queries: usize) -> Result<Tensor> {
    let own = x.shape()[1];
    if own == 0 || !queries.is_multiple_of(own) {
        return Err(Error::operator(format!("{queries} heads of queries for {own} of keys")));
    }
    Ok(if queries == own { x.clone() } else { x.repeat(queries / own, 1) })
}

/// The type that the softmax is taken in.
fn precision(call: &Call, x: &Tensor) -> Result<DType> {
    Ok(match call.dtype("softmax_precision")? {
        // A model that is run in double precision is not made less precise.
        Some(_) | None if x.dtype() == DType::F64 => DType::F64,
        Some(dtype) => dtype,
        None => wide(x).dtype(),
    })
}

pub fn attention(call: &Call) -> Outcome {
    let packed = call.tensor(0)?.rank() == 3;
    let count = |name: &str| -> Result<usize> { size(call.integer_or(name, 0)?, name) };
    let part = |index: usize, name: &str| -> Result<Tensor> {
        let x = call.tensor(index)?;
        if packed { heads(x, count(name)?) } else { Ok(x.clone()) }
    };
    let (q, new_k, new_v) = (part(0, "q_num_heads")?, part(1, "kv_num_heads")?, part(2, "kv_num_heads")?);
    if [&q, &new_k, &new_v].iter().any(|x| x.rank() != 4) {
        return Err(Error::operator(format!("takes [n, heads, length, size], not {:?}", q.shape())));
    }
    let with_past = |index: usize, new: &Tensor| -> Result<Tensor> {
        Ok(match call.optional(index)? {
            Some(past) => Tensor::concat(&[past, new], 2),
            None => new.clone(),
        })
    };
    let (present_k, present_v) = (with_past(4, &new_k)?, with_past(5, &new_v)?);
    let (k, v) = (shared(&present_k, q.shape()[1])?, shared(&present_v, q.shape()[1])?);
    let scale = call.float_or("scale", 1.0 / (q.shape()[3] as f64).sqrt())?.sqrt();
    let products = (q.clone() * scale).matmul(&(k.clone() * scale).t());
    let past = present_k.shape()[2] - new_k.shape()[2];
    let (scores, masked) = scored(call, &products, past)?;
    let exact = precision(call, &q)?;
    let weights = masked.cast(exact).softmax(-1).cast(q.dtype());
    let y = weights.matmul(&v);
    let shown = match call.integer_or("qk_matmul_output_mode", 0)? {
        0 => products,
        1 => scores,
        2 => masked,
        _ => weights,
    };
    let y = if packed { joined(&y) } else { y };
    Ok(vec![y.into(), present_k.into(), present_v.into(), shown.into()])
}

/// The products bounded by a soft cap, and those with what must not be seen at -inf.
fn scored(call: &Call, products: &Tensor, past: usize) -> Result<(Tensor, Tensor)> {
    let &[_, _, queries, keys] = products.shape() else { return Ok((products.clone(), products.clone())) };
    let infinite = Tensor::scalar(f64::NEG_INFINITY, products.dtype());
    let cap = call.float_or("softcap", 0.0)?;
    let capped = |x: &Tensor| if cap > 0.0 { (x / cap).tanh() * cap } else { x.clone() };
    let scores = capped(products);
    let mut masked = scores.clone();
    if let Some(mask) = call.optional(3)? {
        let missing = keys.saturating_sub(mask.shape().last().copied().unwrap_or(keys));
        let mut widths = vec![(0, 0); mask.rank()];
        widths.last_mut().into_iter().for_each(|last| last.1 = missing);
        masked = if mask.dtype() == DType::Bool {
            mask.pad(&widths).select(&masked, &infinite)
        } else {
            masked + mask.cast(products.dtype()).pad_with(&widths, f64::NEG_INFINITY)
        };
    }
    let key = Tensor::arange(keys, DType::I64);
    let lengths = call.optional(6)?.map(|lengths| lengths.cast(DType::I64).reshape([lengths.len(), 1, 1, 1]));
    if call.flag("is_causal")? {
        let query = Tensor::arange(queries, DType::I64).unsqueeze(1) + past as f64;
        masked = key.less_equal(&query).select(&masked, &infinite);
    }
    if let Some(lengths) = lengths {
        masked = key.less(&lengths).select(&masked, &infinite);
    }
    Ok((scores, masked))
}

/// Attention whose scores and weights go through graphs of the model's own.
pub fn flex_attention(call: &Call) -> Outcome {
    let (q, k, v) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    if [q, k, v].iter().any(|x| x.rank() != 4) {
        return Err(Error::operator(format!("takes [n, heads, length, size], not {:?}", q.shape())));
    }
    let (k, v) = (shared(k, q.shape()[1])?, shared(v, q.shape()[1])?);
    let scale = call.float_or("scale", 1.0 / (q.shape()[3] as f64).sqrt())?;
    let exact = precision(call, q)?;
    let through = |name: &str, x: Tensor| -> Result<Tensor> {
        if !call.has(name) {
            return Ok(x);
        }
        let made = call.run(call.graph(name)?, vec![x.into()])?;
        made.first().and_then(Value::as_tensor).cloned().ok_or_else(|| Error::operator(format!("graph '{name}' makes no tensor")))
    };
    let scores = through("score_mod", (q.matmul(&k.t()) * scale).cast(exact))?;
    let weights = through("prob_mod", scores.softmax(-1))?;
    one(weights.cast(v.dtype()).matmul(&v))
}

/// A state of keys by values that every step decays, corrects and reads.
pub fn linear_attention(call: &Call) -> Outcome {
    let (queries, keys) =
        (size(call.integer_or("q_num_heads", 0)?, "q_num_heads")?, size(call.integer_or("kv_num_heads", 0)?, "kv_num_heads")?);
    let dtype = call.tensor(0)?.dtype();
    let (q, k, v) = (heads(&wide(call.tensor(0)?), queries)?, heads(&wide(call.tensor(1)?), keys)?, heads(&wide(call.tensor(2)?), keys)?);
    let (n, steps, of_key, of_value) = (q.shape()[0], q.shape()[2], q.shape()[3], v.shape()[3]);
    let scale = match call.float_or("scale", 0.0)? {
        0.0 => 1.0 / (of_key as f64).sqrt(),
        scale => scale,
    };
    let rule = call.text_or("update_rule", "gated_delta")?;
    let (gated, delta) = match rule.as_str() {
        "linear" => (false, false),
        "gated" => (true, false),
        "delta" => (false, true),
        "gated_delta" => (true, true),
        other => return Err(Error::operator(format!("there is no update rule '{other}'"))),
    };
    // Factors of each step, [n, heads, time, keys or 1] and [n, heads or 1, time, 1].
    let decay = if gated { Some(heads(&wide(call.tensor(4)?), keys)?.exp()) } else { None };
    let beta = if delta {
        let beta = wide(call.tensor(5)?);
        let count = beta.shape().last().copied().unwrap_or(1);
        Some(heads(&beta, count)?)
    } else {
        None
    };
    let mut state = match call.optional(3)? {
        Some(past) => wide(past),
        None => Tensor::full([n, keys, of_key, of_value], 0.0, q.dtype()),
    };
    let q = q * scale;
    let mut outputs = Vec::new();
    for at in 0..entries(steps, "steps")? as isize {
        let step = |x: &Tensor| x.index(2, at);
        if let Some(decay) = &decay {
            state = step(decay).unsqueeze(-1) * state;
        }
        let (key, mut value) = (step(&k), step(&v));
        if let Some(beta) = &beta {
            value = step(beta) * (value - key.unsqueeze(-2).matmul(&state).squeeze(-2));
        }
        state = state + key.unsqueeze(-1) * value.unsqueeze(-2);
        outputs.push(step(&q).unsqueeze(-2).matmul(&shared(&state, queries)?).squeeze(-2));
    }
    let y = match outputs.is_empty() {
        true => Tensor::full([n, queries, 0, of_value], 0.0, q.dtype()),
        false => Tensor::stack(&outputs.iter().collect::<Vec<_>>(), 2),
    };
    let past_type = call.optional(3)?.map_or(dtype, Tensor::dtype);
    Ok(vec![joined(&y).cast(dtype).into(), state.cast(past_type).into()])
}

/// Pairs of features turned by an angle that grows with the position.
pub fn rotary_embedding(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let packed = x.rank() == 3;
    let count = size(call.integer_or("num_heads", 0)?, "num_heads")?;
    let whole = if packed { heads(x, count)? } else { x.clone() };
    let Some(&width) = whole.shape().get(3) else {
        return Err(Error::operator(format!("takes [n, heads, length, size], not {:?}", x.shape())));
    };
    let turned = match size(call.integer_or("rotary_embedding_dim", 0)?, "rotary_embedding_dim")? {
        0 => width,
        turned if turned <= width => turned,
        turned => return Err(Error::operator(format!("{turned} features of {width} are to be turned"))),
    };
    let cache = |index: usize| -> Result<Tensor> {
        let cache = call.tensor(index)?;
        let rows = match call.optional(3)? {
            Some(position) => cache.gather(&position.cast(DType::I64)),
            None => cache.clone(),
        };
        // An axis for the heads.
        Ok(rows.unsqueeze(1))
    };
    let (cos, sin) = (cache(1)?, cache(2)?);
    let (part, rest) = (whole.slice(3, ..turned), whole.slice(3, turned..));
    let half = turned / 2;
    let pairs = call.flag("interleaved")?;
    let (a, b) = if pairs {
        let by_two = |first: isize| chainrule::Index::Range { start: Some(first), stop: None, step: 2 };
        (part.slice(3, by_two(0)), part.slice(3, by_two(1)))
    } else {
        (part.slice(3, ..half), part.slice(3, half..))
    };
    let (real, imaginary) = (&cos * &a - &sin * &b, sin * a + cos * b);
    let new = if pairs { Tensor::stack(&[&real, &imaginary], -1).reshape(part.shape()) } else { Tensor::concat(&[&real, &imaginary], 3) };
    let y = Tensor::concat(&[&new, &rest], 3);
    one(if packed { joined(&y) } else { y })
}
