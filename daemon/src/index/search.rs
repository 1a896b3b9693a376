//! Finding passages: BM25 over text, headings, titles and file names picks candidates, which are then
//! weighed by how many of the question's words they hold, and how close together. Reads the index only.

use super::query::{self, Query};
use super::text::{self, Entry, Fields};
use super::{FileText, Hit, IndexError, MAX_READ};
use crate::protocol::frames::Extracted;
use crate::types::Passage;
use std::collections::{HashMap, HashSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, BoostQuery, ConstScoreQuery, Occur, PhraseQuery, RangeQuery, TermQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::{IndexReader, Searcher, Term};

/// Passages looked at closely.
const CANDIDATES: usize = 100;
/// Passages of one file among the hits.
const PER_FILE: usize = 3;
const SNIPPET: usize = 200;
/// What a passage of a change log counts. Such a file speaks of everything in passing, and of what was
/// rather than what is; half of a system's documentation is made of them.
const CHANGE_LOG: f32 = 0.7;
/// Terms of questions that a change log answers.
const OF_CHANGE: [&str; 8] = ["changelog", "chang", "histori", "version", "releas", "fix", "bug", "remov"];

/// What counts how much. Set by measuring on judged questions: see `measure.rs`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights {
    /// A word in each place, beside one in the text.
    pub title: f32,
    pub breadcrumb: f32,
    pub names: f32,
    /// How much a passage that holds all words gains over one that holds none.
    pub coverage: f32,
    /// How much a passage gains in which all words stand one after the other as they were said.
    pub adjacency: f32,
}

pub(super) const WEIGHTS: Weights =
    Weights { title: 0.6, breadcrumb: 0.4, names: 0.6, coverage: 2.5, adjacency: 0.6 };

/// The best `k` passages, best first. `below` are the folders and files that count; none means all.
pub(super) fn search(
    reader: &IndexReader,
    fields: &Fields,
    text: &str,
    k: usize,
    below: &[PathBuf],
) -> Result<Vec<Hit>, IndexError> {
    weighed(reader, fields, text, k, below, &WEIGHTS)
}

pub(super) fn weighed(
    reader: &IndexReader,
    fields: &Fields,
    text: &str,
    k: usize,
    below: &[PathBuf],
    weights: &Weights,
) -> Result<Vec<Hit>, IndexError> {
    let query = query::parse(text);
    if query.terms.is_empty() || k == 0 {
        return Ok(Vec::new());
    }
    let searcher = reader.searcher();
    let wanted = within(fields, boolean(fields, &query, weights), below);
    let found = searcher.search(&wanted, &TopDocs::with_limit(CANDIDATES.max(k * 2)).order_by_score())?;
    let rarity = rarity(&searcher, fields, &query)?;
    let of_change = query.terms.iter().any(|term| OF_CHANGE.contains(&term.as_str()));
    let mut scored = Vec::with_capacity(found.len());
    for (score, address) in found {
        let entry = text::entry(fields, &searcher, address)?;
        let kind = if !of_change && is_change_log(&entry.path) { CHANGE_LOG } else { 1.0 };
        scored.push((score * kind * closeness(&entry, &query, &rarity, weights), entry));
    }
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    Ok(distinct(scored, k).into_iter().map(|(score, entry)| hit(score, entry, &query)).collect())
}

fn is_change_log(path: &str) -> bool {
    let name = Path::new(path).file_name().map(|name| name.to_string_lossy().to_lowercase());
    name.is_some_and(|name| {
        let stem = name.split('.').next().unwrap_or_default();
        matches!(stem, "changelog" | "changes")
    })
}

fn boolean(fields: &Fields, query: &Query, weights: &Weights) -> BooleanQuery {
    let mut clauses: Vec<(Occur, Box<dyn tantivy::query::Query>)> = Vec::new();
    for term in &query.terms {
        for (field, weight) in [
            (fields.text, 1.0),
            (fields.title, weights.title),
            (fields.breadcrumb, weights.breadcrumb),
            (fields.names, weights.names),
        ] {
            let exact = TermQuery::new(Term::from_field_text(field, term), IndexRecordOption::WithFreqs);
            clauses.push((Occur::Should, Box::new(BoostQuery::new(Box::new(exact), weight))));
        }
    }
    for phrase in &query.phrases {
        let terms =
            phrase.iter().map(|(place, term)| (*place, Term::from_field_text(fields.text, term))).collect();
        clauses.push((Occur::Must, Box::new(PhraseQuery::new_with_offset(terms))));
    }
    BooleanQuery::new(clauses)
}

