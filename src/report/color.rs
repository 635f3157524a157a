//! Whether text for a terminal is coloured.

use std::ffi::OsStr;
use std::io::IsTerminal;

/// What the operator asked for with `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always, also into a file.
    Always,
    /// Never.
    Never,
}

impl ColorChoice {
    /// Decides for one `stream`. `no_color` is the value of the variable `NO_COLOR`; as its
    /// convention says (no-color.org), an empty one counts as unset.
    #[must_use]
    pub fn resolve(self, stream: &impl IsTerminal, no_color: Option<&OsStr>) -> Color {
        let refused = no_color.is_some_and(|value| !value.is_empty());
        match self {
            Self::Always => Color::On,
            Self::Auto if stream.is_terminal() && !refused => Color::On,
            Self::Auto | Self::Never => Color::Off,
        }
    }
}

/// Whether one stream gets colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// It does.
    On,
    /// Plain text only.
    Off,
}

/// What a colour means; the terminal's own palette decides how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tint {
    Good,
    Warning,
    Bad,
}

impl Tint {
    /// The SGR sequence that begins this colour.
    pub(super) const fn begin(self) -> &'static str {
        match self {
            Self::Good => "\x1b[32m",
            Self::Warning => "\x1b[33m",
            Self::Bad => "\x1b[31m",
        }
    }

    /// The SGR sequence that ends every colour.
    pub(super) const END: &'static str = "\x1b[0m";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_file_is_coloured_only_when_forced() {
        let file = File::open("/dev/null").expect("there");
        assert_eq!(ColorChoice::Auto.resolve(&file, None), Color::Off);
        assert_eq!(ColorChoice::Never.resolve(&file, None), Color::Off);
        let refused = Some(OsStr::new("1"));
        assert_eq!(ColorChoice::Always.resolve(&file, refused), Color::On);
    }
}
