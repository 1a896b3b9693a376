//! The agent's mind, without hands: [`Agent::step`] takes what happened and says what to do next.
//! Pure: no IO, no clock, no randomness, so that every path of a conversation is tested by feeding it
//! inputs. The session room carries out its actions.

pub mod cite;
pub mod passage;
pub mod prompt;
pub mod toolcall;

use crate::protocol::frames::{Generate, ModelInfo, Quotes, Sampling};
use crate::types::{
    Citation, Finish, Label, Message, Origin, Passage, Role, Timings, ToolCall, ToolChoice, ToolFormat,
    ToolSpec, Usage,
};
use toolcall::{Piece, Splitter};

/// What the model that answers can do, and does best with.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    pub tools: bool,
    pub grounded_only: bool,
    pub quotes: bool,
    pub tool_format: ToolFormat,
    /// Passages in a prompt; characters in each.
    pub passages: usize,
    pub passage_chars: usize,
    pub max_tokens: u32,
    pub max_tool_calls: u32,
    pub temperature: f32,
}

impl Profile {
    /// The owner's settings, bounded by what the model says of itself.
    pub fn new(config: &crate::config::AskConfig, model: &ModelInfo) -> Profile {
        let hint = |hint: u32, setting: u32| if hint == 0 { setting } else { hint.min(setting) } as usize;
        Profile {
            tools: model.tools && !model.grounded_only,
            grounded_only: model.grounded_only,
            quotes: model.quotes,
            tool_format: model.tool_format,
            passages: hint(model.passages, config.passages),
            passage_chars: hint(model.passage_chars, config.passage_chars),
            max_tokens: config.max_tokens,
            max_tool_calls: config.max_tool_calls,
            temperature: config.temperature,
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The first input of a turn.
    Start,
    Retrieved(Vec<Passage>),
    /// Text of the generation under way.
    Text(String),
    /// The generation under way ended.
    Generated {
        finish: Finish,
        usage: Usage,
        timings: Timings,
    },
    /// The prompt did not fit; nothing was generated.
    TooLong {
        tokens: u32,
        limit: u32,
    },
    /// The tool call under way ended.
    Tool(ToolOutcome),
}

/// How a tool call ended. A failure is data for the model, not an error of the turn.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolOutcome {
    pub status: ToolStatus,
    /// What the tool says, or what went wrong.
    pub text: String,
    /// Passages of files, which the answer may cite.
    pub passages: Vec<Passage>,
    /// Of the text; the passages' own comes on top.
    pub label: Label,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolStatus {
    Ok,
    Failed,
    Denied,
}

impl ToolStatus {
    /// The word in answers and in the audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            ToolStatus::Ok => "ok",
            ToolStatus::Failed => "failed",
            ToolStatus::Denied => "denied",
        }
    }
}

impl ToolOutcome {
    /// Passages alone.
    pub fn passages(passages: Vec<Passage>) -> ToolOutcome {
        ToolOutcome { status: ToolStatus::Ok, text: String::new(), passages, label: Label::owner() }
    }

    /// A failure in Familiar's own words.
    pub fn failed(reason: impl Into<String>) -> ToolOutcome {
        ToolOutcome { status: ToolStatus::Failed, text: reason.into(), ..ToolOutcome::passages(Vec::new()) }
    }

    /// A refusal in Familiar's own words.
    pub fn denied(reason: impl Into<String>) -> ToolOutcome {
        ToolOutcome { status: ToolStatus::Denied, text: reason.into(), ..ToolOutcome::passages(Vec::new()) }
    }
}

/// What to do next. `Finish` and `Fail` end the turn.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    Retrieve {
        query: String,
        k: usize,
    },
    Generate(Box<Generate>),
    /// Text of the answer for the person who asked.
    Emit(String),
    /// The label is that of everything the model had read when it wrote the call.
    CallTool(ToolCall, Label),
    Finish(Box<Answer>),
    Fail(Failure),
}

