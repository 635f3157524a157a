//! What stands behind `also`.

use super::words::Line;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use std::fmt;

/// Commands whose answers are kept beside the config: one, or a list of them.
#[derive(Debug, Clone)]
pub(crate) struct Also(pub(crate) Vec<String>);

impl<'de> Deserialize<'de> for Also {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Also;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a command in quotes, or a list of them: [\"show version\"]")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Also, E> {
                let line = Line::try_from(text.to_owned()).map_err(E::custom)?;
                Ok(Also(vec![line.0]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Also, A::Error> {
                let mut commands = Vec::new();
                while let Some(Line(command)) = items.next_element()? {
                    commands.push(command);
                }
                Ok(Also(commands))
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}
