//! What a plugin asks for, what the owner granted, and whether a use of an import is within both. The
//! manifest's wish and the owner's yes have one shape; what counts is where they [`meet`](Grants::meet).

use crate::protocol::plugins::Ask;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use url::Url;

/// The interfaces of `sdk/wit/plugin.wit` that a plugin may import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Interface {
    Log,
    Clock,
    Kv,
    Search,
    Generate,
    Http,
    Notify,
    AskUser,
    Progress,
}

impl Interface {
    pub const ALL: [Interface; 9] = [
        Interface::Log,
        Interface::Clock,
        Interface::Kv,
        Interface::Search,
        Interface::Generate,
        Interface::Http,
        Interface::Notify,
        Interface::AskUser,
        Interface::Progress,
    ];

    /// The name in the WIT package, in manifests and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Interface::Log => "log",
            Interface::Clock => "clock",
            Interface::Kv => "kv",
            Interface::Search => "search",
            Interface::Generate => "generate",
            Interface::Http => "http",
            Interface::Notify => "notify",
            Interface::AskUser => "ask-user",
            Interface::Progress => "progress",
        }
    }

    pub fn from_name(name: &str) -> Option<Interface> {
        Interface::ALL.into_iter().find(|interface| interface.as_str() == name)
    }

    /// The interface that a request belongs to.
    pub fn of(ask: &Ask) -> Interface {
        match ask {
            Ask::Now | Ask::LocalOffset { .. } => Interface::Clock,
            Ask::KvGet { .. }
            | Ask::KvSet { .. }
            | Ask::KvSwap { .. }
            | Ask::KvDelete { .. }
            | Ask::KvKeys { .. } => Interface::Kv,
            Ask::Find { .. } | Ask::Files { .. } | Ask::Read { .. } => Interface::Search,
            Ask::Generate(_) => Interface::Generate,
            Ask::Send(_) => Interface::Http,
            Ask::Notify(_) | Ask::Schedule { .. } | Ask::Unschedule { .. } | Ask::Pending => {
                Interface::Notify
            }
            Ask::Confirm { .. } | Ask::Choose { .. } => Interface::AskUser,
            Ask::Progress { .. } => Interface::Progress,
        }
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What may be used. The default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Grants {
    pub log: bool,
    pub clock: bool,
    pub kv: Option<Kv>,
    pub search: Option<Search>,
    pub generate: Option<Generate>,
    pub http: Option<Http>,
    pub notify: bool,
    pub ask_user: bool,
    pub progress: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kv {
    /// Bytes of keys and values together.
    pub quota: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Search {
    /// Absolute folders or files. Empty: everything that is indexed.
    pub paths: Vec<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// Tokens that one call may have the model write.
    pub tokens: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// `example.org`, `*.example.org` (below it, not itself), `example.org:8080`, or `*` (every public host).
    pub hosts: Vec<String>,
    pub methods: Vec<String>,
}

impl Grants {
    pub fn has(&self, interface: Interface) -> bool {
        match interface {
            Interface::Log => self.log,
            Interface::Clock => self.clock,
            Interface::Kv => self.kv.is_some(),
            Interface::Search => self.search.is_some(),
            Interface::Generate => self.generate.is_some(),
            Interface::Http => self.http.is_some(),
            Interface::Notify => self.notify,
            Interface::AskUser => self.ask_user,
            Interface::Progress => self.progress,
        }
    }

    /// What is in both.
    pub fn meet(&self, other: &Grants) -> Grants {
        fn both<T>(a: &Option<T>, b: &Option<T>, meet: impl Fn(&T, &T) -> T) -> Option<T> {
            Some(meet(a.as_ref()?, b.as_ref()?))
        }
        Grants {
            log: self.log && other.log,
            clock: self.clock && other.clock,
            kv: both(&self.kv, &other.kv, |a, b| Kv { quota: a.quota.min(b.quota) }),
            search: self.search.as_ref().zip(other.search.as_ref()).and_then(|(a, b)| a.meet(b)),
            generate: both(&self.generate, &other.generate, |a, b| Generate {
                tokens: a.tokens.min(b.tokens),
            }),
            http: both(&self.http, &other.http, Http::meet),
            notify: self.notify && other.notify,
            ask_user: self.ask_user && other.ask_user,
            progress: self.progress && other.progress,
        }
    }

    /// Whether a use of an import is granted. What can only be known while it is carried out (the quota
    /// left, tokens left, where a redirect leads) is checked there.
    ///
    /// # Errors
    /// A sentence for the plugin and its author.
    pub fn covers(&self, ask: &Ask) -> Result<(), String> {
        let interface = Interface::of(ask);
        if !self.has(interface) {
            return Err(format!("`{interface}` is not granted to this plugin"));
        }
        match (ask, &self.http, &self.search) {
            (Ask::Send(request), Some(http), _) => http.allows(&request.method, &request.url),
            (Ask::Read { path, .. }, _, Some(search)) if !search.holds(Path::new(path)) => {
                Err(format!("{path} is not below a folder that was granted to this plugin"))
            }
            _ => Ok(()),
        }
    }
}

impl Search {
    /// Whether a file is below a granted path. A path with `..` in it is below nothing.
    pub fn holds(&self, path: &Path) -> bool {
        let plain = path.is_absolute() && !path.components().any(|part| part == Component::ParentDir);
        plain && (self.paths.is_empty() || self.paths.iter().any(|granted| path.starts_with(granted)))
    }

    /// The narrower of each pair of paths of which one is below the other; `None` when there is none,
    /// since an empty list would be everything.
    fn meet(&self, other: &Search) -> Option<Search> {
        if self.paths.is_empty() || other.paths.is_empty() {
            return Some(if self.paths.is_empty() { other.clone() } else { self.clone() });
        }
        let mut paths = Vec::new();
        for (a, b) in self.paths.iter().flat_map(|a| other.paths.iter().map(move |b| (a, b))) {
            if a.starts_with(b) {
                paths.push(a.clone());
            } else if b.starts_with(a) {
                paths.push(b.clone());
            }
        }
        (!paths.is_empty()).then_some(Search { paths })
    }
}

impl Http {
    /// Whether a request may go out, by its method and the URL's host and port.
    pub fn allows(&self, method: &str, url: &str) -> Result<(), String> {
        let parsed = Url::parse(url);
        let shown = || url.chars().take(200).collect::<String>();
        let url = parsed.map_err(|error| format!("{:?} is not a URL: {error}", shown()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("only http and https are for plugins, not {}", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL with a user name in it is refused".into());
        }
        let host = url.host_str().ok_or("the URL names no host")?;
        if !self.methods.iter().any(|granted| granted.eq_ignore_ascii_case(method)) {
            return Err(format!("the method {method} is not granted to this plugin"));
        }
        if !self.hosts.iter().any(|granted| matches(granted, host, url.port())) {
            return Err(format!("the host {host} is not granted to this plugin"));
        }
        Ok(())
    }

    fn meet(&self, other: &Http) -> Http {
        let methods =
            self.methods.iter().filter(|a| other.methods.iter().any(|b| a.eq_ignore_ascii_case(b))).cloned();
        let mut hosts = Vec::new();
        for (a, b) in self.hosts.iter().flat_map(|a| other.hosts.iter().map(move |b| (a, b))) {
            if within(a, b) {
                hosts.push(a.clone());
            } else if within(b, a) {
                hosts.push(b.clone());
            }
        }
        hosts.dedup();
        Http { methods: methods.collect(), hosts }
    }
}

/// Whether a host pattern covers a URL's host and its port (`None`: the scheme's own).
fn matches(pattern: &str, host: &str, port: Option<u16>) -> bool {
    let (name, granted_port) = split_port(pattern);
    if granted_port != port {
        return false;
    }
    let (name, host) = (name.to_ascii_lowercase(), host.trim_end_matches('.').to_ascii_lowercase());
    match name.strip_prefix("*.") {
        _ if name == "*" => true,
        Some(parent) => {
            host.strip_suffix(parent).is_some_and(|below| below.ends_with('.') && below.len() > 1)
        }
        None => host == name,
    }
}

/// Whether all that pattern `a` covers is covered by `b`.
fn within(a: &str, b: &str) -> bool {
    let ((a, a_port), (b, b_port)) = (split_port(a), split_port(b));
    if a_port != b_port {
        return false;
    }
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    a == b || b == "*" || b.strip_prefix("*.").is_some_and(|parent| a.ends_with(&format!(".{parent}")))
}

/// `host:port` apart. An IPv6 address stands in brackets.
fn split_port(pattern: &str) -> (&str, Option<u16>) {
    match pattern.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && !port.contains(']') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (pattern, None),
        },
        _ => (pattern, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(hosts: &[&str]) -> Http {
        let owned = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect();
        Http { hosts: owned(hosts), methods: owned(&["GET"]) }
    }

    #[test]
    fn hosts_are_compared_whole() {
        let granted = http(&["example.org", "*.sub.example.com", "api.test:8080"]);
        for url in [
            "https://example.org/x",
            "https://EXAMPLE.org.",
            "http://a.sub.example.com",
            "http://api.test:8080",
        ] {
            assert_eq!(granted.allows("get", url), Ok(()), "{url}");
        }
        for url in [
            "https://example.org:8443/",
            "https://evil-example.org",
            "https://example.org.evil.test",
            "https://example.org@evil.test/",
            "https://user:pw@example.org/",
            "https://sub.example.com",
            "https://xsub.example.com",
            "http://api.test",
            "ftp://example.org",
            "file:///etc/passwd",
            "//example.org",
            "https://",
            "not a url",
        ] {
            assert!(granted.allows("GET", url).is_err(), "{url}");
        }
        assert!(granted.allows("POST", "https://example.org").is_err());
    }

    #[test]
    fn only_what_both_say_is_granted() {
        let wish = Grants {
            clock: true,
            log: true,
            kv: Some(Kv { quota: 1000 }),
            http: Some(http(&["*"])),
            search: Some(Search { paths: vec!["/a".into(), "/b/c".into()] }),
            ..Grants::default()
        };
        let yes = Grants {
            clock: true,
            notify: true,
            kv: Some(Kv { quota: 10 }),
            http: Some(http(&["example.org", "*.x.org"])),
            search: Some(Search { paths: vec!["/b".into(), "/d".into()] }),
            ..Grants::default()
        };
        let met = wish.meet(&yes);
        assert!(met.clock && !met.log && !met.notify);
        assert_eq!(met.kv, Some(Kv { quota: 10 }));
        assert_eq!(met.http, Some(http(&["example.org", "*.x.org"])));
        assert_eq!(met.search, Some(Search { paths: vec!["/b/c".into()] }));
        assert_eq!(met, yes.meet(&wish));
        assert_eq!(wish.meet(&Grants::default()), Grants::default());
    }

    #[test]
    fn paths_with_nothing_in_common_are_nothing() {
        let a = Search { paths: vec!["/a".into()] };
        assert_eq!(a.meet(&Search { paths: vec!["/ab".into()] }), None);
        assert_eq!(a.meet(&Search::default()), Some(a));
    }

    #[test]
    fn a_path_that_climbs_is_below_nothing() {
        for granted in [Search { paths: vec!["/a".into()] }, Search::default()] {
            assert!(granted.holds(Path::new("/a/b")) && granted.holds(Path::new("/a/./b..")));
            for path in ["/a/../b", "/a/..", "/a/b/../../c", "a/b", "../a", ""] {
                assert!(!granted.holds(Path::new(path)), "{path}");
            }
        }
    }

    #[test]
    fn what_is_not_granted_is_named() {
        let error = Grants::default().covers(&Ask::Now).unwrap_err();
        assert!(error.contains("`clock`"), "{error}");
        let ask = Ask::Read { path: "/b/x".into(), start: 0, length: 1 };
        let granted = Grants { search: Some(Search { paths: vec!["/a".into()] }), ..Grants::default() };
        assert!(granted.covers(&ask).unwrap_err().contains("/b/x"));
    }
}
