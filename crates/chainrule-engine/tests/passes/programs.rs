//! Random programs whose every value is a small whole number, so that floats are exact whatever
//! the order of a sum: each way of compiling must give exactly what the reference gives.
//!
//! Refuses tolerances: a single element that differs is a failure.

use crate::shared::Numbers;
use chainrule_engine::backend::reference;
use chainrule_engine::compile::graph::Graph;
use chainrule_engine::ops::{
    ArgSort, Barrier, Binary, Broadcast, Cast, Concat, Constant, CumulativeSum, Einsum, Fold, Gather, Iota, Max, Op, Pad, Permute, Random,
    Reshape, Reverse, Scalar, ScatterAdd, Select, Slice, StopGradient, Sum, Unary, Window,
};
use chainrule_engine::tensor::Type;
use chainrule_engine::{DType, Data, Options, Runtime, Tensor};

/// The element types of programs. Sums of the narrow floats are rounded in parts; they have tests of their own.
const DTYPES: [DType; 6] = [DType::F32, DType::F32, DType::F32, DType::F64, DType::I64, DType::I32];

/// A program under construction.
struct Maker {
    numbers: Numbers,
    values: Vec<Tensor>,
    /// Elements a value may have.
    most: usize,
    /// Of a hundred axes, how many are empty.
    empty: usize,
}

