//! What may stand behind a key: serde types, each turned into a value of the model.

use super::values::{ArchiveKind, InFlight, Layout};
use crate::flow::schedule::{CronTimes, Window};
use crate::model::credentials::AuthMethod;
use crate::model::device::{
    AlgorithmPolicy, HostKeyPolicy, Identity, SaveConfirm, SaveOrder, SavePolicy, View,
};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// A serde type and the model's word for an enum with the same variants.
macro_rules! word {
    ($word:ident => $model:ty { $($variant:ident),+ }) => {
        #[derive(Debug, Clone, Copy, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub(crate) enum $word { $($variant),+ }

        impl From<$word> for $model {
            fn from(word: $word) -> Self {
                match word { $($word::$variant => Self::$variant),+ }
            }
        }
    };
}

word!(SaveOrderWord => SaveOrder { Before, After });
word!(SaveConfirmWord => SaveConfirm { Ask, Yes, No });
word!(AlgorithmWord => AlgorithmPolicy { Modern, Compatible, Legacy });
word!(HostKeyWord => HostKeyPolicy { Strict, AcceptNew, Off });
word!(LayoutWord => Layout { Flat, ByGroup });
word!(KindWord => ArchiveKind { Files, Git });

/// Whether a device is saved.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SaveWord {
    Always,
    IfChanged,
    Never,
}

impl From<SaveWord> for SavePolicy {
    fn from(word: SaveWord) -> Self {
        match word {
            SaveWord::Always => Self::Always,
            SaveWord::IfChanged => Self::IfChanged,
            SaveWord::Never => Self::Never,
        }
    }
}

/// A login method.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AuthWord {
    Password,
    KeyboardInteractive,
    #[serde(rename = "publickey")]
    PublicKey,
    Agent,
}

impl From<AuthWord> for AuthMethod {
    fn from(word: AuthWord) -> Self {
        match word {
            AuthWord::Password => Self::Password,
            AuthWord::KeyboardInteractive => Self::KeyboardInteractive,
            AuthWord::PublicKey => Self::PublicKey,
            AuthWord::Agent => Self::Agent,
        }
    }
}

/// `view_full`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(from = "bool")]
pub(crate) struct ViewWord(pub(crate) View);

impl From<bool> for ViewWord {
    fn from(full: bool) -> Self {
        Self(if full { View::Full } else { View::Privileged })
    }
}

/// `strict_identity`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(from = "bool")]
pub(crate) struct IdentityWord(pub(crate) Identity);

impl From<bool> for IdentityWord {
    fn from(strict: bool) -> Self {
        Self(if strict {
            Identity::Strict
        } else {
            Identity::Noted
        })
    }
}

/// A TCP port.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
pub(crate) struct Port(pub(crate) u16);

impl TryFrom<i64> for Port {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        match u16::try_from(number) {
            Ok(port) if port > 0 => Ok(Self(port)),
            _ => Err("must be 1 to 65535"),
        }
    }
}

/// The most attempts of one run at one device.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
pub(crate) struct Attempts(pub(crate) u32);

impl TryFrom<i64> for Attempts {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        match u32::try_from(number) {
            Ok(attempts) if (1..=20).contains(&attempts) => Ok(Self(attempts)),
            _ => Err("must be 1 to 20"),
        }
    }
}

/// Text that is not empty and holds no control characters.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Line(pub(crate) String);

impl TryFrom<String> for Line {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.trim().is_empty() {
            return Err("must not be empty");
        }
        if text.chars().any(char::is_control) {
            return Err(CONTROL);
        }
        Ok(Self(text))
    }
}

/// Why text with control characters is refused, and the usual reason for them.
pub(crate) const CONTROL: &str = "holds a control character; within \"...\" a backslash makes one, \
     so write text with a backslash in single quotes, like 'DOMAIN\\name'";

/// A path.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Line")]
pub(crate) struct PathWord(pub(crate) PathBuf);

