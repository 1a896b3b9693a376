//! The live full-text index of the owner's folders: walked, watched, reconciled, searched. It reads the
//! owner's files only to hash them and to hand them, open, to the extract worker; it parses none, and
//! writes nowhere but in its own folder. Whatever instant the process is killed at, the next start
//! ends equal to the folders without repair.

mod catalog;
mod complete;
mod extractor;
mod keeper;
#[cfg(test)]
mod measure;
mod query;
mod search;
#[cfg(test)]
mod tests;
mod text;
mod walk;
mod watch;

use crate::config::IndexConfig;
use crate::protocol::http::IndexStatus;
use crate::types::Passage;
use crate::worker::Worker;
use extractor::{Extractor, Refusal};
use keeper::{Keeper, Listing, Msg};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use tokio::sync::{oneshot, watch as watched};
use walk::{Opened, Rules};

/// Most bytes of text that [`Index::text`] gives at once.
pub const MAX_READ: u64 = 64 << 10;

/// What went wrong, with which thing, and the way out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IndexError {
    #[error("{0} does not exist")]
    NotFound(PathBuf),
    #[error("{path} is never indexed: it holds {rule}")]
    Denied { path: PathBuf, rule: &'static str },
    #[error("{0} is not below an indexed folder: add it with `familiar index add`")]
    Outside(PathBuf),
    #[error("{0} is not an indexed folder: `familiar index list` shows them")]
    NotARoot(PathBuf),
    #[error("{0} is neither a folder nor a regular file")]
    NotAFile(PathBuf),
    #[error("the name of {0} is not UTF-8: rename it to index it")]
    Name(PathBuf),
    #[error("{path} cannot be read: {reason}")]
    Unreadable { path: PathBuf, reason: String },
    #[error("{0}")]
    Busy(String),
    #[error("the index in its folder cannot be used: {0}")]
    Store(String),
    #[error("the index is closed: the daemon is shutting down")]
    Closed,
}

/// One passage that was found, and the words around the matches.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    pub passage: Passage,
    pub snippet: String,
}

/// A file that is in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedFile {
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970, UTC.
    pub modified: i64,
}

/// A stretch of a file's decoded text. `start..end` are bytes of the decoded content, `total` is its
/// length; `line` is the 1-based line of `start`; `hash` is BLAKE3 of the file's bytes in hex.
#[derive(Debug, Clone, PartialEq)]
pub struct FileText {
    pub path: String,
    pub title: String,
    pub text: String,
    pub start: u64,
    pub end: u64,
    pub line: u32,
    pub total: u64,
    pub hash: String,
}

/// The index; cheap to clone.
#[derive(Clone)]
pub struct Index {
    shared: Arc<Shared>,
    keeper: mpsc::Sender<Msg>,
    extractor: Extractor,
    rules: Rules,
}

/// What the keeper's thread shows to everyone else.
struct Shared {
    status: Mutex<IndexStatus>,
    roots: Mutex<Vec<PathBuf>>,
    /// Files wait to be indexed.
    busy: watched::Sender<bool>,
    reader: tantivy::IndexReader,
    fields: text::Fields,
}

impl Index {
    /// Opens the index in `dir`, or makes it. A damaged one, or one of another version, is made
    /// again from the files. Looking for changes and watching begin in the background.
    pub async fn open(dir: PathBuf, config: IndexConfig, extractor: Worker) -> Result<Index, IndexError> {
        Index::open_with(dir, config, Extractor::Worker(extractor)).await
    }

    async fn open_with(dir: PathBuf, config: IndexConfig, extractor: Extractor) -> Result<Index, IndexError> {
        let runtime = tokio::runtime::Handle::current();
        let rules = Rules::new(config.clone(), vec![dir.clone()]);
        let (sender, receiver) = mpsc::channel();
        let (ready, opened) = oneshot::channel();
        let parts = keeper::Parts {
            dir,
            config,
            rules: rules.clone(),
            extractor: extractor.clone(),
            runtime,
            sender: sender.clone(),
        };
        std::thread::Builder::new()
            .name("index".into())
            .spawn(move || match Keeper::open(parts) {
                Ok(keeper) => {
                    if ready.send(Ok(keeper.shared())).is_ok() {
                        keeper.run(receiver);
                    }
                }
                // The opener is told why; when it has gone there is nobody to tell.
                Err(error) => drop(ready.send(Err(error))),
            })
            .map_err(|e| IndexError::Store(e.to_string()))?;
        let shared = opened.await.map_err(|_| IndexError::Closed)??;
        Ok(Index { shared, keeper: sender, extractor, rules })
    }

    /// Makes a folder or a single file a root; its files are indexed from now on.
    pub async fn add(&self, path: &Path) -> Result<(), IndexError> {
        let path = path.to_path_buf();
        self.ask(|reply| Msg::Add(path, reply)).await?
    }

    /// Takes a root out; its documents vanish.
    pub async fn remove(&self, path: &Path) -> Result<(), IndexError> {
        let path = path.to_path_buf();
        self.ask(|reply| Msg::Remove(path, reply)).await?
    }

    /// Takes a file, or all below a folder, out of the index, and keeps it out until it is added again by name.
    pub async fn forget(&self, path: &Path) -> Result<(), IndexError> {
        let path = path.to_path_buf();
        self.ask(|reply| Msg::Forget(path, reply)).await??;
        self.settled().await;
        Ok(())
    }

    /// Indexed folders and files, in order.
    pub fn roots(&self) -> Vec<PathBuf> {
        lock(&self.shared.roots).clone()
    }

