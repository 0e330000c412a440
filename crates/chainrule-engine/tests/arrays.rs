//! The functions of whole arrays: values against stored figures of NumPy and PyTorch and against loops, first and second
//! derivatives against central differences in f64, edges, and mistakes.

#[path = "support/catalogue/mod.rs"]
mod catalogue;
#[path = "functions/check.rs"]
mod check;
#[path = "arrays/contraction.rs"]
mod contraction;
#[path = "arrays/edges.rs"]
mod edges;
#[path = "arrays/figures.rs"]
mod figures;
#[path = "arrays/fourier.rs"]
mod fourier;
#[path = "arrays/gradients.rs"]
mod gradients;
#[path = "arrays/mistakes.rs"]
mod mistakes;
