//! Runs the program as a user does, and reads what it says.

use std::path::Path;
use std::process::{Command, Output};

/// What a run of the program left behind.
pub struct Ran {
    /// The exit code; nothing where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// The program, to be run in `folder`.
pub fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chainrule"));
    command.current_dir(folder);
    command
}

/// Runs the program in `folder` to its end.
pub fn run(folder: &Path, args: &[&str]) -> Ran {
    let output = program(folder).args(args).output().expect("the program starts");
    ran(output)
}

/// What a finished process left behind.
pub fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    }
}

/// Runs the program, which must succeed.
pub fn succeed(folder: &Path, args: &[&str]) -> Ran {
    let ran = run(folder, args);
    assert_eq!(ran.code, Some(0), "{args:?}\n{}\n{}", ran.out, ran.err);
    ran
}

/// The number in the last line, after `name: `.
pub fn last_number(out: &str, name: &str) -> f64 {
    let line = out.lines().last().unwrap_or("");
    let rest = line.strip_prefix(name).unwrap_or_else(|| panic!("{line:?} does not begin with {name:?}"));
    let number = rest.split_whitespace().next().unwrap_or("").trim_end_matches(',');
    number.parse().unwrap_or_else(|_| panic!("{line:?} holds no number"))
}

/// A table of points of three kinds, and a number that depends on them.
pub fn tables(folder: &Path) {
    let mut kinds = String::from("width;height;kind\n");
    let mut prices = String::from("size,age,constant,price\n");
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1u64 << 24) as f64
    };
    for at in 0..240 {
        let kind = at % 3;
        let (x, y) = (random() - 0.5, random() - 0.5);
        kinds += &format!("{};{};{}\n", 3.0 * kind as f64 + x, 10.0 * y, ["ash", "elm", "oak"][kind]);
        prices += &format!("{},{},7,{}\n", 1000.0 * x, y, 2.0 * x - y * y + 100.25);
    }
    std::fs::write(folder.join("trees.csv"), kinds).expect("written");
    std::fs::write(folder.join("prices.csv"), prices).expect("written");
}
