//! Loops and branches in the graph, with the names and meanings of `jax.lax`: [`scan`], [`map`], [`fori_loop`], [`cond`],
//! [`switch`], [`while_loop`].
//!
//! A body is a function that is called once, with placeholders, to record what it does; whatever it uses of the tensors around
//! it becomes a further input. So recording, differentiating and compiling a loop take as long as those of one step, and memory
//! is that of a block of steps, the results and, for a gradient, the carries before each step and its products: the rest of a
//! step is computed again on the way back, and products, too, behind a [`checkpoint`](crate::transform::checkpoint()).
//! Products of parts of sequences, those that no carry needs, and what steps only add up are computed for a block of steps at
//! once, so that a recurrent network takes about the time of its steps one by one, unrolled. Use a plain `for` loop for few and
//! different steps. A random draw whose key comes from outside is the same at every step: pass keys as a sequence.
//!
//! Carries and results may be of any element types, those that are not floats have no derivative.
//! Refuses bodies that change the shape or type of what they carry.

use crate::ops::control::record;
use crate::ops::{Body, Scan, Switch, While};
use crate::tensor::origin::recorded_as;
use crate::tensor::{DType, Error, ErrorKind, Origin, Result, Tensor, Type};
use std::panic::Location;

/// How [`scan`] goes through its sequences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanOptions {
    /// How many steps there are; needed where there is no sequence, which says it otherwise.
    pub length: Option<usize>,
    /// From the last part to the first. The results of a step stand at the place of the part that it read.
    pub reverse: bool,
}

/// An error of the function called `name`, at a line.
fn mistake<T>(name: &str, kind: ErrorKind, message: String, origin: &Origin) -> Result<T> {
    Err(Error::new(kind, name, message).at(origin))
}

fn written(ty: &Type) -> String {
    format!("{} {:?}", ty.dtype, ty.shape)
}

fn placeholder(ty: &Type) -> Tensor {
    Tensor::placeholder(&ty.shape[..], ty.dtype)
}

/// Fails unless a body gives carries of the types it was given.
fn carries_stay(name: &str, before: &[Tensor], after: &[Tensor], origin: &Origin) -> Result<()> {
    if before.len() != after.len() {
        return mistake(name, ErrorKind::Argument, format!("the body takes {} carries and gives {}", before.len(), after.len()), origin);
    }
    after.iter().try_for_each(Tensor::check)?;
    match before.iter().zip(after).position(|(before, after)| before.ty() != after.ty()) {
        None => Ok(()),
        Some(at) => {
            let kind = if before[at].dtype() == after[at].dtype() { ErrorKind::Shape } else { ErrorKind::DType };
            let (was, is) = (written(before[at].ty()), written(after[at].ty()));
            mistake(name, kind, format!("carry {at} is {was} before a step and {is} after it; a body must keep shapes and types"), origin)
        }
    }
}

/// Runs `body` for each part of the sequences along axis 0, as `jax.lax.scan`: it takes the carries and the step's part of each
/// sequence, and gives the next carries and the step's part of each result. Returns the last carries, and the results with the
/// parts stacked along axis 0.
///
/// # Errors
/// If the sequences are not of one length, or of another than is said, or nothing says the length; if the body fails, or
/// changes the shape or type of a carry.
///
/// ```
/// use chainrule_engine::{Tensor, functions::{ScanOptions, scan}};
/// // s' = decay * s + x, and every state.
/// let (x, decay) = (Tensor::from([1.0, 2.0, 3.0]), Tensor::from(0.5));
/// let step = |s: &[Tensor], x: &[Tensor]| {
///     let next = &s[0] * &decay + &x[0];
///     Ok((vec![next.clone()], vec![next]))
/// };
/// let (last, states) = scan(&[&Tensor::from(0.0)], &[&x], ScanOptions::default(), step)?;
/// assert_eq!(last[0].item()?, 4.25);
/// assert_eq!(states[0].to_vec::<f32>()?, [1.0, 2.5, 4.25]);
/// let by_decay = last[0].grad(&[&decay])?;
/// assert_eq!(by_decay[0].item()?, 3.0); // of d^2 + 2 d + 3 at d = 0.5
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn scan(
    init: &[&Tensor],
    sequences: &[&Tensor],
    options: ScanOptions,
    body: impl FnOnce(&[Tensor], &[Tensor]) -> Result<(Vec<Tensor>, Vec<Tensor>)>,
) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
    scan_as("scan", init, sequences, options, body)
}

