//! One test per platform: its fixtures have what every platform needs to show, each gets what it
//! should, and neither cuts nor log messages between the lines change what is kept.

use super::*;
use wrmem::model::platform::Channel;
use wrmem::text::opaque::Tracker;

/// What every platform shows, if it can happen to it at all.
fn needed(platform: &Platform) -> Vec<&'static [&'static str]> {
    let mut needed: Vec<&[&str]> = vec![
        &["the_good_path"],
        &["a_refused_command"],
        &["a_truncated_dump"],
    ];
    if platform.channel == Channel::Shell {
        needed.push(&["a_pager_that_stays_on"]);
    }
    if platform.save.is_some() {
        needed.push(&["a_failed_save", "a_save_that_is_aborted"]);
    }
    if platform.enable.is_some() {
        needed.push(&["user_mode", "enable_is_refused"]);
    }
    needed
}

fn holds_up(name: &str, messages: &[&str]) {
    let platforms = super::platforms();
    let platform = platforms.get(name).expect("a platform of that name");
    let fixtures: Vec<Fixture> = super::fixtures()
        .into_iter()
        .filter(|fixture| fixture.platform() == name)
        .collect();
    let boxes: Vec<String> = fixtures.iter().map(Fixture::name).collect();
    for any in needed(platform) {
        let there = any.iter().any(|wanted| boxes.iter().any(|b| b == wanted));
        assert!(there, "{name} has none of {any:?}");
    }
    let mut rng = fastrand::Rng::with_seed(41);
    for fixture in &fixtures {
        let device = fixture.device(&platforms);
        let whole = fixture.converse(&device, Reads::Whole);
        let place = fixture.folder.display();
        fixture.golden("sent", Some(escape(&whole.sent).as_bytes()));
        fixture.golden("config", whole.config.as_deref());
        fixture.golden("outcome", Some(whole.told.as_bytes()));
        for _ in 0..20 {
            let mut cuts: Vec<u64> = (0..8)
                .map(|_| rng.u64(0..=fixture.bytes_sent_by_device()))
                .collect();
            cuts.sort_unstable();
            let cut = fixture.converse(&device, Reads::CutAt(cuts.clone()));
            assert_eq!(cut, whole, "{place}: cut at {cuts:?}");
        }
    }
    let good = fixtures.iter().find(|f| f.name() == "the_good_path");
    for message in messages {
        interrupted(good.unwrap(), &platforms, message);
    }
}

/// A log message between any two lines of the config leaves it as it is, save in a banner, where
/// anything may be text. A device may move to a fresh line before it logs; in a config that has
/// blank lines of its own nothing tells that one from those, so there it does not.
fn interrupted(fixture: &Fixture, platforms: &BTreeMap<String, Arc<Platform>>, message: &str) {
    let device = fixture.device(platforms);
    let wanted = fixture.converse(&device, Reads::Whole).config.unwrap();
    let blanks = wanted.windows(2).any(|pair| pair == b"\n\n");
    let fresh = if blanks { "" } else { "\r\n" };
    let mut blocks = Tracker::default();
    let lines: Vec<&[u8]> = wanted
        .split(|b| *b == b'\n')
        .filter(|line| !blocks.line(line, &device.platform.config.opaque))
        .collect();
    // Where a config has blank lines of its own, nobody can say whose the one before a message is.
    let has_blanks = wanted.windows(2).any(|pair| pair == b"\n\n");
    let comparable = |config: &[u8]| -> String {
        let lines = config.split_inclusive(|b| *b == b'\n');
        let lines = lines.filter(|line| !has_blanks || *line != b"\n");
        lines.map(String::from_utf8_lossy).collect()
    };
    let mut tried = 0;
    for (at, pair) in fixture.steps.windows(2).enumerate() {
        let body = |step: &Step| match step {
            Step::Send(bytes) => lines
                .iter()
                .any(|line| bytes.strip_suffix(b"\r\n") == Some(line) && !line.is_empty()),
            _ => false,
        };
        if !pair.iter().all(body) {
            continue;
        }
        let mut steps = fixture.steps.clone();
        let message = format!("{fresh}{message}\r\n");
        steps.insert(at + 1, Step::Send(message.clone().into_bytes()));
        let other = Fixture {
            folder: fixture.folder.clone(),
            steps,
            set: fixture.set.clone(),
        };
        let outcome = other.converse(&device, Reads::Whole);
        assert_eq!(
            outcome.config.as_deref().map(comparable),
            Some(comparable(&wanted)),
            "{}: {message} before step {at}: {}",
            fixture.folder.display(),
            outcome.told
        );
        tried += 1;
    }
    assert!(tried > 3, "the message was hardly ever between two lines");
}

const IOS: &str = "*Nov 27 20:43:11.123: %SYS-5-CONFIG_I: Configured from console by ntc on vty0";

#[test]
fn platform_cisco_nxos() {
    let own = "2026 Nov 27 20:43:11 nx1 %ETHPORT-5-IF_UP: Interface Ethernet1/1 is up";
    holds_up("cisco_nxos", &[IOS, own]);
}

#[test]
fn platform_cisco_iosxr() {
    let own = "RP/0/RP0/CPU0:Nov 27 20:43:11.123 UTC: ifmgr[303]: %PKT_INFRA-LINK-3-UPDOWN : \
               Interface GigabitEthernet0/0/0/0, changed state to Down";
    holds_up("cisco_iosxr", &[IOS, own]);
}

#[test]
fn platform_cisco_asa() {
    let own = "%ASA-5-111008: User 'ntc' executed the 'enable' command.";
    holds_up("cisco_asa", &[IOS, own]);
}

#[test]
fn platform_arista_eos() {
    let own = "Nov 27 20:43:11 sw1 Ebra: %LINEPROTO-5-UPDOWN: Line protocol on Interface Ethernet1";
    holds_up("arista_eos", &[IOS, own]);
}

#[test]
fn platform_juniper_junos() {
    holds_up("juniper_junos", &[]);
}

#[test]
fn platform_vyos() {
    holds_up("vyos", &[]);
}

#[test]
fn platform_vyos_shell() {
    holds_up("vyos_shell", &[IOS]);
}

#[test]
fn platform_mikrotik_routeros() {
    holds_up("mikrotik_routeros", &[]);
}

#[test]
fn platform_aruba_aoscx() {
    holds_up("aruba_aoscx", &[IOS]);
}

#[test]
fn platform_h3c_comware() {
    let own = "%Nov 27 20:43:11:123 2026 sw1 IFNET/3/LINK_UPDOWN: GigabitEthernet1/0/1 is up.";
    holds_up("h3c_comware", &[IOS, own]);
}
