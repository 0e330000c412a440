//! What an operation computes: the type it promises, and the same numbers from both backends.

use crate::for_each_sample;
use crate::support::{agree, backends_agree, epsilon, eval, oracle};
use chainrule_engine::backend::reference;
use chainrule_engine::ops::samples::Sample;
use chainrule_engine::ops::{Binary, Op};
use chainrule_engine::{DType, Tensor};

/// Neighbouring numbers of the type between backend and reference, relative to the largest value.
fn ulps(sample: &Sample, dtype: DType) -> f64 {
    match (dtype, &sample.op) {
        // Computed wider, rounded once: at most the other neighbour.
        (DType::BF16 | DType::F16, _) => 1.0,
        (DType::F64, _) => 1e-13 / f64::EPSILON,
        // The larger operand is subtracted from, so its rounding stays.
        (_, Op::Binary(Binary::Remainder)) => 16.0,
        _ => 4.0,
    }
}

#[test]
fn the_shape_rule_is_what_comes_out() {
    for_each_sample(|sample| {
        for dtype in sample.dtypes() {
            let y = sample.record(&sample.tensors(dtype, 1));
            y.check().map_err(crate::text)?;
            let data = reference::evaluate(&[&y]).map_err(crate::text)?.remove(0);
            let run = y.to_data().map_err(crate::text)?;
            for (who, data) in [("reference", &data), ("backend", &*run)] {
                if (data.len(), data.dtype()) != (y.len(), y.dtype()) {
                    return Err(format!("{who} gives {data:?} for {:?}", y.ty()));
                }
            }
        }
        Ok(())
    });
}

#[test]
fn backend_equals_reference_in_every_dtype() {
    for_each_sample(|sample| {
        for dtype in sample.dtypes() {
            for seed in [1, 2] {
                let y = sample.record(&sample.tensors(dtype, seed));
                backends_agree(dtype.name(), &y, ulps(sample, dtype))?;
            }
        }
        Ok(())
    });
}

#[test]
fn gradients_on_the_backend_equal_those_on_the_reference() {
    for_each_sample(|sample| {
        for dtype in sample.dtypes().into_iter().filter(|dtype| dtype.is_float()) {
            let inputs = sample.tensors(dtype, 5);
            let y = sample.record(&inputs);
            let kinds = crate::kinds(sample, &y);
            let wrt: Vec<&Tensor> = inputs.iter().zip(&kinds).filter(|&(_, kind)| *kind == crate::Kind::Linear).map(|(x, _)| x).collect();
            if wrt.is_empty() || !y.dtype().is_float() {
                continue;
            }
            for gradient in crate::loss(&y, 7).grad(&wrt).map_err(crate::text)? {
                if gradient.dtype() != dtype {
                    return Err(format!("the gradient is {}, not {dtype}", gradient.dtype()));
                }
                // A chain of a few operations, each rounded.
                backends_agree(dtype.name(), &gradient, 8.0 * ulps(sample, dtype).min(4.0).max(1e-13 / epsilon(dtype)))?;
            }
        }
        Ok(())
    });
}

#[test]
fn a_value_is_computed_once_and_stays() {
    for_each_sample(|sample| {
        let y = sample.record(&sample.tensors(sample.dtypes()[0], 1));
        let first = eval(&y);
        y.eval().map_err(crate::text)?;
        agree("second evaluation", &eval(&y), &first, 0.0)?;
        agree("reference", &oracle(&y), &first, 1e-2)
    });
}
