//! The keeper's way to the extract worker: one file in, its text or the reason why not out.

use crate::protocol::frames::{Extract, Extracted, Fault, Reply, Request};
use crate::worker::{Worker, WorkerError};
use std::fs::File;
use std::io::Seek;
use std::time::Duration;

/// A document that takes longer is given up.
const DEADLINE: Duration = Duration::from_secs(30);

/// Who reads documents. In the daemon it is always the jailed worker.
#[derive(Clone)]
pub(super) enum Extractor {
    Worker(Worker),
    #[cfg(test)]
    InProcess,
}

/// Why there is no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The document cannot be read as text; it will not be tried again until it changes.
    Document(String),
    /// The worker fell over or hung, perhaps on this document, perhaps on one beside it.
    Crash(String),
    /// Nobody can read documents now; try again after this time.
    Later(Duration, String),
}

impl Extractor {
    /// Reads an open file; `name` is its name without the folder.
    pub(super) async fn extract(
        &self,
        file: File,
        name: String,
        max_text: u64,
    ) -> Result<Extracted, Refusal> {
        let request = Extract { name, max_text };
        match self {
            Extractor::Worker(worker) => by_worker(worker, file, request).await,
            #[cfg(test)]
            Extractor::InProcess => {
                let task = tokio::task::spawn_blocking(move || crate::extract::file(file, &request));
                task.await
                    .map_err(|e| Refusal::Crash(e.to_string()))?
                    .map_err(|e| Refusal::Document(e.to_string()))
            }
        }
    }
}

/// A reader that went away took the files of its other requests with it: each is tried once more, and
/// only the one that brings it down again is blamed.
async fn by_worker(worker: &Worker, file: File, request: Extract) -> Result<Extracted, Refusal> {
    let again = file.try_clone();
    let mut reply = once(worker, file, request.clone()).await;
    if let (Err(WorkerError::Gone { .. }), Ok(file)) = (&reply, again) {
        // The copy shares the position that the first try may have moved.
        if (&file).rewind().is_ok() {
            reply = once(worker, file, request).await;
        }
    }
    match reply {
        Ok(Reply::Extracted(extracted)) => Ok(extracted),
        Ok(_) => Err(Refusal::Crash("the reader answered something else".into())),
        Err(error) => Err(refusal(worker, error).await),
    }
}

async fn once(worker: &Worker, file: File, request: Extract) -> Result<Reply, WorkerError> {
    worker.call(Request::Extract(request), Some(file.into()), DEADLINE).await?.reply().await
}

async fn refusal(worker: &Worker, error: WorkerError) -> Refusal {
    match error {
        WorkerError::Fault(Fault::Document(reason) | Fault::Invalid(reason)) => Refusal::Document(reason),
        WorkerError::Fault(Fault::Deadline { .. }) => {
            Refusal::Crash(format!("took longer than {} s to read", DEADLINE.as_secs()))
        }
        WorkerError::Fault(fault) => Refusal::Crash(fault.to_string()),
        WorkerError::Gone { how, .. } => Refusal::Crash(format!("the reader stopped on it ({how})")),
        WorkerError::BackingOff { wait, .. } => Refusal::Later(wait, error.to_string()),
        WorkerError::Stopped { .. } => {
            // The files that brought it down are set aside by now; the next try starts afresh.
            let reason = error.to_string();
            worker.stop().await;
            Refusal::Later(Duration::from_secs(60), reason)
        }
        WorkerError::Spawn { .. } => Refusal::Later(Duration::from_secs(10), error.to_string()),
    }
}
