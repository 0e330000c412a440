//! Runs a program: each wave's units of work are shared by the team, waves meet at a barrier.
//!
//! Units depend on shapes alone and write to different memory, so the result has the same bits for
//! any number of threads.

mod compiled;

use super::alike::models;
use super::contract::panels::{Packed, Sizes};
use super::contract::{self, CompiledContract};
use super::control::{CompiledControl, ControlRoom};
use super::fault::{FaultCell, Found};
use super::machine::placed;
use super::region::{Needs, Scratch};
use super::team::{Member, Team, share};
use crate::compile::kernel::{Fault, Kernel, Refusal};
use crate::compile::lower::{Kernels, Place};
use crate::compile::schedule::{Schedule, written};
use crate::tensor::{DType, Data, Error, ErrorKind, Result};
use compiled::Compiled;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The compiled kernels of a program.
pub struct Executor {
    kernels: Vec<Compiled>,
    waves: Vec<Wave>,
    /// Workspaces that no run uses now.
    free: Mutex<Vec<Workspace>>,
    arena_bytes: usize,
    packed: Sizes,
    /// What a thread's scratch holds from the start.
    needs: Needs,
    /// Whether a run is worth waking the other threads.
    shared: bool,
    /// Whether any wave is worth sharing with threads that are awake.
    together: bool,
    /// Estimated nanoseconds of a run on one thread.
    cost: f64,
}

/// Kernels that may run at the same time.
struct Wave {
    /// For each kernel with work, its number and how many units it has.
    parts: Vec<(usize, usize)>,
    /// Whether the work is worth sharing; a wave that is not runs on the first member alone.
    shared: bool,
    /// The loop or branch that the wave is, and the number of its room.
    control: Option<(usize, usize)>,
}

/// Memory for one run at a time.
pub struct Workspace {
    arena: Data,
    packed: Packed,
    scratch: Vec<Mutex<Scratch>>,
    faults: FaultCell,
    /// One for each loop or branch, in their order.
    rooms: Vec<ControlRoom>,
}

/// Below this many nanoseconds of work, meeting at a barrier costs more than sharing saves.
const WORTH_SHARING: f64 = 4000.0;

/// Nanoseconds of work in shared waves below which one thread does all: waking another takes longer than half of it.
const WORTH_WAKING: f64 = 30_000.0;

impl Executor {
    /// Compiles every kernel, once the memory for a run is there: kernels need not count with sizes
    /// that no machine has.
    ///
    /// # Errors
    /// If the system has not so much memory.
    pub fn new(kernels: &Kernels, schedule: &Schedule) -> Result<Executor> {
        Executor::with_arena(kernels, schedule, schedule.arena_bytes, |_| false)
    }

    /// As [`Executor::new`], of a program in a program, whose arena is in the memory of the whole. Leaves that are `steady`
    /// do not change from one of its runs to the next, until they are said to.
    ///
    /// # Errors
    /// As there.
    pub(super) fn inner(kernels: &Kernels, schedule: &Schedule, steady: impl Fn(u32) -> bool) -> Result<Executor> {
        Executor::with_arena(kernels, schedule, 0, steady)
    }

