//! Looking at paths: what the files are, compared with what the catalog says of them. Walks go on in
//! small steps, so that a file saved meanwhile does not wait for the end of a large one.

use super::{Keeper, file_name};
use crate::index::catalog::{Row, Stamp};
use crate::index::walk::{self, IGNORE_FILES, Matcher, Opened};
use ignore::Walk;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{File, Metadata};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

/// Entries of a walk looked at in one round.
const STEP: usize = 256;
/// How the error of a folder begins.
const UNLISTED: &str = "cannot be listed";

/// A walk under way.
pub(super) struct Scan {
    pub root: PathBuf,
    start: PathBuf,
    /// Only the folder itself, not the ones in it.
    shallow: bool,
    walk: Walk,
    /// Hashes of the paths met, files and folders.
    seen: HashSet<u64>,
    hasher: RandomState,
}

impl Scan {
    /// Of the path as the catalog writes it.
    fn hash(&self, path: &Path) -> u64 {
        self.hasher.hash_one(path.to_string_lossy())
    }
}

impl Keeper {
    /// Begins to walk `start` below `root`; with a `depth` of 1 only the folder itself.
    pub(super) fn scan(&mut self, root: &Path, start: &Path, depth: Option<usize>) {
        if self.scans.iter().any(|scan| !scan.shallow && scan.start == start && scan.seen.is_empty()) {
            return;
        }
        let others = self.roots.iter().filter(|other| *other != root).cloned().collect();
        if start == root
            && let Some(parent) = root.parent().filter(|_| root.is_file())
        {
            // A single file is often replaced whole, which only its folder's watch tells.
            self.watch.add(parent);
        }
        let walk = self.parts.rules.walk(root, start, depth, others);
        self.scans.push_back(Scan {
            root: root.to_path_buf(),
            start: start.to_path_buf(),
            shallow: depth.is_some(),
            walk,
            seen: HashSet::new(),
            hasher: RandomState::new(),
        });
    }

    /// Goes on with the walk at the front.
    pub(super) fn step_scan(&mut self) {
        for _ in 0..STEP {
            if !self.has_room() {
                return;
            }
            let Some(scan) = self.scans.front_mut() else { return };
            let Some(entry) = scan.walk.next() else {
                if let Some(scan) = self.scans.pop_front() {
                    self.end_scan(scan);
                }
                return;
            };
            match entry {
                Ok(entry) => self.meet(entry),
                Err(error) => self.unwalkable(&error),
            }
        }
    }

    fn meet(&mut self, entry: ignore::DirEntry) {
        let Some(kind) = entry.file_type() else { return };
        let path = entry.path();
        let (new_folder, shallow) = match self.scans.front_mut() {
            Some(scan) => {
                let hash = scan.hash(path);
                scan.seen.insert(hash);
                (path != scan.start && !self.watch.knows(path), scan.shallow)
            }
            None => return,
        };
        if kind.is_dir() {
            self.not_a_file(path);
            if shallow && new_folder {
                let path = path.to_path_buf();
                if let Some(root) = self.root_of(&path) {
                    self.scan(&root, &path, None);
                }
            } else if !shallow {
                // Before the folder is listed, so that nothing made in between is missed.
                self.watch.add(path);
            }
        } else if kind.is_file()
            && let Ok(metadata) = entry.metadata()
        {
            self.consider(path, &metadata, false);
        }
    }

    fn unwalkable(&mut self, error: &ignore::Error) {
        let io = error.io_error().map(|e| e.kind());
        if io == Some(std::io::ErrorKind::NotFound) {
            return;
        }
        let (path, reason) = match error {
            ignore::Error::WithPath { path, err } => (Some(path.clone()), err.to_string()),
            ignore::Error::WithDepth { err, .. } => match &**err {
                ignore::Error::WithPath { path, err } => (Some(path.clone()), err.to_string()),
                _ => (None, error.to_string()),
            },
            _ => (None, error.to_string()),
        };
        tracing::debug!("walking: {error}");
        if let Some(path) = path.filter(|path| self.root_of(path).is_some()) {
            if let Some(scan) = self.scans.front_mut() {
                let hash = scan.hash(&path);
                scan.seen.insert(hash);
            }
            let key = path.to_string_lossy().into_owned();
            let row = Row { stamp: Stamp::default(), racy: false, hash: String::new(), error: None };
            self.fail(&key, row, format!("{UNLISTED}: {reason}"));
        }
    }

