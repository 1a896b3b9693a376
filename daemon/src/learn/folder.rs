//! A job's folder: `spec.toml`, `data.jsonl`, `checkpoint`, `log.jsonl`, and at the end `adapter.gguf`.
//! Files are replaced as a whole or stay as they were, and one process at a time works on a folder.

use crate::protocol::frames::Step;
use serde::Deserialize;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The first bytes of a checkpoint; the number grows with the format.
const MAGIC: &[u8; 20] = b"familiar checkpoint1";
/// Digests of what the checkpoint belongs to, and of what it holds.
const HEAD: u64 = MAGIC.len() as u64 + 32 + 32;

const LOCK: &str = "lock";
/// The adapter that a job begins with, if its spec names one.
pub const START: &str = "start.gguf";

/// No line of the log is longer than this many bytes.
const LONGEST_LINE: u64 = 1 << 16;

/// Why a folder cannot be worked on.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("another process trains in {}; wait for it, or stop it", .0.display())]
    Locked(PathBuf),
    #[error("{what} {}: {error}", .file.display())]
    Io { what: &'static str, file: PathBuf, error: io::Error },
    #[error(
        "the disk is full: {} could not be written; what was there before stays",
        .0.display()
    )]
    DiskFull(PathBuf),
    #[error(
        "{} is of another job: the spec, the data or the base model has changed since; put them back, or remove it to begin anew",
        .0.display()
    )]
    OtherJob(PathBuf),
    #[error("{} is damaged; remove it to begin anew", .0.display())]
    Damaged(PathBuf),
}

/// Resolves when no process works on the folder; at once when there is no such folder.
pub async fn released(folder: &Path) {
    let lock = folder.join(LOCK);
    let wait = tokio::task::spawn_blocking(move || {
        // No lock file: nobody holds it. One that cannot be locked tells whoever uses the folder next.
        if let Ok(file) = File::open(lock) {
            let _ = file.lock();
        }
    });
    let _ = wait.await;
}

/// The folder of one job, held by this process alone.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

/// Opens a regular file: one that is a pipe or a device might never end, or never begin.
pub fn regular(file: &Path) -> io::Result<File> {
    match fs::metadata(file)?.is_file() {
        true => File::open(file),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

impl Folder {
    /// Takes the folder. The kernel gives it back when the process ends, however it does.
    pub fn take(path: &Path) -> Result<Folder, FolderError> {
        let file = path.join(LOCK);
        let failed = |error| FolderError::Io { what: "cannot use", file: file.clone(), error };
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&file);
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(FolderError::Locked(path.to_owned())),
            Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
        let folder = Folder { path: path.to_owned(), _lock: lock };
        folder.sweep();
        Ok(folder)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
    pub fn data(&self) -> PathBuf {
        self.path.join("data.jsonl")
    }
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint")
    }
    pub fn log(&self) -> PathBuf {
        self.path.join("log.jsonl")
    }
    pub fn start(&self) -> PathBuf {
        self.path.join(START)
    }
    pub fn adapter(&self) -> PathBuf {
        self.path.join("adapter.gguf")
    }

    /// Removes what killed processes left half written.
    fn sweep(&self) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name == "checkpoint.new" || (name.starts_with(".adapter.gguf.") && name.ends_with(".new")) {
                // It is in nobody's way; only its room is wanted.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Replaces the checkpoint by what `write` writes. `job` is what it belongs to.
    pub fn save(
        &self,
        job: &[u8; 32],
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), FolderError> {
        let (file, new) = (self.checkpoint(), self.path.join("checkpoint.new"));
        let saved = write_new(&new, job, write).and_then(|()| {
            fs::rename(&new, &file)?;
            File::open(&self.path)?.sync_all()
        });
        saved.map_err(|error| {
            // Its room is what others may need now.
            let _ = fs::remove_file(&new);
            written(file, error)
        })
    }

    /// What the checkpoint of this job holds; `None` when there is none yet.
    pub fn restore(&self, job: &[u8; 32]) -> Result<Option<Vec<u8>>, FolderError> {
        let file = self.checkpoint();
        let failed = |error| FolderError::Io { what: "cannot read", file: file.clone(), error };
        let mut from = match regular(&file) {
            Ok(from) => from,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let damaged = || FolderError::Damaged(file.clone());
        let mut head = [0; HEAD as usize];
        from.read_exact(&mut head).map_err(|_| damaged())?;
        let (magic, digests) = head.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(damaged());
        }
        if digests[..32] != *job {
            return Err(FolderError::OtherJob(file));
        }
        let mut state = Vec::new();
        from.read_to_end(&mut state).map_err(failed)?;
        match blake3::hash(&state).as_bytes() == &digests[32..] {
            true => Ok(Some(state)),
            false => Err(damaged()),
        }
    }

    /// Opens the log after the line of `step`: what was logged after the checkpoint is done again.
    pub fn log_after(&self, step: u64) -> Result<Log, FolderError> {
        let file = self.log();
        let failed = |error| FolderError::Io { what: "cannot write", file: file.clone(), error };
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&file);
        let out = options.map_err(failed)?;
        let (end, last) = kept(BufReader::new(&out), step).map_err(failed)?;
        out.set_len(end).map_err(failed)?;
        Ok(Log { out, file, end, last, pending: Vec::new() })
    }
}

/// How an error of writing is told.
pub fn written(file: PathBuf, error: io::Error) -> FolderError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FolderError::DiskFull(file),
        _ => FolderError::Io { what: "cannot write", file, error },
    }
}

