//! Authors' keys and signatures. An author signs plugins and shared adapters with an ed25519 key of their own, made when
//! it is first needed and kept 0600; whoever takes one sees a fingerprint of the public half. No other files.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The first line of a key file.
const TITLE: &str = "familiar author key 1";

/// Who signed something: the public half of an author's key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Author([u8; 32]);

impl Author {
    pub fn new(key: [u8; 32]) -> Author {
        Author(key)
    }

    pub fn of(key: &SigningKey) -> Author {
        Author(key.verifying_key().to_bytes())
    }

    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub fn key(&self) -> Option<VerifyingKey> {
        VerifyingKey::from_bytes(&self.0).ok()
    }

    /// 100 bits of the key's BLAKE3, to be read aloud: five groups of four, without letters that look alike.
    pub fn fingerprint(&self) -> String {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let hash = blake3::hash(&self.0);
        let bits = hash.as_bytes()[..13].iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        let letter = |at: usize| char::from(LETTERS[(bits >> (99 - 5 * at) & 31) as usize]);
        let groups: Vec<String> =
            (0..5).map(|group| (0..4).map(|at| letter(group * 4 + at)).collect()).collect();
        groups.join("-")
    }
}

/// The whole key, in hex.
impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Author {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Author({})", self.fingerprint())
    }
}

impl From<Author> for String {
    fn from(author: Author) -> String {
        author.to_string()
    }
}

impl TryFrom<String> for Author {
    type Error = String;

    fn try_from(text: String) -> Result<Author, String> {
        unhex(&text).map(Author).ok_or_else(|| "an author's key has 64 hex digits".into())
    }
}

const SIGNATURE_VERSION: u8 = 1;
/// A version, the key, and the signature itself.
pub const SIGNATURE_LENGTH: usize = 1 + 32 + 64;

/// Signs a digest. `context` says of what it is and stands before it in what is signed, so that the signature means this
/// and nothing else.
pub fn sign(key: &SigningKey, context: &[u8], digest: &blake3::Hash) -> Vec<u8> {
    let mut signature = vec![SIGNATURE_VERSION];
    signature.extend(Author::of(key).bytes());
    signature.extend(key.sign(&[context, digest.as_bytes()].concat()).to_bytes());
    signature
}

/// Who made a signature; `None` where it does not fit. Strictly, as RFC 8032 asks: no key of small order, no second way
/// to write a signature.
pub fn signer(signature: &[u8], context: &[u8], digest: &blake3::Hash) -> Option<Author> {
    let (&[SIGNATURE_VERSION, ref rest @ ..], SIGNATURE_LENGTH) = (signature, signature.len()) else {
        return None;
    };
    let (author, signature) = rest.split_first_chunk::<32>()?;
    let author = Author::new(*author);
    let signature = Signature::from_slice(signature).ok()?;
    author.key()?.verify_strict(&[context, digest.as_bytes()].concat(), &signature).ok()?;
    Some(author)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let bytes = text.as_bytes();
    if bytes.len() != 64 {
        return None;
    }
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(bytes.chunks(2)) {
        let digit = |c: u8| char::from(c).to_digit(16);
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Some(out)
}

/// Why there is no author's key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the author's key {} cannot be used: {error}", .file.display())]
    Io { file: PathBuf, error: io::Error },
    #[error("{} is not an author's key; move it away, and the next signature makes a new one", .0.display())]
    Damaged(PathBuf),
    #[error("others can read the author's key {file}: `chmod 600 {file}`, or make a new one if somebody did", file = .0.display())]
    Open(PathBuf),
}

/// The owner's own key, made now if there is none. The flag tells whether it was.
pub fn load_or_make(file: &Path) -> Result<(SigningKey, bool), KeyError> {
    let failed = |error| KeyError::Io { file: file.to_owned(), error };
    match read(file) {
        Err(KeyError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found.map(|key| (key, false)),
    }
    let mut seed = [0; 32];
    File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut seed)).map_err(failed)?;
    match make(file, &seed) {
        Ok(()) => Ok((SigningKey::from_bytes(&seed), true)),
        // Another process was faster: its key is the key.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(file).map(|key| (key, false)),
        Err(error) => Err(failed(error)),
    }
}

fn read(file: &Path) -> Result<SigningKey, KeyError> {
    let failed = |error| KeyError::Io { file: file.to_owned(), error };
    let found = fs::metadata(file).map_err(failed)?;
    if !found.is_file() {
        return Err(KeyError::Damaged(file.to_owned()));
    }
    if found.mode() & 0o077 != 0 {
        return Err(KeyError::Open(file.to_owned()));
    }
    let mut text = String::new();
    File::open(file).and_then(|file| file.take(1024).read_to_string(&mut text)).map_err(failed)?;
    let seed = match text.lines().collect::<Vec<_>>()[..] {
        [TITLE, seed] => unhex(seed),
        _ => None,
    };
    seed.map(|seed| SigningKey::from_bytes(&seed)).ok_or_else(|| KeyError::Damaged(file.to_owned()))
}

/// Whole or not at all, and never over a key that is there.
fn make(file: &Path, seed: &[u8; 32]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let new = file.with_extension(format!("{}.new", std::process::id()));
    let mut out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    let outcome = writeln!(out, "{TITLE}\n{}", hex(seed))
        .and_then(|()| out.sync_all())
        .and_then(|()| fs::hard_link(&new, file));
    fs::remove_file(&new)?;
    outcome?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_is_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config/author.key");
        let (key, made) = load_or_make(&file).unwrap();
        assert!(made);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        let (again, made) = load_or_make(&file).unwrap();
        assert!(!made && again.to_bytes() == key.to_bytes());
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(load_or_make(&file), Err(KeyError::Open(_))));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        for wrong in ["", "x\n", &format!("{TITLE}\n{}\n", "g".repeat(64)), &format!("{TITLE}\n\n")] {
            fs::write(&file, wrong).unwrap();
            assert!(matches!(load_or_make(&file), Err(KeyError::Damaged(_))), "{wrong:?}");
        }
    }

    #[test]
    fn a_signature_is_of_one_thing_and_one_kind() {
        let (key, digest) = (SigningKey::from_bytes(&[7; 32]), blake3::hash(b"words"));
        let signature = sign(&key, b"a", &digest);
        assert_eq!(
            (signature.len(), signer(&signature, b"a", &digest)),
            (SIGNATURE_LENGTH, Some(Author::of(&key)))
        );
        assert_eq!(signer(&signature, b"b", &digest), None);
        assert_eq!(signer(&signature, b"a", &blake3::hash(b"word")), None);
        for at in 0..signature.len() {
            let mut changed = signature.clone();
            changed[at] ^= 1;
            assert_eq!(signer(&changed, b"a", &digest), None, "byte {at}");
            assert_eq!(signer(&signature[..at], b"a", &digest), None, "cut at {at}");
        }
    }

    #[test]
    fn two_keys_have_two_fingerprints() {
        let keys = [1, 2].map(|seed| Author::of(&SigningKey::from_bytes(&[seed; 32])));
        let [one, two] = keys.map(|author| author.fingerprint());
        assert_ne!(one, two);
        assert_eq!(one.split('-').map(str::len).collect::<Vec<_>>(), [4; 5]);
        let text = String::from(keys[0]);
        assert_eq!(Author::try_from(text).unwrap(), keys[0]);
        assert!(Author::try_from("é".repeat(32)).is_err());
    }
}
