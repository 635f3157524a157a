//! From located values to typed ones, through serde. The messages say what is expected and never
//! what was found, because that may be a secret.

use super::fault::Fault;
use super::raw::{Located, Place, Raw};
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserialize, Deserializer, Expected, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use std::fmt;

/// Reads `located` as a `T`, or tells what is expected at `key`.
pub(crate) fn decode<T>(located: &Located, key: &str) -> Result<T, Fault>
where
    T: for<'de> Deserialize<'de>,
{
    T::deserialize(located).map_err(|problem| {
        let place = problem.place.as_ref().unwrap_or(&located.place);
        Fault::error(place, key, problem.message)
    })
}

/// Why a value was not understood.
#[derive(Debug)]
pub(crate) struct Problem {
    message: String,
    place: Option<Place>,
}

impl Problem {
    fn new(message: String) -> Self {
        Self {
            message,
            place: None,
        }
    }

    fn at(mut self, place: &Place) -> Self {
        self.place.get_or_insert_with(|| place.clone());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

fn plain(expected: &dyn Expected) -> String {
    match expected.to_string().as_str() {
        "a string" => "text in quotes".to_owned(),
        "a boolean" => "true or false, without quotes".to_owned(),
        "i64" => "a whole number, without quotes".to_owned(),
        "a sequence" => "a list, such as [\"a\", \"b\"]".to_owned(),
        other => other.to_owned(),
    }
}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(_found: de::Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {}", plain(expected)))
    }

    fn invalid_value(_found: de::Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {}", plain(expected)))
    }

    fn unknown_variant(_found: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("must be {}", words(expected)))
    }
}

fn words(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

impl<'de> IntoDeserializer<'de, Problem> for &'de Located {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for &'de Located {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let result = match &self.value {
            Raw::Text(text) => visitor.visit_borrowed_str(text),
            Raw::Integer(number) => visitor.visit_i64(*number),
            Raw::Float(number) => visitor.visit_f64(*number),
            Raw::Boolean(value) => visitor.visit_bool(*value),
            Raw::List(list) => visitor.visit_seq(SeqDeserializer::new(list.iter())),
            Raw::Table(table) => visitor.visit_map(MapDeserializer::new(
                table
                    .0
                    .iter()
                    .map(|(key, value)| (key.name.as_str(), value)),
            )),
            Raw::Other(kind) => Err(de::Error::invalid_type(
                de::Unexpected::Other(kind),
                &visitor,
            )),
        };
        result.map_err(|problem: Problem| problem.at(&self.place))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let result = match &self.value {
            Raw::Text(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            _ => Err(Problem::new(format!("must be {}", words(variants)))),
        };
        result.map_err(|problem: Problem| problem.at(&self.place))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
