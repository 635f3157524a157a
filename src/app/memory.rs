//! Opening what is remembered, for writing and for reading.

use super::lock::StateLock;
use crate::actors::recorder::Recorder;
use crate::model::durable::{Unwatched, Watch};
use crate::settings::State;
use crate::state::StateError;
use crate::state::database::Database;
use crate::state::journal::{Remembered, StateJournal};
use crate::state::keep::Keep;
use crate::state::queries::Reader;
use actix::Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// Opens the state for its one writer. Trouble with it is told and stops nothing: without it, nothing is known from
/// before, and what happens is recorded as soon as that is possible.
pub(super) fn begin(state: &State, watch: Arc<dyn Watch>) -> (Addr<Recorder>, Remembered) {
    let keep = Keep {
        age: state.keep,
        outcomes: state.keep_outcomes,
        incidents: state.keep_incidents,
    };
    let (journal, remembered) = StateJournal::begin(&state.dir, keep, SystemTime::now(), watch);
    let remembered = remembered.unwrap_or_else(|error| {
        log::error!(
            "{error}; backups go on without what is known from earlier runs: breakers, quarantines, \
             schedules"
        );
        Remembered::default()
    });
    (Recorder::start_with(Box::new(journal)), remembered)
}

/// Opens the state in the folder `dir` for reading. One that an older wrmem wrote is brought up to
/// date, where nobody is at work with it.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn read(dir: &Path) -> Result<Reader, StateError> {
    match Reader::open(dir) {
        Err(error @ StateError::Older { .. }) => {
            let Ok(_lock) = StateLock::acquire(dir, "wrmem, bringing the state up to date") else {
                return Err(error);
            };
            let unwatched: Arc<dyn Watch> = Arc::new(Unwatched);
            Database::open(dir, SystemTime::now(), &unwatched)?;
            Reader::open(dir)
        }
        result => result,
    }
}
