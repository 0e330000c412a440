//! The slow obvious meaning of a region, for tests: every value at every point, one instruction
//! after the other, all loads before all stores.

use super::super::level::Level;
use super::super::loops::blocks::{Isa, Portable};
use super::super::loops::elements::{self as e, Number as _, Op1, Op2};
use crate::compile::kernel::{Access, Binary, Code, Extent, Lane, Number, Reduction, Region, Unary};
use crate::tensor::DType;
use crate::tensor::random::draw;

/// A number of any lane; `float` counts for float lanes, `integer` for the others.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    float: f64,
    integer: i64,
}

/// The vector functions with fused steps, one element at a time.
struct Fused;
impl Isa for Fused {
    const FMA: bool = true;
    unsafe fn read_part<T: Copy>(source: *const T, n: usize) -> [T; 16] {
        unsafe { Portable::read_part(source, n) }
    }
    unsafe fn read_part_or<T: Copy>(source: *const T, n: usize, fill: T) -> [T; 16] {
        unsafe { Portable::read_part_or(source, n, fill) }
    }
    unsafe fn write_part<T: Copy>(target: *mut T, n: usize, block: &[T; 16]) {
        unsafe { Portable::write_part(target, n, block) }
    }
}

/// What the region makes of the buffers; the first index outside, if any.
pub fn evaluate(region: &Region, buffers: &[Vec<u8>], level: Level) -> Vec<Vec<u8>> {
    let rows: usize = region.axes[..region.row_axes].iter().product();
    let cols: usize = region.axes[region.row_axes..].iter().product();
    let points = rows * cols;
    let index = |point: usize, axis: usize| {
        let inner: usize = region.axes[axis + 1..].iter().product();
        point / inner % region.axes[axis]
    };
    let offset = |access: &Access, point: usize, axes: usize| {
        let moved = (0..axes).map(|axis| index(point, axis) as isize * access.strides[axis]).sum::<isize>();
        access.offset + moved
    };
    let mut out = buffers.to_vec();
    if points == 0 {
        return out;
    }
    let mut values: Vec<Vec<Cell>> = Vec::new();
    for instruction in &region.code {
        let lane = instruction.lane;
        let row = instruction.extent == Extent::Row;
        // A Row value is kept at every point of its row.
        let axes = if row { region.row_axes } else { region.axes.len() };
        let at = |v: &u32, point: usize| values[*v as usize][point];
        let lane_of = |v: &u32| region.code[*v as usize].lane;
        let mut result = vec![Cell::default(); points];
        for (point, result) in result.iter_mut().enumerate() {
            *result = match &instruction.code {
                Code::Load(l) => {
                    let access = &region.loads[*l];
                    read(&buffers[access.buffer as usize], access.dtype, offset(access, point, axes))
                }
                Code::LoadAt { load, index, stride, limit, .. } => {
                    let access = &region.loads[*load];
                    let n = at(index, point).integer;
                    let n = if n < 0 || n as usize >= *limit { 0 } else { n };
                    let place = offset(access, point, axes) + n as isize * stride;
                    read(&buffers[access.buffer as usize], access.dtype, place)
                }
                Code::Constant(Number::Float(x)) => cell(*x, *x as i64, lane),
                Code::Constant(Number::Integer(n)) => cell(*n as f64, *n, lane),
                Code::Coordinate(axis) => cell(index(point, *axis) as f64, index(point, *axis) as i64, lane),
                Code::Random { key, bits, offset: first, strides } => {
                    let access = &region.loads[*key];
                    let key = read(&buffers[access.buffer as usize], DType::I64, offset(access, point, axes));
                    let n = (0..axes).map(|a| index(point, a) as i64 * strides[a]).sum::<i64>() + first;
                    cell(0.0, draw(key.integer, n as u64, *bits), lane)
                }
                Code::Unary(op, a) => unary(*op, lane_of(a), at(a, point), level),
                Code::Binary(op, a, b) => binary(*op, lane_of(a), at(a, point), at(b, point), level),
                Code::Select(c, a, b) => {
                    if at(c, point).integer != 0 {
                        at(a, point)
                    } else {
                        at(b, point)
                    }
                }
                Code::Cast(a) => cast(lane_of(a), lane, at(a, point)),
                Code::Expand(a) | Code::Store(_, a) | Code::Accumulate(_, _, a) => at(a, point),
                Code::Reduce(reduction, a) => {
                    let first = point / cols * cols;
                    reduce(*reduction, lane, (first..first + cols).map(|p| at(a, p)))
                }
                Code::Cumulative { value, reverse } => {
                    let first = point / cols * cols;
                    let range = if *reverse { point..first + cols } else { first..point + 1 };
                    reduce(Reduction::Sum, lane, range.map(|p| at(value, p)))
                }
            };
        }
        match &instruction.code {
            Code::Store(store, _) => {
                let access = &region.stores[*store];
                for (point, &value) in result.iter().enumerate() {
                    write(&mut out[access.buffer as usize], access.dtype, offset(access, point, axes), value);
                }
            }
            Code::Accumulate(store, reduction, a) => {
                let access = &region.stores[*store];
                let unit_rows = region.unit_rows.unwrap_or(rows);
                for unit in 0..rows.div_ceil(unit_rows) {
                    for col in 0..cols {
                        let range = unit * unit_rows..((unit + 1) * unit_rows).min(rows);
                        let total = reduce(*reduction, lane, range.map(|r| at(a, r * cols + col)));
                        let mut place = access.offset + unit as isize * access.strides[0];
                        for axis in region.row_axes..region.axes.len() {
                            place += index(col, axis) as isize * access.strides[1 + axis - region.row_axes];
                        }
                        write(&mut out[access.buffer as usize], access.dtype, place, total);
                    }
                }
            }
            _ => {}
        }
        values.push(result);
    }
    out
}

