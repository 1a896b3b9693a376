//! JSON of what waits for the owner's yes, of what was allowed once for all, of notices and of the audit
//! log: the contract that scripts rely on. Fields may be added, never renamed. Times are seconds since
//! 1970, UTC.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Something that waits for the owner's yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Approval {
    pub id: String,
    pub plugin: String,
    /// Of the plugin's package, BLAKE3 in hex.
    pub digest: String,
    pub tool: String,
    /// The conversation that it belongs to; empty when the owner called the plugin by hand.
    pub session: String,
    /// `egress`, `write`, `schedule`, or `question` for a plugin's own question.
    pub kind: String,
    /// What would happen, or the question, in plain words.
    pub action: String,
    /// Why the owner is asked.
    pub reason: String,
    /// Where it would go: method and host, or the key of a value.
    pub destination: String,
    /// Exactly what would be sent or written, if it is text.
    pub content: Option<String>,
    /// The same in hex, if it is not.
    pub content_hex: Option<String>,
    /// Where the text came from that led to this: paths, hosts, plugins.
    pub sources: Vec<String>,
    pub untrusted: bool,
    pub private: bool,
    /// "Always, for exactly this" can be said.
    pub always: bool,
    /// What a question offers; empty for yes or no.
    pub options: Vec<String>,
    pub asked: i64,
    /// After this the answer is no.
    pub expires: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ApprovalList {
    /// The one that waits longest first.
    pub approvals: Vec<Approval>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideRequest {
    pub allow: bool,
    /// From now on without asking, for exactly this.
    #[serde(default)]
    pub always: bool,
    /// The option chosen, from 0, of a question that offers some.
    #[serde(default)]
    pub choice: Option<u32>,
}

/// What the owner allowed once for all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StandingRule {
    pub id: i64,
    pub plugin: String,
    /// Of the one package that it holds for.
    pub digest: String,
    pub tool: String,
    /// `egress`, `write` or `schedule`
    pub kind: String,
    pub destination: String,
    pub made: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StandingRules {
    pub rules: Vec<StandingRule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NoticeEntry {
    pub id: i64,
    pub plugin: String,
    pub title: String,
    pub body: String,
    pub at: i64,
    /// Null while it is to come.
    pub sent: Option<i64>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NoticeList {
    /// The last one first.
    pub sent: Vec<NoticeEntry>,
    /// The next one first.
    pub pending: Vec<NoticeEntry>,
}

/// How far a plugin's long work is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProgressReport {
    pub plugin: String,
    pub session: String,
    pub done: u64,
    /// 0 when the end is not known.
    pub total: u64,
    pub message: String,
}

/// One server-sent event of `/familiar/v1/events`; the SSE event name is the variant's name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OwnerEvent {
    /// Something new waits. What waited before is sent first.
    Approval(Box<Approval>),
    /// It waits no longer: it was decided, withdrawn, or its time ran out.
    ApprovalEnded {
        id: String,
    },
    Notice(NoticeEntry),
    Progress(ProgressReport),
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditLines {
    /// The newest last.
    pub entries: Vec<serde_json::Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditVerdict {
    pub lines: u64,
    /// What is wrong, one sentence each; empty when all is well.
    pub findings: Vec<String>,
}
