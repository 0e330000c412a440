//! The 27 nonlinear regressions of the Statistical Reference Datasets (NIST, 1999), which come with
//! parameters and standard deviations certified to 11 digits, computed with numbers of 128 bits
//! (<https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml>).
//!
//! Here are only the models, as the files write them. Every number comes from the files, which are
//! no part of this repository: they lie in `shared/data/nist` beside it, or where the environment
//! variable `CHAINRULE_NIST` says. Without them the test passes over them and says so.

mod models;

use chainrule::Tensor;
use chainrule::solve::{Fit, LevenbergMarquardt};
use models::{MODELS, Model};
use std::path::{Path, PathBuf};

/// What a file says.
struct Problem {
    /// Of each parameter the two first guesses, the certified value, and its standard deviation.
    parameters: Vec<[f64; 4]>,
    /// The certified sum of the squares of the residuals.
    sum_of_squares: f64,
    /// Rows of the response and the predictors.
    rows: Vec<Vec<f64>>,
}

fn folder() -> PathBuf {
    match std::env::var_os("CHAINRULE_NIST") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/nist"),
    }
}

/// The lines that a file's header names for its values or its data, as in `Data (lines 61 to 74)`.
fn lines<'a>(text: &'a str, what: &str) -> Vec<&'a str> {
    let line = text.lines().find(|line| line.contains(what) && line.contains("(lines")).unwrap();
    let numbers: Vec<usize> = line.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    let [first, last] = numbers[..] else { panic!("{line}") };
    text.lines().skip(first - 1).take(last + 1 - first).collect()
}

impl Problem {
    fn read(path: &Path) -> Problem {
        let text = std::fs::read_to_string(path).unwrap();
        let numbers = |line: &str| line.split_whitespace().map(|word| word.parse().unwrap()).collect::<Vec<f64>>();
        let values = lines(&text, "Certified Values");
        let parameters = values.iter().filter_map(|line| Some(numbers(line.trim().strip_prefix('b')?.split_once('=')?.1)));
        let sum = values.iter().find_map(|line| line.strip_prefix("Residual Sum of Squares:")).unwrap();
        Problem {
            parameters: parameters.map(|row| row.try_into().unwrap()).collect(),
            sum_of_squares: sum.trim().parse().unwrap(),
            rows: lines(&text, "Data  ").into_iter().map(numbers).collect(),
        }
    }

    fn column(&self, at: usize) -> Vec<f64> {
        self.parameters.iter().map(|row| row[at]).collect()
    }

    fn fit(&self, name: &str, model: Model, solver: LevenbergMarquardt, start: usize) -> Fit {
        let column = |k: usize| Tensor::from_vec(self.rows.iter().map(|row| row[k]).collect::<Vec<f64>>(), [self.rows.len()]);
        let response = if name == "Nelson" { column(0).log() } else { column(0) };
        let predictors: Vec<Tensor> = (1..self.rows[0].len()).map(column).collect();
        let guesses: Vec<Tensor> = self.column(start).into_iter().map(Tensor::f64).collect();
        solver.minimize(|b| &response - model(b, &predictors), &guesses.iter().collect::<Vec<_>>()).unwrap()
    }
}

/// To how many significant digits numbers are the certified ones, at the worst; those have 11.
fn digits(found: &[f64], certified: &[f64]) -> f64 {
    let one = |(found, certified): (&f64, &f64)| match ((found - certified) / certified).abs() {
        0.0 => 11.0,
        wrong if wrong.is_nan() => 0.0,
        wrong => (-wrong.log10()).clamp(0.0, 11.0),
    };
    assert_eq!(found.len(), certified.len());
    found.iter().zip(certified).map(one).fold(11.0, f64::min)
}

fn numbers(tensors: &[Tensor]) -> Vec<f64> {
    tensors.iter().map(|tensor| tensor.item().unwrap()).collect()
}

#[test]
fn certified_regressions_are_found_again() {
    let folder = folder();
    if !folder.is_dir() {
        eprintln!("passed over: there are no reference data in {}; set CHAINRULE_NIST to where they are", folder.display());
        return;
    }
    println!("{:10} {:>7} {:>7} {:>7} {:>7}  iterations", "problem", "errors", "sum", "start 1", "start 2");
    let (mut errors_right, mut sums_right, mut fits_right) = (Vec::new(), Vec::new(), Vec::new());
    for (name, model) in MODELS {
        let problem = Problem::read(&folder.join(format!("{name}.dat")));
        assert!(problem.rows.len() > problem.parameters.len() && !problem.parameters.is_empty(), "{name}");
        // No step: what is known at the certified parameters.
        let there = problem.fit(name, model, LevenbergMarquardt { iterations: 0, ..Default::default() }, 2);
        let errors = digits(&numbers(&there.standard_errors().unwrap()), &problem.column(3));
        let sum = digits(&[there.residual_sum_of_squares], &[problem.sum_of_squares]);
        let fits = [0, 1].map(|start| problem.fit(name, model, LevenbergMarquardt::default(), start));
        let found = fits.each_ref().map(|fit| digits(&numbers(&fit.parameters), &problem.column(2)));
        assert!(fits.iter().all(Fit::converged), "{name}: {:?} {:?}", fits[0].stopped, fits[1].stopped);
        println!(
            "{name:10} {errors:7.1} {sum:7.1} {:7.1} {:7.1}  {} {:?}, {} {:?}",
            found[0], found[1], fits[0].iterations, fits[0].stopped, fits[1].iterations, fits[1].stopped
        );
        errors_right.extend((errors >= 9.0).then_some(name));
        sums_right.extend((sum >= 9.0).then_some(name));
        fits_right.extend((found[0] >= 6.0 && found[1] >= 6.0).then_some(name));
    }
    // The residuals of Lanczos1 are 1e-13 of its data: less than the certified parameters, which
    // are rounded to 11 digits, determine, and few of the digits of an f64. So at those parameters
    // neither their sum of squares nor the standard errors, which are made of it, can be right.
    let without = |name: &&str| *name != "Lanczos1";
    let all = MODELS.iter().map(|(name, _)| *name).filter(without).collect::<Vec<_>>();
    assert_eq!(errors_right, all, "standard errors with 9 digits");
    assert_eq!(sums_right, all, "sums of squares with 9 digits");
    assert!(fits_right.len() >= 26, "from both starts with 6 digits: {fits_right:?}");
}
