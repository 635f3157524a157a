//! What a lab saw, for those who check a client.

use super::journal::Showing;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How much of what was typed at a device is kept.
const TYPED_MAX: usize = 64 << 10;

/// Of how many things a device remembers the moment.
const MOMENTS_MAX: usize = 1024;

/// Something a device counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tally {
    /// A TCP connection was accepted.
    Connection,
    /// A login by `none` was tried.
    NoneRequest,
    /// A password was sent, right or wrong.
    PasswordAttempt,
    /// A login succeeded.
    Login,
    /// The running-config was saved.
    Save,
    /// The config was shown, or refused or broken off.
    ShowRun,
    /// The whole config was shown, and the prompt after it.
    Shown,
}

/// What one device saw, or all of them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// TCP connections accepted.
    pub connections: u64,
    /// Connections open now.
    pub open: u64,
    /// Logins by `none`, which IOS logs as failed ones.
    pub none_requests: u64,
    /// Passwords sent, by `password` or `keyboard-interactive`, right or wrong.
    pub password_attempts: u64,
    /// Logins that succeeded.
    pub logins: u64,
    /// Saves of the running-config that were completed.
    pub saves: u64,
    /// Configs shown, or refused or broken off.
    pub show_runs: u64,
    /// Whole configs shown to the end.
    pub shown: u64,
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            connections: self.connections + other.connections,
            open: self.open + other.open,
            none_requests: self.none_requests + other.none_requests,
            password_attempts: self.password_attempts + other.password_attempts,
            logins: self.logins + other.logins,
            saves: self.saves + other.saves,
            show_runs: self.show_runs + other.show_runs,
            shown: self.shown + other.shown,
        }
    }
}

/// The counters of one device, shared by its sessions.
#[derive(Default)]
pub(super) struct Counters {
    connections: AtomicU64,
    open: AtomicU64,
    none_requests: AtomicU64,
    password_attempts: AtomicU64,
    logins: AtomicU64,
    saves: AtomicU64,
    show_runs: AtomicU64,
    shown: AtomicU64,
    /// Where it is noted that the config was shown.
    showing: Option<Showing>,
    typed: Mutex<Vec<u8>>,
    moments: Mutex<Vec<(Instant, Tally)>>,
}

impl fmt::Debug for Counters {
    /// Without what was typed: an enable secret may be among it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}

impl Counters {
    pub(super) fn new(showing: Option<Showing>) -> Self {
        Self {
            showing,
            ..Self::default()
        }
    }

    pub(super) fn add(&self, tally: Tally) {
        let counter = match tally {
            Tally::Connection => &self.connections,
            Tally::NoneRequest => &self.none_requests,
            Tally::PasswordAttempt => &self.password_attempts,
            Tally::Login => &self.logins,
            Tally::Save => &self.saves,
            Tally::ShowRun => &self.show_runs,
            Tally::Shown => &self.shown,
        };
        if let (Tally::Shown, Some(showing)) = (tally, &self.showing) {
            showing.note();
        }
        counter.fetch_add(1, Ordering::Relaxed);
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        if moments.len() < MOMENTS_MAX {
            moments.push((Instant::now(), tally));
        }
    }

    pub(super) fn moments(&self) -> Vec<(Instant, Tally)> {
        self.moments
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn record(&self, typed: &[u8]) {
        let mut kept = self.typed.lock().unwrap_or_else(PoisonError::into_inner);
        let room = TYPED_MAX.saturating_sub(kept.len()).min(typed.len());
        kept.extend(typed.iter().take(room));
    }

    pub(super) fn typed(&self) -> Vec<u8> {
        self.typed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn snapshot(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            connections: read(&self.connections),
            open: read(&self.open),
            none_requests: read(&self.none_requests),
            password_attempts: read(&self.password_attempts),
            logins: read(&self.logins),
            saves: read(&self.saves),
            show_runs: read(&self.show_runs),
            shown: read(&self.shown),
        }
    }
}
