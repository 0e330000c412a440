//! Functions against the definition of their code, lane by lane and at every level: random code with few and
//! many values alive, of lanes of either size and of both, every length, nothing written beside the operands.

use super::super::level::Level;
use super::code::{Code, Comparison, Id, Op, Size};
use super::{Function, Written, available};

mod reductions;
mod written;

/// Small numbers from a seed, the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// A float: mostly common numbers, sometimes the ends of the range.
    fn number(&mut self) -> f64 {
        match self.below(10) {
            0 => self.pick(&[0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1.2e-38, 1.0e-40, 3.4e38, 2.2e-308, 5e-324, 1.7e308]),
            _ => (self.below(4001) as f64 - 2000.0) / 64.0,
        }
    }

    fn bits(&mut self, size: Size) -> u64 {
        match size {
            Size::Four => (self.number() as f32).to_bits().into(),
            Size::Eight => self.number().to_bits(),
        }
    }
}

/// The levels that have functions.
fn levels() -> Vec<Level> {
    Level::available().into_iter().filter(|&level| available() && level >= Level::Avx2).collect()
}

/// A function of some code, placed.
fn function(code: &Code, ports: usize, level: Level) -> Function {
    let mut written = Written::new();
    let function = written.add(code, ports, level).expect("a machine that runs functions");
    assert!(written.place(), "pages that run");
    function
}

/// What floats of a size and integers of their bits do.
macro_rules! lanes {
    ($name:ident, $float:ident, $unsigned:ident, $signed:ident) => {
        /// One lane of an operation on bits; a truth is 1 or 0.
        fn $name(op: Op, args: [u64; 3]) -> u64 {
            let [a, b, c] = args.map(|bits| bits as $unsigned);
            let [x, y, z] = [a, b, c].map($float::from_bits);
            let float = |x: $float| u64::from(x.to_bits());
            let whole = |n: $unsigned| u64::from(n);
            match op {
                Op::Constant(bits) => bits,
                Op::Add => float(x + y),
                Op::Subtract => float(x - y),
                Op::Multiply => float(x * y),
                Op::Divide => float(x / y),
                Op::MultiplyAdd => float(x.mul_add(y, z)),
                Op::NegativeMultiplyAdd => float((-x).mul_add(y, z)),
                Op::Sqrt => float(x.sqrt()),
                Op::Floor => float(x.floor()),
                Op::And => whole(a & b),
                Op::Or => whole(a | b),
                Op::Xor => whole(a ^ b),
                Op::Plus => whole(a.wrapping_add(b)),
                Op::Minus => whole(a.wrapping_sub(b)),
                Op::Up(by) => whole(a << by),
                Op::Down(by) => whole(a >> by),
                Op::DownSigned(by) => whole((a as $signed >> by) as $unsigned),
                Op::Nearest => float(a as $signed as $float),
                Op::Compare(Comparison::Equal) => u64::from(x == y),
                Op::Compare(Comparison::Less) => u64::from(x < y),
                Op::Compare(Comparison::NotEqual) => u64::from(x != y),
                Op::Greater => u64::from(a as $signed > b as $signed),
                Op::Sign => u64::from((a as $signed) < 0),
                Op::Both => args[0] & args[1],
                Op::Either => args[0] | args[1],
                Op::Not => 1 - args[0],
                Op::Resize | Op::StepsOrOnce => args[0],
                Op::TimesPower => float(x * y.exp2()),
                Op::Smaller => whole(if x < y { a } else { b }),
                Op::Larger => whole(if x > y { a } else { b }),
                Op::Choose => {
                    if args[0] != 0 {
                        args[1]
                    } else {
                        args[2]
                    }
                }
                Op::Keep => {
                    if args[0] != 0 {
                        args[1]
                    } else {
                        0
                    }
                }
                Op::KeepProduct => {
                    if args[0] != 0 {
                        float(y * z)
                    } else {
                        0
                    }
                }
                Op::Widen => f64::from(f32::from_bits(args[0] as u32)).to_bits(),
                Op::Narrow => u64::from((f64::from_bits(args[0]) as f32).to_bits()),
                Op::Load(_) | Op::LoadSingle(_) | Op::LoadTruth(_) | Op::Store(_) | Op::StoreTruth(_) => unreachable!("memory"),
                Op::Ask(..) | Op::Report | Op::Reduce(..) => unreachable!("no value of a lane"),
            }
        }
    };
}
lanes!(lane_of_four, f32, u32, i32);
lanes!(lane_of_eight, f64, u64, i64);

