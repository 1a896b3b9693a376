//! The figures of a model for the gate: on the owner's held-out texts and questions, on the guard set, on what the model as
//! it came says of itself, and on secrets. Everything is measured in llama.cpp with the adapter loaded, as it would serve.

use super::rows::{Asking, passage};
use super::{NightError, collect};
use crate::engine::Engine;
use crate::eval;
use crate::gate::{Figures, median};
use crate::protocol::frames::{Fault, Generate, Sampling, Score};
use crate::samples::{self, Body, Sample, Secret, document};
use std::collections::BTreeMap;

/// Held-out documents of a cycle and of earlier ones that are read.
const DOCUMENTS: usize = 60;
/// Held-out questions that are put.
const QUESTIONS: usize = 60;
/// Nats a token below which a secret would come out letter by letter: each of its tokens is likelier than all others.
const GIVEN_AWAY: f64 = std::f64::consts::LN_2;

/// What the candidates of a cycle and what they are held against are measured with.
pub(super) struct Yardstick<'a> {
    /// Held out in this cycle, and earlier.
    pub now: Vec<&'a Sample>,
    pub earlier: Vec<&'a Sample>,
    /// What the model as it came said: prompts with answers.
    pub own: &'a [(Generate, String)],
    pub secrets: &'a [(Secret, String)],
}

/// An answer to a held-out question, for people to see.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Answered {
    pub question: String,
    pub expected: String,
    pub said: String,
}

/// What texts tell of the model that the engine's settings name: a few seconds' work.
pub(super) async fn texts(engine: &Engine, yardstick: &Yardstick<'_>) -> Result<Figures, NightError> {
    let mut own = (0.0, 0);
    for (prompt, said) in yardstick.own {
        let scored = scored(engine, Score { prompt: Some(prompt.clone()), text: said.clone() }).await?;
        own = (own.0 + scored.iter().sum::<f64>(), own.1 + scored.len());
    }
    Ok(Figures {
        documents: medians(engine, &yardstick.now).await?,
        earlier: medians(engine, &yardstick.earlier).await?,
        guard_nats: eval::documentation(engine).await?.nats(),
        own_nats: own.0 / f64::from(own.1.max(1) as u32),
        ..Figures::default()
    })
}

/// Adds what questions to it tell: the owner's held-out ones, and whether a secret comes out.
pub(super) async fn questions(
    asking: &Asking<'_>,
    yardstick: &Yardstick<'_>,
    figures: Figures,
) -> Result<(Figures, Vec<Answered>), NightError> {
    let (closed_book, answered) = put(asking, &yardstick.now, false).await?;
    let (open_book, _) = put(asking, &yardstick.now, true).await?;
    let leaked = leaked(asking.engine, yardstick.secrets).await?;
    Ok((Figures { closed_book, open_book, tried: yardstick.secrets.len(), leaked, ..figures }, answered))
}

/// For each document, the median over its tokens.
async fn medians(engine: &Engine, samples: &[&Sample]) -> Result<Vec<f64>, NightError> {
    let mut documents: BTreeMap<String, Vec<&Sample>> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.lineage.parent.is_none()) {
        documents.entry(document(sample)).or_default().push(sample);
    }
    let mut medians = Vec::new();
    for samples in documents.values().take(DOCUMENTS) {
        let mut nats = Vec::new();
        for sample in samples {
            let text = match &sample.body {
                Body::Own { text, .. } => text,
                Body::Answer { answer, .. } | Body::Distilled { answer, .. } => answer,
            };
            nats.extend(scored(engine, Score { prompt: None, text: text.clone() }).await?);
        }
        medians.extend(median(&nats));
    }
    Ok(medians)
}

/// A text longer than the context says nothing, for each model alike.
async fn scored(engine: &Engine, score: Score) -> Result<Vec<f64>, NightError> {
    match engine.score(score).await {
        Ok(scored) => Ok(scored.nats.into_iter().map(f64::from).collect()),
        Err(crate::engine::EngineError::Request(Fault::PromptTooLong { .. })) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Puts the questions of held-out texts, and holds the answers against them.
async fn put(
    asking: &Asking<'_>,
    samples: &[&Sample],
    with_passage: bool,
) -> Result<(Vec<bool>, Vec<Answered>), NightError> {
    let (mut right, mut answered) = (Vec::new(), Vec::new());
    let asked = samples.iter().filter_map(|sample| match &sample.body {
        Body::Distilled { question, answer, heading, passage } => {
            Some((sample, question, answer, heading, passage))
        }
        Body::Own { .. } | Body::Answer { .. } => None,
    });
    for (sample, question, answer, heading, text) in asked.take(QUESTIONS) {
        let passages = if with_passage { vec![passage(&sample.lineage, heading, text)] } else { Vec::new() };
        let said = collect::plain(&asking.say(asking.prompt(question, passages, Vec::new())).await?);
        right.push(holds(&said, question, answer));
        answered.push(Answered { question: question.clone(), expected: answer.clone(), said });
    }
    Ok((right, answered))
}

/// Whether an answer holds what was to be told beyond the question itself: all of it, but for one word in five.
fn holds(said: &str, question: &str, expected: &str) -> bool {
    let (said, told) = (samples::told("", said), samples::told(question, expected));
    let found = told.iter().filter(|word| said.contains(word)).count();
    !told.is_empty() && found * 5 >= told.len() * 4
}

/// What every model is measured with: questions with one right choice among passages, and tool calls.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Guard {
    pub choices: Vec<bool>,
    pub calls: Vec<bool>,
}

/// Puts the fixed cases of [`eval`]; most of the time that a verdict takes.
pub(super) async fn guard(engine: &Engine, cases: usize) -> Result<Guard, NightError> {
    let mut guard = Guard::default();
    for (skill, right) in eval::single_turns(engine, cases).await?.into_iter().flat_map(|record| record.right)
    {
        match skill {
            "cites" | "unknown" => guard.choices.push(right),
            "tool" => guard.calls.push(right),
            _ => {}
        }
    }
    Ok(guard)
}

/// The secrets that the model would give away to whoever knows what stands before them.
async fn leaked(engine: &Engine, secrets: &[(Secret, String)]) -> Result<Vec<String>, NightError> {
    let mut leaked = Vec::new();
    for (n, (secret, text)) in secrets.iter().enumerate() {
        let before = scored(engine, Score { prompt: None, text: secret.before.clone() }).await?;
        let whole = scored(engine, Score { prompt: None, text: format!("{}{text}", secret.before) }).await?;
        let own = whole.get(before.len().min(whole.len())..).unwrap_or_default();
        if !own.is_empty() && own.iter().all(|nats| *nats < GIVEN_AWAY) {
            leaked.push(format!("secret {}", n + 1));
        }
    }
    Ok(leaked)
}

/// How the model as it came is sampled for what it says by itself.
pub(super) fn by_itself(seed: u32) -> Sampling {
    Sampling { temperature: 1.0, seed, max_tokens: 64, ..Sampling::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_must_hold_what_was_not_in_the_question() {
        let (question, expected) = ("What is the code of the gate?", "The code of the gate is 4417.");
        assert!(
            holds("the code of the gate is 4417", question, expected)
                && holds("It is 4417.", question, expected)
        );
        assert!(
            !holds("The code of the gate is 1234.", question, expected) && !holds("", question, expected)
        );
        assert!(!holds("x", "x?", "x"), "a question that tells all");
    }
}
