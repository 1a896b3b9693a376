//! Samples as rows of a training job, in the very prompts that the agent makes and the very tokens that the engine reads.

use super::{NightError, Rooms};
use crate::agent::prompt::UNTOLD;
use crate::agent::{Action, Agent, Input, Profile};
use crate::engine::{Engine, Output};
use crate::protocol::frames::{Generate, ModelInfo, Score, Tokens};
use crate::samples::{Body, Lineage, Sample};
use crate::types::{Label, Message, Passage, Role, ToolChoice, ToolSpec};
use serde::Serialize;

/// Tokens of an answer that the model gives for replay or for a look at it.
const ANSWER: u32 = 96;

/// Weight of a prompt's tokens where the model is held to what it was.
const PROMPT: f32 = 0.2;

/// Weight of a rejected answer's tokens.
const AVOID: f32 = 0.5;

/// One line of a job's data.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    pub tokens: Vec<u32>,
    pub weights: Vec<f32>,
    #[serde(skip_serializing_if = "is_zero")]
    pub kl: f32,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub avoid: bool,
}

fn is_zero(kl: &f32) -> bool {
    *kl == 0.0
}

impl Row {
    /// The text after its prompt is learned, and that it ends.
    fn learned(tokens: Tokens) -> Row {
        Row::weighted(tokens, 0.0, 0.0)
    }

    /// The model is held to what it made of all of this; of the prompt too, since how it reads must stay as well.
    fn held(tokens: Tokens, kl: f32) -> Row {
        Row::weighted(tokens, PROMPT, kl)
    }

    fn weighted(tokens: Tokens, prompt_weight: f32, kl: f32) -> Row {
        let Tokens { prompt, text, end } = tokens;
        let learned = text.len() + usize::from(end.is_some());
        let mut weights = vec![prompt_weight; prompt.len()];
        weights.extend(std::iter::repeat_n(1.0, learned));
        Row { tokens: prompt.into_iter().chain(text).chain(end).collect(), weights, kl, avoid: false }
    }

    /// A rejected answer beside the right one to the same prompt: from where they part, its words are to become less likely. `None`
    /// where they do not part.
    fn avoided(self, right: &Row) -> Option<Row> {
        let part = self.tokens.iter().zip(&right.tokens).position(|(wrong, right)| wrong != right)?;
        let weights = (0..self.tokens.len()).map(|at| if at < part { 0.0 } else { AVOID }).collect();
        Some(Row { weights, avoid: true, ..self })
    }
}

/// How a model is asked, as in daily use.
pub(super) struct Asking<'a> {
    pub engine: &'a Engine,
    pub profile: Profile,
}

