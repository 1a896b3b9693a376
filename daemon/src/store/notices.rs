//! Notices to the owner: those that were sent, and those that are still to come.

use super::{Store, StoreError, json, now, unjson};
use crate::types::Label;
use rusqlite::{OptionalExtension, Row, params};

/// Sent notices that are kept; older ones go.
const KEPT: i64 = 500;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredNotice {
    pub id: i64,
    pub plugin: String,
    pub title: String,
    pub body: String,
    pub label: Label,
    /// Seconds since 1970, UTC, when it is or was due.
    pub at: i64,
    /// When it was sent; `None` while it is to come.
    pub sent: Option<i64>,
}

const COLUMNS: &str = "id, plugin, title, body, label, at, sent";

impl Store {
    /// Writes a notice down: sent now, or to be sent at `at`. Gives its id.
    pub async fn add_notice(
        &self,
        plugin: &str,
        (title, body): (&str, &str),
        label: &Label,
        at: Option<i64>,
    ) -> Result<i64, StoreError> {
        let (plugin, title, body, label) =
            (plugin.to_owned(), title.to_owned(), body.to_owned(), label.clone());
        self.with(move |db| {
            let sent = at.is_none().then(now);
            db.execute(
                "INSERT INTO notices (plugin, title, body, label, at, sent) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![plugin, title, body, json(&label)?, at.unwrap_or_else(now), sent],
            )?;
            let id = db.last_insert_rowid();
            db.execute(
                "DELETE FROM notices WHERE sent IS NOT NULL AND id <=
                   (SELECT id FROM notices WHERE sent IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET ?1)",
                [KEPT],
            )?;
            Ok(id)
        })
        .await
    }

    /// Takes back a notice that is still to come; false if there is none such.
    pub async fn cancel_notice(&self, plugin: &str, id: i64) -> Result<bool, StoreError> {
        let plugin = plugin.to_owned();
        let sql = "DELETE FROM notices WHERE plugin = ?1 AND id = ?2 AND sent IS NULL";
        self.with(move |db| Ok(db.execute(sql, params![plugin, id])? > 0)).await
    }

    /// A plugin's notices that are still to come, the next one first.
    pub async fn pending_notices(&self, plugin: &str) -> Result<Vec<StoredNotice>, StoreError> {
        let plugin = plugin.to_owned();
        self.with(move |db| {
            let sql =
                format!("SELECT {COLUMNS} FROM notices WHERE sent IS NULL AND plugin = ?1 ORDER BY at, id");
            db.prepare_cached(&sql)?.query_map([plugin], notice)?.collect()
        })
        .await
    }

    /// Everything that was sent (the last one first), and what all plugins still plan (the next one first).
    pub async fn notices(&self, most: usize) -> Result<(Vec<StoredNotice>, Vec<StoredNotice>), StoreError> {
        self.with(move |db| {
            let list = |sql: &str| -> rusqlite::Result<Vec<StoredNotice>> {
                let sql = format!("SELECT {COLUMNS} FROM notices WHERE {sql} LIMIT ?1");
                db.prepare_cached(&sql)?.query_map([most as i64], notice)?.collect()
            };
            Ok((list("sent IS NOT NULL ORDER BY sent DESC, id DESC")?, list("sent IS NULL ORDER BY at, id")?))
        })
        .await
    }

    /// How many notices of a plugin were sent since a moment.
    pub async fn notices_since(&self, plugin: &str, since: i64) -> Result<u32, StoreError> {
        let plugin = plugin.to_owned();
        let sql = "SELECT count(*) FROM notices WHERE plugin = ?1 AND sent > ?2";
        self.with(move |db| db.query_row(sql, params![plugin, since], |row| row.get(0))).await
    }

    /// Marks everything that is due as sent and gives it, with the moment when the next one is due.
    pub async fn send_due_notices(&self) -> Result<(Vec<StoredNotice>, Option<i64>), StoreError> {
        self.with(|db| {
            let change = db.transaction()?;
            let now = now();
            let sql =
                format!("UPDATE notices SET sent = ?1 WHERE sent IS NULL AND at <= ?1 RETURNING {COLUMNS}");
            let due: Vec<StoredNotice> =
                change.prepare_cached(&sql)?.query_map([now], notice)?.collect::<Result<_, _>>()?;
            let next = change
                .query_row("SELECT min(at) FROM notices WHERE sent IS NULL", [], |row| row.get(0))
                .optional()?
                .flatten();
            change.commit()?;
            Ok((due, next))
        })
        .await
    }
}

fn notice(row: &Row<'_>) -> rusqlite::Result<StoredNotice> {
    Ok(StoredNotice {
        id: row.get(0)?,
        plugin: row.get(1)?,
        title: row.get(2)?,
        body: row.get(3)?,
        label: unjson(&row.get::<_, String>(4)?)?,
        at: row.get(5)?,
        sent: row.get(6)?,
    })
}
