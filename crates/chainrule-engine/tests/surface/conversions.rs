//! Host values in and out.

use crate::mistake;
use chainrule_engine::{DType, Element, ErrorKind, Tensor};
use half::{bf16, f16};

fn is(tensor: Tensor, dtype: DType, shape: &[usize]) -> Tensor {
    tensor.check().unwrap();
    assert_eq!((tensor.dtype(), tensor.shape()), (dtype, shape));
    tensor
}

#[test]
fn f64_literals_become_f32_and_nothing_else_changes() {
    is(Tensor::from(1.5), DType::F32, &[]);
    is(Tensor::from([1.5, 2.0]), DType::F32, &[2]);
    is(Tensor::from(vec![vec![0.1]]), DType::F32, &[1, 1]);
    assert_eq!(Tensor::from([0.1]).to_vec::<f32>().unwrap(), [0.1f32]);
    assert_eq!(Tensor::from(1e300).item().unwrap(), f64::INFINITY);
    fn kept<T: Element>(value: T)
    where
        Tensor: From<T> + From<[[T; 1]; 2]> + From<Vec<T>>,
    {
        is(Tensor::from(value), T::DTYPE, &[]);
        is(Tensor::from([[value], [value]]), T::DTYPE, &[2, 1]);
        assert_eq!(is(Tensor::from(vec![value, value]), T::DTYPE, &[2]).to_vec::<T>().unwrap(), [value, value]);
    }
    kept(0.1f32);
    kept(bf16::from_f32(0.1));
    kept(f16::from_f32(0.1));
    kept(i64::MIN);
    kept(7);
    kept(200u8);
    kept(true);
}

#[test]
fn f64_is_kept_where_it_is_asked_for() {
    assert_eq!(is(Tensor::f64([[0.1, 0.2]]), DType::F64, &[1, 2]).to_vec::<f64>().unwrap(), [0.1, 0.2]);
    assert_eq!(is(Tensor::f64(vec![1, 2]), DType::F64, &[2]).to_vec::<f64>().unwrap(), [1.0, 2.0]);
    is(Tensor::from_slice(&[0.1], [1]), DType::F64, &[1]);
    is(Tensor::from_vec(vec![0.1], [1]), DType::F64, &[1]);
}

