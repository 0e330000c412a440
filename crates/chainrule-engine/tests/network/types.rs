//! Every function in every float type, and of no examples at all.

use crate::catalogue::{Row, losses, networks};
use crate::check::{close, values};
use chainrule_engine::{DType, Tensor};

/// How many examples there are.
const N: usize = 11;

fn functions() -> impl Iterator<Item = &'static Row> {
    networks::FUNCTIONS.iter().chain(losses::FUNCTIONS)
}

/// Each gives its own type, and what it gives in double precision of the same numbers; and so does each gradient.
#[test]
fn every_float_type() {
    for row @ Row(name, _, f) in functions() {
        for (dtype, tolerance) in [(DType::F32, 2e-5), (DType::F16, 0.02), (DType::BF16, 0.1)] {
            let narrow = row.inputs(N, dtype);
            let wide: Vec<Tensor> = narrow.iter().map(|t| t.cast(DType::F64).to_leaf().unwrap()).collect();
            let (got, want) = (f(&narrow), f(&wide));
            assert_eq!(got.dtype(), dtype, "{name}");
            close(&format!("{name}, {dtype}"), &values(&got), &values(&want), tolerance);
            let slopes = |y: &Tensor, x: &[Tensor]| y.sum().grad_or_zeros(&x.iter().collect::<Vec<_>>()).unwrap();
            for (i, (got, want)) in slopes(&got, &narrow).iter().zip(slopes(&want, &wide)).enumerate() {
                assert_eq!(got.dtype(), dtype, "{name}");
                close(&format!("{name}, {dtype}, gradient {i}"), &values(got), &values(&want), 4.0 * tolerance);
            }
        }
    }
}

/// No examples give no results, gradients of no numbers, and zeros for what all examples share.
#[test]
fn no_examples() {
    for row @ Row(name, _, f) in functions() {
        let (none, some) = (row.inputs(0, DType::F64), f(&row.inputs(N, DType::F64)));
        // A mean, or one of weights alone.
        if !some.shape().contains(&N) {
            continue;
        }
        let y = f(&none);
        y.check().unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected: Vec<usize> = some.shape().iter().map(|&size| if size == N { 0 } else { size }).collect();
        assert_eq!((y.shape(), values(&y).len()), (&expected[..], 0), "{name}");
        for (x, slope) in none.iter().zip(y.sum().grad_or_zeros(&none.iter().collect::<Vec<_>>()).unwrap()) {
            assert_eq!(values(&slope), vec![0.0; x.len()], "{name}");
        }
    }
}
