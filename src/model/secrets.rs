//! What is secret in a config: regular expressions, each with the place where it counts.

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use std::sync::OnceLock;

/// The most memory that one pattern may take, compiled, in bytes: a typing error such as `{9999}`
/// is told at once and not by a machine out of memory.
const PATTERN_BYTES: usize = 256 << 10;

/// The most memory that all patterns of a platform may take together.
const ALL_BYTES: usize = 16 << 20;

/// How deep groups may be nested.
const NESTING: u32 = 50;

/// Rules for every platform, so that a platform file that forgot a command, or a command that is
/// new, does not show a password: what stands behind `password`, `secret` and their like, URLs,
/// hashes by their shape, private keys.
const COMMON: [&str; 7] = [
    r"://[^\s/:@]*:([^\s]+)@",
    r"://([A-Za-z0-9_-]{20,})@",
    concat!(
        r"(?i)\b(?:password|passwd|passphrase|secret|shared-secret|psk|key-string|plain-text-password)",
        r"(?:\s*[:=]\s*|\s+)",
        r"(?:(?:level )?\d{1,3}\s+|(?:encrypted|clear|ascii|hex|plain|hash|md5|sha\d*)\s+)*",
        r#"("[^"]+"|'[^']+'|[^\s{;\[\]\\]\S*?);?(?:\s|$)"#,
    ),
    r#"(?i)\bpre-shared-key\s*[:=]\s*("[^"]+"|[^\s\\]\S*?);?(?:\s|$)"#,
    r#"(?i)\bsnmp\S*\s+(?:\S+\s+)?community\s+(?:string\s+)?("[^"]+"|[^\s{;]\S*?);?(?:\s|$)"#,
    r#"(\$(?:1|2[aby]|5|6|8|9|14|y|sha512)\$[^\s"';]+)"#,
    r#"("[^"]+"|[^\s;]+);?\s+## SECRET-DATA"#,
];

/// The private part of a certificate, wherever it stands.
const PRIVATE_KEY: [(Scope, &str); 4] = [
    (Scope::Begin(0), "-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----"),
    (Scope::Within(0), r"([^\s\\]+)"),
    (Scope::End(0), "-----END [A-Z0-9 ]*PRIVATE KEY-----"),
    (Scope::Common, r"PRIVATE KEY-----(.+)-----END"),
];

/// A line of a private key has no mark of its own when it stands alone.
const ALONE: &str = r"^\s*([A-Za-z0-9+/]{48,}={0,2})\s*$";

/// Where a pattern counts, and what it is for. A block is known by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Its groups hold secrets on any line of any platform that is not [`Self::Plain`].
    Common,
    /// Its groups hold secrets on any line.
    Line,
    /// The line only looks as if it held a secret.
    Plain,
    /// The line opens a block.
    Begin(usize),
    /// Its groups hold secrets on the lines of the block.
    Within(usize),
    /// The line ends the block; a block without one goes on as long as lines are indented deeper
    /// than the one that opened it.
    End(usize),
    /// Its groups hold secrets on a line that is shown without those around it.
    Alone,
}

impl Scope {
    /// Whether its pattern needs a group.
    #[must_use]
    pub const fn needs_group(self) -> bool {
        match self {
            Self::Common | Self::Line | Self::Within(_) | Self::Alone => true,
            Self::Plain | Self::Begin(_) | Self::End(_) => false,
        }
    }
}

/// A pattern and where it counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Where it counts.
    pub scope: Scope,
    /// A regular expression over the bytes of a line, its line end left out. What its groups hold is
    /// secret, where its scope is about secrets.
    pub pattern: String,
}

/// A block of lines with rules of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecretBlock {
    /// Matches the line that opens it.
    pub begin: String,
    /// Matches the line that ends it; `None` where it ends with its indentation.
    pub end: Option<String>,
    /// Match its lines; their groups hold secrets.
    pub lines: Vec<String>,
}

/// What is secret in the configs of one platform. Compiled when it is first asked, once.
#[derive(Debug, Clone)]
pub struct Secrets {
    rules: Vec<Rule>,
    /// For each block whether a line ends it by a pattern.
    ended: Vec<bool>,
    continued: Option<Vec<u8>>,
    compiled: OnceLock<Compiled>,
}

