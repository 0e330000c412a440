//! The passes, in order, as a list; one observer sees what each of them made.

use super::addends::add_in_place;
use super::fuse::{Fusion, fuse, separate};
use super::graph::Graph;
use super::layout::lay_out;
use super::loops::share_loops;
use super::lower::{Kernels, lower, own_roots};
use super::one_hot::as_one_hot;
use super::recompute::recompute;
use super::remake::remake;
use super::schedule::{Schedule, schedule};
use super::seats::seat;
use super::simplify::simplify;
use super::stages::in_stages;
use super::sums::gather_sums;
use super::verify;
use super::view::{View, views};
use super::windows::as_windows;
use crate::tensor::Precision;
use std::time::{Duration, Instant};

/// Which passes may improve a program. All do by default; the values are the same without, but for
/// rewrites that change the order of a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    /// Apply the table of rewrites, merge equal nodes, drop dead ones, gather sums of products. Without, only the
    /// rewrites that later passes rely on.
    pub simplify: bool,
    /// Run operations together in one kernel.
    pub fuse: bool,
    /// Compute again what is cheaper to compute than to keep; only with `fuse`.
    pub recompute: bool,
    /// Make the gradient of a convolution's input by a product of windows instead of patches that are added up; only with
    /// `simplify`.
    pub windows: bool,
    /// Let buffers that do not live at the same time share memory.
    pub reuse_memory: bool,
    /// How exact products have to be for which no precision was chosen while recording.
    pub precision: Precision,
}

impl Default for Options {
    fn default() -> Options {
        Options { simplify: true, fuse: true, recompute: true, windows: true, reuse_memory: true, precision: Precision::default() }
    }
}

/// Everything the passes make of a graph, in the order in which they make it.
#[derive(Default)]
pub struct Compilation {
    /// What may be done.
    pub options: Options,
    /// Of each root, the leaf that it will replace.
    pub updates: Vec<Option<u32>>,
    /// What was asked for.
    pub asked: Graph,
    /// The graph, as the last pass left it.
    pub graph: Graph,
    /// Where each node's elements lie.
    pub views: Vec<View>,
    /// Which nodes run together.
    pub fusion: Fusion,
    /// The kernels.
    pub kernels: Kernels,
    /// Waves and memory.
    pub schedule: Schedule,
}

/// A step of compilation.
pub struct Pass {
    /// Its name in dumps and timings.
    pub name: &'static str,
    run: fn(&mut Compilation),
}

/// All passes, in order.
pub static PASSES: &[Pass] = &[
    Pass { name: "simplify", run: |c| c.graph = simplify(&c.asked, c.options.simplify) },
    Pass {
        name: "loops",
        run: |c| {
            if c.options.simplify {
                c.graph = share_loops(std::mem::take(&mut c.graph));
            }
        },
    },
    Pass {
        name: "stages",
        run: |c| {
            if c.options.simplify {
                c.graph = in_stages(std::mem::take(&mut c.graph));
            }
        },
    },
    Pass {
        name: "one hot",
        run: |c| {
            if c.options.simplify {
                c.graph = as_one_hot(std::mem::take(&mut c.graph));
            }
        },
    },
    Pass {
        name: "sums",
        run: |c| {
            if c.options.simplify {
                c.graph = gather_sums(std::mem::take(&mut c.graph));
            }
        },
    },
    Pass {
        name: "windows",
        run: |c| {
            if c.options.simplify && c.options.windows {
                c.graph = as_windows(std::mem::take(&mut c.graph));
            }
        },
    },
    Pass {
        name: "layout",
        run: |c| {
            if c.options.simplify {
                c.graph = lay_out(std::mem::take(&mut c.graph));
            }
        },
    },
    Pass {
        name: "remake",
        run: |c| {
            if c.options.fuse && c.options.recompute {
                c.graph = remake(std::mem::take(&mut c.graph));
            }
        },
    },
    Pass { name: "own roots", run: |c| c.graph = own_roots(std::mem::take(&mut c.graph)) },
    Pass { name: "view", run: |c| c.views = views(&c.graph) },
    Pass { name: "fuse", run: |c| c.fusion = if c.options.fuse { fuse(&c.graph, &c.views) } else { separate(&c.graph, &c.views) } },
    Pass {
        name: "recompute",
        run: |c| {
            if c.options.fuse && c.options.recompute {
                recompute(&c.graph, &c.views, &mut c.fusion);
            }
        },
    },
    Pass { name: "lower", run: |c| c.kernels = lower(&c.graph, &c.views, &c.fusion, c.options) },
    Pass {
        name: "seats",
        run: |c| {
            if c.options.fuse {
                c.kernels = seat(std::mem::take(&mut c.kernels));
            }
        },
    },
    Pass {
        name: "addends",
        run: |c| {
            if c.options.fuse && c.options.simplify {
                c.kernels = add_in_place(std::mem::take(&mut c.kernels));
            }
        },
    },
    Pass { name: "schedule", run: |c| c.schedule = schedule(&c.kernels, &c.updates, c.options.reuse_memory) },
];

/// Runs all passes. `observe` is called after each with its name, what there is by then, and how
/// long the pass took.
pub fn compile(
    graph: Graph,
    updates: &[Option<u32>],
    options: Options,
    mut observe: impl FnMut(&'static str, &Compilation, Duration),
) -> Compilation {
    let mut compilation = Compilation { options, updates: updates.to_vec(), asked: graph, ..Compilation::default() };
    for pass in PASSES {
        let start = Instant::now();
        (pass.run)(&mut compilation);
        debug_assert_eq!(verify::after(pass.name, &compilation), Ok(()), "after {}", pass.name);
        observe(pass.name, &compilation, start.elapsed());
    }
    compilation
}
