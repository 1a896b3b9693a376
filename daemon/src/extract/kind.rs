//! What a file is: by its first bytes where its kind has marks of its own, then by its name, then by how
//! its text begins. Pure.

use super::{archive, mail, notebook};

/// Bytes of a PDF document that may stand in front of its mark.
const PDF_REACH: usize = 1024;

/// Kinds that are not text, each with its own marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Pdf,
    Zip,
    Tar,
    /// Word, Excel and PowerPoint before 2007.
    Compound,
}

/// Kinds of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    Html,
    Markdown,
    Plain,
    Code,
    /// With what parts its columns.
    Table(char),
    Json,
    Notebook,
}

/// What a file's first bytes tell.
pub(super) fn binary(head: &[u8]) -> Option<Binary> {
    let reach = &head[..head.len().min(PDF_REACH)];
    if reach.windows(5).any(|window| window == b"%PDF-") {
        Some(Binary::Pdf)
    } else if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        Some(Binary::Zip)
    } else if head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        Some(Binary::Compound)
    } else if archive::is_tar(head) {
        Some(Binary::Tar)
    } else {
        None
    }
}

/// Mail, as a text's first bytes and its name tell; `true` for a mailbox of many.
pub(super) fn mail(name: &str, head: &[u8]) -> Option<bool> {
    let least = match extension(name).as_str() {
        "eml" | "mbox" | "mbx" => 1,
        // A known kind of text that quotes a mail, or a patch, which looks like one.
        known if by_name(known).is_some() || known == "txt" => return None,
        _ => 2,
    };
    if mail::is_mailbox(head) { Some(true) } else { mail::is_message(head, least).then_some(false) }
}

pub(super) fn text(name: &str, text: &str) -> Text {
    match by_name(&extension(name)) {
        Some(Text::Json) if notebook::is_notebook(text) => Text::Notebook,
        Some(kind) => kind,
        None if looks_like_html(text) => Text::Html,
        None => Text::Plain,
    }
}

fn extension(name: &str) -> String {
    name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

fn by_name(extension: &str) -> Option<Text> {
    Some(match extension {
        "html" | "htm" | "xhtml" => Text::Html,
        "md" | "markdown" | "mkd" | "mdown" => Text::Markdown,
        "csv" => Text::Table(','),
        "tsv" | "tab" => Text::Table('\t'),
        "json" | "ipynb" | "geojson" => Text::Json,
        "rs" | "c" | "h" | "cc" | "cpp" | "hpp" | "py" | "js" | "ts" | "tsx" | "jsx" | "go" | "java"
        | "kt" | "rb" | "pl" | "pm" | "sh" | "bash" | "zsh" | "fish" | "lua" | "php" | "cs" | "swift"
        | "sql" | "css" | "toml" | "yaml" | "yml" | "xml" | "awk" | "cocci" | "el" | "hs" | "ml"
        | "scala" | "r" | "cmake" | "mk" | "diff" | "patch" | "svg" | "ini" | "conf" | "service" | "jl"
        | "vue" | "zig" => Text::Code,
        _ => return None,
    })
}

fn looks_like_html(text: &str) -> bool {
    let start = text.trim_start().as_bytes();
    [&b"<!doctype html"[..], b"<html"]
        .iter()
        .any(|tag| start.len() >= tag.len() && start[..tag.len()].eq_ignore_ascii_case(tag))
}
