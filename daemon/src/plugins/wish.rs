//! What may stand in a grant, whoever writes it: a manifest or the owner. A pattern that could be read in
//! two ways, or that would never match, is refused with the way it should be written. Pure.

use crate::policy::grants::{Generate, Grants, Http, Interface, Kv, Search};
use std::path::Component;
use url::Url;

/// The most that a plugin may keep, in bytes.
pub const MOST_KEPT: u64 = 16 << 20;
/// The most tokens that a call may have the model write.
pub const MOST_TOKENS: u32 = 65_536;
const MOST_ENTRIES: usize = 64;
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Whether all of it may stand in a grant.
pub fn check(grants: &Grants) -> Result<(), String> {
    if let Some(wanted) = &grants.kv {
        kv(wanted.clone())?;
    }
    if let Some(wanted) = &grants.search {
        search(wanted.clone())?;
    }
    if let Some(wanted) = &grants.generate {
        generate(wanted.clone())?;
    }
    if let Some(http) = &grants.http {
        hosts(&http.hosts)?;
        methods(&http.methods)?;
    }
    Ok(())
}

pub fn kv(kv: Kv) -> Result<Kv, String> {
    match kv.quota {
        1..=MOST_KEPT => Ok(kv),
        quota => Err(format!("a quota of {quota} bytes is not between 1 and {MOST_KEPT}")),
    }
}

pub fn generate(generate: Generate) -> Result<Generate, String> {
    match generate.tokens {
        1..=MOST_TOKENS => Ok(generate),
        tokens => Err(format!("{tokens} tokens are not between 1 and {MOST_TOKENS}")),
    }
}

pub fn search(search: Search) -> Result<Search, String> {
    if search.paths.len() > MOST_ENTRIES {
        return Err(format!("more than {MOST_ENTRIES} paths: name a folder above them"));
    }
    let plain = |part: Component| matches!(part, Component::RootDir | Component::Normal(_));
    match search.paths.iter().find(|path| !path.is_absolute() || !path.components().all(plain)) {
        Some(path) => Err(format!("{} is not an absolute path without `..`", path.display())),
        None => Ok(search),
    }
}

pub fn methods(methods: &[String]) -> Result<(), String> {
    if methods.is_empty() {
        return Err("no method is named: `methods = [\"GET\"]` reads pages".into());
    }
    match methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
        Some(method) => {
            Err(format!("`{}` is none of the methods {}", method.escape_debug(), METHODS.join(", ")))
        }
        None => Ok(()),
    }
}

pub fn hosts(hosts: &[String]) -> Result<(), String> {
    match hosts.len() {
        0 => Err("no host is named: `hosts = [\"example.org\"]`, or `[\"*\"]` for every public one".into()),
        1..=MOST_ENTRIES => hosts.iter().try_for_each(|pattern| host(pattern)),
        _ => Err(format!("more than {MOST_ENTRIES} hosts")),
    }
}

/// A host pattern as [`Http::hosts`] has it, written as a URL's host would be.
pub fn host(pattern: &str) -> Result<(), String> {
    let shown = pattern.escape_debug();
    let name = match pattern.strip_prefix('*') {
        Some("") => return Ok(()),
        Some(rest) if rest.starts_with(':') => return check_host(&format!("any{rest}"), pattern),
        Some(rest) => match rest.strip_prefix('.') {
            Some(parent) if parent.contains('.') => parent,
            _ => return Err(format!("`{shown}` is too wide or no host: `*.example.org`, or `*` for all")),
        },
        None => pattern,
    };
    check_host(name, pattern)
}

