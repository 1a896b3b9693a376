//! The `plugins` worker: compiles components and runs each call in an instance of its own, interrupted at its
//! deadline and held to its limits. It has no files but its cache of compiled code, and no network: what a
//! guest imports is asked of the broker. Plain threads, since its work blocks.

mod bindings;
mod cache;
mod call;
mod engine;
mod imports;
mod load;
mod stop;
mod wasi;
mod world;

pub use engine::PLACES;
pub use load::FILE_BYTES;

use crate::memory;
use crate::protocol::frames::{Fault, Reply, Request};
use crate::protocol::plugins::{Call, Called, Limits, Load, Output, Source, ToolError};
use crate::worker::child::{Job, Port};
use crate::worker::jobs::Jobs;
use bindings::exports::familiar::plugin::tools;
use cache::Cache;
use call::{Clock, Granted, Running};
use engine::Ticker;
use load::Loaded;
use rustix::fd::OwnedFd;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use stop::Stop;
use wasmtime::{Engine, Store, UpdateDeadline};

/// Components that are kept loaded; the one that was used longest ago goes first. Each holds a descriptor.
const LOADED: usize = 24;
/// Threads besides those of calls: for loading, describing and forgetting.
const OTHERS: u32 = 2;
/// WebAssembly's own stack, and room for what the host does on top of it.
const THREAD_STACK: usize = 4 << 20;
/// What a guest may take to describe its tools.
const DESCRIBE: Duration = Duration::from_secs(10);
/// Handles that a guest may hold.
const HANDLES: usize = 10_000;

/// Works off jobs until the broker closes the link. `compiled` is the folder of the cache.
pub fn run(jobs: Jobs, port: Port, compiled: Option<PathBuf>) {
    // Each thread would have a heap of its own, for the few KB that a call needs.
    memory::settle();
    let host = match Host::new(port, compiled.unwrap_or_default()) {
        Ok(host) => Arc::new(host),
        Err(error) => {
            eprintln!("worker: no sandbox: {error}");
            std::process::exit(1);
        }
    };
    let jobs = Arc::new(jobs);
    let threads: Vec<_> = (0..PLACES + OTHERS)
        .map(|n| {
            let (host, jobs) = (host.clone(), jobs.clone());
            let thread = std::thread::Builder::new().name(format!("call-{n}")).stack_size(THREAD_STACK);
            thread.spawn(move || serve(&host, &jobs)).expect("threads of a worker that has just begun")
        })
        .collect();
    for thread in threads {
        // They end with the process only.
        let _ = thread.join();
    }
}

/// One thread's share of the jobs. A panic of ours fails the job that it happened in, and no other.
fn serve(host: &Host, jobs: &Jobs) {
    loop {
        let job = jobs.next();
        let served = catch_unwind(AssertUnwindSafe(|| host.serve(job)));
        if served.is_err() {
            eprintln!("worker: a job panicked");
        }
    }
}

/// What all calls share.
struct Host {
    engine: Engine,
    ticker: Ticker,
    cache: Cache,
    port: Port,
    /// By digest, the one used last at the end.
    loaded: Mutex<Vec<(String, Arc<Loaded>)>>,
}

impl Host {
    fn new(port: Port, compiled: PathBuf) -> Result<Host, String> {
        let engine = engine::new().map_err(|error| format!("{error:#}"))?;
        let ticker = Ticker::start(&engine).map_err(|error| error.to_string())?;
        let cache = Cache::new(compiled, &engine);
        Ok(Host { engine, ticker, cache, port, loaded: Mutex::default() })
    }

    fn serve(&self, mut job: Job) {
        let fd = job.fd.take();
        let reply = match &job.body {
            Request::Ping => Ok(Reply::Pong),
            Request::PluginLoad(load) => self.load(load, fd),
            Request::PluginDescribe { digest } => self.describe(digest, &job),
            Request::PluginCall(call) => {
                let (reply, used) = self.call(call, &job);
                job.reply(reply);
                // Clearing the instance's memory is nothing that the caller has to wait for.
                return drop(used);
            }
            Request::PluginUnload { digest } => {
                lock(&self.loaded).retain(|(loaded, _)| loaded != digest);
                Ok(Reply::PluginUnloaded)
            }
            _ => Err(Fault::Unsupported),
        };
        job.reply(reply);
    }

