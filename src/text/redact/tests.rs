use super::*;
use crate::model::platform::{ConfigDialogue, Opaque, OpaqueEnd};
use crate::model::secrets::{Scope, SecretBlock};
use crate::settings::platforms;
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};

static IOS: LazyLock<Arc<Platform>> = LazyLock::new(|| built_in("cisco_ios"));
static FRR: LazyLock<Arc<Platform>> = LazyLock::new(|| built_in("frr"));

fn built_in(name: &str) -> Arc<Platform> {
    Arc::clone(&platforms::load(None).unwrap()[name])
}

fn key() -> Key {
    Key::new([7; 32])
}

fn hidden(platform: &Platform, text: &str) -> String {
    let shown = config(text.as_bytes(), platform, Mask::Hidden);
    String::from_utf8(shown).unwrap()
}

/// IOS commands that hold a secret, `{}`, and what else must be masked for it to be.
const IOS_SECRETS: [&str; 74] = [
    "enable secret 9 {}",
    "enable secret 5 {}",
    "enable password {}",
    "enable password level 10 7 {}",
    "username ntc privilege 15 secret 9 {}",
    "username ntc privilege 15 password 0 {}",
    "username ntc password {}",
    "mgmtuser username ntc password 0 {}",
    " password 7 {}",
    " password {}",
    " secret 5 {}",
    "snmp-server community {} RO 10",
    "snmp-server community {} view all RW",
    "snmp-server host 192.0.2.9 {} ",
    "snmp-server host 192.0.2.9 version 2c {}",
    "snmp-server host 192.0.2.9 vrf mgmt informs version 2c {} udp-port 1162 bgp",
    "snmp-server host 192.0.2.9 traps version 3 priv {}",
    "snmp-server user u g v3 auth sha {} priv aes 128 other",
    "snmp-server user u g v3 encrypted auth md5 {} priv 3des {}",
    "snmp mib community-map {} engineid 80:00",
    "radius-server key {}",
    "radius-server host 192.0.2.9 auth-port 1812 acct-port 1813 key 7 {}",
    "tacacs-server key 7 {}",
    "tacacs-server host 192.0.2.9 key {}",
    "radius server one\n address ipv4 192.0.2.9 auth-port 1812 acct-port 1813\n key {}",
    "radius server one\n key 6 {}",
    "tacacs server two\n address ipv4 192.0.2.9\n key {}",
    "tacacs server two\n key 7 {}",
    "radius server one\n pac key 7 {}",
    "aaa group server radius g\n server-private 192.0.2.9 auth-port 1812 key 7 {}",
    "aaa server radius dynamic-author\n client 192.0.2.9 server-key 7 {}",
    "aaa server radius dynamic-author\n server-key {}",
    "key chain k\n key 1\n  key-string 7 {}\n  accept-lifetime 00:00:00 Jan 1 2020 infinite",
    "key chain k\n key 1\n  key-string {}",
    " standby 1 authentication {}",
    " standby 1 authentication text {}",
    " standby 1 authentication md5 key-string 7 {} timeout 30",
    " vrrp 1 authentication md5 key-string {}",
    " vrrp 1 authentication text {}",
    " glbp 1 authentication text {}",
    " ip ospf message-digest-key 1 md5 7 {}",
    " ip ospf message-digest-key 1 md5 {}",
    " ip ospf authentication-key {}",
    " area 1 virtual-link 192.0.2.1 message-digest-key 1 md5 7 {}",
    " area 1 virtual-link 192.0.2.1 authentication-key {}",
    " authentication mode hmac-sha-256 7 {}",
    " isis password {} level-1",
    " domain-password {}",
    " area-password {} authenticate snp send-only",
    " neighbor 192.0.2.1 password 7 {}",
    " neighbor PEERS password {}",
    "mpls ldp neighbor 192.0.2.1 password 7 {}",
    "ntp authentication-key 1 md5 {} 7",
    " ip nhrp authentication {}",
    " ppp chap password 7 {}",
    " ppp pap sent-username u password 0 {}",
    " l2tp tunnel password 7 {}",
    "crypto isakmp key {} address 192.0.2.1",
    "crypto isakmp key 6 {} hostname peer.example.net",
    "crypto keyring k\n  pre-shared-key address 0.0.0.0 0.0.0.0 key {}",
    "crypto keyring k\n  pre-shared-key hostname a.b key 6 {}",
    "crypto ikev2 keyring k\n peer p\n  address 192.0.2.1\n  pre-shared-key {}\n  pre-shared-key local 6 x",
    "crypto ikev2 keyring k\n peer p\n  pre-shared-key remote 6 {}",
    "crypto isakmp client configuration group g\n key {}",
    " set session-key inbound esp 256 cipher {} authenticator 00",
    " wpa-psk ascii 7 {}",
    " security wpa psk set-key ascii 0 {}",
    " encryption vlan 1 key 1 size 128bit 7 {} transmit-key",
    " dot1x username u password 7 {}",
    "ldap server l\n bind authenticate root-dn cn=x,dc=y password 7 {}",
    "cts credentials id r1 password 7 {}",
    " path ftp://backup:{}@192.0.2.9/$h",
    "event manager environment _mail_password {}",
    "ip http client password 7 {}",
];

