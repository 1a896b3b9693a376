//! The only place that executes a tool: after policy, with the owner's yes where policy asks for it, and on
//! record before anything happens. A failure comes back as data for the model. Never talks to a model but
//! at a plugin's service.

mod builtin;
mod clock;
mod files;
mod model;
mod notices;
mod owner;
mod services;
mod values;
mod watch;
mod web;

pub use watch::{Watch, entry as notice_entry};

use crate::agent::{ToolOutcome, ToolStatus};
use crate::approvals::{Approvals, ApprovalsError};
use crate::audit::{Audit, AuditError, Entry, Trace};
use crate::config::Config;
use crate::egress::Egress;
use crate::engine::Engine;
use crate::index::Index;
use crate::plugins::{CallLimits, Plugins, PluginsError};
use crate::protocol::plugins::{Called, Limits, Output, Source, ToolError};
use crate::store::{Store, StoreError, StoredNotice};
use crate::types::{Label, Origin, Passage, ToolCall, ToolSpec};
use notices::Notices;
use services::{House, Seen, Services};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{broadcast, watch as channel};

/// Tools that a model is offered: more than a grammar can be made of would stop all of them.
const MOST_TOOLS: usize = 64;
/// Sources of one call that an answer may cite.
const MOST_SOURCES: usize = 20;
/// Progress reports that may wait for a slow door.
const BACKLOG: usize = 64;

/// The rooms that tools reach.
pub struct Rooms {
    pub index: Index,
    pub engine: Engine,
    pub store: Store,
    pub approvals: Approvals,
    pub audit: Audit,
    pub plugins: Plugins,
    pub config: channel::Receiver<Arc<Config>>,
}

