//! How a command ends: the one table of exit codes, and the error that carries one. Data only.

use crate::config::ConfigError;
use crate::config::paths::PathsError;
use crate::protocol::http::{ErrorBody, ErrorCode};
use std::io;

/// The exit codes scripts rely on; 0 is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Failed = 1,
    /// The command line or the request was wrong.
    Usage = 2,
    NoDaemon = 3,
    Denied = 4,
    NotFound = 5,
    /// Busy or at a limit; trying again may help.
    Busy = 6,
}

impl From<ErrorCode> for Exit {
    fn from(code: ErrorCode) -> Exit {
        match code {
            ErrorCode::Failed => Exit::Failed,
            ErrorCode::Usage => Exit::Usage,
            ErrorCode::Denied => Exit::Denied,
            ErrorCode::NotFound => Exit::NotFound,
            ErrorCode::Busy => Exit::Busy,
        }
    }
}

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{message}")]
    Told { exit: Exit, message: String },
    /// The daemon went away in the middle.
    #[error("{0}")]
    Lost(String),
    /// Everything worth saying is printed already.
    #[error("")]
    Silent(Exit),
    /// Whoever read the output has enough (`| head`): a quiet, good end.
    #[error("")]
    PipeClosed,
}

/// What every command returns.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure::Told { exit, message: message.into() }
    }

    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, message)
    }

    pub fn failed(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Failed, message)
    }

    /// The process's exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Told { exit, .. } | Failure::Silent(exit) => *exit as u8,
            Failure::Lost(_) => Exit::Failed as u8,
            Failure::PipeClosed => 0,
        }
    }
}

impl From<ErrorBody> for Failure {
    fn from(body: ErrorBody) -> Failure {
        Failure::new(body.code.into(), body.message)
    }
}

/// Commands do no other IO of their own than writing their output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::PipeClosed,
            _ => Failure::failed(format!("the output cannot be written: {error}")),
        }
    }
}

impl From<PathsError> for Failure {
    fn from(error: PathsError) -> Failure {
        let exit = match &error {
            PathsError::NoHome | PathsError::TooLong(_) => Exit::Usage,
            PathsError::NotOurs { .. } => Exit::Denied,
            PathsError::Folder { .. } => Exit::Failed,
        };
        Failure::new(exit, error.to_string())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::failed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_code_has_its_exit_code() {
        let table = [
            (ErrorCode::Failed, 1),
            (ErrorCode::Usage, 2),
            (ErrorCode::Denied, 4),
            (ErrorCode::NotFound, 5),
            (ErrorCode::Busy, 6),
        ];
        for (code, exit) in table {
            assert_eq!(Failure::from(ErrorBody { code, message: String::new() }).code(), exit);
        }
        assert_eq!(Failure::new(Exit::NoDaemon, "").code(), 3);
    }

    #[test]
    fn a_closed_pipe_is_a_good_end() {
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).code(), 0);
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::StorageFull)).code(), 1);
    }
}
