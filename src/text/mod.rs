//! Pure verbs on bytes.

pub mod volatile;
