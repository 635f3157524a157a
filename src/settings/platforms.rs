//! Reading platform files: every fault of every file at once, each with its line and key.

mod lint;
mod proof;
mod reader;
mod shell;

use crate::model::failure::FailureKind;
use crate::model::platform::{
    Channel, ConfigDialogue, Confirm, LastChange, Opaque, OpaqueEnd, Platform, Refusal,
    SaveDialogue, SaveGuard, SaveMode, UnsavedStamps,
};
use crate::model::secrets::{Scope, SecretBlock, Secrets};
use proof::read_proof;
use reader::{Origin, Patterns, Section};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Platform files of the repository, compiled in.
macro_rules! built_in {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../settings/platforms/", $name, ".toml")))),+]
    };
}

/// The platforms that are compiled in, by name.
const BUILT_IN: [(&str, &str); 12] = built_in![
    "arista_eos",
    "aruba_aoscx",
    "cisco_asa",
    "cisco_ios",
    "cisco_iosxr",
    "cisco_nxos",
    "frr",
    "h3c_comware",
    "juniper_junos",
    "mikrotik_routeros",
    "vyos",
    "vyos_shell",
];

/// A fault in a platform file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {key}{}{message}", file.display(),
    line.map(|l| format!(":{l}")).unwrap_or_default(), if key.is_empty() { "" } else { ": " })]
pub struct PlatformFault {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1, where it can be had.
    pub line: Option<usize>,
    /// The key, with its sections, or empty where the whole file is meant.
    pub key: String,
    /// What is wrong and what is expected.
    pub message: String,
}

/// All platforms: those compiled in, and those of `dir/platforms/*.toml`, which take the place of a
/// compiled-in one of the same name as a whole. A platform's name is its file's without `.toml`.
///
/// # Errors
/// Every fault of every file.
pub fn load(dir: Option<&Path>) -> Result<BTreeMap<String, Arc<Platform>>, Vec<PlatformFault>> {
    let mut faults = Vec::new();
    let mut platforms = BTreeMap::new();
    for (name, text) in BUILT_IN {
        let file = PathBuf::from(format!("settings/platforms/{name}.toml (compiled in)"));
        let origin = Origin {
            file: &file,
            text,
            patterns: Patterns::Known,
        };
        platforms.insert(name.to_owned(), parse(name, origin, &mut faults));
    }
    if let Some(dir) = dir {
        for file in files_in(&dir.join("platforms"), &mut faults) {
            let name = file
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .unwrap_or_default();
            match std::fs::read_to_string(&file) {
                Ok(text) => {
                    let origin = Origin {
                        file: &file,
                        text: &text,
                        patterns: Patterns::Checked,
                    };
                    platforms.insert(name.clone(), parse(&name, origin, &mut faults));
                }
                Err(error) => faults.push(whole(&file, format!("cannot be read: {error}"))),
            }
        }
    }
    if faults.is_empty() {
        Ok(platforms)
    } else {
        Err(faults)
    }
}

/// A platform that calls secret, volatile and opaque what any of `platforms` does: for a config of
/// which nobody knows the platform any more.
#[must_use]
pub fn any(platforms: &BTreeMap<String, Arc<Platform>>) -> Platform {
    let mut any = Platform::default();
    for platform in platforms.values() {
        any.secrets.merge(&platform.secrets);
        any.volatile.extend(platform.volatile.iter().cloned());
        for block in &platform.config.opaque {
            if !any.config.opaque.contains(block) {
                any.config.opaque.push(block.clone());
            }
        }
    }
    any
}

fn whole(file: &Path, message: String) -> PlatformFault {
    PlatformFault {
        file: file.to_owned(),
        line: None,
        key: String::new(),
        message,
    }
}

fn files_in(folder: &Path, faults: &mut Vec<PlatformFault>) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            faults.push(whole(folder, format!("cannot be read: {error}")));
            return Vec::new();
        }
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
}

fn parse(name: &str, origin: Origin<'_>, faults: &mut Vec<PlatformFault>) -> Arc<Platform> {
    let mut platform = Platform::default();
    reader::read(origin, faults, |section| {
        platform = read_platform(name, section);
        lint::lint(section, &platform);
    });
    Arc::new(platform)
}

fn read_platform(name: &str, top: &mut Section<'_>) -> Platform {
    let channel = top.word("channel", &CHANNELS).unwrap_or_default();
    let mut platform = Platform {
        name: name.to_owned(),
        channel,
        volatile: top.phrases("volatile"),
        also: top.texts("also"),
        info_volatile: top.phrases("info_volatile"),
        comment: top.phrase("comment"),
        secrets: top.optional("secrets", read_secrets).unwrap_or_default(),
        last_change: top.sections("last_change", |s| LastChange {
            line: s.phrase("line"),
            by: s.phrase("by"),
        }),
        save: top.optional("save", |s| read_save(s, channel)),
        config: top
            .section("config", |s| read_config(s, channel))
            .unwrap_or_default(),
        refusals: top.sections("refusals", |s| {
            read_refusal(s, FailureKind::CommandRejected)
        }),
        ..Platform::default()
    };
    if channel == Channel::Shell {
        shell::read_shell(top, &mut platform);
    }
    platform
}

