//! Values: what a decomposition promises, at many sizes, and figures of NumPy.

use super::{apart, largest, leaf, near, numbers, values};
use chainrule::linalg::*;
use chainrule::prelude::*;

/// Rows and columns; beyond some tens, blocks of the library take part.
const SIZES: [(usize, usize); 10] = [(1, 1), (2, 2), (3, 3), (7, 7), (40, 40), (5, 3), (3, 5), (1, 4), (4, 1), (70, 33)];

fn identity(n: usize) -> Tensor {
    Tensor::eye(n, DType::F64)
}

fn is_triangle(x: &Tensor, lower: bool) -> bool {
    values(&if lower { x.triu(1) } else { x.tril(-1) }).iter().all(|&v| v == 0.0)
}

#[test]
fn decompositions_are_what_they_promise() {
    for (m, n) in SIZES {
        let a = numbers(&[m, n], 1);
        let (what, k) = (format!("{m} x {n}"), m.min(n));
        let Qr { q, r } = qr(&a);
        near(&what, &q.matmul(&r), &a, 1e-13);
        near(&what, &q.t().matmul(&q), &identity(k), 1e-13);
        assert!(is_triangle(&r, false) && values(&r.diagonal(0, -2, -1)).iter().all(|&v| v >= 0.0), "{what}");
        let Lu { p, l, u } = lu(&a);
        near(&what, &p.matmul(&l).matmul(&u), &a, 1e-13);
        assert!(is_triangle(&l, true) && is_triangle(&u, false) && values(&l).iter().all(|v| v.abs() <= 1.0), "{what}");
        assert_eq!(values(&p.t().matmul(&p)), values(&identity(m)), "{what}");
        let Svd { u, s, vh } = svd(&a);
        near(&what, &(&u * s.unsqueeze(0)).matmul(&vh), &a, 1e-13);
        near(&what, &u.t().matmul(&u), &identity(k), 1e-13);
        near(&what, &vh.matmul(&vh.t()), &identity(k), 1e-13);
        assert!(values(&s).windows(2).all(|pair| pair[0] >= pair[1]) && values(&s)[k - 1] >= 0.0, "{what}");
        near(&what, &svdvals(&a), &s, 1e-13);
        assert_eq!(matrix_rank(&a, None).to_vec::<i64>().unwrap(), [k as i64], "{what}");
        let p = pinv(&a, None);
        for (got, want) in [(a.matmul(&p).matmul(&a), a.clone()), (p.matmul(&a).matmul(&p), p.clone())] {
            near(&what, &got, &want, 1e-11);
        }
        near(&what, &a.matmul(&p), &a.matmul(&p).t(), 1e-12);
        near(&what, &p.matmul(&a), &p.matmul(&a).t(), 1e-12);
        if m != n {
            continue;
        }
        let positive = leaf(&(a.matmul(&a.t()) + identity(n)));
        let l = cholesky(&positive);
        near(&what, &l.matmul(&l.t()), &positive, 1e-12);
        assert!(is_triangle(&l, true) && values(&l.diagonal(0, -2, -1)).iter().all(|&v| v > 0.0), "{what}");
        let Eigh { eigenvalues, eigenvectors } = eigh(&positive);
        near(&what, &(&eigenvectors * eigenvalues.unsqueeze(0)).matmul(&eigenvectors.t()), &positive, 1e-12);
        near(&what, &eigenvectors.t().matmul(&eigenvectors), &identity(n), 1e-13);
        assert!(values(&eigenvalues).is_sorted(), "{what}");
        near(&what, &eigvalsh(&positive), &eigenvalues, 1e-12);
        near(&what, &inv(&positive).matmul(&positive), &identity(n), 1e-12);
        let b = numbers(&[n, 3], 2);
        near(&what, &positive.matmul(&solve(&positive, &b)), &b, 1e-12);
        let Slogdet { sign, logabsdet } = slogdet(&a);
        let product = sign * logabsdet.exp();
        let det = det(&a);
        near(&what, &product, &det, 1e-11 * values(&det)[0].abs());
        for (lower, transposed, unit_diagonal) in [
            (false, false, false),
            (false, true, false),
            (true, false, false),
            (true, true, false),
            (true, false, true),
            (false, true, true),
        ] {
            let a = leaf(&(&positive * 0.1 + identity(n)));
            let x = solve_triangular(&a, &b, TriangularOptions { lower, transposed, unit_diagonal });
            let triangle = if lower { a.tril(-1) } else { a.triu(1) };
            let triangle = triangle + if unit_diagonal { identity(n) } else { &a * identity(n) };
            let triangle = if transposed { triangle.t() } else { triangle };
            let scale = 1.0 + super::largest(&x);
            near(&what, &(triangle.matmul(&x) / scale), &(&b / scale), 1e-12);
        }
    }
}

