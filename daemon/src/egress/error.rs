//! Why a request was not sent, or gave nothing, and how a plugin is told.

use crate::protocol::plugins::Refusal;

/// See the sentences; each names what it is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{url:?} is not a URL that can be sent to: {why}")]
    Url { url: String, why: String },
    #[error("the method {0:?} is none of GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS")]
    Method(String),
    #[error("the header {name:?} {why}")]
    Header { name: String, why: &'static str },
    #[error("the request {0}")]
    Shape(String),
    #[error("{0}")]
    NotGranted(String),
    #[error("{host} is {what}; only the owner can open it, under `private_hosts`")]
    Local { host: String, what: String },
    #[error("{host} is {what}, where no web server is asked")]
    Never { host: String, what: String },
    #[error("{host} is of a private network and must be granted by its name, not by `*`")]
    ByName { host: String },
    #[error("a public host redirected to {host}, which is of a private network")]
    Inward { host: String },
    #[error("the redirect to {host} leaves https")]
    Downgrade { host: String },
    #[error("the redirect of {host} leads to {why}")]
    Redirect { host: String, why: String },
    #[error("the credential is for {own} and not for {host}")]
    Credential { own: String, host: String },
    #[error("the credential is not sent to {host} without https")]
    Bare { host: String },
    #[error("the request to {host} was not approved: {why}")]
    Refused { host: String, why: String },
    #[error("the answer is larger than {0} bytes")]
    TooLarge(u64),
    #[error("the request took too long")]
    Timeout,
    #[error("{host} {why}")]
    Failed { host: String, why: String },
    #[error("{0}")]
    Tls(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        let sentence = error.to_string();
        match error {
            Error::TooLarge(bytes) => Refusal::TooLarge(bytes),
            Error::Timeout => Refusal::Timeout,
            Error::Url { .. } | Error::Method(_) | Error::Header { .. } | Error::Shape(_) => {
                Refusal::Invalid(sentence)
            }
            Error::NotGranted(_)
            | Error::Local { .. }
            | Error::Never { .. }
            | Error::ByName { .. }
            | Error::Inward { .. }
            | Error::Downgrade { .. }
            | Error::Credential { .. }
            | Error::Bare { .. }
            | Error::Refused { .. } => Refusal::Denied(sentence),
            Error::Redirect { .. } | Error::Failed { .. } | Error::Tls(_) => Refusal::Failed(sentence),
        }
    }
}
