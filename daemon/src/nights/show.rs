//! What learning shows of itself: what it is at and why not, generations, and the story that the report tells.

use super::cycle::Story;
use super::{Inner, NightError, Nights, Outcome, Phase};
use crate::generations::{Card, State};
use crate::protocol::learn::{Generation, LearnOutcome, LearnStatus};
use std::collections::BTreeMap;

impl From<Outcome> for LearnOutcome {
    fn from(outcome: Outcome) -> LearnOutcome {
        let Outcome { generation, accepted, reason, verdict, figures } = outcome;
        let eval = serde_json::json!({ "checks": verdict.checks, "figures": figures });
        LearnOutcome { generation, accepted, reason, eval }
    }
}

impl Nights {
    /// What it will do next, and why not now.
    pub async fn status(&self) -> Result<LearnStatus, NightError> {
        let inner = &self.inner;
        let settings = inner.rooms.settings.borrow().clone();
        let learn = &settings.learn;
        let model = inner.model(&settings).await?;
        let samples = inner.rooms.store.samples().await?;
        let mut by_source: BTreeMap<String, u64> = BTreeMap::new();
        for sample in samples.iter().filter(|sample| sample.lineage.parent.is_none()) {
            *by_source.entry(sample.lineage.source.clone()).or_insert(0) += 1;
        }
        let (new, least) = (inner.new_samples(&model.hash).await? as u64, u64::from(learn.least_samples));
        let phase = inner.phase.borrow().clone();
        let paused = inner.paused().await?;
        let (state, says) = match &phase {
            _ if learn.sources.is_empty() => {
                ("off", "Nothing is learned: you have not said yes to a source.".to_owned())
            }
            _ if paused => ("paused", "Learning is paused until you resume it.".into()),
            Phase::Collecting => ("collecting", "It looks for what is new in what it may learn from.".into()),
            Phase::Distilling => ("distilling", "It makes questions of your texts.".into()),
            Phase::Training { step, steps, left_s } => {
                ("training", format!("It trains: step {step} of {steps}, {} left.", minutes(*left_s)))
            }
            Phase::Judging => {
                ("judging", "It measures whether what it learned is better, and lost nothing.".into())
            }
            Phase::Waiting(why) => ("waiting", format!("A cycle is under way and waits: {why}.")),
            Phase::Idle => ("idle", idle(inner, new, least)),
        };
        let (step, steps, left_s) = match phase {
            Phase::Training { step, steps, left_s } => (step, steps, left_s),
            _ => (0, 0, 0),
        };
        Ok(LearnStatus {
            state: state.into(),
            says,
            sources: learn.sources.clone(),
            folders: learn.folders.clone(),
            generation: inner.serving(&model.hash).map(|card| card.number),
            samples: by_source,
            held_out: samples.iter().filter(|s| s.held && s.lineage.parent.is_none()).count() as u64,
            new,
            least,
            step,
            steps,
            left_s,
            last: inner.last.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone(),
        })
    }

    /// The generations of the model in use, the newest first.
    pub async fn history(&self) -> Result<Vec<Generation>, NightError> {
        let inner = &self.inner;
        let settings = inner.rooms.settings.borrow().clone();
        let model = inner.model(&settings).await?;
        let serving = inner.serving(&model.hash).map(|card| card.number);
        let cards: Vec<Card> = inner.generations().of(&model.hash).rev().cloned().collect();
        let shown = |card: Card| {
            let story = inner.story(card.number).unwrap_or_default();
            let file = card.unfit().is_none().then(|| inner.adapter(card.number));
            let file = file.map(|file| file.to_string_lossy().into_owned());
            Generation { file, ..generation(card, &story, serving) }
        };
        Ok(cards.into_iter().map(shown).collect())
    }
}

fn idle(inner: &Inner, new: u64, least: u64) -> String {
    let hindrance = inner.hindrance.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
    match (hindrance, new >= least) {
        (_, false) => format!("{new} new samples are there; a cycle begins with {least}."),
        (Some(why), true) => format!("{new} new samples wait to be learned; not now: {why}."),
        (None, true) => format!("{new} new samples wait to be learned in the next quiet minutes."),
    }
}

fn generation(card: Card, story: &Story, serving: Option<u32>) -> Generation {
    let reason = card.verdict.as_ref().map(|verdict| verdict.reason()).unwrap_or_default();
    let verdict = serde_json::json!({
        "checks": card.verdict.as_ref().map(|verdict| &verdict.checks),
        "figures": story.figures,
    });
    Generation {
        number: card.number,
        made: card.made,
        state: state_name(card.state).into(),
        serving: serving == Some(card.number),
        parent: card.parent,
        scale: card.scale,
        base: card.base,
        digest: card.digest,
        file: None,
        samples: card.samples.len() as u64,
        counts: story.counts.clone(),
        tokens: story.tokens,
        seconds: story.seconds,
        reason,
        verdict,
    }
}

pub(super) fn state_name(state: State) -> &'static str {
    match state {
        State::Candidate => "candidate",
        State::Promoted => "promoted",
        State::Rejected => "rejected",
        State::Retired => "retired",
        State::Pruned => "pruned",
    }
}

fn minutes(seconds: u64) -> String {
    match seconds {
        0..=89 => format!("{seconds} s"),
        90..=5399 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