    fn with_arena(kernels: &Kernels, schedule: &Schedule, arena_bytes: usize, steady: impl Fn(u32) -> bool) -> Result<Executor> {
        let arena = Data::try_zeros(DType::U8, arena_bytes)?;
        let mut compiled = compile_all(&kernels.kernels);
        if let Some(error) = compiled.iter().find_map(|kernel| if let Compiled::Failed(error) = kernel { Some(error) } else { None }) {
            return Err(error.clone());
        }
        let ranges = narrow_waves(&schedule.waves, &compiled);
        let packed = shared_panels(&mut compiled, kernels, &ranges, steady);
        let first = Workspace::new(arena, packed, &compiled)?;
        let (mut shared, mut total, mut rooms) = (0.0, 0.0, 0);
        let mut wave = |range: &Range<usize>| {
            let mut parts: Vec<_> = range.clone().map(|k| (k, compiled[k].units())).filter(|&(_, units)| units > 0).collect();
            // Long units first: what comes last decides how long one thread waits for another.
            let cost_of_unit = |&(k, units): &(usize, usize)| compiled[k].cost() / units as f64;
            parts.sort_by(|one, other| cost_of_unit(other).total_cmp(&cost_of_unit(one)));
            let cost: f64 = parts.iter().map(|&(k, _)| compiled[k].cost()).sum();
            let units: usize = parts.iter().map(|&(_, units)| units).sum();
            let control = parts.iter().find_map(|&(k, _)| match &compiled[k] {
                Compiled::Control(control) => Some((k, control.together())),
                _ => None,
            });
            let worth = control.map_or(units > 1 && cost > WORTH_SHARING, |(_, together)| together);
            let room = rooms;
            rooms += usize::from(control.is_some());
            total += cost;
            let wave = Wave { parts, shared: worth, control: control.map(|(k, _)| (k, room)) };
            shared += if wave.shared { cost } else { 0.0 };
            wave
        };
        let waves: Vec<Wave> = ranges.iter().map(&mut wave).filter(|wave| !wave.parts.is_empty()).collect();
        let shared = shared > WORTH_WAKING;
        let together = waves.iter().any(|wave| wave.shared);
        let needs = compiled.iter().map(Compiled::needs).fold(Needs::default(), Needs::or);
        let free = Mutex::new(vec![first]);
        Ok(Executor { kernels: compiled, waves, shared, together, cost: total, free, arena_bytes, packed, needs })
    }

    /// Bytes of packed operands and of what loops and branches need, next to the arena.
    pub fn packed_bytes(&self) -> usize {
        self.controls().map(CompiledControl::bytes).fold(self.packed.bytes, usize::saturating_add)
    }

    /// Bytes of memory for one run.
    pub(super) fn bytes(&self) -> usize {
        self.arena_bytes.saturating_add(self.packed_bytes())
    }

    /// Whether threads that are awake should share a run.
    pub(super) fn together(&self) -> bool {
        self.together
    }

    /// Estimated nanoseconds of a run on one thread.
    pub(super) fn cost(&self) -> f64 {
        self.cost
    }

    /// What a thread's scratch holds before the first run.
    pub(super) fn needs(&self) -> Needs {
        self.needs
    }

    fn controls(&self) -> impl Iterator<Item = &CompiledControl> {
        controls(&self.kernels)
    }

    /// Sees to it that so many members can take part in loops and branches.
    pub(super) fn prepare_rooms(&self, workspace: &mut Workspace, members: usize) {
        self.controls().zip(&mut workspace.rooms).for_each(|(control, room)| control.prepare(room, members));
    }

    /// Memory for runs on a team; give it back with [`Executor::put_back`].
    ///
    /// # Errors
    /// If the system has not so much memory.
    pub fn workspace(&self, members: usize) -> Result<Workspace> {
        let found = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut workspace = match found {
            Some(workspace) => workspace,
            None => Workspace::new(Data::try_zeros(DType::U8, self.arena_bytes)?, self.packed, &self.kernels)?,
        };
        self.prepare_rooms(&mut workspace, members);
        while workspace.scratch.len() < members {
            let mut scratch = Scratch::new();
            scratch.try_reserve(&self.needs)?;
            workspace.scratch.push(Mutex::new(scratch));
        }
        Ok(workspace)
    }

