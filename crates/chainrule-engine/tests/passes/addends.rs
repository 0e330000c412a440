//! Products that are added where the other addend lies: when, when not, and that values stay.

use crate::support::{leaf, stays};
use chainrule_engine::compile::graph::Graph;
use chainrule_engine::compile::kernel::Kernel;
use chainrule_engine::compile::pipeline::{Options, compile};
use chainrule_engine::{DType, Tensor};

/// How many products of a program are added to what is there.
fn added(root: &Tensor) -> usize {
    let program = compile(Graph::of(&[root]).0, &[None], Options::default(), |_, _, _| ());
    let adds = |kernel: &&Kernel| matches!(kernel, Kernel::Contract(contract) if contract.accumulate);
    program.kernels.kernels.iter().filter(adds).count()
}

/// So many products are added where the other addend lies; the values are those of the reference however a program is compiled.
fn in_place(what: &str, within: f64, make: impl Fn() -> Tensor, want: usize) {
    assert_eq!(added(&make()), want, "{what}");
    stays(what, within, make);
}

/// Something that is computed, and kept in memory of its own.
fn computed() -> Tensor {
    leaf(&[6, 8], 1).matmul(&leaf(&[8, 5], 2)).tanh()
}

fn product() -> Tensor {
    leaf(&[6, 7], 3).matmul(&leaf(&[7, 5], 4))
}

/// Reads a matrix of six rows by something that takes no code along.
fn read(x: &Tensor) -> Tensor {
    let columns = x.shape()[1];
    x.matmul(&leaf(&[columns, 3], 9))
}

/// The last state of a recurrent network of two gates, fed by one product for all of its steps.
fn recurrent(steps: usize) -> Tensor {
    let fed = leaf(&[steps, 6, 4], 5).matmul(&leaf(&[4, 10], 6)) + leaf(&[10], 7);
    let weights = leaf(&[5, 10], 10);
    (0..steps as isize).fold(leaf(&[6, 5], 8), |h, step| {
        let gates = fed.index(0, step) + h.matmul(&weights);
        gates.slice(1, 0..5).tanh() * gates.slice(1, 5..10).sigmoid()
    })
}

#[test]
fn a_product_is_added_where_the_other_addend_lies() {
    in_place("two addends", 1e-5, || read(&(computed() + product())), 1);
    let wide = || {
        let product = |seed: u64| leaf(&[6, 8], seed).cast(DType::F64).matmul(&leaf(&[8, 5], seed + 1).cast(DType::F64));
        (product(1).tanh() + product(3)).matmul(&leaf(&[5, 3], 9).cast(DType::F64))
    };
    in_place("in f64", 1e-12, wide, 1);
    in_place("two products", 1e-5, || read(&(computed() + product() + leaf(&[6, 2], 11).matmul(&leaf(&[2, 5], 12)))), 2);
    in_place("every step", 1e-5, || recurrent(4).sum(), 4);
    let before = |first: bool| {
        let x = computed();
        let product = x.matmul(&leaf(&[5, 2], 13)).matmul(&leaf(&[2, 5], 14));
        read(&if first { product + &x } else { &x + product })
    };
    in_place("read before, the product first", 1e-5, || before(true), 1);
    in_place("read before, the product second", 1e-5, || before(false), 1);
}

#[test]
fn what_is_read_otherwise_keeps_its_memory() {
    in_place("a leaf", 1e-5, || read(&(leaf(&[6, 5], 15) + product())), 0);
    in_place("a row for all", 1e-5, || read(&(computed().sum_over(&[0]) + product())), 0);
    in_place("a result", 1e-5, || Tensor::concat(&[&computed(), &product()], 0), 0);
    let again = || {
        let x = computed();
        read(&(&x + product())) + read(&x)
    };
    in_place("read again", 1e-5, again, 0);
    let operand = || {
        let x = leaf(&[5, 8], 1).matmul(&leaf(&[8, 5], 2)).tanh();
        (&x + x.matmul(&leaf(&[5, 5], 16))).matmul(&leaf(&[5, 3], 9))
    };
    in_place("an operand", 1e-5, operand, 0);
    in_place("no sum", 1e-5, || read(&(computed() * product())), 0);
    in_place("more than a sum", 1e-5, || read(&(computed() + product()).exp()), 0);
    // All of a large value would be kept for the few elements of a sum.
    let large = || leaf(&[30, 6, 8], 17).matmul(&leaf(&[8, 5], 18)).tanh();
    in_place("a small part", 1e-5, || read(&(large().index(0, 3) + product())), 0);
    in_place("narrow", 2e-2, || read(&(computed().cast(DType::BF16) + product().cast(DType::BF16)).cast(DType::F32)), 0);
}
