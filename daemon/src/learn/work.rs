//! The train worker's side: takes a job, checks everything before it touches anything, and trains step by
//! step, with a checkpoint every few seconds. It reads the model, writes below the job's folder, and may be
//! killed at any moment: what is lost is what came after the last checkpoint.

use super::data::{self, DataError};
use super::examples::{self, Examples, Room};
use super::folder::{Folder, FolderError, regular, written};
use super::spec::{self, Spec, SpecError};
use super::tokens::Tokenizer;
use crate::protocol::frames::{Event, Fault, Reply, Request, Step, Trained};
use crate::worker::child::Job;
use crate::worker::signals;
use familiar_gguf::{Gguf, Header};
use familiar_trainer::adapter::{self, AdapterError, Meta};
use familiar_trainer::lora::Adapter;
use familiar_trainer::model::Model;
use familiar_trainer::run::Keep;
use familiar_trainer::session::{Report, Session, StepReport, TrainError};
use familiar_trainer::weight::Precision;
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
    familiar_trainer::memory::keep_freed();
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
    #[error(
        "the adapter could not be written: {0}; what was there before stays, and `familiar learn train` tries again"
    )]
    Adapter(AdapterError),
    #[error("the adapter to begin with cannot be used: {0}")]
    Start(AdapterError),
    #[error("no threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

impl From<WorkError> for Fault {
    fn from(error: WorkError) -> Fault {
        let said = error.to_string();
        match error {
            WorkError::Spec(_) | WorkError::Data(_) | WorkError::OtherModel { .. } | WorkError::Start(_) => {
                Fault::Invalid(said)
            }
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
    let data = regular(&folder.data()).map_err(DataError::from)?;
    let (rows, data) = data::read(BufReader::with_capacity(1 << 16, data))?;
    let tokenizer = Tokenizer::open(&spec.model, &header).map_err(unusable)?;
    let room = Room::new(spec.recipe.tokens, header.train_context());
    let examples = examples::of(rows, &tokenizer, room, spec.long)?;
    Ok((spec, examples, data))
}

/// One job, from its checkpoint to its adapter.
struct Work<'a> {
    folder: &'a Folder,
    spec: &'a Spec,
    /// BLAKE3 of the data, in hex.
    data: String,
    job: &'a Job,
}

impl Work<'_> {
    fn run(&self, examples: Examples) -> Result<Trained, WorkError> {
        let unusable = |what: String| WorkError::Model { path: self.spec.model.clone(), what };
        let gguf = Gguf::open(&self.spec.model).map_err(|error| unusable(error.to_string()))?;
        let model = Model::open(&gguf).map_err(|error| unusable(error.to_string()))?;
        let mut trained = Trained {
            examples: examples.all.len() as u64,
            left_out: examples.left_out as u64,
            ..Trained::default()
        };
        let mut session = self.session(&model, examples)?;
        trained.resumed_from = session.step();
        let finished = self.steps(&mut session, &mut trained)?;
        if finished {
            trained.adapter = Some(self.finish(&session, &model)?);
        }
        Ok(Trained {
            finished,
            step: session.step(),
            steps: session.steps(),
            skipped: session.skipped(),
            ..trained
        })
    }

    /// As the checkpoint has it, or new.
    fn session<'m>(&self, model: &'m Model<'m>, examples: Examples) -> Result<Session<'m>, WorkError> {
        let state = self.folder.restore(&self.print())?;
        let precision = match self.spec.precision {
            spec::Precision::F32 => Precision::F32,
            spec::Precision::Bf16 => Precision::Bf16,
        };
        let keep = match self.spec.run.keep {
            spec::Keep::Borders => Keep::Borders,
            spec::Keep::Inside => Keep::Inside,
        };
        let mut session = Session::new(model, self.spec.recipe.clone(), examples.all, precision, keep)?;
        match state {
            Some(state) => session = session.restore(&state)?,
            None if self.spec.start.is_empty() => {}
            None => session.start_from(self.start()?)?,
        }
        Ok(session)
    }

    /// The adapter that the job begins with.
    fn start(&self) -> Result<Adapter, WorkError> {
        let path = self.folder.start();
        let has = digest(&path).map_err(|error| FolderError::Io {
            what: "cannot read",
            file: path.clone(),
            error,
        })?;
        if has != self.spec.start {
            return Err(FolderError::OtherJob(path).into());
        }
        let (adapter, meta) = adapter::load(&path).map_err(WorkError::Start)?;
        meta.check_base(&self.spec.digest).map_err(WorkError::Start)?;
        Ok(adapter)
    }

