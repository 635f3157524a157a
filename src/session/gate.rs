//! The login gate of a run: device threads wait here for their turn.
//!
//! The policy is [`LoginTable`]; this adds the waiting. It is a lock with a condition variable and
//! not an actor because those who wait are blocking device threads: a granted turn costs no message.

use super::{CancelHandle, Clock, LoginGate, LoginOutcome, SessionError};
use crate::flow::admission::{LoginTable, Turn};
use crate::model::credentials::Credentials;
use crate::model::failure::FailureKind;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

/// The login gate of one run.
pub struct RunGate {
    table: Mutex<LoginTable>,
    settled: Condvar,
    clock: Arc<dyn Clock>,
}

impl RunGate {
    /// A gate that knows nothing about any credentials yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            table: Mutex::default(),
            settled: Condvar::new(),
            clock,
        }
    }

    fn wait(
        &self,
        name: &str,
        cancel: &CancelHandle,
        deadline: Instant,
    ) -> Result<(), SessionError> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            cancel.check()?;
            match table.ask(name) {
                Turn::Go => return Ok(()),
                Turn::Rest(refused) => return Err(resting(name, refused)),
                Turn::Wait => {}
            }
            let left = deadline.saturating_duration_since(self.clock.now());
            if left.is_zero() {
                return Err(SessionError::new(
                    FailureKind::Timeout,
                    format!(
                        "no turn to log in: credentials `{name}` are still being tried on other \
                         devices, which do not answer; look at those first"
                    ),
                ));
            }
            table = self
                .settled
                .wait_timeout(table, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

fn resting(name: &str, refused: usize) -> SessionError {
    SessionError::new(
        FailureKind::AuthRefused,
        format!(
            "not tried: credentials `{name}` were refused by {refused} devices in this run and rest, \
             so that no account is locked; correct them in credentials.toml"
        ),
    )
}

impl LoginGate for RunGate {
    fn admit(
        &self,
        credentials: &Credentials,
        cancel: &CancelHandle,
        deadline: Instant,
    ) -> Result<(), SessionError> {
        cancel.while_waiting(|| self.wait(&credentials.name, cancel, deadline))
    }

    fn settle(&self, credentials: &Credentials, outcome: LoginOutcome) {
        let others_should_ask = self
            .table
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .settle(&credentials.name, outcome);
        if others_should_ask {
            self.settled.notify_all();
        }
    }

    fn wake(&self) {
        // Under the lock, so that nobody is between looking at the flag and going to sleep.
        let _table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        self.settled.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    struct TestClock(Instant);

    impl Clock for TestClock {
        fn now(&self) -> Instant {
            self.0
        }
    }

    fn credentials() -> Credentials {
        Credentials::new("lab", "ntc")
    }

    fn gate() -> (Arc<RunGate>, Instant) {
        let now = Instant::now();
        (Arc::new(RunGate::new(Arc::new(TestClock(now)))), now)
    }

    #[test]
    fn those_who_wait_go_on_when_a_login_is_accepted() {
        let (gate, now) = gate();
        let far = now + Duration::from_secs(3600);
        for _ in 0..3 {
            gate.admit(&credentials(), &CancelHandle::new(), far)
                .unwrap();
        }
        let (done, came) = mpsc::channel();
        let waiters: Vec<_> = (0..5)
            .map(|_| {
                let (gate, done) = (Arc::clone(&gate), done.clone());
                std::thread::spawn(move || {
                    done.send(gate.admit(&credentials(), &CancelHandle::new(), far))
                        .unwrap();
                })
            })
            .collect();
        assert!(came.try_recv().is_err());
        gate.settle(&credentials(), LoginOutcome::Accepted);
        for _ in 0..5 {
            assert!(came.recv().unwrap().is_ok());
        }
        waiters.into_iter().for_each(|w| w.join().unwrap());
    }

    #[test]
    fn those_who_wait_fail_untried_when_the_credentials_rest() {
        let (gate, now) = gate();
        let far = now + Duration::from_secs(3600);
        for _ in 0..3 {
            gate.admit(&credentials(), &CancelHandle::new(), far)
                .unwrap();
        }
        let waiter = {
            let gate = Arc::clone(&gate);
            std::thread::spawn(move || gate.admit(&credentials(), &CancelHandle::new(), far))
        };
        for _ in 0..3 {
            gate.settle(&credentials(), LoginOutcome::Refused);
        }
        let error = waiter.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), FailureKind::AuthRefused);
        assert!(error.to_string().contains("`lab`"), "{error}");
    }

    #[test]
    fn a_cancelled_waiter_leaves_and_a_late_one_times_out() {
        let (gate, now) = gate();
        let far = now + Duration::from_secs(3600);
        for _ in 0..3 {
            gate.admit(&credentials(), &CancelHandle::new(), far)
                .unwrap();
        }
        let cancel = CancelHandle::new();
        let waiter = {
            let (gate, cancel) = (Arc::clone(&gate), cancel.clone());
            std::thread::spawn(move || gate.admit(&credentials(), &cancel, far))
        };
        cancel.cancel();
        gate.wake();
        assert_eq!(waiter.join().unwrap(), Err(SessionError::Cancelled));
        let late = gate.admit(&credentials(), &CancelHandle::new(), now);
        assert_eq!(late.unwrap_err().kind(), FailureKind::Timeout);
    }
}
