//! Simulated CSRs.
