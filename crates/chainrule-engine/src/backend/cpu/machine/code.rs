//! Fused code as a list of instructions on vectors of eight 32-bit lanes, each a value.
//!
//! Equal instructions are written once. Refuses to know registers.

use rustc_hash::FxHashMap;

/// The position of the instruction that makes a value.
pub type Id = u32;

/// What an instruction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// The same bits in all lanes.
    Constant(u32),
    /// Eight elements of an operand, from the position on.
    Load(u32),
    /// One element of an operand, in all lanes.
    LoadSingle(u32),
    /// Eight bytes of an operand: all ones where they are not 0.
    LoadTruth(u32),
    /// Writes a value.
    Store(u32),
    /// Writes a truth as bytes 1 and 0.
    StoreTruth(u32),
    /// Lets the function say that a truth held somewhere.
    Report,
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
    /// Bits moved down, the sign repeated.
    Down(u8),
    /// The float nearest to an integer.
    Nearest,
    /// Comparison of floats, as a truth.
    Compare(Comparison),
    /// First integer greater than second, as a truth.
    Greater,
    /// First where it is less than second, else second, so also if either is NaN.
    Smaller,
    /// First where second is less than it, else second, so also if either is NaN.
    Larger,
    /// Second where the first is true, else third. It asks for the highest bit alone.
    Choose,
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
    /// Its arguments.
    pub args: [Id; 3],
}

impl Instruction {
    fn new(op: Op, given: &[Id]) -> Instruction {
        let mut args = [0; 3];
        args[..given.len()].copy_from_slice(given);
        Instruction { op, args }
    }

    /// The arguments that count.
    pub fn args(&self) -> &[Id] {
        let count = match self.op {
            Op::Constant(_) | Op::Load(_) | Op::LoadSingle(_) | Op::LoadTruth(_) => 0,
            Op::Store(_) | Op::StoreTruth(_) | Op::Report | Op::Sqrt | Op::Floor | Op::Up(_) | Op::Down(_) | Op::Nearest => 1,
            Op::MultiplyAdd | Op::NegativeMultiplyAdd | Op::Choose => 3,
            _ => 2,
        };
        &self.args[..count]
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
    pub fn push(&mut self, op: Op, args: &[Id]) -> Id {
        let instruction = match (op, args) {
            (Op::Choose, &[test, yes, no]) => self.chosen(test, yes, no),
            _ => Instruction::new(op, args),
        };
        *self.known.entry(instruction).or_insert_with(|| {
            self.list.push(instruction);
            self.list.len() as Id - 1
        })
    }

    /// The value of an instruction that was written before.
    pub fn known(&self, op: Op, args: &[Id]) -> Option<Id> {
        self.known.get(&Instruction::new(op, args)).copied()
    }

    fn chosen(&self, test: Id, yes: Id, no: Id) -> Instruction {
        let Instruction { op, args: [a, b, _] } = self.list[test as usize];
        match op {
            Op::Compare(Comparison::Less) if (yes, no) == (a, b) => Instruction::new(Op::Smaller, &[yes, no]),
            Op::Compare(Comparison::Less) if (yes, no) == (b, a) => Instruction::new(Op::Larger, &[yes, no]),
            _ => Instruction::new(Op::Choose, &[test, yes, no]),
        }
    }

    /// Without what no store needs.
    pub fn without_dead(&self) -> Vec<Instruction> {
        let mut new_of = vec![None; self.list.len()];
        let mut live: Vec<bool> = self.list.iter().map(|i| matches!(i.op, Op::Store(_) | Op::StoreTruth(_) | Op::Report)).collect();
        for at in (0..self.list.len()).rev() {
            if live[at] {
                self.list[at].args().iter().for_each(|&arg| live[arg as usize] = true);
            }
        }
        let mut kept = Vec::new();
        for (at, instruction) in self.list.iter().enumerate().filter(|&(at, _)| live[at]) {
            let mut moved = *instruction;
            for (k, &arg) in instruction.args().iter().enumerate() {
                moved.args[k] = new_of[arg as usize].unwrap_or(0);
            }
            new_of[at] = Some(kept.len() as Id);
            kept.push(moved);
        }
        kept
    }
}
