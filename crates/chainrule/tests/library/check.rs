//! Derivatives that are wrong, cut or missing are found and told apart, and right ones pass.

use chainrule::check::gradcheck::{Entry, Mode, Subject};
use chainrule::check::{GradCheck, GradReport, Reach, audit, gradcheck};
use chainrule::ops::CustomRule;
use chainrule::prelude::*;
use chainrule::transform::custom_derivative;
use chainrule::{ErrorKind, Result};

fn point(values: &[f64]) -> Tensor {
    Tensor::from_slice(values, [values.len()])
}

/// Whether all entries of a mode are within the tolerance; there must be some.
#[track_caller]
fn agrees(report: &GradReport, mode: Mode) -> bool {
    let entries: Vec<&Entry> = report.entries().iter().filter(|entry| entry.mode == mode).collect();
    assert!(!entries.is_empty(), "no entry of {mode:?} in\n{report}");
    entries.iter().all(|entry| entry.error <= 1e-6)
}

const MODES: [Mode; 5] = [Mode::Reverse, Mode::Forward, Mode::ReverseOverReverse, Mode::ForwardOverReverse, Mode::Batched];

#[test]
fn right_derivatives_pass_in_every_mode() {
    let (x, w) = (point(&[0.3, -1.2, 2.0]), Tensor::from_slice(&[0.5, -0.25, 1.0, 0.75, 2.0, -1.0], [3, 2]));
    let index = Tensor::from_slice(&[2i64, 0, 2], [3]);
    let report = gradcheck(|given| given[0].index_select(0, &given[2]).matmul(&given[1]).tanh(), &[&x, &w, &index]).unwrap();
    report.assert_passed();
    assert!(MODES.iter().all(|&mode| agrees(&report, mode)));
    // Of each input three modes and two examples, and the result.
    assert_eq!(report.entries().len(), 3 * (3 + 6) + 2 * (3 + 6) + 2);
    assert!(report.entries().windows(2).all(|pair| pair[0].error >= pair[1].error));

    // Of a linear function all second derivatives are zero; large and small arguments are moved in proportion.
    let linear = gradcheck(|given| &given[0] * 3.0, &[&x]).unwrap();
    linear.assert_passed();
    gradcheck(|given| given[0].square(), &[&point(&[3e8, -2e7])]).unwrap().assert_passed();
}

/// `x^2`, whose derivative is said to be `2 x` times something.
struct Square {
    factor: f64,
    /// Whether the derivative's own derivative is cut.
    cut: bool,
}

impl CustomRule for Square {
    fn name(&self) -> &str {
        "square"
    }
    fn vjp(&self, inputs: &[Tensor], _: &Tensor, cotangent: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let x = if self.cut { inputs[0].detach() } else { inputs[0].clone() };
        Ok(vec![Some(cotangent * x * (2.0 * self.factor))])
    }
}

fn square(x: &Tensor, factor: f64, cut: bool) -> Tensor {
    custom_derivative(&x.detach().square(), &[x], Square { factor, cut })
}

#[test]
fn a_rule_that_is_slightly_wrong_is_found_where_it_is_wrong() {
    let x = point(&[0.7, -1.5]);
    gradcheck(|given| square(&given[0], 1.0, false), &[&x]).unwrap().assert_passed();
    let wrong = gradcheck(|given| square(&given[0], 1.00001, false), &[&x]).unwrap();
    assert!(!wrong.passed() && !agrees(&wrong, Mode::Reverse) && !agrees(&wrong, Mode::Forward), "{wrong}");
    // Differences of a wrong gradient agree with its derivative: the first order is what is wrong.
    assert!(agrees(&wrong, Mode::ReverseOverReverse) && agrees(&wrong, Mode::Batched), "{wrong}");
    let worst = wrong.worst().unwrap();
    assert!((worst.error - 1e-5).abs() < 1e-6, "{wrong}");
    let rough = GradCheck { tolerance: 1e-4, ..GradCheck::default() };
    assert!(rough.run(|given| square(&given[0], 1.00001, false), &[&x]).unwrap().passed());

    let bent = gradcheck(|given| square(&given[0], 1.0, true), &[&x]).unwrap();
    assert!(agrees(&bent, Mode::Reverse) && agrees(&bent, Mode::Forward), "{bent}");
    assert!(!agrees(&bent, Mode::ReverseOverReverse) && !agrees(&bent, Mode::ForwardOverReverse), "{bent}");
    let first_order = GradCheck { second_order: false, ..GradCheck::default() };
    assert!(first_order.run(|given| square(&given[0], 1.0, true), &[&x]).unwrap().passed());
}

