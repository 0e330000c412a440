//! A team of threads that is created once and runs one closure on all its members.
//!
//! The team runs a whole program: every member takes its share of every kernel and they
//! meet at barriers in between. Waiting is a short spin followed by sleep, so that a hot
//! loop pays well under a microsecond and an idle program uses no processor.
//!
//! It refuses to do work stealing, futures, nested parallelism and scheduling by load: a
//! `run` that finds the team busy (another thread's run, or a run inside a run) is carried
//! out by the calling thread alone. That is sound because work is cut by shape and never by
//! the number of members, so a team of one computes the same bits.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bell::{Bell, OwnLine, Patience, hold};

mod bell;

/// A fixed number of threads, the caller included, that run one closure together.
///
/// `Team::new(n)` starts `n - 1` workers; the thread that calls [`Team::run`] is always
/// member 0. Dropping the team ends and joins the workers.
///
/// ```text
/// let team = Team::new(2)?;
/// let sum = AtomicUsize::new(0);
/// team.run(|member| {
///     for (whose, at) in member.tiles(|of| share(100, of, 2).len()) {
///         sum.fetch_add(share(100, whose, 2).start + at, Relaxed);
///     }
/// })?;
/// assert_eq!(sum.into_inner(), 4950);
/// ```
pub struct Team {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

impl Team {
    /// The largest team that can be asked for; a guard against absurd input.
    pub const LIMIT: usize = 1024;

    /// Starts a team of `count` members, which is `count - 1` new threads.
    ///
    /// # Errors
    /// When `count` is zero or above [`Team::LIMIT`], or when the system refuses a thread;
    /// the workers started until then are ended again.
    pub fn new(count: usize) -> Result<Team, TeamError> {
        if count == 0 || count > Team::LIMIT {
            return Err(TeamError::Count { asked: count });
        }
        let mut team = Team { shared: Arc::new(Shared::new(count)), workers: Vec::with_capacity(count - 1) };
        for index in 1..count {
            let shared = Arc::clone(&team.shared);
            let worker = thread::Builder::new()
                .name(format!("chainrule-{index}"))
                .spawn(move || shared.serve(index))
                .map_err(|reason| TeamError::Spawn { index, reason })?;
            team.workers.push(worker);
        }
        Ok(team)
    }

    /// How many members a run has when the team is free, the calling thread included.
    pub fn count(&self) -> usize {
        self.shared.count
    }

    /// Runs `work` once on every member and returns when all have finished.
    ///
    /// If the team is busy, `work` runs once on the calling thread with
    /// [`Member::count`] equal to 1; it never waits for another run and never deadlocks when
    /// nested. Nothing is allocated unless a member panics.
    ///
    /// # Errors
    /// When a member panics, or leaves while others wait at a barrier, the others are
    /// released from their barriers and the first cause is returned. What `work` was writing
    /// is then half done and must not be used. The team itself stays usable.
    pub fn run<F: Fn(Member<'_>) + Sync>(&self, work: F) -> Result<(), TeamPanic> {
        let shared = &*self.shared;
        if shared.count == 1 || shared.busy.swap(true, Acquire) {
            return Team::alone(work);
        }
        shared.open(&work);
        shared.take_part(0, &work);
        shared.finished.wait(&shared.patience(RUN_PATIENCE), || shared.left.load(SeqCst) as usize == shared.count);
        let cause = if shared.broken.load(Relaxed) { hold(&shared.cause).take() } else { None };
        shared.busy.store(false, Release);
        cause.map_or(Ok(()), |message| Err(TeamPanic { message }))
    }

    /// Runs `work` on the calling thread as a team of one; nobody is woken.
    ///
    /// # Errors
    /// When `work` panics.
    pub fn alone<F: Fn(Member<'_>)>(work: F) -> Result<(), TeamPanic> {
        let message = |payload| TeamPanic { message: message_of(payload) };
        catch_unwind(AssertUnwindSafe(|| work(Member::alone()))).map_err(message)
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        self.shared.order.run.fetch_add(1, SeqCst);
        self.shared.ordered.ring();
        for worker in self.workers.drain(..) {
            // A worker catches every panic of the work it runs, so there is nothing to learn here.
            let _ = worker.join();
        }
    }
}

impl fmt::Debug for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Team").field("count", &self.count()).finish_non_exhaustive()
    }
}

