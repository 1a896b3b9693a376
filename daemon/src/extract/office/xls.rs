//! Excel workbooks of 1997 to 2003: a stream of records, of which those with cells, their texts and their
//! formats are read. Formulas give the value that Excel last worked out; macros are not looked at.

use super::sheet::{Format, Sheet, number};
use crate::extract::compound::Compound;
use crate::extract::draft::{Draft, Unread};
use crate::extract::zip::{u16_at, u32_at, u64_at};
use std::collections::HashMap;

/// The version of the records that are known here.
const BIFF8: u16 = 0x600;

pub(in crate::extract) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), Unread> {
    let file = Compound::open(bytes)?;
    let Some(stream) = file.stream("Workbook") else {
        return Err(Unread::Foreign("an Office document of before 2007 other than Excel's"));
    };
    let book = Book::read(&stream)?;
    for (at, (name, place)) in book.sheets.iter().enumerate() {
        if draft.full() {
            break;
        }
        let sheet = Sheet::begin(at as u32 + 1, name, draft);
        book.rows(records(&stream, *place), sheet, draft);
    }
    Ok(())
}

struct Record<'a> {
    kind: u16,
    data: &'a [u8],
}

/// The records from a place on, up to the end of their part.
fn records(stream: &[u8], place: usize) -> impl Iterator<Item = Record<'_>> {
    let mut at = place;
    let mut ended = false;
    std::iter::from_fn(move || {
        let head = stream.get(at..at.checked_add(4)?).filter(|_| !ended)?;
        let (kind, length) = (u16_at(head, 0), usize::from(u16_at(head, 2)));
        let data = stream.get(at + 4..at + 4 + length)?;
        at += 4 + length;
        ended = kind == 0x0a;
        Some(Record { kind, data })
    })
}

/// What all sheets share.
#[derive(Default)]
struct Book {
    strings: Vec<String>,
    /// What each style of cells makes of numbers.
    styles: Vec<Format>,
    since_1904: bool,
    /// Sheets that are shown, and where their records begin.
    sheets: Vec<(String, usize)>,
}

impl Book {
    fn read(stream: &[u8]) -> Result<Book, Unread> {
        let mut book = Book::default();
        let mut formats: HashMap<usize, String> = HashMap::new();
        // The table of strings with the records that continue it.
        let mut table: Vec<&[u8]> = Vec::new();
        let mut continued = false;
        for record in records(stream, 0) {
            let data = record.data;
            match record.kind {
                0x809 if u16_at(data, 0) != BIFF8 => {
                    return Err(Unread::Foreign("an Excel workbook of before 1997"));
                }
                0x2f => return Err(Unread::Locked),
                0x22 => book.since_1904 = u16_at(data, 0) == 1,
                0x41e => {
                    formats.insert(usize::from(u16_at(data, 0)), Texts::new(vec![data], 2).text());
                }
                0xe0 => {
                    let id = usize::from(u16_at(data, 2));
                    book.styles.push(Format::of(id, formats.get(&id).map(String::as_str)));
                }
                0x85 if data.get(4) == Some(&0) && data.get(5) == Some(&0) => {
                    let mut texts = Texts::new(vec![data], 7);
                    let length = data.get(6).copied().unwrap_or(0);
                    book.sheets.push((texts.letters(usize::from(length)), u32_at(data, 0) as usize));
                }
                0xfc => table.push(data),
                0x3c if continued => table.push(data),
                _ => {}
            }
            continued = record.kind == 0xfc || continued && record.kind == 0x3c;
        }
        let count = table.first().map_or(0, |first| u32_at(first, 4));
        let mut texts = Texts::new(table, 8);
        while !texts.ended() && book.strings.len() < count as usize {
            book.strings.push(texts.text());
        }
        Ok(book)
    }

