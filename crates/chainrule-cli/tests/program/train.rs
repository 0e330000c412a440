//! `chainrule train`: it learns, it stops and goes on, it leaves whole files.

use crate::support::{last_number, program, ran, run, succeed, tables};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;

#[test]
fn without_arguments_it_learns_digits() {
    let folder = tempfile::tempdir().unwrap();
    let ran = succeed(folder.path(), &[]);
    let accuracy = last_number(&ran.out, "test accuracy: ");
    assert!(accuracy >= 97.0, "{accuracy}");
    for text in ["1437 rows to learn from, 360 to be tested on", "training loss", "true class", "go on with: "] {
        assert!(ran.out.contains(text), "{text}: {}", ran.out);
    }
    assert!(!ran.out.contains("left") && ran.err.starts_with("epoch  1/40"), "progress goes to standard error");
    for file in ["model.safetensors", "training.safetensors", "metrics.csv"] {
        assert!(folder.path().join("runs/digits-1").join(file).is_file(), "{file}");
    }
    let metrics = fs::read_to_string(folder.path().join("runs/digits-1/metrics.csv")).unwrap();
    assert_eq!(metrics.lines().count(), 41);
    let last: f64 = metrics.lines().last().unwrap().rsplit(',').next().unwrap().parse().unwrap();
    assert!((100.0 * last - accuracy).abs() < 0.051);
    // The next run takes the next number.
    let next = succeed(folder.path(), &["train", "--epochs", "1"]);
    assert!(next.out.contains("runs/digits-2"));
}

#[test]
fn toys_and_tables_are_learned() {
    let folder = tempfile::tempdir().unwrap();
    tables(folder.path());
    let accuracy = |args: &[&str]| last_number(&succeed(folder.path(), args).out, "test accuracy: ");
    assert!(accuracy(&["train", "xor"]) >= 97.0);
    assert!(accuracy(&["train", "spiral"]) >= 97.0);
    assert!(accuracy(&["train", "xor", "--layers", "none"]) < 80.0, "a straight line cannot");
    for optimizer in ["adamw", "adam", "sgd"] {
        let args = ["train", "trees.csv", "--target", "kind", "--layers", "16", "--optimizer", optimizer];
        let accuracy = accuracy(&args);
        assert!(accuracy >= 95.0, "{optimizer} {accuracy}");
    }
    let out = succeed(folder.path(), &["train", "prices.csv", "--target", "price", "--epochs", "150"]).out;
    let line = out.lines().last().unwrap();
    let r_squared: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(line.starts_with("test error: RMSE 0.") && r_squared > 0.97, "{line}");
}

/// The model's file says how to use it: what was scaled, and by what.
#[test]
fn the_model_carries_its_scaling() {
    let folder = tempfile::tempdir().unwrap();
    tables(folder.path());
    succeed(folder.path(), &["train", "prices.csv", "--target", "price", "--epochs", "1", "--out", "run"]);
    let contents = chainrule::io::safetensors::read_contents(folder.path().join("run/model.safetensors")).unwrap();
    let get = |key: &str| contents.metadata.iter().find(|(known, _)| known == key).map(|(_, text)| text.clone());
    assert_eq!(get("sizes").as_deref(), Some("3,64,32,1"));
    assert_eq!(get("feature_columns").as_deref(), Some("[\"size\",\"age\",\"constant\"]"));
    let list = |key: &str| serde_json::from_str::<Vec<f64>>(&get(key).unwrap()).unwrap();
    let (means, deviations) = (list("feature_means"), list("feature_deviations"));
    // Uniform on an interval of length 1000 and 1: deviation 1 / sqrt(12) of it; a constant has 1.
    assert!((deviations[0] / 288.7 - 1.0).abs() < 0.15 && (deviations[1] / 0.2887 - 1.0).abs() < 0.15);
    assert_eq!((means[2], deviations[2]), (7.0, 1.0));
    let target: serde_json::Value = serde_json::from_str(&get("target").unwrap()).unwrap();
    assert_eq!(target["name"], "price");
    assert!((target["mean"].as_f64().unwrap() - 100.2).abs() < 0.2);
}

fn files(run: &Path) -> [Vec<u8>; 2] {
    ["model.safetensors", "metrics.csv"].map(|file| fs::read(run.join(file)).unwrap())
}

#[test]
fn going_on_is_as_never_having_stopped_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let common = ["train", "spiral", "--layers", "24"];
    let train = |more: &[&str]| succeed(at, &[&common[..], more].concat());
    train(&["--epochs", "6", "--out", "whole", "--seed", "5", "--threads", "1"]);
    train(&["--epochs", "6", "--out", "shared", "--seed", "5", "--threads", "3"]);
    train(&["--epochs", "2", "--out", "parts", "--seed", "5", "--threads", "2"]);
    let more = succeed(at, &["train", "--resume", "parts", "--epochs", "6"]);
    assert!(more.out.contains("goes on   after 2 epochs and 0 steps"), "{}", more.out);
    assert!(files(&at.join("whole")) == files(&at.join("shared")), "threads change bits");
    assert!(files(&at.join("whole")) == files(&at.join("parts")), "a stop changes bits");
    train(&["--epochs", "6", "--out", "other", "--seed", "6"]);
    assert!(files(&at.join("whole")) != files(&at.join("other")), "another seed is another run");
}