    /// Keeps a workspace for the next run.
    pub fn put_back(&self, workspace: Workspace) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
    }

    /// Runs the program. Allocates nothing, but for what functions of the host do.
    ///
    /// # Errors
    /// If a kernel panicked, an index pointed outside, or a function of the host refused its values: then what was written is not to be used.
    ///
    /// # Safety
    /// `buffers[id]` is valid for every element of buffer `id`; those that kernels write are
    /// written by nobody else and read by nobody else meanwhile.
    pub unsafe fn run(&self, team: &Team, buffers: &[*mut u8], workspace: &Workspace) -> Result<(), Fail> {
        workspace.packed.start_anew();
        let pointers = Pointers(buffers);
        let work = |member: Member<'_>| {
            let mut scratch = workspace.scratch[member.index()].lock().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: the caller's; units of a wave touch different memory, and waves are apart.
            unsafe { self.take_part(&member, pointers.list(), &mut scratch, workspace) };
        };
        if self.shared && team.count() > 1 {
            team.run(work).map_err(|panic| Fail::Panic(panic.to_string()))?;
        } else {
            Team::alone(work).map_err(|panic| Fail::Panic(panic.to_string()))?;
        }
        match workspace.faults.take() {
            None => Ok(()),
            Some(Found::Index(fault)) => Err(Fail::Index(fault)),
            Some(Found::Refusal(refusal)) => Err(Fail::Refused(refusal)),
        }
    }

    /// Runs the program on the calling thread and times each kernel: its number and nanoseconds.
    ///
    /// # Safety
    /// As [`Executor::run`].
    pub unsafe fn profile(&self, buffers: &[*mut u8], workspace: &Workspace) -> Vec<(usize, f64)> {
        let mut scratch = workspace.scratch[0].lock().unwrap_or_else(PoisonError::into_inner);
        workspace.packed.start_anew();
        let mut times = Vec::new();
        for (&(k, _), control) in self.waves.iter().flat_map(|wave| wave.parts.iter().map(move |part| (part, wave.control))) {
            let start = std::time::Instant::now();
            if let (Compiled::Control(control), Some((_, room))) = (&self.kernels[k], control) {
                // SAFETY: the caller's; there is one thread.
                unsafe { control.run(&Member::alone(), buffers, &mut scratch, &workspace.rooms[room], &workspace.faults) };
                times.push((k, start.elapsed().as_secs_f64() * 1e9));
                continue;
            }
            let units = 0..self.kernels[k].units();
            // SAFETY: the caller's; there is one thread.
            unsafe { self.kernels[k].run(units, buffers, &workspace.packed, &mut scratch, &workspace.faults) };
            times.push((k, start.elapsed().as_secs_f64() * 1e9));
        }
        times
    }

    /// Does a member's part of a run. All members must have seen everything that came before, and meet afterwards.
    ///
    /// # Safety
    /// As [`Executor::run`].
    pub(super) unsafe fn take_part(&self, member: &Member<'_>, buffers: &[*mut u8], scratch: &mut Scratch, workspace: &Workspace) {
        let (packed, faults) = (&workspace.packed, &workspace.faults);
        let mut alone = false;
        for wave in &self.waves {
            if let (Some((k, room)), true) = (wave.control, wave.shared && member.count() > 1) {
                if std::mem::take(&mut alone) {
                    member.barrier();
                }
                if let Compiled::Control(control) = &self.kernels[k] {
                    // SAFETY: the caller's; all members come here.
                    unsafe { control.run(member, buffers, scratch, &workspace.rooms[room], faults) };
                }
                member.barrier();
                continue;
            }
            if !wave.shared || member.count() == 1 {
                if member.index() == 0 {
                    for &(k, units) in &wave.parts {
                        if let (Compiled::Control(control), Some((_, room))) = (&self.kernels[k], wave.control) {
                            // SAFETY: the caller's; the other members wait.
                            unsafe { control.run(&Member::alone(), buffers, scratch, &workspace.rooms[room], faults) };
                            continue;
                        }
                        // SAFETY: the caller's; the other members wait.
                        unsafe { self.kernels[k].run(0..units, buffers, packed, scratch, faults) };
                    }
                }
                alone = true;
                continue;
            }
            if std::mem::take(&mut alone) {
                member.barrier();
            }
            let count = member.count();
            for (whose, at) in member.tiles(|whose| wave.shares(whose, count).map(|(_, units)| units.len()).sum()) {
                let Some((k, unit)) = wave.unit(whose, count, at) else { continue };
                // SAFETY: the caller's; each unit is handed out once.
                unsafe { self.kernels[k].run(unit..unit + 1, buffers, packed, scratch, faults) };
            }
            member.barrier();
        }
    }
}