    fn rows<'a>(&self, records: impl Iterator<Item = Record<'a>>, mut sheet: Sheet, draft: &mut Draft) {
        let mut row = 0;
        let mut cell = |row_of: u16, column: u16, text: &str, draft: &mut Draft| {
            if row_of != row {
                sheet.end_row(draft);
                row = row_of;
            }
            sheet.skip(usize::from(column).saturating_sub(sheet.width()));
            sheet.cell(text);
        };
        // A formula's text follows in a record of its own.
        let mut waiting = None;
        for Record { kind, data } in records {
            if draft.full() {
                return;
            }
            let (at, column, style) = (u16_at(data, 0), u16_at(data, 2), u16_at(data, 4));
            match kind {
                0xfd => {
                    let text = self.strings.get(u32_at(data, 6) as usize).map_or("", String::as_str);
                    cell(at, column, text, draft);
                }
                0x203 => cell(at, column, &self.show(style, f64::from_bits(u64_at(data, 6))), draft),
                0x27e => cell(at, column, &self.show(style, packed(u32_at(data, 6))), draft),
                0xbd => {
                    for (n, pair) in data.get(4..).unwrap_or_default().chunks_exact(6).enumerate() {
                        let text = self.show(u16_at(pair, 0), packed(u32_at(pair, 2)));
                        cell(at, column.saturating_add(n as u16), &text, draft);
                    }
                }
                0x204 => cell(at, column, &Texts::new(vec![data], 6).text(), draft),
                0x205 if data.get(7) == Some(&0) => {
                    cell(at, column, if data.get(6) == Some(&1) { "TRUE" } else { "FALSE" }, draft);
                }
                0x06 if u16_at(data, 12) != 0xffff => {
                    cell(at, column, &self.show(style, f64::from_bits(u64_at(data, 6))), draft);
                }
                0x06 => match data.get(6) {
                    Some(0) => waiting = Some((at, column)),
                    Some(1) => {
                        cell(at, column, if data.get(8) == Some(&1) { "TRUE" } else { "FALSE" }, draft)
                    }
                    _ => {}
                },
                0x207 => {
                    if let Some((at, column)) = waiting.take() {
                        cell(at, column, &Texts::new(vec![data], 0).text(), draft);
                    }
                }
                _ => {}
            }
        }
        sheet.end_row(draft);
    }

    fn show(&self, style: u16, value: f64) -> String {
        match self.styles.get(usize::from(style)) {
            Some(format) => format.show(value, self.since_1904),
            None => number(value),
        }
    }
}

/// A number in 30 bits: a whole one or the upper part of a fraction, perhaps a hundredth of it.
fn packed(bits: u32) -> f64 {
    let value =
        if bits & 2 != 0 { f64::from(bits as i32 >> 2) } else { f64::from_bits(u64::from(bits & !3) << 32) };
    if bits & 1 != 0 { value / 100.0 } else { value }
}

/// Texts that stand one behind the other, across the borders of records.
struct Texts<'a> {
    records: Vec<&'a [u8]>,
    record: usize,
    at: usize,
}

impl<'a> Texts<'a> {
    fn new(records: Vec<&'a [u8]>, at: usize) -> Texts<'a> {
        Texts { records, record: 0, at }
    }

    fn ended(&self) -> bool {
        self.record >= self.records.len()
            || self.record + 1 == self.records.len() && self.at >= self.records[self.record].len()
    }

    /// The next bytes, as many as there are up to `length` in this record.
    fn take(&mut self, length: usize) -> &'a [u8] {
        while let Some(record) = self.records.get(self.record) {
            let rest = record.get(self.at..).unwrap_or_default();
            if rest.is_empty() {
                self.record += 1;
                self.at = 0;
                continue;
            }
            let taken = &rest[..rest.len().min(length)];
            self.at += taken.len();
            return taken;
        }
        &[]
    }

    /// A text with its length in front, in two bytes.
    fn text(&mut self) -> String {
        let length = usize::from(u16_at(self.take(2), 0));
        self.letters(length)
    }

    /// A text of so many letters; in front of it stands how they are written and what follows them.
    fn letters(&mut self, length: usize) -> String {
        let flags = self.take(1).first().copied().unwrap_or(0);
        let runs = if flags & 8 != 0 { usize::from(u16_at(self.take(2), 0)) } else { 0 };
        let aids = if flags & 4 != 0 { u32_at(self.take(4), 0) as usize } else { 0 };
        let mut wide = flags & 1 != 0;
        let mut units: Vec<u16> = Vec::new();
        while units.len() < length && !self.ended() {
            let record = self.record;
            let size = if wide { 2 } else { 1 };
            let part = self.take((length - units.len()) * size);
            if self.record != record {
                // A record that continues a text says anew how it is written.
                let Some(flags) = part.first() else { break };
                wide = flags & 1 != 0;
                self.at = 1;
                continue;
            }
            match wide {
                true => units.extend(part.chunks_exact(2).map(|unit| u16_at(unit, 0))),
                false => units.extend(part.iter().map(|byte| u16::from(*byte))),
            }
        }
        self.pass_over((runs * 4).saturating_add(aids));
        String::from_utf16_lossy(&units)
    }

    fn pass_over(&mut self, mut bytes: usize) {
        while bytes > 0 && !self.ended() {
            bytes -= self.take(bytes).len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_numbers_are_read() {
        assert_eq!([0x0000_0006, 0x0000_0007, 0x3ff0_0000, 0xffff_ffee].map(packed), [1.0, 0.01, 1.0, -5.0]);
    }

    #[test]
    fn a_text_goes_on_in_the_next_record() {
        let (first, next): (&[u8], &[u8]) = (b"\x04\x00\x00ab", b"\x01c\x00d\x00\x01\x00\x00e");
        let mut texts = Texts::new(vec![first, next], 0);
        assert_eq!((texts.text(), texts.text(), texts.ended()), ("abcd".into(), "e".into(), true));
        assert_eq!(Texts::new(vec![first, b""], 0).text(), "ab");
    }
}
