//! The line that ours and the peers' scripts print for a workload, read back.
//!
//! Refuses to guess: a line of another form is a mistake that says what was there.

/// What is known of one run of a workload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Milliseconds of a step: the median of the run.
    pub median: f64,
    /// Milliseconds of the fastest step of the run.
    pub least: f64,
    /// Milliseconds of the first step.
    pub first: f64,
    /// After the last step.
    pub loss: f64,
    /// GFLOP of a step's products; only ours are known.
    pub products: Option<f64>,
}

/// Finds the line of `workload` by `who` in what a run has printed; `None` if the line says that there is no
/// such workload (`name who none`). Other lines are not looked at: libraries have their own to say.
pub fn find(output: &str, workload: &str, who: &str) -> Result<Option<Figures>, String> {
    let mut lines = output.lines().filter(|line| line.split_whitespace().next() == Some(workload));
    match (lines.next(), lines.next()) {
        (Some(line), None) => parse(line, who).map_err(|problem| format!("{problem}, in '{}'", line.trim())),
        (Some(_), Some(second)) => Err(format!("there is a second line for {workload}: '{}'", second.trim())),
        (None, _) => Err(format!("no line begins with '{workload}', in {}", quoted(output))),
    }
}

fn parse(line: &str, who: &str) -> Result<Option<Figures>, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (median, least, first, loss, products) = match words[..] {
        [_, name, ..] if name != who => return Err(format!("'{name}' stands where '{who}' should")),
        [_, _, "none"] => return Ok(None),
        [_, _, median, "ms", "least", least, "ms", "first", first, "ms", "loss", loss] => (median, least, first, loss, None),
        [_, _, median, "ms", "least", least, "ms", "first", first, "ms", "loss", loss, "products", products, "GFLOP"] => {
            (median, least, first, loss, Some(products))
        }
        _ => return Err(format!("not of the form 'workload {who} MEDIAN ms least LEAST ms first FIRST ms loss LOSS'")),
    };
    let products = products.map(|text| number(text, "products")).transpose()?;
    let figures = Figures {
        median: number(median, "median")?,
        least: number(least, "least")?,
        first: number(first, "first step")?,
        loss: number(loss, "loss")?,
        products,
    };
    if figures.least > figures.median {
        return Err("the least is more than the median".to_string());
    }
    if figures.least <= 0.0 || figures.first <= 0.0 || products.is_some_and(|products| products < 0.0) {
        return Err("a figure is not positive".to_string());
    }
    Ok(Some(figures))
}

/// A step that has lost its numbers may be faster than one that has not: such a loss is no result.
fn number(text: &str, what: &str) -> Result<f64, String> {
    text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(|| format!("the {what} is '{text}', which is no finite number"))
}

/// The end of a text, for a message.
pub fn quoted(text: &str) -> String {
    const LINES: usize = 8;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    match lines.len() {
        0 => "an empty output".to_string(),
        count => format!("the output\n  | {}", lines[count.saturating_sub(LINES)..].join("\n  | ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str =
        "mlp_digits   chainrule         0.0125 ms  least    0.0120 ms  first       1.7 ms  loss 2.5000  products 0.0005 GFLOP";
    const TORCH: &str = "mlp_digits   torch-eager       0.9490 ms  least    0.9000 ms  first      20.1 ms  loss 0.1234";

    #[test]
    fn a_line_of_ours_and_of_a_peer() {
        let ours = Figures { median: 0.0125, least: 0.012, first: 1.7, loss: 2.5, products: Some(0.0005) };
        assert_eq!(find(OURS, "mlp_digits", "chainrule"), Ok(Some(ours)));
        let torch = Figures { median: 0.949, least: 0.9, first: 20.1, loss: 0.1234, products: None };
        assert_eq!(find(TORCH, "mlp_digits", "torch-eager"), Ok(Some(torch)));
    }

    #[test]
    fn the_scripts_still_print_that_form() {
        // Python's format of the line, with its fields filled in: who changes one side finds out here.
        for (script, field, who, fields) in [
            (include_str!("../../peers/torch_steps.py"), "{name:12s} torch-{mode:8s} {", "torch-eager", 2),
            (include_str!("../../peers/jax_steps.py"), "{name:12s} jax-jit        {", "jax-jit", 2),
        ] {
            assert!(script.contains(field), "{who}");
            assert_eq!(script.matches(" ms  least {ts[0]*1e3:9.4f} ms  first {first*1e3:9.1f} ms  loss {").count(), fields, "{who}");
            assert!(script.contains("none\""), "{who}");
        }
    }

    #[test]
    fn other_lines_are_passed_over() {
        let output = format!("a notice of the library\n{TORCH}\n\nmlp_digits_more torch-eager 1 ms\n");
        assert_eq!(find(&output, "mlp_digits", "torch-eager").unwrap().unwrap().median, 0.949);
    }

    #[test]
    fn a_workload_that_is_not_there() {
        assert_eq!(find("pinn         jax-jit        none\n", "pinn", "jax-jit"), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |output: &str, words: &[&str]| {
            let problem = find(output, "mlp_digits", "jax-jit").unwrap_err();
            words.iter().for_each(|word| assert!(problem.contains(word), "{problem:?} says nothing of {word:?}"));
        };
        wrong("", &["mlp_digits", "empty"]);
        wrong("something else", &["mlp_digits", "something else"]);
        wrong(TORCH, &["torch-eager", "jax-jit"]);
        wrong("mlp_digits jax-jit 1 ms", &["form"]);
        wrong("mlp_digits jax-jit", &["form"]);
        wrong("mlp_digits jax-jit 1 s least 1 ms first 2 ms loss 3", &["form"]);
        wrong("mlp_digits jax-jit 1 ms least 1 ms first 2 ms loss 3 and more", &["form"]);
        wrong("mlp_digits jax-jit fast ms least 1 ms first 2 ms loss 3", &["median", "fast"]);
        wrong("mlp_digits jax-jit 1 ms least 1 ms first inf ms loss 3", &["first", "inf"]);
        wrong("mlp_digits jax-jit 1 ms least 1 ms first 2 ms loss nan", &["loss", "nan"]);
        wrong("mlp_digits jax-jit 1 ms least 0 ms first 2 ms loss 3", &["positive"]);
        wrong("mlp_digits jax-jit 1 ms least 2 ms first 2 ms loss 3", &["least"]);
        wrong("mlp_digits jax-jit 1 ms least 1 ms first -2 ms loss 3", &["positive"]);
        let twice = "mlp_digits jax-jit 1 ms least 1 ms first 2 ms loss 3\n".repeat(2);
        wrong(&twice, &["second"]);
    }

    #[test]
    fn a_long_output_is_quoted_from_its_end() {
        let text: String = (0..100).map(|i| format!("line {i}\n")).collect();
        let quoted = quoted(&text);
        assert!(quoted.contains("line 99") && quoted.contains("line 92") && !quoted.contains("line 91"), "{quoted}");
    }
}