fn lane(op: Op, size: Size, args: [u64; 3]) -> u64 {
    match size {
        Size::Four => lane_of_four(op, args),
        Size::Eight => lane_of_eight(op, args),
    }
}

/// Operands of a test's code: floats are read from two operands and from one that has a single float, truths
/// from one; two are written, truths to another, and one number for each row.
const PORTS: usize = 14;
const FOURS: [u32; 5] = [0, 1, 2, 4, 5];
const EIGHTS: [u32; 5] = [7, 8, 9, 10, 11];
const ROWS: [u32; 2] = [12, 13];
const TRUTHS: u32 = 3;
const TRUTHS_TO: u32 = 6;

fn ports(size: Size) -> [u32; 5] {
    if size == Size::Four { FOURS } else { EIGHTS }
}

/// What a code reads.
struct Memory {
    floats: [Vec<f64>; 2],
    single: f64,
    truths: Vec<u8>,
}

impl Memory {
    fn new(dice: &mut Dice, length: usize) -> Memory {
        let mut numbers = || (0..length).map(|_| dice.number()).collect::<Vec<_>>();
        let floats = [numbers(), numbers()];
        Memory { floats, single: dice.number(), truths: (0..length).map(|_| dice.pick(&[0, 1, 2, 128, 255])).collect() }
    }
}

/// What a code writes at one position: floats of four bytes, of eight, a truth.
type Results = ([u32; 2], [u64; 2], u8);

/// Values to choose from while random code is written.
struct Values {
    size: Size,
    floats: Vec<Id>,
    /// Which NaN a float operation gives is left open, so integers are made of integers only.
    bits: Vec<Id>,
    /// Truths that are more than signs.
    truths: Vec<Id>,
    /// Truths of any kind.
    signs: Vec<Id>,
}

impl Values {
    fn new(code: &mut Code, size: Size) -> Values {
        let [first, second, single, ..] = ports(size);
        let half = if size == Size::Four { 1.5_f32.to_bits().into() } else { 1.5_f64.to_bits() };
        let mut push = |op| code.push(op, size, &[]);
        let floats = vec![push(Op::Load(first)), push(Op::Load(second)), push(Op::LoadSingle(single)), push(Op::Constant(half))];
        let truths = vec![push(Op::LoadTruth(TRUTHS))];
        Values { size, bits: floats.clone(), signs: truths.clone(), truths, floats }
    }

