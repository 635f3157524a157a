//! Holds the code against the map: who may import whom, which crate is used where, where a clock
//! is read, and how long a file may be. A new room, a new door: extend the tables below in the
//! same commit. In-file tests (from `#[cfg(test)]` at the margin on) and files named `tests.rs`
//! are free.

use std::collections::BTreeSet;
use std::path::Path;

/// A room, the rooms it may import, and parts of those that it must not.
struct Room {
    name: &'static str,
    may: &'static [&'static str],
    never: &'static [&'static str],
}

const fn room(name: &'static str, may: &'static [&'static str]) -> Room {
    Room {
        name,
        may,
        never: &[],
    }
}

/// Who may import whom; what is not listed is forbidden.
const ROOMS: &[Room] = &[
    room("model", &[]),
    room("text", &["model"]),
    room("flow", &["model"]),
    room("session", &["text", "flow", "model"]),
    room("archive", &["text", "flow", "model"]),
    room("settings", &["text", "flow", "model"]),
    room("limits", &[]),
    room("state", &["text", "model"]),
    Room {
        name: "actors",
        may: &[
            "flow", "text", "model", "limits", "session", "archive", "state",
        ],
        // Of the state only what its writer is told: the trait and its values.
        never: &[
            "session::ssh",
            "session::scripted",
            "archive::files",
            "archive::git",
            "archive::both",
            "state::database",
            "state::queries",
            "state::release",
            "state::versions",
        ],
    },
    room("report", &["text", "model"]),
    room("lab", &["model"]),
    room(
        "app",
        &[
            "actors", "archive", "flow", "lab", "limits", "model", "report", "session", "settings",
            "state", "text",
        ],
    ),
    room(
        "daemon",
        &[
            "actors", "app", "archive", "flow", "lab", "limits", "model", "report", "session",
            "settings", "state", "text",
        ],
    ),
    room(
        "cli",
        &[
            "actors", "app", "archive", "daemon", "flow", "lab", "limits", "model", "report",
            "session", "settings", "state", "text",
        ],
    ),
    room("main", &["cli"]),
];

/// Crates and the only places that may use them. Crates not listed are free.
const DOORS: &[(&str, &[&str])] = &[
    ("actix", &["actors", "app", "daemon", "cli"]),
    ("actix_rt", &["actors", "app", "daemon", "cli"]),
    ("tokio", &["actors", "app", "daemon", "cli", "lab"]),
    ("ssh2", &["session::ssh"]),
    ("libssh2_sys", &["session::ssh"]),
    ("ssh_key", &["session", "settings", "lab"]),
    ("russh", &["lab"]),
    ("clap", &["cli"]),
    ("rpassword", &["cli"]),
    ("env_logger", &["cli"]),
    ("comfy_table", &["report", "cli"]),
    ("indicatif", &["report::progress"]),
    ("similar", &["text::diff"]),
    ("gix", &["archive::git"]),
    ("gix_pack", &["archive::git::objects"]),
    ("rusqlite", &["state"]),
    (
        "serde",
        &[
            "daemon::control",
            "settings",
            "report::json",
            "report::past::wire",
        ],
    ),
    (
        "serde_json",
        &[
            "cli::logging",
            "daemon::control",
            "report::json",
            "report::past::wire",
        ],
    ),
    ("config", &["settings"]),
    ("croner", &["flow::schedule::cron"]),
    ("notify", &["daemon::watch"]),
    ("sd_notify", &["daemon::service"]),
    ("csv", &["settings"]),
    ("toml", &["settings", "lab", "cli"]),
];

/// The only places that may ask what time it is.
const CLOCKS: &[&str] = &[
    "actors",
    "lab",
    "daemon",
    "report::progress",
    // The real clock of the session.
    "session::ssh",
    // A virtual clock has to begin somewhere.
    "session::scripted",
    // The whole run, from the start of the process to its last line.
    "app",
    "cli",
];

/// Types whose `now` is a clock.
const CLOCK_TYPES: &[&str] = &["Instant", "SystemTime", "Timestamp", "Zoned"];

/// Lines with code before the tests; the house number is 300, and nobody splits a file for 20.
const LONGEST_FILE: usize = 320;

/// A source file: its path below `src`, with `/`, and its text.
type Source = (String, String);

#[test]
fn the_code_follows_the_map() {
    let mut sources = Vec::new();
    read_tree(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
        "",
        &mut sources,
    );
    assert!(sources.len() > 10, "src was not found");
    let faults = check(&sources);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn read_tree(folder: &Path, below: &str, sources: &mut Vec<Source>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{below}{name}");
        if entry.path().is_dir() {
            read_tree(&entry.path(), &format!("{path}/"), sources);
        } else if name.ends_with(".rs")
            && let Ok(text) = std::fs::read_to_string(entry.path())
        {
            sources.push((path, text));
        }
    }
}

/// All that is wrong, one line each.
fn check(sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in sources {
        let module = module_of(path);
        if module.last().is_some_and(|last| last == "tests") {
            continue;
        }
        let code = without_tests(text);
        let tokens = tokens(code);
        let lines: BTreeSet<usize> = tokens.iter().map(|token| token.line).collect();
        if lines.len() > LONGEST_FILE {
            faults.push(format!(
                "src/{path}: {} lines with code before its tests, more than {LONGEST_FILE}: split it",
                lines.len()
            ));
        }
        let found = paths(&tokens);
        let here = Here {
            path,
            module: &module,
        };
        for used in &found {
            faults.extend(here.check_import(used));
            faults.extend(here.check_door(used, &found));
            faults.extend(here.check_clock(used));
        }
    }
    faults.sort();
    faults.dedup();
    faults
}

/// A path that the code names: in a `use` or inline.
#[derive(Debug, PartialEq, Eq)]
struct Used {
    segments: Vec<String>,
    line: usize,
    /// The name that a `use` or a `mod` binds in this file.
    binds: Option<String>,
}

/// The file that is looked at.
struct Here<'a> {
    path: &'a str,
    module: &'a [String],
}

