//! What loops cost: compiled once whatever their length, memory that grows with what must be kept, the same bits on any
//! number of threads; and a recurrent network that learns as the unrolled one does.

use crate::scans::{loops, refs, scanned};
use crate::support::{agree, eval};
use chainrule_engine::compile::graph::Graph;
use chainrule_engine::compile::kernel::Kernel;
use chainrule_engine::functions::{CellWeights, ScanOptions, lstm_cell, scan};
use chainrule_engine::transform::checkpoint;
use chainrule_engine::{DType, Options, Result, Rng, Runtime, Step, Tensor};

/// All kernels of a program, and those of the programs in it.
fn count(kernels: &[Kernel]) -> usize {
    let inside = |kernel: &Kernel| match kernel {
        Kernel::Control(control) => 1 + control.bodies.iter().map(|body| count(&body.kernels.kernels)).sum::<usize>(),
        _ => 1,
    };
    kernels.iter().map(inside).sum()
}

/// The loops of a program, not counting loops in loops.
pub fn programs(step: &Step) -> usize {
    step.program().kernels.kernels.iter().filter(|kernel| matches!(kernel, Kernel::Control(_))).count()
}

/// Weights and inputs of an LSTM of `hidden` units over `n` examples of `length` steps.
struct Network {
    weights: CellWeights,
    x: Tensor,
    hidden: usize,
}

impl Network {
    fn new(hidden: usize, n: usize, length: usize) -> Result<Network> {
        let mut rng = Rng::new(5);
        let mut leaf = |shape: &[usize]| (Tensor::randn(shape, &mut rng) * 0.3).to_leaf();
        let mut weights = CellWeights::new(leaf(&[4 * hidden, 3])?, leaf(&[4 * hidden, hidden])?);
        weights.input_bias = Some(leaf(&[4 * hidden])?);
        Ok(Network { weights, x: leaf(&[length, n, 3])?, hidden })
    }

    fn leaves(&self) -> Vec<&Tensor> {
        [&self.weights.input, &self.weights.hidden].into_iter().chain(&self.weights.input_bias).collect()
    }

    fn start(&self) -> [Tensor; 2] {
        [(); 2].map(|()| Tensor::zeros([self.x.shape()[1], self.hidden]))
    }

    fn step(&self, state: &[Tensor], x: &Tensor) -> Vec<Tensor> {
        let next = lstm_cell(x, &state[0], &state[1], &self.weights);
        vec![next.0, next.1]
    }

    /// How far the sum of the states is from the running sum of the inputs.
    fn loss(&self, looped: bool) -> Result<Tensor> {
        let target = self.x.sum_over(&[2]).cumsum(0).tanh();
        let states = if looped {
            let step = |c: &[Tensor], x: &[Tensor]| {
                let next = self.step(c, &x[0]);
                Ok((next.clone(), vec![next[0].sum_over(&[1])]))
            };
            scan(&refs(&self.start()), &[&self.x], ScanOptions::default(), step)?.1.remove(0)
        } else {
            let mut state = self.start().to_vec();
            let mut states = Vec::new();
            for at in 0..self.x.shape()[0] {
                state = self.step(&state, &self.x.index(0, at as isize));
                states.push(state[0].sum_over(&[1]));
            }
            Tensor::stack(&states.iter().collect::<Vec<_>>(), 0)
        };
        Ok((states - target).square().mean())
    }

    fn training(&self, looped: bool, runtime: &Runtime) -> Result<Step> {
        let loss = self.loss(looped)?;
        let leaves = self.leaves();
        let next: Vec<Tensor> = loss.grad(&leaves)?.iter().zip(&leaves).map(|(g, &w)| w - g * 0.1).collect();
        let updates: Vec<(&Tensor, &Tensor)> = leaves.iter().copied().zip(&next).collect();
        Step::capture_on(runtime, &[], &[&loss], &updates)
    }
}

#[test]
fn kernels_do_not_grow_with_the_length() {
    let [few, many, uneven] = [1 << 14, 1 << 16, 50_021].map(|length| {
        let network = Network::new(4, 2, length).unwrap();
        let step = network.training(true, &Runtime::new(1).unwrap()).unwrap();
        (count(&step.program().kernels.kernels), programs(&step))
    });
    assert_eq!(few, many);
    // There and back: the loop that keeps its carries is also the one that gives the values.
    assert_eq!(few.1, 2);
    // Once more where the last block is a shorter one.
    assert!(uneven.1 <= 4 && uneven.0 <= 2 * few.0, "{uneven:?} and {few:?}");
}

