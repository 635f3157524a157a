//! The scheduler: knows when each device is due and asks the supervisor for runs.
//!
//! What is due when is decided in [`crate::flow::agenda`]; here are only the timer and the messages.
//! Devices that become due within a slice (a sixtieth of the shortest period, at most a minute) form
//! one run. Whether a device is still busy is the supervisor's knowledge: it leaves such a device out
//! of the run, and the run's report says so.

#[cfg(test)]
mod tests;

use super::messages::{
    AskSchedule, Lane, Remember, RunOver, RunRefused, ScheduleStatus, SetInventory, StartRun,
    StopScheduling, Who,
};
use crate::flow::Work;
use crate::flow::agenda::{Agenda, Appointment, Missed};
use crate::flow::breaker::Asked;
use crate::model::device::DeviceName;
use crate::model::forecast::DeviceTimes;
use crate::model::history::{Due, Trigger};
use crate::model::limit::LoginRate;
use crate::model::report::{Mode, Outcome, RunReport};
use crate::state::journal::Entry;
use actix::{Actor, AsyncContext, Context, Handler, MailboxError, Message, Recipient, SpawnHandle};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;

/// The clock on the wall.
pub trait WallClock {
    /// What it shows.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
pub struct SystemClock;

impl WallClock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// The longest sleep. A machine that was asleep itself, or whose clock was set, is noticed after
/// that at the latest.
const NAP: Duration = Duration::from_secs(30);

/// A difference between the clock on the wall and the one that only goes on, from one look to the
/// next, that is no longer put down to their rates.
const JUMP: Duration = Duration::from_secs(1);

/// Whom the scheduler talks to.
pub struct SchedulerParts {
    /// Makes the runs.
    pub supervisor: Recipient<StartRun>,
    /// Is told how each run ended.
    pub over: mpsc::UnboundedSender<RunOver>,
    /// Remembers when devices are due.
    pub remember: Recipient<Remember>,
    /// What time it is.
    pub clock: Box<dyn WallClock>,
}

/// Hands the end of a run from the task that awaited it to the scheduler.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct RunEnded(Result<Result<RunReport, RunRefused>, MailboxError>);

/// Asks the supervisor for a run whenever devices are due.
pub struct Scheduler {
    parts: SchedulerParts,
    agenda: Agenda,
    devices: HashMap<DeviceName, Who>,
    in_flight: usize,
    logins: Option<LoginRate>,
    credentials_changed: Option<SystemTime>,
    timer: Option<SpawnHandle>,
    looked: (Instant, Timestamp),
    began_run: Option<Instant>,
    stopped: bool,
    runs: u64,
    overruns: u64,
}

impl Scheduler {
    /// A scheduler without devices.
    #[must_use]
    pub fn new(parts: SchedulerParts) -> Self {
        let now = parts.clock.now();
        Self {
            parts,
            agenda: Agenda::default(),
            devices: HashMap::new(),
            in_flight: 1,
            logins: None,
            credentials_changed: None,
            timer: None,
            looked: (monotonic(), now),
            began_run: None,
            stopped: false,
            runs: 0,
            overruns: 0,
        }
    }

    /// What time it is; notices when the clock was set back.
    fn look_at_clock(&mut self) -> Timestamp {
        let (now, steady) = (self.parts.clock.now(), monotonic());
        let (steady_before, before) = self.looked;
        self.looked = (steady, now);
        let passed = steady.saturating_duration_since(steady_before);
        let expected = before.checked_add(passed).unwrap_or(Timestamp::MAX);
        if now.duration_since(expected).unsigned_abs() > JUMP {
            log::warn!("the clock of this machine went from {expected:.0} to {now:.0} at once");
        }
        if expected.duration_since(now) > JUMP.try_into().unwrap_or_default() {
            self.agenda.clock_set_back(now);
        }
        now
    }

    /// Sleeps until the next device is due, but not within a slice of the last run.
    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if self.stopped {
            return;
        }
        let now = self.parts.clock.now();
        let until_due = self.agenda.wakes_at().map_or(NAP, |at| {
            Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
        });
        // Timers count in whole milliseconds.
        let sleep = until_due.max(self.until_slice_is_over()) + Duration::from_millis(1);
        self.timer = Some(ctx.run_later(sleep.min(NAP), |actor, ctx| {
            actor.timer = None;
            actor.begin_due(ctx);
        }));
    }

    /// Has the turns remembered that have moved.
    fn keep_dues(&mut self, now: Timestamp) {
        let decided = SystemTime::from(now);
        let dues: Vec<_> = self
            .agenda
            .moved()
            .into_iter()
            .filter_map(|(name, at)| {
                let at = SystemTime::from(at?);
                Some((name, Due { at, decided }))
            })
            .collect();
        if !dues.is_empty() {
            self.parts.remember.do_send(Remember(Entry::Due(dues)));
        }
    }

    fn until_slice_is_over(&self) -> Duration {
        self.began_run.map_or(Duration::ZERO, |began| {
            (began + self.agenda.slice()).saturating_duration_since(monotonic())
        })
    }