#[track_caller]
fn scan_as(
    name: &str,
    init: &[&Tensor],
    sequences: &[&Tensor],
    options: ScanOptions,
    body: impl FnOnce(&[Tensor], &[Tensor]) -> Result<(Vec<Tensor>, Vec<Tensor>)>,
) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
    let origin = Origin::here(Location::caller());
    init.iter().chain(sequences).try_for_each(|x| x.check())?;
    let mut length = options.length;
    for (at, sequence) in sequences.iter().enumerate() {
        let Some(&own) = sequence.shape().first() else {
            return mistake(name, ErrorKind::Shape, format!("sequence {at} is one number, and has no parts"), &origin);
        };
        let wanted = *length.get_or_insert(own);
        if own != wanted {
            return mistake(name, ErrorKind::Shape, format!("sequence {at} has {own} parts along axis 0, not {wanted}"), &origin);
        }
    }
    let Some(length) = length else {
        return mistake(name, ErrorKind::Argument, "no sequence says how many steps there are: state a `length`".into(), &origin);
    };
    let start = Tensor::next_id();
    let carries: Vec<Tensor> = init.iter().map(|x| placeholder(x.ty())).collect();
    let parts: Vec<Tensor> = sequences.iter().map(|x| placeholder(&Type::new(&x.shape()[1..], x.dtype()))).collect();
    let (next, results) = body(&carries, &parts)?;
    carries_stay(name, &carries, &next, &origin)?;
    let (body, outside) = Body::trace(start, &[carries, parts].concat(), &[next, results].concat(), length > 0)?;
    let inputs: Vec<Tensor> = init.iter().chain(sequences).copied().chain(&outside).cloned().collect();
    let loops = Scan { body, carries: init.len(), sequences: sequences.len(), length, reverse: options.reverse, dtype: DType::F32 };
    let mut all = recorded_as(origin, || record(|dtype| Scan { dtype, ..loops.clone() }.into(), &loops.results(), &inputs));
    all.iter().try_for_each(Tensor::check)?;
    let results = all.split_off(init.len());
    Ok((all, results))
}

/// `function` of each part of the sequences along axis 0, one after the other, its results stacked along axis 0: `jax.lax.map`.
/// [`vmap`](crate::transform::vmap) computes all parts at once, which is faster and takes more memory.
///
/// # Errors
/// As [`scan`].
///
/// ```
/// use chainrule_engine::{Tensor, functions::map};
/// let y = map(&[&Tensor::from([[1.0, 2.0], [3.0, 4.0]])], |x| Ok(vec![x[0].sum()]))?;
/// assert_eq!(y[0].to_vec::<f32>()?, [3.0, 7.0]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn map(sequences: &[&Tensor], function: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>) -> Result<Vec<Tensor>> {
    Ok(scan_as("map", &[], sequences, ScanOptions::default(), |_, parts| Ok((Vec::new(), function(parts)?)))?.1)
}

/// Runs `body` for each of the numbers `from..to` (i64), which it takes beside the carries: `jax.lax.fori_loop`. No steps if
/// `to` is not beyond `from`.
///
/// # Errors
/// As [`scan`].
///
/// ```
/// use chainrule_engine::{Tensor, functions::fori_loop};
/// let y = fori_loop(1, 5, &[&Tensor::from(1i64)], |i, product| Ok(vec![&product[0] * i]))?;
/// assert_eq!(y[0].to_vec::<i64>()?, [24]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn fori_loop(
    from: i64,
    to: i64,
    init: &[&Tensor],
    body: impl FnOnce(&Tensor, &[Tensor]) -> Result<Vec<Tensor>>,
) -> Result<Vec<Tensor>> {
    let length = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
    let numbers = Tensor::arange(length, DType::I64);
    let numbers = &numbers + Tensor::from_slice(&[from], []).broadcast_to(numbers.shape());
    let step = |carries: &[Tensor], parts: &[Tensor]| Ok((body(&parts[0], carries)?, Vec::new()));
    Ok(scan_as("fori_loop", init, &[&numbers], ScanOptions::default(), step)?.0)
}

