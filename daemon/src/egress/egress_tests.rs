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
async fn no_name_is_looked_up_before_the_owner_said_yes() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let egress = answering(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        vec!["8.8.8.8".parse().unwrap()]
    });
    let no = |_: &Hop| -> BoxFuture<'static, Result<(), String>> { Box::pin(async { Err("no".into()) }) };
    let refused = egress.send(&granted(&["*"]), &[], get("http://secret.a.test/"), None, no).await;
    assert!(matches!(refused, Err(Refusal::Denied(why)) if why.contains("a.test")));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn the_owner_is_not_asked_about_an_address_that_is_refused_anyway() {
    let asked = |_: &Hop| -> BoxFuture<'static, Result<(), String>> { panic!("asked") };
    for url in ["http://127.0.0.1/", "http://[::1]/", "http://0x7f.1/"] {
        let refused = Egress::new().send(&granted(&["*"]), &[], get(url), None, asked).await;
        assert!(matches!(refused, Err(Refusal::Denied(_))), "{url}: {refused:?}");
    }
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
}

/// Sends to `http://HOST:port/` where every name leads to the server and is granted.
async fn fetch(egress: &Egress, server: &Server, host: &str) -> Result<HttpResponse, Refusal> {
    fetch_with(egress, server, &format!("http://{host}:{}/", server.port), None).await
}

async fn fetch_with(
    egress: &Egress,
    server: &Server,
    url: &str,
    credential: Option<Header>,
) -> Result<HttpResponse, Refusal> {
    let hosts = ["a.test", "b.test"].map(|host| format!("{host}:{}", server.port));
    let granted = granted(&hosts.each_ref().map(String::as_str));
    let work = egress.send(&granted, &[], get(url), credential, yes);
    fn sendable<T: Send>(work: T) -> T {
        work
    }
    sendable(work).await
}

#[tokio::test]
async fn redirects_are_followed_within_the_grant_and_each_is_asked_about() {
    let server = Server::new(|request| match request.split(' ').nth(1) {
        Some("/") => moved(302, "/second?x"),
        Some("/second?x") => ok("there"),
        _ => ok("wrong"),
    })
    .await;
    let shown: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = shown.clone();
    let host = format!("a.test:{}", server.port);
    let response = open()
        .send(&granted(&[&host]), &[], get(format!("http://{host}/")), None, |hop| {
            kept.lock().unwrap().push(format!("{} {}", hop.number, hop.url));
            yes(hop)
        })
        .await
        .unwrap();
    assert_eq!(response.body, b"there");
    assert_eq!(response.url, format!("http://{host}/second?x"));
    assert_eq!(*shown.lock().unwrap(), [format!("0 http://{host}/"), format!("1 http://{host}/second?x")]);
}

#[tokio::test]
async fn redirects_to_where_nothing_is_granted_are_refused() {
    for to in [
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://localhost/",
        "http://c.test/",
        "//c.test/",
        "file:///etc/passwd",
        "ftp://a.test/",
        "http://a.test@c.test/",
        "http://user:pw@a.test/",
        "http://a.test:1/",
    ] {
        let server = Server::new(move |_| moved(302, to)).await;
        let refused = fetch(&open(), &server, "a.test").await;
        assert!(matches!(refused, Err(Refusal::Denied(_) | Refusal::Failed(_))), "{to}: {refused:?}");
        assert_eq!(server.seen().len(), 1, "{to}");
    }
}

