//! For tests: schemas of every kind that plugins may have, made up by a seed. Values that satisfy them are
//! small, so that a model that knows nothing comes to an end.

use jsonschema::{PatternOptions, Validator};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

/// The same schemas every time.
pub fn schemas(count: usize) -> impl Iterator<Item = Value> {
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let all = object();
    (0..count).map(move |_| all.new_tree(&mut runner).unwrap().current())
}

pub fn validator(schema: &Value) -> Validator {
    jsonschema::options()
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::regex())
        .offline()
        .build(schema)
        .unwrap_or_else(|e| panic!("{e}: {schema}"))
}

/// A tool's parameters.
pub fn object() -> BoxedStrategy<Value> {
    let shape = properties(value(2));
    let with_defs = (named(value(2)), value(1), any::<bool>()).prop_map(|(mut object, named, required)| {
        object["$defs"] = json!({ "né/d": named, "list": {
            "type": "object",
            "properties": { "v": { "$ref": "#/$defs/n%C3%A9~1d" }, "next": { "$ref": "#/$defs/list" } },
            "required": ["v"],
        }});
        object["properties"]["ref"] = json!({ "$ref": "#/$defs/list" });
        if required {
            object["required"] = json!(["ref"]);
        }
        object
    });
    let combined = (properties(value(1)), properties(value(1))).prop_map(
        |(one, other)| json!({ "type": "object", "oneOf": [tagged(one, "a"), tagged(other, "b")] }),
    );
    // One property in both, the others in one of them.
    let all_of = (named(value(1)), 0..9i64).prop_map(|(object, least)| {
        let mut object = object;
        object["properties"]["both"] = json!({ "type": "integer", "minimum": least });
        let other = json!({ "properties": { "both": { "maximum": 9 }, "own": { "type": "null" } }, "required": ["both"] });
        json!({ "allOf": [object, other], "unevaluatedProperties": false })
    });
    let depends = shape.clone().prop_map(|mut object| {
        let all = object["properties"].as_object_mut().unwrap();
        all.insert("x".into(), json!({ "enum": [1, 2, "three"] }));
        all.insert("y".into(), json!({ "type": "boolean" }));
        object["dependentRequired"] = json!({ "x": ["y"] });
        object["if"] = json!({ "properties": { "x": { "const": 1 } }, "required": ["x"] });
        object["then"] = json!({ "properties": { "y": { "const": true } } });
        object
    });
    let either = shape.clone().prop_map(|mut object| {
        object["properties"]["left"] = json!({ "type": "integer", "minimum": -9, "maximum": 9 });
        object["properties"]["right"] = json!({ "type": "null" });
        object["oneOf"] = json!([{ "required": ["left"] }, { "required": ["right"] }]);
        object
    });
    prop_oneof![6 => shape, 2 => with_defs, 1 => combined, 1 => all_of, 1 => depends, 1 => either].boxed()
}

/// An object that names its kind.
fn tagged(mut object: Value, kind: &str) -> Value {
    object["properties"]["kind"] = json!({ "const": kind });
    object["required"] = json!(["kind"]);
    object
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,5}",
        Just("größe".to_owned()),
        Just("名前".to_owned()),
        Just("with \"quotes\"\\".to_owned()),
        Just(String::new()),
        Just("🙂\n".to_owned()),
        Just("$ref".to_owned()),
    ]
}

fn properties(value: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    (named(value.clone()), others(value))
        .prop_map(|(mut object, others)| {
            object.as_object_mut().unwrap().extend(others);
            object
        })
        .boxed()
}

