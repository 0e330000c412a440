//! The functions and constants that an expression may use: one table each, from which the parser,
//! the errors and the help are derived.

use std::fmt::Write as _;

use chainrule::spelling;

/// A function that an expression can call.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// The name by which it is called.
    pub name: &'static str,
    /// How many operands it takes.
    pub arity: usize,
    /// What it computes, in a few words.
    pub doc: &'static str,
    /// Names under which people know it from elsewhere; an error suggests the real one.
    also_called: &'static [&'static str],
}

/// A named number.
#[derive(Debug, PartialEq)]
pub struct Constant {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// What it is.
    pub doc: &'static str,
}

const fn function(name: &'static str, arity: usize, doc: &'static str, also_called: &'static [&'static str]) -> Function {
    Function { name, arity, doc, also_called }
}

/// Every function.
pub static FUNCTIONS: &[Function] = &[
    function("exp", 1, "e to the power of x", &[]),
    function("log", 1, "natural logarithm", &["ln", "loge"]),
    function("log1p", 1, "log(1 + x), exact for small x", &["ln1p"]),
    function("expm1", 1, "exp(x) - 1, exact for small x", &[]),
    function("sqrt", 1, "square root", &["root"]),
    function("sin", 1, "sine of x in radians", &["sine"]),
    function("cos", 1, "cosine of x in radians", &["cosine"]),
    function("tan", 1, "tangent of x in radians", &["tg", "tangent"]),
    function("tanh", 1, "hyperbolic tangent", &["th"]),
    function("sech", 1, "hyperbolic secant, 1 / cosh(x)", &[]),
    function("sigmoid", 1, "1 / (1 + exp(-x))", &["logistic", "expit"]),
    function("softplus", 1, "log(1 + exp(x))", &[]),
    function("relu", 1, "x where positive, else 0", &["rectifier", "relu6"]),
    function("abs", 1, "x without its sign", &["fabs", "absolute"]),
    function("erf", 1, "error function", &[]),
    function("square", 1, "x * x", &["sqr", "sq"]),
    function("pow", 2, "x to the power of y, as x^y", &["power"]),
    function("max", 2, "the larger of x and y", &["maximum", "fmax"]),
    function("min", 2, "the smaller of x and y", &["minimum", "fmin"]),
];

/// Every constant.
pub static CONSTANTS: &[Constant] = &[
    Constant { name: "pi", value: std::f64::consts::PI, doc: "half the circumference of the unit circle" },
    Constant { name: "e", value: std::f64::consts::E, doc: "base of the natural logarithm" },
];

/// The function of exactly this name.
pub(super) fn find_function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// The constant of exactly this name.
pub(super) fn find_constant(name: &str) -> Option<&'static Constant> {
    CONSTANTS.iter().find(|constant| constant.name == name)
}

/// The function that a wrong name probably means.
pub(super) fn suggest_function(name: &str) -> Option<&'static str> {
    let lower = name.to_lowercase();
    let known_elsewhere = FUNCTIONS.iter().find(|function| function.also_called.contains(&lower.as_str())).map(|function| function.name);
    known_elsewhere.or_else(|| spelling::nearest(name, FUNCTIONS.iter().map(|f| f.name)))
}

impl Function {
    /// The call written out with its operands' names.
    pub fn usage(&self) -> String {
        format!("{}({})", self.name, ["x", "x, y"][usize::from(self.arity == 2)])
    }
}

/// The names of all functions, for an error.
pub(super) fn function_names() -> String {
    let names: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
    names.join(", ")
}

/// A table of all functions and constants, one per line, for the help.
pub fn help() -> String {
    let mut text = String::new();
    for function in FUNCTIONS {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {:<12} {}", function.usage(), function.doc);
    }
    for constant in CONSTANTS {
        let _ = writeln!(text, "  {:<12} {} ({})", constant.name, constant.doc, constant.value);
    }
    text
}
