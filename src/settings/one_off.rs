//! One device given by flags alone, without a settings folder.

use super::fault::{Fault, Faults};
use super::host;
use super::inventory::Platforms;
use super::load::{Source, overall, platforms_of};
use super::privacy;
use super::raw::Place;
use super::resolve::no_platform;
use super::values::Settings;
use super::words::Line;
use crate::model::credentials::{Credentials, Secret};
use crate::model::device::{Device, DeviceName};
use std::sync::Arc;

/// A device given by flags.
#[derive(Debug, Clone)]
pub struct OneOff {
    /// `--host`: host name or address; also its name.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// `--platform`.
    pub platform: String,
    /// `--user`.
    pub user: String,
    /// The password that was asked for.
    pub password: Secret,
}

/// As [`one_off_with`], with the platforms compiled in and those in the settings folder.
///
/// # Errors
/// As [`one_off_with`], and every fault of the platforms.
pub fn one_off(one_off: OneOff, source: &Source) -> Result<(Settings, Device), Faults> {
    let platforms = platforms_of(source).map_err(Faults)?;
    one_off_with(one_off, source, &platforms)
}

/// The overall settings and one device. The settings folder may be missing; if it is there, its
/// overall settings count, its devices and credentials do not.
///
/// # Errors
/// Every fault of the overall settings and of the flags.
pub fn one_off_with(
    one_off: OneOff,
    base: &Source,
    platforms: &Platforms,
) -> Result<(Settings, Device), Faults> {
    let mut faults = Vec::new();
    let mut keep = |flag: &str, message: String| {
        faults.push(Fault::error(
            &Place::new("command line", None),
            flag,
            message,
        ));
    };
    let host = host::checked(&one_off.host).map_err(|message| keep("--host", message));
    let name = host.clone().and_then(|host| {
        DeviceName::new(&host.replace('%', "-")).map_err(|error| keep("--host", error.to_string()))
    });
    let user = Line::try_from(one_off.user).map_err(|message| keep("--user", message.to_owned()));
    let platform = platforms
        .get(&one_off.platform)
        .ok_or_else(|| keep("--platform", no_platform(platforms, &one_off.platform)));
    let settings = overall(base).map_err(|Faults(more)| faults.extend(more));
    match (settings, name, host, user, platform) {
        (Ok(settings), Ok(name), Ok(host), Ok(Line(username)), Ok(platform)) => {
            let platform = privacy::with_extra(platform, &settings.redact.extra);
            let credentials = Arc::new(Credentials {
                password: Some(one_off.password),
                ..Credentials::new("command line", &username)
            });
            let device = Device {
                port: one_off.port,
                save: settings.run.save,
                save_order: settings.run.save_order,
                save_confirm: settings.run.save_confirm,
                algorithms: settings.ssh.algorithms,
                egress: settings.ssh.egress.clone(),
                deadlines: settings.deadlines,
                attempts: settings.run.attempts,
                ..Device::new(name, &host, platform, credentials)
            };
            Ok((settings, device))
        }
        _ => Err(Faults(faults)),
    }
}
