//! Sample applications of every operation: what its tests, its page and its pictures are made from.
//!
//! Parameters are lopsided on purpose (an order that is not its own inverse, strides that differ),
//! so that an adjoint with two numbers exchanged does not pass for the right one. Values keep away
//! from kinks and poles; what happens there is pinned by tests of its own.

mod control;

use super::elementwise::{BINARY, UNARY};
use super::host::Hosted;
use super::movement::Axes;
use super::source::Scalar;
use super::{
    ArgSort, Barrier, Binary, Broadcast, Cast, Combine, Concat, Constant, CumulativeSum, Custom, CustomRule, Einsum, Fold, Gather,
    HostArray, HostCall, HostFunction, Input, Iota, Max, Op, Operation, Pad, Permute, Random, Reshape, Reverse, ScatterAdd, ScatterReduce,
    Select, Slice, StopGradient, Sum, Unary, Window,
};
use crate::tensor::random::word;
use crate::tensor::{DType, Data, Result, Shape, Tensor, Type};
use std::sync::Arc;

/// One application of an operation.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Says which, such as `permute [1, 2, 0]`.
    pub name: String,
    /// The operation.
    pub op: Op,
    /// What it is applied to.
    pub inputs: Vec<SampleInput>,
}

/// An input of a sample: its shape, and where its values come from.
#[derive(Clone, Debug)]
pub struct SampleInput {
    /// Sizes of its axes.
    pub shape: Shape,
    /// Which values it takes.
    pub domain: Domain,
}

/// Where the values of an input come from. The first three are of whichever element type is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Domain {
    /// Between two numbers.
    Between(f64, f64),
    /// In the middle of cells of this size, three on either side of zero: away from where a floor jumps.
    Cells(f64),
    /// All different within the tensor, and from those of another tensor with another phase (below 1).
    Apart(f64),
    /// True or false.
    Booleans,
    /// Whole numbers below a limit, of an integer type.
    Indices(usize, DType),
    /// Keys of random numbers: any i64.
    Keys,
}

impl Domain {
    /// The element type, unless it is the one asked for.
    pub fn fixed(self) -> Option<DType> {
        match self {
            Domain::Between(..) | Domain::Cells(_) | Domain::Apart(_) => None,
            Domain::Booleans => Some(DType::Bool),
            Domain::Indices(_, dtype) => Some(dtype),
            Domain::Keys => Some(DType::I64),
        }
    }
}

impl SampleInput {
    /// Values of element type `dtype` (where the domain leaves the choice); other seeds, other values.
    pub fn tensor(&self, dtype: DType, seed: u64) -> Tensor {
        let count = self.shape.iter().product();
        let key = word(seed as i64, count as u64) as i64;
        let uniform = |i: usize| (word(key, i as u64) >> 11) as f64 / (1u64 << 53) as f64;
        let dtype = self.domain.fixed().unwrap_or(dtype);
        let numbers: Vec<f64> = match self.domain {
            Domain::Between(low, high) => (0..count).map(|i| low + (high - low) * uniform(i)).collect(),
            Domain::Cells(size) => {
                let cell = |i: usize| (uniform(i) * 6.0).floor() - 3.0;
                (0..count).map(|i| size * (cell(i) + 0.3 + 0.4 * uniform(count + i))).collect()
            }
            Domain::Apart(phase) => {
                let mut order: Vec<usize> = (0..count).collect();
                order.sort_by_key(|&i| word(key, i as u64));
                order.into_iter().map(|rank| (rank as f64 + phase - count as f64 / 2.0) * 0.37).collect()
            }
            Domain::Booleans => (0..count).map(|i| (uniform(i) < 0.5) as u8 as f64).collect(),
            Domain::Indices(limit, _) => (0..count).map(|i| (uniform(i) * limit as f64).floor()).collect(),
            Domain::Keys => return keys(&self.shape, key),
        };
        let numbers: Vec<f64> = match (self.domain.fixed(), dtype) {
            (None, DType::Bool) => numbers.iter().map(|&v| (v > 0.0) as u8 as f64).collect(),
            (None, DType::U8) => numbers.iter().map(|v| (v * 2.0).abs().round()).collect(),
            (None, DType::I32 | DType::I64) => numbers.iter().map(|v| (v * 2.0).round()).collect(),
            _ => numbers,
        };
        Tensor::from_data(Data::from_f64(dtype, &numbers), self.shape.clone())
    }
}

