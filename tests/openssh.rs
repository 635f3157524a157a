//! Our SSH against OpenSSH's own server.
//!
//! Needs `/usr/sbin/sshd`; without it every test here says in one line that it was skipped.

#![cfg(test)]

#[path = "sshd/exec.rs"]
mod exec;
#[path = "sshd/jump.rs"]
mod jump;
mod sshd;
#[path = "sshd/ways.rs"]
mod ways;

use sshd::{Client, Server, far, keygen, talk};
use std::collections::HashSet;
use std::fs;
use std::net::{Ipv6Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use wrmem::model::credentials::{Credentials, Secret};
use wrmem::model::device::{AlgorithmPolicy, HostKeyPolicy};
use wrmem::model::failure::FailureKind;
use wrmem::model::platform::{Platform, ShellRequests};
use wrmem::model::stage::StepName;
use wrmem::session::ssh::RealClock;
use wrmem::session::{CancelHandle, Clock, LoginOutcome, ReadOutcome};

#[test]
fn keys_of_every_kind_log_in_and_the_shell_talks() {
    need_sshd!();
    let server = Server::start(&[]);
    let mut client = Client::new(HostKeyPolicy::AcceptNew, &server.path("known_hosts"));
    let kinds: [(&[&str], &str); 5] = [
        (&["ed25519"], ""),
        (&["ecdsa", "-b", "256"], ""),
        (&["rsa", "-b", "2048"], ""),
        (&["ed25519"], "open sesame"),
        (&["rsa", "-b", "2048", "-m", "PEM"], "open sesame"),
    ];
    for (kind, passphrase) in kinds {
        let device = server.device(server.key(kind, passphrase));
        let mut transport = client.connect(&device).unwrap();
        talk(transport.as_mut(), "show version\n");
        transport.write(b"\x04", far()).unwrap();
        let mut buffer = [0; 64];
        while transport.read(&mut buffer, far()).unwrap() != ReadOutcome::Eof {}
        transport.close();
        transport.close();
        assert!(transport.read(&mut buffer, far()).is_err());
        let steps: HashSet<_> = client.trail.steps.iter().map(|it| it.step).collect();
        for step in [
            StepName::Dns,
            StepName::Tcp,
            StepName::Kex,
            StepName::Gate,
            StepName::Auth,
            StepName::Shell,
        ] {
            assert!(steps.contains(&step), "{step:?}");
        }
        let used = client.trail.algorithms.clone().unwrap();
        assert_eq!(used.host_key, "ssh-ed25519");
        assert_eq!(used.cipher, "aes128-gcm@openssh.com");
        assert_eq!(used.mac, "");
    }
    assert_eq!(client.outcomes(), [LoginOutcome::Accepted; 5]);
}

#[test]
fn pty_and_shell_one_by_one_and_over_ipv6() {
    need_sshd!();
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("SKIPPED: no IPv6 on this machine");
        return;
    }
    let server = Server::start_on("[::1]:0".parse().unwrap(), &[]);
    let mut client = Client::new(HostKeyPolicy::AcceptNew, &server.path("known_hosts"));
    let mut device = server.device(server.key(&["ed25519"], ""));
    device.platform = Arc::new(Platform {
        shell_requests: ShellRequests::OneByOne,
        ..Platform::default()
    });
    let mut transport = client.connect(&device).unwrap();
    talk(transport.as_mut(), "hello\n");
    let deadline = RealClock.now() + Duration::from_millis(20);
    let read = transport.read(&mut [0; 64], deadline).unwrap();
    assert_eq!(read, ReadOutcome::TimedOut);
    client.known_hosts.flush().unwrap();
    let written = fs::read_to_string(server.path("known_hosts")).unwrap();
    let label = format!("[::1]:{} ssh-ed25519 ", device.port);
    assert!(written.starts_with(&label), "{written}");
}

const OLD: [&str; 4] = [
    "KexAlgorithms=diffie-hellman-group14-sha1",
    "HostKeyAlgorithms=ssh-rsa",
    "Ciphers=aes128-ctr",
    "MACs=hmac-sha1",
];

#[test]
fn a50_ios_xe_16_algorithms_are_reached_by_default_and_noted() {
    need_sshd!();
    let server = Server::start(&OLD);
    let mut client = Client::new(HostKeyPolicy::AcceptNew, &server.path("known_hosts"));
    let device = server.device(server.key(&["ed25519"], ""));
    let mut transport = client.connect(&device).unwrap();
    talk(transport.as_mut(), "hello\n");
    let notes = client.trail.notes.join("\n");
    assert!(
        notes.contains("diffie-hellman-group14-sha1, ssh-rsa, hmac-sha1"),
        "{notes}"
    );
}

