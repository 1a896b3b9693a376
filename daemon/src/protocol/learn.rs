//! JSON of learning: what was said of answers, cycles, generations, and forgetting. Fields may be added, never renamed.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What the owner says of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalRequest {
    pub session: String,
    /// The turn, counted in its session from 1; the last one when absent.
    #[serde(default)]
    pub turn: Option<u32>,
    pub kind: SignalKind,
    /// The answer as it should have been, with `edit`.
    #[serde(default)]
    pub text: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    Good,
    Bad,
    Edit,
}

impl SignalKind {
    pub fn as_str(self) -> &'static str {
        match self {
            SignalKind::Good => "good",
            SignalKind::Bad => "bad",
            SignalKind::Edit => "edit",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SignalKept {
    /// The turn that it was said of.
    pub turn: u32,
    /// Whether it will be learned from, or what has to be allowed first.
    pub learned: bool,
    pub note: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RememberRequest {
    pub text: String,
}

/// What the owner says yes to; it takes the place of what was said before.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourcesRequest {
    /// Any of `conversations`, `corrections`, `folders`.
    pub sources: Vec<String>,
    /// Folders of the owner's own writing, each below an indexed folder.
    #[serde(default)]
    pub folders: Vec<String>,
}

/// Whether the owner was asked once what may be learned from, whatever they said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    pub asked: bool,
}

/// What learning is at, and what it waits for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LearnStatus {
    /// `off`, `paused`, `idle`, `collecting`, `distilling`, `training`, `judging` or `waiting`.
    pub state: String,
    /// The same for people, with what comes next and why not now.
    pub says: String,
    pub sources: Vec<String>,
    pub folders: Vec<String>,
    /// The generation that serves; null: the model as it came.
    pub generation: Option<u32>,
    /// Samples that are kept, by source; those that are held out; and those that what serves has not seen.
    pub samples: BTreeMap<String, u64>,
    pub held_out: u64,
    pub new: u64,
    pub least: u64,
    /// Of the training under way.
    pub step: u64,
    pub steps: u64,
    pub left_s: u64,
    /// How the last cycle ended since the daemon runs.
    pub last: Option<String>,
}

/// How a cycle ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LearnOutcome {
    pub generation: u32,
    pub accepted: bool,
    pub reason: String,
    /// Every figure of the candidate, and the checks that it passed or not.
    pub eval: serde_json::Value,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct History {
    pub generations: Vec<Generation>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Generation {
    pub number: u32,
    /// Seconds since 1970.
    pub made: i64,
    /// `promoted`, `rejected`, `retired`, `pruned` or `candidate`.
    pub state: String,
    pub serving: bool,
    /// The generation that it started from.
    pub parent: Option<u32>,
    pub scale: f32,
    /// BLAKE3 of the base model's file and of the adapter's, in hex.
    #[serde(default)]
    pub base: String,
    #[serde(default)]
    pub digest: String,
    /// The adapter's file; null where it was destroyed.
    #[serde(default)]
    pub file: Option<String>,
    /// Samples that it saw in all.
    pub samples: u64,
    /// New samples of its own cycle, by kind.
    pub counts: BTreeMap<String, u64>,
    pub tokens: u64,
    pub seconds: i64,
    pub reason: String,
    /// The verdict with its figures.
    pub verdict: serde_json::Value,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// 0 is the model as it came; absent, the one before.
    #[serde(default)]
    pub generation: Option<u32>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RolledBack {
    /// What serves now; null: the model as it came.
    pub generation: Option<u32>,
}

/// What is to be forgotten: exactly one of these.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgetRequest {
    /// A file or folder, absolute.
    #[serde(default)]
    pub path: Option<String>,
    #[serde(default)]
    pub session: Option<String>,
    /// Everything that was learned, said and remembered.
    #[serde(default)]
    pub all: bool,
}

/// What was forgotten, with digests, so that it can be held against a copy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ForgetProof {
    /// Seconds since 1970.
    pub at: i64,
    pub what: String,
    /// Ids (BLAKE3 of origin and text) of the samples that were removed, the held-out ones too.
    pub samples: Vec<String>,
    /// Conversations and single turns that were removed.
    pub sessions: u64,
    pub turns: u64,
    pub remembered: u64,
    /// The path is no longer in the index, and stays out of it.
    pub index: bool,
    /// Generations that had seen any of it, with the BLAKE3 of each destroyed adapter.
    pub retired: BTreeMap<u32, String>,
    /// What serves now; null: the model as it came.
    pub generation: Option<u32>,
    /// A cycle will learn what remains again.
    pub rebuild: bool,
    /// Places that were looked through afterwards without finding any of it.
    pub checked: Vec<String>,
}
