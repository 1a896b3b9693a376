//! Errors as clients see them: Familiar's own shape, OpenAI's shape, and the way from one to the other.

use super::body::BodyError;
use super::openai::{ErrorDetail, ErrorReply, Invalid};
use crate::doors::Refused;
use crate::protocol::http::{ErrorBody, ErrorCode};
use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// A request that failed, on Familiar's own routes.
#[derive(Debug, Clone)]
pub struct Failure {
    pub status: StatusCode,
    pub body: ErrorBody,
    /// OpenAI's word for it, where it has one.
    pub reason: Option<&'static str>,
}

impl Failure {
    pub fn new(code: ErrorCode, message: impl std::fmt::Display) -> Self {
        let body = ErrorBody { code, message: message.to_string() };
        Failure { status: status(code), body, reason: None }
    }
}

/// The HTTP status each code stands for.
fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorCode::Usage => StatusCode::BAD_REQUEST,
        ErrorCode::Denied => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::Busy => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        closing(self.status, (self.status, Json(self.body)).into_response())
    }
}

/// After a body that was not read to its end the connection cannot be used again.
fn closing(status: StatusCode, mut response: Response) -> Response {
    if matches!(status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

impl<E: Into<Refused>> From<E> for Failure {
    fn from(error: E) -> Self {
        let Refused { body, reason } = error.into();
        Failure { status: status(body.code), body, reason }
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        Failure { status: error.status(), ..Failure::new(ErrorCode::Usage, error) }
    }
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        Failure::from(self).into_response()
    }
}

/// A request that failed, on the routes that are OpenAI's.
#[derive(Debug)]
pub struct OpenAiError {
    status: StatusCode,
    detail: ErrorDetail,
}

impl OpenAiError {
    pub fn new(
        status: StatusCode,
        code: Option<&str>,
        param: Option<String>,
        message: impl Into<String>,
    ) -> Self {
        let kind = if status.is_client_error() { "invalid_request_error" } else { "server_error" };
        let detail =
            ErrorDetail { message: message.into(), kind: kind.into(), param, code: code.map(Into::into) };
        OpenAiError { status, detail }
    }

    /// As it is told in the middle of a stream.
    pub fn into_reply(self) -> ErrorReply {
        ErrorReply { error: self.detail }
    }
}

impl<E: Into<Failure>> From<E> for OpenAiError {
    fn from(error: E) -> Self {
        let failure = error.into();
        OpenAiError::new(failure.status, failure.reason, None, failure.body.message)
    }
}

impl From<Invalid> for OpenAiError {
    fn from(invalid: Invalid) -> Self {
        OpenAiError::new(StatusCode::BAD_REQUEST, invalid.code, Some(invalid.param), invalid.message)
    }
}

impl IntoResponse for OpenAiError {
    fn into_response(self) -> Response {
        let status = self.status;
        closing(status, (status, Json(self.into_reply())).into_response())
    }
}

pub fn unknown_route(path: &str) -> Response {
    plain(
        path,
        StatusCode::NOT_FOUND,
        ErrorCode::NotFound,
        format!("there is no {path} here: see /openapi.json"),
    )
}

pub fn wrong_method(method: &Method, path: &str) -> Response {
    let message = format!("{path} does not take {method}: see /openapi.json");
    plain(path, StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Usage, message)
}

/// In the shape that clients of this path expect.
fn plain(path: &str, status: StatusCode, code: ErrorCode, message: String) -> Response {
    if path.starts_with("/v1/") {
        return OpenAiError::new(status, None, None, message).into_response();
    }
    Failure { status, ..Failure::new(code, message) }.into_response()
}
