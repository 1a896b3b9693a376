//! The broker's handle on the engine: one worker process for the model in the settings, started and
//! loaded when it is needed, stopped when nobody has asked for a while. It never loads a model itself.

use super::adapters::{self, AdapterError, Adapters};
use super::models::{Models, ModelsError};
use crate::config::Config;
use crate::protocol::frames::{
    Event, Fault, Generate, Load, ModelInfo, Reply, Request, Score, Scored, Tokens,
};
use crate::protocol::http::{ErrorBody, ErrorCode, ModelStatus, WorkerStatus};
use crate::types::{Finish, Timings, Usage};
use crate::worker::{Call, Jail, Kind, Spec, Worker, WorkerError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

const LOAD_DEADLINE: Duration = Duration::from_secs(600);
/// A long answer of a large model on a small machine, behind others.
const ANSWER_DEADLINE: Duration = Duration::from_secs(3600);

/// Why the engine did not answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The request can be made to fit, or be made right.
    #[error(transparent)]
    Request(Fault),
    #[error("{0}")]
    Model(String),
    #[error(transparent)]
    Models(#[from] ModelsError),
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    #[error(
        "the model `{model}` stopped the engine while it was loaded ({how}); try another with `familiar model use NAME`"
    )]
    LoadCrashed { model: String, how: String },
    #[error(transparent)]
    Worker(WorkerError),
    #[error("the engine answered something else than was asked")]
    Confused,
}

impl EngineError {
    /// The word that doors answer with.
    pub fn code(&self) -> ErrorCode {
        match self {
            EngineError::Request(Fault::PromptTooLong { .. } | Fault::Invalid(_)) => ErrorCode::Usage,
            EngineError::Request(Fault::Cancelled | Fault::Deadline { .. } | Fault::NotLoaded) => {
                ErrorCode::Busy
            }
            EngineError::Models(ModelsError::NotFound { .. })
            | EngineError::Adapter(AdapterError::NotFound { .. }) => ErrorCode::NotFound,
            EngineError::Adapter(_) => ErrorCode::Usage,
            EngineError::Models(
                ModelsError::BadName(_)
                | ModelsError::Exists { .. }
                | ModelsError::InUse { .. }
                | ModelsError::Embedded
                | ModelsError::Unusable { .. },
            ) => ErrorCode::Usage,
            EngineError::Models(ModelsError::DiskFull { .. }) => ErrorCode::Busy,
            EngineError::Worker(WorkerError::Fault(_)) => ErrorCode::Failed,
            EngineError::Worker(_) => ErrorCode::Busy,
            _ => ErrorCode::Failed,
        }
    }
}

impl EngineError {
    /// The error as every door shows it.
    pub fn body(&self) -> ErrorBody {
        ErrorBody { code: self.code(), message: self.to_string() }
    }
}

impl From<WorkerError> for EngineError {
    fn from(error: WorkerError) -> Self {
        match error {
            WorkerError::Fault(Fault::Model(why)) => EngineError::Model(why),
            WorkerError::Fault(fault) => EngineError::Request(fault),
            other => EngineError::Worker(other),
        }
    }
}

/// What an answer consists of, in order: one `Started`, any number of `Text`s, one `Done`.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    Started {
        prompt_tokens: u32,
        cached_tokens: u32,
    },
    /// Whole characters. A tool call stands in it as the model wrote it.
    Text(String),
    Done {
        finish: Finish,
        usage: Usage,
        timings: Timings,
    },
}

/// The engine; cheap to clone. Must be used inside a tokio runtime.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    models: Models,
    adapters: Adapters,
    program: Option<PathBuf>,
    config: watch::Receiver<Arc<Config>>,
    current: Mutex<Option<Arc<Host>>>,
    /// Loaded beforehand, for the settings that are about to come.
    next: Mutex<Option<Arc<Host>>>,
    /// Its workers take processor, disk and memory only when nobody else wants them.
    background: bool,
}

/// One worker with one model; retired when the settings ask for another.
struct Host {
    load: Load,
    /// Another file in the place of one of these is another model.
    files: Files,
    model: String,
    worker: Worker,
    /// The process that has the model, by its pid. The lock is held while it loads: others wait.
    loaded: tokio::sync::Mutex<()>,
    info: Mutex<Option<(u32, ModelInfo)>>,
    usage: watch::Sender<HostUse>,
}

#[derive(Debug, Clone, Copy, Default)]
struct HostUse {
    active: usize,
    /// Grows with every use, so that a wait for quiet starts anew.
    uses: u64,
    retired: bool,
}

/// Keeps a host from being stopped.
struct InUse(Arc<Host>);

