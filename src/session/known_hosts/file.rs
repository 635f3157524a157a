//! The `known_hosts` file on disk, shared with other processes under a lock.

use super::line::{Line, Standing, host_label, without};
use super::{HostKey, KnownHostsError, Store};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// No honest file is larger: some 500,000 keys.
const MAX_BYTES: u64 = 64 << 20;

/// Reads the file; one that is not there is empty.
pub(super) fn read(path: &Path) -> Result<String, KnownHostsError> {
    let failed = |error| KnownHostsError::new("read", path, error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        let why = format!("it has more than {MAX_BYTES} bytes");
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, why)));
    }
    // Comments may be in any encoding; a damaged key is reported by its line.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Appends what the file does not have yet, durably.
pub(super) fn append(path: &Path, news: &[(String, HostKey)]) -> Result<(), KnownHostsError> {
    if news.is_empty() {
        return Ok(());
    }
    let failed = |error| KnownHostsError::new("write", path, error);
    let _lock = lock(path)?;
    let present = read(path)?;
    let known = Store::read(&present, |_, _| {});
    let mut added = String::new();
    if !present.is_empty() && !present.ends_with('\n') {
        // Somebody's last line, or our own cut short by a crash.
        added.push('\n');
    }
    let before = added.len();
    for (label, key) in news {
        if !known.known(label).contains(key) {
            added.push_str(&Line::text(label, key));
        }
    }
    if added.len() == before {
        return Ok(());
    }
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(added.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    sync_folder(path).map_err(failed)
}

/// Takes everything trusted about a host out of the file, durably.
pub(super) fn remove(path: &Path, host: &str, port: u16) -> Result<(), KnownHostsError> {
    let failed = |error| KnownHostsError::new("write", path, error);
    let label = host_label(host, port);
    let _lock = lock(path)?;
    let before = read(path)?;
    let mut after = String::with_capacity(before.len());
    for text in before.lines() {
        let line = Line::parse(text).ok().flatten();
        let about =
            line.filter(|line| line.standing == Standing::Trusted && line.hosts.matches(&label));
        let kept = match about {
            Some(line) => without(text, &line, &label),
            None => Some(text.to_owned()),
        };
        if let Some(kept) = kept {
            after.push_str(&kept);
            after.push('\n');
        }
    }
    if after == before {
        return Ok(());
    }
    // Through a link the file itself is replaced, not the link.
    let target = fs::canonicalize(path).map_err(failed)?;
    let mut temp = tempfile::NamedTempFile::new_in(folder_of(&target)).map_err(failed)?;
    temp.write_all(after.as_bytes()).map_err(failed)?;
    temp.as_file().sync_all().map_err(failed)?;
    temp.persist(&target).map_err(|error| failed(error.error))?;
    sync_folder(&target).map_err(failed)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// The lock is a file beside it, because the file itself may be replaced. It ends with the handle.
fn lock(path: &Path) -> Result<File, KnownHostsError> {
    let failed = |error| KnownHostsError::new("lock", path, error);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder_of(path))
        .map_err(failed)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(PathBuf::from(name))
        .map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}
