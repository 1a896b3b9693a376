//! JSON bodies of requests: read up to a limit and within a time, and refused with words that say where
//! they are wrong.

use super::Limits;
use axum::Json;
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::{StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

/// The body of a request, decoded. The content type is not looked at: nothing but JSON is accepted,
/// and `curl -d` names another.
pub struct JsonBody<T>(pub T);

/// A request that needs no body, and may have one: it is read to its end, since a connection with an unread body is
/// closed, and a client that is still writing would never see the answer.
pub struct NoBody;

/// Why a body was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the body is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the body did not arrive within {seconds} s")]
    TooSlow { seconds: u64 },
    #[error("the body could not be read: {0}")]
    Broken(String),
    #[error("{0}")]
    Json(String),
}

impl BodyError {
    pub fn status(&self) -> StatusCode {
        match self {
            BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            BodyError::Broken(_) | BodyError::Json(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl<S, T> FromRequest<S> for JsonBody<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
    Limits: FromRef<S>,
{
    type Rejection = BodyError;

    async fn from_request(request: Request, state: &S) -> Result<Self, BodyError> {
        let bytes = read(request, Limits::from_ref(state)).await?;
        match Json::from_bytes(&bytes) {
            Ok(Json(value)) => Ok(JsonBody(value)),
            Err(error) => Err(BodyError::Json(error.body_text())),
        }
    }
}

impl<S> FromRequest<S> for NoBody
where
    S: Send + Sync,
    Limits: FromRef<S>,
{
    type Rejection = BodyError;

    async fn from_request(request: Request, state: &S) -> Result<Self, BodyError> {
        read(request, Limits::from_ref(state)).await.map(|_| NoBody)
    }
}

/// A length that is announced too large is refused before anything is read.
async fn read(request: Request, limits: Limits) -> Result<axum::body::Bytes, BodyError> {
    let too_large = BodyError::TooLarge { limit: limits.body_bytes };
    let announced =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > limits.body_bytes as u64) {
        return Err(too_large);
    }
    let body = Limited::new(request.into_body(), limits.body_bytes);
    match tokio::time::timeout(limits.body_time, body.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large),
        Ok(Err(error)) => Err(BodyError::Broken(error.to_string())),
        Err(_) => Err(BodyError::TooSlow { seconds: limits.body_time.as_secs() }),
    }
}
