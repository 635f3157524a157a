//! The recorder: the only writer of the state. It gathers what happens into batches, one transaction
//! each, so that ten thousand devices are not ten thousand waits for the disk.
//!
//! Nobody waits for it but the end of a run. What cannot be written is kept and tried again, up to a
//! bound: trouble with the state never stops a backup.

use super::crash::fenced;
use super::messages::{NotRecorded, Release, Remember, Settle};
use crate::model::health::Released;
use crate::state::StateError;
use crate::state::journal::{Entry, Journal, More};
use actix::fut::wrap_future;
use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, MailboxError, Message,
    MessageResult, Recipient, ResponseFuture, SpawnHandle, SyncArbiter, SyncContext,
};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::sync::oneshot;

/// How long entries are gathered before they are written, where nobody waits for them: what is lost
/// at `kill -9` is what happened within it.
const GATHER: Duration = Duration::from_millis(250);

/// How long until what could not be written is tried again, where nobody waits for it.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// How many entries may wait. Beyond that the oldest are given up.
const WAITING_MAX: usize = 100_000;

/// How many entries are written together; bounds how long a transaction takes.
const BATCH_MAX: usize = 4096;

/// How often it is looked for releases.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How often what is old is removed.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

type Answer = oneshot::Sender<Result<(), NotRecorded>>;

/// Gathers entries and has them written.
pub struct Recorder {
    writer: Addr<StateWriter>,
    waiting: Vec<Entry>,
    // Those who wait until all that is waiting now is written.
    answers: Vec<Answer>,
    phase: Phase,
    trouble: Option<String>,
    released: Option<Recipient<Release>>,
}

enum Phase {
    Idle,
    /// Entries are gathered until this fires.
    Gathering(SpawnHandle),
    Writing,
}

impl Recorder {
    /// Starts the recorder and the thread that writes to `journal`.
    #[must_use]
    pub fn start_with(journal: Box<dyn Journal>) -> Addr<Self> {
        let hand_over = Mutex::new(Some(journal));
        let writer = SyncArbiter::start(1, move || StateWriter {
            journal: hand_over.lock().ok().and_then(|mut journal| journal.take()),
        });
        Self {
            writer,
            waiting: Vec::new(),
            answers: Vec::new(),
            phase: Phase::Idle,
            trouble: None,
            released: None,
        }
        .start()
    }

    fn gather(&mut self, delay: Duration, ctx: &mut Context<Self>) {
        if matches!(self.phase, Phase::Idle) {
            let timer = ctx.run_later(delay, |actor, ctx| {
                actor.phase = Phase::Idle;
                actor.write_next(ctx);
            });
            self.phase = Phase::Gathering(timer);
        }
    }

    fn write_next(&mut self, ctx: &mut Context<Self>) {
        match self.phase {
            Phase::Writing => return,
            Phase::Gathering(timer) => {
                ctx.cancel_future(timer);
            }
            Phase::Idle => {}
        }
        let rest = self.waiting.split_off(self.waiting.len().min(BATCH_MAX));
        let batch = std::mem::replace(&mut self.waiting, rest);
        if batch.is_empty() {
            self.phase = Phase::Idle;
            return self.answer(&Ok(()));
        }
        self.phase = Phase::Writing;
        let batch = Arc::new(batch);
        let written = self.writer.send(Write(Arc::clone(&batch)));
        ctx.spawn(
            wrap_future::<_, Self>(written).map(move |result, actor, ctx| {
                actor.phase = Phase::Idle;
                actor.written(batch, result, ctx);
            }),
        );
    }

    fn written(
        &mut self,
        batch: Arc<Vec<Entry>>,
        result: Result<Result<(), String>, MailboxError>,
        ctx: &mut Context<Self>,
    ) {
        match result.unwrap_or_else(|_| Err(writer_lost())) {
            Ok(()) => {
                if self.trouble.take().is_some() {
                    log::warn!("the state can be written again");
                }
                if self.waiting.is_empty() {
                    self.phase = Phase::Idle;
                    self.answer(&Ok(()));
                } else {
                    self.write_next(ctx);
                }
            }
            Err(reason) => {
                self.keep(batch);
                if self.trouble.as_ref() != Some(&reason) {
                    log::error!(
                        "the state cannot be written: {reason}; backups go on, and it is tried again"
                    );
                }
                self.answer(&Err(NotRecorded(reason.clone())));
                self.trouble = Some(reason);
                self.gather(TRY_AGAIN, ctx);
            }
        }
    }

    /// Puts a batch that was not written back to the front.
    fn keep(&mut self, batch: Arc<Vec<Entry>>) {
        let mut entries = Arc::unwrap_or_clone(batch);
        entries.append(&mut self.waiting);
        let excess = entries.len().saturating_sub(WAITING_MAX);
        if excess > 0 {
            log::error!("{excess} entries that could not be written to the state are given up");
            entries.drain(..excess);
        }
        self.waiting = entries;
    }

