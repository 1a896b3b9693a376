//! Headings of data that stays as it is written: the names of a table's columns, the keys of a JSON text.
//! Pure; it looks once over the text and builds nothing of it.

use super::outline::{Heading, clip};

/// Longest heading.
const TITLE: usize = 120;
/// Keys inside of each other that are headings.
const LEVELS: usize = 2;
/// A value shorter than this needs no heading of its own.
const LARGE: usize = 400;

/// The first line of a table, when it names columns, over all that follows.
pub(super) fn table(text: &str, separator: char) -> Vec<Heading> {
    let Some(line) = text.lines().next() else { return Vec::new() };
    let separator =
        if separator == ',' && !line.contains(',') && line.contains(';') { ';' } else { separator };
    let names: Vec<&str> = line.split(separator).map(|name| name.trim().trim_matches('"')).collect();
    let telling = names.iter().all(|name| !name.is_empty() && name.parse::<f64>().is_err());
    if names.len() < 2 || !telling {
        return Vec::new();
    }
    let title = clip(&names.join(" | "), TITLE).to_string();
    vec![Heading { start: 0, level: 1, title }]
}

/// Keys of the outer two levels whose values are long.
pub(super) fn json(text: &str) -> Vec<Heading> {
    let mut found: Vec<Heading> = Vec::new();
    // Where each open object or array began, and the heading of its key.
    let mut open: Vec<(usize, Option<Heading>)> = Vec::new();
    let mut depth = 0usize;
    let mut key: Option<Heading> = None;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                let end = string_end(bytes, at);
                let after = bytes[end..].iter().take(64).find(|byte| !byte.is_ascii_whitespace());
                if after == Some(&b':') && (1..=LEVELS).contains(&depth) {
                    let title = clip(text.get(at + 1..end - 1).unwrap_or_default(), TITLE).to_string();
                    key = Some(Heading { start: at, level: depth, title });
                }
                at = end;
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth <= LEVELS + 1 {
                    open.push((at, key.take()));
                }
            }
            b'}' | b']' => {
                if depth <= LEVELS + 1
                    && let Some((start, Some(heading))) = open.pop()
                    && at - start >= LARGE
                {
                    found.push(heading);
                }
                depth = depth.saturating_sub(1);
            }
            b',' => key = None,
            _ => {}
        }
        at += 1;
    }
    found.sort_by_key(|heading| heading.start);
    found
}

/// Behind the closing quote of the string that begins here.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_have_names_are_a_heading() {
        assert_eq!(table("Name,\"Year of birth\"\na,1\n", ',')[0].title, "Name | Year of birth");
        assert_eq!(table("Name;Year\na;1\n", ',')[0].title, "Name | Year");
        assert!(table("1,2\n3,4\n", ',').is_empty() && table("", ',').is_empty());
    }

    #[test]
    fn long_values_have_their_keys_as_headings() {
        let long = "x".repeat(500);
        let text = format!("{{\"a\": {{\"b\": [\"{long}\"], \"c\": \"]\"}}, \"d\": [1]}}");
        let titles: Vec<(usize, String)> = json(&text).into_iter().map(|h| (h.level, h.title)).collect();
        assert_eq!(titles, [(1, "a".to_string()), (2, "b".to_string())]);
        assert!(json(&"[".repeat(10_000)).is_empty() && json("\"").is_empty() && json("{\"é\\").is_empty());
    }
}
