//! Code as it is written: what is equal stands there once, what nobody reads not at all, and some of it gives way.

use super::super::super::math::real::Real;
use super::super::super::math::{formula, formula_double};
use super::super::code::{Code, Comparison, Id, Op, Size, without};
use super::super::trace::{Float, Traced};
use super::lane;
use std::cell::RefCell;

#[test]
fn equal_instructions_are_written_once_and_dead_ones_not_at_all() {
    let mut code = Code::default();
    let x = code.push(Op::Load(0), Size::Four, &[]);
    let (a, b) = (code.push(Op::Add, Size::Four, &[x, x]), code.push(Op::Add, Size::Four, &[x, x]));
    assert_eq!(a, b);
    assert_ne!(code.push(Op::Constant(1), Size::Four, &[]), code.push(Op::Constant(1), Size::Eight, &[]));
    code.push(Op::Sqrt, Size::Four, &[x]);
    code.push(Op::Store(1), Size::Four, &[a]);
    let list = code.needed(false);
    assert_eq!(list.iter().map(|i| i.op).collect::<Vec<_>>(), [Op::Load(0), Op::Add, Op::Store(1)]);
}

#[test]
fn an_instruction_gives_way_to_its_argument() {
    let mut code = Code::default();
    let mut push = |op, args: &[Id]| code.push(op, Size::Four, args);
    let (x, y) = (push(Op::Load(0), &[]), push(Op::Load(1), &[]));
    let sign = push(Op::Sign, &[y]);
    let both = push(Op::Both, &[sign, sign]);
    let chosen = push(Op::Choose, &[both, x, y]);
    push(Op::Store(1), &[chosen]);
    let list: Vec<(Op, [Id; 3])> = without(&code.list, Op::Sign).iter().map(|i| (i.op, i.args)).collect();
    let made = [(Op::Both, [1, 1, 0]), (Op::Choose, [2, 0, 1]), (Op::Store(1), [3, 0, 0])];
    assert_eq!(list[2..], made);
}

#[test]
fn a_choice_of_the_compared_is_one_instruction() {
    let mut code = Code::default();
    let mut push = |op, args: &[Id]| code.push(op, Size::Eight, args);
    let (x, y) = (push(Op::Load(0), &[]), push(Op::Load(1), &[]));
    let less = push(Op::Compare(Comparison::Less), &[x, y]);
    let (smaller, larger) = (push(Op::Choose, &[less, x, y]), push(Op::Choose, &[less, y, x]));
    let made = [smaller, larger].map(|id| (code.list[id as usize].op, code.list[id as usize].args));
    assert_eq!(made, [(Op::Smaller, [x, y, 0]), (Op::Larger, [y, x, 0])]);
}

#[test]
fn opposite_arguments_are_of_one_size() {
    fn check<F: Float>(constants: [F; 5]) {
        let code = RefCell::new(Code::default());
        let x = Traced::<F>::new(&code, code.borrow_mut().push(Op::Load(0), F::SIZE, &[]));
        assert_eq!((-x).abs().id, x.abs().id);
        assert_eq!((-(-x).abs()).id, (-x.abs()).id);
        // Products that differ in the sign of a constant, on whichever side of either it stands.
        let [a, minus_a, b, minus_b, c] = constants.map(|value| x.of(value));
        for (first, second) in [(x * a, x * minus_a), (minus_b * x, x * b)] {
            assert_eq!(second.abs().id, first.abs().id);
        }
        assert_ne!((x * a).abs().id, (x * c).abs().id);
    }
    check([1.5_f32, -1.5, 2.5, -2.5, 3.5]);
    check([1.5_f64, -1.5, 2.5, -2.5, 3.5]);
}

/// How many instructions of two kinds are left of what formulas write of one argument.
fn count<F: Float>(which: [fn(Op) -> bool; 2], formulas: &dyn Fn(Traced<'_, F>) -> Vec<Id>) -> [usize; 2] {
    let code = RefCell::new(Code::default());
    let x = Traced::new(&code, code.borrow_mut().push(Op::Load(0), F::SIZE, &[]));
    for id in formulas(x) {
        code.borrow_mut().push(Op::Store(1), F::SIZE, &[id]);
    }
    let list = code.borrow().needed(false);
    which.map(|which| list.iter().filter(|i| which(i.op)).count())
}

#[test]
fn functions_that_level_off_share_their_exponential() {
    let single = |formulas: &dyn Fn(Traced<'_, f32>) -> Vec<Id>| count([|op| matches!(op, Op::Up(_)), |op| op == Op::Divide], formulas);
    assert_eq!(single(&|x| vec![formula::tanh(x).id, formula::sech(x).id, formula::sech(-x).id]), [1, 1]);
    assert_eq!(single(&|x| vec![formula::sigmoid(x).id, formula::sigmoid(-x).id, formula::softplus(-x).id]), [1, 1]);
    let down = |op| op == Op::Down(1);
    let double = count::<f64>([down, |op| op == Op::Divide], &|x| vec![formula_double::sech(x).id, formula_double::sech(-x).id]);
    assert_eq!(double, [1, 1]);
}

/// The lowest power of two that a formula takes at once, of one argument.
fn lowest_power<F: Float>(x: u64, value: fn(u64) -> f64, formula: fn(Traced<'_, F>) -> Id) -> f64 {
    let code = RefCell::new(Code::default());
    let load = code.borrow_mut().push(Op::Load(0), F::SIZE, &[]);
    let result = formula(Traced::new(&code, load));
    code.borrow_mut().push(Op::Store(1), F::SIZE, &[result]);
    let (mut values, mut lowest) = (Vec::<u64>::new(), f64::INFINITY);
    for i in code.borrow().needed(true) {
        let args = i.args.map(|arg| values.get(arg as usize).copied().unwrap_or(0));
        lowest = if i.op == Op::TimesPower { lowest.min(value(args[1])) } else { lowest };
        values.push(match i.op {
            Op::Load(_) => x,
            Op::Store(_) => 0,
            op => lane(op, i.size, args),
        });
    }
    lowest
}

/// Processors take a hundred cycles for a vector that holds 2^-127 to 2^-511, and as many of eight bytes for 2^-1023 to 2^-4095,
/// even where what is below the least number is no number.
#[test]
fn powers_of_what_a_mask_hides_are_far_below_the_least_number() {
    let singles: [fn(Traced<'_, f32>) -> Id; 4] =
        [|x| formula::exp(x).id, |x| formula::sigmoid(x).id, |x| formula::sech(x).id, |x| formula::softplus(x).id];
    let doubles: [fn(Traced<'_, f64>) -> Id; 3] =
        [|x| formula_double::exp(x).id, |x| formula_double::sech(x).id, |x| formula_double::softplus(x).id];
    for x in [f32::NEG_INFINITY, f32::MIN, -704.0] {
        for formula in singles {
            let lowest = lowest_power(x.to_bits().into(), |bits| f32::from_bits(bits as u32).into(), formula);
            assert!(lowest <= -512.0, "2^{lowest} at {x}");
        }
    }
    for x in [f64::NEG_INFINITY, f64::MIN, -2860.0] {
        for formula in doubles {
            let lowest = lowest_power(x.to_bits(), f64::from_bits, formula);
            assert!(lowest <= -4096.0, "2^{lowest} at {x}");
        }
    }
}
