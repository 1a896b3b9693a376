//! The index handle.

use crate::protocol::http::{IndexStatus, SearchRequest, SearchResponse, WorkerStatus};
use std::path::Path;

/// Cheap to clone.
#[derive(Clone)]
pub struct Index;

#[derive(Debug, thiserror::Error)]
#[error("the index is not built yet")]
pub struct IndexError;

impl Index {
    pub async fn search(&self, _request: SearchRequest) -> Result<SearchResponse, IndexError> {
        Ok(SearchResponse { hits: vec![], took_ms: 0 })
    }
    pub async fn status(&self) -> Result<IndexStatus, IndexError> {
        Ok(IndexStatus::default())
    }
    pub async fn add(&self, _path: &Path, _wait: bool) -> Result<(), IndexError> {
        Err(IndexError)
    }
    pub async fn remove(&self, _path: &Path, _wait: bool) -> Result<(), IndexError> {
        Err(IndexError)
    }
    pub fn worker(&self) -> WorkerStatus {
        WorkerStatus {
            kind: "extract".into(),
            pid: None,
            state: "idle".into(),
            restarts: 0,
            rss_bytes: 0,
            jail_refused: vec![],
        }
    }
}
