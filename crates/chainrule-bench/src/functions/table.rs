//! The rows: what is timed, at which sizes.

use chainrule::functions::{Conv2dOptions, Layout, Norm, Padding, conv2d};
use chainrule::{DType, Rng, Tensor};

/// Makes inputs.
pub type Inputs = Box<dyn Fn(&mut Rng) -> Vec<Tensor>>;
/// Makes results of inputs.
pub type Function = Box<dyn Fn(&[Tensor]) -> Vec<Tensor>>;

/// A function, and what it is applied to.
pub struct Row {
    /// As in the peer's table: family, function, size.
    pub name: String,
    pub inputs: Inputs,
    pub function: Function,
}

pub(super) fn row(
    name: String,
    inputs: impl Fn(&mut Rng) -> Vec<Tensor> + 'static,
    function: impl Fn(&[Tensor]) -> Vec<Tensor> + 'static,
) -> Row {
    Row { name, inputs: Box::new(inputs), function: Box::new(function) }
}

/// All of them.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    #[cfg(feature = "linalg")]
    linalg::rows(&mut rows);
    segments(&mut rows);
    convolutions(&mut rows);
    fft(&mut rows);
    sort(&mut rows);
    super::layers::rows(&mut rows);
    rows
}

/// Elements, of so many columns, put together in so many segments.
fn segments(rows: &mut Vec<Row>) {
    type Function = fn(&[Tensor], usize) -> Tensor;
    let functions: [(&str, Function); 6] = [
        ("sum", |x, count| x[0].segment_sum(&x[1], count)),
        ("mean", |x, count| x[0].segment_mean(&x[1], count)),
        ("max", |x, count| x[0].segment_max(&x[1], count)),
        ("min", |x, count| x[0].segment_min(&x[1], count)),
        ("prod", |x, count| x[0].segment_prod(&x[1], count)),
        ("index_add", |x, count| Tensor::zeros([&[count], &x[0].shape()[1..]].concat()).index_add(0, &x[1], &x[0])),
    ];
    for (parts, columns, count) in [(100_000, 1, 1000), (100_000, 1, 50_000), (20_000, 64, 1000), (1_000_000, 1, 10_000)] {
        for (name, function) in functions {
            let shape = if columns == 1 { vec![parts] } else { vec![parts, columns] };
            let inputs = move |rng: &mut Rng| {
                let segment = (Tensor::rand([parts], rng) * count as f64).floor().cast(DType::I64);
                vec![Tensor::rand(&shape, rng) + 0.5, segment.minimum(&Tensor::full([parts], count as f64 - 1.0, DType::I64))]
            };
            rows.push(row(format!("segments/{name}/{parts}x{columns}/{count}"), inputs, move |x| vec![function(x, count)]));
        }
    }
}

/// Images of a height and width, their channels and those of the result, and the height and width of the kernel.
fn convolutions(rows: &mut Vec<Row>) {
    for (name, layout) in [("first", Layout::ChannelsFirst), ("last", Layout::ChannelsLast)] {
        for (batch, side, from, to, kernel) in
            [(64, 28, 1, 32, 3), (64, 14, 32, 64, 3), (16, 56, 3, 64, 3), (8, 56, 64, 64, 3), (8, 28, 128, 128, 3), (8, 56, 64, 256, 1)]
        {
            let inputs = move |rng: &mut Rng| match layout {
                Layout::ChannelsFirst => {
                    vec![Tensor::randn([batch, from, side, side], rng), Tensor::randn([to, from, kernel, kernel], rng)]
                }
                Layout::ChannelsLast => {
                    vec![Tensor::randn([batch, side, side, from], rng), Tensor::randn([kernel, kernel, from, to], rng)]
                }
            };
            let options = Conv2dOptions { padding: Padding::Same, layout, ..Conv2dOptions::default() };
            let name = format!("conv/{name}/{batch}x{side}/{from}x{to}x{kernel}");
            rows.push(row(name, inputs, move |x| vec![conv2d(&x[0], &x[1], &options)]));
        }
    }
}

fn fft(rows: &mut Vec<Row>) {
    for (batch, n) in [
        (1000, 64),
        (256, 256),
        (64, 1000),
        (64, 1024),
        (1, 1024),
        (16, 4096),
        (1, 4096),
        (16, 16_384),
        (1, 65_536),
        (16, 65_536),
        (64, 1009),
        (1, 65_537),
    ] {
        let pair = move |rng: &mut Rng| vec![Tensor::randn([batch, n], rng), Tensor::randn([batch, n], rng)];
        rows.push(row(format!("fft/fft/{batch}x{n}"), pair, |x| {
            let y = chainrule::functions::Complex::new(&x[0], &x[1]).fft(-1, Norm::Backward);
            vec![y.re, y.im]
        }));
        let one = move |rng: &mut Rng| vec![Tensor::randn([batch, n], rng)];
        rows.push(row(format!("fft/rfft/{batch}x{n}"), one, |x| {
            let y = x[0].rfft(-1, Norm::Backward);
            vec![y.re, y.im]
        }));
        let half = move |rng: &mut Rng| vec![Tensor::randn([batch, n / 2 + 1], rng), Tensor::randn([batch, n / 2 + 1], rng)];
        rows.push(row(format!("fft/irfft/{batch}x{n}"), half, move |x| {
            vec![chainrule::functions::Complex::new(&x[0], &x[1]).irfft(n, -1, Norm::Backward)]
        }));
    }
}

