//! A lab written down as a settings folder, with the files that a backup of it must give.

use super::LabDevice;
use super::spec::Login;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What a settings folder says besides the devices.
#[derive(Debug, Clone, Default)]
pub struct FolderOptions {
    /// The login of all devices.
    pub login: Login,
}

/// Writes `DIR/settings/{devices,credentials,wrmem}.toml` for these devices, with absolute paths
/// under DIR for archive and state, and `DIR/expected/NAME.cfg` for each of them. A lab spread
/// over several processes hands over the devices of all of them at once.
///
/// # Errors
/// When a folder or file cannot be written.
pub fn write_settings(
    dir: &Path,
    devices: &[LabDevice],
    options: &FolderOptions,
) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let dir = dir.canonicalize()?;
    let settings = dir.join("settings");
    let expected = dir.join("expected");
    fs::create_dir_all(&settings)?;
    fs::create_dir_all(&expected)?;
    write(
        &settings.join("devices.toml"),
        &devices_toml(devices),
        0o644,
    )?;
    let credentials = credentials_toml(&options.login);
    write(&settings.join("credentials.toml"), &credentials, 0o600)?;
    write(&settings.join("wrmem.toml"), &wrmem_toml(&dir)?, 0o644)?;
    for device in devices {
        let path = expected.join(format!("{}.cfg", device.name()));
        fs::write(path, device.expected())?;
    }
    Ok(())
}

/// The mode holds for a file that was there before, too.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(text.as_bytes())
}

fn devices_toml(devices: &[LabDevice]) -> String {
    let mut text = String::from(
        "# The devices of a lab; they are there as long as the lab runs.\n\
         [defaults]\nplatform = \"cisco_ios\"\ncredentials = \"lab\"\nsave = \"always\"\n",
    );
    for device in devices {
        let (name, addr) = (quoted(device.name()), device.addr());
        let host = quoted(&addr.ip().to_string());
        if let Some(fault) = device.fault() {
            let _ = write!(text, "\n# fault: {fault}");
        }
        let _ = write!(
            text,
            "\n[devices.{name}]\nhost = {host}\nport = {}\n",
            addr.port()
        );
    }
    text
}

fn credentials_toml(login: &Login) -> String {
    let mut text = format!(
        "[credentials.lab]\nusername = {}\npassword = {}\n",
        quoted(&login.username),
        quoted(login.password.expose())
    );
    if let Some(enable) = &login.enable {
        let _ = writeln!(text, "enable = {}", quoted(enable.expose()));
    }
    text
}

fn wrmem_toml(dir: &Path) -> io::Result<String> {
    let path = |name: &str| {
        let path = dir.join(name);
        path.to_str().map(quoted).ok_or_else(|| {
            let message = "the folder's path is not UTF-8 and fits in no settings file";
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })
    };
    Ok(format!(
        "[archive]\ndir = {}\ngit_dir = {}\n\n[state]\ndir = {}\n\n[ssh]\nknown_hosts = {}\n",
        path("configs")?,
        path("configs.git")?,
        path("state")?,
        path("state/known_hosts")?
    ))
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
