//! Platform files that can be read and yet cannot mean what they say: texts that never match, that
//! match each other, or that hide what they should show.

use super::reader::Section;
use crate::model::pattern::PromptPattern;
use crate::model::platform::{ConfigDialogue, Platform, PromptShape, ProofRule, SaveDialogue};
use crate::text::phrase;

/// Records every such fault with its line and key.
pub(super) fn lint(top: &Section<'_>, platform: &Platform) {
    prompts(top, &platform.prompt);
    never_reached(top, platform);
    volatile(top, platform);
    if let Some(save) = &platform.save {
        saving(top, save);
    }
    config(top, platform, &platform.config);
    lists(top, platform);
}

/// The sample that a pattern stands for: each wildcard as one word.
fn sample(pattern: &PromptPattern) -> Vec<u8> {
    let mut sample = Vec::new();
    for (index, text) in pattern.texts().iter().enumerate() {
        if index > 0 {
            sample.extend_from_slice(b"x");
        }
        sample.extend_from_slice(text);
    }
    sample
}

/// A pattern is never looked at where one that is tried before it ends the same way and asks for
/// less: configuration mode is tried first, then privileged, then user.
fn prompts(top: &Section<'_>, shape: &PromptShape) {
    let lists = [
        ("prompt.config", &shape.config),
        ("prompt.privileged", &shape.privileged),
        ("prompt.user", &shape.user),
    ];
    let mut before: Vec<(&str, &PromptPattern)> = Vec::new();
    for (key, patterns) in lists {
        for (index, pattern) in patterns.iter().enumerate() {
            let shown = sample(pattern);
            let hider = before.iter().find(|(_, earlier)| covers(earlier, &shown));
            if let Some((other, _)) = hider {
                let message = format!(
                    "is never looked at: a pattern of {other}, which is tried before it, fits the \
                     same prompts"
                );
                top.fault_at(&format!("{key}[{index}]"), &message);
            }
            before.push((key, pattern));
        }
    }
}

/// Whether `pattern` fits whatever `sample` stands for.
fn covers(pattern: &PromptPattern, sample: &[u8]) -> bool {
    let (Some(first), Some(last)) = (pattern.texts().first(), pattern.texts().last()) else {
        return false;
    };
    let Some(rest) = sample
        .strip_prefix(first.as_slice())
        .and_then(|rest| rest.strip_suffix(last.as_slice()))
    else {
        return false;
    };
    let inner = pattern.texts().get(1..pattern.texts().len() - 1);
    let mut rest = rest;
    for text in inner.unwrap_or_default() {
        let Some(at) = phrase::find(rest.get(1..).unwrap_or_default(), text) else {
            return false;
        };
        rest = rest.get(at + 1 + text.len()..).unwrap_or_default();
    }
    !rest.is_empty()
}

/// A refusal is never reached behind one that every such line begins with, too.
fn never_reached(top: &Section<'_>, platform: &Platform) {
    let refusals = &platform.refusals;
    for (index, refusal) in refusals.iter().enumerate() {
        let earlier = refusals
            .iter()
            .take(index)
            .find(|earlier| refusal.text.starts_with(&earlier.text));
        if let Some(earlier) = earlier {
            let message = format!(
                "is never reached: `{}` stands before it and is the beginning of the same lines; \
                 put the longer one first",
                String::from_utf8_lossy(&earlier.text)
            );
            top.fault_at(&format!("refusals[{index}].text"), &message);
        }
    }
}

/// What is volatile is no change: too wide a text hides changes.
fn volatile(top: &Section<'_>, platform: &Platform) {
    for (index, text) in platform.volatile.iter().enumerate() {
        let bare = text.trim_ascii();
        let too_wide = bare == platform.comment.trim_ascii()
            || bare.iter().all(|b| matches!(b, b'*' | b' '))
            || (bare.len() < 3 && bare.iter().all(u8::is_ascii_alphanumeric));
        if too_wide {
            let message = "fits so many lines that real changes would be taken for none";
            top.fault_at(&format!("volatile[{index}]"), message);
        }
        let end = match &platform.config.proof {
            ProofRule::Marker(end) => Some(end),
            ProofRule::Braces(_) | ProofRule::Weak(_) | ProofRule::Exit => None,
        };
        if end.is_some_and(|end| phrase::begins(end, text)) {
            let message = "fits the line that ends a config; leave that line in";
            top.fault_at(&format!("volatile[{index}]"), message);
        }
    }
}

