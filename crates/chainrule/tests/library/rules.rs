//! What learning rules promise: estimates that are right on average, parameters that are refused where a rule has nothing to
//! go by, new numbers in each step, and learning.

use chainrule::nn::FeedbackLinear;
use chainrule::prelude::*;
use chainrule::rule::{Backpropagation, EvolutionStrategy, ForwardGradient, LearningRule, Spsa};
use chainrule::{ErrorKind, Runtime, Step};

const DRAWS: usize = 1 << 15;

/// Every rule that estimates, with so many draws.
fn estimators(draws: usize) -> Vec<Box<dyn LearningRule>> {
    vec![Box::new(ForwardGradient::new(draws)), Box::new(EvolutionStrategy::new(draws, 0.01)), Box::new(Spsa::new(0.01).pairs(draws))]
}

/// Three parameters of several shapes, and a smooth loss of them, in f64.
fn problem() -> ([Tensor; 3], Tensor) {
    let mut rng = Rng::new(3);
    let parameters = [
        Tensor::randn_of([2, 3], DType::F64, &mut rng),
        Tensor::randn_of([3], DType::F64, &mut rng),
        Tensor::randn_of([], DType::F64, &mut rng),
    ];
    let x = Tensor::randn_of([4, 2], DType::F64, &mut rng);
    let [w, b, c] = &parameters;
    let loss = ((x.matmul(w) + b).tanh() * c).square().mean() + (b * c).sum();
    (parameters, loss)
}

/// The mean of many draws lies as near to the gradient as their number promises: the estimate of a number varies by about the
/// gradient's length, so the mean of n by that over the root of n. Six times as much is not seen by chance.
#[test]
fn estimates_are_right_on_average() {
    let (parameters, loss) = problem();
    let refs: Vec<&Tensor> = parameters.iter().collect();
    let values =
        |found: Vec<Option<Tensor>>| -> Vec<f64> { found.iter().flat_map(|g| g.as_ref().unwrap().to_vec::<f64>().unwrap()).collect() };
    let exact = values(Backpropagation.gradients(&loss, &refs, &mut Rng::new(0)).unwrap());
    let length = exact.iter().map(|x| x * x).sum::<f64>().sqrt();
    for rule in estimators(DRAWS) {
        let found = rule.gradients(&loss, &refs, &mut Rng::new(5)).unwrap();
        assert!(found.iter().zip(&parameters).all(|(found, one)| found.as_ref().unwrap().shape() == one.shape()), "{}", rule.name());
        let off = values(found).iter().zip(&exact).map(|(got, want)| (got - want).abs()).fold(0.0, f64::max);
        let promised = 6.0 * length / (DRAWS as f64).sqrt();
        assert!(off < promised && off > promised / 1e3, "{}: {off} of {promised}", rule.name());
    }
}

/// A pair moved along one direction alone is the slope there, exactly for a loss of second degree, whatever the distance.
#[test]
fn mirrored_pairs_are_exact_for_a_loss_of_second_degree() {
    let w = Tensor::scalar(3.0, DType::F64);
    let loss = w.square() * 2.0 + &w * 5.0;
    let found = Spsa::new(0.5).gradients(&loss, &[&w], &mut Rng::new(1)).unwrap().remove(0).unwrap();
    assert!((found.item().unwrap() - 17.0).abs() < 1e-12);
}

#[test]
fn a_rule_refuses_what_it_has_nothing_to_go_by() {
    let (w, unused) = (Tensor::from([1.0, 2.0]), Tensor::from([3.0]));
    let (smooth, counted, cut) = (w.square().sum(), w.floor().sum(), w.detach().square().sum());
    let given = |rule: &dyn LearningRule, loss: &Tensor| -> Vec<bool> {
        rule.gradients(loss, &[&w, &unused], &mut Rng::new(0)).unwrap().iter().map(Option::is_some).collect()
    };
    for loss in [&smooth, &counted, &cut] {
        let by_slopes = [loss.id() == smooth.id(), false];
        assert_eq!(given(&Backpropagation, loss), by_slopes);
        assert_eq!(given(&ForwardGradient::new(3), loss), by_slopes);
        // What is moved moves the loss, with a derivative or without.
        assert_eq!(given(&EvolutionStrategy::new(3, 0.1), loss), [true, false]);
        assert_eq!(given(&Spsa::new(0.1), loss), [true, false]);
    }
    for rule in estimators(4) {
        assert_eq!(rule.gradients(&w, &[&w], &mut Rng::new(0)).unwrap_err().kind(), ErrorKind::Shape, "{}", rule.name());
        let model = (Linear::new(1, 1, &mut Rng::new(0)), Linear::new(1, 1, &mut Rng::new(0)));
        let mut trainer = Trainer::new(model, Sgd::new(0.1), |model, batch, _| model.0.forward(&batch[0]).square().sum()).unwrap();
        trainer = trainer.rule(rule);
        let error = trainer.step(&[Tensor::ones([2, 1])]).unwrap_err();
        assert!(error.kind() == ErrorKind::Disconnected && error.to_string().contains("parameters `1.weight`, `1.bias`"), "{error}");
    }
    let senseless: [Box<dyn LearningRule>; 5] = [
        Box::new(ForwardGradient::new(0)),
        Box::new(EvolutionStrategy::new(0, 0.1)),
        Box::new(EvolutionStrategy::new(1, f64::NAN)),
        Box::new(Spsa::new(0.0)),
        Box::new(Spsa::new(0.1).pairs(0)),
    ];
    for rule in senseless {
        let error = rule.gradients(&smooth, &[&w], &mut Rng::new(0)).unwrap_err();
        assert!(error.kind() == ErrorKind::Argument && error.to_string().contains("above 0"), "{error}");
    }
}

