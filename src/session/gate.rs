//! The login gate of a run: device threads wait here for their turn.
//!
//! The policy is [`LoginTable`] and [`Bookings`]; this adds the waiting. Attempts are begun at the pace
//! of their limits, so waiting for the moment of a login is short: a device in the middle of its
//! login counts the seconds. It is a lock with a condition variable and
//! not an actor because those who wait are blocking device threads: a granted turn costs no message.

use super::{CancelHandle, Clock, LoginGate, LoginOutcome, SessionError};
use crate::flow::admission::{AnswerTable, LoginTable, Turn};
use crate::flow::pacing::bookings::Bookings;
use crate::model::credentials::Credentials;
use crate::model::device::DeviceName;
use crate::model::failure::FailureKind;
use crate::model::limit::{LimitSet, LoginRate};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The logins of all runs, in time.
#[derive(Default)]
pub struct LoginPace(Mutex<Paced>);

#[derive(Default)]
struct Paced {
    bookings: Bookings,
    all: Option<LimitSet>,
}

impl LoginPace {
    /// Bounds how often devices are logged in to, all together.
    pub fn bound_all(&self, logins: Option<LoginRate>) {
        self.paced().all = logins.map(|rate| LimitSet::of_all(None, Some(rate)));
    }

    fn book(&self, limits: &[Arc<LimitSet>], now: Instant) -> Instant {
        let Paced { bookings, all } = &mut *self.paced();
        bookings.book(all.iter().chain(limits.iter().map(Arc::as_ref)), now)
    }

    fn cancel(&self, limits: &[Arc<LimitSet>], at: Instant) {
        let Paced { bookings, all } = &mut *self.paced();
        bookings.cancel(all.iter().chain(limits.iter().map(Arc::as_ref)), at);
    }

    fn paced(&self) -> MutexGuard<'_, Paced> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The login gate of one run.
pub struct RunGate {
    table: Mutex<LoginTable>,
    answers: Mutex<AnswerTable>,
    settled: Condvar,
    clock: Arc<dyn Clock>,
    logins: Arc<LoginPace>,
}

impl RunGate {
    /// A gate that knows nothing about any credentials yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, logins: Arc<LoginPace>) -> Self {
        Self {
            table: Mutex::default(),
            answers: Mutex::default(),
            settled: Condvar::new(),
            clock,
            logins,
        }
    }

    fn table(&self) -> MutexGuard<'_, LoginTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answers(&self) -> MutexGuard<'_, AnswerTable> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the moment at which all limits allow a login.
    fn wait_for_moment(
        &self,
        limits: &[Arc<LimitSet>],
        cancel: &CancelHandle,
        deadline: Instant,
    ) -> Result<(), SessionError> {
        let at = self.logins.book(limits, self.clock.now());
        let came = self.wait_until(at, cancel, deadline);
        if came.is_err() {
            self.logins.cancel(limits, at);
        }
        came
    }