/// IOS lines that hold no secret, though some look like it.
const IOS_PLAIN: [&str; 40] = [
    "version 16.6",
    "service timestamps debug datetime msec",
    "service password-encryption",
    "no service password-recovery",
    "password encryption aes",
    "security passwords min-length 10",
    "hostname csr1",
    "aaa new-model",
    "aaa authentication login default group radius local",
    "aaa authentication enable default enable",
    "aaa group server tacacs+ TAC",
    "username guest nopassword",
    "ip ssh version 2",
    "ip ssh server algorithm authentication publickey password keyboard",
    "key chain RIP",
    " key 1",
    "crypto isakmp policy 10",
    " authentication pre-share",
    " encr aes 256",
    "crypto key-generate",
    "interface GigabitEthernet1",
    " description uplink to the key customer",
    " ip address 192.0.2.1 255.255.255.0",
    " ip ospf authentication message-digest",
    " ip ospf authentication key-chain OSPF",
    " standby 1 authentication md5 key-chain HSRP",
    " isis authentication key-chain ISIS level-2",
    "router bgp 65000",
    " neighbor 192.0.2.2 remote-as 65001",
    " neighbor 192.0.2.2 send-community both",
    "ip community-list standard C permit 65000:1",
    " set community 65000:100 additive",
    "snmp-server location rack 7",
    "snmp-server enable traps bgp",
    "snmp-server view all iso included",
    "ntp authenticate",
    "ntp trusted-key 1",
    "mpls ldp password required for LDP-PEERS",
    "line vty 0 4",
    " transport input ssh",
];

#[test]
fn every_ios_secret_is_masked_and_nothing_else_of_its_line() {
    for template in IOS_SECRETS {
        for secret in ["Planted-S3cret", "0822455D0A16", "a", "%#^C!$9$x"] {
            let text = format!("{}\n!\n", template.replace("{}", secret));
            let shown = hidden(&IOS, &text);
            let wanted = template.replace("{}", HIDDEN);
            let first = wanted.lines().take_while(|l| !l.contains(HIDDEN)).count();
            let line = |text: &str| text.lines().nth(first).unwrap_or_default().to_owned();
            let (before, _) = template
                .lines()
                .nth(first)
                .unwrap()
                .split_once("{}")
                .unwrap();
            assert!(
                line(&shown).starts_with(&format!("{before}{HIDDEN}")),
                "{text}\n{shown}"
            );
            assert_eq!(shown.lines().count(), text.lines().count());
        }
    }
}

const HIDDEN: &str = "<hidden>";

#[test]
fn what_follows_a_secret_stays_where_it_cannot_be_part_of_it() {
    for (line, wanted) in [
        (
            "snmp-server community hush RO 10",
            "snmp-server community <hidden> RO 10",
        ),
        (
            " isis password hush level-1",
            " isis password <hidden> level-1",
        ),
        (
            " standby 1 authentication md5 key-string 7 hush timeout 30",
            " standby 1 authentication md5 key-string 7 <hidden> timeout 30",
        ),
        (
            "crypto isakmp key hush hush address 192.0.2.1",
            "crypto isakmp key <hidden> address 192.0.2.1",
        ),
        (
            "snmp-server user u g v3 auth sha hush priv aes 128 hush",
            "snmp-server user u g v3 auth sha <hidden> priv aes 128 <hidden>",
        ),
        (
            "enable password with three words",
            "enable password <hidden>",
        ),
        (
            "ntp authentication-key 1 md5 hush 7",
            "ntp authentication-key 1 md5 <hidden> 7",
        ),
    ] {
        assert_eq!(hidden(&IOS, line), wanted);
    }
}

