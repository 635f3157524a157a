//! Whether the actors that must always be there still are.
//!
//! A panic ends an actor without a word, and one that hangs answers nothing. A watchdog asks each of
//! them to show itself, from a thread of its own: no actor's system could tell of its own hang.

use super::archivist::Archivist;
use super::collector::Collector;
use super::recorder::Recorder;
use super::scheduler::Scheduler;
use super::supervisor::Supervisor;
use actix::{Handler, Message, Recipient};
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

/// Asks an actor to show that it is alive. An actor that is gone drops the channel instead.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ShowAlive(SyncSender<()>);

macro_rules! shows_itself {
    ($($actor:ty),+) => {$(
        impl Handler<ShowAlive> for $actor {
            type Result = ();

            fn handle(&mut self, ShowAlive(shown): ShowAlive, _: &mut Self::Context) {
                // The watchdog may have lost its patience.
                let _ = shown.try_send(());
            }
        }
    )+};
}

shows_itself!(Supervisor, Scheduler, Archivist, Recorder, Collector);

/// What silence means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// The actor hangs.
    IsLoss,
    /// The actor waits for someone else, such as a terminal that shows nothing; only its death
    /// counts.
    IsBorne,
}

/// An actor that is watched.
pub struct Watched {
    /// What it is called.
    pub name: &'static str,
    /// Where it is asked.
    pub actor: Recipient<ShowAlive>,
    /// What it means if it does not answer.
    pub silence: Silence,
}

/// How often actors are asked, and how long they have to answer.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// From one question to the next.
    pub every: Duration,
    /// How long an answer may take.
    pub bound: Duration,
}

/// An actor that does not do its work any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// It is gone.
    #[error("wrmem's {0} is gone")]
    Gone(&'static str),
    /// It does not answer.
    #[error("wrmem's {0} did not answer within {bound} s", bound = .1.as_secs_f64())]
    Silent(&'static str, Duration),
}

/// What a watchdog does.
pub struct Duties {
    /// Whenever all actors have shown themselves.
    pub all_well: Box<dyn FnMut() + Send>,
    /// Once, when one is lost.
    pub on_loss: Box<dyn FnOnce(Loss) + Send>,
}

/// A thread that watches actors. When this is dropped it ends by itself, soon: it may be waiting for
/// an answer of the very thread that drops it.
pub struct Watchdog(#[expect(dead_code, reason = "dropped, not used")] SyncSender<()>);

impl Watchdog {
    /// Begins to watch.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(watched: Vec<Watched>, pace: Pace, duties: Duties) -> io::Result<Self> {
        let (stop, stopped) = mpsc::sync_channel(1);
        std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || watch(watched, pace, duties, &stopped))?;
        Ok(Self(stop))
    }
}

/// A question that has not been answered yet.
struct Asked {
    watched: Watched,
    answer: Option<Receiver<()>>,
}

