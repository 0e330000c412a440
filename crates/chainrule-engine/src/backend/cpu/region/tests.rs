//! Random regions against the oracle, in every order of units and at every level.

use super::draft::{Dice, Draft};
use crate::compile::kernel::{Access, Axes, Binary, Code, Extent, Lane, Number, Reduction, Unary};
use crate::tensor::DType;

const LANES: [Lane; 5] = [Lane::F32, Lane::F32, Lane::F64, Lane::I64, Lane::I32];
const SIZES: [usize; 13] = [0, 1, 7, 8, 9, 15, 16, 17, 31, 33, 130, 3, 2];

/// A random region; `rows_too` allows code that is tied to rows.
fn random_region(dice: &mut Dice, rows_too: bool) -> Draft {
    let axes = 1 + dice.roll(4);
    let mut sizes: Vec<usize> = Vec::new();
    for _ in 0..axes {
        let points: usize = sizes.iter().product();
        let size = dice.pick(&SIZES);
        let size = if size == 0 && dice.roll(10) != 0 { 5 } else { size };
        sizes.push(if points * size > 6_000 { 2 } else { size });
    }
    if dice.roll(30) == 0 {
        sizes.clear();
    }
    let row_axes = dice.roll(sizes.len() + 1);
    let mut draft = Draft::new(&sizes, row_axes);
    for _ in 0..1 + dice.roll(4) {
        load(&mut draft, dice);
    }
    for _ in 0..dice.roll(14) {
        instruction(&mut draft, dice, rows_too);
    }
    for _ in 0..1 + dice.roll(3) {
        store(&mut draft, dice, rows_too);
    }
    if rows_too && dice.roll(2) == 0 {
        accumulate(&mut draft, dice);
    }
    draft
}

fn load(draft: &mut Draft, dice: &mut Dice) {
    let sizes = draft.region.axes.to_vec();
    let dtype = dice.pick(&[
        DType::F32,
        DType::F32,
        DType::F32,
        DType::F64,
        DType::BF16,
        DType::F16,
        DType::I64,
        DType::I32,
        DType::U8,
        DType::Bool,
    ]);
    let mut strides = draft.strides(dice, &sizes);
    if dice.roll(2) == 0 {
        let mask = dice.roll(1 << sizes.len());
        for (axis, stride) in strides.iter_mut().enumerate() {
            if mask >> axis & 1 == 1 {
                *stride = 0;
            }
        }
    }
    let access = draft.access(dice, dtype, &strides, &sizes);
    draft.region.loads.push(access);
    let extent = if dice.roll(5) == 0 { Extent::Row } else { Extent::Full };
    draft.push(Code::Load(draft.region.loads.len() - 1), Lane::of(dtype), extent);
}

/// A value of the lane and extent, made from what there is if need be.
fn value(draft: &mut Draft, dice: &mut Dice, lane: Lane, extent: Extent) -> u32 {
    let fits = |draft: &Draft, v: u32| {
        let code = &draft.region.code[v as usize].code;
        !matches!(code, Code::Store(..) | Code::Accumulate(..)) && (draft.extent(v) == extent || draft.extent(v) == Extent::Row)
    };
    let all: Vec<u32> = (0..draft.region.code.len() as u32).filter(|&v| fits(draft, v)).collect();
    if all.is_empty() || dice.roll(8) == 0 {
        let number = match lane {
            Lane::F32 | Lane::F64 => Number::Float(dice.pick(&[0.5, -1.25, 3.0, 0.0])),
            _ => Number::Integer(dice.pick(&[0, 1, 2, 5])),
        };
        return draft.push(Code::Constant(number), lane, extent);
    }
    let mut chosen = all[dice.roll(all.len())];
    if draft.extent(chosen) != extent {
        chosen = draft.push(Code::Expand(chosen), draft.lane(chosen), extent);
    }
    if draft.lane(chosen) != lane {
        chosen = draft.push(Code::Cast(chosen), lane, extent);
    }
    chosen
}