fn cell(float: f64, integer: i64, lane: Lane) -> Cell {
    match lane {
        Lane::F32 => Cell { float: float as f32 as f64, integer: 0 },
        Lane::F64 => Cell { float, integer: 0 },
        Lane::I32 => Cell { float: 0.0, integer: integer as i32 as i64 },
        Lane::I64 => Cell { float: 0.0, integer },
        Lane::U8 => Cell { float: 0.0, integer: integer as u8 as i64 },
    }
}

fn reduce(reduction: Reduction, lane: Lane, items: impl Iterator<Item = Cell>) -> Cell {
    let (mut float, mut integer) = (0.0, 0i64);
    let (mut most, mut most_integer) = (f64::NEG_INFINITY, if lane == Lane::U8 { 0 } else { i64::MIN });
    for item in items {
        float += item.float;
        integer = integer.wrapping_add(item.integer);
        most = if item.float > most || item.float.is_nan() { item.float } else { most };
        most_integer = most_integer.max(item.integer);
    }
    match reduction {
        Reduction::Sum => cell(float, integer, lane),
        Reduction::Maximum => cell(most, most_integer, lane),
    }
}

fn cast(from: Lane, to: Lane, a: Cell) -> Cell {
    match from {
        Lane::F32 | Lane::F64 => match to {
            Lane::I32 => cell(0.0, (a.float as i32) as i64, to),
            Lane::U8 => cell(0.0, (a.float as u8) as i64, to),
            _ => cell(a.float, a.float as i64, to),
        },
        // Straight to f32: by way of f64 a large integer would be rounded twice.
        _ if to == Lane::F32 => cell((a.integer as f32) as f64, 0, to),
        _ => cell(a.integer as f64, a.integer, to),
    }
}

