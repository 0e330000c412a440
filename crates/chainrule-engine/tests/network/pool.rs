//! Convolution over three axes, and pooling over one to three: `data/torch/pool.py` has the same loops.

use crate::check::{check_gradients, close, random, slope, values, vector};
use crate::layout::{channels_first, channels_last, each_layout};
use crate::stored::Stored;
use chainrule_engine::functions::*;
use chainrule_engine::{DType, Tensor};

const FIGURES: &str = include_str!("../data/torch/pool.txt");

fn kernel_last(w: &Tensor) -> Tensor {
    w.permute((2..w.rank()).chain([1, 0]).collect::<Vec<_>>())
}

/// Every stride, padding, dilation and grouping, in both layouts.
#[test]
fn convolution_over_three_axes() {
    let [mut plain, mut transposed] = ["conv3d", "conv_transpose3d"].map(|name| Stored::new(FIGURES, name));
    for stride in [[1, 1, 1], [2, 1, 3]] {
        for padding in [[0, 0, 0], [1, 2, 0]] {
            for dilation in [[1, 1, 1], [1, 2, 2]] {
                for groups in [1, 2] {
                    let settings = format!("{stride:?} {padding:?} {dilation:?} {groups}");
                    let w = random(&[4, 4 / groups, 2, 3, 2], 2);
                    let x = random(&[2, 4, 4, 5, 6], 1);
                    let kernel = |layout| if layout == Layout::ChannelsLast { kernel_last(&w) } else { w.clone() };
                    for y in each_layout(&x, |x, layout| {
                        let options = Conv3dOptions { stride, padding: Padding::Both(padding), dilation, groups, layout };
                        conv3d(x, &kernel(layout), &options)
                    }) {
                        plain.check(&format!("conv3d {settings}"), &y, &[&x, &w]);
                    }
                    let x = random(&[2, 4, 2, 3, 2], 1);
                    for y in each_layout(&x, |x, layout| {
                        let output_padding = stride.map(|s| s - 1);
                        let options = ConvTranspose3dOptions { stride, padding, output_padding, dilation, groups, layout };
                        conv_transpose3d(x, &kernel(layout), &options)
                    }) {
                        transposed.check(&format!("conv_transpose3d {settings}"), &y, &[&x, &w]);
                    }
                }
            }
        }
    }
    plain.finish();
    transposed.finish();
    let (x, w) = (random(&[1, 2, 2, 3, 2], 1), random(&[2, 1, 2, 2, 1], 2));
    let options = Conv3dOptions { stride: [1, 2, 1], padding: Padding::Both([1, 0, 0]), groups: 2, ..Default::default() };
    check_gradients("conv3d", |t| conv3d(&t[0], &t[1], &options), &[x.clone(), w.clone()]);
    let options = ConvTranspose3dOptions { stride: [1, 2, 1], padding: [1, 0, 0], groups: 2, ..Default::default() };
    check_gradients("conv_transpose3d", |t| conv_transpose3d(&t[0], &t[1], &options), &[x, w]);
}

type Adaptive<const D: usize> = fn(&Tensor, [usize; D], Layout) -> Tensor;

/// What the functions over one, two and three axes are called.
struct Family<const D: usize> {
    shape: &'static [usize],
    max: fn(&Tensor, &PoolOptions<D>) -> Tensor,
    indexed: fn(&Tensor, &PoolOptions<D>) -> (Tensor, Tensor),
    unpool: fn(&Tensor, &Tensor, &PoolOptions<D>, Option<[usize; D]>) -> Tensor,
    avg: fn(&Tensor, &PoolOptions<D>) -> Tensor,
    lp: fn(&Tensor, f64, &PoolOptions<D>) -> Tensor,
    adaptive: [Adaptive<D>; 2],
}

const ONE: Family<1> = Family {
    shape: &[2, 2, 7],
    max: |x, o| max_pool1d(x, o),
    indexed: |x, o| max_pool1d_with_indices(x, o),
    unpool: |x, i, o, s| max_unpool1d(x, i, o, s),
    avg: |x, o| avg_pool1d(x, o),
    lp: |x, p, o| lp_pool1d(x, p, o),
    adaptive: [|x, s, l| adaptive_avg_pool1d(x, s, l), |x, s, l| adaptive_max_pool1d(x, s, l)],
};
const TWO: Family<2> = Family {
    shape: &[2, 2, 7, 6],
    max: |x, o| max_pool2d(x, o),
    indexed: |x, o| max_pool2d_with_indices(x, o),
    unpool: |x, i, o, s| max_unpool2d(x, i, o, s),
    avg: |x, o| avg_pool2d(x, o),
    lp: |x, p, o| lp_pool2d(x, p, o),
    adaptive: [|x, s, l| adaptive_avg_pool2d(x, s, l), |x, s, l| adaptive_max_pool2d(x, s, l)],
};
const THREE: Family<3> = Family {
    shape: &[1, 2, 5, 4, 6],
    max: |x, o| max_pool3d(x, o),
    indexed: |x, o| max_pool3d_with_indices(x, o),
    unpool: |x, i, o, s| max_unpool3d(x, i, o, s),
    avg: |x, o| avg_pool3d(x, o),
    lp: |x, p, o| lp_pool3d(x, p, o),
    adaptive: [|x, s, l| adaptive_avg_pool3d(x, s, l), |x, s, l| adaptive_max_pool3d(x, s, l)],
};

