//! Functions against the definition of their code, lane by lane: random code with few and many
//! values alive, every length, nothing written beside the operands.

use super::super::math::formula;
use super::super::math::real::Real;
use super::code::{Code, Comparison, Id, Op};
use super::trace::Traced;
use super::{Function, Written, available};
use std::cell::RefCell;

/// Small numbers from a seed, the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    /// Bits of a float: mostly common numbers, sometimes the ends of the range.
    fn number(&mut self) -> u32 {
        let rare = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MIN_POSITIVE, 1.0e-40, f32::MAX];
        match self.below(10) {
            0 => rare[self.below(rare.len())].to_bits(),
            _ => ((self.below(4001) as f32 - 2000.0) / 64.0).to_bits(),
        }
    }
}

/// One lane of an operation on bits; a truth is all ones or all zeros.
fn lane(op: Op, args: [u32; 3]) -> u32 {
    let [x, y, z] = args.map(f32::from_bits);
    let [a, b, c] = args;
    let truth = |holds: bool| if holds { u32::MAX } else { 0 };
    match op {
        Op::Constant(bits) => bits,
        Op::Add => (x + y).to_bits(),
        Op::Subtract => (x - y).to_bits(),
        Op::Multiply => (x * y).to_bits(),
        Op::Divide => (x / y).to_bits(),
        Op::MultiplyAdd => x.mul_add(y, z).to_bits(),
        Op::NegativeMultiplyAdd => (-x).mul_add(y, z).to_bits(),
        Op::Sqrt => x.sqrt().to_bits(),
        Op::Floor => x.floor().to_bits(),
        Op::And => a & b,
        Op::Or => a | b,
        Op::Xor => a ^ b,
        Op::Plus => a.wrapping_add(b),
        Op::Minus => a.wrapping_sub(b),
        Op::Up(by) => a << by,
        Op::Down(by) => (a as i32 >> by) as u32,
        Op::Nearest => (a as i32 as f32).to_bits(),
        Op::Compare(Comparison::Equal) => truth(x == y),
        Op::Compare(Comparison::Less) => truth(x < y),
        Op::Compare(Comparison::NotEqual) => truth(x != y),
        Op::Greater => truth(a as i32 > b as i32),
        Op::Smaller => {
            if x < y {
                a
            } else {
                b
            }
        }
        Op::Larger => {
            if x > y {
                a
            } else {
                b
            }
        }
        Op::Choose => {
            if a >> 31 == 1 {
                b
            } else {
                c
            }
        }
        Op::Load(_) | Op::LoadSingle(_) | Op::LoadTruth(_) | Op::Store(_) | Op::StoreTruth(_) | Op::Report => unreachable!("memory"),
    }
}

/// What a code reads and writes: floats from operands 0 and 1, one float from 2, truths from 3;
/// floats to 4 and 5, truths to 6.
struct Memory {
    floats: [Vec<u32>; 2],
    single: u32,
    truths: Vec<u8>,
}