impl Here<'_> {
    fn at(&self, used: &Used) -> String {
        format!("src/{}:{}", self.path, used.line)
    }

    /// The path from the crate's root on, where `used` is one of this crate.
    fn resolve(&self, used: &Used) -> Option<Vec<String>> {
        let mut segments = used.segments.iter().peekable();
        let mut base = match segments.peek().map(|first| first.as_str()) {
            Some("crate") => Vec::new(),
            Some("wrmem") if self.path == "main.rs" => Vec::new(),
            Some("super" | "self") => self.module.to_vec(),
            _ => return None,
        };
        for segment in segments {
            match segment.as_str() {
                "crate" | "self" => {}
                "wrmem" if base.is_empty() && self.path == "main.rs" => {}
                "super" => {
                    base.pop();
                }
                name => base.push(name.to_owned()),
            }
        }
        Some(base)
    }

    fn check_import(&self, used: &Used) -> Option<String> {
        // The crate's root only declares the rooms.
        let own = self.module.first()?;
        let target = self.resolve(used)?;
        let to = target.first()?;
        if own == to {
            return None;
        }
        let at = self.at(used);
        let Some(room) = ROOMS.iter().find(|room| room.name == own) else {
            return Some(format!(
                "{at}: the room `{own}` is not on the map: add it to ROOMS in tests/layers.rs"
            ));
        };
        let full = target.join("::");
        if !room.may.contains(&to.as_str()) {
            return Some(format!(
                "{at}: `{own}` must not import `{to}` (`{full}`); it may import {:?}",
                room.may
            ));
        }
        let never = room.never.iter().find(|never| is_within(&full, never))?;
        Some(format!("{at}: `{own}` must not know `{never}` (`{full}`)"))
    }

    fn check_door(&self, used: &Used, all: &[Used]) -> Option<String> {
        let first = used.segments.first()?;
        let (name, places) = DOORS.iter().find(|(name, _)| name == first)?;
        // A module of ours that was imported or declared under the crate's name.
        let ours = all.iter().any(|other| {
            other.binds.as_deref() == Some(*name) && other.segments.first() != Some(first)
        });
        if ours || self.is_in(places) {
            return None;
        }
        Some(format!(
            "{}: the crate `{name}` is used only in {places:?}",
            self.at(used)
        ))
    }

    fn check_clock(&self, used: &Used) -> Option<String> {
        let (last, before) = used.segments.split_last()?;
        let clock = before.last()?;
        if last != "now" || !CLOCK_TYPES.contains(&clock.as_str()) || self.is_in(CLOCKS) {
            return None;
        }
        Some(format!(
            "{}: `{clock}::now` is read only in {CLOCKS:?}; take the time as an argument",
            self.at(used)
        ))
    }

    fn is_in(&self, places: &[&str]) -> bool {
        let own = self.module.join("::");
        places.iter().any(|place| is_within(&own, place))
    }
}