/// Only passages of files at or below these places, without a change to their scores.
fn within(fields: &Fields, wanted: BooleanQuery, below: &[PathBuf]) -> BooleanQuery {
    if below.is_empty() {
        return wanted;
    }
    let term = |path: &str| Term::from_field_text(fields.path, path);
    let places = below.iter().flat_map(|place| {
        let place = place.to_string_lossy();
        let (from, to) = super::catalog::range(&place);
        let inside = RangeQuery::new(Bound::Included(term(&from)), Bound::Excluded(term(&to)));
        let itself = TermQuery::new(term(&place), IndexRecordOption::Basic);
        let either: [Box<dyn tantivy::query::Query>; 2] = [Box::new(inside), Box::new(itself)];
        either.map(|query| (Occur::Should, query))
    });
    let places = ConstScoreQuery::new(Box::new(BooleanQuery::new(places.collect())), 0.0);
    BooleanQuery::new(vec![(Occur::Must, Box::new(wanted)), (Occur::Must, Box::new(places))])
}

/// What each term weighs: the rarer in the texts, the more.
fn rarity(searcher: &Searcher, fields: &Fields, query: &Query) -> Result<HashMap<String, f32>, IndexError> {
    let total = searcher.num_docs() as f32 + 1.0;
    let mut rarity = HashMap::new();
    for term in &query.terms {
        let frequency = searcher.doc_freq(&Term::from_field_text(fields.text, term))? as f32;
        rarity.insert(term.clone(), (1.0 + (total - frequency + 0.5).max(0.5) / (frequency + 0.5)).ln());
    }
    Ok(rarity)
}

/// At least 1: how much of the question's weight stands in the passage or its headings, and how
/// many words that were said one after the other stand so in the passage.
fn closeness(entry: &Entry, query: &Query, rarity: &HashMap<String, f32>, weights: &Weights) -> f32 {
    let body = query::analyze(&entry.text);
    let around = query::analyze(&format!("{} {}", entry.title, entry.breadcrumb));
    let present: HashSet<&str> = body.iter().chain(&around).map(|(_, term)| term.as_str()).collect();
    let weight = |term: &str| rarity.get(term).copied().unwrap_or_default();
    let all: f32 = query.terms.iter().map(|t| weight(t)).sum();
    let held: f32 = query.terms.iter().filter(|t| present.contains(t.as_str())).map(|t| weight(t)).sum();
    let coverage = held / all.max(f32::EPSILON);
    let neighbours: HashSet<(&str, &str)> = body
        .windows(2)
        .filter(|pair| pair[1].0 - pair[0].0 <= 2)
        .map(|pair| (pair[0].1.as_str(), pair[1].1.as_str()))
        .collect();
    let said: Vec<(&str, &str)> = query.sequence.windows(2).map(|w| (w[0].as_str(), w[1].as_str())).collect();
    let kept = said.iter().filter(|pair| neighbours.contains(pair)).count();
    let adjacency = if said.is_empty() { 0.0 } else { kept as f32 / said.len() as f32 };
    1.0 + weights.coverage * coverage + weights.adjacency * adjacency
}

/// The best `k` without the same words twice and without one file taking all places.
fn distinct(scored: Vec<(f32, Entry)>, k: usize) -> Vec<(f32, Entry)> {
    let mut per_file: HashMap<String, usize> = HashMap::new();
    let mut seen: HashSet<blake3::Hash> = HashSet::new();
    let mut kept = Vec::new();
    for (score, entry) in scored {
        if kept.len() == k {
            break;
        }
        let count = per_file.entry(entry.path.clone()).or_default();
        if *count < PER_FILE && seen.insert(blake3::hash(entry.text.as_bytes())) {
            *count += 1;
            kept.push((score, entry));
        }
    }
    kept
}

fn hit(score: f32, entry: Entry, query: &Query) -> Hit {
    let snippet = snippet(&entry.text, query);
    let passage = Passage {
        path: entry.path,
        title: entry.title,
        breadcrumb: entry.breadcrumb,
        text: entry.text,
        start: entry.start,
        end: entry.end,
        line: entry.line,
        page: entry.page,
        hash: entry.hash,
        score,
    };
    Hit { passage, snippet }
}

