//! Images read at places that a grid names: spatial transformers. Jaderberg et al., "Spatial Transformer Networks" (2015).

use super::{misfit, recorded, refuse_mixed, refuse_unless_float, wide};
use crate::ops::Gather;
use crate::ops::movement::Axes;
use crate::tensor::{DType, Tensor};

/// How what lies between elements is made of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GridMode {
    /// On a line between the two neighbours along each axis.
    #[default]
    Bilinear,
    /// The nearest element, of two equally near the even one. The grid has no derivative.
    Nearest,
    /// By a cubic through four neighbours along each of two axes, with -0.75 for its `a`.
    Bicubic,
}

/// What lies beyond the ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GridPadding {
    /// Zeros.
    #[default]
    Zeros,
    /// The element at the end.
    Border,
    /// What lies as far before the end.
    Reflection,
}

/// How [`grid_sample`] reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GridOptions {
    /// How what lies between elements is made of them.
    pub mode: GridMode,
    /// What lies beyond the ends.
    pub padding: GridPadding,
    /// Whether -1 and 1 are the middles of the elements at the ends, and not their outer ends.
    pub align_corners: bool,
}

/// `x` `[n, c, h, w]` read at the places of a grid `[n, a, b, 2]`, giving `[n, c, a, b]`: the last axis of the grid
/// holds the place along `w`, then that along `h`, each from -1 to 1. Or `[n, c, d, h, w]` at `[n, a, b, e, 3]`.
///
/// ```
/// use chainrule_engine::{Tensor, functions::grid_sample};
/// let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0], [1, 1, 2, 2]);
/// let middle = Tensor::from_slice(&[0.0f32, 0.0], [1, 1, 1, 2]);
/// assert_eq!(grid_sample(&x, &middle, &Default::default()).item()?, 2.5);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn grid_sample(x: &Tensor, grid: &Tensor, options: &GridOptions) -> Tensor {
    let name = "grid_sample";
    if let Some(mistake) = refuse_mixed(name, &[x, grid]) {
        return mistake;
    }
    let axes = x.rank().saturating_sub(2);
    let fits = matches!(axes, 2 | 3) && grid.rank() == x.rank() && grid.shape()[axes + 1] == axes && grid.shape()[0] == x.shape()[0];
    if !fits || x.shape()[2..].contains(&0) {
        return misfit(name, format!("{:?} at {:?} are not [n, c, h, w] at [n, a, b, 2], or with one axis more", x.shape(), grid.shape()));
    }
    if axes == 3 && options.mode == GridMode::Bicubic {
        return misfit(name, format!("bicubic is over two axes, not those of {:?}", x.shape()));
    }
    recorded(|| sample(&wide(x), &wide(grid), options).cast(x.dtype()))
}

/// A place along one axis for each element of the result, whole numbers, and what is read there counts for.
struct Tap {
    at: Tensor,
    weight: Option<Tensor>,
}

fn sample(x: &Tensor, grid: &Tensor, options: &GridOptions) -> Tensor {
    let (n, c, axes) = (x.shape()[0], x.shape()[1], x.rank() - 2);
    let places: usize = grid.shape()[1..=axes].iter().product();
    // Channels last, so that a place is one run of them.
    let last: Axes = [0].into_iter().chain(2..axes + 2).chain([1]).collect();
    let plane: usize = x.shape()[2..].iter().product();
    let table = x.permute(last).reshape([n, plane, c]);
    let flat = grid.reshape([n, places, axes]);
    let taps: Vec<Vec<Tap>> = (0..axes).map(|d| taps(&flat.index(-1, (axes - 1 - d) as isize), x.shape()[2 + d] as f64, options)).collect();
    let combinations: usize = taps.iter().map(Vec::len).product();
    let mut total: Option<Tensor> = None;
    for mut choice in 0..combinations {
        let chosen: Vec<&Tap> = taps
            .iter()
            .map(|own| {
                let tap = &own[choice % own.len()];
                choice /= own.len();
                tap
            })
            .collect();
        let read = read(&table, &chosen, &x.shape()[2..], options.padding);
        total = Some(total.map_or_else(|| read.clone(), |total| total + &read));
    }
    let y = total.unwrap_or_else(|| table.clone());
    let shape: Vec<usize> = [&grid.shape()[..=axes], &[c]].concat();
    y.reshape(shape).permute([0, axes + 1].into_iter().chain(1..=axes).collect::<Axes>())
}

/// One neighbour of each place: its element times its weights, `[n, places, c]`.
fn read(table: &Tensor, taps: &[&Tap], sizes: &[usize], padding: GridPadding) -> Tensor {
    let mut index: Option<Tensor> = None;
    let mut inside: Option<Tensor> = None;
    let mut weight: Option<Tensor> = None;
    for (tap, &size) in taps.iter().zip(sizes) {
        let last = size as f64 - 1.0;
        let own = tap.at.clamp(0.0, last);
        if padding == GridPadding::Zeros {
            let within = own.equal(&tap.at);
            inside = Some(inside.map_or_else(|| within.clone(), |inside| inside & &within));
        }
        let own = own.cast(DType::I64).clamp(0.0, last);
        index = Some(index.map_or_else(|| own.clone(), |index| index * size as f64 + &own));
        if let Some(own) = &tap.weight {
            weight = Some(weight.map_or_else(|| own.clone(), |weight| weight * own));
        }
    }
    let Some(index) = index else { return table.clone() };
    let read = Tensor::record(Gather { batch: 1 }, [table.clone(), index]);
    let weighed = match weight {
        Some(weight) => read * weight.unsqueeze(-1),
        None => read,
    };
    // Last, so that a place that is no number far outside is zero as well.
    match inside {
        Some(inside) => inside.unsqueeze(-1).select(&weighed, &weighed.zeros_like()),
        None => weighed,
    }
}

