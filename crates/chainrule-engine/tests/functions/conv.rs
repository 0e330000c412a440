//! Convolution against loops over its definition, the transpose against its adjoint.

use crate::check::{check_gradients, close, random, values};
use chainrule_engine::Tensor;
use chainrule_engine::functions::{
    Conv1dOptions, Conv2dOptions, ConvTranspose1dOptions, ConvTranspose2dOptions, Layout, Padding, conv_transpose1d, conv_transpose2d,
    conv1d, conv2d,
};

/// The definition, channels first.
fn by_loops(
    x: &Tensor,
    w: &Tensor,
    stride: [usize; 2],
    sides: [[usize; 2]; 2],
    dilation: [usize; 2],
    groups: usize,
) -> (Vec<usize>, Vec<f64>) {
    let (a, b, xs, ws) = (x.shape(), w.shape(), values(x), values(w));
    let out: [usize; 2] =
        std::array::from_fn(|d| (a[2 + d] + sides[d][0] + sides[d][1] - (b[2 + d] - 1) * dilation[d] - 1) / stride[d] + 1);
    let mut y = Vec::new();
    for n in 0..a[0] {
        for o in 0..b[0] {
            for i in 0..out[0] {
                for j in 0..out[1] {
                    let mut sum = 0.0;
                    for c in 0..b[1] {
                        let channel = o / (b[0] / groups) * b[1] + c;
                        for k in 0..b[2] {
                            for l in 0..b[3] {
                                let row = (i * stride[0] + k * dilation[0]).checked_sub(sides[0][0]).filter(|&r| r < a[2]);
                                let column = (j * stride[1] + l * dilation[1]).checked_sub(sides[1][0]).filter(|&c| c < a[3]);
                                if let (Some(r), Some(q)) = (row, column) {
                                    sum += xs[((n * a[1] + channel) * a[2] + r) * a[3] + q] * ws[((o * b[1] + c) * b[2] + k) * b[3] + l];
                                }
                            }
                        }
                    }
                    y.push(sum);
                }
            }
        }
    }
    (vec![a[0], b[0], out[0], out[1]], y)
}

struct Case {
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding<2>,
    sides: [[usize; 2]; 2],
    dilation: [usize; 2],
    groups: usize,
}

/// Every stride with every padding, dilation and grouping, and kernels of one element.
fn grid() -> Vec<Case> {
    let mut cases = Vec::new();
    for stride in [[1, 1], [2, 1], [1, 3]] {
        for (padding, sides) in [
            (Padding::Both([0, 0]), [[0, 0], [0, 0]]),
            (Padding::Both([1, 2]), [[1, 1], [2, 2]]),
            (Padding::Sides([[0, 1], [2, 0]]), [[0, 1], [2, 0]]),
        ] {
            for dilation in [[1, 1], [2, 1], [1, 2]] {
                for groups in [1, 2] {
                    for kernel in [[3, 2], [1, 1]] {
                        cases.push(Case { kernel, stride, padding, sides, dilation, groups });
                    }
                }
            }
        }
    }
    cases
}

/// conv2d over the grid of strides, paddings, dilations, groups and layouts.
#[test]
fn conv2d_grid_has_the_values_of_the_definition() {
    for case in grid() {
        let Case { kernel, stride, padding, sides, dilation, groups } = case;
        let (x, w) = (random(&[2, 4, 6, 5], 1), random(&[4, 4 / groups, kernel[0], kernel[1]], 2));
        let name = format!("kernel {kernel:?} stride {stride:?} padding {padding:?} dilation {dilation:?} groups {groups}");
        let (shape, expected) = by_loops(&x, &w, stride, sides, dilation, groups);
        let first = Conv2dOptions { stride, padding, dilation, groups, layout: Layout::ChannelsFirst };
        let y = conv2d(&x, &w, &first);
        assert_eq!(y.shape(), shape, "{name}");
        close(&name, &values(&y), &expected, 1e-14);
        let last = Conv2dOptions { layout: Layout::ChannelsLast, ..first };
        let y = conv2d(&x.permute([0, 2, 3, 1]), &w.permute([2, 3, 1, 0]), &last);
        close(&format!("{name}, channels last"), &values(&y.permute([0, 3, 1, 2])), &expected, 1e-14);
    }
}