#[test]
fn a50_a_failed_negotiation_shows_both_offers_and_the_setting_that_helps() {
    need_sshd!();
    let server = Server::start(&OLD);
    let mut client = Client::new(HostKeyPolicy::AcceptNew, &server.path("known_hosts"));
    let mut device = server.device(server.key(&["ed25519"], ""));
    device.algorithms = AlgorithmPolicy::Modern;
    let error = client.connect(&device).err().unwrap();
    let told = error.to_string();
    assert_eq!(error.kind(), FailureKind::Algorithms, "{told}");
    for part in [
        "it offers diffie-hellman-group14-sha1",
        "wrmem offered ",
        "curve25519-sha256",
        "no common host key: it offers ssh-rsa;",
        "set algorithms = \"compatible\" for this device",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert_eq!(client.outcomes(), []);
}

#[test]
fn only_the_newest_algorithms_are_reached_too() {
    need_sshd!();
    let server = Server::start(&[
        "KexAlgorithms=curve25519-sha256",
        "HostKeyAlgorithms=ssh-ed25519",
        "Ciphers=chacha20-poly1305@openssh.com",
    ]);
    let mut client = Client::new(HostKeyPolicy::AcceptNew, &server.path("known_hosts"));
    let mut device = server.device(server.key(&["ed25519"], ""));
    device.algorithms = AlgorithmPolicy::Modern;
    let mut transport = client.connect(&device).unwrap();
    talk(transport.as_mut(), "hello\n");
    let used = client.trail.algorithms.clone().unwrap();
    let used = (used.cipher.as_str(), used.mac.as_str());
    assert_eq!(used, ("chacha20-poly1305@openssh.com", ""));
    let no_old = |note: &String| !note.contains("old SSH");
    assert!(client.trail.notes.iter().all(no_old));
}

#[test]
fn a43_a_wrong_or_unknown_or_revoked_host_key_ends_it_before_any_login() {
    need_sshd!();
    let server = Server::start(&[]);
    let device = server.device(server.key(&["ed25519"], ""));
    let known_hosts = server.path("known_hosts");
    keygen(&server.path("other"), &["ed25519"], "");
    let public = |name: &str| {
        let text = fs::read_to_string(server.path(name).with_extension("pub")).unwrap();
        text.rsplit_once(' ').unwrap().0.to_owned()
    };
    let label = format!("[127.0.0.1]:{}", device.port);
    let mut told = Vec::new();
    for (policy, text, part) in [
        (HostKeyPolicy::Strict, String::new(), "is not known"),
        (
            HostKeyPolicy::AcceptNew,
            format!("{label} {}\n", public("other")),
            "changed: known is ssh-ed25519 SHA256:",
        ),
        (
            HostKeyPolicy::Off,
            format!("@revoked * {}\n", public("host_ed25519")),
            "revoked host key",
        ),
    ] {
        fs::write(&known_hosts, text).unwrap();
        let mut client = Client::new(policy, &known_hosts);
        let error = client.connect(&device).err().unwrap();
        assert_eq!(error.kind(), FailureKind::HostKey);
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(client.outcomes(), [], "the login gate was not asked");
        told.push(error.to_string());
    }
    let shown = Client::new(HostKeyPolicy::Strict, &known_hosts)
        .connector
        .host_key(&device, &CancelHandle::new(), far())
        .unwrap();
    for told in told {
        assert!(told.contains(&shown.fingerprint()), "{told}");
    }
    let log = server.finish();
    assert!(log.contains("SSH2_MSG_KEXINIT sent"), "the log is one");
    assert!(!log.contains("userauth-request"), "{log}");
}

#[test]
fn the_known_key_type_is_asked_for_first() {
    need_sshd!();
    let server = Server::start(&[]);
    let device = server.device(server.key(&["ed25519"], ""));
    let public = fs::read_to_string(server.path("host_rsa.pub")).unwrap();
    let known_hosts = server.path("known_hosts");
    let line = format!("[127.0.0.1]:{} {public}", device.port);
    fs::write(&known_hosts, line).unwrap();
    let mut client = Client::new(HostKeyPolicy::Strict, &known_hosts);
    drop(client.connect(&device).unwrap());
    let used = client.trail.algorithms.clone().unwrap();
    assert_eq!(used.host_key, "rsa-sha2-512");
    // Forgotten, it is unknown again, and the device shows what we like best.
    let forgotten = client.known_hosts.forget("127.0.0.1", device.port).unwrap();
    assert_eq!(forgotten.len(), 1);
    let error = client.connect(&device).err().unwrap();
    assert!(error.to_string().contains("ssh-ed25519"), "{error}");
}

#[test]
fn a_refused_key_is_told_once_and_not_retried() {
    need_sshd!();
    let server = Server::start(&[]);
    let mut device = server.device(server.key(&["ed25519"], ""));
    keygen(&server.path("stranger"), &["ed25519"], "");
    let text = fs::read_to_string(server.path("stranger")).unwrap();
    let mut credentials = Credentials::clone(&device.credentials);
    if let Some(key) = &mut credentials.key {
        key.text = Secret::new(text);
    }
    device.credentials = Arc::new(credentials);
    let mut client = Client::new(HostKeyPolicy::AcceptNew, &server.path("known_hosts"));
    let error = client.connect(&device).err().unwrap();
    assert_eq!(error.kind(), FailureKind::AuthRefused, "{error}");
    assert!(error.to_string().contains("public key"), "{error}");
    assert_eq!(client.outcomes(), [LoginOutcome::Refused]);
    assert!(!error.kind().is_transient());
}

#[test]
fn a46_new_keys_within_a_long_output_are_no_trouble() {
    need_sshd!();
    let last = 1_200_000;
    let command = format!("ForceCommand=seq 1 {last}");
    let server = Server::start(&["RekeyLimit=1M", &command]);
    let mut client = Client::new(HostKeyPolicy::AcceptNew, &server.path("known_hosts"));
    let device = server.device(server.key(&["ed25519"], ""));
    let mut transport = client.connect(&device).unwrap();
    let mut output = Vec::new();
    let mut buffer = vec![0; 32 << 10];
    while let ReadOutcome::Data(count) = transport.read(&mut buffer, far()).unwrap() {
        output.extend_from_slice(&buffer[..count]);
    }
    transport.close();
    let mut lines = output.split(|byte| *byte == b'\n');
    for number in 1..=last {
        let line = lines.next().unwrap().trim_ascii();
        assert_eq!(line, number.to_string().as_bytes());
    }
    let log = server.finish();
    let keys = log.matches("SSH2_MSG_NEWKEYS received").count();
    assert!(keys > 4, "keys were exchanged {keys} times");
}
