//! How models write tool calls, and the grammars that make them write only valid ones. The one place
//! that knows the formats; reading a finished call is the agent's, and making a grammar of a schema is
//! [`grammar`](super::grammar)'s. Pure, but for a line to the log about a tool that is left out.

use super::grammar::{self, Expr, Rules, colon, comma};
use crate::protocol::frames::{Fault, Generate};
use crate::types::{ToolChoice, ToolFormat, ToolSpec};
use serde_json::Value as Json;

const MAX_TOOLS: usize = 64;
const ANSWER: &str = "the JSON schema of the answer";
/// Bytes of a tool's name.
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

/// The grammar of tool calls and of an answer's schema. Where the model may do without a tool, one that no grammar
/// can be made of is left out: many tools are offered with every question, and none may spoil the answer.
fn called_or_structured(request: &Generate, format: ToolFormat) -> Result<Option<Grammar>, Fault> {
    let optional = request.tool_choice == ToolChoice::Auto;
    let mut rules = Rules::default();
    let mut calls: Vec<Offered> = Vec::new();
    for tool in chosen(request)? {
        let before = rules.mark();
        match call(&mut rules, tool, format) {
            Ok(call) => calls.push((tool, call)),
            Err(fault) if optional => {
                rules.rewind(before);
                left_out(tool, &fault);
            }
            Err(fault) => return Err(fault),
        }
    }
    let mut answer = None;
    if let Some(schema) = &request.json_schema {
        let schema = grammar::read(schema).map_err(|why| impossible(ANSWER, &why))?;
        answer = Some(grammar::value(&mut rules, &schema).map_err(|why| impossible(ANSWER, &why))?);
    }
    while let Some(index) = first_without_end(&rules, &calls, answer.as_ref()) {
        let whose = calls.get(index).map_or(ANSWER.into(), |(tool, _)| parameters(tool));
        let fault = impossible(&whose, grammar::NOTHING);
        if !optional || index >= calls.len() {
            return Err(fault);
        }
        left_out(calls.remove(index).0, &fault);
    }
    if calls.is_empty() && answer.is_none() {
        return Ok(None);
    }
    let mut text = print(&rules, &calls, answer.as_ref(), format);
    if text.is_none() && optional {
        calls = fitting(&rules, calls, answer.as_ref(), format);
        if calls.is_empty() && answer.is_none() {
            return Ok(None);
        }
        text = print(&rules, &calls, answer.as_ref(), format);
    }
    let text = text.ok_or_else(|| impossible("the tools' parameters", grammar::TOO_LARGE))?;
    let free = optional && request.json_schema.is_none();
    Ok(Some(Grammar { text, triggers: free.then(|| format.trigger().into()).into_iter().collect() }))
}

/// A tool and the object of its call.
type Offered<'t> = (&'t ToolSpec, Expr);

fn first_without_end(rules: &Rules, calls: &[Offered], answer: Option<&Expr>) -> Option<usize> {
    let all: Vec<&Expr> = calls.iter().map(|(_, call)| call).chain(answer).collect();
    rules.first_without_end(&all)
}

/// `None`: it is too large.
fn print(rules: &Rules, calls: &[Offered], answer: Option<&Expr>, format: ToolFormat) -> Option<String> {
    let mut choices = Vec::new();
    if !calls.is_empty() {
        choices.push(framed(calls.iter().map(|(_, call)| call.clone()).collect(), format));
    }
    choices.extend(answer.cloned());
    rules.print(&Expr::Any(choices))
}

/// The calls, in their order, but those that make the text too large.
fn fitting<'t>(
    rules: &Rules,
    calls: Vec<Offered<'t>>,
    answer: Option<&Expr>,
    format: ToolFormat,
) -> Vec<Offered<'t>> {
    let mut kept = Vec::new();
    for (tool, call) in calls {
        kept.push((tool, call));
        if print(rules, &kept, answer, format).is_none() {
            kept.pop();
            left_out(tool, &impossible(&parameters(tool), grammar::TOO_LARGE));
        }
    }
    kept
}

/// A worker's standard error is the broker's log.
fn left_out(tool: &ToolSpec, fault: &Fault) {
    eprintln!("worker: the model cannot call `{}`: {fault}", tool.name.escape_debug());
}

fn parameters(tool: &ToolSpec) -> String {
    format!("the parameters of tool `{}`", tool.name)
}

