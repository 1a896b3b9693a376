//! The doors over a real socket: who gets in, what hostile clients get, and what is served where.

mod limits;
mod routes;
mod socket;

use super::serve::run;
use super::*;
use crate::approvals::Approvals;
use crate::audit::Audit;
use crate::config::Config;
use crate::config::paths::Paths;
use crate::daemon::Control;
use crate::engine::{Adapters, Engine, Models};
use crate::idle::Presence;
use crate::index::Index;
use crate::nights::{self, Nights};
use crate::plugins::{Plugins, Runtime};
use crate::session::Sessions;
use crate::sharing::Shelf;
use crate::tools::{Rooms, Tools};
use crate::worker::{Jail, Kind, Spec, Worker};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Longer than anything here takes; a test that reaches it hangs.
const LONG: Duration = Duration::from_secs(20);

fn paths(folder: &TempDir) -> Paths {
    let at = |name: &str| folder.path().join(name);
    Paths { config_file: at("config.toml"), data: at("data"), state: at("state"), runtime: at("run") }
}

/// A running server in a folder of its own.
struct Server {
    folder: TempDir,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// The real doors. `control` orders are answered with "done".
    async fn start(limits: Limits) -> Server {
        let folder = tempfile::tempdir().unwrap();
        paths(&folder).create().unwrap();
        let store = Store::open(&paths(&folder).database()).unwrap();
        let (stop, _) = watch::channel(false);
        let (control, mut orders) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(
                Control::Reload { done } | Control::UseModel { done, .. } | Control::SetLearning { done, .. },
            ) = orders.recv().await
            {
                done.send(Ok(())).unwrap();
            }
        });
        let config = watch::channel(Arc::new(Config::default())).1;
        let extract = Worker::new(Spec::new(Kind::Extract, Jail::default()));
        let index = paths(&folder).index();
        let index = Index::open(index, Config::default().index, extract.clone()).await.unwrap();
        let models = Models::new(paths(&folder).models());
        let engine = Engine::new(models, Adapters::new(paths(&folder).adapters()), config.clone());
        let runtime = Runtime::new(paths(&folder).compiled(), None);
        let plugins = Plugins::open(paths(&folder).plugins(), paths(&folder).secrets(), runtime).unwrap();
        let approvals = Approvals::new(store.clone());
        let audit = Audit::open(&paths(&folder).audit(), store.clone()).await.unwrap();
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
        let rooms = nights::Rooms {
            store: store.clone(),
            index: index.clone(),
            engine: engine.clone(),
            tools: tools.clone(),
            settings: config.clone(),
            presence: presence.clone(),
            shelf: Shelf::new(paths(&folder).adapters()),
        };
        let effective = watch::Sender::new(config.borrow().clone());
        let (at, left) = (paths(&folder), stop.subscribe());
        let nights = Nights::begin(rooms, at.nights(), at.generations(), effective, left).await.unwrap();
        let handles = Handles {
            sessions: Sessions::new(
                store.clone(),
                engine.clone(),
                index.clone(),
                tools.clone(),
                config.clone(),
                presence,
            ),
            engine,
            index,
            plugins,
            tools,
            approvals,
            audit,
            nights,
            extract,
            desktop: watch::channel(Default::default()).1,
            config,
            started: Instant::now(),
            stop: stop.clone(),
            control,
        };
        Server::with(folder, stop, router(handles, store, limits), limits)
    }

    /// Only the accept loop is the real one.
    fn of(router: Router, limits: Limits) -> Server {
        Server::with(tempfile::tempdir().unwrap(), watch::channel(false).0, router, limits)
    }

    fn with(folder: TempDir, stop: watch::Sender<bool>, router: Router, limits: Limits) -> Server {
        let socket = bind(&paths(&folder)).unwrap();
        let task = tokio::spawn(run(socket, router, limits, stop.subscribe()));
        Server { folder, stop, task }
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(paths(&self.folder).socket()).await.unwrap()
    }

    /// Sends the bytes and reads whatever comes until the server closes.
    async fn say(&self, bytes: impl AsRef<[u8]>) -> Reply {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_ref()).await.unwrap();
        Reply::read(stream).await
    }

    async fn request(&self, method: &str, path: &str, body: &str) -> Reply {
        let length = body.len();
        self.say(format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
        .await
    }

    async fn get(&self, path: &str) -> Reply {
        self.request("GET", path, "").await
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        tokio::time::timeout(LONG, self.task).await.unwrap().unwrap();
    }
}

#[derive(Debug)]
struct Reply {
    /// 0 when the server closed without an answer.
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    async fn read(mut stream: UnixStream) -> Reply {
        let mut bytes = Vec::new();
        // A reset is how a socket with unread bytes closes; what came before it counts.
        let _ = tokio::time::timeout(LONG, stream.read_to_end(&mut bytes))
            .await
            .expect("the server never closed");
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).map_or(0, |word| word.parse().unwrap());
        Reply { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}
