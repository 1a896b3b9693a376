//! Word documents: paragraphs, headings by their style, lists, tables, notes. What was deleted with
//! changes tracked stays out; pages are those that Word itself noted when it last laid the text out.

use super::{Flow, core_title};
use crate::extract::draft::{Draft, Unread};
use crate::extract::xml::{Attributes, Event, Reader};
use crate::extract::zip::Archive;
use std::collections::HashMap;

/// Paragraphs inside of each other, as in text boxes.
const NESTED: usize = 16;

pub(in crate::extract) fn read(archive: &Archive<'_>, draft: &mut Draft) -> Result<(), Unread> {
    core_title(archive, draft)?;
    let levels = heading_levels(&archive.text("word/styles.xml")?);
    let body = archive.text("word/document.xml")?;
    if body.is_empty() {
        return Err(Unread::Damaged("Word document", "its text is missing"));
    }
    if body.contains("lastRenderedPageBreak") {
        draft.page(1);
    }
    story(&body, &levels, draft, true);
    for (part, title) in [("footnotes", "Footnotes"), ("endnotes", "Endnotes"), ("comments", "Comments")] {
        let notes = archive.text(&format!("word/{part}.xml"))?;
        if notes.contains("<w:t") {
            draft.mark(1, title);
            story(&notes, &levels, draft, false);
        }
    }
    Ok(())
}

/// Which styles are headings, and of which level.
fn heading_levels(styles: &str) -> HashMap<String, usize> {
    let mut levels = HashMap::new();
    let mut style = String::new();
    for event in Reader::new(styles) {
        let Event::Open(name, attributes) = event else { continue };
        match name {
            "style" => style = attributes.get("styleId").unwrap_or_default().into_owned(),
            "name" => {
                let name = attributes.get("val").unwrap_or_default().to_lowercase();
                let level = if name == "title" {
                    Some(0)
                } else {
                    name.strip_prefix("heading ").and_then(|n| n.parse().ok())
                };
                levels.extend(level.map(|level: usize| (style.clone(), level)));
            }
            "outlineLvl" => {
                let level = attributes.number("val", 9);
                if level < 9 {
                    levels.entry(style.clone()).or_insert(level + 1);
                }
            }
            _ => {}
        }
    }
    levels
}

/// A paragraph under way.
#[derive(Default)]
struct Paragraph {
    text: String,
    level: Option<usize>,
    item: bool,
    page: Option<u32>,
}

/// One part's text. `paged` says whether its page breaks count.
fn story(text: &str, levels: &HashMap<String, usize>, draft: &mut Draft, paged: bool) {
    let mut flow = Flow::default();
    let mut open: Vec<Paragraph> = Vec::new();
    let mut page = 1;
    let mut reader = Reader::new(text);
    while let Some(event) = reader.next() {
        if draft.full() {
            return;
        }
        match event {
            // The same once more, for programs that do not know the first form.
            Event::Open("Fallback", _) => reader.pass("Fallback"),
            Event::Open("p", _) if open.len() < NESTED => open.push(Paragraph::default()),
            Event::Open("t", _) => {
                let text = reader.text("t");
                if let Some(paragraph) = open.last_mut() {
                    paragraph.text.push_str(&text);
                }
            }
            Event::Open("lastRenderedPageBreak", _) if paged => {
                page += 1;
                match open.last_mut() {
                    Some(paragraph) if !paragraph.text.trim().is_empty() => paragraph.page = Some(page),
                    _ => draft.page(page),
                }
            }
            Event::Open("tbl", _) => flow.open_table(),
            Event::Open("tr", _) => flow.open_row(),
            Event::Open("tc", _) => flow.open_cell(),
            Event::Open(name, attributes) => {
                if let Some(paragraph) = open.last_mut() {
                    property(paragraph, name, attributes, levels);
                }
            }
            Event::Close("p") => {
                if let Some(paragraph) = open.pop() {
                    end(paragraph, &mut flow, draft);
                }
            }
            Event::Close("tr") => flow.close_row(draft),
            Event::Close("tbl") => flow.close_table(),
            Event::Close(_) | Event::Text(_) => {}
        }
    }
}

fn property(
    paragraph: &mut Paragraph,
    name: &str,
    attributes: Attributes<'_>,
    levels: &HashMap<String, usize>,
) {
    match name {
        "pStyle" => {
            let style = attributes.get("val").unwrap_or_default();
            paragraph.level = levels.get(&*style).copied().or(paragraph.level);
        }
        "outlineLvl" => {
            let level = attributes.number("val", 9);
            paragraph.level = (level < 9).then_some(level + 1);
        }
        "numPr" => paragraph.item = true,
        "tab" => paragraph.text.push('\t'),
        "br" | "cr" => paragraph.text.push('\n'),
        "noBreakHyphen" => paragraph.text.push('-'),
        _ => {}
    }
}

fn end(paragraph: Paragraph, flow: &mut Flow, draft: &mut Draft) {
    let text = paragraph.text.trim();
    if flow.in_cell() {
        flow.cell_text(text);
    } else if let Some(level) = paragraph.level {
        draft.heading(level, text);
    } else if paragraph.item && !text.is_empty() {
        draft.line(&format!("- {text}"));
    } else {
        draft.paragraph(text);
    }
    if let Some(page) = paragraph.page {
        draft.page(page);
    }
}
