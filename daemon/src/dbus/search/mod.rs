//! What the searches of GNOME and KDE are answered with: the files in which the words stand, and a row that asks. It
//! looks words up in the index and never loads the model; a client's newer query ends its older one. The ids of rows say
//! nothing and are known only while the rows are.

mod gnome;
mod krunner;
mod open;
mod place;
mod rows;

use super::callers::{Caller, Callers};
use super::error::Error;
use super::strict::Strict;
use crate::daemon::Handles;
use crate::doors;
use open::Opener;
use rows::{Row, Rows};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use zbus::ObjectServer;
use zbus::names::OwnedUniqueName;

/// Bytes of a query that is worth a search. A word of Chinese or Japanese may be one character, which has three.
const LEAST: usize = 3;
/// Bytes of a query at most.
const MOST: usize = 1 << 10;
/// Files that are shown.
const FILES: usize = 8;
/// Passages that are looked up for these: a file may have several.
const PASSAGES: usize = 24;
/// Queries that are looked up at the same time.
const AT_ONCE: usize = 2;

/// Offers both searches.
pub async fn offer(server: &ObjectServer, handles: Handles, callers: Callers) -> zbus::Result<()> {
    let finder = Finder::new(handles, callers);
    server.at(gnome::PATH, Strict::new(gnome::Provider::new(finder.clone()))).await?;
    server.at(krunner::PATH, Strict::new(krunner::Runner::new(finder))).await?;
    Ok(())
}

/// Looks up and opens; cheap to clone.
#[derive(Clone)]
struct Finder {
    handles: Handles,
    callers: Callers,
    opener: Opener,
    rows: Arc<Mutex<Rows>>,
    /// The query of each client that is being looked up, with its message's serial number.
    latest: Arc<Mutex<HashMap<OwnedUniqueName, (u32, CancellationToken)>>>,
    turns: Arc<Semaphore>,
}

/// A client's query, until this is dropped.
struct Asked<'a> {
    finder: &'a Finder,
    client: OwnedUniqueName,
    serial: u32,
    /// By a newer one.
    overtaken: CancellationToken,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut latest = lock(&self.finder.latest);
        if latest.get(&self.client).is_some_and(|(serial, _)| *serial == self.serial) {
            latest.remove(&self.client);
        }
    }
}

impl Finder {
    fn new(handles: Handles, callers: Callers) -> Finder {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let (rows, latest) = (Arc::default(), Arc::default());
        Finder { handles, callers, opener: Opener::new(), rows, latest, turns }
    }

    /// Rows for a query with their ids, the best first and the one that asks last. None for a query that says too
    /// little, and none when a newer one of the same client comes.
    async fn find(&self, caller: &Caller, query: &str) -> Result<Vec<(String, Row)>, Error> {
        Error::if_longer("query", query, MOST)?;
        let asked = self.asked(caller);
        let query = query.split_whitespace().collect::<Vec<_>>().join(" ");
        if query.len() < LEAST {
            return Ok(Vec::new());
        }
        tokio::select! {
            biased;
            () = asked.overtaken.cancelled() => Ok(Vec::new()),
            found = self.look_up(query) => found,
        }
    }

    /// Ends the client's older query, or this one: each call is a task, and they may begin in any order.
    fn asked(&self, caller: &Caller) -> Asked<'_> {
        let (client, serial, overtaken) = (caller.name.clone(), caller.serial, CancellationToken::new());
        let mut latest = lock(&self.latest);
        if latest.get(&client).is_some_and(|(other, _)| *other > serial) {
            overtaken.cancel();
        } else if let Some((_, older)) = latest.insert(client.clone(), (serial, overtaken.clone())) {
            older.cancel();
        }
        Asked { finder: self, client, serial, overtaken }
    }

    async fn look_up(&self, query: String) -> Result<Vec<(String, Row)>, Error> {
        // It is never closed.
        let _turn = self.turns.acquire().await;
        let mut hits = doors::search_typed(&self.handles, &query, PASSAGES).await?;
        let mut seen = HashSet::new();
        hits.retain(|hit| seen.insert(hit.path.clone()));
        hits.truncate(FILES);
        let files = hits.into_iter().map(|hit| Row::File(Box::new(hit)));
        let rows = files.chain([Row::Ask(query)]);
        let mut kept = lock(&self.rows);
        Ok(rows.map(|row| (kept.keep(row.clone()), row)).collect())
    }

    /// The rows of these ids that are known.
    fn known(&self, ids: &[String]) -> Vec<(String, Row)> {
        let rows = lock(&self.rows);
        ids.iter().filter_map(|id| Some((id.clone(), rows.get(id)?.clone()))).collect()
    }

    /// The row of this id.
    fn row(&self, id: &str) -> Result<Row, Error> {
        let unknown = || Error::NotFound("there is no such result: search again".into());
        lock(&self.rows).get(id).cloned().ok_or_else(unknown)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
