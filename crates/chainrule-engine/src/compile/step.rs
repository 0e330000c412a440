//! A captured step: compiled once, then run without recording, looking up or allocating anything.

use super::graph::Graph;
use super::lower::Place;
use super::program::Program;
use crate::backend::Runtime;
use crate::backend::cpu::executor::Workspace;
use crate::backend::cpu::team::{Member, Team};
use crate::tensor::{DType, Data, Error, ErrorKind, Origin, Result, Tensor, Type};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// A program with its own state: parameters, say, that each run replaces by new ones, in place
/// where nobody else needs the old.
///
/// ```
/// use chainrule_engine::{DType, Step, Tensor};
/// let (w, x) = (Tensor::from_slice(&[1.0f32], [1]), Tensor::placeholder([1].as_slice(), DType::F32));
/// let loss = (&w * &x - 3.0).square().sum();
/// let new_w = &w - &loss.grad(&[&w])?[0] * 0.1;
/// let mut step = Step::capture(&[&x], &[&loss], &[(&w, &new_w)])?;
/// for _ in 0..100 {
///     step.run(&[&Tensor::from_slice(&[2.0f32], [1])])?;
/// }
/// assert!((step.state(0).to_vec::<f32>()?[0] - 1.5).abs() < 1e-3);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
pub struct Step {
    runtime: Runtime,
    program: Arc<Program>,
    origins: Vec<Origin>,
    /// Types of the inputs, and of each the leaf it feeds.
    inputs: Vec<(Type, Option<u32>)>,
    /// Data of leaves that never change.
    constants: Vec<(u32, Arc<Data>)>,
    states: Vec<State>,
    /// The values of all states. One block, because memory is then mapped in a few large pages.
    memory: Data,
    outputs: Vec<(Type, Data)>,
    workspace: Option<Workspace>,
    /// The memory of every buffer, kept up to date.
    buffers: Vec<*mut u8>,
    /// For each leaf and each root, the buffer it is.
    leaf_buffer: Vec<Option<u32>>,
    root_buffer: Vec<Option<u32>>,
}

/// One tensor that a step replaces.
struct State {
    ty: Type,
    leaf: Option<u32>,
    root: u32,
    /// Where in the step's memory its value lies.
    current: Range<usize>,
    /// Where the new value goes if it cannot be written over the old one.
    next: Option<Range<usize>>,
}

/// Bytes between states, so that those of equal sizes do not start in the same set of a cache.
const BETWEEN: usize = 5 * 64;

// SAFETY: the pointers lead into data that the step owns or shares by `Arc`, and are used only
// while it is borrowed mutably.
unsafe impl Send for Step {}

impl Step {
    /// Compiles a step on the shared runtime: `inputs` are placeholders that each run gives values
    /// to, `outputs` are computed on each run, and each pair of `updates` is a leaf that holds a
    /// state and the value that replaces it.
    ///
    /// # Errors
    /// The first mistake in the graph; an update whose type differs from its leaf's; a state given twice; no memory.
    #[track_caller]
    pub fn capture(inputs: &[&Tensor], outputs: &[&Tensor], updates: &[(&Tensor, &Tensor)]) -> Result<Step> {
        Step::capture_on(Runtime::shared(), inputs, outputs, updates)
    }