fn watch(watched: Vec<Watched>, pace: Pace, mut duties: Duties, stopped: &Receiver<()>) {
    let mut all: Vec<Asked> = watched
        .into_iter()
        .map(|watched| Asked {
            watched,
            answer: None,
        })
        .collect();
    loop {
        for asked in &mut all {
            asked.ask();
        }
        let deadline = Instant::now() + pace.bound;
        for asked in &mut all {
            if let Err(loss) = asked.hear(deadline, pace.bound) {
                // Whoever stops the watchdog may stop the actors, too.
                if stopped.try_recv() != Err(mpsc::TryRecvError::Disconnected) {
                    (duties.on_loss)(loss);
                }
                return;
            }
        }
        (duties.all_well)();
        if stopped.recv_timeout(pace.every) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

impl Asked {
    fn ask(&mut self) {
        if self.answer.is_none() {
            let (shown, answer) = mpsc::sync_channel(1);
            self.watched.actor.do_send(ShowAlive(shown));
            self.answer = Some(answer);
        }
    }

    fn hear(&mut self, deadline: Instant, bound: Duration) -> Result<(), Loss> {
        let Some(answer) = &self.answer else {
            return Ok(());
        };
        let left = match self.watched.silence {
            Silence::IsLoss => deadline.saturating_duration_since(Instant::now()),
            Silence::IsBorne => Duration::ZERO,
        };
        match (answer.recv_timeout(left), self.watched.silence) {
            (Ok(()), _) => {
                self.answer = None;
                Ok(())
            }
            (Err(RecvTimeoutError::Disconnected), _) => Err(Loss::Gone(self.watched.name)),
            (Err(RecvTimeoutError::Timeout), Silence::IsBorne) => Ok(()),
            (Err(RecvTimeoutError::Timeout), Silence::IsLoss) => {
                Err(Loss::Silent(self.watched.name, bound))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix::{Actor, Addr, Arbiter, Context, System};

    /// An actor that can be killed, or made to hang until its channel is dropped.
    struct Worker;

    impl Actor for Worker {
        type Context = Context<Self>;
    }

    shows_itself!(Worker);

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Die;

    impl Handler<Die> for Worker {
        type Result = ();

        fn handle(&mut self, _: Die, _: &mut Self::Context) {
            panic!("dies, as asked");
        }
    }

    #[derive(Message)]
    #[rtype(result = "()")]
    struct HangUntil(Receiver<()>);

    impl Handler<HangUntil> for Worker {
        type Result = ();

        fn handle(&mut self, HangUntil(released): HangUntil, _: &mut Self::Context) {
            let _ = released.recv();
        }
    }

    /// Longer than a panic takes to tell of itself.
    const A_MINUTE: Duration = Duration::from_secs(60);

    struct World {
        worker: Addr<Worker>,
        well: Receiver<()>,
        lost: Receiver<Loss>,
        watchdog: Watchdog,
    }

    /// Watches a worker on an arbiter of its own, so that the test's thread is free.
    fn watch_worker(silence: Silence, bound: Duration, test: impl FnOnce(World)) {
        System::new().block_on(async {
            let arbiter = Arbiter::new();
            let worker = Worker::start_in_arbiter(&arbiter.handle(), |_| Worker);
            let (all_well, well) = mpsc::channel();
            let (loss, lost) = mpsc::channel();
            let watched = Watched {
                name: "worker",
                actor: worker.clone().recipient(),
                silence,
            };
            let pace = Pace {
                every: Duration::from_millis(1),
                bound,
            };
            let duties = Duties {
                all_well: Box::new(move || {
                    let _ = all_well.send(());
                }),
                on_loss: Box::new(move |found| loss.send(found).unwrap()),
            };
            let watchdog = Watchdog::start(vec![watched], pace, duties).unwrap();
            test(World {
                worker,
                well,
                lost,
                watchdog,
            });
            arbiter.stop();
            let _ = arbiter.join();
        });
    }

    #[test]
    fn while_all_are_well_it_says_so_and_it_ends_when_dropped() {
        watch_worker(Silence::IsLoss, A_MINUTE, |world| {
            for _ in 0..3 {
                world.well.recv().unwrap();
            }
            drop(world.watchdog);
            assert_eq!(
                world.lost.recv(),
                Err(mpsc::RecvError),
                "and nothing was lost"
            );
        });
    }

    #[test]
    fn a_death_is_noticed() {
        for silence in [Silence::IsLoss, Silence::IsBorne] {
            watch_worker(silence, A_MINUTE, |world| {
                world.well.recv().unwrap();
                world.worker.do_send(Die);
                assert_eq!(world.lost.recv(), Ok(Loss::Gone("worker")));
            });
        }
    }

    #[test]
    fn a_hang_is_noticed_where_it_counts() {
        let bound = Duration::from_millis(200);
        watch_worker(Silence::IsLoss, bound, |world| {
            world.well.recv().unwrap();
            let (release, released) = mpsc::channel();
            world.worker.do_send(HangUntil(released));
            let lost = world.lost.recv().unwrap();
            assert_eq!(
                lost.to_string(),
                "wrmem's worker did not answer within 0.2 s"
            );
            drop(release);
        });
        watch_worker(Silence::IsBorne, bound, |world| {
            let (release, released) = mpsc::channel();
            world.worker.do_send(HangUntil(released));
            // Many rounds later it is still borne; afterwards it is asked anew.
            for _ in 0..100 {
                world.well.recv().unwrap();
            }
            drop(release);
            drop(world.watchdog);
            assert_eq!(world.lost.recv(), Err(mpsc::RecvError));
        });
    }
}
