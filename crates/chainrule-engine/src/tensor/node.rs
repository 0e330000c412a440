//! `Tensor`: a handle on one node of the recorded graph.
//!
//! Refuses to compute anything: recording infers the type, checks it, and remembers. There is no
//! registry of nodes and no tape; a node lives as long as somebody holds it or a node after it.

use super::creation::IntoShape;
use super::data::Data;
use super::dtype::DType;
use super::error::{Error, Result};
use super::origin::Origin;
use super::shape::{Shape, Type};
use crate::ops::{Input, Op, Operation, PoisonedBy, shape_error};
use smallvec::SmallVec;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// An n-dimensional array of numbers, or the recipe for one.
///
/// Cheap to clone (a counted reference), immutable, and safe to share between threads. Combining
/// tensors records a graph; [`Tensor::eval`], [`Tensor::item`], [`Tensor::to_vec`] and printing
/// run it. A mistake (shapes that do not fit, say) does not panic: the tensor is poisoned, and so
/// is all that is computed from it, and the next call that returns a `Result` reports the first
/// cause with its source line.
///
/// ```
/// use chainrule_engine::Tensor;
/// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
/// let y = (x.matmul(&x) + 1.0).sum();
/// assert_eq!(y.item()?, 58.0);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[derive(Clone)]
pub struct Tensor(pub(crate) Arc<Node>);

/// Up to two inputs lie in the node itself.
pub type Inputs = SmallVec<[Tensor; 2]>;

/// What a tensor is: an operation, its inputs, its type, where it was recorded, and, once
/// evaluated, its value.
pub struct Node {
    id: u64,
    op: Op,
    inputs: Inputs,
    ty: Type,
    origin: Origin,
    value: OnceLock<Arc<Data>>,
}

