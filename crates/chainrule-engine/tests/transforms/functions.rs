//! The functions of `data/transforms.py`, in its order, with its names.

use chainrule_engine::ops::{Pad, Slice, Window};
use chainrule_engine::{DType, Tensor};

/// A function of its inputs to a scalar.
pub type Function = fn(&[Tensor]) -> Tensor;

/// Every function.
pub const FUNCTIONS: [(&str, Function); 26] = [
    ("polynomial", |i| (i[0].powf(3.0) * 3.0 - i[0].square() * 2.0 + &i[0]).sum()),
    ("quartic_form", |i| i[0].matmul(&i[1]).matmul(&i[0]).square()),
    ("mlp", |i| i[2].matmul(&i[0]).tanh().matmul(&i[1]).sum()),
    ("cross_entropy", |i| (logsumexp(&i[0]) - (&i[0] * &i[1]).sum_over(&[1])).sum() / i[0].shape()[0] as f64),
    ("matmul_chain", |i| i[0].matmul(&i[1]).matmul(&i[2]).sin().sum()),
    ("logsumexp", |i| logsumexp(&i[0]).square().sum()),
    ("where", |i| i[0].greater(&i[0].zeros_like()).select(&i[0].powf(3.0), &i[0].exp()).sum()),
    ("gather", |i| (i[0].gather(&index()).powf(3.0) * (Tensor::arange(4, DType::F64) + 1.0).unsqueeze(1)).sum()),
    ("scatter", |i| i[0].scatter_add(&index(), 3).powf(3.0).sum()),
    ("cumsum", |i| i[0].cumsum(1).sin().sum()),
    ("max", |i| i[0].max_over(&[1]).powf(3.0).sum()),
    ("pow", |i| i[0].pow(&i[1]).sum()),
    ("normalised", normalised),
    ("rational", |i| (&i[1] / (1.0 + i[0].square())).sum()),
    ("logs", |i| (i[0].log() * i[0].log1p() / i[0].sqrt()).sum()),
    ("waves", |i| (i[0].sin() * i[0].square().cos()).sum()),
    ("sigmoids", |i| (i[0].sigmoid() * i[0].softplus()).sum()),
    ("erf", |i| (&i[0] * 0.5 * (1.0 + (&i[0] / 2f64.sqrt()).erf())).sum()),
    ("expm1", |i| i[0].einsum("i,j->ij", &i[1]).expm1().sum()),
    ("minimum", |i| (i[0].minimum(&i[1]).square() * i[0].maximum(&i[1])).sum()),
    ("attention", attention),
    ("recurrent", recurrent),
    ("convolved", convolved),
    ("bilinear", |i| i[0].einsum("bi,ijk->bjk", &i[1]).einsum("bjk,bj->bk", &i[2]).square().sum()),
    ("flip_pad_slice", flip_pad_slice),
    ("transposed", |i| i[0].permute([2, 0, 1]).reshape([4, 6]).matmul(&i[0].reshape([6, 4])).tanh().sum()),
];

fn index() -> Tensor {
    Tensor::from_slice(&[2i64, 0, 2, 1], 4)
}

/// Over axis 1, shifted by the largest.
fn logsumexp(x: &Tensor) -> Tensor {
    let top = x.max_over(&[1]).detach();
    (x - top.unsqueeze(1)).exp().sum_over(&[1]).log() + top
}

fn mean(x: &Tensor) -> Tensor {
    (x.sum_over(&[1]) / x.shape()[1] as f64).unsqueeze(1)
}

fn normalised(i: &[Tensor]) -> Tensor {
    let centred = &i[0] - mean(&i[0]);
    let scale = (mean(&centred.square()) + 1e-5).sqrt();
    (centred / scale * &i[1] + &i[2]).sin().sum()
}

fn attention(i: &[Tensor]) -> Tensor {
    let scores = i[0].matmul(&i[1].t()) / 2f64.sqrt();
    let weights = (&scores - logsumexp(&scores).unsqueeze(1)).exp();
    weights.matmul(&i[2]).square().sum()
}

fn recurrent(i: &[Tensor]) -> Tensor {
    let row = |t: i64| i[2].gather(&Tensor::from_slice(&[t], ()));
    let step = |h: Tensor, t: i64| (i[0].matmul(&h) + i[1].matmul(&row(t))).tanh();
    (0..4).fold(Tensor::full([3], 0.0, DType::F64), step).square().sum()
}

fn convolved(i: &[Tensor]) -> Tensor {
    let one = |n: usize| [n].as_slice().into();
    let window = Window { axes: one(0), sizes: one(3), strides: one(2), dilations: one(1) };
    Tensor::record(window, [i[0].clone()]).matmul(&i[1]).tanh().sum()
}

fn flip_pad_slice(i: &[Tensor]) -> Tensor {
    let two = |a: usize, b: usize| [a, b].as_slice().into();
    let part = Tensor::record(Slice { start: two(0, 1), stop: two(3, 4), step: two(1, 2) }, [i[0].flip(&[0])]);
    let wide = Tensor::record(Pad { low: two(1, 0), high: two(0, 2), interior: two(0, 0) }, [part]);
    (wide.powf(3.0) * Tensor::arange(16, DType::F64).reshape([4, 4])).sum()
}
