//! Elementwise and row kernels beside loops that are written by hand for them, with 512-bit vectors, on one thread and in cache.
//!
//! Each loop (`by_hand/loops.rs`) computes what its step computes, which is looked at before either is timed: results that
//! differ end the table. Refuses machines without AVX-512, for which no loop is written.

#[cfg(target_arch = "x86_64")]
mod loops;

/// Prints a line for each kernel, or for those whose names contain what is asked for.
pub fn run(which: &[String]) -> Result<(), String> {
    #[cfg(target_arch = "x86_64")]
    if there() {
        return beside::run(which).map_err(|error| error.to_string());
    }
    let _ = which;
    Err("the loops that kernels are compared with are written for AVX-512, which this machine does not have".into())
}

/// Whether this machine has the instructions of the loops.
#[cfg(target_arch = "x86_64")]
fn there() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq")
}

#[cfg(target_arch = "x86_64")]
mod beside {
    use super::loops;
    use crate::bandwidth::{adam_w, alone, dropout};
    use chainrule::functions::layer_norm;
    use chainrule::loss::cross_entropy;
    use chainrule::{DType, Rng, Runtime, Step, Tensor};
    use std::hint::black_box;
    use std::time::Instant;

    /// Numbers of an array: with all that a step reads and writes they stay in the second cache.
    const NUMBERS: usize = 16_384;
    /// Runs of each in turn: the least of each counts, and the median of the ratios of two that follow each other.
    const RUNS: usize = 1000;
    /// By how much results may differ, seen from the largest: both round, in other places.
    const TOLERANCE: f32 = 2e-6;

    /// A kernel of the engine and the loop that does the same.
    struct Case {
        name: &'static str,
        /// Numbers of a row.
        row: usize,
        /// The step, of whose results the first is compared.
        make: fn(&Runtime, &Tensor) -> chainrule::Result<Step>,
        /// From numbers to that result.
        by_hand: fn(&[f32], &mut [f32], &mut State),
        /// Whether what changes are parameters, and these are compared.
        update: bool,
        /// Whether results can be compared: random numbers are others.
        same: bool,
    }

    impl Case {
        const fn new(
            name: &'static str,
            row: usize,
            make: fn(&Runtime, &Tensor) -> chainrule::Result<Step>,
            by_hand: fn(&[f32], &mut [f32], &mut State),
        ) -> Case {
            Case { name, row, make, by_hand, update: false, same: true }
        }
    }

    /// What loops read and change besides numbers: parameters and both moments; labels of rows.
    struct State {
        arrays: [Vec<f32>; 3],
        labels: Vec<i64>,
    }

    static CASES: &[Case] = &[
        Case::new("gelu_tanh", NUMBERS, |on, x| alone(on, x, &x.gelu_tanh()), |x, y, _| loops::gelu_tanh(x, y)),
        Case::new("layer norm of rows of 128", 128, layer_normed::<128>, |x, y, _| loops::layer_norm::<128>(x, y)),
        Case::new("layer norm of rows of 512", 512, layer_normed::<512>, |x, y, _| loops::layer_norm::<512>(x, y)),
        Case::new("softmax of rows of 64", 64, |on, x| alone(on, x, &rows(x, 64).softmax(-1)), |x, y, _| loops::softmax::<64>(x, y)),
        Case::new("softmax of rows of 512", 512, |on, x| alone(on, x, &rows(x, 512).softmax(-1)), |x, y, _| loops::softmax::<512>(x, y)),
        Case::new("cross-entropy of rows of 64, with gradient", 64, entropy::<64>, |x, y, state| {
            black_box(loops::cross_entropy::<64>(x, &state.labels, y));
        }),
        Case::new("cross-entropy of rows of 512, with gradient", 512, entropy::<512>, |x, y, state| {
            black_box(loops::cross_entropy::<512>(x, &state.labels, y));
        }),
        Case {
            update: true,
            ..Case::new("AdamW", NUMBERS, adam_w, |g, _, state| {
                let [p, m, v] = &mut state.arrays;
                loops::adam_w(g, p, m, v);
            })
        },
        Case { same: false, ..Case::new("dropout", NUMBERS, dropout, |x, y, _| loops::dropout(x, y)) },
    ];

    pub fn run(which: &[String]) -> chainrule::Result<()> {
        let runtime = Runtime::new(1)?;
        let wanted = |case: &&Case| which.is_empty() || which.iter().any(|part| case.name.contains(part.as_str()));
        CASES.iter().filter(wanted).try_for_each(|case| measure(case, &runtime))
    }

    /// A step and what the loop works on, after both have computed once.
    struct Pair {
        step: Step,
        values: Tensor,
        x: Vec<f32>,
        y: Vec<f32>,
        state: State,
        /// What the step computed.
        own: Vec<f32>,
    }

