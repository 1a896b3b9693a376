//! Familiar's own resources under `/familiar/v1/`: each handler decodes, forwards and encodes.

use super::Door;
use super::body::{BodyError, JsonBody, NoBody};
use super::error::Failure;
use crate::doors::{self, Answer as Answering};
use crate::protocol::http::{
    AskEvent, AskRequest, AskResponse, Done, ErrorBody, ErrorCode, ImportRequest, IndexStatus, ModelEntry,
    Models, PathRequest, Roots, SearchRequest, SearchResponse, SessionDetail, SessionList, Status,
    UseRequest,
};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};

type Answer<T> = Result<Json<T>, Failure>;
type Body<T> = Result<JsonBody<T>, BodyError>;

const DONE: Json<Done> = Json(Done { ok: true });

/// Answers a question from the owner's files, at once or as server-sent events.
#[utoipa::path(post, path = "/familiar/v1/ask", tag = "familiar", request_body = AskRequest, responses(
    (status = 200, content((AskResponse = "application/json"), (AskEvent = "text/event-stream"))),
    (status = "default", body = ErrorBody)
))]
pub async fn ask(State(door): State<Door>, body: Body<AskRequest>) -> Result<Response, Failure> {
    let JsonBody(request) = body?;
    let streams = request.stream;
    let answer = doors::ask(&door.handles, request).await?;
    if streams {
        return Ok(Sse::new(stream(answer)).keep_alive(KeepAlive::new()).into_response());
    }
    Ok(Json(last(answer).await?).into_response())
}

/// The events as they come. A client that leaves drops this, and that cancels the answer.
pub fn stream(mut answer: Answering) -> impl futures::Stream<Item = Result<Event, axum::Error>> {
    async_stream::stream! {
        while let Some(event) = answer.next().await {
            yield sent(&event);
        }
    }
}

fn sent(event: &AskEvent) -> Result<Event, axum::Error> {
    let name = match event {
        AskEvent::Started { .. } => "started",
        AskEvent::Text { .. } => "text",
        AskEvent::ToolCall { .. } => "tool_call",
        AskEvent::Approval(_) => "approval",
        AskEvent::ApprovalEnded { .. } => "approval_ended",
        AskEvent::Notice(_) => "notice",
        AskEvent::Progress(_) => "progress",
        AskEvent::Done(_) => "done",
        AskEvent::Error(_) => "error",
    };
    Event::default().event(name).json_data(event)
}

async fn last(mut answer: Answering) -> Result<AskResponse, Failure> {
    loop {
        match answer.next().await {
            Some(AskEvent::Done(response)) => return Ok(*response),
            Some(AskEvent::Error(error)) => return Err(error.into()),
            Some(_) => {}
            None => return Err(Failure::new(ErrorCode::Failed, "the answer had no end")),
        }
    }
}

/// Passages of the indexed files that match a query.
#[utoipa::path(post, path = "/familiar/v1/search", tag = "familiar", request_body = SearchRequest, responses(
    (status = 200, body = SearchResponse),
    (status = "default", body = ErrorBody)
))]
pub async fn search(State(door): State<Door>, body: Body<SearchRequest>) -> Answer<SearchResponse> {
    let JsonBody(request) = body?;
    Ok(Json(doors::search(&door.handles, request).await?))
}

/// How far the index is.
#[utoipa::path(get, path = "/familiar/v1/index", tag = "familiar", responses(
    (status = 200, body = IndexStatus),
    (status = "default", body = ErrorBody)
))]
pub async fn index_status(State(door): State<Door>) -> Answer<IndexStatus> {
    Ok(Json(doors::index_status(&door.handles)))
}

/// Indexes a folder or a file from now on.
#[utoipa::path(post, path = "/familiar/v1/index/add", tag = "familiar", request_body = PathRequest, responses(
    (status = 200, body = IndexStatus),
    (status = "default", body = ErrorBody)
))]
pub async fn index_add(State(door): State<Door>, body: Body<PathRequest>) -> Answer<IndexStatus> {
    let JsonBody(request) = body?;
    doors::index_add(&door.handles, &request).await?;
    Ok(Json(doors::index_status(&door.handles)))
}

/// Stops indexing a folder or a file, and forgets what was read from it.
#[utoipa::path(post, path = "/familiar/v1/index/remove", tag = "familiar", request_body = PathRequest, responses(
    (status = 200, body = IndexStatus),
    (status = "default", body = ErrorBody)
))]
pub async fn index_remove(State(door): State<Door>, body: Body<PathRequest>) -> Answer<IndexStatus> {
    let JsonBody(request) = body?;
    doors::index_remove(&door.handles, &request).await?;
    Ok(Json(doors::index_status(&door.handles)))
}

/// What is indexed.
#[utoipa::path(get, path = "/familiar/v1/index/roots", tag = "familiar", responses(
    (status = 200, body = Roots),
    (status = "default", body = ErrorBody)
))]
pub async fn index_roots(State(door): State<Door>) -> Answer<Roots> {
    Ok(Json(Roots { roots: doors::index_status(&door.handles).roots }))
}