    /// Resolves once everything that is known of is searchable, or has failed for good.
    pub async fn settled(&self) {
        // A closed index has nothing left to wait for.
        let _ = self.ask(Msg::Settled).await;
    }

    /// The best `k` passages for words, a question, or a "quoted phrase". No query is an error.
    pub async fn search(&self, query: &str, k: usize) -> Result<Vec<Hit>, IndexError> {
        self.search_below(query, k, &[]).await
    }

    /// As [`Index::search`], in files at or below these places alone; none means everywhere.
    pub async fn search_below(
        &self,
        query: &str,
        k: usize,
        below: &[PathBuf],
    ) -> Result<Vec<Hit>, IndexError> {
        let (shared, query, below) = (self.shared.clone(), query.to_string(), below.to_vec());
        let search = move || search::search(&shared.reader, &shared.fields, &query, k, &below);
        let task = tokio::task::spawn_blocking(search);
        task.await.map_err(|e| IndexError::Store(e.to_string()))?
    }

    /// As [`Index::search`], for words of which the last is still being typed: it also stands for the commonest longer
    /// word that begins so.
    pub async fn search_typed(&self, query: &str, k: usize) -> Result<Vec<Hit>, IndexError> {
        let (shared, query) = (self.shared.clone(), query.to_string());
        let task = tokio::task::spawn_blocking(move || {
            let query = complete::complete(&shared.reader.searcher(), &shared.fields, &query)?;
            search::search(&shared.reader, &shared.fields, &query, k, &[])
        });
        task.await.map_err(|e| IndexError::Store(e.to_string()))?
    }

    /// Whether files wait to be indexed, as it changes.
    pub fn busy(&self) -> watched::Receiver<bool> {
        self.shared.busy.subscribe()
    }

    /// Indexed files whose name ends with `suffix`, at or below these places (none means everywhere), in
    /// order of their paths, from the one after `after`; at most `most`.
    pub async fn files(
        &self,
        suffix: &str,
        after: &str,
        below: &[PathBuf],
        most: usize,
    ) -> Result<Vec<IndexedFile>, IndexError> {
        let listing = Listing { suffix: suffix.into(), after: after.into(), below: below.to_vec(), most };
        self.ask(|reply| Msg::Files(listing, reply)).await?
    }

    /// The decoded text of a file below the roots, read afresh. At most [`MAX_READ`] bytes from `start`
    /// on are given; an `end` of 0 means as many as that.
    pub async fn text(&self, path: &Path, start: u64, end: u64) -> Result<FileText, IndexError> {
        let path = self.permitted(path)?;
        let open_path = path.clone();
        let opened = tokio::task::spawn_blocking(move || walk::open(&open_path)).await;
        let file = match opened.map_err(|e| IndexError::Store(e.to_string()))? {
            Opened::File { file, stamp, .. } if stamp.size <= self.rules.max_file_bytes() => file,
            Opened::File { .. } => {
                let reason = format!("it is larger than {} bytes", self.rules.max_file_bytes());
                return Err(IndexError::Unreadable { path, reason });
            }
            Opened::Gone => return Err(IndexError::NotFound(path)),
            Opened::NotAFile => return Err(IndexError::NotAFile(path)),
            Opened::Failed(reason) => return Err(IndexError::Unreadable { path, reason }),
        };
        let name = keeper::file_name(&path);
        match self.extractor.extract(file, name, self.rules.max_file_bytes()).await {
            Ok(extracted) => Ok(search::stretch(&path, extracted, start, end)),
            Err(Refusal::Document(reason) | Refusal::Crash(reason)) => {
                Err(IndexError::Unreadable { path, reason })
            }
            Err(Refusal::Later(_, reason)) => Err(IndexError::Busy(reason)),
        }
    }

    /// Whether a file still has the bytes that hash to `hash`. It is read again for this.
    pub async fn verify(&self, path: &str, hash: &str) -> bool {
        let Ok(path) = self.permitted(Path::new(path)) else { return false };
        let wanted = hash.to_string();
        let limit = self.rules.max_file_bytes();
        tokio::task::spawn_blocking(move || {
            let Opened::File { file, stamp, .. } = walk::open(&path) else { return false };
            if stamp.size > limit {
                return false;
            }
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(file).is_ok() && hasher.finalize().to_hex().as_str() == wanted
        })
        .await
        .unwrap_or(false)
    }

    /// How the index stands. Cheap; waits for nothing.
    pub fn status(&self) -> IndexStatus {
        lock(&self.shared.status).clone()
    }

    /// Commits what is ready and ends the index's thread.
    pub async fn close(&self) {
        // An index whose thread has ended is closed already.
        let _ = self.ask(Msg::Close).await;
    }

    async fn ask<T>(&self, msg: impl FnOnce(oneshot::Sender<T>) -> Msg) -> Result<T, IndexError> {
        let (reply, answer) = oneshot::channel();
        self.keeper.send(msg(reply)).map_err(|_| IndexError::Closed)?;
        answer.await.map_err(|_| IndexError::Closed)
    }

    /// The path made plain, if files there may be read on the owner's behalf.
    fn permitted(&self, path: &Path) -> Result<PathBuf, IndexError> {
        let path = keeper::plain(path);
        if let Some(rule) = self.rules.denied(&path) {
            return Err(IndexError::Denied { path, rule });
        }
        let inside = lock(&self.shared.roots).iter().any(|root| path.starts_with(root));
        if inside { Ok(path) } else { Err(IndexError::Outside(path)) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
