//! Logins and shells against a server that does what a test tells it: what a device may ask and
//! say, that each secret goes out once, and that every wait ends.

#![cfg(test)]
#![cfg(feature = "lab")]

use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::server::{Auth, Config, Handler, Msg, Response, Session};
use russh::{Channel, ChannelId};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use wrmem::model::credentials::{AuthMethod, Credentials, Secret};
use wrmem::model::device::{
    AlgorithmPolicy, Deadlines, Device, DeviceName, HostKeyPolicy, SavePolicy,
};
use wrmem::model::failure::FailureKind;
use wrmem::model::limit::LimitSet;
use wrmem::model::platform::Platform;
use wrmem::model::stage::Trail;
use wrmem::session::known_hosts::KnownHosts;
use wrmem::session::ssh::{RealClock, SshConnector, SshOptions};
use wrmem::session::{
    CancelHandle, Clock, ConnectContext, Connector, LoginGate, LoginOutcome, ReadOutcome,
    SessionError, Transport,
};

const PASSWORD: &str = "planted-password";
const SOON: Duration = Duration::from_millis(80);
const FAR: Duration = Duration::from_secs(300);

/// What the server does with a password, or with the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Accept,
    Refuse,
    Hang,
    HangUp,
}

/// Prompts of one round of keyboard-interactive, with their echo flags.
type Round = &'static [(&'static str, bool)];

#[derive(Debug, Clone)]
struct Script {
    password: Does,
    rounds: &'static [Round],
    shell: Does,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            password: Does::Accept,
            rounds: &[],
            shell: Does::Accept,
        }
    }
}

/// What the server saw, in order: `none`, `password ...`, `answer ...`, `shell`, `typed ...`.
type Seen = Sender<String>;

struct Connection {
    script: Script,
    seen: Seen,
    round: usize,
}

impl Connection {
    async fn act(&self, what: Does) -> Result<Auth, russh::Error> {
        match what {
            Does::Accept => Ok(Auth::Accept),
            Does::Refuse => Ok(Auth::reject()),
            Does::HangUp => Err(russh::Error::Disconnect),
            Does::Hang => std::future::pending().await,
        }
    }

    fn saw(&self, what: impl Into<String>) {
        let _ = self.seen.send(what.into());
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        self.saw("none");
        Ok(Auth::reject())
    }

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, Self::Error> {
        self.saw(format!("password {password}"));
        self.act(self.script.password).await
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        for answer in response.into_iter().flatten() {
            self.saw(format!("answer {}", String::from_utf8_lossy(&answer)));
        }
        let round = self.script.rounds.get(self.round);
        self.round += 1;
        let Some(prompts) = round else {
            return self.act(self.script.password).await;
        };
        let prompts: Vec<_> = prompts
            .iter()
            .map(|(text, echo)| (Cow::Borrowed(*text), *echo))
            .collect();
        Ok(Auth::Partial {
            name: "".into(),
            instructions: "".into(),
            prompts: prompts.into(),
        })
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: russh::server::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.saw("shell");
        match self.script.shell {
            Does::Accept => session.channel_success(channel),
            Does::Refuse => session.channel_failure(channel),
            Does::Hang => Ok(()),
            Does::HangUp => Err(russh::Error::Disconnect),
        }
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let typed = String::from_utf8_lossy(data).into_owned();
        self.saw(format!("typed {typed}"));
        match typed.as_str() {
            "hang" => std::future::pending().await,
            "cut" => Err(russh::Error::Disconnect),
            "exit" => session.close(channel),
            _ => session.data(channel, data.to_vec()),
        }
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        _: u32,
        _: u32,
        _: &[(russh::Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.saw(format!("pty {term} {columns} {rows}"));
        session.channel_success(channel)
    }
}

struct Server {
    address: SocketAddr,
    seen: Receiver<String>,
    // Ends the server when it is dropped.
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start(script: Script) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let config = Arc::new(Config {
            keys: vec![PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]))],
            auth_rejection_time: Duration::ZERO,
            ..Config::default()
        });
        let bind = tokio::net::TcpListener::bind("127.0.0.1:0");
        let listener = runtime.block_on(bind).unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, receiver) = mpsc::channel();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = Connection {
                    script: script.clone(),
                    seen: seen.clone(),
                    round: 0,
                };
                let config = Arc::clone(&config);
                tokio::spawn(async move {
                    if let Ok(session) = russh::server::run_stream(config, stream, connection).await
                    {
                        let _ = session.await;
                    }
                });
            }
        });
        Self {
            address,
            seen: receiver,
            _runtime: runtime,
        }
    }

    /// Waits until the server has seen `what`.
    fn wait_for(&self, what: &str) {
        while self.seen.recv_timeout(FAR).unwrap() != what {}
    }

    /// What the server has seen of logins so far.
    fn logins(&self) -> Vec<String> {
        let login = |line: &String| {
            ["none", "password", "answer"]
                .iter()
                .any(|word| line.starts_with(word))
        };
        self.seen.try_iter().filter(login).collect()
    }
}

