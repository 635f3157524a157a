//! `wrmem show`.

use super::args::ShowArgs;
use super::exit::{Exit, Stop};
use super::revision::{Revision, part};
use super::start::Globals;
use super::whose::{All, Whose};
use crate::app::archive;
use crate::report::outlet::Outlet;
use jiff::tz::TimeZone;
use std::io::{self, Write};

/// Prints a config.
pub(super) fn run(globals: &Globals, args: &ShowArgs) -> Result<Exit, Stop> {
    globals.log_plainly();
    let all = All::load(globals)?;
    let (name, revision) = part(&args.what, |name| all.is_device(name));
    let whose = all.whose(name)?;
    let config = match revision {
        Some(revision) => older(&all, &whose, revision)?,
        None => newest(&all, &whose)?,
    };
    let shown = if args.secrets {
        config
    } else {
        whose.masked(&config)
    };
    let mut out = io::stdout().lock();
    let shown = Outlet::of(&out).fit(&shown);
    // A reader that went away has seen what it wanted.
    let _ = out.write_all(&shown).and_then(|()| out.flush());
    Ok(Exit::Ok)
}

fn older(all: &All, whose: &Whose, revision: &str) -> Result<Vec<u8>, Stop> {
    let revision = Revision::parse(revision, &TimeZone::system()).map_err(Stop::usage)?;
    let history = all.history()?;
    let versions = history.versions(whose.name.as_str()).map_err(Stop::usage)?;
    let version = revision.find(&versions).map_err(Stop::usage)?;
    history.content(version).map_err(Stop::usage)
}

/// The last good config; of a device that is in no inventory any more, its newest version.
fn newest(all: &All, whose: &Whose) -> Result<Vec<u8>, Stop> {
    let last_good = archive::last_good(all.archive());
    let held = last_good.last_good(&whose.name, whose.group.as_ref());
    if let Some(config) = held.map_err(Stop::usage)? {
        return Ok(config);
    }
    let versions = match all.history() {
        Ok(history) => history.versions(whose.name.as_str()).map_err(Stop::usage)?,
        Err(_) => Vec::new(),
    };
    match versions.first() {
        Some(version) => all.history()?.content(version).map_err(Stop::usage),
        None => Err(Stop::usage(format!(
            "no config of {0} is stored yet: `wrmem backup {0}` stores one",
            whose.name
        ))),
    }
}
