//! `wrmem trust`.

use super::args::TrustArgs;
use super::exit::{Exit, Stop};
use super::hand_over::{self, Whose, take_state};
use super::start::{self, Globals};
use crate::app::lock::LockError;
use crate::app::{self, AppError};
use crate::daemon::control::wire::{Ask, ForgetAsk, Say};
use crate::model::device::Device;
use crate::session::{CancelHandle, Connector};
use crate::settings::{Loaded, Selection, Source};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// Shows the known host keys of a device and the one it has now, and forgets the known ones.
pub(super) fn run(globals: &Globals, args: &TrustArgs) -> Result<Exit, Stop> {
    globals.log_plainly();
    let source = globals.source(Vec::new());
    let loaded = start::load(&source)?;
    let device = &named(&loaded, &args.name, &source)?;
    let settings = &loaded.settings;
    let known = Arc::new(app::known_hosts(settings)?);
    let connector = app::connector(settings, &known)?;
    let deadline = connector.clock().now() + device.deadlines.tcp + device.deadlines.kex;
    let present = connector.host_key(device, &CancelHandle::new(), deadline);
    let forgotten = match take_state(settings, "wrmem trust")? {
        Whose::Ours(_lock) => known
            .forget(&device.host, device.port)
            .map_err(AppError::from)?
            .iter()
            .map(|key| format!("{} {}", key.kind(), key.fingerprint()))
            .collect(),
        Whose::Theirs(held) => forget_there(&settings.state.dir, held, device)?,
    };
    let mut out = io::stdout().lock();
    // What nobody reads has been done all the same.
    for key in &forgotten {
        let _ = writeln!(out, "forgotten: {key}");
    }
    if forgotten.is_empty() {
        let _ = writeln!(out, "no key of {} was known", device.name);
    }
    for key in known.known_elsewhere(&device.host, device.port) {
        let _ = writeln!(
            out,
            "still known: {} {} stands in a file of ssh.known_hosts_extra, which wrmem does not write; \
             take it out there",
            key.kind(),
            key.fingerprint()
        );
    }
    let _ = match present {
        Ok(key) => writeln!(
            out,
            "{} has now: {} {}\ncompare it with the device's own `show ip ssh` or console; the next \
             run will take the key that it meets then, unless ssh.host_keys is `strict`",
            device.name,
            key.kind(),
            key.fingerprint()
        ),
        Err(error) => writeln!(
            out,
            "{} does not show its present key: {error}",
            device.name
        ),
    };
    Ok(Exit::Ok)
}

/// Has the process that is running forget the keys: it has them in its memory.
fn forget_there(dir: &Path, held: LockError, device: &Device) -> Result<Vec<String>, Stop> {
    let ask = Ask::Forget(ForgetAsk {
        host: device.host.clone(),
        port: device.port,
    });
    actix::System::new().block_on(async {
        let mut conversation = hand_over::ask(dir, held, ask).await?;
        match conversation.hear().await {
            Ok(Some(Say::Forgotten { keys })) => Ok(keys),
            Ok(Some(Say::Refused { message })) => Err(Stop::usage(message)),
            Ok(_) | Err(_) => Err(Stop::usage(
                "the wrmem that is running did not tell whether it forgot the keys; look into its log",
            )),
        }
    })
}

/// The device of this name, or the jump host.
fn named(loaded: &Loaded, name: &str, source: &Source) -> Result<Device, Stop> {
    match loaded.inventory.jump_host(name, &source.env) {
        Some(Ok(jump)) => return Ok(jump.endpoint.clone()),
        Some(Err(fault)) => return Err(Stop::usage(fault)),
        None => {}
    }
    let selection = Selection {
        names: vec![name.to_owned()],
        ..Selection::default()
    };
    let mut selected = start::select(loaded, &selection, source)?;
    if selected.devices.is_empty() {
        let fault = selected.broken.first();
        let fault = fault.map_or("", |broken| broken.message.as_str());
        return Err(Stop::usage(format!("{name}: {fault}")));
    }
    Ok(selected.devices.swap_remove(0))
}
