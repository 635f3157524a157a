//! What a device offers, read from its first packet after a negotiation failed.
//!
//! libssh2 does not tell the peer's offer, so it is read over a second connection: identification
//! and KEXINIT (RFC 4253 4.2 and 7.1) come unencrypted.

use super::algorithms::{Offer, Offers, is_aead};
use super::wait::{Readiness, Waited, wait};
use crate::model::device::AlgorithmPolicy;
use crate::session::Clock;
use socket2::Socket;
use std::io::{self, Read, Write};
use std::time::Instant;

/// RFC 4253 6.1 asks for 35,000 bytes a packet; the preamble comes on top.
const MAX_PACKET: usize = 35_000;
const MAX_BYTES: usize = MAX_PACKET + 8192;
const KEXINIT: u8 = 20;
const COOKIE: usize = 16;

/// The name-lists of a KEXINIT packet that matter, client to server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeviceOffer {
    kex: Vec<String>,
    host_key: Vec<String>,
    cipher: Vec<String>,
    mac: Vec<String>,
}

/// Reads a device's offer from a fresh connection; `None` if it does not come whole.
pub(super) fn read(tcp: &Socket, deadline: Instant, clock: &dyn Clock) -> Option<DeviceOffer> {
    let mut stream = tcp;
    stream.write_all(b"SSH-2.0-wrmem\r\n").ok()?;
    let mut got = Vec::new();
    let mut chunk = [0; 4096];
    while got.len() < MAX_BYTES {
        match first_packet(&got) {
            Packet::Whole(payload) => return parse(payload),
            Packet::Broken => return None,
            Packet::Coming => {}
        }
        match stream.read(&mut chunk) {
            Ok(0) => return None,
            Ok(count) => got.extend(chunk.get(..count)?),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                match wait(tcp, Readiness::Readable, deadline, clock) {
                    Ok(Waited::Ready) => {}
                    Ok(Waited::TimedOut) | Err(_) => return None,
                }
            }
            Err(_) => return None,
        }
    }
    None
}

/// How much of a packet is there.
#[derive(Debug, PartialEq, Eq)]
enum Packet<'a> {
    Coming,
    Whole(&'a [u8]),
    Broken,
}

/// The payload of the first packet after the identification line.
fn first_packet(mut got: &[u8]) -> Packet<'_> {
    loop {
        let end = got.iter().position(|byte| *byte == b'\n');
        let Some((line, rest)) = end.and_then(|end| got.split_at_checked(end + 1)) else {
            return Packet::Coming;
        };
        got = rest;
        if line.starts_with(b"SSH-") {
            break;
        }
    }
    let Some((length, rest)) = got.split_first_chunk::<4>() else {
        return Packet::Coming;
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > MAX_PACKET {
        return Packet::Broken;
    }
    let Some(packet) = rest.get(..length) else {
        return Packet::Coming;
    };
    without_padding(packet).map_or(Packet::Broken, Packet::Whole)
}

fn without_padding(packet: &[u8]) -> Option<&[u8]> {
    let (padding, rest) = packet.split_first()?;
    rest.get(..rest.len().checked_sub(usize::from(*padding))?)
}

fn parse(payload: &[u8]) -> Option<DeviceOffer> {
    let (kind, rest) = payload.split_first()?;
    if *kind != KEXINIT {
        return None;
    }
    let mut rest = rest.get(COOKIE..)?;
    let mut next = || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (list, after) = after.split_at_checked(length)?;
        rest = after;
        let printable = list.iter().all(u8::is_ascii_graphic);
        let names = std::str::from_utf8(list).ok().filter(|_| printable)?;
        Some(names.split(',').map(str::to_owned).collect::<Vec<_>>())
    };
    let (kex, host_key, cipher, _, mac) = (next()?, next()?, next()?, next()?, next()?);
    Some(DeviceOffer {
        kex,
        host_key,
        cipher,
        mac,
    })
}

/// A kind of algorithm with both sides' names for it.
type Part<'a> = (&'static str, &'a [String], &'a [&'static str]);

fn parts<'a>(theirs: &'a DeviceOffer, ours: &'a Offer) -> [Part<'a>; 4] {
    [
        ("key exchange", &theirs.kex, &ours.kex),
        ("host key", &theirs.host_key, &ours.host_key),
        ("cipher", &theirs.cipher, &ours.cipher),
        ("mac", &theirs.mac, &ours.mac),
    ]
}

fn mismatches<'a>(theirs: &'a DeviceOffer, ours: &'a Offer) -> Vec<Part<'a>> {
    let shared = |(_, theirs, ours): &Part<'_>| {
        ours.iter()
            .find(|name| theirs.iter().any(|their| their == *name))
            .copied()
    };
    let mut parts = parts(theirs, ours).to_vec();
    let cipher = parts.get(2).and_then(shared);
    if cipher.is_some_and(is_aead) {
        parts.truncate(3);
    }
    parts.retain(|part| shared(part).is_none());
    parts
}

