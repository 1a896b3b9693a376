use super::*;

fn html(html: &str) -> Page {
    read(Some("text/html; charset=utf-8"), html.as_bytes()).unwrap()
}

#[test]
fn a_page_becomes_markdown() {
    let page = html(
        "<!doctype html><html><head><title>Bread &amp; <i>more</i>\n</title><style>p{}</style></head><body>
         <nav><a href=/>Home</a></nav><h1>Bread</h1><p>Flour, <b>water</b>, <a href=\"/salt\">salt</a>.</p>
         <ul><li>one<li>two</ul><script>alert(1)</script><pre><code>x = 1</code></pre></body></html>",
    );
    assert!(page.title.contains("Bread & "), "{}", page.title);
    for part in ["# Bread", "Flour, **water**, [salt](/salt).", "one", "x = 1"] {
        assert!(page.markdown.contains(part), "{part}: {}", page.markdown);
    }
    for part in ["alert", "Home", "p{}"] {
        assert!(!page.markdown.contains(part), "{part}: {}", page.markdown);
    }
}

#[test]
fn the_encoding_is_the_pages_own() {
    let latin = b"<meta charset=iso-8859-1><p>Stra\xdfe</p>";
    assert_eq!(read(None, latin).unwrap().markdown, "Straße");
    let header = read(Some("text/html; charset=\"Shift_JIS\""), b"<p>\x93\xfa\x96{</p>").unwrap();
    assert_eq!(header.markdown, "日本");
    assert_eq!(read(Some("text/plain"), b"\xef\xbb\xbfa\xff").unwrap().markdown, "a\u{fffd}");
    assert_eq!(read(Some("text/html; charset=nonsense"), "<p>ü".as_bytes()).unwrap().markdown, "ü");
}

#[test]
fn what_is_no_page_is_refused() {
    assert!(read(Some("image/png"), b"\x89PNG").unwrap_err().message().contains("image/png"));
    assert!(read(None, &vec![b' '; LARGEST + 1]).unwrap_err().message().contains("bytes"));
    assert_eq!(read(Some("application/json"), b"{\"a\":1}").unwrap().markdown, "{\"a\":1}");
}

#[test]
fn broken_pages_are_read_or_refused() {
    for broken in [
        "",
        "<",
        "<<<>>>",
        "<p",
        "</p></p>",
        "<table><td><p><table>",
        "&#xFFFFFFFF;&bogus;",
        "<title>",
        "<title>x",
        "<!--",
        "<![CDATA[",
        "\0\0",
        "<a href='",
    ] {
        let _ = html(broken);
    }
    let deep = "<div>".repeat(100_000);
    assert!(read(None, deep.as_bytes()).unwrap_err().message().contains("nests"));
    let deep = format!("{}text", "<div>".repeat(290));
    assert!(html(&deep).markdown.contains("text"));
    let many = "<b><i>x</b></i>".repeat(2_000);
    assert!(!html(&many).markdown.is_empty());
}

#[test]
fn addresses() {
    assert_eq!(address(" https://example.org/a ").unwrap(), "https://example.org/a");
    assert_eq!(address("example.org/a").unwrap(), "https://example.org/a");
    for wrong in [
        "",
        "bread",
        "ftp://example.org",
        "https://",
        "file:///etc/passwd",
        "javascript:alert(1).x",
        "two words.org",
    ] {
        assert!(address(wrong).is_err(), "{wrong}");
    }
}
