//! The README's programs as documentation tests, so that what a newcomer copies compiles and runs.
//!
//! Refuses to hold anything else; it is there only while documentation is tested.

#![doc = include_str!("../../../README.md")]
