//! Where programs run: a team of threads, whose number is a value like any other.

use super::cpu::team::Team;
use crate::compile::graph::Graph;
use crate::compile::lower::{Buffer, Place};
use crate::compile::pipeline::Options;
use crate::compile::program::Program;
use crate::tensor::{Data, Error, ErrorKind, Precision, Result, Tensor};
use std::sync::{Arc, OnceLock};

/// A team of threads that evaluates tensors and runs captured steps. Cheap to clone.
///
/// ```
/// use chainrule_engine::{Runtime, Tensor};
/// let two = Runtime::new(2)?;
/// let x = Tensor::ones([1000]).exp().sum();
/// Tensor::eval_all_on(&two, &[&x])?;
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[derive(Clone)]
pub struct Runtime {
    team: Arc<Team>,
    options: Options,
}

impl Runtime {
    /// A runtime with this many threads, the calling one included.
    ///
    /// # Errors
    /// For zero threads, absurdly many, or if the system refuses one.
    pub fn new(threads: usize) -> Result<Runtime> {
        let team = Team::new(threads).map_err(|error| Error::new(ErrorKind::Argument, "threads", error.to_string()))?;
        Ok(Runtime { team: Arc::new(team), options: Options::default() })
    }

    /// The runtime of whoever names none: one thread for each processor.
    pub fn shared() -> &'static Runtime {
        static SHARED: OnceLock<Runtime> = OnceLock::new();
        SHARED.get_or_init(|| {
            let count = std::thread::available_parallelism().map_or(1, |n| n.get().min(Team::LIMIT));
            // A system that refuses threads still runs one: a team of one starts none.
            Runtime::new(count).or_else(|_| Runtime::new(1)).unwrap_or_else(|_| unreachable!("a team of one needs nothing"))
        })
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.team.count()
    }

    /// The same team, compiling with other options: to compare a fused program with a plain one, say.
    pub fn with_options(&self, options: Options) -> Runtime {
        Runtime { team: self.team.clone(), options }
    }

    /// The same team, with products of this precision where none was chosen while recording.
    ///
    /// ```
    /// use chainrule_engine::{Precision, Runtime, Tensor};
    /// let mixed = Runtime::new(2)?.with_precision(Precision::Mixed);
    /// let y = Tensor::ones([8, 8]).matmul(&Tensor::ones([8, 8]));
    /// Tensor::eval_all_on(&mixed, &[&y])?;
    /// assert_eq!(y.to_vec::<f32>()?, [8.0; 64]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    pub fn with_precision(&self, precision: Precision) -> Runtime {
        self.with_options(Options { precision, ..self.options })
    }

    /// How programs are compiled.
    pub fn options(&self) -> Options {
        self.options
    }

    pub(crate) fn team(&self) -> &Team {
        &self.team
    }

    /// The values of tensors, as one program.
    pub(crate) fn evaluate(&self, roots: &[&Tensor]) -> Result<Vec<Data>> {
        let (graph, leaves, origins) = Graph::of(roots);
        if let Some(unbound) = leaves.iter().find(|leaf| leaf.value().is_none()) {
            return Err(super::reference::unbound(unbound));
        }
        let mut results: Vec<Data> = roots.iter().map(|root| root.room()).collect::<Result<_>>()?;
        let program = Program::of(graph, &vec![None; roots.len()], self.options, &origins)?;
        let mut workspace = program.workspace(self.threads(), &origins)?;
        let arena = workspace.arena();
        let pointer = |at: usize, buffer: &Buffer, results: &mut Vec<Data>| match buffer.place {
            Place::Leaf(leaf) => leaves[leaf as usize].value().map_or(std::ptr::null_mut(), |data| data.bytes().as_ptr().cast_mut()),
            Place::Root(root) => results[root as usize].bytes_mut().as_mut_ptr(),
            // SAFETY: the schedule placed the buffer inside the arena.
            Place::Temporary => unsafe { arena.add(program.schedule.offsets[at]) },
        };
        let buffers: Vec<*mut u8> =
            program.kernels.buffers.iter().enumerate().map(|(at, buffer)| pointer(at, buffer, &mut results)).collect();
        // SAFETY: leaves are only read (no root takes a leaf's memory over), roots and the arena
        // belong to this run alone.
        let outcome = unsafe { program.executor.run(self.team(), &buffers, &workspace) };
        program.executor.put_back(workspace);
        outcome.map_err(|fail| fail.into_error(&program, &origins))?;
        Ok(results)
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Runtime({} threads)", self.threads())
    }
}
