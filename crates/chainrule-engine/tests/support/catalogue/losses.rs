//! Losses.

use super::{N, Row, Sample, any, fractions, positive};
use chainrule_engine::functions::loss::{self, *};
use chainrule_engine::{DType, Tensor};

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn entropy(p: f64, y: f64) -> f64 {
    -y * p.ln() - (1.0 - y) * (1.0 - p).ln()
}

fn huber(d: f64, delta: f64) -> f64 {
    if d.abs() <= delta { d * d / 2.0 } else { delta * (d.abs() - delta / 2.0) }
}

/// The mean, one by one, and the formula of one.
pub type Loss = (&'static str, fn(&Tensor, &Tensor) -> Tensor, fn(&Tensor, &Tensor) -> Tensor, fn(f64, f64) -> f64);

/// Predictions of any size and targets from 0 to 1.
pub const PAIRWISE: &[Loss] = &[
    ("mse", |x, y| loss::mse(x, y), |x, y| loss::mse_each(x, y), |x, y| (x - y).powi(2)),
    ("l1", |x, y| loss::l1(x, y), |x, y| loss::l1_each(x, y), |x, y| (x - y).abs()),
    ("huber", |x, y| loss::huber(x, y, 0.7), |x, y| loss::huber_each(x, y, 0.7), |x, y| huber(x - y, 0.7)),
    ("smooth_l1", |x, y| loss::smooth_l1(x, y, 0.7), |x, y| loss::smooth_l1_each(x, y, 0.7), |x, y| huber(x - y, 0.7) / 0.7),
    ("smooth_l1 of 0", |x, y| loss::smooth_l1(x, y, 0.0), |x, y| loss::smooth_l1_each(x, y, 0.0), |x, y| (x - y).abs()),
    ("bce_with_logits", |x, y| loss::bce_with_logits(x, y), |x, y| loss::bce_with_logits_each(x, y), |x, y| entropy(sigmoid(x), y)),
    ("bce", |x, y| loss::bce(&x.sigmoid(), y), |x, y| loss::bce_each(&x.sigmoid(), y), |x, y| entropy(sigmoid(x), y)),
];

fn classes(t: &Tensor) -> Tensor {
    Tensor::full([t.shape()[0]], 1.0, DType::I64)
}

/// 1 and -1 in turns, of the shape of a tensor without the axes.
fn signs(t: &Tensor, without: &[isize]) -> Tensor {
    let like = t.detach().sum_over(without);
    let turns = (0..like.len()).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect::<Vec<f64>>();
    Tensor::from_vec(turns, like.shape()).cast(t.dtype())
}

fn lists(t: &Tensor) -> Tensor {
    Tensor::full(t.shape(), 0.0, DType::I64)
}

fn weights(t: &[Tensor]) -> LossOptions {
    LossOptions { reduction: Reduction::None, weight: Some(t[1].sigmoid()), ..Default::default() }
}

fn smooth() -> LossOptions {
    LossOptions { label_smoothing: 0.2, ..Default::default() }
}

const RATES: PoissonNllOptions = PoissonNllOptions { log_input: false, full: true, eps: 1e-3 };

/// What CTC takes, of 4 steps of 3 classes of each example, whose text is the class 1 once or twice.
fn labels(t: &Tensor, length: f64) -> [Tensor; 4] {
    let n = t.shape()[0];
    let all = |value: f64, shape: &[usize]| Tensor::full(shape, value, DType::I64);
    [t.transpose(0, 1).log_softmax(-1), all(1.0, &[n, 2]), all(4.0, &[n]), all(length, &[n])]
}

#[rustfmt::skip]
pub const FUNCTIONS: &[Row] = &[
    Row("mse_each", &[any(&[N, 3]), any(&[N, 3])], |t| mse_each(&t[0], &t[1])),
    Row("l1_each", &[any(&[N, 3]), any(&[N, 3])], |t| l1_each(&t[0], &t[1])),
    Row("huber_each", &[any(&[N, 3]), any(&[N, 3])], |t| huber_each(&t[0], &t[1], 0.7)),
    Row("smooth_l1_each", &[any(&[N, 3]), any(&[N, 3])], |t| smooth_l1_each(&t[0], &t[1], 0.7)),
    Row("poisson_nll_each", &[any(&[N, 3]), any(&[N, 3])], |t| poisson_nll_each(&t[0], &t[1].abs(), &Default::default())),
    Row("poisson_nll", &[any(&[N, 3]), any(&[N, 3])], |t| poisson_nll(&t[0], &t[1].abs(), &Default::default())),
    Row("gaussian_nll_each", &[any(&[N, 3]), any(&[N, 3]), any(&[N, 1])], |t| gaussian_nll_each(&t[0], &t[1], &t[2].abs(), &Default::default())),
    Row("gaussian_nll", &[any(&[N, 3]), any(&[N, 3]), any(&[N, 1])], |t| gaussian_nll(&t[0], &t[1], &t[2].abs(), &Default::default())),
    Row("cross_entropy_with", &[any(&[N, 3]), any(&[3])], |t| cross_entropy_with(&t[0], &classes(&t[0]), &weights(t))),
    Row("nll_with", &[any(&[N, 3]), any(&[3])], |t| nll_with(&t[0], &classes(&t[0]), &weights(t))),
    Row("cross_entropy_of_distributions_with", &[any(&[N, 3]), any(&[3]), any(&[N, 3])], |t| cross_entropy_of_distributions_with(&t[0], &t[2].sigmoid(), &weights(t))),
    Row("kl_div_each", &[any(&[N, 3]), any(&[N, 3])], |t| kl_div_each(&t[0], &t[1].sigmoid())),
    Row("kl_div", &[any(&[N, 3]), any(&[N, 3])], |t| kl_div(&t[0], &t[1].sigmoid())),
    Row("kl_div_of_logs_each", &[any(&[N, 3]), any(&[N, 3])], |t| kl_div_of_logs_each(&t[0], &t[1])),
    Row("kl_div_of_logs", &[any(&[N, 3]), any(&[N, 3])], |t| kl_div_of_logs(&t[0], &t[1])),
    Row("bce_with", &[any(&[N, 3]), any(&[3]), any(&[N, 3])], |t| bce_with(&t[0].sigmoid(), &t[2].sigmoid(), &weights(t))),
    Row("bce_with_logits_with", &[any(&[N, 3]), any(&[3]), any(&[N, 3])], |t| bce_with_logits_with(&t[0], &t[2].sigmoid(), &weights(t))),
    Row("soft_margin_each", &[any(&[N, 3])], |t| soft_margin_each(&t[0], &signs(&t[0], &[]))),
    Row("soft_margin", &[any(&[N, 3])], |t| soft_margin(&t[0], &signs(&t[0], &[]))),
    Row("focal_each", &[any(&[N, 3]), any(&[N, 3])], |t| focal_each(&t[0], &t[1].sigmoid(), 2.0, Some(0.3))),
    Row("focal", &[any(&[N, 3]), any(&[N, 3])], |t| focal(&t[0], &t[1].sigmoid(), 2.0, Some(0.3))),
    Row("hinge_each", &[any(&[N, 3])], |t| hinge_each(&t[0], &signs(&t[0], &[]))),
    Row("hinge", &[any(&[N, 3])], |t| hinge(&t[0], &signs(&t[0], &[]))),
    Row("squared_hinge_each", &[any(&[N, 3])], |t| squared_hinge_each(&t[0], &signs(&t[0], &[]))),
    Row("squared_hinge", &[any(&[N, 3])], |t| squared_hinge(&t[0], &signs(&t[0], &[]))),
    Row("margin_ranking_each", &[any(&[N, 3]), any(&[N, 3])], |t| margin_ranking_each(&t[0], &t[1], &signs(&t[0], &[]), 0.5)),
    Row("margin_ranking", &[any(&[N, 3]), any(&[N, 3])], |t| margin_ranking(&t[0], &t[1], &signs(&t[0], &[]), 0.5)),
    Row("hinge_embedding_each", &[any(&[N, 3])], |t| hinge_embedding_each(&t[0], &signs(&t[0], &[]), 0.5)),
    Row("hinge_embedding", &[any(&[N, 3])], |t| hinge_embedding(&t[0], &signs(&t[0], &[]), 0.5)),
    Row("multi_margin_each", &[any(&[N, 3])], |t| multi_margin_each(&t[0], &classes(&t[0]), &Default::default())),
    Row("multi_margin", &[any(&[N, 3])], |t| multi_margin(&t[0], &classes(&t[0]), &Default::default())),
    Row("multilabel_margin_each", &[any(&[N, 3])], |t| multilabel_margin_each(&t[0], &lists(&t[0]))),
    Row("multilabel_margin", &[any(&[N, 3])], |t| multilabel_margin(&t[0], &lists(&t[0]))),
    Row("multilabel_soft_margin_each", &[any(&[N, 3]), any(&[N, 3])], |t| multilabel_soft_margin_each(&t[0], &t[1].sigmoid())),
    Row("multilabel_soft_margin", &[any(&[N, 3]), any(&[N, 3])], |t| multilabel_soft_margin(&t[0], &t[1].sigmoid())),
    Row("cosine_embedding_each", &[any(&[N, 3]), any(&[N, 3])], |t| cosine_embedding_each(&t[0], &t[1], &signs(&t[0], &[-1]), 0.0)),
    Row("cosine_embedding", &[any(&[N, 3]), any(&[N, 3])], |t| cosine_embedding(&t[0], &t[1], &signs(&t[0], &[-1]), 0.0)),
    Row("triplet_margin_each", &[any(&[N, 3]), any(&[N, 3]), any(&[N, 3])], |t| triplet_margin_each(&t[0], &t[1], &t[2], &Default::default())),
    Row("triplet_margin", &[any(&[N, 3]), any(&[N, 3]), any(&[N, 3])], |t| triplet_margin(&t[0], &t[1], &t[2], &Default::default())),
    Row("multilabel_soft_margin_with", &[any(&[N, 3]), any(&[3]), any(&[N, 3])], |t| multilabel_soft_margin_with(&t[0], &t[2].sigmoid(), &weights(t))),
    Row("cross_entropy_each", &[any(&[N, 3])], |t| cross_entropy_each(&t[0], &classes(&t[0]))),
    Row("cross_entropy", &[any(&[N, 3])], |t| cross_entropy(&t[0], &classes(&t[0]))),
    Row("cross_entropy_with smoothing", &[any(&[N, 3])], |t| cross_entropy_with(&t[0], &classes(&t[0]), &smooth())),
    Row("cross_entropy_with_each", &[any(&[N, 3])], |t| cross_entropy_with_each(&t[0], &classes(&t[0]), &smooth())),
    Row("cross_entropy_of_distributions_each", &[any(&[N, 3]), fractions(&[N, 3])], |t| cross_entropy_of_distributions_each(&t[0], &t[1])),
    Row("cross_entropy_of_distributions", &[any(&[N, 3]), fractions(&[N, 3])], |t| cross_entropy_of_distributions(&t[0], &t[1])),
    Row("nll_each", &[any(&[N, 3])], |t| nll_each(&t[0], &classes(&t[0]))),
    Row("nll", &[any(&[N, 3])], |t| nll(&t[0], &classes(&t[0]))),
    Row("Reduction::of", &[any(&[3])], |t| Reduction::Sum.of(&t[0])),
    Row("poisson_nll of rates", &[positive(&[N, 3]), positive(&[N, 3])], |t| poisson_nll(&t[0], &t[1], &RATES)),
    Row("ctc_each", &[any(&[N, 4, 3])], |t| {
        let [p, targets, steps, lengths] = labels(&t[0], 1.0);
        ctc_each(&p, &targets, &steps, &lengths, &Default::default())
    }),
    Row("ctc", &[any(&[N, 4, 3])], |t| {
        let [p, targets, steps, lengths] = labels(&t[0], 2.0);
        ctc(&p, &targets, &steps, &lengths, &Default::default())
    }),
];

/// Predictions of any size, and targets from 0 to 1.
pub fn samples(draw: i64) -> Vec<Sample> {
    let [x, y] = [any(&[3, 2]).leaf(0, 1 + 10 * draw, DType::F64), fractions(&[3, 2]).leaf(0, 2 + 10 * draw, DType::F64)];
    let numbers = |t: &Tensor| t.to_vec::<f64>().expect("numbers");
    let mut all = Vec::new();
    for &(name, mean, each, formula) in PAIRWISE {
        let values: Vec<f64> = numbers(&x).into_iter().zip(numbers(&y)).map(|(x, y)| formula(x, y)).collect();
        let average = values.iter().sum::<f64>() / 6.0;
        let (first, setting) = name.split_once(' ').unwrap_or((name, ""));
        let inputs = || vec![x.clone(), y.clone()];
        all.push(Sample::new(name, inputs(), move |t| mean(&t[0], &t[1]), Some(vec![average])));
        all.push(Sample::new(&format!("{first}_each {setting}"), inputs(), move |t| each(&t[0], &t[1]), Some(values)));
    }
    all
}
