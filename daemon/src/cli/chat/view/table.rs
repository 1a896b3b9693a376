//! A table of Markdown on lines of a width: columns as wide as what is in them, narrowed where that is too much, and a
//! list where there is no room for columns. Pure.

use super::style::Theme;
use super::wrap::{self, Run};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

const BETWEEN: &str = " │ ";
/// The narrowest column.
const NARROWEST: usize = 5;

type Cell = Vec<Run>;

#[derive(Default)]
pub struct Table {
    rows: Vec<Vec<Cell>>,
    row: Vec<Cell>,
}

impl Table {
    pub fn cell(&mut self, runs: Cell) {
        self.row.push(runs);
    }

    pub fn end_row(&mut self) {
        self.rows.push(std::mem::take(&mut self.row));
    }

    pub fn lines(self, width: usize, theme: Theme) -> Vec<Line<'static>> {
        match self.columns(width) {
            Some(columns) => self.grid(&columns, theme),
            None => self.list(width, theme),
        }
    }

    /// The width of each column; `None`: there is no room for all.
    fn columns(&self, width: usize) -> Option<Vec<usize>> {
        let count = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let room = width.checked_sub(count.saturating_sub(1) * BETWEEN.width())?;
        if room < count * NARROWEST {
            return None;
        }
        let mut columns: Vec<usize> = (0..count)
            .map(|at| {
                let cells = self.rows.iter().filter_map(|row| row.get(at));
                cells.map(|cell| text(cell).width()).max().unwrap_or(0).clamp(1, room)
            })
            .collect();
        while columns.iter().sum::<usize>() > room {
            let widest = columns.iter_mut().max()?;
            *widest -= 1;
        }
        Some(columns)
    }

    fn grid(&self, columns: &[usize], theme: Theme) -> Vec<Line<'static>> {
        let mut lines = Vec::new();
        for (n, row) in self.rows.iter().enumerate() {
            let style = if n == 0 { theme.bold() } else { Style::new() };
            let cells: Vec<Vec<Line<'static>>> = columns
                .iter()
                .enumerate()
                .map(|(at, &width)| row.get(at).map(|cell| wrap::words(cell, width)).unwrap_or_default())
                .collect();
            let height = cells.iter().map(Vec::len).max().unwrap_or(0);
            lines.extend((0..height).map(|at| grid_line(&cells, columns, at, style, theme)));
            if n == 0 {
                let rule: Vec<String> = columns.iter().map(|&width| "─".repeat(width)).collect();
                lines.push(Line::styled(rule.join("─┼─"), theme.dim()));
            }
        }
        lines
    }

    /// Each row as lines of `heading: text`.
    fn list(&self, width: usize, theme: Theme) -> Vec<Line<'static>> {
        let Some((head, rows)) = self.rows.split_first() else { return Vec::new() };
        let mut lines = Vec::new();
        for row in rows {
            if !lines.is_empty() {
                lines.push(Line::default());
            }
            for (at, cell) in row.iter().enumerate() {
                let name = head.get(at).map(|cell| text(cell)).unwrap_or_default();
                let mut runs = vec![(format!("{name}: "), theme.bold())];
                runs.extend(cell.iter().cloned());
                lines.extend(wrap::words(&runs, width));
            }
        }
        lines
    }
}

fn grid_line(
    cells: &[Vec<Line<'static>>],
    columns: &[usize],
    at: usize,
    style: Style,
    theme: Theme,
) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    for (n, (cell, &width)) in cells.iter().zip(columns).enumerate() {
        if n > 0 {
            spans.push(Span::styled(BETWEEN, theme.dim()));
        }
        let line = cell.get(at).cloned().unwrap_or_default();
        let empty = width.saturating_sub(line.width());
        spans.extend(line.spans.into_iter().map(|span| {
            let own = span.style;
            span.style(style.patch(own))
        }));
        if n + 1 < columns.len() {
            spans.push(Span::raw(" ".repeat(empty)));
        }
    }
    Line::from(spans)
}

fn text(cell: &[Run]) -> String {
    cell.iter().map(|(text, _)| text.as_str()).collect()
}
