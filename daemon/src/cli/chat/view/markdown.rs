//! Markdown, as models write it, on lines of a width. Pure. Whatever the text is, something readable comes out, and no
//! line is wider than asked for or holds anything that could command the terminal.

use super::style::{Theme, clean};
use super::table::Table;
use super::wrap::{self, Run};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd, TextMergeStream};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

/// Columns that are always left for the text, however deep it is nested.
const NARROWEST: usize = 16;

/// Draws `text` on lines of at most `width` columns.
pub fn lines(text: &str, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let text = clean(text);
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut page = Page::new(width.max(1), theme);
    for event in TextMergeStream::new(Parser::new_ext(&text, options)) {
        page.take(event);
    }
    page.flush();
    page.lines
}

/// What stands before the lines of a list's item or of a quote.
struct Margin {
    first: Span<'static>,
    rest: Span<'static>,
    begun: bool,
}

struct Page {
    width: usize,
    theme: Theme,
    lines: Vec<Line<'static>>,
    /// The paragraph under way.
    runs: Vec<Run>,
    styles: Vec<Style>,
    /// `None`: nested too deep for a margin of its own.
    margins: Vec<Option<Margin>>,
    /// The next number of each open list; `None` for one with bullets.
    lists: Vec<Option<u64>>,
    links: Vec<(String, usize)>,
    code: Option<String>,
    table: Option<Table>,
    /// A blank line is due before the next block.
    gap: bool,
}