fn is_within(path: &str, place: &str) -> bool {
    path.strip_prefix(place)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// `a/b.rs` and `a/b/mod.rs` are `[a, b]`; the crate's root is `[]`, the binary `[main]`.
fn module_of(path: &str) -> Vec<String> {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
    let last = module.last().map(String::as_str);
    if last == Some("mod") || module == ["lib"] {
        module.pop();
    }
    module
}

/// The text up to its test module.
fn without_tests(text: &str) -> &str {
    let tests = text
        .match_indices("\n#[cfg(test)]\nmod ")
        .find(|(at, found)| {
            let line = text
                .get(at + found.len()..)
                .and_then(|rest| rest.lines().next());
            line.is_some_and(|line| line.ends_with('{'))
        });
    tests.and_then(|(at, _)| text.get(..at)).unwrap_or(text)
}

/// A word, or one sign (`::` counts as one); literals are `"`.
#[derive(Debug)]
struct Token {
    text: String,
    line: usize,
}

/// Reads Rust roughly: comments are left out and literals lose their content.
fn tokens(code: &str) -> Vec<Token> {
    let mut rest = code;
    let mut line = 1;
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (length, text) = match first {
            _ if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), None),
            _ if rest.starts_with("/*") => (block_comment(rest), None),
            _ if rest.starts_with("::") => (2, Some("::")),
            '"' => (string(rest), Some("\"")),
            'r' | 'b' | 'c' if raw_string(rest).is_some() => {
                (raw_string(rest).unwrap_or(1), Some("\""))
            }
            '\'' => (quote(rest), Some("\"")),
            _ if is_word(first) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                (end, rest.get(..end))
            }
            _ if first.is_whitespace() => (first.len_utf8(), None),
            _ => (first.len_utf8(), rest.get(..first.len_utf8())),
        };
        if let Some(text) = text {
            tokens.push(Token {
                text: text.to_owned(),
                line,
            });
        }
        let (read, next) = rest.split_at_checked(length).unwrap_or((rest, ""));
        line += read.matches('\n').count();
        rest = next;
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(here) = rest.get(at..) {
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            match here.chars().next() {
                Some(c) => at += c.len_utf8(),
                None => break,
            }
        }
    }
    rest.len()
}

/// The length of a string literal that begins with its quote.
fn string(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a literal such as `b"x"`, `r"x"` or `br#"x"#`, if one begins here.
fn raw_string(rest: &str) -> Option<usize> {
    let prefix = rest.find(|c| c != 'b' && c != 'c' && c != 'r')?;
    let (letters, body) = rest.split_at_checked(prefix)?;
    if letters.len() > 2 {
        return None;
    }
    if !letters.contains('r') {
        return body.starts_with('"').then(|| prefix + string(body));
    }
    let hashes = body.find(|c| c != '#')?;
    let inner = body.get(hashes..)?.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = inner.find(&end).map_or(inner.len(), |at| at + end.len());
    Some(prefix + hashes + 1 + length)
}

/// The length of a character literal; of a lifetime only the quote.
fn quote(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((after, escaped))) => {
            let tail = rest.get(after + escaped.len_utf8()..).unwrap_or_default();
            let end = tail.find('\'').map_or(tail.len(), |at| at + 1);
            after + escaped.len_utf8() + end
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// Every path in the code, braces of `use` unfolded.
fn paths(tokens: &[Token]) -> Vec<Used> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let before = at.checked_sub(1).and_then(|at| tokens.get(at));
        let continues = before.is_some_and(|before| matches!(before.text.as_str(), "::" | "."));
        match token.text.as_str() {
            // `use<'a>` in a bound imports nothing.
            "use" if tokens.get(at + 1).is_some_and(|next| next.text == "<") => at += 1,
            "use" => at = tree(tokens, at + 1, &mut Vec::new(), &mut found),
            "mod" => {
                found.extend(tokens.get(at + 1).map(|name| Used {
                    segments: vec!["mod".to_owned(), name.text.clone()],
                    line: name.line,
                    binds: Some(name.text.clone()),
                }));
                at += 2;
            }
            word if !continues && word.starts_with(is_word) => {
                at = inline(tokens, at, &mut found);
            }
            _ => at += 1,
        }
    }
    found
}

