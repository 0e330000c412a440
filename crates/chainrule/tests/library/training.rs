//! What a trainer promises: the same bits when it is resumed and for any number of threads, new random
//! numbers in each step, parameters that are one where they are tied, and mistakes that are told.

use chainrule::data::digits::{Digits, digits};
use chainrule::prelude::*;
use chainrule::{ErrorKind, Runtime};

fn bits(model: &impl Module) -> Vec<(String, Vec<u32>)> {
    let bits = |t: &Tensor| t.to_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect();
    model.state().iter().map(|(name, tensor)| (name.clone(), bits(tensor))).collect()
}

fn tensors(digits: &Digits) -> (Tensor, Tensor, Vec<i64>) {
    let labels: Vec<i64> = digits.labels.iter().map(|&label| label as i64).collect();
    let count = digits.count();
    (Tensor::from_slice(&digits.images, [count, 64]), Tensor::from_slice(&labels, [count]), labels)
}

/// A model with a dropout, so that a step depends on the random numbers of its number.
#[derive(Clone, Module)]
struct Dropping {
    first: Linear,
    dropout: Dropout,
    second: Linear,
    #[module(buffer)]
    scale: Tensor,
}

fn dropping(optimizer: impl Optimizer + 'static, seed: u64) -> Trainer<Dropping> {
    let mut rng = Rng::new(seed);
    let model = Dropping {
        first: Linear::new(6, 33, &mut rng),
        dropout: Dropout::new(0.3),
        second: Linear::new(33, 3, &mut rng),
        scale: Tensor::rand([3], &mut rng),
    };
    let loss = |model: &Dropping, batch: &[Tensor], mode: &mut Mode<'_>| {
        let x = model.dropout.forward(&model.first.forward(&batch[0]).relu(), mode);
        loss::cross_entropy(&(model.second.forward(&x) * &model.scale), &batch[1])
    };
    let schedule = Schedule::WarmupCosine { warmup: 5, steps: 20, floor: 0.1 };
    Trainer::new(model, optimizer, loss).unwrap().seed(7).schedule(schedule).clip(0.5)
}

fn data() -> Batches {
    let mut rng = Rng::new(11);
    let x = Tensor::randn([50, 6], &mut rng);
    let y = Tensor::randint([50], 3, &mut rng);
    Batches::new(&[&x, &y], 8, &mut rng).unwrap()
}

/// Losses, as bits, of so many steps.
pub fn advance<M: Module>(trainer: &mut Trainer<M>, batches: &mut Batches, steps: usize) -> Vec<u64> {
    let mut losses = Vec::new();
    while losses.len() < steps {
        if let Some(batch) = batches.next() {
            losses.push(trainer.step(&batch).unwrap().to_bits());
        }
    }
    losses
}

#[test]
fn a_resumed_training_is_the_same_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("training.safetensors");
    let optimizers: [fn() -> Box<dyn Optimizer>; 3] =
        [|| Box::new(Sgd::new(0.1)), || Box::new(Sgd { momentum: 0.9, ..Sgd::new(0.1) }), || Box::new(AdamW::new(0.01))];
    for optimizer in optimizers {
        let (mut whole, mut batches) = (dropping(optimizer(), 1), data());
        let losses = advance(&mut whole, &mut batches, 20);

        let (mut first, mut batches) = (dropping(optimizer(), 1), data());
        assert_eq!(advance(&mut first, &mut batches, 10), losses[..10]);
        first.save(&path, &[("note".to_string(), "ten".to_string())]).unwrap();
        let place = batches.place();
        // Saving changes nothing for the one that goes on.
        assert_eq!(advance(&mut first, &mut batches, 10), losses[10..]);

        // Another start and another seed: all that counts comes from the file.
        let (mut second, mut batches) = (dropping(optimizer(), 2).seed(99), data());
        advance(&mut second, &mut batches, 3);
        assert_eq!(second.load(&path).unwrap(), [("note".to_string(), "ten".to_string())]);
        assert_eq!(second.steps(), 10);
        batches.go_to(place);
        assert_eq!(advance(&mut second, &mut batches, 10), losses[10..]);
        assert_eq!(bits(second.model().unwrap()), bits(whole.model().unwrap()));
    }
}

