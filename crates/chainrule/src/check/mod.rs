//! Numbers that a user need not doubt: which parameters receive a derivative, whether it is right, and what made it NaN.
//!
//! [`audit()`] asks the graph and evaluates nothing; [`gradcheck()`] evaluates, and holds every mode of
//! differentiation against differences; [`anomaly()`] finds where NaN and infinities come from. None changes a model.

pub mod anomaly;
pub mod audit;
pub mod gradcheck;

pub use anomaly::{Anomaly, Extent, Made, anomaly};
pub use audit::{Audit, Audited, audit};
pub use chainrule_engine::transform::Reach;
pub use gradcheck::{GradCheck, GradReport, gradcheck};
