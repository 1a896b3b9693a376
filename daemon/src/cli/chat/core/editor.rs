//! The line of input, which may be many: text as the steps a cursor takes over it, where a long paste is one step.
//! Pure; it knows no keys and no screen, only how wide the place for it is.

use crate::cli::output::{count, harmless};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// A paste of more lines, or more bytes, is folded to one step.
const FOLDED_LINES: usize = 8;
const FOLDED_BYTES: usize = 2000;

/// One step of the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// A grapheme cluster, or `\n`.
    Letter(String),
    /// A long paste, which comes and goes as a whole.
    Pasted(String),
}

impl Step {
    fn text(&self) -> &str {
        match self {
            Step::Letter(text) | Step::Pasted(text) => text,
        }
    }

    fn shown(&self) -> String {
        match self {
            Step::Letter(text) if text == "\t" => " ".into(),
            // A letter with a tower of marks on it is shown without most of them.
            Step::Letter(text) => harmless(text).chars().take(16).collect(),
            Step::Pasted(text) => {
                format!("[pasted {}]", count(text.lines().count() as u64, "line", "lines"))
            }
        }
    }

    fn is_newline(&self) -> bool {
        matches!(self, Step::Letter(text) if text == "\n")
    }

    fn is_space(&self) -> bool {
        matches!(self, Step::Letter(text) if text.chars().all(char::is_whitespace))
    }
}

/// A text being written, and where in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Editor {
    steps: Vec<Step>,
    cursor: usize,
}

/// A text on rows of a width.
#[derive(Debug, PartialEq, Eq)]
pub struct Rows {
    pub rows: Vec<String>,
    /// Row and column of the cursor, from 0.
    pub cursor: (usize, usize),
}

impl Editor {
    pub fn of(text: &str) -> Editor {
        let steps = letters(text);
        Editor { cursor: steps.len(), steps }
    }

    /// With a long text as one step.
    pub fn folded(text: &str) -> Editor {
        let mut editor = Editor::default();
        editor.paste(text);
        editor
    }

    /// The whole text, unfolded.
    pub fn text(&self) -> String {
        self.steps.iter().map(Step::text).collect()
    }

