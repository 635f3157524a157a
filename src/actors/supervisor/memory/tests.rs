//! What is remembered, and whom that makes the supervisor leave alone.

use super::super::tests::{Act, World, device, in_world, start};
use super::*;
use crate::actors::messages::StartRun;
use crate::flow::Work;
use crate::flow::breaker::Asked;
use crate::model::device::{BrokenDevice, DeviceName};
use crate::model::health::Released;
use crate::model::history::Trigger;

/// What became of devices, as it is remembered: name, outcome, weight.
fn ends(world: &World) -> Vec<(String, &'static str, Weight)> {
    let entries = world.remembered.try_iter();
    let mut ends: Vec<_> = entries
        .filter_map(|entry| match entry {
            Entry::DeviceEnded(ended) => {
                Some((ended.device.to_string(), ended.outcome.name(), ended.weight))
            }
            _ => None,
        })
        .collect();
    ends.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    ends
}

#[test]
fn a_run_is_remembered_from_its_beginning_to_its_end_before_it_is_over() {
    in_world(
        |name, _, _| match name {
            "refused" => Act::Fail(FailureKind::AuthRefused),
            _ => Act::Done,
        },
        |world| async move {
            let run = StartRun {
                broken: vec![BrokenDevice {
                    name: DeviceName::new("odd").unwrap(),
                    host: "odd".into(),
                    platform: String::new(),
                    message: "devices.toml:3: unknown platform".into(),
                }],
                ..start(&["a", "refused"], 10)
            };
            world.supervisor.send(run).await.unwrap().unwrap();
            let entries: Vec<_> = world.remembered.try_iter().collect();
            let Some(Entry::RunBegan(began)) = entries.first() else {
                panic!("{entries:?}")
            };
            assert_eq!((began.devices, began.trigger), (3, Trigger::Schedule));
            let Some(Entry::RunEnded(ended)) = entries.last() else {
                panic!("{entries:?}")
            };
            assert_eq!(ended.run, began.run);
            assert_eq!((ended.counts.succeeded, ended.counts.failed), (1, 2));
            let devices = entries
                .iter()
                .filter(|entry| matches!(entry, Entry::DeviceEnded(_)))
                .count();
            assert_eq!(devices, 3);
        },
    );
}

#[test]
fn a_look_at_logins_and_an_empty_run_are_not_remembered() {
    in_world(
        |_, _, _| Act::Fail(FailureKind::Connect),
        |world| async move {
            for _ in 0..5 {
                let run = StartRun {
                    work: Work::Login,
                    ..start(&["a"], 10)
                };
                let report = world.supervisor.send(run).await.unwrap().unwrap();
                assert_eq!(report.devices[0].attempts.len(), 3, "always tried");
            }
            let empty = start(&[], 10);
            world.supervisor.send(empty).await.unwrap().unwrap();
            assert!(world.remembered.try_recv().is_err());
        },
    );
}

#[test]
fn a_dead_device_is_left_alone_then_tried_once_and_behind_the_others() {
    in_world(
        |name, _, _| match name {
            "dead" => Act::Fail(FailureKind::Connect),
            _ => Act::DoneAfter(Duration::from_secs(1)),
        },
        |world| async move {
            let run = || async {
                let report = world.supervisor.send(start(&["dead", "a", "b"], 1));
                report.await.unwrap().unwrap()
            };
            let attempts = |report: &RunReport| {
                let mut devices = report.devices.iter();
                let dead = devices.find(|device| device.name.as_str() == "dead");
                dead.unwrap().attempts.len()
            };
            assert_eq!(attempts(&run().await), 3);
            assert_eq!(attempts(&run().await), 3);
            world.remembered.try_iter().for_each(drop);
            assert_eq!(attempts(&run().await), 0, "it rests");
            let counts = |name: &str| (name.to_owned(), "ok", Weight::Counts);
            let left = ("dead".to_owned(), "failed", Weight::LeftAlone);
            assert_eq!(ends(&world), [counts("a"), counts("b"), left]);
            tokio::time::sleep(Duration::from_secs(300)).await;
            let probed = run().await;
            assert_eq!(attempts(&probed), 1);
            assert_eq!(probed.devices.last().unwrap().name.as_str(), "dead");
            let asked = Asked {
                trigger: Trigger::Command,
                ..Asked::by(Trigger::Command)
            };
            let by_hand = StartRun {
                asked,
                ..start(&["dead"], 1)
            };
            let by_hand = world.supervisor.send(by_hand).await.unwrap().unwrap();
            assert_eq!(attempts(&by_hand), 1, "a command tries it all the same");
        },
    );
}

#[test]
fn a_device_that_is_tried_in_a_new_run_starts_from_what_is_remembered_of_it() {
    in_world(
        |name, _, _| if name == "bad" { Act::Panic } else { Act::Done },
        |world| async move {
            world
                .supervisor
                .send(start(&["bad"], 10))
                .await
                .unwrap()
                .unwrap();
            let entries: Vec<_> = world.remembered.try_iter().collect();
            let incidents: Vec<_> = entries
                .iter()
                .filter_map(|entry| match entry {
                    Entry::Incident(incident) => Some(incident.kind.as_str()),
                    _ => None,
                })
                .collect();
            assert_eq!(incidents, ["quarantined"]);
            let health = entries.iter().find_map(|entry| match entry {
                Entry::DeviceEnded(ended) => ended.health,
                _ => None,
            });
            assert_eq!(health.unwrap().crashes, 3);
            let bad = Released {
                device: DeviceName::new("bad").unwrap(),
                credentials: None,
            };
            world.supervisor.send(Release(vec![bad])).await.unwrap();
            let report = world.supervisor.send(start(&["bad"], 10)).await;
            assert_eq!(report.unwrap().unwrap().devices[0].attempts.len(), 3);
        },
    );
}

#[test]
fn a_device_that_comes_into_quarantine_is_not_retried_within_the_run() {
    in_world(
        |_, _, _| Act::Panic,
        |world| async move {
            let mut patient = (*device("bad")).clone();
            patient.attempts = 9;
            let run = StartRun {
                devices: vec![Arc::new(patient)],
                ..start(&[], 10)
            };
            let report = world.supervisor.send(run).await.unwrap().unwrap();
            assert_eq!(report.devices[0].attempts.len(), 3);
        },
    );
}