impl From<Line> for PathWord {
    fn from(line: Line) -> Self {
        Self(line.0.into())
    }
}

/// A file mode in octal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mode(pub(crate) u32);

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Mode;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an octal file mode in quotes, such as \"0600\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Mode, E> {
                let octal = text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
                match u32::from_str_radix(text, 8) {
                    Ok(mode) if octal && mode & !0o777 == 0 && mode & 0o600 == 0o600 => {
                        Ok(Mode(mode))
                    }
                    _ => Err(E::custom(
                        "must be \"0600\" to \"0777\", with read and write for the owner",
                    )),
                }
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// `run.in_flight`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InFlightWord(pub(crate) InFlight);

impl<'de> Deserialize<'de> for InFlightWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrAuto;
        impl Visitor<'_> for NumberOrAuto {
            type Value = InFlightWord;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number of at least 1, or \"auto\"")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<InFlightWord, E> {
                let limit = usize::try_from(number).ok().and_then(NonZeroUsize::new);
                limit
                    .map(|limit| InFlightWord(InFlight::Limit(limit)))
                    .ok_or_else(|| E::custom("must be at least 1, or \"auto\""))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<InFlightWord, E> {
                match text {
                    "auto" => Ok(InFlightWord(InFlight::Auto)),
                    _ => Err(E::invalid_value(
                        serde::de::Unexpected::Other("text"),
                        &self,
                    )),
                }
            }
        }
        deserializer.deserialize_any(NumberOrAuto)
    }
}

/// A duration with its unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span(pub(crate) Duration);

/// A year: longer is a slip.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a duration with its unit in quotes, such as \"30s\", \"5m\" or \"1h30m\"",
                )
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                let duration = duration(text)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Other("text"), &self))?;
                if duration.is_zero() || duration > LONGEST {
                    return Err(E::custom("must be longer than nothing and at most a year"));
                }
                Ok(Span(duration))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// A cadence: a duration of at least a second.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "Span")]
pub(crate) struct Every(pub(crate) Duration);

impl TryFrom<Span> for Every {
    type Error = &'static str;

    fn try_from(Span(duration): Span) -> Result<Self, Self::Error> {
        if duration < Duration::from_secs(1) {
            return Err("must be at least a second");
        }
        Ok(Self(duration))
    }
}

/// A cron line.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Line")]
pub(crate) struct CronWord(pub(crate) CronTimes);

impl TryFrom<Line> for CronWord {
    type Error = String;

    fn try_from(Line(text): Line) -> Result<Self, Self::Error> {
        text.parse()
            .map(Self)
            .map_err(|error: crate::flow::schedule::CronError| error.to_string())
    }
}

/// Something that may be `"off"`.
#[derive(Debug, Clone)]
pub(crate) struct OrOff<T>(pub(crate) Option<T>);

impl<'de, T> Deserialize<'de> for OrOff<T>
where
    T: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Text<T> {
            type Value = OrOff<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text in quotes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OrOff<T>, E> {
                if text == "off" {
                    return Ok(OrOff(None));
                }
                let value = serde::de::value::StrDeserializer::new(text);
                T::deserialize(value).map(|value| OrOff(Some(value)))
            }
        }
        deserializer.deserialize_any(Text(std::marker::PhantomData))
    }
}

/// A window of the day.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct WindowWord(pub(crate) Window);

impl TryFrom<String> for WindowWord {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
            .map(Self)
            .map_err(|error: crate::flow::schedule::WindowError| error.to_string())
    }
}

/// A time zone: its name, or `"local"` for that of this machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Line")]
pub(crate) struct Zone(pub(crate) TimeZone);

impl TryFrom<Line> for Zone {
    type Error = &'static str;

    fn try_from(Line(name): Line) -> Result<Self, Self::Error> {
        if name == "local" {
            return Ok(Self(TimeZone::system()));
        }
        TimeZone::get(&name)
            .map(Self)
            .map_err(|_| "must be \"local\" or a name such as \"Europe/Berlin\" or \"UTC\"")
    }
}

