//! The bare client that wrmem is measured against: ssh2, a thread per device, prompts awaited,
//! files synced as wrmem's are. It checks nothing, retries nothing and reports nothing.
//!
//! usage: bare SETTINGS_DIR OUT_DIR

use std::error::Error;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

struct Job {
    name: String,
    address: (String, u16),
    user: String,
    password: String,
    out: PathBuf,
}

/// Both requests are sent before either answer is awaited.
fn shell(session: &ssh2::Session, tcp: &TcpStream) -> Result<ssh2::Channel> {
    let mut channel = session.channel_session()?;
    session.set_blocking(false);
    let (mut pty, mut shell) = (false, false);
    while !(pty && shell) {
        let before = (pty, shell);
        if !pty {
            pty = answered(channel.request_pty("dumb", None, Some((511, 1000, 0, 0))))?;
        }
        if !shell {
            shell = answered(channel.shell())?;
        }
        // The answer to one may lie in libssh2's queue when the other was granted.
        if !(pty && shell) && (pty, shell) == before {
            let mut wait = [rustix::event::PollFd::new(
                tcp,
                rustix::event::PollFlags::IN,
            )];
            rustix::event::poll(&mut wait, None)?;
        }
    }
    session.set_blocking(true);
    Ok(channel)
}

fn answered(result: std::result::Result<(), ssh2::Error>) -> Result<bool> {
    const EAGAIN: i32 = -37;
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.code() == ssh2::ErrorCode::Session(EAGAIN) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Reads until the last line is the prompt and it was seen `times` times.
fn read_to_prompt(channel: &mut ssh2::Channel, prompt: &[u8], times: usize) -> Result<Vec<u8>> {
    let (mut all, mut buffer) = (Vec::new(), [0; 32 << 10]);
    loop {
        let count = channel.read(&mut buffer)?;
        if count == 0 {
            return Err("the session ended".into());
        }
        all.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if all.ends_with(prompt) {
            let seen = all
                .windows(prompt.len())
                .filter(|window| *window == prompt)
                .count();
            if seen >= times {
                return Ok(all);
            }
        }
    }
}

fn back_up(job: &Job) -> Result<()> {
    let tcp = Arc::new(TcpStream::connect(&job.address)?);
    tcp.set_nodelay(true)?;
    let mut session = ssh2::Session::new()?;
    session.set_tcp_stream(Arc::clone(&tcp));
    session.method_pref(
        ssh2::MethodType::Kex,
        "curve25519-sha256,diffie-hellman-group14-sha256,diffie-hellman-group14-sha1",
    )?;
    let ciphers = "aes128-gcm@openssh.com,aes128-ctr";
    session.method_pref(ssh2::MethodType::CryptCs, ciphers)?;
    session.method_pref(ssh2::MethodType::CryptSc, ciphers)?;
    session.method_pref(
        ssh2::MethodType::HostKey,
        "ssh-ed25519,rsa-sha2-256,ssh-rsa",
    )?;
    session.handshake()?;
    session.userauth_password(&job.user, &job.password)?;
    let mut channel = shell(&session, &tcp)?;
    let prompt = format!("{}#", job.name).into_bytes();
    read_to_prompt(&mut channel, &prompt, 1)?;
    channel.write_all(b"terminal length 0\rwrite memory\r")?;
    read_to_prompt(&mut channel, &prompt, 2)?;
    channel.write_all(b"show running-config\r")?;
    let output = read_to_prompt(&mut channel, &prompt, 1)?;
    let text = String::from_utf8_lossy(&output).replace("\r\n", "\n");
    let header = text.find("Current configuration").unwrap_or(0);
    let begin = text
        .get(header..)
        .and_then(|rest| rest.find('\n'))
        .map_or(0, |end| header + end + 1);
    let end = text.rfind("\nend\n").map_or(text.len(), |end| end + 5);
    store(
        &job.out,
        &job.name,
        text.get(begin..end).unwrap_or_default(),
    )?;
    tcp.shutdown(Shutdown::Both)?;
    Ok(())
}

fn store(dir: &Path, name: &str, config: &str) -> Result<()> {
    let temp = dir.join(format!(".{name}.part"));
    let mut file = File::create(&temp)?;
    file.write_all(config.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temp, dir.join(format!("{name}.cfg")))?;
    Ok(())
}

fn jobs(settings: &Path, out: &Path) -> Result<Vec<Job>> {
    let table = |file: &str| -> Result<toml::Table> {
        Ok(fs::read_to_string(settings.join(file))?.parse()?)
    };
    let text = |value: Option<&toml::Value>| {
        value
            .and_then(toml::Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let credentials = table("credentials.toml")?;
    let login = credentials
        .get("credentials")
        .and_then(|all| all.get("lab"));
    let login = login.ok_or("no credentials")?;
    let devices = table("devices.toml")?;
    let devices = devices
        .get("devices")
        .and_then(toml::Value::as_table)
        .ok_or("no devices")?;
    Ok(devices
        .iter()
        .map(|(name, device)| Job {
            name: name.clone(),
            address: (
                text(device.get("host")),
                device
                    .get("port")
                    .and_then(toml::Value::as_integer)
                    .map_or(22, |port| port as u16),
            ),
            user: text(login.get("username")),
            password: text(login.get("password")),
            out: out.to_owned(),
        })
        .collect())
}

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    // `cargo test --benches` passes flags of its own; there is nothing to do then.
    let (Some(settings), Some(out)) = (args.next(), args.next()) else {
        return Ok(());
    };
    fs::create_dir_all(&out)?;
    let threads: Vec<_> = jobs(&settings, &out)?
        .into_iter()
        .map(|job| {
            thread::Builder::new()
                .stack_size(512 << 10)
                .spawn(move || back_up(&job).map_err(|e| format!("{}: {e}", job.name)))
        })
        .collect();
    let mut failed = 0;
    for thread in threads {
        if let Err(error) = thread?.join().map_err(|_| "a thread panicked")? {
            writeln!(std::io::stderr(), "{error}")?;
            failed += 1;
        }
    }
    File::open(&out)?.sync_all()?;
    if failed > 0 {
        return Err(format!("{failed} devices failed").into());
    }
    Ok(())
}