#[test]
fn conv2d_grid_has_the_derivatives() {
    for (i, case) in grid().into_iter().enumerate() {
        let Case { kernel, stride, padding, dilation, groups, .. } = case;
        let layout = if i % 3 == 0 { Layout::ChannelsLast } else { Layout::ChannelsFirst };
        let options = Conv2dOptions { stride, padding, dilation, groups, layout };
        let (mut x, mut w) = (random(&[1, 2, 5, 3], 1), random(&[2, 2 / groups, kernel[0], kernel[1]], 2));
        if layout == Layout::ChannelsLast {
            x = x.permute([0, 2, 3, 1]).to_leaf().unwrap();
            w = w.permute([2, 3, 1, 0]).to_leaf().unwrap();
        }
        check_gradients(&format!("{options:?}"), |t| conv2d(&t[0], &t[1], &options), &[x, w]);
    }
}

#[test]
fn padding_same_keeps_the_length_divided_by_the_stride() {
    for (length, kernel, stride, dilation) in [(5, 3, 1, 1), (5, 3, 2, 1), (6, 3, 2, 1), (7, 2, 3, 2), (4, 1, 3, 1), (5, 4, 1, 1)] {
        let (x, w) = (random(&[1, 1, length], 1), random(&[1, 1, kernel], 2));
        let y = conv1d(&x, &w, &Conv1dOptions { stride: [stride], padding: Padding::Same, dilation: [dilation], ..Default::default() });
        let out = length.div_ceil(stride);
        let zeros = ((out - 1) * stride + (kernel - 1) * dilation + 1).saturating_sub(length);
        let sides = [[zeros / 2, zeros - zeros / 2], [0, 0]];
        let (_, expected) = by_loops(&x.unsqueeze(-1), &w.unsqueeze(-1), [stride, 1], sides, [dilation, 1], 1);
        assert_eq!(y.shape(), [1, 1, out]);
        close("same", &values(&y), &expected, 1e-14);
    }
}

#[test]
fn conv1d_in_both_layouts() {
    for (stride, padding, dilation, groups) in [(1, 0, 1, 1), (2, 1, 1, 2), (1, 2, 2, 1), (3, 1, 2, 2)] {
        let (x, w) = (random(&[2, 2, 6], 1), random(&[4, 2 / groups, 3], 2));
        let options =
            Conv1dOptions { stride: [stride], padding: Padding::Both([padding]), dilation: [dilation], groups, ..Default::default() };
        let (_, expected) = by_loops(&x.unsqueeze(-1), &w.unsqueeze(-1), [stride, 1], [[padding; 2], [0; 2]], [dilation, 1], groups);
        close("conv1d", &values(&conv1d(&x, &w, &options)), &expected, 1e-14);
        let last = Conv1dOptions { layout: Layout::ChannelsLast, ..options.clone() };
        let y = conv1d(&x.permute([0, 2, 1]), &w.permute([2, 1, 0]), &last);
        close("conv1d, channels last", &values(&y.permute([0, 2, 1])), &expected, 1e-14);
        check_gradients("conv1d", |t| conv1d(&t[0], &t[1], &options), &[random(&[1, 2, 6], 1), random(&[2, 2 / groups, 3], 2)]);
    }
}

#[test]
fn depthwise_has_one_kernel_for_each_channel() {
    let (x, w) = (random(&[1, 3, 4, 4], 1), random(&[6, 1, 2, 2], 2));
    let options = Conv2dOptions { groups: 3, ..Default::default() };
    let (_, expected) = by_loops(&x, &w, [1, 1], [[0; 2]; 2], [1, 1], 3);
    close("depthwise", &values(&conv2d(&x, &w, &options)), &expected, 1e-14);
}

