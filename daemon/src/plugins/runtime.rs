//! The broker's handle on the `plugins` worker: starts it, has components loaded and tools called, and
//! answers the imports that come back, each after the check of the call's own grants. It runs no guest code
//! and reads no package.
//!
//! Two processes of one kind: one runs the calls, the other compiles and is ended soon afterwards, so that
//! a component that takes long to compile, or much memory, ends no call of another.

use super::services::{Calling, HostServices};
use super::worker::PLACES;
use crate::policy::grants::Interface;
use crate::protocol::frames::{Fault, Reply, Request};
use crate::protocol::http::WorkerStatus;
use crate::protocol::plugins::{Answer, Call, Called, Import, Imported, Limits, Load, Loaded, Refusal};
use crate::worker::{Handler, Jail, Kind, Spec, Worker, WorkerError};
use rustix::fs::{Mode, OFlags};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, RwLock, RwLockReadGuard, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Calls that wait for a place; more are refused.
const WAITING: usize = 64;
/// Places that the calls of one plugin may take together, so that it cannot keep out all others.
const PLACES_OF_ONE: usize = PLACES as usize / 2;
/// Bytes of arguments.
const ARGUMENTS: usize = 4 << 20;
/// Bytes that an import's answer may have.
const ANSWER: usize = 32 << 20;
/// What compiling may take. The largest Python guests take half a minute on a slow machine.
const COMPILE: Duration = Duration::from_secs(180);
const LOAD: Duration = Duration::from_secs(30);
/// How long a call may be overdue, by the broker's own clock, before the worker counts as hung.
const OVERDUE: Duration = Duration::from_secs(2);
/// The longest a call may take with every wait for the owner in it.
const LONGEST: Duration = Duration::from_secs(25 * 3600);
/// Idle time after which the worker is ended; the one that compiles ends sooner.
const IDLE: Duration = Duration::from_secs(300);
const IDLE_COMPILER: Duration = Duration::from_secs(5);
/// Private memory of each worker, in bytes: every place at the default limit, the pool's tables, the code
/// of the plugins and a compilation.
const MEMORY: u64 = 4 << 30;
/// Tells the worker which pages of its own memory a call wrote to, and nothing of where they lie.
const OWN_PAGES: &str = "/proc/self/pagemap";

/// Why a plugin did not run. A tool's own failure is no error here but part of [`Called`].
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    #[error("{}: {source}", .path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// The file is no plugin that can run here.
    #[error("{0}")]
    Unusable(String),
    #[error("{0}")]
    Busy(String),
    /// The worker went away under the call, which may have done a part of its work.
    #[error("the plugin's process ended while it ran ({0}); the next call starts a new one")]
    Died(String),
    #[error(transparent)]
    Worker(WorkerError),
}

/// A tool call to run.
pub struct Run {
    /// The package.
    pub file: PathBuf,
    /// BLAKE3 of the whole file, in hex.
    pub file_digest: String,
    pub tool: String,
    /// A JSON object.
    pub arguments: String,
    /// BCP 47, of the owner.
    pub language: String,
    pub limits: Limits,
    /// Not counting the wait for the owner.
    pub deadline: Duration,
    pub calling: Arc<Calling>,
}

/// Runs plugins; cheap to clone. Nothing is started until it is needed.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    compiled: PathBuf,
    runner: Worker,
    compiler: Worker,
    open: Arc<OpenCalls>,
    places: Arc<Semaphore>,
    /// By the package's digest.
    places_of_one: Mutex<HashMap<String, Arc<Semaphore>>>,
    waiting: Arc<Semaphore>,
    /// One component is compiled or loaded at a time.
    loading: tokio::sync::Mutex<()>,
    /// Read by what uses the worker, written by what ends it.
    in_use: RwLock<()>,
    last_use: Mutex<Option<Instant>>,
}

impl Runtime {
    /// `compiled` is the folder for compiled code, which is made when it is missing; `program` the binary to
    /// start (`None`: the one that runs now).
    pub fn new(compiled: PathBuf, program: Option<PathBuf>) -> Runtime {
        let open = Arc::new(OpenCalls::default());
        let read = vec![PathBuf::from(OWN_PAGES)];
        let jail = Jail { read, write: Some(compiled.clone()), data: MEMORY, ..Jail::default() };
        let spec = Spec { kind: Kind::Plugins, jail, program };
        let inner = Inner {
            compiled,
            runner: Worker::with_handler(spec.clone(), handler(open.clone())),
            compiler: Worker::new(spec),
            open,
            places: Arc::new(Semaphore::new(PLACES as usize)),
            places_of_one: Mutex::default(),
            waiting: Arc::new(Semaphore::new(WAITING)),
            loading: tokio::sync::Mutex::new(()),
            in_use: RwLock::new(()),
            last_use: Mutex::default(),
        };
        Runtime { inner: Arc::new(inner) }
    }

