//! What does not fit is an error that names the function, the user's line, and what is wrong.

use chainrule::linalg::*;
use chainrule::prelude::*;
use chainrule::{Error, ErrorKind};

fn of(shape: &[usize]) -> Tensor {
    Tensor::placeholder(shape, DType::F64)
}

/// The name that the error of a call has to bear, the word it has to say, and the call.
fn calls() -> Vec<(&'static str, &'static str, Tensor)> {
    let (wide, square, vector, whole) = (of(&[2, 3]), of(&[3, 3]), of(&[3]), Tensor::placeholder([3, 3], DType::I32));
    let half = Tensor::placeholder([3, 3], DType::F16);
    let upper = TriangularOptions::default();
    vec![
        ("cholesky", "square", cholesky(&wide)),
        ("cholesky", "matrix", cholesky(&vector)),
        ("cholesky", "cast", cholesky(&half)),
        ("solve", "square", solve(&wide, &vector)),
        ("solve", "rows", solve(&square, &wide)),
        ("solve", "rows", solve(&square, &of(&[2]))),
        ("solve", "cast", solve(&square, &vector.cast(DType::F32))),
        ("solve", "broadcast", solve(&of(&[2, 3, 3]), &of(&[4, 3, 1]))),
        ("solve", "matrix", solve(&square, &of(&[]))),
        ("solve_triangular", "square", solve_triangular(&wide, &vector, upper)),
        ("inv", "cast", inv(&whole)),
        ("det", "square", det(&wide)),
        ("slogdet", "square", slogdet(&wide).logabsdet),
        ("slogdet", "square", slogdet(&wide).sign),
        ("qr", "matrix", qr(&vector).r),
        ("qr_complete", "matrix", qr_complete(&vector).q),
        ("svd_full", "matrix", svd_full(&vector).u),
        ("svd_full", "cast", svd_full(&half).vh),
        ("lu", "cast", lu(&whole).p),
        ("svd", "matrix", svd(&vector).vh),
        ("svdvals", "matrix", svdvals(&vector)),
        ("eigh", "square", eigh(&wide).eigenvalues),
        ("eigvalsh", "square", eigvalsh(&wide)),
        ("pinv", "cutoff", pinv(&wide, Some(-1.0))),
        ("pinv", "cutoff", pinv(&wide, Some(f64::NAN))),
        ("lstsq", "rows", lstsq(&wide, &vector, None).solution),
        ("lstsq", "cutoff", lstsq(&wide, &of(&[2]), Some(-1.0)).rank),
        ("matrix_rank", "matrix", matrix_rank(&vector, None)),
        ("matrix_power", "square", matrix_power(&wide, 2)),
        ("expm", "square", expm(&wide)),
        ("norm", "empty", norm(&of(&[0, 3]), MatrixNorm::Two)),
        ("norm", "empty", norm(&of(&[0, 3]), MatrixNorm::One)),
        ("norm", "matrix", norm(&vector, MatrixNorm::One)),
        ("cond", "empty", cond(&of(&[0, 0]), MatrixNorm::Two)),
        ("cond", "square", cond(&wide, MatrixNorm::One)),
        ("multi_dot", "at least one", multi_dot(&[])),
        ("multi_dot", "rows", multi_dot(&[&square, &wide])),
        ("multi_dot", "vectors", multi_dot(&[&square, &vector, &square])),
    ]
}

#[test]
fn mistakes_name_the_function_and_the_line() {
    for (name, word, call) in calls() {
        let error: &Error = call.error().unwrap_or_else(|| panic!("{name} takes what it should refuse: {word}"));
        let text = error.to_string();
        assert_eq!(error.operation(), name, "{text}");
        assert!(text.contains(word) && text.contains("mistakes.rs"), "should say `{word}`, and the line: {text}");
        assert!(matches!(error.kind(), ErrorKind::Shape | ErrorKind::DType | ErrorKind::Argument), "{text}");
    }
}

#[test]
fn a_mistake_is_handed_on() {
    let mistake = Tensor::ones([2, 3]).matmul(&Tensor::ones([2, 3]));
    for y in [solve(&mistake, &of(&[3])), solve(&of(&[3, 3]), &mistake), svd(&mistake).u, expm(&mistake), multi_dot(&[&mistake])] {
        assert_eq!(y.error().map(Error::operation), Some("matmul"));
    }
}

#[test]
fn a_basis_that_was_chosen_has_no_derivative() {
    let (tall, wide) = (super::apart(&[4, 2], 1), super::apart(&[2, 4], 1));
    for (name, x, basis) in
        [("qr_complete", &tall, qr_complete(&tall).q), ("svd_full", &tall, svd_full(&tall).u), ("svd_full", &wide, svd_full(&wide).vh)]
    {
        let error = basis.sum().grad(&[x]).unwrap_err();
        assert_eq!((error.operation(), error.kind()), (name, ErrorKind::Disconnected), "{error}");
        let text = error.to_string();
        assert!(text.contains("choice") && text.contains("reduced") && text.contains("mistakes.rs"), "{text}");
        assert!(chainrule::transform::jvp(&[&basis], &[x], &[&x.ones_like()]).is_err(), "forwards");
    }
}
