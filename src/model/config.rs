//! A device's configuration, proven whole.

use std::fmt;

/// What proves that a config is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The end marker and the prompt, and the byte count that the device announced agrees.
    ByteCount,
    /// The end marker and the prompt, and silence after it.
    Marker,
    /// The device closed an exec channel with exit status 0.
    Exit,
    /// Every brace that was opened is closed, and the prompt was one.
    Braces,
    /// The prompt was one; nothing within the config shows its end.
    Weak,
    /// A person looked at a config that was kept aside and accepted it.
    Accepted,
}

impl Proof {
    /// All kinds that a device's answer can have, the strongest first.
    pub const ALL: [Self; 5] = [
        Self::ByteCount,
        Self::Marker,
        Self::Exit,
        Self::Braces,
        Self::Weak,
    ];

    /// Its word in the report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ByteCount => "byte_count",
            Self::Marker => "marker",
            Self::Exit => "exit",
            Self::Braces => "braces",
            Self::Weak => "weak",
            Self::Accepted => "accepted",
        }
    }

    /// Whether a config that is cut at a line end could not have it. Where it could, a config that
    /// shrank by much is not trusted.
    #[must_use]
    pub const fn is_strong(self) -> bool {
        match self {
            Self::ByteCount | Self::Marker | Self::Exit | Self::Accepted => true,
            Self::Braces | Self::Weak => false,
        }
    }
}

/// A config that was proven whole. Only a `Config` is ever stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    bytes: Vec<u8>,
    proof: Proof,
}

impl Config {
    /// Takes over bytes that the caller has proven whole by `proof`.
    #[must_use]
    pub fn proven(bytes: Vec<u8>, proof: Proof) -> Self {
        Self { bytes, proof }
    }

    /// The same config in other words, such as with its secrets masked.
    #[must_use]
    pub fn with_bytes(&self, bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            proof: self.proof,
        }
    }

    /// The config, from the line after the header through the end marker, with LF line ends.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What proved it.
    #[must_use]
    pub fn proof(&self) -> Proof {
        self.proof
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Config({} bytes, {:?})", self.bytes.len(), self.proof)
    }
}

/// What a device said besides its config, fit to be kept beside it. May hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Info(Vec<u8>);

impl Info {
    /// Takes over what is to be kept: lines with LF ends, without those that change by themselves.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// What is kept.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Info({} bytes)", self.0.len())
    }
}

/// Where in the archive's folder a device's file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// `<name>.cfg`.
    #[default]
    Flat,
    /// `<group>/<name>.cfg`; a device without a group stays at `<name>.cfg`.
    ByGroup,
}

impl Layout {
    /// Its word in the settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::ByGroup => "by-group",
        }
    }
}
