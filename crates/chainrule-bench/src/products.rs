//! Times matrix products of the shapes that the workloads need, on one thread, in GFLOP/s. The result goes to memory
//! that is there. `PRECISION` is that of the products, the default if not given.
//!
//! With the feature `gemm`, that crate computes the same products in turn.

use crate::steps::precision;
use chainrule::{DType, Precision, Rng, Runtime, Step, Tensor};
use std::time::Instant;

/// Products `[m, k] x [k, n]`, how many of them, and whether an operand lies transposed in memory.
struct Row {
    place: &'static str,
    count: usize,
    m: usize,
    n: usize,
    k: usize,
    a_turned: bool,
    b_turned: bool,
}

const fn row(place: &'static str, [m, n, k]: [usize; 3], [a_turned, b_turned]: [bool; 2]) -> Row {
    Row { place, count: 1, m, n, k, a_turned, b_turned }
}

/// The small products of attention, one for each sequence and head.
const fn heads(place: &'static str, sizes: [usize; 3], turned: [bool; 2]) -> Row {
    Row { count: 48, ..row(place, sizes, turned) }
}

/// Forward, gradient of the input, gradient of the weights.
const FORWARD: [bool; 2] = [false, false];
const TO_INPUT: [bool; 2] = [false, true];
const TO_WEIGHTS: [bool; 2] = [true, false];

static ROWS: &[Row] = &[
    row("square", [512, 512, 512], FORWARD),
    row("square", [1024, 1024, 1024], FORWARD),
    row("mlp_mnist", [128, 512, 784], FORWARD),
    row("mlp_mnist", [784, 512, 128], TO_WEIGHTS),
    row("mlp_mnist", [512, 256, 128], TO_WEIGHTS),
    row("mlp_mnist", [128, 512, 256], TO_INPUT),
    row("gpt_nano", [768, 512, 128], FORWARD),
    row("gpt_nano", [768, 128, 512], FORWARD),
    row("gpt_nano", [768, 512, 128], TO_INPUT),
    row("gpt_nano", [768, 128, 384], TO_INPUT),
    row("gpt_nano", [128, 512, 768], TO_WEIGHTS),
    row("gpt_nano", [512, 128, 768], TO_WEIGHTS),
    row("gpt_nano", [128, 128, 768], TO_WEIGHTS),
    heads("gpt_nano", [64, 64, 32], TO_INPUT),
    heads("gpt_nano", [64, 32, 64], FORWARD),
    heads("gpt_nano", [64, 32, 64], TO_WEIGHTS),
    row("gpt_mid", [2048, 1536, 384], FORWARD),
    row("gpt_mid", [2048, 384, 1536], FORWARD),
    row("gpt_mid", [2048, 1536, 384], TO_INPUT),
    row("gpt_mid", [384, 1536, 2048], TO_WEIGHTS),
    heads("gpt_mid", [64, 256, 64], TO_INPUT),
    heads("gpt_mid", [64, 64, 256], FORWARD),
    heads("gpt_mid", [256, 64, 64], TO_WEIGHTS),
    row("lstm", [32, 1024, 256], FORWARD),
    row("lstm", [32, 256, 1024], TO_INPUT),
    row("lstm", [256, 1024, 32], TO_WEIGHTS),
    row("lstm", [256, 1024, 2048], TO_WEIGHTS),
    row("pinn", [2000, 50, 50], FORWARD),
    row("pinn", [2000, 50, 50], TO_INPUT),
    row("pinn", [50, 50, 2000], TO_WEIGHTS),
];

/// Prints GFLOP/s of every row, or of those of the workloads named: the least time of many, and the median.
pub fn run(which: &[String]) -> Result<(), String> {
    let mut rows = ROWS.iter().filter(|row| which.is_empty() || which.iter().any(|name| name == row.place)).peekable();
    if rows.peek().is_none() {
        return Err(format!("no products of {}", which.join(", ")));
    }
    let precision = precision()?;
    rows.try_for_each(|row| measure(row, precision)).map_err(|error| error.to_string())
}