    impl Pair {
        fn new(case: &Case, runtime: &Runtime) -> chainrule::Result<Pair> {
            let values = Tensor::randn([NUMBERS], &mut Rng::new(1)).to_leaf()?;
            let (x, mut y) = (values.to_vec::<f32>()?, vec![0.0; NUMBERS]);
            let placeholder = Tensor::placeholder([NUMBERS].as_slice(), DType::F32);
            let mut step = (case.make)(runtime, &placeholder)?;
            let mut state = State { arrays: [vec![0.1; NUMBERS], vec![0.0; NUMBERS], vec![0.0; NUMBERS]], labels: labels(case.row) };
            step.run(&[&values])?;
            (case.by_hand)(&x, &mut y, &mut state);
            let own = if case.update { step.state(0) } else { step.output(0) }.to_vec::<f32>()?;
            Ok(Pair { step, values, x, y, state, own })
        }

        /// The largest difference of what both computed, seen from the largest number.
        fn difference(&self, case: &Case) -> f32 {
            let by_hand = if case.update { &self.state.arrays[0] } else { &self.y };
            let most = |numbers: &mut dyn Iterator<Item = f32>| numbers.fold(0.0_f32, |most, number| most.max(number.abs()));
            let off = most(&mut self.own.iter().zip(by_hand).map(|(one, other)| one - other));
            off / most(&mut self.own.iter().copied()).max(f32::MIN_POSITIVE)
        }
    }

    fn measure(case: &Case, runtime: &Runtime) -> chainrule::Result<()> {
        let mut pair = Pair::new(case, runtime)?;
        if std::env::var_os("KERNELS").is_some() {
            say!("{}", pair.step.program().kernels.print());
        }
        let off = pair.difference(case);
        if case.same && off > TOLERANCE {
            say!("{:44} the loop computes something else: {off:e} of the largest", case.name);
            return Ok(());
        }
        let (mut least, mut ratios) = ([f64::INFINITY; 2], Vec::with_capacity(RUNS));
        for _ in 0..RUNS {
            let start = Instant::now();
            pair.step.run(&[&pair.values])?;
            let middle = Instant::now();
            (case.by_hand)(&pair.x, &mut pair.y, &mut pair.state);
            let times = [middle - start, middle.elapsed()].map(|time| time.as_secs_f64() * 1e12 / NUMBERS as f64);
            least = [0, 1].map(|i| f64::min(least[i], times[i]));
            ratios.push(times[0] / times[1]);
        }
        let ([own, hand], ratio) = (least, median(&mut ratios));
        say!("{:44} {own:6.0} ps an element, by hand {hand:6.0}; ratio of neighbouring runs {ratio:.2}", case.name);
        Ok(())
    }

    fn median(values: &mut [f64]) -> f64 {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    fn labels(row: usize) -> Vec<i64> {
        (0..NUMBERS / row).map(|at| (at * 37 % row) as i64).collect()
    }

    fn rows(x: &Tensor, row: usize) -> Tensor {
        x.reshape([NUMBERS / row, row])
    }

    fn layer_normed<const ROW: usize>(runtime: &Runtime, x: &Tensor) -> chainrule::Result<Step> {
        alone(runtime, x, &layer_norm(&rows(x, ROW), 1, None, None, 1e-5))
    }

    fn entropy<const ROW: usize>(runtime: &Runtime, x: &Tensor) -> chainrule::Result<Step> {
        let labels = labels(ROW);
        let loss = cross_entropy(&rows(x, ROW), &Tensor::from_slice(&labels, [labels.len()]));
        let gradient = loss.grad(&[x])?.remove(0);
        Step::capture_on(runtime, &[x], &[&gradient, &loss], &[])
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_loops_compute_what_the_kernels_do() {
            if !super::super::there() {
                return;
            }
            let runtime = Runtime::new(1).unwrap();
            for case in CASES {
                let pair = Pair::new(case, &runtime).unwrap();
                if case.same {
                    let off = pair.difference(case);
                    assert!(off <= TOLERANCE, "{}: {off:e}", case.name);
                    continue;
                }
                // Other numbers are dropped, but as many, and the rest is as large.
                for results in [&pair.own, &pair.y] {
                    let kept = results.iter().zip(&pair.x).filter(|&(y, x)| (y - 1.25 * x).abs() <= 1e-6 * x.abs()).count();
                    let dropped = results.iter().filter(|&&y| y == 0.0).count();
                    assert_eq!(kept + dropped, NUMBERS, "{}", case.name);
                    assert!((dropped as f64 / NUMBERS as f64 - 0.2).abs() < 0.02, "{}: {dropped} of {NUMBERS}", case.name);
                }
            }
        }
    }
}