/// Why a tool could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum ToolsError {
    #[error(transparent)]
    Plugins(#[from] PluginsError),
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// Executes tools; cheap to clone.
#[derive(Clone)]
pub struct Tools {
    house: Arc<House>,
    language: Arc<str>,
    calls: Arc<AtomicU64>,
}

impl Tools {
    /// Must be called inside a tokio runtime: planned notices are sent from then on.
    pub fn new(rooms: Rooms) -> Tools {
        let Rooms { index, engine, store, approvals, audit, plugins, config } = rooms;
        let notices = Notices::new(store.clone());
        tokio::spawn(notices.clone().keep_sending());
        let (progress, _) = broadcast::channel(BACKLOG);
        let egress = Egress::new();
        let house =
            House { index, engine, store, approvals, audit, egress, notices, progress, config, plugins };
        let language = language(|name| std::env::var(name).ok()).into();
        Tools { house: Arc::new(house), language, calls: Arc::default() }
    }

    /// The tools a model is offered: Familiar's own, if they are wanted, and those of the plugins in use.
    pub async fn specs(&self, own: bool) -> Vec<ToolSpec> {
        let plugins = self.house.plugins.clone();
        let of_plugins = tokio::task::spawn_blocking(move || plugins.tools()).await.unwrap_or_default();
        let mut specs = if own { builtin::specs() } else { Vec::new() };
        specs.extend(of_plugins);
        if specs.len() > MOST_TOOLS {
            tracing::warn!("{} tools are installed, and the model is offered {MOST_TOOLS}", specs.len());
            specs.truncate(MOST_TOOLS);
        }
        specs
    }

    /// Carries out a model's call. `label` is that of everything the model had read when it wrote it.
    pub async fn execute(&self, call: &ToolCall, session: &str, label: &Label) -> ToolOutcome {
        if call.name.contains("__") {
            let (called, seen) = self.run(call, session, label.clone()).await;
            return outcome(called, seen, &call.name, label);
        }
        let on_record = match self.begin(call, None, session, label).await {
            Ok(on_record) => on_record,
            Err(error) => return ToolOutcome::failed(error.to_string()),
        };
        let outcome = builtin::execute(&self.house.index, call, label).await;
        on_record.end(outcome.status.as_str(), outcome.text.as_bytes()).await;
        outcome
    }

    /// Runs a plugin's tool by the owner's own hand: its arguments are the owner's words.
    ///
    /// # Errors
    /// [`ToolsError`], if nothing was run; a tool's own failure is part of [`Called`].
    pub async fn call_by_hand(&self, name: &str, arguments: &str) -> Result<Called, ToolsError> {
        let call = ToolCall { id: String::new(), name: name.into(), arguments: arguments.into() };
        self.run(&call, "", Label::owner()).await.0
    }

    /// Requests for a yes, notices and progress as they come: of one conversation, or all of them.
    pub async fn watch(&self, session: Option<&str>) -> Watch {
        Watch::open(self.house.clone(), session.map(str::to_owned)).await
    }

    /// Notices that were sent, the last one first, and those that are planned, the next one first.
    pub async fn notices(&self, most: usize) -> Result<(Vec<StoredNotice>, Vec<StoredNotice>), StoreError> {
        self.house.notices.list(most).await
    }

    /// Takes back what was allowed once for all.
    pub async fn remove_rule(&self, id: i64) -> Result<(), ApprovalsError> {
        self.house.approvals.remove_rule(id).await?;
        if let Err(error) = self.house.audit.append(Entry::Rule { rule: id, change: "removed".into() }).await
        {
            // It only takes something away: better done and not on record than not done.
            tracing::warn!("{error}");
        }
        Ok(())
    }

    /// Forgets what a plugin kept, planned and was allowed once for all.
    pub async fn forget(&self, plugin: &str) -> Result<(), StoreError> {
        self.house.store.forget_plugin(plugin).await
    }

    async fn run(&self, call: &ToolCall, session: &str, label: Label) -> (Result<Called, ToolsError>, Seen) {
        let (plugins, name) = (self.house.plugins.clone(), call.name.clone());
        let found = tokio::task::spawn_blocking(move || plugins.find(&name)).await.ok().flatten();
        let digest = found.and_then(|(plugin, _)| plugin.record).map(|record| record.digest);
        let on_record = match self.begin(call, digest, session, &label).await {
            Ok(on_record) => on_record,
            Err(error) => return (Err(error.into()), Seen::default()),
        };
        let services = Services::new(self.house.clone());
        let limits = self.limits();
        let (name, arguments, language) = (&call.name, &call.arguments, &self.language);
        let host = Arc::new(services.clone());
        let called = self.house.plugins.call(name, arguments, session, language, label, host, limits).await;
        let (status, text) = match &called {
            Ok(Called { result: Ok(output), .. }) => ("ok", output.text.clone()),
            Ok(Called { result: Err(ToolError::Denied(why)), .. }) => ("denied", why.clone()),
            Ok(Called { result: Err(error), .. }) => ("failed", error.to_string()),
            Err(error) => (status_of(error).as_str(), error.to_string()),
        };
        on_record.end(status, text.as_bytes()).await;
        (called.map_err(ToolsError::from), services.seen())
    }

    fn limits(&self) -> CallLimits {
        let settings = &self.house.config.borrow().plugins;
        let limits = Limits { memory: settings.memory_mb << 20, ..Limits::default() };
        CallLimits { deadline: Duration::from_secs(settings.call_s), limits }
    }

    async fn begin(
        &self,
        call: &ToolCall,
        digest: Option<String>,
        session: &str,
        label: &Label,
    ) -> Result<OnRecord, AuditError> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let (name, tool) = (format!("{}-{number}", std::process::id()), call.name.clone());
        let entry = Entry::Call {
            call: name.clone(),
            tool: tool.clone(),
            digest,
            session: session.into(),
            arguments: Trace::of(&call.arguments),
            untrusted: label.untrusted,
            private: label.private,
        };
        self.house.audit.append(entry).await?;
        Ok(OnRecord { audit: self.house.audit.clone(), call: name, tool, ended: false })
    }
}

/// A call that is on record and has not ended yet. One that is given up is recorded as cancelled.
struct OnRecord {
    audit: Audit,
    call: String,
    tool: String,
    ended: bool,
}

