//! From a spec to devices with sockets.

use super::counters::Counters;
use super::csr;
use super::host::Hosts;
use super::journal::Journal;
use super::serve::Host;
use super::spec::{Bind, CONFIG_BYTES_MAX, LabSpec, Think};
use super::vty::Persona;
use super::{LabDevice, LabError};
use crate::model::device::DeviceName;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// The last address that may be a device's own.
const LOOPBACK_LAST: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 254);

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
    } else if DeviceName::new(&spec.name_of(spec.first)).is_err() {
        "a device's name becomes a file name: letters, digits, `.`, `_` and `-` only"
    } else {
        return check_bind(spec);
    };
    Err(LabError::Spec(fault.to_owned()))
}

/// A lab is open to everybody who knows its password, which everybody does: loopback only.
fn check_bind(spec: &LabSpec) -> Result<(), LabError> {
    let last = spec.numbers().end.saturating_sub(2);
    let last = u32::try_from(last).unwrap_or(u32::MAX);
    let fault = match spec.bind {
        Bind::Shared { address, .. } if !address.is_loopback() => "a lab serves loopback only",
        Bind::Shared { port, .. } if port > 0 && last > u32::from(u16::MAX) - u32::from(port) => {
            "there are not that many ports above the first one; choose a lower one, fewer \
             devices, or an address for each device"
        }
        Bind::PerDevice { first, .. }
            if !first.is_loopback()
                || last > u32::from(LOOPBACK_LAST).saturating_sub(u32::from(first)) =>
        {
            "a lab serves loopback only: the devices' addresses must lie within 127.0.0.0/8"
        }
        Bind::Shared { .. } | Bind::PerDevice { .. } => return Ok(()),
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
    journal: Option<&Journal>,
) -> Result<(LabDevice, Host), LabError> {
    let name = spec.name_of(number);
    let fault = spec
        .faults
        .iter()
        .find_map(|rule| rule.fault_of(number, &name));
    let expected: Arc<[u8]> = csr::config(spec.seed, &name, spec.config_bytes).into();
    let showing = journal.map(|journal| journal.of(&name, &expected));
    let counters = Arc::new(Counters::new(showing));
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
        public_key: spec.login.public_key.clone(),
        counters: Arc::clone(&counters),
        rtt: spec.rtt,
    };
    let device = LabDevice {
        name,
        addr: address_of(spec, number),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn jitter_is_each_device_s_own_and_within_its_share() {
        let spec = LabSpec {
            think: Think::device_time(Duration::from_secs(2)),
            jitter: 0.25,
            ..LabSpec::default()
        };
        let saves: Vec<_> = (1..=50)
            .map(|number| jittered(&spec, &spec.name_of(number)).save)
            .collect();
        for save in &saves {
            assert!((0.75..=1.25).contains(&save.as_secs_f64()), "{save:?}");
        }
        assert!(saves.iter().any(|save| *save != saves[0]));
        assert_eq!(jittered(&spec, "csr1").save, saves[0]);
        let even = LabSpec {
            jitter: 0.0,
            ..spec
        };
        assert_eq!(jittered(&even, "csr7").save, Duration::from_secs(1));
    }

    #[test]
    fn addresses_follow_the_numbers() {
        let bind = Bind::Shared {
            address: Ipv4Addr::LOCALHOST.into(),
            port: 2201,
        };
        let spec = LabSpec {
            bind,
            ..LabSpec::default()
        };
        assert_eq!(address_of(&spec, 3).to_string(), "127.0.0.1:2203");
        let bind = Bind::PerDevice {
            first: Ipv4Addr::new(127, 1, 0, 255),
            port: 22,
        };
        let spec = LabSpec { bind, ..spec };
        assert_eq!(address_of(&spec, 2).to_string(), "127.1.1.0:22");
    }

    #[test]
    fn addresses_that_cannot_be_are_refused() {
        for bind in [
            Bind::Shared {
                address: Ipv4Addr::UNSPECIFIED.into(),
                port: 0,
            },
            Bind::Shared {
                address: Ipv4Addr::LOCALHOST.into(),
                port: 65_534,
            },
            Bind::PerDevice {
                first: Ipv4Addr::new(10, 0, 0, 1),
                port: 0,
            },
            Bind::PerDevice {
                first: Ipv4Addr::new(127, 255, 255, 253),
                port: 0,
            },
        ] {
            let spec = LabSpec {
                bind,
                ..LabSpec::default()
            };
            assert!(check(&spec).is_err(), "{bind:?}");
        }
        assert!(check(&LabSpec::default()).is_ok());
    }
}