/// conv_transpose: stride and dilation each in their place, for every option.
#[test]
fn conv_transpose2d_is_the_adjoint_of_conv2d() {
    for stride in [[1, 1], [2, 1], [1, 3]] {
        for dilation in [[1, 1], [2, 1], [1, 2]] {
            for (padding, groups) in [([0, 0], 1), ([1, 0], 2), ([1, 1], 1)] {
                for output_padding in [[0, 0], [stride[0] - 1, stride[1] - 1]] {
                    let (y, w) = (random(&[2, 4, 3, 2], 1), random(&[4, 4 / groups, 3, 2], 2));
                    let options =
                        ConvTranspose2dOptions { stride, padding, output_padding, dilation, groups, layout: Layout::ChannelsFirst };
                    let name = format!("{options:?}");
                    let back = conv_transpose2d(&y, &w, &options);
                    let expected: [usize; 2] = std::array::from_fn(|d| {
                        (y.shape()[2 + d] - 1) * stride[d] + dilation[d] * (w.shape()[2 + d] - 1) + 1 + output_padding[d] - 2 * padding[d]
                    });
                    assert_eq!(back.shape(), [2, 4, expected[0], expected[1]], "{name}");
                    // The convolution is linear, so its adjoint is its gradient.
                    let x = random(back.shape(), 3);
                    let forward =
                        conv2d(&x, &w, &Conv2dOptions { stride, padding: Padding::Both(padding), dilation, groups, ..Default::default() });
                    assert_eq!(forward.shape(), y.shape(), "{name}");
                    let gradient = (forward * &y).sum().grad(&[&x]).unwrap();
                    close(&name, &values(&back), &values(&gradient[0]), 1e-13);
                    let last = ConvTranspose2dOptions { layout: Layout::ChannelsLast, ..options };
                    let other = conv_transpose2d(&y.permute([0, 2, 3, 1]), &w.permute([2, 3, 1, 0]), &last);
                    close(&format!("{name}, channels last"), &values(&other.permute([0, 3, 1, 2])), &values(&back), 1e-14);
                }
            }
        }
    }
}

/// An independent figure: 2 spread by stride 2 and a kernel of three.
#[test]
fn conv_transpose1d_spreads_and_adds() {
    let (x, w) = (Tensor::from_slice(&[1.0f64, 2.0], [1, 1, 2]), Tensor::from_slice(&[10.0f64, 20.0, 30.0], [1, 1, 3]));
    let options = ConvTranspose1dOptions { stride: [2], ..Default::default() };
    assert_eq!(values(&conv_transpose1d(&x, &w, &options)), [10.0, 20.0, 50.0, 40.0, 60.0]);
    let options = ConvTranspose1dOptions { dilation: [2], ..Default::default() };
    assert_eq!(values(&conv_transpose1d(&x, &w, &options)), [10.0, 20.0, 20.0, 40.0, 30.0, 60.0]);
}

#[test]
fn conv_transpose2d_has_the_derivatives() {
    for (i, (stride, dilation, padding, groups)) in
        [([1, 1], [1, 1], [0, 0], 1), ([2, 1], [1, 1], [0, 1], 2), ([2, 3], [1, 2], [1, 0], 1)].into_iter().enumerate()
    {
        let layout = if i == 2 { Layout::ChannelsLast } else { Layout::ChannelsFirst };
        let options = ConvTranspose2dOptions { stride, padding, output_padding: [stride[0] - 1, 0], dilation, groups, layout };
        let (mut x, mut w) = (random(&[1, 2, 2, 2], 1), random(&[2, 2 / groups, 3, 2], 2));
        if i == 2 {
            x = x.permute([0, 2, 3, 1]).to_leaf().unwrap();
            w = w.permute([2, 3, 1, 0]).to_leaf().unwrap();
        }
        check_gradients(&format!("{options:?}"), |t| conv_transpose2d(&t[0], &t[1], &options), &[x, w]);
    }
}
