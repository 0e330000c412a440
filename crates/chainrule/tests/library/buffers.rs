//! What is saved but not learned: batch normalisation against PyTorch's figures (`../data/batch_norm_torch.py`), and what a
//! trainer promises of buffers that a step gives new values to.

use crate::training::advance;
use chainrule::check::{audit, gradcheck};
use chainrule::io::weights::load_tensors;
use chainrule::prelude::*;
use chainrule::transform::checkpoint;
use chainrule::{ErrorKind, Runtime};
use std::collections::HashMap;

const FIGURES: &str = include_str!("../data/batch_norm_torch.txt");

/// As in the script.
fn numbers(shape: &[usize], seed: usize) -> Tensor {
    let number = |i: usize| 2.0 * (12.9898 * i as f64 + 78.233 * seed as f64).sin();
    Tensor::from_slice(&(0..shape.iter().product()).map(number).collect::<Vec<f64>>(), shape)
}

fn digest(x: &Tensor) -> Vec<f64> {
    (0..2).map(|k| (x * numbers(x.shape(), 100 + k)).sum().item().unwrap()).collect()
}

fn values(x: &Tensor) -> Vec<f64> {
    x.to_data().unwrap().to_f64()
}

/// The stored lines by name; each is asked for once.
struct Figures(HashMap<&'static str, Vec<f64>>);

impl Figures {
    fn of(prefix: &str) -> Figures {
        let lines = FIGURES.lines().filter(|line| line.starts_with(prefix)).map(|line| {
            let mut words = line.split(' ');
            (words.next().unwrap(), words.map(|number| number.parse().unwrap()).collect())
        });
        Figures(lines.collect())
    }

    #[track_caller]
    fn check(&mut self, name: &str, found: &[f64]) {
        let stored = self.0.remove(name).unwrap_or_else(|| panic!("nothing is stored for {name}"));
        assert_eq!(found.len(), stored.len(), "{name}");
        for (found, stored) in found.iter().zip(&stored) {
            assert!((found - stored).abs() <= 1e-11 * stored.abs().max(1.0), "{name}: {found} {stored}");
        }
    }
}

/// In f64, with every number that can be its own.
fn normal(channels: usize, affine: bool) -> BatchNorm {
    let plain = BatchNorm { epsilon: 1e-3, ..BatchNorm::without_affine(channels) };
    let [running_mean, running_var] = [&plain.running_mean, &plain.running_var].map(|buffer| buffer.cast(DType::F64));
    let [weight, bias] = [1, 2].map(|seed| affine.then(|| numbers(&[channels], seed)));
    BatchNorm { weight, bias, running_mean, running_var, ..plain }
}

fn train(norm: &mut BatchNorm, x: &Tensor) -> Tensor {
    let mut training = Training::new(Rng::new(0));
    let y = norm.forward(x, &mut Mode::Train(&mut training));
    training.apply(norm).unwrap();
    y
}

#[test]
fn outputs_gradients_and_statistics_are_those_of_pytorch() {
    let shapes: [(&str, &[usize]); 3] = [("rows", &[6, 3]), ("sequences", &[4, 3, 5]), ("images", &[4, 3, 2, 3])];
    for (kind, shape) in shapes {
        let mut figures = Figures::of(kind);
        for (affine, momentum) in [false, true].into_iter().flat_map(|affine| [Some(0.1), Some(0.3), None].map(|m| (affine, m))) {
            let mut norm = BatchNorm { momentum, ..normal(3, affine) };
            let of = |what: &str| format!("{kind}.{}.{}.{what}", affine as u8, momentum.map_or("all".into(), |m| m.to_string()));
            let batches = [0, 1, 2].map(|at| (numbers(shape, 10 + at) * (at as f64 + 1.0) + at as f64).to_leaf().unwrap());
            let [.., y] = batches.each_ref().map(|x| train(&mut norm, x));
            let x = &batches[2];
            let inputs: Vec<&Tensor> = [Some(x), norm.weight.as_ref(), norm.bias.as_ref()].into_iter().flatten().collect();
            figures.check(&of("output"), &digest(&y));
            let gradients = (&y * numbers(shape, 77)).sum().grad(&inputs).unwrap();
            figures.check(&of("gradients"), &gradients.iter().flat_map(digest).collect::<Vec<f64>>());
            let statistics = [&norm.running_mean, &norm.running_var, &norm.num_batches_tracked];
            figures.check(&of("statistics"), &statistics.map(values).concat());
            figures.check(&of("evaluated"), &digest(&norm.forward(x, &mut Mode::Evaluate)));
        }
        assert!(figures.0.is_empty(), "stored, but not compared: {:?}", figures.0);
    }
}

#[derive(Module)]
struct Network {
    conv: Conv2d,
    norm: BatchNorm,
    linear: Linear,
}

impl Network {
    fn forward(&self, x: &Tensor, mode: &mut Mode<'_>) -> Tensor {
        let x = self.norm.forward(&self.conv.forward(x), mode).relu();
        self.linear.forward(&x.reshape([x.shape()[0], 12]))
    }
}

#[test]
fn a_training_is_that_of_pytorch() {
    let mut rng = Rng::new(0);
    let norm = BatchNorm { epsilon: 1e-5, ..normal(3, true) };
    let mut model = Network { conv: Conv2d::new(1, 3, 3, &mut rng), norm, linear: Linear::new(12, 2, &mut rng) };
    let mut seed = 20;
    model.visit_mut(&mut |_, parameter| {
        *parameter = numbers(parameter.shape(), seed) / 4.0;
        seed += 1;
    });
    let optimizer = Sgd { momentum: 0.9, weight_decay: 0.02, ..Sgd::new(0.05) };
    let loss = |model: &Network, batch: &[Tensor], mode: &mut Mode<'_>| loss::mse(&model.forward(&batch[0], mode), &batch[1]);
    let mut trainer = Trainer::new(model, optimizer, loss).unwrap();
    let batches = [0, 1].map(|at| [numbers(&[5, 1, 4, 4], 30 + at), numbers(&[5, 2], 40 + at)]);
    let losses: Vec<f64> = (0..6).map(|step| trainer.step(&batches[step % 2]).unwrap()).collect();
    let model = trainer.into_model().unwrap();
    let mut figures = Figures::of("trained");
    figures.check("trained.losses", &losses);
    figures.check("trained.statistics", &[&model.norm.running_mean, &model.norm.running_var].map(values).concat());
    figures.check("trained.affine", &[model.norm.weight.as_ref(), model.norm.bias.as_ref()].map(|x| values(x.unwrap())).concat());
    figures.check("trained.evaluated", &values(&model.forward(&numbers(&[1, 1, 4, 4], 50), &mut Mode::Evaluate)));
}

fn bytes(model: &impl Module) -> Vec<(String, Vec<u8>)> {
    model.state().iter().map(|(name, tensor)| (name.clone(), tensor.to_data().unwrap().bytes().to_vec())).collect()
}

/// A model with normalisations inside and a buffer that no step changes.
#[derive(Module)]
struct Model {
    first: Linear,
    norm: BatchNorm,
    second: Linear,
    last: BatchNorm,
    #[module(buffer)]
    scale: Tensor,
}

impl Model {
    fn forward(&self, x: &Tensor, mode: &mut Mode<'_>) -> Tensor {
        let x = self.norm.forward(&self.first.forward(x), mode).relu();
        let x = Dropout::new(0.2).forward(&x, mode);
        self.last.forward(&self.second.forward(&x), mode) * &self.scale
    }
}

fn trainer(seed: u64) -> Trainer<Model> {
    let mut rng = Rng::new(seed);
    let model = Model {
        first: Linear::new(6, 70, &mut rng),
        norm: BatchNorm::new(70),
        second: Linear::new(70, 3, &mut rng),
        last: BatchNorm { momentum: None, ..BatchNorm::without_affine(3) },
        scale: Tensor::rand([3], &mut rng),
    };
    let loss = |model: &Model, batch: &[Tensor], mode: &mut Mode<'_>| {
        let y = model.forward(&batch[0], mode);
        // The loss reads a buffer that the step changes: it must see the old value.
        loss::mse(&y, &batch[1]) + model.norm.running_mean.square().sum() * 1e-3
    };
    Trainer::new(model, AdamW { weight_decay: 0.5, ..AdamW::new(0.01) }, loss).unwrap()
}

