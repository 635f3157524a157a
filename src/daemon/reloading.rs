//! Reading the settings anew while everything else goes on: on a thread of its own, because the
//! commands that give credentials take their time; one reading after the other.

use super::reload::{self, BadSettings, Changes, Reading, Shrinking};
use super::service;
use crate::settings::Source;
use tokio::sync::oneshot;

/// What became of a wish: the changes, or why nothing was changed.
pub(super) type Answer = Result<Changes, String>;

/// A wish for the settings to be read anew.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) shrinking: Shrinking,
    answers: Vec<oneshot::Sender<Answer>>,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            shrinking: Shrinking::Refused,
            answers: Vec::new(),
        }
    }
}

impl Wish {
    /// One whose answer is waited for.
    pub(super) fn answered(shrinking: Shrinking, answer: oneshot::Sender<Answer>) -> Self {
        Self {
            shrinking,
            answers: vec![answer],
        }
    }

    /// Tells those who wait for it what became of it.
    pub(super) fn answer(self, answer: &Answer) {
        for waiting in self.answers {
            // Whoever asked may have gone.
            let _ = waiting.send(answer.clone());
        }
    }

    /// One reading fulfils both.
    fn join(&mut self, other: Self) {
        if other.shrinking == Shrinking::Meant {
            self.shrinking = Shrinking::Meant;
        }
        self.answers.extend(other.answers);
    }
}

/// The wish that waits, and the reading that is under way.
#[derive(Default)]
pub(super) struct Reloading {
    waiting: Option<Wish>,
    running: Option<(Wish, oneshot::Receiver<Result<Reading, BadSettings>>)>,
}

impl Reloading {
    /// Wishes for a reading that begins later than now.
    pub(super) fn wish(&mut self, wish: Wish) {
        match &mut self.waiting {
            Some(waiting) => waiting.join(wish),
            None => self.waiting = Some(wish),
        }
    }

    /// Begins the reading that is wished for, if none is under way.
    pub(super) fn begin(&mut self, source: &Source) {
        if self.running.is_some() {
            return;
        }
        let Some(wish) = self.waiting.take() else {
            return;
        };
        service::reloading();
        let (send, receive) = oneshot::channel();
        let source = source.clone();
        let started = std::thread::Builder::new()
            .name("settings".to_owned())
            .spawn(move || {
                // Nobody waits any more when the process is ending.
                let _ = send.send(reload::read(&source));
            });
        if let Err(error) = started {
            log::error!("no thread to read the settings on: {error}");
        }
        self.running = Some((wish, receive));
    }

    /// Waits for the end of the reading that is under way.
    pub(super) async fn ended(&mut self) -> (Wish, Result<Reading, BadSettings>) {
        let Some((_, receive)) = &mut self.running else {
            return std::future::pending().await;
        };
        let read = receive.await.unwrap_or_else(|_| {
            Err(BadSettings::Faulty(
                "they could not be read; see the log".to_owned(),
            ))
        });
        let wish = self.running.take().map(|(wish, _)| wish);
        (wish.unwrap_or_default(), read)
    }
}
