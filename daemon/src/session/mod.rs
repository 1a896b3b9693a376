//! One task per conversation turn: drives the pure agent with retrieval, generation and tools.

use crate::protocol::http::{AskEvent, AskRequest};
use tokio::sync::mpsc;

/// Conversations; cheap to clone.
#[derive(Clone)]
pub struct Sessions;

#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("there is no session {0}: leave --session out to begin a new one")]
    NotFound(String),
    #[error("the question is empty")]
    EmptyQuestion,
    #[error("session {0} is still answering: wait for it to finish")]
    Busy(String),
    #[error("the conversation could not be stored: {0}")]
    Store(String),
}

impl Sessions {
    /// Answers a question. The channel's last event is `Done` or `Error`; dropping the receiver
    /// cancels the answer.
    pub async fn ask(&self, _request: AskRequest) -> Result<mpsc::Receiver<AskEvent>, SessionError> {
        Err(SessionError::EmptyQuestion)
    }
}
