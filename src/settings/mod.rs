//! wrmem's own knobs.
//!
//! A settings folder holds `wrmem.toml` (overall settings over those of `default.toml`),
//! `devices.toml` or `devices.csv` or both, and `credentials.toml`. `raw` keeps every value with
//! the line where it stands, `check` tells every fault at once, and the `config` crate lays the
//! layers over each other. Start at [`load_with`].

mod also;
mod check;
mod command;
mod credentials;
mod decode;
mod devices;
mod devices_csv;
mod difference;
mod entries;
mod fault;
mod files;
mod host;
mod init;
mod inventory;
mod jump_hosts;
mod jumps;
mod keys;
mod layers;
mod limits;
mod load;
mod names;
mod nearest;
mod one_off;
pub mod platforms;
mod privacy;
mod raw;
mod reach;
mod resolve;
mod secrets;
mod select;
mod trouble;
mod values;
mod ways;
mod words;

pub use difference::{Changed, Counts};
pub use fault::{Fault, Faults, Severity};
pub use files::credentials_changed;
pub use init::{InitError, init};
pub use inventory::{Found, Inventory, Platforms};
pub use limits::LimitSets;
pub use load::{Loaded, Source, load, load_with};
pub use names::known_names;
pub use one_off::{OneOff, one_off, one_off_with};
pub use privacy::redaction;
pub use secrets::Commands;
pub use select::{Choice, DeviceRow, RowDetails, SelectError, Selected, Selection};
pub use values::{
    ArchiveKind, ArchiveSettings, ArchivedSecrets, InFlight, Layout, Record, Redact, Run, Sessions,
    Settings, Ssh, State,
};
pub use words::duration;
