//! Plugins from package to call through the real program: what the owner said yes to is what runs, and
//! nothing else does, whatever happens to the files in between.

use crate::hostile_guests::guest::Guest;
use crate::support::{Home, path, wait_for};
use ed25519_dalek::SigningKey;
use familiar::plugins::package;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

const TOOLS: &str = r#"[{"name": "say", "description": "Says it.", "parameters": {"type": "object",
    "properties": {"word": {"type": "string", "maxLength": 9}}, "additionalProperties": false}}]"#;

const WANTS: &str = "[wants.log]\nwhy = \"To be mended.\"\n[wants.ask-user]\nwhy = \"To be sure.\"\n";

fn manifest(version: &str, wants: &str) -> String {
    format!("[plugin]\nname = \"echo\"\nversion = \"{version}\"\ndescription = \"Says it.\"\n{wants}")
}

/// A guest that answers with a text.
fn saying(text: &str) -> Guest {
    let length = text.len();
    Guest::new(&format!("(call $result (i32.const 0) (i32.const 5000) (i32.const {length}))"))
        .more(&format!("(data (i32.const 5000) \"{text}\")"))
}

/// One that asks the owner first, and says it whatever they answer.
fn asking(text: &str) -> Guest {
    let length = text.len();
    saying(text).own("ask-user", "confirm", "(param i32 i32 i32)").body(&format!(
        "(call $confirm (i32.const 3200) (i32.const 3) (i32.const 4096))
         (call $result (i32.const 0) (i32.const 5000) (i32.const {length}))"
    ))
}

fn signed(guest: &Guest, manifest: &str, seed: u8) -> Vec<u8> {
    package::pack(&guest.build(), manifest, TOOLS, Some(&SigningKey::from_bytes(&[seed; 32]))).unwrap()
}

/// A package's file, outside of what the daemon keeps.
fn file(home: &Home, bytes: &[u8]) -> PathBuf {
    home.write("echo.wasm", bytes)
}

fn install(home: &Home, bytes: &[u8]) {
    home.ok(&["plugin", "install", path(&file(home, bytes)), "--yes"]);
}

fn say(home: &Home) -> String {
    home.ok(&["plugin", "call", "echo__say"]).trim().to_owned()
}

fn info(home: &Home) -> Value {
    home.json(&["plugin", "info", "echo", "--json"])
}

/// The package as the daemon keeps it.
fn kept(home: &Home) -> PathBuf {
    let listed = fs::read_dir(home.root().join("data/plugins/echo")).unwrap();
    let mut packages = listed.map(|found| found.unwrap().path());
    packages.find(|path| path.extension().is_some_and(|extension| extension == "wasm")).unwrap()
}

#[test]
fn a_plugin_is_used_from_the_yes_until_it_is_taken_back() {
    let home = Home::started();
    let package = file(&home, &signed(&saying("one"), &manifest("1.0.0", WANTS), 1));
    let shown = home.ok(&["plugin", "install", path(&package)]);
    assert!(shown.contains("ask you questions") && shown.contains("“To be sure.”"), "{shown}");
    assert!(shown.contains("nobody signed") && shown.contains("waits"), "{shown}");
    assert!(home.fails(4, &["plugin", "call", "echo__say"]).contains("waits for your yes"));
    home.ok(&["plugin", "grant", "echo"]);
    assert_eq!(say(&home), "one");
    assert!(
        home.fails(2, &["plugin", "call", "echo__say", "{\"word\": \"far too long\"}"]).contains("/word")
    );
    assert!(home.fails(2, &["plugin", "call", "echo__say", "{"]).contains("not JSON"));
    home.fails(5, &["plugin", "call", "echo__shout"]);
    assert!(home.fails(2, &["plugin", "grant", "echo", "http"]).contains("does not ask for `http`"));
    home.ok(&["plugin", "revoke", "echo", "ask-user"]);
    let wants = info(&home)["wants"].clone();
    let granted = |name: &str| {
        let wants = wants.as_array().unwrap().iter();
        !wants.clone().find(|want| want["interface"] == name).unwrap()["granted"].is_null()
    };
    assert!(granted("log") && !granted("ask-user"));
    home.ok(&["plugin", "revoke", "echo"]);
    home.fails(4, &["plugin", "call", "echo__say"]);
    home.ok(&["plugin", "remove", "echo"]);
    home.fails(5, &["plugin", "info", "echo"]);
    home.fails(5, &["plugin", "remove", "echo"]);
    assert!(!home.root().join("data/plugins/echo").exists());
    assert!(home.status()["workers"].as_array().unwrap().iter().any(|worker| worker["kind"] == "plugins"));
}

