//! Writes a report file whole or not at all.

use std::fs::{self, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A report file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the report {}: {source}; choose a path that can be written", path.display())]
pub struct ReportFileError {
    /// The file that was asked for.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Writes a text to `path`, whole or not at all.
///
/// # Errors
/// When the file cannot be written; names it.
pub fn write_text(path: &Path, text: &str) -> Result<(), ReportFileError> {
    write_whole(path, |out| out.write_all(text.as_bytes()))
}

/// Writes what `fill` gives to `path`: to a temporary file beside it that then takes its place,
/// readable as the umask allows, since reports hold no secrets. A path that is there but is no
/// regular file, such as `/dev/stdout` or a pipe, is written to directly.
pub(super) fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), ReportFileError> {
    let written = match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => write_through(path, fill),
        // A link stays a link: what it points at is replaced.
        Ok(_) => fs::canonicalize(path).and_then(|target| replace(&target, fill)),
        Err(_) => replace(path, fill),
    };
    written.map_err(|source| ReportFileError {
        path: path.to_owned(),
        source,
    })
}

fn write_through(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::new(fs::OpenOptions::new().write(true).open(path)?);
    fill(&mut out)?;
    out.flush()
}

fn replace(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let file = tempfile::Builder::new()
        .prefix(".wrmem-report-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    let mut out = BufWriter::new(file);
    fill(&mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_alone() {
        let folder = tempfile::tempdir().expect("made");
        let path = folder.path().join("report.json");
        write_whole(&path, |out| out.write_all(b"old")).expect("written");
        let failed = write_whole(&path, |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("disk on fire"))
        });
        let message = failed.expect_err("fails").to_string();
        assert!(message.contains("report.json: disk on fire"), "{message}");
        assert_eq!(fs::read(&path).expect("read"), b"old");
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 1);
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().expect("made");
        let target = folder.path().join("target");
        let link = folder.path().join("link");
        fs::write(&target, "old").expect("written");
        std::os::unix::fs::symlink(&target, &link).expect("linked");
        write_whole(&link, |out| out.write_all(b"new")).expect("written");
        assert_eq!(fs::read(&target).expect("read"), b"new");
        assert!(link.is_symlink());
    }

    #[test]
    fn a_device_file_is_written_to_and_not_replaced() {
        write_whole(Path::new("/dev/null"), |out| out.write_all(b"gone")).expect("written");
        assert!(!fs::metadata("/dev/null").expect("there").is_file());
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = write_whole(Path::new("/nonexistent/x.json"), |_| Ok(()));
        let message = error.expect_err("fails").to_string();
        assert!(message.contains("/nonexistent/x.json"), "{message}");
    }
}
