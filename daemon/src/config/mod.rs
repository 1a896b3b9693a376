//! Settings: what the owner may write in `config.toml`, with its defaults and limits. Parsing and
//! validation are pure; only [`paths`] looks at the environment. Unknown keys are refused by name and line.
//! The limits stand on the fields below and nowhere else: validation reads them from the JSON Schema.

mod check;
mod edit;
mod hours;
mod learn;
mod load;
pub mod paths;
#[cfg(test)]
mod tests;

pub use edit::{set_learning, set_model};
pub use hours::{Hours, HoursError};
pub use learn::{GateConfig, LearnConfig, SOURCES};
pub use load::{ConfigError, Loaded, Origin, Problem, Setting, load, schema};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// In place of an adapter's name: the generation that learned from the owner and serves now.
pub const PERSONAL: &str = "personal";

/// All settings. Every field has a default, so an absent file is a valid one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub model: ModelConfig,
    pub ask: AskConfig,
    pub index: IndexConfig,
    pub plugins: PluginsConfig,
    pub learn: LearnConfig,
    pub desktop: DesktopConfig,
    pub log: LogConfig,
}

/// The model that answers, and how it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// Name of an imported model (`familiar model list`); `ember` is the embedded one.
    pub name: String,
    /// What the model has learned: `personal` is what it learned from you, whichever generation serves; the name of an
    /// adapter in the adapters folder, or a path; `none` is the model as it is.
    pub adapter: String,
    /// Context in tokens for each conversation; 0 = the model's own, at most 8192.
    #[schemars(range(max = 1048576))]
    pub context: u32,
    /// CPU threads; 0 = all cores, or one for a small model, which is faster so.
    #[schemars(range(max = 1024))]
    pub threads: u32,
    /// Layers to put on the GPU where a GPU backend is built in; 999 = all.
    #[schemars(range(max = 999))]
    pub gpu_layers: u32,
    /// Conversations decoded at the same time.
    #[schemars(range(min = 1, max = 64))]
    pub parallel: u32,
    /// Seconds without a request after which the model's memory is given back; 0 = at once.
    #[schemars(range(max = 31536000))]
    pub keep_alive_s: u64,
}

impl Default for ModelConfig {
    fn default() -> Self {
        ModelConfig {
            name: "ember".into(),
            adapter: PERSONAL.into(),
            context: 0,
            threads: 0,
            gpu_layers: 999,
            parallel: 2,
            keep_alive_s: 300,
        }
    }
}

/// How questions are answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AskConfig {
    /// Passages put in front of a question; 0 turns retrieval off.
    #[schemars(range(max = 64))]
    pub passages: u32,
    /// Characters of each passage.
    #[schemars(range(min = 100, max = 100000))]
    pub passage_chars: u32,
    /// Tokens an answer may have.
    #[schemars(range(min = 1, max = 65536))]
    pub max_tokens: u32,
    /// Tool calls one question may cause.
    #[schemars(range(max = 64))]
    pub max_tool_calls: u32,
    /// 0 = always the likeliest word; higher is more varied.
    #[schemars(range(min = 0, max = 2))]
    pub temperature: f32,
}

impl Default for AskConfig {
    fn default() -> Self {
        AskConfig { passages: 6, passage_chars: 1200, max_tokens: 512, max_tool_calls: 6, temperature: 0.0 }
    }
}

/// What is indexed. The hard-denied places (keys, keyrings, browser profiles, password stores) cannot be allowed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IndexConfig {
    /// Patterns in the .gitignore language, left out below every indexed folder.
    pub exclude: Vec<String>,
    /// Index hidden files and folders too.
    pub hidden: bool,
    /// Files larger than this many bytes are listed as failed, not read.
    #[schemars(range(min = 1, max = 1099511627776_u64))]
    pub max_file_bytes: u64,
    /// Share, in percent, of the user's inotify watches that may be used.
    #[schemars(range(max = 100))]
    pub watch_percent: u32,
    /// Seconds between looks at folders that could not be watched.
    #[schemars(range(min = 1, max = 86400))]
    pub poll_s: u64,
}

impl Default for IndexConfig {
    fn default() -> Self {
        IndexConfig {
            exclude: Vec::new(),
            hidden: false,
            max_file_bytes: 32 << 20,
            watch_percent: 50,
            poll_s: 60,
        }
    }
}

/// What plugins may use at most, whatever they were granted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PluginsConfig {
    /// Seconds that one call may take, not counting the wait for the owner's yes.
    #[schemars(range(min = 1, max = 3600))]
    pub call_s: u64,
    /// MiB of memory that one call may use.
    #[schemars(range(min = 1, max = 1024))]
    pub memory_mb: u64,
    /// Seconds that a call waits for the owner's yes; then the answer is no.
    #[schemars(range(min = 1, max = 86400))]
    pub approval_s: u64,
    /// Let plugins that were granted it reach the web. `false` cuts all of them off.
    pub http: bool,
    /// Hosts of one's own network (`192.168.1.5:8123`, `nas.home`) that a plugin may be granted. All other
    /// private addresses are always refused.
    pub private_hosts: Vec<String>,
}

impl Default for PluginsConfig {
    fn default() -> Self {
        PluginsConfig { call_s: 30, memory_mb: 64, approval_s: 300, http: true, private_hosts: Vec::new() }
    }
}

/// What the desktop may reach over the session's D-Bus. Read when the daemon starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DesktopConfig {
    /// Be `org.familiar.Agent` on the session's bus, where there is one.
    pub dbus: bool,
    /// Find your files in the search of GNOME and KDE.
    pub search_providers: bool,
    /// Show what waits for your yes, and what plugins tell you, as notifications.
    pub notifications: bool,
    /// Tell in a notification when something new was learned.
    pub tell_learned: bool,
}

impl Default for DesktopConfig {
    fn default() -> Self {
        DesktopConfig { dbus: true, search_providers: true, notifications: true, tell_learned: false }
    }
}

/// What the daemon writes to its log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,familiar::index=debug`.
    pub level: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig { level: "info".into() }
    }
}
