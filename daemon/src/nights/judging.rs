//! The verdict on a cycle: the candidate is measured in llama.cpp with its adapter loaded, as it would serve, at one scale after the
//! other, and becomes a generation with all of its figures. What passes is [`crate::gate`]'s to say.

use super::cycle::{Desk, Plan, Story};
use super::measure::{self, Answered, Yardstick};
use super::rows::Asking;
use super::{Inner, NightError, Outcome};
use crate::config::{LearnConfig, PERSONAL};
use crate::eval;
use crate::gate::{Decision, Figures, Thresholds, Verdict, judge, judge_texts};
use crate::generations::{Card, State};
use crate::learn;
use crate::samples::{self, Sample};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a candidate's effect is multiplied with, one after the other, until it loses too little to be refused.
const SCALES: [f32; 3] = [1.0, 0.75, 0.5];

/// What the candidate is measured with: the held-outs of this cycle, and those of earlier ones. Few documents say little, so
/// that earlier ones count as new where there are not enough.
pub(super) fn held<'a>(samples: &'a [Sample], plan: &Plan) -> (Vec<&'a Sample>, Vec<&'a Sample>) {
    const FEW: usize = 5;
    let ids: BTreeSet<&str> = plan.held.iter().map(String::as_str).collect();
    let all = samples.iter().filter(|sample| sample.held);
    let (now, earlier): (Vec<_>, Vec<_>) = all.partition(|sample| ids.contains(sample.id.as_str()));
    let documents: BTreeSet<String> = now.iter().map(|sample| samples::document(sample)).collect();
    if documents.len() >= FEW {
        (now, earlier)
    } else {
        (now.into_iter().chain(earlier).collect(), Vec::new())
    }
}

/// Measures the candidate at one scale after the other, and keeps the last that was looked at as a generation.
pub(super) async fn judged(
    inner: &Inner,
    desk: &Desk,
    plan: &Plan,
    loss: Vec<(u64, f32)>,
    yardstick: &Yardstick<'_>,
) -> Result<Outcome, NightError> {
    let (base, answered_as_it_came) = as_it_came(inner, desk, yardstick).await?;
    let before = match inner.serving(&desk.model.hash) {
        Some(card) => Some(look(inner, desk, &inner.adapter(card.number), yardstick).await?),
        None => None,
    };
    let rivals = Rivals { base: &base, serving: before.as_ref().map(|(figures, _)| figures) };
    let mut last = None;
    for scale in SCALES {
        let judged = candidate(inner, desk, scale, &rivals, yardstick).await?;
        tracing::info!("at scale {scale}: {}", judged.verdict.reason());
        let again = judged.verdict.decision == Decision::Weaken;
        last = Some((scale, judged));
        if !again {
            break;
        }
    }
    let Some((scale, judged)) = last else { return Err(NightError::Nothing) };
    let Judged { file, verdict, figures, answered } = judged;
    let promoted = verdict.decision == Decision::Promote;
    let story = Story {
        counts: plan.counts.clone(),
        tokens: plan.tokens,
        seconds: super::now() - plan.begun,
        loss,
        base,
        answered_before: before.as_ref().map_or(answered_as_it_came, |(_, answered)| answered.clone()),
        before: before.map(|(figures, _)| figures),
        figures,
        answered,
    };
    let card = Card {
        base: desk.model.hash.clone(),
        digest: learn::digest(&file)?,
        parent: plan.parent,
        made: super::now(),
        state: if promoted { State::Promoted } else { State::Rejected },
        scale,
        samples: plan.samples.clone(),
        held: plan.held.clone(),
        verdict: Some(verdict.clone()),
        ..Card::default()
    };
    desk.engine.unload().await;
    let number = inner.keep(&file, card, &story, promoted && desk.settings.model.adapter == PERSONAL).await?;
    Ok(Outcome {
        generation: number,
        accepted: promoted,
        reason: verdict.reason(),
        verdict,
        figures: story.figures,
    })
}

/// What a candidate is held against.
struct Rivals<'a> {
    base: &'a Figures,
    serving: Option<&'a Figures>,
}

/// A candidate at one scale.
struct Judged {
    file: PathBuf,
    verdict: Verdict,
    figures: Figures,
    answered: Vec<Answered>,
}

/// Everything about the model as it came.
async fn as_it_came(
    inner: &Inner,
    desk: &Desk,
    yardstick: &Yardstick<'_>,
) -> Result<(Figures, Vec<Answered>), NightError> {
    desk.put(None);
    let held = desk.engine.hold().await?;
    let asking = Asking::new(&inner.rooms, &desk.engine, &held.model);
    let figures = measure::texts(&desk.engine, yardstick).await?;
    let (figures, answered) = measure::questions(&asking, yardstick, figures).await?;
    let cases = desk.settings.learn.gate.cases as usize;
    let key = [&desk.model.hash, env!("CARGO_PKG_VERSION"), &eval::edition(), &cases.to_string()].join(" ");
    let guard = match inner.guard(&key) {
        Some(guard) => guard,
        None => {
            let guard = measure::guard(&desk.engine, cases).await?;
            inner.keep_guard(&key, &guard)?;
            guard
        }
    };
    Ok((Figures { choices: guard.choices, calls: guard.calls, ..figures }, answered))
}

/// What a generation that serves is held against its successor with: the guard is the base model's business.
async fn look(
    inner: &Inner,
    desk: &Desk,
    adapter: &Path,
    yardstick: &Yardstick<'_>,
) -> Result<(Figures, Vec<Answered>), NightError> {
    desk.put(Some(adapter));
    let held = desk.engine.hold().await?;
    let asking = Asking::new(&inner.rooms, &desk.engine, &held.model);
    let figures = measure::texts(&desk.engine, yardstick).await?;
    measure::questions(&asking, yardstick, figures).await
}

/// The candidate at this scale and what is to be done with it. What is cheap comes first, and ends it if it can.
async fn candidate(
    inner: &Inner,
    desk: &Desk,
    scale: f32,
    rivals: &Rivals<'_>,
    yardstick: &Yardstick<'_>,
) -> Result<Judged, NightError> {
    let (learn, file) = (&desk.settings.learn, inner.candidate(scale)?);
    desk.put(Some(&file));
    let held = desk.engine.hold().await?;
    let figures = measure::texts(&desk.engine, yardstick).await?;
    let verdict = judge_texts(rivals.base, rivals.serving, &figures, &thresholds(learn));
    if verdict.decision != Decision::Promote {
        return Ok(Judged { file, verdict, figures, answered: Vec::new() });
    }
    let asking = Asking::new(&inner.rooms, &desk.engine, &held.model);
    let (figures, answered) = measure::questions(&asking, yardstick, figures).await?;
    let guard = measure::guard(&desk.engine, learn.gate.cases as usize).await?;
    let figures = Figures { choices: guard.choices, calls: guard.calls, ..figures };
    let verdict = judge(rivals.base, rivals.serving, &figures, &thresholds(learn));
    Ok(Judged { file, verdict, figures, answered })
}

pub(super) fn thresholds(learn: &LearnConfig) -> Thresholds {
    let gate = &learn.gate;
    Thresholds {
        divergence: gate.divergence,
        perplexity: gate.perplexity,
        guard_loss: gate.guard_loss,
        earlier_loss: gate.earlier_loss,
        question_loss: gate.question_loss,
    }
}
