//! The side that wants something learned: the daemon, or a command without one. It reads a job's spec,
//! starts a worker that may touch the model and the job's folder, and passes on what that tells.

use super::spec::{Spec, SpecError};
use crate::protocol::frames::{Event, Fault, Reply, Request, Step, Train, Trained};
use crate::protocol::http::{ErrorBody, ErrorCode};
use crate::worker::{Call, Jail, Kind, Worker, WorkerError, peak_bytes, signals};
use rustix::process::{Pid, Signal, kill_process};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer than any training.
const DEADLINE: Duration = Duration::from_secs(366 * 24 * 3600);
/// Address space that a worker takes beside its data: code, and what each thread keeps for itself.
const CODE: u64 = 1 << 30;
const THREAD: u64 = 72 << 20;

/// Why a job did not get on.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    #[error(transparent)]
    Spec(#[from] SpecError),
    #[error("{}: {error}", .path.display())]
    Folder { path: PathBuf, error: io::Error },
    /// The worker may write everywhere below a job's folder, so that must not be a home.
    #[error(
        "{} holds other folders ({other}); a job needs a folder of its own: `familiar learn new` makes one",
        .path.display()
    )]
    NotAlone { path: PathBuf, other: String },
    #[error("the model {}: {error}", .path.display())]
    Model { path: PathBuf, error: io::Error },
    /// What the worker refused, worded by it.
    #[error(transparent)]
    Refused(Fault),
    #[error("training was stopped; it goes on from its last checkpoint when it is started again")]
    Stopped,
    #[error(
        "the trainer ended in the middle ({how}); it goes on from its last checkpoint when it is started again{}",
        if *.limited { ". If its memory was too small, raise `run.memory_bytes` in the spec" } else { "" }
    )]
    Ended { how: String, limited: bool },
    #[error(transparent)]
    Worker(WorkerError),
    #[error("the trainer answered something else than was asked")]
    Confused,
}

impl LearnError {
    /// The error as every door shows it.
    pub fn body(&self) -> ErrorBody {
        let code = match self {
            LearnError::Spec(SpecError::Absent(_)) => ErrorCode::NotFound,
            LearnError::Folder { error, .. } | LearnError::Model { error, .. }
                if error.kind() == io::ErrorKind::NotFound =>
            {
                ErrorCode::NotFound
            }
            LearnError::Spec(_) | LearnError::NotAlone { .. } | LearnError::Refused(Fault::Invalid(_)) => {
                ErrorCode::Usage
            }
            LearnError::Refused(Fault::Busy(_)) | LearnError::Worker(_) => ErrorCode::Busy,
            _ => ErrorCode::Failed,
        };
        ErrorBody { code, message: self.to_string() }
    }
}

/// Refuses a folder that holds others.
fn alone(folder: &Path) -> Result<(), LearnError> {
    let failed = |error| LearnError::Folder { path: folder.to_owned(), error };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            let other = entry.file_name().to_string_lossy().into_owned();
            return Err(LearnError::NotAlone { path: folder.to_owned(), other });
        }
    }
    Ok(())
}

/// A job under way in a worker of its own. Dropping it stops the worker as [`Training::stop`] does.
pub struct Training {
    worker: Worker,
    call: Option<Call>,
    pid: Option<u32>,
    /// There is a limit to the worker's memory.
    limited: bool,
    peak: u64,
}

impl Training {
    /// Starts or goes on with the job in `folder`. `program` is the binary whose worker is used, for a
    /// process that is not that binary itself. Must be called inside a tokio runtime.
    pub async fn start(folder: &Path, program: Option<PathBuf>) -> Result<Training, LearnError> {
        let found = std::fs::canonicalize(folder);
        let folder = found.map_err(|error| LearnError::Folder { path: folder.to_owned(), error })?;
        let spec = Spec::read(&folder)?;
        alone(&folder)?;
        let jail = jail(&spec, &folder)?;
        let limited = jail.memory > 0;
        let worker = Worker::new(crate::worker::Spec { kind: Kind::Train, jail, program });
        let request = Request::Train(Train { folder: folder.to_string_lossy().into_owned() });
        let call = worker.call(request, None, DEADLINE).await.map_err(LearnError::Worker)?;
        let pid = worker.status().pid;
        Ok(Training { worker, call: Some(call), pid, limited, peak: 0 })
    }

    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// What the kernel refused of the worker's jail, one sentence each; empty when all of it stands.
    pub fn not_jailed(&self) -> Vec<String> {
        self.worker.status().jail_refused
    }

