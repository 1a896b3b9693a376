//! Adapters of others, as they are kept here: each a file among the adapters with a record beside it that says who signed
//! it, for which model, and how much it counts. What serves is one file, so that those of a model and the personal
//! adapter are merged into one, which is made when either changes and is destroyed when nothing needs it.

use super::manifest::{Signed, check};
use super::{SharingError, check_name, failed};
use crate::disk;
use crate::keys::Author;
use crate::learn::adapters::{self, Base};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// How much one counts unless told otherwise, and at most.
pub const SCALE: f32 = 0.5;
pub const MOST: f32 = 2.0;

const RECORD: &str = ".shared.toml";
const STACKED: &str = ".stacked-";
/// No record is longer than this many bytes.
const LONGEST: usize = 1 << 16;

/// An adapter of somebody else's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is called here.
    #[serde(skip)]
    pub name: String,
    pub author: Author,
    /// The model that it belongs to: its name at its author's, and the BLAKE3 of its file.
    pub model: String,
    pub base: String,
    /// BLAKE3 of the adapter's file.
    pub digest: String,
    pub scale: f32,
    /// Seconds since 1970.
    pub taken: i64,
}

/// The adapter of the generation that serves.
pub struct Personal<'a> {
    /// As answers name it.
    pub name: String,
    pub path: &'a Path,
    /// BLAKE3 of the file.
    pub digest: &'a str,
}

