//! The way out to the web: one request of a plugin at a time, against hosts that may be hostile. It resolves
//! names itself, connects only to addresses that it checked, and follows redirects one by one, each as
//! strictly as the first request. It never uses a proxy, keeps no cookie and no connection, and shows a
//! plugin no credential.

mod address;
mod client;
mod error;
mod rules;

pub use error::Error;

use crate::policy::grants;
use crate::protocol::plugins::{HttpRequest, HttpResponse, Refusal};
use address::{Place, Resolve};
use futures::future::BoxFuture;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of a request's body.
pub const MAX_BODY_UP: usize = 1 << 20;
/// Bytes of an answer's body, once it is unpacked.
pub const MAX_BODY_DOWN: u64 = 5 << 20;
/// What one request may take with all its redirects, without the time in which the owner is asked.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// Redirects that one request may follow.
pub const MAX_REDIRECTS: usize = 5;
/// How long the certificates that are trusted stay in memory after a request.
const KEPT: Duration = Duration::from_secs(60);

/// A request as it goes out on one hop, for the owner to see: the bytes sent are these, and the credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    pub method: String,
    pub url: String,
    /// In lower case. Besides them, only what the message itself needs is sent: `host` and `content-length`.
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
    /// The header in which a credential is added.
    pub credential: Option<String>,
    /// 0 for the request itself, then the redirects.
    pub number: usize,
}

/// A credential as a header, and the only host that may see it (`host` or `host:port`).
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    pub host: String,
    pub name: String,
    pub value: String,
    /// The part of the value that is secret, without the prefix that the manifest puts before it.
    pub bare: String,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Header").field("host", &self.host).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Sends requests. Idle, it holds nothing.
pub struct Egress {
    resolve: Resolve,
    judge: fn(std::net::IpAddr) -> address::Reach,
    tls: Mutex<Weak<rustls::ClientConfig>>,
    deadline: Duration,
    kept: Duration,
}

impl Default for Egress {
    fn default() -> Egress {
        Egress::new()
    }
}

impl Egress {
    pub fn new() -> Egress {
        Egress {
            resolve: Arc::new(address::system),
            judge: address::judge,
            tls: Mutex::default(),
            deadline: DEADLINE,
            kept: KEPT,
        }
    }

    /// Sends a request within what is granted. `private_hosts` (`host` or `host:port`) are those of this
    /// machine and its networks that the owner opened; they must also be granted by name, not by `*`.
    /// `approve` is awaited before each hop and sees what it would send; an error is the reason against it.
    ///
    /// # Errors
    /// A [`Refusal`] with a sentence that names the host and what was wrong.
    pub async fn send(
        &self,
        granted: &grants::Http,
        private_hosts: &[String],
        request: HttpRequest,
        credential: Option<Header>,
        approve: impl Fn(&Hop) -> BoxFuture<'static, Result<(), String>> + Send + Sync,
    ) -> Result<HttpResponse, Refusal> {
        Ok(self.follow(granted, private_hosts, request, credential, approve).await?)
    }

    async fn follow(
        &self,
        granted: &grants::Http,
        private_hosts: &[String],
        request: HttpRequest,
        credential: Option<Header>,
        approve: impl Fn(&Hop) -> BoxFuture<'static, Result<(), String>> + Send + Sync,
    ) -> Result<HttpResponse, Error> {
        let mut budget = Budget(self.deadline);
        let mut secret = credential;
        let (mut hop, mut url) = rules::first(request, secret.as_ref())?;
        let mut was_public = false;
        loop {
            let place = Place::of(&url, &hop.method, granted, private_hosts)?;
            if was_public && place.listed {
                return Err(Error::Inward { host: place.host });
            }
            was_public = !place.listed;
            rules::check_credential(secret.as_ref(), &url, &place)?;
            // An address is judged before the owner is bothered with it; a name is looked up only after the
            // yes, since it can carry a secret to whoever answers for it.
            let literal = if place.is_literal() {
                Some(place.addresses(&self.resolve, self.judge).await?)
            } else {
                None
            };
            approve(&hop).await.map_err(|why| Error::Refused { host: place.host.clone(), why })?;
            let addresses = match literal {
                Some(addresses) => addresses,
                None => budget.spend(place.addresses(&self.resolve, self.judge)).await??,
            };
            let tls = self.tls(url.scheme() == "https")?;
            let secret_now = secret.as_ref();
            let answer = budget.spend(client::exchange(&hop, &url, secret_now, addresses, tls)).await??;
            match answer {
                client::Answer::Whole(response) => return Ok(response),
                client::Answer::Elsewhere { status, location } => {
                    url = rules::redirected(&mut hop, &url, status, &location, &mut secret)?;
                }
            }
        }
    }

    /// What is trusted for TLS: the system's certificates, read at first use and dropped some time after the last.
    fn tls(&self, needed: bool) -> Result<Arc<rustls::ClientConfig>, Error> {
        if !needed {
            return client::no_tls();
        }
        let mut known = self.tls.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let config = match known.upgrade() {
            Some(config) => config,
            None => client::system_tls()?,
        };
        *known = Arc::downgrade(&config);
        let (held, kept) = (config.clone(), self.kept);
        tokio::spawn(async move {
            tokio::time::sleep(kept).await;
            drop(held);
        });
        Ok(config)
    }
}

/// What is left of a request's time.
struct Budget(Duration);

impl Budget {
    async fn spend<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Error> {
        let begun = Instant::now();
        let done = tokio::time::timeout(self.0, work).await;
        self.0 = self.0.saturating_sub(begun.elapsed());
        done.map_err(|_| Error::Timeout)
    }
}

#[cfg(test)]
#[path = "egress_tests.rs"]
mod tests;
