//! One box, with every value resolved over group and defaults.

use super::credentials::Credentials;
pub use super::egress::Egress;
use super::jump::JumpHost;
use super::limit::LimitSet;
use super::platform::Platform;
pub use super::save::{SaveConfirm, SaveOrder, SavePolicy, Saving};
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A device's name: unique in the inventory ignoring case, and safe as a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceName(Arc<str>);

/// Why a text is no device or group name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("a name must not be empty")]
    Empty,
    /// Longer than a file name may be.
    #[error("a name has at most {max} bytes, this one has {len}")]
    TooLong {
        /// The bytes it has.
        len: usize,
        /// The bytes it may have.
        max: usize,
    },
    /// A character that is unsafe in a file name.
    #[error(
        "a name becomes a file name: letters, digits, `.`, `_`, `-`, `:`, `@`, `+` and `=` only, not {0:?}"
    )]
    Unsafe(char),
    /// Starts with a dot or a dash.
    #[error("a name must not begin with `.` or `-`")]
    Start,
}

/// The longest name in bytes; leaves room for `.cfg` and a temporary suffix in a 255-byte file name.
pub const NAME_MAX: usize = 200;

fn check_name(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > NAME_MAX {
        return Err(NameError::TooLong {
            len: text.len(),
            max: NAME_MAX,
        });
    }
    if text.starts_with(['.', '-']) {
        return Err(NameError::Start);
    }
    match text
        .chars()
        .find(|c| !(c.is_alphanumeric() || "._-:@+=".contains(*c)))
    {
        Some(unsafe_char) => Err(NameError::Unsafe(unsafe_char)),
        None => Ok(()),
    }
}

impl DeviceName {
    /// Checks that `text` is safe as a file name.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, NameError> {
        check_name(text)?;
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for DeviceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A group's name: safe as a folder name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName(Arc<str>);

impl GroupName {
    /// Checks that `text` is safe as a folder name.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, NameError> {
        check_name(text)?;
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a config that only a view shows counts as the device's config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Privilege 15 is required.
    Privileged,
    /// The device shows its whole config to this login at a lower level (`view_full = true`).
    Full,
}

/// What an unexpected host name in the prompt or in the config means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// A note in the report.
    Noted,
    /// A failure before anything is saved (`strict_identity = true`).
    Strict,
}

/// Which SSH algorithms are offered to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlgorithmPolicy {
    /// Nothing that rests on SHA-1, CBC or DSA.
    Modern,
    /// `Modern`, then group14-sha1, gex-sha1, ssh-rsa and hmac-sha1 last; their use is noted.
    Compatible,
    /// `Compatible`, then group1-sha1, CBC, 3DES and DSA.
    Legacy,
}

impl AlgorithmPolicy {
    /// Its word in the settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Modern => "modern",
            Self::Compatible => "compatible",
            Self::Legacy => "legacy",
        }
    }
}

/// What is done about a device's host key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostKeyPolicy {
    /// Only a known key is accepted.
    Strict,
    /// The first key of a device is accepted and remembered; afterwards only that one.
    AcceptNew,
    /// Any key is accepted, except a revoked one.
    Off,
}

impl HostKeyPolicy {
    /// Its word in the settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::AcceptNew => "accept-new",
            Self::Off => "off",
        }
    }
}

/// How long each part of an attempt may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// Name lookup and TCP connection, over all addresses.
    pub tcp: Duration,
    /// SSH identification and key exchange.
    pub kex: Duration,
    /// Login.
    pub login: Duration,
    /// Shell, prompt, enable and preparation.
    pub prompt: Duration,
    /// The save stage.
    pub save: Duration,
    /// The backup stage.
    pub backup: Duration,
    /// The longest silence within save and backup.
    pub silence: Duration,
    /// The write stage.
    pub write: Duration,
    /// The whole attempt.
    pub attempt: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            tcp: Duration::from_secs(10),
            kex: Duration::from_secs(30),
            login: Duration::from_secs(60),
            prompt: Duration::from_secs(30),
            save: Duration::from_secs(300),
            backup: Duration::from_secs(600),
            silence: Duration::from_secs(90),
            write: Duration::from_secs(30),
            attempt: Duration::from_secs(1200),
        }
    }
}

/// One box to back up, with every value resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name in the inventory; its config is `<name>.cfg`.
    pub name: DeviceName,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The group it belongs to.
    pub group: Option<GroupName>,
    /// How this kind of box talks.
    pub platform: Arc<Platform>,
    /// What lets us in.
    pub credentials: Arc<Credentials>,
    /// Further credentials, in the order in which they are tried where the ones before are refused.
    pub fallbacks: Vec<Arc<Credentials>>,
    /// Whether it is saved.
    pub save: SavePolicy,
    /// Whether it is saved before its config is read or after.
    pub save_order: SaveOrder,
    /// What is answered to a question that saving asks.
    pub save_confirm: SaveConfirm,
    /// Whether a lower privilege level is accepted.
    pub view: View,
    /// What a foreign host name in the prompt or in the config means.
    pub identity: Identity,
    /// Which algorithms it is offered.
    pub algorithms: AlgorithmPolicy,
    /// From where it is called.
    pub egress: Egress,
    /// The host through which it is reached, where it is not called directly.
    pub jump: Option<Arc<JumpHost>>,
    /// How long each part may take.
    pub deadlines: Deadlines,
    /// How many attempts a run makes at most; at least 1.
    pub attempts: u32,
    /// The limit sets it is in.
    pub limits: Vec<Arc<LimitSet>>,
    /// What is asked after the config, to be kept beside it.
    pub also: Vec<String>,
}

