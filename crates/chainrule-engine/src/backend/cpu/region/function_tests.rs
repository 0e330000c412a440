//! Functions of machine code against the loops they stand for: the same bits.

use super::super::level::Level;
use super::super::machine::{Written, available, placed};
use super::CompiledRegion;
use super::draft::{Dice, Draft};
use super::plan::{Class, Home, Plan, Work};
use crate::compile::kernel::Binary::{Add, And, Divide, Equal, Less, Maximum, Minimum, Multiply, Or, Remainder, Scale, Subtract};
use crate::compile::kernel::Unary::{
    Atan, Cos, Erf, Exp, Expm1, Floor, Log, Log1p, Negate, Not, RoundBf16, RoundF16, Sech, Sigmoid, Sin, Softplus, Sqrt, Tanh,
};
use crate::compile::kernel::{Code, Extent, Lane, Number, Reduction};
use crate::tensor::DType;

/// Numbers at which functions change their ways, or end.
#[rustfmt::skip]
const SPECIAL: [f64; 36] = [
    0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.0, -1.0, 0.5, -0.3, 2.5, -2.5, 1e-3, 0.44, 0.54, 0.93,
    5.9, 20.5, -39.9, 88.8, -103.7, 709.9, -745.3, 1e-40, -1e-42, 1.2e-38, 5e-324, 1e-310, 3.4e38, 1.7e308, -1e5,
    // Between two bf16; between two f16, or the last of them and infinity, or 0 and the first, in the middle and below.
    1.003_906_25, 1.000_488_281_25, 65_520.0, 65_519.99, 2.980_232_238_769_531_3e-8, 2.98e-8,
];

/// The type in memory of a lane.
fn dtype_of(lane: Lane) -> DType {
    match lane {
        Lane::F32 => DType::F32,
        Lane::F64 => DType::F64,
        _ => DType::Bool,
    }
}

/// Bytes of each element, with one NaN for all.
fn bits(dtype: DType, buffer: &[u8]) -> Vec<u64> {
    let one_nan = |is_nan: bool, bits: u64| if is_nan { u64::MAX } else { bits };
    let bits = |bytes: &[u8]| match dtype {
        DType::F32 => {
            let x = f32::from_ne_bytes(bytes.try_into().expect("four bytes"));
            one_nan(x.is_nan(), x.to_bits().into())
        }
        DType::F64 => {
            let x = f64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
            one_nan(x.is_nan(), x.to_bits())
        }
        _ => bytes[0].into(),
    };
    buffer.chunks_exact(dtype.bytes()).map(bits).collect()
}

/// A region over `n` positions that reads two floats and a truth (values 0, 1 and 2), and writes what `code` makes of
/// them and its opposite: two steps, so that they are put in one function. Operand `k` is `number(k, position)`.
fn region(n: usize, lane: Lane, codes: &[(Code, Lane)], number: impl Fn(usize, usize) -> f64) -> (Draft, Vec<DType>) {
    let mut dice = Dice(n as i64, 0);
    let mut draft = Draft::new(&[n], 0);
    let mut dtypes = Vec::new();
    for (load, lane) in [lane, lane, Lane::U8].into_iter().enumerate() {
        let access = draft.access(&mut dice, dtype_of(lane), &[1], &[n]);
        let first = access.offset as usize;
        for at in 0..n {
            let x = number(load, at);
            match lane {
                Lane::F32 => draft.buffers[load][4 * (first + at)..][..4].copy_from_slice(&(x as f32).to_ne_bytes()),
                Lane::F64 => draft.buffers[load][8 * (first + at)..][..8].copy_from_slice(&x.to_ne_bytes()),
                _ => {}
            }
        }
        dtypes.push(dtype_of(lane));
        draft.region.loads.push(access);
        draft.push(Code::Load(load), lane, Extent::Full);
    }
    let values: Vec<(u32, Lane)> = codes.iter().map(|(code, lane)| (draft.push(code.clone(), *lane, Extent::Full), *lane)).collect();
    let Some(&(value, made)) = values.last() else { return (draft, dtypes) };
    let after = draft.push(Code::Unary(if made == Lane::U8 { Not } else { Negate }, value), made, Extent::Full);
    for (store, value) in [value, after].into_iter().enumerate() {
        let access = draft.access(&mut dice, dtype_of(made), &[1], &[n]);
        dtypes.push(dtype_of(made));
        draft.region.stores.push(access);
        draft.push(Code::Store(store, value), made, Extent::Full);
    }
    (draft, dtypes)
}