#[test]
fn a_file_that_does_not_fit_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("training.safetensors");
    let mut adam = dropping(Adam::new(0.01), 1);
    adam.save(&path, &[]).unwrap();
    let mut other = dropping(AdamW::new(0.01), 1);
    let before = bits(other.model().unwrap());
    let error = other.load(&path).unwrap_err().to_string();
    assert!(error.contains("saved with the optimizer `adam`, not `adamw`"), "{error}");

    let mut small = Trainer::new(Linear::new(2, 1, &mut Rng::new(0)), Adam::new(0.1), |m, b, _| m.forward(&b[0]).sum()).unwrap();
    let error = small.load(&path).unwrap_err().to_string();
    assert!(error.contains("missing: optimizer.first_moment.weight") && error.contains("training.safetensors"), "{error}");

    chainrule::io::weights::save(&path, adam.model().unwrap(), &[]).unwrap();
    let error = other.load(&path).unwrap_err().to_string();
    assert!(error.contains("holds no training to go on with"), "{error}");
    assert_eq!(bits(other.model().unwrap()), before);
    assert_eq!(other.steps(), 0);
    let error = other.load(folder.path().join("none")).unwrap_err().to_string();
    assert!(error.contains("there is no such file"), "{error}");
}

/// A model wide enough that its work is shared.
#[test]
fn the_number_of_threads_changes_no_bit() {
    let split = digits().split();
    let (x, y, _) = tensors(&split.train);
    let run = |threads: usize| {
        let runtime = Runtime::new(threads).unwrap();
        let mut rng = Rng::new(0);
        let model = Mlp::new(&[64, 200, 10], Activation::Gelu, &mut rng);
        let mut batches = Batches::new(&[&x, &y], 100, &mut rng).unwrap();
        let loss = |model: &Mlp, batch: &[Tensor], mode: &mut Mode<'_>| {
            let x = Dropout::new(0.2).forward(&batch[0], mode);
            loss::cross_entropy(&model.forward(&x), &batch[1])
        };
        let mut trainer = Trainer::new(model, AdamW::new(0.01), loss).unwrap().clip(1.0).on(&runtime);
        let losses = advance(&mut trainer, &mut batches, 100);
        (losses, bits(trainer.model().unwrap()))
    };
    let one = run(1);
    for threads in [2, 3, 7] {
        assert!(run(threads) == one, "{threads} threads");
    }
}

/// A parameter whose gradient is too small for f16, a power of two apart from one that is not.
#[test]
fn a_scaled_loss_has_the_same_gradients_and_loses_none_in_f16() {
    let trained = |factor: f64, small: f64| {
        let model = Linear::new(4, 3, &mut Rng::new(3));
        let loss = move |model: &Linear, batch: &[Tensor], _: &mut Mode<'_>| {
            (model.forward(&batch[0]) * small).cast(DType::F16).cast(DType::F32).sum()
        };
        let mut trainer = Trainer::new(model, Sgd::new(1.0), loss).unwrap().scale_loss(factor);
        let losses = [0; 3].map(|_| trainer.step(&[Tensor::ones([2, 4])]).unwrap().to_bits());
        (losses, bits(trainer.model().unwrap()))
    };
    assert_eq!(trained(1024.0, 0.25), trained(1.0, 0.25));
    // Below 2^-25 there is nothing in f16. What is scaled by the loss passes through it.
    let lost = |factor: f64| {
        let model = Linear::new(4, 3, &mut Rng::new(3));
        let before = bits(&model);
        let loss =
            |model: &Linear, batch: &[Tensor], _: &mut Mode<'_>| model.forward(&batch[0]).cast(DType::F16).cast(DType::F32).sum() * 1e-9;
        let mut trainer = Trainer::new(model, Sgd::new(1e6), loss).unwrap().scale_loss(factor);
        trainer.step(&[Tensor::ones([2, 4])]).unwrap();
        bits(trainer.model().unwrap()) == before
    };
    assert!(lost(1.0) && !lost(65_536.0));
}