#[test]
fn every_nesting_gives_the_same_tensor() {
    let rows = vec![vec![1, 2, 3], vec![4, 5, 6]];
    let slices: [&[i32]; 2] = [&[1, 2, 3], &[4, 5, 6]];
    let nested = [
        Tensor::from([[1, 2, 3], [4, 5, 6]]),
        Tensor::from(&[[1, 2, 3], [4, 5, 6]]),
        Tensor::from(vec![[1, 2, 3], [4, 5, 6]]),
        Tensor::from([vec![1, 2, 3], vec![4, 5, 6]]),
        Tensor::from(&rows),
        Tensor::from(&rows[..]),
        Tensor::from(slices),
        Tensor::from(&slices[..]),
        Tensor::from(rows.clone()),
    ];
    for tensor in nested {
        assert_eq!(tensor.shape(), [2, 3]);
        assert_eq!(tensor.to_vec::<i32>().unwrap(), [1, 2, 3, 4, 5, 6]);
    }
    let deep = Tensor::from([[[[1u8], [2]]], [[[3], [4]]], [[[5], [6]]]]);
    assert_eq!(deep.shape(), [3, 1, 2, 1]);
    assert_eq!(deep.to_vec::<u8>().unwrap(), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn empty_values_have_the_shape_their_type_tells() {
    is(Tensor::from(Vec::<f32>::new()), DType::F32, &[0]);
    is(Tensor::from(Vec::<Vec<i64>>::new()), DType::I64, &[0, 0]);
    is(Tensor::from(vec![Vec::<i64>::new(); 3]), DType::I64, &[3, 0]);
    is(Tensor::from([[0u8; 0]; 3]), DType::U8, &[3, 0]);
    is(Tensor::from([[0u8; 3]; 0]), DType::U8, &[0, 3]);
    is(Tensor::from(Vec::<[[f32; 4]; 2]>::new()), DType::F32, &[0, 2, 4]);
}

#[test]
fn a_ragged_vector_says_which_row() {
    let line = line!() + 1;
    let ragged = Tensor::from(vec![vec![vec![1, 2], vec![3, 4]], vec![vec![5, 6], vec![7]]]);
    let expected = format!("from at {}:{line}: rows differ in length: row [1, 1] has 1, row [0, 0] has 2", file!());
    assert_eq!(mistake(&ragged), expected);
    assert_eq!(ragged.error().unwrap().kind(), ErrorKind::Shape);
    assert!(mistake(&Tensor::from(vec![vec![], vec![1]])).ends_with("row [1] has 1, row [0] has 0"));
    assert!(mistake(&Tensor::from(vec![vec![vec![1]], vec![]])).ends_with("row [1] has 0, row [0] has 1"));
    // The first of two is reported.
    assert!(mistake(&Tensor::f64(vec![vec![1.0], vec![], vec![1.0, 2.0]])).ends_with("row [1] has 0, row [0] has 1"));
}

#[test]
fn back_to_the_host() {
    let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    assert_eq!(x.to_vec2::<i32>().unwrap(), [[1, 2, 3], [4, 5, 6]]);
    assert_eq!(<[[i32; 3]; 2]>::try_from(&x).unwrap(), [[1, 2, 3], [4, 5, 6]]);
    assert_eq!(Vec::<Vec<i32>>::try_from(&x).unwrap(), [[1, 2, 3], [4, 5, 6]]);
    let cube = x.reshape([3, 1, 2]);
    assert_eq!(cube.to_vec3::<i32>().unwrap(), [[[1, 2]], [[3, 4]], [[5, 6]]]);
    assert_eq!(Vec::<i32>::try_from(&x.flatten()).unwrap(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(<[i32; 6]>::try_from(&x.flatten()).unwrap(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(Tensor::from([[0u8; 0]; 2]).to_vec2::<u8>().unwrap(), [vec![], vec![]]);
    assert_eq!(Tensor::from([[[0u8; 2]; 0]; 2]).to_vec3::<u8>().unwrap(), [[[0u8; 2]; 0]; 2]);

    assert_eq!(f64::try_from(&Tensor::from([[3]])).unwrap(), 3.0);
    assert_eq!(f32::try_from(&Tensor::from(bf16::from_f32(0.5))).unwrap(), 0.5);
    assert_eq!(i64::try_from(&Tensor::from(i64::MIN + 1)).unwrap(), i64::MIN + 1);
    assert_eq!(i64::try_from(&Tensor::from(9u8)).unwrap(), 9);
    assert!(bool::try_from(&Tensor::from(true)).unwrap());
}

#[test]
fn what_does_not_fit_is_refused() {
    let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    let refused = |error: chainrule_engine::Error, kind: ErrorKind, end: &str| {
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().ends_with(end), "{error}");
    };
    refused(x.to_vec2::<f32>().unwrap_err(), ErrorKind::DType, "the elements are i32, not f32; convert with `cast`");
    refused(x.to_vec3::<i32>().unwrap_err(), ErrorKind::Shape, "takes 3 axes, this tensor has 2: [2, 3]; see `reshape`");
    refused(Vec::<i32>::try_from(&x).unwrap_err(), ErrorKind::Shape, "takes 1 axes, this tensor has 2: [2, 3]; see `reshape`");
    refused(<[[i32; 2]; 3]>::try_from(&x).unwrap_err(), ErrorKind::Shape, "[2, 3] is not the shape [3, 2] of the array");
    refused(<[i32; 5]>::try_from(&x.flatten()).unwrap_err(), ErrorKind::Shape, "[6] is not the shape [5] of the array");
    refused(i64::try_from(&x).unwrap_err(), ErrorKind::Shape, "a tensor of shape [2, 3] is not one number");
    let message = "the element is f32, not one of i64, i32, u8; convert with `cast`";
    refused(i64::try_from(&Tensor::from(1.0)).unwrap_err(), ErrorKind::DType, message);
    assert!(bool::try_from(&Tensor::from(1)).is_err());
    assert!(f32::try_from(&Tensor::f64(1.0)).is_err());
    // The first cause comes through.
    let poisoned = Tensor::from(vec![vec![1], vec![]]) + 1;
    for error in [poisoned.to_vec2::<i32>().unwrap_err(), i64::try_from(&poisoned).unwrap_err(), f64::try_from(&poisoned).unwrap_err()] {
        refused(error, ErrorKind::Shape, "row [1] has 0, row [0] has 1");
    }
}

#[cfg(feature = "ndarray")]
#[test]
fn ndarray_in_any_layout() {
    use ndarray::{Array2, ShapeBuilder, arr0, s};
    let a = Array2::from_shape_fn((3, 4), |(i, j)| (10 * i + j) as f64);
    let mut columns = Array2::zeros((3, 4).f());
    columns.assign(&a);
    for tensor in [Tensor::from(&a), Tensor::from(a.clone()), Tensor::from(columns)] {
        assert_eq!(is(tensor, DType::F64, &[3, 4]).to_ndarray::<f64>().unwrap(), a.clone().into_dyn());
    }
    let part = Tensor::from(a.slice(s![..;-2, 1..;2]).t());
    assert_eq!(part.to_vec2::<f64>().unwrap(), [[21.0, 1.0], [23.0, 3.0]]);
    is(Tensor::from(&arr0(true)), DType::Bool, &[]);
    assert_eq!(Tensor::from(Array2::<u8>::zeros((2, 0))).to_ndarray::<u8>().unwrap().shape(), [2, 0]);
    assert!(Tensor::from(a).to_ndarray::<f32>().is_err());
}
