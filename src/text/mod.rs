//! Pure verbs on bytes.
