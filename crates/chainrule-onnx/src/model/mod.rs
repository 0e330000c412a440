//! A model that was read: what it takes, what it gives, what it has learned.
//!
//! Holds the messages of the file and, as tensors, its initializers; records whenever it is asked to. Evaluates nothing
//! by itself, but for what decides about shapes.

mod declared;
mod parameters;

pub use declared::Declared;

use crate::error::{Error, ErrorKind, Result};
use crate::proto::wire::DEPTH;
use crate::proto::{Function, Graph, Kind, ModelMessage};
use crate::record::{Functions, Names, Opsets, Recorder, Value, domain};
use chainrule::{DType, Rng, Tensor};
use std::cell::{Cell, RefCell};
use std::path::Path;

/// An ONNX model.
///
/// Its initializers are tensors with names, [`Model::parameters`]; what [`Model::record`] gives depends on them, so they
/// have gradients like any other tensor. It is a [`Module`](chainrule::nn::Module): a trainer trains it, and its state is
/// saved like that of a model written in Rust. Initializers of floats are its parameters, all others its buffers.
pub struct Model {
    graph: Graph,
    opsets: Opsets,
    functions: Functions,
    inputs: Vec<Declared>,
    outputs: Vec<Declared>,
    /// The initializers, in the order of the file.
    tensors: Vec<(String, Tensor)>,
    producer: String,
    /// The type that stands for every float type, if the model was converted.
    floats: Option<DType>,
}

impl Model {
    /// Reads a model from a file, and the tensors that lie beside it from theirs. Those must be in the same folder.
    ///
    /// # Errors
    /// If a file cannot be read, is no ONNX model, or says what contradicts itself: see [`ErrorKind`].
    pub fn read(path: impl AsRef<Path>) -> Result<Model> {
        let path = path.as_ref();
        let failed = |error: std::io::Error| Error::new(ErrorKind::File, format!("{}: {error}", path.display()));
        let bytes = std::fs::read(path).map_err(failed)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Model::of(ModelMessage::parse(&bytes)?, Some(folder))
    }

    /// Reads a model from the bytes of a file.
    ///
    /// # Errors
    /// As [`Model::read`]; also, if tensors lie in files of their own.
    pub fn parse(bytes: &[u8]) -> Result<Model> {
        Model::of(ModelMessage::parse(bytes)?, None)
    }

    fn of(message: ModelMessage, folder: Option<&Path>) -> Result<Model> {
        let mut graph = message.graph.ok_or_else(|| Error::new(ErrorKind::Malformed, "there is no graph; this is no ONNX model"))?;
        if graph.sparse {
            return Err(Error::unsupported("initializers that are sparse tensors are not read; store them dense"));
        }
        let mut functions = message.functions;
        if let Some(folder) = folder {
            graph.load_external(folder)?;
            functions.iter_mut().flat_map(|function| &mut function.nodes).try_for_each(|node| node.load_external(folder))?;
        }
        let mut opsets: Opsets = message.opsets.iter().map(|(name, version)| (domain(name).to_string(), *version)).collect();
        if opsets.is_empty() {
            // The first format of models had one operator set and did not name it.
            opsets.insert(String::new(), 1);
        }
        let mut tensors = Vec::with_capacity(graph.initializers.len());
        for initializer in std::mem::take(&mut graph.initializers) {
            let tensor = chainrule::scope(&initializer.name, || initializer.tensor())?;
            tensors.push((initializer.name, tensor));
        }
        let key = |function: Function| ((domain(&function.domain).to_string(), function.name.clone(), function.overload.clone()), function);
        // Formats before the fourth list initializers among the inputs.
        let initialized = |name: &str| tensors.iter().any(|(known, _)| known == name);
        let inputs = graph.inputs.iter().filter(|input| !initialized(&input.name)).map(Declared::of).collect();
        let outputs = graph.outputs.iter().map(Declared::of).collect();
        let functions = functions.into_iter().map(key).collect();
        Ok(Model { graph, opsets, functions, inputs, outputs, tensors, producer: message.producer, floats: None })
    }

    /// What the model takes, in order. Inputs that the file has values for are among the [parameters](Model::parameters).
    pub fn inputs(&self) -> &[Declared] {
        &self.inputs
    }

    /// What the model gives, in order.
    pub fn outputs(&self) -> &[Declared] {
        &self.outputs
    }

    /// The program that wrote the file, if it says so.
    pub fn producer(&self) -> &str {
        &self.producer
    }

    /// The operator sets that the model asks for, by domain; ONNX's own is the empty one.
    pub fn opsets(&self) -> impl Iterator<Item = (&str, i64)> {
        self.opsets.iter().map(|(domain, version)| (domain.as_str(), *version))
    }

