//! The functions of networks against PyTorch's: matrices of settings, values and gradients, and both orders of
//! derivatives against central differences.

#[path = "../support/catalogue/mod.rs"]
mod catalogue;
#[path = "../functions/check.rs"]
#[allow(dead_code, reason = "the other test program uses the rest")]
mod check;
mod layout;
mod loss;
mod pool;
mod refused;
mod resize;
mod sequence;
mod stored;
mod types;
