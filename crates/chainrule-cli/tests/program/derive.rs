//! `chainrule derive`: its tables are read back and held to differences computed here.

use crate::support::{run, succeed};
use std::collections::HashMap;

type Function = fn(&[f64]) -> f64;

struct Case {
    source: &'static str,
    names: &'static [&'static str],
    at: &'static [f64],
    function: Function,
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Expressions, and the same functions written in Rust.
const CASES: &[Case] = &[
    Case {
        source: "log(1 + exp(-y*(w*x + b)))",
        names: &["w", "x", "b", "y"],
        at: &[1.0, 2.0, 0.5, 1.0],
        function: |v| (1.0 + (-v[3] * (v[0] * v[1] + v[2])).exp()).ln(),
    },
    Case { source: "x", names: &["x"], at: &[-3.5], function: |v| v[0] },
    Case { source: "-x^2", names: &["x"], at: &[3.0], function: |v| -v[0] * v[0] },
    Case { source: "x*x*x", names: &["x"], at: &[-1.5], function: |v| v[0].powi(3) },
    Case {
        source: "x^y + y^x - 2^-x",
        names: &["x", "y"],
        at: &[1.3, 2.4],
        function: |v| v[0].powf(v[1]) + v[1].powf(v[0]) - 2f64.powf(-v[0]),
    },
    Case {
        source: "tanh(w1*x + b1)*sigmoid(w2*x)/(1 + square(b1))",
        names: &["w1", "x", "b1", "w2"],
        at: &[0.7, -1.1, 0.2, 3.0],
        function: |v| (v[0] * v[1] + v[2]).tanh() * sigmoid(v[3] * v[1]) / (1.0 + v[2] * v[2]),
    },
    Case {
        source: "max(a, b)*min(a, b) + abs(a - 3*b) + relu(b)*softplus(a)",
        names: &["a", "b"],
        at: &[1.5, 0.25],
        function: |v| v[0] * v[1] + (v[0] - 3.0 * v[1]).abs() + v[1] * (1.0 + v[0].exp()).ln(),
    },
    Case {
        source: "sin(t)*cos(2*pi*t) + tan(t/3) + sqrt(t)*log1p(t) - expm1(-t)*e",
        names: &["t"],
        at: &[0.8],
        function: |v| {
            let t = v[0];
            t.sin() * (2.0 * std::f64::consts::PI * t).cos() + (t / 3.0).tan() + t.sqrt() * (1.0 + t).ln()
                - ((-t).exp() - 1.0) * std::f64::consts::E
        },
    },
];

/// Central differences of the fourth order.
fn slope(function: impl Fn(f64) -> f64, x: f64, step: f64) -> f64 {
    let at = |times: f64| function(x + times * step);
    (at(-2.0) - 8.0 * at(-1.0) + 8.0 * at(1.0) - at(2.0)) / (12.0 * step)
}

fn partial(function: Function, at: &[f64], by: usize) -> f64 {
    let moved = |x: f64| {
        let mut at = at.to_vec();
        at[by] = x;
        function(&at)
    };
    slope(moved, at[by], 1e-3)
}

fn second(function: Function, at: &[f64], by: [usize; 2]) -> f64 {
    let moved = |x: f64| {
        let mut at = at.to_vec();
        at[by[0]] = x;
        partial(function, &at, by[1])
    };
    slope(moved, at[by[0]], 1e-2)
}

fn values(case: &Case) -> String {
    let pairs = case.names.iter().zip(case.at).map(|(name, value)| format!("{name}={value:?}"));
    pairs.collect::<Vec<_>>().join(",")
}