/// Random code of `count` operations that reads from as far back as `reach`.
fn code(dice: &mut Dice, count: usize, reach: usize) -> Code {
    let mut code = Code::default();
    let mut floats: Vec<Id> = vec![
        code.push(Op::Load(0), &[]),
        code.push(Op::Load(1), &[]),
        code.push(Op::LoadSingle(2), &[]),
        code.push(Op::Constant(0x3fc0_0000), &[]),
    ];
    let mut truths: Vec<Id> = vec![code.push(Op::LoadTruth(3), &[])];
    // Which NaN a float operation gives is left open, so integers are made of integers only.
    let mut bits: Vec<Id> = floats.clone();
    for _ in 0..count {
        let mut pick = |from: &[Id]| from[from.len() - 1 - dice.below(from.len().min(reach))];
        let (x, y, z, t) = (pick(&floats), pick(&floats), pick(&floats), pick(&truths));
        let (i, j) = (pick(&bits), pick(&bits));
        let float = match dice.below(24) {
            0 => code.push(Op::Constant(dice.number()), &[]),
            1 => code.push(Op::Subtract, &[x, y]),
            2 => code.push(Op::Divide, &[x, y]),
            3..=5 => code.push(Op::MultiplyAdd, &[x, y, z]),
            6 => code.push(Op::NegativeMultiplyAdd, &[x, y, z]),
            7 => code.push(Op::Sqrt, &[x]),
            8 => code.push(Op::Floor, &[x]),
            9 => code.push(Op::Choose, &[t, x, y]),
            10 => code.push(Op::And, &[x, t]),
            11 => code.push(Op::Xor, &[i, j]),
            12 => code.push(Op::Plus, &[i, j]),
            13 => code.push(Op::Minus, &[i, j]),
            14 => code.push(Op::Up(3), &[i]),
            15 => code.push(Op::Down(5), &[i]),
            16 => code.push(Op::Nearest, &[i]),
            17 => code.push(Op::Multiply, &[x, y]),
            18..=19 => {
                let less = code.push(Op::Compare(Comparison::Less), &[x, y]);
                truths.push(less);
                if dice.below(2) == 0 { code.push(Op::Choose, &[less, x, y]) } else { code.push(Op::Choose, &[less, y, x]) }
            }
            _ => code.push(Op::Add, &[x, y]),
        };
        floats.push(float);
        if matches!(code.list[float as usize].op, Op::Xor | Op::Plus | Op::Minus | Op::Up(_) | Op::Down(_) | Op::Nearest) {
            bits.push(float);
        }
        truths.push(match dice.below(6) {
            0 => code.push(Op::Compare(Comparison::Equal), &[x, y]),
            1 => code.push(Op::Compare(Comparison::NotEqual), &[x, y]),
            2 => code.push(Op::Greater, &[i, j]),
            3 => code.push(Op::Or, &[t, truths[0]]),
            _ => code.push(Op::Compare(Comparison::Less), &[x, y]),
        });
    }
    code.push(Op::Store(4), &[floats[floats.len() - 1]]);
    code.push(Op::Store(5), &[floats[floats.len() / 2]]);
    code.push(Op::StoreTruth(6), &[truths[truths.len() - 1]]);
    code
}

/// What the code says is in the operands that are written, at one position.
fn expected(code: &Code, memory: &Memory, at: usize) -> (u32, u32, u8) {
    let mut values: Vec<u32> = Vec::new();
    let mut written = (0, 0, 0);
    for instruction in &code.list {
        let args = instruction.args.map(|arg| values.get(arg as usize).copied().unwrap_or(0));
        values.push(match instruction.op {
            Op::Load(n) => memory.floats[n as usize][at],
            Op::LoadSingle(_) => memory.single,
            Op::LoadTruth(_) => u32::from(memory.truths[at] != 0).wrapping_neg(),
            Op::Store(4) => {
                written.0 = args[0];
                0
            }
            Op::Store(_) => {
                written.1 = args[0];
                0
            }
            Op::StoreTruth(_) => {
                written.2 = (args[0] & 1) as u8;
                0
            }
            op => lane(op, args),
        });
    }
    written
}

/// The same bits, or two NaN: which of them is left open.
fn same(a: u32, b: u32) -> bool {
    a == b || (f32::from_bits(a).is_nan() && f32::from_bits(b).is_nan())
}

