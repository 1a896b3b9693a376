//! `plugin.toml`: what a plugin is called, what it asks for and why, in its author's words. Read strictly,
//! since those words are what the owner says yes to: unknown keys, texts that do not show as they are and
//! hosts that are not written plainly are refused with their line. Pure: text in, manifest out.

use super::wish;
use crate::policy::grants::{Generate, Grants, Http, Interface, Kv, Search};
use semver::Version;
use serde::Deserialize;
use std::path::{Component, Path, PathBuf};
use toml::Spanned;

/// No manifest is longer than this many bytes.
pub const LONGEST: usize = 64 << 10;

/// What is wrong with a manifest. `line` is 1-based.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("plugin.toml:{line}: {what}")]
pub struct ManifestError {
    pub line: usize,
    pub what: String,
}

/// A manifest that holds together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub name: String,
    pub version: Version,
    pub description: String,
    pub authors: Vec<String>,
    pub license: Option<String>,
    pub homepage: Option<String>,
    /// The interfaces it asks for with the reasons it gives, in the order of [`Interface::ALL`].
    pub whys: Vec<(Interface, String)>,
    wants: Grants,
    pub credentials: Vec<Credential>,
    pub build: Option<Build>,
}

/// Something secret of the owner's that the host puts into requests to one host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    pub name: String,
    pub why: String,
    /// The one host that it is sent to, as in `wants.http`.
    pub host: String,
    #[serde(default = "authorization")]
    pub header: String,
    /// Stands before the value, such as `Bearer `.
    #[serde(default)]
    pub prefix: String,
}

fn authorization() -> String {
    "Authorization".into()
}

