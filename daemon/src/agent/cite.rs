//! From `[n]` in an answer to the words of the file that stand behind it.

use super::passage::{sentences, words};
use crate::types::{Citation, Passage};
use std::collections::HashSet;

/// The longest quote, in characters.
const QUOTE: usize = 300;
/// Characters of shared words beyond which more of them say no more: an answer may quote whole paragraphs.
const ENOUGH: usize = 40;

/// One citation for each passage that the answer refers to, in the order of first mention. Numbers
/// without a passage are ignored: a model may invent them, a citation may not.
pub fn citations(question: &str, answer: &str, passages: &[Passage]) -> Vec<Citation> {
    let mut citations: Vec<Citation> = Vec::new();
    for n in numbers(answer) {
        let Some(passage) = (n as usize).checked_sub(1).and_then(|at| passages.get(at)) else { continue };
        if citations.iter().all(|citation| citation.n != n) {
            citations.push(citation(n, passage, question, answer));
        }
    }
    citations
}

/// Numbers in square brackets: `[1]`, `[2, 3]`.
fn numbers(answer: &str) -> Vec<u32> {
    answer
        .split('[')
        .skip(1)
        .filter_map(|rest| rest.split_once(']'))
        .flat_map(|(inside, _)| inside.split(',').map(|n| n.trim().parse().ok()).collect::<Vec<_>>())
        .flatten()
        .collect()
}

/// Quotes the sentence of the passage that shares most words with the answer, those that were asked
/// for counting most.
fn citation(n: u32, passage: &Passage, question: &str, answer: &str) -> Citation {
    let (asked, said) = (words(question), words(answer));
    let length = |words: &mut dyn Iterator<Item = &String>| words.map(|w| w.chars().count()).sum::<usize>();
    let shared = |text: &str| {
        let used: HashSet<String> = words(text).intersection(&said).cloned().collect();
        length(&mut used.iter()).min(ENOUGH) + 2 * length(&mut used.intersection(&asked))
    };
    let mut best = (0, 0..passage.text.len());
    for range in sentences(&passage.text) {
        let score = shared(&passage.text[range.clone()]);
        if score > best.0 {
            best = (score, range);
        }
    }
    let range = best.1;
    let exact = passage.end.saturating_sub(passage.start) == passage.text.len() as u64;
    let (start, end) = if exact {
        (passage.start + range.start as u64, passage.start + range.end as u64)
    } else {
        (passage.start, passage.end)
    };
    let before = passage.text[..range.start].matches('\n').count() as u32;
    Citation {
        n,
        path: passage.path.clone(),
        start,
        end,
        line: passage.line + before,
        page: passage.page,
        hash: passage.hash.clone(),
        quote: passage.text[range].chars().take(QUOTE).collect(),
        stale: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passages() -> Vec<Passage> {
        let text = "Keys hang by the door.\nThe wifi is called Heron.";
        vec![Passage {
            path: "/home/a/notes.md".into(),
            title: "Notes".into(),
            breadcrumb: String::new(),
            text: text.into(),
            start: 10,
            end: 10 + text.len() as u64,
            line: 3,
            page: None,
            hash: "00".into(),
            score: 1.0,
        }]
    }

    #[test]
    fn the_quote_is_the_sentence_that_was_used() {
        let found = citations("What is the wifi called?", "The wifi is called Heron [1].", &passages());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].quote, "The wifi is called Heron.");
        assert_eq!((found[0].start, found[0].end, found[0].line), (33, 58, 4));
    }

    #[test]
    fn of_a_whole_passage_what_was_asked_is_quoted() {
        let answer = "[1] Keys hang by the door.\nThe wifi is called Heron.";
        let found = citations("Where are the keys?", answer, &passages());
        assert_eq!(found[0].quote, "Keys hang by the door.");
    }

    #[test]
    fn invented_and_repeated_numbers_cite_nothing_more() {
        assert_eq!(
            citations("?", "[1] and [1], [0], [7], [x], [], [1, 9] [99999999999]", &passages()).len(),
            1
        );
        assert!(citations("?", "[", &passages()).is_empty());
        assert!(citations("?", "no number", &[]).is_empty());
    }
}