fn data() -> Batches {
    let (x, y) = (Tensor::randn([50, 6], &mut Rng::new(3)) * 2.0 + 1.0, Tensor::randn([50, 3], &mut Rng::new(4)));
    Batches::new(&[&x, &y], 8, &mut Rng::new(5)).unwrap().last(LastBatch::Short)
}

/// Ten steps at once, and five, a file, and five, with a batch of another size among each.
#[test]
fn a_resumed_training_has_the_same_buffers_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("training.safetensors");
    let (mut whole, mut batches) = (trainer(1), data());
    let start = bytes(whole.model().unwrap());
    let losses = advance(&mut whole, &mut batches, 10);
    let end = bytes(whole.model().unwrap());
    let changed = |name: &&str| start.iter().zip(&end).any(|(a, b)| a.0 == **name && a != b);
    let all: Vec<&str> = start.iter().map(|(name, _)| name.as_str()).collect();
    let still: Vec<&&str> = all.iter().filter(|name| !changed(name)).collect();
    assert_eq!(still, [&"scale"]);

    let (mut first, mut batches) = (trainer(1), data());
    assert_eq!(advance(&mut first, &mut batches, 5), losses[..5]);
    first.save(&path, &[]).unwrap();
    let place = batches.place();
    assert_eq!(advance(&mut first, &mut batches, 5), losses[5..]);
    let (mut second, mut batches) = (trainer(2), data());
    advance(&mut second, &mut batches, 3);
    second.load(&path).unwrap();
    batches.go_to(place);
    assert_eq!(advance(&mut second, &mut batches, 5), losses[5..]);
    assert_eq!(bytes(second.model().unwrap()), end);
    assert_eq!(bytes(first.model().unwrap()), end);

    // Asking for the model between steps changes nothing.
    let (mut asked, mut batches) = (trainer(1), data());
    for _ in 0..10 {
        advance(&mut asked, &mut batches, 1);
        asked.model().unwrap();
    }
    assert_eq!(bytes(asked.model().unwrap()), end);
}

