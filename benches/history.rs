//! The git archive at the size that years bring: makes a repository and measures storing into it.
//! `benches/history.py` runs it and measures the questions.
//!
//! usage: history generate DIR DEVICES VERSIONS   a repository and a settings folder for it
//!        history inputs DIR DEVICES RUNS         the configs of some runs, as files
//!        history store DIR INPUTS                stores them; prints the seconds of each run

#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement: it prints, and a panic ends it as well as an error"
)]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use wrmem::app::archive;
use wrmem::archive::{Archive, Put};
use wrmem::lab::{FolderOptions, LabSpec, plan, write_settings};
use wrmem::model::config::{Config, Proof};
use wrmem::model::device::DeviceName;
use wrmem::model::platform::Platform;
use wrmem::settings::{Source, load, platforms};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Who changes configs; each run has one.
const USERS: [&str; 3] = ["ann", "ben", "eve"];

/// A device's config, as it changes from run to run.
struct Router {
    name: DeviceName,
    lines: Vec<String>,
    rng: fastrand::Rng,
}

impl Router {
    fn fleet(devices: usize) -> Result<Vec<Self>> {
        let spec = LabSpec {
            devices,
            config_bytes: 8 << 10,
            ..LabSpec::default()
        };
        let router = |(number, device): (usize, &wrmem::lab::LabDevice)| -> Result<Self> {
            let text = String::from_utf8(device.expected().to_vec())?;
            Ok(Self {
                name: DeviceName::new(device.name())?,
                lines: text.lines().map(str::to_owned).collect(),
                rng: fastrand::Rng::with_seed(number as u64),
            })
        };
        plan(&spec)?.iter().enumerate().map(router).collect()
    }

    /// The usual change: a few lines somewhere, now and then one more, and who did it.
    fn change(&mut self, run: usize) {
        let user = USERS[run % USERS.len()];
        for line in &mut self.lines {
            if line.starts_with("! Last configuration change") {
                *line = format!("! Last configuration change at run {run} by {user}");
            }
        }
        let described: Vec<usize> = (0..self.lines.len())
            .filter(|at| self.lines[*at].starts_with(" description"))
            .collect();
        for _ in 0..self.rng.usize(1..4) {
            let at = described[self.rng.usize(..described.len())];
            self.lines[at] = format!(" description link {run} to {}", self.rng.u32(..));
        }
        let last = self.lines.len() - 1;
        let octet = self.rng.u8(1..255);
        let line = format!("ip route 10.{}.{octet}.0 255.255.255.0 Null0", run % 250);
        if self.rng.u8(..) < 32 {
            self.lines.insert(last, line);
        } else {
            let at = self.rng.usize(self.lines.len() / 2..last);
            if self.lines[at].starts_with("ip route") {
                self.lines[at] = line;
            }
        }
    }

    fn text(&self) -> String {
        let mut text = self.lines.join("\n");
        text.push('\n');
        text
    }

    fn put(&self, platform: &Arc<Platform>, at: SystemTime) -> Put {
        put(&self.name, self.text().into_bytes(), platform, at)
    }
}

fn put(name: &DeviceName, bytes: Vec<u8>, platform: &Arc<Platform>, at: SystemTime) -> Put {
    Put {
        device: name.clone(),
        group: None,
        platform: Arc::clone(platform),
        config: Config::proven(bytes, Proof::ByteCount),
        info: None,
        taken: at,
        run: at,
    }
}

/// A settings folder in `dir`, and the archive that it describes.
fn open(dir: &Path, devices: usize) -> Result<Box<dyn Archive>> {
    fs::create_dir_all(dir)?;
    let spec = LabSpec {
        devices,
        ..LabSpec::default()
    };
    write_settings(dir, &plan(&spec)?, &FolderOptions::default())?;
    let file = dir.join("settings/wrmem.toml");
    let text = fs::read_to_string(&file)?;
    let text = text.replace("[archive]", "[archive]\nkinds = [\"git\"]");
    fs::write(&file, text)?;
    let source = Source {
        dir: dir.join("settings"),
        env: Vec::new(),
        flags: Vec::new(),
    };
    let loaded = load(&source).map_err(|faults| faults.to_string())?;
    Ok(archive::open(&loaded.settings)?)
}

fn ios() -> Result<Arc<Platform>> {
    let all = platforms::load(None).map_err(|_| "the platforms are not sound")?;
    Ok(all.get("cisco_ios").cloned().ok_or("no cisco_ios")?)
}

/// Stores a run; the time it took until it was durable, and until it was committed.
fn store(archive: &mut dyn Archive, puts: &[Put]) -> Result<(Duration, Duration)> {
    let begun = Instant::now();
    for chunk in puts.chunks(1024) {
        for result in archive.put(chunk) {
            result?;
        }
    }
    let durable = begun.elapsed();
    archive.commit()?;
    Ok((durable, begun.elapsed()))
}

fn generate(dir: &Path, devices: usize, versions: usize) -> Result<()> {
    let platform = ios()?;
    let mut fleet = Router::fleet(devices)?;
    let mut archive = open(dir, devices)?;
    // A version every six hours.
    let first = SystemTime::now() - Duration::from_secs(21_600 * versions as u64);
    let begun = Instant::now();
    for run in 0..versions {
        let at = first + Duration::from_secs(21_600 * run as u64);
        for router in &mut fleet {
            router.change(run);
        }
        let puts: Vec<Put> = fleet
            .iter()
            .map(|router| router.put(&platform, at))
            .collect();
        store(archive.as_mut(), &puts)?;
        if (run + 1) % 50 == 0 {
            println!(
                "{} versions in {:.0} s",
                run + 1,
                begun.elapsed().as_secs_f64()
            );
        }
    }
    Ok(())
}

fn inputs(dir: &Path, devices: usize, runs: usize) -> Result<()> {
    let mut fleet = Router::fleet(devices)?;
    for run in 0..runs {
        let folder = dir.join(format!("{run:03}"));
        fs::create_dir_all(&folder)?;
        for router in &mut fleet {
            router.change(run);
            fs::write(folder.join(format!("{}.cfg", router.name)), router.text())?;
        }
    }
    Ok(())
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

fn store_inputs(dir: &Path, inputs: &Path) -> Result<()> {
    let platform = ios()?;
    let mut archive = open(dir, 1)?;
    for folder in sorted(inputs)? {
        let mut puts = Vec::new();
        for file in sorted(&folder)? {
            let name = file
                .file_stem()
                .and_then(|stem| stem.to_str())
                .ok_or("no name")?;
            let name = DeviceName::new(name)?;
            puts.push(put(&name, fs::read(&file)?, &platform, SystemTime::now()));
        }
        let (durable, committed) = store(archive.as_mut(), &puts)?;
        println!(
            "{:.6} {:.6}",
            durable.as_secs_f64(),
            committed.as_secs_f64()
        );
    }
    Ok(())
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["generate", dir, devices, versions] => {
            generate(Path::new(dir), devices.parse()?, versions.parse()?)
        }
        ["inputs", dir, devices, runs] => inputs(Path::new(dir), devices.parse()?, runs.parse()?),
        ["store", dir, from] => store_inputs(Path::new(dir), Path::new(from)),
        _ => {
            println!("usage: see the head of benches/history.rs");
            Ok(())
        }
    }
}