    /// Adds an instruction or two that reach as far back as `reach`.
    fn grow(&mut self, code: &mut Code, dice: &mut Dice, reach: usize) {
        let size = self.size;
        let mut from = |list: &[Id]| list[list.len() - 1 - dice.below(list.len().min(reach))];
        let (x, y, z, i, j) = (from(&self.floats), from(&self.floats), from(&self.floats), from(&self.bits), from(&self.bits));
        let (t, u, s) = (from(&self.truths), from(&self.truths), from(&self.signs));
        let float = match dice.below(26) {
            0 => code.push(Op::Constant(dice.bits(size)), size, &[]),
            1 => code.push(Op::Subtract, size, &[x, y]),
            2 => code.push(Op::Divide, size, &[x, y]),
            3..=5 => code.push(Op::MultiplyAdd, size, &[x, y, z]),
            6 => code.push(Op::NegativeMultiplyAdd, size, &[x, y, z]),
            7 => code.push(Op::Sqrt, size, &[x]),
            8 => code.push(Op::Floor, size, &[x]),
            9 => code.push(Op::Choose, size, &[s, x, y]),
            10 => {
                let kept = if dice.below(2) == 0 { code.push(Op::Multiply, size, &[x, y]) } else { x };
                code.push(Op::Keep, size, &[t, kept])
            }
            11 => code.push(dice.pick(&[Op::Xor, Op::Or, Op::And]), size, &[i, j]),
            12 => code.push(Op::Plus, size, &[i, j]),
            13 => code.push(Op::Minus, size, &[i, j]),
            14 => code.push(Op::Up(3), size, &[i]),
            15 => code.push(Op::Down(5), size, &[i]),
            16 if size == Size::Four => code.push(Op::DownSigned(5), size, &[i]),
            17 if size == Size::Four => code.push(Op::Nearest, size, &[i]),
            18 => code.push(Op::Multiply, size, &[x, y]),
            21 => {
                // The same in both ways, also where the result is subnormal or infinite.
                let n = dice.below(100) as f64 - 50.0;
                let [power, n] = [n.exp2(), n].map(|number| match size {
                    Size::Four => u64::from((number as f32).to_bits()),
                    Size::Eight => number.to_bits(),
                });
                let (power, n) = (code.push(Op::Constant(power), size, &[]), code.push(Op::Constant(n), size, &[]));
                let steps = code.push(Op::Multiply, size, &[x, power]);
                let once = code.push(Op::TimesPower, size, &[x, n]);
                code.push(Op::StepsOrOnce, size, &[steps, once])
            }
            19..=20 => {
                let less = code.push(Op::Compare(Comparison::Less), size, &[x, y]);
                self.truths.push(less);
                if dice.below(2) == 0 { code.push(Op::Choose, size, &[less, x, y]) } else { code.push(Op::Choose, size, &[less, y, x]) }
            }
            _ => code.push(Op::Add, size, &[x, y]),
        };
        self.floats.push(float);
        use Op::{And, Down, DownSigned, Minus, Nearest, Or, Plus, Up, Xor};
        if matches!(code.list[float as usize].op, And | Or | Xor | Plus | Minus | Up(_) | Down(_) | DownSigned(_) | Nearest) {
            self.bits.push(float);
        }
        self.truths.push(match dice.below(8) {
            0 => code.push(Op::Compare(Comparison::Equal), size, &[x, y]),
            1 => code.push(Op::Compare(Comparison::NotEqual), size, &[x, y]),
            2 => code.push(Op::Greater, size, &[i, j]),
            3 => code.push(Op::Either, size, &[t, u]),
            4 => code.push(Op::Both, size, &[t, u]),
            5 => code.push(Op::Not, size, &[t]),
            _ => code.push(Op::Compare(Comparison::Less), size, &[x, y]),
        });
        self.signs.push(self.truths[self.truths.len() - 1]);
        match dice.below(8) {
            // The sign of an integer, as that of a NaN is left open.
            0 => self.signs.push(code.push(Op::Sign, size, &[i])),
            1 => self.signs.push(code.push(dice.pick(&[Op::Both, Op::Either]), size, &[s, t])),
            2 => self.signs.push(code.push(Op::Not, size, &[s])),
            _ => {}
        }
    }

    /// Takes a float and truths of the other size over.
    fn convert(&mut self, code: &mut Code, other: &Values) {
        let size = self.size;
        let last = |list: &[Id]| list[list.len() - 1];
        let float = code.push(if size == Size::Eight { Op::Widen } else { Op::Narrow }, size, &[last(&other.floats)]);
        self.floats.push(float);
        let truth = code.push(Op::Resize, size, &[last(&other.truths)]);
        let sign = code.push(Op::Resize, size, &[last(&other.signs)]);
        self.truths.push(truth);
        self.signs.extend([truth, sign]);
    }

    fn store(&self, code: &mut Code) {
        let [.., first, second] = ports(self.size);
        code.push(Op::Store(first), self.size, &[self.floats[self.floats.len() - 1]]);
        code.push(Op::Store(second), self.size, &[self.floats[self.floats.len() / 2]]);
    }
}

