//! What waits for the owner's yes, what was allowed once for all, notices, the audit log, and the stream of
//! all of these: each handler decodes, forwards and encodes.

use super::Door;
use super::body::{BodyError, JsonBody};
use super::error::Failure;
use crate::audit::AuditError;
use crate::protocol::approvals::{
    Approval, ApprovalList, AuditLines, AuditVerdict, DecideRequest, NoticeList, OwnerEvent, StandingRules,
};
use crate::protocol::http::{Done, ErrorBody, ErrorCode};
use crate::tools::notice_entry;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use serde::Deserialize;

type Answer<T> = Result<Json<T>, Failure>;

const DONE: Json<Done> = Json(Done { ok: true });
/// Notices that one answer gives of each kind.
const MOST_NOTICES: usize = 200;
/// Lines of the audit log that one answer gives.
const MOST_LINES: usize = 10_000;

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Failure {
        Failure::new(ErrorCode::Failed, error)
    }
}

/// Everything that waits for the owner's yes.
#[utoipa::path(get, path = "/familiar/v1/approvals", tag = "familiar", responses(
    (status = 200, body = ApprovalList),
    (status = "default", body = ErrorBody)
))]
pub async fn approvals(State(door): State<Door>) -> Answer<ApprovalList> {
    Ok(Json(ApprovalList { approvals: door.handles.approvals.pending() }))
}

/// Says yes or no; the answer is what was decided on.
#[utoipa::path(post, path = "/familiar/v1/approvals/{id}", tag = "familiar", params(("id" = String, Path)), request_body = DecideRequest, responses(
    (status = 200, body = Approval),
    (status = "default", body = ErrorBody)
))]
pub async fn decide(
    State(door): State<Door>,
    Path(id): Path<String>,
    body: Result<JsonBody<DecideRequest>, BodyError>,
) -> Answer<Approval> {
    let JsonBody(request) = body?;
    Ok(Json(door.handles.approvals.decide(&id, &request).await?))
}

/// What was allowed once for all.
#[utoipa::path(get, path = "/familiar/v1/rules", tag = "familiar", responses(
    (status = 200, body = StandingRules),
    (status = "default", body = ErrorBody)
))]
pub async fn rules(State(door): State<Door>) -> Answer<StandingRules> {
    Ok(Json(StandingRules { rules: door.handles.approvals.rules().await? }))
}

/// Takes a standing rule back.
#[utoipa::path(delete, path = "/familiar/v1/rules/{id}", tag = "familiar", params(("id" = i64, Path)), responses(
    (status = 200, body = Done),
    (status = "default", body = ErrorBody)
))]
pub async fn remove_rule(State(door): State<Door>, Path(id): Path<String>) -> Answer<Done> {
    let none = || Failure::new(ErrorCode::NotFound, format!("there is no standing rule {id}"));
    let number = id.parse().map_err(|_| none())?;
    door.handles.tools.remove_rule(number).await?;
    Ok(DONE)
}

/// Notices that were sent, and those that are planned.
#[utoipa::path(get, path = "/familiar/v1/notices", tag = "familiar", responses(
    (status = 200, body = NoticeList),
    (status = "default", body = ErrorBody)
))]
pub async fn notices(State(door): State<Door>) -> Answer<NoticeList> {
    let (sent, pending) = door.handles.tools.notices(MOST_NOTICES).await?;
    let shown = |list: Vec<_>| list.into_iter().map(notice_entry).collect();
    Ok(Json(NoticeList { sent: shown(sent), pending: shown(pending) }))
}

/// Requests for a yes, notices and progress, as server-sent events for as long as the client listens.
#[utoipa::path(get, path = "/familiar/v1/events", tag = "familiar", responses(
    (status = 200, content((OwnerEvent = "text/event-stream"))),
    (status = "default", body = ErrorBody)
))]
pub async fn events(State(door): State<Door>) -> impl IntoResponse {
    let mut stop = door.handles.stop.subscribe();
    let mut watch = door.handles.tools.watch(None).await;
    let stream = async_stream::stream! {
        loop {
            let event = tokio::select! {
                event = watch.next() => event,
                // Nobody waits for a stream that never ends.
                _ = stop.wait_for(|&stop| stop) => break,
            };
            yield sent(&event);
        }
    };
    Sse::new(stream).keep_alive(KeepAlive::new())
}

fn sent(event: &OwnerEvent) -> Result<Event, axum::Error> {
    let name = match event {
        OwnerEvent::Approval(_) => "approval",
        OwnerEvent::ApprovalEnded { .. } => "approval_ended",
        OwnerEvent::Notice(_) => "notice",
        OwnerEvent::Progress(_) => "progress",
    };
    Event::default().event(name).json_data(event)
}

#[derive(Debug, Deserialize)]
pub struct AuditQuery {
    #[serde(default = "hundred")]
    n: usize,
}

fn hundred() -> usize {
    100
}

/// The last lines of the audit log.
#[utoipa::path(get, path = "/familiar/v1/audit", tag = "familiar", params(("n" = Option<usize>, Query, description = "How many of the last lines; at most 10,000")), responses(
    (status = 200, body = AuditLines),
    (status = "default", body = ErrorBody)
))]
pub async fn audit(
    State(door): State<Door>,
    query: Result<Query<AuditQuery>, axum::extract::rejection::QueryRejection>,
) -> Answer<AuditLines> {
    let Query(query) = query.map_err(|error| Failure::new(ErrorCode::Usage, error.body_text()))?;
    Ok(Json(AuditLines { entries: door.handles.audit.last(query.n.min(MOST_LINES)).await? }))
}

/// Checks the whole audit log.
#[utoipa::path(get, path = "/familiar/v1/audit/verify", tag = "familiar", responses(
    (status = 200, body = AuditVerdict),
    (status = "default", body = ErrorBody)
))]
pub async fn verify_audit(State(door): State<Door>) -> Answer<AuditVerdict> {
    let verdict = door.handles.audit.verify().await?;
    Ok(Json(AuditVerdict { lines: verdict.lines, findings: verdict.findings }))
}
