//! What a lab is to be like.

use super::fault::FaultRule;
use crate::model::credentials::Secret;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

/// Which SSH algorithms the devices offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithms {
    /// Those of today; the host key is Ed25519.
    Modern,
    /// Only what an IOS-XE 16 router offers by default: group-exchange-sha1 and group14-sha1, the
    /// host key `ssh-rsa`, AES in CTR and CBC mode, hmac-sha1. Source: the offers quoted in
    /// Oxidized issue 3312 by a router that calls itself `SSH-2.0-Cisco-1.25`.
    IosXe16,
}

/// How long a device thinks before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Think {
    /// Before a password is answered.
    pub login: Duration,
    /// Between `Building configuration...` and `[OK]`.
    pub save: Duration,
    /// Between `Building configuration...` and the config.
    pub show_run: Duration,
}

impl Think {
    /// A device that takes `device_time` in all: half of it to save, half to show its config.
    #[must_use]
    pub fn device_time(device_time: Duration) -> Self {
        let half = device_time / 2;
        Self {
            login: Duration::ZERO,
            save: half,
            show_run: device_time.saturating_sub(half),
        }
    }
}

/// What lets a client in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user name.
    pub username: String,
    /// The password, for `password` and `keyboard-interactive`.
    pub password: Secret,
    /// The public key that is let in as well, as OpenSSH writes it (`ssh-ed25519 AAAA...`).
    pub public_key: Option<String>,
    /// The enable secret; without one `enable` answers `% No password set`.
    pub enable: Option<Secret>,
    /// The privilege level after login, 1 (user mode) to 15.
    pub level: u8,
}

impl Default for Login {
    fn default() -> Self {
        Self {
            username: "ntc".to_owned(),
            password: Secret::new("ntc123".to_owned()),
            public_key: None,
            enable: Some(Secret::new("ntc-enable".to_owned())),
            level: 15,
        }
    }
}

/// Where the devices listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bind {
    /// All on one address, each on a port of its own: `port`, `port + 1`, ... by the device's
    /// number less one, or free ports where `port` is 0.
    Shared {
        /// The address.
        address: IpAddr,
        /// The port of device number 1, or 0.
        port: u16,
    },
    /// Each on an address of its own: `first` is device number 1's, the next one device number
    /// 2's. All on `port`, or on free ports where `port` is 0.
    PerDevice {
        /// The address of device number 1, within 127.0.0.0/8.
        first: Ipv4Addr,
        /// The port, or 0.
        port: u16,
    },
}

impl Default for Bind {
    fn default() -> Self {
        Self::Shared {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
        }
    }
}

/// What a lab is to be like. The same spec gives the same devices: names, configs, host keys,
/// faults and think times come from it alone.
#[derive(Debug, Clone, PartialEq)]
pub struct LabSpec {
    /// How many devices.
    pub devices: usize,
    /// The number of the first device, from 1: several processes share a fleet by serving
    /// different numbers of it.
    pub first: usize,
    /// What a device's name begins with; its number follows.
    pub base_name: String,
    /// Where host keys, configs and jitter come from.
    pub seed: u64,
    /// The round-trip time: every byte, key exchange and login included, is delayed by half of it
    /// each way. The TCP handshake is the kernel's and is not delayed.
    pub rtt: Duration,
    /// How long a device thinks.
    pub think: Think,
    /// How much a device's think times differ from `think`, from 0 (not at all) to 1 (from nothing
    /// to double); each device has its own factor.
    pub jitter: f64,
    /// About how many bytes a config has; it is never smaller than a plain router's, about 4 KB.
    pub config_bytes: usize,
    /// Which algorithms the devices offer.
    pub algorithms: Algorithms,
    /// What lets a client in.
    pub login: Login,
    /// What is wrong with which device.
    pub faults: Vec<FaultRule>,
    /// Where the devices listen.
    pub bind: Bind,
    /// On how many threads the devices are served; at least 1.
    pub threads: usize,
    /// A file to which a line is added for each config shown to its end: milliseconds since 1970,
    /// the device's name, the SHA-256 of the bytes to store. Several labs may share it.
    pub journal: Option<PathBuf>,
}

/// The largest config a lab makes, in bytes.
pub const CONFIG_BYTES_MAX: usize = 5 << 20;

impl Default for LabSpec {
    fn default() -> Self {
        Self {
            devices: 3,
            first: 1,
            base_name: "csr".to_owned(),
            seed: 1,
            rtt: Duration::ZERO,
            think: Think::default(),
            jitter: 0.0,
            config_bytes: 0,
            algorithms: Algorithms::Modern,
            login: Login::default(),
            faults: Vec::new(),
            bind: Bind::default(),
            threads: 1,
            journal: None,
        }
    }
}

impl LabSpec {
    /// The numbers of its devices.
    #[must_use]
    pub fn numbers(&self) -> Range<usize> {
        self.first..self.first.saturating_add(self.devices)
    }

    /// The name of the device with this number.
    #[must_use]
    pub fn name_of(&self, number: usize) -> String {
        format!("{}{number}", self.base_name)
    }
}
