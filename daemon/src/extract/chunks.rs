//! Cuts a text into passages of some 500 to 900 bytes, at headings, blank lines, line ends and
//! sentence ends, in that order of preference. Pure; passages never overlap and never split a character.

use super::outline::Heading;

/// A passage is closed once the next paragraph would make it longer than this.
const MAX: usize = 900;
/// A passage shorter than this takes in what follows, if that fits.
const MIN: usize = 250;

/// One passage: a byte range of the text, and the headings above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub start: usize,
    pub end: usize,
    pub breadcrumb: String,
}

/// All passages of a text, in order. `headings` are in order of `start`, and so are the `borders`
/// that no passage reaches over.
pub(super) fn split(text: &str, headings: &[Heading], borders: &[usize]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut trail: Vec<&Heading> = Vec::new();
    // A border was passed and nothing has been read behind it yet.
    let mut parted = false;
    let mut sections = vec![(0, None)];
    sections.extend(headings.iter().map(|h| (h.start, Some(h))));
    if !borders.is_empty() {
        sections.extend(borders.iter().map(|border| (*border, None)));
        // A heading at a page's top is the page's.
        sections.sort_by_key(|(start, heading)| (*start, heading.is_some()));
    }
    for (i, &(start, heading)) in sections.iter().enumerate() {
        let end = sections.get(i + 1).map_or(text.len(), |next| next.0);
        parted |= borders.binary_search(&start).is_ok();
        let mut deeper = true;
        if let Some(heading) = heading {
            deeper = trail.last().is_none_or(|above| heading.level >= above.level);
            trail.retain(|above| above.level < heading.level);
            trail.push(heading);
        }
        section(text, start, end, &breadcrumb(&trail), deeper && !parted, &mut pieces);
        parted &= text[start..end].trim().is_empty();
    }
    pieces.retain(|piece| text[piece.start..piece.end].chars().any(char::is_alphanumeric));
    pieces
}

fn breadcrumb(trail: &[&Heading]) -> String {
    let titles: Vec<&str> = trail.iter().map(|h| h.title.as_str()).collect();
    titles.join(" > ")
}

/// Packs the paragraphs of one section; a short piece before it takes them in when `join` says so.
fn section(text: &str, start: usize, end: usize, breadcrumb: &str, join: bool, pieces: &mut Vec<Piece>) {
    let mut first = true;
    for (from, to) in paragraphs(text, start, end) {
        let last = pieces.last_mut().filter(|last| {
            let same = !first || (join && last.end - last.start < MIN);
            same && to - last.start <= MAX
        });
        match last {
            Some(last) => last.end = to,
            None => pieces.extend(cut(text, from, to).into_iter().map(|(start, end)| Piece {
                start,
                end,
                breadcrumb: breadcrumb.to_string(),
            })),
        }
        first = false;
    }
}

/// Stretches between blank lines, without the space around them.
fn paragraphs(text: &str, start: usize, end: usize) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, usize)> = None;
    let mut at = start;
    for line in text[start..end].split_inclusive('\n') {
        let content = line.trim_end().len();
        if content == 0 {
            found.extend(open.take());
        } else {
            let from = open.map_or(at + (line.len() - line.trim_start().len()), |(from, _)| from);
            open = Some((from, at + content));
        }
        at += line.len();
    }
    found.extend(open);
    found
}

/// A paragraph cut into parts of at most [`MAX`] bytes.
fn cut(text: &str, start: usize, end: usize) -> Vec<(usize, usize)> {
    let mut parts = Vec::new();
    let mut at = start;
    while end - at > MAX {
        let part = &text[at..at + text[at..end].floor_char_boundary(MAX)];
        let length = border(part);
        push_trimmed(text, at, at + length, &mut parts);
        at += length;
    }
    push_trimmed(text, at, end, &mut parts);
    parts
}

fn push_trimmed(text: &str, start: usize, end: usize, parts: &mut Vec<(usize, usize)>) {
    let part = &text[start..end];
    let from = start + (part.len() - part.trim_start().len());
    let to = start + part.trim_end().len();
    if from < to {
        parts.push((from, to));
    }
}

/// Where to cut a part that is too long: behind a list item or sentence, else a line, else a
/// word, else where it is. Never in the first half, so that parts do not get small.
fn border(part: &str) -> usize {
    let half = part.len() / 2;
    let ends = [". ", ".\n", "? ", "?\n", "! ", "!\n", ";\n", "。", "\n* ", "\n- "];
    let sentence = ends.iter().filter_map(|mark| {
        let at = part.rfind(mark)?;
        Some(if mark.starts_with('\n') { at + 1 } else { at + mark.len() })
    });
    let after = |found: Option<usize>| found.filter(|at| *at > half && *at <= part.len());
    after(sentence.max())
        .or_else(|| after(part.rfind('\n').map(|at| at + 1)))
        .or_else(|| after(part.rfind(char::is_whitespace).map(|at| at + 1)))
        .map_or(part.len(), |at| part.floor_char_boundary(at))
}