/// The memory of a training step grows by the carries of a step and its products, what is asked for and its cotangent, and by
/// nothing else, once there are enough steps for a block.
#[test]
fn memory_grows_with_what_must_be_kept() {
    let bytes = |length| Network::new(16, 8, length).unwrap().training(true, &Runtime::new(1).unwrap()).unwrap().arena_bytes();
    let (short, long) = (bytes(1024), bytes(3072));
    let each = (long - short) / 2048;
    let kept = 4 * ((2 + 4) * 16 * 8 + 8);
    assert!(each >= kept && each <= kept + 4 * 8 * 4, "{each} bytes for each step, of which {kept} are kept");
}

/// States that are results are kept once: those before the steps are those after the steps before.
#[test]
fn states_that_are_results_are_kept_once() {
    let (w, x) = (Tensor::full([64, 64], 0.02, DType::F32), Tensor::full([4096, 4, 64], 0.2, DType::F32).to_leaf().unwrap());
    let bytes = |length: usize| {
        let cell = |c: &[Tensor], x: &[Tensor]| {
            let next = (c[0].matmul(&w) + &x[0]).tanh();
            Ok((vec![next.clone()], vec![next]))
        };
        let x = x.slice(0, ..length);
        let (_, states) = scan(&[&Tensor::ones([4, 64])], &[&x], ScanOptions::default(), cell).unwrap();
        let gradient = states[0].square().sum().grad(&[&w]).unwrap().remove(0);
        Step::capture_on(&Runtime::new(1).unwrap(), &[], &[&gradient], &[]).unwrap().arena_bytes()
    };
    // The state, the product, and the cotangent of the state.
    assert_eq!((bytes(4096) - bytes(2048)) / 2048, 3 * 4 * 4 * 64);
}

/// Products of few terms are as cheap to compute again as anything else is: only what is made of eight or more is kept.
#[test]
fn products_of_few_terms_are_not_kept() {
    let each = |terms: usize| {
        let w = Tensor::full([terms, terms], 0.02, DType::F32);
        let x = Tensor::full([4096, 16, terms], 0.2, DType::F32).to_leaf().unwrap();
        let bytes = |length: usize| {
            let cell = |c: &[Tensor], x: &[Tensor]| Ok((vec![(c[0].matmul(&w) + &x[0]).tanh()], vec![]));
            let (last, _) = scan(&[&Tensor::ones([16, terms])], &[&x.slice(0, ..length)], ScanOptions::default(), cell).unwrap();
            let gradient = last[0].square().sum().grad(&[&w]).unwrap().remove(0);
            Step::capture_on(&Runtime::new(1).unwrap(), &[], &[&gradient], &[]).unwrap().arena_bytes()
        };
        (bytes(4096) - bytes(2048)) / 2048
    };
    let carry = |terms: usize| 4 * 16 * terms;
    assert_eq!([each(4), each(8)], [carry(4), 2 * carry(8)]);
}

/// A body behind a checkpoint keeps its carries alone.
#[test]
fn a_checkpoint_keeps_less() {
    let (w, x) = (Tensor::full([64, 64], 0.02, DType::F32), Tensor::full([4096, 4, 64], 0.2, DType::F32).to_leaf().unwrap());
    let trained = |length: usize, forget: bool| {
        let cell = |c: &[Tensor], x: &[Tensor]| {
            let next = |a: &[&Tensor]| (a[0].matmul(&w) + a[1]).tanh();
            let next = if forget { checkpoint(next, &[&c[0], &x[0]]) } else { next(&[&c[0], &x[0]]) };
            Ok((vec![next], vec![]))
        };
        let x = x.slice(0, ..length);
        let (last, _) = scan(&[&Tensor::zeros([4, 64])], &[&x], ScanOptions::default(), cell).unwrap();
        let loss = last[0].square().sum();
        let gradient = loss.grad(&[&w]).unwrap().remove(0);
        Step::capture_on(&Runtime::new(1).unwrap(), &[], &[&gradient], &[]).unwrap()
    };
    let each = |forget: bool| (trained(4096, forget).arena_bytes() - trained(2048, forget).arena_bytes()) / 2048;
    let carry = 4 * 4 * 64;
    assert_eq!((each(false), each(true)), (2 * carry, carry));
    let values = [false, true].map(|forget| {
        let mut step = trained(40, forget);
        step.run(&[]).unwrap();
        eval(&step.output(0))
    });
    agree("with and without", &values[0], &values[1], 1e-6).unwrap();
}

