//! From the bytes of an answer to Markdown: which characters they are, what the title is, and what a reader
//! does not read. Everything here was written by strangers. Pure.

use encoding_rs::Encoding;
use familiar_sdk::{Error, Result};
use htmd::HtmlToMarkdown;

/// Bytes of a page.
const LARGEST: usize = 4 << 20;
/// Elements in each other; the Markdown is written by a function that calls itself.
const DEEPEST: usize = 300;
/// Bytes in which a page says its encoding (HTML standard, 13.2.3.2).
const PRESCAN: usize = 1024;
/// What is no text of the page.
const SKIPPED: [&str; 12] = [
    "script", "style", "noscript", "template", "svg", "iframe", "nav", "footer", "form", "button", "head",
    "dialog",
];

#[derive(Debug)]
pub struct Page {
    pub title: String,
    pub markdown: String,
}

/// The address as it is fetched: `example.org` is written without its scheme.
pub fn address(written: &str) -> Result<String> {
    let written = written.trim();
    match written.split_once("://") {
        Some(("http" | "https", rest)) if !rest.is_empty() => Ok(written.to_owned()),
        None if written.contains('.') && !written.contains(char::is_whitespace) && !written.contains(':') => {
            Ok(format!("https://{written}"))
        }
        _ => Err(Error::invalid(format!(
            "`{written}` is no web address: give one such as https://example.org/page"
        ))),
    }
}

pub fn read(content_type: Option<&str>, body: &[u8]) -> Result<Page> {
    if body.len() > LARGEST {
        return Err(Error::failed(format!(
            "the page has {} bytes, more than the {LARGEST} that are read",
            body.len()
        )));
    }
    let content_type = content_type.unwrap_or("text/html").to_ascii_lowercase();
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let text = decode(&content_type, body);
    match kind {
        "text/html" | "application/xhtml+xml" | "" => from_html(&text),
        _ if kind.starts_with("text/") || kind.ends_with("json") || kind.ends_with("xml") => {
            let title =
                text.lines().next().unwrap_or_default().trim_start_matches('#').trim().chars().take(80);
            Ok(Page { title: title.collect(), markdown: text })
        }
        _ => Err(Error::failed(format!("that is no page but {kind}: only text can be read here"))),
    }
}

/// By the byte order mark, the header, what the page says itself, or as UTF-8.
fn decode(content_type: &str, body: &[u8]) -> String {
    let start = String::from_utf8_lossy(&body[..body.len().min(PRESCAN)]).to_ascii_lowercase();
    let said = charset(content_type).or_else(|| charset(&start));
    let encoding = said.and_then(|label| Encoding::for_label(label.as_bytes()));
    encoding.unwrap_or(encoding_rs::UTF_8).decode(body).0.into_owned()
}

/// The label after `charset=`.
fn charset(text: &str) -> Option<&str> {
    let (_, after) = text.split_once("charset=")?;
    let after = after.trim_start_matches(['"', '\'', ' ']);
    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && !"-_:.".contains(c)).unwrap_or(after.len());
    Some(&after[..end]).filter(|label| !label.is_empty())
}

fn from_html(html: &str) -> Result<Page> {
    if depth(html) > DEEPEST {
        return Err(Error::failed(format!(
            "the page nests more than {DEEPEST} elements: it is no page for reading"
        )));
    }
    let converter = HtmlToMarkdown::builder().skip_tags(SKIPPED.to_vec()).build();
    let markdown = converter.convert(html).map_err(Error::failed)?;
    let title = title(html).unwrap_or_default();
    let title = if title.is_empty() { "Untitled".into() } else { title };
    Ok(Page { title, markdown: without_blanks(&markdown) })
}

/// Most tags that are open at once, where each end closes one: at least as many as a parser nests, since
/// elements that end by themselves are counted as open.
fn depth(html: &str) -> usize {
    const VOID: [&str; 14] = [
        "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr",
        "param",
    ];
    let (mut open, mut most) = (0_usize, 0);
    for tag in html.split('<').skip(1) {
        let name = tag.split(|c: char| !c.is_ascii_alphanumeric() && c != '/').next().unwrap_or_default();
        let ended = tag.starts_with('/');
        let counts = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if ended {
            open = open.saturating_sub(1);
        } else if counts && !VOID.iter().any(|void| name.eq_ignore_ascii_case(void)) {
            open += 1;
        }
        most = most.max(open);
    }
    most
}

/// What stands in `<title>`, on one line.
fn title(html: &str) -> Option<String> {
    let lower = html.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower[start..].find('>')? + 1;
    let end = start + lower[start..].find("</title")?;
    let converter = HtmlToMarkdown::new();
    let text = converter.convert(&format!("<p>{}</p>", html[start..end].replace('<', "&lt;"))).ok()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect())
}

/// One blank line at most, and none that ends in blanks.
fn without_blanks(markdown: &str) -> String {
    let mut text = String::with_capacity(markdown.len());
    let mut blank = 0;
    for line in markdown.lines().map(str::trim_end) {
        blank = if line.is_empty() { blank + 1 } else { 0 };
        if blank < 2 {
            text.push_str(line);
            text.push('\n');
        }
    }
    text.trim().to_owned()
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
