//! Small programs that once came out wrong, found by random ones; and mistakes of the passes that
//! the verifiers must notice.

use crate::shared::{eval, oracle_all};
use crate::support::graph;
use chainrule_engine::compile::fuse::{fuse, separate};
use chainrule_engine::compile::kernel::{Code, Extent, Kernel};
use chainrule_engine::compile::lower::{Kernels, lower};
use chainrule_engine::compile::schedule::{Schedule, schedule};
use chainrule_engine::compile::verify;
use chainrule_engine::compile::view::views;
use chainrule_engine::{DType, ErrorKind, Options, Step, Tensor};

#[track_caller]
fn right(roots: &[&Tensor]) {
    let want = oracle_all(roots);
    Tensor::eval_all(roots).unwrap_or_else(|error| panic!("{error}"));
    let got: Vec<Vec<f64>> = roots.iter().map(|root| eval(root)).collect();
    assert_eq!(got, want);
}

#[test]
fn a_value_that_is_read_backwards_stays_outside_its_readers_group() {
    let x = Tensor::from_slice(&[1, 5, -2, 7, 3, 0, 2, 4], [2, 4]).cast(DType::F32);
    let back = x.flip(&[0]);
    right(&[&back.minimum(&x), &back]);
}

#[test]
fn an_operand_of_a_product_stays_outside_its_group() {
    let leaf = Tensor::from_slice(&[1.0f32, -2.0, 3.0, 4.0], [2, 2]);
    let x = &leaf * 2.0;
    right(&[&(x.matmul(&leaf) + &x)]);
}

#[test]
fn rows_that_are_repeated_as_other_rows_stay_outside_the_group() {
    let x = Tensor::from_slice(&[1.0f32, -2.0, 3.0, 4.0, 0.5, 7.0], [3, 2]);
    let sums = (&x * 2.0).sum_over(&[1]);
    right(&[&sums.broadcast_to([2, 3]).reshape([3, 2])]);
    right(&[&(sums.broadcast_to([2, 3]).reshape([3, 2]) + &x)]);
}

#[test]
fn what_is_needed_for_something_empty_only_is_not_computed() {
    let leaf = Tensor::from_slice(&[1.0f32, -2.0, 3.0, 4.0], [2, 2]);
    let y = (leaf.matmul(&leaf) + 1.0).maximum(&leaf);
    let none = Tensor::record(
        chainrule_engine::ops::Slice { start: [0, 0].as_slice().into(), stop: [0, 2].as_slice().into(), step: [1, 1].as_slice().into() },
        [y],
    );
    right(&[&Tensor::concat(&[&none, &leaf], 0), &none]);
}

#[test]
fn what_only_a_barrier_waits_for_is_not_computed() {
    let x = Tensor::from_slice(&[1.0f32, -2.0], [2]);
    let waited = Tensor::record(chainrule_engine::ops::Barrier, [x.clone(), x.exp() + 1.0]);
    right(&[&(waited * 2.0)]);
}

fn separately(text: &str) -> (Kernels, Schedule) {
    let graph = graph(text);
    let views = views(&graph);
    let kernels = lower(&graph, &views, &separate(&graph, &views), Options::default());
    let schedule = schedule(&kernels, &vec![None; graph.roots.len()], true);
    (kernels, schedule)
}

#[test]
fn a_part_written_last_takes_over_no_memory_that_parts_before_it_wrote() {
    let (kernels, schedule) = separately(
        "
        %0 = leaf 0 : f32 [3]
        %1 = exp %0
        %2 = slice start [0] stop [2] step [1] %0
        %3 = slice start [2] stop [3] step [1] %1
        %4 = concat axis 0 %2, %3
        %5 = sin %4
        return %5",
    );
    assert_eq!(verify::schedule(&kernels, &schedule), Ok(()), "{}{}", kernels.print(), schedule.print(&kernels));
}

#[test]
fn memory_that_two_kernels_read_at_the_same_time_is_taken_over_by_neither() {
    let (kernels, schedule) = separately(
        "
        %0 = leaf 0 : f32 [64]
        %1 = exp %0
        %2 = sum [0] %1
        %3 = sin %1
        %4 = cos %3
        return %2, %4",
    );
    assert_eq!(verify::schedule(&kernels, &schedule), Ok(()), "{}{}", kernels.print(), schedule.print(&kernels));
}

#[test]
fn a_state_has_one_new_value() {
    let a = Tensor::from_slice(&[1.0f32, 2.0], [2]);
    let (up, down) = (&a + 1.0, &a - 1.0);
    let error = Step::capture(&[], &[], &[(&a, &up), (&a, &down)]).err();
    assert!(error.is_some_and(|error| error.kind() == ErrorKind::Argument));
    let error = Step::capture(&[&a], &[], &[(&a, &up)]).err();
    assert!(error.is_some_and(|error| error.kind() == ErrorKind::Argument));
}

