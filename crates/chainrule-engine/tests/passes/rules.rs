//! The table of rewrites: what each does, shown on examples, and that none changes a value.

use crate::examples::EXAMPLES;
use crate::parts::PARTS;
use crate::reductions::REDUCTIONS;
use crate::support::{equal, graph, leaves, same_text, values};
use chainrule_engine::DType;
use chainrule_engine::compile::rules::{NamedRule, RULES};
use chainrule_engine::compile::simplify::{Builder, rewrite, simplify};
use chainrule_engine::compile::verify;
use chainrule_engine::ops::{Constant, Scalar};

fn examples() -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> {
    EXAMPLES.iter().chain(PARTS).chain(REDUCTIONS)
}

fn rule(name: &str) -> &'static NamedRule {
    RULES.iter().find(|rule| rule.name == name).unwrap_or_else(|| panic!("there is no rule `{name}`; rename or remove its example"))
}

#[test]
fn every_rule_has_an_example() {
    for rule in RULES {
        assert!(examples().any(|example| example.0 == rule.name), "the rule `{}` has no example", rule.name);
    }
}

#[test]
fn examples_become_what_they_say() {
    for (name, before, after) in examples() {
        same_text(name, &rewrite(&graph(before), rule(name)).print(), after);
    }
}

#[test]
fn no_rule_changes_a_value() {
    for (name, before, _) in examples() {
        let before = graph(before);
        for after in [rewrite(&before, rule(name)), simplify(&before, true), simplify(&before, false)] {
            assert_eq!(verify::graph(&after), Ok(()), "{name}\n{}", after.print());
            for seed in 0..20 {
                let leaves = leaves(&before, seed);
                assert!(
                    equal(&values(&before, &leaves), &values(&after, &leaves)),
                    "{name}, seed {seed}\n{}{}",
                    before.print(),
                    after.print()
                );
            }
        }
    }
}

#[test]
fn what_is_simple_stays() {
    for (name, before, _) in examples() {
        let once = simplify(&graph(before), true);
        same_text(name, &simplify(&once, true).print(), &once.print());
        same_text(name, &Builder::rebuilt(&once, |_, _, _| None).print(), &once.print());
    }
}

/// Where something else stands in a node's place, what reads it is simplified as ever, however far behind, and what it makes equal is one.
#[test]
fn what_reads_something_new_is_simplified() {
    let before = graph(
        "
        %0 = leaf 0 : f32 [2]
        %1 = exp %0
        %2 = sin %0
        %3 = neg %2
        %4 = mul %1, %3
        %5 = neg %4
        %6 = exp %2
        %7 = add %5, %6
        return %7",
    );
    let once = simplify(&before, true);
    same_text("simple", &once.print(), &before.print());
    let one = Constant { value: Scalar::new(1.0, DType::F32), ty: once.node(1).ty.clone() };
    let after = Builder::rebuilt(&once, |builder, _, id| (id == 1).then(|| builder.add(one.clone(), &[], one.ty.clone())));
    same_text(
        "one in the place of the exponential",
        &after.print(),
        "
        %0 = leaf 0 : f32 [2]
        %1 = sin %0 : f32 [2]
        %2 = exp %1 : f32 [2]
        %3 = add %1, %2 : f32 [2]
        return %3",
    );
}

#[test]
fn two_equal_leaves_stay_two() {
    let text = "
        %0 = leaf 0 : f32 [2]
        %1 = leaf 1 : f32 [2]
        %2 = exp %0 : f32 [2]
        %3 = exp %1 : f32 [2]
        %4 = add %2, %3 : f32 [2]
        return %4";
    same_text("leaves", &simplify(&graph(text), true).print(), text);
}

#[test]
fn equal_nodes_become_one_and_dead_ones_none() {
    let before = graph(
        "
        %0 = leaf 0 : f32 [2]
        %1 = exp %0
        %2 = sin %1
        %3 = exp %0
        %4 = mul %1, %3
        return %4",
    );
    same_text(
        "common",
        &simplify(&before, true).print(),
        "
        %0 = leaf 0 : f32 [2]
        %1 = exp %0 : f32 [2]
        %2 = mul %1, %1 : f32 [2]
        return %2",
    );
}

#[test]
fn what_stands_behind_a_barrier_is_computed_again() {
    let text = "
        %0 = leaf 0 : f32 [2]
        %1 = exp %0 : f32 [2]
        %2 = sin %1 : f32 [2]
        %3 = barrier %0, %2 : f32 [2]
        %4 = exp %3 : f32 [2]
        %5 = mul %4, %2 : f32 [2]
        return %5";
    same_text("barrier", &simplify(&graph(text), true).print(), text);
}
