//! Wiring: builds the handles, joins the rooms, serves until told to stop, and shuts down in order.

use crate::config::Config;
use crate::engine::Engine;
use crate::index::Index;
use crate::session::Sessions;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// What the doors are given: handles, all cheap to clone.
#[derive(Clone)]
pub struct Handles {
    pub sessions: Sessions,
    pub engine: Engine,
    pub index: Index,
    /// The effective settings; a reload that fails leaves them as they were.
    pub config: watch::Receiver<Arc<Config>>,
    pub started: Instant,
    /// Set to true once, to shut down.
    pub stop: watch::Sender<bool>,
}

/// Serves on the socket of `paths` until told to stop.
pub fn run(_paths: crate::config::paths::Paths, _config: Config) -> anyhow::Result<()> {
    anyhow::bail!("the rooms are not joined yet")
}
