//! Functions of single elements.

use super::{Input, Row, Sample, any, positive};
use chainrule_engine::{DType, Tensor};

/// A function of one element, where it is smooth or its kinks are not met, and its formula.
pub struct One {
    pub name: &'static str,
    pub low: f64,
    pub high: f64,
    pub function: fn(&Tensor) -> Tensor,
    pub formula: Option<fn(f64) -> f64>,
}

const fn known(name: &'static str, (low, high): (f64, f64), function: fn(&Tensor) -> Tensor, formula: fn(f64) -> f64) -> One {
    One { name, low, high, function, formula: Some(formula) }
}

/// Held to figures of many digits instead of a formula (`functions/elementary.rs`).
const fn plain(name: &'static str, (low, high): (f64, f64), function: fn(&Tensor) -> Tensor) -> One {
    One { name, low, high, function, formula: None }
}

const NEAR: (f64, f64) = (-2.0, 2.0);
const WIDE: (f64, f64) = (-10.0, 10.0);
const MIDDLE: (f64, f64) = (-4.4, 4.4);
const INSIDE: (f64, f64) = (-0.9, 0.9);
const ABOVE: (f64, f64) = (0.5, 4.0);

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[rustfmt::skip]
pub const ONE: &[One] = &[
    known("relu", NEAR, |x| x.relu(), |x| x.max(0.0)),
    known("relu6", WIDE, |x| x.relu6(), |x| x.clamp(0.0, 6.0)),
    known("leaky_relu", NEAR, |x| x.leaky_relu(0.1), |x| if x > 0.0 { x } else { 0.1 * x }),
    known("elu", NEAR, |x| x.elu(1.5), |x| if x > 0.0 { x } else { 1.5 * (x.exp() - 1.0) }),
    known("selu", NEAR, |x| x.selu(), |x| 1.0507009873554805 * if x > 0.0 { x } else { 1.6732632423543772 * (x.exp() - 1.0) }),
    known("celu", NEAR, |x| x.celu(1.5), |x| if x > 0.0 { x } else { 1.5 * ((x / 1.5).exp() - 1.0) }),
    known("gelu", NEAR, |x| x.gelu(), |x| 0.5 * x * libm::erfc(-x / 2f64.sqrt())),
    known("gelu_tanh", NEAR, |x| x.gelu_tanh(), |x| 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())),
    known("silu", NEAR, |x| x.silu(), |x| x * sigmoid(x)),
    known("mish", NEAR, |x| x.mish(), |x| x * (1.0 + x.exp()).ln().tanh()),
    known("log_sigmoid", NEAR, |x| x.log_sigmoid(), |x| sigmoid(x).ln()),
    known("hard_sigmoid", MIDDLE, |x| x.hard_sigmoid(), |x| (x / 6.0 + 0.5).clamp(0.0, 1.0)),
    known("hard_swish", MIDDLE, |x| x.hard_swish(), |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
    known("hard_tanh", NEAR, |x| x.hard_tanh(), |x| x.clamp(-1.0, 1.0)),
    known("hard_shrink", NEAR, |x| x.hard_shrink(0.5), |x| if x.abs() > 0.5 { x } else { 0.0 * x }),
    known("soft_shrink", NEAR, |x| x.soft_shrink(0.5), |x| x - x.clamp(-0.5, 0.5)),
    known("tanh_shrink", NEAR, |x| x.tanh_shrink(), |x| x - x.tanh()),
    known("threshold", NEAR, |x| x.threshold(0.5, -2.0), |x| if x <= 0.5 { -2.0 } else { x }),
    known("softplus_with", NEAR, |x| x.softplus_with(3.0, 6.0), |x| (3.0 * x).exp().ln_1p() / 3.0),
    known("softsign", NEAR, |x| x.softsign(), |x| x / (1.0 + x.abs())),
    known("abs", NEAR, |x| x.abs(), f64::abs),
    known("sign", NEAR, |x| x.sign(), |x| if x == 0.0 { 0.0 } else { x.signum() }),
    known("clamp", NEAR, |x| x.clamp(-0.7, 0.9), |x| x.clamp(-0.7, 0.9)),
    known("clamp_min", NEAR, |x| x.clamp_min(0.3), |x| x.max(0.3)),
    known("clamp_max", NEAR, |x| x.clamp_max(0.3), |x| x.min(0.3)),
    known("floor", WIDE, |x| x.floor(), f64::floor),
    known("ceil", WIDE, |x| x.ceil(), f64::ceil),
    known("trunc", WIDE, |x| x.trunc(), f64::trunc),
    known("round", WIDE, |x| x.round(), f64::round_ties_even),
    known("rint", WIDE, |x| x.rint(), f64::round_ties_even),
    known("sin", NEAR, |x| x.sin(), f64::sin),
    known("cos", NEAR, |x| x.cos(), f64::cos),
    known("tan", (-1.2, 1.2), |x| x.tan(), f64::tan),
    known("asin", INSIDE, |x| x.asin(), f64::asin),
    known("acos", INSIDE, |x| x.acos(), f64::acos),
    known("atan", NEAR, |x| x.atan(), f64::atan),
    known("sinh", NEAR, |x| x.sinh(), f64::sinh),
    known("cosh", NEAR, |x| x.cosh(), f64::cosh),
    known("tanh", NEAR, |x| x.tanh(), f64::tanh),
    known("sech", NEAR, |x| x.sech(), |x| 1.0 / x.cosh()),
    known("asinh", NEAR, |x| x.asinh(), libm::asinh),
    known("acosh", (1.25, 4.0), |x| x.acosh(), libm::acosh),
    known("atanh", INSIDE, |x| x.atanh(), libm::atanh),
    known("exp", NEAR, |x| x.exp(), f64::exp),
    known("exp2", NEAR, |x| x.exp2(), f64::exp2),
    known("expm1", NEAR, |x| x.expm1(), f64::exp_m1),
    known("log", ABOVE, |x| x.log(), f64::ln),
    known("log2", ABOVE, |x| x.log2(), f64::log2),
    known("log10", ABOVE, |x| x.log10(), f64::log10),
    known("log1p", (-0.5, 4.0), |x| x.log1p(), f64::ln_1p),
    known("sqrt", ABOVE, |x| x.sqrt(), f64::sqrt),
    known("rsqrt", ABOVE, |x| x.rsqrt(), |x| 1.0 / x.sqrt()),
    known("cbrt", ABOVE, |x| x.cbrt(), libm::cbrt),
    known("recip", ABOVE, |x| x.recip(), f64::recip),
    known("reciprocal", (-4.0, -0.5), |x| x.reciprocal(), f64::recip),
    known("square", NEAR, |x| x.square(), |x| x * x),
    known("powf", ABOVE, |x| x.powf(1.7), |x| x.powf(1.7)),
    known("powf whole", NEAR, |x| x.powf(3.0), |x| x * x * x),
    known("sigmoid", NEAR, |x| x.sigmoid(), sigmoid),
    known("softplus", NEAR, |x| x.softplus(), |x| (1.0 + x.exp()).ln()),
    known("logit", (0.1, 0.9), |x| x.logit(), |x| (x / (1.0 - x)).ln()),
    known("deg2rad", NEAR, |x| x.deg2rad(), f64::to_radians),
    known("rad2deg", NEAR, |x| x.rad2deg(), f64::to_degrees),
    known("nan_to_num", NEAR, |x| x.nan_to_num(0.5, None, None), |x| x),
    known("erf", NEAR, |x| x.erf(), libm::erf),
    known("erfc", NEAR, |x| x.erfc(), libm::erfc),
    plain("erfinv", INSIDE, |x| x.erfinv()),
    plain("sinc", MIDDLE, |x| x.sinc()),
    plain("lgamma", ABOVE, |x| x.lgamma()),
    plain("lgamma below 0", (-2.75, -2.25), |x| x.lgamma()),
    plain("digamma", ABOVE, |x| x.digamma()),
    plain("digamma below 0", (-2.75, -2.25), |x| x.digamma()),
    plain("polygamma 1", ABOVE, |x| x.polygamma(1)),
    plain("polygamma 2", ABOVE, |x| x.polygamma(2)),
    plain("polygamma 7", (1.5, 4.0), |x| x.polygamma(7)),
    plain("polygamma 30", (4.0, 6.0), |x| x.polygamma(30)),
];

