//! From letters at places to lines, and from lines to paragraphs, headings and pages. Text is kept in the
//! order in which it was drawn, which is the order of reading in what programs write.

use crate::extract::draft::Draft;
use std::collections::HashMap;

/// Parts of the letters' size: a gap that is a blank, one that parts columns, and a baseline's tolerance.
const BLANK: f64 = 0.15;
const COLUMN: f64 = 2.5;
const BASELINE: f64 = 0.45;
/// How much larger than the body a heading is, and how long it may be.
const LARGER: f64 = 1.12;
const MAX_HEADING: usize = 160;
/// Pages that a line stands on before it counts as one that only counts them.
const REPEATED: usize = 3;
/// Kinds of headings told apart by their size.
const LEVELS: usize = 4;

/// Letters shown in one go: their text, from where to where, on which baseline, how large.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    pub text: String,
    pub start: f64,
    pub end: f64,
    /// How far up the page, seen along the direction of writing.
    pub base: f64,
    pub size: f64,
    pub angle: f64,
    pub bold: bool,
}

#[derive(Debug)]
struct Line {
    page: u32,
    run: Run,
}

/// All lines of a document.
#[derive(Debug, Default)]
pub(super) struct Layout {
    lines: Vec<Line>,
    page: u32,
    open: bool,
    bytes: usize,
}

impl Layout {
    pub(super) fn begin_page(&mut self, number: u32) {
        self.page = number;
        self.open = false;
    }

    /// Bytes that are held so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Puts letters behind the open line, or begins a new one.
    pub(super) fn put(&mut self, mut run: Run) {
        if run.text.is_empty() || !(run.start.is_finite() && run.end.is_finite() && run.base.is_finite()) {
            return;
        }
        self.bytes += run.text.len();
        if let Some(line) = self.lines.last_mut().filter(|_| self.open)
            && continues(&line.run, &run)
        {
            let open = &mut line.run;
            let gap = run.start - open.end;
            let size = run.size.max(1.0);
            let apart = open.text.ends_with(' ') || run.text.starts_with(' ');
            if gap > COLUMN * size {
                open.text.push_str(if apart { " " } else { "  " });
            } else if gap > BLANK * size && !apart {
                open.text.push(' ');
            }
            open.text.push_str(&run.text);
            open.end = run.end.max(open.end);
            open.bold &= run.bold || run.text.trim().is_empty();
            if run.text.trim().len() > open.text.len() / 2 {
                open.size = run.size;
            }
            return;
        }
        if run.text.trim().is_empty() {
            return;
        }
        run.text = run.text.trim_start().to_string();
        self.bytes += size_of::<Line>();
        self.lines.push(Line { page: self.page, run });
        self.open = true;
    }

    /// Writes everything into a draft, page by page.
    pub(super) fn write(mut self, draft: &mut Draft) {
        self.lines.iter_mut().for_each(|line| line.run.text.truncate(line.run.text.trim_end().len()));
        self.drop_running_heads();
        let style = Style::of(&self.lines);
        let mut paragraph: Vec<&Line> = Vec::new();
        for line in &self.lines {
            if paragraph.last().is_some_and(|last| style.parted(last, line)) {
                style.write(&paragraph, draft);
                paragraph.clear();
            }
            if draft.full() {
                return;
            }
            paragraph.push(line);
        }
        style.write(&paragraph, draft);
    }

    /// Takes out the first and last lines of pages that only count the pages, or are the same on most.
    fn drop_running_heads(&mut self) {
        let edges: Vec<usize> = (0..self.lines.len())
            .filter(|at| {
                let page = |at: Option<usize>| at.and_then(|at| self.lines.get(at)).map(|line| line.page);
                let here = page(Some(*at));
                page(at.checked_sub(1)) != here || page(Some(at + 1)) != here
            })
            .collect();
        let mut counts: HashMap<(String, Option<i64>), usize> = HashMap::new();
        for at in &edges {
            *counts.entry(head(&self.lines[*at])).or_default() += 1;
        }
        let mut pages: Vec<u32> = self.lines.iter().map(|line| line.page).collect();
        pages.dedup();
        let most = pages.len() / 2 + 1;
        let is_head = |line: &Line| {
            let head = head(line);
            counts[&head] >= if head.1.is_some() { REPEATED } else { REPEATED.max(most) }
        };
        let heads: Vec<usize> = edges.into_iter().filter(|at| is_head(&self.lines[*at])).collect();
        let mut at = 0;
        self.lines.retain(|_| {
            at += 1;
            heads.binary_search(&(at - 1)).is_err()
        });
    }
}

/// What stays the same of a line that counts pages: its words, and how far its number is from the page's.
fn head(line: &Line) -> (String, Option<i64>) {
    let text = &line.run.text;
    let words = text.chars().filter(|c| !c.is_numeric()).collect();
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty());
    let number: Option<i64> = numbers.next_back().and_then(|number| number.parse().ok());
    (words, number.map(|number| number.saturating_sub(i64::from(line.page))))
}

