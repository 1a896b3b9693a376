//! Adapters that others shared, below `learn/shared`: looked at, taken in, listed, given up. Each handler decodes, forwards,
//! encodes.

use super::Door;
use super::body::{BodyError, JsonBody};
use super::error::Failure;
use crate::doors;
use crate::protocol::http::{Done, ErrorBody};
use crate::protocol::sharing::{InspectShared, SharedAdapter, SharedList, SharedOffer, TakeShared};
use axum::Json;
use axum::extract::{Path, State};

type Answer<T> = Result<Json<T>, Failure>;
type Body<T> = Result<JsonBody<T>, BodyError>;

/// What was taken in from others.
#[utoipa::path(get, path = "/familiar/v1/learn/shared", tag = "familiar", responses(
    (status = 200, body = SharedList), (status = "default", body = ErrorBody)
))]
pub async fn shared(State(door): State<Door>) -> Answer<SharedList> {
    Ok(Json(SharedList { shared: door.handles.nights.shared().await? }))
}

/// Checks a shared folder: signature, digests, and the model that it belongs to.
#[utoipa::path(post, path = "/familiar/v1/learn/shared/inspect", tag = "familiar", request_body = InspectShared, responses(
    (status = 200, body = SharedOffer), (status = "default", body = ErrorBody)
))]
pub async fn inspect_shared(State(door): State<Door>, body: Body<InspectShared>) -> Answer<SharedOffer> {
    let JsonBody(request) = body?;
    doors::absolute(&request.folder)?;
    Ok(Json(door.handles.nights.inspect_shared(request).await?))
}

/// Takes in the adapter of a folder that was looked at.
#[utoipa::path(post, path = "/familiar/v1/learn/shared", tag = "familiar", request_body = TakeShared, responses(
    (status = 200, body = SharedAdapter), (status = "default", body = ErrorBody)
))]
pub async fn take_shared(State(door): State<Door>, body: Body<TakeShared>) -> Answer<SharedAdapter> {
    let JsonBody(request) = body?;
    doors::absolute(&request.folder)?;
    Ok(Json(door.handles.nights.take_shared(request).await?))
}

/// Gives one up again.
#[utoipa::path(delete, path = "/familiar/v1/learn/shared/{name}", tag = "familiar",
    params(("name" = String, Path, description = "What it is called here")),
    responses((status = 200, body = Done), (status = "default", body = ErrorBody))
)]
pub async fn give_up_shared(State(door): State<Door>, Path(name): Path<String>) -> Answer<Done> {
    door.handles.nights.give_up_shared(name).await?;
    Ok(Json(Done { ok: true }))
}
