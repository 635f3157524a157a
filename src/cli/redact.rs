//! `wrmem redact`.

use super::args::RedactArgs;
use super::exit::{Exit, Stop};
use super::start::Globals;
use crate::app::mask_key::{mask_key, passing_key};
use crate::model::platform::Platform;
use crate::settings::{self, DeviceRow, Platforms, Source};
use crate::text::redact::{self, Key, Mask};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is no config of ours.
const LARGEST: u64 = 256 << 20;

/// Writes configs to stdout with their secrets masked.
pub(super) fn run(globals: &Globals, args: &RedactArgs) -> Result<Exit, Stop> {
    globals.log_plainly();
    let source = globals.source(Vec::new());
    let (settings, platforms) = settings::redaction(&source).map_err(Stop::usage)?;
    let choice = Choice::new(args.platform.as_deref(), &platforms, &source)?;
    let key = key(&source, &settings.state.dir)?;
    let stdin = [PathBuf::from("-")];
    let paths = if args.files.is_empty() {
        &stdin[..]
    } else {
        &args.files
    };
    // All are read before anything is written: half an answer may be taken for a whole one.
    let mut texts = Vec::new();
    for path in paths {
        texts.push((choice.platform_of(path), read(path)?));
    }
    let mut out = io::stdout().lock();
    for (platform, text) in texts {
        let mask = Mask::Keyed(&key);
        let masked = if is_diff(&text) {
            redact::diff(&text, &platform.secrets, mask)
        } else {
            redact::config(&text, &platform, mask)
        };
        // A reader that went away has seen what it wanted.
        if out.write_all(&masked).is_err() {
            break;
        }
    }
    Ok(Exit::Ok)
}

/// Which platform a file's config is of.
struct Choice {
    /// What was asked for; else one that calls secret what any platform does.
    usual: Arc<Platform>,
    /// The platforms of the devices, by the stem of their files.
    devices: HashMap<String, Arc<Platform>>,
}

impl Choice {
    fn new(asked: Option<&str>, platforms: &Platforms, source: &Source) -> Result<Self, Stop> {
        let Some(name) = asked else {
            return Ok(Self {
                usual: Arc::new(any(platforms)),
                devices: devices(platforms, source),
            });
        };
        let usual = platforms.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = platforms.keys().map(String::as_str).collect();
            Stop::usage(format!(
                "--platform: no platform `{name}`; known are {}",
                known.join(", ")
            ))
        })?;
        Ok(Self {
            usual,
            devices: HashMap::new(),
        })
    }

    fn platform_of(&self, path: &Path) -> Arc<Platform> {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let known = stem.and_then(|stem| self.devices.get(stem));
        Arc::clone(known.unwrap_or(&self.usual))
    }
}

fn any(platforms: &Platforms) -> Platform {
    let mut any = Platform::default();
    for platform in platforms.values() {
        any.secrets.merge(&platform.secrets);
        for block in &platform.config.opaque {
            if !any.config.opaque.contains(block) {
                any.config.opaque.push(block.clone());
            }
        }
    }
    any
}

/// The devices of the settings folder, where it has no fault: one does not keep from redacting.
fn devices(platforms: &Platforms, source: &Source) -> HashMap<String, Arc<Platform>> {
    let Ok(loaded) = settings::load(source) else {
        return HashMap::new();
    };
    let known = |row: DeviceRow| Some((row.name, Arc::clone(platforms.get(&row.platform)?)));
    loaded
        .inventory
        .rows()
        .into_iter()
        .filter_map(known)
        .collect()
}

/// The key of the archive, so that masks can be compared; without a settings folder there is none.
fn key(source: &Source, state: &Path) -> Result<Key, Stop> {
    if source.dir.is_dir() {
        return mask_key(state).map_err(Stop::usage);
    }
    log::info!(
        "no settings folder {}: masks can be compared within this output only",
        source.dir.display()
    );
    passing_key().map_err(|error| Stop::usage(format!("/dev/urandom: {error}")))
}

fn read(path: &Path) -> Result<Vec<u8>, Stop> {
    let in_file = |error: io::Error| Stop::usage(format!("{}: {error}", path.display()));
    let mut text = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(LARGEST + 1).read_to_end(&mut text)
    } else {
        let file = File::open(path).map_err(in_file)?;
        file.take(LARGEST + 1).read_to_end(&mut text)
    };
    read.map_err(in_file)?;
    if text.len() as u64 > LARGEST {
        let message = format!("{}: larger than {LARGEST} bytes: no config", path.display());
        return Err(Stop::usage(message));
    }
    Ok(text)
}

/// Whether a text is a unified diff: it has no blocks to follow.
fn is_diff(text: &[u8]) -> bool {
    text.starts_with(b"diff --git ") || text.starts_with(b"--- ")
}
