//! `wrmem accept`.

use super::args::AcceptArgs;
use super::exit::{Exit, Stop};
use super::start::{self, Globals};
use crate::app::lock::StateLock;
use crate::app::{self, AppError};
use crate::archive::places::Places;
use crate::archive::{NotStored, Put};
use crate::model::config::{Config, Proof};
use crate::model::device::{Device, DeviceName};
use crate::settings::{Selection, Settings};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::SystemTime;

/// Moves a config that was kept aside into its place, or lists what is kept aside.
pub(super) fn run(globals: &Globals, args: &AcceptArgs) -> Result<Exit, Stop> {
    globals.log_plainly();
    let source = globals.source(Vec::new());
    let loaded = start::load(&source)?;
    let settings = &loaded.settings;
    let Some(name) = &args.name else {
        return list(settings);
    };
    let selection = Selection {
        names: vec![name.clone()],
        ..Selection::default()
    };
    let selected = start::select(&loaded, &selection, &source)?;
    match (selected.devices.first(), selected.broken.first()) {
        (Some(device), _) => accept(settings, device),
        (None, Some(broken)) => Err(Stop::usage(format!("{name}: {}", broken.message))),
        (None, None) => Err(Stop::usage(format!("{name}: no such device"))),
    }
}

fn places(settings: &Settings) -> Places {
    Places::new(&settings.archive.dir, settings.archive.layout)
}

fn list(settings: &Settings) -> Result<Exit, Stop> {
    let held = places(settings).all_held().map_err(AppError::from)?;
    let mut out = io::stdout().lock();
    // What nobody reads was looked up all the same.
    if held.is_empty() {
        let _ = writeln!(out, "no config is kept aside");
    }
    for name in held {
        let _ = writeln!(out, "kept aside: {}", sizes(settings, &name, None)?);
    }
    Ok(Exit::Ok)
}

/// `nx1, 499 bytes`, and the size of what it would replace.
fn sizes(
    settings: &Settings,
    name: &DeviceName,
    device: Option<&Device>,
) -> Result<String, AppError> {
    let places = places(settings);
    let held = places.held_config(name)?.unwrap_or_default();
    let group = device.and_then(|device| device.group.as_ref());
    let last = match device {
        Some(_) => app::archive::last_good(&settings.archive).last_good(name, group)?,
        None => None,
    };
    let last = last.map_or_else(String::new, |last| {
        format!(", in place of {} bytes", last.len())
    });
    Ok(format!("{name}, {} bytes{last}", held.len()))
}

fn accept(settings: &Settings, device: &Device) -> Result<Exit, Stop> {
    let _lock = StateLock::acquire(&settings.state.dir, "wrmem accept").map_err(AppError::from)?;
    let held = places(settings).held_config(&device.name);
    let Some(bytes) = held.map_err(AppError::from)? else {
        return Err(Stop::usage(format!(
            "no config of {} is kept aside; `wrmem accept` lists those that are",
            device.name
        )));
    };
    let told = sizes(settings, &device.name, Some(device))?;
    let now = SystemTime::now();
    let put = Put {
        device: device.name.clone(),
        group: device.group.clone(),
        platform: Arc::clone(&device.platform),
        config: Config::proven(bytes, Proof::Accepted),
        info: None,
        taken: now,
        run: now,
    };
    let mut archive = app::archive::open(settings)?;
    for answer in archive.put(&[put]) {
        answer.map_err(|refused| match refused {
            NotStored::Archive(error) => Stop::from(AppError::from(error)),
            NotStored::Held(held) => Stop {
                exit: Exit::Devices,
                message: held.to_string(),
            },
        })?;
    }
    archive.commit().map_err(AppError::from)?;
    let _ = writeln!(io::stdout(), "accepted: {told}");
    Ok(Exit::Ok)
}
