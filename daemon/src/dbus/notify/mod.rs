//! Notifications on the owner's desktop, by the Desktop Notifications Specification: what waits for a yes, with the choice
//! in it; plugins' notices; and, if the owner wants it, what was learned. Without a server of notifications nothing is
//! shown and nothing else changes. A notification that is put away decides nothing.

mod words;

use crate::config::DesktopConfig;
use crate::daemon::Handles;
use crate::protocol::approvals::{Approval, OwnerEvent};
use futures::StreamExt;
use std::collections::HashMap;
use std::time::Duration;
use words::Note;
use zbus::zvariant::Value;
use zbus::{Connection, Message, Proxy};

const SERVER: &str = "org.freedesktop.Notifications";
const PLACE: &str = "/org/freedesktop/Notifications";
/// For the server to answer; it may have to be started.
const PATIENCE: Duration = Duration::from_secs(10);

/// Shows what comes up until the connection ends.
pub async fn tell(connection: &Connection, handles: &Handles, settings: &DesktopConfig) -> zbus::Result<()> {
    let server = Proxy::new(connection, SERVER, PLACE, SERVER).await?;
    // One stream, so that a choice is never heard of after the end of its notification.
    let mut signals = server.receive_all_signals().await?;
    let mut servers = server.receive_owner_changed().await?;
    let mut teller = Teller { server: server.clone(), asked: HashMap::new(), mute: false };
    let mut events = handles.tools.watch(None).await;
    let mut outcomes = handles.nights.outcomes();
    loop {
        tokio::select! {
            event = events.next() => teller.show(event).await,
            Some(signal) = signals.next() => {
                if let Some((approval, key)) = teller.heard(&signal) {
                    decide(handles, &approval, &key).await;
                }
            }
            Some(owner) = servers.next() => if owner.is_some() {
                // One that has just come knows of nothing.
                teller = Teller { server: server.clone(), asked: HashMap::new(), mute: false };
                events = handles.tools.watch(None).await;
            },
            Ok(()) = outcomes.changed() => {
                let ended = outcomes.borrow_and_update().clone();
                if let Some(outcome) = ended.filter(|outcome| settings.tell_learned && outcome.accepted) {
                    teller.notify(words::learned(outcome.generation, &outcome.reason)).await;
                }
            }
        }
    }
}

/// Carries a choice back, as every door does. It may have been decided elsewhere in the meantime.
async fn decide(handles: &Handles, approval: &Approval, key: &str) {
    let Some(request) = words::chosen(approval, key) else { return };
    if let Err(error) = handles.approvals.decide(&approval.id, &request).await {
        tracing::info!("what was chosen in a notification came to nothing: {error}");
    }
}

/// What is shown.
struct Teller {
    server: Proxy<'static>,
    /// By the server's numbers.
    asked: HashMap<u32, Approval>,
    /// It was said in the log that nothing can be shown.
    mute: bool,
}

impl Teller {
    async fn show(&mut self, event: OwnerEvent) {
        match event {
            OwnerEvent::Approval(approval) => {
                if let Some(number) = self.notify(words::asking(&approval)).await {
                    self.asked.insert(number, *approval);
                }
            }
            OwnerEvent::ApprovalEnded { id } => {
                let shown =
                    self.asked.iter().find(|(_, approval)| approval.id == id).map(|(number, _)| *number);
                if let Some(number) = shown {
                    self.asked.remove(&number);
                    // The owner may have put it away.
                    let _ = self.call::<()>("CloseNotification", &(number,)).await;
                }
            }
            OwnerEvent::Notice(notice) => drop(self.notify(words::notice(&notice)).await),
            OwnerEvent::Progress(_) => {}
        }
    }

    /// What was chosen, if the signal is about that.
    fn heard(&mut self, signal: &Message) -> Option<(Approval, String)> {
        match signal.header().member()?.as_str() {
            "ActionInvoked" => {
                let (number, key): (u32, String) = signal.body().deserialize().ok()?;
                Some((self.asked.get(&number)?.clone(), key))
            }
            "NotificationClosed" => {
                let (number, _): (u32, u32) = signal.body().deserialize().ok()?;
                // It waits on; it is only shown no more.
                self.asked.remove(&number);
                None
            }
            _ => None,
        }
    }

    /// Shows a notification and gives its number.
    async fn notify(&mut self, note: Note) -> Option<u32> {
        match self.shown(note).await {
            Ok(number) => Some(number),
            Err(error) => {
                if !std::mem::replace(&mut self.mute, true) {
                    tracing::info!("no notifications are shown: {error}");
                }
                None
            }
        }
    }

    async fn shown(&self, note: Note) -> zbus::Result<u32> {
        let able: Vec<String> = self.call("GetCapabilities", &()).await?;
        let able = |what: &str| able.iter().any(|able| able == what);
        let Note { summary, mut body, choices, otherwise, stays } = note;
        let choices = if able("actions") { choices } else { Vec::new() };
        let undecided = choices.iter().all(|(key, _)| key == "deny");
        if let Some(otherwise) = otherwise.filter(|_| undecided) {
            body = format!("{body}\n{otherwise}");
        }
        if able("body-markup") {
            body = words::escaped(&body);
        }
        let actions: Vec<String> = choices.into_iter().flat_map(|(key, label)| [key, label]).collect();
        let (icon, timeout) = if stays { ("dialog-question", 0) } else { ("dialog-information", -1) };
        let hints = HashMap::from([("desktop-entry", Value::from("familiar")), ("urgency", 1u8.into())]);
        self.call("Notify", &("Familiar", 0u32, icon, summary, body, actions, hints, timeout)).await
    }

    async fn call<T>(
        &self,
        method: &str,
        arguments: &(impl serde::Serialize + zbus::zvariant::DynamicType + Sync),
    ) -> zbus::Result<T>
    where
        T: for<'d> zbus::zvariant::DynamicDeserialize<'d>,
    {
        let silent = |_| zbus::Error::Failure("the server of notifications does not answer".into());
        tokio::time::timeout(PATIENCE, self.server.call(method, arguments)).await.map_err(silent)?
    }
}
