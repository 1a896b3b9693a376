//! A GGUF file mapped into memory: its header, and each tensor's packed bytes.
#![allow(unsafe_code)]

use super::{GgufError, Header, Kind, TensorInfo};
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

/// An open file. Its pages are shared with whoever else maps it, such as llama.cpp.
pub struct Gguf {
    pub header: Header,
    map: memmap2::Mmap,
    by_name: HashMap<String, usize>,
}

/// A tensor's values, packed as its kind says.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    /// Elements of each dimension, the contiguous one first.
    pub shape: &'a [u64],
    pub kind: Kind,
    pub bytes: &'a [u8],
}

impl Gguf {
    /// Reads the header and maps the file. The file must not be changed while it is open: files of
    /// models are replaced by a rename, which leaves the mapped one as it was.
    pub fn open(path: &Path) -> Result<Gguf, GgufError> {
        let header = Header::open(path)?;
        let file = File::open(path)?;
        // SAFETY: the map is read-only, and nobody writes into a model in place (see above).
        let map = unsafe { memmap2::Mmap::map(&file)? };
        let by_name = header.tensors.iter().enumerate().map(|(i, info)| (info.name.clone(), i)).collect();
        let gguf = Gguf { header, map, by_name };
        // The file may have been exchanged between the two looks at it.
        match gguf.header.tensors.iter().find(|info| gguf.bytes(info).is_none()) {
            Some(_) => Err(GgufError::Malformed("it changed while it was being opened".into())),
            None => Ok(gguf),
        }
    }

    pub fn tensor(&self, name: &str) -> Option<Tensor<'_>> {
        let info = &self.header.tensors[*self.by_name.get(name)?];
        Some(Tensor { shape: &info.shape, kind: info.kind, bytes: self.bytes(info)? })
    }

    /// The whole file.
    pub fn file_bytes(&self) -> &[u8] {
        &self.map
    }

    fn bytes(&self, info: &TensorInfo) -> Option<&[u8]> {
        let start = usize::try_from(self.header.data.checked_add(info.offset)?).ok()?;
        self.map.get(start..start.checked_add(usize::try_from(info.size()).ok()?)?)
    }
}
