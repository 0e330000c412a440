//! Every kind of error, with what it must name.

use chainrule::{DType, Tensor};
use chainrule_onnx::write::{Message, declared, graph, integer, model, node, subgraph, tensor};
use chainrule_onnx::{Error, ErrorKind, Model};

/// A model of nodes from `x` to `y`, floats of sizes that are not said.
fn of(nodes: &[Message], initializers: &[Message], opset: i64) -> Result<Model, Error> {
    let (x, y) = (declared("x", DType::F32, &["n"]), declared("y", DType::F32, &["m"]));
    Model::parse(&model(&graph(nodes, initializers, &[x], &[y]), opset).finish())
}

fn refused(nodes: &[Message], initializers: &[Message], opset: i64) -> Error {
    of(nodes, initializers, opset).and_then(|model| model.record(&[("x", Tensor::from([1.0, 2.0]))])).unwrap_err()
}

#[test]
fn malformed_bytes_are_named_by_their_offset() {
    let cases: &[(&[u8], usize, &str)] = &[
        (&[0x3a, 0x80], 1, "a number is cut off"),
        (&[0x3a, 200, 1, 0], 1, "200 bytes are announced and 1 is left"),
        (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], 1, "more than 64 bits"),
        (&[0x3b], 0, "a field of kind 3"),
        (&[0x00, 0x01], 0, "a field of number 0"),
        // Field 7, the graph, as a number.
        (&[0x38, 0x01], 0, "field 7 is a number where ONNX has a message"),
        // A node within a graph that ends within a name: the offset is the file's, not the message's.
        (&[0x3a, 4, 0x0a, 2, 0x1a, 9], 5, "9 bytes are announced and 0 are left"),
    ];
    for (bytes, offset, said) in cases {
        let error = Model::parse(bytes).unwrap_err();
        assert_eq!((error.kind(), error.offset()), (ErrorKind::Malformed, Some(*offset)), "{bytes:x?}: {error}");
        assert!(error.message().contains(said), "{bytes:x?}: {error}");
    }
    assert_eq!(Model::parse(&[]).unwrap_err().kind(), ErrorKind::Malformed);
}

#[test]
fn an_operator_that_refuses_is_named_with_its_node() {
    let error = refused(&[node("mix", "MatMul", &["x", "w"], &["y"])], &[tensor("w", &Tensor::zeros([3, 1]))], 13);
    assert_eq!(error.kind(), ErrorKind::Operator);
    let place = error.place().unwrap();
    assert_eq!((place.node.as_str(), place.operator.as_str(), place.opset), ("'mix'", "MatMul", 13));
    assert!(error.to_string().starts_with("node 'mix' (MatMul, opset 13): "), "{error}");
    assert!(error.to_string().contains("inner dimensions differ: [2] x [3, 1]"), "{error}");
}

#[test]
fn unknown_operators_domains_and_versions() {
    let said = |nodes: &[Message], opset| refused(nodes, &[], opset).to_string();
    assert_eq!(
        said(&[node("", "Frobnicate", &["x"], &["y"])], 13),
        "node #0 (Frobnicate, opset 13): the operator is not known; those that are known are listed by chainrule_onnx::OPERATORS"
    );
    assert!(said(&[node("", "Gelu", &["x"], &["y"])], 13).contains("since operator set 20, and the model asks for 13"));
    assert!(said(&[node("", "Relu", &["x"], &["y"])], 99).contains("operator set 99 is newer than those known, up to 27"));
    let foreign = node("", "Relu", &["x"], &["y"]).text(7, "com.example");
    assert!(said(&[foreign], 13).contains("imports no operator set of the domain 'com.example'"));
}

