//! How devices are reached, as the settings describe it.

use super::AppError;
use crate::limits::MachineLimits;
use crate::session::known_hosts::KnownHosts;
use crate::session::ssh::{SshConnector, SshOptions};
use crate::settings::Settings;
use std::sync::Arc;

/// The host keys that the settings let be known; what of them counts for nothing is told.
///
/// # Errors
/// When one of the files cannot be read.
pub fn known_hosts(settings: &Settings) -> Result<KnownHosts, AppError> {
    let known = KnownHosts::load(&settings.ssh.known_hosts)?;
    let known = known.with_extra(&settings.ssh.known_hosts_extra)?;
    for warning in known.warnings() {
        log::warn!("{warning}");
    }
    Ok(known)
}

/// The connector that the settings describe.
///
/// # Errors
/// When this build of libssh2 lacks every algorithm of a policy.
pub fn connector(
    settings: &Settings,
    known_hosts: &Arc<KnownHosts>,
) -> Result<SshConnector, AppError> {
    Ok(SshConnector::new(SshOptions {
        host_keys: settings.ssh.host_keys,
        known_hosts: Arc::clone(known_hosts),
        cpus: MachineLimits::read().cpus,
    })?)
}
