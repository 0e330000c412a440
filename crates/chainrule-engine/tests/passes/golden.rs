//! What each pass makes of small graphs, as text.

use crate::support::{graph, same_text};
use chainrule_engine::compile::fuse::{fuse, separate};
use chainrule_engine::compile::graph::Graph;
use chainrule_engine::compile::kernel::{Code, Kernel};
use chainrule_engine::compile::lower::{Kernels, lower, own_roots};
use chainrule_engine::compile::pipeline::{Options, compile};
use chainrule_engine::compile::schedule::schedule;
use chainrule_engine::compile::simplify::simplify;
use chainrule_engine::compile::verify;
use chainrule_engine::compile::view::views;
use chainrule_engine::{DType, Tensor};

/// Where each node's elements lie.
fn viewed(text: &str) -> String {
    let graph = graph(text);
    let views = views(&graph);
    assert_eq!(verify::views(&graph, &views), Ok(()));
    let line = |(id, view): (usize, &chainrule_engine::compile::view::View)| {
        format!("%{id}: %{} + {} {:?}\n", view.base, view.offset, &view.strides[..])
    };
    views.iter().enumerate().map(line).collect()
}

/// The groups of a graph in the order in which they run.
fn grouped(graph: &Graph) -> String {
    let fusion = fuse(graph, &views(graph));
    assert_eq!(verify::fusion(graph, &fusion), Ok(()));
    let group = |g: u32| {
        let group = &fusion.groups[g as usize];
        let members: Vec<String> = group.members.iter().map(|id| format!("%{id}")).collect();
        format!("{:?}: {}\n", group.kind, members.join(" ")).to_lowercase()
    };
    fusion.order().into_iter().map(group).collect()
}

fn lowered(graph: &Graph) -> Kernels {
    let views = views(graph);
    let kernels = lower(graph, &views, &fuse(graph, &views), Options::default());
    assert_eq!(verify::kernels(&kernels), Ok(()));
    kernels
}

/// The graph of tensors as the passes up to fusion leave it.
fn recorded(roots: &[&Tensor]) -> Graph {
    own_roots(simplify(&Graph::of(roots).0, true))
}

fn leaf(shape: &[usize]) -> Tensor {
    Tensor::placeholder(shape, DType::F32)
}

#[test]
fn movements_are_views() {
    same_text(
        "views",
        &viewed(
            "
        %0 = leaf 0 : f32 [4, 6]
        %1 = permute [1, 0] %0
        %2 = slice start [1, 0] stop [6, 4] step [2, 1] %1
        %3 = reverse [1] %2
        %4 = broadcast axes [0] sizes [5] %3
        %5 = reshape %0 : f32 [2, 2, 6]
        %6 = reshape %1 : f32 [24]
        %7 = window axes [1] sizes [3] strides [2] dilations [1] %0
        %8 = sum [0, 1, 2] %4
        %9 = sum [0, 1, 2] %5
        %10 = sum [0] %6
        %11 = sum [0, 1, 2] %7
        return %8, %9, %10, %11",
        ),
        "
        %0: %0 + 0 [6, 1]
        %1: %0 + 0 [1, 6]
        %2: %0 + 1 [2, 6]
        %3: %0 + 19 [2, -6]
        %4: %0 + 19 [0, 2, -6]
        %5: %0 + 0 [12, 6, 1]
        %6: %6 + 0 [1]
        %7: %0 + 0 [6, 2, 1]
        %8: %8 + 0 []
        %9: %9 + 0 []
        %10: %10 + 0 []
        %11: %11 + 0 []",
    );
}

#[test]
fn a_root_that_moves_has_a_value_of_its_own() {
    same_text(
        "views",
        &viewed(
            "
        %0 = leaf 0 : f32 [4, 6]
        %1 = permute [1, 0] %0
        return %1",
        ),
        "
        %0: %0 + 0 [6, 1]
        %1: %1 + 0 [4, 1]",
    );
}

