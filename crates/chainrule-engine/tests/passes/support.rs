//! What these tests share: text compared line by line, and graphs evaluated by the definitions of
//! their operations; and programs whose values stay however they are compiled.

use crate::programs::ways;
use crate::shared::{Numbers, eval, oracle};
use chainrule_engine::compile::graph::Graph;
use chainrule_engine::ops::{Array, Operation, Values};
use chainrule_engine::{Runtime, Tensor};

/// The graph of a text, indented or not.
#[track_caller]
pub fn graph(text: &str) -> Graph {
    match Graph::parse(text) {
        Ok(graph) => graph,
        Err(error) => panic!("{error}\n{text}"),
    }
}

/// Panics with both texts unless they are the same but for indentation and blank lines.
#[track_caller]
pub fn same_text(what: &str, got: &str, want: &str) {
    let lines = |text: &str| -> Vec<String> { text.lines().map(|line| line.trim().to_string()).filter(|line| !line.is_empty()).collect() };
    assert!(lines(got) == lines(want), "{what}: got\n{got}\nwanted\n{want}");
}

/// A leaf of eighths from -1 to 1, so that short sums of products are exact in any order.
pub fn leaf(shape: &[usize], seed: u64) -> Tensor {
    let mut numbers = Numbers::new(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| numbers.below(17) as f32 / 8.0 - 1.0).collect();
    Tensor::from_slice(&values, shape)
}

/// Small whole numbers for each leaf, so that sums are exact in any order. Integers stay in
/// `0..3`, to serve as indices.
pub fn leaves(graph: &Graph, seed: u64) -> Vec<Array> {
    let mut found: Vec<Option<Array>> = vec![None; graph.leaves as usize];
    for node in &graph.nodes {
        let Some(leaf) = node.leaf else { continue };
        let mut numbers = Numbers::new(seed * 100 + leaf as u64);
        let values = if node.ty.dtype.is_float() {
            Values::Float((0..node.ty.len()).map(|_| numbers.below(9) as f64 - 4.0).collect())
        } else {
            Values::Integer((0..node.ty.len()).map(|_| numbers.below(3) as i64).collect())
        };
        found[leaf as usize] = Some(Array::new(node.ty.clone(), values));
    }
    found.into_iter().flatten().collect()
}

/// The values of the roots, each node evaluated by its own definition.
pub fn values(graph: &Graph, leaves: &[Array]) -> Vec<Array> {
    let mut arrays: Vec<Array> = Vec::new();
    for node in &graph.nodes {
        let array = match node.leaf {
            Some(leaf) => leaves[leaf as usize].clone(),
            None => {
                let inputs: Vec<&Array> = node.inputs.iter().map(|&id| &arrays[id as usize]).collect();
                Array::new(node.ty.clone(), node.op.evaluate(&inputs, &node.ty))
            }
        };
        arrays.push(array);
    }
    graph.roots.iter().map(|&root| arrays[root as usize].clone()).collect()
}

/// Whether two lists of arrays hold the same numbers; the sign of a zero does not count.
pub fn equal(a: &[Array], b: &[Array]) -> bool {
    let same = |a: &Array, b: &Array| a.ty == b.ty && a.floats().iter().zip(b.floats()).all(|(&a, b)| a == b || (a.is_nan() && b.is_nan()));
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

/// The values of a program are those of the reference however it is compiled, on one thread and on several.
#[track_caller]
pub fn stays(what: &str, within: f64, make: impl Fn() -> Tensor) {
    let wanted = oracle(&make());
    for ((name, options), threads) in ways().into_iter().flat_map(|way| [(way, 1), (way, 3)]) {
        let runtime = Runtime::new(threads).expect("a few threads").with_options(options);
        let made = make();
        Tensor::eval_all_on(&runtime, &[&made]).expect("a valid program");
        let got = eval(&made);
        let near = |(got, want): (&f64, &f64)| (got - want).abs() <= within * want.abs().max(1.0);
        assert!(got.len() == wanted.len() && got.iter().zip(&wanted).all(near), "{what}, {name}, {threads} threads: {got:?}, {wanted:?}");
    }
}
