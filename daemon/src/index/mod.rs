//! The index handle.

use crate::config::IndexConfig;
use crate::protocol::http::IndexStatus;
use crate::types::Passage;
use crate::worker::Worker;
use std::path::{Path, PathBuf};

/// Cheap to clone.
#[derive(Clone)]
pub struct Index;

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

#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    pub passage: Passage,
    pub snippet: String,
}

impl Index {
    pub async fn open(_dir: PathBuf, _config: IndexConfig, _extractor: Worker) -> Result<Index, IndexError> {
        Ok(Index)
    }
    pub async fn search(&self, _query: &str, _k: usize) -> Result<Vec<Hit>, IndexError> {
        Ok(vec![])
    }
    pub fn status(&self) -> IndexStatus {
        IndexStatus::default()
    }
    pub async fn add(&self, path: &Path) -> Result<(), IndexError> {
        Err(IndexError::NotFound(path.into()))
    }
    pub async fn remove(&self, path: &Path) -> Result<(), IndexError> {
        Err(IndexError::NotARoot(path.into()))
    }
    pub async fn settled(&self) {}
}
