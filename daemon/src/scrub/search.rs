//! Puts every rule to a text. One pass of Aho-Corasick finds the lines that hold a keyword; only there is the rule's
//! pattern tried, once a line, so that the time is linear in the text.

use super::chance::entropy;
use super::rules::{Hit, Rule, all};
use aho_corasick::AhoCorasick;
use regex::{Regex, RegexBuilder};
use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

/// Bytes after the keyword's line that a pattern of several lines reaches at most.
const REACH: usize = 600;

struct Engine {
    rules: Vec<(&'static Rule, OnceLock<Regex>)>,
    keywords: AhoCorasick,
    /// By the keyword: the rules that have it.
    owners: Vec<Vec<usize>>,
    /// Rules without a keyword.
    always: Vec<usize>,
}

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let rules: Vec<_> = all().map(|rule| (rule, OnceLock::new())).collect();
    let mut words: Vec<&str> = all().flat_map(Rule::keywords).collect();
    words.sort_unstable();
    words.dedup();
    let owners = words
        .iter()
        .map(|word| (0..rules.len()).filter(|n| rules[*n].0.keywords().any(|own| own == *word)).collect())
        .collect();
    let always = (0..rules.len()).filter(|n| rules[*n].0.keywords.is_empty()).collect();
    let keywords = AhoCorasick::builder().ascii_case_insensitive(true).build(&words);
    Engine { rules, keywords: keywords.expect("the keywords are few and short"), owners, always }
});

/// Calls `hit` with every secret in a folded text. Of a text that was joined, only rules for what wraps are tried.
pub fn search(text: &str, joined: bool, hit: &mut impl FnMut(&'static str, Range<usize>)) {
    let engine = &*ENGINE;
    for n in &engine.always {
        try_rule(engine, *n, text, 0..text.len(), joined, hit);
    }
    let mut line = 0..0;
    let mut done = vec![0; engine.rules.len()];
    for keyword in engine.keywords.find_overlapping_iter(text) {
        let at = keyword.start();
        if at >= line.end {
            let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
            line = start..text[at..].find('\n').map_or(text.len(), |end| at + end);
        }
        for n in &engine.owners[keyword.pattern().as_usize()] {
            if done[*n] <= at {
                done[*n] = line.end;
                let end = reach(text, line.end, engine.rules[*n].0.lines);
                try_rule(engine, *n, text, line.start..end, joined, hit);
            }
        }
    }
}

/// The end of so many lines more.
fn reach(text: &str, mut end: usize, lines: usize) -> usize {
    let limit = text.floor_char_boundary((end + REACH).min(text.len()));
    for _ in 0..lines {
        if end + 1 >= limit {
            break;
        }
        end = text[end + 1..limit].find('\n').map_or(limit, |next| end + 1 + next);
    }
    end
}

fn try_rule(
    engine: &'static Engine,
    n: usize,
    text: &str,
    within: Range<usize>,
    joined: bool,
    hit: &mut impl FnMut(&'static str, Range<usize>),
) {
    let (rule, regex) = &engine.rules[n];
    if joined && !rule.wraps {
        return;
    }
    let regex = regex.get_or_init(|| compile(rule.pattern));
    let mut at = within.start;
    while at < within.end
        && let Some(groups) = regex.captures_at(&text[..within.end], at)
    {
        let Some(whole) = groups.get(0).map(|group| group.range()) else { break };
        let value = groups.get(1).map_or(whole.clone(), |group| group.range());
        let inside = value.start;
        let one = Hit { text, whole: whole.clone(), value };
        let judged = (entropy(one.value()) >= rule.entropy).then(|| (rule.judge)(&one)).flatten();
        at = match judged {
            Some(range) => {
                let end = range.end.max(whole.end);
                hit(rule.name, range);
                end
            }
            // What was taken for the value may itself begin with the words that come before one.
            None if inside > whole.start => inside,
            None => whole.end,
        };
    }
}

fn compile(pattern: &str) -> Regex {
    RegexBuilder::new(pattern).unicode(false).build().expect("the patterns are tested")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles_and_matches_no_empty_string() {
        for rule in all() {
            assert!(!compile(rule.pattern).is_match(""), "{}", rule.name);
            assert!(!rule.keywords.contains('\n'), "{}", rule.name);
        }
    }
}
