//! The record of what was done and allowed: JSON lines, each with the BLAKE3 of the one before, only ever
//! appended to. It holds names, hosts, sizes, digests and decisions, never the text itself. A line is on
//! the disk before what it tells of happens, and the database keeps where the log ends, so that a changed,
//! missing, moved or cut line is found. Against somebody who can write both it is no proof: that is the
//! owner's own account, and whoever has it has everything.
//!
//! A line has some 350 bytes and a tool call some three of them: a thousand calls are about 1 MB.

mod chain;

pub use chain::{Verdict, verify};

use crate::store::{Head, Store, StoreError};
use chain::{FIRST, Line, Tail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::Mutex;

/// Bytes from the end within which the last whole line is looked for.
const TAIL: u64 = 1 << 20;

/// Why something is not on record. What was to be recorded must not happen then.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("the audit log {} cannot be written ({error}), so nothing that belongs in it is done", .path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("where the audit log ends could not be noted: {0}")]
    Store(#[from] StoreError),
    #[error("the audit log was interrupted: {0}")]
    Lost(String),
}

/// Text that is not written down: how long it was, and its BLAKE3 in hex. Whoever has the text can show
/// that it was this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    pub bytes: u64,
    pub blake3: String,
}

impl Trace {
    pub fn of(bytes: impl AsRef<[u8]>) -> Trace {
        let bytes = bytes.as_ref();
        Trace { bytes: bytes.len() as u64, blake3: blake3::hash(bytes).to_hex().to_string() }
    }
}

/// What is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Entry {
    /// A tool is about to be called.
    Call {
        call: String,
        tool: String,
        /// Of the plugin's package; none for a built-in tool.
        digest: Option<String>,
        session: String,
        arguments: Trace,
        untrusted: bool,
        private: bool,
    },
    /// It ended: `ok`, `failed`, `denied` or `cancelled`.
    Ended { call: String, tool: String, status: String, output: Trace },
    /// The owner, or the time that ran out, decided: `once`, `always`, `denied`, `unanswered` or `refused`.
    Approval { plugin: String, tool: String, action: String, about: Trace, decision: String },
    /// A request is about to go out.
    Egress { plugin: String, tool: String, method: String, host: String, request: Trace, allowed: String },
    /// A value, a plan or a notice is about to be written: `set`, `swap`, `delete`, `schedule`, `cancel` or `notice`.
    Write { plugin: String, tool: String, action: String, key: Trace, value: Trace, allowed: String },
    /// Something was not allowed.
    Denied { plugin: String, tool: String, action: String },
    /// A plugin was `installed` or `removed`, or something was `granted` or `revoked`.
    Grant { plugin: String, digest: String, change: String, interfaces: Vec<String> },
    /// A standing rule was taken back.
    Rule { rule: i64, change: String },
    /// What stands before this line and is no entry: a line that a crash tore.
    Torn { bytes: u64, blake3: String },
}

/// The log, open for appending; cheap to clone.
#[derive(Clone)]
pub struct Audit {
    path: PathBuf,
    store: Store,
    log: Arc<Mutex<Option<Log>>>,
}

struct Log {
    file: File,
    lines: u64,
    hash: String,
}

impl Audit {
    /// Opens the log, or makes it (0600). A last line that a crash tore stays, and is marked by the next.
    pub async fn open(path: &Path, store: Store) -> Result<Audit, AuditError> {
        let audit = Audit { path: path.into(), store, log: Arc::default() };
        let mut log = audit.log.lock().await;
        *log = Some(audit.reopen().await?);
        drop(log);
        Ok(audit)
    }

    /// Writes one line and returns when it is on the disk.
    ///
    /// # Errors
    /// The line may not be there, and what it tells of must not be done.
    pub async fn append(&self, entry: Entry) -> Result<(), AuditError> {
        let audit = self.clone();
        // Goes on when the caller goes away: while one line is being written, no other may be begun.
        let appended = tokio::spawn(async move { audit.write(entry).await });
        appended.await.map_err(|error| AuditError::Lost(error.to_string()))?
    }

    async fn write(&self, entry: Entry) -> Result<(), AuditError> {
        let mut slot = self.log.lock().await;
        // Taken out while it is written: a failure leaves nothing half known.
        let log = match slot.take() {
            Some(log) => log,
            None => self.reopen().await?,
        };
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || log.write(&entry)).await;
        let log = written
            .map_err(|error| AuditError::Lost(error.to_string()))?
            .map_err(|error| AuditError::File { path, error })?;
        self.store.set_audit_head(&Head { lines: log.lines, hash: log.hash.clone() }).await?;
        *slot = Some(log);
        Ok(())
    }

    /// The last lines, the newest last. What is no JSON is given as text.
    pub async fn last(&self, most: usize) -> Result<Vec<Value>, AuditError> {
        let _between_lines = self.log.lock().await;
        let text = self.read().await?;
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let lines = &lines[lines.len().saturating_sub(most)..];
        Ok(lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| (*line).into())).collect())
    }

    /// Checks every line against the next, and the end against what the database knows.
    pub async fn verify(&self) -> Result<Verdict, AuditError> {
        // Text and end are of the same moment: a line in between would look like one that is missing.
        let _between_lines = self.log.lock().await;
        let text = self.read().await?;
        Ok(verify(&text, self.store.audit_head().await?.as_ref()))
    }

    /// The whole log; the lock is held, so that no line is half written.
    async fn read(&self) -> Result<Vec<u8>, AuditError> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || std::fs::read(&path).map_err(|error| (path, error)));
        read.await
            .map_err(|error| AuditError::Lost(error.to_string()))?
            .map_err(|(path, error)| AuditError::File { path, error })
    }

    async fn reopen(&self) -> Result<Log, AuditError> {
        let path = self.path.clone();
        let opened = tokio::task::spawn_blocking(move || Log::open(&path).map_err(|error| (path, error)));
        opened
            .await
            .map_err(|error| AuditError::Lost(error.to_string()))?
            .map_err(|(path, error)| AuditError::File { path, error })
    }
}

impl Log {
    fn open(path: &Path) -> io::Result<Log> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        if !end.is_empty() && !end.ends_with(b"\n") {
            // What lacks only its end is whole with it.
            file.write_all(b"\n")?;
            end.push(b'\n');
        }
        let tail = Tail::of(&end);
        let log = Log { file, lines: tail.lines, hash: tail.hash };
        match tail.torn {
            None => Ok(log),
            Some(torn) => {
                let Trace { bytes, blake3 } = Trace::of(torn.strip_suffix(b"\n").unwrap_or(&torn));
                log.write(&Entry::Torn { bytes, blake3 })
            }
        }
    }

    fn write(self, entry: &Entry) -> io::Result<Log> {
        let lines = self.lines + 1;
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let line = Line { n: lines, at, prev: self.hash, entry: entry.clone() };
        let mut text = serde_json::to_vec(&line).map_err(io::Error::other)?;
        let hash = blake3::hash(&text).to_hex().to_string();
        text.push(b'\n');
        (&self.file).write_all(&text)?;
        self.file.sync_data()?;
        Ok(Log { file: self.file, lines, hash })
    }
}

impl Default for Tail {
    fn default() -> Tail {
        Tail { lines: 0, hash: FIRST.into(), torn: None }
    }
}

#[cfg(test)]
mod tests;
