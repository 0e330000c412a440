//! Every way to record an operation that does not fit its inputs is a mistake that names the operation and
//! says what is wrong: what the surface resolves before it (negative axes, broadcasting) is no reason to
//! trust it.

use chainrule_engine::ops::{
    ArgSort, Binary, Body, Broadcast, Cast, Combine, Concat, CumulativeSum, Derivative, Einsum, Fold, Gather, Iota, Lift, Max, Op,
    Operation, Pad, Permute, Random, Reshape, Reverse, Scan, ScatterAdd, ScatterReduce, Select, Slice, Sum, Switch, Unary, While, Window,
};
use chainrule_engine::tensor::Type;
use chainrule_engine::{DType, ErrorKind, Tensor};

/// An application that must be refused: what is wrong with it, and a word that the message has to have.
struct Case {
    what: &'static str,
    op: Op,
    inputs: Vec<Tensor>,
    word: &'static str,
}

fn case(what: &'static str, op: impl Into<Op>, inputs: &[&Tensor], word: &'static str) -> Case {
    Case { what, op: op.into(), inputs: inputs.iter().map(|&t| t.clone()).collect(), word }
}

fn of(dtype: DType, shape: &[usize]) -> Tensor {
    Tensor::placeholder(shape, dtype)
}

fn list<L: FromIterator<usize>>(numbers: &[usize]) -> L {
    numbers.iter().copied().collect()
}

fn slice(start: &[usize], stop: &[usize], step: &[usize]) -> Slice {
    Slice { start: list(start), stop: list(stop), step: list(step) }
}

fn pad(low: &[usize], high: &[usize], interior: &[usize]) -> Pad {
    Pad { low: list(low), high: list(high), interior: list(interior) }
}

fn window(axes: &[usize], sizes: &[usize], strides: &[usize], dilations: &[usize]) -> Window {
    Window { axes: list(axes), sizes: list(sizes), strides: list(strides), dilations: list(dilations) }
}

fn movements(x: &Tensor) -> Vec<Case> {
    let (y, whole) = (of(DType::F32, &[2, 4]), of(DType::I64, &[2, 3]));
    let spread = |axes: &[usize], sizes: &[usize]| Broadcast { axes: list(axes), sizes: list(sizes) };
    vec![
        case("too few elements", Reshape(list(&[5])), &[x], "elements"),
        case("more elements than there are numbers", Reshape(list(&[usize::MAX, 6])), &[x], "elements"),
        case("an axis twice", Permute(list(&[0, 0])), &[x], "order"),
        case("an axis left out", Permute(list(&[0])), &[x], "order"),
        case("an axis that is not there", Permute(list(&[0, 2])), &[x], "order"),
        case("new axes that descend", spread(&[1, 0], &[2, 2]), &[x], "axes"),
        case("a new axis twice", spread(&[1, 1], &[2, 2]), &[x], "axes"),
        case("a new axis too far", spread(&[3], &[2]), &[x], "axes"),
        case("a new axis without a size", spread(&[0, 1], &[2]), &[x], "axes"),
        case("a start behind the stop", slice(&[1, 2], &[2, 1], &[1, 1]), &[x], "does not fit"),
        case("a stop behind the end", slice(&[0, 0], &[2, 4], &[1, 1]), &[x], "does not fit"),
        case("a step of none", slice(&[0, 0], &[2, 3], &[1, 0]), &[x], "does not fit"),
        case("an axis without a slice", slice(&[0], &[2], &[1]), &[x], "does not fit"),
        case("an axis without a padding", pad(&[1], &[1], &[1]), &[x], "does not fit"),
        case("more zeros than there are numbers", pad(&[0, usize::MAX], &[0, 1], &[0, 0]), &[x], "does not fit"),
        case("more zeros between than there are numbers", pad(&[0, 0], &[0, 0], &[0, usize::MAX / 2]), &[x], "does not fit"),
        case("an axis backwards twice", Reverse(list(&[1, 1])), &[x], "axis"),
        case("an axis that is not there, backwards", Reverse(list(&[2])), &[x], "axis"),
        case("nothing to join", Concat { axis: 0 }, &[], "nothing"),
        case("joined along an axis that is not there", Concat { axis: 2 }, &[x, x], "axis"),
        case("joined where other sizes differ", Concat { axis: 0 }, &[x, &y], "does not fit"),
        case("joined with other ranks", Concat { axis: 1 }, &[x, &of(DType::F32, &[2])], "does not fit"),
        case("joined with other types", Concat { axis: 0 }, &[x, &whole], "cast"),
    ]
}

