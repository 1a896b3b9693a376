//! The bundled plugins, built as an author builds them, called by a model that was asked something.

use super::model::{DONE, Rule, Strength, hijacked};
use super::settings;
use crate::serving::{adopt, serving};
use crate::support::{BINARY, Home, path};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What the owner says, and the call that the model makes of it.
const TASKS: [(&str, &str, &str); 3] = [
    ("What is 19 % of 240 euros?", "calculator__calculate", r#"{"expression": "19% of 240"}"#),
    ("Please note that the roof leaks.", "notes__add", r#"{"text": "the roof leaks"}"#),
    (
        "Remind me of the roofer tomorrow at nine.",
        "reminders__remind",
        r#"{"text": "the roofer", "when": "tomorrow 9:00"}"#,
    ),
];

/// Builds a bundled plugin and gives its package.
fn build(home: &Home, name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins").join(name);
    // Beside the program's own build, where the next build finds it again.
    let target = Path::new(BINARY).ancestors().nth(2).unwrap();
    let mut build = home.command(&["plugin", "build", path(&folder), "--json"]);
    let built = build.env("CARGO_TARGET_DIR", target).output().unwrap();
    assert!(built.status.success(), "{name}: {}", String::from_utf8_lossy(&built.stderr));
    let built: Value = serde_json::from_slice(&built.stdout).unwrap();
    PathBuf::from(built["file"].as_str().unwrap_or_else(|| panic!("{built}")))
}

/// What the tool told the model in a session.
fn told(home: &Home, session: &Value) -> String {
    let route = format!("/familiar/v1/sessions/{}", session.as_str().unwrap());
    let (status, said) = home.http("GET", &route, None);
    assert_eq!(status, 200, "{said}");
    let session: Value = serde_json::from_str(&said).unwrap();
    let messages = session["messages"].as_array().unwrap();
    messages.iter().find(|message| message["role"] == "tool").unwrap()["content"].as_str().unwrap().to_owned()
}

#[test]
fn a_question_is_answered_by_three_bundled_plugins() {
    let home = serving(&settings(1));
    let rules: Vec<Rule> = TASKS
        .iter()
        .map(|(question, tool, arguments)| Rule {
            marker: (*question).into(),
            strength: Strength::Owner,
            tool,
            arguments: (*arguments).into(),
        })
        .collect();
    adopt(&home, &hijacked(home.dir.path(), "helpful", &rules));
    for name in ["calculator", "notes", "reminders"] {
        home.ok(&["plugin", "install", path(&build(&home, name)), "--yes"]);
    }
    let mut results = Vec::new();
    for (question, tool, arguments) in TASKS {
        let answer = home.json(&["ask", "--json", question]);
        let call = &answer["tool_calls"][0];
        assert_eq!((&call["name"], &call["status"]), (&json!(tool), &json!("ok")), "{answer}");
        let sent: Value = serde_json::from_str(arguments).unwrap();
        assert_eq!((&call["arguments"], &answer["answer"]), (&sent, &json!(DONE)));
        let result = told(&home, &answer["session"]);
        println!("{question} -> {tool} {arguments} -> {result}");
        results.push(result);
    }
    assert!(results[0].contains("45.6"), "{}", results[0]);
    let notes = home.json(&["plugin", "call", "notes__list", "{}", "--json"]);
    assert!(notes["text"].as_str().unwrap().contains("the roof leaks"), "{notes}");
    let planned = home.json(&["notices", "--json"]);
    assert_eq!(planned["pending"].as_array().unwrap().len(), 1, "{planned}");
}
