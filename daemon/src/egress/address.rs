//! Which addresses are of the public internet, after IANA's special-purpose registries (RFC 6890, as of
//! 2026), and which host a URL means. A name counts as private if one of its addresses is.

use super::Error;
use crate::policy::grants;
use futures::future::BoxFuture;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use url::{Host, Url};

/// Addresses tried of one name.
const MAX_ADDRESSES: usize = 8;

/// Looks a name up.
pub type Resolve = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// What an address is good for, and what it is if not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Public,
    /// This machine, or a network that may be the owner's own.
    Local(&'static str),
    Never(&'static str),
}

use Reach::{Local, Never, Public};

/// Networks of IPv4 that are not the public internet, as address and prefix length.
const V4: [([u8; 4], u32, Reach); 19] = [
    ([0, 0, 0, 0], 8, Never("an address of no host")),
    ([10, 0, 0, 0], 8, Local("an address of a private network")),
    ([100, 64, 0, 0], 10, Local("an address of a provider's own network")),
    ([127, 0, 0, 0], 8, Local("this machine")),
    ([169, 254, 0, 0], 16, Local("a link-local address")),
    ([172, 16, 0, 0], 12, Local("an address of a private network")),
    ([192, 0, 0, 0], 24, Never("an address of the protocols' own")),
    ([192, 0, 2, 0], 24, Never("an address for documentation")),
    ([192, 31, 196, 0], 24, Never("an address of AS112")),
    ([192, 52, 193, 0], 24, Never("a multicast relay's address")),
    ([192, 88, 99, 0], 24, Never("a 6to4 relay's address")),
    ([192, 168, 0, 0], 16, Local("an address of a private network")),
    ([192, 175, 48, 0], 24, Never("an address of AS112")),
    ([198, 18, 0, 0], 15, Never("an address for benchmarks")),
    ([198, 51, 100, 0], 24, Never("an address for documentation")),
    ([203, 0, 113, 0], 24, Never("an address for documentation")),
    ([224, 0, 0, 0], 4, Never("a multicast address")),
    ([255, 255, 255, 255], 32, Never("the broadcast address")),
    ([240, 0, 0, 0], 4, Never("a reserved address")),
];

/// The same for IPv6. What is not listed and outside of 2000::/3 is reserved.
const V6: [([u16; 8], u32, Reach); 10] = [
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, Local("this machine")),
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, Never("an address of no host")),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Local("an address of a private network")),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, Local("a link-local address")),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, Never("a multicast address")),
    // Teredo, ORCHID, benchmarks and more.
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, Never("an address of the protocols' own")),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, Never("an address for documentation")),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, Never("a 6to4 address")),
    ([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, Never("an address of AS112")),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Never("an address for documentation")),
];

/// What an address is, judged by the IPv4 address in it where there is one that traffic would reach.
pub fn judge(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => judge_v4(address),
        IpAddr::V6(address) => match address.segments() {
            // IPv4-mapped (RFC 4291) and NAT64's well-known prefix (RFC 6052).
            [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                judge_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
            }
            _ => judge_v6(address),
        },
    }
}

fn judge_v4(address: Ipv4Addr) -> Reach {
    let bits = address.to_bits();
    let within = |network: [u8; 4], length: u32| {
        (bits ^ u32::from_be_bytes(network)).checked_shr(32 - length).unwrap_or(0) == 0
    };
    V4.iter().find(|(network, length, _)| within(*network, *length)).map_or(Public, |found| found.2)
}

fn judge_v6(address: Ipv6Addr) -> Reach {
    let bits = address.to_bits();
    let within = |network: [u16; 8], length: u32| {
        (bits ^ Ipv6Addr::from(network).to_bits()).checked_shr(128 - length).unwrap_or(0) == 0
    };
    match V6.iter().find(|(network, length, _)| within(*network, *length)) {
        Some(found) => found.2,
        None if within([0x2000, 0, 0, 0, 0, 0, 0, 0], 3) => Public,
        None => Never("a reserved address"),
    }
}

