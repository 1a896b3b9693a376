//! One exchange of a request and its answer over a connection of its own, to addresses that were checked.

use super::rules::shown_answer;
use super::{Error, Header, Hop, MAX_BODY_DOWN};
use crate::protocol::plugins::HttpResponse;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Method, Response, redirect, retry};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use std::net::SocketAddr;
use std::sync::Arc;
use url::Url;

/// Header lines of an answer.
const MAX_LINES: usize = 96;
/// Bytes of an answer's header names and values together.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// What came of a hop.
pub enum Answer {
    Whole(HttpResponse),
    Elsewhere { status: u16, location: String },
}

/// Sends a hop and reads its answer, but for the body of a redirect.
pub async fn exchange(
    hop: &Hop,
    url: &Url,
    credential: Option<&Header>,
    addresses: Vec<SocketAddr>,
    tls: Arc<ClientConfig>,
) -> Result<Answer, Error> {
    let host = super::address::shown(url);
    let failed = |error: reqwest::Error| Error::Failed { host: host.clone(), why: reason(error) };
    let client = client(addresses, tls).map_err(failed)?;
    let method = Method::from_bytes(hop.method.as_bytes()).map_err(|_| Error::Method(hop.method.clone()))?;
    let mut request = client.request(method, url.clone()).headers(headers(hop, credential)?);
    if let Some(body) = &hop.body {
        request = request.body(body.clone());
    }
    let response = request.send().await.map_err(failed)?;
    let status = response.status().as_u16();
    if let Some(location) =
        response.headers().get(LOCATION).filter(|_| matches!(status, 301..=303 | 307 | 308))
    {
        let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
        return Ok(Answer::Elsewhere { status, location });
    }
    whole(response, url, &host).await.map(|response| Answer::Whole(shown_answer(response, credential)))
}

fn headers(hop: &Hop, credential: Option<&Header>) -> Result<HeaderMap, Error> {
    let mut map = HeaderMap::new();
    let wrong = |name: &str| Error::Header { name: name.into(), why: "is not one that HTTP allows" };
    for (name, value) in &hop.headers {
        let line = (name.parse::<reqwest::header::HeaderName>(), HeaderValue::from_str(value));
        let (Ok(known), Ok(value)) = line else { return Err(wrong(name)) };
        map.append(known, value);
    }
    if let Some(Header { name, value, .. }) = credential {
        let line = (name.parse::<reqwest::header::HeaderName>(), HeaderValue::from_str(value));
        let (Ok(known), Ok(mut value)) = line else { return Err(wrong(name)) };
        value.set_sensitive(true);
        map.insert(known, value);
    }
    Ok(map)
}

async fn whole(mut response: Response, url: &Url, host: &str) -> Result<HttpResponse, Error> {
    let failed = |why: String| Error::Failed { host: host.to_owned(), why };
    let size: usize = response.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > MAX_HEADER_BYTES {
        return Err(failed(format!("answered with more than {MAX_HEADER_BYTES} bytes of headers")));
    }
    let headers = response.headers().iter();
    let headers = headers
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(reason(error)))? {
        if (body.len() + chunk.len()) as u64 > MAX_BODY_DOWN {
            return Err(Error::TooLarge(MAX_BODY_DOWN));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(HttpResponse { status, headers, body, url: url.to_string() })
}

/// Connects to these addresses alone, once.
fn client(addresses: Vec<SocketAddr>, tls: Arc<ClientConfig>) -> reqwest::Result<Client> {
    Client::builder()
        .tls_backend_preconfigured((*tls).clone())
        .dns_resolver(Pinned(addresses))
        .no_proxy()
        .referer(false)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .http1_only()
        .http1_max_headers(MAX_LINES)
        .pool_max_idle_per_host(0)
        .build()
}

/// Answers every name with the addresses that were checked. (The client has one URL to ask for.)
struct Pinned(Vec<SocketAddr>);

impl Resolve for Pinned {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

/// Trusts what the system trusts.
pub fn system_tls() -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(ring::default_provider());
    let trusted = Verifier::new(provider.clone()).map_err(|error| {
        Error::Tls(format!(
            "the system's certificates cannot be read ({error}): is `ca-certificates` installed?"
        ))
    })?;
    let mut config = versions(provider)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trusted))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Trusts nobody: for requests without TLS, which need no certificates read.
pub fn no_tls() -> Result<Arc<ClientConfig>, Error> {
    let config = versions(Arc::new(ring::default_provider()))?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn versions(
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, Error> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Tls(error.to_string()))
}

/// An error with its causes, without the URL.
fn reason(error: reqwest::Error) -> String {
    let what = if error.is_connect() {
        "could not be connected to"
    } else if error.is_decode() {
        "answered with what cannot be unpacked"
    } else {
        "gave no proper answer"
    };
    let error = error.without_url();
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    match causes.last() {
        Some(cause) => format!("{what}: {cause}"),
        None => what.into(),
    }
}
