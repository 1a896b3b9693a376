//! Conversations: one task per turn that carries out what the pure agent asks for, with the index, the
//! engine and the tools, and stores the turn before it is called done. It decides nothing itself.

mod turn;

use crate::config::Config;
use crate::engine::Engine;
use crate::idle::Presence;
use crate::index::Index;
use crate::protocol::http::{AskEvent, AskRequest, ErrorBody, ErrorCode};
use crate::store::{Store, StoreError};
use crate::tools::Tools;
use crate::types::{Label, Message};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};

/// Events of one answer that may wait for a slow reader before the answer waits too.
const BACKLOG: usize = 256;

/// Messages, and the label of all of them.
type History = (Vec<Message>, Label);

#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("there is no session {0}: leave --session out to begin a new one")]
    NotFound(String),
    #[error("the question is empty")]
    EmptyQuestion,
    #[error("session {0} is still answering: wait for it to finish")]
    Busy(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SessionError {
    pub fn body(&self) -> ErrorBody {
        let code = match self {
            SessionError::NotFound(_) => ErrorCode::NotFound,
            SessionError::EmptyQuestion => ErrorCode::Usage,
            SessionError::Busy(_) | SessionError::Store(StoreError::Full(_)) => ErrorCode::Busy,
            SessionError::Store(_) => ErrorCode::Failed,
        };
        ErrorBody { code, message: self.to_string() }
    }
}

/// Conversations; cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    engine: Engine,
    index: Index,
    tools: Tools,
    config: watch::Receiver<Arc<Config>>,
    presence: Presence,
    /// Sessions with a turn under way.
    answering: Mutex<HashSet<String>>,
}

impl Sessions {
    pub fn new(
        store: Store,
        engine: Engine,
        index: Index,
        tools: Tools,
        config: watch::Receiver<Arc<Config>>,
        presence: Presence,
    ) -> Sessions {
        let answering = Mutex::default();
        Sessions { inner: Arc::new(Inner { store, engine, index, tools, config, presence, answering }) }
    }

    /// Answers a question. The channel's last event is `Done` or `Error`; dropping the receiver
    /// cancels the answer.
    pub async fn ask(&self, request: AskRequest) -> Result<mpsc::Receiver<AskEvent>, SessionError> {
        if request.question.trim().is_empty() {
            return Err(SessionError::EmptyQuestion);
        }
        let visit = self.inner.presence.visit();
        let (session, history) = self.conversation(request.session.as_deref()).await?;
        let reserved = Reserved::new(self.inner.clone(), session)?;
        let (events, receiver) = mpsc::channel(BACKLOG);
        tokio::spawn(async move {
            let _visit = visit;
            let session = reserved.session.clone();
            let turn = turn::run(&reserved.inner, &session, history, &request, &events);
            tokio::select! {
                // The asker has gone: dropping the turn cancels its generation.
                () = events.closed() => {}
                ended = turn => {
                    // The session is free before the last event is seen, so that the next question
                    // may follow at once.
                    drop(reserved);
                    let last = match ended {
                        Ok(response) => AskEvent::Done(Box::new(response)),
                        Err(error) => AskEvent::Error(error),
                    };
                    let _ = events.send(last).await;
                }
            }
        });
        Ok(receiver)
    }

    /// The conversation so far, with the label of what it was made from.
    async fn conversation(&self, session: Option<&str>) -> Result<(String, History), SessionError> {
        let store = &self.inner.store;
        match session {
            None => Ok((store.create_session().await?, (Vec::new(), Label::owner()))),
            Some(id) => match store.messages(id).await? {
                Some(messages) => Ok((id.to_owned(), (messages, store.label(id).await?))),
                None => Err(SessionError::NotFound(id.to_owned())),
            },
        }
    }
}

/// A session that is answering; free again when this is dropped.
struct Reserved {
    inner: Arc<Inner>,
    session: String,
}

impl Reserved {
    fn new(inner: Arc<Inner>, session: String) -> Result<Reserved, SessionError> {
        let free = inner.answering().insert(session.clone());
        if free { Ok(Reserved { inner, session }) } else { Err(SessionError::Busy(session)) }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.inner.answering().remove(&self.session);
    }
}

impl Inner {
    fn answering(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.answering.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