#[test]
fn whole_bases_begin_with_those_of_the_reduced_decompositions() {
    for (m, n) in SIZES.into_iter().chain([(3, 0), (0, 3), (0, 0)]) {
        let a = numbers(&[2, m, n], 4);
        let (what, k) = (format!("{m} x {n}"), m.min(n) as isize);
        let (Qr { q, r }, reduced) = (qr_complete(&a), qr(&a));
        assert_eq!((q.shape(), r.shape()), (&[2, m, m][..], &[2, m, n][..]));
        near(&what, &q.matmul(&r), &a, 1e-13);
        near(&what, &q.t().matmul(&q), &identity(m).broadcast_to([2, m, m]), 1e-13);
        assert_eq!(values(&q.slice(-1, ..k)), values(&reduced.q), "{what}");
        assert_eq!(values(&r.slice(-2, ..k)), values(&reduced.r), "{what}");
        assert!(is_triangle(&r, false), "{what}");
        let (Svd { u, s, vh }, reduced) = (svd_full(&a), svd(&a));
        assert_eq!((u.shape(), vh.shape()), (&[2, m, m][..], &[2, n, n][..]));
        near(&what, &(u.slice(-1, ..k) * s.unsqueeze(-2)).matmul(&vh.slice(-2, ..k)), &a, 1e-13);
        near(&what, &u.t().matmul(&u), &identity(m).broadcast_to([2, m, m]), 1e-13);
        near(&what, &vh.matmul(&vh.t()), &identity(n).broadcast_to([2, n, n]), 1e-13);
        assert_eq!(values(&u.slice(-1, ..k)), values(&reduced.u), "{what}");
        assert_eq!(values(&vh.slice(-2, ..k)), values(&reduced.vh), "{what}");
        assert_eq!(values(&s), values(&reduced.s), "{what}");
    }
}

#[test]
fn small_and_large_matrices_are_decomposed_alike() {
    // Around the size from which the library's blocks take over: a corner of a larger matrix is factored as by itself.
    for n in 9..16 {
        let large = leaf(&(apart(&[n + 8, n + 8], 5) + identity(n + 8) * 20.0));
        let corner = leaf(&large.slice(-1, ..n as isize).slice(-2, ..n as isize));
        let inside = |x: &Tensor| x.slice(-1, ..n as isize).slice(-2, ..n as isize);
        near("lu", &lu(&corner).u, &inside(&lu(&large).u), 1e-11);
        let (whole, part) = (large.matmul(&large.t()), leaf(&inside(&large.matmul(&large.t()))));
        near("cholesky", &cholesky(&part), &inside(&cholesky(&whole)), 1e-11);
        let b = numbers(&[n, 2], 6);
        near("solve", &corner.matmul(&solve(&corner, &b)), &b, 1e-13);
        near("det", &det(&corner).log(), &slogdet(&corner).logabsdet, 1e-12);
    }
}

#[test]
fn pseudoinverses_are_the_same_with_and_without_singular_values() {
    // A condition of 1e7 is beyond what is inverted without them.
    let near_singular =
        |power: i32| apart(&[5, 3], 6).matmul(&Tensor::f64([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 10f64.powi(power)]]));
    for power in [0, -3, -5, -7, -9] {
        for a in [near_singular(power), near_singular(power).t()] {
            let p = pinv(&a, None);
            let scale = largest(&p) * 10.0 * f64::EPSILON * 10f64.powi(-power);
            near("a p a", &a.matmul(&p).matmul(&a), &a, 1e-15 + scale);
            near("p a", &p.matmul(&a).t(), &p.matmul(&a), 1e-14 + scale);
            near("p, of the transposed matrix", &pinv(&a.t(), None).t(), &p, scale);
        }
    }
    // What is well conditioned, but below the cutoff, is left out all the same.
    let a = Tensor::f64([[1.0, 0.0], [0.0, 0.3], [0.0, 0.0]]);
    near("cut", &pinv(&a, Some(0.4)), &Tensor::f64([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), 1e-15);
}