#[derive(Default)]
struct Gate {
    outcomes: Mutex<Vec<LoginOutcome>>,
    closed: bool,
}

impl LoginGate for Gate {
    fn admit(
        &self,
        _: &Credentials,
        _: &[Arc<LimitSet>],
        _: &CancelHandle,
        _: Instant,
    ) -> Result<(), SessionError> {
        if self.closed {
            return Err(SessionError::new(FailureKind::AuthRefused, "resting"));
        }
        Ok(())
    }

    fn settle(&self, _: &Credentials, outcome: LoginOutcome) {
        self.outcomes.lock().unwrap().push(outcome);
    }

    fn wake(&self) {}
}

struct Client {
    gate: Arc<Gate>,
    cancel: CancelHandle,
    auth: Vec<AuthMethod>,
    deadlines: Deadlines,
}

impl Client {
    fn by(auth: &[AuthMethod]) -> Self {
        Self {
            gate: Arc::default(),
            cancel: CancelHandle::new(),
            auth: auth.to_vec(),
            deadlines: Deadlines {
                login: FAR,
                prompt: FAR,
                ..Deadlines::default()
            },
        }
    }

    fn connect(&self, server: &Server) -> Result<Box<dyn Transport>, SessionError> {
        self.connect_to(server.address)
    }

    fn connect_to(&self, address: SocketAddr) -> Result<Box<dyn Transport>, SessionError> {
        let credentials = Credentials {
            password: Some(Secret::new(PASSWORD.to_owned())),
            auth: self.auth.clone(),
            ..Credentials::new("lab", "ntc")
        };
        let device = Device {
            port: address.port(),
            save: SavePolicy::Never,
            algorithms: AlgorithmPolicy::Modern,
            deadlines: self.deadlines,
            attempts: 1,
            ..Device::new(
                DeviceName::new("box").unwrap(),
                &address.ip().to_string(),
                Arc::new(Platform::default()),
                Arc::new(credentials),
            )
        };
        let known_hosts = KnownHosts::load(Path::new("/nonexistent/known_hosts")).unwrap();
        let connector = SshConnector::new(SshOptions {
            host_keys: HostKeyPolicy::Off,
            known_hosts: Arc::new(known_hosts),
            cpus: 1,
        });
        let gate: Arc<dyn LoginGate> = Arc::<Gate>::clone(&self.gate);
        let context = ConnectContext {
            device: &device,
            cancel: &self.cancel,
            gate: &gate,
            deadline: RealClock.now() + FAR,
            called: &|| {},
        };
        connector.unwrap().connect(&context, &mut Trail::default())
    }

    #[track_caller]
    fn fail(&self, server: &Server, kind: FailureKind, part: &str) {
        let error = self.connect(server).err().unwrap();
        assert_eq!(error.kind(), kind, "{error}");
        let told = error.to_string();
        assert!(told.contains(part), "{told}");
        assert!(!told.contains(PASSWORD), "{told}");
    }

    #[track_caller]
    fn assert_settled(&self, outcomes: &[LoginOutcome]) {
        assert_eq!(*self.gate.outcomes.lock().unwrap(), outcomes);
    }
}

fn far() -> Instant {
    RealClock.now() + FAR
}

const BY_PASSWORD: &[AuthMethod] = &[AuthMethod::Password];
const BY_QUESTIONS: &[AuthMethod] = &[AuthMethod::KeyboardInteractive];

#[test]
fn a31_a_password_goes_out_once_without_probing() {
    let server = Server::start(Script::default());
    let client = Client::by(BY_PASSWORD);
    let mut transport = client.connect(&server).unwrap();
    transport.write(b"hello", far()).unwrap();
    let mut buffer = [0; 16];
    let read = transport.read(&mut buffer, far()).unwrap();
    assert_eq!((read, &buffer[..5]), (ReadOutcome::Data(5), &b"hello"[..]));
    client.assert_settled(&[LoginOutcome::Accepted]);
    let seen: Vec<_> = server.seen.try_iter().collect();
    let password = format!("password {PASSWORD}");
    let expected = [&password, "pty dumb 511 1000", "shell", "typed hello"];
    assert_eq!(seen, expected);
}

