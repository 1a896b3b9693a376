//! PDF's objects as they are written in a file or a content stream. It reads from one place on, looks at
//! no other, and follows no reference; nesting ends at a depth and reading at the end of the fuel.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;

/// Arrays and dictionaries inside of each other.
const DEPTH: usize = 40;
/// Things in one array or dictionary, those inside of them counted too; more are passed over.
const ITEMS: usize = 300_000;

pub(super) type Dict = BTreeMap<String, Object>;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Object {
    Null,
    Number(f64),
    Text(Vec<u8>),
    Name(String),
    Array(Vec<Object>),
    Dict(Dict),
    /// Where its bytes lie in the file, packed as they are, and the number of the object.
    Stream(Dict, Range<usize>, u32),
    Ref(u32),
    /// A word of a content stream, or one that means nothing.
    Word(String),
}

impl Object {
    pub(super) fn number(&self) -> Option<f64> {
        if let Object::Number(number) = self { Some(*number) } else { None }
    }

    pub(super) fn name(&self) -> Option<&str> {
        if let Object::Name(name) = self { Some(name) } else { None }
    }

    pub(super) fn array(&self) -> Option<&[Object]> {
        if let Object::Array(items) = self { Some(items) } else { None }
    }

    /// Its entries, if it has any: a dictionary's, or a stream's.
    pub(super) fn dict(&self) -> Option<&Dict> {
        match self {
            Object::Dict(dict) | Object::Stream(dict, ..) => Some(dict),
            _ => None,
        }
    }
}

/// How much may still be read; shared by all that read one document.
#[derive(Debug)]
pub(super) struct Fuel(Cell<u64>);

impl Fuel {
    pub(super) fn new(tokens: u64) -> Fuel {
        Fuel(Cell::new(tokens))
    }

    /// Takes some; false once there is none.
    pub(super) fn take(&self, amount: u64) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(amount));
        left >= amount
    }
}

