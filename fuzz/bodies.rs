//! What each fuzz target does with its bytes, and what must hold whatever they are. Shared by the
//! targets and by `tests/fuzz_corpora.rs`.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use wrmem::model::credentials::{Credentials, Secret};
use wrmem::model::device::{Device, DeviceName, View};
use wrmem::model::platform::{Channel, Platform, ProofRule};
use wrmem::model::save::{SaveConfirm, SaveOrder, SavePolicy};
use wrmem::model::stage::Trail;
use wrmem::session::Clock;
use wrmem::session::dialogue::Dialogue;
use wrmem::session::known_hosts::KnownHosts;
use wrmem::session::scripted::{Scripted, Step};
use wrmem::session::trace::{Event, Replay, Trace};
use wrmem::settings::{self, Source, platforms};
use wrmem::text::clean::Cleaner;
use wrmem::text::opaque::Tracker;
use wrmem::text::redact::{self, Key, Mask};
use wrmem::text::{braces, prompt, stamp, syslog, volatile};

const PASSWORD: &str = "planted-password";
const ENABLE: &str = "planted-enable";

fn all_platforms() -> &'static BTreeMap<String, Arc<Platform>> {
    static PLATFORMS: OnceLock<BTreeMap<String, Arc<Platform>>> = OnceLock::new();
    PLATFORMS.get_or_init(|| platforms::load(None).expect("the platforms that are compiled in"))
}

/// A platform by a byte, so that a new one leaves the corpora as they are for the first ones.
fn platform(byte: u8) -> &'static Arc<Platform> {
    let shells: Vec<&Arc<Platform>> = all_platforms()
        .values()
        .filter(|platform| platform.channel == Channel::Shell)
        .collect();
    let ios = shells.iter().find(|platform| platform.name == "cisco_ios");
    match byte {
        0 => ios.expect("cisco_ios"),
        _ => shells[usize::from(byte) % shells.len()],
    }
}

/// Whatever a device sends, and however it is cut: the same lines, without control characters.
pub(crate) fn cleaner(data: &[u8]) {
    let mut whole = Cleaner::new();
    whole.feed(data);
    let mut cut = Cleaner::new();
    for byte in data {
        cut.feed(std::slice::from_ref(byte));
    }
    assert_eq!(whole.text(), cut.text());
    check_screen(&whole);
}

fn check_screen(screen: &Cleaner) {
    let text = screen.text();
    let control = |byte: &u8| matches!(byte, 0 | 7 | 8 | 0x1b | b'\r');
    assert!(!text.iter().any(control));
    let (lines, tail) = text.split_at(screen.tail_start());
    assert!(lines.is_empty() || lines.ends_with(b"\n"));
    assert_eq!(tail, screen.tail());
    assert!(!tail.contains(&b'\n'));
}

/// Chunks between 0xff; at each of those the unfinished line is answered as a pager's question.
pub(crate) fn pager(data: &[u8]) {
    let mut whole = Cleaner::new();
    let mut cut = Cleaner::new();
    for (index, chunk) in data.split(|byte| *byte == 0xff).enumerate() {
        if index > 0 {
            whole.answer_pager();
            cut.answer_pager();
        }
        whole.feed(chunk);
        for byte in chunk {
            cut.feed(std::slice::from_ref(byte));
        }
        assert_eq!(whole.text(), cut.text());
        check_screen(&whole);
    }
}

/// A last line against the prompts of every platform.
pub(crate) fn prompt(data: &[u8]) {
    let tail = data
        .split(|byte| *byte == b'\n')
        .next_back()
        .unwrap_or(data);
    for platform in all_platforms().values() {
        let shape = &platform.prompt;
        let mode = prompt::shape_of(tail, shape);
        let learned = prompt::Prompt::learn(tail, shape);
        assert_eq!(learned.as_ref().map(prompt::Prompt::mode), mode);
        let Some(learned) = learned else { continue };
        assert!(learned.is(tail));
        assert!(learned.is_kin(tail, shape));
        assert!(learned.after(tail).is_some_and(<[u8]>::is_empty));
        assert!(!learned.host().is_empty());
    }
}

