//! The train worker's side: takes a job, checks everything before it touches anything, and trains step by
//! step, with a checkpoint every few seconds. It reads the model, writes below the job's folder, and may be
//! killed at any moment: what is lost is what came after the last checkpoint.

use super::data::{self, DataError};
use super::examples::{self, Examples};
use super::folder::{Folder, FolderError, Log};
use super::spec::{Keep, Precision, Spec, SpecError};
use super::tokens::Tokenizer;
use crate::protocol::frames::{Event, Fault, Reply, Request, Step, Trained};
use crate::worker::child::Job;
use crate::worker::signals;
use familiar_gguf::{Gguf, Header};
use familiar_trainer::adapter::{self, AdapterError, Meta};
use familiar_trainer::model::Model;
use familiar_trainer::trainer::{Report, Session, TrainError};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Warnings that are passed on; more of them say nothing new.
const WARNINGS: usize = 20;

/// Works off jobs until the broker closes the link or a signal says to stop.
pub fn run(jobs: Receiver<Job>) {
    let stop = Stop::default();
    let told = stop.clone();
    if let Err(error) = signals::upon(move || told.tell()) {
        eprintln!("signals end this worker without a last checkpoint: {error}");
    }
    for job in jobs {
        let answer = match &job.body {
            Request::Ping => Ok(Reply::Pong),
            Request::Train(request) => {
                stop.look_at(job.stop_flag());
                train(Path::new(&request.folder), &job).map(Reply::Trained)
            }
            _ => Err(Fault::Unsupported),
        };
        job.reply(answer);
    }
}

/// The signal's way to the flag of the job under way.
#[derive(Clone, Default)]
struct Stop(Arc<Mutex<(bool, Arc<AtomicBool>)>>);

impl Stop {
    fn tell(&self) {
        let mut now = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        now.0 = true;
        now.1.store(true, Ordering::Relaxed);
    }

    fn look_at(&self, flag: Arc<AtomicBool>) {
        let mut now = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        flag.fetch_or(now.0, Ordering::Relaxed);
        now.1 = flag;
    }
}

/// Why a job could not be begun or ended early.
#[derive(Debug, thiserror::Error)]
enum WorkError {
    #[error(transparent)]
    Spec(#[from] SpecError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("the model {}: {what}", .path.display())]
    Model { path: PathBuf, what: String },
    #[error(
        "the model {} is not the file that the job was made for (BLAKE3 {has}, not {wants}); put that back, or make a new job with `familiar learn new`",
        .path.display()
    )]
    OtherModel { path: PathBuf, has: String, wants: String },
    #[error(transparent)]
    Train(#[from] TrainError),
    #[error("the adapter could not be written: {0}; what was there before stays, and `familiar learn train` tries again")]
    Adapter(AdapterError),
    #[error("no threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

impl From<WorkError> for Fault {
    fn from(error: WorkError) -> Fault {
        let said = error.to_string();
        match error {
            WorkError::Spec(_) | WorkError::Data(_) | WorkError::OtherModel { .. } => Fault::Invalid(said),
            WorkError::Folder(FolderError::OtherJob(_) | FolderError::Damaged(_)) => Fault::Invalid(said),
            WorkError::Folder(FolderError::Locked(_) | FolderError::DiskFull(_)) => Fault::Busy(said),
            WorkError::Model { .. } => Fault::Model(said),
            WorkError::Folder(_) | WorkError::Train(_) | WorkError::Adapter(_) | WorkError::Threads(_) => {
                Fault::Internal(said)
            }
        }
    }
}

fn train(folder: &Path, job: &Job) -> Result<Trained, Fault> {
    let folder = Folder::take(folder).map_err(WorkError::from)?;
    let (spec, examples, data) = prepare(&folder)?;
    let mut pool = rayon::ThreadPoolBuilder::new();
    if spec.run.threads > 0 {
        pool = pool.num_threads(spec.run.threads);
    }
    let pool = pool.build().map_err(WorkError::from)?;
    Ok(pool.install(|| Work { folder: &folder, spec: &spec, data, job }.run(examples))?)
}

/// Everything that can be wrong before the first step.
fn prepare(folder: &Folder) -> Result<(Spec, Examples, String), WorkError> {
    let spec = Spec::read(folder.path())?;
    let unusable = |what: String| WorkError::Model { path: spec.model.clone(), what };
    let header = Header::open(&spec.model).map_err(|error| unusable(error.to_string()))?;
    header.check().map_err(|error| unusable(error.to_string()))?;
    let has = digest(&spec.model).map_err(|error| unusable(error.to_string()))?;
    if has != spec.digest {
        return Err(WorkError::OtherModel { path: spec.model.clone(), has, wants: spec.digest.clone() });
    }
    let data = File::open(folder.data()).map_err(DataError::from)?;
    let (rows, data) = data::read(BufReader::with_capacity(1 << 16, data))?;
    let tokenizer = Tokenizer::open(&spec.model, &header).map_err(unusable)?;
    let context = usize::try_from(header.train_context()).unwrap_or(usize::MAX);
    let room = if context == 0 { spec.recipe.tokens } else { spec.recipe.tokens.min(context) };
    let examples = examples::of(rows, &tokenizer, room, spec.long)?;
    Ok((spec, examples, data))
}

/// BLAKE3 of a file, in hex.
pub fn digest(path: &Path) -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    std::io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hasher.finalize().to_hex().to_string())
}