    /// Compiles a package, or finds it compiled, and loads it.
    ///
    /// # Errors
    /// [`PluginError::Unusable`] with a sentence, if it is no plugin that can run here.
    pub async fn load(&self, file: &Path, file_digest: &str) -> Result<Loaded, PluginError> {
        let _in_use = self.begin().await?;
        self.inner.load(file, file_digest).await
    }

    /// What the package says of its tools by its own `describe`, as JSON text that nobody has checked.
    ///
    /// # Errors
    /// [`PluginError::Unusable`], if it has none or it failed.
    pub async fn describe(&self, file: &Path, file_digest: &str) -> Result<String, PluginError> {
        let _in_use = self.begin().await?;
        self.inner.load(file, file_digest).await?;
        let request = Request::PluginDescribe { digest: file_digest.to_owned() };
        match self.inner.ask(&self.inner.runner, request, None, LOAD).await? {
            Reply::PluginTools(text) => Ok(text),
            other => Err(strange(&other)),
        }
    }

    /// Runs a tool to its end. Dropping the future cancels the call.
    ///
    /// # Errors
    /// Only where the tool did not run to an end of its own or of the sandbox's; see [`PluginError`].
    pub async fn call(&self, run: Run, services: Arc<dyn HostServices>) -> Result<Called, PluginError> {
        if run.arguments.len() > ARGUMENTS {
            return Err(PluginError::Busy(format!("the arguments are larger than {} MiB", ARGUMENTS >> 20)));
        }
        let open = OpenCall::new(self.inner.open.clone(), &run, services);
        let _place = self.inner.place(&run.calling.digest).await?;
        let _in_use = self.begin().await?;
        match self.inner.run(&run, &open).await {
            Err(PluginError::Worker(WorkerError::Fault(Fault::NotLoaded))) => {
                // Nothing of it has run yet.
                self.inner.load(&run.file, &run.file_digest).await?;
                self.inner.run(&run, &open).await
            }
            other => other,
        }
    }

    /// Forgets a loaded package. Running calls end on it.
    pub async fn unload(&self, file_digest: &str) {
        if self.inner.runner.status().pid.is_some() {
            let request = Request::PluginUnload { digest: file_digest.to_owned() };
            // A worker that is gone has forgotten it too.
            let _ = self.inner.ask(&self.inner.runner, request, None, LOAD).await;
        }
    }

    /// Ends the calls of a plugin, those that wait for a place too: what they were granted is no more.
    pub fn end_calls(&self, plugin: &str) {
        for open in lock(&self.inner.open.calls).values().filter(|open| open.calling.plugin == plugin) {
            open.ended.cancel();
        }
    }

    pub fn status(&self) -> WorkerStatus {
        self.inner.runner.status()
    }

    /// Ends the processes. Running calls fail.
    pub async fn stop(&self) {
        self.inner.runner.stop().await;
        self.inner.compiler.stop().await;
    }

    /// Keeps the worker from being ended as idle for as long as the guard lives.
    async fn begin(&self) -> Result<RwLockReadGuard<'_, ()>, PluginError> {
        let guard = self.inner.in_use.read().await;
        let first = lock(&self.inner.last_use).replace(Instant::now()).is_none();
        if first {
            make_folder(&self.inner.compiled)
                .map_err(|source| PluginError::File { path: self.inner.compiled.clone(), source })?;
            tokio::spawn(end_when_idle(Arc::downgrade(&self.inner)));
        }
        Ok(guard)
    }
}

