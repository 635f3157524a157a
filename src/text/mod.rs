//! Pure verbs on bytes: what a device says, made fit for matching, storing and quoting.

pub mod braces;
pub mod clean;
pub mod diff;
pub mod last_change;
pub mod opaque;
pub mod phrase;
pub mod presence;
pub mod prompt;
pub mod redact;
pub mod stamp;
pub mod syslog;
pub mod volatile;
