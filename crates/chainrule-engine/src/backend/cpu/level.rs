//! Which vector instructions the loops may use, found out once when the program runs.
//!
//! Refuses to depend on how the program was built: the same binary runs everywhere.

use std::sync::OnceLock;

/// Asks for a cache line that is used soon; nothing else happens, wherever it points.
#[inline(always)]
pub fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has the instruction, and it never faults.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    let _ = at;
}

/// Asks for a cache line that is used after a while: it comes no nearer than the second cache.
#[inline(always)]
pub fn prefetch_for_later<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has the instruction, and it never faults.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(at.cast());
    }
    let _ = at;
}

/// Stands in a loop whose turns the compiler must not put together: of numbers that lie apart it would gather and scatter
/// sixteen at once, which takes up to three times as long as one after the other (`docs/performance.md`).
#[inline(always)]
pub fn one_by_one() {
    // SAFETY: it is no instruction at all. The interpreter knows no assembly, and puts nothing together.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    unsafe {
        std::arch::asm!("", options(nomem, nostack, preserves_flags));
    }
}

/// A set of vector instructions for which the element loops exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// What every machine of this architecture has (SSE2 or NEON).
    Portable,
    /// 256-bit vectors and fused multiply-add.
    Avx2,
    /// 512-bit vectors and masks.
    Avx512,
}

impl Level {
    /// The best level of this machine.
    pub fn detect() -> Level {
        static FOUND: OnceLock<Level> = OnceLock::new();
        *FOUND.get_or_init(|| *Level::available().last().unwrap_or(&Level::Portable))
    }

    /// Every level this machine can run, lowest first; none above what the environment says (`CHAINRULE_VECTORS`), so that a machine can
    /// stand for one that has less.
    pub fn available() -> Vec<Level> {
        #[allow(unused_mut, reason = "other architectures have one level")]
        let mut levels = vec![Level::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            let two = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
            if two {
                levels.push(Level::Avx2);
            }
            if two
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
            {
                levels.push(Level::Avx512);
            }
        }
        let most = Level::most(std::env::var("CHAINRULE_VECTORS").ok().as_deref());
        levels.retain(|&level| level <= most);
        levels
    }

    /// The highest level that a word of the environment allows: `portable`, `256` for vectors of so many bits, or anything else.
    fn most(word: Option<&str>) -> Level {
        match word {
            Some("portable") => Level::Portable,
            Some("256") => Level::Avx2,
            _ => Level::Avx512,
        }
    }

    /// Whether the loops of this level fuse a multiplication with an addition where the
    /// formulas of the vector functions say so.
    pub fn fuses(self) -> bool {
        cfg!(target_arch = "aarch64") || self >= Level::Avx2
    }
}

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn the_environment_lowers_the_level() {
        let words = [None, Some("portable"), Some("256"), Some("512"), Some("")];
        let found = words.map(Level::most);
        assert_eq!(found, [Level::Avx512, Level::Portable, Level::Avx2, Level::Avx512, Level::Avx512]);
        assert!(Level::available().contains(&Level::detect()), "the best is among them");
    }
}