#[test]
fn a36_a_refused_password_is_not_tried_by_another_method() {
    let script = Script {
        password: Does::Refuse,
        rounds: &[&[("Password: ", false)]],
        ..Script::default()
    };
    let server = Server::start(script);
    let both = [AuthMethod::Password, AuthMethod::KeyboardInteractive];
    let client = Client::by(&both);
    let part = "auth = \"keyboard-interactive\"";
    client.fail(&server, FailureKind::AuthRefused, part);
    client.assert_settled(&[LoginOutcome::Refused]);
    assert_eq!(server.logins(), [format!("password {PASSWORD}")]);
}

#[test]
fn a30_questions_are_answered_by_what_they_ask() {
    let script = Script {
        rounds: &[&[("Username: ", true), ("Password: ", false)], &[]],
        ..Script::default()
    };
    let server = Server::start(script);
    let client = Client::by(BY_QUESTIONS);
    client.connect(&server).unwrap();
    let password = format!("answer {PASSWORD}");
    assert_eq!(server.logins(), ["answer ntc", &password]);
    client.assert_settled(&[LoginOutcome::Accepted]);
}

#[test]
fn a30_questions_that_are_not_answered_end_the_login() {
    let ask = |rounds: &'static [Round], kind, part: &str| {
        let server = Server::start(Script {
            rounds,
            ..Script::default()
        });
        let client = Client::by(BY_QUESTIONS);
        client.fail(&server, kind, part);
        server.logins()
    };
    let password = [format!("answer {PASSWORD}")];
    let seen = ask(
        &[&[("One-time code: ", false)]],
        FailureKind::AuthRefused,
        "\"One-time code:\"",
    );
    assert_eq!(seen, [""; 0], "nothing was answered");
    let seen = ask(
        &[&[("Password: ", false)], &[("Password: ", false)]],
        FailureKind::AuthRefused,
        "a second time",
    );
    assert_eq!(seen, password);
    let seen = ask(
        &[&[("Password: ", false)], &[("New password: ", false)]],
        FailureKind::PasswordExpired,
        "wants a new password",
    );
    assert_eq!(seen, password);
    const WHO: Round = &[("Username: ", true)];
    const ENDLESS: &[Round] = &[WHO; 20];
    let seen = ask(ENDLESS, FailureKind::AuthRefused, "without end");
    assert_eq!(seen, ["answer ntc"; 8]);
}

#[test]
fn a30_refused_answers_are_a_refused_login() {
    let server = Server::start(Script {
        password: Does::Refuse,
        rounds: &[&[("Password: ", false)]],
        ..Script::default()
    });
    let client = Client::by(BY_QUESTIONS);
    client.fail(&server, FailureKind::AuthRefused, "password refused");
    client.assert_settled(&[LoginOutcome::Refused]);
    assert_eq!(server.logins(), [format!("answer {PASSWORD}")]);
}

#[test]
fn a36_hanging_up_on_a_password_is_not_answered_with_the_password_again() {
    const ONE: &[Round] = &[&[("Password: ", false)]];
    for (auth, rounds) in [(BY_PASSWORD, &[][..]), (BY_QUESTIONS, ONE)] {
        let server = Server::start(Script {
            password: Does::HangUp,
            rounds,
            ..Script::default()
        });
        let client = Client::by(auth);
        client.fail(&server, FailureKind::AuthRefused, "is not sent again");
        assert_eq!(server.logins().len(), 1);
    }
}

#[test]
fn a_closed_gate_keeps_the_password_here() {
    let server = Server::start(Script::default());
    let mut client = Client::by(BY_PASSWORD);
    Arc::get_mut(&mut client.gate).unwrap().closed = true;
    client.fail(&server, FailureKind::AuthRefused, "resting");
    client.assert_settled(&[]);
    assert_eq!(server.logins(), [""; 0]);
}

#[test]
fn a_login_that_is_not_answered_ends_at_its_deadline_or_when_cancelled() {
    let script = Script {
        password: Does::Hang,
        ..Script::default()
    };
    let server = Server::start(script);
    let mut client = Client::by(BY_PASSWORD);
    client.deadlines.login = SOON;
    client.fail(&server, FailureKind::AuthRefused, "not sent again");
    client.assert_settled(&[LoginOutcome::Unknown]);
    assert_eq!(server.logins().len(), 1);
    let client = Client::by(BY_PASSWORD);
    thread::scope(|scope| {
        let address = server.address;
        let client = &client;
        let blocked = scope.spawn(move || client.connect_to(address).err());
        server.wait_for(&format!("password {PASSWORD}"));
        client.cancel.cancel();
        assert_eq!(blocked.join().unwrap(), Some(SessionError::Cancelled));
    });
    client.assert_settled(&[LoginOutcome::Unknown]);
}

