//! Secrets and personal numbers in a text: where they are, and the text without their lines. Pure. It errs on the side
//! of finding, since a line too few costs a model little, and a key too many cannot be taken back. E-mail addresses and
//! names are not secrets here: the agent is to learn whom its owner writes to.

mod assigned;
mod chance;
mod fold;
mod personal;
mod rules;
mod search;
#[cfg(test)]
mod tests;
mod tokens;

use std::cmp::Reverse;
use std::ops::Range;

/// Times that lines are taken out. More are only needed by a text that was made for it.
const ROUNDS: usize = 16;

/// A secret that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The name of the rule that found it.
    pub rule: &'static str,
    /// The bytes that it takes up; secrets that overlap are one.
    pub range: Range<usize>,
}

/// Finds what looks like a secret or a personal number, in order and not overlapping.
pub fn find(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let plain = fold::plain(text);
    search::search(&plain.text, false, &mut |rule, range| {
        found.push(Found { rule, range: plain.original(range.start)..plain.original(range.end) });
    });
    if let Some(joined) = fold::joined(&plain.text) {
        let original = |at| plain.original(joined.original(at));
        search::search(&joined.text, true, &mut |rule, range| {
            found.push(Found { rule, range: original(range.start)..original(range.end) });
        });
    }
    apart(found)
}

/// The text without the lines that hold a secret, and the rules that hit. A secret of several lines takes them all along.
pub fn clean_lines(text: &str) -> (String, Vec<&'static str>) {
    let mut rest = text.to_owned();
    let mut rules = Vec::new();
    // Lines that come together may make a new secret, so it ends when nothing is found.
    for _ in 0..ROUNDS {
        let found = find(&rest);
        if found.is_empty() {
            return (rest, rules);
        }
        for Found { rule, .. } in &found {
            if !rules.contains(rule) {
                rules.push(rule);
            }
        }
        rest = without(&rest, &found);
    }
    if find(&rest).is_empty() { (rest, rules) } else { (String::new(), rules) }
}

/// Puts them in order, and makes one of those that overlap.
fn apart(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|one| (one.range.start, Reverse(one.range.end)));
    let mut apart: Vec<Found> = Vec::with_capacity(found.len());
    for one in found {
        match apart.last_mut() {
            Some(last) if one.range.start < last.range.end => {
                last.range.end = last.range.end.max(one.range.end)
            }
            _ => apart.push(one),
        }
    }
    apart
}

/// The text without every line that one of these touches.
fn without(text: &str, found: &[Found]) -> String {
    let mut rest = String::with_capacity(text.len());
    let mut found = found.iter().peekable();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        while found.next_if(|one| one.range.end <= start).is_some() {}
        if found.peek().is_none_or(|one| one.range.start >= end) {
            rest.push_str(line);
        }
        start = end;
    }
    rest
}
