//! Learning by itself: brings samples in from what the owner said yes to, makes questions of them, trains, has the
//! candidate judged and puts it in use; all of it when nobody is waiting for an answer. It joins the rooms that know
//! how; it decides when, keeps the order, and never learns from a source that the settings do not name.

mod collect;
mod cycle;
mod distil;
mod files;
mod forget;
mod judging;
mod live;
mod measure;
mod mixing;
mod readable;
mod received;
mod replay;
mod rows;
mod shared;
mod show;
mod story;

pub use forget::{Forgotten, What};

use crate::config::{Config, PERSONAL};
use crate::engine::{Engine, EngineError, adapters};
use crate::eval::EvalError;
use crate::gate::{Figures, Verdict};
use crate::generations::{Card, Generations, GenerationsError};
use crate::idle::{Hindrance, Presence};
use crate::index::{Index, IndexError};
use crate::learn::{LearnError, MakeError};
use crate::protocol::http::{ErrorBody, ErrorCode, ModelEntry};
use crate::sharing::{SharingError, Shelf};
use crate::store::{Store, StoreError};
use crate::tools::Tools;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, oneshot, watch};

/// The note in the store that asks for a cycle after something was forgotten.
const REBUILD: &str = "learn.rebuild";
/// The note by which learning is paused until the owner says otherwise.
const PAUSED: &str = "learn.paused";

