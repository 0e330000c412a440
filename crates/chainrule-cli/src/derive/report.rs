//! The tables of `chainrule derive`, as text.

use std::fmt::Write as _;

use super::differences::{Check, Verdict};
use super::graph::{Graph, Operand, Row};
use super::partials::Partial;
use super::passes::{Edge, Passes};
use super::rules::{self, spelled};
use super::table::{Side::*, Table, six_digits};
use crate::expression::Expression;

/// With more variables than this, second derivatives are only listed.
const WIDEST_MATRIX: usize = 6;

/// The expression and the values of its variables.
pub fn title(graph: &Graph, at: &[f64]) -> String {
    let values: Vec<String> = pairs(&graph.expression, at);
    let source: Vec<&str> = graph.expression.source.split_whitespace().collect();
    format!("{} = {}\nat {}\n\n", graph.output_name, source.join(" "), values.join(", "))
}

fn pairs(expression: &Expression, at: &[f64]) -> Vec<String> {
    let pair = |(name, value): (&String, &f64)| format!("{name} = {}", six_digits(*value));
    expression.variables().iter().zip(at).map(pair).collect()
}

/// The operation of a row, written with the names of its operands.
fn formula(graph: &Graph, row: &Row) -> String {
    let rule = rules::rule_of(graph.kind(row));
    rule.map_or(String::new(), |rule| spelled(rule.value, &names(row)))
}

fn names(row: &Row) -> Vec<String> {
    row.operands.iter().map(|operand| operand.name.clone()).collect()
}

/// The values, from the variables to the output.
pub fn forward(graph: &Graph, values: &[f64]) -> String {
    let columns = [("node", Left), ("operation", Left), ("inputs", Left), ("value", Right), ("what it is", Left)];
    let mut table = Table::new(&columns, 4);
    for (index, row) in graph.rows.iter().enumerate() {
        let text = match row.variable {
            Some(_) => String::new(),
            None if Some(index) == graph.output => graph.output_name.clone(),
            None => graph.expression.text(row.node).to_string(),
        };
        let operation = match row.variable {
            Some(_) => "variable",
            None => rules::name(graph.kind(row)),
        };
        let value = six_digits(values[row.node]);
        table.row([row.name.clone(), operation.into(), names(row).join(", "), value, text]);
    }
    format!("Forward pass: each node's value from its inputs, top down\n\n{}\n", table.draw())
}

/// The gradients, from the output back to the variables.
pub fn backward(graph: &Graph, passes: &Passes) -> String {
    let name = &graph.output_name;
    let incoming = format!("d{name}/d(node)");
    let columns = [
        ("node", Left),
        (incoming.as_str(), Right),
        ("to", Left),
        ("local derivative", Left),
        ("is", Right),
        ("by differences", Right),
        ("", Left),
        ("hands on", Right),
    ];
    let mut table = Table::new(&columns, 3);
    for (index, row) in graph.rows.iter().enumerate().rev() {
        if row.variable.is_none() {
            let mut first = [row.name.clone(), six_digits(passes.incoming[index])];
            for (place, operand) in row.operands.iter().enumerate() {
                let Some(edge) = passes.edges[index].get(place).copied().flatten() else {
                    continue;
                };
                let [node, incoming] = std::mem::take(&mut first);
                let (formula, local) = (local(graph, row, place), six_digits(edge.local));
                let (differences, mark) = (six_digits(edge.check.differences), mark(edge.check.verdict));
                table.row([node, incoming, operand.name.clone(), formula, local, differences, mark.into(), six_digits(edge.outgoing)]);
            }
        }
    }
    let mut text = format!(
        "Backward pass: each node multiplies the gradient that reaches it by its local\n\
         derivative and hands the product on, bottom up; each local derivative is checked\n\
         against differences of the operation's own values\n\n{}\n",
        table.draw()
    );
    text.push_str(&gathered(graph, passes));
    text
}

/// What reaches each variable: the sum of what its uses hand on.
fn gathered(graph: &Graph, passes: &Passes) -> String {
    let columns = [("variable", Left), ("gradient", Right), ("is the sum of", Left)];
    let mut table = Table::new(&columns, 2);
    for (index, row) in graph.rows.iter().enumerate().filter(|(_, row)| row.variable.is_some()) {
        let mut parts = Vec::new();
        for (user, edges) in graph.rows.iter().zip(&passes.edges) {
            let to_here = |(operand, _): &(&Operand, &Option<Edge>)| operand.row == Some(index);
            for (_, edge) in user.operands.iter().zip(edges).filter(to_here) {
                if let Some(edge) = edge {
                    parts.push(format!("{} from {}", six_digits(edge.outgoing), user.name));
                }
            }
        }
        let sum = match parts.is_empty() {
            true => "1, as it is the output itself".to_string(),
            false => parts.join(" + "),
        };
        table.row([row.name.clone(), six_digits(passes.incoming[index]), sum]);
    }
    format!("Gradients as they gather at the variables\n\n{}\n", table.draw())
}

