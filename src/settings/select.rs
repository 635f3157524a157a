//! Which devices of the inventory a run works on.

use super::command::Limits;
use super::fault::Fault;
use super::inventory::{Inventory, Item, Spec, faults_of};
use super::jump_hosts::Hosts;
use super::names::{self, Wanted};
use super::resolve::joined;
use super::secrets::{Commands, Fetcher};
use crate::flow::schedule::Schedule;
use crate::model::credentials::Credentials;
use crate::model::device::{AlgorithmPolicy, BrokenDevice, Device, DeviceName, SavePolicy};
use crate::model::jump::JumpHost;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// Which devices are wanted: those named and those of the groups; all where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Device names and patterns of them; upper and lower case make no difference.
    pub names: Vec<String>,
    /// Group names.
    pub groups: Vec<String>,
    /// Of those only these, in lower case.
    pub only: Option<HashSet<String>>,
}

/// The selected devices, each list in the order of the inventory.
#[derive(Debug)]
pub struct Selected {
    /// Those that can be worked on.
    pub devices: Vec<Device>,
    /// Those whose entry or credentials are faulty.
    pub broken: Vec<BrokenDevice>,
    /// Those of them that were asked for by their very names.
    pub named: HashSet<DeviceName>,
    /// What should be mended: files with secrets that others can read.
    pub warnings: Vec<Fault>,
}

/// Which devices a selection means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// In the order of the inventory.
    pub names: Vec<DeviceName>,
    /// Those of them that were asked for by their very names.
    pub named: HashSet<DeviceName>,
}

/// Why a selection is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelectError {
    /// Names of no device or group, each told with what is near.
    Unknown(Vec<String>),
    /// No device is left.
    Nothing,
}

impl fmt::Display for SelectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(told) => {
                let told = told.join("\n");
                // A question needs no more than a space after it.
                let end = if told.ends_with('?') { "" } else { ";" };
                write!(f, "{told}{end} `wrmem devices` lists them all")
            }
            Self::Nothing => {
                f.write_str("nothing selected: no device matches; `wrmem devices` lists them all")
            }
        }
    }
}

impl std::error::Error for SelectError {}

/// One line of `wrmem devices`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    /// Its name.
    pub name: String,
    /// Its host.
    pub host: String,
    /// What is known of it only where its entry is sound.
    pub details: Result<RowDetails, String>,
    /// Its group.
    pub group: Option<String>,
    /// Its platform; empty where that is not known.
    pub platform: String,
}

/// The rest of a line of `wrmem devices`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowDetails {
    /// TCP port.
    pub port: u16,
    /// The names of its credentials in the order in which they are tried, with commas in between.
    pub credentials: String,
    /// Whether it is saved.
    pub save: SavePolicy,
    /// What it is offered.
    pub algorithms: AlgorithmPolicy,
    /// The jump host through which it is reached.
    pub jump: Option<String>,
    /// When `wrmem run` backs it up.
    pub schedule: Arc<Schedule>,
    /// The names of the limit sets it is in.
    pub limits: Vec<String>,
}

pub(super) type Fetched = Result<Arc<Credentials>, String>;

impl Inventory {
    /// The wanted devices. Only their credentials are fetched, each once, and shared; a fault in
    /// them breaks the devices that use them and no others.
    ///
    /// # Errors
    /// When a name is unknown or nothing is selected.
    pub fn select(
        &self,
        selection: &Selection,
        env: &[(String, String)],
    ) -> Result<Selected, SelectError> {
        let Wanted { items, named } = names::wanted(self, selection)?;
        let mut fetcher = fetcher(env, Commands::Run);
        let mut fetched: HashMap<&str, Fetched> = HashMap::new();
        let mut hosts = Hosts::new(self);
        let mut devices = Vec::new();
        let mut broken = Vec::new();
        for item in items {
            let spec = match item {
                Item::Sound(spec) => spec,
                Item::Broken(item) => {
                    broken.push(item.device.clone());
                    continue;
                }
            };
            let credentials: Result<Vec<_>, _> = spec
                .credentials
                .iter()
                .map(|name| {
                    let known = fetched.entry(name);
                    known
                        .or_insert_with(|| self.fetch(name, &mut fetcher))
                        .clone()
                })
                .collect();
            let ready = credentials.map(with_first).and_then(|credentials| {
                let jump = spec.jump.as_ref();
                let jump = jump.map(|name| hosts.get(name, &mut fetcher)).transpose()?;
                Ok(credentials.map(|credentials| spec.device(credentials, jump)))
            });
            match ready {
                Ok(device) => devices.extend(device),
                Err(message) => broken.push(BrokenDevice {
                    name: spec.name.clone(),
                    host: spec.host.clone(),
                    platform: spec.platform.name.clone(),
                    message,
                }),
            }
        }
        Ok(Selected {
            devices,
            broken,
            named,
            warnings: fetcher.warnings,
        })
    }

