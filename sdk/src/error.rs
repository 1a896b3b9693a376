//! Why a tool failed, in words for the model: what was wrong, and what would be right.

use crate::{ask_user, generate, http, kv, notify, search};
use std::fmt::{self, Display};

/// What a tool answers when it cannot do what it was asked.
///
/// ```
/// use familiar_sdk::{Error, Result};
///
/// fn half(of: i64) -> Result<i64> {
///     if of % 2 == 1 {
///         return Err(Error::invalid(format!("{of} is odd: give an even number")));
///     }
///     Ok(of / 2)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The arguments satisfy the schema and make no sense all the same.
    InvalidArguments(String),
    /// What was asked for is not there.
    NotFound(String),
    /// A grant is missing, or the owner said no.
    Denied(String),
    /// Trying again later may help.
    Unavailable(String),
    Failed(String),
}

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn invalid(words: impl Display) -> Error {
        Error::InvalidArguments(words.to_string())
    }

    pub fn not_found(words: impl Display) -> Error {
        Error::NotFound(words.to_string())
    }

    pub fn denied(words: impl Display) -> Error {
        Error::Denied(words.to_string())
    }

    pub fn unavailable(words: impl Display) -> Error {
        Error::Unavailable(words.to_string())
    }

    /// For any other error too: `.map_err(Error::failed)?`.
    pub fn failed(words: impl Display) -> Error {
        Error::Failed(words.to_string())
    }

    pub fn message(&self) -> &str {
        match self {
            Error::InvalidArguments(words)
            | Error::NotFound(words)
            | Error::Denied(words)
            | Error::Unavailable(words)
            | Error::Failed(words) => words,
        }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Error {}

impl From<String> for Error {
    fn from(words: String) -> Error {
        Error::Failed(words)
    }
}

impl From<&str> for Error {
    fn from(words: &str) -> Error {
        Error::Failed(words.into())
    }
}

impl From<kv::Error> for Error {
    fn from(error: kv::Error) -> Error {
        match error {
            kv::Error::Denied(words) => Error::Denied(words),
            kv::Error::Quota(bytes) => Error::Failed(format!(
                "there is no room left: this plugin may store {bytes} bytes. Delete something first"
            )),
            kv::Error::Failed(words) => Error::Failed(words),
        }
    }
}

impl From<search::Error> for Error {
    fn from(error: search::Error) -> Error {
        match error {
            search::Error::Denied(words) => Error::Denied(words),
            search::Error::NotFound(words) => Error::NotFound(words),
            search::Error::Failed(words) => Error::Failed(words),
        }
    }
}

impl From<generate::Error> for Error {
    fn from(error: generate::Error) -> Error {
        match error {
            generate::Error::Denied(words) => Error::Denied(words),
            generate::Error::Budget(left) => Error::Failed(format!(
                "the model's token budget for this call is spent: {left} left. Ask for less at a time"
            )),
            generate::Error::TooLong((tokens, fit)) => {
                Error::Failed(format!("the text has {tokens} tokens and the model takes {fit}: give it less"))
            }
            generate::Error::Failed(words) => Error::Unavailable(words),
        }
    }
}

impl From<http::Error> for Error {
    fn from(error: http::Error) -> Error {
        match error {
            http::Error::Denied(words) => Error::Denied(words),
            http::Error::Invalid(words) => Error::InvalidArguments(words),
            http::Error::TooLarge(bytes) => {
                Error::Failed(format!("the answer is larger than {bytes} bytes, which is the limit"))
            }
            http::Error::Timeout => Error::Unavailable("the server did not answer in time".into()),
            http::Error::Failed(words) => Error::Unavailable(words),
        }
    }
}

impl From<notify::Error> for Error {
    fn from(error: notify::Error) -> Error {
        match error {
            notify::Error::Denied(words) => Error::Denied(words),
            notify::Error::Failed(words) => Error::Failed(words),
        }
    }
}

impl From<ask_user::Error> for Error {
    fn from(error: ask_user::Error) -> Error {
        match error {
            ask_user::Error::Denied(words) => Error::Denied(words),
            ask_user::Error::Unanswered => {
                Error::Unavailable("the owner did not answer the question in time".into())
            }
        }
    }
}