/// Random code of `count` operations on lanes of some sizes.
fn code(dice: &mut Dice, sizes: &[Size], count: usize, reach: usize) -> Code {
    let mut code = Code::default();
    let mut values: Vec<Values> = sizes.iter().map(|&size| Values::new(&mut code, size)).collect();
    for _ in 0..count {
        let at = dice.below(values.len());
        values[at].grow(&mut code, dice, reach);
        if let [first, second] = &mut values[..]
            && dice.below(5) == 0
        {
            if at == 0 { first.convert(&mut code, second) } else { second.convert(&mut code, first) }
        }
    }
    values.iter().for_each(|values| values.store(&mut code));
    let truths = &values[dice.below(values.len())];
    code.push(Op::StoreTruth(TRUTHS_TO), truths.size, &[truths.signs[truths.signs.len() - 1]]);
    code
}

/// What the code says is in the operands that are written, at one position, and what becomes part of the numbers of its row.
fn expected(code: &Code, memory: &Memory, at: usize) -> (Results, [u64; 2]) {
    let mut values: Vec<u64> = Vec::new();
    let (mut written, mut parts) = (Results::default(), [0; 2]);
    let bits = |x: f64, size: Size| if size == Size::Four { (x as f32).to_bits().into() } else { x.to_bits() };
    for instruction in &code.list {
        let size = instruction.size;
        let args = instruction.args.map(|arg| values.get(arg as usize).copied().unwrap_or(0));
        let [first, _, _, to, _] = ports(size);
        values.push(match instruction.op {
            Op::Load(n) => bits(memory.floats[(n - first) as usize][at], size),
            Op::LoadSingle(_) => bits(memory.single, size),
            Op::LoadTruth(_) => u64::from(memory.truths[at] != 0),
            Op::Store(n) if size == Size::Four => {
                written.0[(n - to) as usize] = args[0] as u32;
                0
            }
            Op::Store(n) => {
                written.1[(n - to) as usize] = args[0];
                0
            }
            Op::StoreTruth(_) => {
                written.2 = args[0] as u8;
                0
            }
            Op::Reduce(_, n) => {
                parts[(n - ROWS[0]) as usize] = args[0];
                0
            }
            op => lane(op, size, args),
        });
    }
    (written, parts)
}

/// The same bits, or two NaN: which of them is left open.
fn same(a: Results, b: Results) -> bool {
    let fours = a.0.into_iter().zip(b.0).all(|(a, b)| a == b || (f32::from_bits(a).is_nan() && f32::from_bits(b).is_nan()));
    let eights = a.1.into_iter().zip(b.1).all(|(a, b)| a == b || (f64::from_bits(a).is_nan() && f64::from_bits(b).is_nan()));
    fours && eights && a.2 == b.2
}