#[test]
fn the_number_of_threads_changes_no_bit_of_a_buffer() {
    let x = Tensor::randn([300, 40], &mut Rng::new(3));
    let run = |threads: usize| {
        let runtime = Runtime::new(threads).unwrap();
        let mut rng = Rng::new(0);
        let model = (Linear::new(40, 130, &mut rng), BatchNorm::new(130));
        let loss = |model: &(Linear, BatchNorm), batch: &[Tensor], mode: &mut Mode<'_>| {
            (model.1.forward(&model.0.forward(&batch[0]).relu(), mode) - 1.0).square().square().mean()
        };
        let mut trainer = Trainer::new(model, AdamW::new(0.01), loss).unwrap().on(&runtime);
        let losses = [0; 20].map(|_| trainer.step(std::slice::from_ref(&x)).unwrap().to_bits());
        (losses, bytes(trainer.model().unwrap()))
    };
    let one = run(1);
    for threads in [2, 3, 7] {
        assert!(run(threads) == one, "{threads} threads");
    }
}

#[test]
fn buffers_are_no_parameters() {
    let norm = BatchNorm::new(3);
    assert_eq!(norm.parameter_count(), 6);
    let names = |all: Vec<(String, Tensor)>| all.into_iter().map(|(name, _)| name).collect::<Vec<String>>();
    assert_eq!(names(norm.parameters()), ["weight", "bias"]);
    let buffers = ["running_mean", "running_var", "num_batches_tracked"];
    assert_eq!(names(norm.buffers()), buffers);
    assert_eq!(names(BatchNorm::without_affine(3).state()), buffers);
    let mut training = Training::new(Rng::new(0));
    let loss = norm.forward(&Tensor::randn([5, 3], &mut Rng::new(1)), &mut Mode::Train(&mut training)).square().sum();
    let found = audit(&loss, &norm).unwrap();
    assert!(found.is_complete() && found.parameters().len() == 2, "{found}");

    // What the optimizer keeps and decays is of parameters: a decay of all would halve the scale at once.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t");
    let mut trainer = trainer(1);
    trainer.step(&data().next().unwrap()).unwrap();
    trainer.save(&path, &[]).unwrap();
    let (saved, _) = load_tensors(&path).unwrap();
    let saved = names(saved);
    assert!(saved.contains(&"model.norm.running_var".to_string()) && saved.contains(&"model.scale".to_string()));
    let kept = saved.iter().filter(|name| name.starts_with("optimizer."));
    assert_eq!(kept.count(), 2 * 6);
    assert!(!saved.iter().any(|name| name.starts_with("optimizer.") && (name.contains("running") || name.contains("scale"))));
}

