//! Starts a worker when it is first needed and again after it crashed.

use super::{Call, Jail, WorkerError};
use crate::protocol::frames::Request;
use crate::protocol::http::WorkerStatus;
use std::os::fd::OwnedFd;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Engine,
    Extract,
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Spec {
    pub kind: Kind,
    pub jail: Jail,
}

impl Spec {
    pub fn new(kind: Kind, jail: Jail) -> Spec {
        Spec { kind, jail }
    }
}

/// A supervised child process; cheap to clone. Nothing runs until the first call.
#[derive(Clone)]
pub struct Worker;

impl Worker {
    pub fn new(_spec: Spec) -> Worker {
        Worker
    }
    /// Sends a request, starting the process when none runs.
    pub async fn call(
        &self,
        _body: Request,
        _fd: Option<OwnedFd>,
        _deadline: Duration,
    ) -> Result<Call, WorkerError> {
        Err(WorkerError::Spawn { kind: "", reason: String::new() })
    }
    pub fn status(&self) -> WorkerStatus {
        WorkerStatus {
            kind: String::new(),
            pid: None,
            state: String::new(),
            restarts: 0,
            rss_bytes: 0,
            jail_refused: vec![],
        }
    }
    /// Ends the process and forgets crashes; the next call starts a new one.
    pub async fn stop(&self) {}
    /// Ends the process when it is still the one that hangs; counts as a crash.
    pub async fn kill(&self) {}
}
