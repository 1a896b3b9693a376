//! OpenDocument texts, presentations and spreadsheets: one part holds all the content, in one language of
//! elements. Tracked deletions stay out; repeated cells are written once, however often they claim to be.

use super::Flow;
use super::sheet::Sheet;
use crate::extract::draft::{Draft, Unread};
use crate::extract::xml::{Attributes, Event, Reader};
use crate::extract::zip::Archive;

/// Paragraphs inside of each other, as in notes and frames.
const NESTED: usize = 16;
/// Times that a cell with something in it is repeated, and blanks in one place.
const REPEATED: usize = 32;

/// What kind of document it is decides what its parts count as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::extract) enum Kind {
    Text,
    Slides,
    Sheets,
}

pub(in crate::extract) fn read(archive: &Archive<'_>, kind: Kind, draft: &mut Draft) -> Result<(), Unread> {
    let meta = archive.text("meta.xml")?;
    let mut reader = Reader::new(&meta);
    while let Some(event) = reader.next() {
        if let Event::Open("title", _) = event {
            draft.set_title(&reader.text("title"));
        }
    }
    let content = archive.text("content.xml")?;
    if content.is_empty() {
        return Err(Unread::Damaged("OpenDocument file", "its content is missing"));
    }
    match kind {
        Kind::Sheets => sheets(&content, draft),
        _ => Story::new(kind).read(&content, draft),
    }
    if kind == Kind::Slides {
        let first = draft.text.lines().next().unwrap_or_default().to_string();
        draft.set_title(&first);
    }
    Ok(())
}

struct Paragraph {
    text: String,
    level: Option<usize>,
}

struct Story {
    kind: Kind,
    flow: Flow,
    open: Vec<Paragraph>,
    page: u32,
    /// Lists that are open.
    items: usize,
    /// A slide has begun and has no heading yet.
    untitled: bool,
    /// In the frame that holds the slide's title.
    in_title: bool,
}

impl Story {
    fn new(kind: Kind) -> Story {
        Story {
            kind,
            flow: Flow::default(),
            open: Vec::new(),
            page: 0,
            items: 0,
            untitled: false,
            in_title: false,
        }
    }

    fn read(mut self, content: &str, draft: &mut Draft) {
        if self.kind == Kind::Text && content.contains("soft-page-break") {
            self.page = 1;
            draft.page(1);
        }
        let mut reader = Reader::new(content);
        while let Some(event) = reader.next() {
            if draft.full() {
                return;
            }
            match event {
                Event::Open(
                    "tracked-changes" | "automatic-styles" | "note-citation" | "sequence-decls",
                    _,
                ) => {
                    if let Event::Open(name, _) = event {
                        reader.pass(name);
                    }
                }
                Event::Open(name, attributes) => self.open(name, attributes, draft),
                Event::Close(name) => self.close(name, draft),
                Event::Text(text) => {
                    if let Some(paragraph) = self.open.last_mut() {
                        push_collapsed(&mut paragraph.text, &text);
                    }
                }
            }
        }
    }

    fn open(&mut self, name: &str, attributes: Attributes<'_>, draft: &mut Draft) {
        match name {
            "p" | "h" if self.open.len() < NESTED => {
                let level = (name == "h").then(|| attributes.number("outline-level", 1).clamp(1, 10));
                self.open.push(Paragraph { text: String::new(), level });
            }
            "page" if self.kind == Kind::Slides => {
                self.page += 1;
                draft.page(self.page);
                self.untitled = true;
            }
            "frame" => self.in_title = attributes.get("class").as_deref() == Some("title"),
            "notes" if self.kind == Kind::Slides => draft.mark(2, "Notes"),
            "soft-page-break" if self.kind == Kind::Text => {
                self.page += 1;
                draft.page(self.page);
            }
            "list" => self.items += 1,
            "table" => self.flow.open_table(),
            "table-row" => self.flow.open_row(),
            "table-cell" => self.flow.open_cell(),
            _ => {
                if let Some(paragraph) = self.open.last_mut() {
                    push_sign(&mut paragraph.text, name, attributes);
                }
            }
        }
    }

    fn close(&mut self, name: &str, draft: &mut Draft) {
        match name {
            "p" | "h" => {
                if let Some(paragraph) = self.open.pop() {
                    self.end(paragraph, draft);
                }
            }
            "list" => self.items = self.items.saturating_sub(1),
            "table-row" => self.flow.close_row(draft),
            "table" => self.flow.close_table(),
            _ => {}
        }
    }

    fn end(&mut self, paragraph: Paragraph, draft: &mut Draft) {
        let text = paragraph.text.trim();
        if self.untitled && !text.is_empty() {
            self.untitled = false;
            let number = format!("Slide {}", self.page);
            draft.mark(1, if self.in_title { text } else { &number });
        }
        if self.flow.in_cell() {
            self.flow.cell_text(text);
        } else if let Some(level) = paragraph.level {
            draft.heading(level, text);
        } else if self.items > 0 && !text.is_empty() {
            draft.line(&format!("- {text}"));
        } else {
            draft.paragraph(text);
        }
    }
}

/// White space of the file itself is one blank.
fn push_collapsed(text: &mut String, more: &str) {
    for c in more.chars() {
        if !c.is_whitespace() || c == '\u{a0}' {
            text.push(c);
        } else if !text.is_empty() && !text.ends_with(char::is_whitespace) {
            text.push(' ');
        }
    }
}

fn push_sign(text: &mut String, name: &str, attributes: Attributes<'_>) {
    match name {
        "s" => text.extend(std::iter::repeat_n(' ', attributes.number("c", 1).min(REPEATED))),
        "tab" => text.push('\t'),
        "line-break" => text.push('\n'),
        _ => {}
    }
}

fn sheets(content: &str, draft: &mut Draft) {
    let mut sheet = Sheet::default();
    let mut number = 0;
    let mut cell = String::new();
    let (mut repeated, mut depth) = (1, 0usize);
    let mut reader = Reader::new(content);
    while let Some(event) = reader.next() {
        if draft.full() {
            return;
        }
        match event {
            Event::Open("table", attributes) => {
                number += 1;
                sheet = Sheet::begin(number, &attributes.get("name").unwrap_or_default(), draft);
            }
            // A comment on the cell is not what it shows.
            Event::Open("annotation", _) => reader.pass("annotation"),
            Event::Open("table-cell" | "covered-table-cell", attributes) => {
                cell.clear();
                repeated = attributes.number("number-columns-repeated", 1);
            }
            Event::Open("p", _) => {
                depth += 1;
                if !cell.is_empty() {
                    cell.push(' ');
                }
            }
            Event::Open(name, attributes) if depth > 0 => push_sign(&mut cell, name, attributes),
            Event::Text(text) if depth > 0 => push_collapsed(&mut cell, &text),
            Event::Close("p") => depth = depth.saturating_sub(1),
            Event::Close("table-cell" | "covered-table-cell") => {
                for _ in 0..repeated.min(REPEATED) {
                    sheet.cell(&cell);
                }
            }
            Event::Close("table-row") => sheet.end_row(draft),
            _ => {}
        }
    }
}
