//! Writing: gathered changes become one commit, first noted in the catalog, then made in the
//! full-text index, then written to the catalog. A disk that refuses costs nothing but time.

use super::{Batch, CAP, Keeper, LONE, QUIET, Trouble, open};
use crate::index::catalog::Row;
use crate::index::text::{Entry, entries_of};
use crate::index::{IndexError, lock};
use crate::protocol::frames::Extracted;
use crate::protocol::http::FailedFile;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Failed files named in the status; the rest is counted in a warning.
const FAILED: usize = 1000;
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LAST_RETRY: Duration = Duration::from_secs(60);

impl Keeper {
    /// What is known of a path, the changes not yet committed first.
    pub(super) fn row(&self, key: &str) -> Option<Row> {
        match self.batch.rows.get(key) {
            Some(row) => row.clone(),
            None => self.catalog.get(key).unwrap_or_else(|error| {
                tracing::warn!("the index's catalog cannot be read: {error}");
                None
            }),
        }
    }

    /// Takes in a file's text; a file whose bytes are as before costs no commit of the text.
    pub(super) fn store(&mut self, key: &str, row: Row, extracted: &Extracted) {
        let row = Row { hash: extracted.hash.clone(), error: extracted.partial.clone(), ..row };
        let unchanged = self.row(key).is_some_and(|known| known.hash == row.hash && known.error == row.error);
        if unchanged {
            self.change(key, Some(row), false);
        } else {
            self.put(key, row, &entries_of(key, extracted));
        }
    }

    pub(super) fn put(&mut self, key: &str, row: Row, entries: &[Entry]) {
        if let Err(error) = self.text.replace(key, entries) {
            return self.refused(error.into(), Some(key));
        }
        self.change(key, Some(row), true);
    }

    /// Records why a file is not in the index.
    pub(super) fn fail(&mut self, key: &str, row: Row, reason: String) {
        let known = self.row(key);
        let row = Row { hash: String::new(), error: Some(reason), ..row };
        if known.as_ref() == Some(&row) {
            return;
        }
        if known.is_some_and(|known| !known.hash.is_empty())
            && let Err(error) = self.text.delete(key)
        {
            return self.refused(error.into(), Some(key));
        }
        self.change(key, Some(row), true);
    }

    pub(super) fn drop_file(&mut self, key: &str) {
        if let Err(error) = self.text.delete(key) {
            return self.refused(error.into(), Some(key));
        }
        self.change(key, None, true);
    }

    /// Takes out a path and all below it.
    pub(super) fn drop_below(&mut self, path: &Path) {
        for key in self.keys_below(path) {
            self.drop_file(&key);
        }
    }

    /// Known paths at and below one, committed or not.
    pub(super) fn keys_below(&self, path: &Path) -> Vec<String> {
        let folder = path.to_string_lossy();
        let mut keys = self.catalog.below(&folder).unwrap_or_else(|error| {
            tracing::warn!("the index's catalog cannot be read: {error}");
            Vec::new()
        });
        keys.retain(|key| !self.batch.rows.contains_key(key));
        let from = (Bound::Included(&*folder), Bound::Unbounded);
        let alike = self.batch.rows.range::<str, _>(from).take_while(|(key, _)| key.starts_with(&*folder));
        let fresh = alike.filter(|(key, row)| row.is_some() && Path::new(key).starts_with(path));
        keys.extend(fresh.map(|(key, _)| key.clone()));
        keys
    }

    fn change(&mut self, key: &str, row: Option<Row>, text: bool) {
        let now = Instant::now();
        self.batch.rows.insert(key.to_string(), row);
        self.batch.text |= text;
        self.batch.since.get_or_insert(now);
        self.batch.latest = Some(now);
        self.last_change = now;
    }

    /// When the gathered changes are to be committed, if there are any.
    pub(super) fn commit_at(&self) -> Option<Instant> {
        let (since, latest) = (self.batch.since?, self.batch.latest?);
        if let Some(trouble) = &self.trouble {
            return Some(trouble.retry);
        }
        let lone = self.last_commit.is_none_or(|at| since.saturating_duration_since(at) > CAP);
        let idle = self.queued.is_empty() && self.in_flight.is_empty() && self.scans.is_empty();
        let quiet = if lone && idle { LONE } else { QUIET };
        Some((latest + quiet).min(since + CAP))
    }

    pub(super) fn commit_due(&self, now: Instant) -> bool {
        self.trouble.is_none() && self.commit_at().is_some_and(|at| at <= now)
    }

    pub(super) fn commit(&mut self) {
        if self.batch.since.is_none() {
            return;
        }
        match self.try_commit() {
            Ok(()) => {
                self.batch = Batch::default();
                self.trouble = None;
                self.last_commit = Some(Instant::now());
                self.publish_sums();
            }
            Err(error) => self.refused(error, None),
        }
    }

    fn try_commit(&mut self) -> Result<(), IndexError> {
        let store = |e: rusqlite::Error| IndexError::Store(e.to_string());
        let mut sequence = self.sequence;
        if self.batch.text {
            sequence += 1;
            self.catalog.begin(sequence, self.batch.rows.keys().map(String::as_str)).map_err(store)?;
            self.text.commit(&open::payload(&self.identity, sequence))?;
            self.sequence = sequence;
        }
        let changes = self.batch.rows.iter().map(|(key, row)| (key.as_str(), row.as_ref()));
        self.catalog.finish(sequence, changes).map_err(store)
    }

    /// A write failed. What it was about is not known to be in the index or not: it is taken out
    /// and read again, once the disk takes writes.
    fn refused(&mut self, error: IndexError, key: Option<&str>) {
        self.text.abandon();
        self.unsure.extend(key.map(str::to_string));
        self.unsure.extend(std::mem::take(&mut self.batch).rows.into_keys());
        let wait = self.trouble.as_ref().map_or(FIRST_RETRY, |t| (t.wait * 2).min(LAST_RETRY));
        let folder = self.parts.dir.display();
        let reason = format!(
            "the index in {folder} could not be written ({error}): is the disk full? Nothing is lost, it is tried \
             again"
        );
        tracing::warn!("{reason}");
        self.trouble = Some(Trouble { reason, retry: Instant::now() + wait, wait });
    }

    /// Takes the unsure paths out of both halves and looks at them again.
    pub(super) fn recover(&mut self) {
        let unsure: BTreeSet<String> = self.unsure.drain(..).collect();
        let trouble = self.trouble.take();
        if let Err(error) = self.try_recover(&unsure) {
            self.trouble = trouble;
            self.unsure = unsure.iter().cloned().collect();
            return self.refused(error, None);
        }
        for key in unsure {
            self.change(&key, None, true);
            let path = PathBuf::from(key);
            if self.root_of(&path).is_some() {
                self.enqueue(path, false);
            }
        }
        self.commit();
    }

    fn try_recover(&mut self, unsure: &BTreeSet<String>) -> Result<(), IndexError> {
        for key in unsure {
            self.text.delete(key)?;
        }
        Ok(())
    }

    /// Shows the sums, which take a look at the whole catalog.
    pub(super) fn publish_sums(&self) {
        let sums = self.catalog.totals().and_then(|totals| Ok((totals, self.catalog.failed(FAILED)?)));
        let Ok((totals, failed)) = sums else { return };
        let mut status = lock(&self.shared.status);
        status.documents = totals.documents;
        status.bytes = totals.bytes;
        status.failed = failed.into_iter().map(|(path, error)| FailedFile { path, error }).collect();
        status.roots = self.roots.iter().map(|root| root.to_string_lossy().into_owned()).collect();
    }
}
