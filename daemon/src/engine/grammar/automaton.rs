//! Strings that match regular expressions, as a deterministic automaton over code points: patterns that
//! must match, patterns that must not, and a length. It becomes rules of which each writes one character,
//! so that a grammar never has two ways to go on.
//!
//! After Thompson's construction and the subset construction (Aho, Sethi, Ullman, ch. 3).

use super::gbnf::{Expr, Rules};
use regex_syntax::hir::{Class, Hir, HirKind, Look};
use std::collections::{BTreeSet, HashMap};

/// Places of all patterns together, and states of the automaton that they make.
const MAX_PLACES: usize = 20_000;
const MAX_STATES: usize = 6_000;
/// The last code point, and those that are no characters.
const LAST: u32 = 0x10_FFFF;
const SURROGATES: (u32, u32) = (0xD800, 0xDFFF);

/// What a string must be.
#[derive(Debug, Clone, Default)]
pub struct Language {
    /// Each pattern, searched for anywhere in the string, and whether it must be found.
    pub patterns: Vec<(Hir, bool)>,
    /// Characters, from and to.
    pub least: usize,
    pub most: Option<usize>,
}

/// A step of a pattern's automaton. Places are indices.
#[derive(Debug)]
enum Step {
    Char(Vec<(u32, u32)>, usize),
    Split(Vec<usize>),
    /// Passed only at the string's start, or its end.
    Start(usize),
    End(usize),
    Found,
}

/// One pattern as a nondeterministic automaton.
struct Pattern {
    steps: Vec<Step>,
    first: usize,
    wanted: bool,
}

/// The automaton: where each range of characters leads, and which states may be the last.
#[derive(Debug)]
pub struct Automaton {
    states: Vec<State>,
}

#[derive(Debug, Default)]
struct State {
    next: Vec<((u32, u32), usize)>,
    last: bool,
}

impl Language {
    /// # Errors
    /// What makes the automaton impossible or too large.
    pub fn automaton(&self) -> Result<Automaton, String> {
        if self.least == 0 && self.most.is_none() {
            return self.build();
        }
        // To count characters takes a state for each number of them: not where the patterns do it already.
        let uncounted = Language { least: 0, most: None, ..self.clone() }.build()?;
        match uncounted.lengths() {
            Some((shortest, Some(longest)))
                if shortest >= self.least && self.most.is_none_or(|most| longest <= most) =>
            {
                Ok(uncounted)
            }
            Some((shortest, None)) if shortest >= self.least && self.most.is_none() => Ok(uncounted),
            None => Ok(uncounted),
            Some(_) => self.build(),
        }
    }

    fn build(&self) -> Result<Automaton, String> {
        let mut patterns = Vec::new();
        for (hir, wanted) in &self.patterns {
            patterns.push(Pattern::new(hir, *wanted)?);
        }
        let ranges = alphabet(&patterns);
        let cap = self.most.map_or(self.least, |most| most.max(self.least) + 1);
        let mut builder =
            Builder { language: self, patterns, ranges, cap, known: HashMap::new(), open: Vec::new() };
        builder.build()
    }
}

/// The string as it stands between quotes.
pub fn hir_of_text(text: &str) -> Hir {
    let whole = vec![Hir::look(Look::Start), Hir::literal(text.as_bytes()), Hir::look(Look::End)];
    Hir::concat(whole)
}

impl Pattern {
    fn new(hir: &Hir, wanted: bool) -> Result<Pattern, String> {
        let mut pattern = Pattern { steps: Vec::new(), first: 0, wanted };
        // Found anywhere: what comes after does not matter, and what comes before neither.
        let found = pattern.add(Step::Found)?;
        let inside = pattern.compile(hir, found)?;
        let before = pattern.add(Step::Split(Vec::new()))?;
        let skip = pattern.add(Step::Char(vec![(0, LAST)], before))?;
        pattern.steps[before] = Step::Split(vec![inside, skip]);
        pattern.first = before;
        Ok(pattern)
    }

    fn add(&mut self, step: Step) -> Result<usize, String> {
        if self.steps.len() >= MAX_PLACES {
            return Err("a pattern that is too large".into());
        }
        self.steps.push(step);
        Ok(self.steps.len() - 1)
    }