/// How the component is made; for `familiar plugin build`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    pub command: Vec<String>,
    /// Where the command leaves it, below the manifest's folder.
    pub component: PathBuf,
    /// A file with the tools' descriptions, where the component cannot be asked.
    pub tools: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    plugin: RawPlugin,
    #[serde(default)]
    wants: RawWants,
    #[serde(default)]
    credentials: Vec<Spanned<Credential>>,
    build: Option<Spanned<Build>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPlugin {
    name: Spanned<String>,
    version: Spanned<String>,
    description: Spanned<String>,
    #[serde(default)]
    authors: Vec<Spanned<String>>,
    license: Option<Spanned<String>>,
    homepage: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct RawWants {
    log: Option<Plain>,
    clock: Option<Plain>,
    kv: Option<RawKv>,
    search: Option<RawSearch>,
    generate: Option<RawGenerate>,
    http: Option<RawHttp>,
    notify: Option<Plain>,
    ask_user: Option<Plain>,
    progress: Option<Plain>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    why: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKv {
    why: Spanned<String>,
    quota: Spanned<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSearch {
    why: Spanned<String>,
    paths: Option<Spanned<Vec<PathBuf>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGenerate {
    why: Spanned<String>,
    tokens: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHttp {
    why: Spanned<String>,
    hosts: Spanned<Vec<String>>,
    methods: Spanned<Vec<String>>,
}

impl Manifest {
    /// Reads the text of a `plugin.toml`.
    pub fn parse(text: &str) -> Result<Manifest, ManifestError> {
        let reader = Reader { text };
        if text.len() > LONGEST {
            return Err(ManifestError { line: 1, what: format!("the file is longer than {LONGEST} bytes") });
        }
        let raw: Raw = toml::from_str(text).map_err(|error| reader.syntax(&error))?;
        let (wants, whys) = reader.wants(&raw.wants)?;
        let plugin = &raw.plugin;
        reader.text(&plugin.description, DESCRIPTION)?;
        let optional = [&plugin.license, &plugin.homepage].into_iter().flatten();
        for text in optional.chain(&plugin.authors) {
            reader.text(text, SHORT)?;
        }
        let credentials = raw.credentials.into_iter();
        let credentials: Vec<Credential> = credentials
            .map(|found| {
                reader.check(&found, |credential| check_credential(credential, wants.http.as_ref()))?;
                Ok(found.into_inner())
            })
            .collect::<Result<_, ManifestError>>()?;
        reader.distinct(&credentials)?;
        if let Some(build) = &raw.build {
            reader.check(build, check_build)?;
        }
        Ok(Manifest {
            name: reader.check(&plugin.name, |name| check_name(name).map(|()| name.clone()))?,
            version: reader.check(&plugin.version, |version| check_version(version))?,
            description: plugin.description.get_ref().clone(),
            authors: raw.plugin.authors.into_iter().map(Spanned::into_inner).collect(),
            license: raw.plugin.license.map(Spanned::into_inner),
            homepage: raw.plugin.homepage.map(Spanned::into_inner),
            whys,
            wants,
            credentials,
            build: raw.build.map(Spanned::into_inner),
        })
    }

    /// What it asks for. In force is where this and the owner's yes meet.
    pub fn wants(&self) -> &Grants {
        &self.wants
    }

    /// Why it asks for an interface.
    pub fn why(&self, interface: Interface) -> Option<&str> {
        self.whys.iter().find(|(asked, _)| *asked == interface).map(|(_, why)| why.as_str())
    }

    pub fn credential(&self, name: &str) -> Option<&Credential> {
        self.credentials.iter().find(|credential| credential.name == name)
    }
}

/// Characters of a description, of a reason, of a name of a person.
const DESCRIPTION: usize = 300;
const WHY: usize = 300;
const SHORT: usize = 200;

/// Knows the text, so that it can say in which line something stands.
struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    fn syntax(&self, error: &toml::de::Error) -> ManifestError {
        let offset = error.span().map_or(0, |span| span.start);
        ManifestError { line: self.line(offset), what: error.message().replace('\n', ", ") }
    }

    fn check<T, R>(
        &self,
        value: &Spanned<T>,
        check: impl FnOnce(&T) -> Result<R, String>,
    ) -> Result<R, ManifestError> {
        let line = self.line(value.span().start);
        check(value.get_ref()).map_err(|what| ManifestError { line, what })
    }

    fn text(&self, text: &Spanned<String>, most: usize) -> Result<String, ManifestError> {
        self.check(text, |text| check_text(text, most).map(|()| text.clone()))
    }

    fn distinct(&self, credentials: &[Credential]) -> Result<(), ManifestError> {
        let twice = credentials.iter().enumerate().find(|(at, credential)| {
            credentials[..*at].iter().any(|earlier| earlier.name == credential.name)
        });
        match twice {
            Some((_, credential)) => {
                let what = format!("two credentials are called `{}`: rename one", credential.name);
                let at = self.text.rfind(&credential.name).unwrap_or(0);
                Err(ManifestError { line: self.line(at), what })
            }
            None => Ok(()),
        }
    }

    fn wants(&self, raw: &RawWants) -> Result<(Grants, Vec<(Interface, String)>), ManifestError> {
        let plain = |want: &Option<Plain>| want.is_some();
        let grants = Grants {
            log: plain(&raw.log),
            clock: plain(&raw.clock),
            notify: plain(&raw.notify),
            ask_user: plain(&raw.ask_user),
            progress: plain(&raw.progress),
            kv: raw
                .kv
                .as_ref()
                .map(|kv| self.check(&kv.quota, |quota| wish::kv(Kv { quota: *quota })))
                .transpose()?,
            search: raw.search.as_ref().map(|search| self.search(search)).transpose()?,
            generate: raw
                .generate
                .as_ref()
                .map(|generate| {
                    self.check(&generate.tokens, |tokens| wish::generate(Generate { tokens: *tokens }))
                })
                .transpose()?,
            http: raw.http.as_ref().map(|http| self.http(http)).transpose()?,
        };
        let why = |interface| match interface {
            Interface::Log => raw.log.as_ref().map(|want| &want.why),
            Interface::Clock => raw.clock.as_ref().map(|want| &want.why),
            Interface::Kv => raw.kv.as_ref().map(|want| &want.why),
            Interface::Search => raw.search.as_ref().map(|want| &want.why),
            Interface::Generate => raw.generate.as_ref().map(|want| &want.why),
            Interface::Http => raw.http.as_ref().map(|want| &want.why),
            Interface::Notify => raw.notify.as_ref().map(|want| &want.why),
            Interface::AskUser => raw.ask_user.as_ref().map(|want| &want.why),
            Interface::Progress => raw.progress.as_ref().map(|want| &want.why),
        };
        let whys = Interface::ALL
            .into_iter()
            .filter_map(|interface| Some((interface, why(interface)?)))
            .map(|(interface, why)| Ok((interface, self.text(why, WHY)?)))
            .collect::<Result<_, ManifestError>>()?;
        Ok((grants, whys))
    }

    fn search(&self, raw: &RawSearch) -> Result<Search, ManifestError> {
        let Some(paths) = &raw.paths else { return Ok(Search::default()) };
        self.check(paths, |paths| {
            if paths.is_empty() {
                return Err("an empty list would be everything: leave `paths` out for that".into());
            }
            wish::search(Search { paths: paths.clone() })
        })
    }

    fn http(&self, raw: &RawHttp) -> Result<Http, ManifestError> {
        self.check(&raw.hosts, |hosts| wish::hosts(hosts))?;
        self.check(&raw.methods, |methods| wish::methods(methods))?;
        Ok(Http { hosts: raw.hosts.get_ref().clone(), methods: raw.methods.get_ref().clone() })
    }
}

/// A plugin's name: it is a folder's name, a part of its tools' names and what the owner types.
pub fn check_name(name: &str) -> Result<(), String> {
    let good = (1..=40).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.contains("--")
        && !name.starts_with('-')
        && !name.ends_with('-');
    if good {
        return Ok(());
    }
    let name: String = name.chars().take(40).collect();
    Err(format!(
        "`{}` is no plugin's name: use 1 to 40 of a-z, 0-9 and single `-` between them",
        name.escape_debug()
    ))
}

fn check_version(version: &str) -> Result<Version, String> {
    let wrong = |why: String| {
        let version: String = version.chars().take(64).collect();
        format!("`{}` is no version such as 1.0.0 ({why})", version.escape_debug())
    };
    if version.len() > 64 {
        return Err(wrong("it is longer than 64 characters".into()));
    }
    Version::parse(version).map_err(|error| wrong(error.to_string()))
}

/// Text that is shown to the owner before a yes: it must look like what it is.
pub fn check_text(text: &str, most: usize) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("the text is empty: say it in a sentence for the owner".into());
    }
    if text.chars().count() > most {
        return Err(format!("the text is longer than {most} characters"));
    }
    match text.chars().find(|c| hides(*c)) {
        Some(c) => Err(format!(
            "the text holds the character {}, which does not show as it is: take it out",
            c.escape_unicode()
        )),
        None => Ok(()),
    }
}

/// Control characters, and those that hide text or turn its direction (Unicode's `Cf` in common use, after
/// Boucher and Anderson 2021, "Trojan Source").
pub fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn check_credential(credential: &Credential, http: Option<&Http>) -> Result<(), String> {
    let Credential { name, why, host, header, prefix } = credential;
    if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
        || !(1..=40).contains(&name.len())
    {
        return Err(format!("`{}` is no credential's name: use a-z, 0-9, `-`, `_`", name.escape_debug()));
    }
    check_text(why, WHY)?;
    wish::host(host)?;
    if host.starts_with('*') {
        return Err(format!("the credential `{name}` is for `{host}`: name one host, without `*`"));
    }
    let url = format!("https://{host}/");
    let reachable =
        http.is_some_and(|http| http.methods.first().is_some_and(|method| http.allows(method, &url).is_ok()));
    if !reachable {
        return Err(format!(
            "the credential `{name}` is for {host}, which is not in `wants.http`: ask for it"
        ));
    }
    let token = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    if header.is_empty() || header.len() > 64 || !header.bytes().all(token) {
        return Err(format!("`{}` is no header's name", header.escape_debug()));
    }
    const NEVER: [&str; 6] = ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te"];
    if NEVER.contains(&header.to_ascii_lowercase().as_str()) {
        return Err(format!("no credential is sent as `{header}`"));
    }
    if prefix.len() > 64 || !prefix.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err("`prefix` must be at most 64 printable ASCII characters".into());
    }
    Ok(())
}

fn check_build(build: &Build) -> Result<(), String> {
    if build.command.first().is_none_or(|program| program.is_empty()) {
        return Err("`build.command` is empty: name the program and its arguments".into());
    }
    for path in [Some(&build.component), build.tools.as_ref()].into_iter().flatten() {
        if !is_below(path) {
            return Err(format!("`{}` is not a path below the plugin's folder", path.display()));
        }
    }
    Ok(())
}

fn is_below(path: &Path) -> bool {
    !path.as_os_str().is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
