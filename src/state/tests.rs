//! The state database: what is written is read again, whatever happened in between.

use super::database::Database;
use super::journal::{
    DeviceEnded, Entry, Journal, More, Remembered, RunBegan, RunEnded, RunKey, StateJournal, Weight,
};
use super::keep::Keep;
use super::queries::Reader;
use super::release::{Held, release};
use super::*;
use crate::model::device::DeviceName;
use crate::model::durable::{Unwatched, Watch};
use crate::model::failure::{Failure, FailureKind};
use crate::model::health::{CredentialHealth, Health, Period, Released, Rest, RestCause};
use crate::model::history::{Due, Incident, RunEnd, RunNumber, Trigger};
use crate::model::report::{Counts, Lines, Mode, Outcome, Stored, StoredKind};
use crate::model::stage::Stage;
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

fn name(text: &str) -> DeviceName {
    DeviceName::new(text).unwrap()
}

const FOR_GOOD: Keep = Keep {
    age: Duration::from_secs(400 * 86_400),
    outcomes: 1_000_000,
    incidents: 10_000,
};

fn unwatched() -> Arc<dyn Watch> {
    Arc::new(Unwatched)
}

fn begin(dir: &Path) -> (StateJournal, Remembered) {
    let (journal, remembered) = StateJournal::begin(dir, FOR_GOOD, at(0), unwatched());
    (journal, remembered.unwrap())
}

fn began(run: u64, seconds: u64, devices: usize) -> Entry {
    Entry::RunBegan(RunBegan {
        run: RunKey(run),
        started: at(seconds),
        mode: Mode::Concurrent,
        trigger: Trigger::Schedule,
        devices,
    })
}

fn ended(run: u64, device: &str, seconds: u64, outcome: Outcome) -> DeviceEnded {
    let good = matches!(outcome, Outcome::Ok | Outcome::NotSaved(_));
    DeviceEnded {
        run: RunKey(run),
        device: name(device),
        ended: at(seconds),
        outcome,
        weight: Weight::Counts,
        stored: good.then_some(Stored {
            kind: StoredKind::Changed,
            lines: Some(Lines {
                added: 3,
                removed: 1,
            }),
            bytes: 4096,
            sha256: [7; 32],
            notes: Vec::new(),
        }),
        took: Duration::from_millis(1250),
        attempts: 1,
        health: None,
    }
}

fn device(run: u64, device: &str, seconds: u64, outcome: Outcome) -> Entry {
    Entry::DeviceEnded(Box::new(ended(run, device, seconds, outcome)))
}

fn over(run: u64, seconds: u64, counts: Counts) -> Entry {
    Entry::RunEnded(RunEnded {
        run: RunKey(run),
        ended: at(seconds),
        wall: Duration::from_secs(9),
        counts,
    })
}

fn failed(kind: FailureKind) -> Outcome {
    Outcome::Failed(Failure::new(Stage::Connect, kind, format!("it was {kind}")))
}

fn not_saved() -> Outcome {
    Outcome::NotSaved(Failure::new(Stage::Save, FailureKind::SaveFailed, "no OK"))
}

/// One run in which everything happened that can.
fn eventful(journal: &mut StateJournal) {
    let counts = Counts {
        total: 4,
        succeeded: 1,
        not_saved: 1,
        failed: 1,
        cancelled: 1,
        changed: 2,
        ..Counts::default()
    };
    let cancelled = Failure::new(Stage::Backup, FailureKind::Cancelled, "interrupted");
    let health = Health {
        unreachable: 3,
        rest: Some(Rest {
            cause: RestCause::Unreachable,
            period: Period::new(at(12), Duration::from_secs(300)),
            number: 2,
        }),
        crashes: 3,
        crashed: Some(at(11)),
        quarantine: Some(Period::new(at(12), Duration::from_secs(86_400))),
    };
    let dead = DeviceEnded {
        health: Some(health),
        ..ended(1, "Dead", 12, failed(FailureKind::Connect))
    };
    let refused = CredentialHealth {
        refused: 3,
        rest: Some(Period::new(at(12), Duration::from_secs(1800))),
    };
    let due = Due {
        at: at(3600),
        decided: at(10),
    };
    let entries = [
        began(1, 1, 4),
        device(1, "fine", 10, Outcome::Ok),
        device(1, "unsaved", 11, not_saved()),
        Entry::DeviceEnded(Box::new(dead)),
        device(1, "cut", 13, Outcome::Cancelled(cancelled)),
        Entry::Credentials("lab".to_owned(), refused),
        Entry::Due(vec![(name("fine"), due), (name("later"), due)]),
        Entry::Incident(Incident {
            at: at(12),
            device: Some(name("Dead")),
            kind: "breaker".to_owned(),
            message: "opened".to_owned(),
        }),
        over(1, 14, counts),
    ];
    journal.write(&entries, at(14)).unwrap();
}

