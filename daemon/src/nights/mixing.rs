//! The rows of a cycle's training job: what is new whole, what is of earlier days and what the model says by itself, each in the
//! share of tokens that the settings give it. It reads samples and asks the engine for tokens; it never trains and writes nothing.

use super::NightError;
use super::cycle::MICRO_BATCH;
use super::replay::{general, spread};
use super::rows::{self, Asking, Row};
use crate::config::LearnConfig;
use crate::protocol::frames::Generate;
use crate::samples::{Body, Sample, Shares, mix};
use crate::types::Passage;

/// Samples of earlier days that a cycle looks at, at most.
const EARLIER: usize = 2000;

/// The rows of the job, in the shares that the settings ask for. `own`: prompts, and what the model as it came says to them.
pub(super) async fn chosen(
    asking: &Asking<'_>,
    learn: &LearnConfig,
    new: &[&Sample],
    old: &[&Sample],
    own: &[(Generate, String)],
) -> Result<Vec<Row>, NightError> {
    let (mut distilled, mut style) = (Vec::new(), Vec::new());
    for sample in new {
        let rows = rows::of_sample(asking, sample).await?;
        if matches!(sample.body, Body::Own { .. }) { style.extend(rows) } else { distilled.extend(rows) }
    }
    let distilled = taking_turns(distilled, with_passages(asking, new).await?);
    let kinds = [distilled, style, earlier(asking, old).await?, replay(asking, learn.kl, own).await?];
    let sizes = kinds.each_ref().map(|rows| rows.iter().map(|row| row.tokens.len()).collect::<Vec<_>>());
    let shares = Shares {
        distilled: learn.distilled,
        style: learn.style,
        earlier: learn.earlier,
        replay: learn.replay,
    };
    let picked = |rounds: usize| mix(&sizes[0], &sizes[1], &sizes[2], &sizes[3], shares, rounds);
    let tokens_of = |picks: &[Vec<usize>; 4]| {
        picks.iter().zip(&sizes).flat_map(|(picks, sizes)| picks.iter().map(|&at| sizes[at])).sum()
    };
    let picks = picked(rounds(tokens_of(&picked(1)), learn));
    let rows = picks.iter().zip(&kinds).flat_map(|(picks, rows)| picks.iter().map(|&at| rows[at].clone()));
    Ok(rows.collect())
}

/// Rows of earlier days, from all of them alike: questions and answers as they are, and of each text one of the ways to learn it.
async fn earlier(asking: &Asking<'_>, old: &[&Sample]) -> Result<Vec<Row>, NightError> {
    let mut kept = Vec::new();
    for (n, sample) in spread(old).take(EARLIER).enumerate() {
        let rows = rows::of_sample(asking, sample).await?;
        match sample.body {
            Body::Own { .. } => kept.extend(rows.into_iter().cycle().nth(n % 3)),
            Body::Distilled { .. } | Body::Answer { .. } => kept.extend(rows),
        }
    }
    Ok(kept)
}

/// Rows that hold the model to what it makes of text that is nobody's, and of questions of daily use.
async fn replay(asking: &Asking<'_>, kl: f32, own: &[(Generate, String)]) -> Result<Vec<Row>, NightError> {
    let (mut read, mut said) = (Vec::new(), Vec::new());
    for text in general() {
        read.push(asking.held_to(&text, kl).await?);
    }
    for (prompt, answer) in own {
        said.push(asking.replayed(prompt.clone(), answer, kl).await?);
    }
    Ok(taking_turns(read, said))
}

/// Every so many questions, one is learned with its passage among others too, to be answered from there and cited: what is
/// learned by heart must not take the place of reading (RAFT: Zhang et al. 2024, arXiv 2403.10131). In some of them nothing
/// tells, and that is to be said: whoever always finds an answer forgets how to have none.
async fn with_passages(asking: &Asking<'_>, samples: &[&Sample]) -> Result<Vec<Row>, NightError> {
    const EVERY: usize = 3;
    const UNTOLD_EVERY: usize = 3;
    let parts: Vec<_> = samples
        .iter()
        .filter_map(|sample| match &sample.body {
            Body::Distilled { question, answer, heading, passage } => {
                Some((question, answer, rows::passage(&sample.lineage, heading, passage)))
            }
            Body::Own { .. } | Body::Answer { .. } => None,
        })
        .collect();
    let mut rows = Vec::new();
    for (n, (question, answer, passage)) in parts.iter().enumerate().step_by(EVERY) {
        let mut passages: Vec<Passage> =
            (1..4).map(|step| parts[(n + step * parts.len() / 4) % parts.len()].2.clone()).collect();
        passages.retain(|other| other.text != passage.text && !other.text.contains(answer.as_str()));
        let turn = n / EVERY;
        if turn % UNTOLD_EVERY == UNTOLD_EVERY - 1 && !passages.is_empty() {
            rows.push(asking.untold(question, passages).await?);
            continue;
        }
        let place = turn % (passages.len() + 1);
        passages.insert(place, passage.clone());
        rows.push(asking.cited(question, passages, place + 1, answer).await?);
    }
    Ok(rows)
}

fn taking_turns(one: Vec<Row>, other: Vec<Row>) -> Vec<Row> {
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut all = Vec::new();
    loop {
        match (one.next(), other.next()) {
            (None, None) => return all,
            (a, b) => all.extend(a.into_iter().chain(b)),
        }
    }
}

/// Times that each new row is learned, where a round has so many tokens.
fn rounds(tokens: usize, learn: &LearnConfig) -> usize {
    /// Beyond this a row is only learned by heart.
    const MOST: usize = 20;
    let steps = tokens.div_ceil(MICRO_BATCH).max(1);
    (learn.epochs as usize).max((learn.least_steps as usize).div_ceil(steps).min(MOST))
}
