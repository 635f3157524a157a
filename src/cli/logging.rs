//! The log: env_logger on stderr, as text or as one JSON object a line.

use env_logger::{Builder, Env, Target};
use jiff::Timestamp;
use log::kv::{Error, Key, Value, VisitSource};
use log::{LevelFilter, Record};
use serde_json::Value as Json;
use std::io::{self, Write};
use std::time::SystemTime;

/// How much is logged when RUST_LOG says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verbosity {
    /// Errors only.
    Quiet,
    /// This many `-v`.
    Verbose(u8),
}

/// For whom it is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// People.
    Text,
    /// Programs.
    Json,
}

/// Starts the log, which is written to `out`.
pub(super) fn start(verbosity: Verbosity, format: Format, out: Box<dyn Write + Send>) {
    let level = match verbosity {
        Verbosity::Quiet => LevelFilter::Error,
        Verbosity::Verbose(0) => LevelFilter::Warn,
        Verbosity::Verbose(1) => LevelFilter::Info,
        Verbosity::Verbose(2) => LevelFilter::Debug,
        Verbosity::Verbose(_) => LevelFilter::Trace,
    };
    let mut builder = Builder::new();
    builder
        .filter_module("wrmem", level)
        .filter_level(level.min(LevelFilter::Warn))
        .parse_env(Env::default())
        // The simulated devices' SSH server would log what clients type, passwords included.
        .filter_module("russh", LevelFilter::Off)
        .target(Target::Pipe(out));
    if format == Format::Json {
        builder.format(|out, record| line(out, record, SystemTime::now()));
    }
    // A second start in one process keeps the first log.
    let _ = builder.try_init();
}

/// A record as one line: `time`, `level`, `target`, `message`, then what it is about (`device`,
/// `stage`, `run`, ...).
fn line(out: &mut dyn Write, record: &Record<'_>, now: SystemTime) -> io::Result<()> {
    let now = Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut fields = Fields(vec![
        ("time".to_owned(), format!("{now:.3}").into()),
        (
            "level".to_owned(),
            record.level().as_str().to_lowercase().into(),
        ),
        ("target".to_owned(), record.target().into()),
        ("message".to_owned(), record.args().to_string().into()),
    ]);
    record
        .key_values()
        .visit(&mut fields)
        .map_err(io::Error::other)?;
    let fields: Vec<_> = fields
        .0
        .iter()
        .map(|(key, value)| format!("{}:{value}", Json::from(key.as_str())))
        .collect();
    writeln!(out, "{{{}}}", fields.join(","))
}

/// Fields in the order in which they come.
struct Fields(Vec<(String, Json)>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let value = value
            .to_u64()
            .map(Json::from)
            .or_else(|| value.to_f64().map(Json::from))
            .unwrap_or_else(|| value.to_string().into());
        self.0.push((key.as_str().to_owned(), value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Level;
    use std::time::Duration;

    #[test]
    fn a_record_is_one_object_a_line_whatever_it_says() {
        let mut out = Vec::new();
        let device = "csr\"1";
        let fields = [
            ("device", Value::from(device)),
            ("run", Value::from(7_u64)),
            ("seconds", Value::from(1.5)),
        ];
        let record = Record::builder()
            .args(format_args!("two\nlines"))
            .level(Level::Warn)
            .target("wrmem::daemon")
            .key_values(&fields)
            .build();
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        line(&mut out, &record, now).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"time\":\"1970-01-01T00:00:01.500Z\",\"level\":\"warn\",\"target\":\"wrmem::daemon\",\
             \"message\":\"two\\nlines\",\"device\":\"csr\\\"1\",\"run\":7,\"seconds\":1.5}\n"
        );
    }
}
