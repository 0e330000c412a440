//! Normalisation against loops over rows, channels and groups.

use crate::check::{check_gradients, close, random, values};
use chainrule_engine::functions::{batch_norm, batch_norm_with, group_norm, layer_norm, rms_norm};
use chainrule_engine::{DType, Tensor};

const EPS: f64 = 1e-3;

fn standardized(row: &[f64]) -> Vec<f64> {
    let n = row.len() as f64;
    let mean = row.iter().sum::<f64>() / n;
    let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    row.iter().map(|v| (v - mean) / (variance + EPS).sqrt()).collect()
}

/// layer_norm: values, and gradients of x, gamma and beta all present, to second order.
#[test]
fn layer_norm_over_one_and_two_axes() {
    for (shape, axes) in [(vec![2, 4], 1), (vec![2, 2, 3], 2), (vec![3], 1)] {
        let inner: Vec<usize> = shape[shape.len() - axes..].to_vec();
        let (x, gamma, beta) = (random(&shape, 1), random(&inner, 2), random(&inner, 3));
        let (g, b) = (values(&gamma), values(&beta));
        let affine = |row: Vec<f64>| row.into_iter().zip(g.iter().zip(&b)).map(|(v, (g, b))| v * g + b).collect::<Vec<_>>();
        let expected: Vec<f64> = values(&x).chunks(g.len()).flat_map(|row| affine(standardized(row))).collect();
        close("layer_norm", &values(&layer_norm(&x, axes, Some(&gamma), Some(&beta), EPS)), &expected, 1e-14);
        check_gradients("layer_norm", |t| layer_norm(&t[0], axes, Some(&t[1]), Some(&t[2]), EPS), &[x.clone(), gamma, beta]);
        check_gradients("plain layer_norm", |t| layer_norm(&t[0], axes, None, None, EPS), &[x]);
    }
}

#[test]
fn rms_norm_over_one_and_two_axes() {
    for (shape, axes) in [(vec![2, 4], 1), (vec![2, 2, 2], 2)] {
        let inner: Vec<usize> = shape[shape.len() - axes..].to_vec();
        let (x, gamma) = (random(&shape, 1), random(&inner, 2));
        let g = values(&gamma);
        let root = |row: &[f64]| (row.iter().map(|v| v * v).sum::<f64>() / row.len() as f64 + EPS).sqrt();
        let expected: Vec<f64> =
            values(&x).chunks(g.len()).flat_map(|row| row.iter().zip(&g).map(|(v, g)| v / root(row) * g).collect::<Vec<_>>()).collect();
        close("rms_norm", &values(&rms_norm(&x, axes, Some(&gamma), EPS)), &expected, 1e-14);
        check_gradients("rms_norm", |t| rms_norm(&t[0], axes, Some(&t[1]), EPS), &[x, gamma]);
    }
}

#[test]
fn batch_norm_in_training_and_with_given_statistics() {
    for (shape, channel) in [(vec![3, 2], -1), (vec![2, 2, 2, 2], 1), (vec![2, 3, 2], -1)] {
        let at = if channel < 0 { shape.len() - 1 } else { 1 };
        let (x, gamma, beta) = (random(&shape, 1), random(&[shape[at]], 2), random(&[shape[at]], 3));
        let channels_first = |t: &Tensor| {
            let order: Vec<usize> = std::iter::once(at).chain((0..shape.len()).filter(|&axis| axis != at)).collect();
            values(&t.permute(order))
        };
        let rows = channels_first(&x);
        let length = rows.len() / shape[at];
        let (g, b) = (values(&gamma), values(&beta));
        let expected: Vec<f64> = rows
            .chunks(length)
            .enumerate()
            .flat_map(|(c, row)| standardized(row).into_iter().map(|v| v * g[c] + b[c]).collect::<Vec<_>>())
            .collect();
        let trained = batch_norm(&x, channel, Some(&gamma), Some(&beta), EPS);
        close("batch_norm", &channels_first(&trained.output), &expected, 1e-14);
        let mean = |row: &[f64]| row.iter().sum::<f64>() / row.len() as f64;
        close("mean", &values(&trained.mean), &rows.chunks(length).map(mean).collect::<Vec<_>>(), 1e-14);
        let variance = |row: &[f64]| row.iter().map(|v| (v - mean(row)).powi(2)).sum::<f64>() / row.len() as f64;
        close("variance", &values(&trained.variance), &rows.chunks(length).map(variance).collect::<Vec<_>>(), 1e-14);
        let given = batch_norm_with(&x, channel, &trained.mean, &trained.variance, Some(&gamma), Some(&beta), EPS);
        close("batch_norm_with", &values(&given), &values(&trained.output), 1e-14);
        check_gradients(
            "batch_norm",
            |t| batch_norm(&t[0], channel, Some(&t[1]), Some(&t[2]), EPS).output,
            &[x.clone(), gamma.clone(), beta.clone()],
        );
        let statistics = [random(&[shape[at]], 4), (random(&[shape[at]], 5).square() + 0.5).to_leaf().unwrap()];
        let inputs = [&[x, gamma, beta], &statistics[..]].concat();
        check_gradients("batch_norm_with", |t| batch_norm_with(&t[0], channel, &t[3], &t[4], Some(&t[1]), Some(&t[2]), EPS), &inputs);
    }
}

#[test]
fn group_norm_in_both_layouts() {
    let (x, gamma, beta) = (random(&[2, 4, 3], 1), random(&[4], 2), random(&[4], 3));
    let (g, b) = (values(&gamma), values(&beta));
    for groups in [1, 2, 4] {
        let rows: Vec<f64> = values(&x).chunks(12 / groups).flat_map(standardized).collect();
        let expected: Vec<f64> = rows.iter().enumerate().map(|(i, v)| v * g[i / 3 % 4] + b[i / 3 % 4]).collect();
        close("group_norm", &values(&group_norm(&x, 1, groups, Some(&gamma), Some(&beta), EPS)), &expected, 1e-14);
        let last = group_norm(&x.transpose(1, 2), -1, groups, Some(&gamma), Some(&beta), EPS);
        close("channels last", &values(&last.transpose(1, 2)), &expected, 1e-14);
    }
    check_gradients("group_norm", |t| group_norm(&t[0], 1, 2, Some(&t[1]), Some(&t[2]), EPS), &[random(&[1, 4, 2], 1), gamma, beta]);
}

#[test]
fn half_precision_is_normalised_in_single() {
    // Squares of these are beyond the range of f16.
    let x = Tensor::from_slice(&[300.0f64, -300.0, 600.0, -600.0], [1, 4]).cast(DType::F16);
    let expected = standardized(&[300.0, -300.0, 600.0, -600.0]);
    let y = layer_norm(&x, 1, None, None, EPS);
    assert_eq!(y.dtype(), DType::F16);
    close("layer_norm", &values(&y), &expected, 1e-3);
    close("rms_norm", &values(&rms_norm(&x, 1, None, EPS)), &expected, 1e-3);
}
