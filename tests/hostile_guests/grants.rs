//! Every import, with each of the two yeses missing and with both: only both open it.

use super::cases::everything;
use super::guest::{ANSWER, GOOD, Guest};
use super::reach::fetch;
use super::stage::Stage;
use crate::support::runtime;
use familiar::policy::grants::{Grants, Interface};
use familiar::protocol::plugins::{Called, Output, ToolError};
use std::time::Duration;

/// Each function of the world's imports: its interface, name and core signature. A parameter `t` is a text.
const IMPORTS: [(Interface, &str, &str, bool); 21] = [
    (Interface::Log, "write", "it", false),
    (Interface::Clock, "now", "", true),
    (Interface::Clock, "local-offset", "l=i", false),
    (Interface::Kv, "get", "t", true),
    (Interface::Kv, "set", "tt", true),
    (Interface::Kv, "swap", "tott", true),
    (Interface::Kv, "delete", "t", true),
    (Interface::Kv, "keys", "t", true),
    (Interface::Search, "find", "ti", true),
    (Interface::Search, "files", "tot", true),
    (Interface::Search, "read", "pli", true),
    (Interface::Generate, "text", "ttifot", true),
    (Interface::Http, "send", "", true),
    (Interface::Notify, "send", "tt", true),
    (Interface::Notify, "schedule", "ttl", true),
    (Interface::Notify, "cancel", "t", true),
    (Interface::Notify, "pending", "", true),
    (Interface::AskUser, "confirm", "t", true),
    (Interface::AskUser, "choose", "tz", true),
    (Interface::Progress, "report", "llt", false),
    (Interface::Progress, "is-cancelled", "=i", false),
];

/// A guest that calls one import and answers with the first byte of what it said; those without an error
/// to answer with leave a zero there.
fn guest(interface: Interface, name: &str, parameters: &str, told: bool) -> Guest {
    if interface == Interface::Http {
        return fetch(3200, 3, "https://example.org/");
    }
    let (parameters, result) = parameters.split_once('=').unwrap_or((parameters, ""));
    let (mut signature, mut values) = (String::new(), String::new());
    let mut push = |types: &str, given: &str| {
        signature.push_str(types);
        values.push_str(given);
    };
    for kind in parameters.chars() {
        match kind {
            'i' => push(" i32", "(i32.const 1)"),
            'l' => push(" i64", "(i64.const 1)"),
            'f' => push(" f32", "(f32.const 0)"),
            't' => push(" i32 i32", "(i32.const 1536) (i32.const 2)"),
            // The path "/granted/key".
            'p' => push(" i32 i32", "(i32.const 3207) (i32.const 12)"),
            // Nothing: the tag of an option, whose text follows where it is one of `t`.
            'o' => push(" i32", "(i32.const 0)"),
            'z' => push(" i32 i32", "(i32.const 0) (i32.const 0)"),
            other => panic!("{other}"),
        }
    }
    if told {
        push(" i32", ANSWER);
    }
    let signature = match result {
        "" => format!("(param{signature})"),
        _ => format!("(param{signature}) (result i32)"),
    };
    let drop = if result.is_empty() { "" } else { "drop" };
    let clear = if name == "now" { format!("(i32.store8 {ANSWER} (i32.const 0))") } else { String::new() };
    Guest::new(&format!(
        "(call $it {values}) {drop} {clear} (call $result (i32.const 0) {ANSWER} (i32.const 1))"
    ))
    .import(&format!("familiar:plugin/{interface}@1.0.0"), name, "it", &signature)
}

/// Everything but one interface.
fn without(interface: Interface) -> Grants {
    let mut grants = everything();
    match interface {
        Interface::Log => grants.log = false,
        Interface::Clock => grants.clock = false,
        Interface::Kv => grants.kv = None,
        Interface::Search => grants.search = None,
        Interface::Generate => grants.generate = None,
        Interface::Http => grants.http = None,
        Interface::Notify => grants.notify = false,
        Interface::AskUser => grants.ask_user = false,
        Interface::Progress => grants.progress = false,
    }
    grants
}

#[test]
fn an_import_works_only_with_manifest_and_grant() {
    let stage = Stage::new();
    runtime().block_on(async {
        for (interface, name, parameters, told) in IMPORTS {
            let guest = guest(interface, name, parameters, told).build();
            let what = format!("{interface}.{name}");
            for (manifest, granted, both) in [
                (without(interface), everything(), false),
                (everything(), without(interface), false),
                (Grants::default(), everything(), false),
                (everything(), Grants::default(), false),
                (everything(), everything(), true),
            ] {
                stage.asked();
                let called = stage.call(&guest, manifest.meet(&granted), Duration::from_secs(60)).await;
                let Called { result, log, .. } = called.unwrap_or_else(|error| panic!("{what}: {error}"));
                let asked = stage.asked();
                let here = interface == Interface::Log || name == "is-cancelled";
                match (both, result) {
                    (true, Ok(Output { text, .. })) if text == "\0" => {
                        assert!(here || asked.iter().map(Interface::of).eq([interface]), "{what}: {asked:?}");
                        assert_eq!(log.len(), usize::from(interface == Interface::Log), "{what}");
                    }
                    (false, Ok(Output { text, .. })) if text == "\u{1}" => assert_eq!(asked, [], "{what}"),
                    // Where the import has no error to answer with.
                    (false, Err(ToolError::Stopped(why))) => {
                        assert_eq!(why, format!("`{interface}` is not granted to this plugin"));
                        assert!(!told || interface == Interface::Clock, "{what}: {why}");
                        assert!(asked.is_empty() && log.is_empty(), "{what}: {asked:?} {log:?}");
                    }
                    (_, result) => panic!("{what}, both: {both}: {result:?}"),
                }
            }
        }
        stage.is_well(&Guest::new(GOOD).build(), "all imports").await;
        stage.runtime.stop().await;
    });
}

#[test]
fn every_function_of_the_world_is_in_the_table() {
    let wit = include_str!("../../sdk/wit/plugin.wit");
    let mut functions = Vec::new();
    let mut interface = "";
    for line in wit.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("interface ") {
            interface = name.trim_end_matches([' ', '{']);
        } else if let Some((name, _)) = line.split_once(": func(")
            && !["tools", "describe"].contains(&interface)
        {
            functions.push((interface, name));
        }
    }
    let table: Vec<_> = IMPORTS.iter().map(|(interface, name, ..)| (interface.as_str(), *name)).collect();
    assert_eq!(functions, table);
}