/// Runs a region with functions and without at a level.
fn check(level: Level, draft: &Draft, dtypes: &[DType], context: &str) {
    let compiled = placed(|written| CompiledRegion::at(&draft.region, level, written));
    let steps: Vec<bool> = compiled.plan.steps.iter().map(|step| matches!(step.work, Work::Fused(_))).collect();
    assert_eq!(steps, [true], "{context}: one function");
    let loops = CompiledRegion::at(&draft.region, level, &mut Written::none());
    let [found, wanted] = [&compiled, &loops].map(|compiled| draft.run_on(compiled, false).0);
    for (at, &dtype) in dtypes.iter().enumerate() {
        assert_eq!(bits(dtype, &found[at]), bits(dtype, &wanted[at]), "{context}, buffer {at}");
    }
}

/// Every operation that becomes machine code.
fn operations(lane: Lane) -> Vec<Vec<(Code, Lane)>> {
    let other = if lane == Lane::F32 { Lane::F64 } else { Lane::F32 };
    let unary = [Exp, Log, Log1p, Expm1, Sqrt, Sin, Cos, Tanh, Sech, Sigmoid, Softplus, Erf, Atan, Floor, Negate];
    let binary = [Add, Subtract, Multiply, Divide, Minimum, Maximum, Remainder, Scale];
    let less = (Code::Binary(Less, 0, 1), Lane::U8);
    let equal = (Code::Binary(Equal, 0, 1), Lane::U8);
    let rounding: &[_] = if lane == Lane::F32 { &[RoundBf16, RoundF16] } else { &[] };
    let alone =
        unary.into_iter().chain(rounding.iter().copied()).map(|op| Code::Unary(op, 0)).chain(binary.map(|op| Code::Binary(op, 0, 1)));
    let mut all: Vec<Vec<(Code, Lane)>> = alone.map(|code| vec![(code, lane)]).collect();
    all.extend([
        vec![(Code::Select(2, 0, 1), lane)],
        vec![less.clone()],
        vec![equal.clone()],
        vec![less.clone(), (Code::Select(3, 1, 0), lane)],
        vec![less.clone(), equal.clone(), (Code::Binary(And, 3, 4), Lane::U8)],
        vec![less.clone(), equal.clone(), (Code::Binary(Or, 3, 4), Lane::U8)],
        vec![(Code::Unary(Not, 2), Lane::U8)],
        vec![(Code::Cast(0), other)],
        vec![less.clone(), (Code::Cast(3), lane)],
        vec![less.clone(), (Code::Cast(3), other)],
        // Truths that were found for lanes of one size and choose, or are joined, for lanes of the other.
        vec![less.clone(), (Code::Cast(0), other), (Code::Cast(1), other), (Code::Select(3, 4, 5), other)],
        vec![less, (Code::Cast(0), other), (Code::Binary(Less, 4, 4), Lane::U8), (Code::Binary(Or, 3, 5), Lane::U8)],
    ]);
    all
}

#[test]
fn functions_give_the_bits_of_the_loops() {
    let pairs = SPECIAL.len() * SPECIAL.len();
    for level in Level::available().into_iter().filter(|level| available() && level.fuses()) {
        for lane in [Lane::F32, Lane::F64] {
            for codes in operations(lane) {
                // Sines of far arguments are not of this function.
                let near = codes.iter().any(|(code, _)| matches!(code, Code::Unary(Sin | Cos, _)));
                let held = |x: f64| if near && x.abs() > 1e5 { 3.0 } else { x };
                for n in [pairs, 1, 3, 5, 8, 13, 17, 31] {
                    let number = |operand: usize, at: usize| held(SPECIAL[at / [1, SPECIAL.len(), 1][operand] % SPECIAL.len()]);
                    let (draft, dtypes) = region(n, lane, &codes, number);
                    check(level, &draft, &dtypes, &format!("{codes:?} at {level:?}, {n} long"));
                }
            }
        }
    }
}

