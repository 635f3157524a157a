//! Every message between actors.
//!
//! ```text
//! daemon ──SetInventory, StopScheduling──▶ Scheduler ──StartRun──┐
//!                                                                ▼
//! cli | daemon ──StartRun, Drain, RunStatus───────────────▶ Supervisor ──RunStage──▶ DeviceActor
//!    ▲                                                      │   │   ▲        (one per attempt, own sync arbiter)
//!    └──RunOver── Scheduler                                 │   │   └──StageReply (StageDone | StageFailed | lost)
//!                                                           │   ├──WriteConfig, EndRun──▶ Archivist ──WriteBatch, CommitWritten──▶ ArchiveWriter
//!                                                           │   │                         (groups)                      (one sync thread)
//!                                                           │   ├──Remember, Settle──▶ Recorder ──batches──▶ StateWriter
//!                                                           │   ◀──Release───────────┘              (one sync thread)
//!                                                           └──Tell(Event)──▶ Collector ──▶ sinks
//! ```
//!
//! What must arrive is a request whose reply or `MailboxError` is handled; [`Tell`] alone may be
//! lost. A reply is handed to the supervisor's own mailbox by the task that awaited it.

mod schedule;

pub use schedule::{
    AskSchedule, RunOver, ScheduleStatus, Scheduled, SetInventory, StopScheduling, Who,
};

use crate::archive::{ArchiveError, NotStored, Put};
use crate::flow::Work;
use crate::flow::breaker::Asked;
use crate::model::config::{Config, Info};
use crate::model::device::{BrokenDevice, Device, DeviceName};
use crate::model::event::Event;
use crate::model::failure::Failure;
use crate::model::forecast::DeviceTimes;
use crate::model::health::Released;
use crate::model::limit::LoginRate;
use crate::model::report::{Mode, RunReport, Stored};
use crate::model::save::SaveNeed;
use crate::model::stage::{Stage, Trail};
use crate::model::version::ObjectId;
use crate::state::journal::Entry;
use actix::{MailboxError, Message, Recipient};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::oneshot;

/// Begins a run; answered when the run is over.
#[derive(Debug, Message)]
#[rtype(result = "Result<RunReport, RunRefused>")]
pub struct StartRun {
    /// The devices, in the order in which they are first tried.
    pub devices: Vec<Arc<Device>>,
    /// Devices whose own settings are faulty; they fail without being tried.
    pub broken: Vec<BrokenDevice>,
    /// What is done with them.
    pub work: Work,
    /// One by one or all at once.
    pub mode: Mode,
    /// How many devices may be in flight.
    pub in_flight: usize,
    /// How often devices may be logged in to, all together.
    pub logins: Option<LoginRate>,
    /// The time over which the run is spread; at full speed where there is none.
    pub finish_within: Option<Duration>,
    /// How long devices took when they were last backed up, as far as known.
    pub times: DeviceTimes,
    /// Who asked for it.
    pub asked: Asked,
    /// Who wants it.
    pub lane: Lane,
}

/// Who wants a run.
#[derive(Debug)]
pub enum Lane {
    /// The schedule. Some slots are not for it; devices that are still busy are left out; a device
    /// is not begun any more after the moment that stands beside its name.
    Scheduled {
        /// When the devices' windows close.
        not_after: HashMap<DeviceName, Instant>,
    },
    /// Somebody who waits for it. Its devices go before those of the schedule; where one is still
    /// busy, its turn comes when it is not.
    Asked {
        /// At most so many of its devices are in flight at once, whatever is allowed in all.
        at_most: Option<usize>,
        /// Is told what happens, besides the collector.
        told: Option<Recipient<Tell>>,
        /// Breaks the run off: like [`Drain`], with the grace that is sent.
        break_off: Option<oneshot::Receiver<Duration>>,
    },
}

impl Lane {
    /// That of a run that nobody else competes with.
    #[must_use]
    pub const fn alone() -> Self {
        Self::Asked {
            at_most: None,
            told: None,
            break_off: None,
        }
    }
}

/// Why a run did not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RunRefused {
    /// wrmem is being stopped.
    #[error("wrmem is being stopped; no new run begins")]
    Draining,
}

/// Stops taking on devices: those queued are cancelled, those in flight may go on for `grace`,
/// then their sockets are cut.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Drain {
    /// How long devices in flight may go on.
    pub grace: Duration,
}

