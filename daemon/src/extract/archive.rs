//! Archives as lists of the files in them, so that they are found by what they hold. Nothing is unpacked
//! but what stands between the names, and that only to pass over it.

use super::draft::{Draft, Unread};
use super::zip;
use flate2::read::MultiGzDecoder;
use std::io::{self, Read};

/// Bytes of a packed archive that are gone through.
const REACH: u64 = 512 << 20;
/// Names that are listed.
const NAMES: usize = 100_000;
/// Longest name.
const NAME: u64 = 4096;
const BLOCK: usize = 512;

/// Lists the parts of a ZIP file.
pub(super) fn zip(archive: &zip::Archive<'_>, draft: &mut Draft) {
    for entry in archive.entries().iter().filter(|entry| !entry.name.ends_with('/')) {
        draft.line(&one_line(&entry.name));
    }
}

/// Whether bytes are the first block of a tar archive.
pub(super) fn is_tar(head: &[u8]) -> bool {
    head.len() >= BLOCK && &head[257..262] == b"ustar" && checksum(head) == octal(&head[148..156])
}

/// Whether a gzipped file holds a tar archive.
pub(super) fn is_packed_tar(bytes: &[u8]) -> bool {
    let mut head = Vec::with_capacity(BLOCK);
    // What cannot be unpacked is told by whoever reads the whole.
    let _ = MultiGzDecoder::new(bytes).take(BLOCK as u64).read_to_end(&mut head);
    is_tar(&head)
}

/// Lists the files of a tar archive, gzipped or not. One that is cut off is listed up to there.
pub(super) fn tar(bytes: &[u8], draft: &mut Draft) -> Result<(), Unread> {
    let mut stream: Box<dyn Read> = match bytes.starts_with(&[0x1f, 0x8b]) {
        true => Box::new(MultiGzDecoder::new(bytes).take(REACH)),
        false => Box::new(bytes),
    };
    let mut long_name = None;
    for _ in 0..NAMES {
        let mut block = [0; BLOCK];
        if stream.read_exact(&mut block).is_err() || !is_tar(&block) || draft.full() {
            break;
        }
        let size = size(&block[124..136]);
        let padded = size.div_ceil(BLOCK as u64) * BLOCK as u64;
        match block[156] {
            b'L' | b'x' => {
                let mut data = Vec::new();
                let taken = size.min(16 * NAME);
                if stream.by_ref().take(taken).read_to_end(&mut data).is_err() {
                    break;
                }
                long_name =
                    if block[156] == b'L' { Some(text(&data)) } else { pax_path(&data).or(long_name) };
                if !pass_over(&mut stream, padded - taken.min(padded)) {
                    break;
                }
                continue;
            }
            b'0' | 0 | b'7' | b'1' | b'2' => {
                let name = long_name.take().unwrap_or_else(|| short_name(&block));
                draft.line(&one_line(&name));
            }
            _ => drop(long_name.take()),
        }
        if !pass_over(&mut stream, padded) {
            break;
        }
    }
    if draft.text.is_empty() {
        Err(Unread::Damaged("tar archive", "no file's name can be read"))
    } else {
        Ok(())
    }
}

fn pass_over(stream: &mut impl Read, bytes: u64) -> bool {
    io::copy(&mut stream.take(bytes), &mut io::sink()).is_ok_and(|passed| passed == bytes)
}

fn short_name(block: &[u8]) -> String {
    let (name, folder) = (text(&block[..100]), text(&block[345..500]));
    if folder.is_empty() { name } else { format!("{folder}/{name}") }
}

/// The name in an extended header: lines of `length path=name`.
fn pax_path(data: &[u8]) -> Option<String> {
    let line = data.split(|byte| *byte == b'\n').find_map(|line| {
        let at = line.windows(6).take(12).position(|window| window == b" path=")?;
        Some(&line[at + 6..])
    });
    line.map(text)
}

/// Text up to its end or a zero.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn one_line(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(NAME as usize).collect()
}

fn octal(field: &[u8]) -> u64 {
    let digits =
        field.iter().skip_while(|byte| **byte == b' ').take_while(|byte| (b'0'..=b'7').contains(byte));
    digits.fold(0u64, |value, digit| value.saturating_mul(8).saturating_add(u64::from(digit - b'0')))
}

/// Large sizes are written in binary.
fn size(field: &[u8]) -> u64 {
    let wide = field.iter().skip(1).fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    (if field[0] & 0x80 != 0 { wide } else { octal(field) }).min(1 << 50)
}

fn checksum(block: &[u8]) -> u64 {
    let byte = |(at, byte): (usize, &u8)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) };
    block[..BLOCK].iter().enumerate().map(byte).sum()
}
