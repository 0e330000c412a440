//! Runs a program: each wave's units of work are shared by the team, waves meet at a barrier.
//!
//! Units depend on shapes alone and write to different memory, so the result has the same bits for
//! any number of threads.

use super::alike::models;
use super::contract::panels::{Packed, Sizes};
use super::contract::{self, CompiledContract};
use super::fault::{FaultCell, Found};
use super::fold::CompiledFold;
use super::host::CompiledHost;
use super::machine::{Written, placed};
use super::region::{CompiledRegion, Scratch};
use super::scatter::{CompiledFill, CompiledScatter};
use super::sort::CompiledSort;
use super::team::{Member, Team, share};
use crate::compile::kernel::{Fault, Kernel, Refusal};
use crate::compile::lower::Kernels;
use crate::compile::schedule::{Schedule, written};
use crate::tensor::{DType, Data, Error, ErrorKind, Result};
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
    /// Bytes that a thread's scratch holds aside from the start, for the longest row that is sorted.
    aside: usize,
    /// Whether a run is worth waking the other threads.
    shared: bool,
}

/// A kernel made ready for this machine. A program holds hundreds of them, most of them regions.
enum Compiled {
    Region(CompiledRegion),
    Contract(Box<CompiledContract>),
    Scatter(Box<CompiledScatter>),
    Fold(Box<CompiledFold>),
    Sort(Box<CompiledSort>),
    Host(Box<CompiledHost>),
    Fill(Box<CompiledFill>),
}

/// Kernels that may run at the same time.
struct Wave {
    /// For each kernel with work, its number and how many units it has.
    parts: Vec<(usize, usize)>,
    /// Whether the work is worth sharing; a wave that is not runs on the first member alone.
    shared: bool,
}

/// Memory for one run at a time.
pub struct Workspace {
    arena: Data,
    packed: Packed,
    scratch: Vec<Mutex<Scratch>>,
    faults: FaultCell,
}

/// Below this many nanoseconds of work, meeting at a barrier costs more than sharing saves.
const WORTH_SHARING: f64 = 4000.0;

/// Nanoseconds of work in shared waves below which one thread does all: waking another takes longer than half of it.
const WORTH_WAKING: f64 = 30_000.0;

impl Compiled {
    fn new(kernel: &Kernel, written: &mut Written) -> Compiled {
        match kernel {
            Kernel::Region(region) => Compiled::Region(CompiledRegion::new(region, written)),
            Kernel::Contract(contract) => Compiled::Contract(Box::new(CompiledContract::new(contract, written))),
            Kernel::Scatter(scatter) => Compiled::Scatter(Box::new(CompiledScatter::new(scatter))),
            Kernel::Fold(fold) => Compiled::Fold(Box::new(CompiledFold::new(fold))),
            Kernel::Sort(sort) => Compiled::Sort(Box::new(CompiledSort::new(sort))),
            Kernel::Host(host) => Compiled::Host(Box::new(CompiledHost::new(host))),
            Kernel::Fill(fill) => Compiled::Fill(Box::new(CompiledFill::new(fill))),
        }
    }

    /// A kernel that is alike the one this was made from.
    fn with_accesses_of(&self, kernel: &Kernel) -> Compiled {
        match (self, kernel) {
            (Compiled::Region(made), Kernel::Region(region)) => Compiled::Region(made.with_accesses_of(region)),
            (Compiled::Contract(made), Kernel::Contract(contract)) => Compiled::Contract(Box::new(made.with_accesses_of(contract))),
            _ => unreachable!("only these two kinds are ever alike"),
        }
    }

    fn units(&self) -> usize {
        match self {
            Compiled::Region(kernel) => kernel.units(),
            Compiled::Contract(kernel) => kernel.units(),
            Compiled::Scatter(kernel) => kernel.units(),
            Compiled::Fold(kernel) => kernel.units(),
            Compiled::Sort(kernel) => kernel.units(),
            Compiled::Host(kernel) => kernel.units(),
            Compiled::Fill(kernel) => kernel.units(),
        }
    }

