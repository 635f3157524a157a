//! Scheduler, supervisor and state together, over weeks of simulated time: devices that fail in every
//! way, a process that is killed again and again, an inventory that changes. All of it follows from a
//! seed. Afterwards nobody may have missed a turn or had one too many.

use super::messages::{
    AskSchedule, Drain, NotRecorded, Remember, RunOver, RunRefused, RunStatus, Scheduled,
    SetInventory, Settle, StartRun, Status, StopScheduling, Who, Withdraw,
};
use super::scheduler::{Scheduler, SchedulerParts, WallClock};
use super::supervisor::{Memory, Supervisor, tests as stubs};
use crate::flow::agenda::Missed;
use crate::flow::breaker::Breakers;
use crate::flow::schedule::{Cadence, CronTimes, Schedule, Seat};
use crate::model::device::DeviceName;
use crate::model::durable::Unwatched;
use crate::model::failure::FailureKind;
use crate::model::report::{Outcome, RunReport};
use crate::model::stage::Stage;
use crate::state::journal::{Entry, Journal, StateJournal};
use crate::state::keep::Keep;
use crate::state::queries::Reader;
use actix::{Actor, Addr, AsyncContext, Context, Handler, ResponseFuture, System};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use stubs::Act;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

const BEGIN: &str = "2026-10-05T00:00:00Z";
/// Summer time ends in it.
const WEEKS: i64 = 4;

/// What of the past is kept.
const KEEP: Keep = Keep {
    age: Duration::from_secs(365 * 86_400),
    outcomes: 500,
    incidents: 1_000,
};

/// Devices that become due within a slice form a run, and timers may be late by a little.
const SLICE: SignedDuration = SignedDuration::from_secs(62);

/// A turn that was missed is made up for within this, or by a regular one.
const CAUGHT_UP: SignedDuration = SignedDuration::from_secs(62 + 60);

thread_local! {
    static CLOCK: Cell<Option<(Instant, Timestamp)>> = const { Cell::new(None) };
}

/// What the clock on the wall shows: it goes on with tokio's stopped one.
fn now() -> Timestamp {
    let (began, at) = CLOCK.get().expect("a life has begun");
    at + SignedDuration::try_from(began.elapsed()).unwrap()
}

fn wall() -> SystemTime {
    now().into()
}

struct Wall;

impl WallClock for Wall {
    fn now(&self) -> Timestamp {
        now()
    }
}

/// A turn that the scheduler gave a device, and the attempts that became of it.
#[derive(Debug, Clone)]
struct Turn {
    at: Timestamp,
    run: usize,
    /// From its first attempt to its end, where it was told of and tried.
    tried: Option<(Timestamp, Timestamp)>,
    cancelled: bool,
}

type Turns = BTreeMap<DeviceName, Vec<Turn>>;

/// Stands between scheduler and supervisor and notes who has its turn when.
struct Witness {
    supervisor: Addr<Supervisor>,
    turns: Arc<Mutex<Turns>>,
    runs: usize,
}

impl Actor for Witness {
    type Context = Context<Self>;
}

impl Handler<StartRun> for Witness {
    type Result = ResponseFuture<Result<RunReport, RunRefused>>;

    fn handle(&mut self, start: StartRun, _: &mut Self::Context) -> Self::Result {
        let (at, run) = (now(), self.runs);
        self.runs += 1;
        let mut turns = self.turns.lock().unwrap();
        for device in &start.devices {
            let turn = Turn {
                at,
                run,
                tried: None,
                cancelled: false,
            };
            turns.entry(device.name.clone()).or_default().push(turn);
        }
        let (over, turns) = (self.supervisor.send(start), Arc::clone(&self.turns));
        Box::pin(async move {
            let report = over.await.expect("the supervisor lives")?;
            let mut turns = turns.lock().unwrap();
            for device in &report.devices {
                let of_device = turns.get_mut(&device.name).unwrap();
                let turn = of_device.iter_mut().rfind(|turn| turn.run == run).unwrap();
                let first = device.attempts.first().zip(device.attempts.last());
                turn.tried = first.map(|(first, last)| (at + first.began, at + last.ended));
                turn.cancelled = matches!(device.outcome, Outcome::Cancelled(_));
            }
            Ok(report)
        })
    }
}