impl Wave {
    /// The units of each kernel that are a member's share. Kernels work on neighbouring parts of what is in memory one
    /// after the other, so everybody's share is in the same place of each; single units go to one after the other.
    fn shares(&self, whose: usize, count: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
        self.parts.iter().enumerate().map(move |(part, &(k, units))| {
            let place = if units < count { (whose + part) % count } else { whose };
            (k, share(units, place, count))
        })
    }

    /// Unit number `at` of a member's share: its kernel, and its number there.
    fn unit(&self, whose: usize, count: usize, at: usize) -> Option<(usize, usize)> {
        let mut left = at;
        for (k, units) in self.shares(whose, count) {
            if left < units.len() {
                return Some((k, units.start + left));
            }
            left -= units.len();
        }
        None
    }
}

impl Workspace {
    fn new(arena: Data, packed: Sizes, kernels: &[Compiled]) -> Result<Workspace> {
        let rooms = controls(kernels).map(CompiledControl::room).collect::<Result<_>>()?;
        Ok(Workspace { arena, packed: Packed::new(packed)?, scratch: Vec::new(), faults: FaultCell::new(), rooms })
    }

    /// Whether operands are packed in every run, which then begins with [`Workspace::start`].
    pub(super) fn packs(&self) -> bool {
        self.packed.changes()
    }

    /// Begins a run: no other is under way.
    pub(super) fn start(&self) {
        self.packed.start();
    }

    /// Begins a run in which what was steady has changed.
    pub(super) fn start_anew(&self) {
        self.packed.start_anew();
    }

    /// What was found wrong in the last run, if anything was.
    pub(super) fn fault(&self) -> Option<Found> {
        self.faults.take()
    }

    /// The first byte of the arena.
    pub fn arena(&mut self) -> *mut u8 {
        self.arena.bytes_mut().as_mut_ptr()
    }
}

/// The loops and branches among kernels.
fn controls(kernels: &[Compiled]) -> impl Iterator<Item = &CompiledControl> {
    kernels.iter().filter_map(|kernel| if let Compiled::Control(control) = kernel { Some(&**control) } else { None })
}

/// Compiles kernels: one of those that are alike, the others after it.
fn compile_all(kernels: &[Kernel]) -> Vec<Compiled> {
    let models = models(kernels);
    let own: Vec<&Kernel> = models.iter().enumerate().filter(|&(k, &model)| k == model).map(|(k, _)| &kernels[k]).collect();
    let mut made = compile_each(&own).into_iter();
    let mut compiled: Vec<Compiled> = Vec::with_capacity(kernels.len());
    for (k, kernel) in kernels.iter().enumerate() {
        let next = if models[k] == k { made.next() } else { Some(compiled[models[k]].with_accesses_of(kernel)) };
        compiled.extend(next);
    }
    compiled
}

/// Kernels that one thread compiles at a time.
const AT_A_TIME: usize = 24;

