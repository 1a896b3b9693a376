//! What waits for the owner's yes. A call that needs one waits here until somebody decides, its time is
//! over, or it is given up; doors show the list and carry decisions back. Nothing waits forever, only so
//! many wait at once, and whatever is not a yes is a no. This room decides nothing itself.

use crate::policy::{Rule, Target};
use crate::protocol::approvals::{Approval, DecideRequest, StandingRule};
use crate::store::{Store, StoreError};
use crate::types::Label;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{oneshot, watch};

/// Requests that may wait at once. An owner reads no longer list.
pub const MOST_WAITING: usize = 16;

/// What somebody wants a yes for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub plugin: String,
    /// Of the package, in hex.
    pub digest: String,
    pub tool: String,
    /// Empty when the owner called by hand.
    pub session: String,
    pub subject: Subject,
    /// Of everything that led to the request.
    pub label: Label,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    Action {
        target: Target,
        /// What would happen, as a sentence without its end.
        action: String,
        /// Why the owner is asked.
        reason: String,
        /// Exactly what would be sent or written.
        bytes: Vec<u8>,
    },
    /// A plugin's own question; without options it is one of yes or no.
    Question { question: String, options: Vec<String> },
}

/// How it was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Allow {
        always: bool,
    },
    /// The option of a question, from 0.
    Chosen(u32),
    /// The owner said no, or could not be asked; the sentence is for the plugin.
    Deny(String),
    /// Nobody answered in time.
    Unanswered,
}

/// Why a decision was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalsError {
    #[error("nothing with the id {0} waits for a decision: it was decided, or its time is over")]
    NotFound(String),
    #[error("a question is answered each time anew: leave `always` out")]
    NotAlways,
    #[error("there is no option {0} in this question")]
    NoOption(u32),
    #[error("there is no standing rule {0}: `familiar approvals` lists them")]
    NoRule(i64),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The waiting list; cheap to clone.
#[derive(Clone)]
pub struct Approvals {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    waiting: Mutex<BTreeMap<u64, Waiting>>,
    /// Grows with every change of the list. Doors that see it read the list again, and so miss nothing.
    changes: watch::Sender<u64>,
}

struct Waiting {
    approval: Approval,
    target: Option<Target>,
    answer: oneshot::Sender<Decision>,
}

/// A place in the list; left when this is dropped.
struct Place<'a> {
    inner: &'a Inner,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.inner.lock().remove(&self.number);
        self.inner.changed();
    }
}

impl Approvals {
    pub fn new(store: Store) -> Approvals {
        let changes = watch::Sender::new(0);
        Approvals { inner: Arc::new(Inner { store, waiting: Mutex::default(), changes }) }
    }

    /// Waits for the owner's decision, for `patience` at most. Dropping it withdraws the request.
    pub async fn ask(&self, request: Request, patience: Duration) -> Decision {
        let (answer, decided) = oneshot::channel();
        let Some(_place) = self.inner.enter(request, patience, answer) else {
            return Decision::Deny(format!("{MOST_WAITING} requests wait for the owner already"));
        };
        match tokio::time::timeout(patience, decided).await {
            Ok(Ok(decision)) => decision,
            Ok(Err(_)) | Err(_) => Decision::Unanswered,
        }
    }

    /// What waits, the longest first.
    pub fn pending(&self) -> Vec<Approval> {
        self.inner.lock().values().map(|waiting| waiting.approval.clone()).collect()
    }

    /// Changes whenever the list does.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Takes the owner's decision. A rule for "always" is on the disk before anything is allowed.
    pub async fn decide(&self, id: &str, request: &DecideRequest) -> Result<Approval, ApprovalsError> {
        let not_found = || ApprovalsError::NotFound(id.to_owned());
        let (approval, target) = {
            let waiting = self.inner.lock();
            let found = waiting.values().find(|waiting| waiting.approval.id == id).ok_or_else(not_found)?;
            (found.approval.clone(), found.target.clone())
        };
        let decision = decision(&approval, request)?;
        if let (Decision::Allow { always: true }, Some(target)) = (&decision, target) {
            let target = rule_text(&target);
            self.inner.store.add_rule(&approval.plugin, &approval.digest, &approval.tool, &target).await?;
        }
        self.inner.answer(id, decision).ok_or_else(not_found)?;
        Ok(approval)
    }

    /// What the owner allowed once for all, the oldest first.
    pub async fn rules(&self) -> Result<Vec<StandingRule>, StoreError> {
        let rules = self.inner.store.rules().await?;
        let shown = rules.into_iter().filter_map(|(id, plugin, digest, tool, target, made)| {
            let target: Target = serde_json::from_str(&target).ok()?;
            let (kind, destination) = shown(&target);
            Some(StandingRule { id, plugin, digest, tool, kind: kind.into(), destination, made })
        });
        Ok(shown.collect())
    }