/// Runs a function over rows that follow each other, `length` positions in all; what is not written stays 0. Gives what is
/// written for each position, for each row, and whether something was reported.
fn run(function: &Function, memory: &Memory, rows: usize, length: usize) -> (Vec<Results>, [Vec<u64>; 2], bool) {
    const BEYOND: u8 = 0xad;
    // Bytes may be read and written a few at a time, whatever is left.
    let room = length + function.bytes_at_once() - 1;
    let mut fours = [0, 1].map(|n: usize| memory.floats[n].iter().map(|&x| x as f32).collect::<Vec<_>>());
    let mut eights = memory.floats.clone();
    let (mut single, mut double) = (memory.single as f32, memory.single);
    let mut flags = memory.truths.clone();
    flags.resize(room, 0);
    let mut fours_to = [(); 2].map(|()| vec![0_u32; length + 1]);
    let mut eights_to = [(); 2].map(|()| vec![0_u64; length + 1]);
    let mut truths_to = vec![BEYOND; length + 16];
    let mut rows_to = [(); 2].map(|()| vec![0_u64; rows + 1]);
    let mut table: [*mut u8; 2 * PORTS] = [std::ptr::null_mut(); 2 * PORTS];
    let mut port = |n: u32, first: *mut u8, bytes: usize| {
        let down = std::ptr::without_provenance_mut(bytes * (length / rows));
        (table[n as usize], table[PORTS + n as usize]) = (first, down);
    };
    for n in 0..2 {
        port(FOURS[n], fours[n].as_mut_ptr().cast(), 4);
        port(EIGHTS[n], eights[n].as_mut_ptr().cast(), 8);
        port(FOURS[3 + n], fours_to[n].as_mut_ptr().cast(), 4);
        port(EIGHTS[3 + n], eights_to[n].as_mut_ptr().cast(), 8);
    }
    port(FOURS[2], (&raw mut single).cast(), 0);
    port(EIGHTS[2], (&raw mut double).cast(), 0);
    port(TRUTHS, flags.as_mut_ptr(), 1);
    port(TRUTHS_TO, truths_to.as_mut_ptr(), 1);
    for n in 0..2 {
        table[ROWS[n] as usize] = rows_to[n].as_mut_ptr().cast();
        table[PORTS + ROWS[n] as usize] = std::ptr::without_provenance_mut(size_of::<u64>());
    }
    // SAFETY: all operands are as long as the positions, those of bytes longer.
    let reported = unsafe { function.run(table.as_mut_ptr(), rows, length / rows) };
    let ends = (fours_to.iter().all(|list| list[length] == 0), eights_to.iter().all(|list| list[length] == 0));
    assert_eq!((ends, truths_to[room..].iter().all(|&byte| byte == BEYOND)), ((true, true), true), "written beyond the end");
    assert_eq!(rows_to.each_ref().map(|list| list[rows]), [0; 2], "a number for a row that is not there");
    let results = |at: usize| ([fours_to[0][at], fours_to[1][at]], [eights_to[0][at], eights_to[1][at]], truths_to[at]);
    ((0..length).map(results).collect(), rows_to, reported)
}

#[test]
fn functions_do_what_their_code_says() {
    let lengths = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 33, 40, 63, 64, 65, 100, 131];
    for seed in 0..400 {
        let mut dice = Dice(seed);
        // Values from far back are many that are alive at once: some wait on the stack.
        let (count, reach) = (dice.pick(&[3, 10, 40, 120, 900]), dice.pick(&[2, 6, 20, 60, 900]));
        let sizes = dice.pick(&[&[Size::Four][..], &[Size::Eight], &[Size::Four, Size::Eight]]);
        let code = code(&mut dice, sizes, count, reach);
        let (rows, cols) = (dice.pick(&[1, 1, 2, 5]), dice.pick(&lengths));
        let memory = Memory::new(&mut dice, rows * cols);
        for level in levels() {
            let (results, ..) = run(&function(&code, PORTS, level), &memory, rows, rows * cols);
            for (at, found) in results.into_iter().enumerate() {
                let (wanted, _) = expected(&code, &memory, at);
                let place = format!("{level:?}, seed {seed}, {count} operations on {sizes:?}, position {at} of {rows} x {cols}");
                assert!(same(found, wanted), "{place}: {found:x?}, not {wanted:x?}");
            }
        }
    }
}

#[test]
fn a_nan_that_is_told_from_a_number_is_told_alike() {
    // Integer work on the bits of a NaN depends on which NaN it is; formulas do none.
    let mut code = Code::default();
    let x = code.push(Op::Load(7), Size::Eight, &[]);
    let test = code.push(Op::Compare(Comparison::NotEqual), Size::Eight, &[x, x]);
    let one = code.push(Op::Constant(1.0_f64.to_bits()), Size::Eight, &[]);
    let chosen = code.push(Op::Choose, Size::Eight, &[test, one, x]);
    let narrow = code.push(Op::Narrow, Size::Four, &[chosen]);
    code.push(Op::Store(4), Size::Four, &[narrow]);
    for level in levels() {
        let memory = Memory { floats: [vec![f64::NAN, 2.0, 0.0], vec![0.0; 3]], single: 0.0, truths: vec![0; 3] };
        let (results, ..) = run(&function(&code, PORTS, level), &memory, 1, 3);
        let floats: Vec<f32> = results.iter().map(|result| f32::from_bits(result.0[0])).collect();
        assert_eq!(floats, [1.0, 2.0, 0.0], "{level:?}");
    }
}

