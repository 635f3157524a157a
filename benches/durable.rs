//! Ways to make many small files durable: the system calls of `archive::files`, in its chunks of 32,
//! with the syncing done in different ways. See ADR 0004.
//!
//! `cargo bench --bench durable -- DIR [ROUNDS]`; the disk that counts is the one under DIR. The ways
//! take turns in another order each round, because a disk has its ups and downs.

use rustix::fs::syncfs;
use std::error::Error;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

const CHUNK: usize = 32;
const BYTES: usize = 5000;
const SIZES: [usize; 5] = [1, 10, 32, 100, 1000];

/// How a chunk of written files is synced.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// One after the other.
    OneByOne,
    /// `syncfs`, then one after the other: what the archive does from 8 files on.
    SyncfsFirst,
    /// On so many threads.
    Parallel(usize),
    /// `syncfs`, then on so many threads.
    SyncfsParallel(usize),
}

const WAYS: [Way; 6] = [
    Way::OneByOne,
    Way::SyncfsFirst,
    Way::Parallel(4),
    Way::Parallel(16),
    Way::Parallel(32),
    Way::SyncfsParallel(8),
];

fn written(dir: &Path, number: usize, bytes: &[u8]) -> io::Result<(File, PathBuf)> {
    let path = dir.join(format!(".{number}.part"));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    Ok((file, path))
}

fn sync(files: &[(File, PathBuf)], way: Way) -> io::Result<()> {
    let (first, threads) = match way {
        Way::OneByOne => (None, 1),
        Way::SyncfsFirst => (files.first(), 1),
        Way::Parallel(threads) => (None, threads),
        Way::SyncfsParallel(threads) => (files.first(), threads),
    };
    if let Some((file, _)) = first.filter(|_| files.len() >= 8) {
        syncfs(file)?;
    }
    let share = files.len().div_ceil(threads);
    if threads == 1 || files.len() == 1 {
        return files.iter().try_for_each(|(file, _)| file.sync_all());
    }
    thread::scope(|scope| {
        let threads: Vec<_> = files
            .chunks(share)
            .map(|part| scope.spawn(|| part.iter().try_for_each(|(file, _)| file.sync_all())))
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
        })
    })
}

fn store(dir: &Path, count: usize, way: Way) -> io::Result<Duration> {
    let bytes = vec![b'x'; BYTES];
    let began = Instant::now();
    let numbers: Vec<usize> = (0..count).collect();
    for chunk in numbers.chunks(CHUNK) {
        let files = chunk.iter().map(|number| written(dir, *number, &bytes));
        let files: Vec<_> = files.collect::<io::Result<_>>()?;
        sync(&files, way)?;
        for ((_, from), number) in files.iter().zip(chunk) {
            fs::rename(from, dir.join(format!("{number}.cfg")))?;
        }
    }
    File::open(dir)?.sync_all()?;
    Ok(began.elapsed())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"));
    // `cargo test --benches` names no folder; there is nothing to do then.
    let Some(dir) = args.next().map(PathBuf::from) else {
        return Ok(());
    };
    let rounds: usize = args.next().map_or(Ok(9), |text| text.parse())?;
    fs::create_dir_all(&dir)?;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{:>6} {:<22} {:>9} {:>9} {:>9}",
        "files", "way", "median", "least", "most"
    )?;
    for size in SIZES {
        let mut took: Vec<Vec<Duration>> = vec![Vec::new(); WAYS.len()];
        for round in 0..rounds {
            for turn in 0..WAYS.len() {
                let at = (round + turn * 5) % WAYS.len();
                let (Some(way), Some(took)) = (WAYS.get(at), took.get_mut(at)) else {
                    continue;
                };
                let folder = dir.join(format!("{size}-{round}-{at}"));
                fs::create_dir(&folder)?;
                took.push(store(&folder, size, *way)?);
            }
        }
        for (way, took) in WAYS.iter().zip(&mut took) {
            took.sort_unstable();
            let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
            let median = ms(took.get(took.len() / 2));
            let (least, most) = (ms(took.first()), ms(took.last()));
            let way = format!("{way:?}");
            writeln!(
                out,
                "{size:>6} {way:<22} {median:>6.1} ms {least:>6.1} ms {most:>6.1} ms"
            )?;
        }
    }
    drop(out);
    fs::remove_dir_all(&dir)?;
    Ok(())
}
