//! Control flow: a body run for every step, one of several branches, a body run while a condition holds.
//!
//! A node has one result, so what these give is one flat vector: the results of one element type, one after the other. Whoever
//! records them (`functions::control`) hands out its parts, which are views. Results of another type are those of a second
//! node with the same bodies, which the compiler runs as one. Refuses to differentiate or to batch: the transformations record bodies anew.

use super::movement::Axes;
use super::{Array, Body, Derivative, Lift, Op, Operation, Reshape, Slice, Values, dtype_error, shape_error};
use crate::tensor::{DType, Error, Shape, Tensor, Type};

/// A body run once for each step. Inputs: the carries before the first step, sequences of `length` parts along axis 0, and
/// what every step reads. The body takes carries, parts and the rest, and gives the next carries, then the parts of results.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scan {
    /// What is done in a step.
    pub body: Body,
    /// How many of the inputs and results are carries.
    pub carries: usize,
    /// How many sequences are read.
    pub sequences: usize,
    /// How many steps there are.
    pub length: usize,
    /// From the last part to the first. Parts of results stand at the places of what was read.
    pub reverse: bool,
    /// Of the results that are given.
    pub dtype: DType,
}

/// One of several branches. Inputs: which (i64 or i32, a scalar; below 0 the first, beyond the last one the last), and what
/// the branches take. All give results of the same types.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Switch {
    /// At least one.
    pub branches: Vec<Body>,
    /// Of the results that are given.
    pub dtype: DType,
}

/// A body run as long as a condition holds. Inputs: the carries, and what both bodies read besides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct While {
    /// From the inputs to one bool, and from the inputs to the next carries.
    pub bodies: [Body; 2],
    /// Of the results that are given.
    pub dtype: DType,
}

/// Where the results of one type stand in a flat vector: of each its first element, if it is of the type.
pub fn places<'a>(types: impl IntoIterator<Item = &'a Type>, dtype: DType) -> (Vec<Option<usize>>, usize) {
    let mut end = 0_usize;
    let place = |ty: &Type| {
        (ty.dtype == dtype).then(|| {
            // More than any memory has is refused by the type of the whole.
            let start = end;
            end = end.saturating_add(ty.checked_len().unwrap_or(usize::MAX / 2));
            start
        })
    };
    let places = types.into_iter().map(place).collect();
    (places, end)
}

/// The part of a flat vector from element `from` on that has a type.
pub fn piece(flat: &Tensor, from: usize, ty: &Type) -> Tensor {
    let slice = Slice { start: Axes::from_slice(&[from]), stop: Axes::from_slice(&[from + ty.len()]), step: Axes::from_slice(&[1]) };
    let part = Tensor::record(slice, [flat.clone()]);
    Tensor::record(Reshape(ty.shape.clone()), [part])
}

/// All results, of the given types, of an operation that gives those of one type at a time: one node for each type.
pub fn record(op: impl Fn(DType) -> Op, types: &[Type], inputs: &[Tensor]) -> Vec<Tensor> {
    let mut nodes: Vec<(DType, Tensor)> = Vec::new();
    let mut result = |(at, ty): (usize, &Type)| {
        if !nodes.iter().any(|(dtype, _)| *dtype == ty.dtype) {
            nodes.push((ty.dtype, Tensor::record(op(ty.dtype), inputs.iter().cloned())));
        }
        let flat = nodes.iter().find(|(dtype, _)| *dtype == ty.dtype).map(|(_, flat)| flat);
        let place = places(types, ty.dtype).0[at];
        // Parts of a mistake are that mistake: it may be that no memory holds them.
        flat.zip(place).map(|(flat, from)| if flat.error().is_some() { flat.clone() } else { piece(flat, from, ty) })
    };
    types.iter().enumerate().filter_map(&mut result).collect()
}

fn same(name: &str, what: &str, at: usize, found: &Type, wanted: &Type) -> Result<(), Error> {
    if found == wanted {
        return Ok(());
    }
    let text = |ty: &Type| format!("{} {:?}", ty.dtype, ty.shape);
    let message = format!("{what} {at} is {}, not {}", text(found), text(wanted));
    Err(if found.dtype == wanted.dtype { shape_error(name, message) } else { dtype_error(name, message) })
}

/// The flat vector of the results of one type.
fn flat(results: &[Array], dtype: DType) -> Values {
    let own = results.iter().filter(|array| array.ty.dtype == dtype);
    if dtype.is_float() {
        Values::Float(own.flat_map(Array::floats).collect())
    } else {
        Values::Integer(own.flat_map(Array::integers).collect())
    }
}

