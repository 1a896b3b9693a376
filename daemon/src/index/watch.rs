//! Kernel events to "look at this path". Folders are watched one by one within a share of the user's
//! inotify watches, the rest is left to be looked at from time to time. What happened is only a hint:
//! the keeper looks at the file itself. However many events come, what is kept stays small.

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// More changed paths than this are not kept: everything is looked at instead.
const MAX_DIRTY: usize = 8192;

/// What changed since the last look.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    pub paths: HashSet<PathBuf>,
    /// Paths that came to be or ceased to be something else: a watch at or below one is of no worth,
    /// because it may belong to a folder that has another name by now.
    pub stale: HashSet<PathBuf>,
    /// Events were lost, or too many came: look at everything.
    pub rescan: bool,
}

impl Dirty {
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.rescan
    }

    /// Takes an event in; true when it is the first since the last look.
    fn note(&mut self, event: &Event) -> bool {
        let was_empty = self.is_empty();
        if event.need_rescan() {
            self.rescan = true;
        }
        let changes = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
            EventKind::Access(_) => false,
            _ => true,
        };
        if changes && !self.rescan {
            if replaces(event.kind) {
                self.stale.extend(event.paths.iter().cloned());
            }
            self.paths.extend(event.paths.iter().cloned());
        }
        if self.rescan || self.paths.len() > MAX_DIRTY {
            *self = Dirty { rescan: true, ..Dirty::default() };
        }
        was_empty && !self.is_empty()
    }
}

/// A folder may have come or gone by this name.
fn replaces(kind: EventKind) -> bool {
    match kind {
        EventKind::Create(what) => what != CreateKind::File,
        EventKind::Remove(what) => what != RemoveKind::File,
        EventKind::Modify(ModifyKind::Name(_)) => true,
        _ => false,
    }
}

/// Watched folders, and the ones past the budget.
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    dirty: Arc<Mutex<Dirty>>,
    watched: BTreeSet<PathBuf>,
    polled: BTreeSet<PathBuf>,
    budget: usize,
    problem: Option<String>,
}

impl Watch {
    /// `wake` is called, from another thread, when there is something to look at.
    pub(super) fn new(percent: u32, wake: impl Fn() + Send + 'static) -> Watch {
        let dirty = Arc::new(Mutex::new(Dirty::default()));
        let noted = dirty.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let first = match event {
                Ok(event) => lock(&noted).note(&event),
                Err(_) => !std::mem::replace(&mut lock(&noted).rescan, true),
            };
            if first {
                wake();
            }
        });
        let (watcher, problem) = match watcher {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(format!("file changes are found by looking, not by events: {error}"))),
        };
        let budget = max_user_watches() * percent.min(100) as usize / 100;
        Watch { watcher, dirty, watched: BTreeSet::new(), polled: BTreeSet::new(), budget, problem }
    }

    pub(super) fn take_dirty(&self) -> Dirty {
        std::mem::take(&mut *lock(&self.dirty))
    }

    pub(super) fn is_quiet(&self) -> bool {
        lock(&self.dirty).is_empty()
    }

    /// Watches a folder, not what is in its folders. Must be called before the folder is listed.
    pub(super) fn add(&mut self, folder: &Path) {
        if self.watched.contains(folder) || self.polled.contains(folder) {
            return;
        }
        if self.watched.len() < self.budget && self.kernel_watch(folder) {
            self.watched.insert(folder.to_path_buf());
        } else {
            self.polled.insert(folder.to_path_buf());
        }
    }

    fn kernel_watch(&mut self, folder: &Path) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => true,
            Err(error) => {
                if matches!(error.kind, notify::ErrorKind::MaxFilesWatch) {
                    self.budget = self.watched.len();
                }
                false
            }
        }
    }

    /// Stops watching a folder and all below it.
    pub(super) fn forget(&mut self, folder: &Path) {
        for path in below(&self.watched, folder) {
            if let Some(watcher) = &mut self.watcher {
                // The kernel has dropped the watch already when the folder is gone.
                let _ = watcher.unwatch(&path);
            }
            self.watched.remove(&path);
        }
        for path in below(&self.polled, folder) {
            self.polled.remove(&path);
        }
    }

    /// Stops watching anything: after lost events no watch is known to bear the right name.
    pub(super) fn forget_all(&mut self) {
        self.forget(Path::new("/"));
    }

    /// Folders known at and below one, watched or polled.
    pub(super) fn known_below(&self, folder: &Path) -> Vec<PathBuf> {
        below(&self.watched, folder).into_iter().chain(below(&self.polled, folder)).collect()
    }

    pub(super) fn knows(&self, folder: &Path) -> bool {
        self.watched.contains(folder) || self.polled.contains(folder)
    }

    pub(super) fn polled(&self) -> Vec<PathBuf> {
        self.polled.iter().cloned().collect()
    }

    /// Watched and polled folders.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.watched.len() as u64, self.polled.len() as u64)
    }

    /// What the owner should know.
    pub(super) fn warning(&self) -> Option<String> {
        if let Some(problem) = &self.problem {
            return Some(problem.clone());
        }
        (!self.polled.is_empty()).then(|| {
            format!(
                "{} folders are past the limit of {} watches and are looked at from time to time: raise \
                 fs.inotify.max_user_watches or [index] watch_percent",
                self.polled.len(),
                self.budget
            )
        })
    }
}

fn below(folders: &BTreeSet<PathBuf>, folder: &Path) -> Vec<PathBuf> {
    folders.range(folder.to_path_buf()..).take_while(|path| path.starts_with(folder)).cloned().collect()
}

/// The kernel's limit for one user; its usual default where it cannot be read.
fn max_user_watches() -> usize {
    let text = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches").unwrap_or_default();
    text.trim().parse().unwrap_or(8192)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_events_becomes_one_rescan() {
        let mut dirty = Dirty::default();
        let event = |i: usize| Event::new(EventKind::Any).add_path(PathBuf::from(format!("/f/{i}")));
        assert!(dirty.note(&event(0)));
        for i in 1..50_000 {
            assert!(!dirty.note(&event(i)));
        }
        assert!(dirty.rescan && dirty.paths.is_empty());
    }

    #[test]
    fn reading_a_file_is_no_change() {
        let mut dirty = Dirty::default();
        let read = Event::new(EventKind::Access(AccessKind::Open(AccessMode::Any))).add_path("/f".into());
        assert!(!dirty.note(&read) && dirty.is_empty());
        let overflow = Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
        assert!(dirty.note(&overflow) && dirty.rescan);
    }

    #[test]
    fn a_folder_made_again_under_its_name_is_not_taken_for_the_old_one() {
        let mut dirty = Dirty::default();
        dirty.note(&Event::new(EventKind::Create(CreateKind::File)).add_path("/f/a.txt".into()));
        dirty.note(&Event::new(EventKind::Remove(RemoveKind::Folder)).add_path("/f/old".into()));
        dirty.note(&Event::new(EventKind::Create(CreateKind::Folder)).add_path("/f/old".into()));
        assert_eq!(dirty.stale, HashSet::from([PathBuf::from("/f/old")]));
        assert_eq!(dirty.paths.len(), 2);
    }

    #[test]
    fn past_the_budget_folders_are_polled() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::new(100, || ());
        watch.budget = 1;
        for name in ["a", "b", "a/c"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            watch.add(&dir.path().join(name));
        }
        assert_eq!(watch.counts(), (1, 2));
        assert!(watch.warning().unwrap().contains("max_user_watches"));
        watch.forget(&dir.path().join("a"));
        assert_eq!(watch.counts(), (0, 1));
    }
}