/// Whether letters stand on the same line as those before them.
fn continues(line: &Run, run: &Run) -> bool {
    let size = line.size.max(run.size).max(1.0);
    (line.angle - run.angle).abs() < 0.05
        && (line.base - run.base).abs() < BASELINE * size
        && run.start > line.end - size
}

/// What is usual in a document: the size of its body and the way from line to line.
struct Style {
    body: f64,
    spacing: f64,
    /// Sizes of headings, the largest first.
    sizes: Vec<f64>,
}

impl Style {
    fn of(lines: &[Line]) -> Style {
        let mut letters: HashMap<i64, usize> = HashMap::new();
        for line in lines {
            *letters.entry(tenths(line.run.size)).or_default() += line.run.text.len();
        }
        let body = letters.iter().max_by_key(|(size, count)| (**count, -**size)).map_or(1, |(size, _)| *size);
        let body = body as f64 / 10.0;
        let mut gaps: Vec<f64> = lines
            .windows(2)
            .filter(|pair| pair[0].page == pair[1].page && tenths(pair[1].run.size) == tenths(body))
            .map(|pair| pair[0].run.base - pair[1].run.base)
            .filter(|gap| *gap > 0.5 * body && *gap < 3.0 * body)
            .collect();
        gaps.sort_by(f64::total_cmp);
        let spacing = gaps.get(gaps.len() / 2).copied().unwrap_or(1.2 * body);
        let mut sizes: Vec<i64> =
            letters.keys().copied().filter(|size| *size as f64 / 10.0 >= LARGER * body).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        sizes.dedup_by(|smaller, larger| *larger - *smaller < 5);
        Style { body, spacing, sizes: sizes.into_iter().map(|size| size as f64 / 10.0).collect() }
    }

    /// Whether a new paragraph begins with the second line.
    fn parted(&self, last: &Line, line: &Line) -> bool {
        let (last, next) = ((last.page, &last.run), (line.page, &line.run));
        let gap = last.1.base - next.1.base;
        let heading = next.1.size >= LARGER * self.body;
        let usual = if heading { 1.35 * next.1.size } else { self.spacing.max(1.2 * last.1.size) * 1.3 };
        last.0 != next.0
            || gap > usual
            || gap < -0.5 * next.1.size
            || (tenths(last.1.size) - tenths(next.1.size)).abs() as f64 > self.body
            || last.1.bold != next.1.bold && (self.short(last.1) || self.short(next.1))
    }

    fn short(&self, run: &Run) -> bool {
        run.bold && run.text.len() < MAX_HEADING / 2
    }

    fn write(&self, lines: &[&Line], draft: &mut Draft) {
        let Some(first) = lines.first() else { return };
        draft.page(first.page);
        let text = joined(lines);
        match self.level(lines, &text) {
            Some(level) => draft.heading(level, &text.replace('\n', " ")),
            None => draft.paragraph(&text),
        }
    }

    /// The level of a heading; `None` for a paragraph of the body.
    fn level(&self, lines: &[&Line], text: &str) -> Option<usize> {
        let run = &lines[0].run;
        let letters = text.chars().filter(|c| c.is_alphabetic()).count();
        if text.len() > MAX_HEADING || letters < 2 || lines.len() > 3 {
            return None;
        }
        if run.size >= LARGER * self.body {
            let level = self.sizes.iter().position(|size| run.size >= size - 0.5).unwrap_or(self.sizes.len());
            return Some(level.min(LEVELS - 1) + 1);
        }
        let bold = lines.iter().all(|line| line.run.bold) && lines.len() == 1;
        let whole = !text.ends_with(['.', ',', ';', ':']) && run.size >= 0.95 * self.body;
        (bold && whole && text.len() < MAX_HEADING / 2).then_some(self.sizes.len().min(LEVELS) + 1)
    }
}

fn tenths(size: f64) -> i64 {
    (size.clamp(0.0, 10_000.0) * 10.0).round() as i64
}

/// Lines as they stand; a word that was parted at a line's end is made whole.
fn joined(lines: &[&Line]) -> String {
    let mut text = String::new();
    for line in lines {
        let next = line.run.text.as_str();
        let parted = text.strip_suffix(['-', '\u{ad}', '\u{2010}']).map(str::len);
        let inside = |whole: usize| {
            text[..whole].ends_with(char::is_lowercase) && next.starts_with(char::is_lowercase)
        };
        match parted.filter(|whole| inside(*whole)) {
            Some(whole) => text.truncate(whole),
            None if text.is_empty() => {}
            None => text.push('\n'),
        }
        text.push_str(next);
    }
    text
}
