//! One cycle: from samples to a generation that serves, or to a verdict why not. Every part can be broken off at any
//! moment and goes on where it was: samples and questions are in the store, training has its checkpoint, and the plan
//! of a cycle is a file that is removed when its generation is kept.

use super::distil::distil;
use super::judging::{held, judged};
use super::measure::{Answered, Yardstick};
use super::mixing::chosen;
use super::readable::unreadable;
use super::replay::own;
use super::rows::{Asking, Row};
use super::{Inner, NightError, Outcome, Phase, collect};
use crate::config::{Config, LearnConfig};
use crate::engine::{Engine, adapters};
use crate::gate::Figures;
use crate::learn::{self, Long, Spec, Training};
use crate::protocol::frames::Step;
use crate::protocol::http::ModelEntry;
use crate::samples::{self, Body, Sample};
use familiar_gguf::Header;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// Tokens of a micro-batch, which is a step: many small steps learn more of little data (Schulman et al., "LoRA Without
/// Regret", 2025).
pub(super) const MICRO_BATCH: usize = 512;
/// Tokens of a row at most; longer ones are left out.
const LONGEST: usize = 2048;

/// What a cycle has decided to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Plan {
    /// BLAKE3 of the base model's file.
    pub(super) base: String,
    /// The generation that it starts from.
    pub(super) parent: Option<u32>,
    /// Ids of all samples that the adapter will have seen, its parent's too.
    pub(super) samples: Vec<String>,
    /// Ids of the samples that were held out of it.
    pub(super) held: Vec<String>,
    /// Samples by source.
    pub(super) counts: BTreeMap<String, u64>,
    pub(super) tokens: u64,
    pub(super) begun: i64,
}

/// What is told of a generation beside its card: it holds words of the owner's, and goes when they are forgotten.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Story {
    pub counts: BTreeMap<String, u64>,
    pub tokens: u64,
    pub seconds: i64,
    /// Step and training loss.
    pub loss: Vec<(u64, f32)>,
    pub base: Figures,
    pub before: Option<Figures>,
    pub figures: Figures,
    pub answered_before: Vec<Answered>,
    pub answered: Vec<Answered>,
}

/// The model that is taught, and an engine of its own for the cycle.
pub(super) struct Desk {
    pub(super) model: ModelEntry,
    pub(super) settings: Arc<Config>,
    pub(super) engine: Engine,
    serve: watch::Sender<Arc<Config>>,
}

impl Desk {
    async fn open(inner: &Inner) -> Result<Desk, NightError> {
        let settings = inner.rooms.settings.borrow().clone();
        let model = inner.model(&settings).await?;
        let (serve, config) = watch::channel(with_adapter(&settings, adapters::NONE));
        Ok(Desk { model, settings, engine: inner.rooms.engine.background(config), serve })
    }

    /// From now on the engine has this adapter on the model; `None`: the model as it came.
    pub(super) fn put(&self, adapter: Option<&Path>) {
        let adapter = adapter.map_or(adapters::NONE.into(), |path| path.to_string_lossy().into_owned());
        self.serve.send_replace(with_adapter(&self.settings, &adapter));
    }
}

fn with_adapter(settings: &Config, adapter: &str) -> Arc<Config> {
    let mut config = settings.clone();
    config.model.adapter = adapter.into();
    config.model.parallel = 1;
    Arc::new(config)
}

/// Goes on with the cycle under way, or begins one.
pub(super) async fn run(inner: &Inner) -> Result<Outcome, NightError> {
    let _alone = inner.cycle.lock().await;
    // A trainer that was told to stop a moment ago may still be saving.
    learn::released(&inner.job()).await;
    let desk = Desk::open(inner).await?;
    let done = steps(inner, &desk).await;
    desk.engine.unload().await;
    done
}

async fn steps(inner: &Inner, desk: &Desk) -> Result<Outcome, NightError> {
    inner.tell(Phase::Collecting);
    let collected = collect::collect(&inner.rooms, &desk.settings.learn).await?;
    let plan = match inner.plan()?.filter(|plan| plan.base == desk.model.hash) {
        Some(plan) => plan,
        None => begin(inner, desk).await?,
    };
    let loss = train(inner, desk).await?;
    inner.tell(Phase::Judging);
    let samples = inner.rooms.store.samples().await?;
    let own = own(inner, desk).await?;
    let (now, earlier) = held(&samples, &plan);
    let yardstick = Yardstick { now, earlier, own: &own, secrets: &collected.secrets };
    judged(inner, desk, &plan, loss, &yardstick).await
}

