//! Headings of plain text, Markdown and reStructuredText, found line by line. Pure.

/// A heading and where its line begins in the text. Level 1 is the outermost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heading {
    pub start: usize,
    pub level: usize,
    pub title: String,
}

const MAX_TITLE: usize = 120;

/// At most `limit` bytes of a text, cut at a character.
pub(super) fn clip(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// `#` headings and underlined ones, outside of fenced code.
pub(super) fn markdown(text: &str) -> Vec<Heading> {
    let lines: Vec<(usize, &str)> = lines(text).collect();
    let mut headings = Vec::new();
    let mut fence: Option<&str> = None;
    for (i, &(start, line)) in lines.iter().enumerate() {
        let trimmed = line.trim();
        let mark = ["```", "~~~"].into_iter().find(|mark| trimmed.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            _ => {}
        }
        if fence.is_some() || mark.is_some() {
            continue;
        }
        if let Some((level, title)) = hashes(trimmed) {
            headings.push(Heading { start, level, title });
        } else if let Some(rule @ ('=' | '-')) = lines.get(i + 1).and_then(|next| underline(trimmed, next.1))
        {
            let level = if rule == '=' { 1 } else { 2 };
            headings.push(Heading { start, level, title: clip(trimmed, MAX_TITLE).to_string() });
        }
    }
    headings
}

/// Underlined headings as in reStructuredText and READMEs (levels in the order in which their
/// marks first appear), and short lines in capitals or with a section number that stand alone.
pub(super) fn plain(text: &str) -> Vec<Heading> {
    let lines: Vec<(usize, &str)> = lines(text).collect();
    let mut marks: Vec<char> = Vec::new();
    let mut headings = Vec::new();
    for (i, &(start, line)) in lines.iter().enumerate() {
        let trimmed = line.trim();
        let Some(title) = titleish(trimmed) else { continue };
        let mark = lines.get(i + 1).and_then(|next| underline(trimmed, next.1));
        let level = match mark {
            Some(mark) => {
                let known = marks.iter().position(|m| *m == mark);
                known.unwrap_or_else(|| {
                    marks.push(mark);
                    marks.len() - 1
                }) + 1
            }
            None => {
                let blank =
                    |j: Option<usize>| j.and_then(|j| lines.get(j)).is_none_or(|l| l.1.trim().is_empty());
                if !blank(i.checked_sub(1)) || !blank(Some(i + 1)) || !(capitals(title) || numbered(title)) {
                    continue;
                }
                marks.len().max(1) + numbered(title) as usize
            }
        };
        headings.push(Heading { start, level, title: title.to_string() });
    }
    headings
}

/// Lines with the byte each begins at, without their ends.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let at = start;
        start += line.len();
        (at, line.trim_end_matches(['\n', '\r']))
    })
}

fn hashes(line: &str) -> Option<(usize, String)> {
    let level = line.bytes().take_while(|b| *b == b'#').count();
    let rest = line.get(level..).filter(|rest| (1..=6).contains(&level) && rest.starts_with([' ', '\t']))?;
    let title = rest.trim().trim_end_matches('#').trim();
    (!title.is_empty()).then(|| (level, clip(title, MAX_TITLE).to_string()))
}

/// The mark that underlines a title: a line of one repeated mark, about as long as the title.
fn underline(title: &str, below: &str) -> Option<char> {
    let rule = below.trim();
    let mark = rule.chars().next().filter(|c| "=-~^\"*+#_.:'`".contains(*c))?;
    let length = rule.chars().count();
    let wanted = title.chars().count();
    let fits = length >= 3 && length + 3 >= wanted && length <= wanted.max(4) + 60;
    (fits && rule.chars().all(|c| c == mark) && titleish(title).is_some()).then_some(mark)
}

fn titleish(line: &str) -> Option<&str> {
    let short = line.len() <= MAX_TITLE && !line.ends_with(['.', ',', ';']);
    (short && line.chars().any(char::is_alphabetic)).then_some(line)
}

fn capitals(line: &str) -> bool {
    let letters = line.chars().filter(|c| c.is_alphabetic());
    line.len() <= 60 && letters.clone().count() >= 4 && letters.clone().all(char::is_uppercase)
}

/// `1. Name`, `2.3 Name`, `A.1) Name`.
fn numbered(line: &str) -> bool {
    let Some((number, rest)) = line.split_once(' ') else { return false };
    let number = number.trim_end_matches(['.', ')']);
    let parts = || number.split('.');
    line.len() <= 80
        && number.len() <= 8
        && number.starts_with(|c: char| c.is_ascii_digit())
        && parts().all(|p| !p.is_empty() && p.chars().all(|c| c.is_ascii_digit()))
        && rest.trim_start().starts_with(char::is_uppercase)
        && !rest.ends_with(['.', ',', ';', ':'])
}
