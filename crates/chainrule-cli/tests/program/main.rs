//! The program as its users see it: run as a process.

mod bad_input;
mod derive;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod forbidden;
mod support;
mod train;
