//! Located values: what stands in a settings file, with the line where it stands.
//!
//! There is no `Debug` here, because a value may be a secret.

use super::fault::Fault;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file, or what else it came from.
    pub(crate) file: Arc<str>,
    /// The line, from 1.
    pub(crate) line: Option<usize>,
}

impl Place {
    pub(crate) fn new(file: &str, line: Option<usize>) -> Self {
        Self {
            file: file.into(),
            line,
        }
    }

    /// `FILE:LINE`.
    pub(crate) fn show(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}", self.file),
            None => self.file.to_string(),
        }
    }
}

/// A value and where it stands.
pub(crate) struct Located {
    pub(crate) place: Place,
    pub(crate) value: Raw,
}

/// A value as written.
pub(crate) enum Raw {
    Text(Zeroizing<String>),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    List(Vec<Located>),
    Table(Table),
    /// Something that no setting takes, and what to call it.
    Other(&'static str),
}

/// Keys and values in the order in which they were written.
#[derive(Default)]
pub(crate) struct Table(pub(crate) Vec<(Key, Located)>);

/// A key and where it stands.
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) place: Place,
}

impl Table {
    pub(crate) fn get(&self, name: &str) -> Option<&Located> {
        self.0
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, value)| value)
    }
}

impl Raw {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(Zeroizing::new(text.to_owned()))
    }

    /// What kind of value it is, in the operator's words.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number with a fraction",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(kind) => kind,
        }
    }
}

/// The beginnings of the lines of a text.
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(
            std::iter::once(0)
                .chain(breaks.map(|(at, _)| at + 1))
                .collect(),
        )
    }

    /// The line that holds the byte at `offset`, from 1.
    pub(crate) fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset)
    }
}

/// Parses TOML. Every syntax fault is told with its line, and none shows what stands there.
pub(crate) fn parse(file: &str, text: &str) -> Result<Table, Vec<Fault>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let reading = Reading {
        file: file.into(),
        lines: Lines::of(text),
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(reading.table(table.into_inner()));
    }
    let mut faults: Vec<Fault> = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let first = match error.message() {
            "duplicate key" => first_line(text, &span)
                .map(|line| format!(", it is already in line {line}"))
                .unwrap_or_default(),
            _ => String::new(),
        };
        let message = format!("{}{first}", error.message());
        let fault = Fault::error(&reading.place(&span), "", message);
        // One slip makes several errors of the parser; the first one of a line tells.
        if faults.iter().all(|earlier| earlier.line != fault.line) {
            faults.push(fault);
        }
    }
    Err(faults)
}

struct Reading {
    file: Arc<str>,
    lines: Lines,
}

impl Reading {
    fn place(&self, span: &Range<usize>) -> Place {
        Place {
            file: Arc::clone(&self.file),
            line: Some(self.lines.at(span.start)),
        }
    }

    fn table(&self, table: DeTable<'_>) -> Table {
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        Table(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let key = Key {
                        place: self.place(&key.span()),
                        name: key.into_inner().into_owned(),
                    };
                    (key, self.value(value))
                })
                .collect(),
        )
    }

    fn value(&self, value: Spanned<DeValue<'_>>) -> Located {
        let place = self.place(&value.span());
        let value = match value.into_inner() {
            DeValue::String(text) => Raw::Text(Zeroizing::new(text.into_owned())),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Raw::Other("a number that is too large"), Raw::Integer),
            DeValue::Float(number) => number
                .as_str()
                .parse()
                .map_or(Raw::Other("a number that is too large"), Raw::Float),
            DeValue::Boolean(value) => Raw::Boolean(value),
            DeValue::Datetime(_) => Raw::Other("a date"),
            DeValue::Array(list) => {
                Raw::List(list.into_iter().map(|item| self.value(item)).collect())
            }
            DeValue::Table(table) => Raw::Table(self.table(table)),
        };
        Located { place, value }
    }
}

/// The line in which a key that is there twice stood first: a header anywhere above, else a key
/// under the same header. The parser itself keeps only the later one.
fn first_line(text: &str, again: &Range<usize>) -> Option<usize> {
    let above = text.get(..again.start)?;
    let start = above.rfind('\n').map_or(0, |at| at + 1);
    let written = text.get(start..again.end)?.trim_start();
    let mut first = None;
    for (index, line) in text.get(..start)?.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with('[') && !written.starts_with('[') {
            first = None;
        }
        let same = line.strip_prefix(written).is_some_and(|rest| {
            !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-')
        });
        if same && first.is_none() {
            first = Some(index + 1);
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_lines_and_their_order() {
        let text = "\u{feff}b = 1\r\n\r\n[z]\r\nx = [\r\n  \"one\",\r\n]\r\n[a.b]\r\nc = true\r\n";
        let table = parse("f.toml", text).ok().unwrap();
        let order: Vec<_> = table
            .0
            .iter()
            .map(|(key, _)| (key.name.as_str(), key.place.line))
            .collect();
        assert_eq!(order, [("b", Some(1)), ("z", Some(3)), ("a", Some(7))]);
        let Raw::Table(z) = &table.get("z").unwrap().value else {
            panic!("a table")
        };
        let Raw::List(list) = &z.get("x").unwrap().value else {
            panic!("a list")
        };
        assert_eq!(list[0].place.show(), "f.toml:5");
    }

    #[test]
    fn syntax_faults_tell_all_lines_and_show_none() {
        let text = "[credentials.lab]\npassword = hunter2\nusername = \"a\"\nenable = \"hunter3\n";
        let faults = parse("c.toml", text).err().unwrap();
        let lines: Vec<_> = faults.iter().filter_map(|fault| fault.line).collect();
        assert_eq!(lines, [2, 4], "{faults:?}");
        assert!(!format!("{faults:?}").contains("hunter"), "{faults:?}");
    }

    #[test]
    fn a_key_that_is_there_twice_tells_both_lines() {
        let text = "[devices.csr1]\nport = 1\n[devices.csr1]\nport = 2\n";
        let faults = parse("d.toml", text).err().unwrap();
        let shown = faults[0].to_string();
        assert_eq!(shown, "d.toml:3: duplicate key, it is already in line 1");
        let text = "[a]\nport = 1\n[b]\nportal = 2\nport = 1\nport = 2\n";
        let faults = parse("d.toml", text).err().unwrap();
        let shown = faults[0].to_string();
        assert_eq!(shown, "d.toml:6: duplicate key, it is already in line 5");
    }

    #[test]
    fn lines_count_from_one() {
        let lines = Lines::of("a\nbc\n");
        assert_eq!(
            [lines.at(0), lines.at(1), lines.at(2), lines.at(3)],
            [1, 1, 2, 2]
        );
    }
}
