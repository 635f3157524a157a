//! The archivist: the only writer of configs. It groups what arrives together into one batch, so
//! that a thousand files are not a thousand serial waits for the disk.
//!
//! A sync actor answers each message before it sees the next one, so the grouping is done by an
//! async front and the writing by a sync actor on one thread.

use super::crash::fenced;
use super::messages::{CommitWritten, Committed, EndRun, WriteBatch, WriteConfig};
use crate::archive::{Archive, ArchiveError, NotStored, Put};
use crate::model::report::Stored;
use actix::fut::wrap_future;
use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, MailboxError, MessageResult,
    ResponseFuture, SyncArbiter, SyncContext,
};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::oneshot;

/// How many configs are made durable together at most; bounds the memory held by a batch.
const BATCH_MAX: usize = 1024;

type Answer = Result<Stored, NotStored>;

/// When what was written becomes versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitPace {
    /// At the end of each run.
    EachRun,
    /// So long after the first config that no commit has yet: runs overlap, and what comes at about
    /// the same time belongs together.
    Every(Duration),
}

/// Groups configs into batches and answers each when it is durable.
pub struct Archivist {
    writer: Addr<ArchiveWriter>,
    waiting: Vec<(Put, oneshot::Sender<Answer>)>,
    writing: bool,
    pace: CommitPace,
    /// A commit will come by itself.
    commit_is_due: bool,
}

impl Archivist {
    /// Starts the archivist and the thread that writes to `archive`.
    #[must_use]
    pub fn start_with(archive: Box<dyn Archive>, pace: CommitPace) -> Addr<Self> {
        let hand_over = Mutex::new(Some(archive));
        let writer = SyncArbiter::start(1, move || ArchiveWriter {
            archive: hand_over.lock().ok().and_then(|mut archive| archive.take()),
        });
        Self {
            writer,
            waiting: Vec::new(),
            writing: false,
            pace,
            commit_is_due: false,
        }
        .start()
    }

    fn write_next(&mut self, ctx: &mut Context<Self>) {
        if self.writing || self.waiting.is_empty() {
            return;
        }
        self.writing = true;
        let rest = self.waiting.split_off(self.waiting.len().min(BATCH_MAX));
        let (batch, answers): (Vec<_>, Vec<_>) = std::mem::replace(&mut self.waiting, rest)
            .into_iter()
            .unzip();
        let written = wrap_future::<_, Self>(self.writer.send(WriteBatch(batch)));
        ctx.spawn(written.map(move |results, actor, ctx| {
            actor.writing = false;
            answer_all(answers, results);
            actor.commit_later(ctx);
            actor.write_next(ctx);
        }));
    }

    fn commit_later(&mut self, ctx: &mut Context<Self>) {
        let CommitPace::Every(slice) = self.pace else {
            return;
        };
        if !std::mem::replace(&mut self.commit_is_due, true) {
            ctx.run_later(slice, |actor, ctx| {
                actor.commit_is_due = false;
                let committed = wrap_future::<_, Self>(actor.commit());
                ctx.spawn(committed.map(|committed, actor, ctx| {
                    if let Err(error) = committed {
                        log::error!("{error}");
                        actor.commit_later(ctx);
                    }
                }));
            });
        }
    }

    fn commit(&self) -> impl Future<Output = Committed> + use<> {
        let committed = self.writer.send(CommitWritten);
        async move { committed.await.unwrap_or_else(|_| Err(writer_lost())) }
    }
}

fn answer_all(answers: Vec<oneshot::Sender<Answer>>, results: Result<Vec<Answer>, MailboxError>) {
    let results = results.unwrap_or_default();
    let missing = std::iter::repeat_with(|| Err(writer_lost().into()));
    for (answer, result) in answers.into_iter().zip(results.into_iter().chain(missing)) {
        // Nobody waits any more when the write stage was given up.
        let _ = answer.send(result);
    }
}

fn writer_lost() -> ArchiveError {
    ArchiveError {
        path: PathBuf::from("the archive"),
        action: "write",
        reason: "the writing thread is gone; restart wrmem and see its log".to_owned(),
    }
}

impl Actor for Archivist {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Bounded by the devices in flight, each of which waits for its one config.
        ctx.set_mailbox_capacity(0);
    }
}

impl Handler<WriteConfig> for Archivist {
    type Result = ResponseFuture<Answer>;

    fn handle(&mut self, WriteConfig(put): WriteConfig, ctx: &mut Self::Context) -> Self::Result {
        let (answer, answered) = oneshot::channel();
        self.waiting.push((put, answer));
        self.write_next(ctx);
        Box::pin(async move { answered.await.unwrap_or_else(|_| Err(writer_lost().into())) })
    }
}

impl Handler<EndRun> for Archivist {
    type Result = ResponseFuture<Committed>;

    fn handle(&mut self, _: EndRun, _: &mut Self::Context) -> Self::Result {
        match self.pace {
            CommitPace::EachRun => Box::pin(self.commit()),
            CommitPace::Every(_) => Box::pin(async { Ok(Vec::new()) }),
        }
    }
}

impl Handler<CommitWritten> for Archivist {
    type Result = ResponseFuture<Committed>;

    fn handle(&mut self, _: CommitWritten, _: &mut Self::Context) -> Self::Result {
        Box::pin(self.commit())
    }
}

/// Writes batches on its own thread.
pub struct ArchiveWriter {
    archive: Option<Box<dyn Archive>>,
}

impl Actor for ArchiveWriter {
    type Context = SyncContext<Self>;
}

impl Handler<WriteBatch> for ArchiveWriter {
    type Result = MessageResult<WriteBatch>;

    fn handle(&mut self, WriteBatch(batch): WriteBatch, _: &mut Self::Context) -> Self::Result {
        let Some(archive) = self.archive.as_mut() else {
            return MessageResult(Vec::new());
        };
        let results = fenced(|| archive.put(&batch));
        // An empty answer is reported as a lost writer for every config of the batch.
        MessageResult(results.unwrap_or_default())
    }
}

impl Handler<CommitWritten> for ArchiveWriter {
    type Result = MessageResult<CommitWritten>;

    fn handle(&mut self, _: CommitWritten, _: &mut Self::Context) -> Self::Result {
        let Some(archive) = self.archive.as_mut() else {
            return MessageResult(Err(writer_lost()));
        };
        MessageResult(fenced(|| archive.commit()).unwrap_or_else(|_| Err(writer_lost())))
    }
}

#[cfg(test)]
mod tests;
