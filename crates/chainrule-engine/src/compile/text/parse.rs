//! Reads the text of a graph.
//!
//! Trusts nothing: what comes out obeys the shape rule of every operation, or an error names the line.

use crate::compile::graph::{Graph, GraphNode, NodeId};
use crate::ops::body::BodyNode;
use crate::ops::contract::Labels;
use crate::ops::elementwise::{BINARY, UNARY};
use crate::ops::host::{FromText, Hosted};
use crate::ops::{
    ArgSort, Barrier, Body, Broadcast, Cast, Combine, Concat, Constant, CumulativeSum, Custom, CustomRule, Einsum, Fold, Gather, HostCall,
    Input, Iota, Max, Op, Operation, Pad, Permute, Random, Reshape, Reverse, Scalar, Scan, ScatterAdd, ScatterReduce, Select, Slice,
    StopGradient, Sum, Switch, While, Window,
};
use crate::tensor::{DType, Error, ErrorKind, Origin, Precision, Result, Shape, Tensor, Type};
use smallvec::SmallVec;
use std::panic::Location;
use std::sync::Arc;

/// See [`Graph::parse`].
#[track_caller]
pub fn graph(text: &str) -> Result<Graph> {
    let mut graph = Graph::default();
    let mut returned = false;
    for (number, line) in text.lines().enumerate() {
        let mistake =
            |message: String| Error::new(ErrorKind::Argument, "parse", format!("line {}: {message}: `{}`", number + 1, line.trim()));
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if returned {
            return Err(mistake("nothing may follow `return`".into()));
        }
        match line.strip_prefix("return") {
            Some(roots) => {
                graph.roots = references(roots, graph.nodes.len()).map_err(mistake)?.into_iter().collect();
                returned = true;
            }
            None => {
                let node = node(line, &graph).map_err(mistake)?;
                graph.leaves = graph.leaves.max(node.leaf.map_or(0, |leaf| leaf.saturating_add(1)));
                graph.nodes.push(node);
            }
        }
    }
    if returned { Ok(graph) } else { Err(Error::new(ErrorKind::Argument, "parse", "the last line must be `return` and the results")) }
}

/// `%1, %2`, each less than `limit`.
fn references(text: &str, limit: usize) -> Result<SmallVec<[NodeId; 3]>, String> {
    let one = |word: &str| {
        let id = word.trim().strip_prefix('%').and_then(|digits| digits.parse::<NodeId>().ok());
        id.filter(|&id| (id as usize) < limit).ok_or_else(|| format!("`{}` is no node of an earlier line", word.trim()))
    };
    if text.trim().is_empty() { Ok(SmallVec::new()) } else { text.split(',').map(one).collect() }
}

fn node(line: &str, graph: &Graph) -> Result<GraphNode, String> {
    let (line, bodies) = without_bodies(line)?;
    let (name, rest) = line.split_once('=').ok_or("a node is written `%0 = operation inputs : type`")?;
    if name.trim() != format!("%{}", graph.nodes.len()) {
        return Err(format!("the next node is %{}", graph.nodes.len()));
    }
    let (body, ty) = match rest.rsplit_once(" : ") {
        Some((body, ty)) => (body, Some(type_of(ty)?)),
        None => (rest, None),
    };
    let (words, inputs) = body.split_at(body.find('%').unwrap_or(body.len()));
    let inputs = references(inputs, graph.nodes.len())?;
    let mut words = Words::new(words)?;
    let kind = words.name()?;
    let site = graph.nodes.len() as u32;
    if kind == "leaf" {
        let leaf = words.number("")?;
        let ty = ty.filter(|ty| ty.checked_len().is_some()).ok_or("a leaf needs a type that fits a memory")?;
        return words.end(GraphNode { op: Input.into(), inputs, ty, leaf: Some(leaf), site });
    }
    let op = if bodies.is_empty() { operation(&kind, &mut words, ty.as_ref())? } else { control(&kind, &mut words, ty.as_ref(), bodies)? };
    let wanted = arity(&op);
    if wanted.is_some_and(|wanted| wanted != inputs.len()) || (wanted.is_none() && inputs.is_empty()) {
        return Err(format!("{} inputs are not what `{kind}` takes", inputs.len()));
    }
    let types: Vec<&Type> = inputs.iter().map(|&id| &graph.node(id).ty).collect();
    let inferred = op.infer(&types).map_err(|error| error.to_string())?;
    match ty {
        Some(ty) if ty != inferred => Err(format!("the type is {} {:?}", inferred.dtype, &inferred.shape[..])),
        _ if inferred.checked_len().is_none() => Err("too large for any memory".into()),
        _ => words.end(GraphNode { op, inputs, ty: inferred, leaf: None, site }),
    }
}

