//! Gradients of everything here that moves elements: of a linear function, the gradient of
//! `sum(c * f(x))` by `x_i` is `sum(c * (f(e_i) - f(0)))`, exactly, for whole numbers.

use chainrule_engine::tensor::indexing::{Index, Steps};
use chainrule_engine::{DType, Tensor};

type Function = (&'static str, fn(&Tensor) -> Tensor);

/// Functions of a tensor of shape [3, 4].
const FUNCTIONS: [Function; 16] = [
    ("at with steps", |x| x.at(((..).by(-2), (3..0).by(-2)))),
    ("at a position", |x| x.at((1, Index::NewAxis, 1..))),
    ("nothing", |x| x.at((1..1, ..))),
    ("split", |x| x.split(&[1, 3], 1)[1].clone()),
    ("chunk", |x| x.chunk(2, 0)[0].clone()),
    ("index_select", |x| x.index_select(1, &Tensor::from([[3, 0], [3, 3]]))),
    ("take_along_axis", |x| x.take_along_axis(&Tensor::from([[2, 0, 0, 1], [2, 2, 0, 1]]), 0)),
    ("take_along_axis, shared", |x| x.take_along_axis(&Tensor::from([[2, 2, 0]]), 1)),
    ("gather_last", |x| x.gather_last(&Tensor::from([3, 0, 3]))),
    ("pad", |x| x.pad(&[(1, 0), (2, 3)])),
    ("pad_with", |x| x.pad_with(&[(1, 0), (2, 3)], 5.0)),
    ("roll", |x| x.roll(3, 1)),
    ("repeat", |x| x.repeat(3, 0)),
    ("tile", |x| x.tile(&[2, 1, 3])),
    ("tril", |x| x.tril(1)),
    ("triu", |x| x.triu(-1)),
];

#[test]
fn gradients_are_the_columns_of_the_map() {
    for (name, function) in FUNCTIONS {
        let column = |values: [f64; 12]| function(&Tensor::from_slice(&values, [3, 4])).to_vec::<f64>().unwrap();
        let zero = column([0.0; 12]);
        let weights: Vec<f64> = (0..zero.len()).map(|i| ((i * 7 + 3) % 11) as f64 - 5.0).collect();
        let expected: Vec<f64> = (0..12)
            .map(|i| {
                let mut unit = [0.0; 12];
                unit[i] = 1.0;
                column(unit).iter().zip(&zero).zip(&weights).map(|((one, none), weight)| (one - none) * weight).sum()
            })
            .collect();
        let x = Tensor::from_slice(&[0.5f64; 12], [3, 4]);
        let y = function(&x);
        let loss = (&y * Tensor::from_slice(&weights, y.shape())).sum();
        let gradient = loss.grad(&[&x]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(gradient[0].to_vec::<f64>().unwrap(), expected, "{name}");
    }
}

#[test]
fn positions_have_no_gradient_and_say_so() {
    let x = Tensor::from([[1.0, 2.0]]);
    for y in [x.argmax(1), x.argmin(0)] {
        assert!(y.cast(DType::F32).sum().grad(&[&x]).is_err());
    }
}
