//! Talks HTTP/1.1 to the daemon over its unix socket. It checks that the process at the other end is the
//! owner's before it says anything, and it reaches nothing but that socket.

use super::exit::{Exit, Failure, Outcome};
use super::sse;
use crate::config::paths::Paths;
use crate::protocol::http::ErrorBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::VecDeque;
use std::io;
use tokio::net::UnixStream;

/// No answer of the daemon is longer than this many bytes.
const LONGEST_ANSWER: usize = 256 << 20;

/// One connection. Dropping it, or an answer half read, cancels the request in the daemon.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    /// Connects to the socket of a daemon that runs already.
    pub async fn connect(paths: &Paths) -> Result<Client, ConnectError> {
        paths.check_runtime().map_err(|error| ConnectError::Refused(error.into()))?;
        let stream = UnixStream::connect(paths.socket()).await.map_err(ConnectError::from_io)?;
        let peer = stream.peer_cred().map_err(ConnectError::from_io)?.uid();
        if peer != rustix::process::geteuid().as_raw() {
            let message = format!("{} is served by another user (uid {peer})", paths.socket().display());
            return Err(ConnectError::Refused(Failure::new(Exit::Denied, message)));
        }
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| ConnectError::Refused(lost(&error)))?;
        // It ends with the connection; what went wrong there reaches the request that suffers from it.
        tokio::spawn(connection);
        Ok(Client { sender })
    }

    /// `GET /familiar/v1/…`.
    pub async fn get(&mut self, resource: &str) -> Outcome<Value> {
        self.call(Method::GET, resource, &()).await
    }

    pub async fn post<B: Serialize>(&mut self, resource: &str, body: &B) -> Outcome<Value> {
        self.call(Method::POST, resource, body).await
    }

    pub async fn delete(&mut self, resource: &str) -> Outcome<Value> {
        self.call(Method::DELETE, resource, &()).await
    }

    async fn call<B: Serialize>(&mut self, method: Method, resource: &str, body: &B) -> Outcome<Value> {
        let response = self.send(method, resource, body).await?;
        let body = collect(response).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| strange(&error.to_string()))
    }

    /// Posts a question whose answer is streamed.
    pub async fn events<B: Serialize>(&mut self, resource: &str, body: &B) -> Outcome<Events> {
        Ok(Events::of(self.send(Method::POST, resource, body).await?))
    }

    /// Listens to a resource that is a stream.
    pub async fn listen(&mut self, resource: &str) -> Outcome<Events> {
        Ok(Events::of(self.send(Method::GET, resource, &()).await?))
    }

    /// Sends a request; an answer that is an error becomes one.
    async fn send<B: Serialize>(
        &mut self,
        method: Method,
        resource: &str,
        body: &B,
    ) -> Outcome<Response<Incoming>> {
        let with_body = method == Method::POST;
        let bytes = if with_body {
            serde_json::to_vec(body).map_err(|e| strange(&e.to_string()))?
        } else {
            Vec::new()
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("/familiar/v1/{resource}"))
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(bytes)))
            .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        self.sender.ready().await.map_err(|error| lost(&error))?;
        let response = self.sender.send_request(request).await.map_err(|error| lost(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }
}

/// The events of a streamed answer, in order.
pub struct Events {
    body: Incoming,
    parser: sse::Parser,
    ready: VecDeque<sse::Event>,
}

impl Events {
    fn of(response: Response<Incoming>) -> Events {
        Events { body: response.into_body(), parser: sse::Parser::default(), ready: VecDeque::new() }
    }

    /// The next event; `None` once the stream has ended.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Outcome<Option<T>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return serde_json::from_str(&event.data)
                    .map(Some)
                    .map_err(|error| strange(&error.to_string()));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|error| lost(&error))?;
            if let Some(bytes) = frame.data_ref() {
                self.ready.extend(self.parser.push(bytes).map_err(|error| strange(&error.to_string()))?);
            }
        }
    }
}

/// Reads an answer into the type that the contract gives it.
pub fn decode<T: DeserializeOwned>(value: Value) -> Outcome<T> {
    serde_json::from_value(value).map_err(|error| strange(&error.to_string()))
}

/// One part of a resource's path, escaped.
pub fn segment(text: &str) -> String {
    let escaped = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    escaped.collect()
}

async fn collect(response: Response<Incoming>) -> Outcome<Bytes> {
    let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await;
    body.map(|body| body.to_bytes()).map_err(|error| lost(error.as_ref()))
}

async fn refusal(response: Response<Incoming>) -> Failure {
    let status = response.status();
    match collect(response).await {
        Ok(body) => match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(error) => error.into(),
            Err(_) => Failure::new(exit_of(status), format!("the daemon answered {status}")),
        },
        Err(failure) => failure,
    }
}

/// For an answer without our error body.
fn exit_of(status: StatusCode) -> Exit {
    match status {
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Exit::Denied,
        StatusCode::NOT_FOUND => Exit::NotFound,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Exit::Busy,
        status if status.is_client_error() => Exit::Usage,
        _ => Exit::Failed,
    }
}

fn lost(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::Lost(format!("the daemon went away in the middle ({error}); try again, its log tells why"))
}

fn strange(what: &str) -> Failure {
    let way_out = "it may be another version: `familiar stop`, then try again";
    Failure::failed(format!("the daemon's answer is not understood ({what}); {way_out}"))
}

/// Why there is no connection.
#[derive(Debug)]
pub enum ConnectError {
    /// Nobody listens.
    NoDaemon,
    Refused(Failure),
}

impl ConnectError {
    fn from_io(error: io::Error) -> ConnectError {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
                ConnectError::NoDaemon
            }
            io::ErrorKind::PermissionDenied => {
                ConnectError::Refused(Failure::new(Exit::Denied, format!("the daemon's socket: {error}")))
            }
            io::ErrorKind::WouldBlock => ConnectError::Refused(Failure::new(
                Exit::Busy,
                "the daemon has too many clients waiting; try again",
            )),
            _ => ConnectError::Refused(Failure::failed(format!("the daemon's socket: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_part_of_the_path() {
        assert_eq!(segment("qwen3-0.6b"), "qwen3-0.6b");
        assert_eq!(segment("../a b?é"), "..%2Fa%20b%3F%C3%A9");
    }

    #[test]
    fn an_answer_without_a_body_of_ours_still_has_an_exit_code() {
        assert_eq!(exit_of(StatusCode::PAYLOAD_TOO_LARGE), Exit::Usage);
        assert_eq!(exit_of(StatusCode::NOT_FOUND), Exit::NotFound);
        assert_eq!(exit_of(StatusCode::BAD_GATEWAY), Exit::Failed);
    }
}
