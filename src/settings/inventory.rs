//! The list of all devices, resolved over groups and defaults.

use super::credentials::CredentialFile;
use super::fault::Fault;
use super::jumps::JumpSpecs;
use super::nearest::did_you_mean;
use crate::flow::schedule::Schedule;
use crate::model::credentials::Credentials;
use crate::model::device::{
    AlgorithmPolicy, BrokenDevice, Deadlines, Device, DeviceName, Egress, GroupName, Identity,
    SaveConfirm, SaveOrder, SavePolicy, View,
};
use crate::model::jump::JumpHost;
use crate::model::limit::LimitSet;
use crate::model::platform::Platform;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All platforms by name.
pub type Platforms = BTreeMap<String, Arc<Platform>>;

/// All devices in the order in which they were written, and the credentials they name.
pub struct Inventory {
    pub(crate) items: Vec<Item>,
    pub(crate) groups: Vec<GroupName>,
    pub(crate) credentials: CredentialFile,
    pub(crate) jumps: JumpSpecs,
}

/// A device as the inventory has it, without anything that lets one in.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// Its name as it is written there.
    pub name: &'a DeviceName,
    /// Its group, where its entry is sound.
    pub group: Option<&'a GroupName>,
    /// Its platform, where its entry is sound.
    pub platform: Option<&'a Arc<Platform>>,
}

impl Inventory {
    /// The device of that name; upper and lower case make no difference.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Found<'_>> {
        let folded = name.to_lowercase();
        let mut items = self.items.iter();
        let item = items.find(|item| item.name().as_str().to_lowercase() == folded)?;
        Some(match item {
            Item::Sound(spec) => Found {
                name: &spec.name,
                group: spec.group.as_ref(),
                platform: Some(&spec.platform),
            },
            Item::Broken(broken) => Found {
                name: &broken.device.name,
                group: None,
                platform: None,
            },
        })
    }

    /// That there is no device of that name, and what may have been meant.
    #[must_use]
    pub fn no_such(&self, name: &str) -> String {
        let near = did_you_mean(name, self.items.iter().map(|item| item.name().as_str()));
        let sign = if near.is_empty() { ";" } else { "" };
        format!("there is no device {name:?}{near}{sign} `wrmem devices` lists them all")
    }
}

/// A device, sound or not.
pub(crate) enum Item {
    Sound(Box<Spec>),
    Broken(Box<Broken>),
}

/// A device without its credentials' secrets.
pub(crate) struct Spec {
    pub(crate) name: DeviceName,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) group: Option<GroupName>,
    pub(crate) platform: Arc<Platform>,
    /// In the order in which they are tried; at least one.
    pub(crate) credentials: Vec<String>,
    pub(crate) save: SavePolicy,
    /// Whether the operator wrote the save policy anywhere.
    pub(crate) save_written: bool,
    pub(crate) schedule: Arc<Schedule>,
    pub(crate) save_order: SaveOrder,
    pub(crate) save_confirm: SaveConfirm,
    pub(crate) view: View,
    pub(crate) identity: Identity,
    pub(crate) algorithms: AlgorithmPolicy,
    pub(crate) egress: Egress,
    pub(crate) jump: Option<String>,
    pub(crate) deadlines: Deadlines,
    pub(crate) attempts: u32,
    pub(crate) limits: Vec<Arc<LimitSet>>,
    pub(crate) also: Option<Vec<String>>,
}

/// A device whose entry is faulty.
pub(crate) struct Broken {
    pub(crate) device: BrokenDevice,
    pub(crate) group: Option<String>,
    pub(crate) faults: Vec<Fault>,
}

/// Every fault of the entries of these devices.
pub(crate) fn faults_of(items: &[Item]) -> Vec<Fault> {
    items
        .iter()
        .filter_map(|item| match item {
            Item::Sound(_) => None,
            Item::Broken(broken) => Some(broken.faults.clone()),
        })
        .flatten()
        .collect()
}

impl Spec {
    /// The device with its credentials, the first ones and the further ones, and the jump host in front
    /// of it.
    pub(crate) fn device(
        &self,
        (credentials, fallbacks): (Arc<Credentials>, Vec<Arc<Credentials>>),
        jump: Option<Arc<JumpHost>>,
    ) -> Device {
        Device {
            name: self.name.clone(),
            host: self.host.clone(),
            port: self.port,
            group: self.group.clone(),
            platform: Arc::clone(&self.platform),
            credentials,
            fallbacks,
            save: self.save,
            save_order: self.save_order,
            save_confirm: self.save_confirm,
            view: self.view,
            identity: self.identity,
            algorithms: self.algorithms,
            egress: self.egress.clone(),
            jump,
            deadlines: self.deadlines,
            attempts: self.attempts,
            limits: self.limits.clone(),
            also: self
                .also
                .clone()
                .unwrap_or_else(|| self.platform.also.clone()),
        }
    }
}

impl Item {
    pub(crate) fn name(&self) -> &DeviceName {
        match self {
            Self::Sound(spec) => &spec.name,
            Self::Broken(broken) => &broken.device.name,
        }
    }

    pub(crate) fn group(&self) -> Option<&str> {
        match self {
            Self::Sound(spec) => spec.group.as_ref().map(GroupName::as_str),
            Self::Broken(broken) => broken.group.as_deref(),
        }
    }
}

/// Sets the save policy of every device.
pub(crate) fn save_all(items: &mut [Item], save: SavePolicy) {
    for item in items {
        if let Item::Sound(spec) = item {
            spec.save = save;
        }
    }
}