    /// Compiles into the cache, or loads from it: the process that compiles is another than the one that
    /// runs, so that what takes long or swells while it is compiled ends no call.
    fn load(&self, load: &Load, fd: Option<OwnedFd>) -> Result<Reply, Fault> {
        let start = Instant::now();
        let bytes = read(fd, &load.digest)?;
        let cached = self.cache.get(&self.engine, &load.digest);
        let is_cached = cached.is_some();
        let component = match cached {
            Some(component) => component,
            None if !load.compile => return Err(Fault::NotLoaded),
            None => {
                let (component, code) = load::compile(&self.engine, &bytes).map_err(Fault::Plugin)?;
                // Refused before it is kept, so that the cache holds only what runs.
                load::link(&self.engine, &component).map_err(Fault::Plugin)?;
                self.cache.put(&load.digest, &code).map_err(|error| {
                    Fault::Busy(format!("the compiled plugin could not be written: {error}"))
                })?;
                component
            }
        };
        let loaded = load::link(&self.engine, &component).map_err(Fault::Plugin)?;
        let imports = loaded.imports.clone();
        if !load.compile {
            self.keep(&load.digest, loaded);
        }
        let compile_ms = start.elapsed().as_millis() as u64;
        let reply = crate::protocol::plugins::Loaded { imports, cached: is_cached, compile_ms };
        Ok(Reply::PluginLoaded(reply))
    }

    fn keep(&self, digest: &str, plugin: Loaded) {
        let mut loaded = lock(&self.loaded);
        loaded.retain(|(known, _)| known != digest);
        if loaded.len() >= LOADED {
            loaded.remove(0);
        }
        loaded.push((digest.to_owned(), Arc::new(plugin)));
    }

    fn find(&self, digest: &str) -> Result<Arc<Loaded>, Fault> {
        let mut loaded = lock(&self.loaded);
        let at = loaded.iter().position(|(known, _)| known == digest).ok_or(Fault::NotLoaded)?;
        let entry = loaded.remove(at);
        let plugin = entry.1.clone();
        loaded.push(entry);
        Ok(plugin)
    }

    /// Runs a tool, and gives its instance back too, to be cleared after the answer.
    fn call(&self, call: &Call, job: &Job) -> (Result<Reply, Fault>, Option<Store<Running>>) {
        let plugin = match self.find(&call.digest) {
            Ok(plugin) => plugin,
            Err(fault) => return (Err(fault), None),
        };
        let allowed = Duration::from_millis(call.deadline_ms);
        let clock = Clock::new(allowed, job.stop_flag());
        let start = clock.started;
        let running =
            Running::new(call.call, Granted::of(&call.granted), call.limits, clock, self.port.clone());
        let mut store = self.store(running);
        let mut instantiate_ns = 0;
        let result = {
            let _ticking = self.ticker.run();
            let context = tools::Context {
                session: call.session.clone(),
                language: call.language.clone(),
                deadline_ms: call.deadline_ms,
            };
            plugin.pre.instantiate(&mut store).and_then(|instance| {
                instantiate_ns = start.elapsed().as_nanos() as u64;
                let tools = instance.familiar_plugin_tools();
                tools.call_call(&mut store, &call.tool, &call.arguments, &context)
            })
        };
        let result = self.outcome(result, &mut store);
        if store.data_mut().clock().cancelled() {
            return (Err(Fault::Cancelled), Some(store));
        }
        let (log, log_dropped) = store.data_mut().log.finish();
        let micros = start.elapsed().as_micros() as u64;
        let called = Called { result, log, log_dropped, micros, instantiate_ns };
        (Ok(Reply::PluginCalled(Box::new(called))), Some(store))
    }

