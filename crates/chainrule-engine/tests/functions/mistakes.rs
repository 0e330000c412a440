//! Mistakes: each names the function the user called and the user's own line.

use crate::check::{f, i, line_of_mistake};
use chainrule_engine::functions::loss::{self, LossOptions};
use chainrule_engine::functions::*;
use chainrule_engine::{DType, Tensor};

macro_rules! mistakes {
    ($($name:literal: $call:expr;)*) => {
        #[test]
        fn mistakes_name_the_function_and_the_line() {
            let mut lines = Vec::new();
            $({
                let tensor = $call;
                lines.push(line_of_mistake($name, stringify!($call), &tensor, file!()));
                // It spreads unchanged through everything.
                let later = tensor.relu().softmax(0).mean();
                assert_eq!(later.eval().unwrap_err().to_string(), tensor.check().unwrap_err().to_string());
            })*
            // Every call has a line of its own, and they come in this order.
            assert!(lines.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{lines:?}");
        }
    };
}

mistakes! {
    "gelu": i(&[2]).gelu();
    "elu": i(&[2]).elu(1.0);
    "round": i(&[2]).round();
    "clamp": f(&[2]).clamp(1.0, 0.0);
    "clamp": f(&[2]).clamp(f64::NAN, 0.0);
    "clamp_min": f(&[2]).clamp_min(f64::NAN);
    "celu": f(&[2]).celu(0.0);
    "hard_shrink": f(&[2]).hard_shrink(-1.0);
    "soft_shrink": f(&[2]).soft_shrink(f64::NAN);
    "soft_shrink": i(&[2]).soft_shrink(1.0);
    "threshold": f(&[2]).threshold(f64::NAN, 0.0);
    "softplus_with": f(&[2]).softplus_with(0.0, 1.0);
    "swiglu": f(&[3]).swiglu(0);
    "swiglu": i(&[4]).swiglu(0);
    "asin": i(&[2]).asin();
    "lgamma": i(&[2]).lgamma();
    "polygamma": f(&[2]).polygamma(101);
    "polygamma": i(&[2]).polygamma(1);
    "atan2": f(&[2]).atan2(&f(&[3]));
    "atan2": f(&[2]).atan2(&i(&[2]));
    "hypot": i(&[2]).hypot(&i(&[2]));
    "logaddexp": f(&[2]).logaddexp(&f(&[2]).cast(DType::F64));
    "fmod": i(&[2]).fmod(&i(&[3]));
    "fmod": i(&[2]).fmod(&f(&[2]));
    "floor_divide": i(&[2]).floor_divide(&i(&[3]));
    "remainder": i(&[2]).remainder(&i(&[2]).cast(DType::U8));
    "float_power": i(&[2]).float_power(&f(&[3]));
    "lerp": f(&[2]).lerp(&f(&[2]), &f(&[3]));
    "lerp": f(&[2]).lerp(&f(&[2]), &i(&[2]));
    "clamp_between": f(&[2]).clamp_between(Some(&f(&[3])), None);
    "clamp_between": f(&[2]).clamp_between(None, Some(&i(&[2])));
    "rint": i(&[2]).rint();
    "xor": f(&[2]).xor(&f(&[2]));
    "xor": i(&[2]).xor(&i(&[3]));
    "is_close": f(&[2]).is_close(&f(&[2]), -1.0, 0.0);
    "is_close": f(&[2]).is_close(&f(&[3]), 0.0, 0.0);
    "all_close": f(&[2]).all_close(&i(&[2]), 0.0, 0.0);
    "nanmean": i(&[2]).nanmean();
    "nanmax": f(&[0]).nanmax();
    "norm_p": f(&[2]).norm_p(f64::NAN);
    "norm_p": i(&[2]).norm_p(3.0);
    "norm_p": f(&[2]).norm_p_over(&[1], 3.0);
    "cummax": f(&[2]).cummax(1).0;
    "cummin": Tensor::full([2], 0.0, DType::Bool).cummin(0).1;
    "reverse_cumsum": f(&[2]).reverse_cumsum(-2);
    "reverse_cumprod": f(&[2]).reverse_cumprod(1);
    "cumprod": Tensor::full([2], 0.0, DType::Bool).cumprod(0);
    "logcumsumexp": i(&[2]).logcumsumexp(0);
    "max_with_index": f(&[2, 0]).max_with_index(1).1;
    "min_with_index": f(&[2]).min_with_index(1).0;
    "glu": f(&[3]).glu(0);
    "glu": f(&[4]).glu(1);
    "mean": i(&[2]).mean();
    "mean": f(&[2]).mean_over(&[1]);
    "mean": f(&[2, 2]).mean_over(&[1, -1]);
    "var": f(&[2]).var_over(&[-2], 0);
    "std": i(&[2]).std(0);
    "min": f(&[2]).min_over(&[3]);
    "min": Tensor::full([2], 0.0, DType::Bool).min();
    "prod": f(&[2]).prod_keep(&[1]);
    "sum": f(&[2]).sum_keep(&[1]);
    "logsumexp": i(&[2]).logsumexp();
    "cumprod": f(&[2]).cumprod(1);
    "softmax": f(&[2]).softmax(1);
    "softmax": i(&[2]).softmax(0);
    "log_softmax": f(&[2]).log_softmax(-2);
    "softmin": i(&[2]).softmin(0);
    "layer_norm": layer_norm(&f(&[2, 3]), 0, None, None, 1e-5);
    "layer_norm": layer_norm(&f(&[2, 3]), 3, None, None, 1e-5);
    "layer_norm": layer_norm(&f(&[2, 3]), 1, Some(&f(&[2])), None, 1e-5);
    "layer_norm": layer_norm(&f(&[2, 3]), 1, None, None, -1.0);
    "layer_norm": layer_norm(&f(&[2, 3]), 1, None, None, f64::NAN);
    "layer_norm": layer_norm(&f(&[2, 3]), 1, Some(&f(&[3]).cast(DType::F64)), None, 1e-5);
    "rms_norm": rms_norm(&f(&[2, 3]), 1, Some(&f(&[2, 3])), 1e-5);
    "rms_norm": rms_norm(&i(&[2, 3]), 1, None, 1e-5);
    "batch_norm": batch_norm(&f(&[2, 3]), 2, None, None, 1e-5).output;
    "batch_norm": batch_norm(&f(&[2, 3]), 1, Some(&f(&[2])), None, 1e-5).mean;
    "batch_norm_with": batch_norm_with(&f(&[2, 3]), 1, &f(&[3]), &f(&[1]), None, None, 1e-5);
    "group_norm": group_norm(&f(&[2, 4, 3]), 1, 3, None, None, 1e-5);
    "group_norm": group_norm(&f(&[2, 4, 3]), 1, 0, None, None, 1e-5);
    "group_norm": group_norm(&f(&[2, 4, 3]), 0, 1, None, None, 1e-5);
    "conv2d": conv2d(&f(&[1, 2, 4]), &f(&[1, 2, 3, 3]), &Default::default());
    "conv2d": conv2d(&f(&[1, 2, 4, 4]), &f(&[1, 3, 3, 3]), &Default::default());
    "conv2d": conv2d(&f(&[1, 2, 4, 4]), &f(&[1, 2, 5, 3]), &Default::default());
    "conv2d": conv2d(&f(&[1, 2, 4, 4]), &f(&[1, 2, 0, 3]), &Default::default());
    "conv2d": conv2d(&f(&[1, 2, 4, 4]), &f(&[1, 2, 3, 3]).cast(DType::F64), &Default::default());
    "conv2d": conv2d(&i(&[1, 2, 4, 4]), &i(&[1, 2, 3, 3]), &Default::default());
    "conv2d": conv2d(&f(&[1, 2, 4, 4]), &f(&[1, 2, 3, 3]), &Conv2dOptions { stride: [0, 1], ..Default::default() });
    "conv2d": conv2d(&f(&[1, 2, 4, 4]), &f(&[1, 2, 3, 3]), &Conv2dOptions { dilation: [usize::MAX, 1], ..Default::default() });
    "conv2d": conv2d(&f(&[1, 2, 4, 4]), &f(&[3, 1, 3, 3]), &Conv2dOptions { groups: 2, ..Default::default() });
    "conv2d": conv2d(&f(&[1, 3, 4, 4]), &f(&[2, 1, 3, 3]), &Conv2dOptions { groups: 2, ..Default::default() });
    "conv2d": conv2d(&f(&[1, 3, 4, 4]), &f(&[2, 1, 3, 3]), &Conv2dOptions { groups: 0, ..Default::default() });
    "conv1d": conv1d(&f(&[1, 3, 4]), &f(&[2, 3, 5]), &Default::default());
    "conv_transpose2d": conv_transpose2d(&f(&[1, 2, 4, 4]), &f(&[3, 2, 3, 3]), &Default::default());
    "conv_transpose2d": conv_transpose2d(&f(&[1, 2, 4, 4]), &f(&[2, 1, 3, 3]), &ConvTranspose2dOptions { output_padding: [1, 0], ..Default::default() });
    "conv_transpose2d": conv_transpose2d(&f(&[1, 2, 4, 4]), &f(&[2, 1, 3, 3]), &ConvTranspose2dOptions { padding: [4, 0], ..Default::default() });
    "conv_transpose1d": conv_transpose1d(&f(&[1, 2, 0]), &f(&[2, 1, 3]), &Default::default());
    "max_pool2d": max_pool2d(&f(&[1, 2, 4]), &Pool2dOptions::new([2, 2]));
    "max_pool2d": max_pool2d(&f(&[1, 2, 4, 4]), &Pool2dOptions::new([2, 0]));
    "max_pool2d": max_pool2d(&f(&[1, 2, 4, 4]), &Pool2dOptions::new([2, 5]));
    "max_pool2d": max_pool2d(&f(&[1, 2, 4, 4]), &Pool2dOptions { padding: [2, 0], ..Pool2dOptions::new([2, 2]) });
    "max_pool1d": max_pool1d(&i(&[1, 2, 4]), &Pool1dOptions::new([2]));
    "avg_pool2d": avg_pool2d(&f(&[1, 2, 4, 4]), &Pool2dOptions { stride: [0, 1], ..Pool2dOptions::new([2, 2]) });
    "embedding": embedding(&f(&[2]), &i(&[2]));
    "embedding": embedding(&f(&[2, 2]), &f(&[2]));
    "attention": attention(&f(&[2, 3]), &f(&[2, 4]), &f(&[2, 4]), &Default::default());
    "attention": attention(&f(&[2, 3]), &f(&[2, 3]), &f(&[4, 3]), &Default::default());
    "attention": attention(&f(&[3]), &f(&[2, 3]), &f(&[2, 3]), &Default::default());
    "attention": attention(&f(&[2, 2, 3]), &f(&[3, 2, 3]), &f(&[2, 3]), &Default::default());
    "attention": attention(&f(&[2, 2, 3]), &f(&[2, 2, 3]), &f(&[3, 2, 3]), &Default::default());
    "attention": attention(&f(&[2, 3]), &f(&[2, 3]), &i(&[2, 3]), &Default::default());
    "attention": attention(&f(&[2, 3]), &f(&[2, 3]), &f(&[2, 3]), &AttentionOptions { mask: Some(f(&[3, 2])), ..Default::default() });
    "attention": attention(&f(&[2, 3]), &f(&[2, 3]), &f(&[2, 3]), &AttentionOptions { mask: Some(i(&[2, 2])), ..Default::default() });
    "attention_weights": attention_weights(&f(&[2, 3]), &f(&[2, 4]), &Default::default());
    "mse": loss::mse(&f(&[3, 1]), &f(&[3]));
    "mse": loss::mse(&f(&[3]), &i(&[3]));
    "l1": loss::l1(&i(&[3]), &i(&[3]));
    "huber": loss::huber(&f(&[3]), &f(&[3]), 0.0);
    "smooth_l1": loss::smooth_l1(&f(&[3]), &f(&[3]), f64::NAN);
    "bce": loss::bce(&f(&[3]), &f(&[4]));
    "bce_with_logits": loss::bce_with_logits(&f(&[3]), &f(&[4]));
    "cross_entropy": loss::cross_entropy(&f(&[3, 4]), &i(&[4]));
    "cross_entropy": loss::cross_entropy(&f(&[3, 4]), &f(&[3]));
    "cross_entropy": loss::cross_entropy(&f(&[]), &i(&[]));
    "cross_entropy": loss::cross_entropy(&f(&[3, 0]), &i(&[3]));
    "cross_entropy": loss::cross_entropy_with(&f(&[3, 4]), &i(&[3]), &LossOptions { label_smoothing: 1.5, ignore: Some(1), ..Default::default() });
    "cross_entropy_of_distributions": loss::cross_entropy_of_distributions(&f(&[3, 4]), &f(&[3]));
    "nll": loss::nll(&i(&[3, 4]), &i(&[3]));
    "kl_div": loss::kl_div(&f(&[]), &f(&[]));
}

#[test]
fn an_earlier_mistake_is_the_one_reported() {
    let wrong = f(&[2, 3]).matmul(&f(&[2, 3]));
    let expected = wrong.check().unwrap_err().to_string();
    for tensor in [
        wrong.gelu(),
        wrong.clamp(1.0, 0.0),
        wrong.mean_keep(&[7]),
        wrong.var(0),
        wrong.softmax(5),
        wrong.cumprod(3),
        wrong.sign(),
        wrong.asin(),
        wrong.polygamma(200),
        f(&[2]).atan2(&wrong),
        wrong.fmod(&f(&[2])),
        f(&[2]).lerp(&f(&[2]), &wrong),
        f(&[2]).clamp_between(None, Some(&wrong)),
        wrong.nan_to_num(0.0, None, None),
        wrong.is_finite(),
        wrong.is_negative(),
        f(&[2]).is_close(&wrong, -1.0, 0.0),
        f(&[2]).all_close(&wrong, 0.0, 0.0),
        &i(&[2]) ^ &wrong,
        !&wrong,
        wrong.cummax(7).1,
        wrong.logcumsumexp(7),
        wrong.max_with_index(7).0,
        wrong.norm_p(f64::NAN),
        wrong.celu(0.0),
        wrong.reciprocal(),
        wrong.glu(4),
        layer_norm(&f(&[2, 3]), 1, Some(&wrong), None, 1e-5),
        conv2d(&f(&[1, 1, 3, 3]), &wrong, &Default::default()),
        conv_transpose2d(&wrong, &f(&[1, 1, 3, 3]), &Default::default()),
        max_pool2d(&wrong, &Pool2dOptions::new([2, 2])),
        avg_pool2d(&wrong, &Pool2dOptions::new([2, 2])),
        embedding(&wrong, &i(&[2])),
        attention(&f(&[2, 2]), &wrong, &f(&[2, 2]), &Default::default()),
        attention(&f(&[2, 2]), &f(&[2, 2]), &f(&[2, 2]), &AttentionOptions { mask: Some(wrong.clone()), ..Default::default() }),
        loss::mse(&f(&[2]), &wrong),
        loss::huber(&wrong, &f(&[2]), -1.0),
        loss::cross_entropy(&wrong, &i(&[2])),
        loss::cross_entropy_with(&f(&[2, 2]), &wrong, &LossOptions { label_smoothing: 2.0, ..Default::default() }),
        loss::kl_div(&wrong, &f(&[2])),
    ] {
        assert_eq!(tensor.check().unwrap_err().to_string(), expected);
    }
}
