//! What must hold of each form after the pass that made it.
//!
//! Debug builds and tests check it; release builds do not. Refuses to judge whether a form is any
//! good: only whether the next pass may rely on it.

mod kernels;
mod schedule;

pub use kernels::kernels;
pub use schedule::schedule;

use super::fuse::{Fusion, Kind, is_elementwise};
use super::graph::Graph;
use super::pipeline::Compilation;
use super::view::View;
use crate::ops::Operation;
use crate::tensor::Type;

/// What does not hold, in words.
pub type Verdict = Result<(), String>;

/// Checks what the pass of this name made.
pub fn after(pass: &str, compilation: &Compilation) -> Verdict {
    match pass {
        "simplify" | "loops" | "stages" | "sums" | "layout" | "remake" | "own roots" => graph(&compilation.graph),
        "view" => views(&compilation.graph, &compilation.views),
        "fuse" => fusion(&compilation.graph, &compilation.fusion),
        "recompute" => fusion(&compilation.graph, &compilation.fusion).and_then(|()| recomputed(compilation)),
        "lower" | "seats" | "addends" => kernels(&compilation.kernels),
        "schedule" => schedule(&compilation.kernels, &compilation.schedule),
        _ => Ok(()),
    }
}

/// `Err` with a message unless `holds`.
fn ensure(holds: bool, message: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(message()) }
}

/// Inputs come before what uses them, types are what the operations give, roots and leaves are there.
pub fn graph(graph: &Graph) -> Verdict {
    for (id, node) in graph.nodes.iter().enumerate() {
        let early = node.inputs.iter().all(|&input| (input as usize) < id);
        ensure(early, || format!("%{id} uses {:?}, which do not come before it", &node.inputs[..]))?;
        if let Some(leaf) = node.leaf {
            ensure(leaf < graph.leaves && node.inputs.is_empty(), || format!("%{id} is leaf {leaf} of {}", graph.leaves))?;
            continue;
        }
        let types: Vec<&Type> = node.inputs.iter().map(|&input| &graph.node(input).ty).collect();
        let inferred = node.op.infer(&types).map_err(|error| format!("%{id}: {error}"))?;
        ensure(inferred == node.ty, || format!("%{id} {} is {:?}, not {:?}", node.op.name(), inferred, node.ty))?;
    }
    ensure(graph.roots.iter().all(|&root| (root as usize) < graph.nodes.len()), || "a root is no node".into())
}

/// Every view is of an earlier dense value and stays inside it.
pub fn views(graph: &Graph, views: &[View]) -> Verdict {
    ensure(views.len() == graph.nodes.len(), || "not one view for each node".into())?;
    for (id, view) in views.iter().enumerate() {
        let node = &graph.nodes[id];
        let base = view.base as usize;
        ensure(base <= id && views[base].base as usize == base, || format!("%{id} views %{base}, which is a view"))?;
        ensure(view.strides.len() == node.ty.shape.len(), || format!("%{id} has {} strides", view.strides.len()))?;
        let inside = within(view.offset, &view.strides, &node.ty.shape, graph.nodes[base].ty.len());
        ensure(inside, || format!("%{id} reaches outside %{base}: {view:?} over {:?}", &node.ty.shape[..]))?;
    }
    Ok(())
}

/// Groups and places agree, and groups can be put in order.
pub fn fusion(graph: &Graph, fusion: &Fusion) -> Verdict {
    let members: usize = fusion.groups.iter().map(|group| group.members.len()).sum();
    ensure(members == fusion.place.iter().flatten().count(), || "a node is in two groups or in none".into())?;
    // A group whose members joined another is left empty.
    for (g, group) in fusion.groups.iter().enumerate().filter(|(_, group)| !group.members.is_empty()) {
        let home = |&id: &u32| fusion.place[id as usize].is_some_and(|(place, _)| place as usize == g);
        ensure(group.members.iter().all(home), || format!("group {g} holds a node of another"))?;
        // A product stands first, whatever follows it.
        let first = usize::from(group.kind == Kind::Contract);
        ensure(group.members[first..].is_sorted(), || format!("group {g} is not in order"))?;
        if group.kind == Kind::Single {
            continue;
        }
        let (sizes, rows) = group.axes();
        ensure(sizes.iter().product::<usize>() == group.total, || {
            format!("the axes {sizes:?} of group {g} hold not {} points", group.total)
        })?;
        let columns: usize = sizes[rows..].iter().product();
        ensure(group.columns.is_none_or(|wanted| wanted == columns), || {
            format!("group {g} has {columns} columns, not {:?}", group.columns)
        })?;
    }
    let mut position = vec![usize::MAX; fusion.groups.len()];
    fusion.order().into_iter().enumerate().for_each(|(at, g)| position[g as usize] = at);
    let left = fusion.groups.iter().zip(&position).any(|(group, &at)| at == usize::MAX && !group.members.is_empty());
    ensure(!left, || "groups wait for each other".into())?;
    for (id, node) in graph.nodes.iter().enumerate() {
        let place = |id: usize| fusion.place[id].map(|(g, _)| position[g as usize]);
        for &input in &node.inputs {
            if let (Some(own), Some(needed)) = (place(id), place(input as usize)) {
                ensure(needed <= own, || format!("%{id} would run before %{input}"))?;
            }
        }
    }
    Ok(())
}

/// What is computed again is made element by element of what is in memory, or is computed again too;
/// and no kernel that must read memory asks for it.
pub fn recomputed(compilation: &Compilation) -> Verdict {
    let Compilation { graph, views, fusion, .. } = compilation;
    for (id, node) in graph.nodes.iter().enumerate() {
        if fusion.again[id] {
            ensure(is_elementwise(&node.op) && !graph.roots.contains(&(id as u32)), || format!("%{id} cannot be computed again"))?;
        }
        // Products and kernels of their own read all their inputs from memory.
        let needs_memory = fusion.place[id].is_some_and(|(group, _)| {
            let group = &fusion.groups[group as usize];
            group.kind != Kind::Region && group.members.first() == Some(&(id as u32))
        });
        for &input in node.inputs.iter().filter(|_| needs_memory) {
            let base = views[input as usize].base;
            ensure(!fusion.again[base as usize], || format!("%{id} reads %{base}, which is in no memory"))?;
        }
    }
    Ok(())
}

/// Whether every element that strides over `sizes` reach lies in a run of `len`.
fn within(offset: isize, strides: &[isize], sizes: &[usize], len: usize) -> bool {
    if sizes.contains(&0) {
        return true;
    }
    let ends = strides.iter().zip(sizes).map(|(&stride, &size)| stride * (size as isize - 1));
    let (low, high) = ends.fold((offset, offset), |(low, high), end| (low + end.min(0), high + end.max(0)));
    low >= 0 && high < len as isize
}