/// Writes as the recorder does, but on this thread: another one would not stop with the clock.
struct Keeper {
    journal: StateJournal,
    waiting: Vec<Entry>,
    pruned: Timestamp,
}

impl Keeper {
    fn write(&mut self) {
        self.journal.write(&self.waiting, wall()).unwrap();
        self.waiting.clear();
        if now().duration_since(self.pruned) > SignedDuration::from_hours(1) {
            self.journal.prune(wall()).unwrap();
            self.pruned = now();
        }
    }
}

impl Actor for Keeper {
    type Context = Context<Self>;
}

impl Handler<Remember> for Keeper {
    type Result = ();

    fn handle(&mut self, Remember(entry): Remember, ctx: &mut Self::Context) {
        if self.waiting.is_empty() {
            ctx.run_later(Duration::from_millis(250), |keeper, _| keeper.write());
        }
        self.waiting.push(entry);
    }
}

impl Handler<Settle> for Keeper {
    type Result = Result<(), NotRecorded>;

    fn handle(&mut self, _: Settle, _: &mut Self::Context) -> Self::Result {
        self.write();
        Ok(())
    }
}

/// What a device does: mostly well, and in each way badly.
fn script(life: u64) -> impl Fn(&str, u32, Stage) -> Act + Send + Sync {
    move |name, attempt, stage| {
        let mut rng = chance(&format!("{life} {name} {attempt} {stage}"));
        // Some cannot be reached for a while, so that they rest.
        let dead = chance(&format!("{life} {name} {}", attempt / 12)).u8(..20) == 0;
        match (stage, rng.u32(..1000)) {
            (Stage::Connect, _) if dead => Act::Fail(FailureKind::Connect),
            (Stage::Connect, 0..4) => Act::Fail(FailureKind::AuthRefused),
            (_, 4..15) => Act::Fail(FailureKind::Truncated),
            (Stage::Backup, 15..19) => Act::Hang,
            (Stage::Backup, 25..27) => Act::Stuck,
            (_, 30..34) => Act::Panic,
            (Stage::Backup, 40..46) => Act::DoneAfter(Duration::from_secs(rng.u64(60..1200))),
            _ => Act::DoneAfter(Duration::from_millis(rng.u64(..2_000))),
        }
    }
}

/// Chance that is the same wherever the same is asked.
fn chance(of: &str) -> fastrand::Rng {
    let digest = Sha256::digest(of);
    let seed = digest.first_chunk().copied().unwrap_or_default();
    fastrand::Rng::with_seed(u64::from_le_bytes(seed))
}

/// A time for which a device was in the inventory with one schedule, in one life of the process.
struct Membership {
    device: DeviceName,
    schedule: Arc<Schedule>,
    from: Timestamp,
    until: Timestamp,
    done_until: Option<Timestamp>,
}

/// The operator's view: the inventory, and all that happened.
struct Story {
    rng: fastrand::Rng,
    schedules: Vec<Arc<Schedule>>,
    inventory: BTreeMap<DeviceName, Arc<Schedule>>,
    absent: Vec<DeviceName>,
    /// Those of all lives that are over.
    memberships: Vec<Membership>,
    turns: Turns,
}

fn hours(every: u64) -> Schedule {
    Schedule::every(Duration::from_secs(3600 * every))
}