#[test]
fn what_was_written_is_read_again_by_name_in_any_case() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, before) = begin(dir.path());
    assert_eq!(before, Remembered::default());
    eventful(&mut journal);
    drop(journal);
    let reader = Reader::open(dir.path()).unwrap();
    let queries = reader.queries();

    let states = queries.devices().unwrap();
    let names: Vec<_> = states.iter().map(|state| state.name.as_str()).collect();
    assert_eq!(names, ["cut", "Dead", "fine", "later", "unsaved"]);
    let fine = queries.device("FINE").unwrap().unwrap();
    assert_eq!(fine.good, Some(at(10)));
    assert_eq!(fine.took, Some(Duration::from_millis(1250)));
    assert_eq!(fine.last.unwrap().outcome, Outcome::Ok);
    assert_eq!(fine.due.unwrap().at, at(3600));
    assert_eq!(fine.failed, None);
    let unsaved = queries.device("unsaved").unwrap().unwrap();
    assert_eq!(unsaved.good, Some(at(11)), "its config is there");
    assert_eq!(unsaved.last.unwrap().outcome, not_saved());
    let dead = queries.device("dead").unwrap().unwrap();
    assert_eq!((dead.good, dead.failures), (None, 1));
    assert_eq!(dead.failed.unwrap().failure.message, "it was connect");
    assert_eq!(dead.health.rest.unwrap().number, 2);
    let cut = queries.device("cut").unwrap().unwrap();
    assert_eq!((cut.last, cut.good, cut.failures), (None, None, 0));

    let runs = queries.runs(10).unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].end, RunEnd::After(Duration::from_secs(9)));
    assert_eq!(runs[0].trigger, Trigger::Schedule);
    assert_eq!((runs[0].counts.total, runs[0].counts.changed), (4, 2));
    let outcomes = queries.outcomes(RunNumber(1)).unwrap();
    let order: Vec<_> = outcomes.iter().map(|past| past.device.as_str()).collect();
    assert_eq!(order, ["fine", "unsaved", "Dead", "cut"]);
    assert_eq!(outcomes[0].stored, ended(1, "fine", 10, Outcome::Ok).stored);
    assert_eq!(queries.history("Fine", 5).unwrap().len(), 1);
    assert_eq!(queries.incidents_of("dead", 5).unwrap()[0].kind, "breaker");
    assert_eq!(queries.dues().unwrap().len(), 2);
    assert_eq!(queries.device_times().unwrap().len(), 2);
    drop(reader);

    let (_, again) = begin(dir.path());
    assert_eq!(again.devices, [(name("Dead"), dead.health)]);
    assert_eq!(again.credentials[0].1.refused, 3);
}

#[test]
fn failures_add_up_and_a_good_backup_ends_them() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = begin(dir.path());
    let left_alone = DeviceEnded {
        weight: Weight::LeftAlone,
        ..ended(3, "r1", 30, failed(FailureKind::Timeout))
    };
    let entries = [
        began(1, 1, 1),
        device(1, "r1", 10, failed(FailureKind::Connect)),
        began(2, 2, 1),
        device(2, "r1", 20, failed(FailureKind::Reset)),
        began(3, 3, 1),
        Entry::DeviceEnded(Box::new(left_alone)),
    ];
    journal.write(&entries, at(30)).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let state = reader.queries().device("r1").unwrap().unwrap();
    assert_eq!(state.failures, 2, "a device left alone did not fail again");
    assert_eq!(state.failed.unwrap().failure.kind, FailureKind::Reset);
    assert_eq!(reader.queries().history("r1", 9).unwrap().len(), 3);
    let good = [began(4, 4, 1), device(4, "R1", 40, Outcome::Ok)];
    journal.write(&good, at(40)).unwrap();
    let state = reader.queries().device("r1").unwrap().unwrap();
    assert_eq!(state.failures, 0);
    assert_eq!(state.name.as_str(), "R1", "as it is written now");
    assert_eq!(state.last.unwrap().outcome, Outcome::Ok);
    assert!(state.failed.is_some(), "the last failure is still known");
}