#[test]
fn what_holds_at_one_position_is_reported() {
    for size in [Size::Four, Size::Eight] {
        let [load, _, _, store, _] = ports(size);
        let mut code = Code::default();
        let limit = if size == Size::Four { 9.0_f32.to_bits().into() } else { 9.0_f64.to_bits() };
        let (x, limit) = (code.push(Op::Load(load), size, &[]), code.push(Op::Constant(limit), size, &[]));
        let within = code.push(Op::Compare(Comparison::Less), size, &[x, limit]);
        let beyond = code.push(Op::Compare(Comparison::Less), size, &[limit, x]);
        // What is not there counts as 0, so that it is within as well.
        let both = code.push(Op::Both, size, &[within, beyond]);
        let either = code.push(Op::Either, size, &[beyond, both]);
        code.push(Op::Report, size, &[either]);
        code.push(Op::Store(store), size, &[x]);
        for level in levels() {
            let function = function(&code, PORTS, level);
            for length in 1..140 {
                for at in [None, Some(0), Some(length / 2), Some(length - 1)] {
                    let mut numbers = vec![1.0; length];
                    at.iter().for_each(|&at| numbers[at] = 10.0);
                    let memory = Memory { floats: [numbers.clone(), numbers], single: 0.0, truths: vec![0; length] };
                    assert_eq!(run(&function, &memory, 1, length).2, at.is_some(), "{level:?}, {at:?} of {length}");
                }
            }
        }
    }
}

/// Registers that belong to the caller are as they were, however many operands a function has.
#[cfg(target_arch = "x86_64")]
#[test]
fn functions_give_registers_back() {
    for (level, ports) in levels().into_iter().flat_map(|level| (1..=8).map(move |ports| (level, ports))) {
        let mut code = Code::default();
        let loads: Vec<Id> = (0..ports).map(|port| code.push(Op::Load(port), Size::Four, &[])).collect();
        let sum = loads.iter().copied().reduce(|sum, x| code.push(Op::Add, Size::Four, &[sum, x])).expect("a load");
        code.push(Op::Store(ports - 1), Size::Four, &[sum]);
        let function = function(&code, ports as usize, level);
        let mut memory = [1.0_f32; 16];
        let mut table: Vec<*mut u8> = (0..ports).map(|_| memory.as_mut_ptr().cast()).collect();
        table.extend((0..ports).map(|_| std::ptr::null_mut::<u8>()));
        let entry = function.shelf.get().expect("pages").at(function.entry.start);
        let changed: u64;
        // SAFETY: one row of sixteen positions, two blocks or one, of which none is left; the stack is aligned for the call.
        unsafe {
            std::arch::asm!(
                "push rbx", "push rbp", "mov rbp, rsp", "and rsp, -16",
                "mov rbx, 11", "mov r12, 12", "mov r13, 13", "mov r14, 14", "mov r15, 15",
                "call {entry}",
                "sub rbx, 11", "sub r12, 12", "sub r13, 13", "sub r14, 14", "sub r15, 15",
                "or rbx, r12", "or rbx, r13", "or rbx, r14", "or rbx, r15", "mov rax, rbx",
                "mov rsp, rbp", "pop rbp", "pop rbx",
                entry = in(reg) entry,
                inout("rdi") table.as_mut_ptr() => _, inout("rsi") 0_usize => _, inout("rdx") 16_usize => _,
                inout("rcx") 0_usize => _, inout("r8") 1_usize => _,
                out("rax") changed, out("r12") _, out("r13") _, out("r14") _, out("r15") _,
                clobber_abi("sysv64"),
            );
        }
        assert_eq!(changed, 0, "{level:?}, {ports} operands");
        assert!(memory.iter().all(|&x| x == ports as f32), "{level:?}, {ports} operands: {memory:?}");
    }
}