#[test]
fn functions_give_the_bits_of_the_loops_for_many_numbers() {
    for level in Level::available().into_iter().filter(|level| available() && level.fuses()) {
        for lane in [Lane::F32, Lane::F64] {
            for codes in operations(lane) {
                let number = |operand: usize, at: usize| {
                    let part = (at * 2 + operand) as f64 * 0.618_033_988_749_894_9 % 1.0 - 0.5;
                    part * [1.0, 8.0, 64.0, 1600.0][at % 4]
                };
                let (draft, dtypes) = region(4096, lane, &codes, number);
                check(level, &draft, &dtypes, &format!("{codes:?} at {level:?}"));
            }
        }
    }
}

/// A softmax of each row with a bias for each row, its sums, and the greatest of its elements that a truth chooses
/// if there are truths.
fn row_region(rows: usize, cols: usize, lane: Lane, with_truths: bool) -> (Draft, Vec<DType>) {
    let mut dice = Dice((rows * cols) as i64, 0);
    let mut draft = Draft::new(&[rows, cols], 1);
    let mut dtypes = Vec::new();
    let mut access = |draft: &mut Draft, lane: Lane, strides: [usize; 2]| {
        dtypes.push(dtype_of(lane));
        draft.access(&mut dice, dtype_of(lane), &strides.map(|stride| stride as isize), &[rows, cols])
    };
    for (lane, strides) in [(lane, [cols, 1]), (lane, [1, 0]), (Lane::U8, [cols + 3, 1])] {
        let load = access(&mut draft, lane, strides);
        draft.region.loads.push(load);
    }
    for strides in [[cols, 1], [1, 0], [1, 0]] {
        let store = access(&mut draft, lane, strides);
        draft.region.stores.push(store);
    }
    let (full, row) = (Extent::Full, Extent::Row);
    let mut push = |code: Code, extent: Extent| draft.push(code, lane, extent);
    let x = push(Code::Load(0), full);
    let bias = push(Code::Load(1), row);
    let bias = push(Code::Expand(bias), full);
    let moved = push(Code::Binary(Add, x, bias), full);
    let greatest = push(Code::Reduce(Reduction::Maximum, moved), row);
    let over = push(Code::Expand(greatest), full);
    let below = push(Code::Binary(Subtract, moved, over), full);
    let power = push(Code::Unary(Exp, below), full);
    let sum = push(Code::Reduce(Reduction::Sum, power), row);
    let parts = push(Code::Expand(sum), full);
    let result = push(Code::Binary(Divide, power, parts), full);
    push(Code::Store(0, result), full);
    push(Code::Store(1, sum), row);
    let chosen = match with_truths {
        true => {
            let truth = draft.push(Code::Load(2), Lane::U8, full);
            draft.push(Code::Select(truth, x, result), lane, full)
        }
        false => x,
    };
    let last = draft.push(Code::Reduce(Reduction::Maximum, chosen), lane, row);
    draft.push(Code::Store(2, last), lane, row);
    (draft, dtypes)
}

#[test]
fn rows_give_the_bits_of_the_loops() {
    for level in Level::available().into_iter().filter(|level| available() && level.fuses()) {
        for lane in [Lane::F32, Lane::F64] {
            for (cols, with_truths) in
                [2, 5, 16, 17, 63, 64, 65, 130, 512, 2048, 2049, 5000].into_iter().flat_map(|n| [(n, false), (n, true)])
            {
                for rows in [1, 3, 70] {
                    let context = format!("{rows} rows of {cols} {lane:?} at {level:?}, truths {with_truths}");
                    let (draft, dtypes) = row_region(rows, cols, lane, with_truths);
                    let compiled = placed(|written| CompiledRegion::at(&draft.region, level, written));
                    let loops = CompiledRegion::at(&draft.region, level, &mut Written::none());
                    let left = compiled.plan.steps.iter().filter(|step| matches!(step.work, Work::Rows(..))).count();
                    // Truths are read by eights where lanes are not masked, and no sum is cut for that.
                    let cut = with_truths && level < Level::Avx512 && cols % 8 != 0;
                    assert_eq!(left, usize::from(cut), "{context}: loops over rows");
                    let [found, wanted] = [&compiled, &loops].map(|compiled| draft.run_on(compiled, false).0);
                    for (at, &dtype) in dtypes.iter().enumerate() {
                        assert_eq!(bits(dtype, &found[at]), bits(dtype, &wanted[at]), "{context}, buffer {at}");
                    }
                }
            }
        }
    }
}