    /// Bytes of scratch that are there before the first run, whichever thread will need them.
    fn aside(&self) -> usize {
        match self {
            Compiled::Sort(kernel) => kernel.aside(),
            _ => 0,
        }
    }

    /// Estimated nanoseconds of all units.
    fn cost(&self) -> f64 {
        match self {
            Compiled::Region(kernel) => kernel.cost(),
            Compiled::Contract(kernel) => kernel.cost(),
            Compiled::Scatter(kernel) => kernel.cost(),
            Compiled::Fold(kernel) => kernel.cost(),
            Compiled::Sort(kernel) => kernel.cost(),
            Compiled::Host(kernel) => kernel.cost(),
            Compiled::Fill(kernel) => kernel.cost(),
        }
    }

    /// # Safety
    /// `buffers[id]` is valid for what the kernel's accesses reach, and no other thread writes
    /// what this unit reads or writes.
    unsafe fn run(&self, unit: usize, buffers: &[*mut u8], packed: &Packed, scratch: &mut Scratch, faults: &FaultCell) {
        // SAFETY: the caller's.
        unsafe {
            match self {
                Compiled::Region(kernel) => kernel.run(unit, buffers, scratch, faults),
                Compiled::Contract(kernel) => kernel.run(unit, buffers, packed, scratch, faults),
                Compiled::Scatter(kernel) => kernel.run(unit, buffers, scratch, faults),
                Compiled::Fold(kernel) => kernel.run(unit, buffers),
                Compiled::Sort(kernel) => kernel.run(unit, buffers, scratch),
                Compiled::Host(kernel) => kernel.run(unit, buffers, faults),
                Compiled::Fill(kernel) => kernel.run(unit, buffers),
            }
        }
    }
}

impl Executor {
    /// Compiles every kernel, once the memory for a run is there: kernels need not count with sizes
    /// that no machine has.
    ///
    /// # Errors
    /// If the system has not so much memory.
    pub fn new(kernels: &Kernels, schedule: &Schedule) -> Result<Executor> {
        let arena = Data::try_zeros(DType::U8, schedule.arena_bytes)?;
        let mut compiled = compile_all(&kernels.kernels);
        let ranges = narrow_waves(&schedule.waves, &compiled);
        let packed = shared_panels(&mut compiled, kernels, &ranges);
        let first = Workspace::new(arena, packed)?;
        let mut shared = 0.0;
        let mut wave = |range: &Range<usize>| {
            let parts: Vec<_> = range.clone().map(|k| (k, compiled[k].units())).filter(|&(_, units)| units > 0).collect();
            let cost: f64 = parts.iter().map(|&(k, _)| compiled[k].cost()).sum();
            let units: usize = parts.iter().map(|&(_, units)| units).sum();
            let wave = Wave { parts, shared: units > 1 && cost > WORTH_SHARING };
            shared += if wave.shared { cost } else { 0.0 };
            wave
        };
        let waves = ranges.iter().map(&mut wave).filter(|wave| !wave.parts.is_empty()).collect();
        let shared = shared > WORTH_WAKING;
        let aside = compiled.iter().map(Compiled::aside).max().unwrap_or(0);
        let free = Mutex::new(vec![first]);
        Ok(Executor { kernels: compiled, waves, shared, free, arena_bytes: schedule.arena_bytes, packed, aside })
    }

    /// Bytes of packed operands, next to the arena.
    pub fn packed_bytes(&self) -> usize {
        self.packed.bytes
    }

    /// Memory for runs on a team; give it back with [`Executor::put_back`].
    ///
    /// # Errors
    /// If the system has not so much memory.
    pub fn workspace(&self, members: usize) -> Result<Workspace> {
        let found = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut workspace = match found {
            Some(workspace) => workspace,
            None => Workspace::new(Data::try_zeros(DType::U8, self.arena_bytes)?, self.packed)?,
        };
        while workspace.scratch.len() < members {
            let mut scratch = Scratch::new();
            scratch.try_aside(self.aside)?;
            workspace.scratch.push(Mutex::new(scratch));
        }
        Ok(workspace)
    }

