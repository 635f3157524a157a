//! The dialogue against scripted devices: every folder of `tests/fixtures/<platform>/<box>/` is one
//! device. `script` is what the device does, or `trace` what one did that somebody recorded
//! (docs/traces.md); `sent` is what we typed, `config` what we kept, `redacted` what is shown of it
//! where that is something else, and `outcome` what we told. `WRMEM_BLESS=1 cargo test --test
//! dialogue` writes the goldens anew; look at the difference before you commit it.
//!
//! The script, one step a line:
//!
//! ```text
//! # comment
//! set save=never            also: name, prompt, enable, view=full, strict=yes, last_good,
//!                           save_deadline, save=if_changed, order=after, confirm=yes|no,
//!                           also=COMMAND;COMMAND
//! < text                    the device sends this; \r \n \t \e \b \\ \xNN as in Rust
//! << text                   the same and CRLF
//! > text                    it waits until this is typed
//! pause 1.5                 it is silent for so many seconds
//! eof | reset
//! exit 1 text               the command that was run ends with this status, having said this on its
//!                           error stream; what is run is typed as `exec COMMAND\r`
//! login | save | show       (cisco_ios) the usual login at privilege 15, save, and echo of the config command
//! config 300                lines of config, as many as it says
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this file is a test"
)]

#[path = "dialogue/platforms.rs"]
mod one_by_one;
#[path = "dialogue/rows.rs"]
mod rows;

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use wrmem::model::credentials::{Credentials, Secret};
use wrmem::model::device::{Deadlines, Device, DeviceName, Identity, View};
use wrmem::model::platform::Platform;
use wrmem::model::save::{SaveConfirm, SaveNeed, SaveOrder, SavePolicy, SaveReport, Saving};
use wrmem::model::stage::Trail;
use wrmem::session::Clock;
use wrmem::session::dialogue::Conversation;
use wrmem::session::scripted::{Reads, Scripted, Step};
use wrmem::session::trace::Trace;
use wrmem::text::redact::{self, Mask};

const PREPARE_IOS: &str = "terminal length 0\rshow privilege\rshow reload\r";
const PREPARE_IOS_UNSAVED: &str = "terminal length 0\rshow privilege\r";

struct Fixture {
    folder: PathBuf,
    steps: Vec<Step>,
    set: BTreeMap<String, String>,
}

/// What came of a whole conversation.
#[derive(Clone, PartialEq, Eq, Default)]
struct Outcome {
    sent: Vec<u8>,
    config: Option<Vec<u8>>,
    info: Option<Vec<u8>>,
    told: String,
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let config = self.config.as_deref().map(escape);
        write!(f, "{}\n{config:?}\n{}", escape(&self.sent), self.told)
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next().expect("an escape") {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'e' => 0x1b,
            b'b' => 8,
            b'\\' => b'\\',
            b'x' => {
                let hex: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&hex, 16).expect("two hex digits")
            }
            other => panic!("unknown escape \\{}", char::from(other)),
        });
    }
    bytes
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'\r' => text.push_str("\\r\n"),
            b'\\' => text.push_str("\\\\"),
            0x20..=0x7e => text.push(char::from(*byte)),
            other => write!(text, "\\x{other:02x}").unwrap(),
        }
    }
    text
}

fn send(text: &str) -> Step {
    Step::Send(text.as_bytes().to_vec())
}

fn expect(text: &str) -> Step {
    Step::Expect(text.as_bytes().to_vec())
}

impl Fixture {
    fn read(folder: &Path) -> Self {
        if let Ok(trace) = std::fs::read_to_string(folder.join("trace")) {
            let trace = Trace::read(&trace).expect("a trace");
            return Self {
                folder: folder.to_owned(),
                steps: trace.steps(),
                set: trace.settings.into_iter().collect(),
            };
        }
        let script = std::fs::read_to_string(folder.join("script")).expect("a script");
        let mut fixture = Self {
            folder: folder.to_owned(),
            steps: Vec::new(),
            set: BTreeMap::new(),
        };
        for line in script.lines().filter(|l| !l.starts_with('#')) {
            fixture.line(line);
        }
        fixture
    }

    fn platform(&self) -> String {
        let folder = self.folder.parent().unwrap();
        folder.file_name().unwrap().to_string_lossy().into_owned()
    }

    fn name(&self) -> String {
        self.folder
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned()
    }