/// An index outside is found while the step runs: the values that the model let go of are still to be had.
#[test]
fn an_error_in_a_first_step_leaves_a_model_with_values() {
    let table = Embedding::new(5, 3, &mut Rng::new(1));
    let loss = |table: &Embedding, batch: &[Tensor], _: &mut Mode<'_>| table.forward(&batch[0]).square().sum();
    let mut trainer = Trainer::new(table, Sgd::new(0.1), loss).unwrap();
    let error = trainer.step(&[Tensor::from_slice(&[7i64], [1])]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Index);
    assert!(trainer.model().unwrap().state().iter().all(|(_, tensor)| tensor.to_vec::<f32>().unwrap().len() == 15));
}

#[test]
fn random_numbers_are_new_in_each_step_and_the_same_for_a_seed() {
    let losses = |seed| {
        let model = Dropping { dropout: Dropout::new(0.5), ..dropping(Sgd::new(0.0), 1).into_model().unwrap() };
        let loss = |model: &Dropping, batch: &[Tensor], mode: &mut Mode<'_>| {
            let x = model.dropout.forward(&model.first.forward(&batch[0]), mode);
            model.second.forward(&x).square().sum()
        };
        let mut trainer = Trainer::new(model, Sgd::new(0.0), loss).unwrap().seed(seed);
        let batch = [Tensor::ones([1, 6])];
        (0..6).map(|_| trainer.step(&batch).unwrap().to_bits()).collect::<Vec<u64>>()
    };
    let first = losses(1);
    assert_eq!(losses(1), first);
    assert_ne!(losses(2), first);
    let distinct: std::collections::HashSet<&u64> = first.iter().collect();
    assert_eq!(distinct.len(), first.len());
}

/// A batch of another size goes on with the same parameters and the same optimizer's memory.
#[test]
fn a_short_last_batch_goes_on_where_the_others_were() {
    let count = 10;
    let x = Tensor::randn([count, 6], &mut Rng::new(3));
    let y = Tensor::randint([count], 3, &mut Rng::new(4));
    let mut batches = Batches::new(&[&x, &y], 4, &mut Rng::new(5)).unwrap().last(LastBatch::Short);
    let mut trainer = dropping(AdamW::new(0.01), 1);
    // The same by a trainer that is saved and loaded, so captured anew, before each step.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t");
    dropping(AdamW::new(0.01), 1).save(&path, &[]).unwrap();
    for _ in 0..3 {
        let sizes: Vec<usize> = batches
            .by_ref()
            .map(|batch| {
                let loss = trainer.step(&batch).unwrap();
                let mut fresh = dropping(AdamW::new(0.01), 2);
                fresh.load(&path).unwrap();
                assert_eq!(fresh.step(&batch).unwrap().to_bits(), loss.to_bits());
                fresh.save(&path, &[]).unwrap();
                batch[0].shape()[0]
            })
            .collect();
        assert_eq!(sizes, [4, 4, 2]);
    }
}

