//! The journal: what is about to be stored, written down and synced before it is.
//!
//! A line per version, its fields parted by tabs, in a file of our own within the repository; and a
//! line with the commit that the branch is about to be moved to, so that a crash right after that is
//! told from one right before. A line without its end was never answered and counts for nothing. The
//! file is emptied once the versions are committed.

use super::super::ArchiveError;
use super::paths::device_of;
use super::pending::Pending;
use super::repo::failed;
use crate::model::durable::{Step, Watch};
use crate::model::report::Lines;
use crate::model::version::ObjectId;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Begins the line of a version; another form of it would get another word.
const STORED: &str = "stored-1";

/// Begins the line of a commit.
const COMMITTING: &str = "committing-1";

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Noted {
    /// This is about to be stored.
    Stored(Pending),
    /// All of the above is in this commit, and the branch is about to be moved to it.
    Committing(ObjectId),
}

/// The journal of an archive that is open for writing.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    watch: Arc<dyn Watch>,
    /// How much of it is whole lines.
    len: u64,
}

impl Journal {
    /// Opens the journal at `path`, made if need be, with what an interrupted run left in it.
    pub(super) fn open(
        path: &Path,
        watch: Arc<dyn Watch>,
    ) -> Result<(Self, Vec<Noted>), ArchiveError> {
        let io_failed = |error: io::Error| failed(path, "open the journal", &error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(io_failed)?;
        if let Some(folder) = path.parent() {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(io_failed)?;
        }
        let text = fs::read(path).map_err(io_failed)?;
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let left = parse(text.get(..whole).unwrap_or_default());
        file.set_len(whole as u64).map_err(io_failed)?;
        let journal = Self {
            path: path.to_owned(),
            file,
            watch,
            len: whole as u64,
        };
        Ok((journal, left))
    }

    /// Writes `versions` down; they are on the disk when it answers.
    pub(super) fn note<'a>(
        &mut self,
        versions: impl Iterator<Item = &'a Pending>,
    ) -> Result<(), ArchiveError> {
        self.append(&versions.map(line).collect::<String>())
    }

    /// Writes down that the branch is about to be moved to `commit`, which has all versions so far.
    pub(super) fn note_commit(&mut self, commit: &ObjectId) -> Result<(), ArchiveError> {
        self.append(&format!("{COMMITTING}\t{commit}\n"))
    }

    fn append(&mut self, text: &str) -> Result<(), ArchiveError> {
        if text.is_empty() {
            return Ok(());
        }
        self.file
            .seek(SeekFrom::Start(self.len))
            .and_then(|_| self.file.write_all(text.as_bytes()))
            .and_then(|()| {
                self.watch.passed(Step::JournalWritten);
                self.file.sync_data()
            })
            .map_err(|error| failed(&self.path, "write the journal", &error))?;
        self.len += text.len() as u64;
        Ok(())
    }

    /// Empties it. What was in it is committed, so that a line that comes back harms nobody.
    pub(super) fn settle(&mut self) -> Result<(), ArchiveError> {
        if self.len == 0 {
            return Ok(());
        }
        self.file
            .set_len(0)
            .map_err(|error| failed(&self.path, "empty the journal", &error))?;
        self.len = 0;
        Ok(())
    }
}

/// What the journal at `path` holds, for those who only read; nothing where there is none.
pub(super) fn read(path: &Path) -> Result<Vec<Noted>, ArchiveError> {
    match fs::read(path) {
        Ok(text) => Ok(parse(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(path, "read the journal", &error)),
    }
}

fn line(version: &Pending) -> String {
    let millis = |at: SystemTime| {
        let since = at.duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap_or_default().as_millis()
    };
    format!(
        "{STORED}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n",
        version.blob,
        millis(version.at),
        millis(version.run),
        version.lines.added,
        version.lines.removed,
        version.author.as_deref().unwrap_or_default(),
        version.path,
    )
}

fn parse(text: &[u8]) -> Vec<Noted> {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    lines
        .filter_map(|line| std::str::from_utf8(line.strip_suffix(b"\n")?).ok())
        .filter_map(parse_line)
        .collect()
}

fn parse_line(line: &str) -> Option<Noted> {
    let (word, rest) = line.split_once('\t')?;
    match word {
        STORED => parse_version(rest).map(Noted::Stored),
        COMMITTING => rest.parse().ok().map(Noted::Committing),
        _ => None,
    }
}

fn parse_version(line: &str) -> Option<Pending> {
    let mut fields = line.split('\t');
    let mut next = || fields.next();
    let moment = |field: &str| {
        let millis = Duration::from_millis(field.parse().ok()?);
        SystemTime::UNIX_EPOCH.checked_add(millis)
    };
    let blob = next()?.parse().ok()?;
    let at = moment(next()?)?;
    let run = moment(next()?)?;
    let added = next()?.parse().ok()?;
    let removed = next()?.parse().ok()?;
    let author = next()
        .filter(|author| !author.is_empty())
        .map(str::to_owned);
    let path = next()?.to_owned();
    let device = device_of(&path)?;
    Some(Pending {
        device,
        path,
        blob,
        author,
        lines: Lines { added, removed },
        at,
        run,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::DeviceName;
    use crate::model::durable::Unwatched;

    fn open(path: &Path) -> Result<(Journal, Vec<Noted>), ArchiveError> {
        Journal::open(path, Arc::new(Unwatched))
    }

    fn pending(name: &str) -> Pending {
        let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        Pending {
            device: DeviceName::new(name).unwrap(),
            path: format!("core/{name}.cfg"),
            blob: ObjectId::from_bytes([7; 20]),
            author: (name != "csr2").then(|| "an admin".to_owned()),
            lines: Lines {
                added: 3,
                removed: 1,
            },
            at: at(1_795_428_000_123),
            run: at(1_795_428_000_000),
        }
    }

    #[test]
    fn what_is_noted_is_there_after_a_crash() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, left) = open(&path).unwrap();
        assert!(left.is_empty());
        let all = [pending("csr1"), pending("csr2"), pending("zürich:1")];
        journal.note(all[..1].iter()).unwrap();
        journal.note(all[1..].iter()).unwrap();
        drop(journal);
        let (mut journal, left) = open(&path).unwrap();
        let mut wanted = all.clone().map(Noted::Stored).to_vec();
        assert_eq!(left, wanted);
        assert_eq!(read(&path).unwrap(), wanted);
        let commit = ObjectId::from_bytes([9; 20]);
        journal.note_commit(&commit).unwrap();
        wanted.push(Noted::Committing(commit));
        assert_eq!(read(&path).unwrap(), wanted);
        journal.settle().unwrap();
        journal.note(all[..1].iter()).unwrap();
        let (_, left) = open(&path).unwrap();
        assert_eq!(left, wanted[..1]);
    }

    #[test]
    fn a_torn_line_counts_for_nothing_and_is_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let whole = line(&pending("csr1"));
        for cut in 0..whole.len() {
            fs::write(&path, format!("{whole}{}", &whole[..cut])).unwrap();
            let (mut journal, left) = open(&path).unwrap();
            assert_eq!(left.len(), 1, "{cut}");
            journal.note([&pending("csr2")].into_iter()).unwrap();
            let wanted = [pending("csr1"), pending("csr2")].map(Noted::Stored);
            assert_eq!(read(&path).unwrap(), wanted);
        }
    }

    #[test]
    fn lines_of_others_are_left_out() {
        let text = format!(
            "\nstored-2\tx\nnonsense\ncommitting-1\tx\n{}",
            line(&pending("csr1"))
        );
        assert_eq!(parse(text.as_bytes()).len(), 1);
    }
}