    fn answer(&mut self, result: &Result<(), NotRecorded>) {
        for answer in self.answers.drain(..) {
            // Nobody waits any more where the end of the run would not wait so long.
            let _ = answer.send(result.clone());
        }
    }

    fn look_for_releases(&mut self, ctx: &mut Context<Self>) {
        let Some(listener) = self.released.clone() else {
            return;
        };
        let asked = self.writer.send(TakeReleases);
        ctx.spawn(wrap_future::<_, Self>(asked).map(move |released, _, _| {
            // What cannot be read now is read the next time; the writer says what is wrong.
            let released = released.ok().and_then(Result::ok).unwrap_or_default();
            if !released.is_empty() {
                listener.do_send(Release(released));
            }
        }));
    }

    fn prune(&mut self, ctx: &mut Context<Self>) {
        let pruned = self.writer.send(Prune);
        ctx.spawn(wrap_future::<_, Self>(pruned).map(|result, actor, ctx| {
            match result.unwrap_or_else(|_| Err(writer_lost())) {
                // Batches that came in between get their turn.
                Ok(More::Yes) => actor.prune(ctx),
                Ok(More::No) => {}
                Err(reason) => log::warn!("nothing old was removed from the state: {reason}"),
            }
        }));
    }
}

fn writer_lost() -> String {
    "its writing thread is gone; restart wrmem and see its log".to_owned()
}

impl Actor for Recorder {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Bounded by the devices of the runs under way.
        ctx.set_mailbox_capacity(0);
        ctx.run_interval(LOOK_EVERY, Self::look_for_releases);
        ctx.run_interval(PRUNE_EVERY, Self::prune);
        self.prune(ctx);
    }
}

/// Names who is told of releases.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TellReleases(pub Recipient<Release>);

impl Handler<TellReleases> for Recorder {
    type Result = ();

    fn handle(&mut self, TellReleases(listener): TellReleases, _: &mut Self::Context) {
        self.released = Some(listener);
    }
}

impl Handler<Remember> for Recorder {
    type Result = ();

    fn handle(&mut self, Remember(entry): Remember, ctx: &mut Self::Context) {
        self.waiting.push(entry);
        self.gather(GATHER, ctx);
    }
}

impl Handler<Settle> for Recorder {
    type Result = ResponseFuture<Result<(), NotRecorded>>;

    fn handle(&mut self, _: Settle, ctx: &mut Self::Context) -> Self::Result {
        let (answer, answered) = oneshot::channel();
        self.answers.push(answer);
        self.write_next(ctx);
        Box::pin(async move {
            answered
                .await
                .unwrap_or_else(|_| Err(NotRecorded(writer_lost())))
        })
    }
}

/// Closes the state in order; answered when that is done.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Close;

impl Handler<Close> for Recorder {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Close, _: &mut Self::Context) -> Self::Result {
        let closed = self.writer.send(Close);
        Box::pin(async move {
            // A writer that is gone has nothing left to close.
            let _ = closed.await;
        })
    }
}

/// Writes on its own thread.
pub struct StateWriter {
    // None once it was closed.
    journal: Option<Box<dyn Journal>>,
}

impl StateWriter {
    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut dyn Journal) -> Result<T, StateError>,
    ) -> Result<T, String> {
        let Some(journal) = self.journal.as_deref_mut() else {
            return Err("it was closed".to_owned());
        };
        match fenced(|| work(journal)) {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(place) => Err(format!(
                "wrmem crashed at {place}; please report this as a bug"
            )),
        }
    }
}

impl Actor for StateWriter {
    type Context = SyncContext<Self>;
}

#[derive(Message)]
#[rtype(result = "Result<(), String>")]
struct Write(Arc<Vec<Entry>>);

impl Handler<Write> for StateWriter {
    type Result = Result<(), String>;

    fn handle(&mut self, Write(batch): Write, _: &mut Self::Context) -> Self::Result {
        self.with(|journal| journal.write(&batch, SystemTime::now()))
    }
}

#[derive(Message)]
#[rtype(result = "Result<Vec<Released>, String>")]
struct TakeReleases;

impl Handler<TakeReleases> for StateWriter {
    type Result = Result<Vec<Released>, String>;

    fn handle(&mut self, _: TakeReleases, _: &mut Self::Context) -> Self::Result {
        self.with(|journal| journal.released(SystemTime::now()))
    }
}

#[derive(Message)]
#[rtype(result = "Result<More, String>")]
struct Prune;

impl Handler<Prune> for StateWriter {
    type Result = Result<More, String>;

    fn handle(&mut self, _: Prune, _: &mut Self::Context) -> Self::Result {
        self.with(|journal| journal.prune(SystemTime::now()))
    }
}

impl Handler<Close> for StateWriter {
    type Result = MessageResult<Close>;

    fn handle(&mut self, _: Close, _: &mut Self::Context) -> Self::Result {
        self.journal = None;
        MessageResult(())
    }
}

#[cfg(test)]
mod tests;