/// The end of a turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub text: String,
    /// Not yet checked against the files as they are now.
    pub citations: Vec<Citation>,
    /// The model's tool calls and the tools' results, in order.
    pub steps: Vec<Message>,
    /// The calls of this turn, with how each ended: `ok`, `failed` or `denied`.
    pub tool_calls: Vec<(ToolCall, &'static str)>,
    /// Of everything that the model had read.
    pub label: Label,
    pub usage: Usage,
    pub timings: Timings,
    /// What did not fit, one sentence each.
    pub left_out: Vec<String>,
    /// The answer stopped at the token limit.
    pub cut: bool,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Failure {
    #[error(
        "the question is too long: with the least around it, it is {tokens} tokens and the model's context \
         holds {limit}. Shorten it, or use a model with a longer context"
    )]
    QuestionTooLong { tokens: u32, limit: u32 },
    #[error("the turn went out of order ({0})")]
    OutOfOrder(&'static str),
}

/// One turn of a conversation.
#[derive(Debug, Clone)]
pub struct Agent {
    profile: Profile,
    question: String,
    history: Vec<Message>,
    tools: Vec<ToolSpec>,
    /// Of everything that the model was shown so far. It only grows, also when text is left out again.
    label: Label,
    /// Every passage that the model was shown in this turn; its number is its place, from 1.
    passages: Vec<Passage>,
    /// How many of `passages` stand in the question's own message.
    retrieved: usize,
    /// Tool calls and results of this turn.
    exchange: Vec<Message>,
    queue: Vec<ToolCall>,
    calls: Vec<(ToolCall, &'static str)>,
    splitter: Splitter,
    text: String,
    usage: Usage,
    timings: Option<Timings>,
    left_out: LeftOut,
}

/// What had to go to fit the context.
#[derive(Debug, Clone, Default, PartialEq)]
struct LeftOut {
    messages: usize,
    passages: usize,
    shortened: bool,
}

impl Agent {
    /// `history` is the conversation so far, questions and answers only, and the label of what it was made from.
    pub fn new(
        profile: Profile,
        (history, label): (Vec<Message>, Label),
        question: &str,
        tools: Vec<ToolSpec>,
    ) -> Agent {
        let format = profile.tool_format;
        let tools = if profile.tools { tools } else { Vec::new() };
        // A model taught to answer from passages alone has never seen a conversation.
        let history = if profile.grounded_only { Vec::new() } else { history };
        Agent {
            profile,
            question: question.to_owned(),
            history,
            tools,
            label,
            passages: Vec::new(),
            retrieved: 0,
            exchange: Vec::new(),
            queue: Vec::new(),
            calls: Vec::new(),
            splitter: Splitter::new(format),
            text: String::new(),
            usage: Usage::default(),
            timings: None,
            left_out: LeftOut::default(),
        }
    }

    /// What to do, now that `input` happened. Actions are to be carried out in order.
    pub fn step(&mut self, input: Input) -> Vec<Action> {
        match input {
            Input::Start if self.profile.passages == 0 => vec![self.generate()],
            Input::Start => {
                vec![Action::Retrieve { query: self.question.clone(), k: self.profile.passages }]
            }
            Input::Retrieved(passages) => self.retrieved(passages),
            Input::Text(text) => {
                let pieces = self.splitter.push(&text);
                self.take(pieces)
            }
            Input::Generated { finish, usage, timings } => self.generated(finish, usage, timings),
            Input::TooLong { tokens, limit } => vec![self.shrink(tokens, limit)],
            Input::Tool(outcome) => self.tool_ended(outcome),
        }
    }

