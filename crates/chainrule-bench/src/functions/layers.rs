//! Rows of what networks are made of, one function at a time: reductions, running sums, moved and indexed elements,
//! normalisation, pooling, convolutions that are not plain, products, attention.

use super::table::{Row, row};
use chainrule::functions::*;
use chainrule::{DType, Rng, Tensor, loss};

/// A function of floats of these shapes.
struct Of {
    family: &'static str,
    how: &'static str,
    shapes: &'static [&'static [usize]],
    function: fn(&[Tensor]) -> Tensor,
}

/// A function whose last input says which elements: whole numbers of a shape, less than a limit.
struct At {
    family: &'static str,
    how: &'static str,
    shape: &'static [usize],
    index: (&'static [usize], usize),
    function: fn(&[Tensor]) -> Tensor,
}

/// All of them.
pub fn rows(rows: &mut Vec<Row>) {
    for &Of { family, how, shapes, function } in FUNCTIONS {
        let inputs = move |rng: &mut Rng| shapes.iter().map(|&shape| Tensor::randn(shape, rng)).collect();
        rows.push(row(name(family, how, shapes[0]), inputs, move |x| vec![function(x)]));
    }
    for &At { family, how, shape, index: (of, limit), function } in INDEXED {
        let inputs = move |rng: &mut Rng| {
            let index = (Tensor::rand(of, rng) * limit as f64).floor().cast(DType::I64);
            vec![Tensor::randn(shape, rng), index.minimum(&Tensor::full(of, limit as f64 - 1.0, DType::I64))]
        };
        rows.push(row(name(family, how, shape), inputs, move |x| vec![function(x)]));
    }
}

fn name(family: &str, how: &str, shape: &[usize]) -> String {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("{family}/{how}/{}", sizes.join("x"))
}

/// A family's functions of tensors of the same shapes.
macro_rules! functions {
    ($($family:literal $shapes:expr => { $($how:literal $function:expr;)* })*) => {
        &[$($(Of { family: $family, how: $how, shapes: $shapes, function: $function },)*)*]
    };
}

static FUNCTIONS: &[Of] = functions! {
    "reduce" &[&[4096, 1024]] => {
        "sum_all" |x| x[0].sum();
        "sum_0" |x| x[0].sum_over(&[0]);
        "sum_1" |x| x[0].sum_over(&[1]);
        "max_0" |x| x[0].max_over(&[0]);
        "max_1" |x| x[0].max_over(&[1]);
        "argmax_0" |x| x[0].argmax(0);
        "argmax_1" |x| x[0].argmax(1);
        "var_0" |x| x[0].var_over(&[0], 1);
        "var_1" |x| x[0].var_over(&[1], 1);
        "norm" |x| x[0].norm_p(2.0);
    }
    "reduce" &[&[64, 128, 28, 28]] => {
        "sum_channels" |x| x[0].sum_over(&[0, 2, 3]);
        "var_channels" |x| x[0].var_over(&[0, 2, 3], 0);
        "sum_middle" |x| x[0].sum_over(&[1]);
    }
    "short" &[&[1_000_000, 3]] => { "sum" |x| x[0].sum_over(&[1]); "max" |x| x[0].max_over(&[1]); "unit" unit; "softmax" |x| x[0].softmax(1); }
    "short" &[&[200_000, 10]] => { "sum" |x| x[0].sum_over(&[1]); "max" |x| x[0].max_over(&[1]); "unit" unit; "softmax" |x| x[0].softmax(1); }
    "short" &[&[50_000, 32]] => { "sum" |x| x[0].sum_over(&[1]); "max" |x| x[0].max_over(&[1]); "unit" unit; "softmax" |x| x[0].softmax(1); }
    "scan" &[&[1024, 1024]] => {
        "cumsum_0" |x| x[0].cumsum(0);
        "cumsum_1" |x| x[0].cumsum(1);
        "cummax_1" |x| x[0].cummax(1).0;
    }
    "move" &[&[2048, 2048]] => {
        "t" |x| x[0].t();
        "flip_0" |x| x[0].flip(&[0]);
        "flip_1" |x| x[0].flip(&[1]);
        "roll_1" |x| x[0].roll(100, 1);
        "tile" |x| x[0].tile(&[2, 2]);
        "tril" |x| x[0].tril(0);
    }
    "move" &[&[64, 128, 28, 28]] => {
        "to_channels_last" |x| x[0].permute([0, 2, 3, 1]);
        "swap_1_2" |x| x[0].transpose(1, 2);
        "pad" |x| x[0].pad(&[(0, 0), (0, 0), (1, 1), (1, 1)]);
    }
    "move" &[&[2048, 1024], &[2048, 1024]] => {
        "concat_0" |x| Tensor::concat(&[&x[0], &x[1]], 0);
        "concat_1" |x| Tensor::concat(&[&x[0], &x[1]], 1);
        "stack_2" |x| Tensor::stack(&[&x[0], &x[1]], 2);
    }
    "norm" &[&[4096, 1024]] => {
        "softmax_0" |x| x[0].softmax(0);
        "softmax_1" |x| x[0].softmax(1);
        "log_softmax_1" |x| x[0].log_softmax(1);
        "rms_norm" |x| rms_norm(&x[0], 1, None, 1e-5);
    }
    "norm" &[&[4096, 1024], &[1024], &[1024]] => {
        "layer_norm" |x| layer_norm(&x[0], 1, Some(&x[1]), Some(&x[2]), 1e-5);
    }
    "norm" &[&[64, 128, 28, 28], &[128], &[128]] => {
        "batch_norm" |x| batch_norm(&x[0], 1, Some(&x[1]), Some(&x[2]), 1e-5).output;
        "group_norm" |x| group_norm(&x[0], 1, 32, Some(&x[1]), Some(&x[2]), 1e-5);
        "instance_norm" |x| instance_norm(&x[0], 1, Some(&x[1]), Some(&x[2]), 1e-5);
    }
    "pool" &[&[32, 64, 56, 56]] => {
        "max_2" |x| max_pool2d(&x[0], &Pool2dOptions::new([2, 2]));
        "max_3_stride_2" |x| max_pool2d(&x[0], &Pool2dOptions { stride: [2, 2], padding: [1, 1], ..Pool2dOptions::new([3, 3]) });
        "avg_2" |x| avg_pool2d(&x[0], &Pool2dOptions::new([2, 2]));
        "avg_3_stride_1" |x| avg_pool2d(&x[0], &Pool2dOptions { stride: [1, 1], padding: [1, 1], ..Pool2dOptions::new([3, 3]) });
        "global_avg" |x| global_avg_pool(&x[0], Layout::ChannelsFirst);
    }
    "pool" &[&[8, 64, 56, 56]] => {
        "nearest_2x" |x| resized(&x[0], Interpolation::Nearest);
        "bilinear_2x" |x| resized(&x[0], Interpolation::Linear);
    }
    "layer" &[&[16, 128, 56, 56], &[128, 1, 3, 3]] => {
        "depthwise" |x| conv2d(&x[0], &x[1], &Conv2dOptions { padding: Padding::Same, groups: 128, ..Conv2dOptions::default() });
    }
    "layer" &[&[16, 96, 56, 56], &[96, 1, 7, 7]] => {
        "depthwise_7" |x| conv2d(&x[0], &x[1], &Conv2dOptions { padding: Padding::Same, groups: 96, ..Conv2dOptions::default() });
    }
    "layer" &[&[16, 128, 28, 28], &[128, 16, 3, 3]] => {
        "grouped_8" |x| conv2d(&x[0], &x[1], &Conv2dOptions { padding: Padding::Same, groups: 8, ..Conv2dOptions::default() });
    }
    "layer" &[&[16, 64, 56, 56], &[128, 64, 3, 3]] => {
        "stride_2" |x| conv2d(&x[0], &x[1], &Conv2dOptions { padding: Padding::Same, stride: [2, 2], ..Conv2dOptions::default() });
        "dilation_2" |x| conv2d(&x[0], &x[1], &Conv2dOptions { padding: Padding::Same, dilation: [2, 2], ..Conv2dOptions::default() });
    }
    "layer" &[&[8, 3, 224, 224], &[64, 3, 7, 7]] => {
        "stem_7_stride_2" |x| conv2d(&x[0], &x[1], &Conv2dOptions { padding: Padding::Same, stride: [2, 2], ..Conv2dOptions::default() });
    }
    "layer" &[&[16, 64, 28, 28], &[64, 32, 4, 4]] => {
        "transposed_4_stride_2" |x| {
            conv_transpose2d(&x[0], &x[1], &ConvTranspose2dOptions { stride: [2, 2], padding: [1, 1], ..ConvTranspose2dOptions::default() })
        };
    }
    "layer" &[&[32, 64, 1024], &[64, 64, 5]] => {
        "conv1d_5" |x| conv1d(&x[0], &x[1], &Conv1dOptions { padding: Padding::Same, ..Conv1dOptions::default() });
    }
    "product" &[&[1024, 1024], &[1024, 1024]] => { "mm" |x| x[0].matmul(&x[1]); }
    "product" &[&[4096, 4096], &[4096, 1]] => { "mv" |x| x[0].matmul(&x[1]); }
    "product" &[&[1, 4096], &[4096, 4096]] => { "vm" |x| x[0].matmul(&x[1]); }
    "product" &[&[256, 64, 64], &[256, 64, 64]] => { "bmm" |x| x[0].matmul(&x[1]); }
    "product" &[&[10_000, 16, 16], &[10_000, 16, 16]] => { "bmm" |x| x[0].matmul(&x[1]); }
    "product" &[&[100_000, 4, 4], &[100_000, 4, 4]] => { "bmm" |x| x[0].matmul(&x[1]); }
    "product" &[&[2000, 128], &[2000, 128]] => {
        "distances" |x| (x[0].square().sum_keep(&[1]) + x[1].square().sum_over(&[1]) - x[0].matmul(&x[1].t()) * 2.0).sqrt();
        "cosine" |x| (&x[0] * &x[1]).sum_over(&[1]) / (x[0].square().sum_over(&[1]) * x[1].square().sum_over(&[1])).sqrt();
    }
    "attention" &[&[4, 8, 512, 64], &[4, 8, 512, 64], &[4, 8, 512, 64]] => {
        "whole" |x| attention(&x[0], &x[1], &x[2], &AttentionOptions::default());
        "causal" |x| attention(&x[0], &x[1], &x[2], &AttentionOptions { causal: true, ..Default::default() });
    }
};

static INDEXED: &[At] = &[
    At { family: "index", how: "embedding", shape: &[50_000, 512], index: (&[4096], 50_000), function: |x| embedding(&x[0], &x[1]) },
    At { family: "index", how: "select_1", shape: &[4096, 1024], index: (&[256], 1024), function: |x| x[0].index_select(1, &x[1]) },
    At { family: "index", how: "along_1", shape: &[4096, 1024], index: (&[4096, 256], 1024), function: |x| x[0].take_along_axis(&x[1], 1) },
    At { family: "index", how: "along_0", shape: &[4096, 1024], index: (&[256, 1024], 4096), function: |x| x[0].take_along_axis(&x[1], 0) },
    At { family: "index", how: "top_10", shape: &[4096, 1024], index: (&[1], 1), function: |x| x[0].top_k(10, 1).0 },
    At {
        family: "index",
        how: "where",
        shape: &[4096, 1024],
        index: (&[4096, 1024], 2),
        function: |x| x[1].cast(DType::Bool).select(&x[0], &x[0].exp()),
    },
    At {
        family: "loss",
        how: "cross_entropy",
        shape: &[8192, 1000],
        index: (&[8192], 1000),
        function: |x| loss::cross_entropy(&x[0], &x[1]),
    },
    At {
        family: "loss",
        how: "cross_entropy",
        shape: &[1024, 32_000],
        index: (&[1024], 32_000),
        function: |x| loss::cross_entropy(&x[0], &x[1]),
    },
];

/// Rows of length one.
fn unit(x: &[Tensor]) -> Tensor {
    &x[0] / x[0].square().sum_keep(&[1]).sqrt()
}

fn resized(x: &Tensor, mode: Interpolation) -> Tensor {
    interpolate(x, &InterpolateOptions { mode, scale: Some(vec![2.0]), ..Default::default() })
}
