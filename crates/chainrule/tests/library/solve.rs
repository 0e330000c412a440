//! Solvers on functions whose minima, roots and derivatives are known in closed form, and on input
//! that has none.

use chainrule::prelude::*;
use chainrule::solve::{FixedPoint, Lbfgs, LevenbergMarquardt, Newton, Root, SolveError, Stopped};
use chainrule::transform::{hessian, hvp, jacobian, jvp, vmap};
use chainrule::{ErrorKind, Step};

fn scalars(values: &[f64]) -> Vec<Tensor> {
    values.iter().map(|&value| Tensor::f64(value)).collect()
}

fn near(found: &Tensor, expected: &[f64], tolerance: f64) {
    let found = found.cast(DType::F64).to_vec::<f64>().unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{found} instead of {expected}");
    }
}

/// Rosenbrock's function of any number of unknowns, least (0) where all are 1.
fn valley(x: &Tensor) -> Tensor {
    let last = x.len() as i64 - 1;
    let (here, next) = (x.at(..last), x.at(1..));
    (100.0 * (next - here.square()).square() + (1.0 - here).square()).sum()
}

// ---- least squares ----

/// Rosenbrock's function as a sum of squares, and a straight line against the textbook's formulas.
#[test]
fn least_squares_are_found() {
    let start = scalars(&[-1.2, 1.0]);
    let fit = LevenbergMarquardt::default()
        .minimize(|p| Tensor::stack(&[&(10.0 * (&p[1] - p[0].square())), &(1.0 - &p[0])], 0), &[&start[0], &start[1]])
        .unwrap();
    assert!(fit.converged(), "{fit:?}");
    near(&Tensor::stack(&[&fit.parameters[0], &fit.parameters[1]], 0), &[1.0, 1.0], 1e-12);

    let x: Vec<f64> = (0..20).map(|i| i as f64 * 0.37 - 1.0).collect();
    let y: Vec<f64> = x.iter().map(|x| 2.0 - 0.7 * x + (13.0 * x).sin()).collect();
    let (n, mean) = (x.len() as f64, x.iter().sum::<f64>() / x.len() as f64);
    let spread: f64 = x.iter().map(|x| (x - mean).powi(2)).sum();
    let slope = x.iter().zip(&y).map(|(x, y)| (x - mean) * y).sum::<f64>() / spread;
    let constant = y.iter().sum::<f64>() / n - slope * mean;
    let rest: f64 = x.iter().zip(&y).map(|(x, y)| (y - constant - slope * x).powi(2)).sum();
    let variance = rest / (n - 2.0);
    let (tx, ty) = (Tensor::from_slice(&x, [20]), Tensor::from_slice(&y, [20]));
    for accelerated in [Some(0.3), None] {
        let solver = LevenbergMarquardt { acceleration: accelerated, ..Default::default() };
        let fit = solver.minimize(|p| &p[0].at(0) + &p[0].at(1) * &tx - &ty, &[&Tensor::f64([5.0, 5.0])]).unwrap();
        near(&fit.parameters[0], &[constant, slope], 1e-12);
        near(
            &fit.standard_errors().unwrap()[0],
            &[(variance * (1.0 / n + mean * mean / spread)).sqrt(), (variance / spread).sqrt()],
            1e-12,
        );
        let both = -mean / spread * variance;
        near(&fit.covariance().unwrap(), &[variance * (1.0 / n + mean * mean / spread), both, both, variance / spread], 1e-12);
        assert!((fit.residual_deviation() - variance.sqrt()).abs() < 1e-12);
        assert_eq!((fit.degrees_of_freedom, fit.residuals.shape()), (18, [20].as_slice()));
    }
}

/// From where the exponential overflows at the first full step, and from where it is not finite.
#[test]
fn steps_to_infinity_are_refused() {
    let t = Tensor::linspace(0.0, 300.0, 30, DType::F64);
    let y = 3.0 * (0.02 * &t).exp();
    let model = |p: &[Tensor]| &p[0] * (&p[1] * &t).exp() - &y;
    let start = scalars(&[1.0, -1.0]);
    for accelerated in [Some(0.3), None] {
        let solver = LevenbergMarquardt { acceleration: accelerated, damping: 1e-9, ..Default::default() };
        let fit = solver.minimize(model, &[&start[0], &start[1]]).unwrap();
        assert!(fit.converged());
        near(&fit.parameters[1], &[0.02], 1e-10);
    }
    let beyond = scalars(&[1.0, 10.0]);
    let error = LevenbergMarquardt::default().minimize(model, &[&beyond[0], &beyond[1]]).unwrap_err();
    assert!(matches!(error, SolveError::NotFinite { what: "the residuals", iteration: 0 }), "{error}");
}

