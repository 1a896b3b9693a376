//! Which files are to be indexed, and how one is opened: the ignore files, the owner's patterns and
//! the denied places, for whole walks and for single paths alike. It follows no symbolic link, opens
//! nothing but regular files, and never waits on a FIFO.

use super::catalog::Stamp;
use crate::config::IndexConfig;
use crate::policy::deny;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::{IncrementalIgnore, Walk, WalkBuilder};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

/// Files that hold ignore patterns; a change of one changes what belongs to the index.
pub(super) const IGNORE_FILES: &[&str] = &[".gitignore", ".ignore", ".familiarignore"];

/// A file changed less than this before it was read may change again without bearing another time.
const RACY: Duration = Duration::from_millis(50);

/// The owner's settings and the places that are never read.
#[derive(Clone)]
pub(super) struct Rules {
    config: Arc<IndexConfig>,
    own: Arc<Vec<PathBuf>>,
    /// What the owner asked to be forgotten; it stays out until it is added again by name.
    forgotten: Arc<RwLock<Vec<PathBuf>>>,
}

impl Rules {
    /// `own` are Familiar's own folders.
    pub(super) fn new(config: IndexConfig, own: Vec<PathBuf>) -> Rules {
        Rules { config: Arc::new(config), own: Arc::new(own), forgotten: Arc::default() }
    }

    /// What is forgotten from now on, in place of what was.
    pub(super) fn set_forgotten(&self, paths: Vec<PathBuf>) {
        *self.forgotten.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = paths;
    }

    pub(super) fn forgotten(&self) -> Vec<PathBuf> {
        self.forgotten.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    pub(super) fn denied(&self, path: &Path) -> Option<&'static str> {
        let forgotten = self.forgotten.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        let rule =
            forgotten.iter().any(|place| path.starts_with(place)).then_some("what you asked to be forgotten");
        rule.or_else(|| deny::denied_with(path, &self.own))
    }

    pub(super) fn max_file_bytes(&self) -> u64 {
        self.config.max_file_bytes
    }

    /// Walks `start`, which is `root` or a folder in it. `others` are roots of their own: not entered.
    pub(super) fn walk(&self, root: &Path, start: &Path, depth: Option<usize>, others: Vec<PathBuf>) -> Walk {
        let rules = self.clone();
        let exclude = self.exclude(root);
        let start_owned = start.to_path_buf();
        self.builder(start)
            .max_depth(depth)
            .filter_entry(move |entry| {
                let path = entry.path();
                if path == start_owned {
                    return true;
                }
                let folder = entry.file_type().is_some_and(|t| t.is_dir());
                !others.iter().any(|other| other == path)
                    && !exclude.matched(path, folder).is_ignore()
                    && rules.denied(path).is_none()
            })
            .build()
    }

    /// A check for single paths below `root`; it sees the ignore files as they are now.
    pub(super) fn matcher(&self, root: &Path) -> Matcher {
        let ignore = self.builder(root).build_matchers().into_iter().next();
        Matcher { rules: self.clone(), root: root.to_path_buf(), ignore, exclude: self.exclude(root) }
    }

    fn builder(&self, start: &Path) -> WalkBuilder {
        let mut builder = WalkBuilder::new(start);
        builder
            .hidden(!self.config.hidden)
            .follow_links(false)
            .require_git(false)
            .git_global(false)
            .add_custom_ignore_filename(".familiarignore");
        builder
    }

    fn exclude(&self, root: &Path) -> Gitignore {
        let mut builder = GitignoreBuilder::new(root);
        for pattern in &self.config.exclude {
            if let Err(error) = builder.add_line(None, pattern) {
                tracing::warn!("[index] exclude: the pattern {pattern:?} is not understood: {error}");
            }
        }
        builder.build().unwrap_or_else(|_| Gitignore::empty())
    }
}

/// Says of single paths below one root whether they belong to the index.
pub(super) struct Matcher {
    rules: Rules,
    root: PathBuf,
    ignore: Option<IncrementalIgnore>,
    exclude: Gitignore,
}

impl Matcher {
    pub(super) fn allows(&mut self, path: &Path, folder: bool) -> bool {
        let Ok(relative) = path.strip_prefix(&self.root) else { return false };
        if self.rules.denied(path).is_some() {
            return false;
        }
        if relative.as_os_str().is_empty() {
            return true;
        }
        let ignored = self.ignore.as_mut().is_some_and(|ignore| ignore.matched(relative, folder).is_ignore());
        !ignored && !self.exclude.matched_path_or_any_parents(path, folder).is_ignore()
    }
}