fn reductions(x: &Tensor, truth: &Tensor) -> Vec<Case> {
    let sum = |axes: &[usize]| Sum(list(axes));
    let max = |axes: &[usize]| Max(list(axes));
    let running = |axis: usize| CumulativeSum { axis, reverse: false };
    vec![
        case("an axis summed twice", sum(&[1, 1]), &[x], "axes"),
        case("summed axes that descend", sum(&[1, 0]), &[x], "axes"),
        case("a sum over an axis that is not there", sum(&[2]), &[x], "axes"),
        case("a sum of truths", sum(&[0]), &[truth], "bool"),
        case("a maximum twice over", max(&[0, 0]), &[x], "axes"),
        case("a maximum over an axis that is not there", max(&[0, 7]), &[x], "axes"),
        case("a maximum of nothing", max(&[1]), &[&of(DType::F32, &[2, 0])], "no elements"),
        case("a maximum of truths", max(&[0]), &[truth], "bool"),
        case("a running sum along no axis", running(2), &[x], "axis"),
        case("a running sum of truths", running(0), &[truth], "bool"),
    ]
}

fn products(x: &Tensor, truth: &Tensor) -> Vec<Case> {
    let einsum = Einsum::new;
    let y = of(DType::F32, &[4, 5]);
    vec![
        case("sizes of a label that differ", einsum("ab", "bc", "ac"), &[x, &y], "3 in one operand and 4 in the other"),
        case("fewer labels than axes", einsum("a", "ac", "ac"), &[x, x], "labels"),
        case("a label twice in one operand", einsum("aa", "ab", "ab"), &[&of(DType::F32, &[2, 2]), x], "twice"),
        case("a label in one place", einsum("ab", "ac", "c"), &[x, x], "one place"),
        case("a result's label of no operand", einsum("ab", "ab", "az"), &[x, x], "result"),
        case("a result's label twice", einsum("ab", "ab", "aab"), &[x, x], "result"),
        case("a product of two types", einsum("ab", "ab", "a"), &[x, &of(DType::F64, &[2, 3])], "cast"),
        case("a product of truths", einsum("ab", "ab", "a"), &[truth, truth], "bool"),
    ]
}

fn indexed(x: &Tensor, truth: &Tensor) -> Vec<Case> {
    let index = of(DType::I64, &[2]);
    let scatter = |batch| ScatterAdd { batch, size: 4 };
    let extreme = ScatterReduce { batch: 0, size: 4, how: Combine::Maximum };
    let fold = |lengths: &[usize]| Fold { window: window(&[1], &[2], &[1], &[1]), lengths: list(lengths) };
    vec![
        case("a float for an index", Gather { batch: 0 }, &[x, x], "index"),
        case("a byte for an index", Gather { batch: 0 }, &[x, &of(DType::U8, &[2])], "index"),
        case("no axis left to index", Gather { batch: 2 }, &[x, &of(DType::I64, &[2, 3])], "axis"),
        case("batches that differ", Gather { batch: 1 }, &[x, &of(DType::I64, &[3, 1])], "leading axes"),
        case("an index without the batch", Gather { batch: 1 }, &[x, &of(DType::I64, &[])], "leading axes"),
        case("updates that do not begin as the index does", scatter(0), &[x, &of(DType::I64, &[3])], "do not begin"),
        case("updates with fewer axes than the index", scatter(0), &[x, &of(DType::I64, &[2, 3, 1])], "do not begin"),
        case("updates of truths", scatter(0), &[truth, &index], "bool"),
        case("a float for an index of updates", scatter(0), &[x, &of(DType::F32, &[2])], "index"),
        case("extremes of updates that do not begin as the index does", extreme, &[x, &of(DType::I64, &[3])], "do not begin"),
        case("extremes of truths", extreme, &[truth, &index], "bool"),
        case("a float for an index of extremes", extreme, &[x, &of(DType::F32, &[2])], "index"),
        case("the order of a scalar", ArgSort { descending: true, first: None }, &[&of(DType::F32, &[])], "no axis"),
        case("more first elements than there are", ArgSort { descending: true, first: Some(4) }, &[x], "first 4 of 3"),
        case("a window wider than its axis", window(&[1], &[4], &[1], &[1]), &[x], "does not fit"),
        case("a window spread too far", window(&[1], &[2], &[1], &[3]), &[x], "does not fit"),
        case("a window of nothing", window(&[1], &[0], &[1], &[1]), &[x], "at least 1"),
        case("windows that do not move", window(&[1], &[2], &[0], &[1]), &[x], "at least 1"),
        case("windows over axes that descend", window(&[1, 0], &[1, 1], &[1, 1], &[1, 1]), &[x], "does not fit"),
        case("windows twice over an axis", window(&[1, 1], &[1, 1], &[1, 1], &[1, 1]), &[x], "does not fit"),
        case("a window over an axis that is not there", window(&[2], &[1], &[1], &[1]), &[x], "does not fit"),
        case("a window without a stride", window(&[1], &[2], &[], &[1]), &[x], "does not fit"),
        case("patches of another length", fold(&[5]), &[&of(DType::F32, &[2, 2, 2])], "patches"),
        case("patches of another size", fold(&[3]), &[&of(DType::F32, &[2, 2, 3])], "patches"),
        case("patches without a length", fold(&[]), &[&of(DType::F32, &[2, 2, 2])], "patches"),
        case("patches with fewer axes than windows", fold(&[3]), &[&of(DType::F32, &[])], "fewer axes"),
        case("patches of truths", fold(&[3]), &[&of(DType::Bool, &[2, 2, 2])], "bool"),
    ]
}

