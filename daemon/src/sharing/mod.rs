//! Adapters that go from one owner to another: a folder with the adapter as GGUF and for PEFT, a model card, and a signed
//! manifest with the digests of them all; and on the other side those that were taken in, kept among the adapters and
//! stacked beside what was learned here. It trains and measures nothing, and reaches no network.

mod card;
mod export;
mod manifest;
mod shelf;

pub use export::{Export, export};
pub use manifest::{Manifest, Model, Signed, read};
pub use shelf::{Entry, MOST, Personal, SCALE, Shelf};

use crate::learn::adapters::CarryError;
use std::io;
use std::path::{Path, PathBuf};

/// Files of a shared adapter's folder.
const ADAPTER: &str = "adapter.gguf";
const CARD: &str = "README.md";
const MANIFEST: &str = "manifest.toml";
const SIGNATURE: &str = "manifest.sig";
/// For PEFT.
const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

/// Why an adapter could not be given away or taken in.
#[derive(Debug, thiserror::Error)]
pub enum SharingError {
    #[error("generation {number} is not for others: {why}")]
    NotForOthers { number: u32, why: String },
    #[error("{} is there already and not empty; choose another folder", .0.display())]
    NotEmpty(PathBuf),
    #[error("{} holds no manifest.toml: it is no shared adapter (`familiar learn adapter import` takes a plain PEFT folder)", .0.display())]
    NoManifest(PathBuf),
    #[error("the signature of {} does not fit: it was changed after it was signed, or never was; ask its author for it again", .0.display())]
    Signature(PathBuf),
    #[error("{}: {what}", .file.display())]
    Manifest { file: PathBuf, what: String },
    #[error("{} is not the file that its author signed (BLAKE3 {has}, not {wants}); fetch the folder again", .file.display())]
    Changed { file: PathBuf, wants: String, has: String },
    #[error(
        "`{name}` was made on the model `{model}` (BLAKE3 {wants}), and what answers here is `{here}` ({has}); `familiar model import` and `familiar model use` that very file first"
    )]
    OtherBase { name: String, model: String, wants: String, here: String, has: String },
    #[error("the folder is not the one that you were shown: it changed meanwhile; look at it again")]
    Meanwhile,
    #[error("there is an adapter `{0}` already; `--name` gives this one another name")]
    Taken(String),
    #[error("`{0}` is no name for an adapter: use up to 64 letters, digits, `.`, `_` and `-`")]
    BadName(String),
    #[error("there is no shared adapter `{0}`; `familiar learn import --list` names them")]
    NotFound(String),
    #[error("its scale must be above 0 and at most {MOST}, not {0}")]
    Scale(f32),
    #[error("{} cannot be understood ({what}); `familiar learn import --remove {name}` takes the adapter away", .file.display())]
    Record { file: PathBuf, name: String, what: String },
    #[error("{}: {error}", .path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Carry(#[from] CarryError),
}

fn failed(path: &Path) -> impl Fn(io::Error) -> SharingError {
    move |error| SharingError::Io { path: path.to_owned(), error }
}

/// One plain file name, and nothing to a shell.
fn check_name(name: &str) -> Result<(), SharingError> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    // `none` and `personal` mean something else in the settings.
    let other = matches!(name, "none" | "personal") || name.starts_with(['.', '-']);
    match plain && !other && (1..=64).contains(&name.len()) {
        true => Ok(()),
        false => Err(SharingError::BadName(name.chars().take(80).flat_map(char::escape_debug).collect())),
    }
}

#[cfg(test)]
mod tests;