/// Everything that looks at single lines of a config.
pub(crate) fn lines(data: &[u8]) {
    let platform = platform(data.first().copied().unwrap_or_default());
    let mut tracker = Tracker::default();
    let mut braces = braces::Braces::default();
    for line in data.split(|byte| *byte == b'\n') {
        let inside = tracker.inside();
        assert_eq!(tracker.line(line, &platform.config.opaque), inside);
        braces.line(line);
        if syslog::is_message(line) {
            assert!(syslog::is_message_of(line, &platform.log));
        }
        if let Some(read) = stamp::Stamp::read(line) {
            assert_eq!(read.is_later_than(&read), Some(false));
            assert!(read.place().end <= line.len());
        }
    }
    let _ = braces.balanced();
    if let Some(stamps) = &platform.config.unsaved {
        let _ = stamp::unsaved(data, stamps);
    }
    assert!(volatile::same(data, data, &platform.volatile));
}

/// A config, and a line of it in a message: no known secret, nothing that another pass would change.
pub(crate) fn redaction(data: &[u8]) {
    let (first, text) = data.split_first().unwrap_or((&0, data));
    let platform = platform(*first);
    let key = Key::new([7; 32]);
    let once = redact::config(text, platform, Mask::Keyed(&key));
    assert_eq!(redact::config(&once, platform, Mask::Keyed(&key)), once);
    let breaks = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(breaks(text), breaks(&once));
    let known = [Secret::new(PASSWORD.to_owned())];
    for line in text.split(|byte| *byte == b'\n') {
        let quoted = redact::quote(line, &platform.secrets, &known);
        assert!(!quoted.contains(PASSWORD));
        assert!(!quoted.contains(char::is_control));
    }
}

/// A known_hosts file of any content: lines that are none are warned about, and keys are judged.
pub(crate) fn known_hosts(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("known_hosts");
    std::fs::write(&path, data).expect("a file");
    let Ok(hosts) = KnownHosts::load(&path) else {
        return;
    };
    for host in ["csr1", "192.0.2.1", "fe80::1%eth0", "*"] {
        for port in [22, 2222] {
            for key in hosts.known(host, port) {
                let _ = hosts.judge(host, port, &key);
                assert!(!key.fingerprint().is_empty());
            }
        }
    }
    hosts.flush().expect("nothing to write");
    assert_eq!(std::fs::read(&path).expect("the file"), data);
}

/// Files that are separated by lines of `=== NAME`.
fn files(data: &[u8]) -> BTreeMap<&'static str, Vec<u8>> {
    let names = [
        "wrmem.toml",
        "devices.toml",
        "devices.csv",
        "credentials.toml",
        "platforms/own.toml",
    ];
    let mut files: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    let mut file = "devices.toml";
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        let named = line.strip_prefix(b"=== ").map(<[u8]>::trim_ascii);
        match names.iter().find(|name| Some(name.as_bytes()) == named) {
            Some(name) => file = name,
            None => files.entry(file).or_default().extend_from_slice(line),
        }
    }
    files
}

/// A settings folder: files separated by lines of `=== NAME`. Every fault is told, none is a panic.
pub(crate) fn settings(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("platforms")).expect("a folder");
    for (name, text) in files(data) {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    let source = Source {
        dir: folder.path().to_owned(),
        ..Source::default()
    };
    let own = folder.path().join("platforms/own.toml").exists();
    let loaded = if own {
        settings::load(&source)
    } else {
        settings::load_with(&source, all_platforms())
    };
    match loaded {
        Ok(loaded) => {
            let _ = loaded.inventory.rows();
        }
        Err(faults) => assert!(!faults.to_string().is_empty()),
    }
}

/// What of the events is written exactly: times are rounded, and what was told is one line.
fn exact(events: &[Event]) -> Vec<Event> {
    let exact = events.iter().filter_map(|event| match event {
        Event::Heard(bytes) if bytes.is_empty() => None,
        Event::Stage(stage, _) => Some(Event::Stage(*stage, Duration::ZERO)),
        Event::Pause(_) => Some(Event::Pause(Duration::ZERO)),
        Event::Quiet(_) => Some(Event::Quiet(Duration::ZERO)),
        Event::Ended(stage, _) => Some(Event::Ended(*stage, String::new())),
        event => Some(event.clone()),
    });
    exact.collect()
}

