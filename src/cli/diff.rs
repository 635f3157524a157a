//! `wrmem diff`.

use super::args::DiffArgs;
use super::exit::{Exit, Stop};
use super::revision::Range;
use super::start::Globals;
use super::whose::{All, Whose};
use crate::app::history::History;
use crate::model::version::Version;
use crate::report::difference::{self, Compared, Look};
use crate::report::outlet::Outlet;
use crate::text::diff::{Comparison, Rules};
use jiff::tz::TimeZone;
use std::io;

/// Shows what changed between two versions.
pub(super) fn run(globals: &Globals, args: &DiffArgs) -> Result<Exit, Stop> {
    globals.log_plainly();
    let zone = TimeZone::system();
    let range = Range::parse(args.range.as_deref(), &zone).map_err(Stop::usage)?;
    let all = All::load(globals)?;
    let history = all.history()?;
    let whose = all.whose(&args.name)?;
    let versions = history.versions(whose.name.as_str()).map_err(Stop::usage)?;
    if let ([only], None) = (versions.as_slice(), &args.range) {
        return Err(Stop::usage(format!(
            "{} has one version only, {}: there is nothing to compare it with",
            whose.name,
            only.commit.short()
        )));
    }
    let old = range.old.find(&versions).map_err(Stop::usage)?;
    let new = range.new.find(&versions).map_err(Stop::usage)?;
    let content = |version| content(history, &whose, version, args.secrets);
    let (old_text, new_text) = (content(old)?, content(new)?);
    let rules = Rules::from(&*whose.platform);
    let comparison = Comparison::new(&old_text, &new_text, rules);
    let compared = Compared {
        old,
        new,
        comparison: &comparison,
        context: args.unified,
    };
    let mut out = io::stdout().lock();
    let look = Look {
        color: globals.stdout_color(),
        outlet: Outlet::of(&out),
    };
    // A reader that went away has seen what it wanted.
    let _ = difference::write(&compared, &zone, look, &mut out);
    Ok(Exit::Ok)
}

/// Masked whole before it is compared: a secret that changed has another mask.
fn content(
    history: &History,
    whose: &Whose,
    version: &Version,
    secrets: bool,
) -> Result<Vec<u8>, Stop> {
    let content = history.content(version).map_err(Stop::usage)?;
    Ok(if secrets {
        content
    } else {
        whose.masked(&content)
    })
}
