//! Every optimizer, over 100 steps in f64, against the published formulas in a plain loop and
//! against what PyTorch computes (`../data/optimizers_torch.py`), with a schedule, and with gradients
//! shortened or not.

use chainrule::prelude::*;

const COUNT: usize = 17;
const STEPS: usize = 100;
const RATE: f64 = 0.05;
/// Steps after which PyTorch's numbers are stored.
const STORED: [usize; 4] = [1, 2, 10, STEPS];
const SCHEDULE: Schedule = Schedule::WarmupCosine { warmup: 10, steps: 80, floor: 0.1 };
const LONGEST: f64 = 0.75;

#[derive(Module)]
struct Numbers {
    w: Tensor,
}

/// The formulas of one optimizer for one number: `(w, g, state, rate, step from 1) -> w`.
type Formula = fn(f64, f64, &mut [f64; 2], f64, i32) -> f64;

/// Name, how the optimizer is made, and what it should do.
type Case = (&'static str, Box<dyn Fn() -> Box<dyn Optimizer>>, Formula);

fn start() -> Vec<f64> {
    (0..COUNT).map(|i| ((i * 7 % 11) as f64 - 5.0) / 8.0).collect()
}

fn constants() -> (Vec<f64>, Vec<f64>) {
    (0..COUNT).map(|i| (1.0 + i as f64 / 8.0, ((i % 5) as f64 - 2.0) / 4.0)).unzip()
}

fn adam<const DECOUPLED: bool>(
    (beta1, beta2, epsilon, decay): (f64, f64, f64, f64),
    w: f64,
    g: f64,
    state: &mut [f64; 2],
    rate: f64,
    step: i32,
) -> f64 {
    let (w, g) = if DECOUPLED { (w - rate * decay * w, g) } else { (w, g + decay * w) };
    state[0] = beta1 * state[0] + (1.0 - beta1) * g;
    state[1] = beta2 * state[1] + (1.0 - beta2) * g * g;
    let (m, v) = (state[0] / (1.0 - beta1.powi(step)), state[1] / (1.0 - beta2.powi(step)));
    w - rate * m / (v.sqrt() + epsilon)
}

fn sgd((momentum, nesterov, decay): (f64, bool, f64), w: f64, g: f64, state: &mut [f64; 2], rate: f64) -> f64 {
    let g = g + decay * w;
    state[0] = momentum * state[0] + g;
    w - rate * if nesterov { g + momentum * state[0] } else { state[0] }
}

fn cases() -> Vec<Case> {
    fn case<O: Optimizer + Copy + 'static>(name: &'static str, optimizer: O, formula: Formula) -> Case {
        (name, Box::new(move || Box::new(optimizer)), formula)
    }
    let plain = Sgd::new(RATE);
    vec![
        case("sgd", plain, |w, g, s, r, _| sgd((0.0, false, 0.0), w, g, s, r)),
        case("sgd_decay", Sgd { weight_decay: 0.1, ..plain }, |w, g, s, r, _| sgd((0.0, false, 0.1), w, g, s, r)),
        case("sgd_momentum", Sgd { momentum: 0.9, ..plain }, |w, g, s, r, _| sgd((0.9, false, 0.0), w, g, s, r)),
        case("sgd_nesterov_decay", Sgd { momentum: 0.8, nesterov: true, weight_decay: 0.03, ..plain }, |w, g, s, r, _| {
            sgd((0.8, true, 0.03), w, g, s, r)
        }),
        case("adam", Adam::new(RATE), |w, g, s, r, t| adam::<false>((0.9, 0.999, 1e-8, 0.0), w, g, s, r, t)),
        case("adam_decay", Adam { rate: RATE, beta1: 0.7, beta2: 0.95, epsilon: 1e-6, weight_decay: 0.1 }, |w, g, s, r, t| {
            adam::<false>((0.7, 0.95, 1e-6, 0.1), w, g, s, r, t)
        }),
        case("adamw", AdamW::new(RATE), |w, g, s, r, t| adam::<true>((0.9, 0.999, 1e-8, 0.01), w, g, s, r, t)),
        case("adamw_betas", AdamW { rate: RATE, beta1: 0.5, beta2: 0.9, epsilon: 1e-2, weight_decay: 0.3 }, |w, g, s, r, t| {
            adam::<true>((0.5, 0.9, 1e-2, 0.3), w, g, s, r, t)
        }),
    ]
}

