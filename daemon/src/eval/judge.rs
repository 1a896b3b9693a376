//! Whether what a model said is right. Pure text work: no model judges another here, so that a figure means the same
//! every time. It is lenient about case, spacing and punctuation and about nothing else.

use super::Said;
use super::cases::{Case, Kind};
use serde_json::Value;

/// The skills that the case is counted for, and whether it was done right.
pub(super) fn judge(case: &Case, said: &Said) -> Vec<(&'static str, bool)> {
    let told = case.spans.iter().any(|span| contains(&said.text, span));
    match case.kind {
        Kind::Grounded => vec![
            ("answer", told),
            ("cites", said.cited == [case.right]),
            ("wrongly_unknown", !told && refuses(&said.text)),
        ],
        Kind::Unanswerable => vec![("unknown", refuses(&said.text))],
        Kind::Turn => vec![("previous_turn", told)],
        Kind::Call => {
            let tool = said.call.as_ref().is_some_and(|call| call.name == case.tool);
            let given = said.call.as_ref().and_then(|call| serde_json::from_str(&call.arguments).ok());
            let arguments = tool && given.is_some_and(|given| same(&given, &case.arguments));
            vec![("tool", tool), ("arguments", arguments)]
        }
    }
}

/// Whether `text` holds `span` as whole words.
pub(super) fn contains(text: &str, span: &str) -> bool {
    let (text, span) = (plain(text), plain(span));
    !span.is_empty() && format!(" {text} ").contains(&format!(" {span} "))
}

/// Lower-case words and numbers, one space between them. A point or colon inside a number stays: 7:30, 2.5.
fn plain(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let digit = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(char::is_ascii_digit);
    let mut out = String::with_capacity(text.len());
    for (at, &c) in chars.iter().enumerate() {
        let inside = matches!(c, '.' | ':') && digit(at.checked_sub(1)) && digit(Some(at + 1));
        if c.is_alphanumeric() || inside {
            out.extend(c.to_lowercase());
        } else if c != '\'' && c != '\u{2019}' && !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out.trim().to_owned()
}

/// Ways to say that the passages do not tell.
const REFUSALS: [&str; 36] = [
    "do not tell",
    "dont tell",
    "does not tell",
    "doesnt tell",
    "not told",
    "do not say",
    "dont say",
    "does not say",
    "doesnt say",
    "do not know",
    "dont know",
    "not mentioned",
    "no mention",
    "do not mention",
    "dont mention",
    "does not mention",
    "doesnt mention",
    "do not specify",
    "does not specify",
    "not specified",
    "not stated",
    "do not state",
    "does not state",
    "do not contain",
    "does not contain",
    "dont contain",
    "do not provide",
    "does not provide",
    "not provided",
    "do not include",
    "does not include",
    "no information",
    "cannot find",
    "could not find",
    "nothing in the",
    "no passage",
];

/// Whether the answer's beginning says so.
fn refuses(text: &str) -> bool {
    let beginning: String = text.chars().take(240).collect();
    let beginning = format!(" {} ", plain(&beginning));
    REFUSALS.iter().any(|words| beginning.contains(&format!(" {words} ")))
}

/// Whether two values are the same arguments: numbers by value, words without regard to case and punctuation.
fn same(given: &Value, wanted: &Value) -> bool {
    match (given, wanted) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && b.iter().all(|(key, value)| a.get(key).is_some_and(|given| same(given, value)))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::String(a), Value::String(b)) => plain(a) == plain(b),
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_span_is_found_as_whole_words_only() {
        assert!(contains("It closes at **7:30 PM**, says [1].", "7:30 pm"));
        assert!(contains("It's 4\u{a0}litres.", "4 litres"));
        assert!(!contains("It holds 14 litres.", "4 litres"));
        assert!(!contains("Version 2.5 is old.", "2"));
        assert!(contains("Dr. O\u{2019}Neil", "O'Neil"));
        assert!(!contains("anything", ""));
    }

    #[test]
    fn refusals_are_told_from_answers() {
        for text in [
            "The passages do not tell.",
            "I don't know.",
            "The passages don\u{2019}t say when it opens.",
            "There is no information about that in the passages.",
            crate::agent::prompt::NOTHING_FOUND,
        ] {
            assert!(refuses(text), "{text}");
        }
        assert!(!refuses("[2] The office opens at nine."));
    }

    #[test]
    fn arguments_are_compared_by_what_they_mean() {
        assert!(same(&json!({"city": "New York", "days": 3.0}), &json!({"days": 3, "city": "new york"})));
        assert!(!same(&json!({"city": "Oslo", "unit": "c"}), &json!({"city": "Oslo"})));
        assert!(!same(&json!({"on": "true"}), &json!({"on": true})));
        assert!(same(&json!({"to": ["Ann", "Bo"]}), &json!({"to": ["ann", "bo"]})));
    }
}
