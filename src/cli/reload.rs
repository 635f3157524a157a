//! `wrmem reload`.

use super::args::ReloadArgs;
use super::exit::{Exit, Stop};
use super::hand_over::{self, Whose, take_state};
use super::start::{self, Globals};
use crate::daemon::control::wire::{Ask, ReloadAsk, Say};
use std::io::{self, Write};

/// Has the wrmem that is running read its settings anew, and tells what that changed.
pub(super) fn run(globals: &Globals, args: &ReloadArgs) -> Result<Exit, Stop> {
    globals.log_plainly();
    let source = globals.source(Vec::new());
    let settings = start::load(&source)?.settings;
    let dir = &settings.state.dir;
    let held = match take_state(&settings, "wrmem reload")? {
        Whose::Theirs(held) => held,
        Whose::Ours(_) => {
            return Err(Stop::usage(format!(
                "no wrmem is running with the state folder {}: there is nothing to reload. It reads its \
                 settings when it is started (`wrmem run`)",
                dir.display()
            )));
        }
    };
    actix::System::new().block_on(async {
        let ask = Ask::Reload(ReloadAsk { force: args.force });
        let mut conversation = hand_over::ask(dir, held, ask).await?;
        match conversation.hear().await {
            Ok(Some(Say::Reloaded { changes })) => {
                // What nobody reads has been done all the same.
                let _ = writeln!(io::stdout(), "{changes}");
                Ok(Exit::Ok)
            }
            Ok(Some(Say::Refused { message })) => Err(Stop::usage(message)),
            Ok(_) => Err(lost("it went away")),
            Err(error) => Err(lost(&error.to_string())),
        }
    })
}

fn lost(why: &str) -> Stop {
    Stop {
        exit: Exit::Broken,
        message: format!(
            "the wrmem that is running did not tell whether it took the settings: {why}; look into its \
             log"
        ),
    }
}
