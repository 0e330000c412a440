//! The graph as text for Graphviz, with values and gradients.

use std::fmt::Write as _;

use super::graph::Graph;
use super::passes::Passes;
use super::rules;
use super::table::six_digits;

/// A directed graph: a box per node with its value and gradient, an arrow per input with what is
/// handed back along it.
pub fn draw(graph: &Graph, passes: &Passes) -> String {
    let output = &graph.output_name;
    let mut text = String::from("digraph derivation {\n  rankdir=LR;\n  node [shape=box, fontname=monospace];\n");
    text.push_str("  edge [fontname=monospace, fontsize=10];\n");
    let mut constants = 0;
    for (index, row) in graph.rows.iter().enumerate() {
        let what = match row.variable {
            Some(_) => row.name.clone(),
            None => {
                let rule = rules::rule_of(graph.kind(row));
                let names: Vec<String> = row.operands.iter().map(|operand| operand.name.clone()).collect();
                let formula = rule.map_or(String::new(), |rule| rules::spelled(rule.value, &names));
                format!("{} = {formula}", row.name)
            }
        };
        let value = six_digits(passes.values[row.node]);
        let gradient = six_digits(passes.incoming[index]);
        let style = if row.variable.is_some() { ", style=rounded" } else { "" };
        let label = format!("{}\\nvalue {value}\\nd{output}/d{} = {gradient}", quoted(&what), quoted(&row.name));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  n{index} [label=\"{label}\"{style}];");
        for (operand, edge) in row.operands.iter().zip(&passes.edges[index]) {
            let (from, arrow) = match (operand.row, edge) {
                (Some(from), Some(edge)) => (format!("n{from}"), format!(" [label=\"{}\"]", six_digits(edge.outgoing))),
                _ => {
                    constants += 1;
                    let name = quoted(&operand.name);
                    let _ = writeln!(text, "  c{constants} [label=\"{name}\", shape=plaintext];");
                    (format!("c{constants}"), String::new())
                }
            };
            let _ = writeln!(text, "  {from} -> n{index}{arrow};");
        }
    }
    text + "}\n"
}

fn quoted(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace('\\', "\\\\").replace('"', "\\\"")
}