    /// As [`Step::capture`], on a runtime of the caller's.
    #[track_caller]
    pub fn capture_on(runtime: &Runtime, inputs: &[&Tensor], outputs: &[&Tensor], updates: &[(&Tensor, &Tensor)]) -> Result<Step> {
        let mistake = |kind, message: String, at: &Tensor| Err(Error::new(kind, "capture", message).at(at.origin()));
        let roots: Vec<&Tensor> = updates.iter().map(|(_, new)| *new).chain(outputs.iter().copied()).collect();
        roots.iter().chain(inputs).try_for_each(|tensor| tensor.check())?;
        for (old, new) in updates {
            if old.ty() != new.ty() {
                return mistake(
                    ErrorKind::Shape,
                    format!("a state of {:?} {} cannot become {:?} {}", old.shape(), old.dtype(), new.shape(), new.dtype()),
                    new,
                );
            }
            if updates.iter().filter(|(other, _)| other.is(old)).count() > 1 || inputs.iter().any(|input| input.is(old)) {
                return mistake(ErrorKind::Argument, "a state stands once among the updates, and not among the inputs".into(), old);
            }
            if old.value().is_none() {
                return mistake(ErrorKind::Unbound, "a state must be a leaf with a value; evaluate it, or use `to_leaf`".into(), old);
            }
        }
        let (graph, leaves, origins) = Graph::of(&roots);
        let leaf_of = |tensor: &Tensor| leaves.iter().position(|leaf| leaf.is(tensor)).map(|at| at as u32);
        let fed = |leaf: &Tensor| inputs.iter().any(|input| input.is(leaf)) || updates.iter().any(|(old, _)| old.is(leaf));
        if let Some(unbound) = leaves.iter().find(|leaf| leaf.value().is_none() && !fed(leaf)) {
            return mistake(ErrorKind::Unbound, format!("a placeholder of shape {:?} is not among the inputs", unbound.shape()), unbound);
        }
        let graph = graph.with_constants_shared(&leaves, fed);
        let replaced: Vec<Option<u32>> = updates.iter().map(|(old, _)| leaf_of(old)).chain(outputs.iter().map(|_| None)).collect();
        let results = outputs.iter().map(|output| Ok((output.ty().clone(), output.room()?))).collect::<Result<Vec<_>>>()?;
        let program = Program::of(graph, &replaced, runtime.options(), &origins)?;
        let (mut states, mut end) = (Vec::with_capacity(updates.len()), 0);
        for (root, (old, _)) in updates.iter().enumerate() {
            let mut place = || {
                let start = end;
                let len = old.len() * old.dtype().bytes();
                end = (end + len).next_multiple_of(64) + BETWEEN;
                start..start + len
            };
            let current = place();
            let next = program.schedule.in_place[root].is_none().then(place);
            states.push(State { ty: old.ty().clone(), leaf: leaf_of(old), root: root as u32, current, next });
        }
        let largest = updates.iter().map(|(old, _)| old).max_by_key(|old| old.len() * old.dtype().bytes());
        let refused = |error: Error| largest.map_or(error.clone(), |old| error.at(old.origin()));
        let mut memory = Data::try_zeros(DType::U8, end).map_err(refused)?;
        let values: Vec<Option<&Arc<Data>>> = updates.iter().map(|(old, _)| old.value().filter(|data| !data.is_untouched())).collect();
        copy_values(memory.bytes_mut(), &states, &values, runtime).map_err(refused)?;
        let constants =
            leaves.iter().enumerate().filter(|(_, leaf)| !fed(leaf)).filter_map(|(at, leaf)| Some((at as u32, leaf.value()?.clone())));
        let buffer_of = |place: Place| program.kernels.buffers.iter().position(|buffer| buffer.place == place).map(|at| at as u32);
        let leaf_buffer = (0..leaves.len()).map(|leaf| buffer_of(Place::Leaf(leaf as u32))).collect();
        let root_buffer = (0..roots.len()).map(|root| buffer_of(Place::Root(root as u32))).collect();
        let workspace = program.workspace(runtime.threads(), &origins)?;
        let mut step = Step {
            runtime: runtime.clone(),
            origins,
            inputs: inputs.iter().map(|input| (input.ty().clone(), leaf_of(input))).collect(),
            constants: constants.collect(),
            states,
            memory,
            outputs: results,
            workspace: Some(workspace),
            buffers: vec![std::ptr::null_mut(); program.kernels.buffers.len()],
            leaf_buffer,
            root_buffer,
            program,
        };
        step.connect();
        Ok(step)
    }

