//! The one decision: may this call have this effect? It goes by three things: what the owner granted to
//! whoever calls, where the text came from that led there (its [`Label`]), and what the owner allowed
//! once for all. Pure, and without a wildcard arm: an effect that is not listed here does not compile,
//! and a tool whose name is not known is denied.
//!
//! Why so: detectors of injected instructions fall to whoever adapts to them, while a rule that stands
//! outside the model cannot be talked over (Debenedetti et al., CaMeL, arXiv 2503.18813; Costa et al.,
//! FIDES, arXiv 2505.23643). The index holds the owner's private text *and* text that anybody wrote, so
//! of the three that make an attack (untrusted text, private data, a way out) two are always there, and
//! the ways out and the writes are what is guarded.

use super::deny;
use super::grants::Grants;
use crate::types::Label;
use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};

/// Notices that one plugin may send within an hour. More than that is noise, or somebody's trick.
pub const NOTICES_AN_HOUR: u32 = 30;

/// What a call would do to the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Search text that is already in the owner's index, or list its files.
    Search,
    /// Read one file.
    Read(PathBuf),
    /// Look at what the plugin keeps itself, at the clock, at what the owner was told.
    Look,
    /// Change or delete one of the values that the plugin keeps.
    Keep { key: String },
    /// Send bytes to a host, which is `name` or `name:port`, behind `http://` where nothing is encrypted;
    /// with a credential of the owner's, by the name that the manifest gives it.
    Egress { method: String, host: String, credential: Option<String>, bytes: u64 },
    /// Show a notice on this machine; `recent` were shown for this plugin within the last hour.
    Tell { recent: u32 },
    /// Ask the owner a question.
    AskOwner,
    /// Have the model write; `left` is what remains of the call's tokens.
    Spend { tokens: u32, left: u32 },
    /// Plan a notice for later, or take one back.
    Schedule,
    /// A tool that nobody knows.
    Unknown(String),
}

/// Who would have the effect.
#[derive(Debug, Clone, Copy)]
pub enum Caller<'a> {
    /// A tool of Familiar's own, which reads and nothing else.
    BuiltIn,
    Plugin {
        /// Of the package, in hex.
        digest: &'a str,
        tool: &'a str,
        /// Where manifest and owner agree.
        grants: &'a Grants,
    },
}

/// What else a decision is made on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// Folders and files that the owner added to the index: adding them is the consent to read below.
    pub roots: &'a [PathBuf],
    /// What the owner allowed once for all.
    pub rules: &'a [Rule],
}

/// "Always, for exactly this." It is bound to the package's digest: a changed plugin is asked about
/// again. There are no patterns in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rule {
    pub plugin: String,
    pub digest: String,
    pub tool: String,
    pub target: Target,
}

/// The one thing that a rule, or a yes, speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Target {
    /// Requests with this method to this host, as [`Effect::Egress`] has it, with this credential or none.
    Egress {
        method: String,
        host: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credential: Option<String>,
    },
    /// This value of the plugin's own.
    Write { key: String },
    /// Notices to the owner, later.
    Schedule,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Allow,
    /// Only with the owner's yes. The reason is a sentence for the owner.
    Ask(String),
    /// The reason is a sentence for the model and the audit.
    Deny(String),
}

/// Decides on one effect of one call. `label` is that of everything the call was made from.
///
/// - *Nothing without a grant.* What the owner did not agree to is denied whatever the label says: the
///   label tells whether text was trustworthy, not what a plugin is for.
/// - *Reading and searching need no yes.* They only make the label grow, and what is learned so is stopped
///   where it would go out or change something. To ask here would train owners to say yes.
/// - *Egress needs a yes when the label is untrusted or private.* Untrusted: somebody else may have chosen
///   the bytes and the host. Private: the owner's own text would leave, even if nobody meant harm. What the
///   owner typed themselves goes where they granted it to go.
/// - *A write needs a yes when the label is untrusted.* Somebody else may have chosen the words, and they
///   would be read again later, as if they were the owner's (memory poisoning). Private text may be kept:
///   it stays on this machine, under its label.
/// - *A plan for later is a write*: it speaks to the owner at a time when nobody remembers why.
/// - *Notices on this machine need no yes*: they go to the owner alone and change nothing. There is a limit
///   on how many an hour, so that they cannot be used to weary the owner.
/// - *A question to the owner needs no yes*, being one.
/// - *The model's time* is bounded by the tokens granted for a call; nothing leaves by it.
/// - *A standing rule* answers instead of the owner where it names exactly this.
pub fn check(caller: Caller, effect: &Effect, label: &Label, known: Known) -> Decision {
    if let Err(reason) = granted(caller, effect) {
        return Decision::Deny(reason);
    }
    match effect {
        Effect::Search | Effect::Look | Effect::AskOwner => Decision::Allow,
        Effect::Read(path) => read(path, known.roots),
        Effect::Egress { .. } if label.untrusted || label.private => {
            ask_unless_ruled(caller, effect, label, known)
        }
        Effect::Egress { .. } => Decision::Allow,
        Effect::Keep { .. } | Effect::Schedule if label.untrusted => {
            ask_unless_ruled(caller, effect, label, known)
        }
        Effect::Keep { .. } | Effect::Schedule => Decision::Allow,
        Effect::Tell { recent } if *recent >= NOTICES_AN_HOUR => Decision::Deny(format!(
            "{recent} notices were sent within the hour, and {NOTICES_AN_HOUR} may be"
        )),
        Effect::Tell { .. } => Decision::Allow,
        Effect::Spend { tokens, left } if tokens > left => {
            Decision::Deny(format!("{left} tokens are left for this call, and {tokens} were asked for"))
        }
        Effect::Spend { .. } => Decision::Allow,
        Effect::Unknown(name) => Decision::Deny(format!("there is no tool named {name}")),
    }
}

