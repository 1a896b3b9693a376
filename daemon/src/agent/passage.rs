//! Choosing the part of a text that matters: sentences, the window around a question's words, and the
//! sentence that an answer was taken from. Pure text work on Unicode borders.

use crate::protocol::frames::Sentence;
use crate::types::Passage;
use std::collections::HashSet;
use std::ops::Range;

/// Cuts a passage to the run of sentences, `max_chars` at most, that shares most words with the
/// question. A sentence alone longer than that is cut at a word.
pub fn narrow(passage: &mut Passage, question: &str, max_chars: usize) {
    if passage.text.chars().count() <= max_chars {
        return;
    }
    let range = window(&passage.text, question, max_chars);
    let exact = passage.end.saturating_sub(passage.start) == passage.text.len() as u64;
    passage.line += passage.text[..range.start].matches('\n').count() as u32;
    if exact {
        passage.end = passage.start + range.end as u64;
        passage.start += range.start as u64;
    }
    passage.text = passage.text[range].to_owned();
}

/// The best run of sentences of at most `max_chars` characters, as a byte range.
fn window(text: &str, question: &str, max_chars: usize) -> Range<usize> {
    let wanted = words(question);
    let sentences = sentences(text);
    let mut best = (0, 0..0);
    for (first, start) in sentences.iter().map(|s| s.start).enumerate() {
        let mut found = HashSet::new();
        let mut end = start;
        for sentence in &sentences[first..] {
            if text[start..sentence.end].chars().count() > max_chars {
                break;
            }
            end = sentence.end;
            found.extend(words(&text[sentence.clone()]).into_iter().filter(|word| wanted.contains(word)));
        }
        // Rarer coincidences of long words say more than of short ones.
        let score: usize = found.iter().map(|word| word.chars().count()).sum();
        if end > start && (score > best.0 || best.1.is_empty()) {
            best = (score, start..end);
        }
    }
    if best.1.is_empty() { first_words(text, max_chars) } else { best.1 }
}

fn first_words(text: &str, max_chars: usize) -> Range<usize> {
    let end = text.char_indices().nth(max_chars).map_or(text.len(), |(at, _)| at);
    let at_word = text[..end].rfind(char::is_whitespace).filter(|at| *at > 0).unwrap_or(end);
    0..at_word
}

/// Byte ranges of a text's sentences: they end at `.`, `!`, `?` before white space, and at an empty
/// line, after a Markdown heading, and before a line that begins a list item. No range is empty and white space around them is left out.
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        let ends = match c {
            // Not after the number of a list item.
            '.' | '!' | '?' => next.is_none_or(char::is_whitespace) && text[start..at].trim().len() > 2,
            '。' | '！' | '？' => true,
            '\n' => begins_block(&text[at + 1..]) || is_heading(text[start..at].trim_start()),
            _ => false,
        };
        if ends {
            push_trimmed(text, start..at + c.len_utf8(), &mut ranges);
            start = at + c.len_utf8();
        }
    }
    push_trimmed(text, start..text.len(), &mut ranges);
    ranges
}

/// A text's sentences with what stands between them.
pub fn quotable(text: &str) -> Vec<Sentence> {
    let ranges = sentences(text);
    let next = ranges.iter().skip(1).map(|range| range.start).chain([text.len()]);
    let mut sentences: Vec<Sentence> = ranges
        .iter()
        .zip(next)
        .map(|(range, next)| Sentence {
            text: text[range.clone()].into(),
            gap: text[range.end..next].into(),
            begins: tells(&text[range.clone()]),
        })
        .collect();
    if sentences.iter().all(|sentence| !sentence.begins) {
        sentences.iter_mut().for_each(|sentence| sentence.begins = true);
    }
    sentences
}

/// Whether a sentence can be an answer's first: not a question, a heading's marks or a rule.
fn tells(sentence: &str) -> bool {
    let letters = sentence.chars().filter(|c| c.is_alphabetic()).count();
    let question = sentence.ends_with('?') || sentence.starts_with("Q:") || sentence.starts_with("Q.");
    !question && !sentence.starts_with('#') && letters * 2 > sentence.chars().count()
}

