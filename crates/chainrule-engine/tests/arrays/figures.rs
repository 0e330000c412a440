//! What NumPy and PyTorch give, stored in `tests/data/arrays.txt` by the script beside it: every line is met by one
//! call here, and every call by a line.

use chainrule_engine::functions::*;
use chainrule_engine::tensor::indexing::Index::{Ellipsis, NewAxis};
use chainrule_engine::{DType, Steps, Tensor};
use std::collections::BTreeMap;

/// The numbers of the script: eighths with ties.
pub fn x(shape: &[usize], seed: usize) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<f64> = (0..count).map(|i| (((i * 37 + seed * 11) % 101) as f64 - 50.0) / 8.0).collect();
    Tensor::from_slice(&values, shape)
}

pub fn ints(shape: &[usize], limit: usize, seed: usize) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<i64> = (0..count).map(|i| ((i * 7 + i / 3 + seed * 5) % limit) as i64).collect();
    Tensor::from_slice(&values, shape)
}

/// A number in the middle of a row replaced by NaN.
fn with_nan() -> Tensor {
    let here = Tensor::arange(15, DType::I64).reshape([3, 5]).equal(&Tensor::full([3, 5], 8.0, DType::I64));
    x(&[3, 5], 2).masked_fill(&here, f64::NAN)
}

/// Thirds of the numbers, rounded: many ties.
fn tied(x: &Tensor) -> Tensor {
    (x / 3.0).round()
}

struct Figures(BTreeMap<&'static str, (Vec<usize>, Vec<f64>)>);

impl Figures {
    fn stored() -> Figures {
        let line = |line: &'static str| {
            let fields: Vec<&str> = line.split('|').map(str::trim).collect();
            let sizes = fields[1].split_whitespace().map(|size| size.parse().unwrap()).collect();
            let numbers = fields[2].split_whitespace().map(|number| number.parse().unwrap()).collect();
            (fields[0], (sizes, numbers))
        };
        Figures(include_str!("../data/arrays.txt").lines().map(line).collect())
    }

    /// Holds a tensor to the line of its name, which is then done with.
    #[track_caller]
    fn hold(&mut self, name: &str, found: &Tensor) {
        let (shape, numbers) = self.0.remove(name).unwrap_or_else(|| panic!("there is no line `{name}`, or it was met before"));
        let values = found.cast(DType::F64).to_vec::<f64>().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(found.shape(), shape, "{name}");
        let largest = numbers.iter().fold(1.0_f64, |largest, number| largest.max(number.abs()));
        let near = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-14 * largest;
        assert!(values.iter().zip(&numbers).all(near), "{name}:\n found {values:?}\nstored {numbers:?}");
    }
}

#[test]
fn every_figure_of_numpy_and_pytorch_is_met() {
    let mut figures = Figures::stored();
    assert!(figures.0.len() > 200);
    sorting(&mut figures);
    counting(&mut figures);
    picking(&mut figures);
    writing(&mut figures);
    moving(&mut figures);
    cutting(&mut figures);
    making(&mut figures);
    computing(&mut figures);
    labels(&mut figures);
    transforms(&mut figures);
    let left: Vec<_> = figures.0.keys().collect();
    assert!(left.is_empty(), "no call met {left:?}");
}

