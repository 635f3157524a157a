//! By which way and with what devices are reached, in whole runs.

use crate::world::World;
use wrmem::lab::{LabSpec, Tally};

#[test]
fn the_report_says_which_of_several_credentials_let_us_in() {
    let world = World::new(&LabSpec::default());
    world.append(
        "credentials.toml",
        "[credentials.new]\nusername = \"ntc\"\npassword = \"planted-new\"",
    );
    let all = "credentials = \"lab\"";
    world.replace("devices.toml", all, "credentials = [\"new\", \"lab\"]");
    let run = world.run(&["backup", "--report", "report.json"]);
    run.assert_code(0);
    assert_eq!(world.assert_only_whole_files(), 3);
    let report = world.report();
    for name in ["csr1", "csr2", "csr3"] {
        let device = report.device(name);
        assert_eq!(device["credentials"], "lab");
        let notes = device["notes"].as_array().unwrap();
        let told = |note: &serde_json::Value| note == "logged in with credentials \"lab\"";
        assert!(notes.iter().any(told), "{notes:?}");
        let lab = world.lab.device(name).unwrap().moments();
        let tries = lab
            .iter()
            .filter(|(_, tally)| *tally == Tally::PasswordAttempt);
        assert_eq!(tries.count(), 2, "{name}");
    }
    assert!(!format!("{run:?}").contains("planted"), "{run:?}");
    assert!(!report.0.to_string().contains("planted"));
    let listed = world.run(&["devices"]);
    assert!(listed.out.contains(" new,lab "), "{}", listed.out);
}

#[test]
fn what_is_wrong_with_a_source_is_told_with_what_to_do() {
    let world = World::new(&LabSpec::default());
    world.replace("wrmem.toml", "[ssh]\n", "[ssh]\nsource = \"127.0.0.2\"\n");
    for (name, line) in [
        ("csr2", "source = \"192.0.2.77\""),
        ("csr3", "interface = \"nosuch0\""),
    ] {
        let entry = format!("[devices.\"{name}\"]");
        world.replace("devices.toml", &entry, &format!("{entry}\n{line}"));
    }
    world
        .run(&["backup", "--report", "report.json"])
        .assert_code(1);
    let report = world.report();
    assert_eq!(report.outcome("csr1"), "ok");
    for (name, part) in [
        ("csr2", "`ip address` lists them"),
        ("csr3", "`ip link` lists"),
    ] {
        assert_eq!(report.kind(name), "settings");
        let told = report.device(name)["failure"]["message"].to_string();
        assert!(told.contains(part), "{told}");
    }
}
