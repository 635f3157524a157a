//! From the first byte to a prompt at which the work may begin.

use super::learn::{self, Lesson};
use super::pager::Paging;
use super::privilege::{check_privilege, level_in};
use super::wire::Wire;
use super::{Dialogue, Echo, enable, identity};
use crate::model::device::{Device, View};
use crate::model::failure::FailureKind;
use crate::model::platform::{EnableDialogue, OnRefusal, Refusal, TypedWhen, WantedPrivilege};
use crate::model::stage::{StepName, Trail};
use crate::session::SessionError;
use crate::text::prompt::{self, Mode, Prompt};
use crate::text::{phrase, syslog};

/// What the login left behind.
pub(super) struct Entered {
    pub(super) prompt: Prompt,
    pub(super) echo: Echo,
    pub(super) alive: Option<String>,
    pub(super) guarded: Option<String>,
}

/// What a typed preparation is for.
enum Purpose {
    Prepare(OnRefusal),
    Privilege,
    Presence,
    Guard,
}

/// Goes from the first byte to the prompt at which the work may begin.
pub(super) fn enter(
    wire: &mut Wire,
    device: &Device,
    trail: &mut Trail,
) -> Result<Entered, SessionError> {
    let began = wire.now();
    let mode = learn::await_candidate(wire)?;
    trail.step(StepName::Prompt, wire.now().duration_since(began));
    note_expiry(wire, trail);
    let mut plan = plan(device, mode);
    let began = wire.now();
    let mut lesson = learn::teach(wire, &commands(&plan))?;
    trail.step(StepName::Prepare, wire.now().duration_since(began));
    let host = lesson.prompt.host();
    trail.fact("hostname", host.clone());
    identity::check("prompt", &host, device, trail)?;
    if let Some(dialogue) = needs_enable(&lesson, &plan, device) {
        let began = wire.now();
        enable::enable(wire, dialogue, &lesson, device)?;
        plan = self::plan(device, Mode::Privileged);
        lesson = learn::teach(wire, &commands(&plan))?;
        trail.step(StepName::Enable, wire.now().duration_since(began));
    }
    check_mode(&lesson.prompt, device, wire)?;
    if prompt::mark_of(wire.screen.tail(), &wire.platform.prompt) > 0 {
        let line = wire.last_line();
        trail.note(format!("the device had unsaved changes: `{line}`"));
    }
    evaluate(wire, device, &plan, lesson, trail)
}

fn commands(plan: &[(String, Purpose)]) -> Vec<String> {
    plan.iter().map(|(send, _)| send.clone()).collect()
}

/// Notes what the device says of a password that expires soon.
fn note_expiry(wire: &Wire, trail: &mut Trail) {
    let expires = &wire.platform.login.expires;
    if phrase::lines(wire.screen.text()).any(|line| phrase::holds_any(line, expires)) {
        trail.note(
            "the device warns that the login's password expires soon: change it by hand, then in \
             the credentials",
        );
    }
}

/// What is typed in one write at a prompt of `mode`, and what for.
fn plan(device: &Device, mode: Mode) -> Vec<(String, Purpose)> {
    let platform = &device.platform;
    let allowed = |when| mode == Mode::Privileged || when == TypedWhen::Always;
    let mut plan: Vec<(String, Purpose)> = platform
        .prepare
        .iter()
        .filter(|p| allowed(p.when))
        .map(|p| (p.send.clone(), Purpose::Prepare(p.refused)))
        .collect();
    if let Some(privilege) = platform.privilege.as_ref().filter(|p| allowed(p.when)) {
        plan.push((privilege.send.clone(), Purpose::Privilege));
    }
    if let Some(presence) = &platform.presence {
        plan.push((presence.send.clone(), Purpose::Presence));
    }
    let guard = platform.save.as_ref().and_then(|save| save.guard.as_ref());
    if let Some(guard) = guard.filter(|_| Dialogue::may_be_saved(device)) {
        plan.push((guard.send.clone(), Purpose::Guard));
    }
    plan
}