/// The number first, then the other, along all other axes.
fn sizes<const D: usize>(first: usize, others: usize) -> [usize; D] {
    std::array::from_fn(|d| if d == 0 { first } else { others })
}

impl<const D: usize> Family<D> {
    /// Every setting, with what its name is.
    fn grid(&self) -> Vec<(String, PoolOptions<D>)> {
        let mut all = Vec::new();
        for kernel in [2, 3] {
            for stride in [1, 2, 3] {
                for padded in [0, 1] {
                    for ceil_mode in [false, true] {
                        let (kernel_size, stride_size) = (sizes(kernel, 2), sizes(stride, 2));
                        let options = PoolOptions { stride: stride_size, padding: [padded; D], ceil_mode, ..PoolOptions::new(kernel_size) };
                        all.push((format!("{D} {kernel} {stride} {padded} {}", ceil_mode as u8), options));
                    }
                }
            }
        }
        all
    }

    fn pools(&self, stored: &mut [Stored; 4]) {
        let x = random(self.shape, 3);
        for (settings, options) in self.grid() {
            for dilation in [1, 2] {
                let options = |layout| PoolOptions { dilation: [dilation; D], layout, ..options.clone() };
                let largest = each_layout(&x, |x, layout| (self.max)(x, &options(layout)));
                let indexed = each_layout(&x, |x, layout| (self.indexed)(x, &options(layout)).0);
                for y in largest.into_iter().chain(indexed) {
                    stored[0].check(&format!("max_pool {settings} {dilation}"), &y, &[&x]);
                }
                for places in each_layout(&x, |x, layout| (self.indexed)(x, &options(layout)).1) {
                    stored[1].check(&format!("max_pool_indices {settings} {dilation}"), &places, &[]);
                }
            }
            for count_padding in [false, true] {
                for y in each_layout(&x, |x, layout| (self.avg)(x, &PoolOptions { count_padding, layout, ..options.clone() })) {
                    stored[2].check(&format!("avg_pool {settings} {}", count_padding as u8), &y, &[&x]);
                }
            }
            if options.padding != [0; D] {
                continue;
            }
            if D > 1 {
                stored[2].check(
                    &format!("avg_pool {settings} 5"),
                    &(self.avg)(&x, &PoolOptions { divisor: Some(5), ..options.clone() }),
                    &[&x],
                );
            }
            for p in [1.0, 2.0, 2.5] {
                let x = x.abs().to_leaf().unwrap();
                stored[3].check(&format!("lp_pool {settings} {p:?}"), &(self.lp)(&x, p, &options), &[&x]);
            }
        }
    }

    fn unpools(&self, stored: &mut Stored) {
        let x = random(self.shape, 4);
        let mut whole = [0; D];
        whole.copy_from_slice(&self.shape[2..]);
        for layout in [Layout::ChannelsFirst, Layout::ChannelsLast] {
            let options = PoolOptions { layout, ..PoolOptions::new([2; D]) };
            let turned = |t: &Tensor| if layout == Layout::ChannelsLast { channels_last(t) } else { t.clone() };
            let back = |t: &Tensor| if layout == Layout::ChannelsLast { channels_first(t) } else { t.clone() };
            let (largest, places) = (self.indexed)(&turned(&x), &options);
            let y = random(back(&largest).shape(), 5);
            stored.check(&format!("max_unpool {D} 0"), &back(&(self.unpool)(&turned(&y), &places, &options, None)), &[&y]);
            stored.check(&format!("max_unpool {D} 1"), &back(&(self.unpool)(&turned(&y), &places, &options, Some(whole))), &[&y]);
        }
    }

    fn adapts(&self, stored: &mut [Stored; 2]) {
        let x = random(self.shape, 4);
        for size in [1, 2, 3, 5, 8] {
            for (i, name) in ["avg", "max"].into_iter().enumerate() {
                for y in each_layout(&x, |x, layout| self.adaptive[i](x, sizes(size, 3), layout)) {
                    stored[i].check(&format!("adaptive_{name} {D} {size}"), &y, &[&x]);
                }
            }
        }
    }
}

#[test]
fn pools_of_windows() {
    let mut stored = ["max_pool", "max_pool_indices", "avg_pool", "lp_pool"].map(|name| Stored::new(FIGURES, name));
    ONE.pools(&mut stored);
    TWO.pools(&mut stored);
    THREE.pools(&mut stored);
    stored.into_iter().for_each(Stored::finish);
}

