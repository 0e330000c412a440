//! Functions from graph to graph: gradients, tangents, batching.
//!
//! None of them knows an operation by name: each asks the node's rules and records more of the
//! same graph, so any of them can be applied to the result of any other.

pub mod audit;
pub mod batch;
pub mod checkpoint;
mod control;
pub mod custom;
mod cut;
pub mod forward;
pub mod jacobian;
pub mod reverse;
pub mod substitute;
pub mod walk;

pub use audit::{Reach, audit};
pub use batch::vmap;
pub use checkpoint::checkpoint;
pub use custom::custom_derivative;
pub use cut::Obstacle;
pub use forward::jvp;
pub use jacobian::{hessian, hvp, jacobian};
pub use reverse::{value_and_grad, vjp};
pub use substitute::substitute;
