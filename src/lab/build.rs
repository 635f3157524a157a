//! From a spec to devices with sockets.

use super::counters::Counters;
use super::csr;
use super::host::Hosts;
use super::serve::Host;
use super::spec::{Bind, CONFIG_BYTES_MAX, LabSpec, Think};
use super::vty::Persona;
use super::{LabDevice, LabError};
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

pub(super) fn check(spec: &LabSpec) -> Result<(), LabError> {
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
pub(super) fn raise_file_limit(devices: usize) -> Result<(), LabError> {
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

pub(super) fn device(
    spec: &LabSpec,
    hosts: &mut Hosts,
    number: usize,
) -> Result<(LabDevice, Host), LabError> {
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

pub(super) fn address_of(spec: &LabSpec, number: usize) -> SocketAddr {
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

pub(super) fn bind(address: SocketAddr) -> io::Result<(Socket, SocketAddr)> {
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
