//! `wrmem log`.

use super::args::LogArgs;
use super::exit::{Exit, Stop};
use super::start::Globals;
use super::whose::{All, Listed, Whose};
use crate::report::versions;
use jiff::tz::TimeZone;
use std::io::{self, Write};

/// Lists the versions of a device, newest first.
pub(super) fn run(globals: &Globals, args: &LogArgs) -> Result<Exit, Stop> {
    globals.log_plainly();
    let all = All::load(globals)?;
    let history = all.history()?;
    let Whose {
        name,
        group,
        listed,
        ..
    } = all.whose(&args.name)?;
    let mut found = history.versions(name.as_str()).map_err(Stop::usage)?;
    let newest = found.first().map(|version| version.blob);
    let waiting = history
        .is_waiting(&name, group.as_ref(), newest.as_ref())
        .map_err(Stop::usage)?;
    if found.is_empty() && !waiting {
        return Err(Stop::usage(format!(
            "{name} has no version yet: `wrmem backup {name}` makes the first"
        )));
    }
    found.truncate(args.number.unwrap_or(usize::MAX));
    let mut out = io::stdout().lock();
    // A reader that went away has seen what it wanted.
    let _ = versions::write(&found, &TimeZone::system(), &mut out);
    if waiting {
        let _ = writeln!(
            out,
            "What was stored last is not committed yet; `wrmem show {name}` prints it."
        );
    }
    if listed == Listed::NoMore {
        let _ = writeln!(
            out,
            "{name} is not in the inventory any more; its versions stay."
        );
    }
    Ok(Exit::Ok)
}
