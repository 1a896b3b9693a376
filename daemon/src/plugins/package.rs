//! A plugin's package: one component file with manifest, tools and signature as custom sections at its end.
//! It is read by a small strict walker that knows the sections' frames and nothing of what is in them, and a
//! package that is signed is checked before a word of it is parsed. Pure: bytes in, package out.
//!
//! The frames are the component model's (WebAssembly/component-model, Binary.md): a preamble of eight bytes,
//! then sections of an id, a length in LEB128 and that many bytes; id 0 is a custom section with a name.

use super::manifest::{self, Manifest, ManifestError};
use super::schema::{self, Tool, ToolsError};
use crate::keys::{self, Author};
use ed25519_dalek::SigningKey;

/// No package is larger than this many bytes.
pub const LARGEST: usize = 128 << 20;

const COMPONENT: [u8; 8] = *b"\0asm\x0d\0\x01\0";
const MODULE: [u8; 8] = *b"\0asm\x01\0\0\0";
/// Sections of a component have the ids 0 (custom) to 12.
const LAST_ID: u8 = 12;

const OURS: &str = "familiar:";
const MANIFEST: &str = "familiar:manifest";
const TOOLS: &str = "familiar:tools";
const SIGNATURE: &str = "familiar:signature";
/// Stands before the digest in what is signed.
const CONTEXT: &[u8] = b"familiar:plugin:1\0";

/// Why a file is no package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    #[error("it is larger than {LARGEST} bytes")]
    TooLarge,
    #[error("it is a core WebAssembly module, not a component; `familiar plugin build` makes one of it")]
    CoreModule,
    #[error("it is not a WebAssembly component")]
    NotAComponent,
    #[error("its section at byte {0} is not whole")]
    Broken(usize),
    #[error("it is a component without the sections of a plugin; `familiar plugin build` writes them")]
    NotPacked,
    #[error("it has sections of a plugin already; build it from the component that has none")]
    Packed,
    #[error("the sections of a plugin do not stand once each, in order, at its very end")]
    Misplaced,
    #[error("its signature does not fit what it holds: it was changed after it was signed")]
    Signature,
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Tools(#[from] ToolsError),
}

/// All that is known of a package without running it.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    pub manifest: Manifest,
    pub tools: Vec<Tool>,
    /// BLAKE3, in hex, of all before the signature: what the owner's yes is bound to.
    pub digest: String,
    /// BLAKE3, in hex, of the whole file.
    pub file_digest: String,
    /// `None`: it is not signed.
    pub author: Option<Author>,
    /// Bytes of the whole file.
    pub size: u64,
}

impl Package {
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.name == name)
    }
}

/// Reads a package. One with a signature that does not fit is refused; whether one without may be used
/// is the caller's to say.
pub fn read(bytes: &[u8]) -> Result<Package, PackageError> {
    let sections = split(bytes)?;
    let digest = blake3::hash(&bytes[..sections.signed]);
    let verify = |signature| keys::signer(signature, CONTEXT, &digest).ok_or(PackageError::Signature);
    let author = sections.signature.map(verify).transpose()?;
    let text = str::from_utf8(sections.manifest).map_err(|error| ManifestError {
        line: 1 + sections.manifest[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count(),
        what: "it is not UTF-8".into(),
    })?;
    Ok(Package {
        manifest: Manifest::parse(text)?,
        tools: schema::read(sections.tools)?,
        digest: digest.to_hex().to_string(),
        file_digest: blake3::hash(bytes).to_hex().to_string(),
        author,
        size: bytes.len() as u64,
    })
}

/// Makes a package, signed if there is a key. Manifest and tools are checked as when it is read.
pub fn pack(
    component: &[u8],
    manifest: &str,
    tools: &str,
    key: Option<&SigningKey>,
) -> Result<Vec<u8>, PackageError> {
    if walk(component)?.iter().any(|section| section.name.is_some_and(|name| name.starts_with(OURS))) {
        return Err(PackageError::Packed);
    }
    let mut bytes = component.to_vec();
    push(&mut bytes, MANIFEST, manifest.as_bytes());
    push(&mut bytes, TOOLS, tools.as_bytes());
    if let Some(key) = key {
        let digest = blake3::hash(&bytes);
        push(&mut bytes, SIGNATURE, &keys::sign(key, CONTEXT, &digest));
    }
    read(&bytes)?;
    Ok(bytes)
}

/// The component alone, without what was packed with it.
pub fn component(bytes: &[u8]) -> Result<&[u8], PackageError> {
    Ok(&bytes[..split(bytes)?.component])
}

/// Where the parts of a package lie.
struct Parts<'a> {
    /// Where the component ends.
    component: usize,
    manifest: &'a [u8],
    tools: &'a [u8],
    signature: Option<&'a [u8]>,
    /// Where that ends which is signed.
    signed: usize,
}

