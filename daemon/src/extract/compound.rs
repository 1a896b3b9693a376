//! Compound files, in which Office before 2007 kept its documents: streams in a small file system of
//! sectors. A chain of sectors ends after as many as the file has, whatever it says.

use super::draft::Unread;
use super::zip::{u16_at, u32_at};

const HEADER: usize = 512;
const ENTRY: usize = 128;
/// Sectors of the table that the header itself names.
const NAMED: usize = 109;

/// A compound file that lies in memory.
pub(super) struct Compound<'a> {
    bytes: &'a [u8],
    sector: usize,
    /// The sector that follows each sector.
    next: Vec<u32>,
    small_next: Vec<u32>,
    /// The stream that all small streams lie in, and the size below which one is small.
    small: Vec<u8>,
    cutoff: usize,
    directory: Vec<u8>,
}

impl<'a> Compound<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Compound<'a>, Unread> {
        let damaged = Unread::Damaged("Office document of before 2007", "its table of sectors is missing");
        let shift = u16_at(bytes, 30);
        if bytes.len() < HEADER || !(7..=16).contains(&shift) {
            return Err(damaged);
        }
        let mut file = Compound {
            bytes,
            sector: 1 << shift,
            next: Vec::new(),
            small_next: Vec::new(),
            small: Vec::new(),
            cutoff: u32_at(bytes, 56) as usize,
            directory: Vec::new(),
        };
        file.next = file.table();
        file.directory = file.chain(u32_at(bytes, 48));
        let small_table = file.chain(u32_at(bytes, 60));
        file.small_next = numbers(&small_table);
        file.small = file.chain(u32_at(&file.directory, 116));
        if file.directory.is_empty() { Err(damaged) } else { Ok(file) }
    }

    /// A stream by its name, wherever in the tree it stands.
    pub(super) fn stream(&self, name: &str) -> Option<Vec<u8>> {
        let entry = self.directory.chunks_exact(ENTRY).find(|entry| {
            let length = usize::from(u16_at(entry, 64)).clamp(2, 64) - 2;
            entry[66] == 2 && encoding_rs::UTF_16LE.decode_without_bom_handling(&entry[..length]).0 == name
        })?;
        let (start, size) = (u32_at(entry, 116), u32_at(entry, 120) as usize);
        let mut data = if size < self.cutoff { self.small_chain(start) } else { self.chain(start) };
        data.truncate(size);
        Some(data)
    }

    /// The table of which sector follows which, gathered from where the header and its sequels say.
    fn table(&self) -> Vec<u32> {
        let most = self.bytes.len() / self.sector + 1;
        let mut places: Vec<u32> = (0..NAMED).map(|at| u32_at(self.bytes, 76 + 4 * at)).collect();
        let mut sequel = u32_at(self.bytes, 68);
        while let Some(sector) = self.sector(sequel)
            && places.len() < most + NAMED
        {
            let all = numbers(sector);
            let Some((last, more)) = all.split_last() else { break };
            places.extend(more);
            sequel = *last;
        }
        let sectors = places.into_iter().filter_map(|place| self.sector(place)).take(most);
        sectors.flat_map(numbers).collect()
    }

    fn sector(&self, number: u32) -> Option<&'a [u8]> {
        let start = (number as usize).checked_add(1)?.checked_mul(self.sector)?;
        let rest = self.bytes.get(start..).filter(|rest| !rest.is_empty())?;
        Some(&rest[..rest.len().min(self.sector)])
    }

    fn chain(&self, start: u32) -> Vec<u8> {
        let mut data = Vec::new();
        let mut at = start;
        while let Some(sector) = self.sector(at)
            && data.len() <= self.bytes.len()
        {
            data.extend_from_slice(sector);
            at = self.next.get(at as usize).copied().unwrap_or(u32::MAX);
        }
        data
    }

    fn small_chain(&self, start: u32) -> Vec<u8> {
        let mut data = Vec::new();
        let mut at = start;
        while let Some(piece) = self.small.get(at as usize * 64..)
            && !piece.is_empty()
            && data.len() <= self.small.len()
        {
            data.extend_from_slice(&piece[..piece.len().min(64)]);
            at = self.small_next.get(at as usize).copied().unwrap_or(u32::MAX);
        }
        data
    }
}

fn numbers(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|number| u32_at(number, 0)).collect()
}
