//! By which way and with what a device is logged in to: SSH agents, several credentials, source
//! address and interface, further files of known keys.

use crate::need_sshd;
use crate::sshd::{Client, Server, far, keygen, talk};
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use wrmem::model::credentials::{Agent, AuthMethod, Credentials, PrivateKey, Secret};
use wrmem::model::device::{Device, Egress, HostKeyPolicy};
use wrmem::model::failure::FailureKind;
use wrmem::model::stage::Trail;
use wrmem::session::gate::RunGate;
use wrmem::session::known_hosts::KnownHosts;
use wrmem::session::ssh::{RealClock, SshConnector, SshOptions};
use wrmem::session::{
    CancelHandle, ConnectContext, Connector, LoginGate, LoginOutcome, SessionError,
};

/// OpenSSH's own agent; ended with the test.
struct RealAgent(Child, PathBuf);

impl RealAgent {
    /// Starts it with these keys.
    fn start(folder: &Path, keys: &[&Path]) -> Self {
        let socket = folder.join("agent.sock");
        let mut agent = Command::new("ssh-agent");
        agent.arg("-D").arg("-a").arg(&socket);
        let child = agent.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let agent = Self(child.unwrap(), socket);
        for key in keys {
            // It is there once it answers.
            while !agent.add(key).status.success() {
                std::thread::yield_now();
            }
        }
        agent
    }

    fn add(&self, key: &Path) -> std::process::Output {
        let mut add = Command::new("ssh-add");
        add.arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.1);
        add.stdin(Stdio::null()).output().unwrap()
    }
}

impl Drop for RealAgent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn device(base: &Device, socket: &Path, key: Option<&str>) -> Device {
    let credentials = Credentials {
        agent: Some(Agent {
            socket: socket.to_str().unwrap().to_owned(),
            key: key.map(str::to_owned),
        }),
        auth: vec![AuthMethod::Agent],
        ..Credentials::new("agent", &base.credentials.username)
    };
    Device {
        credentials: Arc::new(credentials),
        ..base.clone()
    }
}

fn stranger(server: &Server, name: &str) -> PathBuf {
    let path = server.path(name);
    keygen(&path, &["ed25519"], "");
    path
}

#[test]
fn keys_that_an_agent_holds_log_in() {
    need_sshd!();
    let server = Server::start(&[]);
    let key = server.key(&["ed25519"], "");
    let base = server.device(key.clone());
    let rsa = server.key(&["rsa", "-b", "2048"], "");
    let (key, rsa) = (Path::new(&key.origin), Path::new(&rsa.origin));
    let other = stranger(&server, "other");
    let agent = RealAgent::start(server.path("").as_path(), &[&other, key]);
    let mut client = Client::new(HostKeyPolicy::AcceptNew, &server.path("known_hosts"));
    // The first key is refused, the second one is not.
    let mut transport = client.connect(&device(&base, &agent.1, None)).unwrap();
    talk(transport.as_mut(), "hello\n");
    transport.close();
    assert_eq!(client.trail.credentials.as_deref(), Some("agent"));
    assert!(agent.add(rsa).status.success());
    let public = fs::read_to_string(rsa.with_extension("pub")).unwrap();
    let blob = public.split(' ').nth(1).unwrap();
    let blob = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, blob).unwrap();
    let print = wrmem::session::known_hosts::HostKey::new(blob).unwrap();
    drop(
        client
            .connect(&device(&base, &agent.1, Some(&print.fingerprint())))
            .unwrap(),
    );
    let error = client
        .connect(&device(&base, &agent.1, Some("nobody")))
        .err()
        .unwrap();
    assert_eq!(error.kind(), FailureKind::Settings, "{error}");
    assert!(
        error.to_string().contains("agent_key = \"nobody\""),
        "{error}"
    );
    let log = server.finish();
    assert!(log.contains("Accepted publickey"), "{log}");
}

