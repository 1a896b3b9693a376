//! `plugin install|remove|grant|revoke`: the owner is shown what a package asks for, and says yes or no. The
//! daemon keeps the answer; it is bound to the very package that was shown.

use super::super::client::{Client, decode, segment};
use super::super::exit::{Exit, Failure, Outcome};
use super::super::index::existing;
use super::super::output::{Look, harmless, one_line};
use super::super::start::connect;
use super::args::{Grant, Install};
use super::{build, callable, show};
use crate::config::paths::Paths;
use crate::protocol::packages::{PluginEntry, PluginOffer};
use serde_json::{Value, json};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

pub async fn install(
    paths: &Paths,
    start: bool,
    args: &Install,
    out: &mut impl Write,
    look: Look,
) -> Outcome {
    let path = package(&args.package)?;
    let mut client = connect(paths, start).await?;
    let request = json!({"path": path, "dev": args.dev, "new_author": args.new_author});
    let offer: PluginOffer = decode(client.post("plugins/inspect", &request).await?)?;
    show::offer(&offer, out, look)?;
    callable::check(offer.plugin.tools.iter().map(|tool| (tool.name.as_str(), &tool.parameters)))?;
    if offer.trust == "other" && !args.new_author {
        let message = "it is not installed: another author signed it than before; if you know that the \
                       author has a new key, use --new-author";
        return Err(Failure::new(Exit::Denied, message));
    }
    let grant = match ask(args.yes, &offer.plugin.name, out)? {
        Some(true) => "all",
        Some(false) => return Err(Failure::new(Exit::Denied, "nothing was installed")),
        None => "none",
    };
    let mut request = request;
    request["grant"] = grant.into();
    request["digest"] = offer.plugin.digest.into();
    let installed: PluginEntry = decode(client.post("plugins/install", &request).await?)?;
    let name = harmless(&installed.name);
    match installed.active {
        true => writeln!(out, "{name} is installed, with all of this granted.")?,
        false => {
            writeln!(out, "{name} is installed and waits: `familiar plugin grant {name}` says yes to it.")?
        }
    }
    credentials(&installed, out)
}

/// `None`: there is nobody to ask.
fn ask(yes: bool, name: &str, out: &mut impl Write) -> Outcome<Option<bool>> {
    if yes {
        return Ok(Some(true));
    }
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    write!(out, "Install {} and grant this? [y/N] ", harmless(name))?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")))
}

/// Credentials that the owner has not given yet.
fn credentials(plugin: &PluginEntry, out: &mut impl Write) -> Outcome {
    for credential in plugin.credentials.iter().filter(|credential| !credential.given) {
        let (name, credential) = (harmless(&plugin.name), one_line(&credential.name, 40));
        writeln!(out, "`familiar plugin secret {name} {credential}` gives it that credential.")?;
    }
    out.flush()?;
    Ok(())
}

/// The package itself, or the one that was built in a plugin's folder.
fn package(path: &Path) -> Outcome<String> {
    if !path.is_dir() {
        return existing(path);
    }
    let (_, manifest) = build::manifest(path)?;
    let file = path.join(build::file_name(&manifest));
    if !file.exists() {
        let message = format!("{} is not there yet: `familiar plugin build` makes it", file.display());
        return Err(Failure::new(Exit::NotFound, message));
    }
    existing(&file)
}

pub async fn remove(paths: &Paths, start: bool, name: &str, out: &mut impl Write) -> Outcome {
    connect(paths, start).await?.delete(&format!("plugins/{}", segment(name))).await?;
    writeln!(out, "{} is removed, with all that it kept.", harmless(name))?;
    Ok(())
}

pub async fn grant(paths: &Paths, start: bool, args: &Grant, out: &mut impl Write, look: Look) -> Outcome {
    let mut client = connect(paths, start).await?;
    let resource = format!("plugins/{}", segment(&args.name));
    let grant = match &args.interface {
        None => json!("all"),
        Some(interface) => narrowed(&mut client, &resource, interface, args).await?,
    };
    let answer = client.post(&format!("{resource}/grant"), &json!({"grant": grant})).await?;
    show::grants(&decode(answer)?, out, look)
}

/// One interface, with what the options say in place of what the plugin asks for.
async fn narrowed(client: &mut Client, resource: &str, interface: &str, args: &Grant) -> Outcome<Value> {
    let plugin: PluginEntry = decode(client.get(resource).await?)?;
    let want = plugin.wants.iter().find(|want| want.interface == interface);
    let Some(want) = want else {
        let asked: Vec<&str> = plugin.wants.iter().map(|want| want.interface.as_str()).collect();
        let asked = if asked.is_empty() { "nothing".into() } else { asked.join(", ") };
        let message = format!("{} does not ask for `{}`, but for {asked}", args.name, harmless(interface));
        return Err(Failure::new(Exit::Usage, message));
    };
    let paths = args.paths.iter().map(|path| existing(path)).collect::<Outcome<Vec<String>>>()?;
    let given = [
        ("search", "paths", (!paths.is_empty()).then(|| json!(paths))),
        ("http", "hosts", (!args.hosts.is_empty()).then(|| json!(args.hosts))),
        ("http", "methods", (!args.methods.is_empty()).then(|| json!(args.methods))),
        ("kv", "quota", args.quota.map(Value::from)),
        ("generate", "tokens", args.tokens.map(Value::from)),
    ];
    let mut asks = want.asks.clone();
    for (of, key, value) in given {
        match value {
            Some(_) if of != interface => {
                let message = format!("--{key} is for `{of}`, not for `{}`", harmless(interface));
                return Err(Failure::new(Exit::Usage, message));
            }
            Some(value) => asks[key] = value,
            None => {}
        }
    }
    Ok(json!({ interface: asks }))
}

pub async fn revoke(
    paths: &Paths,
    start: bool,
    name: &str,
    interface: Option<&str>,
    out: &mut impl Write,
    look: Look,
) -> Outcome {
    let resource = format!("plugins/{}/revoke", segment(name));
    let answer = connect(paths, start).await?.post(&resource, &json!({"interface": interface})).await?;
    show::grants(&decode(answer)?, out, look)
}