fn write_new(
    file: &Path,
    job: &[u8; 32],
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    let mut out = Hashed { out: BufWriter::with_capacity(1 << 20, out), hasher: blake3::Hasher::new() };
    out.out.write_all(MAGIC)?;
    out.out.write_all(job)?;
    // The digest of what follows is known only when it is written.
    out.out.write_all(&[0; 32])?;
    write(&mut out)?;
    let digest = *out.hasher.finalize().as_bytes();
    let file = out.out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.write_all_at(&digest, HEAD - 32)?;
    file.sync_all()
}

/// Hashes what goes through it.
struct Hashed<W> {
    out: W,
    hasher: blake3::Hasher,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What of a line of the log is read again.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Logged {
    pub step: u64,
    /// `None` when it was not a finite number, which JSON has no word for.
    pub loss: Option<f32>,
}

/// Bytes of the log's whole lines up to `step`, and the last of them.
fn kept(mut log: impl BufRead, step: u64) -> io::Result<(u64, Option<Logged>)> {
    let (mut keep, mut last, mut line) = (0, None, Vec::new());
    loop {
        line.clear();
        let read = log.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        let known = serde_json::from_slice::<Logged>(&line).ok().filter(|line| line.step <= step);
        match known.filter(|_| line.ends_with(b"\n")) {
            Some(known) => last = Some(known),
            None => return Ok((keep, last)),
        }
        keep += read as u64;
    }
}

/// One line of JSON for each step.
#[derive(Debug)]
pub struct Log {
    out: File,
    file: PathBuf,
    /// Where the whole lines end.
    end: u64,
    /// The line that it went on after.
    last: Option<Logged>,
    /// Lines that could not be written yet.
    pending: Vec<u8>,
}

impl Log {
    /// What was logged last, before this process.
    pub fn last(&self) -> Option<Logged> {
        self.last
    }

