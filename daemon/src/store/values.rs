//! What plugins keep: bytes under a key, each plugin's own, each with the label of what it was made from.

use super::{Store, StoreError, json, unjson};
use crate::types::Label;
use rusqlite::{Connection, OptionalExtension, params};

/// What the labels of a plugin's values may take together: so many bytes, and so many times the quota.
const LABELS: u64 = 16 << 10;
const LABELS_SHARE: u64 = 4;

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub value: Vec<u8>,
    pub label: Label,
}

/// A change of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    pub plugin: String,
    pub key: String,
    pub value: Vec<u8>,
    pub label: Label,
    /// Only if the value still is this (`Some(None)`: absent).
    pub old: Option<Option<Vec<u8>>>,
    /// Bytes of keys and values that the plugin may keep.
    pub quota: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    #[error("there is room for {0} bytes, keys included, and this does not fit")]
    Quota(u64),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    pub async fn value(&self, plugin: &str, key: &str) -> Result<Option<Kept>, StoreError> {
        let (plugin, key) = (plugin.to_owned(), key.to_owned());
        self.with(move |db| kept(db, &plugin, &key)).await
    }

    /// Sets a value; false when it is no longer the one that the change expects.
    ///
    /// # Errors
    /// [`ValueError::Quota`] when it would not fit; nothing is changed then.
    pub async fn put_value(&self, put: Put) -> Result<bool, ValueError> {
        let quota = put.quota;
        match self.with(move |db| store(db, &put)).await? {
            Some(done) => Ok(done),
            None => Err(ValueError::Quota(quota)),
        }
    }

    /// True if there was something to delete.
    pub async fn delete_value(&self, plugin: &str, key: &str) -> Result<bool, StoreError> {
        let (plugin, key) = (plugin.to_owned(), key.to_owned());
        let sql = "DELETE FROM plugin_values WHERE plugin = ?1 AND key = ?2";
        self.with(move |db| Ok(db.execute(sql, [plugin, key])? > 0)).await
    }

    /// Keys that begin with `prefix`, in order, and the labels of their values joined.
    pub async fn value_keys(&self, plugin: &str, prefix: &str) -> Result<(Vec<String>, Label), StoreError> {
        let (plugin, prefix) = (plugin.to_owned(), prefix.to_owned());
        self.with(move |db| {
            let sql = "SELECT key, label FROM plugin_values WHERE plugin = ?1 AND substr(key, 1, ?2) = ?3 ORDER BY key";
            let mut query = db.prepare_cached(sql)?;
            let length = prefix.chars().count() as i64;
            let rows = query.query_map(params![plugin, length, prefix], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })?;
            let (mut keys, mut label) = (Vec::new(), Label::owner());
            for row in rows {
                let (key, stored) = row?;
                label.join(&unjson(&stored)?);
                keys.push(key);
            }
            Ok((keys, label))
        })
        .await
    }

    /// Takes away everything that a plugin kept, planned or was allowed once for all.
    pub async fn forget_plugin(&self, plugin: &str) -> Result<(), StoreError> {
        let plugin = plugin.to_owned();
        self.with(move |db| {
            let change = db.transaction()?;
            for table in ["plugin_values", "notices", "standing_rules"] {
                change.execute(&format!("DELETE FROM {table} WHERE plugin = ?1"), [&plugin])?;
            }
            change.commit()?;
            // What was deleted still stands in the log until it is written back.
            db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        })
        .await
    }
}

fn kept(db: &Connection, plugin: &str, key: &str) -> rusqlite::Result<Option<Kept>> {
    let row = db
        .prepare_cached("SELECT value, label FROM plugin_values WHERE plugin = ?1 AND key = ?2")?
        .query_row([plugin, key], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    row.map(|(value, label)| Ok(Kept { value, label: unjson(&label)? })).transpose()
}

/// `None` when it does not fit.
fn store(db: &mut Connection, put: &Put) -> rusqlite::Result<Option<bool>> {
    let change = db.transaction()?;
    let now = kept(&change, &put.plugin, &put.key)?;
    if let Some(old) = &put.old
        && *old != now.as_ref().map(|kept| kept.value.clone())
    {
        return Ok(Some(false));
    }
    let label = json(&put.label)?;
    let sql = "SELECT coalesce(sum(length(CAST(key AS BLOB)) + length(value)), 0),
               coalesce(sum(length(CAST(label AS BLOB))), 0)
               FROM plugin_values WHERE plugin = ?1 AND key <> ?2";
    let (others, labels): (i64, i64) =
        change.query_row(sql, [&put.plugin, &put.key], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let kept = others as u64 + (put.key.len() + put.value.len()) as u64;
    if kept > put.quota || labels as u64 + label.len() as u64 > LABELS + LABELS_SHARE * put.quota {
        return Ok(None);
    }
    change.execute(
        "INSERT OR REPLACE INTO plugin_values (plugin, key, value, label) VALUES (?1, ?2, ?3, ?4)",
        params![put.plugin, put.key, put.value, label],
    )?;
    change.commit()?;
    Ok(Some(true))
}