fn control(x: &Tensor) -> Vec<Case> {
    let body = |inputs: &[&Tensor], record: &dyn Fn(&[Tensor]) -> Vec<Tensor>| {
        let own: Vec<Tensor> = inputs.iter().map(|x| Tensor::placeholder(x.shape(), x.dtype())).collect();
        Body::trace(own[0].id(), &own, &record(&own), true).map_or_else(|error| panic!("{error}"), |(body, _)| body)
    };
    let same = body(&[x], &|x| x.to_vec());
    let (sum, two) = (body(&[x], &|x| vec![x[0].sum()]), body(&[x, x], &|x| x.to_vec()));
    let scan =
        |body: &Body, carries, sequences| Scan { body: body.clone(), carries, sequences, length: 3, reverse: false, dtype: DType::F32 };
    let switch = |branches: &[&Body]| Switch { branches: branches.iter().map(|&body| body.clone()).collect(), dtype: DType::F32 };
    let repeat = |condition: &Body, body: &Body| While { bodies: [condition.clone(), body.clone()], dtype: DType::F32 };
    let (index, on) = (of(DType::I64, &[]), body(&[x], &|x| vec![x[0].sum().less(&x[0].square().sum())]));
    vec![
        case("a carry of another shape", scan(&same, 1, 0), &[&of(DType::F32, &[3, 2])], "[3, 2], not f32 [2, 3]"),
        case("a carry of another type", scan(&same, 1, 0), &[&of(DType::F64, &[2, 3])], "f64"),
        case("a carry that changes", scan(&sum, 1, 0), &[x], "next carry 0"),
        case("a sequence of another length", scan(&same, 0, 1), &[&of(DType::F32, &[4, 2, 3])], "sequence 0"),
        case("too few inputs of a loop", scan(&two, 1, 0), &[x], "1 inputs"),
        case("more carries than results", scan(&same, 2, 0), &[x], "1 inputs"),
        case("a branch by a float", switch(&[&same]), &[&of(DType::F32, &[]), x], "i64 or i32"),
        case("a branch by many", switch(&[&same]), &[&of(DType::I64, &[2]), x], "i64 or i32"),
        case("branches of other results", switch(&[&same, &sum]), &[&index, x], "result 0"),
        case("branches of other operands", switch(&[&same, &two]), &[&index, x], "operands"),
        case("no branch at all", switch(&[]), &[&index, x], "branches"),
        case("as long as a number", repeat(&sum, &same), &[x], "one bool"),
        case("as long as it changes", repeat(&on, &sum), &[x], "next carry 0"),
        case("too many inputs", repeat(&on, &same), &[x, x], "2 inputs"),
    ]
}