#[rustfmt::skip]
pub const TWO: &[Row] = &[
    Row("atan2", &[any(&[7]), any(&[7])], |t| t[0].atan2(&t[1])),
    Row("hypot", &[any(&[7]), any(&[7])], |t| t[0].hypot(&t[1])),
    Row("logaddexp", &[any(&[7]), any(&[7])], |t| t[0].logaddexp(&t[1])),
    Row("logaddexp2", &[any(&[7]), any(&[7])], |t| t[0].logaddexp2(&t[1])),
    Row("xlogy", &[any(&[7]), positive(&[7])], |t| t[0].xlogy(&t[1])),
    Row("xlog1py", &[any(&[7]), positive(&[7])], |t| t[0].xlog1py(&t[1])),
    Row("fmod", &[Input(&[7], 6.3, 6.5), Input(&[7], 0.95, 1.0)], |t| t[0].fmod(&t[1])),
    Row("remainder", &[Input(&[7], -3.5, -3.3), Input(&[7], 0.95, 1.0)], |t| t[0].remainder(&t[1])),
    Row("floor_divide", &[Input(&[7], 6.3, 6.5), Input(&[7], 0.95, 1.0)], |t| t[0].floor_divide(&t[1])),
    Row("copysign", &[any(&[7]), any(&[7])], |t| t[0].copysign(&t[1])),
    Row("heaviside", &[any(&[7]), any(&[7])], |t| t[0].heaviside(&t[1])),
    Row("pow", &[positive(&[7]), any(&[7])], |t| t[0].pow(&t[1])),
    Row("float_power", &[positive(&[7]), any(&[7])], |t| t[0].float_power(&t[1])),
    Row("minimum", &[any(&[7]), any(&[7])], |t| t[0].minimum(&t[1])),
    Row("maximum", &[any(&[7]), any(&[7])], |t| t[0].maximum(&t[1])),
    Row("scale", &[any(&[7]), any(&[7])], |t| t[0].scale(&t[1])),
    Row("prelu", &[any(&[3, 2]), any(&[2])], |t| t[0].prelu(&t[1])),
    Row("lerp", &[any(&[7]), any(&[7]), any(&[7])], |t| t[0].lerp(&t[1], &t[2])),
    Row("clamp_between", &[any(&[3, 7]), Input(&[7], -1.0, -0.5), Input(&[3, 1], 0.5, 1.0)], |t| t[0].clamp_between(Some(&t[1]), Some(&t[2]))),
    Row("glu", &[any(&[3, 4])], |t| t[0].glu(-1)),
    Row("swiglu", &[any(&[4, 3])], |t| t[0].swiglu(-2)),
    Row("softmax", &[any(&[2, 3])], |t| t[0].softmax(-1)),
    Row("softmax of columns", &[any(&[2, 3])], |t| t[0].softmax(0)),
    Row("softmin", &[any(&[2, 3])], |t| t[0].softmin(1)),
    Row("log_softmax", &[any(&[2, 3])], |t| t[0].log_softmax(-1)),
];

/// The function of one element with a name, or with the first words of it.
pub fn one(name: &str) -> fn(&Tensor) -> Tensor {
    let known = |one: &&One| one.name == name || name.strip_prefix(one.name).is_some_and(|rest| rest.starts_with(' '));
    let longest = ONE.iter().filter(known).max_by_key(|one| one.name.len());
    longest.unwrap_or_else(|| panic!("no function is called {name}")).function
}

/// The function of two elements with a name.
pub fn two(name: &str) -> super::Function {
    TWO.iter().find(|row| row.0 == name).unwrap_or_else(|| panic!("no function is called {name}")).2
}

pub fn samples(draw: i64) -> impl Iterator<Item = Sample> {
    ONE.iter().map(move |one| {
        let x = Input(&[9], one.low, one.high).leaf(0, 1 + draw, DType::F64);
        let value = one.formula.map(|formula| x.to_vec::<f64>().expect("numbers").into_iter().map(formula).collect());
        Sample::new(one.name, vec![x], move |t| (one.function)(&t[0]), value)
    })
}
