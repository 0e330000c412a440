//! Interpolation, grids, pixels and patches: `data/torch/resize.py` has the same loops.

use crate::check::{check_gradients, close, random, slope, values};
use crate::layout::each_layout;
use crate::stored::Stored;
use chainrule_engine::functions::*;
use chainrule_engine::{DType, Tensor};

const FIGURES: &str = include_str!("../data/torch/resize.txt");
const BOTH: [bool; 2] = [false, true];
const SHAPES: [&[usize]; 3] = [&[2, 2, 5], &[2, 2, 5, 4], &[1, 2, 3, 4, 5]];

/// Every mode that PyTorch has over so many axes, with corners aligned where there are any.
fn modes(axes: usize) -> Vec<(Interpolation, bool)> {
    use Interpolation::*;
    let mut all = vec![(Nearest, false), (NearestExact, false), (Linear, false), (Linear, true), (Area, false)];
    if axes == 2 {
        all.extend([(Cubic, false), (Cubic, true)]);
    }
    all
}

/// Larger and smaller, in both layouts.
#[test]
fn resizing() {
    let [mut sized, mut scaled] = ["interpolate", "scaled"].map(|name| Stored::new(FIGURES, name));
    for axes in 1..=3 {
        let x = random(SHAPES[axes - 1], 1);
        for (mode, align_corners) in modes(axes) {
            let both = |stored: &mut Stored, name: &str, options: InterpolateOptions| {
                for y in each_layout(&x, |x, layout| interpolate(x, &InterpolateOptions { layout, ..options.clone() })) {
                    stored.check(name, &y, &[&x]);
                }
            };
            for first in [1, 2, 3, 5, 7, 10, 11] {
                let size = [first, 6, 3][..axes].to_vec();
                let options = InterpolateOptions { mode, align_corners, size: Some(size), ..Default::default() };
                both(&mut sized, &format!("interpolate {mode:?} {axes} {first} {}", align_corners as u8), options);
            }
            for scale in [0.4, 1.0, 1.7, 2.0, 2.6] {
                if mode == Interpolation::Area && axes == 3 && scale < 1.0 {
                    continue;
                }
                let options = InterpolateOptions { mode, align_corners, scale: Some(vec![scale]), ..Default::default() };
                both(&mut scaled, &format!("scaled {mode:?} {axes} {scale:?} {}", align_corners as u8), options);
            }
        }
    }
    sized.finish();
    scaled.finish();
}

#[test]
fn resizing_without_aliases() {
    let mut stored = Stored::new(FIGURES, "antialiased");
    let x = random(SHAPES[1], 1);
    for mode in [Interpolation::Linear, Interpolation::Cubic] {
        for first in [1, 2, 3, 5, 9] {
            for align_corners in BOTH {
                let options = InterpolateOptions { mode, align_corners, antialias: true, size: Some(vec![first, 3]), ..Default::default() };
                stored.check(&format!("antialiased {mode:?} {first} {}", align_corners as u8), &interpolate(&x, &options), &[&x]);
            }
        }
    }
    stored.finish();
}

#[test]
fn places_in_images() {
    let mut stored = Stored::new(FIGURES, "grid_sample");
    for axes in [2, 3] {
        for mode in [GridMode::Bilinear, GridMode::Nearest, GridMode::Bicubic] {
            for padding in [GridPadding::Zeros, GridPadding::Border, GridPadding::Reflection] {
                for align_corners in BOTH {
                    if axes == 3 && mode == GridMode::Bicubic {
                        continue;
                    }
                    let shape = SHAPES[axes - 1];
                    let places = [&[shape[0], 4, 3][..], &vec![2; axes - 2], &[axes]].concat();
                    let (x, grid) = (random(shape, 1), (random(&places, 2) * 1.3).to_leaf().unwrap());
                    let options = GridOptions { mode, padding, align_corners };
                    let name = format!("grid_sample {axes} {mode:?} {padding:?} {}", align_corners as u8);
                    stored.check(&name, &grid_sample(&x, &grid, &options), &[&x, &grid]);
                }
            }
        }
    }
    stored.finish();
}

#[test]
fn grids_of_affine_maps() {
    let mut stored = Stored::new(FIGURES, "affine_grid");
    for axes in [2, 3] {
        for first in [1, 3] {
            for align_corners in BOTH {
                let maps = random(&[2, axes, axes + 1], 3);
                let grid = affine_grid(&maps, &[first, 4, 2][..axes], align_corners);
                stored.check(&format!("affine_grid {axes} {first} {}", align_corners as u8), &grid, &[&maps]);
            }
        }
    }
    stored.finish();
    // The map that changes nothing reads what is there.
    let same = Tensor::from_slice(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0], [1, 2, 3]);
    let x = random(&[1, 2, 4, 5], 1);
    for align_corners in BOTH {
        for mode in [GridMode::Bilinear, GridMode::Nearest, GridMode::Bicubic] {
            let options = GridOptions { mode, align_corners, ..Default::default() };
            close("same", &values(&grid_sample(&x, &affine_grid(&same, &[4, 5], align_corners), &options)), &values(&x), 1e-14);
        }
    }
}

