//! Grammars as data, and their text in llama.cpp's GBNF. What can never come to an end is cut off before
//! it is written, so that a model is never led where it cannot get out.

use std::collections::HashMap;
use std::fmt::Write;

/// Rules of one grammar, and bytes of its text.
const MAX_RULES: usize = 20_000;
const MAX_TEXT: usize = 1 << 20;
/// Ranges of a class that is written where it stands.
const SHORT_CLASS: usize = 8;
/// Parts repeated at once: llama.cpp refuses 2000.
const CHUNK: usize = 1000;

/// What may stand at a place.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    Text(String),
    /// Code points from the first to the second, both included.
    Chars(Vec<(u32, u32)>),
    Rule(usize),
    Seq(Vec<Expr>),
    /// One of these. None of none: nothing may stand here, and what needs it cannot be.
    Any(Vec<Expr>),
    /// Between a minimum and a maximum of an expression that is one symbol.
    Times(Box<Expr>, usize, Option<usize>),
}

impl Expr {
    pub fn text(text: impl Into<String>) -> Expr {
        Expr::Text(text.into())
    }

    pub fn nothing() -> Expr {
        Expr::Any(Vec::new())
    }

    pub fn empty() -> Expr {
        Expr::Seq(Vec::new())
    }
}

/// Rules that refer to each other.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Expr>,
    /// Rules of classes with many ranges, which are long.
    classes: HashMap<Vec<(u32, u32)>, usize>,
}

impl Rules {
    /// A rule that is defined later, so that it may refer to itself.
    pub fn reserve(&mut self) -> usize {
        self.rules.push(Expr::nothing());
        self.rules.len() - 1
    }

    pub fn define(&mut self, rule: usize, expr: Expr) {
        self.rules[rule] = expr;
    }

    /// A rule of its own for the expression.
    pub fn rule(&mut self, expr: Expr) -> Expr {
        match expr {
            Expr::Rule(_) => expr,
            expr => {
                self.rules.push(expr);
                Expr::Rule(self.rules.len() - 1)
            }
        }
    }

    /// One character of the ranges.
    pub fn class(&mut self, ranges: Vec<(u32, u32)>) -> Expr {
        if ranges.len() <= SHORT_CLASS {
            return Expr::Chars(ranges);
        }
        let rules = &mut self.rules;
        Expr::Rule(*self.classes.entry(ranges).or_insert_with_key(|ranges| {
            rules.push(Expr::Chars(ranges.clone()));
            rules.len() - 1
        }))
    }

    /// How many rules there are, for [`Rules::rewind`].
    pub fn mark(&self) -> usize {
        self.rules.len()
    }

    /// Forgets the rules since the mark. Expressions that were made since must not be used.
    pub fn rewind(&mut self, mark: usize) {
        self.rules.truncate(mark);
        self.classes.retain(|_, rule| *rule < mark);
    }

    /// The expression from `min` to `max` times in a row.
    pub fn times(&mut self, expr: Expr, min: usize, max: Option<usize>) -> Expr {
        let one = match expr {
            Expr::Chars(_) | Expr::Rule(_) => expr,
            other => self.rule(other),
        };
        if max.unwrap_or(min) <= CHUNK {
            return Expr::Times(Box::new(one), min, max);
        }
        // In chunks of a hundred: `c{0,250}` is `(c{100}){0,1} c{0,150}`, and so on.
        let chunk = self.rule(Expr::Times(Box::new(one.clone()), 100, Some(100)));
        let whole = min / 100;
        let rest = Expr::Times(Box::new(one.clone()), min % 100, Some(min % 100));
        let free = match max {
            None => vec![Expr::Times(Box::new(one), 0, None)],
            Some(max) => {
                let left = max - min;
                let chunks = left / 100;
                let first = self.rule(Expr::Times(Box::new(chunk.clone()), 0, Some(chunks)));
                vec![first, Expr::Times(Box::new(one), 0, Some(left % 100))]
            }
        };
        let mut parts = vec![Expr::Times(Box::new(chunk), whole, Some(whole)), rest];
        parts.extend(free);
        self.rule(Expr::Seq(parts))
    }

    /// Whether there are more rules than a grammar may have.
    pub fn too_many(&self) -> bool {
        self.rules.len() > MAX_RULES
    }

    /// The rules from which some text can be made.
    fn productive(&self) -> Vec<bool> {
        let mut known = vec![false; self.rules.len()];
        loop {
            let mut changed = false;
            for rule in (0..self.rules.len()).rev() {
                if !known[rule] && productive(&self.rules[rule], &known) {
                    known[rule] = true;
                    changed = true;
                }
            }
            if !changed {
                return known;
            }
        }
    }

    /// The first of the expressions from which no text can be made.
    pub fn first_without_end(&self, all: &[&Expr]) -> Option<usize> {
        let known = self.productive();
        all.iter().position(|expr| !productive(expr, &known))
    }

