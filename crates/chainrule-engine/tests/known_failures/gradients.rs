//! Wrong or missing gradients: kinks, ties, zeros, infinities, repeated indices, casts, broadcasts.

use crate::support::{assert_agree, eval, leaf, numeric_gradient, random};
use chainrule_engine::transform::{hessian, hvp, jvp, vjp};
use chainrule_engine::{DType, ErrorKind, Tensor};

type OfOne = fn(&Tensor) -> Tensor;
type OfTwo = fn(&Tensor, &Tensor) -> Tensor;

fn gradient(y: &Tensor, x: &Tensor) -> Vec<f64> {
    match y.sum().grad(&[x]) {
        Ok(g) => eval(&g[0]),
        Err(error) => panic!("{error}"),
    }
}

/// All derivatives of `f` of one variable at `x`: reverse, forward, second order both ways.
fn derivatives(f: impl Fn(&Tensor) -> Tensor, x: f64) -> [f64; 4] {
    let x = leaf(&[x], &[1]);
    let y = f(&x);
    let one = x.ones_like();
    let first = y.sum().grad(&[&x]).map(|mut g| g.remove(0));
    let (Ok(first), Ok(tangent)) = (first, jvp(&[&y], &[&x], &[&one])) else { panic!("no derivative") };
    let forward = hvp(&y.sum(), &x, &one).map(|t| eval(&t)[0]);
    let reverse = match first.sum().grad(&[&x]) {
        Ok(second) => eval(&second[0])[0],
        // A first derivative that is constant, or has steps only.
        Err(error) if error.kind() == ErrorKind::Disconnected => 0.0,
        Err(error) => panic!("{error}"),
    };
    [eval(&first)[0], eval(&tangent[0])[0], forward.unwrap_or_else(|error| panic!("{error}")), reverse]
}

#[test]
fn an_input_used_k_times_gets_the_sum() {
    let x = random(&[3], 1);
    let mut y = x.clone();
    for _ in 0..9 {
        y = y + &x;
    }
    assert_eq!(gradient(&y, &x), [10.0; 3]);
    let product = (0..5).fold(x.ones_like(), |y, _| y * &x);
    let want: Vec<f64> = eval(&x).iter().map(|x| 5.0 * x.powi(4)).collect();
    assert_agree("x^5", &gradient(&product, &x), &want, 1e-14);
}

#[test]
fn one_output_used_another_unused() {
    let x = random(&[4], 2);
    let (used, unused) = (x.sin(), x.exp());
    assert_agree("used", &gradient(&used, &x), &eval(&x.cos()), 1e-14);
    let mixed = vjp(&[&used, &unused], &[&used.ones_like(), &unused.zeros_like()], &[&x]);
    assert_agree("both", &mixed.map(|g| eval(&g[0])).unwrap_or_default(), &eval(&x.cos()), 1e-14);
    drop(unused);
}

#[test]
fn a_sigmoid_at_minus_ninety_is_finite_in_f32() {
    let x = Tensor::from_slice(&[-90.0f32, 90.0, -1000.0, 1000.0], 4);
    for g in [gradient(&x.sigmoid(), &x), gradient(&x.softplus(), &x), gradient(&x.tanh(), &x)] {
        assert!(g.iter().all(|g| g.is_finite()), "{g:?}");
    }
    let silu = |x: &Tensor| x * x.sigmoid();
    assert_eq!(derivatives(silu, 0.0)[..2], [0.5, 0.5]);
}

#[test]
fn a_cross_product_has_both_signs() {
    let (a, b) = (random(&[3], 3), random(&[3], 4));
    let at = |t: &Tensor, i: i64| t.gather(&Tensor::from_slice(&[i], 1));
    let cross = |a: &Tensor, b: &Tensor| {
        let part = |i: i64, j: i64| at(a, i) * at(b, j) - at(a, j) * at(b, i);
        Tensor::concat(&[&part(1, 2), &part(2, 0), &part(0, 1)], 0)
    };
    let g = random(&[3], 5);
    let loss = (cross(&a, &b) * &g).sum();
    let got = loss.grad(&[&a, &b]).map(|g| [eval(&g[0]), eval(&g[1])]).unwrap_or_default();
    assert_agree("by a: b x g", &got[0], &eval(&cross(&b, &g)), 1e-14);
    assert_agree("by b: g x a", &got[1], &eval(&cross(&g, &a)), 1e-14);
}

