//! The tools that a plugin brings, as its package describes them, and their arguments held against the
//! schemas. Both are somebody else's text: limits come first, references never leave the schema, and
//! patterns are matched in linear time. Pure.

use super::arguments;
use super::manifest::hides;
use jsonschema::Validator;
use serde::Deserialize;
use serde_json::Value as Json;
use std::sync::Arc;

/// Most bytes of all descriptions together.
pub const LONGEST: usize = 1 << 20;
const MOST_TOOLS: usize = 32;
/// The engine's grammars have the same limits; see `engine::format`.
const LONGEST_SCHEMA: usize = 64 << 10;
const DEEPEST: usize = 32;
const LONGEST_KEY: usize = 128;
const DESCRIPTION: usize = 4000;

/// One tool whose schema is sound.
#[derive(Debug, Clone)]
pub struct Tool {
    pub name: String,
    pub description: String,
    /// JSON Schema of the arguments, an object.
    pub parameters: Json,
    validator: Arc<Validator>,
}

/// One tool, as `describe` tells of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    name: String,
    description: String,
    parameters: Json,
}

impl PartialEq for Tool {
    fn eq(&self, other: &Tool) -> bool {
        (&self.name, &self.description, &self.parameters)
            == (&other.name, &other.description, &other.parameters)
    }
}

/// What is wrong with a plugin's descriptions of its tools.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ToolsError {
    #[error("the descriptions of the tools are longer than {LONGEST} bytes")]
    TooLong,
    #[error("the descriptions of the tools are not what `describe` gives: {0}")]
    Json(String),
    #[error("{0} tools: a plugin has 1 to {MOST_TOOLS}")]
    Count(usize),
    #[error("`{0}` is no tool's name: use 1 to 40 of a-z, 0-9 and single `_`")]
    Name(String),
    #[error("two tools are called `{0}`: rename one")]
    Twice(String),
    #[error("the tool `{tool}`: {what}")]
    Tool { tool: String, what: String },
}

/// Reads the descriptions, a JSON array, and checks all of them.
pub fn read(text: &[u8]) -> Result<Vec<Tool>, ToolsError> {
    if text.len() > LONGEST {
        return Err(ToolsError::TooLong);
    }
    let tools: Vec<Told> =
        serde_json::from_slice(text).map_err(|error| ToolsError::Json(error.to_string()))?;
    if !(1..=MOST_TOOLS).contains(&tools.len()) {
        return Err(ToolsError::Count(tools.len()));
    }
    for (at, tool) in tools.iter().enumerate() {
        if !is_name(&tool.name) {
            let name: String = tool.name.chars().take(40).collect();
            return Err(ToolsError::Name(name.escape_debug().to_string()));
        }
        if tools[..at].iter().any(|earlier| earlier.name == tool.name) {
            return Err(ToolsError::Twice(tool.name.clone()));
        }
    }
    tools.into_iter().map(sound).collect()
}

fn is_name(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !name.contains("__")
        && !name.starts_with('_')
        && !name.ends_with('_')
}

fn sound(tool: Told) -> Result<Tool, ToolsError> {
    match check(&tool) {
        Ok(validator) => {
            let Told { name, description, parameters } = tool;
            Ok(Tool { name, description, parameters, validator: Arc::new(validator) })
        }
        Err(what) => Err(ToolsError::Tool { tool: tool.name, what }),
    }
}

fn check(tool: &Told) -> Result<Validator, String> {
    if tool.description.trim().is_empty() || tool.description.chars().count() > DESCRIPTION {
        return Err(format!("its description must have 1 to {DESCRIPTION} characters"));
    }
    if let Some(c) = tool.description.chars().find(|c| *c != '\n' && hides(*c)) {
        let c = c.escape_unicode();
        return Err(format!("its description holds {c}, which does not show as it is: take it out"));
    }
    let length = tool.parameters.to_string().len();
    if length > LONGEST_SCHEMA {
        return Err(format!("its schema has {length} bytes and {LONGEST_SCHEMA} are allowed"));
    }
    let Some(schema) = tool.parameters.as_object() else {
        return Err("its `parameters` are not a JSON Schema object".into());
    };
    if schema.get("type").is_some_and(|kind| kind != "object") {
        return Err("its `parameters` are not of type `object`, as arguments are".into());
    }
    check_depth(&tool.parameters, 0)?;
    arguments::validator(&tool.parameters)
}