fn sorting(f: &mut Figures) {
    let few = tied(&x(&[4, 6], 1));
    for axis in 0..3 {
        let (plain, ties) = (x(&[2, 5, 3], 3), tied(&x(&[2, 5, 3], 3)));
        f.hold(&format!("sort {axis}"), &plain.sort(axis));
        f.hold(&format!("argsort {axis}"), &ties.argsort(axis));
        f.hold(&format!("sort_descending {axis}"), &ties.sort_descending(axis));
        f.hold(&format!("argsort_descending {axis}"), &ties.argsort_descending(axis - 3));
    }
    f.hold("sort nan", &with_nan().sort(1));
    f.hold("argsort nan", &with_nan().argsort(1));
    f.hold("sort_descending nan", &with_nan().sort_descending(1));
    f.hold("msort", &x(&[4, 3], 5).msort());
    let (values, positions) = x(&[3, 7], 4).top_k(3, 1);
    f.hold("top_k", &values);
    f.hold("top_k positions", &positions);
    f.hold("bottom_k", &x(&[5, 4], 4).bottom_k(2, 0).0);
    let (value, position) = x(&[3, 7], 4).kthvalue(3, 1);
    f.hold("kthvalue", &value);
    f.hold("kthvalue position", &position);
    f.hold("median", &x(&[3, 4], 1).median());
    f.hold("median odd", &x(&[3, 5], 1).median());
    f.hold("median 0", &x(&[4, 3, 2], 1).median_over(&[0]));
    f.hold("median 0 2", &x(&[4, 3, 2], 1).median_over(&[0, -1]));
    f.hold("median keep", &x(&[4, 3, 2], 1).median_keep(&[0, 2]));
    f.hold("median nan", &with_nan().median_over(&[1]));
    let (value, position) = x(&[3, 6], 1).lower_median(1);
    f.hold("lower_median", &value);
    f.hold("lower_median position", &position);
    f.hold("lower_median nan", &with_nan().lower_median(1).0);
    let q = [0.0, 0.1, 0.25, 0.5, 0.5625, 0.8, 1.0];
    let methods = [
        ("linear", Between::Linear),
        ("lower", Between::Lower),
        ("higher", Between::Higher),
        ("nearest", Between::Nearest),
        ("midpoint", Between::Midpoint),
    ];
    for (name, between) in methods {
        f.hold(&format!("quantile {name}"), &x(&[9, 2], 3).quantiles_over(&q, &[0], between));
        f.hold(&format!("quantile even {name}"), &x(&[2, 8], 3).quantiles_over(&q, &[0, 1], between));
    }
    f.hold("quantile keep", &x(&[3, 4, 2], 3).quantiles_keep(&[0.3, 0.7], &[1, 2], Between::Linear));
    f.hold("quantile nan", &with_nan().quantiles_over(&[0.0, 0.5], &[1], Between::Linear));
    f.hold("percentile", &x(&[3, 4], 3).percentiles_over(&[5.0, 50.0, 99.0], &[1], Between::Linear));
    let edges = few.flatten().sort(0);
    f.hold("searchsorted left", &edges.searchsorted(&x(&[3, 4], 6), false));
    f.hold("searchsorted right", &edges.searchsorted(&tied(&x(&[3, 4], 6)), true));
    f.hold("searchsorted left ties", &edges.searchsorted(&tied(&x(&[3, 4], 6)), false));
    f.hold("searchsorted rows", &x(&[2, 5], 1).sort(1).searchsorted(&x(&[2, 4], 2), false));
    let (edges, values) = (Tensor::from([1.0, 2.0, f64::NAN, f64::NAN]), Tensor::from([f64::NAN, 5.0, 0.0]));
    f.hold("searchsorted nan", &edges.searchsorted(&values, false));
    f.hold("searchsorted nan right", &edges.searchsorted(&values, true));
    let bins = Tensor::f64([-4.0, -0.5, 0.0, 3.0]);
    f.hold("digitize", &x(&[7], 2).digitize(&bins, false));
    f.hold("digitize right", &Tensor::f64([-4.0, -0.5, 1.0]).digitize(&bins, true));
}

fn counting(f: &mut Figures) {
    let few = tied(&x(&[4, 6], 1));
    let positive = few.greater(&few.zeros_like());
    let found = few.unique().unwrap();
    f.hold("unique values", &found.values);
    f.hold("unique first", &found.first);
    f.hold("unique inverse", &found.inverse);
    f.hold("unique counts", &found.counts);
    f.hold("unique nan", &Tensor::from([f64::NAN, 1.0, f64::NAN, 0.0]).unique().unwrap().counts);
    f.hold("argwhere", &positive.argwhere().unwrap());
    f.hold("nonzero 1", &few.nonzero().unwrap()[1]);
    f.hold("flatnonzero", &few.flatnonzero().unwrap());
    f.hold("masked_select", &few.masked_select(&positive).unwrap());
    f.hold("bincount", &ints(&[20], 6, 0).bincount(None, 9).unwrap());
    f.hold("bincount weights", &ints(&[20], 6, 0).bincount(Some(&x(&[20], 1)), 0).unwrap());
    let found = few.histogram(5, None).unwrap();
    f.hold("histogram", &found.counts);
    f.hold("histogram edges", &found.edges);
    f.hold("histogram range", &x(&[50], 1).histogram(7, Some((-3.0, 2.5))).unwrap().counts);
    f.hold("histogram one", &Tensor::from([2.0, 2.0]).histogram(3, None).unwrap().counts);
}

