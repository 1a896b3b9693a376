//! What lies over the conversation: the keys, a yes to forgetting, the first question of all.

use super::put;
use super::style::{Theme, clean};
use super::wrap::{self, Run};
use crate::cli::chat::consent::{CONVERSATIONS, CORRECTIONS, FOLDER, explained};
use crate::cli::chat::core::consent::Form;
use crate::cli::chat::core::{Overlay, State};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Block, BorderType, Clear, Widget};

const KEYS: &str = "\
Enter           ask                     ^J  Alt-Enter   a new line
↑ ↓             what was asked before   ^R              ask again
^C              stop; twice leaves      ^D              leave
PgUp PgDn       scroll, or the wheel    Esc             to the end
^O  F2          conversations           ^Z              to the background
Tab             point at calls of tools, sources and answers
  Enter         unfold a call; open a source at its line
  g  b  e       it was right, it was wrong, say it as it should be
Alt-1 to Alt-9  open a source of the last answer
Shift-drag      select text with the mouse

/good  /bad  /edit TEXT     of the last answer
/remember TEXT              keep this in mind
/forget                     forget this conversation, wherever it went
/new                        begin another one";

/// Draws the overlay, if there is one; gives where its cursor is.
pub fn draw(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    match state.overlay.as_ref()? {
        Overlay::Help => {
            let lines: Vec<Line<'_>> = KEYS.lines().map(Line::raw).collect();
            framed(" keys ", &lines, 78, theme, area, buffer);
            None
        }
        Overlay::Forget => {
            let text = "This conversation and what was learned from it would be gone, everywhere and for good.\n\n\
                        y forgets it, any other key keeps it.";
            let lines = wrap::words(&[(text.into(), theme.plain())], inner(60, area));
            framed(" forget this conversation? ", &lines, 60, theme, area, buffer);
            None
        }
        Overlay::Consent(form) => consent(form, &state.data, theme, area, buffer),
    }
}

fn consent(form: &Form, data: &str, theme: Theme, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    const WIDTH: u16 = 76;
    let width = inner(WIDTH, area);
    // Reflowed: it is written for the lines of a plain terminal.
    let told = explained(data).trim_end().replace('\n', " ");
    let mut lines = wrap::words(&[(clean(&told), theme.plain())], width);
    lines.push(Line::default());
    for (at, question) in [CONVERSATIONS, CORRECTIONS].into_iter().enumerate().take(form.step + 1) {
        let said = match form.said(at) {
            Some(true) => "yes",
            Some(false) => "no",
            None => "",
        };
        let runs: [Run; 2] = [(question.into(), theme.bold()), (said.into(), theme.good())];
        lines.extend(wrap::words(&runs, width));
    }
    let mut cursor = None;
    if form.step == 2 {
        lines.extend(wrap::words(&[(FOLDER.trim_end().into(), theme.bold())], width));
        let text = form.folder.rows(usize::MAX / 2);
        let path = wrap::cut_start(&text.rows[0], width.saturating_sub(3));
        cursor = Some((2 + Line::raw(path.as_str()).width() as u16, lines.len() as u16));
        lines.push(Line::raw(format!("› {path}")));
    }
    let inside = framed(" before you begin ", &lines, WIDTH, theme, area, buffer);
    cursor.map(|(x, y)| Position::new(inside.x + x, (inside.y + y).min(inside.bottom())))
}

/// Columns of text in a box of `width`.
fn inner(width: u16, area: Rect) -> usize {
    usize::from(width.min(area.width)).saturating_sub(4).max(1)
}

/// A box in the middle of an area with these lines; gives where the lines are.
fn framed(
    title: &str,
    lines: &[Line<'_>],
    width: u16,
    theme: Theme,
    area: Rect,
    buffer: &mut Buffer,
) -> Rect {
    let width = width.min(area.width);
    let height = (lines.len() as u16 + 2).min(area.height);
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    Clear.render(place, buffer);
    let block =
        Block::bordered().border_type(BorderType::Rounded).title(Line::styled(title, theme.heading()));
    block.render(place, buffer);
    let inside = Rect {
        x: place.x + 2,
        y: place.y + 1,
        width: width.saturating_sub(4),
        height: height.saturating_sub(2),
    };
    for (y, line) in lines.iter().enumerate() {
        put(buffer, inside, y as u16, line);
    }
    inside
}
