//! The web, at the granted hosts and with the granted methods. Needs `[wants.http]`. Addresses of this
//! machine and of private networks are refused.
//!
//! ```no_run
//! use familiar_sdk::{http, Result};
//!
//! fn rates() -> Result<serde_json::Value> {
//!     http::Request::get("https://api.example.org/rates")
//!         .header("Accept", "application/json")
//!         .credential("rates") // of the manifest: the plugin never sees it
//!         .send()?
//!         .successful()?
//!         .json()
//! }
//! ```

use crate::bindings::familiar::plugin::http as host;
pub use crate::bindings::familiar::plugin::http::{Error, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Request(host::Request);

impl Request {
    /// `method` is `GET`, `POST` and so on.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Request {
        let (method, url) = (method.into(), url.into());
        Request(host::Request { method, url, headers: Vec::new(), body: None, credential: None })
    }

    pub fn get(url: impl Into<String>) -> Request {
        Request::new("GET", url)
    }

    pub fn post(url: impl Into<String>) -> Request {
        Request::new("POST", url)
    }

    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Request {
        self.0.headers.push((name.into(), value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.0.body = Some(body.into());
        self
    }

    /// A body of JSON, with its content type.
    pub fn json_body(self, body: &(impl Serialize + ?Sized)) -> crate::Result<Request> {
        let bytes = serde_json::to_vec(body).map_err(crate::Error::failed)?;
        Ok(self.header("Content-Type", "application/json").body(bytes))
    }

    /// A credential of the manifest, by name: the host puts it in, and the plugin never sees it.
    pub fn credential(mut self, name: impl Into<String>) -> Request {
        self.0.credential = Some(name.into());
        self
    }

    /// Any status is an answer; see [`Response::successful`].
    pub fn send(self) -> Result<Response, Error> {
        host::send(&self.0)
    }
}

/// Fetches a page.
pub fn get(url: impl Into<String>) -> Result<Response, Error> {
    Request::get(url).send()
}

impl Response {
    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as UTF-8; bytes that are none become `\u{FFFD}`.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json<T: DeserializeOwned>(&self) -> crate::Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            crate::Error::failed(format!("the answer of {} is not as expected: {error}", self.url))
        })
    }

    /// The answer itself if its status is 200 to 299, and an error that names the status if not.
    pub fn successful(self) -> crate::Result<Response> {
        let words = format!("{} answered with status {}", self.url, self.status);
        match self.status {
            200..=299 => Ok(self),
            404 | 410 => Err(crate::Error::NotFound(words)),
            429 | 500..=599 => Err(crate::Error::Unavailable(words)),
            _ => Err(crate::Error::Failed(words)),
        }
    }
}