#[test]
fn gather_with_repeated_indices_accumulates() {
    let table = random(&[4, 2], 6);
    let index = Tensor::from_slice(&[2i64, 0, 2, 2], 4);
    let weight = leaf(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], &[4, 2]);
    let got = gradient(&(table.gather(&index) * &weight), &table);
    assert_eq!(got, [3.0, 4.0, 0.0, 0.0, 1.0 + 5.0 + 7.0, 2.0 + 6.0 + 8.0, 0.0, 0.0]);
}

#[test]
fn scatter_with_repeated_indices_loses_no_update() {
    let updates = leaf(&[1.0, 2.0, 3.0, 4.0, 5.0], &[5]);
    let index = Tensor::from_slice(&[1i32, 1, 1, 3, 1], 5);
    let sums = updates.scatter_add(&index, 4);
    assert_eq!(eval(&sums), [0.0, 11.0, 0.0, 4.0]);
    let weight = leaf(&[10.0, 20.0, 30.0, 40.0], &[4]);
    assert_eq!(gradient(&(sums * weight), &updates), [20.0, 20.0, 20.0, 40.0, 20.0]);
}

#[test]
fn a_cast_between_floats_is_tracked() {
    for dtype in [DType::F32, DType::F64, DType::BF16, DType::F16] {
        let x = Tensor::from_slice(&[0.5f32, -1.5, 2.0], 3);
        let y = (x.cast(dtype) * 3.0).cast(DType::F32).square();
        assert_eq!(gradient(&y, &x), [9.0, -27.0, 36.0], "{dtype}");
    }
}

#[test]
fn broadcasting_is_undone() {
    for (a, b) in [(&[1usize, 3][..], &[2usize, 1][..]), (&[3], &[2, 3]), (&[], &[2, 2]), (&[2, 1, 3], &[4, 1]), (&[1], &[1, 1])] {
        let (x, y) = (random(a, 7), random(b, 8));
        let table: [(&str, OfTwo); 4] =
            [("add", |a, b| a + b), ("mul", |a, b| a * b), ("div", |a, b| a / (b * b + 1.0)), ("maximum", Tensor::maximum)];
        for (name, f) in table {
            let loss = |t: &[Tensor]| f(&t[0], &t[1]).square().sum();
            let inputs = [x.clone(), y.clone()];
            let Ok(got) = loss(&inputs).grad(&[&x, &y]) else { panic!("{name} of {a:?} and {b:?} has no gradient") };
            for k in 0..2 {
                assert_eq!(got[k].shape(), inputs[k].shape(), "{name}");
                assert_agree(name, &eval(&got[k]), &numeric_gradient(&inputs, k, &loss), 1e-7);
            }
        }
    }
}

#[test]
fn powers_at_zero_and_below() {
    // (base, exponent, value, derivative by the base)
    let table = [
        (0.0, 0.0, 1.0, 0.0),
        (0.0, 1.0, 0.0, 1.0),
        (0.0, 2.0, 0.0, 0.0),
        (0.0, 3.0, 0.0, 0.0),
        (-2.0, 2.0, 4.0, -4.0),
        (-2.0, 3.0, -8.0, 12.0),
        (-2.0, -1.0, -0.5, -0.25),
        (-2.0, 0.0, 1.0, 0.0),
    ];
    for (base, exponent, value, by_base) in table {
        let exponents = leaf(&[exponent], &[1]);
        let x = leaf(&[base], &[1]);
        assert_eq!(eval(&x.pow(&exponents)), [value], "{base}^{exponent}");
        let [reverse, forward, ..] = derivatives(|x| x.pow(&exponents), base);
        assert_eq!([reverse, forward], [by_base; 2], "derivative of {base}^{exponent}");
    }
    // Second derivatives at 0: of x^2 it is 2, of x^3, x^1 and x^0 none.
    for (exponent, second) in [(0.0, 0.0), (1.0, 0.0), (2.0, 2.0), (3.0, 0.0)] {
        let exponents = leaf(&[exponent], &[1]);
        let [_, _, forward, reverse] = derivatives(|x| x.pow(&exponents), 0.0);
        assert_eq!([forward, reverse], [second; 2], "second derivative of 0^{exponent}");
    }
}

