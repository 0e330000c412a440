//! Losses: `data/torch/loss.py` has the same loops.

use crate::check::{check_gradients, close, random, slope, values, vector};
use crate::stored::Stored;
use chainrule_engine::functions::loss::*;
use chainrule_engine::{DType, Tensor};

const FIGURES: &str = include_str!("../data/torch/loss.txt");
const REDUCTIONS: [(&str, Reduction); 3] = [("none", Reduction::None), ("mean", Reduction::Mean), ("sum", Reduction::Sum)];
const BOTH: [bool; 2] = [false, true];

fn leaf(x: Tensor) -> Tensor {
    x.to_leaf().unwrap()
}

fn logits() -> Tensor {
    random(&[5, 4], 1)
}

fn weights() -> Tensor {
    leaf(random(&[4], 2).sigmoid())
}

fn distributions() -> Tensor {
    leaf(random(&[5, 4], 3).softmax(-1))
}

fn fractions() -> Tensor {
    leaf(random(&[5, 4], 4).sigmoid())
}

fn signs() -> Tensor {
    leaf(random(&[5, 4], 5).sign())
}

fn whole(values: &[i64], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape)
}

fn classes() -> Tensor {
    whole(&[2, 0, 3, 1, 0], &[5])
}

/// For every reduction, and with and without each option.
#[test]
fn losses_of_classes() {
    let [mut entropy, mut nll, mut mixed] = ["cross_entropy", "nll", "distributions"].map(|name| Stored::new(FIGURES, name));
    let (x, target) = (logits(), classes());
    for (r, reduction) in REDUCTIONS {
        for weighted in BOTH {
            for ignore in BOTH {
                for label_smoothing in [0.0, 0.3] {
                    let weight = weighted.then(weights);
                    let options = LossOptions { reduction, weight, label_smoothing, ignore: ignore.then_some(0), pos_weight: None };
                    let (w, i) = (weighted as u8, ignore as u8);
                    let name = format!("cross_entropy {r} {w} {i} {label_smoothing:?}");
                    entropy.check(&name, &cross_entropy_with(&x, &target, &options), &[&x]);
                    if label_smoothing == 0.0 {
                        nll.check(&format!("nll {r} {w} {i}"), &nll_with(&x, &target, &options), &[&x]);
                    }
                    if !ignore {
                        let p = distributions();
                        let name = format!("distributions {r} {w} {label_smoothing:?}");
                        mixed.check(&name, &cross_entropy_of_distributions_with(&x, &p, &options), &[&x, &p]);
                    }
                }
            }
        }
    }
    entropy.finish();
    nll.finish();
    mixed.finish();
}

#[test]
fn binary_losses() {
    let [mut logit, mut plain, mut labels] = ["bce_with_logits", "bce", "multilabel_soft_margin"].map(|name| Stored::new(FIGURES, name));
    let (x, y, p) = (logits(), fractions(), distributions());
    for (r, reduction) in REDUCTIONS {
        for weighted in BOTH {
            for positive in BOTH {
                let weight = weighted.then(weights);
                let pos_weight = positive.then(|| leaf(weights() * 3.0));
                let options = LossOptions { reduction, weight, pos_weight, ..Default::default() };
                let w = weighted as u8;
                logit.check(&format!("bce_with_logits {r} {w} {}", positive as u8), &bce_with_logits_with(&x, &y, &options), &[&x, &y]);
                if !positive {
                    plain.check(&format!("bce {r} {w}"), &bce_with(&p, &y, &options), &[&p]);
                    labels.check(&format!("multilabel_soft_margin {r} {w}"), &multilabel_soft_margin_with(&x, &y, &options), &[&x]);
                }
            }
        }
    }
    logit.finish();
    plain.finish();
    labels.finish();
}

#[test]
fn divergences() {
    let mut stored = Stored::new(FIGURES, "kl_div");
    let (x, p) = (leaf(logits().log_softmax(-1)), distributions());
    stored.check("kl_div 0", &kl_div(&x, &p), &[&x, &p]);
    let log_p = leaf(p.log());
    stored.check("kl_div 1", &kl_div_of_logs(&x, &log_p), &[&x, &log_p]);
    stored.finish();
    check_gradients("kl_div_of_logs", |t| kl_div_of_logs(&t[0], &t[1]), &[random(&[2, 3], 1), random(&[2, 3], 2)]);
    let none = Tensor::from_slice(&[0.0, f64::NEG_INFINITY], [1, 2]);
    let x = Tensor::from_slice(&[-1.0, f64::NEG_INFINITY], [1, 2]);
    assert_eq!((values(&kl_div_of_logs(&x, &none)), slope(&kl_div_of_logs(&x, &none), &x)), (vec![1.0], vec![-1.0, 0.0]));
    assert_eq!(slope(&kl_div_of_logs(&x, &none), &none), [2.0, 0.0]);
}

