//! The seam between running plugins and the rest of the house: what a plugin asks through an import, once
//! its grants cover it, goes to a [`HostServices`]. The daemon's own joins index, engine, database and web
//! (`tools`); `familiar plugin test` puts fakes there.

use crate::policy::grants::Grants;
use crate::protocol::plugins::{Answer, Ask};
use crate::types::Label;
use futures::future::BoxFuture;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard};

/// Carries out what a plugin asks for. `calling.grants` cover the request when this is called.
pub trait HostServices: Send + Sync + 'static {
    fn answer(&self, calling: Arc<Calling>, ask: Ask) -> BoxFuture<'static, Answer>;
}

/// A plugin's call under way, as the broker knows it.
#[derive(Debug)]
pub struct Calling {
    pub plugin: String,
    /// Of the package, in hex.
    pub digest: String,
    pub tool: String,
    /// Empty when the owner calls by hand.
    pub session: String,
    /// Where manifest and owner agree.
    pub grants: Grants,
    /// Tokens that the model may still write for it.
    pub tokens_left: AtomicU32,
    label: Mutex<Label>,
}

impl Calling {
    /// `label` is that of the text which led to the call: its arguments come from there.
    pub fn new(
        plugin: &str,
        digest: &str,
        tool: &str,
        session: &str,
        grants: Grants,
        label: Label,
    ) -> Calling {
        let tokens = grants.generate.as_ref().map_or(0, |generate| generate.tokens);
        Calling {
            plugin: plugin.into(),
            digest: digest.into(),
            tool: tool.into(),
            session: session.into(),
            grants,
            tokens_left: AtomicU32::new(tokens),
            label: Mutex::new(label),
        }
    }

    /// What everything that the call knows by now was made from.
    pub fn label(&self) -> Label {
        self.lock().clone()
    }

    /// The call was told something of this label.
    pub fn learned(&self, label: &Label) {
        self.lock().join(label);
    }

    fn lock(&self) -> MutexGuard<'_, Label> {
        self.label.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
