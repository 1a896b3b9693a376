//! The conversation on rows: questions, answers, calls, citations, notes. Pure; each row says what of the conversation it
//! shows, where that can be pointed at.

use super::markdown;
use super::style::{Theme, clean};
use super::wrap::{self, cut, cut_start};
use crate::cli::chat::core::Part;
use crate::cli::chat::core::turn::{Entry, Judged, Kind, Phase, Tool, Turn};
use crate::cli::output::one_line;
use crate::types::Citation;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

/// Lines of a question that are shown, and of what a tool gave.
const QUESTION: usize = 10;
const RESULT: usize = 30;
/// Columns before everything but the mark of a question.
const INDENT: usize = 2;

/// One row of the conversation.
#[derive(Debug, Clone)]
pub struct Row {
    pub line: Line<'static>,
    pub part: Option<Part>,
}

/// What rows are made with.
#[derive(Clone, Copy)]
pub struct Paper<'a> {
    pub width: usize,
    pub theme: Theme,
    pub home: Option<&'a str>,
}

/// An entry on rows, with a blank one after it.
pub fn rows(entry: &Entry, paper: Paper<'_>) -> Vec<Row> {
    let mut sheet = Sheet { paper, rows: Vec::new() };
    match &entry.kind {
        Kind::Turn(turn) => sheet.turn(entry.id, turn),
        Kind::Note(text) => sheet.note(text),
    }
    sheet.blank();
    sheet.rows
}

struct Sheet<'a> {
    paper: Paper<'a>,
    rows: Vec<Row>,
}