#[test]
fn losses_of_pairs() {
    let mut stored = Stored::new(FIGURES, "pairwise");
    let (x, y, s) = (logits(), fractions(), signs());
    let (a, b) = (logits(), random(&[5, 4], 6));
    let rows = vector(&[1.0, -1.0, 1.0, -1.0, -1.0]);
    let labels = whole(&[3, 0, -1, 1, 1, -1, 2, 0, -1, 0, 0, 0, 0, 1, 2, 3, 2, -1, -1, -1], &[5, 4]);
    for (r, reduction) in REDUCTIONS {
        let mut check = |name: &str, each: Tensor, inputs: &[&Tensor]| {
            stored.check(&format!("pairwise {name} {r}"), &reduction.of(&each), inputs);
        };
        check("mse", mse_each(&x, &y), &[&x, &y]);
        check("l1", l1_each(&x, &y), &[&x, &y]);
        check("huber", huber_each(&x, &y, 0.7), &[&x, &y]);
        check("smooth_l1", smooth_l1_each(&x, &y, 0.7), &[&x, &y]);
        check("soft_margin", soft_margin_each(&x, &s), &[&x]);
        check("hinge_embedding", hinge_embedding_each(&x, &s, 0.6), &[&x]);
        check("margin_ranking", margin_ranking_each(&a, &b, &s, 0.4), &[&a, &b]);
        check("cosine_embedding", cosine_embedding_each(&a, &b, &rows, -0.3), &[&a, &b]);
        check("multilabel_margin", multilabel_margin_each(&x, &labels), &[&x]);
    }
    stored.finish();
}

#[test]
fn likelihoods() {
    let [mut poisson, mut gaussian] = ["poisson_nll", "gaussian_nll"].map(|name| Stored::new(FIGURES, name));
    let (x, y) = (logits(), leaf(fractions() * 6.0));
    for log_input in BOTH {
        for full in BOTH {
            let x = if log_input { x.clone() } else { leaf(x.abs()) };
            let options = PoissonNllOptions { log_input, full, eps: 1e-3 };
            poisson.check(&format!("poisson_nll {} {}", log_input as u8, full as u8), &poisson_nll(&x, &y, &options), &[&x]);
            check_gradients("poisson_nll", |t| poisson_nll_each(&t[0], &t[1], &options), &[leaf(x + 0.5), y.clone()]);
        }
    }
    for full in BOTH {
        for width in [4, 1] {
            let (y, v) = (fractions(), leaf(random(&[5, width], 7).sigmoid() * 0.5));
            let options = GaussianNllOptions { full, eps: 0.2 };
            gaussian.check(&format!("gaussian_nll {} {width}", full as u8), &gaussian_nll(&x, &y, &v, &options), &[&x, &y, &v]);
        }
    }
    poisson.finish();
    gaussian.finish();
    let inputs = [random(&[2, 2], 1), random(&[2, 2], 2), leaf(random(&[2, 1], 3).exp())];
    check_gradients("gaussian_nll", |t| gaussian_nll_each(&t[0], &t[1], &t[2], &Default::default()), &inputs);
    let (zero, negative) = (vector(&[0.0]), vector(&[-1.0]));
    assert!(gaussian_nll(&zero, &zero, &negative, &Default::default()).item().unwrap().is_nan());
    // A count of nothing at a rate of nothing, without anything added to it.
    let options = PoissonNllOptions { log_input: false, full: true, eps: 0.0 };
    let (rate, count) = (vector(&[0.0]), vector(&[0.0]));
    assert_eq!(
        (values(&poisson_nll(&rate, &count, &options)), slope(&poisson_nll(&rate, &count, &options), &rate)),
        (vec![0.0], vec![1.0])
    );
}

#[test]
fn margins_of_classes() {
    let mut stored = Stored::new(FIGURES, "multi_margin");
    let (x, target) = (logits(), classes());
    for (r, reduction) in REDUCTIONS {
        for p in [1, 2] {
            for weighted in BOTH {
                for margin in [1.0, 0.3] {
                    let options = MarginOptions { p, margin, weight: weighted.then(weights) };
                    let name = format!("multi_margin {r} {p} {} {margin:?}", weighted as u8);
                    stored.check(&name, &reduction.of(&multi_margin_each(&x, &target, &options)), &[&x]);
                }
            }
        }
    }
    stored.finish();
}

