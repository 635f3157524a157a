//! Holding a recorded session again, without the device.

use super::{Event, Trace, script, subject};
use crate::model::device::Device;
use crate::model::platform::Platform;
use crate::model::stage::{Stage, Trail};
use crate::session::scripted::{Scripted, Typed, VirtualClock};
use crate::session::{Clock, ConnectContext, Connector, SessionError, Transport};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A stage of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Which stage.
    pub stage: Stage,
    /// How long it might take.
    pub within: Duration,
    /// How it ended; empty where the trace does not tell.
    pub told: String,
    /// What was typed in it, each time one item.
    pub said: Vec<Vec<u8>>,
}

/// A trace, ready to be held again.
pub struct Replay {
    /// The device, as far as the dialogue depends on it.
    pub device: Arc<Device>,
    /// Its stages in order.
    pub stages: Vec<Recorded>,
    /// The lines of the last good config that were looked at.
    pub last_good: Vec<u8>,
    /// Connects to the recorded device, once.
    pub connector: ReplayConnector,
}

impl Replay {
    /// Makes a trace ready. `platform` finds the platform by its name.
    ///
    /// # Errors
    /// Says why the trace cannot be held again.
    pub fn new(
        trace: &Trace,
        platform: impl Fn(&str) -> Option<Arc<Platform>>,
    ) -> Result<Self, String> {
        let name = trace.setting("platform").unwrap_or_default();
        let Some(platform) = platform(name) else {
            return Err(format!(
                "platform `{name}` is not known here; give the settings folder that has its file \
                 with --settings DIR"
            ));
        };
        if let Some(Event::Cut(bytes)) = trace.events.iter().find(|e| matches!(e, Event::Cut(_))) {
            return Err(format!(
                "{bytes} more bytes came than record.max_mb lets a trace hold: it can be read, \
                 and not be replayed"
            ));
        }
        let stages = stages(trace);
        let failed = match stages.first() {
            Some(first) if !trace.events.iter().any(is_dialogue) => refusal(&first.told)?,
            Some(_) => None,
            None => return Err("the trace has no stage".to_owned()),
        };
        let scripted = Scripted::new(trace.steps());
        Ok(Self {
            device: Arc::new(subject::device(trace, platform)?),
            last_good: trace.setting("last_good").unwrap_or_default().into(),
            stages,
            connector: ReplayConnector {
                clock: scripted.clock(),
                typed: scripted.typed(),
                scripted: Mutex::new(Some(scripted)),
                failed,
            },
        })
    }
}

fn is_dialogue(event: &Event) -> bool {
    match event {
        Event::Heard(_) | Event::Said(_) | Event::Exit(..) | Event::Eof | Event::Broken(_) => true,
        Event::Quiet(_) | Event::Pause(_) => true,
        Event::Stage(..) | Event::Ended(..) | Event::Noted(_) | Event::Cut(_) => false,
    }
}

/// Why no session came about, as it was told.
fn refusal(told: &str) -> Result<Option<SessionError>, String> {
    let (kind, message) = told.split_once(' ').unwrap_or((told, ""));
    if kind.is_empty() || kind == "ok" {
        return Ok(None);
    }
    Ok(Some(SessionError::new(script::kind(kind)?, message)))
}

fn stages(trace: &Trace) -> Vec<Recorded> {
    let mut stages: Vec<Recorded> = Vec::new();
    for event in &trace.events {
        match (event, stages.last_mut()) {
            (Event::Stage(stage, within), _) => stages.push(Recorded {
                stage: *stage,
                within: *within,
                told: String::new(),
                said: Vec::new(),
            }),
            (Event::Said(bytes), Some(last)) => last.said.push(bytes.clone()),
            (Event::Ended(stage, told), Some(last)) if last.stage == *stage => {
                last.told.clone_from(told);
            }
            _ => {}
        }
    }
    stages
}

/// Hands out the recorded device.
pub struct ReplayConnector {
    scripted: Mutex<Option<Scripted>>,
    clock: Arc<VirtualClock>,
    typed: Typed,
    failed: Option<SessionError>,
}

impl ReplayConnector {
    /// What was typed so far.
    #[must_use]
    pub fn typed(&self) -> Vec<u8> {
        self.typed.bytes()
    }
}

impl Connector for ReplayConnector {
    fn connect(
        &self,
        _: &ConnectContext<'_>,
        _: &mut Trail,
    ) -> Result<Box<dyn Transport>, SessionError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let scripted = self
            .scripted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match scripted {
            Some(scripted) => Ok(Box::new(scripted)),
            None => Err(SessionError::Cancelled),
        }
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }
}
