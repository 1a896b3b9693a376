//! A PDF file as numbered objects. Its own table of where they are is not asked: the file is looked
//! through once for them, so that a damaged table loses nothing. Objects are read when they are wanted,
//! references are followed a few steps, and all unpacking is counted against one limit.

use super::crypt::Key;
use super::filter;
use super::object::{Dict, Fuel, Lexer, Object, is_blank};
use crate::extract::draft::Unread;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

/// Tokens that may be read of one document.
const TOKENS: u64 = 40_000_000;
/// Bytes that all streams of one document may unpack to, and one of them.
const WHOLE: usize = 256 << 20;
const STREAM: usize = 64 << 20;
/// References that lead to references.
const STEPS: usize = 8;
/// Higher numbers are not given to objects.
const NUMBERS: u32 = 8_388_607;
/// Bytes behind an object's number in which its kind must be told.
const PEEK: usize = 512;

#[derive(Debug, Clone, Copy)]
enum Place {
    /// Behind `1 0 obj`.
    At(usize),
    /// The n-th of an object stream.
    In(u32, usize),
}

/// An object stream, unpacked, and where in it each object begins.
struct Packed {
    bytes: Vec<u8>,
    places: Vec<usize>,
}

pub(super) struct File<'a> {
    bytes: &'a [u8],
    places: HashMap<u32, Place>,
    packed: RefCell<HashMap<u32, Rc<Packed>>>,
    /// What all trailers say, the last one most.
    pub trailer: Dict,
    pub fuel: Fuel,
    left: Cell<usize>,
    key: Option<Key>,
}

