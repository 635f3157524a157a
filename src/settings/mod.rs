//! wrmem's own knobs.
