//! How good a model is at Familiar's own work: fixed cases of `tests/eval/`, put to it through the agent and the engine
//! as in daily use, greedily, and counted. It uses the engine's handle and nothing else of the machine; it never
//! reads the owner's files and never runs a tool.

mod cases;
mod judge;
mod score;

pub use cases::edition;
pub use score::Rate;

use crate::agent::{Action, Agent, Answer, Input, Profile};
use crate::config::AskConfig;
use crate::engine::{Engine, EngineError, Output};
use crate::protocol::frames::{Fault, Generate, ModelInfo, Score};
use crate::types::{Label, Message, Passage, Role, ToolCall, ToolSpec};
use cases::{Case, Kind, Sets};
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Instant;

/// Tokens that an answer may have: the cases ask for a sentence or a call.
const MAX_TOKENS: u32 = 256;
/// Answers of fewer tokens say nothing of speed.
const TIMED: u32 = 8;

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Cases of each kind, at most.
    pub cases: usize,
}

/// The figures of one model.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub model: String,
    pub adapter: Option<String>,
    pub architecture: String,
    pub parameters: u64,
    pub lines: Vec<Line>,
    pub documentation: Documentation,
    /// Over all answers of some length, from the first token to the last.
    pub tokens_per_s: f64,
    /// Characters of an answer to a question, on average. A long answer holds what was asked more easily.
    pub answer_chars: f64,
    pub seconds: f64,
}

/// One skill.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub skill: &'static str,
    /// For people.
    pub what: &'static str,
    #[serde(flatten)]
    pub rate: Rate,
}

/// How well the model predicts English documentation. Everything is in bits per byte.
#[derive(Debug, Clone, Serialize)]
pub struct Documentation {
    pub bits_per_byte: f64,
    pub gzip: f64,
    pub xz: f64,
    pub bytes: u64,
    pub tokens: u64,
}

impl Documentation {
    /// Nats a token, of which the exponential is the perplexity.
    pub fn nats(&self) -> f64 {
        self.bits_per_byte * std::f64::consts::LN_2 * self.bytes as f64 / self.tokens.max(1) as f64
    }
}

/// One case with what came back, for whoever wants to look.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    pub kind: &'static str,
    pub question: String,
    pub said: String,
    pub call: Option<(String, String)>,
    /// The passages that were cited, by their numbers.
    pub cited: Vec<u32>,
    /// The skills that the case is counted for.
    pub right: Vec<(&'static str, bool)>,
}

/// Told after each case.
pub struct Progress<'a> {
    pub done: usize,
    pub of: usize,
    pub record: &'a Record,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the evaluation's own data is damaged ({0}); build Familiar again from a clean checkout")]
    Data(String),
}

