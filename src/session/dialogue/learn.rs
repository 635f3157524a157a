//! Learning the prompt: a prompt-shaped last line is believed once commands typed at it come back
//! behind it.

use super::Echo;
use super::wire::{Heard, Wire};
use crate::model::failure::FailureKind;
use crate::session::SessionError;
use crate::text::phrase;
use crate::text::prompt::{self, Mode, Prompt};
use std::time::Duration;

/// How long a device that shows no prompt must be silent before one return is typed.
const WAKE_QUIET: Duration = Duration::from_secs(5);

/// How long a question must stand still before it counts as one and not as part of a banner.
const QUESTION_QUIET: Duration = Duration::from_millis(200);

/// How long an echo may take before the candidate is doubted.
const ECHO_QUIET: Duration = Duration::from_secs(2);

/// How long nothing may come before what was typed last counts as answered.
const ANSWER_QUIET: Duration = Duration::from_millis(500);

/// How often a candidate is doubted before the device counts as unknown.
const DOUBTS_MAX: u32 = 8;

/// A prompt, and what the commands that taught it brought.
pub(super) struct Lesson {
    pub(super) prompt: Prompt,
    pub(super) echo: Echo,
    /// One output per command.
    pub(super) outputs: Vec<Vec<u8>>,
}

/// Waits for a last line that has the shape of a prompt, and leaves configuration mode. Says in
/// which mode the prompt is.
pub(super) fn await_candidate(wire: &mut Wire) -> Result<Mode, SessionError> {
    let mut woken = 0;
    let mut left_config = false;
    loop {
        // `<--- More --->` ends like a prompt.
        let shape = prompt::shape_of(wire.screen.tail(), &wire.platform.prompt);
        match shape.filter(|_| !wire.at_pager()) {
            Some(mode) => match wire.settle(Duration::ZERO)? {
                Heard::Data => continue,
                Heard::Closed => return Err(closed(wire)),
                Heard::Quiet if mode != Mode::Config => return Ok(mode),
                Heard::Quiet if left_config => {}
                Heard::Quiet => {
                    left_config = true;
                    if let Some(leave) = &wire.platform.prompt.leave_config {
                        let typed = format!("{leave}\r");
                        wire.say(typed.as_bytes())?;
                    }
                }
            },
            None => {
                if refuse_question(wire)? || wire.turn_page()? {
                    continue;
                }
            }
        }
        match wire.wait(WAKE_QUIET).map_err(|e| no_prompt(wire, e))? {
            Heard::Data => {}
            Heard::Closed => return Err(closed(wire)),
            Heard::Quiet if is_stuck(wire, left_config) => return Err(unknown(wire)),
            Heard::Quiet => {
                let blank = wire.screen.tail().trim_ascii().is_empty();
                let wake = phrase::ends_any(wire.screen.text(), &wire.platform.login.wake);
                if (blank || wake) && woken < 2 {
                    woken += 1;
                    wire.say(b"\r")?;
                }
            }
        }
    }
}

/// Whether a last line that stands still will not become a prompt by waiting.
fn is_stuck(wire: &Wire, left_config: bool) -> bool {
    let tail = wire.screen.tail();
    let config = prompt::shape_of(tail, &wire.platform.prompt) == Some(Mode::Config);
    is_question(tail) || (config && left_config)
}

/// Types `commands` in one write and learns the prompt by their echo; without any, by a return.
pub(super) fn teach(wire: &mut Wire, commands: &[String]) -> Result<Lesson, SessionError> {
    let mut doubts = 0;
    let mut doubted: Option<(Vec<u8>, usize)> = None;
    if commands.is_empty() {
        doubted = Some((wire.screen.tail().to_vec(), wire.screen.text().len()));
        wire.say(b"\r")?;
    } else {
        let typed: String = commands.iter().map(|c| format!("{c}\r")).collect();
        wire.say(typed.as_bytes())?;
    }
    loop {
        if !commands.is_empty()
            && let Some(lesson) = lesson(wire, commands)
        {
            return Ok(lesson);
        }
        let quiet = if doubted.is_some() {
            ANSWER_QUIET
        } else {
            ECHO_QUIET
        };
        match wire.wait(quiet)? {
            Heard::Data => {}
            Heard::Closed => return Err(closed(wire)),
            Heard::Quiet => {
                if refuse_question(wire)? || wire.turn_page()? {
                    continue;
                }
                let tail = wire.screen.tail().to_vec();
                if prompt::shape_of(&tail, &wire.platform.prompt).is_none() {
                    if is_question(&tail) {
                        return Err(unknown(wire));
                    }
                    continue;
                }
                let place = wire.screen.text().len();
                match &doubted {
                    // The return itself was not answered yet.
                    Some((_, before)) if *before == place => continue,
                    Some((line, _)) if *line == tail => return teach_one_by_one(wire, commands),
                    Some(_) | None => {}
                }
                doubts += 1;
                if doubts > DOUBTS_MAX {
                    return Err(unknown(wire));
                }
                doubted = Some((tail, place));
                wire.say(b"\r")?;
            }
        }
    }
}

