//! How models write tool calls, and the grammars that make them write only valid ones. The one place
//! that knows the formats; reading a finished call is the agent's. No model is needed here, only
//! llama.cpp's converter from JSON Schema.

use crate::protocol::frames::{Fault, Generate};
use crate::types::{ToolChoice, ToolFormat, ToolSpec};
use serde_json::{Map, Value as Json, json};

/// Limits on schemas: llama.cpp's converter recurses, and its grammars grow with them.
const MAX_TOOLS: usize = 64;
const MAX_SCHEMA: usize = 64 << 10;
const MAX_DEPTH: usize = 32;
const MAX_NAME: usize = 128;

/// A grammar for one answer, in GBNF with the root rule `root`.
#[derive(Debug, Clone, PartialEq)]
pub struct Grammar {
    pub text: String,
    /// The grammar rules only from where one of these patterns (its first group) is found; from the beginning when
    /// there are none.
    pub triggers: Vec<String>,
}

impl ToolFormat {
    /// The format that a chat template teaches its model; Hermes when it shows none.
    pub fn detect(template: &str) -> ToolFormat {
        if template.contains("[TOOL_CALLS]") {
            ToolFormat::Mistral
        } else if template.contains("<tool_call>") {
            ToolFormat::Hermes
        } else if template.contains("<|python_tag|>") || template.contains("Environment: ipython") {
            ToolFormat::Llama3
        } else {
            ToolFormat::Hermes
        }
    }

    /// What stands around the JSON of a call; both may be empty.
    pub fn tags(self) -> (&'static str, &'static str) {
        match self {
            ToolFormat::Hermes => ("<tool_call>", "</tool_call>"),
            ToolFormat::Llama3 => ("", ""),
            ToolFormat::Mistral => ("[TOOL_CALLS]", ""),
        }
    }

    /// The key under which the arguments stand.
    pub fn arguments_key(self) -> &'static str {
        match self {
            ToolFormat::Llama3 => "parameters",
            ToolFormat::Hermes | ToolFormat::Mistral => "arguments",
        }
    }

    /// Where in an answer, or its beginning, a call begins.
    pub fn find(self, answer: &str) -> Option<usize> {
        match self {
            ToolFormat::Llama3 => {
                let call = answer.trim_start();
                let call = call.strip_prefix("<|python_tag|>").unwrap_or(call).trim_start();
                let inside = call.strip_prefix('{')?.trim_start();
                inside.starts_with("\"name\"").then(|| answer.len() - call.len())
            }
            _ => answer.find(self.tags().0),
        }
    }

    /// The same as [`ToolFormat::find`], for llama.cpp.
    fn trigger(self) -> &'static str {
        match self {
            ToolFormat::Hermes => "(<tool_call>)",
            ToolFormat::Llama3 => r#"^\s*(?:<\|python_tag\|>)?\s*(\{\s*"name")"#,
            ToolFormat::Mistral => r"(\[TOOL_CALLS\])",
        }
    }
}

/// The grammar that a request's tools and schema ask for, if they ask for one.
///
/// # Errors
/// [`Fault::Invalid`], naming the tool and what is wrong with its schema.
pub fn grammar(request: &Generate, format: ToolFormat) -> Result<Option<Grammar>, Fault> {
    let Some(quotes) = &request.quotes else { return called_or_structured(request, format) };
    let quoted = super::quotes::grammar(quotes);
    if !quotes.free {
        return Ok(Some(Grammar { text: format!("root ::= quoted\n{quoted}"), triggers: Vec::new() }));
    }
    let mut triggers = vec![r"^(\[)".to_owned()];
    let text = match called_or_structured(request, format)? {
        Some(calls) => {
            triggers.extend(calls.triggers);
            format!("{}{quoted}", calls.text.replacen("root ::= ", "root ::= quoted | ", 1))
        }
        None => format!("root ::= quoted\n{quoted}"),
    };
    Ok(Some(Grammar { text, triggers }))
}

/// The grammar of tool calls and of an answer's schema.
fn called_or_structured(request: &Generate, format: ToolFormat) -> Result<Option<Grammar>, Fault> {
    let tools = chosen(request)?;
    let mut alternatives = Vec::new();
    for tool in &tools {
        alternatives.push(call_schema(tool, format, alternatives.len())?);
    }
    if let Some(schema) = &request.json_schema {
        alternatives.push(answer_schema(schema, alternatives.len())?);
    }
    if alternatives.is_empty() {
        return Ok(None);
    }
    let document = json!({ "anyOf": alternatives }).to_string();
    let converted = llama_cpp_2::json_schema_to_grammar(&document)
        .map_err(|_| whose_fault(&alternatives, request, &tools))?;
    let text = with_root(&converted, tools.len(), format)
        .ok_or_else(|| Fault::Internal("llama.cpp made a grammar without a root".into()))?;
    let free = request.tool_choice == ToolChoice::Auto && request.json_schema.is_none();
    Ok(Some(Grammar { text, triggers: free.then(|| format.trigger().into()).into_iter().collect() }))
}

