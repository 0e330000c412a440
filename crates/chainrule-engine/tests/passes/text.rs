//! Graphs as text: what is printed is read back as the same graph; what makes no sense is refused.

use crate::programs::program;
use crate::support::same_text;
use chainrule_engine::compile::graph::Graph;
use chainrule_engine::compile::verify;
use chainrule_engine::ops::Op;
use chainrule_engine::ops::samples::samples;
use chainrule_engine::{DType, Tensor};

#[track_caller]
fn returns(graph: &Graph) {
    let text = graph.print();
    let read = Graph::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert!(read.same_structure(graph), "{text}");
    assert_eq!(read.print(), text);
    assert_eq!(read.leaves, graph.leaves);
    assert_eq!(verify::graph(&read), Ok(()), "{text}");
}

#[test]
fn every_operation_is_printed_and_read_back() {
    let mut kinds: Vec<String> = Vec::new();
    for sample in samples() {
        for dtype in sample.dtypes() {
            let inputs = sample.tensors(dtype, 1);
            let node = Tensor::record(sample.op.clone(), inputs.clone());
            let node = if node.error().is_some() { inputs[0].clone() } else { node };
            returns(&Graph::of(&[&node]).0);
            kinds.push(format!("{:?}", node.op()).split(['(', ' ', '{']).next().unwrap_or_default().to_string());
        }
    }
    for kind in Op::KINDS {
        let kind = kind.to_string();
        let there = kinds.contains(&kind) || ["Input", "Unary", "Binary", "Select"].contains(&kind.as_str());
        assert!(there, "no sample of {kind} was printed");
    }
}

#[test]
fn random_programs_are_printed_and_read_back() {
    for seed in 0..100 {
        let roots = program(seed, 30);
        returns(&Graph::of(&roots.iter().collect::<Vec<_>>()).0);
    }
}

#[test]
fn numbers_keep_their_bits() {
    for value in [0.1, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::from_bits(0x7ff8_0000_0000_1234), 5e-324, 1.0, 1e300] {
        returns(&Graph::of(&[&(Tensor::zeros([2]).cast(DType::F64) + value)]).0);
    }
}

#[test]
fn labels_that_are_no_letters_are_numbers() {
    let text = "
        %0 = leaf 0 : f32 [2, 3]
        %1 = leaf 1 : f32 [3, 4]
        %2 = einsum a [1, 105] b [105, 2] out [1, 2] %0, %1 : f32 [2, 4]
        return %2";
    same_text("labels", &Graph::parse(text).map_or_else(|error| error.to_string(), |graph| graph.print()), text);
}

#[test]
fn mistakes_name_their_line() {
    let leaf = "%0 = leaf 0 : f32 [2, 3]\n";
    for (line, why) in [
        ("%1 = exp %1", "no node of an earlier line"),
        ("%2 = exp %0", "the next node is %1"),
        ("%1 = explode %0", "there is no operation"),
        ("%1 = add %0", "inputs are not what"),
        ("%1 = add %0, %0, %0", "inputs are not what"),
        ("%1 = concat axis 0", "inputs are not what"),
        ("%1 = exp %0 : f32 [3, 2]", "the type is f32 [2, 3]"),
        ("%1 = exp %0 : f33 [3, 2]", "no element type"),
        ("%1 = sum [7] %0", "axes"),
        ("%1 = sum 7 %0", "no list"),
        ("%1 = sum [0", "no end"),
        ("%1 = sum [0] [1] %0", "too much"),
        ("%1 = reshape %0", "needs a type"),
        ("%1 = reshape %0 : f32 [4]", "6 elements"),
        ("%1 = einsum ij %0, %0", "labels"),
        ("%1 = einsum ij,jk->ik %0, %0", "label"),
        ("%1 = constant 1e : f32 []", "no number"),
        ("%1 = constant 1.0 : f32 [99999999999, 99999999999]", "too large"),
        ("%1 = leaf 0", "needs a type"),
        ("%1 = slice start [0] stop [1] step [1] %0", "does not fit"),
        ("%1 = window axes [0] sizes [0] strides [1] dilations [1] %0", "does not fit"),
        ("%1 = exp %0\nreturn %1\n%2 = exp %1", "nothing may follow"),
        ("exp", "a node is written"),
        ("return %5", "no node of an earlier line"),
        ("%1 = exp %0", "`return`"),
    ] {
        let error = match Graph::parse(&format!("{leaf}{line}")) {
            Ok(graph) if line.starts_with("%1 = exp %0") => panic!("no mistake in {line}: {}", graph.print()),
            Ok(_) => panic!("no mistake in {line}"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(why), "{line}: {error}");
    }
}
