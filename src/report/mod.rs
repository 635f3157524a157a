//! Sinks of events, and the faces of a run's report.
//!
//! [`console`], [`progress`] and [`records`] listen while a run goes on; [`table`], [`json`] and
//! [`timeline`] show its [`RunReport`](crate::model::report::RunReport) afterwards; [`past`] shows
//! what is remembered of earlier ones. None of them can slow or
//! lose a run: the report is made without them.

pub mod color;
pub mod console;
pub mod difference;
mod figures;
pub mod file;
mod forecast;
mod format;
pub mod json;
pub mod outlet;
pub mod past;
pub mod progress;
mod reasons;
pub mod records;
pub mod table;
pub mod timeline;
pub mod versions;
