//! Tensors of strings: they are there while a model is recorded, and only operators that take them get them.

use chainrule::Tensor;
use chainrule_onnx::write::{Message, graph, integer, model, node};
use chainrule_onnx::{ErrorKind, Model, Texts, Value};

fn texts(texts: &[&str], shape: &[usize]) -> Value {
    Texts::new(texts.iter().map(|text| text.to_string()).collect(), shape.to_vec()).unwrap().into()
}

/// Inputs `a`, `b` ... of strings with so many axes of any size.
fn declared(name: &str, rank: usize) -> Message {
    let shape = (0..rank).fold(Message::new(), |shape, axis| shape.message(1, &Message::new().text(2, &format!("{name}{axis}"))));
    let tensor = Message::new().integer(1, 8).message(2, &shape);
    Message::new().text(1, name).message(2, &Message::new().message(1, &tensor))
}

fn made(node: Message, ranks: &[usize], given: &[Value]) -> Result<Vec<Value>, chainrule_onnx::Error> {
    let names = ["a", "b"];
    let inputs: Vec<Message> = names.iter().zip(ranks).map(|(name, &rank)| declared(name, rank)).collect();
    let outputs = [Message::new().text(1, "y"), Message::new().text(1, "z")];
    let outputs = &outputs[..if given.len() == 1 { 2 } else { 1 }];
    let model = Model::parse(&model(&graph(&[node], &[], &inputs, outputs), 20).finish())?;
    let given: Vec<(&str, Value)> = names.iter().copied().zip(given.iter().cloned()).collect();
    Ok(model.record_values(&given)?.into_iter().map(|(_, value)| value).collect())
}

/// Python's `split` says so.
#[test]
fn strings_are_split_as_python_does() {
    let attribute = |name: &str, value: &str| Message::new().text(1, name).bytes(4, value.as_bytes()).integer(20, 3);
    let cases: [(&str, &str, Option<i64>, &[&str]); 8] = [
        ("a,b,,c", ",", None, &["a", "b", "", "c"]),
        ("a,b,,c", ",", Some(1), &["a", "b,,c"]),
        ("a--b-c", "--", None, &["a", "b-c"]),
        ("  a b  c ", "", None, &["a", "b", "c"]),
        ("  a b  c ", "", Some(1), &["a", "b  c "]),
        ("a b", "", Some(0), &["a b"]),
        ("   ", "", None, &[]),
        ("ä ö", "", None, &["ä", "ö"]),
    ];
    for (text, delimiter, most, wanted) in cases {
        let split = node("", "StringSplit", &["a"], &["y", "z"]).message(5, &attribute("delimiter", delimiter));
        let split = most.into_iter().fold(split, |split, most| split.message(5, &integer("maxsplit", most)));
        let found = made(split, &[1], &[texts(&[text], &[1])]).unwrap();
        assert_eq!(found[0].as_texts().unwrap().texts(), wanted, "{text:?} at {delimiter:?}, {most:?}");
        assert_eq!(found[1].as_tensor().unwrap().to_vec::<i64>().unwrap(), [wanted.len() as i64]);
    }
}

#[test]
fn strings_broadcast() {
    let (a, b) = (texts(&["a", "b"], &[2, 1]), texts(&["x", "y", "b"], &[3]));
    let joined = made(node("", "StringConcat", &["a", "b"], &["y"]), &[2, 1], &[a.clone(), b.clone()]).unwrap();
    let joined = joined[0].as_texts().unwrap();
    assert_eq!((joined.shape(), joined.texts()), (&[2, 3][..], &["ax", "ay", "ab", "bx", "by", "bb"].map(String::from)[..]));
    let same = made(node("", "Equal", &["a", "b"], &["y"]), &[2, 1], &[a, b]).unwrap();
    assert_eq!(same[0].as_tensor().unwrap().to_vec::<bool>().unwrap(), [false, false, false, false, false, true]);
}

#[test]
fn what_takes_no_strings_says_so() {
    let refused = |node: Message, ranks: &[usize], given: &[Value]| made(node, ranks, given).unwrap_err();
    let error = refused(node("", "Relu", &["a"], &["y"]), &[1], &[texts(&["a"], &[1])]);
    assert!(error.kind() == ErrorKind::Unsupported && error.to_string().contains("elements are string"), "{error}");
    let error = refused(node("", "StringConcat", &["a", "b"], &["y"]), &[1, 1], &[texts(&["a"; 2], &[2]), texts(&["b"; 3], &[3])]);
    assert!(error.to_string().contains("do not broadcast"), "{error}");
    let error = refused(node("", "StringSplit", &["a"], &["y"]), &[1], &[Tensor::from([1.0]).into()]);
    assert!(error.kind() == ErrorKind::Input && error.to_string().contains("it takes strings"), "{error}");
    let error = refused(node("", "StringSplit", &["a"], &["y"]), &[1], &[texts(&["a"], &[1, 1])]);
    assert!(error.kind() == ErrorKind::Input, "{error}");
    assert!(Texts::new(vec![String::new()], vec![2]).unwrap_err().to_string().contains("do not fill"));
    assert!(Texts::new(Vec::new(), vec![usize::MAX, 2]).is_err());
}
