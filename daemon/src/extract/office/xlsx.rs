//! Excel workbooks: every sheet that is shown, row by row, with the values that Excel last worked out.
//! Formulas are not computed, and a cell's place far out costs no memory.

use super::sheet::{Format, Sheet};
use super::{core_title, relations};
use crate::extract::draft::{Draft, Unread};
use crate::extract::xml::{Attributes, Event, Reader};
use crate::extract::zip::Archive;
use std::collections::HashMap;

pub(in crate::extract) fn read(archive: &Archive<'_>, draft: &mut Draft) -> Result<(), Unread> {
    core_title(archive, draft)?;
    let book = archive.text("xl/workbook.xml")?;
    let parts = relations(archive, "xl/workbook.xml")?;
    let strings = strings(&archive.text("xl/sharedStrings.xml")?);
    let formats = formats(&archive.text("xl/styles.xml")?);
    let mut since_1904 = false;
    let mut number = 0;
    for event in Reader::new(&book) {
        match event {
            Event::Open("workbookPr", attributes) => {
                since_1904 = matches!(attributes.get("date1904").as_deref(), Some("1" | "true"));
            }
            Event::Open("sheet", attributes) => {
                number += 1;
                let part = attributes.get("r:id").and_then(|id| parts.get(&*id));
                let hidden = attributes.get("state").is_some_and(|state| state != "visible");
                if let Some(part) = part.filter(|_| !hidden && !draft.full()) {
                    let sheet = Sheet::begin(number, &attributes.get("name").unwrap_or_default(), draft);
                    let book = Book { strings: &strings, formats: &formats, since_1904 };
                    book.rows(&archive.text(part)?, sheet, draft);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The texts that cells refer to by number, without the reading aids of East Asian ones.
fn strings(text: &str) -> Vec<String> {
    let mut strings = Vec::new();
    let mut reader = Reader::new(text);
    while let Some(event) = reader.next() {
        match event {
            Event::Open("si", _) => strings.push(String::new()),
            Event::Open("rPh", _) => reader.pass("rPh"),
            Event::Open("t", _) => {
                let text = reader.text("t");
                if let Some(string) = strings.last_mut() {
                    string.push_str(&text);
                }
            }
            _ => {}
        }
    }
    strings
}

/// What each style of cells makes of numbers.
fn formats(styles: &str) -> Vec<Format> {
    let mut own: HashMap<usize, String> = HashMap::new();
    let mut formats = Vec::new();
    let mut of_cells = false;
    for event in Reader::new(styles) {
        match event {
            Event::Open("numFmt", attributes) => {
                let code = attributes.get("formatCode").unwrap_or_default().into_owned();
                own.insert(attributes.number("numFmtId", 0), code);
            }
            Event::Open("cellXfs", _) => of_cells = true,
            Event::Close("cellXfs") => of_cells = false,
            Event::Open("xf", attributes) if of_cells => {
                let id = attributes.number("numFmtId", 0);
                formats.push(Format::of(id, own.get(&id).map(String::as_str)));
            }
            _ => {}
        }
    }
    formats
}

/// What the cells of all sheets refer to.
struct Book<'a> {
    strings: &'a [String],
    formats: &'a [Format],
    since_1904: bool,
}

impl Book<'_> {
    fn rows(&self, text: &str, mut sheet: Sheet, draft: &mut Draft) {
        let mut reader = Reader::new(text);
        while let Some(event) = reader.next() {
            match event {
                Event::Open("c", attributes) => {
                    let column = attributes.get("r").map_or(0, |place| column(&place));
                    sheet.skip(column.saturating_sub(sheet.width()));
                    let value = self.value(attributes, &mut reader);
                    sheet.cell(&value);
                }
                Event::Close("row") => sheet.end_row(draft),
                _ => {}
            }
            if draft.full() {
                return;
            }
        }
    }

    /// The text of the cell that was just opened.
    fn value(&self, attributes: Attributes<'_>, reader: &mut Reader<'_>) -> String {
        let kind = attributes.get("t").unwrap_or_default();
        let mut value = String::new();
        while let Some(event) = reader.next() {
            match event {
                Event::Open("v", _) => value.push_str(&reader.text("v")),
                Event::Open("t", _) => value.push_str(&reader.text("t")),
                Event::Open("f", _) => reader.pass("f"),
                Event::Open("rPh", _) => reader.pass("rPh"),
                Event::Close("c") => break,
                _ => {}
            }
        }
        match &*kind {
            "s" => value
                .trim()
                .parse()
                .ok()
                .and_then(|at: usize| self.strings.get(at).cloned())
                .unwrap_or_default(),
            "b" => if value.trim() == "1" { "TRUE" } else { "FALSE" }.into(),
            "str" | "inlineStr" | "e" | "d" => value,
            _ => match value.trim().parse() {
                Ok(number) => {
                    let format =
                        self.formats.get(attributes.number("s", 0)).copied().unwrap_or(Format::Plain);
                    format.show(number, self.since_1904)
                }
                Err(_) => value,
            },
        }
    }
}

/// The column of `BC12`, from 0.
fn column(place: &str) -> usize {
    let letters = place.bytes().take_while(u8::is_ascii_alphabetic).take(3);
    let number =
        letters.fold(0, |number, letter| number * 26 + usize::from(letter.to_ascii_uppercase() - b'A') + 1);
    number.saturating_sub(1)
}