const CHANNELS: [(&str, Channel); 2] = [("shell", Channel::Shell), ("exec", Channel::Exec)];

const REFUSAL_KINDS: [(&str, FailureKind); 4] = [
    ("command_rejected", FailureKind::CommandRejected),
    ("authz_denied", FailureKind::AuthzDenied),
    ("privilege", FailureKind::Privilege),
    ("unproven", FailureKind::Unproven),
];

fn read_refusal(s: &mut Section<'_>, kind: FailureKind) -> Refusal {
    Refusal {
        text: s.phrase("text"),
        kind: s.word("kind", &REFUSAL_KINDS).unwrap_or(kind),
    }
}

fn read_save(s: &mut Section<'_>, channel: Channel) -> SaveDialogue {
    SaveDialogue {
        send: s.text("send"),
        mode: s.optional("mode", |s| SaveMode {
            enter: s.text("enter"),
            leave: s.text("leave"),
        }),
        ok: match channel {
            Channel::Shell => s.some_phrases("ok"),
            // Its exit status is a word too.
            Channel::Exec => s.phrases("ok"),
        },
        failed: s.phrases("failed"),
        partial: s.phrases("partial"),
        busy: s.phrases("busy"),
        proceed: s.phrases("proceed"),
        confirm: s.sections("confirm", |s| Confirm {
            text: s.phrase("text"),
            yes: s.phrase("yes"),
            no: s.phrase("no"),
        }),
        guard: s.optional("guard", |s| SaveGuard {
            send: s.text("send"),
            forbids: s.some_phrases("forbids"),
        }),
    }
}

fn read_config(s: &mut Section<'_>, channel: Channel) -> ConfigDialogue {
    ConfigDialogue {
        send: s.some_texts("send"),
        view_full: s.texts("view_full"),
        header: s.phrases("header"),
        begin: s.maybe_phrase("begin"),
        count: s.maybe_phrase("count"),
        proof: read_proof(s, channel),
        hostname: s.maybe_phrase("hostname"),
        holds: s.phrases("holds"),
        faults: s.sections("faults", |s| read_refusal(s, FailureKind::Unproven)),
        harmless: s.phrases("harmless"),
        unsaved: s.optional("unsaved", |s| UnsavedStamps {
            changed: s.phrase("changed"),
            saved: s.phrase("saved"),
        }),
        opaque: s.sections("opaque", read_opaque),
    }
}

fn read_secrets(s: &mut Section<'_>) -> Secrets {
    let mut secrets = Secrets::default();
    secrets.add(Scope::Line, s.regexes("lines", Scope::Line));
    secrets.add(Scope::Plain, s.regexes("plain", Scope::Plain));
    secrets.set_continued(s.maybe_phrase("continued"));
    // The numbers of the blocks are given when they are added.
    let blocks = s.sections("within", |s| SecretBlock {
        begin: s.regex("begin", Scope::Begin(0)),
        end: s.maybe_regex("end", Scope::End(0)),
        lines: s.regexes("lines", Scope::Within(0)),
    });
    for block in blocks {
        secrets.add_block(block);
    }
    secrets
}