    fn get(&self, key: &str, default: &str) -> String {
        self.set.get(key).map_or(default, String::as_str).to_owned()
    }

    fn line(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let name = self.get("prompt", &self.get("name", "csr1"));
        match word {
            "" => {}
            "set" => {
                let (key, value) = rest.split_once('=').expect("set key=value");
                self.set.insert(key.into(), value.into());
            }
            "<" => self.steps.push(Step::Send(unescape(rest))),
            "<<" => self
                .steps
                .push(Step::Send(unescape(&format!("{rest}\\r\\n")))),
            ">" => self.steps.push(Step::Expect(unescape(rest))),
            "pause" => self
                .steps
                .push(Step::Pause(Duration::from_secs_f64(rest.parse().unwrap()))),
            "exit" => {
                let (code, aside) = rest.split_once(' ').unwrap_or((rest, ""));
                let aside = unescape(aside);
                self.steps.push(Step::Exit(code.parse().unwrap(), aside));
            }
            "eof" => self.steps.push(Step::Eof),
            "reset" => self.steps.push(Step::Reset),
            "login" => {
                self.steps.push(send(&format!("\r\n{name}#")));
                self.prepared(&name, 15);
            }
            "prepared" => self.prepared(&name, rest.parse().unwrap()),
            "save" => {
                self.steps.push(expect("write memory\r"));
                self.steps
                    .push(send("write memory\r\nBuilding configuration...\r\n"));
                self.steps.push(Step::Pause(Duration::from_secs(2)));
                self.steps.push(send(&format!("[OK]\r\n{name}#")));
            }
            "show" => {
                self.steps.push(expect("show running-config\r"));
                self.steps.push(send("show running-config\r\n"));
            }
            "config" => {
                let mut text = String::new();
                for number in 0..rest.parse::<usize>().unwrap() {
                    write!(
                        text,
                        "interface Loopback{number}\r\n no ip address\r\n!\r\n"
                    )
                    .unwrap();
                }
                self.steps.push(Step::Send(text.into_bytes()));
            }
            other => panic!("{}: unknown step {other}", self.folder.display()),
        }
    }

    fn prepared(&mut self, name: &str, level: u32) {
        let mut echo = format!(
            "terminal length 0\r\n{name}#show privilege\r\n\
             Current privilege level is {level}\r\n{name}#"
        );
        if self.get("save", "always") == "never" {
            self.steps.push(expect(PREPARE_IOS_UNSAVED));
        } else {
            self.steps.push(expect(PREPARE_IOS));
            write!(echo, "show reload\r\nNo reload is scheduled.\r\n{name}#").unwrap();
        }
        self.steps.push(Step::Send(echo.into_bytes()));
    }

    fn device(&self, platforms: &BTreeMap<String, Arc<Platform>>) -> Arc<Device> {
        let deadlines = Deadlines {
            save: Duration::from_secs(self.get("save_deadline", "300").parse().unwrap()),
            ..Deadlines::default()
        };
        let credentials = Credentials {
            password: Some(Secret::new("planted-password".into())),
            enable: self.set.get("enable").cloned().map(Secret::new),
            ..Credentials::new("lab", "ntc")
        };
        Arc::new(Device {
            save: match self.get("save", "always").as_str() {
                "never" => SavePolicy::Never,
                "if_changed" => SavePolicy::IfChanged,
                _ => SavePolicy::Always,
            },
            save_order: match self.get("order", "before").as_str() {
                "after" => SaveOrder::After,
                _ => SaveOrder::Before,
            },
            save_confirm: match self.get("confirm", "ask").as_str() {
                "yes" => SaveConfirm::Yes,
                "no" => SaveConfirm::No,
                _ => SaveConfirm::Ask,
            },
            view: match self.get("view", "").as_str() {
                "full" => View::Full,
                _ => View::Privileged,
            },
            identity: match self.get("strict", "").as_str() {
                "yes" => Identity::Strict,
                _ => Identity::Noted,
            },
            deadlines,
            attempts: 1,
            also: self
                .set
                .get("also")
                .map(|commands| commands.split(';').map(str::to_owned).collect())
                .unwrap_or_default(),
            ..Device::new(
                DeviceName::new(&self.get("name", "csr1")).unwrap(),
                "192.0.2.1",
                Arc::clone(&platforms[&self.platform()]),
                Arc::new(credentials),
            )
        })
    }