#[test]
fn shells_that_are_refused_or_never_come() {
    for (shell, kind, part) in [
        (Does::Refuse, FailureKind::Busy, "gave us no shell"),
        (Does::Hang, FailureKind::Timeout, "we opened a shell"),
        (Does::HangUp, FailureKind::Reset, "we opened a shell"),
    ] {
        let server = Server::start(Script {
            shell,
            ..Script::default()
        });
        let mut client = Client::by(BY_PASSWORD);
        if shell == Does::Hang {
            client.deadlines.prompt = SOON;
        }
        client.fail(&server, kind, part);
        client.assert_settled(&[LoginOutcome::Accepted]);
    }
}

#[test]
fn reads_end_with_the_session_the_connection_the_deadline_or_a_cancel() {
    let server = Server::start(Script::default());
    let client = Client::by(BY_PASSWORD);
    let mut buffer = [0; 16];
    let mut typed = |bytes: &[u8], deadline| {
        let mut transport = client.connect(&server).unwrap();
        transport.write(bytes, far()).unwrap();
        transport.read(&mut buffer, deadline)
    };
    assert_eq!(typed(b"exit", far()), Ok(ReadOutcome::Eof));
    let soon = RealClock.now() + SOON;
    assert_eq!(typed(b"hang", soon), Ok(ReadOutcome::TimedOut));
    let cut = typed(b"cut", far()).err().unwrap();
    assert_eq!(cut.kind(), FailureKind::Reset, "{cut}");
    let mut transport = client.connect(&server).unwrap();
    transport.write(b"hang", far()).unwrap();
    server.wait_for("typed hang");
    thread::scope(|scope| {
        let blocked = scope.spawn(|| transport.read(&mut [0; 16], far()));
        client.cancel.cancel();
        assert_eq!(blocked.join().unwrap(), Err(SessionError::Cancelled));
    });
}

#[test]
fn a_device_that_takes_nothing_ends_a_write_at_its_deadline() {
    let server = Server::start(Script::default());
    let client = Client::by(BY_PASSWORD);
    let mut transport = client.connect(&server).unwrap();
    transport.write(b"hang", far()).unwrap();
    server.wait_for("typed hang");
    let flood = vec![b'#'; 32 << 20];
    let deadline = RealClock.now() + Duration::from_millis(300);
    let error = transport.write(&flood, deadline).err().unwrap();
    assert_eq!(error.kind(), FailureKind::Timeout, "{error}");
    transport.close();
}

#[test]
fn a09_a_wide_terminal_is_asked_for() {
    let server = Server::start(Script::default());
    let client = Client::by(BY_PASSWORD);
    drop(client.connect(&server).unwrap());
    let pty = server.seen.iter().find(|seen| seen.starts_with("pty "));
    let pty = pty.unwrap();
    let words: Vec<&str> = pty.split(' ').collect();
    assert_eq!(words[1], "dumb", "no colours, no cursor movements");
    assert!(words[2].parse::<u32>().unwrap() > 500, "{pty}");
    assert!(words[3].parse::<u32>().unwrap() > 500, "{pty}");
}

/// Silence ends a read, not the session; and no keepalive of libssh2 ends it sooner, as
/// `clippy.toml` sees to.
#[test]
fn a33_silence_is_a_tick_and_no_failure() {
    let server = Server::start(Script::default());
    let client = Client::by(BY_PASSWORD);
    let mut transport = client.connect(&server).unwrap();
    let mut buffer = [0; 16];
    for _ in 0..3 {
        let soon = RealClock.now() + SOON;
        let read = transport.read(&mut buffer, soon).unwrap();
        assert_eq!(read, ReadOutcome::TimedOut);
        assert!(RealClock.now() >= soon, "it ended before its deadline");
    }
    transport.write(b"hello", far()).unwrap();
    let read = transport.read(&mut buffer, far()).unwrap();
    assert_eq!(read, ReadOutcome::Data(5));
    let banned = include_str!("../clippy.toml");
    assert!(banned.contains("ssh2::Session::set_keepalive"));
}

#[test]
fn a49_the_end_waits_for_no_answer() {
    let server = Server::start(Script::default());
    let client = Client::by(BY_PASSWORD);
    // One closes by itself, one never answers again.
    for typed in ["exit", "hang"] {
        let mut transport = client.connect(&server).unwrap();
        transport.write(typed.as_bytes(), far()).unwrap();
        server.wait_for(&format!("typed {typed}"));
        transport.close();
        transport.close();
        assert!(transport.write(b"more", far()).is_err());
    }
}