impl Effect {
    /// What a yes to this effect would be about; `None` where none is ever asked for.
    pub fn target(&self) -> Option<Target> {
        match self {
            Effect::Keep { key } => Some(Target::Write { key: key.clone() }),
            Effect::Egress { method, host, credential, .. } => Some(Target::Egress {
                method: method.to_ascii_uppercase(),
                host: host.to_ascii_lowercase(),
                credential: credential.clone(),
            }),
            Effect::Schedule => Some(Target::Schedule),
            Effect::Search
            | Effect::Read(_)
            | Effect::Look
            | Effect::Tell { .. }
            | Effect::AskOwner
            | Effect::Spend { .. }
            | Effect::Unknown(_) => None,
        }
    }
}

fn granted(caller: Caller, effect: &Effect) -> Result<(), String> {
    let Caller::Plugin { grants, .. } = caller else {
        return match effect {
            Effect::Search | Effect::Read(_) | Effect::Unknown(_) => Ok(()),
            Effect::Look
            | Effect::Keep { .. }
            | Effect::Egress { .. }
            | Effect::Tell { .. }
            | Effect::AskOwner
            | Effect::Spend { .. }
            | Effect::Schedule => Err("a built-in tool only searches and reads".into()),
        };
    };
    let (interface, has) = match effect {
        Effect::Search => ("search", grants.search.is_some()),
        Effect::Read(path) => ("search", grants.search.as_ref().is_some_and(|search| search.holds(path))),
        Effect::Look => return Ok(()),
        Effect::Keep { .. } => ("kv", grants.kv.is_some()),
        Effect::Egress { .. } => ("http", grants.http.is_some()),
        Effect::Tell { .. } | Effect::Schedule => ("notify", grants.notify),
        Effect::AskOwner => ("ask-user", grants.ask_user),
        Effect::Spend { .. } => ("generate", grants.generate.is_some()),
        Effect::Unknown(_) => return Ok(()),
    };
    if has { Ok(()) } else { Err(format!("`{interface}` is not granted to this plugin for that")) }
}

fn ask_unless_ruled(caller: Caller, effect: &Effect, label: &Label, known: Known) -> Decision {
    let Caller::Plugin { digest, tool, .. } = caller else {
        return Decision::Deny("a built-in tool only searches and reads".into());
    };
    let target = effect.target();
    let ruled =
        |rule: &Rule| rule.digest == digest && rule.tool == tool && Some(&rule.target) == target.as_ref();
    if known.rules.iter().any(ruled) {
        return Decision::Allow;
    }
    Decision::Ask(why(label).into())
}

/// What about the label makes it a question for the owner.
fn why(label: &Label) -> &'static str {
    match (label.untrusted, label.private) {
        (true, true) => "text that others may have written, and text that is yours alone, led to this",
        (true, false) => "text that others may have written led to this",
        (false, _) => "text that is yours alone led to this",
    }
}

fn read(path: &Path, roots: &[PathBuf]) -> Decision {
    if path.components().any(|part| part == Component::ParentDir) || !path.is_absolute() {
        return Decision::Deny(format!("{} is not an absolute path without `..`", path.display()));
    }
    if let Some(reason) = deny::denied(path) {
        return Decision::Deny(format!("{} is never read: {reason}", path.display()));
    }
    if !roots.iter().any(|root| path.starts_with(root)) {
        return Decision::Deny(format!("{} is not in an indexed folder", path.display()));
    }
    Decision::Allow
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
