//! Known host keys.