#[test]
fn a_run_whose_process_is_gone_is_closed_by_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = begin(dir.path());
    let entries = [
        began(1, 1, 3),
        device(1, "a", 10, Outcome::Ok),
        device(1, "b", 11, failed(FailureKind::Connect)),
    ];
    journal.write(&entries, at(11)).unwrap();
    // Nothing is closed in order: the files are as after `kill -9`.
    let killed = tempfile::tempdir().unwrap();
    for file in fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), killed.path().join(file.file_name())).unwrap();
    }
    let (mut next, _) = begin(killed.path());
    next.write(&[began(1, 100, 3)], at(100)).unwrap();
    let reader = Reader::open(killed.path()).unwrap();
    let runs = reader.queries().runs(9).unwrap();
    assert_eq!(runs[0].end, RunEnd::UnderWay);
    assert_eq!(runs[1].end, RunEnd::BrokenOff);
    let counts = runs[1].counts;
    assert_eq!((counts.total, counts.succeeded, counts.failed), (3, 1, 1));
    let a = reader.queries().device("a").unwrap().unwrap();
    assert_eq!(a.good, Some(at(10)), "what was done by then counts");
}

#[test]
fn only_the_owner_can_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = begin(dir.path());
    eventful(&mut journal);
    for file in ["wrmem.db", "wrmem.db-wal", "wrmem.db-shm"] {
        let mode = fs::metadata(dir.path().join(file)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_commit_is_synced_in_full() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Database::open(dir.path(), at(0), &unwatched()).unwrap();
    let pragma = |name: &str| {
        let sql = format!("PRAGMA {name}");
        let connection = &opened.database.connection;
        connection.query_row(&sql, [], |row| row.get::<_, rusqlite::types::Value>(0))
    };
    assert_eq!(pragma("synchronous").unwrap(), 2.into());
    assert_eq!(pragma("journal_mode").unwrap(), "wal".to_owned().into());
}

/// The tables of a database, as SQL.
fn tables(connection: &Connection) -> Vec<String> {
    let mut statement = connection
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name")
        .unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn fixture_path(version: i64) -> String {
    let project = env!("CARGO_MANIFEST_DIR");
    format!("{project}/tests/fixtures/state/v{version}.sql")
}

fn fixture(version: i64) -> String {
    let path = fixture_path(version);
    fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{path}: {error}; add a database as version {version} wrote it, see schema.rs")
    })
}

/// Not a test: writes the fixture of the present version, from an eventful run. To be run before a
/// migration is added.
#[test]
#[ignore = "writes a fixture"]
fn write_the_fixture_of_this_version() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = begin(dir.path());
    eventful(&mut journal);
    let database = Database::open(dir.path(), at(0), &unwatched())
        .unwrap()
        .database;
    fs::write(fixture_path(schema::current()), dump(&database.connection)).unwrap();
}

