//! JSON Schemas as a small model reads them best: in one piece, without names of Rust types, without
//! `null` where leaving the argument out says the same.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The schema of a tool's arguments.
pub fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    tidy(&mut schema);
    if let Value::Object(top) = &mut schema {
        top.remove("description");
        // An empty struct has no properties to list; tools are asked for an object all the same.
        top.insert("type".into(), json!("object"));
        top.entry("properties").or_insert_with(|| json!({}));
    }
    schema
}

/// Takes away what says nothing to a reader, in the schema and in all below.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            // A property may be called `title`: only texts are titles.
            if map.get("title").is_some_and(Value::is_string) {
                map.remove("title");
            }
            if is_number(map) {
                map.remove("format");
            }
            optional_without_null(map);
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `format` of numbers is the Rust type's size; the bounds say it better.
fn is_number(schema: &Map<String, Value>) -> bool {
    let number = |kind: &Value| kind == "integer" || kind == "number";
    match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(number),
        Some(kind) => number(kind),
        None => false,
    }
}

fn optional_without_null(schema: &mut Map<String, Value>) {
    let required = schema.get("required").cloned().unwrap_or(json!([]));
    let is_required =
        |name: &str| required.as_array().is_some_and(|list| list.iter().any(|item| item == name));
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for (name, property) in properties {
        if let Value::Object(property) = property
            && !is_required(name)
        {
            without_null(property);
        }
    }
}

fn without_null(property: &mut Map<String, Value>) {
    if property.get("default").is_some_and(Value::is_null) {
        property.remove("default");
    }
    if let Some(Value::Array(kinds)) = property.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_slice() {
            let only = only.clone();
            property.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(values)) = property.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Array(choices)) = property.get_mut("anyOf") {
        choices.retain(|choice| choice != &json!({"type": "null"}));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            property.remove("anyOf");
            // What is said of the argument itself goes before what is said of its type.
            for (key, value) in only {
                property.entry(key).or_insert(value);
            }
        }
    }
}
