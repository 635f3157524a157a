//! `wrmem replay`.

use super::args::ReplayArgs;
use super::exit::{Exit, Stop};
use super::start::Globals;
use crate::app::replay::{Ends, Replayed, replay};
use crate::session::trace::{Replay, Trace, escape};
use crate::settings::{self, Platforms};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Holds recorded sessions again, and says where one goes another way than it was recorded.
pub(super) fn run(globals: &Globals, args: &ReplayArgs) -> Result<Exit, Stop> {
    globals.log_plainly();
    let source = globals.source(Vec::new());
    let (_, platforms) = settings::redaction(&source).map_err(Stop::usage)?;
    let mut exit = Exit::Ok;
    for path in &args.traces {
        let replayed = one(path, &platforms)?;
        if !replayed.is_same() {
            exit = Exit::Devices;
        }
    }
    Ok(exit)
}

fn one(path: &Path, platforms: &Platforms) -> Result<Replayed, Stop> {
    let in_file = |message: String| Stop::usage(format!("{}: {message}", path.display()));
    let text = fs::read(path).map_err(|error| in_file(error.to_string()))?;
    let text = String::from_utf8(text).map_err(|_| in_file("is no text".to_owned()))?;
    let trace = Trace::read(&text).map_err(|error| in_file(error.to_string()))?;
    let ready = Replay::new(&trace, |name| platforms.get(name).cloned()).map_err(in_file)?;
    let title = format!(
        "{}: {} ({})",
        path.display(),
        ready.device.name,
        ready.device.platform.name
    );
    let replayed = replay(ready);
    // A reader that went away has seen what it wanted; the exit code still counts.
    let _ = show(&title, &replayed);
    Ok(replayed)
}

fn show(title: &str, replayed: &Replayed) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{title}")?;
    for ends in &replayed.stages {
        let stage = ends.stage.name();
        if ends.are_same() {
            writeln!(out, "  {stage:<11} {}", told(&ends.now))?;
        } else {
            writeln!(out, "  {stage:<11} then: {}", told(&ends.then))?;
            writeln!(out, "  {:<11} now:  {}", "", told(&ends.now))?;
        }
    }
    if let Some(typed) = &replayed.typed {
        writeln!(
            out,
            "  typed in {}: then {}, now {}",
            typed.stage,
            quoted(&typed.then),
            quoted(&typed.now)
        )?;
    }
    let different: Vec<&str> = replayed
        .stages
        .iter()
        .filter(|ends| !ends.are_same())
        .map(|ends: &Ends| ends.stage.name())
        .collect();
    match (different.as_slice(), &replayed.typed) {
        ([], None) => writeln!(out, "  as it was recorded"),
        ([], Some(_)) => writeln!(out, "  ends as it was recorded, by another way"),
        (stages, _) => writeln!(
            out,
            "  differs from what was recorded: {}",
            stages.join(", ")
        ),
    }
}

fn told(text: &str) -> String {
    match text.split_once(' ') {
        None if text.is_empty() => "not reached".to_owned(),
        None => text.to_owned(),
        Some(("ok", rest)) => format!("ok, {rest}"),
        Some((kind, rest)) => format!("{kind}: {rest}"),
    }
}

fn quoted(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        "nothing".to_owned()
    } else {
        format!("`{}`", escape(bytes))
    }
}
