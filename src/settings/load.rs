//! From a settings folder to settings and inventory.

use super::credentials::{self, CredentialFile};
use super::devices::{self, DeviceFile};
use super::devices_csv;
use super::entries::{Entry, Values};
use super::fault::{Fault, Faults, Severity};
use super::files::{self, Presence};
use super::inventory::{self, Inventory, Platforms};
use super::jumps::{self, JumpEntry, JumpSpecs};
use super::limits::{LimitSets, Places};
use super::raw::{self, Place, Table};
use super::reach;
use super::resolve::{self, Resolver};
use super::values::Settings;
use super::{check, layers, platforms, privacy};
use crate::model::device::GroupName;
use std::cell::RefCell;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Where settings come from. Everything is passed in; nothing is read from the process.
#[derive(Clone, Default)]
pub struct Source {
    /// The settings folder.
    pub dir: PathBuf,
    /// The environment: all variables, those that name no setting too.
    pub env: Vec<(String, String)>,
    /// Flags as key path and TOML value, such as `("run.in_flight", "50")`. A flag `run.save`
    /// counts for every device, whatever its group or itself says: `--no-save` must mean it.
    pub flags: Vec<(String, String)>,
}

/// What a settings folder says.
pub struct Loaded {
    /// The overall settings.
    pub settings: Settings,
    /// The devices.
    pub inventory: Inventory,
    /// What should be mended.
    pub warnings: Vec<Fault>,
}

/// Loads a settings folder with the platforms compiled in and those in its folder `platforms`.
/// Faults within single devices' entries are kept in the inventory.
///
/// # Errors
/// Every fault of overall settings, platforms, defaults, groups and credentials, at once.
pub fn load(source: &Source) -> Result<Loaded, Faults> {
    match platforms_of(source) {
        Ok(platforms) => load_with(source, &platforms),
        Err(mut faults) => {
            let mut known = platforms::load(None).unwrap_or_default();
            // Whoever names a platform whose file is faulty would only repeat the fault.
            for file in faults.iter().map(|fault| Path::new(&fault.file)) {
                if let Some(name) = file.file_stem().and_then(|stem| stem.to_str()) {
                    known.entry(name.to_owned()).or_default();
                }
            }
            if let Err(Faults(more)) = load_with(source, &known) {
                faults.extend(more);
            }
            Err(Faults(faults))
        }
    }
}

/// The platforms compiled in and those in the settings folder.
pub(super) fn platforms_of(source: &Source) -> Result<Platforms, Vec<Fault>> {
    platforms::load(Some(&source.dir)).map_err(|faults| {
        faults
            .into_iter()
            .map(|fault| Fault {
                severity: Severity::Error,
                file: fault.file.display().to_string(),
                line: fault.line,
                key: fault.key,
                message: fault.message,
            })
            .collect()
    })
}

/// Loads a settings folder. Faults within single devices' entries are kept in the inventory.
///
/// # Errors
/// Every fault of overall settings, defaults, groups and credentials, at once.
pub fn load_with(source: &Source, platforms: &Platforms) -> Result<Loaded, Faults> {
    if !source.dir.is_dir() {
        let shown = source.dir.display();
        let message = "settings folder not found: run `wrmem init` or give --settings DIR";
        return Err(Fault::error(&Place::new(&shown.to_string(), None), "", message).into());
    }
    let mut faults = Vec::new();
    let checked = checked(source)
        .map_err(|Faults(more)| faults.extend(more))
        .ok();
    let limits = checked
        .as_ref()
        .map(|checked| checked.settings.limits.clone());
    let file = device_file(&source.dir, &mut faults);
    let (credentials, mut warnings) = credential_file(&source.dir, &mut faults);
    let known = Known {
        platforms,
        credentials: &credentials,
        limits: limits.as_ref(),
    };
    check_shared(&file, &known, &mut faults);
    let Some(checked) = checked.filter(|_| faults.is_empty()) else {
        add_device_faults(file, &known, &mut faults);
        return Err(Faults(faults));
    };
    let settings = checked.settings;
    let jumps = jump_specs(&file, (&settings, &known), &mut faults);
    if !faults.is_empty() {
        return Err(Faults(faults));
    }
    warnings.extend(unused(&checked.limit_places, &file));
    let mut file = file;
    let entries = std::mem::take(&mut file.entries);
    let platforms = privacy::all_with_extra(platforms, &settings.redact.extra);
    let resolver = Resolver {
        settings: &settings,
        platforms: &platforms,
        credentials: &credentials,
        limits: limits.as_ref(),
        file: &file,
        jumps: &jumps,
        schedules: RefCell::default(),
    };
    let mut items = resolve::items(&resolver, entries).map_err(Faults)?;
    if source.flags.iter().any(|(key, _)| key == "run.save") {
        inventory::save_all(&mut items, settings.run.save);
    }
    let groups = group_names(&file);
    Ok(Loaded {
        inventory: Inventory {
            items,
            groups,
            credentials,
            jumps,
        },
        settings,
        warnings,
    })
}

