//! Activation functions as a value, for models whose shape is data.

use crate::spelling::nearest;
use chainrule_engine::Tensor;
use std::fmt;
use std::str::FromStr;

macro_rules! activations {
    ($($(#[$note:meta])* $variant:ident $name:literal $apply:expr;)*) => {
        /// A function of each element between layers.
        ///
        /// ```
        /// use chainrule::prelude::*;
        /// let f: Activation = "relu".parse()?;
        /// assert_eq!(f.forward(&Tensor::from([-1.0, 2.0])).to_vec::<f32>()?, [0.0, 2.0]);
        /// let error = "rleu".parse::<Activation>().unwrap_err().to_string();
        /// assert_eq!(error, "there is no activation `rleu`; did you mean `relu`?");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum Activation {
            $($(#[$note])* $variant,)*
        }

        impl Activation {
            /// Every function.
            pub const ALL: &[Activation] = &[$(Activation::$variant),*];

            /// Its name, as it is parsed.
            pub fn name(self) -> &'static str {
                match self { $(Activation::$variant => $name,)* }
            }

            /// The function of each element of `x`.
            #[track_caller]
            pub fn forward(self, x: &Tensor) -> Tensor {
                match self { $(Activation::$variant => { let apply: fn(&Tensor) -> Tensor = $apply; apply(x) })* }
            }
        }
    };
}

activations! {
    /// `max(x, 0)`.
    #[default]
    Relu "relu" |x| x.relu();
    /// `x Phi(x)` with the normal distribution's `Phi`, by the error function.
    Gelu "gelu" |x| x.gelu();
    /// The approximation of [`Activation::Gelu`] by `tanh` (Hendrycks and Gimpel, 2016).
    GeluTanh "gelu_tanh" |x| x.gelu_tanh();
    /// `x sigmoid(x)`.
    Silu "silu" |x| x.silu();
    /// `tanh(x)`.
    Tanh "tanh" Tensor::tanh;
    /// `1 / (1 + e^-x)`.
    Sigmoid "sigmoid" Tensor::sigmoid;
    /// `log(1 + e^x)`.
    Softplus "softplus" Tensor::softplus;
    /// `x`.
    Identity "identity" Tensor::clone;
}

/// A name that is no activation's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownActivation(String);

impl FromStr for Activation {
    type Err = UnknownActivation;

    fn from_str(name: &str) -> Result<Activation, UnknownActivation> {
        let known = Activation::ALL.iter().find(|known| known.name() == name);
        known.copied().ok_or_else(|| UnknownActivation(name.to_string()))
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for UnknownActivation {}

impl fmt::Display for UnknownActivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Activation::ALL.iter().map(|known| known.name()).collect();
        write!(f, "there is no activation `{}`; ", self.0)?;
        match nearest(&self.0, names.iter().copied()) {
            Some(near) => write!(f, "did you mean `{near}`?"),
            None => write!(f, "there are {}", names.join(", ")),
        }
    }
}
