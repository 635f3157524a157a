//! Being let in: with which credentials, in what order, and when it is our turn.

use super::dialer::{Dialer, add_gate_time};
use super::link::Link;
use super::login::{self, Further};
use super::peer::Peer;
use crate::model::credentials::Credentials;
use crate::model::failure::FailureKind;
use crate::model::stage::{StepName, Trail};
use crate::session::{ConnectContext, LoginGate, LoginOutcome, SessionError};

impl Dialer {
    /// Logs in with the device's credentials in their order, each once.
    pub(super) fn log_in(
        &self,
        link: &Link,
        context: &ConnectContext<'_>,
        trail: &mut Trail,
    ) -> Result<(), SessionError> {
        let device = context.device;
        let several = !device.fallbacks.is_empty();
        let mut refusals = Vec::new();
        for credentials in device.all_credentials() {
            let name = &credentials.name;
            if several && !context.gate.is_open(&device.name, name) {
                continue;
            }
            let tried = self.log_in_with(link, credentials, context, trail);
            let (refusal, outcome) = match tried {
                Ok(()) => {
                    trail.credentials = Some(name.clone());
                    if several {
                        trail.note(format!("logged in with credentials {name:?}"));
                        context
                            .gate
                            .note(&device.name, name, LoginOutcome::Accepted);
                    }
                    return Ok(());
                }
                Err(Refusal::Final(error)) => return Err(error),
                Err(Refusal::Untried(error)) => (error, LoginOutcome::Unknown),
                Err(Refusal::Refused(error)) => (error, LoginOutcome::Refused),
            };
            if several {
                context.gate.note(&device.name, name, outcome);
            }
            if several && outcome == LoginOutcome::Refused {
                trail.refused.push(name.clone());
            }
            refusals.push(refusal);
        }
        Err(none_accepted(refusals, &link.peer))
    }

    fn log_in_with(
        &self,
        link: &Link,
        credentials: &Credentials,
        context: &ConnectContext<'_>,
        trail: &mut Trail,
    ) -> Result<(), Refusal> {
        let began = self.clock.now();
        let limits = &context.device.limits;
        let admitted = context
            .gate
            .admit(credentials, limits, context.cancel, context.deadline);
        add_gate_time(trail, self.since(began));
        admitted.map_err(|error| match error.kind() {
            // These rest.
            FailureKind::AuthRefused => Refusal::Untried(error),
            _ => Refusal::Final(error),
        })?;
        let mut turn = LoginTurn {
            gate: context.gate.as_ref(),
            credentials,
            outcome: LoginOutcome::Unknown,
        };
        let began = self.clock.now();
        let deadline = self.limit(context.device.deadlines.login, context.deadline);
        let result = login::log_in(link, credentials, deadline);
        trail.step(StepName::Auth, self.since(began));
        match result {
            Ok(()) => {
                turn.outcome = LoginOutcome::Accepted;
                Ok(())
            }
            Err(failure) => {
                turn.outcome = failure.outcome;
                // A jump host that was lost is why it was not answered; nothing speaks against the secret.
                let unanswered = failure.outcome == LoginOutcome::Unknown
                    && failure.error.kind() == FailureKind::AuthRefused;
                if unanswered && let Some(fate) = link.fate.as_ref().filter(|fate| fate.is_lost()) {
                    return Err(Refusal::Final(fate.failure()));
                }
                Err(match failure.further {
                    Further::Possible => Refusal::Refused(failure.error),
                    Further::Impossible => Refusal::Final(link.explain(failure.error)),
                })
            }
        }
    }
}

/// Why credentials did not let us in.
enum Refusal {
    /// The device refused them; it may take others.
    Refused(SessionError),
    /// They rest and were not sent.
    Untried(SessionError),
    /// Others would fare no better.
    Final(SessionError),
}

fn none_accepted(mut refusals: Vec<SessionError>, peer: &Peer) -> SessionError {
    if refusals.len() == 1
        && let Some(only) = refusals.pop()
    {
        return only;
    }
    let told: Vec<_> = refusals.iter().map(ToString::to_string).collect();
    let told = if told.is_empty() {
        "it refused all of them before in this run".to_owned()
    } else {
        told.join("; ")
    };
    SessionError::new(
        FailureKind::AuthRefused,
        format!("{peer} took none of its credentials: {told}"),
    )
}

/// A turn at the login gate, given back whatever happens.
struct LoginTurn<'a> {
    gate: &'a dyn LoginGate,
    credentials: &'a Credentials,
    outcome: LoginOutcome,
}

impl Drop for LoginTurn<'_> {
    fn drop(&mut self) {
        self.gate.settle(self.credentials, self.outcome);
    }
}
