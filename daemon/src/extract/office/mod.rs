//! Office documents: packages of XML in a ZIP file, by Microsoft's formats and OpenDocument. Macros,
//! pictures and links are left alone; nothing outside of the package is looked at.

pub(super) mod docx;
pub(super) mod odf;
pub(super) mod pptx;
pub(super) mod sheet;
pub(super) mod xls;
pub(super) mod xlsx;

use super::draft::{Draft, Unread};
use super::xml::{Event, Reader};
use super::zip::Archive;
use std::collections::HashMap;

/// Sets the title that a package of Microsoft's formats gives itself.
fn core_title(archive: &Archive<'_>, draft: &mut Draft) -> Result<(), Unread> {
    let core = archive.text("docProps/core.xml")?;
    let mut reader = Reader::new(&core);
    while let Some(event) = reader.next() {
        if let Event::Open("title", _) = event {
            draft.set_title(&reader.text("title"));
        }
    }
    Ok(())
}

/// What the relations of a part are to: their ids with the parts' names.
fn relations(archive: &Archive<'_>, part: &str) -> Result<HashMap<String, String>, Unread> {
    let (folder, name) = part.rsplit_once('/').unwrap_or(("", part));
    let text = archive.text(&format!("{folder}/_rels/{name}.rels"))?;
    let mut relations = HashMap::new();
    for event in Reader::new(&text) {
        if let Event::Open("Relationship", attributes) = event
            && let (Some(id), Some(target)) = (attributes.get("Id"), attributes.get("Target"))
        {
            relations.insert(id.into_owned(), resolve(folder, &target));
        }
    }
    Ok(relations)
}

/// A part's name as seen from a folder of the package.
pub(super) fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = if target.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join("/")
}

/// Paragraphs that may stand in cells of a table, whose rows become lines.
#[derive(Default)]
struct Flow {
    /// Open rows, one for each table inside of another, with their cells so far.
    rows: Vec<Vec<String>>,
    /// Tables that are open, and whether the outermost has a row already.
    tables: usize,
    begun: bool,
}

/// Tables inside of tables that are kept apart; deeper ones are read as text of the cell.
const NESTED: usize = 64;

impl Flow {
    fn open_table(&mut self) {
        self.begun &= self.tables > 0;
        self.tables += 1;
    }

    fn open_row(&mut self) {
        if self.rows.len() < NESTED {
            self.rows.push(Vec::new());
        }
    }

    fn open_cell(&mut self) {
        if let Some(row) = self.rows.last_mut() {
            row.push(String::new());
        }
    }

    fn close_row(&mut self, draft: &mut Draft) {
        let Some(row) = self.rows.pop() else { return };
        let line = row.join(" | ");
        if row.iter().all(|cell| cell.is_empty()) {
            return;
        }
        if self.rows.is_empty() {
            // Row by row, so that the limit on text is one on memory.
            if self.begun {
                draft.line(&line)
            } else {
                draft.paragraph(&line)
            }
            self.begun = true;
        } else {
            self.cell_text(&line);
        }
    }

    fn close_table(&mut self) {
        self.tables = self.tables.saturating_sub(1);
        if self.tables == 0 {
            self.rows.clear();
        }
    }

    /// Whether a paragraph that ends here is part of a cell.
    fn in_cell(&self) -> bool {
        self.rows.last().is_some_and(|row| !row.is_empty())
    }

    fn cell_text(&mut self, text: &str) {
        let Some(cell) = self.rows.last_mut().and_then(|row| row.last_mut()) else { return };
        for word in text.split_whitespace() {
            if !cell.is_empty() {
                cell.push(' ');
            }
            cell.push_str(word);
        }
    }
}
