//! Recognising a prompt: first by its shape, then, once learned, byte by byte.

use crate::model::platform::PromptShape;

/// The longest prompt in bytes: a host name of 63, a path and a mode fit in.
pub const PROMPT_MAX: usize = 160;

/// How much of a prompt's base every configuration mode keeps: IOS shortens the prompt there.
const CONFIG_BASE: usize = 16;

/// What a prompt lets one do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Before `enable`.
    User,
    /// Where everything may be shown.
    Privileged,
    /// Where typing changes the device.
    Config,
}

/// The mode of an unfinished last line that has the shape of a prompt: at least one letter or
/// digit and a known ending.
#[must_use]
pub fn shape_of(tail: &[u8], shape: &PromptShape) -> Option<Mode> {
    split(tail, shape).map(|(_, mode)| mode)
}

fn split<'a>(tail: &'a [u8], shape: &PromptShape) -> Option<(&'a [u8], Mode)> {
    let line = tail.trim_ascii_end();
    if line.len() > PROMPT_MAX {
        return None;
    }
    let ending = |endings: &[Vec<u8>]| {
        endings
            .iter()
            .filter_map(|e| line.strip_suffix(e.trim_ascii_end()))
            .find(|base| base.len() < line.len() && base.iter().any(u8::is_ascii_alphanumeric))
    };
    if let Some(base) = ending(&shape.privileged) {
        let config = super::phrase::holds_any(base, &shape.config);
        let mode = if config {
            Mode::Config
        } else {
            Mode::Privileged
        };
        return Some((base, mode));
    }
    ending(&shape.user).map(|base| (base, Mode::User))
}

/// A prompt that was learned from the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    text: Vec<u8>,
    base: usize,
    mode: Mode,
}

impl Prompt {
    /// Learns `tail`, if it has the shape of a prompt.
    #[must_use]
    pub fn learn(tail: &[u8], shape: &PromptShape) -> Option<Self> {
        let (base, mode) = split(tail, shape)?;
        Some(Self {
            text: tail.to_vec(),
            base: base.len(),
            mode,
        })
    }

    /// Whether the unfinished last line is this prompt, byte by byte.
    #[must_use]
    pub fn is(&self, tail: &[u8]) -> bool {
        self.text == tail
    }

    /// What follows this prompt on a line that begins with it.
    #[must_use]
    pub fn after<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        line.strip_prefix(self.text.as_slice())
            .or_else(|| line.strip_prefix(self.text.trim_ascii_end()))
    }

    /// Whether `tail` is this device's prompt in another mode: the base is the same, or in
    /// configuration mode its beginning is.
    #[must_use]
    pub fn is_kin(&self, tail: &[u8], shape: &PromptShape) -> bool {
        match split(tail, shape) {
            None => false,
            Some((base, Mode::Config)) => {
                let own = self.base();
                own.starts_with(base.get(..own.len().min(CONFIG_BASE)).unwrap_or(base))
            }
            Some((base, _)) => base == self.base(),
        }
    }

    /// The prompt without its ending: mostly the host name.
    #[must_use]
    pub fn base(&self) -> &[u8] {
        self.text.get(..self.base).unwrap_or_default()
    }

    /// What it lets one do.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The host name in the prompt, as far as it can be told: what follows the last `@`, `/` or
    /// `:`, without a context in brackets.
    #[must_use]
    pub fn host(&self) -> String {
        let base = self.base();
        let base = base
            .iter()
            .position(|b| *b == b'(')
            .and_then(|at| base.get(..at))
            .unwrap_or(base);
        let host = base
            .rsplit(|b| matches!(b, b'@' | b'/' | b':' | b'['))
            .next()
            .unwrap_or(base);
        String::from_utf8_lossy(host.trim_ascii()).into_owned()
    }
}

/// Whether the host name in a prompt may belong to an inventory's name: equal ignoring case, as a
/// whole or up to the first dot, or shortened by the device.
#[must_use]
pub fn is_same_host(host: &str, name: &str) -> bool {
    let label = |text: &str| text.split('.').next().unwrap_or(text).to_ascii_lowercase();
    host.eq_ignore_ascii_case(name)
        || label(host) == label(name)
        || (host.len() >= 20
            && name
                .to_ascii_lowercase()
                .starts_with(&host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> PromptShape {
        PromptShape {
            user: vec![b">".to_vec()],
            privileged: vec![b"#".to_vec()],
            config: vec![b"(config".to_vec(), b"(tcl)".to_vec()],
            leave_config: "end".into(),
        }
    }

    #[test]
    fn a01_modes_are_known() {
        for (tail, mode) in [
            (&b"csr1>"[..], Some(Mode::User)),
            (b"csr1#", Some(Mode::Privileged)),
            (b"csr1(config)#", Some(Mode::Config)),
            (b"csr1(config-if)#", Some(Mode::Config)),
            (b"csr1(tcl)#", Some(Mode::Config)),
            (b"r1# ", Some(Mode::Privileged)),
            (b"########", None),
            (b"#", None),
            (b"", None),
            (b"Password:", None),
            (b"csr1# show", None),
        ] {
            assert_eq!(
                shape_of(tail, &shape()),
                mode,
                "{}",
                String::from_utf8_lossy(tail)
            );
        }
    }

    #[test]
    fn a02_any_text_can_be_a_prompt_and_is_matched_by_bytes() {
        for text in [&b"user@a.b/c:d lab box # "[..], b"c.r+1[*]#", b"csr1(x)#"] {
            let prompt = Prompt::learn(text, &shape()).unwrap();
            assert!(prompt.is(text));
            assert!(!prompt.is(&text[1..]));
            assert!(!prompt.is(&[text, b" "].concat()));
        }
    }

    #[test]
    fn a03_long_names_are_compared_by_their_beginning_in_config_mode_only() {
        let name = "a-very-long-host-name-that-fills-all-of-the-sixty-three-bytes-1";
        let prompt = Prompt::learn(format!("{name}#").as_bytes(), &shape()).unwrap();
        assert!(prompt.is_kin(b"a-very-long-host-nam(config)#", &shape()));
        assert!(!prompt.is_kin(b"a-very-long-host-nam#", &shape()));
        assert!(prompt.is_kin(format!("{name}>").as_bytes(), &shape()));
        assert!(!prompt.is_kin(b"other(config)#", &shape()));
    }

    #[test]
    fn a44_the_host_is_found_in_the_prompt() {
        for (text, host) in [
            (&b"csr1#"[..], "csr1"),
            (b"RP/0/RP0/CPU0:xr1#", "xr1"),
            (b"user@r1#", "r1"),
            (b"r1# ", "r1"),
        ] {
            assert_eq!(Prompt::learn(text, &shape()).unwrap().host(), host);
        }
        assert!(is_same_host("CSR1", "csr1.example.net"));
        assert!(!is_same_host("csr2", "csr1"));
    }
}
