//! Logging in with a key that an SSH agent holds.
//!
//! libssh2 speaks to an agent in calls that wait for ever. So it is given a go-between, which passes
//! everything on and hangs up when the deadline is over or the attempt is cancelled.

use super::link::Link;
use super::peer::Trouble;
use crate::model::credentials::Agent;
use crate::session::known_hosts::HostKey;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, SockAddr, Socket, Type};
use ssh2::PublicKey;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Devices count every key that is offered, and end the connection after a few.
const OFFERS_MAX: usize = 3;

/// How it went.
pub(super) enum Signed {
    In,
    Refused(String),
}

/// Why no key of the agent was offered, or the device did not answer.
pub(super) enum AgentTrouble {
    /// The agent is the trouble; in words.
    Agent(String),
    /// The connection to the device is.
    Device(Trouble),
}

/// Logs in with the keys of `agent`, or the one that is named.
pub(super) fn log_in(
    link: &Link,
    username: &str,
    agent: &Agent,
    deadline: Instant,
) -> Result<Signed, AgentTrouble> {
    let socket = &agent.socket;
    let unreachable = |error: io::Error| {
        AgentTrouble::Agent(format!(
            "the SSH agent at {socket:?} is not there ({error}); SSH_AUTH_SOCK must name a running \
             agent, in a service too"
        ))
    };
    let real = reach(socket).map_err(unreachable)?;
    let between = GoBetween::start(real, link, deadline).map_err(unreachable)?;
    let result = sign_in(link, username, (agent, &between), deadline);
    drop(between);
    // The closer that was there before the agent was asked.
    let tcp = Arc::clone(&link.socket);
    link.cancel.on_cancel(move || {
        let _ = tcp.shutdown(Shutdown::Both);
    });
    result
}

fn sign_in(
    link: &Link,
    username: &str,
    (agent, between): (&Agent, &GoBetween),
    deadline: Instant,
) -> Result<Signed, AgentTrouble> {
    let broken = |error: ssh2::Error| {
        let cancelled = link.check().map_err(AgentTrouble::Device);
        cancelled.err().unwrap_or_else(|| {
            AgentTrouble::Agent(format!(
                "the SSH agent at {:?} does not answer ({}); look whether it hangs or waits for \
                 somebody to confirm",
                agent.socket,
                error.message()
            ))
        })
    };
    let mut client = link.session.agent().map_err(broken)?;
    client
        .set_identity_path(&between.folder.path().join(SOCKET))
        .map_err(broken)?;
    client.connect().map_err(broken)?;
    client.list_identities().map_err(broken)?;
    let keys = wanted(client.identities().map_err(broken)?, agent)?;
    let mut refused = Vec::new();
    for key in keys.iter().take(OFFERS_MAX) {
        let signed = link.drive(deadline, |_| client.userauth(username, key));
        match signed {
            Ok(()) => return Ok(Signed::In),
            Err(trouble) if trouble.hides_loss() => return Err(AgentTrouble::Device(trouble)),
            Err(trouble) => match trouble.code() {
                _ if between.is_over() => return Err(broken(ssh2::Error::unknown())),
                Some(libssh2_sys::LIBSSH2_ERROR_AUTHENTICATION_FAILED) => {
                    refused.push(format!("{:?}", key.comment()));
                }
                // libssh2's word for an agent that does not sign.
                Some(libssh2_sys::LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED) => {
                    refused.push(format!("{:?} (the agent did not sign)", key.comment()));
                }
                _ => return Err(AgentTrouble::Device(trouble)),
            },
        }
    }
    let left = keys.len().saturating_sub(OFFERS_MAX);
    let more = match left {
        0 => String::new(),
        left => format!(
            ", and {left} more were not offered, because devices end a connection after a few: say \
             which with agent_key"
        ),
    };
    Ok(Signed::Refused(format!(
        "the agent's keys {} refused{more} (is one of them installed for this user on the device?)",
        refused.join(", ")
    )))
}