    fn begin_due(&mut self, ctx: &mut Context<Self>) {
        let now = self.look_at_clock();
        if !self.until_slice_is_over().is_zero() {
            return self.set_timer(ctx);
        }
        let turns = self.agenda.take_due(now);
        tell_missed(turns.missed);
        if !turns.devices.is_empty() {
            self.began_run = Some(monotonic());
            self.begin(&turns.devices, ctx);
        }
        self.keep_dues(now);
        self.set_timer(ctx);
    }

    /// A device that was called off has not had its turn.
    fn turns_not_had(&mut self, report: &RunReport) {
        let called_off: Vec<DeviceName> = report
            .devices
            .iter()
            .filter(|device| matches!(device.outcome, Outcome::Cancelled(_)))
            .map(|device| device.name.clone())
            .collect();
        if !called_off.is_empty() && !self.stopped {
            let now = self.look_at_clock();
            tell_missed(self.agenda.not_had(called_off, now));
            self.keep_dues(now);
        }
    }

    /// When the windows of these devices close, on the clock that only goes on.
    fn window_ends(&self, names: &[DeviceName]) -> HashMap<DeviceName, Instant> {
        let (now, steady) = (self.parts.clock.now(), monotonic());
        let end = |name: &DeviceName| {
            let left = self.agenda.closes_after(name, now)?.duration_since(now);
            Some((name.clone(), steady + Duration::try_from(left).ok()?))
        };
        names.iter().filter_map(end).collect()
    }

    fn begin(&mut self, names: &[DeviceName], ctx: &mut Context<Self>) {
        let mut start = StartRun {
            devices: Vec::with_capacity(names.len()),
            broken: Vec::new(),
            work: Work::Backup,
            mode: Mode::Concurrent,
            in_flight: self.in_flight,
            logins: self.logins,
            // Their turns spread them already.
            finish_within: None,
            times: DeviceTimes::new(),
            asked: Asked {
                credentials_changed: self.credentials_changed,
                ..Asked::by(Trigger::Schedule)
            },
            lane: Lane::Scheduled {
                not_after: self.window_ends(names),
            },
        };
        for name in names {
            match self.devices.get(name) {
                Some(Who::Sound(device)) => start.devices.push(Arc::clone(device)),
                Some(Who::Broken(device)) => start.broken.push(device.clone()),
                None => {}
            }
        }
        self.runs += 1;
        let run = self.parts.supervisor.send(start);
        let scheduler = ctx.address();
        actix_rt::spawn(async move {
            let ended = run.await;
            scheduler.do_send(RunEnded(ended));
        });
    }
}

fn tell_missed(missed: Missed) {
    if missed.devices > 0 {
        log::warn!(
            "{} devices missed their turn; {}",
            missed.devices,
            follow(missed.within)
        );
    }
}

/// How devices that missed their turn are caught up.
#[must_use]
pub fn follow(within: Duration) -> String {
    let when = if within.is_zero() {
        "at once".to_owned()
    } else {
        format!("within {} s", within.as_secs())
    };
    format!("they follow {when}, or by their next turn where that is about as soon")
}

/// tokio's clock, because tests stop it.
fn monotonic() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Actor for Scheduler {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Bounded by the runs under way, each of which ends once.
        ctx.set_mailbox_capacity(0);
        self.set_timer(ctx);
    }
}

impl Handler<SetInventory> for Scheduler {
    type Result = actix::MessageResult<SetInventory>;

    fn handle(&mut self, set: SetInventory, ctx: &mut Self::Context) -> Self::Result {
        let now = self.look_at_clock();
        self.in_flight = set.in_flight.max(1);
        self.logins = set.logins;
        self.credentials_changed = set.credentials_changed;
        self.devices.clear();
        let mut appointments = Vec::with_capacity(set.devices.len());
        for device in set.devices {
            let name = device.who.name().clone();
            appointments.push(Appointment {
                name: name.clone(),
                schedule: device.schedule,
                done_until: device.last_tried,
            });
            self.devices.insert(name, device.who);
        }
        let missed = self.agenda.set(appointments, now);
        self.keep_dues(now);
        self.set_timer(ctx);
        actix::MessageResult(missed)
    }
}

impl Handler<RunEnded> for Scheduler {
    type Result = ();

    fn handle(&mut self, RunEnded(ended): RunEnded, ctx: &mut Self::Context) {
        let over = match ended {
            Ok(Ok(report)) => {
                self.overruns += u64::try_from(report.busy.len()).unwrap_or(u64::MAX);
                self.turns_not_had(&report);
                self.set_timer(ctx);
                RunOver::Report(Box::new(report))
            }
            Ok(Err(refused)) => RunOver::Refused(refused),
            Err(_) => RunOver::SupervisorLost,
        };
        // Nobody listens any more when the process is ending.
        let _ = self.parts.over.send(over);
    }
}

impl Handler<StopScheduling> for Scheduler {
    type Result = ();

    fn handle(&mut self, _: StopScheduling, ctx: &mut Self::Context) {
        self.stopped = true;
        self.set_timer(ctx);
    }
}

impl Handler<AskSchedule> for Scheduler {
    type Result = ScheduleStatus;

    fn handle(&mut self, _: AskSchedule, _: &mut Self::Context) -> Self::Result {
        ScheduleStatus {
            devices: self.agenda.len(),
            next: self.agenda.wakes_at(),
            runs: self.runs,
            overruns: self.overruns,
        }
    }
}
