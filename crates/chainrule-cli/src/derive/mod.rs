//! `chainrule derive`: an expression's value and derivatives, every step shown and checked.

mod differences;
mod dot;
mod graph;
mod partials;
mod passes;
mod report;
mod rules;
mod table;

use chainrule::io::output::Output;
use clap::Args;

use crate::expression::{self, Expression, NodeKind, parse, parse_bindings, parse_names};
use crate::failure::{Failure, Outcome};
use crate::output::complain;
use graph::Graph;
use passes::Passes;

/// No more partial derivatives than this are computed in one run.
const MOST_PARTIALS: usize = 1000;

/// What `chainrule derive` is asked for.
#[derive(Args, Debug)]
#[command(after_help = help())]
pub struct DeriveArgs {
    /// The expression, in quotes, such as '(w*x + b - y)^2'
    #[arg(allow_hyphen_values = true)]
    expression: String,
    /// What follows it; there should be nothing
    #[arg(hide = true)]
    rest: Vec<String>,
    /// A value for each variable, such as w=1,x=-0.5,y=pi
    #[arg(long, value_name = "NAME=NUMBER,..", allow_hyphen_values = true)]
    at: Vec<String>,
    /// The variables to derive by; all of them where this is left out
    #[arg(long, value_name = "NAME,..")]
    wrt: Option<String>,
    /// The highest order of derivatives: 2 adds the matrix of second derivatives
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    order: u8,
    /// Write the graph for Graphviz: to FILE beside the tables, or without FILE in their place
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    dot: Option<String>,
}

fn help() -> String {
    format!(
        "Functions and constants:\n{}\n\
         Examples:\n  \
         chainrule derive 'log(1 + exp(-y*(w*x + b)))' --at w=1,x=2,b=0.5,y=1\n  \
         chainrule derive 'tanh(w*x)^2' --at w=0.3,x=2 --wrt w --order 2\n  \
         chainrule derive 'x*sin(x)' --at x=1 --dot | dot -Tsvg > graph.svg\n\n\
         Each derivative is checked against differences; exit code 1 if one does not agree.",
        expression::help()
    )
}

/// Derives an expression and prints every step.
///
/// # Errors
/// Where the expression, the values or the names cannot be used.
pub fn run(args: &DeriveArgs, out: &mut Output) -> Result<Outcome, Failure> {
    let (graph, at, wrt) = read(args)?;
    let only_dot = args.dot.as_deref() == Some("-");
    let dot_file = args.dot.as_deref().filter(|_| !only_dot);
    if let Some(file) = dot_file {
        if file.is_empty() {
            return Err(Failure::bad_input("--dot= names no file; write --dot=graph.dot, or --dot alone for standard output"));
        }
        // Better now than below all the tables.
        chainrule::io::atomic::check_writable(file)?;
    }
    if graph.output.is_none() {
        let value = Passes::forward(&graph, &at)?.last().map_or(f64::NAN, |value| *value);
        return Err(Failure::bad_input(format_args!(
            "the expression holds no variable: it is {} and its derivatives are 0; name what is to \
             be derived by, as in x^2",
            table::six_digits(value)
        )));
    }
    let order = usize::from(args.order);
    if partials::count(wrt.len(), order).is_none_or(|count| count > MOST_PARTIALS) {
        return Err(Failure::bad_input(format_args!(
            "derivatives of order {order} by {} variables are more than {MOST_PARTIALS}; name fewer \
             with --wrt, or lower --order",
            wrt.len()
        )));
    }
    let values = Passes::forward(&graph, &at)?;
    if !only_dot {
        out.write(&report::title(&graph, &at))?;
        out.write(&report::forward(&graph, &values))?;
    }
    refuse_undefined(&graph, &values)?;
    let passes = Passes::compute(&graph, &at)?;
    let orders = partials::compute(&graph, &at, &wrt, order, partials::magnitude(&values))?;
    if only_dot {
        out.write(&dot::draw(&graph, &passes))?;
    } else {
        out.write(&report::backward(&graph, &passes))?;
        out.write(&report::results(&graph, &wrt, &orders))?;
    }
    if let Some(file) = dot_file {
        let text = dot::draw(&graph, &passes);
        chainrule::io::atomic::atomic_write(file, |to| to.write_all(text.as_bytes()))?;
        out.line(&format!("graph written to {}; draw it with: dot -Tsvg -O {0}", file))?;
    }
    let steps = passes.edges.iter().flatten().flatten().map(|edge| edge.check);
    let checks = orders.iter().flatten().map(|partial| partial.check);
    match steps.chain(checks).all(|check| check.verdict.is_good()) {
        true => Ok(Outcome::Done),
        false => {
            complain("some derivatives did not stand their check: see the lines marked NOT OK\n");
            Ok(Outcome::CheckFailed)
        }
    }
}

/// The graph, the values of all variables and the variables to derive by.
fn read(args: &DeriveArgs) -> Result<(Graph, Vec<f64>, Vec<usize>), Failure> {
    let source = &args.expression;
    if let Some(word) = args.rest.first() {
        return Err(Failure::bad_input(format_args!(
            "{word:?} is one word too many after the expression {source:?}; put the whole expression in quotes, \
             as in 'w*x + b', and a file for the graph behind an =, as in --dot=graph.dot"
        )));
    }
    let expression: Expression = parse(source).map_err(|error| Failure::expression(&error, source))?;
    let bindings = args.at.join(",");
    let at = parse_bindings(&bindings, &expression).map_err(|error| Failure::expression(&error, &bindings))?;
    let wrt = match &args.wrt {
        None => (0..expression.variables().len()).collect(),
        Some(names) => parse_names(names, &expression).map_err(|error| Failure::expression(&error, names))?,
    };
    Ok((Graph::new(expression), at, wrt))
}

/// Refuses a place where the expression has no finite value, and points at the first part of it
/// that has none.
fn refuse_undefined(graph: &Graph, values: &[f64]) -> Result<(), Failure> {
    let Some(node) = values.iter().position(|value| !value.is_finite()) else {
        return Ok(());
    };
    let expression = &graph.expression;
    let span = expression.nodes[node].span.clone();
    let operands = expression.nodes[node].kind.operands();
    // A number speaks for itself.
    let told = operands.iter().filter(|&&operand| !matches!(expression.nodes[operand].kind, NodeKind::Number(_)));
    let inputs: Vec<String> =
        told.map(|&operand| format!("{} = {}", expression.text(operand), table::six_digits(values[operand]))).collect();
    let place = if inputs.is_empty() { String::new() } else { format!(" where {}", inputs.join(" and ")) };
    let what = match values[node].is_nan() {
        true => "not a number",
        false => "infinite, or too large for a 64-bit float",
    };
    Err(Failure {
        text: expression::point_at(
            &expression.source,
            span,
            &format!("this part is {what}{place}"),
            "choose values with --at for which the expression is defined",
        ),
        code: 2,
    })
}
