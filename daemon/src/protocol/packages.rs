//! JSON of the resources below `/familiar/v1/plugins`: installed plugins, what they ask for, and calls by
//! the owner's hand. Fields may be added, never renamed.

use super::approvals::OwnerEvent;
use super::http::ErrorBody;
use super::plugins::{LogLine, Source};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::ToSchema;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PluginList {
    pub plugins: Vec<PluginEntry>,
}

/// A plugin and what the owner said to it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PluginEntry {
    pub name: String,
    /// Empty where the package cannot be read.
    pub version: String,
    pub description: String,
    /// BLAKE3 of the package in hex: what the owner's yes is bound to.
    pub digest: String,
    /// Null: it is not signed.
    pub author: Option<PluginAuthor>,
    pub active: bool,
    /// Why it is not used; null when it is.
    pub reason: Option<String>,
    /// Where `--dev` looks for a rebuilt package.
    pub dev: Option<String>,
    pub size_bytes: u64,
    pub tools: Vec<PluginTool>,
    pub wants: Vec<PluginWant>,
    pub credentials: Vec<PluginCredential>,
    /// The owner's grants, as tables of `plugin.toml` have them; what is in force is where they and the
    /// wishes meet.
    #[schema(value_type = Object)]
    pub granted: Json,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PluginAuthor {
    /// 100 bits of the key, to be compared by eye or ear.
    pub fingerprint: String,
    /// The ed25519 public key in hex.
    pub key: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PluginTool {
    /// As it is called, such as `web-fetch__fetch`.
    pub name: String,
    pub description: String,
    /// JSON Schema of the arguments.
    #[schema(value_type = Object)]
    pub parameters: Json,
}

/// An interface that a plugin asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PluginWant {
    pub interface: String,
    /// In its author's words.
    pub why: String,
    /// What it could do with all of it, in ours.
    pub meaning: String,
    /// The same as `plugin.toml` has it: `true`, or its table.
    #[schema(value_type = Object)]
    pub asks: Json,
    /// What it may do of that now; null: nothing.
    pub granted: Option<String>,
}

/// Something secret that the host puts into the plugin's requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PluginCredential {
    pub name: String,
    pub why: String,
    pub host: String,
    /// The owner gave it.
    pub given: bool,
}

/// What installing a package would mean.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PluginOffer {
    pub plugin: PluginEntry,
    /// `known`: signed by the author of the earlier ones of its name; `new`: this is the first;
    /// `other`: by somebody else than them; `unsigned`.
    pub trust: String,
    /// What is installed under its name.
    pub current: Option<PluginEntry>,
    /// Interfaces of which it asks more than was granted before; null when nothing was.
    pub more: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InstallRequest {
    /// Absolute path of a package.
    pub path: String,
    /// `"all"`, `"none"`, a list of interfaces, or grants as tables of `plugin.toml` have them.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub grant: Json,
    /// Take it unsigned, and a rebuilt one under the same path without asking.
    #[serde(default)]
    pub dev: bool,
    /// Take it from another author than before.
    #[serde(default)]
    pub new_author: bool,
    /// The digest that the owner saw; another one is refused.
    #[serde(default)]
    pub digest: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantRequest {
    /// As for installing. Absent: all that the plugin asks for.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub grant: Json,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeRequest {
    /// Absent: everything, and the yes to the plugin's use.
    #[serde(default)]
    pub interface: Option<String>,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretRequest {
    pub credential: String,
    pub value: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PluginCallRequest {
    /// Such as `web-fetch__fetch`.
    pub tool: String,
    /// An object; absent: an empty one.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub arguments: Json,
    /// Stream server-sent events instead of one JSON object.
    #[serde(default)]
    pub stream: bool,
}

/// What a call gave and did.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PluginCallResponse {
    pub tool: String,
    /// `ok`, or why it failed: `invalid_arguments`, `not_found`, `denied`, `unavailable`, `failed` by the
    /// tool's own word, `stopped` by the sandbox.
    pub status: String,
    /// Null when it went well.
    pub error: Option<String>,
    pub text: String,
    /// The same for programs, if the tool gives it.
    #[schema(value_type = Object)]
    pub data: Json,
    pub sources: Vec<Source>,
    pub log: Vec<LogLine>,
    /// Bytes of log lines that did not fit.
    pub log_dropped: u64,
    /// Guest and host together.
    pub micros: u64,
}

/// One server-sent event of a call; the SSE event name is the variant's name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PluginCallEvent {
    /// What the owner should see while it runs: how far it is, and what waits for a yes.
    Meanwhile {
        event: Box<OwnerEvent>,
    },
    Done(Box<PluginCallResponse>),
    Error(ErrorBody),
}
