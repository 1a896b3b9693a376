//! The one thread that changes the index. Whatever happens (a walk finds a file, the kernel reports a
//! change, a root is added) becomes "look at this path", and looking compares the file with the catalog.
//! Commits are coalesced; the catalog is written after the commit that it speaks of.

mod commit;
mod look;
mod open;

use super::catalog::{Catalog, Row};
use super::extractor::{Extractor, Refusal};
use super::text::TextIndex;
use super::walk::Rules;
use super::watch::Watch;
use super::{IndexError, IndexedFile, Shared, lock};
use crate::config::IndexConfig;
use crate::memory;
use crate::protocol::frames::Extracted;
use look::Scan;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Documents read at the same time.
const IN_FLIGHT: usize = 3;
/// Files that wait to be read before a walk goes on.
const QUEUE: usize = 512;
/// Events are gathered this long before they are looked at.
const GATHER: Duration = Duration::from_millis(60);
/// A commit waits for this long without a change, and for [`CAP`] at most.
const QUIET: Duration = Duration::from_millis(300);
const CAP: Duration = Duration::from_secs(2);
/// A change after a longer silence is committed sooner: there is nothing to gather it with.
const LONE: Duration = Duration::from_millis(50);
/// After this long without a change the writer's memory is given back.
const REST: Duration = Duration::from_secs(10);

pub(super) enum Msg {
    /// There is something to look at.
    Wake,
    Add(PathBuf, oneshot::Sender<Result<(), IndexError>>),
    Remove(PathBuf, oneshot::Sender<Result<(), IndexError>>),
    Forget(PathBuf, oneshot::Sender<Result<(), IndexError>>),
    Settled(oneshot::Sender<()>),
    Files(Listing, oneshot::Sender<Result<Vec<IndexedFile>, IndexError>>),
    Read(Box<Done>),
    Close(oneshot::Sender<()>),
}

/// Which files are wanted.
pub(super) struct Listing {
    pub suffix: String,
    pub after: String,
    /// Folders and files; none means all.
    pub below: Vec<PathBuf>,
    pub most: usize,
}

/// A file that was read, or not.
pub(super) struct Done {
    path: PathBuf,
    key: String,
    row: Row,
    /// It was read with nothing beside it: if the worker fell over, it fell over this file.
    alone: bool,
    result: Result<Extracted, Refusal>,
}

/// What a keeper is made of.
pub(super) struct Parts {
    pub dir: PathBuf,
    pub config: IndexConfig,
    pub rules: Rules,
    pub extractor: Extractor,
    pub runtime: Handle,
    pub sender: Sender<Msg>,
}

pub(super) struct Keeper {
    parts: Parts,
    shared: Arc<Shared>,
    catalog: Catalog,
    text: TextIndex,
    watch: Watch,
    roots: Vec<PathBuf>,
    identity: String,
    sequence: u64,

    scans: VecDeque<Scan>,
    /// Files to read: ones that changed under the owner's hands, then ones found by walking.
    fresh: VecDeque<PathBuf>,
    bulk: VecDeque<PathBuf>,
    /// Files beside which the worker fell over: read one at a time.
    suspects: VecDeque<PathBuf>,
    /// All of the above.
    queued: HashSet<PathBuf>,
    in_flight: HashSet<PathBuf>,
    /// Changed while being read.
    again: HashSet<PathBuf>,
    alone: bool,
    paused: Option<(Instant, String)>,

    batch: Batch,
    /// Paths of a commit that failed: what the index holds of them is not known.
    unsure: Vec<String>,
    trouble: Option<Trouble>,
    last_commit: Option<Instant>,
    last_change: Instant,
    gather_until: Option<Instant>,
    next_poll: Instant,
    waiting: Vec<oneshot::Sender<()>>,
    warnings: Vec<String>,
    /// Much was allocated and freed since memory was last given back.
    swollen: bool,
}

/// Changes since the last commit. A row of `None` says that the path is gone.
#[derive(Default)]
struct Batch {
    rows: BTreeMap<String, Option<Row>>,
    /// The full-text side changed too.
    text: bool,
    since: Option<Instant>,
    latest: Option<Instant>,
}

/// The disk does not take what is to be written.
struct Trouble {
    reason: String,
    retry: Instant,
    wait: Duration,
}