    /// Keeps a workspace for the next run.
    pub fn put_back(&self, workspace: Workspace) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
    }

    /// Runs the program. Allocates nothing once the workspace's scratch has grown,
    /// but for what functions of the host do.
    ///
    /// # Errors
    /// If a kernel panicked, an index pointed outside, or a function of the host refused its values: then what was written is not to be used.
    ///
    /// # Safety
    /// `buffers[id]` is valid for every element of buffer `id`; those that kernels write are
    /// written by nobody else and read by nobody else meanwhile.
    pub unsafe fn run(&self, team: &Team, buffers: &[*mut u8], workspace: &Workspace) -> Result<(), Fail> {
        workspace.packed.start();
        let pointers = Pointers(buffers);
        let work = |member: Member<'_>| {
            let mut scratch = workspace.scratch[member.index()].lock().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: the caller's; units of a wave touch different memory, and waves are apart.
            unsafe { self.take_part(&member, &pointers, &mut scratch, workspace) };
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
        workspace.packed.start();
        let mut times = Vec::new();
        for &(k, _) in self.waves.iter().flat_map(|wave| &wave.parts) {
            let start = std::time::Instant::now();
            for unit in 0..self.kernels[k].units() {
                // SAFETY: the caller's; there is one thread.
                unsafe { self.kernels[k].run(unit, buffers, &workspace.packed, &mut scratch, &workspace.faults) };
            }
            times.push((k, start.elapsed().as_secs_f64() * 1e9));
        }
        times
    }

    /// # Safety
    /// As [`Executor::run`].
    unsafe fn take_part(&self, member: &Member<'_>, buffers: &Pointers<'_>, scratch: &mut Scratch, workspace: &Workspace) {
        let (packed, faults) = (&workspace.packed, &workspace.faults);
        let mut alone = false;
        for wave in &self.waves {
            if !wave.shared || member.count() == 1 {
                if member.index() == 0 {
                    for &(k, units) in &wave.parts {
                        for unit in 0..units {
                            // SAFETY: the caller's; the other members wait.
                            unsafe { self.kernels[k].run(unit, buffers.0, packed, scratch, faults) };
                        }
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
                unsafe { self.kernels[k].run(unit, buffers.0, packed, scratch, faults) };
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
    fn new(arena: Data, packed: Sizes) -> Result<Workspace> {
        Ok(Workspace { arena, packed: Packed::new(packed)?, scratch: Vec::new(), faults: FaultCell::new() })
    }

    /// The first byte of the arena.
    pub fn arena(&mut self) -> *mut u8 {
        self.arena.bytes_mut().as_mut_ptr()
    }
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
                _ => 0,
            };
            if bytes > 0 && bytes.saturating_add(own) > MOST_PACKED {
                narrow.push(start..k);
                (start, bytes) = (k, 0);
            }
            bytes = bytes.saturating_add(own);
        }
        narrow.push(start..wave.end);
    }
    narrow
}

/// Lets products share packed operands.
fn shared_panels(compiled: &mut [Compiled], kernels: &Kernels, waves: &[Range<usize>]) -> Sizes {
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
    contract::share(&mut products, |buffer, first, last| writers[buffer].iter().any(|wave| (first..=last).contains(wave)))
}

/// Buffers, shared by the members of a team.
struct Pointers<'a>(&'a [*mut u8]);

// SAFETY: whoever dereferences them sees to it that units touch different memory.
unsafe impl Sync for Pointers<'_> {}

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
mod tests {
    use crate::{Runtime, Step, Tensor};

    type Outcome = Result<(), crate::Error>;