#[test]
fn roots_have_nodes_of_their_own() {
    let before = graph(
        "
        %0 = leaf 0 : f32 [2]
        %1 = exp %0
        %2 = constant 1.0 : f32 [2]
        return %1, %0, %1, %2",
    );
    same_text(
        "own roots",
        &own_roots(before).print(),
        "
        %0 = leaf 0 : f32 [2]
        %1 = exp %0 : f32 [2]
        %2 = constant 1.0 : f32 [2]
        %3 = reshape %0 : f32 [2]
        %4 = reshape %1 : f32 [2]
        %5 = reshape %2 : f32 [2]
        return %1, %3, %4, %5",
    );
}

/// The counts that ARCHITECTURE.md gives for a network of 64 inputs, 128 hidden units and 10 classes, with a step of
/// gradient descent on a batch of 32.
#[test]
fn the_worked_example() -> Result<(), chainrule_engine::Error> {
    let full = |shape: &[usize]| Tensor::full(shape, 0.1, DType::F32).to_leaf();
    let (x, y) = (leaf(&[32, 64]), Tensor::placeholder([32].as_slice(), DType::I64));
    let all = [full(&[64, 128])?, full(&[128])?, full(&[128, 10])?, full(&[10])?];
    let [w, b, v, c] = &all;
    let h = (x.matmul(w) + b).relu();
    let loss = chainrule_engine::functions::loss::cross_entropy(&(h.matmul(v) + c), &y);
    let mut roots: Vec<Tensor> = all.iter().zip(loss.grad(&[w, b, v, c])?).map(|(p, g)| p - g * 0.1).collect();
    roots.push(loss);
    let (graph, leaves, _) = Graph::of(&roots.iter().collect::<Vec<_>>());
    let recorded = graph.nodes.len();
    let mut updates: Vec<Option<u32>> =
        all.iter().map(|p| leaves.iter().position(|leaf| leaf.id() == p.id()).map(|at| at as u32)).collect();
    updates.push(None);
    let compiled = compile(graph, &updates, Options::default(), |_, _, _| ());
    let (kernels, schedule) = (&compiled.kernels.kernels, &compiled.schedule);
    let counts = [recorded, compiled.graph.nodes.len(), kernels.len(), schedule.waves.len(), schedule.arena_bytes];
    assert_eq!(counts, [66, 66, 11, 6, 39_744]);
    assert_eq!(schedule.in_place[0], updates[0], "the new w is written over the old one");
    Ok(())
}

#[test]
fn softmax_is_one_region() {
    let x = leaf(&[8, 16]);
    let e = (&x - x.max_over(&[-1]).unsqueeze(-1)).exp();
    let y = &e / e.sum_over(&[-1]).unsqueeze(-1);
    same_text("softmax", &grouped(&recorded(&[&y])), "region: %1 %3 %4 %5 %7");
}

#[test]
fn layer_norm_is_one_region() {
    let (x, gain, shift) = (leaf(&[8, 16]), leaf(&[16]), leaf(&[16]));
    let centred = &x - x.sum_over(&[-1]).unsqueeze(-1) / 16.0;
    let variance = centred.square().sum_over(&[-1]).unsqueeze(-1) / 16.0;
    let y = &centred / (variance + 1e-5).sqrt() * &gain + &shift;
    let graph = recorded(&[&y]);
    assert_eq!(grouped(&graph).lines().count(), 1, "{}{}", graph.print(), grouped(&graph));
}

