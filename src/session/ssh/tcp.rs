//! From a name to a TCP connection.

use super::peer::Peer;
use super::wait::{Readiness, Waited, wait};
use crate::model::device::Egress;
use crate::model::failure::FailureKind;
use crate::model::stage::{StepName, Trail};
use crate::session::{CancelHandle, Clock, SessionError};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// More answers than this to one name are not tried.
const MAX_ADDRESSES: usize = 8;
/// A silent connection is probed after this long, then every `PROBE_EVERY`.
const PROBE_AFTER: Duration = Duration::from_secs(30);
const PROBE_EVERY: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;
/// Bytes that were sent and not acknowledged for this long end the connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// What a connection attempt waits with.
pub(super) struct Watch<'a> {
    pub(super) cancel: &'a CancelHandle,
    pub(super) clock: &'a dyn Clock,
    /// The moment by which it must be done.
    pub(super) deadline: Instant,
    /// From where the connection goes out.
    pub(super) egress: &'a Egress,
}

impl Watch<'_> {
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(self.clock.now())
    }
}

/// Looks the host up.
pub(super) fn look_up(
    peer: &Peer,
    watch: &Watch<'_>,
    trail: &mut Trail,
) -> Result<Vec<SocketAddr>, SessionError> {
    watch.cancel.check()?;
    let began = watch.clock.now();
    let found = resolve(peer);
    let took = watch.clock.now().saturating_duration_since(began);
    trail.step(StepName::Dns, took);
    found
}

/// Connects to the first address that answers. The time left is shared among the addresses, so that
/// a dead one does not use up all of it.
pub(super) fn dial(
    peer: &Peer,
    addresses: &[SocketAddr],
    watch: &Watch<'_>,
    trail: &mut Trail,
) -> Result<Arc<Socket>, SessionError> {
    watch.cancel.check()?;
    let began = watch.clock.now();
    let connected = connect_any(peer, addresses, watch);
    let took = watch.clock.now().saturating_duration_since(began);
    trail.step(StepName::Tcp, took);
    connected
}

/// The resolver's own time limit holds here: its call cannot be interrupted.
fn resolve(peer: &Peer) -> Result<Vec<SocketAddr>, SessionError> {
    let failed = |why: &str| {
        SessionError::new(
            FailureKind::Dns,
            format!(
                "the name {:?} does not resolve ({why}); set `host` to an address or a name \
                 that this machine knows",
                peer.host
            ),
        )
    };
    let addresses: Vec<_> = (peer.host.as_str(), peer.port)
        .to_socket_addrs()
        .map_err(|error| failed(&error.to_string()))?
        .take(MAX_ADDRESSES)
        .collect();
    if addresses.is_empty() {
        return Err(failed("no address"));
    }
    Ok(addresses)
}

fn connect_any(
    peer: &Peer,
    addresses: &[SocketAddr],
    watch: &Watch<'_>,
) -> Result<Arc<Socket>, SessionError> {
    let mut failures = Vec::new();
    for (tried, address) in addresses.iter().enumerate() {
        let untried = u32::try_from(addresses.len() - tried).unwrap_or(1);
        let share = Watch {
            deadline: watch.clock.now() + watch.left() / untried.max(1),
            ..*watch
        };
        if !suits(address, watch.egress) {
            continue;
        }
        match connect(address, &share) {
            Ok(tcp) => return Ok(tcp),
            Err(NoConnection::Egress(why)) => {
                watch.cancel.release();
                return Err(SessionError::new(FailureKind::Settings, why));
            }
            Err(NoConnection::Failed(error)) => {
                watch.cancel.release();
                watch.cancel.check()?;
                failures.push((*address, error));
            }
        }
    }
    if failures.is_empty()
        && let Some(source) = watch.egress.source
    {
        return Err(SessionError::new(
            FailureKind::Settings,
            format!(
                "{peer} has no address of the same IP version as source = \"{source}\"; correct \
                 `source`, or set `host` to such an address"
            ),
        ));
    }
    Err(refusal(peer, &failures))
}

