//! Opening the index's folder, its roots, and starting anew where the folder's halves do not fit.

use super::{Batch, Keeper, Parts};
use crate::disk;
use crate::index::catalog::Catalog;
use crate::index::text::{self, TextIndex};
use crate::index::watch::Watch;
use crate::index::{IndexError, Shared, lock};
use crate::protocol::http::IndexStatus;
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Lists of paths in the index's folder.
const ROOTS: &str = "roots.json";
const FORGOTTEN: &str = "forgotten.json";

/// Both halves, known to belong together.
struct Halves {
    catalog: Catalog,
    text: TextIndex,
    identity: String,
    sequence: u64,
}

impl Keeper {
    /// Opens or makes the index. What does not fit is made again from the files.
    pub(in crate::index) fn open(parts: Parts) -> Result<Keeper, IndexError> {
        let store = |e: std::io::Error| IndexError::Store(format!("{}: {e}", parts.dir.display()));
        std::fs::create_dir_all(&parts.dir).map_err(store)?;
        let mut warnings = Vec::new();
        // A list that cannot be read must not bring back what was forgotten.
        parts.rules.set_forgotten(read_list(&parts.dir, FORGOTTEN).map_err(|reason| {
            IndexError::Store(format!("{}: {reason}", parts.dir.join(FORGOTTEN).display()))
        })?);
        let roots = read_list(&parts.dir, ROOTS).unwrap_or_else(|reason| {
            warnings.push(format!("the list of indexed folders was lost ({reason}): add them again"));
            Vec::new()
        });
        let halves = match halves(&parts.dir) {
            Ok(halves) => halves,
            Err(reason) => {
                let warning = format!("the index was made again from the files: {reason}");
                tracing::warn!("{warning}");
                warnings.push(warning);
                wipe(&parts.dir).map_err(store)?;
                halves_anew(&parts.dir)?
            }
        };
        let Halves { catalog, text, identity, sequence } = halves;
        let (reader, fields) = text.reader();
        let status = Mutex::new(IndexStatus::default());
        let busy = tokio::sync::watch::Sender::new(false);
        let shared = Arc::new(Shared { status, roots: Mutex::new(roots.clone()), busy, reader, fields });
        let sender = parts.sender.clone();
        // A keeper that has ended needs no waking.
        let watch = Watch::new(parts.config.watch_percent, move || drop(sender.send(super::Msg::Wake)));
        let now = Instant::now();
        let poll = Duration::from_secs(parts.config.poll_s.max(1));
        let mut keeper = Keeper {
            parts,
            shared,
            catalog,
            text,
            watch,
            roots,
            identity,
            sequence,
            scans: VecDeque::new(),
            fresh: VecDeque::new(),
            bulk: VecDeque::new(),
            suspects: VecDeque::new(),
            queued: HashSet::new(),
            in_flight: HashSet::new(),
            again: HashSet::new(),
            alone: false,
            paused: None,
            batch: Batch::default(),
            unsure: Vec::new(),
            trouble: None,
            last_commit: None,
            last_change: now,
            gather_until: None,
            next_poll: now + poll,
            waiting: Vec::new(),
            warnings,
            swollen: false,
        };
        keeper.unsure = keeper.catalog.notes().map_err(|e| IndexError::Store(e.to_string()))?;
        if !keeper.unsure.is_empty() {
            keeper.recover();
        }
        keeper.publish_sums();
        keeper.publish();
        Ok(keeper)
    }

