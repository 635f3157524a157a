//! `wrmem doctor`.

use super::exit::{Exit, Stop};
use super::start::Globals;
use crate::limits::{self, MachineLimits};
use crate::model::device::AlgorithmPolicy;
use crate::session::ssh::{self, Offer};
use std::io::{self, Write};

/// Tells versions, algorithms, and what this machine allows.
pub(super) fn run(globals: &Globals) -> Result<Exit, Stop> {
    globals.log_plainly();
    limits::raise_open_files();
    // A reader that went away has seen what it wanted.
    let _ = tell(&mut io::stdout().lock());
    Ok(Exit::Ok)
}

fn tell(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "wrmem {}", env!("CARGO_PKG_VERSION"))?;
    let library = ssh::identification().unwrap_or_else(|| "libssh2 does not start".to_owned());
    writeln!(out, "devices see: {library}")?;
    writeln!(out, "\nalgorithms offered (ssh.algorithms):")?;
    for policy in [
        AlgorithmPolicy::Modern,
        AlgorithmPolicy::Compatible,
        AlgorithmPolicy::Legacy,
    ] {
        match Offer::of(policy) {
            Ok(offer) => {
                writeln!(out, "  {}", policy.name())?;
                writeln!(out, "    key exchange: {}", offer.kex.join(", "))?;
                writeln!(out, "    host key:     {}", offer.host_key.join(", "))?;
                writeln!(out, "    cipher:       {}", offer.cipher.join(", "))?;
                writeln!(out, "    mac:          {}", offer.mac.join(", "))?;
            }
            Err(error) => writeln!(out, "  {}: {error}", policy.name())?,
        }
    }
    let limits = MachineLimits::read();
    writeln!(
        out,
        "\nlimits of this machine, and how many devices at once each allows:"
    )?;
    for row in limits.rows() {
        let value = row
            .value
            .map_or_else(|| "none".to_owned(), |value| value.to_string());
        let devices = row
            .devices
            .map_or_else(|| "any".to_owned(), |n| n.to_string());
        writeln!(out, "  {:<46} {value:>14} {devices:>8}", row.limit.name())?;
    }
    let ceiling = limits.max_in_flight();
    match ceiling.tightest {
        Some(limit) => writeln!(
            out,
            "at most {} devices at once; the tightest limit is {}",
            ceiling.devices,
            limit.name()
        ),
        None => writeln!(out, "no limit on devices at once is known"),
    }
}