/// What to tell the operator, if the offers are why there was no key exchange.
pub(super) fn explain(
    theirs: &DeviceOffer,
    present: AlgorithmPolicy,
    offers: &Offers,
) -> Option<String> {
    let ours = offers.under(present);
    let missing = mismatches(theirs, ours);
    if missing.is_empty() {
        return None;
    }
    let told: Vec<_> = missing
        .iter()
        .map(|(what, theirs, ours)| {
            let theirs = theirs.join(", ");
            let ours = ours.join(", ");
            format!("{what}: it offers {theirs}; wrmem offered {ours}")
        })
        .collect();
    let helps = offers
        .all()
        .iter()
        .find(|(_, offer)| mismatches(theirs, offer).is_empty());
    let advice = match helps {
        Some((policy, _)) => format!("set algorithms = {:?} for this device", policy.name()),
        None => "wrmem has none of these; the device needs newer software or other SSH settings"
            .to_owned(),
    };
    Some(format!(
        "under algorithms = {:?} there is no common {}. {advice}",
        present.name(),
        told.join("; no common ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A KEXINIT packet with an identification line and a banner before it.
    fn packet(lists: &[&str]) -> Vec<u8> {
        let mut payload = vec![KEXINIT];
        payload.extend([7; COOKIE]);
        for list in lists {
            payload.extend(u32::try_from(list.len()).unwrap().to_be_bytes());
            payload.extend(list.as_bytes());
        }
        let mut bytes = b"hello\r\nSSH-1.99-Cisco-1.25\r\n".to_vec();
        let length = u32::try_from(payload.len() + 1 + 4).unwrap();
        bytes.extend(length.to_be_bytes());
        bytes.push(4);
        bytes.extend(&payload);
        bytes.extend([0; 4]);
        bytes
    }

    const OLD: [&str; 6] = [
        "diffie-hellman-group1-sha1",
        "ssh-rsa",
        "aes128-ctr,aes128-cbc",
        "aes128-ctr",
        "hmac-sha1",
        "hmac-sha1",
    ];

    fn told(theirs: &DeviceOffer, present: AlgorithmPolicy) -> Option<String> {
        explain(theirs, present, &Offers::load().unwrap())
    }

    fn payload(bytes: &[u8]) -> &[u8] {
        match first_packet(bytes) {
            Packet::Whole(payload) => payload,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_packet_is_read_only_when_whole_and_any_cut_is_harmless() {
        let bytes = packet(&OLD);
        for cut in 0..bytes.len() {
            assert_eq!(first_packet(&bytes[..cut]), Packet::Coming, "{cut}");
        }
        let offer = parse(payload(&bytes)).unwrap();
        assert_eq!(offer.kex, ["diffie-hellman-group1-sha1"]);
        assert_eq!(offer.cipher, ["aes128-ctr", "aes128-cbc"]);
        let short = payload(&bytes);
        for cut in 0..short.len() - 20 {
            let _ = parse(&short[..cut]);
        }
        let huge = b"SSH-2.0-x\r\n\xff\xff\xff\xff";
        assert_eq!(first_packet(huge), Packet::Broken);
        let all_padding = b"SSH-2.0-x\r\n\0\0\0\x02\xff\0";
        assert_eq!(first_packet(all_padding), Packet::Broken);
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"\x15"), None);
    }

    #[test]
    fn the_explanation_names_both_offers_and_the_setting_that_helps() {
        let old = parse(payload(&packet(&OLD))).unwrap();
        let modern = told(&old, AlgorithmPolicy::Modern).unwrap();
        assert!(modern.contains("key exchange: it offers diffie-hellman-group1-sha1;"));
        assert!(modern.contains("wrmem offered ") && modern.contains("no common mac"));
        assert!(modern.ends_with("set algorithms = \"legacy\" for this device"));
        assert_eq!(told(&old, AlgorithmPolicy::Legacy), None);
        let mut strange = old.clone();
        strange.kex = vec!["kex@example.net".into()];
        let strange = told(&strange, AlgorithmPolicy::Modern).unwrap();
        assert!(strange.contains("wrmem has none of these"), "{strange}");
    }

    #[test]
    fn an_aead_cipher_needs_no_common_mac() {
        let mut theirs = parse(payload(&packet(&OLD))).unwrap();
        theirs.mac = vec!["umac-64@openssh.com".into()];
        assert!(told(&theirs, AlgorithmPolicy::Legacy).is_some());
        theirs.cipher = vec!["aes256-gcm@openssh.com".into()];
        assert_eq!(told(&theirs, AlgorithmPolicy::Legacy), None);
    }
}
