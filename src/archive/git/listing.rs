//! The files of a commit: a folder and the folders in it, as wide as an archive's layout.

use super::super::ArchiveError;
use super::objects::Object;
use super::repo::{Repo, told};
use gix::bstr::{BString, ByteSlice as _};
use gix::objs::tree::{Entry, EntryKind};
use gix::objs::{Kind, Tree, TreeRefIter, WriteTo as _};
use std::collections::{BTreeMap, BTreeSet};

type Folder = BTreeMap<BString, Entry>;

/// All files of a commit. What others put there is kept.
#[derive(Clone, Default)]
pub(super) struct Listing {
    root: Folder,
    folders: BTreeMap<BString, Folder>,
    /// Folders that differ from those in the repository.
    touched: BTreeSet<BString>,
}

impl Listing {
    /// The files of a commit; none where there is no commit yet.
    pub(super) fn of(repo: &Repo, commit: Option<gix::ObjectId>) -> Result<Self, ArchiveError> {
        let Some(commit) = commit else {
            return Ok(Self::default());
        };
        let root = folder(repo, tree_of(repo, commit)?)?;
        let mut folders = BTreeMap::new();
        for (name, entry) in root.iter().filter(|(_, entry)| entry.mode.is_tree()) {
            folders.insert(name.clone(), folder(repo, entry.oid)?);
        }
        Ok(Self {
            root,
            folders,
            touched: BTreeSet::new(),
        })
    }

    /// The content of the file at `path`.
    pub(super) fn blob(&self, path: &str) -> Option<gix::ObjectId> {
        let (folder, name) = match path.split_once('/') {
            Some((folder, name)) => (self.folders.get(folder.as_bytes().as_bstr())?, name),
            None => (&self.root, path),
        };
        let entry = folder.get(name.as_bytes().as_bstr())?;
        entry.mode.is_blob().then_some(entry.oid)
    }

    /// Puts a file at `path`, in the place of whatever is there.
    pub(super) fn put(&mut self, path: &str, blob: gix::ObjectId) {
        let (folder, name) = match path.split_once('/') {
            Some((folder, name)) => {
                self.touched.insert(folder.into());
                (self.folders.entry(folder.into()).or_default(), name)
            }
            None => {
                self.folders.remove(path.as_bytes().as_bstr());
                (&mut self.root, path)
            }
        };
        let entry = Entry {
            mode: EntryKind::Blob.into(),
            filename: name.into(),
            oid: blob,
        };
        folder.insert(name.into(), entry);
    }

    /// The trees that differ from those in the repository, and the root's id.
    pub(super) fn trees(
        &mut self,
        repo: &Repo,
    ) -> Result<(gix::ObjectId, Vec<Object>), ArchiveError> {
        let mut objects = Vec::new();
        for name in std::mem::take(&mut self.touched) {
            let Some(folder) = self.folders.get(&name) else {
                continue;
            };
            let tree = tree(repo, folder)?;
            let entry = Entry {
                mode: EntryKind::Tree.into(),
                filename: name.clone(),
                oid: tree.id,
            };
            self.root.insert(name, entry);
            objects.push(tree);
        }
        let root = tree(repo, &self.root)?;
        let id = root.id;
        objects.push(root);
        Ok((id, objects))
    }
}

/// Files that `new` has and `old` has not, or not with that content: path, old and new content.
pub(super) type Changes = Vec<(String, Option<gix::ObjectId>, gix::ObjectId)>;

/// What a commit's files differ in from those of its first parent. Names that are no text are none
/// of ours and left out.
pub(super) fn changes(
    repo: &Repo,
    old: Option<gix::ObjectId>,
    new: gix::ObjectId,
) -> Result<Changes, ArchiveError> {
    let old = match old {
        Some(old) => folder(repo, tree_of(repo, old)?)?,
        None => Folder::new(),
    };
    let new = folder(repo, tree_of(repo, new)?)?;
    let mut found = Changes::new();
    for (name, entry) in &new {
        let before = old.get(name).filter(|before| before.mode == entry.mode);
        if before.is_some_and(|before| before.oid == entry.oid) {
            continue;
        }
        if entry.mode.is_tree() {
            let below = match before {
                Some(before) => folder(repo, before.oid)?,
                None => Folder::new(),
            };
            let inner = folder(repo, entry.oid)?;
            let prefix = format!("{name}/");
            collect(&prefix, &below, &inner, &mut found);
        } else {
            collect_one("", entry, before, &mut found);
        }
    }
    Ok(found)
}

fn collect(prefix: &str, old: &Folder, new: &Folder, found: &mut Changes) {
    for (name, entry) in new {
        let before = old.get(name).filter(|before| before.mode.is_blob());
        if before.is_none_or(|before| before.oid != entry.oid) {
            collect_one(prefix, entry, before, found);
        }
    }
}

fn collect_one(prefix: &str, entry: &Entry, before: Option<&Entry>, found: &mut Changes) {
    if let (true, Ok(name)) = (entry.mode.is_blob(), entry.filename.to_str()) {
        let before = before.map(|before| before.oid);
        found.push((format!("{prefix}{name}"), before, entry.oid));
    }
}

/// The tree of a commit.
pub(super) fn tree_of(repo: &Repo, commit: gix::ObjectId) -> Result<gix::ObjectId, ArchiveError> {
    let found = repo.git.find_commit(commit);
    let tree = found.and_then(|commit| commit.tree_id().map(gix::Id::detach));
    tree.map_err(|error| repo.told("read a commit", &error))
}

fn folder(repo: &Repo, tree: gix::ObjectId) -> Result<Folder, ArchiveError> {
    let bytes = repo.need(tree, Kind::Tree)?;
    TreeRefIter::from_bytes(&bytes, repo.git.object_hash())
        .map(|entry| {
            let entry = Entry::from(entry.map_err(|error| told(&repo.dir, "read a tree", &error))?);
            Ok((entry.filename.clone(), entry))
        })
        .collect()
}

fn tree(repo: &Repo, folder: &Folder) -> Result<Object, ArchiveError> {
    // git sorts folders as if their names ended in a slash.
    let mut entries: Vec<Entry> = folder.values().cloned().collect();
    entries.sort();
    let mut bytes = Vec::new();
    Tree { entries }
        .write_to(&mut bytes)
        .map_err(|error| repo.damaged(format!("a tree cannot be written: {error}")))?;
    Object::new(repo, Kind::Tree, bytes)
}