    /// The grammar's text with the rule `root`; `None` if nothing satisfies it, or it is too large.
    pub fn print(&self, root: &Expr) -> Option<String> {
        let known = self.productive();
        if !productive(root, &known) {
            return None;
        }
        let mut used = vec![false; self.rules.len()];
        let mut text = String::from("root ::= ");
        let mut open = Vec::new();
        write_expr(&mut text, root, &known, &mut open, true);
        text.push('\n');
        while let Some(rule) = open.pop() {
            if std::mem::replace(&mut used[rule], true) {
                continue;
            }
            let _ = write!(text, "r{rule} ::= ");
            write_expr(&mut text, &self.rules[rule], &known, &mut open, true);
            text.push('\n');
            if text.len() > MAX_TEXT {
                return None;
            }
        }
        Some(text)
    }
}

fn productive(expr: &Expr, known: &[bool]) -> bool {
    match expr {
        Expr::Text(_) => true,
        Expr::Chars(ranges) => !ranges.is_empty(),
        Expr::Rule(rule) => known[*rule],
        Expr::Seq(parts) => parts.iter().all(|part| productive(part, known)),
        Expr::Any(choices) => choices.iter().any(|choice| productive(choice, known)),
        Expr::Times(one, min, _) => *min == 0 || productive(one, known),
    }
}

/// `alone`: no parentheses are needed around alternatives.
fn write_expr(text: &mut String, expr: &Expr, known: &[bool], open: &mut Vec<usize>, alone: bool) {
    match expr {
        Expr::Text(literal) => write_literal(text, literal),
        Expr::Chars(ranges) => write_class(text, ranges),
        Expr::Rule(rule) => {
            open.push(*rule);
            let _ = write!(text, "r{rule}");
        }
        Expr::Seq(parts) if parts.is_empty() => text.push_str("\"\""),
        Expr::Seq(parts) => {
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    text.push(' ');
                }
                write_expr(text, part, known, open, false);
            }
        }
        Expr::Any(choices) => {
            let choices: Vec<&Expr> = choices.iter().filter(|choice| productive(choice, known)).collect();
            let around = !alone && choices.len() > 1;
            text.push_str(if around { "(" } else { "" });
            for (index, choice) in choices.iter().enumerate() {
                if index > 0 {
                    text.push_str(" | ");
                }
                write_expr(text, choice, known, open, alone && choices.len() == 1);
            }
            text.push_str(if around { ")" } else { "" });
        }
        Expr::Times(one, min, max) => {
            if !productive(one, known) || *max == Some(0) {
                return text.push_str("\"\"");
            }
            write_expr(text, one, known, open, false);
            let _ = match (min, max) {
                (0, None) => write!(text, "*"),
                (1, None) => write!(text, "+"),
                (0, Some(1)) => write!(text, "?"),
                (1, Some(1)) => Ok(()),
                (min, None) => write!(text, "{{{min},}}"),
                (min, Some(max)) if min == max => write!(text, "{{{min}}}"),
                (min, Some(max)) => write!(text, "{{{min},{max}}}"),
            };
        }
    }
}

fn write_literal(text: &mut String, literal: &str) {
    text.push('"');
    for c in literal.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(text, "\\U{:08X}", c as u32);
            }
            c => text.push(c),
        }
    }
    text.push('"');
}

fn write_class(text: &mut String, ranges: &[(u32, u32)]) {
    text.push('[');
    for &(low, high) in ranges {
        write_code_point(text, low);
        if high > low {
            text.push('-');
            write_code_point(text, high);
        }
    }
    text.push(']');
}

fn write_code_point(text: &mut String, point: u32) {
    match char::from_u32(point) {
        Some(c) if c.is_ascii_alphanumeric() => text.push(c),
        _ => {
            let _ = write!(text, "\\U{point:08X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_end_is_cut_off() {
        let mut rules = Rules::default();
        let endless = rules.reserve();
        rules.define(endless, Expr::Seq(vec![Expr::text("a"), Expr::Rule(endless)]));
        let root = Expr::Any(vec![Expr::Rule(endless), Expr::text("b")]);
        assert_eq!(rules.print(&root).unwrap(), "root ::= \"b\"\n");
        assert_eq!(rules.print(&Expr::Rule(endless)), None);
    }

    #[test]
    fn literals_and_classes_are_escaped() {
        let rules = Rules::default();
        let root =
            Expr::Seq(vec![Expr::text("\"\\\n\u{0}é]"), Expr::Chars(vec![(0x5d, 0x5d), (0x61, 0x7a)])]);
        assert_eq!(rules.print(&root).unwrap(), "root ::= \"\\\"\\\\\\n\\U00000000é]\" [\\U0000005Da-z]\n");
    }

    #[test]
    fn long_repetitions_come_in_chunks() {
        let mut rules = Rules::default();
        let many = rules.times(Expr::Chars(vec![(97, 97)]), 1205, Some(5000));
        let text = rules.print(&many).unwrap();
        for part in ["r0{12}", "[a]{5}", "r0{0,37}", "[a]{0,95}", "r0 ::= [a]{100}"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
