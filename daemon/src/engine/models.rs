//! The models on disk: a folder of GGUF files, each with a small record of its hash beside it, and
//! the embedded model, written there when it is first needed. Pure Rust in the broker: headers are
//! read, weights are only copied and hashed, and no model is ever loaded here.

use crate::protocol::http::ModelEntry;
use familiar_gguf::{GgufError, Header};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// Name of the model inside the binary.
pub const EMBEDDED: &str = "ember";

/// Its file. Only its length and a few samples are looked at while the copy on disk is right, so
/// that an idle broker does not hold its pages.
static EMBER: &[u8] = include_bytes!("../../models/ember/ember.gguf");

/// Why the models folder could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    #[error("there is no model `{name}`; `familiar model list` shows those that are here")]
    NotFound { name: String },
    #[error("the file `{path}` cannot be used as a model: {why}")]
    Unusable { path: String, why: GgufError },
    #[error(
        "`{0}` is no name for a model: use 1 to 64 of the letters a-z A-Z, digits, `.`, `_` and `-`, not beginning with `.`"
    )]
    BadName(String),
    #[error(
        "a model `{name}` is here already; remove it first (`familiar model remove {name}`) or import under another name"
    )]
    Exists { name: String },
    #[error("`{name}` is in use; choose another with `familiar model use NAME` first")]
    InUse { name: String },
    #[error("`{EMBEDDED}` is the model inside the program: it cannot be replaced or removed")]
    Embedded,
    #[error("no space left for the model: it needs {needs} bytes in {folder}")]
    DiskFull { needs: u64, folder: String },
    #[error("{what} `{path}`: {error}")]
    Io { what: &'static str, path: String, error: io::Error },
}

/// The models folder; cheap to clone. Every method blocks on the disk.
#[derive(Debug, Clone)]
pub struct Models {
    folder: PathBuf,
    /// Held while a file is written: the temporary name of each is one.
    writing: Arc<Mutex<()>>,
}

/// What stands beside a model as `NAME.json`: its hash, for as long as size and time of the file agree.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    size: u64,
    mtime_ns: i64,
    /// BLAKE3 in hex.
    hash: String,
}

impl Models {
    /// `folder` is made when something is first written to it.
    pub fn new(folder: impl Into<PathBuf>) -> Models {
        Models { folder: folder.into(), writing: Arc::default() }
    }

