//! Loops and branches: programs in a program ([`Control`]).
//!
//! Each body is a program like the whole, with waves and memory of its own, and is run by the whole team if it has work to
//! share. Before each step the buffers of its leaves and roots are pointed at carries, parts of sequences and parts of results,
//! where they lie: nothing is copied. Every member has a list of pointers of its own and comes to the same ones. Refuses to run two steps at once.

use super::executor::{Executor, Workspace};
use super::fault::FaultCell;
use super::region::{Needs, Scratch};
use super::team::Member;
use crate::compile::kernel::{Access, Control, Flow};
use crate::compile::lower::Place;
use crate::ops::Switch;
use crate::tensor::{DType, Result};
use std::sync::{Mutex, PoisonError};

/// A loop or a branch made ready to run.
pub struct CompiledControl {
    control: Control,
    programs: Vec<Program>,
    /// Bytes of each carry.
    carried: Vec<usize>,
}

/// A body, and its buffers that are not always at the same place: of each its number, that of the leaf or root, and its bytes.
struct Program {
    executor: Executor,
    buffers: usize,
    leaves: Vec<(usize, usize, usize)>,
    roots: Vec<(usize, usize, usize)>,
    /// Of each buffer in the arena its offset in the room.
    temporary: Vec<(usize, usize)>,
}

/// Memory for the programs of one loop or branch, for one run at a time.
pub struct ControlRoom {
    workspaces: Vec<Workspace>,
    /// For each member of the team, where the buffers of each program are.
    pointers: Vec<Mutex<Lists>>,
}

struct Lists(Vec<Vec<*mut u8>>);

// SAFETY: what the pointers lead to is used by the rules of `CompiledControl::run` only.
unsafe impl Send for Lists {}

/// Steps of a loop whose number nobody knows, for an estimate.
const SOME: f64 = 10.0;

impl CompiledControl {
    /// Compiles the programs.
    ///
    /// # Errors
    /// If the system has not so much memory.
    pub fn new(control: &Control) -> Result<CompiledControl> {
        // What every step reads: its operands of products are packed once for all steps.
        let steady = |leaf: usize| match control.flow {
            Flow::Scan { sequences, .. } => leaf >= control.carried.len() + sequences,
            Flow::While => leaf >= control.carried.len(),
            Flow::Switch => false,
        };
        let program = |body: &crate::compile::kernel::Inner| -> Result<Program> {
            let executor = Executor::inner(&body.kernels, &body.schedule, |leaf| steady(leaf as usize))?;
            let (mut leaves, mut roots, mut temporary) = (Vec::new(), Vec::new(), Vec::new());
            for (at, buffer) in body.kernels.buffers.iter().enumerate() {
                let bytes = buffer.len * buffer.dtype.bytes();
                match buffer.place {
                    Place::Leaf(leaf) => leaves.push((at, leaf as usize, bytes)),
                    Place::Root(root) => roots.push((at, root as usize, bytes)),
                    Place::Temporary => temporary.push((at, control.arena + body.schedule.offsets[at])),
                }
            }
            Ok(Program { executor, buffers: body.kernels.buffers.len(), leaves, roots, temporary })
        };
        let programs: Vec<Program> = control.bodies.iter().map(program).collect::<Result<_>>()?;
        let bytes = |carry: usize| programs.last().and_then(|p| p.roots.iter().find(|root| root.1 == carry)).map_or(0, |root| root.2);
        let carried = (0..control.carried.len()).map(bytes).collect();
        Ok(CompiledControl { control: control.clone(), carried, programs })
    }

    /// Whether the team should run it together.
    pub fn together(&self) -> bool {
        self.programs.iter().any(|program| program.executor.together())
    }

    /// Estimated nanoseconds.
    pub fn cost(&self) -> f64 {
        let costs = self.programs.iter().map(|program| program.executor.cost());
        match self.control.flow {
            Flow::Scan { length, .. } => length as f64 * costs.sum::<f64>(),
            Flow::Switch => costs.fold(0.0, f64::max),
            Flow::While => SOME * costs.sum::<f64>(),
        }
    }