    fn retrieved(&mut self, mut passages: Vec<Passage>) -> Vec<Action> {
        passages.truncate(self.profile.passages);
        for passage in &mut passages {
            passage::narrow(passage, &self.question, self.profile.passage_chars);
        }
        if passages.is_empty() && self.profile.grounded_only {
            let text = prompt::NOTHING_FOUND.to_owned();
            self.text.clone_from(&text);
            return vec![Action::Emit(text), self.finish(false)];
        }
        self.retrieved = passages.len();
        self.read(&passages);
        self.passages = passages;
        vec![self.generate()]
    }

    fn generate(&mut self) -> Action {
        self.splitter = Splitter::new(self.profile.tool_format);
        let spent = self.calls.len() >= self.profile.max_tool_calls as usize;
        let mut messages = vec![Message::new(Role::System, prompt::system(!self.tools.is_empty()))];
        messages.extend(self.history.iter().cloned());
        let question = prompt::question(&self.question, &self.passages[..self.retrieved]);
        messages.push(Message::new(Role::User, question));
        messages.extend(self.exchange.iter().cloned());
        Action::Generate(Box::new(Generate {
            messages,
            tools: self.tools.clone(),
            tool_choice: if spent { ToolChoice::None } else { ToolChoice::Auto },
            json_schema: None,
            quotes: self.quotes(),
            sampling: Sampling {
                temperature: self.profile.temperature,
                max_tokens: self.profile.max_tokens,
                ..Sampling::default()
            },
        }))
    }

    /// A model taught to quote is held to it.
    fn quotes(&self) -> Option<Quotes> {
        // Those that tools returned too: they have the next numbers.
        let passages = &self.passages;
        (self.profile.quotes && !passages.is_empty()).then(|| Quotes {
            passages: passages.iter().map(|passage| passage::quotable(passage.text.trim())).collect(),
            otherwise: (!passage::covered(&self.question, passages)).then(|| prompt::UNTOLD.into()),
            at_least: QUOTE,
            free: !self.profile.grounded_only,
        })
    }

