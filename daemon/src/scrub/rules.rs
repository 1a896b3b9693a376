//! What a rule is, and the judges that several rules share. The rules themselves are the tables of `tokens`, `personal`
//! and `assigned`.

use super::{assigned, chance, personal, tokens};
use std::ops::Range;

/// A way to find one kind of secret.
pub struct Rule {
    pub name: &'static str,
    /// The pattern is tried on lines that hold one of these, in any case; with none, on every line. Between them are bars.
    pub keywords: &'static str,
    /// Written for ASCII. A group, if there is one, is the value; else all of it is.
    pub pattern: &'static str,
    /// Bits per byte that the value must have at least.
    pub entropy: f64,
    /// Lines after that of the keyword that the pattern may reach into.
    pub lines: usize,
    /// Whether a line break may have come into it.
    pub wraps: bool,
    /// Has the last word.
    pub judge: fn(&Hit) -> Option<Range<usize>>,
}

/// Where a pattern matched.
pub struct Hit<'a> {
    pub text: &'a str,
    pub whole: Range<usize>,
    pub value: Range<usize>,
}

impl<'a> Hit<'a> {
    /// What the pattern took for the secret.
    pub fn value(&self) -> &'a str {
        &self.text[self.value.clone()]
    }

    /// What stands before the value on its line, at most `most` bytes of it.
    pub fn before(&self, most: usize) -> &'a str {
        let near = self.text.floor_char_boundary(self.value.start.saturating_sub(most));
        let before = &self.text[near..self.value.start];
        before.rsplit('\n').next().unwrap_or(before)
    }

    /// What stands after the whole match, at most `most` bytes of it; it may go over lines.
    pub fn after(&self, most: usize) -> &'a str {
        let far = self.text.floor_char_boundary((self.whole.end + most).min(self.text.len()));
        &self.text[self.whole.end..far]
    }
}

impl Rule {
    /// The keywords, one by one.
    pub fn keywords(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.keywords.split('|').filter(|word| !word.is_empty())
    }
}

/// Every rule there is.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    tokens::RULES.iter().chain(personal::RULES).chain(assigned::RULES)
}

/// A token with a form of its own. It begins and ends a word.
pub const fn token(name: &'static str, keywords: &'static str, pattern: &'static str) -> Rule {
    Rule { name, keywords, pattern, entropy: 2.8, lines: 0, wraps: true, judge: alone }
}

/// A token whose value looks like others', so that only chance tells it from a word.
pub const fn guess(name: &'static str, keywords: &'static str, pattern: &'static str) -> Rule {
    Rule { judge: alone_and_random, ..token(name, keywords, pattern) }
}

/// Something that a judge looks at.
pub const fn judged(
    name: &'static str,
    keywords: &'static str,
    pattern: &'static str,
    judge: fn(&Hit) -> Option<Range<usize>>,
) -> Rule {
    Rule { name, keywords, pattern, entropy: 0.0, lines: 0, wraps: false, judge }
}

/// The same, over some more lines.
pub const fn over(lines: usize, rule: Rule) -> Rule {
    Rule { lines, ..rule }
}

/// The same, where a line break may have come into it.
pub const fn wrapping(rule: Rule) -> Rule {
    Rule { wraps: true, ..rule }
}

/// The value, if no letter or digit stands beside it.
pub fn alone(hit: &Hit) -> Option<Range<usize>> {
    let bytes = hit.text.as_bytes();
    let before = hit.value.start.checked_sub(1).is_some_and(|at| bytes[at].is_ascii_alphanumeric());
    let after = bytes.get(hit.value.end).is_some_and(u8::is_ascii_alphanumeric);
    (!before && !after).then(|| hit.value.clone())
}

/// The value, if it stands alone and looks drawn by chance.
pub fn alone_and_random(hit: &Hit) -> Option<Range<usize>> {
    alone(hit).filter(|_| chance::random(hit.value()))
}

/// The value, whatever stands beside it.
pub fn any(hit: &Hit) -> Option<Range<usize>> {
    Some(hit.value.clone())
}

/// Whether a list with spaces between its words has this one.
pub fn one_of(list: &str, word: &str) -> bool {
    word.len() < 24 && list.split(' ').any(|listed| listed == word)
}