impl<'a> File<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<File<'a>, Unread> {
        let mut file = File {
            bytes,
            places: HashMap::new(),
            packed: RefCell::default(),
            trailer: Dict::new(),
            fuel: Fuel::new(TOKENS),
            left: Cell::new(WHOLE),
            key: None,
        };
        let kinds = file.look_through();
        if file.places.is_empty() {
            return Err(Unread::Damaged("PDF document", "there are no objects in it"));
        }
        for number in &kinds.tables {
            if let Object::Stream(dict, ..) = file.get(*number) {
                file.trailer.extend(dict);
            }
        }
        file.trailers();
        if let Object::Dict(lock) = file.entry(&file.trailer, "Encrypt") {
            file.key = Some(file.unlock(lock)?);
        }
        for number in kinds.packed {
            file.unpack_objects(number);
        }
        Ok(file)
    }

    /// Notes where every object begins, and which ones are tables or hold others.
    fn look_through(&mut self) -> Kinds {
        let mut kinds = Kinds::default();
        let bytes = self.bytes;
        for end in occurrences(bytes, b"obj") {
            let Some(number) = number_before(bytes, end) else { continue };
            let place = end + 3;
            self.places.insert(number, Place::At(place));
            let peek = &bytes[place..bytes.len().min(place + PEEK)];
            let peek = &peek[..occurrences(peek, b"stream").next().unwrap_or(peek.len())];
            if occurrences(peek, b"/ObjStm").next().is_some() {
                kinds.packed.push(number);
            } else if occurrences(peek, b"/XRef").next().is_some() {
                kinds.tables.push(number);
            }
        }
        kinds
    }

    fn trailers(&mut self) {
        for at in occurrences(self.bytes, b"trailer") {
            let found = Lexer::new(self.bytes, at + 7, &self.fuel).next(true);
            if let Some(Object::Dict(dict)) = found {
                self.trailer.extend(dict);
            }
        }
    }

    fn unpack_objects(&mut self, number: u32) {
        let stream = self.get(number);
        let Some(dict) = stream.dict() else { return };
        let field = |key: &str| dict.get(key).and_then(|value| self.follow(value).number());
        let (Some(count), Some(first)) = (field("N"), field("First")) else { return };
        let bytes = self.data(&stream);
        let mut places = Vec::new();
        let mut numbers = Vec::new();
        let mut lexer = Lexer::new(&bytes, 0, &self.fuel);
        for _ in 0..count as usize {
            let (Some(Object::Number(number)), Some(Object::Number(place))) =
                (lexer.next(false), lexer.next(false))
            else {
                break;
            };
            numbers.push(number as u32);
            places.push((first + place) as usize);
        }
        let held = self.place_of(number);
        for (at, inner) in numbers.into_iter().enumerate() {
            // An object that stands further down in the file is a later one.
            let newer = matches!(self.places.get(&inner), Some(Place::At(place)) if *place > held);
            if !newer && inner <= NUMBERS {
                self.places.insert(inner, Place::In(number, at));
            }
        }
        self.packed.borrow_mut().insert(number, Rc::new(Packed { bytes, places }));
    }

    fn place_of(&self, number: u32) -> usize {
        if let Some(Place::At(place)) = self.places.get(&number) { *place } else { 0 }
    }

    /// An object by its number; `Null` when there is none.
    pub(super) fn get(&self, number: u32) -> Object {
        match self.places.get(&number) {
            Some(Place::At(place)) => self.read(*place, number),
            Some(Place::In(stream, at)) => {
                let packed = self.packed.borrow().get(stream).cloned();
                let read = packed.and_then(|packed| {
                    let place = *packed.places.get(*at)?;
                    Lexer::new(&packed.bytes, place.min(packed.bytes.len()), &self.fuel).next(true)
                });
                read.unwrap_or(Object::Null)
            }
            None => Object::Null,
        }
    }

    /// The object itself, or what it refers to.
    pub(super) fn follow(&self, object: &Object) -> Object {
        let mut object = object.clone();
        for _ in 0..STEPS {
            match object {
                Object::Ref(number) => object = self.get(number),
                other => return other,
            }
        }
        Object::Null
    }

    /// A dictionary's entry, followed.
    pub(super) fn entry(&self, dict: &Dict, key: &str) -> Object {
        dict.get(key).map_or(Object::Null, |value| self.follow(value))
    }

    /// Numbers of all objects, in order.
    pub(super) fn numbers(&self) -> Vec<u32> {
        let mut numbers: Vec<u32> = self.places.keys().copied().collect();
        numbers.sort_unstable();
        numbers
    }

    fn read(&self, place: usize, number: u32) -> Object {
        let mut lexer = Lexer::new(self.bytes, place, &self.fuel);
        let object = lexer.next(true).unwrap_or(Object::Null);
        let Object::Dict(dict) = object else { return object };
        lexer.skip_blanks();
        if !self.bytes[lexer.at.min(self.bytes.len())..].starts_with(b"stream") {
            return Object::Dict(dict);
        }
        let mut start = lexer.at + 6;
        start += usize::from(self.bytes.get(start) == Some(&b'\r'));
        start += usize::from(self.bytes.get(start) == Some(&b'\n'));
        let range = self.stream_range(&dict, start.min(self.bytes.len()));
        Object::Stream(dict, range, number)
    }

    /// From the start to where its length says, if `endstream` stands there; else to that word.
    fn stream_range(&self, dict: &Dict, start: usize) -> Range<usize> {
        let claimed = match dict.get("Length") {
            Some(Object::Number(length)) => Some(*length),
            Some(Object::Ref(number)) => match self.places.get(number) {
                Some(Place::At(place)) => {
                    Lexer::new(self.bytes, *place, &self.fuel).next(false).and_then(|length| length.number())
                }
                _ => None,
            },
            _ => None,
        };
        let claimed = claimed.map(|length| start.saturating_add(length.max(0.0) as usize));
        if let Some(end) = claimed.filter(|end| *end <= self.bytes.len()) {
            let behind = self.bytes[end..].iter().take(4).position(|b| !is_blank(*b)).unwrap_or(0);
            if self.bytes[end + behind..].starts_with(b"endstream") {
                return start..end;
            }
        }
        let rest = &self.bytes[start..];
        // Searching costs time; a file in which every stream lacks its end runs out of fuel.
        let end = occurrences(rest, b"endstream").next().unwrap_or(rest.len());
        self.fuel.take(end as u64 / 64);
        start..start + end
    }

    /// A stream's bytes, unpacked; empty for pictures, for what is no stream, and past the limit.
    pub(super) fn data(&self, stream: &Object) -> Vec<u8> {
        let Object::Stream(dict, range, number) = stream else { return Vec::new() };
        let data = self.bytes.get(range.clone()).unwrap_or_default();
        // The tables of where things are stay open.
        let locked = dict.get("Type").and_then(Object::name) != Some("XRef");
        let mut data = match self.key.as_ref().filter(|_| locked) {
            Some(key) => key.open(*number, data),
            None => data.to_vec(),
        };
        if !self.spend(data.len() / 8) {
            return Vec::new();
        }
        let list = |keys: [&str; 2]| match self
            .follow(keys.iter().find_map(|key| dict.get(*key)).unwrap_or(&Object::Null))
        {
            Object::Array(items) => items.iter().map(|item| self.follow(item)).collect(),
            Object::Null => Vec::new(),
            one => vec![one],
        };
        let (filters, settings) = (list(["Filter", "F"]), list(["DecodeParms", "DP"]));
        for (at, filter) in filters.iter().take(8).enumerate() {
            let limit = STREAM.min(self.left.get());
            let settings = settings.get(at).and_then(Object::dict);
            let Some(undone) = filter::undo(filter.name().unwrap_or_default(), settings, &data, limit) else {
                return Vec::new();
            };
            if !self.spend(undone.len()) {
                return Vec::new();
            }
            data = undone;
        }
        data
    }

    /// A string of the object that `holder` refers to.
    pub(super) fn open_text(&self, holder: Option<&Object>, text: Vec<u8>) -> Vec<u8> {
        let Some(Object::Ref(number)) = holder else { return text };
        match (&self.key, self.places.get(number)) {
            (Some(key), Some(Place::At(_))) => key.open(*number, &text),
            _ => text,
        }
    }

    fn unlock(&self, mut lock: Dict) -> Result<Key, Unread> {
        lock.values_mut().for_each(|value| *value = self.follow(value));
        let id = match self.entry(&self.trailer, "ID") {
            Object::Array(halves) => halves.first().map(|half| self.follow(half)),
            _ => None,
        };
        let id = if let Some(Object::Text(id)) = id { id } else { Vec::new() };
        Key::without_password(&lock, &id)
    }

    fn spend(&self, bytes: usize) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(bytes));
        left >= bytes
    }
}

