//! The last word of a query that is still being typed, completed by the words of the index. Reads the index only.

use super::IndexError;
use super::query::analyze;
use super::text::Fields;
use std::collections::HashMap;
use tantivy::{Searcher, Term};

/// Shorter beginnings stand for too many words to guess one.
const LEAST: usize = 3;
/// Letters that a typed word may have past its stem, as "configuri" has past "configur".
const PAST_STEM: usize = 3;
/// Words looked at for one beginning, in each segment and field.
const LOOKED_AT: usize = 2_000;

/// The query with its last word completed, if that is no whole word of the index.
pub(super) fn complete(searcher: &Searcher, fields: &Fields, query: &str) -> Result<String, IndexError> {
    let begun = query.rfind(|c: char| !c.is_alphanumeric()).map_or(0, |at| at + next(query, at));
    let (before, word) = query.split_at(begun);
    if word.chars().count() < LEAST || known(searcher, fields, word)? {
        return Ok(query.to_owned());
    }
    let typed = word.to_lowercase();
    let mut stem = typed.as_str();
    for _ in 0..=PAST_STEM {
        if stem.chars().count() < LEAST {
            break;
        }
        if let Some(whole) = commonest(searcher, fields, stem, stem.len() == typed.len())? {
            return Ok(format!("{before}{whole}"));
        }
        stem = &stem[..stem.char_indices().last().map_or(0, |(at, _)| at)];
    }
    Ok(query.to_owned())
}

/// Bytes of the character at `at`.
fn next(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(0, char::len_utf8)
}

/// Whether the word's own term is in the index.
fn known(searcher: &Searcher, fields: &Fields, word: &str) -> Result<bool, IndexError> {
    let Some((_, term)) = analyze(word).pop() else { return Ok(true) };
    for field in [fields.text, fields.names] {
        if searcher.doc_freq(&Term::from_field_text(field, &term))? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The term in most passages that begins with `beginning`, or, if not `longer`, that is just this.
fn commonest(
    searcher: &Searcher,
    fields: &Fields,
    beginning: &str,
    longer: bool,
) -> Result<Option<String>, IndexError> {
    let mut counted: HashMap<Vec<u8>, u64> = HashMap::new();
    for segment in searcher.segment_readers() {
        for field in [fields.text, fields.names] {
            let inverted = segment.inverted_index(field)?;
            let mut terms = inverted.terms().range().ge(beginning).into_stream().map_err(unreadable)?;
            for _ in 0..LOOKED_AT {
                if !terms.advance() || !terms.key().starts_with(beginning.as_bytes()) {
                    break;
                }
                if longer || terms.key() == beginning.as_bytes() {
                    *counted.entry(terms.key().to_vec()).or_default() += u64::from(terms.value().doc_freq);
                }
            }
        }
    }
    // Of equally common ones the first in the alphabet, so that the same is found each time.
    let best = counted.into_iter().max_by(|(a, x), (b, y)| x.cmp(y).then(b.cmp(a)));
    Ok(best.and_then(|(term, _)| String::from_utf8(term).ok()))
}

fn unreadable(error: std::io::Error) -> IndexError {
    IndexError::Store(error.to_string())
}
