//! Loops and branches in the graph: against the same unrolled, against differences, in batches, in each other.

#[path = "support/mod.rs"]
mod support;

#[path = "control/batches.rs"]
mod batches;
#[path = "control/bodies.rs"]
mod bodies;
#[path = "control/branches.rs"]
mod branches;
#[path = "control/costs.rs"]
mod costs;
#[path = "control/mistakes.rs"]
mod mistakes;
#[path = "control/scans.rs"]
mod scans;
#[path = "control/stages.rs"]
mod stages;
#[path = "control/whiles.rs"]
mod whiles;