/// Whether one of the passages has most of what the question's words say, long words counting more.
pub fn covered(question: &str, passages: &[Passage]) -> bool {
    let asked = words(question);
    let weight = |words: &mut dyn Iterator<Item = &String>| words.map(|w| w.chars().count()).sum::<usize>();
    let all = weight(&mut asked.iter());
    passages.iter().any(|passage| {
        let said = words(&format!("{} {} {}", passage.path, passage.breadcrumb, passage.text));
        2 * weight(&mut asked.intersection(&said)) >= all.max(1)
    })
}

fn begins_block(rest: &str) -> bool {
    let line = rest.split('\n').next().unwrap_or_default().trim_start();
    let marker = line.split(' ').next().unwrap_or_default();
    line.is_empty()
        || is_heading(line)
        || matches!(marker, "-" | "*" | "+" | "o")
        || marker.strip_suffix(['.', ')', ':']).is_some_and(|n| n.parse::<u32>().is_ok())
}

/// Markdown, from the second level on: one `#` begins a comment as often.
fn is_heading(line: &str) -> bool {
    line.starts_with("##")
}

fn push_trimmed(text: &str, range: Range<usize>, into: &mut Vec<Range<usize>>) {
    let slice = &text[range.clone()];
    let start = range.start + (slice.len() - slice.trim_start().len());
    let end = range.start + slice.trim_end().len();
    if start < end {
        into.push(start..end);
    }
}

/// Lower-case words of three letters or more, without plural endings: enough to compare texts by.
pub fn words(text: &str) -> HashSet<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.chars().count() > 2)
        .map(|word| {
            let word = word.to_lowercase();
            word.strip_suffix('s').filter(|stem| stem.chars().count() > 3).map_or(word.clone(), str::to_owned)
        })
        .filter(|word| !COMMON.contains(&word.as_str()))
        .collect()
}

/// Words that questions are made of and that say nothing of what is asked.
const COMMON: [&str; 32] = [
    "the", "and", "for", "are", "what", "how", "where", "when", "who", "which", "why", "does", "that",
    "this", "with", "from", "was", "were", "can", "you", "your", "has", "have", "had", "not", "but", "all",
    "any", "its", "did", "about", "into",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn passage(text: &str) -> Passage {
        Passage {
            path: "/notes/a.txt".into(),
            title: String::new(),
            breadcrumb: String::new(),
            text: text.into(),
            start: 100,
            end: 100 + text.len() as u64,
            line: 7,
            page: None,
            hash: String::new(),
            score: 1.0,
        }
    }

    #[test]
    fn sentences_end_at_stops_empty_lines_and_list_items() {
        let text = "One here. Two v1.2 there!\n\nThree\ncontinues\n- four\n2. five\n## Six\nseven";
        let found: Vec<&str> = sentences(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(
            found,
            ["One here.", "Two v1.2 there!", "Three\ncontinues", "- four", "2. five", "## Six", "seven"]
        );
    }

    #[test]
    fn the_window_is_where_the_questions_words_are() {
        let mut passage = passage("Apples are red.\nThe backup runs at two in the night.\nPears are green.");
        narrow(&mut passage, "When does the backup run?", 40);
        assert_eq!(passage.text, "The backup runs at two in the night.");
        assert_eq!((passage.start, passage.end, passage.line), (116, 152, 8));
    }

    #[test]
    fn a_sentence_without_end_is_cut_at_a_word() {
        let mut long = passage(&"word ".repeat(100));
        narrow(&mut long, "other", 32);
        assert_eq!(long.text, "word word word word word word");
    }

    proptest! {
        #[test]
        fn any_text_is_narrowed_within_bounds(text in ".{0,300}", question in ".{0,40}", max in 1usize..80) {
            let mut narrowed = passage(&text);
            narrow(&mut narrowed, &question, max);
            prop_assert!(narrowed.text.chars().count() <= max);
            prop_assert!(text.contains(&narrowed.text));
        }
    }
}
