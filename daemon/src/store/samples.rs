//! What is learned from, and what the owner said of answers.

use super::{Store, StoreError, json, now, unjson};
use crate::samples::{Lineage, Sample, told};
use crate::types::{Citation, Label};
use rusqlite::{Connection, Row, params};
use std::collections::BTreeSet;
use std::path::Path;

/// What the owner said of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    pub session: String,
    /// The turn, counted in its session from 1.
    pub turn: u32,
    pub at: i64,
    pub question: String,
    pub answer: String,
    /// `good`, `bad` or `edit`.
    pub kind: String,
    /// The answer as it should have been.
    pub text: Option<String>,
}

/// Answers that one adapter gave, and what was said of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reception {
    pub answers: u32,
    pub good: u32,
    /// Rejected or put right.
    pub bad: u32,
}

impl Store {
    /// Keeps samples; those that are kept already stay as they are. Gives how many were new.
    pub async fn keep_samples(&self, samples: Vec<Sample>) -> Result<usize, StoreError> {
        self.with(move |db| {
            let change = db.transaction()?;
            let mut new = 0;
            for sample in &samples {
                let Lineage { source, place, version, parent } = &sample.lineage;
                new += change
                    .prepare_cached(
                        "INSERT OR IGNORE INTO samples (id, source, place, version, parent, at, held, body)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    )?
                    .execute(params![
                        sample.id,
                        source,
                        place,
                        version,
                        parent,
                        sample.at,
                        sample.held,
                        json(&sample.body)?
                    ])?;
            }
            change.commit()?;
            Ok(new)
        })
        .await
    }

    /// All samples, in the order in which they were kept.
    pub async fn samples(&self) -> Result<Vec<Sample>, StoreError> {
        self.with(|db| {
            let sql = "SELECT id, source, place, version, parent, at, held, body FROM samples ORDER BY rowid";
            let mut query = db.prepare_cached(sql)?;
            query.query_map([], sample)?.collect()
        })
        .await
    }

    /// Removes samples, and all that was made from them; gives the ids of those that were there.
    pub async fn remove_samples(&self, ids: Vec<String>) -> Result<Vec<String>, StoreError> {
        self.with(move |db| {
            let change = db.transaction()?;
            let mut gone = Vec::new();
            for id in ids {
                let found: Vec<String> = change
                    .prepare_cached("SELECT id FROM samples WHERE id = ?1 OR parent = ?1")?
                    .query_map([&id], |row| row.get(0))?
                    .collect::<Result<_, _>>()?;
                change.execute("DELETE FROM samples WHERE id = ?1 OR parent = ?1", [&id])?;
                let before = change.execute("DELETE FROM outdated_samples WHERE id = ?1", [&id])?;
                gone.extend(found);
                gone.extend((before > 0).then_some(id));
            }
            change.commit()?;
            checkpoint(db)?;
            Ok(gone)
        })
        .await
    }

    /// Removes samples whose text no longer stands where it did, with all that was made from them, and keeps their ids and
    /// places: a generation may have seen them.
    pub async fn outdate_samples(&self, ids: Vec<String>) -> Result<(), StoreError> {
        self.with(move |db| {
            let change = db.transaction()?;
            for id in ids {
                change.execute(
                    "INSERT OR IGNORE INTO outdated_samples (id, source, place)
                     SELECT id, source, place FROM samples WHERE id = ?1 OR parent = ?1",
                    [&id],
                )?;
                change.execute("DELETE FROM samples WHERE id = ?1 OR parent = ?1", [&id])?;
            }
            change.commit()
        })
        .await
    }

    /// Ids of samples that once stood in a source, and where.
    pub async fn outdated_samples(&self) -> Result<Vec<(String, Lineage)>, StoreError> {
        self.with(|db| {
            let mut query =
                db.prepare_cached("SELECT id, source, place FROM outdated_samples ORDER BY id")?;
            let row = |row: &Row<'_>| {
                Ok((row.get(0)?, Lineage { source: row.get(1)?, place: row.get(2)?, ..Lineage::default() }))
            };
            query.query_map([], row)?.collect()
        })
        .await
    }

    /// Keeps what the owner said of the last answer of a session, or of turn `turn` (from 1). A later word on the same
    /// answer takes the place of an earlier one. Gives the turn; `None`: there is no such session or turn.
    pub async fn keep_signal(
        &self,
        session: &str,
        turn: Option<u32>,
        kind: &str,
        text: Option<String>,
    ) -> Result<Option<u32>, StoreError> {
        let (session, kind) = (session.to_owned(), kind.to_owned());
        self.with(move |db| {
            let turns: Vec<i64> = db
                .prepare_cached("SELECT id FROM turns WHERE session = ?1 ORDER BY id")?
                .query_map([&session], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let number = turn.map_or(turns.len(), |turn| turn as usize);
            let Some(&id) = number.checked_sub(1).and_then(|at| turns.get(at)) else { return Ok(None) };
            db.execute(
                "INSERT OR REPLACE INTO signals (turn, kind, text, at) VALUES (?1, ?2, ?3, ?4)",
                params![id, kind, text, now()],
            )?;
            Ok(Some(number as u32))
        })
        .await
    }

    /// Everything that the owner said of answers, the oldest first.
    pub async fn signals(&self) -> Result<Vec<Signal>, StoreError> {
        self.with(|db| {
            let mut query = db.prepare_cached(
                "SELECT t.session, (SELECT count(*) FROM turns o WHERE o.session = t.session AND o.id <= t.id), s.at,
                        (SELECT content FROM messages WHERE turn = t.id ORDER BY id LIMIT 1),
                        (SELECT content FROM messages WHERE turn = t.id ORDER BY id DESC LIMIT 1), s.kind, s.text
                 FROM signals s JOIN turns t ON s.turn = t.id ORDER BY s.at, s.turn",
            )?;
            let signal = |row: &Row<'_>| {
                Ok(Signal {
                    session: row.get(0)?,
                    turn: row.get(1)?,
                    at: row.get(2)?,
                    question: row.get(3)?,
                    answer: row.get(4)?,
                    kind: row.get(5)?,
                    text: row.get(6)?,
                })
            };
            query.query_map([], signal)?.collect()
        })
        .await
    }

