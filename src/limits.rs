//! What this machine allows: threads, open files, memory, and how many devices at once that is.

mod cgroup;

pub use cgroup::Bound;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fmt;
use std::fs;
use std::path::Path;

/// Memory areas of one thread: its stack, its signal stack, and a guard page for each. Past
/// `max_map_count` the standard library aborts instead of returning an error.
const MAPS_PER_THREAD: u64 = 4;

/// Of a thread limit so many per cent are used at most: threads that end overlap with new ones.
const THREADS_PERCENT: u64 = 80;

/// Open files for everything but devices: logs, archive, locks, runtime.
const FILES_RESERVE: u64 = 64;

/// What one session with its thread takes, rounded up (measured by `benches/memory.py`).
const BYTES_PER_DEVICE: u64 = 130 * 1000;

/// Of the free memory so many per cent are for sessions; the rest is for the configs.
const MEMORY_PERCENT: u64 = 75;

/// Something of which a machine has only so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `RLIMIT_NOFILE`, soft.
    OpenFiles,
    /// `vm.max_map_count`.
    MemoryMaps,
    /// `kernel.pid_max`.
    PidMax,
    /// `kernel.threads-max`.
    ThreadsMax,
    /// `RLIMIT_NPROC`, soft.
    UserProcesses,
    /// `pids.max` of a control group.
    GroupTasks,
    /// Free memory of the machine or of a control group.
    Memory,
}

impl Limit {
    /// What it is called where it is set.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenFiles => "open files (ulimit -n, LimitNOFILE)",
            Self::MemoryMaps => "memory maps (sysctl vm.max_map_count)",
            Self::PidMax => "process ids (sysctl kernel.pid_max)",
            Self::ThreadsMax => "threads (sysctl kernel.threads-max)",
            Self::UserProcesses => "processes of the user (ulimit -u, LimitNPROC)",
            Self::GroupTasks => "tasks of the control group (pids.max, TasksMax)",
            Self::Memory => "free memory (memory.max, MemoryMax)",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The limits as read; `None` is no limit, or none that can be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MachineLimits {
    /// Soft limit of open files.
    pub open_files: Option<u64>,
    /// How far the soft limit can be raised.
    pub open_files_hard: Option<u64>,
    /// Most memory areas of a process.
    pub max_map_count: Option<u64>,
    /// Highest process id.
    pub pid_max: Option<u64>,
    /// Most threads of the system.
    pub threads_max: Option<u64>,
    /// Most threads of this user, soft limit.
    pub user_processes: Option<u64>,
    /// Most tasks of the tightest control group.
    pub group_tasks: Option<Bound>,
    /// Bytes that can be had, of the machine or the tightest control group.
    pub memory_available: Option<u64>,
    /// Threads of the whole system now.
    pub threads_in_use: u64,
    /// Threads of this process now.
    pub own_threads: u64,
    /// Processors this process may use.
    pub cpus: usize,
}

/// One limit and what it means for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Which limit.
    pub limit: Limit,
    /// Its value: files, maps, threads or bytes; `None` is no limit.
    pub value: Option<u64>,
    /// How many devices at once it allows; `None` is any number.
    pub devices: Option<u64>,
}

/// The most devices at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// How many; at least 1.
    pub devices: usize,
    /// What allows no more; `None` where nothing limits.
    pub tightest: Option<Limit>,
}

/// What the settings ask for (`run.in_flight`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InFlightWish {
    /// As many as the devices and the machine allow.
    Auto,
    /// At most so many.
    Limit(usize),
}

/// What the settings ask for, held against what the machine allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clamped {
    /// The admission limit; at least 1.
    pub limit: usize,
    /// Why it is lower than asked for, and what would raise it.
    pub warning: Option<String>,
}

