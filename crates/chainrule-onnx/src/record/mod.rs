//! Recording: the nodes of a graph, one after the other, as nodes of chainrule's graph.
//!
//! Knows names, scopes and functions, and no operator: those are in [`crate::operators`]. What a node records carries the
//! node's name as its scope, so that the engine's own messages name it. Nothing is recorded twice, and nothing recurses
//! over the length of a graph: only graphs in graphs and functions in functions, whose depth is bounded.

pub mod call;
pub mod value;

pub use call::Call;
pub use value::{Texts, Value};

use crate::error::{Error, ErrorKind, Place, Result};
use crate::operators;
use crate::proto::{Attribute, Function, Graph, Node};
use chainrule::{DType, Rng, Tensor, scope};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// How deep functions may call each other.
const CALLS: usize = 64;
/// How many nodes may be recorded, loops unrolled: what a model of a few bytes can ask for is bounded by this.
const NODES: usize = 500_000;

/// Operator sets by domain; `ai.onnx` is the empty one.
pub type Opsets = HashMap<String, i64>;
/// Functions by domain, name and overload.
pub type Functions = HashMap<(String, String, String), Function>;

/// The domain as the tables write it.
pub fn domain(name: &str) -> &str {
    if name == "ai.onnx" { "" } else { name }
}

/// Values by name, those of the graphs around included.
pub struct Names<'e> {
    values: HashMap<String, Value>,
    outer: Option<&'e Names<'e>>,
}

impl<'e> Names<'e> {
    /// No names but those of the graph around.
    pub fn within(outer: Option<&'e Names<'e>>) -> Names<'e> {
        Names { values: HashMap::new(), outer }
    }

    /// Gives a value a name, which hides an outer one.
    pub fn insert(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_string(), value);
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let mut names = Some(self);
        while let Some(here) = names {
            match here.values.get(name) {
                Some(value) => return Some(value),
                None => names = here.outer,
            }
        }
        None
    }
}

/// What is the same for all nodes of a graph.
#[derive(Clone, Copy)]
pub struct Recorder<'m> {
    pub opsets: &'m Opsets,
    pub functions: &'m Functions,
    /// In a function: the attributes of its call.
    pub attributes: &'m [Attribute],
    pub calls: usize,
    /// Where random numbers come from.
    pub rng: &'m RefCell<Rng>,
    /// Nodes recorded so far.
    pub count: &'m Cell<usize>,
    /// The type that stands for every float type of the model, if one does.
    pub floats: Option<DType>,
}

impl<'m> Recorder<'m> {
    /// Records a graph within names, and gives its outputs.
    pub fn graph(&self, graph: &Graph, names: &mut Names<'_>) -> Result<Vec<Value>> {
        for initializer in &graph.initializers {
            if !names.values.contains_key(&initializer.name) {
                names.insert(&initializer.name, Value::Tensor(self.in_floats(initializer.tensor()?)));
            }
        }
        self.nodes(&graph.nodes, names)?;
        graph.outputs.iter().map(|output| self.named(names, &output.name, &graph.name)).collect()
    }

    fn named(&self, names: &Names<'_>, name: &str, graph: &str) -> Result<Value> {
        names
            .get(name)
            .cloned()
            .ok_or_else(|| Error::new(ErrorKind::Model, format!("output '{name}' of graph '{graph}' is made by none of its nodes")))
    }

    fn nodes(&self, nodes: &[Node], names: &mut Names<'_>) -> Result<()> {
        for (number, node) in nodes.iter().enumerate() {
            let place = || self.place(node, number);
            self.count.set(self.count.get() + 1);
            if self.count.get() > NODES {
                let message = format!("more than {NODES} nodes, loops unrolled; record fewer iterations");
                return Err(Error::new(ErrorKind::Limit, message).at(place));
            }
            let label = if node.name.is_empty() { &node.operator } else { &node.name };
            let made = scope(label, || self.node(node, names)).map_err(|error| error.at(place))?;
            for (name, value) in node.outputs.iter().zip(made) {
                if name.is_empty() {
                    continue;
                }
                if let Some(mistake) = value.tensors().iter().find_map(Tensor::error) {
                    return Err(Error::from(mistake.clone()).at(place));
                }
                names.insert(name, value);
            }
        }
        Ok(())
    }