/// Part `at` of a sequence.
fn part(sequence: &Array, ty: &Type, at: usize) -> Array {
    let own = ty.len();
    Array { ty: ty.clone(), values: sequence.pick((at * own..(at + 1) * own).map(Some)) }
}

impl Scan {
    /// What is done in a step.
    pub fn bodies(&self) -> &[Body] {
        std::slice::from_ref(&self.body)
    }

    /// Types of all results: the last carries, then stacked parts.
    pub fn results(&self) -> Vec<Type> {
        let stacked = |(at, ty): (usize, &Type)| if at < self.carries { ty.clone() } else { stacked(self.length, ty) };
        self.body.output_types().enumerate().map(stacked).collect()
    }

    fn run(&self, inputs: &[&Array]) -> Result<Vec<Array>, Error> {
        let types: Vec<Type> = self.body.input_types().cloned().collect();
        let mut carries: Vec<Array> = inputs[..self.carries].iter().map(|&array| array.clone()).collect();
        let mut parts: Vec<Vec<Array>> = vec![Vec::new(); self.length];
        for step in 0..self.length {
            let at = if self.reverse { self.length - 1 - step } else { step };
            let read = (self.carries..self.carries + self.sequences).map(|k| part(inputs[k], &types[k], at));
            let rest = inputs[self.carries + self.sequences..].iter().map(|&array| array.clone());
            let mut results = self.body.evaluate(&carries.into_iter().chain(read).chain(rest).collect::<Vec<_>>())?;
            parts[at] = results.split_off(self.carries);
            carries = results;
        }
        for (k, ty) in self.results().into_iter().enumerate().skip(self.carries) {
            let own: Vec<&Array> = parts.iter().map(|parts| &parts[k - self.carries]).collect();
            let values = if ty.dtype.is_float() {
                Values::Float(own.iter().flat_map(|array| array.floats()).collect())
            } else {
                Values::Integer(own.iter().flat_map(|array| array.integers()).collect())
            };
            carries.push(Array { ty, values });
        }
        Ok(carries)
    }
}

/// So many of a type along a new first axis.
pub fn stacked(length: usize, ty: &Type) -> Type {
    let shape: Shape = std::iter::once(length).chain(ty.shape.iter().copied()).collect();
    Type::new(shape, ty.dtype)
}

impl Switch {
    /// The branches.
    pub fn bodies(&self) -> &[Body] {
        &self.branches
    }

    /// Which branch an index stands for.
    pub fn choice(index: i64, branches: usize) -> usize {
        usize::try_from(index.max(0)).unwrap_or(usize::MAX).min(branches.saturating_sub(1))
    }

    fn run(&self, inputs: &[&Array]) -> Result<Vec<Array>, Error> {
        let index = inputs[0].integers().first().copied().unwrap_or(0);
        let operands: Vec<Array> = inputs[1..].iter().map(|&array| array.clone()).collect();
        self.branches[Switch::choice(index, self.branches.len())].evaluate(&operands)
    }
}

impl While {
    /// The condition and the body.
    pub fn bodies(&self) -> &[Body] {
        &self.bodies
    }

    /// From the inputs to one bool.
    pub fn condition(&self) -> &Body {
        &self.bodies[0]
    }

    /// From the inputs to the next carries.
    pub fn body(&self) -> &Body {
        &self.bodies[1]
    }

    /// How many of the inputs are carries.
    pub fn carries(&self) -> usize {
        self.body().outputs().len()
    }

    fn run(&self, inputs: &[&Array]) -> Result<Vec<Array>, Error> {
        let mut all: Vec<Array> = inputs.iter().map(|&array| array.clone()).collect();
        while self.condition().evaluate(&all)?[0].integers() == [1] {
            let next = self.body().evaluate(&all)?;
            next.into_iter().enumerate().for_each(|(at, carry)| all[at] = carry);
        }
        all.truncate(self.carries());
        Ok(all)
    }
}