    /// Text goes to the person at once, calls wait for the generation's end.
    fn take(&mut self, pieces: Vec<Piece>) -> Vec<Action> {
        let mut actions = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => {
                    self.text.push_str(&text);
                    actions.push(Action::Emit(text));
                }
                Piece::Call { name, arguments_json } => {
                    let id = format!("call_{}", self.calls.len() + self.queue.len() + 1);
                    self.queue.push(ToolCall { id, name, arguments: arguments_json });
                }
            }
        }
        actions
    }

    fn generated(&mut self, finish: Finish, usage: Usage, timings: Timings) -> Vec<Action> {
        let rest = std::mem::replace(&mut self.splitter, Splitter::new(self.profile.tool_format)).finish();
        let mut actions = self.take(rest);
        self.usage.prompt_tokens += usage.prompt_tokens;
        self.usage.cached_tokens += usage.cached_tokens;
        self.usage.completion_tokens += usage.completion_tokens;
        let before = self.timings.get_or_insert(timings);
        before.tokens_per_s = timings.tokens_per_s;
        let left = (self.profile.max_tool_calls as usize).saturating_sub(self.calls.len());
        self.queue.truncate(left);
        if self.queue.is_empty() {
            actions.push(self.finish(finish == Finish::Length));
            return actions;
        }
        let mut said = Message::new(Role::Assistant, std::mem::take(&mut self.text));
        said.tool_calls.clone_from(&self.queue);
        self.exchange.push(said);
        actions.push(Action::CallTool(self.queue[0].clone(), self.label.clone()));
        actions
    }

    /// The model is shown these from now on.
    fn read(&mut self, passages: &[Passage]) {
        for passage in passages {
            self.label.join(&Label::from(Origin::File, passage.path.as_str()));
        }
    }

    fn tool_ended(&mut self, outcome: ToolOutcome) -> Vec<Action> {
        if self.queue.is_empty() {
            return vec![Action::Fail(Failure::OutOfOrder("a tool ended that was not called"))];
        }
        let call = self.queue.remove(0);
        let status = outcome.status.as_str();
        self.label.join(&outcome.label);
        let text = match outcome.status {
            ToolStatus::Ok => outcome.text,
            ToolStatus::Failed => format!("The tool failed: {}", outcome.text),
            ToolStatus::Denied => format!("Not allowed: {}", outcome.text),
        };
        let content = self.show(text, outcome.passages);
        let mut result = Message::new(Role::Tool, prompt::result(&call.name, &content));
        result.tool_call_id = Some(call.id.clone());
        self.exchange.push(result);
        self.calls.push((call, status));
        match self.queue.first() {
            Some(next) => vec![Action::CallTool(next.clone(), self.label.clone())],
            None => vec![self.generate()],
        }
    }

    /// A tool's text, and its passages numbered after those already shown, so that the answer may cite them.
    fn show(&mut self, text: String, mut found: Vec<Passage>) -> String {
        if found.is_empty() {
            return if text.is_empty() { "Nothing was found.".into() } else { text };
        }
        for passage in &mut found {
            passage::narrow(passage, &self.question, self.profile.passage_chars);
        }
        let passages = prompt::numbered(self.passages.len() + 1, &found);
        self.read(&found);
        self.passages.extend(found);
        if text.is_empty() { passages } else { format!("{text}\n\n{passages}") }
    }

    /// Gives up the least valuable part of the prompt: the oldest turn, then the last passage, then
    /// half of each passage. What goes is told with the answer.
    fn shrink(&mut self, tokens: u32, limit: u32) -> Action {
        let unseen = self.exchange.is_empty();
        if !self.history.is_empty() {
            let next_turn = self.history.iter().skip(1).position(|message| message.role == Role::User);
            let gone = next_turn.map_or(self.history.len(), |at| at + 1);
            self.history.drain(..gone);
            self.left_out.messages += gone;
        } else if unseen && self.passages.len() > 1 {
            self.passages.pop();
            self.retrieved = self.passages.len();
            self.left_out.passages += 1;
        } else if unseen && self.passages.iter().any(|passage| passage.text.len() > 200) {
            for passage in &mut self.passages {
                let half = passage.text.chars().count() / 2;
                passage::narrow(passage, &self.question, half);
            }
            self.left_out.shortened = true;
        } else if let Some(oldest) =
            self.exchange.iter_mut().find(|m| m.role == Role::Tool && m.content != FORGOTTEN)
        {
            oldest.content = FORGOTTEN.into();
            self.left_out.messages += 1;
        } else if !self.passages.is_empty() && unseen {
            self.passages.clear();
            self.retrieved = 0;
            self.left_out.passages += 1;
        } else {
            return Action::Fail(Failure::QuestionTooLong { tokens, limit });
        }
        self.generate()
    }

    fn finish(&mut self, cut: bool) -> Action {
        Action::Finish(Box::new(Answer {
            citations: cite::citations(&self.question, &self.text, &self.passages),
            text: std::mem::take(&mut self.text),
            steps: std::mem::take(&mut self.exchange),
            tool_calls: std::mem::take(&mut self.calls),
            label: self.label.clone(),
            usage: self.usage,
            timings: self.timings.unwrap_or_default(),
            left_out: self.left_out.sentences(),
            cut,
        }))
    }
}

/// Characters that a quoted answer has at least: a sentence alone often leaves out what was asked.
const QUOTE: u32 = 400;

/// Stands in for a tool's result that did not fit any more.
const FORGOTTEN: &str = "(left out: it did not fit the context)";

impl LeftOut {
    fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if self.messages > 0 {
            sentences.push(format!("{} earlier messages did not fit the model's context", self.messages));
        }
        if self.passages > 0 {
            sentences.push(format!("{} retrieved passages did not fit the model's context", self.passages));
        }
        if self.shortened {
            sentences.push("the retrieved passages were shortened to fit the model's context".into());
        }
        sentences
    }
}

#[cfg(test)]
mod tests;
