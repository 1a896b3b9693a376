//! Credentials that the host puts into plugins' requests: one file, the owner's alone, written only by the
//! owner's hand. Each is kept with the host that it is for, so that no later version of a plugin, and no
//! other plugin of its name, can have it sent elsewhere. Values never leave this room but in an answer.

use crate::disk;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Most bytes of a value.
pub const LONGEST: usize = 8 << 10;

/// Why a credential cannot be had or kept.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    #[error("{} cannot be used: {error}", .file.display())]
    Io { file: PathBuf, error: io::Error },
    #[error("others can read {file}: `chmod 600 {file}`, and change the credentials in it", file = .0.display())]
    Open(PathBuf),
    #[error("{} is not understood; mend it, or move it away and give the credentials again", .0.display())]
    Damaged(PathBuf),
    #[error("a credential has 1 to {LONGEST} printable ASCII characters")]
    Value,
}

/// A credential's value and the host that it may be sent to, as the manifest wrote it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    pub host: String,
    pub value: String,
}

/// Without the value, so that no log holds it.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Secret({})", self.host)
    }
}

type All = BTreeMap<String, BTreeMap<String, Secret>>;

/// The credential called `name` of a plugin, if the owner gave it.
pub fn get(file: &Path, plugin: &str, name: &str) -> Result<Option<Secret>, SecretsError> {
    Ok(read(file)?.remove(plugin).and_then(|mut credentials| credentials.remove(name)))
}

/// Names of a plugin's credentials that the owner gave.
pub fn names(file: &Path, plugin: &str) -> Result<Vec<String>, SecretsError> {
    Ok(read(file)?.remove(plugin).unwrap_or_default().into_keys().collect())
}

/// Keeps a credential, in place of an earlier one.
pub fn set(file: &Path, plugin: &str, name: &str, secret: Secret) -> Result<(), SecretsError> {
    let good = (1..=LONGEST).contains(&secret.value.len())
        && secret.value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !good {
        return Err(SecretsError::Value);
    }
    let mut all = read(file)?;
    all.entry(plugin.into()).or_default().insert(name.into(), secret);
    write(file, &all)
}

/// Forgets all credentials of a plugin.
pub fn forget(file: &Path, plugin: &str) -> Result<(), SecretsError> {
    let mut all = read(file)?;
    match all.remove(plugin) {
        Some(_) => write(file, &all),
        None => Ok(()),
    }
}

fn read(file: &Path) -> Result<All, SecretsError> {
    let failed = |error| SecretsError::Io { file: file.to_owned(), error };
    match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(All::new()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.is_file() => return Err(SecretsError::Damaged(file.to_owned())),
        Ok(found) if found.mode() & 0o077 != 0 => return Err(SecretsError::Open(file.to_owned())),
        Ok(_) => {}
    }
    let text = fs::read_to_string(file).map_err(failed)?;
    toml::from_str(&text).map_err(|_| SecretsError::Damaged(file.to_owned()))
}

fn write(file: &Path, all: &All) -> Result<(), SecretsError> {
    let failed = |error| SecretsError::Io { file: file.to_owned(), error };
    let text = toml::to_string(all).map_err(|error| failed(io::Error::other(error)))?;
    disk::replace(file, text.as_bytes()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_was_given_is_kept_for_its_plugin_and_host() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secrets.toml");
        assert_eq!(get(&file, "a", "token").unwrap(), None);
        let secret = |value: &str| Secret { host: "api.example.org".into(), value: value.into() };
        set(&file, "a", "token", secret("one")).unwrap();
        set(&file, "b", "token", secret("other \"quoted\" = \\")).unwrap();
        set(&file, "a", "token", secret("two")).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(get(&file, "a", "token").unwrap(), Some(secret("two")));
        assert_eq!(get(&file, "b", "token").unwrap(), Some(secret("other \"quoted\" = \\")));
        assert_eq!(get(&file, "a", "else").unwrap(), None);
        assert_eq!(names(&file, "a").unwrap(), ["token"]);
        forget(&file, "a").unwrap();
        assert_eq!((names(&file, "a").unwrap().len(), names(&file, "b").unwrap().len()), (0, 1));
        assert!(!format!("{:?}", secret("hush")).contains("hush"));
    }

    #[test]
    fn a_file_that_others_read_or_nobody_understands_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secrets.toml");
        let secret = || Secret { host: "x.org".into(), value: "v".into() };
        set(&file, "a", "token", secret()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(get(&file, "a", "token"), Err(SecretsError::Open(_))));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "a = 1").unwrap();
        assert!(matches!(set(&file, "a", "token", secret()), Err(SecretsError::Damaged(_))));
        assert_eq!(fs::read_to_string(&file).unwrap(), "a = 1");
        for value in ["", "a\nb", "é", &"x".repeat(LONGEST + 1)] {
            let wrong = Secret { value: value.into(), ..secret() };
            assert!(matches!(set(&file, "a", "token", wrong), Err(SecretsError::Value)), "{value:?}");
        }
    }
}
