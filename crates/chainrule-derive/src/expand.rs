//! The code that `#[derive(Module)]` writes.
//!
//! Each field becomes one call whose tokens carry the field's place, so that a field that is no
//! module is underlined itself, not the derive.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use std::collections::HashSet;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{Attribute, Data, DeriveInput, Error, Field, Fields, GenericParam, Index, Member, Result};

/// What is done with a field.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Part,
    Buffer,
    Skipped,
}

/// The implementation of `Module` for a struct or an enum.
pub fn module(input: &DeriveInput) -> Result<TokenStream> {
    refuse_attribute_on_type(&input.attrs)?;
    let (walk, walk_mut) = match &input.data {
        Data::Struct(data) => {
            let arm = arm(quote!(Self), &data.fields)?;
            (arm.walk, arm.walk_mut)
        }
        Data::Enum(data) => {
            let arms = data
                .variants
                .iter()
                .map(|variant| {
                    refuse_attribute_on_type(&variant.attrs)?;
                    let name = &variant.ident;
                    arm(quote!(Self::#name), &variant.fields)
                })
                .collect::<Result<Vec<Arm>>>()?;
            let walks = arms.iter().map(|arm| &arm.walk);
            let walks_mut = arms.iter().map(|arm| &arm.walk_mut);
            (quote!(#(#walks)*), quote!(#(#walks_mut)*))
        }
        Data::Union(data) => {
            let message = "a union cannot be a Module: which field holds parameters is not known";
            return Err(Error::new(data.union_token.span(), message));
        }
    };
    let name = &input.ident;
    let generics = with_bounds(input)?;
    let (of, arguments, bounds) = generics.split_for_impl();
    // An enum without variants has no value to match by reference.
    let span = Span::mixed_site();
    let (body, body_mut) = if walk.is_empty() {
        let never = quote_spanned!(span=> match *self {});
        (never.clone(), never)
    } else {
        let matched = |arms| quote_spanned!(span=> match self { #arms });
        (matched(walk), matched(walk_mut))
    };
    Ok(quote_spanned! {span=>
        #[automatically_derived]
        impl #of ::chainrule::nn::Module for #name #arguments #bounds {
            #[allow(unused_variables)]
            fn walk(&self, visitor: &mut ::chainrule::nn::Visitor<'_>) { #body }
            #[allow(unused_variables)]
            fn walk_mut(&mut self, visitor: &mut ::chainrule::nn::VisitorMut<'_>) { #body_mut }
        }
    })
}

/// One match arm, once for shared and once for changed fields.
struct Arm {
    walk: TokenStream,
    walk_mut: TokenStream,
}

fn arm(constructor: TokenStream, fields: &Fields) -> Result<Arm> {
    let transparent = matches!(fields, Fields::Unnamed(fields) if fields.unnamed.len() == 1);
    let mut patterns = Vec::new();
    let mut calls = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        let role = role(field)?;
        if role == Role::Skipped {
            continue;
        }
        let (member, text) = match &field.ident {
            Some(name) => (Member::Named(name.clone()), plain_name(name)),
            None => (Member::Unnamed(Index::from(at)), at.to_string()),
        };
        // The place is the field's, so that errors point there; the scope is the macro's own.
        let span = Span::mixed_site().located_at(field.ty.span());
        let variable = format_ident!("field_{at}", span = span);
        patterns.push(quote!(#member: #variable));
        calls.push(match (role, transparent) {
            (Role::Buffer, true) => quote_spanned!(span=> visitor.unnamed_buffer(#variable);),
            (Role::Buffer, false) => quote_spanned!(span=> visitor.buffer(#text, #variable);),
            (_, true) => quote_spanned!(span=> visitor.unnamed(#variable);),
            (_, false) => quote_spanned!(span=> visitor.field(#text, #variable);),
        });
    }
    let arm = quote!(#constructor { #(#patterns,)* .. } => { #(#calls)* });
    Ok(Arm { walk: arm.clone(), walk_mut: arm })
}

/// A field's name as people write it: `r#type` is `type`.
fn plain_name(name: &Ident) -> String {
    let text = name.to_string();
    text.strip_prefix("r#").unwrap_or(&text).to_string()
}

fn role(field: &Field) -> Result<Role> {
    let mut role = Role::Part;
    for attribute in &field.attrs {
        if !attribute.path().is_ident("module") {
            continue;
        }
        attribute.parse_nested_meta(|meta| {
            let asked = match () {
                () if meta.path.is_ident("skip") => Role::Skipped,
                () if meta.path.is_ident("buffer") => Role::Buffer,
                () => return Err(meta.error("expected `skip` or `buffer`")),
            };
            if role != Role::Part {
                return Err(meta.error("one of `skip` and `buffer`, once"));
            }
            role = asked;
            Ok(())
        })?;
        if role == Role::Part {
            return Err(Error::new_spanned(attribute, "expected `#[module(skip)]` or `#[module(buffer)]`"));
        }
    }
    Ok(role)
}

fn refuse_attribute_on_type(attributes: &[Attribute]) -> Result<()> {
    match attributes.iter().find(|a| a.path().is_ident("module")) {
        Some(attribute) => {
            Err(Error::new_spanned(attribute, "`module` marks a field: write it above the field that is to be skipped or is a buffer"))
        }
        None => Ok(()),
    }
}

/// The type's generics with `Module` asked of every type parameter that a visited field mentions.
fn with_bounds(input: &DeriveInput) -> Result<syn::Generics> {
    let mut mentioned = Mentioned(HashSet::new());
    let fields: Vec<&Field> = match &input.data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => data.variants.iter().flat_map(|v| v.fields.iter()).collect(),
        Data::Union(_) => Vec::new(),
    };
    for field in fields {
        if role(field)? != Role::Skipped {
            mentioned.visit_type(&field.ty);
        }
    }
    let mut generics = input.generics.clone();
    for parameter in &mut generics.params {
        if let GenericParam::Type(parameter) = parameter
            && mentioned.0.contains(&parameter.ident)
        {
            parameter.bounds.push(syn::parse_quote!(::chainrule::nn::Module));
        }
    }
    Ok(generics)
}

/// All words of the types that are visited.
struct Mentioned(HashSet<Ident>);

impl Visit<'_> for Mentioned {
    fn visit_ident(&mut self, word: &Ident) {
        self.0.insert(word.clone());
    }
}
