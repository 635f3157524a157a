//! Breakers over simulated hours and days.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

const POLICY: BreakerPolicy = BreakerPolicy {
    unreachable_runs: 3,
    rest: Duration::from_secs(300),
    rest_max: HOUR,
    refused_rest: Duration::from_secs(1800),
    crashes: 3,
    crash_window: DAY,
    quarantine: DAY,
};

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn name(text: &str) -> DeviceName {
    DeviceName::new(text).unwrap()
}

fn breakers() -> Breakers {
    Breakers::new(POLICY, [], [])
}

fn failed(stage: Stage, kind: FailureKind) -> Outcome {
    Outcome::Failed(Failure::new(stage, kind, "x"))
}

fn dead() -> Outcome {
    failed(Stage::Connect, FailureKind::Connect)
}

fn refused() -> Outcome {
    failed(Stage::Connect, FailureKind::AuthRefused)
}

/// A device of credentials `lab` ended; a login was tried unless it is dead.
fn end(breakers: &mut Breakers, device: &str, outcome: &Outcome, now: SystemTime) -> Vec<Change> {
    let unreachable = outcome.failure().is_some_and(is_unreachable);
    let ending = Ending {
        device: &name(device),
        credentials: "lab",
        refused: &[],
        outcome,
        login: if unreachable {
            Login::Untried
        } else {
            Login::Tried
        },
    };
    breakers.ended(&ending, now)
}

fn verdict(breakers: &Breakers, device: &str, asked: &Asked, now: SystemTime) -> &'static str {
    match breakers.verdict(&name(device), "lab", asked, now) {
        Verdict::Try => "try",
        Verdict::TryOnce => "once",
        Verdict::Leave(_) => "leave",
    }
}

fn schedule() -> Asked {
    Asked::by(Trigger::Schedule)
}

fn command() -> Asked {
    Asked::by(Trigger::Command)
}

fn by_name(device: &str) -> Asked {
    Asked {
        named: HashSet::from([name(device)]),
        ..command()
    }
}

#[test]
fn a_dead_device_rests_longer_and_longer_and_is_tried_once_after_each_rest() {
    let mut breakers = breakers();
    let mut now = start();
    for _ in 0..2 {
        assert_eq!(verdict(&breakers, "r1", &schedule(), now), "try");
        assert!(end(&mut breakers, "r1", &dead(), now).is_empty());
        now += 5 * MINUTE;
    }
    let mut rests = Vec::new();
    for _ in 0..7 {
        let changes = end(&mut breakers, "r1", &dead(), now);
        let [Change::Opened(rest)] = changes.as_slice() else {
            panic!("{changes:?}")
        };
        rests.push(rest.period.length().as_secs() / 60);
        assert_eq!(verdict(&breakers, "r1", &schedule(), now), "leave");
        let over = rest.period.until;
        assert_eq!(
            verdict(
                &breakers,
                "r1",
                &schedule(),
                over - Duration::from_millis(1)
            ),
            "leave"
        );
        assert_eq!(verdict(&breakers, "r1", &schedule(), over), "once");
        now = over;
    }
    assert_eq!(rests, [5, 10, 20, 40, 60, 60, 60]);
    assert_eq!(
        end(&mut breakers, "r1", &Outcome::Ok, now),
        [Change::Closed]
    );
    assert_eq!(verdict(&breakers, "r1", &schedule(), now), "try");
    assert_eq!(breakers.health(&name("r1")), Health::default());
}

#[test]
fn a_day_of_a_dead_device_costs_few_attempts_at_any_interval() {
    for (every, most) in [(MINUTE, 36), (5 * MINUTE, 36), (HOUR, 24 + 6), (DAY, 3)] {
        let mut breakers = breakers();
        let mut attempts = 0;
        let mut now = start();
        while now < start() + DAY {
            match verdict(&breakers, "r1", &schedule(), now) {
                "try" => attempts += 3,
                "once" => attempts += 1,
                _ => {
                    now += every;
                    continue;
                }
            }
            end(&mut breakers, "r1", &dead(), now);
            now += every;
        }
        assert!(attempts <= most, "every {every:?}: {attempts} attempts");
    }
}