/// Some [`SNIPPET`] bytes of the text, where most of the query's words stand, on one line.
fn snippet(text: &str, query: &Query) -> String {
    let mut places: Vec<(usize, String)> = Vec::new();
    let mut analyzer = text::analyzer();
    analyzer.token_stream(text).process(&mut |token| {
        if query.terms.contains(&token.text) {
            places.push((token.offset_from, token.text.clone()));
        }
    });
    let distinct_from = |from: usize| {
        let near = places.iter().filter(|(at, _)| (from..from + SNIPPET).contains(at));
        near.map(|(_, term)| term.as_str()).collect::<HashSet<_>>().len()
    };
    // The earliest of the best windows.
    let best = places.iter().rev().max_by_key(|(at, _)| distinct_from(*at)).map_or(0, |(at, _)| *at);
    let start = word_start(text, best.saturating_sub(SNIPPET / 5));
    let end = text.floor_char_boundary((start + SNIPPET).min(text.len()));
    let end = if end == text.len() { end } else { text[start..end].rfind(' ').map_or(end, |at| start + at) };
    let words: Vec<&str> = text[start..end].split_whitespace().collect();
    let (before, after) = (if start > 0 { "…" } else { "" }, if end < text.len() { "…" } else { "" });
    format!("{before}{}{after}", words.join(" "))
}

fn word_start(text: &str, at: usize) -> usize {
    let at = text.floor_char_boundary(at);
    text[..at].rfind(char::is_whitespace).map_or(0, |blank| text.ceil_char_boundary(blank + 1))
}

/// `start..end` of an extracted file, in bytes of its decoded content.
pub(super) fn stretch(path: &Path, extracted: Extracted, start: u64, end: u64) -> FileText {
    let text = &extracted.text;
    let total = text::source(&extracted.map, text.len() as u64);
    let wanted = if end == 0 { u64::MAX } else { end };
    let from =
        text.floor_char_boundary((text::target(&extracted.map, start.min(total)) as usize).min(text.len()));
    let to = (text::target(&extracted.map, wanted.min(total)) as usize).min(text.len());
    let to = text.floor_char_boundary(to.min(from + MAX_READ as usize).max(from));
    let breaks = text[..from].bytes().filter(|b| *b == b'\n').count() as u32;
    // Where text and content differ, the nearest passage knows the content's line.
    let near = extracted.chunks.iter().rev().find(|chunk| chunk.start as usize <= from);
    let line = match near {
        Some(chunk) if !extracted.map.is_empty() => {
            let between = text[chunk.start as usize..from].bytes().filter(|b| *b == b'\n').count();
            chunk.line + between as u32
        }
        _ => breaks + 1,
    };
    FileText {
        path: path.to_string_lossy().into_owned(),
        title: extracted.title.clone(),
        text: text[from..to].to_string(),
        start: text::source(&extracted.map, from as u64),
        end: text::source(&extracted.map, to as u64),
        line,
        total,
        hash: extracted.hash.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snippets_stand_where_the_words_are() {
        let text =
            format!("{} The quick brown fox jumps over the dog. {}", "lead ".repeat(60), "tail ".repeat(60));
        let snippet = snippet(&text, &query::parse("brown fox"));
        assert!(
            snippet.contains("quick brown fox") && snippet.starts_with('…') && snippet.ends_with('…'),
            "{snippet}"
        );
        assert!(snippet.len() < SNIPPET + 20);
        let wide = "日本語".repeat(200);
        assert!(!super::snippet(&wide, &query::parse("日本語")).is_empty());
    }

    #[test]
    fn change_logs_are_known_by_name() {
        for name in ["/a/changelog.Debian.gz", "/a/ChangeLog", "/a/CHANGELOG.md", "/a/CHANGES.txt"] {
            assert!(is_change_log(name), "{name}");
        }
        for name in ["/changelog/README", "/a/NEWS.gz", "/a/changelogs-explained.md"] {
            assert!(!is_change_log(name), "{name}");
        }
        let terms = query::parse("when was the option removed or fixed in the version history").terms;
        for term in ["remov", "fix", "version", "histori"] {
            assert!(terms.iter().any(|t| t == term) && OF_CHANGE.contains(&term), "{terms:?}");
        }
    }

    #[test]
    fn a_stretch_is_cut_at_characters_and_at_the_limit() {
        let text = "ä".repeat(40_000);
        let extracted = Extracted { text, ..Extracted::default() };
        let part = stretch(Path::new("/a"), extracted.clone(), 1, 0);
        assert_eq!((part.start, part.end, part.total), (0, MAX_READ, 80_000));
        let part = stretch(Path::new("/a"), extracted, 90_000, 95_000);
        assert!(part.text.is_empty());
    }
}
