//! What there is only where commands are typed at a prompt.

use super::reader::Section;
use crate::model::platform::{
    EnableDialogue, LoginTexts, OnRefusal, Pager, Part, Platform, PrepareCommand, Presence,
    PrivilegeCheck, PromptShape, ShellRequests, TypedWhen, WantedPrivilege,
};

const SHELL_REQUESTS: [(&str, ShellRequests); 2] = [
    ("overlapped", ShellRequests::Overlapped),
    ("one_by_one", ShellRequests::OneByOne),
];

const ON_REFUSAL: [(&str, OnRefusal); 2] = [("note", OnRefusal::Note), ("fail", OnRefusal::Fail)];

const TYPED_WHEN: [(&str, TypedWhen); 2] = [
    ("always", TypedWhen::Always),
    ("privileged", TypedWhen::Privileged),
];

/// Reads it; with another channel these keys are unknown.
pub(super) fn read_shell(top: &mut Section<'_>, platform: &mut Platform) {
    platform.exit = top.text("exit");
    platform.shell_requests = top
        .word("shell_requests", &SHELL_REQUESTS)
        .unwrap_or_default();
    platform.log = top.phrases("log");
    platform.prompt = top.section("prompt", read_prompt).unwrap_or_default();
    platform.login = top.optional("login", read_login).unwrap_or_default();
    platform.prepare = top.sections("prepare", |s| PrepareCommand {
        send: s.text("send"),
        refused: s.word("refused", &ON_REFUSAL).unwrap_or(OnRefusal::Note),
        when: s.word("when", &TYPED_WHEN).unwrap_or_default(),
    });
    platform.privilege = top.optional("privilege", |s| PrivilegeCheck {
        send: s.text("send"),
        wanted: read_wanted(s),
        when: s.word("when", &TYPED_WHEN).unwrap_or_default(),
    });
    platform.enable = top.optional("enable", |s| EnableDialogue {
        send: s.text("send"),
        username_prompts: s.phrases("username_prompts"),
        password_prompts: s.phrases("password_prompts"),
        refused: s.phrases("refused"),
    });
    platform.presence = top.optional("presence", read_presence);
    platform.pager = top
        .optional("pager", |s| Pager {
            prompts: s.phrases("prompts"),
            answer: s.phrase("answer"),
        })
        .unwrap_or_default();
}

/// Either a number behind a text, or one of several words.
fn read_wanted(s: &mut Section<'_>) -> WantedPrivilege {
    let any = s.phrases("any");
    if !any.is_empty() {
        return WantedPrivilege::AnyOf(any);
    }
    WantedPrivilege::Level {
        answer: s.phrase("answer"),
        level: s.number("level"),
    }
}

fn read_prompt(s: &mut Section<'_>) -> PromptShape {
    let privileged = s.patterns("privileged");
    if privileged.is_empty() {
        s.fault("privileged", "needs at least one pattern");
    }
    PromptShape {
        user: s.patterns("user"),
        privileged,
        config: s.patterns("config"),
        leave_config: s.maybe_text("leave_config"),
        above: s.phrases("above"),
        unsaved: s.phrases("unsaved"),
    }
}

fn read_login(s: &mut Section<'_>) -> LoginTexts {
    LoginTexts {
        expired: s.phrases("expired"),
        expires: s.phrases("expires"),
        menu: s.phrases("menu"),
        wake: s.phrases("wake"),
    }
}

fn read_presence(s: &mut Section<'_>) -> Presence {
    Presence {
        send: s.text("send"),
        fact: s.text("fact"),
        parts: s.sections("parts", |s| Part {
            name: s.text("name"),
            marks: s.some_phrases("marks"),
        }),
    }
}
