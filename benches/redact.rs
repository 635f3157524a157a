//! How fast configs are redacted, and that it is linear in their size: `cargo bench --bench redact`.
//! Prints a table as docs/performance.md has it.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its figures, and may end where it has nothing to measure"
)]

use std::time::{Duration, Instant};
use wrmem::model::platform::Platform;
use wrmem::settings::platforms;
use wrmem::text::redact::{self, Key, Mask};

/// A part of a large router's config; its secrets are a tenth of its lines.
const PART: &str = "\
interface GigabitEthernet0/0/{n}
 description customer {n}, circuit 47-11-{n}
 ip address 192.0.2.{n} 255.255.255.252
 ip ospf message-digest-key 1 md5 7 13061E010803557878{n}
 ip ospf cost 100
 load-interval 30
 service-policy output SHAPE-{n}
!
ip access-list extended CUSTOMER-{n}
 10 permit tcp host 192.0.2.{n} any eq 443
 20 permit tcp host 192.0.2.{n} any eq 22
 30 permit icmp any any echo-reply
 40 deny ip any any log
!
router bgp 65000
 neighbor 192.0.2.{n} remote-as {n}
 neighbor 192.0.2.{n} password 7 070C285F4D06{n}
 neighbor 192.0.2.{n} send-community both
!
";

fn config(bytes: usize) -> Vec<u8> {
    let mut text = String::new();
    let mut number = 0_u32;
    while text.len() < bytes {
        text += &PART.replace("{n}", &(number % 250).to_string());
        number += 1;
    }
    text.into_bytes()
}

/// The median of nine.
fn time(mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..9)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times.get(4).copied().unwrap_or_default()
}

fn main() {
    let began = Instant::now();
    let platforms = platforms::load(None).unwrap();
    println!(
        "all platforms loaded: {:.2} ms",
        began.elapsed().as_secs_f64() * 1e3
    );
    let key = Key::new([7; 32]);
    for (name, platform) in &platforms {
        let began = Instant::now();
        let _ = redact::config(b"password x\n", platform, Mask::Keyed(&key));
        println!(
            "{name}, first line: {:.2} ms",
            began.elapsed().as_secs_f64() * 1e3
        );
    }
    let Some(ios) = platforms.get("cisco_ios") else {
        return;
    };
    let mut all: Platform = (**ios).clone();
    for platform in platforms.values() {
        all.secrets.merge(&platform.secrets);
    }
    println!("\n| config | as cisco_ios | MB/s | as any platform | MB/s |\n|---|---|---|---|---|");
    for megabytes in [0.005, 2.0, 5.0, 10.0] {
        let text = config((megabytes * 1e6) as usize);
        let one = time(|| drop(redact::config(&text, ios, Mask::Keyed(&key))));
        let any = time(|| drop(redact::config(&text, &all, Mask::Keyed(&key))));
        let speed = |took: Duration| text.len() as f64 / 1e6 / took.as_secs_f64();
        println!(
            "| {megabytes} MB | {:.2} ms | {:.0} | {:.2} ms | {:.0} |",
            one.as_secs_f64() * 1e3,
            speed(one),
            any.as_secs_f64() * 1e3,
            speed(any)
        );
    }
}
