//! What the owner allowed once for all. What a rule says is policy's; here it is text.

use super::{Store, StoreError, now};
use rusqlite::params;

/// A standing rule as it is stored: its number, the plugin, the package's digest, the tool, the target as
/// JSON, and when it was made (seconds since 1970).
pub type StoredRule = (i64, String, String, String, String, i64);

impl Store {
    /// Writes a rule down; one that stands already stays.
    pub async fn add_rule(
        &self,
        plugin: &str,
        digest: &str,
        tool: &str,
        target: &str,
    ) -> Result<(), StoreError> {
        let row = [plugin, digest, tool, target].map(str::to_owned);
        self.with(move |db| {
            let [plugin, digest, tool, target] = row;
            db.execute(
                "INSERT OR IGNORE INTO standing_rules (plugin, digest, tool, target, made)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![plugin, digest, tool, target, now()],
            )?;
            Ok(())
        })
        .await
    }

    /// All rules, the oldest first.
    pub async fn rules(&self) -> Result<Vec<StoredRule>, StoreError> {
        self.with(|db| {
            let sql = "SELECT id, plugin, digest, tool, target, made FROM standing_rules ORDER BY id";
            let mut query = db.prepare_cached(sql)?;
            let rows = query.query_map([], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
            })?;
            rows.collect()
        })
        .await
    }

    /// Takes a rule back; false if there is none with this number.
    pub async fn remove_rule(&self, id: i64) -> Result<bool, StoreError> {
        self.with(move |db| Ok(db.execute("DELETE FROM standing_rules WHERE id = ?1", [id])? > 0)).await
    }
}