#[tokio::test]
async fn a_public_host_leads_to_no_private_one_even_where_that_is_open() {
    let server = Server::new(|_| ok("inside")).await;
    let inside = format!("127.0.0.1:{}", server.port);
    let to = format!("http://{inside}/");
    let outside = Server::new(move |_| moved(302, &to)).await;
    let host = format!("a.test:{}", outside.port);
    let lists = [inside.clone()];
    let refused =
        open().send(&granted(&[&host, &inside]), &lists, get(format!("http://{host}/")), None, yes).await;
    assert!(matches!(refused, Err(Refusal::Denied(why)) if why.contains("private network")));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn loops_of_redirects_end() {
    let server = Server::new(|_| moved(307, "/")).await;
    let refused = fetch(&open(), &server, "a.test").await;
    assert!(matches!(refused, Err(Refusal::Failed(_))), "{refused:?}");
    assert_eq!(server.seen().len(), MAX_REDIRECTS + 1);
}

#[tokio::test]
async fn a_name_is_looked_up_once_a_hop_and_a_second_answer_changes_nothing() {
    let server = Server::new(|_| ok("")).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let rebinding = Egress {
        judge: open().judge,
        // The first answer is let through; any other one would be an address that is not.
        ..answering(move |_| match count.fetch_add(1, Ordering::Relaxed) {
            0 => vec!["127.0.0.1".parse().unwrap()],
            _ => vec!["10.0.0.1".parse().unwrap()],
        })
    };
    assert!(fetch(&rebinding, &server, "a.test").await.is_ok());
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert!(matches!(fetch(&rebinding, &server, "a.test").await, Err(Refusal::Denied(_))));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_credential_goes_to_its_host_alone() {
    let server = Server::new(|request| match request.contains("b.test") {
        true => ok("b"),
        false if request.starts_with("GET /away") => moved(302, "/back"),
        false => ok(request),
    })
    .await;
    let here = format!("127.0.0.1:{}", server.port);
    let key = |host: &str| {
        Some(Header {
            host: host.into(),
            name: "Authorization".into(),
            value: "Bearer 12345678".into(),
            bare: "12345678".into(),
        })
    };
    let url = format!("http://{here}/x");
    let send = |url: String, credential| {
        let (granted, lists) = (granted(&[&here, "a.test"]), vec![here.clone()]);
        async move { open().send(&granted, &lists, get(url), credential, yes).await }
    };
    let response = send(url.clone(), key(&here)).await.unwrap();
    assert!(server.seen()[0].contains("authorization: Bearer 12345678\r\n"));
    assert!(!String::from_utf8(response.body).unwrap().contains("12345678"), "it is not echoed");
    send(format!("http://{here}/away"), key(&here)).await.unwrap();
    assert!(server.seen()[2].contains("GET /back") && server.seen()[2].contains("12345678"));
    for foreign in ["127.0.0.1", "other.test", "a.test"] {
        assert!(matches!(send(url.clone(), key(foreign)).await, Err(Refusal::Denied(_))), "{foreign}");
    }
    let bare = send("http://a.test/".into(), key("a.test")).await;
    assert!(matches!(bare, Err(Refusal::Denied(why)) if why.contains("without https")));
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn answers_that_swell_stall_or_lie_are_ended() {
    let big = MAX_BODY_DOWN as usize;
    let head = |more: &str| format!("HTTP/1.1 200 OK\r\n{more}\r\n").into_bytes();
    let with = |more: &str, body: &[u8]| [head(more), body.to_vec()].concat();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut packed, &vec![0; big * 4]).unwrap();
    let bomb = packed.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let large = |answer: &Result<HttpResponse, Refusal>| matches!(answer, Err(Refusal::TooLarge(most)) if *most == MAX_BODY_DOWN);
    let failed = |answer: &Result<HttpResponse, Refusal>| matches!(answer, Err(Refusal::Failed(why)) if why.contains("a.test"));
    type Expected<'a> = &'a dyn Fn(&Result<HttpResponse, Refusal>) -> bool;
    let cases: Vec<(&str, Vec<u8>, Expected)> = vec![
        ("endless", with("", &vec![b'x'; big + 1]), &large),
        (
            "bomb",
            with(&format!("content-encoding: gzip\r\ncontent-length: {}\r\n", bomb.len()), &bomb),
            &large,
        ),
        ("no gzip", with("content-encoding: gzip\r\n", b"plain"), &failed),
        ("short", with("content-length: 100\r\n", b"ten"), &failed),
        ("huge length", with("content-length: 99999999999999999999999\r\n", b"x"), &failed),
        ("two lengths", with("content-length: 1\r\ncontent-length: 2\r\n", b"xy"), &failed),
        ("chunks", with("transfer-encoding: chunked\r\n", b"zz\r\nnope\r\n"), &failed),
        ("huge chunk", with("transfer-encoding: chunked\r\n", b"ffffffffffffffff\r\nx"), &failed),
        ("cut chunk", with("transfer-encoding: chunked\r\n", b"5\r\nab"), &failed),
        ("no answer", Vec::new(), &failed),
        ("no HTTP", b"SSH-2.0-OpenSSH\r\n\r\n".to_vec(), &failed),
        ("many headers", with(&"x-a: b\r\n".repeat(200), b""), &failed),
        ("large headers", with(&format!("x-a: {}\r\n", "b".repeat(70_000)), b""), &failed),
        ("endless head", [b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'a'; 2 << 20]].concat(), &failed),
        ("folded", with("x-a: b\r\n c: d\r\n", b""), &failed),
        ("nul", with("x-a: \0\r\n", b""), &failed),
        ("bad status", b"HTTP/1.1 99999 X\r\n\r\n".to_vec(), &failed),
    ];
    for (name, bytes, expected) in cases {
        let server = Server::new(move |_| bytes.clone()).await;
        let answer = fetch(&open(), &server, "a.test").await;
        let told = format!("{:.300}", format!("{answer:?}"));
        assert!(expected(&answer), "{name}: {told}");
    }
}

#[tokio::test]
async fn a_host_that_drips_is_left_when_the_time_is_over() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            read_request(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nx").await;
            held.push(stream);
        }
    });
    let server = Server { port, seen: Arc::default() };
    let hasty = Egress { deadline: Duration::from_millis(300), ..open() };
    assert_eq!(fetch(&hasty, &server, "a.test").await, Err(Refusal::Timeout));
    let never = Egress { resolve: Arc::new(|_| Box::pin(std::future::pending())), ..hasty };
    assert_eq!(fetch(&never, &server, "a.test").await, Err(Refusal::Timeout));
}

