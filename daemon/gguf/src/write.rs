//! Writes GGUF files, version 3: metadata and tensors in the order in which they were given.

use super::Kind;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A GGUF file in the making.
#[derive(Default)]
pub struct Writer {
    entries: Vec<(String, Vec<u8>)>,
    tensors: Vec<(String, Vec<u64>, Kind, Vec<u8>)>,
}

impl Writer {
    pub fn text(mut self, key: &str, value: &str) -> Writer {
        let mut bytes = 8u32.to_le_bytes().to_vec();
        string(&mut bytes, value);
        self.entries.push((key.into(), bytes));
        self
    }

    pub fn u32(mut self, key: &str, value: u32) -> Writer {
        self.entries.push((key.into(), [4u32.to_le_bytes(), value.to_le_bytes()].concat()));
        self
    }

    pub fn f32(mut self, key: &str, value: f32) -> Writer {
        self.entries.push((key.into(), [6u32.to_le_bytes(), value.to_le_bytes()].concat()));
        self
    }

    pub fn bool(mut self, key: &str, value: bool) -> Writer {
        self.entries.push((key.into(), [&7u32.to_le_bytes()[..], &[value.into()]].concat()));
        self
    }

    pub fn texts(mut self, key: &str, values: &[String]) -> Writer {
        let mut bytes = array(8, values.len());
        values.iter().for_each(|value| string(&mut bytes, value));
        self.entries.push((key.into(), bytes));
        self
    }

    pub fn f32s(mut self, key: &str, values: &[f32]) -> Writer {
        let mut bytes = array(6, values.len());
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        self.entries.push((key.into(), bytes));
        self
    }

    pub fn i32s(mut self, key: &str, values: &[i32]) -> Writer {
        let mut bytes = array(5, values.len());
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        self.entries.push((key.into(), bytes));
        self
    }

    /// A tensor of `f32`; `shape` has the contiguous dimension first.
    pub fn tensor(self, name: &str, shape: &[u64], values: Vec<f32>) -> Writer {
        self.packed(name, shape, Kind::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// A tensor whose values are packed already.
    ///
    /// # Panics
    /// When `bytes` is not as long as `shape` and `kind` say.
    pub fn packed(mut self, name: &str, shape: &[u64], kind: Kind, bytes: Vec<u8>) -> Writer {
        assert_eq!(kind.size(shape.iter().product()), Some(bytes.len() as u64), "the size of {name}");
        self.tensors.push((name.into(), shape.to_vec(), kind, bytes));
        self
    }

    /// The whole file in memory.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_to(&mut out).expect("a vector takes everything");
        out
    }

    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        let mut header = b"GGUF".to_vec();
        header.extend(3u32.to_le_bytes());
        header.extend((self.tensors.len() as u64).to_le_bytes());
        header.extend((self.entries.len() as u64).to_le_bytes());
        for (key, value) in &self.entries {
            string(&mut header, key);
            header.extend(value);
        }
        let mut offset = 0u64;
        for (name, shape, kind, bytes) in &self.tensors {
            string(&mut header, name);
            header.extend((shape.len() as u32).to_le_bytes());
            shape.iter().for_each(|n| header.extend(n.to_le_bytes()));
            header.extend(kind.id.to_le_bytes());
            header.extend(offset.to_le_bytes());
            offset = (offset + bytes.len() as u64).next_multiple_of(ALIGNMENT as u64);
        }
        pad(&mut header);
        out.write_all(&header)?;
        for (at, (.., bytes)) in self.tensors.iter().enumerate() {
            out.write_all(bytes)?;
            let last = at + 1 == self.tensors.len();
            let padding = if last { 0 } else { bytes.len().next_multiple_of(ALIGNMENT) - bytes.len() };
            out.write_all(&[0; ALIGNMENT][..padding])?;
        }
        Ok(())
    }

    /// Writes `NAME.gguf` into `folder` and returns its path.
    pub fn write(&self, folder: &Path, name: &str) -> io::Result<PathBuf> {
        let path = folder.join(format!("{name}.gguf"));
        let mut file = io::BufWriter::new(std::fs::File::create(&path)?);
        self.write_to(&mut file)?;
        file.flush()?;
        Ok(path)
    }
}

/// The format's default: tensors start at multiples of it.
const ALIGNMENT: usize = 32;

fn pad(header: &mut Vec<u8>) {
    header.resize(header.len().next_multiple_of(ALIGNMENT), 0);
}

fn array(kind: u32, length: usize) -> Vec<u8> {
    [&9u32.to_le_bytes()[..], &kind.to_le_bytes(), &(length as u64).to_le_bytes()].concat()
}

fn string(out: &mut Vec<u8>, value: &str) {
    out.extend((value.len() as u64).to_le_bytes());
    out.extend(value.as_bytes());
}