#[test]
fn only_silence_is_unreachable() {
    let others = [
        failed(Stage::Connect, FailureKind::Busy),
        failed(Stage::Connect, FailureKind::HostKey),
        failed(Stage::Connect, FailureKind::Algorithms),
        failed(Stage::Backup, FailureKind::Crashed),
        failed(Stage::Backup, FailureKind::Timeout),
        failed(Stage::Save, FailureKind::Reset),
    ];
    for outcome in others {
        let mut breakers = breakers();
        for _ in 0..2 {
            end(&mut breakers, "r1", &dead(), start());
        }
        for _ in 0..9 {
            end(&mut breakers, "r1", &outcome, start());
        }
        assert_eq!(
            verdict(&breakers, "r1", &schedule(), start()),
            "try",
            "{outcome:?}"
        );
        end(&mut breakers, "r1", &dead(), start());
        assert_eq!(breakers.health(&name("r1")).unreachable, 1, "begun anew");
    }
}

#[test]
fn a_failure_of_our_own_before_the_device_answered_says_nothing() {
    let mut breakers = breakers();
    for kind in [FailureKind::Crashed, FailureKind::Settings] {
        end(&mut breakers, "r1", &dead(), start());
        end(&mut breakers, "r1", &failed(Stage::Connect, kind), start());
    }
    assert_eq!(breakers.health(&name("r1")).unreachable, 2);
}

#[test]
fn a_device_that_answers_again_in_any_way_is_reachable() {
    let mut breakers = breakers();
    for _ in 0..3 {
        end(&mut breakers, "r1", &dead(), start());
    }
    let busy = failed(Stage::Connect, FailureKind::Busy);
    assert_eq!(end(&mut breakers, "r1", &busy, start()), [Change::Closed]);
    assert_eq!(verdict(&breakers, "r1", &schedule(), start()), "try");
}

#[test]
fn refused_credentials_are_not_sent_again_for_half_an_hour() {
    let mut breakers = breakers();
    let changes = end(&mut breakers, "r1", &refused(), start());
    assert!(matches!(changes[..], [Change::Opened(_)]), "{changes:?}");
    let soon = start() + 29 * MINUTE;
    assert_eq!(verdict(&breakers, "r1", &schedule(), soon), "leave");
    assert_eq!(verdict(&breakers, "r1", &command(), soon), "leave");
    assert_eq!(verdict(&breakers, "r1", &by_name("r1"), soon), "try");
    assert_eq!(verdict(&breakers, "r1", &by_name("r2"), soon), "leave");
    assert_eq!(verdict(&breakers, "r2", &schedule(), soon), "try");
    let later = start() + 30 * MINUTE;
    assert_eq!(verdict(&breakers, "r1", &schedule(), later), "once");
}

#[test]
fn what_was_refused_before_the_credentials_changed_does_not_count() {
    let mut breakers = breakers();
    for device in ["r1", "r2", "r3"] {
        end(&mut breakers, device, &refused(), start());
    }
    let now = start() + MINUTE;
    let changed = |at| Asked {
        credentials_changed: Some(at),
        ..schedule()
    };
    for device in ["r1", "r4"] {
        let before = changed(start() - MINUTE);
        assert_eq!(verdict(&breakers, device, &before, now), "leave");
        assert_eq!(verdict(&breakers, device, &changed(now), now), "try");
    }
}

#[test]
fn credentials_that_three_devices_refused_rest_for_all_and_one_refusal_suffices_afterwards() {
    let mut breakers = breakers();
    for device in ["r1", "r2"] {
        end(&mut breakers, device, &refused(), start());
    }
    assert_eq!(verdict(&breakers, "r9", &schedule(), start()), "try");
    let changes = end(&mut breakers, "r3", &refused(), start());
    assert!(
        matches!(
            changes[..],
            [Change::Opened(_), Change::CredentialsRest(3, _)]
        ),
        "{changes:?}"
    );
    assert_eq!(verdict(&breakers, "r9", &schedule(), start()), "leave");
    let other = breakers.verdict(&name("r9"), "other", &schedule(), start());
    assert_eq!(other, Verdict::Try, "other credentials are not concerned");
    let later = start() + 30 * MINUTE;
    assert_eq!(verdict(&breakers, "r9", &schedule(), later), "try");
    end(&mut breakers, "r9", &refused(), later);
    assert_eq!(verdict(&breakers, "r8", &schedule(), later), "leave");
    // One device that takes them ends it for all but those that refused.
    end(&mut breakers, "r7", &Outcome::Ok, later);
    assert_eq!(verdict(&breakers, "r8", &schedule(), later), "try");
    assert_eq!(verdict(&breakers, "r9", &schedule(), later), "leave");
}