/// The whole database as SQL that makes it anew.
fn dump(connection: &Connection) -> String {
    let pragma = |name: &str| -> i64 {
        let sql = format!("PRAGMA {name}");
        connection.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    let mut sql = format!(
        "PRAGMA application_id = {};\nPRAGMA user_version = {};\n",
        pragma("application_id"),
        pragma("user_version")
    );
    let texts = |query: &str| -> Vec<(String, String)> {
        let mut statement = connection.prepare(query).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    };
    let made =
        "FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid";
    for (_, statement) in texts(&format!("SELECT name, sql {made}")) {
        sql.push_str(&format!("{statement};\n"));
    }
    for (kind, table) in texts(&format!("SELECT type, name {made}")) {
        if kind != "table" {
            continue;
        }
        let columns = texts(&format!(
            "SELECT name, 'quote(' || name || ')' FROM pragma_table_info('{table}')"
        ));
        let quoted: Vec<_> = columns.into_iter().map(|(_, quoted)| quoted).collect();
        let rows = format!("SELECT '', {} FROM {table}", quoted.join(" || ', ' || "));
        for (_, row) in texts(&rows) {
            sql.push_str(&format!("INSERT INTO {table} VALUES ({row});\n"));
        }
    }
    sql
}

#[test]
fn a_database_of_every_earlier_version_is_brought_up_to_date() {
    let fresh = tempfile::tempdir().unwrap();
    let fresh = Database::open(fresh.path(), at(0), &unwatched())
        .unwrap()
        .database;
    for version in 1..=schema::current().max(2) - 1 {
        let dir = tempfile::tempdir().unwrap();
        let old = Connection::open(file_in(dir.path())).unwrap();
        old.execute_batch(&fixture(version)).unwrap();
        let written: i64 = old
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap();
        assert_eq!(written, version);
        drop(old);
        let (mut journal, remembered) = begin(dir.path());
        // Every fixture holds the eventful run.
        assert_eq!(remembered.devices.len(), 1, "v{version}");
        let reader = Reader::open(dir.path()).unwrap();
        let queries = reader.queries();
        assert_eq!(queries.outcomes(RunNumber(1)).unwrap().len(), 4);
        assert_eq!(queries.device("fine").unwrap().unwrap().good, Some(at(10)));
        assert_eq!(queries.incidents(9).unwrap().len(), 1);
        eventful(&mut journal);
        assert_eq!(queries.runs(9).unwrap().len(), 2, "v{version}");
        let opened = Database::open(dir.path(), at(0), &unwatched())
            .unwrap()
            .database;
        assert_eq!(
            tables(&opened.connection),
            tables(&fresh.connection),
            "v{version}: as if it had been made today"
        );
    }
}

#[test]
fn what_is_not_ours_is_refused_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = file_in(dir.path());
    let newer = Connection::open(&path).unwrap();
    newer
        .execute_batch(&format!(
            "CREATE TABLE x (y); PRAGMA application_id = {}; PRAGMA user_version = 99",
            schema::APPLICATION_ID
        ))
        .unwrap();
    drop(newer);
    let before = fs::read(&path).unwrap();
    let refused = Database::open(dir.path(), at(0), &unwatched())
        .unwrap_err()
        .to_string();
    assert!(refused.contains("newer wrmem (schema 99"), "{refused}");
    let reading = Reader::open(dir.path()).unwrap_err().to_string();
    assert!(reading.contains("newer wrmem"), "{reading}");
    assert_eq!(fs::read(&path).unwrap(), before);

    fs::remove_file(&path).unwrap();
    let foreign = Connection::open(&path).unwrap();
    foreign.execute_batch("CREATE TABLE x (y)").unwrap();
    drop(foreign);
    let refused = Database::open(dir.path(), at(0), &unwatched())
        .unwrap_err()
        .to_string();
    assert!(refused.contains("not wrmem's database"), "{refused}");
    assert!(refused.contains("state.dir"), "{refused}");
}

#[test]
fn a_reader_tells_what_is_missing_or_old() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Reader::open(dir.path()).unwrap_err().to_string();
    assert!(missing.contains("nothing is recorded"), "{missing}");
    assert!(!file_in(dir.path()).exists(), "asking makes nothing");
    // A process that was killed right after it made the file.
    fs::write(file_in(dir.path()), "").unwrap();
    let empty = Reader::open(dir.path()).unwrap_err().to_string();
    assert!(empty.contains("nothing is recorded"), "{empty}");
}

fn set_aside(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("damaged") && !name.ends_with("-wal"))
        .filter(|name| !name.ends_with("-shm"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_damaged_database_is_put_aside_and_a_fresh_one_begun() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(file_in(dir.path()), "this is no database, whatever it was").unwrap();
    let (mut journal, remembered) = begin(dir.path());
    assert_eq!(remembered, Remembered::default());
    eventful(&mut journal);
    drop(journal);
    assert_eq!(set_aside(dir.path()), ["wrmem.db.damaged-1700000000"]);
    let reader = Reader::open(dir.path()).unwrap();
    let told = reader.queries().incidents(9).unwrap();
    assert_eq!(told.last().unwrap().kind, "damaged");
    // And once more, with the first one still there.
    drop(reader);
    fs::write(file_in(dir.path()), "again").unwrap();
    begin(dir.path());
    assert_eq!(set_aside(dir.path()).len(), 2);
}

#[test]
fn damage_in_the_middle_is_found_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = begin(dir.path());
    for run in 1..200 {
        let entries: Vec<_> = std::iter::once(began(run, run, 20))
            .chain((0..20).map(|d| device(run, &format!("r{d}"), run, Outcome::Ok)))
            .collect();
        journal.write(&entries, at(run)).unwrap();
    }
    drop(journal);
    let path = file_in(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0x5a);
    fs::write(&path, &bytes).unwrap();
    // The log of a process that did not close it.
    fs::write(dir.path().join("wrmem.db-wal"), "x").unwrap();
    let (mut journal, _) = begin(dir.path());
    assert_eq!(set_aside(dir.path()).len(), 1);
    eventful(&mut journal);
}

