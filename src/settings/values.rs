//! The overall settings, typed and checked.

use super::limits::LimitSets;
use crate::flow::breaker::BreakerPolicy;
use crate::flow::schedule::Schedule;
pub use crate::model::config::Layout;
use crate::model::device::{
    AlgorithmPolicy, Deadlines, Egress, HostKeyPolicy, SaveConfirm, SaveOrder, SavePolicy,
};
use crate::model::limit::LoginRate;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Every overall setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Section `run`.
    pub run: Run,
    /// Section `ssh`.
    pub ssh: Ssh,
    /// Section `archive`.
    pub archive: ArchiveSettings,
    /// Section `state`.
    pub state: State,
    /// Section `breaker`.
    pub breaker: BreakerPolicy,
    /// Section `deadlines`: what counts where device, group and defaults say nothing.
    pub deadlines: Deadlines,
    /// Section `limits`: the named sets that devices may be in.
    pub limits: LimitSets,
    /// Section `redact`.
    pub redact: Redact,
    /// Section `record`.
    pub record: Record,
}

/// What is secret besides what the platforms say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redact {
    /// Regular expressions for lines of any platform; what their groups hold is secret.
    pub extra: Vec<String>,
}

/// Which sessions leave a trace, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which sessions.
    pub sessions: Sessions,
    /// The folder of the traces.
    pub dir: PathBuf,
    /// How many traces it may hold; `None` is as many as come.
    pub newest: Option<usize>,
    /// How many bytes of a session are recorded.
    pub max_bytes: usize,
}

/// Which sessions leave a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    /// None.
    None,
    /// Those in which a stage failed.
    Failed,
    /// All.
    All,
}

/// What the archive holds of a config's secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchivedSecrets {
    /// The secrets themselves: a config can be restored.
    Kept,
    /// A mask for each.
    Masked,
}

/// How a run goes about its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// How many devices are worked on at once.
    pub in_flight: InFlight,
    /// How often devices are logged in to, all together; `None` is as often as it comes.
    pub logins: Option<LoginRate>,
    /// Whether devices are saved, where device, group and defaults say nothing.
    pub save: SavePolicy,
    /// Whether the operator wrote `run.save` anywhere; else it is the one compiled in.
    pub save_written: bool,
    /// Whether devices are saved before or after they are read, where device, group and defaults say
    /// nothing.
    pub save_order: SaveOrder,
    /// What is answered to a question that saving asks, likewise.
    pub save_confirm: SaveConfirm,
    /// When `wrmem run` backs devices up, where device, group and defaults say nothing.
    pub schedule: Schedule,
    /// How long devices in flight may go on after SIGINT or SIGTERM.
    pub grace: Duration,
    /// The most attempts at a device, where device, group and defaults say nothing; at least 1.
    pub attempts: u32,
    /// The wait before the second attempt.
    pub backoff_base: Duration,
    /// The longest wait between attempts.
    pub backoff_cap: Duration,
}

/// How many devices are worked on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InFlight {
    /// As many as the devices and the machine allow.
    Auto,
    /// At most this many.
    Limit(NonZeroUsize),
}

/// How devices are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// What is offered, where device, group and defaults say nothing.
    pub algorithms: AlgorithmPolicy,
    /// Which host keys are trusted.
    pub host_keys: HostKeyPolicy,
    /// The file of known host keys.
    pub known_hosts: PathBuf,
    /// Further files of known host keys, which are only read.
    pub known_hosts_extra: Vec<PathBuf>,
    /// From where devices are called, where device, group and defaults say nothing.
    pub egress: Egress,
}

/// Where configs are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveSettings {
    /// The kinds of archive; at least one.
    pub kinds: Vec<ArchiveKind>,
    /// The folder.
    pub dir: PathBuf,
    /// How files are laid out in it.
    pub layout: Layout,
    /// The mode of a stored config, such as `0o600`.
    pub mode: u32,
    /// The folder of the git repository.
    pub git_dir: PathBuf,
    /// How long `wrmem run` gathers changes before it commits them.
    pub commit_every: Duration,
    /// What it holds of a config's secrets.
    pub secrets: ArchivedSecrets,
}

/// A kind of archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveKind {
    /// One file per device.
    Files,
    /// A bare git repository with every version.
    Git,
}

/// What is remembered between runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The state folder.
    pub dir: PathBuf,
    /// How long runs, outcomes and incidents are kept.
    pub keep: Duration,
    /// How many outcomes are kept at most.
    pub keep_outcomes: u64,
    /// How many incidents are kept at most.
    pub keep_incidents: u64,
}