/// The folder of adapters, as far as they are others'. Cheap to clone; it keeps nothing in memory.
#[derive(Debug, Clone)]
pub struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    /// `folder` need not be there.
    pub fn new(folder: PathBuf) -> Shelf {
        Shelf { folder }
    }

    /// Whether none is here.
    pub fn is_empty(&self) -> bool {
        let found = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        !found.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with(RECORD))
    }

    /// All of them, by name.
    pub fn list(&self) -> Result<Vec<Entry>, SharingError> {
        let listed = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed.map_err(failed(&self.folder))?,
        };
        let mut entries = Vec::new();
        for found in listed {
            let file = found.map_err(failed(&self.folder))?.file_name();
            if let Some(name) =
                file.to_string_lossy().strip_suffix(RECORD).filter(|name| check_name(name).is_ok())
            {
                entries.push(self.entry(name)?);
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Those that belong to this model's file.
    pub fn of(&self, base: &str) -> Result<Vec<Entry>, SharingError> {
        Ok(self.list()?.into_iter().filter(|entry| entry.base == base).collect())
    }

    /// Whether something of this author's is here.
    pub fn knows(&self, author: &Author) -> Result<bool, SharingError> {
        Ok(self.list()?.iter().any(|entry| entry.author == *author))
    }

    /// Takes in what was read and shown, for the model that answers here.
    pub fn take(
        &self,
        signed: &Signed,
        base: &Base<'_>,
        name: &str,
        scale: f32,
    ) -> Result<Entry, SharingError> {
        self.fits(signed, base, name)?;
        if !(scale > 0.0 && scale <= MOST) {
            return Err(SharingError::Scale(scale));
        }
        disk::make_folder(&self.folder).map_err(failed(&self.folder))?;
        let (new, file) = (self.folder.join(format!(".{name}.{}", disk::UNFINISHED)), self.file(name));
        let digest = signed.adapter_digest();
        let taken = copy(&signed.adapter(), &new, digest)
            .and_then(|()| Ok(adapters::check(&new, base)?))
            .and_then(|()| fs::rename(&new, &file).map_err(failed(&file)));
        if taken.is_err() {
            // What is left of it is of no use; the first error is the one to tell.
            let _ = fs::remove_file(&new);
        }
        taken?;
        let entry = Entry {
            name: name.into(),
            author: signed.author,
            model: signed.manifest.base.name.clone(),
            base: base.digest.into(),
            digest: digest.into(),
            scale,
            taken: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64),
        };
        let record = self.record(name);
        let text = toml::to_string(&entry).map_err(|error| failed(&record)(io::Error::other(error)))?;
        disk::replace(&record, text.as_bytes()).map_err(failed(&record))?;
        Ok(entry)
    }

    /// Whether it could be taken in under this name, on this model.
    pub fn fits(&self, signed: &Signed, base: &Base<'_>, name: &str) -> Result<(), SharingError> {
        check_name(name)?;
        if self.file(name).exists() || self.record(name).exists() {
            return Err(SharingError::Taken(name.into()));
        }
        let made_on = &signed.manifest.base;
        if made_on.digest != base.digest {
            return Err(SharingError::OtherBase {
                name: name.into(),
                model: made_on.name.clone(),
                wants: made_on.digest.clone(),
                here: base.name.into(),
                has: base.digest.into(),
            });
        }
        Ok(())
    }

    /// Takes one away again, however damaged its record is.
    pub fn remove(&self, name: &str) -> Result<(), SharingError> {
        check_name(name)?;
        let (record, file) = (self.record(name), self.file(name));
        match fs::remove_file(&record) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SharingError::NotFound(name.into())),
            Err(error) => Err(failed(&record)(error)),
            // First out of use, then gone.
            Ok(()) => gone(fs::remove_file(&file)).map_err(failed(&file)),
        }
    }

    /// What answers are named after, when these are stacked on what is called `personal`.
    pub fn stacked_name(personal: Option<&str>, entries: &[Entry]) -> String {
        let names = personal.into_iter().chain(entries.iter().map(|entry| entry.name.as_str()));
        names.collect::<Vec<_>>().join(" + ")
    }

    /// The personal adapter and those of others, as one file. `entries` are not empty and of one model.
    pub fn stack(&self, personal: Option<&Personal<'_>>, entries: &[Entry]) -> Result<PathBuf, SharingError> {
        let mut digest = blake3::Hasher::new();
        let own = personal.map(|personal| (personal.digest, 1.0));
        for (part, scale) in
            own.into_iter().chain(entries.iter().map(|entry| (entry.digest.as_str(), entry.scale)))
        {
            digest.update(part.as_bytes()).update(&scale.to_le_bytes());
        }
        let digest = digest.finalize().to_hex();
        let folder = self.folder.join(format!("{STACKED}{}", &digest[..16]));
        let name = Shelf::stacked_name(personal.map(|personal| personal.name.as_str()), entries);
        // A file's name has room for 255 bytes.
        let name: String = name.chars().take(200).collect();
        let file = folder.join(format!("{name}.gguf"));
        if file.is_file() {
            return Ok(file);
        }
        let others: Vec<(PathBuf, f32)> =
            entries.iter().map(|entry| (self.file(&entry.name), entry.scale)).collect();
        for (entry, (path, _)) in entries.iter().zip(&others) {
            check(path, &entry.digest)?;
        }
        let parts: Vec<(&Path, f32)> = personal
            .map(|personal| (personal.path, 1.0))
            .into_iter()
            .chain(others.iter().map(|(path, scale)| (path.as_path(), *scale)))
            .collect();
        disk::make_folder(&folder).map_err(failed(&folder))?;
        adapters::merge(&parts, &file)?;
        Ok(file)
    }

    /// Destroys every stack but these.
    pub fn sweep(&self, kept: &[&Path]) -> Result<(), SharingError> {
        for found in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let path = found.path();
            let stack = found.file_name().to_string_lossy().starts_with(STACKED);
            if stack && !kept.iter().any(|kept| kept.starts_with(&path)) {
                gone(fs::remove_dir_all(&path)).map_err(failed(&path))?;
            }
        }
        Ok(())
    }

    fn entry(&self, name: &str) -> Result<Entry, SharingError> {
        let file = self.record(name);
        let damaged = |what: String| SharingError::Record { file: file.clone(), name: name.into(), what };
        let bytes = disk::read(&file, LONGEST).map_err(failed(&file))?;
        let text = String::from_utf8(bytes).map_err(|_| damaged("it is not UTF-8".into()))?;
        let read: Entry =
            toml::from_str(&text).map_err(|error| damaged(error.message().replace('\n', ", ")))?;
        if !(read.scale > 0.0 && read.scale <= MOST) {
            return Err(damaged(SharingError::Scale(read.scale).to_string()));
        }
        Ok(Entry { name: name.into(), ..read })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.gguf"))
    }

    fn record(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}{RECORD}"))
    }
}

/// Copies a file, and refuses what is not of this digest: what counts is what was copied.
fn copy(from: &Path, to: &Path, wants: &str) -> Result<(), SharingError> {
    let mut input = File::open(from).map_err(failed(from))?;
    let options = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to);
    let mut output = options.map_err(failed(to))?;
    let (mut hasher, mut buffer) = (blake3::Hasher::new(), vec![0; 1 << 18]);
    loop {
        let read = input.read(&mut buffer).map_err(failed(from))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        output.write_all(&buffer[..read]).map_err(failed(to))?;
    }
    output.sync_all().map_err(failed(to))?;
    let has = hasher.finalize().to_hex().to_string();
    match has == wants {
        true => Ok(()),
        false => Err(SharingError::Changed { file: from.to_owned(), wants: wants.into(), has }),
    }
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
