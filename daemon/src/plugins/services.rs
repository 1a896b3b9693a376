//! The seam between running plugins and the rest of the house: what a plugin asks through an import, once
//! its grants cover it, goes to a [`HostServices`]. The daemon's own joins index, engine, database and web
//! (`tools`); `familiar plugin test` puts fakes there.

use crate::policy::grants::Grants;
use crate::protocol::plugins::{Answer, Ask};
use crate::types::Label;
use futures::future::BoxFuture;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;

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
    noes: AtomicU32,
    waits: Mutex<Waits>,
    label: Mutex<Label>,
}

/// Time spent waiting for the owner.
#[derive(Debug, Default)]
struct Waits {
    done: Duration,
    since: Option<Instant>,
}

/// The owner is being asked, for as long as this lives.
pub struct Waiting<'c>(&'c Calling);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waits = lock(&self.0.waits);
        if let Some(since) = waits.since.take() {
            waits.done += since.elapsed();
        }
    }
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
            noes: AtomicU32::new(0),
            waits: Mutex::default(),
            label: Mutex::new(label),
        }
    }

    /// What everything that the call knows by now was made from.
    pub fn label(&self) -> Label {
        lock(&self.label).clone()
    }

    /// The call was told something of this label.
    pub fn learned(&self, label: &Label) {
        lock(&self.label).join(label);
    }

    /// The owner is asked from now on: the call's deadline stands still. A guest runs on one thread, so it
    /// waits for one thing at a time.
    pub fn wait(&self) -> Waiting<'_> {
        lock(&self.waits).since = Some(Instant::now());
        Waiting(self)
    }

    /// How long the owner was waited for until now.
    pub fn waited(&self) -> Duration {
        let waits = lock(&self.waits);
        waits.done + waits.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// The owner said no, or nothing.
    pub fn refused(&self) {
        self.noes.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the owner said no to this call.
    pub fn noes(&self) -> u32 {
        self.noes.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