fn impossible(whose: &str, why: &str) -> Fault {
    Fault::Invalid(format!("{whose} cannot be made a grammar: {why}"))
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

/// The object of a call: the tool's name and its arguments.
fn call(rules: &mut Rules, tool: &ToolSpec, format: ToolFormat) -> Result<Expr, Fault> {
    if tool.name.is_empty() || tool.name.len() > MAX_NAME || tool.name.chars().any(char::is_control) {
        return Err(Fault::Invalid(format!("`{}` is no name for a tool", tool.name.escape_debug())));
    }
    let refused = |why: String| impossible(&parameters(tool), &why);
    let schema = grammar::read(&tool.parameters).map_err(refused)?;
    let arguments = grammar::object(rules, &schema).map_err(refused)?;
    Ok(Expr::Seq(vec![
        Expr::text("{"),
        space(rules),
        Expr::text("\"name\""),
        colon(),
        Expr::text(Json::from(tool.name.as_str()).to_string()),
        comma(),
        space(rules),
        Expr::text(format!("\"{}\"", format.arguments_key())),
        colon(),
        arguments,
        space(rules),
        Expr::text("}"),
    ]))
}

/// Nothing, a space, or a new line with what a model indents by.
fn space(rules: &mut Rules) -> Expr {
    let indent = rules.times(Expr::Chars(vec![(9, 9), (32, 32)]), 0, Some(20));
    let line = Expr::Seq(vec![Expr::text("\n"), indent]);
    rules.rule(Expr::Any(vec![Expr::empty(), Expr::text(" "), line]))
}

/// One of the calls with what the format puts around it.
fn framed(calls: Vec<Expr>, format: ToolFormat) -> Expr {
    let call = Expr::Any(calls);
    let maybe = |chars: &[u32]| {
        let chars = Expr::Chars(chars.iter().map(|c| (*c, *c)).collect());
        Expr::Times(Box::new(chars), 0, Some(1))
    };
    let gap = || maybe(&[0x0a, 0x20]);
    let parts = match format {
        ToolFormat::Hermes => vec![Expr::text("<tool_call>"), gap(), call, gap(), Expr::text("</tool_call>")],
        ToolFormat::Llama3 => vec![call],
        ToolFormat::Mistral => {
            vec![Expr::text("[TOOL_CALLS]"), maybe(&[0x20]), Expr::text("["), call, Expr::text("]")]
        }
    };
    Expr::Seq(parts)
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
    fn a_tool_that_no_grammar_is_made_of_is_left_out_and_the_answer_goes_on() {
        let unique = r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"string"},"uniqueItems":true}}}"#;
        let endless = r##"{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}"##;
        let bad = [("set", unique), ("endless", endless), ("broken", "{")];
        for (name, schema) in bad {
            let tools = [("weather", CITY), (name, schema), ("time", CITY)];
            let made = grammar(&request(&tools, ToolChoice::Auto), ToolFormat::Hermes).unwrap().unwrap().text;
            let offered = |name: &str| made.contains(&format!("\\\"{name}\\\""));
            assert!(offered("weather") && offered("time") && !offered(name), "{name}: {made}");
            let alone = grammar(&request(&[(name, schema)], ToolChoice::Auto), ToolFormat::Hermes);
            assert_eq!(alone.unwrap(), None);
            for choice in [ToolChoice::Required, ToolChoice::Named(name.into())] {
                let fault = grammar(&request(&tools, choice), ToolFormat::Hermes).unwrap_err();
                assert!(fault.to_string().contains(&format!("`{name}`")), "{fault}");
            }
        }
    }

    #[test]
    fn tools_that_do_not_fit_together_are_left_out_from_where_they_are_too_large() {
        let text = "x".repeat(60_000);
        let large = serde_json::json!({"type": "object", "properties": {"a": {"const": text}}}).to_string();
        let names: Vec<String> = (0..20).map(|n| format!("large{n}")).collect();
        let mut tools: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), large.as_str())).collect();
        tools.push(("weather", CITY));
        let made = grammar(&request(&tools, ToolChoice::Auto), ToolFormat::Hermes).unwrap().unwrap().text;
        for (name, offered) in [("large0", true), ("large19", false), ("weather", true)] {
            assert_eq!(made.contains(&format!("\\\"{name}\\\"")), offered, "{name}");
        }
        assert!(refusal(&tools).contains("too large"));
    }

    #[test]
    fn a_tool_name_with_quotes_stays_a_literal() {
        let odd = grammar(&request(&[("say \"hi\" \\ | x", CITY)], ToolChoice::Required), ToolFormat::Hermes)
            .unwrap()
            .unwrap();
        assert!(odd.text.contains(r#"say \\\"hi\\\" \\\\ | x"#), "{}", odd.text);
    }
}
