//! One name, several meanings: an operator is what the model's operator set says.

use chainrule::Tensor;
use chainrule_onnx::write::{Message, declared, graph, integer, model, node, tensor};
use chainrule_onnx::{Model, OPERATORS};

fn recorded(nodes: &[Message], known: &[Message], opset: i64, x: &Tensor) -> Result<Tensor, chainrule_onnx::Error> {
    let sizes: Vec<String> = x.shape().iter().map(usize::to_string).collect();
    let sizes: Vec<&str> = sizes.iter().map(String::as_str).collect();
    let x_type = declared("x", x.dtype(), &sizes);
    let y = Message::new().text(1, "y");
    let model = Model::parse(&model(&graph(nodes, known, &[x_type], &[y]), opset).finish())?;
    Ok(model.record(&[("x", x.clone())])?[0].1.clone())
}

fn integers(name: &str, values: &[i64]) -> Message {
    values.iter().fold(Message::new().text(1, name), |message, &value| message.integer(8, value)).integer(20, 7)
}

#[test]
fn softmax_was_over_all_axes_from_one_on() {
    let x = Tensor::from([[[0.0, 0.0], [0.0, 0.0]]]);
    let softmax = node("", "Softmax", &["x"], &["y"]);
    let old = recorded(std::slice::from_ref(&softmax), &[], 11, &x).unwrap();
    let new = recorded(&[softmax], &[], 13, &x).unwrap();
    assert_eq!(old.to_vec::<f32>().unwrap(), [0.25; 4]);
    assert_eq!(new.to_vec::<f32>().unwrap(), [0.5; 4]);
}

#[test]
fn axes_became_inputs() {
    let x = Tensor::from([[1.0, 2.0]]);
    let axes = tensor("axes", &Tensor::from(vec![0i64]));
    let by_attribute = node("", "Squeeze", &["x"], &["y"]).message(5, &integers("axes", &[0]));
    let by_input = node("", "Squeeze", &["x", "axes"], &["y"]);
    assert_eq!(recorded(&[by_attribute], &[], 11, &x).unwrap().shape(), [2]);
    assert_eq!(recorded(&[by_input], &[axes], 13, &x).unwrap().shape(), [2]);
    let slice = node("", "Slice", &["x"], &["y"])
        .message(5, &integers("starts", &[1]))
        .message(5, &integers("ends", &[9]))
        .message(5, &integers("axes", &[1]));
    assert_eq!(recorded(&[slice], &[], 9, &x).unwrap().to_vec::<f32>().unwrap(), [2.0]);
}

#[test]
fn operands_were_aligned_by_an_axis() {
    let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    let b = tensor("b", &Tensor::from([10.0, 20.0]));
    let plain = node("", "Add", &["x", "b"], &["y"]);
    let aligned = plain.clone().message(5, &integer("broadcast", 1)).message(5, &integer("axis", 0));
    let old = recorded(&[aligned], std::slice::from_ref(&b), 6, &x).unwrap();
    assert_eq!(old.to_vec::<f32>().unwrap(), [11.0, 12.0, 23.0, 24.0]);
    let new = recorded(&[plain], &[b], 7, &x).unwrap();
    assert_eq!(new.to_vec::<f32>().unwrap(), [11.0, 22.0, 13.0, 24.0]);
}

#[test]
fn clip_had_attributes() {
    let x = Tensor::from([-5.0, 0.5, 5.0]);
    let float = |name: &str, value: f32| Message::new().text(1, name).float(2, value).integer(20, 1);
    let old = node("", "Clip", &["x"], &["y"]).message(5, &float("min", -1.0)).message(5, &float("max", 1.0));
    let new = node("", "Clip", &["x", "", "high"], &["y"]);
    assert_eq!(recorded(&[old], &[], 6, &x).unwrap().to_vec::<f32>().unwrap(), [-1.0, 0.5, 1.0]);
    let high = tensor("high", &Tensor::from(1.0));
    assert_eq!(recorded(&[new], &[high], 13, &x).unwrap().to_vec::<f32>().unwrap(), [-5.0, 0.5, 1.0]);
}

#[test]
fn dropout_does_nothing_unless_it_trains() {
    let x = Tensor::ones([1000]);
    for opset in [7, 10, 12, 13, 22] {
        let y = recorded(&[node("", "Dropout", &["x"], &["y"])], &[], opset, &x).unwrap();
        assert_eq!(y.to_vec::<f32>().unwrap(), vec![1.0; 1000], "operator set {opset}");
    }
    let training = [tensor("ratio", &Tensor::from(0.25)), tensor("train", &Tensor::from(true))];
    let y = recorded(&[node("", "Dropout", &["x", "ratio", "train"], &["y"])], &training, 13, &x).unwrap().to_vec::<f32>().unwrap();
    let dropped = y.iter().filter(|&&y| y == 0.0).count();
    // Five standard deviations around a quarter.
    assert!((180..320).contains(&dropped), "{dropped} of 1000 are dropped");
    assert!(y.iter().all(|&y| y == 0.0 || (y - 4.0 / 3.0).abs() < 1e-6));
}

#[test]
fn constants_are_folded_into_shapes() {
    // Reshape to the shape of x with its axes exchanged, computed by the model itself.
    let nodes = [
        node("", "Shape", &["x"], &["shape"]),
        node("", "Gather", &["shape", "order"], &["turned"]),
        node("", "Reshape", &["x", "turned"], &["y"]),
    ];
    let order = tensor("order", &Tensor::from(vec![1i64, 0]));
    let y = recorded(&nodes, &[order], 13, &Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])).unwrap();
    assert_eq!(y.shape(), [3, 2]);
}

#[test]
fn the_table_is_in_order() {
    for (at, operator) in OPERATORS.iter().enumerate() {
        assert!(operator.since.windows(2).all(|pair| pair[0] < pair[1]) && !operator.since.is_empty(), "{}", operator.name);
        let again = OPERATORS[..at].iter().any(|other| (other.name, other.domain) == (operator.name, operator.domain));
        assert!(!again, "{} is listed twice", operator.name);
    }
}
