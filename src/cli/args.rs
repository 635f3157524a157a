//! What is typed.

use super::logging::Format;
use crate::report::color::ColorChoice;
use crate::settings;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Backs up the configuration of a whole fleet of network devices at once.
#[derive(Debug, Parser)]
#[command(name = "wrmem", version, about, max_term_width = 100)]
pub(super) struct Cli {
    /// The settings folder.
    #[arg(long, global = true, value_name = "DIR", default_value = "settings")]
    pub settings: PathBuf,
    /// Log more; given twice, three times: even more. RUST_LOG has the last word.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Log errors only and show no progress.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Colours on the terminal.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: When,
    /// The log: text for people, json for programs (one object a line).
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// For whom it is logged.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum LogFormat {
    /// People.
    Text,
    /// Programs.
    Json,
}

impl From<LogFormat> for Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

/// When colours are used.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum When {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl From<When> for ColorChoice {
    fn from(when: When) -> Self {
        match when {
            When::Auto => Self::Auto,
            When::Always => Self::Always,
            When::Never => Self::Never,
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Back up devices once and report.
    ///
    /// Exit code: 0 every device backed up (and saved, where asked), 1 some device failed or was
    /// not saved, 2 usage or settings, or nothing selected, 3 the archive cannot be written, 130
    /// or 143 interrupted.
    Backup(Box<BackupArgs>),
    /// Stay up and back devices up on their schedules (`every` or `cron`, `between`).
    ///
    /// Starts only where `save` is written in the settings. SIGTERM or SIGINT lets devices in flight
    /// end within `run.grace`, then exits 0; a second one ends it at once.
    Run(RunArgs),
    /// Tell how every device stands: age of its last good backup, last result, when it is due.
    ///
    /// Devices without a good backup come first, then the oldest. Exit code with --older-than: 0 no
    /// device is that old, 1 some are.
    Status(StatusArgs),
    /// Tell how a device ended over time, newest first.
    History(HistoryArgs),
    /// List the runs, newest first, or show one with its devices.
    Runs(RunsArgs),
    /// Let devices be tried again at once: ends quarantine and rest.
    Release(ReleaseArgs),
    /// Have the `wrmem run` that is running read its settings anew, and tell what that changes.
    ///
    /// It does so by itself when the files change; this also fetches secrets from elsewhere again.
    Reload(ReloadArgs),
    /// Read all settings and print every problem with file and key.
    Check(CheckArgs),
    /// List the devices with every value resolved.
    Devices,
    /// Write a commented settings folder to start from.
    Init,
    /// List the versions of a device's config: date, commit, author, lines, run.
    ///
    /// Needs the git archive (archive.kinds).
    Log(LogArgs),
    /// Print a device's config, or an earlier version of it, with its secrets masked.
    Show(ShowArgs),
    /// Show what changed between two versions of a device's config, with its secrets masked.
    ///
    /// Without a range: between the newest version and the one before. Needs the git archive.
    Diff(DiffArgs),
    /// Forget a device's known host key, after showing the old one and the present one.
    Trust(TrustArgs),
    /// Store a config that was kept aside because it is far shorter than the last one.
    ///
    /// Without a name: list what is kept aside.
    Accept(AcceptArgs),
    /// Write configs to stdout with their secrets masked, to share them.
    ///
    /// Equal secrets have equal masks, as long as the state folder keeps its key.
    Redact(RedactArgs),
    /// Hold recorded sessions again without the devices, and say where one goes another way.
    ///
    /// Exit code: 0 all as they were recorded, 1 some differ, 2 a trace cannot be replayed.
    Replay(ReplayArgs),
    /// Tell versions, algorithms, and what this machine allows.
    Doctor,
    /// Serve simulated CSRs on loopback until stopped.
    #[cfg(feature = "lab")]
    Lab(Box<super::lab_args::LabArgs>),
    /// Show it all: three simulated CSRs backed up one by one, then all at once, under `demo/`.
    #[cfg(feature = "lab")]
    Demo(super::lab_args::DemoArgs),
}

/// What to back up, and where to.
#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The devices, by name or pattern ('csr*'); all where none and no group is named.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// All devices of this group; may be given several times.
    #[arg(long = "group", value_name = "G")]
    pub groups: Vec<String>,
    /// Of these only the devices whose last run did not end ok.
    #[arg(long)]
    pub failed: bool,
    /// One device after the other.
    #[arg(long)]
    pub sequential: bool,
    /// How many devices at once, or `auto`.
    #[arg(long, value_name = "N", conflicts_with = "sequential")]
    pub in_flight: Option<String>,
    /// Begin the devices at an even pace, so that the run ends within this time, such as `2h`; `off`
    /// for as fast as the limits allow.
    #[arg(long, value_name = "TIME")]
    pub finish_within: Option<String>,
    /// Only read the devices: no `wr mem`.
    #[arg(long)]
    pub no_save: bool,
    /// Where the configs go.
    #[arg(long, value_name = "DIR")]
    pub archive: Option<PathBuf>,
    /// Write the report as JSON.
    #[arg(long, value_name = "FILE.json")]
    pub report: Option<PathBuf>,
    /// Write a picture of the run as a page.
    #[arg(long, value_name = "FILE.html")]
    pub timeline: Option<PathBuf>,
    /// Record every session as a trace in this folder, secrets masked.
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
    /// One device without any settings folder.
    #[command(flatten)]
    pub one_off: OneOffArgs,
}

