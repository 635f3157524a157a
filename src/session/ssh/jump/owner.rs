//! The one thread that owns a connection to a jump host: it makes it, serves it, and makes it anew.

use super::carrier::{Carrier, End};
use super::{Answer, Asker, Fate, Request, Took, Tunnel, ask};
use crate::model::failure::FailureKind;
use crate::model::jump::JumpHost;
use crate::model::stage::Trail;
use crate::session::ssh::dialer::{Dialer, Reach, Through};
use crate::session::ssh::host_key;
use crate::session::ssh::link::Link;
use crate::session::{CancelHandle, ConnectContext, SessionError};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Refused credentials are not sent to a jump host again for so long: every device behind it would
/// bring another refusal, and refusals lock accounts.
const REFUSED_REST: Duration = Duration::from_secs(1800);

/// Enough for name lookup and libssh2; only touched pages cost memory.
const STACK_BYTES: usize = 512 << 10;

/// A connection's owner, as others see it. Dropping the last one ends the thread.
pub(super) struct Owner {
    name: String,
    requests: Sender<Request>,
    bell: UnixStream,
    load: Arc<Load>,
    cancel: CancelHandle,
    thread: JoinHandle<()>,
}

/// How busy a connection is.
#[derive(Default)]
pub(super) struct Load {
    seats: AtomicUsize,
    /// Whether the jump host takes long to reach a device; others wait behind that.
    pub(super) slow: AtomicBool,
}