#[test]
fn the_figures_of_numpy() {
    let file: serde_json::Value = serde_json::from_str(include_str!("../../data/linalg_numpy.json")).unwrap();
    let stored = |name: &str| -> Vec<f64> { file[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect() };
    let tensor = |name: &str, shape: &[usize]| Tensor::from_slice(&stored(name), shape);
    let (a, s, t, b) = (tensor("a", &[3, 3]), tensor("s", &[3, 3]), tensor("t", &[4, 2]), tensor("b", &[3, 2]));
    let found = lstsq(&t, &Tensor::f64([1.0, 2.0, 3.0, 4.0]), None);
    let inner = b.t().slice(-1, ..2).matmul(&b.slice(-2, ..2));
    for (name, got) in [
        ("cholesky", cholesky(&s)),
        ("solve", solve(&a, &b)),
        ("inv", inv(&a)),
        ("det", det(&a)),
        ("sign", slogdet(&a).sign),
        ("logabsdet", slogdet(&a).logabsdet),
        ("q", qr(&t).q),
        ("r", qr(&t).r),
        ("svdvals", svdvals(&t)),
        ("eigvalsh", eigvalsh(&s)),
        ("pinv", pinv(&t, None)),
        ("lstsq", found.solution),
        ("residuals", found.residuals),
        ("expm", expm(&(&a * 0.5))),
        ("fro", norm(&t, MatrixNorm::Frobenius)),
        ("nuc", norm(&t, MatrixNorm::Nuclear)),
        ("two", norm(&t, MatrixNorm::Two)),
        ("one", norm(&t, MatrixNorm::One)),
        ("inf", norm(&t, MatrixNorm::Infinity)),
        ("cond", cond(&a, MatrixNorm::Two)),
        ("cond_fro", cond(&a, MatrixNorm::Frobenius)),
        ("power", matrix_power(&a, 5)),
        ("power_negative", matrix_power(&a, -2)),
        ("multi_dot", multi_dot(&[&t, &inner, &b.t()])),
    ] {
        let want = stored(name);
        let most = want.iter().fold(0.0f64, |most, v| most.max(v.abs()));
        near(name, &got.flatten(), &Tensor::from_slice(&want, [want.len()]), 1e-13 * most);
    }
}

#[test]
fn exponentials_have_their_closed_forms() {
    // A turn by an angle, for norms of every degree and of many halvings.
    for angle in [0.0, 1e-9, 0.01, 0.2, 0.9, 2.0, 5.0, 30.0, 300.0] {
        let turn = expm(&Tensor::f64([[0.0, -angle], [angle, 0.0]]));
        let (sin, cos) = f64::sin_cos(angle);
        near("a turn", &turn, &Tensor::f64([[cos, -sin], [sin, cos]]), 1e-14 * (1.0 + 10.0 * angle));
    }
    let a = apart(&[6, 6], 3);
    near("the inverse", &expm(&a).matmul(&expm(&-&a)), &identity(6), 1e-8);
    near("of zeros", &expm(&(&a * 0.0)), &identity(6), 0.0);
    assert!(values(&expm(&(&a * 1e3))).iter().all(|v| v.is_nan()), "too large for f64");
    assert_eq!(values(&expm(&Tensor::f64([[-2000.0]]))), [0.0]);
}

#[test]
fn products_are_in_the_order_that_costs_least() {
    let (a, b, c) = (numbers(&[30, 1], 1), numbers(&[1, 40], 2), numbers(&[40, 1], 3));
    let product = multi_dot(&[&a, &b, &c, &a.t()]);
    near("the product", &product, &a.matmul(&b.matmul(&c)).matmul(&a.t()), 1e-13);
    // (a (b c)) a^T, not ((a b) c) a^T: no product of 30 x 40 is made.
    let sizes: Vec<usize> = chainrule::transform::walk::Walk::new([&product], |_| true).nodes.iter().map(|node| node.len()).collect();
    assert!(!sizes.contains(&1200), "{sizes:?}");
    let (row, column) = (numbers(&[4], 4), numbers(&[5], 5));
    let middle = numbers(&[4, 5], 6);
    assert_eq!(multi_dot(&[&row, &middle, &column]).shape(), [0usize; 0]);
    near("a form", &multi_dot(&[&row, &middle, &column]), &row.matmul(&middle).matmul(&column), 1e-14);
}
