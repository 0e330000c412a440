//! ONNX's own conformance suite: every case is recorded, evaluated, compared and differentiated, and `docs/onnx.md` is held
//! to what was found.
//!
//! The data are fetched by `conformance/fetch.sh FOLDER` and named by `CHAINRULE_ONNX_DATA`; without them the test says so
//! and passes. `WRITE_ONNX=1` writes the page anew. `ONNX_CASES=gemm` runs the cases whose name holds `gemm` and prints
//! what is wrong with them, and compares no page.

mod cases;
mod damaged;
mod derivative;
mod networks;
mod page;
mod reasons;

use std::path::PathBuf;

#[test]
fn every_case() {
    let Some(data) = std::env::var_os("CHAINRULE_ONNX_DATA").map(PathBuf::from) else {
        println!("CHAINRULE_ONNX_DATA is not set: no case was run; see crates/chainrule-onnx/conformance/fetch.sh");
        return;
    };
    let only = std::env::var("ONNX_CASES").ok();
    let all = cases::list(&data, only.as_deref());
    assert!(!all.is_empty(), "{} holds no cases", data.display());
    let found: Vec<page::Found> = all.iter().map(cases::judge).collect();
    let wrong: Vec<String> = found.iter().filter_map(page::Found::complaint).collect();
    if only.is_some() {
        found.iter().for_each(|found| println!("{found}"));
    }
    let many = wrong.len();
    assert!(wrong.is_empty(), "{many} cases are not as they should be:\n{}", wrong.join("\n"));
    if only.is_none() {
        page::hold(&found);
    }
}

#[test]
fn damaged_models() {
    let Some(data) = std::env::var_os("CHAINRULE_ONNX_DATA").map(PathBuf::from) else {
        println!("CHAINRULE_ONNX_DATA is not set: no model was damaged");
        return;
    };
    let all = cases::list(&data, std::env::var("ONNX_CASES").ok().as_deref());
    let all: Vec<cases::Case> = all.into_iter().filter(|case| case.suite != "light").collect();
    let found: Vec<(Vec<String>, usize)> = all.iter().map(damaged::panics).collect();
    let tried: usize = found.iter().map(|(_, tried)| tried).sum();
    let wrong: Vec<String> = found.into_iter().flat_map(|(wrong, _)| wrong).chain(all.iter().flat_map(damaged::extremes)).collect();
    assert!(tried > all.len(), "{tried} damaged models of {} could be tried", all.len());
    assert!(wrong.is_empty(), "a panic in {} damaged models:\n{}", wrong.len(), wrong.join("\n"));
}