fn read_opaque(s: &mut Section<'_>) -> Opaque {
    let begin = s.phrase("begin");
    let line = s.maybe_phrase("line");
    let delimiter = s.flag("delimiter");
    if line.is_some() == delimiter {
        s.fault("line", "give either `line = \"...\"` or `delimiter = true`");
    }
    Opaque {
        begin,
        end: line.map_or(OpaqueEnd::Delimiter, OpaqueEnd::Line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::platform::{ProofRule, WantedPrivilege};

    fn faults_of(name: &str, text: &str) -> Vec<PlatformFault> {
        let mut faults = Vec::new();
        let origin = Origin {
            file: Path::new("x.toml"),
            text,
            patterns: Patterns::Checked,
        };
        parse(name, origin, &mut faults);
        faults
    }

    #[test]
    fn the_platforms_that_are_compiled_in_are_sound() {
        for (name, text) in BUILT_IN {
            assert_eq!(faults_of(name, text), [], "{name}");
        }
        let platforms = load(None).unwrap();
        let ios = &platforms["cisco_ios"];
        let level = WantedPrivilege::Level {
            answer: b"Current privilege level is".to_vec(),
            level: 15,
        };
        assert_eq!(ios.privilege.as_ref().unwrap().wanted, level);
        assert_eq!(ios.config.proof, ProofRule::Marker(b"end".to_vec()));
        assert!(ios.save.as_ref().unwrap().guard.is_some());
        assert!(platforms["frr"].presence.as_ref().unwrap().parts.len() > 10);
        assert_eq!(platforms["frr"].name, "frr");
    }

    #[test]
    fn a_file_of_the_settings_folder_takes_the_place_of_a_compiled_in_one() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("platforms");
        std::fs::create_dir(&folder).unwrap();
        let ios = BUILT_IN
            .iter()
            .find(|(name, _)| *name == "cisco_ios")
            .unwrap();
        let text = ios.1.replace("exit = \"exit\"", "exit = \"quit\"");
        std::fs::write(folder.join("cisco_ios.toml"), &text).unwrap();
        std::fs::write(folder.join("acme.toml"), &text).unwrap();
        std::fs::write(folder.join("notes.txt"), "no platform").unwrap();
        let platforms = load(Some(dir.path())).unwrap();
        assert_eq!(platforms["cisco_ios"].exit, "quit");
        assert_eq!(platforms["acme"].name, "acme");
        assert_eq!(platforms["frr"].exit, "exit");
        assert!(load(Some(&dir.path().join("none"))).is_ok());
    }

    #[test]
    fn every_fault_is_told_at_once_with_file_line_and_key() {
        let text = "exit = 1\nshell_requests = \"none\"\nextra = true\n\
                    [prompt]\nuser = [\">\", 3]\n\
                    leave_config = \"a\\rb\"\n[[prepare]]\nsend = \"x\"\nrefused = \"no\"\n\
                    [privilege]\nsend = \"p\"\nanswer = \"l\"\nlevel = -1\n";
        let faults = faults_of("x", text);
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        for wanted in [
            "x.toml:1: exit: ",
            "x.toml:2: shell_requests: ",
            "x.toml:3: extra: unknown key",
            "x.toml:5: prompt.user[1]: ",
            "x.toml:4: prompt.privileged: ",
            "x.toml:6: prompt.leave_config: ",
            "x.toml:9: prepare[0].refused: ",
            "x.toml:13: privilege.level: ",
            "x.toml: config: missing",
        ] {
            assert!(
                told.iter().any(|t| t.starts_with(wanted)),
                "{wanted} in {told:#?}"
            );
        }
    }

    #[test]
    fn what_cannot_mean_what_it_says_is_told_with_line_and_key() {
        let text = r##"
exit = "exit"
comment = "!"
volatile = ["!", "end"]
[prompt]
user = ["{host}#", "{host}>"]
privileged = ["{host}#"]
config = ["{host}(*)#"]
[pager]
prompts = ["--More--\r\n", "*"]
answer = " "
[save]
send = "write"
ok = ["Copy complete"]
failed = ["Copy"]
proceed = ["[yes]"]
confirm = [{ text = "sure? [yes]", yes = "y", no = "n" }]
[config]
send = "show"
header = ["Current"]
begin = "Current configuration"
end = "end"
faults = [{ text = "#error" }]
harmless = ["#warning"]
[[refusals]]
text = "% Invalid"
[[refusals]]
text = "% Invalid input"
"##;
        let faults = faults_of("x", text);
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        for wanted in [
            "x.toml:4: volatile[0]: fits so many",
            "x.toml:4: volatile[1]: fits the line that ends",
            "x.toml:6: prompt.user[0]: is never looked at",
            "x.toml:10: pager.prompts[0]: is never found",
            "x.toml:10: pager.prompts[1]: is never found",
            "x.toml:15: save.failed[0]: stands within",
            "x.toml:17: save.confirm[0].text: is answered",
            "x.toml:21: config.begin: is skipped",
            "x.toml:24: config.harmless[0]: looks like none",
            "x.toml:28: refusals[1].text: is never reached",
        ] {
            assert!(
                told.iter().any(|t| t.starts_with(wanted)),
                "{wanted} in {told:#?}"
            );
        }
        assert_eq!(faults.len(), 10, "{told:#?}");
    }

    #[test]
    fn with_a_channel_per_command_nothing_of_a_prompt_is_known() {
        let text = "channel = \"exec\"\ncomment = \"#\"\nexit = \"quit\"\n\
                    [prompt]\nprivileged = [\"{host}>\"]\n\
                    [config]\nsend = \"show\"\nsentinel = { send = \"a\", answer = \"b\" }\n";
        let faults = faults_of("x", text);
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        for wanted in [
            "x.toml:3: exit: unknown key",
            "x.toml:4: prompt: unknown key",
            "x.toml:8: config.sentinel: there is no prompt",
        ] {
            assert!(
                told.iter().any(|t| t.starts_with(wanted)),
                "{wanted} in {told:#?}"
            );
        }
    }

    #[test]
    fn broken_toml_is_a_fault_with_its_line() {
        let faults = faults_of("x", "exit = \"a\"\nvolatile = [\n");
        assert!(
            faults.iter().any(|f| f.line.is_some_and(|l| l >= 2)),
            "{faults:?}"
        );
    }
}
