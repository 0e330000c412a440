//! Models that learn from end to end: xor, a spiral, handwritten digits, a short text.

use chainrule::data::digits::{Digits, digits};
use chainrule::nn::transformer::GptSizes;
use chainrule::prelude::*;

/// How many rows of logits are largest at their label.
fn right(logits: &Tensor, labels: &[i64]) -> usize {
    let classes = logits.shape()[1];
    let values = logits.to_vec::<f32>().unwrap();
    let largest = |row: &[f32]| (0..classes).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
    values.chunks(classes).zip(labels).filter(|(row, label)| largest(row) as i64 == **label).count()
}

fn classify(model: &Mlp, batch: &[Tensor], _: &mut Mode<'_>) -> Tensor {
    loss::cross_entropy(&model.forward(&batch[0]), &batch[1])
}

#[test]
fn xor_is_learned_by_every_optimizer() {
    let x = Tensor::from([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
    let labels = [0i64, 1, 1, 0];
    let batch = [x.clone(), Tensor::from_slice(&labels, [4])];
    let optimizers: [Box<dyn Optimizer>; 4] = [
        Box::new(Sgd { momentum: 0.9, ..Sgd::new(0.3) }),
        Box::new(Sgd { momentum: 0.9, nesterov: true, ..Sgd::new(0.3) }),
        Box::new(Adam::new(0.03)),
        Box::new(AdamW::new(0.03)),
    ];
    for optimizer in optimizers {
        let name = optimizer.name();
        let model = Mlp::new(&[2, 16, 2], Activation::Tanh, &mut Rng::new(3));
        let mut trainer = Trainer::new(model, optimizer, classify).unwrap();
        for _ in 0..300 {
            trainer.step(&batch).unwrap();
        }
        let loss = trainer.step(&batch).unwrap();
        assert!(loss < 0.05, "{name}: {loss}");
        assert_eq!(right(&trainer.model().unwrap().forward(&x), &labels), 4, "{name}");
    }
}

#[test]
fn two_arms_of_a_spiral_are_told_apart() {
    let (mut points, mut labels) = (Vec::new(), Vec::new());
    for i in 0..200 {
        let (arm, along) = ((i % 2) as f32, (i / 2) as f32 / 100.0);
        let angle = along * 9.0 + arm * std::f32::consts::PI;
        let radius = 0.1 + along;
        points.extend([radius * angle.cos(), radius * angle.sin()]);
        labels.push((i % 2) as i64);
    }
    let x = Tensor::from_slice(&points, [200, 2]);
    let y = Tensor::from_slice(&labels, [200]);
    let mut rng = Rng::new(1);
    let model = Mlp::new(&[2, 48, 48, 2], Activation::Tanh, &mut rng);
    let steps = 600;
    let schedule = Schedule::WarmupCosine { warmup: 20, steps, floor: 0.05 };
    let mut trainer = Trainer::new(model, AdamW::new(0.02), classify).unwrap().schedule(schedule);
    let mut batches = Batches::new(&[&x, &y], 50, &mut rng).unwrap();
    while trainer.steps() < steps {
        for batch in &mut batches {
            trainer.step(&batch).unwrap();
        }
    }
    let found = right(&trainer.into_model().unwrap().forward(&x), &labels);
    assert!(found >= 196, "{found} of 200");
}

fn tensors(digits: &Digits) -> (Tensor, Tensor, Vec<i64>) {
    let labels: Vec<i64> = digits.labels.iter().map(|&label| label as i64).collect();
    let count = digits.count();
    (Tensor::from_slice(&digits.images, [count, 64]), Tensor::from_slice(&labels, [count]), labels)
}

#[test]
fn digits_reach_97_percent_on_images_never_seen() {
    let split = digits().split();
    let (x, y, _) = tensors(&split.train);
    let (test, _, labels) = tensors(&split.test);
    let mut rng = Rng::new(0);
    let model = Mlp::new(&[64, 64, 10], Activation::Relu, &mut rng);
    let mut batches = Batches::new(&[&x, &y], 32, &mut rng).unwrap();
    let epochs = 30;
    let schedule = Schedule::WarmupCosine { warmup: 20, steps: epochs * batches.per_epoch() as u64, floor: 0.0 };
    let mut trainer = Trainer::new(model, AdamW::new(5e-3), classify).unwrap().schedule(schedule);
    while batches.place().epoch < epochs {
        for batch in &mut batches {
            trainer.step(&batch).unwrap();
        }
    }
    let accuracy = right(&trainer.into_model().unwrap().forward(&test), &labels) as f64 / labels.len() as f64;
    assert!(accuracy >= 0.97, "{accuracy}");
}

#[test]
fn a_small_transformer_learns_a_text_by_heart() {
    let text = b"the chain rule multiplies local slopes along every path and adds the paths";
    let mut letters = text.to_vec();
    letters.sort_unstable();
    letters.dedup();
    let tokens: Vec<i64> = text.iter().map(|c| letters.binary_search(c).unwrap() as i64).collect();
    let time = tokens.len() - 1;
    let x = Tensor::from_slice(&tokens[..time], [1, time]);
    let y = Tensor::from_slice(&tokens[1..], [1, time]);
    let sizes = GptSizes { vocabulary: letters.len(), context: time, width: 32, heads: 4, blocks: 2 };
    let model = Gpt::new(sizes, &mut Rng::new(2));
    let mut trainer =
        Trainer::new(model, AdamW::new(5e-3), |model, batch, mode| loss::cross_entropy(&model.forward(&batch[0], mode), &batch[1]))
            .unwrap()
            .clip(1.0);
    let batch = [x.clone(), y];
    let first = trainer.step(&batch).unwrap();
    for _ in 0..150 {
        trainer.step(&batch).unwrap();
    }
    let last = trainer.step(&batch).unwrap();
    assert!(first > 2.0 && last < 0.1, "{first} {last}");
    let logits = trainer.model().unwrap().forward(&x, &mut Mode::Evaluate);
    assert_eq!(right(&logits.reshape([time, letters.len()]), &tokens[1..]), time);
    // A causal model's answer does not depend on what comes later.
    let model = trainer.model().unwrap();
    let prefix = model.forward(&Tensor::from_slice(&tokens[..5], [1, 5]), &mut Mode::Evaluate);
    let (prefix, whole) = (prefix.to_vec::<f32>().unwrap(), logits.to_vec::<f32>().unwrap());
    assert!(prefix.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-3));
}

/// The sign of the first number, told after all others: only a state that lasts can know.
#[test]
fn recurrent_layers_remember_what_came_first() {
    use chainrule::functions::Cell;
    #[derive(Module)]
    struct Rememberer {
        body: Recurrent,
        head: Linear,
    }
    impl Rememberer {
        fn forward(&self, x: &Tensor) -> Tensor {
            self.head.forward(&self.body.forward(x).index(1, -1))
        }
    }
    let (batch, time) = (32, 8);
    for cell in [Cell::Lstm, Cell::Gru] {
        let mut rng = Rng::new(5);
        let x = Tensor::randn([batch, time, 1], &mut rng).to_leaf().unwrap();
        let labels: Vec<i64> = x.to_vec::<f32>().unwrap().chunks(time).map(|row| (row[0] > 0.0) as i64).collect();
        let model = Rememberer { body: Recurrent::new(cell, 1, 12, &mut rng), head: Linear::new(12, 2, &mut rng) };
        let loss = |model: &Rememberer, batch: &[Tensor], _: &mut Mode<'_>| loss::cross_entropy(&model.forward(&batch[0]), &batch[1]);
        let mut trainer = Trainer::new(model, AdamW::new(0.02), loss).unwrap().clip(1.0);
        let examples = [x.clone(), Tensor::from_slice(&labels, [batch])];
        for _ in 0..150 {
            trainer.step(&examples).unwrap();
        }
        assert_eq!(right(&trainer.into_model().unwrap().forward(&x), &labels), batch, "{cell:?}");
    }
}
