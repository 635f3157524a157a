//! Whole runs of the real binary against FRRouting: vtysh as the login shell of OpenSSH's sshd,
//! one instance on each loopback address.
//!
//! Needs root, sshd and FRR (`.ci/run` installs them). Where these or the right to make namespaces
//! are missing, the suite says so in one line and passes; `WRMEM_FRR=required` makes it fail.
#![cfg(test)]

mod network;
mod office;
mod router;

use jiff::Timestamp;
use network::Network;
use office::Office;
use router::{Plan, Router, Saving};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

const DAEMONS: [&str; 3] = ["zebra", "bgpd", "staticd"];
const WITH_OSPF: [&str; 4] = ["zebra", "bgpd", "ospfd", "staticd"];

/// Long enough for many pages and many packets.
fn long_config() -> String {
    let mut config = "log syslog informational\nip forwarding\n".to_owned();
    for net in 0..1500 {
        let (high, low) = (net / 250, net % 250);
        let _ = writeln!(config, "ip route 10.{high}.{low}.0/24 blackhole");
    }
    config.push_str("router bgp 65001\n neighbor 192.0.2.1 remote-as 65000\n");
    config
}

/// Texts that look like a prompt, an end, a pager and a refusal, and bytes beyond ASCII.
const TRICKY: &str = "\
interface lo
 description r2# end --More-- (END) % Unknown command
router bgp 65002
 neighbor 192.0.2.2 remote-as 65000
 neighbor 192.0.2.2 description r2# Zürich
 neighbor 192.0.2.2 password not-for-the-log
router ospf
 ospf router-id 192.0.2.22
access-list end seq 5 permit any
route-map end permit 10
 description end
";

const SMALL: &str = "\
ip route 10.3.0.0/16 blackhole
router bgp 65003
 neighbor 192.0.2.3 remote-as 65000
";

fn three(network: &Network) -> [Router<'_>; 3] {
    let long = long_config();
    [
        Plan {
            name: "r1",
            address: "127.0.0.11",
            saving: Saving::Watched,
            daemons: &DAEMONS,
            config: &long,
        },
        Plan {
            name: "r2",
            address: "127.0.0.12",
            saving: Saving::Direct,
            daemons: &WITH_OSPF,
            config: TRICKY,
        },
        Plan {
            name: "r3",
            address: "127.0.0.13",
            saving: Saving::Split,
            daemons: &DAEMONS,
            config: SMALL,
        },
    ]
    .map(|plan| Router::start(network, &plan))
}

#[test]
fn each_router_is_saved_and_stored_as_it_shows_itself() {
    let Some(network) = Network::build() else {
        return;
    };
    let routers = three(&network);
    let office = Office::new(&network, &routers.each_ref());
    let marks = [
        "ip route 10.1.44.0/24",
        "neighbor 192.0.2.2 rem",
        "router bgp 65003",
    ];
    for (router, mark) in routers.iter().zip(marks) {
        assert!(router.running_config().contains(mark), "{}", router.name());
        assert!(!router.startup_config(&DAEMONS).contains(mark));
    }

    let run = office.backup();
    for (router, mark) in routers.iter().zip(marks) {
        run.expect(router, "ok", "new");
        assert!(
            router.startup_config(&DAEMONS).contains(mark),
            "{} is saved",
            router.name()
        );
        assert_eq!(office.stored(router).unwrap(), router.running_config());
        assert_eq!(router.logged("Accepted password for ntc"), 1);
    }
    assert_eq!(run.exit, Some(0));
    for secret in ["ntc123", "not-for-the-log"] {
        assert!(!run.told.contains(secret), "{secret} was told");
    }

    let written = routers.each_ref().map(|router| office.written(router));
    let run = office.backup();
    for router in &routers {
        run.expect(router, "ok", "unchanged");
    }
    assert_eq!(run.exit, Some(0));
    assert_eq!(
        routers.each_ref().map(|router| office.written(router)),
        written
    );

    let route = "ip route 10.99.0.0/16 blackhole";
    routers[2].vtysh(&["configure terminal", route]);
    let run = office.backup();
    run.expect(&routers[0], "ok", "unchanged");
    run.expect(&routers[1], "ok", "unchanged");
    run.expect(&routers[2], "ok", "changed");
    assert!(office.stored(&routers[2]).unwrap().contains(route));
    assert!(routers[2].startup_config(&DAEMONS).contains(route));
}

#[test]
fn a_change_on_the_box_is_a_version_with_its_diff_at_the_next_turn() {
    let Some(network) = Network::build() else {
        return;
    };
    let routers = three(&network);
    let office = Office::new(&network, &routers.each_ref());
    office.set(&format!(
        "run.every = \"2s\"\narchive.kinds = [\"files\", \"git\"]\narchive.git_dir = {:?}\n\
         archive.commit_every = \"1s\"\n",
        office.path("configs.git")
    ));
    let mut service = office.serve();
    let mut seen = BTreeMap::new();
    while seen.len() < routers.len() {
        let (name, _, stored) = service.next_done();
        seen.entry(name).or_insert(stored);
    }
    assert!(seen.values().all(|stored| stored == "new"), "{seen:?}");

    let changes = [1, 2, 3].map(|net| format!("ip route 10.97.{net}.0/24 blackhole"));
    let mut made = BTreeMap::new();
    for (router, change) in routers.iter().zip(&changes) {
        router.vtysh(&["configure terminal", change]);
        made.insert(router.name().to_owned(), Timestamp::now());
    }
    // Whoever had its turn when the change was made has it in the next one at the latest.
    let mut changed = BTreeSet::new();
    while changed.len() < routers.len() {
        let (name, began, stored) = service.next_done();
        if stored == "changed" {
            changed.insert(name);
        } else {
            let late = began > made[&name] && !changed.contains(&name);
            assert!(!late, "{name} was {stored} at {began}");
        }
    }
    for (router, change) in routers.iter().zip(&changes) {
        let wanted = format!("\n+{change}\n");
        // A commit is due within a second; a bound, so that the test never hangs.
        let diff = (0..1_000)
            .map(|_| office.ask(&["diff", router.name()]))
            .find(|diff| diff.contains(&wanted));
        let diff = diff.unwrap_or_else(|| office.ask(&["diff", router.name()]));
        assert!(diff.contains(&wanted), "{}: {diff}", router.name());
        let removed = diff.lines().filter(|line| line.starts_with('-'));
        assert_eq!(removed.count(), 1, "the file's name alone: {diff}");
    }
    service.stop();
    for router in &routers {
        let log = office.ask(&["log", router.name()]);
        assert_eq!(log.lines().filter(|line| line.contains('+')).count(), 2);
    }
}