/// The system's resolver.
pub fn system(name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
    Box::pin(async move {
        let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    })
}

/// Where a URL leads: a granted host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// As people write it, with the port if it is not the scheme's own.
    pub host: String,
    /// Among the private hosts that the owner opened.
    pub listed: bool,
    target: Host<String>,
    port: u16,
}

impl Place {
    /// # Errors
    /// The host or method is not granted, or the name is one of a private network.
    pub fn of(
        url: &Url,
        method: &str,
        granted: &grants::Http,
        private_hosts: &[String],
    ) -> Result<Place, Error> {
        granted.allows(method, url.as_str()).map_err(Error::NotGranted)?;
        let (Some(target), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(Error::NotGranted("the URL names no host".into()));
        };
        let listed = private_hosts.iter().any(|private| is_at(url, private));
        let place = Place { host: shown(url), listed, target: target.to_owned(), port };
        if listed {
            let by_name = grants::Http {
                hosts: granted
                    .hosts
                    .iter()
                    .filter(|host| !host.starts_with("*:") && *host != "*")
                    .cloned()
                    .collect(),
                methods: granted.methods.clone(),
            };
            by_name.allows(method, url.as_str()).map_err(|_| Error::ByName { host: place.host.clone() })?;
        } else if let Host::Domain(name) = &place.target
            && let Some(what) = private_name(name)
        {
            return Err(Error::Local { host: place.host, what: what.into() });
        }
        Ok(place)
    }

    /// Whether the URL names an address, which needs no looking up.
    pub fn is_literal(&self) -> bool {
        !matches!(self.target, Host::Domain(_))
    }

    /// The addresses to connect to: all that the name has, if every one of them may be connected to.
    ///
    /// # Errors
    /// One of them is private, or there is none.
    pub async fn addresses(
        &self,
        resolve: &Resolve,
        judge: fn(IpAddr) -> Reach,
    ) -> Result<Vec<SocketAddr>, Error> {
        let failed = |why: String| Error::Failed { host: self.host.clone(), why };
        let found = match &self.target {
            Host::Ipv4(address) => vec![IpAddr::V4(*address)],
            Host::Ipv6(address) => vec![IpAddr::V6(*address)],
            Host::Domain(name) => resolve(name.clone())
                .await
                .map_err(|error| failed(format!("cannot be looked up: {error}")))?,
        };
        if found.is_empty() {
            return Err(failed("has no address".into()));
        }
        for &address in &found {
            let what = |what: &str| match &self.target {
                Host::Domain(_) => format!("at {address}, {what}"),
                _ => what.to_owned(),
            };
            match judge(address) {
                Public => {}
                Local(_) if self.listed => {}
                Local(kind) => return Err(Error::Local { host: self.host.clone(), what: what(kind) }),
                Never(kind) => return Err(Error::Never { host: self.host.clone(), what: what(kind) }),
            }
        }
        Ok(found.into_iter().take(MAX_ADDRESSES).map(|address| SocketAddr::new(address, self.port)).collect())
    }
}

/// A URL's host, with its port if the scheme has another.
pub fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether a URL is at `host` or `host:port`; without a port, at the scheme's own.
pub fn is_at(url: &Url, place: &str) -> bool {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return false };
    match place.strip_suffix(&format!(":{port}")) {
        Some(name) if name.eq_ignore_ascii_case(host) => true,
        _ => url.port().is_none() && place.eq_ignore_ascii_case(host),
    }
}

/// What a name is if it is no public one, whatever it resolves to.
fn private_name(name: &str) -> Option<&'static str> {
    let name = name.trim_end_matches('.');
    let below =
        |domain: &str| name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if below("localhost") {
        Some("this machine")
    } else if ["local", "internal", "lan", "home.arpa"].iter().any(|domain| below(domain)) {
        Some("a name of a private network")
    } else if ["onion", "alt", "invalid"].iter().any(|domain| below(domain)) {
        Some("a name that the public DNS does not have")
    } else if !name.contains('.') {
        Some("a name without a domain")
    } else {
        None
    }
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
