//! When devices are saved, and what is answered where saving asks.

use crate::world::World;
use wrmem::lab::{Fault, FaultRule, LabSpec, Select};

fn world_with(fault: Option<Fault>, settings: &str) -> World {
    let world = World::new(&LabSpec {
        devices: 1,
        faults: fault
            .map(|fault| FaultRule {
                select: Select::Name("csr1".to_owned()),
                faults: vec![fault],
            })
            .into_iter()
            .collect(),
        ..LabSpec::default()
    });
    let header = "[devices.\"csr1\"]";
    let device = format!("{header}\nattempts = 1\n{settings}");
    world.replace("devices.toml", header, &device);
    world
}

/// The stages of the one device in the order in which they were run.
fn stages(world: &World) -> Vec<String> {
    let report = world.report();
    let stages = report.device("csr1")["stages"].as_array().unwrap().clone();
    let name = |stage: serde_json::Value| stage["stage"].as_str().unwrap().to_owned();
    stages.into_iter().map(name).collect()
}

fn backup(world: &World, code: i32) -> serde_json::Value {
    world
        .run(&["backup", "--report", "report.json"])
        .assert_code(code);
    world.report().device("csr1").clone()
}

#[test]
fn the_report_tells_the_stages_in_the_order_in_which_they_were_run() {
    let world = world_with(None, "save_order = \"after\"");
    let device = backup(&world, 0);
    assert_eq!(
        stages(&world),
        ["connect", "backup", "save", "write", "disconnect"]
    );
    assert_eq!(device["save"]["result"], "saved");
    assert_eq!(device["save"]["said"], "[OK]");
    assert_eq!(device["proof"], "byte_count");
    world.assert_stored_exactly("csr1");
    let typed = world.lab.device("csr1").unwrap().typed();
    let typed = String::from_utf8_lossy(&typed).into_owned();
    let place = |command: &str| typed.find(command).unwrap();
    assert!(place("show running-config") < place("write memory"));
}

#[test]
fn a_device_that_does_not_tell_of_unsaved_changes_is_saved_where_there_may_be_some() {
    let world = world_with(None, "save = \"if_changed\"");
    let finished = world.run(&["backup", "--report", "report.json"]);
    finished
        .assert_code(0)
        .assert_says("Backing up 1 device, saving on up to 1 where there is need, all at once");
    let report = world.report();
    let device = report.device("csr1");
    assert_eq!(device["save"]["result"], "saved");
    assert!(device["unsaved_changes"].is_null());
    assert_eq!(world.lab.counts().saves, 1);
}

#[test]
fn nothing_is_saved_on_a_device_whose_config_was_not_proven_whole() {
    let settings = "save_order = \"after\"";
    let world = world_with(Some(Fault::CloseMidOutput), settings);
    let device = backup(&world, 1);
    assert_eq!(device["failure"]["kind"], "truncated");
    assert!(device["save"].is_null());
    assert_eq!(world.lab.counts().saves, 0);
    let typed = world.lab.device("csr1").unwrap().typed();
    assert!(!String::from_utf8_lossy(&typed).contains("write memory"));
}

#[test]
fn what_was_proven_is_stored_though_the_device_does_not_save_afterwards() {
    for (fault, kind) in [
        (Fault::NvramFull, "save_failed"),
        (Fault::SaveConfirm, "save_needs_confirm"),
    ] {
        let world = world_with(Some(fault), "save_order = \"after\"");
        let device = backup(&world, 1);
        assert_eq!(device["outcome"], "not_saved");
        assert_eq!(device["failure"]["kind"], kind);
        assert_eq!(device["save"]["result"], "failed");
        world.assert_stored_exactly("csr1");
    }
}

#[test]
fn a_question_of_a_save_is_answered_as_the_operator_said() {
    let yes = world_with(Some(Fault::SaveConfirm), "save_confirm = \"yes\"");
    let device = backup(&yes, 0);
    assert_eq!(device["save"]["result"], "saved");
    assert_eq!(yes.lab.counts().saves, 1);

    let no = world_with(Some(Fault::SaveConfirm), "save_confirm = \"no\"");
    let device = backup(&no, 0);
    assert_eq!(device["save"]["result"], "declined");
    let notes = device["notes"].to_string();
    assert!(notes.contains("[confirm]"), "{notes}");
    assert_eq!(no.lab.counts().saves, 0);

    let ask = world_with(Some(Fault::SaveConfirm), "save_confirm = \"ask\"");
    let device = backup(&ask, 1);
    assert_eq!(device["failure"]["kind"], "save_needs_confirm");
    assert_eq!(ask.lab.counts().saves, 0);
}
