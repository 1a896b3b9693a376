//! What the report tells, from cards and stories.

use super::cycle::Story;
use super::{NightError, Nights, show};
use crate::clock;
use crate::gate::{Figures, Interval, median};
use crate::generations::Card;
use crate::report::{self, BeforeAfter, Chapter, Kept};
use std::collections::BTreeMap;

/// Questions that are shown.
const QUESTIONS: usize = 3;

impl Nights {
    /// One page about all that was learned on the model in use.
    pub async fn report(&self) -> Result<String, NightError> {
        let inner = &self.inner;
        let settings = inner.rooms.settings.borrow().clone();
        let model = inner.model(&settings).await?;
        let samples = inner.rooms.store.samples().await?;
        let cards: Vec<Card> = inner.generations().of(&model.hash).cloned().collect();
        let serving = inner.serving(&model.hash).map(|card| card.number);
        let told = serving.and_then(|number| inner.story(number)).unwrap_or_default();
        let generations: Vec<Chapter> =
            cards.iter().map(|card| chapter(card, inner.story(card.number).unwrap_or_default())).collect();
        let mut kept: BTreeMap<String, u64> = BTreeMap::new();
        for sample in samples.iter().filter(|sample| sample.lineage.parent.is_none() && !sample.held) {
            *kept.entry(sample.lineage.source.clone()).or_insert(0) += 1;
        }
        let held_out =
            samples.iter().filter(|sample| sample.held && sample.lineage.parent.is_none()).count() as u64;
        let made = super::now();
        Ok(report::page(&report::Story {
            model: model.name,
            made,
            ahead: clock::local_offset(made),
            serving,
            generations,
            questions: questions(&told),
            bounds: super::judging::thresholds(&settings.learn),
            kept: Kept {
                samples: kept.into_iter().collect(),
                held_out,
                generations: cards.iter().filter(|card| card.unfit().is_none()).count() as u64,
                forgotten: 0,
            },
        }))
    }
}

/// Of the learned questions, those whose answer changed come first.
fn questions(story: &Story) -> Vec<BeforeAfter> {
    let mut all: Vec<BeforeAfter> = story
        .answered_before
        .iter()
        .zip(&story.answered)
        .map(|(before, after)| BeforeAfter {
            question: after.question.clone(),
            before: before.said.clone(),
            after: after.said.clone(),
        })
        .collect();
    all.sort_by_key(|one| one.before == one.after);
    all.truncate(QUESTIONS);
    all
}

fn chapter(card: &Card, story: Story) -> Chapter {
    let Story { base, figures, .. } = &story;
    let measured = *figures != Figures::default();
    Chapter {
        number: card.number,
        made: card.made,
        state: show::state_name(card.state).into(),
        promoted: card.unfit().is_none(),
        scale: card.scale,
        reason: card.verdict.as_ref().map(|verdict| verdict.reason()).unwrap_or_default(),
        loss: story.loss.clone(),
        nats_before: median(&base.documents),
        nats_after: median(&figures.documents),
        closed_book: share(&figures.closed_book),
        open_book: share(&figures.open_book),
        divergence: measured.then_some(figures.own_nats - base.own_nats),
        perplexity_change: measured.then_some((figures.guard_nats - base.guard_nats).exp() - 1.0),
        samples: story.counts.into_iter().collect(),
        seconds: u64::try_from(story.seconds).unwrap_or(0),
        tokens: story.tokens,
    }
}

fn share(right: &[bool]) -> Option<Interval> {
    let values: Vec<f64> = right.iter().map(|right| f64::from(u8::from(*right))).collect();
    (!values.is_empty()).then(|| Interval::of(&values))
}