/// A branch of [`switch`]: from the operands to its results.
pub type Branch<'a> = Box<dyn FnOnce(&[Tensor]) -> Result<Vec<Tensor>> + 'a>;

/// The results of one of two functions of the operands, of which only that one runs: `jax.lax.cond`. `predicate` is one bool.
/// In a batch (`vmap`) whose examples differ in the predicate both run, and each example's result is picked.
///
/// # Errors
/// As [`switch`].
///
/// ```
/// use chainrule_engine::{Tensor, functions::cond};
/// let x = Tensor::from([4.0]);
/// let y = cond(&x.sum().less(&Tensor::from(0.0)), &[&x], |x| Ok(vec![-&x[0]]), |x| Ok(vec![x[0].sqrt()]))?;
/// assert_eq!(y[0].to_vec::<f32>()?, [2.0]);
/// assert_eq!(y[0].sum().grad(&[&x])?[0].to_vec::<f32>()?, [0.25]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn cond(
    predicate: &Tensor,
    operands: &[&Tensor],
    if_true: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>,
    if_false: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>,
) -> Result<Vec<Tensor>> {
    let origin = Origin::here(Location::caller());
    predicate.check()?;
    if predicate.dtype() != DType::Bool || predicate.rank() != 0 {
        let message = format!("the predicate is one bool, not {}; reduce it with `any` or `all`", written(predicate.ty()));
        return mistake("cond", ErrorKind::DType, message, &origin);
    }
    let index = recorded_as(origin, || predicate.cast(DType::I32));
    switch_as("cond", &index, operands, vec![Box::new(if_false), Box::new(if_true)])
}

/// The results of one of several functions of the operands, of which only that one runs: `jax.lax.switch`. `index` is one i64
/// or i32; below 0 it is the first branch, beyond the last one the last. In a batch (`vmap`) whose examples differ in the
/// index all branches run, and each example's result is picked.
///
/// # Errors
/// If there is no branch, one fails, or the branches give results of different shapes or types.
#[track_caller]
pub fn switch(index: &Tensor, operands: &[&Tensor], branches: Vec<Branch<'_>>) -> Result<Vec<Tensor>> {
    switch_as("switch", index, operands, branches)
}

#[track_caller]
fn switch_as(name: &str, index: &Tensor, operands: &[&Tensor], branches: Vec<Branch<'_>>) -> Result<Vec<Tensor>> {
    let origin = Origin::here(Location::caller());
    operands.iter().chain([&index]).try_for_each(|x| x.check())?;
    if !matches!(index.dtype(), DType::I64 | DType::I32) || index.rank() != 0 {
        return mistake(name, ErrorKind::DType, format!("the index is one i64 or i32, not {}", written(index.ty())), &origin);
    }
    if branches.is_empty() {
        return mistake(name, ErrorKind::Argument, "there is no branch to take".into(), &origin);
    }
    let start = Tensor::next_id();
    let own: Vec<Tensor> = operands.iter().map(|x| placeholder(x.ty())).collect();
    let results: Vec<Vec<Tensor>> = branches.into_iter().map(|branch| branch(&own)).collect::<Result<_>>()?;
    results.iter().flatten().try_for_each(Tensor::check)?;
    for (at, branch) in results.iter().enumerate().skip(1) {
        let types = |list: &[Tensor]| list.iter().map(|x| written(x.ty())).collect::<Vec<_>>().join(", ");
        if types(branch) != types(&results[0]) {
            let message = format!("branch 0 gives {}, branch {at} {}; all must give the same", types(&results[0]), types(branch));
            return mistake(name, ErrorKind::Shape, message, &origin);
        }
    }
    let types: Vec<Type> = results[0].iter().map(|x| x.ty().clone()).collect();
    let (branches, outside) = Body::trace_all(start, &own, &results)?;
    let inputs: Vec<Tensor> = [index].into_iter().chain(operands.iter().copied()).chain(&outside).cloned().collect();
    let all = recorded_as(origin, || record(|dtype| Switch { branches: branches.clone(), dtype }.into(), &types, &inputs));
    all.iter().try_for_each(Tensor::check)?;
    Ok(all)
}