/// Runs a function over rows that follow each other, `length` positions in all.
fn run(function: &Function, memory: &Memory, rows: usize, length: usize) -> (Vec<u32>, Vec<u32>, Vec<u8>, bool) {
    const UNTOUCHED: u32 = 0xdead_beef;
    // Bytes are read and written eight at a time whatever the mask: there is room for them.
    let (room, cols) = (length + 8, length / rows);
    let (mut first, mut second, mut truths) = (vec![UNTOUCHED; length + 1], vec![UNTOUCHED; length + 1], vec![7_u8; room]);
    let mut flags = memory.truths.clone();
    flags.resize(room, 0);
    let floats = |n: usize| memory.floats[n].as_ptr().cast_mut().cast::<u8>();
    let down = |bytes: usize| std::ptr::without_provenance_mut::<u8>(bytes * cols);
    let mut table: [*mut u8; 14] = [
        floats(0),
        floats(1),
        (&raw const memory.single).cast_mut().cast(),
        flags.as_mut_ptr(),
        first.as_mut_ptr().cast(),
        second.as_mut_ptr().cast(),
        truths.as_mut_ptr(),
        down(4),
        down(4),
        down(0),
        down(1),
        down(4),
        down(4),
        down(1),
    ];
    // SAFETY: all operands are as long as the positions, those of bytes longer.
    let reported = unsafe { function.run(table.as_mut_ptr(), rows, cols) };
    assert_eq!((first.pop(), second.pop()), (Some(UNTOUCHED), Some(UNTOUCHED)), "written beyond the end");
    truths.truncate(length);
    (first, second, truths, reported)
}

#[test]
fn functions_do_what_their_code_says() {
    if !available() {
        return;
    }
    let lengths = [1, 2, 7, 8, 9, 15, 16, 17, 24, 31, 33, 40, 63, 100];
    for seed in 0..300 {
        let mut dice = Dice(seed);
        // Values from far back are many that are alive at once: some wait on the stack.
        let (count, reach) = ([3, 10, 40, 120, 900][dice.below(5)], [2, 6, 20, 60, 900][dice.below(5)]);
        let code = code(&mut dice, count, reach);
        let mut written = Written::new();
        let function = written.add(&code, 7).expect("a machine that runs functions");
        assert!(written.place(), "pages that run");
        let (rows, cols) = ([1, 1, 2, 5][dice.below(4)], lengths[dice.below(lengths.len())]);
        let length = rows * cols;
        let mut numbers = || (0..length).map(|_| dice.number()).collect::<Vec<_>>();
        let floats = [numbers(), numbers()];
        let memory = Memory { floats, single: dice.number(), truths: (0..length).map(|_| dice.below(3) as u8).collect() };
        let (first, second, truths, _) = run(&function, &memory, rows, length);
        for at in 0..length {
            let (a, b, c) = expected(&code, &memory, at);
            let right = same(first[at], a) && same(second[at], b) && truths[at] == c;
            let found = (first[at], second[at], truths[at]);
            assert!(right, "seed {seed}, {count} operations, position {at} of {length}: {found:x?}, not {:x?}", (a, b, c));
        }
    }
}

#[test]
fn a_nan_that_is_told_from_a_number_is_told_alike() {
    // Integer work on the bits of a NaN depends on which NaN it is; formulas do none.
    let mut code = Code::default();
    let x = code.push(Op::Load(0), &[]);
    let test = code.push(Op::Compare(Comparison::NotEqual), &[x, x]);
    let one = code.push(Op::Constant(1.0_f32.to_bits()), &[]);
    let chosen = code.push(Op::Choose, &[test, one, x]);
    code.push(Op::Store(4), &[chosen]);
    if !available() {
        return;
    }
    let mut written = Written::new();
    let function = written.add(&code, 7).expect("a machine that runs functions");
    assert!(written.place(), "pages that run");
    let memory = Memory { floats: [vec![f32::NAN.to_bits(), 2.0_f32.to_bits(), 0], vec![0; 3]], single: 0, truths: vec![0; 3] };
    assert_eq!(run(&function, &memory, 1, 3).0, [1.0_f32.to_bits(), 2.0_f32.to_bits(), 0]);
}