/// One thread's place in a run. It cannot leave its thread.
pub struct Member<'run> {
    index: usize,
    count: usize,
    shared: Option<&'run Shared>,
    taken_alone: Cell<usize>,
    stays_on_its_thread: PhantomData<*const ()>,
}

impl Member<'_> {
    /// A member of a team of one.
    pub(super) fn alone() -> Member<'static> {
        Member { index: 0, count: 1, shared: None, taken_alone: Cell::new(0), stays_on_its_thread: PhantomData }
    }

    /// This member's number, from 0 (the thread that called `run`) to `count() - 1`.
    pub fn index(&self) -> usize {
        self.index
    }

    /// How many members take part in this run.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Waits until every member has arrived. What any member wrote before the barrier is
    /// visible to all after it, and [`Member::tiles`] starts again.
    ///
    /// A phase for one member alone is `if member.index() == 0 { .. }` followed by a barrier.
    ///
    /// # Panics
    /// Unwinds when another member has panicked or has left the run without coming here;
    /// [`Team::run`] turns that into its error.
    pub fn barrier(&self) {
        match self.shared {
            Some(shared) => shared.meet(self.index),
            None => self.taken_alone.set(0),
        }
    }

    /// The tiles of a phase as this member comes to them: those of its own share first, then what the members after it
    /// have left. Who works on the same part of the data phase after phase finds it in its own cache; who is held up
    /// is helped.
    ///
    /// `shares` tells how many tiles a member's share has; all members must say the same until the next barrier. A tile is
    /// named by whose it is and its number there. Each is handed out exactly once between two barriers, those of a share in
    /// rising order.
    pub fn tiles<S: Fn(usize) -> usize>(&self, shares: S) -> Tiles<'_, S> {
        let phase = self.shared.map_or(0, |shared| shared.phase.load(Relaxed));
        Tiles { member: self, phase, turn: 0, left_of: shares(self.index), shares }
    }

    /// Takes the next of the `total` tiles of a member's share, if any is left.
    fn take(&self, whose: usize, phase: u32, total: usize) -> Option<usize> {
        let at = match self.shared {
            // Looking before adding keeps the counter from growing past `total` by more than
            // one for each member, so it cannot overflow, and spares the cache line at the end.
            Some(shared) => {
                let taken = shared.taken_of(whose, phase);
                if taken.load(Relaxed) < total { taken.fetch_add(1, Relaxed) } else { total }
            }
            None => self.taken_alone.replace(self.taken_alone.get().saturating_add(1)),
        };
        (at < total).then_some(at)
    }
}

/// Tiles as a member comes to them; see [`Member::tiles`].
pub struct Tiles<'m, S> {
    member: &'m Member<'m>,
    phase: u32,
    turn: usize,
    left_of: usize,
    shares: S,
}

impl<S: Fn(usize) -> usize> Iterator for Tiles<'_, S> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        let Member { index, count, .. } = *self.member;
        let whose = |turn: usize| (index + turn) % count;
        while self.turn < count {
            if let Some(at) = self.member.take(whose(self.turn), self.phase, self.left_of) {
                return Some((whose(self.turn), at));
            }
            self.turn += 1;
            self.left_of = (self.shares)(whose(self.turn));
        }
        None
    }
}

/// The share of member `index` of `count` in `0..total`: those of all members follow each other, cover everything and
/// differ by at most one in length.
pub fn share(total: usize, index: usize, count: usize) -> Range<usize> {
    let (each, extra) = (total / count, total % count);
    let start = index * each + index.min(extra);
    start..start + each + usize::from(index < extra)
}

/// Why a team could not be started.
#[derive(Debug)]
pub enum TeamError {
    /// The number of members is zero or above [`Team::LIMIT`].
    Count {
        /// The number that was asked for.
        asked: usize,
    },
    /// The system refused to start a thread.
    Spawn {
        /// The member whose thread could not be started.
        index: usize,
        /// What the system said.
        reason: std::io::Error,
    },
}