impl OnRecord {
    async fn end(mut self, status: &str, output: &[u8]) {
        self.ended = true;
        // The call is over: that its end is not on record changes nothing for the caller.
        if let Err(error) = self.audit.append(self.entry(status, output)).await {
            tracing::warn!("{error}");
        }
    }

    fn entry(&self, status: &str, output: &[u8]) -> Entry {
        let (call, tool) = (self.call.clone(), self.tool.clone());
        Entry::Ended { call, tool, status: status.into(), output: Trace::of(output) }
    }
}

impl Drop for OnRecord {
    fn drop(&mut self) {
        if !self.ended
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (audit, entry) = (self.audit.clone(), self.entry("cancelled", &[]));
            runtime.spawn(async move {
                if let Err(error) = audit.append(entry).await {
                    tracing::warn!("{error}");
                }
            });
        }
    }
}

/// A plugin's result as the agent is told of it. Its text is a plugin's, whatever it was made from.
fn outcome(called: Result<Called, ToolsError>, seen: Seen, name: &str, label: &Label) -> ToolOutcome {
    let called = match called {
        Ok(called) => called,
        Err(ToolsError::Plugins(error)) => {
            return ToolOutcome { status: status_of(&error), ..ToolOutcome::failed(error.to_string()) };
        }
        Err(error) => return ToolOutcome::failed(error.to_string()),
    };
    let plugin = name.split("__").next().unwrap_or(name);
    let mut label = label.clone();
    label.join(&seen.label);
    label.join(&Label::from(Origin::Plugin, plugin));
    match called.result {
        Ok(output) => {
            let passages = sources(&output, &seen.passages);
            ToolOutcome { status: ToolStatus::Ok, text: output.text, passages, label }
        }
        Err(ToolError::Denied(why)) => ToolOutcome { label, ..ToolOutcome::denied(why) },
        Err(error) => ToolOutcome { label, ..ToolOutcome::failed(error.to_string()) },
    }
}

fn status_of(error: &PluginsError) -> ToolStatus {
    match error {
        PluginsError::NoTool(_) | PluginsError::NotInstalled(_) | PluginsError::Inactive { .. } => {
            ToolStatus::Denied
        }
        _ => ToolStatus::Failed,
    }
}

/// The places that an output names, among those that search gave to that very call.
fn sources(output: &Output, found: &[Passage]) -> Vec<Passage> {
    let mut passages: Vec<Passage> = Vec::new();
    for source in output.sources.iter().take(MOST_SOURCES) {
        let holds = |passage: &&Passage| {
            passage.path == source.path && passage.start <= source.start && source.end <= passage.end
        };
        if let Some(passage) = found.iter().find(holds) {
            let part = part(passage, source);
            if !passages.contains(&part) {
                passages.push(part);
            }
        }
    }
    passages
}

/// The named part of a passage, where bytes of the file are bytes of its text; else all of it.
fn part(passage: &Passage, source: &Source) -> Passage {
    let same_bytes = passage.end - passage.start == passage.text.len() as u64;
    let (from, to) =
        ((source.start - passage.start) as usize, (source.end.max(source.start) - passage.start) as usize);
    match passage.text.get(from..to) {
        Some(text) if same_bytes && !text.is_empty() => {
            let breaks = passage.text[..from].bytes().filter(|byte| *byte == b'\n').count() as u32;
            let (start, end) = (source.start, source.end);
            Passage { text: text.into(), start, end, line: passage.line + breaks, ..passage.clone() }
        }
        _ => passage.clone(),
    }
}

/// The owner's language as a BCP 47 tag, from the locale that the daemon was started with.
fn language(variable: impl Fn(&str) -> Option<String>) -> String {
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()));
    let locale = locale.unwrap_or_default();
    let tag = locale.split(['.', '@']).next().unwrap_or_default().replace('_', "-");
    let good = tag.len() >= 2 && tag != "POSIX" && tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if good { tag } else { "en".into() }
}

#[cfg(test)]
mod tests;
