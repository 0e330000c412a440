//! `Module`: anything that holds parameters, each under a dotted name.
//!
//! It knows names and tensors only: what a module computes is an ordinary method of its type, with
//! the arguments that it needs. Nothing here evaluates anything but [`Module::initialize`].

use super::state::{StateError, load_state};
use chainrule_engine::{DType, Result, Tensor, scope};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

pub use chainrule_derive::Module;

/// Anything that holds parameters.
///
/// Derive it: every field is visited in the order of declaration under its own name, nested modules
/// with dots between (`encoder.2.weight`). A [`Tensor`] is one parameter; `Vec`, arrays and tuples
/// number their parts from 0; `Option` and `Box` add nothing to the name. Numbers, `bool`, text,
/// [`DType`] and the library's own settings hold no parameters and may stand in a module as they
/// are. A tensor that stands in two fields (a clone of the handle) is one parameter with two names,
/// and stays one. Any other field, say an enum of your own, is marked `#[module(skip)]`, and a tensor that is
/// saved but not trained `#[module(buffer)]`: no optimizer touches it, and a forward pass of training may give it a new
/// value ([`super::Training::update`]). In an enum, and in a tuple struct, a single unnamed
/// field adds nothing to the name.
///
/// ```
/// use chainrule::prelude::*;
///
/// #[derive(Module)]
/// struct Classifier {
///     layers: Vec<Linear>,
///     shift: Option<Tensor>,
///     #[module(buffer)]
///     mean: Tensor,
///     classes: usize,
///     #[module(skip)]
///     started: std::time::Instant,
/// }
///
/// let mut rng = Rng::new(0);
/// let model = Classifier {
///     layers: vec![Linear::new(64, 32, &mut rng), Linear::without_bias(32, 10, &mut rng)],
///     shift: Some(Tensor::zeros([10])),
///     mean: Tensor::zeros([64]),
///     classes: 10,
///     started: std::time::Instant::now(),
/// };
/// let names: Vec<String> = model.parameters().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["layers.0.weight", "layers.0.bias", "layers.1.weight", "shift"]);
/// assert_eq!(model.parameter_count(), 64 * 32 + 32 + 32 * 10 + 10);
/// assert_eq!(model.state().len(), 5);
/// ```
///
/// A field that is no module is named by the compiler:
///
/// ```compile_fail,E0277
/// #[derive(chainrule::nn::Module)]
/// struct Model {
///     weight: chainrule::Tensor,
///     started: std::time::Instant, // add #[module(skip)]
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no `Module`: whether it holds parameters is not known",
    label = "not a `Module`",
    note = "write `#[derive(Module)]` on it, or `#[module(skip)]` above the field that holds it"
)]
pub trait Module {
    /// Shows everything this module holds to `visitor`. Derived.
    fn walk(&self, visitor: &mut Visitor<'_>);

    /// As [`Module::walk`], with the tensors to be changed. Derived.
    fn walk_mut(&mut self, visitor: &mut VisitorMut<'_>);

    /// Shows each parameter with its name.
    fn visit(&self, see: &mut dyn FnMut(&str, &Tensor)) {
        self.walk(&mut Visitor::new(&mut |name, role, tensor| {
            if role == Role::Parameter {
                see(name, tensor);
            }
        }));
    }

    /// Shows each parameter with its name, to be replaced.
    ///
    /// ```
    /// use chainrule::prelude::*;
    /// let mut layer = Linear::new(3, 2, &mut Rng::new(0));
    /// layer.visit_mut(&mut |name, parameter| {
    ///     if name.ends_with("bias") {
    ///         *parameter = parameter.ones_like();
    ///     }
    /// });
    /// assert_eq!(layer.bias.unwrap().to_vec::<f32>()?, [1.0, 1.0]);
    /// # Ok::<(), chainrule::Error>(())
    /// ```
    fn visit_mut(&mut self, change: &mut dyn FnMut(&str, &mut Tensor)) {
        self.walk_mut(&mut VisitorMut::new(&mut |name, role, tensor| {
            if role == Role::Parameter {
                change(name, tensor);
            }
        }));
    }

    /// The parameters and their names, in the order of declaration.
    fn parameters(&self) -> Vec<(String, Tensor)> {
        let mut all = Vec::new();
        self.visit(&mut |name, tensor| all.push((name.to_string(), tensor.clone())));
        all
    }

    /// The buffers and their names, in the order of declaration: what is saved, but not learned.
    ///
    /// ```
    /// use chainrule::prelude::*;
    /// let names: Vec<String> = BatchNorm::new(3).buffers().into_iter().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["running_mean", "running_var", "num_batches_tracked"]);
    /// ```
    fn buffers(&self) -> Vec<(String, Tensor)> {
        let mut all = Vec::new();
        self.walk(&mut Visitor::new(&mut |name, role, tensor| {
            if role == Role::Buffer {
                all.push((name.to_string(), tensor.clone()));
            }
        }));
        all
    }

    /// How many numbers there are to learn.
    fn parameter_count(&self) -> usize {
        let mut seen = HashSet::new();
        let mut count = 0;
        self.visit(&mut |_, tensor| {
            if seen.insert(tensor.id()) {
                count += tensor.len();
            }
        });
        count
    }

    /// Everything worth saving, parameters and buffers, in the order of declaration.
    fn state(&self) -> Vec<(String, Tensor)> {
        let mut all = Vec::new();
        self.walk(&mut Visitor::new(&mut |name, _, tensor| {
            all.push((name.to_string(), tensor.clone()));
        }));
        all
    }

    /// Replaces all parameters and buffers by those of the same names, or none of them.
    ///
    /// # Errors
    /// Where a name is missing or not expected, or a tensor has another shape or element type: all
    /// such names are listed, and the module stays as it was.
    ///
    /// ```
    /// use chainrule::prelude::*;
    /// let mut rng = Rng::new(0);
    /// let (mut a, b) = (Linear::new(3, 2, &mut rng), Linear::new(3, 2, &mut rng));
    /// a.load_state(&b.state())?;
    /// assert_eq!(a.weight.to_vec::<f32>()?, b.weight.to_vec::<f32>()?);
    ///
    /// let wider = Linear::without_bias(4, 2, &mut rng);
    /// let error = a.load_state(&wider.state()).unwrap_err().to_string();
    /// assert!(error.contains("missing: bias"), "{error}");
    /// assert!(error.contains("weight is f32 [2, 4], the model needs f32 [2, 3]"), "{error}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<(), StateError> {
        load_state(self, state)
    }

    /// Computes the first values of all parameters and buffers, as one program, and makes them
    /// leaves: tensors with a value and no history. Their names become the scopes of the leaves.
    ///
    /// A layer's constructor only records how its numbers are drawn. Without this call they are
    /// drawn when they are first asked for: the numbers are the same.
    ///
    /// # Errors
    /// The first mistake in what was recorded, such as a layer too large for any memory.
    fn initialize(&mut self) -> Result<()> {
        let state = self.state();
        Tensor::eval_all(&state.iter().map(|(_, tensor)| tensor).collect::<Vec<_>>())?;
        let mut leaves = HashMap::with_capacity(state.len());
        for (name, tensor) in &state {
            if let Entry::Vacant(free) = leaves.entry(tensor.id()) {
                free.insert(scope(name, || tensor.to_leaf())?);
            }
        }
        replace(self, &leaves);
        Ok(())
    }

    /// Converts all parameters, but no buffers, to another float type.
    ///
    /// ```
    /// use chainrule::prelude::*;
    /// let mut layer = Linear::new(3, 2, &mut Rng::new(0));
    /// layer.cast_parameters(DType::F64);
    /// assert_eq!(layer.weight.dtype(), DType::F64);
    /// ```
    fn cast_parameters(&mut self, dtype: DType) {
        let all = self.parameters();
        let cast = all.iter().map(|(_, tensor)| (tensor.id(), tensor.cast(dtype)));
        replace(self, &cast.collect());
    }
}

/// What a module holds a tensor for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To be learned.
    Parameter,
    /// To be saved, not learned.
    Buffer,
}

