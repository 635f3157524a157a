//! What the service manager is told. Without one (no `NOTIFY_SOCKET`) nothing is told.

use sd_notify::NotifyState;
use std::time::Duration;

/// Everything is up.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The settings are being read anew; `ready` ends it.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => log::debug!("no monotonic clock: {error}"),
    }
}

/// Devices in flight are being waited for.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// What `systemctl status` shows.
pub(super) fn status(line: &str) {
    tell(&[NotifyState::Status(&line.replace('\n', "; "))]);
}

/// All actors have shown themselves.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// Within which time the service manager wants to hear that all is well, if it watches.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("the service manager was not told: {error}");
    }
}
