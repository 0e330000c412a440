//! The last form: compiled kernels, waves and memory, cached by the structure of the graph.

use super::graph::Graph;
use super::lower::Kernels;
use super::pipeline::{Options, compile};
use super::schedule::Schedule;
use crate::backend::cpu::executor::Executor;
use crate::ops::Operation;
use crate::tensor::{Error, Origin, Result};
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
    /// `updates[root]` is the leaf whose memory the root may take over.
    pub fn of(graph: Graph, updates: &[Option<u32>], options: Options) -> Arc<Program> {
        let fingerprint = graph.fingerprint();
        let same =
            |program: &&Arc<Program>| program.options == options && program.updates == updates && program.graph.same_structure(&graph);
        let found =
            |programs: &HashMap<u64, Vec<Arc<Program>>>| programs.get(&fingerprint).and_then(|list| list.iter().find(same).cloned());
        if let Some(program) = found(&PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner)) {
            return program;
        }
        let program = Arc::new(Program::compile(graph, updates, options));
        let mut programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
        if programs.len() >= MOST_PROGRAMS {
            programs.clear();
        }
        programs.entry(fingerprint).or_default().push(program.clone());
        program
    }

    fn compile(graph: Graph, updates: &[Option<u32>], options: Options) -> Program {
        let compilation = compile(graph.clone(), updates, options, |_, _, _| ());
        let executor = Executor::new(&compilation.kernels, &compilation.schedule);
        let (kernels, schedule) = (compilation.kernels, compilation.schedule);
        Program { graph, updates: updates.to_vec(), options, kernels, schedule, executor }
    }

    /// An index that pointed outside, as an error that names the line.
    pub(crate) fn fault(&self, fault: super::kernel::Fault, origins: &[Origin]) -> Error {
        let message = format!("index {} is outside 0..{}", fault.index, fault.limit);
        let site = fault.site as usize;
        let name = self.graph.nodes.get(site).map_or("gather", |node| node.op.name());
        let error = Error::new(crate::tensor::ErrorKind::Index, name, message);
        match origins.get(site) {
            Some(origin) => error.at(origin),
            None => error,
        }
    }

    /// Bytes of intermediate values at the planned peak.
    pub fn arena_bytes(&self) -> usize {
        self.schedule.arena_bytes
    }
}

/// Forgets all compiled programs. Results do not change; the next evaluation compiles again.
pub fn clear_cache() -> Result<()> {
    PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner).clear();
    Ok(())
}