#[test]
fn models_that_contradict_themselves() {
    let error = refused(&[node("", "Relu", &["z"], &["y"])], &[], 13);
    assert_eq!(error.kind(), ErrorKind::Model);
    assert!(error.message().starts_with("input 'z' is made by no node before it"), "{error}");
    let error = refused(&[node("", "Relu", &["x"], &["z"])], &[], 13);
    assert_eq!(error.to_string(), "output 'y' of graph 'main' is made by none of its nodes");

    // Four floats in a tensor of two by three, and sizes whose product is no number.
    let short = Message::new().integer(1, 2).integer(1, 3).integer(2, 1).text(8, "w").bytes(9, &[0; 16]);
    let error = of(&[], &[short], 13).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Model, "tensor 'w': 16 bytes are no 6 elements of f32"));
    // Two floats, written out as numbers, in a tensor of three.
    let few = Message::new().integer(1, 3).integer(2, 1).text(8, "w").bytes(4, &[0; 8]);
    let error = of(&[], &[few], 13).unwrap_err();
    assert_eq!(error.to_string(), "tensor 'w': 2 elements do not fill the sizes [3], which take 3");
    for size in [i64::MAX, -1] {
        let absurd = Message::new().integer(1, size).integer(1, 4).integer(2, 1).text(8, "w").bytes(9, &[]);
        let error = of(&[], &[absurd], 13).unwrap_err();
        assert!(error.to_string().contains("negative, or their product is too large"), "{error}");
    }
}

#[test]
fn element_types_that_the_engine_has_not() {
    let strings = Message::new().integer(1, 1).integer(2, 8).text(8, "names").text(6, "a");
    let error = of(&[], &[strings], 13).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().starts_with("tensor 'names': elements are string; the engine has float, uint8, int32"), "{error}");
}

#[test]
fn inputs_that_do_not_fit() {
    let model = Model::parse(&chainrule_onnx::write::example()).unwrap();
    let said = |inputs: &[(&str, Tensor)]| {
        let error = model.record(inputs).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{error}");
        error.to_string()
    };
    assert_eq!(said(&[]), "input 'x' (float [n, 2]) is not given");
    assert_eq!(said(&[("z", Tensor::zeros([1, 2]))]), "there is no input 'z'; the inputs are x");
    assert!(said(&[("x", Tensor::zeros([1, 3]))]).contains("is float [n, 2], and given is f32 [1, 3]"));
    assert!(said(&[("x", Tensor::from([[1, 2]]))]).contains("given is i32 [1, 2]; convert it with `cast`"));
    let mistake = Tensor::zeros([2]).matmul(&Tensor::zeros([3]));
    assert!(said(&[("x", mistake)]).contains("is a mistake already: matmul"));
}

#[test]
fn attributes_and_inputs_of_an_operator() {
    let wrong = node("", "Softmax", &["x"], &["y"]).message(5, &Message::new().text(1, "axis").float(2, 1.0).integer(20, 1));
    assert!(refused(&[wrong], &[], 13).message().contains("attribute 'axis' does not hold a whole number"));
    let beyond = node("", "Softmax", &["x"], &["y"]).message(5, &integer("axis", 5));
    assert!(refused(&[beyond], &[], 13).message().contains("axis 5 of a tensor with 1 axes"));
    assert!(refused(&[node("", "Add", &["x"], &["y"])], &[], 13).message().contains("input 1 is missing"));
    assert!(refused(&[node("", "Relu", &["x"], &["y", "z"])], &[], 13).message().contains("output 1 is asked for"));
}

#[test]
fn a_value_that_decides_about_shapes_must_be_there() {
    let shape = declared("shape", DType::I64, &["1"]);
    let x = declared("x", DType::F32, &["n"]);
    let bytes = model(&graph(&[node("", "Reshape", &["x", "shape"], &["y"])], &[], &[x, shape], &[declared("y", DType::F32, &["m"])]), 13);
    let model = Model::parse(&bytes.finish()).unwrap();
    let given = |shape: Tensor| model.record(&[("x", Tensor::from([1.0, 2.0])), ("shape", shape)]);
    assert_eq!(given(Tensor::from(vec![2i64])).unwrap()[0].1.shape(), [2]);
    let error = given(Tensor::placeholder([1], DType::I64)).unwrap_err();
    assert!(error.to_string().contains("its value decides about shapes and must be there while recording"), "{error}");
    let error = given(Tensor::from(vec![3i64])).unwrap_err();
    assert!(error.to_string().starts_with("node #0 (Reshape, opset 13): reshape"), "{error}");
}