#[test]
fn damage_found_while_a_run_goes_on_costs_the_past_and_not_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = begin(dir.path());
    let first = [began(7, 1, 2), device(7, "a", 10, Outcome::Ok)];
    journal.write(&first, at(10)).unwrap();
    // Everything up to here is in the database and no longer in the log.
    let other = Connection::open(file_in(dir.path())).unwrap();
    other
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(other);
    let path = file_in(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].fill(0x5a);
    fs::write(&path, &bytes).unwrap();
    let counts = Counts {
        total: 2,
        succeeded: 2,
        ..Counts::default()
    };
    let rest = [device(7, "b", 20, Outcome::Ok), over(7, 21, counts)];
    // What is cached still shows the old pages; a fresh look is what finds the damage.
    journal.forget_cache();
    journal.write(&rest, at(21)).unwrap();
    assert_eq!(set_aside(dir.path()).len(), 1);
    let reader = Reader::open(dir.path()).unwrap();
    let runs = reader.queries().runs(9).unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].counts.succeeded, 2);
    assert_eq!(runs[0].started, at(1), "the run under way began anew");
    assert!(reader.queries().device("b").unwrap().is_some());
}

#[test]
fn a_failed_batch_leaves_nothing_and_may_be_handed_in_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = begin(dir.path());
    let entries = [began(1, 1, 1), device(1, "a", 10, Outcome::Ok)];
    let blocker = Connection::open(file_in(dir.path())).unwrap();
    blocker
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON outcomes BEGIN SELECT RAISE(ABORT, 'full'); END",
        )
        .unwrap();
    assert!(journal.write(&entries, at(10)).is_err());
    let reader = Reader::open(dir.path()).unwrap();
    assert!(reader.queries().runs(9).unwrap().is_empty());
    blocker.execute_batch("DROP TRIGGER full").unwrap();
    journal.write(&entries, at(10)).unwrap();
    assert_eq!(reader.queries().runs(9).unwrap().len(), 1);
    assert_eq!(reader.queries().history("a", 9).unwrap().len(), 1);
}

#[test]
fn a_folder_that_is_not_there_yet_is_tried_again_with_every_write() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let (mut journal, remembered) = StateJournal::begin(&state, FOR_GOOD, at(0), unwatched());
    let told = remembered.unwrap_err().to_string();
    assert!(told.contains("wrmem.db"), "{told}");
    let entries = [began(1, 1, 1), device(1, "a", 10, Outcome::Ok)];
    assert!(journal.write(&entries, at(10)).is_err());
    fs::create_dir(&state).unwrap();
    journal.write(&entries, at(10)).unwrap();
    let reader = Reader::open(&state).unwrap();
    assert_eq!(reader.queries().runs(9).unwrap().len(), 1);
}

#[test]
fn readers_see_whole_batches_while_a_writer_is_at_work() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = begin(dir.path());
    journal.write(&[began(1, 1, 4000)], at(1)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let reader = Reader::open(dir.path()).unwrap();
                    let mut seen = 0;
                    let mut looks = 0;
                    while !done.load(Ordering::SeqCst) || looks == 0 {
                        let outcomes = reader.queries().outcomes(RunNumber(1)).unwrap().len();
                        assert_eq!(outcomes % 40, 0, "a batch was seen in part");
                        assert!(outcomes >= seen, "something went away");
                        seen = outcomes;
                        looks += 1;
                    }
                    reader.queries().outcomes(RunNumber(1)).unwrap().len()
                })
            })
            .collect();
        for batch in 0..100 {
            let entries: Vec<_> = (0..40)
                .map(|d| device(1, &format!("r{batch}-{d}"), 10, Outcome::Ok))
                .collect();
            journal.write(&entries, at(10)).unwrap();
        }
        done.store(true, Ordering::SeqCst);
        for reader in readers {
            assert_eq!(reader.join().unwrap(), 4000);
        }
    });
}

