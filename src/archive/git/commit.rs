//! From versions that wait to commits on the branch.

use super::super::ArchiveError;
use super::branch::{self, Moved};
use super::listing::Listing;
use super::objects::{self, Object};
use super::pending::{self, Pending};
use super::repo::{native, plain};
use super::{GitArchive, Tip, WRMEM, message, paths};
use crate::model::durable::Step;
use crate::model::version::{ObjectId, Version};
use gix::objs::{Commit, Kind, WriteTo as _};
use std::time::{Duration, SystemTime};

/// Commits that are made and not yet written.
struct Made {
    listing: Listing,
    objects: Vec<Object>,
    ids: Vec<gix::ObjectId>,
    versions: Vec<Version>,
}

impl GitArchive {
    /// Makes the commits on top of the newest one; `None` where the branch was moved meanwhile.
    pub(super) fn try_commit(&mut self) -> Result<Option<Vec<ObjectId>>, ArchiveError> {
        if self.repo.tip()? != self.tip.commit {
            self.tip = Tip::read(&self.repo)?;
        }
        let made = self.make_commits()?;
        let Some(new) = made.ids.last().copied() else {
            self.settle();
            return Ok(Some(Vec::new()));
        };
        let steps = [Step::CommitsWritten, Step::CommitsSynced];
        objects::write(&self.repo, &made.objects, self.watch.as_ref(), steps)?;
        self.journal.note_commit(&plain(new))?;
        self.passed(Step::CommitsNoted);
        let old = self.tip.commit;
        if branch::advance(&self.repo, old, new, self.watch.as_ref())? == Moved::ByOthers {
            return Ok(None);
        }
        self.tip = Tip {
            commit: Some(new),
            listing: made.listing,
        };
        // The index can be built from the repository at any time: no reason to fail.
        if let Err(error) = self.list(old, &made.versions, new) {
            log::warn!("the index of versions is behind until the next run: {error}");
        }
        self.passed(Step::Indexed);
        self.settle();
        self.upkeep.look(&self.repo);
        if let Err(error) = self.repo.make_room() {
            log::warn!("{error}");
        }
        Ok(Some(made.ids.into_iter().map(plain).collect()))
    }

    pub(super) fn settle(&mut self) {
        self.pending.clear();
        // What is committed already is left out when it is found again.
        if let Err(error) = self.journal.settle() {
            log::warn!("{error}");
        }
        self.passed(Step::Settled);
    }

    /// Lists the versions of the commits from `old` to `new`.
    fn list(
        &mut self,
        old: Option<gix::ObjectId>,
        versions: &[Version],
        new: gix::ObjectId,
    ) -> Result<(), ArchiveError> {
        if self.index.head()? == old.map(plain) {
            self.index.extend(versions, plain(new))
        } else {
            self.catch_up()
        }
    }

    fn make_commits(&self) -> Result<Made, ArchiveError> {
        let mut made = Made {
            listing: self.tip.listing.clone(),
            objects: Vec::new(),
            ids: Vec::new(),
            versions: Vec::new(),
        };
        let mut parent = self.tip.commit;
        for versions in pending::commits(&self.pending) {
            let news = |version: &&&Pending| {
                made.listing.blob(&version.path) != Some(native(&version.blob))
            };
            let versions: Vec<&Pending> = versions.iter().filter(news).copied().collect();
            let Some(at) = versions.iter().map(|version| version.at).max() else {
                continue;
            };
            for version in &versions {
                made.listing.put(&version.path, native(&version.blob));
            }
            let (tree, trees) = made.listing.trees(&self.repo)?;
            made.objects.extend(trees);
            let commit = self.commit_object(&versions, tree, parent, at)?;
            let id = commit.id;
            made.objects.push(commit);
            made.ids.push(id);
            made.versions.extend(listed(&versions, id, at));
            parent = Some(id);
        }
        Ok(made)
    }

    fn commit_object(
        &self,
        versions: &[&Pending],
        tree: gix::ObjectId,
        parent: Option<gix::ObjectId>,
        at: SystemTime,
    ) -> Result<Object, ArchiveError> {
        let author = versions
            .first()
            .and_then(|version| version.author.as_deref());
        let commit = Commit {
            tree,
            parents: parent.into_iter().collect(),
            author: signature(author.unwrap_or(WRMEM), at),
            committer: signature(WRMEM, at),
            encoding: None,
            message: message::write(versions).into(),
            extra_headers: Vec::new(),
        };
        let mut bytes = Vec::new();
        commit.write_to(&mut bytes).map_err(|error| {
            self.repo
                .damaged(format!("a commit cannot be written: {error}"))
        })?;
        Object::new(&self.repo, Kind::Commit, bytes)
    }
}

/// As the index lists them.
fn listed(versions: &[&Pending], commit: gix::ObjectId, at: SystemTime) -> Vec<Version> {
    let seconds = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let configs = versions
        .iter()
        .filter(|version| paths::device_of_config(&version.path).is_some());
    let listed = configs.map(|version| Version {
        device: version.device.clone(),
        path: version.path.clone(),
        commit: plain(commit),
        blob: version.blob,
        at,
        author: version.author.clone().unwrap_or_else(|| WRMEM.to_owned()),
        lines: version.lines,
        run: Some(version.run),
    });
    let mut listed: Vec<Version> = listed.collect();
    listed.sort_by(|a, b| a.path.cmp(&b.path));
    listed
}

/// Who did something, and when by the clock on this machine's wall.
fn signature(name: &str, at: SystemTime) -> gix::actor::Signature {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or_default();
    let zone = jiff::tz::TimeZone::system();
    let offset = jiff::Timestamp::from_second(seconds).map_or(0, |at| zone.to_offset(at).seconds());
    gix::actor::Signature {
        name: name.into(),
        email: format!("{name}@localhost").into(),
        time: gix::date::Time::new(seconds, offset),
    }
}