/// How many inputs an operation takes; `None`: one or more.
fn arity(op: &Op) -> Option<usize> {
    match op {
        Op::Input(_) | Op::Constant(_) | Op::Iota(_) | Op::Poison(_) => Some(0),
        Op::Binary(_) | Op::Einsum(_) | Op::Gather(_) | Op::ScatterAdd(_) | Op::ScatterReduce(_) | Op::Barrier(_) => Some(2),
        Op::Select(_) => Some(3),
        Op::Concat(_) | Op::Custom(_) | Op::HostCall(_) | Op::Scan(_) | Op::Switch(_) | Op::While(_) => None,
        _ => Some(1),
    }
}

fn operation(kind: &str, words: &mut Words<'_>, ty: Option<&Type>) -> Result<Op, String> {
    let typed = || ty.cloned().ok_or_else(|| format!("`{kind}` needs a type"));
    if let Some(row) = UNARY.iter().find(|row| row.name == kind) {
        return Ok(row.op.into());
    }
    if let Some(row) = BINARY.iter().find(|row| row.name == kind) {
        return Ok(row.op.into());
    }
    Ok(match kind {
        "constant" => Constant { value: words.literal()?, ty: typed()? }.into(),
        "iota" => Iota { axis: words.number("")?, ty: typed()? }.into(),
        "random" => Random { bits: words.number("bits")?, shape: words.list("shape")?, offset: words.number("offset")? }.into(),
        "select" => Select.into(),
        "cast" => Cast(typed()?.dtype).into(),
        "reshape" => Reshape(typed()?.shape).into(),
        "permute" => Permute(words.list("")?).into(),
        "broadcast" => Broadcast { axes: words.list("axes")?, sizes: words.list("sizes")? }.into(),
        "slice" => Slice { start: words.list("start")?, stop: words.list("stop")?, step: words.list("step")? }.into(),
        "pad" => Pad { low: words.list("low")?, high: words.list("high")?, interior: words.list("interior")? }.into(),
        "reverse" => Reverse(words.list("")?).into(),
        "concat" => Concat { axis: words.number("axis")? }.into(),
        "window" => window(words)?.into(),
        "fold" => Fold { window: window(words)?, lengths: words.list("lengths")? }.into(),
        "sum" => Sum(words.list("")?).into(),
        "max" => Max(words.list("")?).into(),
        "cumulative_sum" => CumulativeSum { axis: words.number("axis")?, reverse: words.flag("reverse") }.into(),
        "einsum" => einsum(words)?.into(),
        "gather" => Gather { batch: words.number("batch")? }.into(),
        "scatter_add" => ScatterAdd { batch: words.number("batch")?, size: words.number("size")? }.into(),
        "scatter_reduce" => {
            let how = Combine::ALL.into_iter().find(|how| words.flag(how.name())).ok_or("there is no such reduction")?;
            ScatterReduce { batch: words.number("batch")?, size: words.number("size")?, how }.into()
        }
        "argsort" => {
            let descending = words.flag("descending");
            ArgSort { descending, first: if words.flag("first") { Some(words.number("")?) } else { None } }.into()
        }
        "host_call" => host_call(words, &typed()?)?.into(),
        "detach" => StopGradient.into(),
        "barrier" => Barrier.into(),
        "custom" => Custom { rule: Arc::new(Named(words.name()?)), levels: words.number("levels")? }.into(),
        _ => return Err(format!("there is no operation `{kind}`")),
    })
}

