//! The extract worker: turns the one file it is handed into text, passages and the way back to the
//! file's bytes. It reads the handed descriptor and nothing else, runs no program a document holds,
//! and may crash or hang on hostile input: the broker only ever talks to it through a worker.
//!
//! What it reads: plain text, Markdown, HTML, source code, and each of these gzipped. A file that is
//! not text is a [`Fault::Document`] that says so.

mod chunks;
mod decode;
mod html;
mod map;
mod outline;
#[cfg(test)]
mod tests;

use crate::protocol::frames::{Chunk, Extract, Extracted, Fault, Reply, Request};
use crate::worker::child::Job;
use decode::Decoded;
use map::Map;
use outline::Heading;
use std::fs::File;
use std::io::Read;
use std::sync::mpsc::Receiver;

/// Works off jobs until the broker closes the link.
pub fn run(jobs: Receiver<Job>) {
    // Lowest priority: a question that is being answered comes first. Where the kernel refuses,
    // the work is done all the same.
    let _ = rustix::process::nice(19);
    for mut job in jobs {
        let answer = match &job.body {
            Request::Ping => Ok(Reply::Pong),
            Request::Extract(request) => {
                let request = request.clone();
                answer(&mut job, &request).map(Reply::Extracted)
            }
            _ => Err(Fault::Unsupported),
        };
        job.reply(answer);
    }
}

fn answer(job: &mut Job, request: &Extract) -> Result<Extracted, Fault> {
    if job.cancelled() {
        return Err(job.cancel_fault());
    }
    let fd = job.fd.take().ok_or_else(|| Fault::Internal("no file came with the request".into()))?;
    file(File::from(fd), request)
}

/// Reads an open file and extracts it. At most `request.max_text` bytes of it are read.
pub(crate) fn file(mut file: File, request: &Extract) -> Result<Extracted, Fault> {
    let mut head = vec![0; decode::HEAD];
    let read = fill(&mut file, &mut head).map_err(|e| unreadable(request, &e))?;
    head.truncate(read);
    // Decided on the first bytes, so that a film is not read through to learn that it is one.
    decode::refuse_binary(&request.name, &head)?;
    let mut bytes = head;
    let rest = (request.max_text + 1).saturating_sub(bytes.len() as u64);
    file.take(rest).read_to_end(&mut bytes).map_err(|e| unreadable(request, &e))?;
    document(&request.name, &bytes, request.max_text)
}

fn fill(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

fn unreadable(request: &Extract, error: &std::io::Error) -> Fault {
    Fault::Document(format!("{} cannot be read: {error}", request.name))
}

/// The pure part: a file's bytes to its text. `name` chooses the parser by its extension; decoded
/// text longer than `max_text` bytes is refused.
pub(crate) fn document(name: &str, bytes: &[u8], max_text: u64) -> Result<Extracted, Fault> {
    if bytes.len() as u64 > max_text {
        return Err(too_long(name, max_text));
    }
    let hash = blake3::hash(bytes).to_hex().to_string();
    let unpacked = decode::unpack(name, bytes, max_text)?;
    let inner = decode::inner_name(name);
    decode::refuse_binary(inner, &unpacked[..unpacked.len().min(decode::HEAD)])?;
    let Decoded { text, map } = decode::decode(&unpacked);
    if text.len() as u64 > max_text {
        return Err(too_long(name, max_text));
    }
    let parsed = parse(inner, text, map);
    let lines = Lines::new(&unpacked);
    let chunks = chunks::split(&parsed.text, &parsed.headings)
        .into_iter()
        .map(|piece| Chunk {
            start: piece.start as u64,
            end: piece.end as u64,
            line: lines.at(parsed.map.source(piece.start)),
            page: None,
            breadcrumb: piece.breadcrumb,
        })
        .collect();
    Ok(Extracted {
        title: title(name, &parsed),
        text: parsed.text,
        map: parsed.map.into_pairs(),
        chunks,
        hash,
        bytes: bytes.len() as u64,
    })
}

fn too_long(name: &str, max_text: u64) -> Fault {
    Fault::Document(format!("{name} holds more than {} of text", size(max_text)))
}

fn size(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MB", bytes >> 20) } else { format!("{bytes} bytes") }
}

/// A document's text with its headings; `map` leads from `text` to the decoded content.
struct Parsed {
    text: String,
    map: Map,
    title: Option<String>,
    headings: Vec<Heading>,
}

fn parse(name: &str, text: String, map: Map) -> Parsed {
    match kind(name, &text) {
        Kind::Html => {
            let page = html::text(&text);
            Parsed { map: page.map.then(&map), text: page.text, title: page.title, headings: page.headings }
        }
        Kind::Markdown => Parsed { headings: outline::markdown(&text), text, map, title: None },
        Kind::Plain => Parsed { headings: outline::plain(&text), text, map, title: None },
        Kind::Code => Parsed { headings: Vec::new(), text, map, title: None },
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Html,
    Markdown,
    Plain,
    Code,
}

fn kind(name: &str, text: &str) -> Kind {
    let extension = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "html" | "htm" | "xhtml" => Kind::Html,
        "md" | "markdown" | "mkd" | "mdown" => Kind::Markdown,
        "rs" | "c" | "h" | "cc" | "cpp" | "hpp" | "py" | "js" | "ts" | "tsx" | "jsx" | "go" | "java"
        | "kt" | "rb" | "pl" | "pm" | "sh" | "bash" | "zsh" | "fish" | "lua" | "php" | "cs" | "swift"
        | "sql" | "css" | "json" | "toml" | "yaml" | "yml" | "xml" | "awk" | "cocci" | "el" | "hs" | "ml"
        | "scala" | "r" | "cmake" | "mk" | "diff" | "patch" | "csv" | "tsv" | "svg" | "ini" | "conf"
        | "service" => Kind::Code,
        _ if looks_like_html(text) => Kind::Html,
        _ => Kind::Plain,
    }
}

fn looks_like_html(text: &str) -> bool {
    let start = text.trim_start().as_bytes();
    [&b"<!doctype html"[..], b"<html"]
        .iter()
        .any(|tag| start.len() >= tag.len() && start[..tag.len()].eq_ignore_ascii_case(tag))
}

/// A heading further down than this is not the document's title.
const TITLE_REACH: usize = 300;

/// The document's own title, else a heading at its top, else its first line, else the file's name.
fn title(name: &str, parsed: &Parsed) -> String {
    let own = parsed.title.as_deref().map(str::trim).filter(|t| !t.is_empty());
    let heading = || parsed.headings.first().filter(|h| h.start < TITLE_REACH).map(|h| h.title.as_str());
    let line = || parsed.text.lines().map(str::trim).find(|l| l.chars().any(char::is_alphanumeric));
    let title = own.or_else(heading).or_else(line).unwrap_or(name);
    outline::clip(title, 120).to_string()
}

/// Line numbers of byte offsets in the decoded content.
struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    fn new(content: &[u8]) -> Lines {
        let breaks = content.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1);
        Lines { starts: std::iter::once(0).chain(breaks).collect() }
    }

    /// 1-based.
    fn at(&self, offset: u64) -> u32 {
        self.starts.partition_point(|start| *start as u64 <= offset).max(1) as u32
    }
}
