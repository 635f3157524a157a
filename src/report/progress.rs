//! The live display of a run on a terminal's stderr: two lines that stay at the bottom.

mod state;

use crate::model::event::{Event, EventSink};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};
use state::State;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the display is redrawn by itself.
const REDRAW: Duration = Duration::from_millis(100);
/// The same for indicatif, in redraws per second.
const REDRAW_HZ: u8 = 10;
const TEMPLATE: &str = "{bar:12} {counts}\n{slowest}";

/// A terminal that may have the live display at its bottom. Clones are the same terminal.
#[derive(Clone)]
pub struct Screen {
    shared: Arc<Shared>,
}

struct Shared {
    target: Target,
    bar: Mutex<Option<ProgressBar>>,
    state: Arc<Mutex<State>>,
}

/// Where the display is drawn.
enum Target {
    Stderr,
    Custom(Box<dyn Fn() -> Box<dyn TermLike> + Send + Sync>),
    Nowhere,
}

impl Screen {
    /// The terminal behind stderr; nothing is displayed where stderr is none.
    #[must_use]
    pub fn stderr() -> Self {
        if io::stderr().is_terminal() {
            Self::new(Target::Stderr)
        } else {
            Self::off()
        }
    }

    /// No display at all, as under `-q`.
    #[must_use]
    pub fn off() -> Self {
        Self::new(Target::Nowhere)
    }

    /// Displays on a terminal of the caller's making.
    pub fn custom(terminal: impl Fn() -> Box<dyn TermLike> + Send + Sync + 'static) -> Self {
        Self::new(Target::Custom(Box::new(terminal)))
    }

    fn new(target: Target) -> Self {
        let state = Arc::new(Mutex::new(State::new(0, Instant::now())));
        let bar = Mutex::new(None);
        Self {
            shared: Arc::new(Shared { target, bar, state }),
        }
    }

    /// The sink that keeps the display up to date.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            screen: self.clone(),
        }
    }

    /// Wraps a stream that ends on the same terminal, the log or stdout, so that its lines appear
    /// above the display and do not fight with it.
    pub fn writer<W: Write>(&self, inner: W) -> AboveDisplay<W> {
        AboveDisplay {
            screen: self.clone(),
            inner,
            pending: Vec::new(),
        }
    }

    /// Takes the display away for as long as `action` writes to the terminal.
    pub fn suspend<R>(&self, action: impl FnOnce() -> R) -> R {
        let bar = self.bar().clone();
        match bar {
            Some(bar) => bar.suspend(action),
            None => action(),
        }
    }

    /// Takes the display away for good, before the table is printed. The end of a run does it too.
    pub fn clear(&self) {
        let bar = self.bar().take();
        if let Some(bar) = bar {
            bar.disable_steady_tick();
            bar.finish_and_clear();
        }
    }

    fn start(&self, devices: usize) {
        self.clear();
        let target = match &self.shared.target {
            Target::Stderr => ProgressDrawTarget::stderr_with_hz(REDRAW_HZ),
            Target::Custom(terminal) => {
                ProgressDrawTarget::term_like_with_hz(terminal(), REDRAW_HZ)
            }
            Target::Nowhere => return,
        };
        *self.state() = State::new(devices, Instant::now());
        let length = u64::try_from(devices).ok();
        let bar = ProgressBar::with_draw_target(length, target).with_style(self.style());
        bar.enable_steady_tick(REDRAW);
        *self.bar() = Some(bar);
    }

    fn style(&self) -> ProgressStyle {
        let counts = Arc::clone(&self.shared.state);
        let slowest = Arc::clone(&self.shared.state);
        // The template is a constant, so a fault in it shows in the tests.
        ProgressStyle::with_template(TEMPLATE)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━╸─")
            .with_key(
                "counts",
                move |_: &ProgressState, out: &mut dyn fmt::Write| {
                    let _ = out.write_str(&locked(&counts).counts());
                },
            )
            .with_key(
                "slowest",
                move |_: &ProgressState, out: &mut dyn fmt::Write| {
                    let _ = out.write_str(&locked(&slowest).slowest(Instant::now()));
                },
            )
    }

    fn bar(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        locked(&self.shared.bar)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.shared.state)
    }
}

/// What is displayed stays usable even after a panic elsewhere.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the live display up to date.
pub struct Progress {
    screen: Screen,
}

