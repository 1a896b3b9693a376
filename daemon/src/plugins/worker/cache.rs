//! Compiled code on disk, so that a component is compiled once for this machine and version. The folder is
//! the owner's alone (0700), and the worker's jail lets it write there and nowhere else.
//!
//! An entry's name holds the BLAKE3 of the component, that of the engine's settings (version, target and
//! features of the processor), and that of the entry's own bytes: what was cut short or changed on the
//! disk does not fit its name, and is compiled again.
#![allow(unsafe_code)]

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use wasmtime::Engine;
use wasmtime::component::Component;

const ENDING: &str = ".cwasm";
/// Entries and bytes that are kept; the oldest go first.
const ENTRIES: usize = 64;
const BYTES: u64 = 1 << 30;

pub struct Cache {
    folder: PathBuf,
    /// Of the engine, in hex: other settings or another processor make other code.
    engine: String,
}

impl Cache {
    pub fn new(folder: PathBuf, engine: &Engine) -> Cache {
        let mut hash = Digest(blake3::Hasher::new());
        engine.precompile_compatibility_hash().hash(&mut hash);
        Cache { folder, engine: hash.0.finalize().to_hex()[..16].to_owned() }
    }

    /// The compiled component, if it is there and whole.
    pub fn get(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let begin = format!("{digest}-{}-", self.engine);
        for entry in fs::read_dir(&self.folder).ok()?.flatten() {
            let name = entry.file_name();
            let Some(own) = name.to_str().and_then(|name| name.strip_prefix(&begin)) else { continue };
            match load(engine, &entry.path(), own.trim_end_matches(ENDING)) {
                Ok(component) => return Some(component),
                Err(error) => {
                    eprintln!("worker: compiled code of {digest} is thrown away: {error}");
                    // What stays is tried again, and found out again.
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
        None
    }

    /// Keeps compiled code. It is there whole, or not at all.
    ///
    /// # Errors
    /// What the file system says.
    pub fn put(&self, digest: &str, code: &[u8]) -> io::Result<()> {
        let name = format!("{digest}-{}-{}{ENDING}", self.engine, blake3::hash(code).to_hex());
        let draft = self.folder.join(format!("{digest}-{}.draft", std::process::id()));
        let written = fs::File::create(&draft).and_then(|mut file| {
            file.write_all(code)?;
            file.sync_all()
        });
        let written = written.and_then(|()| fs::rename(&draft, self.folder.join(&name)));
        if written.is_err() {
            let _ = fs::remove_file(&draft);
        }
        written?;
        self.evict(&name)
    }

    /// Removes the oldest entries beyond the bounds, but never `newest`.
    fn evict(&self, newest: &str) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.folder)?.flatten() {
            if let Ok(about) = entry.metadata() {
                let written = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                entries.push((entry.file_name() == newest, written, about.len(), entry.path()));
            }
        }
        entries.sort_by(|a, b| b.cmp(a));
        let mut bytes = 0;
        for (kept, (new, _, length, path)) in entries.into_iter().enumerate() {
            bytes += length;
            if !new && (kept >= ENTRIES || bytes > BYTES) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

fn load(engine: &Engine, path: &Path, own: &str) -> Result<Component, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    if blake3::hash(&bytes).to_hex().as_str() != own {
        return Err("it was damaged on the disk".into());
    }
    // SAFETY: native code is trusted as it lies there. Nothing but `put` above, in this worker or one
    // before it, writes in this folder: it is the owner's alone, and no other process of Familiar's has
    // it in its jail. The digest has just been compared, so it is what `serialize` gave; and wasmtime
    // itself refuses code of another version or for another processor. Nobody changes it while it is
    // mapped: entries are only ever replaced by renaming, and removed by unlinking.
    unsafe { Component::deserialize_file(engine, path) }.map_err(|error| error.to_string())
}

/// BLAKE3 of whatever can be hashed.
struct Digest(blake3::Hasher);

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0.finalize().as_bytes()[..8]);
        u64::from_le_bytes(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_code_is_thrown_away_and_the_oldest_goes_first() {
        let engine = Engine::default();
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned(), &engine);
        let code = engine.precompile_component(b"(component)").unwrap_or_else(|_| {
            engine.precompile_component(&wat::parse_str("(component)").unwrap()).unwrap()
        });
        assert!(cache.get(&engine, "aa").is_none());
        cache.put("aa", &code).unwrap();
        assert!(cache.get(&engine, "aa").is_some());
        assert!(cache.get(&engine, "bb").is_none());

        let file = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        for at in [0, code.len() / 2, code.len() - 1] {
            let mut damaged = code.clone();
            damaged[at] ^= 1;
            fs::write(&file, &damaged).unwrap();
            assert!(cache.get(&engine, "aa").is_none(), "one changed bit at {at}");
            assert!(!file.exists());
        }
        fs::write(&file, &code[..code.len() - 1]).unwrap();
        assert!(cache.get(&engine, "aa").is_none());

        for n in 0..ENTRIES + 5 {
            cache.put(&format!("{n:02}"), &code).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), ENTRIES);
        assert!(cache.get(&engine, &format!("{:02}", ENTRIES + 4)).is_some());
    }
}
