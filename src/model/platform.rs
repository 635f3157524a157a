//! How one kind of box talks: data, read from `settings/platforms/*.toml`.

use super::failure::FailureKind;

/// A platform: prompts, commands, answers and proofs of one kind of device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Platform {
    /// Its name in the settings.
    pub name: String,
    /// What a prompt looks like.
    pub prompt: PromptShape,
    /// Commands typed in one write once the first prompt is there, in order.
    pub prepare: Vec<PrepareCommand>,
    /// How privilege is asked for and what answer proves it; `None` where there are no levels.
    pub privilege: Option<PrivilegeCheck>,
    /// How to get from user mode to privileged mode.
    pub enable: Option<EnableDialogue>,
    /// How output is paged.
    pub pager: Pager,
    /// How the running-config is saved; `None` where saving means nothing.
    pub save: Option<SaveDialogue>,
    /// How the config is read and proven.
    pub config: ConfigDialogue,
    /// What the device says when it refuses a command.
    pub refusals: Vec<Refusal>,
    /// What ends the session, typed without waiting for an answer.
    pub exit: String,
    /// Lines (by prefix, after leading blanks) that may differ without being a change.
    pub volatile: Vec<Vec<u8>>,
    /// Whether pty and shell are requested without waiting in between.
    pub shell_requests: ShellRequests,
}

/// What a prompt looks like. The prompt itself is learned from the device, byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PromptShape {
    /// Endings of a prompt in user mode.
    pub user: Vec<Vec<u8>>,
    /// Endings of a prompt in privileged mode.
    pub privileged: Vec<Vec<u8>>,
    /// Texts within a prompt that mean configuration mode.
    pub config: Vec<Vec<u8>>,
}

/// A command typed before the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrepareCommand {
    /// What is typed.
    pub send: String,
    /// What a refusal means.
    pub refused: OnRefusal,
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
    /// The text in front of the level.
    pub answer: Vec<u8>,
    /// The level that shows the whole config.
    pub level: u32,
}

/// How privileged mode is entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnableDialogue {
    /// What is typed.
    pub send: String,
    /// Endings of a question for the enable secret.
    pub password_prompts: Vec<Vec<u8>>,
    /// Texts that mean the secret was refused.
    pub refused: Vec<Vec<u8>>,
}

/// How output is paged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pager {
    /// Texts that wait for a key at the end of a page.
    pub prompts: Vec<Vec<u8>>,
    /// The key.
    pub answer: Vec<u8>,
}

/// How the running-config is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaveDialogue {
    /// What is typed.
    pub send: String,
    /// Texts that prove that it was saved.
    pub ok: Vec<Vec<u8>>,
    /// Texts that mean it was not.
    pub failed: Vec<Vec<u8>>,
    /// Texts that mean another session is saving: repeated within the stage.
    pub busy: Vec<Vec<u8>>,
    /// Questions that are answered with return, because the answer is what was asked for.
    pub proceed: Vec<Vec<u8>>,
    /// Questions that are not answered: the save fails and tells.
    pub confirm: Vec<Vec<u8>>,
}

/// How the config is read and proven.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigDialogue {
    /// What is typed.
    pub send: String,
    /// Prefixes of the lines before the config; it begins after the last of them.
    pub header: Vec<Vec<u8>>,
    /// The text in front of the byte count in the header, where the platform announces one.
    pub count: Option<Vec<u8>>,
    /// The last line.
    pub end: Vec<u8>,
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
