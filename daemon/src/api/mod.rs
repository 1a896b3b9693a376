//! The HTTP doors on the unix socket: OpenAI-compatible `/v1/` and Familiar's own `/familiar/v1/`.
//! They check who calls, decode, forward to handles and encode what comes back; they hold the socket
//! and nothing else, and never answer anything by themselves.

mod body;
mod chat;
mod error;
mod familiar;
mod learn;
pub mod openai;
mod owner;
mod plugins;
mod serve;
mod share;
mod socket;
#[cfg(test)]
mod tests;

pub use serve::Limits;
pub use socket::{ApiError, Bound, bind};

use crate::daemon::Handles;
use crate::store::Store;
use axum::body::Bytes;
use axum::extract::{FromRef, State};
use axum::http::{Method, Uri, header};
use axum::response::IntoResponse;
use axum::routing::Router;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What a request handler may reach.
#[derive(Clone)]
struct Door {
    handles: Handles,
    store: Store,
    limits: Limits,
    /// `/openapi.json`, made once.
    document: Bytes,
}

impl FromRef<Door> for Limits {
    fn from_ref(door: &Door) -> Limits {
        door.limits
    }
}

/// Serves until `handles.stop` is true, then gives running answers a moment to end.
pub async fn serve(socket: Bound, handles: Handles, store: Store) {
    let stop = handles.stop.subscribe();
    let limits = Limits::default();
    serve::run(socket, router(handles, store, limits), limits, stop).await;
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Familiar",
        description = "A personal AI agent on its owner's machine. Served on a unix socket to its owner alone."
    ),
    tags(
        (name = "openai", description = "Compatible with OpenAI's API"),
        (name = "familiar", description = "Familiar's own resources")
    )
)]
struct Document;

fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(chat::complete))
        .routes(routes!(chat::models))
        .routes(routes!(chat::model))
        .routes(routes!(familiar::ask))
        .routes(routes!(familiar::search))
        .routes(routes!(familiar::index_status))
        .routes(routes!(familiar::index_add))
        .routes(routes!(familiar::index_remove))
        .routes(routes!(familiar::index_roots))
        .routes(routes!(familiar::status))
        .routes(routes!(familiar::stop))
        .routes(routes!(familiar::models))
        .routes(routes!(familiar::import_model))
        .routes(routes!(familiar::use_model))
        .routes(routes!(familiar::model, familiar::remove_model))
        .routes(routes!(familiar::sessions))
        .routes(routes!(familiar::session, familiar::delete_session))
        .routes(routes!(familiar::reload_config))
        .routes(routes!(learn::learn_status))
        .routes(routes!(learn::learn_history))
        .routes(routes!(learn::learn_now))
        .routes(routes!(learn::learn_rollback))
        .routes(routes!(learn::learn_pause))
        .routes(routes!(learn::learn_resume))
        .routes(routes!(learn::learn_sources))
        .routes(routes!(learn::learn_consent, learn::learn_asked))
        .routes(routes!(learn::learn_report))
        .routes(routes!(share::shared, share::take_shared))
        .routes(routes!(share::inspect_shared))
        .routes(routes!(share::give_up_shared))
        .routes(routes!(learn::signal))
        .routes(routes!(learn::remember))
        .routes(routes!(learn::forget))
        .routes(routes!(owner::approvals))
        .routes(routes!(owner::decide))
        .routes(routes!(owner::rules))
        .routes(routes!(owner::remove_rule))
        .routes(routes!(owner::notices))
        .routes(routes!(owner::events))
        .routes(routes!(owner::audit))
        .routes(routes!(owner::verify_audit))
        .routes(routes!(plugins::plugins))
        .routes(routes!(plugins::inspect_plugin))
        .routes(routes!(plugins::install_plugin))
        .routes(routes!(plugins::call_plugin))
        .routes(routes!(plugins::plugin, plugins::remove_plugin))
        .routes(routes!(plugins::grant_plugin))
        .routes(routes!(plugins::revoke_plugin))
        .routes(routes!(plugins::plugin_secret))
        .routes(routes!(document))
}

fn router(handles: Handles, store: Store, limits: Limits) -> Router {
    let (router, document) = routes().split_for_parts();
    let document = serde_json::to_vec(&document).unwrap_or_default().into();
    router.fallback(no_such_route).method_not_allowed_fallback(wrong_method).with_state(Door {
        handles,
        store,
        limits,
        document,
    })
}

/// The OpenAPI document of everything served here.
#[utoipa::path(get, path = "/openapi.json", tag = "familiar", responses((status = 200, body = Object)))]
async fn document(State(door): State<Door>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], door.document)
}

async fn no_such_route(uri: Uri) -> axum::response::Response {
    error::unknown_route(uri.path())
}

async fn wrong_method(method: Method, uri: Uri) -> axum::response::Response {
    error::wrong_method(&method, uri.path())
}