/// The tools that may be called.
fn chosen(request: &Generate) -> Result<Vec<&ToolSpec>, Fault> {
    let tools: Vec<&ToolSpec> = match &request.tool_choice {
        ToolChoice::None => Vec::new(),
        ToolChoice::Auto | ToolChoice::Required => request.tools.iter().collect(),
        ToolChoice::Named(name) => request.tools.iter().filter(|tool| tool.name == *name).collect(),
    };
    match &request.tool_choice {
        ToolChoice::Required if tools.is_empty() => {
            Err(Fault::Invalid("a tool call is required and no tool is offered".into()))
        }
        ToolChoice::Named(name) if tools.is_empty() => {
            Err(Fault::Invalid(format!("the tool `{name}` is to be called and is not offered")))
        }
        _ if tools.len() > MAX_TOOLS => {
            Err(Fault::Invalid(format!("{} tools are offered and at most {MAX_TOOLS} can be", tools.len())))
        }
        _ => Ok(tools),
    }
}

fn call_schema(tool: &ToolSpec, format: ToolFormat, index: usize) -> Result<Json, Fault> {
    let whose = format!("the parameters of tool `{}`", tool.name);
    if tool.name.is_empty() || tool.name.len() > MAX_NAME || tool.name.chars().any(char::is_control) {
        return Err(Fault::Invalid(format!("`{}` is no name for a tool", tool.name.escape_debug())));
    }
    let key = format.arguments_key();
    let mut schema = read_schema(&tool.parameters, &whose, &format!("#/anyOf/{index}/properties/{key}"))?;
    // Arguments are an object whatever the schema leaves open.
    if let Some(map) = schema.as_object_mut()
        && !["type", "$ref", "anyOf", "oneOf", "allOf", "properties"].iter().any(|key| map.contains_key(*key))
    {
        map.insert("type".into(), json!("object"));
    }
    let mut properties = Map::new();
    properties.insert("name".into(), json!({ "const": tool.name }));
    properties.insert(key.into(), schema);
    Ok(json!({ "type": "object", "properties": properties, "required": ["name", key] }))
}

fn answer_schema(schema: &str, index: usize) -> Result<Json, Fault> {
    read_schema(schema, "the JSON schema of the answer", &format!("#/anyOf/{index}"))
}

fn read_schema(text: &str, whose: &str, home: &str) -> Result<Json, Fault> {
    if text.len() > MAX_SCHEMA {
        return Err(Fault::Invalid(format!(
            "{whose} have {} bytes of schema and {MAX_SCHEMA} are allowed",
            text.len()
        )));
    }
    let schema: Json =
        serde_json::from_str(text).map_err(|e| Fault::Invalid(format!("{whose} are not JSON: {e}")))?;
    if !schema.is_object() {
        return Err(Fault::Invalid(format!("{whose} are not a JSON Schema object")));
    }
    rehomed(schema, home, 0).map_err(|what| Fault::Invalid(format!("{whose}: {what}")))
}

/// The schema with its references (`#/..`) pointing to where it will stand in a larger document.
fn rehomed(schema: Json, home: &str, depth: usize) -> Result<Json, String> {
    if depth > MAX_DEPTH {
        return Err(format!("nested deeper than {MAX_DEPTH} levels"));
    }
    match schema {
        Json::Array(items) => items.into_iter().map(|item| rehomed(item, home, depth + 1)).collect(),
        Json::Object(map) => {
            let mut out = Map::new();
            for (key, value) in map {
                if key.len() > MAX_NAME {
                    return Err(format!("a property name of {} bytes", key.len()));
                }
                let value = match (key.as_str(), value) {
                    // Values, not schemas: a "$ref" in them is just text.
                    ("const" | "enum" | "default" | "examples", value) => value,
                    ("$ref", Json::String(target)) => Json::String(match target.strip_prefix('#') {
                        Some(inside) => format!("{home}{inside}"),
                        None => {
                            return Err(format!(
                                "a reference out of the schema (`{}`)",
                                target.escape_debug()
                            ));
                        }
                    }),
                    (_, value) => rehomed(value, home, depth + 1)?,
                };
                out.insert(key, value);
            }
            Ok(Json::Object(out))
        }
        other => Ok(other),
    }
}