/// Decides what to learn, and makes the training job.
async fn begin(inner: &Inner, desk: &Desk) -> Result<Plan, NightError> {
    let learn = &desk.settings.learn;
    let serving = inner.serving(&desk.model.hash);
    let zero = from_zero(inner, &desk.model.hash, learn);
    let known: BTreeSet<String> = serving.iter().flat_map(|card| card.samples.iter().cloned()).collect();
    let new = inner.new_samples(&desk.model.hash).await?;
    if !inner.enough(new, learn).await? {
        return Err(NightError::TooLittle { new, least: learn.least_samples });
    }
    inner.tell(Phase::Distilling);
    desk.put(None);
    let held_model = desk.engine.hold().await?;
    let asking = Asking::new(&inner.rooms, &desk.engine, &held_model.model);
    let samples = inner.rooms.store.samples().await?;
    let mut left_out =
        unreadable(&desk.engine, samples.iter().filter(|sample| !known.contains(&sample.id))).await?;
    let of_new = samples.iter().filter(|sample| !sample.held && left_out.contains(&sample.id)).count();
    if !inner.enough(new.saturating_sub(of_new), learn).await? {
        return Err(NightError::Unreadable { left_out: of_new, new, model: desk.model.name.clone() });
    }
    left_out.extend(waiting(&samples, &known, &left_out, learn.most_samples as usize));
    distil(&inner.rooms, &asking, &left_out).await?;
    let mut samples = inner.rooms.store.samples().await?;
    samples.retain(|sample| !left_out.contains(&sample.id));
    let own = own(inner, desk).await?;
    let mut learnable: Vec<&Sample> = samples.iter().filter(|sample| !sample.held).collect();
    let superseded = samples::superseded(&learnable);
    learnable.retain(|sample| !superseded.contains(&sample.id));
    let (old, new): (Vec<&Sample>, Vec<&Sample>) =
        learnable.into_iter().partition(|sample| !zero && known.contains(&sample.id));
    let rows = chosen(&asking, learn, &new, &old, &own).await?;
    drop(held_model);
    let parent = serving.filter(|_| !zero).map(|card| card.number);
    let seen: BTreeSet<String> = if zero { BTreeSet::new() } else { known };
    let plan = Plan {
        base: desk.model.hash.clone(),
        parent,
        samples: seen.into_iter().chain(new.iter().map(|sample| sample.id.clone())).collect(),
        held: newly_held(&samples, inner, &desk.model.hash),
        counts: counts(&new),
        tokens: rows.iter().map(|row| row.tokens.len() as u64).sum(),
        begun: super::now(),
    };
    make_job(inner, desk, parent, &rows)?;
    inner.keep_plan(&plan)?;
    Ok(plan)
}

/// What was not learned yet and waits for a later cycle, since one takes `most`: the newest come first.
fn waiting(
    samples: &[Sample],
    known: &BTreeSet<String>,
    left_out: &BTreeSet<String>,
    most: usize,
) -> Vec<String> {
    let new = |sample: &&Sample| {
        sample.lineage.parent.is_none()
            && !sample.held
            && !known.contains(&sample.id)
            && !left_out.contains(&sample.id)
    };
    let mut new: Vec<&Sample> = samples.iter().filter(new).collect();
    new.sort_by_key(|sample| std::cmp::Reverse(sample.at));
    let late: BTreeSet<&str> = new.iter().skip(most).map(|sample| sample.id.as_str()).collect();
    // With the questions that were made of it already.
    let of_late = |sample: &&Sample| {
        late.contains(sample.id.as_str())
            || sample.lineage.parent.as_deref().is_some_and(|id| late.contains(id))
    };
    samples.iter().filter(of_late).map(|sample| sample.id.clone()).collect()
}

/// What was held out and is not among the held-outs of an earlier cycle.
fn newly_held(samples: &[Sample], inner: &Inner, base: &str) -> Vec<String> {
    let before = inner.measured_before(base);
    samples
        .iter()
        .filter(|sample| sample.held && !before.contains(&sample.id))
        .map(|s| s.id.clone())
        .collect()
}