    fn converse(&self, device: &Arc<Device>, reads: Reads) -> Outcome {
        let transport = Scripted::new(self.steps.clone()).reads(reads);
        let (typed, clock) = (transport.typed(), transport.clock());
        let deadline = clock.now() + Duration::from_secs(1200);
        let mut trail = Trail::default();
        let mut outcome = Outcome::default();
        let shared: Arc<dyn Clock> = clock;
        match Conversation::open(Box::new(transport), device, shared, deadline, &mut trail) {
            Err(error) => writeln!(outcome.told, "open: {}: {error}", error.kind()).unwrap(),
            Ok(mut dialogue) => {
                writeln!(outcome.told, "open: ok").unwrap();
                self.work(&mut dialogue, device, &mut trail, &mut outcome);
                dialogue.close();
            }
        }
        for note in &trail.notes {
            writeln!(outcome.told, "note: {note}").unwrap();
        }
        for (name, value) in &trail.facts {
            writeln!(outcome.told, "fact: {name} = {value}").unwrap();
        }
        outcome.sent = typed.bytes();
        outcome
    }

    fn work(
        &self,
        dialogue: &mut Conversation,
        device: &Device,
        trail: &mut Trail,
        outcome: &mut Outcome,
    ) {
        let told = &mut outcome.told;
        let far = std::time::Instant::now() + Duration::from_secs(100_000);
        let last_good = self.set.get("last_good").map(|text| unescape(text));
        if let Err(error) = dialogue.check_presence(&last_good.unwrap_or_default()) {
            writeln!(told, "presence: {}: {error}", error.kind()).unwrap();
            return;
        }
        let save = |dialogue: &mut Conversation, trail: &mut Trail, told: &mut String| {
            let saved = dialogue.save(far, trail);
            let SaveReport { result, said } = trail.save.clone().expect("how the save ended");
            writeln!(told, "save: {}: {said}", result.name()).unwrap();
            if let Err(error) = saved {
                writeln!(told, "not saved: {}: {error}", error.kind()).unwrap();
            }
        };
        if device.saving() == Saving::Before {
            save(dialogue, trail, told);
        }
        match dialogue.fetch(far, trail) {
            Ok(config) => {
                writeln!(told, "fetch: ok: {}", config.proof().name()).unwrap();
                let need = dialogue.need_to_save(&config, trail);
                outcome.config = Some(config.bytes().to_vec());
                let info = dialogue.info(far, trail);
                outcome.info = info.map(|info| info.bytes().to_vec());
                match (device.saving(), need) {
                    (Saving::After, _) | (Saving::IfNeeded, SaveNeed::Needed) => {
                        save(dialogue, trail, told);
                    }
                    (Saving::IfNeeded, SaveNeed::Unneeded) => {
                        let SaveReport { result, said } = trail.save.clone().expect("why");
                        writeln!(told, "save: {}: {said}", result.name()).unwrap();
                    }
                    (Saving::Never | Saving::Before, _) => {}
                }
            }
            Err(error) => writeln!(told, "fetch: {}: {error}", error.kind()).unwrap(),
        }
    }

    fn bytes_sent_by_device(&self) -> u64 {
        let len = |step: &Step| match step {
            Step::Send(bytes) => bytes.len() as u64,
            _ => 0,
        };
        self.steps.iter().map(len).sum()
    }

    fn golden(&self, name: &str, got: Option<&[u8]>) {
        let path = self.folder.join(name);
        if std::env::var_os("WRMEM_BLESS").is_some() {
            match got {
                Some(bytes) => std::fs::write(&path, bytes).unwrap(),
                None => drop(std::fs::remove_file(&path)),
            }
            return;
        }
        let wanted = std::fs::read(&path).ok();
        assert_eq!(
            got.map(String::from_utf8_lossy),
            wanted.as_deref().map(String::from_utf8_lossy),
            "{}: WRMEM_BLESS=1 writes what was got",
            path.display()
        );
    }
}

fn fixtures() -> Vec<Fixture> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .flat_map(|platform| std::fs::read_dir(platform.unwrap().path()).unwrap())
        .map(|folder| folder.unwrap().path())
        .filter(|folder| folder.join("script").exists() || folder.join("trace").exists())
        .collect();
    folders.sort();
    folders.iter().map(|folder| Fixture::read(folder)).collect()
}

