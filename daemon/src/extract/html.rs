//! HTML to readable text: tags away, blocks on their own lines, headings kept, entities decoded,
//! each stretch of text still knowing which bytes of the source it came from. It follows no link,
//! loads nothing and runs nothing.

use super::map::Map;
use super::outline::{Heading, clip};
use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};
use std::convert::Infallible;

/// A page as text. `map` leads from `text` to the source.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub text: String,
    pub map: Map,
    pub title: Option<String>,
    pub headings: Vec<Heading>,
}

/// Reads a page. There is no page that it refuses.
pub(super) fn text(source: &str) -> Page {
    let mut reader = Reader { source, page: Page::default(), ..Reader::default() };
    let mut emitter =
        CallbackEmitter::new(|event: CallbackEvent<'_>, span: Span<usize>| -> Option<Infallible> {
            reader.event(event, span);
            None
        });
    emitter.naively_switch_states(true);
    // The reader of a string cannot fail.
    let Ok(()) = Tokenizer::new_with_emitter(source, emitter).finish();
    reader.close_heading();
    reader.page
}

#[derive(Default)]
struct Reader<'a> {
    source: &'a str,
    page: Page,
    /// Depth in elements whose text is not for reading.
    hidden: Option<String>,
    in_title: bool,
    preformatted: usize,
    heading: Option<(usize, usize)>,
    /// The text so far ends in a blank that later text may rely on.
    pending: Pending,
}

#[derive(Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Pending {
    #[default]
    Nothing,
    Blank,
    Line,
    Paragraph,
}

impl Reader<'_> {
    fn event(&mut self, event: CallbackEvent<'_>, span: Span<usize>) {
        match event {
            CallbackEvent::OpenStartTag { name } => self.open(&lower(name)),
            CallbackEvent::EndTag { name } => self.close(&lower(name)),
            CallbackEvent::String { value } => self.string(&String::from_utf8_lossy(value), span),
            _ => {}
        }
    }

    fn open(&mut self, tag: &str) {
        if self.hidden.is_some() {
            return;
        }
        match tag {
            "title" => self.in_title = self.page.title.is_none(),
            "script" | "style" | "noscript" | "template" | "svg" | "iframe" | "textarea" => {
                self.hidden = Some(tag.to_string())
            }
            "br" => self.pend(Pending::Line),
            "pre" => {
                self.preformatted += 1;
                self.pend(Pending::Paragraph);
            }
            _ => {
                if let Some(level) = heading_level(tag) {
                    self.close_heading();
                    self.pend(Pending::Paragraph);
                    self.flush(None);
                    self.heading = Some((level, self.page.text.len()));
                } else {
                    self.pend(border(tag));
                }
            }
        }
    }

    fn close(&mut self, tag: &str) {
        if let Some(hidden) = &self.hidden {
            if hidden == tag {
                self.hidden = None;
            }
            return;
        }
        match tag {
            "title" => self.in_title = false,
            "pre" => {
                self.preformatted = self.preformatted.saturating_sub(1);
                self.pend(Pending::Paragraph);
            }
            _ if heading_level(tag).is_some() => {
                self.close_heading();
                self.pend(Pending::Paragraph);
            }
            _ => self.pend(border(tag)),
        }
    }

    fn close_heading(&mut self) {
        let Some((level, start)) = self.heading.take() else { return };
        let words: Vec<&str> = self.page.text[start..].split_whitespace().collect();
        let title = words.join(" ");
        if !title.is_empty() {
            self.page.headings.push(Heading { start, level, title: clip(&title, 120).to_string() });
        }
    }

    fn pend(&mut self, pending: Pending) {
        self.pending = self.pending.max(pending);
    }

    /// Writes the blank that is due, before text that begins at `source`.
    fn flush(&mut self, source: Option<usize>) {
        let blank = match std::mem::take(&mut self.pending) {
            Pending::Nothing => "",
            _ if self.page.text.is_empty() => "",
            Pending::Blank => " ",
            Pending::Line => "\n",
            Pending::Paragraph => "\n\n",
        };
        self.page.text.push_str(blank);
        if let Some(source) = source {
            self.page.map.push(self.page.text.len(), source);
        }
    }

    fn string(&mut self, value: &str, span: Span<usize>) {
        if self.in_title {
            let words: Vec<&str> = value.split_whitespace().collect();
            self.page.title = Some(words.join(" ")).filter(|title| !title.is_empty());
            return;
        }
        if self.hidden.is_some() {
            return;
        }
        let raw = self.source.get(span.start..).unwrap_or_default();
        let mut at = 0;
        for c in value.chars() {
            let taken = source_length(raw.get(at..).unwrap_or_default(), c);
            self.char(c, (span.start + at).min(span.end));
            at += taken;
        }
    }

    fn char(&mut self, c: char, source: usize) {
        if self.preformatted == 0 && c.is_whitespace() {
            return self.pend(Pending::Blank);
        }
        self.flush(Some(source));
        self.page.text.push(c);
    }
}

/// Bytes of source that made the character `c`: itself, a line end of two bytes, or an entity.
fn source_length(raw: &str, c: char) -> usize {
    if c == '\n' && raw.starts_with("\r\n") {
        return 2;
    }
    if !raw.starts_with('&') {
        return raw.chars().next().map_or(0, char::len_utf8);
    }
    let name = raw[1..].bytes().take(40).take_while(|b| b.is_ascii_alphanumeric() || *b == b'#').count();
    let whole = raw.as_bytes().get(1 + name) == Some(&b';');
    // A `&` that stands for itself, as in "R&D".
    if c == '&' && !(whole || raw.starts_with("&amp") || raw.starts_with("&#")) {
        return 1;
    }
    1 + name + whole as usize
}

fn lower(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_ascii_lowercase()
}

fn heading_level(tag: &str) -> Option<usize> {
    let level = tag.strip_prefix('h')?.parse().ok()?;
    (1..=6).contains(&level).then_some(level)
}

/// What separates an element's text from its neighbours'.
fn border(tag: &str) -> Pending {
    match tag {
        "p" | "div" | "section" | "article" | "ul" | "ol" | "dl" | "table" | "blockquote" | "body"
        | "header" | "footer" | "nav" | "main" | "aside" | "figure" | "form" | "hr" | "address" => {
            Pending::Paragraph
        }
        "li" | "dt" | "dd" | "tr" | "caption" | "option" | "figcaption" => Pending::Line,
        "td" | "th" => Pending::Blank,
        _ => Pending::Nothing,
    }
}
