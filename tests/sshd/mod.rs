//! OpenSSH's own server for tests: one `sshd -i` per connection on a loopback listener, and a
//! client of ours to reach it.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use wrmem::model::credentials::{AuthMethod, Credentials, PrivateKey, Secret};
use wrmem::model::device::{Device, DeviceName, HostKeyPolicy, SavePolicy};
use wrmem::model::limit::LimitSet;
use wrmem::model::platform::Platform;
use wrmem::model::stage::Trail;
use wrmem::session::known_hosts::KnownHosts;
use wrmem::session::ssh::{RealClock, SshConnector, SshOptions};
use wrmem::session::{
    CancelHandle, Clock, ConnectContext, Connector, LoginGate, LoginOutcome, ReadOutcome,
    SessionError, Transport,
};

/// Where packages put it.
pub(crate) const SSHD: &str = "/usr/sbin/sshd";

/// Ends the test with one line where there is no sshd.
#[macro_export]
macro_rules! need_sshd {
    () => {
        if !std::path::Path::new($crate::sshd::SSHD).exists() {
            eprintln!("SKIPPED: {} is not installed", $crate::sshd::SSHD);
            return;
        }
    };
}

/// A server for one test; dropping it waits for its processes.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    served: Arc<Mutex<Vec<Child>>>,
    accepting: Option<JoinHandle<()>>,
}

/// Makes a key pair with OpenSSH's own tool; `kind` is its type and what else it needs.
pub(crate) fn keygen(path: &Path, kind: &[&str], passphrase: &str) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-N", passphrase, "-C", "test", "-f"])
        .arg(path)
        .arg("-t")
        .args(kind)
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

