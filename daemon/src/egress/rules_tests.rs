use super::*;
use proptest::prelude::*;

fn request(method: &str, headers: &[(&str, &str)]) -> HttpRequest {
    HttpRequest {
        method: method.into(),
        url: "https://api.example.org/a".into(),
        headers: headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        body: None,
        credential: None,
    }
}

fn secret() -> Header {
    let (name, value, bare) = ("X-Key".into(), "Bearer s3cr3t-value".into(), "s3cr3t-value".into());
    Header { host: "api.example.org".into(), name, value, bare }
}

#[test]
fn headers_that_are_not_a_plugins_are_refused_by_name() {
    for name in [
        "Host",
        "HOST",
        "connection",
        "Transfer-Encoding",
        "content-length",
        "Cookie",
        "Authorization",
        "Proxy-Authorization",
        "Proxy-Anything",
        "Upgrade",
        "TE",
        "Trailer",
        "Expect",
        "X-HTTP-Method-Override",
        "x-key",
        "Accept-Encoding",
        "a b",
        "a:b",
        "",
        "é",
        "x\r\nhost",
        "x\0",
    ] {
        let refused = first(request("GET", &[(name, "x")]), Some(&secret()));
        assert!(
            matches!(&refused, Err(Error::Header { name: told, .. }) if told == name),
            "{name}: {refused:?}"
        );
    }
    for value in ["a\r\nHost: evil", "a\nb", "a\rb", "\0", "é", "\u{7f}"] {
        assert!(
            matches!(first(request("GET", &[("x-a", value)]), None), Err(Error::Header { .. })),
            "{value:?}"
        );
    }
    let many = vec![("x-a", "b"); MAX_HEADERS + 1];
    assert!(matches!(first(request("GET", &many), None), Err(Error::Shape(_))));
    let long = "a".repeat(MAX_HEADER_BYTES);
    assert!(matches!(first(request("GET", &[("x-a", &long)]), None), Err(Error::Shape(_))));
}

#[test]
fn methods_and_bodies_are_bounded() {
    for method in ["CONNECT", "TRACE", "GET ", "G\r\nET", "", "PROPFIND", "GET / HTTP/1.1"] {
        assert!(matches!(first(request(method, &[]), None), Err(Error::Method(_))), "{method:?}");
    }
    let with =
        |method: &str, length: usize| HttpRequest { body: Some(vec![0; length]), ..request(method, &[]) };
    assert!(matches!(first(with("GET", 1), None), Err(Error::Shape(_))));
    assert!(matches!(first(with("POST", MAX_BODY_UP + 1), None), Err(Error::Shape(_))));
    assert!(first(with("POST", MAX_BODY_UP), None).is_ok());
}

#[test]
fn urls_that_mean_several_things_are_refused() {
    for url in [
        "https:\\\\evil.org",
        "https://a.org\\@b.org",
        "https://a.org/\tb",
        "https://a\n.org",
        " https://a.org",
        "https://a.org/b c",
        "https://",
        "file:",
        "data:text/plain,x",
        "javascript:alert(1)",
        "https://a..org:99999",
        "\u{feff}https://a.org",
        "https://a.org\u{85}",
    ] {
        let refused = first(HttpRequest { url: url.into(), ..request("GET", &[]) }, None);
        assert!(matches!(refused, Err(Error::Url { .. })), "{url:?}: {refused:?}");
    }
    let (hop, _) =
        first(HttpRequest { url: "https://A.org./x#y".into(), ..request("GET", &[]) }, None).unwrap();
    assert_eq!(hop.url, "https://a.org/x");
}

fn redirect(from: &str, status: u16, to: &str) -> (Result<Url, Error>, Hop, Option<Header>) {
    let request = HttpRequest {
        url: from.into(),
        body: Some(b"x".to_vec()),
        ..request("POST", &[("content-type", "text/plain"), ("x-a", "b")])
    };
    let mut credential = Some(secret());
    let (mut hop, url) = first(request, credential.as_ref()).unwrap();
    let to = redirected(&mut hop, &url, status, to, &mut credential);
    (to, hop, credential)
}

