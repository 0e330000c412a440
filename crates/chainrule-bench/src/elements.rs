//! Times elementwise functions and fused expressions on one thread, in cache.

use chainrule::functions::layer_norm;
use chainrule::{DType, Rng, Runtime, Step, Tensor};
use std::time::Instant;

type Expression = (&'static str, fn(&Tensor) -> Tensor);

static EXPRESSIONS: &[Expression] = &[
    ("add", |x| x + 1.5),
    ("divide", |x| 1.5 / x),
    ("sqrt", Tensor::sqrt),
    ("exp", Tensor::exp),
    ("log", Tensor::log),
    ("tanh", Tensor::tanh),
    ("sech", Tensor::sech),
    ("sigmoid", Tensor::sigmoid),
    ("softplus", Tensor::softplus),
    ("sin", Tensor::sin),
    ("erf", Tensor::erf),
    ("relu", Tensor::relu),
    ("erfc", Tensor::erfc),
    ("gelu", Tensor::gelu),
    ("gelu'", |x| slope(Tensor::gelu, x)),
    ("gelu_tanh", gelu_tanh),
    ("gelu_tanh'", |x| slope(gelu_tanh, x)),
    ("Tensor::gelu_tanh'", |x| slope(Tensor::gelu_tanh, x)),
    ("tanh'", |x| slope(Tensor::tanh, x)),
    ("silu'", |x| slope(Tensor::silu, x)),
    ("mish'", |x| slope(Tensor::mish, x)),
    ("eight adds and products", |x| ((((x * 1.1 + 0.1) * x + 0.2) * x + 0.3) * x + 0.4) * x),
    ("softmax of rows of 256", |x| x.reshape([64, 256]).softmax(-1)),
    ("softmax of rows of 64", |x| x.reshape([256, 64]).softmax(-1)),
    ("sums of rows of 64", |x| x.reshape([256, 64]).sum_over(&[-1])),
    ("sums of rows of 1024", |x| x.reshape([16, 1024]).sum_over(&[-1])),
    ("maxima of rows of 64", |x| x.reshape([256, 64]).max_over(&[-1])),
    ("sums of columns of 128", |x| x.reshape([128, 128]).sum_over(&[0])),
    ("layer norm of rows of 128", |x| layer_norm(&x.reshape([128, 128]), 1, None, None, 1e-5)),
    ("layer norm' of rows of 128", |x| slope(|x| layer_norm(&x.reshape([128, 128]), 1, None, None, 1e-5).square(), x)),
    ("log-softmax' of rows of 64", |x| slope(|x| x.reshape([256, 64]).log_softmax(-1).square(), x)),
];

/// As the steps' transformer writes it.
fn gelu_tanh(x: &Tensor) -> Tensor {
    x * 0.5 * (((x + x.square() * x * 0.044_715) * 0.797_884_560_8).tanh() + 1.0)
}

/// The derivative at each element; NaN if there is none, which no row should show.
fn slope(function: fn(&Tensor) -> Tensor, x: &Tensor) -> Tensor {
    function(x).sum().grad(&[x]).map_or_else(|_| x * f64::NAN, |slopes| slopes[0].clone())
}

/// Prints picoseconds per element of each expression, f32 and f64, for 16,384 elements.
pub fn run() -> Result<(), String> {
    measure().map_err(|error| error.to_string())
}

fn measure() -> chainrule::Result<()> {
    let runtime = Runtime::new(1)?;
    for (name, expression) in EXPRESSIONS {
        let times = [DType::F32, DType::F64].map(|dtype| time(&runtime, expression, dtype));
        say!("{name:26} f32 {:7.0} ps   f64 {:7.0} ps an element", times[0].clone()?, times[1].clone()?);
    }
    Ok(())
}

/// Picoseconds per element: the least of many runs, less what an empty step takes.
fn time(runtime: &Runtime, expression: &fn(&Tensor) -> Tensor, dtype: DType) -> chainrule::Result<f64> {
    const LENGTH: usize = 16_384;
    let values = (Tensor::rand([LENGTH], &mut Rng::new(1)) + 0.25).cast(dtype).to_leaf()?;
    let x = Tensor::placeholder([LENGTH].as_slice(), dtype);
    let mut step = Step::capture_on(runtime, &[&x], &[&expression(&x)], &[])?;
    let mut least = f64::INFINITY;
    for _ in 0..400 {
        let start = Instant::now();
        step.run(&[&values])?;
        least = least.min(start.elapsed().as_secs_f64());
    }
    Ok(least * 1e12 / LENGTH as f64)
}