/// A truth that is found before a sum and chooses behind it is written as bytes meanwhile, by eights where lanes are not masked: no row is
/// cut for that, as its sum would be of the last part alone.
#[test]
fn a_truth_that_is_read_behind_a_sum_does_not_cut_it() {
    for level in Level::available().into_iter().filter(|level| available() && level.fuses()) {
        for (lane, cols) in [Lane::F32, Lane::F64].into_iter().flat_map(|lane| (1..=19).map(move |cols| (lane, cols))) {
            let (mut dice, sizes) = (Dice(31, 0), [3, cols]);
            let mut draft = Draft::new(&sizes, 1);
            let dtype = dtype_of(lane);
            let access = draft.access(&mut dice, dtype, &[cols as isize, 1], &sizes);
            draft.region.loads.push(access);
            for strides in [[1, 0], [cols as isize, 1]] {
                let access = draft.access(&mut dice, dtype, &strides, &sizes);
                draft.region.stores.push(access);
            }
            let (full, row) = (Extent::Full, Extent::Row);
            let x = draft.push(Code::Load(0), lane, full);
            let limit = draft.push(Code::Constant(Number::Float(0.25)), lane, full);
            let less = draft.push(Code::Binary(Less, x, limit), Lane::U8, full);
            let held = draft.push(Code::Select(less, limit, x), lane, full);
            let soft = draft.push(Code::Unary(Tanh, held), lane, full);
            let sum = draft.push(Code::Reduce(Reduction::Sum, soft), lane, row);
            draft.push(Code::Store(0, sum), lane, row);
            let all = draft.push(Code::Expand(sum), lane, full);
            let chosen = draft.push(Code::Select(less, all, soft), lane, full);
            let scaled = draft.push(Code::Binary(Multiply, chosen, all), lane, full);
            draft.push(Code::Store(1, scaled), lane, full);
            let compiled = placed(|written| CompiledRegion::at(&draft.region, level, written));
            let loops = CompiledRegion::at(&draft.region, level, &mut Written::none());
            let [found, wanted] = [&compiled, &loops].map(|compiled| draft.run_on(compiled, false).0);
            for at in [1, 2] {
                assert_eq!(bits(dtype, &found[at]), bits(dtype, &wanted[at]), "rows of {cols} {lane:?} at {level:?}, buffer {at}");
            }
        }
    }
}

/// Several results that replace what they are made of, as an optimizer's do, are written where they go by the function itself, however many
/// it has to read before: no copy is left.
#[test]
fn results_in_place_of_what_they_are_made_of_are_written_at_once() {
    for level in Level::available().into_iter().filter(|level| available() && level.fuses()) {
        let mut dice = Dice(19, 0);
        let sizes = [24, 64];
        let mut draft = Draft::new(&sizes, 1);
        let strides = [64, 1];
        for _ in 0..3 {
            let access = draft.access(&mut dice, DType::F32, &strides, &sizes);
            draft.region.loads.push(access);
        }
        let [a, b, c] = [0, 1, 2].map(|load| draft.push(Code::Load(load), Lane::F32, Extent::Full));
        let first = draft.push(Code::Binary(Add, a, b), Lane::F32, Extent::Full);
        let second = draft.push(Code::Binary(Multiply, b, c), Lane::F32, Extent::Full);
        let third = draft.push(Code::Binary(Subtract, c, first), Lane::F32, Extent::Full);
        // Each where another was read.
        draft.region.stores = [1, 2, 0].map(|load: usize| draft.region.loads[load].clone()).into();
        for (store, value) in [first, second, third].into_iter().enumerate() {
            draft.push(Code::Store(store, value), Lane::F32, Extent::Full);
        }
        draft.check("in place");
        let compiled = placed(|written| CompiledRegion::at(&draft.region, level, written));
        let steps: Vec<bool> = compiled.plan.steps.iter().map(|step| matches!(step.work, Work::Fused(_))).collect();
        assert_eq!(steps, [true], "{level:?}");
    }
}

