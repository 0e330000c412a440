//! Kernels and schedules as text, for people and golden tests.
//!
//! Refuses to be read back.

use crate::compile::kernel::{
    Access, Code, Contract, Control, Extent, Fold, Host, Instruction, Kernel, Number, Region, Scatter, Sort, SortStage,
};
use crate::compile::lower::{Buffer, Kernels, Place};
use crate::compile::schedule::Schedule;
use crate::tensor::Precision;
use std::fmt::{Result, Write};

impl Kernels {
    /// The buffers, then each kernel with its space, its accesses and one line for each instruction.
    pub fn print(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> Result {
        for (id, buffer) in self.buffers.iter().enumerate() {
            writeln!(text, "buffer {id}: {}", describe(buffer))?;
        }
        for (k, kernel) in self.kernels.iter().enumerate() {
            match kernel {
                Kernel::Region(region) => {
                    write!(text, "{k}: region ")?;
                    scalar_code(text, region, "  ")?;
                }
                Kernel::Contract(contract) => product(text, k, contract)?,
                Kernel::Scatter(scatter) => {
                    let Scatter { how, batch, count, limit, rest, index, updates, out, .. } = &**scatter;
                    let how = format!("{how:?}").to_lowercase();
                    writeln!(text, "{k}: scatter {how} batch {batch} count {count} limit {limit} rest {rest}")?;
                    accesses(text, "  ", &[("index", index), ("updates", updates), ("out", out)])?;
                }
                Kernel::Fold(fold) => {
                    let Fold { outer, sizes, counts, windows, strides, dilations, rest, input, out } = &**fold;
                    write!(text, "{k}: fold outer {:?} sizes {:?} counts {:?} ", &outer[..], &sizes[..], &counts[..])?;
                    writeln!(
                        text,
                        "windows {:?} strides {:?} dilations {:?} rest {:?}",
                        &windows[..],
                        &strides[..],
                        &dilations[..],
                        &rest[..]
                    )?;
                    accesses(text, "  ", &[("input", input), ("out", out)])?;
                }
                Kernel::Sort(sort) => {
                    let Sort { rows, len, keep, descending, stage, input, out } = &**sort;
                    let descending = if *descending { " descending" } else { "" };
                    let stage = if *stage == SortStage::Whole { String::new() } else { format!(" {stage:?}") };
                    writeln!(text, "{k}: sort rows {rows} of {len} keep {keep}{descending}{stage}")?;
                    accesses(text, "  ", &[("input", input), ("out", out)])?;
                }
                Kernel::Control(control) => {
                    let Control { flow, bodies, inputs, outs, room, carried, arena } = &**control;
                    writeln!(text, "{k}: {} carried {carried:?} arena {arena}", format!("{flow:?}").to_lowercase())?;
                    inputs.iter().try_for_each(|one| accesses(text, "  ", &[("input", one)]))?;
                    outs.iter().try_for_each(|out| match out {
                        Some(out) => accesses(text, "  ", &[("out", out)]),
                        None => writeln!(text, "  no out"),
                    })?;
                    accesses(text, "  ", &[("room", room)])?;
                    for (i, body) in bodies.iter().enumerate() {
                        writeln!(text, "  program {i} in {} bytes, waves {:?}", body.schedule.arena_bytes, body.schedule.waves)?;
                        body.kernels.print().lines().try_for_each(|line| writeln!(text, "    {line}"))?;
                    }
                }
                Kernel::Host(host) => {
                    let Host { function, batch, shapes, inputs, len, out, .. } = &**host;
                    let shapes: Vec<&[usize]> = shapes.iter().map(|shape| &shape[..]).collect();
                    writeln!(text, "{k}: host {function:?} batch {batch} of {shapes:?} to {len}")?;
                    let inputs: Vec<(&str, &Access)> = inputs.iter().map(|access| ("input", access)).collect();
                    accesses(text, "  ", &[&inputs[..], &[("out", out)]].concat())?;
                }
                Kernel::Fill(fill) => writeln!(text, "{k}: fill {} x {} of {}", fill.len, number(fill.value), access(&fill.out))?,
            }
        }
        Ok(())
    }
}

impl Schedule {
    /// The waves, where each temporary buffer lies and for how long, and the peak.
    pub fn print(&self, kernels: &Kernels) -> String {
        let mut text = String::new();
        let _ = self.write(&mut text, kernels);
        text
    }

