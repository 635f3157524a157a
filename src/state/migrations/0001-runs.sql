-- Times are milliseconds since 1970 (UTC), `_ms` at the end of a name; durations too.
-- Words (outcome, stage, kind, ...) are those of the report.

-- One row per run. `ended_ms` and `wall_ms` are NULL while it is under way; `broken_off` is 1 where
-- its process was gone before its end.
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    wall_ms INTEGER,
    broken_off INTEGER NOT NULL DEFAULT 0,
    mode TEXT NOT NULL,
    trigger TEXT NOT NULL,
    total INTEGER NOT NULL,
    succeeded INTEGER NOT NULL DEFAULT 0,
    not_saved INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    new INTEGER NOT NULL DEFAULT 0,
    changed INTEGER NOT NULL DEFAULT 0,
    unchanged INTEGER NOT NULL DEFAULT 0
) STRICT;

-- One row per device that ever took part; `key` is its name in lower case, because names are unique
-- ignoring case. What is asked for often stands here, so that nothing has to be searched.
CREATE TABLE devices (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    -- How it last ended, cancelled runs left out.
    last_run INTEGER,
    last_ms INTEGER,
    last_outcome TEXT,
    -- Its last good backup, and how long that took.
    good_ms INTEGER,
    took_ms INTEGER,
    -- Its last failure, and failed runs since the last good backup.
    failed_ms INTEGER,
    failed_stage TEXT,
    failed_kind TEXT,
    failed_message TEXT,
    failures INTEGER NOT NULL DEFAULT 0,
    -- When it is due, and when that was decided.
    due_ms INTEGER,
    due_decided_ms INTEGER,
    -- Breaker: runs in a row that could not reach it, and the rest it is in.
    unreachable INTEGER NOT NULL DEFAULT 0,
    rest_cause TEXT,
    rest_since_ms INTEGER,
    rest_until_ms INTEGER,
    rest_number INTEGER,
    -- Crashes of wrmem's own code, and the quarantine they led to.
    crashes INTEGER NOT NULL DEFAULT 0,
    crashed_ms INTEGER,
    quarantine_since_ms INTEGER,
    quarantine_until_ms INTEGER
) STRICT;

-- How each device of each run ended.
CREATE TABLE outcomes (
    run INTEGER NOT NULL,
    device INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    stage TEXT,
    kind TEXT,
    message TEXT,
    stored TEXT,
    bytes INTEGER,
    sha256 BLOB,
    -- Lines gained and lost, where the config replaced another one.
    added INTEGER,
    removed INTEGER,
    took_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    PRIMARY KEY (run, device)
) STRICT, WITHOUT ROWID;

CREATE INDEX outcomes_of_device ON outcomes (device, run);

-- Credentials that devices refused, by the name they have in the settings.
CREATE TABLE credentials (
    name TEXT PRIMARY KEY,
    refused INTEGER NOT NULL,
    rest_since_ms INTEGER,
    rest_until_ms INTEGER
) STRICT, WITHOUT ROWID;

-- What happened besides: breakers, quarantines, releases, trouble with the state itself.
CREATE TABLE incidents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    device INTEGER,
    kind TEXT NOT NULL,
    message TEXT NOT NULL
) STRICT;

CREATE INDEX incidents_of_device ON incidents (device, id);

-- Devices that an operator released, with the credentials that they use. Whoever is at work takes note
-- and removes them.
CREATE TABLE releases (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device INTEGER NOT NULL,
    credentials TEXT
) STRICT;
