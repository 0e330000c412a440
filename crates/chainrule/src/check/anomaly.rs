//! Where a NaN or an infinity comes from: the operation that made it, and of what.
//!
//! Evaluates every operation by itself, so what is only wrong when fused is not found. Does not look into the bodies of loops
//! and branches: they are one operation.

use chainrule_engine::ops::{Op, Operation};
use chainrule_engine::tensor::{Origin, Type};
use chainrule_engine::transform::walk::Walk;
use chainrule_engine::{Error, ErrorKind, Result, Tensor};
use std::fmt;

/// How a NaN or an infinity came about. Printed, it is a sentence.
#[derive(Clone, Debug)]
pub struct Anomaly(Vec<Made>);

/// An operation whose result is not finite, though its operands are, or NaN, though none of them is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Made {
    /// The operation, such as `log`; `input` and `constant` are numbers that were given.
    pub operation: String,
    /// Its source line and scope.
    pub origin: Origin,
    /// What it gives.
    pub result: Extent,
    /// What it is given.
    pub operands: Vec<Extent>,
}

/// Which numbers a tensor holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Extent {
    /// Shape and element type.
    pub ty: Type,
    /// The least and the greatest of the finite ones, if there are any.
    pub range: Option<(f64, f64)>,
    /// How many are NaN.
    pub nan: usize,
    /// How many are -inf.
    pub below: usize,
    /// How many are inf.
    pub above: usize,
}

/// What made the first NaN, or else infinity, that one of the tensors holds, or has from what it was computed of; `None` if all
/// are finite. All values on the way are computed and kept.
///
/// ```
/// use chainrule::{Tensor, check::anomaly};
/// let x = Tensor::from([3.0, 0.0]);
/// let entropy = (&x * x.log()).sum();
/// let found = anomaly(&[&entropy])?.unwrap();
/// // An infinity was made first, and NaN of it.
/// let made: Vec<&str> = found.made().iter().map(|made| made.operation.as_str()).collect();
/// assert_eq!(made, ["log", "mul"]);
/// assert!(found.to_string().contains("gives -inf in 1 of 2 elements, of 0 to 3"), "{found}");
/// assert!(anomaly(&[&x])?.is_none());
/// # Ok::<(), chainrule::Error>(())
/// ```
///
/// # Errors
/// As those of evaluating the tensors.
pub fn anomaly(tensors: &[&Tensor]) -> Result<Option<Anomaly>> {
    tensors.iter().try_for_each(|tensor| tensor.check())?;
    for &tensor in tensors {
        evaluate(tensor)?;
        for bad in [f64::is_nan, f64::is_infinite] {
            if holds(tensor, bad)? {
                return Ok(Some(Anomaly::of(tensor, bad)?));
            }
        }
    }
    Ok(None)
}

/// Operations that are evaluated as one program.
const AT_ONCE: usize = 256;

/// Computes all values that a tensor depends on, but for copies.
fn evaluate(tensor: &Tensor) -> Result<()> {
    let walk = Walk::new([tensor], |_| true);
    let own: Vec<&Tensor> = walk.nodes.iter().filter(|node| source(node).is(node)).collect();
    own.chunks(AT_ONCE).try_for_each(Tensor::eval_all)
}

/// What a tensor repeats the elements of, which it would take much memory to repeat.
fn source(tensor: &Tensor) -> &Tensor {
    let mut source = tensor;
    while let Op::Broadcast(_) | Op::Window(_) = source.op() {
        source = &source.inputs()[0];
    }
    source
}

/// The numbers of a tensor of floats; of others, none.
fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    match tensor.dtype().is_float() {
        true => Ok(tensor.to_data()?.to_f64()),
        false => Ok(Vec::new()),
    }
}

fn holds(tensor: &Tensor, bad: fn(f64) -> bool) -> Result<bool> {
    Ok(numbers(source(tensor))?.into_iter().any(bad))
}

impl Anomaly {
    /// What made a number that is bad, and, if it is NaN made of an infinity, what made that.
    fn of(tensor: &Tensor, bad: fn(f64) -> bool) -> Result<Anomaly> {
        let last = maker(tensor.clone(), bad)?;
        let mut made = vec![Made::by(&last)?];
        if let Some(infinite) = cause(&last, bad, f64::is_infinite)? {
            made.insert(0, Made::by(&maker(infinite, f64::is_infinite)?)?);
        }
        Ok(Anomaly(made))
    }

    /// The operations that made it, in the order in which they did: one, or, where NaN was made of an infinity, that and this.
    pub fn made(&self) -> &[Made] {
        &self.0
    }
}

/// Goes back from a tensor that holds bad numbers to the one that none of its inputs has them for.
fn maker(mut tensor: Tensor, bad: fn(f64) -> bool) -> Result<Tensor> {
    while let Some(earlier) = cause(&tensor, bad, bad)? {
        tensor = earlier;
    }
    Ok(tensor)
}

