//! Errors as clients on the bus see them: `org.familiar.Error.` and a word, with a sentence for people.

use crate::doors::Refused;
use crate::protocol::http::{ErrorBody, ErrorCode};

/// Why a call was not carried out. The first five are the words of [`ErrorCode`].
#[derive(Debug, Clone, PartialEq, Eq, zbus::DBusError)]
#[zbus(prefix = "org.familiar.Error")]
pub enum Error {
    Failed(String),
    Usage(String),
    Denied(String),
    NotFound(String),
    Busy(String),
    /// An option that is unknown, or of another type.
    InvalidOption(String),
    /// An argument that is longer than it may be.
    TooLong(String),
    /// The caller ended the request itself.
    Cancelled(String),
}

impl Error {
    /// An argument that is longer than `most` bytes is refused by its name.
    pub fn if_longer(name: &str, text: &str, most: usize) -> Result<(), Error> {
        match text.len() {
            length if length <= most => Ok(()),
            length => Err(Error::TooLong(format!("`{name}` has {length} bytes; {most} are allowed"))),
        }
    }

    /// The name on the bus, and the sentence.
    pub fn told(&self) -> (String, String) {
        let name = zbus::DBusError::name(self).to_string();
        (name, zbus::DBusError::description(self).unwrap_or_default().to_owned())
    }

    /// As a stream of JSON lines tells it.
    pub fn body(&self) -> ErrorBody {
        let code = match self {
            Error::Failed(_) | Error::Cancelled(_) => ErrorCode::Failed,
            Error::Usage(_) | Error::InvalidOption(_) | Error::TooLong(_) => ErrorCode::Usage,
            Error::Denied(_) => ErrorCode::Denied,
            Error::NotFound(_) => ErrorCode::NotFound,
            Error::Busy(_) => ErrorCode::Busy,
        };
        ErrorBody { code, message: self.told().1 }
    }
}

impl<E: Into<Refused>> From<E> for Error {
    fn from(error: E) -> Error {
        let ErrorBody { code, message } = error.into().body;
        match code {
            ErrorCode::Failed => Error::Failed(message),
            ErrorCode::Usage => Error::Usage(message),
            ErrorCode::Denied => Error::Denied(message),
            ErrorCode::NotFound => Error::NotFound(message),
            ErrorCode::Busy => Error::Busy(message),
        }
    }
}