    /// The rules of one package, for policy. One that is not understood allows nothing.
    pub async fn rules_of(&self, digest: &str) -> Result<Vec<Rule>, StoreError> {
        let rules = self.inner.store.rules().await?;
        let understood = rules.into_iter().filter(|rule| rule.2 == digest).filter_map(
            |(_, plugin, digest, tool, target, _)| {
                let target = serde_json::from_str(&target).ok()?;
                Some(Rule { plugin, digest, tool, target })
            },
        );
        Ok(understood.collect())
    }

    /// Takes a rule back: from now on the owner is asked again.
    pub async fn remove_rule(&self, id: i64) -> Result<(), ApprovalsError> {
        if self.inner.store.remove_rule(id).await? { Ok(()) } else { Err(ApprovalsError::NoRule(id)) }
    }
}

impl Inner {
    /// Puts a request on the list, unless the list is full.
    fn enter(
        &self,
        request: Request,
        patience: Duration,
        answer: oneshot::Sender<Decision>,
    ) -> Option<Place<'_>> {
        let mut waiting = self.lock();
        if waiting.len() >= MOST_WAITING {
            return None;
        }
        let number = waiting.last_key_value().map_or(0, |(number, _)| number + 1);
        let target = match &request.subject {
            Subject::Action { target, .. } => Some(target.clone()),
            Subject::Question { .. } => None,
        };
        waiting.insert(number, Waiting { approval: approval(request, patience), target, answer });
        drop(waiting);
        self.changed();
        Some(Place { inner: self, number })
    }

    fn answer(&self, id: &str, decision: Decision) -> Option<()> {
        let mut waiting = self.lock();
        let number = *waiting.iter().find(|(_, waiting)| waiting.approval.id == id)?.0;
        let found = waiting.remove(&number)?;
        drop(waiting);
        self.changed();
        found.answer.send(decision).ok()
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Waiting>> {
        self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn decision(approval: &Approval, request: &DecideRequest) -> Result<Decision, ApprovalsError> {
    if request.allow && request.always && !approval.always {
        return Err(ApprovalsError::NotAlways);
    }
    match request.choice {
        _ if !request.allow => Ok(Decision::Deny("the owner said no".into())),
        Some(n) if (n as usize) < approval.options.len() => Ok(Decision::Chosen(n)),
        Some(n) => Err(ApprovalsError::NoOption(n)),
        None if approval.options.is_empty() => Ok(Decision::Allow { always: request.always }),
        None => Err(ApprovalsError::NoOption(0)),
    }
}

fn approval(request: Request, patience: Duration) -> Approval {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    let mut approval = Approval {
        id: fresh_id(),
        plugin: request.plugin,
        digest: request.digest,
        tool: request.tool,
        session: request.session,
        kind: "question".into(),
        action: String::new(),
        reason: String::new(),
        destination: String::new(),
        content: None,
        content_hex: None,
        sources: request.label.sources.iter().cloned().collect(),
        untrusted: request.label.untrusted,
        private: request.label.private,
        always: false,
        options: Vec::new(),
        asked: now,
        expires: now + patience.as_secs() as i64,
    };
    match request.subject {
        Subject::Action { target, action, reason, bytes } => {
            let (kind, destination) = shown(&target);
            approval.kind = kind.into();
            approval.destination = destination;
            approval.action = action;
            approval.reason = reason;
            approval.always = true;
            match String::from_utf8(bytes) {
                Ok(text) => approval.content = Some(text),
                Err(error) => approval.content_hex = Some(hex(error.as_bytes())),
            }
        }
        Subject::Question { question, options } => {
            approval.action = question;
            approval.options = options;
        }
    }
    approval
}

/// A target in words: its kind and where it goes.
fn shown(target: &Target) -> (&'static str, String) {
    match target {
        Target::Egress { method, host, credential: None } => ("egress", format!("{method} {host}")),
        Target::Egress { method, host, credential: Some(name) } => {
            ("egress", format!("{method} {host} with your credential {name}"))
        }
        Target::Write { key } => ("write", key.clone()),
        Target::Schedule => ("schedule", "notices on this machine".into()),
    }
}

/// How a target is stored. Its fields have one order, so that the same is never stored twice.
fn rule_text(target: &Target) -> String {
    serde_json::to_string(target).unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 35 random bits, 5 to a character: short enough to type, and never the id of something else that was
/// shown a while ago. `RandomState` is seeded by the system.
fn fresh_id() -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let random = RandomState::new().build_hasher().finish();
    (0..7).map(|place| DIGITS[(random >> (place * 5)) as usize & 31] as char).collect()
}

#[cfg(test)]
mod tests;
