//! JSON of Familiar's own HTTP resources: the contract that scripts rely on. Fields may be added,
//! never renamed. The OpenAI-compatible shapes live with the door that serves them.

use super::approvals::{Approval, NoticeEntry, OwnerEvent, ProgressReport};
use super::learn::LearnStatus;
use crate::types::{Citation, Message, Timings, Usage};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Bytes that a request's body may have.
pub const LONGEST_BODY: usize = 1 << 20;

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskRequest {
    pub question: String,
    /// Continue this session; a new one is made otherwise.
    #[serde(default)]
    pub session: Option<String>,
    /// Stream server-sent events instead of one JSON object.
    #[serde(default)]
    pub stream: bool,
    /// Answer from retrieved passages alone.
    #[serde(default)]
    pub no_tools: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AskResponse {
    pub answer: String,
    pub citations: Vec<Citation>,
    pub tool_calls: Vec<ToolCallReport>,
    pub session: String,
    pub model: String,
    /// Adapter generation that answered; null for the base model.
    pub adapter: Option<String>,
    pub usage: Usage,
    pub timings: Timings,
    /// What did not fit the context and was left out, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ToolCallReport {
    pub name: String,
    pub arguments: serde_json::Value,
    /// `ok`, `failed` or `denied`.
    pub status: String,
}

/// One server-sent event of a streamed answer; the SSE event name is the variant's name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AskEvent {
    /// The session that answers, and how many passages were found.
    Started {
        session: String,
        passages: usize,
    },
    Text {
        text: String,
    },
    ToolCall {
        name: String,
        arguments: serde_json::Value,
    },
    /// The tool that is running waits for the owner's yes.
    Approval(Box<Approval>),
    /// It waits no longer.
    ApprovalEnded {
        id: String,
    },
    Notice(NoticeEntry),
    Progress(ProgressReport),
    Done(Box<AskResponse>),
    Error(ErrorBody),
}

impl From<OwnerEvent> for AskEvent {
    fn from(event: OwnerEvent) -> AskEvent {
        match event {
            OwnerEvent::Approval(approval) => AskEvent::Approval(approval),
            OwnerEvent::ApprovalEnded { id } => AskEvent::ApprovalEnded { id },
            OwnerEvent::Notice(notice) => AskEvent::Notice(notice),
            OwnerEvent::Progress(report) => AskEvent::Progress(report),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SearchRequest {
    pub query: String,
    #[serde(default = "default_k")]
    pub k: usize,
    /// Only `lexical` for now.
    #[serde(default)]
    pub mode: Option<String>,
}

pub fn default_k() -> usize {
    10
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SearchResponse {
    pub hits: Vec<SearchHit>,
    pub took_ms: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SearchHit {
    pub path: String,
    pub title: String,
    pub score: f32,
    pub line: u32,
    pub start: u64,
    pub end: u64,
    pub page: Option<u32>,
    pub snippet: String,
    pub hash: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PathRequest {
    pub path: String,
    /// Answer only when everything below the path is searchable.
    #[serde(default)]
    pub wait: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct IndexStatus {
    pub documents: u64,
    /// Bytes of the indexed files.
    pub bytes: u64,
    /// Files known to need indexing.
    pub pending: u64,
    pub failed: Vec<FailedFile>,
    pub watched_dirs: u64,
    /// Folders past the watch budget, looked at from time to time instead.
    #[serde(default)]
    pub polled_dirs: u64,
    pub roots: Vec<String>,
    /// What the owner should know (disk full, watches used up), one sentence each.
    #[serde(default)]
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FailedFile {
    pub path: String,
    pub error: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Status {
    pub version: String,
    pub pid: u32,
    pub uptime_s: u64,
    pub rss_bytes: u64,
    pub workers: Vec<WorkerStatus>,
    /// Name of the model in use and whether it is loaded.
    pub model: ModelStatus,
    pub adapter: Option<String>,
    pub index: IndexStatus,
    /// What learning is at; null while that is not known.
    pub learning: Option<LearnStatus>,
    /// Whether the desktop's bus is served.
    #[serde(default)]
    pub desktop: DesktopStatus,
    /// Problems of the configuration or the data that did not stop the daemon.
    #[serde(default)]
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DesktopStatus {
    /// `starting`, `serving`, `off` (in the settings), `no_bus`, `refused` (by the bus), `taken` (the name) or `lost`.
    pub state: String,
    /// The same for people.
    pub says: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelStatus {
    pub name: String,
    pub loaded: bool,
    pub context: Option<u32>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WorkerStatus {
    pub kind: String,
    pub pid: Option<u32>,
    /// `idle` (no process), `running`, `backing_off` or `stopped` (crashed too often).
    pub state: String,
    pub restarts: u32,
    pub rss_bytes: u64,
    /// What the kernel refused of the jail; empty when all of it stands.
    #[serde(default)]
    pub jail_refused: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelEntry {
    pub name: String,
    pub path: String,
    pub size_bytes: u64,
    pub architecture: String,
    pub parameters: u64,
    pub quantization: String,
    pub train_context: u32,
    /// BLAKE3 of the file in hex.
    pub hash: String,
    pub in_use: bool,
    /// Shipped inside the binary.
    pub embedded: bool,
}

/// Folders and files that are indexed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Roots {
    pub roots: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Models {
    pub models: Vec<ModelEntry>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// Absolute path of a GGUF file.
    pub path: String,
    /// The file's name without its extension when absent.
    #[serde(default)]
    pub name: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UseRequest {
    pub name: String,
    /// An adapter's name or absolute path, or `none`. Absent: the adapter stays with its model, and
    /// goes with another one.
    #[serde(default)]
    pub adapter: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionList {
    /// The one used last comes first.
    pub sessions: Vec<SessionSummary>,
}

/// Times are seconds since 1970, UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionSummary {
    pub id: String,
    /// Empty before the first answer.
    pub first_question: String,
    pub created: i64,
    pub updated: i64,
    /// Questions that were answered.
    pub turns: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionDetail {
    pub id: String,
    pub messages: Vec<SessionMessage>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionMessage {
    #[serde(flatten)]
    pub message: Message,
    /// Seconds since 1970, UTC, when the answer was stored.
    pub at: i64,
    /// Of an answer; empty for other messages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub citations: Vec<Citation>,
    /// That gave the answer; null for other messages.
    pub model: Option<String>,
}

/// The answer of a request that has nothing to tell but that it was done.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Done {
    pub ok: bool,
}

/// Every error of every door. `code` is one of the words of [`ErrorCode`].
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    pub code: ErrorCode,
    /// A sentence for people: what went wrong, with which thing, and the way out.
    pub message: String,
}

/// Each code is one HTTP status and one exit code of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// 500, exit 1
    Failed,
    /// 400, exit 2
    Usage,
    /// 403, exit 4
    Denied,
    /// 404, exit 5
    NotFound,
    /// 503, exit 6: busy, a limit was reached, or a worker went away; trying again may help.
    Busy,
}
