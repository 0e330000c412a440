//! The transform along the last axis, stage by stage.
//!
//! Sines and cosines are computed on the host in f64, of angles that are reduced as whole numbers first, so that they are
//! right to the last digit of any length.

use crate::ops::Einsum;
use crate::tensor::{Data, Shape, Tensor};
use std::f64::consts::TAU;

/// The largest factor that is put together of smaller ones.
const MOST_TOGETHER: usize = 16;
/// The largest prime that is a matrix of its own.
const MOST_PRIME: usize = 50;

/// The transform of `re + i im` (0 if there is none) along the last axis, of at least one element, times `scale`.
pub(super) fn transform(re: &Tensor, im: Option<&Tensor>, inverse: bool, scale: f64) -> (Tensor, Tensor) {
    let n = re.shape()[re.rank() - 1];
    if n == 1 {
        return (re * scale, im.map_or_else(|| re.zeros_like(), |im| im * scale));
    }
    match factors(n) {
        Some(factors) => staged(re, im, &factors, inverse, scale),
        None => chirped(re, im, inverse, scale),
    }
}

/// Factors of a length, if none of them is a large prime.
fn factors(mut n: usize) -> Option<Vec<usize>> {
    let mut list = Vec::new();
    while n > 1 {
        let together = (2..=MOST_TOGETHER).rev().find(|factor| n.is_multiple_of(*factor));
        let factor = together.or_else(|| (MOST_TOGETHER..=MOST_PRIME).find(|factor| n.is_multiple_of(*factor)))?;
        list.push(factor);
        n /= factor;
    }
    Some(list)
}

/// With `j = j1 m + j2` and `k = k1 + r k2`, where `n = r m`, the sum over `j` is one over `j1`, a turn by `j2 k1 / n`, and a
/// transform of length `m` along `j2`. Of what is held as `[rows, part, done, left]`, each stage puts a digit of `k` before
/// those that are done: they end up in order.
fn staged(re: &Tensor, im: Option<&Tensor>, factors: &[usize], inverse: bool, scale: f64) -> (Tensor, Tensor) {
    let shape = re.shape();
    let n = shape[shape.len() - 1];
    let rows = shape[..shape.len() - 1].iter().product::<usize>();
    let parts = |x: &Tensor| x.reshape([rows, 1, 1, n]);
    let mut z = im.map_or_else(|| parts(re), |im| Tensor::concat(&[&parts(re), &parts(im)], 1));
    let (mut left, mut done) = (n, 1);
    for (stage, &r) in factors.iter().enumerate() {
        let (m, held) = (left / r, z.shape()[1]);
        let matrix = matrix(r, held, inverse, if stage == 0 { scale } else { 1.0 }, &z);
        let labels = Einsum::new("ckdj", "bdajm", "bckam").in_scope();
        z = Tensor::record(labels, [matrix, z.reshape([rows, held, done, r, m])]);
        if m > 1 {
            let (re, im) = (z.index(1, 0), z.index(1, 1));
            let (cos, sin) = turns(r, m, inverse, &z);
            let turned = [&re * &cos - &im * &sin, re * sin + im * cos].map(|part| part.unsqueeze(1));
            z = Tensor::concat(&[&turned[0], &turned[1]], 1);
        }
        (left, done) = (m, done * r);
    }
    let part = |at| z.index(1, at).reshape(shape);
    (part(0), part(1))
}

/// `e^(-+ 2 pi i a / n)`, of an `a` that may be large.
fn turn(a: u128, n: usize, inverse: bool) -> (f64, f64) {
    let angle = TAU * ((a % n as u128) as f64 / n as f64);
    (angle.cos(), if inverse { angle.sin() } else { -angle.sin() })
}

fn table(like: &Tensor, shape: &[usize], numbers: impl Iterator<Item = f64>) -> Tensor {
    Tensor::from_data(Data::from_f64(like.dtype(), &numbers.collect::<Vec<_>>()), Shape::from_slice(shape))
}

/// The transform of length `r` as a real matrix: `[part of the result, k, part of the operand, j]`.
fn matrix(r: usize, held: usize, inverse: bool, scale: f64, like: &Tensor) -> Tensor {
    let mut numbers = Vec::with_capacity(4 * r * r);
    for part in 0..2 {
        for k in 0..r {
            for from in 0..held {
                numbers.extend((0..r).map(|j| {
                    let (cos, sin) = turn((j * k) as u128, r, inverse);
                    scale
                        * match (part, from) {
                            (0, 0) | (1, 1) => cos,
                            (0, _) => -sin,
                            _ => sin,
                        }
                }));
            }
        }
    }
    table(like, &[2, r, held, r], numbers.into_iter())
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
