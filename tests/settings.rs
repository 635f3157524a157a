//! Settings folders, read as an operator writes them.
#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use wrmem::model::device::{AlgorithmPolicy, SavePolicy};
use wrmem::model::platform::Platform;
use wrmem::settings::{self, Faults, Inventory, Loaded, Platforms, Selection, Source};

fn platforms() -> Platforms {
    ["cisco_ios", "frr"]
        .into_iter()
        .map(|name| {
            let platform = Platform {
                name: name.to_owned(),
                ..Platform::default()
            };
            (name.to_owned(), Arc::new(platform))
        })
        .collect::<BTreeMap<_, _>>()
}

/// A settings folder that is gone when the test is over.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(self, name: &str, text: &str) -> Self {
        let path = self.dir().join(name);
        fs::write(&path, text).unwrap();
        only_mine(&path);
        self
    }

    fn dir(&self) -> &Path {
        self.0.path()
    }

    fn source(&self) -> Source {
        Source {
            dir: self.dir().to_owned(),
            ..Source::default()
        }
    }

    fn load(&self) -> Result<Loaded, Faults> {
        settings::load_with(&self.source(), &platforms())
    }
}

fn only_mine(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

const LAB: &str = "[credentials.lab]\nusername = \"ntc\"\npassword = \"ntc123\"\n";

fn all(inventory: &Inventory) -> settings::Selected {
    inventory.select(&Selection::default(), &[]).unwrap()
}

#[test]
fn the_shipped_settings_describe_the_lab() {
    let source = Source {
        dir: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("settings"),
        ..Source::default()
    };
    let loaded = settings::load_with(&source, &platforms()).unwrap_or_else(|f| panic!("{f}"));
    let selected = all(&loaded.inventory);
    assert!(selected.broken.is_empty(), "{:?}", selected.broken);
    let names: Vec<_> = selected.devices.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["csr1", "csr2", "csr3"]);
    let csr1 = &selected.devices[0];
    assert_eq!((csr1.host.as_str(), csr1.port), ("csr1", 22));
    assert_eq!(csr1.platform.name, "cisco_ios");
    assert_eq!(csr1.group.as_ref().unwrap().as_str(), "csr");
    assert_eq!(csr1.save, SavePolicy::Always);
    assert_eq!(csr1.algorithms, AlgorithmPolicy::Compatible);
    assert_eq!(csr1.attempts, 3);
    assert_eq!(csr1.deadlines, wrmem::model::device::Deadlines::default());
    assert_eq!(csr1.credentials.username, "ntc");
    assert_eq!(
        csr1.credentials.password.as_ref().unwrap().expose(),
        "ntc123"
    );
    assert!(Arc::ptr_eq(
        &csr1.credentials,
        &selected.devices[2].credentials
    ));
}

#[test]
fn a_list_of_names_is_enough() {
    let folder = Folder::new()
        .with(
            "devices.toml",
            "devices = [\"b\", \"a\"]\n[defaults]\nplatform = \"frr\"\ncredentials = \"lab\"\n",
        )
        .with("credentials.toml", LAB);
    let selected = all(&folder.load().unwrap_or_else(|f| panic!("{f}")).inventory);
    let names: Vec<_> = selected.devices.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["b", "a"]);
}
