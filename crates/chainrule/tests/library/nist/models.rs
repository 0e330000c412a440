//! The models of the 27 problems, by the names of their files.

use chainrule::Tensor;
use std::f64::consts::PI;

/// From the parameters (scalars) and the predictors (a vector each) to what the response should be.
pub type Model = fn(&[Tensor], &[Tensor]) -> Tensor;

/// Every problem.
pub const MODELS: [(&str, Model); 27] = [
    ("Bennett5", |b, x| &b[0] * (&b[1] + &x[0]).pow(&(-1.0 / &b[2]))),
    ("BoxBOD", |b, x| &b[0] * (1.0 - (-&b[1] * &x[0]).exp())),
    ("Chwirut1", |b, x| (-&b[0] * &x[0]).exp() / (&b[1] + &b[2] * &x[0])),
    ("Chwirut2", |b, x| (-&b[0] * &x[0]).exp() / (&b[1] + &b[2] * &x[0])),
    ("DanWood", |b, x| &b[0] * x[0].pow(&b[1])),
    ("ENSO", enso),
    ("Eckerle4", |b, x| &b[0] / &b[1] * (-0.5 * ((&x[0] - &b[2]) / &b[1]).square()).exp()),
    ("Gauss1", gauss),
    ("Gauss2", gauss),
    ("Gauss3", gauss),
    ("Hahn1", cubic_by_cubic),
    ("Kirby2", |b, x| polynomial(&[&b[0], &b[1], &b[2]], &x[0]) / (1.0 + &x[0] * polynomial(&[&b[3], &b[4]], &x[0]))),
    ("Lanczos1", lanczos),
    ("Lanczos2", lanczos),
    ("Lanczos3", lanczos),
    ("MGH09", |b, x| &b[0] * (x[0].square() + &x[0] * &b[1]) / (x[0].square() + &x[0] * &b[2] + &b[3])),
    ("MGH10", |b, x| &b[0] * (&b[1] / (&x[0] + &b[2])).exp()),
    ("MGH17", |b, x| &b[0] + &b[1] * (-&x[0] * &b[3]).exp() + &b[2] * (-&x[0] * &b[4]).exp()),
    ("Misra1a", |b, x| &b[0] * (1.0 - (-&b[1] * &x[0]).exp())),
    ("Misra1b", |b, x| &b[0] * (1.0 - (1.0 + &b[1] * &x[0] / 2.0).powf(-2.0))),
    ("Misra1c", |b, x| &b[0] * (1.0 - (1.0 + 2.0 * &b[1] * &x[0]).powf(-0.5))),
    ("Misra1d", |b, x| &b[0] * &b[1] * &x[0] / (1.0 + &b[1] * &x[0])),
    // Of the logarithm of the response.
    ("Nelson", |b, x| &b[0] - &b[1] * &x[0] * (-&b[2] * &x[1]).exp()),
    ("Rat42", |b, x| &b[0] / (1.0 + (&b[1] - &b[2] * &x[0]).exp())),
    ("Rat43", |b, x| &b[0] / (1.0 + (&b[1] - &b[2] * &x[0]).exp()).pow(&(1.0 / &b[3]))),
    ("Roszman1", |b, x| &b[0] - &b[1] * &x[0] - arctan(&(&b[2] / (&x[0] - &b[3]))) / PI),
    ("Thurber", cubic_by_cubic),
];

fn enso(b: &[Tensor], x: &[Tensor]) -> Tensor {
    let year = 2.0 * PI * &x[0];
    let wave = |cosine: &Tensor, sine: &Tensor, angle: Tensor| cosine * angle.cos() + sine * angle.sin();
    &b[0] + wave(&b[1], &b[2], &year / 12.0) + wave(&b[4], &b[5], &year / &b[3]) + wave(&b[7], &b[8], &year / &b[6])
}

fn gauss(b: &[Tensor], x: &[Tensor]) -> Tensor {
    let bell = |height: &Tensor, middle: &Tensor, width: &Tensor| height * (-((&x[0] - middle) / width).square()).exp();
    &b[0] * (-&b[1] * &x[0]).exp() + bell(&b[2], &b[3], &b[4]) + bell(&b[5], &b[6], &b[7])
}

fn lanczos(b: &[Tensor], x: &[Tensor]) -> Tensor {
    let decay = |height: &Tensor, rate: &Tensor| height * (-rate * &x[0]).exp();
    decay(&b[0], &b[1]) + decay(&b[2], &b[3]) + decay(&b[4], &b[5])
}

fn cubic_by_cubic(b: &[Tensor], x: &[Tensor]) -> Tensor {
    polynomial(&[&b[0], &b[1], &b[2], &b[3]], &x[0]) / (1.0 + &x[0] * polynomial(&[&b[4], &b[5], &b[6]], &x[0]))
}

/// The coefficients from that of the constant on, by Horner's scheme.
fn polynomial(coefficients: &[&Tensor], x: &Tensor) -> Tensor {
    coefficients[..coefficients.len() - 1].iter().rev().fold(coefficients[coefficients.len() - 1] * x.ones_like(), |sum, c| sum * x + *c)
}

/// The engine has no arctangent. The angle y with tan y = u is a fixed point of
/// `y - tan(y - arctan u)`, written with sines and cosines, to which it converges cubically: from
/// 0.07 away by 1e-4 to 3e-13, then to the last bit, and its derivative with it.
fn arctan(u: &Tensor) -> Tensor {
    let first = PI / 2.0 * (u / (1.0 + u.abs()));
    (0..4).fold(first, |y, _| &y - (y.sin() - u * y.cos()) / (y.cos() + u * y.sin()))
}
