//! Where things lie: XDG folders, or all of them under `FAMILIAR_HOME`.

use std::path::PathBuf;

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
    pub fn socket(&self) -> PathBuf {
        self.runtime.join("familiar.sock")
    }
    pub fn models(&self) -> PathBuf {
        self.data.join("models")
    }
    pub fn index(&self) -> PathBuf {
        self.data.join("index")
    }
    pub fn database(&self) -> PathBuf {
        self.data.join("familiar.db")
    }
}