/// The prompt is the last line, and each command stands behind it on a line of its own, in order.
fn lesson(wire: &Wire, commands: &[String]) -> Option<Lesson> {
    let tail = wire.screen.tail();
    let prompt = Prompt::learn(tail, &wire.platform.prompt)?;
    let text = wire.screen.text().get(..wire.screen.tail_start())?;
    let mut outputs: Vec<Vec<u8>> = Vec::new();
    let mut wanted = commands.iter();
    let mut next = wanted.next();
    for line in phrase::lines(text) {
        let echo = next.is_some_and(|command| {
            line.trim_ascii_end()
                .strip_suffix(command.as_bytes())
                .is_some_and(|before| before.ends_with(tail))
        });
        if echo {
            outputs.push(Vec::new());
            next = wanted.next();
        } else if let Some(output) = outputs.last_mut() {
            output.extend_from_slice(line);
            output.push(b'\n');
        }
    }
    next.is_none().then_some(Lesson {
        prompt,
        echo: Echo::Shown,
        outputs,
    })
}

/// The same line stood last before and after a return: it is the prompt. What was typed ahead is
/// lost or its echo is; each command is typed anew and waited for.
fn teach_one_by_one(wire: &mut Wire, commands: &[String]) -> Result<Lesson, SessionError> {
    let tail = wire.screen.tail().to_vec();
    let Some(prompt) = Prompt::learn(&tail, &wire.platform.prompt) else {
        return Err(unknown(wire));
    };
    let mut outputs = Vec::new();
    let mut echo = Echo::Hidden;
    for command in commands {
        wire.command(command)?;
        loop {
            match wire.wait(ANSWER_QUIET)? {
                Heard::Data => {
                    wire.turn_page()?;
                }
                Heard::Closed => return Err(closed(wire)),
                Heard::Quiet if prompt.is(wire.screen.tail()) => break,
                Heard::Quiet => {
                    refuse_question(wire)?;
                    wire.turn_page()?;
                }
            }
        }
        let text = wire.screen.text();
        if phrase::lines(text).any(|line| line.trim_ascii_end().ends_with(command.as_bytes())) {
            echo = Echo::Shown;
        }
        outputs.push(
            text.get(..wire.screen.tail_start())
                .unwrap_or_default()
                .to_vec(),
        );
    }
    Ok(Lesson {
        prompt,
        echo,
        outputs,
    })
}

/// Fails on a question for a new password and on a menu: nothing is ever typed into them. Says
/// whether more came instead.
pub(super) fn refuse_question(wire: &mut Wire) -> Result<bool, SessionError> {
    let ends = |texts: &[Vec<u8>]| phrase::ends_any(wire.screen.tail(), texts);
    let expired = ends(&wire.platform.login.expired);
    // A menu's ending may be as short as that of a prompt.
    let shaped = prompt::shape_of(wire.screen.tail(), &wire.platform.prompt).is_some();
    if !expired && (shaped || !ends(&wire.platform.login.menu)) {
        return Ok(false);
    }
    match wire.settle(QUESTION_QUIET)? {
        Heard::Quiet => {}
        Heard::Data => return Ok(true),
        Heard::Closed => return Ok(false),
    }
    let asked = wire.last_line();
    Err(if expired {
        SessionError::new(
            FailureKind::PasswordExpired,
            format!(
                "the device asks `{asked}`: change the password by hand, then in the credentials"
            ),
        )
    } else {
        SessionError::new(
            FailureKind::Unexpected,
            format!(
                "the login leads to a menu that ends in `{asked}`; give wrmem a login that leads \
                 to a prompt"
            ),
        )
    })
}

/// Whether a last line that stands still asks something.
pub(super) fn is_question(tail: &[u8]) -> bool {
    matches!(tail.trim_ascii_end().last(), Some(b'?' | b':' | b']'))
}

pub(super) fn unknown(wire: &Wire) -> SessionError {
    SessionError::new(
        FailureKind::Unexpected,
        format!(
            "no prompt of platform {}: the last line is `{}`; check the device's platform, or what \
             the login leads to",
            wire.platform.name,
            wire.last_line()
        ),
    )
}

/// What it means that the time for a prompt passed: where a line stands there, it may be a prompt
/// that the platform does not know.
fn no_prompt(wire: &Wire, error: SessionError) -> SessionError {
    let tail = wire.screen.tail();
    let blank = tail.trim_ascii().is_empty();
    let known = prompt::shape_of(tail, &wire.platform.prompt).is_some();
    if error.kind() != FailureKind::Timeout || blank || known {
        return error;
    }
    SessionError::new(
        FailureKind::Timeout,
        format!(
            "no prompt of platform {} in time: {} bytes read, the last line is `{}`; check the              device's platform, and whether `[prompt]` of the platform's file fits that line",
            wire.platform.name,
            wire.received(),
            wire.last_line()
        ),
    )
}

pub(super) fn closed(wire: &Wire) -> SessionError {
    let said = wire.last_line();
    let said = if said.is_empty() {
        "without a word: its vty lines may be full".to_owned()
    } else {
        format!("after `{said}`")
    };
    SessionError::new(
        FailureKind::Reset,
        format!("the device ended the session {said}"),
    )
}
