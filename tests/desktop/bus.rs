//! `org.familiar.Agent1`: every method, signal and property, as programs on the bus meet them.

use super::desk::{AGENT, Bus, Desk, KEY, NAME, PATH, SHORT, WHERE, file, none, refused};
use crate::serving::parrot::endless;
use crate::serving::{adopt, works};
use crate::support::{LIMIT, path, runtime};
use futures::StreamExt;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::Command;
use zbus::zvariant::{OwnedFd, OwnedValue, Value};

/// The lines of one interface of an introspection.
fn interface(xml: &str, name: &str) -> String {
    let begin = xml.find(&format!("<interface name=\"{name}\">")).expect("the interface is there");
    let end = begin + xml[begin..].find("</interface>").unwrap() + "</interface>".len();
    xml[begin..end].lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_introspection_is_the_file() {
    let desk = Desk::new("");
    runtime().block_on(async {
        let client = desk.client().await;
        let proxy = client.proxy(PATH, "org.freedesktop.DBus.Introspectable").await;
        let xml: String = proxy.call("Introspect", &()).await.unwrap();
        let kept = file("config/dbus/org.familiar.Agent1.xml");
        let found = interface(&xml, AGENT);
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            let begin = xml.find(&format!("<interface name=\"{AGENT}\">")).unwrap();
            let begin = xml[..begin].rfind('\n').unwrap() + 1;
            let end = begin + xml[begin..].find("</interface>").unwrap() + "</interface>".len();
            let head = "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n";
            std::fs::write(&kept, format!("{head}<node>\n{}\n</node>\n", &xml[begin..end])).unwrap();
        }
        assert_eq!(found, interface(&std::fs::read_to_string(&kept).unwrap(), AGENT), "{}", kept.display());
    });
}

#[test]
fn an_answer_goes_to_its_caller_alone_in_few_signals() {
    let desk = Desk::with_note("[model]\nthreads = 1\n");
    runtime().block_on(async {
        let (mut asker, mut other) = (desk.client().await, desk.client().await);
        // Whoever may listen to all that the agent says to everybody.
        let rule = zbus::MatchRule::builder().msg_type(zbus::message::Type::Signal);
        let rule = rule.interface(AGENT).unwrap().build();
        zbus::fdo::DBusProxy::new(&other.connection).await.unwrap().add_match_rule(rule).await.unwrap();
        let begun = std::time::Instant::now();
        let id = asker.ask(WHERE).await;
        let signals = asker.signals(&id).await;
        let (done, chunks) = signals.split_last().unwrap();
        assert!(signals.iter().all(|signal| signal.id == id) && !chunks.is_empty(), "{signals:?}");
        assert_eq!(done.member, "Done", "{signals:?}");
        let most = begun.elapsed().as_millis() / 50 + 2;
        assert!(chunks.len() as u128 <= most, "{} chunks, {most} are the most", chunks.len());
        let answer: Json = serde_json::from_str(&done.rest[0]).unwrap();
        assert!(KEY.contains(answer["citations"][0]["quote"].as_str().unwrap()), "{answer}");
        let said: String = chunks.iter().map(|chunk| chunk.rest[0].as_str()).collect();
        assert_eq!(said.trim(), answer["answer"].as_str().unwrap().trim());
        // The conversation goes on, without tools.
        let session = answer["session"].as_str().unwrap();
        let options = HashMap::from([("session", Value::from(session)), ("no_tools", true.into())]);
        let id: String = asker.call("Ask", &(WHERE, options)).await.unwrap();
        let done = asker.signals(&id).await.pop().unwrap();
        let again: Json = serde_json::from_str(&done.rest[0]).unwrap();
        assert_eq!(again["session"], session);
        // The other hears of its own request, and of nothing before it.
        let own: String = other.call("LearnNow", &()).await.unwrap();
        assert_eq!(other.signal().await.id, own);
    });
}

#[test]
fn a_pipe_carries_every_event_as_a_line() {
    let desk = Desk::with_note(SHORT);
    runtime().block_on(async {
        let client = desk.client().await;
        let (_, pipe): (String, OwnedFd) = client.call("AskFd", &(WHERE, none())).await.unwrap();
        let lines = tokio::task::spawn_blocking(move || {
            let pipe = std::fs::File::from(std::os::fd::OwnedFd::from(pipe));
            BufReader::new(pipe).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
        });
        let lines: Vec<Json> = lines.await.unwrap();
        assert_eq!(lines[0]["type"], "started");
        assert!(lines.iter().any(|line| line["type"] == "text"), "{lines:?}");
        let last = lines.last().unwrap();
        assert!(
            last["type"] == "done" && KEY.contains(last["citations"][0]["quote"].as_str().unwrap()),
            "{last}"
        );
    });
}

