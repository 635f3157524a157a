//! The archivist: the only writer of configs. It groups what arrives together into one batch, so
//! that a thousand files are not a thousand serial waits for the disk.
//!
//! A sync actor answers each message before it sees the next one, so the grouping is done by an
//! async front and the writing by a sync actor on one thread.

use super::crash::fenced;
use super::messages::{WriteBatch, WriteConfig};
use crate::archive::{Archive, ArchiveError, NotStored, Put};
use crate::model::report::Stored;
use actix::fut::wrap_future;
use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, MailboxError, ResponseFuture,
    SyncArbiter, SyncContext,
};
use std::path::PathBuf;
use std::sync::Mutex;
use tokio::sync::oneshot;

/// How many configs are made durable together at most; bounds the memory held by a batch.
const BATCH_MAX: usize = 1024;

type Answer = Result<Stored, NotStored>;

/// Groups configs into batches and answers each when it is durable.
pub struct Archivist {
    writer: Addr<ArchiveWriter>,
    waiting: Vec<(Put, oneshot::Sender<Answer>)>,
    writing: bool,
}

impl Archivist {
    /// Starts the archivist and the thread that writes to `archive`.
    #[must_use]
    pub fn start_with(archive: Box<dyn Archive>) -> Addr<Self> {
        let hand_over = Mutex::new(Some(archive));
        let writer = SyncArbiter::start(1, move || ArchiveWriter {
            archive: hand_over.lock().ok().and_then(|mut archive| archive.take()),
        });
        Self {
            writer,
            waiting: Vec::new(),
            writing: false,
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
            actor.write_next(ctx);
        }));
    }
}

fn answer_all(answers: Vec<oneshot::Sender<Answer>>, results: Result<Vec<Answer>, MailboxError>) {
    let results = results.unwrap_or_default();
    let missing = std::iter::repeat_with(|| Err(writer_lost()));
    for (answer, result) in answers.into_iter().zip(results.into_iter().chain(missing)) {
        // Nobody waits any more when the write stage was given up.
        let _ = answer.send(result);
    }
}

fn writer_lost() -> NotStored {
    NotStored::Archive(ArchiveError {
        path: PathBuf::from("the archive"),
        action: "write",
        reason: "the writing thread is gone; restart wrmem and see its log".to_owned(),
    })
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
        Box::pin(async move { answered.await.unwrap_or_else(|_| Err(writer_lost())) })
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
    type Result = actix::MessageResult<WriteBatch>;

    fn handle(&mut self, WriteBatch(batch): WriteBatch, _: &mut Self::Context) -> Self::Result {
        let Some(archive) = self.archive.as_mut() else {
            return actix::MessageResult(Vec::new());
        };
        let results = fenced(|| archive.put(batch));
        // An empty answer is reported as a lost writer for every config of the batch.
        actix::MessageResult(results.unwrap_or_default())
    }
}
