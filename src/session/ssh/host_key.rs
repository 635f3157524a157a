//! The host key is checked before anything else is said.

use super::link::Link;
use crate::model::device::{Device, HostKeyPolicy};
use crate::model::failure::FailureKind;
use crate::model::stage::Trail;
use crate::session::SessionError;
use crate::session::known_hosts::{HostKey, KnownHosts, Verdict};

/// The key that the device showed in the key exchange.
pub(super) fn shown(link: &Link) -> Result<HostKey, SessionError> {
    let key = link.session.host_key().map(|(blob, _)| blob.to_vec());
    key.and_then(HostKey::new).ok_or_else(|| {
        SessionError::new(
            FailureKind::Protocol,
            format!("{} showed no host key that can be read", link.peer),
        )
    })
}

/// Goes on only if the policy accepts the device's key.
pub(super) fn check(
    link: &Link,
    device: &Device,
    (policy, known_hosts): (HostKeyPolicy, &KnownHosts),
    trail: &mut Trail,
) -> Result<(), SessionError> {
    let key = shown(link)?;
    let (host, port) = (device.host.as_str(), device.port);
    let verdict = match policy {
        HostKeyPolicy::AcceptNew => known_hosts.judge_or_insert(host, port, &key),
        HostKeyPolicy::Strict | HostKeyPolicy::Off => known_hosts.judge(host, port, &key),
    };
    let refused = |why: String| Err(SessionError::new(FailureKind::HostKey, why));
    let (peer, name) = (&link.peer, &device.name);
    let (kind, print) = (key.kind(), key.fingerprint());
    match (verdict, policy) {
        (Verdict::Revoked, _) => refused(format!(
            "{peer} showed a revoked host key ({kind} {print}); nothing was sent to it. Give the \
             device a new key"
        )),
        (Verdict::Known, _) => Ok(()),
        (Verdict::Unknown, HostKeyPolicy::AcceptNew) => {
            trail.note(format!("new host key accepted: {kind} {print}"));
            Ok(())
        }
        (Verdict::Unknown, HostKeyPolicy::Strict) => refused(format!(
            "the host key of {peer} is not known: {kind} {print}; nothing was sent to it. If \
             that is the device's key: wrmem trust {name}, or add it to {}",
            known_hosts.path().display()
        )),
        (Verdict::Unknown | Verdict::Changed(_), HostKeyPolicy::Off) => {
            trail.note(format!("host key not checked: {kind} {print}"));
            Ok(())
        }
        (Verdict::Changed(known), HostKeyPolicy::Strict | HostKeyPolicy::AcceptNew) => {
            let known: Vec<_> = known
                .iter()
                .map(|key| format!("{} {}", key.kind(), key.fingerprint()))
                .collect();
            refused(format!(
                "the host key of {peer} changed: known is {}, it showed {kind} {print}; no \
                 password was sent. If the device was replaced or got a new key: wrmem trust \
                 {name}. If not, somebody may stand in between",
                known.join(", ")
            ))
        }
    }
}
