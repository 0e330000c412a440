//! NaN and infinities are traced to the operation that made the first of them, and a trainer that looks for them takes the step
//! back.

use chainrule::ErrorKind;
use chainrule::check::{Anomaly, anomaly};
use chainrule::prelude::*;

fn f(values: &[f64]) -> Tensor {
    Tensor::from_slice(values, [values.len()])
}

#[track_caller]
fn found(x: &Tensor) -> Anomaly {
    anomaly(&[x]).unwrap().expect("all is finite")
}

/// The operations that made it, each with the first of its operands that are floats.
fn operations(x: &Tensor) -> Vec<String> {
    let first = |made: &chainrule::check::Made| made.operands.iter().find(|o| o.ty.dtype.is_float()).map(|o| o.to_string());
    found(x).made().iter().map(|made| format!("{} {}", made.operation, first(made).unwrap_or_default())).collect()
}

#[test]
fn the_first_operation_that_is_not_finite_is_named() {
    let x = f(&[0.5, 0.0, 4.0]);
    assert_eq!(operations(&(x.log() + 1.0).sum()), ["log 0 to 4"]);
    assert_eq!(operations(&((&x - 1.0).sqrt() * &x).cumsum(0)), ["sqrt -1 to 3"]);
    assert_eq!(operations(&(&x / &x).max()), ["div 0 to 4"]);
    assert_eq!(operations(&(&x * 1000.0).exp().permute([0]).sum()), ["exp 0 to 4000"]);
    // NaN of an infinity: both are told, in the order in which they came.
    let large = (&x * 1000.0).exp();
    assert_eq!(operations(&(&large - &large).sum()), ["exp 0 to 4000", "sub 1 to 1.404e217, inf"]);
    assert_eq!(operations(&(large.recip() * &large).sum()), ["exp 0 to 4000", "mul 0 to 1"]);
    // Sums that grow beyond the type, and products that do.
    let half = Tensor::full([2, 2], 60_000.0, DType::F16);
    assert_eq!(operations(&half.sum().cast(DType::F32).sum()), ["sum 60000"]);
    assert_eq!(operations(&Tensor::full([2, 2], 1e30, DType::F32).matmul(&Tensor::full([2, 2], 1e30, DType::F32)).max()).len(), 1);
    // Numbers that were given.
    assert_eq!(operations(&(f(&[1.0, f64::NAN]) * 2.0).sum()), ["input "]);
    assert_eq!(operations(&(&x * f64::INFINITY).sum()), ["constant ", "mul 0 to 4"]);
    assert!(anomaly(&[&x, &x.sum(), &Tensor::from([1, 2])]).unwrap().is_none());
    assert!(anomaly(&[&f(&[])]).unwrap().is_none());
}

/// A branch that is not taken is no cause, nor is an infinity that a maximum or an exponential takes.
#[test]
fn what_does_not_count_is_not_blamed() {
    let x = f(&[-1.0, 4.0, -2.0]);
    let guarded = x.less(&x.zeros_like()).select(&x, &x.sqrt());
    assert!(anomaly(&[&guarded.sum()]).unwrap().is_none());
    // NaN at the same places, recorded first, and not chosen there.
    let other = x.sqrt();
    let line = line!() + 1;
    let bad = guarded.log();
    let chosen = x.less(&x.zeros_like()).select(&bad, &other);
    assert_eq!(found(&chosen.sum()).made()[0].origin.line(), line);
    let masked =
        Tensor::from([[true, true], [false, true]]).select(&Tensor::full([2, 2], f64::NEG_INFINITY, DType::F32), &Tensor::ones([2, 2]));
    // An infinity less itself, as softmax does not do with a row that is masked as a whole.
    assert!(anomaly(&[&masked.softmax(-1)]).unwrap().is_none());
    let made = operations(&(masked.at(0) - masked.at(0).max()));
    assert_eq!(made.len(), 2, "{made:?}");
    assert!(made[0].starts_with("constant") && made[1].starts_with("sub"), "{made:?}");
}

#[test]
fn lines_scopes_and_the_backward_pass_are_told() {
    let x = f(&[0.0, 1.0]);
    let line = line!() + 1;
    let y = chainrule::scope("head", || x.sqrt());
    assert!(anomaly(&[&y.sum()]).unwrap().is_none());
    let gradient = y.sum().grad(&[&x]).unwrap().remove(0);
    let found = found(&gradient);
    let made = &found.made()[0];
    assert!(made.origin.is_backward() && made.origin.line() == line && made.origin.scope() == Some("head"), "{found}");
    let error = chainrule::Error::from(found);
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::NotFinite);
    assert!(text.contains(&format!("anomaly.rs:{line}: its backward pass gives inf in 1 of 2 elements")), "{text}");
    assert!(text.ends_with("in scope head"), "{text}");
}

#[derive(Module)]
struct Model {
    first: Linear,
    norm: BatchNorm,
    scale: Tensor,
    /// Not finite from the start.
    #[module(buffer)]
    lowest: Tensor,
}

fn trainer() -> Trainer<Model> {
    let model = Model {
        first: Linear::new(3, 4, &mut Rng::new(1)),
        norm: BatchNorm::new(4),
        scale: Tensor::ones([4]),
        lowest: Tensor::full((), f64::INFINITY, DType::F32),
    };
    let loss = |model: &Model, batch: &[Tensor], mode: &mut Mode<'_>| {
        let x = model.norm.forward(&Dropout::new(0.1).forward(&model.first.forward(&batch[0]), mode), mode);
        if let Mode::Train(training) = mode {
            training.update(&model.lowest, training.current(&model.lowest).minimum(&batch[0].min()));
        }
        // Finite at 0, with an infinite slope.
        (x * &model.scale).square().mean() + (&batch[1] * &model.scale).sqrt().sum()
    };
    Trainer::new(model, AdamW::new(0.01), loss).unwrap().clip(5.0)
}

fn bits(model: &Model) -> Vec<Vec<u8>> {
    model.state().iter().map(|(_, tensor)| tensor.to_data().unwrap().bytes().to_vec()).collect()
}

fn batch(seed: u64, root: f64) -> [Tensor; 2] {
    [Tensor::randn([8, 3], &mut Rng::new(seed)), Tensor::full([4], root, DType::F32)]
}

#[test]
fn a_step_that_is_not_finite_is_taken_back() {
    let (mut plain, mut watched) = (trainer(), trainer().detect_anomaly());
    for seed in 0..3 {
        // Looking changes nothing.
        assert_eq!(plain.step(&batch(seed, 1.0)).unwrap().to_bits(), watched.step(&batch(seed, 1.0)).unwrap().to_bits());
    }
    // The loss is finite, its gradient is not: without looking, the next loss would be the first to tell.
    for (root, what) in [(0.0, "its backward pass gives"), (-1.0, "sqrt at"), (f64::NAN, "constant at")] {
        let error = watched.step(&batch(3, root)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFinite, "{error}");
        assert!(error.to_string().contains(what) && error.to_string().contains("anomaly.rs"), "{error}");
        assert_eq!(watched.steps(), 3);
        assert_eq!(bits(watched.model().unwrap()), bits(plain.model().unwrap()));
    }
    for seed in 4..7 {
        assert_eq!(plain.step(&batch(seed, 1.0)).unwrap().to_bits(), watched.step(&batch(seed, 1.0)).unwrap().to_bits());
    }
    assert_eq!(bits(watched.model().unwrap()), bits(plain.model().unwrap()));
    assert!(plain.step(&batch(7, 0.0)).unwrap().is_finite() && plain.step(&batch(8, 1.0)).unwrap().is_nan());
}