#[test]
fn an_ios_line_without_a_secret_is_not_touched() {
    let all = IOS_PLAIN.join("\r\n");
    assert_eq!(hidden(&IOS, &all), all);
}

#[test]
fn frr_secrets_are_masked() {
    for (line, wanted) in [
        ("password zebra", "password <hidden>"),
        ("enable password 8 abc", "enable password 8 <hidden>"),
        (
            " neighbor 192.0.2.1 password hush",
            " neighbor 192.0.2.1 password <hidden>",
        ),
        (
            " ip ospf message-digest-key 1 md5 hush",
            " ip ospf message-digest-key 1 md5 <hidden>",
        ),
        (
            " ip ospf authentication-key hush",
            " ip ospf authentication-key <hidden>",
        ),
        (" isis password clear hush", " isis password clear <hidden>"),
        (" area-password md5 hush", " area-password md5 <hidden>"),
        ("  key-string hush hush", "  key-string <hidden>"),
        (
            " ip rip authentication string hush",
            " ip rip authentication string <hidden>",
        ),
        (" ip ospf area 0", " ip ospf area 0"),
        (" key 1", " key 1"),
        (
            "service integrated-vtysh-config",
            "service integrated-vtysh-config",
        ),
    ] {
        assert_eq!(hidden(&FRR, line), wanted);
    }
}

#[test]
fn what_no_platform_knows_is_masked_by_its_words_and_shape() {
    let bare = Platform::default();
    for (line, wanted) in [
        ("set user a password 'hush'", "set user a password <hidden>"),
        ("set psk=\"two words\" name=x", "set psk=<hidden> name=x"),
        (
            "  encrypted-password \"$6$abc$def\";",
            "  encrypted-password <hidden>;",
        ),
        (
            "  secret \"$9$abc\"; ## SECRET-DATA",
            "  secret <hidden>; ## SECRET-DATA",
        ),
        (
            "  key hush; ## SECRET-DATA",
            "  key <hidden>; ## SECRET-DATA",
        ),
        ("x $5$salt$hash y", "x <hidden> y"),
        ("scp://me:hu@sh@host/x", "scp://me:<hidden>@host/x"),
        (
            "https://ghp_abcdefghijklmnopqrst@host/x",
            "https://<hidden>@host/x",
        ),
        ("ftp://me@host/x", "ftp://me@host/x"),
        (
            "set snmp community hush authorization",
            "set snmp community <hidden> authorization",
        ),
        ("password {", "password {"),
        ("password", "password"),
    ] {
        assert_eq!(hidden(&bare, line), wanted);
    }
}

#[test]
fn a_private_key_loses_its_lines_and_keeps_its_frame() {
    let text = "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nAAAA==\n-----END RSA PRIVATE KEY-----\nb\n\
                -----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n\
                key \"-----BEGIN EC PRIVATE KEY-----\\nMIIEow\\n-----END EC PRIVATE KEY-----\"\nc\n";
    let wanted = "a\n-----BEGIN RSA PRIVATE KEY-----\n<hidden>\n<hidden>\n\
                  -----END RSA PRIVATE KEY-----\nb\n\
                  -----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n\
                  key \"-----BEGIN EC PRIVATE KEY-----<hidden>-----END EC PRIVATE KEY-----\"\nc\n";
    assert_eq!(hidden(&Platform::default(), text), wanted);
}

