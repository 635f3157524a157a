//! How one kind of box talks: data, read from `settings/platforms/*.toml`.

use super::failure::FailureKind;
use super::pattern::PromptPattern;
use super::secrets::Secrets;

/// A platform: prompts, commands, answers and proofs of one kind of device.
///
/// A *phrase* is a text looked for within one line, where `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Platform {
    /// Its name in the settings.
    pub name: String,
    /// Whether commands are typed at a shell or each run on a channel of its own.
    pub channel: Channel,
    /// What a prompt looks like.
    pub prompt: PromptShape,
    /// How a login may end up elsewhere than at a prompt.
    pub login: LoginTexts,
    /// What begins a comment in a config.
    pub comment: Vec<u8>,
    /// Commands typed in one write once the first prompt is there, in order.
    pub prepare: Vec<PrepareCommand>,
    /// How privilege is asked for and what answer proves it; `None` where there are no levels.
    pub privilege: Option<PrivilegeCheck>,
    /// How to get from user mode to privileged mode.
    pub enable: Option<EnableDialogue>,
    /// How the device is asked which of its parts are alive, where a dead part shortens the config
    /// without a word.
    pub presence: Option<Presence>,
    /// How output is paged.
    pub pager: Pager,
    /// How the running-config is saved; `None` where saving means nothing.
    pub save: Option<SaveDialogue>,
    /// How the config is read and proven.
    pub config: ConfigDialogue,
    /// What the device says when it refuses a command.
    pub refusals: Vec<Refusal>,
    /// Beginnings of log messages of a form of its own, which may come between any two lines.
    pub log: Vec<Vec<u8>>,
    /// What ends the session, typed without waiting for an answer.
    pub exit: String,
    /// Beginnings of lines (after leading blanks) that may differ without being a change.
    pub volatile: Vec<Vec<u8>>,
    /// What is secret in a config, besides what is on every platform.
    pub secrets: Secrets,
    /// Lines that name who changed the config last.
    pub last_change: Vec<LastChange>,
    /// What is asked after the config, to be kept beside it, unless the settings say otherwise.
    pub also: Vec<String>,
    /// Beginnings of lines in the answers to those that change by themselves: left out.
    pub info_volatile: Vec<Vec<u8>>,
    /// Whether pty and shell are requested without waiting in between.
    pub shell_requests: ShellRequests,
}

/// What commands are given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channel {
    /// Typed at a shell, on a pty: their end is known by the prompt.
    #[default]
    Shell,
    /// Each run on a channel of its own, without a pty: their end and their exit status are the
    /// device's word. The platform then needs no prompts, no pager and no `enable`.
    Exec,
}

/// What a prompt looks like. The prompt itself is learned from the device, byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PromptShape {
    /// Patterns of a prompt in user mode.
    pub user: Vec<PromptPattern>,
    /// Patterns of a prompt in privileged mode: where everything may be shown.
    pub privileged: Vec<PromptPattern>,
    /// Patterns of a prompt in configuration mode. They are tried before the others.
    pub config: Vec<PromptPattern>,
    /// What is typed to leave configuration mode; `None` where nothing is known that does.
    pub leave_config: Option<String>,
    /// Phrases of a line that stands above the prompt and belongs to it: `{master:0}`.
    pub above: Vec<Vec<u8>>,
    /// Beginnings of a prompt by which the device tells that it has unsaved changes; without them it
    /// is the same prompt.
    pub unsaved: Vec<Vec<u8>>,
}

/// How a login may end up elsewhere than at a prompt, and what it may say on the way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoginTexts {
    /// Endings of a question for a new password: nothing is typed into it.
    pub expired: Vec<Vec<u8>>,
    /// Phrases that warn that the password expires soon: noted.
    pub expires: Vec<Vec<u8>>,
    /// Endings of the last line of a menu or of a question that nobody answers.
    pub menu: Vec<Vec<u8>>,
    /// Endings of an invitation to press return.
    pub wake: Vec<Vec<u8>>,
}

/// A command typed before the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrepareCommand {
    /// What is typed.
    pub send: String,
    /// What a refusal means.
    pub refused: OnRefusal,
    /// Where it may be typed.
    pub when: TypedWhen,
}

/// In which mode a command may be typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TypedWhen {
    /// In any.
    #[default]
    Always,
    /// In privileged mode only: after `enable` where the login does not lead there by itself.
    Privileged,
}

/// What a refused preparation means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRefusal {
    /// A note in the report.
    Note,
    /// The attempt fails.
    Fail,
}

/// How privilege is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivilegeCheck {
    /// What is typed, in the same write as the preparations.
    pub send: String,
    /// What the answer must say.
    pub wanted: WantedPrivilege,
    /// Where it may be typed.
    pub when: TypedWhen,
}

/// What shows that a login sees the whole config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WantedPrivilege {
    /// A number.
    Level {
        /// The text in front of it.
        answer: Vec<u8>,
        /// The level that shows the whole config.
        level: u32,
    },
    /// One of these words in the answer, such as a group's name.
    AnyOf(Vec<Vec<u8>>),
}

/// How privileged mode is entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnableDialogue {
    /// What is typed.
    pub send: String,
    /// Endings of a question for a user name, which comes before the secret where AAA decides.
    pub username_prompts: Vec<Vec<u8>>,
    /// Endings of a question for the enable secret.
    pub password_prompts: Vec<Vec<u8>>,
    /// Phrases that mean the secret was refused.
    pub refused: Vec<Vec<u8>>,
}