impl Sheet<'_> {
    fn room(&self) -> usize {
        self.paper.width.saturating_sub(INDENT).max(1)
    }

    fn blank(&mut self) {
        self.rows.push(Row { line: Line::default(), part: None });
    }

    /// A line below the indent.
    fn put(&mut self, line: Line<'static>, part: Option<Part>) {
        let mut spans = vec![Span::raw(" ".repeat(INDENT))];
        spans.extend(line.spans.into_iter().map(|span| span.patch_style(line.style)));
        self.rows.push(Row { line: Line::from(spans), part });
    }

    fn words(&mut self, text: &str, style: Style) {
        for line in wrap::words(&[(clean(text), style)], self.room()) {
            self.put(line, None);
        }
    }

    fn note(&mut self, text: &str) {
        self.words(text.trim_end(), self.paper.theme.dim());
    }

    fn turn(&mut self, id: u64, turn: &Turn) {
        let theme = self.paper.theme;
        self.question(&turn.question);
        self.blank();
        for (at, tool) in turn.tools.iter().enumerate() {
            self.tool(Part::Tool(id, at), tool, turn.phase == Phase::Answering);
        }
        if !turn.tools.is_empty() && !turn.answer.is_empty() {
            self.blank();
        }
        if !turn.answer.trim().is_empty() {
            for line in markdown::lines(&turn.answer, self.room(), theme) {
                self.put(line, None);
            }
        }
        if !turn.citations.is_empty() {
            self.blank();
        }
        for (at, citation) in turn.citations.iter().enumerate() {
            self.citation(Part::Citation(id, at), citation);
        }
        for sentence in &turn.left_out {
            self.words(&format!("note: {}", one_line(sentence, 400)), theme.dim());
        }
        self.end(id, turn);
    }

    fn question(&mut self, question: &str) {
        let theme = self.paper.theme;
        let question = clean(question);
        let lines: Vec<&str> = question.trim_end().lines().collect();
        let shown = lines[..lines.len().min(QUESTION)].join("\n");
        let mut first = true;
        for line in wrap::words(&[(shown, theme.bold())], self.room()).into_iter().take(2 * QUESTION) {
            let mark = if std::mem::take(&mut first) { "› " } else { "  " };
            let mut spans = vec![Span::styled(mark, theme.own())];
            spans.extend(line.spans);
            self.rows.push(Row { line: Line::from(spans), part: None });
        }
        if lines.len() > QUESTION {
            let more = crate::cli::output::count((lines.len() - QUESTION) as u64, "more line", "more lines");
            self.words(&format!("… and {more}"), theme.dim());
        }
    }

    fn tool(&mut self, part: Part, tool: &Tool, running: bool) {
        let theme = self.paper.theme;
        let (mark, style) = match tool.status.as_deref() {
            None if running => ("…".to_owned(), theme.dim()),
            None => (String::new(), theme.dim()),
            Some("ok") => ("✓".to_owned(), theme.good()),
            Some(status) => (one_line(status, 20), theme.trouble()),
        };
        let progress = tool.progress.iter().filter(|_| tool.status.is_none());
        let progress: String = progress.map(|text| format!(" {}", one_line(text, 60))).collect();
        let fold = if tool.open { "▾ " } else { "▸ " };
        let name = one_line(&tool.name, 60);
        let used = fold.width() + name.width() + 2 + progress.width() + mark.width();
        let arguments = one_line(&tool.arguments.to_string(), 400);
        let arguments = cut(&clean(&arguments), self.room().saturating_sub(used));
        self.put(
            Line::from(vec![
                Span::styled(fold, theme.dim()),
                Span::styled(clean(&name), theme.code()),
                Span::styled(format!(" {arguments}{progress} "), theme.dim()),
                Span::styled(clean(&mark), style),
            ]),
            Some(part),
        );
        if tool.open {
            self.unfolded(tool);
        }
    }

    fn unfolded(&mut self, tool: &Tool) {
        let theme = self.paper.theme;
        let arguments = serde_json::to_string_pretty(&tool.arguments).unwrap_or_default();
        self.block(&arguments, theme.code());
        match &tool.result {
            Some(result) => self.block(result, theme.dim()),
            None => self.words("  what it gave is not known here", theme.dim()),
        }
    }

    fn block(&mut self, text: &str, style: Style) {
        let text = clean(text.trim_end());
        let lines = wrap::exact(&[(text, style)], self.room().saturating_sub(2));
        let more = lines.len().saturating_sub(RESULT);
        for mut line in lines.into_iter().take(RESULT) {
            line.spans.insert(0, Span::raw("  "));
            self.put(line, None);
        }
        if more > 0 {
            self.words(&format!("  … and {more} more lines"), self.paper.theme.dim());
        }
    }

    /// `[1] path:line  “quote”` on one row.
    fn citation(&mut self, part: Part, citation: &Citation) {
        let theme = self.paper.theme;
        let number = format!("[{}] ", citation.n);
        let page = citation.page.map(|page| format!(" (page {page})")).unwrap_or_default();
        let stale = if citation.stale { " (changed since)" } else { "" };
        let place = format!("{}:{}", short(&citation.path, self.paper.home), citation.line);
        let room = self.room().saturating_sub(number.width() + page.width() + stale.width());
        let quote = clean(&one_line(&citation.quote, 400));
        let place = cut_start(&place, if room > 50 { room * 3 / 5 } else { room });
        let left = room.saturating_sub(place.width() + 4);
        let quote = if left >= 12 { format!("  “{}”", cut(&quote, left)) } else { String::new() };
        self.put(
            Line::from(vec![
                Span::styled(number, theme.cite()),
                Span::styled(place, theme.link()),
                Span::styled(page, theme.plain()),
                Span::styled(stale, theme.warning()),
                Span::styled(quote, theme.dim()),
            ]),
            Some(part),
        );
    }

    fn end(&mut self, id: u64, turn: &Turn) {
        let theme = self.paper.theme;
        match &turn.phase {
            Phase::Answering => {}
            Phase::Done => {
                let (judged, style) = match &turn.judged {
                    None => ("", theme.dim()),
                    Some(Judged::Good) => ("  ✓ right", theme.good()),
                    Some(Judged::Bad) => ("  ✗ wrong", theme.trouble()),
                    Some(Judged::Edit(_)) => ("  ✎ put right:", theme.good()),
                };
                let by = cut(&clean(&one_line(&turn.by, 200)), self.room().saturating_sub(judged.width()));
                self.put(
                    Line::from(vec![Span::styled(by, theme.dim()), Span::styled(judged, style)]),
                    Some(Part::Answer(id)),
                );
                if let Some(Judged::Edit(text)) = &turn.judged {
                    for line in markdown::lines(text, self.room(), theme) {
                        self.put(line, None);
                    }
                }
            }
            Phase::Stopped => self.words("(stopped)", theme.dim()),
            Phase::Failed(why) => self.words(&format!("✗ {why}  ^R asks it again."), theme.trouble()),
            Phase::Lost => {
                let text = "✗ The daemon went away before the answer was whole. ^R asks it again.";
                self.words(text, theme.trouble());
            }
        }
    }
}

/// A path as people write it.
pub fn short(path: &str, home: Option<&str>) -> String {
    let below = home.and_then(|home| path.strip_prefix(home)).filter(|rest| rest.starts_with('/'));
    one_line(&below.map_or_else(|| path.to_owned(), |rest| format!("~{rest}")), 4096)
}
