//! The grammar of an answer in the passages' own words: `[n] ` and then consecutive sentences of
//! passage `n`, verbatim. A small model then only chooses; it can neither misquote nor invent.

use crate::protocol::frames::{Quotes, Sentence};
use std::fmt::Write;

/// GBNF with the root rule `quoted`. Rule `sNxS` is an answer that begins with sentence S of passage N,
/// `cNxS` one that goes on with it.
pub fn grammar(quotes: &Quotes) -> String {
    let mut rules = String::new();
    let mut roots: Vec<String> = quotes.otherwise.iter().map(|text| literal(text)).collect();
    for (n, passage) in quotes.passages.iter().enumerate().filter(|(_, passage)| !passage.is_empty()) {
        let starts: Vec<String> =
            (0..passage.len()).filter(|s| passage[*s].begins).map(|s| format!("s{n}x{s}")).collect();
        if starts.is_empty() {
            continue;
        }
        roots.push(format!("{} ( {} )", literal(&format!("[{}] ", n + 1)), starts.join(" | ")));
        for s in 0..passage.len() {
            let (text, end) = run(passage, s, quotes.at_least as usize);
            let _ = writeln!(rules, "s{n}x{s} ::= {}{}", literal(&text), more(passage, n, end));
            let _ = writeln!(rules, "c{n}x{s} ::= {}{}", literal(&passage[s].text), more(passage, n, s));
        }
    }
    format!("quoted ::= {}\n{rules}", roots.join(" | "))
}

/// The sentences from `first` on that make up `at_least` characters, or end their section, and the last
/// one's place.
fn run(passage: &[Sentence], first: usize, at_least: usize) -> (String, usize) {
    let mut text = passage[first].text.clone();
    let mut last = first;
    // Not into the next section.
    let goes_on = |last: usize| passage.get(last + 1).is_some_and(|next| !next.text.starts_with("##"));
    while goes_on(last) && text.chars().count() < at_least {
        text.push_str(&passage[last].gap);
        last += 1;
        text.push_str(&passage[last].text);
    }
    (text, last)
}

fn more(passage: &[Sentence], n: usize, s: usize) -> String {
    if s + 1 == passage.len() {
        return String::new();
    }
    format!(" ( {} c{n}x{} )?", literal(&passage[s].gap), s + 1)
}

/// A GBNF string. Control characters are escaped, so that no text can end the literal.
fn literal(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(quoted, "\\x{:02X}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(text: &str, gap: &str) -> Sentence {
        Sentence { text: text.into(), gap: gap.into(), begins: true }
    }

    #[test]
    fn every_sentence_may_begin_and_runs_go_on_to_the_passages_end() {
        let quotes = Quotes {
            passages: vec![
                vec![sentence("A.", "\n"), sentence("B \"x\" \\.", "")],
                vec![],
                vec![sentence("C", "")],
            ],
            otherwise: Some("None.".into()),
            at_least: 0,
            free: false,
        };
        assert_eq!(
            grammar(&quotes),
            "quoted ::= \"None.\" | \"[1] \" ( s0x0 | s0x1 ) | \"[3] \" ( s2x0 )\n\
             s0x0 ::= \"A.\" ( \"\\n\" c0x1 )?\n\
             c0x0 ::= \"A.\" ( \"\\n\" c0x1 )?\n\
             s0x1 ::= \"B \\\"x\\\" \\\\.\"\n\
             c0x1 ::= \"B \\\"x\\\" \\\\.\"\n\
             s2x0 ::= \"C\"\n\
             c2x0 ::= \"C\"\n"
        );
    }

    #[test]
    fn a_short_sentence_takes_the_next_ones_along() {
        let passage = [sentence("A.", " "), sentence("Bb.", "\n"), sentence("C.", "")];
        assert_eq!(run(&passage, 0, 0), ("A.".into(), 0));
        assert_eq!(run(&passage, 0, 3), ("A. Bb.".into(), 1));
        assert_eq!(run(&passage, 0, 99), ("A. Bb.\nC.".into(), 2));
    }

    #[test]
    fn no_character_ends_a_literal() {
        for c in (0u32..0x300).filter_map(char::from_u32) {
            let quoted = literal(&c.to_string());
            let inside = &quoted[1..quoted.len() - 1];
            assert!(!inside.chars().any(|c| (c as u32) < 0x20), "{c:?}");
            assert!(inside != "\"" && inside != "\\", "{c:?}");
        }
    }
}