    /// The place from which the expression leads to `next`.
    fn compile(&mut self, hir: &Hir, next: usize) -> Result<usize, String> {
        match hir.kind() {
            HirKind::Empty => Ok(next),
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).map_err(|_| "a pattern of bytes")?;
                text.chars()
                    .rev()
                    .try_fold(next, |next, c| self.add(Step::Char(vec![(c.into(), c.into())], next)))
            }
            HirKind::Class(Class::Unicode(class)) => {
                let ranges = class.iter().map(|range| (range.start().into(), range.end().into()));
                let ranges = ranges.collect();
                self.add(Step::Char(ranges, next))
            }
            HirKind::Class(Class::Bytes(class)) if class.is_ascii() => {
                let ranges = class.iter().map(|range| (range.start().into(), range.end().into())).collect();
                self.add(Step::Char(ranges, next))
            }
            HirKind::Class(Class::Bytes(_)) => Err("a pattern of bytes".into()),
            HirKind::Look(Look::Start) => self.add(Step::Start(next)),
            HirKind::Look(Look::End) => self.add(Step::End(next)),
            HirKind::Look(_) => Err("a pattern with word or line borders".into()),
            HirKind::Capture(capture) => self.compile(&capture.sub, next),
            HirKind::Concat(parts) => {
                parts.iter().rev().try_fold(next, |next, part| self.compile(part, next))
            }
            HirKind::Alternation(choices) => {
                let choices =
                    choices.iter().map(|choice| self.compile(choice, next)).collect::<Result<Vec<_>, _>>()?;
                self.add(Step::Split(choices))
            }
            HirKind::Repetition(repetition) => {
                let mut next = next;
                match repetition.max {
                    None => {
                        let again = self.add(Step::Split(Vec::new()))?;
                        let inside = self.compile(&repetition.sub, again)?;
                        self.steps[again] = Step::Split(vec![inside, next]);
                        next = again;
                    }
                    Some(max) => {
                        let end = next;
                        for _ in repetition.min..max {
                            let inside = self.compile(&repetition.sub, next)?;
                            next = self.add(Step::Split(vec![inside, end]))?;
                        }
                    }
                }
                for _ in 0..repetition.min {
                    next = self.compile(&repetition.sub, next)?;
                }
                Ok(next)
            }
        }
    }

    /// All places that are reached from these without a character.
    fn closure(
        &self,
        from: impl IntoIterator<Item = usize>,
        at_start: bool,
        at_end: bool,
    ) -> BTreeSet<usize> {
        let mut open: Vec<usize> = from.into_iter().collect();
        let mut reached = BTreeSet::new();
        while let Some(place) = open.pop() {
            if !reached.insert(place) {
                continue;
            }
            match &self.steps[place] {
                Step::Split(next) => open.extend(next),
                Step::Start(next) if at_start => open.push(*next),
                Step::End(next) if at_end => open.push(*next),
                Step::Start(_) | Step::End(_) | Step::Char(..) | Step::Found => {}
            }
        }
        reached
    }

    fn found(&self, places: &BTreeSet<usize>) -> bool {
        places.iter().any(|place| matches!(self.steps[*place], Step::Found))
    }
}

/// Ranges of characters that no pattern tells apart.
fn alphabet(patterns: &[Pattern]) -> Vec<(u32, u32)> {
    let mut borders = BTreeSet::from([0, SURROGATES.0, SURROGATES.1 + 1, LAST + 1]);
    for step in patterns.iter().flat_map(|pattern| &pattern.steps) {
        if let Step::Char(ranges, _) = step {
            borders.extend(ranges.iter().flat_map(|(low, high)| [*low, high + 1]));
        }
    }
    let borders: Vec<u32> = borders.into_iter().collect();
    let ranges = borders.windows(2).map(|pair| (pair[0], pair[1] - 1));
    ranges.filter(|range| range.0 < SURROGATES.0 || range.0 > SURROGATES.1).collect()
}

/// Where every pattern is, what of it is found for good, and how many characters there are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct At {
    /// `None`: found already, whatever follows.
    patterns: Vec<Option<BTreeSet<usize>>>,
    start: bool,
    length: usize,
}

struct Builder<'l> {
    language: &'l Language,
    patterns: Vec<Pattern>,
    ranges: Vec<(u32, u32)>,
    /// Lengths from here on are all the same.
    cap: usize,
    known: HashMap<At, usize>,
    open: Vec<At>,
}

