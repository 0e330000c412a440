//! A model as a module: its initializers by name.

use super::Model;
use chainrule::nn::Module;
use chainrule::nn::{Visitor, VisitorMut};
use chainrule::{DType, Tensor};

impl Module for Model {
    fn walk(&self, visitor: &mut Visitor<'_>) {
        for (name, tensor) in &self.tensors {
            match tensor.dtype().is_float() {
                true => visitor.field(name, tensor),
                false => visitor.buffer(name, tensor),
            }
        }
    }

    fn walk_mut(&mut self, visitor: &mut VisitorMut<'_>) {
        for (name, tensor) in &mut self.tensors {
            match tensor.dtype().is_float() {
                true => visitor.field(name, tensor),
                false => visitor.buffer(name, tensor),
            }
        }
    }
}

impl Model {
    /// The initializers of floats, by name: what the outputs can be differentiated by, and what is trained.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        Module::parameters(self)
    }

    /// Puts another tensor in the place of an initializer, and says whether there is one of this name. The sizes may
    /// differ: what the model then makes of it is found when it is recorded.
    pub fn set(&mut self, name: &str, tensor: Tensor) -> bool {
        let found = self.tensors.iter_mut().find(|(known, _)| known == name);
        found.map(|(_, old)| *old = tensor).is_some()
    }

    /// Makes a float type stand for every float type of the model: its initializers are converted, its constants and
    /// what it casts to become this type. In f64, derivatives can be held against differences; in bf16, it is half the size.
    /// Inputs are given in this type then. Does nothing for a type that is none of floats.
    pub fn cast(&mut self, dtype: DType) {
        if dtype.is_float() {
            self.cast_parameters(dtype);
            self.floats = Some(dtype);
        }
    }
}