/// How the daemon and its workers are.
#[utoipa::path(get, path = "/familiar/v1/status", tag = "familiar", responses(
    (status = 200, body = Status),
    (status = "default", body = ErrorBody)
))]
pub async fn status(State(door): State<Door>) -> Answer<Status> {
    Ok(Json(doors::status(&door.handles).await))
}

/// Ends the daemon; running answers get a moment.
#[utoipa::path(post, path = "/familiar/v1/stop", tag = "familiar", responses(
    (status = 200, body = Done),
    (status = "default", body = ErrorBody)
))]
pub async fn stop(State(door): State<Door>, _: NoBody) -> Json<Done> {
    door.handles.stop.send_replace(true);
    DONE
}

/// The imported models and the embedded one.
#[utoipa::path(get, path = "/familiar/v1/models", tag = "familiar", responses(
    (status = 200, body = Models),
    (status = "default", body = ErrorBody)
))]
pub async fn models(State(door): State<Door>) -> Answer<Models> {
    Ok(Json(Models { models: doors::models(&door.handles).await? }))
}

/// Takes a GGUF file in.
#[utoipa::path(post, path = "/familiar/v1/models/import", tag = "familiar", request_body = ImportRequest, responses(
    (status = 200, body = ModelEntry),
    (status = "default", body = ErrorBody)
))]
pub async fn import_model(State(door): State<Door>, body: Body<ImportRequest>) -> Answer<ModelEntry> {
    let JsonBody(request) = body?;
    Ok(Json(doors::import(&door.handles, request).await?))
}

/// Makes a model the one that answers, now and after a restart.
#[utoipa::path(post, path = "/familiar/v1/models/use", tag = "familiar", request_body = UseRequest, responses(
    (status = 200, body = Done),
    (status = "default", body = ErrorBody)
))]
pub async fn use_model(State(door): State<Door>, body: Body<UseRequest>) -> Answer<Done> {
    let JsonBody(request) = body?;
    doors::use_model(&door.handles, request).await?;
    Ok(DONE)
}

/// What is known of a model.
#[utoipa::path(get, path = "/familiar/v1/models/{name}", tag = "familiar", params(("name" = String, Path)), responses(
    (status = 200, body = ModelEntry),
    (status = "default", body = ErrorBody)
))]
pub async fn model(State(door): State<Door>, Path(name): Path<String>) -> Answer<ModelEntry> {
    Ok(Json(doors::model(&door.handles, name).await?))
}

/// Forgets an imported model.
#[utoipa::path(delete, path = "/familiar/v1/models/{name}", tag = "familiar", params(("name" = String, Path)), responses(
    (status = 200, body = Done),
    (status = "default", body = ErrorBody)
))]
pub async fn remove_model(State(door): State<Door>, Path(name): Path<String>) -> Answer<Done> {
    doors::remove_model(&door.handles, name).await?;
    Ok(DONE)
}

/// Every session, the one used last first.
#[utoipa::path(get, path = "/familiar/v1/sessions", tag = "familiar", responses(
    (status = 200, body = SessionList),
    (status = "default", body = ErrorBody)
))]
pub async fn sessions(State(door): State<Door>) -> Answer<SessionList> {
    Ok(Json(SessionList { sessions: door.store.sessions().await? }))
}

/// The messages of a session.
#[utoipa::path(get, path = "/familiar/v1/sessions/{id}", tag = "familiar", params(("id" = String, Path)), responses(
    (status = 200, body = SessionDetail),
    (status = "default", body = ErrorBody)
))]
pub async fn session(State(door): State<Door>, Path(id): Path<String>) -> Answer<SessionDetail> {
    match door.store.history(&id).await? {
        Some(messages) => Ok(Json(SessionDetail { id, messages })),
        None => Err(no_session(&id)),
    }
}

/// Deletes a session with all its messages.
#[utoipa::path(delete, path = "/familiar/v1/sessions/{id}", tag = "familiar", params(("id" = String, Path)), responses(
    (status = 200, body = Done),
    (status = "default", body = ErrorBody)
))]
pub async fn delete_session(State(door): State<Door>, Path(id): Path<String>) -> Answer<Done> {
    if door.store.delete_session(&id).await? { Ok(DONE) } else { Err(no_session(&id)) }
}

fn no_session(id: &str) -> Failure {
    Failure::new(ErrorCode::NotFound, format!("there is no session {id}"))
}

/// Reads the settings again; settings that are wrong leave the old ones in force.
#[utoipa::path(post, path = "/familiar/v1/config/reload", tag = "familiar", responses(
    (status = 200, body = Done),
    (status = "default", body = ErrorBody)
))]
pub async fn reload_config(State(door): State<Door>, _: NoBody) -> Answer<Done> {
    doors::reload(&door.handles).await?;
    Ok(DONE)
}