#[test]
fn a_login_that_was_held_back_says_nothing_about_the_device() {
    let mut breakers = breakers();
    let ending = Ending {
        device: &name("r1"),
        credentials: "lab",
        refused: &[],
        outcome: &refused(),
        login: Login::Untried,
    };
    assert!(breakers.ended(&ending, start()).is_empty());
    assert_eq!(verdict(&breakers, "r1", &schedule(), start()), "try");
}

#[test]
fn a_failure_after_the_login_closes_what_was_refused() {
    let mut breakers = breakers();
    end(&mut breakers, "r1", &refused(), start());
    let unproven = failed(Stage::Backup, FailureKind::Unproven);
    let now = start() + MINUTE;
    assert_eq!(end(&mut breakers, "r1", &unproven, now), [Change::Closed]);
    assert_eq!(breakers.credential_health("lab").refused, 0);
}

#[test]
fn a_refused_device_that_goes_silent_keeps_its_rest() {
    let mut breakers = breakers();
    end(&mut breakers, "r1", &refused(), start());
    end(&mut breakers, "r1", &dead(), start());
    let rest = breakers.health(&name("r1")).rest.unwrap();
    assert_eq!(rest.cause, RestCause::Refused);
}

#[test]
fn a_command_tries_a_dead_device_once_and_a_named_one_as_often_as_ever() {
    let mut breakers = breakers();
    for _ in 0..3 {
        end(&mut breakers, "r1", &dead(), start());
    }
    assert_eq!(verdict(&breakers, "r1", &schedule(), start()), "leave");
    assert_eq!(verdict(&breakers, "r1", &command(), start()), "once");
    assert_eq!(verdict(&breakers, "r1", &by_name("r1"), start()), "try");
}

#[test]
fn trying_a_resting_device_by_hand_makes_its_rest_no_longer() {
    let mut breakers = breakers();
    for _ in 0..3 {
        end(&mut breakers, "r1", &dead(), start());
    }
    let rest = breakers.health(&name("r1")).rest;
    for _ in 0..9 {
        assert!(end(&mut breakers, "r1", &dead(), start() + MINUTE).is_empty());
    }
    assert_eq!(breakers.health(&name("r1")).rest, rest);
    let over = start() + 5 * MINUTE;
    assert_eq!(verdict(&breakers, "r1", &schedule(), over), "once");
}

#[test]
fn crashes_that_repeat_lead_into_quarantine_whoever_asks() {
    let mut breakers = breakers();
    let r1 = name("r1");
    assert_eq!(breakers.crashed(&r1, start()), None);
    assert_eq!(breakers.crashed(&r1, start() + HOUR), None);
    let third = start() + 20 * HOUR;
    let change = breakers.crashed(&r1, third);
    assert!(
        matches!(change, Some(Change::Quarantined(3, _))),
        "{change:?}"
    );
    for asked in [schedule(), command(), by_name("r1")] {
        assert_eq!(verdict(&breakers, "r1", &asked, third + HOUR), "leave");
    }
    assert_eq!(verdict(&breakers, "r1", &schedule(), third + DAY), "once");
    // It crashes again: at once back in quarantine.
    let change = breakers.crashed(&r1, third + DAY);
    assert!(
        matches!(change, Some(Change::Quarantined(4, _))),
        "{change:?}"
    );
    let release = Released {
        device: r1,
        credentials: Some("lab".to_owned()),
    };
    assert!(breakers.release(&release));
    assert!(!breakers.release(&release));
    assert_eq!(verdict(&breakers, "r1", &schedule(), third + DAY), "try");
}

#[test]
fn a_release_also_ends_the_rest_of_the_credentials_that_the_device_uses() {
    let mut breakers = breakers();
    for device in ["r1", "r2", "r3"] {
        end(&mut breakers, device, &refused(), start());
    }
    assert_eq!(verdict(&breakers, "r9", &schedule(), start()), "leave");
    breakers.release(&Released {
        device: name("r1"),
        credentials: Some("lab".to_owned()),
    });
    assert_eq!(verdict(&breakers, "r1", &schedule(), start()), "try");
    assert_eq!(verdict(&breakers, "r9", &schedule(), start()), "try");
    assert_eq!(verdict(&breakers, "r2", &schedule(), start()), "leave");
}

