//! Recognising a prompt: first by its shape, then, once learned, byte by byte.

use crate::model::pattern::PromptPattern;
use crate::model::platform::PromptShape;
use std::ops::Range;

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

/// The mode of an unfinished last line that has the shape of a prompt.
#[must_use]
pub fn shape_of(tail: &[u8], shape: &PromptShape) -> Option<Mode> {
    split(tail, shape).map(|(_, mode)| mode)
}

/// Where the host name stands in a line of a prompt's shape, and the prompt's mode.
fn split(tail: &[u8], shape: &PromptShape) -> Option<(Range<usize>, Mode)> {
    let line = tail.trim_ascii_end();
    if line.len() > PROMPT_MAX {
        return None;
    }
    let first = |patterns: &[PromptPattern]| patterns.iter().find_map(|p| host_in(line, p));
    first(&shape.config)
        .map(|host| (host, Mode::Config))
        .or_else(|| first(&shape.privileged).map(|host| (host, Mode::Privileged)))
        .or_else(|| first(&shape.user).map(|host| (host, Mode::User)))
}

/// Where the host name stands in `line`, if it has the shape of `pattern`. Each wildcard takes as
/// little as it can; a host name has at least one letter or digit.
fn host_in(line: &[u8], pattern: &PromptPattern) -> Option<Range<usize>> {
    let (last, texts) = pattern.texts().split_last()?;
    let (first, inner) = texts.split_first()?;
    let mut from = first.len();
    let end = line.len().checked_sub(last.len())?;
    if from >= end || !line.starts_with(first) || !line.ends_with(last) {
        return None;
    }
    let mut host = None;
    for (index, text) in inner.iter().map(Some).chain([None]).enumerate() {
        let rest = line.get(from..end)?;
        let len = match text {
            // A wildcard is not empty, so the text after it does not begin at once.
            Some(text) => super::phrase::find(rest.get(1..)?, text)? + 1,
            None => rest.len(),
        };
        if len == 0 {
            return None;
        }
        if index == pattern.host() {
            host = Some(from..from + len);
        }
        from += len + text.map_or(0, Vec::len);
    }
    let host = host?;
    let named = line
        .get(host.clone())?
        .iter()
        .any(u8::is_ascii_alphanumeric);
    named.then_some(host)
}

/// A prompt that was learned from the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    text: Vec<u8>,
    host: Range<usize>,
    mode: Mode,
    /// How much of its beginning is the mark of unsaved changes.
    mark: usize,
}

impl Prompt {
    /// Learns `tail`, if it has the shape of a prompt.
    #[must_use]
    pub fn learn(tail: &[u8], shape: &PromptShape) -> Option<Self> {
        let (host, mode) = split(tail, shape)?;
        Some(Self {
            text: tail.to_vec(),
            host,
            mode,
            mark: mark_of(tail, shape),
        })
    }

    /// Whether the unfinished last line is this prompt, byte by byte; a mark of unsaved changes may
    /// have gone since it was learned.
    #[must_use]
    pub fn is(&self, tail: &[u8]) -> bool {
        self.text == tail || (self.mark > 0 && self.text.get(self.mark..) == Some(tail))
    }

    /// What follows this prompt on a line that begins with it.
    #[must_use]
    pub fn after<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let without = self.text.get(self.mark..).unwrap_or_default();
        [self.text.as_slice(), without].iter().find_map(|text| {
            line.strip_prefix(*text)
                .or_else(|| line.strip_prefix(text.trim_ascii_end()))
        })
    }

    /// Whether `tail` is this device's prompt in another mode: the host name is the same, or in
    /// configuration mode its beginning is.
    #[must_use]
    pub fn is_kin(&self, tail: &[u8], shape: &PromptShape) -> bool {
        let own = self.host_bytes();
        let Some((host, mode)) = split(tail, shape) else {
            return false;
        };
        let host = tail.get(host).unwrap_or_default();
        match mode {
            Mode::Config => own.starts_with(host.get(..CONFIG_BASE).unwrap_or(host)),
            Mode::User | Mode::Privileged => host == own,
        }
    }

    fn host_bytes(&self) -> &[u8] {
        self.text.get(self.host.clone()).unwrap_or_default()
    }

    /// What it lets one do.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The host name in the prompt.
    #[must_use]
    pub fn host(&self) -> String {
        String::from_utf8_lossy(self.host_bytes().trim_ascii()).into_owned()
    }
}