#[test]
fn an_update_asks_again_and_another_author_is_refused() {
    let mut home = Home::started();
    install(&home, &signed(&saying("one"), &manifest("1.0.0", WANTS), 1));
    let next = file(&home, &signed(&saying("two"), &manifest("1.1.0", WANTS), 1));
    let shown = home.ok(&["plugin", "install", path(&next)]);
    assert!(shown.contains("known") && shown.contains("no more than you granted before"), "{shown}");
    home.fails(4, &["plugin", "call", "echo__say"]);
    home.ok(&["plugin", "grant", "echo"]);
    assert_eq!(say(&home), "two");
    let more = manifest("1.2.0", &format!("{WANTS}[wants.clock]\nwhy = \"To know.\"\n"));
    let shown = home.ok(&["plugin", "install", path(&file(&home, &signed(&saying("x"), &more, 1))), "--yes"]);
    assert!(shown.contains("asks for more than you granted before: clock"), "{shown}");
    for _ in 0..2 {
        let other = file(&home, &signed(&saying("evil"), &manifest("9.0.0", WANTS), 2));
        assert!(home.fails(4, &["plugin", "install", path(&other), "--yes"]).contains("another author"));
        // Not even when the plugin is gone, and the daemon was started anew.
        let _ = home.run(&["plugin", "remove", "echo"]);
        home.kill();
        home.start();
    }
    let other = file(&home, &signed(&saying("other"), &manifest("9.0.0", WANTS), 2));
    home.ok(&["plugin", "install", path(&other), "--yes", "--new-author"]);
    assert_eq!(say(&home), "other");
    let unsigned = package::pack(&saying("raw").build(), &manifest("9.0.1", WANTS), TOOLS, None).unwrap();
    let unsigned = file(&home, &unsigned);
    assert!(home.fails(4, &["plugin", "install", path(&unsigned), "--yes"]).contains("not signed"));
    assert_eq!(say(&home), "other");
}

#[test]
fn a_package_changed_on_disk_is_not_used() {
    let mut home = Home::started();
    let good = signed(&saying("one"), &manifest("1.0.0", WANTS), 1);
    install(&home, &good);
    assert_eq!(say(&home), "one");
    let place = kept(&home);
    // The manifest, the component, the signature; and another whole package by the same author.
    let text = |part: &[u8]| good.windows(part.len()).position(|window| window == part).unwrap();
    for at in [text(b"1.0.0"), text(b"one"), good.len() - 1] {
        let mut changed = good.clone();
        changed[at] ^= 1;
        refused_until_mended(&mut home, &place, &changed, &good);
    }
    refused_until_mended(&mut home, &place, &signed(&saying("two"), &manifest("1.0.0", WANTS), 1), &good);
}

fn refused_until_mended(home: &mut Home, place: &Path, changed: &[u8], good: &[u8]) {
    fs::write(place, changed).unwrap();
    for _ in 0..2 {
        assert!(home.fails(4, &["plugin", "call", "echo__say"]).contains("not the one that you said yes to"));
        assert!(home.ok(&["plugin", "list"]).contains("was changed on disk"));
        home.fails(4, &["plugin", "grant", "echo"]);
        home.kill();
        home.start();
    }
    fs::write(place, good).unwrap();
    assert_eq!(say(home), "one");
}

#[test]
fn a_rebuilt_package_serves_while_running_calls_end_on_the_old_one() {
    let home = Home::started();
    let unsigned = |guest: &Guest, wants: &str| {
        package::pack(&guest.build(), &manifest("1.0.0", wants), TOOLS, None).unwrap()
    };
    let package = file(&home, &unsigned(&asking("old"), WANTS));
    home.ok(&["plugin", "install", path(&package), "--yes", "--dev"]);
    let call = begin(&home);
    let waiting = wait_for("the question", || {
        let waiting = home.json(&["approvals", "--json"])["approvals"].clone();
        Some(waiting[0]["id"].as_str()?.to_owned())
    });
    file(&home, &unsigned(&saying("new"), WANTS));
    assert_eq!(say(&home), "new");
    file(&home, &unsigned(&saying("newer"), WANTS));
    assert_eq!(say(&home), "newer");
    home.ok(&["approvals", "allow", &waiting]);
    let ended = call.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ended.stdout).trim(), "old");
    // Half a file serves nobody; asking for more is asking again.
    fs::write(&package, &unsigned(&saying("half"), WANTS)[..99]).unwrap();
    assert_eq!(say(&home), "newer");
    file(&home, &unsigned(&saying("more"), &format!("{WANTS}[wants.clock]\nwhy = \"To know.\"\n")));
    assert!(home.fails(4, &["plugin", "call", "echo__say"]).contains("waits for your yes"));
    home.ok(&["plugin", "grant", "echo"]);
    assert_eq!(say(&home), "more");
}

