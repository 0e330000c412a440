//! Reductions, each over all elements, over axes that are removed, and over axes that are kept; and scans, each from
//! either end.

use super::{Sample, any};
use chainrule_engine::{DType, Tensor};

/// A reduction over axes, over axes that are kept, over all elements, and its formula.
pub type Function =
    (&'static str, fn(&Tensor, &[isize]) -> Tensor, fn(&Tensor, &[isize]) -> Tensor, fn(&Tensor) -> Tensor, fn(&[f64]) -> f64);

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn median(x: &[f64]) -> f64 {
    let mut x = x.to_vec();
    x.sort_by(f64::total_cmp);
    (x[(x.len() - 1) / 2] + x[x.len() / 2]) / 2.0
}

fn p_norm(x: &[f64], p: f64) -> f64 {
    x.iter().map(|v| v.abs().powf(p)).sum::<f64>().powf(1.0 / p)
}

fn variance(x: &[f64], correction: f64) -> f64 {
    x.iter().map(|v| (v - mean(x)).powi(2)).sum::<f64>() / (x.len() as f64 - correction)
}

pub const FUNCTIONS: &[Function] = &[
    ("mean", |x, a| x.mean_over(a), |x, a| x.mean_keep(a), |x| x.mean(), mean),
    ("min", |x, a| x.min_over(a), |x, a| x.min_keep(a), |x| x.min(), |x| x.iter().copied().fold(f64::INFINITY, f64::min)),
    ("max", |x, a| x.max_over(a), |x, a| x.max_keep(a), |x| x.max(), |x| x.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
    ("sum", |x, a| x.sum_over(a), |x, a| x.sum_keep(a), |x| x.sum(), |x| x.iter().sum()),
    ("prod", |x, a| x.prod_over(a), |x, a| x.prod_keep(a), |x| x.prod(), |x| x.iter().product()),
    ("norm", |x, a| x.norm_over(a), |x, a| x.norm_keep(a), |x| x.norm(), |x| x.iter().map(|v| v * v).sum::<f64>().sqrt()),
    ("l1_norm", |x, a| x.l1_norm_over(a), |x, a| x.l1_norm_keep(a), |x| x.l1_norm(), |x| x.iter().map(|v| v.abs()).sum()),
    ("max_norm", |x, a| x.max_norm_over(a), |x, a| x.max_norm_keep(a), |x| x.max_norm(), |x| x.iter().fold(0.0, |m, v| m.max(v.abs()))),
    ("median", |x, a| x.median_over(a), |x, a| x.median_keep(a), |x| x.median(), median),
    (
        "logsumexp",
        |x, a| x.logsumexp_over(a),
        |x, a| x.logsumexp_keep(a),
        |x| x.logsumexp(),
        |x| x.iter().map(|v| v.exp()).sum::<f64>().ln(),
    ),
    ("nansum", |x, a| x.nansum_over(a), |x, a| x.nansum_keep(a), |x| x.nansum(), |x| x.iter().sum()),
    ("nanmean", |x, a| x.nanmean_over(a), |x, a| x.nanmean_keep(a), |x| x.nanmean(), mean),
    ("nanmax", |x, a| x.nanmax_over(a), |x, a| x.nanmax_keep(a), |x| x.nanmax(), |x| x.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
    ("nanmin", |x, a| x.nanmin_over(a), |x, a| x.nanmin_keep(a), |x| x.nanmin(), |x| x.iter().copied().fold(f64::INFINITY, f64::min)),
    ("norm_p 1", |x, a| x.norm_p_over(a, 1.0), |x, a| x.norm_p_keep(a, 1.0), |x| x.norm_p(1.0), |x| p_norm(x, 1.0)),
    ("norm_p 2", |x, a| x.norm_p_over(a, 2.0), |x, a| x.norm_p_keep(a, 2.0), |x| x.norm_p(2.0), |x| p_norm(x, 2.0)),
    ("norm_p 3", |x, a| x.norm_p_over(a, 3.0), |x, a| x.norm_p_keep(a, 3.0), |x| x.norm_p(3.0), |x| p_norm(x, 3.0)),
    ("norm_p 1.5", |x, a| x.norm_p_over(a, 1.5), |x, a| x.norm_p_keep(a, 1.5), |x| x.norm_p(1.5), |x| p_norm(x, 1.5)),
    ("norm_p 0.5", |x, a| x.norm_p_over(a, 0.5), |x, a| x.norm_p_keep(a, 0.5), |x| x.norm_p(0.5), |x| p_norm(x, 0.5)),
    ("norm_p -2", |x, a| x.norm_p_over(a, -2.0), |x, a| x.norm_p_keep(a, -2.0), |x| x.norm_p(-2.0), |x| p_norm(x, -2.0)),
    (
        "norm_p inf",
        |x, a| x.norm_p_over(a, f64::INFINITY),
        |x, a| x.norm_p_keep(a, f64::INFINITY),
        |x| x.norm_p(f64::INFINITY),
        |x| x.iter().fold(0.0, |m, v| m.max(v.abs())),
    ),
    (
        "norm_p -inf",
        |x, a| x.norm_p_over(a, f64::NEG_INFINITY),
        |x, a| x.norm_p_keep(a, f64::NEG_INFINITY),
        |x| x.norm_p(f64::NEG_INFINITY),
        |x| x.iter().fold(f64::INFINITY, |m, v| m.min(v.abs())),
    ),
    ("var", |x, a| x.var_over(a, 1), |x, a| x.var_keep(a, 1), |x| x.var(1), |x| variance(x, 1.0)),
    ("var biased", |x, a| x.var_over(a, 0), |x, a| x.var_keep(a, 0), |x| x.var(0), |x| variance(x, 0.0)),
    ("std", |x, a| x.std_over(a, 1), |x, a| x.std_keep(a, 1), |x| x.std(1), |x| variance(x, 1.0).sqrt()),
];

/// A scan, the same from the last element, and what the first `n` elements become.
pub type Scan = (&'static str, fn(&Tensor, isize) -> Tensor, fn(&Tensor, isize) -> Tensor, fn(&[f64]) -> f64);

pub const SCANS: &[Scan] = &[
    ("cumsum", |x, a| x.cumsum(a), |x, a| x.reverse_cumsum(a), |x| x.iter().sum()),
    ("cumprod", |x, a| x.cumprod(a), |x, a| x.reverse_cumprod(a), |x| x.iter().product()),
    ("logcumsumexp", |x, a| x.logcumsumexp(a), |x, a| x.reverse_logcumsumexp(a), |x| x.iter().map(|v| v.exp()).sum::<f64>().ln()),
    ("cummax", |x, a| x.cummax(a).0, |x, a| x.reverse_cummax(a).0, |x| x.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
    ("cummin", |x, a| x.cummin(a).0, |x, a| x.reverse_cummin(a).0, |x| x.iter().copied().fold(f64::INFINITY, f64::min)),
];

/// Applies `prefix` to the beginnings (or, reversed, the ends) of every line along an axis.
pub fn along(shape: &[usize], data: &[f64], axis: usize, reverse: bool, prefix: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let stride: usize = shape[axis + 1..].iter().product();
    let n = shape[axis];
    (0..data.len())
        .map(|flat| {
            let at = flat / stride % n;
            let first = flat - at * stride;
            let line: Vec<f64> = (0..n).map(|i| data[first + i * stride]).collect();
            if reverse { prefix(&line[at..].iter().rev().copied().collect::<Vec<_>>()) } else { prefix(&line[..=at]) }
        })
        .collect()
}

/// Of rows and of columns: values by the formula, which takes the elements that make one.
pub fn samples(draw: i64) -> Vec<Sample> {
    let mut all = Vec::new();
    let x = any(&[2, 3]).leaf(0, 3 + draw, DType::F64);
    let data = x.to_vec::<f64>().expect("numbers");
    let columns: Vec<Vec<f64>> = (0..3).map(|j| vec![data[j], data[3 + j]]).collect();
    for &(name, over, keep, whole, formula) in FUNCTIONS {
        let (first, setting) = name.split_once(' ').unwrap_or((name, ""));
        let value = |groups: &[&[f64]]| Some(groups.iter().map(|group| formula(group)).collect());
        let rows: Vec<&[f64]> = data.chunks(3).collect();
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let call = move |t: &[Tensor]| over(&t[0], &[1]);
        all.push(Sample::new(&format!("{first}_over {setting}"), vec![x.clone()], call, value(&rows)));
        let call = move |t: &[Tensor]| keep(&t[0], &[0]);
        all.push(Sample::new(&format!("{first}_keep {setting}"), vec![x.clone()], call, value(&columns)));
        all.push(Sample::new(name, vec![x.clone()], move |t| whole(&t[0]), value(&[&data])));
    }
    for &(name, forward, backward, prefix) in SCANS {
        let by_hand = |reverse| Some(along(&[2, 3], &data, 1, reverse, prefix));
        all.push(Sample::new(name, vec![x.clone()], move |t| forward(&t[0], 1), by_hand(false)));
        all.push(Sample::new(&format!("reverse_{name}"), vec![x.clone()], move |t| backward(&t[0], 1), by_hand(true)));
    }
    all
}