    /// Points every buffer at its memory, but for the inputs.
    fn connect(&mut self) {
        let arena = self.workspace.as_mut().map_or(std::ptr::null_mut(), Workspace::arena);
        for (at, buffer) in self.program.kernels.buffers.iter().enumerate() {
            if buffer.place == Place::Temporary {
                // SAFETY: the schedule placed the buffer inside the arena.
                self.buffers[at] = unsafe { arena.add(self.program.schedule.offsets[at]) };
            }
        }
        for (leaf, data) in &self.constants {
            set(&mut self.buffers, self.leaf_buffer[*leaf as usize], data.bytes().as_ptr().cast_mut());
        }
        let first_output = self.states.len();
        for (i, (_, data)) in self.outputs.iter_mut().enumerate() {
            set(&mut self.buffers, self.root_buffer[first_output + i], data.first_mut());
        }
        let memory = self.memory.first_mut();
        for state in &self.states {
            state.point(memory, &self.leaf_buffer, &self.root_buffer, &mut self.buffers);
        }
    }

    /// Runs the step once.
    ///
    /// # Errors
    /// If an input is not of its placeholder's type or has no value, or an index points outside;
    /// after an error found while running, the state is not to be relied on.
    pub fn run(&mut self, inputs: &[&Tensor]) -> Result<()> {
        self.bind(inputs)?;
        let Some(workspace) = &self.workspace else { return Ok(()) };
        // SAFETY: inputs are borrowed and constants shared, and neither is written; states, outputs
        // and the arena belong to this step, which is borrowed mutably.
        let outcome = unsafe { self.program.executor.run(self.runtime.team(), &self.buffers, workspace) };
        outcome.map_err(|fail| fail.into_error(&self.program, &self.origins))?;
        self.advance();
        Ok(())
    }

    /// Runs the step once on the calling thread and times each kernel: its number in the program's
    /// list, the source line it works for, and nanoseconds.
    ///
    /// # Errors
    /// As [`Step::run`].
    pub fn profile(&mut self, inputs: &[&Tensor]) -> Result<Vec<(usize, Origin, f64)>> {
        self.bind(inputs)?;
        let Some(workspace) = &self.workspace else { return Ok(Vec::new()) };
        // SAFETY: as in `run`.
        let times = unsafe { self.program.executor.profile(&self.buffers, workspace) };
        self.advance();
        let origin = |k: usize| self.origins[self.program.kernels.sites[k] as usize].clone();
        Ok(times.into_iter().map(|(k, nanoseconds)| (k, origin(k), nanoseconds)).collect())
    }

    /// Points the inputs' buffers at their data.
    fn bind(&mut self, inputs: &[&Tensor]) -> Result<()> {
        if inputs.len() != self.inputs.len() {
            let message = format!("{} inputs for the {} of the step", inputs.len(), self.inputs.len());
            return Err(Error::new(ErrorKind::Argument, "run", message));
        }
        for (i, (input, (ty, leaf))) in inputs.iter().zip(&self.inputs).enumerate() {
            if input.ty() != ty {
                let message = format!("input {i} is {:?} {}, the step takes {:?} {}", input.shape(), input.dtype(), ty.shape, ty.dtype);
                return Err(Error::new(ErrorKind::Shape, "run", message).at(input.origin()));
            }
            input.eval()?;
            let data = input.value().map_or(std::ptr::null_mut(), |data| data.bytes().as_ptr().cast_mut());
            set(&mut self.buffers, leaf.and_then(|leaf| self.leaf_buffer[leaf as usize]), data);
        }
        Ok(())
    }

    /// Makes new states the current ones.
    fn advance(&mut self) {
        let memory = self.memory.first_mut();
        for state in &mut self.states {
            if let Some(next) = &mut state.next {
                std::mem::swap(&mut state.current, next);
                state.point(memory, &self.leaf_buffer, &self.root_buffer, &mut self.buffers);
            }
        }
    }

