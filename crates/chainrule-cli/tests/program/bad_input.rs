//! Every bad input: exit code 2, and a message that says what, where and what to do.

use crate::support::{run, succeed, tables};
use std::fs;

struct Case {
    args: Vec<&'static str>,
    says: &'static [&'static str],
}

fn case(args: &'static str, says: &'static [&'static str]) -> Case {
    Case { args: args.split_whitespace().collect(), says }
}

/// Flags and names, of both commands.
fn of_flags() -> Vec<Case> {
    vec![
        case("trane", &["unrecognized subcommand", "'train'"]),
        case("train digts", &["\"digts\"", "did you mean digits?", "spiral"]),
        case("train mnist", &["\"mnist\"", "data sets are digits, xor, spiral"]),
        case("train --layers 64,x", &["--layers", "\"x\" is not the size of a layer"]),
        case("train --layers 64,,32", &["--layers", "\"\" is not the size of a layer"]),
        case("train --layers -3", &["--layers"]),
        case("train --layers 0", &["size 0", "at least 1"]),
        case("train --layers 999999999999", &["999999999999", "parameters", "memory", "choose smaller layers"]),
        case("train --layers 18446744073709551615,18446744073709551615", &["choose smaller layers"]),
        case("train --layers 99999999999999999999", &["is far too large for a layer"]),
        case("train --threads 0", &["'0'", "--threads", "1 or more"]),
        case("train --threads 100000", &["--threads cannot be 100000", "1 to 1024"]),
        case("train --threads many", &["--threads", "many", "a whole number"]),
        case("train --lr 0", &["--lr 0", "above 0"]),
        case("train --lr -0.1", &["--lr -0.1", "above 0"]),
        case("train --lr nan", &["no learning rate"]),
        case("train --lr inf", &["no learning rate"]),
        case("train --lr fast", &["--lr", "fast"]),
        case("train --epochs 0", &["--epochs", "'0'", "a whole number of 1 or more"]),
        case("train --epochs 1.5", &["--epochs", "'1.5'", "a whole number of 1 or more"]),
        case("train --batch 0", &["--batch", "'0'", "1 or more"]),
        case("train --batch 99999999999999999999", &["--batch", "too large"]),
        case("train --batch 1438", &["--batch 1438", "1437 rows", "choose 1 to 1437"]),
        case("train --optimizer adma", &["--optimizer", "adma", "adamw"]),
        case("train --seed -1", &["--seed", "'-1'", "a whole number of 0 or more"]),
        case("train --seed 18446744073709551616", &["--seed", "too large", "18446744073709551615"]),
        case("train --target species", &["--target species", "leave --target out"]),
        case("train --out trees.csv", &["--out trees.csv", "is a file", "name another"]),
        case("train --out trees.csv/below", &["trees.csv/below", "choose another place"]),
        case("train --out taken", &["taken/model.safetensors", "this is a directory"]),
        case("train --resume nowhere", &["--resume nowhere", "no such folder"]),
        case("train --resume trees.csv", &["--resume trees.csv", "not a folder"]),
        case("train --resume .", &["no training.safetensors"]),
        case("train --resume . --layers 3", &["cannot be used with"]),
        case("train nothing.csv --target a", &["nothing.csv", "no such file", "check the path"]),
        case("train . --target a", &["directory"]),
        case("train trees.csv", &["which column", "--target", "width, height, kind"]),
        case("train trees.csv --target kid", &["\"kid\"", "did you mean \"kind\"?", "width"]),
        case("train trees.csv --target kind --batch 193", &["192 rows", "choose 1 to 192"]),
        case("derive", &["required", "<EXPRESSION>"]),
        case("derive x^2", &["no value for x", "--at x=1"]),
        case("derive x*y*z --at y=1", &["no value for x, z", "x=1,z=1"]),
        case("derive x --at x=1 --order 0", &["--order", "0 is not in 1..=4"]),
        case("derive x --at x=1 --order 9", &["--order", "9 is not in 1..=4"]),
        case("derive x --at x=1 --wrt y", &["no variable \"y\"", "its variables are x"]),
        case("derive x --at x=1 --wrt x,x", &["given twice"]),
        case("derive x --at x=1,x=2", &["given twice"]),
        case("derive x --at x=one", &["a number is expected", "(character 3)"]),
        case("derive x --at x=1 --dot=no/where/graph.dot", &["no/where", "not there"]),
        case("derive x --at x=1 --dot=", &["--dot= names no file", "--dot=graph.dot"]),
        case("derive x + 1 --at x=1", &["\"+\" is one word too many", "\"x\"", "in quotes"]),
        case("derive x --at x=1 --dot graph.dot", &["\"graph.dot\" is one word too many", "--dot=graph.dot"]),
        case("derive 1+2 ", &["holds no variable", "it is 3"]),
        case("derive log(x) --at x=-1", &["not a number where x = -1", "^^^^^^", "--at"]),
        case("derive 1+2/x --at x=0", &["too large for a 64-bit float where x = 0 (character 3)", "^^^"]),
        case("derive exp(x) --at x=1000", &["too large for a 64-bit float"]),
    ]
}

/// Places in an expression: the picture points at the character.
const EXPRESSIONS: &[(&str, &str, usize)] = &[
    ("", "empty", 1),
    ("(x + 1", "never closed", 1),
    ("x + 1)", "never opened", 6),
    ("2x", "operator is expected", 2),
    ("x +", "expected here", 4),
    ("sni(x)", "did you mean sin?", 1),
    ("x = 2", "no =", 3),
    ("max(x)", "takes 2 operands", 1),
    ("x § y", "means nothing here", 3),
    ("1.2.3*x", "two decimal points", 1),
];

#[test]
fn every_bad_input_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    tables(folder.path());
    fs::create_dir_all(folder.path().join("taken/model.safetensors")).unwrap();
    let before = listing(folder.path());
    for Case { args, says } in of_flags() {
        let ran = run(folder.path(), &args);
        assert_eq!(ran.code, Some(2), "{args:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.starts_with("error: "), "{args:?}: {}", ran.err);
        for text in says {
            assert!(ran.err.contains(text), "{args:?} does not say {text:?}: {}", ran.err);
        }
        assert!(!ran.err.contains("panicked"), "{args:?}: {}", ran.err);
        assert!(!ran.err.contains("epoch 1/") && !ran.err.contains("epoch  1/"), "{args:?} is refused late: {}", ran.err);
    }
    if cfg!(target_os = "linux") {
        // A folder in which no file can be made.
        let ran = run(folder.path(), &["train", "xor", "--epochs", "1", "--out", "/proc"]);
        assert!(ran.code == Some(2) && ran.err.contains("/proc/metrics.csv: creating a file beside it failed"), "{}", ran.err);
    }
    let empty = run(folder.path(), &["train", ""]);
    assert!(empty.code == Some(2) && empty.err.contains("the name of the data is empty"), "{}", empty.err);
    assert_eq!(listing(folder.path()), before, "a refused run leaves nothing behind");
    assert_eq!(listing(&folder.path().join("taken")), ["model.safetensors"]);
}

#[test]
fn errors_in_expressions_point_at_the_character() {
    let folder = tempfile::tempdir().unwrap();
    for (source, says, character) in EXPRESSIONS {
        let ran = run(folder.path(), &["derive", source, "--at", "x=1"]);
        assert_eq!(ran.code, Some(2), "{source:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(says), "{source:?}: {}", ran.err);
        assert!(ran.err.contains(&format!("(character {character})")), "{source:?}: {}", ran.err);
        let marks = ran.err.lines().find(|line| line.contains('^')).unwrap();
        assert_eq!(marks.find('^'), Some("  | ".len() + character - 1), "{source:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{source:?}");
    }
}

/// Tables that cannot be used: contents, target, what is said.
const TABLES: &[(&str, &str, &[&str])] = &[
    ("", "y", &["table.csv"]),
    ("x,y\n", "y", &["table.csv"]),
    ("x,y\n1,2\n3\n", "y", &["table.csv", "line 3"]),
    ("x,y\n1,2\n3,4,5\n", "y", &["line 3"]),
    ("x,y\n1,2\nred,4\n", "y", &["line 3", "\"x\"", "red"]),
    ("x,y\n1,2\n,4\n", "y", &["line 3", "\"x\"", "empty"]),
    ("x,y\n1,2\nnan,4\n", "y", &["line 3", "\"x\""]),
    ("x,y\n1,2\ninf,4\n", "y", &["line 3", "\"x\""]),
    ("x,y\n1,2\n1e99,4\n", "y", &["line 3", "\"x\""]),
    ("x,y\n1,a\n2,b\n3,a\n4,b\n", "y", &["4 rows are too few", "at least 5"]),
    ("x,y\n1,a\n", "y", &["1 row is too few"]),
    ("x,y\n1,a\n2,a\n3,a\n4,a\n5,a\n", "y", &["nothing to tell apart", "\"a\""]),
    ("x,y\n1,2.5\n2,red\n3,1\n4,1\n5,1\n", "y", &["red"]),
    ("y\n1\n2\n3\n4\n5\n", "y", &["\"y\""]),
    ("x,x\n1,2\n3,4\n", "x", &["columns 1 and 2"]),
    ("x,y\n1,2.5\n2,2.5\n3,2.5\n4,2.5\n5,2.5\n", "y", &["\"y\" is 2.5", "nothing to predict"]),
    ("x,y\n1,a\n2,\"b\n3,a\n4,b\n5,a\n6,b\n", "y", &["line 3", "a quote (\") that is opened in this row is not closed"]),
    ("x y\n1 2\n", "y", &["The only column is: x y", "by commas, semicolons or tabs"]),
    ("x,y\n1,\u{0}\u{1}", "z", &["no column is named \"z\""]),
];

/// A wide character takes two columns of a terminal: so do the marks under it, and what is before.
#[test]
fn the_picture_points_at_wide_characters() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["derive", "変数*未知(x)", "--at", "変数=1,x=1"]);
    assert!(ran.err.contains("(character 4)") && ran.err.contains("\n  |      ^^^^\n"), "{}", ran.err);
}

