//! Functions of single elements.

use crate::catalogue::elements::{ONE, One};
use crate::check::{check_gradients, close, numbers, slope, values, vector};
use chainrule_engine::{DType, Tensor};

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Every function with a formula, and numbers as large as it is tested with.
fn known(count: usize, seed: u64) -> impl Iterator<Item = (&'static One, fn(f64) -> f64, Vec<f64>)> {
    let within = move |one: &One| numbers(count, seed).iter().map(|v| one.low + (one.high - one.low) * (v + 2.0) / 4.0).collect();
    ONE.iter().filter_map(move |one| Some((one, one.formula?, within(one))))
}

#[test]
fn functions_of_one_element_equal_their_formulas() {
    for (One { name, function, .. }, formula, x) in known(40, 5) {
        let expected: Vec<f64> = x.iter().map(|&x| formula(x)).collect();
        close(name, &values(&function(&vector(&x))), &expected, 4e-15);
    }
}

#[test]
fn functions_of_one_element_have_their_derivatives() {
    for (One { name, function, .. }, _, x) in known(7, 6) {
        check_gradients(name, |x| function(&x[0]), &[vector(&x)]);
    }
}

#[test]
fn prelu_and_glu() {
    check_gradients("prelu", |x| x[0].prelu(&x[1]), &[crate::check::random(&[3, 2], 1), crate::check::random(&[2], 2)]);
    check_gradients("glu", |x| x[0].glu(-1), &[crate::check::random(&[3, 4], 1)]);
    check_gradients("swiglu", |x| x[0].swiglu(-2), &[crate::check::random(&[4, 3], 1)]);
    let y = Tensor::from_slice(&[2.0f64, -1.0, 3.0, 4.0], [2, 2]).swiglu(0);
    close("swiglu", &values(&y), &[6.0 * sigmoid(2.0), -4.0 * sigmoid(-1.0)], 1e-15);
    let y = Tensor::from_slice(&[3.0f64, 4.0, 0.0, 0.0], [2, 2]).glu(0);
    assert_eq!((values(&y), y.shape()), (vec![1.5, 2.0], &[1, 2][..]));
}

