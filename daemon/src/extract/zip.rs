//! A ZIP archive's directory and parts, by their names. Sizes that a file claims are never believed:
//! unpacking ends at a limit for one part and at a limit for all of them. It writes nothing.

use super::draft::Unread;
use flate2::read::DeflateDecoder;
use std::cell::Cell;
use std::collections::HashMap;
use std::io::Read;

/// The most that one part may unpack to.
const PART: u64 = 128 << 20;
/// The most that all parts together may unpack to.
const WHOLE: u64 = 256 << 20;
/// Entries of a directory that are looked at.
const ENTRIES: usize = 100_000;
/// The end record's length, and the longest comment behind it.
const END: usize = 22;
const COMMENT: usize = 0xffff;

/// An archive that lies in memory.
pub(super) struct Archive<'a> {
    bytes: &'a [u8],
    entries: Vec<Entry>,
    /// Entries by their names; of several with one name the first.
    by_name: HashMap<String, usize>,
    left: Cell<u64>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub name: String,
    method: u16,
    locked: bool,
    packed: u64,
    offset: u64,
}

impl<'a> Archive<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Archive<'a>, Unread> {
        let damaged = |why| Unread::Damaged("ZIP file", why);
        let end = end_record(bytes).ok_or(damaged("its directory is missing"))?;
        let (size, offset) = (u64::from(u32_at(bytes, end + 12)), u64::from(u32_at(bytes, end + 16)));
        let (size, offset) = wide_directory(bytes, end).unwrap_or((size, offset));
        // Something may stand in front of the archive, which shifts all that it says of places.
        let start = (end as u64).checked_sub(size).ok_or(damaged("its directory is cut off"))?;
        let start = if starts_with(bytes, offset, ENTRY_MARK) { offset } else { start };
        let shift = start.saturating_sub(offset);
        let mut entries = Vec::new();
        let mut at = usize::try_from(start).map_err(|_| damaged("its directory is cut off"))?;
        while entries.len() < ENTRIES && starts_with(bytes, at as u64, ENTRY_MARK) {
            let Some((entry, next)) = entry(bytes, at, shift) else { break };
            entries.push(entry);
            at = next;
        }
        if entries.is_empty() && size > 0 {
            return Err(damaged("its directory cannot be read"));
        }
        let mut by_name = HashMap::with_capacity(entries.len());
        for (at, entry) in entries.iter().enumerate() {
            by_name.entry(entry.name.clone()).or_insert(at);
        }
        Ok(Archive { bytes, entries, by_name, left: Cell::new(WHOLE) })
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// A part's bytes; `None` when there is no part of this name.
    pub(super) fn part(&self, name: &str) -> Result<Option<Vec<u8>>, Unread> {
        self.by_name.get(name).map(|at| self.unpack(&self.entries[*at])).transpose()
    }

    /// A part's text; nothing when it is missing.
    pub(super) fn text(&self, name: &str) -> Result<String, Unread> {
        let part = self.part(name)?.unwrap_or_default();
        Ok(super::decode::decode(&part).text)
    }

    fn unpack(&self, entry: &Entry) -> Result<Vec<u8>, Unread> {
        let damaged = Unread::Damaged("ZIP file", "a part of it cannot be unpacked");
        if entry.locked {
            return Err(Unread::Locked);
        }
        let at = usize::try_from(entry.offset).map_err(|_| damaged.clone())?;
        if !starts_with(self.bytes, entry.offset, b"PK\x03\x04") || at + 30 > self.bytes.len() {
            return Err(damaged);
        }
        let data =
            at + 30 + usize::from(u16_at(self.bytes, at + 26)) + usize::from(u16_at(self.bytes, at + 28));
        let end =
            data.saturating_add(usize::try_from(entry.packed).unwrap_or(usize::MAX)).min(self.bytes.len());
        let packed = self.bytes.get(data..end).ok_or(damaged.clone())?;
        let limit = PART.min(self.left.get());
        let mut unpacked = Vec::new();
        match entry.method {
            0 => unpacked.extend_from_slice(&packed[..packed.len().min(limit as usize + 1)]),
            8 => {
                let mut decoder = DeflateDecoder::new(packed).take(limit + 1);
                decoder.read_to_end(&mut unpacked).map_err(|_| damaged)?;
            }
            _ => return Err(Unread::Damaged("ZIP file", "it is packed in a way that is not known here")),
        }
        if unpacked.len() as u64 > limit {
            return Err(Unread::Swollen(limit.max(1 << 20)));
        }
        self.left.set(self.left.get() - unpacked.len() as u64);
        Ok(unpacked)
    }
}