    /// All models by name, the embedded one among them. `in_use` is the name in the settings.
    /// A file that cannot be used is left out: `info` says why.
    pub fn list(&self, in_use: &str) -> Result<Vec<ModelEntry>, ModelsError> {
        self.ensure_embedded()?;
        let mut entries = Vec::new();
        let folder = fs::read_dir(&self.folder).map_err(|e| io_error("cannot read", &self.folder, e))?;
        for file in folder {
            let path = file.map_err(|e| io_error("cannot read", &self.folder, e))?.path();
            if path.extension().is_some_and(|extension| extension == "gguf")
                && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
                && check_name(name).is_ok()
                && let Ok(entry) = self.info(name, in_use)
            {
                entries.push(entry);
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// One model. The first look at a file that was put here by hand reads all of it, for its hash.
    pub fn info(&self, name: &str, in_use: &str) -> Result<ModelEntry, ModelsError> {
        let path = self.path(name)?;
        let header = usable(&path)?;
        let size_bytes = fs::metadata(&path).map_err(|e| io_error("cannot read", &path, e))?.len();
        Ok(ModelEntry {
            name: name.into(),
            size_bytes,
            architecture: header.architecture().into(),
            parameters: header.parameters,
            quantization: header.quantization.into(),
            train_context: header.train_context(),
            hash: self.hash(name, &path)?,
            in_use: name == in_use,
            embedded: name == EMBEDDED,
            path: path.to_string_lossy().into_owned(),
        })
    }

    /// Where a model's file is; the embedded one is written first where it is not.
    pub fn path(&self, name: &str) -> Result<PathBuf, ModelsError> {
        check_name(name)?;
        if name == EMBEDDED {
            self.ensure_embedded()?;
        }
        let path = self.file(name);
        match fs::metadata(&path) {
            Ok(found) if found.is_file() => Ok(path),
            Ok(_) => Err(ModelsError::NotFound { name: name.into() }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(ModelsError::NotFound { name: name.into() }),
            Err(e) => Err(io_error("cannot read", &path, e)),
        }
    }

    /// Copies a GGUF file into the folder, as `name` or under its own name, after checking that it can
    /// be used. `progress` takes bytes done and bytes in all.
    pub fn import(
        &self,
        from: &Path,
        name: Option<&str>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<ModelEntry, ModelsError> {
        let name = match name {
            Some(name) => name.strip_suffix(".gguf").unwrap_or(name).to_owned(),
            None => from.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default(),
        };
        check_name(&name)?;
        if name == EMBEDDED {
            return Err(ModelsError::Embedded);
        }
        let to = self.file(&name);
        // A pipe or a device would never end.
        let found = fs::metadata(from).map_err(|e| io_error("cannot read", from, e))?;
        if !found.is_file() {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
            return Err(io_error("cannot import", from, error));
        }
        usable(from)?;
        self.make_folder()?;
        let writing = self.lock();
        if to.exists() {
            return Err(ModelsError::Exists { name });
        }
        let size = found.len();
        progress(0, size);
        let temporary = Temporary::beside(&to);
        // One call, so that file systems that can share blocks do.
        fs::copy(from, &temporary.path).map_err(|e| self.write_error(&temporary.path, size, e))?;
        // The copy may have lost to a writer of the original: what counts is what lies here.
        usable(&temporary.path)?;
        let hash = hash_file(&temporary.path, &mut |done| progress(done, size))?;
        temporary.finish(&to).map_err(|e| self.write_error(&to, size, e))?;
        self.write_record(&name, &to, hash)?;
        drop(writing);
        self.info(&name, "")
    }

    /// Removes a model that is neither embedded nor in use.
    pub fn remove(&self, name: &str, in_use: &str) -> Result<(), ModelsError> {
        check_name(name)?;
        if name == EMBEDDED {
            return Err(ModelsError::Embedded);
        }
        let path = self.path(name)?;
        if name == in_use {
            return Err(ModelsError::InUse { name: name.into() });
        }
        fs::remove_file(&path).map_err(|e| io_error("cannot remove", &path, e))?;
        // The record is derived; one that stays behind is replaced with the next model of the name.
        let _ = fs::remove_file(self.record_file(name));
        Ok(())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.gguf"))
    }

    fn record_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn make_folder(&self) -> Result<(), ModelsError> {
        fs::create_dir_all(&self.folder).map_err(|e| io_error("cannot make the folder", &self.folder, e))
    }

    fn hash(&self, name: &str, path: &Path) -> Result<String, ModelsError> {
        let found = fs::metadata(path).map_err(|e| io_error("cannot read", path, e))?;
        let record = fs::read(self.record_file(name)).ok();
        if let Some(record) = record.and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok())
            && (record.size, record.mtime_ns) == (found.len(), mtime_ns(&found))
        {
            return Ok(record.hash);
        }
        let hash = hash_file(path, &mut |_| {})?;
        let _writing = self.lock();
        self.write_record(name, path, hash.clone())?;
        Ok(hash)
    }

    fn write_record(&self, name: &str, path: &Path, hash: String) -> Result<(), ModelsError> {
        let found = fs::metadata(path).map_err(|e| io_error("cannot read", path, e))?;
        let record = Record { size: found.len(), mtime_ns: mtime_ns(&found), hash };
        let to = self.record_file(name);
        let temporary = Temporary::beside(&to);
        let bytes = serde_json::to_vec(&record).unwrap_or_default();
        fs::write(&temporary.path, &bytes).map_err(|e| self.write_error(&to, bytes.len() as u64, e))?;
        temporary.finish(&to).map_err(|e| self.write_error(&to, bytes.len() as u64, e))
    }

    fn write_error(&self, path: &Path, needs: u64, error: io::Error) -> ModelsError {
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return ModelsError::DiskFull { needs, folder: self.folder.to_string_lossy().into_owned() };
        }
        io_error("cannot write", path, error)
    }

    /// Writes the embedded model out, unless the file on disk is this version of it.
    fn ensure_embedded(&self) -> Result<(), ModelsError> {
        let path = self.file(EMBEDDED);
        let right = || File::open(&path).is_ok_and(|file| is_embedded(&file));
        if right() {
            return Ok(());
        }
        let _writing = self.lock();
        if right() {
            return Ok(());
        }
        self.make_folder()?;
        let needs = EMBER.len() as u64;
        let temporary = Temporary::beside(&path);
        write_embedded(&temporary.path).map_err(|e| self.write_error(&path, needs, e))?;
        temporary.finish(&path).map_err(|e| self.write_error(&path, needs, e))
    }
}

/// Length, head, tail and samples in between agree: two versions of the weights differ everywhere.
fn is_embedded(file: &File) -> bool {
    const SAMPLES: usize = 16;
    const LENGTH: usize = 64;
    if file.metadata().is_ok_and(|found| found.len() != EMBER.len() as u64) {
        return false;
    }
    (0..=SAMPLES).all(|sample| {
        let at = EMBER.len().saturating_sub(LENGTH) * sample / SAMPLES;
        let want = &EMBER[at..(at + LENGTH).min(EMBER.len())];
        let mut have = [0; LENGTH];
        file.read_exact_at(&mut have[..want.len()], at as u64).is_ok() && have[..want.len()] == *want
    })
}

/// Copies the model out of the program's file: reading it from memory would make all of it resident.
fn write_embedded(to: &Path) -> io::Result<()> {
    let mut out = File::create(to)?;
    let copied =
        embedded_in_program().is_some_and(|(program, offset)| copy_range(&program, offset, &mut out).is_ok());
    if copied && is_embedded(&File::open(to)?) {
        return Ok(());
    }
    fs::write(to, EMBER)
}

fn copy_range(from: &File, offset: u64, to: &mut File) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 18];
    let mut done = 0;
    while done < EMBER.len() {
        let part = buffer.len().min(EMBER.len() - done);
        from.read_exact_at(&mut buffer[..part], offset + done as u64)?;
        to.write_all(&buffer[..part])?;
        done += part;
    }
    Ok(())
}

/// The program's file and where in it the model lies, by the kernel's list of mappings.
fn embedded_in_program() -> Option<(File, u64)> {
    let address = EMBER.as_ptr() as u64;
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let offset = maps.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let (start, end) = (u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
        let offset = u64::from_str_radix(words.nth(1)?, 16).ok()?;
        (start..end).contains(&address).then(|| offset + (address - start))
    })?;
    Some((File::open("/proc/self/exe").ok()?, offset))
}