/// Reads `1h`, `90s`, `1h30m`, `30 s`, `500ms`.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let tail = tail.trim_start();
        let end = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(end)?;
        let number: u64 = number.parse().ok()?;
        let milliseconds: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let part = Duration::from_millis(number.checked_mul(milliseconds)?);
        total = total.checked_add(part)?;
        rest = tail.trim_start();
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::decode::decode;
    use crate::settings::raw::parse;

    fn read<T: for<'de> Deserialize<'de>>(value: &str) -> Result<T, String> {
        let table = parse("f", &format!("k = {value}")).map_err(|faults| format!("{faults:?}"))?;
        decode(table.get("k").unwrap(), "k").map_err(|fault| fault.to_string())
    }

    #[test]
    fn durations_need_a_unit() {
        for (text, seconds) in [
            ("1h", 3600.0),
            ("90s", 90.0),
            ("30 s", 30.0),
            ("1h30m", 5400.0),
            ("500ms", 0.5),
            ("2d", 172_800.0),
            (" 5m ", 300.0),
            ("1h 30 min", 5400.0),
        ] {
            let span: Span = read(&format!("\"{text}\"")).unwrap();
            assert!((span.0.as_secs_f64() - seconds).abs() < 1e-9, "{text}");
        }
        for text in [
            "",
            "30",
            "s",
            "1x",
            "-1s",
            "1.5h",
            "1h30",
            "99999999999999999999s",
        ] {
            let told = read::<Span>(&format!("\"{text}\"")).unwrap_err();
            assert!(told.contains("such as \"30s\""), "{text}: {told}");
        }
        assert!(read::<Span>("30").unwrap_err().contains("such as \"30s\""));
        assert!(read::<Span>("\"0s\"").is_err());
        assert!(read::<Span>("\"999d\"").is_err());
    }

    #[test]
    fn ranges_are_told() {
        assert_eq!(read::<Port>("22").unwrap().0, 22);
        for bad in ["0", "65536", "-1"] {
            assert_eq!(read::<Port>(bad).unwrap_err(), "f:1: k: must be 1 to 65535");
        }
        let told = read::<Port>("\"22\"").unwrap_err();
        assert_eq!(told, "f:1: k: expected a whole number, without quotes");
        assert!(read::<Attempts>("0").is_err());
        assert_eq!(read::<Mode>("\"0640\"").unwrap().0, 0o640);
        for bad in [
            "\"0400\"",
            "\"1777\"",
            "\"+600\"",
            "\"0o600\"",
            "\"9\"",
            "600",
        ] {
            assert!(read::<Mode>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn words_are_listed_and_values_are_not_shown() {
        let told = read::<HostKeyWord>("\"hunter2\"").unwrap_err();
        assert_eq!(
            told,
            "f:1: k: must be \"strict\", \"accept-new\" or \"off\""
        );
        assert!(matches!(
            read::<HostKeyWord>("\"accept-new\""),
            Ok(HostKeyWord::AcceptNew)
        ));
        assert!(matches!(
            read::<LayoutWord>("\"by-group\""),
            Ok(LayoutWord::ByGroup)
        ));
        assert!(matches!(
            read::<AuthWord>("\"publickey\""),
            Ok(AuthWord::PublicKey)
        ));
        let told = read::<SaveWord>("true").unwrap_err();
        assert_eq!(
            told,
            "f:1: k: must be \"always\", \"if_changed\" or \"never\""
        );
        assert!(matches!(
            read::<InFlightWord>("\"auto\"").unwrap().0,
            InFlight::Auto
        ));
        assert!(read::<InFlightWord>("0").is_err());
        assert!(
            read::<InFlightWord>("\"fast\"")
                .unwrap_err()
                .contains("or \"auto\"")
        );
        let told = read::<Line>("\"CORP\\ntc\"").unwrap_err();
        assert!(told.contains("single quotes"), "{told}");
    }
}