#[test]
fn triplets() {
    let mut stored = Stored::new(FIGURES, "triplet");
    for p in [1.0, 2.0, 3.0, f64::INFINITY] {
        for swap in BOTH {
            for margin in [1.0, 3.0] {
                let inputs: [Tensor; 3] = std::array::from_fn(|i| random(&[5, 4], 10 + i as u64));
                let options = TripletOptions { margin, p, swap, ..Default::default() };
                let losses = triplet_margin_each(&inputs[0], &inputs[1], &inputs[2], &options);
                stored.check(&format!("triplet {p:?} {} {margin:?}", swap as u8), &losses, &inputs.each_ref());
            }
        }
    }
    stored.finish();
    // No distance at all has a derivative all the same.
    for p in [1.0, 2.0, 3.0] {
        let (x, y) = (Tensor::from_slice(&[1.0, 2.0], [1, 2]), Tensor::from_slice(&[3.0, 0.5], [1, 2]));
        let options = TripletOptions { margin: 9.0, p, eps: 0.0, swap: false };
        let loss = triplet_margin(&x, &x, &y, &options);
        assert!(slope(&loss, &x).iter().all(|g| g.is_finite()), "{p}: {:?}", slope(&loss, &x));
    }
}

#[test]
fn focal_losses() {
    let mut stored = Stored::new(FIGURES, "focal");
    let (x, y) = (logits(), leaf((signs() + 1.0) * 0.5));
    for gamma in [0.0, 0.5, 2.0] {
        for alpha in [-1.0, 0.25] {
            let loss = focal(&x, &y, gamma, (alpha >= 0.0).then_some(alpha));
            stored.check(&format!("focal {gamma:?} {alpha:?}"), &loss, &[&x]);
        }
        check_gradients("focal", |t| focal_each(&t[0], &y, gamma, Some(0.3)), std::slice::from_ref(&x));
        // Far out, what is right for sure costs nothing, and what is wrong its distance.
        let far = vector(&[1000.0, -1000.0]);
        let right = vector(&[1.0, 0.0]);
        assert_eq!(
            (values(&focal_each(&far, &right, gamma, None)), slope(&focal_each(&far, &right, gamma, None), &far)),
            (vec![0.0; 2], vec![0.0; 2])
        );
        assert_eq!(values(&focal_each(&far, &(1.0 - right), gamma, None)), [1000.0, 1000.0]);
    }
    stored.finish();
}

#[test]
fn hinges() {
    let (x, y) = (vector(&[0.3, -2.0, 1.5, 0.25]), vector(&[1.0, 1.0, 1.0, -1.0]));
    close("hinge", &values(&hinge_each(&x, &y)), &[0.7, 3.0, 0.0, 1.25], 1e-15);
    close("squared", &values(&squared_hinge_each(&x, &y)), &[0.49, 9.0, 0.0, 1.5625], 1e-15);
    assert_eq!(slope(&hinge_each(&x, &y), &x), [-1.0, -1.0, 0.0, 1.0]);
    assert!(values(&hinge_each(&vector(&[f64::NAN]), &vector(&[1.0])))[0].is_nan());
}

/// By the target the derivative is the logit, without its sign: all digits of it, next to 0, too. By the logit it is the
/// probability less the target, on both sides of 0 and at 0.
#[test]
fn binary_cross_entropy_by_its_target() {
    let logits = [-f64::INFINITY, -40.0, -0.7, -1e-9, -1e-300, -0.0, 0.0, 1e-300, 1e-9, 0.7, 40.0, f64::INFINITY];
    for label in [0.0, 0.25, 1.0] {
        let (x, y) = (vector(&logits), vector(&[label; 12]));
        let each = bce_with_logits_each(&x, &y);
        assert_eq!(slope(&each, &y), logits.map(|x| -x), "by targets of {label}");
        let by_logit = each.sum().grad(&[&x]).unwrap().remove(0);
        // Written so that neither side loses digits.
        let wanted = logits.map(|x| (1.0 - label) / (1.0 + (-x).exp()) - label / (1.0 + x.exp()));
        close(&format!("by logits, targets of {label}"), &values(&by_logit), &wanted, 4e-16);
        let finite = vector(&logits[1..11]);
        let bend = bce_with_logits_each(&finite, &vector(&[label; 10])).sum().grad(&[&finite]).unwrap().remove(0);
        let wanted: Vec<f64> = logits[1..11].iter().map(|x| 1.0 / (1.0 + x.exp()) / (1.0 + (-x).exp())).collect();
        close("twice by logits", &slope(&bend, &finite), &wanted, 4e-16);
    }
    // The side of 1 counts `p`: `(p - 1) softplus(-x) - x`.
    let options = LossOptions { pos_weight: Some(vector(&[1.0, 3.0])), reduction: Reduction::Sum, ..Default::default() };
    let (x, y) = (vector(&[1e-9, 2.0]), vector(&[0.5, 0.5]));
    let by_target = slope(&bce_with_logits_with(&x, &y, &options), &y);
    close("with a weight", &by_target, &[-1e-9, 2.0 * (-2f64).exp().ln_1p() - 2.0], 4e-16);
}