fn begin(home: &Home) -> Child {
    let mut command = home.command(&["plugin", "call", "echo__say"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Killed at each stage of an installation: the plugin is as it was or as it was to be.
#[test]
fn a_kill_in_the_middle_of_an_installation_leaves_one_plugin_or_the_other() {
    let mut home = Home::started();
    install(&home, &signed(&saying("0"), &manifest("1.0.0", WANTS), 1));
    let folder = home.root().join("data/plugins/echo");
    let names = |folder: &Path| -> Vec<String> {
        let listed = fs::read_dir(folder).into_iter().flatten();
        listed.map(|found| found.unwrap().file_name().into_string().unwrap()).collect()
    };
    for round in 1..=9 {
        let before = names(&folder);
        let record = fs::read(folder.join("installed.toml")).unwrap();
        let package = file(&home, &signed(&saying(&round.to_string()), &manifest("1.0.0", WANTS), 1));
        let mut command = home.command(&["plugin", "install", path(&package), "--yes", "--no-start"]);
        let mut client = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for("the stage", || {
            let now = names(&folder);
            let reached = match round % 3 {
                0 => now.iter().any(|name| !before.contains(name)),
                1 => now.iter().any(|name| name.ends_with(".wasm") && !before.contains(name)),
                _ => fs::read(folder.join("installed.toml")).is_ok_and(|now| now != record),
            };
            (reached || client.try_wait().unwrap().is_some()).then_some(())
        });
        home.kill();
        client.wait().unwrap();
        home.start();
        let said: u32 = say(&home).parse().unwrap();
        assert!(said <= round, "{said} in round {round}");
        assert_eq!(info(&home)["active"], true);
        assert_eq!(names(&folder).len(), 2, "{:?}", names(&folder));
    }
}

#[test]
fn what_is_no_plugin_is_refused_with_words() {
    let home = Home::started();
    let good = signed(&saying("one"), &manifest("1.0.0", WANTS), 1);
    let elsewhere = "(component (import \"test:other/world@1.0.0\" (instance (export \"reach\" (func)))))";
    let elsewhere = package::pack(
        &wat::parse_str(elsewhere).unwrap(),
        &manifest("1.0.0", ""),
        TOOLS,
        Some(&SigningKey::from_bytes(&[1; 32])),
    );
    let mut flipped = good.clone();
    flipped[99] ^= 1;
    for (what, bytes, says) in [
        ("nothing", vec![], "not a WebAssembly component"),
        ("text", b"hello".to_vec(), "not a WebAssembly component"),
        ("a module", b"\0asm\x01\0\0\0".to_vec(), "core WebAssembly module"),
        ("a bare component", saying("x").build(), "without the sections"),
        ("cut", good[..good.len() - 1].to_vec(), "is no plugin"),
        ("flipped", flipped, "is no plugin"),
        ("for another world", elsewhere.unwrap(), "test:other/world"),
    ] {
        let file = file(&home, &bytes);
        let said = home.run(&["plugin", "install", path(&file), "--yes"]);
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.contains(says), "{what}: {said}");
    }
    assert_eq!(home.json(&["plugin", "list", "--json"])["plugins"], json!([]));
    let package = file(&home, &good);
    for (body, status) in [
        (json!({"path": "echo.wasm"}), 400),
        (json!({"path": "/dev/zero"}), 500),
        (json!({"path": "/no/such/file"}), 404),
        (json!({"path": path(home.docs().as_path())}), 500),
        (json!({"path": path(&package), "grant": "some"}), 400),
        (json!({"path": path(&package), "grant": ["files"]}), 400),
        (json!({"path": path(&package), "grant": ["http"]}), 400),
        (json!({"path": path(&package), "grant": {"files": true}}), 400),
        (json!({"path": path(&package), "grant": {"http": {"hosts": ["*"], "methods": ["GET"]}}}), 400),
        (json!({"path": path(&package), "grant": 7}), 400),
        (json!({"path": path(&package), "digest": "0".repeat(64)}), 403),
        (json!({"path": path(&package), "force": true}), 400),
        (json!({}), 400),
        (json!([1]), 400),
    ] {
        let answer = home.http("POST", "/familiar/v1/plugins/install", Some(body.clone()));
        assert_eq!(answer.0, status, "{body}: {answer:?}");
    }
    for (method, route, body, status) in [
        ("GET", "plugins/..%2F..%2Fetc", None, 404),
        ("DELETE", "plugins/..%2F..%2Fdata", None, 404),
        ("POST", "plugins/echo/grant", Some(json!({})), 404),
        ("POST", "plugins/echo/revoke", Some(json!({"interface": "x"})), 400),
        ("POST", "plugins/echo/secret", Some(json!({"credential": "a", "value": "b"})), 404),
        ("POST", "plugins/call", Some(json!({"tool": "__"})), 404),
        ("POST", "plugins/call", Some(json!({"tool": "../x__y"})), 404),
        ("PUT", "plugins/echo", None, 405),
    ] {
        let answer = home.http(method, &format!("/familiar/v1/{route}"), body);
        assert_eq!(answer.0, status, "{method} {route}: {answer:?}");
    }
    assert_eq!(home.json(&["plugin", "list", "--json"])["plugins"], json!([]));
}

#[test]
fn a_credential_is_kept_for_one_host_and_never_shown() {
    let home = Home::started();
    let wants = "[wants.http]\nwhy = \"To fetch.\"\nhosts = [\"api.example.org\"]\nmethods = [\"GET\"]\n\
        [[credentials]]\nname = \"token\"\nwhy = \"To be you.\"\nhost = \"api.example.org\"\n";
    install(&home, &signed(&saying("one"), &manifest("1.0.0", wants), 1));
    assert_eq!(info(&home)["credentials"][0]["given"], false);
    let give = |credential: &str, value: &str| {
        let mut command = home.command(&["plugin", "secret", "echo", credential]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that refuses the name reads nothing.
        let _ = child.stdin.take().unwrap().write_all(value.as_bytes());
        child.wait_with_output().unwrap()
    };
    let given = give("token", "s3cret\n");
    assert!(given.status.success() && String::from_utf8_lossy(&given.stdout).contains("api.example.org"));
    assert_eq!(give("tokens", "x\n").status.code(), Some(5));
    assert!(!give("token", "two\nlines\n").status.success());
    let secrets = home.root().join("data/secrets.toml");
    assert_eq!(fs::metadata(&secrets).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&secrets).unwrap().contains("s3cret"));
    let shown = info(&home);
    assert!(shown["credentials"][0]["given"] == true && !shown.to_string().contains("s3cret"));
    home.ok(&["plugin", "remove", "echo"]);
    assert!(!fs::read_to_string(&secrets).unwrap().contains("s3cret"));
    assert!(!home.log().contains("s3cret"));
}

/// A plugin in plain WebAssembly: from a folder to a call, with its cases, and no daemon until then.
#[test]
fn a_folder_is_tested_built_and_installed() {
    let home = Home::new();
    let folder = home.docs().join("echo");
    fs::create_dir_all(folder.join("tests")).unwrap();
    let build = "[build]\ncommand = [\"true\"]\ncomponent = \"echo.wasm\"\ntools = \"tools.json\"\n";
    fs::write(folder.join("plugin.toml"), format!("{}{build}", manifest("1.0.0", WANTS))).unwrap();
    fs::write(folder.join("tools.json"), TOOLS).unwrap();
    // A core module that does not say for which world it is.
    let module =
        asking("hello").core().replace("(func (export \"familiar:plugin/describe@1.0.0#tools\")", "(func");
    fs::write(folder.join("echo.wasm"), wat::parse_str(module).unwrap()).unwrap();
    let cases = "[[case]]\nname = 'says hello'\ntool = 'say'\n[case.given]\nanswers = [true]\n\
        [case.expect]\ntext = 'hello'\nquestions = ['GET']\n\
        [[case]]\nname = 'checks its arguments'\ntool = 'say'\narguments = { word = 3 }\n\
        [case.expect]\nerror = 'invalid-arguments'\n";
    fs::write(folder.join("tests/say.toml"), cases).unwrap();
    assert!(home.ok(&["plugin", "test", path(&folder)]).contains("2 cases, 0 failed"));
    fs::write(folder.join("tests/say.toml"), cases.replace("text = 'hello'", "text = 'bye'")).unwrap();
    let failed = home.run(&["plugin", "test", path(&folder)]);
    assert_eq!(failed.status.code(), Some(1));
    let said = String::from_utf8_lossy(&failed.stdout).into_owned();
    assert!(said.contains("- bye") && said.contains("+ hello"), "{said}");
    home.fails(5, &["plugin", "install", path(&folder), "--no-start"]);
    let built = home.json(&["plugin", "build", path(&folder), "--json"]);
    assert_eq!((built["tools"][0].as_str(), built["warnings"].as_array().unwrap().len()), (Some("say"), 0));
    let key = home.root().join("author.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(home.root().join("run")).unwrap().count(), 0, "nothing is left behind");
    assert!(built["author"].is_string() && !home.socket().exists());
    let again = home.json(&["plugin", "build", path(&folder), "--json"]);
    assert_eq!((&again["digest"], &again["author"]), (&built["digest"], &built["author"]));
    let mut home = home;
    home.start();
    home.ok(&["plugin", "install", path(&folder), "--yes"]);
    assert_eq!(info(&home)["digest"], built["digest"]);
}
