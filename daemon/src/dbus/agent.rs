//! `org.familiar.Agent1`, the daemon on the bus. Each method checks who calls and what was given, and forwards; each
//! property reads what other rooms keep. `config/dbus/org.familiar.Agent1.xml` is what this introspects to.

use super::callers::{Caller, Callers};
use super::error::Error;
use super::options::Options;
use super::outlet::{Outlet, json};
use super::requests::{Begun, Requests};
use crate::daemon::Handles;
use crate::doors;
use crate::protocol::approvals::{ApprovalList, DecideRequest};
use crate::protocol::http::{AskRequest, SearchRequest, default_k};
use crate::protocol::learn::{ForgetRequest, LearnOutcome};
use crate::store::Store;
use std::collections::HashMap;
use zbus::message::Header;
use zbus::names::{BusName, OwnedUniqueName};
use zbus::object_server::{ResponseDispatchNotifier, SignalEmitter};
use zbus::zvariant::{OwnedFd, OwnedValue};
use zbus::{Connection, interface};

/// Where the agent is.
pub const PATH: &str = "/org/familiar/Agent";

/// Bytes of a question, and of what is to be remembered.
const TEXT: usize = 64 << 10;
/// Bytes of a query. The index cuts longer ones.
const QUERY: usize = 16 << 10;
/// Bytes of a path or an id.
const NAME: usize = 4 << 10;

type Given = HashMap<String, OwnedValue>;

/// The agent; cheap to clone.
#[derive(Clone)]
pub struct Agent {
    handles: Handles,
    store: Store,
    callers: Callers,
    requests: Requests,
}

impl Agent {
    pub fn new(handles: Handles, store: Store, callers: Callers, requests: Requests) -> Agent {
        Agent { handles, store, callers, requests }
    }

    /// Checks a question and begins its answer.
    async fn begin(
        &self,
        caller: Caller,
        question: String,
        options: Given,
    ) -> Result<(Begun, doors::Answer), Error> {
        Error::if_longer("question", &question, TEXT)?;
        let mut options = Options::new(options);
        let session: Option<String> = options.take("session")?;
        let no_tools = options.take("no_tools")?.unwrap_or_default();
        options.none_left()?;
        Error::if_longer("session", session.as_deref().unwrap_or_default(), NAME)?;
        let begun = self.requests.begin(caller).await?;
        let request = AskRequest { question, session, stream: true, no_tools };
        let answer = doors::ask(&self.handles, request).await?;
        Ok((begun, answer))
    }
}

/// Signals to the caller of a request alone.
fn signals(connection: &Connection, caller: &OwnedUniqueName, id: &str) -> Result<Outlet, Error> {
    let to = BusName::Unique(caller.inner().to_owned());
    let emitter = SignalEmitter::new(connection, PATH).map_err(|error| Error::Failed(error.to_string()))?;
    Ok(Outlet::Signals { emitter: emitter.set_destination(to), id: id.to_owned() })
}