fn check_depth(schema: &Json, depth: usize) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("its schema is nested deeper than {DEEPEST} levels"));
    }
    match schema {
        Json::Array(items) => items.iter().try_for_each(|item| check_depth(item, depth + 1)),
        Json::Object(map) => map.iter().try_for_each(|(key, value)| {
            if key.len() > LONGEST_KEY {
                return Err(format!("its schema has a property name of {} bytes", key.len()));
            }
            match value.as_str().filter(|_| matches!(key.as_str(), "$ref" | "$dynamicRef")) {
                Some(target) if !target.starts_with('#') => {
                    let target: String = target.chars().take(100).collect();
                    Err(format!("its schema refers out of itself (`{}`)", target.escape_debug()))
                }
                _ => check_depth(value, depth + 1),
            }
        }),
        _ => Ok(()),
    }
}

impl Tool {
    /// Holds a call's arguments against the schema.
    ///
    /// # Errors
    /// A sentence for the model: what is wrong, and where.
    pub fn check_arguments(&self, text: &str) -> Result<(), String> {
        arguments::hold(&self.validator, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn tools(parameters: Json) -> Vec<u8> {
        json!([{"name": "fetch", "description": "Fetches.", "parameters": parameters}]).to_string().into()
    }

    #[test]
    fn good_descriptions_are_read() {
        let schema = json!({"type": "object", "properties": {
            "url": {"type": "string", "pattern": "^https?://"},
            "next": {"$ref": "#/$defs/page"},
        }, "required": ["url"], "$defs": {"page": {"type": "integer", "minimum": 1}}});
        let found = read(&tools(schema)).unwrap();
        assert_eq!(found[0].check_arguments(r#"{"url": "https://x", "next": 2}"#), Ok(()));
        for (arguments, says) in [
            ("{}", "url"),
            ("[]", "must be a JSON object"),
            ("{", "not JSON"),
            (r#"{"url": "ftp://x"}"#, "/url"),
            (r#"{"url": "https://x", "next": 0}"#, "/next"),
        ] {
            let error = found[0].check_arguments(arguments).unwrap_err();
            assert!(error.contains(says), "{arguments}: {error}");
        }
    }

    #[test]
    fn bad_descriptions_are_refused() {
        let mut deep = json!({"type": "string"});
        for _ in 0..40 {
            deep = json!({"type": "array", "items": deep});
        }
        for (parameters, says) in [
            (json!({"properties": {"a": deep}}), "deeper"),
            (json!([]), "not a JSON Schema object"),
            (json!("x"), "not a JSON Schema object"),
            (json!({"type": "string"}), "type `object`"),
            (json!({"properties": {"a": {"type": "quantum"}}}), "the schema is wrong"),
            (json!({"properties": {"a": {"$ref": "http://x/y"}}}), "out of itself"),
            (json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}}), "out of itself"),
            (json!({"properties": {"a": {"$ref": "#/nowhere"}}}), "the schema is wrong"),
            (json!({"properties": {"a": {"pattern": "(?=x)"}}}), "the schema is wrong"),
            (json!({"properties": {"a": {"pattern": "(a{1000}){1000}"}}}), "the schema is wrong"),
            (json!({"description": "x".repeat(70_000)}), "bytes"),
            (json!({"x".repeat(200): 1}), "property name"),
        ] {
            let error = read(&tools(parameters.clone()))
                .expect_err(&parameters.to_string()[..60.min(parameters.to_string().len())]);
            assert!(error.to_string().contains(says), "{error}");
        }
        let named = |name: &str, description: &str| json!({"name": name, "description": description, "parameters": {}});
        for (list, says) in [
            (json!([]), "0 tools"),
            (json!({}), "not what"),
            (json!([named("a", "x"), named("a", "y")]), "two tools"),
            (json!([named("A", "x")]), "no tool's name"),
            (json!([named("a__b", "x")]), "no tool's name"),
            (json!([named("", "x")]), "no tool's name"),
            (json!([named("a", "")]), "description"),
            (json!([named("a", "x\u{202e}y")]), "\\u{202e}"),
            (json!([named("a", "x\u{1b}[2J")]), "\\u{1b}"),
            (json!([{"name": "a", "description": "x", "parameters": {}, "more": 1}]), "not what"),
            (Json::Array((0..40).map(|n| named(&format!("t{n}"), "x")).collect()), "40 tools"),
        ] {
            let error = read(list.to_string().as_bytes()).unwrap_err();
            assert!(error.to_string().contains(says), "{list}: {error}");
        }
        assert!(matches!(read(&[b'['; 100_000]), Err(ToolsError::Json(_))));
        assert_eq!(read(&vec![b' '; LONGEST + 1]), Err(ToolsError::TooLong));
    }

    #[test]
    fn a_pattern_cannot_hang_the_broker() {
        let tool = &read(&tools(json!({"properties": {"a": {"pattern": "^(a+)+$"}}}))).unwrap()[0];
        let arguments = json!({"a": format!("{}!", "a".repeat(50_000))}).to_string();
        let error = tool.check_arguments(&arguments).unwrap_err();
        assert!(error.chars().count() <= 400, "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