fn measure(row: &Row, precision: Precision) -> chainrule::Result<()> {
    let runtime = Runtime::new(1)?.with_precision(precision);
    let mut rng = Rng::new(1);
    let mut operand = |rows: usize, cols: usize, turned: bool| {
        let shape = if turned { [row.count, cols, rows] } else { [row.count, rows, cols] };
        Tensor::rand(shape, &mut rng).to_leaf().map(|values| (Tensor::placeholder(shape.as_slice(), DType::F32), values))
    };
    let (a, b) = (operand(row.m, row.k, row.a_turned)?, operand(row.k, row.n, row.b_turned)?);
    let as_used = |leaf: &Tensor, turned: bool| if turned { leaf.transpose(-1, -2) } else { leaf.clone() };
    let product = as_used(&a.0, row.a_turned).matmul(&as_used(&b.0, row.b_turned));
    let result = Tensor::zeros([row.count, row.m, row.n]).to_leaf()?;
    let mut step = Step::capture_on(&runtime, &[&a.0, &b.0], &[], &[(&result, &product)])?;
    #[cfg(feature = "gemm")]
    let mut peer = peer::Peer::new(row, &a.1, &b.1)?;
    let flops = 2.0 * (row.count * row.m * row.n * row.k) as f64;
    let runs = (4e9 / flops).clamp(5.0, 2000.0) as usize;
    let mut times = [const { Vec::new() }; 2];
    for _ in 0..runs {
        let start = Instant::now();
        step.run(&[&a.1, &b.1])?;
        times[0].push(start.elapsed().as_secs_f64());
        #[cfg(feature = "gemm")]
        {
            let start = Instant::now();
            peer.run();
            times[1].push(start.elapsed().as_secs_f64());
        }
    }
    let turned = |turned: bool| if turned { "^T" } else { "  " };
    let count = if row.count > 1 { format!("{} x", row.count) } else { String::new() };
    let (a, b) = (turned(row.a_turned), turned(row.b_turned));
    let product = format!("{:10} {count:4} {:4} x {:4} x {:4} A{a} B{b}", row.place, row.m, row.n, row.k);
    let [[least, median], others] = times.map(|times| speeds(flops, times));
    let beside = match cfg!(feature = "gemm") {
        true => format!("   gemm {:6.1} {:6.1}   ratio {:.2} {:.2}", others[0], others[1], least / others[0], median / others[1]),
        false => String::new(),
    };
    say!("{product}  {least:6.1} {median:6.1}{beside}");
    Ok(())
}

/// GFLOP/s of the least time and of the median.
fn speeds(flops: f64, mut times: Vec<f64>) -> [f64; 2] {
    times.sort_by(f64::total_cmp);
    [0, times.len() / 2].map(|at| times.get(at).map_or(0.0, |seconds| flops / seconds / 1e9))
}

#[cfg(feature = "gemm")]
mod peer {
    use super::Row;
    use chainrule::Tensor;

    /// The same product by the `gemm` crate.
    pub struct Peer<'a> {
        row: &'a Row,
        a: Vec<f32>,
        b: Vec<f32>,
        out: Vec<f32>,
    }

    impl Peer<'_> {
        pub fn new<'a>(row: &'a Row, a: &Tensor, b: &Tensor) -> chainrule::Result<Peer<'a>> {
            Ok(Peer { row, a: a.to_vec()?, b: b.to_vec()?, out: vec![0.0; row.count * row.m * row.n] })
        }

        pub fn run(&mut self) {
            let Row { m, n, k, .. } = *self.row;
            // Strides over columns, then over rows.
            let strides = |rows: usize, cols: usize, turned: bool| if turned { (rows as isize, 1) } else { (1, cols as isize) };
            let (a, b) = (strides(m, k, self.row.a_turned), strides(k, n, self.row.b_turned));
            for at in 0..self.row.count {
                // SAFETY: the vectors hold as many elements as the shapes say, and the strides are theirs.
                unsafe { self.one(at, a, b) }
            }
        }

        /// One of the products.
        unsafe fn one(&mut self, at: usize, a: (isize, isize), b: (isize, isize)) {
            let Row { m, n, k, .. } = *self.row;
            // SAFETY: the caller's.
            unsafe {
                gemm::gemm(
                    m,
                    n,
                    k,
                    self.out.as_mut_ptr().add(at * m * n),
                    1,
                    n as isize,
                    false,
                    self.a.as_ptr().add(at * m * k),
                    a.0,
                    a.1,
                    self.b.as_ptr().add(at * k * n),
                    b.0,
                    b.1,
                    0.0,
                    1.0,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
        }
    }
}