/// In f32 the digits of f32, and parameters of that type and of their own shapes.
#[test]
fn the_element_type_is_that_of_the_guesses() {
    let x = Tensor::linspace(0.0, 2.0, 12, DType::F32);
    let y = 1.5 * (-0.8 * &x).exp() + 0.25;
    let (scale, rest) = (Tensor::ones([1, 1]), Tensor::ones([2]));
    let model = |p: &[Tensor]| p[0].reshape([]) * (-p[1].at(0) * &x).exp() + p[1].at(1) - &y;
    let fit = LevenbergMarquardt::default().minimize(model, &[&scale, &rest]).unwrap();
    assert!(fit.converged(), "{fit:?}");
    assert_eq!((fit.parameters[0].dtype(), fit.parameters[0].shape()), (DType::F32, [1, 1].as_slice()));
    assert_eq!(fit.standard_errors().unwrap()[1].shape(), [2]);
    near(&fit.parameters[0], &[1.5], 1e-4);
    near(&fit.parameters[1], &[0.8, 0.25], 1e-4);
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let solver = LevenbergMarquardt::default();
    let (one, x) = (Tensor::f64(1.0), Tensor::f64([1.0, 2.0, 3.0]));
    let fails = |result: Result<chainrule::solve::Fit, SolveError>| result.unwrap_err();

    let error = fails(solver.minimize(|p| &p[0] * &x, &[&Tensor::f64(f64::NAN)]));
    assert!(matches!(error, SolveError::Guess { guess: 0 }), "{error}");
    let error = fails(solver.minimize(|p| &p[0] + &p[1], &[&one, &one]));
    assert!(matches!(error, SolveError::TooFew { residuals: 1, parameters: 2 }), "{error}");
    assert!(matches!(fails(solver.minimize(|_| x.clone(), &[])), SolveError::NoParameters));
    let error = fails(solver.minimize(|_| x.square(), &[&one]));
    assert!(matches!(&error, SolveError::Function(error) if error.kind() == ErrorKind::Disconnected), "{error}");
    let error = fails(solver.minimize(|p| &p[0] * Tensor::f64([[1.0, 2.0]]).matmul(&x), &[&one]));
    assert!(matches!(&error, SolveError::Function(error) if error.kind() == ErrorKind::Shape), "{error}");
    let error = fails(solver.minimize(|p| &p[0] * &x, &[&Tensor::from_slice(&[1i64], ())]));
    assert!(matches!(&error, SolveError::Function(error) if error.kind() == ErrorKind::DType), "{error}");
    let error = fails(LevenbergMarquardt { damping: -1.0, ..solver }.minimize(|p| &p[0] * &x, &[&one]));
    assert!(matches!(error, SolveError::Setting { name: "damping", .. }), "{error}");
    let unbound = Tensor::placeholder([3], DType::F64);
    let error = fails(solver.minimize(|p| &p[0] * &unbound, &[&one]));
    assert!(matches!(&error, SolveError::Function(error) if error.kind() == ErrorKind::Unbound), "{error}");

    // Only the sum of the two is determined: there is a minimum, but nothing is known of each.
    let fit = solver.minimize(|p| (&p[0] + &p[1]) * &x - 6.0, &[&one, &one]).unwrap();
    assert!(fit.converged());
    near(&(&fit.parameters[0] + &fit.parameters[1]), &[36.0 / 14.0], 1e-10);
    let error = fit.standard_errors().unwrap_err();
    assert!(matches!(error, SolveError::Singular { matrix: "the Jacobian", column: 1 }), "{error}");
    // As many parameters as residuals: they fit, but their errors are unknown.
    let fit = solver.minimize(|p| p[0].square() - Tensor::f64([4.0, 9.0]), &[&Tensor::f64([1.0, 1.0])]).unwrap();
    near(&fit.parameters[0], &[2.0, 3.0], 1e-12);
    assert!(matches!(fit.covariance().unwrap_err(), SolveError::TooFew { residuals: 2, parameters: 2 }));
}