/// Gradients through the statistics of the batch, with running ones of another type.
#[test]
fn derivatives_are_right_in_both_modes() {
    let norm = BatchNorm { weight: None, bias: None, epsilon: 1e-3, ..BatchNorm::new(2) };
    for shape in [&[3, 2][..], &[2, 2, 2]] {
        let inputs = [numbers(shape, 1), numbers(&[2], 2), numbers(&[2], 3)];
        for trained in [true, false] {
            let normalised = |given: &[Tensor]| {
                let norm = BatchNorm { weight: Some(given[1].clone()), bias: Some(given[2].clone()), ..norm.clone() };
                let mut training = Training::new(Rng::new(0));
                norm.forward(&given[0], &mut if trained { Mode::Train(&mut training) } else { Mode::Evaluate })
            };
            gradcheck(normalised, &inputs.each_ref()).unwrap().assert_passed();
        }
    }
}

#[test]
fn statistics_of_short_floats_are_taken_in_single() {
    for dtype in [DType::F16, DType::BF16] {
        let x = (numbers(&[64, 2], 1) + 300.0).cast(dtype);
        let mut norm = BatchNorm { momentum: Some(1.0), ..BatchNorm::without_affine(2) };
        assert_eq!(train(&mut norm, &x).dtype(), dtype);
        let mut exact = BatchNorm { momentum: Some(1.0), ..normal(2, false) };
        train(&mut exact, &x.cast(DType::F64));
        assert_eq!(norm.running_mean.dtype(), DType::F32);
        let far = |a: &Tensor, b: &Tensor| ((a.cast(DType::F64) - b) / b).abs().max().item().unwrap();
        assert!(far(&norm.running_mean, &exact.running_mean) < 1e-6);
        assert!(far(&norm.running_var, &exact.running_var) < 1e-5);
        assert_eq!(norm.forward(&x, &mut Mode::Evaluate).dtype(), dtype);
    }
}

