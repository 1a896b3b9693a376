//! PowerPoint presentations: slide after slide, with titles, tables and the speaker's notes.

use super::{Flow, core_title, relations};
use crate::extract::draft::{Draft, Unread};
use crate::extract::xml::{Event, Reader};
use crate::extract::zip::Archive;

/// Slides that are read.
const SLIDES: usize = 5000;

pub(in crate::extract) fn read(archive: &Archive<'_>, draft: &mut Draft) -> Result<(), Unread> {
    core_title(archive, draft)?;
    let show = archive.text("ppt/presentation.xml")?;
    let parts = relations(archive, "ppt/presentation.xml")?;
    let slides = Reader::new(&show).filter_map(|event| match event {
        Event::Open("sldId", attributes) => parts.get(&*attributes.get("r:id")?).cloned(),
        _ => None,
    });
    for (at, part) in slides.take(SLIDES).enumerate() {
        if draft.full() {
            return Ok(());
        }
        draft.page(at as u32 + 1);
        slide(&archive.text(&part)?, at + 1, draft);
        let notes = relations(archive, &part)?.into_values().find(|part| part.contains("notesSlide"));
        if let Some(notes) = notes {
            draft.mark(2, "Notes");
            shapes(&archive.text(&notes)?, draft);
        }
    }
    Ok(())
}

fn slide(text: &str, number: usize, draft: &mut Draft) {
    draft.mark(1, &title(text).unwrap_or_else(|| format!("Slide {number}")));
    shapes(text, draft);
}

/// The text of the shape that is the slide's title.
fn title(text: &str) -> Option<String> {
    let mut is_title = false;
    let mut title = String::new();
    let mut reader = Reader::new(text);
    while let Some(event) = reader.next() {
        match event {
            Event::Open("sp", _) => is_title = false,
            Event::Open("ph", attributes) => {
                is_title = matches!(attributes.get("type").as_deref(), Some("title" | "ctrTitle"));
            }
            Event::Open("t", _) if is_title => title.push_str(&reader.text("t")),
            Event::Close("p") if is_title => title.push(' '),
            Event::Close("sp") if !title.trim().is_empty() => return Some(title),
            _ => {}
        }
    }
    None
}

/// All paragraphs, but for the numbers and dates that every slide has.
fn shapes(text: &str, draft: &mut Draft) {
    let mut flow = Flow::default();
    let mut paragraph = String::new();
    let mut passed_over = false;
    let mut reader = Reader::new(text);
    while let Some(event) = reader.next() {
        match event {
            Event::Open("sp", _) => passed_over = false,
            Event::Open("ph", attributes) => {
                passed_over =
                    matches!(attributes.get("type").as_deref(), Some("sldNum" | "dt" | "ftr" | "hdr"));
            }
            Event::Open("Fallback", _) => reader.pass("Fallback"),
            Event::Open("t", _) => paragraph.push_str(&reader.text("t")),
            Event::Open("br", _) => paragraph.push('\n'),
            Event::Open("tab", _) => paragraph.push('\t'),
            Event::Open("tbl", _) => flow.open_table(),
            Event::Open("tr", _) => flow.open_row(),
            Event::Open("tc", _) => flow.open_cell(),
            Event::Close("p") => {
                let text = std::mem::take(&mut paragraph);
                if flow.in_cell() {
                    flow.cell_text(&text);
                } else if !passed_over {
                    draft.line(text.trim());
                }
            }
            Event::Close("sp") => passed_over = false,
            Event::Close("tr") => flow.close_row(draft),
            Event::Close("tbl") => flow.close_table(),
            _ => {}
        }
    }
}
