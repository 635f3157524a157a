//! The systemd unit, as systemd itself reads it.
#![cfg(test)]

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn systemd_finds_no_fault_in_the_unit() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/wrmem.service");
    let text = fs::read_to_string(unit).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrmem.service");
    // The program is not installed where this is tested.
    let installed = text.replace("/usr/local/bin/wrmem", env!("CARGO_BIN_EXE_wrmem"));
    fs::write(&path, &installed).unwrap();
    let Ok(verified) = Command::new("systemd-analyze")
        .arg("verify")
        .arg("--man=no")
        .arg(&path)
        .output()
    else {
        println!("SKIPPED: no systemd-analyze here; .ci/run installs it");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success(), "{said}");
    assert!(!said.contains("wrmem.service"), "{said}");

    // And it is no decoration: the same unit with a slip in it is refused.
    fs::write(&path, installed.replace("Type=notify", "Type=notfiy")).unwrap();
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(said.contains("notfiy"), "{said}");
}
