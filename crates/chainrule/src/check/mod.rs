//! Derivatives that a user need not doubt: which parameters receive one, and whether it is right.
//!
//! [`audit()`] asks the graph and evaluates nothing; [`gradcheck()`] evaluates, and holds every mode of
//! differentiation against differences. Neither changes a model.

pub mod audit;
pub mod gradcheck;

pub use audit::{Audit, Audited, audit};
pub use chainrule_engine::transform::Reach;
pub use gradcheck::{GradCheck, GradReport, gradcheck};
