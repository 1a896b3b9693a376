//! A person's words to index terms. Every text is a valid query: what means nothing is left out.

use super::text::analyzer;
use std::collections::HashSet;

/// Words of questions that say nothing of what is asked about. The analyzer's own stop words are
/// left out before; these are left out only while other words remain.
const QUESTION_WORDS: &[&str] = &[
    "what", "which", "who", "whom", "whose", "when", "where", "why", "how", "does", "do", "did", "can",
    "could", "should", "would", "shall", "may", "might", "must", "am", "were", "been", "being", "has",
    "have", "had", "i", "me", "my", "mine", "we", "our", "us", "you", "your", "he", "she", "his", "her",
    "them", "from", "about", "please", "tell", "explain", "show", "find", "give", "say", "says", "said",
    "mean", "means", "there", "any", "some", "so", "than", "too", "very", "just", "also", "get", "got",
    "let", "want", "need", "much", "many", "s", "t", "its", "own", "out", "up", "use", "used", "using",
    "kind", "called", "name",
];

/// Longer queries are cut: nobody asks with more, and a pasted book should not search for an hour.
const MAX_TERMS: usize = 48;
const MAX_BYTES: usize = 16 << 10;
/// Quoted phrases, and words of each: an index is asked for every one of them.
const MAX_PHRASES: usize = 8;
const MAX_PHRASE: usize = 24;

/// What to look for, as terms of the index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// Distinct terms in the order in which they were first said.
    pub terms: Vec<String>,
    /// The same in the order said, with repeats: what follows what.
    pub sequence: Vec<String>,
    /// Quoted phrases of two words or more; each with the places of its words.
    pub phrases: Vec<Vec<(usize, String)>>,
}

/// Takes a query apart.
pub(super) fn parse(text: &str) -> Query {
    let text = &text[..text.floor_char_boundary(MAX_BYTES)];
    let question: HashSet<&str> = QUESTION_WORDS.iter().copied().collect();
    let words = |keep: &dyn Fn(&str) -> bool| -> Vec<String> {
        let kept: Vec<&str> = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|w| !w.is_empty() && keep(&w.to_lowercase()))
            .collect();
        analyze(&kept.join(" ")).into_iter().map(|(_, term)| term).take(MAX_TERMS).collect()
    };
    let mut sequence = words(&|word| !question.contains(word));
    if sequence.is_empty() {
        sequence = words(&|_| true);
    }
    let mut seen = HashSet::new();
    let terms = sequence.iter().filter(|term| seen.insert(term.as_str())).cloned().collect();
    let quoted = text.split('"').skip(1).step_by(2).map(analyze).filter(|phrase| phrase.len() > 1);
    let phrases = quoted.take(MAX_PHRASES).map(|phrase| phrase.into_iter().take(MAX_PHRASE).collect());
    Query { terms, sequence, phrases: phrases.collect() }
}

/// A text's terms with their places.
pub(super) fn analyze(text: &str) -> Vec<(usize, String)> {
    let mut terms = Vec::new();
    let mut analyzer = analyzer();
    analyzer.token_stream(text).process(&mut |token| terms.push((token.position, token.text.clone())));
    terms
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn questions_lose_the_words_that_say_nothing() {
        let query = parse("How do I configure the bootloaders?");
        assert_eq!(query.terms, ["configur", "bootload"]);
        assert_eq!(parse("what is it").terms, ["what"]);
        assert_eq!(
            parse("\"exit status\" of grep").phrases,
            [vec![(0, "exit".to_string()), (1, "status".to_string())]]
        );
    }

    #[test]
    fn long_queries_are_cut() {
        let phrase = format!("\"{}\" ", "exit status ".repeat(100));
        let query = parse(&phrase.repeat(5000));
        assert_eq!((query.sequence.len(), query.terms.len()), (MAX_TERMS, 2));
        assert!((1..=MAX_PHRASES).contains(&query.phrases.len()), "{}", query.phrases.len());
        assert!(query.phrases.iter().all(|phrase| phrase.len() <= MAX_PHRASE));
        assert_eq!(parse(&"\"exit status\" ".repeat(5000)).phrases.len(), MAX_PHRASES);
        parse(&"é".repeat(100_000));
    }

    proptest! {
        #[test]
        fn every_text_is_a_query(text in ".{0,200}") {
            let query = parse(&text);
            prop_assert!(query.terms.len() <= query.sequence.len());
        }
    }
}
