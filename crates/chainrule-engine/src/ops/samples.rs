//! Sample inputs of every operation, for the generated tests.
