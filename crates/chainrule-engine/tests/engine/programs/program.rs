//! A program as data: what its seed says of its inputs and steps, less what was taken away to make it small.
//!
//! Refuses to judge: what is wrong with a program is for the tests to say.

use super::steps::Values;
use super::{views, whole};
use crate::support::{Numbers, random};
use chainrule_engine::{DType, Tensor};
use std::fmt;

/// A function of a few tensors with a scalar result, in 5 to 60 steps.
#[derive(Clone)]
pub struct Program {
    /// Says everything, as long as nothing is taken away.
    pub seed: u64,
    /// The inputs, which it is differentiated by.
    inputs: Vec<Leaf>,
    /// Leaves that are no floats.
    whole: Vec<Leaf>,
    /// What each step draws its numbers from, and whether it is left out.
    steps: Vec<(u64, bool)>,
}

/// A leaf, and the views that it is read through.
#[derive(Clone)]
struct Leaf {
    shape: Vec<usize>,
    views: Vec<u64>,
    seed: u64,
}

impl Leaf {
    fn new(numbers: &mut Numbers) -> Leaf {
        let shape = views::shape(numbers, 48);
        Leaf { shape, views: (0..numbers.below(5)).map(|_| numbers.word()).collect(), seed: numbers.word() }
    }

    fn read(&self, x: &Tensor) -> Tensor {
        self.views.iter().fold(x.clone(), |x, &seed| views::view(&x, &mut Numbers::new(seed)))
    }
}

/// What a program computes.
pub struct Computed {
    /// A float, bounded so that differences stay exact.
    pub value: Tensor,
    /// The last of what is no float.
    pub whole: Vec<Tensor>,
}

impl Program {
    pub fn new(seed: u64) -> Program {
        let mut numbers = Numbers::new(seed);
        let steps = (0..5 + numbers.below(56)).map(|_| (numbers.word(), false)).collect();
        let mut leaves = || (0..1 + numbers.below(3)).map(|_| Leaf::new(&mut numbers)).collect();
        Program { seed, inputs: leaves(), whole: leaves(), steps }
    }

    /// The inputs: f64 leaves whose elements lie side by side; the program reads views of them.
    pub fn inputs(&self) -> Vec<Tensor> {
        self.inputs.iter().map(|leaf| random(&leaf.shape, leaf.seed)).collect()
    }

    /// Other inputs of the same shapes.
    pub fn other_inputs(&self) -> Vec<Tensor> {
        self.inputs.iter().map(|leaf| random(&leaf.shape, !leaf.seed)).collect()
    }

    /// The value for inputs.
    pub fn value(&self, inputs: &[Tensor]) -> Tensor {
        self.computed(inputs).value
    }

    /// Everything for inputs, which may be of any float types: between them, the second operand takes the first one's.
    pub fn computed(&self, inputs: &[Tensor]) -> Computed {
        let floats: Vec<Tensor> = self.inputs.iter().zip(inputs).map(|(leaf, x)| leaf.read(x)).collect();
        let whole = |leaf: &Leaf| leaf.read(&whole::leaf(&leaf.shape, whole::DTYPES[leaf.seed as usize % 4], leaf.seed));
        let types: Vec<DType> = inputs.iter().map(|x| x.dtype()).collect();
        let kinks = !types.iter().any(|dtype| matches!(dtype, DType::BF16 | DType::F16));
        let mut values = Values { floats: floats.clone(), whole: self.whole.iter().map(whole).collect(), types, kinks };
        self.steps.iter().for_each(|&(seed, left_out)| values.step(seed, left_out));
        // Every input and the last values count.
        let last = &values.floats[values.floats.len().saturating_sub(3)..];
        let parts = floats.iter().chain(last).map(|t| (t.sin() * 0.7 + t.tanh()).sum());
        let sum = parts.reduce(|sum, t| sum + t.cast(inputs[0].dtype()));
        let value = sum.unwrap_or_else(|| Tensor::scalar(0.0, DType::F64)).sin() * 2.0;
        Computed { value, whole: values.whole.split_off(values.whole.len().saturating_sub(2)) }
    }

    /// The smallest program found that still `fails`, by taking away as long as it does.
    pub fn shrunk(mut self, fails: impl Fn(&Program) -> bool) -> Program {
        let mut from = 0;
        loop {
            // On from what was taken away last: what could not go before it will hardly go now.
            let mut smaller = self.smaller();
            let n = smaller.len();
            let Some(at) = (0..n).map(|k| (from + k) % n).find(|&at| fails(&smaller[at])) else { return self };
            (from, self) = (at, smaller.swap_remove(at));
        }
    }

    /// What is a little less, the largest pieces first.
    fn smaller(&self) -> Vec<Program> {
        let mut all = Vec::new();
        let mut with = |change: &dyn Fn(&mut Program)| {
            let mut program = self.clone();
            change(&mut program);
            all.push(program);
        };
        // Steps at the end, by halves; then each alone.
        let n = self.steps.len();
        (1..7).map(|half| n >> half).filter(|&cut| cut > 0).for_each(|cut| with(&|p| p.steps.truncate(n - cut)));
        if n == 1 {
            with(&|p| p.steps.clear());
        }
        (0..n).rev().filter(|&i| !self.steps[i].1).for_each(|i| with(&|p| p.steps[i].1 = true));
        let lists: [fn(&mut Program) -> &mut Vec<Leaf>; 2] = [|p| &mut p.inputs, |p| &mut p.whole];
        for list in lists {
            let leaves = list(&mut self.clone()).clone();
            for (i, leaf) in leaves.iter().enumerate() {
                if leaves.len() > 1 {
                    with(&|p| _ = list(p).remove(i));
                }
                (0..leaf.views.len()).rev().for_each(|k| with(&|p| _ = list(p)[i].views.remove(k)));
                (0..leaf.shape.len()).for_each(|k| with(&|p| _ = list(p)[i].shape.remove(k)));
                (0..leaf.shape.len()).filter(|&k| leaf.shape[k] > 1).for_each(|k| with(&|p| list(p)[i].shape[k] -= 1));
            }
        }
        all
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let kept = self.steps.iter().filter(|(_, left_out)| !left_out).count();
        let of = Program::new(self.seed).steps.len();
        let leaves =
            |leaves: &[Leaf]| leaves.iter().map(|leaf| format!("{:?} by {} views", leaf.shape, leaf.views.len())).collect::<Vec<_>>();
        let (inputs, whole) = (leaves(&self.inputs).join(", "), leaves(&self.whole).join(", "));
        write!(f, "program {}, {kept} of its {of} steps, inputs {inputs}, whole numbers {whole}", self.seed)
    }
}
