//! How members of the team wait for each other: look for a while, then sleep.
//!
//! It refuses to know what is waited for; that is a condition on the caller's atomics.

use std::sync::atomic::{
    AtomicU32,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Lets members wait for a condition on atomics: first by looking, then by sleeping.
///
/// No wake-up is lost: a sleeper counts itself in before its last look, and whoever makes a
/// condition true does so before reading the count. All four are sequentially consistent, so
/// either the sleeper sees the condition or the other sees the sleeper.
#[derive(Default)]
pub(super) struct Bell {
    sleepers: OwnLine<AtomicU32>,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Bell {
    /// Returns once `ready` holds. `ready` must read with `SeqCst`.
    pub(super) fn wait(&self, patience: &Patience, ready: impl Fn() -> bool) {
        if look(patience, &ready) {
            return;
        }
        let mut guard = hold(&self.lock);
        self.sleepers.fetch_add(1, SeqCst);
        while !ready() {
            guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, Relaxed);
    }

    /// To be called after a `SeqCst` write that may have made someone's condition true.
    pub(super) fn ring(&self) {
        if self.sleepers.load(SeqCst) != 0 {
            drop(hold(&self.lock));
            self.wake.notify_all();
        }
    }
}

/// How long to look before sleeping, and when to begin offering the core to others.
pub(super) struct Patience {
    pub(super) limit: Duration,
    pub(super) yield_after: Duration,
}

/// Looks before the clock is read for the first time: about two microseconds.
const FIRST_LOOKS: u32 = if cfg!(miri) { 2 } else { 64 };

/// Looks until `ready` holds or patience ends, and says which.
fn look(patience: &Patience, ready: &impl Fn() -> bool) -> bool {
    for _ in 0..FIRST_LOOKS {
        if ready() {
            return true;
        }
        std::hint::spin_loop();
    }
    let begin = Instant::now();
    loop {
        for _ in 0..FIRST_LOOKS / 2 {
            if ready() {
                return true;
            }
            std::hint::spin_loop();
        }
        let waited = begin.elapsed();
        if waited >= patience.limit {
            return false;
        }
        if waited >= patience.yield_after {
            thread::yield_now();
        }
    }
}

/// Locks a mutex whose content stays valid whatever happened to its last holder.
pub(super) fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps its content on cache lines of its own; two of 64 bytes, as they are fetched in pairs.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct OwnLine<T>(pub(super) T);

impl<T> std::ops::Deref for OwnLine<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
