//! wrmem's own knobs.

pub mod platforms;