/// How a device tells which of its parts are alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// What is typed, in the same write as the preparations. The answer is a list of words.
    pub send: String,
    /// The name under which the answer becomes a fact of the trail.
    pub fact: String,
    /// The parts and how a config shows that it needs them.
    pub parts: Vec<Part>,
}

/// A part of a device without which its config lacks lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its word in the device's answer.
    pub name: String,
    /// Beginnings of config lines, in whole words, that only this part writes.
    pub marks: Vec<Vec<u8>>,
}

/// How output is paged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pager {
    /// Phrases that, alone on the last line, wait for a key at the end of a page.
    pub prompts: Vec<Vec<u8>>,
    /// The key.
    pub answer: Vec<u8>,
}

/// How the running-config is saved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SaveDialogue {
    /// What is typed.
    pub send: String,
    /// The mode in which it is typed, where that is not the privileged one.
    pub mode: Option<SaveMode>,
    /// Phrases that prove that it was saved.
    pub ok: Vec<Vec<u8>>,
    /// Phrases that mean it was not.
    pub failed: Vec<Vec<u8>>,
    /// Phrases that mean that the config on show lacks a part: nothing may be stored.
    pub partial: Vec<Vec<u8>>,
    /// Phrases that mean another session is saving: repeated within the stage.
    pub busy: Vec<Vec<u8>>,
    /// Endings of questions that are answered with return: the answer is what was asked for.
    pub proceed: Vec<Vec<u8>>,
    /// Questions that are answered as the device's settings say.
    pub confirm: Vec<Confirm>,
    /// Asked before the work where the device is to be saved.
    pub guard: Option<SaveGuard>,
}

/// A mode that is entered for saving and left again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaveMode {
    /// What is typed to enter it.
    pub enter: String,
    /// What is typed to leave it.
    pub leave: String,
}

/// A question of a save that only the operator may answer, once and for all in the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirm {
    /// How the question ends.
    pub text: Vec<u8>,
    /// What is typed to go on.
    pub yes: Vec<u8>,
    /// What is typed to leave it without changing anything.
    pub no: Vec<u8>,
}

/// A question whose answer may forbid saving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaveGuard {
    /// What is typed, in the same write as the preparations.
    pub send: String,
    /// Phrases in the answer that forbid saving.
    pub forbids: Vec<Vec<u8>>,
}

/// How the config is read and proven.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigDialogue {
    /// What is typed: the first of these that the device does not reject; at least one.
    pub send: Vec<String>,
    /// What is typed before those where the device is set to `view_full`.
    pub view_full: Vec<String>,
    /// Beginnings of lines in front of the config that are not part of it.
    pub header: Vec<Vec<u8>>,
    /// The beginning of the last line before the config; `None` where it begins right after the
    /// echo and the header lines.
    pub begin: Option<Vec<u8>>,
    /// The text in front of the byte count in that line, where the platform announces one.
    pub count: Option<Vec<u8>>,
    /// What shows that it is whole, besides the prompt after it.
    pub proof: ProofRule,
    /// The beginning of the line that names the device, where the config has one.
    pub hostname: Option<Vec<u8>>,
    /// Beginnings of lines each of which a whole config has at least once.
    pub holds: Vec<Vec<u8>>,
    /// What the device says within a config that is not whole.
    pub faults: Vec<Refusal>,
    /// Beginnings of lines that look like such a fault and are none.
    pub harmless: Vec<Vec<u8>>,
    /// How its first lines tell of unsaved changes.
    pub unsaved: Option<UnsavedStamps>,
    /// Blocks in which the end line, the prompt and log messages mean nothing.
    pub opaque: Vec<Opaque>,
}

/// What shows that a config is whole, besides the prompt after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProofRule {
    /// Its last line.
    Marker(Vec<u8>),
    /// At least one block, and every block that was opened is closed; then the sentinel, if any.
    Braces(Option<Sentinel>),
    /// Nothing within it: the prompt stays and a known command is answered there.
    Weak(Sentinel),
    /// Nothing within it: the command's end and exit status, where each has a channel of its own.
    Exit,
}

impl Default for ProofRule {
    fn default() -> Self {
        Self::Marker(Vec::new())
    }
}

/// A harmless command after the config, whose known answer shows that the prompt was one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentinel {
    /// What is typed.
    pub send: String,
    /// A phrase that a line of the answer holds.
    pub answer: Vec<u8>,
}

/// How the first lines of a config tell of unsaved changes: by two time stamps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsavedStamps {
    /// The text in front of the time of the last change.
    pub changed: Vec<u8>,
    /// The text in front of the time of the last save.
    pub saved: Vec<u8>,
}

/// How a config names who changed it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastChange {
    /// The beginning of the line.
    pub line: Vec<u8>,
    /// The text in it after which the user's name stands, up to the next blank.
    pub by: Vec<u8>,
}

/// A block of lines that mean nothing by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opaque {
    /// The beginning of the line that opens it.
    pub begin: Vec<u8>,
    /// How it ends.
    pub end: OpaqueEnd,
}

/// How an opaque block ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpaqueEnd {
    /// With the delimiter that follows the next word of the line that opens it: `banner motd ^C`.
    Delimiter,
    /// With this line, blanks around it aside.
    Line(Vec<u8>),
}

/// What the device says when it refuses a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The beginning of the line.
    pub text: Vec<u8>,
    /// What it means.
    pub kind: FailureKind,
}

/// How pty and shell are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShellRequests {
    /// Both at once, as OpenSSH's own client does.
    #[default]
    Overlapped,
    /// The shell after the pty was granted, for a fussy stack.
    OneByOne,
}
