//! Against hosts that lie, stall, swell and lead astray, over real connections.

use super::address::{Reach, judge};
use super::*;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that answers each connection by what its request's head says; it keeps what it was sent.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn new(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (kept, answer) = (seen.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (kept, answer) = (kept.clone(), answer.clone());
                tokio::spawn(async move {
                    let request = read_request(&mut stream).await;
                    kept.lock().unwrap().push(request.clone());
                    let _ = stream.write_all(&answer(&request)).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Server { port, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(end) = text.find("\r\n\r\n") {
            let length = text.to_ascii_lowercase();
            let length =
                length.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            if text.len() >= end + 4 + length.unwrap_or(0) {
                return text;
            }
        }
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return text,
            Ok(count) => bytes.extend_from_slice(&part[..count]),
        }
    }
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\ncontent-type: text/plain\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn moved(status: u16, location: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

fn granted(hosts: &[&str]) -> grants::Http {
    grants::Http {
        hosts: hosts.iter().map(|host| host.to_string()).collect(),
        methods: ["GET", "HEAD", "POST", "PUT"].map(String::from).to_vec(),
    }
}

fn get(url: impl Into<String>) -> HttpRequest {
    HttpRequest { method: "GET".into(), url: url.into(), headers: Vec::new(), body: None, credential: None }
}

fn yes(_: &Hop) -> BoxFuture<'static, Result<(), String>> {
    Box::pin(async { Ok(()) })
}

/// An egress for which 127.0.0.1 is as public as any other, and all names resolve to it.
fn open() -> Egress {
    fn lenient(address: IpAddr) -> Reach {
        if address.is_loopback() { Reach::Public } else { judge(address) }
    }
    Egress { judge: lenient, ..answering(|_| vec!["127.0.0.1".parse().unwrap()]) }
}

fn answering(answer: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static) -> Egress {
    Egress {
        resolve: Arc::new(move |name| {
            let found = answer(&name);
            Box::pin(async move { Ok(found) })
        }),
        ..Egress::new()
    }
}

#[tokio::test]
async fn a_granted_request_goes_out_as_it_was_shown() {
    let server = Server::new(|_| ok("hello")).await;
    let host = format!("127.0.0.1:{}", server.port);
    let shown: Arc<Mutex<Vec<Hop>>> = Arc::default();
    let kept = shown.clone();
    let request = HttpRequest {
        method: "post".into(),
        headers: vec![("X-Kind".into(), "note".into())],
        body: Some(b"text".to_vec()),
        ..get(format!("http://{host}/a?b#c"))
    };
    let response = Egress::new()
        .send(&granted(&[&host]), std::slice::from_ref(&host), request, None, |hop| {
            kept.lock().unwrap().push(hop.clone());
            yes(hop)
        })
        .await
        .unwrap();
    assert_eq!((response.status, response.body.as_slice()), (200, &b"hello"[..]));
    assert_eq!(response.url, format!("http://{host}/a?b"));
    let hop = shown.lock().unwrap()[0].clone();
    assert_eq!((hop.method.as_str(), hop.url.as_str(), hop.number), ("POST", response.url.as_str(), 0));
    let seen = &server.seen()[0];
    assert!(seen.starts_with("POST /a?b HTTP/1.1\r\n") && seen.ends_with("\r\n\r\ntext"), "{seen}");
    let mut lines: Vec<&str> = seen.split("\r\n\r\n").next().unwrap().lines().skip(1).collect();
    let mut told: Vec<String> = hop.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    told.extend([format!("host: {host}"), "content-length: 4".into()]);
    told.sort();
    lines.sort();
    assert_eq!(lines, told);
}

#[tokio::test]
async fn what_is_not_approved_is_not_sent() {
    let server = Server::new(|_| ok("")).await;
    let host = format!("127.0.0.1:{}", server.port);
    let no = |_: &Hop| -> BoxFuture<'static, Result<(), String>> { Box::pin(async { Err("no".into()) }) };
    let refused = Egress::new()
        .send(&granted(&[&host]), std::slice::from_ref(&host), get(format!("http://{host}/")), None, no)
        .await;
    assert!(matches!(refused, Err(Refusal::Denied(why)) if why.contains(&host)));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn names_that_resolve_to_private_addresses_are_refused() {
    let asked = Arc::new(AtomicUsize::new(0));
    for answers in [vec!["127.0.0.1"], vec!["8.8.8.8", "10.0.0.1"], vec!["::ffff:192.168.1.1"], vec![]] {
        let found: Vec<IpAddr> = answers.iter().map(|text| text.parse().unwrap()).collect();
        let count = asked.clone();
        let egress = answering(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            found.clone()
        });
        let refused =
            egress.send(&granted(&["*"]), &["other.test".into()], get("http://a.test/"), None, yes).await;
        assert!(
            matches!(&refused, Err(Refusal::Denied(why) | Refusal::Failed(why)) if why.contains("a.test")),
            "{refused:?}"
        );
    }
    assert_eq!(asked.load(Ordering::Relaxed), 4);
    let _ = open();
    let _ = moved;
}
