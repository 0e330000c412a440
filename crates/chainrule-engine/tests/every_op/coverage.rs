//! The matrix is complete: a new operation without a sample does not build, or fails here.

use chainrule_engine::ops::elementwise::{BINARY, UNARY};
use chainrule_engine::ops::samples::samples;
use chainrule_engine::ops::{Binary, Op, Operation, Unary};
use std::collections::BTreeSet;

/// The name of an operation's kind. Without a wildcard: a new kind does not build until it is here.
fn kind(op: &Op) -> Option<&'static str> {
    Some(match op {
        Op::Input(_) => "Input",
        Op::Constant(_) => "Constant",
        Op::Iota(_) => "Iota",
        Op::Random(_) => "Random",
        Op::Unary(_) => "Unary",
        Op::Binary(_) => "Binary",
        Op::Select(_) => "Select",
        Op::Cast(_) => "Cast",
        Op::Reshape(_) => "Reshape",
        Op::Permute(_) => "Permute",
        Op::Broadcast(_) => "Broadcast",
        Op::Slice(_) => "Slice",
        Op::Pad(_) => "Pad",
        Op::Reverse(_) => "Reverse",
        Op::Concat(_) => "Concat",
        Op::Window(_) => "Window",
        Op::Fold(_) => "Fold",
        Op::Sum(_) => "Sum",
        Op::Max(_) => "Max",
        Op::CumulativeSum(_) => "CumulativeSum",
        Op::Einsum(_) => "Einsum",
        Op::Gather(_) => "Gather",
        Op::ScatterAdd(_) => "ScatterAdd",
        Op::ScatterReduce(_) => "ScatterReduce",
        Op::ArgSort(_) => "ArgSort",
        Op::Scan(_) => "Scan",
        Op::Switch(_) => "Switch",
        Op::While(_) => "While",
        Op::HostCall(_) => "HostCall",
        Op::StopGradient(_) => "StopGradient",
        Op::Barrier(_) => "Barrier",
        Op::Custom(_) => "Custom",
        // A mistake is not applied to anything.
        Op::Poison(_) => return None,
    })
}

/// Whether a function of one operand is an operation of a graph. Without a wildcard.
fn in_graphs(op: Unary) -> bool {
    match op {
        Unary::Negate
        | Unary::Exp
        | Unary::Log
        | Unary::Log1p
        | Unary::Expm1
        | Unary::Sqrt
        | Unary::Sin
        | Unary::Cos
        | Unary::Tanh
        | Unary::Sech
        | Unary::Sigmoid
        | Unary::Softplus
        | Unary::Erf
        | Unary::Atan
        | Unary::Floor
        | Unary::Not => true,
        Unary::RoundBf16 | Unary::RoundF16 => false,
    }
}

/// The place of a function of two operands in the table. Without a wildcard.
fn place(op: Binary) -> usize {
    match op {
        Binary::Add => 0,
        Binary::Subtract => 1,
        Binary::Multiply => 2,
        Binary::Divide => 3,
        Binary::Power => 4,
        Binary::Minimum => 5,
        Binary::Maximum => 6,
        Binary::Remainder => 7,
        Binary::Scale => 8,
        Binary::Less => 9,
        Binary::Equal => 10,
        Binary::And => 11,
        Binary::Or => 12,
        Binary::ShiftLeft => 13,
        Binary::ShiftRight => 14,
    }
}

#[test]
fn every_kind_of_operation_has_samples() {
    let seen: BTreeSet<&str> = samples().iter().filter_map(|sample| kind(&sample.op)).collect();
    let all: BTreeSet<&str> = Op::KINDS.iter().copied().collect();
    assert_eq!(seen, all);
}

#[test]
fn every_row_of_the_tables_has_samples() {
    let list = samples();
    for row in UNARY {
        assert!(in_graphs(row.op), "{} is in the table", row.name);
        assert!(list.iter().any(|sample| sample.op == Op::Unary(row.op)), "{} has no sample", row.name);
    }
    for (at, row) in BINARY.iter().enumerate() {
        assert_eq!(place(row.op), at, "{} is out of place", row.name);
        assert!(list.iter().any(|sample| sample.op == Op::Binary(row.op)), "{} has no sample", row.name);
    }
    assert_eq!(BINARY.len(), place(Binary::ShiftRight) + 1);
    assert_eq!(UNARY.len(), Unary::Not as usize + 1);
}

/// Messages and the text of a graph know an operation by its name alone.
#[test]
fn no_two_operations_share_a_name() {
    let of_tables = UNARY.iter().map(|row| row.op.name()).chain(BINARY.iter().map(|row| row.op.name()));
    let list = samples();
    let others: BTreeSet<&str> =
        list.iter().filter(|sample| !matches!(sample.op, Op::Unary(_) | Op::Binary(_))).map(|sample| sample.op.name()).collect();
    let names: BTreeSet<&str> = of_tables.chain(others.iter().copied()).chain([Unary::RoundBf16.name()]).collect();
    // `Unary` and `Binary` are kinds, too, and have a row for each of their names.
    assert_eq!(others.len(), Op::KINDS.len() - 2, "{others:?}");
    assert_eq!(names.len(), UNARY.len() + BINARY.len() + others.len() + 1, "{names:?}");
    assert!(names.iter().all(|name| !name.is_empty()));
}

#[test]
fn samples_have_names_of_their_own_and_repeat() {
    let (first, second) = (samples(), samples());
    let names: BTreeSet<&str> = first.iter().map(|sample| sample.name.as_str()).collect();
    assert_eq!(names.len(), first.len());
    for (a, b) in first.iter().zip(&second) {
        for dtype in a.dtypes() {
            for (x, y) in a.tensors(dtype, 3).iter().zip(b.tensors(dtype, 3)) {
                assert_eq!(crate::support::oracle(x), crate::support::oracle(&y), "{}", a.name);
            }
        }
    }
}
