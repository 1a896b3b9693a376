//! Holds a parsed file against the schema of [`Config`](super::Config): unknown keys, wrong types and
//! numbers out of range, each with its line. Pure: text in, problems out. It reads names and limits
//! from the schema, so that a new setting needs no line here.

use super::load::Problem;
use serde_json::Value;
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What a look at the file found.
#[derive(Debug, Default)]
pub struct Checked {
    pub problems: Vec<Problem>,
    /// The 1-based line of every setting in the file, by its full key such as `model.threads`.
    pub lines: BTreeMap<String, usize>,
}

/// Compares every key of `table`, which was parsed from `text`, with `schema`.
pub fn check(text: &str, table: &DeTable<'_>, schema: &Value) -> Checked {
    let tables = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
    let known = keys(schema).into_iter().chain(tables).collect();
    let mut checker = Checker { text, known, found: Checked::default() };
    checker.table("", table, schema);
    checker.found.problems.sort_by_key(|problem| problem.line);
    checker.found
}

/// The full keys of all settings of `schema`, in its order.
pub fn keys(schema: &Value) -> Vec<String> {
    let mut all = Vec::new();
    collect("", schema, &mut all);
    all
}

fn collect(prefix: &str, schema: &Value, all: &mut Vec<String>) {
    for (name, sub) in schema["properties"].as_object().into_iter().flatten() {
        let key = join(prefix, name);
        if is_table(sub) { collect(&key, sub, all) } else { all.push(key) }
    }
}

/// The 1-based line of a byte offset.
pub fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

struct Checker<'a> {
    text: &'a str,
    /// Settings and tables.
    known: Vec<String>,
    found: Checked,
}

impl Checker<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>, schema: &Value) {
        for (name, value) in table {
            let key = join(prefix, name.get_ref());
            let line = line_of(self.text, name.span().start);
            match schema["properties"].get(name.get_ref().as_ref()) {
                None => self.unknown(prefix, name.get_ref(), line),
                Some(sub) if is_table(sub) => self.subtable(&key, line, value, sub),
                Some(sub) => self.setting(key, line, value, sub),
            }
        }
    }

    fn subtable(&mut self, key: &str, line: usize, value: &Spanned<DeValue<'_>>, schema: &Value) {
        match value.get_ref() {
            DeValue::Table(table) => self.table(key, table, schema),
            other => {
                self.problem(line, format!("`{key}` must be a table, as in `[{key}]`, not {}", kind(other)))
            }
        }
    }

    fn setting(&mut self, key: String, line: usize, value: &Spanned<DeValue<'_>>, schema: &Value) {
        if let Err(what) = fits(value.get_ref(), schema) {
            self.problem(line, format!("`{key}` {what}"));
        }
        self.found.lines.insert(key, line);
    }

    fn unknown(&mut self, prefix: &str, name: &str, line: usize) {
        let shown = printable(&join(prefix, name));
        let what = match nearest(prefix, name, &self.known) {
            Some(known) => format!("`{shown}` is not a setting; did you mean `{known}`?"),
            None => format!("`{shown}` is not a setting; `familiar config show` lists all"),
        };
        self.problem(line, what);
    }

    fn problem(&mut self, line: usize, what: String) {
        self.found.problems.push(Problem { line, what });
    }
}

fn is_table(schema: &Value) -> bool {
    schema["type"] == "object"
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// A key as it may be shown: a file can hold escape sequences in one.
fn printable(key: &str) -> String {
    key.chars().take(80).flat_map(char::escape_debug).collect()
}

/// What is wrong with `value`, worded to follow the key's name.
fn fits(value: &DeValue<'_>, schema: &Value) -> Result<(), String> {
    let wanted = schema["type"].as_str().unwrap_or_default();
    match (wanted, value) {
        ("string", DeValue::String(_)) | ("boolean", DeValue::Boolean(_)) => Ok(()),
        ("integer", DeValue::Integer(number)) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
            in_range(parsed.map(|n| n as f64), number.as_str(), schema)
        }
        ("number", DeValue::Integer(number)) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
            in_range(parsed.map(|n| n as f64), number.as_str(), schema)
        }
        ("number", DeValue::Float(number)) => in_range(number.as_str().parse().ok(), number.as_str(), schema),
        ("array", DeValue::Array(items)) => items.iter().try_for_each(|item| {
            fits(item.get_ref(), &schema["items"]).map_err(|what| format!("has an item that {what}"))
        }),
        (wanted, value) => Err(format!("must be {}, not {}", name_of(wanted), kind(value))),
    }
}

/// `None` stands for a number that 64 bits do not hold.
fn in_range(number: Option<f64>, shown: &str, schema: &Value) -> Result<(), String> {
    let low = schema["minimum"].as_f64().unwrap_or(f64::MIN);
    let high = schema["maximum"].as_f64().unwrap_or(f64::MAX);
    match number {
        Some(number) if number >= low && number <= high => Ok(()),
        _ => Err(format!("must be between {low} and {high}, not {shown}")),
    }
}

fn name_of(wanted: &str) -> &'static str {
    match wanted {
        "string" => "text in quotes",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "array" => "a list in [brackets]",
        _ => "something else",
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Boolean(_) => "true or false",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The setting that was probably meant: the same name in another table, or one spelt nearly so.
fn nearest<'a>(prefix: &str, name: &str, known: &'a [String]) -> Option<&'a str> {
    let wanted = join(prefix, name);
    // Of names that are as near, the first is meant.
    known
        .iter()
        .rev()
        .map(|key| {
            let leaf = key.rsplit('.').next().unwrap_or(key);
            let likeness = strsim::normalized_damerau_levenshtein(leaf, name);
            (likeness.max(strsim::normalized_damerau_levenshtein(key, &wanted) - 0.01), key.as_str())
        })
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, key)| key)
}