fn unary(op: Unary, lane: Lane, a: Cell, level: Level) -> Cell {
    macro_rules! function {
        ($($name:ident)*) => {
            match (op, lane) {
                $((Unary::$name, Lane::F32) if level.fuses() =>
                    cell(e::$name::<f32>::apply::<Fused>(a.float as f32) as f64, 0, lane),
                (Unary::$name, Lane::F32) =>
                    cell(e::$name::<f32>::apply::<Portable>(a.float as f32) as f64, 0, lane),
                (Unary::$name, Lane::F64) if level.fuses() =>
                    cell(e::$name::<f64>::apply::<Fused>(a.float), 0, lane),
                (Unary::$name, Lane::F64) =>
                    cell(e::$name::<f64>::apply::<Portable>(a.float), 0, lane),)*
                (Unary::Negate, _) => cell(-a.float, a.integer.wrapping_neg(), lane),
                (Unary::Sqrt, _) => cell(a.float.sqrt(), 0, lane),
                (Unary::Floor, _) => cell(a.float.floor(), a.integer, lane),
                (Unary::Not, _) => cell(0.0, (a.integer == 0) as i64, lane),
                (Unary::RoundBf16, _) => cell(half::bf16::from_f32(a.float as f32).to_f64(), 0, lane),
                (Unary::RoundF16, _) => cell(half::f16::from_f32(a.float as f32).to_f64(), 0, lane),
                _ => panic!("{op:?} of {lane:?}"),
            }
        };
    }
    if matches!(op, Unary::Sin | Unary::Cos) {
        return angle(op, lane, a.float, level.fuses());
    }
    function!(Exp Log Log1p Expm1 Tanh Sech Sigmoid Softplus Erf Atan)
}

/// Sine and cosine, whose loops have a second formula far from zero.
fn angle(op: Unary, lane: Lane, x: f64, fuses: bool) -> Cell {
    use super::super::math::{double, single};
    let y = x as f32;
    let result = match (op, lane, fuses) {
        (Unary::Sin, Lane::F32, true) => single::sin::<true>(y) as f64,
        (Unary::Sin, Lane::F32, false) => single::sin::<false>(y) as f64,
        (_, Lane::F32, true) => single::cos::<true>(y) as f64,
        (_, Lane::F32, false) => single::cos::<false>(y) as f64,
        (Unary::Sin, _, true) => double::sin::<true>(x),
        (Unary::Sin, _, false) => double::sin::<false>(x),
        (_, _, true) => double::cos::<true>(x),
        (_, _, false) => double::cos::<false>(x),
    };
    cell(result, 0, lane)
}

fn binary(op: Binary, lane: Lane, a: Cell, b: Cell, level: Level) -> Cell {
    match lane {
        Lane::F32 => {
            let (x, y) = (a.float as f32, b.float as f32);
            if op == Binary::Power {
                let fused = e::Power::<f32>::apply::<Fused>(x, y);
                let plain = e::Power::<f32>::apply::<Portable>(x, y);
                return cell(if level.fuses() { fused } else { plain } as f64, 0, lane);
            }
            let result = match op {
                Binary::Add => x + y,
                Binary::Subtract => x - y,
                Binary::Multiply => x * y,
                Binary::Divide => x / y,
                Binary::Remainder => x - y * (x / y).floor(),
                _ => return floats(op, lane, a.float, b.float),
            };
            cell(result as f64, 0, lane)
        }
        Lane::F64 if op == Binary::Power => {
            let fused = e::Power::<f64>::apply::<Fused>(a.float, b.float);
            let plain = e::Power::<f64>::apply::<Portable>(a.float, b.float);
            cell(if level.fuses() { fused } else { plain }, 0, lane)
        }
        Lane::F64 => floats(op, lane, a.float, b.float),
        _ => {
            let (x, y) = (a.integer, b.integer);
            let result = match op {
                Binary::Add => x.wrapping_add(y),
                Binary::Subtract => x.wrapping_sub(y),
                Binary::Multiply => x.wrapping_mul(y),
                Binary::Divide => x.checked_div(y).unwrap_or(if y == 0 { 0 } else { x }),
                Binary::Remainder if y == 0 || y == -1 => 0,
                Binary::Remainder => {
                    let floor = x.div_euclid(y) - (y < 0 && x.rem_euclid(y) != 0) as i64;
                    x.wrapping_sub(y.wrapping_mul(floor))
                }
                Binary::Power => match lane {
                    Lane::I32 => i32::power::<Portable>(x as i32, y as i32) as i64,
                    Lane::I64 => i64::power::<Portable>(x, y),
                    _ => u8::power::<Portable>(x as u8, y as u8) as i64,
                },
                Binary::Scale => x.wrapping_mul(y),
                Binary::Minimum => x.min(y),
                Binary::Maximum => x.max(y),
                Binary::Less => return cell(0.0, (x < y) as i64, Lane::U8),
                Binary::Equal => return cell(0.0, (x == y) as i64, Lane::U8),
                Binary::And => x & y,
                Binary::Or => x | y,
                Binary::ShiftLeft => match u32::try_from(y) {
                    Ok(by) if by < 8 * lane.bytes() as u32 => x << by,
                    _ => 0,
                },
                Binary::ShiftRight => x >> if (0..64).contains(&y) { y } else { 63 },
            };
            cell(0.0, result, lane)
        }
    }
}

