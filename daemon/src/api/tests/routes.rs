use super::*;
use crate::api::error::Failure;
use crate::api::familiar;
use crate::protocol::http::{AskEvent, ErrorBody, ErrorCode};
use crate::types::Message;
use axum::response::sse::Sse;
use axum::routing::get;
use std::collections::BTreeSet;

/// Method and path of everything that the contract promises.
const CONTRACT: [(&str, &str); 55] = [
    ("POST", "/v1/chat/completions"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{id}"),
    ("POST", "/familiar/v1/ask"),
    ("POST", "/familiar/v1/search"),
    ("GET", "/familiar/v1/index"),
    ("POST", "/familiar/v1/index/add"),
    ("POST", "/familiar/v1/index/remove"),
    ("GET", "/familiar/v1/index/roots"),
    ("GET", "/familiar/v1/status"),
    ("POST", "/familiar/v1/stop"),
    ("GET", "/familiar/v1/models"),
    ("POST", "/familiar/v1/models/import"),
    ("POST", "/familiar/v1/models/use"),
    ("GET", "/familiar/v1/models/{name}"),
    ("DELETE", "/familiar/v1/models/{name}"),
    ("GET", "/familiar/v1/sessions"),
    ("GET", "/familiar/v1/sessions/{id}"),
    ("DELETE", "/familiar/v1/sessions/{id}"),
    ("POST", "/familiar/v1/config/reload"),
    ("GET", "/familiar/v1/plugins"),
    ("POST", "/familiar/v1/plugins/inspect"),
    ("POST", "/familiar/v1/plugins/install"),
    ("POST", "/familiar/v1/plugins/call"),
    ("GET", "/familiar/v1/plugins/{name}"),
    ("DELETE", "/familiar/v1/plugins/{name}"),
    ("POST", "/familiar/v1/plugins/{name}/grant"),
    ("POST", "/familiar/v1/plugins/{name}/revoke"),
    ("POST", "/familiar/v1/plugins/{name}/secret"),
    ("GET", "/familiar/v1/approvals"),
    ("POST", "/familiar/v1/approvals/{id}"),
    ("GET", "/familiar/v1/rules"),
    ("DELETE", "/familiar/v1/rules/{id}"),
    ("GET", "/familiar/v1/notices"),
    ("GET", "/familiar/v1/events"),
    ("GET", "/familiar/v1/audit"),
    ("GET", "/familiar/v1/audit/verify"),
    ("GET", "/familiar/v1/learn"),
    ("GET", "/familiar/v1/learn/history"),
    ("POST", "/familiar/v1/learn/now"),
    ("POST", "/familiar/v1/learn/rollback"),
    ("POST", "/familiar/v1/learn/pause"),
    ("POST", "/familiar/v1/learn/resume"),
    ("POST", "/familiar/v1/learn/sources"),
    ("GET", "/familiar/v1/learn/report"),
    ("GET", "/familiar/v1/learn/consent"),
    ("POST", "/familiar/v1/learn/consent"),
    ("GET", "/familiar/v1/learn/shared"),
    ("POST", "/familiar/v1/learn/shared"),
    ("POST", "/familiar/v1/learn/shared/inspect"),
    ("DELETE", "/familiar/v1/learn/shared/{name}"),
    ("POST", "/familiar/v1/signals"),
    ("POST", "/familiar/v1/remember"),
    ("POST", "/familiar/v1/forget"),
    ("GET", "/openapi.json"),
];

fn documented() -> Value {
    serde_json::to_value(routes().into_openapi()).unwrap()
}

#[test]
fn the_document_lists_what_is_served_and_nothing_else() {
    let mut listed = BTreeSet::new();
    for (path, item) in documented()["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            listed.insert((method.to_uppercase(), path.clone()));
        }
    }
    assert_eq!(listed, CONTRACT.map(|(method, path)| (method.into(), path.into())).into());
}

