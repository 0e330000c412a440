//! Connectionist temporal classification: the likelihood of a sequence of labels, over all ways to lay it out in time.
//!
//! The forward recursion of Graves et al., "Connectionist Temporal Classification" (2006), section 4.1, in logarithms, is
//! recorded step by step: some twenty nodes for each time step. Refuses to know how labels are decoded.

use crate::functions::softmax::logsumexp;
use crate::functions::{disallowed, first_mistake, misfit, part, recorded, refuse_unless_float, spread, wide};
use crate::ops::movement::Axes;
use crate::ops::{Gather, dtype_error};
use crate::tensor::{DType, Tensor};

/// What may be different about [`ctc`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtcOptions {
    /// The class that stands for no label.
    pub blank: usize,
    /// Whether the loss of a target that has no way to be laid out, as it is too long, is 0 and not infinite.
    pub zero_infinity: bool,
}

/// The mean over examples of [`ctc_each`], each divided by the length of its target (1 if that is 0), as PyTorch does.
///
/// ```
/// use chainrule_engine::{Tensor, functions::loss};
/// // Two steps, one example, a blank and one label: of four ways, three give the label.
/// let log_p = Tensor::from_vec(vec![0.5f64.ln(); 4], [2, 1, 2]);
/// let one = |n: i64| Tensor::from_slice(&[n], [1]);
/// let target = Tensor::from_slice(&[1i64], [1, 1]);
/// let l = loss::ctc(&log_p, &target, &one(2), &one(1), &Default::default());
/// assert!((l.item()? + 0.75f64.ln()).abs() < 1e-12);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn ctc(log_probabilities: &Tensor, targets: &Tensor, steps: &Tensor, lengths: &Tensor, options: &CtcOptions) -> Tensor {
    let losses = ctc_each(log_probabilities, targets, steps, lengths, options);
    if losses.error().is_some() {
        return losses;
    }
    recorded(|| {
        let wide = wide(&losses);
        let one = lengths.ones_like();
        (wide.clone() / lengths.maximum(&one).cast(wide.dtype())).mean().cast(losses.dtype())
    })
}

/// The negative log-likelihood of each example's target: log-probabilities `[time, n, classes]`; targets `[n, most]`,
/// i64 or i32, of which the first `lengths[n]` count; the first `steps[n]` time steps count. Gives `[n]`.
///
/// What lies beyond an example's lengths is not looked at, and has derivative 0. A target that cannot be laid out
/// in that time costs infinity, and has derivative 0; see [`CtcOptions::zero_infinity`]. A length beyond its axis
/// counts as the whole axis. A class outside the range is an error when it is evaluated.
#[track_caller]
pub fn ctc_each(log_probabilities: &Tensor, targets: &Tensor, steps: &Tensor, lengths: &Tensor, options: &CtcOptions) -> Tensor {
    if let Some(mistake) = refuse(log_probabilities, targets, steps, lengths, options) {
        return mistake;
    }
    recorded(|| {
        let x = wide(log_probabilities);
        let [targets, steps, lengths] = [targets, steps, lengths].map(|t| t.cast(DType::I64));
        let states = States::new(&targets, &lengths, options.blank);
        let log_likelihood = states.run(&x, &steps);
        let loss = -log_likelihood;
        let loss = if options.zero_infinity {
            let impossible = loss.equal(&Tensor::full(loss.shape(), f64::INFINITY, loss.dtype()));
            impossible.select(&loss.zeros_like(), &loss)
        } else {
            loss
        };
        loss.cast(log_probabilities.dtype())
    })
}

#[track_caller]
fn refuse(x: &Tensor, targets: &Tensor, steps: &Tensor, lengths: &Tensor, options: &CtcOptions) -> Option<Tensor> {
    let all = [x, targets, steps, lengths];
    if let Some(mistake) = first_mistake(&all) {
        return Some(mistake);
    }
    if let Some(mistake) = refuse_unless_float("ctc", x) {
        return Some(mistake);
    }
    if let Some(other) = all[1..].iter().find(|t| !matches!(t.dtype(), DType::I64 | DType::I32)) {
        let message = format!("targets and lengths are i64 or i32, not {}; convert with `cast`", other.dtype());
        return Some(Tensor::poison(dtype_error("ctc", message)));
    }
    let fits = x.rank() == 3 && targets.rank() == 2 && targets.shape()[0] == x.shape()[1];
    if !fits || *steps.shape() != x.shape()[1..2] || *lengths.shape() != x.shape()[1..2] || x.shape()[0] == 0 {
        let shapes = all.map(|t| t.shape().to_vec());
        return Some(misfit("ctc", format!("{shapes:?} are not [time, n, classes], [n, most], [n] and [n]")));
    }
    if options.blank >= x.shape()[2] {
        return Some(disallowed("ctc", &all, format!("the blank is {} of {} classes", options.blank, x.shape()[2])));
    }
    None
}