#[test]
fn loops_are_bounded() {
    let (i, go) = (declared("i", DType::I64, &[]), declared("go", DType::Bool, &[]));
    let (a, next) = (declared("a", DType::F32, &["n"]), declared("next", DType::Bool, &[]));
    let body = graph(
        &[node("", "Identity", &["go"], &["next"]), node("", "Neg", &["a"], &["b"])],
        &[],
        &[i, go, a],
        &[next, declared("b", DType::F32, &["n"])],
    );
    let forever = node("turn", "Loop", &["", "", "x"], &["y"]).message(5, &subgraph("body", &body));
    let error = refused(&[forever], &[], 13);
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(error.to_string().starts_with("node 'turn' (Loop, opset 13): a loop of more than 16384 iterations"), "{error}");
}

#[test]
fn a_function_that_calls_itself_is_bounded() {
    let call = |input: &str, output: &str| node("", "F", &[input], &[output]).text(7, "own");
    let opset = |domain: &str| Message::new().text(1, domain).integer(2, 1);
    let function =
        Message::new().text(1, "F").text(4, "a").text(5, "b").message(7, &call("a", "b")).message(9, &opset("own")).text(10, "own");
    let (x, y) = (declared("x", DType::F32, &["n"]), declared("y", DType::F32, &["n"]));
    let bytes = model(&graph(&[call("x", "y")], &[], &[x], &[y]), 13).message(8, &opset("own")).message(25, &function).finish();
    let error = Model::parse(&bytes).unwrap().record(&[("x", Tensor::from([1.0]))]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(error.message().contains("'F' may call itself"), "{error}");
}

#[test]
fn files_of_external_data_stay_in_the_folder() {
    let folder = std::env::temp_dir().join(format!("chainrule-onnx-{}", std::process::id()));
    let inside = folder.join("model");
    std::fs::create_dir_all(&inside).unwrap();
    let numbers: Vec<u8> = [0.0f32, 1.5, 2.5].iter().flat_map(|number| number.to_le_bytes()).collect();
    std::fs::write(inside.join("weights.bin"), &numbers).unwrap();
    std::fs::write(folder.join("secret.bin"), &numbers).unwrap();
    let entry = |key: &str, value: &str| Message::new().text(1, key).text(2, value);
    let read = |location: &str, length: &str| {
        let w = Message::new().integer(1, 2).integer(2, 1).text(8, "w").integer(14, 1);
        let w = [("location", location), ("offset", "4"), ("length", length)]
            .iter()
            .fold(w, |w, (key, value)| w.message(13, &entry(key, value)));
        let (x, y) = (declared("x", DType::F32, &["n"]), declared("y", DType::F32, &["n"]));
        let bytes = model(&graph(&[node("", "Add", &["x", "w"], &["y"])], &[w], &[x], &[y]), 13).finish();
        let path = inside.join("model.onnx");
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Model::parse(&bytes).unwrap_err().kind(), ErrorKind::File);
        Model::read(&path)
    };
    let model = read("weights.bin", "8").unwrap();
    assert_eq!(model.parameters()[0].1.to_vec::<f32>().unwrap(), [1.5, 2.5]);
    for (location, length) in [
        ("../secret.bin", "8"),
        ("/etc/hostname", "8"),
        ("none.bin", "8"),
        ("", "8"),
        ("weights.bin", "9"),
        ("weights.bin", "18446744073709551615"),
    ] {
        let error = read(location, length).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::File, "{location} {length}: {error}");
        assert!(error.to_string().starts_with("tensor 'w': "), "{error}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.join("secret.bin"), inside.join("link.bin")).unwrap();
        assert!(read("link.bin", "8").unwrap_err().to_string().contains("leads out of the model's folder"));
    }
    assert_eq!(Model::read(folder.join("no.onnx")).unwrap_err().kind(), ErrorKind::File);
    std::fs::remove_dir_all(&folder).unwrap();
}
