//! Mistakes: each names the function the user called and the user's own line, and an earlier mistake is the one reported.

use crate::check::{f, i, line_of_mistake};
use chainrule_engine::functions::*;
use chainrule_engine::{DType, Tensor};

fn b(shape: &[usize]) -> Tensor {
    Tensor::full(shape, 1.0, DType::Bool)
}

/// Calls that must be refused, and calls on a tensor that is wrong already.
macro_rules! mistakes {
    ($($name:literal: $call:expr;)*) => {
        #[test]
        fn mistakes_name_the_function_and_the_line() {
            let mut lines = Vec::new();
            $({
                let tensor: Tensor = $call;
                lines.push(line_of_mistake($name, stringify!($call), &tensor, file!()));
            })*
            assert!(lines.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{lines:?}");
        }
    };
}

mistakes! {
    "sort": f(&[2]).sort(1);
    "argsort": f(&[]).argsort(0);
    "top_k": f(&[3]).top_k(4, 0).1;
    "kthvalue": f(&[3]).kthvalue(0, 0).0;
    "kthvalue": f(&[3]).kthvalue(4, 0).1;
    "searchsorted": f(&[3]).searchsorted(&i(&[2]), false);
    "searchsorted": f(&[2, 3]).searchsorted(&f(&[3, 3]), false);
    "searchsorted": f(&[]).searchsorted(&f(&[3]), false);
    "digitize": f(&[3]).digitize(&f(&[2, 2]), false);
    "median": i(&[3]).median();
    "median": f(&[0, 2]).median_over(&[0]);
    "lower_median": f(&[0]).lower_median(0).0;
    "quantile": f(&[3]).quantile(1.5, Between::Linear);
    "quantile": f(&[3]).quantile(f64::NAN, Between::Linear);
    "quantile": f(&[3]).quantiles_over(&[0.5], &[0, 0], Between::Linear);
    "percentile": f(&[3]).percentiles_over(&[101.0], &[0], Between::Linear);
    "masked_fill": f(&[3]).masked_fill(&f(&[3]), 0.0);
    "masked_fill": f(&[3]).masked_fill(&b(&[2]), 0.0);
    "pick": f(&[3]).pick(&f(&[3]));
    "pick": f(&[3]).pick((&i(&[3]), &i(&[3])));
    "pick": f(&[3, 2]).pick((&i(&[3]), &i(&[2])));
    "pick": f(&[3]).pick(&b(&[2]));
    "pick": f(&[3, 2]).pick((3, &i(&[2])));
    "put_at": f(&[3]).put_at(&i(&[2]), &f(&[3]));
    "put_at": f(&[3]).put_at(&i(&[2]), &i(&[2]));
    "add_at": f(&[3]).add_at((&i(&[2]), ..), &f(&[2]));
    "take": f(&[3]).take(&f(&[2]), 0, Outside::Clip);
    "take": f(&[3]).take(&i(&[2]), 1, Outside::Clip);
    "gather_nd": f(&[3]).gather_nd(&i(&[2, 2]));
    "put_along_axis": f(&[3]).put_along_axis(&i(&[1, 1]), &f(&[1]), 0);
    "put_along_axis": f(&[3, 2]).put_along_axis(&i(&[3, 3]), &f(&[3, 3]), 0);
    "scatter_reduce": f(&[3]).scatter_reduce(&i(&[2]), &f(&[3]), 0, Reduce::Sum, true);
    "scatter_reduce": i(&[3]).scatter_reduce(&i(&[2]), &i(&[2]), 0, Reduce::Mean, true);
    "index_add": f(&[3]).index_add(0, &i(&[2]), &f(&[3]));
    "index_add": b(&[3]).index_add(0, &i(&[2]), &b(&[2]));
    "index_copy": f(&[3]).index_copy(0, &i(&[2, 1]), &f(&[2, 1]));
    "index_fill": f(&[3]).index_fill(1, &i(&[2]), 0.0);
    "segment_sum": f(&[3]).segment_sum(&i(&[2]), 2);
    "segment_max": f(&[3]).segment_max(&f(&[3]), 2);
    "embedding_bag": embedding_bag(&f(&[3]), &i(&[3]), None, None, Bag::Sum);
    "embedding_bag": embedding_bag(&f(&[3, 2]), &i(&[]), None, None, Bag::Sum);
    "embedding_bag": embedding_bag(&f(&[3, 2]), &i(&[3]), None, Some(&f(&[3])), Bag::Max);
    "moveaxis": f(&[3, 2]).moveaxis(&[0], &[0, 1]);
    "moveaxis": f(&[3, 2]).moveaxis(&[0, 0], &[0, 1]);
    "rot90": f(&[3, 2]).rot90(1, (0, 0));
    "repeat_each": f(&[3]).repeat_each(&[1, 2], 0);
    "repeat_each": f(&[1]).repeat_each(&[usize::MAX], 0);
    "split_at": f(&[3]).split_at(&[2, 1], 0).remove(0);
    "split_evenly": f(&[3]).split_evenly(2, 0).remove(0);
    "split_evenly": f(&[3]).split_evenly(0, 0).remove(0);
    "unbind": f(&[3]).unbind(1).remove(0);
    "unfold": f(&[3]).unfold(0, 4, 1);
    "unfold": f(&[3]).unfold(0, 1, 0);
    "sliding_windows": f(&[3]).sliding_windows(&[1, 1], &[0]);
    "expand": f(&[3]).expand(&[-1, 3]);
    "expand": f(&[3]).expand(&[2]);
    "squeeze": f(&[3, 1]).squeeze_over(&[0]);
    "unsqueeze": f(&[3]).unsqueeze_over(&[0, 0]);
    "flatten_axes": f(&[3, 2]).flatten_axes(1, 0);
    "unflatten": f(&[6]).unflatten(0, [4, 2]);
    "diagonal": f(&[3]).diagonal(0, 0, 1);
    "trace": f(&[3]).trace();
    "diag": f(&[1, 1, 1]).diag(0);
    "diag": f(&[1]).diag(isize::MIN);
    "diag_embed": f(&[]).diag_embed(0, 0, 1);
    "diag_embed": f(&[2]).diag_embed(0, 0, 0);
    "range": Tensor::range(0.0, 1.0, 0.0, DType::F32);
    "range": Tensor::range(0.0, 1e300, 1.0, DType::F32);
    "geomspace": Tensor::geomspace(-1.0, 1.0, 3, DType::F32);
    "logspace": Tensor::logspace(0.0, 1.0, usize::MAX, 2.0, DType::F32);
    "meshgrid": meshgrid(&[&f(&[2, 2])], true).remove(0);
    "cartesian_prod": cartesian_prod(&[]);
    "block_diag": block_diag(&[&f(&[1, 1, 1])]);
    "pad_mode": f(&[3]).pad_mode(&[], PadMode::Edge);
    "pad_mode": f(&[0]).pad_mode(&[(1, 0)], PadMode::Edge);
    "pad_mode": f(&[1]).pad_mode(&[(usize::MAX, 0)], PadMode::Edge);
    "kron": f(&[3]).kron(&i(&[3]));
    "outer": f(&[3]).outer(&i(&[3]));
    "cross": f(&[3]).cross(&f(&[2]), 0);
    "cross": f(&[2]).cross(&f(&[2]), 0);
    "tensordot": f(&[2, 3]).tensordot(&f(&[2]), &[1], &[0]);
    "vander": f(&[2, 2]).vander(2, true);
    "cov": f(&[1, 1, 1]).cov(1);
    "corrcoef": i(&[2, 2]).corrcoef();
    "einsum": einsum("ij,jk", &[&f(&[2, 3])]);
    "einsum": einsum("ij,jk", &[&f(&[2, 3]), &f(&[4, 2])]);
    "einsum": einsum("ij", &[&f(&[2])]);
    "einsum": einsum("i,i", &[&f(&[2]), &i(&[2])]);
    "fft": Complex::new(&f(&[2]), &f(&[3])).fft(0, Norm::Ortho).re;
    "fft": Complex::new(&f(&[2]), &i(&[2])).fft(0, Norm::Ortho).im;
    "ifftn": Complex::new(&f(&[2]), &f(&[2])).ifftn(&[0, 0], Norm::Ortho).re;
    "rfft": f(&[2, 0]).rfft(1, Norm::Ortho).re;
    "rfftn": f(&[2, 2]).rfftn(&[], Norm::Ortho).im;
    "irfft": Complex::new(&f(&[3]), &f(&[3])).irfft(6, 0, Norm::Ortho);
    "fftshift": f(&[3]).fftshift(&[1]);
    "fftfreq": Tensor::fftfreq(0, 1.0, DType::F32);
    "fft_convolve": f(&[3]).fft_convolve(&f(&[2, 2]), 0);
    "diff": f(&[2]).diff(1, 1);
    "slopes": f(&[1]).slopes(Samples::Every(1.0), 0);
    "trapezoid": f(&[3]).trapezoid(Samples::At(&f(&[2])), 0);
    "depth_to_space": f(&[3, 2, 2]).depth_to_space(2, DepthOrder::BlockFirst);
    "space_to_depth": f(&[3, 2, 3]).space_to_depth(2, DepthOrder::BlockFirst);
}

#[test]
fn an_earlier_mistake_is_the_one_reported() {
    let wrong = f(&[2, 3]).matmul(&f(&[2, 3]));
    let expected = wrong.check().unwrap_err().to_string();
    let calls = [
        wrong.sort(7),
        wrong.top_k(9, 0).0,
        wrong.median(),
        wrong.quantile(2.0, Between::Linear),
        wrong.pick(&i(&[2])),
        f(&[2]).pick(&wrong),
        f(&[2]).put_at(&i(&[2]), &wrong),
        wrong.take(&i(&[2]), 0, Outside::Raise),
        f(&[2]).take(&wrong, 0, Outside::Raise),
        f(&[2]).segment_max(&wrong, 1),
        wrong.rot90(1, (0, 1)),
        wrong.expand(&[2]),
        wrong.pad_mode(&[], PadMode::Wrap),
        wrong.diagonal(0, 0, 1),
        wrong.diag(0),
        wrong.kron(&f(&[2])),
        wrong.slopes(Samples::Every(1.0), 0),
        Tensor::vstack(&[&f(&[2]), &wrong]),
        meshgrid(&[&wrong], true).remove(0),
        block_diag(&[&wrong]),
    ];
    for (at, tensor) in calls.iter().enumerate() {
        // What has axes of its own to be wrong about may say so first.
        assert_eq!(tensor.check().unwrap_err().to_string(), expected, "call {at}");
    }
    assert_eq!(wrong.unique().unwrap_err().to_string(), expected);
    assert_eq!(wrong.masked_select(&b(&[1])).unwrap_err().to_string(), expected);
}

#[test]
fn positions_outside_are_errors_when_they_are_evaluated() {
    let (x, y) = (f(&[2, 3]), f(&[2]));
    let at = |position: i64| Tensor::from_slice(&[position, 0], [2]);
    for position in [2, -3, i64::MAX, i64::MIN] {
        let index = at(position);
        let calls = [
            x.pick(&index),
            x.pick((&index, &i(&[2]))),
            x.take(&index, 0, Outside::Raise),
            x.gather_nd(&index),
            y.index_add(0, &index, &y),
            y.index_copy(0, &index, &y),
            y.index_fill(0, &index, 1.0),
            y.put_at(&index, &y),
            y.put_along_axis(&index, &y, 0),
            y.segment_max(&index, 2),
            y.segment_prod(&index, 2),
        ];
        for (call, tensor) in calls.iter().enumerate() {
            let text = match tensor.eval() {
                Err(error) => error.to_string(),
                Ok(tensor) => panic!("call {call} with {position} gives {:?}", tensor.to_vec::<f32>()),
            };
            assert!(text.contains("is outside 0..") && text.contains("mistakes.rs"), "call {call}: {text}");
        }
    }
}