impl Builder<'_> {
    fn build(&mut self) -> Result<Automaton, String> {
        let first = self.patterns.iter().map(|pattern| {
            let reached = pattern.closure([pattern.first], true, false);
            (!pattern.found(&reached)).then_some(reached)
        });
        let first = At { patterns: first.collect(), start: true, length: 0 };
        self.number(first);
        let mut states = Vec::new();
        while states.len() < self.open.len() {
            let at = self.open[states.len()].clone();
            states.push(self.state(&at)?);
        }
        Ok(Automaton { states: without_dead_ends(states) })
    }

    fn number(&mut self, at: At) -> usize {
        let open = &mut self.open;
        *self.known.entry(at).or_insert_with_key(|at| {
            open.push(at.clone());
            open.len() - 1
        })
    }

    fn state(&mut self, at: &At) -> Result<State, String> {
        let mut state = State { next: Vec::new(), last: self.may_end(at) };
        if self.language.most.is_some_and(|most| at.length >= most) {
            return Ok(state);
        }
        for index in 0..self.ranges.len() {
            let range = self.ranges[index];
            let Some(next) = self.after(at, range.0) else { continue };
            let next = self.number(next);
            if self.open.len() > MAX_STATES {
                return Err("a pattern that is too large together with the other limits of the string".into());
            }
            match state.next.last_mut() {
                Some(((_, last), known)) if *known == next && *last + 1 == range.0 => *last = range.1,
                _ => state.next.push((range, next)),
            }
        }
        Ok(state)
    }

    /// `None`: no string begins so.
    fn after(&self, at: &At, c: u32) -> Option<At> {
        let mut patterns = Vec::with_capacity(self.patterns.len());
        for (pattern, places) in self.patterns.iter().zip(&at.patterns) {
            let Some(places) = places else {
                patterns.push(None);
                continue;
            };
            let next = places.iter().filter_map(|place| match &pattern.steps[*place] {
                Step::Char(ranges, next) if ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) => {
                    Some(*next)
                }
                _ => None,
            });
            let reached = pattern.closure(next, false, false);
            let found = pattern.found(&reached);
            if found && !pattern.wanted {
                return None;
            }
            patterns.push((!found).then_some(reached));
        }
        Some(At { patterns, start: false, length: (at.length + 1).min(self.cap) })
    }

    fn may_end(&self, at: &At) -> bool {
        at.length >= self.language.least
            && self.language.most.is_none_or(|most| at.length <= most)
            && self.patterns.iter().zip(&at.patterns).all(|(pattern, places)| {
                let found = match places {
                    None => true,
                    Some(places) => pattern.found(&pattern.closure(places.iter().copied(), at.start, true)),
                };
                found == pattern.wanted
            })
    }
}

/// The states without the ways to those from which no end is reached.
fn without_dead_ends(mut states: Vec<State>) -> Vec<State> {
    let mut before = vec![Vec::new(); states.len()];
    for (index, state) in states.iter().enumerate() {
        for (_, next) in &state.next {
            before[*next].push(index);
        }
    }
    let mut alive = vec![false; states.len()];
    let mut open: Vec<usize> = (0..states.len()).filter(|index| states[*index].last).collect();
    while let Some(index) = open.pop() {
        if !std::mem::replace(&mut alive[index], true) {
            open.extend(&before[index]);
        }
    }
    for state in &mut states {
        state.next.retain(|(_, next)| alive[*next]);
    }
    states
}

impl Automaton {
    /// Whether no string is accepted.
    pub fn is_empty(&self) -> bool {
        self.states[0].next.is_empty() && !self.states[0].last
    }

    /// Characters of the shortest string, and of the longest if there is one. `None`: there is no string.
    fn lengths(&self) -> Option<(usize, Option<usize>)> {
        let mut reached: BTreeSet<usize> = BTreeSet::from([0]);
        let mut shortest = None;
        // A way longer than there are states goes in a circle.
        for length in 0..=self.states.len() {
            if reached.is_empty() {
                return shortest.map(|shortest| (shortest, Some(length - 1)));
            }
            if reached.iter().any(|state| self.states[*state].last) {
                shortest = shortest.or(Some(length));
            }
            reached =
                reached.iter().flat_map(|state| &self.states[*state].next).map(|(_, next)| *next).collect();
        }
        shortest.map(|shortest| (shortest, None))
    }

    pub fn accepts(&self, text: &str) -> bool {
        let mut state = &self.states[0];
        for c in text.chars().map(u32::from) {
            let next = state.next.iter().find(|((low, high), _)| (*low..=*high).contains(&c));
            let Some((_, next)) = next else { return false };
            state = &self.states[*next];
        }
        state.last
    }

