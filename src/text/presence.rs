//! Which parts of a device must be alive for its config to be whole.

use super::phrase;
use crate::model::platform::Presence;

/// The parts that `config` needs, by `presence`'s marks, and that `alive` (the device's answer,
/// words separated by blanks) does not name. Each is named once.
#[must_use]
pub fn missing<'a>(config: &[u8], alive: &str, presence: &'a Presence) -> Vec<&'a str> {
    let mut missing: Vec<&str> = Vec::new();
    for line in phrase::lines(config) {
        for part in &presence.parts {
            let needed = part.marks.iter().any(|mark| begins_with_words(line, mark));
            let known = missing.contains(&part.name.as_str());
            if needed && !known && !alive.split_whitespace().any(|word| word == part.name) {
                missing.push(&part.name);
            }
        }
    }
    missing
}

fn begins_with_words(line: &[u8], words: &[u8]) -> bool {
    line.strip_prefix(words)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::platform::Part;

    #[test]
    fn a_dead_daemon_is_named() {
        let part = |name: &str, mark: &str| Part {
            name: name.into(),
            marks: vec![mark.as_bytes().to_vec()],
        };
        let presence = Presence {
            send: "show daemons".into(),
            fact: "daemons".into(),
            parts: vec![part("bgpd", "router bgp"), part("ospfd", "router ospf")],
        };
        let config =
            b"hostname r1\nrouter bgp 65001\nexit\nrouter bgp 2 vrf x\nrouter ospf6\nend\n";
        assert_eq!(missing(config, "zebra staticd", &presence), ["bgpd"]);
        assert!(missing(config, "zebra bgpd", &presence).is_empty());
        assert!(missing(b"", "", &presence).is_empty());
    }
}
