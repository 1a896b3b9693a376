//! What plugins ask for, carried out: each use of an import is judged by policy with the label of all that
//! the call knows, put to the owner where policy says so, and on record before it happens. What the plugin
//! learns by it joins the call's label. The arms are in the files beside this one.

use super::notices::Notices;
use super::{clock, files, model, notices, owner, values, web};
use crate::approvals::{Approvals, Decision, Request, Subject};
use crate::audit::{Audit, Entry, Trace};
use crate::config::Config;
use crate::egress::Egress;
use crate::engine::Engine;
use crate::index::Index;
use crate::plugins::{Calling, HostServices, Plugins};
use crate::policy::{self, Caller, Effect, Known, Target};
use crate::protocol::approvals::ProgressReport;
use crate::protocol::plugins::{Answer, Ask, Refusal};
use crate::store::Store;
use crate::types::{Label, Passage};
use futures::future::BoxFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{broadcast, watch};

/// Passages that one call may cite as its sources.
const MOST_FOUND: usize = 500;
/// Characters of a report on progress.
const LONGEST_PROGRESS: usize = 300;
/// Times that the owner may say no to one call before it may ask no more.
const MOST_NOES: u32 = 3;

/// The rooms behind the imports.
pub struct House {
    pub index: Index,
    pub engine: Engine,
    pub store: Store,
    pub approvals: Approvals,
    pub audit: Audit,
    pub egress: Egress,
    pub notices: Notices,
    /// A lossy channel will do: the next report says more than the last.
    pub progress: broadcast::Sender<ProgressReport>,
    pub config: watch::Receiver<Arc<Config>>,
    /// Keeps the credentials.
    pub plugins: Plugins,
}

/// The services of one call: what it was shown is remembered for its result.
#[derive(Clone)]
pub struct Services {
    pub house: Arc<House>,
    seen: Arc<Mutex<Seen>>,
}

/// What one call was shown.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Passages that search gave, which its output may name as sources.
    pub passages: Vec<Passage>,
    pub label: Label,
}

/// An effect for policy and the owner to judge.
pub struct Proposal<'a> {
    pub effect: Effect,
    /// What would happen, for the owner: "send a request to example.org".
    pub action: String,
    /// Exactly what would be sent or written.
    pub bytes: &'a [u8],
}

impl Services {
    pub fn new(house: Arc<House>) -> Services {
        Services { house, seen: Arc::default() }
    }

    /// What the call was shown until now.
    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    pub(super) fn found(&self, passages: impl IntoIterator<Item = Passage>) {
        let mut seen = self.lock();
        let room = MOST_FOUND.saturating_sub(seen.passages.len());
        seen.passages.extend(passages.into_iter().take(room));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    async fn carry_out(&self, calling: &Arc<Calling>, ask: Ask) -> Result<Answer, Refusal> {
        match ask {
            Ask::Now => Ok(clock::now()),
            Ask::LocalOffset { at } => Ok(Answer::Offset(clock::local_offset(at))),
            Ask::KvGet { key } => values::get(self, calling, &key).await,
            Ask::KvSet { key, value } => values::set(self, calling, key, value).await,
            Ask::KvSwap { key, old, new } => values::swap(self, calling, key, old, new).await,
            Ask::KvDelete { key } => values::delete(self, calling, &key).await,
            Ask::KvKeys { prefix } => values::keys(self, calling, &prefix).await,
            Ask::Find { query, limit } => files::find(self, calling, &query, limit).await,
            Ask::Files { suffix, after } => files::list(self, calling, &suffix, after).await,
            Ask::Read { path, start, length } => files::read(self, calling, &path, start, length).await,
            Ask::Generate(request) => model::text(self, calling, request).await,
            Ask::Send(request) => web::send(self, calling, request).await,
            Ask::Notify(notice) => notices::tell(self, calling, notice).await,
            Ask::Schedule { notice, at } => notices::schedule(self, calling, notice, at).await,
            Ask::Unschedule { id } => notices::unschedule(self, calling, &id).await,
            Ask::Pending => notices::pending(self, calling).await,
            Ask::Confirm { question } => owner::confirm(self, calling, question).await,
            Ask::Choose { question, options } => owner::choose(self, calling, question, options).await,
            Ask::Progress { done, total, message } => {
                let message = message.chars().take(LONGEST_PROGRESS).collect();
                let (plugin, session) = (calling.plugin.clone(), calling.session.clone());
                // Nobody may be looking.
                let _ = self.house.progress.send(ProgressReport { plugin, session, done, total, message });
                Ok(Answer::Done)
            }
        }
    }

    /// Has policy, and where it says so the owner, decide. Gives what allowed it, for the record.
    ///
    /// # Errors
    /// Why not, for the plugin.
    pub(super) async fn permit(
        &self,
        calling: &Calling,
        proposal: Proposal<'_>,
    ) -> Result<&'static str, Refusal> {
        let Proposal { effect, action, bytes } = proposal;
        let house = &self.house;
        let target = effect.target();
        let rules = match &target {
            Some(_) => house.approvals.rules_of(&calling.digest).await.map_err(failed)?,
            None => Vec::new(),
        };
        let caller = Caller::Plugin { digest: &calling.digest, tool: &calling.tool, grants: &calling.grants };
        let roots = house.index.roots();
        let label = calling.label();
        let decide = |rules| policy::check(caller, &effect, &label, Known { roots: &roots, rules });
        match (decide(&rules), target) {
            (policy::Decision::Allow, Some(_)) => match decide(&[]) {
                policy::Decision::Allow => Ok("policy"),
                policy::Decision::Ask(_) | policy::Decision::Deny(_) => Ok("rule"),
            },
            (policy::Decision::Allow, None) => Ok("policy"),
            (policy::Decision::Ask(reason), Some(target)) => {
                let subject = Subject::Action { target, action, reason, bytes: bytes.to_vec() };
                match self.ask_owner(calling, subject, bytes).await? {
                    Decision::Allow { always: true } => Ok("always"),
                    Decision::Allow { always: false } | Decision::Chosen(_) => Ok("once"),
                    Decision::Deny(why) => Err(Refusal::Denied(why)),
                    Decision::Unanswered => {
                        Err(Refusal::Denied("nobody answered in time whether it may be done".into()))
                    }
                }
            }
            (policy::Decision::Ask(reason), None) => self.refuse(calling, &effect, reason).await,
            (policy::Decision::Deny(reason), _) => self.refuse(calling, &effect, reason).await,
        }
    }

