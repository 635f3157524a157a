//! Commands on channels of their own.

use crate::need_sshd;
use crate::sshd::{Client, Server, far};
use std::sync::Arc;
use std::time::Duration;
use wrmem::model::device::{Device, HostKeyPolicy};
use wrmem::model::failure::FailureKind;
use wrmem::model::platform::{Channel, Platform};
use wrmem::session::ssh::RealClock;
use wrmem::session::{Clock, Exit, ReadOutcome, SessionError, Transport};

/// Connects for commands; the server runs them with a shell of this machine.
fn connect(server: &Server) -> Box<dyn Transport> {
    let mut client = Client::new(HostKeyPolicy::AcceptNew, &server.path("known_hosts"));
    let platform = Platform {
        channel: Channel::Exec,
        ..Platform::default()
    };
    let device = Device {
        platform: Arc::new(platform),
        ..server.device(server.key(&["ed25519"], ""))
    };
    client.connect(&device).unwrap()
}

fn start(options: &[&str]) -> Server {
    let mut all = vec!["ForceCommand=none"];
    all.extend(options);
    Server::start(&all)
}

/// What a command says, and how it ends.
fn output(transport: &mut dyn Transport, command: &str) -> Result<(Vec<u8>, Exit), SessionError> {
    transport.run(command, far())?;
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match transport.read(&mut buffer, far())? {
            ReadOutcome::Data(count) => said.extend_from_slice(&buffer[..count]),
            ReadOutcome::Eof => return Ok((said, transport.ended(far())?)),
            ReadOutcome::TimedOut => panic!("nothing came for minutes"),
        }
    }
}

#[test]
fn each_command_has_its_own_end_status_and_error_stream() {
    need_sshd!();
    let server = start(&[]);
    let mut transport = connect(&server);
    let (said, exit) = output(transport.as_mut(), "printf 'a\\nb\\n'").unwrap();
    assert_eq!((said.as_slice(), exit), (&b"a\nb\n"[..], Exit::default()));
    let (said, exit) = output(transport.as_mut(), "echo oops >&2; echo out; exit 7").unwrap();
    assert_eq!(
        (said.as_slice(), exit.code, exit.aside.as_slice()),
        (&b"out\n"[..], 7, &b"oops\n"[..])
    );
    // A command that says more aside than is kept, and than a channel's window holds.
    let (said, exit) = output(
        transport.as_mut(),
        "head -c 3000000 /dev/zero | tr '\\0' x >&2; head -c 3000000 /dev/zero",
    )
    .unwrap();
    assert_eq!((said.len(), exit.code), (3_000_000, 0));
    assert_eq!(exit.aside.len(), 4096);
    let (_, exit) = output(transport.as_mut(), "kill -TERM $$").unwrap();
    assert_eq!(exit.signal.as_deref(), Some("TERM"));
    transport.close();
    transport.close();
    assert!(transport.run("true", far()).is_err());
}

#[test]
fn a_connection_that_is_cut_never_looks_like_an_end() {
    need_sshd!();
    let server = start(&[]);
    let mut transport = connect(&server);
    let error = output(transport.as_mut(), "echo half; kill -9 $PPID").unwrap_err();
    assert_eq!(error.kind(), FailureKind::Reset, "{error}");
}

#[test]
fn a_command_that_says_nothing_is_waited_for_until_the_deadline() {
    need_sshd!();
    let server = start(&[]);
    let mut transport = connect(&server);
    transport.run("read forever", far()).unwrap();
    let soon = RealClock.now() + Duration::from_millis(50);
    let outcome = transport.read(&mut [0; 16], soon).unwrap();
    assert_eq!(outcome, ReadOutcome::TimedOut);
}

#[test]
fn a_user_who_may_run_nothing_is_told_so() {
    need_sshd!();
    let server = start(&["MaxSessions=0"]);
    let error = connect(&server).run("true", far()).unwrap_err();
    assert_eq!(error.kind(), FailureKind::CommandRejected, "{error}");
    assert!(error.to_string().contains("runs no commands"), "{error}");
}