pub(super) fn stamp(metadata: &Metadata) -> Stamp {
    Stamp {
        size: metadata.size(),
        mtime_ns: metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec()),
        ctime_ns: metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec()),
        inode: metadata.ino(),
        device: metadata.dev(),
    }
}

/// When a file was made, where its file system knows.
pub(super) fn born_ns(path: &Path) -> Option<i64> {
    let made = std::fs::symlink_metadata(path).ok()?.created().ok()?;
    i64::try_from(made.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_nanos()).ok()
}

/// What came of opening a path.
pub(super) enum Opened {
    File {
        file: File,
        stamp: Stamp,
        racy: bool,
    },
    /// It went away, which is no error.
    Gone,
    /// A symbolic link, FIFO, socket, device or folder.
    NotAFile,
    Failed(String),
}

/// Opens a regular file for reading. No component of the path may be a symbolic link, so that a
/// link put in the place of a folder leads nowhere.
pub(super) fn open(path: &Path) -> Opened {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
    let strict = rustix::fs::openat2(rustix::fs::CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS);
    let opened = match strict {
        // Kernels before 5.6 and some sandboxes do not have it.
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {
            rustix::fs::open(path, flags, Mode::empty())
        }
        other => other,
    };
    let file = match opened {
        Ok(fd) => File::from(fd),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Opened::Gone,
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO | rustix::io::Errno::NODEV) => {
            return Opened::NotAFile;
        }
        Err(error) => return Opened::Failed(format!("cannot be opened: {}", std::io::Error::from(error))),
    };
    let now = SystemTime::now();
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => {
            let age = metadata.modified().ok().and_then(|at| now.duration_since(at).ok());
            let racy = age.is_none_or(|age| age < RACY);
            Opened::File { stamp: stamp(&metadata), racy, file }
        }
        Ok(_) => Opened::NotAFile,
        Err(error) => Opened::Failed(format!("cannot be opened: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn rules(exclude: &[&str]) -> Rules {
        let exclude = exclude.iter().map(|e| e.to_string()).collect();
        Rules::new(IndexConfig { exclude, ..IndexConfig::default() }, Vec::new())
    }

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for folder in ["keep", "target", "a/deep", ".hidden", ".ssh", "other"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for file in [
            "keep/x.txt",
            "keep/x.log",
            "target/y.txt",
            "a/deep/z.txt",
            "a/deep/no.txt",
            ".hidden/h",
            ".ssh/k",
            "s.env",
            "other/o",
        ] {
            fs::write(root.join(file), "x").unwrap();
        }
        fs::write(root.join(".gitignore"), "target/\n").unwrap();
        fs::write(root.join("a/.familiarignore"), "no.txt\n").unwrap();
        std::os::unix::fs::symlink(root, root.join("keep/loop")).unwrap();
        dir
    }

    #[test]
    fn walks_and_single_paths_agree() {
        let dir = tree();
        let root = dir.path().canonicalize().unwrap();
        let rules = rules(&["*.log"]);
        let mut matcher = rules.matcher(&root);
        let mut walked: Vec<PathBuf> = rules
            .walk(&root, &root, None, vec![root.join("other")])
            .filter_map(|e| e.ok())
            .filter(|e| e.file_type().is_some_and(|t| t.is_file()))
            .map(|e| e.into_path())
            .collect();
        walked.sort();
        assert_eq!(walked, ["a/deep/z.txt", "keep/x.txt", "s.env"].map(|f| root.join(f)));
        for (path, allowed) in [
            ("keep/x.txt", true),
            ("a/deep/z.txt", true),
            ("a/deep/no.txt", false),
            ("keep/x.log", false),
            ("target/y.txt", false),
            (".hidden/h", false),
            (".ssh/k", false),
            (".env", false),
        ] {
            assert_eq!(matcher.allows(&root.join(path), false), allowed, "{path}");
        }
    }

    #[test]
    fn only_regular_files_are_opened() {
        let dir = tree();
        let root = dir.path().canonicalize().unwrap();
        let fifo = root.join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .unwrap();
        assert!(matches!(open(&fifo), Opened::NotAFile));
        assert!(matches!(open(&root.join("keep/loop")), Opened::NotAFile));
        assert!(matches!(open(&root.join("keep/loop/s.env")), Opened::NotAFile));
        assert!(matches!(open(&root.join("nothing")), Opened::Gone));
        assert!(matches!(open(&root), Opened::NotAFile));
        assert!(matches!(open(&root.join("keep/x.txt")), Opened::File { .. }));
    }
}