/// Why nothing was learned.
#[derive(Debug, thiserror::Error)]
pub enum NightError {
    #[error(
        "there is nothing to learn from: say yes to a source first, `familiar learn sources conversations corrections` or `familiar learn sources folders --folder PATH`"
    )]
    NoSource,
    #[error(
        "there are {new} new samples and a cycle begins with {least} (`learn.least_samples` in the settings)"
    )]
    TooLittle { new: usize, least: u32 },
    #[error(
        "of {new} new samples {model} cannot read {left_out}: they are in another language than its own, or damaged; what is left is too little for a cycle"
    )]
    Unreadable { left_out: usize, new: usize, model: String },
    #[error("a cycle is under way already; `familiar learn status` shows it")]
    Busy,
    #[error("learning is paused; `familiar learn resume` lets it go on")]
    Paused,
    #[error("the daemon is stopping; the cycle goes on when it runs again")]
    Stopping,
    #[error("there was no candidate to judge")]
    Nothing,
    #[error("no generation serves on `{0}`; there is nothing to go back from")]
    NoGeneration(String),
    #[error("{}: {error}", .path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{}: {why}", .path.display())]
    Damaged { path: PathBuf, why: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Eval(#[from] EvalError),
    #[error(transparent)]
    Learn(#[from] LearnError),
    #[error(transparent)]
    Make(#[from] MakeError),
    #[error(transparent)]
    Generations(#[from] GenerationsError),
    #[error(transparent)]
    Sharing(#[from] SharingError),
    #[error("the adapter could not be read: {0}")]
    Adapter(#[from] io::Error),
    #[error("the adapter could not be made weaker: {0}")]
    Weaken(String),
}

impl NightError {
    /// The error as every door shows it.
    pub fn body(&self) -> ErrorBody {
        let code = match self {
            NightError::NoSource | NightError::TooLittle { .. } | NightError::Unreadable { .. } => {
                ErrorCode::Usage
            }
            NightError::Busy | NightError::Paused | NightError::Stopping => ErrorCode::Busy,
            NightError::NoGeneration(_) | NightError::Generations(GenerationsError::NotFound(_)) => {
                ErrorCode::NotFound
            }
            NightError::Generations(_) => ErrorCode::Usage,
            NightError::Sharing(SharingError::NotFound(_) | SharingError::NoManifest(_)) => {
                ErrorCode::NotFound
            }
            NightError::Sharing(SharingError::Signature(_) | SharingError::Changed { .. }) => {
                ErrorCode::Denied
            }
            NightError::Sharing(SharingError::Io { .. } | SharingError::Record { .. }) => ErrorCode::Failed,
            NightError::Sharing(_) => ErrorCode::Usage,
            NightError::Engine(error) => return error.body(),
            NightError::Learn(error) => return error.body(),
            _ => ErrorCode::Failed,
        };
        ErrorBody { code, message: self.to_string() }
    }
}

/// The rooms that learning needs.
pub struct Rooms {
    pub store: Store,
    pub index: Index,
    /// The engine that answers.
    pub engine: Engine,
    pub tools: Tools,
    /// What the owner set.
    pub settings: watch::Receiver<Arc<Config>>,
    pub presence: Presence,
    /// Adapters of others.
    pub shelf: Shelf,
}

/// What the cycle is at.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Phase {
    #[default]
    Idle,
    Collecting,
    Distilling,
    Training {
        step: u64,
        steps: u64,
        left_s: u64,
    },
    Judging,
    /// A cycle is under way and waits.
    Waiting(String),
}

/// How a cycle ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub generation: u32,
    pub accepted: bool,
    pub reason: String,
    pub verdict: Verdict,
    pub figures: Figures,
}

type Answer = oneshot::Sender<Result<Outcome, NightError>>;

/// Learning; cheap to clone.
#[derive(Clone)]
pub struct Nights {
    inner: Arc<Inner>,
    orders: mpsc::Sender<Answer>,
}

struct Inner {
    rooms: Rooms,
    /// Plans, replay, stories and the job under way.
    folder: PathBuf,
    generations: Mutex<Generations>,
    /// The settings as the engine that answers sees them: with the generation that serves in place of `personal`.
    effective: watch::Sender<Arc<Config>>,
    phase: watch::Sender<Phase>,
    /// Held by the cycle as long as it works, and by whoever must not meet it.
    cycle: tokio::sync::Mutex<()>,
    /// Why it does not begin by itself, as of the last look.
    hindrance: Mutex<Option<Hindrance>>,
    /// How the last cycle ended, for whoever asks.
    last: Mutex<Option<String>>,
    /// The same to its figures, if it came to a verdict.
    outcome: watch::Sender<Option<Outcome>>,
}

impl Nights {
    /// What the engine is given until it is known which generation serves.
    pub fn before(settings: &Config) -> Arc<Config> {
        let mut config = settings.clone();
        if config.model.adapter == PERSONAL {
            config.model.adapter = adapters::NONE.into();
        }
        Arc::new(config)
    }

    /// Begins to look for quiet hours. `effective` is what the engine that answers is given.
    pub async fn begin(
        rooms: Rooms,
        folder: PathBuf,
        generations: PathBuf,
        effective: watch::Sender<Arc<Config>>,
        stop: watch::Receiver<bool>,
    ) -> Result<Nights, NightError> {
        files::make_folder(&folder)?;
        let generations = Mutex::new(Generations::open(generations)?);
        let (orders, taken) = mpsc::channel(1);
        let inner = Arc::new(Inner {
            rooms,
            folder,
            generations,
            effective,
            phase: watch::Sender::new(Phase::Idle),
            cycle: tokio::sync::Mutex::default(),
            hindrance: Mutex::default(),
            last: Mutex::default(),
            outcome: watch::Sender::default(),
        });
        inner.follow().await?;
        tokio::spawn(live::nights(inner.clone(), taken, stop));
        Ok(Nights { inner, orders })
    }

    /// Runs a cycle now, without waiting for quiet hours, and tells how it ended. It still gives way to questions. Whoever
    /// asked may leave; the cycle goes on.
    pub async fn now(&self) -> Result<Outcome, NightError> {
        let settings = self.inner.rooms.settings.borrow().clone();
        if settings.learn.sources.is_empty() {
            return Err(NightError::NoSource);
        }
        if self.inner.paused().await? {
            return Err(NightError::Paused);
        }
        if *self.inner.phase.borrow() != Phase::Idle {
            return Err(NightError::Busy);
        }
        let (answer, ended) = oneshot::channel();
        self.orders.try_send(answer).map_err(|_| NightError::Busy)?;
        ended.await.map_err(|_| NightError::Stopping)?
    }

    /// Puts an earlier generation in use, at once: the one before, or `number`; 0 is the model as it came.
    pub async fn rollback(&self, number: Option<u32>) -> Result<Option<u32>, NightError> {
        self.inner.rollback(number).await
    }

    /// Learning stops after the step under way, and begins no more, until it is resumed.
    pub async fn pause(&self, paused: bool) -> Result<(), NightError> {
        self.inner.rooms.store.set_note(PAUSED, if paused { "yes" } else { "" }).await?;
        // Whoever looks after the cycle looks again.
        self.inner.phase.send_modify(|_| ());
        Ok(())
    }

    /// The owner's settings changed: from the next request on the engine has what they name.
    pub async fn settings_changed(&self) -> Result<(), NightError> {
        self.inner.follow_with(false).await
    }

    /// Something was said of an answer: goes back a generation when its answers are rejected more often than before.
    pub async fn heard(&self) -> Result<(), NightError> {
        self.inner.heard().await
    }

    /// What the cycle is at, as it changes.
    pub fn phases(&self) -> watch::Receiver<Phase> {
        self.inner.phase.subscribe()
    }

    /// How the last cycle ended, as each ends.
    pub fn outcomes(&self) -> watch::Receiver<Option<Outcome>> {
        self.inner.outcome.subscribe()
    }

    /// Who is served, so that learning gives way.
    pub fn presence(&self) -> &Presence {
        &self.inner.rooms.presence
    }
}

impl Inner {
    fn tell(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    async fn paused(&self) -> Result<bool, NightError> {
        self.noted(PAUSED).await
    }

    /// Whether a note of this name is set; an empty one is not.
    async fn noted(&self, key: &str) -> Result<bool, NightError> {
        Ok(self.rooms.store.note(key).await?.is_some_and(|value| !value.is_empty()))
    }

    fn generations(&self) -> MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn serving(&self, base: &str) -> Option<Card> {
        self.generations().serving(base).cloned()
    }

    fn card(&self, number: u32) -> Option<Card> {
        self.generations().get(number).ok().cloned()
    }

    fn adapter(&self, number: u32) -> PathBuf {
        self.generations().adapter(number)
    }

    /// The model that the settings name.
    async fn model(&self, settings: &Config) -> Result<ModelEntry, NightError> {
        let (models, name) = (self.rooms.engine.models().clone(), settings.model.name.clone());
        let found = tokio::task::spawn_blocking(move || models.info(&name, ""));
        let found = found.await.map_err(|_| EngineError::Confused)?;
        Ok(found.map_err(EngineError::from)?)
    }

    /// Works out which adapter serves, loads it beside what answers now, and then lets new requests go there. Requests
    /// under way end where they began, and no state is shared: each adapter has a process of its own.
    async fn follow(&self) -> Result<(), NightError> {
        // Only what is loaded already is worth loading beforehand.
        self.follow_with(self.rooms.engine.status().0.loaded).await
    }

    async fn follow_with(&self, loading: bool) -> Result<(), NightError> {
        let settings = self.rooms.settings.borrow().clone();
        let effective = self.effective_of(&settings).await?;
        if *self.effective.borrow() == effective {
            return Ok(());
        }
        if loading {
            self.rooms.engine.prepare(effective.clone()).await?;
        }
        let before = self.effective.send_replace(effective);
        self.sweep_stacks(&before.model.adapter);
        Ok(())
    }

    async fn effective_of(&self, settings: &Arc<Config>) -> Result<Arc<Config>, NightError> {
        if settings.model.adapter != PERSONAL {
            return Ok(settings.clone());
        }
        // The model's digest is only needed where there is something to find by it.
        let any = self.generations().any() || !self.rooms.shelf.is_empty();
        let adapter = match any {
            true => {
                // A model that is not there is told by whoever asks it, not by its adapter.
                match self.model(settings).await {
                    Ok(model) => self.stacked(&model.hash, self.serving(&model.hash)).await,
                    Err(_) => None,
                }
            }
            false => None,
        };
        let mut config = Config::clone(settings);
        config.model.adapter =
            adapter.map_or(adapters::NONE.into(), |path| path.to_string_lossy().into_owned());
        Ok(Arc::new(config))
    }

    async fn heard(&self) -> Result<(), NightError> {
        let settings = self.rooms.settings.borrow().clone();
        if settings.model.adapter != PERSONAL {
            return Ok(());
        }
        let Some(card) = self.serving(&self.model(&settings).await?.hash) else { return Ok(()) };
        let before = self.generations().before(&card.base);
        let now = self.rooms.store.reception(self.shown(&card.base, Some(card.number))).await?;
        let then = self.rooms.store.reception(self.shown(&card.base, before)).await?;
        if received::worse(now, then) {
            tracing::warn!(
                "generation {}: {} of {} answers were rejected; it is taken back",
                card.number,
                now.bad,
                now.answers
            );
            *self.last.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(format!(
                "generation {} was taken back: you rejected {} of its {} answers",
                card.number, now.bad, now.answers
            ));
            self.rollback(None).await?;
        }
        Ok(())
    }

    async fn rollback(&self, number: Option<u32>) -> Result<Option<u32>, NightError> {
        let settings = self.rooms.settings.borrow().clone();
        let model = self.model(&settings).await?;
        let to = {
            let mut generations = self.generations();
            let to = match number {
                Some(0) => None,
                Some(number) => Some(number),
                None if generations.serving(&model.hash).is_none() => {
                    return Err(NightError::NoGeneration(model.name));
                }
                None => generations.before(&model.hash),
            };
            match to {
                Some(number) => generations.serve(number, &model.hash)?,
                None => generations.serve_none(&model.hash)?,
            }
            to
        };
        self.follow().await?;
        Ok(to)
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