impl Device {
    /// A device with every value at its default.
    #[must_use]
    pub fn new(
        name: DeviceName,
        host: &str,
        platform: Arc<Platform>,
        credentials: Arc<Credentials>,
    ) -> Self {
        Self {
            name,
            host: host.to_owned(),
            port: 22,
            group: None,
            also: platform.also.clone(),
            platform,
            credentials,
            fallbacks: Vec::new(),
            save: SavePolicy::Always,
            save_order: SaveOrder::Before,
            save_confirm: SaveConfirm::Ask,
            view: View::Privileged,
            identity: Identity::Noted,
            algorithms: AlgorithmPolicy::Compatible,
            egress: Egress::default(),
            jump: None,
            deadlines: Deadlines::default(),
            attempts: 3,
            limits: Vec::new(),
        }
    }

    /// Everything that may let us in, in the order in which it is tried.
    pub fn all_credentials(&self) -> impl Iterator<Item = &Arc<Credentials>> {
        std::iter::once(&self.credentials).chain(&self.fallbacks)
    }

    /// The same device with only those of its credentials that `keep` says; `None` where none is left.
    #[must_use]
    pub fn with_credentials(&self, keep: impl Fn(&Credentials) -> bool) -> Option<Self> {
        let mut kept = self.all_credentials().filter(|it| keep(it)).cloned();
        let credentials = kept.next()?;
        let fallbacks = kept.collect();
        Some(Self {
            credentials,
            fallbacks,
            ..self.clone()
        })
    }

    /// When it is saved, by its policy and by what its platform knows of saving. Where a foreign
    /// name fails the device before anything is saved, and the config tells the name, the config is
    /// read first.
    #[must_use]
    pub fn saving(&self) -> Saving {
        if self.platform.save.is_none() {
            return Saving::Never;
        }
        match (self.save, self.save_order) {
            (SavePolicy::Never, _) => Saving::Never,
            (SavePolicy::IfChanged, _) => Saving::IfNeeded,
            (SavePolicy::Always, SaveOrder::Before) if !self.is_named_first() => Saving::Before,
            (SavePolicy::Always, _) => Saving::After,
        }
    }

    fn is_named_first(&self) -> bool {
        self.identity == Identity::Strict && self.platform.config.hostname.is_some()
    }
}

/// A device whose own entry in the settings is faulty: it fails, the others go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenDevice {
    /// Its name in the inventory.
    pub name: DeviceName,
    /// Its host as far as known; else its name.
    pub host: String,
    /// Its platform's name as far as known; else empty.
    pub platform: String,
    /// The fault with file and key.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::platform::SaveDialogue;

    #[test]
    fn names_are_safe_as_file_names() {
        for good in [
            "csr1",
            "r1.example.net",
            "SW-01_a",
            "fe80::1",
            "a+b=c@d",
            "zürich",
        ] {
            assert!(DeviceName::new(good).is_ok(), "{good}");
        }
        for bad in [
            "", ".", "..", ".x", "-x", "a/b", "a\\b", "a b", "a\0b", "a\nb", "a*",
        ] {
            assert!(DeviceName::new(bad).is_err(), "{bad:?}");
        }
        assert!(DeviceName::new(&"x".repeat(NAME_MAX)).is_ok());
        assert!(DeviceName::new(&"x".repeat(NAME_MAX + 1)).is_err());
    }

    #[test]
    fn a_device_is_saved_by_its_policy_where_its_platform_can() {
        let platform = |save| {
            Arc::new(Platform {
                save,
                ..Platform::default()
            })
        };
        let credentials = Arc::new(Credentials::new("lab", "ntc"));
        let saving = |platform, save, save_order| {
            let name = DeviceName::new("csr1").unwrap();
            let device = Device::new(name, "csr1", platform, Arc::clone(&credentials));
            Device {
                save,
                save_order,
                ..device
            }
            .saving()
        };
        for (save, order, wanted) in [
            (SavePolicy::Always, SaveOrder::Before, Saving::Before),
            (SavePolicy::Always, SaveOrder::After, Saving::After),
            (SavePolicy::IfChanged, SaveOrder::Before, Saving::IfNeeded),
            (SavePolicy::Never, SaveOrder::After, Saving::Never),
        ] {
            let can = platform(Some(SaveDialogue::default()));
            assert_eq!(saving(can, save, order), wanted);
            assert_eq!(saving(platform(None), save, order), Saving::Never);
        }
    }

    #[test]
    fn a_device_whose_name_must_be_right_tells_it_before_it_is_saved() {
        for (hostname, identity, wanted) in [
            (Some("hostname "), Identity::Strict, Saving::After),
            (Some("hostname "), Identity::Noted, Saving::Before),
            (None, Identity::Strict, Saving::Before),
        ] {
            let mut platform = Platform {
                save: Some(SaveDialogue::default()),
                ..Platform::default()
            };
            platform.config.hostname = hostname.map(|text| text.as_bytes().to_vec());
            let credentials = Arc::new(Credentials::new("lab", "ntc"));
            let name = DeviceName::new("csr1").unwrap();
            let device = Device::new(name, "csr1", Arc::new(platform), credentials);
            let device = Device { identity, ..device };
            assert_eq!(device.saving(), wanted);
        }
    }
}
