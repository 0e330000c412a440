//! What the harness does when nobody reads its figures.

use std::process::{Command, Stdio};

/// As in `chainrule-bench steps | head -1`.
#[test]
fn a_closed_pipe_ends_it_quietly() {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_chainrule-bench"));
    let mut child = bench.args(["steps", "mlp_digits"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ran = child.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && complaint.is_empty(), "{} {complaint}", ran.status);
}