fn flags<const N: usize>(flags: [bool; N]) -> Tensor {
    Tensor::from_slice(&flags, [N])
}

/// The indices of the script.
fn indices() -> (Tensor, Tensor, Tensor) {
    (ints(&[2, 3], 4, 0), ints(&[3], 5, 1) - 5, ints(&[2, 1], 3, 2))
}

fn picking(f: &mut Figures) {
    let a = x(&[4, 5, 3], 2);
    let few = tied(&x(&[4, 6], 1));
    let mask = few.greater(&few.zeros_like());
    let (i, j, k) = indices();
    f.hold("pick one", &a.pick(&i));
    f.hold("pick behind", &a.pick((.., &j)));
    f.hold("pick two", &a.pick((&i, &j)));
    f.hold("pick apart", &a.pick((&i, .., &k)));
    let a4 = x(&[2, 4, 5, 3], 6);
    f.hold("pick apart behind", &a4.pick((.., &i, .., &k)));
    f.hold("pick apart in three", &a4.pick((.., &i, 1, NewAxis, &k)));
    f.hold("pick behind an ellipsis", &a4.pick((Ellipsis, &j, &k)));
    f.hold("pick apart from a new axis", &a.pick((NewAxis, &i, Ellipsis, &k)));
    f.hold("pick three", &a.pick((&i, &j, &k)));
    f.hold("pick slice first", &a.pick((1..3, &j, &k)));
    f.hold("pick position", &a.pick((2, .., &k)));
    f.hold("pick position beside", &a.pick((2, &j)));
    f.hold("pick new", &a.pick((NewAxis, &i, &j)));
    f.hold("pick new between", &a.pick((&i, NewAxis, &j)));
    f.hold("pick new behind", &a.pick((&i, &j, NewAxis)));
    f.hold("pick ellipsis", &a.pick((Ellipsis, &k)));
    f.hold("pick step", &a.pick(((..).by(-1), &j, (..).by(2))));
    f.hold("pick mask", &few.pick(&mask));
    f.hold("pick mask rows", &few.pick(&flags([true, false, true, true])));
    f.hold("pick mask beside", &a.pick((&flags([true, false, true, false]), 1.., 0)));
    f.hold("pick mask columns", &few.pick((Ellipsis, &flags([true, false, true, true, false, true]))));
    let index = ints(&[3, 2], 4, 0) - Tensor::from_slice(&[0i64, 4, 0, 0, 4, 0], [3, 2]);
    f.hold("take", &a.take(&index, 0, Outside::Raise));
    f.hold("take axis 1", &a.take(&index, 1, Outside::Raise));
    f.hold("take wrap", &a.take(&(&index * 5 - 3), 2, Outside::Wrap));
    f.hold("take clip", &a.take(&(&index * 5 - 3), 1, Outside::Clip));
    f.hold("take flat", &a.take_flat(&(&index * 5), Outside::Raise));
    f.hold("take_along_axis", &a.take_along_axis(&(ints(&[4, 2, 1], 5, 0) - 5), 1));
    f.hold("gather_nd", &a.gather_nd(&ints(&[3, 2], 4, 0)));
}

