//! Methods of tensors that are an operation or a few, and have no file of their own.

use super::{Row, any, index};
use chainrule_engine::{DType, Steps, Tensor};

#[rustfmt::skip]
pub const FUNCTIONS: &[Row] = &[
    Row("select", &[any(&[3]), any(&[3])], |t| Tensor::from_slice(&[true, false, true], [3]).select(&t[0], &t[1])),
    Row("cast", &[any(&[3])], |t| t[0].cast(DType::F64)),
    Row("reshape", &[any(&[2, 3])], |t| t[0].reshape([3, 2])),
    Row("flatten", &[any(&[2, 3])], |t| t[0].flatten()),
    Row("permute", &[any(&[2, 3, 2])], |t| t[0].permute([1, 2, 0])),
    Row("transpose", &[any(&[2, 3, 2])], |t| t[0].transpose(0, 1)),
    Row("t", &[any(&[2, 3])], |t| t[0].t()),
    Row("broadcast_to", &[any(&[2, 1])], |t| t[0].broadcast_to([3, 2, 2])),
    Row("unsqueeze", &[any(&[3])], |t| t[0].unsqueeze(0)),
    Row("squeeze", &[any(&[3, 1])], |t| t[0].squeeze(1)),
    Row("flip", &[any(&[2, 3])], |t| t[0].flip(&[1])),
    Row("concat", &[any(&[2, 3]), any(&[1, 3])], |t| Tensor::concat(&[&t[0], &t[1]], 0)),
    Row("stack", &[any(&[3]), any(&[3])], |t| Tensor::stack(&[&t[0], &t[1]], 1)),
    Row("einsum of two", &[any(&[2, 3]), any(&[3, 2])], |t| t[0].einsum("ij,jk->ki", &t[1])),
    Row("matmul", &[any(&[2, 3]), any(&[3, 2])], |t| t[0].matmul(&t[1])),
    Row("matmul batched", &[any(&[2, 1, 2, 3]), any(&[3, 3, 2])], |t| t[0].matmul(&t[1])),
    Row("gather", &[any(&[3, 2])], |t| t[0].gather(&index(&[2, 0, 2]))),
    Row("scatter_add", &[any(&[3, 2])], |t| t[0].scatter_add(&index(&[2, 0, 2]), 4)),
    Row("at", &[any(&[4, 3])], |t| t[0].at(((..).by(-2), 1))),
    Row("slice", &[any(&[4, 3])], |t| t[0].slice(0, 1..3)),
    Row("index", &[any(&[4, 3])], |t| t[0].index(1, -1)),
    Row("split", &[any(&[4, 3])], |t| t[0].split(&[1, 3], 0).remove(1)),
    Row("chunk", &[any(&[5, 2])], |t| t[0].chunk(2, 0).remove(0)),
    Row("index_select", &[any(&[2, 3])], |t| t[0].index_select(1, &index(&[2, 0, 2]))),
    Row("take_along_axis", &[any(&[2, 3])], |t| t[0].take_along_axis(&index(&[2, 0]).reshape([2, 1]), 1)),
    Row("gather_last", &[any(&[2, 3])], |t| t[0].gather_last(&index(&[2, 0]))),
];
