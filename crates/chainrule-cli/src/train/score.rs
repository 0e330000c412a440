//! How well a model does on rows it has not learned from.

use chainrule::nn::Mlp;
use chainrule::prelude::loss;
use chainrule::{Result, Runtime, Tensor};

use super::dataset::{Dataset, Part, Targets, Task};

/// So many rows are predicted at once: what this takes is bounded, however long a table is.
const AT_ONCE: usize = 2048;

/// Predictions for some rows, and how far they are off.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// What training minimises: cross-entropy, or the mean square of the scaled difference.
    pub loss: f64,
    /// In the units of the target.
    pub quality: Quality,
}

/// How good the predictions are.
#[derive(Clone, Debug, PartialEq)]
pub enum Quality {
    /// Of classes.
    Classes {
        /// The share that is right, 0 to 1.
        accuracy: f64,
        /// The predicted classes.
        predicted: Vec<usize>,
    },
    /// Of numbers.
    Numbers {
        /// The root of the mean squared difference.
        rmse: f64,
        /// The share of the variance that is explained, at most 1; NaN where there is no variance.
        r_squared: f64,
    },
}

impl Score {
    /// The figures of an epoch, after the training loss (and accuracy, of classes).
    pub fn figures(&self) -> Vec<f64> {
        match self.quality {
            Quality::Classes { accuracy, .. } => vec![self.loss, accuracy],
            Quality::Numbers { rmse, r_squared } => vec![self.loss, rmse, r_squared],
        }
    }
}

/// The rows as tensors: features `[rows, width]`, targets `[rows]` (classes, i64) or `[rows, 1]`.
pub fn tensors(part: &Part, width: usize, rows: std::ops::Range<usize>) -> [Tensor; 2] {
    let count = rows.len();
    let features = &part.features[rows.start * width..rows.end * width];
    let targets = match &part.targets {
        Targets::Classes(labels) => {
            let labels: Vec<i64> = labels[rows].iter().map(|&label| label as i64).collect();
            Tensor::from_vec(labels, [count])
        }
        Targets::Numbers(numbers) => Tensor::from_slice(&numbers[rows], [count, 1]),
    };
    [Tensor::from_slice(features, [count, width]), targets]
}

/// The loss that a training minimises.
pub fn objective(task: &Task, outputs: &Tensor, targets: &Tensor) -> Tensor {
    match task {
        Task::Classes(_) => loss::cross_entropy(outputs, targets),
        Task::Numbers { .. } => loss::mse(outputs, targets),
    }
}

/// The share of rows whose class has the largest output.
pub fn accuracy(outputs: &Tensor, targets: &Tensor) -> Tensor {
    let right = outputs.argmax(-1).equal(targets);
    right.cast(chainrule::DType::F32).mean()
}

/// Predicts the rows that are kept for the test.
///
/// # Errors
/// A mistake that the engine finds.
pub fn test(model: &Mlp, data: &Dataset, runtime: &Runtime) -> Result<Score> {
    let part = &data.test;
    let rows = part.targets.len();
    let (mut loss, mut classes, mut numbers) = (0.0, Vec::new(), Vec::new());
    for start in (0..rows).step_by(AT_ONCE) {
        let range = start..rows.min(start + AT_ONCE);
        let count = range.len() as f64;
        let [features, targets] = tensors(part, data.width, range);
        let outputs = model.forward(&features);
        let mean = objective(&data.task, &outputs, &targets);
        match &data.task {
            Task::Classes(_) => {
                let chosen = outputs.argmax(-1);
                Tensor::eval_all_on(runtime, &[&mean, &chosen])?;
                classes.extend(chosen.to_vec::<i64>()?.into_iter().map(|class| class as usize));
            }
            Task::Numbers { .. } => {
                Tensor::eval_all_on(runtime, &[&mean, &outputs])?;
                numbers.extend(outputs.to_vec::<f32>()?);
            }
        }
        loss += mean.item()? * count / rows as f64;
    }
    Ok(Score { loss, quality: quality(data, classes, &numbers) })
}

fn quality(data: &Dataset, predicted: Vec<usize>, numbers: &[f32]) -> Quality {
    match (&data.test.targets, &data.task) {
        (Targets::Numbers(truths), Task::Numbers { deviation, .. }) => {
            let truths: Vec<f64> = truths.iter().copied().map(f64::from).collect();
            let (rmse, r_squared) = fit(&truths, numbers);
            Quality::Numbers { rmse: rmse * deviation, r_squared }
        }
        (Targets::Classes(truths), _) => {
            let right = truths.iter().zip(&predicted).filter(|(truth, guess)| truth == guess).count();
            Quality::Classes { accuracy: right as f64 / truths.len().max(1) as f64, predicted }
        }
        _ => Quality::Classes { accuracy: 0.0, predicted },
    }
}

/// The root of the mean squared difference, and R^2 = 1 - sum of squares / sum around the mean.
fn fit(truths: &[f64], predictions: &[f32]) -> (f64, f64) {
    let count = truths.len().max(1) as f64;
    let mean = truths.iter().sum::<f64>() / count;
    let around_mean: f64 = truths.iter().map(|truth| (truth - mean).powi(2)).sum();
    let pairs = truths.iter().zip(predictions);
    let off: f64 = pairs.map(|(truth, guess)| (truth - f64::from(*guess)).powi(2)).sum();
    let r_squared = if around_mean > 0.0 { 1.0 - off / around_mean } else { f64::NAN };
    ((off / count).sqrt(), r_squared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fit_is_judged_as_in_the_textbook() {
        let truths = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(fit(&truths, &[1.0, 2.0, 3.0, 4.0]), (0.0, 1.0));
        // Always the mean: nothing is explained.
        let (rmse, r_squared) = fit(&truths, &[2.5; 4]);
        assert!((rmse - 1.25f64.sqrt()).abs() < 1e-15 && r_squared == 0.0);
        let (rmse, r_squared) = fit(&truths, &[1.5, 2.5, 3.5, 4.5]);
        assert!((rmse - 0.5).abs() < 1e-15 && (r_squared - 0.8).abs() < 1e-15);
        assert!(fit(&[2.0, 2.0], &[1.0, 3.0]).1.is_nan());
    }

    #[test]
    fn the_share_of_right_answers() {
        let outputs = Tensor::from([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.0, 0.5]]);
        let targets = Tensor::from_slice(&[1i64, 0, 0, 1], [4]);
        assert_eq!(accuracy(&outputs, &targets).item().unwrap(), 0.75);
    }
}