    /// What a thread's scratch holds before the first run.
    pub fn needs(&self) -> Needs {
        self.programs.iter().map(|program| program.executor.needs()).fold(Needs::default(), Needs::or)
    }

    /// Bytes of memory for one run, next to what the buffers of the whole need.
    pub fn bytes(&self) -> usize {
        self.programs.iter().map(|program| program.executor.bytes()).fold(0, usize::saturating_add)
    }

    /// Memory for a run.
    ///
    /// # Errors
    /// If the system has not so much.
    pub fn room(&self) -> Result<ControlRoom> {
        let workspaces = self.programs.iter().map(|program| program.executor.workspace(0)).collect::<Result<_>>()?;
        Ok(ControlRoom { workspaces, pointers: Vec::new() })
    }

    /// Sees to it that so many members can take part.
    pub fn prepare(&self, room: &mut ControlRoom, members: usize) {
        for (program, workspace) in self.programs.iter().zip(&mut room.workspaces) {
            program.executor.prepare_rooms(workspace, members);
        }
        while room.pointers.len() < members.max(1) {
            let lists = self.programs.iter().map(|program| vec![std::ptr::null_mut(); program.buffers]).collect();
            room.pointers.push(Mutex::new(Lists(lists)));
        }
    }

    /// Takes part in a run. All members come here with the same buffers, and leave together.
    ///
    /// # Safety
    /// `buffers[id]` is valid for what the accesses reach, and nobody but the team touches what is written.
    pub unsafe fn run(&self, member: &Member<'_>, buffers: &[*mut u8], scratch: &mut Scratch, room: &ControlRoom, faults: &FaultCell) {
        let mut lists = room.pointers[member.index()].lock().unwrap_or_else(PoisonError::into_inner);
        let mut run = Run { of: self, member, buffers, lists: &mut lists.0, room, scratch };
        run.start();
        // SAFETY: the caller's.
        unsafe {
            match self.control.flow {
                Flow::Scan { sequences, length, reverse } => run.scan(sequences, length, reverse),
                Flow::Switch => run.switch(),
                Flow::While => run.repeat(),
            }
        }
        member.barrier();
        if member.index() == 0 {
            room.workspaces.iter().filter_map(Workspace::fault).for_each(|found| faults.keep(0, found));
        }
    }
}

/// One member's part in a run.
struct Run<'a> {
    of: &'a CompiledControl,
    member: &'a Member<'a>,
    buffers: &'a [*mut u8],
    lists: &'a mut Vec<Vec<*mut u8>>,
    room: &'a ControlRoom,
    scratch: &'a mut Scratch,
}

