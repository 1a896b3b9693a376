//! The engine handle: the model that answers, loaded on demand in a jailed worker.

use crate::config::Config;
use crate::protocol::frames::{Fault, Generate, ModelInfo};
use crate::protocol::http::{ErrorCode, ModelEntry, ModelStatus, WorkerStatus};
use crate::types::{Finish, Timings, Usage};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    models: Models,
}

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Request(Fault),
    #[error(transparent)]
    Models(#[from] ModelsError),
}

impl EngineError {
    pub fn code(&self) -> ErrorCode {
        ErrorCode::NotFound
    }
}

#[derive(Debug, thiserror::Error)]
#[error("there is no model")]
pub struct ModelsError;

pub enum Output {
    Started { prompt_tokens: u32, cached_tokens: u32 },
    Text(String),
    Done { finish: Finish, usage: Usage, timings: Timings },
}

pub struct Generation;

impl Generation {
    pub async fn next(&mut self) -> Option<Result<Output, EngineError>> {
        None
    }
}

impl Engine {
    pub fn new(models: Models, _config: watch::Receiver<Arc<Config>>) -> Engine {
        Engine { models }
    }
    pub async fn info(&self) -> Result<ModelInfo, EngineError> {
        Err(ModelsError.into())
    }
    pub async fn generate(&self, _request: Generate) -> Result<Generation, EngineError> {
        Err(ModelsError.into())
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
    pub fn models(&self) -> &Models {
        &self.models
    }
}

#[derive(Debug, Clone)]
pub struct Models;

impl Models {
    pub fn new(_folder: impl Into<PathBuf>) -> Models {
        Models
    }
    pub fn list(&self, _in_use: &str) -> Result<Vec<ModelEntry>, ModelsError> {
        Ok(vec![])
    }
    pub fn info(&self, _name: &str, _in_use: &str) -> Result<ModelEntry, ModelsError> {
        Err(ModelsError)
    }
    pub fn import(
        &self,
        _from: &Path,
        _name: Option<&str>,
        _progress: impl FnMut(u64, u64),
    ) -> Result<ModelEntry, ModelsError> {
        Err(ModelsError)
    }
    pub fn remove(&self, _name: &str, _in_use: &str) -> Result<(), ModelsError> {
        Err(ModelsError)
    }
}
