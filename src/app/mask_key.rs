//! The key of the masks that stand in place of secrets, kept in the state folder.

use crate::text::redact::Key;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Its file in the state folder: hexadecimal digits and a line feed.
const NAME: &str = "mask.key";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or made.
    #[error("{}: {source}; the state folder (state.dir) must be writable", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "{}: holds no key of {} hexadecimal digits; bring it back from a copy, or remove it: \
         the next run makes another, and every masked config then changes once",
        path.display(),
        2 * Key::BYTES
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
}

/// The key of the state folder `dir`, made at first need.
///
/// # Errors
/// When it cannot be read or made.
pub fn mask_key(dir: &Path) -> Result<Key, KeyError> {
    let path = dir.join(NAME);
    let failed = |source| KeyError::Io {
        path: path.clone(),
        source,
    };
    match File::open(&path) {
        Ok(file) => return read(&path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    make(dir, &path).map_err(failed)?;
    // Another process may have been faster: what is there now is the key.
    read(&path, File::open(&path).map_err(failed)?)
}

/// A key that is kept nowhere.
///
/// # Errors
/// When the system gives no random bytes.
pub fn passing_key() -> io::Result<Key> {
    let mut bytes = [0; Key::BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(Key::new(bytes))
}

fn read(path: &Path, file: File) -> Result<Key, KeyError> {
    let failed = |source| KeyError::Io {
        path: path.to_owned(),
        source,
    };
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        log::warn!(
            "{}: others than its owner can read it: whoever has it can guess masked secrets; \
             chmod 600, or remove it if it may have been read",
            path.display()
        );
    }
    let mut text = zeroize::Zeroizing::new(Vec::new());
    file.take(4096).read_to_end(&mut text).map_err(failed)?;
    parse(text.trim_ascii()).ok_or_else(|| KeyError::NoKey {
        path: path.to_owned(),
    })
}

fn parse(text: &[u8]) -> Option<Key> {
    let mut bytes = [0; Key::BYTES];
    if text.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.chunks(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(Key::new(bytes))
}

/// Makes the file, whole and durable, where there is none.
fn make(dir: &Path, path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    let key = passing_key()?;
    let temp = dir.join(format!(".{NAME}.{:016x}", fastrand::u64(..)));
    let made = fill(&temp, &key).and_then(|()| match fs::hard_link(&temp, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    // Whether it was linked or not, the name is of no more use.
    let _ = fs::remove_file(&temp);
    made?;
    File::open(dir)?.sync_all()
}

fn fill(path: &Path, key: &Key) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let digits = key.expose().iter().map(|byte| format!("{byte:02x}"));
    let line = zeroize::Zeroizing::new(digits.collect::<String>() + "\n");
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_its_owners() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let first = mask_key(&state).unwrap();
        assert_eq!(mask_key(&state).unwrap(), first);
        let names: Vec<_> = fs::read_dir(&state)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, [NAME], "nothing else is left");
        let mode = fs::metadata(state.join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = mask_key(&dir.path().join("other")).unwrap();
        assert_ne!(other, first);
    }

    #[test]
    fn whoever_comes_at_the_same_time_gets_the_same_key() {
        let dir = tempfile::tempdir().unwrap();
        let keys: Vec<Key> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| mask_key(dir.path()).unwrap()))
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_no_key_stays_and_is_told_without_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let digits = "0g".repeat(Key::BYTES);
        for content in ["", "planted", "00", digits.as_str()] {
            fs::write(&path, content).unwrap();
            let told = mask_key(dir.path()).unwrap_err().to_string();
            assert!(
                told.contains("mask.key") && told.contains("remove it"),
                "{told}"
            );
            assert!(!told.contains("planted"), "{told}");
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }
}