    /// Trains until all steps are done, or until it is told to stop (`false`).
    fn steps(&self, session: &mut Session<'_>, trained: &mut Trained) -> Result<bool, WorkError> {
        let stop = self.job.stop_flag();
        let mut log = self.folder.log_after(session.step())?;
        trained.loss = log.last().map_or(0.0, |last| last.loss.unwrap_or(f32::NAN));
        let mut pace = Pace::new(Duration::from_secs(self.spec.run.checkpoint_s));
        while session.step() < session.steps() {
            let report =
                if stop.load(Ordering::Relaxed) { Report::Stopped } else { session.micro_batch(&stop)? };
            trained.seconds = pace.begun.elapsed().as_secs_f64();
            match report {
                Report::Stopped => {
                    self.save_in_haste(session);
                    return Ok(false);
                }
                Report::Part => pace.micro_batch(),
                Report::Step(report) => {
                    pace.micro_batch();
                    trained.loss = report.loss;
                    trained.tokens += report.tokens;
                    let step = pace.step(session, &report);
                    note(trained, log.add(&step));
                    self.job.event(Event::Step(step));
                }
            }
            if pace.checkpoint_due() {
                note(trained, self.save(session));
                pace.saved();
            }
        }
        Ok(true)
    }

    /// A last checkpoint, if there is something whole to save; else the one before has to do.
    fn save_in_haste(&self, session: &Session<'_>) {
        signals::hurry();
        if session.whole()
            && let Err(error) = self.save(session)
        {
            eprintln!("{error}");
        }
    }

    /// The adapter. What it is made of is safe first, so that a full disk costs no work.
    fn finish(&self, session: &Session<'_>, model: &Model<'_>) -> Result<String, WorkError> {
        self.save(session)?;
        let path = self.folder.adapter();
        let meta = Meta {
            architecture: model.shape.architecture.name().into(),
            base: self.spec.digest.clone(),
            generation: self.spec.generation,
            manifest: self.data.clone(),
            recipe: self.spec.recipe_as_written(),
        };
        adapter::save(session.adapter(), &meta, &path).map_err(|error| match error {
            AdapterError::Io(error) => written(path.clone(), error).into(),
            other => WorkError::Adapter(other),
        })?;
        Ok(path.to_string_lossy().into_owned())
    }

    fn save(&self, session: &Session<'_>) -> Result<(), FolderError> {
        self.folder.save(&self.print(), |out| session.save(out))
    }

    fn print(&self) -> [u8; 32] {
        self.spec.fingerprint(&self.data)
    }
}

/// Training goes on without what could not be written; the next interval tries again.
fn note(trained: &mut Trained, written: Result<(), FolderError>) {
    let Err(error) = written else { return };
    let warning = format!("{error}; training goes on");
    eprintln!("{warning}");
    if trained.warnings.len() < WARNINGS && !trained.warnings.contains(&warning) {
        trained.warnings.push(warning);
    }
}

/// When things happened, for checkpoints in time and an estimate of what is left.
struct Pace {
    interval: Duration,
    begun: Instant,
    saved: Instant,
    /// Of the last micro-batch, and how long the longest took.
    border: Instant,
    longest: Duration,
    step: Instant,
    steps: u32,
}

impl Pace {
    fn new(interval: Duration) -> Pace {
        let now = Instant::now();
        Pace { interval, begun: now, saved: now, border: now, longest: Duration::ZERO, step: now, steps: 0 }
    }

    fn micro_batch(&mut self) {
        self.longest = self.longest.max(self.border.elapsed());
        self.border = Instant::now();
    }

    /// True when the next micro-batch could end after the interval.
    fn checkpoint_due(&self) -> bool {
        self.saved.elapsed() + self.longest >= self.interval
    }

    fn saved(&mut self) {
        self.saved = Instant::now();
        self.border = self.saved;
    }

    fn step(&mut self, session: &Session<'_>, report: &StepReport) -> Step {
        let took = self.step.elapsed();
        self.step = Instant::now();
        self.steps += 1;
        let each = self.begun.elapsed() / self.steps;
        let left = each.as_secs_f64() * session.steps().saturating_sub(session.step()) as f64;
        Step {
            step: session.step(),
            steps: session.steps(),
            loss: report.loss,
            tokens: report.tokens,
            tokens_per_s: (report.tokens as f64 / took.as_secs_f64().max(1e-9)) as f32,
            rate: report.rate,
            norm: report.norm,
            skipped: report.skipped,
            left_s: left.ceil() as u64,
        }
    }
}

/// BLAKE3 of a file, in hex.
pub fn digest(path: &Path) -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    std::io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hasher.finalize().to_hex().to_string())
}
