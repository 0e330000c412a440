//! What each operation of an expression is: the tensors that compute it and the text of its
//! derivative.
//!
//! The numbers all come from the tensors; the text is for reading only, and a test holds it to the
//! numbers.

use chainrule::{DType, Tensor};

use crate::expression::{BinaryOperator, NodeKind};

/// One operation: how it is written, with its operands called `u` and `v`, and its derivatives.
#[derive(Debug)]
pub struct Rule {
    /// Its name in the tables.
    pub name: &'static str,
    /// The operation written out.
    pub value: &'static str,
    /// The derivative by `u`, and by `v` where there is one.
    pub derivatives: [&'static str; 2],
}

const fn rule(name: &'static str, value: &'static str, by_u: &'static str, by_v: &'static str) -> Rule {
    Rule { name, value, derivatives: [by_u, by_v] }
}

/// Every operation. The functions have the names under which expressions call them.
pub static RULES: &[Rule] = &[
    rule("neg", "-u", "-1", ""),
    rule("add", "u + v", "1", "1"),
    rule("sub", "u - v", "1", "-1"),
    rule("mul", "u*v", "v", "u"),
    rule("div", "u/v", "1/v", "-u/v^2"),
    rule("pow", "u^v", "v*u^(v - 1)", "u^v*log(u)"),
    rule("exp", "exp(u)", "exp(u)", ""),
    rule("log", "log(u)", "1/u", ""),
    rule("log1p", "log1p(u)", "1/(1 + u)", ""),
    rule("expm1", "expm1(u)", "exp(u)", ""),
    rule("sqrt", "sqrt(u)", "1/(2*sqrt(u))", ""),
    rule("sin", "sin(u)", "cos(u)", ""),
    rule("cos", "cos(u)", "-sin(u)", ""),
    rule("tan", "tan(u)", "1/cos(u)^2", ""),
    rule("tanh", "tanh(u)", "1 - tanh(u)^2", ""),
    rule("sech", "sech(u)", "-sech(u)*tanh(u)", ""),
    rule("sigmoid", "sigmoid(u)", "sigmoid(u)*sigmoid(-u)", ""),
    rule("softplus", "softplus(u)", "sigmoid(u)", ""),
    rule("relu", "relu(u)", "[1 if u > 0, else 0]", ""),
    rule("abs", "abs(u)", "[sign of u]", ""),
    rule("erf", "erf(u)", "2/sqrt(pi)*exp(-u^2)", ""),
    rule("square", "square(u)", "2*u", ""),
    rule("max", "max(u, v)", "[1 if u > v, 1/2 if equal]", "[1 if v > u, 1/2 if equal]"),
    rule("min", "min(u, v)", "[1 if u < v, 1/2 if equal]", "[1 if v < u, 1/2 if equal]"),
];

/// The name of the operation of a node; empty for numbers and variables.
pub fn name(kind: &NodeKind) -> &'static str {
    match kind {
        NodeKind::Number(_) | NodeKind::Constant(_) | NodeKind::Variable(_) => "",
        NodeKind::Negate(_) => "neg",
        NodeKind::Binary(operator, ..) => match operator {
            BinaryOperator::Add => "add",
            BinaryOperator::Subtract => "sub",
            BinaryOperator::Multiply => "mul",
            BinaryOperator::Divide => "div",
            BinaryOperator::Power => "pow",
        },
        NodeKind::Call(function, _) => function.name,
    }
}

/// The rule of the operation of a node.
pub fn rule_of(kind: &NodeKind) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name(kind))
}