/// A recorded session of anybody's: refused, or read, written and read again as the same.
pub(crate) fn trace(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(trace) = Trace::read(text) else {
        return;
    };
    let written = trace.write();
    let again = Trace::read(&written).expect("what was written can be read");
    assert_eq!(again.settings, trace.settings);
    assert_eq!(exact(&again.events), exact(&trace.events));
    let _ = Replay::new(&trace, |name| all_platforms().get(name).cloned());
}

/// A device that says anything: the platform, the device's settings, then chunks that it sends,
/// with 0xff and a byte between them for what it does then.
pub(crate) fn dialogue(data: &[u8]) {
    let (Some(first), Some(second)) = (data.first(), data.get(1)) else {
        return;
    };
    let platform = platform(*first);
    let device = Arc::new(device(Arc::clone(platform), *second));
    let transport = Scripted::new(steps(&data[2..]));
    let (typed, clock) = (transport.typed(), transport.clock());
    let far = clock.now() + Duration::from_secs(1200);
    let clock: Arc<dyn Clock> = clock;
    let mut trail = Trail::default();
    let mut told = Vec::new();
    match Dialogue::open(Box::new(transport), &device, clock, far, &mut trail) {
        Err(error) => told.push(error.to_string()),
        Ok(mut dialogue) => {
            if let Err(error) = dialogue.save(far, &mut trail) {
                told.push(error.to_string());
            }
            match dialogue.fetch(far, &mut trail) {
                Ok(config) => check_config(config.bytes(), platform),
                Err(error) => told.push(error.to_string()),
            }
            dialogue.close();
        }
    }
    told.append(&mut trail.notes);
    told.extend(trail.save.map(|save| save.said));
    for text in told {
        assert!(!text.contains(PASSWORD), "{text}");
        let known = device.credentials.enable.is_some();
        assert!(!(known && text.contains(ENABLE)), "{text}");
    }
    let typed = String::from_utf8_lossy(&typed.bytes()).into_owned();
    assert!(
        !typed.contains(PASSWORD),
        "the login's password is no command"
    );
    assert!(typed.matches(ENABLE).count() <= 1, "{typed}");
}

fn check_config(config: &[u8], platform: &Platform) {
    assert!(config.ends_with(b"\n"));
    assert!(!config.contains(&b'\r'));
    if let ProofRule::Marker(end) = &platform.config.proof {
        let last = config.trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
        assert_eq!(last, Some(end.as_slice()));
    }
}

fn device(platform: Arc<Platform>, flags: u8) -> Device {
    let credentials = Credentials {
        password: Some(Secret::new(PASSWORD.to_owned())),
        enable: (flags & 1 > 0).then(|| Secret::new(ENABLE.to_owned())),
        ..Credentials::new("lab", "ntc")
    };
    let name = DeviceName::new("csr1").expect("a name");
    Device {
        view: if flags & 2 > 0 {
            View::Full
        } else {
            View::Privileged
        },
        save: [SavePolicy::Always, SavePolicy::IfChanged][usize::from(flags >> 2 & 1)],
        save_order: [SaveOrder::Before, SaveOrder::After][usize::from(flags >> 3 & 1)],
        save_confirm: [SaveConfirm::Ask, SaveConfirm::Yes, SaveConfirm::No]
            [usize::from(flags >> 4) % 3],
        attempts: 1,
        ..Device::new(name, "192.0.2.1", platform, Arc::new(credentials))
    }
}

fn steps(data: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut chunks = data.split(|byte| *byte == 0xff);
    steps.push(Step::Send(chunks.next().unwrap_or_default().to_vec()));
    for chunk in chunks {
        let (does, rest) = chunk.split_first().unwrap_or((&0, chunk));
        steps.push(match does % 8 {
            0..=2 => Step::Expect(b"\r".to_vec()),
            3 => Step::Pause(Duration::from_millis(100)),
            4 => Step::Pause(Duration::from_secs(3)),
            5 => Step::Pause(Duration::from_secs(40)),
            6 => Step::Eof,
            _ => Step::Reset,
        });
        steps.push(Step::Send(rest.to_vec()));
    }
    steps
}
