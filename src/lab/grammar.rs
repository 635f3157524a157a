//! How IOS reads a command line: words may be abbreviated as far as they stay unique.

use std::ops::Range;

/// A command that a vty knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    TerminalLength(usize),
    TerminalWidth,
    TerminalMonitor,
    ShowRun,
    ShowStartup,
    ShowPrivilege,
    ShowVersion,
    ShowReload,
    ShowClock,
    Write,
    CopyRunStart,
    Enable,
    Disable,
    Exit,
}

/// What a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parsed {
    /// Nothing but blanks, or a comment.
    Empty,
    /// A command.
    Command(Command),
    /// Not a command from this column of the line on.
    Invalid(usize),
    /// The beginning of a command.
    Incomplete,
    /// The beginning of several commands.
    Ambiguous,
}

/// What may follow.
enum Next {
    Words(&'static [Word]),
    Number(fn(usize) -> Command),
    Done(Command),
    /// A command by itself, and words may follow.
    Either(Command, &'static [Word]),
}

struct Word {
    text: &'static str,
    /// The privilege level from which the word is known.
    level: u8,
    next: Next,
}

const fn word(text: &'static str, level: u8, next: Next) -> Word {
    Word { text, level, next }
}

const fn plain(text: &'static str, next: Next) -> Word {
    word(text, 1, next)
}

static EXEC: [Word; 10] = [
    word("copy", 15, Next::Words(&COPY)),
    plain("disable", Next::Done(Command::Disable)),
    plain("enable", Next::Done(Command::Enable)),
    plain("exit", Next::Done(Command::Exit)),
    plain("logout", Next::Done(Command::Exit)),
    plain("quit", Next::Done(Command::Exit)),
    plain("show", Next::Words(&SHOW)),
    plain("terminal", Next::Words(&TERMINAL)),
    // Not served; it is here so that `te` is no unique beginning.
    plain("telnet", Next::Words(&[])),
    word("write", 15, Next::Either(Command::Write, &WRITE)),
];

static COPY: [Word; 1] = [plain("running-config", Next::Words(&COPY_RUN))];
static COPY_RUN: [Word; 1] = [plain("startup-config", Next::Done(Command::CopyRunStart))];

static SHOW: [Word; 8] = [
    plain("clock", Next::Done(Command::ShowClock)),
    plain("privilege", Next::Done(Command::ShowPrivilege)),
    // Not served; it is here so that `sh pro` is no unique beginning of nothing.
    plain("processes", Next::Words(&[])),
    word("reload", 15, Next::Done(Command::ShowReload)),
    word("running-config", 5, Next::Done(Command::ShowRun)),
    word("startup-config", 15, Next::Done(Command::ShowStartup)),
    plain("standby", Next::Words(&[])),
    plain("version", Next::Done(Command::ShowVersion)),
];

static TERMINAL: [Word; 4] = [
    plain("length", Next::Number(Command::TerminalLength)),
    plain("monitor", Next::Done(Command::TerminalMonitor)),
    plain("no", Next::Words(&TERMINAL_NO)),
    plain("width", Next::Number(|_| Command::TerminalWidth)),
];
static TERMINAL_NO: [Word; 3] = [
    plain("length", Next::Done(Command::TerminalLength(24))),
    plain("monitor", Next::Done(Command::TerminalMonitor)),
    plain("width", Next::Done(Command::TerminalWidth)),
];

static WRITE: [Word; 1] = [plain("memory", Next::Done(Command::Write))];

/// The largest number `terminal length` and `terminal width` take.
const TERMINAL_MAX: usize = 512;

/// Reads one line at a privilege level.
pub(super) fn parse(line: &str, level: u8) -> Parsed {
    let mut words: &'static [Word] = &EXEC;
    let mut ending: Option<Command> = None;
    let mut begun = false;
    for Range { start, end } in spans(line) {
        let typed = line.get(start..end).unwrap_or_default();
        if !begun && typed.starts_with('!') {
            return Parsed::Empty;
        }
        begun = true;
        let found = match find(words, typed, level) {
            Ok(found) => found,
            Err(Some(ambiguous)) => return ambiguous,
            Err(None) => return Parsed::Invalid(start),
        };
        match &found.next {
            Next::Words(next) => (words, ending) = (next, None),
            Next::Either(command, next) => (words, ending) = (next, Some(*command)),
            Next::Done(command) => (words, ending) = (&[], Some(*command)),
            Next::Number(command) => return number(line, end, *command),
        }
    }
    match ending {
        Some(command) => Parsed::Command(command),
        None if begun => Parsed::Incomplete,
        None => Parsed::Empty,
    }
}

/// Reads the one number that ends a line.
fn number(line: &str, from: usize, command: fn(usize) -> Command) -> Parsed {
    let rest = line.get(from..).unwrap_or_default();
    let mut spans = spans(rest);
    let Some(span) = spans.next() else {
        return Parsed::Incomplete;
    };
    let column = from + span.start;
    match rest.get(span).map(str::parse) {
        Some(Ok(value)) if value <= TERMINAL_MAX => match spans.next() {
            None => Parsed::Command(command(value)),
            Some(more) => Parsed::Invalid(from + more.start),
        },
        _ => Parsed::Invalid(column),
    }
}

fn find(words: &'static [Word], typed: &str, level: u8) -> Result<&'static Word, Option<Parsed>> {
    let typed = typed.to_ascii_lowercase();
    let mut matches = words
        .iter()
        .filter(|word| word.level <= level && word.text.starts_with(&typed));
    let Some(first) = matches.next() else {
        return Err(None);
    };
    match matches.next() {
        Some(_) if first.text != typed => Err(Some(Parsed::Ambiguous)),
        _ => Ok(first),
    }
}

/// Where the words of a line are.
fn spans(line: &str) -> impl Iterator<Item = Range<usize>> {
    let base = line.as_ptr() as usize;
    line.split_ascii_whitespace().map(move |word| {
        let start = word.as_ptr() as usize - base;
        start..start + word.len()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Command {
        match parse(line, 15) {
            Parsed::Command(command) => command,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    #[test]
    fn words_may_be_abbreviated() {
        for line in [
            "term len 0",
            "terminal length 0",
            "ter l 0",
            " TERM  LEN 0 ",
        ] {
            assert_eq!(command(line), Command::TerminalLength(0), "{line}");
        }
        for line in ["sh run", "show running-config", "sho ru"] {
            assert_eq!(command(line), Command::ShowRun, "{line}");
        }
        for line in ["wr", "wr mem", "write memory", "write mem", "w"] {
            assert_eq!(command(line), Command::Write, "{line}");
        }
        assert_eq!(command("copy run start"), Command::CopyRunStart);
        assert_eq!(command("terminal width 511"), Command::TerminalWidth);
        assert_eq!(command("terminal no monitor"), Command::TerminalMonitor);
        for line in ["ex", "logout", "q"] {
            assert_eq!(command(line), Command::Exit, "{line}");
        }
    }

    #[test]
    fn what_is_no_command_is_said_where() {
        assert_eq!(parse("show runing", 15), Parsed::Invalid(5));
        assert_eq!(parse("shwo run", 15), Parsed::Invalid(0));
        assert_eq!(parse("terminal length x", 15), Parsed::Invalid(16));
        assert_eq!(parse("terminal length 513", 15), Parsed::Invalid(16));
        assert_eq!(parse("show version now", 15), Parsed::Invalid(13));
        assert_eq!(parse("terminal length 0 0", 15), Parsed::Invalid(18));
        assert_eq!(parse("show", 15), Parsed::Incomplete);
        assert_eq!(parse("terminal length", 15), Parsed::Incomplete);
        assert_eq!(parse("te len 0", 15), Parsed::Ambiguous);
        assert_eq!(parse("sh r", 15), Parsed::Ambiguous);
        assert_eq!(parse("  ", 15), Parsed::Empty);
        assert_eq!(parse("! a remark", 15), Parsed::Empty);
    }

    #[test]
    fn a_lower_level_knows_less() {
        assert_eq!(parse("show running-config", 1), Parsed::Invalid(5));
        assert_eq!(parse("write memory", 1), Parsed::Invalid(0));
        assert_eq!(parse("write memory", 5), Parsed::Invalid(0));
        assert_eq!(
            parse("show running-config", 5),
            Parsed::Command(Command::ShowRun)
        );
    }
}
