//! The transform along the last axis, stage by stage.
//!
//! Sines and cosines are computed on the host in f64, of angles that are reduced as whole numbers first, so that they are
//! right to the last digit of any length.

use crate::ops::Einsum;
use crate::tensor::{Data, Shape, Tensor};
use std::f64::consts::TAU;

/// The largest factor that is put together of smaller ones.
const MOST_TOGETHER: usize = 32;
/// The largest prime that is a matrix of its own.
const MOST_PRIME: usize = 50;

/// The transform of `re + i im` (0 if there is none) along the last axis, of at least one element, times `scale`.
pub(super) fn transform(re: &Tensor, im: Option<&Tensor>, inverse: bool, scale: f64) -> (Tensor, Tensor) {
    let n = re.shape()[re.rank() - 1];
    if n == 1 {
        return (re * scale, im.map_or_else(|| re.zeros_like(), |im| im * scale));
    }
    match factors(n) {
        Some(factors) => staged(re, im, &Stages { n, factors, inverse, scale, ends: Ends::All }),
        None => chirped(re, im, inverse, scale),
    }
}

/// The first `n / 2 + 1` elements of the transform of `n` real numbers: the last stage makes no others.
pub(super) fn of_real(x: &Tensor, scale: f64) -> (Tensor, Tensor) {
    let n = x.shape()[x.rank() - 1];
    let (re, im) = match factors(n).filter(|_| n > 1) {
        Some(factors) => staged(x, None, &Stages { n, factors, inverse: false, scale, ends: Ends::OfReal }),
        None => transform(x, None, false, scale),
    };
    let half = |part: &Tensor| part.slice(-1, ..(n / 2 + 1) as isize);
    (half(&re), half(&im))
}

/// The `n` real numbers of whose transform the first `n / 2 + 1` elements are given: the real part of twice the sum over those that stand
/// for their conjugates, too. The first stage looks at no others, and the last makes no imaginary parts.
pub(super) fn to_real(re: &Tensor, im: &Tensor, n: usize, scale: f64) -> Tensor {
    let have = n / 2 + 1;
    let alone = |k: usize| k == 0 || 2 * k == n;
    let weights = table(re, &[have], (0..have).map(|k| scale * if alone(k) { 1.0 } else { 2.0 }));
    let factors = factors(n).filter(|_| n > 1);
    let long = factors.as_ref().map_or(n, |factors| n / factors[0] * (factors[0] / 2 + 1));
    let whole = |part: &Tensor| {
        let mut widths = vec![(0, 0); part.rank()];
        widths[part.rank() - 1].1 = long - have;
        (part * &weights).pad(&widths)
    };
    let (re, im) = (whole(re), whole(im));
    match factors {
        Some(factors) => staged(&re, Some(&im), &Stages { n, factors, inverse: true, scale: 1.0, ends: Ends::ToReal }).0,
        None => transform(&re, Some(&im), true, 1.0).0,
    }
}

/// What is known of the first and the last stage.
#[derive(Clone, Copy, PartialEq)]
enum Ends {
    /// Nothing.
    All,
    /// The last need make no more than the first half and one more.
    OfReal,
    /// The first is given no more than that, and the last need make no imaginary parts.
    ToReal,
}

/// How a transform is put together.
struct Stages {
    n: usize,
    factors: Vec<usize>,
    inverse: bool,
    scale: f64,
    ends: Ends,
}

/// Factors of a length, if none of them is a large prime: few, and about equal, as a small one is a stage that moves all and
/// computes little.
fn factors(mut n: usize) -> Option<Vec<usize>> {
    let mut list = Vec::new();
    while n > 1 {
        let length = (n as f64).ln();
        let wanted = length / (length / (MOST_TOGETHER as f64).ln()).ceil();
        let distance = |factor: &usize| ((*factor as f64).ln() - wanted).abs();
        let together = (2..=MOST_TOGETHER).filter(|factor| n.is_multiple_of(*factor)).min_by(|a, b| distance(a).total_cmp(&distance(b)));
        let factor = together.or_else(|| (MOST_TOGETHER..=MOST_PRIME).find(|factor| n.is_multiple_of(*factor)))?;
        list.push(factor);
        n /= factor;
    }
    Some(list)
}

/// With `j = j1 m + j2` and `k = k1 + r k2`, where `n = r m`, the sum over `j` is one over `j1`, a turn by `j2 k1 / n`, and a
/// transform of length `m` along `j2`. Of what is held as `[rows, done, left]`, each stage puts a digit of `k` before those
/// that are done: they end up in order.
fn staged(re: &Tensor, im: Option<&Tensor>, stages: &Stages) -> (Tensor, Tensor) {
    let Stages { n, ref factors, inverse, scale, ends } = *stages;
    let shape = re.shape();
    let rows = shape[..shape.len() - 1].iter().product::<usize>();
    let mut parts: Vec<Tensor> = std::iter::once(re).chain(im).cloned().collect();
    let (mut left, mut done) = (n, 1);
    for (stage, &r) in factors.iter().enumerate() {
        let (m, first, last) = (left / r, stage == 0, stage + 1 == factors.len());
        let half = |ends_here: bool| if ends_here { r / 2 + 1 } else { r };
        let (j, k) = (half(first && ends == Ends::ToReal), half(last && ends == Ends::OfReal));
        let results = if last && ends == Ends::ToReal { 1 } else { 2 };
        let scale = if first { scale } else { 1.0 };
        let product = |(from, part): (usize, &Tensor)| {
            let labels = Einsum::new("ckj", "bajm", "bckam").in_scope();
            Tensor::record(labels, [matrix(r, [results, k, j], from, inverse, scale, part), part.reshape([rows, done, j, m])])
        };
        // One term for each part there is.
        let sum = parts.iter().enumerate().map(product).reduce(|a, b| a + b).unwrap_or_else(|| re.clone());
        let (re, im) = (sum.index(1, 0), sum.index(1, results as isize - 1));
        parts = if m > 1 {
            let (cos, sin) = turns(r, m, inverse, &re);
            vec![&re * &cos - &im * &sin, re * sin + im * cos]
        } else {
            vec![re, im]
        };
        (left, done) = (m, done * k);
    }
    let shape: Shape = shape[..shape.len() - 1].iter().copied().chain([done]).collect();
    (parts[0].reshape(shape.clone()), parts[1].reshape(shape))
}

