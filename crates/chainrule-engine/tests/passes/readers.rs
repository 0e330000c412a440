//! Small groups that read the same product: when they become one kernel, when not, and that values stay.

use crate::support::{leaf, stays};
use chainrule_engine::Tensor;
use chainrule_engine::compile::graph::Graph;
use chainrule_engine::compile::kernel::Kernel;
use chainrule_engine::compile::pipeline::{Options, compile};

/// A product of `rows` by five with a sum so long that readers add its chunks up.
fn product(rows: usize) -> Tensor {
    leaf(&[rows, 1024], 1).matmul(&leaf(&[1024, 5], 2)) * (1.0 / 64.0)
}

/// How many kernels of scalar code a program has.
fn regions(what: &str, within: f64, make: impl Fn() -> Tensor, want: usize) {
    let program = compile(Graph::of(&[&make()]).0, &[None], Options::default(), |_, _, _| ());
    let count = program.kernels.kernels.iter().filter(|kernel| matches!(kernel, Kernel::Region(_))).count();
    assert_eq!(count, want, "{what}");
    stays(what, within, make);
}

/// Two values made of a product alone, which two further products read.
fn two(rows: usize, other: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let sum = leaf(&[rows, 1024], 1).matmul(&leaf(&[1024, 5], 2));
    let (one, two) = ((&sum * 0.01).tanh(), other(&sum));
    one.matmul(&leaf(&[5, 3], 3)) + two.matmul(&leaf(&[5, 3], 4))
}

#[test]
fn small_readers_of_one_product_are_one_kernel() {
    regions("one kernel for both", 1e-5, || two(6, |sum| (sum * 0.02).sin()), 1);
    regions("more than is small", 1e-5, || two(6000, |sum| (sum * 0.02).sin()), 2);
    // What another one waits for would come later.
    let waits = |sum: &Tensor| (sum * 0.02) * product(6).sum_over(&[1]).reshape([6, 1]);
    regions("one waits for more", 1e-5, || two(6, waits), 2);
}