impl Maker {
    fn below(&mut self, limit: usize) -> usize {
        self.numbers.below(limit.max(1))
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn size(&mut self) -> usize {
        if self.chance(self.empty) {
            return 0;
        }
        let wide = self.most > 5000 && self.chance(35);
        if wide { [1500, 700, 64, 8200, 300][self.below(5)] } else { [1, 2, 3, 4, 5, 7, 2, 3][self.below(8)] }
    }

    fn shape(&mut self) -> Vec<usize> {
        let rank = [0, 1, 2, 2, 3, 3, 4][self.below(7)];
        let mut shape = Vec::new();
        for _ in 0..rank {
            let size = self.size();
            if shape.iter().product::<usize>() * size <= self.most {
                shape.push(size);
            }
        }
        shape
    }

    fn leaf(&mut self, shape: &[usize], dtype: DType) -> Tensor {
        let values: Vec<i64> = (0..shape.iter().product()).map(|_| self.below(7) as i64 - 3).collect();
        Tensor::from_data(Data::from_i64(dtype, &values), shape)
    }

    /// A value made before, later ones more often.
    fn pick(&mut self) -> Tensor {
        let reach = if self.chance(30) { self.values.len() } else { self.values.len().min(4) };
        let back = self.below(reach);
        self.values[self.values.len() - 1 - back].clone()
    }

    /// As [`Maker::pick`], but numbers.
    fn number(&mut self) -> Tensor {
        let x = self.pick();
        if x.dtype() == DType::Bool { x.cast(DType::F32) } else { x }
    }

    /// A random part of the axes, ascending.
    fn some_axes(&mut self, rank: usize) -> Vec<usize> {
        (0..rank).filter(|_| self.chance(45)).collect()
    }

    fn order<T: Copy>(&mut self, mut items: Vec<T>) -> Vec<T> {
        for i in (1..items.len()).rev() {
            let j = self.below(i + 1);
            items.swap(i, j);
        }
        items
    }

    /// Another value of the shape and type of `x`.
    fn partner(&mut self, x: &Tensor) -> Tensor {
        let same: Vec<Tensor> = self.values.iter().filter(|y| y.shape() == x.shape()).cloned().collect();
        match self.below(6) {
            0 | 1 if !same.is_empty() => same[self.below(same.len())].cast(x.dtype()),
            2 => self.constant(x),
            3 => self.coordinates(x),
            _ => self.reduced_and_spread(x),
        }
    }

    fn constant(&mut self, x: &Tensor) -> Tensor {
        let value = Scalar::new(self.below(5) as f64 - 2.0, x.dtype());
        Tensor::record(Constant { value, ty: x.ty().clone() }, [])
    }

    fn coordinates(&mut self, x: &Tensor) -> Tensor {
        let axis = self.below(x.rank());
        if x.rank() == 0 || x.dtype() == DType::Bool {
            self.constant(x)
        } else {
            small(&Tensor::record(Iota { axis, ty: x.ty().clone() }, []))
        }
    }

    /// What softmax and norms do: reduced along axes, then repeated along them.
    fn reduced_and_spread(&mut self, x: &Tensor) -> Tensor {
        if x.dtype() == DType::Bool {
            return x.clone();
        }
        let axes = self.some_axes(x.rank());
        let reduced = self.reduce(x, &axes);
        let sizes: Vec<usize> = axes.iter().map(|&axis| x.shape()[axis]).collect();
        Tensor::record(Broadcast { axes: axes.as_slice().into(), sizes: sizes.as_slice().into() }, [reduced])
    }

    fn reduce(&mut self, x: &Tensor, axes: &[usize]) -> Tensor {
        let empty = axes.iter().any(|&axis| x.shape()[axis] == 0);
        match self.chance(60) || empty {
            true => small(&Tensor::record(Sum(axes.into()), [x.clone()])),
            false => Tensor::record(Max(axes.into()), [x.clone()]),
        }
    }

    /// An index into `0..limit`, of a shape; computed or given.
    fn index(&mut self, shape: &[usize], limit: usize) -> Tensor {
        let dtype = [DType::I64, DType::I32][self.below(2)];
        let same: Vec<Tensor> = self.values.iter().filter(|y| y.shape() == shape && y.dtype() != DType::Bool).cloned().collect();
        let source = if same.is_empty() || self.chance(40) { self.leaf(shape, dtype) } else { same[self.below(same.len())].clone() };
        let whole = source.cast(dtype);
        Tensor::record(Binary::Remainder, [whole.clone(), full(&whole, limit as f64)])
    }

    fn einsum(&mut self) -> Tensor {
        let x = self.number();
        let letters = b"abcdefgh";
        let (mut a, mut b, mut out) = (Vec::new(), Vec::new(), Vec::new());
        for axis in 0..x.rank() {
            a.push(letters[axis]);
            match self.below(3) {
                0 => {
                    b.push((letters[axis], x.shape()[axis]));
                    out.push(letters[axis])
                }
                1 => b.push((letters[axis], x.shape()[axis])),
                _ => out.push(letters[axis]),
            }
        }
        for i in 0..self.below(3) {
            let size = self.size();
            b.push((letters[4 + i], size));
            out.push(letters[4 + i]);
        }
        let (b, out) = (self.order(b), self.order(out));
        let shape: Vec<usize> = b.iter().map(|&(_, size)| size).collect();
        if shape.iter().product::<usize>() > self.most {
            return x;
        }
        let same: Vec<Tensor> = self.values.iter().filter(|y| y.shape() == shape && y.dtype() == x.dtype()).cloned().collect();
        let y = if same.is_empty() { self.leaf(&shape, x.dtype()) } else { same[self.below(same.len())].clone() };
        let b: Vec<u8> = b.iter().map(|&(label, _)| label).collect();
        let (op, operands) = if self.chance(50) {
            (Einsum::of(a.as_slice().into(), b.as_slice().into(), out.as_slice().into()), [x, y])
        } else {
            (Einsum::of(b.as_slice().into(), a.as_slice().into(), out.as_slice().into()), [y, x])
        };
        let product = Tensor::record(op, operands);
        if product.error().is_some() || self.chance(30) { product } else { small(&product) }
    }

    fn window(&mut self, x: &Tensor) -> Window {
        let axes: Vec<usize> = self.some_axes(x.rank()).into_iter().filter(|&axis| x.shape()[axis] > 0).collect();
        let mut window = Window {
            axes: axes.as_slice().into(),
            sizes: [].as_slice().into(),
            strides: [].as_slice().into(),
            dilations: [].as_slice().into(),
        };
        for &axis in &axes {
            let n = x.shape()[axis];
            let size = 1 + self.below(n.min(4));
            window.sizes.push(size);
            window.dilations.push(1 + self.below(((n - 1) / (size - 1).max(1)).min(3)));
            window.strides.push(if self.chance(40) { size } else { 1 + self.below(3) });
        }
        window
    }

    /// What goes by bits: of truths as well, but for shifts.
    fn bits(&mut self, x: Tensor, y: Tensor) -> Tensor {
        if x.dtype() == DType::Bool {
            return Tensor::record([Binary::And, Binary::Or][self.below(2)], [x, y]);
        }
        small(&Tensor::record([Binary::And, Binary::Or, Binary::ShiftLeft, Binary::ShiftRight][self.below(4)], [x, y]))
    }

    fn movement(&mut self, x: &Tensor) -> Tensor {
        let rank = x.rank();
        let list = |numbers: Vec<usize>| -> chainrule_engine::ops::movement::Axes { numbers.into_iter().collect() };
        let op: Op = match self.below(9) {
            0 => {
                let order = self.order((0..rank).collect());
                Permute(list(order)).into()
            }
            1 => Reshape(self.regrouped(x.shape()).into()).into(),
            2 => {
                let axes: Vec<usize> = (0..rank + 1 + self.below(2)).collect();
                let count = axes.len() - rank;
                let mut chosen = self.order(axes);
                chosen.truncate(count);
                chosen.sort_unstable();
                let sizes = (0..count).map(|_| self.size()).collect();
                Broadcast { axes: list(chosen), sizes: list(sizes) }.into()
            }
            3 | 4 => {
                let start: Vec<usize> = x.shape().iter().map(|&n| self.below(n.min(3))).collect();
                let stop = x
                    .shape()
                    .iter()
                    .zip(&start)
                    .map(|(&n, &s)| if n > s && self.chance(60) { n } else { s + self.below(n - s + 1) })
                    .collect();
                let step = (0..rank).map(|_| 1 + self.below(3)).collect();
                Slice { start: list(start), stop: list(stop), step: list(step) }.into()
            }
            5 => Reverse(list(self.some_axes(rank))).into(),
            6 => {
                let mut few = |percent| list((0..rank).map(|_| if self.chance(percent) { 1 + self.below(2) } else { 0 }).collect());
                Pad { low: few(40), high: few(40), interior: few(25) }.into()
            }
            7 => self.window(x).into(),
            _ => StopGradient.into(),
        };
        Tensor::record(op, [x.clone()])
    }

    /// A shape of the same elements: neighbours joined, or an axis cut in two.
    fn regrouped(&mut self, shape: &[usize]) -> Vec<usize> {
        let mut shape = shape.to_vec();
        for _ in 0..1 + self.below(2) {
            if shape.len() > 1 && self.chance(50) {
                let at = self.below(shape.len() - 1);
                let joined = shape[at] * shape[at + 1];
                shape.splice(at..at + 2, [joined]);
            } else if let (false, at) = (shape.is_empty(), self.below(shape.len())) {
                let part = (2..=4).find(|part| shape[at].is_multiple_of(*part) && shape[at] > 0).unwrap_or(1);
                let rest = shape[at] / part;
                shape.splice(at..at + 1, if self.chance(50) { [part, rest] } else { [rest, part] });
            }
        }
        shape
    }

    fn step(&mut self) -> Tensor {
        match self.below(20) {
            0 => -self.number(),
            1 => Tensor::record(
                Unary::Sqrt,
                [{
                    let x = self.number().cast(DType::F32);
                    &x * &x
                }],
            ),
            2..=5 => {
                let x = self.number();
                let y = self.partner(&x);
                let op = [Binary::Add, Binary::Subtract, Binary::Multiply, Binary::Minimum, Binary::Maximum][self.below(5)];
                small(&Tensor::record(op, [x, y]))
            }
            6 => {
                let x = self.pick();
                let y = self.partner(&x);
                if !x.dtype().is_float() && self.chance(40) {
                    return self.bits(x, y);
                }
                let test = Tensor::record([Binary::Less, Binary::Equal][self.below(2)], [x, y]);
                if self.chance(50) { Tensor::record(Unary::Not, [test]) } else { test }
            }
            7 => {
                let x = self.pick();
                let (c, y) = (self.partner(&x).cast(DType::Bool), self.partner(&x));
                Tensor::record(Select, [c, x, y])
            }
            8 | 9 => {
                let x = self.number();
                let axes = self.some_axes(x.rank());
                self.reduce(&x, &axes)
            }
            10 => {
                let x = self.number();
                let y = self.reduced_and_spread(&x);
                small(&(x - y))
            }
            11 | 12 => self.einsum(),
            13 => {
                let x = self.number();
                let op = CumulativeSum { axis: self.below(x.rank()), reverse: self.chance(50) };
                small(&Tensor::record(op, [x]))
            }
            14 => {
                let x = self.pick();
                let batch = self.below(x.rank());
                let mut shape = x.shape()[..batch.min(x.rank())].to_vec();
                let Some(&limit) = x.shape().get(batch).filter(|&&limit| limit > 0) else { return x };
                (0..self.below(3)).for_each(|_| shape.push(1 + self.below(4)));
                let index = self.index(&shape, limit);
                Tensor::record(Gather { batch }, [x, index])
            }
            15 => {
                let x = self.number();
                let lead = self.below(x.rank() + 1);
                let (batch, size) = (self.below(lead + 1), 1 + self.below(4));
                let index = self.index(&x.shape()[..lead], size);
                small(&Tensor::record(ScatterAdd { batch, size }, [x, index]))
            }
            16 => {
                let x = self.pick();
                let axis = self.below(x.rank());
                let parts: Vec<Tensor> =
                    (0..1 + self.below(3)).map(|_| if self.chance(40) { x.clone() } else { self.partner(&x) }).collect();
                Tensor::record(Concat { axis }, parts)
            }
            17 => {
                let x = self.number();
                let window = self.window(&x);
                let lengths = window.axes.iter().map(|&axis| x.shape()[axis]).collect();
                let patches = Tensor::record(window.clone(), [x]);
                if patches.error().is_some() || patches.len() > self.most {
                    return patches;
                }
                let changed = if self.chance(50) { small(&(&patches * 3.0)) } else { patches };
                small(&Tensor::record(Fold { window, lengths }, [changed]))
            }
            18 => {
                let x = self.pick();
                match self.below(5) {
                    0 => x.cast(DType::Bool),
                    3 => {
                        let last = x.shape().last().copied().unwrap_or(0);
                        let (descending, few) = (self.chance(50), self.chance(50));
                        small(&Tensor::record(ArgSort { descending, first: few.then(|| self.below(last + 1)) }, [x]))
                    }
                    1 => {
                        let y = self.pick();
                        Tensor::record(Barrier, [x, y])
                    }
                    2 => {
                        let of: [&[usize]; 3] = [&[], &[2], &[3, 1]];
                        let which = self.below(3);
                        let key = self.leaf(of[which], DType::I64);
                        let shape = self.shape();
                        Tensor::record(Random { bits: [2, 3][self.below(2)], shape: shape.into(), offset: self.below(5) as u64 }, [key])
                    }
                    _ => {
                        let to = DTYPES[self.below(6)];
                        Tensor::record(Cast(to), [x])
                    }
                }
            }
            _ => {
                let x = self.pick();
                self.movement(&x)
            }
        }
    }
}

/// A constant of the type of `x`.
fn full(x: &Tensor, value: f64) -> Tensor {
    Tensor::record(Constant { value: Scalar::new(value, x.dtype()), ty: Type::clone(x.ty()) }, [])
}

/// Back to -3 ..= 3, whole.
fn small(x: &Tensor) -> Tensor {
    if x.dtype() == DType::Bool {
        return x.clone();
    }
    Tensor::record(Binary::Remainder, [x + full(x, 3.0), full(x, 7.0)]) - full(x, 3.0)
}

/// The roots of the program of a seed; recorded anew on each call, always the same.
pub fn program(seed: u64, length: usize) -> Vec<Tensor> {
    let large = seed % 10 == 9;
    let empty = if seed % 4 == 1 { 8 } else { 0 };
    let mut maker = Maker { numbers: Numbers::new(seed), values: Vec::new(), most: if large { 40_000 } else { 1500 }, empty };
    for _ in 0..3 {
        let (shape, dtype) = (maker.shape(), DTYPES[maker.below(6)]);
        let leaf = maker.leaf(&shape, dtype);
        maker.values.push(leaf);
    }
    for _ in 0..length {
        let value = maker.step();
        if value.error().is_none() && value.len() <= maker.most && value.rank() <= 6 {
            maker.values.push(value);
        }
    }
    let last = maker.values[maker.values.len() - 1].clone();
    let mut roots = vec![last];
    (0..maker.below(4)).for_each(|_| {
        let root = maker.pick();
        roots.push(root)
    });
    roots
}

/// `Err` with a message unless the program gives exactly the values of the reference.
fn check(seed: u64, length: usize, runtime: &Runtime) -> Result<(), String> {
    let roots = program(seed, length);
    let roots: Vec<&Tensor> = roots.iter().collect();
    let want = reference::evaluate(&roots).map_err(|error| format!("reference: {error}"))?;
    Tensor::eval_all_on(runtime, &roots).map_err(|error| error.to_string())?;
    for (at, (root, want)) in roots.iter().zip(&want).enumerate() {
        let got = root.to_data().map_err(|error| error.to_string())?.to_f64();
        let want = want.to_f64();
        if let Some(i) = (0..want.len()).find(|&i| got[i] != want[i] && !(got[i].is_nan() && want[i].is_nan())) {
            return Err(format!("root {at} {:?} {} element {i}: {} for {}", root.shape(), root.dtype(), got[i], want[i]));
        }
    }
    Ok(())
}

/// The ways to compile.
pub fn ways() -> [(&'static str, Options); 6] {
    let all = Options::default();
    [
        ("all", all),
        ("no fusion", Options { fuse: false, ..all }),
        ("patches added up", Options { windows: false, ..all }),
        ("no recomputing", Options { recompute: false, ..all }),
        ("no reuse", Options { reuse_memory: false, ..all }),
        ("no simplification", Options { simplify: false, ..all }),
    ]
}

/// What fails, of a range of seeds: of each the shortest program that does, as text.
fn failures(seeds: std::ops::Range<u64>) -> Vec<String> {
    let mut failures = Vec::new();
    for seed in seeds {
        for (name, options) in ways() {
            let runtime = Runtime::shared().with_options(options);
            let run = |length: usize| {
                let run = std::panic::AssertUnwindSafe(|| check(seed, length, &runtime));
                std::panic::catch_unwind(run).unwrap_or_else(|_| Err("panicked".into()))
            };
            if let Err(message) = run(30) {
                let shortest = (1..=30).find_map(|length| Some((length, run(length).err()?)));
                let (length, why) = shortest.unwrap_or((30, message));
                let roots = program(seed, length);
                let (graph, ..) = Graph::of(&roots.iter().collect::<Vec<_>>());
                failures.push(format!("program {seed} of {length} steps, {name}: {why}\n{}", graph.print()));
            }
        }
    }
    failures
}

/// `FIRST` and `COUNT` in the environment choose other seeds, for long runs.
#[test]
fn every_way_to_compile_gives_the_values_of_the_reference() {
    let first: u64 = std::env::var("FIRST").ok().and_then(|v| v.parse().ok()).unwrap_or(0);
    let count: u64 = std::env::var("COUNT").ok().and_then(|v| v.parse().ok()).unwrap_or(300);
    let failures = failures(first..first + count);
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}