fn keys(shape: &Shape, key: i64) -> Tensor {
    let keys: Vec<i64> = (0..shape.iter().product::<usize>()).map(|i| word(key, i as u64) as i64).collect();
    Tensor::from_slice(&keys, shape)
}

impl Sample {
    /// The element types the operation takes here. Those without a choice get one.
    pub fn dtypes(&self) -> Vec<DType> {
        if self.inputs.iter().all(|input| input.domain.fixed().is_some()) {
            return vec![DType::F64];
        }
        let taken = |dtype: &DType| {
            let types: Vec<Type> = self.inputs.iter().map(|i| Type::new(i.shape.clone(), i.domain.fixed().unwrap_or(*dtype))).collect();
            matches!(self.op, Op::Input(_)) || self.op.infer(&types.iter().collect::<Vec<_>>()).is_ok()
        };
        DType::ALL.into_iter().filter(taken).collect()
    }

    /// Inputs of an element type; other seeds, other values.
    pub fn tensors(&self, dtype: DType, seed: u64) -> Vec<Tensor> {
        self.inputs.iter().zip(0..).map(|(input, i)| input.tensor(dtype, seed.wrapping_mul(16).wrapping_add(i))).collect()
    }

    /// The operation applied to inputs. A leaf is its own application.
    #[track_caller]
    pub fn record(&self, inputs: &[Tensor]) -> Tensor {
        match self.op {
            Op::Input(_) => inputs[0].clone(),
            _ => Tensor::record(self.op.clone(), inputs.iter().cloned()),
        }
    }
}

/// Every kind of operation, each function of single elements, with several parameters.
pub fn samples() -> Vec<Sample> {
    let mut list = Vec::new();
    sources(&mut list);
    elementwise(&mut list);
    movements(&mut list);
    windows(&mut list);
    reductions(&mut list);
    contractions(&mut list);
    indexed(&mut list);
    structure(&mut list);
    control::control(&mut list);
    list
}

const PLAIN: Domain = Domain::Between(-2.0, 2.0);

fn add(list: &mut Vec<Sample>, op: impl Into<Op>, inputs: &[(&[usize], Domain)]) {
    let op = op.into();
    let inputs: Vec<SampleInput> = inputs.iter().map(|&(shape, domain)| SampleInput { shape: shape.into(), domain }).collect();
    let shapes: Vec<&Shape> = inputs.iter().map(|input| &input.shape).collect();
    let name = format!("{op:?} of {shapes:?}");
    list.push(Sample { name, op, inputs });
}

fn axes(list: &[usize]) -> Axes {
    Axes::from_slice(list)
}

fn sources(list: &mut Vec<Sample>) {
    add(list, Input, &[(&[3, 2], PLAIN)]);
    for (value, dtype) in [
        (2.5, DType::F32),
        (-0.0, DType::F64),
        (0.3, DType::BF16),
        (0.1, DType::F16),
        (-7.0, DType::I64),
        (9.0, DType::U8),
        (1.0, DType::Bool),
    ] {
        add(list, Constant { value: Scalar::new(value, dtype), ty: Type::new(Shape::from_slice(&[2, 3]), dtype) }, &[]);
    }
    for (axis, dtype) in [(0, DType::I64), (1, DType::F32), (2, DType::I32), (1, DType::F64), (0, DType::U8), (2, DType::BF16)] {
        add(list, Iota { axis, ty: Type::new(Shape::from_slice(&[4, 3, 2]), dtype) }, &[]);
    }
    for (bits, shape, offset) in [(7, &[4][..], 0), (24, &[2, 3], 5), (31, &[], 1), (32, &[5], 0), (53, &[3], 1 << 40), (64, &[2], 3)] {
        add(list, Random { bits, shape: shape.into(), offset }, &[(&[], Domain::Keys)]);
        add(list, Random { bits, shape: shape.into(), offset }, &[(&[3], Domain::Keys)]);
    }
}

/// Where a function of one operand is smooth.
fn unary_domain(op: Unary) -> Domain {
    match op {
        Unary::Log | Unary::Sqrt => Domain::Between(0.3, 4.0),
        Unary::Log1p => Domain::Between(-0.6, 2.0),
        Unary::Floor => Domain::Cells(1.0),
        Unary::Sin | Unary::Cos | Unary::Softplus | Unary::Sigmoid => Domain::Between(-3.0, 3.0),
        Unary::Negate | Unary::Exp | Unary::Expm1 | Unary::Tanh | Unary::Sech | Unary::Erf | Unary::Atan | Unary::Not => PLAIN,
        // Steps of the compiler, not operations of a graph.
        Unary::RoundBf16 | Unary::RoundF16 => PLAIN,
    }
}