    fn place(&self, node: &Node, number: usize) -> Place {
        let domain = domain(&node.domain);
        Place {
            node: if node.name.is_empty() { format!("#{number}") } else { format!("'{}'", node.name) },
            operator: if domain.is_empty() { node.operator.clone() } else { format!("{domain}:{}", node.operator) },
            opset: self.opsets.get(domain).copied().unwrap_or(0),
        }
    }

    fn node(&self, node: &Node, names: &Names<'_>) -> Result<Vec<Value>> {
        let inputs: Vec<Option<Value>> = node.inputs.iter().map(|name| self.input(names, name)).collect::<Result<_>>()?;
        let domain = domain(&node.domain);
        if let Some(function) = self.functions.get(&(domain.to_string(), node.operator.clone(), node.overload.clone())) {
            return self.function(function, node, inputs);
        }
        let Some(&opset) = self.opsets.get(domain) else {
            return Err(Error::new(ErrorKind::Model, format!("the model imports no operator set of the domain '{domain}'")));
        };
        let (operator, version) = operators::find(domain, &node.operator, opset)?;
        let made = (operator.record)(&Call::new(*self, node, names, inputs, version))?;
        let wanted = node.outputs.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
        if made.len() < wanted {
            return Err(Error::unsupported(format!("output {} is asked for, and this operator makes {}", wanted - 1, made.len())));
        }
        Ok(made)
    }

    fn input(&self, names: &Names<'_>, name: &str) -> Result<Option<Value>> {
        if name.is_empty() {
            return Ok(None);
        }
        match names.get(name) {
            Some(value) => Ok(Some(value.clone())),
            None => Err(Error::new(ErrorKind::Model, format!("input '{name}' is made by no node before it, and is no input of the graph"))),
        }
    }

    /// A function's nodes in place of its call.
    fn function(&self, function: &Function, node: &Node, inputs: Vec<Option<Value>>) -> Result<Vec<Value>> {
        if self.calls >= CALLS {
            let message = format!("functions call each other {CALLS} deep; '{}' may call itself", function.name);
            return Err(Error::new(ErrorKind::Limit, message));
        }
        let own = |given: &Attribute| self.resolve(given).map(|found| Attribute { name: given.name.clone(), ..found.clone() });
        let mut attributes: Vec<Attribute> = node.attributes.iter().filter_map(own).collect();
        for default in &function.defaults {
            if !attributes.iter().any(|attribute| attribute.name == default.name) {
                attributes.push(default.clone());
            }
        }
        let mut opsets = self.opsets.clone();
        opsets.extend(function.opsets.iter().map(|(name, version)| (domain(name).to_string(), *version)));
        let inner = Recorder { opsets: &opsets, attributes: &attributes, calls: self.calls + 1, ..*self };
        let mut names = Names::within(None);
        for (name, value) in function.inputs.iter().zip(inputs) {
            if let Some(value) = value {
                names.insert(name, value);
            }
        }
        // Inputs that the call leaves out are absent within, too: their names become empty.
        let absent: Vec<&String> = function.inputs.iter().filter(|name| names.get(name).is_none()).collect();
        if absent.is_empty() {
            inner.nodes(&function.nodes, &mut names)?;
        } else {
            let mut nodes = function.nodes.clone();
            for input in nodes.iter_mut().flat_map(|node| node.inputs.iter_mut()).filter(|input| absent.contains(&&**input)) {
                input.clear();
            }
            inner.nodes(&nodes, &mut names)?;
        }
        function.outputs.iter().map(|name| inner.named(&names, name, &function.name)).collect()
    }

    /// The type that stands for this one.
    pub fn float_type(&self, dtype: DType) -> DType {
        self.floats.filter(|_| dtype.is_float()).unwrap_or(dtype)
    }

    /// A constant of the model in the type that stands for its own.
    pub fn in_floats(&self, constant: Tensor) -> Tensor {
        constant.cast(self.float_type(constant.dtype()))
    }

    /// The attribute itself, or, in a function, what its call says.
    pub fn resolve<'a>(&'a self, attribute: &'a Attribute) -> Option<&'a Attribute> {
        match &attribute.reference {
            None => Some(attribute),
            Some(name) => self.attributes.iter().find(|given| given.name == *name),
        }
    }
}