/// The rows of the table under a heading that begins with `title`, as cells.
fn table(out: &str, title: &str) -> Vec<Vec<String>> {
    let lines = out.lines().skip_while(|line| !line.starts_with(title));
    let mut lines = lines.skip_while(|line| !line.starts_with("  "));
    lines.next();
    let rows = lines.take_while(|line| line.starts_with("  "));
    let cells = |line: &str| {
        let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        cells.map(str::to_string).collect()
    };
    rows.map(cells).collect()
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

/// Tables have six digits.
fn assert_near(found: f64, meant: f64, tolerance: f64, what: &str) {
    let size = meant.abs().max(1e-3);
    assert!((found - meant).abs() <= tolerance * size, "{what}: {found}, not {meant}");
}

/// A step without a slope is marked, and one that has none on either side fails the run.
#[test]
fn steps_that_bend_or_break_are_marked() {
    let folder = tempfile::tempdir().unwrap();
    let kink = succeed(folder.path(), &["derive", "relu(x)", "--at", "x=0"]).out;
    assert!(kink.contains("0.5  kink"), "{kink}");
    let waves = run(folder.path(), &["derive", "sin(x)", "--at", "x=1e15"]);
    assert!(waves.code == Some(1) && waves.out.contains("NOT OK: values change too fast here"), "{}", waves.out);
    let both = succeed(folder.path(), &["derive", "abs(x)", "--at", "x=0"]).out;
    assert!(both.contains("kink, slope -1 left, 1 right"), "{both}");
    let steep = run(folder.path(), &["derive", "0*sqrt(x)", "--at", "x=0"]);
    assert!(steep.code == Some(1) && steep.out.contains("nan  NOT OK"), "{}", steep.out);
}

#[test]
fn gradients_agree_with_differences_computed_here() {
    let folder = tempfile::tempdir().unwrap();
    for case in CASES {
        let out = succeed(folder.path(), &["derive", case.source, "--at", &values(case)]).out;
        let rows = table(&out, "Gradient, checked");
        assert_eq!(rows.len(), case.names.len(), "{out}");
        for row in rows {
            let by = case.names.iter().position(|name| row[0] == format!("dL/d{name}")).expect(&row[0]);
            let what = format!("{} {}", case.source, row[0]);
            let meant = partial(case.function, case.at, by);
            assert_near(number(&row[1]), meant, 6e-6, &what);
            assert_near(number(&row[2]), meant, 6e-6, &what);
            assert_eq!(row[4], "ok", "{what}");
        }
        let width = out.lines().map(|line| line.chars().count()).max();
        assert!(width <= Some(100), "{out}");
    }
}

/// The forward table holds the values; in the backward table each row's product is right, what is
/// handed on adds up, and the sums are the gradient.
#[test]
fn both_passes_hold_together() {
    let folder = tempfile::tempdir().unwrap();
    for case in CASES {
        let out = succeed(folder.path(), &["derive", case.source, "--at", &values(case)]).out;
        let forward = table(&out, "Forward pass");
        let root = forward.iter().find(|row| row.last().is_some_and(|last| last == "L"));
        let root = root.unwrap_or(&forward[0]);
        let value = root.iter().rev().find_map(|cell| cell.parse::<f64>().ok()).expect("a value");
        assert_near(value, (case.function)(case.at), 1e-5, case.source);

        let mut reaching: HashMap<String, f64> = HashMap::from([(root[0].clone(), 1.0)]);
        let mut current = (String::new(), 0.0);
        for mut row in table(&out, "Backward pass") {
            if row.len() == 8 {
                current = (row.remove(0), number(&row.remove(0)));
                assert_near(current.1, reaching[&current.0], 1e-4, &format!("{} {}", case.source, current.0));
            }
            let [to, _formula, local, differences, mark, handed_on] = &row[..] else { panic!("{row:?}") };
            let local = number(local);
            // Each step is held to differences of its own.
            assert_eq!(mark, "ok", "{} {row:?}", case.source);
            assert_near(number(differences), local, 6e-6, &format!("{} {row:?}", case.source));
            let handed_on = number(handed_on);
            assert_near(handed_on, current.1 * local, 2e-5, &format!("{} {row:?}", case.source));
            *reaching.entry(to.clone()).or_default() += handed_on;
        }
        for row in table(&out, "Gradients as they gather") {
            assert_near(number(&row[1]), reaching[&row[0]], 1e-4, &format!("{} {row:?}", case.source));
        }
    }
}

#[test]
fn second_derivatives_agree_with_differences_computed_here() {
    let folder = tempfile::tempdir().unwrap();
    for case in CASES {
        let out = succeed(folder.path(), &["derive", case.source, "--at", &values(case), "--order", "2"]).out;
        let count = case.names.len();
        let rows = table(&out, "Derivatives of order 2");
        assert_eq!(rows.len(), count * (count + 1) / 2, "{out}");
        for row in rows {
            assert_eq!(row[4], "ok", "{} {row:?}", case.source);
        }
        let matrix = table(&out, "As a matrix");
        assert_eq!(matrix.len(), if count == 1 { 0 } else { count });
        for row in matrix {
            let name = |name: &str| case.names.iter().position(|known| *known == name).expect("a variable");
            let heading = out.lines().skip_while(|line| !line.starts_with("As a matrix")).nth(2).unwrap();
            for (column, cell) in heading.split_whitespace().zip(&row[1..]) {
                let by = [name(&row[0]), name(column)];
                let meant = second(case.function, case.at, by);
                assert_near(number(cell), meant, 1e-5, &format!("{} {by:?}", case.source));
            }
        }
    }
}

#[test]
fn only_what_is_asked_for_is_derived_by() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["derive", "a*b*c", "--at", "a=2,b=3", "--at", "c=-5", "--wrt", "c,a", "--order", "3"];
    let out = succeed(folder.path(), &args).out;
    let names = |title| table(&out, title).into_iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    assert_eq!(names("Gradient, checked"), ["dL/dc", "dL/da"]);
    assert_eq!(names("Derivatives of order 2"), ["d2L/dc^2", "d2L/dc da", "d2L/da^2"]);
    assert_eq!(names("Derivatives of order 3").len(), 4);
}