fn writing(f: &mut Figures) {
    let a = x(&[4, 5, 3], 2);
    let few = tied(&x(&[4, 6], 1));
    let mask = few.greater(&few.zeros_like());
    let (i, j, _) = indices();
    let one = |value: f64| Tensor::scalar(value, DType::F64);
    f.hold("put two", &a.put_at((&i, &j), &x(&[2, 3, 3], 7)));
    f.hold("put number", &a.put_at((.., &j, 1), &one(9.0)));
    f.hold("put slices", &a.put_at((1.., (..).by(2)), &x(&[3], 5)));
    f.hold("put mask", &few.put_at(&mask, &one(-1.0)));
    f.hold("add", &a.add_at((&i, .., 0), &x(&[2, 3, 5], 1)));
    f.hold("put_along_axis", &a.put_along_axis(&ints(&[4, 2, 3], 5, 0), &x(&[4, 2, 3], 9), 1));
    let (t, source, index) = (x(&[5, 3], 2), x(&[4, 3], 8), ints(&[4, 3], 5, 3));
    let columns = Tensor::from_slice(&[2i64, 0, 2], [3]);
    let ways = [("sum", Reduce::Sum), ("prod", Reduce::Prod), ("mean", Reduce::Mean), ("max", Reduce::Max), ("min", Reduce::Min)];
    for (name, how) in ways {
        for own in [true, false] {
            f.hold(&format!("scatter_reduce {name} {own}"), &t.scatter_reduce(&index, &source, 0, how, own));
            if how != Reduce::Sum {
                f.hold(&format!("index_reduce {name} {own}"), &t.index_reduce(1, &columns, &x(&[5, 3], 4), how, own));
            }
        }
    }
    f.hold("index_add", &t.index_add(1, &columns, &x(&[5, 3], 4)));
    f.hold("index_copy", &t.index_copy(0, &Tensor::from_slice(&[2i64, 0], [2]), &x(&[2, 3], 4)));
    f.hold("index_fill", &t.index_fill(1, &Tensor::from_slice(&[2i64, 0], [2]), 7.5));
    let (table, bag) = (x(&[6, 2], 1), ints(&[3, 4], 6, 0));
    let starts = Tensor::from_slice(&[0i64, 3, 3, 10], [4]);
    for (name, mode) in [("sum", Bag::Sum), ("mean", Bag::Mean), ("max", Bag::Max)] {
        f.hold(&format!("bag {name}"), &embedding_bag(&table, &bag, None, None, mode));
        if mode != Bag::Max {
            f.hold(&format!("bag starts {name}"), &embedding_bag(&table, &bag.flatten(), Some(&starts), None, mode));
        }
    }
    f.hold("bag weights", &embedding_bag(&table, &bag, None, Some(&x(&[3, 4], 6)), Bag::Sum));
}

fn moving(f: &mut Figures) {
    let a = x(&[4, 5, 3], 2);
    let (u, m) = (x(&[3], 1), x(&[2, 3], 3));
    f.hold("moveaxis", &a.moveaxis(&[0, 1], &[-1, 0]));
    for times in -1..4 {
        f.hold(&format!("rot90 {times}"), &a.rot90(times, (0, 2)));
    }
    f.hold("repeat_each", &a.repeat_each(&[2, 0, 1], 2));
    f.hold("expand", &u.expand(&[2, -1]));
    for (name, mode) in [("edge", PadMode::Edge), ("reflect", PadMode::Reflect), ("symmetric", PadMode::Symmetric), ("wrap", PadMode::Wrap)]
    {
        f.hold(&format!("pad {name}"), &m.pad_mode(&[(1, 2), (2, 1)], mode));
        f.hold(&format!("pad far {name}"), &u.pad_mode(&[(7, 8)], mode));
        f.hold(&format!("pad one {name}"), &Tensor::f64([3.0]).pad_mode(&[(1, 2)], mode));
    }
    f.hold("pad constant", &m.pad_mode(&[(1, 0), (0, 2)], PadMode::Constant(1.5)));
    f.hold("pixel_shuffle", &x(&[1, 8, 2, 3], 1).depth_to_space(2, DepthOrder::DepthFirst));
    f.hold("pixel_unshuffle", &x(&[2, 4, 6], 1).space_to_depth(2, DepthOrder::DepthFirst));
}

fn cutting(f: &mut Figures) {
    let a = x(&[4, 5, 3], 2);
    let (u, v, m) = (x(&[3], 1), x(&[3], 2), x(&[2, 3], 3));
    f.hold("vstack", &Tensor::vstack(&[&u, &m, &x(&[4, 3], 4)]));
    f.hold("hstack", &Tensor::hstack(&[&u, &v]));
    f.hold("hstack matrices", &Tensor::hstack(&[&m, &x(&[2, 2], 1)]));
    f.hold("dstack", &Tensor::dstack(&[&m, &x(&[2, 3], 5)]));
    f.hold("dstack vectors", &Tensor::dstack(&[&u, &v]));
    f.hold("column_stack", &Tensor::column_stack(&[&u, &x(&[3, 2], 1), &v]));
    for (part, value) in a.split_at(&[1, 1, 4], 1).iter().enumerate() {
        f.hold(&format!("split_at {part}"), value);
    }
    f.hold("split_evenly 1", &a.split_evenly(2, 0)[1]);
    f.hold("unbind 2", &a.unbind(1)[2]);
    f.hold("unfold", &a.unfold(1, 3, 2));
    f.hold("sliding_windows", &a.sliding_windows(&[2, 3], &[2, 0]));
    for (row, column) in [(0, 1), (1, 0), (0, 2), (1, 2)] {
        for offset in [-4, -2, 0, 1, 6] {
            f.hold(&format!("diagonal {row} {column} {offset}"), &a.diagonal(offset, row, column));
        }
    }
    f.hold("trace", &a.trace_over(1, 2, 1));
    f.hold("diag matrix", &x(&[4, 3], 4).diag(1));
}