#[test]
fn every_method_is_forwarded() {
    let desk = Desk::with_note(SHORT);
    runtime().block_on(async {
        let mut client = desk.client().await;
        let options = HashMap::from([("k", Value::from(3u32)), ("mode", "lexical".into())]);
        let found: String = client.call("Search", &("spare key", options)).await.unwrap();
        let found: Json = serde_json::from_str(&found).unwrap();
        let note = desk.home.docs().join("notes.md");
        assert_eq!(found["hits"][0]["path"], path(&note), "{found}");
        client.call::<()>("Remember", &("The code is 4417.",)).await.unwrap();
        let (name, _) = refused(client.call::<()>("Remember", &("  ",)).await);
        assert_eq!(name, "org.familiar.Error.Usage");
        let waiting: String = client.call("ListApprovals", &()).await.unwrap();
        assert_eq!(waiting, r#"{"approvals":[]}"#);
        for decision in ["allow", "always", "deny", "0"] {
            let (name, _) = refused(client.call::<()>("Decide", &("nothing", decision)).await);
            assert_eq!(name, "org.familiar.Error.NotFound", "{decision}");
        }
        let (name, said) = refused(client.call::<()>("Decide", &("nothing", "perhaps")).await);
        assert!(name == "org.familiar.Error.Usage" && said.contains("`decision`"), "{name}: {said}");
        let id: String = client.call("LearnNow", &()).await.unwrap();
        let failed = client.signals(&id).await.pop().unwrap();
        assert_eq!((failed.member.as_str(), failed.rest[0].as_str()), ("Failed", "org.familiar.Error.Usage"));
        assert!(failed.rest[1].contains("familiar learn sources"), "{failed:?}");
        let (name, _) = refused(client.call::<()>("Cancel", &(id,)).await);
        assert_eq!(name, "org.familiar.Error.NotFound");
        let options = HashMap::from([("path", Value::from(path(&note)))]);
        let proof: String = client.call("Forget", &(options,)).await.unwrap();
        assert_eq!(serde_json::from_str::<Json>(&proof).unwrap()["index"], true, "{proof}");
        assert!(desk.home.search("spare key").is_empty());
        let (name, _) = refused(client.call::<String>("Forget", &(none(),)).await);
        assert_eq!(name, "org.familiar.Error.Usage");
    });
}

#[test]
fn what_is_malformed_is_refused_by_its_name() {
    let desk = Desk::new("");
    runtime().block_on(async {
        let client = desk.client().await;
        let option = |name: &'static str, value: Value<'static>| HashMap::from([(name, value)]);
        for (method, options, wanted) in [
            (
                "Ask",
                option("temperature", 0.5.into()),
                "`temperature` is not an option: there are session, no_tools",
            ),
            ("Ask", option("no_tools", "yes".into()), "`no_tools` must be of the type b, not s"),
            ("AskFd", option("session", 7u32.into()), "`session` must be of the type s, not u"),
            ("Search", option("k", (-1i32).into()), "`k` must be of the type u, not i"),
            ("Search", option("mod", "lexical".into()), "`mod` is not an option: there are k, mode"),
        ] {
            let (name, said) = refused(client.call::<OwnedValue>(method, &("words", options)).await);
            assert_eq!(
                (name.as_str(), said.as_str()),
                ("org.familiar.Error.InvalidOption", wanted),
                "{method}"
            );
        }
        let (name, said) = refused(client.call::<String>("Forget", &(option("paths", "/".into()),)).await);
        assert!(name.ends_with("InvalidOption") && said.contains("`paths`"), "{name}: {said}");
        for (method, name_of) in [("Ask", "question"), ("Search", "query")] {
            let (name, said) = refused(client.call::<String>(method, &("x".repeat(70_000), none())).await);
            assert_eq!(name, "org.familiar.Error.TooLong");
            assert!(said.contains(&format!("`{name_of}`")), "{said}");
        }
        let semantic = option("mode", "semantic".into());
        for (name, wanted) in [
            (refused(client.call::<String>("Search", &(" ", none())).await).0, "Usage"),
            (refused(client.call::<String>("Search", &("x", semantic)).await).0, "Usage"),
            (refused(client.call::<String>("Ask", &(" ", none())).await).0, "Usage"),
            (
                refused(client.call::<String>("Ask", &("x", option("session", "none".into()))).await).0,
                "NotFound",
            ),
        ] {
            assert_eq!(name, format!("org.familiar.Error.{wanted}"));
        }
        // Arguments of other types, too few or too many.
        let wrong = "org.freedesktop.DBus.Error.InvalidArgs";
        assert_eq!(refused(client.call::<String>("Ask", &("no options",)).await).0, wrong);
        assert_eq!(refused(client.call::<String>("Ask", &(7u32, none())).await).0, wrong);
        assert_eq!(refused(client.call::<String>("ListApprovals", &("x",)).await).0, wrong);
        assert_eq!(refused(client.call::<String>("Search", &("x", "k=3")).await).0, wrong);
        let unknown = "org.freedesktop.DBus.Error.UnknownMethod";
        assert_eq!(refused(client.call::<String>("Sing", &()).await).0, unknown);
        let agent = client.agent().await;
        assert!(agent.set_property("Model", "other").await.is_err());
        // None of it left anything behind.
        client.call::<String>("Search", &("words", none())).await.unwrap();
    });
}

#[test]
fn properties_change_with_signals() {
    let desk = Desk::new("[model]\nthreads = 1\ncontext = 65536\n[ask]\nmax_tokens = 65536\n");
    runtime().block_on(async {
        let client = desk.client().await;
        assert_eq!(client.property::<String>("Model").await, "ember");
        assert_eq!(client.property::<String>("AdapterGeneration").await, "");
        assert_eq!(client.property::<String>("Learning").await, "off");
        assert_eq!(client.property::<String>("Status").await, "idle");
        assert_eq!(client.property::<u32>("Approvals").await, 0);
        assert!(!client.property::<bool>("Indexing").await);
        let properties = client.proxy(PATH, "org.freedesktop.DBus.Properties").await;
        let mut changes = properties.receive_signal("PropertiesChanged").await.unwrap();
        let mut next = async |wanted: &str| loop {
            let change = tokio::time::timeout(LIMIT, changes.next()).await;
            let change = change.unwrap_or_else(|_| panic!("{wanted} did not change")).unwrap();
            let body = change.body();
            let (interface, changed, _): (String, HashMap<String, OwnedValue>, Vec<String>) =
                body.deserialize().unwrap();
            assert_eq!(interface, AGENT);
            if let Some(value) = changed.get(wanted) {
                return value.try_clone().unwrap();
            }
        };
        let folder = desk.home.docs();
        for n in 0..200 {
            desk.home.write(&format!("{n}.md"), format!("# Note {n}\n\nNumber {n} is here.\n"));
        }
        desk.home.ok(&["index", "add", path(&folder), "--wait"]);
        assert_eq!(bool::try_from(next("Indexing").await), Ok(true));
        assert_eq!(bool::try_from(next("Indexing").await), Ok(false));
        desk.home.ok(&["learn", "sources", "corrections"]);
        assert_eq!(String::try_from(next("Learning").await), Ok("idle".into()));
        adopt(&desk.home, &endless(desk.home.dir.path(), "endless", "Yes.", 1_000_000));
        assert_eq!(String::try_from(next("Model").await), Ok("endless".into()));
        assert_eq!(client.property::<String>("Model").await, "endless");
        let id = client.ask("Is it so?").await;
        assert_eq!(String::try_from(next("Status").await), Ok("answering".into()));
        client.call::<()>("Cancel", &(id,)).await.unwrap();
        assert_eq!(String::try_from(next("Status").await), Ok("idle".into()));
    });
}

#[test]
fn another_users_calls_are_refused() {
    if !rustix::process::geteuid().is_root() || !works(&["busctl", "--version"]) {
        eprintln!("SKIPPED: only root can be another user, and busctl is needed");
        return;
    }
    let mut desk = Desk::with_note("");
    // The same daemon anew, on a bus that lets everybody in.
    desk.home.kill();
    desk.bus.stop();
    let folder = tempfile::TempDir::with_prefix("familiar-bus-").unwrap();
    let anyone = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), anyone).unwrap();
    desk.bus = Bus::open(folder.path());
    desk.home.environment = vec![("DBUS_SESSION_BUS_ADDRESS", desk.bus.address.clone())];
    desk.start();
    let call = |user: u32| {
        let user = [format!("--reuid={user}"), format!("--regid={user}")];
        let mut command = Command::new("setpriv");
        command.args(user).args(["--clear-groups", "busctl", &format!("--address={}", desk.bus.address)]);
        let output =
            command.args(["call", NAME, PATH, AGENT, "Search", "sa{sv}", "key", "0"]).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(call(0).0, "the owner is refused: {}", call(0).1);
    let (done, said) = call(65_534);
    assert!(!done && said.contains("another user"), "{said}");
}
