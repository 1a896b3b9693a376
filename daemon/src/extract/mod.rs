//! The extract worker: turns the one file it is handed into text, passages and the way back to the
//! file's bytes. It reads the handed descriptor and nothing else, runs no program a document holds,
//! and may crash or hang on hostile input: the broker only ever talks to it through a worker.
//!
//! What it reads: plain text, Markdown, HTML, source code, tables and JSON, notebooks, PDF, the formats of
//! Office and OpenDocument, EPUB, mail and mailboxes, and the lists of what is in archives; text also
//! gzipped. Any other file is a [`Fault::Document`] that says so.

mod archive;
mod chunks;
mod code;
mod compound;
mod data;
mod decode;
#[cfg(test)]
mod documents;
mod draft;
mod epub;
mod html;
mod kind;
mod mail;
mod map;
mod mime;
mod notebook;
mod office;
mod outline;
mod pdf;
#[cfg(test)]
mod tests;
mod xml;
mod zip;

use crate::protocol::frames::{Chunk, Extract, Extracted, Fault, Reply, Request};
use crate::worker::child::Job;
use decode::Decoded;
use draft::{Draft, Unread};
use kind::{Binary, Text};
use map::Map;
use outline::Heading;
use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
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
    // The readers are pure, so one that panics leaves nothing behind but its file unread.
    catch_unwind(AssertUnwindSafe(|| file(File::from(fd), request))).unwrap_or_else(|_| {
        Err(Fault::Document(format!("{} is damaged in a way that its reader did not expect", request.name)))
    })
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

/// The pure part: a file's bytes to its text. What it is decides its content, then `name`. Decoded text
/// longer than `max_text` bytes is refused; a document with more is read up to there.
pub(crate) fn document(name: &str, bytes: &[u8], max_text: u64) -> Result<Extracted, Fault> {
    if bytes.len() as u64 > max_text {
        return Err(too_long(name, max_text));
    }
    let (parsed, content) = read(name, bytes, max_text)?;
    let lines = Lines::new(content.as_deref().unwrap_or(parsed.text.as_bytes()));
    let chunks = chunks::split(&parsed.text, &parsed.headings, &parsed.borders)
        .into_iter()
        .map(|piece| Chunk {
            start: piece.start as u64,
            end: piece.end as u64,
            line: lines.at(parsed.map.source(piece.start)),
            page: page_at(&parsed.pages, piece.start),
            breadcrumb: piece.breadcrumb,
        })
        .collect();
    let partial = parsed.full.then(|| format!("only its first {} of text are indexed", size(max_text)));
    Ok(Extracted {
        title: title(name, &parsed),
        text: parsed.text,
        map: parsed.map.into_pairs(),
        chunks,
        hash: blake3::hash(bytes).to_hex().to_string(),
        bytes: bytes.len() as u64,
        partial,
    })
}

fn too_long(name: &str, max_text: u64) -> Fault {
    Fault::Document(format!("{name} holds more than {} of text", size(max_text)))
}

fn size(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MB", bytes >> 20) } else { format!("{bytes} bytes") }
}

fn page_at(pages: &[(usize, u32)], at: usize) -> Option<u32> {
    let next = pages.partition_point(|page| page.0 <= at);
    next.checked_sub(1).map(|page| pages[page].1)
}

/// A document's text with its headings and pages; `map` leads from `text` to the decoded content.
struct Parsed {
    text: String,
    map: Map,
    title: Option<String>,
    headings: Vec<Heading>,
    pages: Vec<(usize, u32)>,
    borders: Vec<usize>,
    /// There was more text than may be taken in.
    full: bool,
}

impl Parsed {
    /// Text that is its own content, but for what `map` says.
    fn plain(text: String, map: Map, headings: Vec<Heading>) -> Parsed {
        Parsed { text, map, title: None, headings, pages: Vec::new(), borders: Vec::new(), full: false }
    }

    fn plain_with(text: String, map: Map, outline: impl Fn(&str) -> Vec<Heading>) -> Parsed {
        let headings = outline(&text);
        Parsed::plain(text, map, headings)
    }

    fn titled(self, title: &str) -> Parsed {
        Parsed { title: Some(title.to_string()), ..self }
    }
}

impl From<Draft> for Parsed {
    fn from(draft: Draft) -> Parsed {
        let full = draft.full();
        let Draft { text, headings, pages, borders, title, .. } = draft;
        Parsed { text, map: Map::default(), title, headings, pages, borders, full }
    }
}

