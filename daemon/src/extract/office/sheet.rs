//! Rows of cells to lines of text: what stands in the first row, when it names the columns, is kept as a
//! heading over all that follows. Pure.

use crate::clock::civil;
use crate::extract::draft::Draft;
use crate::extract::outline::clip;

/// Empty cells between others that are kept; more of them are one gap.
const GAP: usize = 16;
/// Bytes of one cell, as many as Excel allows, and of one row.
const CELL: usize = 32_767;
const ROW: usize = 1 << 20;

/// One sheet under way.
#[derive(Default)]
pub(in crate::extract) struct Sheet {
    row: Vec<String>,
    /// Empty cells since the last one with something in it.
    gap: usize,
    bytes: usize,
    begun: bool,
}

impl Sheet {
    /// Sheets count as pages.
    pub(in crate::extract) fn begin(number: u32, name: &str, draft: &mut Draft) -> Sheet {
        draft.page(number);
        draft.mark(1, name);
        Sheet::default()
    }

    pub(in crate::extract) fn cell(&mut self, text: &str) {
        let text = clip(text.trim(), CELL);
        if text.is_empty() || self.bytes > ROW {
            self.gap += 1;
            return;
        }
        for _ in 0..self.gap.min(GAP) {
            self.row.push(String::new());
        }
        self.gap = 0;
        self.bytes += text.len();
        self.row.push(text.split_whitespace().collect::<Vec<_>>().join(" "));
    }

    /// Empty cells that the file does not even mention.
    pub(in crate::extract) fn skip(&mut self, cells: usize) {
        self.gap += cells;
    }

    /// Cells of the row so far, empty ones too.
    pub(in crate::extract) fn width(&self) -> usize {
        self.row.len() + self.gap
    }

    pub(in crate::extract) fn end_row(&mut self, draft: &mut Draft) {
        let row = std::mem::take(&mut self.row);
        (self.gap, self.bytes) = (0, 0);
        if row.is_empty() {
            return;
        }
        let line = row.join(" | ");
        if self.begun {
            return draft.line(&line);
        }
        self.begun = true;
        if names_columns(&row) {
            draft.mark(2, &line);
        }
        draft.paragraph(&line);
    }
}

fn names_columns(row: &[String]) -> bool {
    let words = row.iter().filter(|cell| cell.chars().any(char::is_alphabetic) && cell.len() < 60).count();
    words >= 2 && words == row.iter().filter(|cell| !cell.is_empty()).count()
}

/// A number as a person would write it: no more digits than it was typed with.
pub(in crate::extract) fn number(value: f64) -> String {
    if !value.is_finite() {
        return String::new();
    }
    let rounded: f64 = format!("{value:.11e}").parse().unwrap_or(value);
    if rounded != 0.0 && !(1e-7..1e15).contains(&rounded.abs()) {
        format!("{rounded:e}")
    } else {
        rounded.to_string()
    }
}

/// What a cell's format makes of its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::extract) enum Format {
    Plain,
    Date,
    Percent,
}

impl Format {
    /// By the number of a built-in format, or the text of one of the file's own.
    pub(in crate::extract) fn of(id: usize, own: Option<&str>) -> Format {
        match (id, own) {
            (9 | 10, None) => Format::Percent,
            (14..=22 | 27..=36 | 45..=47 | 50..=58, None) => Format::Date,
            (_, None) => Format::Plain,
            (_, Some(code)) => Format::of_code(code),
        }
    }

    fn of_code(code: &str) -> Format {
        let mut quoted = false;
        let mut bracketed = false;
        let mut plain = String::new();
        for c in code.chars() {
            match c {
                '"' => quoted = !quoted,
                '[' => bracketed = true,
                ']' => bracketed = false,
                _ if quoted || bracketed => {}
                _ => plain.push(c.to_ascii_lowercase()),
            }
        }
        if plain.contains('%') {
            return Format::Percent;
        }
        let dated = plain.contains(['y', 'd', 'h']) || plain.contains("mm");
        if dated && !plain.contains("general") { Format::Date } else { Format::Plain }
    }

    pub(in crate::extract) fn show(self, value: f64, since_1904: bool) -> String {
        match self {
            Format::Plain => number(value),
            Format::Percent => format!("{}%", number(value * 100.0)),
            Format::Date => {
                date(value + if since_1904 { 1462.0 } else { 0.0 }).unwrap_or_else(|| number(value))
            }
        }
    }
}

/// Days since the end of 1899 as a date, a time, or both.
fn date(serial: f64) -> Option<String> {
    if !(0.0..2_958_466.0).contains(&serial) {
        return None;
    }
    let seconds = (serial.fract() * 86_400.0).round() as i64;
    let day = serial.trunc() as i64 + seconds / 86_400;
    let seconds = seconds % 86_400;
    let time = format!("{:02}:{:02}", seconds / 3600, seconds / 60 % 60);
    if day == 0 {
        return Some(time);
    }
    // The calendar of 1900 has a 29 February there; dates before it are off by one, as everywhere.
    let (year, month, day) = civil(day - 25_569);
    let date = format!("{year:04}-{month:02}-{day:02}");
    Some(if seconds == 0 { date } else { format!("{date} {time}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_they_were_typed() {
        assert_eq!([0.1 + 0.2, 12.0, -0.5, 1e20].map(number), ["0.3", "12", "-0.5", "1e20"]);
        assert_eq!(Format::of(14, None).show(45_292.0, false), "2024-01-01");
        assert_eq!(Format::of(200, Some("yyyy-mm-dd hh:mm")).show(45_292.75, false), "2024-01-01 18:00");
        assert_eq!(Format::of(9, None).show(0.25, false), "25%");
        assert_eq!(Format::of(201, Some("\"days\" 0.0")), Format::Plain);
    }
}
