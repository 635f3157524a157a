//! Pure policy: what comes next for a device, whether it is tried again, who may begin and log in
//! when.
//!
//! [`Flow`] is the stage sequence of one device as a machine: it is told what happened and answers
//! with the next [`Step`]. The supervisor only performs steps, so every path is testable without actors.

pub mod admission;
pub mod agenda;
pub mod breaker;
pub mod escalation;
pub mod forecast;
pub mod pacing;
pub mod retry;
pub mod schedule;

use crate::model::failure::{Failure, FailureKind};
use crate::model::report::Outcome;
use crate::model::save::{SaveNeed, Saving};
use crate::model::stage::Stage;
use retry::RetryPolicy;
use std::time::Duration;

/// What a run does with its devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// All stages; whether save is one of them, and when, is the device's policy.
    Backup,
    /// Connect and disconnect only, to see whether the login works.
    Login,
}

/// What happened to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The device has a slot: an attempt begins.
    Admitted,
    /// The stage that was running ended well.
    Done,
    /// The backup stage ended well: the config is proven whole.
    Read(SaveNeed),
    /// The stage that was running failed; the session may still be there.
    Failed(Failure),
    /// The attempt is over because its thread crashed or was left behind; there is no session to end.
    Lost(Failure),
}

/// What is to be done with a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Run this stage.
    Run(Stage),
    /// Give the slot back and queue the device again after the delay.
    Retry {
        /// Why the attempt failed.
        failure: Failure,
        /// How long to wait.
        delay: Duration,
    },
    /// The device is done.
    Finish(Outcome),
}

/// The stage sequence of one device through all its attempts in a run.
#[derive(Debug, Clone)]
pub struct Flow {
    work: Work,
    saving: Saving,
    retry: RetryPolicy,
    attempt: u32,
    stage: Option<Stage>,
    failure: Option<Failure>,
    not_saved: Option<Failure>,
    need: SaveNeed,
}

impl Flow {
    /// A device that has not been tried yet.
    #[must_use]
    pub const fn new(work: Work, saving: Saving, retry: RetryPolicy) -> Self {
        Self {
            work,
            saving,
            retry,
            attempt: 0,
            stage: None,
            failure: None,
            not_saved: None,
            need: SaveNeed::Unneeded,
        }
    }

    /// Which attempt it is, from 1; 0 before the first.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Takes notice of what happened and says what comes next.
    pub fn on(&mut self, input: Input, rng: &mut fastrand::Rng) -> Step {
        match (self.stage, input) {
            (_, Input::Admitted) => {
                self.attempt += 1;
                self.failure = None;
                self.not_saved = None;
                self.need = SaveNeed::Unneeded;
                self.run(Stage::Connect)
            }
            (Some(Stage::Disconnect), Input::Lost(failure)) => {
                // The work is done or has failed already; how the goodbye went changes nothing.
                log::debug!("disconnect: {failure}");
                self.conclude(rng)
            }
            (_, Input::Lost(failure)) => {
                self.failure.get_or_insert(failure);
                self.conclude(rng)
            }
            (Some(stage), Input::Done) => self.after(stage, rng),
            (Some(stage), Input::Read(need)) => {
                self.need = need;
                self.after(stage, rng)
            }
            (Some(stage), Input::Failed(failure)) => self.after_failure(stage, failure, rng),
            (None, Input::Done | Input::Read(_) | Input::Failed(_)) => self.conclude(rng),
        }
    }

    fn run(&mut self, stage: Stage) -> Step {
        self.stage = Some(stage);
        Step::Run(stage)
    }

    fn after(&mut self, stage: Stage, rng: &mut fastrand::Rng) -> Step {
        match stage {
            Stage::Connect if self.work == Work::Login => self.run(Stage::Disconnect),
            Stage::Connect if self.saving == Saving::Before => self.run(Stage::Save),
            Stage::Save if self.saving == Saving::Before => self.run(Stage::Backup),
            Stage::Connect => self.run(Stage::Backup),
            Stage::Backup if self.is_saved_after() => self.run(Stage::Save),
            Stage::Backup | Stage::Save => self.run(Stage::Write),
            Stage::Write => self.run(Stage::Disconnect),
            Stage::Disconnect => self.conclude(rng),
        }
    }

    fn is_saved_after(&self) -> bool {
        match self.saving {
            Saving::After => true,
            Saving::IfNeeded => self.need == SaveNeed::Needed,
            Saving::Never | Saving::Before => false,
        }
    }

    fn after_failure(&mut self, stage: Stage, failure: Failure, rng: &mut fastrand::Rng) -> Step {
        match stage {
            // Nothing was connected, so there is nothing to end.
            Stage::Connect => {
                self.failure = Some(failure);
                self.conclude(rng)
            }
            Stage::Save if self.saving == Saving::Before && session_survives(failure.kind) => {
                self.not_saved = Some(failure);
                self.run(Stage::Backup)
            }
            // The config is in hand and proven; only what casts doubt on it keeps it from the archive.
            Stage::Save if self.saving != Saving::Before && !taints(failure.kind) => {
                self.not_saved = Some(failure);
                self.run(Stage::Write)
            }
            Stage::Save | Stage::Backup | Stage::Write => {
                self.failure = Some(failure);
                self.run(Stage::Disconnect)
            }
            Stage::Disconnect => self.conclude(rng),
        }
    }