    pub fn bytes(&self) -> usize {
        self.steps.iter().map(|step| step.text().len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Takes everything out.
    pub fn take(&mut self) -> Editor {
        std::mem::take(self)
    }

    /// Takes one typed letter or `\n`; other control characters are none.
    pub fn insert(&mut self, letter: char) {
        if letter.is_control() && letter != '\n' {
            return;
        }
        // A mark that is typed after its letter belongs to it.
        let joined = self.cursor.checked_sub(1).and_then(|before| match &self.steps[before] {
            Step::Letter(text) if text != "\n" => {
                let joined = format!("{text}{letter}");
                (joined.graphemes(true).count() == 1).then_some((before, joined))
            }
            _ => None,
        });
        match joined {
            Some((before, joined)) => self.steps[before] = Step::Letter(joined),
            None => self.put(vec![Step::Letter(letter.to_string())]),
        }
    }

    pub fn paste(&mut self, text: &str) {
        let text = lines_ended(text);
        let long = text.len() > FOLDED_BYTES || text.lines().count() > FOLDED_LINES;
        self.put(if long { vec![Step::Pasted(text)] } else { letters(&text) });
    }

    fn put(&mut self, steps: Vec<Step>) {
        let count = steps.len();
        self.steps.splice(self.cursor..self.cursor, steps);
        self.cursor += count;
    }

    pub fn left(&mut self) {
        self.cursor = self.cursor.saturating_sub(1);
    }

    pub fn right(&mut self) {
        self.cursor = (self.cursor + 1).min(self.steps.len());
    }

    pub fn word_left(&mut self) {
        self.cursor = self.word_start();
    }

    pub fn word_right(&mut self) {
        let rest = &self.steps[self.cursor..];
        let spaces = rest.iter().take_while(|step| step.is_space()).count();
        let word = rest[spaces..].iter().take_while(|step| !step.is_space()).count();
        self.cursor += spaces + word;
    }

    fn word_start(&self) -> usize {
        let before = &self.steps[..self.cursor];
        let spaces = before.iter().rev().take_while(|step| step.is_space()).count();
        let before = &before[..before.len() - spaces];
        before.len() - before.iter().rev().take_while(|step| !step.is_space()).count()
    }

    fn line_start(&self) -> usize {
        self.steps[..self.cursor].iter().rposition(Step::is_newline).map_or(0, |at| at + 1)
    }

    fn line_end(&self) -> usize {
        let rest = self.steps[self.cursor..].iter().position(Step::is_newline);
        rest.map_or(self.steps.len(), |at| self.cursor + at)
    }

    pub fn home(&mut self) {
        self.cursor = self.line_start();
    }

    pub fn end(&mut self) {
        self.cursor = self.line_end();
    }

    pub fn backspace(&mut self) {
        if self.cursor > 0 {
            self.cut(self.cursor - 1, self.cursor);
        }
    }

    pub fn delete(&mut self) {
        self.cut(self.cursor, (self.cursor + 1).min(self.steps.len()));
    }

    pub fn delete_word(&mut self) {
        self.cut(self.word_start(), self.cursor);
    }

    /// To the end of the line, and the line's end itself when nothing else is there.
    pub fn delete_to_end(&mut self) {
        let end = self.line_end();
        self.cut(self.cursor, if end == self.cursor { (end + 1).min(self.steps.len()) } else { end });
    }

    pub fn delete_to_start(&mut self) {
        self.cut(self.line_start(), self.cursor);
    }

    fn cut(&mut self, from: usize, to: usize) {
        self.steps.drain(from..to);
        self.cursor = from;
    }

    /// Moves a row up; false: it is on the first one.
    pub fn up(&mut self, width: usize) -> bool {
        let (places, (row, column)) = self.places(width);
        row.checked_sub(1).map(|row| self.cursor = nearest(&places, row, column)).is_some()
    }

    /// Moves a row down; false: it is on the last one.
    pub fn down(&mut self, width: usize) -> bool {
        let (places, (row, column)) = self.places(width);
        let below = places.last().is_some_and(|&(last, _)| last > row);
        if below {
            self.cursor = nearest(&places, row + 1, column);
        }
        below
    }

    /// The text as it is shown, without anything that could command a terminal.
    pub fn rows(&self, width: usize) -> Rows {
        let (places, cursor) = self.places(width);
        let mut rows = vec![String::new(); places.last().map_or(0, |&(row, _)| row) + 1];
        for (step, &(row, _)) in self.steps.iter().zip(&places) {
            if !step.is_newline() {
                rows[row].push_str(&step.shown());
            }
        }
        Rows { rows, cursor }
    }

    /// Row and column of every step and of the end, and of the cursor.
    fn places(&self, width: usize) -> (Vec<(usize, usize)>, (usize, usize)) {
        let width = width.max(1);
        let (mut row, mut column) = (0, 0);
        let mut places = Vec::with_capacity(self.steps.len() + 1);
        for step in &self.steps {
            let newline = step.is_newline();
            let wide = if newline { 0 } else { step.shown().width() };
            if column > 0 && column + wide > width {
                (row, column) = (row + 1, 0);
            }
            places.push((row, column));
            (row, column) = if newline { (row + 1, 0) } else { (row, column + wide) };
        }
        if column >= width {
            (row, column) = (row + 1, 0);
        }
        places.push((row, column));
        let cursor = places[self.cursor];
        (places, cursor)
    }
}

/// Terminals send line ends as Enter would.
fn lines_ended(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn letters(text: &str) -> Vec<Step> {
    lines_ended(text).graphemes(true).map(|letter| Step::Letter(letter.into())).collect()
}

/// The step on a row that is nearest to a column from the left.
fn nearest(places: &[(usize, usize)], row: usize, column: usize) -> usize {
    let on_row = places.iter().enumerate().filter(|(_, place)| place.0 == row);
    on_row.filter(|(at, place)| place.1 <= column || *at == 0).map(|(at, _)| at).next_back().unwrap_or(0)
}

/// What was asked before, to be asked again.
#[derive(Debug, Default)]
pub struct Past {
    entries: Vec<Editor>,
    /// The one that is looked at, and what was being written before.
    at: Option<(usize, Editor)>,
}

impl Past {
    /// Texts that are remembered.
    const MOST: usize = 200;

    pub fn keep(&mut self, text: Editor) {
        self.at = None;
        if text.is_empty() || self.entries.last() == Some(&text) {
            return;
        }
        if self.entries.len() == Past::MOST {
            self.entries.remove(0);
        }
        self.entries.push(text);
    }

    /// The one before, in the place of `draft`.
    pub fn back(&mut self, draft: &Editor) -> Option<Editor> {
        let (at, kept) = match &self.at {
            Some((at, kept)) => (at.checked_sub(1)?, kept.clone()),
            None => (self.entries.len().checked_sub(1)?, draft.clone()),
        };
        self.at = Some((at, kept));
        self.entries.get(at).cloned()
    }

    /// The one after, at last what was being written.
    pub fn forth(&mut self) -> Option<Editor> {
        let (at, kept) = self.at.take()?;
        match self.entries.get(at + 1) {
            Some(entry) => {
                self.at = Some((at + 1, kept));
                Some(entry.clone())
            }
            None => Some(kept),
        }
    }
}

#[cfg(test)]
#[path = "editor_tests.rs"]
mod tests;
