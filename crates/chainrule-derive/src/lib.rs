//! `#[derive(Module)]`: the parameters of a struct or enum, named by its fields.
//!
//! The macro looks at no type: every field that is not skipped must itself be a `Module`, and
//! `Tensor`, `Vec`, `Option`, `Box`, arrays, numbers and text are. What the names look like is told
//! where the trait is defined, in `chainrule::nn::Module`.

mod expand;

use proc_macro::TokenStream;

/// Implements `chainrule::nn::Module` by visiting the fields in the order of their declaration.
///
/// - A field is visited under its own name, a field of a tuple under its position. The only field
///   of a tuple struct or tuple variant adds nothing to the path, nor does the name of a variant.
/// - `#[module(skip)]` leaves a field out.
/// - `#[module(buffer)]` marks what a field holds as saved, but not trained.
#[proc_macro_derive(Module, attributes(module))]
pub fn derive_module(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    expand::module(&input).unwrap_or_else(|error| error.into_compile_error()).into()
}
