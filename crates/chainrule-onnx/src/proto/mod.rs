//! The messages of an ONNX file, as far as recording a graph needs them: models, graphs, nodes, attributes, types.
//!
//! The numbers of fields are those of `onnx.proto` (<https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>). Fields that
//! are not listed here are passed over; names and sizes are taken as they stand and judged where they are used.

pub mod tensor;
pub mod value;
pub mod wire;

use crate::error::Result;
use std::path::Path;
use tensor::{Element, TensorMessage};
use wire::Reader;

/// A whole file.
#[derive(Default)]
pub struct ModelMessage {
    pub producer: String,
    pub opsets: Vec<(String, i64)>,
    pub graph: Option<Graph>,
    pub functions: Vec<Function>,
}

/// Nodes, in an order in which each finds its inputs made.
#[derive(Clone, Default)]
pub struct Graph {
    pub name: String,
    pub nodes: Vec<Node>,
    pub initializers: Vec<TensorMessage>,
    pub inputs: Vec<Named>,
    pub outputs: Vec<Named>,
    pub sparse: bool,
}

/// One application of an operator.
#[derive(Clone, Default)]
pub struct Node {
    pub name: String,
    pub operator: String,
    pub domain: String,
    pub overload: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attributes: Vec<Attribute>,
}

/// A function that the model brings along.
#[derive(Clone, Default)]
pub struct Function {
    pub name: String,
    pub domain: String,
    pub overload: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub defaults: Vec<Attribute>,
    pub nodes: Vec<Node>,
    pub opsets: Vec<(String, i64)>,
}

/// A named constant of a node.
#[derive(Clone)]
pub struct Attribute {
    pub name: String,
    pub value: AttributeValue,
    /// In a function: the attribute of the call that stands here.
    pub reference: Option<String>,
}

/// What an attribute holds.
#[derive(Clone)]
pub enum AttributeValue {
    Nothing,
    Float(f32),
    Integer(i64),
    Text(Vec<u8>),
    Tensor(Box<TensorMessage>),
    Graph(Box<Graph>),
    Type,
    Floats(Vec<f32>),
    Integers(Vec<i64>),
    Texts(Vec<Vec<u8>>),
    Tensors(Vec<TensorMessage>),
    /// Sparse tensors, lists of graphs and of types, by name.
    Other(&'static str),
}

/// A name and the type of what it stands for.
#[derive(Clone, Default)]
pub struct Named {
    pub name: String,
    pub kind: Kind,
}

/// A type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Not said.
    #[default]
    Unknown,
    /// A tensor, with its sizes where they are said.
    Tensor(Element, Option<Vec<Size>>),
    /// A list of values of one type.
    Sequence(Box<Kind>),
    /// A value or none.
    Optional(Box<Kind>),
    /// A map or a sparse tensor, by name.
    Other(&'static str),
}

/// The size of an axis as a model declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Size {
    /// Not said.
    Any,
    /// A number.
    Is(i64),
    /// A name: the same size wherever the name stands.
    Named(String),
}

impl ModelMessage {
    pub fn parse(bytes: &[u8]) -> Result<ModelMessage> {
        let mut reader = Reader::new(bytes);
        let mut model = ModelMessage::default();
        while let Some(field) = reader.field()? {
            match field.number {
                2 => model.producer = field.text()?,
                7 => model.graph = Some(Graph::parse(field.message()?)?),
                8 => model.opsets.push(opset(field.message()?)?),
                25 => model.functions.push(Function::parse(field.message()?)?),
                _ => {}
            }
        }
        Ok(model)
    }
}

fn opset(mut reader: Reader<'_>) -> Result<(String, i64)> {
    let mut opset = (String::new(), 0);
    while let Some(field) = reader.field()? {
        match field.number {
            1 => opset.0 = field.text()?,
            2 => opset.1 = field.integer()?,
            _ => {}
        }
    }
    Ok(opset)
}

