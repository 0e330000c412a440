//! Rows that become one number each, against the order that is stated for it.

use super::super::code::{Instruction, Op, Size};
use super::{Dice, Memory, PORTS, ROWS, code, expected, function, lane, levels, ports, run, same};
use crate::compile::kernel::Reduction;

/// The sum or maximum of a row's elements, in the order that [`super::super::reduce`] states.
fn reduced(reduction: Reduction, size: Size, elements: &[u64]) -> u64 {
    let is_nan = |a: u64| if size == Size::Four { f32::from_bits(a as u32).is_nan() } else { f64::from_bits(a).is_nan() };
    let join = |a: u64, b: u64| match reduction {
        Reduction::Sum => lane(Op::Add, size, [a, b, 0]),
        Reduction::Maximum if is_nan(a) => a,
        Reduction::Maximum => lane(Op::Larger, size, [a, b, 0]),
    };
    let start = match (reduction, size) {
        (Reduction::Sum, _) => 0,
        (_, Size::Four) => f32::NEG_INFINITY.to_bits().into(),
        (_, Size::Eight) => f64::NEG_INFINITY.to_bits(),
    };
    let (whole, rest) = elements.split_at(elements.len() / 64 * 64);
    let mut many = [start; 64];
    whole.iter().enumerate().for_each(|(at, &element)| many[at % 64] = join(many[at % 64], element));
    let mut few: Vec<u64> = (0..16).map(|at| join(join(many[at], many[at + 16]), join(many[at + 32], many[at + 48]))).collect();
    rest.iter().enumerate().for_each(|(at, &element)| few[at % 16] = join(few[at % 16], element));
    for half in [8, 4, 2, 1] {
        (0..half).for_each(|at| few[at] = join(few[at], few[at + half]));
    }
    few[0]
}

/// The same bits, or two NaN.
fn same_number(size: Size, a: u64, b: u64) -> bool {
    let is_nan = |x: u64| if size == Size::Four { f32::from_bits(x as u32).is_nan() } else { f64::from_bits(x).is_nan() };
    a == b || (is_nan(a) && is_nan(b))
}

#[test]
fn rows_become_the_numbers_that_their_code_says() {
    let lengths = [1, 3, 4, 5, 8, 15, 16, 17, 31, 33, 48, 63, 64, 65, 79, 80, 100, 127, 128, 130, 200, 257, 640];
    for seed in 0..400 {
        let mut dice = Dice(seed);
        let (count, reach) = (dice.pick(&[1, 3, 10, 40, 300]), dice.pick(&[2, 6, 20, 300]));
        let sizes = dice.pick(&[&[Size::Four][..], &[Size::Eight], &[Size::Four, Size::Eight]]);
        let mut code = code(&mut dice, sizes, count, reach);
        // What is written at positions, and something that a row's number alone depends on.
        let stores: Vec<_> = code.list.iter().filter(|i| matches!(i.op, Op::Store(_))).copied().collect();
        let Instruction { size, args: [written, ..], .. } = dice.pick(&stores);
        let [first, ..] = ports(size);
        let read = code.push(Op::Load(first), size, &[]);
        let both = [(Reduction::Sum, written), (Reduction::Maximum, read)];
        let chosen = dice.pick(&[[Some(both[0]), None], [None, Some(both[1])], [Some(both[0]), Some(both[1])]]);
        for (&port, &(reduction, id)) in ROWS.iter().zip(chosen.iter().flatten()) {
            code.push(Op::Reduce(reduction, port), size, &[id]);
        }
        let (rows, cols) = (dice.pick(&[1, 1, 2, 5]), dice.pick(&lengths));
        let memory = Memory::new(&mut dice, rows * cols);
        let parts: Vec<[u64; 2]> = (0..rows * cols).map(|at| expected(&code, &memory, at).1).collect();
        for level in levels() {
            let (results, numbers, _) = run(&function(&code, PORTS, level), &memory, rows, rows * cols);
            for (n, &(reduction, _)) in chosen.iter().flatten().enumerate() {
                for row in 0..rows {
                    let elements: Vec<u64> = parts[row * cols..][..cols].iter().map(|part| part[n]).collect();
                    let (found, wanted) = (numbers[n][row], reduced(reduction, size, &elements));
                    let place = format!("{level:?}, seed {seed}, {count} operations on {sizes:?}, {reduction:?} of row {row}, {cols} long");
                    assert!(same_number(size, found, wanted), "{place}: {found:x}, not {wanted:x}");
                }
            }
            for (at, found) in results.into_iter().enumerate() {
                let (wanted, _) = expected(&code, &memory, at);
                assert!(same(found, wanted), "{level:?}, seed {seed}, position {at} of {rows} x {cols}: {found:x?}, not {wanted:x?}");
            }
        }
    }
}