fn floats(op: Binary, lane: Lane, x: f64, y: f64) -> Cell {
    let result = match op {
        Binary::Add => x + y,
        Binary::Subtract => x - y,
        Binary::Multiply => x * y,
        Binary::Divide => x / y,
        Binary::Remainder => x - y * (x / y).floor(),
        Binary::Scale => {
            if x == 0.0 {
                0.0
            } else {
                x * y
            }
        }
        Binary::Minimum => {
            if x < y || x.is_nan() {
                x
            } else {
                y
            }
        }
        Binary::Maximum => {
            if x > y || x.is_nan() {
                x
            } else {
                y
            }
        }
        Binary::Less => return cell(0.0, (x < y) as i64, Lane::U8),
        Binary::Equal => return cell(0.0, (x == y) as i64, Lane::U8),
        _ => panic!("{op:?} of {lane:?}"),
    };
    cell(result, 0, lane)
}

fn read(buffer: &[u8], dtype: DType, element: isize) -> Cell {
    let size = dtype.bytes();
    let bytes = &buffer[element as usize * size..][..size];
    let float = |x: f64| Cell { float: x, integer: 0 };
    let integer = |n: i64| Cell { float: 0.0, integer: n };
    match dtype {
        DType::F32 => float(f32::from_ne_bytes(bytes.try_into().unwrap()) as f64),
        DType::F64 => float(f64::from_ne_bytes(bytes.try_into().unwrap())),
        DType::BF16 => float(half::bf16::from_ne_bytes(bytes.try_into().unwrap()).to_f64()),
        DType::F16 => float(half::f16::from_ne_bytes(bytes.try_into().unwrap()).to_f64()),
        DType::I64 => integer(i64::from_ne_bytes(bytes.try_into().unwrap())),
        DType::I32 => integer(i32::from_ne_bytes(bytes.try_into().unwrap()) as i64),
        DType::U8 | DType::Bool => integer(bytes[0] as i64),
    }
}

fn write(buffer: &mut [u8], dtype: DType, element: isize, value: Cell) {
    let size = dtype.bytes();
    let bytes = &mut buffer[element as usize * size..][..size];
    match dtype {
        DType::F32 => bytes.copy_from_slice(&(value.float as f32).to_ne_bytes()),
        DType::F64 => bytes.copy_from_slice(&value.float.to_ne_bytes()),
        DType::BF16 => bytes.copy_from_slice(&half::bf16::from_f32(value.float as f32).to_ne_bytes()),
        DType::F16 => bytes.copy_from_slice(&half::f16::from_f32(value.float as f32).to_ne_bytes()),
        DType::I64 => bytes.copy_from_slice(&value.integer.to_ne_bytes()),
        DType::I32 => bytes.copy_from_slice(&(value.integer as i32).to_ne_bytes()),
        DType::U8 | DType::Bool => bytes[0] = value.integer as u8,
    }
}

/// Whether two buffers hold the same numbers; NaN equals NaN, and the zeros are equal.
pub fn same(dtype: DType, a: &[u8], b: &[u8]) -> bool {
    (0..a.len() / dtype.bytes()).all(|i| {
        let (x, y) = (read(a, dtype, i as isize), read(b, dtype, i as isize));
        x.integer == y.integer && (x.float == y.float || (x.float.is_nan() && y.float.is_nan()))
    })
}
