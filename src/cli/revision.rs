//! Which version is meant: `@1`, a commit id, a date.

use crate::model::version::Version;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use std::str::FromStr;
use std::time::SystemTime;

/// The fewest digits of a commit id.
const DIGITS: usize = 4;

/// What names a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Revision {
    /// So many versions back; 0 is the newest one.
    Back(usize),
    /// The first digits of a commit id.
    Commit(String),
    /// The version in force at that moment.
    At(SystemTime, String),
}

/// What a revision may look like.
const FORMS: &str = "`@1` (one version back), a commit id, or a date such as 2026-11-20 or \
                     2026-11-20T18:30";

impl Revision {
    /// Reads a revision; dates are of the time zone `zone`, a date without a time is its end.
    ///
    /// # Errors
    /// Says what a revision may look like.
    pub(super) fn parse(text: &str, zone: &TimeZone) -> Result<Self, String> {
        let unread = || format!("{text:?} names no version: give {FORMS}");
        let (marked, rest) = match text.strip_prefix('@') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let is_number = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && (marked || rest.len() < DIGITS) {
            return rest.parse().map(Self::Back).map_err(|_| unread());
        }
        if let Some(at) = moment(rest, zone) {
            return Ok(Self::At(at, rest.to_owned()));
        }
        let is_id = rest.len() >= DIGITS && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id && rest.len() <= 40 {
            return Ok(Self::Commit(rest.to_ascii_lowercase()));
        }
        Err(unread())
    }

    /// The version that is meant, of `versions`, newest first.
    ///
    /// # Errors
    /// Says what there is instead.
    pub(super) fn find<'a>(&self, versions: &'a [Version]) -> Result<&'a Version, String> {
        let count = versions.len();
        let (Some(newest), Some(oldest)) = (versions.first(), versions.last()) else {
            return Err("there is no version yet".to_owned());
        };
        match self {
            Self::Back(back) => versions.get(*back).ok_or_else(|| match count {
                1 => format!("there is no version @{back}: there is one only, @0"),
                _ => format!(
                    "there is no version @{back}: the oldest one is @{}",
                    count - 1
                ),
            }),
            Self::Commit(digits) => {
                let mut found = versions
                    .iter()
                    .filter(|version| version.commit.to_string().starts_with(digits));
                match (found.next(), found.next()) {
                    (Some(version), None) => Ok(version),
                    (Some(_), Some(_)) => Err(format!("{digits} begins more than one commit id")),
                    (None, _) => Err(format!(
                        "no version of {} has the commit id {digits}; `wrmem log {}` lists them",
                        newest.device, newest.device
                    )),
                }
            }
            Self::At(at, told) => versions
                .iter()
                .find(|version| version.at <= *at)
                .ok_or_else(|| {
                    format!(
                        "{} has no version as old as {told}: the oldest one is {}",
                        oldest.device,
                        oldest.commit.short()
                    )
                }),
        }
    }
}

fn moment(text: &str, zone: &TimeZone) -> Option<SystemTime> {
    if let Ok(at) = jiff::Timestamp::from_str(text) {
        return Some(at.into());
    }
    let local = match Date::from_str(text) {
        Ok(date) if text.len() == "2026-11-20".len() => date.at(23, 59, 59, 0),
        _ => DateTime::from_str(text).ok()?,
    };
    let at = zone.to_zoned(local).ok()?.timestamp();
    Some(at.into())
}

/// What stands before and after `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) old: Revision,
    pub(super) new: Revision,
}

impl Range {
    /// `OLD..NEW`, `OLD..` and `OLD` (up to the newest one), `..NEW` (from the one before the newest
    /// on), or nothing: the newest and the one before it.
    ///
    /// # Errors
    /// Says what a revision may look like.
    pub(super) fn parse(text: Option<&str>, zone: &TimeZone) -> Result<Self, String> {
        let (old, new) = text.map_or(("", ""), |text| text.split_once("..").unwrap_or((text, "")));
        let side = |text: &str, usual: usize| match text {
            "" => Ok(Revision::Back(usual)),
            text => Revision::parse(text, zone),
        };
        Ok(Self {
            old: side(old, 1)?,
            new: side(new, 0)?,
        })
    }
}

