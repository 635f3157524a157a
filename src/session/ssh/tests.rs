//! Peers that misbehave before there are keys. Deadlines are short where one has to pass, and far
//! where something else has to end the wait.

use super::cpu_gate::Progress;
use super::*;
use crate::model::credentials::Credentials;
use crate::model::credentials::Secret;
use crate::model::device::{Deadlines, DeviceName, SavePolicy};
use crate::model::failure::FailureKind;
use crate::model::limit::LimitSet;
use crate::model::platform::Platform;
use crate::session::{LoginGate, LoginOutcome};
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const SOON: Duration = Duration::from_millis(60);
const FAR: Duration = Duration::from_secs(300);

/// Fails the test if anybody gets as far as a login.
#[derive(Default)]
struct NoLogin(AtomicUsize);

impl LoginGate for NoLogin {
    fn admit(
        &self,
        _: &Credentials,
        _: &[Arc<LimitSet>],
        _: &CancelHandle,
        _: Instant,
    ) -> Result<(), SessionError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn settle(&self, _: &Credentials, _: LoginOutcome) {}

    fn wake(&self) {}
}

fn shared(gate: NoLogin) -> Arc<dyn LoginGate> {
    Arc::new(gate)
}

fn device(address: SocketAddr, kex: Duration) -> Device {
    let credentials = Credentials {
        password: Some(Secret::new("planted-password".into())),
        ..Credentials::new("lab", "ntc")
    };
    Device {
        port: address.port(),
        save: SavePolicy::Never,
        deadlines: Deadlines {
            tcp: FAR,
            kex,
            ..Deadlines::default()
        },
        attempts: 1,
        ..Device::new(
            DeviceName::new("box").unwrap(),
            &address.ip().to_string(),
            Arc::new(Platform::default()),
            Arc::new(credentials),
        )
    }
}

/// Connects with a fresh connector and returns how it failed.
fn failure(device: &Device, cancel: &CancelHandle) -> SessionError {
    let known_hosts = KnownHosts::load(std::path::Path::new("/nonexistent/known_hosts"));
    let connector = SshConnector::new(SshOptions {
        host_keys: HostKeyPolicy::Strict,
        known_hosts: Arc::new(known_hosts.unwrap()),
        cpus: 1,
    });
    let gate = Arc::new(NoLogin::default());
    let shared: Arc<dyn LoginGate> = Arc::<NoLogin>::clone(&gate);
    let context = ConnectContext {
        device,
        cancel,
        gate: &shared,
        deadline: RealClock.now() + FAR,
        called: &|| {},
    };
    let mut trail = Trail::default();
    let result = connector.unwrap().connect(&context, &mut trail);
    assert_eq!(gate.0.load(Ordering::SeqCst), 0, "nobody may log in here");
    result.err().unwrap()
}

/// Meets a peer that does `act` with each connection, until the client has given up.
fn meet(kex: Duration, act: impl Fn(TcpStream) + Send) -> SessionError {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::scope(|scope| {
        let (done, is_done) = mpsc::channel::<()>();
        scope.spawn(move || {
            for stream in listener.incoming() {
                if is_done.try_recv().is_ok() {
                    return;
                }
                act(stream.unwrap());
            }
        });
        let error = failure(&device(address, kex), &CancelHandle::new());
        done.send(()).unwrap();
        let _ = TcpStream::connect(address);
        error
    })
}

/// Takes what comes until the other side goes.
fn drain(mut stream: &TcpStream) {
    let mut buffer = [0; 512];
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
}

fn read_line(mut stream: &TcpStream) -> Vec<u8> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\n") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
        line.extend(byte);
    }
    line
}

#[track_caller]
fn assert_told(error: &SessionError, kind: FailureKind, part: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(part), "{error}");
}

#[test]
fn no_device_is_called_before_a_cpu_is_free_for_it() {
    let known_hosts = KnownHosts::load(std::path::Path::new("/nonexistent/known_hosts"));
    let connector = SshConnector::new(SshOptions {
        host_keys: HostKeyPolicy::Strict,
        known_hosts: Arc::new(known_hosts.unwrap()),
        cpus: 1,
    })
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let device = device(listener.local_addr().unwrap(), FAR);
    let cancel = CancelHandle::new();
    let far = RealClock.now() + FAR;
    let busy = connector.dialer.gate.enter(
        &Arc::default(),
        Progress::Begun,
        &cancel,
        (far, connector.dialer.clock.as_ref()),
    );
    let context = ConnectContext {
        device: &device,
        cancel: &cancel,
        gate: &shared(NoLogin::default()),
        deadline: RealClock.now() + SOON,
        called: &|| {},
    };
    let result = connector.connect(&context, &mut Trail::default());
    assert_told(
        &result.err().unwrap(),
        FailureKind::Timeout,
        "no CPU was free",
    );
    assert_eq!(
        listener.accept().unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock
    );
    drop(busy);
}