/// The decoded content that a map leads to, where that is not the text itself.
type Content<'a> = Option<Cow<'a, [u8]>>;

/// A file's text, and what its map leads to.
fn read<'a>(name: &str, bytes: &'a [u8], max_text: u64) -> Result<(Parsed, Content<'a>), Fault> {
    let refused = |unread: Unread| Fault::Document(format!("{name} {unread}"));
    let mut draft = Draft::new(max_text);
    if archive::is_packed_tar(bytes) {
        archive::tar(bytes, &mut draft).map_err(refused)?;
        draft.set_title(name);
        return Ok((draft.into(), None));
    }
    let unpacked = decode::unpack(name, bytes, max_text)?;
    let inner = decode::inner_name(name);
    let head = &unpacked[..unpacked.len().min(decode::HEAD)];
    decode::refuse_binary(inner, head)?;
    if let Some(kind) = kind::binary(head) {
        binary(kind, inner, &unpacked, &mut draft, max_text).map_err(refused)?;
        return Ok((draft.into(), None));
    }
    if let Some(many) = kind::mail(inner, head) {
        if many {
            mail::mailbox(&unpacked, &mut draft)
        } else {
            mail::message(&unpacked, &mut draft)
        }
        if many {
            draft.set_title(inner);
        }
        return Ok((draft.into(), None));
    }
    let Decoded { text, map } = decode::decode(&unpacked);
    if text.len() as u64 > max_text {
        return Err(too_long(name, max_text));
    }
    if kind::text(inner, &text) == Text::Notebook {
        notebook::read(&text, &mut draft).map_err(refused)?;
        return Ok((draft.into(), None));
    }
    Ok((parse(inner, text, map), Some(unpacked)))
}

fn binary(kind: Binary, name: &str, bytes: &[u8], draft: &mut Draft, max_text: u64) -> Result<(), Unread> {
    match kind {
        Binary::Pdf => pdf::read(bytes, draft, usize::try_from(max_text).unwrap_or(usize::MAX)),
        Binary::Zip => package(name, &zip::Archive::open(bytes)?, draft),
        Binary::Tar => {
            draft.set_title(name);
            archive::tar(bytes, draft)
        }
        Binary::Compound => office::xls::read(bytes, draft),
    }
}

/// What a ZIP file holds says what it is; any that is no document is listed.
fn package(name: &str, archive: &zip::Archive<'_>, draft: &mut Draft) -> Result<(), Unread> {
    let kind = archive.text("mimetype")?;
    let kind = kind.trim();
    let odf = kind.strip_prefix("application/vnd.oasis.opendocument.");
    if kind == "application/epub+zip" || archive.has("META-INF/container.xml") && odf.is_none() {
        epub::read(archive, draft)
    } else if let Some(odf) = odf {
        let kind = match odf.split('-').next() {
            Some("spreadsheet") => office::odf::Kind::Sheets,
            Some("presentation") => office::odf::Kind::Slides,
            _ => office::odf::Kind::Text,
        };
        office::odf::read(archive, kind, draft)
    } else if archive.has("word/document.xml") {
        office::docx::read(archive, draft)
    } else if archive.has("ppt/presentation.xml") {
        office::pptx::read(archive, draft)
    } else if archive.has("xl/workbook.xml") {
        office::xlsx::read(archive, draft)
    } else {
        draft.set_title(name);
        archive::zip(archive, draft);
        Ok(())
    }
}

fn parse(name: &str, text: String, map: Map) -> Parsed {
    match kind::text(name, &text) {
        Text::Html => {
            let page = html::text(&text);
            let parsed = Parsed::plain(page.text, page.map.then(&map), page.headings);
            Parsed { title: page.title, ..parsed }
        }
        Text::Markdown => Parsed::plain_with(text, map, outline::markdown),
        Text::Plain => Parsed::plain_with(text, map, outline::plain),
        // Code and data go by their files' names.
        Text::Code => Parsed::plain_with(text, map, code::symbols).titled(name),
        Text::Table(separator) => {
            Parsed::plain_with(text, map, |text| data::table(text, separator)).titled(name)
        }
        Text::Json | Text::Notebook => Parsed::plain_with(text, map, data::json).titled(name),
    }
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
