//! Functions that a model brings along, graphs in nodes, sequences and optionals: what has no tensor of its own.

use chainrule::{DType, Rng, Tensor};
use chainrule_onnx::write::{Message, declared, graph, integer, model, node, subgraph, tensor};
use chainrule_onnx::{Model, Value};

fn opset(domain: &str, version: i64) -> Message {
    Message::new().text(1, domain).integer(2, version)
}

/// An attribute that stands for one of the function's call.
fn reference(name: &str, of: &str, kind: i64) -> Message {
    Message::new().text(1, name).text(21, of).integer(20, kind)
}

/// `Stretch(a, low?) = Clip(LeakyRelu(a, alpha = slope), low)`; `slope` is 0.5 by default.
fn stretch() -> Message {
    let float = |name: &str, value: f32| Message::new().text(1, name).float(2, value).integer(20, 1);
    Message::new()
        .text(1, "Stretch")
        .text(4, "a")
        .text(4, "low")
        .text(5, "out")
        .message(7, &node("bend", "LeakyRelu", &["a"], &["bent"]).message(5, &reference("alpha", "slope", 1)))
        .message(7, &node("cut", "Clip", &["bent", "low"], &["out"]))
        .message(9, &opset("", 13))
        .text(10, "own")
        .message(11, &float("slope", 0.5))
}

fn with_function(call: Message) -> Model {
    let (x, y) = (declared("x", DType::F32, &["n"]), declared("y", DType::F32, &["n"]));
    let low = tensor("low", &Tensor::from(-1.0));
    let bytes = model(&graph(&[call.text(7, "own")], &[low], &[x], &[y]), 13).message(8, &opset("own", 1)).message(25, &stretch());
    Model::parse(&bytes.finish()).unwrap()
}

fn values(model: &Model, x: &Tensor) -> Vec<f32> {
    model.record(&[("x", x.clone())]).unwrap()[0].1.to_vec().unwrap()
}

#[test]
fn functions_stand_in_place_of_their_calls() {
    let x = Tensor::from([-4.0, -1.0, 2.0]);
    let call = |inputs: &[&str]| node("", "Stretch", inputs, &["y"]);
    assert_eq!(values(&with_function(call(&["x", "low"])), &x), [-1.0, -0.5, 2.0]);
    // Without the second input, none is given to the node within; with an attribute, the default does not count.
    assert_eq!(values(&with_function(call(&["x"])), &x), [-2.0, -0.5, 2.0]);
    let slope = Message::new().text(1, "slope").float(2, 0.25).integer(20, 1);
    assert_eq!(values(&with_function(call(&["x", ""]).message(5, &slope)), &x), [-1.0, -0.25, 2.0]);
}

#[test]
fn errors_name_the_node_within() {
    let bytes = {
        let wrong = Message::new().text(1, "F").text(4, "a").text(5, "b").message(7, &node("inner", "MatMul", &["a", "a"], &["b"]));
        let wrong = wrong.message(9, &opset("", 13)).text(10, "own");
        let (x, y) = (declared("x", DType::F32, &["n", "m"]), declared("y", DType::F32, &["n"]));
        let call = node("outer", "F", &["x"], &["y"]).text(7, "own");
        model_of(&[call], &[x], &[y]).message(8, &opset("own", 1)).message(25, &wrong).finish()
    };
    let error = Model::parse(&bytes).unwrap().record(&[("x", Tensor::zeros([2, 3]))]).unwrap_err();
    assert_eq!(error.place().unwrap().node, "'inner'");
}

fn model_of(nodes: &[Message], inputs: &[Message], outputs: &[Message]) -> Message {
    model(&graph(nodes, &[], inputs, outputs), 13)
}

#[test]
fn branches_see_the_names_around_them() {
    let branch = |name: &str, operator: &str| {
        subgraph(name, &graph(&[node("", operator, &["x"], &["z"])], &[], &[], &[declared("z", DType::F32, &["n"])]))
    };
    let choice = node("", "If", &["c"], &["y"]).message(5, &branch("then_branch", "Exp")).message(5, &branch("else_branch", "Neg"));
    let (x, c, y) = (declared("x", DType::F32, &["n"]), declared("c", DType::Bool, &[]), declared("y", DType::F32, &["n"]));
    let model = Model::parse(&model_of(&[choice], &[x, c], &[y]).finish()).unwrap();
    let x = Tensor::from([0.0, 1.0]);
    for (condition, slope) in [(true, [1.0, 1f32.exp()]), (false, [-1.0, -1.0])] {
        let y = model.record(&[("x", x.clone()), ("c", Tensor::from(condition))]).unwrap()[0].1.clone();
        let gradient = y.sum().grad(&[&x]).unwrap()[0].to_vec::<f32>().unwrap();
        assert!(gradient.iter().zip(slope).all(|(got, wanted)| (got - wanted).abs() < 1e-6), "{condition}: {gradient:?}");
    }
    // Which branch it is must be known while recording.
    let unknown = model.record(&[("x", x), ("c", Tensor::placeholder((), DType::Bool))]).unwrap_err();
    assert!(unknown.to_string().starts_with("node #0 (If, opset 13): input 0: "), "{unknown}");
}