/// A target with a blank before, between and after its labels: what the recursion walks through.
struct States {
    /// The class of each state, `[n, states]`.
    class: Tensor,
    /// 0 where a state can be reached from the one before the last, that is from one label to another, -inf elsewhere.
    jump: Tensor,
    /// How many labels each target has, `[n]`.
    lengths: Tensor,
}

impl States {
    fn new(targets: &Tensor, lengths: &Tensor, blank: usize) -> States {
        let (n, most) = (targets.shape()[0], targets.shape()[1]);
        let blanks = |count: usize| Tensor::full([n, count], blank as f64, DType::I64);
        let lengths = lengths.minimum(&Tensor::full([n], most as f64, DType::I64));
        if most == 0 {
            return States { class: blanks(1), jump: Tensor::full([n, 1], f64::NEG_INFINITY, DType::F64), lengths };
        }
        // Whatever fills the rest of a target is no class.
        let place = Tensor::arange(most, DType::I64).broadcast_to([n, most]);
        let counts = place.less(&lengths.unsqueeze(-1).broadcast_to([n, most]));
        let labels = counts.select(targets, &blanks(most));
        let between = Tensor::stack(&[&blanks(most), &labels], -1).reshape([n, 2 * most]);
        let class = Tensor::concat(&[&between, &blanks(1)], 1);
        // A label that equals the one before needs a blank between them.
        let earlier = if most > 1 { Tensor::concat(&[&blanks(1), &part(&labels, 1, 0, most - 1)], 1) } else { blanks(1) };
        let differs = labels.not_equal(&earlier);
        let never = Tensor::full([n, most], 0.0, DType::Bool);
        let jumps = Tensor::stack(&[&never, &differs], -1).reshape([n, 2 * most]);
        let jumps = Tensor::concat(&[&jumps, &part(&never, 1, 0, 1)], 1);
        let (zero, none) = (Tensor::full(jumps.shape(), 0.0, DType::F64), Tensor::full(jumps.shape(), f64::NEG_INFINITY, DType::F64));
        States { class, jump: jumps.select(&zero, &none), lengths }
    }

    /// The log-likelihood `[n]` of log-probabilities `[time, n, classes]`.
    fn run(&self, x: &Tensor, steps: &Tensor) -> Tensor {
        let (time, n, count) = (x.shape()[0], x.shape()[1], self.class.shape()[1]);
        let none = |width: usize| Tensor::full([n, width], f64::NEG_INFINITY, x.dtype());
        // [n, states, time]: what each state adds at each step.
        let emitted = Tensor::record(Gather { batch: 1 }, [x.permute([1, 2, 0]), self.class.clone()]);
        let at = |t: usize| part(&emitted, 2, t, t + 1).squeeze(-1);
        let jump = self.jump.cast(x.dtype());
        let begun = Tensor::arange(count, DType::I64).less(&Tensor::full([count], 2.0, DType::I64)).broadcast_to([n, count]);
        let mut reached = begun.select(&at(0), &none(count));
        for t in 1..time {
            let back = |by: usize| match by.min(count) {
                by if by == count => none(count),
                by => Tensor::concat(&[&none(by), &part(&reached, 1, 0, count - by)], 1),
            };
            let ways = Tensor::stack(&[&reached, &back(1), &(back(2) + &jump)], 0);
            let next = logsumexp(&ways, &Axes::from_slice(&[0])) + at(t);
            let runs = Tensor::full([n], t as f64, DType::I64).less(steps);
            reached = spread(&runs, &Axes::from_slice(&[1]), &[n, count]).select(&next, &reached);
        }
        self.ends(&reached)
    }

    /// Of each example, the sum over the two states it may end in: the last label and the blank after it.
    fn ends(&self, reached: &Tensor) -> Tensor {
        let shape = reached.shape();
        let place = Tensor::arange(shape[1], DType::I64).broadcast_to(shape);
        let last = spread(&(&self.lengths * 2), &Axes::from_slice(&[1]), shape);
        let end = place.equal(&last) | place.equal(&(last - 1));
        logsumexp(&end.select(reached, &Tensor::full(shape, f64::NEG_INFINITY, reached.dtype())), &Axes::from_slice(&[1]))
    }
}
