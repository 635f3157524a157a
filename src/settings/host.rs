//! Where a device is reached.

use super::entries::Entry;
use super::fault::Fault;

/// The host of an entry: its own, else its name. Brackets around an IPv6 address are taken off.
pub(crate) fn of(entry: &Entry, key: &str) -> Result<String, Fault> {
    let key = format!("{key}.host");
    let (text, place) = match &entry.host {
        Some(host) => (host.name.as_str(), &host.place),
        None => (entry.name.as_str(), &entry.place),
    };
    checked(text).map_err(|message| Fault::error(place, &key, message))
}

/// A host name or address, or what is wrong with it.
pub(crate) fn checked(text: &str) -> Result<String, String> {
    let text = text.trim();
    let host = text
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(text);
    if host.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if host.contains('@') {
        return Err("expected a host alone: the user belongs into the credentials".to_owned());
    }
    let address = host.split('%').next().unwrap_or(host);
    let colons = host.matches(':').count();
    if colons == 1 || text.contains("]:") {
        return Err("expected a host alone: write the port as `port = 22`".to_owned());
    }
    if colons > 1 && address.parse::<std::net::Ipv6Addr>().is_err() {
        return Err("is no IPv6 address".to_owned());
    }
    match host
        .chars()
        .find(|c| !(c.is_alphanumeric() || ".-_:%".contains(*c)))
    {
        Some(c) => Err(format!("a host name or address does not hold {c:?}")),
        None if host.starts_with('-') => Err("must not begin with `-`".to_owned()),
        None => Ok(host.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses() {
        for (text, host) in [
            ("csr1", "csr1"),
            ("192.0.2.12", "192.0.2.12"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1%eth0"),
            (" r1.example.net ", "r1.example.net"),
        ] {
            assert_eq!(checked(text).as_deref(), Ok(host));
        }
        for bad in [
            "", "[]", "a b", "csr1:22", "[::1]:22", "ntc@csr1", "1:2:3", "-x", "a/b",
        ] {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }
}