    /// Products of which each is alike two others, on other parts of the same leaves: results of vectors (whose
    /// operands change sides), batches, sums in chunks, code that follows.
    #[test]
    fn products_that_are_alike_read_each_its_own_operands() -> Outcome {
        let numbers = |len: usize, seed: usize| -> Vec<f32> { (0..len).map(|i| ((i * 7 + seed * 5) % 9) as f32 - 4.0).collect() };
        for (batch, m, n, k) in [(1, 5, 6, 7), (1, 40, 1, 16), (1, 1, 40, 16), (3, 9, 20, 8), (1, 4, 3, 2048), (1, 70, 96, 130)] {
            let (a, b) = (numbers(3 * batch * m * k, 1), numbers(3 * batch * k * n, 2));
            let (x, w) = (Tensor::from_slice(&a, [3, batch, m, k]), Tensor::from_slice(&b, [3, batch, k, n]));
            let product = |i: isize, j: isize| x.index(0, i).matmul(&w.index(0, j));
            let plain: Vec<Tensor> = (0..3).map(|i| product(i, 2 - i)).collect();
            let with_code: Vec<Tensor> = (0..3).map(|i| product(i, (i + 1) % 3) * 2.0 + 1.0).collect();
            let mut step = Step::capture_on(&Runtime::new(2)?, &[], &plain.iter().chain(&with_code).collect::<Vec<_>>(), &[])?;
            let models = super::models(&step.program().kernels.kernels);
            assert!(models.iter().enumerate().any(|(at, &model)| at != model), "some are alike");
            step.run(&[])?;
            for i in 0..3 {
                let (got, coded) = (step.output(i).to_vec::<f32>()?, step.output(3 + i).to_vec::<f32>()?);
                let want = |at: usize, j: usize| -> f32 {
                    let (of, row, col) = (at / (m * n), at / n % m, at % n);
                    let (a, b) = (&a[((i * batch + of) * m + row) * k..], &b[(j * batch + of) * k * n + col..]);
                    (0..k).map(|p| a[p] * b[p * n]).sum()
                };
                for at in 0..batch * m * n {
                    let wanted = (want(at, 2 - i), want(at, (i + 1) % 3) * 2.0 + 1.0);
                    assert_eq!((got[at], coded[at]), wanted, "product {i} of {batch} x {m} x {n} x {k} at {at}");
                }
            }
        }
        Ok(())
    }

    /// Twelve independent products, whose operands, packed, would be some 38 MiB together.
    #[test]
    fn independent_products_share_little_memory_at_a_time_and_keep_their_values() -> Outcome {
        let leaf = |seed: usize| {
            let numbers: Vec<f32> = (0..640 * 640).map(|i| ((i * 7 + seed * 13) % 11) as f32 - 5.0).collect();
            Tensor::from_slice(&numbers, [640, 640])
        };
        let pairs: Vec<(Tensor, Tensor)> = (0..12).map(|i| (leaf(i), leaf(i + 12))).collect();
        // The left operand is packed as well, as its rows are apart in memory.
        let products: Vec<Tensor> = pairs.iter().map(|(a, b)| a.t().matmul(b)).collect();
        let roots: Vec<&Tensor> = products.iter().collect();
        let mut step = Step::capture_on(&Runtime::new(2)?, &[], &roots, &[])?;
        assert_eq!(step.program().schedule.waves.len(), 1, "they are independent");
        let packed = step.program().executor.packed_bytes();
        assert!((1..=super::MOST_PACKED).contains(&packed), "{packed} bytes");
        step.run(&[])?;
        // Whole numbers: exact in any order of the sums.
        for (i, (a, b)) in pairs.iter().enumerate() {
            let (a, b, got) = (a.to_vec::<f32>()?, b.to_vec::<f32>()?, step.output(i).to_vec::<f32>()?);
            for (row, col) in [(0, 0), (3, 639), (639, 5), (320, 321)] {
                let want: f32 = (0..640).map(|p| a[p * 640 + row] * b[p * 640 + col]).sum();
                assert_eq!(got[row * 640 + col], want, "product {i} at {row}, {col}");
            }
        }
        Ok(())
    }
}
