//! Wiring: builds the handles, joins the rooms, serves until told to stop, and shuts down in order:
//! doors first, then the engine, then the index. It holds no logic of any room.

use crate::api;
use crate::approvals::Approvals;
use crate::audit::Audit;
use crate::config::paths::Paths;
use crate::config::{self, Config, PERSONAL};
use crate::dbus;
use crate::engine::{Adapters, Engine, EngineError, Models};
use crate::idle::Presence;
use crate::index::Index;
use crate::memory;
use crate::nights::{self, Nights};
use crate::plugins::{Plugins, Runtime};
use crate::protocol::http::{DesktopStatus, ErrorBody, ErrorCode};
use crate::session::Sessions;
use crate::sharing::Shelf;
use crate::store::Store;
use crate::tools::{Rooms, Tools};
use crate::worker::{Jail, Kind, Spec, Worker};
use anyhow::Context;
use std::sync::Arc;
use std::time::Instant;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};

/// Address space of the extract worker, in bytes: a document that needs more is not worth it.
const EXTRACT_MEMORY: u64 = 2 << 30;

/// What the doors are given: handles, all cheap to clone.
#[derive(Clone)]
pub struct Handles {
    pub sessions: Sessions,
    pub engine: Engine,
    pub index: Index,
    pub plugins: Plugins,
    pub tools: Tools,
    pub approvals: Approvals,
    pub audit: Audit,
    pub nights: Nights,
    /// The worker that reads documents, for its status.
    pub extract: Worker,
    /// How the desktop's door is.
    pub desktop: watch::Receiver<DesktopStatus>,
    /// The effective settings; a reload that fails leaves them as they were.
    pub config: watch::Receiver<Arc<Config>>,
    pub started: Instant,
    /// Set to true once, to shut down.
    pub stop: watch::Sender<bool>,
    /// What only the daemon itself can do.
    pub control: mpsc::Sender<Control>,
}

/// An order to the daemon, answered when it is done; an error leaves everything as it was.
pub enum Control {
    /// Read the settings again.
    Reload { done: oneshot::Sender<Result<(), ErrorBody>> },
    /// Make this model the one in use, with this adapter, now and after a restart. No adapter named:
    /// it stays as it is, unless the model is another.
    UseModel { name: String, adapter: Option<String>, done: oneshot::Sender<Result<(), ErrorBody>> },
    /// Learn from these sources and folders from now on, also after a restart.
    SetLearning { sources: Vec<String>, folders: Vec<String>, done: oneshot::Sender<Result<(), ErrorBody>> },
}

/// Serves on the socket of `paths` until told to stop.
pub fn run(paths: Paths, config: Config) -> anyhow::Result<()> {
    memory::settle();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Blocking work here is short file access; each thread costs memory that stays.
        .max_blocking_threads(8)
        .enable_all()
        .build()
        .context("no runtime")?;
    runtime.block_on(serve(paths, config))
}