// ---- minima ----

#[test]
fn valleys_are_walked_to_their_end() {
    for n in [2, 7] {
        let start = Tensor::full([n], -1.2, DType::F64);
        let newton = Newton::default().minimize(|p| valley(&p[0]), &[&start]).unwrap();
        let lbfgs = Lbfgs { gradient_tolerance: 1e-11, ..Default::default() }.minimize(|p| valley(&p[0]), &[&start]).unwrap();
        for (minimum, tolerance) in [(&newton, 1e-10), (&lbfgs, 1e-9)] {
            assert!(minimum.converged(), "{minimum:?}");
            // With 7 unknowns there is a second minimum near (-1, 1, 1, ..); its value is 3.98.
            if minimum.value < 1.0 {
                near(&minimum.parameters[0], &vec![1.0; n], tolerance);
            } else {
                assert!(n == 7 && (minimum.value - 3.98).abs() < 0.01, "{minimum:?}");
            }
        }
        assert!(newton.iterations < 100 && lbfgs.iterations < 200, "{} {}", newton.iterations, lbfgs.iterations);
    }
}

/// At a saddle the gradient is zero, but it is no minimum: `x^4 / 4 - x^2 / 2 + y^2` has two, at
/// `(1, 0)` and `(-1, 0)`, of value -1/4.
#[test]
fn newton_leaves_saddles() {
    let minimum = Newton::default()
        .minimize(|p| p[0].powf(4.0) / 4.0 - p[0].square() / 2.0 + p[1].square(), &[&Tensor::f64(0.0), &Tensor::f64(0.0)])
        .unwrap();
    assert!(minimum.converged() && (minimum.value + 0.25).abs() < 1e-14, "{minimum:?}");
    near(&minimum.parameters[0].abs(), &[1.0], 1e-8);
}

/// Least in the direction of large curvature and of small: a quadratic function is least where its
/// matrix times x is its vector.
#[test]
fn quadratic_functions_are_solved_whatever_their_scales() {
    let curvature = Tensor::f64([1e-3, 1.0, 1e4]);
    let target = Tensor::f64([30.0, -2.0, 0.5]);
    let bowl = |p: &[Tensor]| (&curvature * (&p[0] - &target).square()).sum() + 5.0;
    let start = Tensor::f64([0.0, 0.0, 0.0]);
    let newton = Newton::default().minimize(bowl, &[&start]).unwrap();
    let lbfgs = Lbfgs { gradient_tolerance: 1e-10, ..Default::default() }.minimize(bowl, &[&start]).unwrap();
    near(&newton.parameters[0], &[30.0, -2.0, 0.5], 1e-9);
    near(&lbfgs.parameters[0], &[30.0, -2.0, 0.5], 1e-5);
}

#[test]
fn what_has_no_minimum_says_so() {
    let one = Tensor::f64(1.0);
    // Ever lower: the exponential of what falls.
    let minimum = Lbfgs { iterations: 20, gradient_tolerance: 0.0, ..Default::default() }.minimize(|p| -&p[0], &[&one]).unwrap();
    assert!(!minimum.converged(), "{minimum:?}");
    let minimum = Newton { iterations: 20, ..Default::default() }.minimize(|p| -p[0].square(), &[&one]).unwrap();
    assert_eq!(minimum.stopped, Stopped::Iterations);
    // A gradient that points up: no step helps, and that is not taken for a minimum.
    let wrong = |p: &[Tensor]| p[0].detach() * 2.0 - &p[0];
    assert_eq!(Lbfgs::default().minimize(wrong, &[&one]).unwrap().stopped, Stopped::Stalled);
    assert_eq!(Newton::default().minimize(wrong, &[&one]).unwrap().stopped, Stopped::Stalled);
    let fit = LevenbergMarquardt::default().minimize(wrong, &[&one]).unwrap();
    assert_eq!(fit.stopped, Stopped::Stalled);
    for result in [
        Newton::default().minimize(|p| p[0].log(), &[&Tensor::f64(-1.0)]),
        Lbfgs::default().minimize(|p| p[0].log(), &[&Tensor::f64(-1.0)]),
    ] {
        assert!(matches!(result.unwrap_err(), SolveError::NotFinite { what: "the function", iteration: 0 }));
    }
    let vector = Tensor::f64([1.0, 2.0]);
    let error = Newton::default().minimize(|p| p[0].square(), &[&vector]).unwrap_err();
    assert!(matches!(&error, SolveError::Function(error) if error.kind() == ErrorKind::Shape), "{error}");
    let error = Lbfgs { memory: 0, ..Default::default() }.minimize(|p| p[0].square(), &[&one]).unwrap_err();
    assert!(matches!(error, SolveError::Setting { name: "memory", .. }), "{error}");
}

