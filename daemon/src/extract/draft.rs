//! A document's text as a reader puts it together: paragraphs, headings, pages, up to a limit. Pure data;
//! it never refuses what it is given, and says when it left something out.

use super::outline::{Heading, clip};

/// Headings longer than this are cut.
const MAX_TITLE: usize = 120;
/// Most headings and pages that are kept apart.
const MAX_MARKS: usize = 1 << 17;

/// Text under way. Readers stop when it is [`Draft::full`].
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub text: String,
    pub headings: Vec<Heading>,
    /// Where each page, slide or sheet begins, and its number.
    pub pages: Vec<(usize, u32)>,
    /// Places that no passage reaches over: where pages, chapters and messages begin.
    pub borders: Vec<usize>,
    pub title: Option<String>,
    limit: usize,
    full: bool,
}

impl Draft {
    /// At most `limit` bytes of text.
    pub(super) fn new(limit: u64) -> Draft {
        Draft { limit: usize::try_from(limit).unwrap_or(usize::MAX), ..Draft::default() }
    }

    /// Whether text was left out because there was too much of it.
    pub(super) fn full(&self) -> bool {
        self.full
    }

    /// Says that text was left out, whoever left it.
    pub(super) fn cut(&mut self) {
        self.full = true;
    }

    /// What follows stands on this page, slide or sheet.
    pub(super) fn page(&mut self, number: u32) {
        let last = self.pages.last().copied();
        if last.is_some_and(|last| last.0 == self.text.len()) {
            self.pages.pop();
        } else if last.is_some_and(|last| last.1 == number) || self.pages.len() >= MAX_MARKS {
            return;
        }
        self.pages.push((self.text.len(), number));
        self.border();
    }

    /// What follows is read apart from what stands before it.
    pub(super) fn border(&mut self) {
        if self.borders.last() != Some(&self.text.len()) && self.borders.len() < MAX_MARKS {
            self.borders.push(self.text.len());
        }
    }

    /// What follows stands under this heading, which is not part of the text itself.
    pub(super) fn mark(&mut self, level: usize, title: &str) {
        let words: Vec<&str> = title.split_whitespace().collect();
        let title = words.join(" ");
        if !title.is_empty() && self.headings.len() < MAX_MARKS {
            let title = clip(&title, MAX_TITLE).to_string();
            self.headings.push(Heading { start: self.text.len(), level, title });
        }
    }

    /// A heading that is written in the text.
    pub(super) fn heading(&mut self, level: usize, text: &str) {
        self.mark(level, text);
        self.paragraph(text);
    }

    pub(super) fn paragraph(&mut self, text: &str) {
        self.push("\n\n", text);
    }

    pub(super) fn line(&mut self, text: &str) {
        self.push("\n", text);
    }

    /// The document's own title, the first one that is given.
    pub(super) fn set_title(&mut self, title: &str) {
        if self.title.is_none() && !title.trim().is_empty() {
            self.title = Some(title.trim().to_string());
        }
    }

    /// Takes in text that another reader has outlined, its headings `deeper` by so many levels.
    pub(super) fn append(&mut self, text: &str, headings: &[Heading], deeper: usize) {
        if text.trim().is_empty() {
            return;
        }
        let gap = if self.text.is_empty() { "" } else { "\n\n" };
        let start = self.text.len() + gap.len();
        self.write(gap);
        self.write(text);
        let reached = self.text.len();
        let room = MAX_MARKS.saturating_sub(self.headings.len());
        let moved = headings.iter().map(|heading| Heading {
            start: start + heading.start,
            level: heading.level + deeper,
            title: heading.title.clone(),
        });
        self.headings.extend(moved.take_while(|heading| heading.start < reached).take(room));
    }

    fn push(&mut self, gap: &str, text: &str) {
        let text = text.trim_end().trim_start_matches(['\n', '\r']);
        if text.trim().is_empty() {
            return;
        }
        if !self.text.is_empty() {
            self.write(gap);
        }
        self.write(text);
    }

    fn write(&mut self, text: &str) {
        let room = self.limit.saturating_sub(self.text.len());
        let taken = clip(text, room);
        self.full |= taken.len() < text.len();
        self.text.push_str(taken);
    }
}

/// Why a document gives no text; follows its name in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    #[error("is a damaged {0}: {1}")]
    Damaged(&'static str, &'static str),
    #[error("is locked with a password")]
    Locked,
    #[error("holds no text: its pages are pictures")]
    Pictures,
    #[error("unpacks to more than {} MB", .0 >> 20)]
    Swollen(u64),
    #[error("is {0}, which is not read")]
    Foreign(&'static str),
}