fn elements(x: &Tensor, truth: &Tensor) -> Vec<Case> {
    let (turned, wide, whole) = (of(DType::F32, &[3, 2]), of(DType::F64, &[2, 3]), of(DType::I32, &[2, 3]));
    let random = |bits: u32| Random { bits, shape: list(&[3]), offset: 0 };
    vec![
        case("shapes that differ", Binary::Add, &[x, &turned], "differ"),
        case("types that differ", Binary::Add, &[x, &wide], "cast"),
        case("a sum of truths, element by element", Binary::Multiply, &[truth, truth], "bool"),
        case("a power of whole numbers", Binary::Power, &[&whole, &whole], "floats"),
        case("a logical function of numbers", Binary::And, &[x, x], "bool"),
        case("an exponential of whole numbers", Unary::Exp, &[&whole], "floats"),
        case("a truth of the other sign", Unary::Negate, &[truth], "numbers"),
        case("not a number", Unary::Not, &[x], "bool"),
        case("a rounding, which is a cast", Unary::RoundBf16, &[x], "cast"),
        case("a choice by a number", Select, &[x, x, x], "bool"),
        case("a choice between types", Select, &[truth, x, &wide], "cast"),
        case("a choice between shapes", Select, &[truth, x, &turned], "differ"),
        case("a choice without one side", Select, &[truth, x], "2 inputs"),
        case("one operand for two", Binary::Add, &[x], "1 inputs"),
        case("two operands for one", Cast(DType::F64), &[x, x], "2 inputs"),
        case("a key that is a float", random(8), &[x], "key"),
        case("numbers of no bits", random(0), &[&of(DType::I64, &[])], "bits"),
        case("numbers of 65 bits", random(65), &[&of(DType::I64, &[])], "bits"),
        case("coordinates of an axis that is not there", Iota { axis: 2, ty: Type::clone(x.ty()) }, &[], "axis"),
        case("coordinates that are truths", Iota { axis: 0, ty: Type::clone(truth.ty()) }, &[], "bool"),
    ]
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let (x, truth) = (of(DType::F32, &[2, 3]), of(DType::Bool, &[2, 3]));
    let families = [movements(&x), reductions(&x, &truth), products(&x, &truth), indexed(&x, &truth), elements(&x, &truth), control(&x)];
    let mut failures = Vec::new();
    for Case { what, op, inputs, word } in families.into_iter().flatten() {
        let name = op.name();
        let result = Tensor::record(op, inputs);
        match result.error() {
            None => failures.push(format!("{what}: `{name}` gives {:?}", result.shape())),
            Some(error) => {
                let kind = matches!(error.kind(), ErrorKind::Shape | ErrorKind::DType | ErrorKind::Argument);
                let text = error.to_string();
                if !kind || error.operation() != name || !text.contains(word) || !text.contains("malformed.rs") {
                    failures.push(format!("{what}: says `{text}`, and should be of `{name}` and say `{word}`"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} cases:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_mistake_keeps_its_cause_whatever_is_asked_of_it() {
    let x = of(DType::F32, &[2, 3]);
    let mistakes = [Tensor::record(Reshape(list(&[5])), [x.clone()]), Tensor::record(Reshape(list(&[5])), [x])];
    for mistake in &mistakes {
        let op = mistake.op();
        assert_eq!(op.name(), "poison");
        assert_eq!(op.infer(&[]).err().map(|error| error.to_string()), mistake.error().map(|error| error.to_string()));
        assert!(matches!(op.derivative(mistake, 0), Derivative::Cut(_)));
        assert!(matches!(op.lift(&[], 4), Lift::Mixed(same) if same == *op));
    }
    // Made twice they are two, however alike they read.
    assert_ne!(mistakes[0].op(), mistakes[1].op());
    assert_eq!(mistakes[0].op(), mistakes[0].clone().op());
}

/// The compiler's roundings have the type of an operation: whoever asks one anyway is not told of another.
#[test]
fn a_rounding_is_no_operation_of_a_graph() {
    let x = of(DType::F32, &[2]);
    for rounding in [Unary::RoundBf16, Unary::RoundF16] {
        assert_eq!(rounding.name(), "round");
        assert!(rounding.infer(&[x.ty()]).is_err());
        assert!(matches!(rounding.derivative(&x.exp(), 0), Derivative::Cut(_)));
    }
}
