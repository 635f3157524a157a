//! The wrmem binary: calls [`wrmem::cli`] and returns its exit code.

fn main() {}