#[test]
fn a_redirect_is_a_new_request() {
    let (to, hop, credential) = redirect("https://api.example.org/a", 302, "b?c#d");
    assert_eq!(to.unwrap().as_str(), "https://api.example.org/b?c");
    assert_eq!((hop.method.as_str(), hop.body.is_none(), hop.number), ("GET", true, 1));
    assert!(hop.headers.iter().all(|(name, _)| name != "content-type") && credential.is_some());
    let (_, hop, _) = redirect("https://api.example.org/a", 308, "/b");
    assert_eq!((hop.method.as_str(), hop.body.as_deref()), ("POST", Some(&b"x"[..])));
}

#[test]
fn a_credential_never_leaves_its_host() {
    for to in
        ["https://evil.org/", "//evil.org", "https://api.example.org:8443/", "https://x.api.example.org/"]
    {
        let (moved, hop, credential) = redirect("https://api.example.org/", 307, to);
        assert!(moved.is_ok() && credential.is_none() && hop.credential.is_none(), "{to}");
    }
    let (moved, ..) = redirect("https://api.example.org/", 302, "https://evil.org/?s3cr3t-value");
    assert!(matches!(moved, Err(Error::Redirect { .. })));
}

#[test]
fn redirects_out_of_https_and_without_end_are_refused() {
    let (to, ..) = redirect("https://api.example.org/", 302, "http://api.example.org/");
    assert!(matches!(to, Err(Error::Downgrade { .. })));
    for location in ["file:///etc/passwd", "data:,x", "http://[", "gopher://x"] {
        assert!(redirect("https://api.example.org/", 302, location).0.is_err(), "{location}");
    }
    let mut hop = first(request("GET", &[]), None).unwrap().0;
    let url = Url::parse("https://api.example.org/").unwrap();
    for _ in 0..super::super::MAX_REDIRECTS {
        redirected(&mut hop, &url, 302, "/", &mut None).unwrap();
    }
    assert!(matches!(redirected(&mut hop, &url, 302, "/", &mut None), Err(Error::Redirect { .. })));
}

#[test]
fn cookies_and_the_credential_are_not_shown() {
    let response = HttpResponse {
        status: 200,
        headers: [
            ("set-cookie", "a=b"),
            ("x-echo", "Bearer s3cr3t-value"),
            ("x-part", "k=s3cr3t-value;"),
            ("etag", "1"),
        ]
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .to_vec(),
        body: b"you sent Bearer s3cr3t-value and s3cr3t-value".to_vec(),
        url: "https://api.example.org/".into(),
    };
    let shown = shown_answer(response, Some(&secret()));
    assert_eq!(shown.headers, [("etag".to_string(), "1".to_string())]);
    assert!(!String::from_utf8(shown.body).unwrap().contains("s3cr3t"));
    assert!(!format!("{:?}", secret()).contains("s3cr3t"));
}

proptest! {
    /// Nothing in a header's name or value becomes another line.
    #[test]
    fn no_header_makes_a_new_line(name in ".{0,12}", value in ".{0,24}") {
        if let Ok((hop, _)) = first(request("GET", &[(&name, &value)]), None) {
            for (name, value) in hop.headers {
                prop_assert!(!name.contains(|c: char| c.is_control() || c == ':' || c == ' '));
                prop_assert!(!value.contains(['\r', '\n', '\0']));
            }
        }
    }
}

#[test]
fn a_credential_is_blotted_without_its_prefix_too() {
    let key = Header {
        host: "api.example.org".into(),
        name: "X-Key".into(),
        value: "key=two words".into(),
        bare: "two words".into(),
    };
    let response = HttpResponse {
        status: 200,
        url: "https://api.example.org/".into(),
        headers: vec![("x-echo".into(), "two words".into())],
        body: b"you said two words".to_vec(),
    };
    let shown = shown_answer(response, Some(&key));
    assert_eq!((shown.headers.len(), shown.body.as_slice()), (0, b"you said *********".as_slice()));
}
