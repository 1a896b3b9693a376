//! What every door does alike: HTTP on the socket and D-Bus on the session's bus meet the other rooms' handles here.
//! Each function forwards one thing and puts its error into a client's words, so that a change of a handle is a change
//! of this room alone. It knows neither HTTP nor D-Bus.

mod answer;
mod refused;

pub use answer::Answer;
pub use refused::Refused;

use crate::daemon::{Control, Handles};
use crate::engine::{Held, Models, ModelsError, Output};
use crate::index::Hit;
use crate::nights::What;
use crate::protocol::frames::Generate;
use crate::protocol::http::{
    AskRequest, ErrorBody, ErrorCode, ImportRequest, IndexStatus, ModelEntry, PathRequest, SearchHit,
    SearchRequest, SearchResponse, Status, UseRequest,
};
use crate::protocol::learn::{ForgetProof, ForgetRequest};
use crate::store::Store;
use crate::worker::rss_bytes;
use futures::Stream;
use std::path::Path;
use std::time::Instant;
use tokio::sync::oneshot;

/// Most hits that one search gives.
const MAX_HITS: usize = 200;

/// Begins an answer. Dropping it cancels it.
pub async fn ask(handles: &Handles, request: AskRequest) -> Result<Answer, Refused> {
    Ok(Answer::new(handles.sessions.ask(request).await?))
}

/// The model in use, loaded as long as the returned value lives.
pub async fn hold_model(handles: &Handles) -> Result<Held, Refused> {
    // Loading the model is waited for, too.
    let _visit = handles.nights.presence().visit();
    Ok(handles.engine.hold().await?)
}

/// The answer's parts as they come; dropping them cancels it.
pub async fn generate(
    handles: &Handles,
    request: Generate,
) -> Result<impl Stream<Item = Result<Output, Refused>> + Send + use<>, Refused> {
    let visit = handles.nights.presence().visit();
    let mut generation = handles.engine.generate(request).await?;
    Ok(async_stream::stream! {
        let _visit = visit;
        while let Some(output) = generation.next().await {
            yield output.map_err(Refused::from);
        }
    })
}

pub async fn models(handles: &Handles) -> Result<Vec<ModelEntry>, Refused> {
    with_models(handles, |models, in_use| models.list(in_use)).await
}

pub async fn model(handles: &Handles, name: String) -> Result<ModelEntry, Refused> {
    with_models(handles, move |models, in_use| models.info(&name, in_use)).await
}

pub async fn import(handles: &Handles, request: ImportRequest) -> Result<ModelEntry, Refused> {
    absolute(&request.path)?;
    let import = move |models: Models, _: &str| {
        models.import(Path::new(&request.path), request.name.as_deref(), |_, _| {})
    };
    with_models(handles, import).await
}

pub async fn remove_model(handles: &Handles, name: String) -> Result<(), Refused> {
    with_models(handles, move |models, in_use| models.remove(&name, in_use)).await
}

/// The models' folder is files, and files block. `work` also gets the name of the model in use.
async fn with_models<T: Send + 'static>(
    handles: &Handles,
    work: impl FnOnce(Models, &str) -> Result<T, ModelsError> + Send + 'static,
) -> Result<T, Refused> {
    let models = handles.engine.models().clone();
    let in_use = handles.config.borrow().model.name.clone();
    match tokio::task::spawn_blocking(move || work(models, &in_use)).await {
        Ok(result) => Ok(result?),
        Err(error) => Err(Refused::new(ErrorCode::Failed, error)),
    }
}

pub async fn use_model(handles: &Handles, request: UseRequest) -> Result<(), Refused> {
    let UseRequest { name, adapter } = request;
    command(handles, |done| Control::UseModel { name, adapter, done }).await
}

pub async fn reload(handles: &Handles) -> Result<(), Refused> {
    command(handles, |done| Control::Reload { done }).await
}

/// Passages of the indexed files that match a query.
pub async fn search(handles: &Handles, request: SearchRequest) -> Result<SearchResponse, Refused> {
    if request.query.trim().is_empty() {
        return Err(Refused::new(ErrorCode::Usage, "the query is empty"));
    }
    if let Some(mode) = request.mode.as_deref().filter(|&mode| mode != "lexical") {
        let message = format!("there is no search mode {mode:?}: only \"lexical\" for now");
        return Err(Refused::new(ErrorCode::Usage, message));
    }
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

/// As [`search`], for a query whose last word is still being typed: at most `k` passages.
pub async fn search_typed(handles: &Handles, query: &str, k: usize) -> Result<Vec<SearchHit>, Refused> {
    let _visit = handles.nights.presence().visit();
    let hits = handles.index.search_typed(query, k.min(MAX_HITS)).await?;
    Ok(hits.into_iter().map(shown).collect())
}

/// Keeps a thing in mind.
pub async fn remember(store: &Store, text: &str) -> Result<(), Refused> {
    if text.trim().is_empty() {
        return Err(Refused::new(ErrorCode::Usage, "there is nothing to remember: say what"));
    }
    store.remember(text.trim()).await?;
    Ok(())
}

/// Forgets a file, a folder, a conversation or everything, wherever it went.
pub async fn forget(handles: &Handles, request: ForgetRequest) -> Result<ForgetProof, Refused> {
    let what = match request {
        ForgetRequest { path: Some(path), session: None, all: false } => {
            absolute(&path)?;
            What::Path(path.into())
        }
        ForgetRequest { path: None, session: Some(session), all: false } => What::Session(session),
        ForgetRequest { path: None, session: None, all: true } => What::All,
        _ => {
            let message = "name one thing to forget: `path`, `session` or `all`";
            return Err(Refused::new(ErrorCode::Usage, message));
        }
    };
    Ok(handles.nights.forget(what).await?)
}

pub fn index_status(handles: &Handles) -> IndexStatus {
    handles.index.status()
}

pub async fn index_add(handles: &Handles, request: &PathRequest) -> Result<(), Refused> {
    absolute(&request.path)?;
    handles.index.add(Path::new(&request.path)).await?;
    settle(handles, request).await;
    Ok(())
}

pub async fn index_remove(handles: &Handles, request: &PathRequest) -> Result<(), Refused> {
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
        desktop: handles.desktop.borrow().clone(),
        warnings: Vec::new(),
    }
}

pub async fn command(
    handles: &Handles,
    order: impl FnOnce(oneshot::Sender<Result<(), ErrorBody>>) -> Control,
) -> Result<(), Refused> {
    let stopping = || Refused::new(ErrorCode::Busy, "the daemon is stopping");
    let (done, answer) = oneshot::channel();
    handles.control.send(order(done)).await.map_err(|_| stopping())?;
    Ok(answer.await.map_err(|_| stopping())??)
}

/// The daemon's working directory means nothing to a client.
pub fn absolute(path: &str) -> Result<(), Refused> {
    if Path::new(path).is_absolute() {
        return Ok(());
    }
    Err(Refused::new(ErrorCode::Usage, format!("{path:?} is not an absolute path")))
}
