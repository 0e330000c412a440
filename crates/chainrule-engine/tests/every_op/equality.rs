//! Which operations are the same: those of one kind with the same parameters. Programs are cached and nodes are merged
//! by this.

use crate::support::Silent;
use chainrule_engine::ops::samples::samples;
use chainrule_engine::ops::{Custom, CustomRule, Op};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

/// Compares all pairs, and the hashes of those that are equal.
fn assert_equal_iff(ops: &[Op], same: impl Fn(usize, usize) -> bool) {
    let hash = |op: &Op| BuildHasherDefault::<DefaultHasher>::default().hash_one(op);
    for (i, a) in ops.iter().enumerate() {
        for (j, b) in ops.iter().enumerate() {
            assert_eq!(a == b, same(i, j), "{a:?} with {b:?}");
            assert!(a != b || hash(a) == hash(b), "{a:?} is {b:?}, and has another hash");
        }
    }
}

#[test]
fn operations_are_equal_by_kind_and_parameters() {
    let (first, second) = (samples(), samples());
    // The rule of a custom derivative is itself and no other; it has a test of its own.
    let ops: Vec<Op> = first.into_iter().chain(second).map(|sample| sample.op).filter(|op| !matches!(op, Op::Custom(_))).collect();
    let texts: Vec<String> = ops.iter().map(|op| format!("{op:?}")).collect();
    assert_equal_iff(&ops, |i, j| texts[i] == texts[j]);
}

#[test]
fn custom_derivatives_are_equal_by_rule_and_level() {
    let rules: [Arc<dyn CustomRule>; 2] = [Arc::new(Silent), Arc::new(Silent)];
    let all: Vec<(usize, u32)> = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 0), (1, 1)].into();
    let ops: Vec<Op> = all.iter().map(|&(rule, levels)| Custom { rule: rules[rule].clone(), levels }.into()).collect();
    assert_equal_iff(&ops, |i, j| all[i] == all[j]);
    assert!(ops.iter().all(|op| format!("{op:?}").contains("silent")), "a rule is known by its name: {ops:?}");
}
