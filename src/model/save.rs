//! Whether, when and how a device is saved, and what came of it.

/// Whether the running-config is saved on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SavePolicy {
    /// `wr mem` in every run, as the exercise does.
    Always,
    /// Only where there may be something to save: see [`SaveNeed`]. The config is read first.
    IfChanged,
    /// The device is only read.
    Never,
}

impl SavePolicy {
    /// Its word in the settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::IfChanged => "if_changed",
            Self::Never => "never",
        }
    }
}

/// Whether a device that is always saved is saved before its config is read or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveOrder {
    /// Before, as the exercise does: what is backed up is what was saved.
    Before,
    /// After: only what was proven whole is saved.
    After,
}

impl SaveOrder {
    /// Its word in the settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// What is answered to a question that saving asks and that only the operator may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveConfirm {
    /// Nothing: the question is left, the save fails and tells it.
    Ask,
    /// Yes.
    Yes,
    /// No: the save is declined, as the operator said beforehand, and noted.
    No,
}

impl SaveConfirm {
    /// Its word in the settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Yes => "yes",
            Self::No => "no",
        }
    }
}

/// When a device is saved, seen from its other stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saving {
    /// Not at all.
    Never,
    /// Before its config is read.
    Before,
    /// After its config was proven whole.
    After,
    /// After its config was proven whole, where there is need.
    IfNeeded,
}

/// Whether a device whose policy is [`SavePolicy::IfChanged`] has to be saved. It has, unless it is
/// known that it has no unsaved changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveNeed {
    /// It says so, or nobody can tell.
    Needed,
    /// Nothing would change.
    Unneeded,
}

/// How saving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveResult {
    /// The device confirmed that it saved.
    Saved,
    /// The device asked, and the operator had said no beforehand.
    Declined,
    /// There was nothing to save.
    Unneeded,
    /// It did not.
    Failed,
}

impl SaveResult {
    /// Its word in the report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Saved => "saved",
            Self::Declined => "declined",
            Self::Unneeded => "unneeded",
            Self::Failed => "failed",
        }
    }
}

/// How saving ended, and the device's word for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaveReport {
    /// How it ended.
    pub result: SaveResult,
    /// One redacted line of what the device said about it.
    pub said: String,
}