#[test]
fn loops_are_differentiated_through() {
    // a <- a * a, three times: a^8.
    let (i, go) = (declared("i", DType::I64, &[]), declared("go", DType::Bool, &[]));
    let body = graph(
        &[node("", "Mul", &["a", "a"], &["b"]), node("", "Identity", &["go"], &["next"])],
        &[],
        &[i, go, declared("a", DType::F32, &["n"])],
        &[declared("next", DType::Bool, &[]), declared("b", DType::F32, &["n"])],
    );
    let turn = node("", "Loop", &["trips", "", "x"], &["y"]).message(5, &subgraph("body", &body));
    let (x, trips, y) = (declared("x", DType::F32, &["n"]), declared("trips", DType::I64, &[]), declared("y", DType::F32, &["n"]));
    let model = Model::parse(&model_of(&[turn], &[x, trips], &[y]).finish()).unwrap();
    let x = Tensor::from([1.0, 2.0]);
    let y = model.record(&[("x", x.clone()), ("trips", Tensor::from(3i64))]).unwrap()[0].1.clone();
    assert_eq!(y.to_vec::<f32>().unwrap(), [1.0, 256.0]);
    assert_eq!(y.sum().grad(&[&x]).unwrap()[0].to_vec::<f32>().unwrap(), [8.0, 1024.0]);
}

#[test]
fn sequences_and_optionals_are_values() {
    let sequence = Message::new().text(1, "parts").message(2, &Message::new().message(4, &Message::new().message(1, &float_type())));
    let longer = node("", "SequenceInsert", &["parts", "x"], &["y"]);
    let (x, y) = (declared("x", DType::F32, &["n"]), Message::new().text(1, "y"));
    let model = Model::parse(&model_of(&[longer], &[sequence, x], &[y]).finish()).unwrap();
    let (a, b) = (Tensor::from([1.0]), Tensor::from([2.0, 3.0]));
    let made = model.record_values(&[("parts", Value::Sequence(vec![a.clone()])), ("x", Value::Tensor(b.clone()))]).unwrap();
    let Value::Sequence(parts) = &made[0].1 else { panic!("{:?}", made[0].1) };
    assert!(parts.len() == 2 && parts[0].is(&a) && parts[1].is(&b));
    // Where a tensor is wanted, a sequence is refused by name, in and out.
    let error = model.record_values(&[("parts", Value::Tensor(a.clone())), ("x", Value::Tensor(b.clone()))]).unwrap_err();
    assert_eq!(error.to_string(), "input 'parts' is sequence of float, not a tensor");
}

fn float_type() -> Message {
    Message::new().message(1, &Message::new().integer(1, 1))
}

#[test]
fn random_numbers_come_from_the_source_that_is_given() {
    let noise = node("", "RandomNormalLike", &["x"], &["y"]);
    let (x, y) = (declared("x", DType::F32, &["n"]), declared("y", DType::F32, &["n"]));
    let model = Model::parse(&model_of(&[noise], std::slice::from_ref(&x), std::slice::from_ref(&y)).finish()).unwrap();
    let draw = |rng: &mut Rng| {
        let made = model.record_with(&[("x", Value::Tensor(Tensor::zeros([1000])))], rng).unwrap();
        made[0].1.as_tensor().unwrap().to_vec::<f32>().unwrap()
    };
    let mut rng = Rng::new(5);
    let (first, second, again) = (draw(&mut rng), draw(&mut rng), draw(&mut Rng::new(5)));
    assert!(first == again && first != second);
    let mean = first.iter().sum::<f32>() / 1000.0;
    assert!(mean.abs() < 0.15, "five standard deviations of a mean of 1000: {mean}");
    // A seed of the node's own counts whatever is given.
    let seeded = node("", "RandomNormalLike", &["x"], &["y"]).message(5, &Message::new().text(1, "seed").float(2, 3.0).integer(20, 1));
    let model = Model::parse(&model_of(&[seeded], &[x], &[y]).finish()).unwrap();
    let draw = |seed: u64| {
        let made = model.record_with(&[("x", Value::Tensor(Tensor::zeros([8])))], &mut Rng::new(seed)).unwrap();
        made[0].1.as_tensor().unwrap().to_vec::<f32>().unwrap()
    };
    assert_eq!(draw(1), draw(2));
}

#[test]
fn attributes_of_old_files_tell_their_type_by_their_field() {
    // No field 20: the type of an attribute is what is there.
    let old = Message::new().text(1, "axis").integer(3, 0);
    let (x, y) = (declared("x", DType::F32, &["n", "m"]), declared("y", DType::F32, &["n", "m"]));
    let model = Model::parse(
        &model_of(&[node("", "Softmax", &["x"], &["y"]).message(5, &old)], std::slice::from_ref(&x), std::slice::from_ref(&y)).finish(),
    )
    .unwrap();
    let y_old = model.record(&[("x", Tensor::zeros([2, 1]))]).unwrap()[0].1.to_vec::<f32>().unwrap();
    assert_eq!(y_old, [0.5, 0.5]);
    let new = model_of(&[node("", "Softmax", &["x"], &["y"]).message(5, &integer("axis", 0))], &[x], &[y]).finish();
    assert_eq!(Model::parse(&new).unwrap().record(&[("x", Tensor::zeros([2, 1]))]).unwrap()[0].1.to_vec::<f32>().unwrap(), y_old);
}
