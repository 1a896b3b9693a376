//! What a plugin may put into a request, where a redirect may lead, and what of an answer is shown. Pure.

use super::address::{Place, is_at, shown};
use super::{Error, Header, Hop, MAX_BODY_UP};
use crate::protocol::plugins::{HttpRequest, HttpResponse};
use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

const MAX_URL: usize = 8 << 10;
const MAX_HEADERS: usize = 48;
/// Bytes of names and values together.
const MAX_HEADER_BYTES: usize = 16 << 10;
/// Secrets shorter than this are not looked for in answers.
const MIN_SECRET: usize = 6;
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Headers that frame the message, name its host or its sender, or change what the request is.
const FORBIDDEN: [&str; 21] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "cookie2",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// Checks a plugin's request and writes it as the first hop.
pub fn first(request: HttpRequest, credential: Option<&Header>) -> Result<(Hop, Url), Error> {
    let method = request.method.to_ascii_uppercase();
    if !METHODS.contains(&method.as_str()) {
        return Err(Error::Method(request.method));
    }
    let url = read_url(&request.url)?;
    match &request.body {
        Some(body) if body.len() > MAX_BODY_UP => {
            return Err(Error::Shape(format!(
                "has a body of {} bytes, and {MAX_BODY_UP} may be sent",
                body.len()
            )));
        }
        Some(_) if ["GET", "HEAD", "OPTIONS"].contains(&method.as_str()) => {
            return Err(Error::Shape(format!("has a body, and {method} takes none")));
        }
        _ => {}
    }
    let mut headers = checked(request.headers, credential)?;
    for (name, value) in [
        ("accept", "*/*"),
        ("accept-encoding", "gzip"),
        ("user-agent", concat!("Familiar/", env!("CARGO_PKG_VERSION"))),
    ] {
        if !headers.iter().any(|(known, _)| known == name) {
            headers.push((name.into(), value.into()));
        }
    }
    let credential = credential.map(|credential| credential.name.to_ascii_lowercase());
    Ok((Hop { method, url: url.to_string(), headers, body: request.body, credential, number: 0 }, url))
}

/// A URL whose text means to everybody what it means to us.
fn read_url(text: &str) -> Result<Url, Error> {
    let wrong = |why: &str| Error::Url { url: text.chars().take(200).collect(), why: why.into() };
    if text.len() > MAX_URL {
        return Err(wrong(&format!("it has {} bytes, and {MAX_URL} are allowed", text.len())));
    }
    // Parsers drop some of these and take others for a slash.
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(wrong("it holds a space, a control character or a backslash"));
    }
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    tidy(url).ok_or_else(|| wrong("it names no host"))
}

/// Without its fragment, which is never sent, and without dots at its host's end.
fn tidy(mut url: Url) -> Option<Url> {
    url.set_fragment(None);
    let host = url.host_str()?;
    if host.ends_with('.') {
        let name = host.trim_end_matches('.').to_owned();
        url.set_host(Some(&name)).ok()?;
    }
    Some(url)
}

fn checked(
    headers: Vec<(String, String)>,
    credential: Option<&Header>,
) -> Result<Vec<(String, String)>, Error> {
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        return Err(Error::Shape(format!(
            "has {} headers of {bytes} bytes, and {MAX_HEADERS} of {MAX_HEADER_BYTES} bytes together are allowed",
            headers.len()
        )));
    }
    let check = |(name, value): (String, String)| {
        let wrong = |why| Err(Error::Header { name: name.clone(), why });
        let Ok(known) = HeaderName::from_bytes(name.as_bytes()) else {
            return wrong("has a name that HTTP does not allow");
        };
        let known = known.as_str();
        if FORBIDDEN.contains(&known) || known.starts_with("proxy-") {
            return wrong("is not a plugin's to set");
        }
        if credential.is_some_and(|credential| credential.name.eq_ignore_ascii_case(known)) {
            return wrong("is the credential's");
        }
        if !value.is_ascii() || HeaderValue::from_str(&value).is_err() {
            return wrong("has a value with characters that HTTP does not allow");
        }
        Ok((known.to_owned(), value))
    };
    headers.into_iter().map(check).collect()
}

/// Whether the credential may go to where a hop leads.
pub fn check_credential(credential: Option<&Header>, url: &Url, place: &Place) -> Result<(), Error> {
    match credential {
        Some(credential) if !is_at(url, &credential.host) => {
            Err(Error::Credential { own: credential.host.clone(), host: place.host.clone() })
        }
        Some(_) if url.scheme() != "https" && !place.listed => Err(Error::Bare { host: place.host.clone() }),
        _ => Ok(()),
    }
}

/// Turns a hop into the one that a redirect asks for. The credential stays only on the way at its own host.
pub fn redirected(
    hop: &mut Hop,
    from: &Url,
    status: u16,
    location: &str,
    credential: &mut Option<Header>,
) -> Result<Url, Error> {
    let wrong = |why: &str| Error::Redirect { host: shown(from), why: why.into() };
    if hop.number >= super::MAX_REDIRECTS {
        return Err(wrong(&format!("more than {} others", super::MAX_REDIRECTS)));
    }
    if location.len() > MAX_URL {
        return Err(wrong("a URL that is too long"));
    }
    let to = from.join(location).ok().and_then(tidy).ok_or_else(|| wrong("no URL"))?;
    if from.scheme() == "https" && to.scheme() != "https" {
        return Err(Error::Downgrade { host: shown(&to) });
    }
    if credential.as_ref().is_some_and(|credential| reveals(location.as_bytes(), credential)) {
        return Err(wrong("a URL that holds the credential"));
    }
    if matches!(status, 301..=303) && hop.method != "HEAD" {
        hop.method = "GET".into();
        hop.body = None;
        hop.headers.retain(|(name, _)| !name.starts_with("content-"));
    }
    if credential.as_ref().is_some_and(|credential| !is_at(&to, &credential.host)) {
        *credential = None;
        hop.credential = None;
    }
    hop.url = to.to_string();
    hop.number += 1;
    Ok(to)
}

/// An answer without what the plugin must not see: cookies, and the credential if a host repeats it.
pub fn shown_answer(mut response: HttpResponse, credential: Option<&Header>) -> HttpResponse {
    response.headers.retain(|(name, value)| {
        !matches!(name.as_str(), "set-cookie" | "set-cookie2")
            && !credential.is_some_and(|credential| reveals(value.as_bytes(), credential))
    });
    for secret in credential.iter().flat_map(|credential| secrets(credential)) {
        blot(&mut response.body, secret.as_bytes());
    }
    response
}

/// The credential as it is sent, as the owner gave it, and its last word.
fn secrets(credential: &Header) -> impl Iterator<Item = &str> {
    let whole = credential.value.trim();
    let last = whole.rsplit(' ').next().unwrap_or(whole);
    [whole, credential.bare.trim(), last].into_iter().filter(|secret| secret.len() >= MIN_SECRET)
}

fn reveals(text: &[u8], credential: &Header) -> bool {
    secrets(credential).any(|secret| text.windows(secret.len()).any(|part| part == secret.as_bytes()))
}

/// Writes asterisks over every place where the secret stands.
fn blot(body: &mut [u8], secret: &[u8]) {
    let mut at = 0;
    while at + secret.len() <= body.len() {
        if body[at..].starts_with(secret) {
            body[at..at + secret.len()].fill(b'*');
            at += secret.len();
        } else {
            at += 1;
        }
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
