//! Configs whose secrets are masked before they are kept.

use super::{Archive, ArchiveError, NotStored, Put};
use crate::model::config::Info;
use crate::model::report::Stored;
use crate::model::version::ObjectId;
use crate::text::redact::{self, Key, Mask};
use std::sync::Arc;

/// Masks the secrets of every config, and of what is kept beside it, and leaves the keeping to
/// another archive. The same secret has the same mask, so a config that did not change does not
/// change masked.
pub struct MaskedArchive {
    inner: Box<dyn Archive>,
    key: Key,
}

impl MaskedArchive {
    /// Masks by `key` what `inner` keeps.
    #[must_use]
    pub fn new(inner: Box<dyn Archive>, key: Key) -> Self {
        Self { inner, key }
    }

    fn masked(&self, put: &Put) -> Put {
        let masked = |text: &[u8]| redact::config(text, &put.platform, Mask::Keyed(&self.key));
        let info = put.info.as_ref();
        Put {
            device: put.device.clone(),
            group: put.group.clone(),
            platform: Arc::clone(&put.platform),
            config: put.config.with_bytes(masked(put.config.bytes())),
            info: info.map(|info| Info::new(masked(info.bytes()))),
            taken: put.taken,
            run: put.run,
        }
    }
}

impl Archive for MaskedArchive {
    fn put(&mut self, batch: &[Put]) -> Vec<Result<Stored, NotStored>> {
        let masked: Vec<Put> = batch.iter().map(|put| self.masked(put)).collect();
        self.inner.put(&masked)
    }

    fn commit(&mut self) -> Result<Vec<ObjectId>, ArchiveError> {
        self.inner.commit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::files::FileArchive;
    use crate::model::config::{Config, Layout, Proof};
    use crate::model::device::DeviceName;
    use crate::model::platform::Platform;
    use crate::model::report::StoredKind;
    use std::fs;
    use std::path::Path;
    use std::time::SystemTime;

    const CONFIG: &str = "! Last at 1\nhostname a\nenable secret 9 hush\nend\n";

    fn archive(dir: &Path) -> MaskedArchive {
        let files = FileArchive::open(dir, Layout::Flat, 0o600).unwrap();
        MaskedArchive::new(Box::new(files), Key::new([1; 32]))
    }

    fn put(archive: &mut MaskedArchive, config: &str) -> StoredKind {
        let platform = Platform {
            volatile: vec![b"! Last".to_vec()],
            ..Platform::default()
        };
        let put = Put {
            device: DeviceName::new("a").unwrap(),
            group: None,
            platform: Arc::new(platform),
            config: Config::proven(config.into(), Proof::Marker),
            info: Some(Info::new(b"password hush\n".to_vec())),
            taken: SystemTime::UNIX_EPOCH,
            run: SystemTime::UNIX_EPOCH,
        };
        archive.put(&[put]).remove(0).unwrap().kind
    }

    #[test]
    fn what_is_kept_is_masked_and_unchanged_means_untouched() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(put(&mut archive(dir.path()), CONFIG), StoredKind::New);
        let path = dir.path().join("a.cfg");
        let stored = fs::read_to_string(&path).unwrap();
        assert!(stored.contains("\nenable secret 9 <secret:") && stored.ends_with(">\nend\n"));
        for entry in fs::read_dir(dir.path()).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
            assert!(!text.contains("hush"), "{text}");
        }
        let again = CONFIG.replace("at 1", "at 2");
        assert_eq!(put(&mut archive(dir.path()), &again), StoredKind::Unchanged);
        assert_eq!(fs::read_to_string(&path).unwrap(), stored);
        let changed = CONFIG.replace("hush", "hush2");
        assert_eq!(put(&mut archive(dir.path()), &changed), StoredKind::Changed);
    }
}