impl Inner {
    /// A place to run in, of the plugin's and of all; an error when too many wait already.
    async fn place(&self, digest: &str) -> Result<[OwnedSemaphorePermit; 2], PluginError> {
        let Ok(waiting) = self.waiting.clone().try_acquire_owned() else {
            return Err(PluginError::Busy(format!("{WAITING} plugin calls wait already: try again later")));
        };
        let of_one = {
            let mut all = lock(&self.places_of_one);
            all.retain(|_, places| Arc::strong_count(places) > 1);
            all.entry(digest.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(PLACES_OF_ONE))).clone()
        };
        let closed = |_| PluginError::Busy("plugins are being stopped".into());
        let of_one = of_one.acquire_owned().await.map_err(closed)?;
        let of_all = self.places.clone().acquire_owned().await.map_err(closed)?;
        drop(waiting);
        Ok([of_one, of_all])
    }

    async fn load(&self, file: &Path, digest: &str) -> Result<Loaded, PluginError> {
        let _one_at_a_time = self.loading.lock().await;
        match self.load_in(&self.runner, file, digest, false, LOAD).await {
            Err(PluginError::Worker(WorkerError::Fault(Fault::NotLoaded))) => {}
            other => return other,
        }
        let compiled = self.load_in(&self.compiler, file, digest, true, COMPILE).await;
        let compiled = compiled.map_err(|error| match error {
            PluginError::Died(how) => PluginError::Unusable(format!("it could not be compiled ({how})")),
            PluginError::Worker(WorkerError::Fault(Fault::Deadline { .. })) => {
                PluginError::Unusable(format!("compiling it takes longer than {} s", COMPILE.as_secs()))
            }
            other => other,
        })?;
        self.load_in(&self.runner, file, digest, false, LOAD).await?;
        Ok(compiled)
    }

    async fn load_in(
        &self,
        worker: &Worker,
        file: &Path,
        digest: &str,
        compile: bool,
        deadline: Duration,
    ) -> Result<Loaded, PluginError> {
        let opened = open(file).map_err(|source| PluginError::File { path: file.to_owned(), source })?;
        let request = Request::PluginLoad(Load { digest: digest.to_owned(), compile });
        match self.ask(worker, request, Some(opened), deadline).await? {
            Reply::PluginLoaded(loaded) => Ok(loaded),
            other => Err(strange(&other)),
        }
    }

    async fn ask(
        &self,
        worker: &Worker,
        request: Request,
        fd: Option<OwnedFd>,
        deadline: Duration,
    ) -> Result<Reply, PluginError> {
        worker.call(request, fd, deadline).await.map_err(failed)?.reply().await.map_err(failed)
    }

    /// Sends the call and waits for its end; ends the worker if it does not stop the guest in time.
    async fn run(&self, run: &Run, open: &OpenCall) -> Result<Called, PluginError> {
        let grants = &open.call.calling.grants;
        let granted = Interface::ALL.into_iter().filter(|interface| grants.has(*interface));
        let request = Request::PluginCall(Box::new(Call {
            digest: run.file_digest.clone(),
            call: open.id,
            tool: run.tool.clone(),
            arguments: run.arguments.clone(),
            session: run.calling.session.clone(),
            language: run.language.clone(),
            granted: granted.map(|interface| interface.as_str().to_owned()).collect(),
            deadline_ms: run.deadline.as_millis() as u64,
            limits: run.limits,
        }));
        let call = self.runner.call(request, None, LONGEST).await.map_err(failed)?;
        *lock(&open.call.sent) = Instant::now();
        let mut reply = std::pin::pin!(call.reply());
        loop {
            let due = open.call.due() + OVERDUE;
            tokio::select! {
                reply = &mut reply => return match reply.map_err(failed)? {
                    Reply::PluginCalled(called) => Ok(*called),
                    other => Err(strange(&other)),
                },
                () = open.call.ended.cancelled() => {
                    let why = "what this plugin was granted was taken back while it ran";
                    return Err(PluginError::Busy(why.into()));
                }
                () = tokio::time::sleep_until(due) => {
                    // It may have begun to wait for the owner meanwhile, and then it is not due yet.
                    if Instant::now() >= open.call.due() + OVERDUE {
                        self.runner.stop().await;
                        return Err(PluginError::Died("it did not stop at its deadline".into()));
                    }
                }
            }
        }
    }
}

/// Which of a worker's failures is whose fault.
fn failed(error: WorkerError) -> PluginError {
    match error {
        WorkerError::Fault(Fault::Plugin(why)) => PluginError::Unusable(why),
        WorkerError::Fault(Fault::Busy(why)) => PluginError::Busy(why),
        WorkerError::Gone { how, .. } => PluginError::Died(how),
        other => PluginError::Worker(other),
    }
}

fn strange(reply: &Reply) -> PluginError {
    let kind: String = format!("{reply:?}").chars().take(40).collect();
    PluginError::Worker(WorkerError::Fault(Fault::Internal(format!("an answer of another kind: {kind}"))))
}