impl MachineLimits {
    /// Reads the limits of this machine and process.
    #[must_use]
    pub fn read() -> Self {
        let root = Path::new("/");
        let kernel = |name: &str| cgroup::number(&root.join("proc/sys").join(name));
        let text = |name: &str| fs::read_to_string(root.join("proc").join(name));
        let group_memory = cgroup::memory(root).map(Bound::free);
        let memory = text("meminfo").ok().as_deref().and_then(memory_available);
        let files = getrlimit(Resource::Nofile);
        let own_threads = fs::read_dir(root.join("proc/self/task")).map_or(1, Iterator::count);
        Self {
            open_files: files.current,
            open_files_hard: files.maximum,
            max_map_count: kernel("vm/max_map_count"),
            pid_max: kernel("kernel/pid_max"),
            threads_max: kernel("kernel/threads-max"),
            user_processes: getrlimit(Resource::Nproc).current,
            group_tasks: cgroup::tasks(root),
            memory_available: [memory, group_memory].into_iter().flatten().min(),
            threads_in_use: text("loadavg")
                .ok()
                .as_deref()
                .and_then(threads)
                .unwrap_or(0),
            own_threads: own_threads as u64,
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// Every limit with the number of devices it allows.
    #[must_use]
    pub fn rows(&self) -> [Row; 7] {
        let system = self.threads_in_use;
        let group = self.group_tasks;
        let maps = self.max_map_count.map(|maps| maps / MAPS_PER_THREAD);
        let row = |limit, value, devices| Row {
            limit,
            value,
            devices,
        };
        let files = self.open_files;
        let memory = self.memory_available;
        [
            row(
                Limit::OpenFiles,
                files,
                files.map(|files| files.saturating_sub(FILES_RESERVE)),
            ),
            row(
                Limit::MemoryMaps,
                self.max_map_count,
                threads_left(maps, self.own_threads),
            ),
            row(
                Limit::PidMax,
                self.pid_max,
                threads_left(self.pid_max, system),
            ),
            row(
                Limit::ThreadsMax,
                self.threads_max,
                threads_left(self.threads_max, system),
            ),
            // Only the system's threads can be counted cheaply; the user's are no more than those.
            row(
                Limit::UserProcesses,
                self.user_processes,
                threads_left(self.user_processes, system),
            ),
            row(
                Limit::GroupTasks,
                group.map(|bound| bound.allowed),
                group.and_then(|bound| threads_left(Some(bound.allowed), bound.in_use)),
            ),
            row(
                Limit::Memory,
                memory,
                memory.map(|bytes| percent(bytes, MEMORY_PERCENT) / BYTES_PER_DEVICE),
            ),
        ]
    }

    /// How many devices at once this machine allows, and what allows no more.
    #[must_use]
    pub fn max_in_flight(&self) -> Ceiling {
        let rows = self.rows();
        let tightest = rows
            .iter()
            .filter_map(|row| Some((row.devices?, row.limit)))
            .min_by_key(|(devices, _)| *devices);
        match tightest {
            Some((devices, limit)) => Ceiling {
                devices: usize::try_from(devices).unwrap_or(usize::MAX).max(1),
                tightest: Some(limit),
            },
            None => Ceiling {
                devices: usize::MAX,
                tightest: None,
            },
        }
    }
}

/// Raises the soft limit of open files to the hard one; returns the soft limit then in force.
pub fn raise_open_files() -> u64 {
    let now = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: now.maximum,
        maximum: now.maximum,
    };
    let soft = match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => now.maximum,
        Err(error) => {
            log::warn!("open files stay limited to {:?}: {error}", now.current);
            now.current
        }
    };
    soft.unwrap_or(u64::MAX)
}

/// The admission limit for `devices` devices.
#[must_use]
pub fn in_flight(wish: InFlightWish, devices: usize, limits: &MachineLimits) -> Clamped {
    let ceiling = limits.max_in_flight();
    let wanted = match wish {
        InFlightWish::Auto => devices,
        InFlightWish::Limit(limit) => limit,
    };
    let limit = wanted.min(ceiling.devices).max(1);
    let asked_in_vain = wish != InFlightWish::Auto && wanted.min(devices) > limit;
    let warning = ceiling.tightest.filter(|_| asked_in_vain).map(|tightest| {
        format!(
            "run.in_flight is {wanted}, but this machine allows {limit} devices at once; raise the \
             limit of {tightest}, or lower run.in_flight"
        )
    });
    Clamped { limit, warning }
}

fn threads_left(allowed: Option<u64>, in_use: u64) -> Option<u64> {
    allowed.map(|allowed| percent(allowed, THREADS_PERCENT).saturating_sub(in_use))
}

/// Dividing first, because limits may be close to the largest number.
const fn percent(value: u64, percent: u64) -> u64 {
    value / 100 * percent + value % 100 * percent / 100
}

/// The bytes available by `/proc/meminfo`.
fn memory_available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes.saturating_mul(1024))
}

