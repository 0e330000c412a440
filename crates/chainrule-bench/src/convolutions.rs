//! Times convolutions, and the gradients by their input and by their kernel, on one thread: GFLOP/s, and the share of the
//! machine's peak that [`peak`] measures. Inputs have zeros around as far as a kernel reaches, and are placed
//! in between, so that what is measured contains everything from an image to an image.

use crate::peak;
use crate::steps::precision;
use chainrule::functions::{Conv2dOptions, Layout, Padding, conv2d};
use chainrule::{DType, Precision, Rng, Runtime, Step, Tensor, transform::vjp};
use std::time::Instant;

/// A kernel over images.
struct Row {
    batch: usize,
    /// Height and width of an image.
    side: usize,
    /// Channels of the input and of the output.
    channels: [usize; 2],
    /// Height and width of the kernel.
    kernel: usize,
}

const fn row(batch: usize, side: usize, channels: [usize; 2], kernel: usize) -> Row {
    Row { batch, side, channels, kernel }
}

/// Those of `cnn_mnist` first, at its batch and at one whose results stay in the second cache; then those of larger networks.
static ROWS: &[Row] = &[
    row(64, 28, [1, 32], 3),
    row(4, 28, [1, 32], 3),
    row(64, 14, [32, 64], 3),
    row(4, 14, [32, 64], 3),
    row(16, 56, [3, 64], 3),
    row(8, 56, [64, 64], 3),
    row(8, 28, [128, 128], 3),
    row(8, 14, [256, 256], 3),
    row(8, 56, [64, 256], 1),
    row(8, 14, [1024, 256], 1),
];

/// What is computed.
const WAYS: [&str; 3] = ["forward", "input", "kernel"];

/// Prints a line for each convolution, or for those whose line contains a word.
pub fn run(which: &[String]) -> Result<(), String> {
    let precision = precision()?;
    let peak = peak::measure(1)?;
    say!("peak {peak:.1} GFLOP/s; least and median, GFLOP/s, and share of the peak of the least time");
    let mut any = false;
    for layout in [Layout::ChannelsLast, Layout::ChannelsFirst] {
        for row in ROWS {
            for way in WAYS {
                let name = row.name(layout, way);
                if which.is_empty() || which.iter().any(|word| name.contains(word.as_str())) {
                    any = true;
                    let [least, median] = row.measure(layout, way, precision).map_err(|error| error.to_string())?;
                    say!("{name}  {least:6.1} {median:6.1}  {:3.0} %", 100.0 * least / peak);
                }
            }
        }
    }
    if any { Ok(()) } else { Err(format!("no convolutions with {}", which.join(", "))) }
}

impl Row {
    fn name(&self, layout: Layout, way: &str) -> String {
        let Row { batch, side, channels: [from, to], kernel } = *self;
        let last = if let Layout::ChannelsLast = layout { "last " } else { "first" };
        format!("channels {last} {kernel}x{kernel} {batch:2} x {side}x{side}, {from:4} to {to:3}, {way:7}")
    }

    fn measure(&self, layout: Layout, way: &str, precision: Precision) -> chainrule::Result<[f64; 2]> {
        let Row { batch, side, channels: [from, to], kernel } = *self;
        let runtime = Runtime::new(1)?.with_precision(precision);
        let image = |channels: usize| match layout {
            Layout::ChannelsLast => [batch, side, side, channels],
            Layout::ChannelsFirst => [batch, channels, side, side],
        };
        let weights = match layout {
            Layout::ChannelsLast => [kernel, kernel, from, to],
            Layout::ChannelsFirst => [to, from, kernel, kernel],
        };
        let mut rng = Rng::new(1);
        let mut operand = |shape: [usize; 4]| {
            Tensor::rand(shape, &mut rng).to_leaf().map(|values| (Tensor::placeholder(shape.as_slice(), DType::F32), values))
        };
        let (x, w, seed) = (operand(image(from))?, operand(weights)?, operand(image(to))?);
        let options = Conv2dOptions { padding: Padding::Same, layout, ..Conv2dOptions::default() };
        let y = conv2d(&x.0, &w.0, &options);
        let by = |leaf: &Tensor| vjp(&[&y], &[&seed.0], &[leaf]);
        let result = match way {
            "forward" => y.clone(),
            "input" => by(&x.0)?.remove(0),
            _ => by(&w.0)?.remove(0),
        };
        let place = Tensor::zeros(result.shape()).to_leaf()?;
        let mut step = Step::capture_on(&runtime, &[&x.0, &w.0, &seed.0], &[], &[(&place, &result)])?;
        if std::env::var_os("KERNELS").is_some() {
            say!("{}", step.program().kernels.print());
        }
        let flops = 2.0 * (batch * side * side * kernel * kernel * from * to) as f64;
        let runs = (3e9 / flops).clamp(5.0, 1000.0) as usize;
        let mut times = Vec::with_capacity(runs);
        for _ in 0..runs {
            let start = Instant::now();
            step.run(&[&x.1, &w.1, &seed.1])?;
            times.push(start.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        Ok([0, runs / 2].map(|at| flops / times[at] / 1e9))
    }
}
