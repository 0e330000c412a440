//! The networks of the last suite with weights drawn at random.
//!
//! In the suite every weight is the same number, made by a node: all classes are then as likely as each other, and nothing
//! depends on the picture. Here the nodes give way to initializers, which are drawn as networks are before they learn.
//! Reads as much of the wire format as that takes, and trusts the files to be well formed.

use crate::cases::Set;
use chainrule::nn::Module;
use chainrule::{DType, Rng, Tensor};
use chainrule_onnx::write::{Message, tensor};

use chainrule_onnx::{Error, Model, Value};
use std::path::Path;

/// What all of them tell apart.
const CLASSES: usize = 1000;

/// A field of a message, as far as these files have them.
#[derive(Clone, Copy)]
enum Field<'a> {
    Integer(u64),
    Fixed([u8; 4]),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap_or(0);
    let value = bytes[..=end].iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f));
    *bytes = &bytes[end + 1..];
    value
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Integer(varint(&mut bytes)),
            5 => {
                let (head, rest) = bytes.split_at(4);
                bytes = rest;
                Field::Fixed(head.try_into().unwrap())
            }
            2 => {
                let count = varint(&mut bytes) as usize;
                let (head, rest) = bytes.split_at(count);
                bytes = rest;
                Field::Bytes(head)
            }
            kind => panic!("a field of kind {kind}"),
        };
        all.push((key >> 3, field));
    }
    all
}

/// A message with this field added.
fn with(message: Message, number: u64, field: Field<'_>) -> Message {
    match field {
        Field::Integer(value) => message.integer(number, value as i64),
        Field::Fixed(bytes) => message.float(number, f32::from_le_bytes(bytes)),
        Field::Bytes(bytes) => message.bytes(number, bytes),
    }
}

/// The texts of a node: its first input, its first output, its operator.
fn node(bytes: &[u8]) -> [String; 3] {
    let all = fields(bytes);
    let text = |wanted: u64| {
        all.iter()
            .find_map(|(number, field)| match field {
                Field::Bytes(bytes) if *number == wanted => Some(String::from_utf8_lossy(bytes).into_owned()),
                _ => None,
            })
            .unwrap_or_default()
    };
    [text(1), text(2), text(4)]
}

/// The graph with an initializer in place of each node that makes a weight, and the names: of the weight and of its sizes.
fn opened(graph: &[u8]) -> (Message, Vec<(String, String)>) {
    let (mut rest, mut weights) = (Message::new(), Vec::new());
    for (number, field) in fields(graph) {
        match field {
            Field::Bytes(bytes) if number == 1 && node(bytes)[2] == "ConstantOfShape" => {
                let [sizes, weight, _] = node(bytes);
                rest = rest.message(5, &tensor(&weight, &Tensor::from(0.0f32)));
                weights.push((weight, sizes));
            }
            field => rest = with(rest, number, field),
        }
    }
    (rest, weights)
}

/// A weight of these sizes. The variance of kernels and matrices is one over the numbers that each of their sums takes, so
/// that what comes out is about as large as what went in; where the classes are told apart it is less, as nothing depends on
/// anything where one class is certain. Biases, means, variances and factors, which have one axis, lie about 1, as
/// variances must not be negative.
fn draw(sizes: &[usize], rng: &mut Rng) -> Tensor {
    let uniform = Tensor::rand_of(sizes, DType::F32, rng) * 2.0 - 1.0;
    match sizes {
        [outer, inner @ ..] if !inner.is_empty() => {
            let size = (3.0 / inner.iter().product::<usize>() as f64).sqrt();
            uniform * if *outer == CLASSES { 0.05 * size } else { size }
        }
        _ => uniform * 0.5 + 1.0,
    }
}

/// The network of a file with all its weights drawn.
pub fn drawn(path: &Path) -> Result<Model, Error> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let (mut message, mut weights) = (Message::new(), Vec::new());
    for (number, field) in fields(&bytes) {
        match field {
            Field::Bytes(graph) if number == 7 => {
                let (graph, found) = opened(graph);
                message = message.message(number, &graph);
                weights = found;
            }
            field => message = with(message, number, field),
        }
    }
    let mut model = Model::parse(&message.finish())?;
    let mut rng = Rng::new(17);
    let sizes: Vec<(String, Tensor)> = Module::buffers(&model);
    for (name, sizes_name) in &weights {
        let (_, sizes) = sizes.iter().find(|(name, _)| name == sizes_name).unwrap_or_else(|| panic!("'{name}' has no sizes"));
        let sizes: Vec<usize> = sizes.to_vec::<i64>()?.iter().map(|&size| size as usize).collect();
        assert!(model.set(name, draw(&sizes, &mut rng).to_leaf()?), "'{name}' was opened");
    }
    // What the file does hold is one number, too.
    for (name, old) in model.parameters() {
        if !weights.iter().any(|(weight, _)| *weight == name) {
            model.set(&name, draw(old.shape(), &mut rng).to_leaf()?);
        }
    }
    Ok(model)
}

/// Inputs of the same sizes, drawn. In those of the suite neighbours are next to equal, and so are what maxima are taken of.
pub fn pictures(set: &Set) -> Set {
    let mut rng = Rng::new(23);
    let mut one = |value: &Value| value.map(&mut |tensor| Tensor::rand_of(tensor.shape(), tensor.dtype(), &mut rng));
    Set { inputs: set.inputs.iter().map(|(name, value)| (name.clone(), one(value))).collect(), wanted: set.wanted.clone() }
}