/// The numbers after each of [`STORED`], by the trainer.
fn trained(optimizer: Box<dyn Optimizer>, clip: bool) -> Vec<Vec<f64>> {
    let (a, b) = constants();
    let (a, b) = (Tensor::from_slice(&a, [COUNT]), Tensor::from_slice(&b, [COUNT]));
    let model = Numbers { w: Tensor::from_slice(&start(), [COUNT]) };
    let loss = move |model: &Numbers, _: &[Tensor], _: &mut Mode<'_>| ((&a * &model.w).sin() * &b).sum() + model.w.square().sum() * 0.125;
    let mut trainer = Trainer::new(model, optimizer, loss).unwrap().schedule(SCHEDULE);
    if clip {
        trainer = trainer.clip(LONGEST);
    }
    let mut stored = Vec::new();
    for step in 1..=STEPS {
        trainer.step(&[]).unwrap();
        if STORED.contains(&step) {
            stored.push(trainer.model().unwrap().w.to_vec::<f64>().unwrap());
        }
    }
    stored
}

/// The same by the formulas.
fn computed(formula: Formula, clip: bool) -> Vec<Vec<f64>> {
    let (a, b) = constants();
    let mut w = start();
    let mut states = vec![[0.0; 2]; COUNT];
    let mut stored = Vec::new();
    for step in 1..=STEPS {
        let mut g: Vec<f64> = (0..COUNT).map(|i| a[i] * b[i] * (a[i] * w[i]).cos() + 0.25 * w[i]).collect();
        let length = g.iter().map(|g| g * g).sum::<f64>().sqrt();
        if clip {
            g.iter_mut().for_each(|g| *g *= (LONGEST / (length + 1e-6)).min(1.0));
        }
        let rate = RATE * SCHEDULE.factor(step as u64 - 1);
        for i in 0..COUNT {
            w[i] = formula(w[i], g[i], &mut states[i], rate, step as i32);
        }
        if STORED.contains(&step) {
            stored.push(w.clone());
        }
    }
    stored
}

fn assert_close(what: &str, found: &[Vec<f64>], meant: &[Vec<f64>]) {
    for ((found, meant), step) in found.iter().zip(meant).zip(STORED) {
        assert_eq!(found.len(), meant.len());
        for (i, (found, meant)) in found.iter().zip(meant).enumerate() {
            let error = (found - meant).abs();
            assert!(error <= 1e-12, "{what}, step {step}, number {i}: {found} is not {meant}");
        }
    }
}

#[test]
fn a_hundred_steps_agree_with_the_formulas_and_with_pytorch() {
    let file: serde_json::Value = serde_json::from_str(include_str!("../data/optimizers_torch.json")).unwrap();
    for clip in [false, true] {
        for (name, optimizer, formula) in cases() {
            let name = format!("{name}{}", if clip { "_clipped" } else { "" });
            let stored: Vec<Vec<f64>> = serde_json::from_value(file[&name].clone()).unwrap();
            let found = trained(optimizer(), clip);
            assert_eq!((found.len(), stored.len()), (STORED.len(), STORED.len()));
            assert_close(&format!("{name} against the formulas"), &found, &computed(formula, clip));
            assert_close(&format!("{name} against PyTorch"), &found, &stored);
        }
    }
}

#[test]
fn a_gradient_that_is_not_finite_is_not_hidden_by_shortening() {
    let gradients = [Tensor::from([1.0, f32::INFINITY]), Tensor::from([2.0])];
    let (short, length) = chainrule::optim::clip_by_global_norm(&gradients, 1.0);
    assert_eq!(length.item().unwrap(), f64::INFINITY);
    assert!(short[0].to_vec::<f32>().unwrap()[1].is_nan());
    let (none, length) = chainrule::optim::clip_by_global_norm(&[], 1.0);
    assert!(none.is_empty());
    assert_eq!(length.item().unwrap(), 0.0);
}

