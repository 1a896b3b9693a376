//! Plugins as the owner is shown them: in lists, one by one, and before they say yes. An author's words are
//! told from ours, and nothing in them commands the terminal.

use super::super::client::{decode, segment};
use super::super::exit::Outcome;
use super::super::output::{self, Look, bytes, one_line};
use super::super::start::connect;
use crate::config::paths::Paths;
use crate::protocol::packages::{PluginEntry, PluginList, PluginOffer, PluginWant};
use std::io::{self, Write};

/// Characters of an author's sentence.
const SENTENCE: usize = 300;

pub async fn list(paths: &Paths, start: bool, json: bool, out: &mut impl Write, look: Look) -> Outcome {
    let answer = connect(paths, start).await?.get("plugins").await?;
    if json {
        return output::json(out, &answer);
    }
    let PluginList { plugins } = decode(answer)?;
    if plugins.is_empty() {
        writeln!(io::stderr(), "No plugin is installed; `familiar plugin install FILE` does it.")?;
    }
    let width = plugins.iter().map(|plugin| plugin.name.chars().count()).max().unwrap_or(0);
    for plugin in &plugins {
        let (name, version) = (one_line(&plugin.name, 40), one_line(&plugin.version, 64));
        let state = match (plugin.active, &plugin.dev) {
            (true, None) => look.green("in use  "),
            (true, Some(_)) => look.yellow("in use, dev"),
            (false, _) => look.red("not used"),
        };
        writeln!(out, "{name:width$}  {version:8}  {state}  {}", one_line(&plugin.description, 80))?;
        if let Some(reason) = &plugin.reason {
            writeln!(out, "{:width$}  {}", "", look.yellow(&one_line(reason, 400)))?;
        }
    }
    Ok(())
}

pub async fn info(
    paths: &Paths,
    start: bool,
    name: &str,
    json: bool,
    out: &mut impl Write,
    look: Look,
) -> Outcome {
    let answer = connect(paths, start).await?.get(&format!("plugins/{}", segment(name))).await?;
    if json {
        return output::json(out, &answer);
    }
    let plugin: PluginEntry = decode(answer)?;
    head(&plugin, &author(&plugin, ""), out, look)?;
    if let Some(reason) = &plugin.reason {
        writeln!(out, "not used     {}", look.yellow(&one_line(reason, 400)))?;
    }
    if let Some(dev) = &plugin.dev {
        writeln!(out, "dev          {}", one_line(dev, 4096))?;
    }
    for want in &plugin.wants {
        wanted(want, true, out, look)?;
    }
    credentials(&plugin, out)
}

/// What the owner is shown before the question.
pub fn offer(offer: &PluginOffer, out: &mut impl Write, look: Look) -> Outcome {
    let plugin = &offer.plugin;
    let trust = match offer.trust.as_str() {
        "known" => look.green("known: the author of the earlier ones"),
        "new" => look.yellow("new: nobody signed a plugin of this name before"),
        "other" => look.red("ANOTHER author than that of the earlier ones"),
        _ => String::new(),
    };
    head(plugin, &author(plugin, &trust), out, look)?;
    if let Some(current) = &offer.current {
        let (from, to) = (one_line(&current.version, 64), one_line(&plugin.version, 64));
        let same = if current.digest == plugin.digest { ", the very same package" } else { "" };
        writeln!(out, "in place of  {from} ({}{same})", &short(&current.digest))?;
        if older(&to, &from) {
            writeln!(out, "             {}", look.red("which is newer"))?;
        }
    }
    for want in &plugin.wants {
        wanted(want, false, out, look)?;
    }
    if plugin.wants.is_empty() {
        writeln!(out, "It asks for nothing: it computes, and that is all.")?;
    }
    credentials(plugin, out)?;
    match &offer.more {
        Some(more) if more.is_empty() => writeln!(out, "It asks for no more than you granted before.")?,
        Some(more) => {
            let more = look.yellow(&one_line(&more.join(", "), 200));
            writeln!(out, "It asks for more than you granted before: {more}")?;
        }
        None => {}
    }
    Ok(())
}

/// What is granted now.
pub fn grants(plugin: &PluginEntry, out: &mut impl Write, look: Look) -> Outcome {
    let name = one_line(&plugin.name, 40);
    match &plugin.reason {
        Some(reason) => writeln!(out, "{name} is not used: {}", one_line(reason, 400))?,
        None => writeln!(out, "{name} is in use.")?,
    }
    for want in &plugin.wants {
        let (mark, what) = match &want.granted {
            Some(granted) => (look.green("yes"), granted),
            None => (look.red("no "), &want.meaning),
        };
        writeln!(out, "{mark}  {:9} it may {}", one_line(&want.interface, 20), one_line(what, SENTENCE))?;
    }
    Ok(())
}