impl Story {
    fn new(seed: u64) -> Self {
        let nightly = Schedule {
            cadence: Cadence::Cron("30 2 * * *".parse::<CronTimes>().unwrap()),
            window: Some("22:00-05:00".parse().unwrap()),
            finish_within: Some(Duration::from_secs(7200)),
            zone: TimeZone::get("Europe/Berlin").unwrap(),
        };
        let schedules: Vec<_> = [hours(6), hours(1), nightly, hours(12)]
            .map(Arc::new)
            .into();
        let inventory = (0..20).map(|number| {
            let name = DeviceName::new(&format!("sw{number}")).unwrap();
            // Few every hour, so that it stays quick.
            let kind = [1, 0, 0, 2, 3, 0, 2, 3, 3, 0][number % 10];
            (name, Arc::clone(&schedules[kind]))
        });
        Self {
            rng: fastrand::Rng::with_seed(seed),
            inventory: inventory.collect(),
            schedules,
            absent: Vec::new(),
            memberships: Vec::new(),
            turns: Turns::new(),
        }
    }

    /// Some devices go, some come back, one gets another schedule; those of which something changed.
    fn edit(&mut self) -> Vec<DeviceName> {
        let mut outdated = Vec::new();
        let back = self.absent.len() / 2;
        for name in self.absent.drain(..back) {
            let schedule = Arc::clone(self.rng.choice(&self.schedules).unwrap());
            self.inventory.insert(name, schedule);
        }
        for _ in 0..self.rng.usize(..4) {
            let names: Vec<_> = self.inventory.keys().cloned().collect();
            let name = self.rng.choice(names).unwrap();
            self.inventory.remove(&name);
            self.absent.push(name.clone());
            outdated.push(name);
        }
        let names: Vec<_> = self.inventory.keys().cloned().collect();
        let name = self.rng.choice(names).unwrap();
        let schedule = Arc::clone(self.rng.choice(&self.schedules).unwrap());
        if self.inventory.insert(name.clone(), Arc::clone(&schedule)) != Some(schedule) {
            outdated.push(name);
        }
        outdated
    }
}

/// One life of the process.
struct Life {
    supervisor: Addr<Supervisor>,
    scheduler: Addr<Scheduler>,
    over: mpsc::UnboundedReceiver<RunOver>,
    tried: HashMap<DeviceName, Timestamp>,
    turns: Arc<Mutex<Turns>>,
    members: BTreeMap<DeviceName, Membership>,
}

impl Life {
    fn begin(number: u64, dir: &Path) -> Self {
        let (journal, remembered) = StateJournal::begin(dir, KEEP, wall(), Arc::new(Unwatched));
        let remembered = remembered.unwrap();
        let tried = remembered.tried.iter();
        let tried = tried
            .map(|(name, at)| (name.clone(), Timestamp::try_from(*at).unwrap()))
            .collect();
        let keeper = Keeper {
            journal,
            waiting: Vec::new(),
            pruned: now(),
        }
        .start();
        let memory = Memory {
            remember: keeper.clone().recipient(),
            settle: keeper.clone().recipient(),
            breakers: Breakers::new(stubs::POLICY, remembered.devices, remembered.credentials),
            wall,
        };
        let supervisor = stubs::unheard(script(number), memory);
        let turns = Arc::new(Mutex::new(Turns::new()));
        let witness = Witness {
            supervisor: supervisor.clone(),
            turns: Arc::clone(&turns),
            runs: 0,
        };
        let (sender, over) = mpsc::unbounded_channel();
        let scheduler = Scheduler::new(SchedulerParts {
            supervisor: witness.start().recipient(),
            over: sender,
            remember: keeper.recipient(),
            clock: Box::new(Wall),
        });
        Self {
            supervisor,
            scheduler: scheduler.start(),
            over,
            tried,
            turns,
            members: BTreeMap::new(),
        }
    }