/// A file that becomes another when it is whole, and goes away when it does not.
struct Temporary {
    path: PathBuf,
}

impl Temporary {
    fn beside(path: &Path) -> Temporary {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // One fixed name: what a killed process left is overwritten, not collected.
        let path = path.with_file_name(format!(".{name}.part"));
        Temporary { path }
    }

    fn finish(self, to: &Path) -> io::Result<()> {
        File::open(&self.path)?.sync_all()?;
        fs::rename(&self.path, to)?;
        match to.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is nothing to remove.
        let _ = fs::remove_file(&self.path);
    }
}

/// A name that is one plain file name and nothing to a shell.
fn check_name(name: &str) -> Result<(), ModelsError> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if plain && (1..=64).contains(&name.len()) && !name.starts_with(['.', '-']) {
        return Ok(());
    }
    Err(ModelsError::BadName(name.chars().take(80).flat_map(char::escape_debug).collect()))
}

fn usable(path: &Path) -> Result<Header, ModelsError> {
    let header = Header::open(path).and_then(|header| header.check().map(|()| header));
    header.map_err(|why| ModelsError::Unusable { path: path.to_string_lossy().into_owned(), why })
}

fn hash_file(path: &Path, progress: &mut dyn FnMut(u64)) -> Result<String, ModelsError> {
    let failed = |e| io_error("cannot read", path, e);
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 18];
    let mut done = 0;
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            return Ok(hasher.finalize().to_hex().to_string());
        }
        hasher.update(&buffer[..read]);
        done += read as u64;
        progress(done);
    }
}

fn mtime_ns(found: &fs::Metadata) -> i64 {
    found.mtime().wrapping_mul(1_000_000_000).wrapping_add(found.mtime_nsec())
}

fn io_error(what: &'static str, path: &Path, error: io::Error) -> ModelsError {
    ModelsError::Io { what, path: path.to_string_lossy().into_owned(), error }
}

#[cfg(test)]
#[path = "models_tests.rs"]
mod tests;