/// A line without what stands between braces, and that.
fn without_bodies(line: &str) -> Result<(String, Vec<Body>), String> {
    let (mut rest, mut bodies, mut depth, mut start) = (String::new(), Vec::new(), 0_usize, 0);
    for (at, c) in line.char_indices() {
        match c {
            '{' => {
                depth += 1;
                start = if depth == 1 { at + 1 } else { start };
            }
            '}' => {
                depth = depth.checked_sub(1).ok_or("a `}` has no `{`")?;
                if depth == 0 {
                    bodies.push(body(&line[start..at])?);
                }
            }
            c if depth == 0 => rest.push(c),
            _ => (),
        }
        if depth > MOST_NESTED {
            return Err(format!("bodies lie more than {MOST_NESTED} deep in each other"));
        }
    }
    if depth == 0 { Ok((rest, bodies)) } else { Err("a `{` has no `}`".into()) }
}

/// Bodies in bodies in bodies: reading them is recursive.
const MOST_NESTED: usize = 32;

/// What stands between two braces: a graph, its leaves first.
fn body(text: &str) -> Result<Body, String> {
    let (mut lines, mut depth) = (String::new(), 0_usize);
    for c in text.chars() {
        depth = if c == '{' {
            depth + 1
        } else if c == '}' {
            depth.saturating_sub(1)
        } else {
            depth
        };
        lines.push(if c == ';' && depth == 0 { '\n' } else { c });
    }
    let found = graph(&lines).map_err(|error| error.to_string())?;
    let inputs = found.nodes.iter().filter(|node| node.leaf.is_some()).count();
    if found.nodes.iter().take(inputs).enumerate().any(|(at, node)| node.leaf != Some(at as u32)) {
        return Err("the leaves of a body come first, in order".into());
    }
    let origins = vec![Origin::here(Location::caller()); found.nodes.len()];
    let node = |node: GraphNode| BodyNode { op: node.op, inputs: node.inputs, ty: node.ty };
    Ok(Body::new(found.nodes.into_iter().map(node).collect(), inputs, found.roots, origins))
}

/// An operation with bodies; the type says which of its results it gives.
fn control(kind: &str, words: &mut Words<'_>, ty: Option<&Type>, mut bodies: Vec<Body>) -> Result<Op, String> {
    let dtype = ty.ok_or_else(|| format!("`{kind}` needs a type"))?.dtype;
    Ok(match (kind, bodies.len()) {
        ("scan", 1) => Scan {
            carries: words.number("carries")?,
            sequences: words.number("sequences")?,
            length: words.number("length")?,
            reverse: words.flag("reverse"),
            body: bodies.remove(0),
            dtype,
        }
        .into(),
        ("switch", _) => Switch { branches: bodies, dtype }.into(),
        ("while_loop", 2) => {
            let body = bodies.remove(1);
            While { bodies: [bodies.remove(0), body], dtype }.into()
        }
        _ => return Err(format!("`{kind}` has not {} bodies", bodies.len())),
    })
}

fn host_call(words: &mut Words<'_>, ty: &Type) -> Result<HostCall, String> {
    let name = words.name()?;
    let parameters = if words.flag("of") { words.name()? } else { String::new() };
    let batch: u32 = words.number("batch")?;
    let shape = ty.shape.get(batch as usize..).ok_or_else(|| format!("a type without {batch} leading axes"))?.into();
    Ok(HostCall { function: Hosted(Arc::new(FromText { name, parameters, shape })), batch })
}

fn window(words: &mut Words<'_>) -> Result<Window, String> {
    Ok(Window {
        axes: words.list("axes")?,
        sizes: words.list("sizes")?,
        strides: words.list("strides")?,
        dilations: words.list("dilations")?,
    })
}