/// A bad word counts more than a good one, and a question that is answered is asked no more.
fn saving(top: &Section<'_>, save: &SaveDialogue) {
    for (key, bad) in [
        ("save.failed", &save.failed),
        ("save.busy", &save.busy),
        ("save.partial", &save.partial),
    ] {
        for (index, text) in bad.iter().enumerate() {
            if let Some(good) = save.ok.iter().find(|good| phrase::holds(good, text)) {
                let message = format!(
                    "stands within `{}` of save.ok, so that a save would always count as failed",
                    String::from_utf8_lossy(good)
                );
                top.fault_at(&format!("{key}[{index}]"), &message);
            }
        }
    }
    for (index, confirm) in save.confirm.iter().enumerate() {
        if phrase::ends_any(&confirm.text, &save.proceed) {
            let message = "is answered with return, because save.proceed has it too";
            top.fault_at(&format!("save.confirm[{index}].text"), message);
        }
    }
}

fn config(top: &Section<'_>, platform: &Platform, config: &ConfigDialogue) {
    if let Some(begin) = &config.begin
        && phrase::begins_any(begin, &config.header)
    {
        let message = "is skipped, because config.header has a beginning of it: no config begins";
        top.fault_at("config.begin", message);
    }
    if let ProofRule::Marker(end) = &config.proof
        && end.contains(&b'*')
    {
        let message = "is compared as a whole: a `*` stands for itself here";
        top.fault_at("config.end", message);
    }
    for (index, wanted) in config.holds.iter().enumerate() {
        if phrase::begins_any(wanted, &config.header) {
            let message = "is skipped, because config.header has a beginning of it";
            top.fault_at(&format!("config.holds[{index}]"), message);
        }
    }
    for (index, harmless) in config.harmless.iter().enumerate() {
        let looks_bad = config
            .faults
            .iter()
            .any(|f| phrase::holds(harmless, &f.text));
        if !looks_bad {
            let message = "looks like none of config.faults, so it excepts nothing";
            top.fault_at(&format!("config.harmless[{index}]"), message);
        }
    }
    if let ProofRule::Weak(sentinel) = &config.proof
        && platform.also.contains(&sentinel.send)
    {
        let message = "is the sentinel's command already";
        top.fault_at("also", message);
    }
}

/// A phrase is looked for within one line: one with a line end, or of blanks and stars, is never found.
fn lists(top: &Section<'_>, platform: &Platform) {
    let mut lists: Vec<(&str, &[Vec<u8>])> = vec![
        ("login.expired", &platform.login.expired),
        ("login.expires", &platform.login.expires),
        ("login.menu", &platform.login.menu),
        ("login.wake", &platform.login.wake),
        ("pager.prompts", &platform.pager.prompts),
        ("prompt.above", &platform.prompt.above),
        ("config.header", &platform.config.header),
        ("config.holds", &platform.config.holds),
        ("info_volatile", &platform.info_volatile),
        ("log", &platform.log),
    ];
    if let Some(enable) = &platform.enable {
        lists.push(("enable.password_prompts", &enable.password_prompts));
        lists.push(("enable.refused", &enable.refused));
    }
    if let Some(save) = &platform.save {
        lists.push(("save.ok", &save.ok));
        lists.push(("save.failed", &save.failed));
        lists.push(("save.busy", &save.busy));
        lists.push(("save.partial", &save.partial));
        lists.push(("save.proceed", &save.proceed));
    }
    for (key, texts) in lists {
        for (index, text) in texts.iter().enumerate() {
            let empty = text.iter().all(|b| matches!(b, b'*' | b' ' | b'\t'));
            if empty || text.contains(&b'\n') || text.contains(&b'\r') {
                let message = "is never found: give a text within one line";
                top.fault_at(&format!("{key}[{index}]"), message);
            }
        }
    }
}