/// Properties with a name, some of them required.
fn named(value: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    prop::collection::vec((name(), value, any::<bool>()), 0..4)
        .prop_map(|entries| {
            let mut schema = Map::from_iter([("type".to_owned(), json!("object"))]);
            let mut required: Vec<&str> = Vec::new();
            let mut all = Map::new();
            for (name, value, needed) in &entries {
                if all.insert(name.clone(), value.clone()).is_none() && *needed {
                    required.push(name);
                }
            }
            if !required.is_empty() {
                schema.insert("required".into(), json!(required));
            }
            // Of an object of which nothing is said, a model that knows nothing writes on and on.
            if all.is_empty() {
                schema.insert("additionalProperties".into(), json!({ "type": "boolean" }));
                schema.insert("propertyNames".into(), json!({ "maxLength": 15 }));
            }
            schema.insert("properties".into(), Value::Object(all));
            Value::Object(schema)
        })
        .boxed()
}

/// What may be said of the properties that have no name, and of their number.
fn others(value: BoxedStrategy<Value>) -> impl Strategy<Value = Map<String, Value>> {
    let map = |value: Value| value.as_object().cloned().unwrap();
    prop_oneof![
        4 => Just(Map::new()),
        2 => Just(map(json!({ "additionalProperties": false }))),
        1 => value.prop_map(move |value| map(json!({
            "additionalProperties": value, "maxProperties": 4, "propertyNames": { "maxLength": 15 },
        }))),
        1 => Just(map(json!({
            "patternProperties": { "^x-": { "type": "integer", "minimum": 0 }, "é$": { "type": "boolean" } },
            "additionalProperties": false,
            "propertyNames": { "maxLength": 15 },
            "maxProperties": 6,
        }))),
        1 => Just(map(json!({
            "additionalProperties": { "type": "null" },
            "propertyNames": { "maxLength": 15 },
            "maxProperties": 6,
        }))),
    ]
}

/// A value, so many levels deep.
pub fn value(depth: u32) -> BoxedStrategy<Value> {
    let flat =
        prop_oneof![3 => text(), 2 => integer(), 2 => number(), 2 => one_of_few(), 1 => several()].boxed();
    if depth == 0 {
        return flat;
    }
    let inner = value(depth - 1);
    prop_oneof![
        4 => flat,
        2 => properties(inner.clone()),
        2 => list(inner.clone()),
        1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({ "anyOf": [a, b] })),
        1 => inner.prop_map(|inner| json!({ "allOf": [inner], "description": "said again" })),
    ]
    .boxed()
}

fn text() -> impl Strategy<Value = Value> {
    let patterns = prop::sample::select(
        &[
            "^[a-z]{2,6}$",
            "^(ja|nein|vielleicht)$",
            "^\\d{1,3}(\\.\\d+)?$",
            "[A-F]{2}",
            "^[äöü\"\\\\/]+$",
            "^\\w+@\\w+$",
            "^[^a-z]{0,4}$",
            "x$",
            "^$|^-",
            "^\\s?\\S{1,3}$",
            "^\\p{Lu}\\p{Ll}{0,5}$",
            "^(a|ab)(c|bcd)*$",
            "^.{3}$",
        ][..],
    );
    let formats = prop::sample::select(
        &[
            "date",
            "time",
            "date-time",
            "duration",
            "email",
            "hostname",
            "ipv4",
            "ipv6",
            "uri",
            "uuid",
            "json-pointer",
            "made-up",
        ][..],
    );
    prop_oneof![
        (0..4usize, 0..9usize).prop_map(|(least, more)| {
            json!({ "type": "string", "minLength": least, "maxLength": least + more })
        }),
        patterns.clone().prop_map(|pattern| json!({ "type": "string", "pattern": pattern, "maxLength": 20 })),
        (patterns, 0..3usize).prop_map(|(pattern, least)| {
            json!({ "type": "string", "pattern": pattern, "minLength": least, "maxLength": least + 9 })
        }),
        formats.prop_map(|format| json!({ "type": "string", "format": format, "maxLength": 60 })),
        Just(json!({ "type": "string", "maxLength": 5, "pattern": "^n[no]*$", "not": { "pattern": "^on" } })),
    ]
}

