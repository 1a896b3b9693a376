//! Wiring: builds the handles, joins the rooms, serves until told to stop, and shuts down in order.

use crate::config::Config;
use crate::engine::Engine;
use crate::index::Index;
use crate::protocol::http::ErrorBody;
use crate::session::Sessions;
use crate::worker::Worker;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot, watch};

/// What the doors are given: handles, all cheap to clone.
#[derive(Clone)]
pub struct Handles {
    pub sessions: Sessions,
    pub engine: Engine,
    pub index: Index,
    /// The worker that reads documents, for its status.
    pub extract: Worker,
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
    /// Make this model the one in use, now and after a restart.
    UseModel { name: String, done: oneshot::Sender<Result<(), ErrorBody>> },
}

/// Serves on the socket of `paths` until told to stop.
pub fn run(_paths: crate::config::paths::Paths, _config: Config) -> anyhow::Result<()> {
    anyhow::bail!("the rooms are not joined yet")
}