impl InUse {
    fn new(host: Arc<Host>) -> InUse {
        host.usage.send_modify(|usage| {
            usage.active += 1;
            usage.uses += 1;
        });
        InUse(host)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.usage.send_modify(|usage| usage.active -= 1);
    }
}

impl Engine {
    pub fn new(models: Models, adapters: Adapters, config: watch::Receiver<Arc<Config>>) -> Engine {
        Engine::with_program(models, adapters, config, None)
    }

    /// `program` is the binary whose workers are used, for a process that is not that binary itself.
    pub fn with_program(
        models: Models,
        adapters: Adapters,
        config: watch::Receiver<Arc<Config>>,
        program: Option<PathBuf>,
    ) -> Engine {
        Engine::made(models, adapters, config, program, false)
    }

    /// An engine beside the one that answers, for work that nobody waits for.
    pub fn background(&self, config: watch::Receiver<Arc<Config>>) -> Engine {
        let Inner { models, adapters, program, .. } = &*self.inner;
        Engine::made(models.clone(), adapters.clone(), config, program.clone(), true)
    }

    fn made(
        models: Models,
        adapters: Adapters,
        config: watch::Receiver<Arc<Config>>,
        program: Option<PathBuf>,
        background: bool,
    ) -> Engine {
        let (current, next) = (Mutex::new(None), Mutex::new(None));
        Engine { inner: Arc::new(Inner { models, adapters, program, config, current, next, background }) }
    }

    /// Loads what these settings ask for beside what is in use, so that the first request under them need not wait.
    pub async fn prepare(&self, config: Arc<Config>) -> Result<(), EngineError> {
        let (inner, settings) = (self.inner.clone(), config.clone());
        let found = tokio::task::spawn_blocking(move || inner.find(&settings));
        let (files, load) = found.await.map_err(|_| EngineError::Confused)??;
        if self.current().is_some_and(|host| host.is(&load, &files)) {
            return Ok(());
        }
        let host = self.inner.new_host(load, files, &config);
        host.load().await?;
        if let Some(other) = lock(&self.inner.next).replace(host) {
            other.retire();
        }
        Ok(())
    }

    /// The settings by which it answers: what they name as the adapter is what serves. They change with it.
    pub fn settings(&self) -> watch::Receiver<Arc<Config>> {
        self.inner.config.clone()
    }

    pub fn models(&self) -> &Models {
        &self.inner.models
    }

    /// Whether the adapter of this name or path may be put on the model of this name. Blocks on the disk.
    pub fn check_adapter(&self, model: &str, adapter: &str) -> Result<(), EngineError> {
        match self.inner.adapters.path(adapter)? {
            Some(path) => fits(&self.inner.models, model, &path),
            None => Ok(()),
        }
    }

    /// The adapter that the settings put on the model, as answers name it.
    pub fn adapter(&self) -> Option<String> {
        adapters::shown_name(&self.inner.config.borrow().model.adapter)
    }

    /// The model in use, loaded, and kept so until the returned value is dropped.
    pub async fn hold(&self) -> Result<Held, EngineError> {
        let host = self.host().await?;
        Ok(Held { model: host.0.load().await?, host })
    }

    /// Starts an answer. Dropping it ends the model's work within a token.
    pub async fn generate(&self, request: Generate) -> Result<Generation, EngineError> {
        written(self.host().await?, request).await
    }

    /// The tokens that [`Engine::score`] would read.
    pub async fn tokens(&self, score: Score) -> Result<Tokens, EngineError> {
        let host = self.host().await?;
        host.0.load().await?;
        let call = host.0.worker.call(Request::Tokens(Box::new(score)), None, ANSWER_DEADLINE).await?;
        match call.reply().await? {
            Reply::Tokens(tokens) => Ok(tokens),
            _ => Err(EngineError::Confused),
        }
    }

    /// Tokens of the prompt that `generate` would make.
    pub async fn count(&self, request: Generate) -> Result<u32, EngineError> {
        let host = self.host().await?;
        host.0.load().await?;
        let call = host.0.worker.call(Request::Count(Box::new(request)), None, ANSWER_DEADLINE).await?;
        match call.reply().await? {
            Reply::Count(tokens) => Ok(tokens),
            _ => Err(EngineError::Confused),
        }
    }

    /// How well the model predicts a text that fits its context, with what stands before it.
    ///
    /// # Errors
    /// [`Fault::Busy`] while answers are being written, [`Fault::PromptTooLong`] for a longer text.
    pub async fn score(&self, score: Score) -> Result<Scored, EngineError> {
        let host = self.host().await?;
        host.0.load().await?;
        let call = host.0.worker.call(Request::Score(Box::new(score)), None, ANSWER_DEADLINE).await?;
        match call.reply().await? {
            Reply::Scored(scored) => Ok(scored),
            _ => Err(EngineError::Confused),
        }
    }