    fn write(&self, text: &mut String, kernels: &Kernels) -> Result {
        for (w, wave) in self.waves.iter().enumerate() {
            let list: Vec<String> = wave.clone().map(|k| k.to_string()).collect();
            writeln!(text, "wave {w}: {}", list.join(", "))?;
        }
        for (id, (buffer, &offset)) in kernels.buffers.iter().zip(&self.offsets).enumerate() {
            if buffer.place == Place::Temporary {
                writeln!(text, "buffer {id}: bytes {offset}..{}", offset + buffer.len * buffer.dtype.bytes())?;
            }
        }
        for (root, leaf) in self.in_place.iter().enumerate() {
            leaf.map_or(Ok(()), |leaf| writeln!(text, "root {root} in place of leaf {leaf}"))?;
        }
        writeln!(text, "arena: {} bytes", self.arena_bytes)
    }
}

fn describe(buffer: &Buffer) -> String {
    let place = match buffer.place {
        Place::Leaf(leaf) => format!("leaf {leaf}"),
        Place::Root(root) => format!("root {root}"),
        Place::Temporary => "temporary".into(),
    };
    format!("{place}, {} {}", buffer.len, buffer.dtype)
}

/// `b3 + 12 [4, 1] f32`: buffer, offset, strides, element type.
fn access(access: &Access) -> String {
    format!("b{} + {} {:?} {}", access.buffer, access.offset, &access.strides[..], access.dtype)
}

fn accesses(text: &mut String, indent: &str, list: &[(&str, &Access)]) -> Result {
    list.iter().try_for_each(|(name, one)| writeln!(text, "{indent}{name} {}", access(one)))
}

fn product(text: &mut String, k: usize, contract: &Contract) -> Result {
    let Contract { batch, m, n, k: summed, a, b, out, k_chunks, accumulate, precision, epilogue } = contract;
    write!(text, "{k}: contract batch {:?} m {:?} n {:?} k {:?}", &batch[..], &m[..], &n[..], &summed[..])?;
    if *k_chunks > 1 {
        write!(text, " in {k_chunks} chunks")?;
    }
    if *precision != Precision::default() {
        write!(text, " {precision}")?;
    }
    writeln!(text, "{}", if *accumulate { " accumulated" } else { "" })?;
    accesses(text, "  ", &[("a", a), ("b", b), ("out", out)])?;
    match epilogue {
        Some(region) => {
            write!(text, "  then ")?;
            scalar_code(text, region, "    ")
        }
        None => Ok(()),
    }
}

fn scalar_code(text: &mut String, region: &Region, indent: &str) -> Result {
    let (rows, columns) = region.axes.split_at(region.row_axes);
    write!(text, "rows {rows:?} columns {columns:?}")?;
    match region.unit_rows {
        Some(rows) => writeln!(text, " in parts of {rows} rows")?,
        None => writeln!(text)?,
    }
    for (i, load) in region.loads.iter().enumerate() {
        writeln!(text, "{indent}load {i}: {}", access(load))?;
    }
    for (i, store) in region.stores.iter().enumerate() {
        writeln!(text, "{indent}store {i}: {}", access(store))?;
    }
    for (i, instruction) in region.code.iter().enumerate() {
        writeln!(text, "{indent}%{i} = {}", line(instruction))?;
    }
    Ok(())
}

/// An instruction; a value per row is marked.
fn line(instruction: &Instruction) -> String {
    let code = match &instruction.code {
        Code::Load(load) => format!("load {load}"),
        Code::LoadAt { load, index, stride, limit, .. } => format!("load {load} at %{index} * {stride} below {limit}"),
        Code::Constant(value) => format!("constant {}", number(*value)),
        Code::Coordinate(axis) => format!("coordinate {axis}"),
        Code::Random { key, bits, offset, strides } => format!("random key {key} bits {bits} words {offset} + {:?}", &strides[..]),
        Code::Unary(unary, a) => format!("{} %{a}", format!("{unary:?}").to_lowercase()),
        Code::Binary(binary, a, b) => format!("{} %{a}, %{b}", format!("{binary:?}").to_lowercase()),
        Code::Select(c, a, b) => format!("select %{c}, %{a}, %{b}"),
        Code::Cast(a) => format!("cast %{a}"),
        Code::Expand(a) => format!("expand %{a}"),
        Code::Reduce(how, a) => format!("reduce {} %{a}", format!("{how:?}").to_lowercase()),
        Code::Cumulative { value, reverse } => format!("cumulative %{value}{}", if *reverse { " reverse" } else { "" }),
        Code::Store(store, a) => format!("store {store} %{a}"),
        Code::Accumulate(store, how, a) => format!("accumulate {store} {} %{a}", format!("{how:?}").to_lowercase()),
    };
    let lane = format!("{:?}", instruction.lane).to_lowercase();
    format!("{code} : {lane}{}", if instruction.extent == Extent::Row { " per row" } else { "" })
}

fn number(number: Number) -> String {
    match number {
        Number::Float(value) => format!("{value:?}"),
        Number::Integer(value) => value.to_string(),
    }
}