/// Both orders of derivatives, of every loss that another test has not.
#[test]
fn derivatives_to_second_order() {
    let (x, y) = (random(&[2, 3], 1), random(&[2, 3], 2));
    let (target, signs) = (whole(&[2, 0], &[2]), leaf(random(&[2, 3], 5).sign()));
    let options = LossOptions { weight: Some(vector(&[0.5, 2.0, 1.5])), ..Default::default() };
    let smooth = LossOptions { label_smoothing: 0.2, ignore: Some(0), ..options.clone() };
    let positive = LossOptions { pos_weight: Some(vector(&[0.5, 2.0, 1.5])), ..options.clone() };
    let one = [x.clone()];
    check_gradients("cross_entropy", |t| cross_entropy_with(&t[0], &target, &smooth), &one);
    check_gradients("nll", |t| nll_with(&t[0].square(), &target, &options), &one);
    check_gradients("bce_with_logits", |t| bce_with_logits_with(&t[0], &t[1], &positive), &[x.clone(), y.clone()]);
    check_gradients("distributions", |t| cross_entropy_of_distributions_with(&t[0], &t[1], &options), &[x.clone(), y.clone()]);
    check_gradients("soft_margin", |t| soft_margin(&t[0], &signs), &one);
    check_gradients("squared_hinge", |t| squared_hinge(&t[0], &signs), &one);
    check_gradients("margin_ranking", |t| margin_ranking(&t[0], &t[1], &signs, 0.4).square(), &[x.clone(), y.clone()]);
    check_gradients("hinge_embedding", |t| hinge_embedding(&t[0], &signs, 0.4).square(), &one);
    check_gradients("multi_margin", |t| multi_margin(&t[0], &target, &MarginOptions { p: 2, ..Default::default() }), &one);
    let labels = whole(&[1, -1, 0, 2, 0, -1], &[2, 3]);
    check_gradients("multilabel_margin", |t| multilabel_margin(&t[0], &labels).square(), &one);
    check_gradients("multilabel_soft_margin", |t| multilabel_soft_margin_with(&t[0], &t[1], &options), &[x.clone(), y.clone()]);
    let rows = vector(&[1.0, -1.0]);
    check_gradients("cosine_embedding", |t| cosine_embedding_each(&t[0], &t[1], &rows, -0.9), &[x.clone(), y.clone()]);
    for (p, swap) in [(2.0, false), (3.0, true)] {
        let options = TripletOptions { p, swap, margin: 5.0, ..Default::default() };
        check_gradients("triplet", |t| triplet_margin_each(&t[0], &t[1], &t[2], &options), &[x.clone(), y.clone(), random(&[2, 3], 3)]);
    }
}

#[test]
fn ctc_with_lengths_of_its_own_for_each_example() {
    let mut stored = Stored::new(FIGURES, "ctc");
    for (r, reduction) in REDUCTIONS {
        for blank in [0, 2] {
            for zero_infinity in BOTH {
                let x = random(&[7, 4, 5], 20);
                let [a, b, c] = if blank == 0 { [1, 3, 4] } else { [1, 3, 0] };
                let targets = whole(&[a, b, c, b, b, a, c, a, blank as i64, a, a, a], &[4, 3]);
                let (steps, lengths) = (whole(&[7, 6, 3, if zero_infinity { 4 } else { 5 }], &[4]), whole(&[3, 3, 1, 3], &[4]));
                let options = CtcOptions { blank, zero_infinity };
                let log_p = x.log_softmax(-1);
                let loss = match reduction {
                    Reduction::Mean => ctc(&log_p, &targets, &steps, &lengths, &options),
                    other => other.of(&ctc_each(&log_p, &targets, &steps, &lengths, &options)),
                };
                stored.check(&format!("ctc {r} {blank} {}", zero_infinity as u8), &loss, &[&x]);
            }
        }
    }
    let x = random(&[3, 2, 3], 21);
    let loss = ctc_each(&x.log_softmax(-1), &whole(&[1, 2], &[2, 1]), &whole(&[3, 2], &[2]), &whole(&[0, 0], &[2]), &Default::default());
    stored.check("ctc empty", &loss, &[&x]);
    stored.finish();
}