/// Replaces tensors by others, given by the number of their node: a tensor that stands in two
/// places stays one tensor.
pub(crate) fn replace<M: Module + ?Sized>(module: &mut M, new: &HashMap<u64, Tensor>) {
    module.walk_mut(&mut VisitorMut::new(&mut |_, _, tensor| {
        if let Some(new) = new.get(&tensor.id()) {
            *tensor = new.clone();
        }
    }));
}

macro_rules! visitors {
    ($($(#[$doc:meta])* $name:ident $walk:ident $($mutable:ident)?;)*) => {$(
        $(#[$doc])*
        pub struct $name<'a> {
            path: String,
            role: Role,
            see: &'a mut dyn FnMut(&str, Role, &$($mutable)? Tensor),
        }

        impl<'a> $name<'a> {
            /// A walk that calls `see` with name, role and tensor.
            pub fn new(see: &'a mut dyn FnMut(&str, Role, &$($mutable)? Tensor)) -> Self {
                $name { path: String::new(), role: Role::Parameter, see }
            }

            /// A part of a module, with a name of its own.
            pub fn field(&mut self, name: &str, part: &$($mutable)? (impl Module + ?Sized)) {
                let outer = self.path.len();
                if outer > 0 {
                    self.path.push('.');
                }
                self.path.push_str(name);
                part.$walk(self);
                self.path.truncate(outer);
            }

            /// A part that has its owner's name.
            pub fn unnamed(&mut self, part: &$($mutable)? (impl Module + ?Sized)) {
                part.$walk(self);
            }

            /// A part whose tensors are buffers.
            pub fn buffer(&mut self, name: &str, part: &$($mutable)? (impl Module + ?Sized)) {
                let outer = std::mem::replace(&mut self.role, Role::Buffer);
                self.field(name, part);
                self.role = outer;
            }

            /// A part that has its owner's name and whose tensors are buffers.
            pub fn unnamed_buffer(&mut self, part: &$($mutable)? (impl Module + ?Sized)) {
                let outer = std::mem::replace(&mut self.role, Role::Buffer);
                part.$walk(self);
                self.role = outer;
            }

            /// The tensor that has the name reached.
            fn tensor(&mut self, tensor: &$($mutable)? Tensor) {
                (self.see)(&self.path, self.role, tensor);
            }
        }
    )*};
}

visitors! {
    /// Walks through a module and keeps the dotted name of the place.
    Visitor walk;
    /// Walks through a module whose tensors are to be changed.
    VisitorMut walk_mut mut;
}

impl Module for Tensor {
    fn walk(&self, visitor: &mut Visitor<'_>) {
        visitor.tensor(self);
    }
    fn walk_mut(&mut self, visitor: &mut VisitorMut<'_>) {
        visitor.tensor(self);
    }
}

macro_rules! transparent {
    ($($owner:ty),*) => {$(
        impl<M: Module + ?Sized> Module for $owner {
            fn walk(&self, visitor: &mut Visitor<'_>) {
                (**self).walk(visitor);
            }
            fn walk_mut(&mut self, visitor: &mut VisitorMut<'_>) {
                (**self).walk_mut(visitor);
            }
        }
    )*};
}
transparent!(Box<M>, &mut M);

impl<M: Module> Module for Option<M> {
    fn walk(&self, visitor: &mut Visitor<'_>) {
        self.iter().for_each(|part| part.walk(visitor));
    }
    fn walk_mut(&mut self, visitor: &mut VisitorMut<'_>) {
        self.iter_mut().for_each(|part| part.walk_mut(visitor));
    }
}

impl<M: Module> Module for [M] {
    fn walk(&self, visitor: &mut Visitor<'_>) {
        for (at, part) in self.iter().enumerate() {
            visitor.field(&at.to_string(), part);
        }
    }
    fn walk_mut(&mut self, visitor: &mut VisitorMut<'_>) {
        for (at, part) in self.iter_mut().enumerate() {
            visitor.field(&at.to_string(), part);
        }
    }
}

impl<M: Module> Module for Vec<M> {
    fn walk(&self, visitor: &mut Visitor<'_>) {
        self.as_slice().walk(visitor);
    }
    fn walk_mut(&mut self, visitor: &mut VisitorMut<'_>) {
        self.as_mut_slice().walk_mut(visitor);
    }
}

impl<M: Module, const N: usize> Module for [M; N] {
    fn walk(&self, visitor: &mut Visitor<'_>) {
        self.as_slice().walk(visitor);
    }
    fn walk_mut(&mut self, visitor: &mut VisitorMut<'_>) {
        self.as_mut_slice().walk_mut(visitor);
    }
}

macro_rules! tuples {
    ($($($part:ident $at:tt),+;)*) => {$(
        impl<$($part: Module),+> Module for ($($part,)+) {
            fn walk(&self, visitor: &mut Visitor<'_>) {
                $(visitor.field(stringify!($at), &self.$at);)+
            }
            fn walk_mut(&mut self, visitor: &mut VisitorMut<'_>) {
                $(visitor.field(stringify!($at), &mut self.$at);)+
            }
        }
    )*};
}
tuples! {
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
}

macro_rules! without_parameters {
    ($($plain:ty),* $(,)?) => {$(
        impl Module for $plain {
            fn walk(&self, _: &mut Visitor<'_>) {}
            fn walk_mut(&mut self, _: &mut VisitorMut<'_>) {}
        }
    )*};
}
without_parameters!(
    (),
    bool,
    char,
    f32,
    f64,
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    u8,
    u16,
    u32,
    u64,
    u128,
    usize,
    String,
    &'static str,
    DType,
    super::Activation,
);

impl<T> Module for std::marker::PhantomData<T> {
    fn walk(&self, _: &mut Visitor<'_>) {}
    fn walk_mut(&mut self, _: &mut VisitorMut<'_>) {}
}