/// What a truth in memory chooses is a function where masks are registers, and a loop elsewhere.
#[test]
fn a_choice_alone_is_a_function_where_masks_are_registers() {
    for level in Level::available().into_iter().filter(|level| available() && level.fuses()) {
        let mut dice = Dice(23, 0);
        let mut draft = Draft::new(&[77], 0);
        for dtype in [DType::Bool, DType::F32, DType::F32] {
            let access = draft.access(&mut dice, dtype, &[1], &[77]);
            draft.region.loads.push(access);
        }
        let test = draft.push(Code::Load(0), Lane::U8, Extent::Full);
        let [a, b] = [1, 2].map(|load| draft.push(Code::Load(load), Lane::F32, Extent::Full));
        let chosen = draft.push(Code::Select(test, a, b), Lane::F32, Extent::Full);
        let access = draft.access(&mut dice, DType::F32, &[1], &[77]);
        draft.region.stores.push(access);
        draft.push(Code::Store(0, chosen), Lane::F32, Extent::Full);
        draft.check("a choice");
        let compiled = placed(|written| CompiledRegion::at(&draft.region, level, written));
        let steps: Vec<bool> = compiled.plan.steps.iter().map(|step| matches!(step.work, Work::Fused(_))).collect();
        assert_eq!(steps, [level == Level::Avx512], "{level:?}");
    }
}

/// A difference that a sum needs first and a result behind it is not kept meanwhile, unless it would take more to make it again.
#[test]
fn what_is_cheap_is_made_again_behind_a_row() {
    let kept = |level: Level, cheap: bool, lane: Lane| {
        let mut dice = Dice(29, 0);
        let sizes = [24, 96];
        let mut draft = Draft::new(&sizes, 1);
        for strides in [[96, 1], [1, 0]] {
            let access = draft.access(&mut dice, dtype_of(lane), &strides, &sizes);
            draft.region.loads.push(access);
        }
        let access = draft.access(&mut dice, dtype_of(lane), &[96, 1], &sizes);
        draft.region.stores.push(access);
        let (full, row) = (Extent::Full, Extent::Row);
        let mut push = |code: Code, extent: Extent| draft.push(code, lane, extent);
        let x = push(Code::Load(0), full);
        let bias = push(Code::Load(1), row);
        let bias = push(Code::Expand(bias), full);
        // Of two formulas at each point one difference waits, not both.
        let x = if cheap { x } else { push(Code::Unary(Tanh, x), full) };
        let bias = if cheap { bias } else { push(Code::Unary(Sigmoid, x), full) };
        let off = push(Code::Binary(Subtract, x, bias), full);
        let square = push(Code::Binary(Multiply, off, off), full);
        let sum = push(Code::Reduce(Reduction::Sum, square), row);
        let sum = push(Code::Expand(sum), full);
        let share = push(Code::Binary(Divide, off, sum), full);
        let greatest = push(Code::Reduce(Reduction::Maximum, share), row);
        let greatest = push(Code::Expand(greatest), full);
        // Behind the second reduction once more, twice.
        let both = push(Code::Binary(Multiply, off, greatest), full);
        let both = push(Code::Binary(Add, both, off), full);
        push(Code::Store(0, both), full);
        let compiled = placed(|written| CompiledRegion::at(&draft.region, level, written));
        let loops = CompiledRegion::at(&draft.region, level, &mut Written::none());
        let [found, wanted] = [&compiled, &loops].map(|compiled| draft.run_on(compiled, false).0);
        assert_eq!(bits(dtype_of(lane), &found[2]), bits(dtype_of(lane), &wanted[2]), "{lane:?} at {level:?}");
        // Beside what is read and what is written.
        let all = Class { rows: true, cols: true };
        compiled.plan.values.iter().filter(|known| known.class == all && matches!(known.home, Home::Slot(_) | Home::View)).count() - 2
    };
    for level in Level::available().into_iter().filter(|level| available() && level.fuses()) {
        for lane in [Lane::F32, Lane::F64] {
            assert_eq!(kept(level, true, lane), 0, "{lane:?} at {level:?}");
            assert_eq!(kept(level, false, lane), 1, "{lane:?} at {level:?}, of formulas");
        }
    }
}