#[test]
fn bias_and_relu_follow_the_product_in_its_tiles() {
    let (x, w, b) = (leaf(&[32, 8]), leaf(&[8, 16]), leaf(&[16]));
    let y = (x.matmul(&w) + &b).maximum(&Tensor::zeros([32, 16]));
    let kernels = lowered(&recorded(&[&y]));
    same_text(
        "linear",
        &kernels.print(),
        "
        buffer 0: leaf 0, 256 f32
        buffer 1: leaf 1, 128 f32
        buffer 2: leaf 2, 16 f32
        buffer 3: root 0, 512 f32
        0: contract batch [] m [32] n [16] k [8]
          a b0 + 0 [8, 1] f32
          b b1 + 0 [16, 1] f32
          out b3 + 0 [16, 1] f32
          then rows [32] columns [16]
            load 0: b0 + 0 [0, 0] f32
            load 1: b2 + 0 [0, 1] f32
            store 0: b3 + 0 [16, 1] f32
            %0 = load 0 : f32
            %1 = load 1 : f32
            %2 = add %0, %1 : f32
            %3 = constant 0.0 : f32
            %4 = maximum %2, %3 : f32
            %5 = store 0 %4 : f32",
    );
}

#[test]
fn the_gradient_of_a_bias_is_accumulated_beside_its_reason() {
    let (dy, y) = (leaf(&[32, 16]), leaf(&[32, 16]));
    let dx = &dy * y.cos();
    let db = dx.sum_over(&[0]);
    let kernels = lowered(&recorded(&[&dx, &db]));
    same_text(
        "bias gradient",
        &kernels.print(),
        "
        buffer 0: leaf 0, 512 f32
        buffer 1: leaf 1, 512 f32
        buffer 2: root 0, 512 f32
        buffer 3: root 1, 16 f32
        0: region rows [32] columns [16] in parts of 32 rows
          load 0: b1 + 0 [16, 1] f32
          load 1: b0 + 0 [16, 1] f32
          store 0: b2 + 0 [16, 1] f32
          store 1: b3 + 0 [0, 1] f32
          %0 = load 0 : f32
          %1 = cos %0 : f32
          %2 = load 1 : f32
          %3 = multiply %2, %1 : f32
          %4 = store 0 %3 : f32
          %5 = accumulate 1 sum %3 : f32",
    );
    // Many rows are summed in parts, which a second kernel combines.
    let (dy, y) = (leaf(&[4096, 16]), leaf(&[4096, 16]));
    let kernels = lowered(&recorded(&[&(&dy * y.cos()).sum_over(&[0])]));
    let accumulates =
        |kernel: &Kernel| matches!(kernel, Kernel::Region(region) if region.code.iter().any(|i| matches!(i.code, Code::Accumulate(..))));
    assert!(kernels.kernels.len() == 2 && kernels.kernels.iter().all(accumulates), "{}", kernels.print());
}

#[test]
fn kernels_as_text() {
    let before = graph(
        "
        %0 = leaf 0 : f32 [4, 3]
        %1 = leaf 1 : i64 [2]
        %2 = gather batch 0 %0, %1
        %3 = scatter_add batch 0 size 4 %2, %1
        %4 = pad low [1, 0] high [0, 1] interior [0, 0] %3
        %5 = window axes [0] sizes [2] strides [1] dilations [1] %4
        %6 = sin %5
        %7 = fold axes [0] sizes [2] strides [1] dilations [1] lengths [5] %6
        return %7",
    );
    same_text(
        "kernels",
        &lowered(&before).print(),
        "
        buffer 0: leaf 0, 12 f32
        buffer 1: leaf 1, 2 i64
        buffer 2: root 0, 20 f32
        buffer 3: temporary, 6 f32
        buffer 4: temporary, 12 f32
        buffer 5: temporary, 20 f32
        buffer 6: temporary, 32 f32
        0: region rows [2] columns [3]
          load 0: b0 + 0 [0, 1] f32
          load 1: b1 + 0 [1, 0] i64
          store 0: b3 + 0 [3, 1] f32
          %0 = load 1 : i64 per row
          %1 = load 0 at %0 * 3 below 4 : f32
          %2 = store 0 %1 : f32
        1: scatter add batch 1 count 2 limit 4 rest 3
          index b1 + 0 [1] i64
          updates b3 + 0 [3, 1] f32
          out b4 + 0 [3, 1] f32
        2: fill 20 x 0.0 of b5 + 0 [4, 1] f32
        3: region rows [4] columns [3]
          load 0: b4 + 0 [3, 1] f32
          store 0: b5 + 4 [4, 1] f32
          %0 = load 0 : f32
          %1 = store 0 %0 : f32
        4: region rows [4, 4] columns [2]
          load 0: b5 + 0 [4, 1, 4] f32
          store 0: b6 + 0 [8, 2, 1] f32
          %0 = load 0 : f32
          %1 = sin %0 : f32
          %2 = store 0 %1 : f32
        5: fold outer [] sizes [5] counts [4] windows [2] strides [1] dilations [1] rest [4]
          input b6 + 0 [8, 1, 2] f32
          out b2 + 0 [4, 1] f32",
    );
}