#[test]
fn the_report_names_the_element_and_says_what_was_left_out() {
    let x = Tensor::from_slice(&[0.5, 1.5, 2.5, 3.5, 4.5, 5.5], [2, 3]);
    // Wrong by one element alone.
    let mask = Tensor::from_slice(&[0.0, 0.0, 0.0, 0.0, 0.0, 1.0], [2, 3]);
    let function = |given: &[Tensor]| given[0].sin() + (given[0].detach() * &mask).square();
    let report = gradcheck(function, &[&x]).unwrap();
    let worst = report.entries().iter().find(|entry| entry.mode == Mode::Reverse).unwrap();
    assert_eq!((&worst.index[..], worst.subject), (&[1, 2][..], Subject::Input(0)));
    assert!((worst.derived - worst.measured).abs() > 1.0);
    let text = report.to_string();
    assert!(text.starts_with("DERIVATIVES DO NOT AGREE") && text.contains("[1, 2]") && text.contains("and "), "{text}");

    let few = GradCheck { most: 2, ..GradCheck::default() };
    let text = few.run(|given| given[0].sin(), &[&x]).unwrap().to_string();
    assert!(text.starts_with("derivatives agree") && text.contains("of 6 elements, 2 were checked: reverse, input 0"), "{text}");
}

#[test]
fn what_cannot_be_checked_is_an_error_and_what_is_no_number_does_not_pass() {
    let x = point(&[0.5, 1.5]);
    let kind = |result: Result<GradReport>| result.unwrap_err().kind();
    assert_eq!(kind(gradcheck(|given| given[0].sin(), &[&x.cast(DType::F32)])), ErrorKind::DType);
    assert_eq!(kind(gradcheck(|given| given[0].sin().cast(DType::F32), &[&x])), ErrorKind::DType);
    assert_eq!(kind(gradcheck(|given| given[0].cast(DType::F64), &[&Tensor::from_slice(&[1i64], [1])])), ErrorKind::Argument);
    assert_eq!(kind(gradcheck(|given| given[0].sin(), &[&Tensor::from_slice::<f64>(&[], [0])])), ErrorKind::Argument);
    assert_eq!(kind(gradcheck(|given| given[0].detach(), &[&x])), ErrorKind::Disconnected);
    assert_eq!(kind(gradcheck(|given| given[0].matmul(&given[0].reshape([2, 1]).t()), &[&x])), ErrorKind::Shape);
    for wrong in [GradCheck { step: 0.0, ..GradCheck::default() }, GradCheck { tolerance: f64::NAN, ..GradCheck::default() }] {
        assert_eq!(kind(wrong.run(|given| given[0].sin(), &[&x])), ErrorKind::Argument);
    }
    let report = gradcheck(|given| given[0].log(), &[&point(&[1.0, -1.0])]).unwrap();
    assert!(!report.passed() && report.worst().unwrap().error.is_infinite(), "{report}");
}

#[test]
fn an_audit_tells_what_stops_each_gradient() {
    let mut rng = Rng::new(0);
    let model = [0, 1, 2, 3].map(|_| Linear::without_bias(3, 3, &mut rng));
    let x = Tensor::ones([2, 3]);
    let line = line!() + 1;
    let loss = (model[0].forward(&x) + model[1].forward(&x).detach() + model[2].forward(&x).floor()).sum();
    let found = audit(&loss, &model).unwrap();
    let reach: Vec<&Reach> = found.parameters().iter().map(|row| &row.reach).collect();
    assert!(matches!(reach[..], [Reach::Gradient, Reach::Cut(_), Reach::Zero(Some(_)), Reach::Independent]), "{found}");
    for (at, operation) in [(1, "detach"), (2, "floor")] {
        let text = reach[at].to_string();
        assert!(text.contains(&format!("`{operation}` at {}:{line} ", file!())), "{text}");
    }
    let text = found.to_string();
    assert!(text.contains("3.weight  [3, 3]  receives none: the loss does not depend on it"), "{text}");
    assert!(text.ends_with("1 of 4 parameters receive a gradient"), "{text}");
    assert_eq!(audit(&model[0].forward(&x), &model).unwrap_err().kind(), ErrorKind::Shape);

    let all = (model[0].forward(&x) + model[1].forward(&x)).sum();
    let [a, b, ..] = model;
    assert!(audit(&all, &(a, b)).unwrap().is_complete());
}

#[test]
fn a_parameter_whose_gradient_is_zero_by_declaration_is_not_trained_in_silence() {
    let model = (Linear::new(3, 1, &mut Rng::new(0)), Linear::new(3, 1, &mut Rng::new(1)));
    let loss = |model: &(Linear, Linear), batch: &[Tensor], _: &mut chainrule::nn::Mode<'_>| {
        (model.0.forward(&batch[0]) + model.1.forward(&batch[0]).round()).sum()
    };
    let batch = [Tensor::ones([2, 3])];
    let mut trainer = Trainer::new(model, Sgd::new(0.1), loss).unwrap();
    let error = trainer.step(&batch).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    let text = error.to_string();
    assert!(text.contains("parameters `1.weight`, `1.bias`") && text.contains("receives zeros"), "{text}");
    let mut trainer = Trainer::new(trainer.into_model().unwrap(), Sgd::new(0.1), loss).unwrap().allow_disconnected();
    assert!(trainer.step(&batch).unwrap().is_finite());
}
