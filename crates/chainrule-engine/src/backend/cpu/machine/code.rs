//! Fused code as a list of instructions, each of which makes a value: a vector of 32-bit or 64-bit lanes,
//! one for each of some neighbouring positions, or a truth for each of them.
//!
//! Equal instructions are written once. Refuses to know registers, how many positions there are, and what
//! a truth looks like.

use crate::compile::kernel::Reduction;
use rustc_hash::FxHashMap;

/// The position of the instruction that makes a value.
pub type Id = u32;

/// Bytes of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Size {
    /// f32, or an integer of 32 bits.
    Four = 4,
    /// f64, or an integer of 64 bits.
    Eight = 8,
}

/// What an instruction does. Its size is that of the lanes it works on; of a truth, that of the lanes it
/// was found for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// The same bits in all lanes.
    Constant(u64),
    /// Elements of an operand, from the position on.
    Load(u32),
    /// One element of an operand, in all lanes.
    LoadSingle(u32),
    /// Bytes of an operand: true where they are not 0.
    LoadTruth(u32),
    /// Writes a value.
    Store(u32),
    /// Writes a truth as bytes 1 and 0.
    StoreTruth(u32),
    /// Asks for what lies so many bytes beyond the elements of an operand; it is no value.
    Ask(u32, u32),
    /// Lets the function say that a truth held somewhere.
    Report,
    /// Writes the sum or maximum of a row, one element for it, in the order of [`super::reduce`].
    Reduce(Reduction, u32),
    /// Float arithmetic.
    Add,
    /// First less second.
    Subtract,
    /// Product.
    Multiply,
    /// First by second.
    Divide,
    /// First times second, plus third, rounded once.
    MultiplyAdd,
    /// Third less first times second, rounded once.
    NegativeMultiplyAdd,
    /// First times 2 to the power of the second, a whole number; with EVEX.
    TimesPower,
    /// The first, where powers take several steps, or the second, where there is [`Op::TimesPower`].
    StepsOrOnce,
    /// Square root.
    Sqrt,
    /// The nearest integer below.
    Floor,
    /// Bits of both.
    And,
    /// Bits of either.
    Or,
    /// Bits of one of them.
    Xor,
    /// Sum of integers.
    Plus,
    /// Difference of integers.
    Minus,
    /// Bits moved up.
    Up(u8),
    /// Bits moved down, zeros following.
    Down(u8),
    /// Bits moved down, the sign repeated; of 32-bit lanes.
    DownSigned(u8),
    /// The float nearest to an integer; of 32-bit lanes.
    Nearest,
    /// f32 as f64: the result is of eight bytes.
    Widen,
    /// The f32 nearest to an f64: the result is of four bytes.
    Narrow,
    /// Comparison of floats, as a truth.
    Compare(Comparison),
    /// First integer greater than second, as a truth.
    Greater,
    /// The highest bit, as a truth.
    Sign,
    /// Whether both truths hold.
    Both,
    /// Whether either truth holds.
    Either,
    /// Whether a truth does not hold.
    Not,
    /// A truth that was found for lanes of the other size.
    Resize,
    /// First where it is less than second, else second, so also if either is NaN.
    Smaller,
    /// First where second is less than it, else second, so also if either is NaN.
    Larger,
    /// Second where the first, a truth, holds, else third.
    Choose,
    /// Second where the first, a truth, holds, else no bit. It asks for more than a [`Op::Sign`] knows.
    Keep,
    /// Second times third where the first, a truth, holds, else no bit; with EVEX.
    KeepProduct,
}

/// Comparisons of floats; the number is the processor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// Not if either is NaN.
    Equal = 0x00,
    /// Not if either is NaN.
    Less = 0x11,
    /// Also if either is NaN.
    NotEqual = 0x04,
}

/// An instruction; unused arguments are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// What it does.
    pub op: Op,
    /// Of lanes of which size.
    pub size: Size,
    /// Its arguments.
    pub args: [Id; 3],
}

impl Instruction {
    fn new(op: Op, size: Size, given: &[Id]) -> Instruction {
        let mut args = [0; 3];
        args[..given.len()].copy_from_slice(given);
        Instruction { op, size, args }
    }

    /// The arguments that count.
    pub fn args(&self) -> &[Id] {
        use Op::*;
        let count = match self.op {
            Constant(_) | Load(_) | LoadSingle(_) | LoadTruth(_) | Ask(..) => 0,
            Store(_) | StoreTruth(_) | Report | Reduce(..) | Sqrt | Floor | Up(_) | Down(_) | DownSigned(_) | Nearest => 1,
            Widen | Narrow | Sign | Not | Resize => 1,
            MultiplyAdd | NegativeMultiplyAdd | Choose | KeepProduct => 3,
            _ => 2,
        };
        &self.args[..count]
    }

