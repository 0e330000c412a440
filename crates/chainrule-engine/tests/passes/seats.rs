//! Copies that are left out, as what is copied is written in its place: when, when not, and that values stay.

use crate::support::{leaf, stays};
use chainrule_engine::Tensor;
use chainrule_engine::compile::graph::Graph;
use chainrule_engine::compile::kernel::{Code, Kernel};
use chainrule_engine::compile::pipeline::{Options, compile};

/// How many kernels only move elements, in the program that makes a tensor.
fn copies(root: &Tensor) -> usize {
    let program = compile(Graph::of(&[root]).0, &[None], Options::default(), |_, _, _| ());
    let moves = |kernel: &&Kernel| match kernel {
        Kernel::Region(region) => region.code.iter().all(|i| matches!(i.code, Code::Load(_) | Code::Store(..))),
        _ => false,
    };
    program.kernels.kernels.iter().filter(moves).count()
}

/// How many copies are left in a program, whose values are those of the reference however it is compiled.
fn left(what: &str, make: impl Fn() -> Tensor, want: usize) {
    assert_eq!(copies(&make()), want, "{what}");
    stays(what, 1e-5, make);
}

fn first() -> Tensor {
    leaf(&[6, 8], 1).matmul(&leaf(&[8, 5], 2)).tanh()
}

fn second() -> Tensor {
    leaf(&[6, 5], 3).exp()
}

#[test]
fn pieces_are_written_where_they_are_laid_side_by_side() {
    left("columns", || Tensor::concat(&[&first(), &second()], 1).matmul(&leaf(&[10, 3], 4)), 0);
    left("rows", || Tensor::concat(&[&first(), &second()], 0).matmul(&leaf(&[5, 3], 4)), 0);
    let pairs = || Tensor::concat(&[&first(), &second()], 1);
    left("both", || Tensor::concat(&[&pairs(), &pairs().sin()], 0).matmul(&leaf(&[10, 3], 4)), 0);
    left("heads", || first().reshape([6, 5, 1]).permute([1, 0, 2]).reshape([5, 6]).matmul(&leaf(&[6, 3], 4)), 0);
}

/// Another reader takes the elements from their new place.
#[test]
fn what_is_read_elsewhere_too_is_read_at_its_place() {
    let read_twice = || {
        let a = first();
        let both = Tensor::concat(&[&a, &second()], 1);
        both.matmul(&leaf(&[10, 3], 4)).sum() + a.matmul(&leaf(&[5, 2], 5)).sum()
    };
    left("a row at a time", read_twice, 0);
}

#[test]
fn what_cannot_be_written_there_is_copied() {
    // The second place of the same piece, and a leaf.
    left(
        "twice",
        || {
            let a = first();
            Tensor::concat(&[&a, &a], 1).matmul(&leaf(&[10, 3], 4))
        },
        1,
    );
    left("a leaf", || Tensor::concat(&[&leaf(&[6, 5], 6), &second()], 1).matmul(&leaf(&[10, 3], 4)), 1);
    // Zeros are set everywhere after the piece has been made.
    left("padded", || first().pad(&[(1, 0), (0, 2)]).matmul(&leaf(&[7, 3], 4)), 1);
    // One run over all elements is no run of rows that lie apart.
    let flat = || {
        let a = first();
        Tensor::concat(&[&a, &second()], 1).matmul(&leaf(&[10, 3], 4)).sum() + a.reshape([30]).matmul(&leaf(&[30, 2], 5)).sum()
    };
    left("read as one run", flat, 1);
}