const ROWS: &str = "
    %0 = leaf 0 : f32 [8, 4]
    %1 = exp %0
    %2 = sum [1] %1
    %3 = broadcast axes [1] sizes [4] %2
    %4 = div %1, %3
    %5 = sum [0] %4
    %6 = einsum ij,ik->jk %4, %0
    %7 = reverse [0] %5
    %8 = sin %7
    return %6, %8";

/// Every way to break kernels here must be noticed.
#[test]
fn broken_kernels_are_noticed() {
    let graph = graph(ROWS);
    let views = views(&graph);
    let whole = lower(&graph, &views, &fuse(&graph, &views), Options::default());
    assert_eq!(verify::kernels(&whole), Ok(()), "{}", whole.print());
    let region = |kernels: &mut Kernels| {
        kernels.kernels.iter().position(|kernel| matches!(kernel, Kernel::Region(region) if region.code.len() > 4)).unwrap_or(0)
    };
    let breaks: [(&str, fn(&mut Kernels, usize)); 9] = [
        ("an order turned around", |kernels, _| kernels.kernels.reverse()),
        ("an offset too far", |kernels, r| {
            if let Kernel::Region(region) = &mut kernels.kernels[r] {
                region.loads[0].offset += 1
            }
        }),
        ("a stride below the start", |kernels, r| {
            if let Kernel::Region(region) = &mut kernels.kernels[r] {
                region.stores[0].strides[0] = -1
            }
        }),
        ("an element type that is not the buffer's", |kernels, r| {
            if let Kernel::Region(region) = &mut kernels.kernels[r] {
                region.loads[0].dtype = DType::I32
            }
        }),
        ("a value of itself", |kernels, r| {
            if let Kernel::Region(region) = &mut kernels.kernels[r] {
                region.code[0].code = Code::Expand(0)
            }
        }),
        ("a row where a tile is wanted", |kernels, r| {
            if let Kernel::Region(region) = &mut kernels.kernels[r] {
                region.code[0].extent = Extent::Row
            }
        }),
        ("a store twice", |kernels, r| {
            if let Kernel::Region(region) = &mut kernels.kernels[r] {
                let last = region.code[region.code.len() - 1].clone();
                region.code.push(last)
            }
        }),
        ("a root that nobody writes", |kernels, _| {
            let first = kernels.kernels.len() - 1;
            kernels.kernels.truncate(first);
            kernels.sites.truncate(first)
        }),
        ("a product longer than its operand", |kernels, _| {
            kernels.kernels.iter_mut().for_each(|kernel| {
                if let Kernel::Contract(contract) = kernel {
                    contract.k[0] += 1
                }
            })
        }),
    ];
    for (what, change) in breaks {
        let mut broken = whole.clone();
        let at = region(&mut broken);
        change(&mut broken, at);
        assert!(verify::kernels(&broken).is_err(), "not noticed: {what}\n{}", broken.print());
    }
}

#[test]
fn broken_schedules_are_noticed() {
    let (kernels, whole) = separately(ROWS);
    assert_eq!(verify::schedule(&kernels, &whole), Ok(()));
    let breaks: [(&str, fn(&mut Schedule)); 5] = [
        ("everything in one place", |schedule| schedule.offsets.fill(0)),
        ("everything in one wave", |schedule| schedule.waves = vec![0..schedule.waves.last().map_or(0, |wave| wave.end)]),
        ("a wave left out", |schedule| {
            schedule.waves.remove(1);
        }),
        ("an arena too small", |schedule| schedule.arena_bytes /= 2),
        ("a root in place of a leaf of another size", |schedule| schedule.in_place[1] = Some(0)),
    ];
    for (what, change) in breaks {
        let mut broken = whole.clone();
        change(&mut broken);
        assert!(verify::schedule(&kernels, &broken).is_err(), "not noticed: {what}\n{}{}", kernels.print(), broken.print(&kernels));
    }
}

#[test]
fn broken_graphs_are_noticed() {
    let whole = graph(ROWS);
    assert_eq!(verify::graph(&whole), Ok(()));
    let mut late = whole.clone();
    late.nodes[1].inputs[0] = 2;
    let mut wrong = whole.clone();
    wrong.nodes[2].ty.shape[0] = 4;
    let mut rootless = whole.clone();
    rootless.roots[0] = 99;
    for broken in [late, wrong, rootless] {
        assert!(verify::graph(&broken).is_err(), "{}", broken.print());
    }
}
