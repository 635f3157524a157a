//! What may stand behind a key that says by which way a device is reached.

use super::words::Line;
use serde::Deserialize;
use serde::de::{Deserializer, IntoDeserializer};
use std::net::IpAddr;

/// Something that may be `"any"`: nothing in particular.
#[derive(Debug, Clone)]
pub(crate) struct OrAny<T>(pub(crate) Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OrAny<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Line(text) = Line::deserialize(deserializer)?;
        if text == "any" {
            return Ok(Self(None));
        }
        T::deserialize(text.into_deserializer()).map(|value| Self(Some(value)))
    }
}

/// A source address.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct SourceWord(pub(crate) IpAddr);

impl TryFrom<String> for SourceWord {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let expected = "must be an address of this machine, such as \"192.0.2.10\", or \"any\"";
        match text.parse::<IpAddr>() {
            Ok(address) if !address.is_unspecified() && !address.is_multicast() => {
                Ok(Self(address))
            }
            _ => Err(expected),
        }
    }
}

/// The name of a network interface.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct InterfaceWord(pub(crate) String);

/// Linux takes no longer names (IFNAMSIZ, with its end).
const INTERFACE_MAX: usize = 15;

impl TryFrom<String> for InterfaceWord {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.len() > INTERFACE_MAX || !graphic || text.contains('/') {
            return Err(
                "must be the name of a network interface or VRF of this machine, such as \"mgmt\", \
                 or \"any\"",
            );
        }
        Ok(Self(text))
    }
}

/// How many devices one connection to a jump host carries.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
pub(crate) struct ChannelsWord(pub(crate) usize);

impl TryFrom<i64> for ChannelsWord {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        match usize::try_from(number) {
            Ok(channels) if (1..=1000).contains(&channels) => Ok(Self(channels)),
            _ => Err("must be 1 to 1000"),
        }
    }
}

/// How many connections there are to a jump host.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
pub(crate) struct SessionsWord(pub(crate) usize);

impl TryFrom<i64> for SessionsWord {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        match usize::try_from(number) {
            Ok(sessions) if (1..=32).contains(&sessions) => Ok(Self(sessions)),
            _ => Err("must be 1 to 32"),
        }
    }
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
    fn sources_and_interfaces_may_be_any() {
        let source = |text: &str| read::<OrAny<SourceWord>>(text).map(|it| it.0.map(|it| it.0));
        assert_eq!(source("\"any\"").unwrap(), None);
        let told = source("\"127.0.0.2\"").unwrap().unwrap();
        assert_eq!(told.to_string(), "127.0.0.2");
        for bad in [
            "\"eth0\"",
            "\"0.0.0.0\"",
            "\"192.0.2.1:22\"",
            "\"224.0.0.1\"",
        ] {
            let told = source(bad).unwrap_err();
            assert!(told.contains("must be an address"), "{bad}: {told}");
        }
        let interface =
            |text: &str| read::<OrAny<InterfaceWord>>(text).map(|it| it.0.map(|it| it.0));
        assert_eq!(interface("\"any\"").unwrap(), None);
        assert_eq!(interface("\"mgmt\"").unwrap().unwrap(), "mgmt");
        for bad in ["\"a/b\"", "\"a b\"", "\"sixteen_is_a_lot\""] {
            let told = interface(bad).unwrap_err();
            assert!(told.contains("must be the name"), "{bad}: {told}");
        }
        assert!(interface("\"\"").is_err());
    }
}
