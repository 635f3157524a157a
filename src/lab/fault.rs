//! What can be wrong with a simulated device, and which devices have it.

use std::fmt;
use std::str::FromStr;

/// What a fault means for a backup of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultClass {
    /// No config can be had: the device must fail and nothing may be stored.
    Fatal,
    /// The config can be had, but the device does not save it.
    SaveRefused,
    /// A nuisance: the backup must succeed with the exact config.
    Bearable,
}

/// One kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// TCP connections are refused, as when all vty lines are in use.
    Refused,
    /// TCP is accepted, then nothing is ever said.
    Silent,
    /// TCP is accepted and closed at once.
    CloseBeforeBanner,
    /// Bytes that are no SSH identification, then the end.
    Garbage,
    /// The SSH identification comes, the key exchange does not.
    HangInKex,
    /// Every password is refused.
    WrongPassword,
    /// `show running-config` answers `% Authorization failed.`
    AuthzRefused,
    /// The connection is cut in the middle of `show running-config`.
    CloseMidOutput,
    /// The output of `show running-config` stops in the middle and the vty is dead.
    HangMidOutput,
    /// The login has privilege level 5: the prompt ends in `#`, the config shown is short and ends
    /// well.
    Privilege5,
    /// `write memory` fails because another process has the startup-config open.
    SaveRefused,
    /// `write memory` fails because NVRAM is full.
    NvramFull,
    /// `write memory` asks whether to overwrite the config of another image.
    SaveConfirm,
    /// `terminal length 0` is accepted and changes nothing.
    PagerStuck,
    /// `terminal length 0` is refused.
    PagerRefused,
    /// Syslog lines within outputs, before the prompt, and one after it that hides it.
    Syslog,
    /// `show running-config` comes in many small pieces, about 1.5 s in all.
    Drip,
    /// Banners with `#`, `>`, `Password:`, ` --More-- ` and a line that looks like the prompt,
    /// followed by a pause.
    BannerTrap,
    /// The login ends in user mode; the enable secret leads on.
    UserMode,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 19] = [
        Self::Refused,
        Self::Silent,
        Self::CloseBeforeBanner,
        Self::Garbage,
        Self::HangInKex,
        Self::WrongPassword,
        Self::AuthzRefused,
        Self::CloseMidOutput,
        Self::HangMidOutput,
        Self::Privilege5,
        Self::SaveRefused,
        Self::NvramFull,
        Self::SaveConfirm,
        Self::PagerStuck,
        Self::PagerRefused,
        Self::Syslog,
        Self::Drip,
        Self::BannerTrap,
        Self::UserMode,
    ];

    /// Its word on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Silent => "silent",
            Self::CloseBeforeBanner => "close-before-banner",
            Self::Garbage => "garbage",
            Self::HangInKex => "hang-in-kex",
            Self::WrongPassword => "wrong-password",
            Self::AuthzRefused => "authz-refused",
            Self::CloseMidOutput => "close-mid-output",
            Self::HangMidOutput => "hang-mid-output",
            Self::Privilege5 => "privilege-5",
            Self::SaveRefused => "save-refused",
            Self::NvramFull => "nvram-full",
            Self::SaveConfirm => "save-confirm",
            Self::PagerStuck => "pager-stuck",
            Self::PagerRefused => "pager-refused",
            Self::Syslog => "syslog",
            Self::Drip => "drip",
            Self::BannerTrap => "banner-trap",
            Self::UserMode => "user-mode",
        }
    }

    /// What it means for a backup. [`Fault::UserMode`] is bearable where the client has the
    /// enable secret.
    #[must_use]
    pub const fn class(self) -> FaultClass {
        match self {
            Self::Refused
            | Self::Silent
            | Self::CloseBeforeBanner
            | Self::Garbage
            | Self::HangInKex
            | Self::WrongPassword
            | Self::AuthzRefused
            | Self::CloseMidOutput
            | Self::HangMidOutput
            | Self::Privilege5 => FaultClass::Fatal,
            Self::SaveRefused | Self::NvramFull | Self::SaveConfirm => FaultClass::SaveRefused,
            Self::PagerStuck
            | Self::PagerRefused
            | Self::Syslog
            | Self::Drip
            | Self::BannerTrap
            | Self::UserMode => FaultClass::Bearable,
        }
    }

    /// All faults of one class.
    #[must_use]
    pub fn of_class(class: FaultClass) -> Vec<Self> {
        Self::ALL
            .into_iter()
            .filter(|fault| fault.class() == class)
            .collect()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which devices a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Select {
    /// Every `n`-th device by its number: numbers `n`, `2n`, ... (`1` is all of them).
    Every(usize),
    /// The device of this name.
    Name(String),
}

/// Gives faults to devices. Where several rules match a device, the first one counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRule {
    /// Which devices.
    pub select: Select,
    /// The faults, dealt out in turn to the devices selected; never empty.
    pub faults: Vec<Fault>,
}