    /// A jump host by its name, as something whose host key may be looked at; `None` where there is
    /// none of this name.
    ///
    /// # Errors
    /// When its credentials cannot be had.
    #[must_use]
    pub fn jump_host(
        &self,
        name: &str,
        env: &[(String, String)],
    ) -> Option<Result<Arc<JumpHost>, String>> {
        self.jumps.get(name)?;
        Some(Hosts::new(self).get(name, &mut fetcher(env, Commands::Run)))
    }

    pub(super) fn fetch(&self, name: &str, fetcher: &mut Fetcher<'_>) -> Fetched {
        match self.credentials.entries.get(name) {
            Some(entry) => fetcher
                .credentials(name, entry)
                .map(Arc::new)
                .map_err(|faults| joined(&faults)),
            None => Err(format!("there are no credentials `{name}`")),
        }
    }

    /// The wanted devices by name, sound or not; fetches no credentials.
    ///
    /// # Errors
    /// When a name is unknown or nothing is selected.
    pub fn choose(&self, selection: &Selection) -> Result<Choice, SelectError> {
        let wanted = names::wanted(self, selection)?;
        Ok(Choice {
            names: wanted
                .items
                .iter()
                .map(|item| item.name().clone())
                .collect(),
            named: wanted.named,
        })
    }

    /// The schedule of each device whose entry is sound.
    #[must_use]
    pub fn schedules(&self) -> HashMap<DeviceName, Arc<Schedule>> {
        self.sound()
            .map(|spec| (spec.name.clone(), Arc::clone(&spec.schedule)))
            .collect()
    }

    /// The devices that would be saved only because that is compiled in, not because the operator
    /// wrote it anywhere.
    #[must_use]
    pub fn saved_unasked(&self) -> Vec<&DeviceName> {
        self.sound()
            .filter(|spec| spec.save == SavePolicy::Always && !spec.save_written)
            .map(|spec| &spec.name)
            .collect()
    }

    fn sound(&self) -> impl Iterator<Item = &Spec> {
        self.items.iter().filter_map(|item| match item {
            Item::Sound(spec) => Some(&**spec),
            Item::Broken(_) => None,
        })
    }

    /// How many devices there are, broken ones too.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no device at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The wanted devices, as far as they are resolved without fetching credentials.
    ///
    /// # Errors
    /// When a name is unknown or nothing is selected.
    pub fn chosen(&self, selection: &Selection) -> Result<Vec<DeviceRow>, SelectError> {
        let wanted = names::wanted(self, selection)?;
        Ok(wanted.items.into_iter().map(row).collect())
    }

    /// The resolved device list; fetches no credentials.
    #[must_use]
    pub fn rows(&self) -> Vec<DeviceRow> {
        self.items.iter().map(row).collect()
    }

    /// Every fault of every device's entry.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        faults_of(&self.items)
    }

    /// The faults and warnings of all credentials, used or not: fetches every secret, from commands
    /// only if asked to.
    #[must_use]
    pub fn credential_faults(&self, commands: Commands, env: &[(String, String)]) -> Vec<Fault> {
        let mut fetcher = fetcher(env, commands);
        let mut faults = Vec::new();
        for (name, entry) in &self.credentials.entries {
            if let Err(more) = fetcher.credentials(name, entry) {
                faults.extend(more);
            }
        }
        faults.extend(fetcher.warnings);
        faults
    }
}

pub(super) fn with_first<T>(all: Vec<T>) -> Option<(T, Vec<T>)> {
    let mut all = all.into_iter();
    Some((all.next()?, all.collect()))
}

fn fetcher(env: &[(String, String)], commands: Commands) -> Fetcher<'_> {
    Fetcher {
        env,
        commands,
        limits: Limits::default(),
        warnings: Vec::new(),
    }
}

fn row(item: &Item) -> DeviceRow {
    let group = item.group().map(str::to_owned);
    match item {
        Item::Sound(spec) => DeviceRow {
            name: spec.name.to_string(),
            host: spec.host.clone(),
            group,
            platform: spec.platform.name.clone(),
            details: Ok(RowDetails {
                port: spec.port,
                credentials: spec.credentials.join(","),
                save: spec.save,
                algorithms: spec.algorithms,
                jump: spec.jump.clone(),
                schedule: Arc::clone(&spec.schedule),
                limits: spec.limits.iter().map(|set| set.name.clone()).collect(),
            }),
        },
        Item::Broken(broken) => DeviceRow {
            name: broken.device.name.to_string(),
            host: broken.device.host.clone(),
            group,
            platform: broken.device.platform.clone(),
            details: Err(broken.device.message.clone()),
        },
    }
}
