//! How many round trips a backup takes, counted and not timed: a lockstep proxy stands between
//! wrmem and a simulated device. It hands on what wrmem sends at once, but holds back what the device
//! answers until both threads sleep: the device has said all it has to say to that, and wrmem has
//! nothing more to send without an answer. So a round trip is counted for each time that wrmem had to wait.
#![cfg(test)]
#![cfg(feature = "lab")]

use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use wrmem::actors::archivist::CommitPace;
use wrmem::app::lock::StateLock;
use wrmem::app::{Orchestrator, RunRequest};
use wrmem::flow::Work;
use wrmem::lab::{FolderOptions, Lab, LabSpec, Login, write_settings};
use wrmem::model::report::Outcome;
use wrmem::settings::{self, Selection, Source};

/// The one thread that serves the simulated device.
const LAB_THREAD: &str = "lab-0";

/// Whether the thread of this name sleeps, as the kernel tells it.
fn sleeps(name: &str) -> bool {
    fs::read_dir("/proc/self/task")
        .unwrap()
        .flatten()
        .any(|task| {
            let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
            read("comm").trim_end() == name
                && read("stat")
                    .rsplit(") ")
                    .next()
                    .is_some_and(|rest| rest.starts_with('S'))
        })
}

enum Came {
    Bytes(usize),
    Nothing,
    End,
}

fn take(from: &mut TcpStream, buffer: &mut [u8]) -> Came {
    match from.read(buffer) {
        Ok(0) => Came::End,
        Ok(count) => Came::Bytes(count),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Came::Nothing,
        Err(_) => Came::End,
    }
}

/// Passes one connection on and counts its round trips, that of TCP included.
fn count_round_trips(listener: &TcpListener, device: SocketAddr, name: &str) -> Vec<String> {
    let (mut client, _) = listener.accept().unwrap();
    let mut server = TcpStream::connect(device).unwrap();
    client.set_nonblocking(true).unwrap();
    server.set_nonblocking(true).unwrap();
    let mut buffer = vec![0; 64 << 10];
    let mut held = Vec::new();
    let mut trips = vec!["TCP".to_owned()];
    let mut asked = Vec::new();
    loop {
        let asleep = sleeps(name) && sleeps(LAB_THREAD);
        // Only now: what it sent before it fell asleep is here.
        match take(&mut client, &mut buffer) {
            Came::End => return trips,
            Came::Bytes(count) => {
                server.write_all(&buffer[..count]).unwrap();
                asked.push(count);
                continue;
            }
            Came::Nothing => {}
        }
        match take(&mut server, &mut buffer) {
            Came::Bytes(count) => held.extend_from_slice(&buffer[..count]),
            Came::Nothing | Came::End => {}
        }
        if asleep && !held.is_empty() {
            client.write_all(&held).unwrap();
            if !asked.is_empty() {
                trips.push(format!("sent {asked:?}, got {}", held.len()));
            }
            asked.clear();
            held.clear();
        }
        thread::yield_now();
    }
}

/// What a session is for, and what lets it in.
struct Visit {
    work: Work,
    save: &'static str,
    key: Option<PrivateKey>,
}

fn round_trips(visit: Visit, name: &str) -> Vec<String> {
    let Visit { work, save, key } = visit;
    let name = name.to_owned();
    let dir = tempfile::tempdir().unwrap();
    let public_key = key.as_ref().map(|key| key.public_key().to_openssh());
    let lab = Lab::start(&LabSpec {
        devices: 1,
        base_name: name.clone(),
        login: Login {
            public_key: public_key.transpose().unwrap(),
            ..Login::default()
        },
        ..LabSpec::default()
    })
    .unwrap();
    let name = format!("{name}1");
    let device = lab.device(&name).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = listener.local_addr().unwrap();
    let at_proxy = device.clone().at(proxy);
    write_settings(dir.path(), &[at_proxy], &FolderOptions::default()).unwrap();
    if let Some(key) = key {
        let file = dir.path().join("id_ed25519");
        fs::write(&file, key.to_openssh(LineEnding::LF).unwrap()).unwrap();
        let login = format!("username = \"ntc\"\nkey = {file:?}\nauth = \"publickey\"\n");
        let credentials = dir.path().join("settings/credentials.toml");
        fs::write(credentials, format!("[credentials.lab]\n{login}")).unwrap();
    }
    let source = Source {
        dir: dir.path().join("settings"),
        flags: vec![("run.save".to_owned(), save.to_owned())],
        env: Vec::new(),
    };
    let loaded = settings::load(&source).unwrap();
    let selected = loaded.inventory.select(&Selection::default(), &[]).unwrap();
    let request = RunRequest {
        broken: selected.broken,
        ..RunRequest::of(selected.devices.into_iter().map(Arc::new).collect(), work)
    };
    let counting: JoinHandle<Vec<String>> = {
        let (addr, name) = (device.addr(), name.clone());
        thread::spawn(move || count_round_trips(&listener, addr, &name))
    };
    let lock = StateLock::acquire(&loaded.settings.state.dir, "test").unwrap();
    let report = actix::System::new().block_on(async {
        let orchestrator =
            Orchestrator::start(&loaded.settings, lock, Vec::new(), CommitPace::EachRun).unwrap();
        let (report, result) = orchestrator.run(request).await;
        result.unwrap();
        orchestrator.close().await;
        report.unwrap()
    });
    assert_eq!(report.devices[0].outcome, Outcome::Ok);
    assert_eq!(report.devices[0].attempts.len(), 1);
    counting.join().unwrap()
}

// TCP 1, key exchange 3, password 1, channel 1, pty and shell 1, paging off and privilege 1.
const CONNECT: usize = 8;

#[track_caller]
fn assert_count(trips: &[String], count: usize) {
    assert_eq!(trips.len(), count, "{trips:#?}");
}

fn visit(work: Work, save: &'static str) -> Visit {
    let key = None;
    Visit { work, save, key }
}

/// One test, because it looks at threads of this process by their names.
#[test]
fn ten_round_trips_with_every_answer_checked_and_nothing_waited_for_at_the_end() {
    let login = round_trips(visit(Work::Login, "never"), "login");
    assert_count(&login, CONNECT);
    let read = round_trips(visit(Work::Backup, "never"), "read");
    assert_count(&read, CONNECT + 1);
    let save = round_trips(visit(Work::Backup, "always"), "save");
    assert_count(&save, CONNECT + 2);
    // libssh2 always asks first whether the key would do.
    let by_key = Visit {
        key: Some(PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]))),
        ..visit(Work::Backup, "always")
    };
    assert_count(&round_trips(by_key, "key"), CONNECT + 3);
}