#[test]
fn the_document_is_openapi_3_1() {
    let document = documented();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap()),
                "{method} {path}: operationId twice"
            );
            assert!(
                operation["responses"].as_object().is_some_and(|responses| !responses.is_empty()),
                "{path}"
            );
            for name in path.split('{').skip(1).filter_map(|part| part.split('}').next()) {
                let parameters = operation["parameters"].as_array().unwrap();
                assert!(
                    parameters
                        .iter()
                        .any(|p| p["name"] == name && p["in"] == "path" && p["required"] == true)
                );
            }
        }
    }
    check_refs(&document, &document);
}

fn check_refs(document: &Value, part: &Value) {
    if let Some(Value::String(to)) = part.get("$ref") {
        assert!(document.pointer(to.strip_prefix('#').unwrap()).is_some(), "{to} leads nowhere");
    }
    match part {
        Value::Array(items) => items.iter().for_each(|item| check_refs(document, item)),
        Value::Object(fields) => fields.values().for_each(|field| check_refs(document, field)),
        _ => {}
    }
}

#[tokio::test]
async fn every_promised_route_is_there() {
    let server = Server::start(Limits::default()).await;
    // Events never end.
    for (method, path) in
        CONTRACT.iter().filter(|(_, path)| !path.ends_with("/stop") && !path.ends_with("/events"))
    {
        let reply = server.request(method, &path.replace("{id}", "x").replace("{name}", "x"), "{}").await;
        assert!(reply.status != 405 && !reply.body.contains("there is no /"), "{method} {path}: {reply:?}");
        assert!(reply.head.contains("content-type: application/json"), "{method} {path}: {reply:?}");
    }
    assert_eq!(server.get("/openapi.json").await.json(), documented());
    server.stop().await;
}

