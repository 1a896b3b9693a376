//! An answer on its way to a client.

use crate::protocol::http::{AskEvent, ErrorBody, ErrorCode};
use tokio::sync::mpsc;

/// The events of an answer, of which the last is always `Done` or `Error`. Dropping it cancels the answer.
pub struct Answer {
    events: mpsc::Receiver<AskEvent>,
    ended: bool,
}

impl Answer {
    pub fn new(events: mpsc::Receiver<AskEvent>) -> Answer {
        Answer { events, ended: false }
    }

    /// The next event; `None` after the last. Dropping the future loses none.
    pub async fn next(&mut self) -> Option<AskEvent> {
        if self.ended {
            return None;
        }
        let event = self.events.recv().await.unwrap_or_else(|| AskEvent::Error(broken_off()));
        self.ended = matches!(event, AskEvent::Done(_) | AskEvent::Error(_));
        Some(event)
    }
}

fn broken_off() -> ErrorBody {
    let message = "the answer broke off: ask again, and look at the log if it happens twice";
    ErrorBody { code: ErrorCode::Failed, message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_that_breaks_off_ends_with_an_error_and_nothing_follows() {
        let (events, receiver) = mpsc::channel(4);
        let mut answer = Answer::new(receiver);
        events.send(AskEvent::Text { text: "a".into() }).await.unwrap();
        drop(events);
        assert!(matches!(answer.next().await, Some(AskEvent::Text { .. })));
        assert!(matches!(answer.next().await, Some(AskEvent::Error(_))));
        assert!(answer.next().await.is_none());
    }
}
