//! How a device is reached: with which credentials, from where.

use super::credentials::CredentialFile;
use super::entries::{Entry, Reference, Values};
use super::fault::Fault;
use super::jumps;
use super::resolve::{Resolver, find_limit, missing, no_such};
use crate::model::device::{Deadlines, Egress};
use crate::model::limit::LimitSet;
use std::sync::Arc;

impl Resolver<'_> {
    pub(super) fn credentials<'v>(
        &self,
        mut values: impl Iterator<Item = &'v &'v Values>,
        entry: &Entry,
    ) -> Result<Vec<String>, Fault> {
        let key = format!("devices.{}.credentials", entry.name);
        let Some(named) = values.find(|value| !value.credentials.is_empty()) else {
            return Err(missing(entry, &key, "credentials"));
        };
        named
            .credentials
            .iter()
            .map(|named| find_credentials(self.credentials, named, &key))
            .collect()
    }

    /// The jump host through which a device is reached, as the innermost says.
    pub(super) fn jump<'v>(
        &self,
        mut values: impl Iterator<Item = &'v &'v Values>,
        key: &str,
    ) -> Result<Option<String>, Fault> {
        let Some(named) = values
            .find_map(|value| value.jump.as_ref())
            .and_then(Option::as_ref)
        else {
            return Ok(None);
        };
        if self.file.jumps.contains_key(&named.name) {
            return Ok(Some(named.name.clone()));
        }
        Err(jumps::unknown(&self.file.jumps, named, key))
    }

    /// Limits add up: a device is in the sets of the defaults, of its group and of its own.
    pub(super) fn limits<'r>(
        &self,
        named: impl Iterator<Item = &'r Reference>,
        key: &str,
        faults: &mut Vec<Fault>,
    ) -> Vec<Arc<LimitSet>> {
        let mut sets: Vec<Arc<LimitSet>> = Vec::new();
        for named in named {
            match find_limit(self.limits, named, key) {
                Ok(Some(set)) if sets.iter().all(|known| known.name != set.name) => sets.push(set),
                Ok(_) => {}
                Err(fault) => faults.push(fault),
            }
        }
        sets
    }

    /// Those of a jump host, and of the one in front of it, count for every device behind.
    pub(super) fn add_jump_limits(&self, limits: &mut Vec<Arc<LimitSet>>, jump: Option<&String>) {
        let mut at = jump;
        while let Some(spec) = at.and_then(|name| self.jumps.get(name)) {
            for set in &spec.limits {
                if limits.iter().all(|known| known.name != set.name) {
                    limits.push(Arc::clone(set));
                }
            }
            at = spec.jump.as_ref();
        }
    }

    /// The deadlines that these say, the outermost first, over the overall ones.
    pub(super) fn deadlines<'v>(&self, values: impl Iterator<Item = &'v &'v Values>) -> Deadlines {
        let overall = self.settings.deadlines;
        values.fold(overall, |base, value| value.deadlines.over(base))
    }

    /// From where a device is called: source and interface each as the innermost says.
    pub(super) fn egress<'v>(
        &self,
        values: impl Iterator<Item = &'v &'v Values> + Clone,
    ) -> Egress {
        let overall = &self.settings.ssh.egress;
        let source = values.clone().find_map(|value| value.source);
        let interface = values.clone().find_map(|value| value.interface.clone());
        Egress {
            source: source.unwrap_or(overall.source),
            interface: interface.unwrap_or_else(|| overall.interface.clone()),
        }
    }
}

/// The name of credentials that are there.
pub(crate) fn find_credentials(
    credentials: &CredentialFile,
    named: &Reference,
    key: &str,
) -> Result<String, Fault> {
    if credentials.contains(&named.name) {
        return Ok(named.name.clone());
    }
    let message = no_such("credentials", &named.name, || credentials.names());
    Err(Fault::error(&named.place, key, message))
}