/// `e^(-+ 2 pi i a / n)`, of an `a` that may be large. Quarters of a turn are exact.
fn turn(a: u128, n: usize, inverse: bool) -> (f64, f64) {
    let quarters = 4 * (a % n as u128);
    let (sin, cos) = (TAU / 4.0 * ((quarters % n as u128) as f64 / n as f64)).sin_cos();
    let (cos, sin) = match quarters / n as u128 {
        0 => (cos, sin),
        1 => (-sin, cos),
        2 => (-cos, -sin),
        _ => (sin, -cos),
    };
    (cos, if inverse { sin } else { -sin })
}

fn table(like: &Tensor, shape: &[usize], numbers: impl Iterator<Item = f64>) -> Tensor {
    Tensor::from_data(Data::from_f64(like.dtype(), &numbers.collect::<Vec<_>>()), Shape::from_slice(shape))
}

/// What the real (0) or imaginary (1) parts of `r` numbers give of their transform: of the first `[parts of the result, k, j]` of all.
fn matrix(r: usize, [parts, ks, js]: [usize; 3], from: usize, inverse: bool, scale: f64, like: &Tensor) -> Tensor {
    let number = move |part: usize, k: usize, j: usize| {
        let (cos, sin) = turn((j * k) as u128, r, inverse);
        scale
            * match (part, from) {
                (0, 0) | (1, 1) => cos,
                (0, _) => -sin,
                _ => sin,
            }
    };
    let all = (0..parts).flat_map(|part| (0..ks).flat_map(move |k| (0..js).map(move |j| number(part, k, j))));
    table(like, &[parts, ks, js], all)
}

/// The turns by `j2 k1 / n` between two stages, `[k1, 1, j2]`.
fn turns(r: usize, m: usize, inverse: bool, like: &Tensor) -> (Tensor, Tensor) {
    let all = || (0..r).flat_map(move |k| (0..m).map(move |j| turn(k as u128 * j as u128, r * m, inverse)));
    (table(like, &[r, 1, m], all().map(|pair| pair.0)), table(like, &[r, 1, m], all().map(|pair| pair.1)))
}

/// With `c[j] = e^(-+ pi i j^2 / n)`, the transform is `c[k]` times the convolution of `x c` with the conjugate of `c`.
fn chirped(re: &Tensor, im: Option<&Tensor>, inverse: bool, scale: f64) -> (Tensor, Tensor) {
    let n = re.shape()[re.rank() - 1];
    let long = (2 * n - 1).next_power_of_two();
    let chirp: Vec<(f64, f64)> = (0..n as u128).map(|j| turn(j * j, 2 * n, inverse)).collect();
    let (cos, sin) = (table(re, &[n], chirp.iter().map(|c| c.0)), table(re, &[n], chirp.iter().map(|c| c.1)));
    let times = |re: &Tensor, im: &Tensor| (re * &cos - im * &sin, re * &sin + im * &cos);
    let (a, b) = im.map_or_else(|| (re * &cos, re * &sin), |im| times(re, im));
    let padded = |x: &Tensor| {
        let mut widths = vec![(0, 0); x.rank()];
        widths[x.rank() - 1].1 = long - n;
        x.pad(&widths)
    };
    let (a, b) = transform(&padded(&a), Some(&padded(&b)), false, 1.0);
    let mut kernel = vec![(0.0, 0.0); long];
    for (j, &(cos, sin)) in chirp.iter().enumerate() {
        kernel[j] = (cos, -sin);
        kernel[(long - j) % long] = (cos, -sin);
    }
    host_transform(&mut kernel);
    let (c, d) = (table(re, &[long], kernel.iter().map(|k| k.0)), table(re, &[long], kernel.iter().map(|k| k.1)));
    let (a, b) = transform(&(&a * &c - &b * &d), Some(&(a * d + b * c)), true, scale / long as f64);
    let short = |x: &Tensor| x.slice(-1, ..n as isize);
    times(&short(&a), &short(&b))
}

/// The transform of a power of two, on the host, in f64: bits of the positions reversed, then butterflies.
fn host_transform(z: &mut [(f64, f64)]) {
    let n = z.len();
    let bits = n.trailing_zeros();
    for i in 0..n {
        let j = if bits == 0 { 0 } else { i.reverse_bits() >> (usize::BITS - bits) };
        if i < j {
            z.swap(i, j);
        }
    }
    let mut half = 1;
    while half < n {
        for start in (0..n).step_by(2 * half) {
            for j in 0..half {
                let (cos, sin) = turn(j as u128, 2 * half, false);
                let ((a, b), (c, d)) = (z[start + j], z[start + half + j]);
                let (c, d) = (c * cos - d * sin, c * sin + d * cos);
                z[start + j] = (a + c, b + d);
                z[start + half + j] = (a - c, b - d);
            }
        }
        half *= 2;
    }
}