#[test]
fn a48_banners_and_certificates_keep_their_frames() {
    let text = "banner motd ^C\n enable secret 0 hush\n password hush^C\nbanner login #password hush#\n\
                crypto pki certificate chain x\n certificate self-signed 01\n  30820330 30820218\n  \
                \tquit\nline vty 0 4\n password 7 00\nend\n";
    let wanted = "banner motd ^C\n enable secret 0 <hidden>\n password <hidden>^C\n\
                  banner login #password <hidden>#\n\
                  crypto pki certificate chain x\n certificate self-signed 01\n  30820330 30820218\n  \
                  \tquit\nline vty 0 4\n password 7 <hidden>\nend\n";
    assert_eq!(hidden(&IOS, text), wanted);
    // A delimiter that stands in the mask would end the banner there.
    assert_eq!(
        hidden(&IOS, "banner motd d\nsecret 0 hush\nd\nend\n")
            .lines()
            .nth(1),
        Some("secret 0 ****")
    );
}

#[test]
fn a_block_ends_with_its_indentation() {
    let text = "radius server a\n key hush\n!\nkey chain b\n key 1\n  key-string hush\nradius server c\n \
                address x\n key hush\n";
    let wanted = "radius server a\n key <hidden>\n!\nkey chain b\n key 1\n  key-string <hidden>\n\
                  radius server c\n address x\n key <hidden>\n";
    assert_eq!(hidden(&IOS, text), wanted);
}

