//! Files that were cut, bent or made to harm: an error or a model, never a panic.

use chainrule::{DType, Tensor};
use chainrule_onnx::write::{Message, declared, example, graph, integer, model, node, subgraph, tensor};
use chainrule_onnx::{ErrorKind, Model};

/// Numbers without a pattern: Marsaglia, "Xorshift RNGs" (2003).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Models with messages of every kind.
fn models() -> Vec<Vec<u8>> {
    let (x, y) = (declared("x", DType::F32, &["n", "2"]), declared("y", DType::F32, &["n"]));
    let known = |name: &str, values: &[i64]| tensor(name, &Tensor::from(values.to_vec()));
    let shapes = graph(
        &[
            node("", "Slice", &["x", "start", "stop"], &["a"]),
            node("", "Pad", &["a", "widths"], &["b"]).message(5, &Message::new().text(1, "mode").text(4, "edge").integer(20, 3)),
            node("", "Reshape", &["b", "shape"], &["c"]),
            node("", "ReduceSum", &["c", "start"], &["y"]).message(5, &integer("keepdims", 0)),
        ],
        &[known("start", &[0]), known("stop", &[2]), known("widths", &[1, 0, 1, 0]), known("shape", &[-1, 2])],
        std::slice::from_ref(&x),
        std::slice::from_ref(&y),
    );
    let branch = |name: &str, operator: &str| {
        subgraph(name, &graph(&[node("", operator, &["x"], &["z"])], &[], &[], &[declared("z", DType::F32, &["n", "2"])]))
    };
    let choice = node("", "If", &["c"], &["y"]).message(5, &branch("then_branch", "Relu")).message(5, &branch("else_branch", "Neg"));
    let choice = graph(&[choice], &[tensor("c", &Tensor::from(true))], &[x], &[y]);
    vec![example(), model(&shapes, 13).finish(), model(&choice, 13).finish()]
}

fn try_one(bytes: &[u8]) {
    if let Ok(model) = Model::parse(bytes) {
        let inputs: Vec<(String, Tensor)> = model.inputs().iter().map(|input| (input.name.clone(), Tensor::from([[1.0, 2.0]]))).collect();
        let inputs: Vec<(&str, Tensor)> = inputs.iter().map(|(name, x)| (name.as_str(), x.clone())).collect();
        let _ = model.record(&inputs);
    }
}

#[test]
fn whole_models_are_read() {
    for bytes in models() {
        let model = Model::parse(&bytes).unwrap();
        let y = &model.record(&[("x", Tensor::from([[1.0, 2.0]]))]).unwrap()[0].1;
        assert!(y.eval().is_ok());
    }
}

#[test]
fn cut_at_every_byte() {
    for bytes in models() {
        for length in 0..bytes.len() {
            try_one(&bytes[..length]);
        }
        // The graph is the longest part: cut within it, its announced length is wrong.
        let error = Model::parse(&bytes[..bytes.len() / 2]).unwrap_err();
        assert!(error.kind() == ErrorKind::Malformed && error.offset().is_some(), "{error}");
    }
}

#[test]
fn bent_at_random() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for bytes in models() {
        for _ in 0..4000 {
            let mut bent = bytes.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(bent.len());
                bent[at] = [random.below(256) as u8, 0, 0xff, 0x7f, bent[at].wrapping_add(1)][random.below(5)];
            }
            try_one(&bent);
        }
    }
}

#[test]
fn messages_in_messages_without_end() {
    // A graph in an attribute in a node in a graph, until the file is full: read with a small stack.
    let mut inner = graph(&[], &[], &[], &[]);
    for _ in 0..2000 {
        inner = graph(&[node("", "If", &["c"], &["y"]).message(5, &subgraph("then_branch", &inner))], &[], &[], &[]);
    }
    let bytes = model(&inner, 13).finish();
    let reading = std::thread::Builder::new().stack_size(512 * 1024).spawn(move || Model::parse(&bytes).unwrap_err()).unwrap();
    let error = reading.join().unwrap();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.message().contains("messages lie 100 deep in each other"), "{error}");
}

#[test]
fn sizes_that_no_memory_holds() {
    let record = |nodes: &[Message], known: &[(&str, Vec<i64>)]| {
        let known: Vec<Message> = known.iter().map(|(name, values)| tensor(name, &Tensor::from(values.clone()))).collect();
        let (x, y) = (declared("x", DType::F32, &["n"]), declared("y", DType::F32, &["m"]));
        let model = Model::parse(&model(&graph(nodes, &known, &[x], &[y]), 18).finish()).unwrap();
        model.record(&[("x", Tensor::from([1.0, 2.0]))]).map(|made| made[0].1.clone())
    };
    let huge = i64::MAX / 2;
    let text = |name: &str, value: &str| Message::new().text(1, name).text(4, value).integer(20, 3);
    assert!(record(&[node("", "Expand", &["x", "s"], &["y"])], &[("s", vec![huge, 2])]).is_err());
    assert!(record(&[node("", "ConstantOfShape", &["s"], &["y"])], &[("s", vec![huge])]).is_err());
    assert!(record(&[node("", "ConstantOfShape", &["s"], &["y"])], &[("s", vec![-1])]).is_err());
    assert!(record(&[node("", "Tile", &["x", "s"], &["y"])], &[("s", vec![huge])]).is_err());
    assert!(record(&[node("", "Pad", &["x", "s"], &["y"]).message(5, &text("mode", "wrap"))], &[("s", vec![huge, huge])]).is_err());
    assert!(record(&[node("", "Pad", &["x", "s"], &["y"]).message(5, &text("mode", "wrap"))], &[("s", vec![1 << 30, 0])]).is_err());
    // What is refused only where it is evaluated: an array that is larger than any machine's memory.
    let y = record(&[node("", "ConstantOfShape", &["s"], &["y"])], &[("s", vec![1 << 45])]).unwrap();
    assert!((y + 1.0).eval().is_err());
    let split = node("", "Split", &["x"], &["y"]).message(5, &integer("num_outputs", huge));
    assert!(record(&[split], &[]).is_err());
}