    pub fn status(&self) -> (ModelStatus, WorkerStatus) {
        let name = self.inner.config.borrow().model.name.clone();
        match self.current() {
            Some(host) => {
                let worker = host.worker.status();
                let info = host.info_of(worker.pid).filter(|_| host.model == name);
                let context = info.as_ref().map(|info| info.context);
                (ModelStatus { name, loaded: info.is_some(), context }, worker)
            }
            None => (ModelStatus { name, loaded: false, context: None }, no_worker()),
        }
    }

    /// Gives the model's memory back now; answers under way end with an error.
    pub async fn unload(&self) {
        let hosts = [lock(&self.inner.current).take(), lock(&self.inner.next).take()];
        for host in hosts.into_iter().flatten() {
            host.retire();
            host.worker.stop().await;
        }
    }

    fn current(&self) -> Option<Arc<Host>> {
        lock(&self.inner.current).clone()
    }

    /// The host of the model that the settings name now.
    async fn host(&self) -> Result<InUse, EngineError> {
        let config = self.inner.config.borrow().clone();
        let (inner, settings) = (self.inner.clone(), config.clone());
        let found = tokio::task::spawn_blocking(move || inner.find(&settings));
        let (files, load) = found.await.map_err(|_| EngineError::Confused)??;
        let mut current = lock(&self.inner.current);
        if let Some(host) = current.as_ref().filter(|host| host.is(&load, &files)) {
            return Ok(InUse::new(host.clone()));
        }
        if let Some(old) = current.take() {
            old.retire();
        }
        let prepared = lock(&self.inner.next).take_if(|host| host.is(&load, &files));
        let host = prepared.unwrap_or_else(|| self.inner.new_host(load, files, &config));
        *current = Some(host.clone());
        Ok(InUse::new(host))
    }
}

impl Inner {
    fn new_host(&self, load: Load, files: Files, config: &Config) -> Arc<Host> {
        let (model, program) = (config.model.name.clone(), self.program.clone());
        let host = Arc::new(Host::new(load, files, model, program, self.background));
        tokio::spawn(keep_alive(host.clone(), self.config.clone()));
        host
    }

    /// What the settings ask for. An adapter is held against the model when either is new.
    fn find(&self, config: &Config) -> Result<(Files, Load), EngineError> {
        let name = &config.model.name;
        let path = self.models.path(name)?;
        let adapter = self.adapters.path(&config.model.adapter)?;
        let files = (identity(&path), adapter.as_deref().and_then(identity));
        let load = load_request(config, path, adapter.clone());
        let known = lock(&self.current).as_ref().is_some_and(|host| host.is(&load, &files));
        match adapter {
            Some(adapter) if !known => fits(&self.models, name, &adapter)?,
            _ => {}
        }
        Ok((files, load))
    }
}

/// Holds an adapter against a model. The first look at a model put in place by hand reads all of it.
fn fits(models: &Models, model: &str, adapter: &Path) -> Result<(), EngineError> {
    let entry = models.info(model, "")?;
    Ok(adapters::check(adapter, model, &entry.architecture, &entry.hash)?)
}

impl Drop for Inner {
    fn drop(&mut self) {
        for host in [lock(&self.current).take(), lock(&self.next).take()].into_iter().flatten() {
            host.retire();
        }
    }
}

impl Host {
    fn new(load: Load, files: Files, model: String, program: Option<PathBuf>, background: bool) -> Host {
        let jail = Jail {
            read: [Some(&load.path), load.adapter.as_ref()]
                .into_iter()
                .flatten()
                .map(PathBuf::from)
                .collect(),
            gpu: cfg!(any(feature = "cuda", feature = "vulkan")),
            background,
            ..Jail::default()
        };
        Host {
            worker: Worker::new(Spec { kind: Kind::Engine, jail, program }),
            load,
            files,
            model,
            loaded: tokio::sync::Mutex::new(()),
            info: Mutex::new(None),
            usage: watch::Sender::new(HostUse::default()),
        }
    }

    fn is(&self, load: &Load, files: &Files) -> bool {
        self.load == *load && self.files == *files
    }

    fn retire(&self) {
        self.usage.send_modify(|usage| usage.retired = true);
    }

    /// What the process `pid` has loaded.
    fn info_of(&self, pid: Option<u32>) -> Option<ModelInfo> {
        let info = lock(&self.info);
        info.as_ref().filter(|(loaded, _)| Some(*loaded) == pid).map(|(_, info)| info.clone())
    }