/// Where a function of two operands is smooth.
fn binary_domains(op: Binary) -> [Domain; 2] {
    match op {
        Binary::Divide => [PLAIN, Domain::Between(0.5, 2.5)],
        Binary::Power => [Domain::Between(0.3, 2.5), PLAIN],
        Binary::Minimum | Binary::Maximum | Binary::Less | Binary::Equal => [Domain::Apart(0.25), Domain::Apart(0.75)],
        Binary::Remainder => [Domain::Cells(2.0), Domain::Between(1.9, 2.1)],
        Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Scale | Binary::And | Binary::Or => [PLAIN, PLAIN],
        // As whole numbers: from -4 to 4, moved by -2 to 8 bits.
        Binary::ShiftLeft | Binary::ShiftRight => [PLAIN, Domain::Between(-1.0, 4.0)],
    }
}

fn elementwise(list: &mut Vec<Sample>) {
    for row in UNARY {
        add(list, row.op, &[(&[2, 3, 3], unary_domain(row.op))]);
        add(list, row.op, &[(&[], unary_domain(row.op))]);
    }
    for row in BINARY {
        let [a, b] = binary_domains(row.op);
        add(list, row.op, &[(&[3, 5], a), (&[3, 5], b)]);
        add(list, row.op, &[(&[], a), (&[], b)]);
    }
    add(list, Select, &[(&[3, 4], Domain::Booleans), (&[3, 4], PLAIN), (&[3, 4], PLAIN)]);
    add(list, Select, &[(&[], Domain::Booleans), (&[], PLAIN), (&[], PLAIN)]);
    for dtype in DType::ALL {
        add(list, Cast(dtype), &[(&[3, 7], Domain::Cells(1.0))]);
    }
}

fn movements(list: &mut Vec<Sample>) {
    for (from, to) in [(&[2, 3, 4][..], &[4, 6][..]), (&[6], &[1, 2, 3, 1]), (&[3, 1, 2], &[6]), (&[1, 1], &[]), (&[0, 3], &[3, 0, 2])] {
        add(list, Reshape(to.into()), &[(from, PLAIN)]);
    }
    for (shape, order) in [(&[2, 3, 4][..], &[1, 2, 0][..]), (&[2, 3, 1, 4], &[2, 0, 3, 1]), (&[3, 2], &[1, 0]), (&[3, 2, 2], &[0, 2, 1])] {
        add(list, Permute(axes(order)), &[(shape, PLAIN)]);
    }
    for (shape, new, sizes) in
        [(&[2, 3][..], &[0, 2][..], &[4, 2][..]), (&[3], &[1], &[2]), (&[], &[0, 1], &[2, 3]), (&[2, 2], &[2], &[5]), (&[2], &[0], &[0])]
    {
        add(list, Broadcast { axes: axes(new), sizes: axes(sizes) }, &[(shape, PLAIN)]);
    }
    for (shape, start, stop, step) in [
        (&[7, 5][..], &[1, 0][..], &[7, 4][..], &[2, 3][..]),
        (&[9], &[2], &[8], &[4]),
        (&[3, 4], &[0, 1], &[3, 3], &[1, 1]),
        (&[4, 2], &[3, 1], &[3, 2], &[2, 1]),
    ] {
        add(list, Slice { start: axes(start), stop: axes(stop), step: axes(step) }, &[(shape, PLAIN)]);
    }
    for (shape, low, high, interior) in [
        (&[2, 3][..], &[1, 0][..], &[2, 3][..], &[0, 2][..]),
        (&[3], &[0], &[1], &[1]),
        (&[2, 1, 2], &[0, 2, 1], &[1, 0, 0], &[3, 1, 0]),
        (&[0], &[2], &[1], &[3]),
    ] {
        add(list, Pad { low: axes(low), high: axes(high), interior: axes(interior) }, &[(shape, PLAIN)]);
    }
    for (shape, reversed) in [(&[2, 3][..], &[1][..]), (&[2, 3, 4], &[0, 2]), (&[5], &[0])] {
        add(list, Reverse(axes(reversed)), &[(shape, PLAIN)]);
    }
    add(list, Concat { axis: 1 }, &[(&[2, 1], PLAIN), (&[2, 3], PLAIN), (&[2, 2], PLAIN)]);
    add(list, Concat { axis: 0 }, &[(&[3, 2], PLAIN), (&[1, 2], PLAIN)]);
    add(list, Concat { axis: 2 }, &[(&[2, 2, 1], PLAIN), (&[2, 2, 0], PLAIN), (&[2, 2, 2], PLAIN)]);
    add(list, Concat { axis: 0 }, &[(&[4], PLAIN)]);
}