/// abs, relu at 0: no NaN, no 1, but 0. Clamped values pass the gradient at the bound.
#[test]
fn abs_relu_and_clamp_at_their_kinks() {
    let x = vector(&[-0.0, 0.0]);
    type Kink = (&'static str, fn(&Tensor) -> Tensor, f64);
    let kinks: [Kink; 10] = [
        ("relu", |x| x.relu(), 0.0),
        ("relu6", |x| x.relu6(), 0.0),
        ("abs", |x| x.abs(), 0.0),
        ("silu", |x| x.silu(), 0.5),
        ("softsign", |x| x.softsign(), 1.0),
        ("leaky_relu", |x| x.leaky_relu(0.25), 0.25),
        ("elu", |x| x.elu(1.0), 1.0),
        ("clamp", |x| x.clamp(0.0, 1.0), 1.0),
        ("clamp_max", |x| x.clamp_max(0.0), 1.0),
        ("hard_tanh", |x| (x + 1.0).hard_tanh(), 1.0),
    ];
    for (name, function, derivative) in kinks {
        assert_eq!(slope(&function(&x), &x), [derivative; 2], "{name}");
    }
}

#[test]
fn steps_have_values_and_a_declared_zero_derivative() {
    let x = [
        -2.5,
        -1.5,
        -0.5,
        -0.2,
        -0.0,
        0.0,
        0.3,
        0.49999999999999994,
        0.5,
        1.5,
        2.5,
        3.7,
        4503599627370497.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    type Step = (&'static str, fn(&Tensor) -> Tensor, fn(f64) -> f64);
    let steps: [Step; 4] = [
        ("round", |x| x.round(), f64::round_ties_even),
        ("ceil", |x| x.ceil(), f64::ceil),
        ("trunc", |x| x.trunc(), f64::trunc),
        ("sign", |x| x.sign(), |x| if x == 0.0 { 0.0 } else { x.signum() }),
    ];
    for (name, step, expected) in steps {
        let tensor = vector(&x);
        assert_eq!(values(&step(&tensor)), x.map(expected), "{name}");
        assert_eq!(slope(&step(&tensor), &tensor), [0.0; 15], "{name}");
        let forward = chainrule_engine::transform::jvp(&[&step(&tensor)], &[&tensor], &[&tensor.ones_like()]).unwrap();
        assert_eq!(values(&forward[0]), [0.0; 15], "{name}");
    }
}

#[test]
fn nan_stays_nan() {
    let x = vector(&[f64::NAN]);
    for One { name, function, .. } in ONE.iter().filter(|one| one.name != "nan_to_num") {
        assert!(function(&x).sum().item().unwrap().is_nan(), "{name}");
    }
    assert_eq!(vector(&[f64::NAN, 1.0]).is_nan().to_vec::<bool>().unwrap(), [true, false]);
}

#[test]
fn far_arguments_stay_finite_to_second_order() {
    // elu, softplus and their like must not meet infinity times zero.
    type Far = (&'static str, fn(&Tensor) -> Tensor);
    let far: [Far; 7] = [
        ("elu", |x| x.elu(1.0)),
        ("selu", |x| x.selu()),
        ("mish", |x| x.mish()),
        ("silu", |x| x.silu()),
        ("gelu", |x| x.gelu()),
        ("gelu_tanh", |x| x.gelu_tanh()),
        ("log_sigmoid", |x| x.log_sigmoid()),
    ];
    for (name, function) in far {
        let x = vector(&[-1000.0, 1000.0]);
        let first = function(&x).sum().grad(&[&x]).unwrap().remove(0);
        let second = chainrule_engine::transform::jvp(&[&first], &[&x], &[&x.ones_like()]).unwrap().remove(0);
        assert!(values(&first).iter().chain(&values(&second)).all(|v| v.is_finite()), "{name}: {:?} {:?}", values(&first), values(&second));
    }
}

/// `x` times what goes from 0 to 1 faster than `x` grows: none of the products of infinity and 0 that this is made of counts.
#[test]
fn gates_have_their_limits_at_infinity() {
    type Gate = (&'static str, fn(&Tensor) -> Tensor);
    let gates: [Gate; 4] = [("gelu", |x| x.gelu()), ("gelu_tanh", |x| x.gelu_tanh()), ("silu", |x| x.silu()), ("mish", |x| x.mish())];
    let dtypes = [DType::F16, DType::BF16, DType::F32, DType::F64];
    for ((name, gate), dtype) in gates.into_iter().flat_map(|gate| dtypes.map(|dtype| (gate, dtype))) {
        let x = vector(&[f64::NEG_INFINITY, f64::INFINITY]).cast(dtype).to_leaf().unwrap();
        let (y, ones) = (gate(&x), x.ones_like());
        let along = |y: &Tensor| chainrule_engine::transform::jvp(&[y], &[&x], &[&ones]).unwrap().remove(0);
        let first = y.sum().grad(&[&x]).unwrap().remove(0);
        let second = first.sum().grad(&[&x]).unwrap().remove(0);
        let found = [&y, &first, &along(&y), &second, &along(&first), &along(&second)].map(values);
        let wanted = [[0.0, f64::INFINITY], [0.0, 1.0], [0.0, 1.0], [0.0; 2], [0.0; 2], [0.0; 2]];
        assert_eq!(found, wanted, "{name} of {dtype}: value, first derivative twice, second twice, third");
    }
}

/// Value, first and second derivative where next to nothing is left of one of them, by mpmath with 400 digits.
#[rustfmt::skip]
#[test]
fn gates_keep_their_digits_far_out() {
    type Far = (&'static str, fn(&Tensor) -> Tensor, &'static [[f64; 4]]);
    let far: [Far; 3] = [
        ("silu", |x| x.silu(), &[
            [-700.0, -6.90177358063184e-302, -6.891913904088079e-302, -6.88205422754432e-302],
            [-30.0, -2.8072868906517897e-12, -2.713710660963134e-12, -2.620134431274233e-12],
            [30.0, 29.999999999997193, 1.0000000000027137, -2.620134431274233e-12],
        ]),
        ("mish", |x| x.mish(), &[
            [-300.0, -1.5444600667236041e-128, -1.5393118665011921e-128, -1.5341636662787801e-128],
            [-30.0, -2.807286890651921e-12, -2.713710660963392e-12, -2.620134431274741e-12],
            [18.0, 17.999999999999992, 1.0000000000000162, -3.154550828695237e-14],
        ]),
        ("gelu_tanh", |x| x.gelu_tanh(), &[
            [-20.0, -3.375450956311062e-261, -2.9424328724945852e-259, -2.562073202846088e-257],
            [-6.0, -8.439646700762303e-11, -7.709973930953701e-10, -6.824247274157194e-9],
            [6.0, 5.9999999999156035, 1.0000000007709974, -6.824247274157194e-9],
        ]),
    ];
    for (name, gate, rows) in far {
        for &[x, value, first, second] in rows {
            let x = vector(&[x]);
            let y = gate(&x);
            let slope = y.sum().grad(&[&x]).unwrap().remove(0);
            let bend = slope.sum().grad(&[&x]).unwrap().remove(0);
            for (found, wanted) in [&y, &slope, &bend].map(|t| values(t)[0]).into_iter().zip([value, first, second]) {
                // An exponent of up to 700 is rounded in its thirteenth digit behind the point.
                assert!((found / wanted - 1.0).abs() < 4e-13, "{name} of {x:?}: {found:e}, not {wanted:e}");
            }
        }
    }
}

#[test]
fn integers_have_relu_abs_sign_and_clamp() {
    let x = Tensor::from_slice(&[-3i64, 0, 5], [3]);
    assert_eq!(x.relu().to_vec::<i64>().unwrap(), [0, 0, 5]);
    assert_eq!(x.abs().to_vec::<i64>().unwrap(), [3, 0, 5]);
    assert_eq!(x.sign().to_vec::<i64>().unwrap(), [-1, 0, 1]);
    assert_eq!(x.clamp(-1.0, 4.0).to_vec::<i64>().unwrap(), [-1, 0, 4]);
    assert_eq!(x.clamp(f64::NEG_INFINITY, 4.0).to_vec::<i64>().unwrap(), [-3, 0, 4]);
}

#[test]
fn every_float_type_is_taken() {
    for dtype in [DType::F32, DType::BF16, DType::F16] {
        for (One { name, function, .. }, formula, x) in known(4, 6) {
            let x = vector(&x).cast(dtype).cast(DType::F64);
            let y = function(&x.cast(dtype));
            assert_eq!(y.dtype(), dtype, "{name}");
            let tolerance = if dtype == DType::BF16 { 0.04 } else { 0.005 };
            close(name, &values(&y), &values(&x).into_iter().map(formula).collect::<Vec<_>>(), tolerance);
        }
    }
}
