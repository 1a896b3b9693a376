//! What is known of each file, in SQLite: its stamp, its hash, and why it could not be read. The
//! catalog never runs ahead of the full-text index: before an index commit it notes which paths the
//! commit speaks of, after it it writes their rows, both durably. Whatever instant the process is
//! killed at, [`Catalog::open`] finds either no open note or one that says which paths to look at again.

use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;

/// Bumped when the tables change; another version means a rebuild from the files.
const VERSION: i64 = 1;

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    pub size: u64,
    pub mtime_ns: i64,
    pub ctime_ns: i64,
    pub inode: u64,
    pub device: u64,
}

/// A file as it was when it was last read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub stamp: Stamp,
    /// Read so soon after its last change that a later change may bear the same time.
    pub racy: bool,
    /// BLAKE3 in hex; empty for a file that could not be read.
    pub hash: String,
    /// Why it could not be read, or not to its end.
    pub error: Option<String>,
}

/// Sums over all rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub documents: u64,
    pub bytes: u64,
    pub failed: u64,
}

pub(super) struct Catalog {
    db: Connection,
}

/// The two halves of the index as one identity: the full-text side carries `id` and `sequence` in
/// its last commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub id: String,
    pub sequence: u64,
    /// A commit that was begun and not seen through, if any.
    pub begun: Option<u64>,
}

impl Catalog {
    /// Opens or creates the catalog. An error means that it is damaged or of another version,
    /// or that the disk refused.
    pub(super) fn open(file: &Path) -> rusqlite::Result<Catalog> {
        let db = Connection::open(file)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "cache_size", -1024)?;
        db.pragma_update(None, "journal_size_limit", 1 << 20)?;
        let sound: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if sound != "ok" || (version != 0 && version != VERSION) {
            return Err(rusqlite::Error::InvalidQuery);
        }
        db.execute_batch(
            "BEGIN;
             CREATE TABLE IF NOT EXISTS identity (id TEXT, sequence INTEGER, begun INTEGER);
             CREATE TABLE IF NOT EXISTS note (path TEXT PRIMARY KEY) WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS files (
                 path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER,
                 device INTEGER, racy INTEGER, hash TEXT, error TEXT) WITHOUT ROWID;
             CREATE INDEX IF NOT EXISTS by_inode ON files (inode);
             CREATE INDEX IF NOT EXISTS failed ON files (path) WHERE error IS NOT NULL;
             PRAGMA user_version = 1;
             COMMIT;",
        )?;
        Ok(Catalog { db })
    }

    pub(super) fn identity(&self) -> rusqlite::Result<Option<Identity>> {
        self.db
            .query_row("SELECT id, sequence, begun FROM identity", [], |row| {
                Ok(Identity {
                    id: row.get(0)?,
                    sequence: unsigned(row.get(1)?),
                    begun: row.get::<_, Option<i64>>(2)?.map(unsigned),
                })
            })
            .optional()
    }

    pub(super) fn set_identity(&mut self, id: &str, sequence: u64) -> rusqlite::Result<()> {
        let tx = self.db.transaction()?;
        tx.execute("DELETE FROM identity", [])?;
        tx.execute("INSERT INTO identity VALUES (?1, ?2, NULL)", params![id, sequence as i64])?;
        tx.commit()
    }

    /// Notes the paths that index commit `sequence` will speak of, before it is made.
    pub(super) fn begin<'a>(
        &mut self,
        sequence: u64,
        paths: impl Iterator<Item = &'a str>,
    ) -> rusqlite::Result<()> {
        let tx = self.db.transaction()?;
        {
            let mut insert = tx.prepare_cached("INSERT OR IGNORE INTO note VALUES (?1)")?;
            for path in paths {
                insert.execute([path])?;
            }
        }
        tx.execute("UPDATE identity SET begun = ?1", [sequence as i64])?;
        tx.commit()
    }

    /// Writes what index commit `sequence` made true, after it was made.
    pub(super) fn finish<'a>(
        &mut self,
        sequence: u64,
        changes: impl Iterator<Item = (&'a str, Option<&'a Row>)>,
    ) -> rusqlite::Result<()> {
        let tx = self.db.transaction()?;
        for (path, row) in changes {
            write(&tx, path, row)?;
        }
        tx.execute("DELETE FROM note", [])?;
        tx.execute("UPDATE identity SET sequence = ?1, begun = NULL", [sequence as i64])?;
        tx.commit()
    }

    /// Paths of commits that were not seen through: what the index holds of them is not known.
    /// They stay noted until the next [`Catalog::finish`].
    pub(super) fn notes(&self) -> rusqlite::Result<Vec<String>> {
        self.db.prepare("SELECT path FROM note")?.query_map([], |row| row.get(0))?.collect()
    }

    pub(super) fn get(&self, path: &str) -> rusqlite::Result<Option<Row>> {
        self.db
            .prepare_cached("SELECT size, mtime_ns, ctime_ns, inode, device, racy, hash, error FROM files WHERE path = ?1")?
            .query_row([path], read)
            .optional()
    }

    /// Paths at and below a folder, in order.
    pub(super) fn below(&self, folder: &str) -> rusqlite::Result<Vec<String>> {
        let (from, to) = range(folder);
        self.db
            .prepare_cached(
                "SELECT path FROM files WHERE path = ?1 OR (path >= ?2 AND path < ?3) ORDER BY path",
            )?
            .query_map(params![folder, from, to], |row| row.get(0))?
            .collect()
    }

    /// Files that were read, whose name ends with `suffix`, in order of their paths, from the one after
    /// `after`: path, size in bytes, and time of the last change in nanoseconds since 1970.
    pub(super) fn listed(
        &self,
        suffix: &str,
        after: &str,
        mut wanted: impl FnMut(&str) -> bool,
        most: usize,
    ) -> rusqlite::Result<Vec<(String, u64, i64)>> {
        let mut query = self.db.prepare_cached(
            "SELECT path, size, mtime_ns FROM files
             WHERE hash <> '' AND path > ?1 AND (?2 = '' OR substr(path, -length(?2)) = ?2) ORDER BY path",
        )?;
        let mut rows = query.query([after, suffix])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let path: String = row.get(0)?;
            if found.len() == most {
                break;
            }
            if wanted(&path) {
                found.push((path, unsigned(row.get(1)?), row.get(2)?));
            }
        }
        Ok(found)
    }

    /// Paths of files that were read and had this inode.
    pub(super) fn with_inode(&self, stamp: &Stamp) -> rusqlite::Result<Vec<String>> {
        self.db
            .prepare_cached(
                "SELECT path FROM files WHERE inode = ?1 AND device = ?2 AND size = ?3 AND mtime_ns = ?4
                 AND hash <> '' AND racy = 0 LIMIT 8",
            )?
            .query_map(
                params![stamp.inode as i64, stamp.device as i64, stamp.size as i64, stamp.mtime_ns],
                |row| row.get(0),
            )?
            .collect()
    }

    pub(super) fn totals(&self) -> rusqlite::Result<Totals> {
        self.db.query_row(
            "SELECT COALESCE(SUM(hash <> ''), 0), COALESCE(SUM(CASE WHEN hash <> '' THEN size END), 0), COUNT(error)
             FROM files",
            [],
            |row| {
                Ok(Totals {
                    documents: unsigned(row.get(0)?),
                    bytes: unsigned(row.get(1)?),
                    failed: unsigned(row.get(2)?),
                })
            },
        )
    }

    /// The first `limit` files that could not be read, or not to their end, with the reason.
    pub(super) fn failed(&self, limit: usize) -> rusqlite::Result<Vec<(String, String)>> {
        self.db
            .prepare_cached("SELECT path, error FROM files WHERE error IS NOT NULL ORDER BY path LIMIT ?1")?
            .query_map([limit as i64], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    }
}

