//! The database file itself: how it is opened, its tables, and the steps from each version to the next.

use super::{StoreError, explain};
use rusqlite::{Connection, OpenFlags};
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// Step `n` leads from version `n` to `n + 1`. Steps are never edited, only added.
const STEPS: [&str; 3] = [
    "
    CREATE TABLE sessions (
        id TEXT NOT NULL PRIMARY KEY,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE turns (
        id INTEGER PRIMARY KEY,
        session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        at INTEGER NOT NULL,
        model TEXT NOT NULL,
        adapter TEXT,
        citations TEXT NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX turns_of_session ON turns (session);
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY,
        turn INTEGER NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        role TEXT NOT NULL,
        content TEXT NOT NULL,
        tool_calls TEXT,
        tool_call_id TEXT
    ) STRICT;
    CREATE INDEX messages_of_turn ON messages (turn);
",
    "
    ALTER TABLE turns ADD COLUMN label TEXT;
    CREATE TABLE plugin_values (
        plugin TEXT NOT NULL,
        key TEXT NOT NULL,
        value BLOB NOT NULL,
        label TEXT NOT NULL,
        PRIMARY KEY (plugin, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE notices (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        plugin TEXT NOT NULL,
        title TEXT NOT NULL,
        body TEXT NOT NULL,
        label TEXT NOT NULL,
        at INTEGER NOT NULL,
        sent INTEGER
    ) STRICT;
    CREATE INDEX notices_by_time ON notices (sent, at);
    CREATE TABLE standing_rules (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        plugin TEXT NOT NULL,
        digest TEXT NOT NULL,
        tool TEXT NOT NULL,
        target TEXT NOT NULL,
        made INTEGER NOT NULL,
        UNIQUE (digest, tool, target)
    ) STRICT;
    CREATE TABLE audit_head (
        one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
        lines INTEGER NOT NULL,
        hash TEXT NOT NULL
    ) STRICT;
",
    "
    CREATE TABLE samples (
        id TEXT NOT NULL UNIQUE,
        source TEXT NOT NULL,
        place TEXT NOT NULL,
        version TEXT NOT NULL,
        parent TEXT,
        at INTEGER NOT NULL,
        held INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX samples_by_parent ON samples (parent);
    CREATE TABLE outdated_samples (
        id TEXT NOT NULL PRIMARY KEY,
        source TEXT NOT NULL,
        place TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE signals (
        turn INTEGER NOT NULL PRIMARY KEY REFERENCES turns (id) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        text TEXT,
        at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE remembered (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        text TEXT NOT NULL,
        at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE notes (
        key TEXT NOT NULL PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT;
",
];

/// Opens the file, makes it when there is none, checks it and brings it up to date.
pub fn open(path: &Path) -> Result<Connection, StoreError> {
    make_private(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(|error| explain(path, error))?;
    settle(&db).map_err(|error| explain(path, error))?;
    check(&db, path)?;
    migrate(&mut db, path)?;
    Ok(db)
}

/// Others must not read conversations: SQLite gives its side files the mode of the main one.
fn make_private(path: &Path) -> Result<(), StoreError> {
    let refused = |error: std::io::Error| StoreError::Open { path: path.into(), reason: error.to_string() };
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(refused)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(refused)?;
    Ok(())
}

/// Every acknowledged turn is on the disk (`FULL`), what is deleted is overwritten, and the page
/// cache stays within half a megabyte since the broker idles in little memory.
fn settle(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(Duration::from_secs(5))?;
    db.pragma_update(None, "cache_size", -512)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "secure_delete", true)
}

fn check(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let verdict: String =
        db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|error| explain(path, error))?;
    if verdict == "ok" { Ok(()) } else { Err(StoreError::Corrupt { path: path.into(), reason: verdict }) }
}

fn migrate(db: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let known = STEPS.len() as i64;
    let found: i64 =
        db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|error| explain(path, error))?;
    if found > known || found < 0 {
        return Err(StoreError::Newer { path: path.into(), found, known });
    }
    step(db, found as usize).map_err(|error| explain(path, error))
}

/// All steps or none: a kill in between leaves the old version whole.
fn step(db: &mut Connection, from: usize) -> rusqlite::Result<()> {
    let change = db.transaction()?;
    for sql in &STEPS[from..] {
        change.execute_batch(sql)?;
    }
    change.pragma_update(None, "user_version", STEPS.len() as i64)?;
    change.commit()
}
