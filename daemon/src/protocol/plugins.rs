//! What the broker and the `plugins` worker say to each other: calls go down, imports come up. The
//! types mirror `sdk/wit/plugin.wit`, where their meaning is told; here stands only what differs.

use crate::types::Origin;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// Compile a component, or take it from the cache; its file's descriptor travels with the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// BLAKE3 of the file, in hex. Other bytes are refused.
    pub digest: String,
    /// Compile it and write it to the cache, without loading it. Otherwise it is loaded from there;
    /// [`Fault::NotLoaded`](super::frames::Fault) if it is not there.
    pub compile: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Loaded {
    /// Interfaces of `familiar:plugin` that the component imports, such as `http`.
    pub imports: Vec<String>,
    pub cached: bool,
    pub compile_ms: u64,
}

/// Run one tool in a fresh instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    pub digest: String,
    /// The broker's name for this call; imports carry it back.
    pub call: u64,
    pub tool: String,
    /// A JSON object.
    pub arguments: String,
    pub session: String,
    pub language: String,
    /// Interfaces that are granted: `log` and `progress` decide what the worker answers itself.
    pub granted: Vec<String>,
    /// Milliseconds that it may run, not counting the wait for the owner.
    pub deadline_ms: u64,
    pub limits: Limits,
}

/// What one call may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of linear memory, all memories together.
    pub memory: u64,
    /// Bytes of the output's texts together.
    pub output: u64,
    /// Bytes of log lines; what is more is dropped and counted.
    pub log: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { memory: 64 << 20, output: 1 << 20, log: 64 << 10 }
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Called {
    pub result: Result<Output, ToolError>,
    /// Lines that the plugin wrote, and how many did not fit.
    pub log: Vec<LogLine>,
    pub log_dropped: u64,
    /// Guest and host together, without the wait for a free place.
    pub micros: u64,
    /// Of those, what making the instance took, in nanoseconds.
    pub instantiate_ns: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// `debug`, `info`, `warn` or `error`
    pub level: String,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    pub text: String,
    pub data: Option<String>,
    pub sources: Vec<Source>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Source {
    pub path: String,
    pub start: u64,
    pub end: u64,
}

/// Why a call gave nothing: as the plugin said, or as it was stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ToolError {
    #[error("wrong arguments: {0}")]
    InvalidArguments(String),
    #[error("not found: {0}")]
    NotFound(String),
    #[error("not allowed: {0}")]
    Denied(String),
    #[error("not available now: {0}")]
    Unavailable(String),
    #[error("{0}")]
    Failed(String),
    /// The sandbox stopped it: a trap, a limit, a deadline. The sentence says which.
    #[error("the plugin was stopped: {0}")]
    Stopped(String),
}

/// A plugin's use of an import, for the broker to check and carry out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Import {
    pub call: u64,
    pub body: Ask,
}

/// The imports, but for `log` and `is-cancelled`, which the worker answers itself once they are granted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    Now,
    LocalOffset { at: i64 },
    KvGet { key: String },
    KvSet { key: String, value: Vec<u8> },
    KvSwap { key: String, old: Option<Vec<u8>>, new: Vec<u8> },
    KvDelete { key: String },
    KvKeys { prefix: String },
    Find { query: String, limit: u32 },
    Files { suffix: String, after: Option<String> },
    Read { path: String, start: u64, length: u32 },
    Generate(TextRequest),
    Send(HttpRequest),
    Notify(Notice),
    Schedule { notice: Notice, at: i64 },
    Unschedule { id: String },
    Pending,
    Confirm { question: String },
    Choose { question: String, options: Vec<String> },
    Progress { done: u64, total: u64, message: String },
}

impl Ask {
    /// Whether the owner may have to say yes before it is answered. The call's deadline stands still
    /// while they are asked.
    pub fn may_wait_for_owner(&self) -> bool {
        match self {
            Ask::KvSet { .. }
            | Ask::KvSwap { .. }
            | Ask::KvDelete { .. }
            | Ask::Send(_)
            | Ask::Notify(_)
            | Ask::Schedule { .. }
            | Ask::Unschedule { .. }
            | Ask::Confirm { .. }
            | Ask::Choose { .. } => true,
            Ask::Now
            | Ask::LocalOffset { .. }
            | Ask::KvGet { .. }
            | Ask::KvKeys { .. }
            | Ask::Find { .. }
            | Ask::Files { .. }
            | Ask::Read { .. }
            | Ask::Generate(_)
            | Ask::Pending
            | Ask::Progress { .. } => false,
        }
    }
}

/// The answer to an import, and how long of it the owner was waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Imported {
    pub answer: Answer,
    pub waited_ms: u64,
}

/// What a wait for the owner costs of a call's deadline at most: enough that a plugin cannot live on by
/// asking again and again.
pub const WAIT_COSTS: Duration = Duration::from_millis(250);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    Done,
    Now { seconds: i64, nanoseconds: u32 },
    Offset(i32),
    Value(Option<Vec<u8>>),
    Flag(bool),
    Keys(Vec<String>),
    Hits(Vec<Hit>),
    Files(Vec<File>),
    Text(TextReply),
    Response(HttpResponse),
    Id(String),
    Pending(Vec<Scheduled>),
    Chosen(Option<u32>),
    Refused(Refusal),
}

impl Answer {
    /// About how many bytes it takes on the wire.
    pub fn bytes(&self) -> usize {
        let hit = |hit: &Hit| hit.path.len() + hit.title.len() + hit.breadcrumb.len() + hit.text.len() + 64;
        match self {
            Answer::Value(value) => value.as_ref().map_or(0, Vec::len),
            Answer::Keys(keys) => keys.iter().map(|key| key.len() + 8).sum(),
            Answer::Hits(hits) => hits.iter().map(hit).sum(),
            Answer::Files(files) => files.iter().map(|file| file.path.len() + 24).sum(),
            Answer::Text(reply) => reply.text.len(),
            Answer::Response(response) => {
                let headers = response.headers.iter().map(|(name, value)| name.len() + value.len() + 8);
                response.body.len() + response.url.len() + headers.sum::<usize>()
            }
            Answer::Pending(all) => {
                all.iter().map(|one| one.id.len() + one.notice.title.len() + one.notice.body.len() + 16).sum()
            }
            Answer::Done
            | Answer::Now { .. }
            | Answer::Offset(_)
            | Answer::Flag(_)
            | Answer::Id(_)
            | Answer::Chosen(_)
            | Answer::Refused(_) => 64,
        }
    }
}

/// Every import's errors together. Where an import has no error of that kind, or none at all, the
/// worker ends the call with its words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    Denied(String),
    NotFound(String),
    Quota(u64),
    Budget(u32),
    TooLong(u32, u32),
    Invalid(String),
    TooLarge(u64),
    Timeout,
    Unanswered,
    Failed(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    pub path: String,
    pub title: String,
    pub breadcrumb: String,
    pub text: String,
    pub start: u64,
    pub end: u64,
    pub line: u32,
    pub page: Option<u32>,
    pub score: f32,
    pub origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    pub path: String,
    pub size: u64,
    pub modified: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextRequest {
    pub system: String,
    pub prompt: String,
    pub max_tokens: u32,
    pub temperature: f32,
    pub schema: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextReply {
    pub text: String,
    pub prompt_tokens: u32,
    pub completion_tokens: u32,
    pub cut: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
    pub credential: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpResponse {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub url: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub title: String,
    pub body: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    pub id: String,
    pub at: i64,
    pub notice: Notice,
}