fn me() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Server {
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_on("127.0.0.1:0".parse().unwrap(), options)
    }

    pub(crate) fn start_on(address: SocketAddr, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        // sshd wants it when it runs as root; packages make it only at boot.
        let _ = fs::create_dir_all("/run/sshd");
        keygen(&path("host_rsa"), &["rsa", "-b", "2048"], "");
        keygen(&path("host_ed25519"), &["ed25519"], "");
        let text = format!(
            "HostKey {}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
             StrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nForceCommand cat\nPrintMotd no\nPrintLastLog no\n\
             LogLevel DEBUG1\n",
            path("host_rsa").display(),
            path("host_ed25519").display(),
            path("authorized_keys").display(),
        );
        fs::write(path("sshd_config"), text).unwrap();
        let mut command = Command::new(SSHD);
        command.arg("-i").arg("-E").arg(path("log"));
        command.arg("-f").arg(path("sshd_config"));
        for option in options {
            command.arg("-o").arg(option);
        }
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let served = Arc::<Mutex<Vec<Child>>>::default();
        let serving = Arc::clone(&served);
        let accepting = thread::spawn(move || serve(&listener, (&stopped, &serving), &mut command));
        Self {
            folder,
            address,
            stop,
            served,
            accepting: Some(accepting),
        }
    }

    /// A path in the server's own temporary folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a client key that the server takes.
    pub(crate) fn key(&self, kind: &[&str], passphrase: &str) -> PrivateKey {
        let name = format!("client_{}_{}", kind.join("_"), passphrase.len());
        let path = self.path(&name);
        if !path.exists() {
            keygen(&path, kind, passphrase);
            let public = fs::read_to_string(path.with_extension("pub")).unwrap();
            let mut authorized = fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(self.path("authorized_keys"))
                .unwrap();
            authorized.write_all(public.as_bytes()).unwrap();
        }
        PrivateKey {
            origin: path.display().to_string(),
            text: Secret::new(fs::read_to_string(&path).unwrap()),
            passphrase: (!passphrase.is_empty()).then(|| Secret::new(passphrase.to_owned())),
        }
    }

    /// The server as a device that is logged in to with `key`.
    pub(crate) fn device(&self, key: PrivateKey) -> Device {
        let credentials = Credentials {
            key: Some(key),
            auth: vec![AuthMethod::PublicKey],
            ..Credentials::new("test", &me())
        };
        Device {
            port: self.address.port(),
            save: SavePolicy::Never,
            attempts: 1,
            ..Device::new(
                DeviceName::new("box").unwrap(),
                &self.address.ip().to_string(),
                Arc::new(Platform::default()),
                Arc::new(credentials),
            )
        }
    }

    /// Kills the process of every session so far, each by its own id.
    pub(crate) fn kill(&self) {
        for child in self.served.lock().unwrap().iter_mut() {
            let _ = child.kill();
        }
    }

    /// Waits for all sessions to end and returns what the server logged.
    pub(crate) fn finish(mut self) -> String {
        self.join();
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn join(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            self.stop.store(true, Ordering::SeqCst);
            let _ = TcpStream::connect(self.address);
            accepting.join().unwrap();
            for child in self.served.lock().unwrap().iter_mut() {
                child.wait().unwrap();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.join();
    }
}

fn serve(
    listener: &TcpListener,
    (stop, served): (&AtomicBool, &Mutex<Vec<Child>>),
    command: &mut Command,
) {
    for stream in listener.incoming() {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let stream: OwnedFd = stream.unwrap().into();
        command
            .stdin(stream.try_clone().unwrap())
            .stdout(stream)
            .stderr(Stdio::null());
        served.lock().unwrap().push(command.spawn().unwrap());
        // The command keeps the streams until it gets others.
        command.stdin(Stdio::null()).stdout(Stdio::null());
    }
}

/// A gate that lets everybody through and remembers how logins ended.
#[derive(Default)]
pub(crate) struct OpenGate(Mutex<Vec<LoginOutcome>>);

impl LoginGate for OpenGate {
    fn admit(
        &self,
        _: &Credentials,
        _: &[Arc<LimitSet>],
        cancel: &CancelHandle,
        _: Instant,
    ) -> Result<(), SessionError> {
        cancel.check()
    }

    fn settle(&self, _: &Credentials, outcome: LoginOutcome) {
        self.0.lock().unwrap().push(outcome);
    }

    fn wake(&self) {}
}

/// Our side.
pub(crate) struct Client {
    pub(crate) connector: SshConnector,
    pub(crate) known_hosts: Arc<KnownHosts>,
    pub(crate) gate: Arc<OpenGate>,
    pub(crate) trail: Trail,
}

impl Client {
    pub(crate) fn new(policy: HostKeyPolicy, known_hosts: &Path) -> Self {
        let known_hosts = Arc::new(KnownHosts::load(known_hosts).unwrap());
        let options = SshOptions {
            host_keys: policy,
            known_hosts: Arc::clone(&known_hosts),
            cpus: 2,
        };
        Self {
            connector: SshConnector::new(options).unwrap(),
            known_hosts,
            gate: Arc::default(),
            trail: Trail::default(),
        }
    }

    pub(crate) fn connect(&mut self, device: &Device) -> Result<Box<dyn Transport>, SessionError> {
        self.trail = Trail::default();
        let gate: Arc<dyn LoginGate> = Arc::<OpenGate>::clone(&self.gate);
        let context = ConnectContext {
            device,
            cancel: &CancelHandle::new(),
            gate: &gate,
            deadline: far(),
            called: &|| {},
        };
        self.connector.connect(&context, &mut self.trail)
    }

    /// How the logins ended so far.
    pub(crate) fn outcomes(&self) -> Vec<LoginOutcome> {
        self.gate.0.lock().unwrap().clone()
    }
}

/// A deadline that no test reaches.
pub(crate) fn far() -> Instant {
    RealClock.now() + Duration::from_secs(120)
}

/// Types `text` to a `cat` on a pty and reads until it came back twice: echo and answer.
pub(crate) fn talk(transport: &mut dyn Transport, text: &str) {
    transport.write(text.as_bytes(), far()).unwrap();
    let wanted = text.trim_end();
    let mut got = String::new();
    let mut buffer = [0; 1024];
    while got.matches(wanted).count() < 2 {
        match transport.read(&mut buffer, far()).unwrap() {
            ReadOutcome::Data(count) => got += &String::from_utf8_lossy(&buffer[..count]),
            other => panic!("{other:?} after {got:?}"),
        }
    }
}