#[test]
fn the_unwanted_side_of_a_power_leaks_nothing() {
    let base = leaf(&[-2.0, 0.0, 0.0, 3.0], &[4]);
    let exponent = leaf(&[2.0, 2.0, 0.0, 0.5], &[4]);
    let y = base.pow(&exponent);
    assert_agree("by the base", &gradient(&y, &base), &[-4.0, 0.0, 0.0, 0.5 / 3f64.sqrt()], 1e-15);
    // The logarithm of a negative base has no real value; that of zero counts as none.
    let by_exponent = gradient(&y, &exponent);
    assert!(by_exponent[0].is_nan());
    assert_agree("by the exponent", &by_exponent[1..], &[0.0, 0.0, 3f64.sqrt() * 3f64.ln()], 1e-15);
    // Nor does the base's own zero reach a neighbour.
    let product = (base.pow(&exponent) * leaf(&[0.0, 1.0, 1.0, 1.0], &[4])).sum();
    let second = product.grad(&[&base]).and_then(|g| g[0].sum().grad(&[&base])).map(|g| eval(&g[0])).unwrap_or_default();
    assert_agree("second order", &second, &[0.0, 2.0, 0.0, -0.25 * 3f64.powf(-1.5)], 1e-14);
}

#[test]
fn a_product_of_factors_with_zeros() {
    let x = leaf(&[0.0, 2.0, 3.0], &[3]);
    let pick = |i: i64| x.gather(&Tensor::from_slice(&[i], ()));
    let y = pick(0) * pick(1) * pick(2);
    assert_eq!(gradient(&y, &x), [6.0, 0.0, 0.0]);
    let z = leaf(&[0.0, 0.0, 3.0], &[3]);
    let pick = |i: i64| z.gather(&Tensor::from_slice(&[i], ()));
    assert_eq!(gradient(&(pick(0) * pick(1) * pick(2)), &z), [0.0, 0.0, 0.0]);
}