/// Runs `body` on the carries as long as `condition` of them holds, which is one bool: `jax.lax.while_loop`.
///
/// The number of steps is known only when it runs, so there is no gradient, unless a `bound` on it is stated: then
/// the loop is a [`scan`] of so many steps, of which those after the end change nothing and cost next to nothing. A loop that
/// has not ended after so many steps is ended. In a batch (`vmap`) the loop goes on as long as any example does; examples
/// that have ended stay as they are.
///
/// # Errors
/// If the condition is not one bool, or the body fails, or changes the shape or type of a carry.
///
/// ```
/// use chainrule_engine::{Tensor, functions::while_loop};
/// // Newton's method for a square root.
/// let a = Tensor::from_slice(&[2.0f64], []);
/// let going = |x: &[Tensor]| Ok((&x[0] * &x[0] - &a).abs().greater(&Tensor::from_slice(&[1e-15], [])));
/// let y = while_loop(going, |x| Ok(vec![(&x[0] + &a / &x[0]) * 0.5]), &[&Tensor::from_slice(&[1.0f64], [])], Some(20))?;
/// assert!((y[0].item()? - 2f64.sqrt()).abs() < 1e-14);
/// assert!((y[0].grad(&[&a])?[0].item()? - 0.5 / 2f64.sqrt()).abs() < 1e-12);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn while_loop(
    condition: impl FnOnce(&[Tensor]) -> Result<Tensor>,
    body: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>,
    init: &[&Tensor],
    bound: Option<usize>,
) -> Result<Vec<Tensor>> {
    let origin = Origin::here(Location::caller());
    init.iter().try_for_each(|x| x.check())?;
    let held = |carries: &[Tensor]| {
        let on = condition(carries)?;
        on.check()?;
        if on.dtype() != DType::Bool || on.rank() != 0 {
            let message = format!("the condition is one bool, not {}; reduce it with `any` or `all`", written(on.ty()));
            return mistake("while_loop", ErrorKind::DType, message, &origin);
        }
        Ok(on)
    };
    let kept = |carries: &[Tensor]| {
        let next = body(carries)?;
        carries_stay("while_loop", carries, &next, &origin)?;
        Ok(next)
    };
    if bound.is_some() {
        let step = |carries: &[Tensor], _: &[Tensor]| {
            let next = cond(&held(carries)?, &carries.iter().collect::<Vec<_>>(), kept, |carries| Ok(carries.to_vec()))?;
            Ok((next, Vec::new()))
        };
        return Ok(scan_as("while_loop", init, &[], ScanOptions { length: bound, reverse: false }, step)?.0);
    }
    let start = Tensor::next_id();
    let own: Vec<Tensor> = init.iter().map(|x| placeholder(x.ty())).collect();
    let (on, next) = (held(&own)?, kept(&own)?);
    let (bodies, outside) = Body::trace_all(start, &own, &[vec![on], next])?;
    let [condition, body] = <[Body; 2]>::try_from(bodies).unwrap_or_else(|_| unreachable!("two were traced"));
    let types: Vec<Type> = body.output_types().cloned().collect();
    let inputs: Vec<Tensor> = init.iter().copied().chain(&outside).cloned().collect();
    let op = |dtype| While { bodies: [condition.clone(), body.clone()], dtype }.into();
    let all = recorded_as(origin.clone(), || record(op, &types, &inputs));
    all.iter().try_for_each(Tensor::check)?;
    Ok(all)
}
