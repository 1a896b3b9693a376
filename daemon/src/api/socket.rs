//! The unix socket itself: where it lies, who may connect, and that there is one daemon to it.

use crate::config::paths::Paths;
use rustix::fs::FlockOperation;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

/// `sun_path` holds 108 bytes with the zero at the end.
const MAX_PATH: usize = 107;

/// Why the daemon cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("a daemon is already running at {}: `familiar stop` ends it", .0.display())]
    AlreadyRunning(PathBuf),
    #[error(
        "the socket's path {} is {} bytes long and the kernel allows {MAX_PATH}: set FAMILIAR_HOME or XDG_RUNTIME_DIR to a shorter folder",
        .0.display(), .0.as_os_str().len()
    )]
    PathTooLong(PathBuf),
    #[error("{} belongs to another user (uid {owner}): remove it, or set XDG_RUNTIME_DIR to a folder of your own", .path.display())]
    ForeignFolder { path: PathBuf, owner: u32 },
    #[error("{} may be entered by others (mode {mode:o}): run `chmod 700 {}`", .path.display(), .path.display())]
    OpenFolder { path: PathBuf, mode: u32 },
    #[error("{} is in the way and not a socket: move it away", .0.display())]
    InTheWay(PathBuf),
    #[error("cannot listen at {}: {source}", .path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

/// The listening socket, and the lock that keeps a second daemon away while this lives.
pub struct Bound {
    pub listener: UnixListener,
    _lock: File,
}

/// Listens at [`Paths::socket`]. What a killed daemon left there is removed; a living one is an error.
/// Must be called within a tokio runtime.
pub fn bind(paths: &Paths) -> Result<Bound, ApiError> {
    let path = paths.socket();
    if path.as_os_str().len() > MAX_PATH {
        return Err(ApiError::PathTooLong(path));
    }
    make_folder(&paths.runtime)?;
    let lock = lock(&path)?;
    remove_stale(&path)?;
    let io = |source| ApiError::Io { path: path.clone(), source };
    let listener = UnixListener::bind(&path).map_err(io)?;
    // The folder admits nobody else, so nobody can connect before this either.
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(io)?;
    Ok(Bound { listener, _lock: lock })
}

/// The user whose processes may connect: the daemon's own.
pub fn owner() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether a process of user `peer` may speak to a daemon of user `owner`. Root gets no special
/// treatment: whoever is root can become the owner, and then it is in the logs.
pub fn admits(owner: u32, peer: Option<u32>) -> bool {
    peer == Some(owner)
}

/// The user at the other end, from the kernel; `None` when the kernel does not say.
pub fn peer(stream: &UnixStream) -> Option<u32> {
    stream.peer_cred().ok().map(|credentials| credentials.uid())
}

fn make_folder(folder: &Path) -> Result<(), ApiError> {
    let io = |source| ApiError::Io { path: folder.into(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
    let found = std::fs::symlink_metadata(folder).map_err(io)?;
    if !found.is_dir() {
        return Err(ApiError::InTheWay(folder.into()));
    }
    if found.uid() != owner() {
        return Err(ApiError::ForeignFolder { path: folder.into(), owner: found.uid() });
    }
    if found.mode() & 0o077 != 0 {
        return Err(ApiError::OpenFolder { path: folder.into(), mode: found.mode() & 0o7777 });
    }
    Ok(())
}

/// Two daemons that start at once must not both take the socket for stale. The kernel drops the lock
/// with the process, however it ends.
fn lock(socket: &Path) -> Result<File, ApiError> {
    let path = socket.with_extension("lock");
    let io = |source| ApiError::Io { path: path.clone(), source };
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(io)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(ApiError::AlreadyRunning(socket.into())),
        Err(errno) => Err(io(errno.into())),
    }
}

fn remove_stale(path: &Path) -> Result<(), ApiError> {
    let io = |source| ApiError::Io { path: path.into(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(ApiError::InTheWay(path.into())),
        Ok(_) => {}
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(ApiError::AlreadyRunning(path.into()));
    }
    std::fs::remove_file(path).map_err(io)
}
