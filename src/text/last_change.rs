//! Who changed a config last, by what the config itself says.

use crate::model::platform::LastChange;

/// The longest name in characters; a longer one is cut.
const LONGEST: usize = 64;

/// The user whom `new` names as the one who changed it, unless the line that names it stands in
/// `old` already: then that user made an earlier change, and nobody knows who made this one.
#[must_use]
pub fn user(old: &[u8], new: &[u8], marks: &[LastChange]) -> Option<String> {
    let (line, user) = find(new, marks)?;
    match find(old, marks) {
        Some((before, _)) if before == line => None,
        _ => user,
    }
}

/// The first line that a mark fits, and the user in it.
fn find<'a>(config: &'a [u8], marks: &[LastChange]) -> Option<(&'a [u8], Option<String>)> {
    config.split(|byte| *byte == b'\n').find_map(|line| {
        let mark = marks.iter().find(|mark| line.starts_with(&mark.line))?;
        let at = super::phrase::find(line, &mark.by)?;
        let rest = line.get(at + mark.by.len()..)?.trim_ascii_start();
        let word = rest.split(u8::is_ascii_whitespace).next()?;
        Some((line, name(word)))
    })
}

/// A name that can be an author's: no control characters, no brackets.
fn name(word: &[u8]) -> Option<String> {
    let name: String = String::from_utf8_lossy(word)
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '<' | '>'))
        .take(LONGEST)
        .collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks() -> Vec<LastChange> {
        [
            ("! Last configuration change at", " by "),
            (": Written by", ": Written by "),
        ]
        .map(|(line, by)| LastChange {
            line: line.into(),
            by: by.into(),
        })
        .to_vec()
    }

    fn user_of(config: &str) -> Option<String> {
        user(b"", config.as_bytes(), &marks())
    }

    #[test]
    fn a15_the_config_names_who_changed_it() {
        for (config, wanted) in [
            (
                "!\n! Last configuration change at 10:00:00 UTC Fri Nov 27 2026 by admin\nend\n",
                Some("admin"),
            ),
            (
                ": Saved\n: Written by enable_15 at 10:00:00.123 UTC Fri Nov 27 2026\n: end\n",
                Some("enable_15"),
            ),
            (
                "! Last configuration change at 10:00:00 UTC Fri Nov 27 2026\nend\n",
                None,
            ),
            ("! Last configuration change at 10:00:00 by \nend\n", None),
            (
                "description ! Last configuration change at x by eve\nend\n",
                None,
            ),
            ("! Last configuration change at x by <a\x07b>\n", Some("ab")),
            (
                "! Last configuration change at x by CORP\\ntc\n",
                Some("CORP\\ntc"),
            ),
            ("hostname csr1\nend\n", None),
        ] {
            assert_eq!(user_of(config).as_deref(), wanted, "{config}");
        }
        let long = format!("! Last configuration change at x by {}\n", "x".repeat(1000));
        assert_eq!(user_of(&long).unwrap().len(), LONGEST);
        assert_eq!(user(b"", b"! Last by eve\n", &[]), None);
    }

    #[test]
    fn a_line_that_was_there_before_names_nobody() {
        let line = "! Last configuration change at 10:00:00 UTC Fri Nov 27 2026 by admin\n";
        let old = format!("{line}hostname a\nend\n");
        let new = format!("{line}hostname b\nend\n");
        assert_eq!(user(old.as_bytes(), new.as_bytes(), &marks()), None);
        let later = new.replace("10:00", "11:00");
        assert_eq!(
            user(old.as_bytes(), later.as_bytes(), &marks()).as_deref(),
            Some("admin")
        );
    }
}
