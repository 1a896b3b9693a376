//! The grammar of an answer in the passages' own words: `[n] ` and then consecutive sentences of
//! passage `n`, verbatim. A small model then only chooses; it can neither misquote nor invent.

use crate::protocol::frames::Quotes;
use std::fmt::Write;

/// GBNF with the root rule `root`.
pub fn grammar(quotes: &Quotes) -> String {
    let mut rules = String::new();
    let mut roots = vec![literal(&quotes.otherwise)];
    for (n, passage) in quotes.passages.iter().enumerate() {
        let starts: Vec<String> = (0..passage.len()).map(|s| format!("s{n}x{s}")).collect();
        if starts.is_empty() {
            continue;
        }
        roots.push(format!("{} ( {} )", literal(&format!("[{}] ", n + 1)), starts.join(" | ")));
        for (s, sentence) in passage.iter().enumerate() {
            let _ = write!(rules, "s{n}x{s} ::= {}", literal(&sentence.text));
            if s + 1 < passage.len() {
                let _ = write!(rules, " ( {} s{n}x{} )?", literal(&sentence.gap), s + 1);
            }
            rules.push('\n');
        }
    }
    format!("root ::= {}\n{rules}", roots.join(" | "))
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
    use crate::protocol::frames::Sentence;

    fn sentence(text: &str, gap: &str) -> Sentence {
        Sentence { text: text.into(), gap: gap.into() }
    }

    #[test]
    fn every_sentence_may_begin_and_runs_go_on_to_the_passages_end() {
        let quotes = Quotes {
            passages: vec![
                vec![sentence("A.", "\n"), sentence("B \"x\" \\.", "")],
                vec![],
                vec![sentence("C", "")],
            ],
            otherwise: "None.".into(),
        };
        assert_eq!(
            grammar(&quotes),
            "root ::= \"None.\" | \"[1] \" ( s0x0 | s0x1 ) | \"[3] \" ( s2x0 )\n\
             s0x0 ::= \"A.\" ( \"\\n\" s0x1 )?\n\
             s0x1 ::= \"B \\\"x\\\" \\\\.\"\n\
             s2x0 ::= \"C\"\n"
        );
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