#[test]
fn pixels_and_patches() {
    let [mut shuffle, mut unshuffle, mut patches, mut image] =
        ["pixel_shuffle", "pixel_unshuffle", "unfold", "fold"].map(|name| Stored::new(FIGURES, name));
    let x = random(&[2, 18, 2, 4], 4);
    shuffle.check("pixel_shuffle 3", &pixel_shuffle(&x, 3), &[&x]);
    assert_eq!(values(&pixel_unshuffle(&pixel_shuffle(&x, 3), 3)), values(&x));
    let x = random(&[3, 4, 6], 4);
    unshuffle.check("pixel_unshuffle 2", &pixel_unshuffle(&x, 2), &[&x]);
    for kernel in [[2, 3], [1, 2]] {
        for dilation in [[1, 1], [2, 1]] {
            for padding in [[0, 0], [1, 2]] {
                for stride in [[1, 1], [2, 3]] {
                    let options = UnfoldOptions { kernel, dilation, padding, stride };
                    let settings = format!("{kernel:?} {dilation:?} {padding:?} {stride:?}");
                    let x = random(&[2, 2, 5, 6], 5);
                    let columns = unfold(&x, &options);
                    patches.check(&format!("unfold {settings}"), &columns, &[&x]);
                    let y = random(columns.shape(), 6);
                    image.check(&format!("fold {settings}"), &fold(&y, [5, 6], &options), &[&y]);
                }
            }
        }
    }
    [shuffle, unshuffle, patches, image].into_iter().for_each(Stored::finish);
}

#[test]
fn derivatives_to_second_order() {
    let x = random(&[1, 2, 3, 2], 1);
    for (mode, align_corners) in modes(2) {
        let options = InterpolateOptions { mode, align_corners, size: Some(vec![4, 3]), ..Default::default() };
        check_gradients(&format!("{options:?}"), |t| interpolate(&t[0], &options).square(), std::slice::from_ref(&x));
    }
    // Away from kinks, which places in the middle of elements are.
    let grid = Tensor::from_slice(&[-0.9, 0.3, 0.45, -0.2, 1.6, -1.3], [1, 1, 3, 2]);
    for mode in [GridMode::Bilinear, GridMode::Bicubic] {
        for padding in [GridPadding::Zeros, GridPadding::Border, GridPadding::Reflection] {
            let options = GridOptions { mode, padding, align_corners: false };
            check_gradients(&format!("{options:?}"), |t| grid_sample(&t[0], &t[1], &options), &[x.clone(), grid.clone()]);
        }
    }
    check_gradients("affine_grid", |t| affine_grid(&t[0], &[2, 3], false).square(), &[random(&[1, 2, 3], 2)]);
    check_gradients("pixel_shuffle", |t| pixel_shuffle(&t[0], 2).square(), &[random(&[4, 1, 2], 2)]);
    check_gradients("pixel_unshuffle", |t| pixel_unshuffle(&t[0], 2).square(), &[random(&[1, 2, 4], 2)]);
    let options = UnfoldOptions { padding: [1, 0], ..UnfoldOptions::new([2, 2]) };
    check_gradients("unfold", |t| unfold(&t[0], &options).square(), std::slice::from_ref(&x));
    check_gradients("fold", |t| fold(&t[0], [3, 2], &options).square(), &[random(&[1, 8, 4], 2)]);
}

/// Places far outside, at infinity and nowhere; numbers that are infinite stay where they are.
#[test]
fn places_that_are_special() {
    let x = random(&[1, 1, 3, 3], 1);
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let grid = Tensor::from_slice(&[1e300, 0.0, -inf, 0.0, 0.0, nan], [1, 1, 3, 2]);
    let y = values(&grid_sample(&x, &grid, &Default::default()));
    assert_eq!(y[..2], [0.0, 0.0]);
    assert!(slope(&grid_sample(&x, &grid.at((.., .., ..2)), &Default::default()), &x).iter().all(|&g| g == 0.0));
    let border = GridOptions { padding: GridPadding::Border, mode: GridMode::Nearest, ..Default::default() };
    assert_eq!(values(&grid_sample(&x, &grid, &border))[..2], [values(&x)[5], values(&x)[3]]);
    let x = Tensor::from_slice(&[1.0, inf, 3.0, 4.0, 5.0, 6.0], [1, 1, 6]);
    let options = InterpolateOptions { mode: Interpolation::Area, size: Some(vec![3]), ..Default::default() };
    assert_eq!(values(&interpolate(&x, &options)), [inf, 3.5, 5.5]);
}

#[test]
fn narrow_floats() {
    for dtype in [DType::F16, DType::F32] {
        let x = random(&[1, 2, 3, 4], 1).cast(dtype);
        let wide = x.cast(DType::F64);
        let options = InterpolateOptions { mode: Interpolation::Cubic, scale: Some(vec![1.5, 2.0]), ..Default::default() };
        let y = interpolate(&x, &options);
        assert_eq!((y.dtype(), y.shape()), (dtype, &[1, 2, 4, 8][..]));
        close("interpolate", &values(&y), &values(&interpolate(&wide, &options)), 2e-3);
        let grid = random(&[1, 2, 2, 2], 2).cast(dtype);
        let y = grid_sample(&x, &grid, &Default::default());
        assert_eq!(y.dtype(), dtype);
        close("grid_sample", &values(&y), &values(&grid_sample(&wide, &grid.cast(DType::F64), &Default::default())), 2e-3);
    }
}