/// Reads objects one after the other.
pub(super) struct Lexer<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
    fuel: &'a Fuel,
    items: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize, fuel: &'a Fuel) -> Lexer<'a> {
        Lexer { bytes, at, fuel, items: 0 }
    }

    /// The next object; `None` at the end. `refs` says whether `1 0 R` is a reference.
    pub(super) fn next(&mut self, refs: bool) -> Option<Object> {
        self.items = 0;
        self.object(refs, 0)
    }

    fn object(&mut self, refs: bool, depth: usize) -> Option<Object> {
        self.skip_blanks();
        if !self.fuel.take(1) {
            return None;
        }
        let byte = *self.bytes.get(self.at)?;
        match byte {
            b'/' => Some(Object::Name(self.name())),
            b'(' => Some(Object::Text(self.string())),
            b'<' if self.bytes.get(self.at + 1) == Some(&b'<') => self.dict(refs, depth).map(Object::Dict),
            b'<' => Some(Object::Text(self.hex())),
            b'[' => self.array(refs, depth),
            b'+' | b'-' | b'.' | b'0'..=b'9' => Some(self.number_or_ref(refs)),
            b')' | b'>' | b']' | b'{' | b'}' => {
                self.at += 1;
                Some(Object::Word((byte as char).to_string()))
            }
            _ => Some(self.word()),
        }
    }

    pub(super) fn skip_blanks(&mut self) {
        while let Some(byte) = self.bytes.get(self.at) {
            if *byte == b'%' {
                let end = self.bytes[self.at..].iter().position(|b| matches!(b, b'\n' | b'\r'));
                self.at = end.map_or(self.bytes.len(), |end| self.at + end);
            } else if is_blank(*byte) {
                self.at += 1;
            } else {
                break;
            }
        }
    }

    /// The bytes from here to the next blank or delimiter.
    fn run(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|b| is_blank(*b) || is_delimiter(*b)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn name(&mut self) -> String {
        self.at += 1;
        let raw = self.run();
        let mut name = Vec::with_capacity(raw.len());
        let mut at = 0;
        while at < raw.len() {
            let code = (raw[at] == b'#').then(|| raw.get(at + 1..at + 3)).flatten();
            match code.and_then(|code| Some(digit(code[0])? << 4 | digit(code[1])?)) {
                Some(byte) => {
                    name.push(byte);
                    at += 3;
                }
                None => {
                    name.push(raw[at]);
                    at += 1;
                }
            }
        }
        String::from_utf8_lossy(&name).into_owned()
    }

    fn word(&mut self) -> Object {
        let word = self.run();
        if word.is_empty() {
            self.at += 1;
        }
        match word {
            b"null" => Object::Null,
            _ => Object::Word(String::from_utf8_lossy(&word[..word.len().min(32)]).into_owned()),
        }
    }

    fn number_or_ref(&mut self, refs: bool) -> Object {
        let number = self.number();
        let behind = self.at;
        if refs && number >= 0.0 && number.fract() == 0.0 {
            self.skip_blanks();
            let generation = self.bytes.get(self.at).is_some_and(u8::is_ascii_digit);
            if generation && self.number().fract() == 0.0 {
                self.skip_blanks();
                let end = self.bytes.get(self.at + 1).is_none_or(|b| is_blank(*b) || is_delimiter(*b));
                if self.bytes.get(self.at) == Some(&b'R') && end {
                    self.at += 1;
                    return Object::Ref(number as u32);
                }
            }
            self.at = behind;
        }
        Object::Number(number)
    }

    fn number(&mut self) -> f64 {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(|b| matches!(b, b'+' | b'-' | b'.' | b'0'..=b'9')) {
            self.at += 1;
        }
        let text = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
        // Some writers put a second sign or point in; the first part counts.
        let end = text
            .char_indices()
            .skip(1)
            .find(|(_, c)| matches!(c, '+' | '-'))
            .map_or(text.len(), |(at, _)| at);
        text[..end].parse().ok().filter(|number: &f64| number.is_finite()).unwrap_or(0.0)
    }

    fn string(&mut self) -> Vec<u8> {
        self.at += 1;
        let mut text = Vec::new();
        let mut depth = 1;
        while let Some(byte) = self.bytes.get(self.at).copied() {
            self.at += 1;
            match byte {
                b'(' => depth += 1,
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                b'\\' => {
                    text.extend(self.escape());
                    continue;
                }
                _ => {}
            }
            text.push(byte);
        }
        self.fuel.take(text.len() as u64 / 64);
        text
    }

    fn escape(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        match byte {
            b'n' => Some(b'\n'),
            b'r' => Some(b'\r'),
            b't' => Some(b'\t'),
            b'b' => Some(8),
            b'f' => Some(12),
            b'\n' => None,
            b'\r' => {
                self.at += usize::from(self.bytes.get(self.at) == Some(&b'\n'));
                None
            }
            b'0'..=b'7' => {
                let mut code = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(next @ b'0'..=b'7') = self.bytes.get(self.at) else { break };
                    code = code * 8 + u32::from(next - b'0');
                    self.at += 1;
                }
                Some(code as u8)
            }
            other => Some(other),
        }
    }

    fn hex(&mut self) -> Vec<u8> {
        self.at += 1;
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|b| *b == b'>').unwrap_or(rest.len());
        self.at = (self.at + length + 1).min(self.bytes.len());
        self.fuel.take(length as u64 / 64);
        unhex(&rest[..length])
    }

    fn room(&mut self) -> bool {
        self.items += 1;
        self.items <= ITEMS
    }

    fn array(&mut self, refs: bool, depth: usize) -> Option<Object> {
        self.at += 1;
        if depth >= DEPTH {
            return None;
        }
        let mut items = Vec::new();
        loop {
            match self.object(refs, depth + 1)? {
                Object::Word(end) if end == "]" => return Some(Object::Array(items)),
                // The array was never closed.
                Object::Word(end) if matches!(end.as_str(), "endobj" | ">") => {
                    return Some(Object::Array(items));
                }
                item if self.room() => items.push(item),
                _ => {}
            }
        }
    }

    fn dict(&mut self, refs: bool, depth: usize) -> Option<Dict> {
        self.at += 2;
        if depth >= DEPTH {
            return None;
        }
        let mut dict = Dict::new();
        loop {
            match self.object(refs, depth + 1)? {
                Object::Name(key) => {
                    let value = self.object(refs, depth + 1)?;
                    if value == Object::Word(">".into()) {
                        self.at -= 1;
                    } else if self.room() {
                        dict.insert(key, value);
                    }
                }
                Object::Word(end) if end == ">" => {
                    self.at += usize::from(self.bytes.get(self.at) == Some(&b'>'));
                    return Some(dict);
                }
                Object::Word(end) if matches!(end.as_str(), "endobj" | "stream") => return Some(dict),
                _ => {}
            }
        }
    }
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 12 | b'\r' | b' ')
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

fn digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

/// Bytes written as digits; what is no digit is passed over, an odd one at the end counts sixteenfold.
pub(super) fn unhex(text: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = text.iter().filter_map(|byte| digit(*byte)).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0)).collect()
}
