//! The manifest of a shared adapter: what it is, the model that it belongs to, and a BLAKE3 of each file beside it. Its
//! signature lies in a file of its own and is checked before a word of the manifest is parsed.

use super::{ADAPTER, CARD, CONFIG, MANIFEST, SIGNATURE, SharingError, WEIGHTS, check_name, failed};
use crate::keys::{self, Author, SIGNATURE_LENGTH};
use crate::{disk, learn};
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Stands before the digest in what is signed.
const CONTEXT: &[u8] = b"familiar:adapter:1\0";
const FORMAT: u32 = 1;
/// No manifest is longer than this many bytes.
const LONGEST: usize = 64 << 10;
const FILES: [&str; 4] = [ADAPTER, CONFIG, WEIGHTS, CARD];

/// What is said of a shared adapter, and signed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: u32,
    /// What its author calls it.
    pub name: String,
    pub rank: usize,
    pub parameters: usize,
    pub base: Model,
    /// BLAKE3 of each file, in hex.
    pub files: BTreeMap<String, String>,
}

/// A base model, by its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    pub name: String,
    pub architecture: String,
    /// BLAKE3 of the GGUF file, in hex.
    pub digest: String,
}

/// A folder whose manifest was signed, and whose files are those that it names.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed {
    pub folder: PathBuf,
    pub manifest: Manifest,
    pub author: Author,
    /// BLAKE3 of the manifest, in hex: of all that was signed.
    pub digest: String,
}

impl Signed {
    pub fn adapter(&self) -> PathBuf {
        self.folder.join(ADAPTER)
    }

    /// BLAKE3 of the adapter's file, as its author signed it.
    pub fn adapter_digest(&self) -> &str {
        self.manifest.files.get(ADAPTER).map_or("", String::as_str)
    }
}

impl Manifest {
    /// Of the files that lie in `folder`.
    pub(super) fn of(
        folder: &Path,
        name: &str,
        (rank, parameters): (usize, usize),
        base: Model,
    ) -> Result<Manifest, SharingError> {
        check_name(name)?;
        let digest = |file: &str| {
            let path = folder.join(file);
            Ok((file.to_owned(), learn::digest(&path).map_err(failed(&path))?))
        };
        let files = FILES.into_iter().map(digest).collect::<Result<_, SharingError>>()?;
        Ok(Manifest { format: FORMAT, name: name.into(), rank, parameters, base, files })
    }

    /// Writes it into `folder`, with its signature.
    pub(super) fn write(&self, folder: &Path, key: &SigningKey) -> Result<(), SharingError> {
        let (file, signature) = (folder.join(MANIFEST), folder.join(SIGNATURE));
        let text = toml::to_string(self).map_err(|error| failed(&file)(io::Error::other(error)))?;
        let text =
            format!("# An adapter of Familiar's; `familiar learn import FOLDER` takes it in.\n\n{text}");
        let seal = keys::sign(key, CONTEXT, &blake3::hash(text.as_bytes()));
        disk::replace(&file, text.as_bytes()).map_err(failed(&file))?;
        disk::replace(&signature, hex(&seal).as_bytes()).map_err(failed(&signature))
    }

    fn parse(text: &str) -> Result<Manifest, String> {
        let table: toml::Table = toml::from_str(text).map_err(|error| one_line(error.message()))?;
        match table.get("format").and_then(toml::Value::as_integer) {
            Some(format) if format == i64::from(FORMAT) => {}
            Some(format) => {
                return Err(format!(
                    "it is of format {format}, and this Familiar knows {FORMAT}; take a newer one"
                ));
            }
            None => return Err("it does not say its `format`".into()),
        }
        let manifest: Manifest = table.try_into().map_err(|error| one_line(error.message()))?;
        check_name(&manifest.name).map_err(|error| error.to_string())?;
        check_name(&manifest.base.name).map_err(|_| "the name of its model is not plain".to_owned())?;
        let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if let Some(file) = manifest.files.keys().find(|file| !FILES.contains(&file.as_str())) {
            return Err(format!("it names a file that no shared adapter has: {}", file.escape_debug()));
        }
        if !manifest.files.contains_key(ADAPTER) {
            return Err(format!("it names no {ADAPTER}"));
        }
        if ![&manifest.base.digest].into_iter().chain(manifest.files.values()).all(|digest| is_digest(digest))
        {
            return Err("one of its digests is no BLAKE3 in hex".into());
        }
        let plain = manifest.base.architecture.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !plain || manifest.base.architecture.len() > 32 {
            return Err("the architecture of its model is not plain".into());
        }
        Ok(manifest)
    }
}

/// Reads a shared adapter's folder: its signature first, then the manifest, then each file that it names.
pub fn read(folder: &Path) -> Result<Signed, SharingError> {
    let (file, signature) = (folder.join(MANIFEST), folder.join(SIGNATURE));
    let bytes = match disk::read(&file, LONGEST) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(SharingError::NoManifest(folder.to_owned()));
        }
        read => read.map_err(failed(&file))?,
    };
    let not_signed = || SharingError::Signature(file.clone());
    let seal = match disk::read(&signature, 4 * SIGNATURE_LENGTH) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(not_signed()),
        read => read.map_err(failed(&signature))?,
    };
    let digest = blake3::hash(&bytes);
    let seal = unhex(&seal).ok_or_else(not_signed)?;
    let author = keys::signer(&seal, CONTEXT, &digest).ok_or_else(not_signed)?;
    let wrong = |what: String| SharingError::Manifest { file: file.clone(), what };
    let text = str::from_utf8(&bytes).map_err(|_| wrong("it is not UTF-8".into()))?;
    let manifest = Manifest::parse(text).map_err(wrong)?;
    for (name, wants) in &manifest.files {
        check(&folder.join(name), wants)?;
    }
    let digest = digest.to_hex().to_string();
    Ok(Signed { folder: folder.to_owned(), manifest, author, digest })
}

/// Whether a file is the one of this digest.
pub(super) fn check(file: &Path, wants: &str) -> Result<(), SharingError> {
    // Reading a FIFO or a device may never end.
    if !std::fs::metadata(file).map_err(failed(file))?.is_file() {
        return Err(failed(file)(io::Error::other("it is not a regular file")));
    }
    let has = learn::digest(file).map_err(failed(file))?;
    match has == wants {
        true => Ok(()),
        false => Err(SharingError::Changed { file: file.to_owned(), wants: wants.into(), has }),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").escape_debug().to_string()
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits + "\n"
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digits = str::from_utf8(text).ok()?.trim_end();
    let digit = |at: usize| char::from(*digits.as_bytes().get(at)?).to_digit(16);
    let byte = |at: usize| Some((digit(2 * at)? * 16 + digit(2 * at + 1)?) as u8);
    if digits.len() != 2 * SIGNATURE_LENGTH { None } else { (0..SIGNATURE_LENGTH).map(byte).collect() }
}