fn einsum(words: &mut Words<'_>) -> Result<Einsum, String> {
    if words.flag("a") {
        let byte = |n| u8::try_from(n).map_err(|_| format!("label {n} is more than 255"));
        let bytes = |list: Shape| -> Result<Labels, String> { list.into_iter().map(byte).collect() };
        let einsum = Einsum::of(bytes(words.list("")?)?, bytes(words.list("b")?)?, bytes(words.list("out")?)?);
        return Ok(Einsum { precision: precision(words)?, ..einsum });
    }
    let form = words.name()?;
    let parts = form.split_once(',').and_then(|(a, rest)| rest.split_once("->").map(|(b, out)| (a, b, out)));
    let (a, b, out) = parts.ok_or("labels are written `ij,jk->ik`")?;
    let einsum = Einsum::new(a, b, out);
    Ok(Einsum { precision: precision(words)?, ..einsum })
}

fn precision(words: &mut Words<'_>) -> Result<Option<Precision>, String> {
    if words.flag("precision") { words.name()?.parse().map(Some) } else { Ok(None) }
}

/// `f32 [2, 3]`.
fn type_of(text: &str) -> Result<Type, String> {
    let mut words = Words::new(text)?;
    let name = words.name()?;
    let dtype = DType::ALL.into_iter().find(|dtype| dtype.name() == name).ok_or_else(|| format!("there is no element type `{name}`"))?;
    let shape: Shape = words.list("")?;
    words.end(Type::new(shape, dtype))
}

/// Words, and lists in brackets, from left to right.
struct Words<'a> {
    rest: std::collections::VecDeque<&'a str>,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Result<Words<'a>, String> {
        let mut rest = std::collections::VecDeque::new();
        let mut text = text.trim();
        while !text.is_empty() {
            let end = match text.starts_with('[') {
                true => text.find(']').ok_or("a list has no end")? + 1,
                false => text.find([' ', '[']).unwrap_or(text.len()),
            };
            rest.push_back(&text[..end]);
            text = text[end..].trim_start();
        }
        Ok(Words { rest })
    }

    fn name(&mut self) -> Result<String, String> {
        self.rest.pop_front().map(String::from).ok_or_else(|| "a word is missing".into())
    }

    /// Takes the next word if it is `key`.
    fn flag(&mut self, key: &str) -> bool {
        let there = self.rest.front() == Some(&key);
        if there {
            self.rest.pop_front();
        }
        there
    }

    fn key(&mut self, key: &str) -> Result<(), String> {
        if key.is_empty() || self.flag(key) { Ok(()) } else { Err(format!("`{key}` is missing")) }
    }

    fn number<T: std::str::FromStr>(&mut self, key: &str) -> Result<T, String> {
        self.key(key)?;
        let word = self.name()?;
        word.parse().map_err(|_| format!("`{word}` is no number that fits"))
    }

    fn list<T: FromIterator<usize>>(&mut self, key: &str) -> Result<T, String> {
        self.key(key)?;
        let word = self.name()?;
        let inner = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')).ok_or_else(|| format!("`{word}` is no list"))?;
        let one = |item: &str| item.trim().parse::<usize>().map_err(|_| format!("`{item}` is no number that fits"));
        if inner.trim().is_empty() { Ok(T::from_iter([])) } else { inner.split(',').map(one).collect() }
    }

    /// An integer, a float, or the bits of a float.
    fn literal(&mut self) -> Result<Scalar, String> {
        if self.flag("bits") {
            let word = self.name()?;
            let bits = word.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
            return bits.map(Scalar::Float).ok_or_else(|| format!("`{word}` are no bits"));
        }
        let word = self.name()?;
        let integer = word.parse().ok().map(Scalar::Integer);
        integer
            .or_else(|| word.parse::<f64>().ok().map(|value| Scalar::Float(value.to_bits())))
            .ok_or_else(|| format!("`{word}` is no number"))
    }

    /// `value`, if nothing is left.
    fn end<T>(&self, value: T) -> Result<T, String> {
        self.rest.front().map_or(Ok(value), |word| Err(format!("`{word}` is too much")))
    }
}

/// What stands for a user's derivative that a text cannot hold.
struct Named(String);

impl CustomRule for Named {
    fn name(&self) -> &str {
        &self.0
    }
    fn vjp(&self, _: &[Tensor], _: &Tensor, _: &Tensor) -> Result<Vec<Option<Tensor>>> {
        Err(Error::new(ErrorKind::Argument, "custom", format!("`{}` was read from text, which holds no rule", self.0)))
    }
}