/// `NAME@REV` parted; names may hold an `@` themselves.
pub(super) fn part(what: &str, is_device: impl Fn(&str) -> bool) -> (&str, Option<&str>) {
    if is_device(what) {
        return (what, None);
    }
    match what.rsplit_once('@') {
        Some((name, revision)) if !revision.is_empty() => {
            (name.strip_suffix('@').unwrap_or(name), Some(revision))
        }
        _ => (what, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::DeviceName;
    use crate::model::report::Lines;
    use crate::model::version::ObjectId;
    use std::time::Duration;

    fn zone() -> TimeZone {
        TimeZone::fixed(jiff::tz::offset(1))
    }

    fn at(text: &str) -> SystemTime {
        jiff::Timestamp::from_str(text).unwrap().into()
    }

    fn parse(text: &str) -> Result<Revision, String> {
        Revision::parse(text, &zone())
    }

    /// Three versions, at noon of three days, newest first.
    fn versions() -> Vec<Version> {
        let first = at("2026-11-18T12:00:00Z");
        let version = |number: u8| Version {
            device: DeviceName::new("csr1").unwrap(),
            path: "csr1.cfg".to_owned(),
            commit: ObjectId::from_bytes([0x10 * number + 0xa; 20]),
            blob: ObjectId::from_bytes([number; 20]),
            at: first + Duration::from_secs(86_400 * u64::from(number)),
            author: "admin".to_owned(),
            lines: Lines::default(),
            run: None,
        };
        [2, 1, 0].map(version).to_vec()
    }

    fn found(text: &str) -> Result<u8, String> {
        let revision = parse(text).unwrap();
        let versions = versions();
        revision
            .find(&versions)
            .map(|version| version.blob.as_bytes()[0])
    }

    #[test]
    fn revisions_are_told_apart() {
        assert_eq!(parse("@1"), Ok(Revision::Back(1)));
        assert_eq!(parse("12"), Ok(Revision::Back(12)));
        assert_eq!(parse("@2026"), Ok(Revision::Back(2026)));
        assert_eq!(parse("2026"), Ok(Revision::Commit("2026".to_owned())));
        assert_eq!(
            parse("3F2a91b0c4"),
            Ok(Revision::Commit("3f2a91b0c4".to_owned()))
        );
        for (text, moment) in [
            ("2026-11-20", "2026-11-20T22:59:59Z"),
            ("2026-11-20T18:30", "2026-11-20T17:30:00Z"),
            ("2026-11-20 18:30:05", "2026-11-20T17:30:05Z"),
            ("2026-11-20T18:30Z", "2026-11-20T18:30:00Z"),
        ] {
            assert_eq!(
                parse(text),
                Ok(Revision::At(at(moment), text.to_owned())),
                "{text}"
            );
        }
        for text in [
            "",
            "@",
            "@x",
            "abc",
            "yesterday",
            "-1",
            "2026-13-01",
            "@99999999999999999999",
        ] {
            let told = parse(text).unwrap_err();
            assert!(told.contains("a date such as 2026-11-20"), "{text}: {told}");
        }
    }

    #[test]
    fn a_revision_finds_its_version_or_says_what_there_is() {
        for (text, version) in [
            ("@0", 2),
            ("1", 1),
            ("0a0a", 0),
            ("1A1a1a1a", 1),
            ("2026-11-19", 1),
            ("2026-11-18", 0),
            ("2030-01-01", 2),
            ("2026-11-20T12:59", 1),
            ("2026-11-20T13:00", 2),
        ] {
            assert_eq!(found(text), Ok(version), "{text}");
        }
        for (text, told) in [
            ("@3", "the oldest one is @2"),
            ("beef", "`wrmem log csr1` lists them"),
            (
                "2026-11-17",
                "has no version as old as 2026-11-17: the oldest one is 0a0a0a0a0a",
            ),
        ] {
            assert!(
                found(text).unwrap_err().contains(told),
                "{text}: {:?}",
                found(text)
            );
        }
        assert!(Revision::Back(0).find(&[]).is_err());
    }

    #[test]
    fn ranges_have_usual_ends() {
        let range = |text: Option<&str>| {
            let range = Range::parse(text, &zone()).unwrap();
            (range.old, range.new)
        };
        let back = Revision::Back;
        assert_eq!(range(None), (back(1), back(0)));
        assert_eq!(range(Some("@5..@2")), (back(5), back(2)));
        assert_eq!(range(Some("@5..")), (back(5), back(0)));
        assert_eq!(range(Some("@5")), (back(5), back(0)));
        assert_eq!(range(Some("..@1")), (back(1), back(1)));
        assert_eq!(
            range(Some("2026-11-18..2026-11-19")).1,
            parse("2026-11-19").unwrap()
        );
        assert!(Range::parse(Some("x..y"), &zone()).is_err());
    }

    #[test]
    fn a_name_and_its_revision_are_parted() {
        let known = |name: &str| name == "csr1" || name == "a@b";
        for (what, name, revision) in [
            ("csr1", "csr1", None),
            ("csr1@1", "csr1", Some("1")),
            ("csr1@@1", "csr1", Some("1")),
            ("csr1@2026-11-20", "csr1", Some("2026-11-20")),
            ("a@b", "a@b", None),
            ("a@b@3f2a", "a@b", Some("3f2a")),
            ("csr9", "csr9", None),
            ("csr9@", "csr9@", None),
        ] {
            assert_eq!(part(what, known), (name, revision), "{what}");
        }
    }
}
