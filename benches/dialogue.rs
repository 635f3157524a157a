//! The cost of reading a config, without a network: a scripted device sends one of 2, 5 and 10 MB
//! in reads of 32 KiB, and the dialogue cleans, follows and proves it.
//!
//! usage: cargo bench --bench dialogue
//!
//! Prints, for each size, the median wall time of `fetch` over some rounds, the throughput, what a
//! byte costs against the smallest size (1.00 is linear), how many reads there were, and how much
//! memory reading took at most beyond what the process had before. Each size runs in a process of
//! its own, so that its peak is its own.

#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark prints its figures, and has some"
)]

use std::error::Error;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use wrmem::model::credentials::Credentials;
use wrmem::model::device::{Device, DeviceName, SavePolicy};
use wrmem::model::stage::Trail;
use wrmem::session::dialogue::Dialogue;
use wrmem::session::scripted::{Scripted, Step};
use wrmem::session::{Clock, Exit, ReadOutcome, SessionError, Transport};

const SIZES: [usize; 3] = [2_000_000, 5_000_000, 10_000_000];

/// As much as libssh2 hands out at once.
const READ: usize = 32 << 10;

const ROUNDS: usize = 9;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    match words.next() {
        Some(size) => one(size.parse()?),
        None => all(),
    }
}

fn all() -> Result<(), Box<dyn Error>> {
    println!("| config | fetch | throughput | a byte, relative | reads | memory at most |");
    println!("|---|---|---|---|---|---|");
    let mut first = None;
    for size in SIZES {
        let output = Command::new(std::env::current_exe()?)
            .arg(size.to_string())
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        let figures: Vec<f64> = text
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let [seconds, bytes, reads, peak] = figures[..] else {
            return Err(format!("{size}: {text}{:?}", output.stderr).into());
        };
        let relative = seconds / bytes / *first.get_or_insert(seconds / bytes);
        println!(
            "| {:.0} MB | {:.1} ms | {:.0} MB/s | {relative:.2} | {reads} | {:.1} MB |",
            bytes / 1e6,
            seconds * 1e3,
            bytes / 1e6 / seconds,
            peak / 1e6,
        );
    }
    Ok(())
}

/// Reads one config some times and prints seconds, bytes, reads and memory.
fn one(size: usize) -> Result<(), Box<dyn Error>> {
    let config = config(size);
    let mut times = Vec::new();
    let mut reads = 0;
    let mut peak = 0;
    for _ in 0..ROUNDS {
        let steps = steps(&config);
        let (took, count, memory) = read(steps, config.len())?;
        times.push(took);
        reads = count;
        peak = peak.max(memory);
    }
    times.sort();
    let median = times[times.len() / 2].as_secs_f64();
    println!("{median} {} {reads} {peak}", config.len());
    Ok(())
}

/// A config as a router has it, of about `size` bytes with its carriage returns.
fn config(size: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(size + 100);
    text.extend_from_slice(b"!\r\nversion 16.9\r\nhostname csr1\r\n!\r\n");
    let mut number = 0;
    while text.len() < size {
        number += 1;
        let unit = format!(
            "interface Loopback{number}\r\n description to site {number}, rack 7, port {}\r\n \
             ip address 10.{}.{}.1 255.255.255.0\r\n ip ospf 1 area 0.0.0.0\r\n!\r\n",
            number % 48,
            number / 250 % 250,
            number % 250
        );
        text.extend_from_slice(unit.as_bytes());
    }
    text.extend_from_slice(b"!\r\nend\r\n");
    text
}

fn steps(config: &[u8]) -> Vec<Step> {
    let send = |text: String| Step::Send(text.into_bytes());
    let expect = |text: &str| Step::Expect(text.as_bytes().to_vec());
    let mut steps = vec![
        send("\r\ncsr1#".into()),
        expect("terminal length 0\rshow privilege\r"),
        send(
            "terminal length 0\r\ncsr1#show privilege\r\nCurrent privilege level is 15\r\ncsr1#"
                .into(),
        ),
        expect("show running-config\r"),
        send(format!(
            "show running-config\r\nBuilding configuration...\r\n\r\n\
             Current configuration : {} bytes\r\n",
            config.len()
        )),
    ];
    steps.extend(config.chunks(READ).map(|chunk| Step::Send(chunk.to_vec())));
    steps.push(send("csr1#".into()));
    steps
}

fn read(steps: Vec<Step>, bytes: usize) -> Result<(Duration, usize, usize), Box<dyn Error>> {
    let platforms =
        wrmem::settings::platforms::load(None).map_err(|faults| format!("{faults:?}"))?;
    let platform = platforms.get("cisco_ios").ok_or("no cisco_ios")?;
    let device = Arc::new(Device {
        save: SavePolicy::Never,
        ..Device::new(
            DeviceName::new("csr1")?,
            "192.0.2.1",
            Arc::clone(platform),
            Arc::new(Credentials::new("lab", "ntc")),
        )
    });
    let scripted = Scripted::new(steps);
    let clock: Arc<dyn Clock> = scripted.clock();
    let far = clock.now() + Duration::from_secs(1000);
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Counted(scripted, Arc::clone(&reads));
    let mut trail = Trail::default();
    let mut dialogue = Dialogue::open(Box::new(counted), &device, clock, far, &mut trail)?;
    reads.store(0, Ordering::Relaxed);
    fs::write("/proc/self/clear_refs", "5")?;
    let before = memory("VmRSS:")?;
    let began = Instant::now();
    let config = dialogue.fetch(far, &mut trail)?;
    let took = began.elapsed();
    let peak = memory("VmHWM:")?.saturating_sub(before);
    let lines = config.bytes().iter().filter(|byte| **byte == b'\n').count();
    if config.bytes().len() + lines != bytes {
        return Err("the config is not what was sent".into());
    }
    Ok((took, reads.load(Ordering::Relaxed), peak))
}

fn memory(which: &str) -> Result<usize, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(which));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes.ok_or("no such line")?.parse::<usize>()? * 1024)
}

/// Counts reads.
struct Counted(Scripted, Arc<AtomicUsize>);

impl Transport for Counted {
    fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> Result<ReadOutcome, SessionError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.read(buffer, deadline)
    }

    fn write(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), SessionError> {
        self.0.write(bytes, deadline)
    }

    fn run(&mut self, command: &str, deadline: Instant) -> Result<(), SessionError> {
        self.0.run(command, deadline)
    }

    fn ended(&mut self, deadline: Instant) -> Result<Exit, SessionError> {
        self.0.ended(deadline)
    }

    fn close(&mut self) {
        self.0.close();
    }
}
