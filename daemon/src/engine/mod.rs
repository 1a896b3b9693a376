//! The engine handle: the model that answers, loaded on demand in a jailed worker.

use crate::protocol::frames::{Generate, ModelInfo};
use crate::protocol::http::{ModelEntry, ModelStatus, WorkerStatus};
use crate::worker::{Call, WorkerError};
use std::path::Path;

/// Cheap to clone.
#[derive(Clone)]
pub struct Engine;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

fn none() -> EngineError {
    WorkerError::Spawn { kind: "engine", reason: "not built yet".into() }.into()
}

impl Engine {
    pub async fn info(&self) -> Result<ModelInfo, EngineError> {
        Err(none())
    }
    pub async fn generate(&self, _request: Generate) -> Result<Call, EngineError> {
        Err(none())
    }
    pub fn status(&self) -> (ModelStatus, WorkerStatus) {
        let worker = WorkerStatus {
            kind: "engine".into(),
            pid: None,
            state: "idle".into(),
            restarts: 0,
            rss_bytes: 0,
            jail_refused: vec![],
        };
        (ModelStatus { name: "ember".into(), loaded: false, context: None }, worker)
    }
    pub fn models(&self) -> Models {
        Models
    }
}

pub struct Models;

impl Models {
    pub async fn list(&self) -> Result<Vec<ModelEntry>, EngineError> {
        Ok(vec![])
    }
    pub async fn info(&self, _name: &str) -> Result<ModelEntry, EngineError> {
        Err(none())
    }
    pub async fn import(&self, _path: &Path, _name: Option<&str>) -> Result<ModelEntry, EngineError> {
        Err(none())
    }
    pub async fn remove(&self, _name: &str) -> Result<(), EngineError> {
        Err(none())
    }
}