fn instruction(draft: &mut Draft, dice: &mut Dice, rows_too: bool) {
    let extent = if dice.roll(4) == 0 { Extent::Row } else { Extent::Full };
    let lane = dice.pick(&LANES);
    let float = matches!(lane, Lane::F32 | Lane::F64);
    let axes = draft.region.axes.clone();
    match dice.roll(if rows_too { 14 } else { 11 }) {
        0..=1 => {
            let a = value(draft, dice, lane, extent);
            use Unary::*;
            let functions = [Exp, Log, Log1p, Expm1, Sqrt, Sin, Cos, Tanh, Sech, Sigmoid, Softplus, Erf, Atan, Floor, Negate];
            let op = if float { dice.pick(&functions) } else { Negate };
            draft.push(Code::Unary(op, a), lane, extent);
        }
        2..=5 => {
            use Binary::*;
            let ops = [Add, Subtract, Multiply, Divide, Power, Minimum, Maximum, Remainder, Scale, Less, Equal];
            // Of integers the same, and what goes by bits.
            let op = if float || dice.roll(3) > 0 { dice.pick(&ops) } else { dice.pick(&[And, Or, ShiftLeft, ShiftRight]) };
            let (a, b) = (value(draft, dice, lane, extent), value(draft, dice, lane, extent));
            let result = if matches!(op, Less | Equal) { Lane::U8 } else { lane };
            draft.push(Code::Binary(op, a, b), result, extent);
        }
        6 => {
            let bit = |draft: &mut Draft, dice: &mut Dice| {
                let (a, b) = (value(draft, dice, lane, extent), value(draft, dice, lane, extent));
                draft.push(Code::Binary(Binary::Less, a, b), Lane::U8, extent)
            };
            let (a, b) = (bit(draft, dice), bit(draft, dice));
            let op = dice.pick(&[Binary::And, Binary::Or]);
            let both = draft.push(Code::Binary(op, a, b), Lane::U8, extent);
            draft.push(Code::Unary(Unary::Not, both), Lane::U8, extent);
        }
        7 => {
            let c = value(draft, dice, Lane::U8, extent);
            let (a, b) = (value(draft, dice, lane, extent), value(draft, dice, lane, extent));
            draft.push(Code::Select(c, a, b), lane, extent);
        }
        8 => {
            let a = value(draft, dice, Lane::F32, extent);
            let op = dice.pick(&[Unary::RoundBf16, Unary::RoundF16]);
            draft.push(Code::Unary(op, a), Lane::F32, extent);
        }
        9 => {
            let most = if extent == Extent::Row { draft.region.row_axes } else { axes.len() };
            if most > 0 {
                draft.push(Code::Coordinate(dice.roll(most)), lane, extent);
            }
        }
        10 => {
            let key = draft.access(dice, DType::I64, &vec![0; axes.len()], &axes);
            draft.region.loads.push(key);
            let strides: Axes<i64> = draft.strides(dice, &axes).iter().map(|&s| s as i64).collect();
            let bits = dice.pick(&[1, 24, 31, 32, 53, 64]);
            let code = Code::Random { key: draft.region.loads.len() - 1, bits, offset: 1_000_000, strides: Box::new(strides) };
            draft.push(code, if bits <= 31 { Lane::I32 } else { Lane::I64 }, extent);
        }
        11 => {
            let a = tame(draft, dice, lane);
            let reduction = dice.pick(&[Reduction::Sum, Reduction::Maximum]);
            draft.push(Code::Reduce(reduction, a), lane, Extent::Row);
            positive_zero(draft, lane, Extent::Row);
        }
        12 => {
            let value = tame(draft, dice, lane);
            draft.push(Code::Cumulative { value, reverse: dice.roll(2) == 0 }, lane, Extent::Full);
            positive_zero(draft, lane, Extent::Full);
        }
        _ => load_at(draft, dice, extent),
    }
}

/// Whole numbers of at most 50, so that sums are exact in any order.
fn tame(draft: &mut Draft, dice: &mut Dice, lane: Lane) -> u32 {
    let a = value(draft, dice, lane, Extent::Full);
    let limit = |draft: &mut Draft, n: i64| {
        let float = matches!(lane, Lane::F32 | Lane::F64);
        let number = if float { Number::Float(n as f64) } else { Number::Integer(n) };
        draft.push(Code::Constant(number), lane, Extent::Full)
    };
    let (low, high) = (limit(draft, -50), limit(draft, 50));
    let a = draft.push(Code::Binary(Binary::Maximum, a, low), lane, Extent::Full);
    let a = draft.push(Code::Binary(Binary::Minimum, a, high), lane, Extent::Full);
    match lane {
        Lane::F32 | Lane::F64 => draft.push(Code::Unary(Unary::Floor, a), lane, Extent::Full),
        _ => a,
    }
}

/// Adds zero, as the sign of a zero sum depends on the order.
fn positive_zero(draft: &mut Draft, lane: Lane, extent: Extent) -> u32 {
    let last = draft.region.code.len() as u32 - 1;
    let number = match lane {
        Lane::F32 | Lane::F64 => Number::Float(0.0),
        _ => Number::Integer(0),
    };
    let zero = draft.push(Code::Constant(number), lane, extent);
    draft.push(Code::Binary(Binary::Add, last, zero), lane, extent)
}