/// The way to privileged mode, where the login did not lead there by itself.
fn needs_enable<'a>(
    lesson: &Lesson,
    plan: &[(String, Purpose)],
    device: &'a Device,
) -> Option<&'a EnableDialogue> {
    let dialogue = device.platform.enable.as_ref()?;
    let secret = device.credentials.enable.is_some();
    if device.view == View::Full && !secret {
        return None;
    }
    if lesson.prompt.mode() == Mode::User {
        return Some(dialogue);
    }
    let check = device.platform.privilege.as_ref()?;
    let at = plan
        .iter()
        .position(|(_, p)| matches!(p, Purpose::Privilege))?;
    let WantedPrivilege::Level { answer, level } = &check.wanted else {
        return None;
    };
    let found = level_in(lesson.outputs.get(at)?, answer)?;
    (found < *level && secret).then_some(dialogue)
}

fn check_mode(prompt: &Prompt, device: &Device, wire: &Wire) -> Result<(), SessionError> {
    match prompt.mode() {
        Mode::Privileged => Ok(()),
        Mode::User if device.view == View::Full => Ok(()),
        Mode::User => Err(SessionError::new(
            FailureKind::EnableRefused,
            format!(
                "the prompt `{}` is still that of user mode; check the login's rights",
                wire.last_line()
            ),
        )),
        Mode::Config => Err(learn::unknown(wire)),
    }
}

fn evaluate(
    wire: &mut Wire,
    device: &Device,
    plan: &[(String, Purpose)],
    lesson: Lesson,
    trail: &mut Trail,
) -> Result<Entered, SessionError> {
    let mut entered = Entered {
        prompt: lesson.prompt,
        echo: lesson.echo,
        alive: None,
        guarded: None,
    };
    for ((send, purpose), output) in plan.iter().zip(&lesson.outputs) {
        let output = &without_messages(output, &device.platform.log);
        let refusal = refusal_in(output, &device.platform.refusals);
        match purpose {
            Purpose::Prepare(on_refusal) => {
                let Some((kind, line)) = refusal else {
                    continue;
                };
                let message = format!("the device refused `{send}`: `{}`", wire.quote(line));
                if *on_refusal == OnRefusal::Fail {
                    return Err(SessionError::new(kind, message));
                }
                wire.paging = Paging::On;
                trail.note(format!("paged: {message}"));
            }
            Purpose::Privilege => check_privilege(output, device, trail)?,
            Purpose::Presence => {
                let Some(presence) = &device.platform.presence else {
                    continue;
                };
                if refusal.is_some() {
                    trail.note(format!("the device refused `{send}`"));
                    continue;
                }
                let alive = String::from_utf8_lossy(output);
                let alive = alive.split_whitespace().collect::<Vec<_>>().join(" ");
                trail.fact(&presence.fact, alive.clone());
                entered.alive = Some(alive);
            }
            Purpose::Guard => {
                let save = device.platform.save.as_ref();
                let guard = save.and_then(|save| save.guard.as_ref());
                entered.guarded = guard.and_then(|guard| {
                    phrase::lines(output)
                        .find(|line| phrase::holds_any(line, &guard.forbids))
                        .map(|line| wire.quote(line))
                });
            }
        }
    }
    Ok(entered)
}

/// What a device answered, without the log messages between its lines.
fn without_messages(output: &[u8], own: &[Vec<u8>]) -> Vec<u8> {
    let lines = phrase::lines(output).filter(|line| !syslog::is_message_of(line, own));
    lines.flat_map(|line| [line, b"\n"].concat()).collect()
}

/// The first line of `output` by which the device refuses, and what it means.
pub(super) fn refusal_in<'a>(
    output: &'a [u8],
    refusals: &[Refusal],
) -> Option<(FailureKind, &'a [u8])> {
    phrase::lines(output).find_map(|line| {
        let start = line.trim_ascii_start();
        refusals
            .iter()
            .find(|refusal| start.starts_with(&refusal.text))
            .map(|refusal| (refusal.kind, line))
    })
}