fn sort(rows: &mut Vec<Row>) {
    for (batch, n) in [(10_000, 100), (16, 65_536), (1, 100_000), (1, 1_000_000), (1, 10_000_000)] {
        for dtype in [DType::F32, DType::F64] {
            let inputs = move |rng: &mut Rng| vec![Tensor::randn([batch, n], rng).cast(dtype)];
            rows.push(row(format!("sort/sort/{batch}x{n}/{dtype}"), inputs, |x| vec![x[0].sort(-1)]));
            rows.push(row(format!("sort/argsort/{batch}x{n}/{dtype}"), inputs, |x| vec![x[0].argsort(-1)]));
        }
    }
}

#[cfg(feature = "linalg")]
mod linalg {
    use super::{Row, row};
    use chainrule::linalg::*;
    use chainrule::{DType, Rng, Tensor};

    /// Matrices, their rows, whether they are of f64.
    const SIZES: [(usize, usize); 4] = [(1000, 4), (100, 32), (1, 256), (1, 1024)];

    /// Which matrix a function takes.
    #[derive(Clone, Copy)]
    enum Of {
        /// Square, and far from singular.
        Square,
        /// Symmetric and positive definite.
        Positive,
        /// Twice as many rows as columns.
        Tall,
    }

    type Function = fn(&[Tensor]) -> Vec<Tensor>;

    static FUNCTIONS: &[(&str, Of, Function)] = &[
        ("solve", Of::Square, |x| vec![solve(&x[0], &x[1])]),
        ("solve_triangular", Of::Square, |x| vec![solve_triangular(&x[0], &x[1], TriangularOptions::default())]),
        ("inv", Of::Square, |x| vec![inv(&x[0])]),
        ("det", Of::Square, |x| vec![det(&x[0])]),
        ("slogdet", Of::Square, |x| vec![slogdet(&x[0]).logabsdet]),
        ("cholesky", Of::Positive, |x| vec![cholesky(&x[0])]),
        ("qr", Of::Square, |x| {
            let found = qr(&x[0]);
            vec![found.q, found.r]
        }),
        ("lu", Of::Square, |x| {
            let found = lu(&x[0]);
            vec![found.l, found.u]
        }),
        ("svd", Of::Square, |x| {
            let found = svd(&x[0]);
            vec![found.u, found.s, found.vh]
        }),
        ("svdvals", Of::Square, |x| vec![svdvals(&x[0])]),
        ("eigh", Of::Positive, |x| {
            let found = eigh(&x[0]);
            vec![found.eigenvalues, found.eigenvectors]
        }),
        ("eigvalsh", Of::Positive, |x| vec![eigvalsh(&x[0])]),
        ("pinv", Of::Tall, |x| vec![pinv(&x[0], None)]),
        ("lstsq", Of::Tall, |x| vec![lstsq(&x[0], &x[1], None).solution]),
        ("matrix_power", Of::Square, |x| vec![matrix_power(&x[0], 5)]),
        ("expm", Of::Square, |x| vec![expm(&x[0])]),
    ];

    pub fn rows(rows: &mut Vec<Row>) {
        for dtype in [DType::F32, DType::F64] {
            for (batch, n) in SIZES {
                for &(name, of, function) in FUNCTIONS {
                    let inputs = move |rng: &mut Rng| inputs(rng, name, of, (batch, n), dtype);
                    rows.push(row(format!("linalg/{name}/{batch}x{n}/{dtype}"), inputs, function));
                }
            }
        }
    }

    fn inputs(rng: &mut Rng, name: &str, of: Of, (batch, n): (usize, usize), dtype: DType) -> Vec<Tensor> {
        let m = if matches!(of, Of::Tall) { 2 * n } else { n };
        let noise = Tensor::randn([batch, m, n], rng).cast(dtype) / (n as f64).sqrt();
        let identity = Tensor::eye(m, dtype).slice(-1, ..n as isize);
        let a = match of {
            Of::Positive => noise.matmul(&noise.t()) + identity,
            _ => noise * 0.5 + identity * 2.0,
        };
        match name {
            "solve" | "solve_triangular" | "lstsq" => vec![a, Tensor::randn([batch, m, 8], rng).cast(dtype)],
            _ => vec![a],
        }
    }
}
