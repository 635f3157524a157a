//! `wrmem accept`, the real binary on a folder of its own.

#![cfg(test)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const LONG: [u8; 1000] = [b'x'; 1000];
const SHORT: &[u8] = b"version 10.4\nhostname nx1\n";

struct Folder(tempfile::TempDir);

impl Folder {
    /// Settings of two devices, and an archive that keeps a config of one aside.
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let settings = folder.path("settings");
        fs::create_dir_all(folder.path("configs/.held")).unwrap();
        fs::create_dir(&settings).unwrap();
        let write = |name: &str, text: &str| fs::write(settings.join(name), text).unwrap();
        write(
            "devices.toml",
            "[defaults]\nplatform = \"cisco_ios\"\ncredentials = \"lab\"\n\
             [groups.core]\n[devices.nx1]\ngroup = \"core\"\n[devices.nx2]\n",
        );
        write(
            "credentials.toml",
            "[credentials.lab]\nusername = \"ntc\"\npassword = \"ntc123\"\n",
        );
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(settings.join("credentials.toml"), private).unwrap();
        fs::write(folder.path("configs/nx1.cfg"), LONG).unwrap();
        fs::write(folder.path("configs/.held/nx1.cfg"), SHORT).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The exit code, and what was said on both streams.
    fn accept(&self, names: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_wrmem"))
            .env_clear()
            .current_dir(self.0.path())
            .arg("accept")
            .args(names)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

#[test]
fn what_is_kept_aside_is_listed_and_accepted_once() {
    let folder = Folder::new();
    let (code, said) = folder.accept(&[]);
    assert_eq!(
        (code, said.as_str()),
        (Some(0), "kept aside: nx1, 26 bytes\n")
    );
    assert_eq!(
        bytes(&folder.path("configs/nx1.cfg")),
        LONG,
        "listing moves nothing"
    );
    let (code, said) = folder.accept(&["nx1"]);
    let wanted = "accepted: nx1, 26 bytes, in place of 1000 bytes\n";
    assert_eq!((code, said.as_str()), (Some(0), wanted));
    assert_eq!(bytes(&folder.path("configs/nx1.cfg")), SHORT);
    assert!(!folder.path("configs/.held/nx1.cfg").exists());
    let (code, said) = folder.accept(&["nx1"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("no config of nx1 is kept aside"), "{said}");
    let (_, said) = folder.accept(&[]);
    assert_eq!(said, "no config is kept aside\n");
}

#[test]
fn an_unknown_device_is_told_and_nothing_is_moved() {
    let folder = Folder::new();
    let (code, said) = folder.accept(&["nx3"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("nx3"), "{said}");
    let (code, _) = folder.accept(&["nx2"]);
    assert_eq!(code, Some(2));
    assert_eq!(bytes(&folder.path("configs/.held/nx1.cfg")), SHORT);
}
