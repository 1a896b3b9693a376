//! Learning's resources: what was said of answers, cycles, generations, forgetting. Each handler decodes, forwards, encodes.

use super::Door;
use super::body::{BodyError, JsonBody, NoBody};
use super::error::Failure;
use crate::daemon::Control;
use crate::doors;
use crate::protocol::http::{Done, ErrorBody, ErrorCode};
use crate::protocol::learn::{
    Consent, ForgetProof, ForgetRequest, History, LearnOutcome, LearnStatus, RememberRequest,
    RollbackRequest, RolledBack, SignalKept, SignalKind, SignalRequest, SourcesRequest,
};
use axum::Json;
use axum::extract::State;
use std::path::PathBuf;

/// The note in the store that the owner was asked what may be learned from.
const ASKED: &str = "learn.asked";

type Answer<T> = Result<Json<T>, Failure>;
type Body<T> = Result<JsonBody<T>, BodyError>;

const DONE: Json<Done> = Json(Done { ok: true });

/// What learning is at, and what it waits for.
#[utoipa::path(get, path = "/familiar/v1/learn", tag = "familiar", responses(
    (status = 200, body = LearnStatus), (status = "default", body = ErrorBody)
))]
pub async fn learn_status(State(door): State<Door>) -> Answer<LearnStatus> {
    Ok(Json(door.handles.nights.status().await?))
}

/// The generations of the model in use, the newest first.
#[utoipa::path(get, path = "/familiar/v1/learn/history", tag = "familiar", responses(
    (status = 200, body = History), (status = "default", body = ErrorBody)
))]
pub async fn learn_history(State(door): State<Door>) -> Answer<History> {
    Ok(Json(History { generations: door.handles.nights.history().await? }))
}

/// Runs a cycle now; answers when it has ended. It goes on when the client leaves.
#[utoipa::path(post, path = "/familiar/v1/learn/now", tag = "familiar", responses(
    (status = 200, body = LearnOutcome), (status = "default", body = ErrorBody)
))]
pub async fn learn_now(State(door): State<Door>, _: NoBody) -> Answer<LearnOutcome> {
    Ok(Json(door.handles.nights.now().await?.into()))
}

/// Puts an earlier generation in use.
#[utoipa::path(post, path = "/familiar/v1/learn/rollback", tag = "familiar", request_body = RollbackRequest, responses(
    (status = 200, body = RolledBack), (status = "default", body = ErrorBody)
))]
pub async fn learn_rollback(State(door): State<Door>, body: Body<RollbackRequest>) -> Answer<RolledBack> {
    let JsonBody(request) = body?;
    Ok(Json(RolledBack { generation: door.handles.nights.rollback(request.generation).await? }))
}

/// Lets nothing more be learned until it is resumed.
#[utoipa::path(post, path = "/familiar/v1/learn/pause", tag = "familiar", responses(
    (status = 200, body = Done), (status = "default", body = ErrorBody)
))]
pub async fn learn_pause(State(door): State<Door>, _: NoBody) -> Answer<Done> {
    door.handles.nights.pause(true).await?;
    Ok(DONE)
}

/// Lets learning go on.
#[utoipa::path(post, path = "/familiar/v1/learn/resume", tag = "familiar", responses(
    (status = 200, body = Done), (status = "default", body = ErrorBody)
))]
pub async fn learn_resume(State(door): State<Door>, _: NoBody) -> Answer<Done> {
    door.handles.nights.pause(false).await?;
    Ok(DONE)
}

/// What may be learned from; it takes the place of what was allowed before.
#[utoipa::path(post, path = "/familiar/v1/learn/sources", tag = "familiar", request_body = SourcesRequest, responses(
    (status = 200, body = LearnStatus), (status = "default", body = ErrorBody)
))]
pub async fn learn_sources(State(door): State<Door>, body: Body<SourcesRequest>) -> Answer<LearnStatus> {
    let JsonBody(SourcesRequest { sources, folders }) = body?;
    let roots = door.handles.index.roots();
    let outside =
        folders.iter().find(|folder| !roots.iter().any(|root| PathBuf::from(folder).starts_with(root)));
    if let Some(folder) = outside {
        let message =
            format!("{folder} is not below an indexed folder: add it with `familiar index add` first");
        return Err(Failure::new(ErrorCode::Usage, message));
    }
    doors::command(&door.handles, |done| Control::SetLearning { sources, folders, done }).await?;
    // Who says it by themselves need not be asked.
    door.store.set_note(ASKED, "yes").await?;
    Ok(Json(door.handles.nights.status().await?))
}

