//! Keeping a repository small: `git gc`, where git is installed, when enough has come together.
//!
//! gix writes contents whole; only git finds what they have in common. It runs in a process of its
//! own at the lowest priority, and nobody waits for it: what is written meanwhile is its own loose
//! object or pack, which `git gc` leaves alone. It removes nothing that it does not hold elsewhere
//! and on the disk, whether a commit refers to it or not.

use super::repo::{Repo, packs};
use rustix::process::{Pid, setpriority_process};
use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// So many packs are too many: each question looks into all of them.
const PACKS: usize = 40;

/// So many loose objects are too many, one file each.
const LOOSE: usize = 2_000;

/// So many commits later it is tried again after it failed.
const REST: u32 = 100;

/// What an ended `git gc` left half done is removed once it is older than that.
const LEFT: Duration = Duration::from_hours(24);

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path()))
}

/// The lowest priority there is.
const LOWEST: i32 = 19;

/// What `git gc` is told on top of the repository's own settings.
const SETTINGS: [&str; 4] = [
    // Whoever owns the folder, it is the one that the settings name.
    "safe.directory=*",
    // A content that waits for its commit is referred to by nothing yet, however old it is.
    "gc.pruneExpire=never",
    // Such contents too are on the disk before the pack goes that held them.
    "core.fsync=all",
    // The same for git before 2.36.
    "core.fsyncObjectFiles=true",
];

/// Packs a repository now and then.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    packing: Option<Child>,
    /// git is not there.
    hopeless: bool,
    /// So many commits are let go by.
    rest: u32,
}

impl Upkeep {
    /// Starts packing where it is time to and nobody packs yet. Trouble with it is told and harms
    /// nothing.
    pub(super) fn look(&mut self, repo: &Repo) {
        self.reap(repo);
        self.rest = self.rest.saturating_sub(1);
        if self.packing.is_some() || self.hopeless || self.rest > 0 || !is_untidy(repo) {
            return;
        }
        let dir = repo.dir.display();
        match gc(&repo.dir).spawn() {
            Ok(packing) => {
                log::info!("{dir}: `git gc` packs it in the background");
                lower(&packing);
                self.packing = Some(packing);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                log::debug!("{dir}: not packed, because git is not installed");
                self.hopeless = true;
            }
            Err(error) => self.give_up(repo, &error.to_string()),
        }
    }

    /// Takes notice of a process that has ended.
    pub(super) fn reap(&mut self, repo: &Repo) {
        let Some(packing) = &mut self.packing else {
            return;
        };
        match packing.try_wait() {
            Ok(None) => return,
            Ok(Some(ended)) if ended.success() => log::debug!("{}: packed", repo.dir.display()),
            Ok(Some(ended)) => self.give_up(repo, &ended.to_string()),
            Err(error) => self.give_up(repo, &error.to_string()),
        }
        self.packing = None;
    }

    /// Leaves it for a while.
    fn give_up(&mut self, repo: &Repo, why: &str) {
        self.rest = REST;
        log::warn!(
            "{0}: not packed ({why}); see what `git -C {0} gc` says. All works without it, but the \
             repository grows faster. It is tried again after {REST} commits",
            repo.dir.display()
        );
    }

    #[cfg(test)]
    pub(super) const fn is_well(&self) -> bool {
        !self.hopeless && self.rest == 0
    }

    /// Waits until nobody packs any more.
    #[cfg(test)]
    pub(super) fn wait(&mut self) -> Option<std::process::ExitStatus> {
        self.packing
            .take()
            .map(|mut packing| packing.wait().unwrap())
    }
}

/// A rough look that reads two folders: objects are spread evenly over 256 of them.
fn is_untidy(repo: &Repo) -> bool {
    let loose = 256 * entries(&repo.objects_folder().join("17")).count();
    packs(&repo.dir) > PACKS || loose > LOOSE
}

/// Removes the half-made packs of a `git gc` that was ended, which git itself does not: it is told
/// to remove nothing. `opened` is a file that was made a moment ago.
pub(super) fn sweep(repo: &Repo, opened: &Path) {
    let age = |path: &Path| fs::metadata(path).and_then(|found| found.modified());
    let Ok(now) = age(opened) else {
        return;
    };
    let is_left = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let is_half = name.starts_with(b"tmp_") || name.starts_with(b".tmp-");
        is_half && age(path).is_ok_and(|made| now.duration_since(made).is_ok_and(|age| age > LEFT))
    };
    let left = entries(&repo.objects_folder().join("pack")).filter(is_left);
    let swept = left.filter(|path| fs::remove_file(path).is_ok()).count();
    if swept > 0 {
        let dir = repo.dir.display();
        log::info!("{dir}: removed {swept} unfinished files of an interrupted `git gc`");
    }
}

/// `git gc` on the repository in `dir`, in a process group of its own: a signal that is meant for
/// wrmem does not end it, and if one does, git takes up what it left.
pub(super) fn gc(dir: &Path) -> Command {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"GIT_") {
            command.env_remove(name);
        }
    }
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    command
        .arg("-C")
        .arg(dir)
        .args(["gc", "--quiet"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    command
}

/// Before it has started any thread or process of its own, or nearly so.
fn lower(packing: &Child) {
    if let Err(error) = setpriority_process(Some(Pid::from_child(packing)), LOWEST) {
        log::debug!("`git gc` runs at the usual priority: {error}");
    }
}
