//! Styled text on lines of a width: broken at spaces where it can be, inside words where it must. Pure.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// A stretch of text in one style.
pub type Run = (String, Style);

struct Letter<'a> {
    text: &'a str,
    width: usize,
    style: Style,
}

impl Letter<'_> {
    /// A letter that no line has room for is told of by another.
    fn within(self, width: usize) -> Self {
        if self.width <= width { self } else { Letter { text: "\u{fffd}", width: 1, ..self } }
    }
}

/// Breaks at words. Lines end where the text says, too; spaces at a break are dropped.
pub fn words(runs: &[Run], width: usize) -> Vec<Line<'static>> {
    wrap(runs, width, true)
}

/// Breaks at the last column, so that every space is kept: for code and bytes.
pub fn exact(runs: &[Run], width: usize) -> Vec<Line<'static>> {
    wrap(runs, width, false)
}

fn wrap(runs: &[Run], width: usize, at_words: bool) -> Vec<Line<'static>> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let (mut row, mut column): (Vec<Letter>, usize) = (Vec::new(), 0);
    // Where the row may be broken: the number of letters before the next word.
    let mut gap = None;
    for letter in letters(runs).map(|letter| letter.within(width)) {
        if letter.text == "\n" {
            lines.push(line(&row));
            (column, gap) = (0, None);
            row.clear();
            continue;
        }
        let space = at_words && letter.text == " ";
        let over = column + letter.width > width;
        // What is left of the row may itself have no room for a wide letter.
        while column + letter.width > width && !row.is_empty() {
            let rest = match gap {
                Some(gap) if !space => row.split_off(gap),
                _ => Vec::new(),
            };
            while at_words && row.last().is_some_and(|letter| letter.text == " ") {
                row.pop();
            }
            if !row.is_empty() {
                lines.push(line(&row));
            }
            column = rest.iter().map(|letter| letter.width).sum();
            (row, gap) = (rest, None);
        }
        if over && space {
            continue;
        }
        column += letter.width;
        // Scripts without spaces may be broken after every letter; theirs are wide.
        let breaks = at_words && (space || letter.width > 1);
        row.push(letter);
        if breaks {
            gap = Some(row.len());
        }
    }
    lines.push(line(&row));
    lines
}

fn letters(runs: &[Run]) -> impl Iterator<Item = Letter<'_>> {
    runs.iter().flat_map(|(text, style)| {
        text.graphemes(true).map(|text| Letter { text, width: text.width(), style: *style })
    })
}

/// Neighbours in the same style become one span.
fn line(row: &[Letter]) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    for chunk in row.chunk_by(|a, b| a.style == b.style) {
        let text: String = chunk.iter().map(|letter| letter.text).collect();
        spans.push(Span::styled(text, chunk[0].style));
    }
    Line::from(spans)
}

/// One line cut to a width, with an ellipsis where it was cut.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut left = width.saturating_sub(1);
    for letter in text.graphemes(true) {
        match left.checked_sub(letter.width()) {
            Some(rest) => left = rest,
            None => break,
        }
        out.push_str(letter);
    }
    if width > 0 {
        out.push('…');
    }
    out
}

/// The same, keeping the end.
pub fn cut_start(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut left = width.saturating_sub(1);
    for letter in text.graphemes(true).rev() {
        match left.checked_sub(letter.width()) {
            Some(rest) => left = rest,
            None => break,
        }
        kept.push(letter);
    }
    let kept: String = kept.into_iter().rev().collect();
    if width > 0 { format!("…{kept}") } else { kept }
}
