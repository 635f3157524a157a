//! What ended sessions leave behind: alone in its process, because it counts what is the
//! process's.

#![cfg(test)]

#[allow(dead_code, reason = "shared with other tests")]
mod sshd;

use sshd::{Client, Server, talk};
use std::fs;
use wrmem::model::device::HostKeyPolicy;

#[test]
fn a34_failed_and_ended_sessions_leave_no_descriptor_and_no_memory() {
    need_sshd!();
    // The first ones also pay for what is set up once in a process.
    sessions(5);
    let (descriptors, kilobytes) = (descriptors(), resident_kilobytes());
    sessions(30);
    assert_eq!(self::descriptors(), descriptors);
    let grown = resident_kilobytes().saturating_sub(kilobytes);
    // Freed sessions make some 40 kB of difference; without the shutdown it was 2,500 kB.
    assert!(grown < 1200, "{grown} kB more after 60 sessions");
}

/// That many sessions that end well, and as many that end in the middle.
fn sessions(rounds: usize) {
    let server = Server::start(&[]);
    let device = server.device(server.key(&["ed25519"], ""));
    let known_hosts = server.path("known_hosts");
    let mut strict = Client::new(HostKeyPolicy::Strict, &known_hosts);
    let mut open = Client::new(HostKeyPolicy::Off, &known_hosts);
    for _ in 0..rounds {
        assert!(strict.connect(&device).is_err());
        let mut transport = open.connect(&device).unwrap();
        talk(transport.as_mut(), "hello\n");
    }
    assert_eq!(open.outcomes().len(), rounds);
    open.known_hosts.flush().unwrap();
    assert!(!known_hosts.exists(), "policy off learns nothing");
    server.finish();
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn resident_kilobytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let value = line.and_then(|line| line.split_whitespace().nth(1));
    value.unwrap().parse().unwrap()
}
