//! The table in which a PDF's font says what Unicode text its codes stand for. Only what is needed for
//! that is read of it, and only so many entries.

use super::object::{Fuel, Lexer, Object};
use std::collections::HashMap;

/// Entries of one table, those of ranges counted one by one.
const ENTRIES: usize = 1 << 17;

#[derive(Debug, Default)]
pub(super) struct CMap {
    texts: HashMap<u32, String>,
    /// Bytes that a code has.
    length: Option<usize>,
    /// Entries written so far, those that replaced others too.
    written: usize,
}

impl CMap {
    pub(super) fn read(bytes: &[u8], fuel: &Fuel) -> CMap {
        let mut map = CMap::default();
        let mut lexer = Lexer::new(bytes, 0, fuel);
        let mut operands: Vec<Object> = Vec::new();
        while let Some(object) = lexer.next(false) {
            let Object::Word(word) = &object else {
                if operands.len() < 4096 {
                    operands.push(object);
                }
                continue;
            };
            match word.as_str() {
                "endcodespacerange" => {
                    map.length = operands.iter().filter_map(bytes_of).map(<[u8]>::len).max()
                }
                "endbfchar" => operands.chunks_exact(2).for_each(|pair| map.single(&pair[0], &pair[1])),
                "endbfrange" => operands.chunks_exact(3).for_each(|range| map.range(range)),
                _ => {}
            }
            operands.clear();
        }
        map
    }

    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    pub(super) fn get(&self, code: u32) -> Option<&str> {
        self.texts.get(&code).map(String::as_str)
    }

    pub(super) fn code_length(&self) -> Option<usize> {
        self.length.filter(|length| (1..=4).contains(length))
    }

    fn single(&mut self, code: &Object, text: &Object) {
        if let (Some(code), Some(text)) = (bytes_of(code), bytes_of(text)) {
            self.put(number(code), units(text));
        }
    }

    fn range(&mut self, range: &[Object]) {
        let (Some(first), Some(last)) = (bytes_of(&range[0]), bytes_of(&range[1])) else { return };
        let (first, last) = (number(first), number(last));
        match &range[2] {
            Object::Array(texts) => {
                for (code, text) in (first..=last).zip(texts) {
                    self.put(code, bytes_of(text).map(units).unwrap_or_default());
                }
            }
            text => {
                let Some(mut units) = bytes_of(text).map(units) else { return };
                for code in first..=last {
                    if !self.put(code, units.clone()) {
                        return;
                    }
                    if let Some(unit) = units.last_mut() {
                        *unit = unit.wrapping_add(1);
                    }
                }
            }
        }
    }

    fn put(&mut self, code: u32, units: Vec<u16>) -> bool {
        let room = self.written < ENTRIES;
        if room {
            self.written += 1;
            let units = &units[..units.len().min(32)];
            self.texts.insert(code, String::from_utf16_lossy(units));
        }
        room
    }
}

fn bytes_of(object: &Object) -> Option<&[u8]> {
    if let Object::Text(bytes) = object { Some(bytes) } else { None }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// UTF-16; a single byte is a unit by itself.
fn units(bytes: &[u8]) -> Vec<u16> {
    if let [byte] = bytes {
        return vec![u16::from(*byte)];
    }
    bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_ranges_and_lists_are_read() {
        let table = b"1 begincodespacerange <0000> <ffff> endcodespacerange
            2 beginbfchar <0003> <0020> <0004> <00660069> endbfchar
            2 beginbfrange <0010> <0012> <0041> <0020> <0021> [<03b1> <d83dde00>] endbfrange";
        let map = CMap::read(table, &Fuel::new(1000));
        assert_eq!(map.code_length(), Some(2));
        for (code, text) in [(3, " "), (4, "fi"), (0x10, "A"), (0x12, "C"), (0x20, "α"), (0x21, "😀")] {
            assert_eq!(map.get(code), Some(text), "{code:x}");
        }
    }

    #[test]
    fn endless_ranges_end() {
        let map = CMap::read(b"<00000000> <ffffffff> <0041> endbfrange", &Fuel::new(1000));
        assert_eq!(map.texts.len(), ENTRIES);
    }
}
