use super::*;
use proptest::prelude::*;
use serde_json::json;

fn refusal(schema: &Value) -> String {
    check(&schema.to_string()).unwrap_err()
}

#[test]
fn what_cannot_be_promised_is_refused_by_name() {
    for (schema, named) in [
        (json!({ "properties": { "a": { "contains": { "const": 1 } } } }), "`contains`"),
        (json!({ "properties": { "a": { "$dynamicRef": "#x" } } }), "`$dynamicRef`"),
        (json!({ "properties": { "a": { "type": "array", "uniqueItems": true } } }), "`uniqueItems`"),
        (json!({ "properties": { "a": { "oneOf": [{ "type": "number" }, { "minimum": 3 }] } } }), "`oneOf`"),
        (json!({ "properties": { "a": { "type": "string", "not": { "maxLength": 3 } } } }), "`not`"),
        (json!({ "properties": { "a": { "pattern": "(?=x)" } } }), "pattern"),
        (json!({ "properties": { "a": { "pattern": "\\bx" } } }), "borders"),
        (json!({ "$ref": "other.json" }), "other.json"),
        (json!({ "properties": { "a": { "multipleOf": 12345 } } }), "`multipleOf`"),
        (json!({ "minProperties": 3, "additionalProperties": true }), "`minProperties`"),
        (
            json!({ "properties": { "a": { "unevaluatedProperties": { "type": "null" } } } }),
            "`unevaluatedProperties`",
        ),
        (json!({ "type": "string" }), "nothing"),
        (json!({ "required": ["a"], "properties": { "a": false } }), "nothing"),
    ] {
        assert!(refusal(&schema).contains(named), "{schema}: {}", refusal(&schema));
    }
}

#[test]
fn what_can_be_told_apart_is_taken_as_it_is_meant() {
    for schema in [
        json!({ "properties": { "a": { "oneOf": [{ "const": 1 }, { "type": "string" }] } } }),
        json!({ "properties": { "a": {}, "b": {} }, "oneOf": [{ "required": ["a"] }, { "required": ["b"] }] }),
        json!({ "properties": { "a": { "type": "integer", "not": { "enum": ["x"] } } } }),
        json!({ "properties": { "a": { "oneOf": [{ "type": "integer", "maximum": 3 }, { "minimum": 4, "type": "number" }] } } }),
        json!({ "properties": { "a": { "type": "string", "oneOf": [{ "pattern": "^a" }, { "pattern": "^b" }] } } }),
        json!({ "if": { "properties": { "a": { "const": 1 } }, "required": ["a"] }, "then": { "required": ["b"] },
            "properties": { "a": { "enum": [1, 2] }, "b": { "type": "null" } } }),
        json!({ "properties": { "a": { "minLength": 1, "maxLength": 100_000_000, "type": "string" } } }),
        json!({ "$ref": "#/$defs/a", "$defs": { "a": { "type": "object", "properties": { "a": { "$ref": "#" } } } } }),
    ] {
        assert_eq!(check(&schema.to_string()), Ok(()), "{schema}");
    }
}

/// JSON with the keywords of JSON Schema in it, in places that make sense or none.
fn anything() -> impl Strategy<Value = Value> {
    let words = [
        "type",
        "enum",
        "const",
        "properties",
        "required",
        "items",
        "prefixItems",
        "anyOf",
        "oneOf",
        "allOf",
        "not",
        "if",
        "then",
        "else",
        "$ref",
        "$defs",
        "pattern",
        "format",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "multipleOf",
        "uniqueItems",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "additionalProperties",
        "patternProperties",
        "propertyNames",
        "dependentRequired",
        "dependentSchemas",
        "unevaluatedProperties",
        "string",
        "object",
        "array",
        "integer",
        "number",
        "#",
        "#/$defs/a",
        "a",
        "^a+$",
        "date",
    ];
    let word = prop::sample::select(words.to_vec());
    let leaf = prop_oneof![
        word.clone().prop_map(|word| json!(word)),
        any::<bool>().prop_map(|flag| json!(flag)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        (0..9u8).prop_map(|number| json!(number)),
        "[a^$()|*+{}0-9\\\\.]{0,8}".prop_map(|text| json!(text)),
        Just(Value::Null),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            4 => prop::collection::vec((word.clone(), inner), 0..6).prop_map(|entries| {
                Value::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_schema_makes_it_panic(schema in anything(), around in "(type|properties|anyOf|items|not|required)") {
        let _ = check(&schema.to_string());
        let _ = check(&json!({ around: schema.clone() }).to_string());
        let _ = check(&json!({ "properties": { "a": schema } }).to_string());
    }
}
