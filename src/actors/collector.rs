//! Collects events and hands them to the sinks, on an arbiter of its own: a slow terminal or a
//! dead sink never slows a run.

use super::messages::{Finish, Tell};
use crate::model::event::EventSink;
use actix::{Actor, Addr, Arbiter, Context, Handler};

/// How many events may wait for slow sinks before progress events are dropped.
const EVENTS_KEPT: usize = 65_536;

/// Hands events to sinks.
pub struct Collector {
    sinks: Vec<Box<dyn EventSink>>,
}

impl Collector {
    /// Starts a collector on `arbiter`.
    #[must_use]
    pub fn start_on(arbiter: &Arbiter, sinks: Vec<Box<dyn EventSink>>) -> Addr<Self> {
        Self::start_in_arbiter(&arbiter.handle(), move |_| Self { sinks })
    }
}

impl Actor for Collector {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(EVENTS_KEPT);
    }
}

impl Handler<Tell> for Collector {
    type Result = ();

    fn handle(&mut self, Tell(event): Tell, _: &mut Self::Context) {
        for sink in &mut self.sinks {
            sink.on(&event);
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
