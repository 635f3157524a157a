//! The settings about what is shown and kept of secrets and sessions.

use super::check::Reader;
use super::fault::Faults;
use super::inventory::Platforms;
use super::load::{Source, overall, platforms_of};
use super::values::ArchivedSecrets;
use super::values::{Record, Redact, Sessions, Settings};
use super::words::PathWord;
use crate::model::platform::Platform;
use crate::model::secrets::{Scope, check_pattern};
use serde::Deserialize;
use std::sync::Arc;

pub(super) fn redact(reader: &mut Reader<'_>) -> Option<Redact> {
    let extra = reader.get::<Vec<RegexWord>>("redact.extra")?;
    Some(Redact {
        extra: extra.into_iter().map(|word| word.0).collect(),
    })
}

pub(super) fn record(reader: &mut Reader<'_>) -> Option<Record> {
    let sessions = reader.get::<SessionsWord>("record.sessions");
    let dir = reader.get::<PathWord>("record.dir");
    let newest = reader.get::<Newest>("record.newest");
    let limit = reader.get::<Megabytes>("record.max_mb");
    Some(Record {
        sessions: Sessions::from(sessions?),
        dir: dir?.0,
        newest: newest?.0,
        max_bytes: limit?.0,
    })
}

/// A platform that calls secret also what `extra` does.
pub(super) fn with_extra(platform: &Arc<Platform>, extra: &[String]) -> Arc<Platform> {
    let mut platform = Arc::clone(platform);
    if !extra.is_empty() {
        let secrets = &mut Arc::make_mut(&mut platform).secrets;
        secrets.add(Scope::Line, extra.iter().cloned());
    }
    platform
}

/// The same for all of them.
pub(super) fn all_with_extra(platforms: &Platforms, extra: &[String]) -> Platforms {
    let with =
        |(name, platform): (&String, &Arc<Platform>)| (name.clone(), with_extra(platform, extra));
    platforms.iter().map(with).collect()
}

/// What redacting needs: the overall settings, and the platforms with the patterns of
/// `redact.extra`. The settings folder may be missing.
///
/// # Errors
/// Every fault of both.
pub fn redaction(source: &Source) -> Result<(Settings, Platforms), Faults> {
    match (platforms_of(source), overall(source)) {
        (Ok(platforms), Ok(settings)) => {
            let platforms = all_with_extra(&platforms, &settings.redact.extra);
            Ok((settings, platforms))
        }
        (platforms, settings) => {
            let mut faults = platforms.err().unwrap_or_default();
            faults.extend(settings.err().into_iter().flat_map(|Faults(more)| more));
            Err(Faults(faults))
        }
    }
}

/// `archive.redact`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(from = "bool")]
pub(super) struct RedactWord(pub(super) ArchivedSecrets);

impl From<bool> for RedactWord {
    fn from(masked: bool) -> Self {
        Self(if masked {
            ArchivedSecrets::Masked
        } else {
            ArchivedSecrets::Kept
        })
    }
}

/// Which sessions leave a trace.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SessionsWord {
    None,
    Failed,
    All,
}

impl From<SessionsWord> for Sessions {
    fn from(word: SessionsWord) -> Self {
        match word {
            SessionsWord::None => Self::None,
            SessionsWord::Failed => Self::Failed,
            SessionsWord::All => Self::All,
        }
    }
}

/// A regular expression with a group around what is secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct RegexWord(String);

impl TryFrom<String> for RegexWord {
    type Error = String;

    fn try_from(pattern: String) -> Result<Self, Self::Error> {
        check_pattern(Scope::Line, &pattern).map(|()| Self(pattern))
    }
}

/// How many of the newest stay; 0 is all.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
struct Newest(Option<usize>);

impl TryFrom<i64> for Newest {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        match usize::try_from(number) {
            Ok(0) => Ok(Self(None)),
            Ok(number) => Ok(Self(Some(number))),
            Err(_) => Err("must be a number from 0; 0 keeps all"),
        }
    }
}

/// A size in megabytes, as bytes.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
struct Megabytes(usize);

impl TryFrom<i64> for Megabytes {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        match usize::try_from(number) {
            Ok(number @ 1..=64) => Ok(Self(number * 1_000_000)),
            _ => Err("must be 1 to 64"),
        }
    }
}