    /// The nodes of the main graph as `(operator, domain)`, in order.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.graph.nodes.iter().map(|node| (node.operator.as_str(), domain(&node.domain)))
    }

    /// Records the model for these inputs, given by name. An initializer may be given too, and then stands instead of the
    /// one in the file.
    ///
    /// Nothing is evaluated but what decides about shapes; the outputs are tensors like any other, and have derivatives.
    ///
    /// # Errors
    /// If an input is missing or unknown or does not fit its declaration, if an operator is not known or refuses what it
    /// is given (the message names node, operator and operator set), or if an output is no tensor.
    pub fn record(&self, inputs: &[(&str, Tensor)]) -> Result<Vec<(String, Tensor)>> {
        let values: Vec<(&str, Value)> = inputs.iter().map(|(name, tensor)| (*name, Value::Tensor(tensor.clone()))).collect();
        let made = self.record_values(&values)?;
        let tensor = |(name, value): (String, Value)| match value.as_tensor() {
            Some(tensor) => Ok((name, tensor.clone())),
            None => Err(Error::unsupported(format!("output '{name}' is {}; use `record_values`", value.kind()))),
        };
        made.into_iter().map(tensor).collect()
    }

    /// As [`Model::record`], with inputs and outputs that may also be sequences and optionals.
    ///
    /// # Errors
    /// As [`Model::record`].
    pub fn record_values(&self, inputs: &[(&str, Value)]) -> Result<Vec<(String, Value)>> {
        self.record_with(inputs, &mut Rng::new(0))
    }

    /// As [`Model::record_values`], with a source for what the model draws at random: `Dropout`, `RandomNormal` and their
    /// kin, where they have no seed of their own. The other methods draw from seed 0.
    ///
    /// # Errors
    /// As [`Model::record`].
    pub fn record_with(&self, inputs: &[(&str, Value)], rng: &mut Rng) -> Result<Vec<(String, Value)>> {
        let mut names = Names::within(None);
        for (name, tensor) in &self.tensors {
            names.insert(name, Value::Tensor(tensor.clone()));
        }
        for (name, value) in inputs {
            self.check(name, value)?;
            names.insert(name, value.clone());
        }
        if let Some(missing) = self.inputs.iter().find(|input| names.get(&input.name).is_none() && !input.may_be_absent()) {
            return Err(Error::new(ErrorKind::Input, format!("input '{}' ({missing}) is not given", missing.name)));
        }
        for absent in self.inputs.iter().filter(|input| input.may_be_absent()) {
            if names.get(&absent.name).is_none() {
                names.insert(&absent.name, Value::Optional(None));
            }
        }
        let source = RefCell::new(rng.clone());
        let count = Cell::new(0);
        let (opsets, functions, floats) = (&self.opsets, &self.functions, self.floats);
        let recorder = Recorder { opsets, functions, attributes: &[], calls: 0, rng: &source, count: &count, floats };
        let made = recorder.graph(&self.graph, &mut names)?;
        *rng = source.into_inner();
        Ok(self.outputs.iter().map(|output| output.name.clone()).zip(made).collect())
    }

    /// Whether what is given fits what is declared.
    fn check(&self, name: &str, value: &Value) -> Result<()> {
        if let Some(mistake) = value.tensors().iter().find_map(Tensor::error) {
            return Err(Error::new(ErrorKind::Input, format!("input '{name}' is a mistake already: {mistake}")));
        }
        if self.tensors.iter().any(|(known, _)| known == name) {
            return Ok(());
        }
        let Some(declared) = self.inputs.iter().find(|input| input.name == name) else {
            let known: Vec<&str> = self.inputs.iter().map(|input| input.name.as_str()).collect();
            return Err(Error::new(ErrorKind::Input, format!("there is no input '{name}'; the inputs are {}", known.join(", "))));
        };
        declared.check(value)
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |all: &[Declared]| all.iter().map(|one| format!("{}: {one}", one.name)).collect::<Vec<_>>().join(", ");
        let (nodes, tensors) = (self.graph.nodes.len(), self.tensors.len());
        write!(f, "Model({}) -> ({}), {nodes} nodes, {tensors} initializers", list(&self.inputs), list(&self.outputs))
    }
}

// Graphs in graphs are read by recursion: the depth that the reader allows must be one that the stack allows.
const _: () = assert!(DEPTH <= 128);

/// The type that a declaration has, for who reads values from files of their own.
pub(crate) fn kind_of(declared: &Declared) -> &Kind {
    &declared.kind
}