impl fmt::Display for TeamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TeamError::Count { asked } => {
                write!(f, "a team of {asked} threads was asked for; give a number from 1 to {}", Team::LIMIT)
            }
            TeamError::Spawn { index, reason } => {
                write!(f, "thread {index} of the team could not be started ({reason}); ask for fewer threads")
            }
        }
    }
}

impl std::error::Error for TeamError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TeamError::Count { .. } => None,
            TeamError::Spawn { reason, .. } => Some(reason),
        }
    }
}

/// A member of the team panicked, or the members did not meet at the same barriers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamPanic {
    /// The first panic's message.
    pub message: String,
}

impl fmt::Display for TeamPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a thread of the team panicked: {}", self.message)
    }
}

impl std::error::Error for TeamPanic {}

/// How long a worker looks for the next run before it sleeps.
const IDLE_PATIENCE: Duration = Duration::from_micros(100);
/// How long a member waits for the others, inside a run, before it sleeps.
const RUN_PATIENCE: Duration = Duration::from_micros(100);
/// After this long a waiting member offers its core to others between two looks.
const YIELD_AFTER: Duration = Duration::from_micros(1);

/// Everything the members see. Fields written by different members in quick turn each have
/// cache lines of their own, so that waiting on one does not slow writing another.
struct Shared {
    count: usize,
    crowded: bool,
    busy: AtomicBool,
    stop: AtomicBool,
    broken: AtomicBool,
    cause: Mutex<Option<String>>,
    order: OwnLine<Order>,
    ordered: Bell,
    left: OwnLine<AtomicU32>,
    finished: Bell,
    arrived: OwnLine<AtomicU32>,
    phase: OwnLine<AtomicU32>,
    met: Bell,
    /// For each member, how many tiles of its share are taken, in phases with even and with odd numbers.
    taken: Box<[OwnLine<[AtomicUsize; 2]>]>,
}

/// The number of the current run and its work, on one line as they are read together.
struct Order {
    run: AtomicU32,
    work: UnsafeCell<Option<Erased>>,
}

/// A borrowed `Fn(Member) + Sync` without its type and lifetime.
#[derive(Clone, Copy)]
struct Erased {
    closure: *const (),
    call: unsafe fn(*const (), Member<'_>),
}

impl Erased {
    fn new<F: Fn(Member<'_>) + Sync>(work: &F) -> Erased {
        /// # Safety
        /// `closure` comes from a `&F` that is still borrowed.
        unsafe fn call<F: Fn(Member<'_>)>(closure: *const (), member: Member<'_>) {
            // SAFETY: the contract above.
            unsafe { (*closure.cast::<F>())(member) }
        }
        Erased { closure: (work as *const F).cast(), call: call::<F> }
    }
}

// SAFETY: `order.work` is the only field that is not `Sync` by itself. It is written in `open`,
// when every worker has left the previous run and none reads it, and read after `order.run` has
// been seen to change, which orders the read after the write. The closure it points to is `Sync`.
unsafe impl Sync for Shared {}
// SAFETY: as above; the pointer is only followed while `run` keeps the closure borrowed.
unsafe impl Send for Shared {}

impl Shared {
    fn new(count: usize) -> Shared {
        Shared {
            count,
            // More members than cores: spinning would keep the one waited for from running.
            crowded: thread::available_parallelism().is_ok_and(|cores| cores.get() < count),
            busy: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            cause: Mutex::new(None),
            order: OwnLine(Order { run: AtomicU32::new(0), work: UnsafeCell::new(None) }),
            ordered: Bell::default(),
            left: OwnLine(AtomicU32::new(0)),
            finished: Bell::default(),
            arrived: OwnLine(AtomicU32::new(0)),
            phase: OwnLine(AtomicU32::new(0)),
            met: Bell::default(),
            taken: (0..count).map(|_| OwnLine::default()).collect(),
        }
    }

    fn patience(&self, limit: Duration) -> Patience {
        Patience { limit, yield_after: if self.crowded { Duration::ZERO } else { YIELD_AFTER } }
    }

