//! Pure policy.