impl FaultRule {
    /// The fault of the device with this number (from 1) and name, if the rule is about it.
    #[must_use]
    pub fn fault_of(&self, number: usize, name: &str) -> Option<Fault> {
        let turn = match &self.select {
            Select::Every(step) if *step > 0 && number > 0 && number.is_multiple_of(*step) => {
                number / step - 1
            }
            Select::Name(wanted) if wanted == name => 0,
            Select::Every(_) | Select::Name(_) => return None,
        };
        let turn = turn.checked_rem(self.faults.len())?;
        self.faults.get(turn).copied()
    }
}

/// Why a text is no fault rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultRuleError {
    /// No fault of that name.
    #[error(
        "no fault is called {name:?}; choose from {known}, or the sets `any`, `fatal`, \
         `save` and `bearable`"
    )]
    Unknown {
        /// The name given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// What follows the colon is no step.
    #[error("{0:?} is no number of devices; write `silent:10` for every tenth device")]
    Step(String),
    /// Nothing follows the `@`.
    #[error("the device is missing; write `silent@csr3` for the device csr3")]
    NoName,
}

impl FromStr for FaultRule {
    type Err = FaultRuleError;

    /// `silent` (all devices), `silent:10` (every tenth), `silent@csr3` (that one). In place of one
    /// fault: `any`, `fatal`, `save` or `bearable` deals out all, or all of that class, in turn;
    /// `silent,drip:10` deals out those two.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (faults, select) = if let Some((faults, name)) = text.split_once('@') {
            if name.is_empty() {
                return Err(FaultRuleError::NoName);
            }
            (faults, Select::Name(name.to_owned()))
        } else if let Some((faults, step)) = text.split_once(':') {
            match step.parse() {
                Ok(step) if step > 0 => (faults, Select::Every(step)),
                _ => return Err(FaultRuleError::Step(step.to_owned())),
            }
        } else {
            (text, Select::Every(1))
        };
        let mut dealt = Vec::new();
        for word in faults.split(',') {
            dealt.extend(faults_named(word)?);
        }
        Ok(Self {
            select,
            faults: dealt,
        })
    }
}

fn faults_named(word: &str) -> Result<Vec<Fault>, FaultRuleError> {
    match word {
        "any" => return Ok(Fault::ALL.to_vec()),
        "fatal" => return Ok(Fault::of_class(FaultClass::Fatal)),
        "save" => return Ok(Fault::of_class(FaultClass::SaveRefused)),
        "bearable" => return Ok(Fault::of_class(FaultClass::Bearable)),
        _ => {}
    }
    match Fault::ALL.into_iter().find(|fault| fault.name() == word) {
        Some(fault) => Ok(vec![fault]),
        None => Err(FaultRuleError::Unknown {
            name: word.to_owned(),
            known: Fault::ALL.map(Fault::name).join(", "),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> FaultRule {
        text.parse().expect(text)
    }

    #[test]
    fn every_fault_is_known_by_its_name() {
        for fault in Fault::ALL {
            assert_eq!(rule(fault.name()).faults, vec![fault]);
        }
    }

    #[test]
    fn a_rule_selects_by_step_or_name() {
        let tenth = rule("silent:10");
        assert_eq!(tenth.fault_of(10, "csr10"), Some(Fault::Silent));
        assert_eq!(tenth.fault_of(11, "csr11"), None);
        let named = rule("drip@csr3");
        assert_eq!(named.fault_of(3, "csr3"), Some(Fault::Drip));
        assert_eq!(named.fault_of(4, "csr4"), None);
    }

    #[test]
    fn several_faults_are_dealt_out_in_turn() {
        let both = rule("silent,drip:2");
        let dealt: Vec<_> = (1..=6).filter_map(|n| both.fault_of(n, "x")).collect();
        assert_eq!(dealt, vec![Fault::Silent, Fault::Drip, Fault::Silent]);
        assert_eq!(rule("any:10").faults.len(), Fault::ALL.len());
    }

    #[test]
    fn wrong_rules_are_refused_with_what_would_be_right() {
        let message = |text: &str| text.parse::<FaultRule>().unwrap_err().to_string();
        assert!(
            message("slient").contains("silent"),
            "{}",
            message("slient")
        );
        assert!(message("silent:0").contains("silent:10"));
        assert!(message("silent@").contains("silent@csr3"));
    }
}
