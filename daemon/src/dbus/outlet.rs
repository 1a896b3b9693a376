//! The two ways in which an answer reaches its caller: signals that the bus gives to it alone, or JSON lines through a
//! pipe, of which it holds the other end.

use super::agent::Agent;
use super::error::Error;
use crate::doors::Answer;
use crate::protocol::http::AskEvent;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep_until};
use zbus::object_server::SignalEmitter;

/// Between two `Chunk`s of a request: no more than 20 in a second.
const GAP: Duration = Duration::from_millis(50);

/// Where an answer goes. Its methods give false when nobody takes it any more.
pub enum Outlet {
    /// To the one client that the emitter has as its destination.
    Signals {
        emitter: SignalEmitter<'static>,
        id: String,
    },
    Pipe(pipe::Sender),
}

impl Outlet {
    /// A pipe, and its other end for the caller.
    pub fn pipe() -> std::io::Result<(Outlet, OwnedFd)> {
        let (sender, receiver) = pipe::pipe()?;
        Ok((Outlet::Pipe(sender), receiver.into_blocking_fd()?))
    }

    /// Carries an answer to its end.
    pub async fn carry(&self, answer: Answer) -> bool {
        match self {
            Outlet::Signals { emitter, id } => self.speak(emitter, id, answer).await,
            Outlet::Pipe(pipe) => lines(pipe, answer).await,
        }
    }

    /// What was asked for.
    pub async fn done(&self, json: &str) -> bool {
        match self {
            Outlet::Signals { emitter, id } => Agent::done(emitter, id, json).await.is_ok(),
            Outlet::Pipe(pipe) => line(pipe, json).await,
        }
    }

    /// Why there is none.
    pub async fn failed(&self, error: &Error) -> bool {
        match self {
            Outlet::Signals { emitter, id } => {
                let (name, message) = error.told();
                Agent::failed(emitter, id, &name, &message).await.is_ok()
            }
            Outlet::Pipe(pipe) => line(pipe, &json(&AskEvent::Error(error.body()))).await,
        }
    }

    /// Resolves when the other end of the pipe is closed.
    pub async fn closed(&self) {
        match self {
            // Who has left the bus is noticed elsewhere.
            Outlet::Signals { .. } => std::future::pending().await,
            // A pipe that cannot be watched counts as closed.
            Outlet::Pipe(pipe) => drop(pipe.ready(Interest::ERROR).await),
        }
    }

    /// Text as it comes, gathered between two signals. Whoever wants to know of tools and notices as well asks for a
    /// pipe; what waits for a yes is a property.
    async fn speak(&self, emitter: &SignalEmitter<'static>, id: &str, mut answer: Answer) -> bool {
        let (mut said, mut next) = (String::new(), Instant::now());
        loop {
            tokio::select! {
                () = sleep_until(next), if !said.is_empty() => {
                    if Agent::chunk(emitter, id, &said).await.is_err() {
                        return false;
                    }
                    said.clear();
                    next = Instant::now() + GAP;
                }
                event = answer.next() => match event {
                    Some(AskEvent::Text { text }) => said.push_str(&text),
                    Some(AskEvent::Done(response)) => {
                        sleep_until(next).await;
                        let all = said.is_empty() || Agent::chunk(emitter, id, &said).await.is_ok();
                        return all && self.done(&json(&response)).await;
                    }
                    Some(AskEvent::Error(error)) => return self.failed(&error.into()).await,
                    Some(_) => {}
                    None => return true,
                },
            }
        }
    }
}

/// Every event of the answer, a line each.
async fn lines(pipe: &pipe::Sender, mut answer: Answer) -> bool {
    while let Some(event) = answer.next().await {
        if !line(pipe, &json(&event)).await {
            return false;
        }
    }
    true
}

async fn line(pipe: &pipe::Sender, json: &str) -> bool {
    let line = format!("{json}\n");
    let mut left = line.as_bytes();
    while !left.is_empty() {
        if pipe.writable().await.is_err() {
            return false;
        }
        match pipe.try_write(left) {
            Ok(written) => left = &left[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
    }
    true
}

/// As text; nothing here has a form that JSON lacks.
pub fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