    /// The inventory is another one now.
    async fn set(&mut self, story: &mut Story) -> Missed {
        let mut before = std::mem::take(&mut self.members);
        for (name, schedule) in &story.inventory {
            let known = before.remove(name);
            let member = match known {
                Some(member) if member.schedule == *schedule => member,
                known => {
                    let turns = self.turns.lock().unwrap();
                    let last = turns.get(name).and_then(|turns| turns.last());
                    let since = known.as_ref().map(|known| known.from);
                    let had = last.filter(|turn| since.is_some_and(|since| turn.at >= since));
                    let tried = self.tried.get(name).copied();
                    let done_until = match (had, &known) {
                        (Some(turn), _) => Some(turn.at),
                        (None, Some(known)) => known.done_until,
                        (None, None) => tried,
                    };
                    story.memberships.extend(known.map(ended));
                    Membership {
                        device: name.clone(),
                        schedule: Arc::clone(schedule),
                        from: now(),
                        until: Timestamp::MAX,
                        done_until,
                    }
                }
            };
            self.members.insert(name.clone(), member);
        }
        story.memberships.extend(before.into_values().map(ended));
        let scheduled = |(name, schedule): (&DeviceName, &Arc<Schedule>)| Scheduled {
            who: Who::Sound(stubs::device(name.as_str())),
            schedule: Arc::clone(schedule),
            last_tried: self.tried.get(name).copied(),
        };
        let set = SetInventory {
            devices: story.inventory.iter().map(scheduled).collect(),
            in_flight: 8,
            logins: None,
            credentials_changed: None,
        };
        self.scheduler.send(set).await.unwrap()
    }

    /// Until it is killed: the inventory is edited now and then.
    async fn goes_on(&mut self, story: &mut Story, until: Timestamp) {
        self.set(story).await;
        loop {
            let edit = now() + SignedDuration::from_mins(story.rng.i64(5..1_500));
            let next = edit.min(until);
            sleep(Duration::try_from(next.duration_since(now())).unwrap()).await;
            while let Ok(over) = self.over.try_recv() {
                assert!(matches!(over, RunOver::Report(_)), "{over:?}");
            }
            if next == until {
                return;
            }
            let outdated = story.edit();
            self.supervisor.do_send(Withdraw(outdated));
            self.set(story).await;
            let known = self.scheduler.send(AskSchedule).await.unwrap();
            assert_eq!(known.devices, story.inventory.len());
        }
    }

    /// It is told to stop, and nothing is left of it.
    async fn drains(&mut self) {
        self.scheduler.send(StopScheduling).await.unwrap();
        let grace = Duration::from_secs(600);
        self.supervisor.send(Drain { grace }).await.unwrap();
        sleep(grace * 3).await;
        let status = self.supervisor.send(RunStatus).await.unwrap();
        let stuck = status.abandoned;
        let nothing = Status {
            in_flight: 0,
            queued: 0,
            in_backoff: 0,
            runs: 0,
            abandoned: stuck,
        };
        assert_eq!(status, nothing);
    }

    fn end(self, story: &mut Story) {
        story
            .memberships
            .extend(self.members.into_values().map(ended));
        let turns = std::mem::take(&mut *self.turns.lock().unwrap());
        for (name, turns) in turns {
            no_two_at_once(&name, &turns);
            story.turns.entry(name).or_default().extend(turns);
        }
    }
}

fn ended(membership: Membership) -> Membership {
    Membership {
        until: now(),
        ..membership
    }
}

fn no_two_at_once(name: &DeviceName, turns: &[Turn]) {
    let mut tried: Vec<_> = turns.iter().filter_map(|turn| turn.tried).collect();
    tried.sort_unstable();
    for (one, other) in tried.iter().zip(tried.iter().skip(1)) {
        assert!(
            one.1 <= other.0,
            "{name} is in two runs: {one:?}, {other:?}"
        );
    }
}

/// Runs one life in a system of its own, which ends as a killed process does: at once.
fn live(
    number: u64,
    dir: &Path,
    story: &mut Story,
    (from, until): (Timestamp, Timestamp),
    last: bool,
) {
    let system = System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    });
    system.block_on(async {
        CLOCK.set(Some((Instant::now(), from)));
        let mut life = Life::begin(number, dir);
        life.goes_on(story, until).await;
        if last {
            let members = std::mem::take(&mut life.members).into_values();
            story.memberships.extend(members.map(ended));
            life.drains().await;
        }
        life.end(story);
    });
}

impl Membership {
    fn turn_after(&self, at: Timestamp) -> Option<Timestamp> {
        self.schedule.next_after(Seat::of(&self.device), at)
    }

