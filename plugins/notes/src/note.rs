//! What a note is: its number, its text, how it is found. Pure.

use familiar_sdk::serde::Serialize;
use familiar_sdk::{Error, Result};

/// Before the number, in the store.
pub const PREFIX: &str = "note/";
/// Characters of a note.
const LONGEST: usize = 20_000;
/// Characters of its line in a list.
const LINE: usize = 80;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(crate = "familiar_sdk::serde")]
pub struct Note {
    pub number: u32,
    pub text: String,
}

/// Keys sort as numbers do.
pub fn key(number: u32) -> String {
    format!("{PREFIX}{number:010}")
}

pub fn number(key: &str) -> Option<u32> {
    key.strip_prefix(PREFIX)?.parse().ok()
}

/// A text worth keeping.
pub fn checked(text: &str) -> Result<String> {
    let text = text.trim();
    let length = text.chars().count();
    if text.is_empty() {
        return Err(Error::invalid("the note is empty: give it a text"));
    }
    if length > LONGEST {
        return Err(Error::invalid(format!(
            "the note has {length} characters and may have {LONGEST}: keep the gist, or write two"
        )));
    }
    Ok(text.to_owned())
}

impl Note {
    /// Whether it holds all the words, in whatever case.
    pub fn holds(&self, words: &str) -> bool {
        let text = self.text.to_lowercase();
        words.to_lowercase().split_whitespace().all(|word| text.contains(word))
    }

    /// Its first line, cut where it is long.
    pub fn line(&self) -> String {
        let first = self.text.lines().next().unwrap_or_default();
        let cut: String = first.chars().take(LINE).collect();
        let more = cut.len() < self.text.len();
        if more { format!("{cut}...") } else { cut }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(text: &str) -> Note {
        Note { number: 1, text: text.into() }
    }

    #[test]
    fn words_are_found_in_any_order_and_case() {
        let note = note("Müller: call back about the ROOF");
        assert!(note.holds("roof müller"));
        assert!(note.holds("MÜLL"));
        assert!(note.holds(""));
        assert!(!note.holds("roof garden"));
    }

    #[test]
    fn a_line_is_short_and_tells_of_more() {
        assert_eq!(note("milk").line(), "milk");
        assert_eq!(note("milk\nbread").line(), "milk...");
        assert_eq!(note(&"ü".repeat(81)).line().chars().count(), 83);
    }

    #[test]
    fn keys_sort_as_their_numbers() {
        let mut keys = [key(10), key(9), key(u32::MAX)];
        keys.sort();
        assert_eq!(keys.map(|key| number(&key).unwrap()), [9, 10, u32::MAX]);
        assert_eq!(number("last"), None);
        assert_eq!(number("note/x"), None);
    }

    #[test]
    fn empty_and_endless_notes_are_refused() {
        assert!(checked(" \n").is_err());
        assert!(checked(&"x".repeat(20_001)).is_err());
        assert_eq!(checked(" a ").unwrap(), "a");
    }
}