/// The built-in platforms, those that tests need besides, and the example of the documentation.
fn platforms() -> BTreeMap<String, Arc<Platform>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut platforms =
        wrmem::settings::platforms::load(Some(&root.join("tests/fixtures"))).unwrap();
    let settings = tempfile::tempdir().unwrap();
    let folder = settings.path().join("platforms");
    std::fs::create_dir(&folder).unwrap();
    let example = root.join("docs/examples/acme.toml");
    std::fs::copy(example, folder.join("example_acme.toml")).unwrap();
    let mut documented = wrmem::settings::platforms::load(Some(settings.path())).unwrap();
    platforms.extend(documented.remove_entry("example_acme"));
    platforms
}

#[test]
fn every_device_gets_what_it_should() {
    let platforms = platforms();
    let fixtures = fixtures();
    assert!(fixtures.len() > 30, "only {} fixtures", fixtures.len());
    for fixture in fixtures {
        let outcome = fixture.converse(&fixture.device(&platforms), Reads::Whole);
        fixture.golden("sent", Some(escape(&outcome.sent).as_bytes()));
        fixture.golden("config", outcome.config.as_deref());
        fixture.golden("info", outcome.info.as_deref());
        let device = fixture.device(&platforms);
        let shown = |config| redact::config(config, &device.platform, Mask::Hidden);
        let redacted = outcome.config.as_deref().map(shown);
        let is_other = redacted != outcome.config;
        fixture.golden("redacted", redacted.as_deref().filter(|_| is_other));
        fixture.golden("outcome", Some(outcome.told.as_bytes()));
        for secret in ["planted-password", "planted-enable"] {
            assert!(
                !outcome.told.contains(secret),
                "{}",
                fixture.folder.display()
            );
        }
    }
}

#[test]
fn a41_a_cut_at_any_byte_changes_nothing() {
    let platforms = platforms();
    for fixture in fixtures() {
        let device = fixture.device(&platforms);
        let whole = fixture.converse(&device, Reads::Whole);
        let name = fixture.folder.display();
        assert_eq!(
            fixture.converse(&device, Reads::AtMost(1)),
            whole,
            "{name}: byte by byte"
        );
        let bytes = fixture.bytes_sent_by_device();
        // Cuts of larger ones are drawn at random below.
        let last = if bytes > 4000 { 1 } else { bytes };
        for place in 1..last {
            let cut = fixture.converse(&device, Reads::CutAt(vec![place]));
            assert_eq!(cut, whole, "{name}: cut at {place}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn a41_any_cuts_change_nothing(seed in proptest::collection::vec(0.0..1.0_f64, 1..40)) {
        let platforms = platforms();
        for fixture in fixtures() {
            let device = fixture.device(&platforms);
            let bytes = fixture.bytes_sent_by_device() as f64;
            let mut places: Vec<u64> = seed.iter().map(|part| (part * bytes) as u64).collect();
            places.sort_unstable();
            let whole = fixture.converse(&device, Reads::Whole);
            let cut = fixture.converse(&device, Reads::CutAt(places));
            prop_assert_eq!(cut, whole, "{}", fixture.folder.display());
        }
    }
}

#[test]
fn the_example_in_the_documentation_is_the_file_that_is_tested() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let (text, file) = (read("docs/platforms.md"), read("docs/examples/acme.toml"));
    assert!(text.contains(&format!("```toml\n{file}```")), "they differ");
}

/// The names of all keys, at whatever depth.
fn keys_of(table: &toml::Table, found: &mut BTreeSet<String>) {
    for (key, value) in table {
        found.insert(key.clone());
        let within = match value {
            toml::Value::Array(items) => items.as_slice(),
            other => std::slice::from_ref(other),
        };
        for table in within.iter().filter_map(toml::Value::as_table) {
            keys_of(table, found);
        }
    }
}

#[test]
fn every_key_of_the_built_in_platforms_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/platforms.md")).unwrap();
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(root.join("settings/platforms")).unwrap() {
        let file = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        keys_of(&file.parse().unwrap(), &mut found);
    }
    assert!(found.len() > 40, "{found:?}");
    // What stands between backticks, word by word.
    let told: BTreeSet<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .flat_map(|code| code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .collect();
    let silent: Vec<&String> = found
        .iter()
        .filter(|key| !told.contains(key.as_str()))
        .collect();
    assert!(silent.is_empty(), "docs/platforms.md lacks {silent:?}");
}