    /// The strings as they stand in JSON, without the quotes. Each has one spelling only.
    pub fn expr(&self, rules: &mut Rules) -> Expr {
        if self.is_empty() {
            return Expr::nothing();
        }
        let names: Vec<usize> = self.states.iter().map(|_| rules.reserve()).collect();
        for (state, name) in self.states.iter().zip(&names) {
            let mut choices = Vec::new();
            let mut targets: Vec<usize> = state.next.iter().map(|(_, next)| *next).collect();
            targets.sort_unstable();
            targets.dedup();
            for target in targets {
                let ranges = state.next.iter().filter(|(_, next)| *next == target).map(|(range, _)| *range);
                choices.push(Expr::Seq(vec![spelled(rules, ranges), Expr::Rule(names[target])]));
            }
            if state.last {
                choices.push(Expr::empty());
            }
            rules.define(*name, Expr::Any(choices));
        }
        Expr::Rule(names[0])
    }
}

/// One character of the ranges, as JSON writes it.
fn spelled(rules: &mut Rules, ranges: impl Iterator<Item = (u32, u32)>) -> Expr {
    let mut plain = Vec::new();
    let mut choices = Vec::new();
    for (low, high) in ranges {
        for (from, to) in [(0x20, 0x21), (0x23, 0x5b), (0x5d, LAST)] {
            if low <= to && high >= from {
                plain.push((low.max(from), high.min(to)));
            }
        }
        let special = (0..0x20).chain([0x22, 0x5c]).filter(|point| (low..=high).contains(point));
        choices.extend(special.map(|point| Expr::text(escape(point))));
    }
    if !plain.is_empty() {
        choices.push(rules.class(plain));
    }
    Expr::Any(choices)
}

fn escape(point: u32) -> String {
    match point {
        0x22 => "\\\"".into(),
        0x5c => "\\\\".into(),
        0x0a => "\\n".into(),
        0x0d => "\\r".into(),
        0x09 => "\\t".into(),
        point => format!("\\u{point:04x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(pattern: &str) -> Hir {
        regex_syntax::parse(pattern).unwrap()
    }

    fn language(patterns: &[(&str, bool)], least: usize, most: Option<usize>) -> Automaton {
        let patterns = patterns.iter().map(|(pattern, wanted)| (parse(pattern), *wanted)).collect();
        Language { patterns, least, most }.automaton().unwrap()
    }

    #[test]
    fn anchors_count_and_what_is_not_anchored_is_searched() {
        let anchored = language(&[("^ab+$", true)], 0, None);
        assert!(anchored.accepts("abb") && !anchored.accepts("a") && !anchored.accepts("xabb"));
        let free = language(&[("b+", true)], 2, Some(3));
        assert!(free.accepts("ab") && free.accepts("bbb") && !free.accepts("b") && !free.accepts("aaa"));
        assert!(!free.accepts("abbb"));
        assert!(language(&[("a$b", true)], 0, None).is_empty());
        assert!(language(&[("^$", true)], 0, None).accepts(""));
    }

    #[test]
    fn patterns_meet_and_exclude_each_other() {
        let both = language(&[("^[a-m]*$", true), ("[h-z]", true), ("k", false)], 0, None);
        assert!(both.accepts("ah") && !both.accepts("ab") && !both.accepts("hk") && !both.accepts("hz"));
        assert!(language(&[("^a$", true), ("^b$", true)], 0, None).is_empty());
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let huge = Language { patterns: vec![(parse("(a|b)*a(a|b){40}"), true)], least: 0, most: None };
        assert!(huge.automaton().is_err());
        let long =
            Language { patterns: vec![(parse("^(a{100}){100}(b{100}){200}$"), true)], ..Language::default() };
        assert!(long.automaton().is_err());
    }

    proptest! {
        #[test]
        fn it_accepts_what_the_regex_crate_finds(
            pattern in "(\\^)?([ab]|\\(a\\|b\\)|\\[ab\\]|a\\+|b\\*|\\(ab\\)\\?){0,5}\\$?",
            text in "[abc]{0,6}",
        ) {
            let found = jsonschema::options()
                .with_pattern_options(jsonschema::PatternOptions::regex())
                .build(&serde_json::json!({ "pattern": pattern }))
                .unwrap()
                .is_valid(&serde_json::json!(text));
            prop_assert_eq!(language(&[(&pattern, true)], 0, None).accepts(&text), found);
            prop_assert_eq!(language(&[(&pattern, false)], 0, None).accepts(&text), !found);
        }
    }
}
