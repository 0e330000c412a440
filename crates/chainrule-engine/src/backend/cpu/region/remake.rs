//! What is cheap to make is made again where it is read after a row has become a number, instead of waiting in memory until then:
//! `x` less its mean, say, which the variance needs first and the result later.
//!
//! A function of machine code ends where rows end, and what later ones read goes through the scratch. A difference or a
//! product whose operands are in memory anyway costs an instruction; to write and read it costs two, and room in the nearest
//! cache. Refuses whatever takes more than one cheap step, and what would keep alive what is let go otherwise.

use super::plan::{Class, Home, Meaning, NO_VALUE, Plan, Step, Work};
use crate::compile::kernel::{Binary, Lane};

/// Puts copies of cheap steps in front of those that read them behind a reduction.
pub fn remake(plan: &mut Plan) {
    let mut at = 0;
    while at < plan.steps.len() {
        if is_cheap(plan, &plan.steps[at]) {
            copy_behind_reductions(plan, at);
        }
        at += 1;
    }
}

/// Whether a step is a sum, a difference or a product of floats at each point, of what is in memory or has fewer points.
pub fn is_cheap(plan: &Plan, step: &Step) -> bool {
    let Work::Points(_, Meaning::Binary(Binary::Add | Binary::Subtract | Binary::Multiply)) = step.work else { return false };
    let all = Class { rows: true, cols: true };
    let there = |value: u32| {
        let known = plan.values[value as usize];
        known.class != all || known.home == Home::View
    };
    let float = matches!(plan.values[step.to as usize].lane, Lane::F32 | Lane::F64);
    step.class == all && float && step.operands.iter().filter(|&&value| value != NO_VALUE).all(|&value| there(value))
}

/// A copy in front of the first reader behind the next reduction, for all readers from there on: the copy is cheap as well, so those
/// behind one more have one more.
fn copy_behind_reductions(plan: &mut Plan, made: usize) {
    let original = plan.steps[made].to;
    let Some(ends) = (made + 1..plan.steps.len()).find(|&at| ends_rows(&plan.steps[at])) else { return };
    let reads = |step: &Step| step.operands.contains(&original);
    let Some(first) = (ends + 1..plan.steps.len()).find(|&at| reads(&plan.steps[at])) else { return };
    let value = plan.values.len() as u32;
    plan.values.push(plan.values[original as usize]);
    let copy = Step { to: value, ..plan.steps[made].clone() };
    for step in &mut plan.steps[first..] {
        step.operands.iter_mut().filter(|operand| **operand == original).for_each(|operand| *operand = value);
    }
    plan.steps.insert(first, copy);
}

/// Whether functions end here at the latest.
fn ends_rows(step: &Step) -> bool {
    matches!(step.work, Work::Rows(..))
}
