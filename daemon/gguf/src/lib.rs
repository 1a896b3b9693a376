//! GGUF files, the format of models and adapters: their headers read and checked, their tensors mapped,
//! new files written. It reads what it is asked to and trusts nothing in it; it never calls llama.cpp.

mod check;
mod file;
mod header;
mod kinds;
mod write;

pub use file::{Gguf, Tensor};
pub use header::{Header, TensorInfo, Value};
pub use kinds::Kind;
pub use write::Writer;

#[cfg(test)]
extern crate self as familiar_gguf;

use std::io;

/// Why a file cannot be used as a model.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is not a GGUF file (its first bytes are not `GGUF`); choose a model in the GGUF format")]
    NotGguf,
    #[error("it is GGUF version {0} and this build reads 2 and 3; convert it anew with llama.cpp's scripts")]
    Version(u32),
    #[error("it is truncated: needs {needs} bytes, has {has}; download it again")]
    Truncated { needs: u64, has: u64 },
    #[error("its header is broken ({0}); download it again")]
    Malformed(String),
    #[error("its architecture `{0}` is unknown to the llama.cpp in this build; a newer Familiar may know it")]
    UnknownArchitecture(String),
    #[error("its architecture `{0}` does not write text; choose a text-generation model")]
    NotGenerative(String),
    #[error(
        "its tokenizer has no token for byte <0x{0:02X}>, so ordinary text would crash llama.cpp; \
         convert the model again with its byte tokens"
    )]
    NoByteTokens(u8),
    #[error("it is part of a model split over {0} files; join them with `llama-gguf-split --merge` first")]
    Split(u64),
}