async fn serve(paths: Paths, config: Config) -> anyhow::Result<()> {
    let store = Store::open(&paths.database())?;
    let extract = Worker::new(Spec::new(Kind::Extract, Jail { memory: EXTRACT_MEMORY, ..Jail::default() }));
    let index = Index::open(paths.index(), config.index.clone(), extract.clone()).await?;
    let (settings, config) = watch::channel(Arc::new(config));
    // The engine sees the generation that serves in place of `personal`.
    let (effective, served) = watch::channel(Nights::before(&config.borrow()));
    let engine = Engine::new(Models::new(paths.models()), Adapters::new(paths.adapters()), served);
    let plugins = Plugins::open(paths.plugins(), paths.secrets(), Runtime::new(paths.compiled(), None))?;
    let approvals = Approvals::new(store.clone());
    let audit = Audit::open(&paths.audit(), store.clone()).await?;
    let tools = Tools::new(Rooms {
        index: index.clone(),
        engine: engine.clone(),
        store: store.clone(),
        approvals: approvals.clone(),
        audit: audit.clone(),
        plugins: plugins.clone(),
        config: config.clone(),
    });
    let presence = Presence::new();
    let sessions = Sessions::new(
        store.clone(),
        engine.clone(),
        index.clone(),
        tools.clone(),
        config.clone(),
        presence.clone(),
    );
    let (control, orders) = mpsc::channel(4);
    let stop = watch::Sender::new(false);
    let rooms = nights::Rooms {
        store: store.clone(),
        index: index.clone(),
        engine: engine.clone(),
        tools: tools.clone(),
        settings: config.clone(),
        presence: presence.clone(),
        shelf: Shelf::new(paths.adapters()),
    };
    let nights =
        Nights::begin(rooms, paths.nights(), paths.generations(), effective, stop.subscribe()).await?;
    let (told, desktop) = watch::channel(DesktopStatus::default());
    let handles = Handles {
        sessions,
        engine: engine.clone(),
        index: index.clone(),
        plugins: plugins.clone(),
        tools,
        approvals,
        audit,
        nights: nights.clone(),
        extract: extract.clone(),
        desktop,
        config,
        started: Instant::now(),
        stop: stop.clone(),
        control: control.clone(),
    };
    let socket = api::bind(&paths)?;
    tracing::info!(socket = %paths.socket().display(), "serving");
    tokio::spawn(obey(paths, settings, engine.clone(), nights, orders));
    tokio::spawn(signals(stop, control));
    let desktop = dbus::serve(handles.clone(), store.clone(), told);
    tokio::join!(api::serve(socket, handles, store), desktop);
    tracing::info!("stopping");
    plugins.stop().await;
    engine.unload().await;
    index.close().await;
    extract.stop().await;
    Ok(())
}

/// Carries out orders one after the other.
async fn obey(
    paths: Paths,
    settings: watch::Sender<Arc<Config>>,
    engine: Engine,
    nights: Nights,
    mut orders: mpsc::Receiver<Control>,
) {
    while let Some(order) = orders.recv().await {
        let (done, result) = match order {
            Control::Reload { done } => (done, reload(&paths, &settings)),
            Control::UseModel { name, adapter, done } => {
                (done, use_model(&paths, &settings, &engine, &name, adapter))
            }
            Control::SetLearning { sources, folders, done } => {
                let set =
                    config::set_learning(&paths.config_file, &sources, &folders).map_err(wrong_settings);
                (done, set.and_then(|()| reload(&paths, &settings)))
            }
        };
        // Whoever gave the order sees it carried out by the next request.
        let result = match result {
            Ok(()) => nights.settings_changed().await.map_err(|error| error.body()),
            refused => refused,
        };
        if let Err(error) = &result {
            tracing::warn!("{}; the settings stay as they were", error.message);
        }
        // Whoever gave the order may have gone; it was carried out all the same.
        let _ = done.send(result);
    }
}

fn reload(paths: &Paths, settings: &watch::Sender<Arc<Config>>) -> Result<(), ErrorBody> {
    let loaded = config::load(&paths.config_file).map_err(wrong_settings)?;
    settings.send_replace(Arc::new(loaded.config));
    Ok(())
}

fn use_model(
    paths: &Paths,
    settings: &watch::Sender<Arc<Config>>,
    engine: &Engine,
    name: &str,
    adapter: Option<String>,
) -> Result<(), ErrorBody> {
    let now = settings.borrow().model.clone();
    engine.models().info(name, &now.name).map_err(|error| EngineError::from(error).body())?;
    let kept = if now.name == name { now.adapter } else { PERSONAL.into() };
    let adapter = adapter.unwrap_or(kept);
    if adapter != PERSONAL {
        engine.check_adapter(name, &adapter).map_err(|error| error.body())?;
    }
    config::set_model(&paths.config_file, name, &adapter).map_err(wrong_settings)?;
    reload(paths, settings)
}

fn wrong_settings(error: config::ConfigError) -> ErrorBody {
    ErrorBody { code: ErrorCode::Usage, message: error.to_string() }
}

/// SIGTERM and SIGINT stop the daemon, SIGHUP reads the settings again.
async fn signals(stop: watch::Sender<bool>, control: mpsc::Sender<Control>) {
    let streams =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()));
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = streams else {
        tracing::error!("signals cannot be received: stop the daemon with `familiar stop`");
        return;
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                let (done, _answer) = oneshot::channel();
                // A closed channel means that the daemon is ending anyway.
                let _ = control.send(Control::Reload { done }).await;
            }
        }
    }
    stop.send_replace(true);
}
