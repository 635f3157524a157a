//! wrmem backs up the configuration of a whole fleet of network devices at once.
//!
//! The modules stand in layer order, ground first; `tests/layers.rs` holds who may import whom.
//! Start at [`actors::supervisor`] to see a run from above, at [`session::dialogue`] to see what is
//! said to one device, and at [`app`] to see how the parts are put together.

// A test reads as a list of expectations, however long.
#![cfg_attr(test, allow(clippy::too_many_lines))]

pub mod model;

pub mod text;

pub mod flow;

pub mod archive;
pub mod limits;
pub mod session;
pub mod settings;
pub mod state;

pub mod actors;
#[cfg(feature = "lab")]
pub mod lab;
pub mod report;

pub mod app;

pub mod cli;
pub mod daemon;