/// One device without any settings folder.
#[derive(Debug, Args)]
pub(super) struct OneOffArgs {
    /// Its host name or address; no settings folder is needed then.
    #[arg(long, value_name = "H", conflicts_with_all = ["names", "groups", "failed"])]
    pub host: Option<String>,
    /// Its SSH port.
    #[arg(long, value_name = "N", requires = "host", default_value_t = 22)]
    pub port: u16,
    /// Its platform.
    #[arg(long, value_name = "P", requires = "host", default_value = "cisco_ios")]
    pub platform: String,
    /// The user name.
    #[arg(long, value_name = "U", requires = "host")]
    pub user: Option<String>,
    /// Ask for the password, on the terminal or as one line of standard input.
    #[arg(long, requires = "host")]
    pub ask_pass: bool,
}

/// How to stay up.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Only read devices: no `wr mem`, whatever the settings say.
    #[arg(long)]
    pub no_save: bool,
    /// Write the report of each run as JSON, over that of the run before.
    #[arg(long, value_name = "FILE.json")]
    pub report: Option<PathBuf>,
}

/// How to reload.
#[derive(Debug, Args)]
pub(super) struct ReloadArgs {
    /// More than a fifth of the devices may be gone: that is meant.
    #[arg(long)]
    pub force: bool,
}

/// What to check.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Also log in to each device; nothing is saved or stored.
    #[arg(long)]
    pub connect: bool,
}

/// Whose versions to list.
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// The device; one that has left the inventory is still known.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The newest N only.
    #[arg(short = 'n', long, value_name = "N")]
    pub number: Option<usize>,
}

/// What to print.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The device, and which version: `csr1@1` one back, `csr1@3f2a91b0` by commit id,
    /// `csr1@2026-11-20` as it was at the end of that day.
    #[arg(value_name = "NAME[@REV]")]
    pub what: String,
    /// Leave secrets as they are.
    #[arg(long)]
    pub secrets: bool,
}

/// What to compare.
#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// The device.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Which versions: `@3..@1`, `3f2a91b0..`, `2026-11-01..2026-11-20`; one alone is compared with
    /// the newest.
    #[arg(value_name = "REV..REV")]
    pub range: Option<String>,
    /// Leave secrets as they are.
    #[arg(long)]
    pub secrets: bool,
    /// How many lines are shown around those that changed.
    #[arg(short = 'U', long, value_name = "N", default_value_t = 3)]
    pub unified: usize,
}

/// Whose standing to tell.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The devices, by name or pattern ('csr*'); all where none and no group is named.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// All devices of this group; may be given several times.
    #[arg(long = "group", value_name = "G")]
    pub groups: Vec<String>,
    /// Only devices without a good backup within this time, such as `24h`; exits 1 if there are any.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub older_than: Option<Duration>,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// Whose history to tell.
#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// The devices, by name or pattern ('csr*').
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// How many outcomes of each device at most.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub most: usize,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

fn run_number(text: &str) -> Result<i64, &'static str> {
    let wanted = "a run is named by its number; `wrmem runs` shows them";
    text.parse().map_err(|_| wanted)
}

/// Which runs to show.
#[derive(Debug, Args)]
pub(super) struct RunsArgs {
    /// One run, by its number.
    #[arg(value_name = "RUN", value_parser = run_number)]
    pub run: Option<i64>,
    /// How many runs at most.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub most: usize,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// Whom to release.
#[derive(Debug, Args)]
pub(super) struct ReleaseArgs {
    /// The devices, by name or pattern ('csr*').
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}

fn time(text: &str) -> Result<Duration, &'static str> {
    settings::duration(text).ok_or("a time needs its unit, such as 90s, 30m, 24h or 7d")
}

/// Whom to trust.
#[derive(Debug, Args)]
pub(super) struct TrustArgs {
    /// The device.
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// What to accept.
#[derive(Debug, Args)]
pub(super) struct AcceptArgs {
    /// The device.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// What to redact.
#[derive(Debug, Args)]
pub(super) struct RedactArgs {
    /// Configs or unified diffs; standard input where none is named, or as `-`.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Their platform; without it that of the device whose file it is, or else what any platform
    /// calls secret is masked.
    #[arg(long, value_name = "P")]
    pub platform: Option<String>,
}

/// What to replay.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Traces, as `wrmem backup --record DIR` writes them.
    #[arg(value_name = "TRACE", required = true)]
    pub traces: Vec<PathBuf>,
}
