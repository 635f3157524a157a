//! How a run is told to the client that asked for it: lines while it goes on, then the texts of its
//! report.

use super::control::server::Sayings;
use super::control::wire::{self, Document, PART_MAX, RunAsk, Say, Verdict};
use crate::model::report::{RunReport, Verdict as ReportVerdict};
use crate::report::color::Color;
use crate::report::table::{self, Look};
use crate::report::{json, timeline};
use std::io::{self, Write};

/// Tells a client everything about a run that is over.
pub(super) async fn tell_end(report: &RunReport, ask: &RunAsk, say: &Sayings) {
    for document in &ask.documents {
        let (document, look, report) = (*document, ask.look, report.clone());
        // A large fleet's documents take a while to write down.
        let written = tokio::task::spawn_blocking(move || render(&report, document, look)).await;
        match written {
            Ok(Ok(text)) => {
                for part in parts(&text) {
                    let text = part.to_owned();
                    say.surely(Say::Part { of: document, text }).await;
                }
            }
            Ok(Err(error)) => log::error!("a report could not be written down: {error}"),
            Err(error) => log::error!("a report could not be written down: {error}"),
        }
    }
    let verdict = match report.verdict() {
        ReportVerdict::Good => Verdict::Good,
        ReportVerdict::Devices => Verdict::Devices,
        ReportVerdict::Archive => Verdict::Archive,
    };
    say.surely(Say::RunOver { verdict }).await;
}

fn render(report: &RunReport, document: Document, look: wire::Look) -> io::Result<String> {
    let mut out = Vec::new();
    match document {
        Document::Table => {
            let color = if look.color { Color::On } else { Color::Off };
            let look = Look {
                width: look.width,
                color,
            };
            table::write(report, &mut out, look)?;
            table::execution_time(report.wall, &mut out)?;
        }
        Document::Json => json::write(report, &mut out)?,
        Document::Timeline => timeline::write(report, &mut out)?,
    }
    String::from_utf8(out).map_err(io::Error::other)
}

/// A text in pieces that fit into lines.
fn parts(text: &str) -> Vec<&str> {
    let mut rest = text;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let mut end = rest.len().min(PART_MAX);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (part, more) = rest.split_at(end);
        parts.push(part);
        rest = more;
    }
    parts
}

/// Turns what is written into lines for a client. They may be lost on one that reads slowly: the
/// table at the end has it all.
pub(super) struct Lines {
    say: Sayings,
    line: Vec<u8>,
}

impl Lines {
    pub(super) fn to(say: Sayings) -> Self {
        Self {
            say,
            line: Vec::new(),
        }
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            if *byte == b'\n' {
                let text = String::from_utf8_lossy(&self.line).into_owned();
                self.line.clear();
                self.say.maybe(Say::Line { text });
            } else {
                self.line.push(*byte);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_parts_is_the_same_text() {
        let text = "zürich ".repeat(20_000);
        let parts = parts(&text);
        assert!(parts.len() > 2);
        assert!(parts.iter().all(|part| part.len() <= PART_MAX));
        assert_eq!(parts.concat(), text);
        assert_eq!(super::parts(""), Vec::<&str>::new());
    }
}