fn counts(samples: &[&Sample]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for sample in samples {
        let source = match sample.body {
            Body::Distilled { .. } => "questions on your texts",
            Body::Own { .. } if sample.lineage.source == "folders" => "pieces of your texts",
            Body::Own { .. } => "things to remember",
            Body::Answer { rejected: Some(_), .. } => "corrections",
            Body::Answer { .. } => "approved answers",
        };
        *counts.entry(source.to_owned()).or_insert(0) += 1;
    }
    counts
}

/// Whether it is time to begin from nothing again.
fn from_zero(inner: &Inner, base: &str, learn: &LearnConfig) -> bool {
    let mut steps = 0;
    let mut at = inner.serving(base);
    while let Some(card) = at {
        let Some(parent) = card.parent else { break };
        steps += 1;
        at = inner.card(parent);
    }
    learn.from_zero > 0 && steps + 1 >= learn.from_zero
}

fn make_job(inner: &Inner, desk: &Desk, parent: Option<u32>, rows: &[Row]) -> Result<(), NightError> {
    let learn = &desk.settings.learn;
    let mut spec = Spec::new(PathBuf::from(&desk.model.path), desk.model.hash.clone());
    spec.long = Long::Skip;
    spec.run.threads = learn.threads as usize;
    let recipe = &mut spec.recipe;
    (recipe.rank, recipe.alpha) = (learn.rank as usize, 2.0 * learn.rank as f32);
    recipe.learning_rate = if learn.learning_rate > 0.0 { learn.learning_rate } else { rate(&desk.model)? };
    // The rows have their rounds in them: what is kept goes on where what is new comes again.
    recipe.epochs = 1;
    let longest = rows.iter().map(|row| row.tokens.len()).max().unwrap_or(0);
    (recipe.tokens, recipe.accumulate) = (longest.clamp(MICRO_BATCH, LONGEST), 1);
    let start = parent.map(|number| inner.adapter(number));
    inner.make_job(spec, rows, start.as_deref())
}

/// The peak of the learning rate by the width of the model (Schulman et al., "LoRA Without Regret", 2025; the exponent is
/// that of their `get_lora_lr` for Llama): narrow models take larger steps.
fn rate(model: &ModelEntry) -> Result<f32, NightError> {
    let path = PathBuf::from(&model.path);
    let header = Header::open(&path).map_err(|error| NightError::Damaged { path, why: error.to_string() })?;
    let width = header.number(&format!("{}.embedding_length", header.architecture())).unwrap_or(2000);
    Ok(5e-4 * (2000.0 / width.max(1) as f32).powf(0.781))
}

/// Trains to the end of the job; gives the training loss by step.
async fn train(inner: &Inner, desk: &Desk) -> Result<Vec<(u64, f32)>, NightError> {
    let job = inner.job();
    if !job.join("adapter.gguf").exists() {
        // The model's memory is the trainer's now.
        desk.engine.unload().await;
        let mut training = Training::start(&job, None).await?;
        inner.tell(Phase::Training { step: 0, steps: 0, left_s: 0 });
        while let Some(Step { step, steps, left_s, .. }) = training.step().await {
            inner.tell(Phase::Training { step, steps, left_s });
        }
        training.finish().await?;
    }
    Ok(inner.losses())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Lineage;

    #[test]
    fn the_newest_are_learned_first_and_the_rest_waits() {
        let sample = |n: i64| {
            let body = Body::Own { heading: String::new(), text: format!("text {n}") };
            Sample::new(Lineage::default(), n, body)
        };
        let mut samples: Vec<Sample> = (0..6).map(sample).collect();
        samples[5].held = true;
        let question = samples::distilled(&samples[1], "What?", "That.").unwrap();
        samples.push(question.clone());
        let (known, unread) =
            (BTreeSet::from([samples[4].id.clone()]), BTreeSet::from([samples[3].id.clone()]));
        let late = waiting(&samples, &known, &unread, 1);
        assert_eq!(late, [&samples[0], &samples[1], &question].map(|sample| sample.id.clone()));
        assert!(waiting(&samples, &known, &unread, 3).is_empty());
    }
}
