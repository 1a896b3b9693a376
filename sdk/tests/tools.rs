//! What `#[tool]` and `plugin!` make of functions, on this machine: descriptions, schemas, arguments, errors.

use familiar_sdk::{Args, Context, Error, Json, Output, Result, Source, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Adds two numbers.
///
/// They may be negative.
#[tool]
fn add(
    /// The first
    a: i64,
    /// The second; 1 if left out
    #[serde(default = "one")]
    #[schemars(range(min = -5, max = 5))]
    b: i64,
) -> String {
    (a + b).to_string()
}

fn one() -> i64 {
    1
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Unit {
    Metre,
    /// 1,609.344 m
    Mile,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Order {
    Up,
    Down,
}

/// Never seen: the tool's own words count.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only their schemas are looked at")]
struct Trip {
    /// Where to
    to: String,
    stops: Vec<Stop>,
    unit: Option<Unit>,
    order: Option<Order>,
    nights: Option<u8>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Stop {
    town: String,
}

/// Plans a trip.
#[tool(name = "plan_trip")]
fn plan(context: &Context, Args(trip): Args<Trip>) -> Result<Output> {
    if trip.stops.len() > 2 {
        return Err(Error::invalid("at most 2 stops"));
    }
    let towns: Vec<_> = trip.stops.iter().map(|stop| stop.town.as_str()).collect();
    Ok(Output::text(format!("{} by {} in {}", trip.to, towns.join(", "), context.language))
        .with_data(&trip.stops)
        .with_sources([Source { path: "/trips".into(), start: 1, end: 2 }]))
}

/// What there is.
#[tool]
fn list() -> Json<Vec<f64>> {
    Json(vec![0.5, f64::NAN])
}

/// Fails with plain words.
#[tool]
fn fail() -> Result<&'static str, String> {
    Err("it broke: try again".into())
}

mod below {
    /// In a module.
    #[familiar_sdk::tool]
    pub fn inner(r#type: String) -> String {
        r#type
    }
}

familiar_sdk::plugin!(add, plan, list, fail, below::inner);

fn call(tool: &str, arguments: Value) -> Result<Output> {
    PLUGIN.call(tool, &arguments.to_string(), &Context::default())
}

#[test]
fn a_tool_stays_a_function() {
    assert_eq!(add(1, 2), "3");
}

#[test]
fn descriptions_are_the_doc_comments() {
    let tools: Value = serde_json::from_str(&PLUGIN.describe()).unwrap();
    let names: Vec<_> = tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["add", "plan_trip", "list", "fail", "inner"]);
    assert_eq!(tools[0]["description"], "Adds two numbers.\n\nThey may be negative.");
}

#[test]
fn schemas_are_plain_and_in_one_piece() {
    let tools: Value = serde_json::from_str(&PLUGIN.describe()).unwrap();
    assert_eq!(
        tools[0]["parameters"],
        json!({
            "type": "object",
            "properties": {
                "a": {"description": "The first", "type": "integer"},
                "b": {"description": "The second; 1 if left out", "type": "integer", "default": 1,
                    "minimum": -5, "maximum": 5},
            },
            "additionalProperties": false,
            "required": ["a"],
        })
    );
    assert_eq!(
        tools[1]["parameters"],
        json!({
            "type": "object",
            "properties": {
                "to": {"description": "Where to", "type": "string"},
                "stops": {"type": "array", "items": {
                    "type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]}},
                "unit": {"oneOf": [
                    {"type": "string", "enum": ["metre"]},
                    {"description": "1,609.344 m", "type": "string", "const": "mile"}]},
                "order": {"type": "string", "enum": ["up", "down"]},
                "nights": {"type": "integer", "minimum": 0, "maximum": 255},
            },
            "required": ["to", "stops"],
        })
    );
    assert_eq!(
        tools[2]["parameters"],
        json!({"type": "object", "properties": {}, "additionalProperties": false})
    );
    assert_eq!(tools[4]["parameters"]["required"], json!(["type"]));
}

#[test]
fn arguments_reach_the_function() {
    assert_eq!(call("add", json!({"a": 2})).unwrap().text, "3");
    assert_eq!(call("inner", json!({"type": "ü"})).unwrap().text, "ü");
    let trip = json!({"to": "Rome", "stops": [{"town": "Bologna"}], "unit": null});
    let output = call("plan_trip", trip).unwrap();
    assert_eq!(output.text, "Rome by Bologna in en");
    assert_eq!(output.data.as_deref(), Some(r#"[{"town":"Bologna"}]"#));
    assert_eq!(output.sources.len(), 1);
    assert_eq!(call("list", json!({})).unwrap().data.as_deref(), Some("[0.5,null]"));
    assert_eq!(PLUGIN.call("list", "", &Context::default()).unwrap().text, "[0.5,null]");
}

#[test]
fn wrong_arguments_are_named() {
    let cases = [
        ("add", json!({}), "missing field `a`"),
        ("add", json!({"a": 1, "c": 1}), "unknown field `c`"),
        ("add", json!({"a": "x"}), "`a`: invalid type: string \"x\""),
        ("add", json!({"a": 1.5}), "`a`: invalid type: floating point"),
        ("add", json!([1]), "a JSON object"),
        ("add", json!(null), "a JSON object"),
        (
            "plan_trip",
            json!({"to": "x", "stops": [{"town": "y"}, {"town": 3}]}),
            "`stops[1].town`: invalid type",
        ),
        ("plan_trip", json!({"to": "x", "stops": [], "unit": "yard"}), "`unit`: unknown variant `yard`"),
    ];
    for (tool, arguments, words) in cases {
        let error = call(tool, arguments.clone()).unwrap_err();
        assert!(
            matches!(&error, Error::InvalidArguments(text) if text.contains(words)),
            "{arguments}: {error:?}"
        );
    }
    for broken in ["{", "{}{}", "nul", "\u{0}", "[[[[[["] {
        let error = PLUGIN.call("list", broken, &Context::default()).unwrap_err();
        assert!(matches!(error, Error::InvalidArguments(_)), "{broken}: {error:?}");
    }
    let deep = format!("{{\"to\":{}", "[".repeat(100_000));
    assert!(PLUGIN.call("plan_trip", &deep, &Context::default()).is_err());
}

#[test]
fn a_tools_error_keeps_its_kind() {
    assert_eq!(call("fail", json!({})).unwrap_err(), Error::Failed("it broke: try again".into()));
    let full = json!({"to": "x", "stops": [{"town": "1"}, {"town": "2"}, {"town": "3"}]});
    assert_eq!(call("plan_trip", full).unwrap_err(), Error::InvalidArguments("at most 2 stops".into()));
    let unknown = call("sub", json!({})).unwrap_err();
    assert!(matches!(&unknown, Error::NotFound(words) if words.contains("plan_trip")), "{unknown:?}");
}

mod names {
    use familiar_sdk::{Context, tool};

    /// An argument may be called as its tool is, and as what the macro passes.
    #[tool]
    pub fn context(given: &Context, context: String, arguments: String) -> String {
        format!("{} {context} {arguments}", given.language)
    }
}

#[test]
fn names_do_not_clash() {
    familiar_sdk::plugin!(names::context);
    let output = PLUGIN.call("context", r#"{"context":"a","arguments":"b"}"#, &Context::default());
    assert_eq!(output.unwrap().text, "en a b");
}
