//! Derivatives of batches, and where there is none; every function's are in `table.rs`.

use super::cases::CASES;
use super::{apart, leaf, near, numbers, values};
use chainrule::check::gradcheck;
use chainrule::linalg::*;
use chainrule::prelude::*;

#[test]
fn derivatives_of_a_batch_equal_differences() {
    let case = |name: &str| CASES.iter().find(|case| case.name == name).unwrap();
    for name in ["solve", "eigh vectors", "svd vectors", "lu of a tall matrix", "expm"] {
        let inputs = case(name).inputs(&[2], 3);
        gradcheck(case(name).function, &inputs.iter().collect::<Vec<_>>()).unwrap().assert_passed();
    }
    // One matrix for several right-hand sides, and the reverse.
    let (a, b) = (leaf(&apart(&[3, 3], 4)), numbers(&[2, 3, 1], 5));
    gradcheck(|x| solve(&x[0], &x[1]), &[&a, &b]).unwrap().assert_passed();
    let (a, b) = (leaf(&apart(&[2, 3, 3], 4)), numbers(&[3], 5));
    gradcheck(|x| solve(&x[0], &x[1]), &[&a, &b]).unwrap().assert_passed();
}

fn gradient(y: &Tensor, x: &Tensor) -> Tensor {
    y.sum().grad(&[x]).unwrap().remove(0)
}

fn none_is_a_number(x: &Tensor) -> bool {
    values(x).iter().all(|v| v.is_nan())
}

/// A rotation of three axes, none of which stays.
fn rotation(seed: u64) -> Tensor {
    leaf(&qr(&numbers(&[3, 3], seed)).q)
}

#[test]
fn vectors_of_equal_eigenvalues_have_no_gradient_and_say_so() {
    for seed in 0..20 {
        let q = rotation(seed);
        for (diagonal, simple) in [([1.0, 1.0, 2.0], false), ([1.0, 2.0, 2.0], false), ([0.0, 0.0, 0.0], false), ([1.0, 2.0, 3.0], true)] {
            let a = leaf(&(&q * Tensor::f64(diagonal).unsqueeze(0)).matmul(&q.t()));
            let Eigh { eigenvalues, eigenvectors } = eigh(&a);
            let again = (&eigenvectors * eigenvalues.unsqueeze(0)).matmul(&eigenvectors.t());
            let through_vectors = gradient(&(&again * numbers(&[3, 3], 2)), &a);
            assert_eq!(none_is_a_number(&through_vectors), !simple, "{diagonal:?}: {through_vectors:?}");
            if simple {
                let part = numbers(&[3, 3], 2);
                near("of the matrix itself", &through_vectors, &((&part + part.t()) * 0.5), 1e-12);
            }
            // The sum of all is the trace, however many are equal; and a value of its own has its gradient.
            near("the trace", &gradient(&eigenvalues, &a), &Tensor::eye(3, DType::F64), 1e-14);
            near("the trace, without vectors", &gradient(&eigvalsh(&a), &a), &Tensor::eye(3, DType::F64), 1e-14);
        }
    }
    // In f32, equal means equal to fewer digits.
    let a = Tensor::f64([[1.0, 0.0], [0.0, 1.0 + 1e-7]]);
    assert!(!none_is_a_number(&gradient(&eigh(&a).eigenvectors, &a)));
    let a = a.cast(DType::F32);
    assert!(none_is_a_number(&gradient(&eigh(&a).eigenvectors, &a)));
}

#[test]
fn vectors_of_equal_singular_values_have_no_gradient_and_say_so() {
    for seed in 0..20 {
        let q = rotation(seed);
        for (diagonal, simple) in [([2.0, 2.0, 1.0], false), ([1.0, 0.0, 0.0], false), ([3.0, 2.0, 1.0], true), ([3.0, 2.0, 0.0], true)] {
            let a = leaf(&(&q * Tensor::f64(diagonal).unsqueeze(0)));
            let Svd { u, s, vh } = svd(&a);
            let again = (&u * s.unsqueeze(0)).matmul(&vh);
            let slope = gradient(&(&again * numbers(&[3, 3], 2)), &a);
            assert_eq!(none_is_a_number(&slope), !simple, "{diagonal:?}: {slope:?}");
            if simple {
                near("of the matrix itself", &slope, &numbers(&[3, 3], 2), 1e-12);
            }
            if diagonal[2] > 0.0 {
                // The gradient of the nuclear norm is U V^T, also where values are equal.
                near("the nuclear norm", &gradient(&norm(&a, MatrixNorm::Nuclear), &a), &u.matmul(&vh), 1e-13);
            }
        }
    }
    // A value of 0 has no vector outside the others that could turn.
    let a = Tensor::f64([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]);
    assert!(none_is_a_number(&gradient(&svd(&a).u, &a)));
    let a = Tensor::f64([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]);
    assert!(none_is_a_number(&gradient(&svd(&a).vh, &a)));
}

#[test]
fn determinants_of_singular_matrices_have_their_gradient() {
    for a in [
        Tensor::f64([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]),
        Tensor::f64([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]),
        Tensor::f64([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [-1.0, -2.0, -3.0]]),
        Tensor::f64([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
    ] {
        let v = values(&a);
        let minor = |i: usize, j: usize| {
            let at = |i: usize, j: usize| v[i % 3 * 3 + j % 3];
            at(i + 1, j + 1) * at(i + 2, j + 2) - at(i + 1, j + 2) * at(i + 2, j + 1)
        };
        let want: Vec<f64> = (0..9).map(|i| minor(i / 3, i % 3)).collect();
        near("cofactors", &gradient(&det(&a), &a), &Tensor::from_slice(&want, [3, 3]), 1e-13);
    }
    let a = Tensor::f64([[1.0, 2.0], [2.0, 4.0]]);
    assert!(none_is_a_number(&gradient(&slogdet(&a).logabsdet, &a)));
    assert_eq!(values(&gradient(&slogdet(&(&a + Tensor::f64([[1.0, 0.0], [0.0, 1.0]]))).sign, &a)), [0.0; 4]);
    let first = gradient(&det(&a).square(), &a);
    assert!(values(&gradient(&first, &a)).iter().any(|v| !v.is_finite()), "a second derivative that is not there");
}

#[test]
fn dependent_columns_have_no_gradient_of_an_orthonormal_basis() {
    let a = Tensor::f64([[1.0, 2.0], [2.0, 4.0], [-1.0, -2.0]]);
    let Qr { q, r } = qr(&a);
    near("the product", &q.matmul(&r), &a, 1e-14);
    assert!(none_is_a_number(&gradient(&(q + r.sum()), &a)));
}

#[test]
fn kinks_of_norms_have_finite_gradients() {
    for shape in [[2, 2], [3, 2]] {
        let zeros = Tensor::from_slice(&vec![0.0f64; shape[0] * shape[1]], shape);
        for order in [MatrixNorm::Frobenius, MatrixNorm::Nuclear, MatrixNorm::Two, MatrixNorm::One, MatrixNorm::Infinity] {
            let slope = values(&gradient(&norm(&zeros, order), &zeros));
            assert!(slope.iter().all(|v| v.abs() <= 1.0), "{order:?}: {slope:?}");
        }
    }
}