fn windows(list: &mut Vec<Sample>) {
    for (shape, over, sizes, strides, dilations) in [
        (&[2, 7, 6][..], &[1, 2][..], &[3, 2][..], &[2, 3][..], &[1, 2][..]),
        (&[9], &[0], &[3], &[1], &[2]),
        (&[8, 2], &[0], &[2], &[3], &[1]),
        (&[5, 2, 6], &[0, 2], &[2, 3], &[2, 1], &[3, 1]),
        (&[3, 4], &[1], &[4], &[5], &[1]),
    ] {
        let window = Window { axes: axes(over), sizes: axes(sizes), strides: axes(strides), dilations: axes(dilations) };
        if let Ok(patches) = window.infer(&[&Type::new(Shape::from_slice(shape), DType::F64)]) {
            add(list, Fold { window: window.clone(), lengths: over.iter().map(|&axis| shape[axis]).collect() }, &[(&patches.shape, PLAIN)]);
        }
        add(list, window, &[(shape, PLAIN)]);
    }
}

fn reductions(list: &mut Vec<Sample>) {
    for (shape, over) in
        [(&[2, 3, 4][..], &[0, 2][..]), (&[2, 3, 4], &[1]), (&[3, 5], &[1]), (&[5, 3], &[0]), (&[2, 3], &[0, 1]), (&[17], &[0])]
    {
        add(list, Sum(axes(over)), &[(shape, PLAIN)]);
        add(list, Max(axes(over)), &[(shape, Domain::Apart(0.5))]);
    }
    add(list, Sum(axes(&[0])), &[(&[0, 3], PLAIN)]);
    add(list, Max(axes(&[1])), &[(&[0, 3], Domain::Apart(0.5))]);
    for (shape, axis) in [(&[2, 4, 3][..], 1), (&[2, 5], 1), (&[3, 2], 0), (&[7], 0)] {
        for reverse in [false, true] {
            add(list, CumulativeSum { axis, reverse }, &[(shape, PLAIN)]);
        }
    }
}

fn contractions(list: &mut Vec<Sample>) {
    for (a, b, out, shape_a, shape_b) in [
        ("ik", "kj", "ij", &[2, 3][..], &[3, 4][..]),
        ("ki", "jk", "ji", &[3, 2], &[4, 3]),
        ("bik", "bkj", "bij", &[2, 3, 2], &[2, 2, 4]),
        ("ibk", "kjb", "jbi", &[2, 3, 4], &[4, 2, 3]),
        ("i", "j", "ji", &[3], &[4]),
        ("i", "i", "", &[5], &[5]),
        ("ij", "ij", "ij", &[2, 3], &[2, 3]),
        ("ij", "ji", "j", &[2, 3], &[3, 2]),
        ("xkyl", "lzk", "zyx", &[2, 3, 2, 2], &[2, 4, 3]),
        ("ij", "", "ji", &[2, 3], &[]),
        ("bij", "j", "ib", &[2, 3, 4], &[4]),
        ("ik", "kj", "ij", &[2, 0], &[0, 3]),
    ] {
        add(list, Einsum::new(a, b, out), &[(shape_a, PLAIN), (shape_b, PLAIN)]);
    }
}