/// Whether an address can be reached from the source address at all.
fn suits(address: &SocketAddr, egress: &Egress) -> bool {
    let source = egress.source;
    source.is_none_or(|source| source.is_ipv4() == address.is_ipv4())
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum NoConnection {
    /// It cannot go out from where it should; what to do about that.
    Egress(String),
    /// It was tried.
    Failed(io::Error),
}

impl From<io::Error> for NoConnection {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Makes the connection go out from where it should.
fn bind(socket: &SockRef<'_>, egress: &Egress) -> Result<(), NoConnection> {
    if let Some(interface) = &egress.interface {
        socket
            .bind_device(Some(interface.as_bytes()))
            .map_err(|error| NoConnection::Egress(no_interface(interface, &error)))?;
    }
    if let Some(source) = egress.source {
        socket
            .bind(&SocketAddr::new(source, 0).into())
            .map_err(|error| NoConnection::Egress(no_source(source, &error)))?;
    }
    Ok(())
}

fn no_interface(interface: &str, error: &io::Error) -> String {
    let what_to_do = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "wrmem needs the capability CAP_NET_RAW for that: AmbientCapabilities=CAP_NET_RAW in its \
             unit, or setcap cap_net_raw+ep on the binary"
        }
        _ => "correct `interface`: `ip link` lists those of this machine",
    };
    format!("cannot go out by interface = \"{interface}\": {error}; {what_to_do}")
}

fn no_source(source: IpAddr, error: &io::Error) -> String {
    let what_to_do = match error.kind() {
        io::ErrorKind::AddrNotAvailable => {
            "that address is not on this machine; correct `source`: `ip address` lists them"
        }
        _ => "correct `source`",
    };
    format!("cannot go out from source = \"{source}\": {error}; {what_to_do}")
}

/// Connects to one address; the socket does not block and is closed when the attempt is cancelled.
pub(super) fn connect(
    address: &SocketAddr,
    watch: &Watch<'_>,
) -> Result<Arc<Socket>, NoConnection> {
    let socket = Socket::new(
        Domain::for_address(*address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    let tcp = Arc::new(socket);
    let closer = Arc::clone(&tcp);
    watch.cancel.on_cancel(move || {
        // Also ends a connection attempt under way, and every call that waits on the socket.
        let _ = closer.shutdown(Shutdown::Both);
    });
    let socket = SockRef::from(tcp.as_ref());
    bind(&socket, watch.egress)?;
    match socket.connect(&(*address).into()) {
        Ok(()) => {}
        Err(error) if in_progress(&error) => {
            match wait(&tcp, Readiness::Writable, watch.deadline, watch.clock)? {
                Waited::Ready => {}
                Waited::TimedOut => return Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
            if let Some(error) = socket.take_error()? {
                return Err(error.into());
            }
            // A cancelled attempt is ready as well; it has no peer.
            tcp.peer_addr()?;
        }
        Err(error) => return Err(error.into()),
    }
    tune(&socket)?;
    Ok(tcp)
}

fn in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error())
        || error.kind() == io::ErrorKind::WouldBlock
}

fn tune(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    let probes = TcpKeepalive::new()
        .with_time(PROBE_AFTER)
        .with_interval(PROBE_EVERY)
        .with_retries(PROBES);
    socket.set_tcp_keepalive(&probes)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))
}

fn refusal(peer: &Peer, failures: &[(SocketAddr, io::Error)]) -> SessionError {
    let tried: Vec<_> = failures
        .iter()
        .map(|(address, error)| format!("{}: {}", address.ip(), reason(error)))
        .collect();
    let tried = tried.join("; ");
    let refused = failures
        .iter()
        .any(|(_, error)| error.kind() == io::ErrorKind::ConnectionRefused);
    if refused {
        return SessionError::new(
            FailureKind::Busy,
            format!(
                "{peer} refused the connection ({tried}): its vty lines may be full, an access \
                 list may keep us out, or SSH may be off or on another port"
            ),
        );
    }
    SessionError::new(
        FailureKind::Connect,
        format!(
            "no connection to {peer} ({tried}); check that the device is up and that the \
             address, the route and the firewalls are right"
        ),
    )
}

fn reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::TimedOut {
        "no answer in time".to_owned()
    } else {
        error.to_string()
    }
}
