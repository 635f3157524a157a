//! The configs of simulated CSR 1000v routers, in the shape in which IOS-XE 16 shows them.

use fastrand::Rng;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// The text of one device's running-config with LF line ends: from the `!` that follows the
/// `Current configuration` line through `end`. The same seed and name give the same bytes;
/// `wanted` bytes are reached by interfaces and access lists, and passed by less than one of them.
pub(super) fn config(seed: u64, name: &str, wanted: usize) -> Vec<u8> {
    let mut rng = rng(seed, name, "config");
    let mut text = String::with_capacity(wanted.saturating_add(8 << 10));
    head(&mut text, name, &mut rng);
    certificate(&mut text, &mut rng);
    interfaces(&mut text, &mut rng);
    let tail = tail(&mut rng);
    let mut unit = 0_usize;
    while text.len() + tail.len() < wanted {
        grow(&mut text, unit, &mut rng);
        unit += 1;
    }
    text.push_str(&tail);
    text.into_bytes()
}

/// What a login below privilege 15 is shown: short, and it ends well.
pub(super) fn partial_config(name: &str) -> Vec<u8> {
    format!(
        "!\n! Last configuration change at 20:14:02 UTC Sun Nov 22 2026 by ntc\n!\n\
         boot-start-marker\nboot-end-marker\n!\nhostname {name}\n!\n!\n!\nend\n"
    )
    .into_bytes()
}

/// A generator of its own for each device and purpose.
pub(super) fn rng(seed: u64, name: &str, purpose: &str) -> Rng {
    let digest = derive(seed, name, purpose);
    let folded = digest
        .iter()
        .take(8)
        .fold(0_u64, |all, byte| (all << 8) | u64::from(*byte));
    Rng::with_seed(folded)
}

/// 32 bytes that depend on all three and on nothing else.
pub(super) fn derive(seed: u64, name: &str, purpose: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update((name.len() as u64).to_be_bytes());
    hash.update(name.as_bytes());
    hash.update(purpose.as_bytes());
    hash.finalize().into()
}

/// Writing to a string cannot fail.
macro_rules! put {
    ($text:expr, $($arg:tt)*) => {
        let _ = writeln!($text, $($arg)*);
    };
}

fn head(text: &mut String, name: &str, rng: &mut Rng) {
    put!(text, "!");
    put!(
        text,
        "! Last configuration change at {:02}:{:02}:{:02} UTC Sun Nov 22 2026 by ntc",
        rng.u8(0..24),
        rng.u8(0..60),
        rng.u8(0..60)
    );
    text.push_str(
        "!\nversion 16.9\nservice timestamps debug datetime msec\n\
         service timestamps log datetime msec\nservice password-encryption\n\
         platform qfp utilization monitor load 80\nno platform punt-keepalive disable-kernel-core\n\
         platform console virtual\n!\n",
    );
    put!(text, "hostname {name}");
    text.push_str("!\nboot-start-marker\nboot-end-marker\n!\n!\n");
    text.push_str("vrf definition MGMT\n !\n address-family ipv4\n exit-address-family\n!\n");
    put!(text, "enable secret 9 $9${}", token(rng, 43));
    text.push_str(
        "!\nno aaa new-model\n!\n!\n!\nno ip domain lookup\nip domain name lab.example.net\n\
         !\n!\n!\nlogin on-success log\n!\n!\n!\n!\n!\n!\n!\nsubscriber templating\n!\n!\n!\n!\n\
         multilink bundle-name authenticated\n!\n!\n!\n!\n!\n",
    );
}