const ENTRY_MARK: &[u8] = b"PK\x01\x02";

fn end_record(bytes: &[u8]) -> Option<usize> {
    let last = bytes.len().checked_sub(END)?;
    (last.saturating_sub(COMMENT)..=last).rev().find(|at| bytes[*at..].starts_with(b"PK\x05\x06"))
}

/// Size and place of the directory as an archive of the 64-bit kind has them.
fn wide_directory(bytes: &[u8], end: usize) -> Option<(u64, u64)> {
    let locator = end.checked_sub(20).filter(|at| bytes[*at..].starts_with(b"PK\x06\x07"))?;
    let record = u64_at(bytes, locator + 8);
    starts_with(bytes, record, b"PK\x06\x06").then(|| {
        let at = record as usize;
        (u64_at(bytes, at + 40), u64_at(bytes, at + 48))
    })
}

/// One entry of the directory, and where the next one begins.
fn entry(bytes: &[u8], at: usize, shift: u64) -> Option<(Entry, usize)> {
    let fixed = bytes.get(at..at + 46)?;
    let lengths = [28, 30, 32].map(|field| usize::from(u16_at(fixed, field)));
    let next = at + 46 + lengths.iter().sum::<usize>();
    let name = bytes.get(at + 46..at + 46 + lengths[0])?;
    let extra = bytes.get(at + 46 + lengths[0]..at + 46 + lengths[0] + lengths[1])?;
    let sizes = [24, 20, 42].map(|field| u64::from(u32_at(fixed, field)));
    let [_, packed, offset] = wide_sizes(sizes, extra);
    let name = match std::str::from_utf8(name) {
        Ok(name) => name.to_string(),
        Err(_) => encoding_rs::WINDOWS_1252.decode(name).0.into_owned(),
    };
    let locked = u16_at(fixed, 8) & 1 != 0;
    let offset = offset.saturating_add(shift);
    Some((Entry { name, method: u16_at(fixed, 10), locked, packed, offset }, next))
}

/// Sizes that do not fit 32 bits stand in the extra field, in this order.
fn wide_sizes(mut sizes: [u64; 3], mut extra: &[u8]) -> [u64; 3] {
    while extra.len() >= 4 {
        let length = usize::from(u16_at(extra, 2));
        let Some(field) = extra.get(4..4 + length) else { break };
        if u16_at(extra, 0) == 1 {
            let mut values = field.chunks_exact(8);
            for size in sizes.iter_mut().filter(|size| **size == u64::from(u32::MAX)) {
                *size = values.next().map_or(*size, |value| u64_at(value, 0));
            }
        }
        extra = &extra[4 + length..];
    }
    sizes
}

fn starts_with(bytes: &[u8], at: u64, mark: &[u8]) -> bool {
    usize::try_from(at).ok().and_then(|at| bytes.get(at..)).is_some_and(|rest| rest.starts_with(mark))
}

/// Numbers as they lie in files of this family; 0 where there is nothing.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    read(bytes, at).map_or(0, u16::from_le_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    read(bytes, at).map_or(0, u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    read(bytes, at).map_or(0, u64::from_le_bytes)
}

fn read<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}
