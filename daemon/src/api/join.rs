//! Where the doors meet the other rooms' handles. Each function forwards one thing and puts its error
//! into a client's words, so that a change of a handle is a change of this file alone.

use super::error::Failure;
use crate::daemon::{Control, Handles};
use crate::engine::{EngineError, Held, Models, ModelsError, Output};
use crate::index::{Hit, IndexError};
use crate::protocol::frames::{Fault, Generate};
use crate::protocol::http::{
    ErrorBody, ErrorCode, ImportRequest, IndexStatus, ModelEntry, PathRequest, SearchHit, SearchRequest,
    SearchResponse, Status, UseRequest,
};
use crate::worker::rss_bytes;
use futures::Stream;
use std::path::Path;
use std::time::Instant;
use tokio::sync::oneshot;

/// Most hits that one search gives.
const MAX_HITS: usize = 200;

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let too_long = matches!(error, EngineError::Request(Fault::PromptTooLong { .. }));
        let reason = too_long.then_some("context_length_exceeded");
        Failure { reason, ..Failure::new(error.code(), error) }
    }
}

impl From<ModelsError> for Failure {
    fn from(error: ModelsError) -> Self {
        EngineError::from(error).into()
    }
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        let code = match error {
            IndexError::NotFound(_) | IndexError::NotARoot(_) => ErrorCode::NotFound,
            IndexError::Denied { .. } | IndexError::Outside(_) => ErrorCode::Denied,
            IndexError::NotAFile(_) | IndexError::Name(_) => ErrorCode::Usage,
            IndexError::Busy(_) | IndexError::Closed => ErrorCode::Busy,
            IndexError::Unreadable { .. } | IndexError::Store(_) => ErrorCode::Failed,
        };
        Failure::new(code, error)
    }
}

/// The model in use, loaded as long as the returned value lives.
pub async fn hold_model(handles: &Handles) -> Result<Held, Failure> {
    // Loading the model is waited for, too.
    let _visit = handles.nights.presence().visit();
    Ok(handles.engine.hold().await?)
}

/// The answer's parts as they come; dropping them cancels it.
pub async fn generate(
    handles: &Handles,
    request: Generate,
) -> Result<impl Stream<Item = Result<Output, Failure>> + Send + use<>, Failure> {
    let visit = handles.nights.presence().visit();
    let mut generation = handles.engine.generate(request).await?;
    Ok(async_stream::stream! {
        let _visit = visit;
        while let Some(output) = generation.next().await {
            yield output.map_err(Failure::from);
        }
    })
}

pub async fn models(handles: &Handles) -> Result<Vec<ModelEntry>, Failure> {
    with_models(handles, |models, in_use| models.list(in_use)).await
}

pub async fn model(handles: &Handles, name: String) -> Result<ModelEntry, Failure> {
    with_models(handles, move |models, in_use| models.info(&name, in_use)).await
}

pub async fn import(handles: &Handles, request: ImportRequest) -> Result<ModelEntry, Failure> {
    absolute(&request.path)?;
    let import = move |models: Models, _: &str| {
        models.import(Path::new(&request.path), request.name.as_deref(), |_, _| {})
    };
    with_models(handles, import).await
}

pub async fn remove_model(handles: &Handles, name: String) -> Result<(), Failure> {
    with_models(handles, move |models, in_use| models.remove(&name, in_use)).await
}

/// The models' folder is files, and files block. `work` also gets the name of the model in use.
async fn with_models<T: Send + 'static>(
    handles: &Handles,
    work: impl FnOnce(Models, &str) -> Result<T, ModelsError> + Send + 'static,
) -> Result<T, Failure> {
    let models = handles.engine.models().clone();
    let in_use = handles.config.borrow().model.name.clone();
    match tokio::task::spawn_blocking(move || work(models, &in_use)).await {
        Ok(result) => Ok(result?),
        Err(error) => Err(Failure::new(ErrorCode::Failed, error)),
    }
}

pub async fn use_model(handles: &Handles, request: UseRequest) -> Result<(), Failure> {
    let UseRequest { name, adapter } = request;
    command(handles, |done| Control::UseModel { name, adapter, done }).await
}

pub async fn reload(handles: &Handles) -> Result<(), Failure> {
    command(handles, |done| Control::Reload { done }).await
}

pub async fn search(handles: &Handles, request: SearchRequest) -> Result<SearchResponse, Failure> {
    let begun = Instant::now();
    let _visit = handles.nights.presence().visit();
    let hits = handles.index.search(&request.query, request.k.min(MAX_HITS)).await?;
    let hits = hits.into_iter().map(shown).collect();
    Ok(SearchResponse { hits, took_ms: begun.elapsed().as_millis() as u64 })
}

fn shown(hit: Hit) -> SearchHit {
    let Hit { passage, snippet } = hit;
    SearchHit {
        path: passage.path,
        title: passage.title,
        score: passage.score,
        line: passage.line,
        start: passage.start,
        end: passage.end,
        page: passage.page,
        snippet,
        hash: passage.hash,
    }
}

pub fn index_status(handles: &Handles) -> IndexStatus {
    handles.index.status()
}

pub async fn index_add(handles: &Handles, request: &PathRequest) -> Result<(), Failure> {
    absolute(&request.path)?;
    handles.index.add(Path::new(&request.path)).await?;
    settle(handles, request).await;
    Ok(())
}

pub async fn index_remove(handles: &Handles, request: &PathRequest) -> Result<(), Failure> {
    absolute(&request.path)?;
    handles.index.remove(Path::new(&request.path)).await?;
    settle(handles, request).await;
    Ok(())
}

async fn settle(handles: &Handles, request: &PathRequest) {
    if request.wait {
        handles.index.settled().await;
    }
}

pub async fn status(handles: &Handles) -> Status {
    let (model, engine) = handles.engine.status();
    Status {
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        uptime_s: handles.started.elapsed().as_secs(),
        rss_bytes: rss_bytes(std::process::id()).unwrap_or(0),
        workers: vec![engine, handles.extract.status(), handles.plugins.status()],
        model,
        adapter: handles.engine.adapter(),
        index: handles.index.status(),
        // Without a model there is nothing to tell of it, and the rest is told all the same.
        learning: handles.nights.status().await.ok(),
        warnings: Vec::new(),
    }
}

pub async fn command(
    handles: &Handles,
    order: impl FnOnce(oneshot::Sender<Result<(), ErrorBody>>) -> Control,
) -> Result<(), Failure> {
    let stopping = || Failure::new(ErrorCode::Busy, "the daemon is stopping");
    let (done, answer) = oneshot::channel();
    handles.control.send(order(done)).await.map_err(|_| stopping())?;
    Ok(answer.await.map_err(|_| stopping())??)
}

/// The daemon's working directory means nothing to a client.
pub fn absolute(path: &str) -> Result<(), Failure> {
    if Path::new(path).is_absolute() {
        return Ok(());
    }
    Err(Failure::new(ErrorCode::Usage, format!("{path:?} is not an absolute path")))
}