/// IOS makes itself a certificate and keeps it in the config as lines of eight words of hex.
fn certificate(text: &mut String, rng: &mut Rng) {
    let serial = rng.u32(..);
    put!(text, "crypto pki trustpoint TP-self-signed-{serial}");
    put!(text, " enrollment selfsigned");
    put!(
        text,
        " subject-name cn=IOS-Self-Signed-Certificate-{serial}"
    );
    put!(text, " revocation-check none");
    put!(text, " rsakeypair TP-self-signed-{serial}");
    text.push_str("!\n!\n");
    put!(text, "crypto pki certificate chain TP-self-signed-{serial}");
    put!(text, " certificate self-signed 01");
    for line in 0..24 {
        let words = if line == 23 { 5 } else { 8 };
        text.push_str("  ");
        for _ in 0..words {
            let _ = write!(text, "{:08X} ", rng.u32(..));
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    put!(text, "  \tquit");
    text.push_str("!\n!\n!\n!\n!\n!\n!\n!\n");
    put!(
        text,
        "license udi pid CSR1000V sn 9{}",
        token(rng, 10).to_uppercase()
    );
    text.push_str("no license smart enable\ndiagnostic bootup level minimal\n!\n");
    text.push_str("spanning-tree extend system-id\n!\nnetconf-yang\n!\n");
    put!(
        text,
        "username ntc privilege 15 secret 9 $9${}",
        token(rng, 43)
    );
    text.push_str("!\nredundancy\n!\n!\n!\n!\n!\n!\n!\n!\n!\n!\n!\n!\n!\n!\n");
}

fn interfaces(text: &mut String, rng: &mut Rng) {
    let (a, b) = (rng.u8(..), rng.u8(..));
    text.push_str("interface Loopback0\n");
    put!(
        text,
        " ip address 10.255.{a}.{b} 255.255.255.255\n ip ospf 1 area 0\n!"
    );
    text.push_str("interface GigabitEthernet1\n description management\n vrf forwarding MGMT\n");
    put!(text, " ip address 192.0.2.{b} 255.255.255.0");
    text.push_str(" negotiation auto\n no mop enabled\n no mop sysid\n!\n");
    for port in 2..=4 {
        put!(text, "interface GigabitEthernet{port}");
        put!(text, " description to spine{} {}", port - 1, token(rng, 6));
        put!(text, " ip address 10.{port}.{a}.{b} 255.255.255.252");
        put!(text, " ip ospf authentication-key 7 {:016X}", rng.u64(..));
        text.push_str(" ip ospf network point-to-point\n ip ospf 1 area 0\n negotiation auto\n");
        text.push_str(" no mop enabled\n no mop sysid\n!\n");
    }
}

/// One more customer: an interface and its access list.
fn grow(text: &mut String, unit: usize, rng: &mut Rng) {
    let vlan = unit % 4000 + 100;
    let port = unit / 4000 + 5;
    let (a, b) = (rng.u8(..), rng.u8(..));
    put!(text, "interface GigabitEthernet{port}.{vlan}");
    put!(text, " description customer {unit} {}", token(rng, 8));
    put!(text, " encapsulation dot1Q {vlan}");
    put!(text, " ip address 10.{a}.{b}.1 255.255.255.0");
    put!(text, " ip access-group CUSTOMER-{unit} in");
    put!(text, "!");
    put!(text, "ip access-list extended CUSTOMER-{unit}");
    for _ in 0..6 {
        put!(
            text,
            " permit tcp 10.{a}.{b}.0 0.0.0.255 host 198.51.100.{} eq {}",
            rng.u8(1..255),
            rng.u16(1024..)
        );
    }
    put!(text, " deny   ip any any log\n!");
}

fn tail(rng: &mut Rng) -> String {
    let mut text = String::new();
    text.push_str(
        "router ospf 1\n passive-interface default\n no passive-interface GigabitEthernet2\n \
         no passive-interface GigabitEthernet3\n!\n",
    );
    put!(text, "router bgp {}", rng.u16(64512..65535));
    text.push_str(" bgp log-neighbor-changes\n");
    for neighbor in 1..=2 {
        let address = format!("10.255.0.{neighbor}");
        put!(text, " neighbor {address} remote-as 64512");
        put!(text, " neighbor {address} password 7 {:018X}", rng.u64(..));
        put!(text, " neighbor {address} update-source Loopback0");
    }
    text.push_str(
        "!\nvirtual-service csr_mgmt\n!\nip forward-protocol nd\nno ip http server\n\
         ip http authentication local\nip http secure-server\n\
         ip route vrf MGMT 0.0.0.0 0.0.0.0 192.0.2.254\n!\nip ssh version 2\nip ssh server \
         algorithm authentication password\n!\n!\nip access-list standard VTY\n \
         permit 192.0.2.0 0.0.0.255\n!\n!\n",
    );
    put!(text, "snmp-server community {} RO", token(rng, 12));
    text.push_str("snmp-server location rack 12\n!\n!\n!\n!\ncontrol-plane\n!\n!\n!\n!\n!\n");
    text.push_str("banner motd ^C\n");
    for line in BANNER {
        put!(text, "{line}");
    }
    text.push_str("^C\n!\nline con 0\n exec-timeout 0 0\n stopbits 1\nline vty 0 4\n");
    text.push_str(" access-class VTY in vrf-also\n login local\n transport preferred none\n");
    text.push_str(" transport input ssh\nline vty 5 15\n login local\n transport preferred none\n");
    text.push_str(" transport input ssh\n!\nntp server vrf MGMT 192.0.2.123\n!\n!\n!\n!\n!\nend\n");
    text
}

/// The lines of the banner that the config holds and that a login is shown.
pub(super) const BANNER: [&str; 3] = [
    "**********************************************",
    "*  csr lab: authorized access only (no. #7)  *",
    "**********************************************",
];

fn token(rng: &mut Rng, length: usize) -> String {
    (0..length).map(|_| rng.alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_name_give_the_same_config() {
        assert_eq!(config(7, "csr1", 0), config(7, "csr1", 0));
        assert_ne!(config(7, "csr1", 0), config(7, "csr2", 0));
        assert_ne!(config(7, "csr1", 0), config(8, "csr1", 0));
    }

    #[test]
    fn a_config_looks_like_one() {
        let bytes = config(1, "csr9", 0);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("!\n! Last configuration change at "));
        assert!(text.ends_with("\n!\nend\n"));
        assert_eq!(text.lines().filter(|line| *line == "end").count(), 1);
        assert!(text.contains("\nhostname csr9\n"));
        assert!((3000..9000).contains(&text.len()), "{}", text.len());
        assert!(!text.contains('\r'));
        assert!(text.lines().all(|line| line.len() < 132));
    }

    #[test]
    fn a_config_grows_to_the_size_asked_for() {
        for wanted in [20_000, 1_000_000, super::super::spec::CONFIG_BYTES_MAX] {
            let length = config(1, "csr1", wanted).len();
            assert!((wanted..wanted + 1000).contains(&length), "{length}");
        }
    }
}