/// The rate and the step enter as inputs: a parameter in f32 is corrected for its start in f64.
#[test]
fn a_step_can_be_differentiated_by_its_learning_rate() {
    let rate = Tensor::from_slice(&[0.01f64], ());
    let step = Tensor::from_slice(&[3.0f64], ());
    let (w, g) = (Tensor::from([1.0, -2.0]), Tensor::from([0.5, 0.25]));
    let adam = AdamW::new(0.01);
    let moved = adam.update(&w, &g, &adam.first_state(&w), &adam.shared(&rate, &step));
    let slope = moved.parameter.sum().grad(&[&rate]).unwrap()[0].item().unwrap();
    let at = |rate: f64| -> f64 { [(1.0, 0.5), (-2.0, 0.25)].map(|(w, g): (f64, f64)| adam_once(w, g, rate, adam)).iter().sum() };
    let meant = (at(0.01 + 1e-6) - at(0.01 - 1e-6)) / 2e-6;
    assert!((slope - meant).abs() < 1e-5 * meant.abs(), "{slope} {meant}");
}

fn adam_once(w: f64, g: f64, rate: f64, a: AdamW) -> f64 {
    adam::<true>((a.beta1, a.beta2, a.epsilon, a.weight_decay), w, g, &mut [0.0; 2], rate, 3)
}

/// Squares of 1e-30 are 0 in f32: what is left under the quotient is epsilon. Moments of gradients that then are 0 shrink
/// until they are 0 themselves.
#[test]
fn adam_with_gradients_0_and_1e_minus_30_stays_finite() {
    const GRADIENTS: [f64; 6] = [0.0, 1e-30, -1e-30, 0.0, 1e-30, -1e-30];
    const START: [f64; 6] = [0.0, 0.0, 0.0, 1.0, 1.0, -1.0];
    let usual = |case: &Case| ["adam", "adamw"].contains(&case.0);
    for (name, optimizer, formula) in cases().into_iter().filter(usual) {
        let optimizer = optimizer();
        let mut w = Tensor::from_slice(&START.map(|w| w as f32), [6]);
        let mut state = optimizer.first_state(&w);
        let (mut meant, mut meant_state) = (START, [[0.0; 2]; 6]);
        let rate = Tensor::scalar(RATE, DType::F64);
        for step in 1..=1200 {
            let gradients = if step <= 200 { GRADIENTS } else { [0.0; 6] };
            let g = Tensor::from_slice(&gradients.map(|g| g as f32), [6]);
            let shared = optimizer.shared(&rate, &Tensor::from_slice(&[f64::from(step)], ()));
            let moved = optimizer.update(&w, &g, &state, &shared);
            w = moved.parameter.to_leaf().unwrap();
            state = moved.state.iter().map(|s| s.to_leaf().unwrap()).collect();
            for i in 0..6 {
                meant[i] = formula(meant[i], gradients[i], &mut meant_state[i], RATE, step);
            }
            let found = w.to_vec::<f32>().unwrap();
            for (i, (&found, meant)) in found.iter().zip(meant).enumerate() {
                assert!(
                    (f64::from(found) - meant).abs() <= 1e-4 * meant.abs(),
                    "{name}, step {step}, number {i}: {found:e} is not {meant:e}"
                );
            }
            let finite = |s: &Tensor| s.to_vec::<f32>().unwrap().iter().all(|v| v.is_finite());
            assert!(state.iter().all(finite), "{name}, step {step}: {state:?}");
        }
        let first = state[0].to_vec::<f32>().unwrap();
        assert!(first.iter().all(|m| m.abs() < 1e-37), "what is left of the first moments: {first:?}");
    }
}

/// The same where a trainer shortens gradients, whose length is 0 in f32.
#[test]
fn adam_trained_with_gradients_0_and_1e_minus_30_moves_against_them() {
    for clip in [false, true] {
        let model = Numbers { w: Tensor::from_slice(&[0.0f32; 3], [3]) };
        let slopes = Tensor::from_slice(&[0.0f32, 1e-30, -1e-30], [3]);
        let loss = move |model: &Numbers, _: &[Tensor], _: &mut Mode<'_>| (&slopes * &model.w).sum();
        let mut trainer = Trainer::new(model, Adam::new(RATE), loss).unwrap();
        if clip {
            trainer = trainer.clip(LONGEST);
        }
        for _ in 0..STEPS {
            trainer.step(&[]).unwrap();
        }
        let found = trainer.model().unwrap().w.to_vec::<f32>().unwrap();
        let way = STEPS as f64 * RATE * 1e-30 / 1e-8;
        for (found, meant) in found.into_iter().zip([0.0, -way, way]) {
            assert!((f64::from(found) - meant).abs() <= 1e-4 * meant.abs(), "{found:e} is not {meant:e}");
        }
    }
}
