//! The lab, spoken to by ssh2 directly.
#![cfg(feature = "lab")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use ssh2::{Channel, KeyboardInteractivePrompt, MethodType, Prompt, Session};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use wrmem::lab::{
    Algorithms, Bind, Fault, FaultRule, FolderOptions, Lab, LabDevice, LabError, LabSpec, Select,
    Think, plan, write_settings,
};

fn lab(devices: usize) -> Lab {
    start(LabSpec {
        devices,
        ..LabSpec::default()
    })
}

fn start(spec: LabSpec) -> Lab {
    Lab::start(&spec).expect("the lab starts")
}

/// A lab of one device with this fault.
fn faulty(fault: Fault) -> Lab {
    start(LabSpec {
        devices: 1,
        faults: vec![FaultRule {
            select: Select::Every(1),
            faults: vec![fault],
        }],
        ..LabSpec::default()
    })
}

type Preference = (MethodType, &'static str);

fn handshake(addr: SocketAddr, preferences: &[Preference]) -> Result<Session, ssh2::Error> {
    let socket = TcpStream::connect(addr).expect("the device listens");
    socket.set_nodelay(true).unwrap();
    let mut session = Session::new()?;
    // Only so that a broken lab fails the test instead of hanging it.
    session.set_timeout(60_000);
    for (method, names) in preferences {
        session.method_pref(*method, names)?;
    }
    session.set_tcp_stream(socket);
    session.handshake()?;
    Ok(session)
}

fn login(addr: SocketAddr) -> Session {
    let session = handshake(addr, &[]).expect("key exchange");
    session.userauth_password("ntc", "ntc123").expect("login");
    session
}

struct Shell {
    channel: Channel,
}

impl Shell {
    fn open(device: &LabDevice) -> Self {
        Self::on(&login(device.addr()))
    }

    fn on(session: &Session) -> Self {
        let mut channel = session.channel_session().expect("channel");
        channel
            .request_pty("vt100", None, Some((511, 24, 0, 0)))
            .expect("pty");
        channel.shell().expect("shell");
        Self { channel }
    }

    fn send(&mut self, text: &str) {
        self.channel.write_all(text.as_bytes()).expect("write");
    }

    /// Reads until the text ends in `end`; what came by then otherwise.
    fn until(&mut self, end: &str) -> String {
        let mut all = Vec::new();
        let mut piece = [0_u8; 32 << 10];
        while !all.ends_with(end.as_bytes()) {
            match self.channel.read(&mut piece) {
                Ok(count @ 1..) => all.extend_from_slice(&piece[..count]),
                Ok(_) | Err(_) => break,
            }
        }
        text(&all)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a `show running-config` says between its header and the prompt, with LF line ends.
fn config_in(output: &str) -> String {
    let (_, rest) = output
        .split_once("Current configuration : ")
        .expect("a header");
    let (_, rest) = rest.split_once("\r\n").expect("a line");
    let (config, _) = rest.rsplit_once("\r\n\r\n").expect("a blank line");
    format!("{}\n", config.replace("\r\n", "\n"))
}

#[test]
fn a_device_is_saved_and_shown_whole() {
    let lab = lab(3);
    for device in lab.devices() {
        let prompt = format!("{}#", device.name());
        let mut shell = Shell::open(device);
        assert!(shell.until(&prompt).contains("authorized access only"));
        shell.send("term len 0\n");
        assert_eq!(shell.until(&prompt), format!("term len 0\r\n{prompt}"));
        shell.send("show privilege\nwr mem\n");
        assert_eq!(
            shell.until(&format!("[OK]\r\n{prompt}")),
            format!(
                "show privilege\r\nCurrent privilege level is 15\r\n{prompt}wr mem\r\n\
                 Building configuration...\r\n[OK]\r\n{prompt}"
            )
        );
        shell.send("show run\n");
        let output = shell.until(&format!("\r\nend\r\n\r\n{prompt}"));
        assert!(output.starts_with("show run\r\nBuilding configuration...\r\n\r\nCurrent "));
        assert_eq!(config_in(&output), text(device.expected()));
        let counts = device.counts();
        assert_eq!((counts.connections, counts.logins), (1, 1));
        assert_eq!((counts.saves, counts.show_runs), (1, 1));
        assert_eq!((counts.password_attempts, counts.none_requests), (1, 0));
        assert_eq!(
            text(&device.typed()),
            "term len 0\nshow privilege\nwr mem\nshow run\n"
        );
    }
    assert_eq!(lab.counts().saves, 3);
}

#[test]
fn the_pager_asks_until_it_is_turned_off() {
    let lab = lab(1);
    let mut shell = Shell::open(&lab.devices()[0]);
    shell.until("csr1#");
    shell.send("show running-config\r");
    shell.until(" --More-- ");
    shell.send(" ");
    shell.until(" --More-- ");
    shell.send("q");
    assert!(shell.until("csr1#").starts_with('\u{8}'));
}

#[test]
fn a_wrong_password_is_refused_at_once_and_three_end_the_connection() {
    let lab = lab(1);
    let device = &lab.devices()[0];
    let session = handshake(device.addr(), &[]).unwrap();
    for _ in 0..3 {
        assert!(session.userauth_password("ntc", "wrong").is_err());
    }
    assert!(session.userauth_password("ntc", "ntc123").is_err());
    assert!(!session.authenticated());
    let counts = device.counts();
    assert_eq!((counts.password_attempts, counts.logins), (3, 0));

    let session = handshake(device.addr(), &[]).unwrap();
    assert!(session.userauth_password("someone", "ntc123").is_err());
    assert!(session.userauth_password("ntc", "ntc123").is_ok());
}

#[test]
fn none_is_refused_and_counted() {
    let lab = lab(1);
    let device = &lab.devices()[0];
    let session = handshake(device.addr(), &[]).unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "that it is counted is what is tested here"
    )]
    let methods = session.auth_methods("ntc").unwrap().to_owned();
    assert!(methods.contains("password"), "{methods}");
    assert_eq!(device.counts().none_requests, 1);
}

struct Answer;

impl KeyboardInteractivePrompt for Answer {
    fn prompt(&mut self, _: &str, _: &str, prompts: &[Prompt<'_>]) -> Vec<String> {
        prompts
            .iter()
            .map(|prompt| {
                assert_eq!((prompt.text.as_ref(), prompt.echo), ("Password: ", false));
                "ntc123".to_owned()
            })
            .collect()
    }
}

#[test]
fn keyboard_interactive_lets_in_too() {
    let lab = lab(1);
    let session = handshake(lab.devices()[0].addr(), &[]).unwrap();
    session
        .userauth_keyboard_interactive("ntc", &mut Answer)
        .unwrap();
    let mut shell = Shell::on(&session);
    shell.until("csr1#");
    assert_eq!(lab.counts().password_attempts, 1);
}

fn host_key(device: &LabDevice) -> Vec<u8> {
    let session = handshake(device.addr(), &[]).unwrap();
    session.host_key().unwrap().0.to_vec()
}

#[test]
fn host_keys_and_configs_come_from_seed_and_name() {
    let (first, again) = (lab(2), lab(2));
    let other = start(LabSpec {
        seed: 2,
        devices: 2,
        ..LabSpec::default()
    });
    let shard = start(LabSpec {
        first: 2,
        devices: 1,
        ..LabSpec::default()
    });
    let (csr1, csr2) = (&first.devices()[0], &first.devices()[1]);
    assert_eq!(host_key(csr1), host_key(&again.devices()[0]));
    assert_eq!(host_key(csr2), host_key(shard.device("csr2").unwrap()));
    assert_eq!(csr2.expected(), shard.devices()[0].expected());
    assert_ne!(host_key(csr1), host_key(csr2));
    assert_ne!(host_key(csr1), host_key(&other.devices()[0]));
    assert_ne!(csr1.expected(), other.devices()[0].expected());
}

#[test]
fn ios_xe_16_offers_old_algorithms_only() {
    let lab = start(LabSpec {
        devices: 2,
        algorithms: Algorithms::IosXe16,
        ..LabSpec::default()
    });
    let addr = lab.devices()[0].addr();
    for kex in [
        "diffie-hellman-group14-sha1",
        "diffie-hellman-group-exchange-sha1",
    ] {
        let session = handshake(addr, &[(MethodType::Kex, kex)]).expect(kex);
        assert_eq!(session.methods(MethodType::Kex), Some(kex));
        assert_eq!(session.methods(MethodType::HostKey), Some("ssh-rsa"));
        assert_eq!(session.methods(MethodType::MacCs), Some("hmac-sha1"));
        assert_eq!(session.banner(), Some("SSH-2.0-Cisco-1.25"));
        session.userauth_password("ntc", "ntc123").unwrap();
        let mut shell = Shell::on(&session);
        shell.until("csr1#");
        shell.send("wr\n");
        assert!(shell.until("csr1#").contains("[OK]"));
    }
    for modern in [
        (MethodType::Kex, "curve25519-sha256"),
        (MethodType::HostKey, "rsa-sha2-256"),
    ] {
        assert!(handshake(addr, &[modern]).is_err());
    }
    let cbc = [MethodType::CryptCs, MethodType::CryptSc].map(|way| (way, "aes128-cbc"));
    let cbc = handshake(addr, &cbc).unwrap();
    cbc.userauth_password("ntc", "ntc123").unwrap();
    Shell::on(&cbc).until("csr1#");
}

/// All that a device says to a client that identifies itself and then has nothing more to say.
fn last_words(fault: Fault) -> Vec<u8> {
    let lab = faulty(fault);
    let mut socket = TcpStream::connect(lab.devices()[0].addr()).unwrap();
    // The device may have hung up before.
    let _ = socket.write_all(b"SSH-2.0-test\r\n");
    let _ = socket.shutdown(Shutdown::Write);
    let mut said = Vec::new();
    let _ = socket.read_to_end(&mut said);
    said
}

#[test]
fn faults_before_the_key_exchange() {
    assert_eq!(text(&last_words(Fault::Silent)), "");
    assert_eq!(text(&last_words(Fault::CloseBeforeBanner)), "");
    assert_eq!(
        text(&last_words(Fault::HangInKex)),
        "SSH-2.0-Cisco-1.25\r\n"
    );
    let garbage = last_words(Fault::Garbage);
    assert!(!garbage.is_empty() && !garbage.starts_with(b"SSH-"));
    let refused = faulty(Fault::Refused);
    let error = TcpStream::connect(refused.devices()[0].addr()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn faults_after_it() {
    let lab = faulty(Fault::WrongPassword);
    let session = handshake(lab.devices()[0].addr(), &[]).unwrap();
    assert!(session.userauth_password("ntc", "ntc123").is_err());
    assert_eq!(lab.counts().password_attempts, 1);

    let lab = faulty(Fault::CloseMidOutput);
    let mut shell = Shell::open(&lab.devices()[0]);
    shell.send("term len 0\nshow run\n");
    // libssh2 may drop what it has not handed out when a connection breaks.
    let output = shell.until("the end of the connection");
    assert!(!output.contains("\r\nend\r\n"), "{output}");
    assert_eq!(lab.counts().show_runs, 1);

    let lab = faulty(Fault::Drip);
    let device = &lab.devices()[0];
    let mut shell = Shell::open(device);
    shell.send("term len 0\nshow run\n");
    let output = shell.until("\r\nend\r\n\r\ncsr1#");
    assert_eq!(config_in(&output), text(device.expected()));

    let lab = faulty(Fault::UserMode);
    let mut shell = Shell::open(&lab.devices()[0]);
    shell.until("csr1>");
    shell.send("enable\n");
    shell.until("Password: ");
    shell.send("ntc-enable\n");
    assert_eq!(shell.until("csr1#"), "\r\ncsr1#");
}

#[test]
fn the_journal_has_what_was_shown_whole() {
    use sha2::{Digest as _, Sha256};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    fs::write(&path, "what another lab noted\n").unwrap();
    let spec = LabSpec {
        devices: 2,
        faults: vec!["close-mid-output@csr2".parse().unwrap()],
        journal: Some(path.clone()),
        ..LabSpec::default()
    };
    let lab = start(spec.clone());
    for device in lab.devices() {
        let mut shell = Shell::open(device);
        shell.send("term len 0\nshow run\nexit\n");
        shell.until("the end of the connection");
    }
    let mut expected = String::new();
    for byte in Sha256::digest(lab.devices()[0].expected()) {
        let _ = write!(expected, "{byte:02x}");
    }
    lab.stop();
    let noted = fs::read_to_string(&path).unwrap();
    let noted = noted.strip_prefix("what another lab noted\n").unwrap();
    let (time, words) = noted.split_once(' ').unwrap();
    assert!(time.parse::<u64>().unwrap() > 1_700_000_000_000, "{noted}");
    assert_eq!(words, format!("csr1 {expected}\n"));

    let nowhere = folder.path().join("nowhere/journal");
    let error = Lab::start(&LabSpec {
        journal: Some(nowhere),
        ..spec
    });
    let told = error.unwrap_err().to_string();
    assert!(told.contains("nowhere/journal"), "{told}");
}

#[test]
fn a_banner_trap_is_told_before_and_after_login() {
    let lab = faulty(Fault::BannerTrap);
    let mut shell = Shell::open(&lab.devices()[0]);
    let greeting = shell.until("that was the banner\r\n\r\ncsr1#");
    assert!(greeting.contains("\r\ncsr1#\r\nthat was"), "{greeting}");
}

#[test]
fn the_whole_byte_stream_is_late_and_stays_whole() {
    let rtt = Duration::from_millis(30);
    let lab = start(LabSpec {
        devices: 1,
        rtt,
        config_bytes: 300_000,
        ..LabSpec::default()
    });
    let device = &lab.devices()[0];
    let begun = Instant::now();
    let mut shell = Shell::open(device);
    shell.until("csr1#");
    // Identification, key exchange, service, login, channel, pty and shell: six round trips at
    // the very least.
    assert!(begun.elapsed() > rtt * 6, "{:?}", begun.elapsed());
    shell.send("term len 0\nshow run\n");
    let output = shell.until("\r\nend\r\n\r\ncsr1#");
    assert_eq!(config_in(&output), text(device.expected()));
    shell.send("exit\n");
    shell.until("the end of the connection");
}

#[test]
fn a_device_takes_its_time() {
    let lab = start(LabSpec {
        devices: 1,
        think: Think {
            login: Duration::from_millis(20),
            save: Duration::from_millis(40),
            show_run: Duration::from_millis(30),
        },
        ..LabSpec::default()
    });
    let device = &lab.devices()[0];
    let begun = Instant::now();
    let mut shell = Shell::open(device);
    assert!(begun.elapsed() >= Duration::from_millis(20));
    shell.until("csr1#");
    let begun = Instant::now();
    shell.send("term len 0\nwr\nshow run\nshow clock\n");
    let output = shell.until("2026\r\ncsr1#");
    assert!(begun.elapsed() >= Duration::from_millis(70));
    let order: Vec<_> = ["term len 0", "[OK]", "hostname csr1", "show clock"]
        .iter()
        .map(|part| output.find(part).expect(part))
        .collect();
    assert!(order.is_sorted(), "{output}");
}

#[test]
fn sessions_of_one_device_know_nothing_of_each_other() {
    let lab = lab(1);
    let device = &lab.devices()[0];
    let (mut one, mut two) = (Shell::open(device), Shell::open(device));
    one.until("csr1#");
    two.until("csr1#");
    assert_eq!(device.counts().open, 2);
    one.send("term len 0\n");
    one.until("csr1#");
    two.send("show run\n");
    two.until(" --More-- ");
    one.send("show run\n");
    one.until("\r\nend\r\n\r\ncsr1#");
}

#[test]
fn exit_ends_the_session() {
    let lab = lab(1);
    let device = &lab.devices()[0];
    let mut shell = Shell::open(device);
    shell.until("csr1#");
    assert_eq!(device.counts().open, 1);
    shell.send("exit\n");
    // The client still holds its end.
    let deadline = Instant::now() + Duration::from_secs(60);
    while device.counts().open > 0 {
        assert!(Instant::now() < deadline, "the session is still open");
        std::thread::yield_now();
    }
    assert_eq!(device.counts().connections, 1);
}

/// All that a device says to someone who types everything ahead and then waits for the end.
fn typed_ahead(spec: LabSpec) -> String {
    let lab = start(spec);
    let device = &lab.devices()[0];
    let mut shell = Shell::open(device);
    shell.until("csr1#");
    shell.send("term len 0\nshow run\nexit\n");
    shell.until("csr1#exit\r\n")
}

#[test]
fn what_was_asked_for_before_exit_is_told_whole() {
    let slow = LabSpec {
        devices: 1,
        think: Think::device_time(Duration::from_millis(20)),
        rtt: Duration::from_millis(10),
        ..LabSpec::default()
    };
    // More than the client's window takes at once.
    let big = LabSpec {
        devices: 1,
        config_bytes: 4 << 20,
        ..LabSpec::default()
    };
    for spec in [slow, big] {
        let output = typed_ahead(spec);
        let last = &output[output.len().saturating_sub(200)..];
        assert!(last.ends_with("\r\nend\r\n\r\ncsr1#exit\r\n"), "{last}");
    }
}

#[test]
fn devices_may_have_addresses_of_their_own() {
    let lab = start(LabSpec {
        devices: 3,
        first: 4,
        threads: 2,
        bind: Bind::PerDevice {
            first: Ipv4Addr::new(127, 0, 3, 1),
            port: 0,
        },
        ..LabSpec::default()
    });
    let addresses: Vec<_> = lab.devices().iter().map(|it| it.addr().ip()).collect();
    assert_eq!(addresses[0], Ipv4Addr::new(127, 0, 3, 4));
    assert_eq!(addresses[2], Ipv4Addr::new(127, 0, 3, 6));
    for device in lab.devices() {
        Shell::open(device).until(&format!("{}#", device.name()));
    }
}

#[test]
fn what_cannot_be_is_refused() {
    for (spec, said) in [
        (
            LabSpec {
                first: 0,
                ..LabSpec::default()
            },
            "from 1",
        ),
        (
            LabSpec {
                config_bytes: 50 << 20,
                ..LabSpec::default()
            },
            "5 MB",
        ),
        (
            LabSpec {
                jitter: 2.0,
                ..LabSpec::default()
            },
            "jitter",
        ),
    ] {
        let error = Lab::start(&spec).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
    let taken = lab(1);
    let port = taken.devices()[0].addr().port();
    let error = Lab::start(&LabSpec {
        bind: Bind::Shared {
            address: Ipv4Addr::LOCALHOST.into(),
            port,
        },
        ..LabSpec::default()
    })
    .unwrap_err();
    assert!(matches!(error, LabError::Listen { .. }), "{error}");
}

#[test]
fn a_lab_is_written_down_as_settings() {
    let dir = tempfile::tempdir().unwrap();
    let lab = lab(3);
    let options = FolderOptions::default();
    for _ in 0..2 {
        write_settings(dir.path(), lab.devices(), &options).unwrap();
    }
    let settings = dir.path().canonicalize().unwrap().join("settings");
    let read = |name: &str| -> toml::Table {
        let text = fs::read_to_string(settings.join(name)).unwrap();
        text.parse().expect(name)
    };
    let devices = read("devices.toml");
    assert_eq!(devices["defaults"]["platform"].as_str(), Some("cisco_ios"));
    for device in lab.devices() {
        let entry = &devices["devices"][device.name()];
        assert_eq!(entry["host"].as_str(), Some("127.0.0.1"));
        let port = i64::from(device.addr().port());
        assert_eq!(entry["port"].as_integer(), Some(port));
        let expected = dir.path().join(format!("expected/{}.cfg", device.name()));
        assert_eq!(fs::read(expected).unwrap(), device.expected());
    }
    let credentials = read("credentials.toml");
    assert_eq!(
        credentials["credentials"]["lab"]["password"].as_str(),
        Some("ntc123")
    );
    let mode = fs::metadata(settings.join("credentials.toml"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let wrmem = read("wrmem.toml");
    for path in [
        &wrmem["archive"]["dir"],
        &wrmem["state"]["dir"],
        &wrmem["ssh"]["known_hosts"],
    ] {
        assert!(path.as_str().unwrap().starts_with('/'), "{path}");
    }
}

#[test]
fn a_fleet_is_known_before_others_serve_it() {
    let spec = LabSpec {
        devices: 2,
        faults: vec!["drip@csr2".parse().unwrap()],
        ..LabSpec::default()
    };
    let served = start(spec.clone());
    let planned = plan(&spec).unwrap();
    assert_eq!(planned.len(), 2);
    for (planned, served) in planned.into_iter().zip(served.devices()) {
        let planned = planned.at(served.addr());
        assert_eq!(planned.name(), served.name());
        assert_eq!(planned.addr(), served.addr());
        assert_eq!(planned.fault(), served.fault());
        assert_eq!(planned.expected(), served.expected());
    }
}
