//! `[jumps.NAME]` in `devices.toml`: the hosts that devices are reached through.

use super::credentials::CredentialFile;
use super::entries::{self, Reference, Values};
use super::fault::Fault;
use super::host;
use super::limits::LimitSets;
use super::raw::{Key, Located, Place, Raw, Table};
use super::reach;
use super::resolve::{find_limit, no_such};
use super::values::Settings;
use super::ways::{ChannelsWord, SessionsWord};
use crate::model::credentials::Credentials;
use crate::model::device::{AlgorithmPolicy, Deadlines, Device, DeviceName, Egress};
use crate::model::jump::JumpHost;
use crate::model::limit::LimitSet;
use crate::model::platform::Platform;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The keys of a jump host.
const KEYS: [&str; 11] = [
    "host",
    "port",
    "credentials",
    "algorithms",
    "source",
    "interface",
    "jump",
    "limits",
    "deadlines",
    "channels",
    "sessions",
];

/// How many jump hosts there may be one behind the other.
const CHAIN_MAX: usize = 2;

/// What was written about one jump host.
pub(crate) struct JumpEntry {
    pub(crate) place: Place,
    host: Option<Reference>,
    values: Values,
    channels: usize,
    sessions: usize,
}

/// The jump hosts as written, by name.
pub(crate) type JumpEntries = BTreeMap<String, JumpEntry>;

/// Reads the section.
pub(crate) fn read(table: &Table, faults: &mut Vec<Fault>) -> JumpEntries {
    let mut jumps = BTreeMap::new();
    for (key, value) in &table.0 {
        let path = format!("jumps.{}", key.name);
        let Raw::Table(inner) = &value.value else {
            let message = "expected a table, such as [jumps.bastion]";
            faults.push(Fault::error(&key.place, &path, message));
            continue;
        };
        if let Err(error) = DeviceName::new(&key.name) {
            faults.push(Fault::error(&key.place, &path, error.to_string()));
            continue;
        }
        let before = faults.len();
        let mut entry = JumpEntry {
            place: key.place.clone(),
            host: None,
            values: Values::default(),
            channels: JumpHost::CHANNELS,
            sessions: JumpHost::SESSIONS,
        };
        for (key, value) in &inner.0 {
            let path = format!("{path}.{}", key.name);
            if let Err(more) = entry.take(key, value, &path) {
                faults.extend(more);
            }
        }
        if faults.len() == before {
            jumps.insert(key.name.clone(), entry);
        }
    }
    jumps
}

impl JumpEntry {
    fn take(&mut self, key: &Key, value: &Located, path: &str) -> Result<(), Vec<Fault>> {
        use super::decode::decode;
        match key.name.as_str() {
            "host" => self.host = Some(entries::reference(value, path)?),
            "channels" => self.channels = decode::<ChannelsWord>(value, path)?.0,
            "sessions" => self.sessions = decode::<SessionsWord>(value, path)?.0,
            name if KEYS.contains(&name) => {
                self.values.take(name, value, path)?;
            }
            _ => return Err(entries::unknown(key, path, &KEYS).into()),
        }
        Ok(())
    }

    pub(crate) const fn values(&self) -> &Values {
        &self.values
    }

    fn jump(&self) -> Option<&Reference> {
        self.values.jump.as_ref().and_then(Option::as_ref)
    }
}

/// A jump host without its credentials' secrets.
pub(crate) struct JumpSpec {
    name: DeviceName,
    host: String,
    port: u16,
    pub(crate) credentials: Vec<String>,
    algorithms: AlgorithmPolicy,
    egress: Egress,
    deadlines: Deadlines,
    pub(crate) limits: Vec<Arc<LimitSet>>,
    /// The one in front of it.
    pub(crate) jump: Option<String>,
    channels: usize,
    sessions: usize,
}

/// The jump hosts by name.
pub(crate) type JumpSpecs = BTreeMap<String, Arc<JumpSpec>>;

/// What jump hosts refer to.
pub(crate) struct Known<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) credentials: &'a CredentialFile,
    pub(crate) limits: Option<&'a LimitSets>,
}