    fn taken_of(&self, member: usize, phase: u32) -> &AtomicUsize {
        &self.taken[member][phase as usize % 2]
    }

    /// Starts a run on the workers. The caller holds `busy`.
    fn open<F: Fn(Member<'_>) + Sync>(&self, work: &F) {
        self.left.store(0, Relaxed);
        self.arrived.store(0, Relaxed);
        self.taken.iter().for_each(|both| both.iter().for_each(|taken| taken.store(0, Relaxed)));
        if self.broken.load(Relaxed) {
            self.broken.store(false, Relaxed);
        }
        // SAFETY: `busy` is held and the previous run has ended, so no worker reads the cell.
        unsafe { *self.order.work.get() = Some(Erased::new(work)) };
        self.order.run.fetch_add(1, SeqCst);
        self.ordered.ring();
    }

    /// A worker's life: wait for an order, take part, again.
    fn serve(&self, index: usize) {
        let mut seen = 0_u32;
        let patience = self.patience(IDLE_PATIENCE);
        loop {
            self.ordered.wait(&patience, || self.order.run.load(SeqCst) != seen);
            // A run ends only after every worker took part, so no order is ever skipped.
            seen = seen.wrapping_add(1);
            if self.stop.load(Relaxed) {
                return;
            }
            // SAFETY: the change of `order.run` was seen, so the write in `open` came before,
            // and the next write waits until this worker has counted itself into `left`.
            if let Some(work) = unsafe { *self.order.work.get() } {
                // SAFETY: `run` keeps the closure borrowed until this worker has left.
                self.take_part(index, |member| unsafe { (work.call)(work.closure, member) });
            }
        }
    }

    /// Runs the work as member `index` and counts the member out, come what may.
    fn take_part(&self, index: usize, work: impl FnOnce(Member<'_>)) {
        let member = Member { shared: Some(self), index, count: self.count, ..Member::alone() };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| work(member))) {
            if payload.is::<Released>() {
                // Someone else's panic ended this member; the cause is on record.
                drop(payload);
            } else {
                self.break_up(message_of(payload));
            }
        }
        if self.left.fetch_add(1, SeqCst) as usize + 1 == self.count {
            self.finished.ring();
        }
        self.met.ring();
    }

    /// The barrier, which the last to arrive opens.
    fn meet(&self, index: usize) {
        if self.broken.load(Relaxed) {
            resume_unwind(Box::new(Released));
        }
        // The phase cannot move on before this member has arrived, so this is the current one.
        let phase = self.phase.load(Relaxed);
        // What counts in the next phase last counted in the one before this, which everybody has left.
        self.taken_of(index, phase.wrapping_add(1)).store(0, Relaxed);
        if self.arrived.fetch_add(1, AcqRel) as usize + 1 == self.count {
            self.arrived.store(0, Relaxed);
            self.phase.store(phase.wrapping_add(1), SeqCst);
            self.met.ring();
            return;
        }
        let open = || self.phase.load(SeqCst) != phase;
        self.met.wait(&self.patience(RUN_PATIENCE), || open() || self.broken.load(SeqCst) || self.left.load(SeqCst) != 0);
        // A member that left by the proper way had first seen this phase open, so if it is still
        // shut now, after `left` was read, that member is never going to arrive.
        if !open() {
            self.break_up(format!("member {index} waits at a barrier that another member left the run without reaching"));
            resume_unwind(Box::new(Released));
        }
    }

    /// Records the cause if it is the first of this run, and releases all who wait.
    fn break_up(&self, message: String) {
        let mut cause = hold(&self.cause);
        if !self.broken.load(Relaxed) {
            *cause = Some(message);
            self.broken.store(true, SeqCst);
        }
        drop(cause);
        self.met.ring();
    }
}

/// The panic payload of a member that was released from a barrier because of another's panic.
struct Released;

fn message_of(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => match payload.downcast_ref::<&str>() {
            Some(text) => (*text).to_string(),
            None => {
                // A payload of the user's own type may panic again when dropped.
                if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                    std::mem::forget(second);
                }
                "a panic without a message".to_string()
            }
        },
    }
}

#[cfg(test)]
mod tests;
