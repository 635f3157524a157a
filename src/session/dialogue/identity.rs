//! Is the device the one that the inventory means?

use crate::model::device::{Device, Identity};
use crate::model::failure::FailureKind;
use crate::model::stage::Trail;
use crate::session::SessionError;
use crate::text::prompt;

/// Whether the host name that the device shows in its `place` is the inventory's. Another one means
/// a wrong address, translated or swapped: a note, or a failure where the settings say so.
///
/// # Errors
/// Of kind `Unexpected`, with `strict_identity = true`.
pub(super) fn check(
    place: &str,
    host: &str,
    device: &Device,
    trail: &mut Trail,
) -> Result<(), SessionError> {
    let name = device.name.as_str();
    if prompt::is_same_host(host, name) || prompt::is_same_host(host, &device.host) {
        return Ok(());
    }
    let message = format!(
        "the {place} says `{host}`, the inventory says `{name}`: check the address, or the name"
    );
    match device.identity {
        Identity::Noted => trail.note(message),
        Identity::Strict => return Err(SessionError::new(FailureKind::Unexpected, message)),
    }
    Ok(())
}
