//! What the arithmetic of this machine can do at most: multiplications and additions of f32 in a second,
//! on several threads at once, measured with the vectors that the engine uses.
//!
//! Refuses to touch memory: what it gives is a roof that no product reaches, not a forecast of one.

use chainrule::backend::cpu::level::Level;
use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long the threads compute before they are asked how much they did: short enough that now and then
/// nothing else gets in between.
const BURST: Duration = Duration::from_millis(5);
/// Bursts of a measurement. What else the machine does only ever takes away: the best one counts.
const BURSTS: usize = 40;
/// Dependent steps of each sum between two looks at the clock: a few microseconds.
const STEPS: usize = 2048;

/// GFLOP/s of all threads together; a multiplication with its addition counts as two. An error if the system
/// refuses a thread.
pub fn measure(threads: usize) -> Result<f64, String> {
    let level = Level::detect();
    let bursts: Result<Vec<f64>, String> = (0..BURSTS).map(|_| burst(threads, level)).collect();
    Ok(bursts?.into_iter().fold(0.0, f64::max))
}

/// Every thread computes for the same time; each says how fast it was.
fn burst(threads: usize, level: Level) -> Result<f64, String> {
    // Set once all are there, or to false if one of them is not to be had.
    let start = OnceLock::new();
    let one = || {
        let (mut done, all) = (0, *start.wait());
        let begin = Instant::now();
        while all && begin.elapsed() < BURST {
            done += compute(level);
        }
        done as f64 / begin.elapsed().as_secs_f64() / 1e9
    };
    std::thread::scope(|scope| {
        let others: Result<Vec<_>, _> = (1..threads).map(|_| std::thread::Builder::new().spawn_scoped(scope, one)).collect();
        let _ = start.set(others.is_ok());
        let others = others.map_err(|error| format!("the system refuses one of {threads} threads ({error}); ask for fewer"))?;
        Ok(one() + others.into_iter().map(|other| other.join().unwrap_or(0.0)).sum::<f64>())
    })
}

/// Computes for some microseconds and returns how many multiplications and additions that were.
fn compute(level: Level) -> usize {
    match level.min(Level::detect()) {
        // SAFETY: no level above the one detected, which says that the instructions are there.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { x86::with_512_bits() },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { x86::with_256_bits() },
        _ => portable(),
    }
}

/// With what every machine of the architecture has: 64-bit Arm fuses the two, x86-64 does not.
fn portable() -> usize {
    const SUMS: usize = if cfg!(target_arch = "aarch64") { 20 } else { 12 };
    let (a, b) = black_box((0.999_f32, 0.001_f32));
    let mut sums: [[f32; 4]; SUMS] = std::array::from_fn(|i| [i as f32; 4]);
    for _ in 0..STEPS {
        for sum in sums.as_flattened_mut() {
            *sum = if cfg!(target_arch = "aarch64") { sum.mul_add(a, b) } else { *sum * a + b };
        }
    }
    black_box(sums);
    2 * 4 * SUMS * STEPS
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! One function for each width. Two units that answer after four or five cycles are busy with ten sums
    //! that do not wait for one another; twelve, and the two factors, fit the sixteen registers.

    use super::STEPS;
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps, _mm512_fmadd_ps, _mm512_set1_ps};
    use std::hint::black_box;

    const SUMS: usize = 12;

    macro_rules! chains {
        ($name:ident, $features:literal, $lanes:literal, $all:ident, $multiply_add:ident) => {
            #[target_feature(enable = $features)]
            pub fn $name() -> usize {
                let (a, b) = black_box((0.999, 0.001));
                let (a, b) = ($all(a), $all(b));
                let mut sums = [$all(0.0); SUMS];
                for (i, sum) in sums.iter_mut().enumerate() {
                    // Sums that start alike would be one.
                    *sum = $all(i as f32);
                }
                for _ in 0..STEPS {
                    for sum in &mut sums {
                        *sum = $multiply_add(*sum, a, b);
                    }
                }
                black_box(sums);
                2 * $lanes * SUMS * STEPS
            }
        };
    }

    chains!(with_256_bits, "avx2,fma", 8, _mm256_set1_ps, _mm256_fmadd_ps);
    chains!(with_512_bits, "avx512f", 16, _mm512_set1_ps, _mm512_fmadd_ps);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_counts_what_it_computes() {
        for level in Level::available() {
            let done = compute(level);
            assert_eq!(done % (2 * STEPS), 0, "{level:?}");
            assert!(done >= 2 * 4 * 12 * STEPS, "{level:?}: {done}");
        }
    }

    #[test]
    fn the_measured_peak_is_a_rate_a_machine_can_have() {
        let peak = measure(1).unwrap();
        assert!(peak > 0.05 && peak < 10_000.0, "{peak} GFLOP/s");
        // Of more threads than a machine has, each gets its share of the time.
        assert!(burst(9, Level::Portable).unwrap() > 0.05);
    }
}