#[test]
fn crashes_far_apart_or_followed_by_a_good_backup_do_not_add_up() {
    let mut breakers = breakers();
    let r1 = name("r1");
    for day in 0..20 {
        let now = start() + day * (DAY + MINUTE);
        assert_eq!(breakers.crashed(&r1, now), None);
    }
    breakers.crashed(&r1, start() + 20 * (DAY + MINUTE));
    end(&mut breakers, "r1", &Outcome::Ok, start());
    assert_eq!(breakers.crashed(&r1, start()), None);
    assert_eq!(breakers.crashed(&r1, start()), None);
}

#[test]
fn a_clock_that_was_set_back_prolongs_no_rest() {
    let mut breakers = breakers();
    for _ in 0..3 {
        end(&mut breakers, "r1", &dead(), start());
    }
    let back = start() - 300 * DAY;
    let Verdict::Leave(failure) = breakers.verdict(&name("r1"), "lab", &schedule(), back) else {
        panic!("it rests")
    };
    assert!(failure.message.contains("in 5 min"), "{failure}");
}

#[test]
fn much_of_the_fleet_crashing_must_end_the_run_and_a_few_devices_never() {
    assert!(!must_end(1, 1));
    assert!(!must_end(3, 3));
    assert!(!must_end(4, 4));
    assert!(must_end(5, 5));
    assert!(!must_end(20, 100));
    assert!(must_end(21, 100));
    assert!(!must_end(2000, 10_000));
    assert!(must_end(2001, 10_000));
}

#[test]
fn messages_say_why_and_what_to_do() {
    let mut breakers = breakers();
    for _ in 0..3 {
        end(&mut breakers, "r1", &dead(), start());
        breakers.crashed(&name("r3"), start());
    }
    end(&mut breakers, "r2", &refused(), start());
    let told = |device: &str, now| match breakers.verdict(&name(device), "lab", &schedule(), now) {
        Verdict::Leave(failure) => (failure.kind, failure.message),
        other => panic!("{other:?}"),
    };
    let (kind, message) = told("r1", start() + Duration::from_millis(1));
    assert_eq!(kind, FailureKind::Connect);
    assert!(
        message.contains("in 5 min") && message.contains("wrmem backup r1"),
        "{message}"
    );
    let (kind, message) = told("r2", start() + 20 * MINUTE);
    assert_eq!(kind, FailureKind::AuthRefused);
    assert!(
        message.contains("in 10 min") && message.contains("credentials.toml"),
        "{message}"
    );
    let (kind, message) = told("r3", start());
    assert_eq!(kind, FailureKind::Crashed);
    assert!(
        message.contains("in 24 h") && message.contains("wrmem release r3"),
        "{message}"
    );
}

#[test]
fn of_several_credentials_each_rests_by_itself() {
    let mut breakers = breakers();
    let refused = [String::from("ntc"), String::from("old")];
    let outcome = failed(Stage::Connect, FailureKind::AuthRefused);
    let mut changes = Vec::new();
    for number in 0..REFUSALS_MAX {
        let device = DeviceName::new(&format!("csr{number}")).unwrap();
        let ending = Ending {
            device: &device,
            credentials: "ntc",
            refused: &refused,
            outcome: &outcome,
            login: Login::Tried,
        };
        changes = breakers.ended(&ending, start());
    }
    let resting = |change: &&Change| matches!(change, Change::CredentialsRest(..));
    assert_eq!(changes.iter().filter(resting).count(), 2);
    let asked = Asked::by(Trigger::Schedule);
    for (name, rests) in [("ntc", true), ("old", true), ("lab", false)] {
        let end = breakers.credentials_rest(name, &asked, start());
        assert_eq!(end.is_some(), rests, "{name}");
    }
}

#[test]
fn credentials_that_a_device_refused_before_it_took_others_are_not_held_against() {
    let mut breakers = breakers();
    let refused = [String::from("ntc")];
    for number in 0..10 {
        let device = DeviceName::new(&format!("csr{number}")).unwrap();
        let ending = Ending {
            device: &device,
            credentials: "old",
            refused: &refused,
            outcome: &Outcome::Ok,
            login: Login::Tried,
        };
        assert_eq!(breakers.ended(&ending, start()), []);
    }
    let asked = Asked::by(Trigger::Schedule);
    assert_eq!(breakers.credentials_rest("ntc", &asked, start()), None);
}
