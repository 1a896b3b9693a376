//! Effects carried out: each is a talk with the daemon in a task of its own, whose end is an event. Nothing is decided here.

use crate::cli::approvals;
use crate::cli::chat::consent::{self, Answers};
use crate::cli::chat::core::{About, Effect, Event, Link, Message};
use crate::cli::client::{decode, segment};
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::nights;
use crate::cli::start::connect;
use crate::config::paths::Paths;
use crate::protocol::approvals::OwnerEvent;
use crate::protocol::http::{AskEvent, AskRequest, SessionDetail, SessionList, Status};
use crate::protocol::learn::{ForgetProof, ForgetRequest, RememberRequest, SignalKept, SignalRequest};
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

/// Between two looks whether the daemon is back.
const LOOK: Duration = Duration::from_millis(500);
/// How often, and after how long each, a question is put again to a daemon that is still busy with a stopped one.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_millis(100);

/// Who talks to the daemon.
#[derive(Clone)]
pub struct Daemon {
    pub paths: Paths,
    /// It may be started for a question.
    pub start: bool,
    pub events: Sender<Event>,
}

/// The answer under way; dropping it tells the daemon to stop.
#[derive(Default)]
pub struct Answering(Option<JoinHandle<()>>);

impl Answering {
    pub fn stop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Daemon {
    /// Does what is between the conversation and the daemon; other effects are the terminal's.
    pub fn carry_out(&self, effect: Effect, answering: &mut Answering) {
        let daemon = self.clone();
        match effect {
            Effect::Ask { entry, question, session } => {
                answering.stop();
                let request = AskRequest { question, session, stream: true, no_tools: false };
                answering.0 = Some(tokio::spawn(async move { daemon.ask(entry, request).await }));
            }
            Effect::Stop => answering.stop(),
            effect => drop(tokio::spawn(async move {
                let event = daemon.done(effect).await.unwrap_or_else(|failure| Some(trouble(&failure)));
                if let Some(event) = event {
                    daemon.tell(event).await;
                }
            })),
        }
    }

    /// Whoever would hear it may be gone, with the program.
    async fn tell(&self, event: Event) {
        let _ = self.events.send(event).await;
    }

    async fn done(&self, effect: Effect) -> Outcome<Option<Event>> {
        let event = match effect {
            Effect::Decide { id, request } => {
                approvals::decide(&self.paths, &id, &request).await?;
                return Ok(None);
            }
            Effect::Judge(entry, request) => self.judge(entry, request).await?,
            Effect::Remember(text) => {
                connect(&self.paths, self.start).await?.post("remember", &RememberRequest { text }).await?;
                told("Kept in mind.")
            }
            Effect::Forget(session) => self.forget(session).await?,
            Effect::List => {
                let list: SessionList = decode(connect(&self.paths, false).await?.get("sessions").await?)?;
                Event::Listed(list.sessions)
            }
            Effect::Read(id) => Event::Read(self.read(&id).await?),
            Effect::Results(id) => Event::Results(self.read(&id).await?),
            Effect::Consent(answers) => self.consent(answers).await?,
            Effect::Ask { .. }
            | Effect::Stop
            | Effect::Open { .. }
            | Effect::Redraw
            | Effect::Suspend
            | Effect::Leave => return Ok(None),
        };
        Ok(Some(event))
    }

    async fn judge(&self, entry: u64, request: SignalRequest) -> Outcome<Event> {
        let (kind, text) = (request.kind, request.text.clone());
        let mut client = connect(&self.paths, self.start).await?;
        let kept: SignalKept = decode(client.post("signals", &request).await?)?;
        Ok(Event::Judged(entry, kind, text, kept.note))
    }

    async fn forget(&self, session: String) -> Outcome<Event> {
        let request = ForgetRequest { session: Some(session), ..ForgetRequest::default() };
        let mut client = connect(&self.paths, self.start).await?;
        let proof: ForgetProof = decode(client.post("forget", &request).await?)?;
        let mut words = Vec::new();
        nights::forgotten(&proof, &mut words)?;
        Ok(Event::Forgotten(String::from_utf8_lossy(&words).into_owned()))
    }

    async fn read(&self, id: &str) -> Outcome<SessionDetail> {
        let mut client = connect(&self.paths, self.start).await?;
        decode(client.get(&format!("sessions/{}", segment(id))).await?)
    }

    async fn consent(&self, answers: Answers) -> Outcome<Event> {
        let mut client = connect(&self.paths, self.start).await?;
        let mut words = Vec::new();
        consent::settle(&mut client, answers, &mut words).await?;
        Ok(Event::Noted(String::from_utf8_lossy(&words).trim().to_owned()))
    }

    async fn ask(&self, entry: u64, request: AskRequest) {
        let last = match self.stream(entry, &request).await {
            Ok(()) => return,
            Err(Failure::Lost(_) | Failure::Told { exit: Exit::NoDaemon, .. }) => Event::Lost(entry),
            Err(failure) => Event::Refused(entry, failure.to_string()),
        };
        self.tell(last).await;
    }

    async fn stream(&self, entry: u64, request: &AskRequest) -> Outcome {
        let mut tries = 0;
        let mut events = loop {
            match connect(&self.paths, self.start).await?.events("ask", request).await {
                Ok(events) => break events,
                Err(Failure::Told { exit: Exit::Busy, .. }) if tries < TRIES => tries += 1,
                Err(failure) => return Err(failure),
            }
            tokio::time::sleep(PAUSE).await;
        };
        while let Some(event) = events.next::<AskEvent>().await? {
            let last = matches!(event, AskEvent::Done(_) | AskEvent::Error(_));
            self.tell(Event::Answer(entry, event)).await;
            if last {
                return Ok(());
            }
        }
        Err(Failure::Lost("the answer ended in the middle".into()))
    }

    /// Listens to the daemon for as long as the program runs, and says when it goes and comes. It never starts one: who
    /// stopped it meant it.
    pub async fn listen(self) {
        loop {
            let why = match self.heard().await {
                Ok(()) => "it ended".to_owned(),
                Err(failure) => failure.to_string(),
            };
            self.tell(Event::Link(Link::Down(why))).await;
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn heard(&self) -> Outcome {
        let mut events = connect(&self.paths, false).await?.listen("events").await?;
        let status: Status = decode(connect(&self.paths, false).await?.get("status").await?)?;
        let about =
            About { model: status.model.name, adapter: status.adapter, documents: status.index.documents };
        self.tell(Event::Link(Link::Up(about))).await;
        while let Some(event) = events.next::<OwnerEvent>().await? {
            self.tell(Event::Owner(event)).await;
        }
        Ok(())
    }
}

pub fn told(text: &str) -> Event {
    Event::Told(Message { text: text.into(), trouble: false })
}

pub fn trouble(failure: &Failure) -> Event {
    Event::Told(Message { text: failure.to_string(), trouble: true })
}
