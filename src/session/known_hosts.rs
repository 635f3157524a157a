//! Known host keys: our own reading of OpenSSH's `known_hosts` files.
//!
//! libssh2's is not used: it accepts revoked keys, falls back from `[host]:port` to the bare host,
//! and takes one broken line for a broken file.

mod file;
mod key;
mod line;

pub use key::HostKey;

use line::{Hosts, Line, Standing, host_label};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The store of one run: read once at start, locked only to look up and to insert.
pub struct KnownHosts {
    path: PathBuf,
    warnings: Vec<String>,
    store: Mutex<Store>,
    /// What further files say, which are never written.
    extra: Store,
}

#[derive(Default)]
struct Store {
    /// Lines with plain names, by each of their names.
    named: HashMap<String, Vec<HostKey>>,
    /// Lines that have to be tried one by one.
    others: Vec<Line>,
    revoked: Vec<Line>,
    /// Accepted in this run and not yet written.
    news: Vec<(String, HostKey)>,
}

/// What the store says about a key that a device showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is known for this device.
    Known,
    /// No key is known for this device.
    Unknown,
    /// Other keys are known for this device; these.
    Changed(Vec<HostKey>),
    /// The key must not be used any more.
    Revoked,
}

/// The `known_hosts` file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} known hosts file {path}: {source}", path = path.display())]
pub struct KnownHostsError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl KnownHostsError {
    fn new(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            doing,
            path: path.to_owned(),
            source,
        }
    }
}

impl Store {
    /// Reads lines; what counts for nothing goes to `ignored` with its number and the reason.
    fn read(text: &str, ignored: impl FnMut(usize, &'static str)) -> Self {
        let mut store = Self::default();
        store.read_more(text, ignored);
        store
    }

    fn read_more(&mut self, text: &str, mut ignored: impl FnMut(usize, &'static str)) {
        for (number, line) in (1..).zip(text.lines()) {
            match Line::parse(line) {
                Ok(Some(line)) => self.take(line),
                Ok(None) => {}
                Err(why) => ignored(number, why),
            }
        }
    }

    fn take(&mut self, line: Line) {
        match (line.standing, line.hosts) {
            (Standing::Trusted, Hosts::Names(names)) => {
                for name in names {
                    self.named.entry(name).or_default().push(line.key.clone());
                }
            }
            (Standing::Trusted, hosts) => self.others.push(Line { hosts, ..line }),
            (Standing::Revoked, hosts) => self.revoked.push(Line { hosts, ..line }),
        }
    }

    fn known(&self, label: &str) -> Vec<HostKey> {
        let named = self.named.get(label).into_iter().flatten();
        let others = self
            .others
            .iter()
            .filter(|line| line.hosts.matches(label))
            .map(|line| &line.key);
        named.chain(others).cloned().collect()
    }

    fn revokes(&self, label: &str, key: &HostKey) -> bool {
        let is_revoked = |line: &Line| line.key == *key && line.hosts.matches(label);
        self.revoked.iter().any(is_revoked)
    }

    /// What this and `extra` say together; a key that either of them revokes is revoked.
    fn judge(&self, extra: &Self, label: &str, key: &HostKey) -> Verdict {
        if self.revokes(label, key) || extra.revokes(label, key) {
            return Verdict::Revoked;
        }
        let mut known = self.known(label);
        known.extend(extra.known(label));
        if known.is_empty() {
            Verdict::Unknown
        } else if known.contains(key) {
            Verdict::Known
        } else {
            Verdict::Changed(known)
        }
    }
}

impl KnownHosts {
    /// Reads `path`; a file that is not there is empty. Lines that cannot be used are warnings.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn load(path: &Path) -> Result<Self, KnownHostsError> {
        let text = file::read(path)?;
        let mut warnings = Vec::new();
        let store = Store::read(&text, |number, why| {
            warnings.push(ignored(path, number, why));
        });
        Ok(Self {
            path: path.to_owned(),
            warnings,
            store: Mutex::new(store),
            extra: Store::default(),
        })
    }

    /// Also reads `paths`, which are never written, such as OpenSSH's own files. A file that is not
    /// there is a warning.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn with_extra(mut self, paths: &[PathBuf]) -> Result<Self, KnownHostsError> {
        for path in paths {
            if !path.exists() {
                self.warnings.push(format!(
                    "known hosts file {} is not there (ssh.known_hosts_extra)",
                    path.display()
                ));
            }
            let text = file::read(path)?;
            let warnings = &mut self.warnings;
            let ignored = |number, why: &str| warnings.push(ignored(path, number, why));
            self.extra.read_more(&text, ignored);
        }
        Ok(self)
    }

    /// The lines that were ignored, with number and reason.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The file it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys known for a device.
    #[must_use]
    pub fn known(&self, host: &str, port: u16) -> Vec<HostKey> {
        let label = host_label(host, port);
        let mut known = self.store().known(&label);
        known.extend(self.extra.known(&label));
        known
    }

    /// The keys known for a device from files that are never written.
    #[must_use]
    pub fn known_elsewhere(&self, host: &str, port: u16) -> Vec<HostKey> {
        self.extra.known(&host_label(host, port))
    }

    /// What is to be thought of a key that a device showed.
    #[must_use]
    pub fn judge(&self, host: &str, port: u16, key: &HostKey) -> Verdict {
        let label = host_label(host, port);
        self.store().judge(&self.extra, &label, key)
    }

    /// Judges a key and, if none is known for the device, takes it in at once: two sessions that
    /// meet one device for the first time cannot both bring a key. [`Self::flush`] writes it.
    #[must_use]
    pub fn judge_or_insert(&self, host: &str, port: u16, key: &HostKey) -> Verdict {
        let label = host_label(host, port);
        let mut store = self.store();
        let verdict = store.judge(&self.extra, &label, key);
        if verdict == Verdict::Unknown {
            let keys = store.named.entry(label.clone()).or_default();
            keys.push(key.clone());
            store.news.push((label, key.clone()));
        }
        verdict
    }

    /// Writes the keys accepted in this run: appended durably, under a lock that other processes
    /// keep too, and only those that the file does not have by now.
    ///
    /// # Errors
    /// When the file cannot be written; the keys stay for the next try.
    pub fn flush(&self) -> Result<(), KnownHostsError> {
        let mut news = std::mem::take(&mut self.store().news);
        let written = file::append(&self.path, &news);
        if written.is_err() {
            let mut store = self.store();
            news.append(&mut store.news);
            store.news = news;
        }
        written
    }

    /// Forgets the keys of a device, here and durably in the file, and returns them. Revocations
    /// stay.
    ///
    /// # Errors
    /// When the file cannot be written; nothing is forgotten then.
    pub fn forget(&self, host: &str, port: u16) -> Result<Vec<HostKey>, KnownHostsError> {
        let label = host_label(host, port);
        let known = self.store().known(&label);
        file::remove(&self.path, host, port)?;
        let fresh = Self::load(&self.path)?.store;
        let fresh = fresh.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut store = self.store();
        let mut news = std::mem::take(&mut store.news);
        news.retain(|(other, _)| *other != label);
        *store = fresh;
        for (label, key) in &news {
            let keys = store.named.entry(label.clone()).or_default();
            keys.push(key.clone());
        }
        store.news = news;
        Ok(known)
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ignored(path: &Path, number: usize, why: &str) -> String {
    format!(
        "known hosts file {}, line {number} is ignored: {why}",
        path.display()
    )
}

#[cfg(test)]
mod tests;
