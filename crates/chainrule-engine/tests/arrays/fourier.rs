//! Fourier transforms of every length against the sum that defines them, in f64 and f32.

use crate::check::{close, numbers, values};
use chainrule_engine::functions::{Complex, Norm};
use chainrule_engine::{DType, Tensor};
use std::f64::consts::TAU;

/// The definition, with angles reduced as whole numbers.
fn definition(re: &[f64], im: &[f64], sign: f64) -> (Vec<f64>, Vec<f64>) {
    let n = re.len();
    (0..n)
        .map(|k| {
            let turn = |j: usize| (sign * TAU * (j * k % n) as f64 / n as f64).sin_cos();
            (0..n).fold((0.0, 0.0), |(a, b), j| {
                let (sin, cos) = turn(j);
                (a + re[j] * cos - im[j] * sin, b + re[j] * sin + im[j] * cos)
            })
        })
        .unzip()
}

#[test]
fn every_length_is_the_sum_that_defines_it() {
    for n in (1..=70).chain([97, 100, 120, 128, 131, 243, 256, 343, 360, 501, 512, 1000]) {
        let (a, b) = (numbers(n, n as u64), numbers(n, n as u64 + 1));
        let (re, im) = (Tensor::from_slice(&a, [n]), Tensor::from_slice(&b, [n]));
        for (sign, found) in [(-1.0, Complex::new(&re, &im).fft(0, Norm::Backward)), (1.0, Complex::new(&re, &im).ifft(0, Norm::Forward))] {
            let (c, d) = definition(&a, &b, sign);
            // Rounding grows with the logarithm of the length, and the numbers with its root.
            close(&format!("{n}, real parts"), &values(&found.re), &c, 2e-14);
            close(&format!("{n}, imaginary parts"), &values(&found.im), &d, 2e-14);
        }
        let (c, d) = definition(&a, &vec![0.0; n], -1.0);
        let half = re.rfft(0, Norm::Backward);
        close(&format!("{n}, of real numbers"), &values(&half.re), &c[..n / 2 + 1], 2e-14);
        close(&format!("{n}, of real numbers"), &values(&half.im), &d[..n / 2 + 1], 2e-14);
        close(&format!("{n}, there and back"), &values(&half.irfft(n, 0, Norm::Backward)), &a, 1e-14);
    }
}

#[test]
fn single_precision_keeps_its_digits() {
    for n in [1024, 1000, 1009] {
        let (a, b) = (numbers(n, 1), numbers(n, 2));
        let z = Complex::new(&Tensor::from_slice(&a, [n]).cast(DType::F32), &Tensor::from_slice(&b, [n]).cast(DType::F32));
        let (c, _) = definition(&values(&z.re), &values(&z.im), -1.0);
        close(&format!("{n}"), &values(&z.fft(0, Norm::Backward).re), &c, 1e-6);
    }
    let narrow = Tensor::f64([1.0, 2.0, 3.0]).cast(DType::BF16).rfft(0, Norm::Backward);
    assert_eq!((narrow.re.dtype(), values(&narrow.re)), (DType::BF16, vec![6.0, -1.5]));
}

/// The energy is the same before and after, and the gradient of it is that of the numbers themselves.
#[test]
fn orthonormal_transforms_keep_lengths() {
    let (re, im) = (Tensor::from_slice(&numbers(60, 3), [60]), Tensor::from_slice(&numbers(60, 4), [60]));
    let z = Complex::new(&re, &im);
    let energy = z.fft(0, Norm::Ortho).norm_squared().sum();
    close("energy", &values(&energy), &values(&z.norm_squared().sum()), 1e-14);
    let gradient = energy.grad(&[&re, &im]).unwrap();
    close("gradient", &values(&gradient[0]), &values(&(&re * 2.0)), 1e-14);
    close("gradient", &values(&gradient[1]), &values(&(&im * 2.0)), 1e-14);
}

#[test]
fn batches_of_none_stay_empty() {
    let none = Complex::new(&Tensor::zeros([0, 6]), &Tensor::zeros([0, 6]));
    let found = none.fft(1, Norm::Backward);
    assert_eq!((found.re.shape(), values(&found.im)), (&[0, 6][..], vec![]));
}