/// Takes devices that wait out of their runs, where they end as cancelled; those in flight go on.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Withdraw(pub Vec<DeviceName>);

/// Asks how things stand. Whatever was sent before it has been taken in when it is answered.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Status")]
pub struct RunStatus;

/// How things stand at the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, actix::MessageResponse)]
pub struct Status {
    /// Devices that have a slot.
    pub in_flight: usize,
    /// Devices that wait for a slot.
    pub queued: usize,
    /// Devices that wait for their next attempt.
    pub in_backoff: usize,
    /// Runs under way.
    pub runs: usize,
    /// Device threads left behind that have not come back.
    pub abandoned: usize,
}

/// Runs one stage on a device.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Served")]
pub struct RunStage {
    /// Which stage.
    pub stage: Stage,
    /// The moment by which it must be done.
    pub deadline: Instant,
}

/// How a stage ended. Boxed, because it is handed on by many hands, and each would keep room for all
/// of it on its thread's stack.
pub type Served = Result<Box<StageDone>, Box<StageFailed>>;

/// What a stage brought.
#[derive(Debug)]
pub enum Product {
    /// Nothing but the fact that it is done.
    Nothing,
    /// The device's config.
    Config {
        /// The config, proven whole.
        config: Config,
        /// What is kept beside it.
        info: Option<Info>,
        /// Whether the device has to be saved, where its policy leaves that open.
        need: SaveNeed,
    },
}

/// A stage ended well.
#[derive(Debug)]
pub struct StageDone {
    /// When it began on the device's thread.
    pub began: Instant,
    /// How long it took.
    pub took: Duration,
    /// Step times, notes, algorithms.
    pub trail: Trail,
    /// What it brought.
    pub product: Product,
}

/// Whether there is still a session to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// The device thread is well; a session, if there is one, can be ended in order.
    Orderly,
    /// The stage panicked; the session is gone and the attempt is over.
    Gone,
}

/// A stage failed.
#[derive(Debug)]
pub struct StageFailed {
    /// Why.
    pub failure: Failure,
    /// When it began on the device's thread.
    pub began: Instant,
    /// How long it took.
    pub took: Duration,
    /// Step times, notes, algorithms up to the failure.
    pub trail: Trail,
    /// What is left of the session.
    pub session: SessionState,
}

/// Tells one use of a slot from every other one, so that late replies are recognized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub u64);

/// A device is being called: from now on it is waited for, not a CPU.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct DeviceCalled(pub SlotId);

/// A device's answer to [`RunStage`], as the awaiting task hands it to the supervisor.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StageReply {
    /// For which slot.
    pub slot: SlotId,
    /// The answer, or the loss of the thread that should have given it.
    pub result: Result<Served, MailboxError>,
}

/// Makes a config durable; answered when it is.
#[derive(Debug, Message)]
#[rtype(result = "Result<Stored, NotStored>")]
pub struct WriteConfig(pub Put);

/// The archivist's answer to [`WriteConfig`], as the awaiting task hands it to the supervisor.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct WriteReply {
    /// For which slot.
    pub slot: SlotId,
    /// The answer, or the loss of the archivist.
    pub result: Result<Result<Stored, NotStored>, MailboxError>,
}

/// Makes a batch of configs durable; answered in the order of the batch.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Result<Stored, NotStored>>")]
pub struct WriteBatch(pub Vec<Put>);

/// Has something remembered, soon. What was sent before [`Settle`] is durable when that is answered well.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Remember(pub Entry);

/// Asks the recorder to make durable all that it was told; answered when it is.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<(), NotRecorded>")]
pub struct Settle;

/// Why something could not be made durable in the state; it is tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotRecorded(pub String);

/// An operator wants these devices tried again.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Release(pub Vec<Released>);

/// A run is over; answered with the commits that it became, unless commits come at times of their
/// own.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Committed")]
pub struct EndRun;

/// Makes versions of what was written since the last time; answered when they are durable.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Committed")]
pub struct CommitWritten;

/// The commits that were made, in their order, or why there are none.
pub type Committed = Result<Vec<ObjectId>, ArchiveError>;

/// Tells the collector a fact. May be lost under load.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Tell {
    /// When the run began that it is about.
    pub run: SystemTime,
    /// The fact.
    pub event: Event,
}

/// Asks the collector to let everything out; answered when every sink has.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Finish;
