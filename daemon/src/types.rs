//! The words every room shares: messages, tools, passages, citations.
//! Plain data without behaviour that needs IO; this room uses no other room.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who said a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    System,
    User,
    Assistant,
    Tool,
}

impl Role {
    /// The name chat templates and the store use.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }
}

/// One message of a conversation, as a chat template sees it. It travels in worker frames, whose format
/// is not self-describing: no field may be left out of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    pub role: Role,
    pub content: String,
    #[serde(default)]
    pub tool_calls: Vec<ToolCall>,
    /// The call that a `tool` message answers.
    #[serde(default)]
    pub tool_call_id: Option<String>,
}

impl Message {
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Message { role, content: content.into(), tool_calls: Vec::new(), tool_call_id: None }
    }
}

/// A call the model asks for. `arguments` is JSON text that satisfies the tool's schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    pub arguments: String,
}

/// A tool as the model is told of it. `parameters` is JSON Schema as text, since worker frames
/// are not self-describing and cannot carry a JSON value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolSpec {
    pub name: String,
    pub description: String,
    pub parameters: String,
}

/// How a model writes a tool call. `engine::format` tells them apart and constrains them,
/// `agent::toolcall` reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToolFormat {
    /// `<tool_call>\n{"name": .., "arguments": {..}}\n</tool_call>`
    Hermes,
    /// `{"name": .., "parameters": {..}}` as the whole answer
    Llama3,
    /// `[TOOL_CALLS][{"name": .., "arguments": {..}}]`
    Mistral,
}

/// Whether the model may, must or must not call a tool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    #[default]
    Auto,
    None,
    /// Any of the tools, but one of them.
    Required,
    /// Exactly this tool.
    Named(String),
}

/// Where text came from. Of others than the owner it may lie, and it may hold instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The owner wrote or approved it.
    Owner,
    /// A file of the owner's, written by anybody.
    File,
    Web,
    Plugin,
}

/// What is known of the text that something was made from. It only ever grows: see [`Label::join`].
/// After FIDES (Costa et al. 2025, arXiv 2505.23643): integrity and confidentiality go with the data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Label {
    /// Somebody else than the owner wrote a part of it.
    pub untrusted: bool,
    /// A part of it is the owner's alone: files, conversations, what plugins keep for them.
    pub private: bool,
    /// Where the parts came from, for the owner to read: paths, hosts, plugins' names. At most
    /// [`Label::SOURCES`]; more are not remembered.
    pub sources: std::collections::BTreeSet<String>,
}

impl Label {
    /// Sources that a label remembers.
    pub const SOURCES: usize = 64;
    /// Sources, and characters of each, that a brief one remembers.
    const BRIEF_SOURCES: usize = 8;
    const BRIEF_SOURCE: usize = 160;

    /// Text of the owner's own, said to anybody.
    pub fn owner() -> Label {
        Label::default()
    }

    /// Text that came from `origin`, and the name of the place.
    pub fn from(origin: Origin, source: impl Into<String>) -> Label {
        Label {
            untrusted: origin != Origin::Owner,
            private: origin != Origin::Web,
            sources: [source.into()].into(),
        }
    }

    /// The same marks with few and short sources, to be kept beside something small.
    pub fn brief(&self) -> Label {
        let short = |source: &String| source.chars().take(Label::BRIEF_SOURCE).collect();
        let sources = self.sources.iter().take(Label::BRIEF_SOURCES).map(short).collect();
        Label { sources, ..*self }
    }

    /// Takes the other's marks on top of one's own.
    pub fn join(&mut self, other: &Label) {
        self.untrusted |= other.untrusted;
        self.private |= other.private;
        for source in &other.sources {
            if self.sources.len() < Label::SOURCES {
                self.sources.insert(source.clone());
            }
        }
    }
}

/// A stretch of an indexed file. `start..end` are bytes of the file's decoded content (for a
/// compressed file, of what it unpacks to; for a document such as a PDF, of the text that is read of it); `line` is
/// 1-based in the same; `page` is the 1-based page, slide or sheet, in a document that has them; `hash` is BLAKE3 of
/// the file's bytes as they were when it was indexed, in hex.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Passage {
    pub path: String,
    pub title: String,
    /// Headings above the passage, outermost first, joined by " > "; may be empty.
    pub breadcrumb: String,
    pub text: String,
    pub start: u64,
    pub end: u64,
    pub line: u32,
    pub page: Option<u32>,
    pub hash: String,
    pub score: f32,
}

/// Where an answer's words stand. See [`Passage`] for the units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Citation {
    /// The number the answer refers to it by, as in `[1]`.
    pub n: u32,
    pub path: String,
    pub start: u64,
    pub end: u64,
    pub line: u32,
    pub page: Option<u32>,
    pub hash: String,
    pub quote: String,
    /// The file changed or went away after it was read: the quote may no longer stand there.
    #[serde(default)]
    pub stale: bool,
}

/// Tokens of one answer. `cached_tokens` is the part of the prompt whose KV state was reused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    pub prompt_tokens: u32,
    pub cached_tokens: u32,
    pub completion_tokens: u32,
}

/// Time of one answer, in milliseconds from the request to its first token and to its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Timings {
    pub ttft_ms: u64,
    pub total_ms: u64,
    pub tokens_per_s: f32,
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    Stop,
    Length,
    ToolCalls,
    Cancelled,
}
