//! The accept loop: one task per connection, and limits on how many there are, how long a request may
//! take to arrive and how large it may be. Nothing is read from a process of another user.

use super::socket::{self, Bound};
use crate::protocol::http::LONGEST_BODY;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What one client may ask of the socket.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at the same time; more are told to come back.
    pub connections: usize,
    /// For the whole head of a request to arrive, also counted on an idle connection.
    pub head_time: Duration,
    /// Bytes of request line and headers.
    pub head_bytes: usize,
    /// For the whole body to arrive.
    pub body_time: Duration,
    /// Bytes of a body.
    pub body_bytes: usize,
    /// For running answers to end when the daemon stops.
    pub grace: Duration,
    /// The only user who may connect.
    pub owner: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 256,
            head_time: Duration::from_secs(30),
            head_bytes: 16 << 10,
            body_time: Duration::from_secs(30),
            body_bytes: LONGEST_BODY,
            grace: Duration::from_secs(3),
            owner: socket::owner(),
        }
    }
}

/// Serves until `stop` is true. Then nobody new is let in, running answers get [`Limits::grace`], and
/// what still runs is dropped.
pub async fn run(socket: Bound, router: Router, limits: Limits, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = socket.listener.accept() => accepted,
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => admit(stream, &router, limits, &stop, &mut connections),
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                // Out of descriptors, most likely: without a pause this would spin.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    remove_socket(&socket);
    let ended =
        tokio::time::timeout(limits.grace, async { while connections.join_next().await.is_some() {} });
    if ended.await.is_err() {
        tracing::warn!("{} connections were cut off at shutdown", connections.len());
    }
    connections.shutdown().await;
}

/// Ends when `stop` is true. A sender that is gone means that the daemon is going, too.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|&stop| stop).await;
}

/// While the lock is still held: nobody else can have put a new socket there.
fn remove_socket(socket: &Bound) {
    let address = socket.listener.local_addr();
    if let Some(path) = address.as_ref().ok().and_then(|address| address.as_pathname())
        && let Err(error) = std::fs::remove_file(path)
    {
        tracing::debug!("{} was not removed: {error}", path.display());
    }
}

fn admit(
    stream: UnixStream,
    router: &Router,
    limits: Limits,
    stop: &watch::Receiver<bool>,
    connections: &mut JoinSet<()>,
) {
    let peer = socket::peer(&stream);
    if !socket::admits(limits.owner, peer) {
        tracing::warn!("refused a connection of user {peer:?}: only user {} may connect", limits.owner);
        return;
    }
    if connections.len() >= limits.connections {
        tracing::warn!("refused a connection: {} are open", connections.len());
        connections.spawn(turn_away(stream, limits.head_time));
        return;
    }
    connections.spawn(speak(stream, router.clone(), limits, stop.clone()));
}

async fn turn_away(mut stream: UnixStream, patience: Duration) {
    const BODY: &str = r#"{"code":"busy","message":"too many connections are open: try again"}"#;
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{BODY}",
        BODY.len()
    );
    // Whether a client that is turned away hears why is its own affair.
    let _ = tokio::time::timeout(patience, stream.write_all(answer.as_bytes())).await;
}

/// One connection, to its end. A client that leaves ends it, and with it the answer under way.
async fn speak(stream: UnixStream, router: Router, limits: Limits, mut stop: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_header_size(limits.head_bytes)
        .max_buf_size(limits.head_bytes.max(64 << 10))
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended early: {error}");
    }
}