// ---- roots ----

/// The eccentric anomaly E for eccentricity e and mean anomaly M.
fn kepler(e: &Tensor, m: &Tensor) -> Result<Tensor, SolveError> {
    let equation = |x: &Tensor, p: &[&Tensor]| x - p[0] * x.sin() - p[1];
    Ok(Root::default().solve(equation, &m.to_leaf()?, &[e, m])?.value)
}

/// `dE/de = sin E / (1 - e cos E)`, `dE/dM = 1 / (1 - e cos E)`, and the second derivatives by the
/// chain rule: with `s = 1 - e cos E`, `d2E/dM2 = -e sin E / s^3` and
/// `d2E/dMde = (cos E - e - ... )` from differentiating `1 / s` by e: `(cos E - e sin E dE/de) / s^2`.
#[test]
fn keplers_equation_has_its_known_derivatives() {
    for (e, m) in [(0.0167, 0.5), (0.3, 1.0), (0.9, 0.2)] {
        let (te, tm) = (Tensor::f64(e), Tensor::f64(m));
        let root = kepler(&te, &tm).unwrap();
        let x = root.item().unwrap();
        assert!((x - e * x.sin() - m).abs() < 1e-15);
        let s = 1.0 - e * x.cos();
        let by = root.grad(&[&te, &tm]).unwrap();
        near(&by[0], &[x.sin() / s], 1e-13);
        near(&by[1], &[1.0 / s], 1e-13);
        let second = by[1].grad(&[&tm, &te]).unwrap();
        near(&second[0], &[-e * x.sin() / s.powi(3)], 1e-12);
        near(&second[1], &[(x.cos() - e * x.sin() * x.sin() / s) / (s * s)], 1e-12);
        // Mixed derivatives in the other order, in forward mode, and by products: the same numbers.
        near(&by[0].grad(&[&tm]).unwrap()[0], &[second[1].item().unwrap()], 1e-12);
        let one = Tensor::f64(1.0);
        near(&jvp(&[&root], &[&tm], &[&one]).unwrap()[0], &[1.0 / s], 1e-13);
        near(&hvp(&root, &tm, &one).unwrap(), &[-e * x.sin() / s.powi(3)], 1e-12);
        near(&jacobian(&root, &te).unwrap(), &[x.sin() / s], 1e-13);
        // Third order: d/dM of -e sin E / s^3.
        let third = second[0].grad(&[&tm]).unwrap();
        near(&third[0], &[(-e * x.cos() + 3.0 * (e * x.sin()).powi(2) / s) / s.powi(4)], 1e-11);
    }
}

/// A system of three equations whose parameters are a vector, one captured and one computed from
/// it, so that gradients pass on to what they were made from.
fn system(p: &Tensor) -> Result<Tensor, SolveError> {
    let (doubled, p) = (p * 2.0, p.sin());
    let equations = |x: &Tensor, parameters: &[&Tensor]| {
        let (a, b, c) = (x.at(0), x.at(1), x.at(2));
        let p = parameters[0];
        Tensor::stack(&[&(&a + 0.2 * &b * &c - p.at(0)), &(&b + 0.3 * a.sin() - p.at(1)), &(&c + 0.1 * &a * &c - doubled.at(1))], 0)
    };
    Ok(Root::default().solve(equations, &Tensor::f64([0.0, 0.0, 0.0]), &[&p])?.value)
}