    fn wait_until(
        &self,
        at: Instant,
        cancel: &CancelHandle,
        deadline: Instant,
    ) -> Result<(), SessionError> {
        let mut table = self.table();
        loop {
            cancel.check()?;
            let left = at.saturating_duration_since(self.clock.now());
            if left.is_zero() {
                return Ok(());
            }
            if at > deadline {
                return Err(SessionError::new(
                    FailureKind::Timeout,
                    "no turn to log in within the attempt's deadline: too many logins wait for \
                     their moment; raise logins_per_second, or deadlines.attempt",
                ));
            }
            table = self
                .settled
                .wait_timeout(table, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn wait(
        &self,
        name: &str,
        cancel: &CancelHandle,
        deadline: Instant,
    ) -> Result<(), SessionError> {
        let mut table = self.table();
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
        limits: &[Arc<LimitSet>],
        cancel: &CancelHandle,
        deadline: Instant,
    ) -> Result<(), SessionError> {
        cancel.while_waiting(|| {
            self.wait(&credentials.name, cancel, deadline)?;
            let came = self.wait_for_moment(limits, cancel, deadline);
            if came.is_err() {
                self.settle(credentials, LoginOutcome::Unknown);
            }
            came
        })
    }

    fn settle(&self, credentials: &Credentials, outcome: LoginOutcome) {
        let others_should_ask = self.table().settle(&credentials.name, outcome);
        if others_should_ask {
            self.settled.notify_all();
        }
    }

    fn is_open(&self, device: &DeviceName, name: &str) -> bool {
        self.answers().is_open(device, name)
    }

    fn note(&self, device: &DeviceName, name: &str, outcome: LoginOutcome) {
        self.answers().note(device, name, outcome);
    }

    fn wake(&self) {
        // Under the lock, so that nobody is between looking at the flag and going to sleep.
        let _table = self.table();
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
        (
            Arc::new(RunGate::new(Arc::new(TestClock(now)), Arc::default())),
            now,
        )
    }

    #[test]
    fn those_who_wait_go_on_when_a_login_is_accepted() {
        let (gate, now) = gate();
        let far = now + Duration::from_secs(3600);
        for _ in 0..3 {
            gate.admit(&credentials(), &[], &CancelHandle::new(), far)
                .unwrap();
        }
        let (done, came) = mpsc::channel();
        let waiters: Vec<_> = (0..5)
            .map(|_| {
                let (gate, done) = (Arc::clone(&gate), done.clone());
                std::thread::spawn(move || {
                    done.send(gate.admit(&credentials(), &[], &CancelHandle::new(), far))
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
            gate.admit(&credentials(), &[], &CancelHandle::new(), far)
                .unwrap();
        }
        let waiter = {
            let gate = Arc::clone(&gate);
            std::thread::spawn(move || gate.admit(&credentials(), &[], &CancelHandle::new(), far))
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
            gate.admit(&credentials(), &[], &CancelHandle::new(), far)
                .unwrap();
        }
        let cancel = CancelHandle::new();
        let waiter = {
            let (gate, cancel) = (Arc::clone(&gate), cancel.clone());
            std::thread::spawn(move || gate.admit(&credentials(), &[], &cancel, far))
        };
        cancel.cancel();
        gate.wake();
        assert_eq!(waiter.join().unwrap(), Err(SessionError::Cancelled));
        let late = gate.admit(&credentials(), &[], &CancelHandle::new(), now);
        assert_eq!(late.unwrap_err().kind(), FailureKind::Timeout);
    }

    fn aaa() -> Vec<Arc<LimitSet>> {
        vec![Arc::new(LimitSet {
            name: "aaa1".into(),
            in_flight: None,
            logins: LoginRate::per_second(1.0),
        })]
    }

    #[test]
    fn a_login_waits_for_its_moment_and_a_cancelled_one_gives_it_back() {
        let (gate, now) = gate();
        let far = now + Duration::from_secs(3600);
        let free = CancelHandle::new();
        gate.admit(&credentials(), &aaa(), &free, far).unwrap();
        // The clock stands still, so the next moment never comes.
        let cancel = CancelHandle::new();
        let waiter = {
            let (gate, cancel) = (Arc::clone(&gate), cancel.clone());
            std::thread::spawn(move || gate.admit(&credentials(), &aaa(), &cancel, far))
        };
        gate.admit(&credentials(), &[], &free, far).unwrap();
        cancel.cancel();
        gate.wake();
        assert_eq!(waiter.join().unwrap(), Err(SessionError::Cancelled));
        let second = gate.logins.book(&aaa(), now);
        assert_eq!(second - now, Duration::from_secs(1), "given back");
        let late = gate.admit(&credentials(), &aaa(), &free, now + Duration::from_secs(1));
        let late = late.unwrap_err();
        assert_eq!(late.kind(), FailureKind::Timeout);
        assert!(late.to_string().contains("logins_per_second"), "{late}");
        // Every turn with the credentials came back: two are outstanding, a third may go.
        gate.admit(&credentials(), &[], &free, far).unwrap();
    }

    #[test]
    fn the_rate_of_all_devices_counts_for_those_in_no_set() {
        let (gate, now) = gate();
        gate.logins.bound_all(LoginRate::per_second(2.0));
        let booked: Vec<_> = [&aaa()[..], &[], &[], &aaa()[..]]
            .into_iter()
            .map(|limits| (gate.logins.book(limits, now) - now).as_millis())
            .collect();
        assert_eq!(booked, [0, 500, 1000, 1500]);
        gate.logins.bound_all(None);
        assert_eq!(gate.logins.book(&[], now), now);
    }
}