    /// A copy of an output of the last run.
    ///
    /// # Panics
    /// If there is no output `i`.
    pub fn output(&self, i: usize) -> Tensor {
        let (ty, data) = &self.outputs[i];
        Tensor::leaf(ty.shape.clone(), Arc::new(data.clone()))
    }

    /// The first element of an output of the last run; nothing is allocated. NaN if it is empty.
    ///
    /// # Panics
    /// If there is no output `i`.
    pub fn item(&self, i: usize) -> f64 {
        let bytes = self.outputs[i].1.bytes();
        match (self.outputs[i].0.dtype, bytes) {
            (DType::F32, [a, b, c, d, ..]) => f32::from_le_bytes([*a, *b, *c, *d]) as f64,
            (DType::F64, [a, b, c, d, e, f, g, h, ..]) => f64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]),
            _ => self.outputs[i].1.to_f64().first().copied().unwrap_or(f64::NAN),
        }
    }

    /// A copy of the current value of a state, in the order of the updates.
    ///
    /// # Panics
    /// If there is no state `i`.
    pub fn state(&self, i: usize) -> Tensor {
        let state = &self.states[i];
        let value = Data::from_bytes(state.ty.dtype, &self.memory.bytes()[state.current.clone()]);
        Tensor::leaf(state.ty.shape.clone(), Arc::new(value))
    }

    /// Replaces the value of a state.
    ///
    /// # Errors
    /// If the value is of another type, or cannot be computed.
    pub fn set_state(&mut self, i: usize, value: &Tensor) -> Result<()> {
        let data = value.to_data()?;
        let state = self.states.get(i).filter(|state| state.ty == *value.ty());
        let state = state.ok_or_else(|| {
            Error::new(ErrorKind::Shape, "set_state", format!("{:?} {} is not the type of state {i}", value.shape(), value.dtype()))
        })?;
        self.memory.bytes_mut()[state.current.clone()].copy_from_slice(data.bytes());
        Ok(())
    }

    /// Bytes of intermediate values at the planned peak, without inputs and states.
    pub fn arena_bytes(&self) -> usize {
        self.program.arena_bytes()
    }

    /// The program that runs.
    pub fn program(&self) -> &Program {
        &self.program
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(workspace) = self.workspace.take() {
            self.program.executor.put_back(workspace);
        }
    }
}

impl State {
    /// Points the buffers of the old and the new value at their places.
    fn point(&self, memory: *mut u8, leaves: &[Option<u32>], roots: &[Option<u32>], buffers: &mut [*mut u8]) {
        let old = memory.wrapping_add(self.current.start);
        let new = self.next.as_ref().map_or(old, |next| memory.wrapping_add(next.start));
        set(buffers, self.leaf.and_then(|leaf| leaves[leaf as usize]), old);
        set(buffers, roots[self.root as usize], new);
    }
}

/// Bytes of values that one thread copies at a time, and from which on all threads do.
const PIECE: usize = 1 << 20;
const MANY: usize = 4 << 20;

/// Copies what states start with to where they lie, one after the other, but for zeros, which are there. On all threads where it is much:
/// the memory is touched for the first time, which takes longer than copying.
fn copy_values(mut memory: &mut [u8], states: &[State], values: &[Option<&Arc<Data>>], runtime: &Runtime) -> Result<()> {
    let (mut pieces, mut at) = (Vec::new(), 0);
    for (State { current, .. }, value) in states.iter().zip(values) {
        let behind = std::mem::take(&mut memory).split_at_mut(current.start - at).1;
        let (own, behind) = behind.split_at_mut(current.len());
        (memory, at) = (behind, current.end);
        if let Some(data) = value {
            pieces.extend(own.chunks_mut(PIECE).zip(data.bytes().chunks(PIECE)));
        }
    }
    let much = pieces.iter().map(|(to, _)| to.len()).sum::<usize>() >= MANY;
    // Whoever takes a piece copies it.
    let pieces = Mutex::new(pieces);
    let next = || pieces.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let copy = |_: Member<'_>| {
        while let Some((to, from)) = next() {
            to.copy_from_slice(from);
        }
    };
    let done = if much { runtime.team().run(copy) } else { Team::alone(copy) };
    done.map_err(|panic| Error::new(ErrorKind::Machine, "capture", panic.message))
}