fn making(f: &mut Figures) {
    let (u, m) = (x(&[3], 1), x(&[2, 3], 3));
    f.hold("diag vector", &u.diag(-2));
    f.hold("diag_embed", &m.diag_embed(1, 0, -1));
    f.hold("tri", &Tensor::tri(3, 5, -1, DType::F64));
    f.hold("eye", &Tensor::eye_of(3, 5, 2, DType::F64));
    for (name, offset, upper) in [("tril_indices", -1, false), ("triu_indices", 1, true)] {
        let (rows, columns) = Tensor::triangle_positions(3, 4, offset, upper);
        f.hold(name, &Tensor::stack(&[&rows, &columns], 0));
    }
    for (name, matrix_order) in [("ij", true), ("xy", false)] {
        for (part, value) in meshgrid(&[&u, &x(&[2], 3), &x(&[4], 4)], matrix_order).iter().enumerate() {
            f.hold(&format!("meshgrid {name} {part}"), value);
        }
    }
    f.hold("cartesian_prod", &cartesian_prod(&[&u, &x(&[2], 3)]));
    f.hold("range", &Tensor::range(-1.0, 2.0, 0.3, DType::F64));
    f.hold("range down", &Tensor::range(2.0, -1.0, -0.5, DType::F64));
    f.hold("logspace", &Tensor::logspace(-1.0, 2.0, 6, 2.0, DType::F64));
    f.hold("geomspace", &Tensor::geomspace(-1.0, -1000.0, 5, DType::F64));
    f.hold("block_diag", &block_diag(&[&m, &u, &x(&[2, 1], 1)]));
}

fn computing(f: &mut Figures) {
    let a = x(&[4, 5, 3], 2);
    let (u, m, n) = (x(&[3], 1), x(&[2, 3], 3), x(&[4, 3], 4));
    f.hold("kron", &m.kron(&x(&[3, 2], 5)));
    f.hold("kron ranks", &u.kron(&x(&[2, 1, 2], 5)));
    f.hold("outer", &m.outer(&u));
    f.hold("cross", &n.cross(&u, -1));
    f.hold("cross axis", &x(&[3, 2], 1).cross(&x(&[3, 2], 2), 0));
    f.hold("tensordot", &a.tensordot(&x(&[3, 2, 4], 3), &[0, 2], &[2, 0]));
    f.hold("vander", &u.vander(4, false));
    f.hold("vander increasing", &u.vander(3, true));
    f.hold("cov", &n.cov(1));
    f.hold("cov population", &n.cov(0));
    f.hold("cov vector", &u.cov(1));
    f.hold("corrcoef", &n.corrcoef());
    f.hold("diff", &a.diff(2, 1));
    let places = Tensor::f64([0.0, 0.5, 2.0, 2.25, 4.0]);
    f.hold("gradient", &a.slopes(Samples::Every(0.5), 1));
    f.hold("gradient places", &a.slopes(Samples::At(&places), 1));
    f.hold("trapezoid", &a.trapezoid(Samples::Every(0.5), 0));
    f.hold("trapezoid places", &a.trapezoid(Samples::At(&places), 1));
}

