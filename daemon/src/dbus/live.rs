//! Properties as they change: whatever a property is made of is watched, and what differs from what was last told is
//! told, several changes in one breath as one.

use super::agent::{Agent, PATH};
use crate::daemon::Handles;
use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::watch;
use zbus::Connection;
use zbus::fdo::Properties;
use zbus::object_server::{Interface, SignalEmitter};
use zbus::zvariant::Value;

/// The least time between two rounds of changes.
const BREATH: Duration = Duration::from_millis(100);

/// Every property.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    status: String,
    model: String,
    adapter_generation: String,
    indexing: bool,
    learning: String,
    approvals: u32,
}

impl Told {
    async fn now(agent: &Agent) -> Told {
        Told {
            status: agent.status().await,
            model: agent.model().await,
            adapter_generation: agent.adapter_generation().await,
            indexing: agent.indexing().await,
            learning: agent.learning().await,
            approvals: agent.approvals().await,
        }
    }
}

/// Tells of changes until the bus takes no more.
pub async fn tell(connection: &Connection, agent: &Agent, handles: &Handles) -> zbus::Result<()> {
    let emitter = SignalEmitter::new(connection, PATH)?;
    let (mut settings, mut phases) = (handles.engine.settings(), handles.nights.phases());
    let (mut owner, mut busy) = (handles.config.clone(), handles.index.busy());
    let mut approvals = handles.approvals.changes();
    let mut told = Told::now(agent).await;
    loop {
        let serving = told.status == "answering";
        tokio::select! {
            () = changed(&mut settings) => {}
            () = changed(&mut owner) => {}
            () = changed(&mut phases) => {}
            () = changed(&mut busy) => {}
            () = changed(&mut approvals) => {}
            () = handles.nights.presence().turns_from(serving) => {}
        }
        let now = Told::now(agent).await;
        let changed = differing(told, &now);
        if !changed.is_empty() {
            let interface = <Agent as Interface>::name();
            Properties::properties_changed(&emitter, interface, changed, Cow::Borrowed(&[])).await?;
        }
        told = now;
        tokio::time::sleep(BREATH).await;
    }
}

/// The properties that differ, with what they are now.
fn differing(was: Told, now: &Told) -> HashMap<&'static str, Value<'_>> {
    let Told { status, model, adapter_generation, indexing, learning, approvals } = now;
    let all: [(&str, bool, Value<'_>); 6] = [
        ("Status", was.status != *status, status.into()),
        ("Model", was.model != *model, model.into()),
        ("AdapterGeneration", was.adapter_generation != *adapter_generation, adapter_generation.into()),
        ("Indexing", was.indexing != *indexing, (*indexing).into()),
        ("Learning", was.learning != *learning, learning.into()),
        ("Approvals", was.approvals != *approvals, (*approvals).into()),
    ];
    all.into_iter().filter(|(_, differs, _)| *differs).map(|(name, _, value)| (name, value)).collect()
}

/// A room that has ended changes no more.
async fn changed<T>(value: &mut watch::Receiver<T>) {
    if value.changed().await.is_err() {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        let idle = Told {
            status: "idle".into(),
            model: "ember".into(),
            adapter_generation: String::new(),
            indexing: false,
            learning: "off".into(),
            approvals: 0,
        };
        assert!(differing(idle.clone(), &idle).is_empty());
        let now = Told { indexing: true, learning: "training".into(), ..idle.clone() };
        let wanted = [("Indexing", true.into()), ("Learning", "training".into())];
        assert_eq!(differing(idle, &now), HashMap::from(wanted));
    }
}