/// Puts every case to the model that the engine's settings name.
///
/// # Errors
/// The model cannot be loaded or stops; a case that does not fit its context is counted as wrong instead.
pub async fn run(
    engine: &Engine,
    wanted: Wanted,
    mut progress: impl FnMut(Progress),
) -> Result<Report, EvalError> {
    let begun = Instant::now();
    let sets = Sets::read(wanted.cases).map_err(EvalError::Data)?;
    let held = engine.hold().await?;
    let of = sets.cases.len();
    let mut tally = Tally::default();
    for (done, case) in sets.cases.iter().enumerate() {
        let said = put(engine, &held.model, &sets, case).await?;
        let record = tally.count(case, said);
        progress(Progress { done: done + 1, of, record: &record });
    }
    let ModelInfo { name, adapter, architecture, parameters, .. } = held.model.clone();
    Ok(Report {
        model: name,
        adapter,
        architecture,
        parameters,
        lines: tally.lines(),
        documentation: documentation(engine).await?,
        tokens_per_s: tally.tokens as f64 / tally.writing_s.max(1e-3),
        answer_chars: tally.chars as f64 / tally.answers.max(1) as f64,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Puts cases of one turn to the model that the engine's settings name: up to `most` of each kind, in an order that is the same for every
/// model.
///
/// # Errors
/// As for [`run`].
pub async fn single_turns(engine: &Engine, most: usize) -> Result<Vec<Record>, EvalError> {
    let sets = Sets::read(most).map_err(EvalError::Data)?;
    let held = engine.hold().await?;
    let mut records = Vec::new();
    for case in sets.cases.iter().filter(|case| case.before.is_empty()) {
        let said = put(engine, &held.model, &sets, case).await?;
        records.push(Tally::default().count(case, said));
    }
    Ok(records)
}

/// How well the model that the engine's settings name predicts English documentation.
///
/// # Errors
/// The model cannot be loaded or stops.
pub async fn documentation(engine: &Engine) -> Result<Documentation, EvalError> {
    let (mut nats, mut bytes, mut tokens) = (0.0, 0, 0);
    for piece in cases::documentation() {
        let part = engine.score(Score { prompt: None, text: piece.to_owned() }).await?;
        (nats, bytes, tokens) = (nats + part.total(), bytes + part.bytes, tokens + part.nats.len() as u64);
    }
    let (gzip, xz) = cases::compressed();
    let bits_per_byte = nats / std::f64::consts::LN_2 / bytes.max(1) as f64;
    Ok(Documentation { bits_per_byte, gzip, xz, bytes, tokens })
}

/// What the model made of a case.
#[derive(Debug, Default)]
struct Said {
    text: String,
    cited: Vec<u32>,
    call: Option<ToolCall>,
    tokens: u32,
    writing_ms: u64,
}

/// The agent's loop, as a session runs it, up to the answer or the first tool call.
async fn put(engine: &Engine, model: &ModelInfo, sets: &Sets, case: &Case) -> Result<Said, EngineError> {
    let passages = sets.passages_of(case);
    let mut agent = agent(model, case, &passages, sets.tools_of(case));
    let mut actions = VecDeque::from(agent.step(Input::Start));
    let mut said = Said::default();
    while let Some(action) = actions.pop_front() {
        match action {
            Action::Retrieve { .. } => actions.extend(agent.step(Input::Retrieved(passages.clone()))),
            Action::Generate(prompt) => {
                actions.extend(generate(engine, &mut agent, *prompt, &mut said).await?)
            }
            Action::Emit(_) => {}
            Action::CallTool(call, _) => return Ok(Said { call: Some(call), ..said }),
            Action::Finish(answer) => {
                let Answer { text, citations, .. } = *answer;
                let cited = citations.iter().map(|citation| citation.n).collect();
                return Ok(Said { text, cited, ..said });
            }
            // It does not fit this model: an answer that says nothing.
            Action::Fail(_) => return Ok(said),
        }
    }
    Ok(said)
}

fn agent(model: &ModelInfo, case: &Case, passages: &[Passage], tools: Vec<ToolSpec>) -> Agent {
    let settings = AskConfig { max_tokens: MAX_TOKENS, temperature: 0.0, ..AskConfig::default() };
    let mut profile = Profile::new(&settings, model);
    // All of a case's passages are shown, however few the model asks for in daily use.
    profile.passages = passages.len();
    if case.kind == Kind::Call {
        // Tools are insisted on, as a client can.
        (profile.tools, profile.grounded_only, profile.quotes) = (true, false, false);
    }
    let history = case.before.iter().flat_map(|(asked, answered)| {
        [Message::new(Role::User, asked), Message::new(Role::Assistant, answered)]
    });
    Agent::new(profile, (history.collect(), Label::owner()), &case.question, tools)
}

async fn generate(
    engine: &Engine,
    agent: &mut Agent,
    prompt: Generate,
    said: &mut Said,
) -> Result<Vec<Action>, EngineError> {
    let mut generation = engine.generate(prompt).await?;
    while let Some(output) = generation.next().await {
        match output {
            Ok(Output::Started { .. }) => {}
            Ok(Output::Text(text)) => drop(agent.step(Input::Text(text))),
            Ok(Output::Done { finish, usage, timings }) => {
                said.tokens = usage.completion_tokens;
                said.writing_ms = timings.total_ms.saturating_sub(timings.ttft_ms);
                return Ok(agent.step(Input::Generated { finish, usage, timings }));
            }
            Err(EngineError::Request(Fault::PromptTooLong { tokens, limit })) => {
                return Ok(agent.step(Input::TooLong { tokens, limit }));
            }
            Err(error) => return Err(error),
        }
    }
    Err(EngineError::Confused)
}

/// The skills, in the order of the table, with what they are called for people.
const SKILLS: [(&str, &str); 7] = [
    ("answer", "answer contains what was asked, 1 of 4 passages tells"),
    ("cites", "cites the right passage and no other"),
    ("unknown", "says that it does not know when no passage tells"),
    ("wrongly_unknown", "says so although a passage tells (less is better)"),
    ("tool", "right tool of 6, never seen before"),
    ("arguments", "right tool and all arguments right"),
    ("previous_turn", "uses the previous turn"),
];

#[derive(Default)]
struct Tally {
    counts: [(usize, usize); SKILLS.len()],
    tokens: u64,
    writing_s: f64,
    answers: usize,
    chars: usize,
}

impl Tally {
    fn count(&mut self, case: &Case, said: Said) -> Record {
        if said.tokens >= TIMED {
            // The first token is the prompt's work.
            self.tokens += u64::from(said.tokens - 1);
            self.writing_s += said.writing_ms as f64 / 1000.0;
        }
        if case.kind != Kind::Call {
            self.answers += 1;
            self.chars += said.text.chars().count();
        }
        let right = judge::judge(case, &said);
        for (skill, right) in &right {
            if let Some(at) = SKILLS.iter().position(|(name, _)| name == skill) {
                self.counts[at].0 += usize::from(*right);
                self.counts[at].1 += 1;
            }
        }
        Record {
            kind: case.kind.name(),
            question: case.question.clone(),
            said: said.text,
            call: said.call.map(|call| (call.name, call.arguments)),
            cited: said.cited,
            right,
        }
    }

    fn lines(&self) -> Vec<Line> {
        let line = |((skill, what), (right, of)): (&(&'static str, &'static str), &(usize, usize))| Line {
            skill,
            what,
            rate: Rate::new(*right, *of),
        };
        SKILLS.iter().zip(&self.counts).map(line).collect()
    }
}
