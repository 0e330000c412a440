//! Pooling against loops over its definition.

use crate::check::{check_gradients, close, random, slope, values};
use chainrule_engine::functions::{Layout, Pool1dOptions, Pool2dOptions, avg_pool1d, avg_pool2d, max_pool1d, max_pool2d};
use chainrule_engine::{DType, Tensor};

/// The elements of every window, those in the padding left out.
fn windows(x: &Tensor, o: &Pool2dOptions) -> Vec<Vec<f64>> {
    let (s, data) = (x.shape(), values(x));
    let out: [usize; 2] = std::array::from_fn(|d| (s[2 + d] + 2 * o.padding[d] - o.kernel[d]) / o.stride[d] + 1);
    let inside = |i: usize, k: usize, d: usize| (i * o.stride[d] + k).checked_sub(o.padding[d]).filter(|&at| at < s[2 + d]);
    let mut found = Vec::new();
    for plane in 0..s[0] * s[1] {
        for i in 0..out[0] {
            for j in 0..out[1] {
                let rows = (0..o.kernel[0]).filter_map(|k| inside(i, k, 0));
                found.push(
                    rows.flat_map(|r| {
                        (0..o.kernel[1]).filter_map(|l| inside(j, l, 1)).map(|c| data[(plane * s[2] + r) * s[3] + c]).collect::<Vec<_>>()
                    })
                    .collect(),
                );
            }
        }
    }
    found
}

fn grid() -> Vec<Pool2dOptions> {
    let mut options = Vec::new();
    for kernel in [[2, 2], [3, 2], [2, 3], [1, 1]] {
        for stride in [kernel, [1, 2], [2, 1], [3, 3]] {
            for padding in [[0, 0], [kernel[0] / 2, kernel[1] / 2]] {
                for count_padding in [true, false] {
                    options.push(Pool2dOptions { kernel, stride, padding, count_padding, ..Pool2dOptions::new(kernel) });
                }
            }
        }
    }
    options
}

/// max_pool and avg_pool, kernel equal to the stride and not, overlapping or not, in both layouts.
#[test]
fn pools_have_the_values_of_the_definition() {
    let x = random(&[2, 2, 5, 6], 1);
    for options in grid() {
        let found = windows(&x, &options);
        let name = format!("{options:?}");
        let largest: Vec<f64> = found.iter().map(|w| w.iter().copied().fold(f64::NEG_INFINITY, f64::max)).collect();
        let count = |w: &[f64]| if options.count_padding { options.kernel[0] * options.kernel[1] } else { w.len() };
        let means: Vec<f64> = found.iter().map(|w| w.iter().sum::<f64>() / count(w) as f64).collect();
        close(&name, &values(&max_pool2d(&x, &options)), &largest, 0.0);
        close(&name, &values(&avg_pool2d(&x, &options)), &means, 1e-14);
        let (last, turned) = (Pool2dOptions { layout: Layout::ChannelsLast, ..options.clone() }, x.permute([0, 2, 3, 1]));
        close(&name, &values(&max_pool2d(&turned, &last).permute([0, 3, 1, 2])), &largest, 0.0);
        close(&name, &values(&avg_pool2d(&turned, &last).permute([0, 3, 1, 2])), &means, 1e-14);
    }
}

#[test]
fn pools_have_the_derivatives() {
    for options in grid() {
        let name = format!("{options:?}");
        check_gradients(&format!("max {name}"), |t| max_pool2d(&t[0], &options), &[random(&[1, 1, 4, 5], 1)]);
        check_gradients(&format!("avg {name}"), |t| avg_pool2d(&t[0], &options), &[random(&[1, 1, 4, 5], 1)]);
    }
    let last = Pool2dOptions { stride: [1, 2], padding: [1, 0], layout: Layout::ChannelsLast, ..Pool2dOptions::new([2, 2]) };
    check_gradients("max, channels last", |t| max_pool2d(&t[0], &last), &[random(&[1, 3, 4, 2], 1)]);
    check_gradients("avg, channels last", |t| avg_pool2d(&t[0], &last), &[random(&[1, 3, 4, 2], 1)]);
}

#[test]
fn pools_over_one_axis() {
    let x = Tensor::from_slice(&[-4.0f64, -2.0, -1.0, -3.0, -5.0], [1, 1, 5]);
    assert_eq!(values(&max_pool1d(&x, &Pool1dOptions::new([2]))), [-2.0, -1.0]);
    // Padding is below everything, not zero.
    let options = Pool1dOptions { stride: [1], padding: [1], ..Pool1dOptions::new([3]) };
    assert_eq!(values(&max_pool1d(&x, &options)), [-2.0, -1.0, -1.0, -1.0, -3.0]);
    assert_eq!(values(&avg_pool1d(&x, &options)), [-2.0, -7.0 / 3.0, -2.0, -3.0, -8.0 / 3.0]);
    let within = Pool1dOptions { count_padding: false, ..options };
    assert_eq!(values(&avg_pool1d(&x, &within)), [-3.0, -7.0 / 3.0, -2.0, -3.0, -4.0]);
}

#[test]
fn ties_in_a_window_share_the_derivative() {
    let x = Tensor::from_slice(&[1.0f64, 1.0, 0.0, 1.0], [1, 1, 2, 2]);
    close("ties", &slope(&max_pool2d(&x, &Pool2dOptions::new([2, 2])), &x), &[1.0 / 3.0, 1.0 / 3.0, 0.0, 1.0 / 3.0], 1e-15);
}

#[test]
fn half_precision_is_pooled_in_single() {
    let x = Tensor::full([1, 1, 300], 300.0, DType::F16);
    let y = avg_pool1d(&x, &Pool1dOptions::new([300]));
    assert_eq!((values(&y), y.dtype()), (vec![300.0], DType::F16));
}
