//! That a lab leaves nothing behind. Alone in its file, because it counts what the process has.
#![cfg(feature = "lab")]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;
use wrmem::lab::{Lab, LabSpec};

fn entries(folder: &str) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn stopping_leaves_no_thread_and_no_file_open() {
    // The first runtime of a process opens a pair of sockets for signals that stays.
    Lab::start(&LabSpec::default()).unwrap().stop();
    let before = (entries("/proc/self/task"), entries("/proc/self/fd"));
    for rtt in [Duration::ZERO, Duration::from_millis(5)] {
        let spec = LabSpec {
            devices: 20,
            threads: 2,
            rtt,
            faults: vec!["refused:5".parse().unwrap()],
            ..LabSpec::default()
        };
        let lab = Lab::start(&spec).unwrap();
        let addr = lab.devices().first().unwrap().addr();
        let mut client = TcpStream::connect(addr).unwrap();
        let mut byte = [0_u8; 1];
        assert_eq!(client.read(&mut byte).unwrap(), 1);
        lab.stop();
        assert!(TcpStream::connect(addr).is_err());
        // The session was cut too: no more than what was under way is left to read.
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest);
        drop(client);
        assert_eq!(
            (entries("/proc/self/task"), entries("/proc/self/fd")),
            before
        );
    }
}
