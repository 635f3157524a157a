//! A recorded session, held again by the same code that serves devices.

use crate::actors::device::{AttemptSpec, DeviceActor, Edges, told};
use crate::actors::messages::RunStage;
use crate::archive::{ArchiveError, LastGood};
use crate::model::credentials::Credentials;
use crate::model::device::{DeviceName, GroupName};
use crate::model::limit::LimitSet;
use crate::model::stage::Stage;
use crate::session::trace::{Recorded, Replay};
use crate::session::{CancelHandle, Connector, LoginGate, LoginOutcome, SessionError};
use std::sync::Arc;
use std::time::Instant;

/// How a session went when it was held again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Each stage, as it ended then and now.
    pub stages: Vec<Ends>,
    /// What was typed differently, first of all.
    pub typed: Option<Difference>,
}

/// How a stage ended: `ok` and what it brought, or the kind of a failure and its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// Which stage.
    pub stage: Stage,
    /// As it was recorded; empty where it was not.
    pub then: String,
    /// As it ended now; empty where it was not reached.
    pub now: String,
}

/// What was typed then and now; empty where nothing was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// In which recorded stage.
    pub stage: Stage,
    /// As it was recorded.
    pub then: Vec<u8>,
    /// As it is typed now.
    pub now: Vec<u8>,
}

impl Ends {
    /// Whether both are the same: messages may differ, they tell times.
    #[must_use]
    pub fn are_same(&self) -> bool {
        let kind = |told: &str| told.split(' ').next().unwrap_or_default().to_owned();
        let ok = kind(&self.then) == "ok";
        self.then == self.now || (!ok && kind(&self.then) == kind(&self.now))
    }
}

impl Replayed {
    /// Whether all went as it was recorded.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.typed.is_none() && self.stages.iter().all(Ends::are_same)
    }
}

/// What was looked at of the last good config.
struct Marks(Vec<u8>);

impl LastGood for Marks {
    fn last_good(
        &self,
        _: &DeviceName,
        _: Option<&GroupName>,
    ) -> Result<Option<Vec<u8>>, ArchiveError> {
        Ok((!self.0.is_empty()).then(|| self.0.clone()))
    }
}

/// Nobody waits for a turn: no login is made.
struct OpenGate;

impl LoginGate for OpenGate {
    fn admit(
        &self,
        _: &Credentials,
        _: &[Arc<LimitSet>],
        _: &CancelHandle,
        _: Instant,
    ) -> Result<(), SessionError> {
        Ok(())
    }

    fn settle(&self, _: &Credentials, _: LoginOutcome) {}

    fn wake(&self) {}
}

/// Holds a recorded session again.
#[must_use]
pub fn replay(replay: Replay) -> Replayed {
    let recorded = replay.stages;
    let connector = Arc::new(replay.connector);
    let clock = connector.clock();
    let spec = AttemptSpec {
        device: replay.device,
        cancel: CancelHandle::new(),
        gate: Arc::new(OpenGate),
        called: Arc::new(|| {}),
    };
    let edges = Edges {
        connector: connector.clone(),
        last_good: Arc::new(Marks(replay.last_good)),
        recorder: None,
    };
    let mut actor = DeviceActor::new(spec, edges);
    let mut stages = Vec::new();
    let mut connected = true;
    for stage in &recorded {
        let mut now = String::new();
        if connected {
            let deadline = clock.now() + stage.within;
            now = told(&actor.serve(RunStage {
                stage: stage.stage,
                deadline,
            }));
            connected = stage.stage != Stage::Connect || now.starts_with("ok");
        }
        stages.push(Ends {
            stage: stage.stage,
            then: stage.told.clone(),
            now,
        });
    }
    Replayed {
        stages,
        typed: difference(&recorded, &connector.typed()),
    }
}

fn difference(recorded: &[Recorded], typed: &[u8]) -> Option<Difference> {
    let mut rest = typed;
    let mut last = Stage::Connect;
    for stage in recorded {
        last = stage.stage;
        for then in &stage.said {
            match rest.strip_prefix(then.as_slice()) {
                Some(after) => rest = after,
                None => {
                    return Some(Difference {
                        stage: stage.stage,
                        then: then.clone(),
                        now: up_to_difference(rest, then),
                    });
                }
            }
        }
    }
    (!rest.is_empty()).then(|| Difference {
        stage: last,
        then: Vec::new(),
        now: up_to_difference(rest, &[]),
    })
}

/// What was typed instead of `then`, through the first line that is different.
fn up_to_difference(typed: &[u8], then: &[u8]) -> Vec<u8> {
    let same = typed.iter().zip(then).take_while(|(a, b)| a == b).count();
    let rest = typed.get(same..).unwrap_or_default();
    let line = rest.iter().position(|byte| *byte == b'\r');
    let end = line.map_or(typed.len(), |at| same + at + 1);
    typed.get(..end).unwrap_or_default().to_vec()
}
