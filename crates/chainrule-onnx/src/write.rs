//! A writer of small models, for tests and examples: just enough of the wire format to build a graph in code.
//!
//! Not a way to save a model: no names are checked, nothing is complete.

use chainrule::{DType, Tensor};

/// The bytes of a message in the making.
#[derive(Clone, Default)]
pub struct Message(Vec<u8>);

impl Message {
    /// An empty message.
    pub fn new() -> Message {
        Message::default()
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A whole number.
    pub fn integer(mut self, field: u64, value: i64) -> Message {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    /// A float.
    pub fn float(mut self, field: u64, value: f32) -> Message {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// A run of bytes.
    pub fn bytes(mut self, field: u64, value: &[u8]) -> Message {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    /// Text.
    pub fn text(self, field: u64, value: &str) -> Message {
        self.bytes(field, value.as_bytes())
    }

    /// A message within.
    pub fn message(self, field: u64, value: &Message) -> Message {
        self.bytes(field, &value.0)
    }

    /// The bytes.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// The number of an element type.
pub fn element(dtype: DType) -> i64 {
    crate::proto::tensor::Element::of(dtype).0
}

/// A tensor with a name; its value must be there.
pub fn tensor(name: &str, value: &Tensor) -> Message {
    let sizes = value.shape().iter().fold(Message::new(), |message, &size| message.integer(1, size as i64));
    let raw = value.to_data().map(|data| data.bytes().to_vec()).unwrap_or_default();
    sizes.integer(2, element(value.dtype())).text(8, name).bytes(9, &raw)
}

/// The declaration of a tensor: sizes as numbers or names.
pub fn declared(name: &str, dtype: DType, sizes: &[&str]) -> Message {
    let dim = |size: &&str| match size.parse() {
        Ok(size) => Message::new().integer(1, size),
        Err(_) => Message::new().text(2, size),
    };
    let shape = sizes.iter().map(dim).fold(Message::new(), |shape, dim| shape.message(1, &dim));
    let tensor = Message::new().integer(1, element(dtype)).message(2, &shape);
    Message::new().text(1, name).message(2, &Message::new().message(1, &tensor))
}

/// A node of ONNX's own domain, without attributes.
pub fn node(name: &str, operator: &str, inputs: &[&str], outputs: &[&str]) -> Message {
    let node = inputs.iter().fold(Message::new(), |node, input| node.text(1, input));
    outputs.iter().fold(node, |node, output| node.text(2, output)).text(3, name).text(4, operator)
}

/// An attribute that is a whole number.
pub fn integer(name: &str, value: i64) -> Message {
    Message::new().text(1, name).integer(3, value).integer(20, 2)
}

/// An attribute that is a graph.
pub fn subgraph(name: &str, graph: &Message) -> Message {
    Message::new().text(1, name).message(6, graph).integer(20, 5)
}

/// A graph of nodes, initializers, inputs and outputs.
pub fn graph(nodes: &[Message], initializers: &[Message], inputs: &[Message], outputs: &[Message]) -> Message {
    let parts = [(1, nodes), (5, initializers), (11, inputs), (12, outputs)];
    let graph = Message::new().text(2, "main");
    parts
        .iter()
        .flat_map(|(field, all)| all.iter().map(move |one| (*field, one)))
        .fold(graph, |graph, (field, one)| graph.message(field, one))
}

/// A model of a graph, with this version of ONNX's own operator set.
pub fn model(graph: &Message, opset: i64) -> Message {
    Message::new().integer(1, 8).message(7, graph).message(8, &Message::new().text(1, "").integer(2, opset))
}

/// The model of the crate's example: `y = relu(x w + b)`.
pub fn example() -> Vec<u8> {
    let w = tensor("w", &Tensor::from([[0.5], [0.5]]));
    let b = tensor("b", &Tensor::from([-2.0]));
    let nodes = [node("dense", "Gemm", &["x", "w", "b"], &["h"]), node("", "Relu", &["h"], &["y"])];
    let (x, y) = (declared("x", DType::F32, &["n", "2"]), declared("y", DType::F32, &["n", "1"]));
    // 0.5 + 1 - 2 is negative, 1.5 + 2 - 2 is not.
    model(&graph(&nodes, &[w, b], &[x], &[y]), 13).finish()
}