/// The neighbours of places along an axis of `size`, given from -1 to 1.
fn taps(grid: &Tensor, size: f64, options: &GridOptions) -> Vec<Tap> {
    let at = if options.align_corners { (grid + 1.0) * ((size - 1.0) / 2.0) } else { ((grid + 1.0) * size - 1.0) * 0.5 };
    let settled = |at: &Tensor| match options.padding {
        GridPadding::Zeros => at.clone(),
        GridPadding::Border => at.clamp(0.0, size - 1.0),
        GridPadding::Reflection => reflected(at, size, options.align_corners).clamp(0.0, size - 1.0),
    };
    match options.mode {
        GridMode::Nearest => vec![Tap { at: settled(&at).round(), weight: None }],
        GridMode::Bilinear => {
            let at = settled(&at);
            let before = at.floor();
            let rest = at - &before;
            vec![Tap { at: before.clone(), weight: Some(1.0 - &rest) }, Tap { at: before + 1.0, weight: Some(rest) }]
        }
        GridMode::Bicubic => {
            let before = at.floor();
            let weights = cubic(&(at - &before));
            weights
                .into_iter()
                .zip([-1.0, 0.0, 1.0, 2.0])
                .map(|(weight, by)| Tap { at: settled(&(&before + by)), weight: Some(weight) })
                .collect()
        }
    }
}

/// Turned back at the middles of the elements at the ends, or at their outer ends, as often as needed.
fn reflected(at: &Tensor, size: f64, align_corners: bool) -> Tensor {
    let (low, span) = if align_corners { (0.0, size - 1.0) } else { (-0.5, size) };
    if span == 0.0 {
        return at.zeros_like();
    }
    let away = (at - low).abs();
    let turns = (&away / span).floor();
    let rest = &away - &turns * span;
    let halved = turns * 0.5;
    let odd = halved.floor().less(&halved);
    odd.select(&(span - &rest), &rest) + low
}

/// The weights of four neighbours, `rest` after the second (Keys, 1981).
fn cubic(rest: &Tensor) -> [Tensor; 4] {
    const A: f64 = -0.75;
    let near = |t: &Tensor| (t * (A + 2.0) - (A + 3.0)) * t * t + 1.0;
    let far = |t: &Tensor| ((t * A - 5.0 * A) * t + 8.0 * A) * t - 4.0 * A;
    [far(&(rest + 1.0)), near(rest), near(&(1.0 - rest)), far(&(2.0 - rest))]
}

/// The grid of [`grid_sample`] that reads an image under an affine map: maps `[n, 2, 3]` and the two sizes of the
/// result give `[n, h, w, 2]`, maps `[n, 3, 4]` and three sizes `[n, d, h, w, 3]`.
///
/// ```
/// use chainrule_engine::{Tensor, functions::affine_grid};
/// let same = Tensor::from_slice(&[1.0f64, 0.0, 0.0, 0.0, 1.0, 0.0], [1, 2, 3]);
/// assert_eq!(affine_grid(&same, &[1, 2], false).to_vec::<f64>()?, [-0.5, 0.0, 0.5, 0.0]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn affine_grid(maps: &Tensor, size: &[usize], align_corners: bool) -> Tensor {
    let name = "affine_grid";
    if let Some(mistake) = refuse_unless_float(name, maps) {
        return mistake;
    }
    let axes = size.len();
    if !matches!(axes, 2 | 3) || maps.rank() != 3 || maps.shape()[1..] != [axes, axes + 1] {
        return misfit(name, format!("maps {:?} for sizes {size:?} are not [n, 2, 3] for two or [n, 3, 4] for three", maps.shape()));
    }
    recorded(|| {
        let m = wide(maps);
        let line = |d: usize| {
            let n = size[d];
            let end = if align_corners { 1.0 } else { (n as f64 - 1.0) / n.max(1) as f64 };
            if n == 1 { Tensor::full([1], 0.0, m.dtype()) } else { Tensor::linspace(-end, end, n, m.dtype()) }
        };
        let mut coordinates: Vec<Tensor> = Vec::with_capacity(axes + 1);
        for d in (0..axes).rev() {
            let shape: Vec<usize> = (0..axes).map(|axis| if axis == d { size[d] } else { 1 }).collect();
            coordinates.push(line(d).reshape(shape).broadcast_to(size));
        }
        coordinates.push(Tensor::full(size, 1.0, m.dtype()));
        let places: usize = size.iter().product();
        let base = Tensor::stack(&coordinates.iter().collect::<Vec<_>>(), -1).reshape([places, axes + 1]);
        let grid = base.matmul(&m.transpose(1, 2));
        grid.reshape([&[maps.shape()[0]], size, &[axes]].concat()).cast(maps.dtype())
    })
}