impl Graph {
    fn parse(mut reader: Reader<'_>) -> Result<Graph> {
        let mut graph = Graph::default();
        while let Some(field) = reader.field()? {
            match field.number {
                1 => graph.nodes.push(Node::parse(field.message()?)?),
                2 => graph.name = field.text()?,
                5 => graph.initializers.push(TensorMessage::parse(field.message()?, field.offset)?),
                11 => graph.inputs.push(Named::parse(field.message()?)?),
                12 => graph.outputs.push(Named::parse(field.message()?)?),
                15 => graph.sparse = true,
                _ => {}
            }
        }
        Ok(graph)
    }

    /// Reads the elements of all tensors of this graph that lie in files of their own.
    pub fn load_external(&mut self, folder: &Path) -> Result<()> {
        self.initializers.iter_mut().try_for_each(|tensor| tensor.load_external(folder))?;
        self.nodes.iter_mut().try_for_each(|node| node.load_external(folder))
    }
}

impl Node {
    fn parse(mut reader: Reader<'_>) -> Result<Node> {
        let mut node = Node::default();
        while let Some(field) = reader.field()? {
            match field.number {
                1 => node.inputs.push(field.text()?),
                2 => node.outputs.push(field.text()?),
                3 => node.name = field.text()?,
                4 => node.operator = field.text()?,
                5 => node.attributes.push(Attribute::parse(field.message()?, field.offset)?),
                7 => node.domain = field.text()?,
                8 => node.overload = field.text()?,
                _ => {}
            }
        }
        Ok(node)
    }

    /// As [`Graph::load_external`], of the attributes of a node.
    pub fn load_external(&mut self, folder: &Path) -> Result<()> {
        self.attributes.iter_mut().try_for_each(|attribute| match &mut attribute.value {
            AttributeValue::Tensor(tensor) => tensor.load_external(folder),
            AttributeValue::Graph(graph) => graph.load_external(folder),
            AttributeValue::Tensors(tensors) => tensors.iter_mut().try_for_each(|tensor| tensor.load_external(folder)),
            _ => Ok(()),
        })
    }
}

impl Function {
    fn parse(mut reader: Reader<'_>) -> Result<Function> {
        let mut function = Function::default();
        while let Some(field) = reader.field()? {
            match field.number {
                1 => function.name = field.text()?,
                4 => function.inputs.push(field.text()?),
                5 => function.outputs.push(field.text()?),
                7 => function.nodes.push(Node::parse(field.message()?)?),
                9 => function.opsets.push(opset(field.message()?)?),
                10 => function.domain = field.text()?,
                11 => function.defaults.push(Attribute::parse(field.message()?, field.offset)?),
                13 => function.overload = field.text()?,
                _ => {}
            }
        }
        Ok(function)
    }
}