    /// Whether its value is a truth.
    pub fn is_truth(&self) -> bool {
        use Op::*;
        matches!(self.op, LoadTruth(_) | Compare(_) | Greater | Sign | Both | Either | Not | Resize)
    }
}

/// Instructions in order.
#[derive(Default)]
pub struct Code {
    /// The instructions.
    pub list: Vec<Instruction>,
    known: FxHashMap<Instruction, Id>,
}

impl Code {
    /// The value of an instruction, written now or before. What one instruction can choose is not
    /// compared first.
    pub fn push(&mut self, op: Op, size: Size, args: &[Id]) -> Id {
        let instruction = match (op, args) {
            (Op::Choose, &[test, yes, no]) => self.chosen(size, test, yes, no),
            _ => Instruction::new(op, size, args),
        };
        *self.known.entry(instruction).or_insert_with(|| {
            self.list.push(instruction);
            self.list.len() as Id - 1
        })
    }

    /// The value of an instruction that was written before.
    pub fn known(&self, op: Op, size: Size, args: &[Id]) -> Option<Id> {
        self.known.get(&Instruction::new(op, size, args)).copied()
    }

    fn chosen(&self, size: Size, test: Id, yes: Id, no: Id) -> Instruction {
        let Instruction { op, args: [a, b, _], .. } = self.list[test as usize];
        match op {
            Op::Compare(Comparison::Less) if (yes, no) == (a, b) => Instruction::new(Op::Smaller, size, &[yes, no]),
            Op::Compare(Comparison::Less) if (yes, no) == (b, a) => Instruction::new(Op::Larger, size, &[yes, no]),
            _ => Instruction::new(Op::Choose, size, &[test, yes, no]),
        }
    }

    /// Without what no store needs, for a machine that has [`Op::TimesPower`] and [`Op::KeepProduct`] or takes the steps.
    pub fn needed(&self, has_more: bool) -> Vec<Instruction> {
        let list = if has_more { &at_once(&self.list) } else { &self.list };
        let list = without(list, Op::StepsOrOnce);
        let shows = |op: Op| matches!(op, Op::Store(_) | Op::StoreTruth(_) | Op::Ask(..) | Op::Report | Op::Reduce(..));
        let mut live: Vec<bool> = list.iter().map(|i| shows(i.op)).collect();
        for at in (0..list.len()).rev() {
            if live[at] {
                list[at].args().iter().for_each(|&arg| live[arg as usize] = true);
            }
        }
        let mut at = 0..;
        kept(&list, |_| if at.next().is_some_and(|at: usize| live[at]) { Kept::Yes } else { Kept::No })
    }
}

/// The list where powers are taken at once, and products are kept where they are made.
fn at_once(list: &[Instruction]) -> Vec<Instruction> {
    let at_once = |i: &Instruction| match (i.op, i.args, list[i.args[1] as usize]) {
        (Op::StepsOrOnce, [_, once, _], _) => Instruction { args: [once, 0, 0], ..*i },
        (Op::Keep, [test, ..], Instruction { op: Op::Multiply, args: [a, b, _], .. }) => {
            Instruction { op: Op::KeepProduct, args: [test, a, b], ..*i }
        }
        _ => *i,
    };
    list.iter().map(at_once).collect()
}

/// The list where every instruction of a kind gives way to its argument.
pub fn without(list: &[Instruction], gone: Op) -> Vec<Instruction> {
    kept(list, |instruction| if instruction.op == gone { Kept::AsArgument } else { Kept::Yes })
}

/// What becomes of an instruction.
enum Kept {
    Yes,
    No,
    /// Its argument stands for it.
    AsArgument,
}

fn kept(list: &[Instruction], mut which: impl FnMut(&Instruction) -> Kept) -> Vec<Instruction> {
    let (mut new_of, mut result): (Vec<Id>, Vec<Instruction>) = (Vec::with_capacity(list.len()), Vec::new());
    for instruction in list {
        let mut moved = *instruction;
        let count = instruction.args().len();
        moved.args[..count].iter_mut().for_each(|arg| *arg = new_of[*arg as usize]);
        new_of.push(match which(instruction) {
            Kept::Yes => {
                result.push(moved);
                result.len() as Id - 1
            }
            Kept::No => 0,
            Kept::AsArgument => moved.args[0],
        });
    }
    result
}