#[test]
fn gradients_of_a_system_are_those_of_differences() {
    let at = [0.4, 0.9];
    let objective = |p: &Tensor| system(p).map(|x| (x.square() * Tensor::f64([1.0, -2.0, 3.0])).sum());
    let p = Tensor::f64(at);
    let y = objective(&p).unwrap();
    let gradient = y.grad(&[&p]).unwrap().remove(0);
    let curvature = hessian(&y, &p).unwrap().to_vec::<f64>().unwrap();
    let h = 1e-5;
    for k in 0..2 {
        let shifted = |h: f64| {
            let mut at = at;
            at[k] += h;
            Tensor::f64(at)
        };
        let (above, below) = (shifted(h), shifted(-h));
        let difference = (objective(&above).unwrap().item().unwrap() - objective(&below).unwrap().item().unwrap()) / (2.0 * h);
        near(&gradient.at(k as i64), &[difference], 1e-9);
        let slopes = |p: &Tensor| objective(p).unwrap().grad(&[p]).unwrap()[0].to_vec::<f64>().unwrap();
        for (i, (above, below)) in slopes(&above).iter().zip(slopes(&below)).enumerate() {
            let difference = (above - below) / (2.0 * h);
            assert!((curvature[i * 2 + k] - difference).abs() < 1e-8, "{} instead of {difference}", curvature[i * 2 + k]);
        }
    }
    // Per example: the vectors of a batch are taken through the same rule.
    let x = system(&p).unwrap();
    let directions = Tensor::f64([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]]);
    let batch = vmap(|d| jvp(&[&x], &[&p], &[&d[0]]), &[&directions], &[Some(0)]).unwrap().remove(0);
    let rows = jacobian(&x, &p).unwrap();
    near(&batch, &directions.matmul(&rows.t()).to_vec::<f64>().unwrap(), 1e-13);
}

/// cos has the fixed point 0.739085..., the number of Dottie (OEIS A003957); of `cos(p x)` at p = 1
/// the derivative is `-x sin x / (1 + sin x)`.
#[test]
fn the_cosine_has_a_fixed_point() {
    const DOTTIE: f64 = 0.739_085_133_215_160_6;
    for memory in [0, 1, 5] {
        let p = Tensor::f64(1.0);
        let solver = FixedPoint { memory, ..Default::default() };
        let solution = solver.solve(|x, p| (p[0] * x).cos(), &Tensor::f64(0.5), &[&p]).unwrap();
        near(&solution.value, &[DOTTIE], 1e-15);
        let slope = -DOTTIE * DOTTIE.sin() / (1.0 + DOTTIE.sin());
        near(&solution.value.grad(&[&p]).unwrap()[0], &[slope], 1e-14);
        // Plainly it contracts by sin x = 0.67 a step: 69 steps for 12 digits.
        assert!(if memory == 0 { (60..80).contains(&solution.iterations) } else { solution.iterations < 12 }, "{}", solution.iterations);
    }
}

/// A linear contraction of several unknowns that is slow: x = A x + b is (1 - A)^-1 b, and with
/// enough memory Anderson's steps end after one per unknown.
#[test]
fn combined_steps_are_quick_where_plain_ones_are_slow() {
    let a = Tensor::f64([[0.9, 0.2, 0.0], [0.0, 0.8, 0.1], [0.05, 0.0, 0.9]]);
    let b = Tensor::f64([1.0, 2.0, 3.0]);
    let solve =
        |memory| FixedPoint { memory, ..Default::default() }.solve(|x, p| a.matmul(x) + p[0], &Tensor::f64([0.0; 3]), &[&b]).unwrap();
    let (plain, combined) = (solve(0), solve(5));
    assert!(combined.iterations < 12 && plain.iterations > 100, "{} {}", combined.iterations, plain.iterations);
    let rest = &combined.value - a.matmul(&combined.value) - &b;
    near(&rest, &[0.0; 3], 1e-12);
    near(&plain.value, &combined.value.to_vec::<f64>().unwrap(), 1e-8);
    // Also by the matrix, which was captured, not given: dx/db is (1 - A)^-1, and d sum / dA = (dsum/db) x^T.
    let by = combined.value.sum().grad(&[&b, &a]).unwrap();
    let outer = by[0].reshape([3, 1]).matmul(&combined.value.reshape([1, 3]));
    near(&by[1], &outer.to_vec::<f64>().unwrap(), 1e-12);
    let back = by[0].matmul(&(Tensor::eye(3, DType::F64) - &a));
    near(&back, &[1.0; 3], 1e-11);
}