/// Questions about the owner's files, and what they are answered with. JSON has the shapes of the HTTP door.
#[interface(name = "org.familiar.Agent1")]
impl Agent {
    /// Answers a question. The answer follows in signals to the caller alone: Chunk, then Done or Failed.
    /// Options: session (s), the conversation that goes on; no_tools (b), answer from files alone.
    #[zbus(out_args("request_id"))]
    async fn ask(
        &self,
        question: String,
        options: Given,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<ResponseDispatchNotifier<String>, Error> {
        let caller = self.callers.admit(&header).await?;
        let to = caller.name.clone();
        let (begun, answer) = self.begin(caller, question, options).await?;
        let (reply, sent) = ResponseDispatchNotifier::new(begun.id.clone());
        let outlet = signals(connection, &to, &begun.id)?;
        begun.answer(answer, outlet, sent);
        Ok(reply)
    }

    /// As Ask; the answer follows through the pipe, one JSON object a line, of which the last is "done" or "error".
    /// Closing the pipe ends it.
    #[zbus(out_args("request_id", "events"))]
    async fn ask_fd(
        &self,
        question: String,
        options: Given,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(String, OwnedFd), Error> {
        let caller = self.callers.admit(&header).await?;
        let (begun, answer) = self.begin(caller, question, options).await?;
        let none = |error| Error::Busy(format!("there is no pipe left: {error}"));
        let (outlet, events) = Outlet::pipe().map_err(none)?;
        let id = begun.id.clone();
        begun.answer(answer, outlet, std::future::ready(()));
        Ok((id, events.into()))
    }

    /// Ends a request of the caller's own.
    async fn cancel(&self, request_id: String, #[zbus(header)] header: Header<'_>) -> Result<(), Error> {
        let caller = self.callers.admit(&header).await?;
        self.requests.cancel(&caller, &request_id)
    }

    /// Passages of the indexed files that match a query.
    /// Options: k (u), how many; mode (s), only "lexical" for now.
    #[zbus(out_args("json"))]
    async fn search(
        &self,
        query: String,
        options: Given,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Error> {
        let _caller = self.callers.admit(&header).await?;
        Error::if_longer("query", &query, QUERY)?;
        let mut options = Options::new(options);
        let k = options.take::<u32>("k")?.map_or(default_k(), |k| k as usize);
        let mode = options.take("mode")?;
        options.none_left()?;
        Ok(json(&doors::search(&self.handles, SearchRequest { query, k, mode }).await?))
    }

    /// Keeps a thing in mind.
    async fn remember(&self, text: String, #[zbus(header)] header: Header<'_>) -> Result<(), Error> {
        let _caller = self.callers.admit(&header).await?;
        Error::if_longer("text", &text, TEXT)?;
        Ok(doors::remember(&self.store, &text).await?)
    }

    /// Forgets wherever it went what is named in one option, and proves it.
    /// Options: path (s), a file or folder; session (s), a conversation; all (b), everything.
    #[zbus(out_args("proof"))]
    async fn forget(&self, options: Given, #[zbus(header)] header: Header<'_>) -> Result<String, Error> {
        let _caller = self.callers.admit(&header).await?;
        let mut options = Options::new(options);
        let path: Option<String> = options.take("path")?;
        let session: Option<String> = options.take("session")?;
        let all = options.take("all")?.unwrap_or_default();
        options.none_left()?;
        for (name, text) in [("path", &path), ("session", &session)] {
            Error::if_longer(name, text.as_deref().unwrap_or_default(), NAME)?;
        }
        Ok(json(&doors::forget(&self.handles, ForgetRequest { path, session, all }).await?))
    }

    /// Runs a cycle of learning now. How it ended follows in Done or Failed; Cancel ends the waiting, not the cycle.
    #[zbus(out_args("request_id"))]
    async fn learn_now(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<ResponseDispatchNotifier<String>, Error> {
        let caller = self.callers.admit(&header).await?;
        let to = caller.name.clone();
        let begun = self.requests.begin(caller).await?;
        let (reply, sent) = ResponseDispatchNotifier::new(begun.id.clone());
        let outlet = signals(connection, &to, &begun.id)?;
        let nights = self.handles.nights.clone();
        begun.result(async move { Ok(json(&LearnOutcome::from(nights.now().await?))) }, outlet, sent);
        Ok(reply)
    }

    /// What waits for the owner's yes, with the exact bytes.
    #[zbus(out_args("json"))]
    async fn list_approvals(&self, #[zbus(header)] header: Header<'_>) -> Result<String, Error> {
        let _caller = self.callers.admit(&header).await?;
        Ok(json(&ApprovalList { approvals: self.handles.approvals.pending() }))
    }

    /// Says "allow", "always" (from now on, for exactly this) or "deny", or chooses an option of a question by its
    /// number, from "0".
    async fn decide(
        &self,
        id: String,
        decision: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let _caller = self.callers.admit(&header).await?;
        let request = decided(&decision)?;
        Error::if_longer("id", &id, NAME)?;
        self.handles.approvals.decide(&id, &request).await?;
        Ok(())
    }

    /// A part of an answer's text; at most 20 in a second.
    #[zbus(signal)]
    pub async fn chunk(emitter: &SignalEmitter<'_>, request_id: &str, text: &str) -> zbus::Result<()>;

    /// The whole answer, or how the cycle of learning ended.
    #[zbus(signal)]
    pub async fn done(emitter: &SignalEmitter<'_>, request_id: &str, json: &str) -> zbus::Result<()>;

    /// Why there is none.
    #[zbus(signal)]
    pub async fn failed(
        emitter: &SignalEmitter<'_>,
        request_id: &str,
        error_name: &str,
        message: &str,
    ) -> zbus::Result<()>;

    /// "answering" while somebody is served, by whichever door, or "idle".
    #[zbus(property)]
    pub async fn status(&self) -> String {
        let serving = self.handles.nights.presence().serving();
        if serving { "answering".into() } else { "idle".into() }
    }

    /// The model in use.
    #[zbus(property)]
    pub async fn model(&self) -> String {
        self.handles.engine.status().0.name
    }

    /// What the model learned, as answers name it; empty for the model as it came.
    #[zbus(property)]
    pub async fn adapter_generation(&self) -> String {
        self.handles.engine.adapter().unwrap_or_default()
    }

    /// Files wait to be indexed.
    #[zbus(property)]
    pub async fn indexing(&self) -> bool {
        *self.handles.index.busy().borrow()
    }

    /// What learning is at: "off", "paused", "idle", "collecting", "distilling", "training", "judging" or "waiting".
    #[zbus(property)]
    pub async fn learning(&self) -> String {
        // Without a model there is nothing to learn.
        self.handles.nights.status().await.map_or("off".into(), |status| status.state)
    }

    /// How much waits for the owner's yes.
    #[zbus(property)]
    pub async fn approvals(&self) -> u32 {
        self.handles.approvals.pending().len() as u32
    }
}

fn decided(decision: &str) -> Result<DecideRequest, Error> {
    match decision {
        "allow" => Ok(DecideRequest { allow: true, ..Default::default() }),
        "always" => Ok(DecideRequest { allow: true, always: true, choice: None }),
        "deny" => Ok(DecideRequest::default()),
        number => match number.parse() {
            Ok(number) => Ok(DecideRequest { allow: true, always: false, choice: Some(number) }),
            Err(_) => {
                let known = "`decision` is \"allow\", \"always\", \"deny\" or the number of an option";
                Err(Error::Usage(known.into()))
            }
        },
    }
}