impl Keeper {
    pub(super) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Works until it is told to close or everyone has gone.
    pub(super) fn run(mut self, messages: Receiver<Msg>) {
        for root in self.roots.clone() {
            self.scan(&root, &root, None);
        }
        let mut closing = Vec::new();
        while closing.is_empty() {
            match messages.recv_timeout(self.wait()) {
                Ok(msg) => self.take(msg, &mut closing),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while let Ok(msg) = messages.try_recv() {
                self.take(msg, &mut closing);
            }
            self.turn();
        }
        self.commit();
        if let Err(error) = self.text.rest() {
            tracing::warn!("the index did not finish its merges: {error}");
        }
        // Closed means closed: the files may be opened by another from here on.
        drop(self);
        for reply in closing {
            // The one who asked may not care any more.
            let _ = reply.send(());
        }
    }

    /// One round of all that is due.
    fn turn(&mut self) {
        let now = Instant::now();
        if self.gather_until.is_some_and(|at| at <= now) {
            self.gather_until = None;
            self.look_at_changes();
        }
        if self.next_poll <= now {
            self.next_poll = now + Duration::from_secs(self.parts.config.poll_s.max(1));
            self.poll();
        }
        if self.trouble.as_ref().is_some_and(|t| t.retry <= now) {
            self.recover();
        }
        self.step_scan();
        self.dispatch();
        if self.commit_due(now) {
            self.commit();
        }
        if self.is_settled() {
            for reply in self.waiting.drain(..) {
                let _ = reply.send(());
            }
            if now.duration_since(self.last_change) > REST {
                self.rest();
            }
            if std::mem::take(&mut self.swollen) {
                memory::give_back();
            }
        }
        self.publish();
    }

    /// How long until something is due that no message announces.
    fn wait(&self) -> Duration {
        let now = Instant::now();
        if !self.scans.is_empty() && self.has_room() {
            return Duration::ZERO;
        }
        let mut due = vec![self.next_poll];
        due.extend(self.gather_until);
        due.extend(self.commit_at());
        due.extend(self.trouble.as_ref().map(|t| t.retry));
        due.extend(self.paused.as_ref().map(|p| p.0));
        if self.text.is_writing() {
            due.push(self.last_change + REST + Duration::from_secs(1));
        }
        due.into_iter().min().map_or(QUIET, |at| at.saturating_duration_since(now))
    }

    fn take(&mut self, msg: Msg, closing: &mut Vec<oneshot::Sender<()>>) {
        match msg {
            Msg::Wake => {
                self.gather_until.get_or_insert_with(|| Instant::now() + GATHER);
            }
            Msg::Add(path, reply) => {
                let _ = reply.send(self.add(&path));
            }
            Msg::Remove(path, reply) => {
                let _ = reply.send(self.remove(&path));
            }
            Msg::Forget(path, reply) => {
                let _ = reply.send(self.forget(&path));
            }
            Msg::Settled(reply) => self.waiting.push(reply),
            Msg::Files(listing, reply) => {
                let _ = reply.send(self.files(&listing));
            }
            Msg::Read(done) => self.read(*done),
            Msg::Close(reply) => closing.push(reply),
        }
    }

    fn files(&self, listing: &Listing) -> Result<Vec<IndexedFile>, IndexError> {
        let Listing { suffix, after, below, most } = listing;
        let wanted =
            |path: &str| below.is_empty() || below.iter().any(|place| Path::new(path).starts_with(place));
        let found = self.catalog.listed(suffix, after, wanted, *most);
        let found = found.map_err(|error| IndexError::Store(error.to_string()))?;
        let file = |(path, size, mtime_ns)| IndexedFile { path, size, modified: mtime_ns / 1_000_000_000 };
        Ok(found.into_iter().map(file).collect())
    }

    fn is_settled(&self) -> bool {
        self.scans.is_empty()
            && self.queued.is_empty()
            && self.in_flight.is_empty()
            && self.batch.since.is_none()
            && self.unsure.is_empty()
            && self.gather_until.is_none()
            && self.watch.is_quiet()
    }

    fn has_room(&self) -> bool {
        self.queued.len() < QUEUE && self.trouble.is_none()
    }

    fn rest(&mut self) {
        if !self.text.is_writing() {
            return;
        }
        if let Err(error) = self.text.rest() {
            tracing::warn!("the index did not finish its merges: {error}");
        }
        self.swollen = true;
    }

    /// Hands files to the worker, as many as may be read at once.
    fn dispatch(&mut self) {
        if self.trouble.is_some() {
            return;
        }
        if let Some((until, _)) = &self.paused {
            if *until > Instant::now() {
                return;
            }
            self.paused = None;
        }
        loop {
            let room = !self.alone && self.in_flight.len() < IN_FLIGHT;
            let next = if self.in_flight.is_empty() && !self.suspects.is_empty() {
                self.alone = true;
                self.suspects.pop_front()
            } else if room && (self.suspects.is_empty() || self.in_flight.is_empty()) {
                self.fresh.pop_front().or_else(|| self.bulk.pop_front())
            } else {
                None
            };
            let Some(path) = next else { return };
            self.queued.remove(&path);
            if !self.start(path) {
                self.alone = false;
            }
        }
    }

    /// Opens a file and has it read; false when there is nothing to read.
    fn start(&mut self, path: PathBuf) -> bool {
        let Some((key, row, file)) = self.open_file(&path) else { return false };
        self.in_flight.insert(path.clone());
        let (extractor, sender, alone) =
            (self.parts.extractor.clone(), self.parts.sender.clone(), self.alone);
        let max_text = self.parts.rules.max_file_bytes();
        self.parts.runtime.spawn(async move {
            let result = extractor.extract(file, file_name(&path), max_text).await;
            // A keeper that has ended wants no results.
            let _ = sender.send(Msg::Read(Box::new(Done { path, key, row, alone, result })));
        });
        true
    }

    /// Takes in what came of reading a file.
    fn read(&mut self, done: Done) {
        self.in_flight.remove(&done.path);
        self.alone = false;
        let changed = self.again.remove(&done.path);
        self.swollen = true;
        let unwanted = self.root_of(&done.path).is_none() || self.parts.rules.denied(&done.path).is_some();
        if unwanted || std::fs::symlink_metadata(&done.path).is_err() {
            self.drop_below(&done.path);
            return;
        }
        match done.result {
            Ok(extracted) => self.store(&done.key, done.row, &extracted),
            Err(Refusal::Document(reason)) => self.fail(&done.key, done.row, reason),
            Err(Refusal::Crash(reason)) if done.alone => self.fail(&done.key, done.row, reason),
            Err(Refusal::Crash(_)) => {
                self.queued.insert(done.path.clone());
                self.suspects.push_back(done.path.clone());
            }
            Err(Refusal::Later(wait, reason)) => {
                self.paused = Some((Instant::now() + wait, reason));
                self.queued.insert(done.path.clone());
                self.bulk.push_front(done.path.clone());
            }
        }
        if changed {
            self.enqueue(done.path, true);
        }
    }

    fn enqueue(&mut self, path: PathBuf, fresh: bool) {
        if self.in_flight.contains(&path) {
            self.again.insert(path);
        } else if self.queued.insert(path.clone()) {
            if fresh { self.fresh.push_back(path) } else { self.bulk.push_back(path) }
        }
    }

    /// Shows the numbers that cost nothing; the sums follow each commit.
    fn publish(&self) {
        let mut status = lock(&self.shared.status);
        let walking = !self.scans.is_empty() as u64;
        status.pending = self.queued.len() as u64 + self.in_flight.len() as u64 + walking;
        let busy = status.pending > 0;
        self.shared.busy.send_if_modified(|was| std::mem::replace(was, busy) != busy);
        (status.watched_dirs, status.polled_dirs) = self.watch.counts();
        status.warnings = self.warnings.clone();
        status.warnings.extend(self.watch.warning());
        status.warnings.extend(self.trouble.as_ref().map(|t| t.reason.clone()));
        status
            .warnings
            .extend(self.paused.as_ref().map(|p| format!("documents cannot be read at the moment: {}", p.1)));
    }

    fn root_of(&self, path: &Path) -> Option<PathBuf> {
        self.roots
            .iter()
            .filter(|root| path.starts_with(root))
            .max_by_key(|root| root.as_os_str().len())
            .cloned()
    }
}

/// The last part of a path, as text.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// A path without links where it exists, else without `.` and `..`.
pub(super) fn plain(path: &Path) -> PathBuf {
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut plain = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}