/// Compared with how a URL is read, since that is how it is held against requests.
fn check_host(name: &str, pattern: &str) -> Result<(), String> {
    let shown: String = pattern.chars().take(100).collect();
    let shown = shown.escape_debug();
    let wrong = || format!("`{shown}` is no host: write it as `example.org` or `example.org:8080`");
    if name.is_empty() || name.len() > 253 + 6 || name.contains(|c: char| "/?#@\\%* ".contains(c)) {
        return Err(wrong());
    }
    let url = Url::parse(&format!("http://{name}/")).map_err(|_| wrong())?;
    let host = url.host_str().ok_or_else(wrong)?;
    if matches!(name.rsplit_once(':'), Some((before, "80" | "443")) if !before.ends_with(':')) {
        return Err(format!("`{shown}`: leave the port out, 80 and 443 are meant without it"));
    }
    let plain = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    // A dot at the end, or none between, is no host that a request would name.
    if host.split('.').any(str::is_empty) {
        return Err(wrong());
    }
    if plain != name {
        return Err(format!("`{shown}` is not written plainly: write `{plain}`"));
    }
    Ok(())
}

/// A grant as a sentence for the owner: what the plugin could then do.
pub fn meaning(grants: &Grants, interface: Interface) -> Option<String> {
    grants.has(interface).then(|| match interface {
        Interface::Log => "write lines for its developer".into(),
        Interface::Clock => "know the time and your time zone".into(),
        Interface::Kv => {
            let quota = grants.kv.as_ref().map_or(0, |kv| kv.quota);
            format!("keep up to {quota} bytes of its own between calls")
        }
        Interface::Search => match grants.search.as_ref().map(|search| &search.paths) {
            Some(paths) if !paths.is_empty() => {
                let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
                format!("search and read your indexed files below {}", paths.join(", "))
            }
            _ => "search and read all of your indexed files".into(),
        },
        Interface::Generate => {
            let tokens = grants.generate.as_ref().map_or(0, |generate| generate.tokens);
            format!("have your model write up to {tokens} tokens in a call")
        }
        Interface::Http => grants.http.as_ref().map(http_meaning).unwrap_or_default(),
        Interface::Notify => "send you notices, also later".into(),
        Interface::AskUser => "ask you questions while it works".into(),
        Interface::Progress => "tell how far it is".into(),
    })
}

fn http_meaning(http: &Http) -> String {
    let hosts = match http.hosts.iter().any(|host| host == "*") {
        true => "every public host".to_owned(),
        false => http.hosts.join(", "),
    };
    format!("send {} requests to {hosts}", http.methods.join(", "))
}

/// Whether `wanted` asks for nothing that `before` did not.
pub fn within(wanted: &Grants, before: &Grants) -> bool {
    Interface::ALL
        .into_iter()
        .all(|interface| !wanted.has(interface) || within_one(wanted, before, interface))
}

/// The interfaces for which `wanted` asks more than `before` did.
pub fn grown(wanted: &Grants, before: &Grants) -> Vec<Interface> {
    let more = |interface: &Interface| wanted.has(*interface) && !within_one(wanted, before, *interface);
    Interface::ALL.into_iter().filter(more).collect()
}

/// A wish is within another if meeting it takes nothing away.
fn within_one(wanted: &Grants, before: &Grants, interface: Interface) -> bool {
    if !before.has(interface) {
        return false;
    }
    let met = wanted.meet(before);
    match interface {
        Interface::Kv => met.kv == wanted.kv,
        Interface::Generate => met.generate == wanted.generate,
        Interface::Search => all(&wanted.search, &met.search, |search| {
            search.paths.iter().map(|path| path.display().to_string()).collect()
        }),
        Interface::Http => {
            all(&wanted.http, &met.http, |http| http.hosts.clone())
                && all(&wanted.http, &met.http, |http| {
                    http.methods.iter().map(|method| method.to_ascii_uppercase()).collect()
                })
        }
        Interface::Log | Interface::Clock | Interface::Notify | Interface::AskUser | Interface::Progress => {
            true
        }
    }
}

/// Whether a list came out of the meeting as it went in. An empty list of paths is everything, which
/// only an empty list is.
fn all<T>(wanted: &Option<T>, met: &Option<T>, list: impl Fn(&T) -> Vec<String>) -> bool {
    let (Some(wanted), Some(met)) = (wanted, met) else { return false };
    let (wanted, met) = (list(wanted), list(met));
    wanted.is_empty() == met.is_empty() && wanted.iter().all(|entry| met.contains(entry))
}

