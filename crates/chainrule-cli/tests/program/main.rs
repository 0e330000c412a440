//! The program as its users see it: run as a process.

mod bad_input;
mod derive;
mod support;
mod train;