impl Page {
    fn new(width: usize, theme: Theme) -> Page {
        Page {
            width,
            theme,
            lines: Vec::new(),
            runs: Vec::new(),
            styles: Vec::new(),
            margins: Vec::new(),
            lists: Vec::new(),
            links: Vec::new(),
            code: None,
            table: None,
            gap: false,
        }
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some(code) => code.push_str(&text),
                None => self.text(&text),
            },
            Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                let style = self.style().patch(self.theme.code());
                self.run(text.to_string(), style);
            }
            Event::Html(text) | Event::InlineHtml(text) => self.text(&text),
            // Text of files is full of lines that were meant as such.
            Event::SoftBreak | Event::HardBreak => self.run("\n".into(), Style::new()),
            Event::Rule => {
                self.block();
                let width = self.room().min(40);
                self.put(vec![Line::styled("─".repeat(width), self.theme.dim())]);
                self.gap = true;
            }
            Event::TaskListMarker(done) => {
                self.run(if done { "[x] " } else { "[ ] " }.into(), self.theme.dim());
            }
            Event::FootnoteReference(name) => self.text(&format!("[{name}]")),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.block(),
            Tag::Heading { .. } => {
                self.block();
                self.push(self.theme.heading());
            }
            Tag::BlockQuote(_) => {
                self.block();
                let bar = Span::styled("│ ", self.theme.dim());
                self.margin(bar.clone(), bar);
            }
            Tag::CodeBlock(kind) => {
                self.block();
                if let CodeBlockKind::Fenced(language) = kind
                    && !language.is_empty()
                {
                    let language = clean(&language).replace('\n', " ");
                    let language = wrap::cut(&language, self.room().saturating_sub(2));
                    self.put(vec![Line::styled(format!("  {language}"), self.theme.dim())]);
                }
                self.code = Some(String::new());
            }
            Tag::List(first) => {
                match self.lists.is_empty() {
                    true => self.block(),
                    false => self.flush(),
                }
                self.lists.push(first);
            }
            Tag::Item => self.item(),
            Tag::Table(_) => {
                self.block();
                self.table = Some(Table::default());
            }
            Tag::TableCell => self.flush(),
            Tag::Emphasis => self.push(Style::new().add_modifier(Modifier::ITALIC)),
            Tag::Strong => self.push(self.theme.bold()),
            Tag::Strikethrough => self.push(Style::new().add_modifier(Modifier::CROSSED_OUT)),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                self.links.push((dest_url.to_string(), self.runs.len()));
                self.push(self.theme.link());
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => {
                self.flush();
                self.gap = true;
            }
            TagEnd::Heading(_) => {
                self.flush();
                self.styles.pop();
                self.gap = true;
            }
            TagEnd::BlockQuote(_) => {
                self.flush();
                self.margins.pop();
                self.gap = true;
            }
            TagEnd::CodeBlock => self.code_block(),
            TagEnd::List(_) => {
                self.flush();
                self.lists.pop();
                self.gap |= self.lists.is_empty();
            }
            TagEnd::Item => {
                self.flush();
                self.margins.pop();
            }
            TagEnd::TableCell => {
                let runs = std::mem::take(&mut self.runs);
                self.table.iter_mut().for_each(|table| table.cell(runs.clone()));
            }
            TagEnd::TableHead | TagEnd::TableRow => {
                self.table.iter_mut().for_each(Table::end_row);
            }
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    let lines = table.lines(self.room(), self.theme);
                    self.put(lines);
                }
                self.gap = true;
            }
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => {
                self.styles.pop();
            }
            TagEnd::Link | TagEnd::Image => self.end_link(),
            _ => {}
        }
    }

    fn push(&mut self, style: Style) {
        self.styles.push(self.style().patch(style));
    }

    fn style(&self) -> Style {
        self.styles.last().copied().unwrap_or_default()
    }

    fn run(&mut self, text: String, style: Style) {
        // Entities such as `&#27;` come to life only here.
        self.runs.push((clean(&text), style));
    }

    /// Words, and numbers of citations among them.
    fn text(&mut self, text: &str) {
        let style = self.style();
        let mut rest = text;
        while let Some((before, number, after)) = numbered(rest) {
            self.run(before.to_owned(), style);
            self.run(number.to_owned(), style.patch(self.theme.cite()));
            rest = after;
        }
        self.run(rest.to_owned(), style);
    }

    /// Where a link leads is said, unless that is what it says.
    fn end_link(&mut self) {
        self.styles.pop();
        let Some((url, from)) = self.links.pop() else { return };
        let said: String = self.runs.iter().skip(from).map(|(text, _)| text.as_str()).collect();
        let plain = url.strip_prefix("mailto:").unwrap_or(&url);
        if plain != said && !url.is_empty() {
            self.run(format!(" ({url})"), self.theme.dim());
        }
    }

    fn item(&mut self) {
        self.flush();
        self.open_gap();
        let bullet = match self.lists.last_mut() {
            Some(Some(number)) => {
                let bullet = format!("{number}. ");
                *number = number.saturating_add(1);
                bullet
            }
            _ => "• ".into(),
        };
        let rest = " ".repeat(bullet.width());
        self.margin(Span::styled(bullet, self.theme.dim()), Span::raw(rest));
    }

    /// Text below this has a margin, as long as that leaves room for the text.
    fn margin(&mut self, first: Span<'static>, rest: Span<'static>) {
        let fits = self.room() >= NARROWEST + rest.width();
        self.margins.push(fits.then_some(Margin { first, rest, begun: false }));
    }

    /// Columns that the margins leave.
    fn room(&self) -> usize {
        let taken: usize = self.margins.iter().flatten().map(|margin| margin.rest.width()).sum();
        self.width.saturating_sub(taken).max(1)
    }

    /// A block begins here.
    fn block(&mut self) {
        self.flush();
        self.open_gap();
    }

    fn open_gap(&mut self) {
        if std::mem::take(&mut self.gap) && !self.lines.is_empty() {
            // No bullet stands before nothing.
            let begun = self.margins.iter().flatten().filter(|margin| margin.begun);
            let spans: Vec<Span<'static>> = begun.map(|margin| margin.rest.clone()).collect();
            self.lines.push(Line::from(spans));
        }
    }

    /// The paragraph under way ends.
    fn flush(&mut self) {
        let runs = std::mem::take(&mut self.runs);
        if self.table.is_some() || runs.iter().all(|(text, _)| text.trim().is_empty()) {
            return;
        }
        let lines = wrap::words(&trimmed(runs), self.room());
        self.put(lines);
    }

    fn code_block(&mut self) {
        let code = clean(&self.code.take().unwrap_or_default());
        let room = self.room();
        let indent = if room > NARROWEST { "  " } else { "" };
        let runs = [(code.trim_end_matches('\n').to_owned(), self.theme.code())];
        let lines = wrap::exact(&runs, room - indent.len()).into_iter().map(|mut line| {
            line.spans.insert(0, indent.into());
            line
        });
        let lines = lines.collect();
        self.put(lines);
        self.gap = true;
    }

    fn put(&mut self, lines: Vec<Line<'static>>) {
        for line in lines {
            let mut spans = Vec::new();
            for margin in self.margins.iter_mut().flatten() {
                let begun = std::mem::replace(&mut margin.begun, true);
                spans.push(if begun { margin.rest.clone() } else { margin.first.clone() });
            }
            spans.extend(line.spans.into_iter().map(|span| span.patch_style(line.style)));
            self.lines.push(Line::from(spans));
        }
    }
}

fn trimmed(mut runs: Vec<Run>) -> Vec<Run> {
    if let Some((text, _)) = runs.last_mut() {
        text.truncate(text.trim_end().len());
    }
    runs
}

/// The first `[1]` or `[2, 3]`, with what is before and after it.
fn numbered(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(open) = text[from..].find('[').map(|at| from + at) {
        let inside = &text[open + 1..];
        let length = inside.find(|c: char| !(c.is_ascii_digit() || c == ',' || c == ' '))?;
        let digits = inside[..length].contains(|c: char| c.is_ascii_digit());
        if digits && inside[length..].starts_with(']') {
            let end = open + 1 + length + 1;
            return Some((&text[..open], &text[open..end], &text[end..]));
        }
        from = open + 1;
    }
    None
}

#[cfg(test)]
#[path = "markdown_tests.rs"]
mod tests;
