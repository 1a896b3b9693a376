//! Why something about a plugin was not done, worded for whoever asked.

use super::package::PackageError;
use super::runtime::PluginError;
use crate::keys::Author;
use crate::protocol::http::{ErrorBody, ErrorCode};
use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum PluginsError {
    #[error("{} is no plugin: {error}", .file.display())]
    Package { file: PathBuf, error: PackageError },
    #[error("{} cannot be read: {error}", .file.display())]
    Read { file: PathBuf, error: io::Error },
    #[error("{} cannot be written: {error}", .file.display())]
    Write { file: PathBuf, error: io::Error },
    #[error(
        "{name} is not signed; its author signs it with `familiar plugin build`, and `--dev` installs it as it is"
    )]
    Unsigned { name: String },
    #[error(
        "{name} is signed by another author ({}) than before ({}); if you know that the author has a new key, use --new-author",
        .found.fingerprint(), .known.fingerprint()
    )]
    OtherAuthor { name: String, known: Author, found: Author },
    #[error("{} is not what you looked at (its digest is {found} now): look again", .file.display())]
    OtherDigest { file: PathBuf, found: String },
    #[error("the plugin {0} is not installed; `familiar plugin list` shows those that are")]
    NotInstalled(String),
    #[error("there is no tool {0}; `familiar plugin list` shows those that are")]
    NoTool(String),
    #[error("the plugin {name} is not used: {reason}")]
    Inactive { name: String, reason: String },
    #[error("{name} does not ask for `{interface}`, so that it cannot be granted")]
    NotAsked { name: String, interface: String },
    #[error(
        "{name} names no credential `{credential}` in its plugin.toml; `familiar plugin info {name}` shows those that it does"
    )]
    NoCredential { name: String, credential: String },
    #[error("the grant cannot be given: {0}")]
    Grant(String),
    #[error("{} was changed by hand and is not understood ({why}); mend it, or move it away", .file.display())]
    Damaged { file: PathBuf, why: String },
    /// For the model to mend.
    #[error("wrong arguments for {tool}: {why}")]
    Arguments { tool: String, why: String },
    #[error("the plugin {name} did not run: {error}")]
    Run { name: String, error: PluginError },
    #[error(transparent)]
    Secret(#[from] super::secrets::SecretsError),
}

impl PluginsError {
    /// As clients are told.
    pub fn body(&self) -> ErrorBody {
        let code = match self {
            PluginsError::Package { .. }
            | PluginsError::NotAsked { .. }
            | PluginsError::Grant(_)
            | PluginsError::Arguments { .. } => ErrorCode::Usage,
            PluginsError::Read { error, .. } if error.kind() == io::ErrorKind::NotFound => {
                ErrorCode::NotFound
            }
            PluginsError::Unsigned { .. }
            | PluginsError::OtherAuthor { .. }
            | PluginsError::OtherDigest { .. }
            | PluginsError::Inactive { .. } => ErrorCode::Denied,
            PluginsError::NotInstalled(_) | PluginsError::NoTool(_) | PluginsError::NoCredential { .. } => {
                ErrorCode::NotFound
            }
            PluginsError::Run { error: PluginError::Busy(_), .. } => ErrorCode::Busy,
            PluginsError::Run { .. }
            | PluginsError::Read { .. }
            | PluginsError::Write { .. }
            | PluginsError::Secret(_)
            | PluginsError::Damaged { .. } => ErrorCode::Failed,
        };
        ErrorBody { code, message: self.to_string() }
    }
}
