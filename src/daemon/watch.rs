//! Notices when files of the settings folder have changed.
//!
//! Editors and deployment tools do not write into files but put new ones in their place, so folders
//! are watched: the settings folder with those below it, and for itself the one it is in. A change is
//! told once it has been quiet for a while, and only if the content is another one.

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

/// How long nothing must have happened.
const QUIET: Duration = Duration::from_millis(500);

/// After this time a change is told even if there is no quiet.
const AT_MOST: Duration = Duration::from_secs(10);

/// Watches the settings folder `dir` for as long as somebody listens to `changed`, which is told
/// whenever its content has become another one.
pub(super) async fn watch(dir: PathBuf, changed: mpsc::Sender<()>) {
    // One event is as good as many.
    let (happened, mut events) = mpsc::channel(1);
    let mut seen = fingerprint(&dir);
    let mut watcher = match start(&dir, happened.clone()) {
        Ok(watcher) => watcher,
        Err(error) => {
            log::warn!(
                "{} is not watched for changes: {error}; after a change: wrmem reload, or SIGHUP",
                dir.display()
            );
            return;
        }
    };
    while events.recv().await.is_some() {
        settle(&mut events).await;
        let now = fingerprint(&dir);
        if now == seen {
            continue;
        }
        seen = now;
        // The folder itself may be another one by now.
        match start(&dir, happened.clone()) {
            Ok(again) => watcher = again,
            Err(error) => log::warn!("{} is not watched any more: {error}", dir.display()),
        }
        if changed.send(()).await.is_err() {
            break;
        }
    }
    drop(watcher);
}

/// Waits until it is quiet.
async fn settle(events: &mut mpsc::Receiver<()>) {
    let end = Instant::now() + AT_MOST;
    loop {
        tokio::select! {
            () = sleep_until(end) => return,
            event = timeout(QUIET, events.recv()) => if event.is_err() {
                return;
            },
        }
    }
}

fn start(dir: &Path, happened: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let dir = std::path::absolute(dir)?;
    let own = dir.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        let matters = event.map_or(true, |event| {
            let within = event.paths.iter().any(|path| path.starts_with(&own));
            event.need_rescan() || (within && !event.kind.is_access())
        });
        if matters {
            // Where one is waiting already, it stands for this one too.
            let _ = happened.try_send(());
        }
    })?;
    watcher.watch(&dir, RecursiveMode::Recursive)?;
    if let Some(parent) = dir.parent() {
        watcher.watch(parent, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// What the settings files say, as a digest: of their content, or of the reason why there is none.
fn fingerprint(dir: &Path) -> [u8; 32] {
    let mut digest = Sha256::new();
    for folder in [dir.to_owned(), dir.join("platforms")] {
        let mut files = settings_files(&folder).unwrap_or_default();
        files.sort_unstable();
        for file in files {
            digest.update(file.as_os_str().as_encoded_bytes());
            match fs::read(&file) {
                Ok(content) => {
                    digest.update((content.len() as u64).to_be_bytes());
                    digest.update(content);
                }
                Err(error) => digest.update(error.to_string()),
            }
        }
    }
    digest.finalize().into()
}

fn settings_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("toml" | "csv")) {
            files.push(path);
        }
    }
    Ok(files)
}