/// `granted` without an interface.
pub fn without(granted: &Grants, interface: Interface) -> Grants {
    let mut left = granted.clone();
    match interface {
        Interface::Log => left.log = false,
        Interface::Clock => left.clock = false,
        Interface::Kv => left.kv = None,
        Interface::Search => left.search = None,
        Interface::Generate => left.generate = None,
        Interface::Http => left.http = None,
        Interface::Notify => left.notify = false,
        Interface::AskUser => left.ask_user = false,
        Interface::Progress => left.progress = false,
    }
    left
}

/// `granted` with what `more` says of one interface in its place.
pub fn with(granted: &Grants, more: &Grants, interface: Interface) -> Grants {
    let (mut all, more) = (granted.clone(), more.clone());
    match interface {
        Interface::Log => all.log = more.log,
        Interface::Clock => all.clock = more.clock,
        Interface::Kv => all.kv = more.kv,
        Interface::Search => all.search = more.search,
        Interface::Generate => all.generate = more.generate,
        Interface::Http => all.http = more.http,
        Interface::Notify => all.notify = more.notify,
        Interface::AskUser => all.ask_user = more.ask_user,
        Interface::Progress => all.progress = more.progress,
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(hosts: &[&str]) -> Grants {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        Grants { http: Some(Http { hosts, methods: vec!["GET".into()] }), ..Grants::default() }
    }

    #[test]
    fn hosts_are_written_as_urls_have_them() {
        for good in [
            "*",
            "example.org",
            "a-b.example.org",
            "*.example.org",
            "example.org:8080",
            "*:8080",
            "192.168.1.5",
            "192.168.1.5:8123",
            "[::1]:8080",
            "[2001:db8::1]",
            "xn--bcher-kva.example",
            "localhost",
        ] {
            assert_eq!(host(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "*.",
            "*.org",
            "**",
            "*example.org",
            "a.*.org",
            "Example.org",
            "http://example.org",
            "example.org/",
            "example.org:80",
            "example.org:443",
            "example.org:99999",
            "example.org:",
            "user@example.org",
            "0x7f.1",
            "127.1",
            "2130706433",
            "example.org#x",
            "exa mple.org",
            "bücher.example",
            "example.org\n",
            "[::0001]",
            "%65xample.org",
            "example。org",
            "*.*.example.org",
            ".",
            "..",
            "example.org.",
            "a..b",
        ] {
            assert!(host(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn more_is_told_from_less() {
        let narrow = grants(&["a.example.org"]);
        let wide = grants(&["*.example.org"]);
        assert!(within(&narrow, &wide) && within(&wide, &wide) && within(&Grants::default(), &narrow));
        assert!(!within(&wide, &narrow));
        let posts = Http { hosts: vec!["a.example.org".into()], methods: vec!["POST".into()] };
        let posts = Grants { http: Some(posts), ..Grants::default() };
        assert_eq!(grown(&posts, &wide), [Interface::Http]);
        let everything = Grants { search: Some(Search::default()), ..Grants::default() };
        let some = Grants { search: Some(Search { paths: vec!["/a".into()] }), ..Grants::default() };
        assert!(within(&some, &everything) && !within(&everything, &some));
        let below = Grants { search: Some(Search { paths: vec!["/a/b".into()] }), ..Grants::default() };
        assert!(within(&below, &some) && !within(&some, &below));
        let kv = |quota| Grants { kv: Some(Kv { quota }), clock: true, ..Grants::default() };
        assert!(within(&kv(5), &kv(6)) && !within(&kv(6), &kv(5)));
        assert_eq!(grown(&kv(6), &Grants::default()), [Interface::Clock, Interface::Kv]);
    }

    #[test]
    fn one_interface_comes_and_goes_alone() {
        let all = Grants { clock: true, kv: Some(Kv { quota: 9 }), ..grants(&["*"]) };
        for interface in Interface::ALL {
            let left = without(&all, interface);
            assert!(!left.has(interface));
            assert_eq!(with(&left, &all, interface), all);
            assert_eq!(meaning(&all, interface).is_some(), all.has(interface));
        }
    }
}
