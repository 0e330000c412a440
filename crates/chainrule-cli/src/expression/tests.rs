//! Expressions made at random and read back, hostile ones, and what errors look like.

use super::*;

/// A small generator (SplitMix64), so that every run makes the same expressions.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// An expression as a tree, made before there is any text.
#[derive(Clone, Debug)]
enum Tree {
    Leaf(&'static str),
    Negate(Box<Tree>),
    Binary(BinaryOperator, Box<Tree>, Box<Tree>),
    Call(&'static Function, Vec<Tree>),
}

const LEAVES: &[&str] = &["1", "2.5", ".5", "3.", "1e-3", "2E+2", "7e1", "x", "w_1", "Éta", "_", "pi", "e", "x2", "exponent"];
const OPERATORS: &[(BinaryOperator, &[&str])] = &[
    (BinaryOperator::Add, &["+"]),
    (BinaryOperator::Subtract, &["-"]),
    (BinaryOperator::Multiply, &["*"]),
    (BinaryOperator::Divide, &["/"]),
    (BinaryOperator::Power, &["^", "**"]),
];

fn random_tree(random: &mut Random, depth: usize) -> Tree {
    let child = |random: &mut Random| Box::new(random_tree(random, depth - 1));
    match if depth == 0 { 0 } else { random.below(6) } {
        0 => Tree::Leaf(LEAVES[random.below(LEAVES.len())]),
        1 => Tree::Negate(child(random)),
        2 => {
            let function = random.pick(FUNCTIONS);
            let operands = (0..function.arity).map(|_| *child(random));
            Tree::Call(function, operands.collect())
        }
        _ => Tree::Binary(random.pick(OPERATORS).0, child(random), child(random)),
    }
}

/// How tightly a tree's outermost part binds, by the rules as the manual states them.
fn tightness(tree: &Tree) -> u8 {
    match tree {
        Tree::Binary(BinaryOperator::Add | BinaryOperator::Subtract, ..) => 1,
        Tree::Binary(BinaryOperator::Multiply | BinaryOperator::Divide, ..) => 2,
        Tree::Negate(_) => 3,
        Tree::Binary(BinaryOperator::Power, ..) => 4,
        Tree::Leaf(_) | Tree::Call(..) => 5,
    }
}

/// The tree as text: parentheses where they are needed, sometimes where not, blanks anywhere.
fn spell(random: &mut Random, tree: &Tree) -> String {
    let blank = |random: &mut Random| *random.pick(&["", "", " ", "\t", "\n "]);
    let (a, b) = (blank(random), blank(random));
    match tree {
        Tree::Leaf(text) => text.to_string(),
        Tree::Negate(operand) => {
            let needed = tightness(operand) < 3;
            format!("-{a}{}", spell_operand(random, operand, needed))
        }
        Tree::Binary(operator, left, right) => {
            let spellings = OPERATORS.iter().find(|(o, _)| o == operator).unwrap().1;
            let sign = *random.pick(spellings);
            let own = tightness(tree);
            let power = *operator == BinaryOperator::Power;
            // Powers group to the right and take a sign there; the others group to the left.
            let left_needs = tightness(left) < own || power && tightness(left) == own;
            let right_needs = match **right {
                Tree::Negate(_) => false,
                _ if power => tightness(right) < own,
                _ => tightness(right) <= own,
            };
            let left = spell_operand(random, left, left_needs);
            let right = spell_operand(random, right, right_needs);
            format!("{left}{a}{sign}{b}{right}")
        }
        Tree::Call(function, operands) => {
            let operands: Vec<String> = operands.iter().map(|operand| spell(random, operand)).collect();
            format!("{}{a}({b}{})", function.name, operands.join(&format!("{b},{a}")))
        }
    }
}

fn spell_operand(random: &mut Random, tree: &Tree, needed: bool) -> String {
    let text = spell(random, tree);
    match needed || random.below(6) == 0 {
        true => format!("({text})"),
        false => text,
    }
}

/// Writes a tree with every parenthesis, so that two trees can be compared as text.
fn spell_out(tree: &Tree) -> String {
    match tree {
        Tree::Leaf(text) => match text.parse::<f64>() {
            Ok(number) => format!("{number:?}"),
            Err(_) => text.to_string(),
        },
        Tree::Negate(operand) => format!("(-{})", spell_out(operand)),
        Tree::Binary(operator, left, right) => {
            format!("({} {operator:?} {})", spell_out(left), spell_out(right))
        }
        Tree::Call(function, operands) => {
            let operands: Vec<String> = operands.iter().map(spell_out).collect();
            format!("{}({})", function.name, operands.join(","))
        }
    }
}

/// The same form for what was read, one text per node.
fn written_out(expression: &Expression) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for node in &expression.nodes {
        texts.push(match &node.kind {
            NodeKind::Number(value) => format!("{value:?}"),
            NodeKind::Constant(constant) => constant.name.to_string(),
            NodeKind::Variable(variable) => expression.variables()[*variable].clone(),
            NodeKind::Negate(operand) => format!("(-{})", texts[*operand]),
            NodeKind::Binary(operator, left, right) => {
                format!("({} {operator:?} {})", texts[*left], texts[*right])
            }
            NodeKind::Call(function, operands) => {
                let operands: Vec<&str> = operands.iter().map(|&i| &texts[i][..]).collect();
                format!("{}({})", function.name, operands.join(","))
            }
        });
    }
    texts
}

#[test]
fn what_is_spelled_is_read_back() {
    let mut random = Random(1);
    for round in 0..2000 {
        let tree = random_tree(&mut random, round % 6);
        let source = spell(&mut random, &tree);
        let expression = parse(&source).unwrap_or_else(|error| panic!("{}", error.render(&source)));
        let texts = written_out(&expression);
        assert_eq!(texts[expression.root], spell_out(&tree), "{source}");
        assert_eq!(expression.root, expression.nodes.len() - 1);
        for (index, node) in expression.nodes.iter().enumerate() {
            assert!(node.kind.operands().iter().all(|&operand| operand < index));
            // The text of a node, read alone, is that node.
            let alone = parse(expression.text(index)).unwrap();
            assert_eq!(written_out(&alone)[alone.root], texts[index], "{source}");
        }
    }
}

#[test]
fn signs_and_powers_bind_as_in_mathematics() {
    let cases = [
        ("-x^2", "(-(x Power 2.0))"),
        ("2^3^2", "(2.0 Power (3.0 Power 2.0))"),
        ("2^-x^2", "(2.0 Power (-(x Power 2.0)))"),
        ("2^-x*y", "((2.0 Power (-x)) Multiply y)"),
        ("-x*y", "((-x) Multiply y)"),
        ("a - b - c", "((a Subtract b) Subtract c)"),
        ("a / b * c", "((a Divide b) Multiply c)"),
        ("a - -b", "(a Subtract (-b))"),
        ("- - x", "(-(-x))"),
        ("+x ** +y", "(x Power y)"),
        ("1e3", "1000.0"),
        ("1 e3", ""),
        ("x*-y^2", "(x Multiply (-(y Power 2.0)))"),
    ];
    for (source, expected) in cases {
        let read = parse(source).map(|expression| written_out(&expression).pop().unwrap());
        assert_eq!(read.unwrap_or_default(), expected, "{source}");
    }
}

#[test]
fn variables_come_in_order_of_first_appearance() {
    let expression = parse("log(1 + exp(-y*(w*x + b)))*y + pi*w").unwrap();
    assert_eq!(expression.variables(), ["y", "w", "x", "b"]);
    let texts: Vec<&str> = (0..expression.nodes.len()).map(|i| expression.text(i)).collect();
    assert_eq!(texts[..6], ["1", "y", "-y", "w", "x", "w*x"]);
    assert_eq!(texts[8], "-y*(w*x + b)");
    assert_eq!(expression.text(999), "");
}

/// Each broken expression: where the marks stand (as the marked text) and what is said.
#[test]
fn errors_point_at_the_place() {
    let cases = [
        ("", 0, "", "expression is empty"),
        ("  ", 0, "", "expression is empty"),
        ("1 +", 3, "", "a number, a name"),
        ("1 + * 2", 4, "*", "a number, a name"),
        ("* 2", 0, "*", "a number, a name"),
        ("2 x", 2, "x", "2*x, not 2x"),
        ("2x", 1, "x", "an operator is expected"),
        ("(a)(b)", 3, "(", "an operator is expected"),
        ("(a b)", 3, "b", "an operator is expected"),
        ("exp(a b)", 6, "b", "an operator is expected"),
        ("((a + b)", 0, "(", "never closed"),
        ("(a + (b", 5, "(", "never closed"),
        ("exp(", 3, "(", "never closed"),
        ("a + b)", 5, ")", "never opened"),
        (")", 0, ")", "never opened"),
        ("a*()", 2, "()", "empty"),
        ("(a +)", 4, ")", "a number, a name"),
        ("exp(a,)", 6, ")", "a number, a name"),
        ("lgo(x)", 0, "lgo", "did you mean log?"),
        ("LN(x)", 0, "LN", "did you mean log?"),
        ("logistic(x)", 0, "logistic", "did you mean sigmoid?"),
        ("fourier(x)", 0, "fourier", "functions are exp, log,"),
        ("x + x(2)", 4, "x", "to multiply, write x*(...)"),
        ("pi(2)", 0, "pi", "write pi*(...)"),
        ("1 + exp x", 4, "exp", "write exp(x)"),
        ("exp()", 0, "exp()", "takes 1 operand, not 0"),
        ("exp(a, b)", 0, "exp(a, b)", "takes 1 operand, not 2"),
        ("max(a)", 0, "max(a)", "write max(x, y)"),
        ("1,5", 1, ",", "decimal point as in 1.5"),
        ("(1,5)", 2, ",", "decimal point as in 1.5"),
        ("y = x", 2, "=", "--at name=number"),
        ("1.2.3", 0, "1.2.3", "two decimal points"),
        ("1..2", 0, "1..2", "two decimal points"),
        ("2e999", 0, "2e999", "too large"),
        ("1e", 1, "e", "an operator is expected"),
        (".", 0, ".", "as in 0.5"),
        ("a × b", 2, "×", "write * to multiply"),
        ("x²", 1, "²", "write ^2"),
        ("2*π", 2, "π", "write pi"),
        ("[a]", 0, "[", "( and )"),
        ("x\u{0}", 1, "\u{0}", "means nothing here"),
        ("😀", 0, "😀", "means nothing here"),
    ];
    for (source, start, marked, said) in cases {
        let error = parse(source).expect_err(source);
        let picture = error.render(source);
        assert_eq!(error.span.start, start, "{picture}");
        assert_eq!(&source[error.span.clone()], marked, "{picture}");
        assert!(picture.contains(said), "{picture}");
        assert!(!picture.contains('\u{0}'));
    }
}

#[test]
fn the_picture_of_an_error() {
    let source = "w*x +\n  lgo(1 + ü) * 2";
    let error = parse(source).unwrap_err();
    let names = functions::function_names();
    let expected = format!(
        "error: there is no function \"lgo\" (character 3)\n  |\n  |   lgo(1 + ü) * 2\n  |   ^^^\n  \
         = did you mean log? Functions are {names}\n"
    );
    assert_eq!(error.render(source), expected);
    // Characters, not bytes, are counted before the mark.
    let picture = parse("ü + é é").unwrap_err().render("ü + é é");
    assert!(picture.contains("(character 7)\n  |\n  | ü + é é\n  |       ^\n"), "{picture}");
    // A long line is shown around the place.
    let long = format!("{}2 2{}", "x+".repeat(500), "+x".repeat(500));
    let picture = parse(&long).unwrap_err().render(&long);
    assert!(picture.contains("(character 1003)"), "{picture}");
    let lines: Vec<&str> = picture.lines().collect();
    assert!(lines[2].starts_with("  | ...x+") && lines[2].ends_with("..."), "{picture}");
    assert_eq!(lines[2].as_bytes()[lines[3].len() - 1], b'2', "{picture}");
}

#[test]
fn nesting_and_length_have_a_limit_and_an_error() {
    let nested = |open: &str, count: usize, close: &str| format!("{}x{}", open.repeat(count), close.repeat(count));
    for (open, close) in [("(", ")"), ("-", ""), ("+", ""), ("x^", ""), ("exp(", ")"), ("(x+", ")")] {
        assert!(parse(&nested(open, 90, close)).is_ok(), "{open}");
        let deep = nested(open, 500, close);
        let error = parse(&deep).expect_err(open);
        assert_eq!(error.problem, ExpressionProblem::TooDeep, "{open}");
        error.render(&deep);
    }
    assert!(parse(&nested("(", DEEPEST_NESTING - 1, ")")).is_ok());
    assert!(parse(&nested("(", DEEPEST_NESTING, ")")).is_err());
    let unclosed = "(".repeat(LONGEST_SOURCE);
    assert_eq!(parse(&unclosed).unwrap_err().problem, ExpressionProblem::TooDeep);
    // A long chain of operators is not nested.
    let chain = format!("{}x", "x+".repeat(LONGEST_SOURCE / 2 - 1));
    assert_eq!(parse(&chain).unwrap().nodes.len(), LONGEST_SOURCE - 1);
    let too_long = "é".repeat(LONGEST_SOURCE);
    let error = parse(&too_long).unwrap_err();
    assert_eq!(error.problem, ExpressionProblem::TooLong);
    error.render(&too_long);
}

/// Expressions cut short, with characters exchanged, or made of scraps: a result and a picture,
/// never a panic.
#[test]
fn broken_expressions_never_panic() {
    let mut random = Random(2);
    let scraps = [
        "(", ")", ",", "=", "+", "-", "*", "**", "^", "/", "exp", "max", "x", "é", "pi", "1", ".5", "1e", ".", "²", " ", "\n", "\u{0}",
        "😀", "\"",
    ];
    let lists = parse("w*x + b").unwrap();
    let look = |source: &str| {
        for error in [parse(source).err(), parse_bindings(source, &lists).err(), parse_names(source, &lists).err()] {
            let Some(error) = error else { continue };
            assert!(source.get(error.span.clone()).is_some(), "{source:?} {error:?}");
            let picture = error.render(source);
            assert!(picture.lines().count() == 5 && picture.contains('^'), "{picture}");
            // A picture of another text than was read is wrong, but must not panic either.
            error.render("é");
        }
    };
    for round in 0..500 {
        let tree = random_tree(&mut random, 4);
        let valid = spell(&mut random, &tree);
        for (at, _) in valid.char_indices().take(60) {
            look(&valid[..at]);
            look(&format!("{}{}{}", &valid[..at], random.pick(&scraps), &valid[at..]));
        }
        let count = round % 12;
        look(&(0..count).map(|_| *random.pick(&scraps)).collect::<String>());
    }
}

#[test]
fn values_and_names_are_read_beside_an_expression() {
    let expression = parse("w*x + b + width").unwrap();
    let values = parse_bindings(" b=-1e-3, x = +2.5 ,w=pi,width=-e", &expression).unwrap();
    let (pi, e) = (std::f64::consts::PI, std::f64::consts::E);
    assert_eq!(values, [pi, 2.5, -1e-3, -e]);
    assert_eq!(parse_names("b, w", &expression).unwrap(), [2, 0]);
    assert_eq!(parse_bindings("", &parse("1 + pi").unwrap()), Ok(vec![]));
    let cases = [
        ("w=1,x=2", 7, "", "no value for b, width"),
        ("w=1,x=2", 7, "", "add it, as in b=1,width=1"),
        ("", 0, "", "no value for w, x, b, width"),
        ("w=1,w=2", 4, "w", "\"w\" is given twice"),
        ("w=1,widht=2", 4, "widht", "did you mean width?"),
        ("e=1", 0, "e", "is a constant"),
        ("q=1", 0, "q", "its variables are w, x, b, width"),
        ("w", 1, "", "an = is expected"),
        ("w 1", 2, "1", "an = is expected"),
        ("w=", 2, "", "a number is expected"),
        ("w=x", 2, "x", "a number is expected"),
        ("w=--1", 3, "-", "a number is expected"),
        ("w=nan", 2, "nan", "a number is expected"),
        ("w=inf", 2, "inf", "a number is expected"),
        ("w=1e999", 2, "1e999", "too large"),
        ("w=1 x=2", 4, "x", "a comma is expected"),
        ("w=1+2", 3, "+", "a comma is expected"),
        ("w=1,", 4, "", "name of a variable is expected"),
        ("w=1,,x=2", 4, ",", "name of a variable is expected"),
        ("=1", 0, "=", "name of a variable is expected"),
        ("w=1;x=2", 3, ";", "separated by commas"),
    ];
    for (source, start, marked, said) in cases {
        let error = parse_bindings(source, &expression).expect_err(source);
        let picture = error.render(source);
        assert_eq!(error.span.start, start, "{picture}");
        assert_eq!(&source[error.span.clone()], marked, "{picture}");
        assert!(picture.contains(said), "{picture}");
    }
    for (source, said) in [
        ("", "list of variables is empty"),
        ("w,w", "given twice"),
        ("w,", "name of a variable"),
        ("w x", "comma"),
        ("w=1", "comma"),
        ("z", "no variable"),
    ] {
        let picture = parse_names(source, &expression).unwrap_err().render(source);
        assert!(picture.contains(said), "{picture}");
    }
}

#[test]
fn the_tables_have_no_name_twice_and_the_help_has_them_all() {
    let mut names: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
    names.extend(CONSTANTS.iter().map(|constant| constant.name));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for function in FUNCTIONS {
        assert!(help().contains(&function.usage()) && help().contains(function.doc));
        let call = parse(&function.usage()).unwrap();
        let expected: Vec<usize> = (0..function.arity).collect();
        assert_eq!(call.nodes[call.root].kind, NodeKind::Call(function, expected));
    }
}
