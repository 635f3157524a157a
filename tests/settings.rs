//! Settings folders, read as an operator writes them.
#![cfg(test)]
#![allow(clippy::too_many_lines, reason = "a test reads as a list")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use wrmem::model::credentials::{AuthMethod, Secret};
use wrmem::model::device::{AlgorithmPolicy, Identity, SaveConfirm, SaveOrder, SavePolicy, View};
use wrmem::model::platform::Platform;
use wrmem::settings::{
    self, Commands, Faults, Inventory, Loaded, OneOff, Platforms, SelectError, Selected, Selection,
    Source,
};

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

    fn good(&self) -> Loaded {
        self.load().unwrap_or_else(|faults| panic!("{faults}"))
    }

    /// What is told when it does not load, with the folder's path cut off.
    fn told(&self) -> String {
        match self.load() {
            Ok(_) => panic!("it loads"),
            Err(faults) => self.cut(&faults.to_string()),
        }
    }

    /// What is told about single devices.
    fn device_faults(&self) -> Vec<String> {
        let faults = self.good().inventory.faults();
        faults
            .iter()
            .map(|fault| self.cut(&fault.to_string()))
            .collect()
    }

    fn cut(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.dir().display()), "")
    }
}

fn only_mine(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

const LAB: &str = "[credentials.lab]\nusername = \"ntc\"\npassword = \"ntc123\"\n";

fn all(inventory: &Inventory) -> Selected {
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

const DEFAULTS: &str = "[defaults]\nplatform = \"cisco_ios\"\ncredentials = \"lab\"\n";

/// A folder with the lab's credentials and a device file that begins with usual defaults (three
/// lines).
fn folder(devices: &str) -> Folder {
    Folder::new()
        .with("devices.toml", &format!("{DEFAULTS}{devices}"))
        .with("credentials.toml", LAB)
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

fn names(selected: &Selected) -> Vec<&str> {
    selected
        .devices
        .iter()
        .map(|device| device.name.as_str())
        .collect()
}

fn select(inventory: &Inventory, names: &[&str], groups: &[&str]) -> Result<Selected, SelectError> {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let selection = Selection {
        names: owned(names),
        groups: owned(groups),
        only: None,
    };
    inventory.select(&selection, &[])
}

#[test]
fn values_resolve_device_over_group_over_defaults_over_overall() {
    let folder = folder(
        "save = \"never\"\nport = 2200\nalgorithms = \"modern\"\n\
        deadlines = { tcp = \"1s\", save = \"1s\" }\n\
         [groups.core]\nport = 2201\nattempts = 5\nview_full = true\ndeadlines.save = \"2s\"\n\
         deadlines.backup = \"2s\"\n\
         [devices.a]\n\
         [devices.b]\ngroup = \"core\"\n\
         save_order = \"after\"\n\
         [devices.c]\ngroup = \"core\"\nport = 2202\nplatform = \"frr\"\nsave = \"if_changed\"\n\
         strict_identity = true\n\
         view_full = false\ndeadlines = { backup = \"3s\" }\n",
    )
    .with(
        "wrmem.toml",
        "deadlines.write = \"9s\"\nrun.attempts = 2\nrun.save_confirm = \"no\"\n",
    );
    let loaded = folder.good();
    let selected = all(&loaded.inventory);
    let [a, b, c] = selected.devices.as_slice() else {
        panic!("three devices, not {:?}", selected.broken)
    };
    assert_eq!([a.port, b.port, c.port], [2200, 2201, 2202]);
    assert_eq!([a.attempts, b.attempts, c.attempts], [2, 5, 5]);
    assert_eq!(
        [a.view, b.view, c.view],
        [View::Privileged, View::Full, View::Privileged]
    );
    assert_eq!(
        [a.save, b.save, c.save],
        [SavePolicy::Never, SavePolicy::Never, SavePolicy::IfChanged]
    );
    assert_eq!(
        [a.save_order, b.save_order, c.save_order],
        [SaveOrder::Before, SaveOrder::After, SaveOrder::Before]
    );
    assert_eq!(a.save_confirm, SaveConfirm::No);
    assert_eq!(
        [b.identity, c.identity],
        [Identity::Noted, Identity::Strict]
    );
    assert_eq!(
        [b.platform.name.as_str(), c.platform.name.as_str()],
        ["cisco_ios", "frr"]
    );
    assert_eq!(c.algorithms, AlgorithmPolicy::Modern);
    let seconds = |device: &wrmem::model::device::Device| {
        let d = device.deadlines;
        [d.tcp, d.save, d.backup, d.write].map(|time| time.as_secs())
    };
    assert_eq!(seconds(a), [1, 1, 600, 9]);
    assert_eq!(seconds(b), [1, 2, 2, 9]);
    assert_eq!(seconds(c), [1, 2, 3, 9]);
}

#[test]
fn a_save_flag_counts_for_every_device() {
    let folder = folder("[groups.g]\nsave = \"always\"\n[devices.a]\ngroup = \"g\"\n[devices.b]\n");
    let mut source = folder.source();
    source.env = pairs(&[("WRMEM__RUN__SAVE", "never")]);
    let saves = |source: &Source| {
        let loaded = settings::load_with(source, &platforms()).unwrap_or_else(|f| panic!("{f}"));
        let devices = all(&loaded.inventory).devices;
        devices.iter().map(|device| device.save).collect::<Vec<_>>()
    };
    assert_eq!(saves(&source), [SavePolicy::Always, SavePolicy::Never]);
    source.flags = pairs(&[("run.save", "never")]);
    assert_eq!(saves(&source), [SavePolicy::Never, SavePolicy::Never]);
}

#[test]
fn a_fault_of_one_device_breaks_it_alone() {
    let folder = folder(
        "[groups.core]\n\
         [devices.good]\n\
         [devices.r1]\nport = 70000\nhots = \"x\"\n\
         [devices.r2]\ngroup = \"cora\"\n\
         [devices.r3]\nplatform = \"cisco_iso\"\ncredentials = \"lap\"\n\
         [devices.\"r/4\"]\n\
         [devices.r5.example.net]\nhost = \"192.0.2.5\"\n\
         [devices.r6]\nhost = \"192.0.2.6:2222\"\ndeadlines = { bakup = \"1m\", tcp = 3 }\n",
    );
    let expected = [
        "devices.toml:7: devices.r1.port: must be 1 to 65535",
        "devices.toml:8: devices.r1.hots: unknown key; did you mean `host`?",
        "devices.toml:10: devices.r2.group: unknown group `cora`, there are: `core`; did you \
        mean `core`?",
        "devices.toml:12: devices.r3.platform: unknown platform `cisco_iso`, there are: \
        `cisco_ios`, `frr`; did \
         you mean `cisco_ios`?",
        "devices.toml:13: devices.r3.credentials: unknown credentials `lap`, there are: `lab`; \
        did you mean `lab`?",
        "devices.toml:14: devices.r/4: a name becomes a file name: letters, digits, `.`, `_`, \
        `-`, `:`, `@`, `+` and \
         `=` only, not '/'",
        "devices.toml:15: devices.r5.example.net: a dot in a name makes TOML nest tables: write \
         [devices.\"r5.example.net\"]",
        "devices.toml:19: devices.r6.deadlines.bakup: unknown key; did you mean `backup`?",
        "devices.toml:19: devices.r6.deadlines.tcp: expected a duration with its unit in quotes, \
        such as \"30s\", \
         \"5m\" or \"1h30m\"",
        "devices.toml:18: devices.r6.host: expected a host alone: write the port as `port = 22`",
    ];
    assert_eq!(folder.device_faults(), expected);
    let selected = all(&folder.good().inventory);
    assert_eq!(names(&selected), ["good"]);
    let broken: Vec<_> = selected.broken.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(
        broken,
        ["r1", "r2", "r3", "unnamed_r_4", "r5.example.net", "r6"]
    );
    assert!(
        selected.broken[0].message.contains("port") && selected.broken[0].message.contains("hots")
    );
    assert_eq!(selected.broken[0].platform, "cisco_ios");
    assert_eq!(selected.broken[5].host, "192.0.2.6:2222");
}

#[test]
fn duplicates_tell_both_places_and_neither_counts() {
    let folder = folder("[devices.csr1]\n[devices.CSR1]\n[devices.csr2]\n[devices.csr3]\n")
        .with("devices.csv", "name\ncsr4\nCsr2\n");
    assert_eq!(
        folder.device_faults(),
        [
            "devices.toml:5: devices.CSR1: this name is already in devices.toml:4; names are \
            unique ignoring case",
            "devices.csv:3: devices.Csr2: this name is already in devices.toml:6; names are \
            unique ignoring case",
        ]
    );
    let selected = all(&folder.good().inventory);
    assert_eq!(names(&selected), ["csr3", "csr4"]);
    assert_eq!(selected.broken.len(), 2);
}

#[test]
fn faults_that_concern_more_than_one_device_stop_everything_at_once() {
    let folder = Folder::new()
        .with(
            "devices.toml",
            "[defaults]\nplatform = \"cisco_iso\"\nhost = \"x\"\n[groups.\"a/b\"]\n[groups.c]\n\
            port = 0\n\
             credentials = \"no\"\n[device.x]\n[devices.a]\nport = 0\n",
        )
        .with("credentials.toml", "[credential.lab]\n")
        .with(
            "wrmem.toml",
            "[run]\nin_flight = 0\nevery = \"1 hour\"\n[acrhive]\ndir = \"x\"\n",
        )
        .with("devices.csv", "name,user\na,b\n");
    let told = folder.told();
    for expected in [
        "wrmem.toml:4: acrhive: unknown key",
        "wrmem.toml:2: run.in_flight: must be at least 1, or \"auto\"",
        "wrmem.toml:3: run.every: expected a duration",
        "devices.toml:2: defaults.platform: unknown platform `cisco_iso`, there are: \
        `cisco_ios`, `frr`; did you mean `cisco_ios`?",
        "devices.toml:3: defaults.host: unknown key",
        "devices.toml:4: groups.a/b: a name becomes a file name",
        "devices.toml:6: groups.c.port: must be 1 to 65535",
        "devices.toml:8: device: unknown key; did you mean `devices`?",
        "devices.toml:10: devices.a.port: must be 1 to 65535",
        "devices.csv:1: column 2 of the header is no device key",
        "credentials.toml:1: credential: unknown key; did you mean `credentials`?",
    ] {
        assert!(told.contains(expected), "{expected}\n--\n{told}");
    }
    assert!(told.ends_with("12 faults in the settings"), "{told}");
}

#[test]
fn every_file_that_does_not_parse_is_told() {
    let folder = Folder::new()
        .with("devices.toml", "[devices.a\n")
        .with("wrmem.toml", "run.every = 1h\n")
        .with(
            "credentials.toml",
            "[credentials.lab]\npassword = \"planted\n",
        );
    let told = folder.told();
    for expected in ["devices.toml:1: ", "wrmem.toml:1: ", "credentials.toml:2: "] {
        assert!(told.contains(expected), "{expected}\n--\n{told}");
    }
    assert!(!told.contains("planted"), "{told}");
}

#[test]
fn a_file_that_is_not_utf8_tells_the_line() {
    let folder = folder("[devices.a]\n");
    fs::write(
        folder.dir().join("devices.csv"),
        b"name,host\nb,x\nz\xfcrich,x\n",
    )
    .unwrap();
    let told = folder.told();
    assert!(told.starts_with("devices.csv:3: is not UTF-8"), "{told}");
}

#[test]
fn a_missing_folder_or_device_list_says_what_to_do() {
    let source = Source {
        dir: PathBuf::from("no-such-folder"),
        ..Source::default()
    };
    let told = settings::load_with(&source, &platforms())
        .err()
        .unwrap()
        .to_string();
    assert!(
        told.contains("no-such-folder: settings folder not found: run `wrmem init`"),
        "{told}"
    );
    let told = Folder::new().told();
    assert!(told.contains("there is no device list"), "{told}");
}

#[test]
fn a_csv_file_alone_is_enough() {
    let folder = Folder::new()
        .with(
            "devices.csv",
            "name;platform;credentials\nr1;frr;lab\nr2;frr;\n",
        )
        .with("credentials.toml", LAB);
    let selected = all(&folder.good().inventory);
    assert_eq!(names(&selected), ["r1"]);
    assert!(
        selected.broken[0]
            .message
            .contains("devices.csv:3: devices.r2.credentials: is missing"),
        "{}",
        selected.broken[0].message
    );
}

#[test]
fn selections_keep_the_order_and_tell_what_is_near() {
    let folder = folder(
        "[groups.edge]\n[groups.empty]\n[devices.z]\n[devices.csr1]\ngroup = \"edge\"\n\
        [devices.csr2]\n\
         [devices.bad]\ngroup = \"edge\"\nport = 0\n",
    );
    let inventory = folder.good().inventory;
    assert_eq!(
        names(&select(&inventory, &["csr2", "Z"], &[]).unwrap()),
        ["z", "csr2"]
    );
    let edge = select(&inventory, &[], &["edge"]).unwrap();
    assert_eq!((names(&edge), edge.broken.len()), (vec!["csr1"], 1));
    assert_eq!(
        names(&select(&inventory, &["z"], &["edge"]).unwrap()),
        ["z", "csr1"]
    );
    let told = select(&inventory, &["csr9", "nothing-like-it"], &["egde"])
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("there is no device \"csr9\"; did you mean `csr1`?"),
        "{told}"
    );
    assert!(
        told.contains("there is no device \"nothing-like-it\"\n"),
        "{told}"
    );
    assert!(
        told.contains("there is no group \"egde\"; did you mean `edge`?"),
        "{told}"
    );
    let nothing = select(&inventory, &[], &["empty"]).unwrap_err();
    assert_eq!(nothing, SelectError::Nothing);
}

#[test]
fn rows_show_the_resolved_list() {
    let folder = folder(
        "[groups.core]\n[devices.a]\ngroup = \"core\"\nhost = \"[::1]\"\n[devices.b]\nport = 0\n",
    );
    let rows = folder.good().inventory.rows();
    assert_eq!(
        (rows[0].host.as_str(), rows[0].group.as_deref()),
        ("::1", Some("core"))
    );
    let details = rows[0].details.as_ref().unwrap();
    assert_eq!((details.port, details.credentials.as_str()), (22, "lab"));
    assert!(
        rows[1]
            .details
            .as_ref()
            .unwrap_err()
            .contains("must be 1 to 65535")
    );
}

#[test]
fn secrets_come_from_environment_file_or_command_once_and_only_if_selected() {
    let folder = folder(
        "[devices.e]\ncredentials = \"e\"\n[devices.f]\ncredentials = \"f\"\n\
         [devices.c1]\ncredentials = \"c\"\n[devices.c2]\ncredentials = \"c\"\n\
         [devices.n]\ncredentials = \"never\"\n",
    )
    .with("secret", "from file\r\n");
    let dir = folder.dir().display().to_string();
    let count = folder.dir().join("count");
    let text = format!(
        "{LAB}[credentials.e]\nusername = 'CORP\\ntc'\npassword = {{ env = \"NTC\" }}\n\
         [credentials.f]\nusername = \"f\"\npassword.file = \"{dir}/secret\"\n\
         auth = \"keyboard-interactive\"\n\
         [credentials.c]\nusername = \"c\"\npassword = \"p\"\n\
         enable = {{ command = [\"sh\", \"-c\", \"echo run >> $0; echo from command\", \
         \"{dir}/count\"] }}\n\
         [credentials.never]\nusername = \"n\"\npassword = {{ env = \"MISSING\" }}\n"
    );
    let folder = folder.with("credentials.toml", &text);
    let inventory = folder.good().inventory;
    let selection = Selection {
        names: ["e", "f", "c1", "c2"].map(str::to_owned).to_vec(),
        groups: Vec::new(),
        only: None,
    };
    let selected = inventory
        .select(&selection, &pairs(&[("NTC", "from env")]))
        .unwrap();
    assert!(selected.broken.is_empty(), "{:?}", selected.broken);
    let password = |at: usize| {
        selected.devices[at]
            .credentials
            .password
            .as_ref()
            .unwrap()
            .expose()
    };
    assert_eq!(
        [password(0), password(1), password(2)],
        ["from env", "from file", "p"]
    );
    assert_eq!(selected.devices[0].credentials.username, "CORP\\ntc");
    assert_eq!(
        selected.devices[1].credentials.auth,
        [AuthMethod::KeyboardInteractive]
    );
    assert_eq!(
        selected.devices[2].credentials.enable,
        Some(Secret::new("from command".into()))
    );
    assert!(Arc::ptr_eq(
        &selected.devices[2].credentials,
        &selected.devices[3].credentials
    ));
    assert_eq!(fs::read_to_string(&count).unwrap(), "run\n", "run once");

    // A fault of a credential breaks the devices that use it.
    let selected = all(&inventory);
    let broken: Vec<_> = selected.broken.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(broken, ["e", "n"]);
    let told = folder.cut(&selected.broken[1].message);
    assert!(
        told.contains("credentials.never.password: environment variable `MISSING` is not set"),
        "{told}"
    );

    // A check without commands runs none, and tells of those that no device uses too.
    let told = inventory.credential_faults(Commands::Skip, &[]);
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(
        fs::read_to_string(&count).unwrap(),
        "run\nrun\n",
        "only the selections ran it"
    );
}

#[test]
fn contradictions_in_credentials_are_faults() {
    let text = |body: &str| format!("[credentials.lab]\nusername = \"ntc\"\n{body}\n");
    for (body, told) in [
        ("", "credentials.lab: needs `password` or `key`"),
        (
            "password = \"p\"\nauth = \"publickey\"",
            "\"publickey\" needs `key`",
        ),
        (
            "key = \"k\"\nauth = \"password\"",
            "lab.auth: needs `password`",
        ),
        (
            "password = \"p\"\nauth = [\"password\", \"keyboard-interactive\"]",
            "the same password twice",
        ),
        (
            "password = \"p\"\nauth = []",
            "must name at least one method",
        ),
        (
            "password = \"p\"\nauth = \"hostbased\"",
            "\"keyboard-interactive\", \"publickey\" or \"agent\"",
        ),
        (
            "password = \"p\"\npassphrase = \"q\"",
            "lab.passphrase: is of no use without `key`",
        ),
        (
            "password = { vault = \"p\" }",
            "credentials.toml:3: credentials.lab.password.vault: expected text",
        ),
        (
            "password = { command = \"p\" }",
            "lab.password.command: expected a list",
        ),
        ("password = { command = [] }", "there is no shell"),
        ("password = \"\"", "must not be empty"),
    ] {
        let folder = folder("").with("credentials.toml", &text(body));
        let shown = folder.told();
        assert!(shown.contains(told), "{body}: {shown}");
    }
    let missing = folder("")
        .with("credentials.toml", "[credentials.lab]\npassword = \"p\"\n")
        .told();
    assert!(
        missing.contains("credentials.toml:1: credentials.lab.username: is missing"),
        "{missing}"
    );
    let both = folder("[devices.a]\n").with(
        "credentials.toml",
        &text("password = \"p\"\nkey = \"none\"\nauth = [\"publickey\", \"password\"]"),
    );
    let selected = all(&both.good().inventory);
    assert!(
        selected.broken[0].message.contains("there is no such file"),
        "{:?}",
        selected.broken
    );
}

#[test]
fn files_with_secrets_that_others_can_read_are_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder("[devices.a]\n");
    assert!(folder.good().warnings.is_empty());
    let path = folder.dir().join("credentials.toml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let warnings = folder.good().warnings;
    assert_eq!(warnings.len(), 1);
    let told = warnings[0].to_string();
    assert!(told.starts_with("warning: "), "{told}");
    assert!(
        told.ends_with(&format!("chmod 600 {}", path.display())),
        "{told}"
    );
}

/// A secret in each kind of fault. None may be told by any fault, shown or debugged.
#[test]
fn no_fault_shows_a_secret() {
    const SECRET: &str = "hunter2";
    let mut shown = String::new();
    for body in [
        "password = hunter2",
        "password = \"hunter2",
        "password = 'hunter2' hunter2",
        "password = \"hunter2\"\npassword = \"hunter2\"",
        "password = [\"hunter2\"]",
        "password = [[\"hunter2\"]",
        "password = { env = [\"hunter2\"] }",
        "password = { plain = \"hunter2\" }",
        "password = { env = \"A\", file = \"hunter2\" }",
        "password = { command = [\"hunter2\", 2] }",
        "password = { command = [1, \"hunter2\"] }",
        "password = \"hunter2\\n\"",
        "password = \"\\q hunter2\"",
        "password = \"\"\"hunter2\n\"\"\"",
        "pasword = \"hunter2\"",
        "auth = \"hunter2\"",
        "auth = [\"password\", \"hunter2\"]",
        "key = [\"hunter2\"]",
        "username = [\"hunter2\"]",
        "username = \"hunter2\\t\"",
        "= hunter2",
        "password \"hunter2\"",
        "password = hunter2-2024-01-01",
        "password = \"ok\"\n[credentials]\nlab = \"hunter2\"",
        "password = \"ok\"\n[credentials.lab.more]\nx = \"hunter2\"",
        "password = \"ok\"\n[credentials.x]\nusername = \"u\"\nauth = \"password\"\n\
        enable = \"hunter2\"",
        "password = \"ok\"\n[credentials.x]\nusername = \"u\"\npassphrase = \"hunter2\"",
    ] {
        let text = format!("[credentials.lab]\nusername = \"ntc\"\n{body}\n")
            .replace("username = \"ntc\"\nusername", "username");
        let folder = folder("[devices.a]\n").with("credentials.toml", &text);
        let Err(faults) = folder.load() else {
            panic!("no fault: {body}")
        };
        let told = format!("{faults}\n{faults:?}\n{faults:#?}\n");
        assert!(told.contains("credentials.toml"), "{body}: {told}");
        assert!(!told.contains(SECRET), "{body}: {told}");
        assert!(
            faults.0.iter().all(|fault| fault.line.is_some()),
            "{body}: {told}"
        );
        shown.push_str(&told);
    }

    // Faults that show when the secret is fetched.
    for (source, file) in [
        ("{ env = \"PLANTED\" }", ""),
        ("{ env = \"hunter2\" }", ""),
        ("{ file = \"hunter2\" }", ""),
        ("{ file = \"/\" }", ""),
        ("{ command = [\"hunter2\"] }", ""),
        ("{ file = \"FILE\" }", "hunter2\nhunter2\n"),
        (
            "{ command = [\"sh\", \"-c\", \"echo hunter2; echo hunter2 >&2; exit 1\"] }",
            "",
        ),
        (
            "{ command = [\"sh\", \"-c\", \"echo hunter2; echo hunter2\"] }",
            "",
        ),
        ("{ command = [\"/no/such/program\", \"hunter2\"] }", ""),
    ] {
        let folder = folder("[devices.a]\n").with("secret", file);
        let path = folder.dir().join("secret").display().to_string();
        let text = format!("[credentials.lab]\nusername = \"u\"\npassword = {source}\n");
        let folder = folder.with("credentials.toml", &text.replace("FILE", &path));
        let inventory = folder.good().inventory;
        let env = pairs(&[("PLANTED", "hunter2\nhunter2")]);
        let selected = inventory.select(&Selection::default(), &env).unwrap();
        assert_eq!(selected.broken.len(), 1, "{source}");
        let faults = inventory.credential_faults(Commands::Run, &env);
        assert_eq!(faults.len(), 1, "{source}");
        shown.push_str(&format!("{selected:?}{selected:#?}{faults:?}{}", faults[0]));
    }

    // Secrets where none belong.
    let folder = folder(
        "[devices.a]\npassword = \"hunter2\"\n[devices.b]\nport = \"hunter2\"\n\
    save = \"hunter2\"\n",
    )
    .with(
        "devices.csv",
        "name,port,host\nc,hunter2,\nd,22,h,hunter2\n",
    );
    let loaded = folder.good();
    assert_eq!(loaded.inventory.faults().len(), 5);
    shown.push_str(&format!("{:?}", loaded.inventory.faults()));
    shown.push_str(&format!("{:?}", loaded.inventory.rows()));
    shown.push_str(&format!("{:?}", all(&loaded.inventory)));
    let mut source = folder.source();
    source.env = pairs(&[
        ("WRMEM__CREDENTIALS__LAB__PASSWORD", "hunter2"),
        ("WRMEM__SSH__ALGORITHMS", "hunter2"),
    ]);
    source.flags = pairs(&[("run.save", "\"hunter2"), ("password", "hunter2")]);
    let Err(faults) = settings::load_with(&source, &platforms()) else {
        panic!("no fault")
    };
    assert_eq!(faults.0.len(), 4 + 5, "{faults}");
    shown.push_str(&format!("{faults}{faults:?}"));
    let csv = folder.with("devices.csv", "c,ntc,hunter2\n").told();
    shown.push_str(&csv);
    assert!(!shown.contains(SECRET), "{shown}");
}

#[test]
fn one_device_needs_no_folder() {
    let base = Source {
        dir: PathBuf::from("no-such-folder"),
        env: pairs(&[("WRMEM__SSH__HOST_KEYS", "off")]),
        flags: pairs(&[("run.save", "never")]),
    };
    let one_off = OneOff {
        host: "[2001:db8::1]".into(),
        port: 22,
        platform: "cisco_ios".into(),
        user: "ntc".into(),
        password: Secret::new("hunter2".into()),
    };
    let (settings, device) = settings::one_off_with(one_off.clone(), &base, &platforms())
        .unwrap_or_else(|f| panic!("{f}"));
    assert_eq!(
        (device.name.as_str(), device.host.as_str()),
        ("2001:db8::1", "2001:db8::1")
    );
    assert_eq!(device.save, SavePolicy::Never);
    assert_eq!(settings.ssh.host_keys.name(), "off");
    let bad = OneOff {
        host: "a b".into(),
        platform: "ios".into(),
        user: "a\nb".into(),
        ..one_off
    };
    let told = settings::one_off_with(bad, &base, &platforms())
        .unwrap_err()
        .to_string();
    for expected in [
        "--host: ",
        "--user: ",
        "--platform: unknown platform `ios`",
        "3 faults",
    ] {
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn init_writes_a_folder_that_loads_and_overwrites_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let home = Folder::new();
    let dir = home.dir().join("a/settings");
    let written = settings::init(&dir).unwrap();
    assert_eq!(written.len(), 3);
    let mode = fs::metadata(dir.join("credentials.toml"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let source = Source {
        dir: dir.clone(),
        ..Source::default()
    };
    let loaded = settings::load_with(&source, &platforms()).unwrap_or_else(|f| panic!("{f}"));
    assert!(loaded.warnings.is_empty());
    assert_eq!(names(&all(&loaded.inventory)), ["csr1", "csr2", "csr3"]);
    // Every value may be commented in as it stands.
    let path = dir.join("wrmem.toml");
    let text = fs::read_to_string(&path).unwrap();
    let commented_in: String = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest)
                if rest
                    .split_once(" = ")
                    .is_some_and(|(key, _)| !key.contains([' ', '`'])) =>
            {
                format!("{rest}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    assert!(
        commented_in.contains("\nin_flight = 100\n"),
        "{commented_in}"
    );
    fs::write(&path, &commented_in).unwrap();
    let again = settings::load_with(&source, &platforms()).unwrap_or_else(|f| panic!("{f}"));
    assert!(again.settings.run.save_written && !loaded.settings.run.save_written);
    let mut expected = loaded.settings;
    expected.run.save_written = true;
    assert_eq!(again.settings, expected);

    let told = settings::init(&dir).unwrap_err().to_string();
    assert!(told.contains("is there already"), "{told}");
    assert_eq!(fs::read_to_string(&path).unwrap(), commented_in);
}

#[test]
fn ten_thousand_devices_load() {
    let mut toml = String::from("[groups.core]\n");
    let mut csv = String::from("name,host,group,port\n");
    for number in 0..5_000 {
        toml.push_str(&format!(
            "[devices.t{number}]\nhost = \"192.0.2.1\"\ngroup = \"core\"\n"
        ));
        csv.push_str(&format!("c{number},192.0.2.2,core,2022\n"));
    }
    let folder = folder(&toml).with("devices.csv", &csv);
    let inventory = folder.good().inventory;
    assert_eq!(inventory.len(), 10_000);
    let selected = all(&inventory);
    assert_eq!((selected.devices.len(), selected.broken.len()), (10_000, 0));
    assert_eq!(selected.devices[9_999].name.as_str(), "c4999");
}

#[test]
fn faults_of_devices_are_told_beside_those_of_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("wrmem.toml", "[run]\nevry = \"1h\"\n");
    let devices = "[defaults]\nplatform = \"nope\"\ncredentials = \"lab\"\n\
                   [devices.a]\nport = 0\n[devices.b]\n";
    write("devices.toml", devices);
    write(
        "credentials.toml",
        "[credentials.lab]\nusername = \"u\"\npassword = \"p\"\n",
    );
    let source = settings::Source {
        dir: dir.path().to_owned(),
        ..settings::Source::default()
    };
    let Err(faults) = settings::load(&source) else {
        panic!("three faults");
    };
    let told = faults.to_string();
    assert!(told.contains("run.evry"), "{told}");
    assert!(told.contains("defaults.platform"), "{told}");
    assert!(told.contains("devices.a.port"), "{told}");
    assert_eq!(
        told.matches("nope").count(),
        1,
        "not once per device: {told}"
    );
}

fn schedule_of(loaded: &Loaded, name: &str) -> String {
    let name = wrmem::model::device::DeviceName::new(name).unwrap();
    loaded.inventory.schedules()[&name].to_string()
}

#[test]
fn schedules_resolve_over_group_defaults_and_overall_settings() {
    let folder = Folder::new()
        .with("credentials.toml", LAB)
        .with(
            "wrmem.toml",
            "[run]\ncron = \"0 2 * * *\"\nbetween = \"01:00-05:00\"\ntime_zone = \"Europe/Berlin\"\n",
        )
        .with(
            "devices.toml",
            "[defaults]\nplatform = \"cisco_ios\"\ncredentials = \"lab\"\nfinish_within = \"2h\"\n\
             [groups.core]\nevery = \"15m\"\nbetween = \"off\"\n\
             [devices.a]\n[devices.b]\ngroup = \"core\"\n\
             [devices.c]\ngroup = \"core\"\ncron = \"30 3 * * 6\"\nfinish_within = \"off\"\ntime_zone = \"UTC\"\n",
        )
        .with("devices.csv", "name,platform,credentials,every,between\nd,cisco_ios,lab,1d,22:00-05:00\n");
    let loaded = folder.good();
    assert_eq!(folder.device_faults(), Vec::<String>::new());
    for (name, schedule) in [
        (
            "a",
            "cron 0 2 * * * between 01:00-05:00 finish within 2h (Europe/Berlin)",
        ),
        ("b", "every 15m finish within 2h"),
        ("c", "cron 30 3 * * 6 (UTC)"),
        (
            "d",
            "every 1d between 22:00-05:00 finish within 2h (Europe/Berlin)",
        ),
    ] {
        assert_eq!(schedule_of(&loaded, name), schedule, "{name}");
    }
}

#[test]
fn the_later_layer_decides_between_every_and_cron() {
    let folder = Folder::new()
        .with("credentials.toml", LAB)
        .with(
            "devices.toml",
            "devices = [\"a\"]\n[defaults]\nplatform = \"frr\"\ncredentials = \"lab\"\n",
        )
        .with(
            "wrmem.toml",
            "run.cron = \"@daily\"\nrun.time_zone = \"UTC\"\n",
        );
    assert_eq!(schedule_of(&folder.good(), "a"), "cron @daily (UTC)");
    let env = |pairs: &[(&str, &str)]| {
        let mut source = folder.source();
        source.env = pairs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        settings::load_with(&source, &platforms()).map(|loaded| schedule_of(&loaded, "a"))
    };
    let over = env(&[("WRMEM__RUN__EVERY", "5m")]).unwrap_or_else(|f| panic!("{f}"));
    assert_eq!(over, "every 5m");
    let off = env(&[("WRMEM__RUN__CRON", "off")]).unwrap_or_else(|f| panic!("{f}"));
    assert_eq!(off, "every 1h");
    let both = env(&[
        ("WRMEM__RUN__EVERY", "5m"),
        ("WRMEM__RUN__CRON", "0 1 * * *"),
    ]);
    let told = both.unwrap_err().to_string();
    assert!(told.contains("exclude each other"), "{told}");
}

#[test]
fn every_fault_of_schedules_is_told_with_file_line_and_key() {
    let told = Folder::new()
        .with("credentials.toml", LAB)
        .with(
            "wrmem.toml",
            "[run]\nevery = \"100ms\"\ncron = \"61 * * * *\"\nbetween = \"22-05\"\n\
             time_zone = \"Europe/Berln\"\nfinish_within = \"soon\"\n",
        )
        .with(
            "devices.toml",
            "[defaults]\nplatform = \"frr\"\ncredentials = \"lab\"\nbetween = \"05:00-05:00\"\n\
             [groups.x]\nevery = \"1h\"\ncron = \"0 1 * * *\"\n[devices.a]\n",
        )
        .told();
    for line in [
        "wrmem.toml:2: run.every: must be at least a second",
        "wrmem.toml:3: run.cron: expected a cron line, such as \"0 2 * * *\" (minute, hour, day, \
         month, weekday): ",
        "wrmem.toml:4: run.between: expected two times of the day, such as \"22:00-05:00\"",
        "wrmem.toml:5: run.time_zone: must be \"local\" or a name such as \"Europe/Berlin\" or \"UTC\"",
        "wrmem.toml:6: run.finish_within: expected a duration with its unit",
        "devices.toml:4: defaults.between: opens when it closes",
        "devices.toml:7: groups.x.cron: `every` and `cron` exclude each other: take one of them out",
    ] {
        assert!(told.contains(line), "{line}\n--\n{told}");
    }
    assert!(told.ends_with("7 faults in the settings"), "{told}");

    let never = Folder::new()
        .with("credentials.toml", LAB)
        .with(
            "wrmem.toml",
            "run.cron = \"0 12 * * *\"\nrun.between = \"22:00-05:00\"\n",
        )
        .with(
            "devices.toml",
            "devices = [\"a\"]\n[defaults]\nplatform = \"frr\"\ncredentials = \"lab\"\n",
        )
        .told();
    assert!(
        never.starts_with("wrmem.toml:2: run.between: no moment of `cron` falls into this window"),
        "{never}"
    );
    let one = Folder::new()
        .with("credentials.toml", LAB)
        .with(
            "devices.toml",
            "[defaults]\nplatform = \"frr\"\ncredentials = \"lab\"\n[devices.a]\n\
             [devices.b]\ncron = \"0 12 * * *\"\nbetween = \"22:00-05:00\"\n",
        )
        .device_faults();
    assert_eq!(one.len(), 1, "{one:?}");
    assert!(
        one[0].starts_with("devices.toml:5: devices.b.between: no moment"),
        "{one:?}"
    );
}

#[test]
fn only_what_is_written_nowhere_counts_as_not_asked_for() {
    let names = |toml: &str, wrmem: &str| {
        let folder = Folder::new()
            .with("credentials.toml", LAB)
            .with("wrmem.toml", wrmem)
            .with("devices.toml", toml);
        let loaded = folder.good();
        let unasked = loaded.inventory.saved_unasked();
        unasked.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let devices = "[defaults]\nplatform = \"frr\"\ncredentials = \"lab\"\n\
                   [groups.x]\nsave = \"always\"\n\
                   [devices.a]\n[devices.b]\ngroup = \"x\"\n[devices.c]\nsave = \"never\"\n";
    assert_eq!(names(devices, ""), ["a"]);
    assert_eq!(
        names(devices, "run.save = \"always\""),
        Vec::<String>::new()
    );
    assert_eq!(names(devices, "run.save = \"never\""), Vec::<String>::new());
}

fn limits_of(loaded: &Loaded) -> Vec<(String, Vec<String>)> {
    let rows = loaded.inventory.rows().into_iter();
    rows.map(|row| (row.name, row.details.unwrap().limits))
        .collect()
}

#[test]
fn limits_of_defaults_group_and_device_add_up() {
    let folder = Folder::new()
        .with(
            "wrmem.toml",
            "[limits.aaa1]\nlogins_per_second = 5\n[limits.site-7]\nin_flight = 3\n\
             [limits.old]\nin_flight = 1\nlogins_per_second = 0.2\n",
        )
        .with(
            "devices.toml",
            "[defaults]\nplatform = \"cisco_ios\"\ncredentials = \"lab\"\nlimits = [\"aaa1\"]\n\
             [groups.seven]\nlimits = [\"site-7\"]\n\
             [devices.r1]\n[devices.r2]\ngroup = \"seven\"\n\
             [devices.r3]\ngroup = \"seven\"\nlimits = [\"old\", \"aaa1\"]\n",
        )
        .with("devices.csv", "name,limits\nr4,old site-7\nr5,\n")
        .with("credentials.toml", LAB);
    let loaded = folder.good();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let expected = [
        ("r1", vec!["aaa1"]),
        ("r2", vec!["aaa1", "site-7"]),
        ("r3", vec!["aaa1", "site-7", "old"]),
        ("r4", vec!["aaa1", "old", "site-7"]),
        ("r5", vec!["aaa1"]),
    ];
    let found = limits_of(&loaded);
    for ((name, limits), (found_name, found)) in expected.iter().zip(&found) {
        assert_eq!(
            (name, limits),
            (
                &found_name.as_str(),
                &found.iter().map(String::as_str).collect()
            )
        );
    }
    let devices = all(&loaded.inventory).devices;
    let old = &devices[2].limits[2];
    assert_eq!(old.in_flight, Some(1));
    assert_eq!(old.logins.unwrap().interval().as_secs(), 5);
    assert!(Arc::ptr_eq(&devices[0].limits[0], &devices[4].limits[0]));
}

#[test]
fn a_limit_that_nobody_is_in_is_warned_about_and_an_unknown_one_is_a_fault() {
    let wrmem = "[limits.aaa1]\nin_flight = 5\n[limits.aaa2]\nin_flight = 5\n";
    let devices = |at_device: &str, at_group: &str| {
        format!(
            "[defaults]\nplatform = \"cisco_ios\"\ncredentials = \"lab\"\n[groups.g]\n{at_group}\n\
             [devices.r1]\n{at_device}\n[devices.r2]\n"
        )
    };
    let folder = Folder::new()
        .with("wrmem.toml", wrmem)
        .with("devices.toml", &devices("limits = [\"aaa1\", \"aa2\"]", ""))
        .with("credentials.toml", LAB);
    let loaded = folder.good();
    let warnings: Vec<_> = loaded
        .warnings
        .iter()
        .map(|w| folder.cut(&w.to_string()))
        .collect();
    assert_eq!(
        warnings,
        [
            "warning: wrmem.toml:3: limits.aaa2: no device is in this set: write limits = [\"aaa2\"] \
          at a device, a group or [defaults]"
        ]
    );
    assert_eq!(
        folder.device_faults(),
        [
            "devices.toml:7: devices.r1.limits: unknown limit `aa2`, there are: `aaa1`, `aaa2`; did \
          you mean `aaa2`?"
        ]
    );
    let folder = folder.with(
        "devices.toml",
        &devices("limits = \"aaa1\"", "limits = [\"x\"]"),
    );
    let told = folder.told();
    for expected in [
        "devices.toml:5: groups.g.limits: unknown limit `x`",
        "devices.toml:7: devices.r1.limits: expected a list of names, such as [\"aaa1\"]",
    ] {
        assert!(told.contains(expected), "{told}");
    }
    // Where the sets themselves are faulty, nobody is told that they are unknown.
    let folder = folder
        .with(
            "wrmem.toml",
            "[limits.aaa1]\nin_flight = 0\n[limit.b]\nin_flight = 1\n",
        )
        .with(
            "devices.toml",
            &devices("limits = [\"aaa1\"]", "limits = [\"b\"]"),
        );
    let told = folder.told();
    assert!(
        told.contains("wrmem.toml:2: limits.aaa1.in_flight: must be at least 1"),
        "{told}"
    );
    assert!(
        told.contains("wrmem.toml:3: limit: unknown key; did you mean `limits`?"),
        "{told}"
    );
    assert!(!told.contains("unknown limit"), "{told}");
}

#[test]
fn a_pattern_means_every_device_whose_name_matches_and_only_exact_names_count_as_named() {
    let folder = folder(
        "[groups.core]\n[devices.csr1]\n[devices.CSR2]\n[devices.csr10]\ngroup = \"core\"\n\
         [devices.\"dist.1\"]\n",
    );
    let inventory = folder.good().inventory;
    let chosen = |names: &[&str], groups: &[&str]| {
        let selected = select(&inventory, names, groups).unwrap();
        let names = selected
            .devices
            .iter()
            .map(|device| device.name.to_string());
        names.collect::<Vec<_>>()
    };
    assert_eq!(chosen(&["csr*"], &[]), ["csr1", "CSR2", "csr10"]);
    assert_eq!(chosen(&["Csr?"], &[]), ["csr1", "CSR2"]);
    assert_eq!(chosen(&["csr[2-9]", "d*1"], &[]), ["CSR2", "dist.1"]);
    assert_eq!(chosen(&["dist*"], &["core"]), ["csr10", "dist.1"]);
    assert_eq!(chosen(&["*"], &[]).len(), 4);
    let selected = select(&inventory, &["csr?", "Csr10"], &[]).unwrap();
    assert_eq!(selected.devices.len(), 3);
    let named: Vec<_> = selected.named.iter().map(ToString::to_string).collect();
    assert_eq!(named, ["csr10"]);
    let nothing = select(&inventory, &["asr*", "csr[", "c***"], &[]);
    let told = nothing.unwrap_err().to_string();
    assert!(told.contains("no device matches \"asr*\""), "{told}");
    assert!(told.contains("in quotes"), "{told}");
    assert!(told.contains("\"csr[\" is no pattern"), "{told}");
    assert!(told.contains("\"c***\" is no pattern"), "{told}");
}

#[test]
fn a_selection_can_be_narrowed_to_some_names() {
    let folder = folder("[devices.csr1]\n[devices.CSR2]\n[devices.csr3]\n");
    let inventory = folder.good().inventory;
    let narrowed = |names: &[&str], only: &[&str]| {
        let selection = Selection {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            only: Some(only.iter().map(|name| (*name).to_owned()).collect()),
            ..Selection::default()
        };
        let selected = inventory.select(&selection, &[])?;
        Ok::<_, SelectError>(selected.devices.len())
    };
    assert_eq!(narrowed(&[], &["csr2", "gone"]), Ok(1));
    assert_eq!(narrowed(&["csr1", "csr2"], &["csr2", "csr3"]), Ok(1));
    assert_eq!(narrowed(&["csr1"], &["csr2"]), Err(SelectError::Nothing));
}

#[test]
fn what_is_asked_besides_comes_from_the_nearest_that_says_it() {
    let folder = folder(
        "also = [\"show version\", \"show inventory\"]\n\
         [groups.core]\nalso = \"show clock\"\n\
         [devices.a]\n[devices.b]\ngroup = \"core\"\n\
         [devices.c]\ngroup = \"core\"\nalso = []\n[devices.d]\nplatform = \"frr\"\n",
    );
    let selected = all(&folder.good().inventory);
    let also: Vec<&[String]> = selected.devices.iter().map(|d| d.also.as_slice()).collect();
    let wanted: [&[&str]; 4] = [
        &["show version", "show inventory"],
        &["show clock"],
        &[],
        &["show version", "show inventory"],
    ];
    assert_eq!(also, wanted);
}

#[test]
fn a_command_that_is_none_is_told() {
    let folder = folder("[devices.a]\nalso = [\"show version\", \"\"]\n[devices.b]\nalso = true\n");
    let told = folder.device_faults().join("\n");
    assert!(told.contains("devices.a.also: must not be empty"), "{told}");
    assert!(told.contains("devices.b.also"), "{told}");
    assert!(told.contains("a list of them"), "{told}");
}

#[test]
fn several_credentials_keep_their_order_and_each_must_be_there() {
    let two = format!("{LAB}[credentials.old]\nusername = \"o\"\npassword = \"p\"\n");
    let listed = DEFAULTS.replace("\"lab\"", "[\"lab\", \"old\"]");
    let csv = "name,credentials\nc1,old lab\n";
    let loaded = Folder::new()
        .with(
            "devices.toml",
            &format!("{listed}[devices.a]\n[devices.b]\ncredentials = \"old\"\n"),
        )
        .with("devices.csv", csv)
        .with("credentials.toml", &two)
        .good();
    let selected = all(&loaded.inventory);
    let names: Vec<Vec<_>> = selected
        .devices
        .iter()
        .map(|device| {
            device
                .all_credentials()
                .map(|it| it.name.as_str())
                .collect()
        })
        .collect();
    assert_eq!(names, [vec!["lab", "old"], vec!["old"], vec!["old", "lab"]]);
    let faults = folder(
        "[devices.a]\ncredentials = [\"lab\", \"lab\"]\n[devices.b]\ncredentials = []\n\
         [devices.c]\ncredentials = [\"lab\", \"odl\"]\n",
    );
    let told = faults.device_faults().join("\n");
    for part in [
        "devices.a.credentials: names the same twice",
        "devices.b.credentials: expected a name, or a list of names",
        "devices.c.credentials: unknown credentials `odl`",
    ] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
}

#[test]
fn source_and_interface_resolve_over_group_defaults_and_overall_settings() {
    let loaded = Folder::new()
        .with(
            "wrmem.toml",
            "[ssh]\nsource = \"192.0.2.1\"\ninterface = \"mgmt\"\n",
        )
        .with(
            "devices.toml",
            &format!(
                "{DEFAULTS}[groups.g]\nsource = \"192.0.2.2\"\n[devices.a]\n\
                 [devices.b]\ngroup = \"g\"\n[devices.c]\ngroup = \"g\"\nsource = \"any\"\n\
                 interface = \"oob\"\n"
            ),
        )
        .with("credentials.toml", LAB)
        .good();
    let shown: Vec<_> = all(&loaded.inventory)
        .devices
        .iter()
        .map(|device| format!("{:?} {:?}", device.egress.source, device.egress.interface))
        .collect();
    assert_eq!(
        shown,
        [
            "Some(192.0.2.1) Some(\"mgmt\")",
            "Some(192.0.2.2) Some(\"mgmt\")",
            "None Some(\"oob\")"
        ]
    );
    let faults = folder("[devices.a]\nsource = \"eth0\"\n").device_faults();
    assert!(
        faults[0].contains("devices.a.source: must be an address"),
        "{faults:?}"
    );
}

#[test]
fn an_agent_must_be_named_by_the_environment() {
    let credentials =
        "[credentials.lab]\nusername = \"ntc\"\nauth = \"agent\"\nagent_key = \"k\"\n";
    let loaded = Folder::new()
        .with("devices.toml", &format!("{DEFAULTS}[devices.a]\n"))
        .with("credentials.toml", credentials)
        .good();
    let env = pairs(&[("SSH_AUTH_SOCK", "/run/agent")]);
    let selected = loaded
        .inventory
        .select(&Selection::default(), &env)
        .unwrap();
    let agent = selected.devices[0].credentials.agent.as_ref().unwrap();
    assert_eq!(
        (agent.socket.as_str(), agent.key.as_deref()),
        ("/run/agent", Some("k"))
    );
    let without = loaded.inventory.select(&Selection::default(), &[]).unwrap();
    let told = &without.broken[0].message;
    assert!(
        told.contains("credentials.toml:1: credentials.lab.auth"),
        "{told}"
    );
    assert!(told.contains("`SSH_AUTH_SOCK` is not set"), "{told}");
}

#[test]
fn further_files_of_known_hosts_may_begin_at_home() {
    let folder = folder("[devices.a]\n");
    let folder = folder.with(
        "wrmem.toml",
        "[ssh]\nknown_hosts_extra = [\"~/.ssh/known_hosts\", \"/etc/x\"]\n",
    );
    let source = Source {
        env: pairs(&[("HOME", "/home/ntc")]),
        ..folder.source()
    };
    let loaded = wrmem::settings::load(&source).unwrap();
    let paths = loaded.settings.ssh.known_hosts_extra;
    assert_eq!(
        paths,
        [Path::new("/home/ntc/.ssh/known_hosts"), Path::new("/etc/x")]
    );
}

const JUMPS: &str = "[jumps.outer]\nhost = \"192.0.2.1\"\ncredentials = \"lab\"\nlimits = [\"aaa1\"]\n\
     [jumps.inner]\nhost = \"192.0.2.2\"\nport = 2222\ncredentials = \"lab\"\njump = \"outer\"\n\
     channels = 7\nsource = \"127.0.0.2\"\n";

#[test]
fn jump_hosts_are_entries_of_their_own_and_their_limits_count_for_devices_behind() {
    let loaded = Folder::new()
        .with("wrmem.toml", "[limits.aaa1]\nin_flight = 2\n")
        .with(
            "devices.toml",
            &format!(
                "{DEFAULTS}jump = \"inner\"\n{JUMPS}[groups.near]\njump = \"off\"\n\
                 [devices.a]\n[devices.b]\ngroup = \"near\"\n[devices.c]\njump = \"outer\"\n"
            ),
        )
        .with("credentials.toml", LAB)
        .good();
    assert_eq!(loaded.warnings, []);
    let selected = all(&loaded.inventory);
    let [a, b, c] = selected.devices.as_slice() else {
        panic!("{selected:?}");
    };
    let inner = a.jump.as_ref().unwrap();
    assert_eq!(
        (inner.name(), inner.channels, inner.sessions),
        ("inner", 7, 4)
    );
    assert_eq!(
        (inner.endpoint.host.as_str(), inner.endpoint.port),
        ("192.0.2.2", 2222)
    );
    assert!(inner.endpoint.egress.source.is_some());
    let outer = inner.endpoint.jump.as_ref().unwrap();
    assert_eq!(outer.name(), "outer");
    assert!(outer.endpoint.jump.is_none());
    assert!(b.jump.is_none());
    assert!(
        std::sync::Arc::ptr_eq(c.jump.as_ref().unwrap(), outer),
        "shared"
    );
    let limits = limits_of(&loaded);
    let limits: Vec<_> = limits.iter().map(|(_, sets)| sets.len()).collect();
    assert_eq!(limits, [1, 0, 1]);
    let trusted = loaded.inventory.jump_host("outer", &[]).unwrap().unwrap();
    assert_eq!(trusted.endpoint.host, "192.0.2.1");
    assert!(loaded.inventory.jump_host("a", &[]).is_none());
}

#[test]
fn faults_of_jump_hosts_are_told_with_file_line_and_key() {
    let told = folder(
        "jump = \"bastoin\"\n[jumps.bastion]\nhost = \"a:22\"\n[jumps.one]\ncredentials = \"lap\"\n\
         jump = \"two\"\nsave = \"never\"\nchannels = 0\n[jumps.b]\ncredentials = \"lab\"\njump = \"c\"\n\
         [jumps.c]\ncredentials = \"lab\"\njump = \"d\"\n[jumps.d]\ncredentials = \"lab\"\njump = \"b\"\n\
         [jumps.e]\ncredentials = \"lab\"\njump = \"nowhere\"\n[devices.B]\n[devices.x]\njump = \"nobody\"\n",
    )
    .told();
    for part in [
        "devices.toml:4: defaults.jump: unknown jump host `bastoin`",
        "did you mean `bastion`?",
        "jumps.bastion.host: expected a host alone",
        "jumps.bastion.credentials: is missing: a jump host has credentials of its own",
        "jumps.one.save: unknown key",
        "jumps.one.channels: must be 1 to 1000",
        "jumps.b.jump: leads through more than 2 jump hosts, or in a circle",
        "jumps.e.jump: unknown jump host `nowhere`",
        "jumps.b: is also the name of a device (devices.toml:",
        "devices.x.jump: unknown jump host `nobody`",
    ] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
}