fn load_at(draft: &mut Draft, dice: &mut Dice, extent: Extent) {
    let limit = 1 + dice.roll(9);
    let axes = draft.region.axes.to_vec();
    let lane = dice.pick(&[Lane::I64, Lane::I32]);
    let index_extent = if extent == Extent::Row || dice.roll(2) == 0 { Extent::Row } else { Extent::Full };
    let index = value(draft, dice, lane, index_extent);
    let mut sizes = axes.clone();
    sizes.push(limit);
    let mut strides = draft.strides(dice, &sizes);
    if dice.roll(2) == 0 && !axes.is_empty() {
        strides[dice.roll(axes.len())] = 0;
    }
    let dtype = dice.pick(&[DType::F32, DType::BF16, DType::I64, DType::U8]);
    let mut access = draft.access(dice, dtype, &strides, &sizes);
    let stride = access.strides.pop().unwrap();
    draft.region.loads.push(access);
    let code = Code::LoadAt { load: draft.region.loads.len() - 1, index, stride, limit, site: 3 };
    draft.push(code, Lane::of(dtype), extent);
}

fn store(draft: &mut Draft, dice: &mut Dice, rows_too: bool) {
    let sizes = draft.region.axes.to_vec();
    let row = rows_too && dice.roll(3) == 0;
    let extent = if row { Extent::Row } else { Extent::Full };
    let free: Vec<Access> = draft.region.loads.iter().filter(|l| in_place(draft, l, row)).cloned().collect();
    let access = if !free.is_empty() && dice.roll(2) == 0 {
        free[dice.roll(free.len())].clone()
    } else {
        let dtype = dice.pick(&[DType::F32, DType::F32, DType::F64, DType::BF16, DType::F16, DType::I64, DType::U8]);
        let mut sizes = sizes.clone();
        if row {
            sizes[draft.region.row_axes..].fill(1);
        }
        let strides = draft.strides(dice, &sizes);
        draft.access(dice, dtype, &strides, &sizes)
    };
    let lane = Lane::of(access.dtype);
    let a = value(draft, dice, lane, extent);
    draft.region.stores.push(access);
    draft.push(Code::Store(draft.region.stores.len() - 1, a), lane, extent);
}

/// Whether a store may go where a load reads: every point has its own element, nobody stores
/// there yet, and it is read plainly.
fn in_place(draft: &Draft, load: &Access, row: bool) -> bool {
    let region = &draft.region;
    let own = region.axes.iter().zip(&load.strides).all(|(&n, &s)| n == 1 || s != 0);
    let plain = region.code.iter().all(|i| match i.code {
        Code::Load(l) => region.loads[l].buffer != load.buffer || i.extent == Extent::Full,
        Code::LoadAt { load: l, .. } | Code::Random { key: l, .. } => region.loads[l].buffer != load.buffer,
        _ => true,
    });
    own && plain && !row && region.stores.iter().all(|store| store.buffer != load.buffer)
}

fn accumulate(draft: &mut Draft, dice: &mut Dice) {
    let rows: usize = draft.region.axes[..draft.region.row_axes].iter().product();
    let unit_rows = if dice.roll(3) == 0 { None } else { Some(1 + dice.roll(rows.max(1))) };
    draft.region.unit_rows = unit_rows;
    let units = rows.div_ceil(unit_rows.unwrap_or(rows).max(1));
    let mut sizes = vec![units];
    sizes.extend_from_slice(&draft.region.axes[draft.region.row_axes..]);
    for _ in 0..1 + dice.roll(2) {
        let dtype = dice.pick(&[DType::F32, DType::F64, DType::I64]);
        let lane = Lane::of(dtype);
        let a = tame(draft, dice, lane);
        let strides = draft.strides(dice, &sizes);
        let access = draft.access(dice, dtype, &strides, &sizes);
        draft.region.stores.push(access);
        let reduction = dice.pick(&[Reduction::Sum, Reduction::Maximum]);
        draft.push(Code::Accumulate(draft.region.stores.len() - 1, reduction, a), lane, Extent::Full);
    }
}

#[test]
fn random_regions_equal_the_oracle() {
    for seed in 0..250 {
        let mut dice = Dice(seed, 0);
        let draft = random_region(&mut dice, seed % 3 != 0);
        draft.check(&format!("seed {seed}"));
    }
}