fn group_names(file: &DeviceFile) -> Vec<GroupName> {
    let groups = file.groups.values();
    groups.map(|group| group.name.clone()).collect()
}

/// Tells what is wrong with single devices too, where more is wrong than that. What a device takes
/// over from a faulty group or default is told there already.
fn add_device_faults(mut file: DeviceFile, known: &Known<'_>, faults: &mut Vec<Fault>) {
    let Ok(settings) = overall(&Source::default()) else {
        return;
    };
    let jumps = jump_specs(&file, (&settings, known), faults);
    let entries = std::mem::take(&mut file.entries);
    let resolver = Resolver {
        settings: &settings,
        platforms: known.platforms,
        credentials: known.credentials,
        limits: known.limits,
        file: &file,
        jumps: &jumps,
        schedules: RefCell::default(),
    };
    let found = match resolve::items(&resolver, entries) {
        Ok(items) => inventory::faults_of(&items),
        Err(found) => found,
    };
    let told: HashSet<_> = faults.iter().map(|f| (f.file.clone(), f.line)).collect();
    faults.extend(
        found
            .into_iter()
            .filter(|f| f.line.is_none() || !told.contains(&(f.file.clone(), f.line))),
    );
}

/// The overall settings alone; the settings folder may be missing.
pub(crate) fn overall(source: &Source) -> Result<Settings, Faults> {
    checked(source).map(|checked| checked.settings)
}

fn checked(source: &Source) -> Result<check::Checked, Faults> {
    let layers = layers::read(source).map_err(Faults)?;
    let merged = layers::merge(&layers).map_err(|_| {
        let place = Place::new(&source.dir.display().to_string(), None);
        Fault::error(
            &place,
            "",
            "the layers of the settings do not fit over each other",
        )
    })?;
    let (mut checked, _) = check::settings(&layers, &merged).map_err(Faults)?;
    for path in &mut checked.settings.ssh.known_hosts_extra {
        *path = files::in_home(path, &source.env);
    }
    Ok(checked)
}

/// Parses a file that may be missing.
fn table(path: &Path, faults: &mut Vec<Fault>) -> Option<Table> {
    let text = match files::read(path) {
        Ok(Presence::There(text)) => text,
        Ok(Presence::Missing) => return None,
        Err(fault) => {
            faults.push(fault);
            return Some(Table::default());
        }
    };
    let parsed = raw::parse(&path.display().to_string(), &text);
    Some(parsed.unwrap_or_else(|more| {
        faults.extend(more);
        Table::default()
    }))
}

