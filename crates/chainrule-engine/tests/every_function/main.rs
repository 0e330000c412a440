//! Every function of the catalogue: derivatives of two orders in both modes, batches, and narrower types, of each.
//!
//! The list is `support/catalogue`; `complete` finds what is missing from it in the sources. Nothing here knows what a
//! function computes: differences, loops and formulas say.

#[path = "../support/catalogue/mod.rs"]
mod catalogue;
mod complete;
#[path = "../support/mod.rs"]
mod support;
mod table;
