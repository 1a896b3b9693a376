//! The tools of Familiar's own, which search and read the owner's indexed files and do nothing else.

use crate::agent::ToolOutcome;
use crate::index::Index;
use crate::policy::{self, Caller, Decision, Effect, Known};
use crate::types::{Label, Passage, ToolCall, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// Most bytes of a file that one call returns.
const READ_LIMIT: u64 = 4000;

/// Searches the owner's indexed files.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SearchFiles {
    /// A few words that the wanted text would contain.
    query: String,
    /// How many passages to return.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 10))]
    count: u8,
}

fn five() -> u8 {
    5
}

/// Reads a part of one indexed file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReadFile {
    /// The file's absolute path.
    path: String,
    /// Where to begin, in bytes.
    #[serde(default)]
    start: u64,
}

/// A built-in tool's call with its arguments understood.
enum Parsed {
    Search(SearchFiles),
    Read(ReadFile),
    /// No tool of that name.
    Unknown(String),
}

/// Names of the tools here.
pub const NAMES: [&str; 2] = ["search_files", "read_file"];

/// The tools that a model is offered whatever is installed.
pub fn specs() -> Vec<ToolSpec> {
    vec![
        spec::<SearchFiles>(NAMES[0], "Searches the owner's files and returns passages."),
        spec::<ReadFile>(NAMES[1], "Reads up to 4000 bytes of one of the owner's files."),
    ]
}

/// Checks a call against policy and carries it out. A name that is not known is denied here.
pub async fn execute(index: &Index, call: &ToolCall, label: &Label) -> ToolOutcome {
    let parsed = match parse(call) {
        Ok(parsed) => parsed,
        Err(reason) => return ToolOutcome::failed(reason),
    };
    let roots = index.roots();
    let known = Known { roots: &roots, rules: &[] };
    match policy::check(Caller::BuiltIn, &parsed.effect(), label, known) {
        Decision::Allow => {}
        Decision::Ask(reason) | Decision::Deny(reason) => return ToolOutcome::denied(reason),
    }
    let done = match parsed {
        Parsed::Search(arguments) => search(index, &arguments).await,
        Parsed::Read(arguments) => read(index, &arguments).await,
        Parsed::Unknown(name) => Err(format!("there is no tool named {name}")),
    };
    done.map_or_else(ToolOutcome::failed, ToolOutcome::passages)
}

async fn search(index: &Index, arguments: &SearchFiles) -> Result<Vec<Passage>, String> {
    let count = usize::from(arguments.count.clamp(1, 10));
    let hits = index.search(&arguments.query, count).await.map_err(|e| e.to_string())?;
    Ok(hits.into_iter().map(|hit| hit.passage).collect())
}

async fn read(index: &Index, arguments: &ReadFile) -> Result<Vec<Passage>, String> {
    let end = arguments.start.saturating_add(READ_LIMIT);
    let path = Path::new(&arguments.path);
    let text = index.text(path, arguments.start, end).await.map_err(|e| e.to_string())?;
    Ok(vec![Passage {
        path: text.path,
        title: text.title,
        breadcrumb: format!("bytes {}-{} of {}", text.start, text.end, text.total),
        text: text.text,
        start: text.start,
        end: text.end,
        line: text.line,
        page: None,
        hash: text.hash,
        score: 1.0,
    }])
}

impl Parsed {
    fn effect(&self) -> Effect {
        match self {
            Parsed::Search(_) => Effect::Search,
            Parsed::Read(arguments) => Effect::Read(PathBuf::from(&arguments.path)),
            Parsed::Unknown(name) => Effect::Unknown(name.clone()),
        }
    }
}

fn parse(call: &ToolCall) -> Result<Parsed, String> {
    match call.name.as_str() {
        "search_files" => arguments(call).map(Parsed::Search),
        "read_file" => arguments(call).map(Parsed::Read),
        other => Ok(Parsed::Unknown(other.into())),
    }
}

fn arguments<T: DeserializeOwned>(call: &ToolCall) -> Result<T, String> {
    serde_json::from_str(&call.arguments).map_err(|e| format!("wrong arguments for {}: {e}", call.name))
}

fn spec<T: JsonSchema>(name: &str, description: &str) -> ToolSpec {
    let parameters = schemars::schema_for!(T).to_value().to_string();
    ToolSpec { name: name.into(), description: description.into(), parameters }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, arguments: &str) -> ToolCall {
        ToolCall { id: "1".into(), name: name.into(), arguments: arguments.into() }
    }

    #[test]
    fn wrong_calls_are_told_what_is_wrong() {
        for (name, arguments, says) in [
            ("search_files", "{}", "missing field `query`"),
            ("search_files", "{\"query\":1}", "wrong arguments"),
            ("read_file", "not json", "wrong arguments"),
            ("read_file", "{\"path\":\"/a\",\"mode\":\"w\"}", "unknown field `mode`"),
        ] {
            let error = parse(&call(name, arguments)).err().unwrap_or_default();
            assert!(error.contains(says), "{name} {arguments}: {error}");
        }
    }

    #[test]
    fn what_is_not_known_has_the_effect_that_is_always_denied() {
        let effect = parse(&call("rm", "{}")).unwrap_or(Parsed::Unknown(String::new())).effect();
        assert_eq!(effect, Effect::Unknown("rm".into()));
    }

    #[test]
    fn the_schemas_name_what_is_required() {
        let specs = specs();
        let schema: serde_json::Value = serde_json::from_str(&specs[0].parameters).unwrap();
        assert_eq!(schema["required"], serde_json::json!(["query"]));
        assert_eq!(schema["properties"]["count"]["maximum"], 10);
    }
}
