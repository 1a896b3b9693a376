//! Child processes of this same binary: spawned, jailed, framed, supervised, restarted.
//! The broker's side is [`Worker`] (async), the child's side is [`child`] (threads); both speak
//! [`crate::protocol::frames`]. This room knows nothing of models, documents or plugins, and the
//! broker never does in its own process what a worker is for.

pub mod child;
mod codec;
pub mod jail;
pub mod jobs;
mod link;
mod outbox;
mod priority;
mod probe;
mod seccomp;
pub mod signals;
mod supervise;

pub use jail::Jail;
pub use link::Handler;
pub use supervise::{CRASH_LIMIT, Kind, Spec, Worker, peak_bytes, rss_bytes};

use crate::protocol::frames::{Event, Fault, Reply};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Why a worker did not answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WorkerError {
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The process went away with the request unanswered; the next request starts a new one.
    #[error("the {kind} worker stopped unexpectedly ({how}); the next request starts a new one")]
    Gone { kind: &'static str, how: String },
    #[error("the {kind} worker crashed {crashes} times in a row and restarts in {} s", .wait.as_secs().max(1))]
    BackingOff { kind: &'static str, crashes: u32, wait: Duration },
    #[error(
        "the {kind} worker crashed {crashes} times in a row and is stopped: see the log, then run `familiar stop` and try again"
    )]
    Stopped { kind: &'static str, crashes: u32 },
    #[error("the {kind} worker could not be started: {reason}")]
    Spawn { kind: &'static str, reason: String },
}

/// A request under way. Dropping it cancels the request in the worker.
pub struct Call {
    kind: &'static str,
    events: mpsc::UnboundedReceiver<Event>,
    reply: oneshot::Receiver<Result<Reply, WorkerError>>,
    _cancel: link::CancelOnDrop,
}

impl Call {
    /// The next event, or `None` when only the reply is left.
    pub async fn event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// The answer. Events not yet read are dropped.
    pub async fn reply(mut self) -> Result<Reply, WorkerError> {
        self.events.close();
        match (&mut self.reply).await {
            Ok(reply) => reply,
            Err(_) => Err(WorkerError::Gone { kind: self.kind, how: "its link closed".into() }),
        }
    }
}
