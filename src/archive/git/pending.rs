//! What is stored and waits to be committed, and which commits it becomes.

use crate::model::device::DeviceName;
use crate::model::report::Lines;
use crate::model::version::ObjectId;
use std::time::SystemTime;

/// A version that waits to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) device: DeviceName,
    pub(super) path: String,
    pub(super) blob: ObjectId,
    /// Who changed the config, where the device tells.
    pub(super) author: Option<String>,
    pub(super) lines: Lines,
    /// When it was read from the device.
    pub(super) at: SystemTime,
    /// When the run began that brought it.
    pub(super) run: SystemTime,
}

/// Puts versions together that become one commit: those of one author, in their order. A device's
/// second version comes into a later commit than its first.
pub(super) fn commits(pending: &[Pending]) -> Vec<Vec<&Pending>> {
    let mut commits: Vec<Vec<&Pending>> = Vec::new();
    for version in pending {
        let holds = |commit: &Vec<&Pending>| commit.iter().any(|other| other.path == version.path);
        let from = commits.iter().rposition(holds).map_or(0, |at| at + 1);
        let later = commits.iter_mut().skip(from);
        let fits = |commit: &&mut Vec<&Pending>| {
            commit
                .first()
                .is_some_and(|first| first.author == version.author)
        };
        match later.into_iter().find(fits) {
            Some(commit) => commit.push(version),
            None => commits.push(vec![version]),
        }
    }
    commits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(path: &str, blob: u8, author: Option<&str>) -> Pending {
        Pending {
            device: DeviceName::new(path).unwrap(),
            path: path.to_owned(),
            blob: ObjectId::from_bytes([blob; 20]),
            author: author.map(str::to_owned),
            lines: Lines::default(),
            at: SystemTime::UNIX_EPOCH,
            run: SystemTime::UNIX_EPOCH,
        }
    }

    fn grouped(pending: &[Pending]) -> Vec<Vec<String>> {
        let word = |version: &&Pending| format!("{}{}", version.path, version.blob.as_bytes()[0]);
        let commits = commits(pending);
        commits
            .iter()
            .map(|commit| commit.iter().map(word).collect())
            .collect()
    }

    #[test]
    fn one_commit_for_each_author() {
        let all = [
            pending("a", 1, None),
            pending("b", 1, Some("admin")),
            pending("c", 1, None),
            pending("d", 1, Some("eve")),
            pending("e", 1, Some("admin")),
        ];
        assert_eq!(
            grouped(&all),
            [vec!["a1", "c1"], vec!["b1", "e1"], vec!["d1"]]
        );
        assert!(grouped(&[]).is_empty());
    }

    #[test]
    fn no_version_of_a_device_is_lost_and_their_order_is_kept() {
        let all = [
            pending("a", 1, Some("admin")),
            pending("b", 1, None),
            pending("a", 2, Some("eve")),
            pending("a", 3, Some("admin")),
            pending("c", 1, Some("admin")),
        ];
        assert_eq!(
            grouped(&all),
            [vec!["a1", "c1"], vec!["b1"], vec!["a2"], vec!["a3"]]
        );
    }
}