/// A captured step draws new directions for each key, and the same ones for the same key on any number of threads.
#[test]
fn directions_are_drawn_anew_in_each_step_and_are_the_same_on_any_team() {
    let ([w, b, c], loss) = problem();
    for rule in estimators(7) {
        let key = Tensor::placeholder([], DType::I64);
        let found = rule.gradients(&loss, &[&w, &b, &c], &mut Rng::from_key(&key)).unwrap();
        let outputs: Vec<&Tensor> = found.iter().flatten().collect();
        let at = |threads: usize, keys: &[i64]| -> Vec<Vec<f64>> {
            let mut step = Step::capture_on(&Runtime::new(threads).unwrap(), &[&key], &outputs, &[]).unwrap();
            let run = |key: &i64| {
                step.run(&[&Tensor::from_slice(&[*key], ())]).unwrap();
                step.output(0).to_vec::<f64>().unwrap()
            };
            keys.iter().map(run).collect()
        };
        let alone = at(1, &[1, 2, 1]);
        assert!(alone[0] == alone[2] && alone[0] != alone[1], "{}", rule.name());
        assert_eq!(alone, at(3, &[1, 2, 1]), "{}", rule.name());
    }
}

/// Feedback weights take the place of weights in what is passed on, and nowhere else.
#[test]
fn feedback_changes_what_is_passed_on_alone() {
    let mut rng = Rng::new(2);
    let mut layer = FeedbackLinear::new(3, 4, &mut rng);
    let x = Tensor::randn([2, 5, 3], &mut rng);
    let gradients = |y: &Tensor| -> Vec<Vec<f32>> {
        let all = y.tanh().sum().grad(&[&layer.linear.weight, layer.linear.bias.as_ref().unwrap(), &x]).unwrap();
        all.iter().map(|g| g.to_vec::<f32>().unwrap()).collect()
    };
    let (fed, plain) = (gradients(&layer.forward(&x)), gradients(&layer.linear.forward(&x)));
    assert_eq!(layer.forward(&x).to_vec::<f32>().unwrap(), layer.linear.forward(&x).to_vec::<f32>().unwrap());
    assert!(fed[..2] == plain[..2] && fed[2] != plain[2]);
    let error = (1.0 - layer.linear.forward(&x).tanh().square()).matmul(&layer.feedback);
    assert!((error - Tensor::from_slice(&fed[2], [2, 5, 3])).abs().max().item().unwrap() < 1e-6);
    // With the weights themselves it is backpropagation.
    layer.feedback = layer.linear.weight.clone();
    let same = layer.forward(&x).tanh().sum().grad(&[&x]).unwrap().remove(0);
    assert!((same - Tensor::from_slice(&plain[2], [2, 5, 3])).abs().max().item().unwrap() < 1e-6);
    assert_eq!(layer.parameters().len(), 2);
    assert_eq!(layer.state().len(), 3);
}

/// Every rule learns a line, each at its own pace.
#[test]
fn every_rule_learns() {
    let mut rng = Rng::new(0);
    let x = Tensor::randn([32, 3], &mut rng);
    let y = x.matmul(&Tensor::from([[1.0], [-2.0], [0.5]]));
    let rules: Vec<Box<dyn LearningRule>> =
        std::iter::once(Box::new(Backpropagation) as Box<dyn LearningRule>).chain(estimators(8)).collect();
    for rule in rules {
        let name = rule.name();
        let model = Linear::new(3, 1, &mut Rng::new(4));
        let mut trainer = Trainer::new(model, Sgd::new(0.05), |model, batch, _| loss::mse(&model.forward(&batch[0]), &batch[1])).unwrap();
        trainer = trainer.rule(rule);
        let batch = [x.clone(), y.clone()];
        let first = trainer.step(&batch).unwrap();
        (0..300).for_each(|_| _ = trainer.step(&batch).unwrap());
        let last = trainer.step(&batch).unwrap();
        assert!(last < 1e-3 * first, "{name}: {first} to {last}");
    }
}
