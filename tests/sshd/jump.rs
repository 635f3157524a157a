//! Devices behind jump hosts, all of them OpenSSH's own servers.

use crate::need_sshd;
use crate::sshd::{Client, Server, far, keygen, talk};
use std::fs;
use std::net::TcpListener;
use std::sync::{Arc, Barrier};
use std::thread;
use wrmem::model::credentials::{Credentials, Secret};
use wrmem::model::device::{Device, DeviceName, HostKeyPolicy};
use wrmem::model::failure::FailureKind;
use wrmem::model::jump::JumpHost;
use wrmem::session::{CancelHandle, ReadOutcome, SessionError};

/// The server as a jump host, maybe behind another one.
fn jump(name: &str, server: &Server, front: Option<Arc<JumpHost>>) -> Arc<JumpHost> {
    let endpoint = Device {
        name: DeviceName::new(name).unwrap(),
        jump: front,
        ..server.device(server.key(&["ed25519"], ""))
    };
    Arc::new(JumpHost {
        endpoint,
        channels: JumpHost::CHANNELS,
        sessions: JumpHost::SESSIONS,
    })
}

fn behind(jump: &Arc<JumpHost>, server: &Server) -> Device {
    Device {
        jump: Some(Arc::clone(jump)),
        ..server.device(server.key(&["ed25519"], ""))
    }
}

fn client(server: &Server) -> Client {
    Client::new(HostKeyPolicy::AcceptNew, &server.path("known_hosts"))
}

#[track_caller]
fn assert_told(error: &SessionError, kind: FailureKind, parts: &[&str]) {
    let told = error.to_string();
    assert_eq!(error.kind(), kind, "{told}");
    for part in parts {
        assert!(told.contains(part), "{part} is not in {told}");
    }
}

#[test]
fn two_jump_hosts_lead_to_a_device_and_long_output_comes_whole() {
    need_sshd!();
    let (outer, inner) = (Server::start(&[]), Server::start(&[]));
    let last = 300_000;
    let target = Server::start(&[&format!("ForceCommand=seq 1 {last}")]);
    let first = jump("outer", &outer, None);
    let second = jump("inner", &inner, Some(first));
    let mut client = client(&target);
    let mut transport = client.connect(&behind(&second, &target)).unwrap();
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
    // Every host key was met, each under its own address.
    for server in [&outer, &inner, &target] {
        assert_eq!(
            client
                .known_hosts
                .known("127.0.0.1", server.address.port())
                .len(),
            1
        );
    }
    let notes = client.trail.notes.join("\n");
    assert!(
        notes.contains("jump host \"inner\": new host key accepted"),
        "{notes}"
    );
    drop(client);
    assert!(inner.finish().contains("direct-tcpip"));
    assert!(outer.finish().contains("direct-tcpip"));
}

#[test]
fn many_devices_share_one_connection_and_no_more_than_there_are_channels() {
    need_sshd!();
    let (bastion, target) = (Server::start(&[]), Server::start(&[]));
    let host = JumpHost {
        channels: 2,
        sessions: 1,
        ..JumpHost::clone(&jump("bastion", &bastion, None))
    };
    let device = behind(&Arc::new(host), &target);
    let mut client = client(&target);
    drop(client.connect(&device).unwrap());
    let connector = &client.connector;
    let gate: Arc<dyn wrmem::session::LoginGate> = Arc::<crate::sshd::OpenGate>::default();
    let begin = Barrier::new(8);
    thread::scope(|scope| {
        for number in 0..8 {
            let (device, gate, begin) = (&device, &gate, &begin);
            scope.spawn(move || {
                begin.wait();
                for turn in 0..3 {
                    let context = wrmem::session::ConnectContext {
                        device,
                        cancel: &CancelHandle::new(),
                        gate,
                        deadline: far(),
                        called: &|| {},
                    };
                    let mut trail = wrmem::model::stage::Trail::default();
                    let transport =
                        wrmem::session::Connector::connect(connector, &context, &mut trail);
                    talk(
                        transport.unwrap().as_mut(),
                        &format!("hello {number} {turn}\n"),
                    );
                }
            });
        }
    });
    drop(client);
    let log = bastion.finish();
    assert_eq!(log.matches("Accepted publickey").count(), 1, "{log}");
    let highest = log.matches("channel 3: new").count();
    assert_eq!(
        highest, 0,
        "never more than two channels and the one that closes: {log}"
    );
}

