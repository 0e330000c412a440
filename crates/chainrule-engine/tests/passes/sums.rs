//! Sums of products that become one product: when, when not, and that the values stay.

use crate::support::{graph, same_text};
use chainrule_engine::compile::graph::Graph;
use chainrule_engine::compile::simplify::simplify;
use chainrule_engine::compile::sums::gather_sums;
use chainrule_engine::compile::verify;
use chainrule_engine::{DType, Error, Options, Runtime, Tensor};

fn gathered(text: &str) -> String {
    let after = gather_sums(graph(text));
    assert_eq!(verify::graph(&after), Ok(()));
    after.print()
}

#[test]
fn terms_with_short_sums_become_one_product() {
    let text = "
        %0 = leaf 0 : f32 [2, 16]
        %1 = leaf 1 : f32 [2, 16]
        %2 = leaf 2 : f32 [2, 16]
        %3 = leaf 3 : f32 [2, 16]
        %4 = leaf 4 : f32 [16, 16]
        %5 = einsum a [1, 2] b [1, 3] out [2, 3] %2, %3
        %6 = add %5, %4
        %7 = einsum a [1, 2] b [1, 3] out [2, 3] %0, %1
        %8 = add %6, %7
        return %8";
    // In the order of the operands: that of the first leaf comes first, though its term came last.
    let expected = "
        %0 = leaf 0 : f32 [2, 16]
        %1 = leaf 1 : f32 [2, 16]
        %2 = leaf 2 : f32 [2, 16]
        %3 = leaf 3 : f32 [2, 16]
        %4 = leaf 4 : f32 [16, 16]
        %5 = reshape %0 : f32 [1, 2, 16]
        %6 = reshape %2 : f32 [1, 2, 16]
        %7 = concat axis 0 %5, %6 : f32 [2, 2, 16]
        %8 = reshape %1 : f32 [1, 2, 16]
        %9 = reshape %3 : f32 [1, 2, 16]
        %10 = concat axis 0 %8, %9 : f32 [2, 2, 16]
        %11 = einsum a [0, 1, 2] b [0, 1, 3] out [2, 3] %7, %10 : f32 [16, 16]
        %12 = add %11, %4 : f32 [16, 16]
        return %12";
    same_text("gathered", &gathered(text), expected);
}

/// Each of these stays as it is.
#[test]
fn what_would_not_pay_or_is_read_elsewhere_stays() {
    let product = |k: usize, out: usize, last: &str| {
        format!(
            "
        %0 = leaf 0 : f32 [{k}, {out}]
        %1 = leaf 1 : f32 [{k}, {out}]
        %2 = leaf 2 : f32 [{k}, {out}]
        %3 = leaf 3 : f32 [{k}, {out}]
        %4 = einsum a [1, 2] b [1, 3] out [2, 3] %0, %1 : f32 [{out}, {out}]
        %5 = einsum a [1, 2] b [1, 3] out [2, 3] %2, %3 : f32 [{out}, {out}]
        %6 = add %4, %5 : f32 [{out}, {out}]
        return {last}"
        )
    };
    for (why, text) in [("a long sum", product(8, 16, "%6")), ("a term that is asked for", product(2, 16, "%6, %4"))] {
        same_text(why, &gathered(&text), &graph(&text).print());
    }
    let together = gathered(&product(2, 16, "%6"));
    assert!(together.contains("concat"), "a short sum is gathered: {together}");
    let batched = "
        %0 = leaf 0 : f32 [4, 1, 16]
        %1 = leaf 1 : f32 [4, 1, 16]
        %2 = einsum a [0, 1, 2] b [0, 1, 3] out [0, 2, 3] %0, %1 : f32 [4, 16, 16]
        %3 = einsum a [0, 1, 2] b [0, 1, 3] out [0, 2, 3] %1, %0 : f32 [4, 16, 16]
        %4 = add %2, %3 : f32 [4, 16, 16]
        return %4";
    same_text("a batch", &gathered(batched), &graph(batched).print());
}

/// A recurrent network on whole numbers, whose sums are exact in any order.
fn gradients(steps: usize) -> (Tensor, Vec<Tensor>) {
    let whole = |shape: &[usize], seed: usize| {
        let count = shape.iter().product::<usize>();
        Tensor::from_slice(&(0..count).map(|i| ((i * 7 + seed * 5) % 5) as f32 - 2.0).collect::<Vec<_>>(), shape)
    };
    let (w, u) = (whole(&[24, 24], 1).to_leaf(), whole(&[16, 24], 2).to_leaf());
    let (Ok(w), Ok(u)) = (w, u) else { return (Tensor::zeros([1]), Vec::new()) };
    let mut h = whole(&[2, 24], 3);
    let mut loss = Tensor::zeros([2, 24]);
    for step in 0..steps {
        let x = whole(&[2, 16], step + 4);
        // Clamped, so that numbers stay small and exact.
        h = (h.matmul(&w) + x.matmul(&u)).minimum(&Tensor::full([2, 24], 3.0, DType::F32)).maximum(&Tensor::full(
            [2, 24],
            -3.0,
            DType::F32,
        ));
        loss = loss + &h * &whole(&[2, 24], step);
    }
    (loss.sum(), vec![w, u])
}

#[test]
fn a_recurrent_network_gets_the_same_gradients_from_one_product_per_weight() -> Result<(), Error> {
    let run = |simplify: bool| -> Result<Vec<f32>, Error> {
        let (loss, weights) = gradients(6);
        let gradients = loss.grad(&weights.iter().collect::<Vec<_>>())?;
        let roots: Vec<&Tensor> = gradients.iter().collect();
        Tensor::eval_all_on(&Runtime::shared().with_options(Options { simplify, ..Options::default() }), &roots)?;
        let all: Result<Vec<Vec<f32>>, _> = gradients.iter().map(Tensor::to_vec::<f32>).collect();
        Ok(all?.concat())
    };
    assert_eq!(run(true)?, run(false)?);
    let (loss, weights) = gradients(6);
    let gradient = &loss.grad(&[&weights[0]])?[0];
    let products = |graph: &Graph| graph.print().lines().filter(|line| line.contains("= einsum") && line.ends_with("[24, 24]")).count();
    let before = simplify(&Graph::of(&[gradient]).0, true);
    let after = gather_sums(before.clone());
    assert_eq!((products(&before), products(&after)), (6, 1));
    Ok(())
}