/// Points a buffer, if the program has it, at memory.
fn set(buffers: &mut [*mut u8], buffer: Option<u32>, memory: *mut u8) {
    if let Some(buffer) = buffer {
        buffers[buffer as usize] = memory;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Few bytes and many, on one thread and several; some states are zeros, some empty, in types of different widths.
    #[test]
    fn states_start_with_their_values_whatever_their_size() {
        for sizes in [vec![3, 0, 17], vec![5, 700_001, 0, 3, 1_200_000, 2]] {
            let tensor = |(i, &size): (usize, &usize)| match i % 3 {
                0 => Tensor::from_slice(&(0..size).map(|at| (at % 1009 + i) as f32).collect::<Vec<_>>(), [size]),
                1 => Tensor::from_slice(&(0..size).map(|at| (at % 1013 + i) as f64).collect::<Vec<_>>(), [size]),
                _ => Tensor::zeros([size]).to_leaf().expect("zeros"),
            };
            let old: Vec<Tensor> = sizes.iter().enumerate().map(tensor).collect();
            let new: Vec<Tensor> = old.iter().map(|old| old + 1.0).collect();
            let updates: Vec<(&Tensor, &Tensor)> = old.iter().zip(&new).collect();
            for threads in [1, 3] {
                let runtime = Runtime::new(threads).expect("a runtime");
                let step = Step::capture_on(&runtime, &[], &[], &updates).expect("a step");
                for (i, old) in old.iter().enumerate() {
                    let (found, wanted) = (step.state(i).to_data().expect("a value"), old.to_data().expect("a value"));
                    assert!(found.bytes() == wanted.bytes(), "state {i} of {sizes:?}, {threads} threads");
                }
            }
        }
    }

    /// Products in a step of `x` by two leaves, whose values a run must give back in any case.
    fn products(leaves: [Tensor; 2], updated: bool, wanted: f64) -> usize {
        use crate::compile::kernel::Kernel;
        let x = Tensor::placeholder([2, 3].as_slice(), DType::F32);
        let [a, b] = &leaves;
        let out = (x.matmul(a).exp() + x.matmul(b).exp()).sum();
        let next = b + 1.0;
        let updates = [(b, &next)];
        let mut step = Step::capture(&[&x], &[&out], if updated { &updates } else { &[] }).expect("a step");
        step.run(&[&Tensor::from_slice(&[0.0f32; 6], [2, 3])]).expect("a run");
        assert_eq!(step.item(0), wanted);
        step.program().kernels.kernels.iter().filter(|kernel| matches!(kernel, Kernel::Contract(_))).count()
    }

    /// Constants with the same bits are one, and so is what is computed from them; states, and constants that differ in a sign, are not.
    #[test]
    fn equal_constants_are_one() {
        let leaf = |last: f32| Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0, last], [3, 2]);
        assert_eq!(products([leaf(0.0), leaf(0.0)], false, 8.0), 1);
        assert_eq!(products([leaf(0.0), leaf(-0.0)], false, 8.0), 2, "zeros of either sign");
        assert_eq!(products([leaf(0.0), leaf(1.0)], false, 8.0), 2);
        assert_eq!(products([leaf(0.0), leaf(0.0)], true, 8.0), 2, "one of them will change");
        // The start of long ones does not tell them apart.
        let long = |last: f32| Tensor::from_slice(&[vec![0.0; 299], vec![last]].concat(), [3, 100]);
        assert_eq!(products([long(1.0), long(2.0)], false, 400.0), 2);
        assert_eq!(products([long(1.0), long(1.0)], false, 400.0), 1);
    }
}