/// Powers that a sum needs first, and a result of them behind it: in place of what they are made of or elsewhere, laid out alike or
/// not, with or without what is made of that being read once more at last, and with or without sines of it.
fn powers_and_shares([in_place, alike, late, sines]: [bool; 4]) -> Draft {
    let mut dice = Dice(37, 0);
    let sizes = [24, 96];
    let mut draft = Draft::new(&sizes, 1);
    let load = draft.access(&mut dice, DType::F32, &[96, 1], &sizes);
    let store = draft.access(&mut dice, DType::F32, if alike { &[96, 1] } else { &[100, 1] }, &sizes);
    draft.region.stores.push(if in_place { load.clone() } else { store });
    let scales = draft.access(&mut dice, DType::F32, &[1, 0], &sizes);
    draft.region.loads = vec![load, scales];
    let (full, row) = (Extent::Full, Extent::Row);
    let mut push = |code: Code, extent: Extent| draft.push(code, Lane::F32, extent);
    let x = push(Code::Load(0), full);
    // One number for a row waits as well, not there.
    let scale = push(Code::Load(1), row);
    let scale = push(Code::Unary(Exp, scale), row);
    let power = push(Code::Unary(Exp, x), full);
    let parts = match sines {
        true => {
            let sine = push(Code::Unary(Sin, x), full);
            push(Code::Binary(Add, power, sine), full)
        }
        false => power,
    };
    let sum = push(Code::Reduce(Reduction::Sum, parts), row);
    let sum = push(Code::Expand(sum), full);
    let share = push(Code::Binary(Divide, power, sum), full);
    let scale = push(Code::Expand(scale), full);
    let share = push(Code::Binary(Multiply, share, scale), full);
    let result = if late { push(Code::Binary(Multiply, share, x), full) } else { share };
    push(Code::Store(0, result), full);
    draft
}

/// What waits for a sum waits where the result will lie, unless what lies there is read once more, or steps may have to be run one by
/// one after all, as those of far sines.
#[test]
fn what_a_function_leaves_lies_where_the_result_will() {
    let slots = |plan: &Plan| {
        let all = Class { rows: true, cols: true };
        plan.values.iter().filter(|known| known.class == all && matches!(known.home, Home::Slot(_))).count()
    };
    for level in Level::available().into_iter().filter(|level| available() && level.fuses()) {
        for case in 0..16 {
            let [in_place, alike, late, sines] = [1, 2, 4, 8].map(|bit| case & bit != 0);
            let draft = powers_and_shares([in_place, alike, late, sines]);
            let context = format!("{level:?}, in place {in_place}, laid out alike {alike}, read late {late}, sines {sines}");
            let compiled = placed(|written| CompiledRegion::at(&draft.region, level, written));
            let loops = CompiledRegion::at(&draft.region, level, &mut Written::none());
            let [found, wanted] = [&compiled, &loops].map(|compiled| draft.run_on(compiled, false).0);
            for buffer in [0, 1] {
                assert_eq!(bits(DType::F32, &found[buffer]), bits(DType::F32, &wanted[buffer]), "{context}, buffer {buffer}");
            }
            let waits_apart = late && (in_place || alike);
            if !sines {
                assert_eq!(slots(&compiled.plan), usize::from(waits_apart), "{context}");
            }
        }
    }
    // A product may lie where the result will.
    let draft = powers_and_shares([false, false, false, false]);
    let behind = placed(|written| CompiledRegion::epilogue(&draft.region, written));
    assert_eq!(slots(&behind.plan), usize::from(available()), "behind a product");
}

/// Of far values those are known whose next tile lies behind the one before, and how far: not what is near, lies apart, is one
/// number for a row, or is a tile too large to be asked for.
#[test]
fn what_goes_on_behind_a_tile_is_known() {
    for level in Level::available().into_iter().filter(|level| available() && level.fuses()) {
        for (rows, cols, lane, far) in
            [(1024, 512, Lane::F32, true), (500, 300, Lane::F64, true), (64, 512, Lane::F32, false), (3, 300_000, Lane::F32, false)]
        {
            let (draft, _) = row_region(rows, cols, lane, true);
            let plan = placed(|written| CompiledRegion::at(&draft.region, level, written)).plan;
            let beyond: Vec<u32> = plan.goes_on().map(|(_, beyond)| beyond).collect();
            let tile = (plan.shape.tile_rows * cols * lane.bytes()) as u32;
            assert!(beyond.iter().all(|&beyond| beyond == tile), "{level:?}, {rows} x {cols}: {beyond:?}, a tile is {tile}");
            // What is read, and what is written.
            assert_eq!(beyond.len(), if far { 2 } else { 0 }, "{level:?}, {rows} x {cols}");
        }
    }
}