#[test]
fn every_bad_table_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    for (contents, target, says) in TABLES {
        fs::write(&path, contents).unwrap();
        let ran = run(folder.path(), &["train", "table.csv", "--target", target]);
        assert_eq!(ran.code, Some(2), "{contents:?}: {}{}", ran.out, ran.err);
        for text in *says {
            assert!(ran.err.contains(text), "{contents:?} does not say {text:?}: {}", ran.err);
        }
        assert_eq!(listing(folder.path()), ["table.csv"], "{contents:?}");
    }
    // What a terminal would obey is not sent to it.
    fs::write(&path, "\"x\u{1b}[31m\nz\",y\n1,2\n").unwrap();
    let ran = run(folder.path(), &["train", "table.csv"]);
    assert!(ran.err.contains("x\\u{1b}[31m\\nz, y"), "{}", ran.err);
}

/// Saved trainings that are cut short, overwritten or of something else.
#[test]
fn hostile_saved_trainings_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeed(at, &["train", "xor", "--epochs", "1", "--out", "run"]);
    let file = at.join("run/training.safetensors");
    let good = fs::read(&file).unwrap();
    let header = u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    let text = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = good.windows(from.len()).position(|bytes| bytes == from.as_bytes()).expect(from);
        let mut bad = good.clone();
        bad[at..at + from.len()].copy_from_slice(to.as_bytes());
        bad
    };
    // Another shape for the first tensor, in a header of another length.
    let shaped = |shape: &str| {
        let text = std::str::from_utf8(&good[8..8 + header]).unwrap().replacen("\"shape\":[16,2]", &format!("\"shape\":{shape}"), 1);
        [&(text.len() as u64).to_le_bytes(), text.as_bytes(), &good[8 + header..]].concat()
    };
    let mut long = good.clone();
    long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let mut cases = vec![
        ("nothing".to_string(), Vec::new()),
        ("a header beyond the file".to_string(), long),
        ("other weights".to_string(), fs::read(at.join("run/model.safetensors")).unwrap()),
        ("rows that no steps have".to_string(), text("\"position\":\"0\"", "\"position\":\"7\"")),
        ("more right than steps".to_string(), text("\"epoch_right\":\"0.0\"", "\"epoch_right\":\"nan\"")),
        ("overlapping offsets".to_string(), text("[192,320]", "[128,256]")),
        ("a shape beyond all memory".to_string(), shaped("[4294967296,4294967296,8]")),
        ("no settings".to_string(), text("\"settings\"", "\"sottings\"")),
        ("other data".to_string(), text("\"data_fingerprint\":\"", "\"data_fingerprint\":\"".to_uppercase().as_str())),
        ("other layers".to_string(), text("\\\"layers\\\":[16]", "\\\"layers\\\":[99]")),
        ("another optimizer".to_string(), text("\\\"adamw\\\"", "\\\"adam\\\" ")),
        ("no optimizer".to_string(), text("\\\"adamw\\\"", "\\\"gauss\\\"")),
    ];
    for cut in [1, 7, 8, 100, header, header + 8, good.len() - 1] {
        cases.push((format!("cut at {cut}"), good[..cut].to_vec()));
    }
    for (name, bytes) in cases {
        fs::write(&file, &bytes).unwrap();
        let ran = run(at, &["train", "--resume", "run", "--epochs", "2"]);
        assert_eq!(ran.code, Some(2), "{name}: {}{}", ran.out, ran.err);
        assert!(ran.err.starts_with("error: ") && !ran.err.contains("panicked"), "{name}: {}", ran.err);
        assert!(fs::read(&file).unwrap() == bytes, "{name}: a refused file stays as it was");
    }
    fs::write(&file, &good).unwrap();
    for (other, says) in [("spiral", "run was trained on xor, and spiral holds other data"), ("digits", "trained on xor")] {
        let ran = run(at, &["train", other, "--resume", "run", "--epochs", "2"]);
        assert!(ran.code == Some(2) && ran.err.contains(says), "{other}: {}", ran.err);
    }
    succeed(at, &["train", "--resume", "run", "--epochs", "2"]);
    let again = run(at, &["train", "--resume", "run"]);
    assert_eq!(again.code, Some(2));
    assert!(again.err.contains("has done 2 epochs") && again.err.contains("--epochs 4"), "{}", again.err);
    let over = run(at, &["train", "xor", "--out", "run"]);
    assert_eq!(over.code, Some(2));
    assert!(over.err.contains("holds a run already"), "{}", over.err);
}

fn listing(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}