/// A place on a connection, from the asking until the tunnel is closed.
pub(super) struct Seat(Arc<Load>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.seats.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Owner {
    pub(super) fn start(
        dialer: Arc<Dialer>,
        jump: &Arc<JumpHost>,
        front: Option<Arc<Self>>,
        proven: Arc<AtomicBool>,
    ) -> Result<Self, SessionError> {
        let failed = |error: std::io::Error| {
            SessionError::new(
                FailureKind::JumpLost,
                format!("jump host {:?} cannot be served: {error}", jump.name()),
            )
        };
        let (bell, heard) = UnixStream::pair().map_err(failed)?;
        bell.set_nonblocking(true).map_err(failed)?;
        heard.set_nonblocking(true).map_err(failed)?;
        let (requests, queue) = mpsc::channel();
        let load = Arc::<Load>::default();
        let cancel = CancelHandle::new();
        let thread = OwnerThread {
            dialer,
            jump: Arc::clone(jump),
            front,
            proven,
            queue,
            heard,
            load: Arc::clone(&load),
            cancel: cancel.clone(),
            refused: None,
        };
        let thread = thread::Builder::new()
            .name(format!("jump {}", jump.name()))
            .stack_size(STACK_BYTES)
            .spawn(move || thread.run())
            .map_err(failed)?;
        Ok(Self {
            name: jump.name().to_owned(),
            requests,
            bell,
            load,
            cancel,
            thread,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether its thread is gone, which only a bug of ours brings about.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// What makes one connection worse than another: that it is slow, then how many it carries.
    pub(super) fn burden(&self) -> (bool, usize) {
        let seats = self.load.seats.load(Ordering::SeqCst);
        (self.load.slow.load(Ordering::SeqCst), seats)
    }

    pub(super) fn has_room(&self, channels: usize) -> bool {
        let (slow, seats) = self.burden();
        !slow && seats < channels
    }

    pub(super) fn take_seat(&self) -> Seat {
        self.load.seats.fetch_add(1, Ordering::SeqCst);
        Seat(Arc::clone(&self.load))
    }

    /// Sends a request; where the thread is gone, whoever waits for the answer sees that.
    pub(super) fn ask(&self, request: Request) {
        if self.requests.send(request).is_ok() {
            // A bell that is full rings already.
            let _ = (&self.bell).write(&[0]);
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Ends a connecting under way; a connection that is there ends when its tunnels do.
        self.cancel.cancel();
    }
}

struct OwnerThread {
    dialer: Arc<Dialer>,
    jump: Arc<JumpHost>,
    front: Option<Arc<Owner>>,
    proven: Arc<AtomicBool>,
    queue: Receiver<Request>,
    heard: UnixStream,
    load: Arc<Load>,
    cancel: CancelHandle,
    /// Since when its credentials are refused, and what is told of that.
    refused: Option<(Instant, SessionError)>,
}

impl OwnerThread {
    /// Serves until nobody can ask any more.
    fn run(mut self) {
        while let Ok(first) = self.queue.recv() {
            if first.is_over(self.dialer.clock.now()) {
                continue;
            }
            match self.connect(&first) {
                Ok((link, notes)) => {
                    let carrier =
                        Carrier::new(link, &self.jump, (&self.queue, &self.heard), &self.load);
                    if carrier.run((first, notes), &self.dialer) == End::Unasked {
                        return;
                    }
                }
                Err(error) => {
                    // All who came meanwhile waited for the same.
                    for request in std::iter::once(first).chain(self.queue.try_iter()) {
                        request.answer(Answer::Failed(error.clone()));
                    }
                }
            }
        }
    }

    /// A connection that let us in, and what is to be told about it.
    fn connect(&mut self, request: &Request) -> Result<(Link, Vec<String>), SessionError> {
        let now = self.dialer.clock.now();
        if let Some((since, error)) = &self.refused
            && now.saturating_duration_since(*since) < REFUSED_REST
        {
            return Err(error.clone());
        }
        self.refused = None;
        let mut trail = Trail::default();
        let connected = self.log_in(request, &mut trail);
        self.cancel.release();
        let name = self.jump.name();
        match connected {
            Ok(link) => {
                self.proven.store(true, Ordering::SeqCst);
                log::info!("jump host {name}: connected");
                let told = |note| format!("jump host {name:?}: {note}");
                Ok((link, trail.notes.into_iter().map(told).collect()))
            }
            Err(error) => {
                let error = of_jump(name, error);
                log::warn!("{error}");
                if matches!(
                    error.kind(),
                    FailureKind::AuthRefused | FailureKind::PasswordExpired
                ) {
                    self.refused = Some((now, error.clone()));
                }
                Err(error)
            }
        }
    }

    fn log_in(&self, request: &Request, trail: &mut Trail) -> Result<Link, SessionError> {
        let dialer = &self.dialer;
        let endpoint = &self.jump.endpoint;
        let reach = Reach {
            device: endpoint,
            cancel: &self.cancel,
            deadline: request.deadline,
            called: &|| {},
        };
        let dig = |asker: &Asker<'_>, took: &mut Took| -> Result<Tunnel, SessionError> {
            match &self.front {
                Some(front) => ask(dialer, (front, front.take_seat()), asker, took),
                None => Err(Fate::new(self.jump.name()).failure()),
            }
        };
        let through = self.front.as_ref().map(|front| Through {
            jump: front.name(),
            gate: &request.gate,
            dig: &dig,
        });
        let known = dialer.known_types(endpoint);
        let link = dialer.open(&reach, &known, through.as_ref(), trail)?;
        host_key::check(
            &link,
            endpoint,
            (dialer.host_keys, dialer.known_hosts.as_ref()),
            trail,
        )?;
        let context = ConnectContext {
            device: endpoint,
            cancel: &self.cancel,
            gate: &request.gate,
            deadline: request.deadline,
            called: &|| {},
        };
        dialer.log_in(&link, &context, trail)?;
        Ok(link)
    }
}

/// What a failure of the jump host means for the devices behind it.
fn of_jump(name: &str, error: SessionError) -> SessionError {
    let kind = match error.kind() {
        FailureKind::Cancelled => return error,
        kind if kind.is_transient() => FailureKind::JumpLost,
        kind => kind,
    };
    let whose = match kind {
        FailureKind::AuthRefused => " (the credentials are the jump host's, not the device's)",
        _ => "",
    };
    SessionError::new(kind, format!("jump host {name:?}: {error}{whose}"))
}