#[test]
fn a_router_that_lost_a_daemon_fails_and_keeps_its_last_good_config() {
    let Some(network) = Network::build() else {
        return;
    };
    let routers = three(&network);
    let office = Office::new(&network, &routers.each_ref());
    assert_eq!(office.backup().exit, Some(0));
    let good = routers
        .each_ref()
        .map(|router| office.stored(router).unwrap());
    let written = routers.each_ref().map(|router| office.written(router));
    let saved = routers
        .each_ref()
        .map(|router| router.startup_config(&DAEMONS));

    let [r1, r2, r3] = &routers;
    r2.kill("bgpd");
    for router in &routers {
        router.vtysh(&["configure terminal", "ip route 10.98.0.0/16 blackhole"]);
    }
    assert!(
        !r2.running_config().contains("router bgp"),
        "FRR hides what is lost"
    );
    assert!(r2.running_config().ends_with("\nend\n"), "and looks whole");

    let run = office.backup();
    assert_eq!(run.exit, Some(1));
    run.expect(r2, "failed", "-");
    let [_, _, message] = run.failure(r2);
    assert!(message.contains("bgpd"), "{message}");
    assert_eq!(office.stored(r2).unwrap(), good[1], "nothing is stored");
    assert_eq!(office.written(r2), written[1], "nothing is touched");
    assert_eq!(r2.startup_config(&DAEMONS), saved[1], "nothing is saved");
    for router in [r1, r3] {
        run.expect(router, "ok", "changed");
        assert_eq!(office.stored(router).unwrap(), router.running_config());
        assert!(router.startup_config(&DAEMONS).contains("10.98.0.0/16"));
    }

    // Nobody but us keeps FRR from losing its BGP for good.
    assert!(r2.as_ntc("write memory").contains("[OK]"));
    assert!(saved[1].contains("router bgp") && !r2.startup_config(&DAEMONS).contains("router bgp"));

    let saved = r3.startup_config(&DAEMONS);
    r3.kill("staticd");
    r3.vtysh(&["configure terminal", "ip prefix-list late seq 5 permit any"]);
    let run = office.backup();
    run.expect(r1, "ok", "unchanged");
    run.expect(r2, "failed", "-");
    run.expect(r3, "failed", "-");
    assert!(
        run.failure(r3)[2].contains("staticd"),
        "{:?}",
        run.failure(r3)
    );
    assert_eq!(r3.startup_config(&DAEMONS), saved);
}

#[test]
fn a_router_that_cannot_save_is_stored_and_told_of() {
    let Some(network) = Network::build() else {
        return;
    };
    let router = Router::start(
        &network,
        &Plan {
            name: "r4",
            address: "127.0.0.14",
            saving: Saving::Refused,
            daemons: &DAEMONS,
            config: SMALL,
        },
    );
    let office = Office::new(&network, &[&router]);
    let before = router.startup_config(&DAEMONS);
    let run = office.backup();
    run.expect(&router, "not_saved", "new");
    let [stage, _, message] = run.failure(&router);
    assert_eq!(stage, "save");
    assert!(message.contains("frr.conf"), "{message}");
    assert_eq!(run.exit, Some(1));
    assert_eq!(router.startup_config(&DAEMONS), before);
    assert_eq!(office.stored(&router).unwrap(), router.running_config());
}

#[test]
fn a_wrong_password_is_sent_once_and_none_to_a_changed_host_key() {
    let Some(network) = Network::build() else {
        return;
    };
    let router = Router::start(
        &network,
        &Plan {
            name: "r5",
            address: "127.0.0.15",
            saving: Saving::Watched,
            daemons: &DAEMONS,
            config: SMALL,
        },
    );
    let office = Office::new(&network, &[&router]);
    office.set_password("not-the-password");
    let run = office.backup();
    run.expect(&router, "failed", "-");
    assert_eq!(run.failure(&router)[0], "connect");
    assert_eq!(run.attempts(&router), 1);
    assert_eq!(router.logged("Failed password for ntc"), 1);
    assert_eq!(router.logged("Failed"), 1, "nothing else is tried either");
    assert!(!run.told.contains("not-the-password"));
    assert_eq!(office.stored(&router), None);

    office.set_password("ntc123");
    office.backup().expect(&router, "ok", "new");
    router.replace_host_key();
    let accepted = router.logged("Accepted");
    let run = office.backup();
    run.expect(&router, "failed", "-");
    let [stage, kind, message] = run.failure(&router);
    assert_eq!((stage.as_str(), kind.as_str()), ("connect", "host_key"));
    assert!(message.contains("wrmem trust"), "{message}");
    assert_eq!(
        (router.logged("Failed"), router.logged("Accepted")),
        (1, accepted)
    );
}