#[test]
fn buffers_share_memory_when_they_do_not_live_together() {
    let before = graph(
        "
        %0 = leaf 0 : f32 [64, 64]
        %1 = leaf 1 : f32 [64, 64]
        %2 = einsum ij,jk->ik %0, %1
        %3 = einsum ij,jk->ik %2, %1
        %4 = einsum ij,jk->ik %3, %1
        %5 = einsum ij,jk->ik %4, %1
        return %5",
    );
    let views = views(&before);
    let kernels = lower(&before, &views, &separate(&before, &views), Options::default());
    let shared = schedule(&kernels, &[None], true);
    assert_eq!(verify::schedule(&kernels, &shared), Ok(()));
    same_text(
        "schedule",
        &shared.print(&kernels),
        "
        wave 0: 0
        wave 1: 1
        wave 2: 2
        wave 3: 3
        buffer 3: bytes 0..16384
        buffer 4: bytes 16384..32768
        buffer 5: bytes 0..16384
        arena: 32768 bytes",
    );
    let apart = schedule(&kernels, &[None], false);
    assert_eq!((verify::schedule(&kernels, &apart), apart.arena_bytes), (Ok(()), 3 * 16384));
}

#[test]
fn what_does_not_depend_on_each_other_runs_in_one_wave() {
    let before = graph(
        "
        %0 = leaf 0 : f32 [8]
        %1 = leaf 1 : f32 [9]
        %2 = exp %0
        %3 = sin %1
        %4 = reverse [0] %2
        %5 = add %4, %2
        return %2, %3, %5",
    );
    let kernels = lowered(&before);
    let schedule = schedule(&kernels, &[None; 3], true);
    same_text(
        "waves",
        &schedule.print(&kernels),
        "
        wave 0: 0, 1
        wave 1: 2
        arena: 0 bytes",
    );
}

#[test]
fn a_state_is_replaced_in_place_when_nobody_reads_it_later() {
    let update = |text: &str| {
        let before = own_roots(graph(text));
        let kernels = lowered(&before);
        let schedule = schedule(&kernels, &[Some(0), None][..before.roots.len()], true);
        assert_eq!(verify::schedule(&kernels, &schedule), Ok(()));
        schedule.in_place[0]
    };
    // Each element is read just before it is written.
    assert_eq!(update("%0 = leaf 0 : f32 [8]\n%1 = leaf 1 : f32 [8]\n%2 = sub %0, %1\nreturn %2"), Some(0));
    // Reversed, an element would be read after its place was written over.
    assert_eq!(update("%0 = leaf 0 : f32 [8]\n%1 = reverse [0] %0\n%2 = sub %0, %1\nreturn %2"), None);
    // The old value is wanted, too.
    assert_eq!(update("%0 = leaf 0 : f32 [8]\n%1 = exp %0\nreturn %1, %0"), None);
    // A product reads its operands again and again.
    assert_eq!(update("%0 = leaf 0 : f32 [8, 8]\n%1 = einsum ij,jk->ik %0, %0\nreturn %1"), None);
}