/// What `devices.toml` and `devices.csv` say together.
fn device_file(dir: &Path, faults: &mut Vec<Fault>) -> DeviceFile {
    let toml = table(&dir.join("devices.toml"), faults);
    let path = dir.join("devices.csv");
    let shown = path.display().to_string();
    let csv = match files::read(&path) {
        Ok(Presence::There(text)) => Some(devices_csv::read(&shown, &text, faults)),
        Ok(Presence::Missing) => None,
        Err(fault) => {
            faults.push(fault);
            Some(Vec::new())
        }
    };
    if toml.is_none() && csv.is_none() {
        let place = Place::new(&dir.display().to_string(), None);
        let message = "there is no device list: write devices.toml or devices.csv, or run \
                       `wrmem init` with --settings and a new folder";
        faults.push(Fault::error(&place, "", message));
    }
    let mut file = toml.map_or_else(DeviceFile::default, |table| devices::read(&table, faults));
    file.entries.extend(csv.unwrap_or_default());
    file
}

fn credential_file(dir: &Path, faults: &mut Vec<Fault>) -> (CredentialFile, Vec<Fault>) {
    let path = dir.join(files::CREDENTIALS);
    let Some(table) = table(&path, faults) else {
        return (CredentialFile::default(), Vec::new());
    };
    let warnings = files::readable_by_others(&path).into_iter().collect();
    (credentials::read(&table, faults), warnings)
}

/// What names may refer to.
struct Known<'a> {
    platforms: &'a Platforms,
    credentials: &'a CredentialFile,
    /// `None` where the overall settings are faulty.
    limits: Option<&'a LimitSets>,
}

/// The jump hosts, none of which has the name of a device.
fn jump_specs(
    file: &DeviceFile,
    (settings, known): (&Settings, &Known<'_>),
    faults: &mut Vec<Fault>,
) -> JumpSpecs {
    for (name, jump) in &file.jumps {
        let same = |entry: &&Entry| entry.name.to_lowercase() == name.to_lowercase();
        if let Some(device) = file.entries.iter().find(same) {
            let message = format!(
                "is also the name of a device ({}); give one of them another name",
                device.place.show()
            );
            faults.push(Fault::error(&jump.place, &format!("jumps.{name}"), message));
        }
    }
    let known = jumps::Known {
        settings,
        credentials: known.credentials,
        limits: known.limits,
    };
    jumps::resolve(&file.jumps, &known, faults)
}

/// A limit set that nobody is in protects nobody.
fn unused(places: &Places, file: &DeviceFile) -> Vec<Fault> {
    let groups = file.groups.values().map(|group| &group.values);
    let devices = file.entries.iter().map(|entry| &entry.values);
    let used: HashSet<&str> = std::iter::once(&file.defaults)
        .chain(groups)
        .chain(devices)
        .chain(file.jumps.values().map(JumpEntry::values))
        .flat_map(|values| &values.limits)
        .map(|named| named.name.as_str())
        .collect();
    let idle = places
        .iter()
        .filter(|(name, _)| !used.contains(name.as_str()));
    idle.map(|(name, place)| {
        let message = format!(
            "no device is in this set: write limits = [\"{name}\"] at a device, a group or [defaults]"
        );
        Fault::warning(place, &format!("limits.{name}"), message)
    })
    .collect()
}

/// What groups and defaults refer to concerns more than one device.
fn check_shared(file: &DeviceFile, known: &Known<'_>, faults: &mut Vec<Fault>) {
    let (platforms, credentials) = (known.platforms, known.credentials);
    let mut check = |prefix: &str, values: &Values| {
        if let Some(named) = &values.platform
            && !platforms.contains_key(&named.name)
        {
            let message = resolve::no_platform(platforms, &named.name);
            faults.push(Fault::error(
                &named.place,
                &format!("{prefix}.platform"),
                message,
            ));
        }
        for named in &values.credentials {
            let key = format!("{prefix}.credentials");
            faults.extend(reach::find_credentials(credentials, named, &key).err());
        }
        if let Some(Some(named)) = &values.jump
            && !file.jumps.contains_key(&named.name)
        {
            faults.push(jumps::unknown(&file.jumps, named, prefix));
        }
        for named in &values.limits {
            faults.extend(resolve::find_limit(known.limits, named, prefix).err());
        }
    };
    check("defaults", &file.defaults);
    for (name, group) in &file.groups {
        check(&format!("groups.{name}"), &group.values);
    }
}
