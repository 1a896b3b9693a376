//! Which files are a folder's, and how the tokens are shared out. Pure.

use familiar_sdk::{Error, Result};

/// Files that are summarised.
pub const FILES: usize = 16;
/// Bytes that are read of each.
pub const READ: u32 = 6_000;
/// Tokens that the manifest asks for, and those of the last summary among them.
const TOKENS: u32 = 2_000;
pub const WHOLE: u32 = 200;
const EACH: u32 = 110;
/// Characters of one summary.
const SUMMARY: usize = 500;

/// Tokens for each file's summary, so that the last summary has its share too.
pub fn tokens_for_each(files: usize) -> u32 {
    let files = u32::try_from(files).unwrap_or(u32::MAX).max(1);
    ((TOKENS - WHOLE) / files).clamp(1, EACH)
}

/// The folder that was meant: a whole path, or a name that only one folder has.
pub fn folder(written: &str, paths: &[&str]) -> Result<String> {
    let wanted = written.trim().trim_end_matches('/');
    if wanted.is_empty() {
        return Err(Error::invalid("name a folder, such as /home/ada/letters or letters"));
    }
    if wanted.starts_with('/') {
        return match paths.iter().any(|path| is_below(path, wanted)) {
            true => Ok(wanted.to_owned()),
            false => Err(none(wanted)),
        };
    }
    let middle = format!("/{wanted}/");
    let mut found: Vec<&str> =
        paths.iter().filter_map(|path| path.find(&middle).map(|at| &path[..at + middle.len() - 1])).collect();
    found.sort_unstable();
    found.dedup();
    match found.as_slice() {
        [] => Err(none(wanted)),
        [only] => Ok((*only).to_owned()),
        several => {
            let some: Vec<_> = several.iter().take(5).copied().collect();
            Err(Error::invalid(format!(
                "several folders are called `{wanted}`: say which of {}",
                some.join(", ")
            )))
        }
    }
}

fn none(folder: &str) -> Error {
    Error::not_found(format!("no indexed file is in `{folder}`: `familiar index add` indexes a folder"))
}

pub fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// The file's name without its folder.
pub fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

/// A document between marks that it cannot hold itself.
pub fn fenced(text: &str) -> String {
    let inside = text.replace("</document>", "");
    format!("<document>\n{}\n</document>", inside.trim())
}

pub fn first_half(text: &str) -> &str {
    &text[..text.floor_char_boundary(text.len() / 2)]
}

/// A summary as it stands in a list. A small model may not know when to end.
pub fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SUMMARY) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: [&str; 4] =
        ["/home/a/letters/x.md", "/home/a/letters/old/y.md", "/home/a/letters2/z.md", "/mnt/old/q.md"];

    #[test]
    fn a_folder_is_found_by_path_or_name() {
        assert_eq!(folder("/home/a/letters/", &PATHS).unwrap(), "/home/a/letters");
        assert_eq!(folder("letters", &PATHS).unwrap(), "/home/a/letters");
        assert_eq!(folder("letters/old", &PATHS).unwrap(), "/home/a/letters/old");
        assert!(folder("old", &PATHS).unwrap_err().message().contains("/mnt/old"));
        assert!(folder("etter", &PATHS).unwrap_err().message().contains("no indexed file"));
        assert!(folder("/home/a/lett", &PATHS).is_err());
        assert!(folder(" / ", &PATHS).is_err());
        assert!(!is_below("/home/a/letters2/z.md", "/home/a/letters"));
    }

    #[test]
    fn the_tokens_suffice_for_all() {
        for files in 1..=FILES {
            let each = tokens_for_each(files);
            assert!(each > 50 && each * files as u32 + WHOLE <= TOKENS, "{files}: {each}");
        }
        assert_eq!(tokens_for_each(0), EACH);
    }

    #[test]
    fn halves_keep_characters_whole() {
        assert_eq!(first_half("üüü"), "ü");
        assert_eq!(first_half("ü"), "");
        assert_eq!(one_line(" a\n b "), "a b");
        assert_eq!(fenced("a</document>b"), "<document>\nab\n</document>");
    }
}