#[test]
fn a_refusing_jump_host_is_told_apart_from_the_device_and_not_asked_twice() {
    need_sshd!();
    let (bastion, target) = (Server::start(&[]), Server::start(&[]));
    let good = jump("bastion", &bastion, None);
    keygen(&bastion.path("stranger"), &["ed25519"], "");
    let mut credentials = Credentials::clone(&good.endpoint.credentials);
    if let Some(key) = &mut credentials.key {
        key.text = Secret::new(fs::read_to_string(bastion.path("stranger")).unwrap());
    }
    let refused = Arc::new(JumpHost {
        endpoint: Device {
            credentials: Arc::new(credentials),
            ..good.endpoint.clone()
        },
        ..JumpHost::clone(&good)
    });
    let mut client = client(&target);
    let device = behind(&refused, &target);
    for _ in 0..3 {
        let error = client.connect(&device).err().unwrap();
        assert_told(
            &error,
            FailureKind::AuthRefused,
            &["jump host \"bastion\"", "not the device's"],
        );
        // Nothing that would be held against the device's credentials.
        assert!(client.trail.steps.iter().all(|it| it.step.name() != "auth"));
    }
    // Other credentials for it are other news.
    let device = Device {
        jump: Some(good),
        ..device
    };
    drop(client.connect(&device).unwrap());
    drop(client);
    let log = bastion.finish();
    assert_eq!(log.matches("Failed publickey").count(), 1, "{log}");
}

#[test]
fn whatever_else_is_wrong_names_the_jump_host_or_the_device() {
    need_sshd!();
    let target = Server::start(&[]);
    let bastion = Server::start(&[]);
    let free = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    // Nobody listens where the jump host should be.
    let good = jump("bastion", &bastion, None);
    let gone = Arc::new(JumpHost {
        endpoint: Device {
            port: free,
            ..good.endpoint.clone()
        },
        ..JumpHost::clone(&good)
    });
    let mut it = client(&target);
    let error = it.connect(&behind(&gone, &target)).err().unwrap();
    assert_told(
        &error,
        FailureKind::JumpLost,
        &["jump host \"bastion\"", "refused the connection"],
    );
    assert!(error.kind().is_transient());
    // Nobody listens where the device should be.
    let device = Device {
        port: free,
        ..behind(&good, &target)
    };
    let error = it.connect(&device).err().unwrap();
    assert_told(
        &error,
        FailureKind::Connect,
        &["through jump host \"bastion\"", "connect failed"],
    );
    // The jump host shows another key than the known one.
    keygen(&target.path("other"), &["ed25519"], "");
    let public = fs::read_to_string(target.path("other.pub")).unwrap();
    let line = format!("[127.0.0.1]:{} {public}", bastion.address.port());
    fs::write(target.path("changed"), line).unwrap();
    let mut it = Client::new(HostKeyPolicy::AcceptNew, &target.path("changed"));
    let error = it.connect(&behind(&good, &target)).err().unwrap();
    assert_told(
        &error,
        FailureKind::HostKey,
        &[
            "jump host \"bastion\"",
            "changed: known is",
            "wrmem trust bastion",
        ],
    );
    // The jump host passes nothing on.
    let closed = Server::start(&["AllowTcpForwarding=no"]);
    let mut it = client(&closed);
    let error = it
        .connect(&behind(&jump("bastion", &closed, None), &target))
        .err()
        .unwrap();
    assert_told(
        &error,
        FailureKind::Settings,
        &["\"bastion\"", "AllowTcpForwarding"],
    );
}

#[test]
fn a_jump_host_that_dies_is_a_lost_jump_for_all_and_is_connected_anew() {
    need_sshd!();
    let (bastion, target) = (Server::start(&[]), Server::start(&[]));
    let device = behind(&jump("bastion", &bastion, None), &target);
    let mut client = client(&target);
    let mut both = [
        client.connect(&device).unwrap(),
        client.connect(&device).unwrap(),
    ];
    for transport in &mut both {
        talk(transport.as_mut(), "hello\n");
    }
    bastion.kill();
    for transport in &mut both {
        let error = transport.read(&mut [0; 64], far()).unwrap_err();
        assert_told(&error, FailureKind::JumpLost, &["\"bastion\" was lost"]);
        assert!(error.kind().is_transient());
    }
    let mut again = client.connect(&device).unwrap();
    talk(again.as_mut(), "hello again\n");
    drop(again);
    drop(client);
    assert_eq!(bastion.finish().matches("Accepted publickey").count(), 2);
}

#[test]
fn a_cancelled_attempt_does_not_wait_for_its_jump_host() {
    need_sshd!();
    let target = Server::start(&[]);
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let good = jump("bastion", &target, None);
    let mute = Arc::new(JumpHost {
        endpoint: Device {
            port: silent.local_addr().unwrap().port(),
            ..good.endpoint.clone()
        },
        ..JumpHost::clone(&good)
    });
    let device = Device {
        jump: Some(mute),
        ..good.endpoint.clone()
    };
    let client = client(&target);
    let cancel = CancelHandle::new();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| client.connector.host_key(&device, &cancel, far()));
        let _met = silent.accept().unwrap();
        cancel.cancel();
        assert_eq!(
            waiting.join().unwrap().unwrap_err(),
            SessionError::Cancelled
        );
    });
    // Nobody can ask any more, so the owner of the connection gives up as well.
    drop(client);
}