    /// Runs the optional `describe`, with no grants at all.
    fn describe(&self, digest: &str, job: &Job) -> Result<Reply, Fault> {
        let plugin = self.find(digest)?;
        let describe = plugin.describe.ok_or_else(|| {
            Fault::Plugin(
                "it has no familiar:plugin/describe: give its tools in a file, as `tools` under [build] in \
                 plugin.toml"
                    .into(),
            )
        })?;
        let clock = Clock::new(DESCRIBE, job.stop_flag());
        let limits = Limits::default();
        // No call of the broker has this number, so that no import is answered.
        let mut store = self.store(Running::new(0, Granted::default(), limits, clock, self.port.clone()));
        let _ticking = self.ticker.run();
        let text = plugin.pre.instance_pre().instantiate(&mut store).and_then(|instance| {
            let describe = instance.get_typed_func::<(), (String,)>(&mut store, describe)?;
            Ok(describe.call(&mut store, ())?.0)
        });
        match text {
            Ok(text) if text.len() as u64 > limits.output => {
                Err(Fault::Plugin(format!("its description is larger than {}", stop::bytes(limits.output))))
            }
            Ok(text) => Ok(Reply::PluginTools(text)),
            Err(error) => Err(Fault::Plugin(format!(
                "it could not describe its tools: {}",
                explain(&error, store.data())
            ))),
        }
    }

    fn store(&self, running: Running) -> Store<Running> {
        let fuel = running.import_bytes();
        let mut store = Store::new(&self.engine, running);
        store.limiter(|running| running);
        store.set_hostcall_fuel(fuel);
        store.set_max_component_handles(HANDLES);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut cx| {
            cx.data_mut().clock().check()?;
            Ok(UpdateDeadline::Continue(1))
        });
        store
    }

    fn outcome(
        &self,
        result: wasmtime::Result<Result<tools::Output, tools::ToolError>>,
        store: &mut Store<Running>,
    ) -> Result<Output, ToolError> {
        match result {
            Ok(Ok(output)) => within(output.into(), store.data().limits.output),
            Ok(Err(error)) => Err(shortened(error.into(), store.data().limits.output)),
            Err(error) => Err(explain(&error, store.data())),
        }
    }
}

fn explain(error: &wasmtime::Error, running: &Running) -> ToolError {
    stop::explain(error, running.reached, running.import_bytes(), &running.log.last_words())
}

/// The package's bytes, which are those that were asked for.
fn read(fd: Option<OwnedFd>, digest: &str) -> Result<Vec<u8>, Fault> {
    let fd = fd.ok_or_else(|| Fault::Internal("no file came with the request".into()))?;
    let mut bytes = Vec::new();
    let file = std::fs::File::from(fd);
    file.take(FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Fault::Plugin(format!("the file cannot be read: {error}")))?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(Fault::Plugin(format!("the file is larger than {}", stop::bytes(FILE_BYTES))));
    }
    if blake3::hash(&bytes).to_hex().as_str() != digest {
        return Err(Fault::Plugin("the file is not the one that was asked for: it changed meanwhile".into()));
    }
    Ok(bytes)
}

/// An output no larger than allowed.
fn within(output: Output, limit: u64) -> Result<Output, ToolError> {
    let sources: usize = output.sources.iter().map(|source| source.path.len() + 16).sum();
    let size = output.text.len() + output.data.as_ref().map_or(0, String::len) + sources;
    if size as u64 > limit {
        return Err(ToolError::Stopped(Stop::Output(limit).to_string()));
    }
    Ok(output)
}

/// An error no larger than an output may be.
fn shortened(error: ToolError, limit: u64) -> ToolError {
    let too_long = match &error {
        ToolError::InvalidArguments(why)
        | ToolError::NotFound(why)
        | ToolError::Denied(why)
        | ToolError::Unavailable(why)
        | ToolError::Failed(why)
        | ToolError::Stopped(why) => why.len() as u64 > limit,
    };
    if too_long { ToolError::Stopped(Stop::Output(limit).to_string()) } else { error }
}

impl From<tools::Output> for Output {
    fn from(tools::Output { text, data, sources }: tools::Output) -> Self {
        let sources = sources
            .into_iter()
            .map(|tools::Source { path, start, end }| Source { path, start, end })
            .collect();
        Output { text, data, sources }
    }
}

impl From<tools::ToolError> for ToolError {
    fn from(error: tools::ToolError) -> Self {
        match error {
            tools::ToolError::InvalidArguments(why) => ToolError::InvalidArguments(why),
            tools::ToolError::NotFound(why) => ToolError::NotFound(why),
            tools::ToolError::Denied(why) => ToolError::Denied(why),
            tools::ToolError::Unavailable(why) => ToolError::Unavailable(why),
            tools::ToolError::Failed(why) => ToolError::Failed(why),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