#[test]
fn an_operator_releases_beside_the_writer_which_takes_note_once() {
    let dir = tempfile::tempdir().unwrap();
    let of = |device: &str, credentials: Option<&str>| Released {
        device: name(device),
        credentials: credentials.map(str::to_owned),
    };
    let missing = release(dir.path(), &[of("a", None)], at(1)).unwrap_err();
    assert!(matches!(missing, StateError::Missing { .. }), "{missing}");
    let (mut journal, _) = begin(dir.path());
    eventful(&mut journal);
    let wanted = [
        of("dead", Some("lab")),
        of("fine", Some("lab")),
        of("x", None),
    ];
    let found = release(dir.path(), &wanted, at(50)).unwrap();
    assert_eq!(found[0].health.crashes, 3, "what was on record");
    assert_eq!(found[1].health, Health::default());
    assert_eq!(found[1].credentials.refused, 3, "shared with the first");
    assert_eq!(found[2], Held::default());
    assert_eq!(
        journal.released(at(60)).unwrap(),
        [of("dead", Some("lab")), of("fine", Some("lab"))]
    );
    assert!(journal.released(at(61)).unwrap().is_empty());
    let (_, remembered) = begin(dir.path());
    assert!(remembered.devices.is_empty() && remembered.credentials.is_empty());
    let reader = Reader::open(dir.path()).unwrap();
    assert!(reader.queries().device("x").unwrap().is_none());
}

/// Writes `count` runs of ten devices, one a day.
fn daily_runs(journal: &mut StateJournal, count: u64) {
    for run in 1..=count {
        let mut entries = vec![began(run, run * 86_400, 10)];
        entries.extend((0..10).map(|d| device(run, &format!("r{d}"), run, Outcome::Ok)));
        let counts = Counts {
            total: 10,
            succeeded: 10,
            ..Counts::default()
        };
        entries.push(over(run, run * 86_400 + 60, counts));
        entries.push(Entry::Incident(Incident {
            at: at(run * 86_400),
            device: None,
            kind: "test".to_owned(),
            message: String::new(),
        }));
        journal.write(&entries, at(run)).unwrap();
    }
}

fn left(dir: &Path) -> (usize, usize, usize) {
    let reader = Reader::open(dir).unwrap();
    let queries = reader.queries();
    (
        queries.runs(9999).unwrap().len(),
        queries.history("r1", 9999).unwrap().len(),
        queries.incidents(9999).unwrap().len(),
    )
}

fn prune_all(journal: &mut StateJournal, now: SystemTime) {
    while journal.prune(now).unwrap() == More::Yes {}
}

#[test]
fn what_is_old_goes_and_how_devices_stand_stays() {
    let dir = tempfile::tempdir().unwrap();
    let keep = Keep {
        age: Duration::from_secs(150 * 86_400),
        ..FOR_GOOD
    };
    let (mut journal, _) = StateJournal::begin(dir.path(), keep, at(0), unwatched());
    daily_runs(&mut journal, 300);
    prune_all(&mut journal, at(300 * 86_400 + 60));
    assert_eq!(left(dir.path()), (150, 150, 150));
    // A clock that is years ahead leaves the last hundred.
    prune_all(&mut journal, at(9000 * 86_400));
    assert_eq!(left(dir.path()), (100, 100, 100));
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(reader.queries().devices().unwrap().len(), 10);
}

#[test]
fn more_than_is_kept_goes_whatever_its_age_but_never_the_last_run() {
    let dir = tempfile::tempdir().unwrap();
    let keep = Keep {
        outcomes: 200,
        incidents: 30,
        ..FOR_GOOD
    };
    let (mut journal, _) = StateJournal::begin(dir.path(), keep, at(0), unwatched());
    daily_runs(&mut journal, 300);
    prune_all(&mut journal, at(300 * 86_400));
    assert_eq!(left(dir.path()), (20, 20, 30));
    let (mut journal, _) = StateJournal::begin(
        dir.path(),
        Keep {
            outcomes: 1,
            ..keep
        },
        at(0),
        unwatched(),
    );
    prune_all(&mut journal, at(300 * 86_400));
    assert_eq!(left(dir.path()).0, 1);
}

#[test]
fn times_before_1970_and_far_ahead_do_no_harm() {
    let early = SystemTime::UNIX_EPOCH - Duration::from_secs(5);
    assert_eq!(rows::time(rows::ms(early)), early);
    assert_eq!(rows::time(rows::ms(at(0))), at(0));
    let far = SystemTime::UNIX_EPOCH + Duration::from_millis(i64::MAX.unsigned_abs());
    assert_eq!(rows::time(rows::ms(far)), far);
    assert_eq!(rows::ms(far + Duration::from_secs(9)), i64::MAX);
    // Whatever stands there.
    rows::time(i64::MIN);
}