fn integer() -> impl Strategy<Value = Value> {
    let from = prop_oneof![-100i64..100, any::<i32>().prop_map(i64::from), -(1i64 << 60)..(1i64 << 60)];
    prop_oneof![
        Just(json!({ "type": "integer" })),
        (from.clone(), 0..1_000_000i64).prop_map(|(from, width)| {
            json!({ "type": "integer", "minimum": from / 16, "maximum": from / 16 + width })
        }),
        (from.clone(), 2..50i64).prop_map(|(from, width)| {
            json!({ "type": "integer", "exclusiveMinimum": from / 16, "exclusiveMaximum": from / 16 + width })
        }),
        (-500..500i64, 1..60i64).prop_map(|(from, of)| {
            json!({ "type": "integer", "minimum": from, "maximum": from + 4 * of, "multipleOf": of })
        }),
        (1..100i64).prop_map(|of| json!({ "type": "integer", "multipleOf": of })),
        (-50..50i64).prop_map(|from| json!({ "type": "integer", "minimum": from as f64 + 0.5 })),
    ]
}

fn number() -> impl Strategy<Value = Value> {
    let from = prop_oneof![
        -2.0..2.0f64,
        -1e6..1e6f64,
        (-1000..1000i32).prop_map(|n| f64::from(n) / 100.0),
        Just(1e-7),
        Just(-0.1 - 0.2),
    ];
    prop_oneof![
        Just(json!({ "type": "number" })),
        (from.clone(), 0.01..100.0f64).prop_map(|(from, width)| {
            json!({ "type": "number", "minimum": from, "maximum": from + width })
        }),
        (from.clone(), 0.01..100.0f64).prop_map(|(from, width)| {
            json!({ "type": "number", "exclusiveMinimum": from, "exclusiveMaximum": from + width })
        }),
        from.clone().prop_map(|from| json!({ "type": "number", "exclusiveMaximum": from })),
        (from, prop::sample::select(&[0.01, 0.25, 0.5, 2.5, 3.0, 0.1][..]))
            .prop_map(|(from, of)| { json!({ "type": "number", "minimum": from, "multipleOf": of }) }),
        Just(json!({ "type": ["number", "null"], "minimum": 0, "exclusiveMaximum": 1 })),
    ]
}

fn one_of_few() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({ "enum": ["ä", "b\"", "", "</tool_call>", "\u{0}\n", "\u{7f}\u{85}"] })),
        Just(
            json!({ "enum": [1, "1", null, true, 1.5, { "a": [] }], "type": ["string", "number", "null", "object"] })
        ),
        Just(json!({ "const": { "größe": [1, -0.5e10, "x"] } })),
        Just(json!({ "type": "string", "enum": ["aa", "b", "cc"], "minLength": 2 })),
        Just(json!({ "type": "boolean" })),
        Just(
            json!({ "oneOf": [{ "type": "string", "maxLength": 3 }, { "type": "integer" }, { "type": "null" }] })
        ),
        Just(json!({ "oneOf": [{ "const": "one", "title": "One" }, { "const": "two" }] })),
        Just(json!({ "not": { "type": ["object", "array", "string"] } })),
    ]
}

fn several() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({ "type": ["integer", "string"], "maxLength": 4, "maximum": 7 })),
        Just(json!({ "maxLength": 4 })),
        Just(json!({ "minimum": 4, "maximum": 4.5 })),
    ]
}

fn list(inner: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    prop_oneof![
        (inner.clone(), 0..3usize, 0..3usize).prop_map(|(items, least, more)| {
            json!({ "type": "array", "items": items, "minItems": least, "maxItems": least + more })
        }),
        (inner.clone(), inner.clone()).prop_map(|(one, two)| {
            json!({ "type": "array", "prefixItems": [one, two], "minItems": 1, "items": false })
        }),
        (inner.clone(), inner).prop_map(|(one, rest)| {
            json!({ "type": "array", "prefixItems": [one], "items": rest, "maxItems": 3 })
        }),
        (0..3usize).prop_map(|least| {
            json!({ "type": "array", "items": { "enum": [1, 1.0, "a", "b", null] }, "uniqueItems": true,
                "minItems": least, "maxItems": 3 })
        }),
    ]
}
