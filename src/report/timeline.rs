//! The timeline of a run: one page that needs nothing else, with a bar for each device.

mod chart;
mod row;

use super::figures::device_spread;
use super::file::{ReportFileError, write_whole};
use super::format::{counted, listed, plain, seconds, spoken};
use super::json::started_at;
use super::reasons::{self, Reason, Wording};
use crate::model::report::RunReport;
use std::io::{self, Write};
use std::path::Path;

/// At most this many names follow a reason.
const MOST_NAMES: usize = 12;

/// Colours, light and dark. Stages are told apart by the palette of Okabe and Ito, which people
/// with any kind of colour vision can read; how a device ended also has a shape.
const STYLE: &str = include_str!("timeline/style.css");
/// Shows a row's figures at once; without it the browser shows them after a moment.
const SCRIPT: &str = include_str!("timeline/tooltip.js");
/// Nothing is loaded and nothing is sent, even if a text got past the escaping.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// Writes `report` as an HTML page.
///
/// # Errors
/// When `out` fails.
pub fn write(report: &RunReport, out: &mut dyn Write) -> io::Result<()> {
    let started = started_at(report)?;
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>wrmem run of {started}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
    )?;
    summary(report, &started, out)?;
    legend(out)?;
    chart::write(report, out)?;
    reason_list("Not ok", &reasons::failures(report), out)?;
    reason_list("Notes", &reasons::notes(report), out)?;
    write!(
        out,
        "<div id=\"figures\" hidden></div>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    )
}

/// Writes the page to `path`, whole or not at all.
///
/// # Errors
/// When the file cannot be written; names it.
pub fn to_file(path: &Path, report: &RunReport) -> Result<(), ReportFileError> {
    write_whole(path, |out| write(report, out))
}

/// Text that cannot be taken for markup, neither in an element nor in a quoted attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

fn summary(report: &RunReport, started: &str, out: &mut dyn Write) -> io::Result<()> {
    let counts = report.counts();
    let mode = report.mode.name();
    let outcomes = [
        (counts.succeeded, "ok"),
        (counts.not_saved, "not saved"),
        (counts.failed, "failed"),
        (counts.cancelled, "cancelled"),
    ];
    let outcomes: Vec<String> = outcomes
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let median = device_spread(report).map_or_else(|| "-".to_owned(), |s| spoken(s.median));
    write!(
        out,
        "<h1>{}, {mode}</h1>\n<p class=\"dim\">wrmem run of {started}</p>\n<dl>\n",
        counted(counts.total, "device")
    )?;
    for (term, figure) in [
        ("outcome", outcomes.join(", ")),
        ("wall time", format!("{} s", seconds(report.wall, 3))),
        ("device time", spoken(report.device_time())),
        ("overlap", format!("{:.2}", report.overlap())),
        ("median device", median),
        (
            "in flight at most",
            format!(
                "{} (limit {})",
                report.in_flight_max, report.in_flight_limit
            ),
        ),
    ] {
        writeln!(out, "<div><dt>{term}</dt><dd>{figure}</dd></div>")?;
    }
    writeln!(out, "</dl>")
}

fn legend(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<p class=\"legend\">")?;
    for (class, word) in [
        ("connect", "connect"),
        ("save", "save"),
        ("backup", "backup"),
        ("write", "write"),
        ("disconnect", "disconnect"),
        ("wait", "waiting: queue or backoff"),
        ("gate", "waiting inside connect"),
    ] {
        writeln!(out, "<span><i class=\"{class}\"></i>{word}</span>")?;
    }
    for (class, mark, word) in [
        ("retry", "┃", "attempt failed"),
        ("failed", "✕", "failed"),
        ("not_saved", "▲", "not saved"),
        ("cancelled", "■", "cancelled"),
    ] {
        writeln!(out, "<span><b class=\"{class}\">{mark}</b>{word}</span>")?;
    }
    writeln!(out, "</p>")
}

fn reason_list(title: &str, reasons: &[Reason<'_>], out: &mut dyn Write) -> io::Result<()> {
    if reasons.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>{title}</h2>\n<table>")?;
    for reason in reasons {
        let example = match reason.wording {
            Wording::Shared => "",
            Wording::Example => "for example ",
        };
        writeln!(
            out,
            "<tr><td>{}&nbsp;×</td><td>{example}{}<br><span class=\"dim\">{}</span></td></tr>",
            reason.devices.len(),
            escaped(&reason.text),
            escaped(&listed(&reason.names(), MOST_NAMES))
        )?;
    }
    writeln!(out, "</table>")
}
