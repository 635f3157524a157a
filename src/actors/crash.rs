//! Panics, told without their text: what a panic says may quote what it choked on, and that may be
//! a secret. Where it happened is enough to find it.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static LAST_PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes every panic of the process log its thread and place instead of its text. Called once at
/// start, by whoever owns the process.
pub fn tell_places_only() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let thread = std::thread::current();
        log::error!(
            "thread {} crashed at {place}",
            thread.name().unwrap_or("without name")
        );
        LAST_PLACE.with(|last| *last.borrow_mut() = Some(place));
    }));
}

/// Runs `work` fenced.
///
/// # Errors
/// Where it panicked, or `an unknown place` where [`tell_places_only`] was not called.
pub(crate) fn fenced<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        LAST_PLACE
            .with(|last| last.borrow_mut().take())
            .unwrap_or_else(|| "an unknown place".to_owned())
    })
}
