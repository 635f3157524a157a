//! What proves a config whole, as a platform file says it.

use super::reader::Section;
use crate::model::platform::{Channel, ProofRule, Sentinel};

/// Exactly one of `end`, `braces` and, by itself, `sentinel` tells what proves a config whole; where
/// commands have channels of their own, their exit status does, and `end` or `braces` may be asked
/// for besides.
pub(super) fn read_proof(s: &mut Section<'_>, channel: Channel) -> ProofRule {
    let end = s.maybe_phrase("end");
    let braces = s.flag("braces");
    let sentinel = s.optional("sentinel", |s| Sentinel {
        send: s.text("send"),
        answer: s.phrase("answer"),
    });
    match (end, braces, sentinel) {
        (Some(end), false, None) => ProofRule::Marker(end),
        (None, true, sentinel) => ProofRule::Braces(sentinel),
        (None, false, None) if channel == Channel::Exec => ProofRule::Exit,
        (_, _, Some(_)) if channel == Channel::Exec => {
            let message = "there is no prompt to be tested where channel is `exec`: the exit \
                 status tells the end";
            s.fault("sentinel", message);
            ProofRule::Exit
        }
        (None, false, Some(sentinel)) => ProofRule::Weak(sentinel),
        _ => {
            let message = "what shows that a config is whole? give `end = \"...\"`, or \
                 `braces = true`, or a `sentinel`, which may go with braces";
            s.fault("end", message);
            ProofRule::default()
        }
    }
}
