//! One application of an operator: its inputs, its attributes, and what an operator needs to say no.
//!
//! Operators ask by position and by name, and get an error that says which input or attribute is missing or of the wrong
//! kind. An input that decides about shapes is asked for its value (`whole_numbers`): it is evaluated here and now, so
//! shapes are fixed when a graph is recorded.

use super::{Names, Recorder, Texts, Value};
use crate::error::{Error, ErrorKind, Result};
use crate::proto::{AttributeValue, Graph, Node};
use chainrule::tensor::shape::resolve_axis;
use chainrule::{DType, Rng, Tensor};

/// What an operator is applied to.
pub struct Call<'c> {
    pub recorder: Recorder<'c>,
    node: &'c Node,
    names: &'c Names<'c>,
    inputs: Vec<Option<Value>>,
    /// The version of the operator that the model's operator set has.
    pub version: i64,
}

/// A fault of an input that is of another kind than an operator takes.
fn other_kind(index: usize, wanted: &str, value: &Value) -> Error {
    match value {
        Value::Texts(_) => Error::unsupported(format!("input {index}: elements are string; {wanted} is taken")),
        _ => Error::operator(format!("input {index} is {}, not {wanted}", value.kind())),
    }
}

impl<'c> Call<'c> {
    pub fn new(recorder: Recorder<'c>, node: &'c Node, names: &'c Names<'c>, inputs: Vec<Option<Value>>, version: i64) -> Call<'c> {
        Call { recorder, node, names, inputs, version }
    }

    /// How many inputs are listed, absent ones in between included.
    pub fn count(&self) -> usize {
        self.inputs.len()
    }

    /// How many outputs are listed.
    pub fn outputs(&self) -> usize {
        self.node.outputs.len()
    }

    /// Whether output `index` is asked for.
    pub fn wants(&self, index: usize) -> bool {
        self.node.outputs.get(index).is_some_and(|name| !name.is_empty())
    }

    /// The input, whatever it is.
    pub fn value(&self, index: usize) -> Result<&Value> {
        self.inputs.get(index).and_then(Option::as_ref).ok_or_else(|| Error::operator(format!("input {index} is missing")))
    }

    /// A tensor that must be there.
    pub fn tensor(&self, index: usize) -> Result<&Tensor> {
        let value = self.value(index)?;
        value.as_tensor().ok_or_else(|| other_kind(index, "a tensor", value))
    }

    /// A tensor that may be left out.
    pub fn optional(&self, index: usize) -> Result<Option<&Tensor>> {
        if self.given(index) { self.tensor(index).map(Some) } else { Ok(None) }
    }

    /// Whether an input is there.
    pub fn given(&self, index: usize) -> bool {
        self.inputs.get(index).is_some_and(Option::is_some)
    }

    /// All inputs from `first` on, which must be tensors.
    pub fn tensors(&self, first: usize) -> Result<Vec<&Tensor>> {
        (first..self.count()).map(|index| self.tensor(index)).collect()
    }

    /// A sequence that must be there.
    pub fn sequence(&self, index: usize) -> Result<&[Tensor]> {
        match self.value(index)? {
            Value::Sequence(tensors) => Ok(tensors),
            Value::Optional(Some(held)) if matches!(**held, Value::Sequence(_)) => Ok(held.tensors()),
            value => Err(other_kind(index, "a sequence", value)),
        }
    }

    /// Strings that must be there.
    pub fn texts_of(&self, index: usize) -> Result<&Texts> {
        let value = self.value(index)?;
        value.as_texts().ok_or_else(|| other_kind(index, "a tensor of strings", value))
    }

    /// The whole numbers of an input, evaluated now.
    pub fn whole_numbers(&self, index: usize) -> Result<Vec<i64>> {
        let tensor = self.tensor(index)?;
        if tensor.dtype().is_float() {
            return Err(Error::operator(format!("input {index} is {}, not of whole numbers", tensor.dtype())));
        }
        Ok(self.evaluated(index, tensor)?.to_i64())
    }

    /// As [`Call::whole_numbers`], of an input that may be left out.
    pub fn optional_whole_numbers(&self, index: usize) -> Result<Option<Vec<i64>>> {
        if self.given(index) { self.whole_numbers(index).map(Some) } else { Ok(None) }
    }

    /// The numbers of an input, evaluated now.
    pub fn numbers(&self, index: usize) -> Result<Vec<f64>> {
        let tensor = self.tensor(index)?;
        Ok(self.evaluated(index, tensor)?.to_f64())
    }

    /// The one number of an input that may be left out, evaluated now.
    pub fn number(&self, index: usize) -> Result<Option<f64>> {
        if !self.given(index) {
            return Ok(None);
        }
        match self.numbers(index)?[..] {
            [number] => Ok(Some(number)),
            ref numbers => Err(Error::operator(format!("input {index} has {} elements, not one", numbers.len()))),
        }
    }

    fn evaluated(&self, index: usize, tensor: &Tensor) -> Result<std::sync::Arc<chainrule::Data>> {
        tensor.to_data().map_err(|error| {
            let hint = "its value decides about shapes and must be there while recording; give inputs it depends on as tensors with values";
            Error::operator(format!("input {index}: {error}; {hint}"))
        })
    }

    fn attribute(&self, name: &str) -> Option<&AttributeValue> {
        let listed = self.node.attributes.iter().find(|attribute| attribute.name == name)?;
        let found = &self.recorder.resolve(listed)?.value;
        (!matches!(found, AttributeValue::Nothing)).then_some(found)
    }

    /// Whether an attribute is given.
    pub fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Result<Option<i64>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(AttributeValue::Integer(value)) => Ok(Some(*value)),
            Some(_) => Err(misread(name, "a whole number")),
        }
    }

    /// A whole number, or what stands for it where it is not given.
    pub fn integer_or(&self, name: &str, default: i64) -> Result<i64> {
        Ok(self.integer(name)?.unwrap_or(default))
    }

    /// Yes or no, written as 1 or 0.
    pub fn flag(&self, name: &str) -> Result<bool> {
        Ok(self.integer_or(name, 0)? != 0)
    }

    /// A float.
    pub fn float(&self, name: &str) -> Result<Option<f64>> {
        match self.attribute(name) {
            None => Ok(None),
            // The decimal that was meant: 0.1 rather than 0.10000000149.
            Some(AttributeValue::Float(value)) => Ok(Some(decimal(*value))),
            Some(_) => Err(misread(name, "a float")),
        }
    }

    /// A float, or what stands for it where it is not given.
    pub fn float_or(&self, name: &str, default: f64) -> Result<f64> {
        Ok(self.float(name)?.unwrap_or(default))
    }

    /// Text.
    pub fn text(&self, name: &str) -> Result<Option<String>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(AttributeValue::Text(text)) => Ok(Some(String::from_utf8_lossy(text).into_owned())),
            Some(_) => Err(misread(name, "text")),
        }
    }

    /// Text, or what stands for it where it is not given.
    pub fn text_or(&self, name: &str, default: &str) -> Result<String> {
        Ok(self.text(name)?.unwrap_or_else(|| default.to_string()))
    }

    /// Whole numbers.
    pub fn integers(&self, name: &str) -> Result<Option<Vec<i64>>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(AttributeValue::Integers(values)) => Ok(Some(values.clone())),
            Some(_) => Err(misread(name, "whole numbers")),
        }
    }

    /// Floats.
    pub fn floats(&self, name: &str) -> Result<Option<Vec<f64>>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(AttributeValue::Floats(values)) => Ok(Some(values.iter().map(|&value| decimal(value)).collect())),
            Some(_) => Err(misread(name, "floats")),
        }
    }

    /// Texts.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(AttributeValue::Texts(values)) => Ok(Some(values.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect())),
            Some(_) => Err(misread(name, "texts")),
        }
    }

    /// A tensor.
    pub fn constant(&self, name: &str) -> Result<Option<Tensor>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(AttributeValue::Tensor(tensor)) => tensor.tensor().map(|tensor| Some(self.recorder.in_floats(tensor))),
            Some(AttributeValue::Other(what)) => Err(Error::unsupported(format!("attribute '{name}' holds {what}, which is not read"))),
            Some(_) => Err(misread(name, "a tensor")),
        }
    }

    /// An element type, written as its number.
    pub fn dtype(&self, name: &str) -> Result<Option<DType>> {
        self.integer(name)?.map(|number| self.element(number)).transpose()
    }

    /// The element type of this number, as far as the model has its own float types.
    pub fn element(&self, number: i64) -> Result<DType> {
        crate::proto::tensor::Element(number).dtype().map(|dtype| self.recorder.float_type(dtype))
    }

    /// A graph that must be there.
    pub fn graph(&self, name: &str) -> Result<&Graph> {
        match self.attribute(name) {
            Some(AttributeValue::Graph(graph)) => Ok(graph),
            Some(_) => Err(misread(name, "a graph")),
            None => Err(Error::operator(format!("attribute '{name}', a graph, is missing"))),
        }
    }

    /// Records a graph of an attribute, with values for its inputs, in the names around this node.
    pub fn run(&self, graph: &Graph, inputs: Vec<Value>) -> Result<Vec<Value>> {
        if inputs.len() != graph.inputs.len() {
            let message = format!("graph '{}' takes {} inputs and is given {}", graph.name, graph.inputs.len(), inputs.len());
            return Err(Error::operator(message));
        }
        let mut names = Names::within(Some(self.names));
        for (declared, value) in graph.inputs.iter().zip(inputs) {
            names.insert(&declared.name, value);
        }
        self.recorder.graph(graph, &mut names)
    }

    /// The value that a name has where this node stands.
    pub fn named(&self, name: &str) -> Option<&Value> {
        self.names.get(name)
    }

    /// Where random numbers come from: the seed that the node gives, or the recording's own source.
    pub fn random(&self, draw: impl FnOnce(&mut Rng) -> Tensor) -> Result<Tensor> {
        let seed = match self.attribute("seed") {
            Some(AttributeValue::Integer(seed)) => Some(*seed as u64),
            _ => self.float("seed")?.map(f64::to_bits),
        };
        match seed {
            Some(seed) => Ok(draw(&mut Rng::new(seed))),
            None => Ok(draw(&mut self.recorder.rng.borrow_mut())),
        }
    }

    /// An axis, negative from the end, of a tensor of `rank` axes.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize> {
        let found = isize::try_from(axis).ok().and_then(|axis| resolve_axis(axis, rank));
        found.ok_or_else(|| Error::operator(format!("axis {axis} of a tensor with {rank} axes")))
    }

    /// Axes as the engine takes them, each resolved.
    pub fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<isize>> {
        axes.iter().map(|&axis| self.axis(axis, rank).map(|axis| axis as isize)).collect()
    }
}

