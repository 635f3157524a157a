//! What the control groups (v1 and v2) around this process allow.

use std::fs;
use std::path::{Path, PathBuf};

/// An upper bound and how much of it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The bound.
    pub allowed: u64,
    /// What is taken.
    pub in_use: u64,
}

impl Bound {
    /// What is left.
    #[must_use]
    pub const fn free(self) -> u64 {
        self.allowed.saturating_sub(self.in_use)
    }
}

/// The tightest bound on processes and threads, if there is one. `root` is `/` but in tests.
pub(super) fn tasks(root: &Path) -> Option<Bound> {
    let bounds = folders(root, "pids").into_iter().filter_map(|folder| {
        Some(Bound {
            allowed: number(&folder.join("pids.max"))?,
            in_use: number(&folder.join("pids.current"))?,
        })
    });
    bounds.min_by_key(|bound| bound.free())
}

/// The tightest bound on memory in bytes, if there is one. File cache that can go counts as free.
pub(super) fn memory(root: &Path) -> Option<Bound> {
    let bounds = folders(root, "memory").into_iter().filter_map(|folder| {
        let v2 = memory_of(&folder, "memory.max", "memory.current", "inactive_file");
        v2.or_else(|| {
            memory_of(
                &folder,
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file",
            )
        })
    });
    bounds.min_by_key(|bound| bound.free())
}

fn memory_of(folder: &Path, max: &str, current: &str, cache: &str) -> Option<Bound> {
    let allowed = number(&folder.join(max))?;
    let taken = number(&folder.join(current))?;
    let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let cache = stat.lines().find_map(|line| {
        let (key, value) = line.split_once(' ')?;
        (key == cache).then(|| value.parse().ok()).flatten()
    });
    Some(Bound {
        allowed,
        in_use: taken.saturating_sub(cache.unwrap_or(0)),
    })
}

/// The group of this process for `controller` and all groups above it.
fn folders(root: &Path, controller: &str) -> Vec<PathBuf> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mounts = root.join("sys/fs/cgroup");
    let mut folders = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else {
            continue;
        };
        let mount = if controllers.is_empty() {
            mounts.clone()
        } else if controllers.split(',').any(|name| name == controller) {
            mounts.join(controllers)
        } else {
            continue;
        };
        let above = Path::new(group.trim_start_matches('/')).ancestors();
        folders.extend(above.map(|group| mount.join(group)));
    }
    folders
}

/// The number in a file; `None` where there is none, as for `max`.
pub(super) fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_tightest_group_above_counts() {
        let root = machine(&[
            ("proc/self/cgroup", "0::/system.slice/wrmem.service\n"),
            ("sys/fs/cgroup/system.slice/wrmem.service/pids.max", "max\n"),
            (
                "sys/fs/cgroup/system.slice/wrmem.service/pids.current",
                "3\n",
            ),
            ("sys/fs/cgroup/system.slice/pids.max", "100\n"),
            ("sys/fs/cgroup/system.slice/pids.current", "40\n"),
            ("sys/fs/cgroup/system.slice/memory.max", "5000\n"),
            ("sys/fs/cgroup/system.slice/memory.current", "3000\n"),
            (
                "sys/fs/cgroup/system.slice/memory.stat",
                "anon 1\ninactive_file 1000\n",
            ),
        ]);
        let tasks = tasks(root.path()).unwrap();
        assert_eq!((tasks.allowed, tasks.in_use), (100, 40));
        assert_eq!(memory(root.path()).unwrap().free(), 3000);
    }

    #[test]
    fn version_one_has_a_folder_per_controller() {
        let root = machine(&[
            (
                "proc/self/cgroup",
                "8:pids:/job\n4:memory:/job\n3:cpu,cpuacct:/\n0::/\n",
            ),
            ("sys/fs/cgroup/pids/job/pids.max", "64\n"),
            ("sys/fs/cgroup/pids/job/pids.current", "4\n"),
            ("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "900\n"),
            ("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "300\n"),
        ]);
        assert_eq!(tasks(root.path()).unwrap().free(), 60);
        assert_eq!(memory(root.path()).unwrap().free(), 600);
    }

    #[test]
    fn no_groups_no_bound() {
        let root = machine(&[("proc/self/cgroup", "nonsense\n0::/\n")]);
        assert_eq!(tasks(root.path()), None);
        assert_eq!(memory(root.path()), None);
    }
}
