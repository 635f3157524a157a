//! From commits to versions: how the index is built, and brought up to date after a crash.

use super::super::ArchiveError;
use super::listing;
use super::message;
use super::paths::device_of_config;
use super::repo::{Repo, plain};
use crate::model::report::Lines;
use crate::model::version::Version;
use crate::text::diff::{Rules, all_lines, changed_lines};
use gix::objs::Kind;
use std::time::{Duration, SystemTime};

/// The commits after `from` up to `to`, oldest first, along first parents.
pub(super) enum Path {
    /// They follow `from`.
    After(Vec<gix::ObjectId>),
    /// The history does not lead to `from`: all commits.
    FromTheStart(Vec<gix::ObjectId>),
}

/// The commits that lead to `to`.
pub(super) fn path(
    repo: &Repo,
    from: Option<gix::ObjectId>,
    to: gix::ObjectId,
) -> Result<Path, ArchiveError> {
    let mut commits = Vec::new();
    let mut next = Some(to);
    while let Some(commit) = next {
        if Some(commit) == from {
            commits.reverse();
            return Ok(Path::After(commits));
        }
        commits.push(commit);
        next = parent_of(repo, commit)?;
    }
    commits.reverse();
    Ok(match from {
        None => Path::After(commits),
        Some(_) => Path::FromTheStart(commits),
    })
}

fn parent_of(repo: &Repo, commit: gix::ObjectId) -> Result<Option<gix::ObjectId>, ArchiveError> {
    let found = repo.git.find_commit(commit);
    let found = found.map_err(|error| repo.told("read a commit", &error))?;
    Ok(found.parent_ids().next().map(gix::Id::detach))
}

/// The versions that a commit brought, by path.
pub(super) fn versions(repo: &Repo, id: gix::ObjectId) -> Result<Vec<Version>, ArchiveError> {
    let git_failed = |error: gix::Error| repo.told("read a commit", &error);
    let commit = repo.git.find_commit(id).map_err(git_failed)?;
    let parent = commit.parent_ids().next().map(gix::Id::detach);
    let text = String::from_utf8_lossy(commit.message_raw_sloppy()).into_owned();
    let told = message::read(&text);
    let author = commit.author().map_err(git_failed)?.name.to_string();
    let at = moment(commit.time().map_err(git_failed)?.seconds);
    let mut versions = Vec::new();
    for (path, old, new) in listing::changes(repo, parent, id)? {
        let Some(device) = device_of_config(&path) else {
            continue;
        };
        let told = told.get(path.as_str());
        versions.push(Version {
            device,
            commit: plain(id),
            blob: plain(new),
            at,
            author: author.clone(),
            lines: match told {
                Some(told) => told.lines,
                None => lines_between(repo, old, new)?,
            },
            run: told.and_then(|told| told.run),
            path,
        });
    }
    versions.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(versions)
}

/// How much two contents differ; where there was none before, how many lines there are.
pub(super) fn lines_between(
    repo: &Repo,
    old: Option<gix::ObjectId>,
    new: gix::ObjectId,
) -> Result<Lines, ArchiveError> {
    let new = repo.need(new, Kind::Blob)?;
    match old {
        Some(old) => {
            let old = repo.need(old, Kind::Blob)?;
            Ok(changed_lines(&old, &new, Rules::default()))
        }
        None => Ok(all_lines(&new)),
    }
}

/// A commit's time; those before 1970 are somebody's joke.
fn moment(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}
