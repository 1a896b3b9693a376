//! What a tool call may do. Pure: it is told everything it decides on and performs nothing. `deny`
//! holds the places that are never read, whatever anybody configures or asks.

pub mod deny;
pub mod grants;

use std::path::{Component, Path, PathBuf};

/// What a call would do to the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Search text that is already in the owner's index.
    Search,
    /// Read one file.
    Read(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Allow,
    /// The reason, as a sentence for the model and the audit.
    Deny(String),
}

/// Decides on one call. `roots` are the folders and files that the owner added to the index: adding
/// them is the owner's consent to read what is below.
pub fn check(effect: &Effect, roots: &[PathBuf]) -> Decision {
    match effect {
        Effect::Search => Decision::Allow,
        Effect::Read(path) => read(path, roots),
    }
}

fn read(path: &Path, roots: &[PathBuf]) -> Decision {
    if path.components().any(|part| part == Component::ParentDir) || !path.is_absolute() {
        return Decision::Deny(format!("{} is not an absolute path without `..`", path.display()));
    }
    if let Some(reason) = deny::denied(path) {
        return Decision::Deny(format!("{} is never read: {reason}", path.display()));
    }
    if !roots.iter().any(|root| path.starts_with(root)) {
        return Decision::Deny(format!("{} is not in an indexed folder", path.display()));
    }
    Decision::Allow
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(path: &str) -> Decision {
        check(&Effect::Read(path.into()), &["/home/a/notes".into()])
    }

    #[test]
    fn only_files_below_an_indexed_folder_are_read() {
        assert_eq!(decide("/home/a/notes/x/y.md"), Decision::Allow);
        for path in ["/etc/passwd", "/home/a/notes2/x", "/home/a/notes/../.ssh/id", "notes/x", ""] {
            assert!(matches!(decide(path), Decision::Deny(_)), "{path}");
        }
    }

    #[test]
    fn secrets_below_an_indexed_folder_stay_out() {
        for path in ["/home/a/notes/.ssh/id_ed25519", "/home/a/notes/.env", "/home/a/notes/p.kdbx"] {
            assert!(matches!(decide(path), Decision::Deny(_)), "{path}");
        }
    }
}
