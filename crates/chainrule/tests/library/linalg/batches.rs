//! Batches, layouts, element types and threads: what must not change a result.

use super::cases::CASES;
use super::{leaf, near, values};
use chainrule::compile::kernel::Kernel;
use chainrule::linalg::*;
use chainrule::prelude::*;
use chainrule::{Runtime, Step};

fn gradients(function: fn(&[Tensor]) -> Tensor, inputs: &[Tensor]) -> Vec<Tensor> {
    function(inputs).sin().sum().grad(&inputs.iter().collect::<Vec<_>>()).unwrap()
}

#[test]
fn a_batch_is_a_loop() {
    for case in CASES {
        let wide = case.inputs(&[2, 3], 5);
        let together = (case.function)(&wide);
        let slopes = gradients(case.function, &wide);
        for (i, j) in [(0, 0), (0, 2), (1, 1)] {
            let one: Vec<Tensor> = wide.iter().map(|x| leaf(&x.index(0, i).index(0, j))).collect();
            near(case.name, &together.index(0, i).index(0, j), &(case.function)(&one), 1e-11);
            for (slope, alone) in slopes.iter().zip(gradients(case.function, &one)) {
                let scale = 1.0 + super::largest(&alone);
                near(case.name, &(slope.index(0, i).index(0, j) / scale), &(alone / scale), 1e-10);
            }
        }
        // A batch of none.
        let none = case.inputs(&[0], 5);
        assert_eq!((case.function)(&none).shape()[0], 0, "{}", case.name);
        assert_eq!(values(&(case.function)(&none)), [0.0; 0], "{}", case.name);
        gradients(case.function, &none).iter().zip(&none).for_each(|(slope, x)| assert_eq!(slope.shape(), x.shape()));
    }
}

#[test]
fn strides_do_not_matter() {
    for case in CASES {
        let inputs = case.inputs(&[], 7);
        let want = (case.function)(&inputs);
        let turned: Vec<Tensor> = inputs.iter().map(|x| leaf(&x.t()).t()).collect();
        assert_eq!(values(&(case.function)(&turned)), values(&want), "{}: transposed", case.name);
        // Every other column of a wider matrix.
        let spread = |x: &Tensor| leaf(&Tensor::stack(&[x, &(x * f64::NAN)], -1).flatten_last()).every_other();
        let apart: Vec<Tensor> = inputs.iter().map(spread).collect();
        assert_eq!(values(&(case.function)(&apart)), values(&want), "{}: apart", case.name);
    }
}

trait Columns {
    fn flatten_last(&self) -> Tensor;
    fn every_other(&self) -> Tensor;
}

impl Columns for Tensor {
    fn flatten_last(&self) -> Tensor {
        let shape = self.shape();
        self.reshape([&shape[..shape.len() - 2], &[shape[shape.len() - 2] * 2]].concat())
    }
    fn every_other(&self) -> Tensor {
        let half = self.shape()[self.rank() - 1] / 2;
        let shape = [&self.shape()[..self.rank() - 1], &[half, 2]].concat();
        self.reshape(shape).index(-1, 0)
    }
}

#[test]
fn single_precision_is_rounded_double_precision() {
    for case in CASES {
        let narrow: Vec<Tensor> = case.inputs(&[], 9).iter().map(|x| leaf(&x.cast(DType::F32))).collect();
        let wide: Vec<Tensor> = narrow.iter().map(|x| leaf(&x.cast(DType::F64))).collect();
        let (got, want) = ((case.function)(&narrow), (case.function)(&wide));
        assert_eq!(got.dtype(), DType::F32, "{}", case.name);
        near(case.name, &got, &want, 3e-4 * (1.0 + super::largest(&want)));
        for (got, want) in gradients(case.function, &narrow).iter().zip(gradients(case.function, &wide)) {
            near(case.name, got, &want, 2e-3 * (1.0 + super::largest(&want)));
        }
    }
}

#[test]
fn bits_are_the_same_on_any_number_of_threads() {
    let on = |threads: usize| -> Vec<Vec<u64>> {
        let runtime = Runtime::new(threads).unwrap();
        let mut all = Vec::new();
        for case in CASES.iter().filter(|case| !case.name.contains(" of ")) {
            let inputs = case.inputs(&[50], 11);
            let y = (case.function)(&inputs);
            let mut roots = y.sin().sum().grad(&inputs.iter().collect::<Vec<_>>()).unwrap();
            roots.push(y);
            Tensor::eval_all_on(&runtime, &roots.iter().collect::<Vec<_>>()).unwrap();
            all.extend(roots.iter().map(|root| values(root).iter().map(|v| v.to_bits()).collect()));
        }
        all
    };
    let one = on(1);
    assert!(one.len() > 40);
    for threads in [2, 3, 7] {
        assert!(on(threads) == one, "{threads} threads");
    }
}

#[test]
fn a_matrix_is_decomposed_once_for_value_and_gradient() {
    let calls = |roots: &[&Tensor]| {
        let step = Step::capture_on(&Runtime::new(1).unwrap(), &[], roots, &[]).unwrap();
        step.program().kernels.kernels.iter().filter(|kernel| matches!(kernel, Kernel::Host(_))).count()
    };
    let case = |name: &str| {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        let inputs = case.inputs(&[], 1);
        let y = (case.function)(&inputs);
        let slopes = gradients(case.function, &inputs);
        calls(&std::iter::once(&y).chain(&slopes).collect::<Vec<_>>())
    };
    // One decomposition, and a solution forwards and backwards.
    assert_eq!(case("solve"), 3);
    assert_eq!(case("eigh, a function of a symmetric matrix"), 1);
    assert_eq!(case("svd of a tall matrix"), 1);
    assert_eq!(case("pinv"), 1);
    let a = leaf(&super::apart(&[4, 4], 2));
    let (slog, det) = (slogdet(&a), det(&a));
    assert_eq!(calls(&[&slog.sign, &slog.logabsdet, &det, &inv(&a)]), 3);
}