/// Resolves the jump hosts; every fault of them concerns all devices behind.
pub(crate) fn resolve(
    entries: &JumpEntries,
    known: &Known<'_>,
    faults: &mut Vec<Fault>,
) -> JumpSpecs {
    let mut specs = BTreeMap::new();
    for (name, entry) in entries {
        let before = faults.len();
        let spec = spec(name, entry, known, faults);
        check_chain(name, entries, faults);
        if let Some(spec) = spec.filter(|_| faults.len() == before) {
            specs.insert(name.clone(), Arc::new(spec));
        }
    }
    specs
}

fn spec(
    name: &str,
    entry: &JumpEntry,
    known: &Known<'_>,
    faults: &mut Vec<Fault>,
) -> Option<JumpSpec> {
    let key = format!("jumps.{name}");
    let values = &entry.values;
    let (text, place) = match &entry.host {
        Some(host) => (host.name.as_str(), &host.place),
        None => (name, &entry.place),
    };
    let host = host::checked(text)
        .map_err(|message| faults.push(Fault::error(place, &format!("{key}.host"), message)));
    if values.credentials.is_empty() {
        let message = "is missing: a jump host has credentials of its own";
        faults.push(Fault::error(
            &entry.place,
            &format!("{key}.credentials"),
            message,
        ));
    }
    let mut credentials = Vec::new();
    for named in &values.credentials {
        match reach::find_credentials(known.credentials, named, &format!("{key}.credentials")) {
            Ok(name) => credentials.push(name),
            Err(fault) => faults.push(fault),
        }
    }
    let mut limits = Vec::new();
    for named in &values.limits {
        match find_limit(known.limits, named, &key) {
            Ok(set) => limits.extend(set),
            Err(fault) => faults.push(fault),
        }
    }
    let ssh = &known.settings.ssh;
    Some(JumpSpec {
        name: DeviceName::new(name).ok()?,
        host: host.ok()?,
        port: values.port.unwrap_or(22),
        credentials,
        algorithms: values.algorithms.unwrap_or(ssh.algorithms),
        egress: Egress {
            source: values.source.unwrap_or(ssh.egress.source),
            interface: values
                .interface
                .clone()
                .unwrap_or_else(|| ssh.egress.interface.clone()),
        },
        deadlines: values.deadlines.over(known.settings.deadlines),
        limits,
        jump: entry.jump().map(|jump| jump.name.clone()),
        channels: entry.channels,
        sessions: entry.sessions,
    })
}

/// The jump host that `named` refers to is there, and not behind too many others.
fn check_chain(name: &str, entries: &JumpEntries, faults: &mut Vec<Fault>) {
    let mut at = name;
    for _ in 0..CHAIN_MAX {
        let Some(next) = entries.get(at).and_then(JumpEntry::jump) else {
            return;
        };
        if !entries.contains_key(&next.name) {
            if at == name {
                faults.push(unknown(entries, next, &format!("jumps.{name}")));
            }
            return;
        }
        at = &next.name;
    }
    if let Some(next) = entries.get(name).and_then(JumpEntry::jump) {
        let message = format!(
            "leads through more than {CHAIN_MAX} jump hosts, or in a circle; at most {CHAIN_MAX} stand \
             one behind the other"
        );
        faults.push(Fault::error(
            &next.place,
            &format!("jumps.{name}.jump"),
            message,
        ));
    }
}

/// The fault of a jump host that is not there.
pub(crate) fn unknown(entries: &JumpEntries, named: &Reference, key: &str) -> Fault {
    let message = no_such("jump host", &named.name, || {
        entries.keys().map(String::as_str)
    });
    Fault::error(&named.place, &format!("{key}.jump"), message)
}

impl JumpSpec {
    /// The jump host with its credentials and the one in front of it.
    pub(crate) fn jump_host(
        &self,
        (credentials, fallbacks): (Arc<Credentials>, Vec<Arc<Credentials>>),
        front: Option<Arc<JumpHost>>,
    ) -> JumpHost {
        let platform = Arc::<Platform>::default();
        JumpHost {
            endpoint: Device {
                port: self.port,
                fallbacks,
                algorithms: self.algorithms,
                egress: self.egress.clone(),
                deadlines: self.deadlines,
                limits: self.limits.clone(),
                jump: front,
                ..Device::new(self.name.clone(), &self.host, platform, credentials)
            },
            channels: self.channels,
            sessions: self.sessions,
        }
    }
}