fn indexed(list: &mut Vec<Sample>) {
    let below = |limit| Domain::Indices(limit, DType::I64);
    for (batch, table, index) in
        [(0, &[5, 2][..], &[3][..]), (0, &[4], &[2, 3]), (1, &[2, 4, 3], &[2, 5]), (2, &[2, 3, 2], &[2, 3, 4]), (0, &[3, 2, 2], &[])]
    {
        add(list, Gather { batch }, &[(table, PLAIN), (index, below(table[batch]))]);
    }
    add(list, Gather { batch: 0 }, &[(&[4, 3], PLAIN), (&[6], Domain::Indices(4, DType::I32))]);
    for (batch, size, updates, index) in [
        (0, 4, &[6, 2][..], &[6][..]),
        (0, 3, &[2, 4], &[2, 4]),
        (1, 3, &[2, 5, 3], &[2, 5]),
        (2, 2, &[2, 2, 3], &[2, 2, 3]),
        (0, 3, &[2, 2], &[]),
    ] {
        add(list, ScatterAdd { batch, size }, &[(updates, PLAIN), (index, below(size))]);
    }
    add(list, ScatterAdd { batch: 0, size: 5 }, &[(&[7, 2], PLAIN), (&[7], Domain::Indices(5, DType::I32))]);
    // Every place is reached: what stands at the others is infinite, and has no differences.
    for how in Combine::ALL {
        for (batch, size, updates, index) in
            [(0, 2, &[9][..], &[9][..]), (0, 2, &[4, 4], &[4, 4]), (1, 1, &[2, 5, 3], &[2, 5]), (0, 2, &[8, 17], &[8])]
        {
            add(list, ScatterReduce { batch, size, how }, &[(updates, Domain::Apart(0.5)), (index, below(size))]);
        }
        let narrow = Domain::Indices(2, DType::I32);
        add(list, ScatterReduce { batch: 0, size: 2, how }, &[(&[9, 2], Domain::Apart(0.25)), (&[9], narrow)]);
    }
    // Cells of one are ties, once they are whole numbers.
    for (shape, domain) in
        [(&[3, 7][..], Domain::Apart(0.5)), (&[9], Domain::Cells(1.0)), (&[2, 1, 4], Domain::Cells(1.0)), (&[5, 1], PLAIN)]
    {
        for descending in [false, true] {
            add(list, ArgSort { descending, first: None }, &[(shape, domain)]);
            add(list, ArgSort { descending, first: Some(shape[shape.len() - 1] / 3) }, &[(shape, domain)]);
        }
    }
}

/// A rule for the sample of [`Custom`]: the derivative of `sin(x)`, scaled by 1, 2, 3 .. along the axis.
struct Ramp;

impl CustomRule for Ramp {
    fn name(&self) -> &str {
        "ramp"
    }
    fn vjp(&self, inputs: &[Tensor], _: &Tensor, cotangent: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let ramp = Tensor::arange(inputs[0].len(), inputs[0].dtype()) + 1.0;
        Ok(vec![Some(inputs[0].cos() * ramp * cotangent)])
    }
}

/// A function for the sample of [`HostCall`]: a matrix times a vector, and the place in the result added.
struct Mix;

impl HostFunction for Mix {
    fn name(&self) -> &str {
        "mix"
    }
    fn parameters(&self) -> String {
        "places".into()
    }
    fn infer(&self, shapes: &[&[usize]]) -> Result<Shape, String> {
        match shapes {
            [[rows, columns], [len]] if columns == len => Ok([*rows].as_slice().into()),
            _ => Err(format!("{shapes:?} are not those of a matrix and a vector")),
        }
    }
    fn evaluate(&self, inputs: &[HostArray<'_, f64>], output: &mut [f64]) -> Result<(), String> {
        let columns = inputs[1].values.len();
        for (place, to) in output.iter_mut().enumerate() {
            let row = &inputs[0].values[place * columns..][..columns];
            *to = row.iter().zip(inputs[1].values).map(|(a, b)| a * b).sum::<f64>() + place as f64;
        }
        Ok(())
    }
}

/// An application of `Mix` to a batch with so many leading axes.
pub fn host_sample(batch: u32) -> HostCall {
    HostCall { function: Hosted(Arc::new(Mix)), batch }
}

fn structure(list: &mut Vec<Sample>) {
    add(list, StopGradient, &[(&[2, 3], PLAIN)]);
    add(list, host_sample(0), &[(&[3, 4], PLAIN), (&[4], PLAIN)]);
    add(list, host_sample(2), &[(&[2, 3, 4, 1], PLAIN), (&[2, 3, 1], PLAIN)]);
    add(list, Barrier, &[(&[2, 3], PLAIN), (&[4], PLAIN)]);
    add(list, Custom { rule: Arc::new(Ramp), levels: 0 }, &[(&[4], PLAIN), (&[4], PLAIN)]);
}
