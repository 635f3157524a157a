//! What a prompt looks like before it was learned.

/// A prompt's pattern: `{host}` stands for the host name, `*` for any other text, neither is empty;
/// all else is literal. `{host}(config*)#`, `[*@{host}] >`, `RP/*:{host}#`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptPattern {
    /// The literal texts: one before, between and after the wildcards each; may be empty at the
    /// outer ends only.
    texts: Vec<Vec<u8>>,
    /// Which of the wildcards is the host name.
    host: usize,
}

/// Why a text is no prompt pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Without the host name, or with more than one.
    #[error("needs `{{host}}` exactly once, such as \"{{host}}#\"")]
    Host,
    /// Nothing tells where the one ends and the other begins.
    #[error("has `*` or `{{host}}` side by side with nothing between them")]
    Adjacent,
    /// A prompt must differ from any other line.
    #[error("needs a text after the last `*` or `{{host}}`: how the prompt ends")]
    Open,
}

const HOST: &str = "{host}";

impl PromptPattern {
    /// Reads a pattern; blanks at its end do not matter.
    ///
    /// # Errors
    /// Says what it lacks.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let mut texts = vec![Vec::new()];
        let mut hosts = Vec::new();
        let mut rest = text.trim_end();
        while !rest.is_empty() {
            let wildcard = if let Some(after) = rest.strip_prefix(HOST) {
                hosts.push(texts.len() - 1);
                Some(after)
            } else {
                rest.strip_prefix('*')
            };
            if let Some(after) = wildcard {
                rest = after;
                texts.push(Vec::new());
                continue;
            }
            let end = rest.find('*').unwrap_or(rest.len());
            let end = rest.find(HOST).unwrap_or(rest.len()).min(end);
            let (literal, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            if let Some(last) = texts.last_mut() {
                last.extend_from_slice(literal.as_bytes());
            }
            rest = after;
        }
        let [host] = hosts[..] else {
            return Err(PatternError::Host);
        };
        let last = texts.len() - 1;
        if texts.last().is_none_or(Vec::is_empty) {
            return Err(PatternError::Open);
        }
        if texts
            .get(1..last)
            .is_some_and(|inner| inner.iter().any(Vec::is_empty))
        {
            return Err(PatternError::Adjacent);
        }
        Ok(Self { texts, host })
    }

    /// The literal texts around the wildcards, one more than there are wildcards.
    #[must_use]
    pub fn texts(&self) -> &[Vec<u8>] {
        &self.texts
    }

    /// Which of the wildcards, from 0, is the host name.
    #[must_use]
    pub fn host(&self) -> usize {
        self.host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read() {
        let pattern = PromptPattern::parse("[*@{host}] > ").unwrap();
        let texts: Vec<&[u8]> = pattern.texts().iter().map(Vec::as_slice).collect();
        assert_eq!(texts, [&b"["[..], b"@", b"] >"]);
        assert_eq!(pattern.host(), 1);
        assert_eq!(PromptPattern::parse("{host}#").unwrap().host(), 0);
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        for (text, error) in [
            ("#", PatternError::Host),
            ("", PatternError::Host),
            ("{host}@{host}#", PatternError::Host),
            ("*{host}#", PatternError::Adjacent),
            ("<{host}", PatternError::Open),
            ("<{host}*", PatternError::Open),
        ] {
            assert_eq!(PromptPattern::parse(text), Err(error), "{text}");
        }
    }
}