    async fn refuse<T>(&self, calling: &Calling, effect: &Effect, reason: String) -> Result<T, Refusal> {
        let entry = Entry::Denied {
            plugin: calling.plugin.clone(),
            tool: calling.tool.clone(),
            action: named(effect).into(),
        };
        self.record(entry).await?;
        Err(Refusal::Denied(reason))
    }

    /// Puts something to the owner, and the decision on record.
    pub(super) async fn ask_owner(
        &self,
        calling: &Calling,
        subject: Subject,
        about: &[u8],
    ) -> Result<Decision, Refusal> {
        if calling.noes() >= MOST_NOES {
            let why = format!("the owner said no {MOST_NOES} times; this call may not ask again");
            return Err(Refusal::Denied(why));
        }
        let action = match &subject {
            Subject::Action { target: Target::Egress { .. }, .. } => "egress",
            Subject::Action { target: Target::Write { .. }, .. } => "write",
            Subject::Action { target: Target::Schedule, .. } => "schedule",
            Subject::Question { .. } => "question",
        };
        let request = Request {
            plugin: calling.plugin.clone(),
            digest: calling.digest.clone(),
            tool: calling.tool.clone(),
            session: calling.session.clone(),
            subject,
            label: calling.label(),
        };
        let patience = Duration::from_secs(self.house.config.borrow().plugins.approval_s);
        let decision = {
            let _clock_stands_still = calling.wait();
            self.house.approvals.ask(request, patience).await
        };
        if matches!(decision, Decision::Deny(_) | Decision::Unanswered) {
            calling.refused();
        }
        let word = match &decision {
            Decision::Allow { always: true } => "always",
            Decision::Allow { always: false } => "once",
            Decision::Chosen(_) => "chosen",
            Decision::Deny(_) => "denied",
            Decision::Unanswered => "unanswered",
        };
        let entry = Entry::Approval {
            plugin: calling.plugin.clone(),
            tool: calling.tool.clone(),
            action: action.into(),
            about: Trace::of(about),
            decision: word.into(),
        };
        self.record(entry).await?;
        Ok(decision)
    }

    /// Puts something on record; where that fails, it must not be done.
    pub(super) async fn record(&self, entry: Entry) -> Result<(), Refusal> {
        self.house.audit.append(entry).await.map_err(failed)
    }

    /// Records a write that is about to be done.
    pub(super) async fn record_write(
        &self,
        calling: &Calling,
        action: &str,
        (key, value): (&[u8], &[u8]),
        allowed: &str,
    ) -> Result<(), Refusal> {
        self.record(Entry::Write {
            plugin: calling.plugin.clone(),
            tool: calling.tool.clone(),
            action: action.into(),
            key: Trace::of(key),
            value: Trace::of(value),
            allowed: allowed.into(),
        })
        .await
    }
}

impl HostServices for Services {
    fn answer(&self, calling: Arc<Calling>, ask: Ask) -> BoxFuture<'static, Answer> {
        let services = self.clone();
        Box::pin(async move {
            let answer = services.carry_out(&calling, ask).await.unwrap_or_else(Answer::Refused);
            services.lock().label.join(&calling.label());
            answer
        })
    }
}

/// The call was told something that is the owner's alone, be it only that there is nothing.
pub(super) fn learn_private(calling: &Calling, what: &str) {
    calling.learned(&Label { private: true, sources: [what.to_owned()].into(), ..Label::owner() });
}

/// Trouble of our own, in words for the plugin.
pub(super) fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::Failed(error.to_string())
}

/// The word for an effect in the audit log.
fn named(effect: &Effect) -> &'static str {
    match effect {
        Effect::Search => "search",
        Effect::Read(_) => "read",
        Effect::Look => "look",
        Effect::Keep { .. } => "write",
        Effect::Egress { .. } => "egress",
        Effect::Tell { .. } => "notice",
        Effect::AskOwner => "question",
        Effect::Spend { .. } => "generate",
        Effect::Schedule => "schedule",
        Effect::Unknown(_) => "unknown",
    }
}