#[test]
fn ties_share_the_derivative_and_the_weights_sum_to_one() {
    let (a, b) = (leaf(&[1.0, 2.0, -0.0, 3.0], &[4]), leaf(&[1.0, 5.0, 0.0, -3.0], &[4]));
    for (name, y, want) in [("maximum", a.maximum(&b), [0.5, 0.0, 0.5, 1.0]), ("minimum", a.minimum(&b), [0.5, 1.0, 0.5, 0.0])] {
        assert_eq!(gradient(&y, &a), want, "{name} by a");
        assert_eq!(gradient(&y, &b), want.map(|w| 1.0 - w), "{name} by b");
    }
    let x = leaf(&[1.0, 3.0, 3.0, 3.0, -1.0, 2.0], &[2, 3]);
    assert_eq!(gradient(&x.max(), &x), [0.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 0.0, 0.0]);
    assert_eq!(gradient(&x.max_over(&[1]), &x), [0.0, 0.5, 0.5, 1.0, 0.0, 0.0]);
    assert_eq!(gradient(&x.max_over(&[0]), &x), [0.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
    let minus = leaf(&[f64::NEG_INFINITY; 4], &[4]);
    assert_eq!(gradient(&minus.max(), &minus), [0.25; 4]);
}

#[test]
fn relu_and_abs_are_flat_at_zero() {
    let zero = |x: &Tensor| x.zeros_like();
    let relu = |x: &Tensor| x.greater(&zero(x)).select(x, &zero(x));
    assert_eq!(derivatives(relu, 0.0), [0.0; 4]);
    let abs = |x: &Tensor| x.maximum(&-x);
    assert_eq!(derivatives(abs, 0.0), [0.0; 4]);
    assert_eq!(derivatives(abs, -3.0), [-1.0, -1.0, 0.0, 0.0]);
}

#[test]
fn the_branch_not_taken_contributes_exactly_nothing() {
    let x = leaf(&[-1.0, 0.0, 4.0, f64::INFINITY], &[4]);
    let positive = x.greater(&x.zeros_like());
    for (name, risky) in [("sqrt", x.sqrt()), ("log", x.log()), ("1/x", x.recip()), ("x/x", &x / &x), ("pow", x.powf(0.3))] {
        let y = positive.select(&risky, &(&x * 2.0));
        let got = gradient(&y, &x);
        assert_eq!(got[..2], [2.0, 2.0], "{name}");
        assert!(got[2].is_finite(), "{name}");
        let forward = jvp(&[&y], &[&x], &[&x.ones_like()]).map(|t| eval(&t[0])).unwrap_or_default();
        assert_eq!(forward[..2], [2.0, 2.0], "{name} forward");
        let second = y.sum().grad(&[&x]).and_then(|g| g[0].sum().grad(&[&x])).map(|g| eval(&g[0])).unwrap_or_default();
        assert_eq!(second[..2], [0.0, 0.0], "{name}, second order");
    }
}

#[test]
fn the_derivative_of_a_root_at_zero_is_infinite_unless_nothing_depends_on_it() {
    let x = leaf(&[0.0, 4.0], &[2]);
    assert_eq!(gradient(&x.sqrt(), &x), [f64::INFINITY, 0.25]);
    let masked = x.sqrt() * leaf(&[0.0, 1.0], &[2]);
    assert_eq!(gradient(&masked, &x), [0.0, 0.25]);
}

#[test]
fn what_is_flat_by_declaration_has_gradient_zero() {
    let x = leaf(&[0.5, -1.5, 2.0], &[3]);
    assert_eq!(gradient(&x.floor(), &x), [0.0; 3]);
    assert_eq!(gradient(&(x.floor() * &x), &x), [0.0, -2.0, 2.0]);
    assert_eq!(jvp(&[&x.floor()], &[&x], &[&x.ones_like()]).map(|t| eval(&t[0])).ok(), Some(vec![0.0; 3]));
}

#[test]
fn small_and_large_arguments_keep_their_digits() {
    let tiny = 4.248_354_255_291_589e-18;
    let table: [(&str, OfOne, f64, f64, f64); 7] = [
        ("softplus", Tensor::softplus, -40.0, tiny, tiny),
        ("sigmoid", Tensor::sigmoid, -40.0, tiny, tiny),
        ("log-loss on a logit of a true answer", |x| (-x).softplus(), 40.0, tiny, -tiny),
        ("tanh", Tensor::tanh, 20.0, 1.0, 1.699_341_702_116_635_6e-17),
        ("expm1", Tensor::expm1, 1e-10, 1.000_000_000_05e-10, 1.000_000_000_1),
        ("log1p", Tensor::log1p, 1e-10, 9.999_999_999_5e-11, 1.0 - 1e-10),
        ("exp", Tensor::exp, -1e3, 0.0, 0.0),
    ];
    for (name, f, at, value, derivative) in table {
        let got = eval(&f(&leaf(&[at], &[1])))[0];
        assert!((got - value).abs() <= 1e-15 * value.abs(), "{name}({at}) = {got:e}, not {value:e}");
        let [reverse, forward, ..] = derivatives(f, at);
        for got in [reverse, forward] {
            assert!((got - derivative).abs() <= 1e-15 * derivative.abs(), "{name}'({at}) = {got:e}, not {derivative:e}");
        }
    }
}

#[test]
fn the_second_derivatives_of_a_saturated_tanh_keep_their_digits() {
    // d/dx sech^2 = -2 tanh sech^2.
    let [_, _, forward, reverse] = derivatives(Tensor::tanh, 20.0);
    for got in [forward, reverse] {
        assert!((got + 2.0 * 1.699_341_702_116_635_6e-17).abs() < 1e-30, "{got:e}");
    }
}

#[test]
fn the_hessian_of_a_linear_function_is_zero() {
    let x = random(&[3], 9);
    let y = (&x * 2.0).sum();
    assert_eq!(hessian(&y, &x).map(|h| eval(&h)).unwrap_or_default(), [0.0; 9]);
}