    /// Adds a line. It is in the kernel's hands when this returns, and survives the process. One that
    /// could not be written is tried again with the next.
    pub fn add(&mut self, step: &Step) -> Result<(), FolderError> {
        serde_json::to_writer(&mut self.pending, step).expect("a step holds only what JSON has");
        self.pending.push(b'\n');
        match self.out.write_all_at(&self.pending, self.end) {
            Ok(()) => {
                self.end += self.pending.len() as u64;
                self.pending.clear();
                Ok(())
            }
            Err(error) => {
                // Half a line is worse than none; a disk that refuses this as well is told of below.
                let _ = self.out.set_len(self.end);
                Err(written(self.file.clone(), error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: [u8; 32] = [7; 32];

    fn place() -> (tempfile::TempDir, Folder) {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::take(place.path()).unwrap();
        (place, folder)
    }

    fn save(folder: &Folder, state: &[u8]) {
        folder.save(&JOB, |out| out.write_all(state)).unwrap();
    }

    #[test]
    fn one_process_at_a_time() {
        let (place, folder) = place();
        assert!(matches!(Folder::take(place.path()), Err(FolderError::Locked(_))));
        drop(folder);
        Folder::take(place.path()).unwrap();
    }

    #[test]
    fn a_checkpoint_comes_back_whole_and_only_to_its_job() {
        let (_place, folder) = place();
        assert_eq!(folder.restore(&JOB).unwrap(), None);
        save(&folder, b"one");
        save(&folder, b"two");
        assert_eq!(folder.restore(&JOB).unwrap().unwrap(), b"two");
        let other = folder.restore(&[8; 32]).unwrap_err();
        assert!(matches!(other, FolderError::OtherJob(_)) && other.to_string().contains("has changed since"));
        let whole = fs::read(folder.checkpoint()).unwrap();
        for length in 0..whole.len() {
            fs::write(folder.checkpoint(), &whole[..length]).unwrap();
            assert!(folder.restore(&JOB).is_err(), "cut at {length}");
        }
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        fs::write(folder.checkpoint(), &flipped).unwrap();
        assert!(matches!(folder.restore(&JOB), Err(FolderError::Damaged(_))));
    }

    #[test]
    fn a_checkpoint_that_cannot_be_written_leaves_the_old_one_and_no_rest() {
        let (_place, folder) = place();
        save(&folder, b"old");
        let full = folder.save(&JOB, |out| {
            out.write_all(b"ne")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(matches!(full, Err(FolderError::DiskFull(_))));
        assert_eq!(folder.restore(&JOB).unwrap().unwrap(), b"old");
        assert!(!folder.checkpoint().with_extension("new").exists());
    }

    #[test]
    fn what_a_killed_process_left_is_swept() {
        let place = tempfile::tempdir().unwrap();
        for name in ["checkpoint.new", ".adapter.gguf.12.new", "notes.new"] {
            fs::write(place.path().join(name), "half").unwrap();
        }
        let _folder = Folder::take(place.path()).unwrap();
        assert!(place.path().join("notes.new").exists(), "it is not ours");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2, "the lock and the notes");
    }

    #[test]
    fn the_log_goes_on_after_the_step_of_the_checkpoint() {
        let (_place, folder) = place();
        let step = |step| Step { step, loss: 1.5, ..Step::default() };
        let mut log = folder.log_after(0).unwrap();
        (1..=5).for_each(|n| log.add(&step(n)).unwrap());
        let mut log = folder.log_after(3).unwrap();
        assert_eq!(log.last().map(|last| last.step), Some(3));
        log.add(&Step { step: 4, loss: 2.5, ..Step::default() }).unwrap();
        let text = fs::read_to_string(folder.log()).unwrap();
        let steps: Vec<Step> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(steps.iter().map(|s| s.step).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(steps[3].loss, 2.5);
        // A step that was skipped has no loss, and what follows it is kept all the same.
        let mut log = folder.log_after(4).unwrap();
        log.add(&Step { step: 5, loss: f32::NAN, ..Step::default() }).unwrap();
        log.add(&step(6)).unwrap();
        let mut log = folder.log_after(5).unwrap();
        assert_eq!(log.last(), Some(Logged { step: 5, loss: None }));
        log.add(&step(6)).unwrap();
        assert_eq!(folder.log_after(6).unwrap().last(), Some(Logged { step: 6, loss: Some(1.5) }));
        fs::write(folder.log(), "{\"step\":1,\"lo").unwrap();
        folder.log_after(9).unwrap();
        assert_eq!(fs::read(folder.log()).unwrap(), b"");
    }
}
