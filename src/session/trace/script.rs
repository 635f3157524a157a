//! The words of a trace, one step a line: writing and reading them.

use super::{Event, Trace, TraceError};
use crate::model::failure::FailureKind;
use crate::model::stage::Stage;
use std::fmt::Write as _;
use std::time::Duration;

/// The first line of every trace; a later format has another number.
const FIRST: &str = "# wrmem trace 1";

/// Writes bytes as text: `\r \n \t \e \b \\ \xNN`, all else that can be printed as itself. A blank
/// at the end is written so that it can be seen.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        let last = at + 1 == bytes.len();
        // Writing to a string cannot fail.
        let _ = match byte {
            b'\r' => text.write_str("\\r"),
            b'\n' => text.write_str("\\n"),
            b'\t' => text.write_str("\\t"),
            0x1b => text.write_str("\\e"),
            0x08 => text.write_str("\\b"),
            b'\\' => text.write_str("\\\\"),
            b' ' if last => text.write_str("\\x20"),
            0x20..=0x7e => text.write_char(char::from(*byte)),
            other => write!(text, "\\x{other:02x}"),
        };
    }
    text
}

/// Reads what [`escape`] wrote; bytes beyond ASCII may stand as themselves.
///
/// # Errors
/// Says what is no escape.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let escaped = rest.next();
        bytes.push(match escaped {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'e') => 0x1b,
            Some(b'b') => 0x08,
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits = [rest.next(), rest.next()].map(|digit| {
                    let digit = char::from(digit.unwrap_or(b' ')).to_digit(16);
                    digit.and_then(|digit| u8::try_from(digit).ok())
                });
                match digits {
                    [Some(high), Some(low)] => high << 4 | low,
                    _ => return Err("`\\x` needs two hexadecimal digits".to_owned()),
                }
            }
            _ => return Err("only \\r \\n \\t \\e \\b \\\\ and \\xNN are escapes".to_owned()),
        });
    }
    Ok(bytes)
}

/// A trace as text.
pub(super) fn write(trace: &Trace) -> String {
    let mut text = format!("{FIRST}\n");
    for comment in &trace.comments {
        let _ = writeln!(text, "# {}", one_line(comment));
    }
    for (key, value) in &trace.settings {
        let _ = writeln!(text, "set {key}={}", escape(value.as_bytes()));
    }
    let mut at = Duration::ZERO;
    let mut heard = false;
    for event in &trace.events {
        if heard && matches!(event, Event::Heard(_)) {
            text.push_str("pause 0\n");
        }
        heard = matches!(event, Event::Heard(_));
        if let Event::Pause(time) | Event::Quiet(time) = event {
            at += *time;
        }
        write_event(&mut text, event, at);
    }
    text
}

fn write_event(text: &mut String, event: &Event, at: Duration) {
    let _ = match event {
        Event::Stage(stage, within) => {
            writeln!(
                text,
                "\n# {} s\nstage {stage} {}",
                seconds(at),
                seconds(*within)
            )
        }
        Event::Heard(bytes) => return write_heard(text, bytes),
        Event::Pause(time) => writeln!(text, "pause {}", seconds(*time)),
        Event::Quiet(time) => writeln!(text, "quiet {}", seconds(*time)),
        Event::Said(bytes) => writeln!(text, "> {}", escape(bytes)),
        Event::Exit(code, aside) => writeln!(text, "exit {code} {}", escape(aside)),
        Event::Eof => writeln!(text, "eof"),
        Event::Broken(FailureKind::Reset) => writeln!(text, "reset"),
        Event::Broken(kind) => writeln!(text, "broken {kind}"),
        Event::Ended(stage, told) => writeln!(text, "ended {stage} {}", one_line(told)),
        Event::Noted(note) => writeln!(text, "# {}", one_line(note)),
        Event::Cut(bytes) => writeln!(text, "cut {bytes}"),
    };
}

