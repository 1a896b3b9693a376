//! Why a request was not done, as every door tells it: a word of [`ErrorCode`] and a sentence for people.

use crate::approvals::ApprovalsError;
use crate::engine::{EngineError, ModelsError};
use crate::index::IndexError;
use crate::nights::NightError;
use crate::protocol::frames::Fault;
use crate::protocol::http::{ErrorBody, ErrorCode};
use crate::session::SessionError;
use crate::store::StoreError;

/// A request that was not done.
#[derive(Debug, Clone)]
pub struct Refused {
    pub body: ErrorBody,
    /// OpenAI's word for it, where it has one.
    pub reason: Option<&'static str>,
}

impl Refused {
    pub fn new(code: ErrorCode, message: impl std::fmt::Display) -> Self {
        ErrorBody { code, message: message.to_string() }.into()
    }
}

impl From<ErrorBody> for Refused {
    fn from(body: ErrorBody) -> Self {
        Refused { body, reason: None }
    }
}

impl From<EngineError> for Refused {
    fn from(error: EngineError) -> Self {
        let too_long = matches!(error, EngineError::Request(Fault::PromptTooLong { .. }));
        let reason = too_long.then_some("context_length_exceeded");
        Refused { body: error.body(), reason }
    }
}

impl From<ModelsError> for Refused {
    fn from(error: ModelsError) -> Self {
        EngineError::from(error).into()
    }
}

impl From<IndexError> for Refused {
    fn from(error: IndexError) -> Self {
        let code = match error {
            IndexError::NotFound(_) | IndexError::NotARoot(_) => ErrorCode::NotFound,
            IndexError::Denied { .. } | IndexError::Outside(_) => ErrorCode::Denied,
            IndexError::NotAFile(_) | IndexError::Name(_) => ErrorCode::Usage,
            IndexError::Busy(_) | IndexError::Closed => ErrorCode::Busy,
            IndexError::Unreadable { .. } | IndexError::Store(_) => ErrorCode::Failed,
        };
        Refused::new(code, error)
    }
}

impl From<SessionError> for Refused {
    fn from(error: SessionError) -> Self {
        error.body().into()
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::NoSession(_) => ErrorCode::NotFound,
            StoreError::Full(_) => ErrorCode::Busy,
            _ => ErrorCode::Failed,
        };
        Refused::new(code, error)
    }
}

impl From<NightError> for Refused {
    fn from(error: NightError) -> Self {
        match error {
            NightError::Store(error) => error.into(),
            NightError::Index(error) => error.into(),
            error => error.body().into(),
        }
    }
}

impl From<ApprovalsError> for Refused {
    fn from(error: ApprovalsError) -> Self {
        let code = match &error {
            ApprovalsError::NotFound(_) | ApprovalsError::NoRule(_) => ErrorCode::NotFound,
            ApprovalsError::NotAlways | ApprovalsError::NoOption(_) => ErrorCode::Usage,
            ApprovalsError::Store(_) => ErrorCode::Failed,
        };
        Refused::new(code, error)
    }
}