    /// The next step that is done; `None` when only the end is left, which [`Self::finish`] tells.
    pub async fn step(&mut self) -> Option<Step> {
        let call = self.call.as_mut()?;
        while let Some(event) = call.event().await {
            self.peak = self.peak.max(self.pid.and_then(peak_bytes).unwrap_or(0));
            if let Event::Step(step) = event {
                return Some(step);
            }
        }
        None
    }

    /// Asks the worker to give the cores back: it does so within 250 ms, and saves where it can.
    pub fn stop(&self) {
        // Asked anew, since the number of one that has ended may be another's by now.
        if let Some(pid) = self.worker.status().pid.and_then(|pid| Pid::from_raw(pid as i32)) {
            // One that ends just now needs no telling.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// How it ended.
    pub async fn finish(mut self) -> Result<Trained, LearnError> {
        let Some(call) = self.call.take() else { return Err(LearnError::Confused) };
        let reply = call.reply().await;
        let peak = self.peak.max(self.pid.and_then(peak_bytes).unwrap_or(0));
        self.worker.stop().await;
        match reply {
            Ok(Reply::Trained(trained)) => Ok(Trained { peak_bytes: peak, ..trained }),
            Ok(_) => Err(LearnError::Confused),
            Err(WorkerError::Fault(Fault::Cancelled)) => Err(LearnError::Stopped),
            Err(WorkerError::Fault(fault)) => Err(LearnError::Refused(fault)),
            Err(WorkerError::Gone { how, .. }) if how == format!("exit code {}", signals::TERMINATED) => {
                Err(LearnError::Stopped)
            }
            Err(WorkerError::Gone { how, .. }) => Err(LearnError::Ended { how, limited: self.limited }),
            Err(other) => Err(LearnError::Worker(other)),
        }
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What the worker of a job may touch: its folder, and the model's file.
fn jail(spec: &Spec, folder: &Path) -> Result<Jail, LearnError> {
    let unusable = |error| LearnError::Model { path: spec.model.clone(), error };
    let found = std::fs::metadata(&spec.model).map_err(unusable)?;
    // A folder would open the jail to all that is below it.
    if !found.is_file() {
        return Err(unusable(io::Error::other("it is not a regular file; name the model's GGUF file")));
    }
    let size = found.len();
    let memory = match spec.run.memory_bytes {
        0 => 0,
        limit => {
            let threads = spec.run.threads.max(std::thread::available_parallelism().map_or(1, |n| n.get()));
            // The file is mapped: its pages are the kernel's, but they take addresses.
            limit.saturating_add(size).saturating_add(CODE).saturating_add(threads as u64 * THREAD)
        }
    };
    Ok(Jail {
        read: vec![spec.model.clone()],
        write: Some(folder.to_owned()),
        memory,
        background: true,
        ..Jail::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jail_holds_the_model_and_the_folder_and_room_for_the_map() {
        let place = tempfile::tempdir().unwrap();
        let model = place.path().join("m.gguf");
        std::fs::write(&model, vec![0; 5000]).unwrap();
        let mut spec = Spec::new(model.clone(), "ab".repeat(32));
        let open = jail(&spec, place.path()).unwrap();
        assert_eq!((&open.read, open.write.as_deref(), open.memory), (&vec![model], Some(place.path()), 0));
        assert!(open.background && !open.gpu);
        spec.run.memory_bytes = 1000;
        assert!(jail(&spec, place.path()).unwrap().memory > CODE + 6000);
        for wide in ["/", "/dev/zero"] {
            spec.model = wide.into();
            assert!(
                jail(&spec, place.path()).unwrap_err().to_string().contains("not a regular file"),
                "{wide}"
            );
        }
        spec.model = place.path().join("none.gguf");
        let error = jail(&spec, place.path()).unwrap_err();
        assert!(error.body().code == ErrorCode::NotFound && error.to_string().contains("none.gguf"));
    }

    #[tokio::test]
    async fn a_folder_without_a_job_is_not_found() {
        let place = tempfile::tempdir().unwrap();
        for folder in [place.path().to_owned(), place.path().join("nowhere")] {
            let error = Training::start(&folder, None).await.err().unwrap();
            assert_eq!(error.body().code, ErrorCode::NotFound, "{error}");
        }
    }
}
