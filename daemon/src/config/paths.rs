//! Where things lie: XDG folders, or all of them under `FAMILIAR_HOME`. [`Paths::resolve`] only computes;
//! [`Paths::create`] makes the folders, private to the owner, and refuses one that somebody else made.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The longest path a unix socket can have, in bytes.
const SOCKET_PATH: usize = 107;

/// Why the folders cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PathsError {
    #[error(
        "neither HOME nor FAMILIAR_HOME names an absolute folder; set FAMILIAR_HOME to where Familiar may keep its data"
    )]
    NoHome,
    #[error("the socket's path {} is longer than {SOCKET_PATH} bytes, which the kernel refuses; use a shorter FAMILIAR_HOME or XDG_RUNTIME_DIR", .0.display())]
    TooLong(PathBuf),
    #[error("{} cannot be used: {error}", .folder.display())]
    Folder { folder: PathBuf, error: io::Error },
    #[error("{} belongs to another user (uid {uid}) and is not used; set XDG_RUNTIME_DIR or FAMILIAR_HOME to a folder of your own", .folder.display())]
    NotOurs { folder: PathBuf, uid: u32 },
}

/// Every folder and file the daemon uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// `config.toml`
    pub config_file: PathBuf,
    /// models, index, database
    pub data: PathBuf,
    /// logs
    pub state: PathBuf,
    /// the socket's folder, 0700
    pub runtime: PathBuf,
}

impl Paths {
    /// The paths that this process's environment asks for.
    pub fn from_env() -> Result<Paths, PathsError> {
        let uid = rustix::process::geteuid().as_raw();
        // A client started by cron has no XDG_RUNTIME_DIR, and must still find the session's daemon.
        let session = PathBuf::from(format!("/run/user/{uid}"));
        let session = Some(session).filter(|folder| owner(folder).is_ok_and(|owner| owner == uid));
        Paths::resolve_with(|name| std::env::var_os(name), session)
    }

    /// As [`Paths::from_env`], over any lookup and without a look at the disk.
    pub fn resolve(env: impl Fn(&str) -> Option<OsString>) -> Result<Paths, PathsError> {
        Paths::resolve_with(env, None)
    }

    fn resolve_with(
        env: impl Fn(&str) -> Option<OsString>,
        session: Option<PathBuf>,
    ) -> Result<Paths, PathsError> {
        let paths = match env("FAMILIAR_HOME").filter(|home| !home.is_empty()) {
            Some(home) => Paths::under(&absolute(Path::new(&home))?),
            None => Paths::xdg(env, session)?,
        };
        match paths.socket().as_os_str().as_bytes().len() {
            0..=SOCKET_PATH => Ok(paths),
            _ => Err(PathsError::TooLong(paths.socket())),
        }
    }

    /// Everything below one folder.
    pub fn under(home: &Path) -> Paths {
        Paths {
            config_file: home.join("config.toml"),
            data: home.join("data"),
            state: home.join("state"),
            runtime: home.join("run"),
        }
    }

    fn xdg(env: impl Fn(&str) -> Option<OsString>, session: Option<PathBuf>) -> Result<Paths, PathsError> {
        // The XDG specification: a relative path is invalid and is ignored.
        let folder = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = folder("HOME");
        let or_home = |name: &str, below: &str| {
            folder(name).or_else(|| Some(home.as_ref()?.join(below))).ok_or(PathsError::NoHome)
        };
        let state = or_home("XDG_STATE_HOME", ".local/state")?.join("familiar");
        let runtime = match folder("XDG_RUNTIME_DIR").or(session) {
            Some(runtime) => runtime.join("familiar"),
            // Not /tmp: there anybody could make the folder first and keep the owner out.
            None => state.join("run"),
        };
        Ok(Paths {
            config_file: or_home("XDG_CONFIG_HOME", ".config")?.join("familiar/config.toml"),
            data: or_home("XDG_DATA_HOME", ".local/share")?.join("familiar"),
            state,
            runtime,
        })
    }

    /// Makes the folders, mode 0700, and checks that they are the owner's.
    pub fn create(&self) -> Result<(), PathsError> {
        [&self.data, &self.state, &self.runtime].into_iter().try_for_each(|folder| private(folder))
    }

    /// Refuses a socket folder that somebody else made. An absent one is fine.
    pub fn check_runtime(&self) -> Result<(), PathsError> {
        match owner(&self.runtime) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(PathsError::Folder { folder: self.runtime.clone(), error })
            }
            Ok(uid) if uid != rustix::process::geteuid().as_raw() => {
                Err(PathsError::NotOurs { folder: self.runtime.clone(), uid })
            }
            _ => Ok(()),
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.runtime.join("familiar.sock")
    }
    pub fn models(&self) -> PathBuf {
        self.data.join("models")
    }
    pub fn adapters(&self) -> PathBuf {
        self.data.join("adapters")
    }
    /// Installed plugins, a folder each.
    pub fn plugins(&self) -> PathBuf {
        self.data.join("plugins")
    }
    /// Native code of plugins, as their worker compiled it; nothing else may write there.
    pub fn compiled(&self) -> PathBuf {
        self.data.join("compiled")
    }
    /// Credentials that are put into plugins' requests; 0600.
    pub fn secrets(&self) -> PathBuf {
        self.data.join("secrets.toml")
    }
    /// The key that signs the plugins that the owner writes; 0600.
    pub fn author_key(&self) -> PathBuf {
        self.config_file.with_file_name("author.key")
    }
    /// What was done and allowed, line after line; never rewritten.
    pub fn audit(&self) -> PathBuf {
        self.state.join("audit.jsonl")
    }
    /// What the owner's words made of the model, a folder for each generation.
    pub fn generations(&self) -> PathBuf {
        self.data.join("generations")
    }
    /// The cycle of learning under way, and what is told of earlier ones.
    pub fn nights(&self) -> PathBuf {
        self.data.join("nights")
    }
    pub fn index(&self) -> PathBuf {
        self.data.join("index")
    }
    pub fn database(&self) -> PathBuf {
        self.data.join("familiar.db")
    }
    /// What a daemon that a client started writes.
    pub fn log(&self) -> PathBuf {
        self.state.join("daemon.log")
    }
    /// Held by the one daemon that may use the data.
    pub fn lock(&self) -> PathBuf {
        self.data.join("lock")
    }
}

fn absolute(path: &Path) -> Result<PathBuf, PathsError> {
    std::path::absolute(path).map_err(|error| PathsError::Folder { folder: path.to_owned(), error })
}

/// The owner of a folder; a symbolic link is none.
fn owner(folder: &Path) -> io::Result<u32> {
    let found = fs::symlink_metadata(folder)?;
    if found.is_dir() { Ok(found.uid()) } else { Err(io::Error::other("it is not a folder")) }
}

fn private(folder: &Path) -> Result<(), PathsError> {
    let failed = |error| PathsError::Folder { folder: folder.to_owned(), error };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    // Followed, since an owner may keep the data on another disk behind a link of their own.
    let found = fs::metadata(folder).map_err(failed)?;
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(PathsError::NotOurs { folder: folder.to_owned(), uid: found.uid() });
    }
    if found.mode() & 0o777 != 0o700 {
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}