#[test]
fn changed_data_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    tables(folder.path());
    succeed(folder.path(), &["train", "trees.csv", "--target", "kind", "--epochs", "1", "--out", "run"]);
    let table = folder.path().join("trees.csv");
    let text = fs::read_to_string(&table).unwrap();
    fs::write(&table, text.replacen("ash", "oak", 1)).unwrap();
    let ran = run(folder.path(), &["train", "--resume", "run", "--epochs", "2"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("trees.csv has changed"), "{}", ran.err);
    fs::write(folder.path().join("moved.csv"), text).unwrap();
    fs::remove_file(table).unwrap();
    let ran = run(folder.path(), &["train", "--resume", "run", "--epochs", "2"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("run was trained on trees.csv, which is not there; say where it lies"), "{}", ran.err);
    succeed(folder.path(), &["train", "moved.csv", "--resume", "run", "--epochs", "2"]);
}

#[test]
fn a_training_that_runs_away_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["train", "digits", "--optimizer", "sgd", "--lr", "1e12"]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    for text in ["the loss became", "epoch 1, step", "learning rate 1e12", "--lr 0.05"] {
        assert!(ran.err.contains(text), "{text}: {}", ran.err);
    }
    let left = fs::read_dir(folder.path().join("runs")).unwrap().count();
    assert_eq!(left, 0, "nothing was saved, so no folder stays");
    // One step in all: its loss is that of the parameters before it, and says nothing.
    let ran = run(folder.path(), &["train", "spiral", "--epochs", "1", "--batch", "800", "--lr", "1e30", "--out", "once"]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("the loss on the rows for the test became") && ran.err.contains("epoch 1"), "{}", ran.err);
    assert!(!folder.path().join("once").exists());
}

/// Ctrl-C finishes the step, saves and exits 130; going on gives what an undisturbed run gives.
#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_the_run_goes_on() {
    stopped_and_gone_on("-INT", "Ctrl-C", 130);
}

/// So does the signal by which systems end programs.
#[cfg(unix)]
#[test]
fn sigterm_saves_and_the_run_goes_on() {
    stopped_and_gone_on("-TERM", "SIGTERM", 143);
}

#[cfg(unix)]
fn stopped_and_gone_on(signal: &str, name: &str, code: i32) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let common = ["train", "spiral", "--layers", "8", "--threads", "1"];
    let mut child = program(at)
        .args(common)
        .args(["--epochs", "100000000", "--out", "stopped"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first line of progress says that steps are being done.
    let mut progress = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    progress.read_line(&mut line).unwrap();
    assert!(line.starts_with("epoch"), "{line}");
    // Nobody else may write to its folder meanwhile.
    let second = run(at, &["train", "xor", "--epochs", "1", "--out", "stopped"]);
    assert_eq!(second.code, Some(2), "{}{}", second.out, second.err);
    assert!(second.err.contains("--out stopped: another run is writing"), "{}", second.err);
    let kill = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let mut rest = String::new();
    progress.read_to_string(&mut rest).unwrap();
    let ran = ran(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(code), "{}{rest}", ran.out);
    assert!(ran.out.contains("go on with: ") && ran.out.contains("--resume stopped"), "{}", ran.out);

    let after = ran.out.split(&format!("stopped by {name} after ")).nth(1).unwrap();
    let epochs: u64 = after.split(' ').next().unwrap().parse().unwrap();
    let all = (epochs + 2).to_string();
    succeed(at, &["train", "--resume", "stopped", "--epochs", &all]);
    succeed(at, &[&common[..], &["--epochs", &all, "--out", "whole"]].concat());
    assert!(files(&at.join("whole")) == files(&at.join("stopped")), "the interruption changed bits");
}

/// A reader that goes away ends nothing and is no panic.
#[test]
fn a_closed_pipe_is_no_mistake() {
    let folder = tempfile::tempdir().unwrap();
    for args in [&["train", "xor", "--epochs", "2"][..], &["derive", "x^2", "--at", "x=1"]] {
        let mut child = program(folder.path()).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ran = ran(child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(0), "{args:?} {}", ran.err);
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
    }
    assert!(folder.path().join("runs/xor-1/model.safetensors").is_file());
}

#[test]
fn the_help_has_examples() {
    let folder = tempfile::tempdir().unwrap();
    for args in [&["--help"][..], &["train", "--help"], &["derive", "--help"]] {
        let help = succeed(folder.path(), args).out;
        assert!(help.contains("Examples:") && help.contains("chainrule "), "{help}");
    }
}