/// All threads of the system, by the fourth field of `/proc/loadavg`: `running/all`.
fn threads(loadavg: &str) -> Option<u64> {
    let field = loadavg.split_whitespace().nth(3)?;
    field.split_once('/')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> MachineLimits {
        MachineLimits {
            open_files: Some(20_000),
            open_files_hard: Some(20_000),
            max_map_count: Some(65_530),
            pid_max: Some(32_768),
            threads_max: Some(192_730),
            user_processes: Some(96_365),
            group_tasks: None,
            memory_available: Some(24_000_000_000),
            threads_in_use: 100,
            own_threads: 3,
            cpus: 2,
        }
    }

    #[test]
    fn the_tightest_limit_decides() {
        let maps = machine().max_in_flight();
        assert_eq!(maps.tightest, Some(Limit::MemoryMaps));
        assert_eq!(maps.devices, 16_382 * 8 / 10 - 3);
        let cases = [
            (
                MachineLimits {
                    open_files: Some(1024),
                    ..machine()
                },
                Limit::OpenFiles,
                960,
            ),
            (
                MachineLimits {
                    group_tasks: Some(Bound {
                        allowed: 512,
                        in_use: 9,
                    }),
                    ..machine()
                },
                Limit::GroupTasks,
                400,
            ),
            (
                MachineLimits {
                    memory_available: Some(135_000_000),
                    ..machine()
                },
                Limit::Memory,
                778,
            ),
            (
                MachineLimits {
                    pid_max: Some(1000),
                    ..machine()
                },
                Limit::PidMax,
                700,
            ),
            (
                MachineLimits {
                    threads_max: Some(1000),
                    ..machine()
                },
                Limit::ThreadsMax,
                700,
            ),
            (
                MachineLimits {
                    user_processes: Some(1000),
                    ..machine()
                },
                Limit::UserProcesses,
                700,
            ),
        ];
        for (limits, tightest, devices) in cases {
            let ceiling = limits.max_in_flight();
            assert_eq!(
                (ceiling.tightest, ceiling.devices),
                (Some(tightest), devices)
            );
        }
    }

    #[test]
    fn one_device_always_gets_its_turn() {
        let limits = MachineLimits {
            open_files: Some(10),
            ..machine()
        };
        assert_eq!(limits.max_in_flight().devices, 1);
        assert_eq!(in_flight(InFlightWish::Limit(0), 5, &limits).limit, 1);
        assert_eq!(in_flight(InFlightWish::Auto, 0, &limits).limit, 1);
    }

    #[test]
    fn no_limit_at_all_is_no_fault() {
        let limits = MachineLimits::default();
        assert_eq!(limits.max_in_flight().tightest, None);
        assert_eq!(in_flight(InFlightWish::Auto, 7, &limits).limit, 7);
    }

    #[test]
    fn only_a_wish_that_matters_is_warned_about() {
        let limits = MachineLimits {
            open_files: Some(564),
            ..machine()
        };
        let few = in_flight(InFlightWish::Limit(1000), 300, &limits);
        assert_eq!((few.limit, few.warning), (500, None));
        let auto = in_flight(InFlightWish::Auto, 3000, &limits);
        assert_eq!((auto.limit, auto.warning), (500, None));
        let many = in_flight(InFlightWish::Limit(1000), 3000, &limits);
        assert_eq!(many.limit, 500);
        let warning = many.warning.unwrap();
        assert!(
            warning.contains("1000") && warning.contains("LimitNOFILE"),
            "{warning}"
        );
    }

    #[test]
    fn proc_files_are_understood() {
        let meminfo = "MemTotal:       24684092 kB\nMemAvailable:   24235496 kB\n";
        assert_eq!(memory_available(meminfo), Some(24_235_496 * 1024));
        assert_eq!(memory_available("MemTotal: 1 kB\n"), None);
        assert_eq!(threads("0.77 0.35 0.27 2/91 24457\n"), Some(91));
        assert_eq!(threads(""), None);
        assert_eq!(percent(u64::MAX, 80), u64::MAX / 5 * 4);
    }

    #[test]
    fn this_machine_can_be_read() {
        let raised = raise_open_files();
        let limits = MachineLimits::read();
        assert_eq!(limits.open_files.unwrap_or(u64::MAX), raised);
        assert_eq!(limits.open_files, limits.open_files_hard);
        assert!(limits.cpus > 0 && limits.own_threads > 0 && limits.threads_in_use > 0);
        assert!(limits.max_in_flight().devices > 0);
    }
}