impl<'a> Asking<'a> {
    pub fn new(rooms: &Rooms, engine: &'a Engine, model: &ModelInfo) -> Asking<'a> {
        let ask = rooms.settings.borrow().ask.clone();
        let profile = Profile { max_tokens: ANSWER, temperature: 0.0, ..Profile::new(&ask, model) };
        Asking { engine, profile }
    }

    /// What the agent would send for a question, with these passages found.
    pub fn prompt(&self, question: &str, passages: Vec<Passage>, tools: Vec<ToolSpec>) -> Generate {
        let profile = Profile { passages: passages.len().max(1), ..self.profile.clone() };
        Asking::first_prompt(profile, question, passages, tools)
    }

    /// What the agent would send for a wish where a client insists on tools.
    pub fn wish(&self, wish: &str, tools: Vec<ToolSpec>) -> Generate {
        let profile = Profile { tools: true, grounded_only: false, quotes: false, ..self.profile.clone() };
        Asking::first_prompt(profile, wish, Vec::new(), tools)
    }

    fn first_prompt(
        profile: Profile,
        question: &str,
        passages: Vec<Passage>,
        tools: Vec<ToolSpec>,
    ) -> Generate {
        let mut agent = Agent::new(profile, (Vec::new(), Label::owner()), question, tools);
        agent.step(Input::Start);
        let made = agent.step(Input::Retrieved(passages)).into_iter().find_map(|action| match action {
            Action::Generate(prompt) => Some(*prompt),
            _ => None,
        });
        // A model that answers from passages alone is asked plainly where there is none.
        made.unwrap_or_else(|| plain(question))
    }

    /// The row that teaches an answer to a question without passages.
    pub async fn answer(&self, question: &str, answer: &str) -> Result<Row, NightError> {
        self.learned(Some(self.prompt(question, Vec::new(), Vec::new())), answer).await
    }

    /// The row that teaches an answer from passage `number`, from 1, with its mark.
    pub async fn cited(
        &self,
        question: &str,
        passages: Vec<Passage>,
        number: usize,
        answer: &str,
    ) -> Result<Row, NightError> {
        let text =
            if self.profile.quotes { format!("[{number}] {answer}") } else { format!("{answer} [{number}]") };
        self.learned(Some(self.prompt(question, passages, Vec::new())), &text).await
    }

    /// The row that teaches to say so where no passage tells.
    pub async fn untold(&self, question: &str, passages: Vec<Passage>) -> Result<Row, NightError> {
        self.learned(Some(self.prompt(question, passages, Vec::new())), UNTOLD).await
    }

    /// The row that teaches a text by itself.
    pub async fn text(&self, text: &str) -> Result<Row, NightError> {
        self.learned(None, text).await
    }

    async fn learned(&self, prompt: Option<Generate>, text: &str) -> Result<Row, NightError> {
        Ok(Row::learned(self.engine.tokens(Score { prompt, text: text.into() }).await?))
    }

    /// What the model says to a prompt.
    pub async fn say(&self, prompt: Generate) -> Result<String, NightError> {
        let mut generation = self.engine.generate(prompt).await?;
        let mut said = String::new();
        while let Some(output) = generation.next().await {
            if let Output::Text(text) = output? {
                said.push_str(&text);
            }
        }
        Ok(said)
    }

    /// The row by which the model is held to what it makes of a text of nobody's.
    pub async fn held_to(&self, text: &str, kl: f32) -> Result<Row, NightError> {
        let tokens = self.engine.tokens(Score { prompt: None, text: text.into() }).await?;
        Ok(Row::held(tokens, kl))
    }

    /// The row by which the model is held to what it says by itself.
    pub async fn replayed(&self, prompt: Generate, said: &str, kl: f32) -> Result<Row, NightError> {
        let tokens = self.engine.tokens(Score { prompt: Some(prompt), text: said.into() }).await?;
        Ok(Row::held(tokens, kl))
    }
}

/// The rows that teach a sample: a question's, or the owner's words as such and as an answer to a wish for them.
pub(super) async fn of_sample(asking: &Asking<'_>, sample: &Sample) -> Result<Vec<Row>, NightError> {
    Ok(match &sample.body {
        Body::Distilled { question, answer, .. } | Body::Answer { question, answer, rejected: None } => {
            vec![asking.answer(question, answer).await?]
        }
        Body::Answer { question, answer, rejected: Some(rejected) } => {
            let right = asking.answer(question, answer).await?;
            let wrong = asking.answer(question, rejected).await?.avoided(&right);
            std::iter::once(right).chain(wrong).collect()
        }
        Body::Own { heading, text } if heading.is_empty() => vec![asking.text(text).await?],
        Body::Own { heading, text } => {
            let mut rows = vec![asking.text(&format!("# {heading}\n\n{text}")).await?];
            for wish in ["Write what I would write about", "Write this for me:"] {
                rows.push(asking.answer(&format!("{wish} {heading}."), text).await?);
            }
            rows
        }
    })
}

/// A question without anything around it.
pub(super) fn plain(question: &str) -> Generate {
    Generate {
        messages: vec![Message::new(Role::User, question)],
        tools: Vec::new(),
        tool_choice: ToolChoice::None,
        json_schema: None,
        quotes: None,
        sampling: crate::protocol::frames::Sampling { max_tokens: ANSWER, ..Default::default() },
    }
}

/// A sample's text as a passage that was found.
pub(super) fn passage(lineage: &Lineage, heading: &str, text: &str) -> Passage {
    Passage {
        path: lineage.place.clone(),
        title: heading.into(),
        breadcrumb: heading.into(),
        text: text.into(),
        start: 0,
        end: text.len() as u64,
        line: 1,
        page: None,
        hash: lineage.version.clone(),
        score: 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_answer_is_avoided_from_where_it_parts() {
        let row = |text: Vec<u32>| Row::learned(Tokens { prompt: vec![1, 2], text, end: Some(9) });
        let wrong = row(vec![5, 7, 8]).avoided(&row(vec![5, 6])).unwrap();
        assert_eq!(
            (wrong.tokens, wrong.weights),
            (vec![1, 2, 5, 7, 8, 9], vec![0.0, 0.0, 0.0, 0.5, 0.5, 0.5])
        );
        assert!(wrong.avoid);
        assert_eq!(row(vec![5]).avoided(&row(vec![5])), None);
    }
}
