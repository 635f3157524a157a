//! Stores the configs of some runs as Oxidized does: for each device that changed, the repository is
//! opened, the whole index written, and one commit made. Prints the seconds of each run.
//!
//! usage: oxidized-way REPOSITORY INPUTS [fsync]

use git2::{IndexEntry, IndexTime, Repository, Signature};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

fn sorted(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

fn store(repository: &Path, name: &str, data: &[u8]) -> Result<(), Box<dyn Error>> {
    let repo = Repository::open(repository)?;
    let head = repo.head().ok().and_then(|head| head.peel_to_commit().ok());
    let held = head.as_ref().and_then(|head| {
        let entry = head.tree().ok()?.get_path(Path::new(name)).ok()?;
        repo.find_blob(entry.id()).ok()
    });
    if held.is_some_and(|held| held.content() == data) {
        return Ok(());
    }
    let blob = repo.blob(data)?;
    let mut index = repo.index()?;
    index.add(&IndexEntry {
        ctime: IndexTime::new(0, 0),
        mtime: IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode: 0o100_644,
        uid: 0,
        gid: 0,
        file_size: 0,
        id: blob,
        flags: 0,
        flags_extended: 0,
        path: name.as_bytes().to_vec(),
    })?;
    let tree = repo.find_tree(index.write_tree()?)?;
    let who = Signature::now("Oxidized", "o@example.com")?;
    let parents: Vec<_> = head.iter().collect();
    repo.commit(
        Some("HEAD"),
        &who,
        &who,
        &format!("update {name}"),
        &tree,
        &parents,
    )?;
    index.write()?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, repository, inputs, options @ ..] = args.as_slice() else {
        return Err("usage: oxidized-way REPOSITORY INPUTS [fsync]".into());
    };
    let repository = Path::new(repository);
    let repo = Repository::init_bare(repository)?;
    if options.iter().any(|option| option == "fsync") {
        repo.config()?.set_bool("core.fsyncObjectFiles", true)?;
    }
    for folder in sorted(Path::new(inputs))? {
        let mut configs = Vec::new();
        for file in sorted(&folder)? {
            let name = file
                .file_name()
                .and_then(|name| name.to_str())
                .ok_or("no name")?;
            configs.push((name.to_owned(), fs::read(&file)?));
        }
        let begun = Instant::now();
        for (name, data) in &configs {
            store(repository, name, data)?;
        }
        println!("{:.6}", begun.elapsed().as_secs_f64());
    }
    Ok(())
}
