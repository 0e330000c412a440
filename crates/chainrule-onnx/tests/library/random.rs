//! What is drawn at random: the same draw from the same seed, and the derivative of what the draw has left.

use chainrule::{DType, Rng, Tensor};
use chainrule_onnx::write::{Message, declared, graph, integer, model, node, tensor};
use chainrule_onnx::{Model, Value};

/// A model of one node, whose first input is `x`.
fn of(node: Message, initializers: &[Message]) -> Model {
    let (x, y) = (declared("x", DType::F32, &["n", "m"]), declared("y", DType::F32, &["n", "m"]));
    Model::parse(&model(&graph(&[node], initializers, &[x], &[y]), 22).finish()).unwrap()
}

fn drawn(model: &Model, x: &Tensor, seed: u64) -> Tensor {
    let made = model.record_with(&[("x", Value::Tensor(x.clone()))], &mut Rng::new(seed)).unwrap();
    made[0].1.as_tensor().unwrap().clone()
}

fn numbers() -> Tensor {
    (Tensor::rand([20, 10], &mut Rng::new(3)) * 0.5 + 0.25).to_leaf().unwrap()
}

/// `RandomNormal` and `RandomUniform` have no input; these have one, and take nothing from it but its size, or compare it.
#[test]
fn what_is_drawn_depends_on_no_number() {
    let operators = ["RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"];
    for operator in operators {
        let x = numbers();
        let call = node("", operator, &["x"], &["y"]);
        let call = if operator == "Multinomial" { call.message(5, &integer("dtype", 6)) } else { call };
        let y = drawn(&of(call, &[]), &x, 5).cast(DType::F32);
        let gradient = y.sum().grad_or_none(&[&x]).unwrap().remove(0);
        let gradient = gradient.map(|gradient| gradient.to_vec::<f32>().unwrap());
        assert!(gradient.as_ref().is_none_or(|all| all.iter().all(|slope| *slope == 0.0)), "{operator}: {gradient:?}");
    }
}

#[test]
fn what_dropout_keeps_has_the_gradient_of_its_draw() {
    let (ratio, training) = (tensor("ratio", &Tensor::from(0.75f32)), tensor("training", &Tensor::from(true)));
    let model = of(node("", "Dropout", &["x", "ratio", "training"], &["y"]), &[ratio, training]);
    let x = numbers();
    let of_seed = |seed: u64| {
        let y = drawn(&model, &x, seed);
        let gradient = y.sum().grad(&[&x]).unwrap().remove(0).to_vec::<f32>().unwrap();
        (y.to_vec::<f32>().unwrap(), gradient)
    };
    let ((y, gradient), numbers) = (of_seed(5), x.to_vec::<f32>().unwrap());
    for ((y, gradient), x) in y.iter().zip(&gradient).zip(numbers) {
        assert!(*gradient == if *y == 0.0 { 0.0 } else { 4.0 } && *y == gradient * x, "{y} and {gradient} of {x}");
    }
    let kept = y.iter().filter(|y| **y != 0.0).count();
    assert!((25..=75).contains(&kept), "{kept} of 200 are kept, with a ratio of 0.75");
    assert_eq!(of_seed(5), (y.clone(), gradient));
    assert_ne!(of_seed(6).0, y);
}