/// Compiles kernels on as many threads as there is work for.
fn compile_each(kernels: &[&Kernel]) -> Vec<Compiled> {
    let parts: Vec<&[&Kernel]> = kernels.chunks(AT_A_TIME).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((at, part)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, *parts.get(at)?))) {
            let part: Vec<Compiled> = placed(|written| part.iter().map(|kernel| Compiled::new(kernel, written)).collect());
            done.push((at, part));
        }
        done
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(parts.len());
    let mut done = std::thread::scope(|scope| {
        // Where no thread is to be had, this one does it all.
        let helpers: Vec<_> = (1..threads).filter_map(|_| std::thread::Builder::new().spawn_scoped(scope, work).ok()).collect();
        let mut done = work();
        for helper in helpers {
            match helper.join() {
                Ok(parts) => done.extend(parts),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|&(at, _)| at);
    done.into_iter().flat_map(|(_, part)| part).collect()
}

/// Bytes of packed operands that the products of a wave may share.
const MOST_PACKED: usize = 6 << 20;

/// The waves, cut where their products would share more than so many bytes: the updates of all weights, say, may
/// be one wave, and would keep all that they read in a second copy.
fn narrow_waves(waves: &[Range<usize>], compiled: &[Compiled]) -> Vec<Range<usize>> {
    let mut narrow: Vec<Range<usize>> = Vec::with_capacity(waves.len());
    for wave in waves {
        let (mut start, mut bytes) = (wave.start, 0_usize);
        for k in wave.clone() {
            let own = match &compiled[k] {
                Compiled::Contract(product) => product.shareable_bytes(),
                Compiled::Control(_) => {
                    // A loop or a branch is a wave of its own.
                    if start < k {
                        narrow.push(start..k);
                    }
                    narrow.push(k..k + 1);
                    (start, bytes) = (k + 1, 0);
                    continue;
                }
                _ => 0,
            };
            if bytes > 0 && bytes.saturating_add(own) > MOST_PACKED {
                narrow.push(start..k);
                (start, bytes) = (k, 0);
            }
            bytes = bytes.saturating_add(own);
        }
        if start < wave.end {
            narrow.push(start..wave.end);
        }
    }
    narrow
}

/// Lets products share packed operands.
fn shared_panels(compiled: &mut [Compiled], kernels: &Kernels, waves: &[Range<usize>], steady: impl Fn(u32) -> bool) -> Sizes {
    let mut wave_of = vec![0; compiled.len()];
    waves.iter().enumerate().for_each(|(wave, range)| wave_of[range.clone()].fill(wave));
    let mut writers: Vec<Vec<usize>> = vec![Vec::new(); kernels.buffers.len()];
    for (kernel, &wave) in kernels.kernels.iter().zip(&wave_of) {
        written(kernel).for_each(|buffer| writers[buffer as usize].push(wave));
    }
    let mut products: Vec<(usize, &mut CompiledContract)> = wave_of
        .iter()
        .zip(compiled)
        .filter_map(|(&wave, kernel)| match kernel {
            Compiled::Contract(product) => Some((wave, &mut **product)),
            _ => None,
        })
        .collect();
    let written = |buffer: usize, first, last| writers[buffer].iter().any(|wave| (first..=last).contains(wave));
    contract::share(&mut products, written, |buffer| matches!(kernels.buffers[buffer].place, Place::Leaf(leaf) if steady(leaf)))
}

/// Buffers, shared by the members of a team.
struct Pointers<'a>(&'a [*mut u8]);

// SAFETY: whoever dereferences them sees to it that units touch different memory.
unsafe impl Sync for Pointers<'_> {}

impl Pointers<'_> {
    fn list(&self) -> &[*mut u8] {
        self.0
    }
}

/// Why a run gave no result.
pub enum Fail {
    /// A kernel panicked.
    Panic(String),
    /// An index pointed outside.
    Index(Fault),
    /// A function of the host refused the values it was given.
    Refused(Refusal),
}

impl Fail {
    /// As the engine's error.
    pub fn into_error(self, program: &crate::compile::program::Program, origins: &[crate::tensor::Origin]) -> Error {
        match self {
            Fail::Panic(message) => Error::new(ErrorKind::Machine, "run", format!("a kernel failed: {message}")),
            Fail::Index(fault) => program.fault(fault, origins),
            Fail::Refused(refusal) => program.refusal(refusal, origins),
        }
    }
}

#[cfg(test)]
mod tests;