impl Run<'_> {
    fn first(&self, access: &Access) -> *mut u8 {
        self.buffers[access.buffer as usize].wrapping_offset(access.offset * access.dtype.bytes() as isize)
    }

    fn input(&self, at: usize) -> *mut u8 {
        self.first(&self.of.control.inputs[at])
    }

    /// Points what the programs keep for themselves to the room, and forgets what was packed for an earlier run.
    fn start(&mut self) {
        if self.member.index() == 0 {
            self.room.workspaces.iter().for_each(Workspace::start_anew);
        }
        self.member.barrier();
        let room = self.first(&self.of.control.room);
        for (program, list) in self.of.programs.iter().zip(self.lists.iter_mut()) {
            program.temporary.iter().for_each(|&(at, offset)| list[at] = room.wrapping_add(offset));
        }
    }

    /// Where a result begins, if it is one.
    fn result(&self, root: usize) -> Option<*mut u8> {
        self.of.control.outs[root].as_ref().map(|out| self.first(out))
    }

    /// A carry's place after a step with this number.
    fn place(&self, carry: usize, step: usize) -> *mut u8 {
        self.first(&self.of.control.room).wrapping_add(self.of.control.carried[carry][step % 2])
    }

    /// A carry before a step.
    fn before(&self, carry: usize, step: usize) -> *mut u8 {
        if step == 0 { self.input(carry) } else { self.place(carry, step - 1) }
    }

    /// Runs a program, whose leaves and roots are pointed at, and waits until all have.
    ///
    /// # Safety
    /// They are valid.
    unsafe fn program(&mut self, at: usize) {
        let (executor, workspace) = (&self.of.programs[at].executor, &self.room.workspaces[at]);
        if workspace.packs() {
            if self.member.index() == 0 {
                workspace.start();
            }
            self.member.barrier();
        }
        // SAFETY: the caller's.
        unsafe { executor.take_part(self.member, &self.lists[at], self.scratch, workspace) };
        self.member.barrier();
    }

    /// Copies carries to where they are results.
    ///
    /// # Safety
    /// All is valid.
    unsafe fn give(&self, step: usize) {
        if self.member.index() > 0 {
            return;
        }
        for (carry, &bytes) in self.of.carried.iter().enumerate() {
            if let Some(to) = self.result(carry) {
                // SAFETY: the caller's; a result lies apart from inputs and room.
                unsafe { std::ptr::copy_nonoverlapping(self.before(carry, step), to, bytes) };
            }
        }
    }

    unsafe fn scan(&mut self, sequences: usize, length: usize, reverse: bool) {
        let carries = self.of.carried.len();
        if length == 0 {
            // SAFETY: the caller's.
            return unsafe { self.give(0) };
        }
        let program = &self.of.programs[0];
        for step in 0..length {
            let part = if reverse { length - 1 - step } else { step };
            for &(at, leaf, bytes) in &program.leaves {
                self.lists[0][at] = match leaf {
                    _ if leaf < carries => self.before(leaf, step),
                    _ if leaf < carries + sequences => self.input(leaf).wrapping_add(part * bytes),
                    _ => self.input(leaf),
                };
            }
            for &(at, root, bytes) in &program.roots {
                let own = self.result(root);
                self.lists[0][at] = match own {
                    Some(own) if root >= carries => own.wrapping_add(part * bytes),
                    Some(own) if step + 1 == length => own,
                    _ => self.place(root, step),
                };
            }
            // SAFETY: the caller's; carries before and after a step are at different places.
            unsafe { self.program(0) };
        }
    }

    unsafe fn switch(&mut self) {
        let index = &self.of.control.inputs[0];
        let from = self.first(index);
        // SAFETY: the caller's: there is one index of its type.
        let index = unsafe {
            if index.dtype == DType::I32 { i64::from(from.cast::<i32>().read_unaligned()) } else { from.cast::<i64>().read_unaligned() }
        };
        let chosen = Switch::choice(index, self.of.programs.len());
        for &(at, leaf, _) in &self.of.programs[chosen].leaves {
            self.lists[chosen][at] = self.input(leaf + 1);
        }
        for &(at, root, _) in &self.of.programs[chosen].roots {
            if let Some(own) = self.result(root) {
                self.lists[chosen][at] = own;
            }
        }
        // SAFETY: the caller's.
        unsafe { self.program(chosen) };
    }

    unsafe fn repeat(&mut self) {
        let carries = self.of.carried.len();
        let condition = self.first(&self.of.control.room);
        let mut step = 0;
        loop {
            for (which, program) in self.of.programs.iter().enumerate() {
                for &(at, leaf, _) in &program.leaves {
                    self.lists[which][at] = if leaf < carries { self.before(leaf, step) } else { self.input(leaf) };
                }
                for &(at, root, _) in &program.roots {
                    self.lists[which][at] = if which == 0 { condition } else { self.place(root, step) };
                }
            }
            // SAFETY: the caller's; the condition has been written, and is not again before all have read it.
            unsafe {
                self.program(0);
                if condition.read() == 0 {
                    return self.give(step);
                }
                self.program(1);
            }
            step += 1;
        }
    }
}
