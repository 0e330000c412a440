//! Functions of whole arrays in narrower types, and their derivatives at ties and beside zeros. Elsewhere
//! `every_function` has them all.

use crate::catalogue::Row;
use crate::catalogue::arrays::FUNCTIONS;
use crate::check::{check_gradients, close, random, slope, values, vector};
use chainrule_engine::{DType, Tensor};

fn index(positions: &[i64]) -> Tensor {
    Tensor::from_slice(positions, [positions.len()])
}

/// In f32, and in bf16 where values are concerned, functions give what they give in f64 of the same numbers.
#[test]
fn narrower_types_give_the_same_to_their_precision() {
    for row @ Row(name, _, function) in FUNCTIONS {
        for (dtype, tolerance) in [(DType::F32, 2e-6), (DType::F16, 4e-3), (DType::BF16, 3e-2)] {
            let narrow = row.inputs(2, dtype);
            let exact: Vec<Tensor> = narrow.iter().map(|x| x.cast(DType::F64).to_leaf().unwrap()).collect();
            let (y, want) = (function(&narrow), function(&exact));
            assert_eq!(y.dtype(), dtype, "{name}");
            close(&format!("{name}, {dtype}"), &values(&y), &values(&want), tolerance);
            if dtype == DType::F32 {
                for (x, exact) in narrow.iter().zip(&exact) {
                    close(&format!("{name}, gradient, {dtype}"), &slope(&y, x), &slope(&want, exact), 1e-5);
                }
            }
        }
    }
}

#[test]
fn what_a_mask_lets_through_has_its_derivative() {
    let x = vector(&[1.0, -2.0, 3.0]);
    let picked = x.masked_select(&x.greater(&x.zeros_like())).unwrap();
    close("masked_select", &slope(&picked.square(), &x), &[2.0, 0.0, 6.0], 0.0);
    let found = vector(&[3.0, 1.0, 3.0]);
    close("unique", &slope(&found.unique().unwrap().values.square(), &found), &[6.0, 2.0, 0.0], 0.0);
}

#[test]
fn equal_extremes_share_and_products_pass_zeros() {
    let (x, segment) = (vector(&[2.0, 2.0, 1.0, 2.0, 5.0]), index(&[0, 0, 0, 0, 1]));
    let third = 1.0 / 3.0;
    close("segment_max", &slope(&x.segment_max(&segment, 2), &x), &[third, third, 0.0, third, 1.0], 1e-7);
    assert_eq!(values(&x.segment_max(&segment, 3)), [2.0, 5.0, f64::NEG_INFINITY]);
    let infinite = vector(&[f64::INFINITY, 1.0, f64::INFINITY, f64::NEG_INFINITY]);
    let all = index(&[0, 0, 0, 0]);
    assert_eq!(values(&infinite.segment_max(&all, 1)), [f64::INFINITY]);
    close("infinite", &slope(&infinite.segment_max(&all, 1), &infinite), &[0.5, 0.0, 0.5, 0.0], 0.0);
    assert_eq!(values(&infinite.segment_min(&all, 1)), [f64::NEG_INFINITY]);
    let x = vector(&[0.0, 3.0, 4.0, 0.0, 0.0, 5.0]);
    let segment = index(&[0, 1, 0, 1, 2, 1]);
    close("segment_prod", &slope(&x.segment_prod(&segment, 3), &x), &[4.0, 0.0, 0.0, 15.0, 1.0, 0.0], 0.0);
    check_gradients(
        "segment_prod at zeros",
        |x| x[0].segment_prod(&index(&[0, 1, 0, 1, 2, 1, 1]), 3),
        &[vector(&[0.0, 3.0, 4.0, 0.0, 0.0, 0.0, 2.0])],
    );
}

/// The extreme of a segment with NaN in it is NaN, of which the numbers beside it are no part.
#[test]
fn extremes_of_nan_share_among_nan_alone() {
    let (x, segment) = (vector(&[1.0, f64::NAN, 2.0, f64::NAN, 5.0]), index(&[0, 0, 0, 0, 1]));
    for (name, extreme) in [("segment_max", x.segment_max(&segment, 2)), ("segment_min", x.segment_min(&segment, 2))] {
        let found = values(&extreme);
        assert!(found[0].is_nan() && found[1] == 5.0, "{name}: {found:?}");
        close(name, &slope(&extreme, &x), &[0.0, 0.5, 0.0, 0.5, 1.0], 0.0);
    }
}

#[test]
fn what_is_written_over_has_no_derivative() {
    let (x, y) = (vector(&[1.0, 2.0, 3.0]), vector(&[4.0, 5.0, 6.0]));
    let written = x.put_at(&index(&[1, 1, -2]), &y);
    assert_eq!(values(&written), [1.0, 6.0, 3.0]);
    assert_eq!(slope(&written, &x), [1.0, 0.0, 1.0]);
    assert_eq!(slope(&written, &y), [0.0, 0.0, 1.0]);
}

#[test]
fn positions_have_none() {
    let x = random(&[4], 1);
    let error = x.argsort(0).cast(DType::F64).sum().grad(&[&x]).unwrap_err().to_string();
    assert!(error.contains("the path is cut by") && error.contains("gradients.rs"), "{error}");
}
