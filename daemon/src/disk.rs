//! Files of the broker: replaced as a whole by write, fsync and rename, 0600 in folders 0700, and read up to a
//! size. Plain file access, shared by the rooms that keep files; it knows nothing of what is in them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The end of a file's name while it is written. What is left of one is nobody's.
pub const UNFINISHED: &str = "new";

/// The file holds `bytes`, or what it held before.
pub fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(UNFINISHED);
    let new = folder.join(name);
    let written = write(&new, bytes).and_then(|()| fs::rename(&new, file));
    if let Err(error) = written {
        // The error of the write is the one to tell; a leftover is swept later.
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    sync(folder)
}

fn write(new: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(new)?;
    out.write_all(bytes)?;
    out.sync_all()
}

pub fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    folder.parent().map_or(Ok(()), sync)
}

/// Names that came into a folder, or left it, are on the disk.
pub fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// All of a regular file, which may have `most` bytes.
pub fn read(file: &Path, most: usize) -> io::Result<Vec<u8>> {
    let found = fs::metadata(file)?;
    // Reading a FIFO or a device may never end.
    if !found.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(found.len()).unwrap_or(0).min(most) + 1);
    File::open(file)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return Err(io::Error::other(format!("it is longer than {most} bytes")));
    }
    Ok(bytes)
}

/// By what a change of a file is seen without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A change within this time after another may leave the same stamp.
const TICK: Duration = Duration::from_millis(100);

/// The file's stamp. `None`: the file changed a moment ago, and its stamp cannot be trusted yet.
pub fn stamp(file: &Path) -> io::Result<Option<Stamp>> {
    let found = fs::metadata(file)?;
    let changed = u64::try_from(found.ctime()).unwrap_or(0);
    let changed = UNIX_EPOCH + Duration::new(changed, found.ctime_nsec().clamp(0, 999_999_999) as u32);
    let settled = SystemTime::now().duration_since(changed).is_ok_and(|age| age > TICK);
    Ok(settled.then(|| Stamp {
        device: found.dev(),
        inode: found.ino(),
        size: found.size(),
        modified: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
    }))
}
