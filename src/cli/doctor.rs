//! `wrmem doctor`.

use super::exit::{Exit, Stop};
use super::start::Globals;
use crate::limits::{self, InFlightWish, MachineLimits};
use crate::model::device::AlgorithmPolicy;
use crate::session::ssh::{self, Offer};
use crate::settings::{self, InFlight};
use std::io::{self, Write};

/// Tells versions, algorithms, and what this machine allows.
pub(super) fn run(globals: &Globals) -> Result<Exit, Stop> {
    globals.log_plainly();
    limits::raise_open_files();
    let limits = MachineLimits::read();
    let mut out = io::stdout().lock();
    // A reader that went away has seen what it wanted.
    let _ = tell(&mut out, &limits).and_then(|()| tell_wish(&mut out, globals, &limits));
    Ok(Exit::Ok)
}

/// What becomes of the settings' own wish on this machine.
fn tell_wish(out: &mut dyn Write, globals: &Globals, limits: &MachineLimits) -> io::Result<()> {
    let Ok(loaded) = settings::load(&globals.source(Vec::new())) else {
        return writeln!(
            out,
            "the settings in {} are not read; `wrmem check` tells why",
            globals.settings.display()
        );
    };
    let devices = loaded.inventory.len();
    let (wish, written) = match loaded.settings.run.in_flight {
        InFlight::Auto => (InFlightWish::Auto, "\"auto\"".to_owned()),
        InFlight::Limit(limit) => (InFlightWish::Limit(limit.get()), limit.to_string()),
    };
    let clamped = limits::in_flight(wish, devices, limits);
    writeln!(
        out,
        "run.in_flight = {written}, {devices} devices in the inventory: at most {} at once",
        clamped.limit.min(devices)
    )?;
    match clamped.warning {
        Some(warning) => writeln!(out, "{warning}"),
        None => Ok(()),
    }
}

fn tell(out: &mut dyn Write, limits: &MachineLimits) -> io::Result<()> {
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