/// How much of the beginning of a prompt is the mark by which the device tells of unsaved changes; 0
/// where there is none.
#[must_use]
pub fn mark_of(tail: &[u8], shape: &PromptShape) -> usize {
    let mark = shape.unsaved.iter().find(|mark| tail.starts_with(mark));
    mark.map_or(0, Vec::len)
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

    fn shape_with(user: &[&str], privileged: &[&str], config: &[&str]) -> PromptShape {
        let read = |texts: &[&str]| {
            let parsed = texts.iter().map(|text| PromptPattern::parse(text));
            parsed.collect::<Result<_, _>>().unwrap()
        };
        PromptShape {
            user: read(user),
            privileged: read(privileged),
            config: read(config),
            ..PromptShape::default()
        }
    }

    fn shape() -> PromptShape {
        shape_with(&["{host}>"], &["{host}#"], &["{host}(*)#"])
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
            (b"csr1(cfg-acct-mlist)#", Some(Mode::Config)),
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
    fn prompts_of_every_platform_have_a_pattern() {
        let xr = shape_with(&[], &["RP/*:{host}#"], &["RP/*:{host}(*)#"]);
        let junos = shape_with(&["*@{host}%"], &["*@{host}>"], &["*@{host}#"]);
        let routeros = shape_with(&[], &["[*@{host}] >", "[*@{host}] */*>"], &[]);
        let comware = shape_with(&[], &["<{host}>"], &["[{host}]", "[{host}-*]"]);
        let vyos = shape_with(&[], &["*@{host}:*$"], &["*@{host}#"]);
        let asa = shape_with(
            &["{host}/*>", "{host}>"],
            &["{host}/*#", "{host}#"],
            &["{host}(*)#", "{host}/*(*)#"],
        );
        for (tail, shape, mode, host) in [
            (&b"RP/0/RP0/CPU0:r1#"[..], &xr, Mode::Privileged, "r1"),
            (b"RP/0/RP0/CPU0:r1(config-if)#", &xr, Mode::Config, "r1"),
            (b"user@r1> ", &junos, Mode::Privileged, "r1"),
            (b"root@r1% ", &junos, Mode::User, "r1"),
            (b"user@r1# ", &junos, Mode::Config, "r1"),
            (b"[admin@r1] > ", &routeros, Mode::Privileged, "r1"),
            (b"<sw>", &comware, Mode::Privileged, "sw"),
            (b"[sw]", &comware, Mode::Config, "sw"),
            (b"vyos@r1:~$ ", &vyos, Mode::Privileged, "r1"),
            (b"vyos@r1# ", &vyos, Mode::Config, "r1"),
            (b"asa/ctx/act# ", &asa, Mode::Privileged, "asa"),
            (b"asa> ", &asa, Mode::User, "asa"),
            (b"asa/ctx(config)# ", &asa, Mode::Config, "asa/ctx"),
        ] {
            let told = String::from_utf8_lossy(tail);
            let prompt = Prompt::learn(tail, shape).unwrap_or_else(|| panic!("{told}"));
            assert_eq!(prompt.mode(), mode, "{told}");
            assert_eq!(prompt.host(), host, "{told}");
        }
        for (tail, shape) in [
            (&b"@r1> "[..], &junos),
            (b"<>", &comware),
            (b"sw>", &comware),
            (b"[admin@] > ", &routeros),
            (b"<***>", &comware),
        ] {
            assert_eq!(
                shape_of(tail, shape),
                None,
                "{}",
                String::from_utf8_lossy(tail)
            );
        }
    }

    #[test]
    fn a_mark_of_unsaved_changes_may_go() {
        let shape = PromptShape {
            unsaved: vec![b"*".to_vec()],
            ..shape_with(&[], &["*:{host}#"], &[])
        };
        let prompt = Prompt::learn(b"*A:r1# ", &shape).unwrap();
        assert!(prompt.is(b"*A:r1# "));
        assert!(prompt.is(b"A:r1# "));
        assert!(!prompt.is(b":r1# "));
        assert_eq!(prompt.after(b"A:r1# save"), Some(&b"save"[..]));
        assert_eq!(mark_of(b"A:r1# ", &shape), 0);
        assert_eq!(prompt.host(), "r1");
    }

    #[test]
    fn a44_the_host_may_be_named_in_several_ways() {
        assert!(is_same_host("CSR1", "csr1.example.net"));
        assert!(!is_same_host("csr2", "csr1"));
        assert!(is_same_host(
            "a-very-long-host-nam",
            "a-very-long-host-name-indeed"
        ));
    }
}
