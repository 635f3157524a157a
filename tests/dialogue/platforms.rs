//! One test per platform: its fixtures have what every platform needs to show, each gets what it
//! should, and neither cuts at random places nor log messages between the lines change what is kept
//! and what is decided.

use super::rows::IOS;
use super::*;
use wrmem::model::platform::Channel;

/// What every platform shows, if it can happen to it at all.
fn needed(platform: &Platform) -> Vec<&'static [&'static str]> {
    let mut needed: Vec<&[&str]> = vec![
        &["the_good_path", "a00_the_good_path"],
        &["a_refused_command", "a11_invalid_input"],
        &["a_truncated_dump", "a20_closed_in_the_midst"],
    ];
    if platform.channel == Channel::Shell {
        needed.push(&["a_pager_that_stays_on", "a07_pager_that_will_not_go_off"]);
    }
    if platform.save.is_some() {
        needed.push(&[
            "a_failed_save",
            "a_save_that_is_aborted",
            "save_cannot_open",
            "a26_open_failed",
        ]);
    }
    if platform.enable.is_some() {
        needed.push(&["user_mode", "enable_is_refused", "a37_enable_with_a_secret"]);
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
        for message in messages {
            rows::messages_change_nothing(fixture, &device, &whole, message);
        }
        for _ in 0..20 {
            let mut cuts: Vec<u64> = (0..8)
                .map(|_| rng.u64(0..=fixture.bytes_sent_by_device()))
                .collect();
            cuts.sort_unstable();
            let cut = fixture.converse(&device, Reads::CutAt(cuts.clone()));
            assert_eq!(cut, whole, "{place}: cut at {cuts:?}");
        }
    }
}

// Its boxes are tests of their own, with messages between their lines (`rows`).
#[test]
fn platform_cisco_ios() {
    holds_up("cisco_ios", &[]);
}

#[test]
fn platform_frr() {
    holds_up("frr", &[IOS]);
}

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
