//! Writes GGUF files, version 3: metadata and tensors in the order in which they were given.

use super::Kind;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A GGUF file in the making.
#[derive(Default)]
pub struct Writer {
    entries: Vec<(String, Vec<u8>)>,
    tensors: Vec<Entry>,
}

/// A tensor's place in the header, and its bytes unless they come later.
struct Entry {
    name: String,
    shape: Vec<u64>,
    kind: Kind,
    bytes: Option<Vec<u8>>,
}

impl Entry {
    fn size(&self) -> u64 {
        self.kind.size(self.shape.iter().product()).expect("checked when it was added")
    }
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
        self.tensors.push(Entry { name: name.into(), shape: shape.to_vec(), kind, bytes: Some(bytes) });
        self
    }

    /// A tensor whose bytes [`Writer::write_with`] asks for, so that they need never be in memory together.
    ///
    /// # Panics
    /// When it has more elements than can be.
    pub fn later(mut self, name: &str, shape: &[u64], kind: Kind) -> Writer {
        assert!(kind.size(shape.iter().product()).is_some(), "the size of {name}");
        self.tensors.push(Entry { name: name.into(), shape: shape.to_vec(), kind, bytes: None });
        self
    }

    /// The whole file in memory.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_to(&mut out).expect("a vector takes everything");
        out
    }

    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        self.write_with(out, |name, _| Err(io::Error::other(format!("nothing was given for {name}"))))
    }

    /// Writes the file; `fill(name, out)` writes the packed bytes of each tensor that was announced by
    /// [`Writer::later`], in the order of the announcements. An error when it writes too many or too few.
    pub fn write_with(
        &self,
        out: &mut impl Write,
        mut fill: impl FnMut(&str, &mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        out.write_all(&self.header())?;
        for (at, tensor) in self.tensors.iter().enumerate() {
            let size = tensor.size();
            match &tensor.bytes {
                Some(bytes) => out.write_all(bytes)?,
                None => {
                    let mut counted = Counted { out, bytes: 0 };
                    fill(&tensor.name, &mut counted)?;
                    if counted.bytes != size {
                        let (name, got) = (&tensor.name, counted.bytes);
                        return Err(io::Error::other(format!("{name} has {size} bytes, {got} were given")));
                    }
                }
            }
            let last = at + 1 == self.tensors.len();
            let padding = if last { 0 } else { size.next_multiple_of(ALIGNMENT as u64) - size };
            out.write_all(&[0; ALIGNMENT][..padding as usize])?;
        }
        Ok(())
    }

    fn header(&self) -> Vec<u8> {
        let mut header = b"GGUF".to_vec();
        header.extend(3u32.to_le_bytes());
        header.extend((self.tensors.len() as u64).to_le_bytes());
        header.extend((self.entries.len() as u64).to_le_bytes());
        for (key, value) in &self.entries {
            string(&mut header, key);
            header.extend(value);
        }
        let mut offset = 0u64;
        for tensor in &self.tensors {
            string(&mut header, &tensor.name);
            header.extend((tensor.shape.len() as u32).to_le_bytes());
            tensor.shape.iter().for_each(|n| header.extend(n.to_le_bytes()));
            header.extend(tensor.kind.id.to_le_bytes());
            header.extend(offset.to_le_bytes());
            offset = (offset + tensor.size()).next_multiple_of(ALIGNMENT as u64);
        }
        pad(&mut header);
        header
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

/// Counts what passes through.
struct Counted<'a, W> {
    out: &'a mut W,
    bytes: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_given_later_make_the_same_file() {
        let shape = [5u64, 2];
        let values: Vec<f32> = (0..10).map(|n| n as f32).collect();
        let packed: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let start = || Writer::default().text("general.architecture", "llama").tensor("a", &[1], vec![7.0]);
        let at_once = start().tensor("b", &shape, values).tensor("c", &[1], vec![8.0]).bytes();
        let later = start().later("b", &shape, Kind::F32).tensor("c", &[1], vec![8.0]);
        let mut out = Vec::new();
        later
            .write_with(&mut out, |name, out| {
                assert_eq!(name, "b");
                packed.chunks(7).try_for_each(|piece| out.write_all(piece))
            })
            .unwrap();
        assert_eq!(out, at_once);
        let short = later.write_with(&mut Vec::new(), |_, out| out.write_all(&packed[1..]));
        assert!(short.unwrap_err().to_string().contains("b has 40 bytes, 39 were given"));
        assert!(later.write_to(&mut Vec::new()).is_err());
    }
}