#[derive(Debug, Clone)]
struct Compiled {
    /// Says which patterns match a line at all; `None` where it would grow too large.
    set: Option<RegexSet>,
    /// The rules of the set, by their place in it: all but those of blocks with an end, which
    /// match whatever stands there.
    in_set: Vec<usize>,
    patterns: Vec<OnceLock<Option<Regex>>>,
}

impl Default for Secrets {
    /// The rules for every platform.
    fn default() -> Self {
        let common = COMMON.iter().map(|pattern| (Scope::Common, *pattern));
        let alone = std::iter::once((Scope::Alone, ALONE));
        let rules = common.chain(PRIVATE_KEY).chain(alone);
        Self {
            rules: rules
                .map(|(scope, pattern)| Rule {
                    scope,
                    pattern: pattern.to_owned(),
                })
                .collect(),
            ended: vec![true],
            continued: None,
            compiled: OnceLock::new(),
        }
    }
}

impl PartialEq for Secrets {
    fn eq(&self, other: &Self) -> bool {
        self.rules == other.rules && self.continued == other.continued
    }
}

impl Eq for Secrets {}

impl Secrets {
    /// Adds patterns of one scope that is about no block.
    pub fn add(&mut self, scope: Scope, patterns: impl IntoIterator<Item = String>) {
        self.compiled = OnceLock::new();
        self.rules
            .extend(patterns.into_iter().map(|pattern| Rule { scope, pattern }));
    }

    /// Adds a block.
    pub fn add_block(&mut self, block: SecretBlock) {
        let number = self.ended.len();
        self.ended.push(block.end.is_some());
        self.add(Scope::Begin(number), [block.begin]);
        self.add(Scope::Within(number), block.lines);
        self.add(Scope::End(number), block.end);
    }

    /// Sets the text at the end of a line that goes on with the next one: both are one to the
    /// patterns, line ends included.
    pub fn set_continued(&mut self, mark: Option<Vec<u8>>) {
        self.continued = mark;
    }

    /// The text at the end of a line that goes on with the next one.
    #[must_use]
    pub fn continued(&self) -> Option<&[u8]> {
        self.continued.as_deref()
    }

    /// Takes over what `other` calls secret, so that the rules of both count.
    pub fn merge(&mut self, other: &Self) {
        self.compiled = OnceLock::new();
        // The rules for every platform, block 0 among them, are there already.
        let shift = self.ended.len() - 1;
        for rule in &other.rules {
            let scope = match rule.scope {
                Scope::Begin(0) | Scope::Within(0) | Scope::End(0) => continue,
                Scope::Common | Scope::Alone if self.rules.contains(rule) => continue,
                Scope::Begin(block) => Scope::Begin(block + shift),
                Scope::Within(block) => Scope::Within(block + shift),
                Scope::End(block) => Scope::End(block + shift),
                scope => scope,
            };
            let pattern = rule.pattern.clone();
            self.rules.push(Rule { scope, pattern });
        }
        self.ended.extend(other.ended.iter().skip(1));
        if self.continued.is_none() {
            self.continued.clone_from(&other.continued);
        }
    }

    /// Every rule. A rule is known by its place here.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether a line ends the block by a pattern, or by its indentation.
    #[must_use]
    pub fn has_end(&self, block: usize) -> bool {
        self.ended.get(block).copied().unwrap_or_default()
    }

    /// The places of the rules that may match `line`, ascending. Those of a block with an end are
    /// not among them: see [`Self::of_block`].
    #[must_use]
    pub fn matching(&self, line: &[u8]) -> Vec<usize> {
        let compiled = self.compiled();
        let place = |at: usize| compiled.in_set.get(at).copied();
        match &compiled.set {
            Some(set) if !set.is_match(line) => Vec::new(),
            Some(set) => set.matches(line).into_iter().filter_map(place).collect(),
            None => compiled.in_set.clone(),
        }
    }

    /// The places of the rules for the lines of a block.
    pub fn of_block(&self, block: usize) -> impl Iterator<Item = usize> {
        let rules = self.rules.iter().enumerate();
        rules.filter_map(move |(at, rule)| (rule.scope == Scope::Within(block)).then_some(at))
    }

