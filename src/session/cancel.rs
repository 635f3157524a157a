//! Cancelling an attempt from another thread.

use super::SessionError;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

type Closer = Box<dyn Fn() + Send + Sync>;

/// A sticky flag bound to one attempt, plus a way to close its socket. The thread that serves the
/// device asks [`Self::check`] before TCP, before any secret and before a write; whoever cancels
/// also closes the socket, which ends any call that waits on it.
#[derive(Clone, Default)]
pub struct CancelHandle(Arc<Inner>);

#[derive(Default)]
struct Inner {
    cancelled: AtomicBool,
    waiting: AtomicBool,
    // A lock and not an owner, because the canceller must not wait for a thread that may be stuck.
    closer: Mutex<Option<Closer>>,
}

impl CancelHandle {
    /// A handle that nobody has cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says how to close the socket. If the attempt is cancelled already, it is closed at once.
    pub fn on_cancel(&self, closer: impl Fn() + Send + Sync + 'static) {
        let mut slot = self.0.closer.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_cancelled() {
            closer();
        }
        *slot = Some(Box::new(closer));
    }

    /// Forgets the closer: the socket is gone.
    pub fn release(&self) {
        let mut slot = self.0.closer.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = None;
    }

    /// Cancels the attempt, for good.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        let slot = self.0.closer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(closer) = slot.as_ref() {
            closer();
        }
    }

    /// Whether the attempt was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Does `wait`, marked as a wait for a turn that is not the device's time.
    pub fn while_waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.0.waiting.store(true, Ordering::SeqCst);
        let result = wait();
        self.0.waiting.store(false, Ordering::SeqCst);
        result
    }

    /// Whether the attempt waits for a turn; its deadlines stand still meanwhile.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.0.waiting.load(Ordering::SeqCst)
    }

    /// Goes on only if the attempt was not cancelled.
    ///
    /// # Errors
    /// [`SessionError::Cancelled`] if it was.
    pub fn check(&self) -> Result<(), SessionError> {
        if self.is_cancelled() {
            Err(SessionError::Cancelled)
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CancelHandle(cancelled: {})", self.is_cancelled())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn cancel_is_sticky_and_closes_late_sockets_too() {
        let handle = CancelHandle::new();
        let closed = Arc::new(AtomicUsize::new(0));
        assert!(handle.check().is_ok());
        handle.cancel();
        assert!(handle.check().is_err());
        let seen = Arc::clone(&closed);
        handle.on_cancel(move || {
            seen.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(closed.load(Ordering::SeqCst), 1, "closed on registration");
        handle.cancel();
        assert_eq!(closed.load(Ordering::SeqCst), 2);
        handle.release();
        handle.cancel();
        assert_eq!(closed.load(Ordering::SeqCst), 2, "released");
    }
}
