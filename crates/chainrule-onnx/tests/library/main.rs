//! The reader as a library: what it says of bad files, which version of an operator it takes, and that what it records
//! learns. Models are built in code; those of the conformance suite have a test of their own.

mod errors;
mod functions;
mod hostile;
mod random;
mod strings;
mod training;
mod versions;
