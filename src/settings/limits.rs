//! Section `limits`: named sets of devices that share a bound. The names are the operator's, so
//! the section is read layer by layer; a later layer wins key by key.

use super::decode::decode;
use super::entries::unknown;
use super::fault::Fault;
use super::layers::Layer;
use super::raw::{Key, Located, Place, Raw};
use crate::model::limit::{LimitSet, LoginRate};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The section's name.
pub(crate) const SECTION: &str = "limits";

const KEYS: [&str; 2] = ["in_flight", "logins_per_second"];

/// The sets by name.
pub type LimitSets = BTreeMap<String, Arc<LimitSet>>;

/// A set as far as it was read.
struct Written {
    set: LimitSet,
    place: Place,
}

/// Where each set stands last.
pub(crate) type Places = BTreeMap<String, Place>;

/// Reads the section of every layer.
pub(crate) fn read(layers: &[Layer], faults: &mut Vec<Fault>) -> (LimitSets, Places) {
    let mut written = BTreeMap::new();
    for layer in layers {
        let Some(section) = layer.table.get(SECTION) else {
            continue;
        };
        match &section.value {
            Raw::Table(table) => {
                for (key, value) in &table.0 {
                    one(key, value, &mut written, faults);
                }
            }
            _ => faults.push(Fault::error(
                &section.place,
                SECTION,
                "expected tables, such as [limits.aaa1]",
            )),
        }
    }
    for (name, Written { set, place }) in &written {
        let path = format!("{SECTION}.{name}");
        let told = faults.iter().any(|fault| fault.key.starts_with(&path));
        if !told && set.in_flight.is_none() && set.logins.is_none() {
            let message = "bounds nothing: set in_flight, logins_per_second or both";
            faults.push(Fault::error(place, &path, message));
        }
    }
    let places = written
        .iter()
        .map(|(name, w)| (name.clone(), w.place.clone()));
    let places = places.collect();
    let sets = written.into_iter().map(|(name, w)| (name, Arc::new(w.set)));
    (sets.collect(), places)
}

fn one(
    key: &Key,
    value: &Located,
    written: &mut BTreeMap<String, Written>,
    faults: &mut Vec<Fault>,
) {
    let path = format!("{SECTION}.{}", key.name.escape_debug());
    let Raw::Table(table) = &value.value else {
        let message = "expected a table, such as { in_flight = 10, logins_per_second = 2 }";
        faults.push(Fault::error(&key.place, &path, message));
        return;
    };
    if let Some(message) = bad_name(&key.name) {
        faults.push(Fault::error(&key.place, &path, message));
        return;
    }
    let entry = written.entry(key.name.clone()).or_insert_with(|| Written {
        set: LimitSet {
            name: key.name.clone(),
            in_flight: None,
            logins: None,
        },
        place: key.place.clone(),
    });
    entry.place = key.place.clone();
    for (key, value) in &table.0 {
        let path = format!("{path}.{}", key.name);
        let taken = match key.name.as_str() {
            "in_flight" => {
                decode::<Count>(value, &path).map(|count| entry.set.in_flight = Some(count.0))
            }
            "logins_per_second" => {
                decode::<RateWord>(value, &path).map(|rate| entry.set.logins = rate.0)
            }
            _ => Err(unknown(key, &path, &KEYS)),
        };
        faults.extend(taken.err());
    }
}

/// Names are written in lists and, in CSV, between blanks.
fn bad_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("a limit's name must not be empty");
    }
    name.chars()
        .any(|c| c.is_whitespace() || c.is_control())
        .then_some("a limit's name must hold no blanks and no control characters")
}

/// How many devices, at least one.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
struct Count(usize);

impl TryFrom<i64> for Count {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        match usize::try_from(number) {
            Ok(count) if count > 0 => Ok(Self(count)),
            _ => Err("must be at least 1"),
        }
    }
}

/// `logins_per_second`: a number, or `"unlimited"`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RateWord(pub(crate) Option<LoginRate>);

impl<'de> Deserialize<'de> for RateWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrUnlimited;
        impl Visitor<'_> for NumberOrUnlimited {
            type Value = RateWord;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number such as 5 or 0.5, without quotes, or \"unlimited\"")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<RateWord, E> {
                // Far beyond the largest rate a float is exact enough.
                #[expect(clippy::cast_precision_loss, reason = "checked against the bounds")]
                self.visit_f64(number as f64)
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<RateWord, E> {
                LoginRate::per_second(number)
                    .map(|rate| RateWord(Some(rate)))
                    .ok_or_else(|| {
                        E::custom(format!(
                            "must be from {} to {}; 0.1 is one login in ten seconds",
                            LoginRate::LEAST,
                            LoginRate::MOST
                        ))
                    })
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RateWord, E> {
                match text {
                    "unlimited" => Ok(RateWord(None)),
                    _ => Err(E::invalid_value(Unexpected::Other("text"), &self)),
                }
            }
        }
        deserializer.deserialize_any(NumberOrUnlimited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::layers::Origin;
    use crate::settings::raw;

    fn read_all(texts: &[&str]) -> (LimitSets, Vec<String>) {
        let layers: Vec<_> = texts
            .iter()
            .map(|text| Layer {
                origin: Origin::WrmemToml,
                table: raw::parse("wrmem.toml", text).ok().unwrap(),
            })
            .collect();
        let mut faults = Vec::new();
        let (sets, _) = read(&layers, &mut faults);
        (sets, faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn sets_have_either_key_or_both_and_later_layers_win_key_by_key() {
        let (sets, faults) = read_all(&[
            "limits.aaa1 = { in_flight = 10, logins_per_second = 2.5 }\n[limits.site-7]\nin_flight = 3",
            "[limits.aaa1]\nlogins_per_second = 5",
        ]);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(sets["aaa1"].in_flight, Some(10));
        assert_eq!(sets["aaa1"].logins, LoginRate::per_second(5.0));
        assert_eq!(sets["site-7"].in_flight, Some(3));
        assert_eq!(sets["site-7"].logins, None);
    }

    #[test]
    fn every_fault_is_told_with_file_line_and_key() {
        let text = "[limits]\na = 5\n\"b c\" = { in_flight = 1 }\nd = {}\n\n[limits.e]\nin_flight = 0\n\
                    logins_per_second = \"fast\"\ninflight = 3\n[limits.f]\nlogins_per_second = 0\n\
                    [limits.g]\nlogins_per_second = \"unlimited\"\n";
        let (_, faults) = read_all(&[text]);
        let expected = [
            "wrmem.toml:2: limits.a: expected a table, such as { in_flight = 10, logins_per_second = 2 }",
            "wrmem.toml:3: limits.b c: a limit's name must hold no blanks and no control characters",
            "wrmem.toml:7: limits.e.in_flight: must be at least 1",
            "wrmem.toml:8: limits.e.logins_per_second: expected a number such as 5 or 0.5, without \
             quotes, or \"unlimited\"",
            "wrmem.toml:9: limits.e.inflight: unknown key; did you mean `in_flight`?",
            "wrmem.toml:11: limits.f.logins_per_second: must be from 0.0002 to 10000; 0.1 is one \
             login in ten seconds",
            "wrmem.toml:4: limits.d: bounds nothing: set in_flight, logins_per_second or both",
            "wrmem.toml:12: limits.g: bounds nothing: set in_flight, logins_per_second or both",
        ];
        assert_eq!(faults, expected);
        let (_, faults) = read_all(&["limits = 3"]);
        assert_eq!(
            faults,
            ["wrmem.toml:1: limits: expected tables, such as [limits.aaa1]"]
        );
    }
}
