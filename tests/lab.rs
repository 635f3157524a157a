//! The lab, spoken to by ssh2 directly.
#![cfg(feature = "lab")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use ssh2::{Channel, Session};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use wrmem::lab::{Lab, LabDevice, LabSpec};

fn lab(devices: usize) -> Lab {
    start(LabSpec {
        devices,
        ..LabSpec::default()
    })
}

fn start(spec: LabSpec) -> Lab {
    Lab::start(&spec).expect("the lab starts")
}

fn handshake(addr: SocketAddr) -> Result<Session, ssh2::Error> {
    let socket = TcpStream::connect(addr).expect("the device listens");
    socket.set_nodelay(true).unwrap();
    let mut session = Session::new()?;
    // Only so that a broken lab fails the test instead of hanging it.
    session.set_timeout(60_000);
    session.set_tcp_stream(socket);
    session.handshake()?;
    Ok(session)
}

fn login(addr: SocketAddr) -> Session {
    let session = handshake(addr).expect("key exchange");
    session.userauth_password("ntc", "ntc123").expect("login");
    session
}

struct Shell {
    channel: Channel,
}

impl Shell {
    fn open(device: &LabDevice) -> Self {
        let mut channel = login(device.addr()).channel_session().expect("channel");
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
                Ok(0) => break,
                Ok(count) => all.extend_from_slice(&piece[..count]),
                Err(error) => panic!("waiting for {end:?}: {error}, had {:?}", text(&all)),
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