impl EventSink for Progress {
    fn on(&mut self, event: &Event) {
        match event {
            Event::RunStarted { devices, .. } => self.screen.start(*devices),
            Event::RunFinished(_) => self.screen.clear(),
            Event::StageStarted { .. }
            | Event::StageFinished { .. }
            | Event::RetryScheduled { .. }
            | Event::DeviceFinished(_) => {
                let done = {
                    let mut state = self.screen.state();
                    state.on(event, Instant::now());
                    state.done
                };
                let bar = self.screen.bar().clone();
                if let Some((bar, done)) = bar.zip(u64::try_from(done).ok()) {
                    bar.set_position(done);
                }
            }
        }
    }

    fn finish(&mut self) {
        self.screen.clear();
    }
}

/// Lets whole lines through, above the display.
pub struct AboveDisplay<W: Write> {
    screen: Screen,
    inner: W,
    pending: Vec<u8>,
}

impl<W: Write> AboveDisplay<W> {
    fn let_out(&mut self, count: usize) -> io::Result<()> {
        let rest = self.pending.split_off(count);
        let lines = std::mem::replace(&mut self.pending, rest);
        if lines.is_empty() {
            return Ok(());
        }
        let inner = &mut self.inner;
        self.screen.suspend(|| {
            inner.write_all(&lines)?;
            inner.flush()
        })
    }
}

impl<W: Write> Write for AboveDisplay<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        let whole = self.pending.iter().rposition(|byte| *byte == b'\n');
        self.let_out(whole.map_or(0, |end| end + 1))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.let_out(self.pending.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::forecast::{Bound, Forecast};
    use crate::model::report::{Mode, RunReport};
    use std::time::SystemTime;

    /// A terminal that records what is done to it: text as it is, `^` for a line up, `!` for a
    /// line cleared.
    #[derive(Clone, Debug, Default)]
    struct Recorded(Arc<Mutex<String>>);

    impl Recorded {
        fn add(&self, text: &str) -> io::Result<()> {
            locked(&self.0).push_str(text);
            Ok(())
        }
    }

    impl TermLike for Recorded {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, n: usize) -> io::Result<()> {
            self.add(&"^".repeat(n))
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.add(text)?;
            self.add("\n")
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.add(text)
        }
        fn clear_line(&self) -> io::Result<()> {
            self.add("!")
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Write for Recorded {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.add(&String::from_utf8_lossy(bytes))?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Whether whatever was drawn was also cleared.
    fn is_clear(text: &str) -> bool {
        match text.rsplit_once("done") {
            Some((_, after)) => after.contains("!!"),
            None => true,
        }
    }

    fn forecast() -> Forecast {
        Forecast {
            expected: Duration::from_secs(1),
            bound: Bound::Device,
            known: 2,
            assumed: None,
            window: None,
        }
    }

    fn run_started() -> Event {
        Event::RunStarted {
            devices: 2,
            saves: 2,
            may_save: 0,
            in_flight_limit: 2,
            mode: Mode::Concurrent,
            forecast: forecast(),
        }
    }

    #[test]
    fn a_log_line_appears_between_two_drawings_of_the_display() {
        let terminal = Recorded::default();
        let shown = terminal.clone();
        let screen = Screen::custom(move || Box::new(terminal.clone()));
        let mut log = screen.writer(shown.clone());
        log.write_all(b"before\n").expect("written");
        assert_eq!(*locked(&shown.0), "before\n");
        screen.progress().on(&run_started());
        log.write_all(b"half a ").expect("written");
        assert!(!locked(&shown.0).contains("half"));
        log.write_all(b"line\n").expect("written");
        screen.clear();
        log.write_all(b"after\n").expect("written");
        let text = locked(&shown.0).clone();
        let (head, tail) = text.split_once("half a line\n").expect("let out whole");
        assert!(is_clear(head), "{text:?}");
        assert!(tail.contains("0/2 done"), "{text:?}");
        let tail = tail.strip_suffix("after\n").expect("comes last");
        assert!(is_clear(tail), "{text:?}");
    }

    #[test]
    fn the_display_goes_away_with_the_run() {
        let terminal = Recorded::default();
        let shown = terminal.clone();
        let screen = Screen::custom(move || Box::new(terminal.clone()));
        let mut progress = screen.progress();
        progress.on(&run_started());
        progress.on(&Event::RunFinished(Arc::new(RunReport {
            started_at: SystemTime::UNIX_EPOCH,
            mode: Mode::Concurrent,
            in_flight_limit: 2,
            in_flight_max: 2,
            wall: Duration::ZERO,
            devices: Vec::new(),
            busy: Vec::new(),
            abandoned_threads: 0,
            forecast: forecast(),
            commits: Vec::new(),
            archive_trouble: None,
        })));
        let drawn = locked(&shown.0).clone();
        screen.suspend(|| ());
        assert_eq!(*locked(&shown.0), drawn);
        assert!(is_clear(&drawn), "{drawn:?}");
    }
}