fn write(db: &Connection, path: &str, row: Option<&Row>) -> rusqlite::Result<()> {
    let Some(row) = row else {
        db.prepare_cached("DELETE FROM files WHERE path = ?1")?.execute([path])?;
        return Ok(());
    };
    let stamp = &row.stamp;
    db.prepare_cached("INSERT OR REPLACE INTO files VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?.execute(
        params![
            path,
            stamp.size as i64,
            stamp.mtime_ns,
            stamp.ctime_ns,
            stamp.inode as i64,
            stamp.device as i64,
            row.racy,
            row.hash,
            row.error
        ],
    )?;
    Ok(())
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        stamp: Stamp {
            size: unsigned(row.get(0)?),
            mtime_ns: row.get(1)?,
            ctime_ns: row.get(2)?,
            inode: unsigned(row.get(3)?),
            device: unsigned(row.get(4)?),
        },
        racy: row.get(5)?,
        hash: row.get(6)?,
        error: row.get(7)?,
    })
}

/// SQLite's integers are signed; inodes may use the top bit.
fn unsigned(value: i64) -> u64 {
    value as u64
}

/// The keys of everything below a folder: from `folder/` up to `folder0`, which is next after `/`.
pub(super) fn range(folder: &str) -> (String, String) {
    let folder = folder.trim_end_matches('/');
    (format!("{folder}/"), format!("{folder}0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(size: u64) -> Row {
        let stamp = Stamp { size, mtime_ns: 5, ctime_ns: 6, inode: u64::MAX, device: 3 };
        Row { stamp, racy: false, hash: "h".into(), error: None }
    }

    #[test]
    fn a_commit_not_seen_through_leaves_its_paths_noted() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("catalog.db");
        let mut catalog = Catalog::open(&file).unwrap();
        catalog.set_identity("me", 0).unwrap();
        catalog.begin(1, ["/a", "/b"].into_iter()).unwrap();
        catalog.finish(1, [("/a", Some(&row(1))), ("/b", Some(&row(2)))].into_iter()).unwrap();
        catalog.begin(2, ["/b", "/c"].into_iter()).unwrap();
        drop(catalog);
        let catalog = Catalog::open(&file).unwrap();
        assert_eq!(
            catalog.identity().unwrap().unwrap(),
            Identity { id: "me".into(), sequence: 1, begun: Some(2) }
        );
        assert_eq!(catalog.notes().unwrap(), ["/b", "/c"]);
        assert_eq!(catalog.get("/a").unwrap(), Some(row(1)));
        assert_eq!(catalog.get("/c").unwrap(), None);
    }

    #[test]
    fn below_takes_the_folder_and_not_its_neighbours() {
        let dir = tempfile::tempdir().unwrap();
        let mut catalog = Catalog::open(&dir.path().join("catalog.db")).unwrap();
        let paths = ["/d", "/d/x", "/d/y/z", "/d-e/x", "/d.txt", "/dz"];
        let one = row(1);
        catalog.finish(1, paths.iter().map(|p| (*p, Some(&one)))).unwrap();
        assert_eq!(catalog.below("/d").unwrap(), ["/d", "/d/x", "/d/y/z"]);
        assert_eq!(catalog.totals().unwrap(), Totals { documents: 6, bytes: 6, failed: 0 });
        assert_eq!(catalog.with_inode(&one.stamp).unwrap().len(), 6);
    }

    #[test]
    fn a_damaged_file_is_an_error_and_no_panic() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("catalog.db");
        std::fs::write(&file, b"this is no database at all, but long enough to be one".repeat(100)).unwrap();
        assert!(Catalog::open(&file).is_err());
    }
}
