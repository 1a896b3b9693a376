//! Reads the header of a GGUF file: metadata, and where each tensor lies. Pure: it reads from what it is
//! given, trusts no count or length in it, and never looks at the weights.

use super::{GgufError, Kind};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// What the header says of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    pub version: u32,
    /// Scalars, strings and short arrays of numbers; other arrays are not kept.
    pub values: BTreeMap<String, Value>,
    pub tensors: Vec<TensorInfo>,
    /// Where in the file the tensors' data begins, in bytes.
    pub data: u64,
    /// Sum of the tensors' elements.
    pub parameters: u64,
    /// Name of the tensor type that most parameters have, such as `Q4_K`.
    pub quantization: &'static str,
    /// Tokens of the vocabulary.
    pub vocabulary: u64,
    /// Bytes that the vocabulary can spell: as `<0xNN>`, or as themselves.
    pub(crate) spelled: [bool; 256],
}

/// Where a tensor lies, and how its values are packed.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorInfo {
    pub name: String,
    /// Elements of each dimension, the contiguous one first, as GGUF has them.
    pub shape: Vec<u64>,
    pub kind: Kind,
    /// From the start of the tensors' data, in bytes.
    pub offset: u64,
}

impl TensorInfo {
    /// How many bytes its values take.
    pub fn size(&self) -> u64 {
        self.kind.size(self.shape.iter().product()).unwrap_or(0)
    }
}

/// A metadata value; integers of every width become one of the two.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    List(Vec<Value>),
}

impl Header {
    /// Reads the header of the file at `path`, and checks that the file is as long as the header says.
    pub fn open(path: &Path) -> Result<Header, GgufError> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Header::read(BufReader::with_capacity(1 << 16, file), length)
    }

    /// Reads a header from the start of something `length` bytes long.
    pub fn read(from: impl Read, length: u64) -> Result<Header, GgufError> {
        Cursor { from, at: 0, length }.header()
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        match self.values.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn number(&self, key: &str) -> Option<u64> {
        match *self.values.get(key)? {
            Value::Unsigned(n) => Some(n),
            Value::Signed(n) => u64::try_from(n).ok(),
            _ => None,
        }
    }

    pub fn float(&self, key: &str) -> Option<f64> {
        match *self.values.get(key)? {
            Value::Float(x) => Some(x),
            _ => None,
        }
    }

    pub fn architecture(&self) -> &str {
        self.text("general.architecture").unwrap_or("")
    }

    /// Context in tokens that the model was trained with; 0 when the file does not say.
    pub fn train_context(&self) -> u32 {
        let key = format!("{}.context_length", self.architecture());
        self.number(&key).and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
    }
}

/// Longest metadata string that is kept; longer ones are skipped. Chat templates are far below.
const MAX_TEXT: u64 = 1 << 20;
/// Longest array of numbers that is kept: one value a layer, say. Scores of tokens are longer.
const MAX_LIST: u64 = 1 << 10;
/// More metadata or tensors than any model has.
const MAX_ENTRIES: u64 = 1 << 17;

struct Cursor<R> {
    from: R,
    at: u64,
    length: u64,
}

impl<R: Read> Cursor<R> {
    fn header(&mut self) -> Result<Header, GgufError> {
        let start = self.length.min(4) as usize;
        if self.bytes(start as u64)? != b"GGUF"[..start] || self.length == 0 {
            return Err(GgufError::NotGguf);
        }
        let version = self.u32()?;
        if !(2..=3).contains(&version) {
            return Err(GgufError::Version(version));
        }
        let tensors = self.count("tensors", 24)?;
        let entries = self.count("metadata entries", 13)?;
        let mut header = Header {
            version,
            values: BTreeMap::new(),
            tensors: Vec::new(),
            data: 0,
            parameters: 0,
            quantization: "",
            vocabulary: 0,
            spelled: [false; 256],
        };
        for _ in 0..entries {
            self.entry(&mut header)?;
        }
        self.tensor_infos(tensors, &mut header)?;
        Ok(header)
    }

    fn entry(&mut self, header: &mut Header) -> Result<(), GgufError> {
        let key = self.string(1 << 16)?;
        let kind = self.u32()?;
        if kind == ARRAY {
            return self.array(&key, header);
        }
        let Some(value) = self.value(kind)? else { return Ok(()) };
        if header.values.insert(key.clone(), value).is_some() {
            return Err(malformed(format!("the key `{}` stands twice", shown(&key))));
        }
        Ok(())
    }