/// Whether the owner was asked already what may be learned from.
#[utoipa::path(get, path = "/familiar/v1/learn/consent", tag = "familiar", responses(
    (status = 200, body = Consent), (status = "default", body = ErrorBody)
))]
pub async fn learn_consent(State(door): State<Door>) -> Answer<Consent> {
    let asked = door.store.note(ASKED).await?.is_some_and(|value| !value.is_empty());
    Ok(Json(Consent { asked }))
}

/// Keeps that the owner was asked; what they said yes to goes to `learn/sources`.
#[utoipa::path(post, path = "/familiar/v1/learn/consent", tag = "familiar", request_body = Consent, responses(
    (status = 200, body = Consent), (status = "default", body = ErrorBody)
))]
pub async fn learn_asked(State(door): State<Door>, body: Body<Consent>) -> Answer<Consent> {
    let JsonBody(consent) = body?;
    door.store.set_note(ASKED, if consent.asked { "yes" } else { "" }).await?;
    Ok(Json(consent))
}

/// A page about all that was learned, as one text of HTML.
#[utoipa::path(get, path = "/familiar/v1/learn/report", tag = "familiar", responses(
    (status = 200, body = String), (status = "default", body = ErrorBody)
))]
pub async fn learn_report(State(door): State<Door>) -> Answer<String> {
    Ok(Json(door.handles.nights.report().await?))
}

/// Keeps what the owner says of an answer.
#[utoipa::path(post, path = "/familiar/v1/signals", tag = "familiar", request_body = SignalRequest, responses(
    (status = 200, body = SignalKept), (status = "default", body = ErrorBody)
))]
pub async fn signal(State(door): State<Door>, body: Body<SignalRequest>) -> Answer<SignalKept> {
    let JsonBody(SignalRequest { session, turn, kind, text }) = body?;
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if (kind == SignalKind::Edit) != text.is_some() {
        let message =
            "`text` is the answer as it should have been: it goes with `edit`, and with nothing else";
        return Err(Failure::new(ErrorCode::Usage, message));
    }
    let Some(turn) = door.store.keep_signal(&session, turn, kind.as_str(), text).await? else {
        let message = format!("there is no such answer in session {session}");
        return Err(Failure::new(ErrorCode::NotFound, message));
    };
    door.handles.nights.heard().await?;
    let source = match kind {
        SignalKind::Good => Some("conversations"),
        SignalKind::Edit => Some("corrections"),
        SignalKind::Bad => None,
    };
    let learn = door.handles.config.borrow().learn.clone();
    let (learned, note) = match source {
        None => (false, "Noted. Too many of these, and it goes back to the generation before.".into()),
        Some(source) if learn.allows(source) => (true, "Noted; it will be learned from.".into()),
        Some(source) => (
            false,
            format!("Noted. It is not learned from before you say `familiar learn sources {source}`."),
        ),
    };
    Ok(Json(SignalKept { turn, learned, note }))
}

/// Keeps a thing in mind.
#[utoipa::path(post, path = "/familiar/v1/remember", tag = "familiar", request_body = RememberRequest, responses(
    (status = 200, body = Done), (status = "default", body = ErrorBody)
))]
pub async fn remember(State(door): State<Door>, body: Body<RememberRequest>) -> Answer<Done> {
    let JsonBody(RememberRequest { text }) = body?;
    doors::remember(&door.store, &text).await?;
    Ok(DONE)
}

/// Forgets a file, a folder, a conversation or everything, wherever it went.
#[utoipa::path(post, path = "/familiar/v1/forget", tag = "familiar", request_body = ForgetRequest, responses(
    (status = 200, body = ForgetProof), (status = "default", body = ErrorBody)
))]
pub async fn forget(State(door): State<Door>, body: Body<ForgetRequest>) -> Answer<ForgetProof> {
    let JsonBody(request) = body?;
    Ok(Json(doors::forget(&door.handles, request).await?))
}
