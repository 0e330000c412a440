//! Scatters of one number for each row as comparisons: when, when not, that the values stay, and that what they were made for
//! is one kernel.

use crate::support::{equal, graph, leaves, same_text, values};
use chainrule_engine::compile::graph::Graph;
use chainrule_engine::compile::kernel::Kernel;
use chainrule_engine::compile::one_hot::as_one_hot;
use chainrule_engine::compile::pipeline::{Options, compile};
use chainrule_engine::compile::verify;
use chainrule_engine::{Rng, Tensor};

/// One of three numbers of each row is picked, and something is put in its place.
const PICKED: &str = "
    %0 = leaf 0 : f32 [4, 3]
    %1 = leaf 1 : i64 [4, 1]
    %2 = leaf 2 : f32 [4, 1]
    %3 = gather batch 1 %0, %1 : f32 [4, 1]
    %4 = scatter_add batch 1 size 3 %2, %1 : f32 [4, 3]
    return %3, %4";

#[test]
fn a_number_at_one_place_of_each_row_is_a_comparison() {
    let expected = "
        %0 = leaf 0 : f32 [4, 3]
        %1 = leaf 1 : i64 [4, 1]
        %2 = leaf 2 : f32 [4, 1]
        %3 = gather batch 1 %0, %1 : f32 [4, 1]
        %4 = reshape %2 : f32 [4]
        %5 = reshape %1 : i64 [4]
        %6 = cast %5 : f32 [4]
        %7 = broadcast axes [1] sizes [3] %6 : f32 [4, 3]
        %8 = broadcast axes [1] sizes [3] %4 : f32 [4, 3]
        %9 = iota 0 : f32 [3]
        %10 = broadcast axes [0] sizes [4] %9 : f32 [4, 3]
        %11 = equal %10, %7 : bool [4, 3]
        %12 = constant 0.0 : f32 [4, 3]
        %13 = select %11, %8, %12 : f32 [4, 3]
        return %3, %13";
    same_text("one hot", &as_one_hot(graph(PICKED)).print(), expected);
    let deep = PICKED.replace("[4, 1]", "[2, 5, 1, 1]").replace("[4, 3]", "[2, 5, 3]").replace("batch 1", "batch 2");
    let flat = PICKED.replace("[4, 1]", "[4]");
    for text in [PICKED, &deep, &flat, &PICKED.replace("f32", "f64"), &PICKED.replace("f32", "bf16"), &PICKED.replace("i64", "i32")] {
        let before = graph(text);
        let after = as_one_hot(before.clone());
        assert_eq!(verify::graph(&after), Ok(()));
        assert!(!after.print().contains("scatter"), "{}", after.print());
        for seed in 0..5 {
            let leaves = leaves(&before, seed);
            assert!(equal(&values(&before, &leaves), &values(&after, &leaves)), "seed {seed}: {text}");
        }
    }
}

/// Where nobody else would say that an index points outside; where a row gets several numbers, or rows of numbers.
#[test]
fn what_a_comparison_does_not_say_stays() {
    let two = "
        %0 = leaf 0 : f32 [4, 3]
        %1 = leaf 1 : i64 [4, 2]
        %2 = leaf 2 : f32 [4, 2]
        %3 = gather batch 1 %0, %1 : f32 [4, 2]
        %4 = scatter_add batch 1 size 3 %2, %1 : f32 [4, 3]
        return %3, %4";
    let rows = "
        %0 = leaf 0 : f32 [4, 3, 5]
        %1 = leaf 1 : i64 [4, 1]
        %2 = leaf 2 : f32 [4, 1, 5]
        %3 = gather batch 1 %0, %1 : f32 [4, 1, 5]
        %4 = scatter_add batch 1 size 3 %2, %1 : f32 [4, 3, 5]
        return %3, %4";
    let whole = PICKED.replace("f32", "i32");
    let wider = PICKED.replace("size 3 %2, %1 : f32 [4, 3]", "size 4 %2, %1 : f32 [4, 4]");
    for text in [
        &PICKED.replace("return %3, %4", "return %4").replace("%3 = gather batch 1 %0, %1 : f32 [4, 1]", "%3 = exp %0"),
        &wider,
        &whole,
        two,
        rows,
    ] {
        let before = graph(text);
        same_text("as it was", &as_one_hot(before.clone()).print(), &before.print());
    }
}

/// How many kernels walk over as many points as a tensor has elements.
fn large_kernels(roots: &[&Tensor], elements: usize) -> usize {
    let compiled = compile(Graph::of(roots).0, &vec![None; roots.len()], Options::default(), |_, _, _| {});
    let large = |kernel: &&Kernel| matches!(kernel, Kernel::Region(region) if region.axes.iter().product::<usize>() == elements);
    compiled.kernels.kernels.iter().filter(large).count()
}

/// The gradient of a cross-entropy is made with the maximum and the sum of its row, what dropout leaves with its mask.
#[test]
fn a_gradient_of_classes_and_a_dropout_are_one_kernel_each() {
    let x = Tensor::randn([64, 100], &mut Rng::new(1)).to_leaf().unwrap();
    let labels = Tensor::from_slice(&(0..64).map(|row| row % 7).collect::<Vec<i64>>(), [64]).to_leaf().unwrap();
    let loss = chainrule_engine::functions::loss::cross_entropy(&x, &labels);
    let gradient = loss.grad(&[&x]).unwrap().remove(0);
    assert_eq!(large_kernels(&[&loss, &gradient], 6400), 1);
    let kept = Tensor::bernoulli([64, 100], 0.8, &mut Rng::new(2));
    for kept_of in [&x, &x.softmax(-1)] {
        let dropped = kept.select(&(kept_of * 1.25), &x.zeros_like());
        assert_eq!(large_kernels(&[&dropped], 6400), 1);
    }
}