/// Converts the alternatives one by one to name the one that llama.cpp refuses.
fn whose_fault(alternatives: &[Json], request: &Generate, tools: &[&ToolSpec]) -> Fault {
    let refused = |index: &usize| {
        // The others become stand-ins, so that references keep their places.
        let mut document = vec![json!({ "type": "null" }); alternatives.len()];
        document[*index] = alternatives[*index].clone();
        llama_cpp_2::json_schema_to_grammar(&json!({ "anyOf": document }).to_string()).is_err()
    };
    let whose = match (0..alternatives.len()).find(refused).map(|index| tools.get(index)) {
        Some(Some(tool)) => format!("the parameters of tool `{}`", tool.name),
        _ if request.json_schema.is_some() => "the JSON schema of the answer".into(),
        _ => "the tools' parameters".into(),
    };
    Fault::Invalid(format!(
        "{whose} cannot be made a grammar: check its types, references and patterns (`pattern` must be a simple \
         regular expression from ^ to $)"
    ))
}

/// Puts the format around the first `tools` alternatives of llama.cpp's root rule.
fn with_root(converted: &str, tools: usize, format: ToolFormat) -> Option<String> {
    let mut rules = String::with_capacity(converted.len() + 200);
    let mut root = None;
    for line in converted.lines() {
        match line.strip_prefix("root ::= ") {
            Some(body) => root = Some(body),
            None => {
                rules.push_str(&without_surrogates(line));
                rules.push('\n');
            }
        }
    }
    let alternatives: Vec<&str> = root?.split(" | ").collect();
    let (calls, answers) = alternatives.split_at(tools.min(alternatives.len()));
    let mut choices: Vec<String> = answers.iter().map(|rule| rule.to_string()).collect();
    if !calls.is_empty() {
        let call = calls.join(" | ");
        choices.insert(
            0,
            match format {
                ToolFormat::Hermes => format!("\"<tool_call>\" [ \\n]? ({call}) [ \\n]? \"</tool_call>\""),
                ToolFormat::Llama3 => format!("({call})"),
                ToolFormat::Mistral => format!("\"[TOOL_CALLS]\" \" \"? \"[\" ({call}) \"]\""),
            },
        );
    }
    rules.push_str(&format!("root ::= {}\n", choices.join(" | ")));
    Some(rules)
}

