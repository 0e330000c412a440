//! Long sums that their readers add up from chunks: when, when not, and that values stay.

use crate::shared::{Numbers, eval};
use crate::support::stays;
use chainrule_engine::compile::graph::Graph;
use chainrule_engine::compile::kernel::{Code, Kernel};
use chainrule_engine::compile::pipeline::{Options, compile};
use chainrule_engine::ops::Window;
use chainrule_engine::{DType, Tensor};

/// How many products of a program have chunks, and how many kernels do nothing but add chunks up.
fn counts(root: &Tensor) -> (usize, usize) {
    let program = compile(Graph::of(&[root]).0, &[None], Options::default(), |_, _, _| ());
    let kernels = &program.kernels.kernels;
    let adds = |kernel: &&Kernel| match kernel {
        Kernel::Region(region) => region.code.iter().all(|i| matches!(i.code, Code::Load(_) | Code::Accumulate(..))),
        _ => false,
    };
    let chunked = kernels.iter().filter(|kernel| matches!(kernel, Kernel::Contract(contract) if contract.k_chunks > 1));
    (chunked.count(), kernels.iter().filter(adds).count())
}

fn leaf(shape: &[usize], seed: u64) -> Tensor {
    let mut numbers = Numbers::new(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| numbers.below(17) as f32 / 64.0 - 0.125).collect();
    Tensor::from_slice(&values, shape)
}

/// A product of 6 x 5 with a sum so long.
fn product(length: usize) -> Tensor {
    leaf(&[6, length], 1).matmul(&leaf(&[length, 5], 2))
}

/// How many kernels add up the chunks of the program's one chunked product; its values are those of the reference however it
/// is compiled.
fn added_up(what: &str, within: f64, make: impl Fn() -> Tensor, want: usize) {
    assert_eq!(counts(&make()), (1, want), "{what}");
    stays(what, within, make);
}

#[test]
fn few_who_read_a_long_sum_add_its_chunks_up() {
    added_up("two chunks", 1e-5, || product(1024).tanh(), 0);
    added_up("four chunks", 1e-5, || product(3136).tanh() * 2.0, 0);
    added_up("rows", 1e-5, || product(1024).sum_over(&[1]).exp(), 0);
    added_up("columns", 1e-5, || product(1024).sum_over(&[0]).exp(), 0);
    added_up("turned", 1e-5, || product(1024).t().tanh() + leaf(&[5, 6], 3), 0);
    added_up("part of it", 1e-5, || product(1024).index(0, 2).tanh(), 0);
    added_up("code after a product", 1e-5, || leaf(&[6, 7], 3).matmul(&leaf(&[7, 5], 4)) * product(1024), 0);
    added_up("rounded once", 1e-2, || product(1024).cast(DType::BF16).cast(DType::F32).tanh(), 0);
}

/// A power of two, which threads can share evenly, of two at least, and no more than what a chunk is worth says.
#[test]
fn a_long_sum_is_cut_in_chunks_worth_beginning() {
    for (length, chunks) in [(1023, 1), (1024, 2), (1568, 2), (2000, 2), (3136, 4), (4096, 8), (50_000, 16)] {
        let program = compile(Graph::of(&[&product(length).tanh()]).0, &[None], Options::default(), |_, _, _| ());
        let found = program.kernels.kernels.iter().find_map(|kernel| match kernel {
            Kernel::Contract(contract) => Some(contract.k_chunks),
            _ => None,
        });
        assert_eq!(found, Some(chunks), "a sum of {length}");
    }
}

#[test]
fn what_more_read_or_what_is_read_otherwise_is_added_up_once() {
    added_up("eight chunks", 1e-5, || product(4096).tanh(), 1);
    added_up("a result", 1e-5, || product(1024), 1);
    added_up("an operand", 1e-5, || product(1024).matmul(&leaf(&[5, 3], 3)), 1);
    added_up("a table", 1e-5, || product(1024).gather(&Tensor::from_slice(&[3_i64, 0, 3], [3])), 1);
    added_up("a part of more", 1e-5, || Tensor::concat(&[&product(1024), &leaf(&[2, 5], 3)], 0).matmul(&leaf(&[5, 3], 4)), 1);
    // Code after three products of their own: three groups, which read six chunks.
    let of_three = || {
        let sum = product(1024);
        let after = |seed: u64| (leaf(&[6, 7], seed).matmul(&leaf(&[7, 5], seed + 1)) * &sum).matmul(&leaf(&[5, 3], seed + 2));
        after(5) + after(8) + after(11)
    };
    added_up("three groups", 1e-5, of_three, 1);
}

/// bf16 products keep their chunks in f32 and round the sum once, whoever adds it up.
#[test]
fn narrow_results_are_rounded_once() {
    let narrow = |read: fn(&Tensor) -> Tensor| {
        let sum = leaf(&[6, 1024], 1).cast(DType::BF16).matmul(&leaf(&[1024, 5], 2).cast(DType::BF16));
        eval(&read(&sum))
    };
    // The first is added up by its reader, which widens it; the second once.
    let by_its_reader = narrow(|sum| sum.cast(DType::F32) * 1.0);
    let once = narrow(|sum| sum.clone());
    assert_eq!(by_its_reader, once);
}

/// Windows of 3 x 3 along two axes.
fn patches(x: Tensor, axes: [usize; 2]) -> Tensor {
    let pair = |value: usize| [value; 2].as_slice().into();
    Tensor::record(Window { axes: axes.as_slice().into(), sizes: pair(3), strides: pair(1), dilations: pair(1) }, [x])
}

/// The gradient of a kernel, by images of so many rows and columns whose channels come first or last.
fn of_a_kernel(side: usize, channels_last: bool) -> Tensor {
    let inner = side - 2;
    match channels_last {
        true => patches(leaf(&[2, side, side, 3], 1), [1, 2]).einsum("nhwcij,nhwo->ijco", &leaf(&[2, inner, inner, 4], 2)),
        false => leaf(&[2, 4, inner, inner], 2).einsum("nohw,nchwij->ocij", &patches(leaf(&[2, 3, side, side], 1), [2, 3])),
    }
}

/// Windows that are columns of a product can be read where they lie if the sum is cut: cut in two, where it would not be cut for its length.
#[test]
fn sums_over_places_of_windows_are_cut_in_two() {
    added_up("channels first", 1e-5, || of_a_kernel(14, false).tanh(), 0);
    for (side, channels_last) in [(14, true), (12, false)] {
        assert_eq!(counts(&of_a_kernel(side, channels_last).tanh()), (0, 0), "{side} x {side}, channels last {channels_last}");
    }
    let forward = leaf(&[4, 40, 3, 3], 1).einsum("ocij,nchwij->onhw", &patches(leaf(&[2, 40, 5, 5], 2), [2, 3]));
    assert_eq!(counts(&forward.tanh()), (0, 0), "a sum over channels and what is in a window");
}
