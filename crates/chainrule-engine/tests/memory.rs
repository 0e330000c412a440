//! Memory stays flat, however long a program runs: nothing but what a user holds is kept.
//!
//! One test, as the figure is that of the whole process; on Linux, where the system tells it.
#![cfg(target_os = "linux")]

use chainrule_engine::{DType, Data, Result, Tensor};
use std::hint::black_box;

/// Bytes that the process has in memory.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

struct Model {
    w: Tensor,
    unused: Tensor,
    step: u64,
}

impl Model {
    fn loss(&mut self) -> Tensor {
        self.step += 1;
        let x: Vec<f64> = (0..8).map(|i| ((self.step + i) as f64).sin()).collect();
        let x = Tensor::from_data(Data::from_f64(DType::F32, &x), [2, 4]);
        (x.matmul(&self.w).tanh() - 0.1).square().sum()
    }

    fn train(&mut self) -> Result<f64> {
        let loss = self.loss();
        let g = loss.grad_or_zeros(&[&self.w, &self.unused])?;
        let w = &self.w - &g[0] * 0.01;
        Tensor::eval_all(&[&w, &loss])?;
        self.w = w.to_leaf()?;
        loss.item()
    }

    fn second_order(&mut self) -> Result<f64> {
        let g = self.loss().grad(&[&self.w])?.remove(0);
        g.square().sum().grad(&[&self.w])?[0].sum().item()
    }

    /// A gradient that is recorded and never computed, then a mistake.
    fn fail(&mut self) -> Result<f64> {
        let loss = self.loss();
        black_box(loss.grad(&[&self.w])?);
        (loss + Tensor::zeros([3]).matmul(&self.w)).item()
    }
}

#[test]
fn memory_stays_flat() {
    type Loop = fn(&mut Model) -> f64;
    let loops: [(&str, Loop); 4] = [
        ("training", |model| model.train().unwrap_or(f64::NAN)),
        ("forward only", |model| model.loss().item().unwrap_or(f64::NAN)),
        ("second order", |model| model.second_order().unwrap_or(f64::NAN)),
        ("an error half way", |model| if model.fail().is_err() { 0.0 } else { f64::NAN }),
    ];
    for (name, body) in loops {
        let mut model = Model {
            w: (Tensor::ones([4, 3]) * 0.3).to_leaf().unwrap_or_else(|_| Tensor::ones([4, 3])),
            unused: Tensor::ones([5]),
            step: 0,
        };
        // Touched before, so that the losses kept as numbers are no growth.
        let mut losses = vec![f64::NAN; 100_000];
        let mut run = |steps: std::ops::Range<usize>| steps.for_each(|step| losses[step] = body(&mut model));
        run(0..1000);
        let before = resident();
        run(1000..100_000);
        let grown = resident().saturating_sub(before);
        assert!(losses.iter().all(|loss| loss.is_finite()), "{name}: a step failed");
        assert!(grown <= before / 100, "{name}: {grown} bytes more from step 1,000 to 100,000, of {before}");
    }
}