    fn conclude(&mut self, rng: &mut fastrand::Rng) -> Step {
        self.stage = None;
        let Some(failure) = self.failure.take() else {
            return Step::Finish(match self.not_saved.take() {
                None => Outcome::Ok,
                Some(failure) => Outcome::NotSaved(failure),
            });
        };
        if failure.kind == FailureKind::Cancelled {
            return Step::Finish(Outcome::Cancelled(failure));
        }
        match self.retry.next(self.attempt, failure.kind, rng) {
            Some(delay) => Step::Retry { failure, delay },
            None => Step::Finish(Outcome::Failed(failure)),
        }
    }
}

/// Whether a failed save leaves a session on which the config can still be read.
const fn session_survives(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::SaveBusy
            | FailureKind::SaveFailed
            | FailureKind::SaveNeedsConfirm
            | FailureKind::AuthzDenied
            | FailureKind::CommandRejected
            | FailureKind::Unexpected
    )
}

/// Whether a failure of a save says that the config that was read before it is not to be stored.
const fn taints(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Unproven | FailureKind::Cancelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(attempts: u32) -> RetryPolicy {
        RetryPolicy {
            attempts,
            base: Duration::from_secs(2),
            cap: Duration::from_secs(60),
        }
    }

    fn rng() -> fastrand::Rng {
        fastrand::Rng::with_seed(7)
    }

    fn fail(stage: Stage, kind: FailureKind) -> Failure {
        Failure::new(stage, kind, "x")
    }

    /// Drives a flow with the given inputs after admission and returns every step.
    fn walk(saving: Saving, attempts: u32, inputs: Vec<Input>) -> Vec<Step> {
        let mut rng = rng();
        let mut flow = Flow::new(Work::Backup, saving, policy(attempts));
        let mut steps = vec![flow.on(Input::Admitted, &mut rng)];
        steps.extend(inputs.into_iter().map(|input| flow.on(input, &mut rng)));
        steps
    }

    #[test]
    fn a_good_device_goes_through_all_stages() {
        let steps = walk(Saving::Before, 3, vec![Input::Done; 5]);
        let mut expected: Vec<Step> = Stage::ALL.into_iter().map(Step::Run).collect();
        expected.push(Step::Finish(Outcome::Ok));
        assert_eq!(steps, expected);
    }

    #[test]
    fn without_saving_the_save_stage_is_left_out() {
        let steps = walk(Saving::Never, 3, vec![Input::Done; 4]);
        assert!(!steps.contains(&Step::Run(Stage::Save)));
        assert_eq!(steps.last(), Some(&Step::Finish(Outcome::Ok)));
    }

    #[test]
    fn a_device_may_be_saved_after_its_config_was_proven_whole() {
        let inputs = |need| {
            let mut inputs = vec![Input::Done; 5];
            inputs[1] = Input::Read(need);
            inputs
        };
        let stages = |steps: &[Step]| -> Vec<Stage> {
            let run = |step: &Step| match step {
                Step::Run(stage) => Some(*stage),
                Step::Retry { .. } | Step::Finish(_) => None,
            };
            steps.iter().filter_map(run).collect()
        };
        let late = [
            Stage::Connect,
            Stage::Backup,
            Stage::Save,
            Stage::Write,
            Stage::Disconnect,
        ];
        let without = [
            Stage::Connect,
            Stage::Backup,
            Stage::Write,
            Stage::Disconnect,
        ];
        for (saving, need, wanted) in [
            (Saving::After, SaveNeed::Unneeded, &late[..]),
            (Saving::After, SaveNeed::Needed, &late[..]),
            (Saving::IfNeeded, SaveNeed::Needed, &late[..]),
            (Saving::IfNeeded, SaveNeed::Unneeded, &without[..]),
        ] {
            let mut inputs = inputs(need);
            inputs.truncate(wanted.len());
            let steps = walk(saving, 3, inputs);
            assert_eq!(stages(&steps), wanted, "{saving:?} {need:?}");
            assert_eq!(steps.last(), Some(&Step::Finish(Outcome::Ok)));
        }
    }

    #[test]
    fn what_was_proven_is_written_though_it_was_not_saved_afterwards() {
        for kind in FailureKind::ALL {
            let failure = fail(Stage::Save, kind);
            let inputs = vec![
                Input::Done,
                Input::Read(SaveNeed::Needed),
                Input::Failed(failure.clone()),
                Input::Done,
                Input::Done,
            ];
            let steps = walk(Saving::After, 1, inputs);
            if taints(kind) {
                assert_eq!(steps.get(3), Some(&Step::Run(Stage::Disconnect)), "{kind}");
            } else {
                assert_eq!(steps.get(3), Some(&Step::Run(Stage::Write)), "{kind}");
                assert_eq!(
                    steps.last(),
                    Some(&Step::Finish(Outcome::NotSaved(failure))),
                    "{kind}"
                );
            }
        }
    }

    #[test]
    fn a_login_only_connects_and_disconnects() {
        let mut rng = rng();
        let mut flow = Flow::new(Work::Login, Saving::Before, policy(1));
        assert_eq!(
            flow.on(Input::Admitted, &mut rng),
            Step::Run(Stage::Connect)
        );
        assert_eq!(flow.on(Input::Done, &mut rng), Step::Run(Stage::Disconnect));
        assert_eq!(flow.on(Input::Done, &mut rng), Step::Finish(Outcome::Ok));
    }

    #[test]
    fn a_refused_save_does_not_stop_the_backup() {
        let refused = fail(Stage::Save, FailureKind::SaveFailed);
        let steps = walk(
            Saving::Before,
            3,
            vec![
                Input::Done,
                Input::Failed(refused.clone()),
                Input::Done,
                Input::Done,
                Input::Done,
            ],
        );
        assert_eq!(steps.get(2), Some(&Step::Run(Stage::Backup)));
        assert_eq!(
            steps.last(),
            Some(&Step::Finish(Outcome::NotSaved(refused)))
        );
    }

    #[test]
    fn once_connected_disconnect_runs_whatever_failed() {
        for stage in [Stage::Save, Stage::Backup, Stage::Write] {
            let done = Stage::ALL.iter().position(|s| *s == stage).unwrap();
            let mut inputs = vec![Input::Done; done];
            inputs.push(Input::Failed(fail(stage, FailureKind::Reset)));
            let steps = walk(Saving::Before, 3, inputs);
            assert_eq!(steps.last(), Some(&Step::Run(Stage::Disconnect)), "{stage}");
        }
    }

    #[test]
    fn a_failed_disconnect_changes_no_outcome() {
        let mut inputs = vec![Input::Done; 4];
        inputs.push(Input::Failed(fail(Stage::Disconnect, FailureKind::Reset)));
        let steps = walk(Saving::Before, 3, inputs);
        assert_eq!(steps.last(), Some(&Step::Finish(Outcome::Ok)));

        let mut inputs = vec![Input::Done; 4];
        inputs.push(Input::Lost(fail(Stage::Disconnect, FailureKind::Crashed)));
        let steps = walk(Saving::Before, 3, inputs);
        assert_eq!(steps.last(), Some(&Step::Finish(Outcome::Ok)));
    }

    #[test]
    fn a_lost_attempt_is_tried_again_without_a_disconnect() {
        let steps = walk(
            Saving::Before,
            3,
            vec![
                Input::Done,
                Input::Lost(fail(Stage::Save, FailureKind::Crashed)),
            ],
        );
        assert!(matches!(steps.last(), Some(Step::Retry { failure, .. })
            if failure.kind == FailureKind::Crashed));
    }

    #[test]
    fn every_kind_is_retried_as_the_table_says_and_never_beyond_the_last_attempt() {
        for kind in FailureKind::ALL {
            let mut rng = rng();
            let mut flow = Flow::new(Work::Backup, Saving::Never, policy(2));
            flow.on(Input::Admitted, &mut rng);
            let first = flow.on(Input::Failed(fail(Stage::Connect, kind)), &mut rng);
            assert_eq!(
                matches!(first, Step::Retry { .. }),
                kind.is_transient(),
                "{kind}"
            );
            if kind.is_transient() {
                flow.on(Input::Admitted, &mut rng);
                assert_eq!(flow.attempt(), 2);
                let second = flow.on(Input::Failed(fail(Stage::Connect, kind)), &mut rng);
                assert!(
                    matches!(second, Step::Finish(Outcome::Failed(_))),
                    "{kind}: {second:?}"
                );
            }
        }
    }

    #[test]
    fn a_retry_forgets_what_the_failed_attempt_could_not_save() {
        let mut rng = rng();
        let mut flow = Flow::new(Work::Backup, Saving::Before, policy(2));
        flow.on(Input::Admitted, &mut rng);
        flow.on(Input::Done, &mut rng);
        flow.on(
            Input::Failed(fail(Stage::Save, FailureKind::SaveBusy)),
            &mut rng,
        );
        flow.on(
            Input::Failed(fail(Stage::Backup, FailureKind::Truncated)),
            &mut rng,
        );
        let retry = flow.on(Input::Done, &mut rng);
        assert!(matches!(retry, Step::Retry { .. }), "{retry:?}");
        flow.on(Input::Admitted, &mut rng);
        for _ in 0..4 {
            flow.on(Input::Done, &mut rng);
        }
        assert_eq!(
            flow.on(Input::Done, &mut rng),
            Step::Finish(Outcome::Ok),
            "the second attempt saved"
        );
    }

    #[test]
    fn an_interrupted_device_is_cancelled_not_failed() {
        let steps = walk(
            Saving::Never,
            3,
            vec![Input::Failed(fail(Stage::Connect, FailureKind::Cancelled))],
        );
        assert!(matches!(
            steps.last(),
            Some(Step::Finish(Outcome::Cancelled(_)))
        ));
    }
}