    /// What the walk did not meet is not there any more, or not to be indexed any more.
    fn end_scan(&mut self, scan: Scan) {
        for folder in self.watch.known_below(&scan.start) {
            let inside = !scan.shallow || folder.parent() == Some(&scan.start);
            let ours = self.root_of(&folder).as_ref() == Some(&scan.root);
            if inside && ours && !scan.seen.contains(&scan.hash(&folder)) {
                self.watch.forget(&folder);
                if scan.shallow {
                    self.drop_below(&folder);
                }
            }
        }
        let mut matchers = HashMap::new();
        for key in self.keys_below(&scan.start) {
            let path = Path::new(&key);
            let inside = !scan.shallow || path.parent() == Some(&scan.start);
            let ours = self.root_of(path).as_ref() == Some(&scan.root);
            if inside && ours && !scan.seen.contains(&scan.hash(path)) {
                // It may have been made since its folder was listed.
                self.look(path, std::fs::symlink_metadata(path).ok(), &mut matchers);
            }
        }
    }

    /// Looks at everything the kernel reported since the last time.
    pub(super) fn look_at_changes(&mut self) {
        let dirty = self.watch.take_dirty();
        if dirty.rescan {
            tracing::info!("too much changed at once to follow: looking at all that is indexed");
            self.watch.forget_all();
            for root in self.roots.clone() {
                self.scan(&root, &root, None);
            }
            return;
        }
        // First, so that an old name's watch is not mistaken for a new one's.
        for path in &dirty.stale {
            self.watch.forget(path);
        }
        let mut matchers: HashMap<PathBuf, Matcher> = HashMap::new();
        let mut rescan: BTreeSet<PathBuf> = BTreeSet::new();
        // Present ones first: a renamed file is then known by its inode while the old name still is.
        let (present, absent): (Vec<_>, Vec<_>) = dirty
            .paths
            .into_iter()
            .map(|p| (std::fs::symlink_metadata(&p).ok(), p))
            .partition(|(m, _)| m.is_some());
        for (metadata, path) in present.into_iter().chain(absent) {
            let name = file_name(&path);
            if IGNORE_FILES.contains(&name.as_str())
                && let Some(parent) = path.parent()
            {
                rescan.insert(parent.to_path_buf());
            }
            self.look(&path, metadata, &mut matchers);
        }
        for folder in rescan {
            if let Some(root) = self.root_of(&folder) {
                self.scan(&root, &folder, None);
            }
        }
    }

    fn look(&mut self, path: &Path, metadata: Option<Metadata>, matchers: &mut HashMap<PathBuf, Matcher>) {
        let Some(root) = self.root_of(path) else { return };
        let Some(metadata) = metadata else {
            self.watch.forget(path);
            return self.drop_below(path);
        };
        let matcher = matchers.entry(root.clone()).or_insert_with(|| self.parts.rules.matcher(&root));
        if !matcher.allows(path, metadata.is_dir()) {
            return self.drop_below(path);
        }
        if metadata.is_dir() {
            self.not_a_file(path);
            // Its own change of time is no news of what is in it: only an unknown folder is walked.
            if !self.watch.knows(path) {
                self.scan(&root, path, None);
            }
        } else if metadata.is_file() {
            self.not_a_folder(path);
            self.consider(path, &metadata, true);
        } else {
            self.drop_below(path);
        }
    }

    /// Drops the file that had the name of what is a folder now.
    fn not_a_file(&mut self, path: &Path) {
        let key = path.to_string_lossy();
        let unlisted = |row: Row| row.error.is_some_and(|error| error.starts_with(UNLISTED));
        if self.row(&key).is_some_and(|row| !unlisted(row)) {
            self.drop_file(&key);
        }
    }