/// Such as `d exp(v5)/dv5 = exp(v5)`; where the derivative is a number, the left side alone.
fn local(graph: &Graph, row: &Row, place: usize) -> String {
    let Some(rule) = rules::rule_of(graph.kind(row)) else {
        return String::new();
    };
    let names = names(row);
    let operand = names.get(place).map_or("", String::as_str);
    let whole = formula(graph, row);
    let open = match whole.starts_with(|c: char| c.is_alphabetic()) && whole.ends_with(')') {
        true => format!("d {whole}"),
        false => format!("d({whole})"),
    };
    // The same node on both sides: say which of them moves.
    let side = match names.iter().filter(|name| *name == operand).count() {
        0 | 1 => "",
        _ => [" on the left", " on the right"][place.min(1)],
    };
    let derivative = spelled(rule.derivatives[place.min(1)], &names);
    match derivative.parse::<f64>().is_ok() {
        true => format!("{open}/d{operand}{side}"),
        false => format!("{open}/d{operand}{side} = {derivative}"),
    }
}

/// All derivatives with their checks, order by order.
pub fn results(graph: &Graph, wrt: &[usize], orders: &[Vec<Partial>]) -> String {
    let mut text = String::new();
    for (before, partials) in orders.iter().enumerate() {
        let order = before + 1;
        let title = match order {
            1 => "Gradient, checked against differences of values".to_string(),
            _ => format!("Derivatives of order {order}, checked against differences of those of order {before}"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{title}\n");
        let columns = [("derivative", Left), ("by reverse mode", Right), ("by differences", Right), ("apart by", Right), ("", Left)];
        let mut table = Table::new(&columns, 4);
        for partial in partials {
            let check = partial.check;
            table.row([
                derivative_name(graph, &partial.by),
                six_digits(check.derivative),
                six_digits(check.differences),
                apart(check),
                verdict(check.verdict),
            ]);
        }
        let _ = writeln!(text, "{}", table.draw());
        if order == 2 && (2..=WIDEST_MATRIX).contains(&wrt.len()) {
            text.push_str(&matrix(graph, wrt, partials));
        }
    }
    text
}

fn apart(check: Check) -> String {
    match check.relative {
        relative if relative.is_nan() => "-".into(),
        0.0 => "0".into(),
        relative => format!("{relative:.1e}"),
    }
}

/// A verdict in a word.
fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Agrees => "ok",
        Verdict::Kink { .. } => "kink",
        _ => "NOT OK",
    }
}

fn verdict(verdict: Verdict) -> String {
    match verdict {
        Verdict::Agrees => "ok".into(),
        Verdict::Kink { left, right } => format!("ok: a kink, slope {} left, {} right", six_digits(left), six_digits(right)),
        Verdict::Jump => "NOT OK: a jump, without slope".into(),
        Verdict::Differs => "NOT OK".into(),
        Verdict::NotFinite => "NOT OK: no finite derivative here".into(),
        Verdict::Unsettled => "NOT OK: values change too fast here".into(),
        Verdict::NoDifferences => "NOT OK: no finite values around here".into(),
    }
}

/// Such as `dL/dw`, `d2L/dw dx` or `d3L/dw2 dx`.
fn derivative_name(graph: &Graph, by: &[usize]) -> String {
    let name = |variable: usize| &graph.expression.variables()[variable];
    let order = match by.len() {
        1 => String::new(),
        order => order.to_string(),
    };
    let mut parts: Vec<String> = Vec::new();
    for same in by.chunk_by(|a, b| a == b) {
        // In dx^2, the caret keeps x twice apart from a variable called x2.
        let times = if same.len() > 1 { format!("^{}", same.len()) } else { String::new() };
        parts.push(format!("d{}{times}", name(same[0])));
    }
    format!("d{order}{}/{}", graph.output_name, parts.join(" "))
}

/// The matrix of second derivatives.
fn matrix(graph: &Graph, wrt: &[usize], partials: &[Partial]) -> String {
    let names: Vec<&str> = wrt.iter().map(|&variable| graph.expression.variables()[variable].as_str()).collect();
    let mut columns = vec![("", Left)];
    columns.extend(names.iter().map(|name| (*name, Right)));
    let mut table = Table::new(&columns, 0);
    for (row, name) in wrt.iter().zip(&names) {
        let cells = wrt.iter().map(|column| {
            let both = |partial: &&Partial| partial.by == [*row, *column] || partial.by == [*column, *row];
            let found = partials.iter().find(both);
            found.map_or(String::new(), |partial| six_digits(partial.check.derivative))
        });
        table.row(std::iter::once(name.to_string()).chain(cells));
    }
    format!("As a matrix (the Hessian)\n\n{}\n", table.draw())
}