impl Attribute {
    fn parse(mut reader: Reader<'_>, offset: usize) -> Result<Attribute> {
        let (mut name, mut reference, mut kind) = (String::new(), None, 0);
        let (mut float, mut integer, mut text) = (0.0, 0, Vec::new());
        let (mut tensor, mut graph) = (None, None);
        let (mut floats, mut integers, mut texts, mut tensors) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        // Files from before attributes had a type: the field that is there tells it.
        let mut seen = 0;
        while let Some(field) = reader.field()? {
            let types = match field.number {
                2 => 1,
                3 => 2,
                4 => 3,
                5 => 4,
                6 => 5,
                7 => 6,
                8 => 7,
                9 => 8,
                10 => 9,
                11 => 10,
                14 => 13,
                15 => 14,
                22 => 11,
                23 => 12,
                _ => seen,
            };
            seen = types;
            match field.number {
                1 => name = field.text()?,
                2 => float = field.float()?,
                3 => integer = field.integer()?,
                4 => text = field.bytes()?.to_vec(),
                5 => tensor = Some(Box::new(TensorMessage::parse(field.message()?, field.offset)?)),
                6 => graph = Some(Box::new(Graph::parse(field.message()?)?)),
                7 => field.floats(&mut floats)?,
                8 => field.integers(&mut integers)?,
                9 => texts.push(field.bytes()?.to_vec()),
                10 => tensors.push(TensorMessage::parse(field.message()?, field.offset)?),
                20 => kind = field.integer()?,
                21 => reference = Some(field.text()?).filter(|name| !name.is_empty()),
                _ => {}
            }
        }
        let absent = |what: &str| crate::Error::malformed(offset, format!("attribute '{name}' is said to hold {what} and holds none"));
        let value = match if kind == 0 { seen } else { kind } {
            _ if reference.is_some() => AttributeValue::Nothing,
            1 => AttributeValue::Float(float),
            2 => AttributeValue::Integer(integer),
            3 => AttributeValue::Text(text),
            4 => AttributeValue::Tensor(tensor.ok_or_else(|| absent("a tensor"))?),
            5 => AttributeValue::Graph(graph.ok_or_else(|| absent("a graph"))?),
            6 => AttributeValue::Floats(floats),
            7 => AttributeValue::Integers(integers),
            8 => AttributeValue::Texts(texts),
            9 => AttributeValue::Tensors(tensors),
            10 => AttributeValue::Other("a list of graphs"),
            11 => AttributeValue::Other("a sparse tensor"),
            12 => AttributeValue::Other("a list of sparse tensors"),
            13 => AttributeValue::Type,
            14 => AttributeValue::Other("a list of types"),
            _ => AttributeValue::Nothing,
        };
        Ok(Attribute { name, value, reference })
    }
}

impl Named {
    fn parse(mut reader: Reader<'_>) -> Result<Named> {
        let mut named = Named::default();
        while let Some(field) = reader.field()? {
            match field.number {
                1 => named.name = field.text()?,
                2 => named.kind = Kind::parse(field.message()?)?,
                _ => {}
            }
        }
        Ok(named)
    }
}

impl Kind {
    fn parse(mut reader: Reader<'_>) -> Result<Kind> {
        let mut kind = Kind::Unknown;
        while let Some(field) = reader.field()? {
            kind = match field.number {
                1 => Kind::parse_tensor(field.message()?)?,
                4 => Kind::Sequence(Box::new(Kind::parse_inner(field.message()?)?)),
                9 => Kind::Optional(Box::new(Kind::parse_inner(field.message()?)?)),
                5 => Kind::Other("a map"),
                8 => Kind::Other("a sparse tensor"),
                _ => continue,
            };
        }
        Ok(kind)
    }

    fn parse_inner(mut reader: Reader<'_>) -> Result<Kind> {
        let mut kind = Kind::Unknown;
        while let Some(field) = reader.field()? {
            if field.number == 1 {
                kind = Kind::parse(field.message()?)?;
            }
        }
        Ok(kind)
    }

    fn parse_tensor(mut reader: Reader<'_>) -> Result<Kind> {
        let (mut element, mut sizes) = (Element(0), None);
        while let Some(field) = reader.field()? {
            match field.number {
                1 => element = Element(field.integer()?),
                2 => sizes = Some(parse_sizes(field.message()?)?),
                _ => {}
            }
        }
        Ok(Kind::Tensor(element, sizes))
    }
}

fn parse_sizes(mut reader: Reader<'_>) -> Result<Vec<Size>> {
    let mut sizes = Vec::new();
    while let Some(field) = reader.field()? {
        if field.number != 1 {
            continue;
        }
        let mut dim = field.message()?;
        let mut size = Size::Any;
        while let Some(part) = dim.field()? {
            match part.number {
                1 => size = Size::Is(part.integer()?),
                2 => size = Some(part.text()?).filter(|name| !name.is_empty()).map_or(Size::Any, Size::Named),
                _ => {}
            }
        }
        sizes.push(size);
    }
    Ok(sizes)
}
