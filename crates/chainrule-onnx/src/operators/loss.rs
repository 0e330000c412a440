//! Losses: of log-probabilities or logits `[n, classes, ..]` with the numbers of the right classes `[n, ..]`.

use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::{Call, one};
use chainrule::{DType, Tensor};

type Outcome = Result<Vec<Value>>;

/// The loss of each target, its weight, and from both what the node asks for.
fn reduced(call: &Call, log_probabilities: &Tensor, target: &Tensor, weight: Option<&Tensor>) -> Result<Tensor> {
    let x = log_probabilities;
    if x.rank() != target.rank() + 1 || x.rank() < 2 {
        return Err(Error::operator(format!("{:?} is not [n, classes, ..] for targets [n, ..] of {:?}", x.shape(), target.shape())));
    }
    let mut target = target.cast(DType::I64);
    let mut counted = None;
    if let Some(ignore) = call.integer("ignore_index")? {
        let ignored = target.equal(&Tensor::from_slice(&[ignore], ()));
        target = ignored.select(&target.zeros_like(), &target);
        counted = Some((!ignored).cast(x.dtype()));
    }
    let order: Vec<usize> = [0].into_iter().chain(2..x.rank()).chain([1]).collect();
    let picked = -x.permute(order).gather_last(&target);
    let weights = match (weight, counted) {
        (Some(weight), Some(counted)) => Some(weight.gather(&target) * counted),
        (Some(weight), None) => Some(weight.gather(&target)),
        (None, counted) => counted,
    };
    // `scale`: where the weight is 0, an infinite loss counts nothing.
    let losses = weights.as_ref().map_or_else(|| picked.clone(), |weights| weights.scale(&picked));
    match call.text_or("reduction", "mean")?.as_str() {
        "none" => Ok(losses),
        "sum" => Ok(losses.sum()),
        "mean" => Ok(match weights {
            Some(weights) => losses.sum() / weights.sum(),
            None => losses.mean(),
        }),
        other => Err(Error::operator(format!("there is no reduction '{other}'"))),
    }
}

pub fn negative_log_likelihood(call: &Call) -> Outcome {
    one(reduced(call, call.tensor(0)?, call.tensor(1)?, call.optional(2)?)?)
}

pub fn softmax_cross_entropy(call: &Call) -> Outcome {
    let log_probabilities = call.tensor(0)?.log_softmax(1);
    let loss = reduced(call, &log_probabilities, call.tensor(1)?, call.optional(2)?)?;
    Ok(vec![loss.into(), log_probabilities.into()])
}
