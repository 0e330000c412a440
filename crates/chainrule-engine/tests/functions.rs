//! The functions models are written with: values against independent formulas, first and second
//! derivatives against central differences in f64, and behaviour at kinks, limits and mistakes.

#[path = "functions/activation.rs"]
mod activation;
#[path = "functions/attention.rs"]
mod attention;
#[path = "functions/bits.rs"]
mod bits;
#[path = "support/catalogue/mod.rs"]
mod catalogue;
#[path = "functions/check.rs"]
mod check;
#[path = "functions/conv.rs"]
mod conv;
#[path = "functions/edges.rs"]
mod edges;
#[path = "functions/elementary.rs"]
mod elementary;
#[path = "functions/host.rs"]
mod host;
#[path = "functions/limits.rs"]
mod limits;
#[path = "functions/loss.rs"]
mod loss;
#[path = "functions/mistakes.rs"]
mod mistakes;
#[path = "functions/norm.rs"]
mod norm;
#[path = "functions/pool.rs"]
mod pool;
#[path = "functions/reduction.rs"]
mod reduction;
#[path = "functions/scan.rs"]
mod scan;
