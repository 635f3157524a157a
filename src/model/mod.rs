//! The nouns: devices, platforms, credentials, stages, failures, events, reports.
//!
//! Nothing here does I/O, reads a clock, or knows of actix or serde.

pub mod config;
pub mod credentials;
pub mod device;
pub mod durable;
pub mod egress;
pub mod event;
pub mod failure;
pub mod forecast;
pub mod health;
pub mod history;
pub mod jump;
pub mod limit;
pub mod pattern;
pub mod platform;
pub mod report;
pub mod save;
pub mod secrets;
pub mod stage;
pub mod version;