#[test]
fn an_agent_whose_keys_are_refused_an_empty_one_and_none_are_told() {
    need_sshd!();
    let server = Server::start(&["MaxAuthTries=20"]);
    let base = server.device(server.key(&["ed25519"], ""));
    let mut client = Client::new(HostKeyPolicy::AcceptNew, &server.path("known_hosts"));
    let strangers: Vec<_> = (0..5)
        .map(|n| stranger(&server, &format!("s{n}")))
        .collect();
    let paths: Vec<&Path> = strangers.iter().map(PathBuf::as_path).collect();
    let agent = RealAgent::start(server.path("").as_path(), &paths);
    let mut fail = |socket: &Path, kind, part: &str| {
        let error = client.connect(&device(&base, socket, None)).err().unwrap();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    };
    fail(
        &agent.1,
        FailureKind::AuthRefused,
        "and 2 more were not offered",
    );
    let mut forget = Command::new("ssh-add");
    forget.arg("-qD").env("SSH_AUTH_SOCK", &agent.1);
    assert!(forget.stderr(Stdio::null()).status().unwrap().success());
    fail(&agent.1, FailureKind::Settings, "holds no key");
    let socket = agent.1.clone();
    drop(agent);
    fail(&socket, FailureKind::Settings, "is not there");
}

#[test]
fn an_agent_that_does_not_answer_ends_at_the_deadline() {
    need_sshd!();
    let server = Server::start(&[]);
    let socket = server.path("dead.sock");
    // It takes connections and never says a word.
    let _dead = UnixListener::bind(&socket).unwrap();
    let base = server.device(server.key(&["ed25519"], ""));
    let mut device = device(&base, &socket, None);
    device.deadlines.login = Duration::from_millis(300);
    let mut client = Client::new(HostKeyPolicy::AcceptNew, &server.path("known_hosts"));
    let error = client.connect(&device).err().unwrap();
    assert_eq!(error.kind(), FailureKind::Settings, "{error}");
    assert!(error.to_string().contains("does not answer"), "{error}");
    assert_eq!(client.outcomes(), [LoginOutcome::Unknown]);
}

/// Logs in under the gate of one run.
struct InRun {
    connector: SshConnector,
    gate: Arc<dyn LoginGate>,
}

impl InRun {
    fn new(server: &Server) -> Self {
        let known = KnownHosts::load(&server.path("known_hosts")).unwrap();
        let options = SshOptions {
            host_keys: HostKeyPolicy::AcceptNew,
            known_hosts: Arc::new(known),
            cpus: 2,
        };
        Self {
            connector: SshConnector::new(options).unwrap(),
            gate: Arc::new(RunGate::new(Arc::new(RealClock), Arc::default())),
        }
    }

    fn connect(&self, device: &Device) -> (Result<(), SessionError>, Trail) {
        let mut trail = Trail::default();
        let context = ConnectContext {
            device,
            cancel: &CancelHandle::new(),
            gate: &self.gate,
            deadline: far(),
            called: &|| {},
        };
        let result = self.connector.connect(&context, &mut trail).map(drop);
        (result, trail)
    }
}

/// Credentials with a key that the server does not know.
fn unknown_to(server: &Server, name: &str, username: &str) -> Arc<Credentials> {
    let path = stranger(server, name);
    Arc::new(Credentials {
        key: Some(PrivateKey {
            origin: path.display().to_string(),
            text: Secret::new(fs::read_to_string(&path).unwrap()),
            passphrase: None,
        }),
        auth: vec![AuthMethod::PublicKey],
        ..Credentials::new(name, username)
    })
}

#[test]
fn of_several_credentials_each_is_tried_once_and_what_worked_is_remembered() {
    need_sshd!();
    let server = Server::start(&[]);
    let good = server.device(server.key(&["ed25519"], ""));
    let user = good.credentials.username.clone();
    let device = Device {
        credentials: unknown_to(&server, "ntc", &user),
        fallbacks: vec![
            Arc::clone(&good.credentials),
            unknown_to(&server, "older", &user),
        ],
        ..good
    };
    let run = InRun::new(&server);
    let (result, trail) = run.connect(&device);
    result.unwrap();
    assert_eq!(trail.credentials.as_deref(), Some("test"));
    assert_eq!(trail.refused, ["ntc"]);
    let told = trail.notes.join("\n");
    assert!(
        told.contains("logged in with credentials \"test\""),
        "{told}"
    );
    // The next attempt of the run begins with what worked, and knows nothing else.
    let (result, trail) = run.connect(&device);
    result.unwrap();
    assert_eq!(trail.refused, [] as [&str; 0]);
    assert_eq!(trail.credentials.as_deref(), Some("test"));
    let log = server.finish();
    let failed = log.matches("Failed publickey").count();
    assert_eq!(failed, 1, "{log}");
    assert_eq!(log.matches("Accepted publickey").count(), 2, "{log}");
}