/// One layer used twice goes on from where its first use ended, as two batches would; in a checkpoint it is one use.
#[test]
fn a_layer_may_be_used_twice_and_in_a_checkpoint() {
    let (a, b) = (numbers(&[4, 3], 1), numbers(&[5, 3], 2));
    let (mut once, mut twice) = (normal(3, true), normal(3, true));
    train(&mut once, &a);
    train(&mut once, &b);
    let mut training = Training::new(Rng::new(0));
    for x in [&a, &b] {
        twice.forward(x, &mut Mode::Train(&mut training));
    }
    assert_eq!(training.updates().len(), 3);
    training.apply(&mut twice).unwrap();
    assert_eq!(bytes(&twice), bytes(&once));

    let trained = |recomputed: bool| {
        let model = (Linear::new(3, 4, &mut Rng::new(1)), BatchNorm::new(4));
        let loss = move |model: &(Linear, BatchNorm), batch: &[Tensor], mode: &mut Mode<'_>| {
            let mut forward = |x: &Tensor| model.1.forward(&model.0.forward(x), mode).tanh();
            let y = if recomputed { checkpoint(|x| forward(x[0]), &[&batch[0]]) } else { forward(&batch[0]) };
            (y - 0.5).square().sum()
        };
        let mut trainer = Trainer::new(model, Sgd::new(0.1), loss).unwrap();
        let x = [a.cast(DType::F32)];
        let losses = [0; 5].map(|_| trainer.step(&x).unwrap());
        let norm = &trainer.model().unwrap().1;
        (losses.to_vec(), values(&norm.running_var), norm.num_batches_tracked.item().unwrap())
    };
    let ((plain, of_plain, _), (again, of_again, count)) = (trained(false), trained(true));
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5 * b.abs());
    assert!(near(&again, &plain) && near(&of_again, &of_plain) && count == 5.0, "{again:?} {plain:?}");
}

#[test]
fn what_cannot_be_normalised_is_refused() {
    let norm = BatchNorm::new(3);
    let wrong: [(&BatchNorm, Tensor, &str); 8] = [
        (&norm, Tensor::ones([1, 3]), "1 numbers for each channel have no variance"),
        (&norm, Tensor::ones([0, 3]), "0 numbers for each channel have no variance"),
        (&norm, Tensor::ones([4, 3, 0]), "0 numbers for each channel have no variance"),
        (&norm, Tensor::ones([4, 2]), "[4, 2] has 2 channels"),
        (&BatchNorm::without_affine(3), Tensor::ones([4, 2]), "running statistics [3] for channels [2]"),
        (&norm, Tensor::ones([3]), "an input of [3] has no channels"),
        (&BatchNorm { momentum: Some(1.5), ..norm.clone() }, Tensor::ones([4, 3]), "a momentum of 1.5 is not from 0 to 1"),
        (&BatchNorm { epsilon: -1.0, ..norm.clone() }, Tensor::ones([4, 3]), "eps is -1"),
    ];
    for (norm, x, message) in wrong {
        let mut training = Training::new(Rng::new(0));
        let error = norm.forward(&x, &mut Mode::Train(&mut training)).eval().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Shape | ErrorKind::Argument), "{error}");
        let text = error.to_string();
        assert!(text.contains("batch_norm at") && text.contains(message) && text.contains("buffers.rs"), "{text}");
        assert!(training.updates().is_empty());
    }
    // One example, or none, is enough once statistics are there.
    for examples in [0, 1] {
        let y = norm.forward(&Tensor::ones([examples, 3]), &mut Mode::Evaluate);
        assert_eq!(y.to_vec::<f32>().unwrap().len(), 3 * examples);
    }
    for (x, message) in [(Tensor::ones([4, 2]), "2 channels"), (Tensor::ones([3]), "no channels")] {
        let text = norm.forward(&x, &mut Mode::Evaluate).eval().unwrap_err().to_string();
        assert!(text.contains(message) && text.contains("buffers.rs"), "{text}");
    }
}

/// A model of one weight and one buffer, and what a pass may say of them.
#[derive(Clone, Module)]
struct Counter {
    weight: Tensor,
    #[module(buffer)]
    seen: Tensor,
}