/// The input, recorded first, whose numbers of kind `from` are why the tensor's are `bad`.
fn cause(tensor: &Tensor, bad: fn(f64) -> bool, from: fn(f64) -> bool) -> Result<Option<Tensor>> {
    let one_by_one = matches!(tensor.op(), Op::Unary(_) | Op::Binary(_) | Op::Select(_) | Op::Cast(_));
    let own = if one_by_one { numbers(tensor)? } else { Vec::new() };
    // Only what stands at the same place counts, and of a choice only the branch that is taken there.
    let choice = if let Op::Select(_) = tensor.op() { tensor.inputs()[0].to_data()?.to_i64() } else { Vec::new() };
    let taken = |at: usize, k: usize| choice.get(at).is_none_or(|&first| (first != 0) == (k == 1));
    let mut found: Option<&Tensor> = None;
    for (k, input) in tensor.inputs().iter().enumerate() {
        let there = match one_by_one {
            true => numbers(input)?.into_iter().zip(&own).enumerate().any(|(at, (input, own))| from(input) && bad(*own) && taken(at, k)),
            false => holds(input, from)?,
        };
        if there && found.is_none_or(|found| input.id() < found.id()) {
            found = Some(input);
        }
    }
    Ok(found.cloned())
}

impl Made {
    fn by(tensor: &Tensor) -> Result<Made> {
        // What is repeated was made before.
        let tensor = source(tensor);
        Ok(Made {
            operation: tensor.op().name().to_string(),
            origin: tensor.origin().clone(),
            result: Extent::of(tensor)?,
            operands: tensor.inputs().iter().map(Extent::of).collect::<Result<_>>()?,
        })
    }

    /// What it gives, of what, without its name and place.
    fn outcome(&self) -> String {
        let operands: Vec<String> = self.operands.iter().filter(|operand| operand.ty.dtype.is_float()).map(|o| o.to_string()).collect();
        let of = if operands.is_empty() { String::new() } else { format!(", of {}", operands.join(" and ")) };
        format!("{} in {} elements{of}", self.result.what(), self.result.share())
    }

    fn place(&self) -> String {
        let backward = if self.origin.is_backward() { "the backward pass of " } else { "" };
        format!("`{}` in {backward}{}", self.operation, self.origin.place())
    }
}

impl Extent {
    fn of(tensor: &Tensor) -> Result<Extent> {
        let mut extent = Extent { ty: tensor.ty().clone(), range: None, nan: 0, below: 0, above: 0 };
        for number in numbers(source(tensor))? {
            match number {
                number if number.is_nan() => extent.nan += 1,
                f64::INFINITY => extent.above += 1,
                f64::NEG_INFINITY => extent.below += 1,
                number => {
                    let (least, greatest) = extent.range.unwrap_or((number, number));
                    extent.range = Some((least.min(number), greatest.max(number)));
                }
            }
        }
        Ok(extent)
    }

    /// The kind of number that is not finite.
    fn what(&self) -> &'static str {
        match (self.nan, self.below, self.above) {
            (1.., ..) => "NaN",
            (_, 1.., 0) => "-inf",
            (_, 0, _) => "inf",
            _ => "infinities",
        }
    }

    /// How many are of that kind, of how many.
    fn share(&self) -> String {
        let bad = if self.nan > 0 { self.nan } else { self.below + self.above };
        format!("{bad} of {}", self.ty.shape.iter().product::<usize>())
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = self.range.map(|(least, greatest)| match least == greatest {
            true => short(least),
            false => format!("{} to {}", short(least), short(greatest)),
        });
        let named = [(self.below, "-inf"), (self.above, "inf"), (self.nan, "NaN")];
        let parts: Vec<String> = range.into_iter().chain(named.into_iter().filter(|(n, _)| *n > 0).map(|(_, name)| name.into())).collect();
        f.write_str(if parts.is_empty() { "nothing".into() } else { parts.join(", ") }.as_str())
    }
}

/// Four digits of a number.
fn short(number: f64) -> String {
    match number.abs() {
        0.0 => "0".into(),
        1e-3..1e6 => format!("{number:.4}").trim_end_matches('0').trim_end_matches('.').into(),
        _ => format!("{number:.3e}"),
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = |made: &Made| format!("{} gives {}", made.place(), made.outcome());
        f.write_str(&self.0.iter().map(sentence).collect::<Vec<_>>().join("; then "))
    }
}

/// The first that was made is what went wrong; the message has the rest.
impl From<Anomaly> for Error {
    fn from(anomaly: Anomaly) -> Error {
        let Some((first, rest)) = anomaly.0.split_first() else {
            return Error::new(ErrorKind::NotFinite, "anomaly", "nothing is known of it");
        };
        let then: String = rest.iter().map(|made| format!("; then {} gives {}", made.place(), made.outcome())).collect();
        let backward = if first.origin.is_backward() { "its backward pass " } else { "" };
        Error::new(ErrorKind::NotFinite, &first.operation, format!("{backward}gives {}{then}", first.outcome())).at(&first.origin)
    }
}
