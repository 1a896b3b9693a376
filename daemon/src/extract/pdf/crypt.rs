//! PDF's encryption, as far as a document opens without a password: many are locked only against being
//! changed. No password is guessed.

use super::object::{Dict, Object};
use crate::extract::draft::Unread;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use md5::{Digest, Md5};
use sha2::{Sha256, Sha384, Sha512};

/// What stands for a password that is empty, or fills up a short one.
const FILL: [u8; 32] = [
    0x28, 0xbf, 0x4e, 0x5e, 0x4e, 0x75, 0x8a, 0x41, 0x64, 0x00, 0x4e, 0x56, 0xff, 0xfa, 0x01, 0x08, 0x2e,
    0x2e, 0x00, 0xb6, 0xd0, 0x68, 0x3e, 0x80, 0x2f, 0x0c, 0xa9, 0xfe, 0x64, 0x53, 0x69, 0x7a,
];
const BLOCK: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    None,
    Rc4,
    Aes,
    /// AES with the document's key itself.
    Whole,
}

/// What opens a document's streams and strings.
#[derive(Debug)]
pub(super) struct Key {
    bytes: Vec<u8>,
    method: Method,
}

impl Key {
    /// The key of a document that opens without a password. `lock` is its dictionary of encryption, all
    /// of it followed, `id` the first half of its identity.
    pub(super) fn without_password(lock: &Dict, id: &[u8]) -> Result<Key, Unread> {
        let number = |key: &str| lock.get(key).and_then(Object::number).unwrap_or(0.0) as i64;
        let (version, revision) = (number("V"), number("R"));
        let method = match version {
            1..=3 => Method::Rc4,
            4 | 5 => filter_method(lock),
            _ => return Err(Unread::Locked),
        };
        let bytes = if version == 5 {
            key_of_256(lock, revision)
        } else {
            let length = if revision == 2 { 5 } else { (number("Length").clamp(40, 128) / 8) as usize };
            key_of_128(lock, id, revision, if version == 4 { BLOCK } else { length })
        };
        bytes.map(|bytes| Key { bytes, method }).ok_or(Unread::Locked)
    }

    /// The bytes of a stream or string of the object `number`.
    pub(super) fn open(&self, number: u32, data: &[u8]) -> Vec<u8> {
        match self.method {
            Method::None => data.to_vec(),
            Method::Whole => unpadded(self.bytes.as_slice(), data),
            Method::Rc4 => rc4(&self.of_object(number, b""), data),
            Method::Aes => unpadded(&self.of_object(number, b"sAlT"), data),
        }
    }

    /// Each object has a key of its own. Its generation is 0 in all files that are met.
    fn of_object(&self, number: u32, salt: &[u8]) -> Vec<u8> {
        let own = [&self.bytes[..], &number.to_le_bytes()[..3], &[0, 0], salt].concat();
        Md5::digest(own)[..(self.bytes.len() + 5).min(BLOCK)].to_vec()
    }
}

/// How streams are locked: by the filter that the dictionary names.
fn filter_method(lock: &Dict) -> Method {
    let name = lock.get("StmF").and_then(Object::name).unwrap_or("Identity");
    let filter =
        lock.get("CF").and_then(Object::dict).and_then(|filters| filters.get(name)).and_then(Object::dict);
    match filter.and_then(|filter| filter.get("CFM")).and_then(Object::name) {
        Some("V2") => Method::Rc4,
        Some("AESV2") => Method::Aes,
        Some("AESV3") => Method::Whole,
        _ => Method::None,
    }
}

fn bytes<'a>(lock: &'a Dict, key: &str) -> &'a [u8] {
    if let Some(Object::Text(bytes)) = lock.get(key) { bytes } else { &[] }
}

/// The standard's algorithm 2, checked by its algorithms 4 and 5.
fn key_of_128(lock: &Dict, id: &[u8], revision: i64, length: usize) -> Option<Vec<u8>> {
    let permissions = lock.get("P").and_then(Object::number)? as i64 as u32;
    let open_metadata = matches!(lock.get("EncryptMetadata"), Some(Object::Word(word)) if word == "false");
    let owner = bytes(lock, "O").get(..32)?;
    let mut seed = [&FILL[..], owner, &permissions.to_le_bytes(), id].concat();
    if revision >= 4 && open_metadata {
        seed.extend([0xff; 4]);
    }
    let mut key = Md5::digest(seed).to_vec();
    if revision >= 3 {
        for _ in 0..50 {
            key = Md5::digest(&key[..length]).to_vec();
        }
    }
    key.truncate(length);
    let known = bytes(lock, "U").get(..BLOCK)?;
    let proof = if revision == 2 {
        rc4(&key, &FILL)
    } else {
        let start = Md5::digest([&FILL[..], id].concat()).to_vec();
        (0..20u8)
            .fold(start, |proof, round| rc4(&key.iter().map(|byte| byte ^ round).collect::<Vec<_>>(), &proof))
    };
    (&proof[..BLOCK] == known).then_some(key)
}

