//! The tools that a plugin brings, as its package describes them, and their arguments held against the
//! schemas. Both are somebody else's text: limits come first, references never leave the schema, and
//! patterns are matched in linear time. Pure.

use super::manifest::hides;
use super::{arguments, looks};
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
/// Patterns of all tools together, and their bytes: each is compiled when the package is read, before the owner
/// said anything.
const MOST_PATTERNS: usize = 64;
const LONGEST_PATTERNS: usize = 8 << 10;
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
    check_patterns(&tools)?;
    tools.into_iter().map(sound).collect()
}

fn check_patterns(tools: &[Told]) -> Result<(), ToolsError> {
    let mut all = Vec::new();
    for tool in tools {
        patterns(&tool.parameters, &mut all);
        let bytes: usize = all.iter().map(|pattern| pattern.len()).sum();
        if all.len() > MOST_PATTERNS || bytes > LONGEST_PATTERNS {
            let what = format!(
                "with its patterns the plugin has {} of {bytes} bytes, and {MOST_PATTERNS} of {LONGEST_PATTERNS} \
                 bytes together are allowed: take some out, and check those texts in the tool",
                all.len()
            );
            return Err(ToolsError::Tool { tool: tool.name.clone(), what });
        }
    }
    Ok(())
}

/// All that is compiled as a regular expression, and what only looks like it.
fn patterns<'s>(schema: &'s Json, all: &mut Vec<&'s str>) {
    match schema {
        Json::Array(items) => items.iter().for_each(|item| patterns(item, all)),
        Json::Object(map) => {
            all.extend(map.get("pattern").and_then(Json::as_str));
            let keys = map.get("patternProperties").and_then(Json::as_object);
            all.extend(keys.into_iter().flat_map(|keys| keys.keys().map(String::as_str)));
            map.values().for_each(|value| patterns(value, all));
        }
        _ => {}
    }
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
    let draft = schema.get("$schema").and_then(Json::as_str).unwrap_or_default();
    if draft.contains("draft-03") || draft.contains("draft-04") {
        return Err(
            "its schema is written for a draft older than 6: leave `$schema` out, or name a newer one".into(),
        );
    }
    check_depth(&tool.parameters, 0)?;
    looks::check(&tool.parameters)?;
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
            match value.as_str() {
                Some(text) => check_reference(key, text, depth),
                None => check_depth(value, depth + 1),
            }
        }),
        _ => Ok(()),
    }
}

/// References lead to a place in the document, so that it can be counted where they lead.
fn check_reference(key: &str, text: &str, depth: usize) -> Result<(), String> {
    let short = || text.chars().take(100).collect::<String>().escape_debug().to_string();
    match key {
        "$ref" | "$dynamicRef" if !text.starts_with('#') => {
            Err(format!("its schema refers out of itself (`{}`)", short()))
        }
        "$ref" if text.len() > 1 && !text.starts_with("#/") => {
            Err(format!("its schema refers to `{}`: say where that stands, as in `#/$defs/NAME`", short()))
        }
        "$dynamicRef" | "$recursiveRef" => Err(format!("its schema has a `{key}`: use `$ref`")),
        // With either, what is inside would be a document of its own.
        "$id" | "$schema" if depth > 0 => Err(format!("its schema has a `{key}` inside: take it out")),
        _ => Ok(()),
    }
}

impl Tool {
    /// Holds a call's arguments against the schema.
    ///
    /// # Errors
    /// A sentence for the model: what is wrong, and where.
    pub fn check_arguments(&self, text: &str) -> Result<(), String> {
        arguments::hold(&self.validator, &self.parameters, text)
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
            (json!({"properties": {"a": {"$ref": "#x", "$anchor": "x"}}}), "as in `#/$defs/NAME`"),
            (json!({"properties": {"a": {"$dynamicRef": "#x"}}}), "use `$ref`"),
            (json!({"properties": {"a": {"$id": "http://x/y"}}}), "take it out"),
            (json!({"$schema": "http://json-schema.org/draft-04/schema#"}), "older than 6"),
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

    fn refusal(parameters: Json) -> String {
        let error = read(&tools(parameters)).unwrap_err().to_string();
        assert!(error.starts_with("the tool `fetch`: "), "{error}");
        error
    }

    /// A validator would look at it 2^40 times, or keep 2^40 mistakes.
    #[test]
    fn a_schema_cannot_hang_the_broker() {
        for leaf in [json!({"minProperties": 0}), json!({"required": ["x"]})] {
            let twice = |n: usize| {
                let next = json!({"$ref": format!("#/$defs/a{}", n - 1)});
                (format!("a{n}"), json!({"allOf": [next, next]}))
            };
            let mut all: serde_json::Map<String, Json> = (1..=40).map(twice).collect();
            all.insert("a0".into(), leaf);
            let told = refusal(json!({"type": "object", "$ref": "#/$defs/a40", "$defs": all}));
            assert!(told.contains("combine fewer schemas"), "{told}");
        }
    }

    /// As deep as is allowed, it is compiled and used on a thread's stack.
    #[test]
    fn a_deep_schema_is_refused_or_used() {
        let chain = |count: usize, link: &dyn Fn(Json) -> Json| {
            let next = |n: usize| json!({"$ref": format!("#/$defs/a{}", n + 1)});
            let mut all = serde_json::Map::from_iter((0..count).map(|n| (format!("a{n}"), link(next(n)))));
            all.insert(format!("a{count}"), json!({}));
            json!({"properties": {"a": {"$ref": "#/$defs/a0"}}, "$defs": all})
        };
        let nested = format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100));
        let links: [(usize, &dyn Fn(Json) -> Json); 4] = [
            (240, &|next| json!({"items": next})),
            (240, &|next| json!({"not": next})),
            (160, &|next| json!({"allOf": [next, {"minItems": 1}]})),
            (160, &|next| json!({"oneOf": [next, {"type": "null"}]})),
        ];
        for (deepest, link) in links {
            assert!(refusal(chain(deepest + 60, link)).contains("flatter"));
            let tool = &read(&tools(chain(deepest, link))).unwrap()[0];
            assert_eq!(tool.check_arguments(&nested), Ok(()));
        }
    }

    #[test]
    fn patterns_are_few_and_small() {
        let told = refusal(json!({"properties": {"a": {"pattern": "a\\p{L}{60}x"}}}));
        assert!(told.contains("shorten the one at") && told.contains("/a/pattern"), "{told}");
        let told = refusal(json!({"patternProperties": {"a\\p{L}{60}x": {}}}));
        assert!(told.contains("shorten the one at"), "{told}");
        let many = |count: usize| {
            let one = |n: usize| (format!("p{n}"), json!({"pattern": format!("^[a-z]{{{}}}$", n + 1)}));
            json!({"properties": (0..count).map(one).collect::<serde_json::Map<_, _>>()})
        };
        assert!(read(&tools(many(MOST_PATTERNS))).is_ok());
        assert!(refusal(many(MOST_PATTERNS + 1)).contains("take some out"));
        assert!(
            refusal(json!({"properties": {"a": {"pattern": "a".repeat(9000)}}})).contains("take some out")
        );
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