    /// Drops what was in the folder that had the name of what is a file now.
    fn not_a_folder(&mut self, path: &Path) {
        for key in self.keys_below(path) {
            if Path::new(&key) != path {
                self.drop_file(&key);
            }
        }
    }

    /// Compares a file with its row and has it read when they differ.
    fn consider(&mut self, path: &Path, metadata: &Metadata, event: bool) {
        let key = path.to_string_lossy().into_owned();
        let stamp = walk::stamp(metadata);
        let row = Row { stamp, racy: false, hash: String::new(), error: None };
        if path.to_str().is_none() {
            return self.fail(&key, row, "its name is not UTF-8: rename it to index it".into());
        }
        let known = self.row(&key);
        if known.as_ref().is_some_and(|known| known.stamp == stamp && !known.racy) {
            // It may be in flight with an older state.
            if self.in_flight.contains(path) {
                self.again.insert(path.to_path_buf());
            }
            return;
        }
        let limit = self.parts.rules.max_file_bytes();
        if stamp.size > limit {
            let reason = format!(
                "it is {} MB and files over {} MB are not read: see [index] max_file_bytes",
                stamp.size >> 20,
                limit >> 20
            );
            return self.fail(&key, row, reason);
        }
        if known.is_none() && self.renamed(path, &key, &row) {
            return;
        }
        self.enqueue(path.to_path_buf(), event);
    }

    /// A file that has another name now: its passages are indexed again under the new one, unread.
    fn renamed(&mut self, path: &Path, key: &str, row: &Row) -> bool {
        let Ok(names) = self.catalog.with_inode(&row.stamp) else { return false };
        for old in names {
            let same =
                std::fs::symlink_metadata(&old).is_ok_and(|m| walk::stamp(&m).inode == row.stamp.inode);
            if old == key || same || self.in_flight.contains(Path::new(&old)) {
                continue;
            }
            // Changed since the last commit: what is stored is not what it holds.
            if matches!(self.batch.rows.get(&old), Some(Some(_))) {
                continue;
            }
            let (Ok(Some(known)), Ok(entries)) = (self.catalog.get(&old), self.text.entries(&old)) else {
                continue;
            };
            if entries.is_empty() || entries.iter().any(|entry| entry.hash != known.hash) {
                continue;
            }
            // A file made after the old one was last seen has but inherited its inode's number.
            if walk::born_ns(path).is_some_and(|born| born > known.stamp.ctime_ns) {
                continue;
            }
            tracing::debug!("{} was {old}", path.display());
            let row = Row { hash: known.hash, error: known.error, ..row.clone() };
            let entries = entries.into_iter().map(|mut entry| {
                entry.path = key.to_string();
                entry
            });
            self.put(key, row, &entries.collect::<Vec<_>>());
            self.drop_file(&old);
            return true;
        }
        false
    }

    /// Opens a file to have it read. What cannot be opened is dealt with here.
    pub(super) fn open_file(&mut self, path: &Path) -> Option<(String, Row, File)> {
        let key = path.to_string_lossy().into_owned();
        match walk::open(path) {
            Opened::File { file, stamp, racy } => {
                Some((key, Row { stamp, racy, hash: String::new(), error: None }, file))
            }
            Opened::Gone | Opened::NotAFile => {
                self.drop_below(path);
                None
            }
            Opened::Failed(reason) => {
                let stamp = std::fs::symlink_metadata(path).map(|m| walk::stamp(&m)).unwrap_or_default();
                self.fail(&key, Row { stamp, racy: false, hash: String::new(), error: None }, reason);
                None
            }
        }
    }

    /// Looks at the folders that the kernel does not report on, and at roots that came back.
    pub(super) fn poll(&mut self) {
        for folder in self.watch.polled() {
            if let Some(root) = self.root_of(&folder) {
                self.scan(&root, &folder, Some(1));
            }
        }
        for root in self.roots.clone() {
            if root.is_dir() && !self.watch.knows(&root) {
                self.scan(&root, &root, None);
            }
        }
    }
}