#[tokio::test]
async fn errors_have_the_shape_of_their_door() {
    let server = Server::start(Limits::default()).await;
    let lost = server.get("/familiar/v1/nothing").await;
    assert_eq!((lost.status, &lost.json()["code"]), (404, &"not_found".into()));
    let lost = server.get("/v1/nothing").await;
    assert_eq!((lost.status, &lost.json()["error"]["type"]), (404, &"invalid_request_error".into()));
    let wrong = server.request("DELETE", "/familiar/v1/ask", "").await;
    assert_eq!((wrong.status, &wrong.json()["code"]), (405, &"usage".into()));
    assert!(wrong.head.contains("allow: post"), "{wrong:?}");
    let wrong = server.get("/v1/chat/completions").await;
    assert_eq!((wrong.status, wrong.json()["error"]["message"].is_string()), (405, true));
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_body_is_told_where() {
    let server = Server::start(Limits::default()).await;
    for (path, body, words) in [
        ("/familiar/v1/ask", "{\"question\": \"?\",\n \"stream\": 1}", &["stream", "line 2"][..]),
        ("/familiar/v1/ask", "{\"question\": \"?\", \"qestion\": 1}", &["qestion", "line 1"]),
        ("/familiar/v1/ask", "{\"question\": ", &["line 1 column 13"]),
        ("/familiar/v1/ask", "", &["line 1"]),
        ("/familiar/v1/search", "{\"query\": \"x\", \"mode\": \"psychic\"}", &["psychic", "lexical"]),
        ("/familiar/v1/index/add", "{\"path\": \"notes\"}", &["notes", "absolute"]),
    ] {
        let reply = server.request("POST", path, body).await;
        let json = reply.json();
        assert_eq!((reply.status, &json["code"]), (400, &"usage".into()), "{reply:?}");
        let message = json["message"].as_str().unwrap();
        assert!(words.iter().all(|word| message.contains(word)), "{message:?} lacks one of {words:?}");
    }
    let reply =
        server.request("POST", "/v1/chat/completions", "{\"model\": \"ember\", \"messages\": [{}]}").await;
    let message = reply.json()["error"]["message"].to_string();
    assert!(reply.status == 400 && message.contains("messages[0]") && message.contains("role"), "{reply:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_model_that_is_not_there_is_not_found() {
    let server = Server::start(Limits::default()).await;
    let body = r#"{"model": "gpt-9", "messages": [{"role": "user", "content": "hi"}]}"#;
    for reply in
        [server.request("POST", "/v1/chat/completions", body).await, server.get("/v1/models/gpt-9").await]
    {
        let error = &reply.json()["error"];
        assert_eq!(
            (reply.status, &error["code"], &error["param"]),
            (404, &"model_not_found".into(), &"model".into())
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn status_and_orders_reach_the_daemon() {
    let server = Server::start(Limits::default()).await;
    let status = server.get("/familiar/v1/status").await.json();
    assert_eq!(status["pid"], std::process::id());
    assert!(status["rss_bytes"].as_u64().unwrap() > 1 << 20);
    let done = server.request("POST", "/familiar/v1/config/reload", "").await;
    assert_eq!((done.status, &done.json()["ok"]), (200, &true.into()));
    let done = server.request("POST", "/familiar/v1/models/use", r#"{"name":"ember"}"#).await;
    assert_eq!(done.status, 200);
    assert_eq!(server.request("POST", "/familiar/v1/stop", "").await.status, 200);
    tokio::time::timeout(LONG, server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn sessions_are_listed_shown_and_deleted() {
    let server = Server::start(Limits::default()).await;
    // A second connection to the same file, as the session room would have.
    let store = Store::open(&paths(&server.folder).database()).unwrap();
    let id = store.create_session().await.unwrap();
    let turn =
        crate::store::Turn { question: "Where?".into(), answer: "There.".into(), ..Default::default() };
    store.append_turn(&id, &turn).await.unwrap();
    let list = server.get("/familiar/v1/sessions").await.json();
    assert_eq!(list["sessions"][0]["id"], *id);
    assert_eq!(list["sessions"][0]["first_question"], "Where?");
    let shown = server.get(&format!("/familiar/v1/sessions/{id}")).await.json();
    assert_eq!(shown["messages"][1]["role"], "assistant");
    assert_eq!(shown["messages"][1]["content"], "There.");
    let path = format!("/familiar/v1/sessions/{id}");
    assert_eq!(server.request("DELETE", &path, "").await.status, 200);
    for method in ["DELETE", "GET"] {
        let reply = server.request(method, &path, "").await;
        assert_eq!((reply.status, &reply.json()["code"]), (404, &"not_found".into()));
    }
    assert_eq!(store.messages(&id).await.unwrap(), None::<Vec<Message>>);
    server.stop().await;
}

#[tokio::test]
async fn a_streamed_answer_is_named_events_and_always_ends() {
    let router = Router::new().route(
        "/ask",
        get(|| async {
            let (events, receiver) = mpsc::channel(4);
            events.send(AskEvent::Started { session: "s".into(), passages: 2 }).await.unwrap();
            events.send(AskEvent::Text { text: "two\nlines".into() }).await.unwrap();
            Sse::new(familiar::stream(crate::doors::Answer::new(receiver)))
        }),
    );
    let server = Server::of(router, Limits::default());
    let reply = server.get("/ask").await;
    assert!(reply.head.contains("text/event-stream"));
    let events: Vec<&str> = reply.body.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(events, ["started", "text", "error"]);
    let data: Vec<Value> = reply
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    assert_eq!(data[1]["text"], "two\nlines");
    assert_eq!((&data[2]["type"], &data[2]["code"]), (&"error".into(), &"failed".into()));
    server.stop().await;
}

#[tokio::test]
async fn each_code_is_its_status() {
    use axum::response::IntoResponse;
    for (code, status) in [
        (ErrorCode::Failed, 500),
        (ErrorCode::Usage, 400),
        (ErrorCode::Denied, 403),
        (ErrorCode::NotFound, 404),
        (ErrorCode::Busy, 503),
    ] {
        let failure = Failure::from(ErrorBody { code, message: String::new() });
        assert_eq!(failure.into_response().status(), status);
    }
}
