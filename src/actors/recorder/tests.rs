//! The recorder with journals that fail as they are told.

use super::*;
use crate::model::device::DeviceName;
use crate::model::history::Incident;
use actix::System;
use std::sync::mpsc;

/// What a stub journal does with a batch.
#[derive(Clone, Copy)]
enum Act {
    Write,
    Fail(&'static str),
    Panic,
}

/// Acts as it is told, then writes; sends each batch that it wrote.
struct StubJournal {
    acts: mpsc::Receiver<Act>,
    written: mpsc::Sender<Vec<String>>,
    released: Vec<Released>,
}

impl Journal for StubJournal {
    fn write(&mut self, entries: &[Entry], _: SystemTime) -> Result<(), StateError> {
        match self.acts.try_recv().unwrap_or(Act::Write) {
            Act::Write => {}
            Act::Fail(reason) => {
                return Err(StateError::Damaged {
                    path: "wrmem.db".into(),
                    detail: reason.to_owned(),
                });
            }
            Act::Panic => panic!("as asked"),
        }
        let kinds = entries.iter().map(|entry| match entry {
            Entry::Incident(incident) => incident.kind.clone(),
            other => format!("{other:?}"),
        });
        self.written.send(kinds.collect()).unwrap();
        Ok(())
    }

    fn released(&mut self, _: SystemTime) -> Result<Vec<Released>, StateError> {
        Ok(std::mem::take(&mut self.released))
    }

    fn prune(&mut self, _: SystemTime) -> Result<More, StateError> {
        Ok(More::No)
    }
}

fn entry(kind: impl ToString) -> Remember {
    Remember(Entry::Incident(Incident {
        at: SystemTime::UNIX_EPOCH,
        device: None,
        kind: kind.to_string(),
        message: String::new(),
    }))
}

struct World {
    recorder: Addr<Recorder>,
    acts: mpsc::Sender<Act>,
    written: mpsc::Receiver<Vec<String>>,
}

fn in_world<F, Fut>(test: F)
where
    F: FnOnce(World) -> Fut,
    Fut: Future<Output = ()>,
{
    System::new().block_on(async {
        let (acts, to_act) = mpsc::channel();
        let (write, written) = mpsc::channel();
        let recorder = Recorder::start_with(Box::new(StubJournal {
            acts: to_act,
            written: write,
            released: Vec::new(),
        }));
        test(World {
            recorder,
            acts,
            written,
        })
        .await;
    });
}

#[test]
fn what_was_told_is_written_in_order_when_settle_is_answered() {
    in_world(|world| async move {
        for number in 0..10 {
            world.recorder.do_send(entry(number));
        }
        assert_eq!(world.recorder.send(Settle).await.unwrap(), Ok(()));
        let written: Vec<_> = world.written.try_iter().flatten().collect();
        let told: Vec<_> = (0..10).map(|number| number.to_string()).collect();
        assert_eq!(written, told);
        assert_eq!(world.recorder.send(Settle).await.unwrap(), Ok(()));
        assert!(world.written.try_recv().is_err(), "nothing was left");
    });
}

#[test]
fn many_entries_are_written_in_few_batches_of_bounded_size() {
    in_world(|world| async move {
        for number in 0..10_000 {
            world.recorder.do_send(entry(number));
        }
        assert_eq!(world.recorder.send(Settle).await.unwrap(), Ok(()));
        let sizes: Vec<_> = world.written.try_iter().map(|batch| batch.len()).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 10_000);
        assert!(sizes.iter().all(|size| *size <= BATCH_MAX), "{sizes:?}");
        assert!(sizes.len() < 10, "{sizes:?}");
    });
}

#[test]
fn what_could_not_be_written_is_kept_and_written_later_in_order() {
    in_world(|world| async move {
        for act in [Act::Fail("disk full"), Act::Panic] {
            world.acts.send(act).unwrap();
        }
        world.recorder.do_send(entry("a"));
        let error = world.recorder.send(Settle).await.unwrap().unwrap_err();
        assert!(error.to_string().contains("disk full"), "{error}");
        world.recorder.do_send(entry("b"));
        let error = world.recorder.send(Settle).await.unwrap().unwrap_err();
        assert!(error.to_string().contains("crashed"), "{error}");
        assert!(!error.to_string().contains("as asked"), "{error}");
        world.recorder.do_send(entry("c"));
        assert_eq!(world.recorder.send(Settle).await.unwrap(), Ok(()));
        let written: Vec<_> = world.written.try_iter().flatten().collect();
        assert_eq!(written, ["a", "b", "c"]);
    });
}

#[test]
fn entries_that_cannot_be_written_are_bounded_and_the_newest_stay() {
    in_world(|world| async move {
        for _ in 0..2 {
            world.acts.send(Act::Fail("disk full")).unwrap();
        }
        for number in 0..WAITING_MAX {
            world.recorder.do_send(entry(number));
        }
        assert!(world.recorder.send(Settle).await.unwrap().is_err());
        for _ in 0..10 {
            world.recorder.do_send(entry("last"));
        }
        assert!(world.recorder.send(Settle).await.unwrap().is_err());
        assert_eq!(world.recorder.send(Settle).await.unwrap(), Ok(()));
        let written: Vec<_> = world.written.try_iter().flatten().collect();
        assert_eq!(written.len(), WAITING_MAX);
        assert_eq!(written.first().unwrap(), "10");
        assert_eq!(written.last().unwrap(), "last");
    });
}

#[test]
fn a_closed_state_takes_nothing_more_and_says_so() {
    in_world(|world| async move {
        world.recorder.do_send(entry("a"));
        assert_eq!(world.recorder.send(Settle).await.unwrap(), Ok(()));
        world.recorder.send(Close).await.unwrap();
        assert!(world.written.try_recv().is_ok());
        assert!(world.written.recv().is_err(), "the journal was dropped");
        world.recorder.do_send(entry("b"));
        let error = world.recorder.send(Settle).await.unwrap().unwrap_err();
        assert!(error.to_string().contains("closed"), "{error}");
    });
}

struct Listener(mpsc::Sender<Vec<Released>>);

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<Release> for Listener {
    type Result = ();

    fn handle(&mut self, Release(devices): Release, _: &mut Self::Context) {
        self.0.send(devices).unwrap();
        System::current().stop();
    }
}

#[test]
fn who_listens_is_told_of_releases_once() {
    // The clock jumps ahead whenever nobody has anything to do, so that nothing is waited for.
    let system = System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    });
    let (tell, told) = mpsc::channel();
    let r1 = Released {
        device: DeviceName::new("r1").unwrap(),
        credentials: Some("lab".to_owned()),
    };
    let released = vec![r1.clone()];
    system.block_on(async move {
        let (_, acts) = mpsc::channel();
        let (written, _) = mpsc::channel();
        let recorder = Recorder::start_with(Box::new(StubJournal {
            acts,
            written,
            released,
        }));
        recorder.do_send(TellReleases(Listener(tell).start().recipient()));
    });
    system.run().unwrap();
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [vec![r1]]);
}