#[test]
fn a45_silence_and_stalls_end_at_the_deadline() {
    let error = meet(SOON, |stream| drain(&stream));
    assert_told(&error, FailureKind::Timeout, "SSH identification");
    let error = meet(SOON, |mut stream| {
        stream.write_all(b"SSH-2.0-slow\r\n").unwrap();
        drain(&stream);
    });
    assert_told(&error, FailureKind::Timeout, "exchanged keys");
}

#[test]
fn a32_a_drip_does_not_stretch_the_deadline() {
    let error = meet(SOON, |mut stream| {
        stream
            .set_read_timeout(Some(Duration::from_millis(5)))
            .unwrap();
        let mut buffer = [0; 64];
        loop {
            // The client's goodbye or the end of a short wait, whichever is first.
            let gone = stream.read(&mut buffer).is_ok_and(|count| count == 0);
            if gone || stream.write_all(b"x").is_err() {
                return;
            }
        }
    });
    assert_told(&error, FailureKind::Timeout, "SSH identification");
}

#[test]
fn a35_closed_before_a_word_of_ssh_means_busy() {
    let error = meet(FAR, drop);
    assert_told(&error, FailureKind::Busy, "vty lines may be full");
    let error = meet(FAR, |stream| {
        let _ = read_line(&stream);
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    });
    assert_told(&error, FailureKind::Busy, "vty lines may be full");
}

#[test]
fn a35_a_refused_connection_means_busy() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = failure(&device(address, FAR), &CancelHandle::new());
    assert_told(&error, FailureKind::Busy, "refused the connection");
}

#[test]
fn closed_or_reset_in_the_key_exchange_means_reset() {
    for linger in [None, Some(Duration::ZERO)] {
        let error = meet(FAR, |mut stream| {
            let _ = stream.write_all(b"SSH-2.0-short\r\n");
            let _ = read_line(&stream);
            let _ = SockRef::from(&stream).set_linger(linger);
        });
        assert_told(&error, FailureKind::Reset, "exchanged keys");
    }
}

#[test]
fn what_is_not_ssh_is_told_so() {
    let error = meet(FAR, |mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = read_line(&stream);
    });
    assert_told(&error, FailureKind::Protocol, "does not speak SSH");
    let error = meet(FAR, |mut stream| {
        let _ = stream.write_all(b"SSH-2.0-ok\r\n\xff\xff\xff\xff\xff\xff\xff\xff garbage");
        drain(&stream);
    });
    assert_told(&error, FailureKind::Protocol, "exchanged keys");
}

#[test]
fn names_that_do_not_resolve_are_told_so() {
    let mut device = device("127.0.0.1:1".parse().unwrap(), FAR);
    // No resolver is asked: labels have at most 63 bytes.
    device.host = "x".repeat(300);
    let error = failure(&device, &CancelHandle::new());
    assert_told(&error, FailureKind::Dns, "does not resolve");
}

#[test]
fn a_cancelled_attempt_does_not_even_dial() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let cancel = CancelHandle::new();
    cancel.cancel();
    let device = device(listener.local_addr().unwrap(), FAR);
    assert_eq!(failure(&device, &cancel), SessionError::Cancelled);
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody came");
}

/// Cancels once the peer has met the client, having said `words`.
fn cancel_after(words: &'static [u8], keep: impl Fn(&TcpStream) + Send) -> SessionError {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let device = device(listener.local_addr().unwrap(), FAR);
    let cancel = CancelHandle::new();
    let canceller = cancel.clone();
    thread::scope(|scope| {
        scope.spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = read_line(&stream);
            let _ = stream.write_all(words);
            canceller.cancel();
            keep(&stream);
        });
        failure(&device, &cancel)
    })
}

#[test]
fn a34_cancelling_ends_every_wait_and_even_a_flood() {
    for words in [&b""[..], b"SSH-2.0-slow\r\n"] {
        assert_eq!(cancel_after(words, drain), SessionError::Cancelled);
    }
    let flood = |mut stream: &TcpStream| {
        let noise = [b'#'; 4096];
        while stream.write_all(&noise).is_ok() {}
    };
    assert_eq!(cancel_after(b"#", flood), SessionError::Cancelled);
}

#[test]
fn cancelling_ends_a_connection_attempt_that_nobody_answers() {
    // A full backlog drops what comes.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let fillers: Vec<_> = (0..4)
        .map(|_| {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            filler.set_nonblocking(true).unwrap();
            let _ = filler.connect(&address);
            filler
        })
        .collect();
    let mut device = device(address.as_socket().unwrap(), FAR);
    device.deadlines.tcp = SOON;
    let error = failure(&device, &CancelHandle::new());
    assert_told(&error, FailureKind::Connect, "no answer in time");
    device.deadlines.tcp = FAR;
    let cancel = CancelHandle::new();
    thread::scope(|scope| {
        let dialling = scope.spawn(|| failure(&device, &cancel));
        cancel.cancel();
        assert_eq!(dialling.join().unwrap(), SessionError::Cancelled);
    });
    drop(fillers);
}

#[test]
fn messages_hold_no_secret() {
    let error = meet(SOON, |stream| drain(&stream));
    assert!(!format!("{error} {error:?}").contains("planted"));
}
