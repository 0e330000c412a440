//! Matrices that are empty, singular, or hold what is no number.

use super::cases::CASES;
use super::{apart, leaf, near, numbers, values};
use chainrule::linalg::*;
use chainrule::prelude::*;

fn empty(m: usize, n: usize) -> Tensor {
    Tensor::from_slice(&[0.0f64; 0], [m, n])
}

#[test]
fn empty_matrices_have_empty_decompositions() {
    let a = empty(0, 0);
    assert_eq!(values(&det(&a)), [1.0]);
    assert_eq!((values(&slogdet(&a).sign), values(&slogdet(&a).logabsdet)), (vec![1.0], vec![0.0]));
    for y in [cholesky(&a), inv(&a), expm(&a), eigh(&a).eigenvectors, matrix_power(&a, 3), matrix_power(&a, -1), solve(&a, &empty(0, 0))] {
        assert_eq!((y.shape(), values(&y)), (&[0, 0][..], vec![]));
        assert_eq!(y.sum().grad(&[&a]).unwrap()[0].shape(), [0, 0]);
    }
    assert_eq!(det(&a).grad(&[&a]).unwrap()[0].shape(), [0, 0]);
    assert_eq!(eigvalsh(&a).shape(), [0]);
    assert_eq!(solve(&a, &empty(0, 2)).shape(), [0, 2]);
    assert_eq!(solve(&Tensor::eye(2, DType::F64), &empty(2, 0)).shape(), [2, 0]);
    assert_eq!(solve_triangular(&a, &empty(0, 2), TriangularOptions::default()).shape(), [0, 2]);
    for (m, n) in [(0, 0), (0, 3), (3, 0)] {
        let a = empty(m, n);
        let (Qr { q, r }, Lu { p, l, u }) = (qr(&a), lu(&a));
        assert_eq!((q.shape(), r.shape()), (&[m, 0][..], &[0, n][..]));
        assert_eq!((p.shape(), l.shape(), u.shape()), (&[m, m][..], &[m, 0][..], &[0, n][..]));
        assert_eq!(values(&p), values(&Tensor::eye(m, DType::F64)));
        let found = svd(&a);
        assert_eq!((found.u.shape(), found.s.shape(), found.vh.shape()), (&[m, 0][..], &[0][..], &[0, n][..]));
        assert_eq!(pinv(&a, None).shape(), [n, m]);
        assert_eq!(matrix_rank(&a, None).to_vec::<i64>().unwrap(), [0]);
        assert_eq!(lstsq(&a, &empty(m, 0), None).solution.shape(), [n, 0]);
        for y in [q, r, l, u, found.u, found.vh, found.s, pinv(&a, None), norm(&a, MatrixNorm::Nuclear), norm(&a, MatrixNorm::Frobenius)] {
            assert!(values(&y).iter().all(|&v| v == 0.0));
            assert_eq!(y.sum().grad(&[&a]).unwrap()[0].shape(), [m, n]);
        }
    }
}

#[test]
fn what_is_no_number_stays_in_its_matrix() {
    for case in CASES {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut inputs = case.inputs(&[2], 13);
            let alone = (case.function)(&inputs.iter().map(|x| x.index(0, 0)).collect::<Vec<_>>());
            let mut spoilt = values(&inputs[0]);
            let at = spoilt.len() / 2 + 1.min(spoilt.len() / 2 - 1);
            spoilt[at] = bad;
            inputs[0] = Tensor::from_slice(&spoilt, inputs[0].shape());
            let y = (case.function)(&inputs);
            near(case.name, &y.index(0, 0), &alone, 1e-11);
            // A triangle does not read what is on its other side; an infinite number may be a norm.
            let reads_all = !case.name.contains("triangular") && !["norm one", "norm infinity", "norm frobenius"].contains(&case.name);
            let second = values(&y.index(0, 1));
            assert!(!reads_all || second.iter().any(|v| v.is_nan()), "{} with {bad}: {second:?}", case.name);
            // Gradients are computed, too, and those of the other matrix are as without it.
            let slope = y.index(0, 0).sum().grad(&[&inputs[0]]).unwrap().remove(0);
            assert!(values(&slope.index(0, 0)).iter().all(|v| v.is_finite()), "{} with {bad}", case.name);
        }
    }
}

#[test]
fn singular_matrices_have_no_inverse_and_what_is_left_of_the_rest() {
    let singular = Tensor::f64([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]]);
    let all_nan = |x: &Tensor| values(x).iter().all(|v| v.is_nan());
    assert!(all_nan(&inv(&singular)) && all_nan(&solve(&singular, &numbers(&[3], 1))) && all_nan(&matrix_power(&singular, -1)));
    assert_eq!(values(&det(&singular)), [0.0]);
    assert_eq!((values(&slogdet(&singular).sign), values(&slogdet(&singular).logabsdet)), (vec![0.0], vec![f64::NEG_INFINITY]));
    assert_eq!(matrix_rank(&singular, None).to_vec::<i64>().unwrap(), [2]);
    assert!(values(&cond(&singular, MatrixNorm::Two))[0] > 1e15);
    assert!(all_nan(&cholesky(&-Tensor::eye(2, DType::F64))) && all_nan(&cholesky(&Tensor::f64([[1.0, 2.0], [2.0, 1.0]]))));
    // The other matrix of a batch has its inverse.
    let both = inv(&Tensor::stack(&[&singular, &apart(&[3, 3], 2)], 0));
    assert!(all_nan(&both.index(0, 0)));
    near("beside it", &both.index(0, 1), &inv(&apart(&[3, 3], 2)), 0.0);

    for a in [singular, Tensor::f64([[0.0, 0.0], [0.0, 0.0]]), Tensor::f64([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]])] {
        let Lu { p, l, u } = lu(&a);
        near("a decomposition with a pivot of 0", &p.matmul(&l).matmul(&u), &a, 1e-15);
        let Qr { q, r } = qr(&a);
        near("a basis of dependent columns", &q.matmul(&r), &a, 1e-14);
        let p = pinv(&a, None);
        near("its pseudoinverse", &a.matmul(&p).matmul(&a), &a, 1e-13);
    }
    let zero = solve_triangular(&Tensor::f64([[1.0, 1.0], [0.0, 0.0]]), &Tensor::f64([1.0, 1.0]), TriangularOptions::default());
    assert!(values(&zero).iter().any(|v| !v.is_finite()));
}

#[test]
fn what_is_least_is_shortest() {
    // Of all solutions of one equation for three unknowns.
    let found = lstsq(&Tensor::f64([[1.0, 2.0, 2.0]]), &Tensor::f64([9.0]), None);
    near("the shortest", &found.solution, &Tensor::f64([1.0, 2.0, 2.0]), 1e-14);
    assert_eq!(found.rank.to_vec::<i64>().unwrap(), [1]);
    // What counts as 0 is left out.
    let a = Tensor::f64([[1.0, 0.0], [0.0, 1e-3]]);
    near("cut", &pinv(&a, Some(1e-2)), &Tensor::f64([[1.0, 0.0], [0.0, 0.0]]), 1e-15);
    near("not cut", &pinv(&a, None), &Tensor::f64([[1.0, 0.0], [0.0, 1e3]]), 1e-10);
    let narrow = leaf(&Tensor::f64([[1.0, 0.0], [0.0, 1e-8]]));
    assert_eq!(matrix_rank(&narrow, None).to_vec::<i64>().unwrap(), [2]);
    assert_eq!(matrix_rank(&narrow.cast(DType::F32), None).to_vec::<i64>().unwrap(), [1]);
}
