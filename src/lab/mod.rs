//! Simulated CSR 1000v routers on loopback, spoken to over real SSH.
//!
//! A [`LabSpec`] says what the devices are like, [`Lab::start`] serves them from threads of its
//! own until the [`Lab`] is stopped or dropped. What the devices saw is counted, and what a client
//! must store of each of them is known byte for byte.

mod build;
mod counters;
mod csr;
mod fault;
mod folder;
mod grammar;
mod guest;
mod host;
mod journal;
mod serve;
mod spec;
mod thread;
mod vty;
mod wire;

pub use counters::{Counts, Tally};
pub use fault::{Fault, FaultClass, FaultRule, FaultRuleError, Select};
pub use folder::{FolderOptions, write_settings};
pub use spec::{Algorithms, Bind, CONFIG_BYTES_MAX, LabSpec, Login, Think};

use counters::Counters;
use host::Hosts;
use journal::Journal;
use socket2::Socket;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;
use thread::Shard;
use tokio::sync::watch;

/// How many connections may wait to be accepted by one device.
const BACKLOG: i32 = 1024;

/// Why a lab did not start.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The spec asks for what cannot be.
    #[error("{0}")]
    Spec(String),
    /// A device has no socket.
    #[error("{device} cannot listen on {address}: {source}; choose another port, or fewer devices")]
    Listen {
        /// The device.
        device: String,
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The machine gives no more open files.
    #[error(
        "{devices} devices need {needed} open files and the hard limit is {limit}; raise it \
         (`ulimit -Hn`), or spread the devices over several processes"
    )]
    Files {
        /// The devices asked for.
        devices: usize,
        /// The open files they need.
        needed: u64,
        /// The hard limit.
        limit: u64,
    },
    /// A thread or its timers could not be set up.
    #[error("a lab thread does not start: {0}; ask for fewer threads")]
    Thread(#[source] io::Error),
    /// The journal is not to be had.
    #[error("the journal {path}: {source}; name a file in a folder that is there", path = .path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A host key could not be made.
    #[error("{device} has no host key: {reason}")]
    HostKey {
        /// The device.
        device: String,
        /// What was wrong.
        reason: String,
    },
}

/// One simulated device, as those see it who check a client.
#[derive(Clone)]
pub struct LabDevice {
    name: String,
    addr: SocketAddr,
    fault: Option<Fault>,
    expected: Arc<[u8]>,
    counters: Arc<Counters>,
}

impl fmt::Debug for LabDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LabDevice")
            .field("name", &self.name)
            .field("addr", &self.addr)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl LabDevice {
    /// Its name: the host name in its prompt and config.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What is wrong with it.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// The exact bytes to store of it: from the line after `Current configuration : N bytes`
    /// through `end`, with LF line ends.
    #[must_use]
    pub fn expected(&self) -> &[u8] {
        &self.expected
    }

    /// The same device, heard of from another process, at the address it has there.
    #[must_use]
    pub fn at(self, addr: SocketAddr) -> Self {
        Self { addr, ..self }
    }

    /// What it saw so far, in this process.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counters.snapshot()
    }

    /// The moments of the first thousand things it saw, in their order.
    #[must_use]
    pub fn moments(&self) -> Vec<(Instant, Tally)> {
        self.counters.moments()
    }

    /// What was typed at it, the first 64 KiB over all its sessions.
    #[must_use]
    pub fn typed(&self) -> Vec<u8> {
        self.counters.typed()
    }
}

/// A running lab. Dropping it stops it.
#[derive(Debug)]
pub struct Lab {
    devices: Vec<LabDevice>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    /// Bound, so that the port stays ours, and not listening.
    _refusing: Vec<Socket>,
}

/// The devices that a lab of this spec has, without starting any. Their addresses are known
/// where the spec names a port; otherwise the port is 0 and [`LabDevice::at`] sets the address. So
/// one process can write the settings of a fleet that others serve.
///
/// # Errors
/// When the spec asks for what cannot be.
pub fn plan(spec: &LabSpec) -> Result<Vec<LabDevice>, LabError> {
    build::check(spec)?;
    let mut hosts = Hosts::new(spec.algorithms, spec.seed);
    spec.numbers()
        .map(|number| build::device(spec, &mut hosts, number, None).map(|(device, _)| device))
        .collect()
}

fn open_journal(spec: &LabSpec) -> Result<Option<Journal>, LabError> {
    let Some(path) = &spec.journal else {
        return Ok(None);
    };
    let opened = Journal::open(path).map_err(|source| LabError::Journal {
        path: path.clone(),
        source,
    });
    opened.map(Some)
}

impl Lab {
    /// Starts the devices; they listen when this returns.
    ///
    /// # Errors
    /// When the spec asks for what cannot be, or the machine gives no socket or thread.
    pub fn start(spec: &LabSpec) -> Result<Self, LabError> {
        build::check(spec)?;
        build::raise_file_limit(spec.devices)?;
        let threads = spec.threads.clamp(1, spec.devices.max(1));
        let mut shards: Vec<Shard> = (0..threads).map(|_| Vec::new()).collect();
        let mut refusing = Vec::new();
        let mut devices = Vec::with_capacity(spec.devices);
        let mut hosts = Hosts::new(spec.algorithms, spec.seed);
        let journal = open_journal(spec)?;
        for number in spec.numbers() {
            let (device, host) = build::device(spec, &mut hosts, number, journal.as_ref())?;
            let listen = |address| {
                let device = device.name.clone();
                move |source| LabError::Listen {
                    device,
                    address,
                    source,
                }
            };
            let (socket, addr) = build::bind(device.addr).map_err(listen(device.addr))?;
            if device.fault == Some(Fault::Refused) {
                refusing.push(socket);
            } else if let Some(shard) = shards.get_mut((number - spec.first) % threads) {
                socket.listen(BACKLOG).map_err(listen(addr))?;
                shard.push((socket.into(), Arc::new(host)));
            }
            devices.push(device.at(addr));
        }
        let (stop, _) = watch::channel(false);
        let mut lab = Self {
            devices,
            stop,
            threads: Vec::new(),
            _refusing: refusing,
        };
        for (number, shard) in shards.into_iter().enumerate() {
            let thread = thread::start(number, shard, lab.stop.subscribe())?;
            lab.threads.push(thread);
        }
        Ok(lab)
    }

    /// The devices in order of their numbers.
    #[must_use]
    pub fn devices(&self) -> &[LabDevice] {
        &self.devices
    }

    /// The device of this name.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<&LabDevice> {
        self.devices.iter().find(|device| device.name == name)
    }

    /// What all devices together saw so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.devices
            .iter()
            .fold(Counts::default(), |all, device| all + device.counts())
    }

    /// Closes every socket and waits for the threads.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            // A lab thread that panicked has closed its sockets too.
            let _ = thread.join();
        }
    }
}
