//! The actors: a supervisor passes messages through the stage sequence of each device.
//!
//! [`messages`] shows who says what to whom. Everything that decides is in [`crate::flow`]; what
//! blocks is in [`crate::session`] [`crate::archive`] and [`crate::state`].

pub mod alive;
pub mod archivist;
pub mod collector;
pub mod crash;
pub mod device;
pub mod messages;
pub mod recorder;
pub mod scheduler;
pub mod supervisor;
#[cfg(test)]
mod tests;
