//! What is wrong with the settings, and where.

use super::raw::Place;
use std::fmt;

/// Whether a fault stops wrmem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It must be mended.
    Error,
    /// It should be mended.
    Warning,
}

/// One thing that is wrong with the settings. It never holds a value that the operator wrote, only
/// where it stands and what is expected there; names that refer to something are the exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Whether it stops wrmem.
    pub severity: Severity,
    /// The file, `environment variable NAME` or `command line`.
    pub file: String,
    /// The line in the file, from 1, where it is known.
    pub line: Option<usize>,
    /// The key with dots, or empty where the whole file is meant.
    pub key: String,
    /// What is wrong, what is expected, and what to do.
    pub message: String,
}

impl Fault {
    /// An error at `place`.
    pub(crate) fn error(place: &Place, key: &str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: place.file.to_string(),
            line: place.line,
            key: key.to_owned(),
            message: message.into(),
        }
    }

    /// A warning at `place`.
    pub(crate) fn warning(place: &Place, key: &str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(place, key, message)
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Everything that is wrong, at once; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.0 {
            writeln!(f, "{fault}")?;
        }
        match self.0.len() {
            1 => f.write_str("1 fault in the settings"),
            count => write!(f, "{count} faults in the settings"),
        }
    }
}

impl std::error::Error for Faults {}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_show_file_line_key_and_a_count() {
        let place = Place::new("settings/devices.toml", Some(12));
        let fault = Fault::error(&place, "devices.csr2.port", "must be 1 to 65535");
        assert_eq!(
            fault.to_string(),
            "settings/devices.toml:12: devices.csr2.port: must be 1 to 65535"
        );
        let warning = Fault::warning(&Place::new("x", None), "", "readable by others");
        assert_eq!(warning.to_string(), "warning: x: readable by others");
        let both = Faults(vec![fault, warning]).to_string();
        assert!(both.ends_with("\n2 faults in the settings"), "{both}");
    }
}