/// A root stays what it is when a captured step changes what it depends on by little, and is NaN,
/// not an old number, when by much.
#[test]
fn an_outdated_root_is_not_passed_off_as_one() {
    for (change, known) in [(1e-10, true), (0.5, false)] {
        let a = Tensor::f64(2.0);
        let root = Root::default().solve(|x, p| x.square() - p[0], &Tensor::f64(1.0), &[&a]).unwrap().value;
        let slope = root.grad(&[&a]).unwrap().remove(0);
        let mut step = Step::capture(&[], &[&root, &slope], &[(&a, &(&a + change))]).unwrap();
        for turn in 0..2 {
            step.run(&[]).unwrap();
            let expected = (2.0 + turn as f64 * change).sqrt();
            let (found, slope) = (step.item(0), step.item(1));
            match known || turn == 0 {
                true => assert!((found - expected).abs() < 1e-15 && (slope - 0.5 / expected).abs() < 1e-15, "{found} {slope}"),
                false => assert!(found.is_nan() && slope.is_nan(), "{found} {slope}"),
            }
        }
    }
}

/// What a computed parameter was made of is neither evaluated nor changed by solving.
#[test]
fn solving_leaves_the_parameters_graphs_alone() {
    let a = Tensor::f64(2.0);
    let computed = &a * 3.0;
    let root = Root::default().solve(|x, p| x.square() - p[0], &Tensor::f64(1.0), &[&computed]).unwrap().value;
    // As a leaf the product would stay 6 when the step replaces its factor.
    let mut step = Step::capture(&[], &[&computed, &root], &[(&a, &(&a + 1.0))]).unwrap();
    step.run(&[]).unwrap();
    step.run(&[]).unwrap();
    assert_eq!(step.item(0), 9.0);
    assert!(step.item(1).is_nan());
}

#[test]
fn what_has_no_root_is_an_error() {
    let one = Tensor::f64(1.0);
    let root = |f: fn(&Tensor) -> Tensor, guess: &Tensor| Root::default().solve(|x, _| f(x), guess, &[]).unwrap_err();
    let error = root(|x| x.square() + 1.0, &one);
    assert!(matches!(error, SolveError::NoConvergence { .. } | SolveError::Singular { .. }), "{error}");
    let error = root(|x| x.square() + 1.0, &Tensor::f64(0.0));
    assert!(matches!(error, SolveError::Singular { matrix: "the Jacobian", column: 0 }), "{error}");
    let error = root(|x| x.log(), &Tensor::f64(-1.0));
    assert!(matches!(error, SolveError::NotFinite { what: "the function", iteration: 0 }), "{error}");
    assert!(matches!(root(|x| x.clone(), &Tensor::f64(f64::INFINITY)), SolveError::Guess { guess: 0 }));
    let error = root(|x| x.sum(), &Tensor::f64([1.0, 2.0]));
    assert!(matches!(&error, SolveError::Shape { expected, found } if expected == &[2] && found.is_empty()), "{error}");
    let error = root(|x| Tensor::stack(&[&x.sum(), &(2.0 * x.sum())], 0), &Tensor::f64([1.0, 2.0]));
    assert!(matches!(error, SolveError::Singular { column: 1, .. }), "{error}");
    let error = FixedPoint { iterations: 50, memory: 0, ..Default::default() }.solve(|x, _| 2.0 * x + 1.0, &one, &[]).unwrap_err();
    assert!(matches!(error, SolveError::NoConvergence { iterations: 50, .. }), "{error}");

    // A parameter behind a cut has no gradient, and that is said, not zero.
    let cut = Root::default().solve(|x, p| x.square() - p[0].detach() - p[1], &one, &[&one, &one]).unwrap().value;
    let error = cut.grad(&[&one]).map(|_| ());
    assert!(error.is_ok(), "the same tensor is reached past the cut");
    let (a, b) = (Tensor::f64(1.0), Tensor::f64(1.0));
    let cut = Root::default().solve(|x, p| x.square() - p[0].detach() - p[1], &one, &[&a, &b]).unwrap().value;
    let error = cut.grad(&[&a]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    // Without values there is nothing to solve.
    let unbound = Tensor::placeholder((), DType::F64);
    let error = Root::default().solve(|x, p| x - p[0], &one, &[&unbound]).unwrap_err();
    assert!(matches!(&error, SolveError::Function(error) if error.kind() == ErrorKind::Unbound), "{error}");
}