#[derive(Default)]
struct Kinds {
    tables: Vec<u32>,
    packed: Vec<u32>,
}

fn occurrences<'a>(bytes: &'a [u8], word: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let first = word[0];
    let candidates = bytes.iter().enumerate().filter(move |(_, byte)| **byte == first).map(|(at, _)| at);
    candidates.filter(move |at| bytes[*at..].starts_with(word))
}

/// The number of the object whose `obj` stands at `end`: two numbers in front of it.
fn number_before(bytes: &[u8], end: usize) -> Option<u32> {
    let mut at = end;
    let back = |at: &mut usize, keep: &dyn Fn(u8) -> bool, most: usize| {
        let from = *at;
        while *at > 0 && from - *at < most && keep(bytes[*at - 1]) {
            *at -= 1;
        }
        from - *at
    };
    back(&mut at, &is_blank, 8);
    if back(&mut at, &|byte| byte.is_ascii_digit(), 5) == 0 || back(&mut at, &is_blank, 8) == 0 {
        return None;
    }
    let behind = at;
    if back(&mut at, &|byte| byte.is_ascii_digit(), 10) == 0 {
        return None;
    }
    let number = std::str::from_utf8(&bytes[at..behind]).ok()?.parse().ok()?;
    (number <= NUMBERS).then_some(number)
}