/// Records the operation called `name` on its operands; nothing where there is no such operation
/// or not enough operands.
pub fn record(name: &str, operands: &[Tensor]) -> Option<Tensor> {
    let u = operands.first()?;
    let v = || operands.get(1);
    Some(match name {
        "neg" => -u,
        "add" => u + v()?,
        "sub" => u - v()?,
        "mul" => u * v()?,
        "div" => u / v()?,
        "pow" => u.pow(v()?),
        "exp" => u.exp(),
        "log" => u.log(),
        "log1p" => u.log1p(),
        "expm1" => u.expm1(),
        "sqrt" => u.sqrt(),
        "sin" => u.sin(),
        "cos" => u.cos(),
        "tan" => u.sin() / u.cos(),
        "tanh" => u.tanh(),
        "sech" => u.sech(),
        "sigmoid" => u.sigmoid(),
        "softplus" => u.softplus(),
        "relu" => {
            let zero = u.zeros_like();
            u.greater(&zero).select(u, &zero)
        }
        // At zero, where the two are equal, the slopes 1 and -1 have equal shares: 0.
        "abs" => u.maximum(&-u),
        "erf" => u.erf(),
        "square" => u.square(),
        "max" => u.maximum(v()?),
        "min" => u.minimum(v()?),
        _ => return None,
    })
}

/// A number as a tensor of the shape of the variables.
pub fn constant(value: f64, shape: &[usize]) -> Tensor {
    Tensor::full(shape, value, DType::F64)
}

/// A rule's text with the names of the operands in the places of `u` and `v`.
pub fn spelled(text: &str, operands: &[String]) -> String {
    let mut out = String::new();
    let mut word = String::new();
    let put = |word: &mut String, out: &mut String| {
        let operand = match word.as_str() {
            "u" => operands.first(),
            "v" => operands.get(1),
            _ => None,
        };
        out.push_str(operand.map_or(word.as_str(), String::as_str));
        word.clear();
    };
    for character in text.chars() {
        if character.is_alphanumeric() {
            word.push(character);
        } else {
            put(&mut word, &mut out);
            out.push(character);
        }
    }
    put(&mut word, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::graph::Graph;
    use crate::expression::{FUNCTIONS, parse};
    use chainrule::transform::vjp;

    #[test]
    fn every_function_has_a_rule_and_tensors() {
        let one = constant(1.0, &[]);
        for function in FUNCTIONS {
            assert!(RULES.iter().any(|rule| rule.name == function.name), "{}", function.name);
            let operands = vec![one.clone(); function.arity];
            assert!(record(function.name, &operands).is_some(), "{}", function.name);
        }
        assert!(record("pow", &[one]).is_none());
    }

    /// The texts are themselves expressions: read back and evaluated, they give the numbers of
    /// reverse mode. Those in brackets are words, and are held to cases in another test.
    #[test]
    fn texts_agree_with_reverse_mode() {
        let mut compared = 0;
        for rule in RULES {
            for (u, v) in [(0.7, 1.3), (2.5, -0.4), (0.05, 3.0)] {
                let leaves = [constant(u, &[]), constant(v, &[])];
                let output = record(rule.name, &leaves).unwrap();
                for (k, text) in rule.derivatives.iter().enumerate() {
                    if text.is_empty() || text.starts_with('[') {
                        continue;
                    }
                    let local = vjp(&[&output], &[&output.ones_like()], &[&leaves[k]]).unwrap();
                    let text = parse(text).unwrap();
                    let values: Vec<Tensor> = text.variables().iter().map(|name| leaves[usize::from(name == "v")].clone()).collect();
                    let stated = Graph::new(text).record(&values).output().item().unwrap();
                    let found = local[0].item().unwrap();
                    assert!(
                        (stated - found).abs() <= 1e-12 * found.abs().max(1.0),
                        "{} by operand {k} at {u}, {v}: stated {stated}, found {found}",
                        rule.name
                    );
                    compared += 1;
                }
            }
        }
        assert_eq!(compared, 3 * 25);
    }

    #[test]
    fn names_take_the_places_of_the_operands() {
        let names = ["v3".to_string(), "u".to_string()];
        assert_eq!(spelled("u^v*log(u)", &names), "v3^u*log(v3)");
        assert_eq!(spelled("[1 if u > v, else 0]", &names), "[1 if v3 > u, else 0]");
    }
}