    /// Checks its turns; returns how many were due.
    fn check(&self, turns: &[Turn]) -> usize {
        let within = |turn: &&Turn| turn.at >= self.from && turn.at < self.until;
        let mine: Vec<&Turn> = turns.iter().filter(within).collect();
        let mut used = vec![false; mine.len()];
        let mut dues = 0;
        let mut due = self.turn_after(self.from);
        while let Some(at) = due.filter(|at| *at + SLICE < self.until) {
            let had = mine
                .iter()
                .zip(&mut used)
                .find(|(turn, used)| !**used && turn.at >= at && turn.at <= at + SLICE);
            match had {
                Some((_, used)) => *used = true,
                None => panic!("{self}: the turn at {at} is missing; it had {mine:#?}"),
            }
            dues += 1;
            due = self.turn_after(at);
        }
        // One that came right before the end may have been begun.
        let extra: Vec<_> = mine.iter().zip(&used).filter(|(_, used)| !**used).collect();
        let extra = extra
            .iter()
            .filter(|(turn, _)| due.is_none_or(|due| turn.at < due))
            .count();
        let missed = self
            .done_until
            .is_none_or(|done| self.turn_after(done.min(self.from)) != self.turn_after(self.from));
        let called_off = mine.iter().filter(|turn| turn.cancelled).count();
        let most = usize::from(missed) + called_off;
        assert!(extra <= most, "{self}: {extra} turns too many; {mine:#?}");
        if missed && self.schedule.is_open(self.from) && self.from + CAUGHT_UP < self.until {
            let soon = mine.iter().any(|turn| turn.at <= self.from + CAUGHT_UP);
            assert!(soon, "{self}: a missed turn is not caught up; {mine:#?}");
        }
        dues
    }
}

impl std::fmt::Display for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (from, until) = (self.from, self.until);
        write!(f, "{}, {}, {from} to {until}", self.device, self.schedule)
    }
}

#[test]
fn weeks_of_failures_kills_and_reloads_miss_no_turn_and_double_none() {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let folder = folder.unwrap();
    let mut story = Story::new(1);
    let begin: Timestamp = BEGIN.parse().unwrap();
    let end = begin + SignedDuration::from_hours(WEEKS * 7 * 24);
    let (mut from, mut lives) = (begin, 0);
    while from < end {
        let until = from + SignedDuration::from_mins(story.rng.i64(60..4_000));
        live(
            lives,
            folder.path(),
            &mut story,
            (from, until),
            until >= end,
        );
        let down = match story.rng.u8(..3) {
            0 => story.rng.i64(1..30),
            1 => story.rng.i64(30..1_800),
            _ => story.rng.i64(1_800..36_000),
        };
        from = until + SignedDuration::from_secs(down);
        lives += 1;
    }
    let empty = Vec::new();
    let dues: usize = story
        .memberships
        .iter()
        .map(|member| member.check(story.turns.get(&member.device).unwrap_or(&empty)))
        .sum();
    assert!(lives > 15 && dues > 1_500, "{lives} lives, {dues} turns");
    let turns = story.turns.values().map(Vec::len).sum::<usize>();
    state_is_bounded(folder.path(), turns, &story);
}

fn state_is_bounded(dir: &Path, turns: usize, story: &Story) {
    let reader = Reader::open(dir).unwrap();
    let queries = reader.queries();
    let names = story.inventory.len() + story.absent.len();
    assert_eq!(queries.devices().unwrap().len(), names);
    assert!(queries.dues().unwrap().len() <= names);
    let runs = queries.runs(1_000_000).unwrap();
    let kept: usize = runs.iter().map(|run| run.counts.total).sum();
    let most = usize::try_from(KEEP.outcomes).unwrap();
    // An hour's worth more, and whole runs.
    assert!(
        turns > 2 * most && kept > most / 2 && kept < most + 100,
        "{kept} outcomes are kept of {turns}"
    );
    let under_way = |run: &&crate::model::history::PastRun| {
        matches!(run.end, crate::model::history::RunEnd::UnderWay)
    };
    assert_eq!(runs.iter().filter(under_way).count(), 0);
}