    fn compiled(&self) -> &Compiled {
        let ended = |rule: &Rule| matches!(rule.scope, Scope::Within(b) if self.has_end(b));
        self.compiled
            .get_or_init(|| Compiled::new(&self.rules, ended))
    }

    /// The pattern of the rule at `place`, compiled; `None` where it cannot be, which
    /// [`check_pattern`] would have told.
    #[must_use]
    pub fn pattern(&self, place: usize) -> Option<&Regex> {
        let rule = self.rules.get(place)?;
        let slot = self.compiled().patterns.get(place)?;
        slot.get_or_init(|| compile(&rule.pattern).ok()).as_ref()
    }
}

impl Compiled {
    fn new(rules: &[Rule], is_left_out: impl Fn(&Rule) -> bool) -> Self {
        let kept = rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| !is_left_out(rule));
        let (in_set, patterns): (Vec<_>, Vec<_>) =
            kept.map(|(at, rule)| (at, &rule.pattern)).unzip();
        let set = RegexSetBuilder::new(patterns)
            .unicode(false)
            .nest_limit(NESTING)
            .size_limit(ALL_BYTES)
            .build();
        Self {
            set: set.ok(),
            in_set,
            patterns: rules.iter().map(|_| OnceLock::new()).collect(),
        }
    }
}

fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .nest_limit(NESTING)
        .size_limit(PATTERN_BYTES)
        .build()
}

/// Whether `pattern` can be used in `scope`.
///
/// # Errors
/// Says what is wrong, without repeating the pattern: it may name a secret.
pub fn check_pattern(scope: Scope, pattern: &str) -> Result<(), String> {
    let compiled = compile(pattern).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            "is too large a pattern; give repetitions smaller bounds".to_owned()
        }
        error => {
            let text = error.to_string();
            let reason = text.rsplit("error: ").next().unwrap_or_default();
            format!("is no regular expression: {}", reason.trim())
        }
    })?;
    if scope.needs_group() && compiled.captures_len() < 2 {
        return Err("needs a group `( )` around the secret; write others as `(?: )`".to_owned());
    }
    if compiled.is_match(b"") {
        return Err("matches an empty line; say what stands around the secret".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_everywhere_is_sound() {
        for rule in Secrets::default().rules() {
            assert_eq!(check_pattern(rule.scope, &rule.pattern), Ok(()), "{rule:?}");
        }
    }

    #[test]
    fn a_faulty_pattern_is_told_without_its_text() {
        for (pattern, word) in [
            ("planted(", "unclosed group"),
            (r"planted (\p{Greek})", "is no regular expression"),
            ("planted", "needs a group"),
            ("(planted)*", "matches an empty line"),
            ("(planted{200}{200}{200})", "too large"),
            (r"(planted)\1", "backreferences"),
        ] {
            let fault = check_pattern(Scope::Line, pattern).unwrap_err();
            assert!(fault.contains(word), "{pattern}: {fault}");
            assert!(!fault.contains("planted"), "{fault}");
        }
        assert_eq!(check_pattern(Scope::Plain, "^hostname "), Ok(()));
    }

    #[test]
    fn patterns_see_bytes() {
        let mut secrets = Secrets::default();
        secrets.add(Scope::Line, [r"^hush (.+)$".to_owned()]);
        let place = secrets.matching(b"hush \xe9\xff")[0];
        let found = secrets.pattern(place).unwrap().captures(b"hush \xe9\xff");
        assert_eq!(&found.unwrap()[1], b"\xe9\xff");
    }

    #[test]
    fn two_platforms_together_keep_their_blocks_apart() {
        let mut one = Secrets::default();
        let block = |begin: &str, line: &str| SecretBlock {
            begin: begin.into(),
            lines: vec![line.into()],
            end: None,
        };
        one.add_block(block("^a", "^ x (.+)"));
        let mut two = Secrets::default();
        two.add_block(block("^b", "^ y (.+)"));
        one.merge(&two);
        let place = one.matching(b" y 1")[0];
        let Scope::Within(inside) = one.rules()[place].scope else {
            panic!("no block")
        };
        assert!(one.rules().contains(&Rule {
            scope: Scope::Begin(inside),
            pattern: "^b".into()
        }));
        let common = one.rules().iter().filter(|r| r.scope == Scope::Common);
        assert_eq!(common.count(), COMMON.len() + 1);
    }
}
