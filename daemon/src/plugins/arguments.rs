//! Whether a call's arguments are what its tool's schema says, in words for the model that wrote them. Pure;
//! a schema is never followed out of its own document.

use super::looks;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::Value;

/// Bytes of arguments; the worker takes no more.
const LONGEST: usize = 4 << 20;
/// Mistakes are named one by one up to so many looks at the schema: the validator keeps every mistake that it
/// finds, with the way that led to it.
const MOST_LISTED: u64 = 2000;
/// Bytes of a compiled pattern, and of what it keeps while it runs.
const LARGEST_PATTERN: usize = 256 << 10;
/// Mistakes named at once; more would not help.
const MAX_TOLD: usize = 5;
/// Characters of a mistake that are told: it may quote the arguments.
const MAX_WORDS: usize = 300;

/// Checks arguments (JSON text) against a tool's parameters (JSON Schema as text).
///
/// # Errors
/// What is wrong and where, one mistake a line: data for the model, which may try again.
pub fn check(schema: &str, arguments: &str) -> Result<(), String> {
    let schema: Value =
        serde_json::from_str(schema).map_err(|e| format!("the tool's schema is not JSON: {e}"))?;
    hold(&validator(&schema)?, &schema, arguments)
}

/// Checks arguments (JSON text) against a schema and what it was compiled to; see [`check`].
pub fn hold(validator: &Validator, schema: &Value, arguments: &str) -> Result<(), String> {
    if arguments.len() > LONGEST {
        return Err(format!("the arguments have {} bytes and {LONGEST} are allowed", arguments.len()));
    }
    let arguments: Value =
        serde_json::from_str(arguments).map_err(|e| format!("the arguments are not JSON: {e}"))?;
    if !arguments.is_object() {
        return Err("the arguments must be a JSON object".into());
    }
    if looks::of(schema, &arguments)? > MOST_LISTED {
        let wrong =
            "the arguments are not what the schema says, and too many to tell where: give fewer of them";
        return if validator.is_valid(&arguments) { Ok(()) } else { Err(wrong.into()) };
    }
    let mut mistakes = validator.iter_errors(&arguments);
    let mut told: Vec<String> = mistakes.by_ref().take(MAX_TOLD).map(|mistake| sentence(&mistake)).collect();
    let more = mistakes.count();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    if told.is_empty() { Ok(()) } else { Err(told.join("\n")) }
}

/// Compiles a schema: draft 2020-12 unless it names another, formats held to, nothing fetched. Patterns run
/// in linear time; one that needs to look around or becomes large is refused.
///
/// # Errors
/// A sentence for the plugin's author.
pub fn validator(schema: &Value) -> Result<Validator, String> {
    let patterns = PatternOptions::regex().size_limit(LARGEST_PATTERN).dfa_size_limit(LARGEST_PATTERN);
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .should_ignore_unknown_formats(true)
        .with_pattern_options(patterns)
        .offline()
        .build(schema)
        .map_err(|wrong| refusal(&wrong))
}

fn refusal(wrong: &ValidationError) -> String {
    // What the meta-schema finds has its place there, what the compiler finds has its place in the schema.
    let place = match wrong.instance_path().as_str() {
        "" => wrong.schema_path().as_str(),
        place => place,
    };
    match wrong.kind() {
        ValidationErrorKind::Format { format } if format == "regex" => cut(&format!(
            "the schema is wrong: a pattern must be a regular expression without look-around that takes at most \
             {LARGEST_PATTERN} bytes, so mend or shorten the one at {place}"
        )),
        _ => match wrong.instance_path().as_str() {
            "" => cut(&format!("the schema is wrong: {wrong}")),
            place => cut(&format!("the schema is wrong at {place}: {wrong}")),
        },
    }
}

fn sentence(mistake: &ValidationError) -> String {
    match mistake.instance_path().as_str() {
        "" => cut(&format!("the arguments: {mistake}")),
        place => cut(&format!("{place}: {mistake}")),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SCHEMA: &str = r#"{"type":"object","properties":{
        "city":{"type":"string","minLength":1},"days":{"type":"integer","minimum":1,"maximum":9},
        "tags":{"type":"array","items":{"enum":["a","b"]}}},"required":["city"],"additionalProperties":false}"#;

    #[test]
    fn right_arguments_pass() {
        assert_eq!(check(SCHEMA, r#"{"city":"Rome","days":9,"tags":["a"]}"#), Ok(()));
        assert_eq!(check("{}", "{}"), Ok(()));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let told = check(SCHEMA, r#"{"days":12,"tags":["a","c"],"x":1}"#).unwrap_err();
        for part in ["city", "/days", "12", "/tags/1", "'x'"] {
            assert!(told.contains(part), "{part} is not in:\n{told}");
        }
        assert!(check(SCHEMA, "[]").unwrap_err().contains("object"));
        assert!(check(SCHEMA, "{").unwrap_err().contains("not JSON"));
    }

    #[test]
    fn long_lists_of_mistakes_are_cut() {
        let many =
            format!(r#"{{"city":"x","tags":[{}]}}"#, vec![format!("\"{}\"", "z".repeat(900)); 50].join(","));
        let told = check(SCHEMA, &many).unwrap_err();
        assert!(told.len() < 2500 && told.ends_with("and 45 more"), "{told}");
    }

    #[test]
    fn arguments_are_checked_in_bounds() {
        let numbers = |count: usize, last: &str| format!(r#"{{"a":[{}{last}]}}"#, "1,".repeat(count));
        let schema = r#"{"properties":{"a":{"items":{"type":"integer"}}}}"#;
        assert_eq!(check(schema, &numbers(50_000, "1")), Ok(()));
        assert!(check(schema, &numbers(50_000, "\"x\"")).unwrap_err().contains("too many to tell where"));
        assert!(check(schema, &numbers(1_500_000, "1")).unwrap_err().contains("give fewer"));
        assert!(check(schema, &numbers(3 << 20, "1")).unwrap_err().contains("bytes"));
    }

    #[test]
    fn schemas_that_reach_out_or_make_no_sense_are_refused() {
        for schema in [
            r#"{"$ref":"http://127.0.0.1:1/x"}"#,
            r#"{"$ref":"file:///etc/passwd"}"#,
            r##"{"$ref":"#/nowhere"}"##,
            r#"{"type":"quantum"}"#,
            r#"{"properties":{"a":{"pattern":"("}}}"#,
            r#"{"properties":{"a":{"pattern":"(?=a)b"}}}"#,
        ] {
            assert!(check(schema, "{}").unwrap_err().contains("schema"), "{schema}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(schema in ".{0,200}", arguments in ".{0,200}") {
            let _ = check(&schema, &arguments);
            let _ = check(SCHEMA, &arguments);
        }
    }
}
