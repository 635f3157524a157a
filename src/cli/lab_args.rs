//! What is typed for the lab.

use crate::lab::{Algorithms, Bind, FaultRule, LabSpec, Login, Think};
use clap::{Args, ValueEnum};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

/// How the simulated devices are to be.
#[derive(Debug, Args)]
pub(super) struct LabArgs {
    /// How many devices.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub devices: usize,
    /// The number of the first device, for a fleet spread over several labs.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub first: usize,
    /// Serve them from this many processes; as many as the limit of open files asks for if not given.
    #[arg(long, value_name = "P")]
    pub processes: Option<usize>,
    /// Round-trip time in ms, key exchange and login included.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub rtt_ms: u64,
    /// How long a device takes for save and `show run` together, in ms.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub device_ms: u64,
    /// How much devices differ in their think times, 0 to 1.
    #[arg(long, value_name = "J", default_value_t = 0.0)]
    pub jitter: f64,
    /// About how large a config is, in bytes.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub config_bytes: usize,
    /// Where configs, host keys and jitter come from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Which algorithms the devices offer.
    #[arg(long, value_name = "SET", default_value = "modern")]
    pub algorithms: AlgorithmSet,
    /// Faults, such as `silent:10` (every tenth), `drip@csr3`, `fatal:10`; several times.
    #[arg(long = "fault", value_name = "FAULT", value_parser = fault_rule)]
    pub fault_rules: Vec<String>,
    /// The privilege level after login.
    #[arg(long, value_name = "N", default_value_t = 15)]
    pub level: u8,
    /// The first port, one per device; 0 takes free ones.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub port: u16,
    /// How many threads serve the devices.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub threads: usize,
    /// Add a line to FILE for each config that was shown to its end: milliseconds since 1970, the
    /// device, the SHA-256 of what is to be stored of it.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// Write a settings folder for them to DIR/settings and the expected configs to DIR/expected.
    #[arg(long, value_name = "DIR")]
    pub write_settings: Option<PathBuf>,
    /// This process is a part of a lab of several.
    #[arg(long, hide = true)]
    pub part: bool,
}

/// Kept as typed, so that it can be handed on to the parts of a lab.
fn fault_rule(text: &str) -> Result<String, String> {
    match text.parse::<FaultRule>() {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A set of algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum AlgorithmSet {
    /// Those of today.
    Modern,
    /// Only what IOS-XE 16 offers by default.
    IosXe16,
}

impl LabArgs {
    /// The lab asked for.
    pub(super) fn spec(&self) -> LabSpec {
        LabSpec {
            devices: self.devices,
            first: self.first,
            seed: self.seed,
            rtt: Duration::from_millis(self.rtt_ms),
            think: Think::device_time(Duration::from_millis(self.device_ms)),
            jitter: self.jitter,
            config_bytes: self.config_bytes,
            algorithms: match self.algorithms {
                AlgorithmSet::Modern => Algorithms::Modern,
                AlgorithmSet::IosXe16 => Algorithms::IosXe16,
            },
            login: Login {
                level: self.level,
                ..Login::default()
            },
            faults: self
                .fault_rules
                .iter()
                .filter_map(|rule| rule.parse().ok())
                .collect(),
            bind: Bind::Shared {
                address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                port: self.port,
            },
            threads: self.threads,
            journal: self.journal.clone(),
            ..LabSpec::default()
        }
    }
}

/// How the demonstration is to be.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Where it leaves settings and configs; made afresh.
    #[arg(long, value_name = "DIR", default_value = "demo")]
    pub dir: PathBuf,
}
