//! The forms of the compiler as text: a graph can be printed and read back, kernels and a schedule
//! are printed for people and golden tests.
//!
//! A graph has one node a line, `%3 = sum [0, 2] %1 : f32 [4]`, and `return %3` at the end. When
//! it is read, types may be left out where the operation says them. Refuses to read the kernels:
//! no test writes them by hand.

mod kernels;
mod parse;

use super::graph::{Graph, GraphNode};
use crate::ops::{Body, Einsum, Op, Operation, Scalar};
use crate::tensor::Result;
use std::fmt::Write;

impl Graph {
    /// The graph as text. [`Graph::parse`] reads it back.
    ///
    /// ```
    /// use chainrule_engine::{Tensor, compile::graph::Graph};
    /// let x = Tensor::from([1.0, 2.0]);
    /// let (graph, ..) = Graph::of(&[&x.exp().sum()]);
    /// let text = "%0 = leaf 0 : f32 [2]\n%1 = exp %0 : f32 [2]\n%2 = sum [0] %1 : f32 []\nreturn %2\n";
    /// assert_eq!(graph.print(), text);
    /// assert!(Graph::parse(text)?.same_structure(&graph));
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    pub fn print(&self) -> String {
        let mut text = String::new();
        for (id, node) in self.nodes.iter().enumerate() {
            let _ = write!(text, "%{id} = {}", describe(node));
            for (i, input) in node.inputs.iter().enumerate() {
                let _ = write!(text, "{}%{input}", if i == 0 { " " } else { ", " });
            }
            let _ = writeln!(text, " : {} {:?}", node.ty.dtype, &node.ty.shape[..]);
        }
        let roots: Vec<String> = self.roots.iter().map(|root| format!("%{root}")).collect();
        let _ = writeln!(text, "return {}", roots.join(", "));
        text
    }

    /// The graph that a text describes, in the form of [`Graph::print`]. Nodes must be numbered in
    /// order; a type may be left out unless it is a parameter (of a leaf, a constant, coordinates,
    /// a cast, a reshape, a loop, a branch). Bodies stand between braces, their nodes apart by semicolons. A custom derivative comes back as its name alone.
    ///
    /// # Errors
    /// With the number of the first line that makes no sense, or whose type is not what its
    /// operation gives.
    pub fn parse(text: &str) -> Result<Graph> {
        parse::graph(text)
    }
}

/// An operation with its parameters.
fn describe(node: &GraphNode) -> String {
    if let Some(leaf) = node.leaf {
        return format!("leaf {leaf}");
    }
    let name = node.op.name();
    match &node.op {
        Op::Constant(constant) => format!("constant {}", literal(constant.value)),
        Op::Iota(iota) => format!("iota {}", iota.axis),
        Op::Random(random) => format!("random bits {} shape {:?} offset {}", random.bits, &random.shape[..], random.offset),
        Op::Permute(order) => format!("{name} {:?}", &order.0[..]),
        Op::Reverse(axes) => format!("{name} {:?}", &axes.0[..]),
        Op::Sum(axes) => format!("{name} {:?}", &axes.0[..]),
        Op::Max(axes) => format!("{name} {:?}", &axes.0[..]),
        Op::Broadcast(op) => format!("{name} axes {:?} sizes {:?}", &op.axes[..], &op.sizes[..]),
        Op::Slice(op) => format!("{name} start {:?} stop {:?} step {:?}", &op.start[..], &op.stop[..], &op.step[..]),
        Op::Pad(op) => format!("{name} low {:?} high {:?} interior {:?}", &op.low[..], &op.high[..], &op.interior[..]),
        Op::Concat(concat) => format!("{name} axis {}", concat.axis),
        Op::Window(op) => format!("{name} {}", windows(op)),
        Op::Fold(fold) => format!("{name} {} lengths {:?}", windows(&fold.window), &fold.lengths[..]),
        Op::CumulativeSum(sum) => format!("{name} axis {}{}", sum.axis, if sum.reverse { " reverse" } else { "" }),
        Op::Einsum(einsum) => format!("{name} {}", labels(einsum)),
        Op::Gather(gather) => format!("{name} batch {}", gather.batch),
        Op::ScatterAdd(scatter) => format!("{name} batch {} size {}", scatter.batch, scatter.size),
        Op::ScatterReduce(scatter) => format!("{name} {} batch {} size {}", scatter.how.name(), scatter.batch, scatter.size),
        Op::ArgSort(sort) => {
            let first = sort.first.map_or(String::new(), |first| format!(" first {first}"));
            format!("{name}{}{first}", if sort.descending { " descending" } else { "" })
        }
        Op::Scan(scan) => {
            let reverse = if scan.reverse { " reverse" } else { "" };
            let (carries, sequences, length) = (scan.carries, scan.sequences, scan.length);
            format!("{name} carries {carries} sequences {sequences} length {length}{reverse} {}", programs(scan.bodies()))
        }
        Op::Switch(_) | Op::While(_) => format!("{name} {}", programs(node.op.bodies())),
        Op::HostCall(call) => {
            let (function, parameters) = (word(call.function.0.name()), call.function.0.parameters());
            let parameters = if parameters.is_empty() { String::new() } else { format!(" of {}", word(&parameters)) };
            format!("{name} {function}{parameters} batch {}", call.batch)
        }
        Op::Custom(custom) => format!("{name} {} levels {}", word(custom.rule.name()), custom.levels),
        Op::Input(_)
        | Op::Unary(_)
        | Op::Binary(_)
        | Op::Select(_)
        | Op::Cast(_)
        | Op::Reshape(_)
        | Op::StopGradient(_)
        | Op::Barrier(_)
        | Op::Poison(_) => name.to_string(),
    }
}

/// Bodies, each a graph between braces, in one line.
fn programs(bodies: &[Body]) -> String {
    let graph = |body: &Body| super::control::graph(body, 0..body.outputs().len(), 0).print();
    let one = |body: &Body| format!("{{{}}}", graph(body).trim_end().replace('\n', "; "));
    bodies.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn windows(op: &crate::ops::Window) -> String {
    format!("axes {:?} sizes {:?} strides {:?} dilations {:?}", &op.axes[..], &op.sizes[..], &op.strides[..], &op.dilations[..])
}

/// A number such that reading it gives the same bits; a float has a point, an exponent or a name.
fn literal(value: Scalar) -> String {
    match value {
        Scalar::Integer(value) => value.to_string(),
        Scalar::Float(bits) => {
            let value = f64::from_bits(bits);
            if value.is_nan() && bits != f64::NAN.to_bits() { format!("bits {bits:#x}") } else { format!("{value:?}") }
        }
    }
}

/// `ij,jk->ik`, or lists of numbers where a label is no letter (vmap makes such); and the precision, if one was chosen.
fn labels(einsum: &Einsum) -> String {
    let all = [&einsum.a, &einsum.b, &einsum.out];
    let precision = einsum.precision.map_or(String::new(), |precision| format!(" precision {precision}"));
    if all.iter().all(|list| list.iter().all(u8::is_ascii_alphabetic)) {
        let [a, b, out] = all.map(|list| String::from_utf8_lossy(list).into_owned());
        return format!("{a},{b}->{out}{precision}");
    }
    format!("a {:?} b {:?} out {:?}{precision}", &einsum.a[..], &einsum.b[..], &einsum.out[..])
}

/// A user's name as one word.
fn word(name: &str) -> String {
    let kept = |c: char| if c.is_alphanumeric() || "_-.".contains(c) { c } else { '_' };
    if name.is_empty() { "_".into() } else { name.chars().map(kept).collect() }
}