#[test]
fn where_none_of_several_credentials_is_taken_each_is_named() {
    need_sshd!();
    let server = Server::start(&[]);
    let base = server.device(server.key(&["ed25519"], ""));
    let user = base.credentials.username.clone();
    let device = Device {
        credentials: unknown_to(&server, "ntc", &user),
        fallbacks: vec![unknown_to(&server, "old", &user)],
        ..base
    };
    let run = InRun::new(&server);
    let (result, trail) = run.connect(&device);
    let error = result.unwrap_err();
    assert_eq!(error.kind(), FailureKind::AuthRefused);
    for part in ["took none of its credentials", "\"ntc\"", "\"old\""] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(trail.refused, ["ntc", "old"]);
    assert_eq!(trail.credentials, None);
    // Neither is sent to it again in this run.
    assert!(!run.gate.is_open(&device.name, "ntc"));
    let (again, _) = run.connect(&device);
    let again = again.unwrap_err().to_string();
    assert!(again.contains("refused all of them before"), "{again}");
    assert_eq!(server.finish().matches("Failed publickey").count(), 2);
}

#[test]
fn a_connection_goes_out_from_its_source_address_and_interface() {
    need_sshd!();
    let server = Server::start(&[]);
    let mut client = Client::new(HostKeyPolicy::AcceptNew, &server.path("known_hosts"));
    let base = server.device(server.key(&["ed25519"], ""));
    let from = |source: Option<&str>, interface: Option<&str>| Device {
        egress: Egress {
            source: source.map(|address| address.parse().unwrap()),
            interface: interface.map(str::to_owned),
        },
        ..base.clone()
    };
    drop(client.connect(&from(Some("127.0.0.2"), None)).unwrap());
    drop(client.connect(&from(None, Some("lo"))).unwrap());
    for (device, part) in [
        (from(Some("192.0.2.77"), None), "not on this machine"),
        (from(Some("::1"), None), "no address of the same IP version"),
        (from(None, Some("nosuch0")), "`ip link` lists those"),
    ] {
        let error = client.connect(&device).err().unwrap();
        assert_eq!(error.kind(), FailureKind::Settings, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let log = server.finish();
    assert!(log.contains("Connection from 127.0.0.2 port"), "{log}");
    assert!(log.contains("Connection from 127.0.0.1 port"), "{log}");
}

#[test]
fn a_key_from_a_hashed_file_of_openssh_is_known_and_strictness_is_content() {
    need_sshd!();
    let server = Server::start(&[]);
    let device = server.device(server.key(&["ed25519"], ""));
    let public = fs::read_to_string(server.path("host_ed25519.pub")).unwrap();
    let further = server.path("ssh_known_hosts");
    let line = format!("[127.0.0.1]:{} {public}", device.port);
    fs::write(&further, line).unwrap();
    let mut hash = Command::new("ssh-keygen");
    hash.arg("-H").arg("-f").arg(&further);
    hash.stdout(Stdio::null()).stderr(Stdio::null());
    assert!(hash.status().unwrap().success());
    let text = fs::read_to_string(&further).unwrap();
    assert!(text.starts_with("|1|"), "{text}");
    let own = server.path("known_hosts");
    let mut client = Client::new(HostKeyPolicy::Strict, &own);
    assert!(client.connect(&device).is_err());
    let known = KnownHosts::load(&own).unwrap();
    let known = Arc::new(known.with_extra(&[further]).unwrap());
    client.connector = SshConnector::new(SshOptions {
        host_keys: HostKeyPolicy::Strict,
        known_hosts: Arc::clone(&known),
        cpus: 2,
    })
    .unwrap();
    drop(client.connect(&device).unwrap());
    known.flush().unwrap();
    assert!(!own.exists(), "nothing was new");
}