/// What random numbers need of integers is part of the function that uses them.
#[test]
fn integers_are_compared_and_become_floats_in_functions() {
    for level in Level::available().into_iter().filter(|level| available() && level.fuses()) {
        let mut dice = Dice(31, 0);
        let n = 77;
        let mut draft = Draft::new(&[n], 0);
        for dtype in [DType::I32, DType::I32, DType::F32] {
            let access = draft.access(&mut dice, dtype, &[1], &[n]);
            draft.region.loads.push(access);
        }
        // Of both signs, near each other, and at both ends.
        for (load, shift) in [(0, 0), (1, 1)] {
            let first = 4 * draft.region.loads[load].offset as usize;
            for at in 0..n {
                let number = [i32::MIN, -1, 0, 1, i32::MAX, 1 << 24, (1 << 24) + 1, -7][(at + shift * at / 8) % 8];
                draft.buffers[load][first + 4 * at..][..4].copy_from_slice(&number.to_ne_bytes());
            }
        }
        let full = Extent::Full;
        let [a, b] = [0, 1].map(|load| draft.push(Code::Load(load), Lane::I32, full));
        let x = draft.push(Code::Load(2), Lane::F32, full);
        let less = draft.push(Code::Binary(Less, a, b), Lane::U8, full);
        let near = draft.push(Code::Cast(a), Lane::F32, full);
        let chosen = draft.push(Code::Select(less, x, near), Lane::F32, full);
        let access = draft.access(&mut dice, DType::F32, &[1], &[n]);
        draft.region.stores.push(access);
        draft.push(Code::Store(0, chosen), Lane::F32, full);
        draft.check("integers");
        let compiled = placed(|written| CompiledRegion::at(&draft.region, level, written));
        let steps: Vec<bool> = compiled.plan.steps.iter().map(|step| matches!(step.work, Work::Fused(_))).collect();
        assert_eq!(steps, [true], "{level:?}");
    }
}

/// Random words are the same where they are made in pieces because what meets them is far, and asked for meanwhile.
#[test]
fn what_random_words_meet_is_asked_for_where_it_is_far() {
    for (sizes, far) in [(vec![133_001], true), (vec![3, 45_001], true), (vec![9000], false)] {
        let mut dice = Dice(41, 0);
        let mut draft = Draft::new(&sizes, sizes.len() - 1);
        let cols = sizes[sizes.len() - 1] as isize;
        // Rows with a gap between them.
        let strides: Vec<isize> = if sizes.len() == 1 { vec![1] } else { vec![cols + 7, 1] };
        let key = draft.access(&mut dice, DType::I64, &vec![0; sizes.len()], &sizes);
        let x = draft.access(&mut dice, DType::F32, &strides, &sizes);
        let y = draft.access(&mut dice, DType::F32, &strides, &sizes);
        (draft.region.loads, draft.region.stores) = (vec![key, x], vec![y]);
        let full = Extent::Full;
        let numbers = if sizes.len() == 1 { [1].as_slice() } else { &[45_001, 1] };
        let random = Code::Random { key: 0, bits: 24, offset: 3, strides: Box::new(numbers.iter().copied().collect()) };
        let word = draft.push(random, Lane::I32, full);
        let least = draft.push(Code::Constant(Number::Integer(1 << 23)), Lane::I32, full);
        let kept = draft.push(Code::Binary(Less, word, least), Lane::U8, full);
        let x = draft.push(Code::Load(1), Lane::F32, full);
        let none = draft.push(Code::Constant(Number::Float(0.0)), Lane::F32, full);
        let chosen = draft.push(Code::Select(kept, x, none), Lane::F32, full);
        draft.push(Code::Store(0, chosen), Lane::F32, full);
        draft.check(&format!("{sizes:?}"));
        let plan = placed(|written| CompiledRegion::at(&draft.region, Level::detect(), written)).plan;
        assert_eq!(plan.awaited.len(), if far { 2 } else { 0 }, "{sizes:?}: what is read, and what is written");
    }
}