/// Numbers nodes in the order of recording, so that inputs always come before what uses them and
/// sorting by number is a topological order.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Tensor {
    /// Records an operation. The only way a node comes to be.
    #[track_caller]
    pub fn record(op: impl Into<Op>, inputs: impl IntoIterator<Item = Tensor>) -> Tensor {
        // One after the other: where a call gives a fixed number of them, as most do, that is no loop.
        let mut list = Inputs::new();
        inputs.into_iter().for_each(|input| list.push(input));
        Tensor::recorded(op.into(), list, Location::caller())
    }

    fn recorded(op: Op, inputs: Inputs, location: &'static Location<'static>) -> Tensor {
        let origin = Origin::here(location);
        if let Some(poisoned) = inputs.iter().find(|input| input.error().is_some()) {
            return poisoned.clone();
        }
        if op.arity().is_some_and(|arity| arity != inputs.len()) {
            let message = format!("{} inputs for an operation that takes {}", inputs.len(), op.arity().unwrap_or(0));
            return Tensor::poisoned(Error::new(super::ErrorKind::Argument, op.name(), message), origin);
        }
        let inferred = match &inputs[..] {
            [a] => op.infer(&[&a.0.ty]),
            [a, b] => op.infer(&[&a.0.ty, &b.0.ty]),
            all => op.infer(&all.iter().map(|input| &input.0.ty).collect::<Vec<_>>()),
        };
        match inferred {
            Ok(ty) => match ty.refusal() {
                Some(why) => Tensor::poisoned(shape_error(op.name(), why), origin),
                None => Tensor::node(op, inputs, ty, origin, None),
            },
            Err(error) => Tensor::poisoned(error, origin),
        }
    }

    /// A tensor that stands for a mistake.
    #[track_caller]
    pub(crate) fn poison(error: Error) -> Tensor {
        Tensor::poisoned(error, Origin::here(Location::caller()))
    }

    fn poisoned(error: Error, origin: Origin) -> Tensor {
        let error = Arc::new(error.at(&origin));
        Tensor::node(Op::Poison(PoisonedBy(error)), Inputs::new(), Type::new(Shape::new(), DType::F32), origin, None)
    }

    /// A leaf that holds data; `data` must have as many elements as `shape`.
    #[track_caller]
    pub(crate) fn leaf(shape: impl Into<Shape>, data: Arc<Data>) -> Tensor {
        let ty = Type::new(shape, data.dtype());
        debug_assert!(ty.checked_len().is_none_or(|len| len == data.len()));
        Tensor::input(ty, Origin::here(Location::caller()), Some(data))
    }

    /// A leaf without data, to be given a value when a captured step runs.
    #[track_caller]
    pub fn placeholder(shape: impl IntoShape, dtype: DType) -> Tensor {
        Tensor::input(Type::new(shape.into_shape(), dtype), Origin::here(Location::caller()), None)
    }

    fn input(ty: Type, origin: Origin, value: Option<Arc<Data>>) -> Tensor {
        match ty.refusal() {
            Some(why) => Tensor::poisoned(shape_error("input", why), origin),
            None => Tensor::node(Op::Input(Input), Inputs::new(), ty, origin, value),
        }
    }

    fn node(op: Op, inputs: Inputs, ty: Type, origin: Origin, value: Option<Arc<Data>>) -> Tensor {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let value = value.map(OnceLock::from).unwrap_or_default();
        Tensor(Arc::new(Node { id, op, inputs, ty, origin, value }))
    }

    /// The number the next recorded node will get at the least.
    pub(crate) fn next_id() -> u64 {
        NEXT_ID.load(Ordering::Relaxed)
    }

    /// The operation that makes this tensor.
    pub fn op(&self) -> &Op {
        &self.0.op
    }

    /// What the operation is applied to.
    pub fn inputs(&self) -> &[Tensor] {
        &self.0.inputs
    }

    /// Sizes of the axes. Of a poisoned tensor: `[]`.
    pub fn shape(&self) -> &[usize] {
        &self.0.ty.shape
    }

    /// Shape and element type.
    pub fn ty(&self) -> &Type {
        &self.0.ty
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.0.ty.dtype
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.0.ty.shape.len()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.0.ty.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.0.ty.is_empty()
    }

    /// The source line and scope that recorded this tensor.
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// The number of this node: greater than those of its inputs, unique within the process.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// The mistake this tensor stands for, if it does.
    pub fn error(&self) -> Option<&Error> {
        match &self.0.op {
            Op::Poison(PoisonedBy(error)) => Some(error),
            _ => None,
        }
    }

    /// `Ok` unless this tensor is poisoned.
    pub fn check(&self) -> Result<()> {
        self.error().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// The value, if it was given or has been evaluated.
    pub(crate) fn value(&self) -> Option<&Arc<Data>> {
        self.0.value.get()
    }

    /// Remembers an evaluated value. The first one stays; any later one is equal.
    pub(crate) fn set_value(&self, data: Arc<Data>) {
        let _ = self.0.value.set(data);
    }

    /// Whether two handles are the same node.
    pub fn is(&self, other: &Tensor) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Frees a graph without recursion, however deep: a node that loses its last handle gives its
/// inputs to a list instead of dropping them inside its own drop.
impl Drop for Node {
    fn drop(&mut self) {
        let mut freed: Vec<Tensor> = Vec::new();
        let release = |tensor: Tensor, freed: &mut Vec<Tensor>| {
            if let Some(mut node) = Arc::into_inner(tensor.0) {
                freed.extend(node.inputs.drain(..));
            }
        };
        let inputs = std::mem::take(&mut self.inputs);
        if let Op::Custom(_) = self.op {
            // A rule may hold its inputs, too. It goes while they are still held here, so that
            // none of them is freed inside the rule's own drop.
            self.op = Op::Input(Input);
        }
        for tensor in inputs {
            release(tensor, &mut freed);
        }
        while let Some(tensor) = freed.pop() {
            release(tensor, &mut freed);
        }
    }
}