    /// Makes a path a root.
    pub(super) fn add(&mut self, path: &Path) -> Result<(), IndexError> {
        let given = super::plain(path);
        // Named by the owner, it is wanted again.
        let forgotten = self.parts.rules.forgotten();
        if forgotten.iter().any(|place| given.starts_with(place)) {
            self.set_forgotten(forgotten.into_iter().filter(|place| !given.starts_with(place)).collect())?;
        }
        if let Some(rule) = self.parts.rules.denied(path).or_else(|| self.parts.rules.denied(&given)) {
            return Err(IndexError::Denied { path: path.to_path_buf(), rule });
        }
        let metadata = match std::fs::metadata(&given) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(IndexError::NotFound(path.to_path_buf()));
            }
            Err(e) => return Err(IndexError::Unreadable { path: path.to_path_buf(), reason: e.to_string() }),
        };
        if given.to_str().is_none() {
            return Err(IndexError::Name(given));
        }
        if !metadata.is_dir() && !metadata.is_file() {
            return Err(IndexError::NotAFile(given));
        }
        if metadata.is_dir()
            && let Err(e) = std::fs::read_dir(&given)
        {
            return Err(IndexError::Unreadable { path: given, reason: e.to_string() });
        }
        if !self.roots.contains(&given) {
            let mut roots = self.roots.clone();
            roots.push(given.clone());
            self.set_roots(roots)?;
        }
        self.scan(&given, &given, None);
        Ok(())
    }

    /// Takes a root out.
    pub(super) fn remove(&mut self, path: &Path) -> Result<(), IndexError> {
        let given = super::plain(path);
        let Some(root) = self.roots.iter().find(|root| **root == given || root.as_path() == path).cloned()
        else {
            return Err(IndexError::NotARoot(path.to_path_buf()));
        };
        let roots = self.roots.iter().filter(|other| **other != root).cloned().collect();
        self.set_roots(roots)?;
        self.scans.retain(|scan| scan.root != root);
        self.drop_below(&root);
        // What other roots hold of it is looked at again.
        let inner: Vec<PathBuf> =
            self.roots.iter().filter(|other| other.starts_with(&root)).cloned().collect();
        for other in inner {
            self.scan(&other, &other, None);
        }
        if let Some(outer) = self.root_of(&root) {
            self.scan(&outer, &root, None);
        }
        Ok(())
    }

    /// Takes out what is at or below a path, and keeps it out.
    pub(super) fn forget(&mut self, path: &Path) -> Result<(), IndexError> {
        let given = super::plain(path);
        let mut forgotten = self.parts.rules.forgotten();
        forgotten.retain(|place| !place.starts_with(&given));
        forgotten.push(given.clone());
        self.set_forgotten(forgotten)?;
        let roots = self.roots.iter().filter(|root| !root.starts_with(&given)).cloned().collect();
        self.set_roots(roots)?;
        self.scans.retain(|scan| !scan.root.starts_with(&given));
        self.drop_below(&given);
        self.commit();
        if let Some(trouble) = &self.trouble {
            return Err(IndexError::Store(trouble.reason.clone()));
        }
        self.text.purge().map_err(|error| IndexError::Store(error.to_string()))
    }

    fn set_forgotten(&mut self, paths: Vec<PathBuf>) -> Result<(), IndexError> {
        write_list(&self.parts.dir, FORGOTTEN, &paths)
            .map_err(|e| IndexError::Store(format!("{}: {e}", self.parts.dir.display())))?;
        self.parts.rules.set_forgotten(paths);
        Ok(())
    }

    fn set_roots(&mut self, mut roots: Vec<PathBuf>) -> Result<(), IndexError> {
        roots.sort();
        write_list(&self.parts.dir, ROOTS, &roots)
            .map_err(|e| IndexError::Store(format!("{}: {e}", self.parts.dir.display())))?;
        *lock(&self.shared.roots) = roots.clone();
        lock(&self.shared.status).roots = roots.iter().map(|r| r.to_string_lossy().into_owned()).collect();
        self.roots = roots;
        Ok(())
    }
}

/// What the full-text side's commit `sequence` is marked with.
pub(super) fn payload(identity: &str, sequence: u64) -> String {
    format!("{identity} {sequence}")
}

/// Opens both halves and checks that they belong together.
fn halves(dir: &Path) -> Result<Halves, String> {
    let catalog =
        Catalog::open(&dir.join("catalog.db")).map_err(|e| format!("its catalog is damaged ({e})"))?;
    let known = catalog.identity().map_err(|e| format!("its catalog is damaged ({e})"))?;
    let text = TextIndex::open(&dir.join("text")).map_err(|e| format!("its text is damaged ({e})"))?;
    let payload = text.payload().map_err(|e| format!("its text is damaged ({e})"))?;
    let marked =
        payload.as_deref().and_then(|p| p.split_once(' ')).map(|(id, n)| (id.to_string(), n.parse().ok()));
    let (known, marked) = match (known, marked) {
        (None, None) => return anew(catalog, text),
        (Some(known), marked) => (known, marked),
        (None, Some(_)) => return Err("its catalog was lost".into()),
    };
    if !known.id.starts_with(&version()) {
        return Err("this version reads words differently".into());
    }
    // A side that was never committed to is at 0.
    let at = match marked {
        Some((id, Some(at))) if id == known.id => at,
        None if text.is_empty() => 0,
        _ => return Err("its text and its catalog are of different times".into()),
    };
    if at != known.sequence && Some(at) != known.begun {
        return Err("its text and its catalog are of different times".into());
    }
    Ok(Halves { catalog, text, identity: known.id, sequence: at })
}

fn anew(mut catalog: Catalog, text: TextIndex) -> Result<Halves, String> {
    let hash = RandomState::new().hash_one(std::process::id());
    let identity = format!("{}{hash:016x}", version());
    catalog.set_identity(&identity, 0).map_err(|e| e.to_string())?;
    Ok(Halves { catalog, text, identity, sequence: 0 })
}

fn halves_anew(dir: &Path) -> Result<Halves, IndexError> {
    halves(dir).map_err(|reason| IndexError::Store(format!("{}: {reason}", dir.display())))
}

fn version() -> String {
    format!("v{}-", text::VERSION)
}

fn wipe(dir: &Path) -> std::io::Result<()> {
    for name in ["catalog.db", "catalog.db-wal", "catalog.db-shm"] {
        gone(std::fs::remove_file(dir.join(name)))?;
    }
    gone(std::fs::remove_dir_all(dir.join("text")))
}

fn gone(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The roots stand in a file of their own: they are the owner's word and outlive a rebuild.
fn read_list(dir: &Path, name: &str) -> Result<Vec<PathBuf>, String> {
    match std::fs::read(dir.join(name)) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| e.to_string()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e.to_string()),
    }
}

fn write_list(dir: &Path, name: &str, paths: &[PathBuf]) -> std::io::Result<()> {
    disk::replace(&dir.join(name), &serde_json::to_vec_pretty(paths)?)
}
