//! What is on the screen of a conversation: questions with what became of them, and notes in between. Pure: it takes in
//! the daemon's events, and decides nothing.

use crate::protocol::approvals::ProgressReport;
use crate::protocol::http::{AskEvent, AskResponse, SessionDetail, SessionMessage};
use crate::protocol::learn::SignalKind;
use crate::types::{Citation, Role};

/// One entry of the conversation as it is shown.
#[derive(Debug)]
pub struct Entry {
    /// Never used twice.
    pub id: u64,
    /// Grows with every change, so that what was drawn of it can be kept.
    pub revision: u64,
    pub kind: Kind,
}

#[derive(Debug)]
pub enum Kind {
    Turn(Box<Turn>),
    /// A word of the program's own or of a plugin's, in between.
    Note(String),
}

/// A question, and what became of it.
#[derive(Debug, Default)]
pub struct Turn {
    /// Counted in its session from 1; none before it is stored.
    pub number: Option<u32>,
    pub question: String,
    pub tools: Vec<Tool>,
    pub answer: String,
    pub citations: Vec<Citation>,
    pub left_out: Vec<String>,
    /// Who answered, and how fast.
    pub by: String,
    pub phase: Phase,
    pub judged: Option<Judged>,
    /// It was asked again by itself already.
    pub again: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    Answering,
    Done,
    /// The owner stopped it.
    Stopped,
    /// The daemon said why.
    Failed(String),
    /// The daemon went away in the middle.
    Lost,
}

/// What the owner said of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    Good,
    Bad,
    /// As it should have been.
    Edit(String),
}

/// A call of a tool, folded to a line or not.
#[derive(Debug, Default, PartialEq)]
pub struct Tool {
    pub name: String,
    pub arguments: serde_json::Value,
    /// `ok`, `failed` or `denied`; none while it runs.
    pub status: Option<String>,
    pub progress: Option<String>,
    pub result: Option<String>,
    pub open: bool,
}

impl Turn {
    pub fn asked(question: String) -> Turn {
        Turn { question, ..Turn::default() }
    }

    /// Takes in an event of the answer. Who waits for the owner is not the turn's matter.
    pub fn hear(&mut self, event: AskEvent) {
        match event {
            AskEvent::Text { text } => self.answer.push_str(&text),
            AskEvent::ToolCall { name, arguments } => {
                self.tools.push(Tool { name, arguments, ..Tool::default() });
            }
            AskEvent::Progress(report) => self.progress(&report),
            AskEvent::Done(answer) => self.done(*answer),
            AskEvent::Error(error) => self.phase = Phase::Failed(error.message),
            AskEvent::Started { .. }
            | AskEvent::Approval(_)
            | AskEvent::ApprovalEnded { .. }
            | AskEvent::Notice(_) => {}
        }
    }

    fn progress(&mut self, report: &ProgressReport) {
        let far =
            if report.total == 0 { String::new() } else { format!("{}/{} ", report.done, report.total) };
        if let Some(tool) = self.tools.last_mut() {
            tool.progress = Some(format!("{far}{}", report.message));
        }
    }

    fn done(&mut self, answer: AskResponse) {
        self.phase = Phase::Done;
        self.by = by(&answer);
        // The whole answer is what was stored, also where nothing or other words were streamed.
        self.answer = answer.answer;
        self.citations = answer.citations;
        self.left_out = answer.left_out;
        for (at, report) in answer.tool_calls.into_iter().enumerate() {
            if at >= self.tools.len() {
                let (name, arguments) = (report.name, report.arguments);
                self.tools.push(Tool { name, arguments, ..Tool::default() });
            }
            self.tools[at].status = Some(report.status);
        }
    }

    pub fn judge(&mut self, kind: SignalKind, text: Option<String>) {
        self.judged = Some(match kind {
            SignalKind::Good => Judged::Good,
            SignalKind::Bad => Judged::Bad,
            SignalKind::Edit => Judged::Edit(text.unwrap_or_default()),
        });
    }
}

fn by(answer: &AskResponse) -> String {
    let adapter = answer.adapter.as_ref().map(|name| format!(", {name}")).unwrap_or_default();
    let (seconds, speed) = (answer.timings.total_ms as f32 / 1000.0, answer.timings.tokens_per_s);
    format!("{}{adapter} · {seconds:.1} s · {speed:.0} tokens/s", answer.model)
}

/// The turns of a stored session, in order.
pub fn stored(detail: SessionDetail) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    for message in detail.messages {
        if message.message.role == Role::User {
            let number = Some(turns.len() as u32 + 1);
            let question = message.message.content;
            turns.push(Turn { number, question, phase: Phase::Done, ..Turn::default() });
        } else if let Some(turn) = turns.last_mut() {
            turn.recall(message);
        }
    }
    turns
}

impl Turn {
    fn recall(&mut self, stored: SessionMessage) {
        let SessionMessage { message, citations, model, .. } = stored;
        match message.role {
            Role::Assistant if message.tool_calls.is_empty() => {
                self.answer = message.content;
                self.citations = citations;
                self.by = model.unwrap_or_default();
            }
            Role::Assistant => self.tools.extend(message.tool_calls.into_iter().map(|call| Tool {
                arguments: serde_json::from_str(&call.arguments).unwrap_or(call.arguments.into()),
                name: call.name,
                ..Tool::default()
            })),
            Role::Tool => {
                if let Some(tool) = self.tools.iter_mut().find(|tool| tool.result.is_none()) {
                    tool.result = Some(message.content);
                }
            }
            Role::System | Role::User => {}
        }
    }

    /// Takes over what the tools gave, from the same turn as it was stored.
    pub fn results(&mut self, stored: Turn) {
        for (tool, stored) in self.tools.iter_mut().zip(stored.tools) {
            if tool.name == stored.name {
                tool.result = stored.result;
            }
        }
    }
}
