//! Where the doors meet the other rooms' handles. Each function forwards one thing and puts its error
//! into a client's words, so that a change of a handle is a change of this file alone.

use super::error::Failure;
use crate::daemon::{Control, Handles};
use crate::engine::EngineError;
use crate::index::IndexError;
use crate::protocol::frames::{Generate, ModelInfo};
use crate::protocol::http::{
    ErrorBody, ErrorCode, ImportRequest, IndexStatus, ModelEntry, PathRequest, SearchRequest, SearchResponse,
    Status,
};
use crate::worker::Call;
use std::path::Path;
use tokio::sync::oneshot;

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Worker(error) => error.into(),
        }
    }
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        Failure::new(ErrorCode::Failed, error)
    }
}

/// The model in use; loads it when it is not.
pub async fn model_info(handles: &Handles) -> Result<ModelInfo, Failure> {
    Ok(handles.engine.info().await?)
}

pub async fn generate(handles: &Handles, request: Generate) -> Result<Call, Failure> {
    Ok(handles.engine.generate(request).await?)
}

pub async fn models(handles: &Handles) -> Result<Vec<ModelEntry>, Failure> {
    Ok(handles.engine.models().list().await?)
}

pub async fn model(handles: &Handles, name: &str) -> Result<ModelEntry, Failure> {
    Ok(handles.engine.models().info(name).await?)
}

pub async fn import(handles: &Handles, request: &ImportRequest) -> Result<ModelEntry, Failure> {
    absolute(&request.path)?;
    Ok(handles.engine.models().import(Path::new(&request.path), request.name.as_deref()).await?)
}

pub async fn remove_model(handles: &Handles, name: &str) -> Result<(), Failure> {
    Ok(handles.engine.models().remove(name).await?)
}

pub async fn use_model(handles: &Handles, name: String) -> Result<(), Failure> {
    command(handles, |done| Control::UseModel { name, done }).await
}

pub async fn reload(handles: &Handles) -> Result<(), Failure> {
    command(handles, |done| Control::Reload { done }).await
}

pub async fn search(handles: &Handles, request: SearchRequest) -> Result<SearchResponse, Failure> {
    Ok(handles.index.search(request).await?)
}

pub async fn index_status(handles: &Handles) -> Result<IndexStatus, Failure> {
    Ok(handles.index.status().await?)
}

pub async fn index_add(handles: &Handles, request: &PathRequest) -> Result<(), Failure> {
    absolute(&request.path)?;
    Ok(handles.index.add(Path::new(&request.path), request.wait).await?)
}

pub async fn index_remove(handles: &Handles, request: &PathRequest) -> Result<(), Failure> {
    absolute(&request.path)?;
    Ok(handles.index.remove(Path::new(&request.path), request.wait).await?)
}

pub async fn status(handles: &Handles) -> Result<Status, Failure> {
    let (model, engine) = handles.engine.status();
    let index = handles.index.status().await?;
    Ok(Status {
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        uptime_s: handles.started.elapsed().as_secs(),
        rss_bytes: resident_bytes(),
        workers: vec![engine, handles.index.worker()],
        model,
        adapter: None,
        index,
        learning: None,
        warnings: Vec::new(),
    })
}

async fn command(
    handles: &Handles,
    order: impl FnOnce(oneshot::Sender<Result<(), ErrorBody>>) -> Control,
) -> Result<(), Failure> {
    let stopping = || Failure::new(ErrorCode::Busy, "the daemon is stopping");
    let (done, answer) = oneshot::channel();
    handles.control.send(order(done)).await.map_err(|_| stopping())?;
    Ok(answer.await.map_err(|_| stopping())??)
}

/// The daemon's working directory means nothing to a client.
fn absolute(path: &str) -> Result<(), Failure> {
    if Path::new(path).is_absolute() {
        return Ok(());
    }
    Err(Failure::new(ErrorCode::Usage, format!("{path:?} is not an absolute path")))
}

/// Memory of this process, from the kernel; 0 when it does not say.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