/// The keys to offer.
fn wanted(keys: Vec<PublicKey>, agent: &Agent) -> Result<Vec<PublicKey>, AgentTrouble> {
    let print = |key: &PublicKey| HostKey::new(key.blob().to_vec()).map(|key| key.fingerprint());
    let socket = &agent.socket;
    if keys.is_empty() {
        return Err(AgentTrouble::Agent(format!(
            "the SSH agent at {socket:?} holds no key: ssh-add one"
        )));
    }
    let Some(name) = &agent.key else {
        return Ok(keys);
    };
    let (found, others): (Vec<_>, Vec<_>) = keys
        .into_iter()
        .partition(|key| key.comment() == name || print(key).as_deref() == Some(name));
    if found.is_empty() {
        let others: Vec<_> = others
            .iter()
            .map(|key| format!("{:?}", key.comment()))
            .collect();
        return Err(AgentTrouble::Agent(format!(
            "the SSH agent at {socket:?} has no key with agent_key = {name:?} as its comment or \
             fingerprint; it has {}",
            others.join(", ")
        )));
    }
    Ok(found)
}

/// Connects without waiting: an agent that takes no connection is none.
fn reach(path: &str) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(UnixStream::from(socket))
}

const SOCKET: &str = "agent";

/// Stands between libssh2 and the agent until it is dropped.
struct GoBetween {
    folder: tempfile::TempDir,
    real: UnixStream,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl GoBetween {
    fn start(real: UnixStream, link: &Link, until: Instant) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("wrmem-agent").tempdir()?;
        let listener = UnixListener::bind(folder.path().join(SOCKET))?;
        let (closer, agent) = (real.try_clone()?, real.try_clone()?);
        let tcp = Arc::clone(&link.socket);
        link.cancel.on_cancel(move || {
            let _ = tcp.shutdown(Shutdown::Both);
            let _ = closer.shutdown(Shutdown::Both);
        });
        let clock = Arc::clone(&link.clock);
        let left = move || until.saturating_duration_since(clock.now());
        let over = Arc::<AtomicBool>::default();
        let told = Arc::clone(&over);
        let thread = thread::Builder::new()
            .name("ssh-agent".to_owned())
            .stack_size(128 << 10)
            .spawn(move || {
                let came = ready(&[&listener, &agent], &left);
                if came.is_ok_and(|ends| ends.first() == Some(&true))
                    && let Ok((libssh2, _)) = listener.accept()
                {
                    let _ = pass_on(&libssh2, &agent, &left);
                    told.store(true, Ordering::SeqCst);
                    let _ = libssh2.shutdown(Shutdown::Both);
                }
                let _ = agent.shutdown(Shutdown::Both);
            })?;
        Ok(Self {
            folder,
            real,
            over,
            thread: Some(thread),
        })
    }

    /// Whether it has hung up: the agent did, or its time was over.
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

impl Drop for GoBetween {
    fn drop(&mut self) {
        let _ = self.real.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Which of these can be read or is broken; an error when the time is over.
fn ready(ends: &[&dyn std::os::fd::AsFd], left: &dyn Fn() -> Duration) -> io::Result<Vec<bool>> {
    loop {
        let time = left();
        if time.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let time = Timespec::try_from(time).map_err(io::Error::other)?;
        let fds = ends.iter().map(|end| end.as_fd()).collect::<Vec<_>>();
        let mut polled: Vec<_> = fds
            .iter()
            .map(|fd| PollFd::new(fd, PollFlags::IN))
            .collect();
        match poll(&mut polled, Some(&time)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(polled.iter().map(|fd| !fd.revents().is_empty()).collect()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Passes bytes on in both directions until one end closes or the time is over.
fn pass_on(
    libssh2: &UnixStream,
    agent: &UnixStream,
    left: &dyn Fn() -> Duration,
) -> io::Result<()> {
    // Messages are small and in turns, so writing never waits for a reader that is alive; the time
    // limit holds for one that is not.
    for end in [libssh2, agent] {
        end.set_nonblocking(false)?;
        end.set_write_timeout(Some(left().max(Duration::from_millis(1))))?;
    }
    let mut buffer = [0; 4096];
    loop {
        let turns = ready(&[libssh2, agent], left)?;
        for (is_ready, (mut from, mut to)) in turns.iter().zip([(libssh2, agent), (agent, libssh2)])
        {
            if *is_ready {
                let count = from.read(&mut buffer)?;
                if count == 0 {
                    return Ok(());
                }
                to.write_all(buffer.get(..count).unwrap_or_default())?;
            }
        }
    }
}