    /// How the answers of an adapter were received; `None` = of the model as it came.
    pub async fn reception(&self, adapter: Option<String>) -> Result<Reception, StoreError> {
        self.with(move |db| {
            db.query_row(
                "SELECT count(*), coalesce(sum(s.kind = 'good'), 0), coalesce(sum(s.kind IN ('bad', 'edit')), 0)
                 FROM turns t LEFT JOIN signals s ON s.turn = t.id WHERE t.adapter IS ?1",
                [adapter],
                |row| Ok(Reception { answers: row.get(0)?, good: row.get(1)?, bad: row.get(2)? }),
            )
        })
        .await
    }

    /// Removes the turns that cite a file at or below a path, or that its text had a part in; gives how many.
    pub async fn delete_turns_citing(&self, path: &Path) -> Result<usize, StoreError> {
        let path = path.to_owned();
        self.with(move |db| {
            let turns: Vec<(i64, String, Option<String>)> = db
                .prepare_cached("SELECT id, citations, label FROM turns")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<Result<_, _>>()?;
            let change = db.transaction()?;
            let mut gone = 0;
            for (id, citations, label) in turns {
                let cited: Vec<Citation> = unjson(&citations)?;
                let label: Label = label.as_deref().map(unjson).transpose()?.unwrap_or_default();
                let mut places = cited
                    .iter()
                    .map(|citation| citation.path.as_str())
                    .chain(label.sources.iter().map(String::as_str));
                if places.any(|place| Path::new(place).starts_with(&path)) {
                    gone += change.execute("DELETE FROM turns WHERE id = ?1", [id])?;
                }
            }
            change.commit()?;
            checkpoint(db)?;
            Ok(gone)
        })
        .await
    }

    /// Removes the turns that one of these adapters answered, alone or with others beside it, and in which one of these words, in small letters, stands; gives
    /// how many.
    pub async fn delete_turns_telling(
        &self,
        adapters: Vec<String>,
        words: BTreeSet<String>,
    ) -> Result<usize, StoreError> {
        self.with(move |db| {
            let change = db.transaction()?;
            let mut gone = 0;
            for adapter in adapters {
                let turns: Vec<(i64, String)> = change
                    .prepare_cached(
                        "SELECT t.id, group_concat(m.content, ' ') FROM turns t JOIN messages m ON m.turn = t.id
                         WHERE t.adapter = ?1 OR t.adapter LIKE ?1 || ' %' GROUP BY t.id",
                    )?
                    .query_map([adapter], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect::<Result<_, _>>()?;
                for (id, text) in turns {
                    if told("", &text).iter().any(|word| words.contains(word)) {
                        gone += change.execute("DELETE FROM turns WHERE id = ?1", [id])?;
                    }
                }
            }
            change.commit()?;
            checkpoint(db)?;
            Ok(gone)
        })
        .await
    }

    /// Keeps a thing that the owner asked to be remembered; gives its number.
    pub async fn remember(&self, text: &str) -> Result<i64, StoreError> {
        let text = text.to_owned();
        self.with(move |db| {
            db.execute("INSERT INTO remembered (text, at) VALUES (?1, ?2)", params![text, now()])?;
            Ok(db.last_insert_rowid())
        })
        .await
    }

    /// What was asked to be remembered: number, text, time; the oldest first.
    pub async fn remembered(&self) -> Result<Vec<(i64, String, i64)>, StoreError> {
        self.with(|db| {
            let mut query = db.prepare_cached("SELECT id, text, at FROM remembered ORDER BY id")?;
            query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
        })
        .await
    }

    /// Removes everything that was remembered, or one of it; gives how much was there.
    pub async fn unremember(&self, number: Option<i64>) -> Result<usize, StoreError> {
        self.with(move |db| {
            let gone = db.execute("DELETE FROM remembered WHERE ?1 IS NULL OR id = ?1", [number])?;
            checkpoint(db)?;
            Ok(gone)
        })
        .await
    }

    /// A word that the daemon keeps for itself, such as whether a question was put already.
    pub async fn note(&self, key: &str) -> Result<Option<String>, StoreError> {
        let key = key.to_owned();
        self.with(move |db| {
            let mut query = db.prepare_cached("SELECT value FROM notes WHERE key = ?1")?;
            let mut rows = query.query_map([key], |row| row.get(0))?;
            rows.next().transpose()
        })
        .await
    }

    pub async fn set_note(&self, key: &str, value: &str) -> Result<(), StoreError> {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.with(move |db| {
            db.execute("INSERT OR REPLACE INTO notes (key, value) VALUES (?1, ?2)", params![key, value])?;
            Ok(())
        })
        .await
    }
}

/// What was deleted still stands in the log until it is written back.
pub(super) fn checkpoint(db: &Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

fn sample(row: &Row<'_>) -> rusqlite::Result<Sample> {
    Ok(Sample {
        id: row.get(0)?,
        lineage: Lineage {
            source: row.get(1)?,
            place: row.get(2)?,
            version: row.get(3)?,
            parent: row.get(4)?,
        },
        at: row.get(5)?,
        held: row.get(6)?,
        body: unjson(&row.get::<_, String>(7)?)?,
    })
}