#[test]
fn the_secret_of_a_line_that_goes_on_is_masked_over_its_lines() {
    let mut router = Platform::default();
    router.secrets.add(
        Scope::Line,
        [r#"password=(?:\\\r?\n +)?("(?s:[^"\\]|\\.)*"|\S+)"#.to_owned()],
    );
    router.secrets.set_continued(Some(b"\\".to_vec()));
    let text = "add name=a \\\r\n    password=hush\r\nadd password=\\\r\n    \"hush\\\r\n    hush\" x=1\r\nend";
    let wanted = "add name=a \\\r\n    password=<hidden>\r\nadd password=\\\r\n    <hidden>\\\r\n    <hidden> x=1\r\nend";
    assert_eq!(hidden(&router, text), wanted);
    assert_eq!(hidden(&router, wanted), wanted);
}

#[test]
fn a_changed_secret_shows_and_an_equal_one_looks_equal() {
    let key = key();
    let shown = |text: &str| config(text.as_bytes(), &IOS, Mask::Keyed(&key));
    let old = shown("enable password one\nline vty 0 4\n password one\n");
    let new = shown("enable password two\nline vty 0 4\n password one\n");
    let lines = |text: &[u8]| -> Vec<String> {
        String::from_utf8_lossy(text)
            .lines()
            .map(str::to_owned)
            .collect()
    };
    let (old, new) = (lines(&old), lines(&new));
    assert_ne!(old[0], new[0]);
    assert_eq!(old[2], new[2]);
    assert_eq!(old[0].split(' ').next_back(), old[2].split(' ').next_back());
}

#[test]
fn a_line_alone_and_a_diff_are_masked_whatever_block_they_are_from() {
    let shown =
        |text: &str| String::from_utf8(diff(text.as_bytes(), &IOS.secrets, Mask::Hidden)).unwrap();
    let text = "--- a/csr1.cfg\n+++ b/csr1.cfg\n@@ -1,3 +1,3 @@ enable password hush\n radius server a\n\
                - key hush\n+ key hush2\n+MIIEowIBAAKCAQEAu1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6\n";
    let wanted = "--- a/csr1.cfg\n+++ b/csr1.cfg\n@@ -1,3 +1,3 @@ enable password <hidden>\n radius server a\n\
                  - key <hidden>\n+ key <hidden>\n+<hidden>\n";
    assert_eq!(shown(text), wanted);
    assert_eq!(shown(wanted), wanted);
    assert_eq!(
        line(b" key hush\r\n", &IOS.secrets, Mask::Stars),
        b" key ****\r\n"
    );
}

#[test]
fn stars_keep_every_byte_in_its_place() {
    let text = "enable secret 9 $9$abc\n password caf\u{e9}\n radius server a\n key x\n";
    let shown = config(text.as_bytes(), &IOS, Mask::Stars);
    assert_eq!(shown.len(), text.len());
    assert_eq!(config(&shown, &IOS, Mask::Stars), shown);
}

#[test]
fn what_a_device_hides_by_itself_is_left() {
    for line in ["username a password *****", "enable password <hidden>"] {
        let key = key();
        assert_eq!(
            config(line.as_bytes(), &IOS, Mask::Keyed(&key)),
            line.as_bytes()
        );
    }
}

/// A platform whose rules are as unfriendly as they can be: they overlap, match masks, and match
/// what only masking leaves behind.
fn unfriendly() -> Platform {
    let mut platform = Platform {
        config: ConfigDialogue {
            opaque: vec![
                Opaque {
                    begin: b"banner ".to_vec(),
                    end: OpaqueEnd::Delimiter,
                },
                Opaque {
                    begin: b"cert".to_vec(),
                    end: OpaqueEnd::Line(b"quit".to_vec()),
                },
            ],
            ..ConfigDialogue::default()
        },
        ..Platform::default()
    };
    let lines = [
        "(c.*b)",
        "([a-f]+)$",
        "x(.)",
        "> (.+)",
        r"(\d)",
        "secret(.*)",
    ];
    platform.secrets.add(Scope::Line, lines.map(str::to_owned));
    platform.secrets.add(Scope::Plain, ["^plain".to_owned()]);
    for (begin, end) in [("^x", None), ("open", Some("close")), (r"\d", None)] {
        platform.secrets.add_block(SecretBlock {
            begin: begin.into(),
            end: end.map(str::to_owned),
            lines: vec![r"(\S+)".into()],
        });
    }
    platform
}

fn words() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        prop::sample::select(vec![
            "password ",
            "secret 5 ",
            "x",
            "c1b",
            "banner m ^C",
            "^C",
            "cert",
            "quit",
            "\n",
            "\r\n",
            " ",
            "\n ",
            "open",
            "close",
            "plain",
            "<secret:0123abcd>",
            "<secret:",
            "<hidden>",
            "***",
            ">",
            "9",
            "://a:b@",
            "-----BEGIN PRIVATE KEY-----",
            "-----END PRIVATE KEY-----",
            "\"",
            "\t",
        ])
        .prop_map(|word| word.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

fn ends(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count()
}

proptest! {
    #[test]
    fn twice_is_once_and_lines_stay_whatever_the_rules(text in words()) {
        let key = key();
        let unfriendly = unfriendly();
        for platform in [&unfriendly, &IOS, &FRR, &Platform::default()] {
            for mask in [Mask::Keyed(&key), Mask::Hidden, Mask::Stars] {
                let once = config(&text, platform, mask);
                prop_assert_eq!(ends(&once), ends(&text));
                let twice = config(&once, platform, mask);
                prop_assert_eq!(String::from_utf8_lossy(&twice), String::from_utf8_lossy(&once));
                let once = diff(&text, &platform.secrets, mask);
                prop_assert_eq!(diff(&once, &platform.secrets, mask), once);
            }
            let shown = quote(&text, &platform.secrets, &[]);
            let again = quote(shown.as_bytes(), &platform.secrets, &[]);
            // What was cut off is cut off.
            prop_assert!(again == shown || shown.ends_with("..."), "{} {}", shown, again);
        }
    }

    #[test]
    fn planted_secrets_never_survive_and_other_lines_are_not_touched(
        lines in prop::collection::vec((0..IOS_SECRETS.len() + IOS_PLAIN.len(), "[A-Z][A-Za-z0-9+/.!%-]{7,24}"), 1..60),
    ) {
        let mut text = String::new();
        let mut secrets = Vec::new();
        for (which, secret) in &lines {
            // A top-level line ends any block before it.
            text += "!\n";
            match IOS_SECRETS.get(*which) {
                Some(template) => {
                    text += &template.replace("{}", secret);
                    secrets.push(secret);
                }
                None => text += IOS_PLAIN[which - IOS_SECRETS.len()],
            }
            text += "\n";
        }
        let key = key();
        for mask in [Mask::Keyed(&key), Mask::Hidden, Mask::Stars] {
            let shown = String::from_utf8(config(text.as_bytes(), &IOS, mask)).unwrap();
            for secret in &secrets {
                prop_assert!(!shown.contains(secret.as_str()), "{} in\n{}", secret, shown);
            }
            prop_assert_eq!(shown.lines().count(), text.lines().count());
            for (line, masked) in text.lines().zip(shown.lines()) {
                if IOS_PLAIN.contains(&line) {
                    prop_assert_eq!(line, masked);
                }
            }
        }
    }
}
