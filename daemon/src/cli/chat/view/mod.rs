//! The conversation as it is drawn: what is known goes in, cells of a screen come out. It decides nothing; what it found
//! out of lengths and places it gives back.

mod markdown;
mod overlays;
mod panels;
pub mod style;
mod table;
mod transcript;
mod wrap;

#[cfg(test)]
mod tests;

use super::core::{Drawn, Focus, Part, Scroll, State};
use crate::cli::output::harmless;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use std::collections::HashMap;
use style::Theme;
use transcript::{Paper, Row};

/// Text is not wider than this, since long lines are hard to read.
const MEASURE: u16 = 104;
/// The smallest screen that there is anything to see on.
const SMALLEST: (u16, u16) = (24, 7);
const SIDE: u16 = 36;

/// Draws, and keeps what it drew of what has not changed.
pub struct View {
    theme: Theme,
    kept: HashMap<u64, Kept>,
}

struct Kept {
    revision: u64,
    width: usize,
    rows: Vec<Row>,
}

impl View {
    pub fn new(theme: Theme) -> View {
        View { theme, kept: HashMap::new() }
    }

    pub fn draw(&mut self, state: &State, frame: &mut Frame<'_>) -> Drawn {
        let area = frame.area();
        let drawn = if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
            put(frame.buffer_mut(), area, 0, &Line::raw("Too small a window."));
            state.drawn
        } else {
            let (drawn, cursor) = self.screen(state, area, frame.buffer_mut());
            let over = overlays::draw(state, self.theme, area, frame.buffer_mut());
            if let Some(place) = if state.overlay.is_some() { over } else { cursor } {
                frame.set_cursor_position(place);
            }
            drawn
        };
        seal(frame.buffer_mut());
        drawn
    }

    fn screen(&mut self, state: &State, area: Rect, buffer: &mut Buffer) -> (Drawn, Option<Position>) {
        panels::header(state, self.theme, Rect { height: 1, ..area }, buffer);
        panels::footer(state, self.theme, row(area, area.height - 1), buffer);
        let mut body = Rect { y: area.y + 1, height: area.height - 2, ..area };
        if state.sessions_shown() {
            let side = if area.width < 60 { area.width } else { SIDE.min(area.width / 2 - 6) };
            panels::sessions(state, self.theme, Rect { width: side, ..body }, buffer);
            body = Rect { x: body.x + side, width: body.width - side, ..body };
        }
        if body.width == 0 {
            return (state.drawn, None);
        }
        let (input, cursor) = panels::input(state, self.theme, body, buffer);
        let (approval, approval_more) = panels::approval(state, self.theme, rest(body, input), buffer);
        let place = rest(body, input + approval);
        let drawn = self.conversation(state, place, buffer);
        let drawn = Drawn { input: panels::input_width(body), approval_more, ..drawn };
        (drawn, (state.focus == Focus::Input).then_some(cursor))
    }

    fn conversation(&mut self, state: &State, area: Rect, buffer: &mut Buffer) -> Drawn {
        let place = Rect { x: area.x + 1, width: (area.width - 2).min(MEASURE), ..area };
        self.remember(state, usize::from(place.width));
        let rows: Vec<&Row> =
            state.entries.iter().filter_map(|e| self.kept.get(&e.id)).flat_map(|k| &k.rows).collect();
        let height = usize::from(area.height);
        let end = rows.len().saturating_sub(height);
        let pointed = match state.focus {
            Focus::Part(part) => rows.iter().position(|row| row.part == Some(part)),
            _ => None,
        };
        let top = match state.scroll {
            Scroll::Follow => end,
            Scroll::From(row) => row.min(end),
        };
        let top = match pointed.filter(|_| state.reveal) {
            // With a row around it, so that it is not at the very border.
            Some(at) if at < top + 1 => at.saturating_sub(1),
            Some(at) if at + 2 > top + height => (at + 2).saturating_sub(height).min(end),
            _ => top,
        };
        for (y, row) in rows.iter().skip(top).take(height).enumerate() {
            put(buffer, place, y as u16, &row.line);
            if row.part.is_some() && row.part == focused(state) {
                buffer.set_style(self::row(place, y as u16), self.theme.chosen());
            }
        }
        if state.entries.is_empty() {
            panels::welcome(state, self.theme, place, buffer);
        }
        Drawn { rows: rows.len(), height, top, ..Drawn::default() }
    }

    /// Draws the entries that are new, or other than they were.
    fn remember(&mut self, state: &State, width: usize) {
        let known: HashMap<u64, u64> = state.entries.iter().map(|entry| (entry.id, entry.revision)).collect();
        self.kept.retain(|id, kept| known.get(id) == Some(&kept.revision) && kept.width == width);
        let paper = Paper { width, theme: self.theme, home: state.home.as_deref() };
        for entry in &state.entries {
            self.kept.entry(entry.id).or_insert_with(|| {
                let rows = transcript::rows(entry, paper);
                Kept { revision: entry.revision, width, rows }
            });
        }
    }
}

fn focused(state: &State) -> Option<Part> {
    match state.focus {
        Focus::Part(part) => Some(part),
        _ => None,
    }
}

/// What is left above the lowest `taken` rows.
fn rest(area: Rect, taken: u16) -> Rect {
    Rect { height: area.height.saturating_sub(taken), ..area }
}

fn row(area: Rect, y: u16) -> Rect {
    Rect { y: area.y + y, height: 1, ..area }
}

/// Puts a line on a row of an area.
fn put(buffer: &mut Buffer, area: Rect, y: u16, line: &Line<'_>) {
    if y < area.height {
        buffer.set_line(area.x, area.y + y, line, area.width);
    }
}

/// A rule with words in it, and others at its end.
fn rule(buffer: &mut Buffer, area: Rect, left: &Line<'_>, right: &Line<'_>, style: Style) {
    let dashes = "─".repeat(usize::from(area.width));
    buffer.set_string(area.x, area.y, dashes, style);
    let most = area.width.saturating_sub(2);
    buffer.set_line(area.x + 1, area.y, left, most);
    let (left, right_width) = (left.width() as u16, right.width() as u16);
    if left + right_width + 4 <= area.width {
        buffer.set_line(area.x + area.width - right_width - 1, area.y, right, right_width);
    }
}

/// The last gate before the terminal: whatever came through until here, no cell holds what could command it.
fn seal(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        let symbol = cell.symbol();
        if symbol.contains(['\n', '\t']) || harmless(symbol) != symbol {
            cell.set_symbol("\u{fffd}");
        }
    }
}
