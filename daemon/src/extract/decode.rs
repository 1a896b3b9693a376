//! Bytes to UTF-8 text: unpacks gzip within a limit, tells text from binary, and finds the encoding.
//! Pure; it never decides what a text means.

use super::kind;
use super::map::Map;
use crate::protocol::frames::Fault;
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{CoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use flate2::read::MultiGzDecoder;
use std::borrow::Cow;
use std::io::Read;

/// Bytes looked at to tell text from binary.
pub(super) const HEAD: usize = 8 << 10;
/// Bytes looked at to guess an encoding.
const GUESS: usize = 1 << 20;

/// UTF-8 text, and where each stretch of it stands in the bytes it was decoded from. For UTF-8 the
/// map is exact; for other encodings it is exact at the start of each line and counts one byte of
/// text as one byte of content within the line, which drifts behind characters outside ASCII.
pub(super) struct Decoded {
    pub text: String,
    pub map: Map,
}

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The name a gzipped file has unpacked.
pub(super) fn inner_name(name: &str) -> &str {
    name.strip_suffix(".gz").or_else(|| name.strip_suffix(".GZ")).unwrap_or(name)
}

/// What a gzipped file unpacks to, at most `limit` bytes; any other file as it is.
pub(super) fn unpack<'a>(name: &str, bytes: &'a [u8], limit: u64) -> Result<Cow<'a, [u8]>, Fault> {
    if !bytes.starts_with(&GZIP) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(bytes)
        .take(limit + 1)
        .read_to_end(&mut unpacked)
        .map_err(|e| Fault::Document(format!("{name} is a damaged gzip file: {e}")))?;
    if unpacked.len() as u64 > limit {
        return Err(super::too_long(name, limit));
    }
    Ok(Cow::Owned(unpacked))
}

/// Refuses what is neither text nor of a kind with marks of its own, judged by its first bytes.
pub(super) fn refuse_binary(name: &str, head: &[u8]) -> Result<(), Fault> {
    if kind::binary(head).is_some() {
        return Ok(());
    }
    if head.starts_with(&GZIP) || bom(head).is_some() || wide(head).is_some() {
        return Ok(());
    }
    let control = |b: &&u8| **b < 0x20 && !matches!(**b, b'\t' | b'\n' | b'\r' | 0x0c | 0x08 | 0x1b);
    let controls = head.iter().filter(control).count();
    if head.contains(&0) || controls * 20 > head.len() {
        return Err(Fault::Document(format!("{name} is a binary file")));
    }
    Ok(())
}

pub(super) fn decode(bytes: &[u8]) -> Decoded {
    if let Some((encoding, skip)) = bom(bytes) {
        return with(encoding, bytes, skip);
    }
    if let Some(encoding) = wide(&bytes[..bytes.len().min(HEAD)]) {
        return with(encoding, bytes, 0);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Decoded { text: text.to_string(), map: Map::default() },
        Err(_) => with(guess(bytes), bytes, 0),
    }
}

fn bom(bytes: &[u8]) -> Option<(&'static Encoding, usize)> {
    Encoding::for_bom(bytes)
}

/// UTF-16 without a byte order mark: text whose every other byte is mostly zero.
fn wide(head: &[u8]) -> Option<&'static Encoding> {
    if head.len() < 8 {
        return None;
    }
    let zeros = |offset: usize| head.iter().skip(offset).step_by(2).filter(|b| **b == 0).count();
    let (even, odd, half) = (zeros(0), zeros(1), head.len() / 2);
    if odd * 10 > half * 7 && even == 0 {
        return Some(UTF_16LE);
    }
    (even * 10 > half * 7 && odd == 0).then_some(UTF_16BE)
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    let sample = &bytes[..bytes.len().min(GUESS)];
    // A file that is UTF-8 but for a few stray bytes is better read as UTF-8 with marks in it.
    let stray = sample.utf8_chunks().filter(|c| !c.invalid().is_empty()).count();
    let sound =
        sample.utf8_chunks().map(|c| c.valid().chars().filter(|c| !c.is_ascii()).count()).sum::<usize>();
    if sound > stray * 4 {
        return UTF_8;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(sample, true);
    detector.guess(None, Utf8Detection::Deny)
}

/// Decodes line by line, noting where each line's text and bytes begin.
fn with(encoding: &'static Encoding, bytes: &[u8], skip: usize) -> Decoded {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut text = String::with_capacity(bytes.len());
    let mut map = Map::default();
    let mut at = skip;
    while at < bytes.len() {
        let end = line_end(encoding, bytes, at);
        map.push(text.len(), at);
        let mut line = &bytes[at..end];
        loop {
            text.reserve(line.len() * 3 + 16);
            let (result, read, _) = decoder.decode_to_string(line, &mut text, end == bytes.len());
            line = &line[read..];
            if result == CoderResult::InputEmpty {
                break;
            }
        }
        at = end;
    }
    Decoded { text, map }
}

/// The end of the line that begins at `at`. No encoding met on the web uses a newline's byte inside
/// another character, save UTF-16, whose units are looked at as pairs.
fn line_end(encoding: &'static Encoding, bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let newline = if encoding == UTF_16LE {
        rest.chunks_exact(2).position(|unit| unit == [b'\n', 0]).map(|i| i * 2 + 2)
    } else if encoding == UTF_16BE {
        rest.chunks_exact(2).position(|unit| unit == [0, b'\n']).map(|i| i * 2 + 2)
    } else {
        rest.iter().position(|b| *b == b'\n').map(|i| i + 1)
    };
    newline.map_or(bytes.len(), |n| at + n)
}