/// Our sections stand once each, in order, at the end, and are written in the one way that [`push`] has.
fn split(bytes: &[u8]) -> Result<Parts<'_>, PackageError> {
    let sections = walk(bytes)?;
    let ours = |section: &Section| section.name.is_some_and(|name| name.starts_with(OURS));
    let first = sections.iter().position(ours).ok_or(PackageError::NotPacked)?;
    let (component, signed, manifest, tools, signature) = match &sections[first..] {
        [m, t] if m.is(MANIFEST) && t.is(TOOLS) => (m.start, bytes.len(), m.data, t.data, None),
        [m, t, s] if m.is(MANIFEST) && t.is(TOOLS) && s.is(SIGNATURE) => {
            (m.start, s.start, m.data, t.data, Some(s.data))
        }
        _ => return Err(PackageError::Misplaced),
    };
    if manifest.len() > manifest::LONGEST {
        let what = format!("the file is longer than {} bytes", manifest::LONGEST);
        return Err(ManifestError { line: 1, what }.into());
    }
    if tools.len() > schema::LONGEST {
        return Err(ToolsError::TooLong.into());
    }
    let mut plainly = Vec::with_capacity(bytes.len() - component);
    push(&mut plainly, MANIFEST, manifest);
    push(&mut plainly, TOOLS, tools);
    if let Some(signature) = signature {
        push(&mut plainly, SIGNATURE, signature);
    }
    if plainly != bytes[component..] {
        return Err(PackageError::Misplaced);
    }
    Ok(Parts { component, manifest, tools, signature, signed })
}

struct Section<'a> {
    /// Byte of the file at which it begins.
    start: usize,
    /// Of a custom section.
    name: Option<&'a str>,
    data: &'a [u8],
}

impl Section<'_> {
    fn is(&self, name: &str) -> bool {
        self.name == Some(name)
    }
}

/// The sections at the top level, in order. What lies in them is not looked at.
fn walk(bytes: &[u8]) -> Result<Vec<Section<'_>>, PackageError> {
    if bytes.len() > LARGEST {
        return Err(PackageError::TooLarge);
    }
    if bytes.starts_with(&MODULE) {
        return Err(PackageError::CoreModule);
    }
    let mut rest = bytes.strip_prefix(&COMPONENT).ok_or(PackageError::NotAComponent)?;
    let mut sections = Vec::new();
    while let [id, after @ ..] = rest {
        let start = bytes.len() - rest.len();
        let broken = PackageError::Broken(start);
        let section = take(after).filter(|_| *id <= LAST_ID);
        let (content, next) = section.ok_or_else(|| broken.clone())?;
        let (name, data) = match *id {
            0 => {
                let (name, data) = take(content).ok_or_else(|| broken.clone())?;
                (Some(str::from_utf8(name).map_err(|_| broken)?), data)
            }
            _ => (None, content),
        };
        sections.push(Section { start, name, data });
        rest = next;
    }
    Ok(sections)
}

/// Bytes with their length before them, and what follows.
fn take(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, used) = leb(bytes)?;
    bytes[used..].split_at_checked(length as usize)
}

/// An unsigned LEB128 of at most 32 bits, and how many bytes it takes.
fn leb(bytes: &[u8]) -> Option<(u32, usize)> {
    let mut value = 0_u32;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        let bits = u32::from(byte & 0x7f);
        value |= bits.checked_shl(7 * at as u32).filter(|shifted| shifted >> (7 * at) == bits)?;
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

fn push_leb(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}

/// Appends a custom section.
fn push(out: &mut Vec<u8>, name: &str, data: &[u8]) {
    let mut content = Vec::with_capacity(name.len() + data.len() + 5);
    push_leb(&mut content, name.len());
    content.extend(name.as_bytes());
    content.extend(data);
    out.push(0);
    push_leb(out, content.len());
    out.extend(content);
}

#[cfg(test)]
#[path = "package_tests.rs"]
pub mod tests;