#[tokio::test]
async fn the_owners_time_to_answer_is_not_the_requests() {
    let server = Server::new(|_| ok("late")).await;
    let host = format!("a.test:{}", server.port);
    let hasty = Egress { deadline: Duration::from_secs(5), ..open() };
    // Approval takes as long as another whole request that never gets an answer.
    let slow = |_: &Hop| -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async {
            let stuck = Egress {
                resolve: Arc::new(|_| Box::pin(std::future::pending())),
                deadline: Duration::from_millis(50),
                ..Egress::new()
            };
            let never = stuck.send(&granted(&["a.test"]), &[], get("http://a.test/"), None, yes).await;
            assert_eq!(never, Err(Refusal::Timeout));
            Ok(())
        })
    };
    let answer = hasty.send(&granted(&[&host]), &[], get(format!("http://{host}/")), None, slow).await;
    assert_eq!(answer.unwrap().body, b"late");
}

#[tokio::test]
async fn packed_answers_are_unpacked_and_heads_have_no_body() {
    let server = Server::new(|request| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, b"unpacked").unwrap();
        let body = packed.finish().unwrap();
        let head = format!(
            "HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        if request.starts_with("HEAD") { head.into_bytes() } else { [head.into_bytes(), body].concat() }
    })
    .await;
    let answer = fetch(&open(), &server, "a.test").await.unwrap();
    assert_eq!(answer.body, b"unpacked");
    assert!(answer.headers.iter().all(|(name, _)| name != "set-cookie" && name != "content-encoding"));
    let host = format!("a.test:{}", server.port);
    let head = HttpRequest { method: "HEAD".into(), ..get(format!("http://{host}/")) };
    let answer = open().send(&granted(&[&host]), &[], head, None, yes).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, 0));
}

#[tokio::test]
async fn nothing_is_held_before_the_first_request_and_certificates_only_for_a_while() {
    let egress = Egress { kept: Duration::ZERO, ..Egress::new() };
    let held = || egress.tls.lock().unwrap().upgrade().is_some();
    assert!(!held());
    // A machine without certificates has nothing to hold.
    let Ok(config) = egress.tls(true) else { return };
    assert!(held(), "kept for the next request");
    drop(config);
    while held() {
        tokio::task::yield_now().await;
    }
}