#[test]
fn equal_instructions_are_written_once_and_dead_ones_not_at_all() {
    let mut code = Code::default();
    let x = code.push(Op::Load(0), &[]);
    let (a, b) = (code.push(Op::Add, &[x, x]), code.push(Op::Add, &[x, x]));
    assert_eq!(a, b);
    code.push(Op::Sqrt, &[x]);
    code.push(Op::Store(1), &[a]);
    let list = code.without_dead();
    assert_eq!(list.iter().map(|i| i.op).collect::<Vec<_>>(), [Op::Load(0), Op::Add, Op::Store(1)]);
}

#[test]
fn a_choice_of_the_compared_is_one_instruction() {
    let mut code = Code::default();
    let (x, y) = (code.push(Op::Load(0), &[]), code.push(Op::Load(1), &[]));
    let less = code.push(Op::Compare(Comparison::Less), &[x, y]);
    let (smaller, larger) = (code.push(Op::Choose, &[less, x, y]), code.push(Op::Choose, &[less, y, x]));
    let made = [smaller, larger].map(|id| (code.list[id as usize].op, code.list[id as usize].args));
    assert_eq!(made, [(Op::Smaller, [x, y, 0]), (Op::Larger, [y, x, 0])]);
}

#[test]
fn opposite_arguments_are_of_one_size() {
    let code = RefCell::new(Code::default());
    let x = Traced::new(&code, code.borrow_mut().push(Op::Load(0), &[]));
    assert_eq!((-x).abs().id, x.abs().id);
    assert_eq!((-(-x).abs()).id, (-x.abs()).id);
    // Products that differ in the sign of a constant, on whichever side of either it stands.
    for (first, second) in [(x * x.of(1.5), x * x.of(-1.5)), (x.of(-2.5) * x, x * x.of(2.5))] {
        assert_eq!(second.abs().id, first.abs().id);
    }
    assert_ne!((x * x.of(3.0)).abs().id, (x * x.of(3.5)).abs().id);
}

#[test]
fn functions_that_level_off_share_their_exponential() {
    let count = |formulas: &dyn Fn(Traced<'_>) -> Vec<Id>| {
        let code = RefCell::new(Code::default());
        let x = Traced::new(&code, code.borrow_mut().push(Op::Load(0), &[]));
        for id in formulas(x) {
            code.borrow_mut().push(Op::Store(1), &[id]);
        }
        let list = code.borrow().without_dead();
        (list.iter().filter(|i| matches!(i.op, Op::Up(_))).count(), list.iter().filter(|i| i.op == Op::Divide).count())
    };
    assert_eq!(count(&|x| vec![formula::tanh(x).id, formula::sech(x).id, formula::sech(-x).id]), (1, 1));
    assert_eq!(count(&|x| vec![formula::sigmoid(x).id, formula::sigmoid(-x).id, formula::softplus(-x).id]), (1, 1));
}

#[test]
fn what_holds_at_one_position_is_reported() {
    if !available() {
        return;
    }
    let mut code = Code::default();
    let (x, limit) = (code.push(Op::Load(0), &[]), code.push(Op::Constant(9.0_f32.to_bits()), &[]));
    let beyond = code.push(Op::Compare(Comparison::Less), &[limit, x]);
    code.push(Op::Report, &[beyond]);
    code.push(Op::Store(4), &[x]);
    let mut written = Written::new();
    let function = written.add(&code, 7).expect("a machine that runs functions");
    assert!(written.place(), "pages that run");
    for length in 1..70 {
        let small = vec![1.0_f32.to_bits(); length];
        for at in [None, Some(0), Some(length / 2), Some(length - 1)] {
            let mut numbers = small.clone();
            at.iter().for_each(|&at| numbers[at] = 10.0_f32.to_bits());
            let memory = Memory { floats: [numbers, small.clone()], single: 0, truths: vec![0; length] };
            assert_eq!(run(&function, &memory, 1, length).3, at.is_some(), "{at:?} of {length}");
        }
    }
}
