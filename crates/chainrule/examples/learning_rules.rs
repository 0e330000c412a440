//! Backpropagation beside rules that do without it, on handwritten digits: one network of 64 inputs, 64 hidden units and 10
//! classes, 1,437 images to learn from, batches of 64, 20 epochs, AdamW; the learning rate of each rule is the best of five, by the
//! loss on the images learned from.
//!
//! ```sh
//! cargo run --release -p chainrule --example learning_rules
//! ```

use chainrule::data::digits::{Digits, digits};
use chainrule::nn::FeedbackLinear;
use chainrule::prelude::*;
use chainrule::rule::{Backpropagation, EvolutionStrategy, ForwardGradient, LearningRule, Spsa};
use std::time::Instant;

const EPOCHS: usize = 20;
const RATES: [f64; 5] = [0.001, 0.003, 0.01, 0.03, 0.1];

/// The second layer passes its error on through its own weights, or through random ones.
#[derive(Module)]
enum Last {
    Plain(Linear),
    Feedback(FeedbackLinear),
}

#[derive(Module)]
struct Network {
    first: Linear,
    last: Last,
}

impl Network {
    fn new(feedback: bool) -> Network {
        let mut rng = Rng::new(1);
        let first = Linear::new(64, 64, &mut rng);
        let last = match feedback {
            false => Last::Plain(Linear::new(64, 10, &mut rng)),
            true => Last::Feedback(FeedbackLinear::new(64, 10, &mut rng)),
        };
        Network { first, last }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let hidden = self.first.forward(x).relu();
        match &self.last {
            Last::Plain(last) => last.forward(&hidden),
            Last::Feedback(last) => last.forward(&hidden),
        }
    }
}

/// What became of a rule: the loss of the last epoch, the accuracy on images not learned from, and milliseconds a step.
struct Outcome {
    rate: f64,
    loss: f64,
    accuracy: f64,
    step: f64,
}

fn tensors(digits: &Digits) -> (Tensor, Tensor) {
    let labels: Vec<i64> = digits.labels.iter().map(|&label| label.into()).collect();
    (Tensor::from_slice(&digits.images, [digits.count(), 64]), Tensor::from_slice(&labels, [digits.count()]))
}

fn learn(rule: impl LearningRule + 'static, feedback: bool, rate: f64) -> chainrule::Result<Outcome> {
    let split = digits().split();
    let ((x, y), (test, answers)) = (tensors(&split.train), tensors(&split.test));
    let mut batches = Batches::new(&[&x, &y], 64, &mut Rng::new(2))?;
    let mut trainer = Trainer::new(Network::new(feedback), AdamW::new(rate), |network, batch, _| {
        loss::cross_entropy(&network.forward(&batch[0]), &batch[1])
    })?
    .rule(rule);
    let per_epoch = batches.per_epoch() as f64;
    let (mut last, mut steps, start) = (0.0, 0, Instant::now());
    for epoch in 0..EPOCHS {
        for batch in batches.by_ref() {
            let loss = trainer.step(&batch)?;
            last += if epoch + 1 == EPOCHS { loss / per_epoch } else { 0.0 };
            steps += 1;
        }
    }
    let step = start.elapsed().as_secs_f64() * 1e3 / f64::from(steps);
    let right = trainer.model()?.forward(&test).argmax(1).equal(&answers);
    let accuracy = right.cast(DType::F64).mean().item()?;
    Ok(Outcome { rate, loss: last, accuracy, step })
}

fn best(name: &str, rule: impl LearningRule + Clone + 'static, feedback: bool) -> chainrule::Result<()> {
    let mut all = RATES.iter().map(|&rate| learn(rule.clone(), feedback, rate)).collect::<chainrule::Result<Vec<_>>>()?;
    all.sort_by(|one, other| one.loss.total_cmp(&other.loss));
    let Outcome { rate, loss, accuracy, step } = all[0];
    println!("{name:<44} {rate:>7} {loss:>8.4} {:>8.1} % {step:>8.3} ms", accuracy * 100.0);
    Ok(())
}

fn main() -> chainrule::Result<()> {
    println!("{:<44} {:>7} {:>8} {:>10} {:>11}", "rule", "rate", "loss", "accuracy", "a step");
    best("backpropagation", Backpropagation, false)?;
    best("feedback alignment", Backpropagation, true)?;
    best("forward gradient, 1 direction", ForwardGradient::new(1), false)?;
    best("forward gradient, 64 directions", ForwardGradient::new(64), false)?;
    best("evolution strategy, 64 pairs", EvolutionStrategy::new(64, 0.02), false)?;
    best("SPSA, 1 pair", Spsa::new(0.01), false)?;
    best("SPSA, 64 pairs", Spsa::new(0.01).pairs(64), false)
}
