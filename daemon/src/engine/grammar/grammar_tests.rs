use super::*;
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