/// The standard's algorithm 2.A.
fn key_of_256(lock: &Dict, revision: i64) -> Option<Vec<u8>> {
    let user = bytes(lock, "U").get(..48)?;
    let hash = |salt: &[u8]| if revision >= 6 { slow_hash(salt) } else { Sha256::digest(salt).to_vec() };
    if hash(&user[32..40]) != user[..32] {
        return None;
    }
    let locked = bytes(lock, "UE").get(..32)?;
    Some(cbc(&hash(&user[40..48]), &[0; BLOCK], locked))
}

/// The standard's algorithm 2.B for the empty password.
fn slow_hash(salt: &[u8]) -> Vec<u8> {
    let mut key = Sha256::digest(salt).to_vec();
    for round in 0..1024usize {
        let repeated = key.repeat(64);
        let Some(cipher) = Aes128::new_from_slice(&key[..BLOCK]).ok() else { break };
        let mut last: Vec<u8> = key[BLOCK..2 * BLOCK].to_vec();
        let mut locked = Vec::with_capacity(repeated.len());
        for block in repeated.chunks_exact(BLOCK) {
            let mut mixed = Array::from_fn(|at| block[at] ^ last[at]);
            cipher.encrypt_block(&mut mixed);
            last = mixed.to_vec();
            locked.extend_from_slice(&last);
        }
        key = match locked[..BLOCK].iter().map(|byte| u32::from(*byte)).sum::<u32>() % 3 {
            0 => Sha256::digest(&locked).to_vec(),
            1 => Sha384::digest(&locked).to_vec(),
            _ => Sha512::digest(&locked).to_vec(),
        };
        let end = locked.last().copied().unwrap_or_default();
        if round >= 63 && usize::from(end) + 32 <= round + 1 {
            break;
        }
    }
    key.truncate(32);
    key
}

/// AES in chains: the first block is where the chain begins, the last byte says how much of the end fills.
fn unpadded(key: &[u8], data: &[u8]) -> Vec<u8> {
    let Some((start, data)) = data.split_at_checked(BLOCK) else { return Vec::new() };
    let mut plain = cbc(key, start, data);
    let fill = plain.last().map_or(0, |byte| usize::from(*byte));
    if (1..=BLOCK).contains(&fill) {
        plain.truncate(plain.len().saturating_sub(fill));
    }
    plain
}

fn cbc(key: &[u8], start: &[u8], data: &[u8]) -> Vec<u8> {
    match key.len() {
        32 => Aes256::new_from_slice(key).map(|cipher| chain(&cipher, start, data)).unwrap_or_default(),
        _ => Aes128::new_from_slice(key).map(|cipher| chain(&cipher, start, data)).unwrap_or_default(),
    }
}

fn chain<C>(cipher: &C, start: &[u8], data: &[u8]) -> Vec<u8>
where
    C: BlockCipherDecrypt<BlockSize = aes::cipher::consts::U16>,
{
    let mut plain = Vec::with_capacity(data.len());
    let mut last = start;
    for block in data.chunks_exact(BLOCK) {
        let mut open = Array::from_fn(|at| block[at]);
        cipher.decrypt_block(&mut open);
        plain.extend(open.iter().zip(last).map(|(byte, last)| byte ^ last));
        last = block;
    }
    plain
}

fn rc4(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut state: [u8; 256] = std::array::from_fn(|at| at as u8);
    let mut j = 0u8;
    for at in 0..256 {
        j = j.wrapping_add(state[at]).wrapping_add(key[at % key.len()]);
        state.swap(at, usize::from(j));
    }
    let (mut i, mut j) = (0u8, 0u8);
    data.iter()
        .map(|byte| {
            i = i.wrapping_add(1);
            j = j.wrapping_add(state[usize::from(i)]);
            state.swap(usize::from(i), usize::from(j));
            byte ^ state[usize::from(state[usize::from(i)].wrapping_add(state[usize::from(j)]))]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn rc4_gives_its_known_stream() {
        assert_eq!(super::rc4(b"Key", b"Plaintext"), [0xbb, 0xf3, 0x16, 0xe8, 0xd9, 0x40, 0xaf, 0x0a, 0xd3]);
    }
}