/// llama.cpp's rule for a character of a JSON string allows `\ud800` alone, which is no character.
fn without_surrogates(rule: &str) -> String {
    rule.replace(
        r#""u" [0-9a-fA-F]{4}"#,
        r#""u" ([0-9a-cA-CefEF] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2})"#,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::frames::{Quotes, Sampling, Sentence};

    fn request(tools: &[(&str, &str)], choice: ToolChoice) -> Generate {
        let tools = tools.iter().map(|(name, parameters)| ToolSpec {
            name: name.to_string(),
            description: String::new(),
            parameters: parameters.to_string(),
        });
        Generate {
            messages: Vec::new(),
            tools: tools.collect(),
            tool_choice: choice,
            json_schema: None,
            quotes: None,
            sampling: Sampling::default(),
        }
    }

    fn refusal(tools: &[(&str, &str)]) -> String {
        match grammar(&request(tools, ToolChoice::Required), ToolFormat::Hermes) {
            Err(Fault::Invalid(why)) => why,
            other => panic!("not refused: {other:?}"),
        }
    }

    const CITY: &str = r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"#;

    #[test]
    fn each_format_is_told_by_its_template() {
        assert_eq!(ToolFormat::detect("x <tool_call> y"), ToolFormat::Hermes);
        assert_eq!(ToolFormat::detect("{{ '[TOOL_CALLS]' }}"), ToolFormat::Mistral);
        assert_eq!(ToolFormat::detect("{{ \"Environment: ipython\" }}"), ToolFormat::Llama3);
        assert_eq!(ToolFormat::detect(""), ToolFormat::Hermes);
    }

    #[test]
    fn a_call_is_found_where_it_begins() {
        assert_eq!(ToolFormat::Hermes.find("so <tool_call>\n{"), Some(3));
        assert_eq!(ToolFormat::Llama3.find(" { \"name\": \"x\""), Some(1));
        assert_eq!(ToolFormat::Llama3.find("<|python_tag|>{\"name\""), Some(14));
        assert_eq!(ToolFormat::Llama3.find("see {\"name\""), None);
    }

    #[test]
    fn auto_waits_for_the_opening_and_required_does_not() {
        let auto =
            grammar(&request(&[("weather", CITY)], ToolChoice::Auto), ToolFormat::Hermes).unwrap().unwrap();
        assert_eq!(auto.triggers.len(), 1);
        let required = grammar(&request(&[("weather", CITY)], ToolChoice::Required), ToolFormat::Hermes)
            .unwrap()
            .unwrap();
        assert!(required.triggers.is_empty());
        assert!(required.text.contains("root ::= \"<tool_call>\""), "{}", required.text);
        assert_eq!(
            grammar(&request(&[("weather", CITY)], ToolChoice::None), ToolFormat::Hermes).unwrap(),
            None
        );
        assert_eq!(grammar(&request(&[], ToolChoice::Auto), ToolFormat::Hermes).unwrap(), None);
    }

    #[test]
    fn a_free_answer_is_ruled_from_a_quote_or_a_call_on() {
        let sentence = Sentence { text: "A.".into(), gap: String::new(), begins: true };
        let mut asked = request(&[("weather", CITY)], ToolChoice::Auto);
        let quotes = Quotes { passages: vec![vec![sentence]], otherwise: None, at_least: 0, free: true };
        asked.quotes = Some(quotes.clone());
        let both = grammar(&asked, ToolFormat::Hermes).unwrap().unwrap();
        assert_eq!(both.triggers, [r"^(\[)", "(<tool_call>)"]);
        assert!(both.text.contains("root ::= quoted | \"<tool_call>\""), "{}", both.text);
        asked.tools.clear();
        let alone = grammar(&asked, ToolFormat::Hermes).unwrap().unwrap();
        assert_eq!(alone.triggers, [r"^(\[)"]);
        asked.quotes = Some(Quotes { free: false, ..quotes });
        assert!(grammar(&asked, ToolFormat::Hermes).unwrap().unwrap().triggers.is_empty());
    }

    #[test]
    fn a_tool_that_is_not_offered_cannot_be_named() {
        let asked = request(&[("weather", CITY)], ToolChoice::Named("rm".into()));
        assert!(
            matches!(grammar(&asked, ToolFormat::Hermes), Err(Fault::Invalid(why)) if why.contains("`rm`"))
        );
        assert!(matches!(
            grammar(&request(&[], ToolChoice::Required), ToolFormat::Hermes),
            Err(Fault::Invalid(_))
        ));
    }

    #[test]
    fn references_keep_their_targets_in_the_larger_document() {
        let tree = r##"{"type":"object","properties":{"root":{"$ref":"#/$defs/node"}},"required":["root"],
            "$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"next":{"$ref":"#/$defs/node"}},"required":["v"]}}}"##;
        grammar(&request(&[("weather", CITY), ("tree", tree)], ToolChoice::Auto), ToolFormat::Mistral)
            .unwrap()
            .unwrap();
    }

    #[test]
    fn bad_schemas_are_refused_by_name() {
        assert!(refusal(&[("weather", CITY), ("bad", "{")]).contains("`bad`"));
        assert!(refusal(&[("bad", "[]")]).contains("`bad`"));
        assert!(
            refusal(&[("bad", r#"{"type":"object","properties":{"a":{"type":"quantum"}}}"#)])
                .contains("`bad`")
        );
        assert!(refusal(&[("weather", CITY), ("bad", r##"{"$ref":"#/nowhere"}"##)]).contains("`bad`"));
        assert!(refusal(&[("bad", r#"{"$ref":"http://x/y"}"#)]).contains("http://x/y"));
        assert!(refusal(&[("a\nb", CITY)]).contains("no name for a tool"));
        assert!(refusal(&[("", CITY)]).contains("no name for a tool"));
    }

    #[test]
    fn deep_and_large_schemas_are_refused() {
        let deep =
            format!("{}{}", r#"{"type":"array","items":"#.repeat(100), "{}".to_owned() + &"}".repeat(100));
        assert!(refusal(&[("deep", &deep)]).contains("deep"));
        let deeper = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(refusal(&[("deep", &deeper)]).contains("bytes of schema"));
        let long = format!(r#"{{"type":"object","properties":{{"{}":{{}}}}}}"#, "é".repeat(3000));
        assert!(refusal(&[("long", &long)]).contains("property name"));
    }

    #[test]
    fn a_tool_name_with_quotes_stays_a_literal() {
        let odd = grammar(&request(&[("say \"hi\" \\ | x", CITY)], ToolChoice::Required), ToolFormat::Hermes)
            .unwrap()
            .unwrap();
        assert!(odd.text.contains(r#"say \\\"hi\\\" \\\\ | x"#), "{}", odd.text);
    }
}
