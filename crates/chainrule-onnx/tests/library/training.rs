//! What was imported learns: parameters have gradients, and a trainer makes the loss fall.

use chainrule::prelude::*;
use chainrule_onnx::Model;
use chainrule_onnx::write::{declared, example, graph, model, node, tensor};

/// Two layers with a hyperbolic tangent between, and a normalisation whose statistics are given.
fn network() -> Model {
    let draw = |sizes: &[usize], seed: u64| Tensor::randn(sizes, &mut Rng::new(seed)) * 0.5;
    let initializers = [
        tensor("w1", &draw(&[2, 8], 1)),
        tensor("b1", &Tensor::zeros([8])),
        tensor("w2", &draw(&[8, 1], 2)),
        tensor("b2", &Tensor::zeros([1])),
        tensor("rows", &Tensor::from(vec![-1i64, 1])),
    ];
    let nodes = [
        node("first", "Gemm", &["x", "w1", "b1"], &["h"]),
        node("", "Tanh", &["h"], &["t"]),
        node("second", "Gemm", &["t", "w2", "b2"], &["z"]),
        node("", "Reshape", &["z", "rows"], &["y"]),
    ];
    let (x, y) = (declared("x", DType::F32, &["n", "2"]), declared("y", DType::F32, &["n", "1"]));
    Model::parse(&model(&graph(&nodes, &initializers, &[x], &[y]), 13).finish()).unwrap()
}

#[test]
fn initializers_have_gradients() {
    let model = Model::parse(&example()).unwrap();
    let y = model.record(&[("x", Tensor::from([[1.0, 2.0], [3.0, 4.0]]))]).unwrap()[0].1.clone();
    let parameters = model.parameters();
    let wrt: Vec<&Tensor> = parameters.iter().map(|(_, tensor)| tensor).collect();
    let gradients = y.square().sum().grad(&wrt).unwrap();
    // Only the second row is above 0, at 1.5: 2 * 1.5 * [3, 4], and 2 * 1.5.
    assert_eq!(gradients[0].to_vec::<f32>().unwrap(), [9.0, 12.0]);
    assert_eq!(gradients[1].to_vec::<f32>().unwrap(), [3.0]);
}

#[test]
fn exclusive_or_is_learned() {
    let x = Tensor::from([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
    let y = Tensor::from([[0.0], [1.0], [1.0], [0.0]]);
    let network = network();
    assert_eq!(network.parameters().iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["w1", "b1", "w2", "b2"]);
    assert_eq!(network.state().len(), 5);
    let mut trainer = Trainer::new(network, AdamW::new(0.05), |model: &Model, batch, _| {
        let made = model.record(&[("x", batch[0].clone())]).expect("the model takes batches of two numbers");
        loss::mse(&made[0].1, &batch[1])
    })
    .unwrap();
    let first = trainer.step(&[x.clone(), y.clone()]).unwrap();
    let mut last = first;
    for _ in 0..300 {
        last = trainer.step(&[x.clone(), y.clone()]).unwrap();
    }
    assert!(last < 0.01 && last < first / 10.0, "the loss fell from {first} to {last}");
    let said = trainer.into_model().unwrap().record(&[("x", x)]).unwrap()[0].1.to_vec::<f32>().unwrap();
    assert!(said.iter().zip([0.0, 1.0, 1.0, 0.0]).all(|(said, meant)| (said - meant).abs() < 0.3), "{said:?}");
}

#[test]
fn second_derivatives() {
    let mut model = network();
    model.cast(DType::F64);
    let at = Tensor::f64([0.3, -0.7]);
    let f = |x: &Tensor| model.record(&[("x", x.reshape([1, 2]))]).unwrap()[0].1.square().sum();
    let x = at.to_leaf().unwrap();
    let hessian = chainrule::transform::hessian(&f(&x), &x).unwrap().to_vec::<f64>().unwrap();
    let step = 1e-5;
    for (column, along) in [[1.0, 0.0], [0.0, 1.0]].iter().enumerate() {
        let gradient = |sign: f64| {
            let x = (&at + Tensor::f64(along.to_vec()) * (sign * step)).to_leaf().unwrap();
            f(&x).grad(&[&x]).unwrap()[0].to_vec::<f64>().unwrap()
        };
        let (after, before) = (gradient(1.0), gradient(-1.0));
        for row in 0..2 {
            let difference = (after[row] - before[row]) / (2.0 * step);
            assert!((hessian[row * 2 + column] - difference).abs() < 1e-7, "{hessian:?} and {difference}");
        }
    }
}

#[test]
fn a_model_can_be_changed() {
    let mut model = Model::parse(&example()).unwrap();
    assert!(model.set("b", Tensor::from([0.0])));
    assert!(!model.set("bias", Tensor::from([0.0])));
    let x = Tensor::from([[1.0, 2.0]]);
    assert_eq!(model.record(&[("x", x.clone())]).unwrap()[0].1.to_vec::<f32>().unwrap(), [1.5]);
    // An initializer may also be given for one recording.
    let given = model.record(&[("x", x.clone()), ("b", Tensor::from([1.0]))]).unwrap();
    assert_eq!(given[0].1.to_vec::<f32>().unwrap(), [2.5]);
    model.cast(DType::BF16);
    let narrow = &model.record(&[("x", x.cast(DType::BF16))]).unwrap()[0].1;
    assert_eq!((narrow.dtype(), narrow.cast(DType::F32).to_vec::<f32>().unwrap()), (DType::BF16, vec![1.5]));
}