    /// Loads the model unless the running process has it: after a crash, a stop or at the start.
    async fn load(&self) -> Result<ModelInfo, EngineError> {
        let _one_at_a_time = self.loaded.lock().await;
        if let Some(info) = self.info_of(self.worker.status().pid) {
            return Ok(info);
        }
        let call = self.worker.call(Request::Load(self.load.clone()), None, LOAD_DEADLINE).await?;
        let reply = call.reply().await.map_err(|error| match error {
            WorkerError::Gone { how, .. } => EngineError::LoadCrashed { model: self.model.clone(), how },
            other => other.into(),
        })?;
        let Reply::Loaded(info) = reply else { return Err(EngineError::Confused) };
        if let Some(pid) = self.worker.status().pid {
            *lock(&self.info) = Some((pid, info.clone()));
        }
        Ok(info)
    }
}

/// Stops the worker when nobody used it for as long as the settings say, and ends with the host.
async fn keep_alive(host: Arc<Host>, config: watch::Receiver<Arc<Config>>) {
    let mut usage = host.usage.subscribe();
    loop {
        let Ok(now) = usage
            .wait_for(|usage| usage.active == 0 && (usage.uses > 0 || usage.retired))
            .await
            .map(|now| *now)
        else {
            return;
        };
        if !now.retired {
            let quiet = Duration::from_secs(config.borrow().model.keep_alive_s);
            let used = usage.wait_for(|usage| usage.uses != now.uses || usage.retired);
            if tokio::time::timeout(quiet, used).await.is_ok() {
                continue;
            }
        }
        host.worker.stop().await;
        if now.retired {
            return;
        }
        // Stopped: there is nothing to do before the next use.
        if usage.wait_for(|usage| usage.uses != now.uses || usage.retired).await.is_err() {
            return;
        }
    }
}

/// Device, inode, size and time of change.
type FileId = (u64, u64, u64, i64, i64);
/// Of the model and of its adapter.
type Files = (Option<FileId>, Option<FileId>);

/// What tells a file from one that replaced it; `None` when it went away, which loading will tell.
fn identity(path: &Path) -> Option<FileId> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
}

fn load_request(config: &Config, path: PathBuf, adapter: Option<PathBuf>) -> Load {
    let model = &config.model;
    Load {
        path: path.to_string_lossy().into_owned(),
        adapter: adapter.map(|path| path.to_string_lossy().into_owned()),
        context: model.context,
        threads: model.threads,
        gpu_layers: model.gpu_layers,
        parallel: model.parallel,
    }
}

fn no_worker() -> WorkerStatus {
    WorkerStatus {
        kind: "engine".into(),
        pid: None,
        state: "idle".into(),
        restarts: 0,
        rss_bytes: 0,
        jail_refused: Vec::new(),
    }
}

/// The model in use, which stays loaded as long as this lives.
pub struct Held {
    pub model: ModelInfo,
    host: InUse,
}

impl Held {
    /// As [`Engine::generate`], with this model and its adapter, whatever the settings say by now: a turn that begins
    /// on one generation ends on it.
    pub async fn generate(&self, request: Generate) -> Result<Generation, EngineError> {
        written(InUse::new(self.host.0.clone()), request).await
    }
}

/// Starts an answer of this host's model.
async fn written(host: InUse, request: Generate) -> Result<Generation, EngineError> {
    let model = host.0.load().await?;
    let call = host.0.worker.call(Request::Generate(Box::new(request)), None, ANSWER_DEADLINE).await?;
    Ok(Generation { model, call: Some(call), _host: host })
}

/// An answer being written.
pub struct Generation {
    /// The model that answers.
    pub model: ModelInfo,
    call: Option<Call>,
    _host: InUse,
}

impl Generation {
    /// The next part of the answer; `None` after [`Output::Done`] or an error.
    pub async fn next(&mut self) -> Option<Result<Output, EngineError>> {
        let call = self.call.as_mut()?;
        while let Some(event) = call.event().await {
            match event {
                Event::Started { prompt_tokens, cached_tokens } => {
                    return Some(Ok(Output::Started { prompt_tokens, cached_tokens }));
                }
                Event::Text(text) => return Some(Ok(Output::Text(text))),
                Event::Progress { .. } | Event::Step(_) => {}
            }
        }
        let reply = self.call.take()?.reply().await;
        Some(match reply {
            Ok(Reply::Generated { finish, usage, timings }) => Ok(Output::Done { finish, usage, timings }),
            Ok(_) => Err(EngineError::Confused),
            Err(error) => Err(error.into()),
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