#[test]
fn unpooling() {
    let mut stored = Stored::new(FIGURES, "max_unpool");
    ONE.unpools(&mut stored);
    TWO.unpools(&mut stored);
    THREE.unpools(&mut stored);
    stored.finish();
    // Two windows found the same element: it comes back as it was.
    let x = Tensor::from_slice(&[1.0, 7.0, 2.0], [1, 1, 3]);
    let options = Pool1dOptions { stride: [1], ..Pool1dOptions::new([2]) };
    let (largest, places) = max_pool1d_with_indices(&x, &options);
    assert_eq!(values(&max_unpool1d(&largest, &places, &options, None)), [0.0, 7.0, 0.0]);
    check_gradients("max_unpool1d", |t| max_unpool1d(&t[0], &places, &options, None).square(), &[random(&[1, 1, 2], 1)]);
    let outside = Tensor::from_slice(&[0i64, 3], [1, 1, 2]);
    assert!(max_unpool1d(&largest, &outside, &options, None).eval().is_err());
}

#[test]
fn pools_to_a_size() {
    let mut stored = ["adaptive_avg", "adaptive_max"].map(|name| Stored::new(FIGURES, name));
    ONE.adapts(&mut stored);
    TWO.adapts(&mut stored);
    THREE.adapts(&mut stored);
    stored.into_iter().for_each(Stored::finish);
}

#[test]
fn derivatives_to_second_order() {
    let x = random(&[1, 2, 5, 3], 1);
    let options = Pool2dOptions { stride: [2, 1], padding: [1, 0], ceil_mode: true, dilation: [2, 1], ..Pool2dOptions::new([2, 2]) };
    check_gradients("max_pool2d", |t| max_pool2d(&t[0], &options), std::slice::from_ref(&x));
    check_gradients("avg_pool2d", |t| avg_pool2d(&t[0], &options), std::slice::from_ref(&x));
    check_gradients("lp_pool2d", |t| lp_pool2d(&t[0].square(), 2.5, &options), std::slice::from_ref(&x));
    check_gradients("adaptive", |t| adaptive_avg_pool2d(&t[0], [3, 2], Layout::ChannelsFirst), std::slice::from_ref(&x));
    check_gradients("adaptive", |t| adaptive_max_pool2d(&t[0], [3, 2], Layout::ChannelsFirst), std::slice::from_ref(&x));
    check_gradients("global", |t| global_avg_pool(&t[0], Layout::ChannelsFirst) * global_max_pool(&t[0], Layout::ChannelsFirst), &[x]);
}

#[test]
fn global_pools_are_pools_to_one() {
    let x = random(&[2, 3, 4, 5], 1);
    let one = |t: Tensor| t.reshape([2, 3]);
    let first = Layout::ChannelsFirst;
    close("mean", &values(&global_avg_pool(&x, first)), &values(&one(adaptive_avg_pool2d(&x, [1, 1], first))), 1e-15);
    assert_eq!(values(&global_max_pool(&channels_last(&x), Layout::ChannelsLast)), values(&one(adaptive_max_pool2d(&x, [1, 1], first))));
}

/// NaN is the largest, -inf is above what lies beyond the ends, and of equal ones the first is named.
#[test]
fn places_of_what_is_special() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let x = Tensor::from_slice(&[1.0, 1.0, nan, 2.0, -inf, -inf, inf, inf], [1, 1, 8]);
    let options = Pool1dOptions { padding: [1], stride: [2], ..Pool1dOptions::new([3]) };
    let (largest, places) = max_pool1d_with_indices(&x, &options);
    close("largest", &values(&largest), &[1.0, nan, 2.0, inf], 0.0);
    assert_eq!(places.to_vec::<i64>().unwrap(), [0, 2, 3, 6]);
    let low = Tensor::from_slice(&[-inf, -inf], [1, 1, 2]);
    let (largest, places) = max_pool1d_with_indices(&low, &options);
    assert_eq!((values(&largest), values(&places)), (vec![-inf], vec![0.0]));
    // A NaN or an infinity is in the windows it is in, and in no other.
    let y = values(&adaptive_avg_pool1d(&vector(&[1.0, nan, 3.0, 4.0, inf]).reshape([1, 1, 5]), [3], Layout::ChannelsFirst));
    assert!(y[0].is_nan() && y[1].is_nan() && y[2] == inf, "{y:?}");
}

#[test]
fn a_norm_of_zeros_has_no_slope_and_narrow_floats_are_summed_in_single() {
    let zeros = Tensor::full([1, 1, 4], 0.0, DType::F64);
    assert_eq!(slope(&lp_pool1d(&zeros, 2.0, &Pool1dOptions::new([2])), &zeros), [0.0; 4]);
    let x = Tensor::full([1, 1, 4], 300.0, DType::F16);
    let y = lp_pool1d(&x, 2.0, &Pool1dOptions::new([4]));
    assert_eq!((values(&y), y.dtype()), (vec![600.0], DType::F16));
    assert_eq!(values(&adaptive_avg_pool1d(&Tensor::full([1, 1, 301], 300.0, DType::F16), [1], Layout::ChannelsFirst)), [300.0]);
}