/// Reads `a::b::c` from `at` on; returns where it ends.
fn inline(tokens: &[Token], at: usize, found: &mut Vec<Used>) -> usize {
    let text = |at: usize| tokens.get(at).map(|token| token.text.as_str());
    let mut segments = Vec::new();
    let mut end = at;
    while let Some(word) = text(end).filter(|word| word.starts_with(is_word)) {
        segments.push(word.to_owned());
        end += 1;
        if text(end) != Some("::") {
            break;
        }
        end += 1;
    }
    // A lone word is a variable or a keyword and no path.
    if segments.len() > 1 {
        found.push(Used {
            segments,
            line: tokens.get(at).map_or(0, |token| token.line),
            binds: None,
        });
    }
    end.max(at + 1)
}

/// Reads one tree of a `use` from `at` on; returns where it ends.
fn tree(tokens: &[Token], mut at: usize, prefix: &mut Vec<String>, found: &mut Vec<Used>) -> usize {
    let depth = prefix.len();
    let mut alias = None;
    let line = tokens.get(at).map_or(0, |token| token.line);
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.text != "}") {
                    at = tree(tokens, at, prefix, found);
                    if tokens.get(at).is_some_and(|token| token.text != "}") {
                        at += 1;
                    }
                }
                prefix.truncate(depth);
                return at + 1;
            }
            "," | "}" | ";" => break,
            "as" => {
                alias = tokens.get(at + 1).map(|token| token.text.clone());
                at += 2;
            }
            "::" => at += 1,
            word => {
                prefix.push(word.to_owned());
                at += 1;
            }
        }
    }
    let named = prefix.iter().rev().find(|word| word.as_str() != "self");
    found.push(Used {
        binds: alias.or_else(|| named.cloned()),
        segments: prefix.clone(),
        line,
    });
    prefix.truncate(depth);
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> Vec<String> {
        check(&[(path.to_owned(), text.to_owned())])
    }

    #[track_caller]
    fn refused(path: &str, text: &str, word: &str) {
        let faults = faults(path, text);
        assert_eq!(faults.len(), 1, "{path}: {text}: {faults:?}");
        assert!(faults[0].contains(word), "{faults:?}");
    }

    #[track_caller]
    fn accepted(path: &str, text: &str) {
        assert_eq!(faults(path, text), [""; 0], "{path}: {text}");
    }

    #[test]
    fn a_forbidden_import_is_found_however_it_is_written() {
        for text in [
            "use crate::actors::Start;",
            "pub use crate::actors;",
            "use crate::{model::device::Device, actors::{messages}};",
            "use super::actors::Start as Begin;",
            "fn f() { crate::actors::start(); }",
            "fn f(x: &dyn super::actors::Trait) {}",
        ] {
            refused("flow/mod.rs", text, "`flow` must not import `actors`");
        }
        refused(
            "session/ssh/a.rs",
            "use super::super::super::app::X;",
            "`app`",
        );
        refused(
            "actors/device.rs",
            "use crate::session::ssh::Ssh;",
            "session::ssh",
        );
        refused(
            "actors/device.rs",
            "use crate::session::{self, ssh};",
            "session::ssh",
        );
        refused("main.rs", "fn main() { wrmem::app::run() }", "`app`");
        refused(
            "attic/mod.rs",
            "use crate::model::device;",
            "not on the map",
        );
    }

    #[test]
    fn what_the_map_allows_is_accepted() {
        accepted("flow/mod.rs", "use crate::model::{device::Device, stage};");
        accepted("session/ssh/mod.rs", "use super::super::text::clean;");
        accepted(
            "session/ssh/mod.rs",
            "use super::{gate, Clock}; use self::tcp::X;",
        );
        accepted(
            "actors/device.rs",
            "use crate::session::{Transport, dialogue};",
        );
        accepted("main.rs", "fn main() { wrmem::cli::run() }");
        accepted("lib.rs", "pub mod app; pub use crate::app::run;");
    }

    #[test]
    fn comments_literals_and_tests_are_no_code() {
        accepted(
            "flow/mod.rs",
            "//! See [`crate::actors`].\n/* use crate::app::x; /* */ */",
        );
        accepted(
            "flow/mod.rs",
            "const A: &str = \"use crate::app::x; \\\" crate::app::y\";",
        );
        accepted("flow/mod.rs", "const A: &[u8] = br#\"\"crate::app::x\"#;");
        accepted(
            "flow/mod.rs",
            "fn f<'a>(x: &'a str, c: char) -> bool { c == '\"' || c == '\\'' }",
        );
        accepted(
            "flow/mod.rs",
            "fn f() {}\n\n#[cfg(test)]\nmod tests {\n use crate::app::x;\n}\n",
        );
        accepted("flow/mod.rs", "fn f() -> impl Fn() + use<> { g(); h() }");
        accepted("flow/tests.rs", "use crate::app::x;");
        // Only a test module ends the code, and a quote does not swallow what follows.
        let text = "#[cfg(test)]\nmod tests;\nuse crate::app::x;";
        refused("flow/mod.rs", text, "`app`");
        refused(
            "flow/mod.rs",
            "fn f(c: char) { c == '\"'; crate::app::x() }",
            "`app`",
        );
        refused(
            "flow/mod.rs",
            "fn f<'a>(c: &'a u8) { crate::app::x() }",
            "src/flow/mod.rs:1",
        );
    }

    #[test]
    fn a_crate_is_used_only_behind_its_door() {
        refused("session/gate.rs", "use ssh2::Session;", "session::ssh");
        refused(
            "model/device.rs",
            "#[derive(serde::Serialize)] struct X;",
            "serde",
        );
        refused("report/mod.rs", "use serde::Serialize;", "report::json");
        refused("flow/mod.rs", "fn f() { actix_rt::spawn(g()) }", "actix_rt");
        refused("flow/mod.rs", "use tokio as t;", "tokio");
        refused("report/mod.rs", "use {std::fmt, config::Config};", "config");
        accepted("session/ssh/shell.rs", "use ssh2::Session;");
        accepted("report/json.rs", "use serde::Serialize;");
        accepted(
            "flow/mod.rs",
            "use crate::model::config; fn f(c: config::Proof) {}",
        );
        accepted("model/mod.rs", "pub mod config; use config::Config;");
        accepted("flow/mod.rs", "use std::sync; fn f() { sync::toml::x() }");
    }

    #[test]
    fn a_clock_is_read_only_where_time_belongs() {
        refused(
            "flow/retry.rs",
            "fn f() { Instant::now() }",
            "as an argument",
        );
        refused(
            "report/mod.rs",
            "fn f() { std::time::SystemTime::now() }",
            "SystemTime",
        );
        refused(
            "session/dialogue/mod.rs",
            "fn f() { g(Instant::now) }",
            "Instant",
        );
        accepted("actors/device.rs", "fn f() { Instant::now() }");
        accepted("session/dialogue/mod.rs", "fn f(c: &dyn Clock) { c.now() }");
    }

    #[test]
    fn a_file_has_its_length() {
        let long = "fn f() {}\n\n// why\n".repeat(LONGEST_FILE);
        accepted("flow/mod.rs", &long);
        refused("flow/mod.rs", &format!("{long}fn g() {{}}\n"), "split it");
        let tested = format!("{long}\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
        accepted("flow/mod.rs", &tested);
    }

    #[test]
    fn every_door_and_place_is_on_the_map() {
        let places = DOORS.iter().flat_map(|(_, places)| *places).chain(CLOCKS);
        let named = places.map(|place| place.split("::").next().unwrap_or_default());
        let imported = ROOMS.iter().flat_map(|room| room.may).copied();
        for name in named.chain(imported) {
            assert!(ROOMS.iter().any(|room| room.name == name), "{name}");
        }
    }
}
