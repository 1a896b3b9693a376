//! How things look: the sixteen colours of the terminal's own scheme, or none; and text of others made harmless.

use crate::cli::output::harmless;
use ratatui::style::{Color, Modifier, Style};
use unicode_width::UnicodeWidthChar;

/// Marks that may follow a letter; more of them are a prank on whoever draws it.
const MARKS: usize = 8;

/// Whether there are colours. Weight and underlines remain without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    pub colour: bool,
}

impl Theme {
    fn of(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    pub fn plain(self) -> Style {
        Style::new()
    }
    pub fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }
    pub fn bold(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }
    /// What belongs to the owner: the question, the prompt.
    pub fn own(self) -> Style {
        self.of(Color::Green).add_modifier(Modifier::BOLD)
    }
    pub fn heading(self) -> Style {
        self.of(Color::Blue).add_modifier(Modifier::BOLD)
    }
    pub fn code(self) -> Style {
        self.of(Color::Cyan)
    }
    pub fn link(self) -> Style {
        self.of(Color::Blue).add_modifier(Modifier::UNDERLINED)
    }
    /// A number that leads to a citation.
    pub fn cite(self) -> Style {
        self.of(Color::Yellow)
    }
    pub fn good(self) -> Style {
        self.of(Color::Green)
    }
    pub fn warning(self) -> Style {
        self.of(Color::Yellow)
    }
    pub fn trouble(self) -> Style {
        self.of(Color::Red)
    }
    /// What is pointed at.
    pub fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// Text of a file, a model or a tool as it may be drawn: nothing that commands the terminal, no tabs, and no towers of marks.
pub fn clean(text: &str) -> String {
    let text = harmless(text);
    let mut out = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.chars() {
        match c {
            '\t' => out.push_str("    "),
            '\n' => out.push(c),
            c => {
                marks = if c.width() == Some(0) { marks + 1 } else { 0 };
                if marks <= MARKS {
                    out.push(c);
                }
            }
        }
    }
    out
}