    /// `None`: a text too long to keep.
    fn value(&mut self, kind: u32) -> Result<Option<Value>, GgufError> {
        Ok(Some(match kind {
            0 => Value::Unsigned(self.bytes(1)?[0].into()),
            1 => Value::Signed((self.bytes(1)?[0] as i8).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.array_of()?).into()),
            3 => Value::Signed(i16::from_le_bytes(self.array_of()?).into()),
            4 => Value::Unsigned(self.u32()?.into()),
            5 => Value::Signed(i32::from_le_bytes(self.array_of()?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array_of()?).into()),
            7 => Value::Bool(self.bytes(1)?[0] != 0),
            8 => {
                let length = self.u64()?;
                if length > MAX_TEXT {
                    self.skip(length)?;
                    return Ok(None);
                }
                Value::Text(self.text(length)?)
            }
            10 => Value::Unsigned(self.u64()?),
            11 => Value::Signed(i64::from_le_bytes(self.array_of()?)),
            12 => Value::Float(f64::from_le_bytes(self.array_of()?)),
            other => return Err(malformed(format!("a metadata value of unknown type {other}"))),
        }))
    }

    fn array(&mut self, key: &str, header: &mut Header) -> Result<(), GgufError> {
        let kind = self.u32()?;
        let count = self.u64()?;
        let tokens = key == "tokenizer.ggml.tokens";
        if tokens {
            header.vocabulary = count;
        }
        if kind != TEXT {
            let width = match kind {
                0 | 1 | 7 => 1,
                2 | 3 => 2,
                4..=6 => 4,
                10..=12 => 8,
                other => return Err(malformed(format!("an array of unknown type {other}"))),
            };
            if count <= MAX_LIST {
                let values: Option<Vec<Value>> =
                    (0..count).map(|_| self.value(kind)).collect::<Result<_, _>>()?;
                header.values.insert(key.into(), Value::List(values.unwrap_or_default()));
                return Ok(());
            }
            let size =
                count.checked_mul(width).ok_or_else(|| malformed("an array too long to be true".into()))?;
            return self.skip(size);
        }
        if count > (self.length - self.at) / 8 {
            return Err(self.truncated(count.saturating_mul(8)));
        }
        for _ in 0..count {
            let length = self.u64()?;
            // Only the spelling of single bytes matters, and those tokens are short.
            if tokens && length <= 6 {
                if let Some(byte) = spelled_byte(&self.bytes(length)?) {
                    header.spelled[byte as usize] = true;
                }
            } else {
                self.skip(length)?;
            }
        }
        Ok(())
    }

    fn tensor_infos(&mut self, count: u64, header: &mut Header) -> Result<(), GgufError> {
        let mut end = 0u64;
        let mut by_type = BTreeMap::<u32, u64>::new();
        for _ in 0..count {
            let (info, elements) = self.tensor_info()?;
            let tensor_end = info.offset.checked_add(info.size()).ok_or_else(|| too_large(&info.name))?;
            end = end.max(tensor_end);
            header.parameters =
                header.parameters.checked_add(elements).ok_or_else(|| too_large(&info.name))?;
            *by_type.entry(info.kind.id).or_default() += elements;
            header.tensors.push(info);
        }
        let main = by_type.iter().max_by_key(|(_, elements)| **elements).map(|(kind, _)| *kind);
        header.quantization = main.and_then(Kind::of_id).map_or("", |kind| kind.name);
        self.check_length(header, end)
    }

    /// A tensor and the number of its elements.
    fn tensor_info(&mut self) -> Result<(TensorInfo, u64), GgufError> {
        let name = self.string(1 << 10)?;
        let dimensions = self.u32()?;
        if !(1..=4).contains(&dimensions) {
            return Err(malformed(format!("tensor `{}` has {dimensions} dimensions", shown(&name))));
        }
        let shape = (0..dimensions).map(|_| self.u64()).collect::<Result<Vec<_>, _>>()?;
        let elements = shape.iter().try_fold(1u64, |all, n| all.checked_mul(*n));
        let elements = elements.ok_or_else(|| too_large(&name))?;
        let id = self.u32()?;
        let kind = Kind::of_id(id).ok_or_else(|| {
            malformed(format!("tensor `{}` is of type {id}, which this build does not know", shown(&name)))
        })?;
        if !shape[0].is_multiple_of(kind.block) || elements == 0 {
            return Err(malformed(format!("tensor `{}` has a row of {} elements", shown(&name), shape[0])));
        }
        kind.size(elements).ok_or_else(|| too_large(&name))?;
        let offset = self.u64()?;
        Ok((TensorInfo { name, shape, kind, offset }, elements))
    }

    fn check_length(&self, header: &mut Header, end: u64) -> Result<(), GgufError> {
        let alignment = match header.values.get("general.alignment") {
            None => 32,
            Some(_) => header.number("general.alignment").unwrap_or(0),
        };
        if !alignment.is_power_of_two() || alignment > 1 << 20 {
            return Err(malformed(format!("an alignment of {alignment} bytes")));
        }
        header.data = self.at.next_multiple_of(alignment);
        let needs = header.data.checked_add(end);
        let needs = needs.ok_or_else(|| malformed("tensors too large to be true".into()))?;
        if !header.tensors.is_empty() && needs > self.length {
            return Err(GgufError::Truncated { needs, has: self.length });
        }
        Ok(())
    }

    fn count(&mut self, what: &str, least_bytes: u64) -> Result<u64, GgufError> {
        let count = self.u64()?;
        if count > MAX_ENTRIES {
            return Err(malformed(format!("{count} {what}")));
        }
        if count * least_bytes > self.length - self.at {
            return Err(self.truncated(count * least_bytes));
        }
        Ok(count)
    }

    fn string(&mut self, limit: u64) -> Result<String, GgufError> {
        let length = self.u64()?;
        if length > limit {
            return Err(malformed(format!("a name of {length} bytes")));
        }
        self.text(length)
    }

    fn text(&mut self, length: u64) -> Result<String, GgufError> {
        Ok(String::from_utf8_lossy(&self.bytes(length)?).into_owned())
    }

    fn u32(&mut self) -> Result<u32, GgufError> {
        Ok(u32::from_le_bytes(self.array_of()?))
    }

    fn u64(&mut self) -> Result<u64, GgufError> {
        Ok(u64::from_le_bytes(self.array_of()?))
    }

    fn array_of<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        let mut bytes = [0; N];
        self.within(N as u64)?;
        self.from.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Callers bound `count` themselves: it is allocated.
    fn bytes(&mut self, count: u64) -> Result<Vec<u8>, GgufError> {
        self.within(count)?;
        let mut bytes = vec![0; count as usize];
        self.from.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn skip(&mut self, count: u64) -> Result<(), GgufError> {
        self.within(count)?;
        let skipped = io::copy(&mut self.from.by_ref().take(count), &mut io::sink())?;
        if skipped < count {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(())
    }

    /// Counts `count` bytes as read, if the file has them.
    fn within(&mut self, count: u64) -> Result<(), GgufError> {
        if count > self.length - self.at {
            return Err(self.truncated(count));
        }
        self.at += count;
        Ok(())
    }

    fn truncated(&self, wanted: u64) -> GgufError {
        // A length beyond every file is not a cut, it is nonsense.
        match self.at.checked_add(wanted) {
            Some(needs) if wanted < 1 << 42 => GgufError::Truncated { needs, has: self.length },
            _ => malformed(format!("a length of {wanted} bytes")),
        }
    }
}

fn malformed(what: String) -> GgufError {
    GgufError::Malformed(what)
}

fn too_large(tensor: &str) -> GgufError {
    malformed(format!("tensor `{}` is too large to be true", shown(tensor)))
}

/// A name from the file, short and without control characters.
fn shown(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_debug).collect()
}

/// The byte that a token's text stands for when a text has no better token, if it is such a token.
fn spelled_byte(token: &[u8]) -> Option<u8> {
    match token {
        [byte] => Some(*byte),
        [b'<', b'0', b'x', high, low, b'>'] if !high.is_ascii_lowercase() && !low.is_ascii_lowercase() => {
            let digits = [*high, *low];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()
        }
        _ => None,
    }
}

const TEXT: u32 = 8;
const ARRAY: u32 = 9;

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
