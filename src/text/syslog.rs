//! Telling a syslog message from a config line.

use super::phrase;

/// Whether a whole line is a syslog message: `[stamp: ]%FACILITY-SEVERITY-MNEMONIC: ...`.
/// What stands before the `%` must look like sequence numbers and a time stamp, so that a config
/// line which only quotes such a message is not taken for one.
#[must_use]
pub fn is_message(line: &[u8]) -> bool {
    let Some(at) = line.iter().position(|b| *b == b'%') else {
        return false;
    };
    let (before, rest) = line.split_at(at);
    is_stamp(before) && is_mnemonic(rest.get(1..).unwrap_or_default())
}

/// Whether a whole line is a log message: of the form above, or beginning like one of `own`, the
/// forms of its platform.
#[must_use]
pub fn is_message_of(line: &[u8], own: &[Vec<u8>]) -> bool {
    is_message(line) || phrase::begins_any(line, own)
}

fn is_stamp(before: &[u8]) -> bool {
    if before.is_empty() {
        return true;
    }
    let first = before.first().copied().unwrap_or_default();
    let known = first.is_ascii_digit()
        || first == b'*'
        || first == b'.'
        || MONTHS.iter().any(|m| before.starts_with(m));
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b" :.*+-,".contains(b);
    known
        && before.len() <= STAMP_MAX
        && before.iter().all(plain)
        && before.ends_with(b": ")
        && before.iter().any(u8::is_ascii_digit)
}

/// The longest sequence number and time stamp, in bytes.
const STAMP_MAX: usize = 80;

const MONTHS: [&[u8]; 12] = [
    b"Jan ", b"Feb ", b"Mar ", b"Apr ", b"May ", b"Jun ", b"Jul ", b"Aug ", b"Sep ", b"Oct ",
    b"Nov ", b"Dec ",
];

/// `SYS-5-CONFIG_I: `, the facility possibly with a subfacility.
fn is_mnemonic(text: &[u8]) -> bool {
    let Some(colon) = text.iter().position(|b| *b == b':') else {
        return false;
    };
    let name = text.get(..colon).unwrap_or_default();
    let parts: Vec<&[u8]> = name.split(|b| *b == b'-').collect();
    let word = |p: &&[u8]| {
        !p.is_empty()
            && p.iter()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
    };
    let severity = |p: &&[u8]| matches!(p, [b'0'..=b'7']);
    parts.len() >= 3 && parts.iter().all(word) && parts.iter().skip(1).rev().skip(1).any(severity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a13_messages_are_told_from_config_lines() {
        for yes in [
            &b"*Nov 22 21:00:00.123: %SYS-5-CONFIG_I: Configured from console by ntc on vty0"[..],
            b"Nov 22 21:00:00: %LINK-3-UPDOWN: Interface GigabitEthernet2, changed state to up",
            b"000123: .Nov 22 21:00:00.123 UTC: %LINEPROTO-5-UPDOWN: Line protocol",
            b"%SYS-5-RESTART: System restarted",
            b"1d02h: %CDP-4-DUPLEX_MISMATCH: duplex mismatch",
            b"*Nov 22 21:00:00.123: %IOSXE_OIR-6-INSCARD: Card inserted",
            b"*Nov 22 21:00:00.123: %ISDN-SUB-6-LAYER2UP: up",
        ] {
            assert!(is_message(yes), "{}", String::from_utf8_lossy(yes));
        }
        for no in [
            &b" event syslog pattern \"%SYS-5-CONFIG_I: x\""[..],
            b"description 100%",
            b"% Invalid input detected at '^' marker.",
            b"logging discriminator X msg-body drops %SYS-5-CONFIG_I: ",
            b"alias exec x 1: %A",
        ] {
            assert!(!is_message(no), "{}", String::from_utf8_lossy(no));
        }
    }

    #[test]
    fn a_platform_has_forms_of_its_own() {
        let own = vec![b"%*:*:* */*/*: ".to_vec()];
        let line =
            b"%Nov 27 20:43:11:123 2026 sw1 IFNET/3/LINK_UPDOWN: GigabitEthernet1/0/1 is up.";
        assert!(!is_message(line));
        assert!(is_message_of(line, &own));
        assert!(is_message_of(b"%SYS-5-CONFIG_I: Configured", &own));
        assert!(!is_message_of(b" sysname sw1", &own));
    }
}