/// What came in one read, a line of the device on each line.
fn write_heard(text: &mut String, bytes: &[u8]) {
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let _ = match line.strip_suffix(b"\r\n") {
            Some(line) => writeln!(text, "<< {}", escape(line)),
            None => writeln!(text, "< {}", escape(line)),
        };
    }
}

fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

/// Down to a tenth of a millisecond.
fn seconds(time: Duration) -> String {
    let tenths = time.as_micros() / 100;
    let text = format!("{}.{:04}", tenths / 10_000, tenths % 10_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Reads a trace.
pub(super) fn read(text: &str) -> Result<Trace, TraceError> {
    let mut lines = text.lines().enumerate();
    let fault = |line: usize, message: String| TraceError {
        line: line + 1,
        message,
    };
    match lines.next() {
        Some((_, FIRST)) => {}
        _ => {
            let message = format!("is no trace that this wrmem knows: it begins with `{FIRST}`");
            return Err(fault(0, message));
        }
    }
    let mut trace = Trace::default();
    for (number, line) in lines {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" => {}
            "#" if trace.events.is_empty() && trace.settings.is_empty() => {
                trace.comments.push(rest.to_owned());
            }
            comment if comment.starts_with('#') => {}
            "set" => {
                let setting = rest.split_once('=').ok_or("set needs key=value".to_owned());
                let read = setting.and_then(|(key, value)| {
                    let value = String::from_utf8(unescape(value)?);
                    Ok((key, value.map_err(|_| "is no text".to_owned())?))
                });
                let (key, value) = read.map_err(|message| fault(number, message))?;
                trace.settings.push((key.to_owned(), value));
            }
            "<" | "<<" => {
                let bytes = unescape(rest).map_err(|message| fault(number, message))?;
                hear(&mut trace.events, bytes, word);
            }
            _ => {
                let event = read_event(word, rest).map_err(|message| fault(number, message))?;
                trace.events.push(event);
            }
        }
    }
    Ok(trace)
}

/// Lines that follow each other came in one read.
fn hear(events: &mut Vec<Event>, mut bytes: Vec<u8>, word: &str) {
    if word == "<<" {
        bytes.extend_from_slice(b"\r\n");
    }
    match events.last_mut() {
        Some(Event::Heard(before)) => before.append(&mut bytes),
        _ => events.push(Event::Heard(bytes)),
    }
}

fn read_event(word: &str, rest: &str) -> Result<Event, String> {
    let (first, then) = rest.split_once(' ').unwrap_or((rest, ""));
    Ok(match word {
        "stage" => Event::Stage(stage(first)?, time(then)?),
        "pause" => Event::Pause(time(rest)?),
        "quiet" => Event::Quiet(time(rest)?),
        ">" => Event::Said(unescape(rest)?),
        "exit" => {
            let code = first
                .parse()
                .map_err(|_| "exit needs a status".to_owned())?;
            Event::Exit(code, unescape(then)?)
        }
        "eof" => Event::Eof,
        "reset" => Event::Broken(FailureKind::Reset),
        "broken" => Event::Broken(kind(first)?),
        "ended" => Event::Ended(stage(first)?, then.to_owned()),
        "cut" => Event::Cut(first.parse().map_err(|_| "cut needs a number".to_owned())?),
        other => return Err(format!("unknown word `{other}`")),
    })
}

fn stage(word: &str) -> Result<Stage, String> {
    let found = Stage::ALL.into_iter().find(|stage| stage.name() == word);
    found.ok_or_else(|| format!("`{word}` is no stage"))
}

/// A kind of failure by its word.
pub(super) fn kind(word: &str) -> Result<FailureKind, String> {
    let found = FailureKind::ALL
        .into_iter()
        .find(|kind| kind.name() == word);
    found.ok_or_else(|| format!("`{word}` is no kind of failure"))
}

fn time(text: &str) -> Result<Duration, String> {
    let seconds = text.trim().parse::<f64>().ok();
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(|| format!("`{text}` is no time in seconds"))
}