/// All labels of all steps, added up one layout after the other.
#[test]
fn ctc_is_the_sum_over_all_layouts() {
    let (time, classes, target) = (4, 3, [1i64, 1]);
    let log_p = leaf(random(&[time, 1, classes], 3).log_softmax(-1));
    let p = values(&log_p.exp());
    let mut likelihood = 0.0;
    for layout in 0..classes.pow(time as u32) {
        let path: Vec<usize> = (0..time).map(|t| layout / classes.pow(t as u32) % classes).collect();
        let labels = path.iter().enumerate().filter(|&(t, &c)| c != 0 && (t == 0 || path[t - 1] != c)).map(|(_, &c)| c as i64);
        if labels.eq(target) {
            likelihood += (0..time).map(|t| p[t * classes + path[t]]).product::<f64>();
        }
    }
    let one = |n: i64| whole(&[n], &[1]);
    let loss = |t: &[Tensor]| ctc(&t[0], &whole(&target, &[1, 2]), &one(4), &one(2), &Default::default());
    close("ctc", &values(&loss(std::slice::from_ref(&log_p))), &[-likelihood.ln() / 2.0], 1e-14);
    check_gradients("ctc", loss, std::slice::from_ref(&log_p));
    // What is longer than its time costs infinity, or nothing.
    let too_long = |zero_infinity| {
        let options = CtcOptions { zero_infinity, ..Default::default() };
        ctc_each(&log_p, &whole(&target, &[1, 2]), &one(2), &one(2), &options)
    };
    assert_eq!((values(&too_long(false)), values(&too_long(true))), (vec![f64::INFINITY], vec![0.0]));
    assert!(slope(&too_long(true), &log_p).iter().all(|&g| g == 0.0));
    // Rubbish beyond a length is not looked at.
    let rubbish = ctc(&log_p, &whole(&[1, 1, 99, -7], &[1, 4]), &one(4), &one(2), &Default::default());
    close("rubbish", &values(&rubbish), &[-likelihood.ln() / 2.0], 1e-14);
}

#[test]
fn narrow_floats_are_computed_in_single() {
    for dtype in [DType::F16, DType::BF16, DType::F32] {
        let [x, y] = [random(&[2, 3], 1), random(&[2, 3], 2)].map(|t| t.cast(dtype));
        let target = whole(&[2, 0], &[2]);
        let options = LossOptions { weight: Some(vector(&[0.5, 2.0, 1.5]).cast(dtype)), ..Default::default() };
        let wide = |t: &Tensor| leaf(t.cast(DType::F64));
        let other = LossOptions { weight: options.weight.as_ref().map(wide), ..Default::default() };
        for (got, want) in [
            (cross_entropy_with(&x, &target, &options), cross_entropy_with(&wide(&x), &target, &other)),
            (triplet_margin(&x, &y, &x, &Default::default()), triplet_margin(&wide(&x), &wide(&y), &wide(&x), &Default::default())),
            (focal(&x, &y.sigmoid(), 2.0, None), focal(&wide(&x), &wide(&y.sigmoid()), 2.0, None)),
        ] {
            assert_eq!(got.dtype(), dtype);
            close("narrow", &values(&got), &values(&want), 0.01);
        }
    }
}

/// Means of nothing are NaN, sums 0, and nothing is nothing.
#[test]
fn no_examples() {
    let (x, target) = (Tensor::full([0, 3], 0.0, DType::F64), whole(&[], &[0]));
    assert!(cross_entropy_with(&x, &target, &Default::default()).item().unwrap().is_nan());
    let options = LossOptions { reduction: Reduction::Sum, ignore: Some(1), ..Default::default() };
    assert_eq!(cross_entropy_with(&x, &target, &options).item().unwrap(), 0.0);
    assert_eq!(values(&multi_margin_each(&x, &target, &Default::default())), [0.0; 0]);
    assert_eq!(values(&multilabel_margin_each(&x, &whole(&[], &[0, 3]))), [0.0; 0]);
}
