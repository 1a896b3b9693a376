//! Requests as clients write them, and what the engine is asked.

use super::*;
use serde_json::json;

fn read(request: Value) -> Result<Generate, Invalid> {
    let request: ChatRequest = serde_json::from_value(request).unwrap();
    request.generate(&AskConfig::default(), 5)
}

fn with(extra: Value) -> Value {
    let mut request = json!({"model": "ember", "messages": [{"role": "user", "content": "hi"}]});
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    request
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "parameters": {"type": "object"}}})
}

#[test]
fn defaults_are_the_daemons() {
    let asked = read(with(json!({"user": "x", "store": true, "temperature": null}))).unwrap();
    let defaults = AskConfig::default();
    assert_eq!(asked.sampling.temperature, defaults.temperature);
    assert_eq!(asked.sampling.max_tokens, defaults.max_tokens);
    assert_eq!(asked.sampling.seed, 5);
    assert_eq!((asked.tool_choice, asked.json_schema, asked.tools), (ToolChoice::Auto, None, vec![]));
}

#[test]
fn every_kind_of_message_is_understood() {
    let call = json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let asked = read(json!({"model": "ember", "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "me"},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
    ]}))
    .unwrap();
    let [system, user, assistant, tool] = &asked.messages[..] else { panic!("{asked:?}") };
    assert_eq!((system.role, system.content.as_str()), (Role::System, "Be brief."));
    assert_eq!((user.role, user.content.as_str()), (Role::User, "ab"));
    let called = ToolCall { id: "c1".into(), name: "f".into(), arguments: "{}".into() };
    assert_eq!((assistant.content.as_str(), &assistant.tool_calls[..]), ("", &[called][..]));
    assert_eq!((tool.role, tool.tool_call_id.as_deref()), (Role::Tool, Some("c1")));
}

#[test]
fn sampling_is_passed_on() {
    let asked = read(with(json!({
        "temperature": 0.5, "top_p": 0.25, "max_tokens": 9, "max_completion_tokens": 7, "seed": -1, "stop": "\n",
    })))
    .unwrap()
    .sampling;
    assert_eq!((asked.temperature, asked.top_p, asked.max_tokens, asked.seed), (0.5, 0.25, 7, u32::MAX));
    assert_eq!(asked.stop, ["\n"]);
    assert_eq!(read(with(json!({"stop": ["a", "b"]}))).unwrap().sampling.stop, ["a", "b"]);
}

#[test]
fn tools_and_schemas_are_passed_on() {
    let named = json!({"type": "function", "function": {"name": "f"}});
    for (choice, expected) in [
        (json!("auto"), ToolChoice::Auto),
        (json!("none"), ToolChoice::None),
        (json!("required"), ToolChoice::Required),
        (named, ToolChoice::Named("f".into())),
    ] {
        let asked = read(with(json!({"tools": [tool("f")], "tool_choice": choice}))).unwrap();
        assert_eq!(
            (asked.tool_choice, asked.tools[0].parameters.as_str()),
            (expected, r#"{"type":"object"}"#)
        );
    }
    let bare = json!({"type": "function", "function": {"name": "g"}});
    let asked = read(with(json!({"tools": [bare]}))).unwrap();
    assert_eq!(asked.tools[0].parameters, r#"{"type":"object","properties":{}}"#);

    let schema = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "array"}}});
    let asked = read(with(json!({"response_format": schema}))).unwrap();
    assert_eq!(asked.json_schema.as_deref(), Some(r#"{"type":"array"}"#));
    let asked = read(with(json!({"response_format": {"type": "json_object"}}))).unwrap();
    assert_eq!(asked.json_schema.as_deref(), Some(r#"{"type":"object"}"#));
    assert_eq!(read(with(json!({"response_format": {"type": "text"}}))).unwrap().json_schema, None);
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    let message = |message: Value| json!({"messages": [{"role": "user", "content": "hi"}, message]});
    for (extra, param) in [
        (json!({"n": 2}), "n"),
        (json!({"logprobs": true}), "logprobs"),
        (json!({"messages": []}), "messages"),
        (json!({"temperature": 2.5}), "temperature"),
        (json!({"temperature": -0.1}), "temperature"),
        (json!({"top_p": 1.5}), "top_p"),
        (json!({"max_tokens": 0}), "max_tokens"),
        (json!({"stop": [""]}), "stop"),
        (json!({"stop": vec!["x"; 17]}), "stop"),
        (json!({"response_format": {"type": "xml"}}), "response_format.type"),
        (json!({"response_format": {"type": "json_schema"}}), "response_format.json_schema.schema"),
        (json!({"tool_choice": "required"}), "tool_choice"),
        (json!({"tool_choice": "perhaps"}), "tool_choice"),
        (json!({"tool_choice": {"type": "function", "function": {"name": "f"}}}), "tool_choice"),
        (json!({"tools": [{"type": "retrieval"}]}), "tools[0].type"),
        (json!({"tools": [tool("f"), tool("a b")]}), "tools[1].function.name"),
        (json!({"tools": [tool("f"), tool("f")]}), "tools[1].function.name"),
        (json!({"tools": vec![tool("f"); 129]}), "tools"),
        (message(json!({"role": "wizard", "content": "x"})), "messages[1].role"),
        (message(json!({"role": "user"})), "messages[1].content"),
        (message(json!({"role": "tool", "content": "x"})), "messages[1].tool_call_id"),
        (message(json!({"role": "user", "content": [{"type": "image_url"}]})), "messages[1].content[0].type"),
    ] {
        let refused = read(with(extra.clone())).unwrap_err();
        assert_eq!(refused.param, param, "{extra}");
        assert!(refused.message.starts_with(param), "{refused:?}");
    }
}