/// Opens a plain file for reading, without waiting for whoever is at the other end of a pipe.
fn open(file: &Path) -> std::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = rustix::fs::open(file, flags, Mode::empty())?;
    let mode = rustix::fs::fstat(&fd)?.st_mode;
    if !rustix::fs::FileType::from_raw_mode(mode).is_file() {
        return Err(std::io::Error::other("this is not a plain file"));
    }
    Ok(fd)
}

/// Compiled code is run as it lies there: nobody but the owner may write it.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

async fn end_when_idle(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(IDLE_COMPILER).await;
        let Some(inner) = inner.upgrade() else { return };
        let Ok(_unused) = inner.in_use.try_write() else { continue };
        let idle = lock(&inner.last_use).map_or(Duration::ZERO, |at| at.elapsed());
        if idle >= IDLE_COMPILER && inner.compiler.status().pid.is_some() {
            inner.compiler.stop().await;
        }
        if idle >= IDLE && inner.runner.status().pid.is_some() {
            inner.runner.stop().await;
        }
    }
}

/// Calls under way, by the number that the worker's imports carry. A worker that was taken over could name
/// any of them, and reach what the plugins that run at that moment were granted, but no more.
#[derive(Default)]
struct OpenCalls {
    next: AtomicU64,
    calls: Mutex<HashMap<u64, Arc<Open>>>,
}

struct Open {
    calling: Arc<Calling>,
    services: Arc<dyn HostServices>,
    ended: CancellationToken,
    /// What the call may take, from when it was sent, not counting the wait for the owner.
    allowed: Duration,
    sent: Mutex<Instant>,
}

/// An entry of [`OpenCalls`], for as long as the call lasts.
struct OpenCall {
    id: u64,
    table: Arc<OpenCalls>,
    call: Arc<Open>,
}

impl OpenCall {
    fn new(table: Arc<OpenCalls>, run: &Run, services: Arc<dyn HostServices>) -> OpenCall {
        let (calling, allowed) = (run.calling.clone(), run.deadline);
        // From 1: no call has number 0.
        let id = table.next.fetch_add(1, Ordering::Relaxed) + 1;
        let (ended, sent) = (CancellationToken::new(), Mutex::new(Instant::now()));
        let call = Arc::new(Open { calling, services, ended, allowed, sent });
        lock(&table.calls).insert(id, call.clone());
        OpenCall { id, table, call }
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        lock(&self.table.calls).remove(&self.id);
        self.call.ended.cancel();
    }
}

impl Open {
    /// When the call's time is over, if the owner is waited for no longer than until now.
    fn due(&self) -> Instant {
        *lock(&self.sent) + self.allowed + self.calling.waited()
    }

    /// Returns when the call's time is over.
    async fn overdue(&self) {
        loop {
            let now = Instant::now();
            let due = self.due();
            if due <= now {
                return;
            }
            // While the owner is waited for, it moves on.
            tokio::time::sleep_until(due.max(now + Duration::from_millis(10))).await;
        }
    }

    async fn answer(self: Arc<Self>, import: Import) -> Result<Reply, Fault> {
        if let Err(why) = self.calling.grants.covers(&import.body) {
            return Ok(imported(Answer::Refused(Refusal::Denied(why)), Duration::ZERO));
        }
        let before = self.calling.waited();
        let answer = tokio::select! {
            answer = self.services.answer(self.calling.clone(), import.body) => answer,
            () = self.ended.cancelled() => return Err(Fault::Cancelled),
            () = self.overdue() => return Err(Fault::Deadline { ms: self.allowed.as_millis() as u64 }),
        };
        Ok(imported(fitting(answer), self.calling.waited() - before))
    }
}

fn imported(answer: Answer, waited: Duration) -> Reply {
    Reply::Imported(Box::new(Imported { answer, waited_ms: waited.as_millis() as u64 }))
}

/// What is too large for a frame is refused, since a link that breaks would end every call.
fn fitting(answer: Answer) -> Answer {
    if answer.bytes() <= ANSWER {
        return answer;
    }
    Answer::Refused(Refusal::Failed(format!("the answer is larger than {} MiB", ANSWER >> 20)))
}

/// Answers the worker's requests: imports of open calls, nothing else.
fn handler(open: Arc<OpenCalls>) -> Handler {
    Arc::new(move |request| {
        let found = match request {
            Request::PluginImport(import) => {
                let call = lock(&open.calls).get(&import.call).cloned();
                call.map(|call| (call, *import)).ok_or(Fault::Cancelled)
            }
            _ => Err(Fault::Unsupported),
        };
        Box::pin(async move {
            let (call, import) = found?;
            call.answer(import).await
        })
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
