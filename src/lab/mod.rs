//! Simulated CSR 1000v routers on loopback, spoken to over real SSH.
//!
//! A [`LabSpec`] says what the devices are like, [`Lab::start`] serves them from threads of its
//! own until the [`Lab`] is stopped or dropped. What the devices saw is counted, and what a client
//! must store of each of them is known byte for byte.

mod counters;
mod csr;
mod fault;
mod folder;
mod grammar;
mod host;
mod serve;
mod spec;
mod vty;
mod wire;

pub use counters::Counts;
pub use fault::{Fault, FaultClass, FaultRule, FaultRuleError, Select};
pub use folder::{FolderOptions, write_settings};
pub use spec::{Algorithms, Bind, CONFIG_BYTES_MAX, LabSpec, Login, Think};

use counters::Counters;
use host::Hosts;
use serve::Host;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::watch;
use vty::Persona;

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
#[derive(Debug, Clone)]
pub struct LabDevice {
    name: String,
    addr: SocketAddr,
    fault: Option<Fault>,
    expected: Arc<[u8]>,
    counters: Arc<Counters>,
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

    /// What it saw so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counters.snapshot()
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

/// What one thread serves.
type Shard = Vec<(std::net::TcpListener, Arc<Host>)>;

impl Lab {
    /// Starts the devices; they listen when this returns.
    ///
    /// # Errors
    /// When the spec asks for what cannot be, or the machine gives no socket or thread.
    pub fn start(spec: &LabSpec) -> Result<Self, LabError> {
        check(spec)?;
        raise_file_limit(spec.devices)?;
        let threads = spec.threads.clamp(1, spec.devices.max(1));
        let mut shards: Vec<Shard> = (0..threads).map(|_| Vec::new()).collect();
        let mut refusing = Vec::new();
        let mut devices = Vec::with_capacity(spec.devices);
        let mut hosts = Hosts::new(spec.algorithms, spec.seed);
        for number in spec.first..spec.first + spec.devices {
            let (device, host) = build(spec, &mut hosts, number)?;
            let (socket, addr) = bind(address_of(spec, number)).map_err(|source| {
                let (device, address) = (device.name.clone(), address_of(spec, number));
                LabError::Listen {
                    device,
                    address,
                    source,
                }
            })?;
            if device.fault == Some(Fault::Refused) {
                refusing.push(socket);
            } else if let Some(shard) = shards.get_mut((number - spec.first) % threads) {
                let listening = socket.listen(BACKLOG);
                listening.map_err(|source| LabError::Listen {
                    device: device.name.clone(),
                    address: addr,
                    source,
                })?;
                shard.push((socket.into(), Arc::new(host)));
            }
            devices.push(LabDevice { addr, ..device });
        }
        let (stop, _) = watch::channel(false);
        let mut lab = Self {
            devices,
            stop,
            threads: Vec::new(),
            _refusing: refusing,
        };
        for (number, shard) in shards.into_iter().enumerate() {
            let thread = start_thread(number, shard, lab.stop.subscribe())?;
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

fn check(spec: &LabSpec) -> Result<(), LabError> {
    let fault = if spec.first == 0 {
        "device numbers count from 1"
    } else if spec.config_bytes > CONFIG_BYTES_MAX {
        "a simulated config has at most 5 MB"
    } else if !(0.0..=1.0).contains(&spec.jitter) {
        "jitter is a share, from 0 to 1"
    } else if !(1..=15).contains(&spec.login.level) {
        "a privilege level is a number from 1 to 15"
    } else if spec.faults.iter().any(|rule| rule.faults.is_empty()) {
        "a fault rule must name at least one fault"
    } else {
        return Ok(());
    };
    Err(LabError::Spec(fault.to_owned()))
}

/// A listener for each device, a session for each listener, and some for the process itself.
fn raise_file_limit(devices: usize) -> Result<(), LabError> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let needed = devices as u64 * 2 + 64;
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let wanted = Rlimit {
        current: now.maximum.or(Some(needed)),
        maximum: now.maximum,
    };
    match (now.maximum, setrlimit(Resource::Nofile, wanted)) {
        (Some(limit), _) if limit < needed => Err(LabError::Files {
            devices,
            needed,
            limit,
        }),
        (_, Ok(())) => Ok(()),
        (_, Err(error)) => Err(LabError::Thread(error.into())),
    }
}

fn build(spec: &LabSpec, hosts: &mut Hosts, number: usize) -> Result<(LabDevice, Host), LabError> {
    let name = spec.name_of(number);
    let fault = spec
        .faults
        .iter()
        .find_map(|rule| rule.fault_of(number, &name));
    let expected: Arc<[u8]> = csr::config(spec.seed, &name, spec.config_bytes).into();
    let counters = Arc::new(Counters::default());
    let ssh = hosts.config_of(&name).map_err(|error| LabError::HostKey {
        device: name.clone(),
        reason: error.to_string(),
    })?;
    let persona = Persona {
        name: name.clone(),
        config: Arc::clone(&expected),
        enable: spec.login.enable.clone(),
        level: spec.login.level,
        think: jittered(spec, &name),
        fault,
    };
    let host = Host {
        ssh,
        persona: Arc::new(persona),
        username: spec.login.username.clone(),
        password: spec.login.password.clone(),
        counters: Arc::clone(&counters),
        rtt: spec.rtt,
    };
    let device = LabDevice {
        name,
        addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        fault,
        expected,
        counters,
    };
    Ok((device, host))
}

fn jittered(spec: &LabSpec, name: &str) -> Think {
    let mut rng = csr::rng(spec.seed, name, "think");
    let factor = 1.0 + spec.jitter * (2.0 * rng.f64() - 1.0);
    Think {
        login: spec.think.login.mul_f64(factor),
        save: spec.think.save.mul_f64(factor),
        show_run: spec.think.show_run.mul_f64(factor),
    }
}

fn address_of(spec: &LabSpec, number: usize) -> SocketAddr {
    let offset = u32::try_from(number - 1).unwrap_or(u32::MAX);
    match spec.bind {
        Bind::Shared { address, port: 0 } => SocketAddr::new(address, 0),
        Bind::Shared { address, port } => {
            let port = u16::try_from(u32::from(port).saturating_add(offset)).unwrap_or(u16::MAX);
            SocketAddr::new(address, port)
        }
        Bind::PerDevice { first, port } => {
            let address = Ipv4Addr::from(u32::from(first).saturating_add(offset));
            SocketAddr::new(IpAddr::V4(address), port)
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.port() != 0 {
        // Connections of an earlier lab on the same port may still be in TIME_WAIT.
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    let bound = socket.local_addr()?.as_socket();
    Ok((socket, bound.unwrap_or(address)))
}

fn start_thread(
    number: usize,
    shard: Shard,
    mut stop: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, LabError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LabError::Thread)?;
    let listeners: Vec<_> = {
        let _inside = runtime.enter();
        shard
            .into_iter()
            .map(|(listener, host)| Ok((tokio::net::TcpListener::from_std(listener)?, host)))
            .collect::<io::Result<_>>()
            .map_err(LabError::Thread)?
    };
    std::thread::Builder::new()
        .name(format!("lab-{number}"))
        .spawn(move || {
            runtime.block_on(async move {
                for (listener, host) in listeners {
                    tokio::spawn(accept(listener, host));
                }
                // The sender lives as long as the lab, so an error means the same.
                let _ = stop.wait_for(|stopped| *stopped).await;
            });
            // Dropping the runtime drops every task, and with it every socket.
        })
        .map_err(LabError::Thread)
}

async fn accept(listener: tokio::net::TcpListener, host: Arc<Host>) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                let _ = socket.set_nodelay(true);
                tokio::spawn(serve::serve(Arc::clone(&host), socket));
            }
            // Out of files, or the client has gone: the next one may fare better, but not at once.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
}