#[test]
fn what_is_no_buffer_of_the_model_cannot_be_given_a_value() {
    let other = Tensor::zeros(());
    type Change = fn(&Counter, &Tensor, &mut Training);
    let wrong: [(Change, &str); 4] = [
        (|model, _, training| training.update(&model.weight, &model.weight * 2.0), "no buffer of the model"),
        (|_, other, training| training.update(other, other + 1.0), "no buffer of the model"),
        (|model, _, training| training.update(&model.seen, Tensor::zeros([2])), "buffer `seen` [] f32 cannot become [2] f32"),
        (|model, _, training| training.update(&model.seen, Tensor::ones([2]).matmul(&Tensor::ones([3]))), "inner dimensions differ"),
    ];
    let counter = || Counter { weight: Tensor::ones(()), seen: Tensor::zeros(()) };
    for (change, message) in wrong {
        let other = other.clone();
        let mut trainer = Trainer::new(counter(), Sgd::new(0.1), move |model: &Counter, batch, mode| {
            if let Mode::Train(training) = mode {
                training.update(&model.seen, training.current(&model.seen) + 1.0);
                if batch[0].len() == 2 {
                    change(model, &other, training);
                }
            }
            (&model.weight * &batch[0]).sum()
        })
        .unwrap();
        trainer.step(&[Tensor::ones([3])]).unwrap();
        let error = trainer.step(&[Tensor::ones([2])]).unwrap_err().to_string();
        assert!(error.contains(message) && error.contains("buffers.rs"), "{error}");
        trainer.step(&[Tensor::ones([3])]).unwrap();
        assert_eq!(trainer.model().unwrap().seen.item().unwrap(), 2.0);

        let mut model = counter();
        let mut training = Training::new(Rng::new(0));
        training.update(&model.seen, &model.seen + 1.0);
        change(&model, &Tensor::zeros(()), &mut training);
        assert!(training.apply(&mut model).unwrap_err().to_string().contains(message));
        assert_eq!(model.seen.item().unwrap(), 0.0);
    }
}

#[test]
fn a_step_reads_what_the_last_one_left() {
    let model = Counter { weight: Tensor::ones(()), seen: Tensor::zeros(()) };
    let mut trainer = Trainer::new(model, Sgd::new(0.0), |model: &Counter, batch, mode| {
        if let Mode::Train(training) = mode {
            training.update(&model.seen, training.current(&model.seen) * 2.0 + 1.0);
        }
        (&model.weight * &batch[0]).sum() + &model.seen
    })
    .unwrap();
    let losses = [3, 3, 2, 3, 3].map(|size| trainer.step(&[Tensor::zeros([size])]).unwrap());
    assert_eq!(losses, [0.0, 1.0, 3.0, 7.0, 15.0]);
    // A statistic of one example among many, as a lifted function sees it, is none of the step's.
    let lifted = |model: &BatchNorm, batch: &[Tensor], mode: &mut Mode<'_>| {
        let one = |x: &[Tensor]| Ok(vec![model.forward(&x[0], mode)]);
        chainrule::transform::vmap(one, &[&batch[0]], &[Some(0)]).unwrap().remove(0).square().sum()
    };
    let mut trainer = Trainer::new(BatchNorm::new(3), Sgd::new(0.1), lifted).unwrap();
    let error = trainer.step(&[Tensor::ones([2, 4, 3])]).unwrap_err();
    assert!(error.kind() == ErrorKind::Unbound && error.to_string().contains("buffers.rs"), "{error}");
}

/// A clone of a handle is one buffer with two names, and what is a parameter as well is none.
#[test]
fn a_buffer_in_two_places_is_one() {
    let model = BatchNorm::without_affine(2);
    let pair = (model.clone(), model);
    let loss = |pair: &(BatchNorm, BatchNorm, Tensor), batch: &[Tensor], mode: &mut Mode<'_>| {
        let y = pair.0.forward(&batch[0], mode) + pair.1.forward(&batch[0], mode);
        (y * &pair.2).sum()
    };
    let mut trainer = Trainer::new((pair.0, pair.1, Tensor::ones([2])), Sgd::new(0.1), loss).unwrap();
    for _ in 0..3 {
        trainer.step(&[numbers(&[4, 2], 1).cast(DType::F32)]).unwrap();
    }
    let model = trainer.model().unwrap();
    assert!(model.0.running_mean.is(&model.1.running_mean));
    assert_eq!(model.1.num_batches_tracked.item().unwrap(), 6.0);
}