fn misread(name: &str, wanted: &str) -> Error {
    Error::operator(format!("attribute '{name}' does not hold {wanted}"))
}

/// The shortest decimal that is this float, as f64.
fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(value as f64)
}

/// A size that must not be negative.
pub fn size(value: i64, what: &str) -> Result<usize> {
    usize::try_from(value).map_err(|_| Error::operator(format!("{what} is {value}, and must not be negative")))
}

/// How many entries a list may have that is made while recording: what a few bytes can ask for is bounded by this.
pub const ENTRIES: usize = 1 << 22;

/// A number of entries, or steps, that are made while recording.
pub fn entries(count: usize, what: &str) -> Result<usize> {
    if count <= ENTRIES { Ok(count) } else { Err(limit(format!("{count} {what}, which are made while recording, up to {ENTRIES}"))) }
}

/// The result of an operator that makes one tensor.
pub fn one(tensor: Tensor) -> Result<Vec<Value>> {
    Ok(vec![Value::Tensor(tensor)])
}

/// The result of an operator that makes several tensors.
pub fn several(tensors: impl IntoIterator<Item = Tensor>) -> Result<Vec<Value>> {
    Ok(tensors.into_iter().map(Value::Tensor).collect())
}

/// More than the crate does.
pub fn limit(message: String) -> Error {
    Error::new(ErrorKind::Limit, message)
}
