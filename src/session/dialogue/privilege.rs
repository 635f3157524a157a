//! Does the login see the whole config?

use crate::model::device::{Device, View};
use crate::model::failure::FailureKind;
use crate::model::platform::WantedPrivilege;
use crate::model::stage::Trail;
use crate::session::SessionError;
use crate::text::phrase;

/// Why a login does not see the whole config, and what to do about it.
struct Lack {
    what: String,
    remedy: &'static str,
}

/// Looks at the answer to the platform's question for the login's rights.
pub(super) fn check_privilege(
    output: &[u8],
    device: &Device,
    trail: &mut Trail,
) -> Result<(), SessionError> {
    let Some(check) = &device.platform.privilege else {
        return Ok(());
    };
    let lack = match &check.wanted {
        WantedPrivilege::Level { answer, level } => match level_in(output, answer) {
            Some(found) => lacking_level(found, *level, trail),
            None => untold(&check.send, trail),
        },
        WantedPrivilege::AnyOf(words) => match last_line(output) {
            Some(line) => lacking_word(line, words, trail),
            None => untold(&check.send, trail),
        },
    };
    match (lack, device.view) {
        (None, _) => Ok(()),
        (Some(lack), View::Full) => {
            trail.note(lack.what);
            Ok(())
        }
        (Some(Lack { what, remedy }), View::Privileged) => Err(SessionError::new(
            FailureKind::Privilege,
            format!("{what}: {remedy}, or set view_full = true"),
        )),
    }
}

/// The level behind `answer`.
pub(super) fn level_in(output: &[u8], answer: &[u8]) -> Option<u32> {
    let at = phrase::find(output, answer)? + answer.len();
    let rest = output.get(at..)?.trim_ascii_start();
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()
}

fn untold(send: &str, trail: &mut Trail) -> Option<Lack> {
    trail.note(format!(
        "the device does not tell its privilege level by `{send}`"
    ));
    None
}

fn lacking_level(found: u32, wanted: u32, trail: &mut Trail) -> Option<Lack> {
    trail.fact("privilege", found.to_string());
    (found < wanted).then(|| Lack {
        what: format!("privilege level {found}, and only {wanted} shows the whole config"),
        remedy: "give the login that level",
    })
}

fn last_line(output: &[u8]) -> Option<&[u8]> {
    let lines = phrase::lines(output).map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty()).last()
}

fn lacking_word(line: &[u8], wanted: &[Vec<u8>], trail: &mut Trail) -> Option<Lack> {
    let mut told = line.split(|b| matches!(b, b',' | b' ' | b'\t'));
    let shown = String::from_utf8_lossy(line).into_owned();
    trail.fact("privilege", shown.clone());
    if told.any(|told| wanted.iter().any(|word| told == word)) {
        return None;
    }
    let wanted: Vec<_> = wanted.iter().map(|w| String::from_utf8_lossy(w)).collect();
    Some(Lack {
        what: format!(
            "the login has the rights of `{shown}`, and only one of {} shows the whole config",
            wanted.join(", ")
        ),
        remedy: "put it into such a group",
    })
}
