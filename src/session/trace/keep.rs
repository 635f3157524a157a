//! Keeping traces as files, within bounds.

use super::{Tape, Trace};
use crate::model::device::Device;
use crate::session::Clock;
use jiff::Timestamp;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

const SUFFIX: &str = "trace";

/// How many traces of one device may begin in the same millisecond.
const NAME_TRIES: usize = 16;

/// Which sessions leave a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptSessions {
    /// Those in which a stage failed.
    Failed,
    /// All.
    All,
}

/// Records sessions and keeps their traces.
#[derive(Debug, Clone)]
pub struct FlightRecorder {
    /// The folder, made at need.
    pub dir: PathBuf,
    /// Which sessions are kept.
    pub keep: KeptSessions,
    /// How many traces the folder may hold; the oldest go. `None`: as many as come.
    pub newest: Option<usize>,
    /// How many bytes of a session are recorded.
    pub limit: usize,
}

/// A session that is being recorded.
pub struct Recording {
    recorder: Arc<FlightRecorder>,
    device: Arc<Device>,
    tape: Tape,
    at: SystemTime,
}

impl FlightRecorder {
    /// Begins to record a session with `device`, which began at `at`.
    #[must_use]
    pub fn start(
        self: &Arc<Self>,
        device: &Arc<Device>,
        clock: Arc<dyn Clock>,
        at: SystemTime,
    ) -> Recording {
        Recording {
            recorder: Arc::clone(self),
            device: Arc::clone(device),
            tape: Tape::new(device, clock, self.limit),
            at,
        }
    }
}

impl Recording {
    /// The tape that listens.
    #[must_use]
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// Writes the trace, where it is to be kept, and says what the operator should know. A trace
    /// that cannot be written harms nobody else.
    #[must_use]
    pub fn finish(self) -> Option<String> {
        let failed = self.tape.has_failure();
        if self.recorder.keep == KeptSessions::Failed && !failed {
            return None;
        }
        let stamp = Timestamp::try_from(self.at).unwrap_or_default();
        let mut trace = self.tape.trace(&self.device);
        trace.comments = vec![
            format!(
                "recorded by wrmem {} at {}",
                env!("CARGO_PKG_VERSION"),
                stamp.strftime("%Y-%m-%dT%H:%M:%SZ")
            ),
            "secrets are stars, as many as they had bytes; names and addresses are as they were"
                .to_owned(),
            "`wrmem replay FILE` holds this session again, without the device".to_owned(),
        ];
        match self.recorder.write(&self.device, stamp, &trace) {
            Ok(path) if failed => Some(format!("trace of the session: {}", path.display())),
            Ok(_) => None,
            Err((path, error)) => Some(format!(
                "no trace of the session was kept: {}: {error}",
                path.display()
            )),
        }
    }
}

impl FlightRecorder {
    fn write(
        &self,
        device: &Device,
        at: Timestamp,
        trace: &Trace,
    ) -> Result<PathBuf, (PathBuf, io::Error)> {
        let in_dir = |error| (self.dir.clone(), error);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .map_err(in_dir)?;
        let stem = format!("{}.{}", device.name, at.strftime("%Y%m%dT%H%M%S.%3fZ"));
        let (mut file, path) = create(&self.dir, &stem).map_err(in_dir)?;
        if let Err(error) = file.write_all(trace.write().as_bytes()) {
            // Half a trace is none.
            let _ = fs::remove_file(&path);
            return Err((path, error));
        }
        self.drop_oldest();
        Ok(path)
    }

    /// Best effort: another session may be dropping the same ones.
    fn drop_oldest(&self) {
        let Some(newest) = self.newest else { return };
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let is_trace = |path: &Path| path.extension().is_some_and(|e| e == SUFFIX);
        let mut traces: Vec<(SystemTime, PathBuf)> = entries
            .filter(|entry| is_trace(&entry.path()))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        let too_many = traces.len().saturating_sub(newest);
        traces.sort();
        for (_, path) in traces.iter().take(too_many) {
            let _ = fs::remove_file(path);
        }
    }
}

fn create(dir: &Path, stem: &str) -> io::Result<(fs::File, PathBuf)> {
    let mut taken = io::Error::from(io::ErrorKind::AlreadyExists);
    for number in 0..NAME_TRIES {
        let name = match number {
            0 => format!("{stem}.{SUFFIX}"),
            _ => format!("{stem}-{number}.{SUFFIX}"),
        };
        let path = dir.join(name);
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        match made {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => taken = error,
            Err(error) => return Err(error),
        }
    }
    Err(taken)
}
