//! Where the audit log ends, kept apart from the log itself: so a log that was cut short is found.

use super::{Store, StoreError};
use rusqlite::{OptionalExtension, params};

/// The last line that the log is known to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub lines: u64,
    /// BLAKE3 of that line, in hex.
    pub hash: String,
}

impl Store {
    pub async fn audit_head(&self) -> Result<Option<Head>, StoreError> {
        self.with(|db| {
            db.query_row("SELECT lines, hash FROM audit_head", [], |row| {
                Ok(Head { lines: row.get::<_, i64>(0)? as u64, hash: row.get(1)? })
            })
            .optional()
        })
        .await
    }

    /// Moves the head on. It never goes back.
    pub async fn set_audit_head(&self, head: &Head) -> Result<(), StoreError> {
        let head = head.clone();
        self.with(move |db| {
            db.execute(
                "INSERT INTO audit_head VALUES (1, ?1, ?2)
                 ON CONFLICT (one) DO UPDATE SET lines = ?1, hash = ?2 WHERE lines < ?1",
                params![head.lines as i64, head.hash],
            )?;
            Ok(())
        })
        .await
    }
}