fn head(plugin: &PluginEntry, author: &str, out: &mut impl Write, look: Look) -> Outcome {
    let name = look.bold(&one_line(&plugin.name, 40));
    let (version, size) = (one_line(&plugin.version, 64), bytes(plugin.size_bytes));
    writeln!(out, "{name} {version}  {}", one_line(&plugin.description, SENTENCE))?;
    writeln!(out, "digest       {} ({size})", one_line(&plugin.digest, 64))?;
    writeln!(out, "author       {author}")?;
    for tool in &plugin.tools {
        writeln!(out, "tool         {}  {}", one_line(&tool.name, 82), one_line(&tool.description, 100))?;
    }
    Ok(())
}

fn author(plugin: &PluginEntry, trust: &str) -> String {
    match &plugin.author {
        Some(author) if trust.is_empty() => one_line(&author.fingerprint, 40),
        Some(author) => format!("{} ({trust})", one_line(&author.fingerprint, 40)),
        None => "nobody signed it".into(),
    }
}

/// Ours first, then the author's reason in quotes.
fn wanted(want: &PluginWant, granted: bool, out: &mut impl Write, look: Look) -> Outcome {
    let interface = one_line(&want.interface, 20);
    let mark = match (&want.granted, granted) {
        (_, false) => "asks",
        (Some(_), true) => "may ",
        (None, true) => "no  ",
    };
    let meaning = want.granted.as_ref().unwrap_or(&want.meaning);
    writeln!(out, "{mark}  {interface:10} {}", one_line(meaning, SENTENCE))?;
    writeln!(out, "                 {}", look.dim(&format!("“{}”", one_line(&want.why, SENTENCE))))?;
    Ok(())
}

fn credentials(plugin: &PluginEntry, out: &mut impl Write) -> Outcome {
    for credential in &plugin.credentials {
        let (name, host) = (one_line(&credential.name, 40), one_line(&credential.host, 260));
        let given = if credential.given { "given" } else { "not given" };
        writeln!(out, "credential   {name}, sent to {host} alone ({given})")?;
        writeln!(out, "                 “{}”", one_line(&credential.why, SENTENCE))?;
    }
    Ok(())
}

fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

fn older(new: &str, old: &str) -> bool {
    match (semver::Version::parse(new), semver::Version::parse(old)) {
        (Ok(new), Ok(old)) => new < old,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::output::PLAIN;
    use super::*;
    use crate::protocol::packages::{PluginAuthor, PluginCredential, PluginTool};
    use expect_test::expect;
    use serde_json::json;

    fn plugin() -> PluginEntry {
        PluginEntry {
            name: "web-fetch".into(),
            version: "1.1.0".into(),
            description: "Fetches pages.\x1b[2J".into(),
            digest: "ab".repeat(32),
            author: Some(PluginAuthor { fingerprint: "aaaa-bbbb".into(), key: "00".into() }),
            active: false,
            reason: Some("it waits for your yes".into()),
            dev: None,
            size_bytes: 80_000,
            tools: vec![PluginTool {
                name: "web-fetch__fetch".into(),
                description: "Fetches a page.".into(),
                parameters: json!({}),
            }],
            wants: vec![PluginWant {
                interface: "http".into(),
                why: "To fetch the pages you ask for.".into(),
                meaning: "send GET requests to every public host".into(),
                asks: json!({"hosts": ["*"], "methods": ["GET"]}),
                granted: None,
            }],
            credentials: vec![PluginCredential {
                name: "token".into(),
                why: "To read your pages.".into(),
                host: "api.example.org".into(),
                given: false,
            }],
            granted: json!({}),
        }
    }

    #[test]
    fn the_owner_sees_what_is_asked_and_by_whom() {
        let current = PluginEntry { version: "1.2.0".into(), digest: "cd".repeat(32), ..plugin() };
        let shown = PluginOffer {
            plugin: plugin(),
            trust: "known".into(),
            current: Some(current),
            more: Some(vec!["http".into()]),
        };
        let mut out = Vec::new();
        offer(&shown, &mut out, PLAIN).unwrap();
        grants(&plugin(), &mut out, PLAIN).unwrap();
        expect![[r#"
            web-fetch 1.1.0  Fetches pages.�[2J
            digest       abababababababababababababababababababababababababababababababab (80 KB)
            author       aaaa-bbbb (known: the author of the earlier ones)
            tool         web-fetch__fetch  Fetches a page.
            in place of  1.2.0 (cdcdcdcdcdcd)
                         which is newer
            asks  http       send GET requests to every public host
                             “To fetch the pages you ask for.”
            credential   token, sent to api.example.org alone (not given)
                             “To read your pages.”
            It asks for more than you granted before: http
            web-fetch is not used: it waits for your yes
            no   http      it may send GET requests to every public host
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
    }
}
