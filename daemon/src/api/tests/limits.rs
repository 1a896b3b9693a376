use super::*;
use crate::api::body::JsonBody;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use std::convert::Infallible;
use std::future::pending;
use tokio::sync::Notify;

const STATUS: &str = "GET /familiar/v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

fn hasty() -> Limits {
    let moment = Duration::from_millis(150);
    Limits { head_time: moment, body_time: moment, grace: moment, ..Limits::default() }
}

/// Answers 200 to any JSON.
fn echo(limits: Limits) -> Router {
    Router::new().route("/", post(|JsonBody::<Value>(_)| async {})).with_state(limits)
}

#[tokio::test]
async fn garbage_is_refused_and_the_next_client_served() {
    let server = Server::start(Limits::default()).await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello over TLS \r\n\r\n"[..],
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"what is this\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
        b"POST /familiar/v1/ask HTTP/1.1\r\nhost: x\r\ncontent-length: minus one\r\n\r\n",
        b"POST /familiar/v1/ask HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let reply = server.say(garbage).await;
        assert!(
            matches!(reply.status, 0 | 400 | 404 | 505),
            "{:?} got {reply:?}",
            String::from_utf8_lossy(garbage)
        );
    }
    assert_eq!(server.say(STATUS).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn random_bytes_never_get_an_answer_of_ours() {
    let server = Server::start(hasty()).await;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..100 {
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        })
        .take(300)
        .collect();
        assert!(matches!(server.say(&bytes).await.status, 0 | 400));
    }
    assert_eq!(server.say(STATUS).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn half_a_head_and_an_idle_connection_are_closed() {
    let server = Server::start(hasty()).await;
    for half in ["", "GET /familiar/v1/sta", "GET /familiar/v1/status HTTP/1.1\r\nhost: x\r\n"] {
        let reply = server.say(half).await;
        assert!(matches!(reply.status, 0 | 408), "{half:?} got {reply:?}");
    }
    // Kept alive after an answer, and then silent.
    let reply = server.say(STATUS.replace("connection: close\r\n", "")).await;
    assert_eq!(reply.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn half_a_body_is_given_up() {
    let server = Server::start(hasty()).await;
    let reply = server
        .say("POST /familiar/v1/ask HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"question\":")
        .await;
    assert_eq!(reply.status, 408, "{reply:?}");
    assert_eq!(reply.json()["code"], "usage");
    let reply =
        server.say("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{").await;
    assert_eq!((reply.status, &reply.json()["error"]["type"]), (408, &"invalid_request_error".into()));
    server.stop().await;
}

#[tokio::test]
async fn a_huge_head_is_refused() {
    let server = Server::start(Limits::default()).await;
    let long = "a".repeat(Limits::default().head_bytes);
    for head in [
        format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: x\r\nlong: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1000)),
    ] {
        assert!(matches!(server.say(head).await.status, 414 | 431));
    }
    server.stop().await;
}

#[tokio::test]
async fn an_announced_gigabyte_is_refused_unread() {
    let server = Server::start(Limits::default()).await;
    for path in ["/familiar/v1/ask", "/v1/chat/completions"] {
        let reply = server
            .say(format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 1073741824\r\n\r\n{{"))
            .await;
        assert_eq!(reply.status, 413);
        assert!(reply.head.contains("connection: close"), "{reply:?}");
    }
    server.stop().await;
}

/// Chunked, so that nothing is announced: the server must stop reading by itself.
#[tokio::test]
async fn an_unannounced_gigabyte_is_cut_off() {
    let server = Server::start(Limits::default()).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"POST /familiar/v1/ask HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        .await
        .unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let mut sent = 0_usize;
    let flood = async {
        while sent < 1 << 30 && stream.write_all(chunk.as_bytes()).await.is_ok() {
            sent += chunk.len();
        }
    };
    // Whether the server closes or only stops reading, it has answered by then.
    let _ = tokio::time::timeout(Duration::from_secs(2), flood).await;
    assert!(sent < 8 << 20, "{sent} bytes were taken");
    assert_eq!(Reply::read(stream).await.status, 413);
    server.stop().await;
}

#[tokio::test]
async fn a_body_at_the_limit_passes() {
    let limits = Limits { body_bytes: 4096, ..Limits::default() };
    let server = Server::of(echo(limits), limits);
    let fill = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    assert_eq!(server.request("POST", "/", &fill(4096)).await.status, 200);
    assert_eq!(server.request("POST", "/", &fill(4097)).await.status, 413);
    server.stop().await;
}

#[tokio::test]
async fn too_many_connections_are_turned_away_until_one_leaves() {
    let server = Server::start(Limits { connections: 3, ..Limits::default() }).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = server.connect().await;
        stream.write_all(STATUS.replace("connection: close\r\n", "").as_bytes()).await.unwrap();
        // An answer proves that the connection was let in.
        assert!(stream.read(&mut [0; 16]).await.unwrap() > 0);
        open.push(stream);
    }
    let reply = server.say(STATUS).await;
    assert_eq!((reply.status, &reply.json()["code"]), (503, &"busy".into()));
    open.pop();
    let begun = Instant::now();
    while server.say(STATUS).await.status != 200 {
        assert!(begun.elapsed() < LONG);
        tokio::task::yield_now().await;
    }
    drop(open);
    server.stop().await;
}

struct Gone(Arc<Notify>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Two answers that never end: one that streams, one that is still being made.
fn endless(gone: &Arc<Notify>) -> Router {
    let (streamed, made) = (gone.clone(), gone.clone());
    Router::new()
        .route(
            "/stream",
            get(move || {
                let guard = Gone(streamed.clone());
                async move {
                    Sse::new(async_stream::stream! {
                        let _guard = guard;
                        yield Ok::<_, Infallible>(Event::default().data("begun"));
                        pending::<()>().await;
                    })
                }
            }),
        )
        .route(
            "/made",
            get(move || {
                let guard = Gone(made.clone());
                async move {
                    let _guard = guard;
                    pending::<()>().await
                }
            }),
        )
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_answer() {
    let gone = Arc::new(Notify::new());
    let server = Server::of(endless(&gone), Limits::default());
    for path in ["/stream", "/made"] {
        let mut stream = server.connect().await;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        if path == "/stream" {
            assert!(stream.read(&mut [0; 64]).await.unwrap() > 0);
        }
        drop(stream);
        tokio::time::timeout(LONG, gone.notified()).await.unwrap_or_else(|_| panic!("{path} went on"));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_stop_lets_short_answers_end_and_cuts_off_endless_ones() {
    let (begun, finish, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begins, finishes) = (begun.clone(), finish.clone());
    let short = get(move || async move {
        begins.notify_one();
        finishes.notified().await;
        "finished"
    });
    let limits = Limits { grace: Duration::from_millis(500), ..Limits::default() };
    let server = Server::of(endless(&gone).route("/short", short), limits);
    let mut endless = server.connect().await;
    endless.write_all(b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(endless.read(&mut [0; 64]).await.unwrap() > 0);
    let mut short = server.connect().await;
    short.write_all(b"GET /short HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    begun.notified().await;

    let socket = paths(&server.folder).socket();
    server.stop.send_replace(true);
    finish.notify_one();
    assert!(Reply::read(short).await.body.contains("finished"));
    tokio::time::timeout(LONG, gone.notified()).await.expect("the endless answer went on");
    tokio::time::timeout(LONG, server.task).await.unwrap().unwrap();
    assert!(!socket.exists());
}
