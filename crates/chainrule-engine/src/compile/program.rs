//! The last form: compiled kernels, waves and memory, cached by the structure of the graph.

use super::graph::Graph;
use super::lower::{Kernels, Place};
use super::pipeline::{Options, compile};
use super::schedule::{Schedule, written};
use crate::backend::cpu::executor::{Executor, Workspace};
use crate::ops::{Op, Operation};
use crate::tensor::{Error, ErrorKind, Origin, Result};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// A program for one graph structure. It holds no data; any number of threads may run it.
pub struct Program {
    /// What was asked for, to tell programs with equal fingerprints apart.
    graph: Graph,
    updates: Vec<Option<u32>>,
    options: Options,
    /// The kernels as text and numbers: for printing, planning and tests.
    pub kernels: Kernels,
    /// Waves and memory.
    pub schedule: Schedule,
    /// The kernels as machine functions.
    pub executor: Executor,
}

/// How many programs are kept; when full, all are forgotten, so that shapes that never come back
/// do not fill the memory.
const MOST_PROGRAMS: usize = 512;

static PROGRAMS: LazyLock<Mutex<HashMap<u64, Vec<Arc<Program>>>>> = LazyLock::new(Mutex::default);

impl Program {
    /// The program that computes the roots of a graph; compiled once for each structure.
    /// `updates[root]` is the leaf whose memory the root may take over; `origins` are those of the
    /// recorded nodes, for errors.
    ///
    /// # Errors
    /// If the system has not so much memory as the program needs beside leaves and roots.
    pub(crate) fn of(graph: Graph, updates: &[Option<u32>], options: Options, origins: &[Origin]) -> Result<Arc<Program>> {
        let fingerprint = graph.fingerprint();
        let same =
            |program: &&Arc<Program>| program.options == options && program.updates == updates && program.graph.same_structure(&graph);
        let found =
            |programs: &HashMap<u64, Vec<Arc<Program>>>| programs.get(&fingerprint).and_then(|list| list.iter().find(same).cloned());
        if let Some(program) = found(&PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(program);
        }
        let program = Arc::new(Program::compile(graph, updates, options, origins)?);
        let mut programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
        if programs.len() >= MOST_PROGRAMS {
            programs.clear();
        }
        programs.entry(fingerprint).or_default().push(program.clone());
        Ok(program)
    }

    fn compile(graph: Graph, updates: &[Option<u32>], options: Options, origins: &[Origin]) -> Result<Program> {
        let compilation = compile(graph, updates, options, |_, _, _| ());
        let (graph, kernels, schedule) = (compilation.asked, compilation.kernels, compilation.schedule);
        let executor = Executor::new(&kernels, &schedule).map_err(|_| no_room(&graph, &kernels, &schedule, origins))?;
        Ok(Program { graph, updates: updates.to_vec(), options, kernels, schedule, executor })
    }

    /// An index that pointed outside, as an error that names the line.
    pub(crate) fn fault(&self, fault: super::kernel::Fault, origins: &[Origin]) -> Error {
        let message = format!("index {} is outside 0..{}", fault.index, fault.limit);
        let site = fault.site as usize;
        let name = self.graph.nodes.get(site).map_or("gather", |node| node.op.name());
        let error = Error::new(ErrorKind::Index, name, message);
        match origins.get(site) {
            Some(origin) => error.at(origin),
            None => error,
        }
    }

    /// What a function of the host refused, as an error that names it and the line.
    pub(crate) fn refusal(&self, refusal: super::kernel::Refusal, origins: &[Origin]) -> Error {
        let site = refusal.site as usize;
        let name = match self.graph.nodes.get(site).map(|node| &node.op) {
            Some(Op::HostCall(call)) => call.function.0.name(),
            _ => "host_call",
        };
        let error = Error::new(ErrorKind::Argument, name, refusal.message);
        match origins.get(site) {
            Some(origin) => error.at(origin),
            None => error,
        }
    }

    /// Memory for runs on a team.
    ///
    /// # Errors
    /// If the system has not so much.
    pub(crate) fn workspace(&self, members: usize, origins: &[Origin]) -> Result<Workspace> {
        self.executor.workspace(members).map_err(|_| no_room(&self.graph, &self.kernels, &self.schedule, origins))
    }

    /// Bytes of intermediate values at the planned peak, and of operands that are packed for the products.
    pub fn arena_bytes(&self) -> usize {
        self.schedule.arena_bytes.saturating_add(self.executor.packed_bytes())
    }
}

/// The error of an arena that the system does not give, with the line of the largest value in it.
fn no_room(graph: &Graph, kernels: &Kernels, schedule: &Schedule, origins: &[Origin]) -> Error {
    let temporaries = kernels.buffers.iter().enumerate().filter(|(_, buffer)| buffer.place == Place::Temporary);
    let largest = temporaries.max_by_key(|(_, buffer)| buffer.len.saturating_mul(buffer.dtype.bytes()));
    let (what, writer) = largest.map_or((String::new(), None), |(at, buffer)| {
        let writer = kernels.kernels.iter().position(|kernel| written(kernel).any(|buffer| buffer == at as u32));
        (format!(", {} elements of type {} among them", buffer.len, buffer.dtype), writer)
    });
    let bytes = schedule.arena_bytes;
    let message =
        format!("there is no memory for {bytes} bytes of intermediate values{what}; make the tensors smaller, or compute a part at a time");
    let site = writer.map(|k| kernels.sites[k] as usize);
    let name = site.and_then(|site| graph.nodes.get(site)).map_or("memory", |node| node.op.name());
    let error = Error::new(ErrorKind::Machine, name, message);
    match site.and_then(|site| origins.get(site)) {
        Some(origin) => error.at(origin),
        None => error,
    }
}

/// Forgets all compiled programs. Results do not change; the next evaluation compiles again.
pub fn clear_cache() -> Result<()> {
    PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner).clear();
    Ok(())
}