fn labels(f: &mut Figures) {
    let (p, q, r, s3) = (x(&[2, 3], 1), x(&[3, 4], 2), x(&[4, 2], 3), x(&[3, 3, 2], 4));
    f.hold("einsum chain", &einsum("ij,jk,kl->il", &[&p, &q, &r]));
    f.hold("einsum implicit", &einsum("ba,ac", &[&p, &q]));
    f.hold("einsum trace", &einsum("iij->j", &[&s3]));
    f.hold("einsum diagonal", &einsum("iij->ij", &[&s3]));
    f.hold("einsum diagonal of diagonal", &einsum("iii->i", &[&x(&[3, 3, 3], 5)]));
    f.hold("einsum sum", &einsum("ijk->", &[&s3]));
    f.hold("einsum turned", &einsum("ijk->kij", &[&s3]));
    f.hold("einsum rest", &einsum("...ij, ...jk -> ...ik", &[&x(&[2, 1, 2, 3], 1), &x(&[3, 3, 4], 2)]));
    f.hold("einsum rest behind", &einsum("i...,ij->j...", &[&x(&[2, 3, 2], 1), &p]));
    f.hold("einsum rest implicit", &einsum("...j,j", &[&x(&[2, 2, 3], 1), &x(&[3], 2)]));
    f.hold("einsum rest between", &einsum("i...k,k->k...i", &[&x(&[2, 3, 2, 4], 1), &x(&[4], 2)]));
    f.hold("einsum outer", &einsum("i,j,k->kij", &[&x(&[2], 1), &x(&[3], 2), &x(&[2], 3)]));
    f.hold("einsum same", &einsum("ij,ij,ij->i", &[&p, &x(&[2, 3], 5), &x(&[2, 3], 6)]));
    f.hold("einsum all", &einsum("ij,jk,ki->", &[&p, &q, &r]));
    f.hold("einsum lonely", &einsum("ij,kl->k", &[&p, &q]));
    let star = [x(&[2, 3], 1), x(&[2, 3], 2), x(&[1, 3], 3), x(&[2, 3], 4)];
    f.hold("einsum star", &einsum("ai,bi,ci,di->abcd", &star.iter().collect::<Vec<_>>()));
    f.hold("einsum one", &einsum("ij,jk->ik", &[&x(&[2, 1], 1), &x(&[1, 4], 2)]));
    f.hold("einsum scalar", &einsum(",i->i", &[&Tensor::scalar(2.0, DType::F64), &x(&[3], 1)]));
}

fn transforms(f: &mut Figures) {
    fn hold(f: &mut Figures, name: &str, found: &Complex) {
        f.hold(&format!("{name} re"), &found.re);
        f.hold(&format!("{name} im"), &found.im);
    }
    let complex = |shape: &[usize]| Complex::new(&x(shape, 1), &x(shape, 2));
    let (z, w) = (complex(&[3, 8]), complex(&[3, 2, 5]));
    let half = Complex::new(&z.re.slice(1, ..5), &z.im.slice(1, ..5));
    for (name, norm) in [("backward", Norm::Backward), ("ortho", Norm::Ortho), ("forward", Norm::Forward)] {
        hold(f, &format!("fft {name}"), &z.fft(1, norm));
        hold(f, &format!("ifft {name}"), &z.ifft(0, norm));
        hold(f, &format!("rfft {name}"), &x(&[3, 7], 1).rfft(1, norm));
        f.hold(&format!("irfft {name}"), &half.irfft(8, 1, norm));
        f.hold(&format!("irfft odd {name}"), &half.irfft(9, 1, norm));
        hold(f, &format!("fftn {name}"), &w.fftn(&[0, 2], norm));
        hold(f, &format!("rfftn {name}"), &x(&[3, 2, 6], 1).rfftn(&[0, 1, 2], norm));
        f.hold(&format!("irfftn {name}"), &w.irfftn(8, &[0, 2], norm));
    }
    hold(f, "ifftn", &w.ifftn(&[2, 1], Norm::Backward));
    hold(f, "fft prime", &complex(&[2, 101]).fft(1, Norm::Backward));
    hold(f, "rfft prime", &x(&[53], 1).rfft(0, Norm::Backward));
    hold(f, "fft 97", &complex(&[97]).ifft(0, Norm::Backward));
    for n in [4, 5] {
        f.hold(&format!("fftfreq {n}"), &Tensor::fftfreq(n, 0.5, DType::F64));
        f.hold(&format!("rfftfreq {n}"), &Tensor::rfftfreq(n, 0.5, DType::F64));
        f.hold(&format!("fftshift {n}"), &x(&[3, n], 1).fftshift(&[0, 1]));
        f.hold(&format!("ifftshift {n}"), &x(&[3, n], 1).ifftshift(&[1]));
    }
    f.hold("fft_convolve", &x(&[2, 9], 1).fft_convolve(&x(&[1, 4], 2), 1));
}
