//! Collects events and hands them to the sinks, on an arbiter of its own: a slow terminal or a
//! dead sink never slows a run.

use super::messages::{Finish, Tell};
use crate::model::event::EventSink;
use actix::{Actor, Addr, Arbiter, Context, Handler};
use std::sync::mpsc;

/// How many events may wait for slow sinks before progress events are dropped.
const EVENTS_KEPT: usize = 65_536;

/// Hands events to sinks.
pub struct Collector {
    sinks: Vec<Box<dyn EventSink>>,
}

impl Collector {
    /// Starts a collector on `arbiter`, which must not be the caller's own.
    #[must_use]
    pub fn start_on(arbiter: &Arbiter, sinks: Vec<Box<dyn EventSink>>) -> Addr<Self> {
        let (opened, open) = mpsc::channel();
        let collector = Self::start_in_arbiter(&arbiter.handle(), move |ctx| {
            ctx.set_mailbox_capacity(EVENTS_KEPT);
            // Nobody waits any more when the arbiter was stopped meanwhile.
            let _ = opened.send(());
            Self { sinks }
        });
        // Until then the mailbox has actix's usual few places, and the first events of a large run
        // would be dropped.
        let _ = open.recv();
        collector
    }
}

impl Actor for Collector {
    type Context = Context<Self>;
}

impl Handler<Tell> for Collector {
    type Result = ();

    fn handle(&mut self, Tell { run, event }: Tell, _: &mut Self::Context) {
        for sink in &mut self.sinks {
            sink.on_in(run, &event);
        }
    }
}

impl Handler<Finish> for Collector {
    type Result = ();

    fn handle(&mut self, _: Finish, _: &mut Self::Context) {
        for sink in &mut self.sinks {
            sink.finish();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::DeviceName;
    use crate::model::event::Event;
    use crate::model::stage::Stage;

    struct Counts(mpsc::Sender<()>);

    impl EventSink for Counts {
        fn on(&mut self, _: &Event) {
            self.0.send(()).unwrap();
        }
    }

    #[test]
    fn the_first_events_of_a_large_run_are_not_dropped() {
        let (seen, events) = mpsc::channel();
        actix::System::new().block_on(async {
            let arbiter = Arbiter::new();
            let collector = Collector::start_on(&arbiter, vec![Box::new(Counts(seen))]);
            for number in 0..5_000 {
                let event = Event::StageStarted {
                    device: DeviceName::new(&format!("csr{number}")).unwrap(),
                    stage: Stage::Connect,
                    attempt: 1,
                };
                let run = std::time::SystemTime::UNIX_EPOCH;
                let told = Tell { run, event };
                assert!(collector.try_send(told).is_ok(), "event {number}");
            }
            collector.send(Finish).await.unwrap();
            arbiter.stop();
            arbiter.join().unwrap();
        });
        assert_eq!(events.iter().count(), 5_000);
    }
}