#[test]
fn tied_parameters_move_together() {
    let mut rng = Rng::new(1);
    let token = Embedding::new(7, 5, &mut rng);
    let head = Linear { weight: token.weight.clone(), bias: None };
    let mut trainer = Trainer::new((token, head), Adam::new(0.05), |model, batch, _| {
        loss::cross_entropy(&model.1.forward(&model.0.forward(&batch[0])), &batch[1])
    })
    .unwrap();
    // With one table for both, a token's best answer is itself.
    let tokens = Tensor::arange(7, DType::I64);
    let batch = [tokens.clone(), tokens];
    let first = trainer.step(&batch).unwrap();
    for _ in 0..100 {
        trainer.step(&batch).unwrap();
    }
    assert!(trainer.step(&batch).unwrap() < 0.2 * first);
    let model = trainer.model().unwrap();
    assert!(model.0.weight.is(&model.1.weight));
    // What the optimizer keeps is kept once.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t");
    trainer.save(&path, &[]).unwrap();
    let (saved, _) = chainrule::io::weights::load_tensors(&path).unwrap();
    let kept: Vec<&str> = saved.iter().map(|(name, _)| name.as_str()).filter(|name| name.contains("moment")).collect();
    assert_eq!(kept, ["optimizer.first_moment.0.weight", "optimizer.second_moment.0.weight"]);
}

#[test]
fn mistakes_in_a_step_are_told_and_leave_the_trainer_usable() {
    let model = Linear::new(3, 2, &mut Rng::new(0));
    let mut trainer = Trainer::new(model, Sgd::new(0.1), |model, batch, _| model.forward(&batch[0]).square().mean()).unwrap();
    let good = [Tensor::ones([4, 3])];
    let first = trainer.step(&good).unwrap();
    let error = trainer.step(&[Tensor::ones([4, 5])]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    let error = trainer.step(&[Tensor::ones([2, 3]).matmul(&Tensor::ones([2, 3]))]).unwrap_err();
    assert!(error.to_string().contains("inner dimensions differ"), "{error}");
    assert!(trainer.step(&good).unwrap() < first);
    assert_eq!(trainer.steps(), 2);

    let table = Embedding::new(4, 2, &mut Rng::new(0));
    let mut trainer = Trainer::new(table, Sgd::new(0.1), |model, batch, _| model.forward(&batch[0]).sum()).unwrap();
    let error = trainer.step(&[Tensor::from_slice(&[9i64], [1])]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Index, "{error}");

    let model = (Linear::new(3, 1, &mut Rng::new(0)), Linear::new(3, 1, &mut Rng::new(0)));
    let one = |model: &(Linear, Linear), batch: &[Tensor], _: &mut Mode<'_>| {
        (model.0.forward(&batch[0]) + model.1.forward(&batch[0]).detach()).sum()
    };
    let mut trainer = Trainer::new(model, AdamW::new(0.1), one).unwrap();
    let error = trainer.step(&good).unwrap_err().to_string();
    assert!(error.contains("`1.weight`, `1.bias`") && error.contains("`detach`"), "{error}");
    let mut trainer = Trainer::new(trainer.into_model().unwrap(), Sgd::new(0.1), one).unwrap().allow_disconnected();
    let before = trainer.model().unwrap().1.weight.to_vec::<f32>().unwrap();
    trainer.step(&good).unwrap();
    assert_eq!(trainer.model().unwrap().1.weight.to_vec::<f32>().unwrap(), before);
}

#[test]
fn metrics_are_those_of_the_step_and_rates_change_without_compiling() {
    let model = Linear::without_bias(1, 1, &mut Rng::new(0));
    let mut trainer = Trainer::with_metrics(model, Sgd::new(0.25), |model, batch, _| {
        let y = model.forward(&batch[0]).sum();
        vec![y.clone(), &y * 2.0, y]
    })
    .unwrap()
    .clip(1e9);
    assert_eq!((trainer.metric(0), trainer.rate()), (None, 0.25));
    let batch = [Tensor::ones([1, 1])];
    let first = trainer.step(&batch).unwrap();
    let close = |found: Option<f64>, meant: f64| assert!((found.unwrap() - meant).abs() < 1e-6, "{found:?} {meant}");
    close(trainer.metric(0), 2.0 * first);
    close(trainer.metric(1), first);
    close(trainer.metric(2), 1.0);
    assert_eq!(trainer.metric(3), None);
    trainer.set_rate(0.5);
    close(trainer.step(&batch).ok(), first - 0.25);
    close(trainer.step(&batch).ok(), first - 0.75);
}