macro_rules! through_bodies {
    ($($kind:ty, $name:literal, $results:expr, $infer:expr;)*) => {$(
        impl $kind {
            /// What is wrong with the values of the inputs: an index inside that points outside.
            pub(super) fn refuse(&self, inputs: &[&Array]) -> Option<Error> {
                if self.bodies().iter().any(Body::may_refuse) { self.run(inputs).err() } else { None }
            }
        }

        impl Operation for $kind {
            fn name(&self) -> &'static str {
                $name
            }
            fn infer(&self, inputs: &[&Type]) -> Result<Type, Error> {
                let infer: fn(&$kind, &[&Type]) -> Result<(), Error> = $infer;
                infer(self, inputs)?;
                let results: fn(&$kind) -> Vec<Type> = $results;
                let (_, len) = places(&results(self), self.dtype);
                Ok(Type::new([len].as_slice(), self.dtype))
            }
            fn derivative(&self, node: &Tensor, input: usize) -> Derivative {
                match (self.dtype.is_float(), node.inputs()[input].dtype().is_float()) {
                    (true, true) => Derivative::Inner,
                    (true, false) => Derivative::Cut("a bool or integer has no derivative"),
                    (false, _) => Derivative::Cut("the result is no float, and has no derivative"),
                }
            }
            fn lift(&self, _: &[bool], _: usize) -> Lift {
                Lift::Inner
            }
            fn evaluate(&self, inputs: &[&Array], _: &Type) -> Values {
                // An index that points outside was found before.
                self.run(inputs).map_or_else(|_| Values::Float(Vec::new()), |results| flat(&results, self.dtype))
            }
        }
    )*};
}

through_bodies! {
    Scan, "scan", Scan::results, |scan, inputs| {
        let types: Vec<&Type> = scan.body.input_types().collect();
        if inputs.len() != types.len() || scan.carries.saturating_add(scan.sequences) > types.len() || scan.carries > scan.body.outputs().len() {
            return Err(shape_error("scan", format!("{} inputs for a body that takes {}", inputs.len(), types.len())));
        }
        for (at, (&found, &wanted)) in inputs.iter().zip(&types).enumerate() {
            if at >= scan.carries && at < scan.carries + scan.sequences {
                same("scan", "sequence", at - scan.carries, found, &stacked(scan.length, wanted))?;
            } else {
                same("scan", "input", at, found, wanted)?;
            }
        }
        scan.body.output_types().zip(&types).take(scan.carries).enumerate().try_for_each(|(at, (next, before))| {
            same("scan", "the body's next carry", at, next, before)
        })
    };
    Switch, "switch", |switch| switch.branches[0].output_types().cloned().collect(), |switch, inputs| {
        let Some((index, operands)) = inputs.split_first().filter(|_| !switch.branches.is_empty()) else {
            return Err(shape_error("switch", "takes an index and branches".into()));
        };
        if !index.shape.is_empty() || !matches!(index.dtype, DType::I64 | DType::I32) {
            return Err(dtype_error("switch", format!("the index is one i64 or i32, not {} {:?}", index.dtype, index.shape)));
        }
        for branch in &switch.branches {
            if branch.input_types().len() != operands.len() || branch.outputs().len() != switch.branches[0].outputs().len() {
                return Err(shape_error("switch", format!("a branch takes {} operands and gives {} results, not {} and {}",
                    branch.input_types().len(), branch.outputs().len(), operands.len(), switch.branches[0].outputs().len())));
            }
            operands.iter().zip(branch.input_types()).enumerate().try_for_each(|(at, (found, wanted))| same("switch", "operand", at, found, wanted))?;
            branch.output_types().zip(switch.branches[0].output_types()).enumerate()
                .try_for_each(|(at, (found, wanted))| same("switch", "a branch's result", at, found, wanted))?;
        }
        Ok(())
    };
    While, "while_loop", |repeat| repeat.body().output_types().cloned().collect(), |repeat, inputs| {
        let condition: Vec<&Type> = repeat.condition().output_types().collect();
        if !matches!(condition[..], [ty] if *ty == Type::new([].as_slice(), DType::Bool)) {
            return Err(dtype_error("while_loop", "the condition is one bool, of no axes".into()));
        }
        for body in &repeat.bodies {
            if body.input_types().len() != inputs.len() || repeat.carries() > inputs.len() {
                return Err(shape_error("while_loop", format!("{} inputs for a body that takes {}", inputs.len(), body.input_types().len())));
            }
            inputs.iter().zip(body.input_types()).enumerate().try_for_each(|(at, (found, wanted))| same("while_loop", "input", at, found, wanted))?;
        }
        repeat.body().output_types().zip(inputs).enumerate().try_for_each(|(at, (next, before))| {
            same("while_loop", "the body's next carry", at, next, before)
        })
    };
}