#[test]
fn a_network_over_a_scan_learns_as_the_unrolled_one_does() {
    let network = Network::new(8, 4, 12).unwrap();
    let runtime = Runtime::new(2).unwrap();
    let (mut looped, mut plain) = (network.training(true, &runtime).unwrap(), network.training(false, &runtime).unwrap());
    let mut losses = Vec::new();
    for _ in 0..60 {
        looped.run(&[]).unwrap();
        plain.run(&[]).unwrap();
        losses.push(looped.item(0));
        // To rounding: the steps of a gradient are added up in another order.
        agree("loss", &[looped.item(0)], &[plain.item(0)], 1e-4).unwrap();
    }
    assert!(losses[59] < 0.5 * losses[0], "{} and then {}", losses[0], losses[59]);
    for at in 0..3 {
        agree("weights", &eval(&looped.state(at)), &eval(&plain.state(at)), 1e-4).unwrap();
    }
}

/// Work that is shared within steps, and steps that are too small for that.
#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for (hidden, n, length) in [(96, 48, 24), (4, 2, 6)] {
        let bits = [1, 2, 3].map(|threads| {
            let runtime = Runtime::new(threads).unwrap();
            let mut step = Network::new(hidden, n, length).unwrap().training(true, &runtime).unwrap();
            (0..3).for_each(|_| step.run(&[]).unwrap());
            (0..3).map(|at| step.state(at).to_vec::<f32>().unwrap()).collect::<Vec<_>>().concat()
        });
        assert!(bits[0] == bits[1] && bits[1] == bits[2], "{hidden} units");
        assert!(bits[0].iter().all(|w| w.is_finite()));
    }
}

/// Two recordings of the same loop are the same program; another constant inside makes another one.
#[test]
fn equal_loops_share_a_program() {
    for one in loops() {
        let x = (one.inputs)(3);
        let graph = || {
            let results = scanned(&one, 3, &x).unwrap();
            Graph::of(&results.iter().collect::<Vec<_>>()).0
        };
        let (first, second) = (graph(), graph());
        assert!(first.same_structure(&second) && first.fingerprint() == second.fingerprint(), "{}", one.name);
        assert!(Graph::parse(&first.print()).unwrap().same_structure(&first), "{}", first.print());
    }
    let scaled = |factor: f64| {
        let step = |c: &[Tensor], _: &[Tensor]| Ok((vec![&c[0] * factor], vec![]));
        let (last, _) = scan(&[&Tensor::ones([2])], &[], ScanOptions { length: Some(3), reverse: false }, step).unwrap();
        last[0].clone()
    };
    let (two, three) = (scaled(2.0), scaled(3.0));
    assert!(!Graph::of(&[&two]).0.same_structure(&Graph::of(&[&three]).0));
    assert_eq!((eval(&two), eval(&three)), (vec![8.0; 2], vec![27.0; 2]));
    assert_eq!(two.dtype(), DType::F32);
}

/// Bodies are compiled with the options of the whole: without any pass the gradients are the same.
#[test]
fn without_the_passes_the_values_are_the_same() {
    let network = Network::new(6, 3, 5).unwrap();
    let runtime = Runtime::new(2).unwrap();
    let run = |options: Options| {
        let mut step = network.training(true, &runtime.with_options(options)).unwrap();
        step.run(&[]).unwrap();
        (0..3).map(|at| eval(&step.state(at))).collect::<Vec<_>>().concat()
    };
    let own = runtime.options();
    let want = run(own);
    for options in [
        Options { simplify: false, ..own },
        Options { fuse: false, ..own },
        Options { recompute: false, ..own },
        Options { reuse_memory: false, ..own },
        Options { simplify: false, fuse: false, recompute: false, reuse_memory: false, ..own },
    ] {
        agree(&format!("{options:?}"), &run(options), &want, 1e-6).unwrap();
    }
}