/// Where a function bends, the gradient may lie anywhere between the slopes; where it has no
/// finite slope, the check fails.
#[test]
fn kinks_are_said_and_infinite_slopes_fail() {
    let folder = tempfile::tempdir().unwrap();
    let kink = succeed(folder.path(), &["derive", "relu(x)", "--at", "x=0"]).out;
    assert!(kink.contains("ok: a kink, slope 0 left, 1 right"), "{kink}");
    for source in ["sqrt(x)", "x^0.5", "log(1 + x^(1/3))"] {
        let ran = run(folder.path(), &["derive", source, "--at", "x=0"]);
        assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
        assert!(ran.out.contains("NOT OK") && ran.err.contains("NOT OK"), "{}{}", ran.out, ran.err);
    }
}

#[test]
fn graphviz_gets_a_whole_graph() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["derive", "log(1 + exp(-y*x)) + x", "--at", "x=2,y=1"];
    let plain = succeed(folder.path(), &args).out;
    let dot = succeed(folder.path(), &[&args[..], &["--dot"]].concat()).out;
    assert!(dot.starts_with("digraph") && dot.ends_with("}\n"), "{dot}");
    // x, y, six operations and the constant 1; an arrow for every input.
    let lines = |what: &str| dot.lines().filter(|line| line.contains(what)).count();
    assert_eq!((lines("value "), lines(" -> "), lines("plaintext")), (8, 9, 1), "{dot}");
    assert!(dot.contains("dL/dx = 0.880797"), "{dot}");
    let both = succeed(folder.path(), &[&args[..], &["--dot=graph.dot"]].concat()).out;
    assert!(both.starts_with(&plain) && both.contains("graph.dot"));
    assert_eq!(std::fs::read_to_string(folder.path().join("graph.dot")).unwrap(), dot);
}
