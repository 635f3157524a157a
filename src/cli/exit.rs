//! Exit codes: promised to scripts.

use crate::app::AppError;
use crate::model::report::{RunReport, Verdict};
use std::process::ExitCode;

/// How wrmem ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Every device was backed up, and saved where asked; or the command did what it should.
    Ok,
    /// Some device failed or was not saved.
    Devices,
    /// Usage or settings are wrong, or nothing was selected.
    Usage,
    /// The archive cannot be written.
    Archive,
    /// wrmem itself is broken: a part of it is lost. A service manager starts it again.
    Broken,
    /// Interrupted by SIGINT.
    Interrupted,
    /// Interrupted by SIGTERM.
    Terminated,
}

impl Exit {
    /// The code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Devices => 1,
            Self::Usage => 2,
            Self::Archive => 3,
            // EX_SOFTWARE of sysexits.h.
            Self::Broken => 70,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The code of a run that came to its end.
    #[must_use]
    pub fn of(report: &RunReport) -> Self {
        report.verdict().into()
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Good => Self::Ok,
            Verdict::Devices => Self::Devices,
            Verdict::Archive => Self::Archive,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why wrmem stops before it has done what it should.
#[derive(Debug)]
pub(super) struct Stop {
    /// The exit code.
    pub(super) exit: Exit,
    /// What to tell; may have several lines.
    pub(super) message: String,
}

impl Stop {
    /// Stops because of wrong usage or settings.
    pub(super) fn usage(message: impl ToString) -> Self {
        Self {
            exit: Exit::Usage,
            message: message.to_string(),
        }
    }
}

impl From<AppError> for Stop {
    fn from(error: AppError) -> Self {
        let exit = match &error {
            AppError::Archive(_) => Exit::Archive,
            AppError::Lock(_)
            | AppError::KnownHosts(_)
            | AppError::MaskKey(_)
            | AppError::Ssh(_) => Exit::Usage,
            AppError::Refused(_) => Exit::Devices,
            AppError::ActorLost(_) | AppError::FleetCrashed { .. } | AppError::Watchdog(_) => {
                Exit::Broken
            }
        };
        Self {
            exit,
            message: error.to_string(),
        }
    }
}
